"""The suite `audit` of bench/run: what it costs to look at logs from outside.

bench/README.md says how each figure is taken.
"""

import os
import statistics
import subprocess
import threading
import time
from pathlib import Path

# Key -> (target, what it is). The order is that of the report.
AUDIT = {
    "audit_ratio": (">= 0.6", "`sauti audit log` of 1,000,000 entries of 600 bytes as a process, all of it, "
                              "against bare SHA-256 leaf hashing of the same bytes in one thread"),
    "audit_jobs2_ratio": (None, "the same with --jobs 2, against the same baseline"),
    "audit_peak_mib": ("<= 64", "resident memory of that process at its largest, libraries and all; the "
                                "larger of 100,000 and 1,000,000 entries, one thread and two"),
    "incremental_ratio": ("0.8 .. 1.25", "1,000 new entries with remembered state: processor time after 10^6 "
                                         "entries divided by that after 10^4"),
}
PARTS = ["full", "incremental"]
KIB = 1024


class Peak(threading.Thread):
    """Resident memory of a process at its largest, looked at until it ends: what the kernel keeps of one
    that has ended begins with what its parent had."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.status, self.mib = Path(f"/proc/{pid}/status"), 0.0
        self.start()

    def run(self):
        while True:
            try:
                lines = self.status.read_text(encoding="utf-8").splitlines()
            except OSError:
                return
            found = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
            if not found:
                return
            if any(line.split() == ["Name:", "sauti"] for line in lines):
                self.mib = max(self.mib, int(found[0]) / KIB)
            time.sleep(0.002)


class Sizes:
    """How much is measured."""

    def __init__(self, smoke):
        self.entry = 600
        self.small = 2_000 if smoke else 100_000
        self.large = 5_000 if smoke else 1_000_000
        self.before = (1_000, 5_000) if smoke else (10_000, 1_000_000)
        self.more = 1_000
        self.rounds = 1 if smoke else 7


class AuditSuite:
    """Runs the parts for bench/run's Suite, which keeps the figures."""

    def __init__(self, suite):
        self.suite, self.sizes = suite, Sizes(suite.args.smoke)

    def archive(self, name, count, *more):
        path = self.suite.root / name
        return path, self.suite.program("archive", path, count, self.sizes.entry, *more)

    def audit(self, path, made, *args):
        """Runs the command; seconds, seconds of processor, peak in MiB."""
        start = time.monotonic()
        process = subprocess.Popen(
            [self.suite.build / "sauti", "--json", "audit", "log", path, "--directory",
             made["directory"], *map(str, args)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            text=True)
        peak = Peak(process.pid)
        out = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stdout.close()
        peak.join()
        if process.returncode != 0:
            raise RuntimeError(f"the audit ended with {process.returncode}: {out[-500:]}")
        return (time.monotonic() - start, usage.ru_utime + usage.ru_stime, peak.mib)

    def full(self):
        suite, sizes = self.suite, self.sizes
        suite.say(f"an archive of {sizes.large:,} entries, and one of {sizes.small:,}")
        large, made = self.archive("large", sizes.large)
        small, made_small = self.archive("small", sizes.small)
        suite.say("auditing: bare hashing, one thread and two in turns")
        bare, one, two, peaks, cpu = [], [], [], [], []
        for _ in range(sizes.rounds):
            bare.append(suite.program("leaves", large / made["log"], sizes.large)["hash_per_s"])
            for jobs, rates in ((1, one), (2, two)):
                seconds, spent, peak = self.audit(large, made, "--jobs", jobs)
                rates.append(sizes.large / seconds)
                peaks.append(peak)
                cpu.append(spent)
        peaks_small = [self.audit(small, made_small, "--jobs", jobs)[2] for jobs in (1, 2)]
        suite.put_ratio("audit_ratio", one, bare)
        suite.put_ratio("audit_jobs2_ratio", two, bare)
        suite.figures["audit_peak_mib"] = max(peaks + peaks_small)
        suite.absolute.update({
            "audit_per_s": statistics.median(one), "audit_jobs2_per_s": statistics.median(two),
            "leaf_hash_per_s": statistics.median(bare), "audit_peak_large_mib": max(peaks),
            "audit_peak_small_mib": max(peaks_small),
            "audit_cpu_us": statistics.median(cpu) / sizes.large * 1e6})

    def incremental(self):
        """Each visit begins from the same remembered state, which is put back."""
        suite, sizes, spent = self.suite, self.sizes, []
        for before in sizes.before:
            suite.say(f"{sizes.more:,} new entries after {before:,}")
            name = f"grown-{before}"
            path, made = self.archive(name, before)
            state, kept = suite.root / f"{name}.state", suite.root / f"{name}.kept"
            self.audit(path, made, "--state", state)
            kept.write_bytes(state.read_bytes())
            self.archive(name, before + sizes.more, before)
            cpu = []
            for _ in range(3 * sizes.rounds):
                state.write_bytes(kept.read_bytes())
                cpu.append(self.audit(path, made, "--state", state, "--incremental")[1])
            spent.append(statistics.median(cpu))
        suite.figures["incremental_ratio"] = spent[1] / spent[0]
        suite.absolute.update({"incremental_small_cpu_ms": spent[0] * 1e3,
                               "incremental_large_cpu_ms": spent[1] * 1e3})

    def run(self):
        for name, part in (("full", self.full), ("incremental", self.incremental)):
            if name in self.suite.args.only:
                part()
