#!/usr/bin/env python3
"""Real nodes against strangers, bad input, crashes and absence. test_network.py BUILD [unittest args]"""

import json
import os
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
from network import Failed, Network, Node, free_port, wait_for  # noqa: E402

BUILD = Path()
ROGUE = Path()


# Frames by hand: what an attacker's own program would send.

def varint(n):
    out = b""
    while n > 0x7F:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def frame(body, data):
    message = field(body, data)
    return len(message).to_bytes(4, "big") + message


def hello(node, network="test.example"):
    return frame(1, field(1, network) + field(2, node) + field(3, 1) + field(4, 1) + field(6, 1 << 20))


class Stranger:
    """A TLS client that is none of ours."""

    def __init__(self, port, pem=None, alpn="sauti/1", version=ssl.TLSVersion.TLSv1_3):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.maximum_version = version
        context.set_alpn_protocols([alpn])
        if pem:
            context.load_cert_chain(pem)
        self.socket = context.wrap_socket(socket.create_connection(("127.0.0.1", port), 10))
        self.socket.settimeout(10)

    def ends(self, send=b""):
        """Sends, reads until the other side ends it; what came, and how it ended."""
        got = b""
        try:
            if send:
                self.socket.sendall(send)
            while True:
                data = self.socket.recv(65536)
                if not data:
                    return got, "closed"
                got += data
        except (ssl.SSLError, ConnectionError) as e:
            return got, str(e)
        finally:
            self.socket.close()


class Case(unittest.TestCase):
    """One network of headquarters and two offices for all tests of a class."""

    @classmethod
    def setUpClass(cls):
        cls.root = Path(tempfile.mkdtemp(prefix="sauti-test."))
        cls.network = Network(cls.root, BUILD, "test.example")
        try:
            cls.hq = cls.network.init()
            cls.hq.configure("\n[replication]\nhave_delay = 100ms\ndial_retry_min = 200ms\n")
            cls.hq.start()
            for name, country in (("caf", "CAF"), ("cod", "COD")):
                node = cls.network.join(name, country,
                                        config="\n[replication]\nhave_delay = 100ms\ndial_retry_min = 200ms\n")
                node.start()
            cls.caf, cls.cod = cls.network.nodes["caf"], cls.network.nodes["cod"]
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

    def refused(self, node, reason, what):
        """The refusing side's log names the reason, and nothing was stored."""
        before = len(node.log)
        logs = {o: log["size"] for o, log in node.logs().items()}
        what()
        wait_for(f"'{reason}' in the log of {node.name}", lambda: reason in node.log[before:], 60)
        self.assertEqual(logs, {o: log["size"] for o, log in node.logs().items()})

    def fails(self, node, args, status, *words, stdin=None):
        """One clear line on stderr, nothing on stdout, the right exit code."""
        done = node.sauti(*args, stdin=stdin, check=False)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertEqual(len(done.stderr.strip().splitlines()) <= 2, True, done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)


