#!/usr/bin/env python3
"""Real nodes: locking by idleness, panic, swap. test_lock.py BUILD [unittest args]"""

import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "tests" / "lib"))
import cases  # noqa: E402
import memory  # noqa: E402
import recovery  # noqa: E402
from network import PASSPHRASE, Failed, Network, wait_for  # noqa: E402

BUILD = Path()
IDLE_S = 10  # the least that can be configured
CLIENTS_MAX, URGENT_MAX = 32, 4  # LIMIT_CONTROL_CLIENTS, LIMIT_CONTROL_URGENT
HEAD = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
SWAP = HEAD + "/dev/no-such-disk                       partition\t1048572\t\t0\t\t-2\n"


def opened(number, name="L"):
    """A new case, as a line."""
    return json.dumps({"type": "CASE_OPENED", "event_id": f"01900000-0000-7000-8000-{number:012x}",
                       "case_ref": f"{number:032x}", "case_code": f"ZZ-{name}-{number}",
                       "occurred_on": "2026-01-01", "precision": "D", "office": "HTI"})


def contact(number, case, note):
    """A contact of that case, as a line."""
    return json.dumps({"type": "CONTACT", "event_id": f"01900000-0000-7000-9000-{number:012x}",
                       "case_ref": f"{case:032x}", "occurred_on": "2026-01-02", "precision": "D",
                       "channel": "PHONE", "direction": "OUT", "result": "REACHED", "note": note,
                       "office": "HTI"})


class Control:
    """The control socket, spoken to directly: so that answers need not be read."""

    def __init__(self, node):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(node.dir / "run" / "control.sock"))
        session = node.dir / "run" / "session"
        self.token = self.field(200, bytes.fromhex(session.read_text())) if session.exists() else b""

    @staticmethod
    def field(number, data):
        """A length-delimited field of a message."""
        head, size = bytearray(), len(data)
        for value in (number << 3 | 2, size):
            while value > 127:
                head.append(value & 127 | 128)
                value >>= 7
            head.append(value)
        return bytes(head) + data

    def send(self, body):
        """One request."""
        body += self.token
        self.socket.sendall(struct.pack(">I", len(body)) + body)

    def append(self, lines):
        """A request to record these lines."""
        self.send(self.field(4, self.field(1, lines.encode())))

    def show(self, case):
        """A request to show a case."""
        self.send(self.field(5, self.field(1, case.encode())))

    def draft(self, case, body):
        """A request to keep a draft."""
        self.send(self.field(105, self.field(2, case.encode()) + self.field(3, b"CONTACT") +
                             self.field(4, body.encode())))

    def _read(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise ConnectionError("closed")
            data += more
        return data

    def answer(self):
        """One whole response."""
        return self._read(struct.unpack(">I", self._read(4))[0])

    def read_all(self):
        """Responses up to the last one: a document each."""
        while self.answer().startswith(b"\x22"):
            pass

    def succeeded(self):
        """Reads a response; was it a success? Field 1 is the error, and comes first."""
        return not self.answer().startswith(b"\x08")

    def close(self):
        """Ends the connection."""
        self.socket.close()


class Case(unittest.TestCase):
    """One headquarters alone."""

    config = ""

    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="sauti-test."))
        self.network = Network(self.root, BUILD, "test.example")
        self.addCleanup(self.clean)  # also of a test that is skipped half-way
        self.hq = self.network.init()
        self.hq.configure(self.config)

    def clean(self):
        """Nothing stays."""
        for node in self.network.nodes.values():
            if node.process is not None:
                node.kill()
        shutil.rmtree(self.root)

    def locked(self):
        """Is it, now?"""
        done = self.hq.sauti("--json", "status", check=False)  # a panic may close it, too
        return done.returncode == 0 and json.loads(done.stdout)["locked"]

    def last(self):
        """Why it was locked last."""
        return self.hq.json("status")["lock"]["last"]

    def codes(self):
        """The cases it shows."""
        return {case["code"] for case in self.hq.json("case", "list")}

    def record(self, *lines):
        """Records these lines."""
        self.hq.sauti("case", "import", "-", stdin="\n".join(lines) + "\n")


