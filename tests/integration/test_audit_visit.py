#!/usr/bin/env python3
"""What an auditor learns at the second visit, from real nodes' exports: nothing wrong, an old copy, a
second history, a log that stands still, keys that were used out of their time, what is missing; and what
is refused. test_audit_visit.py BUILD [unittest args]"""

import base64
import fcntl
import functools
import grp
import hashlib
import html.parser
import http.server
import importlib.util
import json
import os
import re
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
from fakenode import get  # noqa: E402
from network import Network, wait_for  # noqa: E402
from webserver import NOBODY, Web, open_directory  # noqa: E402

BUILD = Path()
DAY = 24 * 60 * 60


def corpus():
    """Ed25519 in plain Python, of the seeds for fuzzing."""
    spec = importlib.util.spec_from_file_location("make_corpus", SOURCE / "tests/fuzz/make_corpus.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def field(message, number):
    """A length-delimited field of a message that has such alone, and small numbers."""
    at = 0
    while at < len(message):
        tag, at = message[at], at + 1
        if tag & 7 == 0:
            while message[at] & 0x80:
                at += 1
            at += 1
            continue
        size, shift = 0, 0
        while True:
            size |= (message[at] & 0x7f) << shift
            shift, at = shift + 7, at + 1
            if not message[at - 1] & 0x80:
                break
        if tag >> 3 == number:
            return message[at:at + size]
        at += size
    raise KeyError(number)


def utc(seconds):
    """As --now wants it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


class Page(html.parser.HTMLParser):
    """What stands in a page."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.open, self.text = set(), [], [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += [(tag, *a) for a in attrs]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        self.text += data


class Visits(unittest.TestCase):
    """Headquarters and an office, whose logs headquarters exports."""

    def setUp(self):
        self.place = tempfile.TemporaryDirectory(prefix="sauti-visit-")
        self.addCleanup(self.place.cleanup)
        self.root = Path(self.place.name)
        self.net = Network(self.root, BUILD, "visit.example")
        self.addCleanup(self.net.stop)
        self.hq = self.net.init()
        self.hq.start()
        self.office = self.net.join("haiti", "HTI")
        self.office.start()
        self.code = self.office.json("case", "open")["code"]
        cases.agree(self.office, self.code)
        self.add(3)
        self.net.settle()
        self.vkey = next(l.split()[1] for l in self.hq.sauti("log", "policy").stdout.splitlines()
                         if l.startswith("log visit.example/directory/"))
        self.log = self.office.own()["origin"]
        self.state = self.root / "state"

    def add(self, count):
        """Contacts of the one case."""
        self.office.sauti("case", "add", self.code, "--from", "-", stdin=cases.lines(
            *({"type": "CONTACT", "channel": "PHONE", "direction": "OUT", "result": "REACHED"},) * count))

    def export(self, name, node=None):
        """What that node holds, as files."""
        (node or self.hq).sauti("log", "export", self.root / name)
        return self.root / name

    def audit(self, source, *args, status=0, state=True):
        """sauti audit log, where there is no node; its JSON document (an error's too)."""
        done = subprocess.run(
            [BUILD / "sauti", "--dir", self.root / "nowhere", "--json", "audit", "log", source,
             "--directory", self.vkey, *(("--state", self.state) if state else ()), *map(str, args)],
            capture_output=True, text=True, timeout=300, check=False)
        self.assertEqual(done.returncode, status, done.stderr + done.stdout[:3000])
        return json.loads(done.stdout) if done.stdout else json.loads(done.stderr.splitlines()[-1])

    def found(self, report, kind, log=None):
        """The finding of that kind: there is just one."""
        some = [f for f in report["findings"] if f["kind"] == kind and log in (None, f["log"])]
        self.assertEqual(len(some), 1, [(f["kind"], f["log"], f["text"]) for f in report["findings"]])
        return some[0]

    def kinds(self, report):
        """Of all that is more than a note."""
        return {f["kind"] for f in report["findings"] if f["severity"] != "note"}

    def proof(self, finding, name):
        return base64.b64decode(next(p["base64"] for p in finding["proofs"] if p["name"] == name))

    def remembered(self):
        """{log: lines} of the state."""
        parts = self.state.read_text().split("\nlog ")
        return {p.split("\n", 1)[0]: p.rsplit("\nsha256", 1)[0] for p in parts[1:]}

    def image(self):
        """A copy of the whole disk of the stopped office."""
        for part in self.parts():
            shutil.copytree(part, self.root / f"image-{part.name}",
                            ignore=shutil.ignore_patterns("run", "*.sock", "control"))

    def parts(self):
        return [self.office.dir, self.office.dir.with_name(self.office.dir.name + ".guard")]

    def put_back(self):
        for part in self.parts():
            shutil.rmtree(part)
            shutil.copytree(self.root / f"image-{part.name}", part)

    # Nothing wrong.

    def test_clean(self):
        first = self.audit(self.export("one"))
        self.assertEqual(first["verdict"], "sound")
        self.assertEqual(self.kinds(first), set())
        self.assertTrue(first["state"]["first_visit"])
        self.assertEqual(self.state.stat().st_mode & 0o777, 0o600)
        keys = {(k["node"], k["use"]): k for k in first["keys"]}
        self.assertEqual(set(keys), {(n, u) for n in ("hq", "haiti") for u in ("node", "mirror", "witness")})
        self.assertEqual({k["state"] for k in keys.values()}, {"live"})
        before = self.remembered()
        self.assertEqual(set(before), {l["log"] for l in first["logs"]})
        self.add(2)
        self.net.settle()
        second = self.audit(self.export("two"), "--incremental")
        self.assertEqual(self.kinds(second), set())
        log = next(l for l in second["logs"] if l["log"] == self.log)
        self.assertEqual(log["from"], log["remembered"]["size"])
        self.assertEqual(log["hashed"], log["size"] - log["remembered"]["size"])
        self.assertGreater(log["hashed"], 0)
        self.assertNotEqual(self.remembered()[self.log], before[self.log])
        # The same once more, all of it: the incremental state is as good.
        whole = self.audit(self.root / "two")
        self.assertEqual(self.kinds(whole), set())
        self.assertEqual(next(l for l in whole["logs"] if l["log"] == self.log)["from"], 0)
        # For people, the verdict first.
        done = subprocess.run([BUILD / "sauti", "audit", "log", self.root / "two", "--directory", self.vkey,
                               "--state", self.state], capture_output=True, text=True, check=True)
        self.assertTrue(done.stdout.startswith("SOUND"), done.stdout)
        self.assertIn("visited 20", done.stdout)
        self.assertIn("of them at the last visit", done.stdout)

    def test_bundles(self):
        """Two visits by bundles, the second of which has no more than what is new."""
        bundles = [self.root / "first", self.root / "second"]
        self.office.sauti("bundle", "export", "--to", bundles[0])
        first = self.audit(bundles[0])
        self.assertEqual(self.kinds(first), set())
        self.hq.stop()
        self.add(2)
        self.office.sauti("bundle", "export", "--to", bundles[1], "--for", "hq")
        report = self.audit(bundles[1], status=4)
        log = next(l for l in report["logs"] if l["log"] == self.log)
        self.assertEqual(log["from"], log["remembered"]["size"])
        self.assertTrue(log["sound"])
        # Nobody has cosigned it yet; headquarters' own log, which it does not bring, is not missed.
        self.assertEqual({(f["kind"], f["log"]) for f in report["findings"] if f["severity"] != "note"},
                         {("quorum-missing", self.log)})
        # What its key has signed is remembered all the same.
        self.assertIn(f"\n{log['size']}\n", base64.b64decode(
            re.search(r"\nnote (\S+)", self.remembered()[self.log]).group(1)).decode())
        # Without the state nobody knows how it goes on.
        self.assertNotIn("remembered", self.audit(bundles[1], state=False, status=1))

    def test_a_server_without_a_list(self):
        """Files behind a web server that cannot say which there are: none is missed."""
        self.export("one")
        (self.root / "one" / "logs").unlink(missing_ok=True)

        class Quiet(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *_):
                pass

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(
                Quiet, directory=self.root / "one")) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                report = self.audit(f"http://127.0.0.1:{server.server_port}", status=1)
                self.assertEqual((report["verdict"], self.kinds(report)), ("unfinished", set()))
                self.assertEqual([l["directory"] for l in report["logs"]], [True])
                self.assertIn("does not say", self.found(report, "unfinished")["text"])
                report = self.audit(f"http://127.0.0.1:{server.server_port}", self.log)
                self.assertEqual(self.kinds(report), set())
                self.assertIn(self.log, self.remembered())
                # What was there is asked for, whatever the server says or does not say.
                report = self.audit(f"http://127.0.0.1:{server.server_port}")
                self.assertEqual(self.kinds(report), set())
                self.assertIn(self.log, [l["log"] for l in report["logs"]])
                shutil.rmtree(self.root / "one" / self.log)
                report = self.audit(f"http://127.0.0.1:{server.server_port}", status=4)
                self.found(report, "file-missing", self.log)
            finally:
                server.shutdown()
                thread.join()

    # What is wrong.

    def test_rollback_and_missing(self):
        self.export("old")
        self.add(2)
        self.net.settle()
        self.audit(self.export("new"))
        before = self.remembered()
        report = self.audit(self.root / "old", status=4)
        finding = self.found(report, "rollback", self.log)
        size = next(l["size"] for l in report["logs"] if l["log"] == self.log)
        self.assertEqual(finding["index"], size)
        self.assertIn(f"\n{size}\n", self.proof(finding, "checkpoint").decode())
        # What was remembered of it stays, of the others it is renewed.
        self.assertEqual(self.remembered()[self.log], before[self.log])
        self.audit(self.root / "new")
        # A log that was there is gone, and with it the one that each member must have.
        shutil.rmtree(self.root / "new" / self.log)
        report = self.audit(self.root / "new", status=4)
        self.assertEqual(len([f for f in report["findings"] if f["kind"] == "log-missing"]), 2)
        self.assertIn(self.log, self.remembered())
        # Of one log alone nothing else is missed.
        own = next(l["log"] for l in report["logs"] if "/hq/" in l["log"])
        self.assertEqual(self.kinds(self.audit(self.root / "new", own)), set())

    def test_rollback_of_the_directory(self):
        """An old copy of all of it, from before the office had other keys: the state is not refused for
        remembering them."""
        self.export("old")
        self.office.stop()
        self.office.sauti("node", "rotate", "--passphrase-file", self.net.passphrase)
        self.office.start()
        self.add(1)
        self.net.settle()
        report = self.audit(self.export("new"))
        self.assertEqual(self.kinds(report), set())
        states = [k["state"] for k in report["keys"] if (k["node"], k["use"]) == ("haiti", "mirror")]
        self.assertEqual(states, ["rotated", "live"])
        self.net.stop()
        report = self.audit(self.root / "old", status=4)
        self.assertEqual({f["log"].split("/")[1] for f in report["findings"] if f["kind"] == "rollback"},
                         {"directory", "haiti"})

    def fork(self, then, now):
        """`then` contacts that headquarters holds, the disk put back, `now` others that it does not; what
        the two audits say of it."""
        self.office.stop()
        self.image()
        self.office.start()
        self.add(then)
        self.net.settle()
        self.audit(self.export("one"))
        self.office.stop()
        self.hq.stop()
        self.put_back()
        self.office.start()
        self.add(now)
        return self.audit(self.export("two", self.office), status=4)

    def check_fork(self, report):
        # The walk itself may say so too, when it goes on from what was.
        some = [f for f in report["findings"] if f["kind"] == "fork" and len(f["proofs"]) == 3]
        self.assertEqual([f["log"] for f in some], [self.log])
        finding = some[0]
        message = self.proof(finding, "evidence")
        file = self.root / "evidence"
        file.write_bytes(len(message).to_bytes(4, "big") + message)
        vkey = next(l.split()[1] for l in self.policy.splitlines() if l.startswith(f"log {self.log}+"))
        done = subprocess.run([BUILD / "sauti", "log", "evidence", "--verify", file, "--vkey", vkey],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertIn("FORK", done.stdout)
        return finding

    def test_fork_longer(self):
        self.policy = self.office.sauti("log", "policy").stdout
        report = self.fork(2, 5)
        finding = self.check_fork(report)
        sizes = {l["log"]: l["size"] for l in report["logs"]}
        self.assertLess(finding["index"], sizes[self.log])
        # The whole story again, going on from what was: it does not.
        self.check_fork(self.audit(self.root / "two", "--incremental", status=4))
        # A page tells it, and how to check it, with programs that everybody has.
        page = self.root / "page.html"
        self.audit(self.root / "two", "--html", page, status=4)
        self.check_page(page, finding)
        # A place where there can be none is told before anything is read, and nothing is remembered.
        before = self.state.read_bytes()
        said = self.audit(self.root / "two", "--html", self.root / "none" / "page.html", status=1)
        self.assertIn("No such file", said["error"]["message"])
        self.assertEqual(self.state.read_bytes(), before)

    def test_branch(self):
        """An export that has both histories, each of them whole."""
        self.policy = self.office.sauti("log", "policy").stdout
        self.fork(2, 5)
        for other, log in (("one", "two"), ("two", "one")):
            export = self.root / f"{log}-and-{other}"
            shutil.copytree(self.root / log, export)
            note = (self.root / other / self.log / "checkpoint").read_text(encoding="utf-8").split("\n")
            name = hashlib.sha256(b"sauti/1 branch" + int(note[1]).to_bytes(8, "big") +
                                  base64.b64decode(note[2])).hexdigest()[:32]
            shutil.copytree(self.root / other / self.log, export / f"{self.log}~{name}")
            report = self.audit(export, state=False, status=4)
            self.assertEqual(self.kinds(report) - {"quorum-missing", "log-missing"}, {"fork"})
            self.assertIn(f"{self.log}~{name}", self.check_fork(report)["text"])

    def test_evidence_held(self):
        """A node that met both histories says so itself, and proves it."""
        self.policy = self.office.sauti("log", "policy").stdout
        self.assertFalse((self.export("without") / "evidence").exists())
        self.fork(2, 5)
        public = open_directory(self.root / "open") / "public.sock"
        with open(self.hq.dir / "sauti.conf", "a", encoding="utf-8") as config:
            config.write(f"\n[public]\nsocket = {public}\n")
            if os.geteuid() == 0:
                config.write(f"group = {grp.getgrgid(NOBODY).gr_name}\n")
        self.hq.start()
        wait_for("the evidence", lambda: json.loads(
            self.hq.sauti("--json", "log", "evidence", check=False).stdout or "[]"))
        done = subprocess.run([BUILD / "sauti", "--dir", self.hq.dir, "--json", "audit", "log", "node",
                               "--directory", self.vkey, "--state", self.state],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 4, done.stderr)
        report = json.loads(done.stdout)
        finding = self.found(report, "evidence-held", self.log)
        message = self.proof(finding, "evidence")
        held = json.loads(self.hq.sauti("--json", "log", "evidence", check=False).stdout)
        self.assertIn(message, [base64.b64decode(e["message"]) for e in held])
        # So does what it gives to others: files, over the web, a bundle.
        export = self.export("with")
        self.evidence_files(export, message)
        web = Web(BUILD, public.parent, public)
        self.addCleanup(web.kill)
        url = f"http://127.0.0.1:{web.address}"
        report = self.audit(url, state=False, status=4)
        self.assertEqual(self.proof(self.found(report, "evidence-held", self.log), "evidence"), message)
        self.assertEqual(get(web.address, "/evidence").body, (export / "evidence").read_bytes())
        # What the bundle of it holds says the same.
        bundle = self.root / "bundle"
        self.hq.sauti("bundle", "export", "--to", bundle)
        report = self.audit(bundle, state=False, status=4)
        self.assertEqual(self.proof(self.found(report, "evidence-held", self.log), "evidence"), message)

    def evidence_files(self, export, message):
        """The file in an export: read, verified, kept by the next one, and told when it is spoilt."""
        file = export / "evidence"
        data = file.read_bytes()
        self.assertEqual(data, len(message).to_bytes(4, "big") + message)
        report = self.audit(export, state=False, status=4)
        self.assertEqual(self.proof(self.found(report, "evidence-held", self.log), "evidence"), message)
        vkey = next(l.split()[1] for l in self.policy.splitlines() if l.startswith(f"log {self.log}+"))
        done = subprocess.run([BUILD / "sauti", "log", "evidence", "--verify", file, "--vkey", vkey],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertIn("both signed: verified", done.stdout)
        self.export(export.name)
        self.assertEqual(file.read_bytes(), data)
        # Cut, or none of evidence: the export leaves it; an audit has not looked, of nothing else less.
        one = self.root / "without"
        for text in (data[:-1], b"what somebody wrote"):
            file.write_bytes(text)
            done = self.hq.sauti("log", "export", export, check=False)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn(f"'{file}' is no file of evidence", done.stderr)
            self.assertEqual(file.read_bytes(), text)
            (one / "evidence").write_bytes(text)
            report = self.audit(one, state=False, status=1)
            self.assertEqual(report["verdict"], "unfinished")
            self.assertEqual({log["sound"] for log in report["logs"]}, {True})
            self.assertIn("cut in number 1", self.found(report, "evidence-bad")["text"])
        for make in (lambda: (one / "evidence").symlink_to(self.state), lambda: (one / "evidence").mkdir()):
            (one / "evidence").unlink()
            make()
            self.assertIn("evidence-bad", self.kinds(self.audit(one, state=False, status=1)))
        file.write_bytes(data)

    def check_page(self, file, finding):
        self.assertEqual(file.stat().st_mode & 0o777, 0o600)
        text = file.read_text(encoding="utf-8")
        page = Page(text)
        self.assertEqual(page.open, [])
        self.assertLessEqual(page.tags, TAGS)
        self.assertLessEqual({a[1] for a in page.attributes}, ATTRIBUTES)
        policy = next(a[2] for a in page.attributes if a[1] == "content" and "default-src" in a[2])
        self.assertIn("default-src 'none'", policy)
        style = re.search(r"<style>(.*?)</style>", text, re.S).group(1)
        allowed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        self.assertIn(f"'sha256-{allowed}'", policy)
        for word in ("http://", "https://", "url(", "@import", "javascript:"):
            self.assertNotIn(word, text)
        for word in ("Violated", self.log, "fork", self.vkey, finding["text"], "What the words mean"):
            self.assertIn(word, page.text)
        # Roots stand there as they do in what was signed.
        root = (self.root / "two" / self.log / "checkpoint").read_text(encoding="utf-8").splitlines()[2]
        self.assertIn(root, page.text)
        # The commands of the page, on the page's own bytes.
        with tempfile.TemporaryDirectory() as place:
            self.by_hand(text, page.text, Path(place))

    def by_hand(self, text, words, place):
        block = re.search(r"<h3>fork.*?</div>|violation: fork.*?</div>", text, re.S).group(0)
        note = re.search(r"<h3>checkpoint</h3>.*?<pre>(.*?)</pre>", block, re.S).group(1)
        (place / "p.b64").write_text(note, encoding="ascii")
        after = text[text.index("Keys of the logs"):]
        after = after[after.index(self.log):]
        (place / "log.pem").write_text(re.search(r"<pre>(.*?)</pre>", after, re.S).group(1))
        command = re.search(r"base64 -d p.b64 > note; .*?-sigfile sig", words).group(0)
        command = re.search(rf"base64 -d p.b64 > note; sed[^;]*; grep -F ' {re.escape(self.log)} '.*?"
                            r"-sigfile sig", words).group(0) or command
        done = subprocess.run(["bash", "-c", command], cwd=place, capture_output=True, text=True, check=False)
        self.assertIn("Signature Verified Successfully", done.stdout, done.stderr)

    def test_fork_of_one_size(self):
        self.policy = self.office.sauti("log", "policy").stdout
        report = self.fork(2, 2)
        kinds = {f["kind"] for f in report["findings"] if f["log"] == self.log}
        if "fork" in kinds:
            self.check_fork(report)
        else:  # views and the like make one of them shorter
            self.assertIn("rollback", kinds)

    def test_frozen(self):
        now = int(time.time())
        self.audit(self.export("one"))
        self.assertEqual(self.kinds(self.audit(self.root / "one", "--now", utc(now + 2 * DAY))), set())
        report = self.audit(self.root / "one", "--now", utc(now + 10 * DAY))
        self.assertEqual(self.kinds(report), {"frozen"})
        self.assertEqual({f["log"] for f in report["findings"]}, {l["log"] for l in report["logs"]})
        self.assertEqual(report["verdict"], "sound")
        # The office itself cosigns its old copy anew: that makes nothing fresh. A mirror does.
        for node, logs in ((self.office, {self.log}), (self.hq, set())):
            self.cosign(self.root / "one", node, now + 10 * DAY)
            report = self.audit(self.root / "one", "--now", utc(now + 10 * DAY))
            self.assertEqual({f["log"] for f in report["findings"] if f["kind"] == "frozen"} & {self.log}, logs)

    # Keys out of their time.

    def test_revoked(self):
        """Cut off, the office writes on."""
        self.hq.stop()
        self.add(4)
        self.office.stop()
        mine = self.office.dir
        self.hq.start()
        self.hq.sauti("node", "revoke", "haiti", "--reason", "lorem", "--yes", check=False)
        self.export("from-hq")
        report = self.audit(self.root / "from-hq", state=False)
        self.assertEqual({k["state"] for k in report["keys"] if k["node"] == "haiti"}, {"revoked"})
        size = next(l["size"] for l in report["logs"] if l["log"] == self.log)
        self.hq.stop()
        self.assertEqual(mine, self.office.dir)
        self.office.start()
        self.export("from-office", self.office)
        shutil.rmtree(self.root / "from-hq" / self.log)
        shutil.copytree(self.root / "from-office" / self.log, self.root / "from-hq" / self.log)
        finding = self.found(self.audit(self.root / "from-hq", state=False, status=4), "beyond-revocation")
        self.assertEqual((finding["log"], finding["index"]), (self.log, size))

    def cosign(self, export, node, at):
        """Puts a cosignature of that node's mirror key on the office's log, of that time."""
        ed = corpus()
        seed = field((node.dir / "keys" / "boot").read_bytes(), 5)
        name = f"visit.example/mirror/{node.name}"
        file = export / self.log / "checkpoint"
        text, lines = file.read_bytes().split(b"\n\n")
        key_id = hashlib.sha256(name.encode() + b"\n\4" + ed.public_key(seed)).digest()[:4]
        signature = ed.sign(seed, b"cosignature/v1\ntime %d\n" % at + text + b"\n")
        line = base64.b64encode(key_id + at.to_bytes(8, "big") + signature).decode()
        kept = [l for l in lines.decode().splitlines() if f" {name} " not in l]
        file.write_text(text.decode() + "\n\n" + "\n".join([*kept, f"\u2014 {name} {line}"]) + "\n")

    def test_out_of_time(self):
        """A mirror cosigned before it was a member, or so it says."""
        now = int(time.time())
        export = self.export("one")
        self.cosign(export, self.hq, now - 60)
        self.assertEqual(self.kinds(self.audit(export)), set())
        self.cosign(export, self.hq, now - 3 * DAY)
        finding = self.found(self.audit(export, status=4), "before-admission", self.log)
        self.assertIn("2 days before it was admitted", finding["text"])
        self.assertEqual(self.proof(finding, "checkpoint"), (export / self.log / "checkpoint").read_bytes())
        # A mirror that does so does not keep the state of others' logs from going on.
        self.add(3)
        self.net.settle()
        export = self.export("two")
        self.cosign(export, self.hq, now - 3 * DAY)
        self.found(self.audit(export, status=4), "before-admission", self.log)
        shutil.rmtree(export / self.log)
        shutil.copytree(self.root / "one" / self.log, export / self.log)
        self.found(self.audit(export, status=4), "rollback", self.log)

    def test_many_lines(self):
        """Whoever passes a checkpoint on can add lines of nobody: they do not fill the state."""
        export = self.export("one")
        file = export / self.log / "checkpoint"
        line = base64.b64encode(bytes(76)).decode()
        file.write_text(file.read_text(encoding="utf-8") + "".join(
            f"\u2014 x.example/{'n' * 80}{i} {line}\n" for i in range(50)), encoding="utf-8")
        self.assertGreater(file.stat().st_size, 4096)
        report = self.audit(export)
        self.assertIn("50", self.found(report, "cosignature-unknown")["text"])
        note = base64.b64decode(re.search(r"\nnote (\S+)", self.remembered()[self.log]).group(1)).decode()
        self.assertEqual(note.count("\u2014"), 1)
        self.assertEqual(self.kinds(self.audit(export)), set())

    # What must be there.

    def test_gap(self):
        """A log that goes on from one that is not shown."""
        self.office.stop()
        shutil.rmtree(self.parts()[1])
        self.office.start()
        second = wait_for("a new log", lambda: self.office.own()["origin"] != self.log and
                          self.office.own()["origin"])
        self.add(1)
        self.net.settle()
        export = self.export("one")
        self.assertEqual(self.kinds(self.audit(export)), set())
        shutil.rmtree(export / self.log)
        finding = self.found(self.audit(export, status=4, state=False), "epoch-gap")
        self.assertEqual((finding["log"], finding["index"]), (second, 0))
        self.assertIn(self.log, finding["text"])

    def test_a_policy_instead(self):
        """Without the directory's key, by a policy alone."""
        policy = self.root / "policy"
        policy.write_text(self.hq.sauti("log", "policy").stdout, encoding="utf-8")
        def audit(source, status):
            done = subprocess.run([BUILD / "sauti", "--json", "audit", "log", source, "--policy", policy,
                                   "--state", self.state], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, status, done.stderr)
            return json.loads(done.stdout) if status != 1 else json.loads(done.stderr)
        self.export("old")
        self.add(1)
        self.net.settle()
        report = audit(self.export("one"), 0)
        self.assertNotIn("keys", report)
        self.found(audit(self.root / "old", 4), "rollback", self.log)
        # One that the policy lists is not shown.
        shutil.copytree(self.root / "one", self.root / "less")
        shutil.rmtree(self.root / "less" / self.hq.own()["origin"])
        report = json.loads(subprocess.run([BUILD / "sauti", "--json", "audit", "log", self.root / "less",
                                            "--policy", policy], capture_output=True, check=True).stdout)
        self.found(report, "unfinished", self.hq.own()["origin"])
        # The directory's key comes later: the state goes on.
        self.assertEqual(self.kinds(self.audit(self.root / "one")), set())
        # Another key of the log than the one that is remembered.
        text = policy.read_text(encoding="utf-8")
        policy.write_text(text.replace(
            next(l for l in text.splitlines() if l.startswith(f"log {self.log}+")),
            "log " + corpus().vkey(self.log, 1, "another")), encoding="utf-8")
        self.assertIn("not the one that was given", audit(self.root / "one", 1)["error"]["message"])

    # What is refused: it is the auditor's own file that is wrong, and nothing is said of a log.

    def rewrite(self, change):
        """The state changed, with a good hash over it."""
        body = change(self.state.read_text().rsplit("sha256 ", 1)[0])
        self.state.write_text(body + "sha256 " + hashlib.sha256(body.encode()).hexdigest() + "\n")

    def refused(self, words, *args):
        before = self.state.read_bytes()
        error = self.audit(self.root / "one", *args, status=1)["error"]
        self.assertIn(words, error["message"])
        self.assertEqual(self.state.read_bytes(), before)

    def test_states_that_are_refused(self):
        self.audit(self.export("one"))
        good = self.state.read_text()
        self.rewrite(lambda s: s)
        self.assertEqual(self.state.read_text(), good)
        self.rewrite(lambda s: s.replace("network visit.example", "network other.example"))
        self.refused("of the network 'other.example'")
        other = corpus().vkey("visit.example/directory/1-0123456789abcdef", 1, "another")
        self.state.write_text(good)
        self.rewrite(lambda s: re.sub(r"\ndirectory \S+", "\ndirectory " + other, s))
        self.refused("another directory")
        # What nobody signed: the last byte of each signature changed.
        def forge(text):
            def one(match):
                note = base64.b64decode(match.group(1)).decode()
                lines = note.split("\n")
                at = next(i for i, l in enumerate(lines) if l.startswith("\u2014"))
                head, name, blob = lines[at].split(" ")
                raw = bytearray(base64.b64decode(blob))
                raw[-1] ^= 1
                lines[at] = " ".join((head, name, base64.b64encode(bytes(raw)).decode()))
                return "\nnote " + base64.b64encode("\n".join(lines).encode()).decode()
            return re.sub(r"\nnote (\S+)", one, text)
        self.state.write_text(good)
        self.rewrite(forge)
        self.refused("never signed")
        # Damage, half a file, another file.
        for text in (good.replace("changed 1", "changed 2", 1), good[:len(good) // 2], "", "lorem\n"):
            self.state.write_text(text)
            self.refused("state '")
        # Another audit at work.
        self.state.write_text(good)
        with open(f"{self.state}.lock", "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.refused("another audit")
        self.assertEqual(self.audit(self.root / "one", "--incremental")["verdict"], "sound")
        self.assertEqual(self.audit(self.root / "one", "--incremental", state=False, status=2)["error"]["code"],
                         "usage")

    # The ledger.

    def test_ledger_and_erasures(self):
        self.export("before")
        other = self.office.json("case", "open")["code"]
        cases.agree(self.office, other)
        self.office.sauti("case", "erase", other, "--reason", "objection", "--yes")
        (self.root / "out").mkdir(mode=0o700)
        opened = self.root / "out" / "opened"
        wait_for("the erasure", lambda: self.office.sauti(
            "ledger", "disclose", "--to", "auditor", "--purpose", "lorem", "--out", opened,
            check=False).returncode == 0)
        self.net.settle()
        report = self.audit(self.export("one"), "--opened", opened)
        ledger = report["ledger"]
        self.assertTrue(ledger["judged"])
        self.assertEqual(ledger["bad"], 0)
        self.assertEqual(ledger["node"], "haiti")
        self.assertEqual([e["stage"] for e in ledger["erasures"]], ["complete"])
        self.assertEqual(ledger["erasures"][0]["log"], self.log)
        self.assertEqual(ledger["erasures"][0]["receipts"], 0)
        # An export from before it, and a bundle without the beginning: nobody is to blame.
        report = self.audit(self.root / "before", "--opened", opened, state=False)
        self.assertFalse(report["ledger"]["judged"])
        self.assertIn("older than the disclosure", self.found(report, "ledger-open")["text"])
        self.hq.stop()
        self.add(1)
        self.office.sauti("bundle", "export", "--to", self.root / "bundle", "--for", "hq")
        report = self.audit(self.root / "bundle", "--opened", opened, status=4)
        self.assertIn("beginning", self.found(report, "ledger-open")["text"])
        self.assertEqual(self.kinds(report), {"quorum-missing"})
        # Its log is not what was signed: nothing is said of the ledger but that.
        part = next((self.root / "one" / self.log / "tile" / "entries").glob("000*"))
        part = next(part.glob("*")) if part.is_dir() else part
        data = bytearray(part.read_bytes())
        data[-1] ^= 1
        part.write_bytes(data)
        report = self.audit(self.root / "one", "--opened", opened, status=4)
        self.assertFalse(report["ledger"]["judged"])
        self.assertIn("cannot be judged", self.found(report, "ledger-bad")["text"])


TAGS = {"html", "head", "meta", "title", "style", "body", "div", "h1", "h2", "h3", "p", "table", "tr", "th",
        "td", "code", "pre", "br"}
ATTRIBUTES = {"lang", "charset", "http-equiv", "content", "name", "class"}


class Hostile(unittest.TestCase):
    """A page whose every text is an attack, read by another's parser."""

    def test_page(self):
        program = BUILD / "tests/unit/cli/test_audit_page"
        if not program.exists():
            self.skipTest(f"{program} is not built: build the target test_audit_page")
        text = subprocess.run([program, "--print"], capture_output=True, check=True).stdout.decode()
        page = Page(text)
        self.assertEqual(page.open, [])
        self.assertLessEqual(page.tags, TAGS)
        self.assertLessEqual({a[1] for a in page.attributes}, ATTRIBUTES)
        self.assertGreater(page.text.count("<script src=//x.example>alert(1)</script>"), 6)
        self.assertNotIn("\x1b", text)


class Erasing(unittest.TestCase):
    """Keys were given, and the one who has them is away."""

    def test_open(self):
        with tempfile.TemporaryDirectory(prefix="sauti-visit-") as place:
            net = Network(place, BUILD, "visit.example")
            try:
                self.story(net, Path(place))
            finally:
                net.stop()

    def story(self, net, place):
        hq = net.init()
        hq.start()
        office = net.join("haiti", "HTI")
        office.start()
        other = net.join("mali", "MLI")
        other.start()
        net.settle()
        code = office.json("case", "open")["code"]
        office.sauti("case", "add", code, "--from", "-", stdin=cases.lines(
            {"type": "CONSENT_RECORDED", "purpose": "REFERRAL", "recipients": ["mali"],
             "groups": ["core"], "given_by": "VICTIM", "form": "WRITTEN", "valid_until": "2099-12-31"}))
        office.confirm(other)
        wait_for("a prekey", lambda: office.json("node", "show", "mali")["prekey"])
        office.json("case", "share", code, "--to", "mali", "--purpose", "referral", "--groups", "core")
        wait_for("the keys to be there", lambda: other.json("case", "list"))
        other.stop()
        office.json("case", "erase", code, "--reason", "objection", "--yes")
        (place / "out").mkdir(mode=0o700)
        office.sauti("ledger", "disclose", "--to", "a", "--purpose", "b", "--out", place / "out" / "opened")
        own = office.own()
        wait_for("headquarters", lambda: hq.logs()[own["origin"]]["checkpoint_size"] == office.own()["size"])
        wait_for("its cosignature", lambda: any(
            h["mirror"] == "hq" and h["size"] == office.own()["size"] for h in office.own()["held_by"]))
        hq.sauti("log", "export", place / "files")
        vkey = next(l.split()[1] for l in hq.sauti("log", "policy").stdout.splitlines()
                    if "/directory/" in l)
        done = subprocess.run([BUILD / "sauti", "--json", "audit", "log", place / "files", "--directory", vkey,
                               "--opened", place / "out" / "opened", "--html", place / "page.html"],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual([(e["stage"], e["open"]) for e in report["ledger"]["erasures"]], [("ordered", True)])
        finding = next(f for f in report["findings"] if f["severity"] == "warning")
        self.assertEqual((finding["kind"], finding["log"], finding["index"]),
                         ("erasure-open", own["origin"], report["ledger"]["erasures"][0]["index"]))
        self.assertEqual(len(report["ledger"]["grants"]), 1)
        self.assertIn("erasure-open", Page((place / "page.html").read_text(encoding="utf-8")).text)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    BUILD = Path(sys.argv.pop(1)).resolve()
    unittest.main(verbosity=2)
