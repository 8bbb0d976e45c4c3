#!/usr/bin/env python3
"""The power goes, at any moment. test_power.py BUILD [unittest args]

100 images of disks: of the store, writer and keyring under load, of their making, and of a real
sautid that imports. tests/campaign/power-loss makes as many as wanted. The last tests lie about the
disk, or acknowledge too early, and want it found.
"""

import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "tests" / "lib"))
import power  # noqa: E402

BUILD = Path()


class Power(unittest.TestCase):
    """Each test has a directory of its own."""

    def setUp(self):
        self.directory = Path(tempfile.mkdtemp(prefix="sauti-power."))

    def tearDown(self):
        shutil.rmtree(self.directory)

    def survives(self, run, seed, count, **how):
        failures = run.failures(seed, count, **how)
        for number, at, kind, wrong in failures[:1]:
            kept = Path(tempfile.mkdtemp(prefix="sauti-power-kept."))
            run.keep(kept, seed, count, number)
            self.fail(f"{len(failures)} of {count} images; number {number}, '{kind}' at record {at}: "
                      f"{wrong}\nreplay: tests/campaign/power-loss {BUILD} --replay {kept}")


class Images(Power):
    """What an honest disk may leave."""

    def test_while_it_is_made(self):
        """The first start: an environment that is half there must not be in the way for ever."""
        for seed in (2, 3):
            run = power.record_drive(BUILD, self.directory / str(seed), seed, 1)
            self.survives(run, seed, 10)

    def test_under_load(self):
        for seed in (4, 5):
            run = power.record_drive(BUILD, self.directory / str(seed), seed, 60)
            self.survives(run, seed, 25)

    def test_real_daemon(self):
        """Imports at a real sautid; every seventh image is started, unlocked and appended to."""
        run = power.record_node(BUILD, self.directory, 6, 25)

        def also(number, image, marks):
            return power.starts(BUILD, run, image, marks) if number % 7 == 3 else ""

        self.survives(run, 6, 30, also=also)


class Made(Power):
    """Once init or join has returned, the node is there, whatever was not flushed."""

    def wrong(self, name, fault=None):
        run = power.record_made(BUILD, self.directory, name, fault)
        images = power.end_images(run.records, run.roots, 7, 4, self.directory / "image")
        found = []
        for number, _, kind, marks in images:
            image = self.directory / "image"
            wrong = power.starts(BUILD, run, image, marks, name)
            if name == "hq" and not (image / "root-ca" / "root.key").is_file():
                wrong = "the root key is gone"
            if wrong:
                found.append(f"image {number}, '{kind}': {wrong}")
        return found

    def test_init(self):
        self.assertEqual(self.wrong("hq"), [])

    def test_join(self):
        self.assertEqual(self.wrong("caf"), [])

    def test_a_disk_that_lies_is_found(self):
        self.assertTrue(self.wrong("caf", "directory"))


class Planted(Power):
    """The tests above can fail."""

    def found(self, fault=None, args=()):
        run = power.record_drive(BUILD, self.directory, 8, 40, fault, args)
        return run.failures(8, 40, stop_at_first=True)

    def test_flush_does_nothing(self):
        self.assertTrue(self.found("flush"))

    def test_flush_of_directories_does_nothing(self):
        self.assertTrue(self.found("directory"))

    def test_flush_of_one_file_does_nothing(self):
        """Keys are durable and the entries sealed with them are not: acknowledged, and gone."""
        self.assertTrue(self.found("flush:/store/data.mdb"))

    def test_flush_of_the_guard_does_nothing(self):
        self.assertTrue(self.found("flush:node.guard"))

    def test_store_is_behind_its_guard(self):
        """As if the guard were written before the commit."""
        run = power.record_drive(BUILD, self.directory, 8, 40, "synchronous:/store/")
        self.assertTrue(any("behind" in failure[3] for failure in run.failures(8, 100)))

    def test_synchronous_writes_are_not(self):
        self.assertTrue(self.found("synchronous"))

    def test_acknowledged_before_the_commit(self):
        self.assertTrue(self.found(args=("--ack-early",)))

    def test_real_daemon_on_a_disk_that_lies(self):
        run = power.record_node(BUILD, self.directory, 9, 6, "flush")
        self.assertTrue(run.failures(9, 20, stop_at_first=True))

    def test_replay_of_a_kept_image(self):
        run = power.record_drive(BUILD, self.directory / "run", 8, 40, "flush")
        number = run.failures(8, 40, stop_at_first=True)[0][0]
        run.keep(self.directory / "kept", 8, 40, number)
        done = subprocess.run([SOURCE / "tests" / "campaign" / "power-loss", BUILD, "--replay",
                               self.directory / "kept"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(f"image {number}", done.stdout)


if __name__ == "__main__":
    BUILD = Path(sys.argv.pop(1)).resolve()
    unittest.main(verbosity=1)
