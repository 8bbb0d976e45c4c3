#!/usr/bin/env python3
"""Real nodes: a node is revoked, a policy is changed. test_members.py BUILD [unittest args]"""

import json
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "tests" / "lib"))
from network import Network, wait_for  # noqa: E402

BUILD = Path()
FAST = "\n[replication]\nhave_delay = 100ms\ndial_retry_min = 200ms\ndial_retry_max = 1s\n"


def connected(node, peer):
    """Does node have a session with peer?"""
    return any(p["name"] == peer and p["connected"] for p in node.json("status")["peers"])


def lines(count, start=0):
    """Events of new cases, for case import."""
    for i in range(start, start + count):
        yield json.dumps({"type": "CASE_OPENED", "event_id": f"01900000-0000-7000-8000-{i:012x}",
                          "case_ref": f"{i:032x}", "case_code": f"ZZ-M-{i}", "occurred_on": "2026-01-01",
                          "precision": "D"})


class Case(unittest.TestCase):
    """Headquarters and offices; every test has a network of its own."""

    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="sauti-test."))
        self.network = Network(self.root, BUILD, "test.example")
        self.hq = self.network.init()
        self.hq.configure(FAST)
        self.hq.start()

    def tearDown(self):
        for node in self.network.nodes.values():
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

    def revoked(self, node, name):
        """Waits until node knows that name is revoked; what it shows of it."""
        return wait_for(f"{node.name} to know that {name} is revoked",
                        lambda: node.json("node", "show", name)["revoked"])


