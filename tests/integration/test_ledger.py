#!/usr/bin/env python3
"""The node's ledger: who looked at what, and what left it. test_ledger.py BUILD [unittest args]"""

import errno
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "tests" / "lib"))
from faults import Faults  # noqa: E402
from network import Network, wait_for  # noqa: E402

BUILD = Path()
DAY_S = 24 * 60 * 60


def varint(n):
    out = b""
    while n > 0x7F:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def field(number, value):
    """A field of a message, by hand."""
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


class Case(unittest.TestCase):
    """An office with one case; what it exports goes into a directory of its own."""

    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="sauti-test."))
        self.network = Network(self.root, BUILD, "test.example")
        try:
            hq = self.network.init()
            hq.start()
            self.node = self.network.join("caf", "CAF")
            hq.stop()
            self.node.start()
            self.out = self.root / "out"
            self.out.mkdir(mode=0o700)
            self.node.sauti("case", "open", "--code", "ZZ-ONE")
        except BaseException:
            self.tearDown()
            raise

    def tearDown(self):
        for node in self.network.nodes.values():
            if node.process is not None:
                node.kill()
        shutil.rmtree(self.root)

    # Short hands.

    def ledger(self, *args):
        return self.node.json("ledger", "list", *args)

    def views(self):
        return [e for e in self.ledger("--views") if e["type"] == "RECORD_VIEWED"]

    def waiting(self):
        return self.node.json("status")["views"]["waiting"]

    def written(self):
        """What waited is in the ledger."""
        wait_for("views in the ledger", lambda: self.waiting() == 0)
        return self.views()

    def show(self):
        return self.node.json("case", "show", "ZZ-ONE")

    def contact(self):
        """Needs the contact's data group."""
        self.node.sauti("case", "add", "ZZ-ONE", "--type", "CONTACT", "--field", "channel=PHONE",
                        "--field", "direction=OUT", "--field", "result=REACHED",
                        "--field", "substantive_update=Y", "--on", "2026-02-03")

    def restart(self, ahead=0):
        self.node.stop()
        self.node.env = {"LD_PRELOAD": str(BUILD / "tests" / "lib" / "clock.so"),
                         "CLOCK_AHEAD_S": str(ahead)}
        self.node.start()

    def export(self, path, *args, check=True):
        return self.node.sauti("--json", "case", "export", *args, "--to", path,
                               "--purpose", "lorem", check=check)


