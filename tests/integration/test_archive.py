#!/usr/bin/env python3
"""sauti-archive-sync against a directory that plays an object store, through a stand-in for s3cmd and,
where it is installed, through rclone. With a real object store: tests/campaign/archive.
test_archive.py BUILD [unittest args]"""
import base64
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
SYNC = SOURCE / "packaging/archive/sauti-archive-sync"
ORIGIN = "ovra.example/haiti/1-00112233445566aa"
DIRECTORY = "ovra.example/directory/1-ddddddddddddddaa"
BUILD = Path()
DONE, FAILED, USAGE, REFUSED = 0, 1, 2, 4


def contents(root):
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*"))
            if p.is_file() and p.name != ".puts"}


class Archive(unittest.TestCase):
    engine = "s3cmd"

    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="sauti-archive-")
        self.addCleanup(scratch.cleanup)
        self.root = Path(scratch.name)
        self.export, self.buckets = self.root / "export", self.root / "buckets"
        self.there = self.buckets / "ovra/logs"
        (self.buckets / "ovra").mkdir(parents=True)
        programs = self.root / "programs"
        programs.mkdir()
        (programs / "s3cmd").symlink_to(SOURCE / "tests/lib/fake_s3cmd")
        self.env = {**{k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "RCLONE_"))},
                    "PATH": f"{programs}:{os.environ['PATH']}", "BUCKETS": str(self.buckets),
                    "XDG_RUNTIME_DIR": str(self.root), "RCLONE_CONFIG": "/dev/null"}
        self.destination = "s3://ovra/logs" if self.engine == "s3cmd" else f":local:{self.there}"
        self.make(300)

    def make(self, size, where=None):
        """The same log, of that size: an export that goes on from an earlier one."""
        subprocess.run([BUILD / "tests/interop/make_log", where or self.export, str(size)], check=True,
                       stdout=subprocess.DEVNULL)

    def sync(self, *options, code=DONE, export=None, destination=None, **env):
        done = subprocess.run([SYNC, *options, export or self.export, destination or self.destination],
                              capture_output=True, text=True, check=False, env={**self.env, **env})
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.said = done.stdout + done.stderr
        return self.puts()

    def puts(self):
        """What was put since the last time: its name, and its headers."""
        file = self.buckets / ".puts"
        lines = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return [(url.removeprefix("s3://ovra/logs/"), *headers) for url, headers in map(json.loads, lines)]

    def whole(self, export=None):
        """What is there is what the newest checkpoints need, and what was there before."""
        here, there = contents(export or self.export), contents(self.there)
        self.assertEqual({n: there.get(n) for n in here}, here)
        self.assertEqual((self.there / "logs").read_text(),
                         "".join(f"{o}\n" for o in sorted([ORIGIN, DIRECTORY, self.hq()])))

    def hq(self):
        return next(self.export.glob("*/hq/*")).relative_to(self.export).as_posix()


