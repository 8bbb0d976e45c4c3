#!/usr/bin/env python3
"""The seizure test: what somebody can read who has taken everything (tests/seizure/README.md).
test_seizure.py BUILD [unittest arguments]"""
import base64
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
from recovery import make_key, share_bytes  # noqa: E402

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
    """Haiti gives chad a case, keeps its keys in escrow, shows an entry to somebody, and erases the case.
    What is kept aside on the way is what would be left if one step of an erasure were left out: then, and
    only then, the erased case opens."""

    test_everything_with_a_passphrase_nothing_without = test_a_complaint_opens_for_who_got_it_alone = None

    def setUp(self):
        super().setUp()
        self.chad, self.kenya = (self.watched(self.net.join(name, country, config=QUICK))
                                 for name, country in (("chad", "TCD"), ("kenya", "KEN")))
        self.chad.start()
        self.kenya.start()
        self.net.settle()
        self.nodes = (self.hq, self.haiti, self.chad, self.kenya)
        self.aside = self.root / "aside"
        ref = f"{1:032x}"
        self.record(self.haiti, cases.opened(1, "ZZ-ONE"), cases.agreed(1, ref), cases.said(1, ref, SAID + " 1"),
                    cases.opened(2, "ZZ-TWO"), cases.said(2, f"{2:032x}", KEPT))
        self.haiti.sauti("case", "add", "ZZ-ONE", "--from", "-", stdin=cases.lines(
            {"type": "CONSENT_RECORDED", "purpose": "REFERRAL", "recipients": ["chad"],
             "groups": ["contact", "core"], "given_by": "VICTIM", "form": "WRITTEN",
             "valid_until": "2099-12-31"}))
        self.shares = [share_bytes(share) for share in make_key(self.haiti)[0]]
        self.haiti.confirm(self.chad)
        wait_for("a prekey of chad", lambda: self.haiti.json("node", "show", "chad")["prekey"])
        self.haiti.json("case", "share", "ZZ-ONE", "--to", "chad", "--purpose", "referral",
                        "--groups", "contact,core", "--history")
        wait_for("the case at chad", lambda: self.chad.json("case", "list"))
        self.record(self.haiti, cases.said(3, ref, SAID + " 2"))
        wait_for("the escrow to be safe", self.escrowed)
        self.haiti.sauti("bundle", "export", "--to", self.root / "net" / "stick")
        self.haiti.sauti("backup", self.root / "net" / "backup")
        self.haiti.sauti("case", "prove", "ZZ-ONE", "--event", self.first_said(), "--open", "--to", "victim",
                         "--purpose", "to keep", "--out", self.aside_file("proof"))

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

    def escrowed(self):
        status = self.haiti.json("recover", "status")
        return status["keys"] == status["safe"] > 0 and all(c["held"] == c["of"] for c in status["custodians"])

    def first_said(self):
        return next(e["event_id"] for e in self.haiti.json("case", "show", "ZZ-ONE")["events"]
                    if e.get("view", "").startswith(SAID))

    def aside_file(self, name):
        self.aside.mkdir(exist_ok=True)
        return self.aside / name

    def put_aside(self, name, node, *rooms):
        """These rooms of a node, as they are now."""
        node.stop()
        for room in rooms:
            shutil.copytree(node.dir / room, self.aside / name / room)
        node.start()
        return self.aside / name

    def revealed(self):
        """P, out of the proof."""
        for line in self.aside_file("proof").read_text(encoding="utf-8").splitlines():
            if line.startswith("extra "):
                return base64.b64decode(line[6:])[-32:]
        raise network.Failed("there is nothing in the proof")

    def erasure(self):
        return self.haiti.json("case", "erase", "--status")[-1]

    def later(self, days):
        for node in self.nodes:
            self.clock(node, days)
            node.sauti("lock")
            node.unlock()

    def held(self):
        return all(node.json("status")["prekey"]["held_by_peer"] for node in self.nodes)

    def erase(self):
        """Until it is complete; what is left over of each step is put aside. The nodes are stopped then."""
        left = {"here": self.put_aside("here", self.haiti, "keys", "keyring"),
                "at the other office": self.put_aside("holder", self.chad, "keys", "keyring"),
                "at a custodian": self.put_aside("custodian", self.kenya, "keys", "keyring")}
        self.haiti.json("case", "erase", "ZZ-ONE", "--reason", "objection", "--yes")
        wait_for("the receipts", lambda: self.erasure()["holders"] and all(
            h["receipt_at"] for h in self.erasure()["holders"]))
        left["of the other office's prekey"] = self.put_aside("prekey", self.chad, "keys")
        left["of a custodian's prekey"] = self.put_aside("custodian-prekey", self.kenya, "keys")
        for days in (1, 32, 64):
            wait_for("everybody's prekey to be held", self.held)
            self.later(days)
            if self.erasure()["state"] == "complete":
                break
        wait_for("it to be complete", lambda: self.erasure()["state"] == "complete")
        self.net.stop()
        return left

    def test_complete(self):
        everything = (self.root / "net", self.capture)
        self.assertEqual(self.texts(SAID, *everything, shares=self.shares), 2)
        left = self.erase()
        self.assertEqual(self.texts(SAID, *everything, shares=self.shares), 0)
        self.assertEqual(self.texts(KEPT, *everything, shares=self.shares), 1)
        for step, files in left.items():
            with self.subTest(f"all but what was to be destroyed {step}"):
                self.assertEqual(self.texts(SAID, *everything, files, shares=self.shares), 2)
        # What was shown to somebody opens for whoever has it, and nothing else does.
        self.assertEqual(self.texts(SAID, *everything, shares=self.shares, secrets=[self.revealed()]), 1)


if __name__ == "__main__":
    unittest.main()
