#!/usr/bin/env python3
"""Every k-th call of a class fails in a real sautid: its first start, unlock, recording, a bundle, stop.

    daemon_faults.py BUILD [--class C] [--error E] [--once | --forever] [--from K] [--to K]
                     [--step N] [--sample N] [--verbose]

A first run counts the calls. Then, for each k, the node is put back to what `sauti init` left and
run with the k-th call failing; then once more without faults. Held against every run: the daemon
ends by itself or when asked, in time, with an exit code of its own and a line that says why; so do
the commands; whatever was acknowledged is there at the next start, the log verifies and is written
on; a bundle is whole or not there. --sample N takes N of the k's, spread evenly; --step every N-th. A k that fails prints the line
that replays it.
"""

import argparse
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "tests" / "lib"))
from faults import SHORT, Faults  # noqa: E402
from network import Network  # noqa: E402

ERRORS = {"EIO": errno.EIO, "ENOSPC": errno.ENOSPC, "EROFS": errno.EROFS, "ENOMEM": errno.ENOMEM,
          "EACCES": errno.EACCES, "EMFILE": errno.EMFILE, "short": SHORT}
PLANS = [("write", "EIO"), ("write", "ENOSPC"), ("write", "short"), ("sync", "EIO"),
         ("sync", "short"), ("mmap", "ENOMEM"), ("rename", "EIO"), ("open", "EACCES"),
         ("open", "EMFILE"), ("truncate", "ENOSPC"), ("malloc", "ENOMEM"), ("malloc-up", "ENOMEM")]
LATE = "-up"  # counted from when the daemon is up: unlocking, recording, stopping
DEADLINE_S = 120
RECORDS = 3
SLACK = 3  # threads decide about a few calls


class Wrong(Exception):
    """What must not happen."""