class Idle(Case):
    """[lock] idle"""

    config = f"\n[lock]\nidle = {IDLE_S} s\n"

    def test_idle(self):
        """Requests keep it unlocked, status does not; then it says why."""
        self.hq.start()
        status = self.hq.json("status")["lock"]
        self.assertEqual(status["idle_s"], IDLE_S)
        self.assertIsNone(status["last"])
        self.assertIn("locks itself after", self.hq.sauti("status").stdout)
        time.sleep(IDLE_S / 2)  # what is to be seen is what time does
        self.hq.sauti("case", "list")
        asked = time.monotonic()
        wait_for("the node to lock itself", self.locked, 3 * IDLE_S)
        self.assertGreater(time.monotonic() - asked, IDLE_S - 0.5)
        self.assertEqual(self.last()["why"], "idle")
        self.assertLess(abs(self.last()["at"] - time.time()), 10)
        self.assertIn("nobody asked anything", self.hq.sauti("status").stdout)
        done = self.hq.sauti("case", "list", check=False)
        self.assertEqual((done.returncode, done.stderr),
                         (5, "sauti: the node is locked, and must be unlocked first: 'sauti unlock'\n"))
        self.hq.unlock()
        self.hq.sauti("case", "list")

    def test_asked(self):
        """An ordinary lock is told apart."""
        self.hq.start()
        self.assertEqual(self.hq.sauti("lock").stdout, "locked\n")
        self.assertEqual(self.last()["why"], "asked")
        self.assertIn("as asked", self.hq.sauti("status").stdout)


class Panic(Case):
    """sauti panic, and SIGUSR1"""

    def panic(self, by_signal):
        """Panics, and waits until the node is locked."""
        if by_signal:
            self.hq.process.send_signal(signal.SIGUSR1)
            wait_for("the node to be locked", self.locked)
        else:
            self.assertEqual(self.hq.sauti("panic").stdout,
                             "locked; every other connection is closed\n")
        self.assertTrue(self.locked())
        self.assertEqual(self.last()["why"], "panic")

    def acknowledged_stays(self, by_signal):
        """Many clients record meanwhile: what was acknowledged is there afterwards."""
        self.hq.start()
        acknowledged, started, lock = set(), threading.Event(), threading.Lock()

        def work(number):
            control = Control(self.hq)
            try:
                for i in range(100000):
                    case = number * 100000 + i
                    control.append(opened(case))
                    if control.succeeded():
                        with lock:
                            acknowledged.add(f"ZZ-L-{case}")
                            if len(acknowledged) > 200:
                                started.set()
            except OSError:
                pass  # it was closed: what the last request came to is not known
            finally:
                control.close()

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        self.assertTrue(started.wait(180))
        self.panic(by_signal)
        for thread in threads:
            thread.join(180)
            self.assertFalse(thread.is_alive())
        self.hq.unlock()
        shown = self.codes()
        self.assertEqual(acknowledged - shown, set())
        self.assertLessEqual(len(shown - acknowledged), len(threads))  # of each client the last
        self.record(opened(999999))
        self.assertIn("ZZ-L-999999", self.codes())

    def test_acknowledged_command(self):
        """By the command."""
        self.acknowledged_stays(False)

    def test_acknowledged_signal(self):
        """By the signal."""
        self.acknowledged_stays(True)

    def test_import(self):
        """A long import is given up; the same one goes on after the unlock, nothing is there twice."""
        count, file = 20000, self.root / "lines"
        file.write_text("\n".join(opened(i) for i in range(count)) + "\n", encoding="ascii")
        self.hq.start()
        before = self.hq.own()["size"]
        with subprocess.Popen([BUILD / "sauti", "--dir", self.hq.dir, "case", "import", file],
                              stderr=subprocess.PIPE, text=True) as running:
            wait_for("the import to record", lambda: self.hq.own()["size"] > before + 2000)
            self.panic(True)
            message = running.stderr.read()
        self.assertNotEqual(running.returncode, 0, message)
        self.hq.unlock()
        self.assertLess(len(self.codes()), count)
        self.assertEqual(len(self.codes()) % 2000, 0)  # requests are whole or not there
        self.hq.sauti("case", "import", file)
        self.assertEqual(len(self.codes()), count)
        self.assertEqual({case["events"] for case in self.hq.json("case", "list")}, {1})

    def test_unlock_under_way(self):
        """An unlock that is under way is given up, too."""
        self.hq.start(unlock=False)
        for _ in range(3):
            with subprocess.Popen([BUILD / "sauti", "--dir", self.hq.dir, "unlock", "--passphrase-file",
                                   self.network.passphrase], stderr=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL) as running:
                time.sleep(0.05)  # into scrypt, or before it, or behind
                self.panic(False)
                running.wait()
            self.assertTrue(self.locked())
        self.hq.unlock()
        self.assertFalse(self.locked())

    def test_connections(self):
        """All but the one that asked are closed."""
        self.hq.start()
        other = Control(self.hq)
        self.panic(False)
        with self.assertRaises(ConnectionError):
            other.answer()
        other.close()
        self.panic(False)  # again, locked as it is: fine
        self.panic(True)


