#!/usr/bin/env python3
"""Receipts of victims: six words, the daily batch, what proves the first contact and what does not.
test_receipts.py BUILD [unittest arguments]"""
import base64
import functools
import hashlib
import http.server
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
for room in (("tests", "lib"), ("tests", "vectors"), ("tests", "seizure")):
    sys.path.insert(0, str(SOURCE.joinpath(*room)))
import derive  # noqa: E402
import found  # noqa: E402
import network  # noqa: E402
import open_receipt  # noqa: E402
from cases import agreed, lines, opened, said  # noqa: E402
from terminal import Terminal  # noqa: E402

BUILD = Path(sys.argv.pop(1) if len(sys.argv) > 1 else "build-dev").resolve()
QUICK = "\n[replication]\ndial_retry_min = 20ms\ndial_retry_max = 200ms\nhave_delay = 50ms\n"
DAY_S = 24 * 60 * 60
SOON_S = DAY_S + 3700  # a day, and the delay at its longest
WORDS = (SOURCE / "base" / "words-english.txt").read_text(encoding="ascii").split()
WORD_LIST = set(WORDS)
SIX = re.compile(r"^    (\w+(?: \w+){5})$", re.MULTILINE)


def wait_for(what, condition):
    """As network.wait_for, for a machine that may be busy."""
    return network.wait_for(what, condition, 90)


class Receipts(unittest.TestCase):
    """Headquarters, an office with a case, and another office. Each has a clock of its own."""

    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="sauti-receipts-"))
        self.net = network.Network(self.root, BUILD)
        try:
            self.hq = self.net.init()
            self.hq.configure(QUICK)
            self.clock(self.hq, 0)
            self.hq.start()
            self.haiti = self.office("haiti", "HTI")
            self.record(opened(1, "ZZ-ONE"), agreed(1, f"{1:032x}"), opened(2, "ZZ-TWO"))
        except BaseException:
            self.tearDown()
            raise

    def tearDown(self):
        self.net.stop()
        shutil.rmtree(self.root)

    # Short hands.

    def office(self, name, country):
        node = self.net.join(name, country, config=QUICK)
        self.clock(node, 0)
        node.start()
        return node

    def clock(self, node, ahead):
        """So far ahead goes its clock."""
        path = self.root / f"{node.name}.clock"
        path.with_suffix(".new").write_text(f"{ahead}\n", encoding="ascii")
        path.with_suffix(".new").rename(path)
        node.env = {"LD_PRELOAD": str(BUILD / "tests" / "lib" / "clock.so"),
                    "CLOCK_AHEAD_FILE": str(path)}

    def record(self, *events):
        self.haiti.sauti("case", "import", "-", stdin=lines(*events))

    def relock(self, node=None):
        """What is due is looked at once the log is open, and else every minute."""
        node = node or self.haiti
        node.sauti("lock")
        node.unlock()

    def give(self, case="ZZ-ONE", *args):
        given = self.haiti.json("case", "receipt", case, "--yes", *args)
        self.assertEqual(given["state"], "provisional")
        return given["words"]

    def states(self, case="ZZ-ONE"):
        return [r["state"] for r in self.haiti.json("case", "receipt", case, "--status")]

    def entries(self, node=None):
        """The entries of haiti's log as this node exports them."""
        origin = self.haiti.own()["origin"]
        out = Path(tempfile.mkdtemp(dir=self.root))
        (node or self.haiti).sauti("log", "export", out, origin)
        found = []
        for path in sorted((out / origin / "tile" / "entries").rglob("*")):
            data = path.read_bytes() if path.is_file() else b""
            while data:
                size = struct.unpack(">H", data[:2])[0]
                found.append(data[2:2 + size])
                data = data[2 + size:]
        return found

    def batches(self, node=None):
        return {i: batch[2] for i, entry in enumerate(self.entries(node))
                if (batch := open_receipt.read_batch(entry)) is not None}

    def rows(self):
        """Rows of kind 13 in haiti's keyring, whatever page they lie in, opened by the passphrase."""
        evidence = found.Evidence()
        evidence.add_tree(self.haiti.dir)
        closure = derive.Closure(evidence, (network.PASSPHRASE.encode(),)).run()
        return list({plain for kind, plain in closure.rows if kind == 13})

    def next_batch(self, ahead, count):
        """The clock goes on; the batch is there."""
        self.clock(self.haiti, ahead)
        self.relock()
        wait_for(f"{count} batches", lambda: len(self.batches()) == count)


