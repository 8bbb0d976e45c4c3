#!/usr/bin/env python3
"""sauti-web: every endpoint, every status, and what strangers may try. With a node that is none (any
answer, also such as no node gives), and with real ones. test_web.py BUILD [unittest args]"""

import base64
import concurrent.futures
import grp
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "tests" / "lib"))
import cases  # noqa: E402
import fakenode  # noqa: E402
from fakenode import FakeNode, connect, get, raw, receive, replies, response  # noqa: E402
from network import Failed, Network, wait_for  # noqa: E402
from webserver import NOBODY, Web, open_directory  # noqa: E402

BUILD = Path()
ORIGIN = "ovra.example/haiti/1-0123456789abcdef"
HASH = "ab" * 32
STATUS = {"node": "haiti", "network": "ovra.example", "version": "0", "ready": True, "writable": True,
          "disk": "ok", "locked": False, "logs": [{"origin": ORIGIN, "entries": 5}]}
TILE, BUNDLE, NOTE = bytes(range(256)) * 32, b"\0\1x" * 1000, ORIGIN.encode() + b"\n1\nroot\n\n"
PROOFS = (b"\0\0\0\3one", b"\0\0\0\5three")
NEVER = "no-store"
LISTED = "".join(f"{name}\n" for name in (ORIGIN.replace("haiti", "caf"), ORIGIN, ORIGIN + "~" + "0" * 32,
                                          ORIGIN.replace("haiti", "hq"))).encode()


def document(value, **more):
    return response(json=json.dumps(value).encode(), **more)


def honest(number, fields):
    """As a node answers."""
    if number == fakenode.FILE:
        path = fields.get(2, b"").decode()
        if fields.get(1, b"").decode() != ORIGIN or path.startswith("tile/6"):
            return response(error=fakenode.NOTFOUND, message=b"no log of that origin is held here", last=True)
        data = NOTE if path == "checkpoint" else BUNDLE if "entries" in path else TILE
        return response(data=data[:20]) + response(data=data[20:]) + response(last=True)
    if number == fakenode.LOGS:
        names = (ORIGIN + "~" + "0" * 32, ORIGIN.replace("haiti", "hq"), ORIGIN, ORIGIN.replace("haiti", "caf"))
        return b"".join(document({"origin": name}) for name in names) + response(last=True)
    if number == fakenode.EVIDENCE:
        return b"".join(document({"id": "ab", "origin": ORIGIN}, data=proof) for proof in PROOFS) + response(last=True)
    if number == fakenode.ADD:
        wanted = fields.get(1, b"").split(b" ")
        status = int(wanted[0]) if wanted[0].isdigit() else 400
        kind = "text/x.tlog.size" if status == 409 else "text/plain"
        return document({"status": status, "content_type": kind}, data=b"") + response(data=b"7\n", last=True)
    if number == fakenode.WITNESS:
        good = fields[1].decode() == HASH
        verdict = document({"status": 200 if good else 404, "content_type": "text/plain; charset=utf-8"})
        return verdict + response(data=NOTE if good else b"not found\n") + response(last=True)
    return document(STATUS, last=True)


class Case(unittest.TestCase):
    """A node that answers as `answer` does, and sauti-web for it."""

    limits = ""
    answer = staticmethod(honest)

    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="sauti-web-")
        self.addCleanup(scratch.cleanup)
        self.root = open_directory(Path(scratch.name) / "open")
        self.node = FakeNode(self.root / "public.sock", lambda n, f: self.answer(n, f))
        self.addCleanup(self.node.stop)
        self.web = None
        self.addCleanup(lambda: self.web and self.web.kill())
        self.start()

    def start(self, *args, **opts):
        if self.web is not None:
            self.assertEqual(self.web.stop(), 0, self.web.log)
        opts.setdefault("limits", self.limits)
        self.web = Web(BUILD, self.root, self.root / "public.sock", *args, **opts)
        return self.web

    def get(self, path, *args, **opts):
        return get(self.web.address, path, *args, **opts)

    def alive(self):
        """Still there, and none of its answers is held."""
        self.assertEqual(self.get("/healthz").status, 200)
        self.assertIsNone(self.web.process.poll(), self.web.log)

    def metric(self, name):
        for line in self.get("/metrics").body.decode().split("\n"):
            if line.startswith(name + " "):
                return float(line.split(" ")[1])
        raise Failed(f"no metric {name}")