class Memory(Case):
    """Nothing of a case and no key is in the process after a lock, however it was locked."""

    config = f"\n[lock]\nidle = {IDLE_S} s\n"
    CODE, NAME, WRONG = "ZZ-WIPE-7", "Marisolwenda", "quarrelsome umbrella nine"
    NOTE, DRAFT, NOTICE = "quillfeather went by twice", "thistledown waits", "pewter lanterns tonight"
    PURPOSE, OTHER = "a marzipan inventory", "seventeen velvet ferries"

    def setUp(self):
        super().setUp()
        self.hq.start()
        if "built with a sanitizer" in self.hq.log:
            self.skipTest("with a sanitizer, freed memory is not wiped: use another build")
        if memory.ask(self.hq.process.pid, ["x" * 40]) is None:
            self.skipTest("only root may read the memory of sautid: run as root, or allow sudo -n")
        # Without its first letters, which a freed block may lose to the heap's own pointers.
        self.text = [self.CODE, self.NAME[4:], self.NOTE[:12], self.NOTE[12:], self.DRAFT, self.NOTICE,
                     self.PURPOSE, self.OTHER, self.WRONG, PASSPHRASE, PASSPHRASE[16:]]

    def keys(self):
        """The node's keys, as they stand in memory while it is unlocked."""
        done = subprocess.run([BUILD / "tests" / "integration" / "node_secrets",
                               self.hq.dir / "keys" / "keystore", self.network.passphrase],
                              capture_output=True, text=True, check=True)
        return {"hex:" + line.split()[1]: line.split()[0] for line in done.stdout.splitlines()}

    def found(self, needles):
        """Which of them are in memory."""
        return memory.ask(self.hq.process.pid, needles)

    def use(self):
        """All that brings a plaintext or a key into the process."""
        hq, ref = self.hq, f"{7:032x}"
        notes = [contact(i, 7, f"{self.NOTE} {i}") for i in range(400)]
        person = json.dumps({"type": "PERSON_RECORDED", "case_ref": ref, "names": [self.NAME],
                             "person_ref": "P-1", "role": "VICTIM", "note": self.NOTE, "office": "HTI"})
        self.record(opened(7, "WIPE"), json.dumps(cases.agreed(7, ref, office="HTI")), *notes, person)
        for _ in range(3):
            hq.sauti("case", "show", self.CODE)
            hq.sauti("case", "list")
        bad = contact(500, 7, self.NOTE).replace("2026-01-02", self.NOTE)
        for lines in (bad, "{" + self.NOTE, bad + bad):
            self.assertNotEqual(hq.sauti("case", "import", "-", stdin=lines, check=False).returncode, 0, lines)
        hq.sauti("unlock", "--passphrase-file", "-", stdin=self.WRONG + "\n", check=False)
        hq.unlock()  # again
        hq.sauti("case", "export", "--to", self.root / "export", "--purpose", self.PURPOSE)
        shown = hq.json("case", "show", self.CODE)["events"]
        hq.sauti("case", "prove", self.CODE, "--event", next(e["event_id"] for e in shown if "note" in e),
                 "--group", "note", "--open", "--to", "victim", "--purpose", self.PURPOSE, "--out", self.root / "proof")
        self.record(json.dumps({"type": "CONSENT_RECORDED", "case_ref": ref, "purpose": "REFERRAL", "office": "HTI",
                                "given_by": "VICTIM", "form": "WRITTEN", "valid_until": "2099-01-01",
                                "recipients": ["ZZ-Org"], "groups": ["identity"]}))
        hq.sauti("case", "packet", self.CODE, "--to", "ZZ-Org", "--groups", "identity", "--format", "paper",
                 "--out", self.root / "packet")
        self.assertIn(self.NAME, (self.root / "packet").read_text())
        hq.sauti("case", "report", self.CODE, "--authority", "ZZ-Authority", "--legal-basis", "ZZ identity law",
                 "--groups", "identity", "--reason", self.PURPOSE, "--out", self.root / "report")
        six = hq.json("case", "receipt", self.CODE, "--yes")["words"]
        wait_for("the words to be gone, locked or not", lambda: not self.found([six[4:], six[:-4]]))
        self.text += [six[4:], six[:-4]]
        opening = hq.json("approvals", "list")[0]["opening"]
        hq.sauti("approvals", "approve", opening, check=False)  # one's own
        hq.sauti("approvals", "told", opening)
        hq.sauti("ledger", "list", "--views")
        hq.sauti("ledger", "disclose", "--to", "auditors", "--purpose", self.PURPOSE, "--out", self.root / "opened")
        hq.sauti("officer", "add", "amina", "--roles", "operator", "--new-passphrase-file", "-",
                 stdin=self.OTHER + "\n")
        hq.sauti("mail", "send", "--to", "hq", stdin=self.NOTICE + "\n", check=False)
        hq.sauti("mail", "release", "office", "--second", "amina", "--words", "--passphrase-file",
                 self.root / "other", stdin="a b c\n", check=False)
        half, unread = Control(hq), Control(hq)
        half.socket.sendall(struct.pack(">I", 5000) + half.field(4, half.field(1, notes[0].encode())))
        for _ in range(40):  # answers that nobody takes
            unread.show(self.CODE)
        control = Control(hq)
        control.draft(self.CODE, json.dumps({"note": self.DRAFT}))
        control.answer()
        for number in (120, 121):  # find, today
            control.send(control.field(number, b""))
            control.read_all()
        return half, unread, control

    def test_a_recovery_key_is_gone_at_once(self):
        """Once it has opened the escrow, unlocked or not."""
        self.record(opened(7, "WIPE"))
        shares, _ = recovery.make_key(self.hq)
        wait_for("the escrow", lambda: (lambda s: s["escrowed"] == s["keys"] > 0)(self.hq.json("recover", "status")))
        key = recovery.private_half(shares[0], shares[2])
        read = self.hq.json("recover", *recovery.share_files(self.root, shares, 1, 2))
        self.assertEqual(read["read"], read["known"])
        self.assertGreater(read["read"], 0)
        wait_for("it to be wiped", lambda: not self.found(["hex:" + key.hex()]))

    def check_gone(self, lock):
        """Some is there before `lock`, nothing behind it."""
        clients, keys = self.use(), self.keys()
        token = clients[0].token[-32:].hex()
        keys |= {token: "session", "hex:" + token: "session"}
        before = self.found(self.text + list(keys))
        self.assertIn(self.CODE, before)  # or the search finds nothing
        self.assertEqual({keys[k] for k in before if k in keys} & {"keyring", "node", "log"},
                         {"keyring", "node", "log"})
        lock()
        self.assertTrue(self.locked())
        after = self.found(self.text + list(keys))
        self.assertEqual({keys.get(k, k): where for k, where in after.items()}, {})
        for client in clients:
            client.close()
        self.hq.sauti("unlock", "--officer", "hq", "--passphrase-file", self.network.passphrase)
        self.hq.sauti("case", "show", self.CODE)

    def test_lock(self):
        """sauti lock"""
        self.check_gone(lambda: self.hq.sauti("lock"))

    def test_panic(self):
        """sauti panic"""
        self.check_gone(lambda: self.hq.sauti("panic"))

    def test_idle(self):
        """[lock] idle"""
        self.check_gone(lambda: wait_for("the node to lock itself", self.locked, 3 * IDLE_S))

    def test_at_work(self):
        """Panic by the signal, while many clients record and read."""
        done = threading.Event()

        def work(number):
            control = Control(self.hq)
            try:
                for i in range(100000):
                    if done.is_set():
                        break
                    first = 1000 + number * 1000000 + 50 * i
                    control.append("\n".join(contact(first + n, 7, self.NOTE) for n in range(50)))
                    control.answer()
                    control.show(self.CODE)
                    control.read_all()
            except OSError:
                pass
            finally:
                control.close()

        clients, keys = self.use(), self.keys()
        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        size = self.hq.own()["size"]
        wait_for("the clients to record", lambda: self.hq.own()["size"] > size + 500)
        self.assertIn(self.CODE, self.found([self.CODE]))
        self.hq.process.send_signal(signal.SIGUSR1)
        sent = time.monotonic()
        wait_for("the memory to be empty", lambda: self.found(self.text + list(keys)) == {}, 60)
        ms = int(re.findall(r"forgotten after (\d+) ms", self.hq.log)[-1])
        self.assertLess(ms, 2000)  # on a machine that does much else
        print(f"({ms} ms; searched within {time.monotonic() - sent:.2f} s) ", end="", file=sys.stderr)
        done.set()
        for thread in threads:
            thread.join(180)
        for client in clients:
            client.close()
        self.assertTrue(self.locked())


