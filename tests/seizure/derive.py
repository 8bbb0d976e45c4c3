"""What follows from what was seized: every derivation of README.md, tried until nothing new comes up."""
import struct
from pathlib import Path

import zstandard

import primitives as p
from found import fields, first

DICTIONARY = zstandard.ZstdCompressionDict(
    (Path(__file__).resolve().parents[2] / "cases" / "seal" / "dictionary-1.bin").read_bytes())
GAP = 16       # numbers that may be missing under a key
SWEEP = 20000  # entries under one key in one log, at most


class Closure:
    """secrets: every 32 bytes that stood alone in something opened. Each is tried as every kind of key."""

    def __init__(self, evidence, passphrases, shares=(), secrets=(), skip=()):
        self.evidence = evidence
        self.passphrases = list(passphrases)
        self.shares = list(shares)  # (set, number, 32 bytes)
        self.secrets, self.todo = set(), []
        self.chunks = []            # inner layers of an escrow that a version key has laid open
        self.opened = {}            # locator -> part of an event, or what else was sealed
        self.rows = []              # (kind, plain) of rows of a keyring
        self.steps = []             # what was derived, in words
        self.skip = set(skip)
        for secret in secrets:
            self.learn(secret, "given")

    def run(self):
        self.join_shares()
        self.open_keystores()
        while self.todo:
            secret = self.todo.pop()
            self.as_master(secret)
            self.as_keyring_key(secret)
            self.as_private_half(secret)
            self.as_version_key(secret)
            self.as_case_key(secret)
            self.as_reveal(secret)
        return self

    def learn(self, secret, why):
        if len(secret) == 32 and secret not in self.secrets and secret != bytes(32):
            self.secrets.add(secret)
            self.todo.append(secret)
            self.steps.append(f"{why}: a secret")

    def harvest(self, plain, why):
        """Every field of 32 bytes, however deep; of what is no message, every 32 bytes."""
        message = fields(plain)
        if message is None:
            for at in range(len(plain) - 31):
                self.learn(plain[at:at + 32], why)
            return
        for _, value in message:
            if isinstance(value, bytes) and len(value) == 32:
                self.learn(value, why)
            elif isinstance(value, bytes) and len(value) > 32:
                if fields(value) is not None:
                    self.harvest(value, why)
                elif len(value) % 32 == 0 or len(value) < 4096:
                    for at in range(len(value) - 31):
                        self.learn(value[at:at + 32], why)

    # ---- keystores ----

    def open_keystores(self):
        for data in self.evidence.keystores:
            for _, slot in (f for f in fields(data) if f[0] == 2):
                s = fields(slot)
                label, salt = first(s, 1), first(s, 5)
                cost = (first(s, 2, int), first(s, 3, int), first(s, 4, int))
                aad = (b"sauti/1 keystore slot" + struct.pack(">I", 1) + p.lv16(label) +
                       struct.pack(">QII", *cost) + p.lv16(salt))
                for passphrase in self.passphrases:
                    master = p.aead_open(p.slot_key(passphrase, salt, *cost), first(s, 6), aad, first(s, 7))
                    if master:
                        self.learn(master, "keystore slot by a passphrase")

    def as_master(self, secret):
        for data in self.evidence.keystores:
            message = fields(data)
            slots = [v for n, v in message if n == 2]
            aad = b"sauti/1 keystore body" + struct.pack(">IH", first(message, 1, int), len(slots))
            for slot in map(fields, slots):
                aad += (p.lv16(first(slot, 1)) + struct.pack(">QII", *(first(slot, n, int) for n in (2, 3, 4))) +
                        p.lv16(first(slot, 5)) + p.lv16(first(slot, 6)) + p.lv16(first(slot, 7)))
            body = p.aead_open(secret, first(message, 3), aad, first(message, 4))
            if body:
                self.harvest(body, "keystore body by its master key")

    # ---- the keyring and what hangs on its key ----

    def as_keyring_key(self, secret):
        for name, value in self.evidence.rows:
            if len(value) < 1 + 12 + 16:
                continue
            labels = {1: b"sauti/1 keyring" + name, 2: b"sauti/1 away" + name}
            aad = labels.get(value[0], b"sauti/1 keyring row" + value[:1] + name)
            plain = p.aead_open(secret, value[1:13], aad, value[13:])
            if plain:
                self.rows.append((value[0], plain))
                self.harvest(plain, f"keyring row of kind {value[0]}")
        for number, data in self.evidence.drafts:
            version, salt = data[8:12], data[12:28]
            derived = p.expand(p.extract(salt, secret), b"sauti/1 draft", 44)
            aad = b"sauti/1 draft" + struct.pack(">I", number) + data[:8] + version + salt
            plain = p.aead_open(derived[:32], derived[32:], aad, data[28:])
            if plain:
                self.opened[b"draft %d" % number] = plain

    # ---- mail ----

    def as_private_half(self, secret):
        for inner in self.chunks:
            self.open_chunk(secret, *inner)
        for body in self.evidence.sealed_mail.values():
            names = b"".join(p.lv16(first(body, n)) for n in (1, 3, 4, 2))
            for label in (b"sauti/1 mail", b"sauti/1 complaint mail"):
                plain = p.hpke_open(secret, label + names, first(body, 8))
                if plain:
                    size, = struct.unpack_from(">I", plain)
                    self.harvest(plain[4:4 + size], "mail")

    # ---- escrow ----

    def join_shares(self):
        """Any two of one set."""
        for i, (one, number, data) in enumerate(self.shares):
            for other, second, more in self.shares[i + 1:]:
                if one == other and number != second:
                    self.learn(p.combine({number: data, second: more}), "two shares")

    def as_version_key(self, secret):
        """The outer layer of a chunk; the inner one waits for the recovery key."""
        for chunk in (fields(body) for body, kind in self.evidence.records.items() if kind == 11):
            if not chunk or p.expand(secret, b"sauti/1 kid", 16) != first(chunk, 3):
                continue
            for name in self.names(chunk):
                plain = p.aead_open(p.expand(secret, b"sauti/1 escrow key", 32), first(chunk, 5),
                                    b"sauti/1 escrow chunk" + name, first(chunk, 6))
                if plain:
                    inner = name, plain[4 + 16 * struct.unpack_from(">I", plain)[0]:]
                    self.chunks.append(inner)
                    for known in list(self.secrets):
                        self.open_chunk(known, *inner)

    def names(self, chunk):
        """What a chunk may be bound to: it does not say whose it is."""
        for network, node in {tuple(origin.split(b"/")[:2]) for origin in self.evidence.origins}:
            yield (p.lv16(network) + p.lv16(node) + struct.pack(">IQ", first(chunk, 1, int), first(chunk, 2, int)) +
                   first(chunk, 3) + first(chunk, 4))

    def open_chunk(self, secret, name, inner):
        plain = p.hpke_open(secret, b"sauti/1 escrow keys" + name, inner)
        if not plain:
            return
        at = 2
        for _ in range(plain[1]):
            at += 2 + struct.unpack_from(">H", plain, at)[0]
        count, = struct.unpack_from(">I", plain, at)
        for i in range(count):
            self.learn(plain[at + 4 + 54 * i:at + 36 + 54 * i], "escrow")

    # ---- entries ----

    def as_case_key(self, secret):
        locator_key = p.expand(secret, b"sauti/1 locator", 32)
        for origin in self.evidence.origins:
            missing, i = 0, 0
            where = p.hashlib.sha256(origin).digest()
            while missing <= GAP and i < SWEEP:
                locator = p.hmac.digest(locator_key, where + struct.pack(">Q", i), "sha256")[:16]
                i += 1
                missing += 1
                for salt, commitment, body in self.evidence.entries.get(locator, ()):
                    missing = 0
                    self.open_entry(p.extract(salt, secret), where, locator, salt, commitment, body)

    def as_reveal(self, secret):
        for origin in self.evidence.origins:
            where = p.hashlib.sha256(origin).digest()
            for locator, entries in self.evidence.entries.items():
                for salt, commitment, body in entries:
                    self.open_entry(secret, where, locator, salt, commitment, body)

    def open_entry(self, reveal, where, locator, salt, commitment, body):
        derived = p.expand(reveal, b"sauti/1 entry" + where + locator, 76)
        if derived[:32] != commitment:
            return
        aad = struct.pack(">I", 1) + where + locator + salt + commitment
        plain = p.aead_open(derived[32:64], derived[64:], aad, body)
        if plain:
            self.opened[locator] = unpadded(plain)


def unpadded(plain):
    """What was sealed, without header, padding and compression."""
    kind, size = struct.unpack_from(">BI", plain)
    stored = plain[5:5 + size]
    if kind == 0:
        return stored
    return zstandard.ZstdDecompressor(dict_data=DICTIONARY if kind == 2 else None).decompress(
        stored, max_output_size=1 << 16)
