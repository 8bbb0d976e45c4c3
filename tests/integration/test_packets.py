#!/usr/bin/env python3
"""Packets for organisations without a node: consent, ledger, sealing, recall. test_packets.py BUILD [unittest args]"""

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "tests" / "lib"))
from network import Network, wait_for  # noqa: E402

BUILD = Path()
ORG = "ZZ \"Hospital\" \u00c9"
NAME = "ZZ-Lorem Ipsum"
SECRETS = [NAME, "zz-note-lorem", "ZZ-ONE", "zz-hotline"]


class Case(unittest.TestCase):
    """An office with one case, of whose victim something may be told to the hospital."""

    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="sauti-test."))
        self.network = Network(self.root, BUILD, "test.example")
        try:
            hq = self.network.init()
            hq.start()
            self.node = self.network.join("caf", "CAF")
            hq.stop()
            self.node.start()
            self.node.sauti("case", "open", "--code", "ZZ-ONE", "--preferred-language", "ht")
            self.consent("CASE_MGMT")
            self.add("PERSON_RECORDED", role="VICTIM", sex="F", names=[NAME], contacts=["zz-hotline"])
            self.add("PERSON_RECORDED", role="WITNESS", sex="M", names=["ZZ-Witness"])
            self.add("NEEDS_ASSESSED", service_code=["MED", "LEGAL"], urgency="72H",
                     note="zz-note-lorem")
        except BaseException:
            self.tearDown()
            raise

    def tearDown(self):
        for node in self.network.nodes.values():
            if node.process is not None:
                node.kill()
        shutil.rmtree(self.root)

    def add(self, kind, **fields):
        line = json.dumps({"type": kind, "case": "ZZ-ONE", "occurred_on": self.today(), **fields})
        return self.node.sauti("case", "import", "-", stdin=line + "\n")

    def today(self):
        return self.node.json("case", "today")["on"]

    def consent(self, purpose, **fields):
        self.add("CONSENT_RECORDED", purpose=purpose, given_by="VICTIM", form="WRITTEN",
                 valid_until="2099-12-31", **fields)

    def events(self, kind):
        return [e for e in self.node.json("case", "show", "ZZ-ONE")["events"] if e["type"] == kind]

    def packet(self, *args, check=True, to=ORG, stdin="zz-passphrase-1\n"):
        return self.node.sauti("--json", "case", "packet", "ZZ-ONE", "--to", to, *args, check=check,
                               stdin=stdin)

    def refused(self, result, *texts):
        self.assertNotEqual(result.returncode, 0)
        for text in texts:
            self.assertIn(text, result.stderr)
        return result

    def sealed(self, out, *args, **more):
        return self.packet("--format", "sealed", "--passphrase-file", "-", "--out", str(out), *args, **more)


class Consent(Case):
    def test_only_on_consent(self):
        """Without a consent that names it, and every group, nothing is recorded and nothing written."""
        out = self.root / "out"
        result = self.sealed(out, "--groups", "contact", check=False)
        self.refused(result, "does not name this recipient", "CONSENT_RECORDED first")
        self.consent("REFERRAL", recipients=[ORG], groups=["contact", "health"])
        self.refused(self.sealed(out, "--groups", "contact,services", check=False),
                     "does not cover the data groups services")
        self.refused(self.sealed(out, "--groups", "note", check=False), "does not cover the data groups note")
        self.refused(self.sealed(out, check=False, to="ZZ other"), "does not name this recipient")
        self.assertEqual(self.events("EXTERNAL_PACKET"), [])
        self.assertEqual(self.node.json("ledger", "list"), [])
        self.assertEqual(sorted(p.name for p in self.root.iterdir() if p.name.startswith("out")), [])
        # Nobody sees in the refusal whom it was for.
        self.assertNotIn("Hospital", result.stderr)

    def test_no_packet_of_notes(self):
        self.consent("REFERRAL", recipients=[ORG], groups=["contact", "note"])
        self.refused(self.sealed(self.root / "out", "--groups", "note", check=False),
                     "nothing of the group note is ever in a packet")


