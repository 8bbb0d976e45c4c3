#!/usr/bin/env python3
"""What anybody may ask of a node on its public socket, and what nobody may. test_public.py BUILD
[unittest args]"""

import grp
import json
import os
import pwd
import socket
import stat
import sys
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "tests" / "lib"))
from network import Failed, Network, wait_for  # noqa: E402
from peers import field  # noqa: E402
import public  # noqa: E402
from public import Public  # noqa: E402

BUILD = Path()
CLIENTS_MAX, REQUEST_MAX, STALL_S = 64, 128 * 1024, 20  # LIMIT_PUBLIC_*
CODES = SOURCE / "base" / "err.h"


def code(name):
    """The number of an error code, from the table that gives it out."""
    names = [line.split("(")[1].split(",")[0].strip() for line in CODES.read_text().splitlines()
             if line.strip().startswith("X(")]
    return 1 + names.index(name)


def contents(root):
    return {path.relative_to(root).as_posix(): path.read_bytes()
            for path in sorted(root.rglob("*")) if path.is_file() and path.name != ".sauti-export"}


class Asked(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="sauti-public-")
        cls.root = Path(cls.scratch.name)
        cls.root.chmod(0o755)
        cls.place = cls.root / "place"
        cls.place.mkdir(mode=0o755)
        cls.network = Network(cls.root / "net", BUILD, "test.example")
        cls.hq = cls.network.init()
        group = "daemon" if os.geteuid() == 0 else grp.getgrgid(os.getegid()).gr_name
        cls.group = group
        cls.socket = cls.place / "public.sock"
        cls.hq.configure(f"[public]\nsocket = {cls.socket}\ngroup = {group}\n")
        cls.hq.start()
        cls.haiti = cls.network.join("haiti", "HTI")
        cls.haiti.start()
        cls.record(400)
        cls.origin = cls.haiti.own()["origin"]

    @classmethod
    def tearDownClass(cls):
        cls.network.stop()
        cls.scratch.cleanup()

    batch = 0

    @classmethod
    def record(cls, count):
        cls.batch += 1
        lines = [json.dumps({"type": "CASE_OPENED", "case_code": f"ZZ-{cls.batch}-{i}"})
                 for i in range(count)]
        cls.haiti.json("case", "import", "-", stdin="\n".join(lines) + "\n")
        cls.network.settle()

    def export(self):
        out = self.root / self.id().rsplit(".", 1)[1]
        self.hq.json("log", "export", out)
        return out

    def refused(self, answer, name, *words):
        self.assertEqual(answer.error, code(name), answer)
        self.assertEqual((answer.docs, answer.data), ([], b""))
        for word in words:
            self.assertIn(word, answer.message)

    # ---- files ----

    def test_every_file_as_an_export_writes_it(self):
        out = self.export()
        files = contents(out)
        listed = files.pop("logs").decode().split()
        with Public(self.socket) as ask:
            self.assertEqual(sorted(d["origin"] for d in ask.ask(public.LOGS).docs), listed)
        self.assertGreater(len(files), 10)
        self.assertTrue(any(".p/" in name for name in files) and
                        any("tile/1/" in name for name in files))
        for path in (self.socket, self.hq.dir / "run/control.sock"):
            with Public(path) as ask:
                for name, data in files.items():
                    origin, slash, rest = name.partition("/tile/")
                    if not slash:
                        origin, rest = name.rsplit("/", 1)
                    got = ask.file(origin, ("tile/" if slash else "") + rest)
                    self.assertEqual((got.error, got.docs), (0, []), name)
                    self.assertEqual(got.data, data, name)

    def test_checkpoint_has_mirrors_and_witnesses(self):
        with Public(self.socket) as ask:
            note = ask.file(self.origin, "checkpoint").data.decode()
        lines = [line.split()[1] for line in note.splitlines() if line.startswith("\u2014 ")]
        self.assertEqual(lines[0], self.origin)
        self.assertEqual({line.split("/")[1] for line in lines[1:]}, {"mirror", "witness"}, note)

    def test_partials_of_older_checkpoints(self):
        """A reader may come with a checkpoint of yesterday, and finds all that it promised."""
        with Public(self.socket) as ask:
            size = {d["origin"]: d["size"] for d in ask.ask(public.LOGS).docs}[self.origin]
            self.assertGreater(size, 256)
            rest = size - 256
            full = ask.file(self.origin, "tile/0/000").data
            entries = ask.file(self.origin, "tile/entries/000").data
            self.assertEqual(len(full), 256 * 32)
            for width in (1, 2, 100, 255):
                self.assertEqual(ask.file(self.origin, f"tile/0/000.p/{width}").data,
                                 full[:32 * width])
                part = ask.file(self.origin, f"tile/entries/000.p/{width}").data
                self.assertTrue(entries.startswith(part) and len(part) > width)
            edge = ask.file(self.origin, f"tile/0/001.p/{rest}").data
            self.assertEqual(len(edge), 32 * rest)
            self.assertEqual(ask.file(self.origin, "tile/0/001.p/1").data, edge[:32])
            for path in (f"tile/0/001.p/{rest + 1}", "tile/0/001", f"tile/entries/001.p/{rest + 1}",
                         "tile/0/002.p/1", "tile/2/000", "tile/2/000.p/1", "tile/1/000.p/2",
                         "tile/3/000.p/1", "tile/0/x001/000"):
                self.refused(ask.file(self.origin, path), "ERR_NOTFOUND")
            self.assertEqual(len(ask.file(self.origin, "tile/1/000.p/1").data), 32)

    def test_paths_that_are_none(self):
        with Public(self.socket) as ask:
            for path in ("", "/", "..", "../checkpoint", "checkpoint/", "/checkpoint", "Checkpoint",
                         "tile", "tile/", "tile/0", "tile/0/", "tile/0/0", "tile/0/0000",
                         "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/1000000000000",
                         "tile/0/000.p/01", "tile/0/000.p/", "tile/00/000", "tile/-1/000",
                         "tile/64/000", "tile/7/000", "tile/0/x000/001", "tile/0/001/000", "tile/0/x1/000",
                         "tile/entries/..", "tile/entries/000/", "tile/0/../0/000",
                         "tile/0/999999999999", "tile/0/x999/x999/x999/x999/999", "tile/0/000%00",
                         "a" * 4096, ".sauti-export"):
                self.refused(ask.file(self.origin, path), "ERR_INVALID")
            for origin in ("", "nobody", self.origin + "/", self.origin + "~", "../" + self.origin,
                           self.origin[:-1], "x" * 5000):
                self.refused(ask.file(origin, "checkpoint"), "ERR_NOTFOUND")
            self.refused(ask.ask(public.FILE, field(1, self.origin)), "ERR_INVALID")

    def test_logs(self):
        with Public(self.socket) as ask:
            docs = {d["origin"]: d for d in ask.ask(public.LOGS).docs}
        held = self.hq.logs()
        self.assertEqual({o: d["size"] for o, d in docs.items()},
                         {o: d["checkpoint_size"] for o, d in held.items()})
        self.assertEqual({o for o, d in docs.items() if d["own"]},
                         {o for o, d in held.items() if d["own"]})
        self.assertEqual({(d["evidence"], d["branch"]) for d in docs.values()}, {(0, False)})

    def test_no_evidence(self):
        with Public(self.socket) as ask:
            self.assertEqual(ask.ask(public.EVIDENCE), (0, "", [], b""))
            self.assertEqual(ask.ask(public.EVIDENCE, field(1, self.origin)), (0, "", [], b""))
            self.refused(ask.ask(public.EVIDENCE, field(1, "nobody")), "ERR_NOTFOUND")

    # ---- status ----

    def test_status_names_nobody(self):
        with Public(self.socket) as ask:
            [status] = ask.ask(public.STATUS).docs
        self.assertEqual((status["node"], status["network"], status["locked"], status["ready"]),
                         ("hq", "test.example", False, True))
        self.assertEqual(status["disk"], "ok")
        self.assertEqual(status["peers"], {"known": 1, "connected": 1})
        self.assertEqual(status["sums"]["not_in_quorum"], 0)
        self.assertEqual(len(status["logs"]), status["sums"]["logs"])
        self.assertGreater(status["traffic"]["in_bytes"], 10000)
        text = json.dumps(status)
        for word in ("127.0.0.1", str(self.haiti.port), "ZZ-", "officer", "case", "amina"):
            self.assertNotIn(word, text)

    def test_a_locked_node_answers(self):
        with Public(self.socket) as before, Public(self.socket) as half:
            before.file(self.origin, "checkpoint")
            half.socket.sendall(b"\0\0\0\x10\xd2")
            self.hq.sauti("lock")
            try:
                for ask in (before, Public(self.socket)):
                    self.assertEqual(len(ask.file(self.origin, "tile/0/000").data), 8192)
                    self.assertTrue(ask.ask(public.STATUS).docs[0]["locked"])
                ask.close()
                half.socket.setblocking(False)
                with self.assertRaises(BlockingIOError):  # not closed: nothing of it was secret
                    half.socket.recv(1)
            finally:
                self.hq.unlock()

    # ---- who may, and what ----

    def as_user(self, uid, gid):
        """Asks for a checkpoint as another user, who need not be able to read this program: its bytes, or
        the name of the error."""
        out, into = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.setgroups([gid])
                os.setgid(gid)
                os.setuid(uid)
                said = str(len(public.Public(self.socket).file(self.origin, "checkpoint").data))
            except BaseException as e:  # pylint: disable=broad-except
                said = type(e).__name__
            os.write(into, said.encode())
            os._exit(0)
        os.close(into)
        with open(out, encoding="ascii") as told:
            said = told.read()
        os.waitpid(child, 0)
        return said

    def test_mode_and_group(self):
        st = self.socket.stat()
        self.assertTrue(stat.S_ISSOCK(st.st_mode))
        self.assertEqual(st.st_mode & 0o7777, 0o660)
        self.assertEqual(grp.getgrgid(st.st_gid).gr_name, self.group)
        self.assertEqual((self.hq.dir / "run/control.sock").stat().st_mode & 0o777, 0o600)
        beside = self.haiti.dir / "run/public.sock"  # the default
        self.assertEqual(beside.stat().st_mode & 0o777, 0o660)
        self.assertEqual(beside.stat().st_gid, os.getegid())

    @unittest.skipUnless(os.geteuid() == 0, "needs to be root to be somebody else")
    def test_an_ordinary_user_of_the_group(self):
        nobody = pwd.getpwnam("nobody")
        self.assertGreater(int(self.as_user(nobody.pw_uid, grp.getgrnam(self.group).gr_gid)), 200)
        self.assertEqual(self.as_user(nobody.pw_uid, nobody.pw_gid), "PermissionError")

    def test_nothing_else_may_be_asked(self):
        """Of every other request, and of what is no request: refused before anything is made of it."""
        session = (self.hq.dir / "run/session").read_text().strip()
        token = field(200, bytes.fromhex(session))
        with Public(self.socket) as ask:
            for number in [*range(1, 200), *range(201, 210), *range(216, 600), 1 << 20]:
                for body in (b"", b"\xff" * 40):
                    ask.send(token + field(number, body))
                    self.refused(ask.answer(), "ERR_DENIED", "public socket")
            ask.send(field(public.LOGS, b"") + field(10, field(1, "words")))
            self.refused(ask.answer(), "ERR_DENIED")
            ask.send(token + field(public.LOGS, b""))  # in nobody's name all the same
            self.assertEqual(ask.answer().error, 0)
        self.assertFalse(self.hq.json("status")["locked"])

    def test_hostile_frames(self):
        with Public(self.socket) as ask:
            logs = field(public.LOGS, b"")
            for message in (b"\xd2", b"\xd2\x0d", b"\xd2\x0d\x05", b"\xff" * 12, b"\x80" * 11,
                            logs + logs, logs + field(public.STATUS, b""), field(200, b"x" * 32),
                            b"\xd0\x0d\x00", b"\xd3\x0d", field(public.FILE, b"\xff\xff"),
                            field(public.FILE, field(1, b"\xff\xfe")), field(public.LOGS, b"\x01"),
                            field(public.FILE, field(9, b"unknown")), b"\x02\x00"):
                ask.send(message)
                answer = ask.answer()
                self.assertIn(answer.error, (code("ERR_MALFORMED"), code("ERR_LIMIT"),
                                             code("ERR_DENIED")), message)
            self.assertEqual(ask.ask(public.LOGS).error, 0)  # after all of them
        for length in (0, REQUEST_MAX + 1, 0xFFFFFFFF):
            with Public(self.socket) as ask:
                ask.socket.sendall(length.to_bytes(4, "big"))
                self.assertEqual(ask.socket.recv(1), b"", length)
        with Public(self.socket) as ask:  # the largest that is read at all
            body = field(2, "x" * (REQUEST_MAX - 10))
            message = field(public.FILE, body)
            self.assertLessEqual(len(message), REQUEST_MAX)
            ask.send(message)
            self.assertEqual(ask.answer().error, code("ERR_NOTFOUND"))

    def test_many_connections(self):
        """Past the cap the one that has been idle for longest goes; nobody is kept out by it."""
        first = Public(self.socket)
        first.ask(public.LOGS)
        held = [Public(self.socket) for _ in range(CLIENTS_MAX - 1)]
        for ask in held:
            self.assertEqual(ask.ask(public.LOGS).error, 0)
        with Public(self.socket) as late:
            self.assertEqual(late.ask(public.LOGS).error, 0)
        self.assertEqual(first.socket.recv(1), b"")
        self.assertEqual(held[-1].ask(public.LOGS).error, 0)
        self.assertEqual(self.hq.sauti("status").returncode, 0)  # its own cap, not this one
        for ask in [first, *held]:
            ask.close()

    def test_readers_that_stall(self):
        """As many as fill the cap on files do not read; others are served once they are closed."""
        stalled = []
        for _ in range(8):
            ask = Public(self.socket)
            ask.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            for _ in range(200):
                ask.send(field(public.FILE, field(1, self.origin) + field(2, "tile/entries/000")))
            stalled.append(ask)
        with Public(self.hq.dir / "run/control.sock", STALL_S / 2) as ask:  # another queue
            self.assertEqual(len(ask.file(self.origin, "tile/0/000").data), 8192)
        with Public(self.socket, 3 * STALL_S) as ask:
            self.assertEqual(len(ask.file(self.origin, "tile/0/000").data), 8192)
        for ask in stalled:
            ask.close()

    def test_asking_without_reading_costs_nothing(self):
        """Requests one behind the other are answered one after the other, as they are read."""
        logs = field(public.LOGS, b"")
        with Public(self.socket) as ask:
            for _ in range(300):
                ask.send(logs)
            for _ in range(300):
                self.assertEqual(len(ask.answer().docs), 3)

        def resident():
            text = Path(f"/proc/{self.hq.process.pid}/status").read_text()
            return int(text.split("VmRSS:")[1].split()[0]) // 1024

        before, held = resident(), [Public(self.socket) for _ in range(20)]
        for ask in held:
            message = field(public.STATUS, b"")
            frames = (len(message).to_bytes(4, "big") + message) * 60000
            try:
                ask.socket.setblocking(False)
                ask.socket.send(frames)
            except OSError:
                pass
        self.hq.sauti("status")
        self.assertLess(resident() - before, 64)
        for ask in held:
            ask.close()

    def test_idleness_is_not_kept_off(self):
        """What programs ask there by themselves does not keep a node unlocked."""
        self.haiti.stop()
        self.haiti.configure("[lock]\nidle = 10s\n")
        text = (self.haiti.dir / "sauti.conf").read_text()
        (self.haiti.dir / "sauti.conf").write_text(
            text.replace("[lock]\nidle = 10s\n", "").replace("[lock]\n", "[lock]\nidle = 10s\n", 1))
        self.haiti.start()
        with Public(self.haiti.dir / "run/public.sock") as ask:
            def locked():
                ask.file(self.origin, "checkpoint")
                return ask.ask(public.STATUS).docs[0]["locked"]
            wait_for("the node to lock itself", locked)
        self.haiti.unlock()


