#!/usr/bin/env python3
"""What is shipped to stand around sauti-web and sautid: units, users, places, and nginx with TLS. Each
skips when its program is not installed. test_web_around.py BUILD [unittest args]"""

import concurrent.futures
import grp
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "tests" / "lib"))
import fakenode  # noqa: E402
from fakenode import FakeNode, Reply, receive, response  # noqa: E402
from network import Failed, Network, free_port, wait_for  # noqa: E402
from webserver import NOBODY, Web, open_directory  # noqa: E402

BUILD = Path()
SYSTEMD = SOURCE / "packaging" / "systemd"
ORIGIN = "ovra.example/haiti/1-0123456789abcdef"
NAME = "logs.office.example"
TILE = bytes(range(256)) * 32
# As `systemd-analyze security` rates it, 0 to 10; what is left is what each needs.
EXPOSURE = {"sautid.service": 2.0, "sauti-web.service": 0.8}


def program(name):
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def analyze(*args):
    return subprocess.run(["systemd-analyze", *map(str, args)], capture_output=True, text=True, check=False,
                          timeout=120)


@unittest.skipUnless(program("systemd-analyze"), "needs systemd-analyze (package systemd)")
class Units(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="sauti-units-")
        self.addCleanup(scratch.cleanup)
        self.root = Path(scratch.name)
        for name in EXPOSURE:
            text = (SYSTEMD / name).read_text(encoding="ascii").replace("/usr/sbin/", f"{BUILD}/")
            (self.root / name).write_text(text, encoding="ascii")

    def test_verify(self):
        """Nothing that systemd does not know or cannot do."""
        for name in EXPOSURE:
            done = analyze("verify", "--man=no", self.root / name)
            self.assertEqual((done.returncode, done.stderr.strip()), (0, ""), name)

    def test_exposure(self):
        if analyze("security", "--help").stdout.find("--offline") < 0 and \
                analyze("security", "--offline=true", self.root / "sautid.service").returncode != 0:
            self.skipTest("this systemd-analyze rates no files")
        for name, most in EXPOSURE.items():
            done = analyze("security", "--offline=true", "--no-pager", self.root / name)
            found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
            self.assertIsNotNone(found, done.stdout + done.stderr)
            self.assertLessEqual(float(found[1]), most, done.stdout)

    def test_drop_in(self):
        """With the loopback's drop-in it is still a unit."""
        d = self.root / "sauti-web.service.d"
        d.mkdir()
        shutil.copy(SYSTEMD / "loopback.conf", d)
        done = analyze("verify", "--man=no", self.root / "sauti-web.service")
        self.assertEqual((done.returncode, done.stderr.strip()), (0, ""))


