#!/usr/bin/env python3
"""Receipts of victims: six words, the daily batch, what proves the first contact and what does not.
test_receipts.py BUILD [unittest arguments]"""
import hashlib
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
for room in (("tests", "lib"), ("tests", "vectors"), ("tests", "seizure")):
    sys.path.insert(0, str(SOURCE.joinpath(*room)))
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


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]] + sys.argv[1:])
