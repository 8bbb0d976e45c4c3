#!/usr/bin/env python3
"""Bundles between real nodes that have no link. test_bundle.py BUILD [unittest args]"""

import json
import os
import random
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "tests" / "lib"))
import cases  # noqa: E402
from network import Network, wait_for  # noqa: E402

BUILD = Path()
OK, FAILED, USAGE, INTEGRITY = 0, 1, 2, 4
TIMING = "\n[replication]\nhave_delay = 100ms\ndial_retry_min = 200ms\ncosignature_delay = 200ms\n"


def filler(events):
    """Lines of events that do not compress away."""
    rng = random.Random(events)
    return cases.lines(*({"type": "VICTIM_VIEW", "subject": "SERVICES", "view": rng.randbytes(200).hex()}
                         for _ in range(events)))


class Bundle(unittest.TestCase):
    """Headquarters and two offices that never meet: each test is all of them, from a copy."""

    @classmethod
    def setUpClass(cls):
        cls.root = Path(tempfile.mkdtemp(prefix="sauti-test."))
        cls.network = Network(cls.root / "net", BUILD, "test.example")
        try:
            cls.hq = cls.network.init()
            cls.hq.configure(TIMING)
            cls.hq.start()
            cls.caf = cls.network.join("caf", "CAF", config=TIMING)
            cls.haiti = cls.network.join("haiti", "HTI", config=TIMING)
            cls.nodes = (cls.hq, cls.caf, cls.haiti)
            for node in (cls.caf, cls.haiti):
                cls.cut_off(node)
                node.start()
                cls.record(node, 60)
            cls.network.stop()
            shutil.copytree(cls.root / "net", cls.root / "whole", ignore=shutil.ignore_patterns("run"))
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def tearDownClass(cls):
        for node in cls.network.nodes.values():
            if node.process is not None:
                node.kill()
        shutil.rmtree(cls.root)

    def setUp(self):
        for item in (self.root / "whole").iterdir():
            place = self.root / "net" / item.name
            if item.is_dir():
                shutil.rmtree(place, ignore_errors=True)
                shutil.copytree(item, place)
        self.stick = Path(tempfile.mkdtemp(prefix="stick.", dir=self.root))
        self.addCleanup(self.network.stop)

    @staticmethod
    def cut_off(node):
        """An office without any link: it knows no address."""
        conf = node.dir / "sauti.conf"
        text = conf.read_text(encoding="utf-8")
        begin = text.index("[peer hq]")
        conf.write_text(text[:begin] + text[text.index("[replication]", begin):], encoding="utf-8")

    @staticmethod
    def record(node, events):
        code = node.json("case", "open")["code"]
        node.sauti("case", "add", code, "--from", "-", stdin=filler(events))

    def start(self, *nodes, unlock=True):
        for node in nodes:
            node.start(unlock=unlock)

    def export(self, node, name, *args):
        """The files, and the document."""
        done = node.json("bundle", "export", "--to", self.stick / name, *args)
        return [Path(f) for f in done[-1]["files"]], done

    def bring(self, node, *files, status=OK):
        """Imports; the reports of the files, by name."""
        done = node.sauti("--json", "bundle", "import", *files, check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return {Path(f["file"]).name: f for f in json.loads(done.stdout)} if done.stdout else {}

    def added(self, reports):
        return sum(report["added"] for report in reports.values())

    def inspect(self, *files, status=OK):
        done = subprocess.run([BUILD / "sauti", "--json", "bundle", "inspect", *files], capture_output=True,
                              text=True, timeout=60, check=False, env={**os.environ, "SAUTI_DIR": "/nowhere"})
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return json.loads(done.stdout) if done.stdout else None

    def holds(self, node, author):
        """node has all of author's own log, proven and cosigned."""
        own = author.own()
        held = node.logs()[own["origin"]]
        self.assertEqual(held["checkpoint_size"], own["size"])
        self.assertEqual(held["root"], own["root"])
        self.assertEqual(node.sauti("log", "verify").returncode, OK)

    # The whole way.

    def test_a_stick_both_ways(self):
        """No link at all: the office's log reaches headquarters and the other office, their
        cosignatures come back, nothing travels twice; then the link comes, and finds nothing to do."""
        self.start(self.hq, self.caf, self.haiti)
        files, done = self.export(self.caf, "there")
        self.assertEqual(stat.S_IMODE(files[0].stat().st_mode), 0o600)
        shown = {log["origin"]: log for log in self.inspect(*files)["logs"]}[self.caf.own()["origin"]]
        self.assertEqual(shown["proven"], self.caf.own()["size"])
        self.assertTrue(shown["checkpoint_signed"])
        self.assertEqual(self.added(self.bring(self.hq, *files)), self.caf.own()["size"])
        self.holds(self.hq, self.caf)
        self.assertEqual(self.added(self.bring(self.hq, *files)), 0)
        # To the other office, with what headquarters has of everybody; and all of it back.
        files, _ = self.export(self.hq, "on", "--for", "haiti")
        self.bring(self.haiti, *files)
        self.holds(self.haiti, self.caf)
        files, _ = self.export(self.haiti, "back-1", "--for", "hq")
        self.bring(self.hq, *files)
        self.holds(self.hq, self.haiti)
        # Meanwhile the office goes on recording: what is cosigned is long past.
        for _ in range(20):
            self.record(self.caf, 1)
        files, done = self.export(self.hq, "back-2", "--for", "caf")
        sent = {log["origin"]: log for log in done if "origin" in log}
        self.assertEqual(sent[self.caf.own()["origin"]]["from"], sent[self.caf.own()["origin"]]["to"])
        report = self.bring(self.caf, *files)["back-2"]
        mirrors = {h["mirror"]: h["size"] for h in self.caf.own()["held_by"]}
        self.assertEqual(set(mirrors), {"hq", "haiti"})
        self.assertEqual(report["problem_count"], 0)
        self.holds(self.caf, self.haiti)
        # Headquarters knows by now that the office holds everything but what is new since.
        files, _ = self.export(self.caf, "there-2", "--for", "hq")
        size = self.caf.own()["size"]
        self.assertEqual(self.added(self.bring(self.hq, *files)), size - mirrors["hq"])
        self.holds(self.hq, self.caf)

    def test_then_a_link(self):
        """What came by stick does not come again by wire; the cosignatures do."""
        self.start(self.hq, self.caf)
        self.bring(self.hq, *self.export(self.caf, "there")[0])
        self.caf.stop()
        self.caf.configure(f"\n[peer hq]\naddress = 127.0.0.1:{self.hq.port}\n")
        self.caf.start()
        wait_for("the cosignature of headquarters",
                 lambda: any(h["mirror"] == "hq" and h["size"] == self.caf.own()["size"]
                             for h in self.caf.own()["held_by"]))
        self.record(self.caf, 1)
        wait_for("live entries", lambda: self.hq.logs()[self.caf.own()["origin"]]["checkpoint_size"] ==
                 self.caf.own()["size"])

    def test_a_locked_node(self):
        self.start(self.hq, self.caf, unlock=False)
        files, _ = self.export(self.caf, "there")
        report = self.bring(self.hq, *files)["there"]
        self.assertIsNone(report["signature_problem"])
        self.assertEqual(report["from"], "caf")
        self.assertGreater(report["added"], 60)

    # Parts.

    def test_parts_in_any_order(self):
        """1 MB parts for a small channel: each alone gives what it proves, and says what it needs."""
        self.start(self.hq, self.caf)
        self.record(self.caf, 2500)
        size = self.caf.own()["size"]
        files, done = self.export(self.caf, "b", "--max-size", "500k")
        self.assertGreater(len(files), 2)
        self.assertEqual(files[0].name, f"b-01-of-{len(files):02}")
        for file in files:
            self.assertLessEqual(file.stat().st_size, 500000)
            self.inspect(file)
        self.assertEqual(sum(f.stat().st_size for f in files), done[-1]["bytes"])
        self.assertFalse([f for f in self.stick.iterdir() if "partial" in f.name])
        report = self.bring(self.hq, files[1], status=FAILED)[files[1].name]
        gap = [log["gap"] for log in report["logs"] if "gap" in log]
        self.assertIn("import part 1 of this bundle first", gap[0]["what"])
        self.assertEqual(gap[0]["needed"], 0)
        held = self.bring(self.hq, files[0])[files[0].name]["added"]
        self.assertGreater(held, 100)
        # All at once, backwards: they are taken in order.
        reports = self.bring(self.hq, *reversed(files))
        self.assertEqual(self.added(reports) + held, size)
        self.holds(self.hq, self.caf)

    def test_sizes(self):
        self.start(self.caf)
        for size, status in (("127k", USAGE), ("10", USAGE), ("2000G", USAGE), ("1X", USAGE), ("132k", OK)):
            done = self.caf.sauti("bundle", "export", "--to", self.stick / "s", "--max-size", size, check=False)
            self.assertEqual(done.returncode, status, done.stderr)
        done = self.caf.sauti("bundle", "export", "--to", self.stick / "s", check=False)
        self.assertEqual(done.returncode, FAILED)
        self.assertIn("is there already", done.stderr)
        for to in (self.caf.dir / "store" / "x", self.stick / "no" / "such", "/"):
            done = self.caf.sauti("bundle", "export", "--to", to, check=False)
            self.assertEqual(done.returncode, FAILED, done.stderr)
        done = self.caf.sauti("bundle", "export", "--to", self.stick / "x", "--for", "nobody", check=False)
        self.assertIn("there is no other node 'nobody'", done.stderr)

    def test_full(self):
        """A stick that is too small: named, and nothing is left on it."""
        self.start(self.caf)
        self.record(self.caf, 1000)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", self.stick],
                                 capture_output=True, check=False)
        if mounted.returncode != 0:
            self.skipTest("mounting a tmpfs needs root")
        try:
            for args in ([], ["--max-size", "140k"]):
                done = self.caf.sauti("bundle", "export", "--to", self.stick / "b", *args, check=False)
                self.assertEqual(done.returncode, FAILED)
                self.assertIn("No space left on device", done.stderr)
                self.assertEqual(list(self.stick.iterdir()), [])
            subprocess.run(["mount", "-o", "remount,size=8m", self.stick], check=True)
            files, _ = self.export(self.caf, "b", "--max-size", "140k")
            self.inspect(*files)
        finally:
            subprocess.run(["umount", self.stick], check=True)

    # Damage.

    def test_flipped_bits(self):
        """Anywhere: what is proven is taken, the rest told, and the undamaged one brings the rest."""
        self.start(self.hq, self.caf)
        self.record(self.caf, 1500)
        size = self.caf.own()["size"]
        file = self.export(self.caf, "whole")[0][0]
        image = file.read_bytes()
        rng = random.Random(1)
        held = 0
        for at in sorted(rng.sample(range(15, len(image)), 12), reverse=True) + [3]:
            damaged = bytearray(image)
            damaged[at] ^= 1 << rng.randrange(8)
            bad = self.stick / f"bad-{at}"
            bad.write_bytes(damaged)
            self.inspect(bad, status=INTEGRITY)
            reports = self.bring(self.hq, bad, status=INTEGRITY)
            held += self.added(reports)
            logs = self.hq.logs()
            if self.caf.own()["origin"] in logs:
                self.assertEqual(logs[self.caf.own()["origin"]]["size"], held)
        self.assertEqual(held + self.added(self.bring(self.hq, file)), size)
        self.holds(self.hq, self.caf)
        self.assertFalse(self.hq.json("status")["alarms"])

    def test_truncated_and_none_at_all(self):
        self.start(self.hq, self.caf)
        self.record(self.caf, 900)
        file = self.export(self.caf, "whole")[0][0]
        image = file.read_bytes()
        short = self.stick / "short"
        short.write_bytes(image[:len(image) * 3 // 4])
        report = self.bring(self.hq, short, status=INTEGRITY)["short"]
        self.assertIn("bytes too early", report["problems"][0]["what"])
        self.assertGreater(report["added"], 0)
        for name, content in (("empty", b""), ("noise", os.urandom(5000)), ("text", b"sauti bundle 2\n" * 9)):
            (self.stick / name).write_bytes(content)
            self.bring(self.hq, self.stick / name, status=INTEGRITY)
        done = self.hq.sauti("bundle", "import", self.stick / "nothing", check=False)
        self.assertEqual(done.returncode, FAILED)
        os.mkfifo(self.stick / "fifo")
        done = self.hq.sauti("bundle", "import", self.stick / "fifo", check=False)
        self.assertIn("not a regular file", done.stderr)

    def test_hostile(self):
        """Millions of frames of nothing, lengths that lie, a manifest of somebody else."""
        self.start(self.hq, self.caf)
        file = self.export(self.caf, "whole")[0][0]
        image = file.read_bytes()
        head = 15 + 4 + int.from_bytes(image[15:19], "big")
        frames = image[head:]
        tiny = (3).to_bytes(4, "big") + b"\x32\x01\x08"
        ping = (4).to_bytes(4, "big") + b"\x32\x02\x08\x01"
        hostile = {
            "pings": b"sauti bundle 1\n" + (1).to_bytes(4, "big") + b"\0" + ping * 300000 + frames,
            "tiny": b"sauti bundle 1\n" + (1).to_bytes(4, "big") + b"\0" + tiny * 100000,
            "lying": b"sauti bundle 1\n" + b"\xff\xff\xff\xff" + frames,
            "huge": image[:head] + b"\x00\x10\x00\x01" + frames,
        }
        before = self.rss()
        for name, content in hostile.items():
            (self.stick / name).write_bytes(content)
            report = self.bring(self.hq, self.stick / name, status=INTEGRITY)[name]
            self.assertEqual(report["added"], 0, name)
            self.assertLessEqual(len(report["problems"]), 20)
            self.assertLess(report["problem_count"], 4100)
        self.assertLess(self.rss() - before, 32 * 1024)
        # Without its manifest all of it is proven all the same.
        bare = self.stick / "bare"
        bare.write_bytes(b"sauti bundle 1\n" + (1).to_bytes(4, "big") + b"\0" + frames)
        self.assertEqual(self.bring(self.hq, bare, status=INTEGRITY)["bare"]["added"], self.caf.own()["size"])
        self.assertEqual(self.hq.json("status")["alarms"], [])

    def rss(self):
        with open(f"/proc/{self.hq.process.pid}/status", encoding="ascii") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("RssAnon"))

    def test_another_network(self):
        other = Network(self.root / "other", BUILD, "other.example")
        hq = other.init()
        hq.start()
        self.addCleanup(other.stop)
        hq.sauti("bundle", "export", "--to", self.stick / "other")
        self.start(self.hq)
        logs = set(self.hq.logs())
        done = self.hq.sauti("bundle", "import", self.stick / "other", check=False)
        self.assertEqual(done.returncode, FAILED)
        self.assertIn("is of another network: 'other.example'", done.stderr)
        # Its frames under a manifest of nobody's.
        image = (self.stick / "other").read_bytes()
        head = 15 + 4 + int.from_bytes(image[15:19], "big")
        (self.stick / "mixed").write_bytes(b"sauti bundle 1\n" + (1).to_bytes(4, "big") + b"\0" + image[head:])
        self.bring(self.hq, self.stick / "mixed", status=INTEGRITY)
        self.assertEqual(set(self.hq.logs()), logs)

    # Kills, damage of the store.

    def test_killed_in_the_middle(self):
        self.start(self.hq, self.caf)
        self.record(self.caf, 3000)
        file = self.export(self.caf, "whole")[0][0]
        origin, size = self.caf.own()["origin"], self.caf.own()["size"]
        child = subprocess.Popen([BUILD / "sauti", "--dir", self.hq.dir, "bundle", "import", file],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for("some of it", lambda: self.hq.logs().get(origin, {"size": 0})["size"] > 0)
        self.hq.kill()
        child.wait()
        self.hq.start()
        held = self.hq.logs()[origin]["size"]
        self.assertGreater(held, 0)
        self.assertEqual(self.added(self.bring(self.hq, file)), size - held)
        self.holds(self.hq, self.caf)

    def test_stopped_in_the_middle(self):
        self.start(self.hq, self.caf)
        self.record(self.caf, 3000)
        file = self.export(self.caf, "whole")[0][0]
        origin = self.caf.own()["origin"]
        child = subprocess.Popen([BUILD / "sauti", "--dir", self.hq.dir, "bundle", "import", file],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for("some of it", lambda: self.hq.logs().get(origin, {"size": 0})["size"] > 0)
        self.assertEqual(self.hq.stop(), 0)
        child.wait()
        self.hq.start()
        self.bring(self.hq, file)
        self.holds(self.hq, self.caf)

    def test_mail_by_stick(self):
        """A notice to headquarters, and one that it carries on by stick to the other office; the ends come
        back the same way, and only then the sender lets go of what it wrote."""
        self.start(self.hq, self.caf, self.haiti)
        self.bring(self.hq, *self.export(self.haiti, "keys")[0])
        self.bring(self.caf, *self.export(self.hq, "keys-2")[0])
        ids = {to: self.caf.json("mail", "send", "--to", to, "-", stdin=f"for {to}")["id"] for to in ("hq", "haiti")}
        files, done = self.export(self.caf, "there", "--for", "hq")
        self.assertGreaterEqual(done[-1]["mail"], 2)
        self.assertGreaterEqual(self.inspect(*files)["mail"], 2)
        self.assertGreaterEqual(self.bring(self.hq, *files)["there"]["mail"], 2)
        self.assertEqual(self.bring(self.hq, *files)["there"]["mail"], 0)
        self.received(self.hq, ids["hq"])
        self.bring(self.haiti, *self.export(self.hq, "on", "--for", "haiti")[0])
        self.received(self.haiti, ids["haiti"])
        self.assertEqual(self.haiti.json("mail", "show", ids["haiti"])["text"], "for haiti")
        self.bring(self.hq, *self.export(self.haiti, "back", "--for", "hq")[0])
        self.bring(self.caf, *self.export(self.hq, "back-2", "--for", "caf")[0])
        for mail in ids.values():
            wait_for("the end", lambda mail=mail: self.mail(self.caf, mail)["state"] == "delivered")

    @staticmethod
    def mail(node, mail):
        return next((m for m in node.json("mail", "list") if m["id"] == mail), {})

    def received(self, node, mail):
        wait_for(f"the notice at {node.name}", lambda: self.mail(node, mail).get("kind") == "notice")

    def test_an_old_store_by_stick(self):
        """An old store was put back at an office without a link: what it has signed since comes back from
        headquarters by stick, and it goes on, in the same log."""
        self.start(self.hq, self.caf)
        self.caf.stop()
        shutil.copytree(self.caf.dir / "store", self.root / "old-store")
        self.caf.start()
        self.record(self.caf, 30)
        origin, size = self.caf.own()["origin"], self.caf.own()["size"]
        self.bring(self.hq, *self.export(self.caf, "there")[0])
        self.caf.stop()
        shutil.rmtree(self.caf.dir / "store")
        shutil.move(self.root / "old-store", self.caf.dir / "store")
        self.caf.start()
        self.assertEqual(self.caf.json("status")["guard"]["verdict"], "behind")
        # With --for, headquarters leaves out what the office once had: told, and of no use.
        files, _ = self.export(self.hq, "too-little", "--for", "caf")
        self.bring(self.caf, *files)
        self.assertEqual(self.caf.json("status")["guard"]["verdict"], "behind")
        files, _ = self.export(self.hq, "all")
        self.bring(self.caf, *files)
        wait_for("the own log to be whole", lambda: self.caf.json("status")["guard"]["writable"])
        self.caf.sauti("lock")
        self.caf.unlock()
        self.assertEqual(self.caf.own()["origin"], origin)
        self.assertEqual(self.caf.own()["size"], size)
        self.record(self.caf, 1)
        self.bring(self.hq, *self.export(self.caf, "there-2", "--for", "hq")[0])
        self.holds(self.hq, self.caf)
        self.assertFalse(self.hq.logs()[origin]["frozen"])

    def test_damaged_entries_come_by_stick(self):
        """Entries that a disk has spoilt, of one's own log: from the stick that went there and back."""
        self.start(self.hq, self.caf)
        self.bring(self.hq, *self.export(self.caf, "there")[0])
        files, _ = self.export(self.hq, "back")
        self.caf.stop()
        data = self.caf.dir / "store" / "data.mdb"
        image = bytearray(data.read_bytes())
        start = image.index(b"\x22\x20", image.index(b"\x1a\x10", image.index(b"\x12\x10")))
        needle = bytes(image[start - 16:start + 2])
        at = -1
        while (at := image.find(needle, at + 1)) >= 0:
            image[at + 3] ^= 1
        data.write_bytes(image)
        done = subprocess.run([BUILD / "sautid", "--fsck", "--repair", "--dir", self.caf.dir],
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertIn("1 marked to be fetched again", done.stdout)
        self.caf.start()
        self.assertIn("1 entries are damaged", self.caf.json("status")["alarms"][0])
        report = self.bring(self.caf, *files)["back"]
        self.assertEqual([log["added"] for log in report["logs"]
                          if log["origin"] == self.caf.own()["origin"]], [1])
        self.assertEqual(self.caf.json("status")["alarms"], [])
        self.assertEqual(self.caf.sauti("log", "verify").returncode, OK)


if __name__ == "__main__":
    BUILD = Path(sys.argv.pop(1)).resolve()
    unittest.main(verbosity=1)
