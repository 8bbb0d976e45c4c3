#!/usr/bin/env python3
"""Escrow and recovery between real nodes. test_recover.py BUILD [unittest arguments]"""
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

for room in ("lib", "seizure"):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / room))
import derive  # noqa: E402
import found  # noqa: E402
import network  # noqa: E402
from cases import lines, opened, said  # noqa: E402

BUILD = Path(sys.argv.pop(1) if len(sys.argv) > 1 else "build-dev").resolve()
QUICK = "\n[replication]\ndial_retry_min = 20ms\ndial_retry_max = 200ms\nhave_delay = 50ms\n"
ROW = re.compile(r"^ +\d\. +([a-z]+) +([a-z]+) +([a-z]+) +([a-z]+) *$")


def wait_for(what, condition):
    """As network.wait_for, for a machine that may be busy."""
    return network.wait_for(what, condition, 120)


def make_key(node, verb="setup", *args):
    """Types each share back as it is shown; the three texts."""
    process = subprocess.Popen([node.network.bin / "sauti", "--dir", node.dir, "recover", verb,
                                "--ask", *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    shares, rows, out = [], [], ""
    for line in process.stdout:
        out += line
        found = ROW.match(line)
        if found:
            rows.append(" ".join(found.groups()))
        if len(rows) == 8:
            shares.append("\n".join(rows))
            process.stdin.write(shares[-1] + "\n")
            process.stdin.flush()
            rows = []
    process.stdin.close()
    err = process.stderr.read()
    process.stderr.close()
    process.stdout.close()
    if process.wait() != 0:
        raise network.Failed(f"recover {verb}: {err}")
    return shares, out


class Recover(unittest.TestCase):
    """Headquarters and three offices; cod has an escrow."""

    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="sauti-recover-"))
        self.net = network.Network(self.root, BUILD)
        self.hq = self.net.init()
        self.hq.configure(QUICK)
        self.hq.start()
        self.offices = {}
        for name, country in (("cod", "COD"), ("caf", "CAF"), ("ken", "KEN")):
            self.offices[name] = self.net.join(name, country, config=QUICK)
            self.offices[name].start()
        self.cod = self.offices["cod"]
        self.net.settle()

    def tearDown(self):
        self.net.stop()
        shutil.rmtree(self.root)

    # What it takes.

    def record(self, first, count):
        """Cases with one thing said in each."""
        events = []
        for n in range(first, first + count):
            events += [opened(n, f"ZZ-COD-2026-{n:04d}"), said(n, f"{n:032x}", "calm filler")]
        self.cod.sauti("case", "import", "-", stdin=lines(*events))

    def status(self, node=None):
        return (node or self.cod).json("recover", "status")

    def safe(self):
        """All keys are, and all custodians hold all."""
        def whole():
            s = self.status()
            return s if s["keys"] == s["safe"] and s["keys"] > 0 and all(
                c["held"] == c["of"] for c in s["custodians"]) else None
        return wait_for("the escrow to be safe", whole)

    def share_files(self, shares, *which):
        args = []
        for n in which:
            path = self.root / f"share-{n}"
            path.touch(mode=0o600)
            path.write_text(shares[n - 1] + "\n", encoding="ascii")
            args += ["--share", path]
        return args

    # Tests.

    def test_escrow(self):
        """Set up, kept up to date, safe; shares that are wrong; a drill that nobody has allowed."""
        self.assertFalse(self.status()["set_up"])
        shares, out = make_key(self.cod, "setup", "--out", str(self.root))
        self.assertEqual(len(shares), 3)
        for n in (1, 2, 3):
            sheet = self.root / f"share-{n}.html"
            self.assertEqual(sheet.stat().st_mode & 0o777, 0o600)
            self.assertIn("<svg", sheet.read_text(encoding="utf-8"))
        self.assertIn("nobody the whole", out)
        again = self.cod.sauti("recover", "setup", "--ask", stdin="", check=False)
        self.assertIn("there is a recovery key already", again.stderr)
        self.record(1, 3)
        status = self.safe()
        self.assertEqual(len(status["custodians"]), 3)
        self.assertGreater(status["keys"], 5)
        chunks = status["chunks"]
        self.record(10, 3)
        more = self.safe()
        self.assertGreater(more["keys"], status["keys"])
        self.assertEqual(more["chunks"], chunks)  # the same chunk grew
        # After a restart all is known again.
        self.cod.stop()
        self.cod.start()
        self.assertEqual(self.safe()["chunks"], chunks)
        # Wrong shares.
        words = shares[0].split()
        words[4], words[9] = words[9], words[4]
        wrong = shares[:]
        wrong[0] = " ".join(words)
        done = self.cod.sauti("recover", "--drill", *self.share_files(wrong, 1, 2), check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("words 5 and 10 have changed places", done.stderr)
        done = self.cod.sauti("recover", "--drill", *self.share_files(shares, 1, 1), check=False)
        self.assertIn("share 1 twice", done.stderr)
        # Nobody has confirmed this node's key: nobody gives a version key back.
        done = self.cod.sauti("recover", "--drill", "--wait", "3", *self.share_files(shares, 1, 3),
                              check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("have not come", done.stderr)
        self.assertIn("asked for version keys: ", done.stderr)
        custodian = self.net.nodes[status["custodians"][0]["node"]]
        asks = wait_for("the wish", lambda: self.status(custodian)["asks"])
        self.assertEqual([a["node"] for a in asks], ["cod"])
        self.assertEqual([k["node"] for k in self.status(custodian)["kept_for"]], ["cod"])

    def test_what_shares_open(self):
        """A program of its own, written from docs/FORMAT, reads this office's cases with two shares and what one
        custodian keeps; with one share, or without what a custodian's passphrase opens, it reads nothing."""
        shares, _ = make_key(self.cod)
        self.record(1, 4)
        custodian = self.net.nodes[self.safe()["custodians"][0]["node"]]
        self.net.settle()
        words = (BUILD.parent / "base" / "words-english.txt")
        if not words.exists():
            words = Path(__file__).resolve().parents[2] / "base" / "words-english.txt"
        numbers = {word: n for n, word in enumerate(words.read_text(encoding="ascii").split())}
        raw = [self.share_bytes(share, numbers) for share in shares]

        def texts(shares, passphrases):
            evidence = found.Evidence()
            evidence.add_tree(custodian.dir)
            closure = derive.Closure(evidence, passphrases, shares=shares).run()
            return sum(b"calm filler" in plain for plain in closure.opened.values())

        passphrase = [network.PASSPHRASE.encode()]
        self.assertEqual(texts(raw[:2], passphrase), 4)
        self.assertEqual(texts(raw[1:], passphrase), 4)
        self.assertEqual(texts(raw[:1], passphrase), 0)
        self.assertEqual(texts(raw, []), 0)
        made_up = (raw[0][0], 3, bytes(32))
        self.assertEqual(texts([raw[0], made_up], passphrase), 0)

    def share_bytes(self, words, numbers):
        """(set, number, share) of 32 words, which are 30 and two check words."""
        bits = "".join(f"{numbers[word]:011b}" for word in words.split()[:30])
        data = bytes(int(bits[at:at + 8], 2) for at in range(0, 41 * 8, 8))
        check = hashlib.sha256(b"sauti/1 recovery share" + data[:37]).digest()[:4]
        self.assertEqual(data[37:], check)
        return data[1:5], data[0] - 16, data[5:37]


if __name__ == "__main__":
    unittest.main(verbosity=2)
