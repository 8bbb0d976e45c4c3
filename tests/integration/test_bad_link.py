#!/usr/bin/env python3
"""Two real nodes with a bad link between them. test_bad_link.py BUILD [unittest args]"""

import itertools
import random
import shutil
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "tests" / "lib"))
import cases  # noqa: E402
from link import Link  # noqa: E402
from network import Failed, Network, wait_for  # noqa: E402

BUILD = Path()
WORDS = [b"kettle", b"yellow window", b"ZZ-KIVULI"]
QUICK = ("\n[seal]\ncompression = off\n\n[replication]\nhave_delay = 100ms\ndial_retry_min = 200ms\n"
         "dial_retry_max = 1s\nidle_ping = 1s\nidle_close = 4s\n")


class Case(unittest.TestCase):
    """caf dials headquarters through the link."""

    @classmethod
    def setUpClass(cls):
        cls.root = Path(tempfile.mkdtemp(prefix="sauti-link."))
        cls.network, cls.link = Network(cls.root, BUILD, "test.example"), Link(BUILD, seed=3)
        try:
            cls.hq = cls.network.init()
            cls.hq.configure(QUICK)
            cls.hq.start()
            cls.caf = cls.network.join("caf", "CAF", config=QUICK)
            conf = cls.caf.dir / "sauti.conf"
            cls.link.capture(cls.root / "wire")
            conf.write_text(conf.read_text().replace(f"127.0.0.1:{cls.hq.port}",
                                                     f"127.0.0.1:{cls.link.forward(cls.hq.port)}"))
            cls.caf.start()
            cls.network.settle()
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def tearDownClass(cls):
        for node in cls.network.nodes.values():
            if node.process is not None:
                node.kill()
        cls.link.close()
        shutil.rmtree(cls.root)

    numbers = itertools.count(1)

    def record(self, node, count):
        lines = []
        for _ in range(count):
            n = next(self.numbers)
            lines += [cases.opened(n, f"ZZ-KIVULI-{n}", office="CAF"),
                      cases.said(n, f"{n:032x}", "the kettle stands beside the yellow window " * 5, office="CAF")]
        node.sauti("case", "import", "-", stdin=cases.lines(*lines))

    def connected(self, node, name):
        return any(p["connected"] for p in node.json("status")["peers"] if p["name"] == name)

    def whole(self):
        for node in (self.hq, self.caf):
            self.assertTrue(all(r["ok"] for r in node.json("log", "verify")))
            self.assertEqual(node.json("status")["alarms"], [])

    def test_nothing_readable_on_the_wire(self):
        """Neither a word of a case, nor the names of nodes and network; but the protocol's name is
        there, which shows that the capture is what travelled."""
        self.record(self.caf, 50)
        self.record(self.hq, 50)
        self.network.settle()
        wire = b"".join(p.read_bytes() for p in self.root.glob("wire.*"))
        self.assertGreater(len(wire), 50_000)
        self.assertIn(b"sauti/1", wire)  # ALPN, in the first message
        for word in WORDS + [b"test.example", b"mirror", b"directory", self.caf.own()["origin"].encode()]:
            self.assertNotIn(word, wire)

    def test_half_open(self):
        """Nothing comes, and nobody says so: both sides find out, and begin again."""
        for _ in range(2):
            before = self.link.count()["accepted"]
            self.link.half_open()
            self.record(self.caf, 5)
            wait_for("a new connection", lambda b=before: self.link.count()["accepted"] > b, 60)
            self.network.settle(60)
        self.whole()

    def test_dark(self):
        """Darkness longer than the patience of both; work goes on; then all is there."""
        self.link.dark()
        self.record(self.caf, 20)
        self.record(self.hq, 20)
        wait_for("both to notice", lambda: not self.connected(self.caf, "hq") and not self.connected(self.hq, "caf"))
        self.record(self.caf, 5)
        self.link.heal()
        self.network.settle(90)
        self.whole()

    def test_refused(self):
        """A router that says no, for a while."""
        self.link.refuse()
        self.link.cut()
        self.record(self.caf, 5)
        wait_for("caf to be refused", lambda: "connection refused" in self.caf.log)
        self.link.heal()
        self.network.settle(60)

    def test_cut_at_any_byte(self):
        """Cut at random bytes, in either direction, while both record: nothing is lost or doubled."""
        rng, stopping = random.Random(11), threading.Event()

        def work(node):
            while not stopping.is_set():
                self.record(node, 3)
                time.sleep(0.02)

        threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in (self.caf, self.hq)]
        for t in threads:
            t.start()
        try:
            for _ in range(25):
                opened = self.link.count()["accepted"]
                # The handshake is 4,000 bytes, what follows a few thousand a second.
                self.link.cut_at(rng.choice(("up", "down")), rng.choice((rng.randint(1, 4000), rng.randint(1, 12_000))))
                wait_for("a new connection", lambda o=opened: self.link.count()["accepted"] > o)
        finally:
            stopping.set()
            for t in threads:
                t.join()
            self.link.heal()
        self.network.settle(60)
        self.whole()


if __name__ == "__main__":
    BUILD = Path(sys.argv.pop(1)).resolve()
    try:
        unittest.main(verbosity=1)
    except Failed as e:
        sys.exit(str(e))
