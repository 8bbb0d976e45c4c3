"""The demo behind scripts/demo: see its --help."""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(SOURCE / "tests" / "lib"))
from network import Failed, Network, wait_for  # noqa: E402  pylint: disable=wrong-import-position
from cases import lines  # noqa: E402  pylint: disable=wrong-import-position

SEED = 7
SHARED = "ZZ-SHARED"
SAID = "lorem ipsum marisolwenda"  # what the other office is to read; invented
LATER = "lorem ipsum quillfeather"  # .. and what it is not
OFFICES = {"caf": "CAF", "cod": "COD"}
MOVING = ("synced", "safe", "state")  # what other nodes have said so far
# A demo has no real case: it runs on machines whose swap is as it is.
SWAP = "\n[lock]\nunencrypted_swap = allow\n"


def say(text=""):
    """A line for whoever watches."""
    print(text, flush=True)


def start(root, build, compression="on"):
    """Headquarters and two offices, joined and unlocked."""
    network = Network(root, build)
    hq = network.init()
    hq.configure(SWAP + f"\n[seal]\ncompression = {compression}\n")
    hq.start()
    say(f"  hq      headquarters, 127.0.0.1:{hq.port}")
    for name, country in OFFICES.items():
        more = SWAP + f"\n[seal]\ncompression = {compression}\n"
        if name == "cod":  # the offices reach each other, too
            more += f"\n[peer caf]\naddress = 127.0.0.1:{network.nodes['caf'].port}\n"
        node = network.join(name, country, config=more)
        node.start()
        say(f"  {name}     office, 127.0.0.1:{node.port}, invited, joined, unlocked")
    say("  These nodes unlock even where swap is not encrypted ([lock] unencrypted_swap = allow in")
    say("  their sauti.conf), which real ones refuse; 'sauti status' shows that as a WARNING.")
    return network


def import_cases(network):
    """Synthetic cases into each office; the number of events per office."""
    split = network.root / "synthetic"
    subprocess.run([SOURCE / "scripts" / "synth", "--seed", str(SEED), "--size", "demo", "--office",
                    ",".join(OFFICES.values()), "--split", split], check=True)
    counts = {}
    for name, country in OFFICES.items():
        file = split / f"{country.lower()}.jsonl"
        network.nodes[name].sauti("case", "import", file)
        counts[name] = sum(1 for _ in open(file, encoding="utf-8"))
        say(f"  {name}     {counts[name]} events imported")
    shutil.rmtree(split)
    return counts


def share_case(network):
    """One case of caf, given to cod on a consent, once both have compared the other's words; C-2."""
    caf, cod = network.nodes["caf"], network.nodes["cod"]
    caf.confirm(cod)
    cod.confirm(caf)
    say(f"  caf     confirmed cod: {cod.json('status')['words']}")
    say(f"  cod     confirmed caf: {caf.json('status')['words']}")
    caf.sauti("case", "open", "--code", SHARED, "--intake-channel", "phone")
    until = ["--given-by", "victim", "--form", "written", "--valid-from", "today", "--valid-until", "+90d"]
    caf.sauti("case", "add", SHARED, "consent", "--purpose", "case-mgmt", *until)
    caf.sauti("case", "add", SHARED, "consent", "--purpose", "referral", "--recipients", "COD",
              "--groups", "contact,services", *until)
    say(caf.sauti("case", "share", SHARED, "--to", "cod", "--purpose", "referral").stdout.rstrip())
    record(caf, SAID)
    caf.sauti("case", "add", SHARED, "referral", "--service-code", "legal", "--to-office", "COD",
              "--reply-due-on", "+14d")
    wait_for(f"{SHARED} at cod", lambda: SAID in views(cod))
    wait_for("the referral at cod", lambda: cod.sauti("case", "answer", SHARED, "--accept",
                                                      check=False).returncode == 0)
    wait_for("cod's answer at caf", lambda: "REFERRAL_ANSWERED" in
             {e["type"] for e in events(caf)})
    say(f"  cod     reads {SHARED}, and has accepted the referral; caf has its answer")


def record(node, text):
    """What the victim says, in the shared case."""
    node.sauti("case", "add", SHARED, "--from", "-", stdin=lines(
        {"type": "VICTIM_VIEW", "subject": "SERVICES", "view": text}))


def events(node):
    """What a node can read of the shared case; nothing where it is not known."""
    done = node.sauti("--json", "case", "show", SHARED, check=False)
    if done.returncode != 0:
        return []
    docs = json.loads(done.stdout)
    return docs["events"] if isinstance(docs, dict) else docs[1:]


