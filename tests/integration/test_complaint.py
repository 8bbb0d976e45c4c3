#!/usr/bin/env python3
"""Complaints about staff between real nodes: through a relay, past kills, to nobody they are about.
test_complaint.py BUILD [unittest arguments]"""
import base64
import errno
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))
import network  # noqa: E402
from faults import Faults  # noqa: E402

BUILD = Path(sys.argv.pop(1) if len(sys.argv) > 1 else "build-dev").resolve()
QUICK = "\n[replication]\ndial_retry_min = 20ms\ndial_retry_max = 200ms\nhave_delay = 50ms\n"
WAITING_MAX = 16  # LIMIT_COMPLAINTS_WAITING
NOTE = "quillfeather marisolwenda"


def wait_for(what, condition):
    """As network.wait_for, for a machine that may be busy."""
    return network.wait_for(what, condition, 90)


def memory_has(pid, what):
    """Do these bytes stand in a writable part of the process's memory?"""
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb") as mem:
        for line in maps:
            area = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if area is None or "[v" in line:
                continue
            first, end = (int(n, 16) for n in area.groups())
            if end - first > 1 << 30:
                continue  # the store's map
            try:
                mem.seek(first)
                if what in mem.read(end - first):
                    return True
            except OSError:
                continue
    return False


