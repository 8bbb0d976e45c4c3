#!/usr/bin/env python3
"""Mail between real nodes: through a relay, to a locked node, past kills, with addresses.
test_mail.py BUILD [unittest arguments]"""
import re
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))
import network  # noqa: E402

BUILD = Path(sys.argv.pop(1) if len(sys.argv) > 1 else "build-dev").resolve()
QUICK = "\n[replication]\ndial_retry_min = 20ms\ndial_retry_max = 200ms\n"
TEXT = "The satellite modem comes on Thursday.\nPlease confirm. \u202e\x1b[31m"


def wait_for(what, condition):
    """As network.wait_for, for a machine that may be busy."""
    return network.wait_for(what, condition, 90)


class Mail(unittest.TestCase):
    """Headquarters and two offices that know nobody but headquarters."""

    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="sauti-mail-"))
        self.net = network.Network(self.root, BUILD)
        self.hq = self.net.init()
        self.hq.configure(QUICK)
        self.hq.start()
        self.haiti = self.net.join("haiti", "HTI", config=QUICK)
        self.chad = self.net.join("chad", "TCD", config=QUICK)
        self.haiti.start()
        self.chad.start()
        self.net.settle()
        self.keys_known(self.haiti, "chad")

    def tearDown(self):
        self.net.stop()
        shutil.rmtree(self.root)

    def keys_known(self, node, of):
        wait_for(f"the prekey of {of} at {node.name}",
                         lambda: node.json("node", "show", of)["prekey"])

    def sent(self, node, mail_id):
        return next(m for m in node.json("mail", "list") if m["id"] == mail_id)

    def state(self, node, mail_id, state, custodian=None):
        def there():
            mail = self.sent(node, mail_id)
            return mail["state"] == state and mail["custodian"] == custodian
        wait_for(f"{mail_id} to be {state} by {custodian}", there)

    def inbox(self, node):
        return [m for m in node.json("mail", "list") if m["kind"] == "notice"
                and m["direction"] == "received"]

    def send(self, node, to, text=TEXT):
        return node.json("mail", "send", "--to", to, "-", stdin=text)["id"]

    def on_disk(self, node, what):
        """Do these bytes stand in a file of the node's mail?"""
        return any(what in path.read_bytes() for path in (node.dir / "mail").glob("data*"))

    def test_through_a_relay_to_a_locked_office(self):
        self.chad.stop()
        mail = self.send(self.haiti, "chad")
        self.state(self.haiti, mail, "custody", "hq")
        status = self.hq.json("status")["mail"]
        self.assertEqual((status["carried"], status["waiting"]), (1, 0))
        self.haiti.stop()
        # The relay is killed: it keeps what it took.
        self.hq.kill()
        self.hq.start()
        self.chad.start(unlock=False)
        wait_for("the item at chad", lambda: self.chad.json("status")["mail"]["unopened"])
        listed = self.chad.json("mail", "list")
        self.assertEqual([m["state"] for m in listed], ["unopened"])
        self.assertEqual(self.chad.json("status")["mail"]["newest"], [])
        self.chad.unlock()
        received = wait_for("the notice", lambda: self.inbox(self.chad))
        self.assertEqual(received[0]["id"], mail)
        self.assertEqual([n["id"] for n in self.chad.json("status")["mail"]["newest"]], [mail])
        self.assertEqual(self.chad.json("mail", "show", mail)["text"], TEXT.rstrip("\n"))
        shown = self.chad.sauti("mail", "show", mail[:6]).stdout
        self.assertIn("modem", shown)
        self.assertNotIn("\x1b", shown)
        self.assertNotIn("\u202e", shown)
        self.assertIn(f"sauti mail show {mail}", self.chad.sauti("status").stdout)
        # The end goes back the same way, and the relay lets go.
        wait_for("the relay to let go",
                         lambda: self.hq.json("status")["mail"]["carried"] == 0)
        self.haiti.start()
        self.state(self.haiti, mail, "delivered")
        # Once, also after another restart.
        self.chad.stop()
        self.chad.start()
        self.assertEqual(len(self.inbox(self.chad)), 1)

    def test_killed_anywhere(self):
        self.chad.stop()
        mails = [self.send(self.haiti, "chad", f"notice {i}") for i in range(5)]
        self.haiti.kill()
        self.haiti.start(unlock=False)
        for mail in mails:
            self.state(self.haiti, mail, "custody", "hq")
        self.hq.kill()
        self.chad.start(unlock=False)
        self.hq.start()
        wait_for("all of it at chad",
                         lambda: self.chad.json("status")["mail"]["unopened"] == 5)
        self.chad.kill()
        self.chad.start()
        wait_for("all of it opened", lambda: len(self.inbox(self.chad)) == 5)
        self.chad.kill()
        self.chad.start(unlock=False)
        for mail in mails:
            self.state(self.haiti, mail, "delivered")
        self.assertEqual({m["id"] for m in self.inbox(self.chad)}, set(mails))

    def test_deleted_is_gone_from_the_disk(self):
        self.chad.stop()
        mail = self.send(self.haiti, "chad")
        self.state(self.haiti, mail, "custody", "hq")
        # Of a body: what is sealed, behind the number of its prekey.
        data = (self.hq.dir / "mail" / "data.mdb").read_bytes()
        sample = re.search(rb"\x38\x01\x42..(.{64})", data, re.DOTALL).group(1)
        self.assertTrue(self.on_disk(self.hq, sample) and self.on_disk(self.haiti, sample))
        self.chad.start()
        self.state(self.haiti, mail, "delivered")
        for node in self.net.nodes.values():
            wait_for(f"it to be gone from the disk of {node.name}",
                             lambda n=node: not self.on_disk(n, sample))
        self.chad.sauti("mail", "delete", mail)
        self.assertEqual(self.inbox(self.chad), [])
        self.assertEqual(self.chad.sauti("mail", "show", mail, check=False).returncode, 1)
        self.assertFalse(self.on_disk(self.chad, b"satellite"))

    def test_what_is_refused(self):
        for args, code in ((("send", "--to", "nobody", "x"), 1), (("send", "x"), 2),
                           (("send", "--to", "haiti", "x"), 1), (("show", "zz"), 1),
                           (("show", "0123"), 1), (("send", "--to", "chad", "x" * 4097), 2),
                           (("send", "--to", "chad", ""), 2)):
            self.assertEqual(self.haiti.sauti("mail", *args, check=False).returncode, code, args)
        self.haiti.sauti("lock")
        done = self.haiti.sauti("mail", "send", "--to", "chad", "x", check=False)
        self.assertEqual(done.returncode, 5)
        self.assertIn("unlocked", done.stderr)

    def test_a_node_that_moved_is_found_again(self):
        """Headquarters gets another port, and says so before and after."""
        moved = network.free_port()
        config = self.hq.dir / "sauti.conf"
        old = config.read_text(encoding="utf-8")
        self.hq.stop()
        config.write_text(old.replace(f"127.0.0.1:{self.hq.port}", f"127.0.0.1:{moved}").replace(
            "[node]\n", f"[node]\nadvertise = 127.0.0.1:{self.hq.port}, 127.0.0.1:{moved}\n"),
            encoding="utf-8")
        # Until the offices know, it is still found at the old port: by a listener there.
        config.write_text(config.read_text(encoding="utf-8").replace(
            f"[listen]\naddress = 127.0.0.1:{moved}", f"[listen]\naddress = 127.0.0.1:{self.hq.port}"),
            encoding="utf-8")
        self.hq.start()
        self.haiti.sauti("lock")  # taken also while locked
        for node in (self.haiti, self.chad):
            wait_for(f"{node.name} to know", lambda n=node: len(
                n.json("node", "show", "hq")["addresses"]) == 2)
        self.haiti.stop()
        self.hq.stop()
        config.write_text(config.read_text(encoding="utf-8").replace(
            f"[listen]\naddress = 127.0.0.1:{self.hq.port}", f"[listen]\naddress = 127.0.0.1:{moved}"),
            encoding="utf-8")
        self.hq.start()
        self.haiti.start()  # and across a restart
        for node in (self.haiti, self.chad):
            def connected(n=node):
                peers = {p["name"]: p for p in n.json("status")["peers"]}
                return peers["hq"]["connected"]
            wait_for(f"{node.name} to find headquarters", connected)
        self.assertIn(str(moved), self.haiti.sauti("node", "show", "hq").stdout)
        # A configuration that says nothing any more takes it back.
        self.hq.stop()
        config.write_text("\n".join(line for line in config.read_text(encoding="utf-8").splitlines()
                                    if not line.startswith("advertise")) + "\n", encoding="utf-8")
        self.hq.start()
        wait_for("chad to forget", lambda: len(
            self.chad.json("node", "show", "hq")["addresses"]) == 1)

    def test_the_last_word_on_addresses_counts_whatever_the_clock_says(self):
        """Also after a kill, and when the clock was put back before it was said."""
        config = self.hq.dir / "sauti.conf"
        plain = config.read_text(encoding="utf-8")
        self.hq.stop()
        config.write_text(plain.replace(
            "[node]\n", f"[node]\nadvertise = 127.0.0.1:{self.hq.port}, "
                         f"127.0.0.2:{self.hq.port}\n"), encoding="utf-8")
        self.hq.start()
        told = wait_for("chad to know", lambda: self.chad.json(
            "node", "show", "hq").get("addresses_told_at"))
        self.hq.kill()
        config.write_text(plain, encoding="utf-8")
        self.hq.env = {"LD_PRELOAD": str(BUILD / "tests" / "lib" / "clock.so"),
                       "CLOCK_AHEAD_S": "-3600"}
        self.hq.start()
        wait_for("chad to forget", lambda: self.chad.json(
            "node", "show", "hq")["addresses_told_at"] != told)
        hq = self.chad.json("node", "show", "hq")
        self.assertEqual((len(hq["addresses"]), hq["addresses_told_at"]), (1, told + 1))


if __name__ == "__main__":
    unittest.main()
