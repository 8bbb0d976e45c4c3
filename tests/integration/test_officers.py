#!/usr/bin/env python3
"""A real node and several officers: accounts, roles, sessions. test_officers.py BUILD [unittest args]"""

import json
import os
import random
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "tests" / "lib"))
from network import Network, wait_for  # noqa: E402

BUILD = Path()
LOCKED = "the node is locked, and must be unlocked first"
NOBODY = "nobody is logged in here, or the session has ended"


def opened(number, by=None):
    """A new case, as a line."""
    line = {"type": "CASE_OPENED", "event_id": f"01900000-0000-7000-8000-{number:012x}",
            "case_ref": f"{number:032x}", "case_code": f"ZZ-O-{number}", "occurred_on": "2026-01-01",
            "precision": "D", "office": "HTI"}
    if by:
        line["recorded_by"] = by
    return json.dumps(line) + "\n"


class Officer:
    """Somebody with a passphrase, and a session file of their own."""

    def __init__(self, node, name):
        self.node, self.name = node, name
        self.phrase = node.network.root / f"phrase-{name}"
        self.phrase.touch(mode=0o600)
        self.phrase.write_text(f"the passphrase of {name}\n", encoding="ascii")
        self.session = node.network.root / f"session-{name}"

    def __call__(self, *args, stdin=None, check=True):
        return self.node.sauti(*args, stdin=stdin, check=check,
                               env={**os.environ, "SAUTI_SESSION": str(self.session)})

    def unlock(self, check=True):
        """Logs in."""
        return self("unlock", "--officer", self.name, "--passphrase-file", self.phrase, check=check)


class Case(unittest.TestCase):
    """One headquarters, unlocked by amina, who may run and supervise it."""

    config = ""

    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="sauti-test."))
        self.addCleanup(shutil.rmtree, self.root)
        self.network = Network(self.root, BUILD, "test.example")
        self.hq = self.network.init()
        self.hq.configure(self.config)
        self.addCleanup(self.end)
        self.hq.start()

    def end(self):
        """Whatever runs is ended."""
        if self.hq.process is not None:
            self.hq.kill()

    def officer(self, name, roles):
        """A new officer, who is not logged in."""
        who = Officer(self.hq, name)
        self.hq.sauti("officer", "add", name, "--roles", roles, "--new-passphrase-file", who.phrase)
        return who

    def supervisor(self):
        """The first officer logs in again."""
        self.hq.sauti("unlock", "--officer", "hq", "--passphrase-file", self.network.passphrase)

    def refused(self, done, text, code=5):
        """A command that was not permitted."""
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.assertIn(text, done.stderr)


