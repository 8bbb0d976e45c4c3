#!/usr/bin/env python3
"""A register into a real node, and out of it. test_case_import.py BUILD [unittest args]"""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "tests" / "lib"))
from network import Network, wait_for  # noqa: E402

BUILD = Path()
EXAMPLE = SOURCE / "docs" / "examples"

# Many small rows, so that an import takes several requests.
MAP = """[register]
name = zz-many
date = DD/MM/YYYY
case = Code
ignore = Remarks
key = Visit
occurred_on = Day
recorded_by = "ZZ-hti-1"
office = "HTI"
[CASE_OPENED]
[CONTACT]
channel = "PHONE"
direction = "OUT"
result = Result
result.REACHED = Oui
result.NOT_REACHED = Non
"""


def table(cases, visits):
    """As a spreadsheet of Windows in France writes it."""
    rows = ["Code;Visit;Day;Result;Remarks"]
    for visit in range(visits):
        for case in range(cases):
            rows.append(f"zz-m-{case};{visit};{visit % 28 + 1:02}/03/2025;{'Oui' if case % 2 else 'Non'};"
                        f'"table; ""fenêtre""\nrivière {visit}"')
    return b"\xef\xbb\xbf" + ("\r\n".join(rows) + "\r\n").encode()


class Import(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="sauti-import-")
        cls.root = Path(cls.scratch.name)
        cls.network = Network(cls.root, BUILD, "test.example")
        cls.node = cls.network.init()
        cls.node.start()

    @classmethod
    def tearDownClass(cls):
        cls.network.stop()
        cls.scratch.cleanup()

    def put(self, name, data):
        path = self.root / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    def size(self):
        """Events of all cases; the log itself grows by what the ledger has to say, too."""
        return sum(case["events"] for case in self.node.json("case", "list"))

    def codes(self):
        return {case["code"] for case in self.node.json("case", "list")}

    def test_1_example(self):
        """The example of docs/IMPORT: shown, imported, imported again."""
        arguments = ["case", "import", EXAMPLE / "register.csv", "--map", EXAMPLE / "register.map"]
        before = self.size()
        dry = self.node.json(*arguments, "--dry-run")
        self.assertEqual([dry["events"], dry["new"], dry["known"], dry["cases_opened"]], [16, 16, 0, 3])
        self.assertEqual(dry["types"], {"CASE_OPENED": 3, "PERSON_RECORDED": 2, "CONSENT_RECORDED": 3,
                                        "CONSENT_REFUSED": 1, "NEEDS_ASSESSED": 1, "REFERRAL_MADE": 2,
                                        "CONTACT": 4})
        self.assertEqual([event["type"] for event in dry["first"]],
                         ["CASE_OPENED", "CONSENT_RECORDED", "CONSENT_RECORDED"])
        text = self.node.sauti(*arguments, "--dry-run")
        self.assertIn("nothing is recorded yet: 16 events, of which 16 are new and 0 are there", text.stdout)
        self.assertIn("       4  CONTACT\n", text.stdout)
        self.assertIn("4 rows of 3 cases make 16 events", text.stderr)
        self.assertEqual(self.size(), before)

        made = self.node.json(*arguments)
        self.assertEqual((made["events"], made["added"], made["known"], made["state"]["state"]),
                         (16, 16, 0, "durable here"))
        self.assertLessEqual({"ZZ-R-001", "ZZ-R-002", "ZZ-R-003"}, self.codes())
        shown = self.node.json("case", "show", "ZZ-R-001")
        self.assertEqual([event["type"] for event in shown["events"]].count("REFERRAL_MADE"), 2)
        notes = [event.get("note") for event in shown["events"]]
        self.assertIn("table fenêtre; rivière", notes)
        self.assertIn("papier\nmatin", notes)

        size = self.size()
        self.assertEqual(self.node.json(*arguments, "--dry-run")["new"], 0)
        self.assertEqual(self.node.json(*arguments), {"events": 16, "added": 0, "known": 16, "state": None})
        self.assertEqual(self.size(), size)

    def test_2_new_rows(self):
        """Next month's register: what is new is added, to cases that are there."""
        data = (EXAMPLE / "register.csv").read_bytes() + \
            "5;zz-r-003;ZZ-hti-1;02/05/2025;;;;;;;;;;Non;;;;;;Vue;;;ZZ\r\n".encode()
        path = self.put("more.csv", data)
        done = self.node.json("case", "import", path, "--map", EXAMPLE / "register.map")
        self.assertEqual([done["added"], done["known"]], [1, 16])
        shown = self.node.json("case", "show", "ZZ-R-003")
        self.assertEqual(shown["events"][-1]["occurred_on"], "2025-05-02")

    def test_3_changed_rows(self):
        """A row that says otherwise now is told of, and nothing is overwritten or recorded twice;
        not even where its date was changed, which is part of an id."""
        text = (EXAMPLE / "register.csv").read_text(encoding="utf-8-sig")
        text = text.replace("table fenêtre; rivière", "ciseaux").replace("2;ZZ-R-001;ZZ-hti-1;26/04/2025",
                                                              "2;ZZ-R-001;ZZ-hti-1;27/04/2025")
        arguments = ["case", "import", self.put("changed.csv", text), "--map", EXAMPLE / "register.map"]
        before = self.size(), self.node.json("case", "show", "ZZ-R-001")
        for dry in (["--dry-run"], []):
            done = self.node.sauti(*arguments, *dry)
            self.assertRegex(done.stderr, r"changed\.csv:3: CONTACT was recorded before, and says otherwise now "
                                          r"in: occurred_on\. Nothing is overwritten")
            self.assertRegex(done.stderr, r"changed\.csv:2: CONTACT .* in: note\. Nothing")
            self.assertIn("3 of its cases are there already", done.stderr)
            self.assertNotIn("ciseaux", done.stderr)
        self.assertIn("events added: 0, already there: 16", done.stdout)
        self.assertEqual(self.node.json(*arguments, "--dry-run")["changed"], 2)
        self.assertEqual((self.size(), self.node.json("case", "show", "ZZ-R-001")), before)
        # Corrected in Sauti, as the register has it: no more to be said.
        contact = [event for event in before[1]["events"] if event["type"] == "CONTACT"][0]
        correction = {"type": "CORRECTION", "case": "ZZ-R-001", "corrects": contact["event_id"], "office": "HTI",
                      "field": "note", "new_value": "ciseaux", "reason": "ERROR", "occurred_on": "2025-06-01"}
        self.node.json("case", "import", self.put("correction.jsonl", json.dumps(correction) + "\n"))
        self.assertEqual(self.node.json(*arguments, "--dry-run")["changed"], 1)

    def test_3_all_errors(self):
        """A bad file lists what is wrong, all of it, and records nothing; nor says what cells say."""
        before, codes = self.size(), self.codes()
        text = (EXAMPLE / "register.csv").read_text(encoding="utf-8-sig")
        text = text.replace("26/04/2025;01/02", "31/04/2025;01/02").replace(";Fille;", ";Filette;")
        text = text.replace("ZZ-R-003", "ZZ R 003")
        path = self.put("bad.csv", text)
        done = self.node.sauti("case", "import", path, "--map", EXAMPLE / "register.map", check=False)
        self.assertEqual(done.returncode, 1)
        lines = done.stderr.splitlines()
        self.assertRegex(lines[0], r"bad\.csv:3: column 'Interview date': occurred_on: no date of the calendar")
        self.assertRegex(lines[1], r"bad\.csv:5: column 'Sex': sex: found text of 7 bytes")
        self.assertRegex(lines[2], r"bad\.csv:6: column 'Survivor code': case code")
        self.assertRegex(lines[3], r"bad\.csv: 3 errors; nothing was recorded")
        for word in ("Filette", "R 003"):
            self.assertNotIn(word, done.stderr)
        self.assertEqual((self.size(), self.codes()), (before, codes))
        # What only the node can refuse, after lines that are good.
        path = self.put("rules.csv", "Code;Visit;Day;Result;Remarks\nZZ-N-1;1;01/03/2025;Oui;\n"
                                     "ZZ-N-1;2;01/03/2025;Oui;\n")
        rules = self.put("rules.map", MAP.replace("[CASE_OPENED]\n", "[CASE_OPENED]\nwhen = Visit is \"9\"\n"))
        done = self.node.sauti("case", "import", path, "--map", rules, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"rules\.csv:2: case: no case ZZ-N-1 is known here")
        self.assertEqual(self.size(), before)

    def test_4_usage(self):
        for arguments, says in [
                (["none.csv", "--map", EXAMPLE / "register.map"], "none.csv"),
                ([EXAMPLE / "register.csv", "--map", "none.map"], "none.map"),
                ([EXAMPLE / "register.map", "--map", EXAMPLE / "register.csv"], "register.csv:1: ")]:
            done = self.node.sauti("case", "import", *arguments, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn(says, done.stderr)

    def test_5_json_lines(self):
        lines = [{"type": "CASE_OPENED", "case_code": "ZZ-J-1", "occurred_on": "2025-01-01",
                  "office": "HTI"},
                 {"type": "CONTACT", "case": "ZZ-J-1", "occurred_on": "2025-01-02", "channel": "PHONE",
                  "direction": "OUT", "result": "REACHED", "office": "HTI"}]
        path = self.put("lines.jsonl", "\n".join(map(json.dumps, lines)) + "\n")
        before = self.size()
        dry = self.node.json("case", "import", path, "--dry-run")
        self.assertEqual([dry["events"], dry["new"], dry["types"]], [2, 2, {"CASE_OPENED": 1, "CONTACT": 1}])
        self.assertEqual(dry["first"][1]["case"], "ZZ-J-1")
        self.assertEqual(self.size(), before)
        self.assertNotIn("ZZ-J-1", self.codes())

    def test_6_kill(self):
        """kill -9 in the middle, again and again; at the end each row stands there once."""
        path, mapping = self.put("many.csv", table(40, 150)), self.put("many.map", MAP)
        events = 40 + 40 * 150
        interrupted = 0
        for more in (1, 2000, 1):
            before = self.size()
            importing = subprocess.Popen([BUILD / "sauti", "--dir", self.node.dir, "case", "import", path,
                                          "--map", mapping], stdout=subprocess.DEVNULL,
                                         stderr=subprocess.DEVNULL)
            wait_for("events of the import", lambda: self.size() >= before + more or
                     importing.poll() is not None)
            self.node.kill()
            interrupted += importing.wait(60) != 0
            self.node.start()
        self.assertGreater(interrupted, 0)
        done = self.node.json("case", "import", path, "--map", mapping)
        self.assertEqual(done["added"] + done["known"], events)
        counts = {case["code"]: case["events"] for case in self.node.json("case", "list")
                  if case["code"].startswith("ZZ-M-")}
        self.assertEqual(len(counts), 40)
        self.assertEqual(set(counts.values()), {151})
        ids = [event["event_id"] for event in self.node.json("case", "show", "ZZ-M-7")["events"]]
        self.assertEqual(len(set(ids)), 151)
        self.assertEqual(self.node.json("case", "import", path, "--map", mapping)["added"], 0)

    def test_7_sheet(self):
        """The victim's sheet of a case: its language, and the next contact."""
        path = self.put("sheet.jsonl", "\n".join(json.dumps(line) for line in [
            {"type": "CASE_OPENED", "case_code": "ZZ-S-1", "occurred_on": "2025-01-01",
             "preferred_language": "ht", "office": "HTI"},
            {"type": "CONTACT", "case": "ZZ-S-1", "occurred_on": "2025-01-02", "channel": "PHONE",
             "direction": "OUT", "result": "REACHED", "next_contact_due_on": "2099-02-03",
             "office": "HTI"}]) + "\n")
        self.node.json("case", "import", path)
        sheet = self.node.sauti("case", "sheet", "zz-s-1").stdout
        self.assertTrue(sheet.startswith("Dwa ou yo\n"), sheet)
        self.assertIn("3 fevriye 2099", sheet)
        for word in ("ZZ-S-1", "sauti", "HTI"):
            self.assertNotIn(word.lower(), sheet.lower())
        self.assertIn("12 mars 2099", self.node.sauti("case", "sheet", "ZZ-S-1", "--language", "fr",
                                                      "--next", "2099-03-12").stdout)

    def test_8_out_and_in(self):
        """What is exported as JSON lines, imported at a node that has nothing, is the same timeline;
        and a hand-over is a page of the case."""
        def timeline(node, code):
            ours = ("number", "synced", "safe", "state", "author", "contested", "changes")
            return [{k: v for k, v in event.items() if k not in ours}
                    for event in node.json("case", "show", code)["events"]]

        path = self.root / "out.jsonl"
        self.node.json("case", "export", "ZZ-R-001", "ZZ-R-003", "--to", path, "--purpose", "lorem")
        network = Network(self.root / "other", BUILD, "other.example")
        other = network.init()
        try:
            other.start()
            done = other.json("case", "import", path)
            self.assertEqual(done["known"], 0)
            for code in ("ZZ-R-001", "ZZ-R-003"):
                self.assertEqual(timeline(other, code), timeline(self.node, code))
        finally:
            network.stop()
        page = self.root / "page.html"
        self.node.json("case", "export", "ZZ-R-001", "--to", page, "--purpose", "lorem", "--format", "handover")
        text = page.read_text(encoding="utf-8")
        for piece in ("<h2>ZZ-R-001</h2>", "table fenêtre; rivière", "Referral R-health, medical: no answer yet",
                      "<td>keeping the case and helping with it</td>"):
            self.assertIn(piece, text)
        for piece in ("<script", "http://", "src=", "ZZ-R-003"):
            self.assertNotIn(piece, text)


if __name__ == "__main__":
    BUILD = Path(sys.argv.pop(1)).resolve()
    unittest.main()
