"""The cryptography of docs/FORMAT, on python3-cryptography alone."""
import hashlib
import hmac
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

RAW = (Encoding.Raw, PublicFormat.Raw)


def lv16(data):
    return struct.pack(">H", len(data)) + data


def extract(salt, secret):
    return hmac.digest(salt, secret, "sha256")


def expand(prk, info, size):
    out, block = b"", b""
    for i in range(1, 256):
        block = hmac.digest(prk, block + info + bytes([i]), "sha256")
        out += block
        if len(out) >= size:
            return out[:size]
    raise ValueError("too long")


def aead_open(key, nonce, aad, sealed):
    """None when it does not open."""
    try:
        return AESGCM(key).decrypt(nonce, sealed, aad)
    except (InvalidTag, ValueError):
        return None


def slot_key(passphrase, salt, n, r, p):
    return hashlib.scrypt(passphrase, salt=salt, n=n, r=r, p=p, maxmem=1 << 28, dklen=32)


def labeled_extract(suite, salt, label, ikm):
    return extract(salt, b"HPKE-v1" + suite + label + ikm)


def labeled_expand(suite, prk, label, info, size):
    return expand(prk, struct.pack(">H", size) + b"HPKE-v1" + suite + label + info, size)


def hpke_open(private, info, sealed):
    """Base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM; None when it does not open."""
    if len(sealed) < 48:
        return None
    enc, suite_kem = sealed[:32], b"KEM" + struct.pack(">H", 0x20)
    suite = b"HPKE" + struct.pack(">HHH", 0x20, 1, 2)
    key = X25519PrivateKey.from_private_bytes(private)
    try:
        shared = key.exchange(X25519PublicKey.from_public_bytes(enc))
    except ValueError:
        return None
    context = enc + key.public_key().public_bytes(*RAW)
    prk = labeled_extract(suite_kem, b"", b"eae_prk", shared)
    secret = labeled_expand(suite_kem, prk, b"shared_secret", context, 32)
    schedule = b"\0" + labeled_extract(suite, b"", b"psk_id_hash", b"") + labeled_extract(
        suite, b"", b"info_hash", info)
    prk = labeled_extract(suite, secret, b"secret", b"")
    return aead_open(labeled_expand(suite, prk, b"key", schedule, 32),
                     labeled_expand(suite, prk, b"base_nonce", schedule, 12), b"", sealed[32:])


# GF(2^8) with x^8 + x^4 + x^3 + x^2 + 1, as libgfshare has it.
EXP, LOG = [0] * 510, [0] * 256
value = 1
for power in range(255):
    EXP[power] = EXP[power + 255] = value
    LOG[value] = power
    value = value << 1 ^ (0x11D if value & 0x80 else 0)


def times(a, b):
    return EXP[LOG[a] + LOG[b]] if a and b else 0


def combine(shares):
    """shares: {number: bytes}. The secret at 0 (Lagrange)."""
    size = len(next(iter(shares.values())))
    secret = bytearray(size)
    for i, data in shares.items():
        factor = 1
        for j in shares:
            if j != i:
                factor = times(factor, times(j, EXP[255 - LOG[i ^ j]]))
        for at in range(size):
            secret[at] ^= times(factor, data[at])
    return bytes(secret)
