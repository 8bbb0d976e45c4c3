#!/usr/bin/env python3
"""The link emulator does what it says. test_link.py BUILD [unittest args]

Nothing here is late by luck: what must not be faster is checked strictly, what must not be slower
with much room, since the machine may be busy.
"""

import errno
import fcntl
import random
import socket
import subprocess
import sys
import tempfile
import termios
import threading
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from link import Link  # noqa: E402
from network import Failed, free_port, wait_for  # noqa: E402

BUILD = Path()


class Case(unittest.TestCase):
    """A listener of the test's own behind a link."""

    def setUp(self):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.settimeout(20)
        self.addCleanup(self.server.close)

    def link(self, **both):
        link = Link(BUILD, seed=7, **both)
        self.addCleanup(link.close)
        self.port = link.forward(self.server.getsockname()[1])
        return link

    def pair(self):
        """Both programs' ends of one connection through the link."""
        near = socket.create_connection(("127.0.0.1", self.port), 20)
        self.addCleanup(near.close)
        far, _ = self.server.accept()
        far.settimeout(20)
        self.addCleanup(far.close)
        return near, far

    @staticmethod
    def send_all(s, data):
        def run():
            try:
                s.sendall(data)
            except OSError:
                pass
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    @staticmethod
    def read(s, size):
        got = b""
        while len(got) < size:
            data = s.recv(65536)
            if not data:
                break
            got += data
        return got

    def read_until_reset(self, s):
        got = b""
        while True:
            try:
                data = s.recv(65536)
            except ConnectionResetError:
                return got
            self.assertTrue(data, "an end instead of a reset")
            got += data


class Forwarding(Case):
    def test_bytes_both_ways(self):
        """What goes in comes out, the same; each side's end reaches the other alone."""
        link = self.link()
        near, far = self.pair()
        up, down = random.Random(1).randbytes(1 << 20), random.Random(2).randbytes(700_001)
        threads = [self.send_all(near, up), self.send_all(far, down)]
        got = []
        other = threading.Thread(target=lambda: got.append(self.read(near, len(down))), daemon=True)
        other.start()
        self.assertEqual(self.read(far, len(up)), up)
        other.join()
        self.assertEqual(got[0], down)
        for t in threads:
            t.join()
        near.shutdown(socket.SHUT_WR)
        self.assertEqual(far.recv(1), b"")
        far.sendall(b"still here")
        self.assertEqual(self.read(near, 10), b"still here")
        far.close()
        self.assertEqual(near.recv(1), b"")
        wait_for("the connection to be over", lambda: link.count()["open"] == 0)
        count = link.count()
        self.assertEqual((count["up"]["out"], count["down"]["out"]), (len(up), len(down) + 10))
        self.assertEqual(count["connections"], [{"open": False, "up": [len(up)] * 2,
                                                 "down": [len(down) + 10] * 2}])

    def test_back(self):
        """Who calls from the far end goes up the other way."""
        link = self.link()
        self.port = link.forward(self.server.getsockname()[1], back=True)
        near, far = self.pair()
        near.sendall(b"x" * 100)
        self.assertEqual(self.read(far, 100), b"x" * 100)
        self.assertEqual(link.count()["down"]["out"], 100)
        self.assertEqual(link.count()["up"]["out"], 0)

    def test_nobody_behind(self):
        link = self.link()
        self.port = link.forward(free_port())
        with self.assertRaises(ConnectionResetError):
            with socket.create_connection(("127.0.0.1", self.port), 20) as near:
                near.recv(1)

    def test_capture(self):
        link = self.link()
        with tempfile.TemporaryDirectory() as directory:
            link.capture(f"{directory}/wire")
            near, far = self.pair()
            near.sendall(b"to the world")
            self.read(far, 12)
            far.sendall(b"and back")
            self.read(near, 8)
            link.cut()
            self.assertEqual(Path(f"{directory}/wire.0.up").read_bytes(), b"to the world")
            self.assertEqual(Path(f"{directory}/wire.0.down").read_bytes(), b"and back")

    def test_bad_commands(self):
        link = self.link()
        for words in (["nonsense"], ["set", "up"], ["set", "left", "rate", 1], ["set", "up", "colour", 1],
                      ["forward", "x", "y"], ["cut-at", "up", 0], ["plan"]):
            with self.assertRaises(Failed):
                link.do(*words)
        self.assertEqual(link.count()["open"], 0)

    def test_ends_with_its_input(self):
        link = self.link()
        link.process.stdin.close()
        self.assertEqual(link.process.wait(60), 0)