class Configured(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory(prefix="sauti-public-")
        self.network = Network(Path(self.scratch.name), BUILD, "test.example")
        self.hq = self.network.init()

    def tearDown(self):
        self.network.stop()
        self.scratch.cleanup()

    def test_none(self):
        self.hq.configure("[public]\nsocket = none\n")
        self.hq.start()
        self.assertEqual({p.name for p in (self.hq.dir / "run").iterdir()},
                         {"control.sock", "session"})
        self.assertEqual(self.hq.json("check-config")["public_socket"], "none")

    def test_logs_directory_and_none(self):
        self.hq.configure("[public]\nlogs = directory\n")
        self.hq.start()
        path, own = self.hq.dir / "run/public.sock", self.hq.own()["origin"]
        [directory] = [o for o in self.hq.logs() if o != own]
        with Public(path) as ask:
            self.assertEqual([d["origin"] for d in ask.ask(public.LOGS).docs], [directory])
            self.assertEqual(ask.file(directory, "checkpoint").error, 0)
            self.assertEqual(ask.file(own, "checkpoint").error, code("ERR_DENIED"))
            [status] = ask.ask(public.STATUS).docs
            self.assertEqual([d["origin"] for d in status["logs"]], [directory])
        with Public(self.hq.dir / "run/control.sock") as ask:  # its owner sees all
            self.assertEqual(len(ask.ask(public.LOGS).docs), 2)
            self.assertEqual(ask.file(own, "checkpoint").error, 0)
        self.hq.stop()
        conf = self.hq.dir / "sauti.conf"
        conf.write_text(conf.read_text().replace("logs = directory", "logs = none"))
        self.hq.start()
        with Public(path) as ask:
            self.assertEqual(ask.ask(public.LOGS).docs, [])
            self.assertEqual(ask.file(directory, "checkpoint").error, code("ERR_DENIED"))
            self.assertNotIn(own, json.dumps(ask.ask(public.STATUS).docs))

    def test_what_is_in_the_way(self):
        path = self.hq.dir / "run"
        path.mkdir(mode=0o700, exist_ok=True)
        (path / "public.sock").write_text("a file")
        with self.assertRaisesRegex(Failed, "public.sock' is there and is no socket"):
            self.hq.start()
        (path / "public.sock").unlink()
        with socket.socket(socket.AF_UNIX) as left:  # of a daemon that was killed
            left.bind(str(path / "public.sock"))
        self.hq.start()
        with Public(path / "public.sock") as ask:
            self.assertEqual(ask.ask(public.STATUS).error, 0)

    def test_group_that_is_not_there(self):
        self.hq.configure("[public]\ngroup = no-such-group-here\n")
        done = self.hq.sauti("check-config", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("no group of that name", done.stderr)
        with self.assertRaisesRegex(Failed, "no group of that name"):
            self.hq.start()


if __name__ == "__main__":
    BUILD = Path(sys.argv.pop(1)).resolve()
    unittest.main()