def views(node):
    """The victim's words of the shared case that a node reads."""
    return {e["view"] for e in events(node) if "view" in e}


def holdings(network):
    """Who holds what, with how many cosignatures."""
    rows = []
    for node in network.nodes.values():
        for origin, log in node.logs().items():
            short = origin.split("/", 1)[1]
            rows.append((node.name, "own" if log["own"] else "mirror", short, log["size"],
                         len([h for h in log["held_by"] if h["size"] == log["checkpoint_size"]])))
    width = max(len(row[2]) for row in rows)
    say(f"  {'node':<6} {'as':<7} {'log':<{width}} {'entries':>8}  cosigned by")
    for name, role, log, size, cosigned in rows:
        say(f"  {name:<6} {role:<7} {log:<{width}} {size:>8}  {cosigned}")


def first_case(node):
    """The code of some case with a good story."""
    cases = [c for c in node.json("case", "list") if c["code"]]
    return max(cases, key=lambda c: (min(c["events"], 14), c["code"]))["code"]


def try_next(network, code):
    """What to do by hand."""
    sauti, root = network.bin / "sauti", network.root
    say(f"""
The network is running. Try an officer's day in the office caf:

  export PATH={network.bin}:$PATH SAUTI_DIR={root}/caf
  sauti today                       # what wants doing
  sauti case list --sort due        # every case, with what is due next
  sauti case show {code}      # one case: where it stands, then its history
  sauti case open                   # a new case: three questions; it prints a CODE
  sauti case add CODE referral      # refused: the victim has not agreed to anything yet
  sauti case add CODE               # asks what happened; consent first, then the referral
  sauti case add CODE contact --channel phone --direction out --result reached
  sauti case correct CODE           # the old value stays, struck
  sauti case find --open-referrals --due-before +7d
  sauti case sheet {code} --next +7d      # what the victim takes home
  sauti case export {code} --format handover --purpose demo --to {root}/page.html
  sauti ledger list --views         # who looked at what, and what was exported
  sauti case import {SOURCE}/docs/examples/register.csv \\
        --map {SOURCE}/docs/examples/register.map --dry-run
  sauti officer add marie --roles officer && sauti unlock --officer marie
  sauti today                       # marie sees what is assigned to her: nothing yet
  sauti panic                       # locked at once; replicates on, reads nothing
  sauti unlock --officer caf --passphrase-file {network.passphrase}

What another office is given, and what is taken back ({SHARED} is shared with cod; the words were compared):

  sauti case shares {SHARED}     # who holds keys of it
  sauti --dir {root}/cod case show {SHARED}      # what cod reads; the rest is 'not shared'
  sauti case share {code} --to cod --purpose referral   # refused: it says what is missing
  sauti case withdraw {SHARED} --consent C-2      # cod deletes its keys, and confirms it
  sauti node confirm hq             # asks for the words that hq's own 'sauti status' shows
  sauti case break-glass {code} --to cod --groups health --reason drill
  sauti approvals list              # .. a second officer has 72 hours: 'approvals approve'
  sauti case prove {SHARED} --event C-1 --out {root}/c1.tlog-proof
  sauti log policy > {root}/policy && sauti audit proof {root}/c1.tlog-proof --policy {root}/policy
  sauti case erase {SHARED} --reason objection    # its keys are destroyed, at both offices
  sauti case erase --status
  sauti ledger list                 # all of this, in the order in which it happened

What an outsider can check, with files and one key:

  sauti --dir {root}/hq log export {root}/export
  KEY=$(sauti log policy | awk '/\\/directory\\// {{ print $2 }}')
  sauti audit log {root}/export --directory $KEY --state {root}/visits --html {root}/report.html
  sauti audit log node --directory $KEY         # .. of a running node
  sauti-web --listen 127.0.0.1:8480 --socket {root}/hq/run/public.sock &    # as another user than root
  sauti audit log http://127.0.0.1:8480 --directory $KEY --state {root}/visits --incremental
  curl -s http://127.0.0.1:8480/metrics | head
  sauti case receipt {code}         # six words for the victim; known to nobody else
  sauti case add {code} contact --channel phone --direction out --result reached --wait safe --timeout 30s

And what surrounds it:

  sauti status                                  # the node, its logs and peers, in words
  sauti --dir {root}/hq case show {code}  # headquarters holds it and cannot read it
  sauti --dir {root}/hq log list
  sauti --dir {root}/hq log verify              # re-hashes everything, checks every signature
  echo lorem | sauti mail send --to cod         # a notice that only cod reads
  sauti --dir {root}/cod mail list
  sauti --dir {root}/hq node policy --quorum 2  # held by the quorum: two mirrors from now on
  sauti bundle export --to {root}/stick --for cod    # what cod lacks, on a stick
  sauti bundle inspect {root}/stick

Its logs are {root}/*.log. To stop and remove it:

  scripts/demo --stop {root}
""")
    assert sauti.exists()


