"""An officer at the terminal: questions, drafts, refusals, and the same by options and pipes.

usage: test_cases_cli.py BUILD_DIR
"""

import itertools
import json
import os
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

from network import Network, build_dir  # noqa: E402
from terminal import Terminal  # noqa: E402

BUILD = build_dir(sys.argv.pop(1) if len(sys.argv) > 1 else "build-dev")
WORD = "quillfeather"  # in no other text of the node


NUMBERS = itertools.count(1)
OFFICE = {}


def setUpModule():
    """One office for all of it."""
    OFFICE["scratch"] = tempfile.TemporaryDirectory(prefix="sauti-cases-")
    network = OFFICE["network"] = Network(OFFICE["scratch"].name, BUILD)
    hq = network.init()
    hq.start()
    OFFICE["node"] = network.join("haiti", "HTI")
    OFFICE["node"].start()
    hq.stop()


def tearDownModule():
    OFFICE["network"].stop()
    OFFICE["scratch"].cleanup()


class Cases(unittest.TestCase):
    def setUp(self):
        self.node = OFFICE["node"]
        for draft in self.drafts():
            self.node.sauti("case", "drafts", "--discard", draft["draft"])

    def open_case(self):
        code = f"ZZ-{next(NUMBERS):03}"
        self.node.json("case", "open", "--code", code, "--on", "2024-01-01")
        return code

    def consent(self, code, purpose, *args):
        self.node.sauti("case", "add", code, "consent", "--purpose", purpose, "--given-by", "victim",
                        "--form", "written", "--on", "2024-01-01", "--valid-from", "2024-01-01",
                        "--valid-until", "+365d", *args)

    def events(self, code):
        return self.node.json("case", "show", code)["events"]

    def last(self, code, kind):
        return [e for e in self.events(code) if e["type"] == kind][-1]

    def terminal(self, *args, columns=80, **env):
        whole = {"PATH": os.environ["PATH"], "TERM": "xterm", "LANG": "C.UTF-8", **env}
        whole.update({k: v for k, v in os.environ.items() if "SAN_OPTIONS" in k})
        return Terminal([BUILD / "sauti", "--dir", self.node.dir, *args], whole, columns)

    def drafts(self):
        return self.node.json("case", "drafts")


class Options(Cases):
    def test_fields(self):
        code = self.open_case()
        self.consent(code, "case_mgmt")
        done = self.node.sauti("case", "add", code, "contact", "--channel", "phone", "--direction",
                               "OUT", "--result=reached", "--topics", "services,case status",
                               "--next-contact-due-on", "2099-12-10", "--on", "2024-02",
                               "--language", "ht", "--note-from", "-", stdin="lorem\nipsum\n")
        self.assertEqual(done.stdout, f"recorded in {code}: Contact; durable here\n")
        event = self.last(code, "CONTACT")
        for name, value in {"channel": "PHONE", "direction": "OUT", "result": "REACHED",
                            "topics": ["SERVICES", "CASE_STATUS"], "occurred_on": "2024-02",
                            "next_contact_due_on": "2099-12-10", "language": "ht",
                            "note": "lorem\nipsum"}.items():
            self.assertEqual(event[name], value)
        # The full name of a type will do, and a day in words; without one it is today.
        self.node.sauti("case", "add", code, "CONTACT", "--channel", "sms", "--direction", "in",
                        "--result", "reached")
        self.assertRegex(self.last(code, "CONTACT")["occurred_on"], r"^20\d\d-\d\d-\d\d$")

    def refused(self, *args, code=2, stdin=None):
        done = self.node.sauti("case", "add", *args, check=False, stdin=stdin)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(done.stdout, "")
        return done.stderr

    def test_refusals(self):
        code = self.open_case()
        before = len(self.events(code))
        contact = [code, "contact", "--channel", "phone", "--direction", "out"]
        self.assertIn("no type of event 'pigeon'", self.refused(code, "pigeon", "--channel", "phone"))
        self.assertIn("contact has no --purpose", self.refused(*contact, "--purpose", "MEDIA"))
        self.assertIn("unknown option '--pigeon'", self.refused(*contact, "--pigeon", "1"))
        self.assertIn("REACHED, NOT_REACHED", self.refused(*contact, "--result", "2"))
        self.assertIn("next_contact_due_on",
                      self.refused(*contact, "--next-contact-due-on", "2026-02-30"))
        # Text is not for arguments, and is never repeated.
        text = self.refused(*contact, "--note", WORD)
        self.assertIn("--note-from FILE", text)
        self.assertNotIn(WORD, text)
        self.assertIn("--names-from FILE", self.refused(code, "person", "--role", "victim", "--names",
                                                        WORD))
        self.assertIn("what is to be recorded?", self.refused(code))
        self.assertIn("what is to be recorded?", self.refused())
        self.assertIn("enough", self.refused(code, "contact", "--type", "CONTACT"))
        self.assertEqual(len(self.events(code)), before)

    def test_named_like_an_option(self):
        """--from is a file of events, and a field of an assignment."""
        code = self.open_case()
        self.node.sauti("case", "add", code, "assignment", "--officer-key", "zz-amara", "--role",
                        "backup", "--from", "today", "--to", "+14d")
        event = self.last(code, "OFFICER_ASSIGNED")
        self.assertEqual((event["officer_key"], event["role"]), ("zz-amara", "BACKUP"))
        self.assertLess(event["from"], event["to"])
        self.node.sauti("case", "add", code, "--from", "-", stdin=json.dumps(
            {"type": "CONTACT", "channel": "SMS", "direction": "IN", "result": "REACHED"}))
        self.assertEqual(self.last(code, "CONTACT")["channel"], "SMS")

    def test_types(self):
        everything = self.node.sauti("case", "types").stdout
        for word in ("Contact\n  contact", "Rights and consent\n", "referral", "concern"):
            self.assertIn(word, everything)
        self.assertNotIn("break-glass", everything)
        one = self.node.sauti("case", "types", "contact").stdout
        self.assertIn("--next-contact-due-on", one)
        self.assertRegex(one, r"NOTHING_NEW +that there is nothing new")
        own = self.node.sauti("case", "add", "contact", "--help").stdout
        self.assertIn("--next-contact-due-on", own)
        self.assertIn("Types of events", self.node.sauti("case", "add", "--help").stdout)
        schema = json.loads(self.node.sauti("case", "types", "--json-schema").stdout)
        self.assertIn("$schema", schema)