class Accounts(Case):
    """sauti officer"""

    def test_first(self):
        """init makes one, named as the node; its token is its owner's alone."""
        self.assertEqual(self.hq.json("whoami")["officer"], "hq")
        self.assertEqual(self.hq.json("whoami")["roles"], ["supervisor", "operator"])
        session = self.hq.dir / "run" / "session"
        self.assertEqual(stat.S_IMODE(session.stat().st_mode), 0o600)
        self.assertRegex(session.read_text(), r"\A[0-9a-f]{64}\n\Z")
        self.assertNotIn(session.read_text().strip(), self.hq.log)
        listed = self.hq.json("officer", "list")
        self.assertEqual([(o["officer"], o["disabled"]) for o in listed], [("hq", False)])
        self.assertLess(abs(listed[0]["created_at"] - time.time()), 600)

    def test_named(self):
        """--officer of init; a name that is none is refused before anything is made."""
        other = self.network.root / "other"
        done = subprocess.run([BUILD / "sauti", "--dir", other, "init", "o.example", "--officer", "Am",
                               "--passphrase-file", self.network.passphrase], check=False,
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 2)
        self.assertFalse(other.exists())
        subprocess.run([BUILD / "sauti", "--dir", other, "init", "o.example", "--officer", "amina.b",
                        "--passphrase-file", self.network.passphrase], check=True,
                       capture_output=True, text=True)
        self.assertIn(b"amina.b", (other / "keys" / "keystore").read_bytes())

    def test_two_officers(self):
        """Each records under their own name; a supervisor also what others did."""
        amina, paul = self.officer("amina", "officer"), self.officer("paul", "officer")
        self.refused(amina("case", "list", check=False), NOBODY)
        self.assertIn("unlocked by amina", amina.unlock().stdout)
        paul.unlock()
        amina("case", "import", "-", stdin=opened(1))
        paul("case", "import", "-", stdin=opened(2))
        done = amina("case", "import", "-", stdin=opened(3, "paul"), check=False)
        self.refused(done, "recorded_by")
        self.assertNotIn("paul", done.stderr)
        amina("case", "import", "-", stdin=opened(3, "amina"))
        self.hq.sauti("case", "import", "-", stdin=opened(4, "somebody who left"))
        for number, name in ((1, "amina"), (2, "paul"), (3, "amina"), (4, "somebody who left")):
            shown = self.hq.sauti("--json", "case", "show", f"ZZ-O-{number}").stdout
            self.assertIn(f'"recorded_by": "{name}"', shown.replace('":"', '": "'))
        # One logs out, the other does not.
        self.assertEqual(amina("logout").stdout, "logged out\n")
        self.assertEqual(amina.session.read_text().strip(), "")
        self.refused(amina("case", "list", check=False), NOBODY)
        paul("case", "list")
        self.assertEqual(amina("logout").stdout, "there was no session\n")

    def test_operator(self):
        """Runs the node and sees no case; lets in nobody who does."""
        operator = self.officer("ops", "operator")
        operator.unlock()
        for command in (["case", "list"], ["case", "show", "ZZ-O-1"], ["case", "import", "-"]):
            self.refused(operator(*command, stdin=opened(1), check=False),
                         "for the role officer or supervisor; 'ops' has operator")
        operator("node", "invite", "haiti", "--country", "HTI")
        phrase = ["--new-passphrase-file", operator.phrase]
        for roles in ("officer", "supervisor", "auditor,officer"):
            self.refused(operator("officer", "add", "friend", "--roles", roles, *phrase, check=False),
                         "only a supervisor decides who may see cases")
        self.refused(operator("officer", "disable", "hq", check=False), "only a supervisor")
        operator("officer", "add", "aud", "--roles", "auditor", *phrase)
        operator("officer", "disable", "aud")
        operator("officer", "add", "aud", "--roles", "auditor", *phrase)
        # Nor lets in again, in whatever role, whom a supervisor put out.
        self.officer("gone", "officer")
        self.hq.sauti("officer", "disable", "gone")
        self.refused(operator("officer", "add", "gone", "--roles", "operator", *phrase, check=False),
                     "'gone' has officer: only a supervisor decides who may see cases")
        self.hq.sauti("officer", "add", "gone", "--roles", "operator", *phrase)
        # Nor does an officer, nor an analyst.
        for roles in ("officer", "analyst"):
            other = self.officer("o-" + roles, roles)
            other.unlock()
            self.refused(other("officer", "add", "x", "--roles", "auditor", *phrase, check=False),
                         "for the role supervisor or operator")
            self.refused(other("node", "invite", "caf", "--country", "CAF", check=False), "for the role")
            other("officer", "list")

    def test_disabled(self):
        """Sessions end, the slot is gone, the account is listed; the last supervisor stays."""
        amina = self.officer("amina", "officer,supervisor")
        amina.unlock()
        self.refused(self.hq.sauti("officer", "disable", "nobody", check=False), "no officer", 1)
        self.hq.sauti("officer", "disable", "amina")
        self.refused(amina("case", "list", check=False), NOBODY)
        self.refused(amina.unlock(check=False), "wrong name or passphrase")
        self.assertNotIn(b"amina", (self.hq.dir / "keys" / "keystore").read_bytes())
        listed = {o["officer"]: o["disabled"] for o in self.hq.json("officer", "list")}
        self.assertEqual(listed, {"hq": False, "amina": True})
        self.refused(self.hq.sauti("officer", "disable", "hq", check=False), "the only supervisor")
        self.hq.kill()
        self.hq.start(unlock=False)
        self.refused(amina.unlock(check=False), "wrong name or passphrase")
        self.assertTrue(self.hq.json("status")["locked"])
        self.hq.unlock()
        # Back, with another passphrase and other roles.
        amina.phrase.write_text("another one\n", encoding="ascii")
        self.hq.sauti("officer", "add", "amina", "--roles", "auditor", "--new-passphrase-file",
                      amina.phrase)
        amina.unlock()
        self.assertEqual(json.loads(amina("--json", "whoami").stdout)["roles"], ["auditor"])

    def test_passphrase(self):
        """One's own, with the one that holds."""
        amina = self.officer("amina", "officer")
        amina.unlock()
        fresh = self.root / "fresh"
        fresh.touch(mode=0o600)
        fresh.write_text("fresh\n", encoding="ascii")
        self.refused(amina("officer", "passphrase", "--passphrase-file", fresh, "--new-passphrase-file",
                           fresh, check=False), "wrong name or passphrase")
        done = amina("officer", "passphrase", "--passphrase-file", amina.phrase,
                     "--new-passphrase-file", fresh)
        self.assertEqual(done.stdout, "amina: the new passphrase holds\n")
        self.refused(amina.unlock(check=False), "wrong name or passphrase")
        amina.phrase = fresh
        amina.unlock()
        self.supervisor()  # nobody else's changed

    def test_who_unlocks(self):
        """One alone need not be named; of several $SAUTI_OFFICER, or it must be said."""
        amina = self.officer("amina", "officer")
        done = amina("unlock", "--passphrase-file", amina.phrase, check=False)
        self.refused(done, "several officers may unlock", 2)
        env = {**os.environ, "SAUTI_SESSION": str(amina.session), "SAUTI_OFFICER": "amina"}
        done = self.hq.sauti("unlock", "--passphrase-file", amina.phrase, env=env)
        self.assertIn("unlocked by amina", done.stdout)
        self.hq.sauti("officer", "disable", "amina")
        self.assertIn("unlocked by hq", self.hq.sauti(
            "unlock", "--passphrase-file", self.network.passphrase, env=env).stdout)

    def test_bad_calls(self):
        """One clear line each."""
        phrase = ["--new-passphrase-file", self.network.passphrase]
        for args, text in ((["add", "Amina", "--roles", "officer"], "a small letter, then"),
                           (["add", "amina"], "--roles"),
                           (["add", "amina", "--roles", "root"], 'found "root"; allowed'),
                           (["add", "amina", "--roles", "officer,officer"], "allowed"),
                           (["disable", "../x"], "no officer's name")):
            self.refused(self.hq.sauti("officer", *args, *(phrase if args[0] == "add" else []),
                                       check=False), text, 2)
        self.refused(self.hq.sauti("officer", "add", "hq", "--roles", "officer", *phrase, check=False),
                     "already", 1)

    def test_as_many_as_may_be(self):
        """Sixteen slots, and one more."""
        for number in range(15):
            self.officer(f"o{number}", "officer")
        self.refused(self.hq.sauti("officer", "add", "o15", "--roles", "officer",
                                   "--new-passphrase-file", self.network.passphrase, check=False),
                     "16 officers may unlock", 1)
        self.assertEqual(len(self.hq.json("officer", "list")), 16)

    def test_kills(self):
        """kill -9 while officers are added: the keystore opens, with whom was acknowledged."""
        rng = random.Random(4)
        acknowledged = ["hq"]
        args = [BUILD / "sauti", "--dir", self.hq.dir, "officer", "add", "--roles", "officer",
                "--new-passphrase-file", self.network.passphrase]
        subprocess.run([*args, "o0"], check=True, stdout=subprocess.DEVNULL)
        acknowledged.append("o0")
        for number in range(1, 13):
            name = f"o{number}"
            with subprocess.Popen([*args, name], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL) as adding:
                time.sleep(rng.random() * 0.5)
                self.hq.kill()
                if adding.wait(180) == 0:
                    acknowledged.append(name)
            self.hq.start(unlock=False)
            self.supervisor()
            listed = [o["officer"] for o in self.hq.json("officer", "list")]
            self.assertLessEqual(set(acknowledged), set(listed))
            if name in listed:
                self.hq.sauti("unlock", "--officer", name, "--passphrase-file", self.network.passphrase)
                self.supervisor()

