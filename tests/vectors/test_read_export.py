#!/usr/bin/env python3
"""The reader of exports against lies. A verifier that looks at some tiles only is perfect on honest
data: so entries are forged together with their leaf hashes and with every parent above, at the first,
a middle and the last tile of each level, and every tile is changed alone; and the committed export is
changed a byte at a time."""
import contextlib
import hashlib
import io
import random
import shutil
import struct
import sys
import tempfile
import unittest
from pathlib import Path

import read_export as reader
from open_vectors import tree_files

try:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
except ImportError as missing:
    print(f"skipped: {missing}; install python3-cryptography")
    sys.exit(77)

FIXTURE = Path(__file__).resolve().parent / "export"
ORIGIN = "ovra.example/haiti/1-00112233445566aa"
SIZE = 66000  # level 0: 258 tiles, level 1: a full and a partial one, level 2: one hash


def field(number, data):
    def varint(n):
        return bytes([n & 127 | 128]) + varint(n >> 7) if n > 127 else bytes([n])
    return varint(number << 3 | 2) + varint(len(data)) + data


class Large(unittest.TestCase):
    """A log of its own making, large enough for three levels."""

    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="sauti-read-")
        cls.root = Path(cls.scratch.name)
        cls.log = cls.root / ORIGIN
        key = Ed25519PrivateKey.from_private_bytes(bytes(32))
        public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        opened = field(1, ORIGIN.encode()) + field(2, public)
        cls.first = field(2, b"\x08\x01" + field(2, opened) + field(3, bytes(64)))
        cls.entries = [cls.first] + [b"entry %d" % i for i in range(1, SIZE)]
        cls.build()
        text = f"{ORIGIN}\n{SIZE}\n".encode() + reader.base64.b64encode(cls.root_hash) + b"\n"
        k = reader.Key(ORIGIN, reader.NOTE, public)
        blob = reader.base64.b64encode(k.id + key.sign(text)).decode()
        cls.put("checkpoint", text + f"\n\u2014 {ORIGIN} {blob}\n".encode())
        (cls.root / reader.MARK).write_bytes(reader.MARK_TEXT)

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    @classmethod
    def put(cls, name, data):
        path = cls.log / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    @classmethod
    def build(cls):
        cls.levels, hashes = [], [reader.leaf_hash(e) for e in cls.entries]
        for index in range((SIZE + 255) // 256):
            cls.put_bundle(index)
        while hashes:
            cls.levels.append(hashes)
            hashes = [cls.reduce(hashes[i:i + 256]) for i in range(0, len(hashes) - 255, 256)]
        for level, hashes in enumerate(cls.levels):
            for index in range((len(hashes) + 255) // 256):
                cls.put_tile(level, index)
        log = reader.Log(cls.root, ORIGIN)
        log.levels = cls.levels
        cls.root_hash = log.subtree(0, SIZE)

    @staticmethod
    def reduce(tile):
        while len(tile) > 1:
            tile = [reader.node_hash(*pair) for pair in zip(tile[::2], tile[1::2])]
        return tile[0]

    @classmethod
    def put_bundle(cls, index):
        part = cls.entries[index * 256:(index + 1) * 256]
        cls.put(reader.tile_name("entries", index, len(part)),
                b"".join(struct.pack(">H", len(e)) + e for e in part))

    @classmethod
    def put_tile(cls, level, index):
        tile = cls.levels[level][index * 256:(index + 1) * 256]
        cls.put(reader.tile_name(level, index, len(tile)), b"".join(tile))

    def refused(self, *says):
        with self.assertRaises(reader.Bad) as caught:
            reader.check_export(self.root, say=lambda line: None)
        for text in says:
            self.assertIn(text, str(caught.exception))

    def test_a_honest_one_is_good(self):
        reader.check_export(self.root, say=lambda line: None)

    @contextlib.contextmanager
    def forged(self, index, up_to):
        """Entry `index` is another, and so are the hashes above it, in tiles of levels <= up_to."""
        kept, old = [list(hashes) for hashes in self.levels], self.entries[index]
        self.entries[index] = b"forged " + old[:200]
        self.put_bundle(index // 256)
        node, at = reader.leaf_hash(self.entries[index]), index
        for level in range(up_to + 1):
            if at >= len(self.levels[level]):
                break
            self.levels[level][at] = node
            self.put_tile(level, at // 256)
            tile = self.levels[level][at // 256 * 256:at // 256 * 256 + 256]
            if len(tile) < 256:
                break
            node, at = self.reduce(tile), at // 256
        try:
            yield
        finally:
            self.levels[:], self.entries[index], at = kept, old, index
            self.put_bundle(index // 256)
            for level in range(len(self.levels)):
                if at < len(self.levels[level]):
                    self.put_tile(level, at // 256)
                at //= 256

    def test_forged_entries(self):
        """In the first, a middle and the last tile; alone, with the leaf, with all above it."""
        for index in (0, 255, 256, 33000, 65535, 65536, SIZE - 1):
            for up_to in (-1, 0, 1, 2):
                with self.subTest(index=index, up_to=up_to), self.forged(index, up_to):
                    if up_to == -1:
                        self.refused(f"index {index}:", "is not that of the entries")
                    else:
                        self.refused(f"{ORIGIN}/")
        reader.check_export(self.root, say=lambda line: None)

    def test_forged_tiles(self):
        """One hash of one tile is another; first, middle and last, of tiles first, middle and last."""
        for level, hashes in enumerate(self.levels):
            tiles = (len(hashes) + 255) // 256
            for index in sorted({0, tiles // 2, tiles - 1}):
                width = min(256, len(hashes) - index * 256)
                for i in sorted({0, width // 2, width - 1}):
                    with self.subTest(level=level, index=index, hash=i):
                        at = index * 256 + i
                        hashes[at] = bytes(reversed(hashes[at]))
                        self.put_tile(level, index)
                        self.refused(reader.tile_name(level, index, width), f"hash {i} ",
                                     f"index {at << 8 * level}:")
                        hashes[at] = bytes(reversed(hashes[at]))
                        self.put_tile(level, index)

    def test_full_tile_in_place_of_a_partial_one(self):
        """As a client does when the log has grown meanwhile: the beginning counts."""
        partial = reader.tile_name(2, 0, 1)
        full = self.log / reader.tile_name(2, 0, 256)
        tile = (self.log / partial).read_bytes()
        (self.log / partial).unlink()
        try:
            full.write_bytes(tile + bytes(255 * 32))
            reader.check_export(self.root, say=lambda line: None)
            full.write_bytes(tile + bytes(254 * 32))
            self.refused("tile/2/000", "has 8160 bytes")
        finally:
            full.unlink()
            self.put(partial, tile)


class Fixture(unittest.TestCase):
    """The committed export."""

    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory(prefix="sauti-read-")
        self.addCleanup(self.scratch.cleanup)
        self.root = Path(self.scratch.name) / "export"
        shutil.copytree(FIXTURE, self.root)

    def run_reader(self, *arguments):
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            status = reader.main([str(self.root), *arguments])
        return status, out.getvalue()

    def test_changed_bytes(self):
        """Every byte of small files, some of the large ones; the file is named."""
        chance = random.Random(3)
        for path in sorted(p for p in self.root.rglob("*") if p.is_file()):
            data = path.read_bytes()
            name = path.relative_to(self.root).as_posix()
            every = range(len(data)) if len(data) < 900 else chance.sample(range(len(data)), 60)
            for at in every:
                changed = bytearray(data)
                changed[at] ^= 1 << chance.randrange(8)
                path.write_bytes(changed)
                status, said = self.run_reader()
                self.assertEqual(status, 1, f"{name}, byte {at}")
                self.assertTrue(said.splitlines()[-1].startswith("BAD  "), said)
                if path.name != "checkpoint" and "/tile/entries/" not in name:
                    self.assertIn(name, said)
            for changed in (data[:-1], data + b"\0", b""):
                path.write_bytes(changed)
                self.assertEqual(self.run_reader()[0], 1, name)
            path.write_bytes(data)
        self.assertEqual(self.run_reader()[0], 0)

    def test_missing_and_strange_files(self):
        older = {f"{ORIGIN}/tile/0/001.p/2", f"{ORIGIN}/tile/entries/001.p/2"}
        for path in sorted(p for p in self.root.rglob("*") if p.is_file()):
            data = path.read_bytes()
            path.unlink()
            name = path.relative_to(self.root).as_posix()
            self.assertEqual(self.run_reader()[0], 0 if name in older else 1, name)
            path.write_bytes(data)
        for name in ("strange", "ovra.example/strange", f"{ORIGIN}/strange", f"{ORIGIN}/tile/0/1",
                     f"{ORIGIN}/tile/0/x000/000"):
            (self.root / name).parent.mkdir(exist_ok=True)
            (self.root / name).write_bytes(b"x")
            status, said = self.run_reader()
            self.assertEqual(status, 1, name)
            self.assertIn(name, said)
            (self.root / name).unlink()
        (self.root / ORIGIN / "tile/0/x000").rmdir()

    def test_the_list_of_logs(self):
        path, both = self.root / "logs", ["ovra.example/directory/1-ddddddddddddddaa", ORIGIN]
        for lines, status in ((both, 0), (both[1:], 0), ([], 0), (both[::-1], 1), (both + both[1:], 1),
                              (both + ["ovra.example/sudan/1-0000000000000001"], 1), (both + [""], 1)):
            path.write_text("".join(line + "\n" for line in lines))
            self.assertEqual(self.run_reader()[0], status, lines)
        path.write_text(ORIGIN)
        self.assertEqual(self.run_reader()[0], 1)

    def test_proofs_of_forks(self):
        path = self.root / "evidence"
        for data, status in ((b"", 0), (b"\0\0\0\1x", 0), (b"\0\0\0\1x\0\0\0\2yz", 0), (b"\0\0\0\2x", 1),
                             (b"\0\0\0", 1), (b"\0\0\0\0", 1), (b"\0\0\x40\0" + b"x" * 16384, 0),
                             (b"\0\0\x40\1" + b"x" * 16385, 1)):
            path.write_bytes(data)
            self.assertEqual(self.run_reader()[0], status, data[:10])

    def test_an_interrupted_export(self):
        """Files behind the checkpoint, and temporary ones, do no harm; they are counted."""
        log = self.root / ORIGIN
        (log / ".new").mkdir()
        (log / ".new/0").write_bytes(b"half a ti")
        (log / "tile/0/001").write_bytes(bytes(8192))
        status, said = self.run_reader()
        self.assertEqual(status, 0, said)
        self.assertIn("1 files behind its checkpoint", said)

    def test_keys(self):
        log = reader.Log(FIXTURE, ORIGIN)
        log.load()
        key = reader.Key(ORIGIN, reader.NOTE, reader.parse_opened(log.entries[0])[1])
        other = reader.Key(ORIGIN, reader.NOTE, hashlib.sha256(b"other").digest())

        def vkey(k):
            return f"{k.name}+{k.id.hex()}+{reader.base64.b64encode(bytes([k.kind]) + k.public).decode()}"
        status, said = self.run_reader("--key", vkey(key))
        self.assertEqual(status, 0, said)
        self.assertNotIn(f"{ORIGIN}: 260 entries, 1 cosignatures, key from", said)
        status, said = self.run_reader("--key", vkey(other))
        self.assertEqual(status, 1)
        self.assertIn("another key than --key", said)
        self.assertEqual(self.run_reader("--key", vkey(key)[:-2])[0], 2)
        self.assertEqual(self.run_reader("--what")[0], 2)

    def test_without_the_directory(self):
        """The log alone can be checked; its mirrors cannot be named."""
        shutil.rmtree(self.root / "ovra.example/directory")
        status, said = self.run_reader()
        self.assertEqual(status, 0, said)
        self.assertIn("1 of mirrors that are not known", said)

    def test_moved(self):
        """The path is the origin."""
        (self.root / ORIGIN).rename(self.root / "ovra.example/haiti/1-0000000000000000")
        status, said = self.run_reader()
        self.assertEqual(status, 1)
        self.assertIn("is of another origin than its path", said)


class Names(unittest.TestCase):
    def test_paths(self):
        for level, index, width, path in [
                (0, 0, 256, "tile/0/000"), (2, 1234067, 256, "tile/2/x001/x234/067"),
                ("entries", 273, 112, "tile/entries/273.p/112"), (1, 1000, 1, "tile/1/x001/000.p/1")]:
            self.assertEqual(reader.tile_name(level, index, width), path)
            self.assertEqual(reader.name_tile(path), (level, index, width))
        for path in ("tile/0/x000/001", "tile/0/00", "tile/7/000", "tile/0/000.p/256"):
            self.assertIsNone(reader.name_tile(path))

    def test_trees_of_every_size(self):
        """Proofs between all sizes up to 40 verify."""
        _, levels = tree_files(40)
        for n in range(1, 41):
            log = reader.Log(".", "unused")
            log.size, log.levels = n, levels
            log.root = log.subtree(0, n)
            for m in range(1, n + 1):
                reader.check_consistency(m, log.subtree(0, m), n, log.root, log.consistency(m))
                proof = log.inclusion(m - 1)
                self.assertEqual(reader.climb(m - 1, n, proof, levels[0][m - 1]), log.root)


if __name__ == "__main__":
    unittest.main()
