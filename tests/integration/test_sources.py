#!/usr/bin/env python3
"""sauti audit log of the same logs, wherever they come from: a directory, a bundle, a node, a web
server, good ones and damaged ones; and servers that are slow, or lie. test_sources.py BUILD
[unittest args]"""

import functools
import http.server
import json
import os
import re
import shutil
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "tests" / "lib"))
from network import Network, free_port, wait_for  # noqa: E402

BUILD = Path()
OK, FAILED, USAGE, UNREACHABLE, INTEGRITY, REFUSED = range(6)
STALL_S = 30  # of source_http.c
RETRIES_MAX = 6  # LIMIT_HTTP_RETRIES


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files below a directory, with what a test changes of the answers."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.asked.append((self.path, dict(self.headers), self.client_address[1]))
        for pattern, answer in self.server.odd.items():
            if re.search(pattern, self.path):
                answer(self)
                return
        if self.path.endswith("/") or not Path(self.translate_path(self.path)).is_file():
            self.say(404)
            return
        super().do_GET()

    def say(self, code, body=b"", headers=()):
        self.send_response(code)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def __init__(self, root):
        super().__init__(("127.0.0.1", 0), functools.partial(Handler, directory=str(root)))
        self.asked, self.odd = [], {}
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        """Clients that go away are what is tested."""

    def stop(self):
        self.shutdown()
        self.server_close()


