#!/usr/bin/env python3
"""Our own verifiers under the list that others' are held to. test_ours.py BUILD"""
import contextlib
import io
import sys
import tempfile

import mutations
from mutations import reader


def read_export(sample):
    """The reader in Python, which is not built on the C code (python3-cryptography)."""
    keys = [reader.Key.parse(sample.vkey)]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            reader.check_export(sample.root, keys)
    except reader.Bad as bad:
        return f"no: {bad}"
    return "ok"


def python_note(vkey, note):
    """The same reader, of a note."""
    key = reader.Key.parse(vkey)
    try:
        text, lines = reader.parse_note(note)
        reader.parse_checkpoint(text)
        blob = next((blob for name, key_id, blob in lines if (name, key_id) == (key.name, key.id)), None)
        reader.need(blob is not None, "no line of that key")
        key.check(blob, text)
    except reader.Bad as bad:
        return f"no: {bad}"
    return "ok"


def main():
    with tempfile.TemporaryDirectory(prefix="sauti-ours-") as scratch:
        sample = mutations.Sample(sys.argv[1], scratch)
        run = mutations.Run("sauti")
        run.notes(sample, sample.tool.note)
        run.cosignatures(sample, sample.tool.note)
        run.inclusion(sample, sample.tool.proof)
        run.consistency(sample, sample.tool.proof)
        run = mutations.Run("read_export.py, python3-cryptography")
        run.notes(sample, python_note)
        run.cosignatures(sample, python_note)
        run.files(sample, lambda: read_export(sample))
        sample.tool.close()


main()
