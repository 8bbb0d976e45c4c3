#!/usr/bin/env python3
"""What an outsider can check with files alone: proofs of one entry, opened or not.
test_audit.py BUILD [unittest args]"""

import base64
import errno
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "tests" / "lib"))
from cases import agreed, lines, opened, said  # noqa: E402
from faults import Faults  # noqa: E402
from network import Network, wait_for  # noqa: E402

BUILD = Path()
NOTE = "lorem ipsum dolor"


class Case(unittest.TestCase):
    """An office with one case, and headquarters, which cosigns what it holds."""

    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="sauti-test."))
        self.network = Network(self.root, BUILD, "test.example")
        try:
            self.hq = self.network.init()
            self.hq.start()
            self.node = self.network.join("caf", "CAF")
            self.node.start()
            self.out = self.root / "out"
            self.out.mkdir(mode=0o700)
            self.node.sauti("case", "import", "-", stdin=lines(
                opened(1, "ZZ-ONE"), agreed(1, f"{1:032x}"), said(1, f"{1:032x}", NOTE)))
            self.consent = agreed(1, f"{1:032x}")["event_id"]
            self.view = said(1, f"{1:032x}", NOTE)["event_id"]
        except BaseException:
            self.tearDown()
            raise

    def tearDown(self):
        for node in self.network.nodes.values():
            if node.process is not None:
                node.kill()
        shutil.rmtree(self.root)

    # Short hands.

    def prove(self, event, name, *args, check=True):
        return self.node.sauti("--json", "case", "prove", "ZZ-ONE", "--event", event, "--out",
                               self.out / name, *args, check=check)

    def show(self, event, name, *args, to="victim", check=True):
        """Opened, for the victim."""
        return self.prove(event, name, "--open", "--to", to, "--purpose", "lorem", *args,
                          check=check)

    def policy(self, *logs):
        path = self.root / "policy"
        path.write_text(self.hq.sauti("log", "policy", *logs).stdout)
        return path

    def key(self, name):
        """The verifier key of that proof's log, out of the policy."""
        origin = json.loads(self.outside("--policy", self.policy(), self.out / name).stdout)["log"]
        lines_ = self.policy().read_text().splitlines()
        return next(l.split()[1] for l in lines_ if l.startswith(f"log {origin}+"))

    def outside(self, *args):
        """sauti audit proof where there is no node."""
        return subprocess.run([BUILD / "sauti", "--dir", self.root / "nowhere", "--json", "audit",
                               "proof", *map(str, args)], capture_output=True, text=True,
                              check=False)

    def exports(self):
        return [e for e in self.node.json("ledger", "list") if e["type"] == "EXPORT_MADE"]


