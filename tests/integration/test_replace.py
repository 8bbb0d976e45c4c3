#!/usr/bin/env python3
"""Real nodes: keys are confirmed by their words, rotated, and a machine is replaced by another.
test_replace.py BUILD [unittest args]"""

import json
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "tests" / "lib"))
from cases import agreed, opened, said  # noqa: E402
from cases import lines as case_lines  # noqa: E402
from network import Network, Node, wait_for  # noqa: E402

BUILD = Path()
FAST = "\n[replication]\nhave_delay = 100ms\ndial_retry_min = 200ms\ndial_retry_max = 1s\n"


def connected(node, peer):
    """Does node have a session with peer?"""
    return any(p["name"] == peer and p["connected"] for p in node.json("status")["peers"])


def lines(count, start=0):
    """Events of new cases, for case import."""
    for i in range(start, start + count):
        yield json.dumps({"type": "CASE_OPENED", "event_id": f"01900000-0000-7000-8000-{i:012x}",
                          "case_ref": f"{i:032x}", "case_code": f"ZZ-R-{i}", "occurred_on": "2026-01-01",
                          "precision": "D"})


class Case(unittest.TestCase):
    """Headquarters and offices; every test has a network of its own."""

    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="sauti-test."))
        self.network = Network(self.root, BUILD, "test.example")
        self.hq = self.network.init()
        self.hq.configure(FAST)
        self.hq.start()
        self.extra = []

    def tearDown(self):
        for node in [*self.network.nodes.values(), *self.extra]:
            if node.process is not None:
                node.kill()
        shutil.rmtree(self.root)

    def office(self, name, country, *peers):
        """Joined and started; it dials headquarters, and these."""
        config = FAST + "".join(f"\n[peer {p.name}]\naddress = 127.0.0.1:{p.port}\n" for p in peers)
        node = self.network.join(name, country, config=config)
        node.start()
        wait_for(f"{name} to publish its first prekey", lambda: node.own()["size"] >= 2)
        return node

    def record(self, node, count, start):
        """So many new cases; the size of the node's log then."""
        node.sauti("--json", "case", "import", "-", stdin="\n".join(lines(count, start)) + "\n")
        return node.own()["size"]

    def holds(self, node, origin, size):
        """Waits until node has a checkpoint of that size."""
        wait_for(f"{node.name} to hold {size} of {origin}",
                 lambda: node.logs().get(origin, {"checkpoint_size": 0})["checkpoint_size"] == size)


class Confirm(Case):
    """sauti node confirm"""

    def test_words(self):
        """What another node's officers read from their own screen is what is compared here."""
        hti = self.office("hti", "HTI")
        words = hti.json("status")["words"]
        self.assertEqual(len(words.split()), 8)
        self.assertIn(words, hti.sauti("status").stdout)
        self.assertEqual(self.hq.json("node", "show", "hti")["words"], words)
        self.assertEqual(self.hq.json("node", "show", "hti")["confirmed"], {"key": False})
        self.assertNotEqual(words, self.hq.json("status")["words"])
        hti.json("lock")
        self.assertEqual(hti.json("status")["words"], words)
        self.assertIsNone(hti.json("node", "show", "hq")["confirmed"])
        hti.unlock()
        # As they are typed: capitals, beginnings, lines.
        typed = "\n".join(w[:4].upper() for w in words.split())
        done = self.hq.sauti("node", "confirm", "hti", "--words", stdin=typed)
        self.assertIn("the key of 'hti' is confirmed, by hq", done.stdout)
        shown = self.hq.json("node", "show", "hti")["confirmed"]
        self.assertTrue(shown["key"])
        self.assertEqual(shown["by"], "hq")
        self.assertIn("officer 'hq' confirmed the key of 'hti'", self.hq.log)
        # It is in the keyring: after a restart too, and for nobody else.
        self.hq.stop()
        self.hq.start()
        self.assertEqual(self.hq.json("node", "show", "hti")["confirmed"], shown)
        self.assertEqual(hti.json("node", "show", "hq")["confirmed"], {"key": False})
        hti.confirm(self.hq)
        self.assertTrue(hti.json("node", "show", "hq")["confirmed"]["key"])

    def test_refusals(self):
        """Other words, no words, nobody; and who may."""
        hti = self.office("hti", "HTI")
        words = hti.json("status")["words"].split()
        own = self.hq.json("status")["words"]
        other = " ".join([*words[:7], "zoo" if words[7] != "zoo" else "able"])
        for name, typed, status, text in (
                ("hti", own, 1, "Nothing was confirmed"),
                ("hti", other, 1, "give that node nothing"),
                ("hti", " ".join(words[:7]), 1, "7 words, there must be 8"),
                ("hti", " ".join([*words, "able"]), 1, "more words than the 8"),
                ("hti", " ".join(["ablle", *words[1:]]), 1, "word 1, 'ablle'"),
                ("hti", "", 1, "0 words"),
                ("hti", "able " * 500, 1, "more than eight"),
                ("peru", " ".join(words), 1, "no node"),
                ("hq", own, 1, "this node itself")):
            with self.subTest((name, typed[:60])):
                done = self.hq.sauti("node", "confirm", name, "--words", stdin=typed, check=False)
                self.assertEqual(done.returncode, status, done.stderr)
                self.assertIn(text, done.stderr)
        done = self.hq.sauti("node", "confirm", "hti", stdin=" ".join(words), check=False)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(self.hq.json("node", "show", "hti")["confirmed"], {"key": False})
        self.hq.json("lock")
        done = self.hq.sauti("node", "confirm", "hti", "--words", stdin=" ".join(words), check=False)
        self.assertEqual(done.returncode, 5, done.stderr)


