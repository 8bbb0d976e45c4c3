"""What a verifier must refuse: one list for all of them, ours and those that nobody here wrote.

A Sample is a log of three levels (make_log) with proofs made from its files (log_tool). From it come
honest cases, each of which a verifier must accept, and the same ones changed, of which it must accept
none:

    notes, cosignatures      (vkey, signed note)
    inclusion, consistency   proofs
    files                    a change of the exported files, which is undone again

Some verifiers see less than others: run() takes a table of what one cannot see, with the reason, and
prints that, too. A table that has become too long fails."""
import base64
import hashlib
import subprocess
import sys
import textwrap
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "vectors"))
import read_export as reader  # noqa: E402
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: E402
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: E402

SIZE = 131400  # level 0: 514 tiles, level 1: 3, level 2: one of two hashes; partial ones on every level
ORIGIN = "ovra.example/haiti/1-00112233445566aa"
LEAST = 20  # mutations of each kind, by name
SEEDS = {ORIGIN: 0x25, "ovra.example/mirror/hq": 0x11, "ovra.example/witness/hq": 0x12}
DASH = "\u2014".encode()


def skip(why):
    print("skipped:", why)
    sys.exit(77)


# ---- lines in, lines out ----

class Lines:
    """A verifier in a process of its own: a line for each question, a line for each answer, "ok .." or
    "no: why"."""

    def __init__(self, arguments, **options):
        self.arguments = [str(a) for a in arguments]
        self.process = subprocess.Popen(self.arguments, text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, **options)

    def ask(self, *words):
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline().rstrip("\n")
        if not line.startswith(("ok", "no")):
            sys.exit(f"{self.arguments[0]} says '{line}' to: {' '.join(str(w) for w in words)[:300]}")
        return line

    def close(self):
        self.process.stdin.close()
        if self.process.wait(timeout=60) != 0:
            sys.exit(f"{self.arguments[0]} ended with {self.process.returncode}")

    def note(self, vkey, note):
        return self.ask("note", vkey, base64.b64encode(note).decode())

    def proof(self, proof):
        return self.ask(*proof.words())


def joined(hashes):
    return ",".join(h.hex() for h in hashes) or "-"


# ---- proofs ----

class Inclusion:
    """Entry `index` is in the tree (size, root). Some verifiers hash the entry, some are given its hash."""

    def __init__(self, index, size, entry, root, path):
        self.index, self.size, self.entry, self.root, self.path = index, size, entry, root, list(path)

    def but(self, **changes):
        fields = {"index": self.index, "size": self.size, "entry": self.entry, "root": self.root,
                  "path": self.path}
        return Inclusion(**{**fields, **changes})

    def words(self):
        return ("inclusion", self.index, self.size, reader.leaf_hash(self.entry).hex(), self.root.hex(),
                joined(self.path))

    def __str__(self):
        return f"entry {self.index} of {self.size}"


class Consistency:
    """The tree (first, first_root) is the beginning of (second, second_root)."""

    def __init__(self, first, second, first_root, second_root, path):
        self.first, self.second, self.path = first, second, list(path)
        self.first_root, self.second_root = first_root, second_root

    def but(self, **changes):
        fields = {"first": self.first, "second": self.second, "first_root": self.first_root,
                  "second_root": self.second_root, "path": self.path}
        return Consistency(**{**fields, **changes})

    def words(self):
        return ("consistency", self.first, self.second, self.first_root.hex(), self.second_root.hex(),
                joined(self.path))

    def __str__(self):
        return f"{self.first} in {self.second}"


def steps(fn, sn, count):
    """On which side each hash of a path stands (RFC 9162 2.1.3.2); None: the path is of no such tree."""
    sides = []
    for _ in range(count):
        if sn == 0:
            return None
        if fn & 1 or fn == sn:
            sides.append("left")
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sides.append("right")
        fn, sn = fn >> 1, sn >> 1
    return sides if sn == 0 else None


def inclusion_shape(index, size, count):
    return steps(index, size - 1, count) if 0 <= index < size else None


def consistency_shape(first, second, count):
    if not 0 < first < second:
        return None
    seeded = first & (first - 1) == 0
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    sides = steps(fn, sn, count - (not seeded))
    return None if sides is None else (seeded, sides)


