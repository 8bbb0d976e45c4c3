"""Power loss: what a disk can look like when the power goes, from a trace of what was done to it.

tests/lib/record.c writes the trace: every write, change of size, change of a directory and flush,
in the order of the disk, and marks of what the program said meanwhile. A Disk goes through it up
to a moment, the cut, and makes an image of the disk as it may be found afterwards:

- what a finished flush covers is there: of a file all that was done to it before, of a directory
  all changes of its names. A write through O_DSYNC covers itself and nothing else.
- of everything else anything may be there or not: all, nothing, the first of it, the last of it,
  some of it; a write that was under way, in any of its sectors of 512 bytes; the size of a file
  without what was written there.

That is more than an ordered file system loses. A name is there when the change that made it is, so
that a file whose directory was not flushed may be gone, whatever was flushed of its contents.

An image is decided by (trace, seed, number) alone: that is what replays it.
"""

import json
import os
import random
import shutil
import struct
import subprocess
from pathlib import Path

from network import Failed, Network, Node

HEADER = struct.Struct("=BBHIQQ")
SECTOR = 512

# How what was not flushed is treated; cycled through, so that few images have all of them.
KINDS = ("some", "torn", "nothing", "first", "torn", "last", "some", "all", "torn", "sizes")
# One quarter of the images: at one flush, what was done before it as far as that many places.
PREFIXES = 5


class Record:
    """One record of the trace."""

    __slots__ = ("kind", "synchronous", "inode", "offset", "data")

    def __init__(self, kind, synchronous, inode, offset, data):
        self.kind, self.synchronous, self.inode = kind, synchronous, inode
        self.offset, self.data = offset, data

    @property
    def path(self):
        return self.data.decode()


def read_trace(path):
    """The records of a trace file."""
    data, at, records = Path(path).read_bytes(), 0, []
    while at < len(data):
        kind, synchronous, _, size, inode, offset = HEADER.unpack_from(data, at)
        at += HEADER.size
        records.append(Record(chr(kind), bool(synchronous), inode, offset, data[at:at + size]))
        at += size
    return records


def add_mark(path, text):
    """Adds a mark to a trace that other processes are writing: one write to its end."""
    data = text.encode()
    with open(path, "ab", buffering=0) as f:
        f.write(HEADER.pack(ord("M"), 0, 0, len(data), 0, 0) + data)


class File:
    """A file: what is on the disk for certain, and what was done to it since."""

    def __init__(self, data=b""):
        self.data = bytearray(data)
        self.pending = []  # (at, record, certain)


def apply_whole(data, record):
    """Does to the contents what the record says."""
    if record.kind == "W":
        end = record.offset + len(record.data)
        if len(data) < end:
            data.extend(bytes(end - len(data)))
        data[record.offset:end] = record.data
    elif record.kind == "T":
        del data[record.offset:]
        data.extend(bytes(record.offset - len(data)))
    else:
        data.extend(bytes(max(0, record.offset - len(data))))


