#!/usr/bin/env python3
"""sautid --fsck on the directories of real nodes. test_fsck.py BUILD [unittest args]"""

import base64
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "tests" / "lib"))
from network import Network, wait_for  # noqa: E402

BUILD = Path()
OK, FAILED, USAGE, INTEGRITY, PERMISSION = 0, 1, 2, 4, 5
NOBODY = 65534
TIMING = "\n[replication]\nhave_delay = 100ms\ndial_retry_min = 200ms\ncosignature_delay = 200ms\n"


class Fsck(unittest.TestCase):
    """Headquarters and one office with some cases; each test damages a copy."""

    @classmethod
    def setUpClass(cls):
        cls.root = Path(tempfile.mkdtemp(prefix="sauti-test."))
        cls.network = Network(cls.root, BUILD, "test.example")
        try:
            cls.hq = cls.network.init()
            cls.hq.configure(TIMING)
            cls.hq.start()
            cls.caf = cls.network.join("caf", "CAF", config=TIMING)
            cls.caf.start()
            cls.record(40)
            cls.network.settle()
            cls.origin = cls.caf.own()["origin"]
            cls.network.stop()
            for node in (cls.hq, cls.caf):
                shutil.copytree(node.dir, cls.root / "whole" / node.name)
                shutil.copytree(cls.guard(node), cls.root / "whole" / cls.guard(node).name)
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def tearDownClass(cls):
        for node in cls.network.nodes.values():
            if node.process is not None:
                node.kill()
        shutil.rmtree(cls.root)

    def setUp(self):
        for node in (self.hq, self.caf):
            shutil.rmtree(node.dir)
            shutil.copytree(self.root / "whole" / node.name, node.dir)
            shutil.rmtree(self.guard(node))
            shutil.copytree(self.root / "whole" / self.guard(node).name, self.guard(node))
        self.addCleanup(self.network.stop)

    @classmethod
    def record(cls, events):
        code = cls.caf.json("case", "open")["code"]
        lines = '{"type":"CONTACT","channel":"PHONE","direction":"OUT","result":"REACHED"}\n'
        for _ in range(events):
            cls.caf.sauti("case", "add", code, "--from", "-", stdin=lines)

    @staticmethod
    def guard(node):
        return node.dir.with_name(node.dir.name + ".guard")

    def fsck(self, node, *args, program=None, **kwargs):
        return subprocess.run([program or BUILD / "sautid", "--fsck", *args, "--dir", node.dir],
                              capture_output=True, text=True, timeout=120, check=False, **kwargs)

    def says(self, node, status, *words, args=()):
        done = self.fsck(node, *args)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        for word in words:
            self.assertIn(word, done.stdout + done.stderr)
        return done

    def data(self, node):
        return node.dir / "store" / "data.mdb"

    def flip(self, node, needle, at):
        """Changes a bit `at` bytes behind each place where the bytes stand: pages are copied when
        they are written, and one of the copies is the living one."""
        image = bytearray(self.data(node).read_bytes())
        found = [m.start() for m in re.finditer(re.escape(needle), image)]
        self.assertTrue(found)
        for place in found:
            image[place + at] ^= 1
        self.data(node).write_bytes(image)

    def sealed(self, node):
        """The locator field of some sealed entry in the file."""
        return re.search(rb"\x1a\x10.{16}\x22\x20", self.data(node).read_bytes(), re.DOTALL).group(0)

    def leaf(self, index):
        """The hash of an entry of the office's log; its node must be running."""
        shown = self.caf.json("log", "show", self.origin, "--index", index)
        return base64.b64decode(shown["entry"]["leaf_hash"])

    # Whole.

    def test_whole(self):
        for node in (self.hq, self.caf):
            before = self.data(node).read_bytes()
            done = self.says(node, OK, f"ok   {self.origin}: ", "signed up to", "whole", "keyring")
            self.assertNotIn("BAD", done.stdout)
            self.says(node, OK, args=["--repair"])
            self.assertEqual(before, self.data(node).read_bytes())

    def test_called_wrongly(self):
        done = subprocess.run([BUILD / "sautid", "--repair", "--dir", self.hq.dir],
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, USAGE)
        self.assertIn("--repair goes with --fsck", done.stderr)

    def test_config(self):
        done = subprocess.run([BUILD / "sautid", "--fsck", "--config", self.hq.dir / "sauti.conf"],
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, OK, done.stderr)

    def test_live_node(self):
        self.hq.start(unlock=False)
        self.says(self.hq, FAILED, "another process is using it", "stop the node first")
        self.says(self.hq, FAILED, "another process is using it", args=["--repair"])

    # Entries and tiles.

    def test_entry_of_a_replica(self):
        """Named, marked, not given out; the node starts, serves the rest and goes on replicating,
        but says no more that it holds this log."""
        self.flip(self.hq, self.sealed(self.hq), 2)
        self.says(self.hq, INTEGRITY, f"BAD  {self.origin}: first bad index ", "does not match hash",
                  "1 damaged of", "--fsck --repair")
        done = self.says(self.hq, INTEGRITY, "1 marked to be fetched again", "start the node",
                         args=["--repair"])
        index = int(re.search(r"marked to be fetched again, from (\d+)", done.stdout).group(1))
        self.says(self.hq, INTEGRITY, "1 marked to be fetched again")
        self.hq.start()
        alarms = self.hq.json("status")["alarms"]
        self.assertIn("1 entries are damaged and to be fetched again", alarms[0])
        shown = self.hq.sauti("log", "show", self.origin, "--index", index, check=False)
        self.assertEqual(shown.returncode, INTEGRITY, shown.stderr)
        self.assertIn(f"entry {index} is damaged and marked to be fetched again", shown.stderr)
        self.hq.sauti("log", "show", self.origin, "--index", index + 1)
        verified = self.hq.sauti("log", "verify", check=False)
        self.assertEqual(verified.returncode, INTEGRITY)
        self.assertIn(f"entry {index} is damaged and marked", verified.stdout + verified.stderr)
        # It comes back from the first one that holds the log.
        self.caf.start()
        wait_for("the entry to be back", lambda: not self.hq.json("status")["alarms"])
        self.assertIn("every damaged entry is back", self.hq.log)
        self.assertEqual(self.hq.sauti("log", "verify").returncode, OK)
        self.record(3)
        self.network.settle()
        self.assertEqual(self.hq.stop(), 0)
        self.says(self.hq, OK, f"signed up to {self.caf.own()['size']}", "whole")

    def test_own_entries_come_back(self):
        """A node's own log as well, without a restart; what was damaged shows at the next unlock."""
        # Of those that headquarters holds; that somebody looked at cases is recorded here alone.
        found = re.findall(rb"\x1a\x10.{16}\x22\x20", self.data(self.caf).read_bytes(), re.DOTALL)
        self.caf.start()
        before = self.cases()
        self.caf.stop()
        for locator in sorted(set(found))[:3]:
            self.flip(self.caf, locator, 2)
        self.says(self.caf, INTEGRITY, "3 marked to be fetched again", args=["--repair"])
        self.caf.start()
        self.assertIn("3 entries are damaged", self.caf.json("status")["alarms"][0])
        self.hq.start()
        wait_for("the entries to be back", lambda: not self.caf.json("status")["alarms"])
        self.record(1)
        self.network.settle()
        self.assertEqual(self.caf.sauti("log", "verify").returncode, OK)
        self.caf.sauti("lock")
        self.caf.unlock()
        self.assertLessEqual(before, self.cases())
        self.caf.stop()
        self.says(self.caf, OK, "whole")

    def test_nobody_has_the_entry(self):
        """The logs go on; it stays marked, and the log is not cosigned."""
        locator = self.sealed(self.hq)
        for node in (self.hq, self.caf):
            self.flip(node, locator, 2)
            self.says(node, INTEGRITY, "1 marked to be fetched again", args=["--repair"])
            node.start()
        self.record(3)
        size = self.caf.own()["size"]
        wait_for("headquarters to hold the new entries",
                 lambda: self.hq.logs()[self.origin]["checkpoint_size"] == size)
        wait_for("headquarters to say why it does not cosign", lambda: "cannot cosign" in self.hq.log)
        self.assertTrue(all(h["size"] < size for h in self.caf.own()["held_by"]))
        for node in (self.hq, self.caf):
            self.assertIn("1 entries are damaged", node.json("status")["alarms"][0])
            self.assertEqual(node.stop(), 0)
            self.says(node, INTEGRITY, "1 marked to be fetched again")

    def cases(self):
        """What every case of the office shows."""
        return {event["event_id"] for case in self.caf.json("case", "list")
                for event in self.caf.json("case", "show", case["code"])["events"]}

    def test_tile(self):
        self.caf.start()
        leaf = self.leaf(5)
        self.caf.stop()
        self.flip(self.caf, leaf, 3)
        self.says(self.caf, INTEGRITY, f"BAD  {self.origin}: ", "entry 5 does not match hash 5 of tile 0/0")
        self.says(self.caf, OK, "now that it is repaired", args=["--repair"])
        self.says(self.caf, OK)
        self.caf.start()
        self.hq.start()
        self.record(1)
        self.network.settle()
        self.assertEqual(self.caf.sauti("log", "verify").returncode, OK)

    def test_repair_is_killed(self):
        """A repair that is cut off anywhere is begun again."""
        self.flip(self.hq, self.sealed(self.hq), 2)
        for i in range(6):
            child = subprocess.Popen([BUILD / "sautid", "--fsck", "--repair", "--dir", self.hq.dir],
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                child.wait(0.002 * 2 ** i)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        wait_for("the child to end too", lambda: self.fsck(self.hq).returncode != FAILED)
        self.says(self.hq, INTEGRITY, "1 marked to be fetched again", args=["--repair"])

    # The file.

    def broken(self, node, *words):
        """Neither fsck nor the node crash; both say what it is and what to do."""
        self.says(node, INTEGRITY, "BAD", "what to do", *words)
        done = subprocess.run([BUILD / "sautid", "--dir", node.dir], capture_output=True, text=True,
                              timeout=60, check=False)
        self.assertEqual(done.returncode, INTEGRITY, done.stderr)
        self.assertIn("what to do: run  sautid --fsck", done.stderr)

    def test_truncated(self):
        whole = self.data(self.hq).read_bytes()
        for size in (len(whole) // 2, 9000, 5000, 100):
            self.data(self.hq).write_bytes(whole[:size])
            self.broken(self.hq, "data.mdb is cut short")
            self.says(self.hq, INTEGRITY, args=["--repair"])

    def test_garbage(self):
        self.data(self.hq).write_bytes(os.urandom(64) * 1024)
        self.broken(self.hq, "not a file of LMDB, or both of its heads are damaged")
        self.says(self.hq, INTEGRITY, "has no head that can be read", "cannot be repaired",
                  args=["--repair"])

    def test_pages(self):
        """Each page that is in use, damaged in its structure: the check says so whatever LMDB does
        with it, the file is written anew, and the node goes on with it."""
        whole = self.data(self.hq).read_bytes()
        started = 0
        for flags in range(2 * 4096 + 10, len(whole), 4096):
            image = bytearray(whole)
            image[flags] ^= 0x08
            self.data(self.hq).write_bytes(image)
            done = self.fsck(self.hq)
            if done.returncode == OK:
                continue
            self.assertEqual(done.returncode, INTEGRITY, done.stdout + done.stderr)
            self.assertIn(f"page {flags // 4096} is damaged", done.stdout)
            self.assertIn("--fsck --repair", done.stderr)
            done = self.fsck(self.hq, "--repair")
            self.assertIn("is written anew", done.stdout)
            self.assertEqual((self.hq.dir / "store" / "data.mdb.damaged").read_bytes(), image)
            if done.returncode == OK and started < 2:
                started += 1
                self.hq.start()
                self.assertEqual(self.hq.sauti("log", "verify").returncode, OK)
                self.caf.start()
                self.record(1)
                self.network.settle()
                self.network.stop()
        self.assertEqual(started, 2)

    def test_missing(self):
        self.data(self.hq).unlink()
        self.says(self.hq, INTEGRITY, "data.mdb is missing or empty")
        self.assertFalse(self.data(self.hq).exists())
        shutil.rmtree(self.hq.dir / "store")
        self.says(self.hq, FAILED, "there is nothing at", "never started")

    def test_keyring(self):
        path = self.caf.dir / "keyring" / "data.mdb"
        image = bytearray(path.read_bytes())
        for flags in range(2 * 4096 + 10, len(image), 4096):
            image[flags] ^= 0xff
        path.write_bytes(image)
        self.says(self.caf, INTEGRITY, "whole", "is damaged", "--fsck --repair")

    @unittest.skipUnless(os.geteuid() == 0, "needs root, to become somebody else")
    def test_permissions(self):
        os.chmod(self.root, 0o755)
        program = shutil.copy(BUILD / "sautid", self.root)  # the build may be where nobody may look
        for path in [self.caf.dir, *self.caf.dir.rglob("*")]:
            os.chown(path, NOBODY, NOBODY)
        self.assertEqual(self.fsck(self.caf, program=program, user=NOBODY, group=NOBODY).returncode, OK)
        os.chmod(self.data(self.caf), 0)
        done = self.fsck(self.caf, program=program, user=NOBODY, group=NOBODY)
        self.assertEqual(done.returncode, PERMISSION, done.stderr)
        self.assertIn("Permission denied", done.stderr)
        os.chmod(self.data(self.caf), 0o600)
        os.chmod(self.caf.dir / "store", 0)
        done = self.fsck(self.caf, program=program, user=NOBODY, group=NOBODY)
        self.assertEqual(done.returncode, PERMISSION, done.stderr)

    def test_last_words(self):
        """A node that is stopped by a fault says what probably happened and what to run."""
        self.hq.start(unlock=False)
        self.hq.process.send_signal(signal.SIGBUS)
        self.assertEqual(self.hq.process.wait(120), INTEGRITY)
        self.hq.process = None
        self.assertIn("stopped by a page that the disk did not give", self.hq.log)
        self.assertIn(f"sautid --fsck --config '{self.hq.dir}/sauti.conf'", self.hq.log)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    BUILD = Path(sys.argv.pop(1)).resolve()
    unittest.main()
