"""kill -9, again and again, of an office that imports and of its mirror.

Two real nodes. Loaders import without a pause; the killer waits a random time, kills one or both,
and starts them again, now and then killing once more before they have started. What the command
line acknowledged must be there at every restart, every log must verify, nobody may raise an alarm,
and in the end the mirror holds everything.
"""

import json
import random
import subprocess
import threading
import time

from network import Failed, Network, wait_for

QUICK = "\n[replication]\nhave_delay = 100ms\ndial_retry_min = 200ms\ndial_retry_max = 1s\n"
BATCH_TRIES = 400  # of one batch; each failure waits for a restart


class Loader(threading.Thread):
    """Imports batch after batch; a batch that failed is imported again, as an officer would."""

    def __init__(self, office, number, seed):
        super().__init__(daemon=True)
        self.office, self.number, self.rng = office, number, random.Random(f"{seed} {number}")
        self.acknowledged = {}  # case code -> ids of events
        self.cases, self.events, self.batches, self.retries = 0, 0, 0, 0
        self.stopping, self.wrong = threading.Event(), None
        self.lock = threading.Lock()

    def event(self, kind, case, **fields):
        self.events += 1
        return {"type": kind, "event_id": f"01900000-{self.number:04x}-7000-8000-{self.events:012x}",
                "case_ref": f"{self.number:016x}{case:016x}", "occurred_on": "2026-01-01",
                "precision": "D"} | fields

    def code(self, case):
        return f"ZZ-{self.number}-{case}"

    def batch(self):
        """(case, events): of a new case, or more of a recent one."""
        if self.cases == 0 or self.rng.random() < 0.2:
            self.cases += 1
            return self.cases, [self.event("CASE_OPENED", self.cases, case_code=self.code(self.cases))]
        case = self.rng.randint(max(1, self.cases - 3), self.cases)
        return case, [self.event("VICTIM_VIEW", case, subject="SERVICES", view="filler " * self.rng.randint(1, 90))
                      for _ in range(self.rng.choice((1, 1, 2, 4, 30)))]

    def import_once(self, events):
        text = "".join(json.dumps(e) + "\n" for e in events)
        return self.office.sauti("case", "import", "-", stdin=text, check=False)

    def run(self):
        try:
            while not self.stopping.is_set():
                case, events = self.batch()
                for _ in range(BATCH_TRIES):
                    done = self.import_once(events)
                    if done.returncode == 0 or self.stopping.is_set():
                        break
                    self.retries += 1
                    time.sleep(0.02)
                if done.returncode == 0:
                    with self.lock:
                        self.acknowledged.setdefault(self.code(case), set()).update(
                            e["event_id"] for e in events)
                    self.batches += 1
                elif not self.stopping.is_set():
                    raise Failed(f"import failed {BATCH_TRIES} times: {done.stderr.strip()}")
        except (Failed, subprocess.TimeoutExpired) as e:
            self.wrong = str(e)

    def snapshot(self):
        """What is acknowledged by now: code -> ids, oldest case first."""
        with self.lock:
            return {code: set(ids) for code, ids in self.acknowledged.items()}


class Kills:
    """The network, the load and the killer. run() raises Failed when something is wrong."""

    def __init__(self, root, build, seed, loaders=2):
        self.rng = random.Random(seed)
        self.network = Network(root, build, "kills.example")
        self.hq = self.network.init()
        self.hq.configure(QUICK)
        self.hq.start()
        self.office = self.network.join("caf", "CAF", config=QUICK)
        self.office.start()
        self.loaders = [Loader(self.office, n, seed) for n in range(loaders)]
        self.kills = self.early = 0

    def kill(self, nodes):
        for node in nodes:
            node.kill()
            self.kills += 1

    def start(self, node):
        """Starts it; one time in five it is killed first, at any moment of its start or unlock."""
        while self.rng.random() < 0.2:
            node.start_only()
            # Two thirds of these fall before it answers, the rest while the loaders are at it.
            time.sleep(self.rng.random() * 0.15)
            if self.rng.random() < 0.5:
                unlock = threading.Thread(target=node.sauti, kwargs={"check": False}, args=(
                    "unlock", "--passphrase-file", self.network.passphrase))
                unlock.start()
                time.sleep(self.rng.random() * 0.4)
                self.kill([node])
                unlock.join()
            else:
                self.kill([node])
            self.early += 1
        node.start()

    def check_logs(self, node):
        bad = [log for log in node.json("log", "verify") if not log["ok"]]
        if bad:
            raise Failed(f"{node.name}: log verify: {bad}")
        alarms = node.json("status")["alarms"]
        if alarms:
            raise Failed(f"{node.name}: alarms: {alarms}")

    def check_events(self, acknowledged, newest=None):
        """Every acknowledged event is shown, of all cases or of the newest ones."""
        listed = {c["code"] for c in self.office.json("case", "list")}
        lost = [code for code in acknowledged if code not in listed]
        if lost:
            raise Failed(f"acknowledged cases that are not there: {lost[:5]}")
        for code in list(acknowledged)[-newest if newest else 0:]:
            shown = {e["event_id"] for e in self.office.json("case", "show", code)["events"]}
            if not acknowledged[code] <= shown:
                raise Failed(f"case {code}: acknowledged events that are not there: "
                             f"{sorted(acknowledged[code] - shown)[:5]}")

    def round(self):
        before = sum(loader.batches for loader in self.loaders)
        wait_for("an import to be acknowledged", lambda: any(loader.wrong for loader in self.loaders) or
                 sum(loader.batches for loader in self.loaders) > before, 60)
        time.sleep(self.rng.random() * self.rng.choice((0.02, 0.1, 0.4)))
        nodes = self.rng.choice(([self.office], [self.office], [self.office], [self.hq],
                                 [self.hq, self.office]))
        acknowledged = [loader.snapshot() for loader in self.loaders]
        self.kill(nodes)
        for node in nodes:
            self.start(node)
            self.check_logs(node)
        for each in acknowledged:
            self.check_events(each, newest=4)
        for loader in self.loaders:
            if loader.wrong:
                raise Failed(loader.wrong)

    def run(self, kills, tell=lambda text: None):
        """Kills until there were that many, then lets it settle and looks at everything."""
        began, rounds = time.monotonic(), 0
        try:
            for loader in self.loaders:
                loader.start()
            while self.kills < kills:
                self.round()
                rounds += 1
                if rounds % 20 == 0:
                    tell(self.summary(began))
        finally:
            for loader in self.loaders:
                loader.stopping.set()
            for loader in self.loaders:
                loader.join(60)
        self.network.settle()
        for node in self.network.nodes.values():
            self.check_logs(node)
        for loader in self.loaders:
            self.check_events(loader.snapshot())
        tell(self.summary(began) + "; settled, everything acknowledged is there")

    def summary(self, began):
        events = sum(len(ids) for loader in self.loaders for ids in loader.snapshot().values())
        return (f"{self.kills} kills ({self.early} of a node that was starting), {events} events "
                f"acknowledged in {sum(loader.batches for loader in self.loaders)} imports, "
                f"{sum(loader.retries for loader in self.loaders)} tries again, log of "
                f"{self.office.own()['size']}, {time.monotonic() - began:.0f} s")

    def close(self):
        """Ends what runs, whatever happened."""
        for node in self.network.nodes.values():
            if node.process is not None:
                node.kill()
