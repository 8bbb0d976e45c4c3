#!/usr/bin/env python3
"""Prekeys come and go: a month, an erasure, an office that was away, clocks that are wrong.
test_prekeys.py BUILD [unittest arguments]"""
import base64
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "tests" / "lib"))
import memory  # noqa: E402
import network  # noqa: E402
from cases import agreed, event, lines, opened  # noqa: E402

BUILD = Path(sys.argv.pop(1) if len(sys.argv) > 1 else "build-dev").resolve()
QUICK = "\n[replication]\ndial_retry_min = 20ms\ndial_retry_max = 200ms\n"
DAY_S = 24 * 60 * 60
MONTH_S = 30 * DAY_S
TEXT = "The satellite modem comes on Thursday."


def wait_for(what, condition):
    """As network.wait_for, for a machine that may be busy."""
    return network.wait_for(what, condition, 90)


class Prekeys(unittest.TestCase):
    """Headquarters and two offices that know nobody but headquarters. Each has a clock of its own."""

    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="sauti-prekeys-"))
        self.net = network.Network(self.root, BUILD)
        self.hq = self.net.init()
        self.hq.configure(QUICK)
        self.clock(self.hq, 0)
        self.hq.start()
        self.haiti = self.net.join("haiti", "HTI", config=QUICK)
        self.chad = self.net.join("chad", "TCD", config=QUICK)
        for node in (self.haiti, self.chad):
            self.clock(node, 0)
            node.start()
        self.net.settle()
        for node in (self.haiti, self.chad, self.hq):
            self.held(node, 1)

    def tearDown(self):
        self.net.stop()
        shutil.rmtree(self.root)

    # Short hands.

    def clock(self, *args):
        """clock(node, .., seconds): so far ahead goes the clock of each."""
        *nodes, ahead = args
        for node in nodes:
            path = self.root / f"{node.name}.clock"
            path.with_suffix(".new").write_text(f"{ahead}\n", encoding="ascii")
            path.with_suffix(".new").rename(path)
            node.env = {"LD_PRELOAD": str(BUILD / "tests" / "lib" / "clock.so"),
                        "CLOCK_AHEAD_FILE": str(path)}

    def restart(self, node, unlock=True):
        node.stop()
        node.start(unlock=unlock)

    def relock(self, node):
        """What is due is done at the unlock."""
        node.sauti("lock")
        node.unlock()

    def relock_as(self, node):
        """.. where several officers may unlock."""
        node.sauti("lock")
        node.sauti("unlock", "--officer", node.name, "--passphrase-file", self.net.passphrase)

    def prekey(self, node):
        return node.json("status")["prekey"]

    def held(self, node, number):
        """Its newest is this one, and another node holds it."""
        def is_held():
            prekey = self.prekey(node)
            return prekey["number"] == number and prekey["held_by_peer"]
        wait_for(f"prekey {number} of {node.name} to be held", is_held)

    def known(self, node, of, number):
        wait_for(f"prekey {number} of {of} at {node.name}",
                 lambda: node.json("node", "show", of)["prekey"] == number)

    def states(self, node):
        return {p["number"]: p["state"] for p in node.json("node", "prekeys")}

    def is_in(self, node, states):
        wait_for(f"prekeys of {node.name} to be {states}, not {self.states(node)}",
                 lambda: self.states(node) == states)

    def halves(self, node):
        """The private halves in the keystore, in hex."""
        done = subprocess.run([BUILD / "tests" / "integration" / "node_secrets",
                               node.dir / "keys" / "keystore", self.net.passphrase],
                              capture_output=True, text=True, check=True)
        return [line.split()[1] for line in done.stdout.splitlines() if line.startswith("prekey")]

    def send(self, node, to, text=TEXT):
        return node.json("mail", "send", "--to", to, "-", stdin=text)["id"]

    def inbox(self, node):
        return [m for m in node.json("mail", "list") if m["kind"] == "notice"
                and m["direction"] == "received"]

    def received(self, node, count):
        return wait_for(f"{count} notices at {node.name}", lambda: len(self.inbox(node)) == count)

    # A life.

    def test_a_month_and_another(self):
        """A new one after 30 days; the one before is retired when another node holds it, and 30 days
        later its private half is neither in the keystore nor in memory."""
        first = self.halves(self.haiti)
        self.assertEqual(len(first), 1)
        self.clock(self.haiti, MONTH_S + DAY_S)
        self.relock(self.haiti)
        self.held(self.haiti, 2)
        self.known(self.chad, "haiti", 2)
        self.is_in(self.haiti, {1: "retired", 2: "newest"})
        status = self.prekey(self.haiti)
        self.assertEqual((status["kept"], status["retired"], status["destroyed"]), (2, 1, 0))
        self.assertIn("prekey      2, made ", self.haiti.sauti("status").stdout)
        self.assertIn("1 retired, the first destroyed ", self.haiti.sauti("status").stdout)
        # A day before its time it is there, also after a restart; and while we run it goes.
        self.clock(self.haiti, 2 * MONTH_S)
        self.restart(self.haiti)
        self.assertEqual(self.states(self.haiti), {1: "retired", 2: "newest"})
        self.assertEqual(self.halves(self.haiti)[0], first[0])
        self.clock(self.haiti, 2 * MONTH_S + 2 * DAY_S)
        self.send(self.haiti, "chad")  # mail makes it look at what is due; so does every minute
        self.is_in(self.haiti, {1: "destroyed", 2: "retired", 3: "newest"})
        self.assertNotIn(first[0], self.halves(self.haiti))
        self.assertEqual(len(self.halves(self.haiti)), 2)
        found = memory.ask(self.haiti.process.pid, ["hex:" + first[0]])
        if found is not None:
            self.assertEqual(found, {})
        table = self.haiti.sauti("node", "prekeys").stdout
        self.assertIn("destroyed", table)
        self.assertIn("PREKEY", table)
        self.received(self.chad, 1)

    def test_a_locked_node_destroys_at_the_unlock(self):
        self.clock(self.haiti, MONTH_S + DAY_S)
        self.relock(self.haiti)
        self.is_in(self.haiti, {1: "retired", 2: "newest"})
        self.restart(self.haiti, unlock=False)
        self.clock(self.haiti, 3 * MONTH_S)
        self.restart(self.haiti, unlock=False)
        self.assertIsNone(self.prekey(self.haiti))
        self.assertEqual(self.haiti.sauti("node", "prekeys", check=False).returncode, 5)
        self.assertEqual(len(self.halves(self.haiti)), 2)
        self.haiti.unlock()
        self.assertEqual(self.states(self.haiti)[1], "destroyed")
        self.assertEqual(self.states(self.haiti)[2] in ("newest", "replaced", "retired"), True)

    def test_years_away(self):
        """Nobody holds its successor: the prekey opens what was sealed to it, years later."""
        # That a peer holds the first is written to the disk a second after it was heard.
        heard = time.monotonic()
        wait_for("what is held to be on the disk", lambda: time.monotonic() - heard > 3)
        self.haiti.stop()
        self.send(self.chad, "haiti")
        wait_for("custody", lambda: self.hq.json("status")["mail"]["carried"] == 1)
        self.hq.stop()
        self.clock(self.haiti, 4 * 365 * DAY_S)
        self.haiti.start()
        self.relock(self.haiti)
        # Alone: a successor is made, as a peer holds the first; nothing is retired, nor made again.
        wait_for("a successor", lambda: self.prekey(self.haiti)["number"] == 2)
        self.assertEqual(self.states(self.haiti), {1: "replaced", 2: "newest"})
        self.clock(self.haiti, 5 * 365 * DAY_S)
        self.restart(self.haiti)
        self.assertEqual(self.states(self.haiti), {1: "replaced", 2: "newest"})
        self.hq.start()
        self.received(self.haiti, 1)
        wait_for("the first to be retired", lambda: self.states(self.haiti)[1] == "retired")

    def test_wrong_clocks(self):
        """A year ahead and back: none is lost, each comes to its end, and mail goes on."""
        self.clock(self.haiti, 365 * DAY_S)
        self.relock(self.haiti)
        self.held(self.haiti, 2)
        self.clock(self.haiti, 0)
        self.relock(self.haiti)
        self.held(self.haiti, 3)
        self.relock(self.haiti)
        self.is_in(self.haiti, {1: "retired", 2: "retired", 3: "newest"})
        self.clock(self.haiti, MONTH_S - DAY_S)
        self.relock(self.haiti)
        self.assertEqual(self.states(self.haiti), {1: "retired", 2: "retired", 3: "newest"})
        self.clock(self.haiti, MONTH_S + DAY_S)
        self.relock(self.haiti)
        self.is_in(self.haiti, {1: "destroyed", 2: "destroyed", 3: "retired", 4: "newest"})
        # One node alone cannot move the time of others.
        self.relock(self.chad)
        self.assertEqual(self.states(self.chad), {1: "newest"})
        self.known(self.chad, "haiti", 4)
        self.send(self.chad, "haiti")
        self.received(self.haiti, 1)

    # Mail that comes too late.

    def on_disk(self, node, what):
        """Do these bytes stand in a file of the node's mail?"""
        return any(what in path.read_bytes() for path in (node.dir / "mail").glob("data*"))

    def copies(self, node):
        """What is sealed of the notices for haiti that the node keeps; a file may have old pages."""
        data = (node.dir / "mail" / "data.mdb").read_bytes()
        return set(re.findall(rb"\x0a\x05haiti\x12\x20.{32}(?:\x18.)?\x22\x0c(.{40})", data, re.DOTALL))

    def listed(self, node, mail_id):
        return next(m for m in node.json("mail", "list") if m["id"] == mail_id)

    def late(self):
        """Chad, alone, seals a notice to the first prekey of Haiti, which is destroyed before it comes."""
        self.hq.stop()
        late = self.send(self.chad, "haiti")
        self.chad.stop()
        self.hq.start()
        self.clock(self.haiti, MONTH_S + DAY_S)
        self.relock(self.haiti)
        self.is_in(self.haiti, {1: "retired", 2: "newest"})
        self.clock(self.haiti, 2 * MONTH_S + 2 * DAY_S)
        self.relock(self.haiti)
        self.assertEqual(self.states(self.haiti)[1], "destroyed")
        return late

    def test_sealed_again(self):
        """Its end says that it could not be opened, and the sender, which has kept a copy, seals it
        again. The text is on no disk, nor is the copy once the end has come."""
        late = self.late()
        self.chad.start(unlock=False)
        copies = self.copies(self.chad)
        self.assertEqual(len(set(copies)), 1)  # free pages may have it too
        self.assertFalse(self.on_disk(self.chad, b"satellite"))
        wait_for("it to be not opened",
                 lambda: self.listed(self.chad, late)["state"] == "not opened")
        # Locked it waits; a kill loses nothing.
        self.chad.kill()
        self.chad.start()
        received = wait_for("the notice", lambda: self.inbox(self.haiti))
        self.assertEqual(self.haiti.json("mail", "show", received[0]["id"])["text"], TEXT)
        self.assertNotEqual(received[0]["id"], late)
        wait_for("its end", lambda: [m["state"] for m in self.chad.json("mail", "list")]
                 .count("delivered") == 1)
        self.assertEqual(len(self.inbox(self.haiti)), 1)
        for copy in copies:
            wait_for("the copy to be gone", lambda c=copy: not self.on_disk(self.chad, c))
        wait_for("no copy to be kept", lambda: not self.copies(self.chad))

    def test_another_machine(self):
        """The machine of an office burns and is replaced. Its prekeys are those of a key that is not the
        office's any more: nobody uses them, whatever their numbers; what was sealed to one is sealed
        again to the new machine's."""
        self.clock(self.haiti, MONTH_S + DAY_S)
        self.relock(self.haiti)
        self.held(self.haiti, 2)
        self.known(self.chad, "haiti", 2)
        self.haiti.kill()
        late = self.send(self.chad, "haiti")
        wait_for("custody", lambda: self.hq.json("status")["mail"]["carried"] == 1)
        new = self.net.replace("haiti", QUICK, "burnt")
        new.start()
        self.known(self.chad, "haiti", 1)
        self.known(self.hq, "haiti", 1)
        received = wait_for("the notice", lambda: self.inbox(new))
        self.assertEqual(new.json("mail", "show", received[0]["id"])["text"], TEXT)
        self.assertEqual(self.listed(self.chad, late)["state"], "not opened")
        self.restart(self.chad)
        self.known(self.chad, "haiti", 1)
        self.send(self.chad, "haiti")
        self.received(new, 2)

    # Erasures.

    def consented(self):
        """Haiti has a case that chad may be given, and has compared chad's words."""
        self.haiti.sauti("node", "confirm", "chad", "--words", stdin=self.words("chad") + "\n")
        ref = f"{1:032x}"
        self.haiti.sauti("case", "import", "-", stdin=lines(opened(1, "ZZ-ONE"), agreed(1, ref), event(
            3, "CONSENT_RECORDED", ref, purpose="REFERRAL", recipients=["chad"],
            groups=["contact", "core"], given_by="VICTIM", form="WRITTEN", valid_until="2099-12-31")))

    def test_an_erasure_is_complete(self):
        """What was given is destroyed at once at both; complete it is when the prekey is gone that the
        keys were sealed to: the holder says so by itself."""
        self.consented()
        self.share("--groups", "contact,core", "--history")
        wait_for("the case at chad", lambda: self.chad.json("case", "list"))
        self.haiti.json("case", "erase", "ZZ-ONE", "--reason", "objection", "--yes")

        def erasure():
            answer = self.haiti.json("case", "erase", "--status")
            return answer[0] if isinstance(answer, list) else answer

        wait_for("chad's receipt", lambda: erasure()["holders"][0]["receipt_at"])
        self.assertEqual(erasure()["state"], "confirmed")
        self.is_in(self.chad, {1: "retired", 2: "newest"})
        self.held(self.haiti, 2)  # who ordered it has another, too
        self.clock(self.chad, MONTH_S - DAY_S)
        self.relock(self.chad)
        self.assertEqual(self.states(self.chad)[1], "retired")
        self.clock(self.chad, MONTH_S + DAY_S)
        self.relock(self.chad)
        self.assertEqual(self.states(self.chad)[1], "destroyed")
        wait_for("the erasure to be complete", lambda: erasure()["state"] == "complete")

    # Headquarters is silent.

    def words(self, name):
        """The words of a node's key, by our own hand."""
        key = base64.b64decode(self.hq.json("node", "show", name)["node_key"])
        head = b"sauti/1 fingerprint"
        for text in (self.net.name.encode(), name.encode()):
            head += len(text).to_bytes(2, "big") + text
        bits = int.from_bytes(hashlib.sha256(head + key).digest()[:11], "big")
        words = (SOURCE / "base" / "words-english.txt").read_text(encoding="ascii").split()
        return " ".join(words[bits >> 11 * i & 2047] for i in reversed(range(8)))

    def release(self, words, second, passphrase, check=True):
        return self.haiti.sauti("--json", "mail", "release", "chad", "--words", "--second", second,
                                "--passphrase-file", passphrase, stdin=words + "\n", check=check)

    def share(self, *args, check=True):
        return self.haiti.sauti("case", "share", "ZZ-ONE", "--to", "chad", "--purpose", "referral",
                                *args, check=check)

    def test_headquarters_is_silent(self):
        """Keys wait for two officers once nothing that headquarters signed is younger than 30 days."""
        phrase = self.root / "second"
        phrase.touch(mode=0o600)
        phrase.write_text("another passphrase\n", encoding="ascii")
        for name, role in (("ruth", "officer"), ("otto", "operator")):
            self.haiti.sauti("officer", "add", name, "--roles", role, "--new-passphrase-file", phrase)
        words, others = self.words("chad"), self.words("haiti")
        self.consented()
        self.assertFalse(self.haiti.json("status")["headquarters"]["silent"])
        self.assertIn("not silent", self.release(words, "ruth", phrase, check=False).stderr)
        self.hq.stop()
        self.clock(self.haiti, MONTH_S + 2 * DAY_S)
        self.relock_as(self.haiti)
        me = self.haiti.json("whoami")["officer"]
        self.assertTrue(self.haiti.json("status")["headquarters"]["silent"])
        for args, code, what in (((words, "ruth", self.net.passphrase), 5, "passphrase"),
                                 ((words, "otto", phrase), 5, "neither officer nor supervisor"),
                                 ((words, me, self.net.passphrase), 1, "another officer"),
                                 ((others, "ruth", phrase), 1, "words"),
                                 (("a b c", "ruth", phrase), 1, "word")):
            done = self.release(*args, check=False)
            self.assertIn(what, done.stderr)
            self.assertNotEqual(done.returncode, 0, code)
        self.assertIn("headquarters has signed nothing", self.share(check=False).stderr)
        self.release(words, "ruth", phrase)
        self.share()
        status = self.haiti.json("status")["headquarters"]
        self.assertEqual((status["silent"], status["released"]), (True, ["chad"]))
        noted = [e for e in self.haiti.json("ledger", "list") if e["type"] == "MAIL_RELEASED"][0]
        self.assertEqual((noted["who"], noted["recipient"], noted["second_approver"]),
                         (me, "chad", "ruth"))
        shown = self.haiti.sauti("status").stdout
        self.assertIn("silent since", shown)
        self.assertIn("keys may leave for chad", shown)
        # A lock ends it; so does a word from headquarters.
        self.relock_as(self.haiti)
        self.assertEqual(self.haiti.json("status")["headquarters"]["released"], [])
        self.clock(self.hq, MONTH_S + 2 * DAY_S)
        self.hq.start()
        wait_for("headquarters to be heard",
                 lambda: not self.haiti.json("status")["headquarters"]["silent"])

    def test_keystore_put_back(self):
        """An old copy of the keystore: its numbers are taken already, so it goes on behind them."""
        old = (self.haiti.dir / "keys" / "keystore").read_bytes()
        self.clock(self.haiti, MONTH_S + DAY_S)
        self.relock(self.haiti)
        self.held(self.haiti, 2)
        self.haiti.stop()
        keystore = self.haiti.dir / "keys" / "keystore"
        keystore.write_bytes(old)
        self.haiti.start()
        self.held(self.haiti, 3)
        self.known(self.chad, "haiti", 3)
        self.send(self.chad, "haiti")
        self.received(self.haiti, 1)


if __name__ == "__main__":
    unittest.main()
