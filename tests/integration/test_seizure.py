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
KEPT = "what nobody wants to be forgotten"
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



class Erased(Seizure):
    """Haiti gives chad a case, and erases it. `snapshots` are what would be left if one of the steps of
    an erasure were left out: then, and only then, the erased case opens."""

    def setUp(self):
        super().setUp()
        self.chad = self.watched(self.net.join("chad", "TCD", config=QUICK))
        self.chad.start()
        self.net.settle()
        self.nodes = (self.hq, self.haiti, self.chad)
        ref = f"{1:032x}"
        self.record(self.haiti, cases.opened(1, "ZZ-ONE"), cases.agreed(1, ref), cases.said(1, ref, SAID + " 1"),
                    cases.opened(2, "ZZ-TWO"), cases.said(2, f"{2:032x}", KEPT))
        self.haiti.sauti("case", "add", "ZZ-ONE", "--from", "-", stdin=cases.lines(
            {"type": "CONSENT_RECORDED", "purpose": "REFERRAL", "recipients": ["chad"],
             "groups": ["contact", "core"], "given_by": "VICTIM", "form": "WRITTEN",
             "valid_until": "2099-12-31"}))
        if hasattr(self.haiti, "confirm"):
            self.haiti.confirm(self.chad)
        self.haiti.json("case", "share", "ZZ-ONE", "--to", "chad", "--purpose", "referral",
                        "--groups", "contact,core", "--history")
        wait_for("the case at chad", lambda: self.chad.json("case", "list"))
        self.record(self.haiti, cases.said(3, ref, SAID + " 2"))
        self.snapshots = self.root / "snapshots"

    def watched(self, node):
        super().watched(node)
        node.env["LD_PRELOAD"] += " " + str(BUILD / "tests" / "lib" / "clock.so")
        self.clock(node, 0)
        return node

    def clock(self, node, days):
        path = self.root / f"{node.name}.clock"
        path.with_suffix(".new").write_text(f"{days * 86400}\n", encoding="ascii")
        path.with_suffix(".new").rename(path)
        node.env["CLOCK_AHEAD_FILE"] = str(path)

    def snapshot(self, name, node, *rooms):
        """These rooms of a stopped node, aside."""
        for room in rooms:
            shutil.copytree(node.dir / room, self.snapshots / name / room)
        return self.snapshots / name

    def erasure(self):
        done = self.haiti.json("case", "erase", "--status")
        return (done if isinstance(done, list) else [done])[-1]

    def later(self, days):
        for node in self.nodes:
            self.clock(node, days)
            node.sauti("lock")
            node.unlock()

    def erase(self):
        """Until it is complete. The nodes are stopped afterwards."""
        self.before = [self.kept_before(node) for node in (self.haiti, self.chad)]
        self.haiti.json("case", "erase", "ZZ-ONE", "--reason", "objection", "--yes")
        wait_for("the receipt", lambda: self.erasure()["holders"][0]["receipt_at"])
        self.chad.stop()
        self.prekeys = self.snapshot("prekeys", self.chad, "keys")
        self.chad.start()
        for days in (1, 32):
            wait_for("all to have everything", lambda: self.settled())
            self.later(days)
        wait_for("it to be complete", lambda: self.erasure()["state"] == "complete")
        self.net.stop()

    def settled(self):
        return all(n.json("status")["prekey"]["held_by_peer"] for n in (self.haiti, self.chad))

    def kept_before(self, node):
        node.stop()
        kept = self.snapshot(f"{node.name}-before", node, "keys", "keyring")
        node.start()
        return kept

    def test_complete(self):
        self.assertEqual(self.texts(SAID, self.root), 2)
        self.erase()
        at_haiti, at_chad = self.before
        everything = (self.root / "net", self.capture)
        self.assertEqual(self.texts(SAID, *everything), 0)
        self.assertEqual(self.texts(KEPT, *everything), 1)
        # Had it not been destroyed here; not at the other office; had the prekey stayed.
        for left_out, what in (("here", at_haiti), ("at the holder", at_chad), ("of the prekey", self.prekeys)):
            with self.subTest(left_out):
                self.assertEqual(self.texts(SAID, *everything, what), 2)


if __name__ == "__main__":
    unittest.main()
