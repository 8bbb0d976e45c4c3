#!/usr/bin/env python3
"""Real nodes on bad disks: each trouble has a name, loses nothing, and passes when its cause does.
test_conditions.py BUILD [unittest args]"""

import errno
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "tests" / "lib"))
import cases  # noqa: E402
from faults import Disk, Faults  # noqa: E402
from network import Failed, Network, wait_for  # noqa: E402

BUILD = Path()
OK, FAILED, USAGE, UNREACHABLE, INTEGRITY, REFUSED = range(6)
FAST = "\n[replication]\nhave_delay = 100ms\ndial_retry_min = 200ms\n"


class Case(unittest.TestCase):
    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="sauti-test."))
        self.network = Network(self.root, BUILD, "test.example")
        self.acknowledged, self.disks, self.number = {}, [], 0
        self.addCleanup(self.clean)

    def clean(self):
        for node in self.network.nodes.values():
            if node.process is not None:
                node.kill()
        for disk in self.disks:
            disk.unmount()
        shutil.rmtree(self.root)

    def disk(self, name, kind="tmpfs", size="8m"):
        missing = Disk.missing(kind)
        if missing:
            self.skipTest(missing)
        self.disks.append(Disk(self.root / name, kind, size))
        return self.disks[-1]

    def hq(self, config=""):
        hq = self.network.init()
        hq.configure(FAST + config)
        return hq

    # Recording, and what must be there ever after.

    def record(self, node, count=1, text="filler"):
        """Opens cases; what was acknowledged is remembered. The last command that ran."""
        lines = []
        for _ in range(count):
            self.number += 1
            code = f"ZZ-T-{self.number}"
            lines += [cases.opened(self.number, code, office="XXA"),
                      cases.said(self.number, f"{self.number:032x}", f"{text} {os.urandom(300).hex()}",
                                 office="XXA")]
        done = node.sauti("--json", "case", "import", "-", stdin=cases.lines(*lines), check=False)
        if done.returncode == OK:
            held = self.acknowledged.setdefault(node.name, set())
            held.update(f"ZZ-T-{n}" for n in range(self.number - count + 1, self.number + 1))
        return done

    def all_there(self, node):
        """Nothing acknowledged is lost, and all of it verifies."""
        codes = {case["code"] for case in node.json("case", "list")}
        self.assertLessEqual(self.acknowledged.get(node.name, set()), codes)
        self.assertTrue(all(result["ok"] for result in node.json("log", "verify")))

    def until_refused(self, node):
        """Records until nothing goes any more: LMDB still has pages of its own to write over."""
        refused = 0
        while refused < 5:
            refused = 0 if self.record(node).returncode == OK else refused + 1

    # What the node says.

    def refused(self, node, code, *words):
        done = self.record(node)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertIn("nothing was recorded", done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertEqual(done.stdout, "")

    def condition(self, node):
        return node.json("status")["store"]["condition"]

    def named(self, node, condition, *words):
        """status says what it is, since when and what to do; the log has said it once."""
        wait_for(f"'{condition}' in the status of {node.name}", lambda: self.condition(node) == condition, 60)
        store = node.json("status")["store"]
        self.assertLess(abs(store["since"] - time.time()), 120)
        self.assertTrue(store["message"] and store["todo"])
        text = node.sauti("status").stdout
        self.assertIn("ALARM: " + store["message"], text)
        self.assertIn(store["todo"], text)
        self.assertIn(f"{condition} since 20", text)
        for word in words:
            self.assertIn(word, text)
        said = node.log.count("ALARM: " + store["message"])  # not once for each try
        self.assertTrue(1 <= said <= 3, node.log)

    def over(self, node, seconds=60):
        """Nobody writes: the node finds out by itself."""
        try:
            wait_for(f"{node.name} to be well again", lambda: self.condition(node) == "ok", seconds)
        except Failed as e:
            raise Failed(f"{e}: {node.json('status')['store']}; {node.log}") from None
        status = node.json("status")
        self.assertEqual(status["alarms"], [])
        self.assertEqual(status["store"], {"condition": "ok", "since": None, "message": None, "todo": None})
        self.assertIn("info: over: ", node.log)
        self.assertNotIn("ALARM", node.sauti("status").stdout)

    def ends(self, node, code, *words, program=None, user=None):
        """The daemon does not start: one line that says why, the right exit code."""
        done = subprocess.run([program or BUILD / "sautid", "--dir", node.dir], capture_output=True,
                              text=True, timeout=120, check=False, env={**os.environ, **node.env},
                              user=user, cwd="/")
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)


