#!/usr/bin/env python3
"""Signatures and cosignatures under "openssl pkeyutl -verify -rawin". test_openssl.py BUILD

What a note says is signed is put together by a few lines here, which are as lenient as they can be: who
judges is openssl. Of a mutation that leaves it nothing to judge (no line of that name, no time) the
output says so; what it judged itself must be enough by itself."""
import base64
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import mutations
from mutations import reader

SPKI = bytes.fromhex("302a300506032b6570032100")  # RFC 8410: then the key's 32 bytes


class OpenSSL:
    def __init__(self, scratch):
        self.scratch, self.judged = Path(scratch), Counter()

    def note(self, vkey, note):
        key = reader.Key.parse(vkey)
        text, empty, lines = note.rpartition(b"\n\n")
        mine = [words[2] for words in (line.split(b" ") for line in lines.split(b"\n"))
                if len(words) == 3 and words[0] == mutations.DASH and words[1] == key.name.encode()]
        if not empty or not mine:
            return "no: no line of that name"
        blob = base64.b64decode(mine[0] + b"==")
        if blob[:4] != key.id:
            return "no: another key id"
        message, signature = text + b"\n", blob[4:]
        if key.kind == reader.COSIGNATURE:
            message = mutations.cosigned(message, int.from_bytes(signature[:8], "big"))
            signature = signature[8:]
        return self.verify(key.public, message, signature)

    def verify(self, public, message, signature):
        for name, data in (("key", SPKI + public), ("message", message), ("signature", signature)):
            (self.scratch / name).write_bytes(data)
        done = subprocess.run(["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER",
                               "-inkey", "key", "-in", "message", "-sigfile", "signature"],
                              cwd=self.scratch, capture_output=True, text=True, check=False)
        self.judged[done.returncode] += 1
        said = (done.stdout + done.stderr).strip()
        if done.returncode == 0 and "Signature Verified Successfully" in said:
            return "ok"
        if "Signature Verification Failure" not in said and "error" not in said.lower():
            sys.exit(f"openssl says: {said}")
        return f"no: {said}"


# Other ways to write the same signed text and signature, which are for readers of notes to refuse.
BLIND = {
    "signature in base64 without its padding": "the bytes are the same",
    "no newline at the end": "the bytes are the same",
    "signature line with CRLF": "the bytes are the same",
}


def main():
    if shutil.which("openssl") is None:
        mutations.skip("apt install openssl")
    with tempfile.TemporaryDirectory(prefix="sauti-openssl-") as name:
        sample = mutations.Sample(sys.argv[1], name)
        for kind in ("notes", "cosignatures"):
            other, run = OpenSSL(name), mutations.Run("openssl")
            getattr(run, kind)(sample, other.note, BLIND)
            print(f"openssl: {kind}: itself verified {other.judged[0]}, refused {other.judged[1]}")
            if other.judged[1] < mutations.LEAST:
                sys.exit("openssl itself refused too few")
        for path in sorted(sample.root.glob("*/*/*/checkpoint")):
            each(sample, OpenSSL(name), path)
        sample.tool.close()


def each(sample, other, path):
    """Every signature line that stands on a checkpoint of the export."""
    note = path.read_bytes()
    for line_name, _, _ in reader.parse_note(note)[1]:
        said = other.note(sample.vkeys[line_name], note)
        print(f"{path.parent.relative_to(sample.root)}: {line_name}: {said}")
        if said != "ok":
            sys.exit(1)


main()
