#!/usr/bin/env python3
"""Backups of real nodes and their way back. test_backup.py BUILD [unittest args]"""

import base64
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "tests" / "lib"))
from network import Network, Node, wait_for  # noqa: E402

BUILD = Path()
FILES = ["sauti.conf", "certs/node.pem", "certs/root.pem", "genesis", "store/data.mdb", "BACKUP"]
KILLS = int(os.environ.get("SAUTI_KILLS", "8"))  # of backup and of restore each; a campaign asks for more


def sizes(node):
    """Size and checkpoint of every log a node lists."""
    return {o: (log["size"], log["checkpoint_size"], log["root"]) for o, log in node.logs().items()}


def tree(path):
    """Every file below a directory, with its bytes; links by where they point."""
    return {str(p.relative_to(path)): os.readlink(p) if p.is_symlink() else
            p.read_bytes() if p.is_file() else None for p in Path(path).rglob("*")}


def seal(directory, change=lambda text: text):
    """Writes BACKUP anew for what is there, as a forger would: sizes and hashes are right."""
    path = Path(directory) / "BACKUP"
    lines = []
    for line in path.read_text().splitlines()[:-1]:
        if line.startswith("file "):
            data = (Path(directory) / line.split()[-1]).read_bytes()
            line = f"file {len(data)} {hashlib.sha256(data).hexdigest()} {line.split()[-1]}"
        lines.append(line)
    text = change("\n".join(lines) + "\n")
    path.write_text(text + f"sha256 {hashlib.sha256(text.encode()).hexdigest()}\n")


def fields(message):
    """The length-delimited fields of a protobuf message, the last of each number."""
    found, at = {}, 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = varint()
        value = varint()
        if key & 7 == 2:
            found[key >> 3] = message[at:at + value]
            at += value
    return found