class Strangers(Case):
    """Who must not get in."""

    def pem(self, *args):
        out = self.root / "rogue.pem"
        subprocess.run([ROGUE, *map(str, args), out], check=True)
        return out

    def self_made(self, name):
        """A certificate of a CA that nobody knows, with the right name."""
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        import datetime
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.timezone.utc)
        certificate = (x509.CertificateBuilder().subject_name(subject).issuer_name(subject)
                       .public_key(key.public_key()).serial_number(x509.random_serial_number())
                       .not_valid_before(now - datetime.timedelta(days=1))
                       .not_valid_after(now + datetime.timedelta(days=30))
                       .add_extension(x509.SubjectAlternativeName(
                           [x509.UniformResourceIdentifier(f"sauti://test.example/node/{name}")]), False)
                       .sign(key, hashes.SHA256()))
        out = self.root / "self.pem"
        out.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                          serialization.NoEncryption())
                        + certificate.public_bytes(serialization.Encoding.PEM))
        return out

    def test_no_certificate(self):
        self.refused(self.hq, "no certificate", lambda: Stranger(self.hq.port).ends(hello("caf")))

    def test_unknown_ca(self):
        pem = self.self_made("caf")
        self.refused(self.hq, "refused 127.0.0.1", lambda: Stranger(self.hq.port, pem).ends(hello("caf")))

    def test_name_of_another_node(self):
        pem = self.pem("issue", self.hq.dir, self.network.passphrase, "cod")
        self.refused(self.hq, "not the one the directory lists for 'cod'",
                     lambda: Stranger(self.hq.port, pem).ends(hello("cod")))

    def test_not_in_the_directory(self):
        pem = self.pem("issue", self.hq.dir, self.network.passphrase, "mole")
        self.refused(self.caf, "'mole' is not in the directory",
                     lambda: Stranger(self.caf.port, pem).ends(hello("mole")))

    def test_good_certificate_says_it_is_another(self):
        pem = self.pem("stolen", self.caf.dir)
        self.refused(self.cod, "its certificate names 'caf', its Hello \"hq\"",
                     lambda: Stranger(self.cod.port, pem).ends(hello("hq")))

    def test_another_network(self):
        pem = self.pem("stolen", self.caf.dir)
        self.refused(self.cod, "of another network",
                     lambda: Stranger(self.cod.port, pem).ends(hello("caf", "evil.example")))

    def test_older_tls(self):
        def attempt():
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                Stranger(self.hq.port, version=ssl.TLSVersion.TLSv1_2)
        self.refused(self.hq, "refused 127.0.0.1", attempt)

    def test_unknown_protocol(self):
        def attempt():
            try:
                Stranger(self.hq.port, alpn="h2").ends()
            except (ssl.SSLError, ConnectionError):
                pass
        self.refused(self.hq, "refused 127.0.0.1", attempt)

    def test_configured_protocol_name(self):
        """A server accepts what its configuration lists: on port 443 among others, h2 looks like one."""
        conf = self.cod.dir / "sauti.conf"
        before = conf.read_text()
        self.cod.stop()
        self.caf.stop()
        try:
            conf.write_text(before.replace("[listen]\n", "[listen]\nalpn = h2, sauti/1\n"))
            self.cod.start()
            stranger = Stranger(self.cod.port, self.pem("stolen", self.caf.dir), alpn="h2")
            self.assertEqual(stranger.socket.selected_alpn_protocol(), "h2")
            self.assertIn(b"test.example", stranger.socket.recv(65536))  # its Hello
            stranger.socket.close()
        finally:
            self.cod.stop()
            conf.write_text(before)
            self.cod.start()
            self.caf.start()

    def test_join_protocol_gives_no_session(self):
        """Without a certificate one gets the directory, which is public, and nothing else."""
        got, _ = Stranger(self.hq.port, alpn="sauti-join/1").ends(hello("caf"))
        self.assertIn(b"/directory/", got)
        self.assertNotIn(self.caf.own()["origin"].encode(), got)

    def test_offices_do_not_speak_join(self):
        def attempt():
            try:
                Stranger(self.caf.port, alpn="sauti-join/1").ends()
            except (ssl.SSLError, ConnectionError):
                pass
        self.refused(self.caf, "refused 127.0.0.1", attempt)

    def test_garbage(self):
        def attempt():
            with socket.create_connection(("127.0.0.1", self.hq.port), 10) as s:
                s.sendall(os.urandom(4096))
                s.settimeout(10)
                try:
                    while s.recv(4096):
                        pass
                except ConnectionError:
                    pass
        self.refused(self.hq, "refused 127.0.0.1", attempt)

    def test_broken_frames_of_a_member(self):
        """A hacked peer with good keys: every bad frame ends its session, none is stored."""
        pem = self.pem("stolen", self.caf.dir)
        self.caf.stop()
        try:
            origin = self.cod.own()["origin"]
            evil = {
                "a frame over 1 MiB": (1 << 21).to_bytes(4, "big"),
                "length 0": bytes(4),
                "no protobuf": b"\0\0\0\x04\xff\xff\xff\xff",
                "a second Hello": hello("caf"),
                "a Have that does not parse": frame(2, field(1, field(1, origin) + field(2, 5) +
                                                             field(3, b"nonsense\n"))),
                "a Held that is forged": frame(5, field(1, origin) + field(2, field(1, 999999) +
                                               field(2, bytes(32)) + field(3, b"x"))),
            }
            for what, data in evil.items():
                with self.subTest(what):
                    sizes = {o: log["size"] for o, log in self.cod.logs().items()}
                    _, how = Stranger(self.cod.port, pem).ends(hello("caf") + data)
                    self.assertNotIn("timed out", how)
                    self.assertEqual(sizes, {o: log["size"] for o, log in self.cod.logs().items()})
        finally:
            self.caf.start()

    def test_silent_stranger_is_dropped(self):
        """No Hello, no data: closed by a deadline of 10 s."""
        pem = self.pem("stolen", self.caf.dir)
        self.caf.stop()
        try:
            stranger = Stranger(self.cod.port, pem)
            stranger.socket.settimeout(60)
            _, how = stranger.ends()
            self.assertNotIn("timed out", how)
        finally:
            self.caf.start()


