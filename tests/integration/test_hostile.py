#!/usr/bin/env python3
"""A node on a hostile network. test_hostile.py BUILD [unittest args]

Strangers who send garbage, or nothing, or one byte a second, and a thousand of them at once; members
with good keys who send what no program of ours would. In each test an honest office goes on working,
headquarters' memory stays small, and afterwards it has no more open files than before.
"""

import json
import os
import random
import re
import resource
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "tests" / "lib"))
from link import Link  # noqa: E402
from network import Failed, Network, free_port, wait_for  # noqa: E402
from peers import BATCH, BYE, FETCH, HAVE, HELD, HELLO, PING, PONG, Peer, context, field, frame, hello  # noqa: E402

BUILD = Path()
MEMBERS = 60
LOG_ENTRIES = 20_000
MEMORY_MAX = 64 << 20
QUICK = "\n[replication]\nhave_delay = 100ms\ndial_retry_min = 200ms\ndial_retry_max = 1s\n"


class Watch:
    """Samples a process's anonymous memory; stop gives the largest."""

    def __init__(self, pid):
        self.path, self.peak, self.stopping = Path(f"/proc/{pid}/status"), 0, False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stopping:
            found = re.search(r"RssAnon:\s+(\d+) kB", self.path.read_text(encoding="ascii"))
            self.peak = max(self.peak, int(found[1]) * 1024)
            time.sleep(0.005)

    def stop(self):
        self.stopping = True
        self.thread.join()
        return self.peak