class Full(Case):
    """A disk of eight mebibytes."""

    def test_replicas_then_all(self):
        """Replicas stop at the reserve, own work at the end of the disk; both go on without a restart."""
        hq = self.hq()
        hq.start()
        disk = self.disk("caf", size="8m")
        caf = self.network.join("caf", "CAF", config=FAST + "\n[store]\nreserve = 2MiB\n")
        caf.start()
        self.assertEqual(self.record(caf, 3).returncode, OK)
        self.network.settle()

        for _ in range(40):
            if self.condition(caf) == "replicas_paused":
                break
            self.assertEqual(self.record(hq, 300).returncode, OK)
        self.named(caf, "replicas_paused", "replicas paused: disk nearly full", "make room on the disk")
        for _ in range(10):
            self.assertEqual(self.record(caf, 3).returncode, OK)
        self.assertEqual(self.condition(caf), "replicas_paused")
        own = caf.own()
        wait_for("headquarters to hold what caf records",
                 lambda: hq.logs()[own["origin"]]["checkpoint_size"] == own["size"])

        disk.fill()
        self.until_refused(caf)
        self.refused(caf, FAILED, "the disk is full", "make room on the disk")
        self.named(caf, "disk_full", "the disk is full", "make room on the disk")
        self.refused(caf, FAILED, "the disk is full")
        self.all_there(caf)
        self.assertTrue(caf.own()["size"] >= own["size"])

        disk.release()
        wait_for("room for own work", lambda: self.condition(caf) == "replicas_paused", 60)
        self.assertEqual(self.record(caf).returncode, OK)
        disk.resize("64m")
        self.over(caf)
        self.network.settle()
        self.all_there(caf)
        self.assertEqual(caf.stop(), 0)
        caf.start()
        self.all_there(caf)

    def test_start_on_a_full_disk(self):
        disk = self.disk("hq", size="16m")
        hq = self.hq()
        hq.start()
        self.assertEqual(self.record(hq, 3).returncode, OK)
        self.assertEqual(hq.stop(), 0)
        disk.fill()
        hq.start()
        self.all_there(hq)
        self.until_refused(hq)
        self.refused(hq, FAILED, "the disk is full")
        hq.kill()
        hq.start()
        self.all_there(hq)
        disk.release()
        wait_for("room", lambda: self.record(hq).returncode == OK, 60)
        self.all_there(hq)

    def test_ext4(self):
        """The same on a real file system, whose blocks are given late."""
        disk = self.disk("hq", kind="ext4", size="16m")
        hq = self.hq("\n[store]\nreserve = 0MiB\n")
        hq.start()
        self.assertEqual(self.record(hq, 3).returncode, OK)
        disk.fill()
        self.until_refused(hq)
        self.refused(hq, FAILED, "the disk is full")
        self.named(hq, "disk_full")
        self.all_there(hq)
        hq.kill()
        hq.start()
        self.all_there(hq)
        self.refused(hq, FAILED, "the disk is full")
        disk.release()
        wait_for("room", lambda: self.record(hq).returncode == OK, 60)
        self.over(hq)
        self.all_there(hq)


class Map(Case):
    def test_full_map(self):
        hq = self.hq("\n[store]\nmap_size = 1MiB\nreserve = 0MiB\n")
        hq.start()
        while self.record(hq, 20).returncode == OK:
            pass
        self.until_refused(hq)
        self.refused(hq, FAILED, "its largest size", "raise [store] map_size")
        self.named(hq, "map_full", "the map of 1048576 bytes is full", "raise [store] map_size")
        self.all_there(hq)
        self.assertEqual(hq.stop(), 0)
        config = hq.dir / "sauti.conf"
        config.write_text(config.read_text().replace("map_size = 1MiB", "map_size = 64MiB"))
        hq.start()
        self.assertEqual(self.condition(hq), "ok")
        self.all_there(hq)
        self.assertEqual(self.record(hq, 20).returncode, OK)
        self.all_there(hq)