class Giving(Receipts):
    def test_words(self):
        """They are told once, in the answer, after the event is durable; and are nowhere else."""
        before = self.haiti.own()["size"]
        words = self.give()
        self.assertEqual(len(words.split()), 6)
        self.assertLessEqual(set(words.split()), WORD_LIST)
        event = self.haiti.json("case", "show", "ZZ-ONE")["events"][-1]
        self.assertEqual((event["type"], event["medium"]), ("RECEIPT_GIVEN", "WORDS"))
        self.assertNotIn("risk_discussed_on", event)
        self.assertEqual(self.haiti.own()["size"], before + 2)  # the event, and the view of it
        self.assertEqual(self.states(), ["provisional"])
        self.assertNotEqual(self.give(), words)
        self.assertEqual(self.states(), ["provisional"] * 2)
        self.haiti.stop()
        for path in self.root.rglob("*"):
            if path.is_file() and not path.is_symlink():
                self.assertNotIn(words.encode(), path.read_bytes(), path)

    def test_said_back(self):
        """Typed wrong they are shown again; typed right the screen is cleared."""
        argv = [BUILD / "sauti", "--dir", self.haiti.dir, "case", "receipt", "ZZ-ONE"]
        with Terminal(argv, os.environ) as terminal:
            terminal.answer("")  # hides them
            words = SIX.search(terminal.screen).group(1)
            self.assertLessEqual(set(words.split()), WORD_LIST)
            terminal.answer(" ".join(reversed(words.split())))
            terminal.answer("")
            self.assertIn("not the words, or not in their order", " ".join(terminal.screen.split()))
            terminal.answer("zebra and what not")
            terminal.answer("")
            terminal.answer(words.upper())
            self.assertEqual(terminal.end(), 0)
            self.assertIn("receipt given, provisional", terminal.screen)
            self.assertTrue(terminal.screen.rindex("\033[2J") > terminal.screen.rindex(words))
        self.assertEqual(self.states(), ["provisional"])
        with Terminal(argv, os.environ) as terminal:
            for _ in range(5):
                terminal.answer("")
                terminal.answer("zoo zoo zoo zoo zoo zoo")
            self.assertEqual(terminal.end(), 1)
            self.assertIn("the words were not said back", " ".join(terminal.screen.split()))
        self.assertEqual(len(self.states()), 2)

    def test_paper(self):
        """Refused before the talk; then a page with the words, their QR code, and nothing else."""
        page = self.root / "page.html"

        def paper(*args):
            return self.haiti.sauti("case", "receipt", "ZZ-ONE", "--paper", page, *args, check=False)
        done = paper()
        self.assertEqual(done.returncode, 2)
        self.assertIn("only after the risk was talked about", done.stderr)
        self.assertEqual(paper("--risk-discussed-on", "2999-01-01").returncode, 1)
        self.assertFalse(page.exists())
        self.assertEqual(self.states(), [])
        done = paper("--risk-discussed-on", "today")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(page.stat().st_mode & 0o777, 0o600)
        text = page.read_text(encoding="ascii")
        words = re.search(r"<p>([a-z ]+)</p>", text).group(1)
        self.assertEqual(len(words.split()), 6)
        self.assertNotIn(words, done.stdout + done.stderr)
        svg = re.search(r"<svg .*</svg>", text).group(0)
        self.assertEqual(text, '<!DOCTYPE html>\n<html><meta charset="utf-8">\n'
                         "<style>body{margin:2cm;font:16pt monospace}</style>\n"
                         f"<p>{words}</p>\n{svg}\n</html>\n")
        self.assertRegex(svg, r'\A<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \d+ \d+" width="60mm" '
                         r'height="60mm" shape-rendering="crispEdges"><path d="(M\d+,\d+h1v1h-1z)+"/></svg>\Z')
        event = self.haiti.json("case", "show", "ZZ-ONE")["events"][-1]
        self.assertEqual(event["medium"], "PAPER")
        self.assertRegex(event["risk_discussed_on"], r"\A20\d\d-\d\d-\d\d\Z")
        # What is there is not replaced, and the node is not asked.
        self.assertEqual(paper("--risk-discussed-on", "today").returncode, 1)
        self.assertEqual(len(self.states()), 1)

    def test_the_qr_code_has_the_words(self):
        if shutil.which("zbarimg") is None or shutil.which("rsvg-convert") is None:
            self.skipTest("zbarimg (zbar-tools) or rsvg-convert (librsvg2-bin) is not installed")
        page = self.root / "page.html"
        self.haiti.sauti("case", "receipt", "ZZ-ONE", "--paper", page, "--risk-discussed-on", "today")
        text = page.read_text(encoding="ascii")
        svg, png = self.root / "code.svg", self.root / "code.png"
        svg.write_text(re.search(r"<svg .*</svg>", text).group(0), encoding="ascii")
        subprocess.run(["rsvg-convert", "-b", "white", "-w", "600", "-o", png, svg], check=True)
        read = subprocess.run(["zbarimg", "--raw", "-q", png], capture_output=True, text=True, check=True)
        self.assertEqual(read.stdout.strip(), re.search(r"<p>([a-z ]+)</p>", text).group(1))

    def test_whose_case_it_is(self):
        """An officer sees her own cases alone; an operator none; a node that is locked gives none."""
        for name, role in (("ada", "officer"), ("rita", "operator")):
            self.haiti.sauti("officer", "add", name, "--roles", role, "--new-passphrase-file",
                             self.net.passphrase)
        self.haiti.sauti("lock")
        for name, says in (("ada", "no case 'ZZ-TWO' is known here"), ("rita", "officer or supervisor")):
            self.haiti.sauti("unlock", "--officer", name, "--passphrase-file", self.net.passphrase)
            done = self.haiti.sauti("case", "receipt", "ZZ-TWO", "--yes", check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(says, done.stderr)
            done = self.haiti.sauti("case", "receipt", "ZZ-TWO", "--status", check=False)
            self.assertNotEqual(done.returncode, 0)
            self.haiti.sauti("lock")
        self.assertEqual(self.haiti.sauti("case", "receipt", "ZZ-TWO", "--yes", check=False).returncode, 5)

    def test_sixteen_and_no_more(self):
        for _ in range(16):
            self.give("ZZ-TWO")
        done = self.haiti.sauti("case", "receipt", "ZZ-TWO", "--yes", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("16 receipts were given for this case already", done.stderr)
        self.give("ZZ-ONE")
        # Seventeen wait: the next batch is a large one.
        self.next_batch(SOON_S, 1)
        self.assertEqual([len(items) for items in self.batches().values()], [64])


class Batches(Receipts):
    def test_a_day(self):
        """Never in the first day; then the tag is among fifteen others, and confirmed once the quorum
        holds it. The next day there is another one, though nobody waits."""
        words = self.give()
        tag = open_receipt.derive(words, self.net.name)[0]
        self.clock(self.haiti, DAY_S - 60)
        self.relock()
        self.haiti.sauti("case", "list")  # behind the look at what is due
        self.assertEqual((self.batches(), self.states()), ({}, ["provisional"]))
        self.hq.stop()
        self.next_batch(SOON_S, 1)
        (at, items), = self.batches().items()
        self.assertEqual(len(items), 16)
        self.assertEqual(sum(item[:32] == tag for item in items), 1)
        item, = (item for item in items if item[:32] == tag)
        origin, index, leaf = open_receipt.open_item(item, words, self.net.name)
        entry = self.entries()[index]
        self.assertEqual(origin, hashlib.sha256(self.haiti.own()["origin"].encode()).digest())
        self.assertEqual(leaf, hashlib.sha256(b"\0" + entry).digest())
        self.assertLess(index, at)
        wait_for("the row to know", lambda: self.states() == ["logged"])
        self.hq.start()
        wait_for("the quorum", lambda: self.states() == ["confirmed"])
        self.assertIn("\nreceipts: 1 confirmed\n", self.haiti.sauti("case", "show", "ZZ-ONE").stdout)
        self.relock()  # .. and remembered
        self.assertEqual(self.states(), ["confirmed"])
        self.assertEqual(len(self.batches()), 1)
        self.next_batch(2 * SOON_S, 2)
        wait_for("it at headquarters", lambda: len(self.batches(self.hq)) == 2)
        last = self.batches(self.hq)[max(self.batches())]
        self.assertEqual(len(last), 16)
        self.assertFalse({i[:32] for i in last} & {i[:32] for i in items})

    def test_late(self):
        """Three days, and nobody holds it: the office is told."""
        self.hq.stop()
        self.give()
        self.assertEqual(self.haiti.json("case", "today")["sections"]["receipts"], 0)
        self.next_batch(3 * DAY_S + 60, 1)
        self.assertEqual(self.haiti.json("case", "today")["sections"]["receipts"], 1)
        self.assertIn("Receipts that are not confirmed\n  ZZ-ONE  1, given three days ago",
                      self.haiti.sauti("today").stdout)
        self.hq.start()
        wait_for("the quorum", lambda: self.states() == ["confirmed"])
        self.relock()
        wait_for("it to be done", lambda: self.haiti.json("case", "today")["sections"]["receipts"] == 0)

    def test_clocks(self):
        """Ahead and back: one a day at most, and it goes on."""
        self.relock()
        self.haiti.sauti("case", "list")
        self.next_batch(40 * DAY_S, 1)
        self.clock(self.haiti, 0)
        self.relock()
        self.haiti.sauti("case", "list")
        self.clock(self.haiti, DAY_S - 60)
        self.relock()
        self.haiti.sauti("case", "list")
        self.assertEqual(len(self.batches()), 1)
        self.next_batch(SOON_S, 2)

    def test_kills(self):
        """However often it is killed about the time of the batch: each tag stands there once."""
        for n in range(3):
            words = self.give()
            tag = open_receipt.derive(words, self.net.name)[0]
            self.clock(self.haiti, (n + 1) * SOON_S)
            self.haiti.sauti("lock")
            unlock = subprocess.Popen([BUILD / "sauti", "--dir", self.haiti.dir, "unlock",
                                       "--passphrase-file", self.net.passphrase],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if n == 0:
                unlock.wait(60)  # killed just behind the unlock, else somewhere in it
            self.haiti.kill()
            unlock.wait(60)
            self.haiti.start()
            wait_for("the batch", lambda n=n: len(self.batches()) == n + 1)
            self.haiti.kill()
            self.haiti.start()
            self.haiti.sauti("case", "list")
            tags = [item[:32] for items in self.batches().values() for item in items]
            self.assertEqual(len(self.batches()), n + 1)
            self.assertEqual(tags.count(tag), 1)

    def test_erased(self):
        """The case is erased before the batch: the tag gets in all the same, and proves that the record
        existed; nothing is left of which case it was."""
        words = self.give()
        index = next(i for i, e in enumerate(self.haiti.json("case", "show", "ZZ-ONE")["events"])
                     if e["type"] == "CASE_OPENED")
        self.assertEqual(index, 0)
        self.haiti.sauti("case", "erase", "ZZ-ONE", "--reason", "withdrawn-consent", "--yes")
        self.assertEqual(self.haiti.sauti("case", "receipt", "ZZ-ONE", "--status", check=False).returncode, 1)
        self.net.settle()
        self.next_batch(SOON_S, 1)
        (_, items), = self.batches().items()
        tag = open_receipt.derive(words, self.net.name)[0]
        item, = (item for item in items if item[:32] == tag)
        _, at, leaf = open_receipt.open_item(item, words, self.net.name)
        self.assertEqual(leaf, hashlib.sha256(b"\0" + self.entries()[at]).digest())
        done = self.haiti.sauti("receipt", "check", "--words-file", "-", stdin=words + "\n", check=False)
        self.assertIn(done.returncode, (0, 1), done.stderr)  # the quorum may be on its way
        self.assertIn(f"record  entry {at} of log", done.stdout)
        # Held by the quorum, and the keyring written anew by another erasure: no row is left of it.
        self.net.settle()
        self.relock()
        self.haiti.sauti("case", "erase", "ZZ-TWO", "--reason", "withdrawn-consent", "--yes")
        self.haiti.stop()
        self.assertEqual([row[1] for row in self.rows()], [4])


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Checking(Receipts):
    """Somewhere else: what the six words prove."""

    def setUp(self):
        super().setUp()
        self.words = self.give()
        self.next_batch(SOON_S, 1)
        wait_for("the quorum", lambda: self.states() == ["confirmed"])
        self.net.settle()

    def check(self, node, *args, words=None):
        return node.sauti("receipt", "check", *args, "--words-file", "-", stdin=(words or self.words) + "\n",
                          check=False)

    def outside(self, *args, words=None):
        """Where there is no node."""
        return subprocess.run([BUILD / "sauti", "--dir", self.root / "nowhere", "receipt", "check",
                               *map(str, args), "--words-file", "-"], input=(words or self.words) + "\n",
                              capture_output=True, text=True, check=False)

    def served(self, out):
        """The same by HTTP, as any web server would have it."""
        handler = functools.partial(Quiet, directory=out)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}"

    def exported(self):
        out = Path(tempfile.mkdtemp(dir=self.root)) / "export"
        self.hq.sauti("log", "export", out)
        policy = out.with_suffix(".policy")
        policy.write_text(self.hq.sauti("log", "policy").stdout, encoding="utf-8")
        return out, policy

    def test_at_another_office_and_at_an_auditor(self):
        origin = self.haiti.own()["origin"]
        (at, _), = self.batches().items()
        out, policy = self.exported()
        vkey = next(line.split()[1] for line in policy.read_text().splitlines() if "/directory/" in line)
        self.hq.sauti("bundle", "export", "--to", self.root / "stick")
        stick = next(p for p in sorted(self.root.glob("stick*")) if p.is_file())
        for done in (self.check(self.hq), self.check(self.haiti, "node"), self.outside(out, "--policy", policy),
                     self.outside(out, "--directory", vkey), self.outside(stick, "--policy", policy),
                     self.outside(self.served(out), "--policy", policy)):
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertTrue(done.stdout.startswith("PROVEN\n"), done.stdout)
            self.assertIn(f"batch   entry {at} of log {origin}\n", done.stdout)
            self.assertIn("by      demo.example/mirror/hq at 20", done.stdout)
            six = self.words.split()  # one of them may be a word that is said anyway
            for three in zip(six, six[1:], six[2:]):
                self.assertNotIn(" ".join(three), " ".join((done.stdout + done.stderr).split()))
        # Typed as people type; and nothing of what was typed is repeated.
        self.assertEqual(self.check(self.hq, words="  " + self.words.upper().replace(" ", "  ")).returncode, 0)
        done = self.check(self.hq, words=" ".join([*six[:2], "notaword", *six[3:]]))
        self.assertEqual(done.returncode, 1)
        self.assertIn("word 3 is none of the list", done.stderr)
        done = self.check(self.hq, words="zoo " * 6)
        self.assertEqual(done.returncode, 1)
        self.assertIn("none of the 1 batches in ", done.stderr)
        self.assertEqual(self.outside(out).returncode, 2)  # whom to believe?
        # Not confirmed yet: the same, and said so.
        self.hq.stop()
        words = self.give("ZZ-TWO")
        self.next_batch(2 * SOON_S, 2)
        done = self.check(self.haiti, words=words)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertTrue(done.stdout.startswith("IN THE LOG, NOT CONFIRMED\n"), done.stdout)

    def test_a_changed_export_proves_nothing(self):
        out, policy = self.exported()
        origin = self.haiti.own()["origin"]
        file = next((out / origin / "tile" / "entries").rglob("000.p/*"))
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
        self.assertIn(self.outside(out, "--policy", policy).returncode, (1, 4))

    def test_a_denial_is_refuted(self):
        """By two files, six words, openssl, and a program that has nothing of ours: docs/OPERATIONS and
        sauti(1) say how."""
        out, policy = self.exported()
        proofs = self.root / "proofs"
        done = self.outside(out, "--policy", policy, "--proof", proofs)
        self.assertEqual(done.returncode, 0, done.stderr)
        names = ("batch.tlog-proof", "record.tlog-proof")
        self.assertEqual(sorted(p.name for p in proofs.iterdir()), list(names))
        for name in names:
            audit = subprocess.run([BUILD / "sauti", "audit", "proof", proofs / name, "--policy", policy],
                                   capture_output=True, text=True, check=False)
            self.assertEqual(audit.returncode, 0, audit.stderr)
            self.assertIn("PROVEN", audit.stdout)
            self.assertIn("\nnot sealed: " if name == names[0] else "\nsealed: ", audit.stdout)
        batch, record = (tlog_proof(proofs / name) for name in names)
        vkey = next(line.split()[1] for line in policy.read_text().splitlines()
                    if line.startswith("log " + self.haiti.own()["origin"]))
        for proof in (batch, record):
            self.openssl_verifies(proof["note"], vkey)
            self.assertEqual(root_of(proof), proof["root"])
        items = open_receipt.read_batch(batch["entry"])[2]
        tag = open_receipt.derive(self.words, self.net.name)[0]
        item, = (item for item in items if item[:32] == tag)
        origin, index, leaf = open_receipt.open_item(item, self.words, self.net.name)
        self.assertEqual(origin, hashlib.sha256(record["origin"].encode()).digest())
        self.assertEqual(index, record["index"])
        self.assertEqual(leaf, hashlib.sha256(b"\0" + record["entry"]).digest())
        # A byte of either, and nothing holds any more.
        self.assertNotEqual(root_of(batch | {"entry": batch["entry"][:-1] + b"x"}), batch["root"])
        again = self.outside(out, "--policy", policy, "--proof", proofs)
        self.assertEqual(again.returncode, 1)
        self.assertIn("is there already", again.stderr)

    def openssl_verifies(self, note, vkey):
        """The log's own signature line, by openssl pkeyutl alone."""
        name, _, key = vkey.split("+", 2)
        text, signatures = note.split("\n\n")
        line = next(s for s in signatures.splitlines() if s.split()[1] == name)
        files = {"key": bytes.fromhex("302a300506032b6570032100") + base64.b64decode(key)[1:],
                 "sig": base64.b64decode(line.split()[2])[4:], "text": (text + "\n").encode()}
        for suffix, data in files.items():
            (self.root / suffix).write_bytes(data)
        done = subprocess.run(["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER", "-inkey",
                               self.root / "key", "-in", self.root / "text", "-sigfile", self.root / "sig"],
                              capture_output=True, text=True, check=False)
        self.assertIn("Signature Verified Successfully", done.stdout + done.stderr)

    def test_seized(self):
        """Everything of the office, with the passphrase, without the words. That an item is of that event is
        known until the quorum holds it, and from free pages of the keyring until an erasure writes that
        anew; then there is nothing. The words are in no file."""
        tag = open_receipt.derive(self.words, self.net.name)[0]
        self.hq.stop()
        self.give("ZZ-TWO")
        self.relock()
        self.haiti.stop()
        states = {row[1] for row in self.rows()}
        self.assertLessEqual({1, 3, 4}, states)  # one waits, one is confirmed, and the clock
        self.haiti.start()
        self.record(opened(3, "ZZ-THREE"))
        self.haiti.sauti("case", "erase", "ZZ-THREE", "--reason", "withdrawn-consent", "--yes")
        self.haiti.stop()
        rows = self.rows()
        self.assertEqual(sorted(row[1] for row in rows), [1, 3, 4])
        confirmed = next(row for row in rows if row[1] == 3)
        self.assertEqual(len(confirmed), 2 + 16 + 8)  # state, event, no time, no item
        self.assertEqual(confirmed[18:], bytes(8))
        self.assertFalse(any(tag in row for row in rows))
        for path in self.root.rglob("*"):
            if path.is_file() and not path.is_symlink():
                self.assertNotIn(self.words.encode(), path.read_bytes(), path)


def tlog_proof(path):
    """A .tlog-proof: index, hashes, the note, and the entry out of Sauti's extra data."""
    head, note = path.read_text(encoding="utf-8").split("\n\n", 1)
    lines_ = head.splitlines()
    extra = base64.b64decode(lines_[1].split()[1])
    size = struct.unpack(">H", extra[2:4])[0]
    text = note.splitlines()
    return {"entry": extra[4:4 + size], "index": int(lines_[2].split()[1]),
            "hashes": [base64.b64decode(line) for line in lines_[3:]], "note": note,
            "origin": text[0], "size": int(text[1]), "root": base64.b64decode(text[2])}


def root_of(proof):
    """RFC 9162 2.1.3.2."""
    fn, sn = proof["index"], proof["size"] - 1
    r = hashlib.sha256(b"\0" + proof["entry"]).digest()
    for p in proof["hashes"]:
        if fn & 1 or fn == sn:
            r = hashlib.sha256(b"\1" + p + r).digest()
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = hashlib.sha256(b"\1" + r + p).digest()
        fn, sn = fn >> 1, sn >> 1
    return r


# ---- an office that lies: logs made by hand ----

def varint(value):
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def data_field(number, value):
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def leaf_of(entry):
    return hashlib.sha256(b"\0" + entry).digest()


def tree_root(leaves):
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\1" + tree_root(leaves[:k]) + tree_root(leaves[k:])).digest()


class Lies(unittest.TestCase):
    """A dishonest office signs what it likes. Its log is made here, as an export with a policy."""

    WORDS = "zoo zoo zoo zoo zoo lend"
    ORIGIN = "lies.example/office/1-0123456789abcdef"

    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="sauti-lies-"))
        try:
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        except ImportError:
            self.skipTest("python3-cryptography is not installed")
        self.log, self.node = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2))
        self.key_of = lambda origin: self.log if origin == self.ORIGIN else Ed25519PrivateKey.from_private_bytes(
            hashlib.sha256(origin.encode()).digest())
        body = (data_field(1, self.ORIGIN) + data_field(2, self.public()) + b"\x20" + varint(1700000000))
        self.entries = [self.record(1, "log-opened", body),
                        data_field(1, b"\x08\x01" + data_field(5, b"sealed, as far as anybody can see" * 8)),
                        data_field(1, b"\x08\x01" + data_field(5, b"of another case" * 9))]
        self.others, self.quorum, self.rubbish, self.lines = {}, "quorum none\n", 0, ""
        self.tag, self.commitment, self.key, self.nonce = open_receipt.derive(self.WORDS, "lies.example")

    def tearDown(self):
        shutil.rmtree(self.root)

    def public(self, origin=ORIGIN):
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
        return self.key_of(origin).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def record(self, kind, purpose, body):
        signature = self.node.sign(b"sauti/1 " + purpose.encode() + b"\0" + body)
        return data_field(2, b"\x08" + varint(kind) + data_field(2, body) + data_field(3, signature))

    def item(self, index, leaf, origin=None, version=1):
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        box = (bytes([version]) + hashlib.sha256((origin or self.ORIGIN).encode()).digest() +
               struct.pack(">Q", index) + leaf)
        return self.tag + self.commitment + AESGCM(self.key).encrypt(
            self.nonce, box, b"sauti/1 receipt box" + self.tag)

    def batch(self, *items, count=16, shuffled=False):
        filler = [hashlib.sha256(bytes([n])).digest() + bytes(121) for n in range(count - len(items))]
        items = sorted([*items, *filler], reverse=shuffled)
        self.entries.append(self.record(13, "receipt-tags", data_field(1, b"".join(items))))

    def write(self, out, origin, entries):
        """A log, signed; its line of the policy."""
        leaves = [leaf_of(e) for e in entries]
        for name, data in (("tile/0/000.p", b"".join(leaves)),
                           ("tile/entries/000.p", b"".join(struct.pack(">H", len(e)) + e for e in entries))):
            (out / origin / name).mkdir(parents=True)
            (out / origin / name / str(len(leaves))).write_bytes(data)
        raw = b"\x01" + self.public(origin)
        key_id = hashlib.sha256(origin.encode() + b"\n" + raw).digest()[:4]
        text = f"{origin}\n{len(leaves)}\n{base64.b64encode(tree_root(leaves)).decode()}\n"
        line = base64.b64encode(key_id + self.key_of(origin).sign(text.encode())).decode()
        (out / origin / "checkpoint").write_text(f"{text}\n\u2014 {origin} {line}\n" + self.lines, encoding="utf-8")
        return f"log {origin}+{key_id.hex()}+{base64.b64encode(raw).decode()}\n"

    def check(self, *args, words=None):
        out = self.root / "export"
        shutil.rmtree(out, ignore_errors=True)
        policy = self.root / "policy"
        policy.write_text("".join(self.write(out, *log) for log in (
            (self.ORIGIN, self.entries), *self.others.items())) + self.quorum)
        for n in range(self.rubbish):
            log = out / "lies.example" / "another" / f"{n + 1}-0123456789abcdef"
            log.mkdir(parents=True)
            (log / "checkpoint").write_bytes(b"rubbish")
        return subprocess.run([BUILD / "sauti", "--dir", self.root, "receipt", "check", out, "--policy", policy,
                               "--words-file", "-", *map(str, args)], input=(words or self.WORDS) + "\n",
                              capture_output=True, text=True, check=False)

    def other(self, number, *items):
        """A log of another node, which has a batch with each of these items."""
        origin = f"lies.example/another/{number}-0123456789abcdef"
        mine, self.entries = self.entries, [self.record(1, "log-opened", (
            data_field(1, origin) + data_field(2, self.public(origin)) + b"\x20" + varint(1700000000)))]
        for item in items:
            self.batch(item)
        self.others[origin], self.entries = self.entries, mine

    def refuted(self, says, code=4):
        done = self.check()
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.assertNotIn("PROVEN", done.stdout)
        self.assertIn(says, done.stderr)

    def test_the_truth(self):
        """What the others change."""
        self.batch(self.item(1, leaf_of(self.entries[1])))
        done = self.check()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("record  entry 1 of log", done.stdout)
        self.batch(self.item(1, leaf_of(self.entries[1])))
        done = self.check("--json")
        self.assertEqual((done.returncode, json.loads(done.stdout)["found_in"]), (0, 2))
        self.assertIn("stands in 2 batches", self.check().stderr)

    def test_any_order(self):
        self.batch(self.item(1, leaf_of(self.entries[1])))
        other = "zoo lend zoo zoo zoo zoo"
        self.assertEqual(self.check(words=other).returncode, 1)
        done = self.check("--any-order", words=other)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_never_logged(self):
        self.batch()
        self.refuted("never logged by who gave them", 1)

    def test_another_entry(self):
        self.batch(self.item(1, leaf_of(self.entries[2])))
        self.refuted("not the sealed one that it says")

    def test_an_entry_that_came_later(self):
        self.batch(self.item(4, leaf_of(self.entries[1])))
        self.entries.append(self.entries[1])
        self.refuted("not the sealed one that it says")

    def test_a_public_record(self):
        self.batch(self.item(0, leaf_of(self.entries[0])))
        self.refuted("not the sealed one that it says")

    def test_a_tag_with_nothing(self):
        self.batch(self.tag + bytes(121))
        self.refuted("was not made with them")

    def test_a_box_of_another_version(self):
        self.batch(self.item(1, leaf_of(self.entries[1]), version=2))
        self.refuted("was not made with them")

    def test_a_log_that_is_not_there(self):
        self.batch(self.item(1, leaf_of(self.entries[1]), origin=self.ORIGIN.replace("/1-", "/2-")))
        self.refuted("in a log that this source does not have", 1)

    def test_crowded_out(self):
        """A tag is public once it is logged: another node puts it into many batches of its own."""
        self.batch(self.item(1, leaf_of(self.entries[1])))
        for number in range(1, 21):
            self.other(number, *[self.tag + bytes([n]) * 121 for n in range(5)])
        done = self.check()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn(f"batch   entry 3 of log {self.ORIGIN}", done.stdout)

    def witness(self):
        """The id of a witness's key, and its line of a policy."""
        raw = b"\x04" + self.public("a witness")
        key_id = hashlib.sha256(b"lies.example/witness/w\n" + raw).digest()[:4]
        return key_id, f"witness w lies.example/witness/w+{key_id.hex()}+{base64.b64encode(raw).decode()}\n"

    def test_something_else_is_wrong(self):
        """Exit code 4, and nothing above it says otherwise."""
        key_id, line = self.witness()
        self.quorum = line + "quorum none\n"
        self.lines = f"\u2014 lies.example/witness/w {base64.b64encode(key_id + bytes(72)).decode()}\n"
        self.batch(self.item(1, leaf_of(self.entries[1])))
        self.refuted("a cosignature does not verify")
        self.assertIs(json.loads(self.check("--json").stdout)["proven"], False)

    def test_too_much_is_wrong(self):
        """What is wrong with the office's log is not kept, since so much else is."""
        self.quorum = self.witness()[1] + "quorum w\n"
        self.batch(self.item(1, leaf_of(self.entries[1])))
        self.refuted("not confirmed", 1)
        self.rubbish = 1001
        self.refuted("too many to say of which logs")

    def test_copied(self):
        """.. or the whole item, which opens: it is not that node's to give."""
        item = self.item(1, leaf_of(self.entries[1]))
        self.other(1, *[item] * 20)
        self.refuted("of a log of another node")
        self.batch(item)
        done = self.check()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn(f"batch   entry 3 of log {self.ORIGIN}", done.stdout)

    def test_batches_of_another_shape(self):
        self.batch(self.item(1, leaf_of(self.entries[1])), count=15)
        self.batch(self.item(1, leaf_of(self.entries[1])), shuffled=True)
        self.refuted("2 batches are not of the shape they must have; the first: entry 3", 1)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]] + sys.argv[1:])