def children(pid):
    """The processes that this one has started."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(path.read_text().rsplit(")", 1)[1].split()[1]) == pid:
                yield int(path.parent.name)
        except OSError:
            pass


class Case(unittest.TestCase):
    """Headquarters and one office that has recorded something, for all tests of a class."""

    @classmethod
    def setUpClass(cls):
        cls.root = Path(tempfile.mkdtemp(prefix="sauti-backup."))
        cls.network = Network(cls.root, BUILD, "test.example")
        try:
            cls.hq = cls.network.init()
            cls.hq.configure("\n[replication]\nhave_delay = 100ms\ndial_retry_min = 200ms\n")
            cls.hq.start()
            cls.caf = cls.network.join("caf", "CAF", config="\n[replication]\nhave_delay = 100ms\n")
            cls.caf.start()
            cls.events = cls.root / "caf.jsonl"
            subprocess.run([SOURCE / "scripts" / "synth", "--size", "demo", "--office", "CAF", "--split",
                            cls.root], check=True, capture_output=True)
            lines = cls.events.read_text().splitlines(keepends=True)
            cls.first, cls.rest = cls.root / "first.jsonl", cls.root / "rest.jsonl"
            cls.first.write_text("".join(lines[:1000]))
            cls.rest.write_text("".join(lines[1000:]))
            cls.caf.sauti("case", "import", cls.first)
            cls.network.settle()
            cls.caf.sauti("backup", cls.root / "backup")
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def tearDownClass(cls):
        for node in cls.network.nodes.values():
            if node.process is not None:
                node.kill()
        shutil.rmtree(cls.root)

    def path(self, name):
        """A path of the test's own, not there yet."""
        path = self.root / f"{self.id().rsplit('.', 1)[-1]}.{name}"
        self.addCleanup(lambda: shutil.rmtree(path, ignore_errors=True))
        return path

    def copy(self, name="copy"):
        """The class's backup, to be damaged."""
        path = self.path(name)
        shutil.copytree(self.root / "backup", path, symlinks=True)
        return path

    def run_in(self, directory, *args, status=0, says=()):
        """sauti --dir DIRECTORY ..; its exit code and words."""
        done = subprocess.run([BUILD / "sauti", "--dir", directory, *map(str, args)], text=True,
                              capture_output=True, timeout=120, check=False)
        self.assertEqual(done.returncode, status, f"{args}: {done.stdout}{done.stderr}")
        for word in says:
            self.assertIn(word, done.stdout + done.stderr)
        if status != 0:
            self.assertEqual(done.stdout, "")
            self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        return done

    def verify(self, directory, status=0, says=()):
        done = subprocess.run([BUILD / "sautid", "--verify-backup", directory], text=True,
                              capture_output=True, timeout=120, check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        for word in says:
            self.assertIn(word, done.stderr)
        return done

    def refused(self, backup, status, *says):
        """Neither verified nor restored, dry or not; nothing is written; each says why."""
        target = self.path("target")
        self.run_in(target, "restore", "--dry-run", backup, status=status, says=says)
        self.assertFalse(target.exists())
        self.run_in(target, "restore", backup, status=status, says=says)
        self.assertFalse(target.exists())

    def give_keys(self, directory, node=None, names=("keys", "keyring")):
        for name in names:
            shutil.copytree((node or self.caf).dir / name, Path(directory) / name)

    def start_restored(self, directory):
        """The office again, from another directory; the first must be stopped."""
        node = Node(self.network, "caf", self.caf.port)
        node.dir = Path(directory)
        self.addCleanup(lambda: node.process and node.kill())
        node.start()
        return node


class Making(Case):
    """What a backup is, and what is no place for one."""

    def test_contents(self):
        backup = self.root / "backup"
        self.assertEqual(sorted(p for p, data in tree(backup).items() if data is not None), sorted(FILES))
        for path in [backup, *backup.rglob("*")]:
            self.assertEqual(path.stat().st_mode & 0o777, 0o700 if path.is_dir() else 0o600, path)
        text = (backup / "BACKUP").read_text()
        self.assertTrue(text.startswith("sauti-backup 1\nnode caf\nnetwork test.example\ncreated 20"))
        logs = {o: (int(size), int(at), root) for size, at, root, o in
                re.findall(r"^log (\d+) (\d+) (\S+) (\S+)$", text, re.M)}
        self.assertEqual(logs, sizes(self.caf))
        for name in ("sauti.conf", "certs/node.pem", "certs/root.pem", "genesis"):
            self.assertEqual((backup / name).read_bytes(), (self.caf.dir / name).read_bytes())

    def test_no_keys(self):
        """What is secret in the key files is nowhere in a backup."""
        data = b"".join(d for d in tree(self.root / "backup").values() if d)
        boot = fields((self.caf.dir / "keys" / "boot").read_bytes())
        keystore = fields((self.caf.dir / "keys" / "keystore").read_bytes())
        for secret in (boot[4], boot[5], boot[6], keystore[3], keystore[4][:16], keystore[4][-16:]):
            self.assertGreaterEqual(len(secret), 12)
            self.assertFalse(secret in data)

    def test_invites_stay_behind(self):
        """A stolen backup of headquarters opens no door: the secret of an invitation is not in it."""
        token = self.network.invite("ssd", "SSD")
        text = token[len("sauti-join-1."):]
        secret = fields(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))[7]
        self.assertEqual(len(secret), 32)
        self.assertTrue(secret in (self.hq.dir / "store" / "data.mdb").read_bytes())
        backup = self.path("backup")
        self.hq.sauti("backup", backup)
        self.assertFalse(any(secret in data for data in tree(backup).values() if data))
        # The invitation is still good where it was made.
        node = Node(self.network, "ssd")
        node.sauti("join", "-", "--listen", f"127.0.0.1:{node.port}", "--passphrase-file",
                   self.network.passphrase, stdin=token)

    def test_json(self):
        backup = self.path("backup")
        answer = self.caf.json("backup", backup)
        self.assertEqual((answer["backup"], answer["node"]), (str(backup), "caf"))
        self.assertEqual({log["origin"]: log["size"] for log in answer["logs"]},
                         {o: s[0] for o, s in sizes(self.caf).items()})
        self.assertEqual(answer["entries"], sum(log["size"] for log in answer["logs"]))

    def test_locked(self):
        """It takes no key to make one."""
        self.caf.sauti("lock")
        try:
            self.caf.sauti("backup", self.path("backup"))
        finally:
            self.caf.unlock()

    def test_progress(self):
        """On a terminal; in JSON there is none."""
        done = subprocess.run(["script", "-qec", f"{BUILD}/sauti --dir {self.root}/progress restore "
                               f"{self.root}/backup", "/dev/null"], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, check=False)
        self.addCleanup(lambda: shutil.rmtree(self.root / "progress"))
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("restored '", done.stdout)
        self.assertRegex(done.stdout, r"(copying|reading again|hashing every entry): \d+ %")

    def test_while_importing(self):
        """Consistent while the office works: each backup is whole, and none goes back."""
        done = []
        thread = threading.Thread(
            target=lambda: done.append(self.caf.sauti("case", "import", self.rest, check=False)))
        before = self.caf.own()["size"]
        thread.start()
        last, made = before, 0
        while thread.is_alive() or made == 0:
            backup = self.path(f"backup-{made}")
            answer = self.caf.json("backup", backup)
            own = {log["origin"]: log for log in answer["logs"]}[self.caf.own()["origin"]]
            self.assertGreaterEqual(own["size"], last)
            last, made = own["size"], made + 1
            self.verify(backup)
        thread.join()
        self.assertEqual(done[0].returncode, 0, done[0].stderr)
        self.assertLessEqual(last, self.caf.own()["size"])
        self.assertGreater(self.caf.own()["size"], before)
        self.assertTrue(all(log["ok"] for log in self.caf.json("log", "verify")))
        self.assertEqual([p.name for p in self.root.glob("*.partial")], [])

    def test_places(self):
        full = self.path("full")
        full.mkdir()
        (full / "something").touch()
        empty = self.path("empty")
        empty.mkdir()
        link = self.path("link")
        link.symlink_to(empty)
        self.addCleanup(link.unlink)
        for place, word in [
                (full, "not empty"), (self.caf.dir / "backup", "the node's own directory"),
                (self.caf.dir / "store" / "deep", "the node's own directory"),
                (self.caf.dir, "the node's own directory"),
                (f"{self.caf.dir}.guard/x", "the node's own directory"),
                (f"{self.caf.dir}.guard", "the node's own directory"),
                (self.root / "nowhere" / "backup", "the backup should stand in"),
                (link, "is there already"), (self.events, "is there already"),
                ("/proc/self/x", ""), ("/", "no name"), (f"{self.root}/..", "no name")]:
            with self.subTest(place):
                self.run_in(self.caf.dir, "backup", place, status=1 if place != "/proc/self/x" else 1,
                            says=[word])
        # Through a link into the node's directory, too.
        inside = self.path("inside")
        inside.symlink_to(self.caf.dir)
        self.addCleanup(inside.unlink)
        self.run_in(self.caf.dir, "backup", inside / "backup", status=1, says=["own directory"])
        # An empty directory is a good place, also by a relative name.
        done = subprocess.run([BUILD / "sauti", "--dir", self.caf.dir, "backup", empty.name],
                              cwd=self.root, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.verify(empty)
        self.run_in(self.caf.dir, "backup", empty, status=1, says=["not empty"])

    def test_guard_directory(self):
        guard = Path(f"{self.caf.dir}.guard")
        made = not guard.exists()
        guard.mkdir(exist_ok=True)
        self.addCleanup(lambda: made and shutil.rmtree(guard))
        self.run_in(self.caf.dir, "backup", guard / "backup", status=1, says=["own directory"])

    def test_with_keys(self):
        done = self.run_in(self.caf.dir, "backup", "--with-keys", self.path("b"), status=1,
                           says=["recovery keys", "keys/ cannot be brought back", "passphrase alone"])
        self.assertFalse(done.stderr.rstrip().endswith(".."), "cut short")

    def test_not_running(self):
        backup = self.path("backup")
        done = subprocess.run([BUILD / "sautid", "--dir", self.root / "nobody", "--backup", backup],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("sauti.conf", done.stderr)
        done = subprocess.run([BUILD / "sautid", "--dir", self.caf.dir, "--backup", backup],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("'sauti backup' makes a backup of a running node", done.stderr)
        now = sizes(self.caf)
        self.caf.stop()
        try:
            self.run_in(self.caf.dir, "backup", backup, status=3, says=["sautid --config", "--backup"])
            subprocess.run([BUILD / "sautid", "--dir", self.caf.dir, "--backup", backup], check=True,
                           capture_output=True)
        finally:
            self.caf.start()
        text = (backup / "BACKUP").read_text()
        for origin, (size, _, _) in now.items():
            self.assertRegex(text, rf"(?m)^log {size} .* {re.escape(origin)}$")
        self.verify(backup)

    def test_damaged_node(self):
        """A backup of what is damaged is none, and the node is named, not only the medium."""
        other = self.path("node")
        shutil.copytree(self.caf.dir, other, ignore=shutil.ignore_patterns("run", "lock*"))
        path = other / "store" / "data.mdb"
        record = fields((other / "genesis").read_bytes())[5][-40:]  # an entry of the directory
        data = path.read_bytes()
        self.assertIn(record, data)
        path.write_bytes(data.replace(record, bytes(b ^ 1 for b in record)))
        backup = self.path("backup")
        done = subprocess.run([BUILD / "sautid", "--dir", other, "--backup", backup],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 4, done.stderr)
        for word in ("own store is damaged", "sauti log verify", "/directory/", "entry"):
            self.assertIn(word, done.stderr)
        self.assertFalse(backup.exists() or Path(f"{backup}.partial").exists())

    def test_two_at_once(self):
        """One is made at a time; the other is told so, and whatever there is in the end is whole."""
        results = []
        threads = [threading.Thread(target=lambda i=i: results.append(
            self.caf.sauti("backup", self.root / f"two-{i}", check=False))) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertIn(0, [r.returncode for r in results])
        for result in results:
            if result.returncode != 0:
                self.assertIn("another backup", result.stderr)
        for i in range(4):
            path = self.root / f"two-{i}"
            if path.exists():
                self.verify(path)
                shutil.rmtree(path)

    def test_leftovers_that_are_not_ours(self):
        backup = self.path("backup")
        partial = Path(f"{backup}.partial")
        partial.mkdir()
        self.addCleanup(lambda: shutil.rmtree(partial))
        (partial / "diary").write_text("x")
        self.run_in(self.caf.dir, "backup", backup, status=1, says=[f"{partial}"])
        self.assertEqual((partial / "diary").read_text(), "x")

    def test_full_disk(self):
        """Before, when it shows; in the middle, when it does not: nothing stays under the name."""
        if os.geteuid() != 0:
            self.skipTest("needs root, for a tmpfs of its own size")
        disk = self.path("disk")
        disk.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", disk],
                          capture_output=True, check=False).returncode != 0:
            self.skipTest("mount is not permitted here: run it in a VM or a privileged container")
        self.addCleanup(lambda: subprocess.run(["umount", disk], check=True))
        self.run_in(self.caf.dir, "backup", disk, status=1, says=["mounted"])
        self.run_in(self.caf.dir, "backup", disk / "b", status=1, says=["free"])
        self.assertEqual(list(disk.iterdir()), [])
        target = disk / "target"
        self.run_in(target, "restore", self.root / "backup", status=1, says=["free"])
        self.assertFalse(target.exists())
        # It looks large enough, and another takes the room meanwhile.
        subprocess.run(["mount", "-o", "remount,size=24m", disk], check=True)
        stop = threading.Event()

        def fill():
            with open(disk / "filler", "wb", buffering=0) as file:
                while not stop.is_set():
                    try:
                        file.write(b"x" * (1 << 20))
                    except OSError:
                        time.sleep(0.001)

        # Who is first is luck: until both were seen to be cut short.
        failed = [0, 0]
        for what in range(60):
            if min(failed) > 0:
                break
            stop.clear()
            if (disk / "filler").exists():
                (disk / "filler").unlink()
            thread = threading.Thread(target=fill)
            thread.start()
            if what % 2 == 0:
                done = self.caf.sauti("backup", disk / "b", check=False)
            else:
                done = subprocess.run([BUILD / "sauti", "--dir", disk / "r", "restore", self.root / "backup"],
                                      capture_output=True, text=True, check=False)
            stop.set()
            thread.join()
            if done.returncode != 0:
                failed[what % 2] += 1
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertEqual([p.name for p in disk.iterdir()], ["filler"], done.stderr)
            for made in (disk / "b", disk / "r"):
                if made.exists():
                    shutil.rmtree(made)
        self.assertGreater(sum(failed), 0)
        self.assertEqual(self.caf.sauti("status").returncode, 0)

    def test_kill(self):
        """kill -9 of the node at any moment: a directory of that name is whole, or is not there."""
        rng = random.Random(7)
        backup = self.root / "killed"
        start = time.monotonic()
        self.caf.sauti("backup", backup)
        takes = time.monotonic() - start
        shutil.rmtree(backup)
        whole = 0
        for _ in range(KILLS):
            client = subprocess.Popen([BUILD / "sauti", "--dir", self.caf.dir, "backup", backup],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(rng.random() * takes)
            self.caf.kill()
            client.wait(120)
            if backup.exists():
                self.verify(backup)
                whole += 1
                shutil.rmtree(backup)
            self.caf.start()
        # What the last one left is in nobody's way.
        self.caf.sauti("backup", backup)
        self.verify(backup)
        shutil.rmtree(backup)
        self.assertFalse(Path(f"{backup}.partial").exists())
        self.assertLess(whole, KILLS)

    def test_pulled_out(self):
        """What a stick that is pulled out does to whoever maps it is done to a child: the node goes
        on, and says why there is no backup."""
        backup = self.root / "pulled"
        for _ in range(50):
            client = subprocess.Popen([BUILD / "sauti", "--dir", self.caf.dir, "backup", backup],
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            hit = False
            while client.poll() is None and not hit:
                for child in children(self.caf.process.pid):
                    os.kill(child, signal.SIGBUS)
                    hit = True
            _, words = client.communicate(timeout=120)
            if client.returncode == 0:
                shutil.rmtree(backup)
                continue
            self.assertTrue(hit)
            self.assertEqual(client.returncode, 4, words)
            self.assertIn("ended the process that was reading it (Bus error)", words)
            break
        else:
            self.fail("no child was met in 50 backups")
        self.assertFalse(backup.exists())
        self.assertFalse(Path(f"{backup}.partial").exists())
        self.caf.sauti("backup", backup)
        shutil.rmtree(backup)

    def test_stop_in_the_middle(self):
        """A node that is told to stop ends its backup and leaves nothing of it."""
        backup = self.root / "stopped"
        client = subprocess.Popen([BUILD / "sauti", "--dir", self.caf.dir, "backup", backup],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for("the backup to begin", lambda: Path(f"{backup}.partial").exists() or backup.exists())
        self.assertEqual(self.caf.stop(), 0)
        client.wait(120)
        self.assertFalse(Path(f"{backup}.partial").exists())
        if backup.exists():
            self.verify(backup)
            shutil.rmtree(backup)
        self.caf.start()


class Damage(Case):
    """A backup is foreign data."""

    def test_every_file(self):
        for name in FILES:
            for change in ("flip", "cut", "grow", "remove", "directory", "link"):
                with self.subTest(f"{name}: {change}"):
                    backup = self.copy(f"{name.replace('/', '-')}-{change}")
                    path = backup / name
                    data = bytearray(path.read_bytes())
                    if change == "flip":
                        data[len(data) // 2] ^= 0x20
                        path.write_bytes(data)
                    elif change == "cut":
                        path.write_bytes(data[:-1])
                    elif change == "grow":
                        path.write_bytes(data + b"\n")
                    else:
                        path.unlink()
                        if change == "directory":
                            path.mkdir()
                        if change == "link":
                            path.symlink_to(self.root / "backup" / name)
                    if name == "BACKUP" and change in ("remove", "directory", "link"):
                        if change == "link":
                            continue  # what it says is checked; nothing is written through it
                        self.refused(backup, 1, "BACKUP")
                    else:
                        self.refused(backup, 4, f"{name}")
                    shutil.rmtree(backup)

    def test_linked_directories(self):
        for name in ("certs", "store"):
            backup = self.copy(name)
            shutil.rmtree(backup / name)
            (backup / name).symlink_to(self.root / "backup" / name)
            self.refused(backup, 4, name)

    def test_no_backup(self):
        empty = self.path("empty")
        empty.mkdir()
        self.refused(empty, 1, "is no backup", "BACKUP")
        self.refused(self.caf.dir, 1, "is no backup")
        self.refused(self.root / "missing", 1, "open backup")
        self.refused(self.events, 1)

    def test_newer(self):
        backup = self.copy("manifest")
        path = backup / "BACKUP"
        path.write_text(path.read_text().replace("sauti-backup 1", "sauti-backup 2"))
        self.refused(backup, 1, "made by a newer Sauti: backup format 2, this one knows up to 1")
        # Its store.
        backup = self.copy("store")
        path = backup / "store" / "data.mdb"
        data = path.read_bytes()
        at = [m.start() + len(b"format") for m in re.finditer(b"format\\0\\0\\0\\0", data)]
        for i in at:
            data = data[:i] + b"\0\0\0\x63" + data[i + 4:]
        path.write_bytes(data)
        seal(backup)
        if at:
            self.refused(backup, 1, "made by a newer Sauti: format 99")

    def test_forged_manifest(self):
        """With hashes that fit: what it says of the logs must be so."""
        own = self.caf.own()["origin"]
        for what, change, word in [
                ("size", lambda t: re.sub(r"(?m)^log (\d+) (.* " + re.escape(own) + ")$",
                                          lambda m: f"log {int(m[1]) + 1} {m[2]}", t), own),
                ("less", lambda t: re.sub(r"(?m)^log .* " + re.escape(own) + r"\n", "", t), "logs"),
                ("commit", lambda t: re.sub(r"(?m)^commits \d+", "commits 1", t), "commit"),
                ("node", lambda t: t.replace("node caf", "node hq"), "belongs to node"),
                ("network", lambda t: t.replace("network test.example", "network evil.example"),
                 "test.example"),
                ("time", lambda t: re.sub(r"created \d+", "created 2001", t), "not marked")]:
            with self.subTest(what):
                backup = self.copy(what)
                seal(backup, change)
                self.refused(backup, 4, word)

    def test_no_mark(self):
        """The store of a node with a manifest beside it is no backup."""
        backup = self.copy()
        shutil.copy(self.caf.dir / "store" / "data.mdb", backup / "store" / "data.mdb")
        seal(backup)
        self.refused(backup, 4, "not marked")

    def test_store_flips(self):
        """Any byte of the store, with a manifest that fits it: refused or found to be the same logs,
        and never a crash that is not explained."""
        rng = random.Random(11)
        backup = self.copy()
        path = backup / "store" / "data.mdb"
        data = path.read_bytes()
        found = 0
        for _ in range(100):
            changed = bytearray(data)
            # LMDB's own structures are at the beginning of pages.
            at = rng.randrange(len(data) // 4096) * 4096 + rng.choice([rng.randrange(64), rng.randrange(4096)])
            changed[at] ^= 1 << rng.randrange(8)
            path.write_bytes(changed)
            seal(backup)
            target = self.root / "flips"
            done = subprocess.run([BUILD / "sauti", "--dir", target, "restore", "--dry-run", backup],
                                  capture_output=True, text=True, timeout=60, check=False)
            self.assertIn(done.returncode, (0, 1, 4), f"byte {at}: {done.stderr}")
            if done.returncode != 0:
                found += 1
                self.assertTrue(done.stderr.startswith("sauti: "), done.stderr)
                self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        self.assertGreater(found, 30)

    def test_store_that_crashes(self):
        """Pages that point nowhere end the child, not the one who asked."""
        rng = random.Random(5)
        backup = self.copy()
        path = backup / "store" / "data.mdb"
        data = path.read_bytes()
        ended = 0
        for i in range(40):
            changed = bytearray(data)
            for page in range(2, len(data) // 4096):
                if rng.random() < 0.3:
                    for at in range(16, 64):  # offsets of nodes
                        changed[page * 4096 + at] = rng.randrange(256)
            path.write_bytes(changed)
            seal(backup)
            done = subprocess.run([BUILD / "sauti", "--dir", self.root / "never", "restore", backup],
                                  capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 4, done.stderr)
            self.assertFalse((self.root / "never").exists())
            if "ended the process that was reading it" in done.stderr:
                ended += 1
        self.assertGreater(ended, 0)

    def test_garbage_store(self):
        for what, data in (("zeros", bytes(65536)), ("random", random.Random(3).randbytes(65536)),
                           ("empty", b""), ("text", b"hello\n")):
            with self.subTest(what):
                backup = self.copy(what)
                (backup / "store" / "data.mdb").write_bytes(data)
                seal(backup)
                self.refused(backup, 4)

    def test_cut_store(self):
        """Shorter than its own pages say, with a manifest that fits."""
        backup = self.copy()
        path = backup / "store" / "data.mdb"
        data = path.read_bytes()
        path.write_bytes(data[:len(data) // 2 // 4096 * 4096])
        seal(backup)
        self.refused(backup, 4)

    def test_signature(self):
        """A checkpoint whose signature was changed, in a store that is whole otherwise."""
        backup = self.copy()
        path = backup / "store" / "data.mdb"
        data = bytearray(path.read_bytes())
        head = f"\u2014 {self.caf.own()['origin']} ".encode()
        at, changed = data.find(head), 0
        while at >= 0:
            i = at + len(head) + 40  # of 92 characters of base64
            data[i] = ord("A") if data[i] != ord("A") else ord("B")
            changed += 1
            at = data.find(head, i)
        self.assertGreater(changed, 0)
        path.write_bytes(data)
        seal(backup)
        self.refused(backup, 4, self.caf.own()["origin"])

    def test_another_genesis(self):
        """A log is believed by the directory of the network, which the genesis file stands for."""
        other = Network(self.path("network"), BUILD, "test.example")
        hq = other.init()
        backup = self.copy()
        shutil.copy(hq.dir / "genesis", backup / "genesis")
        seal(backup)
        self.refused(backup, 4, "directory")


class Restoring(Case):
    """From a backup to a node."""

    def test_to_a_new_place(self):
        target, before = self.path("target"), sizes(self.caf)
        self.caf.sauti("backup", self.path("backup"))
        done = self.run_in(target, "restore", self.path("backup"),
                           says=["the node opens a new one", "No keys are in a backup"])
        self.assertIn("every signature checked", done.stdout)
        self.assertEqual(sorted(p.name for p in target.iterdir()), ["certs", "genesis", "sauti.conf", "store"])
        self.assertEqual(target.stat().st_mode & 0o777, 0o700)
        self.assertEqual([(p, (target / p).stat().st_mode & 0o777) for p in FILES[:-1]],
                         [("sauti.conf", 0o644), ("certs/node.pem", 0o644), ("certs/root.pem", 0o644),
                          ("genesis", 0o600), ("store/data.mdb", 0o600)])
        # Without keys it does not start, and says why.
        started = subprocess.run([BUILD / "sautid", "--dir", target], capture_output=True, text=True,
                                 timeout=120, check=False)
        self.assertNotEqual(started.returncode, 0)
        self.assertIn("keys/boot", started.stderr)
        self.give_keys(target)
        self.caf.stop()
        try:
            node = self.start_restored(target)
            after = sizes(node)
            for origin in before:
                self.assertGreaterEqual(after[origin], before[origin])
            self.assertTrue(all(log["ok"] for log in node.json("log", "verify")))
            self.assertEqual(len(node.json("case", "list")), len(node.json("case", "list")))
            # And from there again.
            again, third = self.path("again"), self.path("third")
            node.sauti("backup", again)
            self.verify(again)
            node.stop()
            self.run_in(third, "restore", again)
            self.give_keys(third)
            third_node = self.start_restored(third)
            # Each restored node has a log of its own more, and what it had before.
            new = set(sizes(third_node)) - set(after)
            self.assertEqual(set(after) - set(sizes(third_node)), set())
            self.assertEqual([o.split("/")[1] for o in new], ["caf"])
            self.assertTrue(new.pop().split("/")[2].startswith("3-"))
            third_node.stop()
        finally:
            self.caf.start()

    def test_dry_run_writes_nothing(self):
        target = self.path("target")
        before = tree(self.root / "backup")
        done = self.run_in(target, "restore", "--dry-run", self.root / "backup",
                           says=["could be restored, nothing was written"])
        self.assertFalse(target.exists())
        self.assertIn(str(target), done.stdout)
        self.assertEqual(tree(self.root / "backup"), before)
        target.mkdir()
        answer = json.loads(self.run_in(target, "--json", "restore", "--dry-run", self.root / "backup").stdout)
        self.assertTrue(answer["dry_run"])
        self.assertEqual(list(target.iterdir()), [])

    def test_read_only_backup(self):
        """On a medium that cannot be written; nothing of the backup changes."""
        backup, target = self.copy(), self.path("target")
        before = tree(backup)
        for path in [*backup.rglob("*"), backup]:
            path.chmod(0o500 if path.is_dir() else 0o400)
        self.run_in(target, "restore", backup)
        for path in [backup, *backup.rglob("*")]:
            path.chmod(0o700 if path.is_dir() else 0o600)
        self.assertEqual(tree(backup), before)

    def test_targets(self):
        backup = self.root / "backup"
        full = self.path("full")
        full.mkdir()
        (full / "letters").write_text("x")
        file = self.path("file")
        file.write_text("x")
        self.addCleanup(file.unlink)
        keys = self.path("keys")
        keys.mkdir()
        self.give_keys(keys)
        running = tree(self.caf.dir / "keys")
        for target, args, word in [
                (full, [], "letters"), (full, ["--keep-keys"], "letters"), (file, [], "no directory"),
                (self.caf.dir, [], "holds a node"), (self.caf.dir, ["--keep-keys"], "holds a node"),
                (keys, [], "--keep-keys"), (self.path("none"), ["--keep-keys"], "no keys"),
                (backup / "inside", [], "inside the backup"), (backup, [], "inside the backup"),
                (self.root, [], "the backup is inside")]:
            for dry in ([], ["--dry-run"]):
                with self.subTest(f"{target} {args} {dry}"):
                    self.run_in(target, "restore", *args, *dry, backup, status=1, says=[word])
        self.assertEqual(tree(self.caf.dir / "keys"), running)
        self.assertEqual(sorted(p.name for p in full.iterdir()), ["letters"])

    def test_keep_keys(self):
        """A machine that has lost its store: the keys are not touched."""
        target = self.path("target")
        target.mkdir()
        self.give_keys(target)
        (target / "run").mkdir()
        before = tree(target / "keys"), tree(target / "keyring")
        self.run_in(target, "restore", "--keep-keys", self.root / "backup", says=["keys/ was left as it was"])
        self.assertEqual((tree(target / "keys"), tree(target / "keyring")), before)
        self.run_in(target, "restore", "--keep-keys", self.root / "backup", status=1, says=["holds a node"])
        self.caf.stop()
        try:
            node = self.start_restored(target)
            self.assertGreater(len(node.json("case", "list")), 0)
            node.stop()
        finally:
            self.caf.start()

    def test_keys_of_another(self):
        target = self.path("target")
        target.mkdir()
        self.give_keys(target, self.hq)
        self.run_in(target, "restore", "--keep-keys", self.root / "backup", status=1,
                    says=["keys of 'hq'", "the backup is of 'caf'"])
        self.assertEqual(sorted(p.name for p in target.iterdir()), ["keyring", "keys"])

    def test_other_directory_in_the_configuration(self):
        target = self.path("target")
        backup = self.copy()
        conf = backup / "sauti.conf"
        conf.write_text(conf.read_text().replace("[node]\n", "[node]\ndirectory = /srv/elsewhere\n", 1))
        seal(backup)
        self.run_in(target, "restore", backup, says=["/srv/elsewhere", "before you start it"])

    def test_kill(self):
        """kill -9 at any moment, both processes: without sauti.conf it is no node; the same command
        ends it; what is there then is whole."""
        rng = random.Random(13)
        backup, states = self.root / "backup", set()
        start = time.monotonic()
        self.run_in(self.path("first"), "restore", backup)
        takes = time.monotonic() - start
        for i in range(KILLS):
            target = self.path(f"target-{i}")
            target.mkdir()
            self.give_keys(target)
            process = subprocess.Popen([BUILD / "sauti", "--dir", target, "restore", "--keep-keys", backup],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(takes * (rng.random() if i % 2 else 0.8 + 0.2 * rng.random()))
            process.kill()
            process.wait()
            left = sorted(p.name for p in target.iterdir() if p.name not in ("keys", "keyring"))
            states.add(tuple(left))
            if left != ["certs", "genesis", "sauti.conf", "store"]:
                self.run_in(target, "restore", "--keep-keys", backup)
            self.assertEqual(sorted(p.name for p in target.iterdir()),
                             ["certs", "genesis", "keyring", "keys", "sauti.conf", "store"])
            for name in FILES[:-1]:
                self.assertEqual((target / name).read_bytes(), (backup / name).read_bytes(), name)
        self.assertGreater(len(states), 1, states)

    def test_interrupted_between_the_moves(self):
        """Every state that kill -9 can leave is brought to its end by the same backup alone."""
        backup = self.root / "backup"
        other = self.path("other")
        self.caf.sauti("case", "open")
        self.caf.sauti("backup", other)
        order = ["genesis", "certs", "store", "sauti.conf"]
        for moved in range(len(order) + 2):
            with self.subTest(moved=moved):
                target = self.path(f"target-{moved}")
                staging = target / "restoring"
                shutil.copytree(backup, staging)
                for name in order[:moved]:
                    (staging / name).rename(target / name)
                if moved > len(order):
                    (staging / "BACKUP").unlink()
                    self.run_in(target, "restore", other, status=1, says=["another backup"])
                elif moved > 0:
                    self.run_in(target, "restore", other, status=1, says=["another backup"])
                    self.assertEqual((staging / "BACKUP").read_bytes(), (backup / "BACKUP").read_bytes())
                self.run_in(target, "restore", backup, says=["to its end"] if moved else [])
                self.assertEqual(sorted(p.name for p in target.iterdir()), sorted(order))
                for name in FILES[:-1]:
                    self.assertEqual((target / name).read_bytes(), (backup / name).read_bytes(), name)

    def test_two_at_once(self):
        target = self.path("target")
        processes = [subprocess.Popen([BUILD / "sauti", "--dir", target, "restore", self.root / "backup"],
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                     for _ in range(4)]
        results = [(p.communicate(timeout=180), p.returncode) for p in processes]
        self.assertEqual([code for _, code in results].count(0), 1, results)
        for name in FILES[:-1]:
            self.assertEqual((target / name).read_bytes(), (self.root / "backup" / name).read_bytes())

    def test_interrupt_key(self):
        """SIGINT is an end with nothing left behind."""
        target = self.path("target")
        process = subprocess.Popen([BUILD / "sauti", "--dir", target, "restore", self.root / "backup"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_for("the restore to begin", lambda: (target / "restoring").exists() or process.poll() is not None)
        process.send_signal(signal.SIGINT)
        _, words = process.communicate(timeout=120)
        if process.returncode != 0:
            self.assertEqual(process.returncode, 1, words)
            self.assertFalse(target.exists(), words)

    def test_usage(self):
        for args in (["restore"], ["restore", "a", "b"], ["backup"], ["restore", "--force", "x"]):
            done = subprocess.run([BUILD / "sauti", *args], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 2, args)
        done = subprocess.run([BUILD / "sauti", "--config", "x", "restore", "y"], capture_output=True,
                              text=True, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("brings its own sauti.conf", done.stderr)
        for args in (["--dry-run"], ["--keep-keys"], ["--json"], ["--config", "x", "--restore", "y"],
                     ["--backup", "x", "--restore", "y"], ["--complete-backup", "x"], ["--name", "x"]):
            done = subprocess.run([BUILD / "sautid", *args], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 2, args)


if __name__ == "__main__":
    BUILD = Path(sys.argv.pop(1)).resolve()
    unittest.main()