class Full(Case):
    """So many connections that there is no more room: a panic gets through."""

    def test_full(self):
        """At the cap, and past it."""
        self.hq.start()
        clients = [Control(self.hq) for _ in range(CLIENTS_MAX - 1)]
        for client in clients:
            client.show("ZZ-NONE")  # so that it is accepted by now
            client.answer()
        self.hq.sauti("status")  # the last one
        clients.append(Control(self.hq))
        clients[-1].show("ZZ-NONE")
        clients[-1].answer()
        done = self.hq.sauti("status", check=False)
        self.assertEqual((done.returncode, done.stderr),
                         (1, "sauti: too many connections: only 'lock' and 'panic' are taken now\n"))
        self.assertEqual(self.hq.sauti("lock").stdout, "locked\n")
        for client in clients:
            client.show("ZZ-NONE")
            client.answer()  # they are still there
        self.hq.sauti("panic")
        for client in clients:
            with self.assertRaises(OSError):
                client.show("ZZ-NONE")
                client.answer()
            client.close()
        self.hq.unlock()

    def test_past(self):
        """Past what is kept for that, connections are closed."""
        self.hq.start()
        clients = [Control(self.hq) for _ in range(CLIENTS_MAX + URGENT_MAX)]
        # A connection of the start may not have been gone: one more takes its place then.
        wait_for("the cap", lambda: self.hq.sauti("lock", check=False).returncode == 3
                 or clients.append(Control(self.hq)))
        for client in clients[:2]:
            client.close()
        wait_for("room again", lambda: self.hq.sauti("panic", check=False).returncode == 0)
        for client in clients:
            client.close()


