#!/usr/bin/env python3
"""Logs with two histories: real nodes, a relay between them. test_fork.py BUILD [unittest args]

An office's whole disk is put back, its guard with it, and it records on before it meets anybody: two
histories of its log are signed. Everybody ends with the evidence, nobody else is blamed, the office
opens a new log, and nothing that was ever recorded is missing anywhere.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "tests" / "lib"))
import cases  # noqa: E402
from network import Network, wait_for  # noqa: E402
from public import EVIDENCE, Public  # noqa: E402

BUILD = Path()
CONFIG = """
[replication]
have_delay = 20ms
cosignature_delay = 200ms
dial_retry_min = 50ms
dial_retry_max = 200ms
"""


class Forked(unittest.TestCase):
    """Headquarters, a relay, and an office that reaches only the relay."""

    def setUp(self):
        self.place = tempfile.TemporaryDirectory(prefix="sauti-fork-")
        self.addCleanup(self.place.cleanup)
        self.net = Network(self.place.name, BUILD, "fork.example")
        self.addCleanup(self.net.stop)
        self.hq = self.net.init()
        self.hq.configure(CONFIG)
        self.hq.start()
        self.relay = self.net.join("relay", "KEN", config=CONFIG)
        self.relay.start()
        self.office = self.net.join("haiti", "HTI")
        # It knows nobody but the relay.
        conf = self.office.dir / "sauti.conf"
        text = conf.read_text(encoding="utf-8").replace(f"127.0.0.1:{self.hq.port}", "127.0.0.1:1")
        conf.write_text(text + CONFIG + f"\n[peer relay]\naddress = 127.0.0.1:{self.relay.port}\n",
                        encoding="utf-8")
        self.office.start()
        self.code = self.office.json("case", "open")["code"]
        cases.agree(self.office, self.code)
        self.notes = []
        self.add(3)
        self.net.settle()

    def add(self, count):
        """Contacts of the one case, each with a note of its own."""
        notes = [f"lorem {len(self.notes) + i}" for i in range(count)]
        lines = "".join(json.dumps({"type": "CONTACT", "channel": "PHONE", "direction": "OUT",
                                    "result": "REACHED", "note": note}) + "\n" for note in notes)
        self.office.sauti("case", "add", self.code, "--from", "-", stdin=lines)
        self.notes += notes

    def shows_all(self):
        """Each event ever recorded, once."""
        events = self.office.json("case", "show", self.code)["events"]
        self.assertEqual(sorted(e["note"] for e in events if "note" in e), sorted(self.notes))

    def parts(self):
        """What lies beside each other: the node's directory and its guard."""
        return [self.office.dir, self.office.dir.with_name(self.office.dir.name + ".guard")]

    def image(self):
        """A copy of the whole disk of the stopped office."""
        for part in self.parts():
            shutil.copytree(part, Path(self.place.name) / f"image-{part.name}",
                            ignore=shutil.ignore_patterns("run", "*.sock", "control"))

    def put_back(self):
        for part in self.parts():
            shutil.rmtree(part)
            shutil.copytree(Path(self.place.name) / f"image-{part.name}", part)

    def evidence(self, node):
        done = node.sauti("--json", "log", "evidence", check=False)
        return done.returncode, json.loads(done.stdout) if done.stdout else []

    def fork(self, here):
        """Three events are recorded and replicated, the disk is put back, `here` more are recorded
        alone; then the office meets the relay again. What its log was."""
        self.office.stop()
        self.image()
        self.office.start()
        self.add(3)
        self.net.settle()
        old = self.office.own()["origin"]
        self.office.stop()
        self.relay.stop()
        self.put_back()
        self.office.start()
        self.assertEqual(self.office.json("status")["guard"]["verdict"], "same")
        self.add(here)
        self.relay.start()
        for node in (self.office, self.relay, self.hq):
            wait_for(f"evidence at {node.name}", lambda n=node: self.evidence(n)[0] == 4)
        return old

    def heals(self, old):
        """From the evidence to a network in which nothing is missing."""
        for node in (self.office, self.relay, self.hq):
            _, list_ = self.evidence(node)
            self.assertEqual({e["origin"] for e in list_}, {old})
            status = node.json("status")
            self.assertTrue(any("two histories" in a for a in status["alarms"]), status["alarms"])
            # Once, whatever was told last; and nobody waits for what it will never take.
            self.assertEqual(len([a for a in status["alarms"] if f"log '{old}'" in a]), 1, status["alarms"])
            self.assertEqual([log["behind"] for log in status["logs"] if log["origin"] == old], [0])
            for peer in status["peers"]:
                lacks = (peer["lacks"] or {}).get("logs", [])
                self.assertNotIn(old, [log["origin"] for log in lacks])
            self.assertEqual(node.sauti("log", "verify", check=False).returncode, 4)
        # The office locks itself, and says what to do.
        wait_for("the office to lock", lambda: self.office.json("status")["locked"])
        self.assertIn("opens a new log", self.office.json("status")["guard"]["todo"])
        # What it lost comes back as a branch, before anybody unlocks.
        wait_for("the other branch", lambda: any(
            log["branch"] and log["checkpoint_size"] > 0 for log in self.office.logs().values()))
        answer = self.office.unlock()
        self.assertEqual(answer["previous_log"], old)
        self.assertNotEqual(answer["log"], old)
        wait_for("sealing again",
                 lambda: not self.office.json("status")["guard"]["resealing"])
        self.shows_all()
        self.add(1)
        new = self.office.own()
        self.assertEqual(new["origin"], answer["log"])
        for node in (self.relay, self.hq):
            wait_for(f"the new log at {node.name}", lambda n=node: n.logs().get(
                new["origin"], {}).get("checkpoint_size") == new["size"])
            # Both histories are held, as the log and as a branch of it.
            wait_for(f"both branches at {node.name}", lambda n=node: any(
                log["branch"] and log["checkpoint_size"] > 0 for log in n.logs().values()))
        # Nobody else was blamed.
        for node in (self.office, self.relay, self.hq):
            for word in ("bad Batch", "bad Have", "bad Evidence", "bad Prove"):
                self.assertNotIn(word, node.log)
        # Every event stands in the new log alone: all other keys of its cases may go.
        size = self.office.own()["size"]
        self.office.sauti("lock")
        self.office.unlock()
        self.shows_all()
        self.assertEqual(self.office.own()["size"], size)
        # Whatever the log is, what is held of it is whole.
        for node in (self.office, self.relay, self.hq):
            done = node.sauti("--json", "log", "verify", check=False)
            self.assertEqual(done.returncode, 4)
            for log in json.loads(done.stdout):
                self.assertTrue(log["ok"], log)