class Files(unittest.TestCase):
    def install(self, root):
        done = subprocess.run(["cmake", "--install", BUILD, "--prefix", "/usr"], capture_output=True, text=True,
                              check=False, env={**os.environ, "DESTDIR": str(root)})
        self.assertEqual(done.returncode, 0, done.stderr)
        return {p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()}

    def test_install(self):
        if not os.access(BUILD, os.W_OK):
            self.skipTest("needs to write to the build: cmake --install keeps a list there")
        with tempfile.TemporaryDirectory(prefix="sauti-install-") as scratch:
            found = self.install(Path(scratch))
        for name in ("sbin/sauti-web", "sbin/sautid", "share/man/man8/sauti-web.8", "lib/systemd/system/sautid.service",
                     "lib/systemd/system/sauti-web.service", "lib/sysusers.d/sauti.conf", "lib/tmpfiles.d/sauti.conf"):
            self.assertIn("usr/" + name, found)
        self.assertTrue([f for f in found if f.endswith("examples/sauti.conf")], found)

    def test_settings(self):
        done = subprocess.run([BUILD / "sauti-web", "--config", SYSTEMD / "web.conf", "--check"], capture_output=True,
                              text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    @unittest.skipUnless(program("systemd-sysusers"), "needs systemd-sysusers (package systemd)")
    def test_users(self):
        """Users and groups are made in an empty system, with these memberships."""
        with tempfile.TemporaryDirectory(prefix="sauti-users-") as scratch:
            (Path(scratch) / "etc").mkdir()
            done = subprocess.run([program("systemd-sysusers"), f"--root={scratch}", SYSTEMD / "sauti.sysusers"],
                                  capture_output=True, text=True, check=False)
            if done.returncode != 0 and os.geteuid() != 0:
                self.skipTest("needs root: " + done.stderr.strip())
            self.assertEqual(done.returncode, 0, done.stderr)
            group = (Path(scratch) / "etc" / "group").read_text(encoding="ascii")
            self.assertRegex(group, r"(?m)^sauti-web:.*:sauti$")
            self.assertRegex(group, r"(?m)^sauti-http:.*:sauti-web$")
            self.assertRegex((Path(scratch) / "etc" / "passwd").read_text(encoding="ascii"),
                             r"(?m)^sauti:.*:/var/lib/sauti:/usr/sbin/nologin$")


def honest(number, fields):
    if number == fakenode.FILE:
        return response(data=TILE if b"tile" in fields[2] else b"note\n", last=True)
    if number == fakenode.ADD:
        return response(json=b'{"status":409,"content_type":"text/x.tlog.size"}', data=b"7\n", last=True)
    if number == fakenode.EVIDENCE:
        return response(data=b"\0\0\0\1x") + response(last=True)
    if number == fakenode.LOGS:
        return response(json=json.dumps({"origin": ORIGIN}).encode()) + response(last=True)
    return response(json=json.dumps({"ready": True, "writable": True, "disk": "ok"}).encode(), last=True)


class Served:
    """The shipped file for nginx, with other paths, another name and a port."""

    name = NAME

    @classmethod
    def start_node(cls):
        """Something that answers at public.sock."""
        cls.node = FakeNode(cls.root / "public.sock", honest)
        cls.addClassCleanup(cls.node.stop)

    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory(prefix="sauti-nginx-")
        cls.addClassCleanup(scratch.cleanup)
        cls.root = open_directory(Path(scratch.name) / "open")
        cls.start_node()
        cls.web = Web(BUILD, cls.root, cls.root / "public.sock", listen=f"unix:{cls.root}/http.sock")
        cls.addClassCleanup(cls.web.kill)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout",
                        cls.root / "web.key", "-out", cls.root / "web.pem", "-subj", f"/CN={cls.name}", "-addext",
                        f"subjectAltName=DNS:{cls.name}"], check=True, capture_output=True)
        cls.port = free_port()
        cls.configure()
        with open(cls.root / "nginx.err", "wb") as errors:
            cls.process = subprocess.Popen([program("nginx"), "-p", cls.root, "-c", cls.root / "nginx.conf"],
                                           stdin=subprocess.DEVNULL, stderr=errors)
        cls.addClassCleanup(cls.end)
        wait_for("nginx", cls.listens, 60)

    @classmethod
    def configure(cls):
        text = (SOURCE / "packaging" / "nginx" / "sauti.conf").read_text(encoding="ascii")
        for old, new in (("unix:/run/sauti-web/http.sock", f"unix:{cls.root}/http.sock"),
                         ("listen 443 ssl", f"listen 127.0.0.1:{cls.port} ssl"), ("listen [::]:443 ssl http2;", ""),
                         ("/etc/ssl/sauti/", f"{cls.root}/"), ("/var/log/nginx/", f"{cls.root}/"),
                         ("sauti.example", cls.name)):
            assert old in text, old
            text = text.replace(old, new)
        temporary = "".join(f"{p}_temp_path {cls.root}/{p};\n" for p in
                            ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        user = "user nobody nogroup;\n" if os.geteuid() == 0 else ""
        (cls.root / "nginx.conf").write_text(
            f"{user}daemon off;\nworker_processes 1;\npid {cls.root}/nginx.pid;\nerror_log {cls.root}/error.log;\n"
            f"events {{}}\nhttp {{\n{temporary}{text}}}\n", encoding="ascii")

    @classmethod
    def listens(cls):
        if cls.process.poll() is not None:
            raise Failed("nginx ended: " + (cls.root / "nginx.err").read_text())
        try:
            socket.create_connection(("127.0.0.1", cls.port), 1).close()
            return True
        except OSError:
            return False

    @classmethod
    def end(cls):
        cls.process.terminate()
        cls.process.wait(30)


@unittest.skipUnless(program("nginx"), "needs nginx (package nginx-light)")
@unittest.skipUnless(program("openssl"), "needs openssl")
class Nginx(Served, unittest.TestCase):
    """Requests through TLS."""

    def ask(self, path, method="GET", host=NAME, body=b"", headers="", source="127.0.0.1"):
        context = ssl.create_default_context(cafile=self.root / "web.pem")
        with socket.create_connection(("127.0.0.1", self.port), 20, (source, 0)) as s, \
                context.wrap_socket(s, server_hostname=NAME) as tls:
            head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}"
            if body:
                head += f"Content-Length: {len(body)}\r\n"
            tls.sendall(head.encode() + b"\r\n" + body)
            return Reply(receive(tls), method == "HEAD")

    def test_syntax(self):
        done = subprocess.run([program("nginx"), "-t", "-p", self.root, "-c", self.root / "nginx.conf"],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("warn", done.stderr)

    def test_public_paths(self):
        r = self.ask(f"/{ORIGIN}/tile/0/000")
        self.assertEqual((r.status, r.body), (200, TILE))
        self.assertEqual(r.headers["cache-control"], "public, max-age=31536000, immutable")
        self.assertIn("strict-transport-security", r.headers)
        self.assertEqual(r.headers["x-content-type-options"], "nosniff")
        self.assertEqual(self.ask(f"/{ORIGIN}~{'0' * 32}/checkpoint").body, b"note\n")
        self.assertEqual(self.ask("/logs").body, ORIGIN.encode() + b"\n")
        self.assertEqual(self.ask("/evidence").body, b"\0\0\0\1x")
        r = self.ask("/add-checkpoint", "POST", body=b"old 0\n")
        self.assertEqual((r.status, r.body, r.headers["content-type"]), (409, b"7\n", "text/x.tlog.size"))
        r = self.ask(f"/{ORIGIN}/tile/0/000", "HEAD")
        self.assertEqual((r.status, r.headers["content-length"]), (200, str(len(TILE))))

    def test_nothing_else(self):
        for path, status in (("/", 404), ("/index.html", 404), ("/.git/config", 404), ("/logs/", 404),
                             (f"/{ORIGIN}/tile/9/000", 404), (f"/{ORIGIN}/../../etc/passwd", 404),
                             (f"/{ORIGIN}/checkpoint?x=1", 404), (f"//{ORIGIN}/checkpoint", 404),
                             ("/%2e%2e/%2e%2e/etc/passwd", 400)):
            self.assertEqual(self.ask(path).status, status, path)
        self.assertEqual(self.ask("/logs", "POST", body=b"x").status, 403)
        self.assertEqual(self.ask(f"/{ORIGIN}/checkpoint", "DELETE").status, 403)
        self.assertEqual(self.ask("/add-checkpoint").status, 403)
        self.assertEqual(self.ask("/logs", host="evil.example").status, 421)
        self.assertEqual(self.ask("/logs", host="127.0.0.1").status, 421)
        self.assertEqual(self.ask("/add-checkpoint", "POST", body=b"x" * 65537).status, 413)
        self.assertEqual(self.ask("/add-checkpoint", "POST", body=b"x", headers="Origin: https://evil\r\n").status, 403)
        self.assertEqual(self.ask("/logs", headers="X: " + "x" * 9000 + "\r\n").status, 400)

    def test_figures(self):
        """Only for this machine."""
        for path in ("/metrics", "/healthz", "/readyz"):
            self.assertEqual(self.ask(path).status, 200, path)
            self.assertEqual(self.ask(path, source="127.0.0.2").status, 403, path)
        self.assertEqual(self.ask("/logs", source="127.0.0.2").status, 200)

    def test_rates(self):
        """Too many of one client are told so, and another is served."""
        def post(_):
            return self.ask("/add-checkpoint", "POST", body=b"old 0\n", source="127.0.0.3").status
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            found = list(pool.map(post, range(60)))
        self.assertIn(429, found)
        self.assertIn(409, found)
        self.assertEqual(self.ask("/logs", source="127.0.0.4").status, 200)

    def test_smuggling(self):
        """A chunked body reaches sauti-web with its length, and once."""
        inner = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"
        before = len(self.node.asked)
        r = self.ask("/add-checkpoint", "POST", headers="Transfer-Encoding: chunked\r\n" +
                     f"\r\n{len(inner):x}\r\n{inner.decode()}\r\n0\r\n")
        self.assertEqual(r.status, 409)
        self.assertEqual(self.node.asked[before:], [fakenode.ADD])

    def test_log(self):
        """Who reads what is not written down."""
        self.ask("/logs", source="127.0.0.77")
        wait_for("a line", lambda: "/logs" in (self.root / "sauti.log").read_text())
        self.assertNotIn("127.0.0.", (self.root / "sauti.log").read_text())


@unittest.skipUnless(program("nginx"), "needs nginx (package nginx-light)")
@unittest.skipUnless(program("openssl"), "needs openssl")
class Auditor(Served, unittest.TestCase):
    """A real node, sauti-web, nginx, and an auditor who has a URL and the directory's key."""

    name = "localhost"

    @classmethod
    def start_node(cls):
        network = Network(cls.root / "net", BUILD, "test.example")
        cls.addClassCleanup(network.stop)
        cls.node = network.init()
        group = f"group = {grp.getgrgid(NOBODY).gr_name}\n" if os.geteuid() == 0 else ""
        cls.node.configure(f"\n[public]\nsocket = {cls.root}/public.sock\n{group}")
        cls.node.start()

    def audit(self, *args):
        return subprocess.run([BUILD / "sauti", "--json", "audit", "log", f"https://localhost:{self.port}", *args],
                              capture_output=True, text=True, check=False, timeout=120)

    def test_https(self):
        key = next(line.split()[1] for line in self.node.sauti("log", "policy").stdout.splitlines()
                   if line.startswith("log ") and "/directory/" in line)
        done = self.audit("--directory", key, "--ca", self.root / "web.pem")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        said = json.loads(done.stdout)
        self.assertEqual((said["verdict"], len(said["logs"])), ("sound", 2))
        # A server that nobody vouches for is not even asked.
        self.assertEqual(self.audit("--directory", key).returncode, 1)


if __name__ == "__main__":
    BUILD = Path(sys.argv.pop(1)).resolve()
    try:
        unittest.main(verbosity=1)
    except Failed as e:
        sys.exit(str(e))
