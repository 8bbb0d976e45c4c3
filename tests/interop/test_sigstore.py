#!/usr/bin/env python3
"""Our entries as Sigstore's verifier (npm @sigstore/verify) sees those of its own log: an inclusion
proof, and a checkpoint signed by a log that is trusted. test_sigstore.py BUILD SCRATCH

It wants every signature line of a checkpoint good by a log's key, so it is given the log's line
without cosignatures."""
import base64
import shutil
import sys
import tempfile
from pathlib import Path

import mutations
from mutations import reader
import npm

MODULES = ["@sigstore/verify@2"]

NOTE_BLIND = {
    "another name": "it goes by the key id of a line alone",
    "text with an empty line more": "it cuts at the first empty line, C2SP at the last; what is before it "
                                    "is what was signed",
    "signature in base64 without its padding": "its base64 is lenient; the bytes are the same",
}


class Other(mutations.Lines):
    def __init__(self, sample, arguments, **options):
        super().__init__(arguments, **options)
        self.sample = sample
        self.honest = sample.inclusion(mutations.SIZE // 3)

    def told(self, proof, vkey, note):
        key = reader.Key.parse(vkey)
        return self.ask("entry", proof.index, proof.size, proof.entry.hex() or "-", proof.root.hex(),
                        mutations.joined(proof.path), key.id.hex(), key.public.hex(),
                        base64.b64encode(note).decode())

    def note(self, vkey, note):
        return self.told(self.honest, vkey, note)

    def proof(self, proof):
        return self.told(proof, self.sample.vkey, mutations.signed_for(self.sample, proof))


def main():
    scratch = Path(sys.argv[2])
    npm.fetch(scratch, MODULES)
    shutil.copy(Path(__file__).resolve().parent / "sigstore.mjs", scratch / "sigstore.mjs")
    with tempfile.TemporaryDirectory(prefix="sauti-sigstore-") as name:
        sample = mutations.Sample(sys.argv[1], name)
        other, run = Other(sample, ["node", "sigstore.mjs"], cwd=scratch), mutations.Run("@sigstore/verify")
        alone = [case[1:] for case in mutations.notes(sample) if case[0] == "checkpoint alone"]
        run.all("checkpoints", alone, mutations.named(mutations.note_mutations(sample)),
                lambda case: other.note(*case), NOTE_BLIND)
        run.inclusion(sample, other.proof)
        other.close()
        sample.tool.close()


main()
