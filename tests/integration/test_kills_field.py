#!/usr/bin/env python3
"""What an office in the field goes through, in short: 30 kills of catch-up, bundles and new epochs, of
the many that tests/campaign/kills-field makes; and a star of ten nodes. test_kills_field.py BUILD"""

import shutil
import sys
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "tests" / "lib"))
from kills_field import FieldKills  # noqa: E402
from network import Failed  # noqa: E402
from star import Star  # noqa: E402

BUILD = Path()


class Killed(unittest.TestCase):
    """One network for each test."""

    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="sauti-field."))
        self.kills = None

    def tearDown(self):
        if self.kills is not None:
            self.kills.close()
        shutil.rmtree(self.root)

    def test_killed(self):
        self.kills = FieldKills(self.root, BUILD, 1)
        self.kills.run(30)
        for what in ("catch-up", "import", "epoch"):
            self.assertGreater(self.kills.kills[what], 5)

    def test_a_loss_is_found(self):
        """The test can fail: an event that was never recorded counts as acknowledged."""
        self.kills = FieldKills(self.root, BUILD, 2)
        self.kills.acknowledged["ZZ-1-1"] |= {"01900000-ffff-7000-8000-000000000000"}
        with self.assertRaisesRegex(Failed, "20 are shown"):
            self.kills.run(0)


class Ten(unittest.TestCase):
    """Ten processes, each with 5,000 entries, that meet through one relay."""

    def test_star(self):
        root = Path(tempfile.mkdtemp(prefix="sauti-star."))
        self.addCleanup(shutil.rmtree, root)
        star = Star(root, BUILD)
        self.addCleanup(star.close)
        star.fill(5000)
        star.meet(5000, 200)
        for node in star.network.nodes.values():
            self.assertEqual(len(node.logs()), 11)
            self.assertTrue(all(log["ok"] for log in node.json("log", "verify")))
        self.assertLess(max(star.rss()), 64)


if __name__ == "__main__":
    BUILD = Path(sys.argv.pop(1)).resolve()
    unittest.main(verbosity=1)