class Crowd(Case):
    """Its own headquarters: the log of one that refuses many is cut short for a minute."""

    def test_idle_strangers_keep_nobody_out(self):
        """More connections that say nothing than there is room for: members still get in at once."""
        self.caf.stop()
        idle = [socket.create_connection(("127.0.0.1", self.hq.port), 10) for _ in range(100)]
        try:
            self.caf.start()
            # caf dials headquarters; a deadline of ten seconds would free the room by itself
            wait_for("a session of caf",
                     lambda: any(p["name"] == "hq" and p["connected"] for p in self.caf.json("status")["peers"]), 6)
            self.assertIn("too many strangers", self.hq.log)
        finally:
            for s in idle:
                s.close()


class BadInput(Case):
    """One clear line, and the right exit code."""

    def test_wrong_passphrase(self):
        bad = self.root / "bad"
        bad.write_text("wrong\n", encoding="ascii")
        self.caf.json("lock")
        try:
            self.fails(self.caf, ["unlock", "--passphrase-file", bad], 5)
            self.assertTrue(self.caf.json("status")["locked"])
        finally:
            self.caf.unlock()

    def test_locked(self):
        self.caf.json("lock")
        try:
            for command in (["case", "list"], ["case", "show", "ZZ-X"], ["case", "open"]):
                self.fails(self.caf, command, 5, "locked")
            self.assertTrue(self.caf.json("log", "verify"))  # what a locked node can do
        finally:
            self.caf.unlock()

    def test_headquarters_locked_does_not_invite(self):
        self.hq.json("lock")
        try:
            self.fails(self.hq, ["node", "invite", "ssd", "--country", "SSD"], 5, "locked")
        finally:
            self.hq.unlock()

    def test_invite_at_an_office(self):
        self.fails(self.caf, ["node", "invite", "ssd", "--country", "SSD"], 5, "headquarters")

    def test_invite_a_member(self):
        self.fails(self.hq, ["node", "invite", "caf", "--country", "CAF"], 1, "caf")

    def test_unknown_case(self):
        self.fails(self.caf, ["case", "show", "ZZ-NOBODY"], 1, "ZZ-NOBODY")

    def test_unknown_log_and_index(self):
        self.fails(self.caf, ["log", "show", "test.example/x/1-0000000000000000"], 1)
        self.fails(self.caf, ["log", "show", self.caf.own()["origin"], "--index", "9999"], 1, "index")

    def test_unknown_node(self):
        self.fails(self.caf, ["node", "show", "nobody"], 1)

    def test_broken_line(self):
        """File, line and what; nothing of the file is recorded, not even its good lines."""
        good = json.dumps({"type": "CASE_OPENED", "case_ref": "ab" * 16, "case_code": "ZZ-BROKEN",
                           "occurred_on": "2026-01-01", "precision": "D"})
        file = self.root / "broken.jsonl"
        size = self.caf.own()["size"]
        for bad, word in (("{not json", ""), ('{"type": "NO_SUCH_TYPE"}', "NO_SUCH_TYPE"),
                          (json.dumps({"type": "CONTACT", "case_ref": 7}), "case_ref"),
                          (json.dumps({"type": "CASE_OPENED", "case_ref": "cd" * 16,
                                       "occurred_on": "yesterday"}), "occurred_on")):
            with self.subTest(bad):
                file.write_text(good + "\n" + bad + "\n", encoding="utf-8")
                self.fails(self.caf, ["case", "import", file], 1, f"{file}:2", word)
        self.assertEqual(self.caf.own()["size"], size)
        self.fails(self.caf, ["case", "show", "ZZ-BROKEN"], 1)

    def test_import_of_a_missing_file(self):
        self.fails(self.caf, ["case", "import", self.root / "none.jsonl"], 1, "none.jsonl")

    def test_store_in_use(self):
        done = subprocess.run([BUILD / "sautid", "--dir", self.caf.dir], capture_output=True, text=True,
                              timeout=120, check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(str(self.caf.dir), done.stderr)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        self.assertEqual(self.caf.json("status")["node"], "caf")  # the first goes on

    def copy(self, name):
        """caf's files but its store, as another directory that no daemon uses."""
        other = self.root / name
        shutil.copytree(self.caf.dir, other, ignore=shutil.ignore_patterns("store", "keyring", "run"))
        return other

    def start_fails(self, directory, status, *words):
        done = subprocess.run([BUILD / "sautid", "--dir", directory], capture_output=True, text=True,
                              timeout=120, check=False)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)

    def test_port_in_use(self):
        self.start_fails(self.copy("port"), 1, str(self.caf.port), "in use")

    def test_no_configuration(self):
        self.start_fails(self.root / "nowhere", 1, "nowhere")

    def test_unknown_key_and_wrong_type(self):
        other = self.copy("keys")
        conf = other / "sauti.conf"
        text = conf.read_text()
        for bad in ("[node]\ncolour = blue\n", "[replication]\nhave_delay = soon\n"):
            conf.write_text(text + "\n" + bad)
            self.start_fails(other, 1, "sauti.conf:")

    def test_keys_that_others_can_read(self):
        other = self.copy("open")
        (other / "keys" / "boot").chmod(0o644)
        self.start_fails(other, 5, "boot")

    def test_damaged_genesis(self):
        other = self.copy("genesis")
        path = other / "genesis"
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        self.start_fails(other, 4, "genesis")

    def test_no_daemon(self):
        nobody = Node(self.network, "nobody")
        shutil.copytree(self.caf.dir, nobody.dir,
                        ignore=shutil.ignore_patterns("store", "keyring", "run"))
        self.fails(nobody, ["status"], 3)
        self.fails(nobody, ["case", "list"], 3)

    def test_file_modes(self):
        """Nothing of a node but what is public is readable by others; the control socket is its
        owner's. The public one is the group's, in a directory that lets nobody in."""
        public = {"sauti.conf", "node.pem", "root.pem"}
        self.assertEqual(self.caf.dir.stat().st_mode & 0o077, 0)
        for path in self.caf.dir.rglob("*"):
            others = {"public.sock": 0o007}.get(path.name, 0o022 if path.name in public else 0o077)
            with self.subTest(path):
                self.assertEqual(path.lstat().st_mode & others, 0)