class Sessions(Case):
    """Tokens"""

    def test_others(self):
        """A token that was changed, made up, copied from before a lock or a restart is nobody's."""
        session = self.hq.dir / "run" / "session"
        good = session.read_text()
        self.hq.sauti("case", "list")
        changed = ("0" if good[0] != "0" else "1") + good[1:]
        for text in (changed, "0" * 64 + "\n", "f" * 64 + "\n", "", good[:-2] + "\n", good + good):
            session.write_text(text)
            self.refused(self.hq.sauti("case", "list", check=False), NOBODY)
        session.write_text(good)
        self.hq.sauti("case", "list")
        self.hq.sauti("lock")
        self.assertEqual(session.read_text().strip(), "")
        session.write_text(good)
        self.refused(self.hq.sauti("case", "list", check=False), LOCKED)
        self.hq.unlock()
        session.write_text(good)
        self.refused(self.hq.sauti("case", "list", check=False), NOBODY)
        self.hq.unlock()
        good = session.read_text()
        self.hq.kill()
        self.hq.start()
        session.write_text(good)
        self.refused(self.hq.sauti("case", "list", check=False), NOBODY)

    def test_file(self):
        """A file that others can read, or a link, is refused; unlock replaces it, and nothing else."""
        session, victim = self.hq.dir / "run" / "session", self.root / "victim"
        session.chmod(0o640)
        self.refused(self.hq.sauti("case", "list", check=False), "lets others at it")
        self.hq.sauti("status")
        self.hq.unlock()
        self.assertEqual(stat.S_IMODE(session.stat().st_mode), 0o600)
        victim.write_text("mine")
        session.unlink()
        session.symlink_to(victim)
        self.refused(self.hq.sauti("case", "list", check=False), "symbolic link")
        self.hq.unlock()
        self.assertFalse(session.is_symlink())
        self.assertEqual(victim.read_text(), "mine")
        session.unlink()
        self.refused(self.hq.sauti("case", "list", check=False), NOBODY)

    def test_status(self):
        """Who is logged in is told to who is."""
        amina = self.officer("amina", "officer")
        amina.unlock()
        shown = {o["officer"]: o for o in self.hq.json("status")["officers"]}
        self.assertEqual(sorted(shown), ["amina", "hq"])
        self.assertLess(shown["amina"]["idle_s"], 60)
        self.assertIn("amina (officer) since 2", self.hq.sauti("status").stdout)
        amina("logout")
        status = json.loads(amina("--json", "status").stdout)
        self.assertNotIn("officers", status)

    def test_many(self):
        """Of one officer so many; the one that was not used for longest ends."""
        first = (self.hq.dir / "run" / "session").read_text()
        for _ in range(8):
            self.hq.unlock()
        self.assertEqual(len(self.hq.json("status")["officers"]), 8)
        session = self.hq.dir / "run" / "session"
        last = session.read_text()
        session.write_text(first)
        self.refused(self.hq.sauti("case", "list", check=False), NOBODY)
        session.write_text(last)
        self.hq.sauti("case", "list")


