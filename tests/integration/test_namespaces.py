#!/usr/bin/env python3
"""Offices with networks of their own. test_namespaces.py BUILD [unittest args]

Two offices and headquarters, each in a network namespace. From an office one TCP port of one address
can be reached, headquarters' 443; nothing reaches an office, no route leads from one to the other,
and there is no name service. Needs root and iproute2; what the kernel lacks is said and skipped.
"""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "tests" / "lib"))
import cases  # noqa: E402
from network import Failed, Network, Node, wait_for  # noqa: E402

BUILD = Path()
WORDS = ["kettle", "yellow window", "ZZ-KIVULI"]
QUICK = ("\n[seal]\ncompression = off\n\n[replication]\nhave_delay = 100ms\ndial_retry_min = 200ms\n"
         "dial_retry_max = 1s\nidle_ping = 1s\nidle_close = 4s\n")


def ip(*args, check=True):
    done = subprocess.run(["ip", *args], capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise Failed(f"ip {' '.join(args)}: {done.stderr.strip()}")
    return done


def netns_is_mounted():
    with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
        return any(line.split()[4] == "/run/netns" for line in mounts)


def leave_as_found(mounted):
    """`ip netns` mounts a directory for its names; it goes again when it was not there before, and is empty."""
    if not mounted and netns_is_mounted() and not os.listdir("/run/netns"):
        subprocess.run(["umount", "/run/netns"], check=False)


def why_not():
    """What is missing; None: nothing."""
    if os.geteuid() != 0:
        return "network namespaces are made by root: run it as root"
    if shutil.which("ip") is None or shutil.which("tc") is None:
        return "no ip or no tc (apt install iproute2)"
    atexit.register(leave_as_found, netns_is_mounted())
    name = f"sauti-try-{os.getpid()}"
    made = ip("netns", "add", name, check=False)
    if made.returncode != 0:
        return f"no network namespaces here: {made.stderr.strip()}"
    rule = ip("netns", "exec", name, "ip", "rule", "add", "pref", "99", "ipproto", "tcp", "dport", "443", "lookup",
              "main", check=False)
    ip("netns", "del", name)
    return f"no routing by port here: {rule.stderr.strip()}" if rule.returncode != 0 else None


WHY_NOT = why_not()


class Spaces:
    """A namespace for each node; offices hang on headquarters by a cable each."""

    def __init__(self, offices):
        self.names, self.tag = {}, os.getpid() % 10_000
        try:
            self.add("hq")
            for number, office in enumerate(offices, 1):
                self.add(office)
                self.cable(office, number)
        except BaseException:
            self.close()
            raise

    def add(self, node):
        self.names[node] = f"sauti-{self.tag}-{node}"
        ip("netns", "add", self.names[node])
        self.run(node, "ip", "link", "set", "lo", "up")

    def cable(self, office, number):
        """10.77.NUMBER.1 is headquarters' end, .2 the office's."""
        ours, theirs = f"s{self.tag}h{number}", f"s{self.tag}o{number}"
        ip("link", "add", ours, "netns", self.names["hq"], "type", "veth", "peer", "name", theirs, "netns",
           self.names[office])
        self.run("hq", "ip", "link", "set", ours, "name", f"to-{office}")
        self.run(office, "ip", "link", "set", theirs, "name", "wan")
        for node, link, last in (("hq", f"to-{office}", 1), (office, "wan", 2)):
            self.run(node, "ip", "address", "add", f"10.77.{number}.{last}/24", "dev", link)
            self.run(node, "ip", "link", "set", link, "up")
        self.run(office, "ip", "route", "add", "default", "via", f"10.77.{number}.1")
        # Nothing leaves but to port 443; answers to what came in do not leave either.
        self.run(office, "ip", "rule", "add", "pref", "100", "ipproto", "tcp", "dport", "443", "lookup", "main")
        self.run(office, "ip", "rule", "add", "pref", "200", "prohibit")

    def run(self, node, *argv, check=True):
        done = subprocess.run(["ip", "netns", "exec", self.names[node], *map(str, argv)], capture_output=True,
                              text=True, check=False, timeout=60)
        if check and done.returncode != 0:
            raise Failed(f"in the namespace of {node}: {' '.join(map(str, argv))}: {done.stderr.strip()}")
        return done

    def reaches(self, node, host, port):
        """Can a program there connect?"""
        return self.run(node, sys.executable, "-c", "import socket, sys; socket.create_connection((sys.argv[1], "
                        "int(sys.argv[2])), 2)", host, port, check=False).returncode == 0

    def close(self):
        for name in self.names.values():
            ip("netns", "del", name, check=False)


def move(node, spaces):
    """From now on the daemon runs in its namespace."""
    def start_only():
        with open(node.network.root / f"{node.name}.log", "ab") as log:
            node.process = subprocess.Popen(["ip", "netns", "exec", spaces.names[node.name],
                                             node.network.bin / "sautid", "--dir", node.dir], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True)
    node.start_only = start_only


@unittest.skipIf(WHY_NOT, WHY_NOT)
class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = Path(tempfile.mkdtemp(prefix="sauti-spaces."))
        cls.network, cls.spaces = Network(cls.root, BUILD, "test.example"), None
        try:
            # Founded and joined on one machine; then each goes to its own place.
            cls.hq = cls.network.init()
            cls.hq.start()
            cls.caf, cls.cod = (cls.network.join(name, country, config=QUICK)
                                for name, country in (("caf", "CAF"), ("cod", "COD")))
            cls.hq.stop()
            cls.spaces = Spaces(["caf", "cod"])
            conf = cls.hq.dir / "sauti.conf"
            conf.write_text(conf.read_text().replace(f"127.0.0.1:{cls.hq.port}", "0.0.0.0:443") + QUICK)
            for number, node in enumerate((cls.caf, cls.cod), 1):
                conf = node.dir / "sauti.conf"
                conf.write_text(conf.read_text().replace(f"127.0.0.1:{node.port}", "none")
                                .replace(f"127.0.0.1:{cls.hq.port}", f"10.77.{number}.1:443"))
            for node in (cls.hq, cls.caf, cls.cod):
                move(node, cls.spaces)
                node.start()
            cls.network.settle()
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def tearDownClass(cls):
        for node in cls.network.nodes.values():
            if node.process is not None:
                node.kill()
        if cls.spaces is not None:
            cls.spaces.close()
        shutil.rmtree(cls.root)

    events = 0

    def record(self, node, count, size=60):
        """Cases whose words must stay where they were written."""
        lines = []
        for _ in range(count):
            Case.events += 1
            lines += [cases.opened(Case.events, f"{WORDS[2]}-{Case.events}"),
                      cases.said(Case.events, f"{Case.events:032x}",
                                 ("the kettle stands beside the yellow window " * 30)[:size])]
        node.sauti("case", "import", "-", stdin=cases.lines(*lines))

    def holds(self, node, log):
        return node.logs().get(log["origin"], {"checkpoint_size": 0})["checkpoint_size"] >= log["size"]

    def test_the_map(self):
        """Is it as the comment says?"""
        self.assertTrue(self.spaces.reaches("caf", "10.77.1.1", 443))
        self.assertFalse(self.spaces.reaches("caf", "10.77.2.2", 443))  # the other office
        self.assertFalse(self.spaces.reaches("caf", "10.77.1.1", 53))
        self.assertFalse(self.spaces.reaches("hq", "10.77.1.2", 443))   # into an office
        self.assertFalse(self.spaces.reaches("hq", "10.77.1.2", self.caf.port))

    def test_two_offices_meet_through_headquarters(self):
        """Each gets the other's log; who only passes it on, or holds it, cannot read a word."""
        self.record(self.caf, 20)
        self.record(self.cod, 20)
        self.network.settle()
        for node in (self.caf, self.cod):
            self.assertTrue(all(r["ok"] for r in node.json("log", "verify")))
            self.assertIn(WORDS[2], node.sauti("case", "list").stdout)
        own = self.caf.own()
        self.assertTrue(self.holds(self.cod, own))
        self.assertEqual({h["mirror"] for h in own["held_by"]}, {"hq", "cod"})
        for node in (self.hq, self.caf, self.cod):  # the author's own disk, too
            for path in node.dir.rglob("*"):
                if path.is_file() and not path.is_symlink():
                    data = path.read_bytes()
                    for word in WORDS:
                        self.assertNotIn(word.encode(), data, path)

    def test_the_link_goes_and_comes(self):
        """Down without a word to anybody; recording goes on, and all is there soon after."""
        self.spaces.run("caf", "ip", "link", "set", "wan", "down")
        self.record(self.caf, 10)
        self.record(self.cod, 10)
        own = self.caf.own()
        wait_for("both sides to find out", lambda: not any(
            p["connected"] for p in self.caf.json("status")["peers"] if p["name"] == "hq") and not any(
            p["connected"] for p in self.hq.json("status")["peers"] if p["name"] == "caf"), 60)
        self.assertFalse(self.holds(self.hq, own))
        self.spaces.run("caf", "ip", "link", "set", "wan", "up")
        self.spaces.run("caf", "ip", "route", "replace", "default", "via", "10.77.1.1", "dev", "wan", "onlink")
        self.network.settle(90)

    def test_the_link_blinks(self):
        """Again and again, in the middle of things."""
        self.record(self.caf, 300, 800)
        for _ in range(4):
            time.sleep(0.7)
            self.spaces.run("caf", "ip", "link", "set", "wan", "down")
            time.sleep(0.5)
            self.spaces.run("caf", "ip", "link", "set", "wan", "up")
            self.spaces.run("caf", "ip", "route", "replace", "default", "via", "10.77.1.1", "dev", "wan", "onlink")
        self.network.settle()
        self.assertTrue(all(r["ok"] for r in self.hq.json("log", "verify")))

    def test_a_slow_cable(self):
        """256 kbit/s by the kernel, both ways: bulk takes its time, and what is recorded meanwhile does
        not wait for it."""
        for node, link in (("caf", "wan"), ("hq", "to-caf")):
            done = self.spaces.run(node, "tc", "qdisc", "add", "dev", link, "root", "tbf", "rate", "256kbit", "burst",
                                   "4kb", "latency", "600ms", check=False)
            if done.returncode != 0:
                self.skipTest(f"no token bucket in this kernel: {done.stderr.strip()}")
        try:
            start = time.monotonic()
            before = self.cod.own()["size"]
            self.record(self.cod, 400, 1200)
            own = self.cod.own()
            wait_for("headquarters to hold it", lambda: self.holds(self.hq, own))
            self.assertFalse(self.holds(self.caf, own))
            self.record(self.caf, 1)
            mine, begun = self.caf.own(), time.monotonic()
            wait_for("headquarters to hold what caf recorded", lambda: self.holds(self.hq, mine))
            took = time.monotonic() - begun
            wait_for("caf to hold it all", lambda: self.holds(self.caf, own), 360)
            # Each entry is of 1,000 bytes at least.
            self.assertGreater(time.monotonic() - start, (own["size"] - before) * 1000 * 8 / 256_000 * 0.9)
            self.assertLess(took, 6)
        finally:
            for node, link in (("caf", "wan"), ("hq", "to-caf")):
                self.spaces.run(node, "tc", "qdisc", "del", "dev", link, "root", check=False)
        self.network.settle()


if __name__ == "__main__":
    BUILD = Path(sys.argv.pop(1)).resolve()
    try:
        unittest.main(verbosity=1)
    except Failed as e:
        sys.exit(str(e))
