#!/usr/bin/env python3
"""An independent reader of exports: checks everything that "sauti log export" wrote.

    read_export.py DIR [--key VKEY]...

Written from docs/FORMAT and the C2SP and RFC texts, not from the C code; needs python3-cryptography.
For every log below DIR: the signature of the checkpoint, every cosignature, every entry bundle, every
tile of every level computed anew from the entries, the root, inclusion and consistency proofs taken
from the tiles. --key is the key of a log or a mirror that you know from elsewhere ("key" in the answer
of sauti --json log export). Without one, the key of a log is the one that its first entry names, and a
mirror's the one that the directory in the same export lists: that shows that nothing was changed
since, not who wrote it.

exit: 0 good; 1 bad, with the first bad file and index; 2 usage; 77 a package is missing
"""
import base64
import hashlib
import re
import struct
import sys
from pathlib import Path

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
except ImportError as missing:
    print(f"skipped: {missing}; install python3-cryptography")
    sys.exit(77)

MARK, MARK_TEXT = ".sauti-export", b"sauti export 1\n"
INDEX, EVIDENCE = "logs", "evidence"
PROOF_MAX = 16 * 1024
WIDTH, HASH = 256, 32
NOTE, COSIGNATURE = 1, 4
PURPOSES = {1: b"log-opened", 2: b"network-created", 3: b"node-admitted"}
NODE_NAME = r"[a-z](?:[a-z0-9-]{0,29}[a-z0-9])?"


class Bad(Exception):
    """What is wrong, and where: a file, and an index in it or in the log."""

    def __init__(self, what, file=None, index=None):
        super().__init__(what)
        self.what, self.file, self.index = what, file, index

    def __str__(self):
        where = "" if self.file is None else f"{self.file}: "
        return where + ("" if self.index is None else f"index {self.index}: ") + self.what


def need(condition, what, file=None, index=None):
    if not condition:
        raise Bad(what, file, index)


# ---- RFC 6962 ----

def leaf_hash(entry):
    return hashlib.sha256(b"\0" + entry).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def split(n):
    """The largest power of two below n."""
    return 1 << (n - 1).bit_length() - 1


def climb(index, size, proof, start):
    """RFC 9162 2.1.3.2: the root that a proof leads to."""
    fn, sn, r = index, size - 1, start
    for p in proof:
        need(sn != 0, "proof too long")
        if fn & 1 or fn == sn:
            r = node_hash(p, r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node_hash(r, p)
        fn, sn = fn >> 1, sn >> 1
    need(sn == 0, "proof too short")
    return r


def check_consistency(first, first_root, second, second_root, proof):
    """RFC 9162 2.1.4.2, for 0 < first <= second."""
    if first == second:
        need(not proof and first_root == second_root, "equal sizes, other roots")
        return
    need(proof, "empty proof")
    proof = list(proof)
    if first & (first - 1) == 0:
        proof.insert(0, first_root)
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = proof[0]
    for c in proof[1:]:
        need(sn != 0, "proof too long")
        if fn & 1 or fn == sn:
            fr, sr = node_hash(c, fr), node_hash(c, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, c)
        fn, sn = fn >> 1, sn >> 1
    need(sn == 0 and fr == first_root and sr == second_root, "does not lead from one to the other")


# ---- signed notes ----

def unbase64(text):
    """Strict: one way only to write it."""
    data = base64.b64decode(text, validate=True)
    need(base64.b64encode(data).decode() == text, "base64 is not canonical")
    return data


class Key:
    """A verifier key: name, type, Ed25519 key."""

    def __init__(self, name, kind, public):
        self.name, self.kind, self.public = name, kind, public
        self.id = hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]

    @classmethod
    def parse(cls, vkey):
        name, hex_id, blob = vkey.split("+", 2)
        blob = unbase64(blob)
        need(len(blob) == 33 and blob[0] in (NOTE, COSIGNATURE), "not an Ed25519 key")
        key = cls(name, blob[0], blob[1:])
        need(key.id.hex() == hex_id, "the key's id is not that of the key")
        return key

    def verify(self, signature, message):
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except InvalidSignature:
            raise Bad(f"bad signature of {self.name}") from None

    def check(self, blob, text):
        """The signature of a line on a note; the time of a cosignature."""
        if self.kind == NOTE:
            need(len(blob) == 64, f"signature of {self.name} has a wrong size")
            self.verify(blob, text)
            return None
        need(len(blob) == 72, f"cosignature of {self.name} has a wrong size")
        time = struct.unpack(">Q", blob[:8])[0]
        self.verify(blob[8:], b"cosignature/v1\ntime %d\n" % time + text)
        return time