class Views(Case):
    def test_once_a_day(self):
        """Two looks on a day are one view, also over a lock and a restart; the next day another."""
        self.show()
        self.assertEqual(self.waiting(), 1)
        self.show()
        views = self.written()
        self.assertEqual(len(views), 1)
        self.assertEqual((views[0]["case"], views[0]["code"], views[0]["groups"]),
                         (self.show()["case_ref"], "ZZ-ONE", ["core"]))
        self.node.sauti("lock")
        self.node.unlock()
        self.show()
        self.restart()
        self.show()
        self.assertEqual((self.waiting(), len(self.views())), (0, 1))
        self.contact()  # more to see than this morning
        self.show()
        self.assertEqual(self.written()[-1]["groups"], ["core", "contact"])
        self.restart(ahead=DAY_S)
        self.show()
        views = self.written()
        self.assertEqual(len(views), 3)
        self.assertNotEqual(views[2]["occurred_on"], views[1]["occurred_on"])
        self.assertNotEqual(views[2]["log"], "")
        self.assertTrue(all(r["ok"] for r in self.node.json("log", "verify")))

    def test_no_view(self):
        """Opening, adding and listing are no looks at a case."""
        self.contact()
        self.node.sauti("case", "list")
        self.node.sauti("case", "show", "ZZ-NONE", check=False)
        self.node.sauti("ledger", "list", "--views")
        self.assertEqual((self.waiting(), self.views()), (0, []))

    def test_lock_and_stop(self):
        """Who looks and locks at once, or stops the node, is in the ledger."""
        self.show()
        self.node.sauti("lock")
        self.node.unlock()
        self.assertEqual(len(self.views()), 1)
        self.contact()
        self.show()
        self.assertEqual(self.waiting(), 1)
        self.assertEqual(self.node.stop(), 0)
        self.node.start()
        self.assertEqual(len(self.views()), 2)
        self.assertEqual(self.node.json("status")["views"], {"waiting": 0, "lost": 0})

    def test_panic_loses_and_says_so(self):
        """A panic waits for nothing; that a view is missing is counted."""
        self.show()
        self.node.sauti("panic")
        self.assertEqual(self.node.json("status")["views"], {"waiting": 0, "lost": 1})
        self.assertIn("1 views of cases are lost", self.node.log)
        self.node.unlock()
        self.show()
        self.assertEqual(len(self.written()), 1)

    def test_hidden(self):
        """The ledger is in no list of cases, cannot be shown and cannot be written."""
        self.show()
        ref = self.written()[0]["case_ref"]
        self.assertEqual([c["code"] for c in self.node.json("case", "list")], ["ZZ-ONE"])
        self.assertEqual(self.node.unlock()["cases"], 1)
        for args in (("show", ref), ("add", ref, "--type", "CONTACT"),
                     ("export", ref, "--to", self.out / "x", "--purpose", "lorem")):
            done = self.node.sauti("case", *args, check=False)
            self.assertEqual(done.returncode, 1, args)
            self.assertIn("no case", done.stderr)
        for event in ({"type": "CONTACT", "case_ref": ref}, {"type": "CASE_OPENED", "case_ref": ref},
                      {"type": "RECORD_VIEWED", "case_ref": ref, "who": "x", "case": ref}):
            done = self.node.sauti("case", "import", "-", stdin=json.dumps(event) + "\n", check=False)
            self.assertEqual(done.returncode, 1, event)
            self.assertIn("ledger", done.stderr)
        self.assertEqual(os.listdir(self.out), [])
        self.export(self.out / "all.jsonl")
        self.assertNotIn("RECORD_VIEWED", (self.out / "all.jsonl").read_text())
        self.assertNotIn(ref, (self.out / "all.jsonl").read_text())


class Roles(Case):
    """Who may read the ledger, and who stands in it."""

    def officer(self, name, roles):
        """Runs sauti as a new officer, who is logged in."""
        phrase, session = self.root / f"phrase-{name}", self.root / f"session-{name}"
        phrase.touch(mode=0o600)
        phrase.write_text(f"the passphrase of {name}\n", encoding="ascii")
        self.node.sauti("officer", "add", name, "--roles", roles, "--new-passphrase-file", phrase)

        def run(*args, check=True):
            return self.node.sauti(*args, check=check,
                                   env={**os.environ, "SAUTI_SESSION": str(session)})
        run("unlock", "--officer", name, "--passphrase-file", phrase)
        return run

    def test_who(self):
        paul = self.officer("paul", "officer")
        self.assertEqual(paul("case", "show", "ZZ-ONE", check=False).returncode, 1)  # not his
        self.assertEqual(self.waiting(), 0)
        self.node.sauti("case", "assign", "ZZ-ONE", "paul")
        paul("case", "show", "ZZ-ONE", "--purpose", "visit")
        self.show()
        self.show()
        views = self.written()
        self.assertEqual({(v["who"], v["recorded_by"], v.get("purpose")) for v in views},
                         {("paul", "paul", "visit"), ("caf", "caf", None)})
        self.assertEqual(len(views), 2)
        paul("case", "export", "--to", self.out / "x", "--purpose", "lorem")
        self.assertEqual(self.ledger()[-1]["who"], "paul")
        self.assertIn("paul", self.node.sauti("ledger", "list").stdout)
        self.assertIn("ZZ-ONE", self.node.sauti("ledger", "list", "--views").stdout)

    def test_may(self):
        """A supervisor reads all of it, an auditor what left the node, nobody else any."""
        self.show()
        self.written()
        self.export(self.out / "x")
        self.node.sauti("case", "assign", "ZZ-ONE", "paul")
        for name, roles, audit, views, exports in (
                ("paul", "officer", 5, 5, 0), ("rosa", "operator", 5, 5, 5),
                ("ines", "analyst", 5, 5, 5), ("omar", "auditor", 0, 5, 5),
                ("ruth", "supervisor", 0, 0, 0)):
            run = self.officer(name, roles)
            for args, status in ((("ledger", "list"), audit), (("ledger", "list", "--views"), views),
                                 (("case", "export", "--to", self.out / name, "--purpose", "lorem"),
                                  exports)):
                done = run(*args, check=False)
                self.assertEqual(done.returncode, status, (name, args, done.stderr))
                self.assertEqual(status == 5, "role" in done.stderr, done.stderr)
            run("logout")
        omar = self.officer("olga", "auditor")
        listed = omar("--json", "ledger", "list").stdout
        self.assertIn("EXPORT_MADE", listed)
        self.assertNotIn("RECORD_VIEWED", listed)
        self.assertNotIn("ZZ-ONE", listed)
        self.assertEqual(sorted(os.listdir(self.out)), ["paul", "ruth", "x"])
        self.node.sauti("logout")
        self.assertEqual(self.node.sauti("ledger", "list", check=False).returncode, 5)


