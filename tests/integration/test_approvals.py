#!/usr/bin/env python3
"""What is opened without consent, and the second officer: real nodes. test_approvals.py BUILD [unittest args]"""

import json
import os
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "tests" / "lib"))
from network import Network, wait_for  # noqa: E402

BUILD = Path()
HOUR_S = 3600
WHY = "zz lorem reason"


class Case(unittest.TestCase):
    """Headquarters and an office with one case, whose victim consented to nobody else."""

    others = ()

    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="sauti-test."))
        self.network = Network(self.root, BUILD, "test.example")
        try:
            self.hq = self.network.init()
            self.hq.start()
            self.node = self.network.join("caf", "CAF")
            self.nodes = [self.network.join(name, "COD") for name in self.others]
            for node in [self.node, *self.nodes]:
                node.start()
            self.first = self.node.json("officer", "list")[0]["officer"]
            self.node.sauti("case", "open", "--code", "ZZ-ONE", "--office", "CAF")
            day = self.node.json("case", "today")["on"]
            self.record({"type": "CONSENT_RECORDED", "purpose": "CASE_MGMT", "given_by": "VICTIM",
                         "form": "WRITTEN", "valid_until": "2099-12-31", "occurred_on": day})
            self.record({"type": "PROTECTION_CONCERN", "kind": "THREAT", "level": "IMMINENT", "occurred_on": day})
        except BaseException:
            self.tearDown()
            raise

    def tearDown(self):
        for node in self.network.nodes.values():
            if node.process is not None:
                node.kill()
        shutil.rmtree(self.root)

    def record(self, event):
        self.node.sauti("case", "import", "-", stdin=json.dumps({"case": "ZZ-ONE", **event}) + "\n")

    def prekeys_there(self, *nodes):
        """The office can seal mail for these."""
        for node in nodes:
            wait_for(f"{node.name} can be written to", lambda n=node: self.node.sauti(
                "mail", "send", "--to", n.name, "lorem", check=False).returncode == 0, 60)

    def report(self, *args, check=True, out="page", groups="protection", reason=WHY):
        return self.node.sauti("--json", "case", "report", "ZZ-ONE", "--authority", "ZZ-Authority",
                               "--legal-basis", "ZZ law 1", "--groups", groups, "--reason", reason,
                               "--out", self.root / out, *args, check=check)

    def ledger(self):
        return [e for e in self.node.json("ledger", "list") if e["type"] == "BREAK_GLASS"]

    def decisions(self):
        return [e["decision"] for e in self.ledger()]

    def counts(self, node=None):
        return (node or self.node).json("status")["approvals"]

    def one(self, node=None):
        return (node or self.node).json("approvals", "list")[0]

    def refused(self, result, text):
        self.assertNotEqual(result.returncode, 0)
        self.assertIn(text, result.stderr)

    def second_officer(self):
        """Another account of this node; runs sauti in its own session."""
        phrase, session = self.root / "phrase", self.root / "session-bo"
        phrase.touch(mode=0o600)
        phrase.write_text("the passphrase of bo\n")
        self.node.sauti("officer", "add", "bo", "--roles", "officer", "--new-passphrase-file", phrase)

        def bo(*args, check=True):
            return self.node.sauti(*args, check=check, env={**os.environ, "SAUTI_SESSION": str(session)})
        bo("unlock", "--officer", "bo", "--passphrase-file", phrase)
        return bo

    def ahead(self, hours):
        self.node.stop()
        self.node.env = {"LD_PRELOAD": str(BUILD / "tests" / "lib" / "clock.so"),
                         "CLOCK_AHEAD_S": str(hours * HOUR_S)}
        self.node.start(unlock=False)
        self.node.sauti("unlock", "--officer", self.first, "--passphrase-file", self.network.passphrase)