def parse_note(data):
    """The text, and (name, key id, signature) of each line."""
    need(all(c >= 32 or c == 10 for c in data), "control character in a note")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        raise Bad("note is not UTF-8") from None
    at = data.rfind(b"\n\n")
    need(at >= 0 and data.endswith(b"\n") and len(data) > at + 2, "note without a signature")
    lines = []
    for line in data[at + 2:].decode("utf-8").splitlines():
        match = re.fullmatch(r"\u2014 ([^ +]+) ([A-Za-z0-9+/=]+)", line)
        need(match, "not a signature line")
        try:
            blob = unbase64(match[2])
        except ValueError:
            raise Bad("bad base64 in a signature line") from None
        need(len(blob) > 4, "signature line without a signature")
        lines.append((match[1], blob[:4], blob[4:]))
    return data[:at + 1], lines


def parse_checkpoint(text):
    """(origin, size, root)"""
    lines = text.split(b"\n")
    need(len(lines) == 4 and lines[3] == b"", "checkpoint does not have three lines")
    origin, size, root = lines[0].decode(), lines[1].decode(), lines[2].decode()
    need(re.fullmatch(rf"[a-z0-9.-]+/{NODE_NAME}/(?:0|[1-9][0-9]*)-[0-9a-f]{{16}}", origin),
         "bad origin")
    need(re.fullmatch(r"0|[1-9][0-9]{0,15}", size), "bad size")
    try:
        root = unbase64(root)
    except ValueError:
        raise Bad("bad root") from None
    need(len(root) == HASH, "bad root")
    need(int(size) > 0 or root == hashlib.sha256(b"").digest(), "size 0 with a foreign root")
    return origin, int(size), root


# ---- entries (proto/entry.proto) ----

def message(data):
    """The fields of a protobuf message that has only varints and bytes."""
    fields, at = {}, 0

    def varint():
        nonlocal at
        value = shift = 0
        byte = 128
        while byte >= 128:
            need(at < len(data) and shift < 64, "truncated")
            byte = data[at]
            value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
        return value
    while at < len(data):
        tag = varint()
        need(tag & 7 in (0, 2) and tag >> 3 not in fields, "wire type or double field")
        value = varint()
        if tag & 7 == 2:
            need(at + value <= len(data), "truncated")
            value, at = data[at:at + value], at + value
        fields[tag >> 3] = value
    return fields


def parse_record(entry):
    """(type, body, signature)"""
    outer = message(entry)
    need(list(outer) == [2], "not a record")
    record = message(outer[2])
    kind, body, signature = record.get(1, 0), record.get(2, b""), record.get(3, b"")
    need(isinstance(body, bytes) and isinstance(signature, bytes) and len(signature) == 64,
         "not a record")
    return kind, body, signature


def check_record(node, record):
    """Signed by that node key, for the purpose of its type?"""
    kind, body, signature = record
    Key("node", NOTE, node).verify(signature, b"sauti/1 " + PURPOSES[kind] + b"\0" + body)


def parse_opened(entry):
    """(origin, log key, record) of the entry at index 0."""
    record = parse_record(entry)
    need(record[0] == 1, "the first entry is not a LogOpened")
    fields = message(record[1])
    need(len(fields.get(2, b"")) == 32, "LogOpened without a key")
    return fields.get(1, b"").decode(), fields[2], record


def members_of(entries):
    """A directory's members: name -> (node, mirror, witness key), each record signed as it must be."""
    members, hq = {}, None
    for index, entry in enumerate(entries):
        record = parse_record(entry)
        if record[0] == 2:
            hq = (message(record[1])[2].decode(), message(record[1])[3], record)
        if record[0] == 3:
            fields = message(record[1])
            try:
                check_record(fields[6], record)
            except Bad as bad:
                raise Bad(bad.what, index=index) from None
            members.setdefault(fields[2].decode(), (fields[6], fields[7], fields[8]))
    need(hq and hq[0] in members and members[hq[0]][0] == hq[1], "no headquarters in it")
    check_record(hq[1], hq[2])
    check_record(hq[1], parse_record(entries[0]))
    return members