class Disk(Case):
    """A disk that takes nothing for a while."""

    def setUp(self):
        super().setUp()
        self.faults = Faults(self.root / "faults", BUILD)
        self.node.stop()
        self.node.env = self.faults.env
        self.node.start()

    def test_reads_go_on(self):
        """The case is shown, the view waits and is written later; nothing is exported meanwhile."""
        self.faults.arm("write", self.node.dir, errno.ENOSPC)
        self.assertEqual(len(self.show()["events"]), 1)
        for _ in range(2):
            done = self.export(self.out / "x", check=False)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn("nothing was exported", done.stderr)
        self.show()
        self.assertEqual(self.waiting(), 1)
        wait_for("the disk to be known", lambda: self.node.json("status")["store"]["message"])
        self.assertEqual((self.waiting(), os.listdir(self.out)), (1, []))
        self.faults.disarm()
        self.assertEqual(len(self.written()), 1)
        self.assertEqual([e["type"] for e in self.ledger()], [])
        self.export(self.out / "x")
        self.assertEqual(len(self.ledger()), 1)
        self.assertTrue(all(r["ok"] for r in self.node.json("log", "verify")))


class Exports(Case):
    def test_export(self):
        """The file is private, whole, what the ledger says, and can be imported again."""
        path = self.out / "cases.jsonl"
        said = json.loads(self.export(path, "ZZ-ONE").stdout)
        data = path.read_bytes()
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        self.assertEqual(hashlib.sha256(data).hexdigest(), said["file_hash"])
        self.assertEqual((said["cases"], said["events"], said["bytes"]), (1, 1, len(data)))
        event = self.ledger()[-1]
        for name in ("file_hash", "groups", "format", "log", "index"):
            self.assertEqual(event[name], said[name], name)
        self.assertEqual((event["type"], event["case_count"], event["purpose"], event["cases"]),
                         ("EXPORT_MADE", 1, "lorem", [self.show()["case_ref"]]))
        self.assertEqual(json.loads(data)["case_code"], "ZZ-ONE")
        again = self.node.sauti("case", "import", path)
        self.assertIn("added: 0", again.stdout)

        csv = subprocess.run([BUILD / "sauti", "--dir", self.node.dir, "case", "export", "--format",
                              "CSV", "--to", "-", "--purpose", "lorem"], capture_output=True,
                             check=True)
        self.assertIn(b"ZZ-ONE", csv.stdout)
        self.assertIn(hashlib.sha256(csv.stdout).hexdigest().encode(), csv.stderr)
        self.export(self.out / "page.html", "ZZ-ONE", "--format", "handover")
        self.assertIn("ZZ-ONE", (self.out / "page.html").read_text())
        self.assertEqual([e["format"] for e in self.ledger()], ["JSONL", "CSV", "HANDOVER"])
        self.assertEqual(self.ledger("--since", "2999-01-01"), [])

    def test_refused(self):
        """Nothing is replaced, nothing is left behind, and nothing stands in the ledger for it."""
        path = self.out / "x"
        path.write_text("mine")
        for args, status, words in (
                (("--to", path, "--purpose", "lorem"), 1, "is there"),
                (("--to", self.out / "y", "--purpose", "lorem", "--format", "odt"), 1, "format"),
                (("--to", self.out / "none" / "y", "--purpose", "lorem"), 1, "y"),
                (("ZZ-NONE", "--to", self.out / "y", "--purpose", "lorem"), 1, "no case"),
                (("--to", self.out / "y"), 2, "--purpose"),
                (("--purpose", "lorem"), 2, "--to"),
                (("--to", self.out / "y", "--purpose", "x" * 201), 2, "200"),
                (("--to", self.out / "y", "--purpose", ""), 2, "--purpose")):
            done = self.node.sauti("case", "export", *args, check=False)
            self.assertEqual(done.returncode, status, args)
            self.assertIn(words, done.stderr)
        self.assertEqual((path.read_text(), os.listdir(self.out)), ("mine", ["x"]))
        self.node.sauti("lock")
        done = self.export(self.out / "y", check=False)
        self.assertEqual(done.returncode, 5)
        self.node.unlock()
        self.assertEqual(self.ledger(), [])
        self.export(self.out / "y", "ZZ-ONE", "zz-one")
        self.assertEqual(self.ledger()[-1]["case_count"], 1)

    def test_named_cap(self):
        """4,096 cases may be named in one request, twice or not; one more is refused."""
        token = bytes.fromhex((self.node.dir / "run" / "session").read_text().strip())
        for count, says in ((4096, b"file_hash"), (4097, b"4096 cases")):
            body = field(1, "ZZ-ONE") * count + field(2, "JSONL") + field(3, "lorem")
            message = field(91, body) + field(200, token)
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(30)
                s.connect(str(self.node.dir / "run" / "control.sock"))
                s.sendall(len(message).to_bytes(4, "big") + message)
                self.assertIn(says, s.recv(65536))
        self.assertEqual([e["case_count"] for e in self.ledger()], [1])

    def test_kill(self):
        """Whenever the node is killed: no file, or a file whose hash the ledger has."""
        events = subprocess.run([SOURCE / "scripts" / "synth", "--seed", "7", "--size", "demo"],
                                capture_output=True, check=True).stdout
        lines = [line for line in events.splitlines() if b'"CONFLICT_RESOLVED"' not in line]
        (self.root / "events").write_bytes(b"\n".join(lines) + b"\n")
        self.node.sauti("case", "import", self.root / "events")
        started = time.monotonic()
        self.export(self.out / "whole")
        took = time.monotonic() - started
        files = 0
        for n in range(12):
            path = self.out / f"{n}.jsonl"
            process = subprocess.Popen(
                [BUILD / "sauti", "--dir", self.node.dir, "case", "export", "--to", path,
                 "--purpose", "lorem"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(took * n / 10)  # somewhere in it: every outcome is checked
            self.node.kill()
            process.wait(60)
            self.node.start()
            hashes = {e["file_hash"] for e in self.ledger()}
            if path.exists():
                files += 1
                self.assertIn(hashlib.sha256(path.read_bytes()).hexdigest(), hashes)
        self.assertEqual([f for f in os.listdir(self.out) if f.count(".") > 1], [])
        self.assertEqual(len(os.listdir(self.out)), 1 + files)
        self.assertTrue(all(r["ok"] for r in self.node.json("log", "verify")))

    def test_killed_client(self):
        """A client that goes away in the middle ends nothing but its own export."""
        for n in range(5):
            process = subprocess.Popen(
                [BUILD / "sauti", "--dir", self.node.dir, "case", "export", "--to",
                 self.out / f"{n}", "--purpose", "lorem"], stdout=subprocess.DEVNULL)
            time.sleep(0.01 * n)
            process.kill()
            process.wait()
        self.export(self.out / "whole")
        self.assertEqual(self.ledger()[-1]["case_count"], 1)


if __name__ == "__main__":
    BUILD = Path(sys.argv.pop(1)).resolve()
    unittest.main(verbosity=2)