class Complaint(unittest.TestCase):
    """Headquarters, and caf, which meets nobody but cod."""

    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="sauti-complaint-"))
        self.net = network.Network(self.root, BUILD)
        self.hq = self.net.init()
        self.hq.configure(QUICK)
        self.hq.start()

    def tearDown(self):
        self.net.stop()
        shutil.rmtree(self.root)

    def offices(self):
        self.cod = self.net.join("cod", "COD", config=QUICK)
        self.cod.start()
        self.caf = self.net.join("caf", "CAF", config=QUICK)
        conf = self.caf.dir / "sauti.conf"
        text = re.sub(r"\[peer hq\]\n(?:[^\[\n].*\n)*", "", conf.read_text(encoding="utf-8"))
        conf.write_text(text + f"\n[peer cod]\naddress = 127.0.0.1:{self.cod.port}\n",
                        encoding="utf-8")
        self.caf.start()
        self.net.settle()

    def complain(self, node, *args, note=NOTE, check=True):
        done = node.sauti("--json", "case", "complain", "--about", "delay", "--on", "2026-03-04",
                          "--note-from", "-", *args, stdin=note + "\n", check=check)
        return done if not check else json.loads(done.stdout)

    def cases(self, node):
        return {c["code"]: c["events"] for c in node.json("case", "list")}

    def entry(self, node, origin, index):
        return node.json("log", "show", origin, "--index", index)["entry"]

    def mail(self, node):
        return node.json("status")["mail"]

    def cannot_read(self, node, code):
        self.assertNotIn(code, self.cases(node))
        shown = node.sauti("case", "show", code, check=False)
        self.assertEqual(shown.returncode, 1)
        self.assertIn("no case", shown.stderr)
        for path in node.dir.rglob("*"):
            if path.is_file():
                self.assertNotIn(b"quillfeather", path.read_bytes(), path)

    def test_only_headquarters_reads_it(self):
        self.offices()
        self.hq.stop()
        told = self.complain(self.caf, "--subject-officer", "amina", "--anonymous")
        self.assertEqual((told["state"], told["to"]), ("recorded", "hq"))
        code = told["case_code"]
        self.assertTrue(code.startswith("CAF-"))
        # What it stands for is in the log, for everybody to see, and says nothing.
        entry = self.entry(self.caf, told["log"], told["index"])
        self.assertEqual(base64.b64decode(entry["leaf_hash"]).hex(), told["leaf_hash"])
        self.cannot_read(self.caf, code)
        try:
            wait_for("the text to be gone from memory",
                     lambda: not memory_has(self.caf.process.pid, b"quillfeather"))
        except PermissionError:
            pass  # a process may not look into its children here
        sent = self.caf.json("mail", "list")[-1]
        self.assertEqual(sent["kind"], "notice")  # as any other
        wait_for("cod to carry it", lambda: self.mail(self.cod)["carried"] == 1)
        own = self.caf.own()
        wait_for("cod to hold the log", lambda: self.cod.logs()[own["origin"]]["checkpoint_size"]
                 == own["size"])
        self.caf.stop()
        self.hq.start()
        wait_for("headquarters to have it", lambda: self.cases(self.hq).get(code) == 2)
        shown = self.hq.json("case", "show", code)
        self.assertEqual([e["type"] for e in shown["events"]], ["CASE_OPENED", "COMPLAINT_RECEIVED"])
        received = shown["events"][1]
        self.assertEqual({k: received[k] for k in ("about", "subject_officer", "recorded_by", "note",
                                                   "author", "event_id", "complaint_id")},
                         {"about": "DELAY", "subject_officer": "amina@caf", "recorded_by": "anonymous@caf",
                          "note": NOTE, "author": "caf", "event_id": told["event_id"],
                          "complaint_id": "Q-1"})
        self.assertEqual(shown["left_out"], 0)
        self.assertIn("Q-1: delay, not acknowledged yet", self.hq.sauti("case", "show", code).stdout)
        self.assertIn(f"Open complaints\n  {code}  1 complaint; ", self.hq.sauti("today").stdout)
        # It is answered there; one case, two authors.
        self.hq.sauti("case", "add", code, "--type", "COMPLAINT_STAGE", "--office", "CAF", "--field",
                      "complaint_id=Q-1", "--field", "stage=ACKNOWLEDGED", "--on", "2026-03-06")
        self.assertEqual(self.cases(self.hq)[code], 3)
        # Nobody else, neither now nor after a restart, and nothing is taken for lost.
        self.caf.start()
        self.net.settle()
        for node in (self.caf, self.cod):
            node.stop()
            node.start()
            self.cannot_read(node, code)
            self.assertEqual(node.json("status")["alarms"], [])
        self.hq.stop()
        self.hq.start()
        events = self.hq.json("case", "show", code)["events"]
        self.assertEqual([e.get("author") for e in events], ["caf", "caf", None])
        for node in self.net.nodes.values():
            self.assertTrue(all(r["ok"] for r in node.json("log", "verify")))
            self.assertEqual((self.mail(node)["held_back"], self.mail(node)["complaints_awaited"],
                              self.mail(node)["complaints_refused"]), (0, 0, 0))

    def test_where_it_may_go(self):
        # Nobody else is there.
        size = self.hq.own()["size"]
        done = self.complain(self.hq, check=False)
        self.assertEqual(done.returncode, 5)
        self.assertIn("no other active node", done.stderr)
        self.assertEqual(self.hq.own()["size"], size)
        self.offices()
        size = self.caf.own()["size"]
        for args, says in (
                (("--subject-officer", "bo@hq"), "Say --to NODE: cod"),
                (("--subject-officer", "bo@hq", "--to", "hq"), "Who can: cod"),
                (("--about-node", "hq"), "Say --to NODE: cod"),
                (("--to", "caf"), "Who can: hq, cod"),
                (("--to", "nowhere"), "Who can: hq, cod"),
        ):
            done = self.complain(self.caf, *args, check=False)
            self.assertEqual((done.returncode, says in done.stderr), (5, True), done.stderr)
        self.assertEqual(self.complain(self.caf, "--about", "nothing", check=False).returncode, 2)
        self.assertIn("'sauti case types complaint' has all",
                      self.caf.sauti("case", "complain", check=False).stderr)
        # A plain event would be read by everybody at the node.
        opened = self.caf.json("case", "open", "--code", "ZZ-CAF-1")
        plain = self.caf.sauti("case", "add", opened["code"], "--type", "COMPLAINT_RECEIVED", "--field",
                               "complaint_id=Q-1", "--field", "about=DELAY", "--field",
                               "subject_officer=amina", check=False)
        self.assertIn("case complain", plain.stderr)
        self.assertNotEqual(plain.returncode, 0)
        self.assertEqual(self.caf.own()["size"], size + 1)
        # A second node will do.
        told = self.complain(self.caf, "--subject-officer", "bo@hq", "--to", "cod")
        wait_for("cod to have it", lambda: told["case_code"] in self.cases(self.cod))
        self.net.settle()
        self.cannot_read(self.hq, told["case_code"])
        self.caf.sauti("lock")
        self.assertEqual(self.complain(self.caf, check=False).returncode, 5)

    def test_a_disk_that_refuses(self):
        """Before it is durable nothing has happened; from then on it is done by itself."""
        if not (BUILD / "tests/faults/libfault.so").exists():
            self.skipTest("needs libfault.so: build all targets")
        self.offices()
        faults = Faults(self.root / "faults", BUILD)
        self.caf.stop()
        self.caf.env = faults.env
        self.caf.start()
        self.net.settle()
        size = self.caf.own()["size"]
        faults.arm("sync", self.caf.dir / "mail", errno.EIO, forever=False)
        done = self.complain(self.caf, check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("nothing was recorded", done.stderr)
        self.assertEqual(faults.failed, 1)
        faults.arm("sync", self.caf.dir / "store", errno.EIO, forever=True)
        told = self.complain(self.caf)
        self.assertEqual(told["state"], "kept")
        self.assertEqual(self.mail(self.caf)["held_back"], 1)
        self.assertIn("wait to be recorded", self.caf.sauti("status").stdout)
        told = [told]
        while len(told) < WAITING_MAX:
            told.append(self.complain(self.caf))
            self.assertEqual(told[-1]["state"], "kept")
        done = self.complain(self.caf, check=False)  # past the cap
        self.assertEqual(done.returncode, 1)
        self.assertIn("was not recorded", done.stderr)
        self.caf.kill()
        faults.disarm()
        self.caf.start(unlock=False)
        self.assertEqual(self.mail(self.caf)["held_back"], WAITING_MAX)
        self.caf.unlock()
        wait_for("headquarters to have them",
                 lambda: self.cases(self.hq) == {t["case_code"]: 2 for t in told})
        wait_for("the rows to go", lambda: self.mail(self.caf)["held_back"] == 0)
        self.assertEqual(self.caf.own()["size"], size + 3 * WAITING_MAX)
        self.assertEqual(self.caf.json("status")["alarms"], [])
        self.cannot_read(self.caf, told[0]["case_code"])

    def test_killed_anywhere(self):
        """What was said to be recorded is whole at headquarters; nothing is there by half."""
        self.offices()
        rng = random.Random(1)
        codes, told = [], threading.Lock()

        def work():
            for _ in range(40):
                try:
                    done = self.complain(self.caf, check=False)
                except subprocess.TimeoutExpired:
                    return
                if done.returncode == 0:
                    with told:
                        codes.append(json.loads(done.stdout)["case_code"])
                else:
                    return

        for _ in range(6):
            before = len(codes)
            thread = threading.Thread(target=work)
            thread.start()
            wait_for("one to be recorded", lambda b=before: len(codes) > b)
            time.sleep(rng.random() * 0.05)  # when exactly is what the kill is to vary
            self.caf.kill()
            thread.join()
            self.caf.start()
        wait_for("what is left to be done", lambda: self.mail(self.caf)["held_back"] == 0)
        self.net.settle()
        wait_for("all keys at headquarters",
                 lambda: self.mail(self.caf)["waiting"] == 0 and set(codes) <= set(self.cases(self.hq)))
        self.assertEqual(set(self.cases(self.hq).values()), {2})
        self.assertEqual(self.mail(self.hq)["complaints_awaited"], 0)
        # As many as there are: each has three entries, some of them twice.
        own = self.caf.own()
        entries = [self.entry(self.caf, own["origin"], i) for i in range(own["size"])]
        leaves = {e["leaf_hash"] for e in entries if e["kind"] == "sealed"}
        self.assertEqual(len(leaves), 3 * len(self.cases(self.hq)))
        self.assertEqual(self.caf.json("status")["alarms"], [])
        self.assertEqual(self.cases(self.caf), {})


if __name__ == "__main__":
    os.environ.pop("SAUTI_DIR", None)
    unittest.main(verbosity=1)
