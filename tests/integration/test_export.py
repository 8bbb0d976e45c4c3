#!/usr/bin/env python3
"""sauti log export with a real node: written, repeated, grown, refused, killed; read back by readers
that share nothing with it. test_export.py BUILD [unittest args]"""

import json
import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "tests" / "lib"))
from network import Failed, Network, wait_for  # noqa: E402

BUILD = Path()
READER = SOURCE / "tests" / "vectors" / "read_export.py"
INTEROP = SOURCE / "tests" / "interop" / "test_go.py"
OK, FAILED, USAGE, UNREACHABLE, INTEGRITY, REFUSED = range(6)
MISSING = 77  # what a reader lacks is not installed


def picture(root):
    """Every file and directory: contents, mode, inode, time of change."""
    found = {}
    for path in [root, *sorted(root.rglob("*"))]:
        st = path.lstat()
        found[path.relative_to(root).as_posix()] = (
            path.read_bytes() if path.is_file() else None, st.st_mode, st.st_ino, st.st_mtime_ns)
    return found


def contents(root):
    return {path.relative_to(root).as_posix(): path.read_bytes()
            for path in sorted(root.rglob("*")) if path.is_file()}


class Export(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="sauti-export-")
        cls.root = Path(cls.scratch.name)
        cls.network = Network(cls.root / "net", BUILD, "test.example")
        cls.hq = cls.network.init()
        cls.hq.start()
        cls.haiti = cls.network.join("haiti", "HTI")
        cls.haiti.start()
        cls.batch = 0
        cls.record(40)

    @classmethod
    def tearDownClass(cls):
        cls.network.stop()
        cls.scratch.cleanup()

    @classmethod
    def record(cls, count, settle=True):
        """Cases, each of a few entries in haiti's log."""
        cls.batch += 1
        lines = [json.dumps({"type": "CASE_OPENED", "case_code": f"ZZ-{cls.batch}-{i}"})
                 for i in range(count)]
        cls.haiti.json("case", "import", "-", stdin="\n".join(lines) + "\n")
        if settle:
            cls.network.settle()

    def setUp(self):
        self.out = self.root / self.id().rsplit(".", 1)[1]

    def export(self, *arguments, node=None, code=OK):
        done = (node or self.hq).sauti("--json", "log", "export", *arguments, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        if code != OK:
            self.message = json.loads(done.stderr)["error"]["message"]
        return {d["origin"]: d for d in json.loads(done.stdout)} if done.stdout else {}

    def read_back(self, out, keys=()):
        """Our reader in Python, and the one that nobody here wrote."""
        arguments = [a for key in keys for a in ("--key", key)]
        done = subprocess.run([sys.executable, READER, out, *arguments], capture_output=True, text=True,
                              check=False)
        self.assertIn(done.returncode, (OK, MISSING), done.stdout + done.stderr)
        if keys:
            go = subprocess.run([sys.executable, INTEROP, out, *keys], capture_output=True, text=True,
                                check=False)
            self.assertIn(go.returncode, (OK, MISSING), go.stdout + go.stderr)
        return done.stdout

    # ---- what is written ----

    def test_written_and_read_back(self):
        logs = self.export(self.out)
        self.assertEqual({o.split("/")[1] for o in logs}, {"directory", "hq", "haiti"})
        for origin, log in logs.items():
            held = self.hq.logs()[origin]
            self.assertEqual((log["size"], log["root"]), (held["checkpoint_size"], held["root"]))
            self.assertEqual(log["cosignatures"], 2)  # the other node's mirror and witness
            self.assertEqual(log["bytes_written"],
                             sum(p.stat().st_size for p in (self.out / origin).rglob("*") if p.is_file()))
        said = self.read_back(self.out, [log["key"] for log in logs.values()])
        if said:
            self.assertEqual(said.count("2 cosignatures"), 3)
        for path in self.out.rglob("*"):
            self.assertEqual(path.stat().st_mode & 0o777, 0o755 if path.is_dir() else 0o644, path)
        self.assertEqual((self.out / "logs").read_text(), "".join(f"{o}\n" for o in sorted(logs)))

    def test_the_list_of_logs(self):
        """What an earlier export wrote stays in it; one that cannot be written is told, and no log of
        the export is worse for it."""
        origins = sorted(self.haiti.logs())
        for count, origin in enumerate(origins, 1):
            self.export(self.out, origin)
            self.assertEqual((self.out / "logs").read_text(), "".join(f"{o}\n" for o in origins[:count]))
        (self.out / "logs").unlink()
        (self.out / "logs").mkdir()
        self.export(self.out, code=FAILED)
        self.assertIn("to logs in", self.message)
        (self.out / "logs").rmdir()
        self.export(self.out)
        self.read_back(self.out)
        self.assertEqual((self.out / "logs").read_text(), "".join(f"{o}\n" for o in origins))

    def test_every_node_exports_the_same(self):
        """Who holds a log can export it: the author and a mirror write the same tiles."""
        origin = self.haiti.own()["origin"]
        self.export(self.out, origin)
        other = self.root / "author"
        self.export(other, origin, node=self.haiti)
        for root in (self.out, other):  # a cosignature has a time, and each has the one it got
            note = root / origin / "checkpoint"
            note.write_bytes(b"".join(note.read_bytes().splitlines(True)[:5]))
        self.assertEqual(contents(self.out), contents(other))
        self.assertEqual([p.name for p in (self.out / "test.example").iterdir()], ["haiti"])
        self.assertEqual((self.out / "logs").read_text(), origin + "\n")

    def test_a_locked_node_exports(self):
        self.haiti.sauti("lock")
        try:
            self.export(self.out, node=self.haiti)
        finally:
            self.haiti.unlock()
        self.read_back(self.out)

    def test_repeated(self):
        self.export(self.out)
        before = picture(self.out)
        for arguments in ([], ["--compare"]):
            logs = self.export(self.out, *arguments)
            self.assertEqual({log["files_written"] for log in logs.values()}, {0})
            self.assertEqual(picture(self.out), before)
        done = self.hq.sauti("log", "export", self.out)
        self.assertEqual(done.stdout.count("nothing new"), 3)

    def test_grown(self):
        """Full files stay as they are; what a fresh export writes is what has grown."""
        origin = self.haiti.own()["origin"]
        sizes = []
        for count in (1, 150, 300, 1):
            self.record(count)
            before = picture(self.out) if self.out.exists() else {}
            log = self.export(self.out)[origin]
            sizes.append(log["size"])
            self.read_back(self.out, [log["key"]])
            after = picture(self.out)
            full = {n for n in before if re.fullmatch(r".*/tile/(entries|\d)/\d{3}", n)}
            for name in full:
                self.assertEqual(after[name], before[name], name)
            again = picture(self.out)
            self.export(self.out)
            self.assertEqual(picture(self.out), again)
        self.assertGreater(sizes[-1], 512)
        fresh = self.root / "fresh"
        self.export(fresh)
        grown = contents(self.out)
        for name, data in contents(fresh).items():
            self.assertEqual(grown.pop(name), data, name)
        for name in grown:  # partial files of earlier checkpoints, under no full file
            self.assertRegex(name, r"\.p/\d+$")
            self.assertFalse((self.out / name.rsplit(".p/", 1)[0]).exists(), name)

    def test_while_it_grows(self):
        """An export takes a picture: what is recorded meanwhile is for the next one."""
        stop = threading.Event()

        def grow():
            while not stop.is_set():
                self.record(20, settle=False)
        thread = threading.Thread(target=grow)
        thread.start()
        try:
            sizes = []
            for _ in range(6):
                sizes.append({o: log["size"] for o, log in self.export(self.out, node=self.haiti).items()})
                self.read_back(self.out)
        finally:
            stop.set()
            thread.join()
        own = self.haiti.own()["origin"]
        self.assertGreater(sizes[-1][own], sizes[0][own])
        self.network.settle()

    def test_relative_directory(self):
        """DIR is where the command stands, not where the daemon does."""
        done = subprocess.run([BUILD / "sauti", "--dir", self.hq.dir, "log", "export", "here"],
                              cwd=self.root, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, OK, done.stderr)
        self.read_back(self.root / "here")

    # ---- what is refused ----

    def test_directories_that_are_none(self):
        foreign = self.root / "foreign"
        foreign.mkdir()
        (foreign / "thesis.odt").write_text("x")
        for path, code, says in [
                (foreign, FAILED, "holds no exports"),
                (foreign / "thesis.odt", FAILED, "is no directory"),
                (self.hq.dir, FAILED, "inside the node's own directory"),
                (self.hq.dir / "store" / "x", FAILED, "inside the node's own directory"),
                (self.root / "no" / "such", FAILED, "No such file or directory"),
                (Path("/proc/x"), FAILED, "/proc/x")]:
            self.export(path, code=code)
            self.assertIn(says, self.message)
            self.assertIn(str(path), self.message)
        self.assertEqual(contents(foreign), {"thesis.odt": b"x"})
        self.export(self.out, "test.example/none/1-0000000000000000", code=FAILED)
        self.assertIn("no log of the origin", self.message)
        self.assertFalse(self.out.exists())
        self.assertEqual(self.hq.sauti("log", "export", "", check=False).returncode, USAGE)
        self.assertEqual(self.hq.sauti("log", "export", check=False).returncode, USAGE)

    def test_read_only(self):
        """A medium that cannot be written."""
        self.out.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs", self.out],
                                 capture_output=True, check=False)
        if mounted.returncode != 0:
            self.skipTest("mounting a tmpfs needs root")
        try:
            self.export(self.out, code=REFUSED)
            self.assertIn("Read-only file system", self.message)
            self.assertIn(str(self.out), self.message)
        finally:
            subprocess.run(["umount", self.out], check=True)

    def test_full(self):
        """A medium that is too small: named; with room it goes on, and is whole."""
        self.record(200)
        self.out.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", self.out],
                                 capture_output=True, check=False)
        if mounted.returncode != 0:
            self.skipTest("mounting a tmpfs needs root")
        try:
            logs = self.export(self.out, code=FAILED)
            self.assertIn("No space left on device", self.message)
            self.assertIn("full", {log.get("error") for log in logs.values()})
            subprocess.run(["mount", "-o", "remount,size=8m", self.out], check=True)
            logs = self.export(self.out)
            self.read_back(self.out, [log["key"] for log in logs.values()])
        finally:
            subprocess.run(["umount", self.out], check=True)

    def test_never_back(self):
        """A destination that a node with more of the log has written: named, and left alone."""
        origin = self.haiti.own()["origin"]
        self.hq.stop()
        try:
            self.record(5, settle=False)
            ahead = self.export(self.out, origin, node=self.haiti)[origin]["size"]
            before = picture(self.out)
            self.haiti.stop()
            self.hq.start(unlock=False)
            logs = self.export(self.out, origin, code=INTEGRITY)
            self.assertEqual(logs[origin]["error"], "fork")
            self.assertIn(f"a checkpoint of {ahead} entries, this node one of {ahead - 5}", self.message)
            self.assertIn(str(self.out), self.message)
            self.assertIn("nothing was changed", self.message)
            self.assertEqual(picture(self.out), before)
        finally:
            self.network.stop()
            self.hq.start()
            self.haiti.start()
        self.network.settle()
        self.export(self.out, origin)  # it has caught up

    def test_checkpoint_that_nobody_signed(self):
        """Is not believed; the other logs are exported."""
        origin = self.haiti.own()["origin"]
        self.export(self.out, origin)
        path = self.out / origin / "checkpoint"
        lines = path.read_bytes().split(b"\n")
        lines[1] = b"999999"
        path.write_bytes(b"\n".join(lines))
        before = picture(self.out / origin)
        logs = self.export(self.out, code=INTEGRITY)
        self.assertEqual(logs[origin]["error"], "proof")
        self.assertIn("1 of 3 logs were not exported", self.message)
        self.assertTrue(all(log["ok"] for o, log in logs.items() if o != origin))
        self.assertEqual(picture(self.out / origin), before)

    # ---- one at a time, and interruptions ----

    def slow(self):
        """A large log, so that an export takes a while."""
        if self.haiti.own()["size"] < 30000:
            for _ in range(20):
                self.record(1500, settle=False)
            self.network.settle(120)

    def test_x_two_at_once(self):
        """One of them is told; the other is whole."""
        self.slow()
        codes, threads = [], []

        def run():
            done = self.hq.sauti("log", "export", self.out, check=False)
            codes.append((done.returncode, done.stderr))
        for _ in range(3):
            threads.append(threading.Thread(target=run))
            threads[-1].start()
        for thread in threads:
            thread.join()
        good = [code for code, _ in codes if code == OK]
        self.assertTrue(good, codes)
        for code, said in codes:
            self.assertTrue(code == OK or "another export is writing" in said, said)
        self.read_back(self.out)

    def test_x_progress(self):
        """On a terminal one sees how far it is."""
        self.slow()
        parent, child = pty.openpty()
        process = subprocess.Popen([BUILD / "sauti", "--dir", self.hq.dir, "log", "export", self.out],
                                   stdout=subprocess.DEVNULL, stderr=child)
        os.close(child)
        said = b""
        try:
            while True:
                data = os.read(parent, 4096)
                if not data:
                    break
                said += data
        except OSError:
            pass
        os.close(parent)
        self.assertEqual(process.wait(), OK)
        if said:  # a fast disk is done before the first word
            self.assertRegex(said, rb"\d+ of \d+ entries")

    def test_x_killed(self):
        """kill -9 of the node in the middle: what is there is whole, and the same command goes on."""
        self.slow()
        origin = self.haiti.own()["origin"]
        reference = self.root / "reference"
        for round_ in range(4):
            shutil.rmtree(self.out, ignore_errors=True)
            if round_ % 2:  # with an earlier export of the small logs, which must stay good
                self.export(self.out, *(o for o in self.hq.logs() if o != origin))
            process = subprocess.Popen([BUILD / "sauti", "--dir", self.hq.dir, "log", "export", self.out],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            tiles = self.out / origin / "tile" / "entries"
            wait_for("a part of it", lambda: process.poll() is not None or
                     (self.out / origin / ".new").exists() and (round_ < 2 or tiles.exists()))
            self.hq.kill()
            self.assertIn(process.wait(), (OK, UNREACHABLE))
            for path in tiles.rglob("*") if tiles.exists() else []:
                if path.is_file():
                    self.assertGreater(path.stat().st_size, 0, path)
            self.hq.start()
            self.network.settle()
            self.export(self.out)
            self.assertFalse((self.out / origin / ".new").exists())
            self.read_back(self.out)
            if not reference.exists():
                self.export(reference)
            self.assertEqual(contents(self.out / origin / "tile"), contents(reference / origin / "tile"))

    def test_x_stopped(self):
        """SIGTERM in the middle: the node stops at once, the client is told."""
        self.slow()
        process = subprocess.Popen([BUILD / "sauti", "--dir", self.hq.dir, "log", "export", self.out],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        wait_for("a part of it", lambda: process.poll() is not None or self.out.exists())
        self.assertEqual(self.hq.stop(), 0)
        process.communicate()
        self.assertIn(process.returncode, (OK, FAILED, UNREACHABLE))
        self.hq.start()
        self.network.settle()
        self.export(self.out)
        self.read_back(self.out)

    def test_x_client_goes_away(self):
        """The export is the node's work: it does not end with the client."""
        self.slow()
        origin = self.haiti.own()["origin"]
        process = subprocess.Popen([BUILD / "sauti", "--dir", self.hq.dir, "log", "export", self.out,
                                    origin], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for("its beginning", lambda: (self.out / origin).exists())
        process.kill()
        process.wait()
        wait_for("its end", lambda: (self.out / origin / "checkpoint").exists())
        wait_for("the lock", lambda: self.hq.sauti("log", "export", self.out, check=False).returncode == OK)
        self.read_back(self.out)


class Damage(unittest.TestCase):
    """An entry that has changed on the disk."""

    def test_damage(self):
        with tempfile.TemporaryDirectory(prefix="sauti-export-") as scratch:
            root = Path(scratch)
            network = Network(root / "net", BUILD, "test.example")
            hq = network.init()
            hq.start()
            out = root / "out"
            hq.sauti("log", "export", out)
            before = contents(out)
            network.join("name-of-a-node", "CAF")  # a new entry in the directory
            hq.stop()
            path = hq.dir / "store" / "data.mdb"
            data = path.read_bytes()
            self.assertIn(b"name-of-a-node", data)
            path.write_bytes(data.replace(b"name-of-a-node", b"name-of-a-nodE"))
            hq.start(unlock=False)
            try:
                done = hq.sauti("--json", "log", "export", out, check=False)
                self.assertEqual(done.returncode, INTEGRITY, done.stderr)
                logs = {d["origin"].split("/")[1]: d for d in json.loads(done.stdout)}
                self.assertEqual(logs["directory"]["error"], "corrupt")
                self.assertEqual(logs["directory"]["bad_index"], 3)
                self.assertIn("entry 3 does not match its leaf hash", logs["directory"]["message"])
                self.assertTrue(logs["hq"]["ok"])
                self.assertIn("ALARM", hq.log)
                self.assertEqual({n: d for n, d in contents(out).items() if "directory" in n},
                                 {n: d for n, d in before.items() if "directory" in n})
            finally:
                network.stop()


if __name__ == "__main__":
    BUILD = Path(sys.argv.pop(1)).resolve()
    try:
        unittest.main(verbosity=1)
    except Failed as e:
        sys.exit(str(e))