class Slowness(Case):
    def test_delay(self):
        """One way, and opening takes a round trip."""
        link = self.link(delay=150)
        start = time.monotonic()
        near, far = self.pair()
        self.assertGreaterEqual(time.monotonic() - start, 0.3)
        for _ in range(3):
            start = time.monotonic()
            near.sendall(b"ping")
            self.read(far, 4)
            took = time.monotonic() - start
            self.assertGreaterEqual(took, 0.15)
            self.assertLess(took, 1)
        link.set("up", delay=0)
        def took_now():
            start = time.monotonic()
            near.sendall(b"ping")
            self.read(far, 4)
            return time.monotonic() - start

        self.assertLess(min(took_now() for _ in range(5)), 0.14)

    def test_rate(self):
        """Each way has its own, whatever the number of connections, and they share it evenly."""
        link = self.link(rate=400)
        link.set("down", rate=800)
        pairs = [self.pair() for _ in range(2)]
        size, start = 50_000, time.monotonic()
        for near, _ in pairs:
            self.send_all(near, bytes(size))
        times = []
        for _, far in pairs:
            self.assertEqual(len(self.read(far, size)), size)
            times.append(time.monotonic() - start)
        self.assertGreaterEqual(times[1], 2 * size * 8 / 400_000 * 0.97)
        self.assertLess(times[1], 6)
        self.assertGreater(min(times), 0.7 * max(times))
        start = time.monotonic()
        self.send_all(pairs[0][1], bytes(size))
        self.read(pairs[0][0], size)
        self.assertGreaterEqual(time.monotonic() - start, size * 8 / 800_000 * 0.97)

    def test_back_pressure(self):
        """A sender feels the link: little is under way, and it is bounded."""
        link = self.link(rate=64, delay=100)
        near, far = self.pair()
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self.send_all(near, bytes(1 << 20))
        wait_for("the queue to fill", lambda: link.count()["up"]["held"] >= 4 * 1448)
        count = link.count()["up"]
        self.assertLessEqual(count["held"], count["capacity"] + 1448 + 64_000 / 8 * 0.1 + 1448)
        self.assertLess(count["in"], 40_000)
        link.set("up", bloat=100_000)
        wait_for("the bloated queue to fill", lambda: link.count()["up"]["held"] > 100_000)
        far.close()

    def test_who_does_not_read(self):
        """It stops its own sender alone."""
        link = self.link(rate=8000)
        near, far = self.pair()
        far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.send_all(near, bytes(8 << 20))
        wait_for("the sender to stop", lambda: link.count()["up"]["in"] > 8192)
        last = [0]

        def stands():
            now = link.count()["up"]["in"]
            same, last[0] = now == last[0], now
            time.sleep(0.3)
            return same

        wait_for("the sender to stop", stands)
        self.assertLess(link.count()["up"]["in"], 7 << 20)
        second, other = self.pair()
        second.sendall(b"hello")
        self.assertEqual(self.read(other, 5), b"hello")

    def test_stalls(self):
        """Nothing moves during a stall, and the plan says when they are."""
        link = self.link()
        near, far = self.pair()
        link.set("up", stall=(400, 400))
        start, plan = time.monotonic(), link.plan("up", 50)
        arrived = []

        def read():
            while data := far.recv(4096):
                arrived.extend([(time.monotonic() - start) * 1000] * len(data))

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        while time.monotonic() < start + 3:
            near.sendall(b"x")
            time.sleep(0.005)
        near.close()
        thread.join()
        seen = 0
        for begin, length in plan:
            inside = [t for t in arrived if begin + 60 < t < begin + length - 60]
            if begin + length < 2900:
                self.assertEqual(inside, [], f"during the stall {begin} + {length}")
                seen += 1
        self.assertGreater(seen, 1)
        self.assertGreater(len(arrived), 50)

    def test_plan_follows_from_the_seed(self):
        plans = []
        for seed in (5, 5, 6):
            with Link(BUILD, seed=seed, stall=(4000, 400)) as link:
                plans.append((link.plan("up", 100), link.plan("down", 100)))
        self.assertEqual(plans[0], plans[1])
        self.assertNotEqual(plans[0], plans[2])
        self.assertNotEqual(plans[0][0], plans[0][1])
        starts = [s for s, _ in plans[0][0]]
        self.assertEqual(starts, sorted(starts))
        lengths = [length for _, length in plans[0][0]]
        self.assertTrue(200 <= min(lengths) and max(lengths) <= 600)
        self.assertTrue(350 < sum(lengths) / 100 < 450)
        self.assertTrue(3500 < starts[-1] / 100 < 5500)


