"""The suite `cases` of bench/run: what many cases cost an office.

bench/README.md says how each figure is taken.
"""

import itertools
import statistics
import subprocess
import sys
import time
from pathlib import Path

from network import Failed

SOURCE = Path(__file__).resolve().parent.parent

# Key -> (target, what it is). The order is that of the report.
CASES = {
    "timeline_ms": ("<= 20", "1,000 events of one case, their parts opened already, folded in order"),
    "unlock_s": ("<= 2", "unlocking with 100,000 own events, without scrypt"),
    "scrypt_s": (None, "scrypt, beside each unlock"),
    "view_bytes_per_event": ("<= 128", "memory of the unlocked node for each event, without its cases "
                                       "and keys"),
    "today_ms": ("<= 50", "what wants doing, over all cases: some 3,500 open ones"),
    "import_per_s": (">= 20,000", "events a second of `sauti case import`: both passes, socket, store"),
}
PARTS = ["vault", "import"]


class Sizes:
    """How much is measured."""

    def __init__(self, smoke):
        self.events = 400 if smoke else 100_000
        self.rounds = 2 if smoke else 7


class CasesSuite:
    """Runs the parts for bench/run's Suite, which keeps the figures."""

    def __init__(self, suite):
        self.suite, self.sizes = suite, Sizes(suite.args.smoke)

    def events(self):
        """The first so many synthetic events, as a file."""
        path = self.suite.root / "events.jsonl"
        if path.exists():
            return path
        size = "demo" if self.suite.args.smoke else "stress"
        with subprocess.Popen([sys.executable, SOURCE / "scripts" / "synth", "--size", size],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as synth:
            with open(path, "wb") as out:
                out.writelines(itertools.islice(synth.stdout, self.sizes.events))
            synth.kill()  # it has more than is wanted
        with open(path, "rb") as written:
            if sum(1 for _ in written) != self.sizes.events:
                raise Failed("scripts/synth wrote too few events")
        return path

    def vault(self):
        """Store, engine, writer and vault in one process, without sockets."""
        suite = self.suite
        suite.say(f"recording {self.sizes.events:,} events, unlocking {self.sizes.rounds} times")
        got = suite.program("cases", suite.directory("cases"), self.events(), self.sizes.rounds)
        for key in ("timeline_ms", "unlock_s", "scrypt_s", "today_ms"):
            suite.figures[key] = statistics.median(got[key])
        suite.figures["view_bytes_per_event"] = got["view_bytes"][0] / got["events"]
        suite.absolute.update({
            "unlock_events": got["events"], "unlock_entries": got["entries"],
            "unlock_cases": got["cases"], "open_cases": got["open_cases"],
            "today_items": got["today_items"], "unlock_min_s": min(got["unlock_s"]),
            "unlock_max_s": max(got["unlock_s"]), "timeline_max_ms": max(got["timeline_ms"]),
            "unlocked_bytes_per_event": statistics.median(got["unlocked_bytes"]) / got["events"],
            "record_per_s": got["events"] / got["record_s"]})

    def imported(self):
        """The command line and a real node."""
        suite = self.suite
        suite.say(f"importing {self.sizes.events:,} events through the control socket")
        events = self.events()
        node = suite.make_network("import").init()
        node.start()
        start = time.monotonic()
        counts = node.json("case", "import", events)
        seconds = time.monotonic() - start
        node.stop()
        if counts["added"] != self.sizes.events:
            raise Failed(f"of {self.sizes.events} events {counts['added']} were recorded")
        suite.figures["import_per_s"] = self.sizes.events / seconds
        suite.absolute["import_s"] = seconds

    def run(self):
        for name, part in (("vault", self.vault), ("import", self.imported)):
            if name in self.suite.args.only:
                part()