# ---- one log ----

def tile_name(level, index, width):
    digits = f"{index:03d}" if index < 1000 else ""
    if not digits:
        groups = []
        while index:
            groups.insert(0, index % 1000)
            index //= 1000
        digits = "/".join([f"x{g:03d}" for g in groups[:-1]] + [f"{groups[-1]:03d}"])
    return f"tile/{level}/{digits}" + ("" if width == WIDTH else f".p/{width}")


def name_tile(path):
    """(level, index, width) of a path; None when it is not one."""
    match = re.fullmatch(r"tile/(entries|[0-6])/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", path)
    if not match:
        return None
    index = int(re.sub(r"[x/]", "", match[2]))
    width = int(match[3] or WIDTH)
    level = match[1] if match[1] == "entries" else int(match[1])
    return (level, index, width) if tile_name(level, index, width) == path else None


def parse_bundle(data, file, first, count):
    """The first `count` entries of a bundle that may have more."""
    entries, at = [], 0
    while at < len(data):
        index = first + len(entries)
        need(at + 2 <= len(data), "bundle ends in the middle of a length", file, index)
        size = struct.unpack(">H", data[at:at + 2])[0]
        need(size > 0 and at + 2 + size <= len(data), "entry of a wrong size", file, index)
        entries.append(data[at + 2:at + 2 + size])
        at += 2 + size
    need(len(entries) >= count, f"bundle of {len(entries)} entries, {count} wanted", file,
         first + len(entries))
    return entries