class Proofs(Case):
    def test_opened(self):
        """One part is opened to whoever has the file, and stands in the ledger before."""
        self.network.settle()
        made = json.loads(self.show("C-1", "consent", to="auditor").stdout)
        path = self.out / "consent"
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        self.assertEqual((made["group"], made["event_id"], made["opened"]),
                         ("consent", self.consent, True))
        self.assertGreaterEqual(made["cosigned"], made["needed"])
        entry = self.exports()[-1]
        self.assertEqual(entry["file_hash"], hashlib.sha256(path.read_bytes()).hexdigest())
        self.assertEqual((entry["format"], entry["recipient"], entry["groups"], entry["cases"]),
                         ("PROOF", "auditor", ["consent"], [f"{1:032x}"]))
        self.assertEqual((entry["log"], entry["index"]), (made["ledger"], made["ledger_index"]))
        self.assertGreaterEqual(made["ledger_index"], made["size"])  # the proof came first
        extra = base64.b64decode(path.read_text().splitlines()[1].split()[1])
        self.assertEqual(entry["revealed"], [hashlib.sha256(extra[-32:]).hexdigest()[:32]])

        done = self.outside("--policy", self.policy(), path)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        proven = json.loads(done.stdout)
        self.assertEqual((proven["log"], proven["index"], proven["size"]),
                         (made["log"], made["index"], made["size"]))
        self.assertIn("test.example/mirror/hq", [by["name"] for by in proven["cosigned_by"]])
        self.assertEqual((proven["group"], proven["part"]["event_id"], proven["part"]["purpose"]),
                         ("consent", self.consent, "CASE_MGMT"))
        words = subprocess.run([BUILD / "sauti", "audit", "proof", path, "--policy", self.policy()],
                               capture_output=True, text=True, check=True).stdout
        for text in ("PROVEN", "Consent given", "keeping the case", "Nothing else is opened",
                     "test.example/mirror/hq at 20"):
            self.assertIn(text, words)
        self.assertNotIn(NOTE, words)
        # The same again: the same P, once more in the ledger.
        self.show(self.consent, "again", to="somebody else")
        self.assertEqual([e["revealed"] for e in self.exports()], [entry["revealed"]] * 2)
        # A row of it lies in the keyring, and hinders no unlock.
        self.node.stop()
        self.node.start()
        self.assertEqual(self.node.json("status")["alarms"], [])

    def test_one_part_alone(self):
        """Of an event with two parts the one that was asked for is opened."""
        self.node.sauti("case", "add", "ZZ-ONE", "--from", "-", stdin=json.dumps(
            {"type": "CONTACT", "channel": "PHONE", "direction": "OUT", "result": "REACHED",
             "substantive_update": "Y", "note": NOTE}) + "\n")
        self.network.settle()
        event = next(e for e in self.node.json("case", "show", "ZZ-ONE")["events"]
                     if e["type"] == "CONTACT")["event_id"]
        self.show(event, "main")
        self.show(event, "note", "--group", "note")
        policy = self.policy()
        main, note = (json.loads(self.outside("--policy", policy, self.out / n).stdout)
                      for n in ("main", "note"))
        self.assertEqual((main["group"], main["part"]["channel"]), ("contact", "PHONE"))
        self.assertNotIn("note", main["part"])
        self.assertEqual((note["group"], note["part"]["note"]), ("note", NOTE))
        self.assertNotIn("channel", note["part"])
        self.assertNotEqual(main["index"], note["index"])

    def test_consent(self):
        """What says more than a consent is opened to whom the victim agreed, and to the victim."""
        self.node.sauti("case", "add", "ZZ-ONE", "--from", "-", stdin=json.dumps(
            {"type": "CONSENT_RECORDED", "purpose": "REFERRAL", "given_by": "VICTIM",
             "form": "WRITTEN", "valid_until": "2099-12-31", "groups": ["contact"],
             "recipients": ["ZZ \"Clinic\""]}) + "\n")
        for to, group, status, words in (
                ("ZZ \"Clinic\"", "contact", 0, ""), ("victim", "contact", 0, ""),
                ("ZZ Other", "contact", 1, "recipient"), ("hq", "contact", 1, "recipient")):
            done = self.show(self.view, to.replace(" ", ""), "--group", group, to=to, check=False)
            self.assertEqual(done.returncode, status, (to, done.stderr))
            self.assertIn(words, done.stderr)
            self.assertNotIn("Clinic", done.stderr)
            self.assertNotIn("Other", done.stderr)
        opening = next(e for e in self.node.json("case", "show", "ZZ-ONE")["events"]
                       if e["type"] == "CASE_OPENED")["event_id"]
        done = self.show(opening, "core", to="ZZ \"Clinic\"", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("core", done.stderr)
        self.assertEqual([e["recipient"] for e in self.exports()], ["ZZ \"Clinic\"", "victim"])

    def test_sealed(self):
        """Without --open: it stands there, and nobody reads it; the ledger has nothing to say."""
        self.network.settle()
        made = json.loads(self.prove(self.view, "view").stdout)
        self.assertFalse(made["opened"])
        proven = json.loads(self.outside("--policy", self.policy(), self.out / "view").stdout)
        self.assertEqual(proven["index"], made["index"])
        self.assertNotIn("part", proven)
        self.assertEqual(self.exports(), [])

    def test_no_change_passes(self):
        """Bytes changed, here and there, in a file of a real node; another log; no quorum."""
        self.network.settle()
        self.show("C-1", "right")
        made = json.loads(self.outside("--policy", self.policy(), self.out / "right").stdout)
        policy = self.policy(made["log"])
        right = (self.out / "right").read_bytes()
        self.assertEqual(self.outside("--policy", policy, self.out / "right").returncode, 0)
        chance = random.Random(7)
        wrong = self.out / "wrong"
        for _ in range(60):
            at = chance.randrange(len(right))
            wrong.write_bytes(right[:at] + bytes([right[at] ^ 1 << chance.randrange(8)]) +
                              right[at + 1:])
            done = self.outside("--policy", policy, wrong)
            self.assertEqual((done.returncode, done.stdout), (4, ""), at)
        other = next(o for o in self.node.logs() if o != made["log"])
        done = self.outside("--policy", self.policy(other), self.out / "right")
        self.assertEqual(done.returncode, 4)
        self.assertIn("whose key was not given", done.stderr)
        done = self.outside("--log", self.key("right").replace("/1-", "/2-"), self.out / "right")
        self.assertEqual(done.returncode, 2)  # its id is of the name

    def test_alone(self):
        """An office without a link: the log's own word, which no quorum has confirmed."""
        self.hq.stop()
        self.node.sauti("case", "add", "ZZ-ONE", "--from", "-", stdin=lines(
            said(2, f"{1:032x}", NOTE)))
        done = self.show(said(2, f"{1:032x}", NOTE)["event_id"], "alone")
        made = json.loads(done.stdout)
        self.assertLess(made["cosigned"], made["needed"])
        self.assertIn("the quorum has not cosigned", done.stderr)
        policy = self.root / "policy"
        policy.write_text(self.node.sauti("log", "policy").stdout)
        self.assertEqual(self.outside("--policy", policy, self.out / "alone").returncode, 4)
        key = next(l.split()[1] for l in policy.read_text().splitlines()
                   if l.startswith(f"log {made['log']}+"))
        proven = json.loads(self.outside("--log", key, self.out / "alone").stdout)
        self.assertEqual((proven["cosigned_by"], proven["part"]["view"]), ([], NOTE))
        self.assertEqual(proven["part"]["type"], "VICTIM_VIEW")

    def test_newest_that_is_cosigned(self):
        """What came after the last cosignature takes no proof away."""
        self.network.settle()
        size = self.node.own()["size"]
        self.hq.stop()
        self.node.sauti("case", "add", "ZZ-ONE", "--from", "-", stdin=lines(
            said(2, f"{1:032x}", NOTE)))
        made = json.loads(self.show("C-1", "old").stdout)
        self.assertEqual(made["size"], size)
        self.assertGreaterEqual(made["cosigned"], made["needed"])
        policy = self.root / "policy"
        policy.write_text(self.node.sauti("log", "policy", made["log"]).stdout)
        self.assertEqual(self.outside("--policy", policy, self.out / "old").returncode, 0)

    def test_refused(self):
        """Nothing is replaced, nothing is opened, and nothing stands in the ledger for it."""
        (self.out / "there").write_text("mine")
        nobody = "01900000-0000-7000-8000-0000000000ff"
        for args, status, words in (
                (("--event", "C-1", "--out", self.out / "there"), 1, "is there"),
                (("--event", "C-1"), 2, "--out"),
                (("--out", self.out / "x"), 2, "--event"),
                (("--event", "C-9", "--out", self.out / "x"), 1, "C-9"),
                (("--event", "consent", "--out", self.out / "x"), 1, "--event"),
                (("--event", nobody, "--out", self.out / "x"), 1, "no event of this office"),
                (("--event", self.consent, "--group", "health", "--out", self.out / "x"), 1, "health"),
                (("--event", self.consent, "--group", "audit", "--out", self.out / "x"), 1, "--group"),
                (("--event", self.consent, "--to", "a", "--out", self.out / "x"), 2, "--open"),
                (("--event", self.consent, "--open", "--out", self.out / "x"), 2, "--to"),
                (("--event", self.consent, "--open", "--to", "a", "--purpose", "x" * 201, "--out",
                  self.out / "x"), 1, "200")):
            done = self.node.sauti("case", "prove", "ZZ-ONE", *args, check=False)
            self.assertEqual(done.returncode, status, (args, done.stderr))
            self.assertIn(words, done.stderr)
        self.assertEqual(os.listdir(self.out), ["there"])
        self.node.sauti("lock")
        self.assertEqual(self.show(self.consent, "x", check=False).returncode, 5)
        self.node.unlock()
        self.assertEqual(self.exports(), [])

    def test_roles(self):
        """Who does not see the case opens nothing of it."""
        phrase = self.root / "phrase"
        phrase.touch(mode=0o600)
        phrase.write_text("the passphrase of paul\n", encoding="ascii")
        for name, roles, status in (("paul", "officer", 1), ("omar", "auditor", 5)):
            self.node.sauti("officer", "add", name, "--roles", roles, "--new-passphrase-file", phrase)
            env = {**os.environ, "SAUTI_SESSION": str(self.root / f"session-{name}")}
            self.node.sauti("unlock", "--officer", name, "--passphrase-file", phrase, env=env)
            done = self.node.sauti("case", "prove", "ZZ-ONE", "--event", self.consent, "--open",
                                   "--to", "a", "--purpose", "b", "--out", self.out / name, env=env,
                                   check=False)
            self.assertEqual(done.returncode, status, done.stderr)
        self.assertEqual(os.listdir(self.out), [])


class Ledgers(Case):
    """A ledger disclosed, and judged where there is no node."""

    def disclose(self, name="opened", check=True):
        return self.node.sauti("--json", "ledger", "disclose", "--to", "auditor", "--purpose", "lorem",
                               "--out", self.out / name, check=check)

    def export(self):
        """At headquarters, which holds the office's log as the office itself does."""
        self.network.settle()
        self.hq.sauti("log", "export", self.root / "export")
        return self.root / "export"

    def grants(self, opened="opened", export=None, policy=None):
        return subprocess.run(
            [BUILD / "sauti", "--dir", self.root / "nowhere", "--json", "audit", "grants",
             export or self.root / "export", "--opened", self.out / opened, "--policy",
             policy or self.policy()], capture_output=True, text=True, check=False)

    def changed(self, change):
        """The disclosure, changed; its parts by name."""
        data = (self.out / "opened").read_bytes()
        at = 12
        for _ in range(2):  # network, node
            at += 2 + int.from_bytes(data[at:at + 2], "big")
        at += 8
        logs = int.from_bytes(data[at:at + 2], "big")
        at += 2
        for _ in range(logs):
            at += 2 + int.from_bytes(data[at:at + 2], "big") + 8
        head, keys = data[:at], []
        for _ in range(int.from_bytes(data[at:at + 4], "big")):
            start = at + 4 if not keys else end
            end = start + 49
            counts = []
            for _ in range(logs):
                count = int.from_bytes(data[end:end + 4], "big")
                counts.append([data[end + 4 + 32 * i:end + 36 + 32 * i] for i in range(count)])
                end += 4 + 32 * count
            keys.append([data[start:start + 49], counts])
        keys = change(keys)
        (self.out / "wrong").write_bytes(head + len(keys).to_bytes(4, "big") + b"".join(
            key + b"".join(len(ps).to_bytes(4, "big") + b"".join(ps) for ps in counts)
            for key, counts in keys))
        return self.grants("wrong")

    def test_whole_or_found_out(self):
        """What is left out, changed or of another is found; what comes later is told of."""
        self.show("C-1", "consent", to="auditor")
        self.network.settle()
        made = json.loads(self.disclose().stdout)
        self.assertEqual((self.out / "opened").stat().st_mode & 0o777, 0o600)
        self.assertEqual(made["entries"], 1)
        event = self.exports()[-1]
        self.assertEqual((event["format"], event["recipient"], event["file_hash"]),
                         ("DISCLOSURE", "auditor",
                          hashlib.sha256((self.out / "opened").read_bytes()).hexdigest()))
        self.export()
        done = self.grants()
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual((report["good"], report["bad"], report["directory"]), (0, 0, True))
        self.assertEqual([(log["opened"], log["newer"]) for log in report["logs"]], [(1, 1)])
        self.assertIn("test.example/mirror/hq",
                      [by["name"] for by in report["logs"][0]["cosigned_by"]])

        def drop_last(keys):
            keys[0][1][0].pop()
            return keys

        def flip(keys):
            keys[0][1][0][0] = bytes([keys[0][1][0][0][0] ^ 1]) + keys[0][1][0][0][1:]
            return keys

        def one_more(keys):
            keys[0][1][0].append(bytes(32))
            return keys

        def other_locators(keys):
            keys[0][0] = keys[0][0][:-1] + bytes([keys[0][0][-1] ^ 1])
            return keys

        def other_case(keys):
            keys[0][0] = keys[0][0][:1] + bytes(16) + keys[0][0][17:]
            return keys

        for change, words in ((lambda keys: [], "no key of a ledger"), (drop_last, "left out"),
                              (flip, "not opened"), (one_more, "not in the log"),
                              (other_locators, "not in the log"), (other_case, "not opened")):
            done = self.changed(change)
            self.assertEqual((done.returncode, done.stdout), (4, ""), words)
            self.assertIn(words, done.stderr)
        self.assertEqual(self.changed(lambda keys: keys).returncode, 0)
        data = (self.out / "opened").read_bytes()
        (self.out / "wrong").write_bytes(data[:-1])
        self.assertEqual(self.grants("wrong").returncode, 4)

    def test_export_changed(self):
        """An export that is not what was signed, or of before, is no source."""
        self.show("C-1", "consent", to="auditor")
        self.network.settle()
        self.disclose()
        export = self.export()
        entries = next(export.glob("test.example/caf/*/tile/entries/000.p/*"))
        right = entries.read_bytes()
        chance = random.Random(11)
        for _ in range(12):
            at = chance.randrange(len(right))
            entries.write_bytes(right[:at] + bytes([right[at] ^ 4]) + right[at + 1:])
            self.assertEqual(self.grants().returncode, 4, at)
        entries.unlink()
        self.assertEqual(self.grants().returncode, 4)
        entries.write_bytes(right)
        self.assertEqual(self.grants().returncode, 0)
        policy = self.root / "other"
        policy.write_text(self.hq.sauti("log", "policy").stdout.replace("quorum mirrors", "quorum none\n# "))
        self.assertEqual(self.grants(policy=policy).returncode, 0)
        policy.write_text("".join(l + "\n" for l in policy.read_text().splitlines()
                                  if not l.startswith("log test.example/caf/")))
        self.assertEqual(self.grants(policy=policy).returncode, 4)
        self.show("C-1", "more", to="auditor")
        self.disclose("later")
        done = self.grants("later")
        self.assertEqual(done.returncode, 1)
        self.assertIn("older than the disclosure", done.stderr)

    def test_refused(self):
        """For supervisors, when there is something, and with a reason."""
        for args in (("--out", self.out / "x"), ("--to", "a", "--purpose", "b")):
            self.assertEqual(self.node.sauti("ledger", "disclose", *args, check=False).returncode, 2)
        done = self.disclose("x", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("nothing stands in the ledger", done.stderr)
        self.assertEqual(os.listdir(self.out), [])


class Grants(Ledgers):
    """Keys given on consents, between real offices, and what an auditor makes of them."""

    def setUp(self):
        super().setUp()
        try:
            self.other = self.network.join("mli", "MLI")
            self.other.start()
            self.network.settle()
            self.node.confirm(self.other)
            wait_for("a prekey of mli", lambda: self.node.json("node", "show", "mli")["prekey"], 60)
            self.other.confirm(self.node)
        except BaseException:
            self.tearDown()
            raise

    def consent_to(self, groups, recipients=("mli",)):
        self.node.sauti("case", "add", "ZZ-ONE", "--from", "-", stdin=json.dumps(
            {"type": "CONSENT_RECORDED", "purpose": "REFERRAL", "recipients": list(recipients),
             "groups": groups, "given_by": "VICTIM", "form": "WRITTEN",
             "valid_until": "2099-12-31"}) + "\n")

    def shares(self):
        return [s for s in self.node.json("case", "shares", "ZZ-ONE") if s["direction"] == "given"]

    def judged(self, *states):
        """What the auditor says of each grant, in order."""
        wait_for("the grants to be where they should be", lambda: all(
            s["state"] in (states or ("taken", "revoked")) for s in self.shares()), 90)
        self.network.settle()
        (self.out / "opened").unlink(missing_ok=True)
        self.disclose()
        self.export()
        done = self.grants()
        self.assertIn(done.returncode, (0, 4), done.stderr)
        report = json.loads(done.stdout)
        return [(g["basis"], g["verdict"], g["recipient"]) for g in report["grants"]
                if g["basis"] != "LEDGER"]

    test_export_changed = test_refused = test_whole_or_found_out = None

    def test_good(self):
        """A grant on a consent, its renewals and its end are good; the consents are opened, and no more."""
        self.consent_to(["contact"])
        self.node.sauti("case", "share", "ZZ-ONE", "--to", "mli", "--purpose", "referral",
                        "--groups", "contact")
        self.assertEqual(self.judged(), [("CONSENT", "good", "mli")])
        opened = (self.out / "opened").read_bytes()
        self.assertNotIn(NOTE.encode(), opened)
        self.consent_to(["contact", "services"], ["MLI"])  # by its country
        self.node.sauti("case", "share", "ZZ-ONE", "--to", "mli", "--purpose", "referral",
                        "--groups", "services", "--history")
        self.assertEqual({j[1] for j in self.judged()}, {"good"})
        consents = [e["consent_id"] for e in self.node.json("case", "show", "ZZ-ONE")["events"]
                    if e["type"] == "CONSENT_RECORDED" and e["purpose"] == "REFERRAL"]
        self.assertEqual(len(consents), 2)
        for consent in consents:
            self.node.sauti("case", "add", "ZZ-ONE", "--from", "-", stdin=json.dumps(
                {"type": "CONSENT_WITHDRAWN", "consent_id": consent}) + "\n")
        wait_for("the grants to be taken back", lambda: all(
            s["state"] == "revoked" for s in self.shares()), 90)
        judged = self.judged()
        self.assertGreaterEqual(len(judged), 2)
        self.assertEqual({j[1] for j in judged}, {"good"})
        report = json.loads(self.grants().stdout)
        self.assertEqual(report["logs"][0]["newer"], 1)  # the disclosure itself

    def test_emergency(self):
        """Opened without consent: open as long as nobody approved it, then good."""
        wait_for("headquarters can be asked", lambda: self.node.sauti(
            "mail", "send", "--to", "hq", "lorem", check=False).returncode == 0, 60)
        head = self.node.json("case", "break-glass", "ZZ-ONE", "--to", "mli", "--groups", "contact",
                              "--reason", "lorem")
        self.assertEqual(self.judged(), [("BREAK_GLASS", "open", "mli")])
        wait_for("headquarters to approve", lambda: self.hq.sauti(
            "approvals", "approve", head["opening"][:8], check=False).returncode == 0, 60)
        wait_for("the approval in the ledger", lambda: any(
            e.get("decision") == "APPROVED" for e in self.node.json("ledger", "list")), 60)
        self.assertEqual(self.judged(), [("BREAK_GLASS", "good", "mli")])

    def test_omitted(self):
        """A grant, or the withdrawal of a consent, that is left out of the disclosure is missed."""
        self.consent_to(["contact"])
        self.node.sauti("case", "share", "ZZ-ONE", "--to", "mli", "--purpose", "referral",
                        "--groups", "contact")
        self.node.sauti("case", "add", "ZZ-ONE", "--from", "-", stdin=json.dumps(
            {"type": "CONSENT_WITHDRAWN", "consent_id": "C-2"}) + "\n")
        self.judged()

        def drop(group):
            def change(keys):
                for key in keys:
                    if key[0][0] == group and key[1][0]:
                        key[1][0].pop()
                        return keys
                raise AssertionError("no such key")
            return change

        for group, words in ((11, "of the ledger"), (1, "the consents of a case")):
            done = self.changed(drop(group))
            self.assertEqual((done.returncode, done.stdout), (4, ""))
            self.assertIn(words, done.stderr)
            self.assertIn("left out", done.stderr)
        done = self.changed(lambda keys: [k for k in keys if k[0][0] == 11])  # no consent at all
        self.assertEqual(done.returncode, 4)
        self.assertIn("no entry of the consent it cites was opened", done.stderr)


class Auditors(Ledgers):
    """The ledger's key, at nodes whose role is auditor."""

    test_export_changed = test_refused = test_whole_or_found_out = None

    def listed(self, node, *args):
        done = node.sauti("--json", "ledger", "list", "--node", "caf", *args, check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def kinds(self, node):
        return [e["type"] for e in self.listed(node) or []]

    def test_auditor(self):
        """An auditor reads the ledger as it grows, without views, until it is revoked; nobody else."""
        self.show("C-1", "before", to="auditor")
        watch = self.network.join("watch", "CHE", role="auditor")
        watch.start()
        self.network.settle()
        self.node.confirm(watch)
        watch.confirm(self.node)
        wait_for("the ledger at the auditor",
                 lambda: self.kinds(watch) == ["EXPORT_MADE", "ACCESS_GRANTED"], 120)
        granted = self.listed(watch)[-1]
        self.assertEqual((granted["basis"], granted["recipient"], granted["groups"]),
                         ("LEDGER", "watch", ["audit"]))
        self.assertTrue(granted["log"].startswith("test.example/caf/"))
        self.node.sauti("case", "show", "ZZ-ONE")
        self.show("C-1", "after", to="auditor")
        wait_for("what came after", lambda: len(self.kinds(watch)) == 3, 60)
        wait_for("the view", lambda: self.node.json("status")["views"]["waiting"] == 0)
        self.network.settle()
        self.assertEqual(self.kinds(watch), ["EXPORT_MADE", "ACCESS_GRANTED", "EXPORT_MADE"])
        self.assertEqual(watch.json("case", "list"), [])
        self.assertEqual(self.listed(self.hq), None)  # headquarters is no auditor
        for args, status in ((("--node", "caf", "--views"), 2), (("--node", "hq"), 1),
                             (("--node", "-"), 1)):
            done = watch.sauti("ledger", "list", *args, check=False)
            self.assertEqual(done.returncode, status, (args, done.stderr))
        watch.stop()
        watch.start()
        self.assertEqual(len(self.kinds(watch)), 3)

        self.hq.sauti("node", "revoke", "watch", "--reason", "lorem", "--yes")
        wait_for("the grant to be taken back", lambda: [
            e["type"] for e in self.node.json("ledger", "list")][-1] == "ACCESS_REVOKED", 120)
        # From then on the ledger is sealed with a key that the auditor does not have.
        self.show("C-1", "later", to="auditor")
        self.disclose()
        keys = []
        self.changed(lambda found: keys.extend(found) or found)
        self.assertEqual([k[0][0] for k in keys if k[0][0] == 11], [11, 11])
        self.assertEqual(sorted(len(k[1][0]) for k in keys if k[0][0] == 11)[0], 2)  # that it was taken back, and what came later


class Disk(Case):
    """A disk that takes nothing for a while."""

    def test_ledger_first(self):
        """What cannot be in the ledger, or be remembered, is not opened."""
        faults = Faults(self.root / "faults", BUILD)
        self.node.stop()
        self.node.env = faults.env
        self.node.start()
        faults.arm("write", self.node.dir, errno.ENOSPC)
        done = self.show(self.consent, "x", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(os.listdir(self.out), [])
        faults.arm("write", self.node.dir / "store", errno.ENOSPC)
        done = self.show(self.consent, "x", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(os.listdir(self.out), [])
        faults.disarm()
        wait_for("the disk to be well", lambda: not self.node.json("status")["store"]["message"])
        self.show(self.consent, "x")
        self.assertEqual(len(self.exports()), 1)


if __name__ == "__main__":
    BUILD = Path(sys.argv.pop(1)).resolve()
    unittest.main(verbosity=2)