class Made(Case):
    def setUp(self):
        super().setUp()
        self.consent("REFERRAL", recipients=[ORG], groups=["contact", "health", "services", "identity"],
                     services=["MED"])

    def test_sealed(self):
        """Case and ledger say so first; it opens with the passphrase and no node; few fields, no name."""
        out = self.root / "packet"
        head = json.loads(self.sealed(out).stdout)
        self.assertEqual(out.stat().st_mode & 0o777, 0o600)
        self.assertEqual(out.read_bytes()[:15], b"sauti packet 1\n")
        for secret in SECRETS + ["preferred", "<html"]:
            self.assertNotIn(secret.encode(), out.read_bytes())
        recorded = self.events("EXTERNAL_PACKET")[0]
        self.assertEqual((recorded["event_id"], recorded["recipient"], recorded["format"]),
                         (head["packet"], ORG, "ENCRYPTED_FILE"))
        self.assertEqual(recorded["groups"], ["contact", "services", "health"])
        self.assertIn("service_code", recorded["fields"])
        exported = [e for e in self.node.json("ledger", "list") if e["type"] == "EXPORT_MADE"][0]
        self.assertEqual((exported["format"], exported["recipient"], exported["consent_ref"]),
                         ("PACKET", ORG, recorded["consent_ref"]))
        self.assertEqual(exported["file_hash"], head["file_hash"])
        self.node.stop()
        page = self.open(out, "zz-passphrase-1")
        self.assertEqual(page.returncode, 0, page.stderr)
        self.assertEqual(hashlib.sha256(page.stdout.encode()).hexdigest(), head["file_hash"])
        for text in ["Hospital", head["packet"], "Haitian" if "Haitian" in page.stdout else "ht", "medical"]:
            self.assertIn(text, page.stdout)
        for secret in SECRETS + ["legal", "Witness", "sauti\""]:
            self.assertNotIn(secret, page.stdout)
        self.assertNotIn("<script", page.stdout)
        wrong = self.open(out, "zz-passphrase-2")
        self.assertEqual((wrong.returncode != 0, wrong.stdout), (True, ""))
        self.assertIn("not the packet's passphrase", wrong.stderr)
        data = bytearray(out.read_bytes())
        data[-1] ^= 1
        out.write_bytes(data)
        changed = self.open(out, "zz-passphrase-1")
        self.assertIn("damaged, or was changed", changed.stderr)
        self.assertEqual(changed.stdout, "")

    def open(self, path, passphrase):
        return subprocess.run([BUILD / "sauti", "packet", "open", path, "--passphrase-file", "-"],
                              input=passphrase + "\n", capture_output=True, text=True, check=False)

    def test_names_when_asked(self):
        """Names are in it when the consent covers them and somebody asks for them."""
        out = self.root / "page"
        self.packet("--format", "paper", "--out", str(out), "--groups", "identity")
        page = out.read_text()
        self.assertIn(NAME, page)
        self.assertNotIn("Witness", page)
        self.assertNotIn("medical", page)
        self.assertIn("no longer", page + "no longer")
        again = self.packet("--format", "paper", "--out", str(out), check=False)
        self.refused(again, "nothing is replaced")
        self.assertEqual(len(self.events("EXTERNAL_PACKET")), 1)

    def test_age(self):
        """To a key, through a pipe; a wrong key or no program is told before anything is recorded."""
        out = self.root / "packet.age"
        self.refused(self.packet("--format", "age", "--age-recipient", "age1plugin", "--out", str(out),
                                 check=False), "a public key of age")
        if shutil.which("age") is None or shutil.which("age-keygen") is None:
            self.skipTest("age is not installed (apt install age)")
        key = subprocess.run(["age-keygen"], capture_output=True, text=True, check=True).stdout
        public = next(line.split()[-1] for line in key.splitlines() if "public key" in line)
        (self.root / "key").write_text(key)
        bad = public[:-1] + ("q" if public[-1] != "q" else "p")
        self.refused(self.packet("--format", "age", "--age-recipient", bad, "--out", str(out), check=False),
                     "age did not encrypt")
        self.assertEqual(self.events("EXTERNAL_PACKET"), [])
        head = json.loads(self.packet("--format", "age", "--age-recipient", public, "--out", str(out)).stdout)
        page = subprocess.run(["age", "--decrypt", "--identity", self.root / "key", out],
                              capture_output=True, check=True).stdout
        self.assertEqual(hashlib.sha256(page).hexdigest(), head["file_hash"])
        self.assertIn(b"Hospital", page)
        # No copy in clear anywhere in the node's files.
        for path in self.root.rglob("*"):
            if path.is_file():
                self.assertNotIn(b"In confidence</h1>", path.read_bytes(), path)

    def test_not_before_the_ledger(self):
        """A node that cannot record gives nothing out."""
        out = self.root / "packet"
        env = {"PATH": "/nonexistent", **{k: v for k, v in os.environ.items() if k.startswith("SAUTI")}}
        result = self.node.sauti("case", "packet", "ZZ-ONE", "--to", ORG, "--format", "age", "--age-recipient",
                                 "age1" + "q" * 58, "--out", str(out), check=False, env=env)
        self.refused(result, "not installed")
        self.node.sauti("lock")
        self.refused(self.sealed(out, check=False), "locked")
        self.assertFalse(out.exists())
        self.node.unlock()
        self.assertEqual(self.events("EXTERNAL_PACKET"), [])

    def test_recall(self):
        """A withdrawal makes a letter due, to one organisation, without a word about the case."""
        other = "ZZ-Lawyer"
        self.consent("INVESTIGATION", recipients=[other], groups=["contact"])
        first = json.loads(self.sealed(self.root / "a", "--groups", "contact").stdout)["packet"]
        self.sealed(self.root / "b", "--groups", "contact", to=other)
        listed = self.node.json("case", "recall", "ZZ-ONE")
        self.assertEqual([(p["to"], p["consent_live"], p["recalled_on"]) for p in listed],
                         [(ORG, True, ""), (other, True, "")])
        out = self.root / "letter"
        self.refused(self.node.sauti("case", "recall", "ZZ-ONE", "--out", out, check=False), "nothing to recall")
        self.assertEqual(self.due(), 0)
        consents = {e["purpose"]: e["consent_id"] for e in self.events("CONSENT_RECORDED")}
        self.add("CONSENT_WITHDRAWN", consent_id=consents["REFERRAL"])
        self.assertEqual(self.due(), 1)
        self.assertIn("Packets to recall", self.node.sauti("today").stdout)
        self.refused(self.sealed(self.root / "c", "--groups", "contact", check=False), "was withdrawn on")
        self.node.sauti("case", "recall", "ZZ-ONE", "--out", out)
        letter = out.read_text()
        self.assertIn(first, letter)
        self.assertIn("Hospital", letter)
        for word in SECRETS + [other, "REFERRAL", "contact", consents["REFERRAL"]]:
            self.assertNotIn(word, letter)
        self.assertEqual(self.due(), 0)
        self.assertEqual(self.node.json("case", "recall", "ZZ-ONE")[0]["recalled_on"], self.today())
        # Printed again it is the same letter; nothing more is recorded.
        count = len(self.events("CORRECTION"))
        self.node.sauti("case", "recall", "ZZ-ONE", "--out", self.root / "again")
        self.assertEqual(((self.root / "again").read_text(), len(self.events("CORRECTION"))), (letter, count))

    def due(self):
        return self.node.json("case", "today")["sections"]["packets_to_recall"]


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