class Log:
    """The files of one log."""

    def __init__(self, root, relative):
        self.base, self.relative = Path(root) / relative, str(relative)
        self.seen = {"checkpoint"}

    def path(self, name):
        return f"{self.relative}/{name}"

    def read(self, name):
        self.seen.add(name)
        try:
            return (self.base / name).read_bytes()
        except OSError as e:
            raise Bad(f"cannot be read: {e.strerror}", self.path(name)) from None

    def read_tile(self, level, index, width):
        """The file of that width, or the full one that took its place; and its name."""
        name, full = tile_name(level, index, width), tile_name(level, index, WIDTH)
        if width < WIDTH and not (self.base / name).exists() and (self.base / full).exists():
            return self.read(full), full, WIDTH
        return self.read(name), name, width

    def read_entries(self):
        self.entries = []
        for index in range((self.size + WIDTH - 1) // WIDTH):
            count = min(WIDTH, self.size - index * WIDTH)
            data, name, width = self.read_tile("entries", index, count)
            entries = parse_bundle(data, self.path(name), index * WIDTH, count)
            need(len(entries) == width, f"bundle of {len(entries)} entries", self.path(name),
                 index * WIDTH + min(width, len(entries)))
            self.entries += entries[:count]

    def compare_tile(self, level, index, hashes):
        data, name, width = self.read_tile(level, index, len(hashes))
        for i, wanted in enumerate(hashes):
            need(data[i * HASH:(i + 1) * HASH] == wanted, f"hash {i} is not that of the entries",
                 self.path(name), (index * WIDTH + i) << 8 * level)
        need(len(data) == width * HASH, f"has {len(data)} bytes", self.path(name))

    def check_tiles(self):
        """Every level from the one below it; only full tiles go up."""
        hashes = [leaf_hash(entry) for entry in self.entries]
        self.levels, level = [], 0
        while hashes:
            self.levels.append(hashes)
            above = []
            for index in range((len(hashes) + WIDTH - 1) // WIDTH):
                tile = hashes[index * WIDTH:(index + 1) * WIDTH]
                self.compare_tile(level, index, tile)
                if len(tile) == WIDTH:
                    while len(tile) > 1:
                        tile = [node_hash(*pair) for pair in zip(tile[::2], tile[1::2])]
                    above += tile
            hashes, level = above, level + 1

    def subtree(self, first, size):
        """The root of leaves [first, first + size), from the tiles."""
        level = 0
        while size % WIDTH == 0 and first % WIDTH == 0 and size & (size - 1) == 0:
            first, size, level = first // WIDTH, size // WIDTH, level + 1
        if size == 1:
            return self.levels[level][first]
        k = split(size)
        scale = WIDTH ** level
        return node_hash(self.subtree(first * scale, k * scale),
                         self.subtree((first + k) * scale, (size - k) * scale))

    def inclusion(self, index, first=0, size=None):
        """RFC 6962 2.1.1"""
        size = self.size if size is None else size
        if size == 1:
            return []
        k = split(size)
        if index - first < k:
            return self.inclusion(index, first, k) + [self.subtree(first + k, size - k)]
        return self.inclusion(index, first + k, size - k) + [self.subtree(first, k)]

    def consistency(self, m, first=0, size=None, whole=True):
        """RFC 6962 2.1.2"""
        size = self.size if size is None else size
        if m == size:
            return [] if whole else [self.subtree(first, size)]
        k = split(size)
        if m <= k:
            return self.consistency(m, first, k, whole) + [self.subtree(first + k, size - k)]
        return self.consistency(m - k, first + k, size - k, False) + [self.subtree(first, k)]

    def check_proofs(self):
        n = self.size
        near = {0, 1, 2, 254, 255, 256, 257, n // 2, n - 2, n - 1} | \
            {1 << b for b in range(n.bit_length())} | {(1 << b) - 1 for b in range(n.bit_length())}
        for index in sorted(i for i in near if 0 <= i < n):
            need(climb(index, n, self.inclusion(index), self.levels[0][index]) == self.root,
                 "inclusion proof fails", self.relative, index)
            m = index + 1
            check_consistency(m, self.subtree(0, m), n, self.root, self.consistency(m))

    def check_checkpoint(self, keys, members):
        """Signatures; how many cosignatures were checked, and how many could not be."""
        origin, public, record = parse_opened(self.entries[0])
        need(origin == self.origin, "LogOpened of another log", self.path("tile/entries/000"), 0)
        key = keys.get(origin) or Key(origin, NOTE, public)
        need(key.public == public, "LogOpened names another key than --key", self.path("checkpoint"))
        network, node = origin.split("/")[:2]
        self.vouched = members is not None and node != "directory"
        if self.vouched:
            need(node in members, f"the directory does not list {node}", self.path("checkpoint"))
            check_record(members[node][0], record)
        own, checked, unknown = 0, 0, 0
        for name, key_id, blob in self.lines:
            if name == origin:
                need(key_id == key.id, "signature line with another key id")
                key.check(blob, self.text)
                own += 1
                continue
            match = re.fullmatch(rf"{re.escape(network)}/(mirror|witness)/({NODE_NAME})", name)
            cosigner = keys.get(name)
            if cosigner is None and match and members is not None and match[2] in members:
                cosigner = Key(name, COSIGNATURE, members[match[2]][1 if match[1] == "mirror" else 2])
            if cosigner is None:
                need(members is None, f"cosignature of {name}, whom the directory does not list")
                unknown += 1
                continue
            need(key_id == cosigner.id, f"cosignature of {name} with another key id")
            cosigner.check(blob, self.text)
            checked += 1
        need(own == 1, f"{own} signatures of the log's own key")
        return checked, unknown

    def load(self):
        """Everything but signatures; then self.entries is what was written."""
        data = self.read("checkpoint")
        try:
            self.text, self.lines = parse_note(data)
            self.origin, self.size, self.root = parse_checkpoint(self.text)
            need(self.origin == self.relative, "is of another origin than its path")
            need(self.size > 0, "of an empty log")
        except Bad as bad:
            raise Bad(bad.what, self.path("checkpoint")) from None
        self.read_entries()
        self.check_tiles()
        need(self.subtree(0, self.size) == self.root, "the root is not that of the entries",
             self.path("checkpoint"))

    def check(self, keys, members):
        try:
            found = self.check_checkpoint(keys, members)
        except Bad as bad:
            raise Bad(bad.what, bad.file or self.path("checkpoint"), bad.index) from None
        self.check_proofs()
        return found

    def check_others(self):
        """Older partial files are the beginning of what is there now; files behind the checkpoint are
        of an export that was interrupted, and counted."""
        behind = 0
        for path in sorted(p for p in self.base.rglob("*") if not p.is_dir()):
            name = path.relative_to(self.base).as_posix()
            if name in self.seen or name.startswith(".new/"):
                continue
            parsed = name_tile(name)
            need(parsed and path.is_file(), "does not belong here", self.path(name))
            level, index, width = parsed
            have = len(self.entries) if level == "entries" else \
                len(self.levels[level]) if level < len(self.levels) else 0
            if index * WIDTH + width > have:
                behind += 1
                continue
            data = path.read_bytes()
            if level == "entries":
                entries = parse_bundle(data, self.path(name), index * WIDTH, width)
                same = entries == self.entries[index * WIDTH:index * WIDTH + width]
            else:
                same = data == b"".join(self.levels[level][index * WIDTH:index * WIDTH + width])
            need(same, "is not the beginning of the newer file", self.path(name))
        return behind


def check_index(root, origins):
    """The list of logs, if there is one, is written after them: a log may be missing in it (an export
    was interrupted), but none that it names may be missing here."""
    if not (root / INDEX).exists():
        return
    lines = (root / INDEX).read_bytes().decode("utf-8", "replace").split("\n")
    need(lines.pop() == "" and lines == sorted(set(lines)), "is no sorted list of lines", INDEX)
    for index, line in enumerate(lines):
        need(line in origins, "names a log that is not here", INDEX, index)


def check_evidence(root):
    """Proofs of forks, each behind its length; who signed what they show is not judged here."""
    data = (root / EVIDENCE).read_bytes() if (root / EVIDENCE).exists() else b""
    at, count = 0, 0
    while at < len(data):
        size = int.from_bytes(data[at:at + 4], "big")
        need(0 < size <= PROOF_MAX and at + 4 + size <= len(data), "is no file of evidence", EVIDENCE, count)
        at, count = at + 4 + size, count + 1


def check_export(root, keys=(), say=print):
    """Every log below root; raises Bad."""
    root = Path(root)
    keys = {key.name: key for key in keys}
    mark = root / MARK
    need(mark.is_file() and mark.read_bytes() == MARK_TEXT, "is not an export of version 1", str(mark))
    logs = [Log(root, path.parent.relative_to(root).as_posix())
            for path in sorted(root.glob("*/*/*/checkpoint"))]
    need(logs, "no log in it", str(root))
    for path in sorted(root.rglob("*")):  # a log whose checkpoint went is not left out in silence
        inside = [log for log in logs if path == log.base or log.base in path.parents]
        need(path.is_dir() and path.name != "tile" or inside or path in (mark, root / INDEX, root / EVIDENCE),
             "belongs to no log", path.relative_to(root).as_posix())
    check_index(root, [log.relative for log in logs])
    check_evidence(root)
    for log in logs:
        log.load()
    members = {}
    for log in logs:
        network, node = log.origin.split("/")[:2]
        if node == "directory":
            try:
                members[network] = members_of(log.entries)
            except Bad as bad:
                raise Bad(bad.what, log.path("tile/entries"), bad.index) from None
            except (AttributeError, KeyError, UnicodeDecodeError):
                raise Bad("a record is not readable", log.path("tile/entries")) from None
    for log in logs:
        checked, unknown = log.check(keys, members.get(log.origin.split("/")[0]))
        behind = log.check_others()
        say(f"ok   {log.origin}: {log.size} entries, {checked} cosignatures" +
            (f", {unknown} of mirrors that are not known" if unknown else "") +
            (f", {behind} files behind its checkpoint" if behind else "") +
            ("" if log.origin in keys else ", key from the log itself") +
            (", its node is in the directory" if log.vouched else ""))


def main(arguments):
    directory, keys = None, []
    while arguments:
        argument = arguments.pop(0)
        if argument == "--key" and arguments:
            try:
                keys.append(Key.parse(arguments.pop(0)))
            except (Bad, ValueError) as e:
                print(f"--key: {e}", file=sys.stderr)
                return 2
        elif directory is None and not argument.startswith("-"):
            directory = argument
        else:
            print(__doc__, file=sys.stderr)
            return 2
    if directory is None:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        check_export(directory, keys)
    except Bad as bad:
        print(f"BAD  {bad}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
