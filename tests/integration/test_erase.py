#!/usr/bin/env python3
"""Erasing on real nodes: what is gone stays gone, past kills, locks and old copies of keys.
test_erase.py BUILD [unittest arguments]"""
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))
import network  # noqa: E402

BUILD = Path(sys.argv.pop(1) if len(sys.argv) > 1 else "build-dev").resolve()


class Alone(unittest.TestCase):
    """One office."""

    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="sauti-erase-"))
        self.net = network.Network(self.root, BUILD)
        self.hq = self.net.init()
        self.hq.start()
        for code in ("ZZ-ONE", "ZZ-TWO"):
            self.hq.json("case", "open", "--code", code, "--office", "HTI")

    def tearDown(self):
        self.net.stop()
        shutil.rmtree(self.root)

    def erased(self, code):
        done = self.hq.sauti("case", "show", code, check=False)
        return done.returncode != 0 and "was erased on" in done.stderr

    def test_a_case_is_erased(self):
        answer = self.hq.json("case", "erase", "ZZ-ONE", "--reason", "objection", "--yes")
        self.assertEqual((answer["code"], answer["state"], answer["keys"]),
                         ("ZZ-ONE", "complete", 1))
        self.assertTrue(self.erased("ZZ-ONE"))
        self.assertFalse(self.erased("ZZ-TWO"))
        self.assertEqual([c["code"] for c in self.hq.json("case", "list")], ["ZZ-TWO"])
        self.assertIn("nothing", self.hq.sauti("case", "erase", "ZZ-TWO", "--status").stderr)
        # Killed, and started again: it is still gone, and the log verifies.
        self.hq.kill()
        self.hq.start()
        self.assertTrue(self.erased("ZZ-ONE"))
        self.hq.sauti("log", "verify")
        self.assertEqual(self.hq.json("case", "erase", "--status")["state"], "complete")

    def test_only_who_may_and_who_says_why(self):
        for args in (("case", "erase", "ZZ-ONE", "--yes"),
                     ("case", "erase", "ZZ-ONE", "--yes", "--reason", "because"),
                     ("case", "erase", "ZZ-ONE", "--reason", "objection"),
                     ("case", "erase", "ZZ-ONE", "--group", "core", "--yes", "--reason", "objection"),
                     ("case", "erase", "ZZ-NONE", "--yes", "--reason", "objection")):
            self.assertNotEqual(self.hq.sauti(*args, check=False).returncode, 0, args)
        self.assertFalse(self.erased("ZZ-ONE"))

    def test_old_keys_put_back(self):
        self.hq.json("case", "erase", "ZZ-TWO", "--reason", "objection", "--yes")
        self.hq.stop()
        for name in ("keys", "keyring"):
            shutil.copytree(self.hq.dir / name, self.root / f"old-{name}")
        self.hq.start()
        self.hq.json("case", "erase", "ZZ-ONE", "--reason", "objection", "--yes")
        self.hq.stop()
        for name in ("keys", "keyring"):
            shutil.rmtree(self.hq.dir / name)
            shutil.copytree(self.root / f"old-{name}", self.hq.dir / name)
        self.hq.start()
        shown = self.hq.sauti("case", "show", "ZZ-ONE", check=False)
        self.assertNotEqual(shown.returncode, 0, shown.stdout)


if __name__ == "__main__":
    unittest.main(argv=["test_erase.py", *sys.argv[1:]])
