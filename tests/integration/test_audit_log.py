#!/usr/bin/env python3
"""sauti audit log against what real nodes export: right, changed in every way a file can be, forged,
cut, hostile, in one thread and in several. test_audit_log.py BUILD [unittest args]"""

import base64
import json
import os
import pty
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "tests" / "lib"))
from network import Network  # noqa: E402

BUILD = Path()
OK, FAILED, USAGE, UNREACHABLE, INTEGRITY, REFUSED = range(6)
CASES = 320


class Audit(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="sauti-audit-")
        cls.root = Path(cls.scratch.name)
        cls.network = Network(cls.root / "net", BUILD, "test.example")
        cls.hq = cls.network.init()
        cls.hq.start()
        cls.caf = cls.network.join("caf", "CAF")
        cls.caf.start()
        cls.record(0, CASES)
        cls.export = cls.root / "export"
        cls.hq.sauti("log", "export", cls.export)
        cls.policy = cls.root / "policy"
        cls.policy.write_text(cls.hq.sauti("log", "policy").stdout)
        vkeys = [line.split()[1] for line in cls.policy.read_text().splitlines()
                 if line.startswith("log ")]
        cls.directory = next(k for k in vkeys if "/directory/" in k)
        cls.own = next(k.split("+")[0] for k in vkeys if "/caf/" in k)

    @classmethod
    def tearDownClass(cls):
        cls.network.stop()
        cls.scratch.cleanup()

    @classmethod
    def record(cls, first, count):
        cls.caf.json("case", "import", "-", stdin="".join(
            json.dumps({"type": "CASE_OPENED", "case_code": f"ZZ-{i}"}) + "\n"
            for i in range(first, first + count)))
        cls.network.settle()

    def setUp(self):
        self.out = self.root / self.id().rsplit(".", 1)[1]

    def copy(self):
        shutil.copytree(self.export, self.out)
        self.log = self.out / self.own
        return self.out

    def run_audit(self, *args, source=None):
        return subprocess.run(
            [BUILD / "sauti", "--dir", self.root / "nowhere", *args[:0],
             *(["--json"] if "--json" in args else []), "audit", "log", source or self.out,
             *[a for a in args if a != "--json"]], capture_output=True, text=True, timeout=120,
            check=False)

    def audit(self, *args, code=OK, source=None):
        """The document of a run, judged by the directory's key unless args say something else."""
        if not any(a in args for a in ("--directory", "--policy")):
            args = ("--directory", self.directory, *args)
        done = self.run_audit("--json", *args, source=source)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.said = done.stderr
        return json.loads(done.stdout) if done.stdout else None

    def found(self, said, *kinds):
        self.assertEqual([f["kind"] for f in said["findings"]], list(kinds), said)
        return said["findings"][0] if kinds else None

    # ---- what is right ----

    def test_sound(self):
        for trust in (("--directory", self.directory), ("--policy", self.policy),
                      ("--directory", self.directory, "--policy", self.policy)):
            said = self.audit(*trust, source=self.export)
            self.assertEqual(said["verdict"], "sound")
            # Without the directory nobody can say which logs are missing: a note.
            self.found(said, *([] if "--directory" in trust else ["unfinished"]))
            self.assertEqual({log["log"].split("/")[1] for log in said["logs"]},
                             {"directory", "hq", "caf"})
            held = self.hq.logs()
            for log in said["logs"]:
                self.assertTrue(log["sound"] and log["walked"] and log["trusted"])
                self.assertEqual((log["size"], log["root"]),
                                 (held[log["log"]]["checkpoint_size"], held[log["log"]]["root"]))
                self.assertEqual(log["hashed"], log["size"])
                self.assertGreaterEqual(len(log["cosigned_by"]), 1)
            self.assertTrue(said["logs"][0]["directory"])
        self.assertGreater(next(log["size"] for log in said["logs"] if log["log"] == self.own), 300)

    def test_text(self):
        done = self.run_audit("--directory", self.directory, source=self.export)
        self.assertEqual((done.returncode, done.stderr), (OK, ""), done.stdout)
        self.assertTrue(done.stdout.startswith("SOUND: "), done.stdout)
        self.assertIn(f"log     {self.own}\n", done.stdout)
        self.assertIn("hashed again: what was signed", done.stdout)
        self.assertRegex(done.stdout, r"cosigned by test.example/mirror/hq at 20")

    def test_one_log_of_many(self):
        said = self.audit(self.own, source=self.export)
        self.assertEqual([log["log"] for log in said["logs"]],
                         [self.directory.split("+")[0], self.own])
        said = self.audit("--policy", self.policy, self.own, source=self.export)
        self.assertEqual([log["log"] for log in said["logs"]], [self.own])

    def test_jobs_say_the_same(self):
        """Byte for byte, of what is sound and of what is not."""
        self.copy()
        for path in (None, "tile/entries/000", "tile/0/000"):
            if path is not None:
                self.change(path, 500)
            texts = {(self.run_audit("--directory", self.directory, "--now",
                                     "2030-01-01T00:00:00Z", "--jobs", str(n)).stdout)
                     for n in (1, 2, 3, 16)}
            self.assertEqual(len(texts), 1)

    def test_progress(self):
        """On a terminal alone, and gone in the end."""
        leader, follower = pty.openpty()
        done = subprocess.run([BUILD / "sauti", "audit", "log", self.export, "--directory",
                               self.directory], stdout=subprocess.PIPE, stderr=follower, check=False)
        os.close(follower)
        self.assertEqual(done.returncode, OK)
        shown = os.read(leader, 65536) if os.get_blocking(leader) else b""
        os.close(leader)
        self.assertTrue(shown.endswith(b"\r\x1b[K"), shown)

    # ---- what is changed ----

    def change(self, path, at=0, what=0x40):
        path = self.log / path
        data = bytearray(path.read_bytes())
        data[at] ^= what
        path.write_bytes(data)

    def test_entry(self):
        self.copy()
        path = self.log / "tile/entries/000"
        data = path.read_bytes()
        at, index = 0, 0
        while index < 77:
            at, index = at + 2 + int.from_bytes(data[at:at + 2], "big"), index + 1
        size = int.from_bytes(data[at:at + 2], "big")
        self.change("tile/entries/000", at + 2 + 9)
        finding = self.found(self.audit(code=INTEGRITY), "entry-changed")
        self.assertEqual((finding["log"], finding["index"]), (self.own, 77))
        self.assertIn("entry 77 is not the one that was signed", self.said)
        proofs = {p["name"]: base64.b64decode(p["base64"]) for p in finding["proofs"]}
        self.assertEqual(proofs["entry"], path.read_bytes()[at + 2:at + 2 + size])
        self.assertEqual(proofs["checkpoint"], (self.log / "checkpoint").read_bytes())
        self.assertEqual(proofs["tile"], (self.log / "tile/0/000").read_bytes())
        done = self.run_audit("--directory", self.directory)
        self.assertTrue(done.stdout.startswith("VIOLATED: 1 violation\n"), done.stdout)
        self.assertIn("the first of which something is wrong is entry 77", done.stdout)

    def test_tiles(self):
        self.copy()
        for path, index in (("tile/0/000", 3), ("tile/1/000.p/1", 0)):
            self.change(path, 3 * 32 if index else 5)
            finding = self.found(self.audit(code=INTEGRITY), "tile-changed")
            self.assertEqual(finding["index"], index)
            self.change(path, 3 * 32 if index else 5)

    def test_forged_with_its_tile(self):
        """An entry and the leaf hash that fits to it: consistent with each other, not signed."""
        import hashlib
        self.copy()
        path, tile = self.log / "tile/entries/000", self.log / "tile/0/000"
        data, hashes = bytearray(path.read_bytes()), bytearray(tile.read_bytes())
        at = 2 + int.from_bytes(data[:2], "big")
        size = int.from_bytes(data[at:at + 2], "big")
        data[at + 10] ^= 1
        hashes[32:64] = hashlib.sha256(b"\0" + data[at + 2:at + 2 + size]).digest()
        path.write_bytes(data)
        tile.write_bytes(hashes)
        finding = self.found(self.audit(code=INTEGRITY), "entry-changed")
        self.assertEqual(finding["index"], 0)
        self.assertIn("one of the entries 0 to 255", finding["text"])

    def test_checkpoint(self):
        self.copy()
        path = self.log / "checkpoint"
        good = path.read_text()
        lines = good.splitlines(keepends=True)
        blank = lines.index("\n")
        root = base64.b64encode(bytes(32)).decode() + "\n"
        for text, kind in (
                ("".join([lines[0], lines[1], root, *lines[3:]]), "checkpoint-bad"),
                ("".join(lines[:blank + 1]), "checkpoint-bad"),
                ("".join(lines[:blank + 2]), "quorum-missing"),
                ("", "checkpoint-bad"), ("x" * 70000, "checkpoint-bad")):
            path.write_text(text)
            said = self.audit(code=INTEGRITY)
            self.assertIn(kind, [f["kind"] for f in said["findings"]], text[:300])
        stranger = f"\u2014 nobody.example {base64.b64encode(b'1234' + bytes(72)).decode()}\n"
        path.write_text(good + stranger)
        said = self.audit()
        self.assertEqual(self.found(said, "cosignature-unknown")["severity"], "note")
        other = next(p for p in sorted(self.out.glob("*/hq/*/checkpoint")))
        path.write_bytes(other.read_bytes())
        said = self.audit(code=INTEGRITY)
        self.assertEqual(self.found(said, "checkpoint-bad")["log"], self.own)
        path.unlink()
        said = self.audit(code=INTEGRITY)
        self.assertEqual(self.found(said, "file-missing")["log"], self.own)

    def test_a_cosignature_that_is_bad(self):
        self.copy()
        path = self.log / "checkpoint"
        lines = path.read_text().splitlines()
        at = next(i for i, line in enumerate(lines) if "/mirror/hq" in line)
        head, blob = lines[at].rsplit(" ", 1)
        raw = bytearray(base64.b64decode(blob))
        raw[40] ^= 1
        lines[at] = f"{head} {base64.b64encode(raw).decode()}"
        path.write_text("\n".join(lines) + "\n")
        said = self.audit(code=INTEGRITY)
        self.found(said, "cosignature-bad", "quorum-missing")

    def test_files(self):
        """Gone, cut, longer, swapped, doubled."""
        self.copy()
        last = max(self.log.glob("tile/entries/001.p/*"), key=lambda p: int(p.name))
        width = int(last.name)
        for name, how, kind in (
                ("tile/entries/000", "gone", "file-missing"), ("tile/0/000", "gone", "file-missing"),
                ("tile/1/000.p/1", "gone", "file-missing"),
                (f"tile/entries/001.p/{width}", "gone", "file-missing"),
                ("tile/entries/000", "cut", "entry-cut"), ("tile/entries/000", "longer", "entry-cut"),
                ("tile/0/000", "cut", "tile-changed"), ("tile/0/000", "longer", "tile-changed"),
                (f"tile/0/001.p/{width}", "longer", "tile-changed"),
                ("tile/entries/000", "empty", "entry-cut")):
            path = self.log / name
            good = path.read_bytes()
            path.unlink()
            if how != "gone":
                path.write_bytes({"cut": good[:-1], "longer": good + b"\0\1x", "empty": b""}[how])
            said = self.audit(code=INTEGRITY)
            self.assertEqual(said["findings"][0]["kind"], kind, (name, how, said["findings"]))
            self.assertEqual(said["findings"][0]["log"], self.own)
            path.write_bytes(good)
        a, b = self.log / "tile/entries/000", self.log / f"tile/entries/001.p/{width}"
        one, two = a.read_bytes(), b.read_bytes()
        a.write_bytes(two)
        b.write_bytes(one)
        self.assertEqual(self.audit(code=INTEGRITY)["verdict"], "violated")
        a.write_bytes(one)
        b.write_bytes(one)
        self.assertEqual(self.audit(code=INTEGRITY)["verdict"], "violated")
        b.write_bytes(two)
        # What is of no tree is not read.
        shutil.copy(a, self.log / "tile/entries/007")
        (self.log / "notes.txt").write_text("lorem")
        self.found(self.audit())

    def test_what_opens_a_log(self):
        """Entry 0 changed, empty, larger than any that opens a log: by either way of trust."""
        self.copy()
        path = self.log / "tile/entries/000"
        good = path.read_bytes()
        rest = good[2 + int.from_bytes(good[:2], "big"):]
        for entry, kind in ((b"x" * 4097, "opened-bad"), (b"x" * 100, "opened-bad"),
                            (b"x" * 65535, "opened-bad"), (b"", "entry-cut")):
            path.write_bytes(len(entry).to_bytes(2, "big") + entry + rest)
            for trust in (("--directory", self.directory), ("--policy", self.policy)):
                said = self.audit(*trust, code=INTEGRITY)
                first = next(f for f in said["findings"] if f["log"] == self.own)
                self.assertEqual((first["kind"], first["index"]), (kind, 0), said["findings"])

    def test_the_directory(self):
        """Nothing of it is believed once its entries are not the signed ones."""
        self.copy()
        origin = self.directory.split("+")[0]
        entries = next((self.out / origin / "tile/entries").glob("000*/*"))
        data = bytearray(entries.read_bytes())
        data[-70] ^= 1
        entries.write_bytes(data)
        said = self.audit(code=INTEGRITY)
        self.assertIn(("entry-changed", origin), [(f["kind"], f["log"]) for f in said["findings"]])
        self.assertEqual({f["kind"] for f in said["findings"] if f["log"] != origin}, {"unfinished"})
        shutil.rmtree(self.out / origin)
        said = self.audit(code=INTEGRITY)
        self.assertEqual(said["findings"][0]["kind"], "file-missing")

    def test_keys(self):
        """Another directory's key, a policy of other logs, no key, nonsense."""
        self.audit("--directory", self.directory[:-2] + "AA", code=USAGE, source=self.export)
        other = self.policy.read_text().replace("log ", "# log ")
        path = self.root / "other"
        path.write_text(other + "")
        said = self.audit("--policy", path, code=FAILED, source=self.export)
        self.assertEqual({f["kind"] for f in said["findings"]}, {"unfinished"})
        done = self.run_audit(source=self.export)
        self.assertEqual(done.returncode, USAGE)
        self.assertIn("--directory", done.stderr)
        for args in (("--jobs", "0"), ("--jobs", "17"), ("--now", "yesterday")):
            self.assertEqual(self.run_audit("--directory", self.directory, *args,
                                            source=self.export).returncode, USAGE)

    # ---- what is no export ----

    def test_hostile_files(self):
        """Links, pipes, a huge file, directories in place of files: said, not followed, not waited
        for."""
        self.copy()
        secret = self.root / "secret"
        secret.write_text("not for a report\n")

        def replace(name, make, kind):
            path = self.log / name
            good = path.read_bytes()
            path.unlink()
            make(path)
            said = self.audit(code=INTEGRITY)
            self.assertEqual(said["findings"][0]["kind"], kind, said["findings"])
            self.assertNotIn(base64.b64encode(b"not for a")[:10].decode(), json.dumps(said))
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink()
            path.write_bytes(good)

        def huge(path):
            with open(path, "wb") as f:
                f.truncate(5 << 30)

        for make in (lambda p: p.symlink_to(secret), os.mkfifo, Path.mkdir, huge):
            replace("checkpoint", make, "checkpoint-bad")
        for make in (lambda p: p.symlink_to(secret), os.mkfifo, Path.mkdir):
            replace("tile/entries/000", make, "file-missing")
            replace("tile/0/000", make, "tile-changed")
        replace("tile/entries/000", huge, "entry-cut")
        replace("tile/0/000", huge, "tile-changed")
        # The way to it leads elsewhere.
        real = self.root / "elsewhere"
        (self.log / "tile").rename(real)
        (self.log / "tile").symlink_to(real)
        said = self.audit(code=INTEGRITY)
        self.assertEqual(said["findings"][0]["kind"], "file-missing", said["findings"])

    def test_could_not_look(self):
        empty = self.root / "empty"
        empty.mkdir(exist_ok=True)
        marked = self.root / "marked"
        shutil.copytree(self.export, marked)
        (marked / ".sauti-export").write_text("sauti export 2\n")
        within = self.export / self.network.name  # not the directory with the exports
        for source, says in ((self.root / "nothing", "No such file"), (empty, "there is no log in"),
                             (within, "there is no log in"), (self.policy, "no bundle, and no directory"),
                             (marked, "this version")):
            for trust in (("--policy", self.policy), ("--directory", self.directory)):
                done = self.run_audit(*trust, source=source)
                self.assertEqual(done.returncode, FAILED, done.stdout + done.stderr)
                self.assertTrue(done.stderr.startswith("sauti: "), done.stderr)
                self.assertIn(says, done.stderr)

    @unittest.skipIf(os.geteuid() == 0, "root may read any file")
    def test_not_permitted(self):
        self.copy()
        (self.log / "tile/0/000").chmod(0)
        self.audit(code=FAILED)