class Rollback(Forked):
    def test_the_new_history_is_shorter(self):
        self.heals(self.fork(1))

    def test_the_new_history_is_longer(self):
        self.heals(self.fork(9))

    def test_after_restarts(self):
        """Evidence, frozen logs and branches outlive the processes that found them."""
        old = self.fork(2)
        for node in (self.office, self.relay, self.hq):
            node.kill()
        for node in (self.hq, self.relay, self.office):
            node.start(unlock=node is not self.office)
            self.assertEqual(self.evidence(node)[0], 4)
            self.assertTrue(node.logs()[old]["frozen"])
        self.heals(old)

    def test_verified_without_a_node(self):
        """What one node exports anybody verifies, with the log's key or the author's."""
        self.fork(1)
        file = Path(self.place.name) / "evidence"
        done = self.hq.sauti("log", "evidence", "--export", file, check=False)
        self.assertEqual(done.returncode, 4)
        self.assertIn("written to", done.stderr)
        done_none = self.hq.sauti("log", "evidence", "no.such/log", check=False)
        self.assertEqual(done_none.returncode, 1, done_none)
        self.assertIn("FORK", done.stdout)
        with Public(self.hq.dir / "run/public.sock") as ask:  # the same, for anybody
            given = ask.ask(EVIDENCE)
        self.assertEqual(given.data, file.read_bytes())
        held = self.evidence(self.hq)[1]
        self.assertEqual(given.docs, [{"id": e["id"], "origin": e["origin"]} for e in held])
        vkey = self.evidence(self.hq)[1][0]["vkey"]
        node_key = [n for n in self.hq.json("node", "list") if n["name"] == "haiti"][0]["node_key"]
        self.net.stop()
        for option in (("--vkey", vkey), ("--node-key", node_key)):
            done = self.hq.sauti("log", "evidence", "--verify", file, *option, check=False)
            self.assertEqual(done.returncode, 4, done)
            self.assertIn("verified", done.stdout)
        # Under another key, and with a byte changed, it is none.
        other = self.hq.sauti("log", "evidence", "--verify", file, "--node-key",
                              "A" * 43 + "=", check=False)
        self.assertNotIn("verified", other.stdout)
        self.assertEqual(other.returncode in (1, 4), True)
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
        done = self.hq.sauti("log", "evidence", "--verify", file, "--vkey", vkey, check=False)
        self.assertNotIn("verified", done.stdout)