class Swap(Case):
    """Memory that may reach a disk in clear"""

    def setUp(self):
        super().setUp()
        self.swaps = self.root / "swaps"
        self.swaps.write_text(HEAD, encoding="ascii")
        self.hq.allow_swap = False
        self.inside = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-U", "-r", "-m"]
        self.inside += ["sh", "-c", 'mount --bind "$0" /proc/swaps && exec "$@"', self.swaps]
        done = subprocess.run(self.inside + ["cat", "/proc/swaps"], capture_output=True, check=False)
        if done.stdout.decode() != HEAD:
            self.skipTest("needs a mount namespace, to show a /proc/swaps of its own: "
                          + done.stderr.decode().strip())
        done = subprocess.run(["cat", "/sys/power/resume"], capture_output=True, check=False)
        if done.stdout.strip() not in (b"", b"0:0"):
            self.skipTest("this machine is set up to hibernate")

    def start_inside(self):
        """Starts the daemon where /proc/swaps is ours."""
        with open(self.root / "hq.log", "ab") as log:
            self.hq.process = subprocess.Popen(self.inside + [BUILD / "sautid", "--dir", self.hq.dir],
                                               stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for("sautid", lambda: self.hq.sauti("status", check=False).returncode == 0)

    def check_config(self):
        """check-config there: its note, or "", and its warnings."""
        command = self.inside + [BUILD / "sauti", "--dir", self.hq.dir]
        done = subprocess.run(command + ["check-config"], capture_output=True, text=True, check=True)
        shown = subprocess.run(command + ["--json", "check-config"], capture_output=True, text=True, check=True)
        return done.stderr, json.loads(shown.stdout)["warnings"]

    def test_refused(self):
        """Nothing is unlocked; status and check-config say why; it ends with the swap."""
        self.swaps.write_text(SWAP, encoding="ascii")
        self.start_inside()
        done = self.hq.sauti("unlock", "--passphrase-file", self.network.passphrase, check=False)
        self.assertEqual(done.returncode, 5)
        self.assertIn("whether swap on '/dev/no-such-disk' is encrypted cannot be told: what is read "
                      "here could be written to that disk in clear", done.stderr)
        self.assertIn("[lock] unencrypted_swap = allow", done.stderr)
        status = self.hq.json("status")
        self.assertEqual([a for a in status["alarms"] if "/dev/no-such-disk" in a],
                         ["whether swap on '/dev/no-such-disk' is encrypted cannot be told: nothing is "
                          "unlocked until it is, or is off"])
        self.assertFalse(status["lock"]["swap"]["allowed"])
        note, warnings = self.check_config()
        self.assertIn("warning: whether swap on '/dev/no-such-disk'", note)
        self.assertIn("the node will refuse to unlock", warnings[0])
        self.swaps.write_text(HEAD, encoding="ascii")
        self.hq.unlock()
        self.assertEqual(self.check_config(), ("", []))
        self.assertEqual(self.hq.json("status")["alarms"], [])

    def test_later(self):
        """Swap that comes while the node is unlocked locks it."""
        self.start_inside()
        self.hq.unlock()
        self.swaps.write_text(SWAP, encoding="ascii")
        wait_for("the node to lock itself", self.locked, 60)
        self.assertEqual(self.last()["why"], "swap")
        self.assertIn("ALARM: whether swap on '/dev/no-such-disk'", self.hq.sauti("status").stdout)
        self.assertIn("alarm: whether swap on '/dev/no-such-disk'", self.hq.log.lower())
        self.assertIn("swap that is not encrypted", self.hq.sauti("status").stdout)

    def test_override(self):
        """What the configuration allows is shown each time."""
        self.hq.configure("\n[lock]\nunencrypted_swap = allow\n")
        note, warnings = self.check_config()
        self.assertIn("warning: [lock] unencrypted_swap = allow", note)
        self.assertEqual(len(warnings), 1)
        self.swaps.write_text(SWAP, encoding="ascii")
        self.start_inside()
        self.hq.unlock()
        status = self.hq.json("status")
        self.assertEqual(status["alarms"], [])
        self.assertTrue(status["lock"]["swap"]["allowed"])
        for _ in range(2):
            self.assertIn("WARNING: whether swap on '/dev/no-such-disk' is encrypted cannot be told; "
                          "allowed by [lock] unencrypted_swap", self.hq.sauti("status").stdout)
        self.assertEqual(len(self.check_config()[1]), 2)
        self.swaps.write_text(HEAD, encoding="ascii")
        self.hq.unlock()
        self.assertIn("WARNING: [lock] unencrypted_swap = allow", self.hq.sauti("status").stdout)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(f"usage: {sys.argv[0]} BUILD [unittest args]")
    BUILD = Path(sys.argv.pop(1)).resolve()
    try:
        unittest.main(verbosity=2)
    except Failed as failed:
        sys.exit(str(failed))