class S3cmd(Archive):
    """Also what only a stand-in can do: fail, lose, tell the order."""

    def test_order_and_headers(self):
        puts = self.sync()
        names = [name for name, *_ in puts]
        self.assertEqual(len(names), len(set(names)))
        self.assertEqual(names[-4:], [f"{DIRECTORY}/checkpoint", f"{ORIGIN}/checkpoint",
                                      f"{self.hq()}/checkpoint", "logs"])
        for name, kind, cache in puts:
            if name in names[-4:]:
                self.assertEqual((kind, cache), ("text/plain; charset=utf-8", "Cache-Control: public, no-cache"))
            else:
                self.assertEqual((kind, cache), ("application/octet-stream",
                                                 "Cache-Control: public, max-age=31536000, immutable"))
        self.whole()

    def test_again_and_grown(self):
        self.sync()
        self.assertEqual(self.sync(), [])
        before = contents(self.export)
        self.make(700)
        new = {n for n, data in contents(self.export).items() if before.get(n) != data}
        planned = self.sync("--dry-run")
        self.assertEqual(planned, [])
        self.assertEqual({line[11:] for line in self.said.splitlines() if line.startswith("would send ")}, new)
        names = [name for name, *_ in self.sync()]
        self.assertEqual(set(names), new)
        self.assertEqual(names[-1], f"{ORIGIN}/checkpoint")
        self.whole()
        self.assertTrue((self.there / ORIGIN / "tile/0/001.p/44").exists())  # nothing is deleted

    def test_proofs_of_forks(self):
        """They come before the checkpoints, and none that is there goes."""
        def frames(*messages):
            return b"".join(len(m).to_bytes(4, "big") + m for m in messages)
        (self.export / "evidence").write_bytes(frames(b"one", b"two"))
        puts = self.sync()
        self.assertEqual([p for p in puts if p[0] == "evidence"],
                         [("evidence", "application/octet-stream", "Cache-Control: public, no-cache")])
        self.assertEqual([name for name, *_ in puts].index("evidence"), len(puts) - 5)
        self.whole()
        self.assertEqual(self.sync(), [])
        (self.there / "evidence").write_bytes(frames(b"another's"))
        self.assertEqual([name for name, *_ in self.sync()], ["evidence"])
        self.assertEqual((self.there / "evidence").read_bytes(), frames(b"another's", b"one", b"two"))
        self.assertEqual(self.sync(), [])
        for place in (self.there, self.export):
            whole = (place / "evidence").read_bytes()
            (place / "evidence").write_bytes(whole[:-1])
            self.assertEqual(self.sync(code=REFUSED), [])
            self.assertIn("no file of evidence", self.said)
            self.assertEqual((place / "evidence").read_bytes(), whole[:-1])
            (place / "evidence").write_bytes(whole)

    def test_interrupted(self):
        """At the first puts, in the middle, at each of the last: no checkpoint without its files, nothing
        twice."""
        every = [name for name, *_ in self.sync()]
        for n in (0, 1, len(every) // 2, *range(len(every) - 5, len(every))):
            shutil.rmtree(self.there)
            names = [name for name, *_ in self.sync(code=FAILED, FAIL_AFTER=str(n))]
            self.assertEqual(names, every[:n])
            if any(name.endswith("/checkpoint") for name in names):
                self.assertEqual(sum(name.endswith(("/checkpoint", "logs")) for name in every[n:]), len(every) - n)
            self.assertEqual([name for name, *_ in self.sync()], every[n:])
            self.whole()

    def test_lost_on_the_way(self):
        names = [name for name, *_ in self.sync(code=FAILED, LOSE="tile/0/000")]
        self.assertIn("did not arrive", self.said)
        self.assertFalse([name for name in names if name.endswith("checkpoint")])
        self.sync()
        self.whole()


    def test_a_store_that_never_ends(self):
        self.sync()
        self.assertEqual(self.sync(code=REFUSED, ENDLESS="1"), [])
        self.assertIn("has more than 65536 bytes", self.said)


class Both(Archive):
    def test_first_again_grown(self):
        self.sync()
        self.whole()
        before = contents(self.there)
        self.sync()
        self.assertIn("\n0 files sent", self.said)
        self.make(20000)
        self.sync()
        self.whole()
        self.assertEqual({n for n in before if n not in contents(self.there)}, set())

    def test_one_log(self):
        self.sync("--log", DIRECTORY)
        self.assertEqual((self.there / "logs").read_text(), DIRECTORY + "\n")
        self.sync("--log", ORIGIN)
        self.assertEqual((self.there / "logs").read_text(), f"{DIRECTORY}\n{ORIGIN}\n")
        self.sync("--log", "ovra.example/none/1-0000000000000000", code=FAILED)

    def test_it_never_goes_back(self):
        old = self.root / "old"
        shutil.copytree(self.export, old)
        self.make(700)
        self.sync()
        before = contents(self.there)
        self.sync(export=old, code=REFUSED)
        self.assertIn("700 entries are there, 300 here", self.said)
        self.assertEqual(contents(self.there), before)

    def test_another_history(self):
        """Smaller, and not the beginning of ours; as large, with another root; not of this log; rubbish."""
        self.sync()
        path = self.there / ORIGIN / "checkpoint"
        good = path.read_bytes()
        lines = good.split(b"\n")
        root = base64.b64encode(hashlib.sha256(b"another").digest())
        for what, data in (("two different histories", good.replace(lines[2], root)),
                           ("two different histories", good.replace(lines[2], root).replace(b"\n300\n", b"\n257\n")),
                           ("is of the log", (self.there / DIRECTORY / "checkpoint").read_bytes()),
                           ("no signed checkpoint", b"rubbish"), ("no signed checkpoint", b""),
                           ("no signed checkpoint", good.replace(b"\n300\n", b"\n0300\n")),
                           ("has more than 65536 bytes", bytes(70000))):
            path.write_bytes(data)
            self.sync(code=REFUSED)
            self.assertIn(what, self.said)
            self.assertEqual(path.read_bytes(), data)
        path.write_bytes(good)
        self.sync()
        # Its beginning is ours: one with fewer entries is brought up.
        small = self.root / "small"
        self.make(40, small)
        shutil.copyfile(small / ORIGIN / "checkpoint", path)
        self.sync()
        self.assertEqual(path.read_bytes(), good)

    def test_refused_logs_hold_up_no_other(self):
        self.sync()
        (self.there / ORIGIN / "checkpoint").write_bytes(b"rubbish")
        (self.there / self.hq() / "checkpoint").unlink()
        self.sync(code=REFUSED)
        self.assertTrue((self.there / self.hq() / "checkpoint").exists())

    def test_damaged_there(self):
        self.sync()
        path = self.there / ORIGIN / "tile/entries/000"
        good = path.read_bytes()
        path.write_bytes(good[:-1] + b"?")
        self.sync()
        self.assertIn("\n0 files sent", self.said)
        self.sync("--compare")
        self.assertIn("\n1 files sent", self.said)
        self.assertEqual(path.read_bytes(), good)
        path.write_bytes(good[:-1])
        self.sync()
        self.whole()

    def test_damaged_here(self):
        (self.export / ORIGIN / "tile/1/000.p/1").unlink()
        self.sync(code=FAILED)
        self.assertIn("tile/1/000.p/1' is missing", self.said)
        self.assertEqual(contents(self.there) if self.there.exists() else {}, {})

    def test_a_full_file_in_place_of_a_partial_one(self):
        """An export went on while this ran: the partial files of its checkpoint may be gone."""
        self.make(512, self.root / "later")
        note = (self.export / ORIGIN / "checkpoint").read_bytes()
        shutil.copytree(self.root / "later" / ORIGIN, self.export / ORIGIN, dirs_exist_ok=True)
        (self.export / ORIGIN / "checkpoint").write_bytes(note)
        for kind in ("0", "entries"):
            shutil.rmtree(self.export / ORIGIN / f"tile/{kind}/001.p")
        self.sync()
        self.assertTrue((self.there / ORIGIN / "tile/0/001").exists())
        self.assertEqual((self.there / ORIGIN / "checkpoint").read_bytes(), note)

    def test_one_writer(self):
        name = hashlib.sha256(self.destination.encode()).hexdigest()[:16]
        with open(self.root / f"sauti-archive-{name}.lock", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self.sync(code=FAILED)
            self.assertIn("another run writes", self.said)
        self.sync()

    def test_usage(self):
        self.assertIn("--dry-run", subprocess.run([SYNC, "--help"], capture_output=True, text=True,
                                                  check=True).stdout)
        self.sync(destination="/srv/archive", code=USAGE)
        self.sync(destination="-x:", code=USAGE)
        self.sync("--delete", code=USAGE)
        self.sync(export=self.root, code=FAILED)
        self.assertIn("holds no exports", self.said)


class ByS3cmd(Both):
    pass


@unittest.skipIf(shutil.which("rclone") is None, "apt install rclone")
class ByRclone(Both):
    engine = "rclone"


del Both, Archive

if __name__ == "__main__":
    BUILD = Path(sys.argv.pop(1)).resolve()
    unittest.main()
