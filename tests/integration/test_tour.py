"""docs/TOUR.md, typed into a fresh node: what it prints is what the document says.

usage: test_tour.py BUILD_DIR            SAUTI_REWRITE=1: puts what is printed into the document

A block ```console is one command and what stands on the terminal then, answers included. Codes and
ids are random and days pass: they are shown as if the code were the document's and the day too.
"""

import datetime
import os
import re
import shlex
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

from network import Network, build_dir  # noqa: E402
from terminal import Terminal  # noqa: E402

BUILD = build_dir(sys.argv.pop(1) if len(sys.argv) > 1 else "build-dev")
TOUR = Path(__file__).resolve().parent.parent.parent / "docs" / "TOUR.md"
CODE, DAY = "HTI-7K3Q-5", datetime.date(2026, 11, 26)
BLOCK = re.compile(r"```console\n\$ (.*)\n((?:.*\n)*?)```\n")
ANSWER = re.compile(r"(?:\[[^\]]*\] |[A-Z][^\[\]>]*\? \[[Yy]/[Nn]\] |)> ?(.*)")


def answers_of(screen):
    """What is typed: what stands behind a prompt."""
    return [m.group(1).strip() for m in map(ANSWER.fullmatch, screen.splitlines()) if m]


class Tour(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory(prefix="sauti-tour-")
        self.addCleanup(self.scratch.cleanup)
        self.network = Network(self.scratch.name, BUILD)
        self.addCleanup(self.network.stop)
        hq = self.network.init()
        hq.start()
        self.node = self.network.join("haiti", "HTI")
        self.node.start()
        hq.stop()
        self.code, self.today = CODE, datetime.datetime.now(datetime.timezone.utc).date()

    def type(self, command, answers):
        """The screen of one command, answers typed as the questions come."""
        words = [w.replace(CODE, self.code) for w in shlex.split(command)]
        env = {"PATH": os.environ["PATH"], "TERM": "xterm", "NO_COLOR": "1", "LANG": "C.UTF-8"}
        env.update({k: v for k, v in os.environ.items() if "SAN_OPTIONS" in k})
        self.assertEqual(words[0], "sauti")
        with Terminal([BUILD / "sauti", "--dir", self.node.dir, *words[1:]], env) as terminal:
            for answer in answers:
                terminal.answer(answer)
            terminal.end()
            return terminal.screen

    def as_written(self, screen):
        found = re.search(r"^([A-Z]{3}-[0-9A-Z]{4}-[0-9A-Z])  [0-9a-f]{32}  durable here$", screen, re.M)
        if found:
            self.code = found.group(1)

        def day(match):
            then = datetime.date.fromisoformat(match.group(0))
            return (DAY + (then - self.today)).isoformat()

        text = screen.replace(self.code, CODE)
        text = re.sub(r"\b[0-9a-f]{32}\b", "00112233445566778899aabbccddeeff", text)
        text = re.sub(r"\b\d{4}-\d\d-\d\d\b", day, text)
        return "".join(line.rstrip() + "\n" for line in text.splitlines())

    def test_tour(self):
        document = TOUR.read_text(encoding="utf-8")
        blocks = BLOCK.findall(document)
        for command, screen in blocks:
            with self.subTest(command=command):
                shown = self.as_written(self.type(command, answers_of(screen)))
                if os.environ.get("SAUTI_REWRITE"):
                    document = document.replace(f"$ {command}\n{screen}```", f"$ {command}\n{shown}```", 1)
                else:
                    self.assertEqual(shown, "".join(l.rstrip() + "\n" for l in screen.splitlines()))
        if os.environ.get("SAUTI_REWRITE"):
            TOUR.write_text(document, encoding="utf-8")

    def test_few_commands(self):
        """At most eight to a case with a consent and a referral, and no code of a list among them."""
        commands = [command for command, _ in BLOCK.findall(TOUR.read_text(encoding="utf-8"))]
        made = next(i for i, c in enumerate(commands) if c.endswith(" referral") and i > 2)
        self.assertLessEqual(made + 1, 8)
        for command in commands[:made + 1]:
            self.assertRegex(command, r"^sauti case (open|add HTI-7K3Q-5 (consent|referral))$")


if __name__ == "__main__":
    unittest.main()