class Replace(Case):
    """sauti node invite NAME --replace, and join on another machine"""

    def setUp(self):
        super().setUp()
        self.hti = self.office("hti", "HTI")
        self.caf = self.office("caf", "CAF", self.hti)
        wait_for("caf to have a session with hti", lambda: connected(self.caf, "hti"))
        self.size = self.record(self.hti, 5, 0)
        self.origin = self.hti.own()["origin"]
        self.network.settle()

    def replaced(self, reason="burnt"):
        """A new machine, started and unlocked; the former one is beside the network."""
        self.extra.append(self.hti)
        new = self.network.replace(
            "hti", FAST + f"\n[peer caf]\naddress = 127.0.0.1:{self.caf.port}\n", reason)
        new.start()
        wait_for("hti to publish its first prekey", lambda: new.own()["size"] >= 2)
        return new

    def test_a_burnt_machine(self):
        """Another machine has the name, and the former one's entries; it writes a log of its own."""
        self.caf.confirm(self.hti)
        self.assertTrue(self.caf.json("node", "show", "hti")["confirmed"]["key"])
        words = self.hti.json("status")["words"]
        self.hti.kill()
        new = self.replaced()
        self.assertNotEqual(new.json("status")["words"], words)
        self.assertNotEqual(new.own()["origin"], self.origin)
        self.holds(new, self.origin, self.size)
        self.assertFalse(new.logs()[self.origin]["own"])
        # Entries alone: their keys were on the former machine.
        alarms = new.json("status")["alarms"]
        self.assertTrue(all("no key here opens them" in a for a in alarms), alarms)
        # It is taken for the node: sessions, log, mirror; and not for the key that was confirmed.
        wait_for("caf to have a session with it", lambda: connected(self.caf, "hti"))
        self.holds(self.caf, new.own()["origin"], new.own()["size"])
        shown = self.caf.json("node", "show", "hti")
        self.assertEqual((shown["confirmed"]["key"], shown["confirmed"]["former_key"]), (False, True))
        self.assertEqual(shown["replaced"]["reason"], "burnt")
        self.assertEqual(shown["replaced"]["logs"][0]["size"], self.size)
        done = self.caf.sauti("node", "confirm", "hti", "--words", stdin=words, check=False)
        self.assertIn("Nothing was confirmed", done.stderr)
        self.caf.confirm(new)
        self.assertTrue(self.caf.json("node", "show", "hti")["confirmed"]["key"])
        size = self.record(new, 3, 100)
        self.holds(self.hq, new.own()["origin"], size)
        wait_for("it to hold what caf writes and be counted for it",
                 lambda: any(h["mirror"] == "hti" and h["size"] == self.caf.own()["size"]
                             for h in self.caf.own()["held_by"]))
        # After restarts of all the same; what was is verified under the key of then.
        for node in (self.hq, self.caf, new):
            node.stop()
        for node in (self.hq, self.caf, new):
            node.start()
        self.holds(self.caf, self.origin, self.size)
        self.assertTrue(all(r["ok"] for r in self.caf.json("log", "verify")))
        self.assertTrue(all(r["ok"] for r in new.json("log", "verify")))
        new.json("lock")
        new.unlock()
        self.assertEqual(new.json("status")["guard"]["verdict"], "same")
        later = self.office("cod", "COD")  # who was never there gets it all
        self.holds(later, self.origin, self.size)
        self.holds(later, new.own()["origin"], new.own()["size"])
        for node in (self.caf, new):
            node.stop()
            fsck = subprocess.run([BUILD / "sautid", "--fsck", "--dir", node.dir], check=False,
                                  capture_output=True, text=True)
            self.assertEqual(fsck.returncode, 0, fsck.stdout + fsck.stderr)

    def test_a_stolen_machine(self):
        """The former machine runs on: its sessions end, nothing of it is taken, it says so and disputes."""
        new = self.replaced("stolen at Hinche")
        wait_for("headquarters to close it", lambda: "lists it with other keys" in self.hq.log, 10)
        wait_for("the former machine to know", lambda: self.hti.json("status")["alarms"])
        alarms = self.hti.json("status")["alarms"]
        self.assertEqual(len(alarms), 1, alarms)
        self.assertIn("has put another machine in the place of this node", alarms[0])
        self.assertIn("stolen at Hinche", alarms[0])
        size = self.record(self.hti, 4, 200)
        self.holds(new, self.origin, self.size)
        self.holds(self.caf, new.own()["origin"], new.own()["size"])
        for node in (self.hq, self.caf, new):
            log = node.logs()[self.origin]
            self.assertEqual(log["size"], self.size, node.name)
            self.assertLess(log["size"], size)
        self.assertNotEqual(self.hti.json("status")["words"], new.json("status")["words"])
        self.hti.sauti("node", "dispute", "we are here and were robbed of our name")
        for node in (self.hq, self.caf, new):
            wait_for(f"{node.name} to hear the dispute", lambda: any(
                "robbed of our name" in a for a in node.json("status")["alarms"]))

    def test_a_revoked_name(self):
        """It comes back by being replaced; what the revocation says of its logs stays."""
        self.hq.json("node", "revoke", "hti", "--reason", "stolen", "--yes")
        self.hti.kill()
        new = self.replaced("found another machine")
        self.holds(new, self.origin, self.size)
        self.assertTrue(self.caf.json("node", "show", "hti")["active"])
        wait_for("a session with it", lambda: connected(self.hq, "hti"))

    def test_refusals(self):
        """Whom, why, by whom; and a token is good once."""
        for node, args, status, text in (
                (self.hq, ["hti", "--replace"], 2, "--reason"),
                (self.hq, ["hti", "--reason", "x"], 2, "--replace"),
                (self.hq, ["hti", "--replace", "--reason", "x", "--country", "HTI"], 2, "stay"),
                (self.hq, ["hti", "--country", "HTI"], 1, "--replace"),
                (self.hq, ["peru", "--replace", "--reason", "x"], 1, "no node"),
                (self.hq, ["hq", "--replace", "--reason", "x"], 5, "headquarters"),
                (self.caf, ["hti", "--replace", "--reason", "x"], 5, "only headquarters")):
            with self.subTest(args):
                done = node.sauti("node", "invite", *args, check=False)
                self.assertEqual(done.returncode, status, done.stderr)
                self.assertIn(text, done.stderr)
        token = self.hq.json("node", "invite", "hti", "--replace", "--reason", "x")["token"]
        machines = []
        for i in range(2):
            node = Node(self.network, "hti")
            node.dir = self.root / f"machine-{i}"
            machines.append(node.sauti("join", "-", "--listen", "none", "--passphrase-file",
                                       self.network.passphrase, stdin=token, check=False))
        self.assertEqual([m.returncode for m in machines], [0, 5])
        self.assertIn("words      ", machines[0].stdout)
        self.assertIn("token was used by other keys", self.hq.log)