def other_number(value, shape, step):
    """The next number with which the same hashes would be put together in another way. A root does not
    say of how many entries it is: what says it is the signed checkpoint."""
    mine = shape(value)
    for other in range(value + step, value + step * 1000000, step):
        if other <= 0:
            return None
        if shape(other) != mine:
            return other
    return None


def flipped(data, at=None):
    data = bytearray(data)
    data[len(data) // 2 if at is None else at] ^= 1
    return bytes(data)


def path_mutations(path):
    """(name, path): what is wrong with the hashes alone."""
    if path:
        yield "proof without its last hash", path[:-1]
        yield "proof without its first hash", path[1:]
        yield "proof of the first hash twice", [path[0]] + path
        yield "first hash of the proof changed", [flipped(path[0], 0)] + path[1:]
        middle = len(path) // 2
        yield "middle hash of the proof changed", path[:middle] + [flipped(path[middle])] + path[middle + 1:]
        yield "last hash of the proof changed", path[:-1] + [flipped(path[-1], 31)]
        yield "proof of the last hash twice", path + [path[-1]]
    if len(path) > 1:
        yield "empty proof", []
        yield "proof with a hash of zeros in the middle", path[:1] + [bytes(32)] + path[1:]
        yield "first two hashes of the proof swapped", [path[1], path[0]] + path[2:]
        yield "last two hashes of the proof swapped", path[:-2] + [path[-1], path[-2]]
    if len(path) > 2:
        yield "proof backwards", path[::-1]
        yield "a hash of the proof in the place of the next", path[:1] + [path[0]] + path[2:]
    yield "proof with a hash of zeros behind it", path + [bytes(32)]
    yield "proof with the empty tree's root behind it", path + [hashlib.sha256(b"").digest()]
    yield "proof with a hash of zeros before it", [bytes(32)] + path


# ---- the log ----

class Sample:
    """A log of SIZE entries, and log_tool."""

    def __init__(self, build, scratch):
        tools = Path(build) / "tests/interop"
        self.root = Path(scratch) / "sample"
        said = subprocess.run([tools / "make_log", self.root, str(SIZE)], check=True, text=True,
                              stdout=subprocess.PIPE).stdout.split()
        self.vkeys = {vkey.split("+")[0]: vkey for vkey in said}
        self.vkey = self.vkeys[ORIGIN]
        self.cosigners = [self.vkeys["ovra.example/mirror/hq"], self.vkeys["ovra.example/witness/hq"]]
        self.directory = self.root / ORIGIN
        log = reader.Log(self.root, ORIGIN)
        log.load()
        self.entries, self.levels, self.head = log.entries, log.levels, log.root
        self.text, self.lines = log.text, log.lines
        self.note = (self.directory / "checkpoint").read_bytes()
        self.tool = Lines([tools / "log_tool"])

    def inclusion(self, index, size=SIZE, entry=None):
        words = self.tool.ask("prove-inclusion", self.directory, index, size).split()
        return Inclusion(index, size, self.entries[index] if entry is None else entry,
                         bytes.fromhex(words[2]), unjoined(words[3]))

    def consistency(self, first, second=SIZE):
        words = self.tool.ask("prove-consistency", self.directory, first, second).split()
        return Consistency(first, second, bytes.fromhex(words[1]), bytes.fromhex(words[2]),
                           unjoined(words[3]))

    def tile(self, level, index):
        return self.levels[level][index * 256:index * 256 + 256]

    def tiles(self, level):
        return (len(self.levels[level]) + 255) // 256

    def bundle(self, index):
        return self.entries[index * 256:index * 256 + 256]


def unjoined(text):
    return [] if text == "-" else [bytes.fromhex(h) for h in text.split(",")]


def reduced(hashes):
    while len(hashes) > 1:
        hashes = [reader.node_hash(*pair) for pair in zip(hashes[::2], hashes[1::2])]
    return hashes[0]


def places(sample):
    """(name, level, tile, slot): in the first, the middle and the last tile of every level."""
    for level in range(len(sample.levels)):
        last = sample.tiles(level) - 1
        for which, tile in (("first", 0), ("middle", last // 2), ("last", last)):
            width = len(sample.tile(level, tile))
            slot = {"first": 0, "middle": width // 2, "last": width - 1}[which]
            yield f"{which} tile of level {level}", level, tile, slot


def leaf_under(level, tile, slot):
    index = ((tile * 256 + slot) << 8 * level) + (3 if level > 0 else 0)
    return max(index, 1)  # not LogOpened: a record that no longer parses is too easy


def forged_entry(entry):
    return entry.replace(b"entry", b"forge") if b"entry" in entry else flipped(entry, -1)


def forge(sample, index, top):
    """Another entry, and every tile above it up to level `top` as if it had always been there. Returns
    the files and, when no tile above is left, the root of it all."""
    entries = list(sample.bundle(index // 256))
    entries[index % 256] = forged_entry(entries[index % 256])
    width = len(entries)
    changes = {reader.tile_name("entries", index // 256, width): bundle_bytes(entries)}
    value, at = reader.leaf_hash(entries[index % 256]), index
    for level in range(top + 1):
        tile = list(sample.tile(level, at // 256))
        tile[at % 256] = value
        changes[reader.tile_name(level, at // 256, len(tile))] = b"".join(tile)
        if len(tile) < 256:
            break
        value, at = reduced(tile), at // 256
    return changes


def bundle_bytes(entries):
    return b"".join(len(e).to_bytes(2, "big") + e for e in entries)


# ---- honest proofs, and what is none ----

def inclusion_proofs(sample):
    for size in (SIZE, 131072, 65537, 65536, 1000, 257, 256, 7, 3):
        for index in sorted({0, 1, 2, size // 3, size // 2, size - 2, size - 1}):
            yield sample.inclusion(index, size)
    yield sample.inclusion(0, 1)
    for at in (255, 256, 65535, 65536, 131071, 131072, 131327, 131328):
        yield sample.inclusion(at)


def consistency_proofs(sample):
    for second in (SIZE, 131072, 65537, 65536, 1000, 257, 8, 7, 2):
        for first in sorted({1, 2, 255, 256, 257, second // 2, second // 2 + 1, second - 1, second}):
            if 0 < first <= second:
                yield sample.consistency(first, second)
    for first in (65535, 65536, 65537, 131071, 131072, 131073, 131328):
        yield sample.consistency(first)


def inclusion_mutations(sample, p):
    """(name, proof) for one honest proof."""
    def shape(index=p.index, size=p.size):
        return inclusion_shape(index, size, len(p.path))

    for name, path in path_mutations(p.path):
        yield name, p.but(path=path)
    yield "the next index", p.but(index=p.index + 1)
    yield "index as large as the size", p.but(index=p.size)
    yield "index 2^62", p.but(index=1 << 62)
    if p.size > 1:
        yield "the sibling's index", p.but(index=p.index ^ 1)
        yield "counted from the end", p.but(index=p.size - 1 - p.index if 2 * p.index + 1 != p.size else 0)
    for name, step in (("larger size", 1), ("smaller size", -1)):
        size = other_number(p.size, lambda s: shape(size=s), step)
        if size is not None:
            yield name, p.but(size=size)
    yield "size 0", p.but(size=0)
    yield "size 2^62", p.but(size=1 << 62)
    yield "root changed", p.but(root=flipped(p.root))
    yield "root of zeros", p.but(root=bytes(32))
    if p.size > 1:
        yield "the leaf hash for a root", p.but(root=reader.leaf_hash(p.entry))
        yield "root of one entry less", p.but(root=sample.inclusion(0, p.size - 1).root)
    yield "entry changed", p.but(entry=forged_entry(p.entry))
    yield "first byte of the entry changed", p.but(entry=flipped(p.entry, 0))
    yield "entry cut by a byte", p.but(entry=p.entry[:-1])
    yield "entry with a byte more", p.but(entry=p.entry + b"\0")
    yield "entry with the leaf prefix before it", p.but(entry=b"\0" + p.entry)
    yield "empty entry", p.but(entry=b"")
    yield "another entry", p.but(entry=sample.entries[p.index + 1 if p.index + 1 < SIZE else 1])
    if p.path:
        pair = [p.path[0], reader.leaf_hash(p.entry)]
        if shape()[0] == "right":
            pair.reverse()
        yield "an inner node passed off as an entry", p.but(
            entry=b"".join(pair), path=p.path[1:], index=p.index >> 1, size=(p.size + 1) >> 1)


def forged_proofs(sample):
    """Proofs from the files after an entry was forged, together with every tile up to some level."""
    for name, level, tile, slot in places(sample):
        index = leaf_under(level, tile, slot)
        changes = forge(sample, index, level)
        with applied(sample.directory, changes):
            forged = sample.inclusion(index, SIZE, forged_entry(sample.entries[index]))
            beside = sample.inclusion(index ^ 1 if index ^ 1 < SIZE else index - 1)
        forged.root = beside.root = sample.head
        yield f"forged up to the {name}", forged
        if beside.path != sample.inclusion(beside.index).path:
            yield f"beside what is forged up to the {name}", beside


def consistency_mutations(sample, p):
    def shape(first=p.first, second=p.second):
        return consistency_shape(first, second, len(p.path))

    if p.first < p.second:
        for name, path in path_mutations(p.path):
            yield name, p.but(path=path)
        for name, step in (("first size larger", 1), ("first size smaller", -1)):
            first = other_number(p.first, lambda s: shape(first=s), step)
            if first is not None and first <= p.second:
                yield name, p.but(first=first)
        for name, step in (("second size larger", 1), ("second size smaller", -1)):
            second = other_number(p.second, lambda s: shape(second=s), step)
            if second is not None:
                yield name, p.but(second=second)
        yield "sizes swapped", p.but(first=p.second, second=p.first)
        yield "roots swapped", p.but(first_root=p.second_root, second_root=p.first_root)
        yield "both sizes the second", p.but(first=p.second)
        yield "the second root twice", p.but(first_root=p.second_root)
        yield "the first root twice", p.but(second_root=p.first_root)
        yield "an inclusion proof in its place", p.but(path=sample.inclusion(p.first - 1, p.second).path +
                                                       [bytes(32)])
    else:
        yield "equal sizes and a hash", p.but(path=[p.first_root])
        yield "equal sizes and other roots", p.but(first_root=flipped(p.first_root))
        yield "sizes 2^62 and other roots", p.but(first=1 << 62, second=1 << 62,
                                                  first_root=flipped(p.first_root))
    yield "first root changed", p.but(first_root=flipped(p.first_root))
    yield "second root changed", p.but(second_root=flipped(p.second_root))
    yield "first root of zeros", p.but(first_root=bytes(32))
    yield "second root of zeros", p.but(second_root=bytes(32))
    yield "first root of the empty tree", p.but(first_root=hashlib.sha256(b"").digest())
    if p.first > 1:
        yield "first root of one entry less", p.but(
            first_root=sample.consistency(p.first - 1, p.first).first_root)
    yield "first size 2^62", p.but(first=1 << 62)
    yield "second size 2^62", p.but(second=1 << 62) if p.first < p.second else p.but(
        second=1 << 62, second_root=flipped(p.second_root))
    yield "second size 0", p.but(second=0)


def forged_histories(sample):
    """The older root, and the proof, are of a tree in which an entry is another; the newer root is right."""
    for name, level, tile, slot in places(sample):
        index, found = leaf_under(level, tile, slot), []
        with applied(sample.directory, forge(sample, index, level)):
            for first in sorted({index + 1, min(SIZE - 1, (index | 255) + 1), min(SIZE - 1, (index | 65535) + 1)}):
                forged = sample.consistency(first)
                forged.second_root = sample.head
                found.append((first, forged))
        for first, forged in found:
            honest = sample.consistency(first)
            if (forged.first_root, forged.path) != (honest.first_root, honest.path):
                yield f"forged up to the {name}", forged


# ---- signed notes ----

def private(name):
    return Ed25519PrivateKey.from_private_bytes(bytes([SEEDS[name]]) * 32)


def signature_line(name, key_id, blob):
    return DASH + b" " + name.encode() + b" " + base64.b64encode(key_id + blob) + b"\n"


def vkey_of(name, kind, seed):
    public = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32).public_key().public_bytes(
        Encoding.Raw, PublicFormat.Raw)
    key = reader.Key(name, kind, public)
    return f"{name}+{key.id.hex()}+{base64.b64encode(bytes([kind]) + public).decode()}"


def cosigned(text, time):
    return b"cosignature/v1\ntime %d\n" % time + text


def line_of(sample, vkey):
    name = vkey.split("+")[0]
    return next((key_id, blob) for line_name, key_id, blob in sample.lines if line_name == name)


def text_mutations(text):
    origin, size, root = text.decode().splitlines()
    other = base64.b64encode(flipped(base64.b64decode(root))).decode()

    def lines(*words):
        return "".join(word + "\n" for word in words).encode()
    yield "size one larger", lines(origin, str(int(size) + 1), root)
    yield "size one smaller", lines(origin, str(int(size) - 1), root)
    yield "size with a zero before it", lines(origin, "0" + size, root)
    yield "size with a sign", lines(origin, "+" + size, root)
    yield "size 0", lines(origin, "0", root)
    yield "root changed", lines(origin, size, other)
    yield "root cut", lines(origin, size, root[:-4])
    yield "another origin", lines(origin.replace("haiti", "congo"), size, root)
    yield "another epoch of the origin", lines(origin.replace("/1-", "/2-"), size, root)
    yield "origin in capitals", lines(origin.upper(), size, root)
    yield "text with a line more", lines(origin, size, root, "another line")
    yield "text with an empty line more", lines(origin, size, root, "")
    yield "text without its last line", lines(origin, size)
    yield "text with its lines swapped", lines(origin, root, size)
    yield "text with CRLF", text.replace(b"\n", b"\r\n")
    yield "text with a blank at a line's end", lines(origin + " ", size, root)
    yield "text with a tab", lines(origin, "\t" + size, root)
    yield "text with a zero byte", text.replace(b"/", b"\0", 1)
    yield "text with a byte that is not UTF-8", text.replace(b"/", b"\xff", 1)
    yield "text in UTF-8 with a mark before it", b"\xef\xbb\xbf" + text


def line_mutations(name, key_id, blob, signature_size):
    """(name, line) of one signature line, whatever it signs; the signature stands at its end."""
    first = len(blob) - signature_size
    good = signature_line(name, key_id, blob)
    for what, at in (("first byte of the signature", first), ("middle of the signature", first + 33),
                     ("last byte of the signature", len(blob) - 1)):
        yield f"{what} changed", signature_line(name, key_id, flipped(blob, at))
    yield "signature of zeros", signature_line(name, key_id, blob[:first] + bytes(signature_size))
    yield "signature's halves swapped", signature_line(
        name, key_id, blob[:first] + blob[first + 32:] + blob[first:first + 32])
    yield "signature with the group's order added", signature_line(
        name, key_id, blob[:first + 32] + unreduced(blob[first + 32:]))
    yield "signature cut by a byte", signature_line(name, key_id, blob[:-1])
    yield "signature with a byte more", signature_line(name, key_id, blob + b"\0")
    yield "no signature, key id alone", signature_line(name, key_id, b"")
    yield "another key id", signature_line(name, flipped(key_id), blob)
    yield "another name", signature_line(name + "x", key_id, blob)
    yield "a hyphen for the dash", b"-" + good[len(DASH):]
    yield "no blank between name and signature", good.replace(name.encode() + b" ", name.encode())
    yield "signature in base64 without its padding", good.replace(b"=\n", b"\n").replace(b"=\n", b"\n") \
        if good.endswith(b"=\n") else good[:-2] + b"\n"
    yield "signature line with CRLF", good[:-1] + b"\r\n"
    yield "no newline at the end", good[:-1]
    yield "no signature line", b""


def unreduced(s):
    """S + L: the same signature to a verifier that does not look (RFC 8032 5.1.7)."""
    order = 2 ** 252 + 27742317777372353535851937790883648493
    return (int.from_bytes(s, "little") + order).to_bytes(32, "little")


def notes(sample):
    """The checkpoint with every signature line, and with the log's alone."""
    key_id, blob = line_of(sample, sample.vkey)
    yield "checkpoint with its cosignatures", sample.vkey, sample.note
    yield "checkpoint alone", sample.vkey, sample.text + b"\n" + signature_line(ORIGIN, key_id, blob)


def note_mutations(sample):
    """(name, vkey, note), with the log's line alone: a program that wants all lines good sees no others."""
    text, key = sample.text, private(ORIGIN)
    key_id, blob = line_of(sample, sample.vkey)
    line = signature_line(ORIGIN, key_id, blob)
    for name, changed in text_mutations(text):
        yield name, sample.vkey, changed + b"\n" + line
    for name, changed in line_mutations(ORIGIN, key_id, blob, 64):
        yield name, sample.vkey, text + b"\n" + changed
    yield "no empty line", sample.vkey, text + line
    yield "another log's key", vkey_of(ORIGIN, 1, 0x77), text + b"\n" + line
    other = vkey_of(ORIGIN, 1, 0x77)
    forged = Ed25519PrivateKey.from_private_bytes(b"\x77" * 32).sign(text)
    yield "signed by another key with this key's id", sample.vkey, \
        text + b"\n" + signature_line(ORIGIN, key_id, forged)
    yield "signed by another key with its own id", sample.vkey, \
        text + b"\n" + signature_line(ORIGIN, bytes.fromhex(other.split("+")[1]), forged)
    older = text.replace(str(SIZE).encode(), b"1000")
    yield "signature of an older text", sample.vkey, \
        text + b"\n" + signature_line(ORIGIN, key_id, key.sign(older))
    yield "signature without the last newline", sample.vkey, \
        text + b"\n" + signature_line(ORIGIN, key_id, key.sign(text[:-1]))
    yield "signature with the empty line", sample.vkey, \
        text + b"\n" + signature_line(ORIGIN, key_id, key.sign(text + b"\n"))
    yield "signature of a hash of the text", sample.vkey, \
        text + b"\n" + signature_line(ORIGIN, key_id, key.sign(hashlib.sha256(text).digest()))
    yield "a cosignature by the log's key", sample.vkey, \
        text + b"\n" + signature_line(ORIGIN, key_id, key.sign(cosigned(text, 1767225600)))


def cosigned_notes(sample):
    for vkey in sample.cosigners:
        yield f"cosigned by {vkey.split('+')[0]}", vkey, sample.note


def cosignature_mutations(sample):
    text, own = sample.text, signature_line(ORIGIN, *line_of(sample, sample.vkey))
    for vkey in sample.cosigners:
        name = vkey.split("+")[0]
        key_id, blob = line_of(sample, vkey)
        line, time = signature_line(name, key_id, blob), int.from_bytes(blob[:8], "big")
        key = private(name)

        def noted(changed, text=text):
            return text + b"\n" + own + changed

        def timed(seconds):
            return noted(signature_line(name, key_id, seconds.to_bytes(8, "big") + blob[8:]))

        def signed(message, by=key):
            return noted(signature_line(name, key_id, blob[:8] + by.sign(message)))
        for what, changed in text_mutations(text):
            yield what, vkey, noted(line, changed)
        for what, changed in line_mutations(name, key_id, blob, 64):
            yield what, vkey, noted(changed)
        yield "a second later", vkey, timed(time + 1)
        yield "a second earlier", vkey, timed(time - 1)
        yield "a day earlier", vkey, timed(time - 86400)
        yield "time 0", vkey, timed(0)
        yield "time beyond 2^63", vkey, timed(1 << 63)
        yield "time with its bytes turned round", vkey, timed(int.from_bytes(blob[:8], "little"))
        yield "without a time", vkey, noted(signature_line(name, key_id, blob[8:]))
        yield "over an older text", vkey, signed(cosigned(text.replace(b"%d" % SIZE, b"1000"), time))
        yield "over another origin's text", vkey, signed(cosigned(text.replace(b"haiti", b"congo"), time))
        yield "a log's signature with a time before it", vkey, signed(text)
        yield "without the words cosignature/v1", vkey, signed(b"time %d\n" % time + text)
        yield "with cosignature/v2", vkey, signed(cosigned(text, time).replace(b"/v1", b"/v2"))
        yield "without the last newline", vkey, signed(cosigned(text, time)[:-1])
        yield "signed by the log's key", vkey, signed(cosigned(text, time), private(ORIGIN))
        other = next(v for v in sample.cosigners if v != vkey)
        yield "the other cosigner's under this name", vkey, \
            noted(signature_line(name, key_id, line_of(sample, other)[1]))
        yield "another key of that name", vkey_of(name, 4, 0x77), sample.note
        yield "its key as a log's key", vkey_of(name, 1, SEEDS[name]), sample.note


def signed_for(sample, proof):
    """A checkpoint of that size and root, signed whatever they are: it is the proof that must not fit."""
    text = f"{ORIGIN}\n{proof.size}\n".encode() + base64.b64encode(proof.root) + b"\n"
    key_id = reader.Key.parse(sample.vkey).id
    return text + b"\n" + signature_line(ORIGIN, key_id, private(ORIGIN).sign(text))


# ---- files ----

@contextmanager
def applied(directory, changes):
    """The files of `changes` (None: gone) in place of what was there, for as long as it takes."""
    before = {}
    try:
        for name, data in changes.items():
            path = directory / name
            before[path] = path.read_bytes() if path.exists() else None
            put(path, data)
        yield
    finally:
        for path, data in before.items():
            put(path, data)


def put(path, data):
    if data is not None:
        path.write_bytes(data)
    elif path.exists():
        path.unlink()


def bundle_mutations(sample, which, index):
    """Of a bundle, with nothing else changed, or with its leaf hashes."""
    entries = sample.bundle(index)
    name = reader.tile_name("entries", index, len(entries))
    tile = reader.tile_name(0, index, len(entries))
    data = bundle_bytes(entries)
    at = len(entries) // 2

    def both(changed):
        return {name: bundle_bytes(changed), tile: b"".join(reader.leaf_hash(e) for e in changed)}

    def swapped(items):
        items = list(items)
        items[at], items[at - 1] = items[at - 1], items[at]
        return items
    for what, changed in (("an entry changed", entries[:at] + [forged_entry(entries[at])] + entries[at + 1:]),
                          ("two entries swapped", swapped(entries)),
                          ("an entry removed", entries[:at] + entries[at + 1:]),
                          ("the last entry removed", entries[:-1]),
                          ("an entry twice", entries[:at] + entries[at:at + 1] + entries[at:]),
                          ("an entry added", entries + [b"one more"]),
                          ("an empty entry", entries[:at] + [b""] + entries[at + 1:])):
        yield f"{what} in the {which} bundle", {name: bundle_bytes(changed)}
        if len(changed) <= 256:
            yield f"{what} in the {which} bundle, and in its tile", both(changed)
    yield f"{which} bundle cut by a byte", {name: data[:-1]}
    yield f"{which} bundle with a byte more", {name: data + b"\0"}
    yield f"a length changed in the {which} bundle", {name: flipped(data, 1)}
    yield f"{which} bundle empty", {name: b""}
    yield f"{which} bundle gone", {name: None}


def file_mutations(sample):
    """(name, changes)"""
    for which, index in (("first", 0), ("middle", 256), ("last", sample.tiles(0) - 1)):
        yield from bundle_mutations(sample, which, index)
    for name, level, tile, slot in places(sample):
        hashes = sample.tile(level, tile)
        path = reader.tile_name(level, tile, len(hashes))
        data = b"".join(hashes)
        yield f"a hash changed in the {name}", {path: flipped(data, 32 * slot + 7)}
        yield f"{name} cut by a hash", {path: data[:-32]}
        yield f"{name} with a hash more", {path: data + bytes(32)}
        yield f"{name} gone", {path: None}
        if len(hashes) > 1:
            yield f"two hashes swapped in the {name}", {path: data[32:64] + data[:32] + data[64:]}
        yield f"forged up to the {name}", forge(sample, leaf_under(level, tile, slot), level)
    yield "two bundles exchanged", exchanged(sample, ("entries",))
    yield "two bundles exchanged, and their tiles", exchanged(sample, ("entries", 0))
    top = len(sample.levels) - 1
    yield "forged up to the root of the text", {
        **forge(sample, 5, top), "checkpoint": retexted(sample, forge(sample, 5, top), top)}
    for name, _, note in note_mutations(sample):
        if name in ("size one larger", "size one smaller", "root changed", "text with a line more",
                    "text with CRLF", "another origin", "no signature line", "no newline at the end",
                    "signature of an older text", "signed by another key with this key's id",
                    "signed by another key with its own id"):
            yield f"checkpoint: {name}", {"checkpoint": note}
    yield "checkpoint empty", {"checkpoint": b""}
    yield "checkpoint gone", {"checkpoint": None}
    yield "checkpoint of another log", {"checkpoint": next(
        p for p in sample.root.glob("*/hq/*/checkpoint")).read_bytes()}


def exchanged(sample, levels):
    changes = {}
    for level in levels:
        for index, other in ((7, 8), (8, 7)):
            data = bundle_bytes(sample.bundle(other)) if level == "entries" else \
                b"".join(sample.tile(0, other))
            changes[reader.tile_name(level, index, 256)] = data
    return changes


def retexted(sample, changes, top):
    """The checkpoint with the root of the forged tree in its text, and the old signatures."""
    log = reader.Log(sample.root, ORIGIN)
    log.levels = [list(level) for level in sample.levels]
    for level in range(top + 1):
        for path, data in changes.items():
            parsed = reader.name_tile(path)
            if parsed and parsed[0] == level:
                log.levels[level][parsed[1] * 256:parsed[1] * 256 + parsed[2]] = \
                    [data[i:i + 32] for i in range(0, len(data), 32)]
    root = base64.b64encode(log.subtree(0, SIZE))
    assert root != base64.b64encode(sample.head)
    return sample.note.replace(base64.b64encode(sample.head), root)


# ---- the verdict ----

class Run:
    """What one verifier says. ask(case) gives a line, "ok .." or "no ..". blind: {name: why it cannot
    see that}, and then it must indeed not see it."""

    def __init__(self, verifier):
        self.verifier = verifier

    def all(self, kind, honest, mutations, ask, blind=None, least=LEAST):
        blind = blind or {}
        good, refused, missed, accepted = 0, Counter(), Counter(), {}
        for case in honest:
            said = ask(case)
            if not said.startswith("ok"):
                sys.exit(f"{self.verifier}: {kind}: refused what is right: {case}: {said}")
            good += 1
        for name, case in mutations:
            said = ask(case)
            if not said.startswith("ok"):
                refused[name] += 1
            elif name in blind:
                missed[name] += 1
            else:
                accepted.setdefault(name, f"{str(case)[:300]}: {said}")
        for name, what in accepted.items():
            print(f"{self.verifier}: {kind}: ACCEPTED: {name}: {what}")
        if accepted:
            sys.exit(1)
        print(f"{self.verifier}: {kind}: {good} accepted; {sum(refused.values())} refused, in "
              f"{len(refused)} ways:")
        print(textwrap.fill("; ".join(name + (f" ({count})" if count > 1 else "")
                                      for name, count in refused.items()),
                            width=100, initial_indent="    ", subsequent_indent="    "))
        for name in blind:
            if missed[name] == 0:
                sys.exit(f"{self.verifier}: {kind}: sees '{name}' by now: take it out of the table")
            print(f"    not seen: {name}: {blind[name]}")
        if good == 0 or len(refused) < least:
            sys.exit(f"{self.verifier}: {kind}: {good} accepted, {len(refused)} ways: too few")

    def notes(self, sample, ask, blind=None):
        self.all("notes", notes_of(notes(sample)), named(note_mutations(sample)),
                 lambda case: ask(*case), blind)

    def cosignatures(self, sample, ask, blind=None):
        self.all("cosignatures", notes_of(cosigned_notes(sample)), named(cosignature_mutations(sample)),
                 lambda case: ask(*case), blind)

    def inclusion(self, sample, ask, blind=None, every=1):
        honest = list(inclusion_proofs(sample))[::every]
        cases = [case for p in honest for case in inclusion_mutations(sample, p)]
        self.all("inclusion proofs", honest, cases + list(forged_proofs(sample)), ask, blind)

    def consistency(self, sample, ask, blind=None):
        honest = list(consistency_proofs(sample))
        cases = [case for p in honest for case in consistency_mutations(sample, p)]
        self.all("consistency proofs", honest, cases + list(forged_histories(sample)), ask, blind)

    def files(self, sample, ask, blind=None, only=None, least=LEAST):
        def with_files(changes):
            with applied(sample.directory, changes):
                return ask()
        cases = [c for c in file_mutations(sample) if only is None or only(c[0])]
        self.all("exported files", [{}], cases, with_files, blind, least)
        if not ask().startswith("ok"):
            sys.exit(f"{self.verifier}: exported files: refused in the end what was right before")


def notes_of(cases):
    return [(vkey, note) for _, vkey, note in cases]


def named(cases):
    return [(name, (vkey, note)) for name, vkey, note in cases]