class Joining(Case):
    """Tokens are used once, by whom they were made for."""

    def join(self, name, token, expect=0):
        node = Node(self.network, name)
        done = node.sauti("join", "-", "--listen", f"127.0.0.1:{node.port}", "--passphrase-file",
                          self.network.passphrase, stdin=token, check=False)
        self.assertEqual(done.returncode == 0, expect == 0, done.stderr)
        return node, done

    def test_token_of_another_secret(self):
        token = self.network.invite("hti", "HTI")
        other = self.network.invite("hti", "HTI")  # replaces the first
        _, done = self.join("hti-old", token, 1)
        self.assertIn("refused", done.stderr)
        self.join("hti", other)

    def test_token_is_used_once(self):
        token = self.network.invite("ssd", "SSD")
        self.join("ssd", token)
        size = self.hq.json("status")["directory_size"]
        _, done = self.join("ssd-again", token, 1)
        self.assertIn("refused", done.stderr)
        self.assertIn("used by other keys", self.hq.log)
        self.assertEqual(self.hq.json("status")["directory_size"], size)

    def test_headquarters_is_locked(self):
        token = self.network.invite("mli", "MLI")
        self.hq.json("lock")
        _, done = self.join("mli", token, 1)
        self.assertIn("locked", done.stderr)
        self.hq.unlock()
        node, _ = self.join("mli", token)  # the same command goes on
        node.start()
        self.assertFalse(node.json("status")["locked"])
        wait_for("mli to reach headquarters",
                 lambda: any(p["connected"] for p in node.json("status")["peers"]))
        node.stop()

    def test_garbled_token(self):
        _, done = self.join("lbn", "sauti-join-1.notatoken", 1)
        self.assertEqual(len(done.stderr.strip().splitlines()) <= 2, True, done.stderr)


