#!/usr/bin/env python3
"""The witness of a node: C2SP tlog-witness with real nodes. test_witness.py BUILD [unittest args]

Headquarters witnesses the log of an office that is switched off: what is submitted is signed here, with
the office's key, and may be ahead of everything that headquarters holds, or a second history.
"""

import base64
import grp
import hashlib
import os
import shutil
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
from network import Network, wait_for  # noqa: E402
from public import Public  # noqa: E402
import submitter  # noqa: E402
from fakenode import get  # noqa: E402
from submitter import Tree, newest, submit  # noqa: E402
from webserver import NOBODY, Web, open_directory  # noqa: E402

BUILD = Path()
NETWORK = "witness.example"
SIZE_TYPE, TEXT_TYPE = "text/x.tlog.size", "text/plain; charset=utf-8"
MINUTE_MAX = 60  # LIMIT_WITNESS_MINUTE
CONFIG = "\n[replication]\nhave_delay = 20ms\ncosignature_delay = 200ms\n"


class Witnessed(unittest.TestCase):
    """Headquarters, and an office that was there once."""

    def setUp(self):
        self.place = tempfile.TemporaryDirectory(prefix="sauti-witness-")
        self.addCleanup(self.place.cleanup)
        self.open = open_directory(Path(self.place.name) / "open")
        self.socket = self.open / "public.sock"
        public = f"\n[public]\nsocket = {self.socket}\n"
        if os.geteuid() == 0:
            public += f"group = {grp.getgrgid(NOBODY).gr_name}\n"
        self.net = Network(self.place.name, BUILD, NETWORK)
        self.addCleanup(self.net.stop)
        self.hq = self.net.init()
        self.hq.configure(CONFIG + public)
        self.hq.start()
        self.office = self.net.join("haiti", "HTI", config=CONFIG)
        self.office.start()
        cases.agree(self.office, self.office.json("case", "open")["code"])
        self.net.settle()
        log = self.office.own()
        self.origin, self.held = log["origin"], log["size"]
        wait_for("what headquarters witnesses", lambda: self.remembered() == self.held)
        self.office.stop()
        self.tree = self.log_tree()

    def keys(self, node):
        done = subprocess.run([BUILD / "tests" / "integration" / "node_secrets",
                               node.dir / "keys" / "keystore", self.net.passphrase], check=True,
                              capture_output=True, text=True)
        return dict(line.split() for line in done.stdout.splitlines() if "prekey" not in line)

    def log_tree(self):
        """The office's log as headquarters gives it to anybody, and the office's key."""
        leaves = []
        with Public(self.socket) as client:
            for n in range((self.held + 255) // 256):
                width = min(256, self.held - 256 * n)
                tail = "" if width == 256 else f".p/{width}"
                data = client.file(self.origin, f"tile/0/{n:03}{tail}").data
                leaves += [data[i:i + 32] for i in range(0, len(data), 32)]
        self.assertEqual(len(leaves), self.held)
        tree = Tree(self.origin, bytes.fromhex(self.keys(self.office)["log"]), leaves)
        return tree.grow(self.held + 400)

    def log(self):
        return self.hq.logs()[self.origin]

    def remembered(self):
        return ((self.hq.logs().get(self.origin) or {}).get("witnessed") or {}).get("size")

    def key(self, node="hq"):
        """The witness's public key, as the directory has it."""
        vkey = self.hq.json("node", "show", node)["witness_key"]
        return base64.b64decode(vkey.split("+", 2)[2])[1:]

    def is_cosigned(self, answer, size, tree=None):
        """200 with one good line over that size; its time."""
        status, kind, body = answer
        self.assertEqual((status, kind), (200, TEXT_TYPE), body)
        lines = body.decode().splitlines(keepends=True)
        self.assertEqual(len(lines), 1)
        return submitter.cosignature_time(lines[0], (tree or self.tree).text(size),
                                          f"{NETWORK}/witness/hq", self.key())

    def refused(self, answer, status, body=None):
        self.assertEqual(answer[0], status, answer)
        self.assertEqual(answer[1], SIZE_TYPE if status == 409 else TEXT_TYPE)
        if body is not None:
            self.assertEqual(answer[2], body)


class Statuses(Witnessed):
    def test_all_and_restarts(self):
        tree, held, socket = self.tree, self.held, self.socket
        # 400, 404, 403.
        for body in (b"", b"old 5", b"old 05\n\n", tree.body(held, held + 3).replace(b"old", b"new"),
                     tree.body(held, held + 3) + b"x", b"x" * 65537):
            self.refused(submit(socket, body), 400)
        strange = Tree(f"{NETWORK}/nobody/1-0123456789abcdef", tree.seed, tree.leaves)
        self.refused(submit(socket, strange.body(0, 3)), 404)
        self.refused(submit(socket, Tree("example.com/x", tree.seed, tree.leaves).body(0, 3)), 404)
        own = Tree(self.hq.own()["origin"], tree.seed, tree.leaves)
        self.refused(submit(socket, own.body(0, 3)), 404)  # no node is its own witness
        other = Tree(self.origin, b"\1" * 32, tree.leaves)
        self.refused(submit(socket, other.body(held, held + 3)), 403)
        body = tree.body(held, held + 3)
        spoilt = body[:-20] + (b"A" if body[-20:-19] != b"A" else b"B") + body[-19:]
        self.refused(submit(socket, spoilt), 403)  # the right name and id, a bad signature
        # 400, 409, 422.
        self.refused(submit(socket, tree.body(held + 4, held + 3)), 400)
        size = f"{held}\n".encode()
        self.refused(submit(socket, tree.body(0, held + 3)), 409, size)
        self.refused(submit(socket, tree.body(held - 1, held + 3)), 409, size)
        self.refused(submit(socket, tree.body(held, held + 3, [])), 422)
        self.refused(submit(socket, tree.body(held, held + 3, tree.proof(held, held + 4))), 422)
        self.refused(submit(socket, tree.body(held, held, [b"\0" * 32])), 422)
        # 200: grown, grown again, the same a second later.
        self.is_cosigned(submit(socket, tree.body(held, held + 3)), held + 3)
        first = self.is_cosigned(submit(socket, tree.body(held + 3, held + 100)), held + 100)
        time.sleep(max(0, first + 1 - time.time()))  # no wait for luck: times are whole seconds
        again = self.is_cosigned(submit(socket, tree.body(held + 100, held + 100)), held + 100)
        self.assertGreater(again, first)
        self.refused(submit(socket, tree.body(held + 3, held + 200)), 409, f"{held + 100}\n".encode())
        # A client that knows nothing asks with 0, and goes on with what it is told.
        status, _, body = submit(socket, tree.body(0, held + 200))
        self.assertEqual(status, 409)
        self.is_cosigned(submit(socket, tree.body(int(body), held + 200)), held + 200)
        # Seen, not held.
        log = self.log()
        self.assertEqual((log["size"], log["witnessed"]["size"]), (held, held + 200))
        self.assertIn(f"seen up to {held + 200}", self.hq.sauti("log", "show", self.origin).stdout)
        self.newest_is(held + 200)
        # A restart; locked, too.
        self.hq.stop()
        self.hq.start(unlock=False)
        self.newest_is(held + 200)
        self.refused(submit(socket, tree.body(held, held + 300)), 409, f"{held + 200}\n".encode())
        self.is_cosigned(submit(socket, tree.body(held + 200, held + 300)), held + 300)
        self.hq.stop()
        done = subprocess.run([BUILD / "sautid", "--dir", self.hq.dir, "--fsck"], check=False,
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def newest_is(self, size):
        """Both lines, and nothing else."""
        status, body = newest(self.socket, self.origin)
        self.assertEqual(status, 200, body)
        text, lines = body.decode().split("\n\n")
        self.assertEqual(text + "\n", self.tree.text(size))
        lines = lines.splitlines(keepends=True)
        self.assertEqual(lines[0], self.tree.line(text + "\n"))
        self.assertEqual(len(lines), 2)
        submitter.cosignature_time(lines[1], text + "\n", f"{NETWORK}/witness/hq", self.key())
        self.assertEqual(newest(self.socket, "example.com/x")[0], 404)

    def test_lines_of_its_own(self):
        """What somebody puts on the note in the witness's name is never stored."""
        name, key = f"{NETWORK}/witness/hq", self.key()
        key_id = submitter.hashlib.sha256(name.encode() + b"\n\4" + key).digest()[:4]
        forged = f"\u2014 {name} {submitter.b64(key_id + bytes(72))}\n"
        poison = forged * 3 + f"\u2014 {name} {submitter.b64(b'abcd' + bytes(72))}\n"
        size = self.held + 7
        self.is_cosigned(submit(self.socket, self.tree.body(self.held, size, more=poison)), size)
        for _ in range(2):
            status, body = newest(self.socket, self.origin)
            self.assertEqual(status, 200)
            self.assertNotIn(forged.encode(), body)
            self.assertEqual(body.count("\u2014".encode()), 2)
            self.hq.stop()
            self.hq.start(unlock=False)
        self.is_cosigned(submit(self.socket, self.tree.body(size, size + 1)), size + 1)

    def test_cap(self):
        """So many of a log in a minute; what grows is counted by itself."""
        size, statuses = self.held + 1, []
        self.is_cosigned(submit(self.socket, self.tree.body(self.held, size)), size)
        began = time.monotonic()
        with Public(self.socket) as client:
            for _ in range(MINUTE_MAX + 1):
                answer = client.ask(submitter.ADD_CHECKPOINT,
                                    submitter.field(1, self.tree.body(size, size)))
                statuses.append(answer.docs[0]["status"])
        if time.monotonic() - began > 50:
            self.skipTest("this machine is too slow to ask so often in a minute")
        self.assertEqual(statuses, [200] * MINUTE_MAX + [429])
        self.is_cosigned(submit(self.socket, self.tree.body(size, size + 1)), size + 1)


class Hard(Witnessed):
    def test_two_at_once(self):
        """A to N, B to N + K, from one size: one of them, and never back."""
        size = self.held
        for round_ in range(12):
            sizes = (size + 1, size + 5)
            answers = [None, None]
            bodies = [self.tree.body(size, s) for s in sizes]

            def ask(i, bodies=bodies, answers=answers):
                answers[i] = submit(self.socket, bodies[i])

            threads = [threading.Thread(target=ask, args=(i,)) for i in (0, 1)]
            for thread in threads if round_ % 2 else reversed(threads):
                thread.start()
            for thread in threads:
                thread.join()
            statuses = sorted(a[0] for a in answers)
            self.assertEqual(statuses, [200, 409], answers)
            won = next(i for i in (0, 1) if answers[i][0] == 200)
            self.is_cosigned(answers[won], sizes[won])
            self.refused(answers[1 - won], 409, f"{sizes[won]}\n".encode())
            size = sizes[won]
        self.assertEqual(self.remembered(), size)

    def test_kills(self):
        """kill -9 in the middle: what was answered is remembered, and never less."""
        answered = self.held
        for round_ in range(8):
            top, stop = [answered], threading.Event()

            def run(top=top, stop=stop):
                while not stop.is_set():
                    size = top[0]
                    try:
                        status, _, body = submit(self.socket, self.tree.body(size, size + 1))
                    except (OSError, EOFError):
                        return
                    if status == 200:
                        top[0] = size + 1
                    elif status != 429:
                        top[0] = int(body) if status == 409 else top[0]

            thread = threading.Thread(target=run)
            thread.start()
            wait_for("something taken", lambda top=top, was=answered: top[0] > was + round_ % 3)
            self.hq.kill()
            stop.set()
            thread.join()
            answered = top[0]
            self.hq.start(unlock=False)
            status, _, body = submit(self.socket, self.tree.body(0, answered))
            self.assertEqual(status, 409, body)
            self.assertIn(int(body), (answered, answered + 1))
            answered = int(body)

    def test_fork(self):
        """Two notes of one size: evidence, durable before the answer; nothing more of it is signed."""
        size = self.held + 9
        self.is_cosigned(submit(self.socket, self.tree.body(self.held, size)), size)
        fork = self.tree.fork(self.held + 2)
        self.refused(submit(self.socket, fork.body(size, size)), 422)
        self.hq.kill()
        self.hq.start()
        done = self.hq.sauti("--json", "log", "evidence", check=False)
        self.assertEqual(done.returncode, 4)
        self.assertTrue(self.log()["frozen"])
        self.assertTrue(any("two histories" in a for a in self.hq.json("status")["alarms"]))
        self.refused(submit(self.socket, self.tree.body(size, size + 1)), 403)
        self.refused(submit(self.socket, fork.body(size, size + 1)), 403)

    def test_fork_by_its_proof(self):
        """A larger one whose proof comes from another tree."""
        fork = self.tree.fork(self.held - 1)
        old = self.held
        if old & (old - 1) == 0:  # a proof from one whole subtree does not say its root
            old += 1
            self.is_cosigned(submit(self.socket, self.tree.body(self.held, old)), old)
        self.refused(submit(self.socket, fork.body(old, old + 6)), 422)
        self.assertEqual(self.hq.sauti("--json", "log", "evidence", check=False).returncode, 4)
        self.refused(submit(self.socket, self.tree.body(old, old + 1)), 403)

    def test_the_author_comes_back(self):
        """With entries that are not what was witnessed ahead: two histories, both kept."""
        size = self.held + 2
        self.is_cosigned(submit(self.socket, self.tree.body(self.held, size)), size)
        self.office.start()
        code = self.office.json("case", "open")["code"]
        cases.agree(self.office, code)
        wait_for("evidence", lambda: self.hq.sauti(
            "--json", "log", "evidence", check=False).returncode == 4)
        self.assertTrue(self.log()["frozen"])

    def test_an_older_disk(self):
        """The store is put back: its witness is silent for good, and says so."""
        self.hq.stop()
        image = Path(self.place.name) / "image"
        shutil.copytree(self.hq.dir / "store", image)
        self.hq.start()
        size = self.held + 50
        self.is_cosigned(submit(self.socket, self.tree.body(self.held, size)), size)
        self.hq.stop()
        shutil.rmtree(self.hq.dir / "store")
        shutil.copytree(image, self.hq.dir / "store")
        for _ in range(2):
            self.hq.start(unlock=False)
            self.refused(submit(self.socket, self.tree.body(self.held, self.held + 1)), 503)
            self.refused(submit(self.socket, self.tree.body(size, size + 1)), 503)
            self.assertTrue(any("node rotate" in a for a in self.hq.json("status")["alarms"]))
            self.hq.kill()


class Http(Witnessed):
    """The same through sauti-web: a log that has nothing but this address."""

    def setUp(self):
        super().setUp()
        self.web = Web(BUILD, self.open, self.socket)
        self.addCleanup(self.web.kill)

    def post(self, body):
        reply = get(self.web.address, "/add-checkpoint", "POST", body=body)
        return reply.status, reply.headers["content-type"], reply.body

    def test_a_log_without_a_link(self):
        """As the specification has a client: it begins with old 0, and goes on with what it is told."""
        last = self.held
        for size in (self.held + 1, self.held + 30, self.held + 31, self.held + 300):
            status, kind, body = self.post(self.tree.body(0, size))
            self.assertEqual((status, kind, body), (409, SIZE_TYPE, f"{last}\n".encode()))
            answer = self.post(self.tree.body(int(body), size))
            self.is_cosigned(answer, size)
            last = size
            # Checkpoint and answer together are a note that any verifier opens.
            seen = get(self.web.address, f"/{hashlib.sha256(self.origin.encode()).hexdigest()}/checkpoint")
            self.assertEqual((seen.status, seen.body), (200, self.tree.note(size).encode() + answer[2]))
        for body, status in ((b"", 400), (b"old 1\n", 400), (self.tree.body(last, last + 1, []), 422),
                             (self.tree.body(last + 1, last), 400),
                             (Tree("example.com/x", self.tree.seed, self.tree.leaves).body(0, 3), 404),
                             (Tree(self.origin, bytes(32), self.tree.leaves).body(last, last + 1), 403),
                             (self.tree.fork(self.held + 2).body(last, last), 422),
                             (self.tree.body(last, last + 1), 403)):  # now it has two histories
            self.assertEqual(self.post(body)[0], status, body[:40])
        self.assertEqual(self.hq.sauti("--json", "log", "evidence", check=False).returncode, 4)


if __name__ == "__main__":
    BUILD = Path(sys.argv.pop(1)).resolve()
    unittest.main(verbosity=2)