class Rotate(Case):
    """sauti node rotate"""

    def rotate(self, node, check=True, directory=None):
        """On the node, which does not run."""
        was, node.dir = node.dir, directory or node.dir
        try:
            return node.sauti("node", "rotate", "--passphrase-file", self.network.passphrase,
                              check=check)
        finally:
            node.dir = was

    def test_new_keys(self):
        """The log goes on, sessions and cosignatures are under the new keys, nothing is confirmed."""
        hti = self.office("hti", "HTI")
        caf = self.office("caf", "CAF", hti)
        caf.confirm(hti)
        self.record(hti, 3, 0)
        self.network.settle()
        words, before = hti.json("status")["words"], hti.own()
        index = caf.json("node", "show", "hti")["keys_index"]
        done = self.rotate(hti, check=False)
        self.assertIn("stop sautid first", done.stderr)
        hti.stop()
        thief = self.root / "thief"
        shutil.copytree(hti.dir, thief)
        done = self.rotate(hti)
        self.assertIn("'hti' has new keys: record ", done.stdout)
        hti.start()
        self.assertNotEqual(hti.json("status")["words"], words)
        self.assertIn(hti.json("status")["words"], done.stdout)
        self.assertEqual(hti.json("status")["alarms"], [])
        self.assertEqual(hti.own()["origin"], before["origin"])
        self.assertGreater(self.record(hti, 2, 10), before["size"])
        wait_for("caf to know the new keys", lambda: caf.json("node", "show", "hti")["keys_index"] > index)
        wait_for("a prekey under the new key", lambda: caf.json("node", "show", "hti")["prekey"])
        shown = caf.json("node", "show", "hti")
        self.assertEqual((shown["confirmed"]["key"], shown["confirmed"]["former_key"]), (False, True))
        self.assertIsNone(shown["replaced"])
        size = hti.own()["size"]
        for node in (self.hq, caf):
            self.holds(node, before["origin"], size)
        self.assertEqual(len(hti.json("case", "list")), 5)
        caf_log = caf.own()
        wait_for("hti to cosign with its new key", lambda: any(
            h["mirror"] == "hti" and h["size"] == caf_log["size"] for h in caf.own()["held_by"]))
        caf.sauti("mail", "send", "--to", "hti", stdin="the new line works")
        wait_for("mail", lambda: hti.json("mail", "list"))
        self.assertTrue(all(r["ok"] for r in caf.json("log", "verify")))
        # Whoever has the former keys: a guest, who learns of it.
        hti.stop()
        copy = Node(self.network, "hti", hti.port)
        copy.dir = thief
        self.extra.append(copy)
        copy.start()
        wait_for("the copy to know", lambda: copy.json("status")["alarms"])
        self.assertIn("were changed in the directory with its own key", copy.json("status")["alarms"][0])
        self.assertFalse(connected(self.hq, "hti"))
        copy.kill()
        hti.start()
        wait_for("a session with the node itself", lambda: connected(self.hq, "hti"))

    def test_interrupted(self):
        """Refused, then its reply lost: the same command goes on with the same keys."""
        hti = self.office("hti", "HTI")
        self.network.settle()
        hti.stop()
        self.hq.json("lock")
        done = self.rotate(hti, check=False)
        self.assertEqual(done.returncode, 5, done.stderr)
        self.assertIn("locked", done.stderr)
        self.hq.unlock()
        other = self.root / "other"
        shutil.copytree(hti.dir, other)
        first = self.rotate(hti, directory=other)
        again = self.rotate(hti)
        self.assertEqual(first.stdout, again.stdout)
        hti.start()
        self.assertEqual(hti.json("status")["alarms"], [])
        wait_for("a session with it", lambda: connected(self.hq, "hti"))
        hti.stop()
        self.assertNotEqual(self.rotate(hti).stdout, first.stdout)  # another one

    def test_refusals(self):
        """Headquarters, a revoked node, a replaced one."""
        self.hq.stop()
        done = self.rotate(self.hq, check=False)
        self.assertIn("headquarters does not rotate", done.stderr)
        self.hq.start()
        hti = self.office("hti", "HTI")
        self.network.settle()
        hti.stop()
        self.hq.json("node", "revoke", "hti", "--reason", "x", "--yes")
        done = self.rotate(hti, check=False)
        self.assertEqual(done.returncode, 5, done.stderr)
        self.assertIn("no active member", self.hq.log)
        self.network.replace("hti", FAST)
        done = self.rotate(hti, check=False)
        self.assertEqual(done.returncode, 5, done.stderr)
        self.assertIn("not signed by its node key", self.hq.log)