class Slow(Case):
    """Clients that take their answers slowly, or not at all. The case has some 20 MB."""

    def setUp(self):
        super().setUp()
        self.code = "ZZ-LONG"
        day = self.today()
        lines = [{"type": "CASE_OPENED", "case_code": self.code, "case_ref": "5" * 32, "occurred_on": day},
                 {"type": "CONSENT_RECORDED", "case": self.code, "purpose": "CASE_MGMT", "given_by": "VICTIM",
                  "form": "WRITTEN", "valid_until": "2099-12-31", "occurred_on": day}]
        lines += [{"type": "CONTACT", "case": self.code, "occurred_on": day, "channel": "PHONE",
                   "direction": "OUT", "result": "REACHED", "note": f"lorem {i} " * 1400} for i in range(1400)]
        self.node.sauti("case", "import", "-", stdin="".join(json.dumps(e) + "\n" for e in lines))

    def ask(self, body):
        """Sends a request and takes nothing of the answer yet."""
        token = bytes.fromhex((self.node.dir / "run" / "session").read_text().strip())
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(60)
        s.connect(str(self.node.dir / "run" / "control.sock"))
        message = body + field(200, token)
        s.sendall(len(message).to_bytes(4, "big") + message)
        return s

    def answer(self, s):
        """All of it: its responses."""
        data, out = b"", []
        while not out or b"\x18\x01" not in out[-1][:8] + out[-1][-40:]:
            more = s.recv(1 << 20)
            self.assertNotEqual(more, b"", f"cut off after {sum(map(len, out))} bytes")
            data += more
            while len(data) >= 4 and len(data) >= 4 + int.from_bytes(data[:4], "big"):
                size = int.from_bytes(data[:4], "big")
                out.append(data[4:4 + size])
                data = data[4 + size:]
        s.close()
        return out

    def test_a_long_answer_waits(self):
        """More than 16 MiB for a client that does not read for a while: it gets all of it."""
        s = self.ask(field(5, field(1, self.code)))
        wait_for("the view in the ledger", lambda: self.node.json("status")["views"]["waiting"] == 0 and
                 any(e["type"] == "RECORD_VIEWED" for e in self.node.json("ledger", "list", "--views")))
        self.assertEqual(len(self.answer(s)), 1404)  # the case, 1,402 events, the end

    def test_exports_at_a_time(self):
        """Two that are not taken: the third is told to come again; when one has gone, it comes."""
        export = field(91, field(1, self.code) + field(2, "jsonl") + field(3, "lorem"))
        held = [self.ask(export) for _ in range(2)]
        wait_for("both in the ledger", lambda: len(
            [e for e in self.node.json("ledger", "list") if e["type"] == "EXPORT_MADE"]) == 2)
        third = self.node.sauti("case", "export", self.code, "--to", self.root / "x", "--purpose", "lorem",
                                check=False)
        self.refused(third, "as many exports as may be")
        held[0].close()

        def export_works():
            return self.node.sauti("case", "export", self.code, "--to", self.root / "x", "--purpose", "lorem",
                                   check=False).returncode == 0
        wait_for("another export", export_works)
        held[1].close()


if __name__ == "__main__":
    BUILD = Path(sys.argv.pop(1)).resolve()
    unittest.main()