class Failing(Case):
    """The disk takes nothing for a while: by calls that fail."""

    def setUp(self):
        super().setUp()
        self.node = self.hq()
        self.faults = Faults(self.root / "faults", BUILD)
        self.node.env = self.faults.env
        self.node.start()
        self.assertEqual(self.record(self.node, 3).returncode, OK)

    def passes(self, kind, error, code, condition, *words):
        node = self.node
        self.faults.arm(kind, node.dir, error)
        self.refused(node, code, *words)
        self.named(node, condition, *words)
        self.refused(node, code, *words)
        self.all_there(node)
        self.faults.disarm()
        self.over(node)
        self.assertEqual(self.record(node).returncode, OK)
        self.all_there(node)
        self.assertEqual(node.stop(), 0)
        node.start()
        self.all_there(node)

    def test_io_error(self):
        self.passes("write", errno.EIO, FAILED, "io_error", "the disk reports errors", "check the disk")

    def test_read_only(self):
        self.passes("write", errno.EROFS, REFUSED, "read_only", "the file system is read-only")

    def test_permissions(self):
        self.passes("write", errno.EPERM, REFUSED, "denied", "may not write its own files")

    def test_store_alone(self):
        """The keyring's disk is well: the store says what is the matter."""
        node = self.node
        self.faults.arm("write", node.dir / "store", errno.EIO)
        self.refused(node, FAILED, "the disk reports errors", "check the disk")
        self.named(node, "io_error")
        self.faults.disarm()
        self.over(node)
        self.all_there(node)

    def test_log_not_opened(self):
        """The first entry of all meets the trouble: the next unlock opens the log."""
        self.node.kill()
        shutil.rmtree(self.node.dir)
        shutil.rmtree(f"{self.node.dir}.guard", ignore_errors=True)
        shutil.rmtree(self.root / "root-ca")
        self.acknowledged = {}
        node = self.hq()
        node.env = self.faults.env
        node.start(unlock=False)
        unlock = ("unlock", "--passphrase-file", self.network.passphrase)
        self.faults.arm("write", node.dir / "store", errno.EIO)
        done = node.sauti(*unlock, check=False)
        self.assertEqual(done.returncode, FAILED)
        self.assertIn("the node's log could not be opened: the disk reports errors", done.stderr)
        self.refused(node, FAILED)
        self.faults.disarm()
        self.over(node)
        node.sauti(*unlock)
        node.sauti(*unlock)
        wait_for("its opening and its prekey", lambda: node.own()["size"] == 2)
        self.assertEqual(self.record(node).returncode, OK)
        self.all_there(node)

    def test_head_not_written(self):
        """The one trouble that a restart alone ends, and it says so."""
        node = self.node
        self.faults.arm("sync", node.dir / "store", errno.EIO, k=2, forever=False)
        done = self.record(node)
        self.faults.disarm()
        self.assertEqual(done.returncode, FAILED)
        self.assertIn("whether it was recorded is not known before a restart", done.stderr)
        self.assertIn("restart sautid", done.stderr)
        self.named(node, "restart_needed", "restart sautid")
        self.assertEqual(self.record(node).returncode, FAILED)
        self.assertEqual(node.stop(), 0)
        node.start()
        self.assertEqual(self.condition(node), "ok")
        self.all_there(node)
        self.assertEqual(self.record(node).returncode, OK)
        self.all_there(node)

    def test_sync(self):
        """What cannot be synced is not recorded; LMDB goes on."""
        node = self.node
        self.faults.arm("sync", node.dir / "store", errno.EIO)
        self.refused(node, FAILED, "the disk reports errors")
        self.named(node, "io_error")
        self.faults.disarm()
        self.over(node)
        self.all_there(node)