class Here(Case):
    def test_another_officer(self):
        """Never silent: the ledger, status, case and today at once; one's own word does not count."""
        head = json.loads(self.report().stdout)
        page = (self.root / "page").read_text()
        self.assertIn("threat", page)
        self.assertIn("ZZ law 1", page)
        self.assertNotIn("ZZ-ONE", page)
        self.assertEqual(self.decisions(), ["OPENED"])
        opened = self.ledger()[0]
        self.assertEqual((opened["to"], opened["groups"], opened["purpose"], opened["opening"]),
                         ("ZZ-Authority", ["protection"], WHY, head["opening"]))
        self.assertEqual(self.counts()["waiting"], 1)
        self.assertTrue(any("nobody has approved" in a for a in self.node.json("status")["alarms"]))
        self.assertIn("Opened without consent", self.node.sauti("case", "show", "ZZ-ONE").stdout)
        self.assertEqual(self.node.json("case", "today")["sections"]["openings"], 1)
        short = head["opening"][:8]
        self.refused(self.node.sauti("approvals", "approve", short, check=False), "whoever opened it")
        self.assertEqual(self.decisions(), ["OPENED", "NOT_COUNTED"])
        self.assertEqual(self.counts()["waiting"], 1)
        bo = self.second_officer()
        self.refused(bo("approvals", "approve", "0123", check=False), "nothing of that id")
        bo("approvals", "approve", short)
        wait_for("the ledger", lambda: self.decisions()[-1:] == ["APPROVED"])
        self.assertEqual(self.ledger()[-1]["approvers"], ["bo"])
        wait_for("the report in the case", lambda: any(
            e["type"] == "MANDATORY_REPORT" and e["second_approver"] == "bo"
            for e in self.node.json("case", "show", "ZZ-ONE")["events"]))
        self.assertEqual((self.counts()["waiting"], self.counts()["approved"]), (0, 1))
        self.refused(bo("approvals", "refuse", short, check=False), "decided already")
        self.node.sauti("approvals", "told", short)
        self.assertEqual(self.decisions()[-1], "TOLD")
        self.assertNotEqual(self.one()["victim_told_on"], "")
        # All of it is there after a lock and a restart.
        self.ahead(0)
        self.assertEqual((self.one()["state"], self.counts()["approved"]), ("APPROVED", 1))

    def test_refused(self):
        """A second officer who says no: withdrawn at once, and nothing of it in the case."""
        opening = json.loads(self.report().stdout)["opening"]
        self.second_officer()("approvals", "refuse", opening)
        self.assertEqual(self.decisions(), ["OPENED", "REFUSED"])
        self.assertEqual(self.counts()["refused"], 1)
        self.assertFalse(any(e["type"] == "MANDATORY_REPORT"
                             for e in self.node.json("case", "show", "ZZ-ONE")["events"]))

    def test_time(self):
        """After 72 hours it is withdrawn, flagged, and no approval counts any more."""
        opening = json.loads(self.report().stdout)["opening"]
        bo = self.second_officer()
        self.ahead(71)
        self.assertEqual(self.one()["state"], "WAITING")
        self.ahead(73)
        wait_for("the withdrawal", lambda: self.decisions()[-1:] == ["WITHDRAWN"], 150)
        self.assertEqual((self.one()["state"], self.counts()["withdrawn"]), ("WITHDRAWN", 1))
        self.assertIn("2 withdrawn" if self.counts()["withdrawn"] == 2 else "1 withdrawn",
                      self.node.sauti("today").stdout)
        self.assertIn("it is withdrawn", self.node.log)
        bo("unlock", "--officer", "bo", "--passphrase-file", self.root / "phrase")
        self.refused(bo("approvals", "approve", opening, check=False), "72 hours are over")
        self.assertEqual(self.decisions()[-1], "NOT_COUNTED")

    def test_what_is_asked(self):
        """Names only when the law names them; a reason, groups and a basis are needed; nothing is opened."""
        self.refused(self.report(groups="identity", check=False), "unless the law names it")
        self.refused(self.report(reason="", check=False), "say why")
        self.refused(self.report(groups="note", check=False), "nothing of the group note")
        self.refused(self.report("--ask", "nobody", check=False), "active member")
        self.assertEqual((self.ledger(), self.node.json("approvals", "list")), ([], []))
        self.assertFalse((self.root / "page").exists())


