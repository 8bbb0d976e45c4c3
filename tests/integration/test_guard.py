#!/usr/bin/env python3
"""Old data put back, copied data, a lost guard: real nodes. test_guard.py BUILD [unittest args]

Each test records events, brings the store into a state that a careless hand could make, and wants
the node to say so, to sign nothing twice, and to lose no event.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "tests" / "lib"))
import cases  # noqa: E402
from network import Network, wait_for  # noqa: E402

BUILD = Path()
CONFIG = """
[replication]
have_delay = 20ms
cosignature_delay = 200ms
dial_retry_min = 50ms
dial_retry_max = 200ms
"""


class Guarded(unittest.TestCase):
    """Headquarters and one office, each test with a network of its own."""

    def setUp(self):
        self.place = tempfile.TemporaryDirectory(prefix="sauti-guard-")
        self.addCleanup(self.place.cleanup)
        self.net = Network(self.place.name, BUILD, "guard.example")
        self.addCleanup(self.net.stop)
        self.hq = self.net.init()
        self.hq.configure(CONFIG)
        self.hq.start()
        self.office = self.net.join("haiti", "HTI", config=CONFIG)
        self.office.start()

    def record(self, count, node=None):
        """Opens a case with some contacts; its code and the notes written."""
        node = node or self.office
        code = node.json("case", "open")["code"]
        cases.agree(node, code)
        notes = [f"lorem {code} {i}" for i in range(count)]
        lines = "".join(json.dumps({"type": "CONTACT", "channel": "PHONE", "direction": "OUT",
                                    "result": "REACHED", "note": note}) + "\n" for note in notes)
        node.sauti("case", "add", code, "--from", "-", stdin=lines)
        return code, notes

    def shows(self, node, code, notes):
        """The case is there, each event once."""
        events = node.json("case", "show", code)["events"]
        self.assertEqual(sorted(e["note"] for e in events if "note" in e), sorted(notes))

    def snapshot(self, node, name):
        """A copy of a stopped node's store."""
        to = Path(self.place.name) / f"snapshot-{name}"
        shutil.copytree(node.dir / "store", to)
        return to

    def put_back(self, node, copy):
        """A stopped node gets that store."""
        shutil.rmtree(node.dir / "store")
        shutil.copytree(copy, node.dir / "store")

    def guard(self, node):
        return node.json("status")["guard"]

    def whole(self, *nodes):
        """log verify is content, and so are the peers."""
        for node in nodes:
            for log in node.json("log", "verify"):
                self.assertTrue(log["ok"], log)