class Rotated(unittest.TestCase):
    def test_what_former_keys_cosigned(self):
        """A mirror has new keys: what it cosigned with the old ones, before, counts for the quorum."""
        with tempfile.TemporaryDirectory(prefix="sauti-audit-") as scratch:
            network = Network(Path(scratch) / "net", BUILD, "test.example")
            try:
                hq = network.init()
                hq.start()
                caf = network.join("caf", "CAF")
                caf.start()
                network.settle()
                old, new = Path(scratch) / "old", Path(scratch) / "new"
                hq.sauti("log", "export", old)
                caf.stop()
                caf.sauti("node", "rotate", "--passphrase-file", network.passphrase)
                caf.start()
                network.settle()
                hq.sauti("log", "export", new)
                key = next(line.split()[1] for line in hq.sauti("log", "policy").stdout.splitlines()
                           if line.startswith("log ") and "/directory/" in line)
                own = hq.own()["origin"]
            finally:
                network.stop()
            shutil.rmtree(new / own)
            shutil.copytree(old / own, new / own)
            done = subprocess.run([BUILD / "sauti", "--json", "audit", "log", new, "--directory", key],
                                  capture_output=True, text=True, timeout=120, check=False)
            self.assertEqual(done.returncode, OK, done.stdout + done.stderr)
            log = next(log for log in json.loads(done.stdout)["logs"] if log["log"] == own)
            self.assertIn("test.example/mirror/caf", [by["name"] for by in log["cosigned_by"]])
            self.assertGreater(log["unknown_signatures"], 0)  # its witness key, which counts for nothing


if __name__ == "__main__":
    BUILD = Path(sys.argv.pop(1)).resolve()
    unittest.main()