class Revoke(Case):
    """sauti node revoke"""

    def test_live_sessions_close(self):
        """Inbound and outbound, at a locked node too, at once; nothing is taken any more."""
        caf = self.office("caf", "CAF")
        cod = self.office("cod", "COD", caf)
        wait_for("cod to have a session with caf", lambda: connected(cod, "caf"))
        self.network.settle()
        cod.json("lock")
        origin, size = caf.own()["origin"], caf.own()["size"]
        done = self.hq.sauti("node", "revoke", "caf", "--reason", "stolen at Bria", "--yes")
        self.assertIn(f"counts up to here: {origin}, {size} entries", done.stdout)
        # under a second without load: see the bound of the engine's test, which has no clock
        wait_for("headquarters to close it", lambda: not connected(self.hq, "caf"), 60)
        wait_for("cod to close it", lambda: not connected(cod, "caf"), 60)
        self.assertIn("the directory does not list it as active", cod.log)
        # caf goes on for itself; nobody takes what it records
        self.assertGreater(self.record(caf, 3, 0), size)
        again = self.office("ssd", "SSD")  # life goes on
        self.holds(again, origin, size)
        for node in (self.hq, cod, again):
            self.assertFalse(connected(node, "caf"))
            log = node.logs()[origin]
            self.assertEqual((log["size"], log["counts"], log["behind"]), (size, size, 0))
            self.assertTrue(log["revoked"])
            self.assertFalse(node.json("node", "show", "caf")["active"])
            shown = node.sauti("node", "show", "caf").stdout
            self.assertIn(" reason: ", shown)
            self.assertIn(" origin: ", shown)
            self.assertNotIn("{", shown)

    def test_refusals(self):
        """Who may, whom, and when."""
        caf = self.office("caf", "CAF")
        for node, args, status, word in (
                (caf, ["hq", "--reason", "x"], 5, "only headquarters"),
                (self.hq, ["hq", "--reason", "x"], 5, "itself"),
                (self.hq, ["nobody", "--reason", "x"], 1, "no node"),
                (self.hq, ["caf"], 2, "--reason"),
                (self.hq, ["caf", "--reason", "a\nb"], 2, "one line"),
                (self.hq, ["caf", "--reason", "y" * 501], 2, "500")):
            with self.subTest(args):
                done = node.sauti("node", "revoke", *args, "--yes", check=False)
                self.assertEqual(done.returncode, status, done.stderr)
                self.assertIn(word, done.stderr)
        done = self.hq.sauti("node", "revoke", "caf", "--reason", "x", stdin="", check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("--yes", done.stderr)
        self.assertTrue(self.hq.json("node", "show", "caf")["active"])
        self.hq.json("lock")
        done = self.hq.sauti("node", "revoke", "caf", "--reason", "x", "--yes", check=False)
        self.assertEqual(done.returncode, 5, done.stderr)
        self.hq.unlock()
        self.hq.json("node", "revoke", "caf", "--reason", "first", "--yes")
        done = self.hq.sauti("node", "revoke", "caf", "--reason", "second", "--yes", check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("already", done.stderr)
        done = self.hq.sauti("node", "invite", "caf", "--country", "CAF", check=False)
        self.assertEqual(done.returncode, 1, done.stderr)

    def test_what_is_beyond_reaches_nobody(self):
        """cod holds more of caf's log than headquarters listed. ssd was dark, meets only cod, and gets
        the listed rest from it and no more; after restarts too."""
        caf = self.office("caf", "CAF")
        cod = self.office("cod", "COD", caf)
        ssd = self.office("ssd", "SSD", cod)
        wait_for("cod to have a session with caf", lambda: connected(cod, "caf"))
        self.network.settle()
        ssd.stop()
        listed = self.record(caf, 5, 100)
        origin = caf.own()["origin"]
        self.holds(self.hq, origin, listed)
        self.hq.stop()
        held = self.record(caf, 5, 200)
        self.holds(cod, origin, held)
        cod.stop()
        caf.stop()
        self.hq.start()
        answer = self.hq.json("node", "revoke", "caf", "--reason", "hacked", "--yes")
        self.assertEqual(answer["logs"], [{"origin": origin, "size": listed, "known": listed}])
        cod.start(unlock=False)
        self.revoked(cod, "caf")
        self.holds(cod, origin, listed)
        self.assertEqual(cod.logs()[origin]["size"], held)
        self.hq.stop()
        cod.stop()
        cod.start(unlock=False)
        ssd.start(unlock=False)
        self.revoked(ssd, "caf")
        self.holds(ssd, origin, listed)
        self.assertEqual(ssd.logs()[origin]["size"], listed)
        self.assertTrue(all(r["ok"] for r in ssd.json("log", "verify")))
        self.assertTrue(all(r["ok"] for r in cod.json("log", "verify")))
        # caf comes back and offers more: nobody takes it
        caf.start()
        self.record(caf, 1, 300)
        self.hq.start()
        wait_for("headquarters to refuse caf", lambda: "'caf'" in self.hq.log.rsplit("listening", 1)[1])
        for node, size in ((self.hq, listed), (cod, held), (ssd, listed)):
            self.assertEqual(node.logs()[origin]["size"], size)


class Guests(Case):
    """Nodes that the directory known to the other side does not list"""

    def test_dark_through_an_admission(self):
        """ssd was dark while hti joined, and meets only hti: the directory comes with it."""
        ssd = self.office("ssd", "SSD")
        self.network.settle()
        ssd.stop()
        hti = self.office("hti", "HTI", ssd)
        self.holds(self.hq, hti.own()["origin"], hti.own()["size"])
        self.hq.stop()
        ssd.start(unlock=False)
        wait_for("ssd to know hti", lambda: ssd.sauti("node", "show", "hti", check=False).returncode == 0)
        wait_for("a session", lambda: connected(ssd, "hti") and connected(hti, "ssd"))
        self.assertIn("'hti' is not in the directory", ssd.log)
        self.holds(ssd, hti.own()["origin"], hti.own()["size"])

    def test_the_revoked_node_learns_it(self):
        """caf was dark while it was revoked: it gets the directory, and nothing else, and says so."""
        caf = self.office("caf", "CAF")
        self.network.settle()
        caf.stop()
        cod = self.office("cod", "COD")
        origin, size = self.hq.own()["origin"], self.record(cod, 2, 50)
        self.holds(self.hq, cod.own()["origin"], size)
        self.hq.json("node", "revoke", "caf", "--reason", "the office is closed", "--yes")
        caf.start()
        alarms = wait_for("caf to learn it", lambda: [a for a in caf.json("status")["alarms"] if "revoked" in a])
        self.assertIn("the office is closed", alarms[0])
        self.assertFalse(connected(self.hq, "caf"))
        self.assertNotIn(cod.own()["origin"], caf.logs())
        self.assertIn(origin, caf.logs())
        self.record(caf, 1, 60)  # for itself
        caf.stop()
        caf.start(unlock=False)
        self.assertTrue([a for a in caf.json("status")["alarms"] if "revoked" in a])


class Disputes(Case):
    """sauti node dispute"""

    def test_a_dispute_is_seen_everywhere(self):
        """Of a node that was revoked and dark meanwhile; at locked nodes, at late ones, after restarts."""
        caf, cod = self.office("caf", "CAF"), self.office("cod", "COD")
        self.network.settle()
        done = caf.sauti("node", "dispute", "x", check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("not revoked", done.stderr)
        caf.stop()
        cod.json("lock")
        index = self.hq.json("node", "revoke", "caf", "--reason", "hacked", "--yes")["index"]
        caf.start()
        wait_for("caf to learn it", lambda: not caf.json("node", "show", "caf")["active"])
        text = "we were never hacked: ask Bangui"
        self.assertIn(f"record {index}", caf.sauti("node", "dispute", text).stdout)
        late = self.office("ssd", "SSD")
        for node in (caf, self.hq, cod, late):
            seen = wait_for(f"{node.name} to see it", lambda: node.json("node", "show", "caf")["disputes"])
            self.assertEqual((seen[0]["index"], seen[0]["text"]), (index, text))
            self.assertTrue([a for a in node.json("status")["alarms"] if text in a])
            self.assertIn("DISPUTES", node.sauti("node", "list").stdout)
        cod.stop()
        cod.start(unlock=False)
        self.assertEqual(cod.json("node", "show", "caf")["disputes"][0]["text"], text)
        done = caf.sauti("node", "dispute", "a\nb", check=False)
        self.assertEqual(done.returncode, 2, done.stderr)
        for i in range(3):
            caf.json("node", "dispute", f"once more {i}", "--record", str(index))
        done = caf.sauti("node", "dispute", "a fifth", check=False)
        self.assertEqual(done.returncode, 1, done.stderr)


class Policy(Case):
    """sauti node policy, and what it makes of entries"""

    def test_quorum(self):
        """2 of 3: shown when, and only when, two mirrors hold it. (A look at a case makes caf's log grow.)"""
        cod, ssd = self.office("cod", "COD"), self.office("ssd", "SSD")
        caf = self.office("caf", "CAF", cod, ssd)
        self.hq.json("node", "policy", "--quorum", "2")
        wait_for("caf to know the policy", lambda: caf.json("node", "policy")["quorum"] == 2)
        self.network.settle()
        for node in (self.hq, cod, ssd):
            node.stop()
        size = self.record(caf, 1, 10)
        log = caf.own()
        self.assertLess(log["quorum"]["size"], size)
        self.assertEqual((log["quorum"]["needed"], log["quorum"]["current"]), (2, 0))
        state = caf.json("case", "show", "ZZ-M-10")["newest"]
        self.assertEqual((state["origin"], state["index"]), (log["origin"], size - 1))
        self.assertEqual(state["state"], {
            "state": "durable here", "durable": True, "held_by": 0, "quorum": 2, "in_quorum": False,
            "in_policy": None, "keys": state["state"]["keys"], "safe": False})
        self.assertIn("newest entry: durable here\n", caf.sauti("case", "show", "ZZ-M-10").stdout)
        cod.start(unlock=False)
        wait_for("cod to hold it", lambda: caf.own()["quorum"]["current"] == 1)
        self.assertLess(caf.own()["quorum"]["size"], size)
        self.assertIn("newest entry: held by 1 of 2\n", caf.sauti("case", "show", "ZZ-M-10").stdout)
        ssd.start(unlock=False)
        wait_for("the quorum to hold it", lambda: caf.own()["quorum"]["size"] >= size)
        state = caf.json("log", "show", log["origin"], "--index", size - 1)["entry"]["state"]
        self.assertEqual((state["held_by"], state["quorum"], state["in_quorum"]), (2, 2, True))
        wait_for("keys to be looked at", lambda: caf.json("log", "show", log["origin"], "--index", size - 1)
                 ["entry"]["state"]["state"] == "safe")
        self.assertIn("newest entry: safe\n", caf.sauti("case", "show", "ZZ-M-10").stdout)
        # headquarters knows it too, of a log that is not its own; there the witnesses stand apart
        self.hq.start()
        wait_for("headquarters to know it", lambda: self.hq.logs()[log["origin"]]["quorum"]["size"] >= size)
        witnesses = {w["witness"] for w in caf.own()["witnessed_by"]}
        self.assertLessEqual({"cod", "ssd"}, witnesses)
        for node in (caf, self.hq):
            self.assertTrue(all(r["ok"] for r in node.json("log", "verify")))
        # a mirror is revoked: the same entry is in the quorum no more, until headquarters counts
        keys = self.hq.json("node", "show", "cod")
        self.assertTrue(keys["mirror_key"].startswith("test.example/mirror/cod+"), keys)
        self.assertTrue(keys["witness_key"].startswith("test.example/witness/cod+"), keys)
        self.hq.json("node", "policy", "--mirrors", "cod,ssd")
        wait_for("caf to know it", lambda: caf.json("node", "policy")["mirrors"] == ["cod", "ssd"])
        self.hq.json("node", "revoke", "cod", "--reason", "sold", "--yes")
        self.revoked(caf, "cod")
        self.assertEqual(caf.own()["quorum"]["size"], 0)
        self.hq.json("node", "policy", "--mirrors", "hq,ssd")
        wait_for("the quorum to hold it", lambda: caf.own()["quorum"]["size"] >= size)

    def test_policy(self):
        """Shown everywhere, changed at headquarters alone, never below a floor."""
        caf = self.office("caf", "CAF")
        built_in = self.hq.json("node", "policy")
        self.assertEqual(built_in, {"quorum": 1, "mirrors": None, "reach": 1, "hide_below": 4,
                                    "split_offices": 5, "changed_at": 0})
        self.assertNotIn("NOTE", self.hq.sauti("node", "policy").stdout)
        changed = self.hq.json("node", "policy", "--quorum", "2", "--mirrors", "hq,caf", "--hide", "9")
        self.assertEqual((changed["quorum"], changed["mirrors"], changed["hide_below"],
                          changed["split_offices"]), (2, ["hq", "caf"], 9, 5))
        wait_for("caf to know it", lambda: caf.json("node", "policy")["quorum"] == 2)
        text = caf.sauti("node", "policy").stdout
        self.assertIn("hq, caf", text)
        for node, args, status in ((caf, ["--quorum", "1"], 5),
                                   (self.hq, ["--quorum", "0"], 2),
                                   (self.hq, ["--hide", "3"], 2),
                                   (self.hq, ["--split", "4"], 2),
                                   (self.hq, ["--mirrors", "hq,HQ"], 2),
                                   (self.hq, ["--mirrors", "hq,hq"], 1),
                                   (self.hq, ["--mirrors", "hq"], 1),
                                   (self.hq, ["--mirrors", "hq,nobody"], 1)):
            with self.subTest(args):
                done = node.sauti("node", "policy", *args, check=False)
                self.assertEqual(done.returncode, status, done.stderr)
        changed = self.hq.json("node", "policy", "--mirrors", "all", "--quorum", "1")
        self.assertEqual((changed["quorum"], changed["mirrors"], changed["hide_below"]), (1, None, 9))
        # Two nodes, and a log's own author does not count: that is said.
        self.assertEqual(self.hq.json("node", "policy", "--quorum", "2")["reach"], 1)
        self.assertIn("nothing will be in the quorum", self.hq.sauti("node", "policy").stdout)


if __name__ == "__main__":
    BUILD = Path(sys.argv.pop(1)).resolve()
    unittest.main()
