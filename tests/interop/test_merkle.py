#!/usr/bin/env python3
"""Our proofs under Google's Merkle verifier, in C++, of the first Certificate Transparency log server;
and its proofs under ours. test_merkle.py BUILD SCRATCH

The sources are Debian's golang-github-google-certificate-transparency-dev (0.5 MB), which stays where
it is installed, or is fetched into SCRATCH, once, without the 26 packages that it depends on."""
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import mutations
from debian import unpacked

HERE = Path(__file__).resolve().parent
PACKAGE = "golang-github-google-certificate-transparency-dev"
SOURCES = "usr/share/gocode/src/github.com/google/certificate-transparency/cpp"
FILES = ("merkle_verifier", "merkle_tree", "merkle_tree_math", "tree_hasher", "serial_hasher")


def build(scratch):
    compiler = next((c for c in ("g++", "clang++") if shutil.which(c)), None)
    if compiler is None:
        mutations.skip("no C++ compiler: apt install g++, or clang")
    sources = unpacked(PACKAGE, SOURCES, scratch)
    program = scratch / "merkle_check"
    made_of = [HERE / "merkle_check.cc"] + [sources / f"merkletree/{name}.cc" for name in FILES]
    if not program.exists() or program.stat().st_mtime < made_of[0].stat().st_mtime:
        subprocess.run([compiler, "-std=c++14", "-O1", "-w", "-I", sources, "-o", program, *made_of,
                        "-lcrypto", "-pthread"], check=True)
    return program


class Other(mutations.Lines):
    def proof(self, proof):
        words = list(proof.words())
        if words[0] == "inclusion":  # this verifier hashes the entry itself
            words[3] = proof.entry.hex() or "-"
        return self.ask(*words)

    def same_trees(self, sample, scratch):
        """Its tree, built from the entries, has our roots; the proofs that it makes are ours."""
        file = Path(scratch) / "entries"
        file.write_bytes(mutations.bundle_bytes(sample.entries))
        self.ask("load", file)
        roots = proofs = 0
        for p in mutations.inclusion_proofs(sample):
            if self.ask("root", p.size) != f"ok {p.root.hex()}":
                sys.exit(f"another root of {p.size} entries")
            made = mutations.unjoined(self.ask("prove-inclusion", p.index, p.size).split()[1])
            if not sample.tool.proof(p.but(path=made)).startswith("ok"):
                sys.exit(f"we refuse its proof of {p}")
            roots, proofs = roots + 1, proofs + 1
        for p in mutations.consistency_proofs(sample):
            made = mutations.unjoined(self.ask("prove-consistency", p.first, p.second).split()[1])
            if not sample.tool.proof(p.but(path=made)).startswith("ok"):
                sys.exit(f"we refuse its proof of {p}")
            proofs += 1
        print(f"merkle_verifier.cc: {roots} roots are ours, {proofs} proofs of its own we accept")


def main():
    scratch = Path(sys.argv[2])
    scratch.mkdir(parents=True, exist_ok=True)
    program = build(scratch)
    with tempfile.TemporaryDirectory(prefix="sauti-merkle-") as name:
        sample = mutations.Sample(sys.argv[1], name)
        other, run = Other([program]), mutations.Run("merkle_verifier.cc")
        run.inclusion(sample, other.proof)
        run.consistency(sample, other.proof)
        other.same_trees(sample, name)
        other.close()
        sample.tool.close()


main()
