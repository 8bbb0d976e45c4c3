#!/usr/bin/env python3
"""Erasing on real nodes: what is gone stays gone, past kills, locks and old copies of keys.
test_erase.py BUILD [unittest arguments]"""
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))
import network  # noqa: E402
from cases import agreed, event, lines, opened, said  # noqa: E402

REF = f"{1:032x}"
QUICK = "\n[replication]\ndial_retry_min = 20ms\ndial_retry_max = 200ms\nhave_delay = 50ms\n"
BUILD = Path(sys.argv.pop(1) if len(sys.argv) > 1 else "build-dev").resolve()


def erasures(node):
    return node.json("case", "erase", "--status")


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
        self.assertEqual([e["state"] for e in erasures(self.hq)], ["complete"])

    def test_killed_meanwhile(self):
        """At times of chance: begun, and then it ends well; or not begun. Nothing else is lost."""
        chance = random.Random(7)
        done = 0
        for n in range(8):
            code = f"ZZ-K{n}"
            self.hq.json("case", "open", "--code", code, "--office", "HTI")
            eraser = subprocess.Popen(
                [self.net.bin / "sauti", "--dir", self.hq.dir, "case", "erase", code, "--reason",
                 "objection", "--yes"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if n == 7:  # at least once it is done
                eraser.wait()
            else:
                time.sleep(chance.uniform(0, 0.05 * (n + 1)))
            self.hq.kill()
            eraser.wait()
            self.hq.start()
            if any(e["code"] == code for e in erasures(self.hq)):
                done += 1
                wait_for(f"{code} to be gone", lambda: self.erased(code))
            else:
                self.hq.json("case", "show", code)
            self.assertFalse(self.erased("ZZ-TWO"))
        self.hq.sauti("log", "verify")
        self.assertGreater(done, 0)

    def test_a_note(self):
        """By the option that help, man page and docs name; the event stays."""
        ref = self.hq.json("case", "list")[0]["case_ref"]
        code = self.hq.json("case", "list")[0]["code"]
        contact = event(1, "CONTACT", ref, series="b", channel="PHONE", direction="OUT",
                        result="REACHED", note="marisolwenda", office="HTI")
        self.hq.sauti("case", "import", "-", stdin=lines(agreed(1, ref, office="HTI"), contact))
        self.hq.json("case", "erase", code, "--note", contact["event_id"], "--reason", "unlawful", "--yes")
        shown = self.hq.sauti("case", "show", code).stdout
        self.assertNotIn("marisolwenda", shown)
        self.assertIn("telephone", shown)

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


def wait_for(what, condition):
    """As network.wait_for, for a machine that may be busy."""
    return network.wait_for(what, condition, 90)


class Shared(unittest.TestCase):
    """cod has given hti keys of a case; the two meet nobody but headquarters."""

    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="sauti-erase-"))
        self.net = network.Network(self.root, BUILD)
        hq = self.net.init()
        hq.configure(QUICK)
        hq.start()
        self.cod = self.net.join("cod", "COD", config=QUICK)
        self.cod.start()
        self.hti = self.net.join("hti", "HTI", config=QUICK)
        self.hti.start()
        self.net.settle()
        self.record(opened(1, "ZZ-ONE"), agreed(1, REF), said(1, REF, "marisolwenda"),
                    said(2, REF, "quillfeather"))
        self.cod.sauti("case", "add", "ZZ-ONE", "--from", "-", stdin=lines(
            {"type": "CONSENT_RECORDED", "purpose": "REFERRAL", "recipients": ["hti"],
             "groups": ["contact", "core"], "given_by": "VICTIM", "form": "WRITTEN",
             "valid_until": "2099-12-31"}))
        self.cod.confirm(self.hti)
        wait_for("a prekey of hti", lambda: self.cod.json("node", "show", "hti")["prekey"])
        self.cod.json("case", "share", "ZZ-ONE", "--to", "hti", "--purpose", "referral",
                      "--groups", "contact,core", "--history")
        wait_for("the case at hti", lambda: self.views(self.hti) == {"marisolwenda", "quillfeather"})

    def tearDown(self):
        self.net.stop()
        shutil.rmtree(self.root)

    def record(self, *events):
        self.cod.sauti("case", "import", "-", stdin=lines(*events))

    def events(self, node):
        done = node.sauti("--json", "case", "show", "ZZ-ONE", check=False)
        if done.returncode != 0:
            return []
        docs = json.loads(done.stdout)
        return docs["events"] if isinstance(docs, dict) else docs[1:]

    def views(self, node):
        return {e["view"] for e in self.events(node) if "view" in e}

    def holder(self):
        return next(e for e in erasures(self.cod) if e["holders"])["holders"][0]

    def receipted(self):
        wait_for("the receipt of hti", lambda: self.holder()["receipt_at"])

    def test_no_nameless_row(self):
        """Erased, a case in which the other office wrote is in no list, though that one's keys are here."""
        self.hti.confirm(self.cod)
        self.hti.sauti("case", "import", "-", stdin=lines(said(9, REF, "zenobia", office="HTI")))
        wait_for("the reply", lambda: "zenobia" in self.views(self.cod))
        self.cod.json("case", "erase", "ZZ-ONE", "--reason", "objection", "--yes")
        self.assertEqual(self.cod.json("case", "list"), [])

    def test_erased_at_both(self):
        answer = self.cod.json("case", "erase", "ZZ-ONE", "--reason", "objection", "--yes")
        self.assertEqual(answer["state"], "destroyed here")
        self.assertEqual([h["node"] for h in answer["holders"]], ["hti"])
        self.receipted()
        self.assertEqual(self.events(self.hti), [])
        holder = self.holder()
        self.assertGreaterEqual(holder["destroyed"], 2)
        # Its prekey is still there: confirmed, and not complete.
        self.assertFalse(holder["done"])
        self.assertEqual(self.cod.json("status")["erasures"], {"open": 1, "held": 0})
        self.assertEqual(erasures(self.cod)[0]["state"], "confirmed")
        at_hti = erasures(self.hti)
        self.assertEqual([(e["from"], e["state"]) for e in at_hti], [("cod", "destroyed")])
        stages = [(e["stage"], e.get("by")) for e in self.hti.json("ledger", "list")
                  if e["type"] == "KEYS_ERASED"]
        self.assertEqual(stages, [("OBEYED", "cod")])
        # After a start it is all the same; the logs verify.
        for node in (self.cod, self.hti):
            node.stop()
            node.start()
            self.assertEqual(self.events(node), [])
            node.sauti("log", "verify")

    def test_an_office_that_is_away_and_locked(self):
        self.hti.stop()
        self.cod.json("case", "erase", "ZZ-ONE", "--reason", "objection", "--yes")
        wait_for("the order to leave", lambda: self.holder()["asked_at"])
        self.hti.start(unlock=False)
        wait_for("the order at hti", lambda: self.hti.json("status")["mail"]["unopened"] or any(
            m["class"] == "erasure" for m in self.hti.json("mail", "list")))
        self.hti.unlock()
        # It was carried out before the unlock was answered.
        self.assertEqual(self.events(self.hti), [])
        self.receipted()

    def test_withdrawn(self):
        """Nobody asks for an erasure: the consent ends, and the keys come back to nobody."""
        self.cod.sauti("case", "add", "ZZ-ONE", "--from", "-", stdin=lines(
            {"type": "CONSENT_WITHDRAWN", "consent_id": "C-2"}))
        wait_for("hti to lose it", lambda: self.events(self.hti) == [])
        wait_for("the order", lambda: erasures(self.cod))
        self.receipted()
        self.assertEqual(erasures(self.cod)[0]["scope"], "keys")
        self.assertEqual(self.views(self.cod), {"marisolwenda", "quillfeather"})

    def test_what_was_recorded_there_keeps_its_code(self):
        """After a restart: the keys that were given are gone, hti's own event is not."""
        self.hti.confirm(self.cod)
        self.hti.sauti("case", "import", "-", stdin=lines(said(9, REF, "zenobia", office="HTI")))
        wait_for("the reply", lambda: "zenobia" in self.views(self.cod))
        self.cod.sauti("case", "withdraw", "ZZ-ONE", "--consent", "C-2")
        self.receipted()
        self.hti.stop()
        self.hti.start()
        self.assertEqual(self.views(self.hti), {"zenobia"})
        self.assertEqual([(c["code"], c["from"]) for c in self.hti.json("case", "list")],
                         [("ZZ-ONE", "cod")])

    def test_an_event(self):
        event = next(e["event_id"] for e in self.events(self.cod)
                     if e.get("view") == "quillfeather")
        self.cod.json("case", "erase", "ZZ-ONE", "--event", event, "--reason", "unlawful", "--yes")
        self.assertEqual(self.views(self.cod), {"marisolwenda"})
        self.receipted()
        # What is left is given again, under the new keys.
        wait_for("what is left at hti", lambda: self.views(self.hti) == {"marisolwenda"})
        self.assertIn("ERASURE_DONE", [e["type"] for e in self.events(self.cod)])
        self.record(said(3, REF, "zenobia"))
        wait_for("what comes after", lambda: self.views(self.hti) == {"marisolwenda", "zenobia"})

    def test_everything_put_back(self):
        """Store, keys and keyring from before it, and no guard from then: what the mirror has of the own
        ledger is fetched, and what it says was erased is erased again."""
        self.cod.sauti("case", "open", "--code", "ZZ-TWO")
        self.cod.json("case", "erase", "ZZ-TWO", "--reason", "objection", "--yes")
        self.cod.stop()
        for name in ("keys", "keyring", "store"):
            shutil.copytree(self.cod.dir / name, self.root / "old" / name)
        self.cod.start()
        self.cod.json("case", "erase", "ZZ-ONE", "--reason", "objection", "--yes")
        self.receipted()
        wait_for("the mirror to have it", lambda: self.own_size(self.net.nodes["hq"]) ==
                 self.own_size(self.cod))
        self.cod.stop()
        for name in ("keys", "keyring", "store"):
            shutil.rmtree(self.cod.dir / name)
            shutil.copytree(self.root / "old" / name, self.cod.dir / name)
        self.cod.start(unlock=False)
        wait_for("its log to be back", lambda: self.own_size(self.cod) ==
                 self.own_size(self.net.nodes["hq"]))
        self.cod.unlock()
        self.assertEqual(self.events(self.cod), [])

    def own_size(self, node):
        return max(log["size"] for log in node.json("log", "list") if "/cod/" in log["origin"])

    def hold(self, second, passphrase, until, check=True):
        return self.hti.sauti("case", "hold", "ZZ-ONE", "--authority", "Tribunal", "--second", second,
                              "--until", until, "--passphrase-file", passphrase, check=check)

    def test_held(self):
        """A court at hti says that it must be kept."""
        phrase = self.root / "second"
        phrase.touch(mode=0o600)
        phrase.write_text("another passphrase\n", encoding="ascii")
        for name, role in (("jean", "officer"), ("otto", "operator")):
            self.hti.sauti("officer", "add", name, "--roles", role, "--new-passphrase-file", phrase)
        # One officer alone, with a name that is made up, or somebody else's without their word.
        for second, key in (("zoe", phrase), ("jean", self.net.passphrase), ("otto", phrase),
                            (self.hti.json("whoami")["officer"], self.net.passphrase)):
            self.assertNotEqual(self.hold(second, key, "2099-01-01", check=False).returncode, 0)
        self.hold("jean", phrase, "2099-01-01")
        self.cod.json("case", "erase", "ZZ-ONE", "--reason", "objection", "--yes")
        wait_for("the hold", lambda: self.holder().get("held"))
        self.assertEqual(self.holder()["held"], {"authority": "Tribunal", "until": "2099-01-01"})
        self.assertNotEqual(self.events(self.hti), [])
        # Lifted, it is carried out.
        self.hold("jean", phrase, "2020-01-01")
        self.receipted()
        self.assertEqual(self.events(self.hti), [])


if __name__ == "__main__":
    unittest.main(argv=["test_erase.py", *sys.argv[1:]])
