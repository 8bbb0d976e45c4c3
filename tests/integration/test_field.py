#!/usr/bin/env python3
"""Offices in the field: no open port, a proxy, a slow link. test_field.py BUILD [unittest args]"""

import base64
import os
import shutil
import socket
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
from link import Link  # noqa: E402
from network import Failed, Network, Node, free_port, wait_for  # noqa: E402

BUILD = Path()
WORDS = "the kettle stands beside the yellow window"
FAST = "[replication]\ndial_retry_min = 50ms\ndial_retry_max = 500ms\nhave_delay = 50ms\n"


class Proxy:
    """An HTTP proxy that knows CONNECT and one user, and keeps what went through it."""

    def __init__(self, user=None, answer=None):
        self.user, self.answer = user, answer
        self.asked, self.carried, self.sockets = [], bytearray(), []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.sockets.append(client)
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        head = b""
        while b"\r\n\r\n" not in head:
            data = client.recv(1)
            if not data:
                return
            head += data
        lines = head.decode().split("\r\n")
        self.asked.append(lines[0])
        if self.answer is not None:
            client.sendall(self.answer)
            client.close()
            return
        wanted = f"Proxy-Authorization: Basic {base64.b64encode(self.user.encode()).decode()}" if self.user else None
        if wanted and wanted not in lines:
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n")
            client.close()
            return
        host, port = lines[0].split()[1].rsplit(":", 1)
        try:
            server = socket.create_connection((host, int(port)), 10)
        except OSError:
            client.sendall(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
            client.close()
            return
        self.sockets.append(server)
        client.sendall(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n")
        for a, b in ((client, server), (server, client)):
            threading.Thread(target=self.pipe, args=(a, b), daemon=True).start()

    def pipe(self, a, b):
        try:
            while data := a.recv(65536):
                self.carried += data
                b.sendall(data)
        except OSError:
            pass
        for s in (a, b):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()
        for s in self.sockets:
            s.close()


class Field(unittest.TestCase):
    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="sauti-field-"))
        self.addCleanup(shutil.rmtree, self.root, True)
        self.network = Network(self.root, BUILD, "test.example")
        self.addCleanup(self.network.stop)
        self.hq = self.network.init()
        self.hq.configure(FAST)
        self.hq.start()

    def proxy(self, **opts):
        proxy = Proxy(**opts)
        self.addCleanup(proxy.close)
        return proxy

    def secret_file(self, name, text):
        path = self.root / name
        path.touch(mode=0o600)
        path.write_text(text, encoding="ascii")
        return path

    def outbound(self, name, country, *options):
        """An office that listens nowhere."""
        node = self.network.nodes[name] = Node(self.network, name)
        node.sauti("join", "-", "--listen", "none", "--passphrase-file", self.network.passphrase, *options,
                   stdin=self.network.invite(name, country))
        node.configure(FAST)
        return node

    def record(self, node, count):
        for _ in range(count):
            ref = node.json("case", "open")["case_ref"]
            node.sauti("case", "add", ref, "--from", "-",
                       stdin=cases.lines({"type": "VICTIM_VIEW", "subject": "SERVICES", "view": WORDS}))

    def test_two_offices_without_an_open_port_meet(self):
        """One behind a proxy with a password, one behind nothing but its own router: all of both arrives
        at both, through headquarters, once, and headquarters cannot read it."""
        proxy = self.proxy(user="ana:open sesame")
        credentials = self.secret_file("credentials", "ana:open sesame\n")
        haiti = self.outbound("haiti", "HTI", "--proxy", proxy.address, "--proxy-credentials", credentials)
        self.assertEqual(len(proxy.asked), 1, "joined through it")
        mali = self.outbound("mali", "MLI")
        haiti.start()
        self.record(haiti, 4)
        mali.start()
        self.record(mali, 4)
        self.network.settle()
        for asked in proxy.asked:
            self.assertEqual(asked, f"CONNECT 127.0.0.1:{self.hq.port} HTTP/1.1")

        # Again after a break, and only what is new.
        haiti.stop()
        self.record(mali, 6)
        before = len(proxy.carried)
        news = sum(mali.json("log", "show", mali.own()["origin"], "--index", i)["entry"]["bytes"]
                   for i in range(mali.own()["size"] - 6, mali.own()["size"]))
        haiti.start()
        self.network.settle()
        self.assertLess(len(proxy.carried) - before, 2 * news + 16384)

        # No relay can read it: neither on the wire nor on the disk; nor does anybody log the password.
        self.assertNotIn(WORDS.encode(), bytes(proxy.carried))
        for node in (self.hq, mali):
            for file in node.dir.rglob("*"):
                if file.is_file() and (node is self.hq or "haiti" in file.name):
                    self.assertNotIn(WORDS.encode(), file.read_bytes(), file)
        for node in self.network.nodes.values():
            self.assertNotIn("sesame", node.log)
            self.assertNotIn("Basic", node.log)

    def test_status_tells_what_links_cost(self):
        """Bytes by class, for an event and a reconnect; what a peer lacks that is away."""
        haiti = self.outbound("haiti", "HTI")
        haiti.configure("[bandwidth]\nup = 2Mbit/s\nmetered = yes\n")
        haiti.start()
        self.record(haiti, 3)
        self.network.settle()

        def peer(node, name):
            return next(p for p in node.json("status")["peers"] if p["name"] == name)

        at_haiti, at_hq = peer(haiti, "hq"), peer(self.hq, "haiti")
        self.assertTrue(at_haiti["session"]["metered"] and at_hq["session"]["metered"])
        self.assertGreater(at_haiti["session"]["rtt_ms"], 0)
        self.assertNotEqual(at_haiti["session"]["congestion"], "")
        for p in (at_haiti, at_hq):
            out = p["traffic"]["out_by_class"]
            self.assertEqual(sum(out.values()), p["traffic"]["out"])
            self.assertGreater(out["tls"], 0)
            self.assertGreater(out["control"], 0)
        self.assertGreater(sum(at_haiti["traffic"]["out_by_class"][c] for c in ("live", "catching_up")), 0)
        # What one has sent the other has received, but for what is on its way.
        self.assertLess(abs(at_haiti["traffic"]["out"] - at_hq["traffic"]["in"]), 2048)
        self.assertGreater(at_haiti["traffic"]["bytes_per_reconnect"], 1000)
        self.assertLess(at_haiti["traffic"]["bytes_per_reconnect"], 16384)
        self.assertEqual(peer(self.hq, "haiti")["lacks"]["entries"], 0)
        self.hq.stop()
        self.record(haiti, 2)
        lacks = peer(haiti, "hq")["lacks"]
        self.assertEqual([log["origin"] for log in lacks["logs"]], [haiti.own()["origin"]])
        self.assertEqual(lacks["entries"], haiti.own()["size"] - lacks["logs"][0]["held"])
        self.assertGreater(lacks["bytes"], 0)
        text = haiti.sauti("status").stdout
        self.assertIn("TRAFFIC", text)
        self.assertIn(" h ", text)

    def through(self, node, **both):
        """From now on the node reaches headquarters through a bad link."""
        link = Link(BUILD, seed=1, **both)
        self.addCleanup(link.close)
        port = free_port()
        link.forward(self.hq.port, listen=port)
        conf = node.dir / "sauti.conf"
        text = conf.read_text(encoding="utf-8").replace(f":{self.hq.port}", f":{port}")
        conf.write_text(text, encoding="utf-8")
        return link

    def test_a_slow_link_that_is_cut_again_and_again(self):
        """At 64 kbit/s, 600 ms away, cut every eight seconds: what was proven is kept, little is sent twice."""
        haiti = self.outbound("haiti", "HTI")
        link = self.through(haiti, delay=300, rate=64)
        haiti.start()
        lines = subprocess.run([sys.executable, SOURCE / "scripts" / "synth", "--office", "HTI", "--size", "demo"],
                               capture_output=True, text=True, check=True).stdout.splitlines(keepends=True)[:220]
        self.network.settle()
        before, start = link.count(), haiti.own()["size"]
        link.every(8)
        haiti.sauti("case", "import", "-", stdin="".join(lines))
        own = haiti.own()
        size = sum(haiti.json("log", "show", own["origin"], "--index", i)["entry"]["bytes"]
                   for i in range(start, own["size"]))
        held = 0
        while held < own["size"]:
            now = self.hq.logs()[own["origin"]]["size"]
            self.assertGreaterEqual(now, held)
            held = now
            time.sleep(0.05)
        after = link.count()
        cuts = after["accepted"] - before["accepted"]
        self.assertGreater(cuts, 0)
        # For each cut one batch (12,000 bytes) that was partly across, one behind it that had left the office,
        # and what a session costs to begin.
        self.assertLess(after["up"]["in"] - before["up"]["in"], 1.15 * size + cuts * (2 * 12000 + 8192))
        link.every(0)
        self.network.settle()

    def test_a_connection_that_hangs_is_found(self):
        haiti = self.outbound("haiti", "HTI")
        haiti.configure("idle_ping = 500ms\nidle_close = 2s\n")
        self.hq.stop()
        self.hq.configure("idle_ping = 500ms\nidle_close = 2s\n")
        self.hq.start()
        link = self.through(haiti)
        haiti.start()
        self.network.settle()
        before = link.count()["accepted"]
        link.half_open()
        self.record(haiti, 1)
        wait_for("another connection", lambda: link.count()["accepted"] > before)
        self.network.settle()

    def test_closed_hours(self):
        """Nobody is dialled and who dials is sent away; a restart with other hours opens the link."""
        haiti = self.outbound("haiti", "HTI")
        conf = haiti.dir / "sauti.conf"
        text = conf.read_text(encoding="utf-8")
        conf.write_text(text + "\n[bandwidth]\nschedule = mon-sun 00:00-24:00 closed\n", encoding="utf-8")
        haiti.start()
        self.record(haiti, 1)
        self.assertFalse(any(p["connected"] for p in self.hq.json("status")["peers"]))
        peer = haiti.json("status")["peers"][0]
        self.assertEqual(peer["hours"], "closed")
        self.assertIn("closed at this hour", peer["last_error"])
        self.assertNotIn("TRAFFIC", haiti.sauti("status").stdout)
        self.assertEqual(haiti.stop(), 0)
        self.assertNotIn("session with 'hq' is up", haiti.log)
        conf.write_text(text + "\n[bandwidth]\nschedule = mon-sun 00:00-24:00 urgent\n", encoding="utf-8")
        haiti.start()
        wait_for("a session", lambda: haiti.json("status")["peers"][0]["connected"])
        self.assertIn("urgent only", haiti.sauti("status").stdout)
        self.assertEqual(haiti.stop(), 0)
        conf.write_text(text + "\n[bandwidth]\nschedule = mon-sun 00:00-24:00 256kbit/s\n", encoding="utf-8")
        haiti.start()
        self.network.settle()

    def test_a_proxy_that_refuses(self):
        """The error names the proxy's status, and the office goes on trying."""
        haiti = self.outbound("haiti", "HTI")
        for proxy, says in ((self.proxy(user="a:b"), "the proxy answers 407 Proxy Authentication Required"),
                            (self.proxy(answer=b"HTTP/1.1 403 Forbidden\r\n\r\n"), "the proxy answers 403 Forbidden"),
                            (self.proxy(answer=b"SSH-2.0-x\r\n"), "the proxy does not answer in HTTP"),
                            (self.proxy(answer=b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 4000),
                             "the proxy's answer has more than 16384 bytes")):
            conf = haiti.dir / "sauti.conf"
            text = conf.read_text(encoding="utf-8").split("\n[network]")[0]
            conf.write_text(text + f"\n[network]\nproxy = {proxy.address}\n", encoding="utf-8")
            haiti.start()
            wait_for(says, lambda: says in str(haiti.json("status")["peers"]))
            self.assertIn(f"proxy {proxy.address}: ", str(haiti.json("status")["peers"]))
            wait_for("another try", lambda: len(proxy.asked) >= 2)
            self.assertEqual(haiti.stop(), 0)
        self.assertNotEqual(haiti.sauti("join", "x", "--proxy-credentials", "relative", check=False).returncode, 0)

    def test_credentials_that_others_can_read(self):
        haiti = self.outbound("haiti", "HTI")
        proxy = self.proxy(user="a:b")
        credentials = self.secret_file("credentials", "a:b")
        haiti.configure(f"[network]\nproxy = {proxy.address}\nproxy_credentials = {credentials}\n")
        haiti.sauti("check-config")
        os.chmod(credentials, 0o644)
        done = haiti.sauti("check-config", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("credentials", done.stderr)
        haiti.start_only()
        self.assertNotEqual(haiti.process.wait(120), 0)
        haiti.process = None
        credentials.write_text("nothing", encoding="ascii")
        os.chmod(credentials, 0o600)
        done = haiti.sauti("check-config", check=False)
        self.assertIn("USER:PASSWORD", done.stderr)
        self.assertNotIn("nothing", done.stderr)


if __name__ == "__main__":
    BUILD = Path(sys.argv.pop(1)).resolve()
    unittest.main(verbosity=2)