def files(pid):
    """How many the process has open; 0 where only root may look: sautid gives nobody its memory."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except PermissionError:
        return 0


def ended(s, seconds=0.0):
    """The other side has closed or reset the connection; what it sent before does not count."""
    s.settimeout(max(seconds, 0.001))
    end = time.monotonic() + seconds
    while True:
        try:
            if not s.recv(65536):
                return True
        except TimeoutError:
            if time.monotonic() >= end:
                return False
        except (ssl.SSLWantReadError, BlockingIOError):
            return False
        except OSError:
            return True


class Case(unittest.TestCase):
    """Headquarters with a long log and many members, and one honest office."""

    @classmethod
    def setUpClass(cls):
        cls.root = Path(tempfile.mkdtemp(prefix="sauti-hostile."))
        cls.network = Network(cls.root, BUILD, "test.example")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
        try:
            cls.hq = cls.network.init()
            cls.hq.configure(QUICK + "hello_timeout = 3s\nidle_ping = 2s\nidle_close = 6s\n")
            cls.hq.start()
            cls.caf = cls.network.join("caf", "CAF", config=QUICK)
            cls.hq.stop()
            (cls.root / "members").mkdir()
            cls.members = json.loads(cls.tool("members", cls.hq.dir, cls.network.passphrase, MEMBERS,
                                              cls.root / "members"))
            cls.filled = json.loads(cls.tool("fill", cls.hq.dir, cls.network.passphrase, LOG_ENTRIES))
            cls.hq.start()
            cls.caf.start()
            cls.case = cls.caf.json("case", "open")["code"]
            cls.network.settle()
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def tearDownClass(cls):
        for node in cls.network.nodes.values():
            if node.process is not None:
                node.kill()
        shutil.rmtree(cls.root)

    @staticmethod
    def tool(name, *args):
        return subprocess.run([BUILD / "bench" / f"bench_{name}", *map(str, args)], check=True, text=True,
                              stdout=subprocess.PIPE).stdout

    def setUp(self):
        wait_for("caf's session", self.connected)
        self.files = files(self.hq.process.pid)
        self.log_size = len(self.hq.log)
        self.watch = Watch(self.hq.process.pid)
        self.sockets = []

    def tearDown(self):
        """Whatever a test did: memory stayed small, files came back, the log is short."""
        for s in self.sockets:
            s.close()
        wait_for("the files to be closed", lambda: files(self.hq.process.pid) <= self.files + 1, 60)
        peak = self.watch.stop()
        self.assertLess(peak, MEMORY_MAX)
        lines = self.hq.log[self.log_size:].count("\n")
        self.assertLess(lines, 700)
        self.assertIsNone(self.hq.process.poll())
        self.assertEqual(self.hq.json("status")["alarms"], [])
        print(f"\n{self.id().split('.')[-1]}: {peak / 1024 ** 2:.1f} MiB, {lines} lines", file=sys.stderr)

    # The honest.

    def connected(self):
        return any(p["name"] == "hq" and p["connected"] for p in self.caf.json("status")["peers"])

    def work(self, seconds=60):
        """An officer records something, and headquarters holds it."""
        self.caf.sauti("case", "add", self.case, "contact", "--channel", "phone",
                       "--direction", "out", "--result", "reached")
        own = self.caf.own()
        wait_for("headquarters to hold it",
                 lambda: self.hq.logs()[own["origin"]]["checkpoint_size"] >= own["size"], seconds)

    # The others.

    def open(self, host="127.0.0.1"):
        """A connection from that address of this machine."""
        s = socket.create_connection(("127.0.0.1", self.hq.port), 10, source_address=(host, 0))
        self.sockets.append(s)
        return s

    def start(self, count, hosts=("127.0.0.1",)):
        """That many connections at once, not waited for."""
        made = []
        for i in range(count):
            s = socket.socket()
            s.setblocking(False)
            s.bind((hosts[i % len(hosts)], 0))
            s.connect_ex(("127.0.0.1", self.hq.port))
            made.append(s)
        self.sockets += made
        return made

    def all_ended(self, sockets, seconds):
        left = list(sockets)

        def none_left():
            left[:] = [s for s in left if not ended(s)]
            return not left

        try:
            wait_for("everybody to be dropped", none_left, seconds)
        except Failed:
            self.fail(f"{len(left)} of {len(sockets)} are still connected after {seconds} s")

    def member(self, number, **options):
        m = self.members[number]
        peer = Peer(self.hq.port, self.network.name, m["name"], self.root / "members" / f"{m['name']}.pem",
                    **options)
        self.sockets.append(peer.socket)
        return peer


def client_hello():
    """The first bytes of a real one."""
    made, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        context().wrap_bio(made, out).do_handshake()
    except ssl.SSLWantReadError:
        return out.read()
    raise AssertionError


class Strangers(Case):
    """Who has no key of the network."""

    def test_garbage(self):
        """Random bytes, and bytes that begin as TLS does."""
        rng, hello_bytes = random.Random(1), client_hello()
        sockets = []
        for i in range(200):
            kind = i % 8
            s = self.open(f"127.0.1.{i + 1}")
            data = [rng.randbytes(rng.randrange(1, 5000)),
                    b"\x16\x03\x01\xff\xff" + rng.randbytes(4000),         # a record too long
                    b"\x16\x03\x01\x40\x00" + rng.randbytes(16384),        # a handshake of noise
                    b"\x17\x03\x03\x00\x20" + rng.randbytes(32),           # data before any key
                    hello_bytes[:50] + rng.randbytes(len(hello_bytes)),    # a hello that goes wrong
                    hello_bytes + rng.randbytes(3000),                     # one with noise behind it
                    b"\x15\x03\x03\x00\x02\x02\x28" * 500,                 # alerts
                    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 50][kind]
            try:
                s.sendall(data)
            except OSError:
                pass
            sockets.append(s)
            if i == 100:
                self.work()
        self.all_ended(sockets, 60)
        self.work()

    def test_silence_and_slowness(self):
        """Nothing at all, and a real hello of one byte a second: ten seconds each."""
        data, start = client_hello(), time.monotonic()
        silent = [self.open(f"127.0.2.{i + 1}") for i in range(25)]
        slow = [self.open(f"127.0.3.{i + 1}") for i in range(25)]
        for i in range(9):
            for s in slow:
                s.sendall(data[i:i + 1])
            time.sleep(1)
            if i == 4:
                self.work()
        early = any(ended(s) for s in silent[:3] + slow[:3])
        if time.monotonic() < start + 10:  # else the machine was too slow to see it
            self.assertFalse(early)
        self.all_ended(silent + slow, 30)
        self.work()

    def test_a_thousand_handshakes(self):
        """All at once, from one address: members come and work."""
        self.caf.stop()
        room = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 100
        sockets = self.start(min(1000, room), ["127.0.4.1"])
        hello_bytes = client_hello()
        starting = threading.Thread(target=self.caf.start, daemon=True)
        starting.start()
        for s in sockets:
            try:
                s.setblocking(True)
                s.settimeout(5)
                s.sendall(hello_bytes)
            except OSError:
                pass
        starting.join()
        wait_for("caf's session", self.connected, 60)
        self.work()
        self.all_ended(sockets, 60)

    def test_room_for_strangers(self):
        """As many as there is room for stay; of one more the one goes who is oldest and said nothing."""
        polite = [self.open(f"127.0.5.{i + 1}") for i in range(4)]
        for s in polite:
            s.sendall(client_hello()[:5])
        self.work()  # they were heard
        silent = [self.open(f"127.0.6.{i + 1}") for i in range(60)]
        self.work()
        self.assertFalse(any(ended(s) for s in polite + silent))
        self.open("127.0.7.1")
        wait_for("the oldest silent one to go", lambda: ended(silent[0]))
        self.assertFalse(any(ended(s) for s in polite + silent[1:]))
        # Who has many connections drives out his own.
        many = [self.open("127.0.8.1") for _ in range(3)]
        wait_for("one of those to go", lambda: sum(ended(s) for s in many) == 1 or
                 sum(ended(s) for s in silent[1:]) > 2)
        self.assertTrue(ended(many[0]))

    def test_room_for_the_known(self):
        """Who calls from where a member came before has places of his own, and more than ten seconds."""
        known = [self.open() for _ in range(64)]
        start = time.monotonic()
        for i in range(10):
            self.open(f"127.0.9.{i + 1}")
        while time.monotonic() < start + 11:
            self.work()
            time.sleep(1)
        self.assertFalse(any(ended(s) for s in known))
        self.open()
        wait_for("the oldest to go", lambda: ended(known[0]))
        self.assertFalse(any(ended(s) for s in known[1:]))

    def test_a_flood_keeps_nobody_out(self):
        """New connections without end, each from an address of its own, and an office on a slow link:
        its address is known, so it gets in, again and again."""
        stopping, made = threading.Event(), [0]

        def flood(number):
            recent = []
            while not stopping.is_set():
                s = socket.socket()
                s.setblocking(False)
                made[0] += 1
                s.bind((f"127.{10 + number}.{made[0] // 250 % 250}.{made[0] % 250 + 1}", 0))
                s.connect_ex(("127.0.0.1", self.hq.port))
                recent.append(s)
                if len(recent) > 150:
                    recent.pop(0).close()
                time.sleep(0.001)
            for s in recent:
                s.close()

        threads = [threading.Thread(target=flood, args=(i,), daemon=True) for i in range(2)]
        with Link(BUILD, delay=300) as link:
            self.caf.stop()
            conf = self.caf.dir / "sauti.conf"
            before = conf.read_text(encoding="utf-8")
            port = link.forward(self.hq.port)
            conf.write_text(before.replace(f"127.0.0.1:{self.hq.port}", f"127.0.0.1:{port}"), encoding="utf-8")
            try:
                for t in threads:
                    t.start()
                self.caf.start()
                wait_for("caf's session", self.connected, 60)
                self.work(20)
                link.cut()
                wait_for("caf to notice", lambda: not self.connected())
                wait_for("caf's session again", self.connected, 60)
                self.work(20)
            finally:
                stopping.set()
                for t in threads:
                    t.join()
                self.caf.stop()
                conf.write_text(before, encoding="utf-8")
                self.caf.start()
        self.assertGreater(made[0], 500)


ORIGIN = "test.example/peer-1/1-00112233445566aa"


class Members(Case):
    """Who has good keys and sends what he likes."""

    def evil(self):
        """Of each kind of frame, what is malformed; and what is no frame."""
        note = f"{ORIGIN}\n1\n{'A' * 43}=\n\n\u2014 {ORIGIN} {'A' * 92}\n"
        own = self.hq.own()["origin"]
        huge = (1 << 64) - 1
        return {
            "a length over the maximum": (1 << 20 | 1).to_bytes(4, "big") + bytes(100),
            "a length of four gigabytes": b"\xff\xff\xff\xff",
            "a length of nothing": bytes(4),
            "random bytes": random.Random(4).randbytes(3000),
            "a frame of noise": (2000).to_bytes(4, "big") + random.Random(5).randbytes(2000),
            "two bodies": (lambda m: len(m).to_bytes(4, "big") + m)(field(PING, b"") + field(PONG, b"")),
            "a body cut short": b"\0\0\0\x05" + b"\x12\x7f\x01\x02\x03",
            "Hello again": hello("peer-1", "test.example"),
            "Hello of another": hello("hq", "test.example"),
            "Have of garbage": frame(HAVE, field(1, field(1, own) + field(2, 5) + field(3, b"nonsense\n"))),
            "Have of 257 logs": frame(HAVE, b"".join(
                field(1, field(1, f"test.example/peer-1/{i + 1}-0011223344556677") + field(2, 1) + field(3, note))
                for i in range(257))),
            "Have without a size": frame(HAVE, field(1, field(1, own) + field(3, note))),
            "Have with another log's note": frame(HAVE, field(1, field(1, own) + field(2, 9) + field(3, note))),
            "Have that is no text": frame(HAVE, field(1, field(1, b"\xff\xfe") + field(2, 1))),
            "Fetch from beyond": frame(FETCH, field(1, own) + field(2, 1) + field(3, huge) + field(4, 8)),
            "Fetch with a text for a number": frame(FETCH, field(1, own) + field(3, b"five")),
            "Batch that is cut": frame(BATCH, field(1, own) + b"\x22\xff\xff\x7f"),
            "Held that is forged": frame(HELD, field(1, own) + field(
                2, field(1, 7) + field(2, bytes(32)) + field(3, b"x"))),
            "Held of nothing": frame(HELD, field(1, own)),
            "Ping that is a text": frame(PING, field(1, b"hello")),
            "Pong of 70 bits": frame(PONG, b"\x08" + b"\xff" * 10 + b"\x01"),
            "Bye of 200 kilobytes": frame(BYE, field(2, b"\xff" * 200_000)),
            "nine levels of nothing": (lambda m: len(m).to_bytes(4, "big") + m)(
                field(2, field(1, field(4, field(1, field(1, field(1, field(1, field(1, b""))))))))),
        }

    def test_each_kind_of_frame(self):
        evil = self.evil()
        for number, (what, data) in enumerate(evil.items()):
            with self.subTest(what):
                peer = self.member(number % MEMBERS)
                peer.socket.settimeout(10)
                try:
                    peer.socket.sendall(data)
                except OSError:
                    pass
                self.assertTrue(ended(peer.socket, 8), "the session goes on")
        self.work()

    def test_before_hello(self):
        """Each as the first thing, too."""
        for number, (what, data) in enumerate(self.evil().items()):
            with self.subTest(what):
                m = self.members[number]
                s = context(self.root / "members" / f"{m['name']}.pem").wrap_socket(self.open())
                s.sendall(data)
                self.assertTrue(ended(s, 8), "the session goes on")
                s.close()
        self.work()

    def test_again_and_again(self):
        """One that comes back at once, hundreds of times: it does not fill the log."""
        size = len(self.hq.log)
        for _ in range(300):
            try:
                peer = self.member(0)
                peer.socket.settimeout(5)
                peer.socket.sendall(bytes(4))
                ended(peer.socket, 5)
                peer.socket.close()
            except OSError:
                pass
        self.work()
        self.assertLess(len(self.hq.log) - size, 60_000)

    def test_slow_senders(self):
        """One byte a second of Hello, and of what follows: silence does not wait for ever."""
        m = self.members[0]
        s = context(self.root / "members" / f"{m['name']}.pem").wrap_socket(self.open())
        after = self.member(1)
        after.socket.setblocking(True)
        data, ping = hello(m["name"], "test.example"), frame(PING, field(1, 1))
        start, gone = time.monotonic(), {}
        for i in range(14):
            for what, t, b in (("before", s, data[i:i + 1]), ("after", after.socket, ping[i:i + 1])):
                if what not in gone:
                    try:
                        t.sendall(b)
                        if ended(t):
                            gone[what] = time.monotonic() - start
                    except OSError:
                        gone[what] = time.monotonic() - start
            time.sleep(1)
            if i == 2:
                self.work()
        self.assertEqual(set(gone), {"before", "after"})
        self.assertLess(gone["before"], 12)
        s.close()

    def test_never_reading(self):
        """Members who ask for a long log and read nothing, but keep their sessions alive."""
        peers = [self.member(i) for i in range(MEMBERS)]
        for peer in peers:
            peer.socket.setblocking(True)
            peer.socket.settimeout(2)
            peer.socket.sendall(frame(FETCH, field(1, self.filled["origin"]) + field(2, 1) + field(4, 16)))
        for i in range(8):
            for peer in peers:
                try:
                    peer.socket.sendall(frame(PONG, b"\x08\x01"))
                except OSError:
                    pass
            time.sleep(0.5)
            if i == 4:
                self.work()

    def test_frames_without_an_end(self):
        """Almost a whole mebibyte from each, and then nothing: as much as fits stays until it is silent for
        too long; with more the largest goes."""
        peers = [self.member(i) for i in range(MEMBERS)]
        part = (1 << 20).to_bytes(4, "big") + b"\x22\xff\xff\x3f" + bytes((1 << 20) - 100)
        room = (16 << 20) // len(part)

        def send(some):
            for peer in some:
                peer.socket.setblocking(True)
                peer.socket.settimeout(5)
                try:
                    peer.socket.sendall(part)
                except OSError:
                    pass

        send(peers[:room])
        self.work()
        self.assertFalse(any(ended(p.socket) for p in peers[:room]))
        send(peers[room:])
        self.work()
        self.assertGreaterEqual(sum(ended(p.socket) for p in peers), MEMBERS - room - 1)
        self.all_ended([p.socket for p in peers], 15)

    def test_asking_for_everything(self):
        """As many Fetches as fit, each a new stream: one at a time is served."""
        peers = [self.member(i) for i in range(10)]
        many = b"".join(frame(FETCH, field(1, self.filled["origin"]) + field(2, n) + field(4, 16))
                        for n in range(1, 400))
        for peer in peers:
            peer.socket.setblocking(True)
            peer.socket.settimeout(5)
            try:
                peer.socket.sendall(many)
            except OSError:
                pass
        self.work(20)


if __name__ == "__main__":
    BUILD = Path(sys.argv.pop(1)).resolve()
    try:
        unittest.main(verbosity=1)
    except Failed as e:
        sys.exit(str(e))