class ReadOnly(Case):
    def test_after_a_disk_error(self):
        """What Linux does with an ext4 that found an error: read-only in the middle of everything."""
        disk = self.disk("hq", kind="ext4", size="32m")
        hq = self.hq()
        hq.start()
        self.assertEqual(self.record(hq, 3).returncode, OK)
        os.sync()
        try:
            disk.break_read_only()
        except OSError as e:
            self.skipTest(f"the kernel lets nobody trigger an error of ext4: {e}")
        self.refused(hq, REFUSED, "the file system is read-only")
        self.named(hq, "read_only", "the file system is read-only", "check the file system")
        for _ in range(3):
            self.all_there(hq)
        self.assertEqual(hq.stop(), 0)
        self.ends(hq, REFUSED, str(hq.dir / "store"), "Read-only file system")
        disk.unmount()
        subprocess.run(["/sbin/e2fsck", "-fy", disk.image], capture_output=True, check=False)
        disk.mount()
        hq.start()
        self.all_there(hq)
        self.assertEqual(self.record(hq).returncode, OK)

    def test_immutable(self):
        """Lost permissions on an open file, as chattr makes them: they come back, it goes on."""
        self.disk("hq", kind="ext4", size="32m")
        hq = self.hq("\n[store]\nreserve = 0MiB\n")
        hq.start()
        self.assertEqual(self.record(hq, 3).returncode, OK)
        data = hq.dir / "store" / "data.mdb"
        subprocess.run(["chattr", "+i", data], check=True)
        try:
            if self.record(hq).returncode == OK:
                self.skipTest("this kernel writes to an open file that was made immutable")
            self.refused(hq, REFUSED, "may not write its own files")
            self.named(hq, "denied", "owner, permissions")
            self.all_there(hq)
        finally:
            subprocess.run(["chattr", "-i", data], check=True)
        self.over(hq)
        self.assertEqual(self.record(hq).returncode, OK)
        self.all_there(hq)


class Starting(Case):
    def test_two_daemons(self):
        hq = self.hq()
        hq.start()
        self.ends(hq, FAILED, str(hq.dir / "store"), "another process is using it",
                  f"pid {hq.process.pid}", "stop one of them")
        self.assertEqual(self.record(hq).returncode, OK)  # the first one is not disturbed
        self.all_there(hq)
        hq.kill()
        hq.start()
        self.all_there(hq)

    def test_newer_version(self):
        hq = self.hq()
        hq.start()
        self.assertEqual(self.record(hq).returncode, OK)
        self.assertEqual(hq.stop(), 0)
        for name in ("store", "keyring"):
            path = hq.dir / name
            tool = BUILD / "tests" / "faults" / "store_format"
            before = subprocess.run([tool, path, "99"], check=True, capture_output=True, text=True).stdout.strip()
            if name == "store":
                self.ends(hq, FAILED, str(path), "newer", "99")
            else:
                hq.start(unlock=False)
                done = hq.sauti("unlock", "--passphrase-file", self.network.passphrase, check=False)
                self.assertEqual(done.returncode, FAILED)
                for word in (str(path), "newer", "99"):
                    self.assertIn(word, done.stderr)
                self.assertEqual(hq.stop(), 0)
            subprocess.run([tool, path, before], check=True, capture_output=True)
        hq.start()
        self.all_there(hq)

    def test_lost_permissions(self):
        """As the user that runs it, without rights on its own directory."""
        hq = self.hq()
        hq.start()
        self.assertEqual(self.record(hq).returncode, OK)
        self.assertEqual(hq.stop(), 0)
        user = None
        program = shutil.copy(BUILD / "sautid", self.root)
        if os.geteuid() == 0:  # root may do everything: somebody else must own it
            user = 65534
            for path in (self.root, *self.root.rglob("*")):
                os.chown(path, user, user, follow_symlinks=False)
        for path, mode in ((hq.dir / "store", 0o000), (hq.dir / "store" / "data.mdb", 0o400),
                           (hq.dir / "keys" / "boot", 0o000), (hq.dir / "run", 0o500)):
            before = path.stat().st_mode & 0o7777
            path.chmod(mode)
            try:
                self.ends(hq, REFUSED, str(path.parent if path.name == "data.mdb" else path),
                          "ermission", program=program, user=user)
            finally:
                path.chmod(before)
        for path in (self.root, *self.root.rglob("*")):
            os.chown(path, os.geteuid(), os.getegid(), follow_symlinks=False)
        hq.start()
        self.all_there(hq)


if __name__ == "__main__":
    BUILD = Path(sys.argv.pop(1)).resolve()
    try:
        unittest.main(verbosity=1)
    except Failed as e:
        sys.exit(str(e))
