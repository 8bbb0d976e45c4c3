#!/usr/bin/env python3
"""kill -9 under load: 30 of the many that tests/campaign/kills makes. test_kills.py BUILD"""

import shutil
import sys
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "tests" / "lib"))
from kills import Kills  # noqa: E402
from network import Failed  # noqa: E402

BUILD = Path()


class Killed(unittest.TestCase):
    """One network for each test."""

    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="sauti-kills."))
        self.kills = None

    def tearDown(self):
        if self.kills is not None:
            self.kills.close()
        shutil.rmtree(self.root)

    def test_killed_under_load(self):
        self.kills = Kills(self.root, BUILD, 1)
        self.kills.run(30)

    def test_a_loss_is_found(self):
        """The test can fail: an event that was never recorded counts as acknowledged."""
        self.kills = Kills(self.root, BUILD, 2)
        self.kills.loaders[0].acknowledged["ZZ-0-1"] = {"01900000-ffff-7000-8000-000000000000"}
        with self.assertRaisesRegex(Failed, "acknowledged (cases|events) that are not there"):
            self.kills.run(3)


if __name__ == "__main__":
    BUILD = Path(sys.argv.pop(1)).resolve()
    unittest.main(verbosity=1)
