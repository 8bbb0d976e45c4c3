"""The suite `link` of bench/run: two real nodes with an emulated link between them, and many peers.

bench/README.md says how each figure is taken.
"""

import json
import os
import re
import shutil
import statistics
import subprocess
import time
from pathlib import Path

from link import Link
from network import Failed, Network, free_port, wait_for
from peers import Crowd, Peer, frame

# Key -> (target, what it is). The order is that of the report.
LINK = {
    "link_time_ratio": ("<= 1.15", "1,000 entries of 512 bytes over 512 kbit/s, 600 ms there and back, "
                                   "stalls: time against a bare TLS copy over the same link"),
    "cut_wire_ratio": ("<= 1.15", "the same over 64 kbit/s with a cut every 20 s: bytes on the wire "
                                  "without one batch for each cut, for each entry byte"),
    "cuts": (None, "how often the link was cut on the way"),
    "urgent_batches": ("<= 2", "an append while another log catches up over 64 kbit/s, the same way: "
                               "until the peer holds it, in times of one batch"),
    "idle_peers_mib": ("<= 64", "anonymous memory of a node with idle peers"),
    "idle_peers_cpu": ("<= 0.01", "its share of one core"),
    "live_event_bytes": (None, "bytes on the wire, both ways, for each live event of one entry"),
    "idle_day_bytes": ("<= 50,000", "bytes on the wire, both ways, of an idle metered link in a day"),
}
PARTS = ["time", "cuts", "urgent", "idle", "bytes"]
ENTRY_BYTES = 512
ROUND_MS = 600
# A metered link's day in 48 minutes: its times, which are of seconds then, divided by 30.
DAY_SCALE = 30
DAY = f"\n[bandwidth]\nmetered = yes\n\n[replication]\nmetered_ping = {270 // DAY_SCALE}s\nmetered_close = {570 // DAY_SCALE}s\n"
CONTACT = ("contact", "--channel", "phone", "--direction", "out", "--result", "reached")
QUICK = "\n[replication]\nhave_delay = 100ms\ndial_retry_min = 200ms\ndial_retry_max = 1s\n"


class Sizes:
    """How much is measured."""

    def __init__(self, smoke):
        self.entries = 200 if smoke else 1000
        self.rounds = 1 if smoke else 3
        self.cut_entries = 60 if smoke else 1000
        self.cut_every_s = 10 if smoke else 20
        self.bulk_entries = 600 if smoke else 3000
        self.appends = 2 if smoke else 7
        self.peers = 5 if smoke else 200
        self.idle_s = 3 if smoke else 90
        self.events = 3 if smoke else 20
        self.day_s = 20 if smoke else 180