class Checks:
    """Prints each check, and remembers whether one failed."""

    def __init__(self):
        self.failed = 0

    def that(self, good, text, detail=""):
        """One check."""
        say(f"  {'ok ' if good else 'NOT'} {text}{': ' + detail if detail and not good else ''}")
        self.failed += not good


def check_logs(network, checks):
    """Every log verifies at every node."""
    for node in network.nodes.values():
        results = node.json("log", "verify")
        bad = [r for r in results if not r["ok"]]
        checks.that(not bad and len(results) >= 4, f"{node.name}: {len(results)} logs verify", str(bad))


def timelines(node):
    """Every case of a node, decrypted; without who holds it just now, which others say."""
    books = [node.json("case", "show", c["case_ref"]) for c in node.json("case", "list")]
    for part in (part for case in books for part in case["events"] + [case["newest"] or {}]):
        for name in MOVING:
            part.pop(name, None)
    return books


def check_foreign(network, checks, books):
    """Nobody can show a case of another office."""
    for author, cases in books.items():
        ref = next(c for c in cases if c["code"] != SHARED)["case_ref"]
        for node in network.nodes.values():
            if node.name == author:
                continue
            done = node.sauti("case", "show", ref, check=False)
            checks.that(done.returncode == 1 and not done.stdout,
                        f"{node.name} cannot show a case of {author}", f"exit {done.returncode}")


def words_of(value, found):
    """Every plaintext word of at least 8 letters in the values of a timeline."""
    if isinstance(value, dict):
        for v in value.values():
            words_of(v, found)
    elif isinstance(value, list):
        for v in value:
            words_of(v, found)
    elif isinstance(value, str):
        found.update(re.findall(r"[^\W\d_]{8,}", value))
    return found


def contained(data, words):
    """The words that stand in the bytes, as UTF-8, whatever stands around them."""
    return {w for w in words if w.encode() in data}


def check_plaintext(network, checks, books):
    """No file of any node contains a word of any case; the same search finds them all in an export."""
    words = words_of(list(books.values()), set())
    export = json.dumps(list(books.values()), ensure_ascii=False).encode()
    checks.that(contained(export, words) == words and len(words) > 50,
                f"the search finds all {len(words)} words in an exported timeline")
    files = [p for node in network.nodes.values() for p in node.dir.rglob("*") if p.is_file()]
    files += [p for p in network.root.iterdir() if p.is_file()]
    leaks = []
    for path in files:
        leaks += [f"{w} in {path}" for w in contained(path.read_bytes(), words)]
    checks.that(not leaks, f"none of them in {len(files)} files of the nodes", "; ".join(leaks[:3]))


def check_withdrawal(network, checks):
    """What was given is read, and is taken back; what is recorded later was never given."""
    caf, cod = network.nodes["caf"], network.nodes["cod"]
    checks.that(views(cod) == {SAID}, f"cod reads what caf gave it of {SHARED}", str(views(cod)))
    shown = cod.sauti("case", "show", SHARED).stdout
    checks.that("not shared by caf" in shown and "identity" in shown,
                "cod is told which data groups it was not given")
    caf.sauti("case", "withdraw", SHARED, "--consent", "C-2")
    record(caf, LATER)
    wait_for("cod to confirm that it deleted the keys", lambda: [
        s for s in caf.json("case", "shares", SHARED)
        if s["direction"] == "given" and s["order"] in ("destroying", "destroyed")])
    network.settle()
    checks.that(views(cod) == set(), "withdrawn: cod reads nothing of it any more", str(views(cod)))
    checks.that(views(caf) == {SAID, LATER}, "caf reads all of it, and what came after")


def check_kill(network, checks, books):
    """kill -9 of each node and restart loses nothing."""
    for node in network.nodes.values():
        before = {o: log["size"] for o, log in node.logs().items()}
        node.kill()
        node.start()
        after = {o: log["size"] for o, log in node.logs().items()}
        checks.that(all(after.get(o, 0) >= size for o, size in before.items()),
                    f"{node.name}: killed, started, every log is as long", f"{before} {after}")
        if node.name in books:
            checks.that(timelines(node) == books[node.name],
                        f"{node.name}: every timeline reads as before")
    network.settle()
    check_logs(network, checks)


def directory_key(node):
    """What an auditor has to be told, once."""
    lines_ = node.sauti("log", "policy").stdout.splitlines()
    return next(line.split()[1] for line in lines_ if line.startswith("log ") and "/directory/" in line)


