#!/usr/bin/env python3
"""Real nodes: how well what is recorded is held, [safe] policy, and waiting. test_safe.py BUILD [unittest args]"""

import json
import os
import pty
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "tests" / "lib"))
from network import Network, wait_for  # noqa: E402
from recovery import make_key  # noqa: E402

BUILD = Path()
FAST = "\n[replication]\nhave_delay = 100ms\ndial_retry_min = 200ms\ndial_retry_max = 1s\n"
CONTACT = ("contact", "--channel", "phone", "--direction", "out", "--result", "reached")


def event(number):
    """A new case, as a line for case import."""
    return json.dumps({"type": "CASE_OPENED", "event_id": f"01900000-0000-7000-8000-{number:012x}",
                       "case_ref": f"{number:032x}", "case_code": f"ZZ-S-{number}",
                       "occurred_on": "2026-01-01", "precision": "D"}) + "\n"


def varint(number):
    """As protobuf has it."""
    out = b""
    while number > 0x7f:
        out += bytes([number & 0x7f | 0x80])
        number >>= 7
    return out + bytes([number])


def field(number, value):
    """A number, or bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def ask(node, origin, first, end, level, timeout_ms):
    """A raw SafeWaitRequest of the officer who is logged in; error and message of the last answer."""
    body = (field(1, origin.encode()) + field(2, first) + field(3, end) + field(4, level)
            + field(5, timeout_ms))
    token = bytes.fromhex((node.dir / "run" / "session").read_text(encoding="ascii").strip())
    message = field(225, body) + field(200, token)
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(60)
        s.connect(str(node.dir / "run" / "control.sock"))
        s.sendall(struct.pack(">I", len(message)) + message)
        size = struct.unpack(">I", s.recv(4, socket.MSG_WAITALL))[0]
        return s.recv(size, socket.MSG_WAITALL)


class Safe(unittest.TestCase):
    """Headquarters, cod and haiti; haiti records. Its directory's quorum is 1."""

    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="sauti-test."))
        self.network = Network(self.root, BUILD, "test.example")
        self.hq = self.network.init()
        self.hq.configure(FAST)
        self.hq.start()
        self.cod = self.network.join("cod", "COD", config=FAST)
        self.cod.start()
        self.haiti = self.network.join(
            "haiti", "HTI",
            config=FAST + f"\n[peer cod]\naddress = 127.0.0.1:{self.cod.port}\n")
        self.policy = self.haiti.dir / "safe.policy"

    def tearDown(self):
        for node in self.network.nodes.values():
            if node.process is not None:
                node.kill()
        shutil.rmtree(self.root)

    def keys(self, *wanted):
        """Lines of a policy: ("mirror", "hq") .. with the keys that haiti's directory lists."""
        known = {(line.split()[1]): line.split()[2]
                 for line in self.hq.json("log", "policy", "--witnesses", "0")["policy"].splitlines()
                 if line.startswith("witness ")}
        return "".join(f"witness {role}-{name} {known[name if role == 'mirror' else name + '/witness']}\n"
                       for role, name in wanted)

    def write(self, text):
        """The policy file."""
        self.policy.write_text(text, encoding="ascii")

    def start(self, policy=None):
        """haiti, with this policy, and a case ZZ-S-1 in it."""
        if policy is not None:
            self.write(policy)
            self.haiti.configure("\n[safe]\npolicy = safe.policy\n")
        self.haiti.start()
        self.haiti.sauti("case", "import", "-", stdin=event(1))
        self.network.settle()

    def reload(self):
        """SIGHUP, and the line that it is answered with."""
        before = self.haiti.log.count("reloaded")
        self.haiti.process.send_signal(signal.SIGHUP)
        wait_for("a reload", lambda: self.haiti.log.count("reloaded") > before)
        return [line for line in self.haiti.log.splitlines() if "reloaded" in line][-1]

    def add(self, *args, check=True):
        """Records a contact; the command as it ended."""
        return self.haiti.sauti("--json", "case", "add", "ZZ-S-1", *CONTACT, *args, check=check)

    def events(self):
        """How many the case has."""
        return len(self.haiti.json("case", "show", "ZZ-S-1")["events"])

    def test_states(self):
        """Alone: durable here. A mirror: held. Everybody says it with the same words."""
        self.start()
        self.hq.stop()
        self.cod.stop()
        done = self.haiti.sauti("case", "add", "ZZ-S-1", *CONTACT)
        self.assertEqual(done.stdout, "recorded in ZZ-S-1: Contact; durable here\n")
        state = json.loads(self.add().stdout)["state"]
        self.assertEqual((state["state"], state["durable"], state["safe"], state["held_by"], state["quorum"],
                          state["in_policy"]), ("durable here", True, False, 0, 1, None))
        shown = self.haiti.sauti("case", "show", "ZZ-S-1").stdout
        self.assertIn("newest entry: durable here\n", shown)
        self.assertIn("  durable here\n", shown)
        own = self.haiti.own()
        index = own["size"] - 1
        self.assertIn("state           durable here\n",
                      self.haiti.sauti("log", "show", own["origin"], "--index", index).stdout)
        self.assertIn("held        newest entry: durable here;", self.haiti.sauti("status").stdout)
        self.hq.start(unlock=False)
        state = json.loads(self.add("--wait", "safe", "--timeout", "2m").stdout)["state"]
        self.assertEqual((state["state"], state["safe"], state["keys"]), ("safe", True, "none"))
        shown = self.haiti.sauti("case", "show", "ZZ-S-1").stdout
        self.assertNotIn("durable here", shown)
        self.assertEqual({(e["safe"], e["state"]) for e in self.haiti.json("case", "show", "ZZ-S-1")["events"]},
                         {(True, "safe")})
        # a restart knows it at once, also of the node's own log
        wait_for("views to be held", lambda: self.haiti.json("status")["safe"]["newest"]["state"] == "safe")
        self.haiti.stop()
        self.haiti.start()
        self.assertEqual(self.haiti.json("case", "show", "ZZ-S-1")["newest"]["state"]["keys"], "none")
        self.assertEqual(self.haiti.json("status")["safe"]["newest"]["keys"], "none")

    def test_policy(self):
        """Both mirrors must: one stopped, it is held and not safe; started, the wait ends by itself."""
        self.start(self.keys(("mirror", "hq"), ("mirror", "cod")) + "group both all mirror-hq mirror-cod\nquorum both\n")
        self.cod.stop()
        begun = time.monotonic()
        done = self.add("--wait", "safe", "--timeout", "3s", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertGreaterEqual(time.monotonic() - begun, 3)
        error = json.loads(done.stderr)["error"]
        self.assertEqual(error["code"], "timeout")
        self.assertEqual(error["message"], "recorded and durable here, held by 1 of 1, not by the policy; "
                                           "not safe after 3 s")
        state = json.loads(done.stdout)["state"]
        self.assertEqual((state["in_quorum"], state["in_policy"], state["safe"]), (True, False, False))
        self.assertEqual(self.events(), 2)
        # held is enough for --wait held
        self.assertEqual(self.add("--wait", "held", "--timeout", "1m").returncode, 0)
        status = self.haiti.json("status")
        self.assertEqual(status["safe"]["policy"]["reachable"], True)
        self.assertLess(status["safe"]["policy"]["size"], status["safe"]["size"])
        waiting = subprocess.Popen(
            [BUILD / "sauti", "--dir", self.haiti.dir, "--json", "case", "add", "ZZ-S-1", *CONTACT, "--wait",
             "safe", "--timeout", "5m"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_for("it to be recorded", lambda: self.events() == 4)
        self.assertIsNone(waiting.poll())
        self.cod.start(unlock=False)
        out, err = waiting.communicate(timeout=120)
        self.assertEqual((waiting.returncode, err, json.loads(out)["state"]["state"]), (0, "", "safe"))

    def test_witness(self):
        """A witness that counts is not left to the five minutes of other cosignatures."""
        self.start(self.keys(("witness", "cod")) + "quorum witness-cod\n")
        begun = time.monotonic()
        done = self.add("--wait", "safe", "--timeout", "4m")
        self.assertTrue(json.loads(done.stdout)["state"]["in_policy"])
        self.assertLess(time.monotonic() - begun, 100)

    def test_reload(self):
        """SIGHUP takes a good file; a bad one is named with its line, and what held stays."""
        self.start(self.keys(("mirror", "hq")) + "quorum mirror-hq\n")
        self.add("--wait", "safe", "--timeout", "2m")
        self.cod.stop()
        self.write(self.keys(("mirror", "cod")) + "quorum mirror-cod\n")
        self.assertIn("reloaded: [safe] policy", self.reload())
        self.add("--wait", "held", "--timeout", "2m")
        state = self.haiti.json("status")["safe"]["newest"]
        self.assertEqual((state["in_quorum"], state["in_policy"]), (True, False))  # not monotone
        self.write("quorum none\nquorum none\n")
        line = self.reload()
        self.assertIn("not reloaded", line)
        self.assertIn("safe.policy': line 2: a second quorum", line)
        self.assertFalse(self.haiti.json("status")["safe"]["newest"]["in_policy"])
        done = self.haiti.sauti("check-config", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("safe.policy': line 2: a second quorum", done.stderr)
        self.write("quorum none\n")
        self.assertIn("reloaded: [safe] policy", self.reload())
        wait_for("it to be safe", lambda: self.haiti.json("status")["safe"]["newest"]["state"] == "safe")
        self.assertEqual(self.haiti.sauti("check-config").returncode, 0)

    def test_bad_policy_at_start(self):
        """Nothing starts with a policy that cannot be read, or can never be reached."""
        self.haiti.configure("\n[safe]\npolicy = safe.policy\n")
        for text, said in (("", "no quorum"), ("quorum none\nwitness a b\n", "line 2"),
                           (None, "safe.policy")):
            if text is None:
                self.policy.unlink()
            else:
                self.write(text)
            self.haiti.start_only()
            self.assertNotEqual(self.haiti.process.wait(60), 0)
            self.haiti.process = None
            self.assertIn(said, self.haiti.log.splitlines()[-1])
        mine = self.hq.json("log", "policy", "--witnesses", "0")["policy"]
        self.assertIn("witness haiti ", mine)
        key = [line for line in mine.splitlines() if line.startswith("witness haiti ")][0]
        self.write(key + "\nquorum haiti\n")
        self.haiti.start_only()
        self.assertNotEqual(self.haiti.process.wait(60), 0)
        self.haiti.process = None
        self.assertIn("can never be reached", self.haiti.log.splitlines()[-1])

    def test_revoked(self):
        """What a revoked mirror cosigned counts no more."""
        self.start(self.keys(("mirror", "cod")) + "quorum mirror-cod\n")
        self.add("--wait", "safe", "--timeout", "2m")
        self.hq.sauti("node", "revoke", "cod", "--reason", "test", "--yes")
        wait_for("the alarm", lambda: any("cannot be made up" in a for a in self.haiti.json("status")["alarms"]))
        self.assertFalse(self.haiti.json("status")["safe"]["newest"]["in_policy"])

    def test_interrupt(self):
        """On a terminal the wait is shown; Ctrl-C says that it is recorded, and so it is."""
        self.start()
        self.hq.stop()
        self.cod.stop()
        pid, fd = pty.fork()
        if pid == 0:
            os.execv(BUILD / "sauti", ["sauti", "--dir", str(self.haiti.dir), "case", "add", "ZZ-S-1", *CONTACT,
                                       "--wait", "safe", "--timeout", "5m"])
        text = b""
        sent = False
        while True:
            ready, _, _ = select.select([fd], [], [], 60)
            self.assertTrue(ready, text)
            try:
                more = os.read(fd, 4096)
            except OSError:
                break
            if not more:
                break
            text += more
            if b"waiting until it is safe" in text and not sent:
                sent = True
                os.write(fd, b"\x03")
        _, status = os.waitpid(pid, 0)
        self.assertEqual(os.waitstatus_to_exitcode(status), 1)
        self.assertIn(b"recorded and durable here, held by 0 of 1; no longer waited until it is safe", text)
        self.assertEqual(self.events(), 2)

    def test_node_lost(self):
        """The node goes while it is waited for: it is recorded, that is said, and it is exit code 1."""
        self.start()
        self.hq.stop()
        self.cod.stop()
        waiting = subprocess.Popen(
            [BUILD / "sauti", "--dir", self.haiti.dir, "case", "add", "ZZ-S-1", *CONTACT, "--wait", "safe",
             "--timeout", "5m"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_for("it to be recorded", lambda: self.events() == 2)
        self.haiti.kill()
        out, err = waiting.communicate(timeout=60)
        self.assertEqual(waiting.returncode, 1)
        self.assertIn("recorded and durable here, held by 0 of 1; whether it is safe by now is not known", err)
        self.assertEqual(out, "recorded in ZZ-S-1: Contact; durable here\n")
        self.haiti.start()
        self.assertEqual(self.events(), 2)

    def test_locked(self):
        """Whether keys are in escrow is for an unlocked node to say; who waits hears of the lock."""
        self.start()
        self.hq.stop()
        self.cod.stop()
        waiting = subprocess.Popen(
            [BUILD / "sauti", "--dir", self.haiti.dir, "case", "add", "ZZ-S-1", *CONTACT, "--wait", "safe",
             "--timeout", "5m"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_for("it to be recorded", lambda: self.events() == 2)
        self.haiti.sauti("lock")
        self.hq.start(unlock=False)
        _, err = waiting.communicate(timeout=120)
        self.assertEqual(waiting.returncode, 1)
        self.assertIn("recorded and durable here, held by", err)
        self.assertIn("the node was locked", err)

    def test_escrow(self):
        """Where a recovery key exists it is safe once enough custodians hold the keys, and not before."""
        ken = self.network.join("ken", "KEN", config=FAST)
        ken.start()
        self.start()
        self.cod.stop()
        ken.stop()
        make_key(self.haiti)
        done = self.haiti.sauti("--json", "case", "open", "--wait", "safe", "--timeout", "20s", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("held by 1 of 1, keys not in escrow yet; not safe after 20 s",
                      json.loads(done.stderr)["error"]["message"])
        self.assertEqual(json.loads(done.stdout)["state"]["keys"], "waiting")
        waiting = subprocess.Popen(
            [BUILD / "sauti", "--dir", self.haiti.dir, "--json", "case", "open", "--wait", "safe", "--timeout", "10m"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.cod.start()
        out, err = waiting.communicate(timeout=280)
        self.assertEqual((waiting.returncode, err), (0, ""))
        self.assertEqual(json.loads(out)["state"]["keys"], "escrowed")
        for event_ in self.haiti.json("case", "show", json.loads(out)["code"])["events"]:
            self.assertEqual((event_["safe"], event_["state"]), (True, "safe"))

    def test_cap(self):
        """Sixteen wait; one more is told, and that it is recorded. Who goes leaves its place to another."""
        self.start()
        self.hq.stop()
        self.cod.stop()

        def wait(timeout):
            return subprocess.Popen(
                [BUILD / "sauti", "--dir", self.haiti.dir, "--json", "case", "add", "ZZ-S-1", *CONTACT, "--wait",
                 "safe", "--timeout", timeout], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

        first = [wait("5m") for _ in range(16)]
        wait_for("all to be recorded", lambda: self.events() == 17)
        last = wait("5m")
        _, err = last.communicate(timeout=60)
        self.assertEqual(last.returncode, 1)
        self.assertIn("recorded and durable here", json.loads(err)["error"]["message"])
        self.assertIn("16 clients wait already", json.loads(err)["error"]["message"])
        self.assertEqual(self.events(), 18)
        first[0].kill()
        first[0].communicate()
        another = wait("2s")  # .. for two seconds, and not refused at once
        _, err = another.communicate(timeout=60)
        self.assertIn("not safe after 2 s", json.loads(err)["error"]["message"])
        self.hq.start(unlock=False)
        for waiting in first[1:]:
            out, _ = waiting.communicate(timeout=120)
            self.assertEqual((waiting.returncode, json.loads(out)["state"]["state"]), (0, "safe"))

    def test_raw(self):
        """What no command sends: each is refused with what is wrong, and the node goes on."""
        self.start()
        own = self.haiti.own()
        size, origin = own["size"], own["origin"]
        cap = 5 * 60 * 1000
        foreign = self.cod.own()["origin"]
        for request, said in (((origin, 0, size, 0, 1), b"level"), ((origin, 0, size, 4, 1), b"level"),
                              ((origin, 0, size, 2, 0), b"timeout"), ((origin, 0, size, 2, cap + 1), b"timeout"),
                              ((origin, 0, size + 100, 2, 1), b"no such entries"),
                              ((origin, size, size, 2, 1), b"no such entries"),
                              ((origin, 0, 0, 2, 1), b"no such entries"),
                              ((origin, 2**63, 2**63 + 1, 2, 1), b"no such entries"),
                              ((foreign, 0, 1, 2, 1), b"no such log of its own"),
                              (("test.example/nobody/1-0123456789abcdef", 0, 1, 2, 1), b"no such log"),
                              (("x" * 5000, 0, 1, 2, 1), b"no such log")):
            self.assertIn(said, ask(self.haiti, *request), request)
        self.assertIn(b'"reached":true', ask(self.haiti, origin, 0, size, 1, cap))
        self.assertIn(b'"reached":true', ask(self.haiti, "", 0, 0, 2, 1))
        self.assertEqual(self.events(), 1)

    def test_usage(self):
        """Nothing is recorded when it is asked for wrongly."""
        self.start()
        for args in (("--wait", "soon"), ("--wait", "safe", "--timeout", "0s"), ("--wait", "safe", "--timeout", "61m"),
                     ("--wait", "safe", "--timeout", "5"), ("--wait", "safe", "--timeout", "1h"), ("--timeout", "5s")):
            self.assertEqual(self.add(*args, check=False).returncode, 2, args)
        self.assertEqual(self.events(), 1)
        self.assertEqual(self.add("--wait", "durable", "--timeout", "60m").returncode, 0)

    def test_other_commands(self):
        """Whatever records an event takes --wait; an import waits for all of it, and again for what is there."""
        self.start()
        lines = "".join(event(n) for n in range(10, 40))
        for _ in range(2):
            done = self.haiti.json("case", "import", "-", "--wait", "safe", "--timeout", "2m", stdin=lines)
        self.assertEqual((done["added"], done["known"]), (0, 30))
        waited = self.haiti.json("case", "open", "--wait", "held", "--timeout", "2m")
        self.assertGreaterEqual(waited["state"]["held_by"], 1)
        self.add()
        for args in (("correct", "ZZ-S-1", "2", "--field", "result", "--value", "not-reached", "--reason", "error"),
                     ("assign", "ZZ-S-1", "officer@hq"), ):
            self.assertEqual(self.haiti.json("case", *args, "--wait", "safe", "--timeout", "2m")["state"]["state"],
                             "safe", args)


if __name__ == "__main__":
    BUILD = Path(sys.argv.pop(1)).resolve()
    unittest.main()