def anonymous(pid):
    """Bytes of anonymous memory of a process."""
    found = re.search(r"RssAnon:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))
    return int(found[1]) * 1024


def cpu_s(pid):
    """Seconds of processor time of a process."""
    words = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def redirect(node, peer, port):
    """From now on the node dials this peer at that port of loopback, and nobody else."""
    conf = node.dir / "sauti.conf"
    text = re.sub(r"(?ms)^\[peer [^\[]*", "", conf.read_text(encoding="utf-8"))
    conf.write_text(f"{text}\n[peer {peer}]\naddress = 127.0.0.1:{port}\n", encoding="utf-8")


def forget(node):
    """Its store and guard are gone: it begins with nothing."""
    for old in (node.dir / "store", Path(f"{node.dir}.guard")):
        shutil.rmtree(old, ignore_errors=True)


class LinkSuite:
    """One run. suite: what bench/run hands on (program, say, figures ..)."""

    def __init__(self, suite):
        self.suite, self.root, self.build = suite, suite.root, suite.build
        self.sizes = Sizes(suite.args.smoke)
        self.figures, self.absolute = suite.figures, suite.absolute
        self.links = []

    def make_link(self, seed, **both):
        link = Link(self.build, seed=seed, **both)
        self.links.append(link)
        return link

    def close(self):
        for link in self.links:
            link.close()

    # Two nodes, one link.

    def two_nodes(self, name, entries):
        """Headquarters with a full log, locked and serving, and an office that dials through a port."""
        network = self.suite.make_network(name)
        hq = network.init()
        hq.start()
        office = network.join("haiti", "HTI")
        hq.stop()
        filled = self.suite.program("fill", hq.dir, network.passphrase, entries, ENTRY_BYTES)
        port = free_port()
        redirect(office, hq.name, port)
        hq.start(unlock=False)
        return hq, office, port, filled

    def time(self):
        sizes = self.sizes
        self.suite.say(f"{sizes.entries:,} entries over 512 kbit/s, {sizes.rounds} times")
        hq, office, port, filled = self.two_nodes("time", sizes.entries)
        subject, base = [], []
        for seed in range(1, sizes.rounds + 1):
            listen = free_port()
            with self.make_link(seed, delay=ROUND_MS // 2, rate=512) as link:
                call = link.forward(listen)
                link.set("both", stall=(4000, 400))
                base.append(self.suite.program("bare", "through", self.suite.directory(f"bare{seed}"),
                                               filled["entries"], ENTRY_BYTES, listen, call)["seconds"])
            forget(office)
            with self.make_link(seed, delay=ROUND_MS // 2, rate=512) as link:
                link.forward(hq.port, listen=port)
                watch = self.suite.launch("watch", port, office.dir / "run" / "control.sock",
                                          filled["origin"], filled["entries"])
                link.set("both", stall=(4000, 400))
                office.start_only()
                subject.append(json.loads(self.suite.finish("watch", watch))["seconds"])
                office.stop()
        hq.stop()
        pairs = [s / b for s, b in zip(subject, base)]
        self.figures["link_time_ratio"] = statistics.median(pairs)
        self.absolute.update({"link_time_s": statistics.median(subject), "link_time_bare_s": statistics.median(base),
                              "link_time_worst_ratio": max(pairs)})

    def follow(self, node, origin, size, seconds):
        """Polls the log until it has that size; how much it grew by each time. It never shrinks."""
        end, held, steps = time.monotonic() + seconds, 0, []
        while held < size:
            now = node.logs().get(origin, {"size": 0})["size"]
            if now < held:
                raise Failed(f"{node.name} held {held} of '{origin}' and holds {now}")
            if now > held:
                steps.append(now - held)
                held = now
            if time.monotonic() > end:
                return held, steps
            time.sleep(0.05)
        return held, steps

    def cuts(self):
        sizes = self.sizes
        self.suite.say(f"{sizes.cut_entries:,} entries over 64 kbit/s, cut every {sizes.cut_every_s} s")
        hq, office, port, filled = self.two_nodes("cuts", sizes.cut_entries)
        size, limit = filled["entries"], filled["entries"] * ENTRY_BYTES * 8 / 64_000 * 5 + 60
        with self.make_link(1, delay=ROUND_MS // 2, rate=64) as link:
            link.forward(hq.port, listen=port)
            link.every(sizes.cut_every_s)
            office.start_only()
            wait_for("the office's control socket", (office.dir / "run" / "control.sock").exists)
            start = time.monotonic()
            held, steps = self.follow(office, filled["origin"], size, limit)
            count, took = link.count(), time.monotonic() - start
        office.stop()
        hq.stop()
        cuts = count["accepted"] - 1
        self.figures["cuts"] = cuts
        wire = count["up"]["in"] + count["down"]["in"]
        batch = statistics.median(steps) * ENTRY_BYTES if steps else 0
        self.absolute.update({"cut_wire_bytes": wire, "cut_batch_bytes": batch, "cut_lost_bytes":
                              count["up"]["lost"] + count["down"]["lost"], "cut_time_s": took, "cut_held": held})
        if held < size:
            self.suite.leave_out("cut_wire_ratio", f"only {held} of {size} entries came in {took:.0f} s")
        else:
            self.figures["cut_wire_ratio"] = (wire - cuts * batch) / filled["entry_bytes"]

    def urgent(self):
        """caf's officer records while caf hands cod's log on to headquarters."""
        sizes = self.sizes
        self.suite.say(f"appends while {sizes.bulk_entries:,} entries go the same way over 64 kbit/s")
        network = self.suite.make_network("urgent")
        hq = network.init()
        hq.start()
        caf, cod = (network.join(name, country, config=QUICK) for name, country in (("caf", "CAF"), ("cod", "COD")))
        caf.start()
        wait_for("caf to know cod", lambda: caf.json("status")["directory_size"] == hq.json("status")["directory_size"])
        caf.stop()
        filled = self.suite.program("fill", cod.dir, network.passphrase, sizes.bulk_entries, ENTRY_BYTES)
        port = free_port()
        redirect(caf, hq.name, port)
        redirect(cod, caf.name, caf.port)
        caf.start()
        cod.start(unlock=False)
        case = caf.json("case", "open")["code"]
        wait_for("caf to hold cod's log",
                 lambda: caf.logs().get(filled["origin"], {"size": 0})["size"] == filled["entries"])
        cod.stop()
        with self.make_link(1, delay=ROUND_MS // 2, rate=64) as link:
            link.forward(hq.port, listen=port)
            wait_for("the catch-up to begin",
                     lambda: hq.logs().get(filled["origin"], {"size": 0})["size"] > 0, 120)
            times, steps = [], []
            for _ in range(sizes.appends):
                start = time.monotonic()
                caf.sauti("case", "add", case, *CONTACT)
                own, held = caf.own(), 0
                while held < own["size"]:
                    held = hq.logs().get(own["origin"], {"checkpoint_size": 0})["checkpoint_size"]
                    if time.monotonic() > start + 240:
                        raise Failed("an append did not arrive in 240 s")
                    time.sleep(0.02)
                times.append(time.monotonic() - start)
                held = hq.logs()[filled["origin"]]["size"]
                _, more = self.follow(hq, filled["origin"], min(held + 1, filled["entries"]), 60)
                steps += more[1:]
                if held == filled["entries"]:
                    break
            held = hq.logs()[filled["origin"]]["size"]
            _, more = self.follow(hq, filled["origin"], filled["entries"], 30)
            steps += more[1:]
        network.stop()
        if not steps or len(times) < 2:
            self.suite.leave_out("urgent_batches", "the catch-up was over too soon")
            return
        batch_s = statistics.median(steps) * ENTRY_BYTES * 8 / 64_000
        self.figures["urgent_batches"] = statistics.median(times) / batch_s
        self.absolute.update({"urgent_s": statistics.median(times), "urgent_max_s": max(times),
                              "urgent_batch_s": batch_s, "urgent_appends": len(times)})

    # Many peers.

    def idle(self):
        sizes = self.sizes
        self.suite.say(f"{sizes.peers} idle peers of one node, for {sizes.idle_s} s")
        network = self.suite.make_network("idle")
        hq = network.init()
        hq.start()
        hq.stop()
        members = self.suite.program("members", hq.dir, network.passphrase, sizes.peers,
                                     self.suite.directory("members"))
        hq.start(unlock=False)
        crowd, alone = Crowd(), anonymous(hq.process.pid)
        try:
            for member in members:
                crowd.add(Peer(hq.port, network.name, member["name"], self.root / "members" / f"{member['name']}.pem",
                               member))
            wait_for("headquarters to hold every peer's log",
                     lambda: len(hq.logs()) >= sizes.peers and all(log["size"] for log in hq.logs().values()), 120)
            # A frame of a later protocol, as large as a batch: what a busy hour leaves behind.
            for peer in crowd.peers:
                peer.say(frame(99, bytes(250_000)))
            # Announcements of the last growth; and buffers are given back once a minute.
            time.sleep(min(70, sizes.idle_s))
            before, start = cpu_s(hq.process.pid), time.monotonic()
            peak = 0
            while time.monotonic() < start + sizes.idle_s:
                peak = max(peak, anonymous(hq.process.pid))
                time.sleep(0.5)
            share = (cpu_s(hq.process.pid) - before) / (time.monotonic() - start)
            if crowd.alive < sizes.peers:
                raise Failed(f"{sizes.peers - crowd.alive} of {sizes.peers} sessions ended: {hq.log[-300:]}")
        finally:
            crowd.close()
        hq.stop()
        self.figures["idle_peers_mib"] = peak / 1024 ** 2
        self.figures["idle_peers_cpu"] = share
        self.absolute.update({"idle_peers": sizes.peers, "idle_peers_alone_mib": alone / 1024 ** 2,
                              "idle_peers_kib_each": (peak - alone) / 1024 / sizes.peers})

    # Bytes.

    def bytes(self):
        sizes = self.sizes
        self.suite.say(f"{sizes.events} live events, then nothing for {sizes.day_s} s")
        network = self.suite.make_network("bytes")
        hq = network.init()
        hq.configure(DAY)
        hq.start()
        office = network.join("haiti", "HTI", config="\n[bandwidth]\nmetered = yes\n")
        port = free_port()
        redirect(office, hq.name, port)
        with self.make_link(1) as link:
            link.forward(hq.port, listen=port)
            office.start()
            case = office.json("case", "open")["code"]
            network.settle()
            total = lambda: sum(link.count()[d]["out"] for d in ("up", "down"))
            before = total()
            for _ in range(sizes.events):
                office.sauti("case", "add", case, *CONTACT)
                network.settle()
            time.sleep(2)  # the announcement of the last
            self.figures["live_event_bytes"] = (total() - before) / sizes.events
            before, start = total(), time.monotonic()
            time.sleep(sizes.day_s)
            self.figures["idle_day_bytes"] = (total() - before) / (time.monotonic() - start) * 86_400 / DAY_SCALE
            if link.count()["accepted"] != 1:
                raise Failed("the session of the idle link ended")
        network.stop()

    def run(self):
        try:
            for part in self.suite.args.only:
                getattr(self, part)()
        finally:
            self.close()