def check_audit(network, checks):
    """An outsider with files and one key; then the same over HTTP."""
    hq = network.nodes["hq"]
    export, key = network.root / "export", directory_key(hq)

    def audit(source, *more):
        return hq.sauti("audit", "log", source, "--directory", key, "--jobs", "2", *more, check=False)

    hq.sauti("log", "export", export)
    done = audit(export, "--state", network.root / "visits", "--html", network.root / "report.html")
    checks.that(done.returncode == 0 and done.stdout.startswith("SOUND"),
                "an auditor with an export and one key finds every log sound", done.stderr)
    bundle = max(export.glob("*/caf/*/tile/entries/*"), key=lambda p: (p.is_file(), p.name))
    bundle = next(p for p in sorted(bundle.rglob("*")) + [bundle] if p.is_file())
    whole = bundle.read_bytes()
    bundle.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    done = audit(export)
    checks.that(done.returncode == 4 and "/caf/" in done.stderr, "one bit changed: found, and named",
                f"exit {done.returncode}: {done.stderr}")
    bundle.write_bytes(whole)
    with open(network.root / "web.log", "w+b") as log:
        web = subprocess.Popen([network.bin / "sauti-web", "--listen", "127.0.0.1:0", "--allow-root", "--socket",
                                hq.dir / "run" / "public.sock"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            said = wait_for("sauti-web to serve", lambda: re.search(
                r"serving on (127\.0\.0\.1:\d+)", (network.root / "web.log").read_text()))
            done = audit(f"http://{said[1]}", "--state", network.root / "visits", "--incremental")
            checks.that(done.returncode == 0, "so it does over HTTP, a second time", done.stderr)
        finally:
            web.terminate()
            web.wait()


def check(network):
    """All checks; the number that failed."""
    checks = Checks()
    say("Checking")
    check_withdrawal(network, checks)
    books = {name: timelines(network.nodes[name]) for name in OFFICES}
    check_logs(network, checks)
    check_foreign(network, checks, books)
    check_plaintext(network, checks, books)
    check_kill(network, checks, books)
    check_audit(network, checks)
    return checks.failed


def run(build, checking):
    """The demo; its exit status."""
    root = Path(tempfile.mkdtemp(prefix="sauti-demo."))
    say(f"Three nodes under {root}")
    network = None
    try:
        # The search for plaintext must not be helped by compression.
        network = start(root, build, "off" if checking else "on")
        say("Synthetic cases")
        counts = import_cases(network)
        say("Replicating")
        network.settle()
        say("One case for two offices, on a victim's consent")
        share_case(network)
        network.settle()
        holdings(network)
        office = network.nodes["caf"]
        code = first_case(office)
        say(f"\nOne case, as its office reads it ({sum(counts.values())} events in all)\n")
        say(office.sauti("case", "show", code).stdout)
        if not checking:
            try_next(network, code)
            return 0
        failed = check(network)
        network.stop()
        say("all checks passed" if failed == 0 else f"{failed} checks failed; see {root}")
        if failed == 0:
            shutil.rmtree(root)
        return 1 if failed else 0
    except (Failed, subprocess.CalledProcessError) as e:
        say(f"demo: {e}\n  what is left of it: {root}")
        for log in sorted(root.glob("*.log")):
            say(f"--- {log.name}")
            say("\n".join(log.read_text(errors="replace").splitlines()[-8:]))
        if network is not None:
            for node in network.nodes.values():
                if node.process is not None:
                    node.kill()
        return 1


def stop(root):
    """Stops the network of a demo that was left running, by the PIDs it wrote down."""
    if not root.name.startswith("sauti-demo.") or not (root / "passphrase").exists():
        say(f"demo: {root} is not a demo's directory")
        return 2
    for file in root.glob("*.pid"):
        pid = int(file.read_text())
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if str(root).encode() in command:
            os.kill(pid, signal.SIGTERM)
            wait_for(f"process {pid} to end", lambda p=pid: not Path(f"/proc/{p}").exists() or
                     str(root).encode() not in Path(f"/proc/{p}/cmdline").read_bytes())
    shutil.rmtree(root)
    say(f"stopped and removed {root}")
    return 0


def main():
    """Arguments, as scripts/demo --help has them."""
    parser = argparse.ArgumentParser(prog="scripts/demo")
    parser.add_argument("build", help=argparse.SUPPRESS)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--stop", metavar="DIR", type=Path)
    args = parser.parse_args()
    if args.stop:
        return stop(args.stop)
    return run(Path(args.build).resolve(), args.check)


if __name__ == "__main__":
    sys.exit(main())