class Elsewhere(Case):
    others = ("rdc",)

    def test_another_office(self):
        """An officer of another office is asked and answers; whoever comes later does not count."""
        rdc = self.nodes[0]
        self.prekeys_there(self.hq, rdc)
        head = json.loads(self.report("--ask", "hq", "--ask", "rdc").stdout)
        self.assertEqual(head["asked"], ["hq", "rdc"])
        for node in (self.hq, rdc):
            wait_for(f"{node.name} is asked", lambda n=node: self.counts(n)["asked"] == 1, 60)
        asked = self.one(self.hq)
        self.assertEqual((asked["from"], asked["to"], asked["reason"], asked["case"]),
                         ("caf", "ZZ-Authority", WHY, ""))
        self.hq.sauti("approvals", "approve", head["opening"][:6])
        wait_for("the approval", lambda: self.one()["state"] == "APPROVED", 60)
        self.assertTrue(self.one()["decided_by"].endswith("@hq"))
        wait_for("the ledger", lambda: self.decisions() == ["OPENED", "APPROVED"])
        rdc.sauti("approvals", "refuse", head["opening"][:6])
        wait_for("the second word", lambda: self.node.json("status")["mail"]["refused"]["count"] == 1, 60)
        self.assertEqual((self.one()["state"], self.decisions()), ("APPROVED", ["OPENED", "APPROVED"]))
        self.refused(self.hq.sauti("approvals", "refuse", head["opening"][:6], check=False), "decided already")


class Keys(Case):
    """Keys for another office, in need."""

    others = ("rdc",)

    def setUp(self):
        super().setUp()
        self.rdc = self.nodes[0]
        self.prekeys_there(self.hq, self.rdc)
        for node in (self.rdc,):
            self.confirm(node)

    def confirm(self, node):
        """The first key goes there once its words were compared."""
        words = node.json("status")["words"]
        self.node.sauti("node", "confirm", node.name, "--words", stdin=words + "\n")

    def break_glass(self, *args, check=True, to="rdc", groups="protection"):
        return self.node.sauti("--json", "case", "break-glass", "ZZ-ONE", "--to", to, "--groups", groups,
                               "--reason", WHY, *args, check=check)

    def seen(self):
        """What the other office reads of the case."""
        shown = self.rdc.sauti("--json", "case", "show", "ZZ-ONE", check=False)
        return json.loads(shown.stdout)["events"] if shown.returncode == 0 else []

    def audit(self):
        return [(e["type"], e.get("basis", "")) for e in self.node.json("ledger", "list")
                if e["type"].startswith("ACCESS")]

    def concern(self):
        day = self.node.json("case", "today")["on"]
        self.record({"type": "PROTECTION_CONCERN", "kind": "THREAT", "level": "HIGH", "occurred_on": day})

    def test_approved(self):
        """The office reads what was recorded and what comes, once the ledger has it; approved, it stays."""
        self.refused(self.break_glass(to="caf", check=False), "here already")
        head = json.loads(self.break_glass().stdout)
        self.assertEqual((self.decisions(), self.audit()), (["OPENED"], [("ACCESS_GRANTED", "BREAK_GLASS")]))
        granted = [e for e in self.node.json("ledger", "list") if e["type"] == "ACCESS_GRANTED"][0]
        self.assertEqual(granted["mandate_ref"], head["opening"])
        self.assertNotIn("consent_ref", granted)
        wait_for("the keys", lambda: len(self.seen()) == 1, 60)
        self.refused(self.rdc.sauti("approvals", "approve", head["opening"][:8], check=False), "nothing of that id")
        wait_for("the question", lambda: self.counts(self.hq)["asked"] == 1, 60)
        self.hq.sauti("approvals", "approve", head["opening"][:8])
        wait_for("the approval", lambda: self.decisions() == ["OPENED", "APPROVED"], 60)
        self.concern()
        wait_for("what is new", lambda: len(self.seen()) == 2, 60)
        self.assertEqual(len(self.audit()), 1)

    def test_refused(self):
        """Refused, it is withdrawn: the ledger says so, and what comes after is not readable there."""
        head = json.loads(self.break_glass().stdout)
        wait_for("the keys", lambda: len(self.seen()) == 1, 60)
        wait_for("the question", lambda: self.counts(self.hq)["asked"] == 1, 60)
        self.hq.sauti("approvals", "refuse", head["opening"][:8])
        wait_for("the withdrawal", lambda: self.audit()[-1][0] == "ACCESS_REVOKED", 60)
        self.concern()
        wait_for("the log at the other office", lambda: self.network.behind({"caf": self.node, "rdc": self.rdc}) == [], 60)
        self.assertLess(len(self.seen()), 2)
        self.assertEqual(self.counts()["refused"], 1)


if __name__ == "__main__":
    BUILD = Path(sys.argv.pop(1)).resolve()
    unittest.main()
