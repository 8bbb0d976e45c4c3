"""The command line where it needs no daemon: usage, init, check-config, join against nobody.

usage: test_cli.py BUILD_DIR
"""

import base64
import json
import os
import pty
import re
import select
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

SAUTI = os.path.join(os.path.abspath(sys.argv.pop(1)), "sauti")

OK, FAILED, USAGE, UNREACHABLE, INTEGRITY, REFUSED = range(6)

COMMANDS = [
    ["init"], ["join"], ["unlock"], ["lock"], ["panic"], ["logout"], ["whoami"], ["status"],
    ["check-config"], ["officer", "add"], ["officer", "list"], ["officer", "disable"],
    ["officer", "passphrase"],
    ["node", "invite"], ["node", "list"], ["node", "show"],
    ["case", "open"], ["case", "add"], ["case", "show"], ["case", "list"], ["case", "import"],
    ["case", "sheet"], ["case", "types"], ["case", "drafts"], ["case", "correct"],
    ["case", "assign"], ["case", "close"], ["case", "reopen"],
    ["case", "find"], ["case", "today"], ["today"], ["case", "resolve"],
    ["case", "export"], ["case", "complain"], ["ledger", "list"],
    ["log", "list"], ["log", "show"], ["log", "verify"], ["log", "export"], ["backup"], ["restore"],
    ["bundle", "export"], ["bundle", "import"], ["bundle", "inspect"],
    ["node", "revoke"], ["node", "dispute"], ["node", "policy"], ["log", "evidence"],
    ["mail", "send"], ["mail", "list"], ["mail", "show"], ["mail", "delete"], ["mail", "refused"],
    ["node", "confirm"], ["node", "prekeys"], ["log", "policy"], ["audit", "proof"],
    ["case", "share"], ["case", "shares"], ["case", "withdraw"], ["case", "answer"],
    ["case", "erase"], ["case", "hold"], ["case", "prove"], ["case", "receipt"], ["receipt", "check"],
    ["case", "packet"], ["case", "recall"], ["case", "break-glass"], ["case", "report"],
    ["packet", "open"], ["packet", "fields"], ["audit", "grants"], ["audit", "log"], ["ledger", "disclose"],
    ["recover"], ["recover", "setup"], ["recover", "reshare"], ["recover", "status"],
    ["node", "rotate"], ["mail", "release"],
    ["approvals", "list"], ["approvals", "approve"], ["approvals", "refuse"], ["approvals", "told"],
]