def apply_torn(data, record, chosen):
    """The sectors of a write that chosen() is true for."""
    end = record.offset + len(record.data)
    start = record.offset
    while start < end:
        stop = min(end, (start // SECTOR + 1) * SECTOR)
        if chosen():
            if len(data) < stop:
                data.extend(bytes(stop - len(data)))
            data[start:stop] = record.data[start - record.offset:stop - record.offset]
        start = stop


class Disk:
    """The disk at one moment of a trace: step() goes on, image() is what a cut here can leave.

    roots: paths that were recorded. base: a folder with copies of them as they were before, each
    under its own name; None: they were empty.
    """

    def __init__(self, records, roots, base=None):
        self.records, self.at = records, 0
        self.roots = [Path(r) for r in roots]
        self.inodes = {}   # inode -> File, or the path of a directory; inodes are used again
        self.names = {}    # path -> File, or None for a directory; for certain
        self.now = {}      # .. as the program sees it
        self.changes = {}  # path of a directory -> [change], not yet flushed
        self.marks = []
        for root in self.roots:
            self.names[str(root)] = None
            if base is not None:
                self.load(root, Path(base) / root.name)
        self.now = dict(self.names)

    def load(self, root, copy):
        for path in sorted(copy.rglob("*")):
            name = str(root / path.relative_to(copy))
            if path.is_dir():
                self.names[name] = None
            elif path.is_file():
                self.names[name] = File(path.read_bytes())

    # The trace.

    def change(self, path, change):
        """A change of names, in the directory that holds the path."""
        self.changes.setdefault(str(Path(path).parent), []).append((self.at, change))
        self.rename(self.now, change)

    def step(self):
        """Goes one record on."""
        r = self.records[self.at]
        self.at += 1
        if r.kind == "M":
            self.marks.append(r.data.decode())
        elif r.kind == "O":
            self.inodes[r.inode] = self.now[r.path] or r.path
        elif r.kind == "C":
            self.inodes[r.inode] = File()
            self.change(r.path, ("link", r.path, self.inodes[r.inode]))
        elif r.kind == "D":
            self.inodes[r.inode] = r.path
            self.change(r.path, ("link", r.path, None))
        elif r.kind == "U":
            self.change(r.path, ("unlink", r.path))
        elif r.kind == "R":
            old, new = r.data.decode().split("\0")
            self.change(new, ("rename", old, new, self.now[old]))
        elif r.kind == "F":
            self.flush(self.inodes[r.inode])
        else:
            self.inodes[r.inode].pending.append((self.at, r, r.synchronous))

    def flush(self, what):
        """A file, or the path of a directory."""
        if isinstance(what, File):
            for _, record, _ in what.pending:
                apply_whole(what.data, record)
            what.pending.clear()
        else:
            for _, change in self.changes.pop(what, []):
                self.rename(self.names, change)

    @staticmethod
    def rename(names, change):
        if change[0] == "link":
            names[change[1]] = change[2]
        elif change[0] == "unlink":
            names.pop(change[1], None)
        else:
            names.pop(change[1], None)
            names[change[2]] = change[3]

    # Images.

    def contents(self, file, kind, rng, limit):
        """What may be found in a file."""
        data = bytearray(file.data)
        cut = rng.randint(0, len(file.pending))
        share = rng.choice((0.1, 0.5, 0.9))
        for number, (at, record, certain) in enumerate(file.pending):
            certain = certain and at < self.at  # the last one is under way
            if certain or kind == "all" or kind == "prefix" and at <= limit \
                    or kind == "first" and number < cut or kind == "last" and number >= cut \
                    or kind == "some" and rng.random() < share:
                apply_whole(data, record)
            elif kind == "torn":
                if record.kind == "W":
                    apply_torn(data, record, lambda: rng.random() < share)
                elif rng.random() < share:
                    apply_whole(data, record)
            elif kind == "sizes" and record.kind == "W" and rng.random() < share:
                data.extend(bytes(max(0, record.offset + len(record.data) - len(data))))
        return data

    def limit(self, part):
        """Kind "prefix": up to which record things are there; part 0 is nothing, 1 all."""
        files = {id(f): f for f in self.now.values() if f is not None}
        places = [at for f in files.values() for at, _, certain in f.pending if not certain] + \
            [at for changes in self.changes.values() for at, _ in changes]
        places = [0] + sorted(places)
        return places[round(part * (len(places) - 1))]

    def image(self, target, kind, rng, part=0):
        """Writes one image below target, each root under its own name."""
        names, limit = dict(self.names), self.limit(part)
        for changes in self.changes.values():
            cut = rng.randint(0, len(changes))
            for number, (at, change) in enumerate(changes):
                if kind == "all" or kind == "prefix" and at <= limit \
                        or kind == "first" and number < cut \
                        or kind in ("some", "torn", "last", "sizes") and rng.random() < 0.5:
                    self.rename(names, change)
        shutil.rmtree(target, ignore_errors=True)
        for name in sorted(names):
            path = self.place(target, name)
            if path is None or not path.parent.is_dir():
                continue  # its directory did not make it
            if names[name] is None:
                path.mkdir(mode=0o700)
                continue
            data = self.contents(names[name], kind, rng, limit)
            if path.name == "lock.mdb" and rng.random() < 0.5:
                data = rng.randbytes(len(data))  # written through a map, which no trace shows
            path.touch(mode=0o600)
            path.write_bytes(data)

    def place(self, target, name):
        for root in self.roots:
            if Path(name) == root:
                Path(target).mkdir(parents=True, exist_ok=True)
                return Path(target) / root.name
            if root in Path(name).parents:
                return Path(target) / root.name / Path(name).relative_to(root)
        return None


def cuts(records, seed, count):
    """The moments of `count` images, each (at, number): mostly where much is under way."""
    rng = random.Random(seed)
    flushes = [i for i, r in enumerate(records) if r.kind == "F"]
    barriers = flushes + [i + 1 for i, r in enumerate(records) if r.kind == "W" and r.synchronous]
    found = []
    for number in range(count):
        if number % PREFIXES == 0:
            flush = rng.choice(flushes)
        if is_prefix(number):
            at = flush
        elif number % 8 < 5:
            at = rng.choice(barriers)  # a flush begins, or a synchronous write is under way
        elif number % 8 < 7:
            at = min(rng.choice(barriers) + 1, len(records))  # it is done
        else:
            at = rng.randint(0, len(records))
        found.append((at, number))
    return sorted(found)


def is_prefix(number):
    """Is it one of PREFIXES images of one moment?"""
    return number // PREFIXES % 4 == 1


def images(records, roots, seed, count, target, base=None, only=None):
    """Makes `count` images, one after the other, at `target`: yields (number, at, kind, marks)."""
    disk = Disk(records, roots, base)
    for at, number in cuts(records, seed, count):
        while disk.at < at:
            disk.step()
        if only is not None and number != only:
            continue
        kind = "prefix" if is_prefix(number) else KINDS[number % len(KINDS)]
        disk.image(target, kind, random.Random(f"{seed} {number}"),
                   number % PREFIXES / (PREFIXES - 1))
        yield number, at, kind, disk.marks


def end_images(records, roots, seed, count, target):
    """The same, all of the moment after the last record: a program has said that it is done."""
    disk = Disk(records, roots)
    while disk.at < len(records):
        disk.step()
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        disk.image(target, kind, random.Random(f"{seed} {number}"))
        yield number, disk.at, kind, disk.marks


# Runs and their images.

class Run:
    """One recorded run: what is needed to make its images, and how they are checked."""

    def __init__(self, directory, trace, roots, check, base=None):
        self.directory, self.trace = Path(directory), Path(trace)
        self.roots, self.base = [Path(r) for r in roots], base
        self.check = check  # (image) -> the checker's command line
        self.records = read_trace(trace)

    def look(self, image, marks):
        """What is wrong with an image; "" is nothing."""
        done = subprocess.run([str(c) for c in self.check(image)], input="".join(m + "\n" for m in marks),
                              capture_output=True, text=True, timeout=120, check=False)
        if done.returncode == 0:
            return ""
        return (done.stdout + done.stderr).strip() or f"the checker ended with {done.returncode}"

    def failures(self, seed, count, only=None, also=None, stop_at_first=False):
        """Makes and checks images; a list of (number, at, kind, what is wrong).

        also: (number, image, marks) -> what is wrong, asked before the checker changes the image.
        """
        found, target = [], self.directory / "image"
        for number, at, kind, marks in images(self.records, self.roots, seed, count, target,
                                              self.base, only):
            wrong = also(number, target, marks) if also else ""
            wrong = wrong or self.look(target, marks)
            if wrong:
                found.append((number, at, kind, wrong))
                if stop_at_first:
                    break
        shutil.rmtree(target, ignore_errors=True)
        return found

    def keep(self, directory, seed, count, number):
        """Keeps an image as it was before it was looked at, its marks, and what replays it."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        for _, _, _, marks in images(self.records, self.roots, seed, count, directory / "image",
                                     self.base, number):
            (directory / "marks").write_text("".join(m + "\n" for m in marks))
        shutil.copy(self.trace, directory / "trace")
        if self.base is not None:
            shutil.copytree(self.base, directory / "base", dirs_exist_ok=True)
        (directory / "replay.json").write_text(json.dumps({
            "roots": [str(r) for r in self.roots], "seed": seed, "count": count, "number": number,
            "check": [str(c) for c in self.check("IMAGE")], "base": self.base is not None}))


def replay(directory):
    """Makes a kept image again and looks at it; what is wrong."""
    directory = Path(directory)
    kept = json.loads((directory / "replay.json").read_text())
    run = Run(directory / "again", directory / "trace", kept["roots"],
              lambda image: [c.replace("IMAGE", str(image)) for c in kept["check"]],
              directory / "base" if kept["base"] else None)
    found = run.failures(kept["seed"], kept["count"], kept["number"])
    shutil.rmtree(directory / "again", ignore_errors=True)
    return found


def environment(build, roots, trace, fault=None):
    """The environment of a recorded program."""
    return os.environ | {"LD_PRELOAD": str(Path(build) / "tests" / "lib" / "record.so"),
                         "RECORD_ROOTS": ":".join(map(str, roots)), "RECORD_TRACE": str(trace)} | \
        ({"RECORD_FAULT": fault} if fault else {})


def record_drive(build, directory, seed, steps, fault=None, args=()):
    """Runs power_drive under the recorder in a directory of its own; the Run."""
    programs = Path(build) / "tests" / "power"
    directory = Path(directory).resolve()
    root, base = directory / "disk", directory / "base"
    for place in (root, base / "disk"):
        (place / "node").mkdir(parents=True)
    subprocess.run([programs / "power_drive", root / "node", str(seed), str(steps), *args], check=True,
                   env=environment(build, [root], directory / "trace", fault), timeout=300)
    shutil.rmtree(root)
    return Run(directory, directory / "trace", [root],
               lambda image: [programs / "power_check", "drive", Path(image) / "disk" / "node"], base)


def case_line(number):
    """One event of a case of its own."""
    return json.dumps({"type": "CASE_OPENED", "event_id": f"01900000-0000-7000-8000-{number:012x}",
                       "case_ref": f"{number:032x}", "case_code": f"ZZ-P-{number}",
                       "occurred_on": "2026-01-01", "precision": "D"})


def record_node(build, directory, seed, imports, fault=None):
    """Records a real sautid: an office that imports, beside a headquarters that cosigns; the Run.

    What the command line said is in the marks: "case CODE" for each, and "log ORIGIN SIZE".
    """
    rng, directory = random.Random(seed), Path(directory).resolve()
    network = Network(directory / "network", build, "power.example")
    quick = "\n[replication]\nhave_delay = 100ms\ndial_retry_min = 200ms\n"
    try:
        hq = network.init()
        hq.configure(quick)
        hq.start()
        office = network.join("caf", "CAF", config=quick)
        roots = [office.dir, office.dir.with_name("caf.guard")]
        roots[1].mkdir(exist_ok=True)
        office.start()
        network.settle()
        office.stop()
        for root in roots:
            shutil.copytree(root, directory / "base" / root.name, ignore=shutil.ignore_patterns("run"))
        trace = directory / "trace"
        office.env = environment(build, roots, trace, fault)
        office.start()
        origin, number = office.own()["origin"], 0
        for _ in range(imports):
            lines = [case_line(number + i) for i in range(rng.choice((1, 1, 2, 5, 40)))]
            office.sauti("case", "import", "-", stdin="\n".join(lines) + "\n")
            for i in range(len(lines)):
                add_mark(trace, f"case ZZ-P-{number + i}")
            add_mark(trace, f"log {origin} {office.logs()[origin]['size']}")
            number += len(lines)
            if rng.random() < 0.2:
                hq.sauti("case", "open", "--office", "ZZZ")
        office.stop()
    finally:
        for node in network.nodes.values():
            if node.process is not None:
                node.kill()
    checker = Path(build) / "tests" / "power" / "power_check"
    run = Run(directory, trace, roots, lambda image: [checker, "node", Path(image) / "caf",
                                                      "power.example", "caf"], directory / "base")
    run.port = office.port
    return run


def record_made(build, directory, name, fault=None):
    """Records how a node is made: "hq" by sauti init, another by sauti join; the Run."""
    directory = Path(directory).resolve()
    network, trace = Network(directory / "network", build, "power.example"), directory / "trace"
    roots = [network.root / name] + ([network.root / "root-ca"] if name == "hq" else [])
    recorded = environment(build, roots, trace, fault)
    try:
        if name == "hq":
            port = network.init(env=recorded).port
        else:
            network.init().start()
            port = network.join(name, "CAF", env=recorded).port
    finally:
        for node in network.nodes.values():
            if node.process is not None:
                node.kill()
    add_mark(trace, "made")
    run = Run(directory, trace, roots, lambda image: ["true"])
    run.port = port
    return run


def starts(build, run, image, marks, name="caf"):
    """Starts a real sautid on a copy of an image of record_node; what is wrong, "" is nothing."""
    shutil.rmtree(run.directory / "started", ignore_errors=True)
    shutil.copytree(image, run.directory / "started")
    office = Node(Network(run.directory / "started", build, "power.example"), name, run.port)
    try:
        office.start()
        codes = {c["code"] for c in office.json("case", "list")}
        lost = [m for m in marks if m.startswith("case ") and m[5:] not in codes]
        if lost:
            return f"acknowledged and not there: {', '.join(lost[:5])}"
        if not all(log["ok"] for log in office.json("log", "verify")):
            return "log verify finds a damaged log"
        if office.json("status")["alarms"]:
            return f"alarms: {office.json('status')['alarms']}"
        # An office with no link works at once after a power cut (DESIGN 10).
        office.sauti("case", "open", "--office", "CAF")
        return ""
    except Failed as e:
        return str(e)
    finally:
        if office.process is not None:
            office.kill()
        shutil.rmtree(run.directory / "started", ignore_errors=True)
