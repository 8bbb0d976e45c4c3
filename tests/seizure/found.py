"""What lies in seized files: everything that has one of Sauti's shapes, whatever table, file or free page
it lies in. Written from docs/FORMAT alone; nothing of Sauti's own code is used."""
import struct
from pathlib import Path

PAGE = 4096


def fields(data):
    """The fields of a protobuf message, as (number, value); None when it is none."""
    found, at = [], 0
    while at < len(data):
        key, at = varint(data, at)
        if key is None or key >> 3 == 0:
            return None
        kind = key & 7
        if kind == 0:
            value, at = varint(data, at)
            if value is None:
                return None
        elif kind == 2:
            size, at = varint(data, at)
            if size is None or at + size > len(data):
                return None
            value, at = data[at:at + size], at + size
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            if at + size > len(data):
                return None
            value, at = data[at:at + size], at + size
        else:
            return None
        found.append((key >> 3, value))
    return found


def varint(data, at):
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            return None, at
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    return None, at


def first(message, number, kind=bytes):
    """The last field of that number, as proto3 has it; of the wanted type, or its empty value."""
    values = [v for n, v in message or () if n == number and isinstance(v, kind)]
    return values[-1] if values else kind()


def lmdb_items(data):
    """Every (key, value) on every leaf page of an LMDB file, in use or not."""
    for base in range(0, len(data) - PAGE + 1, PAGE):
        page = data[base:base + PAGE]
        flags, lower, upper = struct.unpack_from("<HHH", page, 10)
        if not flags & 0x02 or not 16 <= lower <= upper <= PAGE:
            continue
        for slot in range(16, lower, 2):
            node, = struct.unpack_from("<H", page, slot)
            if node + 8 > PAGE:
                continue
            low, high, node_flags, key_size = struct.unpack_from("<HHHH", page, node)
            size, start = low | high << 16, node + 8 + key_size
            key = page[node + 8:start]
            if node_flags & 0x01:  # on pages of its own
                number, = struct.unpack_from("<Q", page, start)
                value = data[number * PAGE + 16:number * PAGE + 16 + size]
            else:
                value = page[start:start + size]
            if len(key) == key_size and len(value) == size:
                yield key, value


class Evidence:
    """All that was seized, by shape."""

    def __init__(self):
        self.keystores = set()   # bytes of keystore files
        self.rows = set()        # (name of 16 bytes, value) of keyrings
        self.drafts = set()      # (number, bytes)
        self.sealed_mail = {}    # MailBody bytes -> its fields
        self.entries = {}        # locator -> list of (salt, commitment, body)
        self.records = {}        # bytes of a Record's body -> type
        self.origins = set()
        self.seen = set()

    def add_tree(self, *roots):
        for root in roots:
            for path in sorted(Path(root).rglob("*")) if Path(root).is_dir() else [Path(root)]:
                if path.is_file() and not path.is_symlink():
                    self.add_file(path)

    def add_file(self, path):
        data = path.read_bytes()
        if data[:8] == b"SAUTIDRF" and path.name.isdigit():
            self.drafts.add((int(path.name), data))
        keystore = fields(data) if len(data) <= 65536 else None
        if keystore and len(first(keystore, 3)) == 12 and len(first(fields(first(keystore, 2)), 5)) == 16:
            self.keystores.add(data)
        if len(data) % PAGE == 0:
            for key, value in lmdb_items(data):
                if len(key) == 16:
                    self.rows.add((key, value))
                self.add_blob(value)
                self.add_blob(value[:-8])  # behind a row's value may stand a check
        self.add_stream(data)
        self.add_tile(data)

    def add_stream(self, data):
        """Frames, wherever they begin: captures and bundles."""
        at = 0
        while at + 4 <= len(data):
            size, = struct.unpack_from(">I", data, at)
            frame = data[at + 4:at + 4 + size]
            if 1 <= size <= 1 << 20 and len(frame) == size and fields(frame) is not None:
                self.walk(frame)
                at += 4 + size
            else:
                at += 1

    def add_tile(self, data):
        """An entry tile: u16be length || entry, and so on."""
        at = 0
        while at + 2 <= len(data):
            size, = struct.unpack_from(">H", data, at)
            if size == 0 or at + 2 + size > len(data):
                return
            self.add_blob(data[at + 2:at + 2 + size])
            at += 2 + size

    def add_blob(self, data):
        if data and data not in self.seen and len(data) <= 1 << 20:
            self.seen.add(data)
            self.walk(data)

    def walk(self, data, depth=0):
        """Whatever this message is, and whatever is inside it."""
        message = fields(data)
        if message is None or depth > 8:
            return
        self.judge(data, message)
        for _, value in message:
            if isinstance(value, bytes) and len(value) > 24:
                self.walk(value, depth + 1)

    def judge(self, data, message):
        if len(first(message, 2)) == 16 and first(message, 3) and first(message, 4) and first(message, 8):
            self.sealed_mail[data] = message
        if len(first(message, 2)) == 16 and len(first(message, 3)) == 16 and len(first(message, 4)) == 32:
            self.entries.setdefault(first(message, 3), []).append(
                (first(message, 2), first(message, 4), first(message, 5)))
        if first(message, 1, int) and first(message, 2) and len(first(message, 3)) == 64:
            self.records[first(message, 2)] = first(message, 1, int)
            body = fields(first(message, 2))
            if first(message, 1, int) == 1 and body:
                for number in (1, 3):
                    if first(body, number):
                        self.origins.add(first(body, number))
