#!/usr/bin/env python3
"""Escrow and recovery between real nodes. test_recover.py BUILD [unittest arguments]"""
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
from recovery import make_key, share_bytes, share_files  # noqa: E402

BUILD = Path(sys.argv.pop(1) if len(sys.argv) > 1 else "build-dev").resolve()
QUICK = "\n[replication]\ndial_retry_min = 20ms\ndial_retry_max = 200ms\nhave_delay = 50ms\n"


def wait_for(what, condition):
    """As network.wait_for, for a machine that may be busy."""
    return network.wait_for(what, condition, 120)


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
        return share_files(self.root, shares, *which)

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

    def custodians(self):
        return [self.net.nodes[c["node"]] for c in self.status()["custodians"]]

    def timeline(self, node, code):
        """What a case says, without what this node knows of it."""
        known = ("synced", "safe", "state")
        return [{k: v for k, v in event.items() if k not in known}
                for event in node.json("case", "show", code)["events"]]

    def test_drill(self):
        """One custodian whose officer has confirmed this node's key suffices; after a reshare the former shares
        are none."""
        shares, _ = make_key(self.cod)
        self.record(1, 3)
        status = self.safe()
        self.custodians()[1].confirm(self.cod)
        drill = self.cod.json("recover", "--drill", *self.share_files(shares, 2, 3))
        self.assertEqual((drill["read"], drill["known"]), (status["keys"], status["keys"]))
        self.assertEqual((drill["unreadable"], drill["added"]), (0, 0))
        self.assertEqual(drill["recovery"]["refused"], 0)
        again, _ = make_key(self.cod, "reshare")
        self.safe()
        done = self.cod.sauti("recover", "--drill", *self.share_files(shares, 1, 2), check=False)
        self.assertIn("they were made anew since", done.stderr)
        mixed = [shares[0], again[1], again[2]]
        done = self.cod.sauti("recover", "--drill", *self.share_files(mixed, 1, 2), check=False)
        self.assertIn("of different sets", done.stderr)
        drill = self.cod.json("recover", "--drill", *self.share_files(again, 1, 2))
        self.assertGreaterEqual(drill["known"], status["keys"])

    def test_the_office_burns_down(self):
        """Its directory is gone; another machine takes its place, and reads every case again."""
        shares, _ = make_key(self.cod)
        self.record(1, 5)
        self.safe()
        self.net.settle()
        codes = [f"ZZ-COD-2026-{n:04d}" for n in range(1, 6)]
        before = {code: self.timeline(self.cod, code) for code in codes}
        origin = self.cod.own()["origin"]
        custodians = self.custodians()
        self.safe()  # the ledger has a key for these views now
        self.net.settle()
        size = self.cod.logs()[origin]["size"]
        for node in custodians:
            node.confirm(self.cod)  # of the machine that burns: it is not the new one's
        self.cod.kill()
        shutil.rmtree(self.cod.dir)
        self.cod = self.net.replace("cod", QUICK)
        self.cod.start()
        wait_for("the log to come back",
                 lambda: self.cod.logs().get(origin, {"checkpoint_size": 0})["checkpoint_size"] >= size)
        self.assertEqual(self.cod.json("case", "list"), [])
        recovery = subprocess.Popen([self.net.bin / "sauti", "--dir", self.cod.dir, "recover", "--wait", "120",
                                     *map(str, self.share_files(shares, 1, 3))], stdin=subprocess.DEVNULL,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for node in custodians:
            wait_for("the wish", lambda n=node: self.status(n)["asks"])
        self.assertIsNone(recovery.poll())  # the former key's confirmation gives nothing
        custodians[0].confirm(self.cod)
        out, err = recovery.communicate(timeout=150)
        self.assertEqual(recovery.returncode, 0, out + err)
        self.assertIn("keys are new here", out)
        self.assertEqual({code: self.timeline(self.cod, code) for code in codes}, before)
        self.assertEqual(self.cod.json("status")["escrow"]["set_up"], True)
        # It goes on: new cases, and all of it safe again, to the same shares.
        self.record(20, 2)
        status = self.safe()
        self.assertEqual(status["pending"], 0)
        self.cod.json("lock")
        self.cod.unlock()
        self.assertEqual({code: self.timeline(self.cod, code) for code in codes}, before)
        drill = self.cod.json("recover", "--drill", *self.share_files(shares, 2, 3))
        self.assertEqual(drill["read"], drill["known"])

    def test_what_shares_open(self):
        """A program of its own, written from docs/FORMAT, reads this office's cases with two shares and what one
        custodian keeps; with one share, or without what a custodian's passphrase opens, it reads nothing."""
        shares, _ = make_key(self.cod)
        self.record(1, 4)
        custodian = self.net.nodes[self.safe()["custodians"][0]["node"]]
        self.net.settle()
        raw = [share_bytes(share) for share in shares]
        passphrase = [network.PASSPHRASE.encode()]

        def texts(*what):
            return self.texts([custodian], *what)

        self.assertEqual(texts(raw[:2], passphrase), 4)
        self.assertEqual(texts(raw[1:], passphrase), 4)
        self.assertEqual(texts(raw[:1], passphrase), 0)
        self.assertEqual(texts(raw, []), 0)
        made_up = (raw[0][0], 3, bytes(32))
        self.assertEqual(texts([raw[0], made_up], passphrase), 0)

    def test_an_erased_case(self):
        """It goes out of the escrow first; then no two shares bring it back, with all that any node has."""
        shares, _ = make_key(self.cod)
        self.record(1, 3)
        self.safe()
        self.net.settle()
        raw, passphrase = [share_bytes(share) for share in shares], [network.PASSPHRASE.encode()]
        self.assertEqual(self.texts(self.custodians(), raw, passphrase), 3)
        self.cod.json("case", "erase", "ZZ-COD-2026-0002", "--reason", "objection", "--yes")

        def confirmed():
            erasure = self.cod.json("case", "erase", "--status")[-1]
            return len(erasure["holders"]) == 3 and all(h["receipt_at"] for h in erasure["holders"])
        wait_for("custodians to confirm", confirmed)
        self.assertEqual(self.cod.sauti("case", "show", "ZZ-COD-2026-0002", check=False).returncode, 1)
        # Files that are deleted are gone within seconds: letters that were processed, and their copies.
        wait_for("nothing of it to open", lambda: self.texts(self.net.nodes.values(), raw, passphrase) == 2)
        self.assertEqual(self.texts(self.custodians(), raw, passphrase), 2)
        self.safe()

    def texts(self, nodes, shares, passphrases):
        """How many of the texts that were recorded open with these, and what these nodes have."""
        evidence = found.Evidence()
        for node in nodes:
            evidence.add_tree(node.dir)
        closure = derive.Closure(evidence, passphrases, shares=shares).run()
        return sum(b"calm filler" in plain for plain in closure.opened.values())


if __name__ == "__main__":
    unittest.main(verbosity=2)
