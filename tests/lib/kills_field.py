"""kill -9 in what an office in the field goes through: catching up, bundles, a new epoch.

Three real nodes: headquarters, an office with a link, and one that has only a stick. Each round
lets one thing begin, kills who is at it at a random moment, starts it again, and again, until the
thing is done without a kill. Then every log verifies, nobody raises an alarm, every event that was
acknowledged is shown exactly once, and every log has one root wherever it is held.
"""

import json
import random
import shutil
import subprocess
import time

from network import Failed, Network, wait_for

QUICK = ("\n[replication]\nhave_delay = 100ms\ndial_retry_min = 100ms\ndial_retry_max = 300ms\n"
         "cosignature_delay = 200ms\n")
EPOCHS_MAX = 40  # of one node in one network; 64 is the cap


class FieldKills:
    """run() raises Failed when something is wrong."""

    def __init__(self, root, build, seed):
        self.rng = random.Random(seed)
        self.root = root
        self.network = Network(root / "net", build, "field.example")
        self.hq = self.network.init()
        self.hq.configure(QUICK)
        self.hq.start()
        self.office = self.network.join("caf", "CAF", config=QUICK)
        self.remote = self.network.join("haiti", "HTI", config=QUICK)
        for node in (self.hq, self.office, self.remote):
            node.waits_for_views = False  # nothing here needs a log to stand still
        self.cut_off(self.remote)
        self.office.start()
        self.remote.start()
        self.kills = {"catch-up": 0, "import": 0, "export": 0, "epoch": 0}
        self.took = {"epoch": 0.8}  # how long each thing takes, undisturbed
        self.epochs = self.events = self.bundles = 0
        self.acknowledged = {}  # case code -> ids, of the office
        self.case = 0
        self.record(20)

    @staticmethod
    def cut_off(node):
        conf = node.dir / "sauti.conf"
        text = conf.read_text(encoding="utf-8")
        begin = text.index("[peer hq]")
        conf.write_text(text[:begin] + text[text.index("[replication]", begin):], encoding="utf-8")

    # Doing things.

    def record(self, count):
        """A new case with so many events; acknowledged when this returns."""
        self.case += 1
        ref, code = f"{1:016x}{self.case:016x}", f"ZZ-1-{self.case}"
        lines = []
        for i in range(count):
            self.events += 1
            lines.append({"event_id": f"01900000-0001-7000-8000-{self.events:012x}", "case_ref": ref,
                          "occurred_on": "2026-01-01", "precision": "D"} |
                         ({"type": "CASE_OPENED", "case_code": code} if i == 0 else
                          {"type": "VICTIM_VIEW", "subject": "SERVICES",
                           "view": self.rng.randbytes(150).hex()}))
        self.office.sauti("case", "import", "-", stdin="".join(json.dumps(e) + "\n" for e in lines))
        self.acknowledged[code] = {e["event_id"] for e in lines}

    def moment(self, what):
        """A moment in the middle of it, as far as one knows how long it takes."""
        return self.rng.random() * 1.2 * self.took.get(what, 0.3)

    def kill(self, node, what):
        node.kill()
        self.kills[what] += 1

    def kill_while(self, node, what, *args):
        """Runs the command, kills the node in the middle; True when the command was done before."""
        began = time.monotonic()
        child = subprocess.Popen([self.network.bin / "sauti", "--dir", node.dir, *map(str, args)],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            child.wait(self.moment(what))
        except subprocess.TimeoutExpired:
            pass
        done = child.poll() == 0
        if what == "epoch" and done:  # sealing again goes on behind it
            time.sleep(self.rng.random() * 0.3)
        if done:
            self.took[what] = 0.7 * self.took.get(what, time.monotonic() - began) + \
                0.3 * (time.monotonic() - began)
        self.kill(node, what)
        child.communicate()
        return done

    # The things.

    def catch_up(self):
        """The office records while headquarters is away; then either dies while it catches up."""
        self.hq.stop()
        self.record(self.rng.choice((50, 150, 400)))
        began = time.monotonic()
        for again in range(4):
            self.hq.start(unlock=self.rng.random() < 0.5)
            if again < 3:
                time.sleep(self.moment("catch-up"))
                if self.holds_all():
                    self.took["catch-up"] = 0.9 * self.took.get("catch-up", 0.3)
                    break
                node = self.rng.choice((self.hq, self.hq, self.office))
                self.kill(node, "catch-up")
                if node is self.office:
                    node.start()
                    self.kill(self.hq, "catch-up")
        if self.hq.process is None:
            self.hq.start()
        wait_for("headquarters to catch up", self.holds_all)
        self.took["catch-up"] = max(0.1, min(1.0, 0.5 * self.took.get("catch-up", 0.3) +
                                             0.1 * (time.monotonic() - began)))

    def holds_all(self):
        own = self.office.own()
        return self.hq.logs().get(own["origin"], {"checkpoint_size": 0})["checkpoint_size"] == own["size"]

    def by_stick(self):
        """A bundle of the office's, to the one without a link; both die at it."""
        self.record(self.rng.choice((20, 100, 300)))
        size = self.office.own()["size"]
        self.bundles += 1
        file = self.root / f"bundle-{self.bundles}"
        while not file.exists():
            if self.rng.random() < 0.5:
                self.kill_while(self.office, "export", "bundle", "export", "--to", file)
                self.office.start()
            else:
                self.office.sauti("bundle", "export", "--to", file)
        for _ in range(self.rng.randint(1, 3)):
            self.kill_while(self.remote, "import", "bundle", "import", file)
            self.remote.start(unlock=self.rng.random() < 0.5)
        self.remote.sauti("bundle", "import", file)
        own = self.office.own()  # it may have grown since: looks at cases are written down later
        held = self.remote.logs()[own["origin"]]
        if held["size"] < size or (held["size"] == own["size"] and held["root"] != own["root"]):
            raise Failed("the bundle is not all there after its import")
        file.unlink()
        leftover = [f.name for f in self.root.iterdir() if "partial" in f.name]
        for name in leftover:  # of an export that was killed; the next one of that name removes it
            (self.root / name).unlink()

    def new_epoch(self):
        """Because the guard is gone; or because an old store was put back while nobody could be
        reached, and the officer says so. The office dies in the middle."""
        if self.epochs >= EPOCHS_MAX:
            return
        automatic = self.rng.random() < 0.5
        before = self.office.own()["origin"]
        if automatic:
            self.record(self.rng.choice((5, 60)))
            self.office.stop()
            shutil.rmtree(self.office.dir.with_name(self.office.dir.name + ".guard"))
        else:
            self.roll_back()
        unlock = ["unlock", "--passphrase-file", self.network.passphrase]
        word = [] if automatic else ["--new-epoch"]
        self.office.start(unlock=False)
        for _ in range(self.rng.randint(1, 3)):
            self.kill_while(self.office, "epoch", *unlock, *word)
            self.office.start(unlock=False)
        self.office.sauti(*unlock)
        if not automatic and not self.office.json("status")["guard"]["writable"]:
            # Killed before anything of the new one was durable: the officer says it again.
            self.office.sauti("lock")
            self.office.sauti(*unlock, *word)
        if self.hq.process is None:
            self.hq.start()
            wait_for("the old log to be back", lambda: self.office.logs()[before]["root"] ==
                     self.hq.logs()[before]["root"], 60)
            self.office.sauti("lock")
            self.office.sauti(*unlock)
        wait_for("what was recorded to be sealed again",
                 lambda: not self.office.json("status")["guard"]["resealing"], 60)
        if self.office.own()["origin"] == before:
            raise Failed("the old log goes on")
        self.epochs += 1

    def roll_back(self):
        """What is recorded now is at headquarters, and headquarters is away."""
        store, old = self.office.dir / "store", self.root / "old-store"
        self.office.stop()
        shutil.copytree(store, old)
        self.office.start()
        self.record(self.rng.choice((5, 60)))
        wait_for("headquarters to hold it", self.holds_all)
        self.office.stop()
        self.hq.stop()
        shutil.rmtree(store)
        shutil.move(old, store)

    # Looking.

    def check(self):
        for node in self.network.nodes.values():
            bad = [log for log in node.json("log", "verify") if not log["ok"]]
            if bad:
                raise Failed(f"{node.name}: log verify: {bad}")
            status = node.json("status")
            # For a minute after an old store was put back: commits of other logs are missing.
            passing = [status["guard"]["message"]] if status["guard"]["verdict"] == "rolled-back" else []
            # For good: what the witness key had signed is known to no older store, nor without a guard.
            alarms = [a for a in status["alarms"] if not (self.epochs > 0 and "witness key has signed" in a)]
            if alarms not in ([], passing) or any(log["frozen"] for log in node.logs().values()):
                raise Failed(f"{node.name}: alarms: {alarms}")

    def check_events(self, newest=None):
        """Every acknowledged event, once."""
        for code in list(self.acknowledged)[-newest if newest else 0:]:
            shown = [e["event_id"] for e in self.office.json("case", "show", code)["events"]]
            if sorted(shown) != sorted(self.acknowledged[code]):
                raise Failed(f"case {code}: {len(self.acknowledged[code])} events were acknowledged, "
                             f"{len(shown)} are shown, {len(set(shown))} different ones")

    def check_roots(self):
        """Every log of the office is at headquarters as it is here."""
        def differing():
            theirs = self.hq.logs()
            return [origin for origin, log in self.office.logs().items()
                    if theirs.get(origin, {"root": None})["root"] != log["root"]]
        wait_for("every log to be the same at headquarters", lambda: not differing())

    def total(self):
        return sum(self.kills.values())

    def run(self, kills, tell=lambda text: None):
        """Until each of the three had a third of the kills."""
        began, rounds = time.monotonic(), 0
        things = {"catch-up": self.catch_up, "import": self.by_stick, "epoch": self.new_epoch}
        while self.total() < kills:
            least = min(things, key=lambda what: self.kills[what] + (
                1000 if what == "epoch" and self.epochs >= EPOCHS_MAX else 0))
            things[least]()
            rounds += 1
            self.check()
            self.check_events(newest=3)
            if rounds % 10 == 0:
                tell(self.summary(began))
        self.check_roots()
        self.check()
        self.check_events()
        tell(self.summary(began) + "; everything acknowledged is there, once")

    def summary(self, began):
        return (", ".join(f"{count} kills in {what}" for what, count in self.kills.items()) +
                f"; {self.events} events, {self.epochs} new epochs, {self.bundles} bundles, "
                f"{time.monotonic() - began:.0f} s")

    def close(self):
        for node in self.network.nodes.values():
            if node.process is not None:
                node.kill()
