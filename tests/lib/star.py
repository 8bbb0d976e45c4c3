"""Ten real nodes in a star: every office reaches headquarters alone, and gets everything through it."""

import json
import random
import threading
import time

from network import Failed, Network

TIMING = "\n[replication]\nhave_delay = 200ms\ndial_retry_min = 200ms\ncosignature_delay = 1s\n"


class Star:
    """Headquarters and `offices` offices that each record `entries` entries before they meet."""

    def __init__(self, root, build, offices=9, seed=1):
        self.rng = random.Random(seed)
        self.network = Network(root, build, "star.example")
        self.hq = self.network.init()
        self.hq.configure(TIMING)
        self.hq.start()
        self.offices = [self.network.join(f"office-{n}", "HTI", config=TIMING) for n in range(offices)]
        self.hq.stop()

    def record(self, node, number, entries):
        """That many entries; in imports of 1,000 events."""
        done = 0
        while done < entries:
            lines = []
            for _ in range(min(1000, entries - done)):
                kind = ({"type": "CASE_OPENED", "case_code": f"ZZ-{number}-1"} if done == 0 else
                        {"type": "VICTIM_VIEW", "subject": "SERVICES",
                         "view": self.rng.randbytes(60).hex()})
                lines.append(json.dumps({"event_id": f"01900000-{number:04x}-7000-8000-{done:012x}",
                                         "case_ref": f"{number + 1:032x}", "occurred_on": "2026-01-01",
                                         "precision": "D", "office": "HTI"} | kind))
                done += 1
            node.sauti("case", "import", "-", stdin="\n".join(lines) + "\n")

    def fill(self, entries):
        """Every office records alone, all at the same time: headquarters does not run."""
        wrong = []

        def one(node, number):
            try:
                node.start()
                self.record(node, number, entries)
            except Failed as e:
                wrong.append(str(e))

        threads = [threading.Thread(target=one, args=(node, n)) for n, node in enumerate(self.offices, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if wrong:
            raise Failed(wrong[0])

    def meet(self, entries, seconds):
        """Headquarters comes up; until every node holds every log, and has cosigned it."""
        began = time.monotonic()
        self.hq.start()
        self.record(self.hq, 0, entries)
        end = began + seconds
        while True:
            missing = self.network.behind()
            if not missing:
                return time.monotonic() - began
            if time.monotonic() > end:
                raise Failed(f"not settled in {seconds} s: " + "; ".join(missing[:4]))
            time.sleep(0.5)

    def rss(self):
        """Anonymous memory of each daemon, in MiB."""
        sizes = []
        for node in self.network.nodes.values():
            with open(f"/proc/{node.process.pid}/status", encoding="ascii") as f:
                sizes.append(next(int(line.split()[1]) for line in f if line.startswith("RssAnon")) / 1024)
        return sizes

    def close(self):
        for node in self.network.nodes.values():
            if node.process is not None:
                node.kill()