class Starts(Guarded):
    def test_nothing_happened(self):
        code, notes = self.record(3)
        for _ in range(3):
            self.office.kill()
            self.office.start()
            guard = self.guard(self.office)
            self.assertEqual((guard["verdict"], guard["message"]), ("same", None))
            self.record(1)
        self.shows(self.office, code, notes)
        self.assertEqual(len([o for o in self.office.logs() if "/haiti/" in o]), 1)

    def test_old_store_put_back(self):
        """Read-only with a reason, until the right data is back."""
        first = self.record(3)
        self.net.settle()
        self.office.stop()
        old = self.snapshot(self.office, "old")
        self.office.start()
        second = self.record(3)
        self.net.settle()
        self.hq.stop()  # nobody to fetch from
        self.office.stop()
        newest = self.snapshot(self.office, "newest")
        self.put_back(self.office, old)
        self.office.start()
        guard = self.guard(self.office)
        self.assertEqual(guard["verdict"], "behind")
        self.assertIn("entries", guard["message"])
        self.assertIn("--new-epoch", guard["todo"])
        refused = self.office.sauti("case", "open", check=False)
        self.assertEqual(refused.returncode, 1, refused)
        self.assertIn("nothing can be recorded", refused.stderr)
        self.shows(self.office, *first)
        text = self.office.sauti("status").stdout
        self.assertIn("ALARM", text)
        self.assertIn("TO DO", text)
        self.office.stop()
        self.put_back(self.office, newest)
        self.office.start()
        self.assertEqual(self.guard(self.office)["verdict"], "same")
        third = self.record(1)
        self.hq.start()
        self.net.settle()
        for code, notes in (first, second, third):
            self.shows(self.office, code, notes)
        self.whole(self.office, self.hq)

    def test_own_entries_fetched_back(self):
        """What a mirror holds of the own log comes back by itself, and the log goes on."""
        first = self.record(3)
        self.net.settle()
        self.office.stop()
        old = self.snapshot(self.office, "old")
        self.office.start()
        second = self.record(3)
        self.net.settle()
        origin = self.office.own()["origin"]
        self.office.stop()
        self.put_back(self.office, old)
        # Unlocked while they come back: it is locked then, and nobody else is suspected.
        self.hq.stop()
        self.office.start()
        self.hq.start()
        wait_for("the own entries", lambda: self.guard(self.office)["writable"])
        self.assertNotIn("another machine", self.office.log)
        self.assertTrue(self.office.json("status")["locked"])
        self.office.unlock()
        third = self.record(2)
        self.assertEqual(self.office.own()["origin"], origin)
        self.net.settle()
        for code, notes in (first, second, third):
            self.shows(self.office, code, notes)
        self.whole(self.office, self.hq)
        self.office.kill()
        self.office.start()
        self.assertIn(self.guard(self.office)["verdict"], ("same", "rolled-back"))
        self.record(1)

    def test_keyring_put_back_too(self):
        """Entries whose keys went with the old data come back, and are not passed over in silence."""
        kept = self.record(2)
        self.net.settle()
        self.assertEqual(self.office.unlock()["unread"], 0)
        self.office.stop()
        old = self.snapshot(self.office, "old")
        keyring = Path(self.place.name) / "snapshot-keyring"
        shutil.copytree(self.office.dir / "keyring", keyring)
        self.office.start()
        lost = self.record(3)  # its opening, three contacts, three notes
        self.net.settle()
        self.office.stop()
        newest = self.office.dir / "keyring.newest"
        (self.office.dir / "keyring").rename(newest)
        shutil.copytree(keyring, self.office.dir / "keyring")
        self.put_back(self.office, old)
        self.office.start(unlock=False)
        wait_for("the own entries", lambda: self.guard(self.office)["writable"])
        self.assertEqual(self.office.unlock()["unread"], 8)
        # Not shown: the look would be recorded.
        self.assertEqual([c["code"] for c in self.office.json("case", "list")], [kept[0]])
        self.assertEqual(self.office.sauti("case", "show", lost[0], check=False).returncode, 1)
        alarms = self.office.json("status")["alarms"]
        self.assertTrue([a for a in alarms if "8 entries" in a and "cannot be read" in a], alarms)
        # Nothing was recorded meanwhile: the newest keyring has all keys.
        self.office.stop()
        shutil.rmtree(self.office.dir / "keyring")
        newest.rename(self.office.dir / "keyring")
        self.office.start(unlock=False)
        self.assertEqual(self.office.unlock()["unread"], 0)
        for code, notes in (kept, lost):
            self.shows(self.office, code, notes)
        alarms = self.office.json("status")["alarms"]
        self.assertFalse([a for a in alarms if "cannot be read" in a], alarms)

    def test_new_epoch_by_the_officer(self):
        first = self.record(3)
        self.net.settle()
        self.office.stop()
        old = self.snapshot(self.office, "old")
        self.office.start()
        lost = self.record(2)
        self.net.settle()
        self.hq.stop()
        self.office.stop()
        self.put_back(self.office, old)
        self.office.start()
        before = [o for o in self.office.logs() if "/haiti/" in o][0]
        self.office.sauti("lock")
        wrong = self.office.sauti("unlock", "--new-epoch", "--passphrase-file", "/dev/null", check=False)
        self.assertNotEqual(wrong.returncode, 0)
        answer = self.office.json("unlock", "--new-epoch", "--passphrase-file", self.net.passphrase)
        self.assertEqual(answer["previous_log"], before)
        self.assertNotEqual(answer["log"], before)
        self.assertTrue(answer["recording"])
        self.assertEqual(self.guard(self.office)["verdict"], "same")
        second = self.record(2)
        # Headquarters takes the new log, and gives back what the office lost of the old one.
        self.hq.start()
        wait_for("the new log at headquarters",
                 lambda: self.hq.logs().get(answer["log"], {}).get("size", 0) ==
                 self.office.logs()[answer["log"]]["size"])
        wait_for("the old log at the office",
                 lambda: self.office.logs()[before]["size"] == self.hq.logs()[before]["size"])
        self.assertIn("came back", self.guard(self.office)["todo"])
        self.office.sauti("lock")
        self.office.unlock()
        for code, notes in (first, lost, second):
            self.shows(self.office, code, notes)
        # It survives restarts, and is not opened twice.
        self.office.kill()
        self.office.start()
        self.assertIn(self.guard(self.office)["verdict"], ("same", "rolled-back"))
        again = self.office.sauti("unlock", "--new-epoch", "--passphrase-file", self.net.passphrase,
                                  check=False)
        self.assertNotEqual(again.returncode, 0)
        self.record(1)
        self.assertEqual(self.office.own()["origin"], answer["log"])
        self.whole(self.office, self.hq)

    def test_many_at_once(self):
        """What many clients add at once is committed together, each answered, nothing twice."""
        code, _ = self.record(1)
        line = json.dumps({"type": "CONTACT", "channel": "PHONE", "direction": "OUT",
                           "result": "REACHED"}) + "\n"
        each, clients = 8, 8

        def add(_):
            for _ in range(each):
                self.office.sauti("case", "add", code, "--from", "-", stdin=line)

        size, before = self.office.own()["size"], self.commits()
        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(add, range(clients)))
        self.assertEqual(self.office.own()["size"], size + each * clients)
        self.assertLess(self.commits() - before, each * clients + 20)
        self.office.kill()
        self.office.start()
        self.assertEqual(len(self.office.json("case", "show", code)["events"]), 3 + each * clients)
        self.whole(self.office)

    def commits(self):
        return self.office.json("status").get("store", {}).get("commits", 0)

    def test_in_order_needs_no_new_epoch(self):
        self.office.sauti("lock")
        refused = self.office.sauti("unlock", "--new-epoch", "--passphrase-file",
                                    self.net.passphrase, check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("in order", refused.stderr)

    def test_guard_lost(self):
        first = self.record(3)
        self.net.settle()
        # Events that nobody else holds yet: they must be sealed again.
        self.hq.stop()
        only_here = self.record(5)
        self.office.stop()
        shutil.rmtree(f"{self.office.dir}.guard")
        self.office.start(unlock=False)
        guard = self.guard(self.office)
        self.assertEqual(guard["verdict"], "other")
        self.assertIn("missing", guard["message"])
        # Locked commits do not make it forget: another start says the same.
        self.office.kill()
        self.office.start(unlock=False)
        self.assertEqual(self.guard(self.office)["verdict"], "other")
        old = [o for o in self.office.logs() if "/haiti/" in o][0]
        answer = self.office.unlock()
        self.assertEqual(answer["previous_log"], old)
        wait_for("sealing again", lambda: not self.guard(self.office)["resealing"])
        # CASE_OPENED (one part) and five contacts of two parts. Of what headquarters held as
        # much is sealed again as it is not known here that it does.
        resealed = self.guard(self.office)["resealed"]
        self.assertIn(resealed, (12, 20))
        # Before it its opening, behind or among it the prekey.
        wait_for("the prekey in the new log",
                 lambda: self.office.logs()[answer["log"]]["size"] == resealed + 2)
        for code, notes in (first, only_here):
            self.shows(self.office, code, notes)
        third = self.record(1)
        self.hq.start()
        wait_for("the new log at headquarters",
                 lambda: self.hq.logs().get(answer["log"], {}).get("size") ==
                 self.office.logs()[answer["log"]]["size"])
        # Unlocking again seals nothing again.
        size = self.office.logs()[answer["log"]]["size"]
        self.office.kill()
        self.office.start()
        wait_for("sealing again", lambda: not self.guard(self.office)["resealing"])
        self.assertEqual(self.office.logs()[answer["log"]]["size"], size)
        for code, notes in (first, only_here, third):
            self.shows(self.office, code, notes)
        self.whole(self.office, self.hq)

    def test_store_and_guard_lost(self):
        """Only the keys are left, copied by hand: the old log is not begun again."""
        first = self.record(3)
        self.net.settle()
        old = self.office.own()["origin"]
        self.office.stop()
        shutil.rmtree(f"{self.office.dir}.guard")
        shutil.rmtree(self.office.dir / "store")
        self.office.start(unlock=False)
        self.assertEqual(self.guard(self.office)["verdict"], "other")
        answer = self.office.unlock()
        self.assertEqual(answer["previous_log"], old)
        second = self.record(2)
        wait_for("the old log", lambda: self.office.logs().get(old, {}).get("size") ==
                 self.hq.logs()[old]["size"])
        self.office.sauti("lock")
        self.office.unlock()
        for code, notes in (first, second):
            self.shows(self.office, code, notes)
        self.whole(self.office, self.hq)

    def test_headquarters_guard_lost(self):
        """Its log gives way to a new one; the directory is not continued, and that is said."""
        self.hq.stop()
        shutil.rmtree(f"{self.hq.dir}.guard")
        self.hq.start()
        for _ in range(2):
            self.assertIn("directory", self.guard(self.hq)["todo"])
            refused = self.hq.sauti("node", "invite", "kenya", "--country", "KEN", check=False)
            self.assertEqual(refused.returncode, 1, refused)
            self.assertIn("not continued", refused.stderr)
            self.hq.stop()
            self.hq.start()
        self.record(1)
        self.net.settle()
        self.whole(self.office, self.hq)

    def test_two_unlocks(self):
        """An impatient second one changes nothing."""
        self.office.stop()
        shutil.rmtree(f"{self.office.dir}.guard")
        self.office.start(unlock=False)
        unlocks = [subprocess.Popen([BUILD / "sauti", "--dir", self.office.dir, "unlock",
                                     "--passphrase-file", self.net.passphrase],
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                   for _ in range(3)]
        for unlock in unlocks:
            unlock.communicate(timeout=180)
            self.assertEqual(unlock.returncode, 0)
        self.assertEqual(self.guard(self.office)["verdict"], "same")
        self.assertEqual(len([o for o in self.office.logs() if "/haiti/" in o]), 1 + 1)

    def test_copy_on_another_machine(self):
        """A copied data directory with its keys, started beside the first: it never signs the old log."""
        first = self.record(3)
        self.net.settle()
        self.office.stop()
        shutil.copytree(self.office.dir, Path(self.place.name) / "copy")
        self.office.start()
        second = self.record(1)
        self.office.stop()
        original = self.office.dir
        self.office.dir = Path(self.place.name) / "copy"
        self.office.start(unlock=False)
        self.assertEqual(self.guard(self.office)["verdict"], "other")
        answer = self.office.unlock()
        self.assertTrue(answer["previous_log"])
        self.shows(self.office, *first)
        self.record(1)
        wait_for("its log at headquarters",
                 lambda: self.hq.logs().get(answer["log"], {}).get("size") ==
                 self.office.logs()[answer["log"]]["size"])
        self.office.stop()
        self.office.dir = original
        self.hq.stop()
        self.office.start()
        self.assertEqual(self.guard(self.office)["verdict"], "same")
        self.hq.start()
        wait_for("the suspicion",
                 lambda: "Another machine" in (self.guard(self.office)["todo"] or ""))
        self.shows(self.office, *second)
        self.record(1)
        self.whole(self.office, self.hq)

    def test_interrupted_opening(self):
        """Killed between any two steps, the opening of a new log ends with one new log."""
        first = self.record(4)
        self.hq.stop()
        self.office.stop()
        guard = Path(f"{self.office.dir}.guard")
        shutil.rmtree(guard)
        self.office.start(unlock=False)
        self.office.stop()
        # After the guard, before the keystore.
        keystore = (self.office.dir / "keys/keystore").read_bytes()
        store = self.snapshot(self.office, "opening")
        self.office.start(unlock=False)
        origin = self.office.unlock()["log"]
        self.office.kill()
        (self.office.dir / "keys/keystore").write_bytes(keystore)
        self.put_back(self.office, store)
        self.office.start(unlock=False)
        verdict = self.guard(self.office)["verdict"]
        self.assertIn(verdict, ("behind", "other"))
        self.office.kill()
        shutil.rmtree(guard)
        self.office.start(unlock=False)
        again = self.office.unlock()
        self.assertNotEqual(again["log"], origin)
        self.shows(self.office, *first)

    def test_two_daemons(self):
        # Another data directory with this node's guard: refused, named.
        copy = Path(self.place.name) / "copy"
        shutil.copytree(self.office.dir, copy, ignore=shutil.ignore_patterns("*.sock"))
        with open(copy / "sauti.conf", encoding="utf-8") as f:
            text = f.read().replace("[node]\n", f"[node]\nguard = {self.office.dir}.guard\n", 1)
        (copy / "sauti.conf").write_text(text, encoding="utf-8")
        done = subprocess.run([BUILD / "sautid", "--dir", copy], capture_output=True, text=True,
                              timeout=120, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("another process is using guard", done.stderr)

    def test_guard_of_another_node(self):
        self.office.stop()
        shutil.rmtree(f"{self.office.dir}.guard")
        self.hq.stop()
        shutil.copytree(f"{self.hq.dir}.guard", f"{self.office.dir}.guard")
        done = subprocess.run([BUILD / "sautid", "--dir", self.office.dir], capture_output=True,
                              text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("belongs to node 'hq'", done.stderr)


if __name__ == "__main__":
    BUILD = Path(sys.argv.pop(1)).resolve()
    unittest.main()