class Sources(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="sauti-sources-")
        cls.root = Path(cls.scratch.name)
        cls.network = Network(cls.root / "net", BUILD, "test.example")
        cls.hq = cls.network.init()
        cls.hq.start()
        cls.haiti = cls.network.join("haiti", "HTI")
        cls.haiti.start()
        lines = [json.dumps({"type": "CASE_OPENED", "case_code": f"ZZ-{i}"}) for i in range(850)]
        cls.haiti.json("case", "import", "-", stdin="\n".join(lines) + "\n")
        cls.network.settle()
        cls.origin = cls.haiti.own()["origin"]
        cls.size = cls.haiti.own()["size"]
        cls.out = cls.root / "out"
        cls.hq.json("log", "export", cls.out)
        cls.bundle = cls.root / "whole"
        cls.hq.json("bundle", "export", "--to", cls.bundle)
        cls.parts = cls.root / "set"
        cls.parts.mkdir()
        cls.hq.json("bundle", "export", "--to", cls.parts / "part", "--max-size", "132k")
        cls.policy = cls.root / "policy"
        cls.policy.write_text(cls.hq.sauti("log", "policy").stdout)
        [cls.key] = [line.split()[1] for line in cls.policy.read_text().splitlines()
                     if line.startswith("log ") and "/directory/" in line]

    @classmethod
    def tearDownClass(cls):
        cls.network.stop()
        cls.scratch.cleanup()

    def setUp(self):
        self.servers = []

    def tearDown(self):
        for server in self.servers:
            server.stop()

    def serve(self, root=None):
        server = Server(root or self.out)
        self.servers.append(server)
        return server

    def audit(self, source, *arguments, code=OK, by="--policy", env=None):
        trust = {"--policy": self.policy, "--directory": self.key}[by]
        done = self.hq.sauti("--json", "audit", "log", source, *arguments, by, trust, check=False,
                             env=env)
        self.assertEqual(done.returncode, code, f"{source}: {done.stdout}{done.stderr}")
        self.message = json.loads(done.stderr.splitlines()[-1])["error"]["message"] if code else ""
        return json.loads(done.stdout) if done.stdout else None

    @staticmethod
    def gist(report):
        """What must be the same wherever it comes from."""
        logs = [{k: v for k, v in log.items() if k != "error"} for log in report["logs"]]
        found = [{k: v for k, v in f.items() if k != "source"} for f in report["findings"]
                 if f["kind"] not in ("unfinished", "source-damaged")]
        return report["verdict"], logs, found

    def copy(self):
        self.copies = getattr(self, "copies", 0) + 1
        out = self.root / f"{self.id().rsplit('.', 1)[1]}-{self.copies}"
        shutil.copytree(self.out, out)
        return out

    # ---- the same from everywhere ----

    def test_the_same_from_everywhere(self):
        server = self.serve()
        for by in ("--policy", "--directory"):
            first = self.audit(self.out, by=by)
            self.assertEqual(first["verdict"], "sound")
            self.assertEqual(len(first["logs"]), 3)
            public = f"node:{self.hq.dir}/run/public.sock"
            for source in (self.bundle, self.parts, "node", public,
                           f"node:{self.hq.dir}/run/control.sock"):
                with self.subTest(source, by=by):
                    self.assertEqual(self.gist(self.audit(source, by=by)), self.gist(first))
            names = [log["log"] for log in first["logs"]]
            self.assertEqual(self.gist(self.audit(server.url + "/", *names, by=by)),
                             self.gist(first))

    def test_the_author_and_a_mirror(self):
        """The other node has the same logs; only the times of cosignatures are its own."""
        done = self.haiti.sauti("--json", "audit", "log", "node", "--policy", self.policy)
        theirs, ours = json.loads(done.stdout), self.audit("node")
        self.assertEqual([(log["log"], log["root"], log["sound"]) for log in theirs["logs"]],
                         [(log["log"], log["root"], log["sound"]) for log in ours["logs"]])

    def damage_each(self):
        """(what, how a copy of the exports is changed) of every kind."""
        log = Path(self.origin)
        entries, tile = log / "tile/entries/001", log / "tile/0/001"
        edge = f"{self.size // 256:03}.p/{self.size % 256}"

        def flip(name, at):
            def change(root):
                data = bytearray((root / name).read_bytes())
                data[at] ^= 1
                (root / name).write_bytes(data)
            return change

        def cut(name):
            return lambda root: (root / name).write_bytes((root / name).read_bytes()[:-1])

        def more(name):
            return lambda root: (root / name).write_bytes((root / name).read_bytes() + b"x")

        def gone(name):
            return lambda root: (root / name).unlink()

        return [("an entry", flip(entries, 700)), ("the last entry", flip(log / f"tile/entries/{edge}", -1)),
                ("entries cut", cut(entries)), ("entries and more", more(entries)),
                ("entries gone", gone(entries)), ("a tile", flip(tile, 99)),
                ("a tile above", flip(log / f"tile/1/000.p/{self.size // 256}", 1)), ("a tile cut", cut(tile)),
                ("a tile and more", more(tile)), ("a tile gone", gone(tile)),
                ("a checkpoint", flip(log / "checkpoint", 60)),
                ("checkpoint and more", more(log / "checkpoint")),
                ("a checkpoint gone", gone(log / "checkpoint"))]

    def test_damage_is_the_same_over_the_web(self):
        for what, change in self.damage_each():
            with self.subTest(what):
                root = self.copy()
                change(root)
                here = self.audit(root, self.origin, code=INTEGRITY)
                there = self.audit(self.serve(root).url, self.origin, code=INTEGRITY)
                self.assertEqual(self.gist(there), self.gist(here))
                self.assertEqual(here["verdict"], "violated")
                shutil.rmtree(root)

    # ---- bundles ----

    def broken(self, change):
        data = bytearray(self.bundle.read_bytes())
        change(data)
        path = self.root / f"{self.id().rsplit('.', 1)[1]}.bundle"
        path.write_bytes(data)
        return path

    def entry_at(self, index):
        """Where an entry stands in the bundle: its bytes are found by those of the export."""
        file = (self.out / self.origin / f"tile/entries/{index // 256:03}").read_bytes()
        at = 0
        for _ in range(index % 256):
            at += 2 + int.from_bytes(file[at:at + 2], "big")
        entry = file[at + 2:at + 2 + int.from_bytes(file[at:at + 2], "big")]
        return self.bundle.read_bytes().index(entry), len(entry)

    def test_a_bundle_with_a_changed_entry(self):
        """The entry does not hash to the signed root, and the medium's damage is told with its
        place."""
        at, size = self.entry_at(300)

        def flip(data):
            data[at + size - 1] ^= 1

        report = self.audit(self.broken(flip), code=INTEGRITY)
        kinds = {f["kind"]: f for f in report["findings"]}
        self.assertEqual(report["verdict"], "violated")
        self.assertIn("root-differs", kinds)
        self.assertEqual(kinds["root-differs"]["log"], self.origin)
        self.assertEqual(kinds["source-damaged"]["severity"], "warning")
        places = [tuple(map(int, re.findall(r"byte (\d+), (\d+) bytes", f["text"])[0]))
                  for f in report["findings"] if f["kind"] == "source-damaged"]
        self.assertTrue(any(first <= at < first + count for first, count in places), places)
        sound = {log["log"] for log in report["logs"] if log["sound"]}
        self.assertEqual(len(sound), 2)

    def test_a_bundle_that_ends_early(self):
        """What is missing was not looked at; nobody is accused of it."""
        report = self.audit(self.broken(lambda data: data.__delitem__(slice(len(data) // 2, None))),
                            code=FAILED)
        self.assertEqual(report["verdict"], "unfinished")
        self.assertIn("source-damaged", {f["kind"] for f in report["findings"]})
        self.assertRegex(self.message, "is not in|no frame of it")

    def test_a_bundle_without_a_head(self):
        """Its manifest is only a help."""
        report = self.audit(self.broken(lambda data: data.__setitem__(40, data[40] ^ 255)))
        self.assertEqual(report["verdict"], "sound")
        self.assertTrue(any("head" in f["text"] for f in report["findings"]
                            if f["kind"] == "source-damaged"))

    def test_a_part_alone_and_all_of_them(self):
        files = sorted(self.parts.iterdir())
        self.assertGreater(len(files), 2)
        report = self.audit(files[-1], self.origin, code=FAILED)
        self.assertEqual(report["verdict"], "unfinished")
        self.assertIn("from", self.message)
        self.assertIn("--state", self.message)
        report = self.audit(files[-1], code=FAILED, by="--directory")  # that log is in another part
        self.assertEqual((report["verdict"], report["violations"]), ("unfinished", 0))
        twice = self.root / "twice"  # parts of two sets, some of them twice
        twice.mkdir()
        for path in [*files, self.bundle]:
            shutil.copy(path, twice / path.name)
        shutil.copy(files[0], twice / "again")
        (twice / "README").write_text("no bundle")
        self.assertEqual(self.audit(twice)["verdict"], "sound")
        (twice / self.bundle.name).unlink()
        (twice / files[1].name).unlink()
        self.audit(twice, self.origin, code=FAILED)
        self.assertIn("all parts", self.message)

    def test_no_bundle(self):
        empty = self.root / "empty"
        empty.mkdir()
        self.audit(empty, code=FAILED)
        (self.root / "text").write_text("sauti bundle 2\n")
        self.audit(self.root / "text", code=FAILED)
        (self.root / "magic").write_text("sauti bundle 1\n")
        self.audit(self.root / "magic", code=FAILED)

    def test_the_end_of_a_log_alone(self):
        """A bundle for somebody who has the beginning: it is gone on from what was audited before,
        and cannot be looked at without that."""
        network = Network(self.root / "ends", BUILD, "test.example")
        try:
            hq = network.init()
            hq.start()
            haiti = network.join("haiti", "HTI")
            haiti.start()
            policy, state = network.root / "policy", network.root / "state"

            def record(count):
                lines = [json.dumps({"type": "CASE_OPENED", "case_code": f"ZZ-E-{i}-{count}"})
                         for i in range(count)]
                haiti.json("case", "import", "-", stdin="\n".join(lines) + "\n")

            def look(source, *arguments, code=OK):
                done = haiti.sauti("--json", "audit", "log", source, "--policy", policy, *arguments,
                                check=False)
                self.assertEqual(done.returncode, code, done.stdout + done.stderr)
                return json.loads(done.stdout), done.stderr

            record(300)
            network.settle()
            origin, size = haiti.own()["origin"], haiti.own()["size"]
            lines = haiti.sauti("log", "policy").stdout.splitlines()
            policy.write_text("\n".join(line for line in lines if line.startswith("log "))
                              + "\nquorum none\n")
            haiti.sauti("bundle", "export", "--to", network.root / "first")
            look(network.root / "first", origin, "--state", state)
            hq.stop()
            record(20)
            haiti.sauti("bundle", "export", "--to", network.root / "second", "--for", "hq")
            report, said = look(network.root / "second", origin, code=FAILED)
            self.assertEqual((report["verdict"], report["violations"]), ("unfinished", 0))
            self.assertIn(f"before {size}", said)
            report, _ = look(network.root / "second", origin, "--state", state, "--incremental")
            [log] = report["logs"]
            self.assertEqual((log["from"], log["sound"]), (size, True))
            self.assertEqual(log["from"] + log["hashed"], haiti.own()["size"])
            report, _ = look(network.root / "second", origin, "--state", state, "--incremental")
            self.assertEqual(report["logs"][0]["hashed"], 0)  # nothing new since
        finally:
            network.stop()

    # ---- nodes ----

    def test_nodes_that_are_none(self):
        self.audit(f"node:{self.root}/none.sock", code=FAILED)
        self.assertIn("no daemon", self.message)
        self.audit("node:", code=FAILED)
        with socket.socket(socket.AF_UNIX) as s:  # one that talks nonsense
            path = self.root / "nonsense.sock"
            s.bind(str(path))
            s.listen(8)

            def talk():
                while True:
                    try:
                        c, _ = s.accept()
                    except OSError:
                        return
                    c.recv(4096)
                    c.sendall(b"\xff\xff\xff\xffHTTP/1.1 200 OK\r\n")
                    c.close()

            threading.Thread(target=talk, daemon=True).start()
            self.audit(f"node:{path}", code=FAILED)
            s.shutdown(socket.SHUT_RDWR)

    def test_a_node_with_a_damaged_disk(self):
        """It gives no entry out that is not what its tree says, and says which; its other logs are
        sound, and nobody is accused of what a disk did."""
        network = Network(self.root / "damaged", BUILD, "test.example")
        try:
            hq = network.init()
            hq.start()
            network.join("name-of-a-node", "CAF")
            policy = network.root / "policy"
            lines = hq.sauti("log", "policy").stdout.splitlines()
            policy.write_text("\n".join(line for line in lines if line.startswith("log "))
                              + "\nquorum none\n")
            hq.stop()
            path = hq.dir / "store" / "data.mdb"
            data = path.read_bytes()
            self.assertIn(b"name-of-a-node", data)
            path.write_bytes(data.replace(b"name-of-a-node", b"name-of-a-nodE"))
            hq.start(unlock=False)
            done = hq.sauti("--json", "audit", "log", "node", "--policy", policy, check=False)
            self.assertEqual(done.returncode, FAILED, done.stdout + done.stderr)
            report = json.loads(done.stdout)
            self.assertEqual((report["verdict"], report["violations"]), ("unfinished", 0))
            errors = {log["directory"]: log.get("error", "") for log in report["logs"]}
            self.assertIn("entry 3 does not match its leaf hash", errors[True])
            self.assertEqual({log["sound"] for log in report["logs"] if not log["directory"]}, {True})
        finally:
            network.stop()

    def test_a_node_that_gives_nothing_out(self):
        conf = self.haiti.dir / "sauti.conf"
        before = conf.read_text()
        self.haiti.stop()
        conf.write_text(before + "[public]\nlogs = directory\n")
        try:
            self.haiti.start()
            report = self.audit(f"node:{self.haiti.dir}/run/public.sock")
            self.assertEqual([log["directory"] for log in report["logs"]], [True])
            self.audit(f"node:{self.haiti.dir}/run/public.sock", self.origin, code=FAILED)
            self.assertIn("[public] logs", self.message)
        finally:
            self.haiti.stop()
            conf.write_text(before)
            self.haiti.start()

    # ---- web servers ----

    def test_python_http_server(self):
        """The plainest server there is, of another program."""
        port = free_port()
        done = subprocess.Popen([sys.executable, "-m", "http.server", "--bind", "127.0.0.1",
                                 "--directory", self.out, str(port)], stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)
        try:
            def up():
                with socket.socket() as s:
                    return s.connect_ex(("127.0.0.1", port)) == 0
            wait_for("http.server", up)
            report = self.audit(f"http://127.0.0.1:{port}")  # its logs are those of the policy
            self.assertEqual(self.gist(report), self.gist(self.audit(self.out)))
        finally:
            done.kill()
            done.wait()

    def test_sauti_web(self):
        """From the node's disk over its public socket, sauti-web and HTTP: as from an export."""
        port = free_port()
        web = subprocess.Popen([BUILD / "sauti-web", "--socket", self.hq.dir / "run/public.sock",
                                "--listen", f"127.0.0.1:{port}", *(["--allow-root"] * (os.geteuid() == 0))],
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            def up():
                if web.poll() is not None:
                    self.fail(web.stderr.read())
                with socket.socket() as s:
                    return s.connect_ex(("127.0.0.1", port)) == 0
            wait_for("sauti-web", up)
            for by in ("--policy", "--directory"):
                report = self.audit(f"http://127.0.0.1:{port}", by=by)
                self.assertEqual(self.gist(report), self.gist(self.audit(self.out, by=by)))
        finally:
            web.terminate()
            web.wait()
            web.stderr.close()

    def test_one_connection_and_no_surprises(self):
        server = self.serve()
        names = [log["log"] for log in self.audit(self.out)["logs"]]
        server.odd["/logs$"] = lambda h: h.say(200, "".join(
            f"{n}\n" for n in ["# a hint", *names, ""]).encode())
        self.assertEqual(self.audit(server.url)["verdict"], "sound")
        self.assertEqual(len({port for _, _, port in server.asked}), 1)
        self.assertTrue(all(headers["User-Agent"].startswith("sauti/") for _, headers, _ in server.asked))
        for _, headers, _ in server.asked:
            self.assertFalse({"Accept-Encoding", "Cookie", "Authorization"} & headers.keys(), headers)

    def test_a_partial_whose_full_file_is_there(self):
        """A log that has grown meanwhile: what was partial is full now."""
        root, log = self.copy(), Path(self.origin)
        name = f"tile/entries/{self.size // 256:03}"
        partial = root / log / f"{name}.p/{self.size % 256}"
        data = partial.read_bytes()
        shutil.rmtree(partial.parent)
        (root / log / name).write_bytes(data + (b"\0\1x" * (256 - self.size % 256)))
        report = self.audit(self.serve(root).url, self.origin)
        self.assertEqual(self.gist(report), self.gist(self.audit(root, self.origin)))
        self.assertEqual(report["verdict"], "sound")

    def test_prefixes(self):
        root = self.root / "below"
        (root / "a").mkdir(parents=True)
        shutil.copytree(self.out, root / "a/b")
        server = self.serve(root)
        for text in ("/a/b", "/a/b/", "/a/b//"):
            self.assertEqual(self.audit(server.url + text)["verdict"], "sound")
        for bad in ("http://", "http:///x", "http://u:p@127.0.0.1/", server.url + "/a?x=1",
                    server.url + "/a#b", server.url + "/a b", server.url + "/\u00e9",
                    "http://" + "x" * 2000):
            with self.subTest(bad):
                self.assertIsNone(self.audit(bad, code=FAILED))
        self.assertEqual([p for p, _, _ in server.asked if "?" in p or "#" in p], [])

    def test_answers_that_are_none(self):
        server = self.serve()
        pattern = "/tile/0/001$"
        for code, word in ((403, "refuses"), (401, "refuses"), (301, "leads elsewhere"),
                           (302, "leads elsewhere"), (500, "500"), (206, "206"), (204, "204")):
            with self.subTest(code):
                server.odd = {pattern: lambda h, c=code: h.say(
                    c, b"", [("Location", f"{server.url}/elsewhere")])}
                server.asked.clear()
                report = self.audit(server.url, self.origin, code=FAILED)
                self.assertIn(word, self.message)
                self.assertIn("/tile/0/001", self.message)
                self.assertEqual(report["verdict"], "unfinished")
                self.assertNotIn("/elsewhere", [p for p, _, _ in server.asked])
        server.odd = {pattern: lambda h: h.say(404)}
        self.audit(server.url, self.origin, code=INTEGRITY)
        server.odd = {pattern: lambda h: h.say(200, (self.out / self.origin / "tile/0/001").read_bytes(),
                                               [("Content-Encoding", "gzip")])}
        self.audit(server.url, self.origin, code=FAILED)
        self.assertIn("compressed", self.message)

    def test_a_list_that_is_none(self):
        server = self.serve()
        for body in (b"<html>hello</html>", b"../../etc/passwd\n", b"a b\n", b"\xff\n"):
            server.odd["/logs$"] = lambda h, b=body: h.say(200, b)
            self.audit(server.url, code=FAILED)
            self.assertIn("no list of logs", self.message)
        server.odd["/logs$"] = lambda h: h.say(200, b"x" * (4 << 20))
        self.audit(server.url, code=FAILED)
        self.assertIn("larger", self.message)

    def test_busy_servers_are_asked_again(self):
        server, count = self.serve(), [0]

        def busy(handler):
            count[0] += 1
            if count[0] % 3 != 0:
                handler.say(429 if count[0] % 2 else 503, b"later", [("Retry-After", "0")])
            else:
                del server.odd["/tile/0/"]
                handler.do_GET()

        server.odd["/tile/0/"] = busy
        self.assertEqual(self.audit(server.url, self.origin)["verdict"], "sound")
        self.assertEqual(count[0], 3)

    def test_a_server_that_stays_busy(self):
        """It is asked so many times, and then no more."""
        server = self.serve()
        server.odd["/tile/0/000$"] = lambda h: h.say(503)
        self.audit(server.url, self.origin, code=FAILED)
        self.assertIn("503", self.message)
        self.assertEqual(len([p for p, _, _ in server.asked if p.endswith("/tile/0/000")]),
                         1 + RETRIES_MAX)

    def test_too_much(self):
        """A file without end is cut off as soon as it is larger than one of its name can be."""
        server = self.serve()
        sent = [0]

        def endless(handler):
            handler.send_response(200)
            handler.end_headers()
            handler.close_connection = True
            try:
                while sent[0] < 1 << 30:
                    sent[0] += handler.wfile.write(b"\0" * 65536)
            except OSError:
                pass

        for path, most in (("/tile/0/001$", 1 << 23), ("/checkpoint$", 1 << 23),
                           ("/tile/entries/001$", 1 << 26)):
            sent[0] = 0
            server.odd = {path: endless}
            self.audit(server.url, self.origin, code=INTEGRITY)
            wait_for("the end of the sending", lambda: True)
            self.assertLess(sent[0], most)

    def test_lengths_that_lie(self):
        server = self.serve()
        tile = (self.out / self.origin / "tile/0/001").read_bytes()

        def short(handler):  # says more than it sends
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(tile) + 10))
            handler.end_headers()
            handler.wfile.write(tile)
            handler.wfile.flush()
            handler.close_connection = True

        server.odd["/tile/0/001$"] = short
        self.audit(server.url, self.origin, code=FAILED)
        self.assertEqual(len([p for p, _, _ in server.asked if p.endswith("/tile/0/001")]), 3)

        def long(handler):  # sends more than it says
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(tile) - 32))
            handler.end_headers()
            handler.wfile.write(tile)
            handler.close_connection = True

        server.odd["/tile/0/001$"] = long
        report = self.audit(server.url, self.origin, code=INTEGRITY)
        self.assertIn("tile", report["findings"][0]["kind"])

    def test_a_server_that_stalls(self):
        server, gate = self.serve(), threading.Event()

        def stall(handler):
            handler.send_response(200)
            handler.send_header("Content-Length", "8192")
            handler.end_headers()
            handler.wfile.write(b"x" * 100)
            handler.wfile.flush()
            gate.wait(4 * STALL_S)
            handler.close_connection = True

        server.odd["/tile/0/001$"] = stall
        start = time.monotonic()
        try:
            self.audit(server.url, self.origin, code=FAILED)
        finally:
            gate.set()
        self.assertLess(time.monotonic() - start, 3 * STALL_S)
        self.assertIn("/tile/0/001", self.message)

    def test_nobody_there(self):
        port = free_port()
        self.audit(f"http://127.0.0.1:{port}", self.origin, code=FAILED)
        self.assertIn(f"http://127.0.0.1:{port}/", self.message)

    # ---- https ----

    NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")

    @unittest.skipUnless(NGINX, "needs nginx")
    def test_nginx_with_tls(self):
        place = self.root / "nginx"
        place.mkdir()
        certificate, key, port = place / "cert.pem", place / "key.pem", free_port()
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
                       check=True, capture_output=True)
        user = "user root;" if os.geteuid() == 0 else ""
        (place / "nginx.conf").write_text(f"""
            {user} daemon off; pid {place}/pid; error_log stderr;
            events {{ worker_connections 64; }}
            http {{
                access_log off; client_body_temp_path {place}/body; proxy_temp_path {place}/proxy;
                fastcgi_temp_path {place}/f; uwsgi_temp_path {place}/u; scgi_temp_path {place}/s;
                gzip on; gzip_types *;
                server {{
                    listen 127.0.0.1:{port} ssl; root {self.out};
                    ssl_certificate {certificate}; ssl_certificate_key {key};
                }}
            }}""")
        nginx = subprocess.Popen([self.NGINX, "-p", place, "-e", "stderr", "-c", place / "nginx.conf"],
                                 stderr=subprocess.PIPE, text=True)
        try:
            def up():
                if nginx.poll() is not None:
                    self.skipTest(f"nginx does not run here: {nginx.stderr.read()[-300:]}")
                with socket.socket() as s:
                    return s.connect_ex(("127.0.0.1", port)) == 0
            wait_for("nginx", up)
            url = f"https://localhost:{port}"
            report = self.audit(url, "--ca", certificate)
            self.assertEqual(self.gist(report), self.gist(self.audit(self.out)))
            self.audit(url, code=FAILED)  # the system does not trust it
            self.assertIn("certificate", self.message)
            self.audit(f"https://127.0.0.1:{port}", "--ca", certificate, code=FAILED)  # of another name
            self.audit(url, "--ca", self.policy, code=FAILED)
            self.audit(f"http://localhost:{port}", self.origin, code=FAILED)  # TLS is not left out
        finally:
            nginx.terminate()
            nginx.wait()
            nginx.stderr.close()


if __name__ == "__main__":
    BUILD = Path(sys.argv.pop(1)).resolve()
    unittest.main()
