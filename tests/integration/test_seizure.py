#!/usr/bin/env python3
"""The seizure test: what somebody can read who has taken everything (tests/seizure/README.md).
test_seizure.py BUILD [unittest arguments]"""
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
for room in ("lib", "seizure"):
    sys.path.insert(0, str(HERE.parent / room))
import cases  # noqa: E402
import derive  # noqa: E402
import found  # noqa: E402
import network  # noqa: E402

BUILD = Path(sys.argv.pop(1) if len(sys.argv) > 1 else "build-dev").resolve()
QUICK = "\n[replication]\ndial_retry_min = 20ms\ndial_retry_max = 200ms\nhave_delay = 50ms\n"
SAID = "she said this in confidence, number"
HEARD = "what somebody complained of"
PASSPHRASES = (network.PASSPHRASE.encode(),)


def wait_for(what, condition):
    """As network.wait_for, for a machine that may be busy."""
    return network.wait_for(what, condition, 90)


class Seizure(unittest.TestCase):
    """Nodes of which all that goes through TLS is captured."""

    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="sauti-seizure-"))
        self.capture = self.root / "capture"
        self.capture.mkdir()
        self.net = network.Network(self.root / "net", BUILD)
        self.hq = self.watched(self.net.init())
        self.hq.configure(QUICK)
        self.hq.start()
        self.haiti = self.watched(self.net.join("haiti", "HTI", config=QUICK))
        self.haiti.start()

    def tearDown(self):
        self.net.stop()
        shutil.rmtree(self.root)

    def watched(self, node):
        node.env = {"LD_PRELOAD": str(BUILD / "tests" / "lib" / "capture.so"),
                    "CAPTURE_DIR": str(self.capture)}
        return node

    def record(self, node, *events):
        node.sauti("case", "import", "-", stdin=cases.lines(*events))

    def texts(self, text, *roots, passphrases=PASSPHRASES, **more):
        """How many of the parts that can be opened from these files have this text."""
        evidence = found.Evidence()
        evidence.add_tree(*roots)
        closure = derive.Closure(evidence, passphrases, **more).run()
        return sum(text.encode() in plain for plain in closure.opened.values())

    def test_everything_with_a_passphrase_nothing_without(self):
        """The program finds what there is: else that it finds nothing would mean nothing."""
        ref = f"{1:032x}"
        self.record(self.haiti, cases.opened(1, "ZZ-AAAA-1"), cases.agreed(2, ref),
                    *(cases.said(3 + i, ref, f"{SAID} {i}") for i in range(5)))
        self.net.settle()
        self.assertEqual(self.texts(SAID, self.root), 5)
        self.assertEqual(self.texts("", self.root, passphrases=()), 0)
        # Headquarters and every relay with it, and all that was ever sent: no key of a case.
        self.assertEqual(self.texts("", self.hq.dir, self.capture), 0)

    def test_a_complaint_opens_for_who_got_it_alone(self):
        self.haiti.sauti("case", "complain", "--about", "delay", "--on", "2026-03-04", "--note-from", "-",
                         stdin=HEARD + "\n")
        wait_for("it at headquarters", lambda: self.hq.json("case", "list"))
        self.net.settle()
        self.assertEqual(self.texts(HEARD, self.hq.dir), 1)
        self.assertEqual(self.texts(HEARD, self.haiti.dir, self.capture), 0)
        # Its complaint key opens what was captured, also without the keyring it went into.
        shutil.rmtree(self.hq.dir / "keyring")
        shutil.rmtree(self.hq.dir / "mail")
        self.assertEqual(self.texts(HEARD, self.hq.dir, self.capture), 1)


if __name__ == "__main__":
    unittest.main()