class Expiry(Case):
    """[sessions]"""

    config = "\n[sessions]\nidle = 8s\nabsolute = 20s\n"

    def test_expiry(self):
        """Used, it lasts; idle, or after the absolute limit, it does not; the node stays unlocked."""
        began = time.monotonic()
        while time.monotonic() < began + 12:
            self.hq.sauti("case", "list")
            time.sleep(0.2)
        self.assertEqual(self.hq.json("whoami")["idle_limit_s"], 8)
        wait_for("the absolute limit", lambda: self.hq.sauti("case", "list", check=False).returncode == 5)
        self.assertGreater(time.monotonic() - began, 18)
        self.refused(self.hq.sauti("case", "list", check=False), NOBODY)
        self.hq.unlock()
        began = time.monotonic()
        # What programs ask is no use.
        wait_for("the idle limit", lambda: "officers" not in self.hq.json("status"))
        self.assertGreater(time.monotonic() - began, 7)
        self.refused(self.hq.sauti("case", "list", check=False), NOBODY)
        self.assertFalse(self.hq.json("status")["locked"])
        wait_for("the log", lambda: "the last officer's session has ended" in self.hq.log)


class Lockout(Case):
    """Wrong passphrases"""

    def test_lockout(self):
        """After three a wait that grows, for this name; also for a name that is none; not for others."""
        amina = self.officer("amina", "officer")
        amina.unlock()
        right = amina.phrase.read_text()
        for name in ("amina", "zz-nobody"):
            amina.phrase.write_text("wrong\n")
            for _ in range(3):
                self.refused(amina("unlock", "--officer", name, "--passphrase-file", amina.phrase,
                                   check=False), "wrong name or passphrase")
            began = time.monotonic()
            done = amina("unlock", "--officer", name, "--passphrase-file", amina.phrase, check=False)
            if time.monotonic() < began + 0.9:
                self.refused(done, "too many wrong passphrases: try again in 1 s")
            amina.phrase.write_text(right)
        # The session that was there goes on; others log in; a lock makes nothing undone.
        amina("case", "list")
        self.supervisor()

        def admitted():
            done = amina.unlock(check=False)
            if done.returncode != 0:
                self.refused(done, "too many wrong passphrases")
            return done.returncode == 0

        wait_for("the wait to end", admitted)
        amina.phrase.write_text("wrong\n")
        for _ in range(3):
            amina.unlock(check=False)
        self.hq.sauti("lock")
        amina.phrase.write_text(right)
        began = time.monotonic()
        done = amina.unlock(check=False)
        if time.monotonic() < began + 0.9:
            self.refused(done, "too many wrong passphrases")
        wait_for("the wait to end", admitted)
        self.assertIn("wrong name or passphrase of 'zz-nobody'", self.hq.log)

    def test_unknown_costs_the_same(self):
        """A name that is none takes about as long as a wrong passphrase: scrypt is run."""
        def took(name, phrase):
            began = time.monotonic()
            done = self.hq.sauti("unlock", "--officer", name, "--passphrase-file", phrase, check=False)
            self.refused(done, "wrong name or passphrase")
            return time.monotonic() - began

        wrong = self.root / "wrong"
        wrong.touch(mode=0o600)
        wrong.write_text("wrong\n")
        known = min(took("hq", wrong) for _ in range(3))
        unknown = min(took("zz-nobody", self.network.passphrase) for _ in range(3))
        self.assertGreater(unknown, known / 3)
        self.assertLess(unknown, known * 3)


class Before(Case):
    """A keystore from before there were accounts"""

    def test_plain(self):
        """Its one slot is an account that may do what it could; the first rewrite keeps the table."""
        self.hq.stop()
        done = subprocess.run([BUILD / "tests" / "integration" / "old_keystore",
                               self.hq.dir / "keys" / "keystore", self.network.passphrase], check=False,
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((self.hq.dir / "keys" / "keystore").read_bytes()[:2], b"\x08\x01")
        self.hq.start()
        self.assertEqual(self.hq.json("whoami")["roles"], ["supervisor", "operator"])
        self.assertIsNone(self.hq.json("officer", "list")[0]["created_at"])
        amina = self.officer("amina", "officer")
        self.assertEqual((self.hq.dir / "keys" / "keystore").read_bytes()[:2], b"\x08\x03")
        amina.unlock()
        self.hq.kill()
        self.hq.start(unlock=False)
        amina.unlock()
        amina("case", "list")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    BUILD = Path(sys.argv.pop(1)).resolve()
    unittest.main(verbosity=2)