class Asked(Cases):
    def ask(self, *args, answers, check=True):
        """Answers from a pipe."""
        return self.node.sauti("case", "add", *args, "--ask", stdin="\n".join(answers) + "\n",
                               check=check)

    def test_contact(self):
        code = self.open_case()
        self.consent(code, "case_mgmt")
        with self.terminal("case", "add", code, "contact") as terminal:
            self.assertIn("today] > ", terminal.answer(""))
            asked = terminal.answer("pigeon")
            self.assertIn("How?", asked)
            self.assertIn("2  telephone", asked)
            self.assertIn("a number from 1 to 5", terminal.answer("2"))
            self.assertIn("Who got in touch?", terminal.answer("<"))
            self.assertIn("How?", terminal.answer("text"))       # the beginning of "text message"
            terminal.answer("")                                  # we got in touch
            terminal.answer("not reached")
            asked = terminal.answer("?")                         # nothing was told: not asked
            self.assertIn("next contact", asked)
            self.assertIn("YYYY-MM-DD", terminal.answer("+14d"))
            terminal.answer("lorem")
            terminal.answer("ipsum")
            terminal.answer("")
            asked = terminal.answer("y")
            for line in ("channel: text message", "result: not reached", "note: lorem", "Record this?"):
                self.assertIn(line, asked)
            self.assertEqual(terminal.end(), 0, terminal.screen)
            self.assertIn(f"recorded in {code}: Contact", terminal.screen)
            self.assertIn("\033[1m", terminal.screen)
        event = self.last(code, "CONTACT")
        self.assertEqual((event["channel"], event["direction"], event["result"]),
                         ("SMS", "OUT", "NOT_REACHED"))
        self.assertEqual(event["note"], "lorem\nipsum")
        self.assertNotIn("topics", event)
        self.assertEqual(self.drafts(), [])

    def test_no_colours(self):
        code = self.open_case()
        for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
            with self.terminal("case", "add", code, "contact", **env) as terminal:
                terminal.prompt()
                self.assertNotIn("\033", terminal.screen)

    def test_narrow(self):
        code = self.open_case()
        self.consent(code, "case_mgmt")
        with self.terminal("case", "add", code, "needs", columns=44) as terminal:
            terminal.answer("")
            for line in terminal.prompt().splitlines():
                self.assertLessEqual(len(line.replace("\033[1m", "").replace("\033[0m", "")), 44)

    def test_enough_and_given(self):
        """What was an option is not asked; '.' leaves the rest as it is."""
        code = self.open_case()
        done = self.ask(code, "consent", "--purpose", "case_mgmt", answers=["", "yesterday", ".", "y"])
        self.assertNotIn("Consent to what?", done.stderr)
        event = self.last(code, "CONSENT_RECORDED")
        self.assertEqual((event["purpose"], event["given_by"], event["form"]),
                         ("CASE_MGMT", "VICTIM", "ORAL_WITNESSED"))
        self.assertIn("valid_until", event)
        self.assertNotIn("withhold_from", event)

    def test_required(self):
        code = self.open_case()
        done = self.ask(code, "contact", answers=["", "", "", "1", ".", "y"])
        self.assertEqual(done.stderr.count("This one is needed."), 2)

    def test_case_and_type(self):
        """Neither is given: the case of the last days, the type by theme."""
        code = self.open_case()
        with self.terminal("case", "add") as terminal:
            self.assertIn("Which case?", terminal.answer(code.lower()))
            self.assertIn("1  Contact", terminal.answer("contact"))
            self.assertIn("The victim's view", terminal.answer("1"))
            self.assertIn("When was it?", terminal.prompt())
        with self.terminal("case", "add", "contact") as terminal:
            self.assertIn("Which case?", terminal.answer(code))
            self.assertIn("When was it?", terminal.prompt())

    def test_open(self):
        """Three questions, and none where there is nobody to ask."""
        with self.terminal("case", "open") as terminal:
            self.assertIn("How did it come in?", terminal.answer(""))
            self.assertIn("Which language", terminal.answer("ht"))
            self.assertIn("safe to get in touch", terminal.answer("phone"))
            self.assertIn("Record this?", terminal.answer(""))
            self.assertEqual(terminal.end(), 0, terminal.screen)
        code = terminal.screen.splitlines()[-1].split()[0]
        event = self.last(code, "CASE_OPENED")
        self.assertEqual((event["intake_channel"], event["preferred_language"],
                          event["safe_contact_method"]), ("IN_PERSON", "ht", "PHONE"))
        code = self.node.json("case", "open", "--preferred-language", "sg")["code"]
        self.assertEqual(self.last(code, "CASE_OPENED")["preferred_language"], "sg")

    def test_from_the_case(self):
        """What the case knows is offered; ids are counted, and never typed."""
        code = self.open_case()
        self.consent(code, "case_mgmt")
        self.consent(code, "referral", "--recipients", "ZZ-clinic", "--groups", "contact,health",
                     "--services", "med")
        done = self.ask(code, "referral", answers=["", "medical", "ZZ-clinic", "", "", "", "contact",
                                                   "", "", "y"])
        self.assertRegex(done.stderr, r"On which consent\?\n.*referral to a service, until")
        event = self.last(code, "REFERRAL_MADE")
        self.assertEqual(event["referral_id"], "R-1")
        self.assertEqual(event["consent_ref"], self.last(code, "CONSENT_RECORDED")["event_id"])
        done = self.ask(code, "answer", answers=["", "", "accepted", "", "", "", "y"])
        self.assertIn("R-1: medical, no answer yet", done.stderr)
        self.assertEqual(self.last(code, "REFERRAL_ANSWERED")["referral_id"], "R-1")

    def test_named_by_number(self):
        """An option takes what case show prints: no id of an event is ever looked up."""
        code = self.open_case()
        self.consent(code, "case_mgmt")
        self.consent(code, "referral", "--recipients", "ZZ-clinic", "--groups", "services",
                     "--services", "legal")
        consent = self.last(code, "CONSENT_RECORDED")["event_id"]
        add = ["case", "add", code, "referral", "--service-code", "legal", "--to-org", "ZZ-clinic",
               "--consent-ref"]
        for name in ("C-2", "c-2", "#3"):
            self.node.sauti(*add, name)
            self.assertEqual(self.last(code, "REFERRAL_MADE")["consent_ref"], consent)
        for name in ("C-9", "#99", "#x", "C-"):
            self.assertIn(f"there is no '{name}' in this case",
                          self.node.sauti(*add, name, check=False).stderr)

    def test_a_day_to_come(self):
        """Nothing has happened tomorrow week: the year was mistyped."""
        code = self.open_case()
        done = self.node.sauti("case", "add", code, "contact", "--channel", "phone", "--direction",
                               "out", "--result", "reached", "--on", "+7d", check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("is yet to come", done.stderr)
        done = self.ask(code, "contact", answers=["+7d", "yesterday", "phone", ".", "y"])
        self.assertIn("that day is yet to come: when did it happen?", done.stderr)
        self.assertEqual(len(self.events(code)), 2)

    def test_warned(self):
        """That no consent names the recipient is said as soon as it is known, and can be mended."""
        code = self.open_case()
        self.consent(code, "case_mgmt")
        self.consent(code, "referral", "--recipients", "ZZ-clinic")
        with self.terminal("case", "add", code, "referral") as terminal:
            for answer in ("", "shelter", "ZZ-elsewhere", "", "", ""):
                terminal.answer(answer)
            asked = terminal.answer("<")
            self.assertIn("As it stands this would be refused:", asked)
            self.assertIn("REFERRAL", asked)
            for answer in ("<", "<", "<", "ZZ-clinic", "", "", "", "."):
                asked = terminal.answer(answer)
                self.assertNotIn("would be refused", asked)
            terminal.answer("")
            self.assertEqual(terminal.end(), 0, terminal.screen)
        self.assertEqual(self.last(code, "REFERRAL_MADE")["to_org"], "ZZ-clinic")

    def test_unusual_lines(self):
        code = self.open_case()
        done = self.ask(code, "contact", answers=["", "x" * 20000, "\033[A", "2", ".", "y"])
        self.assertIn("that is too long", done.stderr)
        self.assertIn("keys in it that are no text", done.stderr)

    def test_end_of_input(self):
        code = self.open_case()
        done = self.node.sauti("case", "add", code, "contact", "--ask", stdin="\n2\n", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("your answers are kept", done.stderr)
        number = self.drafts()[0]["draft"]
        self.node.sauti("case", "drafts", "--discard", number)
        self.assertEqual(self.drafts(), [])

    def test_interrupt(self):
        code = self.open_case()
        with self.terminal("case", "add", code, "contact") as terminal:
            terminal.answer("")
            terminal.prompt()
            terminal.type("\x03")
            self.assertEqual(terminal.end(), 1)
            self.assertRegex(terminal.screen, r"your answers are\s+kept\. Go on with:\s+sauti\s+case\s+add")

    def test_refused_at_the_end(self):
        """What the node refuses can be mended: nothing is typed twice."""
        code = self.open_case()
        with self.terminal("case", "add", code, "contact") as terminal:
            for answer in ("", "phone", "", "", "", "", "+14d"):
                terminal.answer(answer)
            self.assertIn("Record this?", terminal.prompt())
            self.node.sauti("lock")
            terminal.answer("")
            asked = terminal.answer("")
            self.assertIn("It could not be recorded:", asked)
            self.assertIn("Try again?", asked)
            self.node.unlock()
            self.assertIn("Record this?", terminal.answer(""))
            self.assertEqual(terminal.end(), 0, terminal.screen)
        self.assertEqual(self.last(code, "CONTACT")["channel"], "PHONE")
        self.assertEqual(self.drafts(), [])

    def test_a_slip(self):
        """A case code with a slip of the tongue in it says so."""
        code = self.node.json("case", "open")["code"]
        wrong = code[:-1] + ("A" if code[-1] != "A" else "B")
        self.assertIn("is there a slip in it?",
                      self.node.sauti("case", "show", wrong, check=False).stderr)
        self.assertIn("is there a slip in it?",
                      self.node.sauti("case", "add", wrong, "contact", "--channel", "phone",
                                      check=False).stderr)

    def test_no_consent(self):
        """A refusal comes before the first question, and says what to do."""
        code = self.open_case()
        done = self.ask(code, "referral", answers=[""] * 20, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("needs the victim's consent (keeping the case", done.stderr)
        self.assertIn(f"sauti case add {code} consent", done.stderr)
        self.assertNotIn("When was it?", done.stderr)
        self.consent(code, "case_mgmt")
        self.assertIn("referral to a service", self.ask(code, "referral", answers=[""] * 20,
                                                     check=False).stderr)
        self.assertIn("paternity", self.ask(code, "claim", answers=[""] * 20, check=False).stderr)
        self.node.sauti("case", "close", code, "--reason", "victim-request", "--victim-agreed", "y")
        self.assertIn("the case is closed", self.ask(code, "contact", answers=[""] * 20,
                                                     check=False).stderr)
        self.node.sauti("case", "reopen", code, "--reason", "new-need")
        self.assertIn("no open referral", self.ask(code, "answer", answers=[""] * 20,
                                                   check=False).stderr)


class Show(Cases):
    def test_timeline(self):
        """Newest first, texts for codes, what the case is now above it."""
        code = self.open_case()
        self.consent(code, "case_mgmt")
        self.node.sauti("case", "add", code, "contact", "--channel", "via-focal-point", "--direction",
                        "out", "--result", "reached", "--next-contact-due-on", "+14d", "--note-from",
                        "-", stdin="lorem\nipsum\n")
        text = self.node.sauti("case", "show", code).stdout
        head, *rest = text.split("\n\n")
        self.assertTrue(head.startswith(code + "  "), head)
        for words in ("led by", "next contact", "(in 14 days)", "Live consents", "newest entry: durable here",
                      "keeping the case and helping with it"):
            self.assertIn(words, head)
        self.assertEqual([line.split()[0] for line in rest], ["#3", "#2", "#1"])
        self.assertIn("channel: through a focal point; direction: we got in touch", rest[0])
        self.assertIn("note: lorem\n     ipsum", rest[0])
        oldest = self.node.sauti("case", "show", code, "--oldest-first").stdout.split("\n\n")
        self.assertEqual([line.split()[0] for line in oldest[1:]], ["#1", "#2", "#3"])
        self.assertNotIn("\033", text)
        for line in text.splitlines():
            self.assertLessEqual(len(line), 80)
        self.assertEqual([e["number"] for e in self.events(code)], [1, 2, 3])

    def test_correct(self):
        code = self.open_case()
        self.node.sauti("case", "add", code, "contact", "--channel", "phone", "--direction", "out",
                        "--result", "reached")
        done = self.node.sauti("case", "correct", code, "#2", "--field", "channel", "--value", "sms",
                               "--reason", "error")
        self.assertIn("#2 Contact, channel", done.stdout)
        self.assertIn("channel: ~~telephone~~ -> text message;",
                      self.node.sauti("case", "show", code).stdout)
        with self.terminal("case", "show", code) as terminal:
            self.assertEqual(terminal.end(), 0)
            self.assertIn("\033[9mtelephone\033[0m -> text message", terminal.screen)
        # Asked for; and what it says already is no correction.
        with self.terminal("case", "correct", code) as terminal:
            self.assertIn("Contact", terminal.answer("#2"))
            self.assertIn("channel: text message", terminal.answer("result"))
            terminal.answer("not reached")
            terminal.answer("1")
            self.assertEqual(terminal.end(), 0, terminal.screen)
        self.assertRegex(self.node.sauti("case", "show", code).stdout,
                         r"result:\s+~~reached~~ -> not reached")
        for args, says in [
            (["#2", "--field", "channel", "--value", "SMS", "--reason", "error"], "says already"),
            (["#99", "--field", "channel", "--value", "SMS", "--reason", "error"], "no event '#99'"),
            (["#3", "--field", "reason", "--value", "error", "--reason", "error"], "correction itself"),
            (["2", "--field", "pigeon", "--value", "SMS", "--reason", "error"], "no field 'pigeon'"),
            (["2", "--field", "channel", "--value", "pigeon", "--reason", "error"], "channel"),
            (["2", "--field", "note", "--value", WORD, "--reason", "error"], "--value-from"),
            (["2", "--field", "channel", "--value", "SMS"], "--reason error"),
            (["2", "--field", "channel"], "--value"),
            (["2"], "--field"),
            ([], "which EVENT?"),
        ]:
            with self.subTest(args=args):
                bad = self.node.sauti("case", "correct", code, *args, check=False)
                self.assertNotEqual(bad.returncode, 0)
                self.assertIn(says, bad.stderr)
                self.assertNotIn(WORD, bad.stderr)
        self.consent(code, "case_mgmt")
        self.node.sauti("case", "correct", code, "2", "--field", "note", "--value-from", "-",
                        "--reason", "new-info", stdin="lorem")
        self.assertIn("note: -> lorem", self.node.sauti("case", "show", code).stdout)

    def test_correct_the_day(self):
        """The event again, with all it says by now, in the place of the first."""
        code = self.open_case()
        self.consent(code, "case_mgmt")
        self.node.sauti("case", "add", code, "contact", "--channel", "phone", "--direction", "out",
                        "--result", "reached", "--note-from", "-", "--on", "2024-03-02",
                        stdin="lorem")
        self.node.sauti("case", "correct", code, "#3", "--field", "channel", "--value", "sms",
                        "--reason", "error")
        day = ["case", "correct", code, "#3", "--field", "occurred_on", "--value"]
        self.assertIn("#3 Contact, recorded anew", self.node.sauti(*day, "2024-02-03").stdout)
        new, old = sorted((e for e in self.events(code) if e["type"] == "CONTACT"),
                          key=lambda e: e["number"], reverse=True)
        self.assertEqual((new["occurred_on"], new["channel"], new["note"]),
                         ("2024-02-03", "SMS", "lorem"))
        self.assertEqual((old["occurred_on"], old["superseded_by"]),
                         ("2024-03-02", new["event_id"]))
        shown = self.node.sauti("case", "show", code).stdout
        self.assertIn("replaced by #5", shown)
        self.assertIn("last contact 2024-02-03", shown)
        for event, value, says in (("#2", "2024-01-02", "the day of #2 stays: "),
                                   ("#1", "2024-01-02", "the day of #1 stays: "),
                                   ("#5", "+7d", "yet to come"),
                                   ("#5", "2024-02-03", "says already")):
            done = self.node.sauti("case", "correct", code, event, "--field", "occurred_on",
                                   "--value", value, check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(says, done.stderr)
        self.assertEqual(len(self.events(code)), 5)
        with self.terminal("case", "correct", code) as terminal:
            terminal.answer("#5")
            self.assertIn("the day: 2024-02-03", terminal.answer("the day"))
            terminal.answer("2024-02-04")
            self.assertEqual(terminal.end(), 0, terminal.screen)

    def test_conflict(self):
        """Two who did not know of each other correct one field: seen, and resolved by an event."""
        code = self.open_case()
        self.node.sauti("case", "add", code, "--from", "-", stdin=json.dumps(
            {"type": "CONTACT", "channel": "PHONE", "direction": "OUT", "result": "REACHED",
             "parents": [self.last(code, "CASE_OPENED")["event_id"]]}))
        contact = self.last(code, "CONTACT")["event_id"]
        self.assertIn("no conflict", self.node.sauti("case", "resolve", code, check=False).stderr)
        for value in ("SMS", "LETTER"):
            self.node.sauti("case", "add", code, "--from", "-", stdin=json.dumps(
                {"type": "CORRECTION", "corrects": contact, "field": "channel", "new_value": value,
                 "reason": "ERROR", "parents": [contact]}))
        text = self.node.sauti("case", "show", code).stdout
        self.assertIn("CONFLICTS: 1, to be resolved: sauti case resolve " + code, text)
        self.assertRegex(text, r"#4 .*Correction .*CONFLICT with #3")
        self.assertRegex(text, r"#3 .*Correction .*CONFLICT with #4")
        self.assertIn("in no conflict", self.node.sauti("case", "resolve", code, "#1", check=False).stderr)
        with self.terminal("case", "resolve", code) as terminal:
            asked = terminal.answer("#3")
            self.assertIn("Which one holds?", asked)
            self.assertRegex(asked, r"#4 .* Correction, channel: letter, by ")
            self.assertEqual(terminal.end(), 0, terminal.screen)
        text = self.node.sauti("case", "show", code).stdout
        self.assertNotIn("CONFLICT with", text)
        self.assertRegex(text, r"#4 .*Correction .*overruled by #5")
        self.assertIn("channel: ~~telephone~~ -> text message -> ~~letter~~", text)

    def test_the_case_itself(self):
        code = self.open_case()
        self.assertIn("no 'zz-amara' can unlock this node",
                      self.node.sauti("case", "assign", code, "zz-amara").stderr)
        self.assertIn("led by zz-amara", self.node.sauti("case", "show", code).stdout)
        self.node.sauti("case", "assign", code, "zz-benoit", "--role", "backup", "--to", "+14d")
        self.assertEqual(self.last(code, "OFFICER_ASSIGNED")["role"], "BACKUP")
        self.node.sauti("case", "close", code, "--reason", "victim-request", "--victim-agreed", "y")
        self.assertIn("closed", self.node.sauti("case", "show", code).stdout)
        self.node.sauti("case", "reopen", code, "--reason", "new-need")
        with self.terminal("case", "close", code) as terminal:
            terminal.answer("")
            self.assertIn("Why is it closed?", terminal.prompt())


class Lists(Cases):
    def test_today(self):
        code = self.open_case()
        self.consent(code, "case_mgmt")
        self.node.sauti("case", "add", code, "contact", "--channel", "phone", "--direction", "out",
                        "--result", "reached", "--next-contact-due-on", "+14d")
        for words in (["today"], ["case", "today"]):
            text = self.node.sauti(*words).stdout
            self.assertIn("Not held by the quorum yet", text)
            self.assertNotIn("Overdue contacts\n  " + code, text)
        later = self.node.sauti("today", "--all", "--on", "+21d").stdout
        self.assertRegex(later, rf"Overdue contacts\n(  .*\n)*  {code}  agreed for [0-9-]+, 7 days ago")
        self.assertRegex(self.node.sauti("today", "--all", "--on", "+350d").stdout,
                         rf"end soon\n(  .*\n)*  {code}  keeping the case and helping with it: ")
        whole = self.node.json("today", "--on", "+21d")
        self.assertIn((code, "overdue_contacts"), [(i["code"], i["section"]) for i in whole["items"]])
        self.assertGreaterEqual(whole["cases"], 1)
        for _ in range(13):
            self.open_case()
        self.assertIn("more: sauti today --all", self.node.sauti("today").stdout)
        self.assertNotIn("more: sauti", self.node.sauti("today", "--all").stdout)
        self.assertNotIn("sauti case drafts", self.node.sauti("today").stdout)
        self.node.sauti("case", "add", code, "contact", "--ask", stdin="\nletter\n", check=False)
        self.assertTrue(self.node.sauti("today").stdout.endswith(
            "\n1 draft is not recorded yet: sauti case drafts\n"))
        bad = self.node.sauti("today", "--on", "soon", check=False)
        self.assertEqual(bad.returncode, 2)
        self.assertIn("--on is a day", bad.stderr)

    def found(self, *args):
        return [c["code"] for c in self.node.json("case", "find", *args)]

    def test_list_and_find(self):
        one, two = self.open_case(), self.open_case()
        self.consent(one, "case_mgmt")
        self.node.sauti("case", "add", one, "concern", "--kind", "threat", "--level", "imminent")
        self.consent(one, "paternity")
        self.node.sauti("case", "add", one, "claim", "--claim-kind", "both", "--claimant", "mother")
        self.node.sauti("case", "assign", two, "zz-findme")
        self.node.sauti("case", "add", two, "contact", "--channel", "phone", "--direction", "out",
                        "--result", "reached", "--next-contact-due-on", "+3d")
        text = self.node.sauti("case", "list").stdout
        self.assertTrue(text.startswith("CODE "), text)
        self.assertRegex(text, rf"{one} .* 1 IMMINENT concern, 1 claim")
        self.assertRegex(text, rf"{two} .* contact only")
        self.assertEqual(self.found("--officer", "zz-findme"), [two])
        self.assertIn(one, self.found("--imminent"))
        self.assertNotIn(two, self.found("--imminent"))
        self.assertIn(one, self.found("--open-claims"))
        self.assertNotIn(one, self.found("--open-referrals"))
        self.assertIn(two, self.found("--due-before", "+4d"))
        self.assertNotIn(two, self.found("--due-before", "+3d"))
        self.assertEqual(self.found(one.lower()), [one])
        self.assertEqual(self.found("ZZ-NOSUCH"), [])
        self.assertEqual(self.node.sauti("case", "find", "ZZ-NOSUCH").stdout, "no cases\n")
        with self.terminal("case", "list", columns=60) as terminal:
            self.assertEqual(terminal.end(), 0)
            self.assertNotIn("LAST CONTACT", terminal.screen)
            self.assertIn("OPEN", terminal.screen)
        due = [c["next_due_on"] for c in self.node.json("case", "list", "--sort", "due")]
        known = [d for d in due if d]
        self.assertEqual(due, sorted(known) + [""] * (len(due) - len(known)))
        for args, says in ((["--stage", "pigeon"], "--stage is"), (["--due-before", "soon"], "is a day"),
                           (["--sort", "pigeon"], "--sort is")):
            bad = self.node.sauti("case", "find", *args, check=False)
            self.assertEqual(bad.returncode, 2)
            self.assertIn(says, bad.stderr)


class Drafts(Cases):
    def on_disk(self, word):
        """Files of the node that hold the word."""
        found = []
        for path in self.node.dir.rglob("*"):
            if path.is_file() and word.encode() in path.read_bytes():
                found.append(path)
        return found

    def test_power_cut(self):
        """kill -9 of both at once: on the disk no plaintext, and all but the last answer is there."""
        code = self.open_case()
        self.consent(code, "case_mgmt")
        with self.terminal("case", "add", code, "contact") as terminal:
            terminal.answer("yesterday")
            terminal.answer("letter")
            terminal.answer("")
            terminal.answer("reached")
            terminal.answer("1")
            terminal.answer("")
            terminal.answer("+14d")
            terminal.answer(WORD)
            terminal.answer("")
            self.assertIn("Record this?", terminal.prompt())
            terminal.kill()
        self.node.kill()
        self.assertEqual(self.on_disk(WORD), [])
        self.assertEqual(self.on_disk("LETTER"), [])
        self.node.start(unlock=False)
        locked = self.node.sauti("case", "drafts", check=False)
        self.assertEqual(locked.returncode, 5)
        self.node.unlock()
        drafts = self.drafts()
        self.assertEqual([(d["case"], d["type"]) for d in drafts], [(code, "Contact")])
        self.assertIn(code, self.node.sauti("case", "drafts").stdout)
        with self.terminal("case", "add", "--resume") as terminal:
            asked = terminal.answer("")
            self.assertIn("channel: letter", asked)
            self.assertIn(WORD, asked)
            self.assertEqual(terminal.end(), 0, terminal.screen)
        self.assertEqual(self.last(code, "CONTACT")["note"], WORD)
        self.assertEqual(self.drafts(), [])
        self.assertEqual(list((self.node.dir / "drafts").iterdir()), [])

    def test_another_officer(self):
        """A draft is its officer's own: to others there is none."""
        phrase = Path(OFFICE["scratch"].name) / "amara"
        phrase.touch(mode=0o600)
        phrase.write_text("seven herons over the lagoon\n", encoding="ascii")
        self.node.sauti("officer", "add", "amara", "--roles", "officer", "--new-passphrase-file", phrase)
        self.addCleanup(self.node.sauti, "officer", "disable", "amara")
        env = {**os.environ, "SAUTI_SESSION": str(Path(OFFICE["scratch"].name) / "amara.session")}

        def amara(*args, stdin=None):
            return self.node.sauti(*args, stdin=stdin, check=False, env=env)

        self.assertEqual(amara("unlock", "--officer", "amara", "--passphrase-file", phrase).returncode, 0)
        code = self.open_case()
        self.node.sauti("case", "assign", code, "amara", "--role", "backup")
        self.node.sauti("case", "add", code, "contact", "--ask", stdin="\nletter\n", check=False)
        number = self.drafts()[0]["draft"]
        self.assertEqual(amara("case", "drafts").stdout, "no drafts\n")
        for args in (["case", "drafts", "--discard", number], ["case", "add", "--resume", number, "--ask"]):
            done = amara(*args, stdin="\n")
            self.assertEqual(done.returncode, 1)
            self.assertIn("you have no draft of that number", done.stderr)
        amara("case", "add", code, "contact", "--ask", stdin="\nsms\n")
        self.assertEqual([d["draft"] for d in self.drafts()], [number])
        amara("case", "drafts", "--discard", "2" if number == 1 else "1")
        self.assertEqual(amara("case", "drafts").stdout, "no drafts\n")
        mine = amara("case", "open").stdout.split()[0]
        self.assertEqual(self.node.sauti("case", "assign", mine, "amara").stderr, "")
        slip = amara("case", "assign", mine, "Haiti")
        self.assertEqual(slip.returncode, 1)
        self.assertIn("nobody but a supervisor would see the case", slip.stderr)
        self.assertEqual(amara("case", "show", mine).returncode, 0)
        self.assertIn("you do not see it any more", amara("case", "assign", mine, "haiti").stderr)

    def test_recorded_already(self):
        """The power went between recording and forgetting the draft: nothing is there twice."""
        code = self.open_case()
        with self.terminal("case", "add", code, "contact") as terminal:
            for answer in ("", "phone", "", "", "", "", "+14d"):
                terminal.answer(answer)
            terminal.prompt()
            number = self.drafts()[0]["draft"]
            path = self.node.dir / "drafts" / str(number)
            kept = path.read_bytes()
            terminal.answer("")
            self.assertEqual(terminal.end(), 0, terminal.screen)
        self.assertFalse(path.exists())
        before = len(self.events(code))
        path.touch(mode=0o600)
        path.write_bytes(kept)
        self.node.sauti("case", "add", "--resume", number, "--ask", stdin="\n")
        self.assertEqual(len(self.events(code)), before)
        self.assertEqual(self.drafts(), [])

    def test_damaged(self):
        """A draft that cannot be read is in nobody's way."""
        code = self.open_case()
        self.node.sauti("case", "add", code, "contact", "--ask", stdin="\nletter\n", check=False)
        number = self.drafts()[0]["draft"]
        path = self.node.dir / "drafts" / str(number)
        kept = path.read_bytes()
        path.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
        self.assertEqual(self.drafts(), [])
        done = self.node.sauti("case", "add", "--resume", number, "--ask", stdin="\n", check=False)
        self.assertIn("cannot be read", done.stderr)
        self.node.sauti("case", "add", code, "contact", "--ask", stdin="\nletter\n", check=False)
        self.assertNotEqual([d["draft"] for d in self.drafts()], [number])
        path.unlink()

    def test_next_question(self):
        code = self.open_case()
        self.node.sauti("case", "add", code, "contact", "--ask", stdin="\nletter\n", check=False)
        number = self.drafts()[0]["draft"]
        self.assertEqual(os.stat(self.node.dir / "drafts" / str(number)).st_mode & 0o777, 0o600)
        done = self.node.sauti("case", "add", "--resume", number, "--ask", stdin="\n\n.\ny\n")
        self.assertNotIn("When was it?", done.stderr)
        self.assertIn("Who got in touch?", done.stderr)
        self.assertEqual(self.last(code, "CONTACT")["channel"], "LETTER")
        gone = self.node.sauti("case", "add", "--resume", number, "--ask", stdin="\n", check=False)
        self.assertIn("no draft of that number", gone.stderr)


if __name__ == "__main__":
    unittest.main()