class Endpoints(Case):
    def check(self, path, status, body, kind, cache):
        reply, head = self.get(path), self.get(path, "HEAD")
        self.assertEqual((reply.status, reply.body, reply.whole), (status, body, True), path)
        for r in (reply, head):
            self.assertEqual(r.status, status)
            self.assertEqual(r.headers["content-type"], kind)
            self.assertEqual(r.headers["cache-control"], cache)
            self.assertEqual(int(r.headers["content-length"]), len(body))
            self.assertEqual(r.headers["x-content-type-options"], "nosniff")
            self.assertTrue(r.headers["content-security-policy"].startswith("default-src 'none'"))
            self.assertFalse([h for h in r.headers if h.startswith("access-control") or h in ("server", "set-cookie")])
        self.assertEqual(head.rest, b"")

    def test_files(self):
        text, binary = "text/plain; charset=utf-8", "application/octet-stream"
        forever = "public, max-age=31536000, immutable"
        self.check(f"/{ORIGIN}/checkpoint", 200, NOTE, text, "public, max-age=10")
        self.check(f"/{ORIGIN}/tile/0/000", 200, TILE, binary, forever)
        self.check(f"/{ORIGIN}/tile/0/001.p/7", 200, TILE, binary, "public, max-age=3600")
        self.check(f"/{ORIGIN}/tile/entries/x001/000", 200, BUNDLE, binary, forever)
        self.check(f"/{HASH}/checkpoint", 200, NOTE, text, "public, max-age=10")
        self.check("/logs", 200, LISTED, text, NEVER)
        self.check("/evidence", 200, b"".join(PROOFS), binary, "public, max-age=10")
        self.check("/healthz", 200, b"ok\n", text, NEVER)
        self.check("/readyz", 200, b"ready\n", text, NEVER)
        for path in (f"/{ORIGIN}/tile/6/000", f"/{'0' * 64}/checkpoint", f"/{ORIGIN[:-1]}0/checkpoint"):
            self.check(path, 404, b"not found\n", text, NEVER)
        self.assertEqual(self.node.tokens, 0, "a session's token was sent")

    def test_many_on_one_connection(self):
        """Kept alive, pipelined; the answers in order."""
        request = "GET {} HTTP/1.1\r\nHost: localhost\r\n{}\r\n"
        paths = [f"/{ORIGIN}/checkpoint", "/nothing", f"/{ORIGIN}/tile/0/000", "/healthz"] * 10
        text = "".join(request.format(p, "") for p in paths) + request.format("/readyz", "Connection: close\r\n")
        found = raw(self.web.address, text.encode())
        self.assertEqual([r.status for r in found], [200, 404, 200, 200] * 10 + [200])
        self.assertEqual(found[2].body, TILE)
        self.assertEqual(found[-1].body, b"ready\n")
        self.assertLessEqual(self.node.connections, 4)

    def test_add_checkpoint(self):
        """Status, type and body as the node says; the connection goes on."""
        for status in (200, 400, 403, 404, 409, 422, 429, 503):
            r = self.get("/add-checkpoint", "POST", body=f"{status} body".encode())
            self.assertEqual((r.status, r.body), (status, b"7\n"))
            self.assertEqual(r.headers["content-type"],
                             "text/x.tlog.size" if status == 409 else "text/plain; charset=utf-8")
            self.assertEqual(r.headers["cache-control"], NEVER)
        for status in (100, 204, 301, 302, 500, 999):
            self.assertEqual(self.get("/add-checkpoint", "POST", body=f"{status} x".encode()).status, 502)
        post = b"POST /add-checkpoint HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s"
        end = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        found = raw(self.web.address, post % (3, b"200") + post % (3, b"409") + end)
        self.assertEqual([r.status for r in found], [200, 409, 200])

    def test_body_cap(self):
        for size, status in ((65536, 200), (65537, 413), (10 ** 9, 413)):
            with connect(self.web.address) as s:
                s.sendall(b"POST /add-checkpoint HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                          b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % size)
                first = s.recv(65536)
                if status == 200:
                    self.assertTrue(first.startswith(b"HTTP/1.1 100 "), first)
                    s.sendall(b"200 ".ljust(size, b"x"))
                    first = b""
                self.assertEqual(replies(first + receive(s))[0].status, status)
        self.assertEqual(self.get("/add-checkpoint", "POST").status, 400)  # no body at all

    def test_browsers(self):
        """A page of another site gets nothing done, and reads nothing."""
        r = self.get("/add-checkpoint", "POST", headers="Origin: https://evil.example\r\n", body=b"200")
        self.assertEqual(r.status, 403)
        r = self.get("/logs", headers="Origin: https://evil.example\r\n")
        self.assertFalse([h for h in r.headers if h.startswith("access-control")])
        for host in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "", "localhost@evil"):
            self.assertEqual(self.get("/logs", host=host).status, 400 if host == "" and False else 421, host)
        for host in ("localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:8480"):
            self.assertEqual(self.get("/logs", host=host).status, 200, host)
        self.start("--host", "logs.office.example")
        self.assertEqual(self.get("/logs", host="logs.office.example:8443").status, 200)
        self.assertEqual(self.get("/logs").status, 421)

    def test_methods(self):
        for method in ("PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "POST", "PROPFIND", "get"):
            r = self.get("/logs", method, headers="")
            self.assertEqual((r.status, r.headers["allow"]), (405, "GET, HEAD"), method)
        r = self.get("/add-checkpoint")
        self.assertEqual((r.status, r.headers["allow"]), (405, "POST"))

    def test_metrics(self):
        body = self.get("/metrics").body.decode()
        self.assertIn(f'sauti_log_entries{{origin="{ORIGIN}"}} 5\n', body)
        self.assertIn("sauti_up 1\n", body)
        self.assertEqual(self.get("/metrics").headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
        before = self.metric('sauti_web_requests_total{route="checkpoint",code="200"}') \
            if 'route="checkpoint"' in body else 0
        self.get(f"/{ORIGIN}/checkpoint")
        self.assertEqual(self.metric('sauti_web_requests_total{route="checkpoint",code="200"}'), before + 1)
        self.assertEqual(self.metric("sauti_web_in_flight_requests"), 1)
        self.assertEqual(self.metric("sauti_web_connections"), 1)

    def test_logs_off(self):
        self.start("--logs", "off")
        self.assertEqual(self.get("/logs").status, 404)
        self.assertEqual(self.get(f"/{ORIGIN}/checkpoint").status, 200)

    def test_unix_socket(self):
        path = self.root / "http.sock"
        self.start(listen=f"unix:{path}")
        self.assertEqual(self.get("/logs").status, 200)
        self.assertEqual(path.stat().st_mode & 0o777, 0o660)
        second = subprocess.run([BUILD / "sauti-web", "--listen", f"unix:{path}", "--socket", "/x", "--allow-root"],
                                capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual(second.returncode, 1)
        self.assertIn("another program serves it", second.stderr)
        second = subprocess.run([BUILD / "sauti-web", "--listen", f"unix:{self.root}/none/x", "--socket", "/x",
                                 "--allow-root"],
                                capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual(second.stderr, f"sauti-web: unix:{self.root}/none/x: No such file or directory\n")
        self.web.kill()  # leaves its file
        self.web = None
        self.start(listen=f"unix:{path}")
        self.assertEqual(self.web.stop(), 0)
        self.assertFalse(path.exists())
        path.write_text("mine")
        third = subprocess.run([BUILD / "sauti-web", "--listen", f"unix:{path}", "--socket", "/x", "--allow-root"],
                               capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual((third.returncode, path.read_text()), (1, "mine"))

    def test_access_log(self):
        """A line a request, escaped, without an address."""
        self.start("--access-log", "on")
        self.get("/\x1b[31m\"evil\"")
        self.get("/logs", "\x1b[31m")
        self.get(f"/{ORIGIN}/checkpoint")
        self.web.stop()
        self.assertIn(f"sauti-web: GET /{ORIGIN}/checkpoint 200 {len(NOTE)} ", self.web.log)
        self.assertNotIn("\x1b", self.web.log)
        self.assertNotIn("127.0.0.1", self.web.log.split("\n", 1)[1])
        self.web = None


class Hostile(Case):
    """What breaks rules is refused, and nobody else notices."""

    limits = "header_timeout = 1\nbody_timeout = 1\nidle_timeout = 2\nconnections = 32\nnode_timeout = 2"

    def status(self, data):
        found = raw(self.web.address, data)
        return found[0].status if found else None

    def test_paths(self):
        for path in ("/../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc/passwd", "/logs/..",
                     f"/{ORIGIN}/../../checkpoint", f"/{ORIGIN}/tile/../checkpoint", f"/{ORIGIN}/tile/0/%30%30%30",
                     f"/{ORIGIN}/checkpoint%00", "//logs", "/logs?x", "/logs;x", "/.", "/\\logs", "/logs%0d%0aX:1"):
            self.assertEqual(self.get(path).status, 404, path)
        self.assertNotIn(fakenode.FILE, self.node.asked)
        self.alive()

    def test_absolute_form(self):
        one = b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        self.assertEqual(self.status(one % b"http://localhost/logs"), 200)
        self.assertEqual(self.status(one % b"http://evil.example/logs"), 421)
        self.assertEqual(self.status(one % b"https://localhost/logs"), 404)
        self.assertEqual(self.status(one % b"localhost:80"), 404)

    def test_broken_requests(self):
        """Bytes that are no request: an error or nothing at all, never 2xx, never a crash."""
        host = b"Host: localhost\r\n"
        broken = [b"GET /logs\r\n\r\n", b"GET /logs HTTP/0.9\r\n" + host + b"\r\n",
                  b"GET /logs HTTP/3.0\r\n" + host + b"\r\n", b"GET /logs HTTP/1.1\r\n\r\n", b"\r\n\r\n\r\n",
                  b"GET\r\n\r\n", b"\0\0\0\0\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 600 + b"\r\n\r\n",
                  b"GET /logs HTTP/1.1\r\n" + host + host + b"\r\n",
                  b"GET /logs HTTP/1.1\r\n" + host + b"Host: evil.example\r\n\r\n",
                  b"GET /log\0s HTTP/1.1\r\n" + host + b"\r\n", b"GET \0/logs HTTP/1.1\r\n" + host + b"\r\n",
                  b"GET /logs HTTP/1.1\r\nHost: evil.example\0localhost\r\n\r\n",
                  b"GET /logs HTTP/1.1\r\nHost : localhost\r\n\r\n",
                  b"GET /logs HTTP/1.1\r\n" + host + b"no colon\r\n\r\n",
                  b"GET /logs HTTP/1.1 HTTP/1.1\r\n" + host + b"\r\n",
                  b"GET /logs x HTTP/1.1\r\n" + host + b"\r\n",
                  b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
        # A text ends at its NUL, for libmicrohttpd: what stands before it decides, nothing behind it.
        found = raw(self.web.address, b"GET /logs\0/../x HTTP/1.1\r\n" + host + b"\r\n")
        self.assertLessEqual({r.status for r in found}, {200, 400})
        for data in broken:
            found = raw(self.web.address, data)
            self.assertFalse([r.status for r in found if r.status < 400], (data[:60], [r.status for r in found]))
        self.alive()

    def test_large_heads(self):
        line = b"GET /logs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: "
        self.assertEqual(self.status(line + b"x" * 15000 + b"\r\n\r\n"), 200)
        self.assertEqual(self.status(line + b"x" * 16384 + b"\r\n\r\n"), 431)
        self.assertIn(self.status(line + b"x" * 200000 + b"\r\n\r\n"), (431, None))
        self.assertEqual(self.status(line.replace(b"/logs", b"/" + b"l" * 511)[:-3] + b"\r\n"), 404)
        self.assertEqual(self.status(line.replace(b"/logs", b"/" + b"l" * 512)[:-3] + b"\r\n"), 414)
        self.assertIn(self.status(line.replace(b"/logs", b"/" + b"l" * 100000)[:-3] + b"\r\n"), (414, None))
        many = b"GET /logs HTTP/1.1\r\nHost: localhost\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(5000))
        self.assertIn(self.status(many + b"\r\n"), (431, None))
        self.alive()

    def test_smuggling(self):
        """What is behind a body of doubtful length is never taken for a request."""
        host = b"Host: localhost\r\n"
        inner = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"
        chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(inner), inner)
        size = b"Content-Length: %d\r\n" % len(inner)
        for line in (b"POST /add-checkpoint", b"GET /logs", b"HEAD /logs", b"POST /logs", b"GET /nothing",
                     b"OPTIONS /logs"):
            for headers, body in (
                    (b"Transfer-Encoding: chunked\r\n", chunked),
                    (b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", inner),
                    (size + b"Transfer-Encoding: chunked\r\n", chunked),
                    (b"Content-Length: 0\r\n" + size, inner),
                    (size + b"Content-Length: 0\r\n", inner),
                    (b"Content-Length: 0, 43\r\n", inner),
                    (b"Content-Length: +0\r\n", inner),
                    (b"Content-Length: 0x0\r\n", inner),
                    (b"Content-Length: -1\r\n", inner),
                    (b"Content-Length: 99999999999999999999999\r\n", inner),
                    (b"Transfer-Encoding: xchunked\r\n", inner),
                    (b"Transfer-Encoding: identity\r\n", inner),
                    (b"Transfer-Encoding:\tchunked\r\n", chunked),
                    (b"transfer-encoding: CHUNKED\r\n", chunked),
                    (b"Transfer-Encoding: chunked\r\n", b"zz\r\nbad\r\n"),
                    (b"Transfer-Encoding: chunked\r\n", b"ffffffffffffffffff\r\nbad\r\n")):
                found = raw(self.web.address, line + b" HTTP/1.1\r\n" + host + headers + b"\r\n" + body)
                self.assertLessEqual(len(found), 1, (line, headers))
                self.assertFalse([r.status for r in found if r.status < 400], (line, headers))
        # A GET whose body nobody reads: not read as a request either.
        found = raw(self.web.address, b"GET /logs HTTP/1.1\r\n" + host + size + b"\r\n" + inner)
        self.assertEqual([r.status for r in found], [400])
        self.assertNotIn(fakenode.STATUS, self.node.asked)
        self.alive()

    def slow(self, first, piece, seconds=30):
        """Sends a piece every now and then; how long it was let."""
        began = time.monotonic()
        with connect(self.web.address) as s:
            s.sendall(first)
            s.settimeout(0.2)
            while time.monotonic() < began + seconds:
                try:
                    s.sendall(piece)
                    if s.recv(65536) == b"":
                        break
                except socket_timeout:
                    continue
                except OSError:
                    break
        return time.monotonic() - began

    def test_slow(self):
        """One byte now and then does not hold a connection."""
        head = b"GET /logs HTTP/1.1\r\nHost: localhost\r\nX: "
        post = b"POST /add-checkpoint HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n"
        self.assertLess(self.slow(b"G", b""), 15)
        self.assertLess(self.slow(head, b"x"), 15)
        self.assertLess(self.slow(post, b"x"), 15)
        self.assertGreaterEqual(self.metric('sauti_web_rejected_total{reason="timeout"}'), 3)

    def test_slow_reader(self):
        """An answer that nobody takes is given up."""
        with connect(self.web.address) as s:
            s.setsockopt(fakenode.socket.SOL_SOCKET, fakenode.socket.SO_RCVBUF, 4096)
            s.sendall(f"GET /{ORIGIN}/tile/0/000 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() * 400)
            wait_for("the connection to be ended",
                     lambda: self.metric('sauti_web_rejected_total{reason="timeout"}') > 0, 60)
        wait_for("memory to be given back", lambda: self.metric("sauti_web_in_flight_requests") == 1)
        self.alive()

    def test_many_connections(self):
        """More idle ones than there may be: they make room in time."""
        idle = [connect(self.web.address) for _ in range(100)]
        began = time.monotonic()
        self.alive()
        self.assertLess(time.monotonic() - began, 60)
        self.assertLessEqual(self.metric("sauti_web_connections"), 32)
        for s in idle:
            s.close()

    def test_noise(self):
        """Random bytes, and random changes to a good request, a thousand times."""
        import random
        rng = random.Random(7)
        good = f"GET /{ORIGIN}/checkpoint HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        for i in range(300):
            data = bytearray(good)
            for _ in range(rng.randint(1, 6)):
                at = rng.randrange(len(data))
                data[at:at + rng.randint(0, 2)] = bytes(rng.randrange(256) for _ in range(rng.randint(0, 3)))
            with connect(self.web.address) as s:
                try:
                    s.sendall(bytes(data) if i % 3 else os.urandom(rng.randint(1, 3000)))
                    s.shutdown(fakenode.socket.SHUT_WR)
                    receive(s)
                except OSError:
                    pass
        self.alive()


class Node(Case):
    """The node goes, comes back, hangs, or says what no node says."""

    limits = "node_timeout = 1\nworkers = 2"

    def test_gone(self):
        self.assertEqual(self.get("/healthz").status, 200)
        self.node.stop()
        wait_for("503", lambda: self.get("/healthz").status == 503, 20)
        r = self.get(f"/{ORIGIN}/checkpoint")
        self.assertEqual((r.status, r.headers["cache-control"]), (503, NEVER))
        self.assertIn("retry-after", r.headers)
        self.assertEqual(self.get("/readyz").body, b"unreachable\n")
        self.assertEqual(self.get("/add-checkpoint", "POST", body=b"200").status, 503)
        self.assertIn(b"sauti_up 0\n", self.get("/metrics").body)
        self.assertEqual(self.get("/nothing").status, 404)
        self.node.start()
        wait_for("the node to be found again", lambda: self.get("/healthz").status == 200, 20)
        self.assertEqual(self.get(f"/{ORIGIN}/checkpoint").body, NOTE)

    def test_restart_unnoticed(self):
        """A connection that went stale is made anew before anybody is told."""
        for _ in range(10):
            self.assertEqual(self.get(f"/{ORIGIN}/checkpoint").status, 200)
            self.node.stop()
            self.node.start()

    def test_hangs(self):
        """No answer: 503 in time, and others are served when a worker is free again."""
        self.answer = lambda n, f: None if n == fakenode.FILE else honest(n, f)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            paths = [f"/{ORIGIN}/tile/0/000"] * 8
            found = list(pool.map(self.get, paths))
        self.assertEqual({r.status for r in found}, {503})
        self.alive()

    def test_not_ready(self):
        for change, word in (({"ready": False, "writable": False}, b"guard\n"),
                             ({"ready": False, "disk": "disk-full"}, b"disk\n"),
                             ({"ready": False}, b"stopping\n")):
            self.answer = lambda n, f, c=change: document({**STATUS, **c}, last=True)
            r = self.get("/readyz")
            self.assertEqual((r.status, r.body), (503, word))
            self.assertEqual(self.get("/healthz").status, 200)

    def test_errors(self):
        """Each of the node's codes has a status; its words are for the operator, and made safe."""
        statuses = {1: 500, 2: 404, 3: 502, 4: 502, 7: 503, 9: 503, 10: 503, 11: 404, 13: 404, 15: 503, 16: 503,
                    21: 502, 25: 503, 99: 502}
        for code, status in statuses.items():
            self.answer = lambda n, f, c=code: response(error=c, message=b"the \x1b[31mstore\n", last=True)
            r = self.get(f"/{ORIGIN}/checkpoint")
            self.assertEqual(r.status, status, code)
            self.assertNotIn(b"store", r.body)
        self.assertIn("sauti-web: the \\x1b[31mstore\\x0a\n", self.web.log)
        self.assertEqual(self.web.log.count("store"), 1, "one complaint in ten seconds")

    def test_hostile_answers(self):
        last = response(last=True)
        large = response(data=b"x" * 1000000)
        answers = [
            b"", b"\xff\xff\xff\xff", b"\0\0\0\0", b"\0\0\0\x05xxxxx", b"\x7f\xff\xff\xff" + b"x" * 100,
            last, last[:-1], large * 20 + last, [large] * 20 + [last], response(error=4294967295, last=True),
            response(error=16, message=b"/var/lib/secret\n\x1b[31m" * 100, last=True),
            response(json=b"[" * 100000, last=True), response(json=b"{", last=True),
            response(json=b'{"origin":"../../etc"}', last=True), response(json=b'{"origin":"a\\nb"}', last=True),
            response(json=b'{"status":200000000000000000000}', last=True), response(json=b"\xff\xfe", last=True),
            response(json=b'{"status":301,"content_type":"text/html"}', last=True),
            response(json=b'{"status":"200"}', last=True), response(json=b"null", last=True)]
        paths = [f"/{ORIGIN}/checkpoint", f"/{ORIGIN}/tile/0/000", f"/{HASH}/checkpoint", "/readyz"]
        for answer in answers:
            self.answer = lambda n, f, a=answer: a
            for path in paths:
                r = self.get(path)
                self.assertIn(r.status, (404, 500, 502, 503), (path, answer[:40]))
                self.assertNotIn(b"secret", r.body)
            self.assertIn(self.get("/add-checkpoint", "POST", body=b"x").status, (404, 502, 503), answer[:40])
            self.assertIn(self.get("/logs").status, (200, 404, 500, 502, 503))
            self.assertIn(self.get("/metrics").status, (200, 502), answer[:40])
        self.assertNotIn("\x1b", self.web.log)
        self.answer = honest
        wait_for("health", lambda: self.get("/healthz").status == 200, 20)
        self.assertEqual(self.metric("sauti_web_answers_bytes"), 0)

    def test_endless_answer(self):
        self.answer = lambda n, f: [response(data=b"x")] * 9000 + [response(last=True)]
        self.assertEqual(self.get(f"/{ORIGIN}/checkpoint").status, 502)
        self.answer = honest
        wait_for("health", lambda: self.get("/healthz").status == 200, 20)

    def test_answer_caps(self):
        """The largest file of a log, and a byte more; as many parts as there may be, and one more."""
        largest = 256 * (2 + 65535)
        for size, status in ((largest, 200), (largest + 1, 502)):
            pieces = [response(data=bytes(min(10 ** 6, size - at))) for at in range(0, size, 10 ** 6)]
            self.answer = lambda n, f, p=pieces: [*p, response(last=True)]
            r = self.get(f"/{ORIGIN}/tile/entries/000")
            self.assertEqual((r.status, r.whole), (status, True))
        for parts, status in ((8192, 200), (8193, 502)):
            self.answer = lambda n, f, p=parts: [response(data=b"x") * (p - 1) + response(last=True)]
            self.assertEqual(self.get(f"/{ORIGIN}/tile/entries/000").status, status)

    def test_evidence(self):
        """None is no file; what is none is not passed on; what is over the cap of an answer is left out."""
        one = (16384).to_bytes(4, "big") + bytes(16384)
        fit = 256 * (2 + 65535) // len(one)
        for parts, status, body in (
                ([], 404, b"not found\n"), ([b"\0\0\0\1x", b"\0\0\0\2x"], 502, None), ([b"\0\0\0\0"], 502, None),
                ([b"\0\0\0"], 502, None), ([(16385).to_bytes(4, "big") + bytes(16385)], 502, None),
                ([one] * fit, 200, one * fit), ([one] * (fit + 1), 200, one * fit)):
            self.answer = lambda n, f, p=parts: [*(response(data=part) for part in p), response(last=True)]
            r = self.get("/evidence")
            self.assertEqual((r.status, r.whole), (status, True), len(parts))
            if body is not None:
                self.assertEqual(r.body, body)
        self.answer = lambda n, f: response(error=fakenode.BUSY, last=True)
        self.assertEqual(self.get("/evidence").status, 503)

    def test_memory(self):
        """Large answers that nobody takes have a cap together; others are told, and served afterwards."""
        data = [response(data=bytes(10 ** 6))] * 16 + [response(last=True)]
        self.answer = lambda n, f: data if n == fakenode.FILE else honest(n, f)
        holders = [connect(self.web.address) for _ in range(6)]
        for s in holders:
            s.sendall(f"GET /{ORIGIN}/tile/entries/000 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        wait_for("a rejection", lambda: self.metric('sauti_web_rejected_total{reason="memory"}') >= 1)
        self.assertLessEqual(self.metric("sauti_web_answers_bytes"), 68 * 2 ** 20)
        self.assertEqual(self.get("/readyz").status, 200)
        for s in holders:
            s.close()
        wait_for("memory to be given back", lambda: self.metric("sauti_web_answers_bytes") == 0)
        self.assertEqual(self.get(f"/{ORIGIN}/tile/entries/000").status, 200)

    def test_rate(self):
        self.start(limits="checkpoints_per_minute = 8")
        found = [self.get("/add-checkpoint", "POST", body=b"200").status for _ in range(10)]
        self.assertEqual(found[0], 200)
        self.assertEqual(found[-1], 429)
        self.assertLess(self.node.asked.count(fakenode.ADD), 5)
        self.assertEqual(self.get("/logs").status, 200)

    def test_end(self):
        """SIGTERM: what was asked is answered, then it ends; with nothing to do, at once."""
        import threading
        gate = threading.Event()

        def slow(number, fields):
            gate.wait(30)
            return honest(number, fields)
        self.start(limits="node_timeout = 20")
        self.answer = slow
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            asked = pool.submit(self.get, f"/{ORIGIN}/checkpoint")
            wait_for("the node to be asked", lambda: fakenode.FILE in self.node.asked)
            self.web.process.send_signal(signal.SIGTERM)
            wait_for("no new connection", self.refused)
            gate.set()
            reply = asked.result(30)
        self.assertEqual((reply.status, reply.body), (200, NOTE))
        self.assertEqual(self.web.process.wait(30), 0)

    def test_end_under_load(self):
        """Clients that do not stop asking keep it from nothing."""
        request = f"GET /{ORIGIN}/checkpoint HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() * 3

        def load():
            try:
                with connect(self.web.address) as s:
                    while True:
                        s.sendall(request)
                        if s.recv(65536) == b"":
                            return
            except OSError:
                pass
        for _ in range(3):
            self.start()
            with concurrent.futures.ThreadPoolExecutor(6) as pool:
                for _ in range(6):
                    pool.submit(load)
                before = len(self.node.asked)
                wait_for("load", lambda b=before: len(self.node.asked) > b + 50)
                self.assertEqual(self.web.stop(), 0, self.web.log)
            self.web = None

    def refused(self):
        try:
            connect(self.web.address, 1).close()
            return False
        except OSError:
            return True


class Real(unittest.TestCase):
    """Two real nodes; sauti-web as another user where the test may."""

    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="sauti-web-")
        cls.addClassCleanup(cls.scratch.cleanup)
        cls.root = open_directory(Path(cls.scratch.name) / "open")
        cls.network = Network(cls.root / "net", BUILD, "test.example")
        cls.hq = cls.network.init()
        cls.addClassCleanup(cls.network.stop)
        cls.hq.start()
        cls.socket = cls.root / "public.sock"
        public = f"\n[public]\nsocket = {cls.socket}\n"
        if os.geteuid() == 0:
            public += f"group = {grp.getgrgid(NOBODY).gr_name}\n"
        cls.haiti = cls.network.join("haiti", "HTI", config=public)
        cls.haiti.start()
        ref = f"{1:032x}"
        events = [cases.opened(1, "ZZ-1")] + [cases.said(n, ref, "filler") for n in range(2, 320)]
        cls.haiti.sauti("case", "import", "-", stdin=cases.lines(*events))
        cls.network.settle()
        cls.web = Web(BUILD, cls.root, cls.socket)
        cls.addClassCleanup(cls.web.kill)

    def get(self, path, *args, **opts):
        return get(self.web.address, path, *args, **opts)

    def export(self):
        """{path: bytes} of everything that `sauti log export` writes."""
        with tempfile.TemporaryDirectory(dir=self.root) as out:
            self.haiti.sauti("log", "export", Path(out) / "x")
            return {p.relative_to(Path(out) / "x").as_posix(): p.read_bytes()
                    for p in sorted((Path(out) / "x").rglob("*")) if p.is_file() and p.name != ".sauti-export"}

    def different(self):
        return [path for path, data in self.export().items()
                if not (lambda r: r.status == 200 and r.body == data)(self.get("/" + path))]

    def test_as_exported(self):
        """Every byte of every file. A cosignature may come between the two: then once more."""
        try:
            wait_for("every file to be as it is exported", lambda: self.different() == [], 20)
        except Failed as e:
            self.fail(f"{e}: {self.different()[:5]}")
        files = self.export()
        self.assertIn("tile/0/000", " ".join(files))
        self.assertEqual(self.get("/logs").body.decode().split(),
                         sorted(log["origin"] for log in self.haiti.json("log", "list")))

    def test_what_is_not_there(self):
        origin = self.haiti.own()["origin"]
        size = self.haiti.own()["size"]
        whole = self.get(f"/{origin}/tile/0/000").body
        self.assertEqual(len(whole), 8192)
        self.assertEqual(self.get(f"/{origin}/tile/0/000.p/7").body, whole[:7 * 32])  # of an older checkpoint
        self.assertEqual(self.get(f"/{origin}/tile/0/001.p/{size - 256 + 1}").status, 404)
        self.assertEqual(self.get(f"/{origin}/tile/0/002").status, 404)
        self.assertEqual(self.get(f"/{origin}/tile/2/000.p/1").status, 404)
        self.assertEqual(self.get(f"/{origin[:-16]}{'0' * 16}/checkpoint").status, 404)

    def test_metrics(self):
        text = self.get("/metrics").body.decode()
        values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        own = self.haiti.own()
        self.assertEqual(values["sauti_up"], "1")
        self.assertEqual(int(values[f'sauti_log_entries{{origin="{own["origin"]}"}}']), own["size"])
        self.assertEqual(values["sauti_locked"], "0")
        self.assertEqual(values["sauti_peers_connected"], "1")
        self.assertGreater(int(values["sauti_commits_total"]), 3)
        self.assertEqual(values['sauti_disk_condition{condition="ok"}'], "1")
        for secret in ("ZZ-1", "127.0.0.1", str(self.hq.port)):
            self.assertNotIn(secret, text)
        if shutil.which("promtool"):
            done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True,
                                  check=False, timeout=60)
            self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_witness(self):
        """C2SP tlog-witness over HTTP: haiti as a witness of headquarters' log."""
        origin = self.hq.own()["origin"]
        note = self.get(f"/{origin}/checkpoint").body
        size = int(note.split(b"\n")[1])

        def add(old, text=note):
            return self.get("/add-checkpoint", "POST", body=f"old {old}\n\n".encode() + text)
        wait_for("haiti's witness to have seen it", lambda: add(size).status == 200, 60)
        r = add(size)
        self.assertTrue(r.body.startswith("\u2014 ".encode()) and r.body.endswith(b"\n"), r.body)
        for line in r.body.decode().splitlines():
            self.assertRegex(line, r"^\u2014 \S+ [A-Za-z0-9+/=]{104}$")
        r = add(0)
        self.assertEqual((r.status, r.headers["content-type"], r.body), (409, "text/x.tlog.size", b"%d\n" % size))
        self.assertEqual(add(size + 1).status, 400)
        self.assertEqual(add(size, b"nonsense").status, 400)
        self.assertEqual(add(size, note.replace(b"/hq/", b"/other/")).status, 404)
        root = note.split(b"\n")[2]
        self.assertEqual(add(size, note.replace(root, base64.b64encode(bytes(32)))).status, 403)
        seen = self.get(f"/{hashlib.sha256(origin.encode()).hexdigest()}/checkpoint")
        self.assertEqual((seen.status, seen.headers["cache-control"]), (200, "public, max-age=10"))
        self.assertEqual(seen.body.split(b"\n")[:3], note.split(b"\n")[:3])
        self.assertEqual(self.get(f"/{'0' * 64}/checkpoint").status, 404)
        self.assertEqual(self.get("/readyz").body, b"ready\n")

    def test_audit(self):
        """An auditor with nothing but the URL and the directory's key."""
        policy = self.root / "policy"
        policy.write_text(self.hq.sauti("log", "policy").stdout, encoding="ascii")
        key = next(line.split()[1] for line in policy.read_text(encoding="ascii").splitlines()
                   if line.startswith("log ") and "/directory/" in line)
        url = f"http://127.0.0.1:{self.web.address}"
        for trust in (["--directory", key], ["--policy", policy], ["--directory", key, "--policy", policy]):
            done = subprocess.run([BUILD / "sauti", "--json", "audit", "log", url, *trust], capture_output=True,
                                  text=True, check=False, timeout=120)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            said = json.loads(done.stdout)
            self.assertEqual((said["verdict"], {log["log"] for log in said["logs"]}), ("sound", set(self.haiti.logs())))

    @unittest.skipUnless(os.geteuid() == 0, "needs root, to start a program as another user")
    def test_other_user(self):
        """It is another user, and that one reads nothing of the node's."""
        status = Path(f"/proc/{self.web.process.pid}/status").read_text(encoding="ascii")
        self.assertRegex(status, rf"Uid:\s+{NOBODY}\s+{NOBODY}\s")
        self.assertIn("NoNewPrivs:\t1", status)
        for path in ("keys/keystore", "store/data.mdb", "sauti.conf", "run/control.sock"):
            done = subprocess.run(["cat", self.haiti.dir / path], user=NOBODY, group=NOBODY, extra_groups=[],
                                  capture_output=True, check=False)
            self.assertIn(b"Permission denied", done.stderr, path)

    def test_restart(self):
        """The node stops and starts again, locked: nothing has to be done here."""
        self.assertEqual(self.get("/readyz").body, b"ready\n")
        self.haiti.stop()
        wait_for("503", lambda: self.get("/healthz").status == 503, 20)
        self.haiti.start(unlock=False)
        wait_for("the node to be found again", lambda: self.get("/healthz").status == 200, 20)
        self.assertIn(b"\nsauti_locked 1\n", self.get("/metrics").body)
        self.assertEqual(self.get(f"/{self.haiti.logs().popitem()[0]}/checkpoint").status, 200)
        self.haiti.unlock()

    def test_load(self):
        """Eight readers at once, more than there are workers."""
        origin = self.haiti.own()["origin"]
        paths = [f"/{origin}/tile/0/000", f"/{origin}/tile/entries/000", "/logs", "/metrics", "/readyz"] * 20
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            found = list(pool.map(self.get, paths))
        self.assertEqual({(r.status, r.whole) for r in found}, {(200, True)})


class Command(unittest.TestCase):
    def run_web(self, *args, **opts):
        return subprocess.run([BUILD / "sauti-web", *args], capture_output=True, text=True, check=False, timeout=60,
                              **opts)

    def test_usage(self):
        self.assertEqual(self.run_web("--help").returncode, 0)
        self.assertIn("--listen", self.run_web("--help").stdout)
        self.assertEqual(self.run_web("--version").returncode, 0)
        for args, said in (((), "nowhere to listen"), (("--listen", "127.0.0.1:0"), "no node"), (("x",), "unexpected"),
                           (("--listen", "0.0.0.0:80"), "not an address of this machine alone"),
                           (("--listen", "192.0.2.7:80"), "not an address of this machine alone"),
                           (("--listen", "[::]:80"), "not an address of this machine alone"),
                           (("--logs", "maybe"), "allowed: on, off"), (("--colour",), "--colour"),
                           (("--host", "a:80"), "without a port"), (("--config", "/nonexistent"), "/nonexistent")):
            done = self.run_web(*args, "--check")
            self.assertEqual(done.returncode, 2, args)
            self.assertIn(said, done.stderr)
        good = self.run_web("--listen", "[::1]:0", "--socket", "/x", "--check")
        self.assertEqual((good.returncode, good.stderr), (0, ""))

    @unittest.skipUnless(os.geteuid() == 0, "needs root, to be refused for it")
    def test_root(self):
        done = self.run_web("--listen", "127.0.0.1:0", "--socket", "/x")
        self.assertEqual(done.returncode, 5)
        self.assertIn("does not run as root", done.stderr)


if __name__ == "__main__":
    socket_timeout = TimeoutError
    BUILD = Path(sys.argv.pop(1)).resolve()
    try:
        unittest.main(verbosity=1)
    except Failed as e:
        sys.exit(str(e))