class Kept(Forked):
    def test_fsck_and_backup(self):
        """A store with evidence and branches is a whole store, and a backup of it has them."""
        old = self.fork(2)
        self.heals(old)
        to = Path(self.place.name) / "backup"
        self.hq.sauti("backup", to)
        done = subprocess.run([BUILD / "sauti", "--dir", Path(self.place.name) / "restored", "restore",
                               "--dry-run", to], capture_output=True, text=True, timeout=120,
                              check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        branches = [o for o, log in self.hq.logs().items() if log["branch"]]
        self.assertTrue(branches)
        for node in (self.office, self.relay, self.hq):
            node.stop()
            done = subprocess.run([BUILD / "sautid", "--dir", node.dir, "--fsck"],
                                  capture_output=True, text=True, timeout=120, check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        manifest = "".join(f.read_text(encoding="utf-8", errors="replace")
                           for f in to.rglob("*") if f.is_file() and f.stat().st_size < 65536)
        for branch in branches:
            self.assertIn(branch, manifest)


class OldData(Forked):
    def test_old_data_guard_newer(self):
        """Only the data directory is put back: no fork is signed, and nothing is missing."""
        self.office.stop()
        self.image()
        self.office.start()
        self.add(3)
        self.net.settle()
        self.office.stop()
        self.relay.stop()
        shutil.rmtree(self.office.dir)
        shutil.copytree(Path(self.place.name) / f"image-{self.office.dir.name}", self.office.dir)
        self.office.start()
        self.assertEqual(self.office.json("status")["guard"]["verdict"], "behind")
        refused = self.office.sauti("case", "add", self.code, "--from", "-", check=False,
                                    stdin=json.dumps({"type": "CONTACT", "channel": "PHONE",
                                                      "direction": "OUT", "result": "REACHED",
                                                      "note": "no"}) + "\n")
        self.assertNotEqual(refused.returncode, 0)
        self.relay.start()
        wait_for("the own entries", lambda: self.office.json("status")["guard"]["writable"])
        self.office.unlock()
        self.shows_all()
        self.add(1)
        self.net.settle()
        self.shows_all()
        for node in (self.office, self.relay, self.hq):
            self.assertEqual(self.evidence(node), (0, []))
            self.assertEqual(node.sauti("log", "verify").returncode, 0)


class Flood(Forked):
    def test_one_node_floods(self):
        """More than a day's quota of one node is refused of that node alone, and shown."""
        self.relay.stop()
        self.relay.configure("\n[store]\ndaily_quota = 256KiB\n")
        self.relay.start()
        origin = self.office.own()["origin"]
        self.add(500)
        wait_for("the quota", lambda: self.relay.logs()[origin]["over_quota"])
        self.assertTrue(any("daily_quota" in a for a in self.relay.json("status")["alarms"]))
        self.add(20)
        # Everybody else goes on, the relay's own work too.
        for node, other in ((self.hq, self.relay), (self.relay, self.hq)):
            node.json("case", "open", "--office", "HTI")
            own = node.own()
            wait_for(f"the log of {node.name} at {other.name}", lambda o=own, n=other: n.logs().get(
                o["origin"], {}).get("checkpoint_size") == o["size"])
        self.assertLess(self.relay.logs()[origin]["size"], self.office.own()["size"])
        self.shows_all()
        for node in (self.office, self.relay, self.hq):
            self.assertNotIn("bad Batch", node.log)


if __name__ == "__main__":
    BUILD = Path(sys.argv.pop(1)).resolve()
    unittest.main(verbosity=2)