class HackedHeadquarters(Case):
    """Whoever holds headquarters can list any key under any name. No key of a case goes to one that
    no officer of the office has confirmed."""

    def setUp(self):
        super().setUp()
        self.hti = self.office("hti", "HTI")
        self.caf = self.office("caf", "CAF")
        self.ref = f"{1:032x}"
        self.record_events(opened(1, "ZZ-ONE"), agreed(1, self.ref), said(1, self.ref, "marisolwenda"))
        self.hti.sauti("case", "add", "ZZ-ONE", "--from", "-", stdin=case_lines(
            {"type": "CONSENT_RECORDED", "purpose": "REFERRAL", "recipients": ["caf", "hospital"],
             "groups": ["contact", "services"], "given_by": "VICTIM", "form": "WRITTEN",
             "valid_until": "2099-12-31"}))

    def record_events(self, *events):
        self.hti.sauti("case", "import", "-", stdin=case_lines(*events))

    def share(self, to, group):
        self.hti.sauti("--json", "case", "share", "ZZ-ONE", "--to", to, "--purpose", "referral",
                       "--groups", group, "--history", check=False)

    def states(self, node):
        """Of what was given to it."""
        return {s["state"] for s in self.hti.json("case", "shares", "ZZ-ONE")
                if s["direction"] == "given" and s["node"] == node}

    def gets_nothing(self, node):
        """Once it holds all that hti wrote, and headquarters has no mail for it: no case, no key."""
        own = self.hti.own()
        self.holds(node, own["origin"], own["size"])
        wait_for("a prekey of it to be known", lambda: self.hti.json("node", "show", node.name)["prekey"])
        node.json("lock")
        node.unlock()
        self.assertEqual(node.json("case", "list"), [])
        self.assertEqual([m for m in node.json("mail", "list") if m["kind"] == "grant"], [])
        self.assertFalse(self.states(node.name) & {"sent", "taken"})

    def test_an_invented_hospital(self):
        """It is a member, its name stands in a consent; nobody has heard its words."""
        hospital = self.office("hospital", "HTI")
        self.share("hospital", "contact")
        self.gets_nothing(hospital)
        self.hti.confirm(hospital)
        self.share("hospital", "contact")
        wait_for("what was consented to", lambda: hospital.json("case", "list"))

    def test_a_key_in_place_of_anothers(self):
        """caf was given keys; then headquarters puts a machine of its own in its place."""
        self.hti.confirm(self.caf)
        wait_for("its prekey", lambda: self.hti.json("node", "show", "caf")["prekey"])
        self.share("caf", "contact")
        wait_for("caf to have the case", lambda: self.caf.json("case", "list"))
        wait_for("hti to know", lambda: self.states("caf") == {"taken"})
        self.extra.append(self.caf)
        evil = self.network.replace("caf", FAST, "moved")
        evil.start()
        wait_for("hti to hear of it", lambda: self.hti.json("node", "show", "caf")["replaced"])
        self.record_events(said(2, self.ref, "quillfeather"))
        before = len([s for s in self.hti.json("case", "shares", "ZZ-ONE") if s["state"] == "taken"])
        self.share("caf", "services")
        own = self.hti.own()
        self.holds(evil, own["origin"], own["size"])
        evil.json("lock")
        evil.unlock()
        self.assertEqual(evil.json("case", "list"), [])
        self.assertEqual(len([s for s in self.hti.json("case", "shares", "ZZ-ONE")
                              if s["state"] == "taken"]), before)
        # The true caf sees it, and says so where everybody hears it.
        wait_for("caf to raise the alarm", lambda: any(
            "another machine in the place" in a for a in self.caf.json("status")["alarms"]))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    BUILD = Path(sys.argv.pop(1)).resolve()
    unittest.main(verbosity=2)
