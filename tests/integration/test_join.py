#!/usr/bin/env python3
"""A join that is cut off anywhere, and tokens that lie. test_join.py BUILD [unittest args]"""

import base64
import select
import socket
import sys
import tempfile
import threading
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "tests" / "lib"))
from network import Network, Node  # noqa: E402

BUILD = Path()
FAILED, UNREACHABLE, INTEGRITY = 1, 3, 4


class Cut:
    """A link to headquarters that breaks when the joiner has sent `after` bytes: at once, or,
    with `wait`, when headquarters has said all that it wants to say to that, which gets lost."""

    def __init__(self, port, after, wait=True):
        self.port, self.after, self.wait = port, after, wait
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.settimeout(60)
        self.address = "127.0.0.1:%d" % self.server.getsockname()[1]
        self.sent = 0
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        client, _ = self.server.accept()
        with client, socket.create_connection(("127.0.0.1", self.port)) as hq:
            while True:
                ready, _, _ = select.select([client, hq], [], [], 60)
                if client in ready:
                    data = client.recv(65536)
                    self.sent += len(data)
                    hq.sendall(data)
                    if not data:
                        return
                if self.sent >= self.after:
                    hq.settimeout(60)
                    while self.wait and hq.recv(65536):
                        pass
                    return
                if hq in ready:
                    data = hq.recv(65536)
                    if not data:
                        return
                    client.sendall(data)

    def close(self):
        self.thread.join()
        self.server.close()


def change(token, old, new):
    """The token with some of its bytes replaced."""
    head, body = token.split(".")
    raw = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    assert old in raw
    return head + "." + base64.urlsafe_b64encode(raw.replace(old, new)).rstrip(b"=").decode()


def token_field(token, number):
    """The first field of that number of the token's message, as bytes."""
    body = token.split(".")[1]
    raw = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    while raw:
        key, size, raw = raw[0], raw[1], raw[2:]
        if key & 7 == 0:  # a varint
            while size & 0x80:
                size, raw = raw[0], raw[1:]
            continue
        if key >> 3 == number:
            return raw[:size]
        raw = raw[size:]
    raise KeyError(number)


class Join(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="sauti-join-")
        cls.addClassCleanup(cls.scratch.cleanup)
        cls.network = Network(Path(cls.scratch.name) / "net", BUILD, "test.example")
        cls.addClassCleanup(cls.network.stop)
        cls.hq = cls.network.init()
        cls.hq.start()

    def join(self, node, token, *args, code=0):
        done = node.sauti("join", "-", "--listen", f"127.0.0.1:{node.port}", "--passphrase-file",
                          self.network.passphrase, *args, stdin=token, check=False)
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def members(self):
        return {n["name"]: n for n in self.hq.json("node", "list")}

    def test_cut(self):
        """The same command goes on with the same keys, whether headquarters had answered or not."""
        # A ClientHello is over 200 bytes; the request comes after it and a Finished.
        for name, after, admitted in [("aaa", 1, False), ("bbb", 700, True)]:
            with self.subTest(after=after):
                token = self.network.invite(name, "HTI")
                node = Node(self.network, name)
                cut = Cut(self.hq.port, after, wait=admitted)
                self.join(node, token, "--peer-address", cut.address, code=UNREACHABLE)
                cut.close()
                self.assertEqual(name in self.members(), admitted)
                boot = (node.dir / "keys" / "boot").read_bytes()
                self.assertFalse((node.dir / "sauti.conf").exists())
                self.join(node, token)
                self.assertEqual((node.dir / "keys" / "boot").read_bytes(), boot)
                self.assertFalse((node.dir / "keys" / "joining").exists())
                self.assertTrue(self.members()[name]["active"])
                node.sauti("check-config")
                # with everything there, the command refuses to start over
                self.assertIn("a node in", self.join(node, token, code=FAILED).stderr)

    def test_cut_before_the_configuration(self):
        """All was written but sauti.conf: as after a power cut."""
        token = self.network.invite("ccc", "HTI")
        node = Node(self.network, "ccc")
        cut = Cut(self.hq.port, 700)
        self.join(node, token, "--peer-address", cut.address, code=UNREACHABLE)
        cut.close()
        state = (node.dir / "keys" / "joining").read_bytes()
        self.join(node, token)
        (node.dir / "sauti.conf").unlink()
        (node.dir / "keys" / "joining").write_bytes(state)
        (node.dir / "keys" / "joining").chmod(0o600)
        self.join(node, token)
        node.sauti("check-config")

    def test_wrong_root(self):
        """The directory is not the one the token was made from."""
        token = self.network.invite("ddd", "HTI")
        lie = change(token, token_field(token, 6), b"r" * 32)
        node = Node(self.network, "ddd")
        done = self.join(node, lie, code=INTEGRITY)
        self.assertIn("not those that were known before", done.stderr)
        self.assertNotIn("ddd", self.members())

    def test_wrong_directory_key(self):
        token = self.network.invite("eee", "HTI")
        # another valid Ed25519 public key: the base point
        lie = change(token, token_field(token, 4), b"\x58" + b"\x66" * 31)
        done = self.join(Node(self.network, "eee"), lie, code=FAILED)
        self.assertIn("the directory that 127.0.0.1", done.stderr)
        self.assertNotIn("eee", self.members())

    def test_wrong_network(self):
        token = self.network.invite("fff", "HTI")
        lie = change(token, b"test.example", b"lies.example")
        self.join(Node(self.network, "fff"), lie, code=FAILED)
        self.assertNotIn("fff", self.members())


if __name__ == "__main__":
    BUILD = Path(sys.argv.pop(1)).resolve()
    unittest.main()