class Case(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory(prefix="sauti-cli-")
        self.addCleanup(self.scratch.cleanup)
        self.dir = os.path.join(self.scratch.name, "hq")
        self.passphrase = self.put("passphrase", "correct horse\n", 0o600)

    def path(self, *names):
        return os.path.join(self.scratch.name, *names)

    def put(self, name, text, mode=0o644):
        path = self.path(name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def sauti(self, *args, code=OK, stdin="", directory=None):
        env = {"PATH": "/usr/bin:/bin", "SAUTI_DIR": directory or self.dir}
        env.update({k: v for k, v in os.environ.items() if "SAN_OPTIONS" in k})
        # A session of its own has no terminal: nothing may wait for a person.
        result = subprocess.run([SAUTI, *args], input=stdin, env=env, text=True, timeout=60,
                                capture_output=True, start_new_session=True, check=False)
        self.assertEqual(result.returncode, code,
                         f"sauti {' '.join(args)}\n{result.stdout}\n{result.stderr}")
        return result

    def init(self, *args, **kwargs):
        return self.sauti("init", "ovra.example", "--passphrase-file", self.passphrase, *args,
                          **kwargs)


class Usage(Case):
    def test_help(self):
        everything = self.sauti("--help").stdout
        for command in COMMANDS:
            own = self.sauti(*command, "--help").stdout
            self.assertTrue(own.startswith("usage: sauti " + " ".join(command)), own)
            self.assertIn("Options of every command:", own)
            self.assertIn("\n  " + " ".join(command), everything)
            self.assertEqual(own, self.sauti("--help", *command).stdout)
        listed = re.findall(r"^  ([a-z-]+)(?: ([a-z-]+))?(?= [ A-Z\[])", everything.split("\nOptions")[0], re.M)
        self.assertEqual(len(listed), len(COMMANDS), listed)
        self.assertIn("case open", self.sauti("case", "--help").stdout)
        self.assertNotIn("log list", self.sauti("case", "-h").stdout)

    def test_version(self):
        self.assertRegex(self.sauti("--version").stdout, r"^sauti \d+\.\d+\.\d+\n$")

    def test_wrong_calls(self):
        for args, says in [
            ([], "no command"),
            (["frobnicate"], "unknown command 'frobnicate'"),
            (["frobnicate", "--help"], "unknown command 'frobnicate'"),
            (["node"], "'node' what?"),
            (["node", "frobnicate"], "unknown command 'node frobnicate'"),
            (["status", "now"], "too many arguments: 'now'"),
            (["node", "show"], "too few arguments"),
            (["status", "--frobnicate"], "unknown option '--frobnicate'"),
            (["status", "-x"], "unknown option '-x'"),
            (["status", "--json=yes"], "--json takes no value"),
            (["log", "show", "x", "--index"], "--index needs N"),
            (["log", "show", "x", "--index", "-1"], "--index is a number"),
            (["log", "show", "x", "--index", "1", "--index=2"], "--index is given twice"),
            (["init", "example"], "'example' is no network name"),
            (["init", "Ovra.Example"], "is no network name"),
            (["init", "ovra.example", "--name", "directory"], "'directory' is no node name"),
            (["init", "ovra.example", "--listen", "nowhere"], "no numeric address"),
            (["init", "ovra.example", "--config", "x"], "use --dir"),
            (["init", "ovra.example"], "use --passphrase-file"),
            (["unlock"], "use --passphrase-file"),
            (["node", "invite", "Haiti", "--country", "HTI"], "'Haiti' is no node name"),
            (["node", "invite", "haiti"], "needs --country"),
            (["node", "invite", "haiti", "--country", "ht"], "three capitals"),
            (["node", "invite", "haiti", "--country", "HTI", "--role", "hq"], "--role 'hq'"),
            (["node", "invite", "haiti", "--country", "HTI", "--hours", "0"], "--hours"),
            (["node", "invite", "haiti", "--country", "HTI", "--address", "x"], "--address 'x'"),
            (["case", "add", "HTI-7K3Q-T"], "what is to be recorded?"),
            (["case", "add", "X", "--type", "CONTACT", "--from", "-"], "one of TYPE, --type and --from"),
            (["case", "add", "X", "--type", "CONTACT", "--field", "note"], "--field is name=text"),
            (["case", "add", "X", "--type", "CONTACT", "--field", "a:=["], "is no JSON"),
            (["case", "add", "X", "--type", "CONTACT", "--field", "type=Y"], "set already"),
            (["case", "open", "--code", "no good"], "--code: at most"),
            (["case", "open", "--office", "Haiti"], "three capitals"),
            (["case", "import"], "too few arguments"),
            (["case", "sheet"], "say --language: one of en, fr, es, ar, ht"),
            (["case", "sheet", "--language", "sw"], "no sheet in the language 'sw'"),
            (["case", "sheet", "--language", "fr", "--format", "pdf"], "--format is text or html"),
        ]:
            with self.subTest(args=args):
                result = self.sauti(*args, code=USAGE)
                self.assertEqual(result.stdout, "")
                first, hint = result.stderr.splitlines()
                self.assertTrue(first.startswith("sauti: "), first)
                self.assertIn(says, first)
                self.assertRegex(hint, r"^Try 'sauti .*--help'\.$")

    def test_json_errors(self):
        """Also when the mistake stands before --json."""
        result = self.sauti("status", "--frobnicate", "--json", code=USAGE)
        self.assertEqual(result.stdout, "")
        error = json.loads(result.stderr)["error"]
        self.assertEqual(error["code"], "usage")
        self.assertIn("--frobnicate", error["message"])

    def test_case_content_is_not_repeated(self):
        result = self.sauti("case", "add", "X", "--type", "T", "--field", "SENSITIVE", code=USAGE)
        self.assertNotIn("SENSITIVE", result.stderr)

    def test_closed_stdout(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            result = subprocess.run([SAUTI, "--help"], stdout=full, stderr=subprocess.PIPE,
                                    text=True, check=False, timeout=60)
        self.assertEqual(result.returncode, FAILED)
        self.assertIn("standard output", result.stderr)


class NoDaemon(Case):
    DAEMON = [
        ["lock"], ["panic"], ["status"], ["node", "list"], ["node", "show", "hq"],
        ["node", "invite", "haiti", "--country", "HTI"], ["case", "list"], ["case", "show", "X"],
        ["case", "open", "--office", "HTI"], ["case", "open", "--code", "ZZ-1"], ["case", "open"],
        ["case", "add", "X", "--type", "CONTACT"], ["log", "list"], ["log", "show", "x"],
        ["log", "verify"],
    ]

    def test_unreachable(self):
        self.init()
        events = self.put("events", '{"type":"CONTACT"}\n')
        for args in self.DAEMON + [["case", "import", events],
                                   ["unlock", "--passphrase-file", self.passphrase]]:
            with self.subTest(args=args):
                result = self.sauti(*args, code=UNREACHABLE)
                self.assertEqual(result.stdout, "")
                self.assertEqual(result.stderr,
                                 f"sauti: no daemon answers at {self.dir}/run/control.sock: "
                                 "is sautid running?\n")
                error = json.loads(self.sauti(*args, "--json", code=UNREACHABLE).stderr)
                self.assertEqual(error["error"]["code"], "unreachable")

    def test_no_node(self):
        for args in self.DAEMON:
            result = self.sauti(*args, code=FAILED)
            self.assertIn(f"no node in '{self.dir}'", result.stderr)
            self.assertIn("--dir", result.stderr)
        result = self.sauti("--config", self.path("other.conf"), "status", code=FAILED)
        self.assertIn(self.path("other.conf"), result.stderr)

    def test_empty_import(self):
        self.init()
        for text in ["", "\n \n"]:
            result = self.sauti("case", "import", "-", stdin=text, code=FAILED)
            self.assertIn("no events in it", result.stderr)
        result = self.sauti("case", "import", self.path("none"), code=FAILED)
        self.assertIn(self.path("none"), result.stderr)
        result = self.sauti("case", "import", self.scratch.name, code=FAILED)
        self.assertIn("is a directory", result.stderr)

    def test_import_line_cap(self):
        """48 KiB is a line that is sent; one byte more is refused on the spot, by its number."""
        self.init()
        for size, code in [(48 * 1024, UNREACHABLE), (48 * 1024 + 1, FAILED)]:
            path = self.put("long", "\n" + "x" * size + "\n")
            result = self.sauti("case", "import", path, code=code)
            if code == FAILED:
                self.assertIn(f"{path}:2: line longer than 49152 bytes", result.stderr)

    def test_table_without_a_map(self):
        result = self.sauti("case", "import", self.put("Register.CSV", "Case;Date\n"), code=USAGE)
        self.assertIn("is a table: --map MAP says what its columns mean", result.stderr)


class Sheet(Case):
    """The victim's sheet, where there is no node at all."""

    def test_without_a_node(self):
        done = self.sauti("case", "sheet", "--language", "fr-HT", "--next", "2099-03-12",
                          "--contact", "Anna", "--contact", "+509 1234")
        self.assertTrue(done.stdout.startswith("Vos droits\n\n"), done.stdout)
        self.assertIn("\nLa prochaine date : 12 mars 2099.\n", done.stdout)
        self.assertIn("\n  Anna\n  +509 1234\n", done.stdout)
        self.assertIn("no native speaker has reviewed", done.stderr)
        self.assertIn("La prochaine date : ", self.sauti("case", "sheet", "--language", "fr", "--next",
                                                        "+14d").stdout)

    def test_page(self):
        page = self.sauti("case", "sheet", "--language", "ar", "--format", "html").stdout
        self.assertIn('<html lang="ar" dir="rtl">', page)
        for word in ("<script", "http", "src=", "sauti"):
            self.assertNotIn(word, page.lower().replace("http-equiv", ""))

    def test_json(self):
        sheet = json.loads(self.sauti("--json", "case", "sheet", "--language", "ht").stdout)
        self.assertEqual([sheet["language"], sheet["format"], sheet["reviewed"]], ["ht", "text", False])
        self.assertIn("Dwa ou yo", sheet["sheet"])

    def test_refused(self):
        for args, says in [(["--next", "12.3.2026"], "YYYY-MM-DD"),
                           (["--contact", "the Office"], "'office' says what the sheet is about"),
                           (["--contact", "HTI-7K3Q-5"], "case code"),
                           (["--contact", "1"] * 5, "5 contacts, allowed are 4")]:
            with self.subTest(args=args):
                done = self.sauti("case", "sheet", "--language", "en", *args, code=FAILED)
                self.assertEqual(done.stdout, "")
                self.assertIn(says, done.stderr)


class Init(Case):
    def mode(self, *names):
        return stat.S_IMODE(os.stat(os.path.join(self.dir, *names)).st_mode)

    def test_files(self):
        result = self.init()
        self.assertIn("ovra.example", result.stdout)
        self.assertIn("offline", result.stderr)
        for name in ["keys/boot", "keys/keystore", "genesis", "ca/root.key"]:
            self.assertEqual(self.mode(name), 0o600, name)
        for name in [".", "keys", "certs", "run", "ca"]:
            self.assertEqual(self.mode(name), 0o700, name)
        self.assertFalse([n for _, _, files in os.walk(self.dir) for n in files if "tmp" in n])
        self.assertIn(": ok: node 'hq'", self.sauti("check-config").stdout)

    def test_openssl_accepts_the_chain(self):
        """A verifier that nobody here wrote."""
        self.init()
        certs = os.path.join(self.dir, "certs")
        with open(os.path.join(certs, "node.pem"), encoding="ascii") as file:
            pems = re.findall(r"-----BEGIN.*?-----END CERTIFICATE-----\n", file.read(), re.S)
        self.assertEqual(len(pems), 2)
        verified = subprocess.run(
            ["openssl", "verify", "-x509_strict", "-CAfile", os.path.join(certs, "root.pem"),
             "-untrusted", self.put("issuing.pem", pems[1]), self.put("leaf.pem", pems[0])],
            capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual(verified.returncode, 0, verified.stdout + verified.stderr)
        shown = subprocess.run(["openssl", "x509", "-in", self.path("leaf.pem"), "-noout",
                                "-ext", "subjectAltName"], capture_output=True, text=True,
                               check=True, timeout=60).stdout
        self.assertIn("URI:sauti://ovra.example/node/hq", shown)

    def test_json_and_options(self):
        ca = self.path("stick")
        result = self.init("--json", "--name", "centre", "--listen", "127.0.0.1:0",
                           "--root-dir", ca)
        data = json.loads(result.stdout)
        self.assertEqual(data["node"], "centre")
        self.assertEqual(data["root_key"], os.path.join(ca, "root.key"))
        self.assertTrue(data["directory_origin"].startswith("ovra.example/directory/1-"))
        self.assertTrue(all("note" in json.loads(x) for x in result.stderr.splitlines()))
        self.assertFalse(os.path.exists(os.path.join(self.dir, "ca")))
        checked = json.loads(self.sauti("check-config", "--json").stdout)
        self.assertEqual(checked["listen"], "127.0.0.1:0")
        self.assertTrue(checked["node_files"])
        # the root of one network is not overwritten by another's
        result = self.init("--root-dir", ca, code=FAILED, directory=self.path("other"))
        self.assertIn("root of another network", result.stderr)
        self.assertFalse(os.path.exists(self.path("other")))

    def test_twice(self):
        self.init()
        before = {n: Path(self.dir, n).read_bytes()
                  for n in ["genesis", "keys/boot", "keys/keystore"]}
        self.assertIn("is not empty", self.init(code=FAILED).stderr)
        for name, content in before.items():
            self.assertEqual(Path(self.dir, name).read_bytes(), content)

    def test_not_into_something(self):
        os.mkdir(self.dir)
        self.init_file = os.path.join(self.dir, ".profile")
        with open(self.init_file, "w", encoding="ascii"):
            pass
        self.init(code=FAILED)
        os.remove(self.init_file)
        self.init()

    def test_passphrases(self):
        for text, says in [("", "empty"), ("\n", "empty"), ("x" * 1025, "longer than 1024")]:
            path = self.put("passphrase", text, 0o600)
            self.assertIn(says, self.init(code=FAILED).stderr)
            self.assertIn(path, self.init(code=FAILED).stderr)
            self.assertFalse(os.path.exists(self.dir))
        self.put("passphrase", "x" * 1024, 0o644)
        self.assertIn("chmod 600", self.init().stderr)
        self.sauti("--dir", self.path("second"), "init", "ovra.example", "--passphrase-file", "-",
                   stdin="from stdin\n")
        result = self.sauti("init", "ovra.example", "--passphrase-file", self.path("none"),
                            code=FAILED, directory=self.path("third"))
        self.assertIn(self.path("none"), result.stderr)

    def test_passphrase_is_nowhere(self):
        self.init()
        for folder, _, names in os.walk(self.dir):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    self.assertNotIn(b"correct horse", file.read())

    def terminal(self, lines):
        """init on a terminal of its own; what it showed, and its exit code."""
        pid, fd = pty.fork()
        if pid == 0:
            os.environ["SAUTI_DIR"] = self.dir
            os.execv(SAUTI, [SAUTI, "init", "ovra.example"])
        shown = b""

        def read():
            if not select.select([fd], [], [], 60)[0]:
                os.kill(pid, signal.SIGKILL)
                self.fail(f"nothing for 60 s after {shown}")
            try:
                return os.read(fd, 1024)
            except OSError:  # the other side of the terminal is closed
                return b""

        for prompt, line in lines:
            while prompt not in shown:
                more = read()
                self.assertTrue(more, shown)
                shown += more
            os.write(fd, line)
            shown = shown.replace(prompt, b"", 1)
        more = read()
        while more:
            shown += more
            more = read()
        os.close(fd)
        return shown, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def test_terminal(self):
        twice = [(b"keys: ", b"whisper\n"), (b"again: ", b"whisper\n")]
        shown, code = self.terminal([twice[0], (b"again: ", b"wisper\n")])
        self.assertEqual(code, FAILED)
        self.assertIn(b"differ", shown)
        self.assertFalse(os.path.exists(self.dir))
        shown, code = self.terminal(twice)
        self.assertEqual(code, OK, shown)
        self.assertNotIn(b"whisper", shown)


class CheckConfig(Case):
    def check(self, text, says, code=FAILED):
        path = self.put("sauti.conf", text)
        result = self.sauti("check-config", path, code=code)
        self.assertIn(says, result.stderr)
        return result

    def test_places(self):
        conf = self.path("sauti.conf")
        self.check("[node]\nname = hq\nnmae = x\n", f"sauti: {conf}:3: unknown key 'nmae'")
        self.check("[node]\nname = hq\n\n# c\n[node]\n", f"{conf}:5: section [node] is there twice")
        self.check("[node]\nname = hq\nname = hq\n", f"{conf}:3: key 'name' is there twice")
        self.check("name = hq\n", f"{conf}:1: key 'name' stands before any section")
        self.check("[node]\nname = hq\n[listen]\naddress = here\n", f"{conf}:4: address: no numeric")
        self.check("[seal]\ncompression = on\n", f"{conf}: the node has no name")
        self.check("[node]\nname = hq\n[peer hq]\n", "is this node")

    def test_size_cap(self):
        """256 KiB pass, one byte more does not."""
        text = "[node]\nname = hq\n"
        text += "#" * 1000 + "\n"
        text += ("#\n" * (256 * 1024))[:256 * 1024 - len(text)]
        path = self.put("sauti.conf", text)
        self.sauti("check-config", path)
        self.check(text + "\n", "larger than 262144 bytes")

    def test_json(self):
        path = self.put("sauti.conf", "[node]\nname = Hq\n")
        error = json.loads(self.sauti("check-config", "--json", path, code=FAILED).stderr)["error"]
        self.assertEqual(error["code"], "invalid")
        self.assertTrue(error["message"].startswith(path + ":2: name: "), error)

    def test_no_node_yet(self):
        path = self.put("sauti.conf", "[node]\nname = hq\n")
        self.assertIn("no node in", self.sauti("check-config", path).stderr)

    def test_open_keys(self):
        self.init()
        for name in ["keys/boot", "keys/keystore"]:
            path = os.path.join(self.dir, name)
            os.chmod(path, 0o640)
            result = self.sauti("check-config", code=REFUSED)
            self.assertIn(path, result.stderr)
            self.assertIn("chmod 600", result.stderr)
            os.chmod(path, 0o600)
        self.sauti("check-config")

    def test_another_nodes_files(self):
        self.init()
        conf = os.path.join(self.dir, "sauti.conf")
        with open(conf, encoding="utf-8") as file:
            text = file.read()
        with open(conf, "w", encoding="utf-8") as file:
            file.write(text.replace("name = hq", "name = haiti"))
        self.assertIn("is for 'hq'", self.sauti("check-config", code=FAILED).stderr)

    def test_damage(self):
        self.init()
        for name in ["genesis", "keys/boot", "certs/node.pem", "certs/root.pem"]:
            path = os.path.join(self.dir, name)
            with open(path, "rb") as file:
                good = file.read()
            with open(path, "wb") as file:
                file.write(good[:len(good) // 2])
            with self.subTest(name=name):
                result = subprocess.run([SAUTI, "--dir", self.dir, "check-config"],
                                        capture_output=True, text=True, check=False, timeout=60)
                self.assertIn(result.returncode, [FAILED, INTEGRITY], result.stderr)
                self.assertIn(path, result.stderr)
                if name == "genesis":
                    self.assertEqual(result.returncode, INTEGRITY)
            with open(path, "wb") as file:
                file.write(good)
        self.sauti("check-config")

    def test_two_networks_mixed(self):
        """The files of another init do not pass for this one's."""
        self.init()
        other = self.path("other")
        self.init(directory=other)
        for name in ["genesis", "certs/root.pem", "certs/node.pem", "keys/boot"]:
            path = os.path.join(self.dir, name)
            with open(path, "rb") as file:
                good = file.read()
            with open(os.path.join(other, name), "rb") as file:
                foreign = file.read()
            with open(path, "wb") as file:
                file.write(foreign)
            with self.subTest(name=name):
                self.sauti("check-config", code=FAILED)
            with open(path, "wb") as file:
                file.write(good)
        self.sauti("check-config")


class Join(Case):
    """Tokens that are none, and headquarters that are not there."""

    def setUp(self):
        super().setUp()
        self.node = self.path("haiti")

    def join(self, token, *args, code, stdin=""):
        return self.sauti("--dir", self.node, "join", token, "--passphrase-file",
                          self.passphrase, *args, code=code, stdin=stdin)

    def test_bad_tokens(self):
        for token in ["x", "sauti-join-1.", "sauti-join-1.AAAA", "sauti-join-2.AAAA",
                      "sauti-join-1." + "A" * 4000]:
            self.assertIn("token", self.join(token, code=FAILED).stderr)
            self.join("-", code=FAILED, stdin=token)
            self.join("@" + self.put("token", token), code=FAILED)
            self.assertFalse(os.path.exists(self.node))
        self.assertIn(self.path("none"), self.join("@" + self.path("none"), code=FAILED).stderr)

    def token(self, *addresses):
        """A token of proto/join.proto, written here by hand."""
        def varint(number):
            out = b""
            while number > 0x7f:
                out += bytes([number & 0x7f | 0x80])
                number >>= 7
            return out + bytes([number])

        def field(number, value):
            if isinstance(value, int):
                return varint(number << 3) + varint(value)
            value = value.encode() if isinstance(value, str) else value
            return varint(number << 3 | 2) + varint(len(value)) + value

        self.init()
        with open(os.path.join(self.dir, "genesis"), "rb") as file:
            genesis = file.read()
        text = re.search(rb"ovra\.example/directory/1-[0-9a-f]{16}", genesis).group()
        key = re.search(re.escape(text) + rb"\x22\x20(.{32})", genesis, re.S).group(1)
        message = field(1, "ovra.example")
        for address in addresses:
            message += field(2, address)
        message += field(3, text) + field(4, key) + field(5, 3) + field(6, b"r" * 32)
        message += field(7, b"s" * 32) + field(8, "haiti") + field(9, 2) + field(10, "HTI")
        message += field(11, 4102444800)
        return "sauti-join-1." + base64.urlsafe_b64encode(message).rstrip(b"=").decode()

    def test_nobody(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            address = "127.0.0.1:%d" % server.getsockname()[1]
        token = self.token(address, address)
        result = self.join(token, code=UNREACHABLE)
        self.assertIn(f"nobody answers at {address}", result.stderr)
        # the keys stay for the next try, which has the same and asks for the same passphrase
        names = ["keys/boot", "keys/keystore", "keys/joining"]
        keys = [Path(self.node, n).read_bytes() for n in names]
        self.join(token, code=UNREACHABLE)
        self.assertEqual(keys, [Path(self.node, n).read_bytes() for n in names])
        for name in names:
            self.assertEqual(stat.S_IMODE(os.stat(os.path.join(self.node, name)).st_mode), 0o600)
        self.assertFalse(os.path.exists(os.path.join(self.node, "sauti.conf")))
        self.put("passphrase", "wrong\n", 0o600)
        self.join(token, code=REFUSED)
        # other tokens keep out, and so does --country
        self.assertIn("another token", self.join(self.other(token), code=FAILED).stderr)
        self.assertIn("'HTI', not 'CAF'",
                      self.join(token, "--country", "CAF", code=FAILED).stderr)

    def other(self, token):
        head, body = token.split(".")
        raw = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
        raw = raw.replace(b"s" * 32, b"t" * 32)
        return head + "." + base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    def test_somebody_else(self):
        """A server that hangs up, and one that speaks no TLS."""
        for answer in [b"", b"SSH-2.0-OpenSSH_9.2\r\n"]:
            with socket.create_server(("127.0.0.1", 0)) as server:
                server.settimeout(30)

                def serve():
                    client, _ = server.accept()
                    with client:
                        client.recv(10000)
                        client.sendall(answer)
                thread = threading.Thread(target=serve)
                thread.start()
                address = "127.0.0.1:%d" % server.getsockname()[1]
                self.dir = self.path("hq" + str(len(answer)))
                self.node = self.path("haiti" + str(len(answer)))
                token = self.token("192.0.2.1:1")
                result = self.join(token, "--peer-address", address,
                                   code=FAILED if answer else UNREACHABLE)
                self.assertIn(address, result.stderr)
                thread.join()

    def test_not_over_a_node(self):
        token = self.token("127.0.0.1:1")
        self.node = self.dir
        self.assertIn("a node in", self.join(token, code=FAILED).stderr)


if __name__ == "__main__":
    unittest.main()