class Breaking(Case):
    def test_cut(self):
        link = self.link(delay=50)
        near, far = self.pair()
        near.sendall(bytes(1000))
        link.cut()
        for s in (near, far):
            with self.assertRaises(ConnectionResetError):
                s.recv(1)
        self.assertEqual(link.count()["up"]["lost"] + link.count()["up"]["out"], link.count()["up"]["in"])
        near, far = self.pair()  # the next is good
        near.sendall(b"x")
        self.assertEqual(far.recv(1), b"x")
        link.cut("end")
        self.assertEqual((near.recv(1), far.recv(1)), (b"", b""))

    def test_cut_at_a_byte(self):
        """So many bytes and not one more."""
        link = self.link()
        data = random.Random(3).randbytes(300_000)
        for size in (1, 1447, 1448, 1449, 70_000):
            for direction in ("up", "down"):
                near, far = self.pair()
                source, sink = (near, far) if direction == "up" else (far, near)
                link.cut_at(direction, size)
                self.send_all(source, data)
                self.assertEqual(self.read_until_reset(sink), data[:size])
        near, far = self.pair()
        near.sendall(data[:9])
        self.assertEqual(self.read(far, 9), data[:9])

    def test_every(self):
        link = self.link()
        start = time.monotonic()
        link.every(0.4)
        for i in range(3):
            near, far = self.pair()
            with self.assertRaises(ConnectionResetError):
                near.recv(1)
            self.assertGreaterEqual(time.monotonic() - start, 0.4 * (i + 1) - 0.01)
        link.every(0)
        near, far = self.pair()
        near.settimeout(0.6)
        with self.assertRaises(TimeoutError):
            near.recv(1)

    def unacknowledged(self, s):
        """Bytes that the kernel of a sender still holds."""
        return int.from_bytes(fcntl.ioctl(s, termios.TIOCOUTQ, bytes(4)), "little")

    def test_half_open(self):
        """Nothing is acknowledged and nobody is told; new connections work."""
        link = self.link()
        near, far = self.pair()
        near.sendall(b"before")
        self.assertEqual(self.read(far, 6), b"before")
        wait_for("it to be acknowledged", lambda: self.unacknowledged(near) == 0)
        link.half_open()
        near.sendall(b"after")
        far.settimeout(0.7)
        with self.assertRaises(TimeoutError):
            far.recv(1)
        self.assertEqual(self.unacknowledged(near), 5)
        far.close()
        near.settimeout(0.7)
        with self.assertRaises(TimeoutError):
            near.recv(1)
        near, far = self.pair()
        near.sendall(b"x")
        self.assertEqual(far.recv(1), b"x")
        # The dead stay dead, and a cut does not tell them either.
        link.heal()
        link.cut()
        self.assertEqual(link.count()["open"], 1)

    def test_half_open_is_found_by_the_kernel(self):
        """As it is on a real link: TCP_USER_TIMEOUT ends what nobody acknowledges."""
        link = self.link()
        near, _ = self.pair()
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 500)
        link.half_open()
        near.sendall(b"x")
        with self.assertRaises(TimeoutError) as caught:
            near.recv(1)
        self.assertEqual(caught.exception.errno, errno.ETIMEDOUT)

    def test_dark(self):
        """Nothing passes, and nothing is lost for those who wait."""
        link = self.link()
        near, far = self.pair()
        link.dark()
        near.sendall(b"patience")
        far.settimeout(0.5)
        with self.assertRaises(TimeoutError):
            far.recv(1)
        with self.assertRaises(OSError):
            socket.create_connection(("127.0.0.1", self.port), 0.5)
        link.heal()
        far.settimeout(20)
        self.assertEqual(self.read(far, 8), b"patience")
        self.pair()

    def test_refuse(self):
        link = self.link()
        near, far = self.pair()
        link.refuse()
        for _ in range(2):
            with self.assertRaises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", self.port), 5)
        near.sendall(b"x")  # what is there goes on
        self.assertEqual(far.recv(1), b"x")
        link.heal()
        self.pair()

    def test_many_connections(self):
        """Hundreds at once, each whole."""
        link = self.link(delay=20)
        pairs = [self.pair() for _ in range(50)]
        for i, (near, _) in enumerate(pairs):
            near.sendall(bytes([i]) * 5000)
        for i, (_, far) in enumerate(pairs):
            self.assertEqual(self.read(far, 5000), bytes([i]) * 5000)
        self.assertEqual(link.count()["open"], 50)
        link.cut()
        self.assertEqual(link.count()["open"], 0)
        fds = subprocess.run(["ls", f"/proc/{link.process.pid}/fd"], capture_output=True, text=True, check=True)
        self.assertLess(len(fds.stdout.split()), 12)


if __name__ == "__main__":
    BUILD = Path(sys.argv.pop(1)).resolve()
    unittest.main()