class Work(Case):
    """Recording, replicating, breaking off."""

    def lines(self, count, start=0):
        for i in range(start, start + count):
            ref = f"{i:032x}"
            yield json.dumps({"type": "CASE_OPENED", "event_id": f"01900000-0000-7000-8000-{i:012x}",
                              "case_ref": ref, "case_code": f"ZZ-T-{i}", "occurred_on": "2026-01-01",
                              "precision": "D"})

    def import_lines(self, node, lines, check=True):
        return node.sauti("--json", "case", "import", "-", stdin="\n".join(lines) + "\n", check=check)

    def test_import_twice_adds_nothing(self):
        lines = list(self.lines(20, 1000))
        self.import_lines(self.caf, lines)
        size = self.caf.own()["size"]
        self.import_lines(self.caf, lines)
        self.assertEqual(self.caf.own()["size"], size)

    def test_open_add_show(self):
        opened = self.caf.json("case", "open")
        self.caf.sauti("case", "add", opened["code"], "contact", "--channel", "phone",
                       "--direction", "out", "--result", "reached")
        shown = self.caf.json("case", "show", opened["code"])
        self.assertEqual([e["type"] for e in shown["events"]], ["CASE_OPENED", "CONTACT"])

    def test_relay(self):
        """caf is gone; cod, which never met it, gets its log from headquarters, and reads nothing."""
        self.cod.stop()
        self.import_lines(self.caf, self.lines(30, 2000))
        own = self.caf.own()
        wait_for("headquarters to hold it",
                 lambda: self.hq.logs()[own["origin"]]["checkpoint_size"] == own["size"])
        self.caf.stop()
        self.cod.start()
        wait_for("cod to hold it",
                 lambda: self.cod.logs()[own["origin"]]["checkpoint_size"] == own["size"])
        self.assertEqual(self.cod.sauti("case", "show", "ZZ-T-2001", check=False).returncode, 1)
        self.assertTrue(all(r["ok"] for r in self.cod.json("log", "verify")))
        self.caf.start()
        self.network.settle()
        self.assertGreaterEqual(len(self.caf.own()["held_by"]), 2)  # cod's came through headquarters

    def test_killed_while_importing(self):
        """kill -9 at a bad time: what was acknowledged is there, the log verifies, going on works."""
        for round_number in range(4):
            first = 10000 + 1000 * round_number
            acknowledged = []

            def work(first=first, acknowledged=acknowledged):
                for n in range(200):
                    done = self.import_lines(self.caf, self.lines(2, first + 2 * n), check=False)
                    if done.returncode != 0:
                        return
                    acknowledged.append(first + 2 * n)

            thread = threading.Thread(target=work)
            thread.start()
            wait_for("some work", lambda a=acknowledged, r=round_number: len(a) > 3 + 5 * r)
            self.caf.kill()
            thread.join()
            self.caf.start()
            codes = {c["code"] for c in self.caf.json("case", "list")}
            for n in acknowledged:
                self.assertIn(f"ZZ-T-{n}", codes)
            self.assertTrue(all(r["ok"] for r in self.caf.json("log", "verify")))
        self.network.settle()
        for node in self.network.nodes.values():
            self.assertTrue(all(r["ok"] for r in node.json("log", "verify")))
            self.assertEqual(node.json("status")["alarms"], [])

    def test_stops_when_asked(self):
        self.assertEqual(self.cod.stop(), 0)
        self.cod.start()

    def test_stops_in_the_middle(self):
        """Asked to stop while it unlocks, records and verifies: it ends well, nothing acknowledged is lost."""
        for number, delay in enumerate((0.0, 0.03, 0.1, 0.2)):
            first, acknowledged = 30000 + 1000 * number, []

            def unlock():
                self.cod.sauti("unlock", "--passphrase-file", self.network.passphrase, check=False)

            def record(first=first, acknowledged=acknowledged):
                for n in range(first, first + 400, 2):
                    if self.import_lines(self.cod, self.lines(2, n), check=False).returncode != 0:
                        return
                    acknowledged.append(n)

            def verify():
                for _ in range(20):
                    if self.cod.sauti("log", "verify", check=False).returncode != 0:
                        return

            self.cod.stop()
            self.cod.start(unlock=False)
            for work in ((unlock,), (record, verify)):
                threads = [threading.Thread(target=w) for w in work]
                for t in threads:
                    t.start()
                if work[0] is record:
                    wait_for("some work", lambda a=acknowledged: len(a) > 2)
                time.sleep(delay)
                self.assertEqual(self.cod.stop(), 0)
                for t in threads:
                    t.join()
                self.cod.start()
            codes = {c["code"] for c in self.cod.json("case", "list")}
            for n in acknowledged:
                self.assertIn(f"ZZ-T-{n}", codes)
        self.assertTrue(all(r["ok"] for r in self.cod.json("log", "verify")))
        self.assertEqual(self.cod.json("status")["alarms"], [])


if __name__ == "__main__":
    BUILD = Path(sys.argv.pop(1)).resolve()
    ROGUE = BUILD / "tests" / "integration" / "rogue"
    try:
        unittest.main(verbosity=1)
    except Failed as e:
        sys.exit(str(e))
