#!/usr/bin/env python3
"""A case that two offices share, between real nodes that meet at headquarters alone.
test_share.py BUILD [unittest arguments]"""
import datetime
import json
import re
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))
import network  # noqa: E402
from cases import agreed, event, lines, opened, said  # noqa: E402

BUILD = Path(sys.argv.pop(1) if len(sys.argv) > 1 else "build-dev").resolve()
QUICK = "\n[replication]\ndial_retry_min = 20ms\ndial_retry_max = 200ms\nhave_delay = 50ms\n"
REF = f"{1:032x}"


def wait_for(what, condition):
    """As network.wait_for, for a machine that may be busy."""
    return network.wait_for(what, condition, 90)


class Share(unittest.TestCase):
    """cod and hti know of each other, and meet nobody but headquarters."""

    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="sauti-share-"))
        self.net = network.Network(self.root, BUILD)
        hq = self.net.init()
        hq.configure(QUICK)
        hq.start()
        self.cod = self.net.join("cod", "COD", config=QUICK)
        self.cod.start()
        self.hti = self.net.join("hti", "HTI", config=QUICK)
        self.hti.start()
        self.net.settle()
        self.cod.confirm(self.hti)
        self.hti.confirm(self.cod)
        self.record(self.cod, opened(1, "ZZ-ONE"), agreed(1, REF), said(1, REF, "marisolwenda"))

    def tearDown(self):
        self.net.stop()
        shutil.rmtree(self.root)

    def record(self, node, *events, check=True):
        return node.sauti("case", "import", "-", stdin=lines(*events), check=check)

    def consent(self, groups, recipients=("hti",), purpose="REFERRAL"):
        """Its id, as C-2."""
        self.cod.sauti("case", "add", "ZZ-ONE", "--from", "-", stdin=lines(
            {"type": "CONSENT_RECORDED", "purpose": purpose, "recipients": list(recipients),
             "groups": groups, "given_by": "VICTIM", "form": "WRITTEN", "valid_until": "2099-12-31"}))
        return [e["consent_id"] for e in self.show(self.cod)["events"] if "consent_id" in e][-1]

    def share(self, *args, purpose="referral", check=True):
        done = self.cod.sauti("--json", "case", "share", "ZZ-ONE", "--to", "hti", "--purpose",
                              purpose, *args, check=check)
        return json.loads(done.stdout) if check else done

    def shares(self, node=None, direction="given"):
        return [s for s in (node or self.cod).json("case", "shares", "ZZ-ONE")
                if s["direction"] == direction]

    def taken(self):
        """Whatever was given is at the other office."""
        wait_for("the grants to be taken", lambda: all(
            s["state"] in ("taken", "revoked") for s in self.shares()))

    def show(self, node):
        docs = node.json("case", "show", "ZZ-ONE")
        return docs if isinstance(docs, dict) else {**docs[0], "events": docs[1:]}

    def views(self, node):
        return {e["view"] for e in self.show(node)["events"] if "view" in e}

    def seen(self, node):
        """The same where the case may be gone."""
        return self.views(node) if node.json("case", "list") else set()

    def ledger(self, node, kind):
        return [e for e in node.json("ledger", "list") if e["type"] == kind]

    def test_no_confirmation_no_key(self):
        """Not to a node key whose words nobody compared; and replies wait for the same."""
        self.net.stop()
        for node in self.net.nodes.values():
            node.start()
        self.net.settle()
        self.consent(["contact"], recipients=["hti", "hq"])
        done = self.cod.sauti("case", "share", "ZZ-ONE", "--to", "hq", "--purpose", "referral",
                              check=False)
        self.assertIn("the key of 'hq' is not confirmed here", done.stderr)
        self.assertEqual(self.ledger(self.cod, "ACCESS_GRANTED"), [])
        self.cod.confirm(self.net.nodes["hq"])
        shared = self.cod.json("case", "share", "ZZ-ONE", "--to", "hq", "--purpose", "referral", "--history",
                               "--wait", "held", "--timeout", "2m")
        self.assertGreaterEqual(shared["state"]["held_by"], 1)  # the ledger's entry
        hq = self.net.nodes["hq"]
        wait_for("the case", lambda: self.views(hq) == {"marisolwenda"}
                 if hq.json("case", "list") else False)
        self.record(hq, said(7, REF, "zenobia", office="HTI"))
        self.assertEqual([(s["node"], s["state"]) for s in self.shares(hq)], [("cod", "waiting")])
        wait_for("status to say so", lambda: hq.json("status")["grants_waiting"] == 1)
        self.assertIn("1 grant waits", hq.sauti("status").stdout)
        hq.confirm(self.cod)
        wait_for("the reply", lambda: "zenobia" in self.views(self.cod))

    def test_no_consent_no_key(self):
        self.assertIn("no consent to REFERRAL", self.share(check=False).stderr)
        self.consent(["contact"])
        for args, what in ((("--groups", "health"), "health"), (("--groups", "views"), "no data group"),
                           (("--until", "2020-01-01"), "has passed")):
            done = self.share(*args, check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(what, done.stderr)
        self.assertIn("no consent to PATERNITY", self.share(purpose="paternity", check=False).stderr)
        self.cod.confirm(self.net.nodes["hq"])
        done = self.cod.sauti("case", "share", "ZZ-ONE", "--to", "hq", "--purpose", "referral",
                              check=False)
        self.assertIn("does not name this recipient", done.stderr)
        self.assertEqual(self.ledger(self.cod, "ACCESS_GRANTED"), [])
        self.assertEqual(self.shares(), [])
        self.assertEqual([m for m in self.cod.json("mail", "list") if m["kind"] != "addresses"], [])

    def test_from_now_on(self):
        """Locked, and cut off, while it is shared; then it has what came after, and no more."""
        self.consent(["contact", "services"])
        self.hti.stop()
        answer = self.share("--groups", "contact")
        self.assertEqual(answer["groups"], ["contact"])
        self.record(self.cod, said(2, REF, "quillfeather"))
        wait_for("the mail to leave", lambda: self.shares()[0]["state"] == "sent")
        self.hti.start(unlock=False)
        self.hti.unlock()
        self.taken()
        wait_for("the event", lambda: self.views(self.hti) == {"quillfeather"})
        case = self.hti.json("case", "list")
        self.assertEqual([c["code"] for c in case], ["ZZ-ONE"])
        granted = self.ledger(self.cod, "ACCESS_GRANTED")
        self.assertEqual([e["event_id"] for e in granted], [answer["grant"]])
        self.assertEqual((granted[0]["recipient"], granted[0]["basis"], granted[0]["history"]),
                         ("hti", "CONSENT", "N"))
        self.assertEqual(len(granted[0]["key_ids"]), 1)
        # After a start it is all as before, and nothing is sent twice.
        self.cod.stop()
        self.cod.start()
        self.hti.stop()
        self.hti.start()
        self.assertEqual(self.views(self.hti), {"quillfeather"})
        self.assertEqual([s["state"] for s in self.shares()], ["taken"])
        self.assertEqual(len(self.ledger(self.cod, "ACCESS_GRANTED")), 1)

    def test_last_day(self):
        """Past it nothing is taken there, and nothing new is given here."""
        ahead = self.root / "ahead"
        ahead.write_text("0", encoding="ascii")
        clock = {"LD_PRELOAD": str(BUILD / "tests" / "lib" / "clock.so"),
                 "CLOCK_AHEAD_FILE": str(ahead)}
        until = (datetime.datetime.now(datetime.timezone.utc)
                 + datetime.timedelta(days=2)).strftime("%Y-%m-%d")
        for node in (self.cod, self.hti):
            node.stop()
            node.env = clock
        self.cod.start()
        self.consent(["contact"])
        self.share("--groups", "contact", "--until", until)
        wait_for("the mail to leave", lambda: self.shares()[0]["state"] == "sent")
        ahead.write_text(str(8 * 24 * 3600), encoding="ascii")
        self.hti.start()
        refused = wait_for("the refusal", lambda: self.hti.json("mail", "refused"))
        self.assertEqual([(m["from"], m["kind"], m["reason"]) for m in refused],
                         [("cod", "grant", "ended")])
        self.assertEqual(self.hti.json("case", "list"), [])
        wait_for("cod to know", lambda: self.shares()[0]["state"] == "refused")
        self.hti.stop()
        self.hti.start()
        self.assertEqual(self.hti.json("status")["mail"]["refused"]["count"], 1)
        self.assertEqual(self.hti.json("mail", "refused"), refused)
        # One that was taken in time ends by itself, at whoever gave it.
        ahead.write_text("0", encoding="ascii")
        self.hti.stop()
        self.hti.start()
        self.share("--groups", "contact", "--until", until)
        wait_for("the grant to be taken", lambda: self.shares()[0]["state"] == "taken")
        ahead.write_text(str(8 * 24 * 3600), encoding="ascii")
        self.assertEqual([(s["state"], s["revoked_for"]) for s in self.shares()][:1],
                         [("revoked", "ended")])
        self.record(self.cod, said(6, REF, "quillfeather"))
        self.net.settle()
        self.assertEqual(self.views(self.hti), set())

    def test_history_and_answer(self):
        """Both see one timeline; groups that were not given are named, empty or not."""
        self.consent(["contact", "services", "core"])
        self.cod.sauti("case", "add", "ZZ-ONE", "--from", "-", stdin=lines(
            {"type": "REFERRAL_MADE", "service_code": "LEGAL", "to_office": "hti",
             "shared_groups": ["services"]}))
        self.share("--history", "--groups", "contact,services,core")
        self.taken()
        wait_for("the case", lambda: self.views(self.hti) == {"marisolwenda"})
        text = self.hti.sauti("case", "show", "ZZ-ONE").stdout
        shown = re.sub(r"\s+", " ", text)
        self.assertIn("not shared by cod: consent, identity, health, allegation, paternity, "
                      "protection, note", shown)
        self.hti.sauti("case", "answer", "ZZ-ONE", "--accept")
        self.record(self.hti, said(3, REF, "zenobia"))
        wait_for("the answer at cod", lambda: "zenobia" in self.views(self.cod) and any(
            e["type"] == "REFERRAL_ANSWERED" and e["author"] == "hti"
            for e in self.show(self.cod)["events"]))
        ids = [[e["event_id"] for e in self.show(node)["events"]] for node in (self.cod, self.hti)]
        self.assertEqual(set(ids[1]) - set(ids[0]), set())
        # Outside of what was given nothing is recorded there.
        done = self.record(self.hti, event(5, "PROTECTION_CONCERN", REF, concern_id="P-1", level="HIGH")
                           | {"kind": "THREAT"}, check=False)
        self.assertIn("protection", done.stderr)
        self.assertIn("was not given", done.stderr)
        basis = [e["basis"] for e in self.ledger(self.hti, "ACCESS_GRANTED")]
        self.assertEqual(set(basis), {"REPLY"})

    def test_transfer(self):
        """Offered by one office, accepted by the other, which then leads."""
        self.consent(["core", "contact"], purpose="TRANSFER", recipients=["HTI"])
        self.share("--history", purpose="transfer")
        self.cod.sauti("case", "add", "ZZ-ONE", "--from", "-", stdin=lines(
            {"type": "TRANSFER_OFFERED", "to_office": "HTI", "reason": "VICTIM_MOVED"}))
        self.taken()
        done = self.hti.sauti("case", "answer", "ZZ-ONE", "--accept", check=False)
        self.assertIn("no referral of this case waits", done.stderr)
        wait_for("the offer", lambda: any(
            e["type"] == "TRANSFER_OFFERED" for e in self.show(self.hti)["events"]))
        self.hti.sauti("case", "answer", "ZZ-ONE", "--accept", "--transfer")
        wait_for("the answer", lambda: any(
            e["type"] == "TRANSFER_ANSWERED" and e["answer"] == "ACCEPTED"
            for e in self.show(self.cod)["events"]))
        self.assertEqual(self.show(self.cod)["summary"]["lead"], "HTI")
        self.hti.sauti("case", "assign", "ZZ-ONE", "hti")
        self.assertEqual(self.show(self.hti)["summary"]["lead"], "hti")

    def test_withdrawn_without_a_link(self):
        """What was sealed and has not left does not leave."""
        given = self.consent(["contact"])
        self.net.nodes["hq"].stop()
        self.share("--groups", "contact")
        wait_for("the mail to be made", lambda: self.shares()[0]["state"] == "sent")
        self.cod.sauti("case", "withdraw", "ZZ-ONE", "--consent", given)
        wait_for("the mail to be gone", lambda: not [
            m for m in self.cod.json("mail", "list")
            if m["direction"] == "sent" and m["class"] == "ordinary" and m["kind"] != "addresses"])
        self.net.nodes["hq"].start()
        self.net.settle()
        wait_for("the order", lambda: self.shares()[0]["order"] in ("destroying", "destroyed"))
        self.assertEqual(self.hti.json("case", "list"), [])

    def test_withdrawal(self):
        """What is written afterwards is readable to nobody there, whatever they do."""
        kept = self.consent(["contact"], purpose="TRANSFER")
        given = self.consent(["contact"])
        self.share("--groups", "contact", "--history")
        self.taken()
        wait_for("the case", lambda: self.views(self.hti) == {"marisolwenda"})
        self.hti.stop()
        done = self.cod.json("case", "withdraw", "ZZ-ONE", "--consent", given)
        self.assertEqual([(s["node"], s["state"], s["revoked_for"]) for s in done],
                         [("hti", "revoked", "withdrawn")])
        revoked = self.ledger(self.cod, "ACCESS_REVOKED")
        self.assertEqual([(e["recipient"], e["reason"]) for e in revoked], [("hti", "WITHDRAWN")])
        self.record(self.cod, said(4, REF, "quillfeather"))
        wait_for("the order", lambda: self.shares()[0]["order"] == "ordered")
        self.hti.start()
        wait_for("the receipt", lambda: self.shares()[0]["order"] in ("destroying", "destroyed"))
        self.assertEqual(self.seen(self.hti), set())
        self.assertIn("deleted there", self.cod.sauti("case", "shares", "ZZ-ONE").stdout)
        self.assertRegex(self.share("--groups", "contact", check=False).stderr,
                         f"consent {given} was (withdrawn on|never in force)")
        # On another consent it is given again, from now on.
        self.share("--groups", "contact", purpose="transfer")
        self.record(self.cod, said(5, REF, "yolanda"))
        self.taken()
        wait_for("the new one", lambda: self.seen(self.hti) == {"yolanda"})
        self.assertNotEqual(kept, given)


if __name__ == "__main__":
    unittest.main()