class Scenario:
    def __init__(self, root, build, verbose):
        self.root, self.build, self.verbose = Path(root), Path(build), verbose
        self.network = Network(self.root, build, "test.example")
        self.node = self.network.init()
        self.faults = Faults(self.root / "faults", build)
        self.fresh = self.root / "fresh"
        shutil.copytree(self.node.dir, self.fresh)
        self.acknowledged = []
        self.bundle, self.bundled = Path(f"{self.node.dir}.bundle"), False
        self.process = None

    # The daemon.

    def start(self, faulty):
        self.log = self.root / "log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [self.build / "sautid", "--dir", self.node.dir], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, **(self.faults.env if faulty else {})})

    def end(self, ask=True):
        """Its exit status, once it has ended."""
        if ask and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            raise Wrong(f"sautid hangs; its last line: {self.last_line()}") from None

    def last_line(self):
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def command(self, *args, stdin=None):
        """A command; it ends in time, and says why when it fails."""
        try:
            done = subprocess.run([self.build / "sauti", "--dir", self.node.dir, "--json", *args],
                                  input=stdin, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        except subprocess.TimeoutExpired:
            raise Wrong(f"sauti {' '.join(map(str, args))} hangs") from None
        if done.returncode not in range(6):
            raise Wrong(f"sauti {args}: exit status {done.returncode}")
        if done.returncode != 0 and not done.stderr.strip():
            raise Wrong(f"sauti {args}: exit status {done.returncode}, and nothing said")
        if self.verbose and done.returncode != 0:
            print("  ", *args[:2], done.stderr.strip())
        return done

    def answers(self):
        end = time.monotonic() + DEADLINE_S
        while self.process.poll() is None:
            if self.command("status").returncode == 0:
                return True
            if time.monotonic() > end:
                raise Wrong("sautid runs and does not answer")
            time.sleep(0.02)
        return False

    def unlock(self):
        return self.command("unlock", "--passphrase-file", self.network.passphrase)

    def record(self, number):
        line = {"type": "CASE_OPENED", "event_id": f"01900000-0000-7000-8000-{number:012x}",
                "case_ref": f"{number:032x}", "case_code": f"ZZ-T-{number}", "office": "XXA",
                "occurred_on": "2026-01-01", "precision": "D"}
        return self.command("case", "import", "-", stdin=json.dumps(line) + "\n")

    # The runs.

    def work(self, late):
        """The scenario. Whatever fails is tried once more, as people do. late() when it is up."""
        self.start(True)
        if not self.answers():
            return
        late()
        if self.unlock().returncode != 0:
            self.unlock()
        for number in range(1, RECORDS + 1):
            if self.record(number).returncode == 0 or self.record(number).returncode == 0:
                self.acknowledged.append(number)
        self.bundled = any(self.command("bundle", "export", "--to", self.bundle).returncode == 0 for _ in range(2))

    def judge_bundle(self):
        """Whole, and only if so under its name."""
        if self.bundled and not self.bundle.exists():
            raise Wrong("the bundle that was made is not there")
        if self.bundle.exists() and self.command("bundle", "inspect", self.bundle).returncode != 0:
            raise Wrong("half a bundle has the name of a whole one")

    def judge_end(self, status):
        """An exit code of its own, and a line that says why."""
        said = self.last_line()
        if status == -signal.SIGABRT and "OpenSSL internal error" in said:
            return  # its secure heap, before anything is open, has no other way to say no memory
        if status < 0:
            raise Wrong(f"sautid was killed by signal {-status}: {said}")
        if status not in (0, 1, 4, 5):
            raise Wrong(f"sautid: exit status {status}: {said}")
        if status != 0 and not said:
            raise Wrong(f"sautid: exit status {status}, and nothing said")
        if self.verbose:
            print("   sautid:", status, said)

    def after(self):
        """Without faults: nothing acknowledged is lost, and it can be worked on."""
        self.start(False)
        if not self.answers():
            raise Wrong(f"it does not start any more: {self.last_line()}")
        guard = json.loads(self.command("status").stdout)["guard"]
        if guard["verdict"] not in ("new", "same"):
            raise Wrong(f"guard: {guard}")
        for done in (self.unlock(), self.command("case", "list")):
            if done.returncode != 0:
                raise Wrong(f"afterwards: {done.stderr.strip()}")
        codes = {case["code"] for case in json.loads(done.stdout)}
        lost = [n for n in self.acknowledged if f"ZZ-T-{n}" not in codes]
        if lost:
            raise Wrong(f"lost: {lost}")
        for number in (*range(1, RECORDS + 1), 100):
            done = self.record(number)
            if done.returncode != 0:
                raise Wrong(f"afterwards: {done.stderr.strip()}")
        results = json.loads(self.command("log", "verify").stdout)
        if not results or not all(result["ok"] for result in results):
            raise Wrong(f"the log does not verify: {results}")
        self.bundle.unlink(missing_ok=True)
        if self.command("bundle", "export", "--to", self.bundle).returncode != 0:
            raise Wrong("afterwards no bundle can be made")
        if list(self.root.glob("*.partial-*")):
            raise Wrong("afterwards something is left of a bundle")
        status = self.end()
        if status != 0:
            raise Wrong(f"afterwards it ends with {status}")

    def run(self, kind, error, forever, k):
        """One k. The calls counted and failed."""
        shutil.rmtree(self.node.dir)
        shutil.rmtree(f"{self.node.dir}.guard", ignore_errors=True)
        shutil.copytree(self.fresh, self.node.dir)
        self.acknowledged, self.bundled = [], False
        for left in self.root.glob(f"{self.bundle.name}*"):
            left.unlink()
        arm = lambda: self.faults.arm(kind.removesuffix(LATE), self.node.dir, ERRORS[error], k, forever,
                                      beside=True)
        late = kind.endswith(LATE)
        self.faults.disarm()
        if not late:
            arm()
        try:
            self.work(arm if late else lambda: None)
            self.judge_end(self.end())
            counts = self.faults.count, self.faults.failed
            self.faults.disarm()
            self.judge_bundle()
            if k == 0 and (len(self.acknowledged) != RECORDS or not self.bundled):
                raise Wrong(f"without faults: {self.last_line()}")
            self.after()
            return counts
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()


def chosen(count, args):
    """The k's of a plan."""
    ks = list(range(args.from_k, min(args.to_k or count + SLACK, count + SLACK) + 1, args.step))
    if args.sample and len(ks) > args.sample:
        ks = [ks[(2 * i + 1) * len(ks) // (2 * args.sample)] for i in range(args.sample)]
    return ks


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=Path)
    parser.add_argument("--class", dest="kind")
    parser.add_argument("--error", choices=ERRORS)
    parser.add_argument("--once", dest="forever", action="store_false", default=None)
    parser.add_argument("--forever", dest="forever", action="store_true", default=None)
    parser.add_argument("--from", dest="from_k", type=int, default=1)
    parser.add_argument("--to", dest="to_k", type=int, default=0)
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    # In memory where there is room for it: what counts is the calls, not the disk.
    memory = "TMPDIR" not in os.environ and os.access("/dev/shm", os.W_OK)
    root = Path(tempfile.mkdtemp(prefix="sauti-faults.", dir="/dev/shm" if memory else None))
    bad, counts = 0, {}
    try:
        scenario = Scenario(root, args.build.resolve(), args.verbose)
        for kind, error in PLANS:
            for forever in (False, True):
                if args.kind not in (None, kind) or args.error not in (None, error) or \
                        args.forever not in (None, forever):
                    continue
                if kind not in counts:
                    counts[kind] = scenario.run(kind, error, forever, 0)[0]
                failed, ks, begun = 0, chosen(counts[kind], args), time.monotonic()
                for k in ks:
                    try:
                        scenario.run(kind, error, forever, k)
                    except Wrong as e:
                        failed += 1
                        print(f"{e}\nreplay: tests/faults/daemon_faults.py BUILD --class {kind} --error {error} "
                              f"{'--forever' if forever else '--once'} --from {k} --to {k} --verbose", flush=True)
                print(f"{kind:9} {error:7} {'for ever' if forever else 'once':8} {counts[kind]:6} calls, "
                      f"{len(ks)} tried, {failed} failed, {time.monotonic() - begun:.0f} s", flush=True)
                bad += failed
    finally:
        shutil.rmtree(root)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
