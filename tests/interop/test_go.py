#!/usr/bin/env python3
"""Logs, notes and proofs checked by golang.org/x/mod, which nobody here wrote: what is right is
accepted, what was changed is refused.

    test_go.py BUILD              the committed export of tests/vectors, and all of mutations.py
    test_go.py EXPORT VKEY...     an export of yours

Skips, exit 77, when Go or the package is missing: apt install golang-go golang-golang-x-mod-dev (81 MB
to fetch, 465 MB installed)."""
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
VECTORS = HERE.parent / "vectors"
MODULE = Path("/usr/share/gocode/src/golang.org/x/mod/sumdb/tlog")

if shutil.which("go") is None or not MODULE.is_dir():
    print("skipped: go or golang.org/x/mod is missing: "
          "apt install golang-go golang-golang-x-mod-dev (465 MB)")
    sys.exit(77)

import mutations  # noqa: E402
from mutations import reader  # noqa: E402


def build(scratch):
    """The verifier, built outside the tree, offline."""
    program = scratch / "verify_export"
    environment = {**os.environ, "GO111MODULE": "off", "GOPATH": "/usr/share/gocode",
                   "GOCACHE": str(scratch / "cache"), "GOFLAGS": "", "CGO_ENABLED": "0"}
    subprocess.run(["go", "build", "-o", program, "main.go", "answer.go"], cwd=HERE / "verify_export", check=True,
                   env=environment)
    return program


def vkey(root, origin):
    """As the log's first entry names it; read_export has its own test of that."""
    log = reader.Log(root, origin)
    log.load()
    key = reader.Key(origin, reader.NOTE, reader.parse_opened(log.entries[0])[1])
    return f"{key.name}+{key.id.hex()}+" + \
        reader.base64.b64encode(bytes([key.kind]) + key.public).decode()


def verify(program, root, origin, key):
    return subprocess.run([program, root / origin, key], capture_output=True, text=True, check=False)


def accepted(program, root):
    for path in sorted(root.glob("*/*/*/checkpoint")):
        origin = path.parent.relative_to(root).as_posix()
        done = verify(program, root, origin, vkey(root, origin))
        print(f"{origin}: {done.stdout.strip() or done.stderr.strip()}")
        if done.returncode != 0:
            sys.exit(f"refused: {origin}")


def refused(program, root, scratch):
    """A changed byte in any file that counts."""
    origin = "ovra.example/haiti/1-00112233445566aa"
    key = vkey(root, origin)
    for name in ("checkpoint", "tile/0/000", "tile/0/001.p/4", "tile/1/000.p/1", "tile/entries/000",
                 "tile/entries/001.p/4"):
        copy = scratch / "copy"
        shutil.copytree(root, copy)
        path = copy / origin / name
        data = bytearray(path.read_bytes())
        data[len(data) // 3] ^= 1
        path.write_bytes(data)
        done = verify(program, copy, origin, key)
        print(f"{name} changed: {done.stderr.strip()}")
        if done.returncode != 1:
            sys.exit(f"accepted: {name} changed")
        shutil.rmtree(copy)
    if verify(program, root, origin, vkey(root, "ovra.example/directory/1-ddddddddddddddaa")).returncode != 1:
        sys.exit("accepted: another log's key")


class Other(mutations.Lines):
    """x/mod, told of another log."""

    def export(self, sample):
        return self.ask("export", sample.directory, sample.vkey)

    def reader_alone(self, sample):
        """Which forged entries somebody believes who relies on tlog.TileHashReader: that these changes
        are not too easy to find. No verdict: a newer x/mod believes none."""
        believed = []
        for name, level, tile, slot in mutations.places(sample):
            index = mutations.leaf_under(level, tile, slot)
            if self.ask("reader", sample.directory, sample.vkey, index) != "ok":
                sys.exit(f"entry {index} is refused before it is forged")
            with mutations.applied(sample.directory, mutations.forge(sample, index, level)):
                if self.ask("reader", sample.directory, sample.vkey, index) == "ok":
                    believed.append(name)
        print(f"tlog.TileHashReader alone (CVE-2026-56865) believes {len(believed)} of 9 forged entries: "
              f"{'; '.join(believed)}")

    def same_proofs(self, sample):
        """Proofs that x/mod makes are ours, to the byte, and so accepted by us."""
        self.ask("load", sample.directory, sample.vkey)
        count = 0
        for p in mutations.inclusion_proofs(sample):
            made = self.ask("prove-inclusion", p.index, p.size).split()[1]
            theirs = p.but(path=mutations.unjoined(made))
            if theirs.path != p.path or not sample.tool.proof(theirs).startswith("ok"):
                sys.exit(f"another proof of {p}")
            count += 1
        for p in mutations.consistency_proofs(sample):
            made = self.ask("prove-consistency", p.first, p.second).split()[1]
            theirs = p.but(path=mutations.unjoined(made))
            if theirs.path != p.path or not sample.tool.proof(theirs).startswith("ok"):
                sys.exit(f"another proof of {p}")
            count += 1
        print(f"golang.org/x/mod: made {count} proofs, which we accept")


def mutated(program, build, scratch):
    sample = mutations.Sample(build, scratch)
    other, run = Other([program, "-"]), mutations.Run("golang.org/x/mod")
    run.notes(sample, other.note)
    run.cosignatures(sample, other.note)
    run.inclusion(sample, other.proof)
    run.consistency(sample, other.proof)
    other.same_proofs(sample)
    other.reader_alone(sample)
    run.files(sample, lambda: other.export(sample))
    other.close()
    sample.tool.close()


def main():
    with tempfile.TemporaryDirectory(prefix="sauti-go-") as name:
        scratch = Path(name)
        program = build(scratch)
        if len(sys.argv) > 2:
            for key in sys.argv[2:]:
                done = verify(program, Path(sys.argv[1]), key.split("+")[0], key)
                print(done.stdout.strip() or done.stderr.strip())
                if done.returncode != 0:
                    sys.exit(1)
            return
        accepted(program, VECTORS / "export")
        refused(program, VECTORS / "export", scratch)
        mutated(program, sys.argv[1], scratch)


if __name__ == "__main__":
    main()
