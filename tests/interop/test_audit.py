#!/usr/bin/env python3
"""sauti audit, as an auditor without a node runs it, under the list that others' verifiers are held to.
test_audit.py BUILD"""
import base64
import subprocess
import sys
import tempfile
from pathlib import Path

import mutations
from mutations import reader

NOW = "2026-01-01T12:00:00Z"  # soon after what make_log says was signed
VIOLATION = 4


class Audit:
    """The command; every answer but "sound" and "violation" ends the test."""

    def __init__(self, build, sample, scratch):
        self.program, self.sample, self.scratch = Path(build) / "sauti", sample, Path(scratch)

    def run(self, *arguments):
        done = subprocess.run([self.program, *map(str, arguments)], text=True, capture_output=True, check=False,
                              errors="replace")
        said = " / ".join((done.stderr or done.stdout).strip().splitlines()[-2:])
        if done.returncode not in (0, VIOLATION):
            sys.exit(f"sauti {arguments[:2]}: exit {done.returncode}: {said}")
        return "ok" if done.returncode == 0 else f"no: {said}"

    def log(self, jobs=1):
        """All logs of the export, by the directory's key."""
        directory = next(v for name, v in self.sample.vkeys.items() if "/directory/" in name)
        return self.run("audit", "log", self.sample.root, "--directory", directory, "--now", NOW,
                        "--jobs", jobs)

    def policy(self, text):
        path = self.scratch / "policy"
        path.write_text(text)
        return path

    def note(self, vkey, note, policy=None):
        """The checkpoint in its place, under a policy that knows the log alone; its entries are not what
        is judged, but they are read, too."""
        policy = policy or f"log {vkey}\nquorum none\n"
        with mutations.applied(self.sample.directory, {"checkpoint": note}):
            return self.run("audit", "log", self.sample.root, mutations.ORIGIN, "--policy",
                            self.policy(policy), "--now", NOW)

    def cosigned(self, vkey, note):
        """.. and under one that wants this cosigner."""
        if reader.Key.parse(vkey).kind != reader.COSIGNATURE:
            return "no: a policy has no such witness"
        return self.note(vkey, note, f"log {self.sample.vkey}\nwitness it {vkey}\nquorum it\n")

    def proof(self, proof):
        """A .tlog-proof, with the entry beside it."""
        if not proof.entry:
            return "no: an entry has a byte at least"
        note = mutations.signed_for(self.sample, proof)
        lines = ["c2sp.org/tlog-proof@v1", f"index {proof.index}"]
        lines += [base64.b64encode(h).decode() for h in proof.path]
        file, entry = self.scratch / "it.tlog-proof", self.scratch / "entry"
        file.write_bytes("\n".join(lines).encode() + b"\n\n" + note)
        entry.write_bytes(proof.entry)
        return self.run("audit", "proof", file, "--log", self.sample.vkey, "--entry", entry)


def main():
    with tempfile.TemporaryDirectory(prefix="sauti-audit-") as name:
        sample = mutations.Sample(sys.argv[1], name)
        audit, run = Audit(sys.argv[1], sample, name), mutations.Run("sauti audit")
        run.files(sample, audit.log)
        run.notes(sample, audit.note)
        run.cosignatures(sample, audit.cosigned)
        run.inclusion(sample, audit.proof, every=8)
        mutations.Run("sauti audit --jobs 2").files(sample, lambda: audit.log(2), only=lambda name: "forged" in name,
                                                    least=10)
        sample.tool.close()


main()
