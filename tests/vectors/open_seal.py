#!/usr/bin/env python3
"""open_seal.py seal.json: opens the vectors of sealing suite 1. From DESIGN 8, not from the C code.

exit: 0 all good ones open and all bad ones are refused, 1 not so, 77 a package is missing"""
import hashlib
import hmac
import json
import struct
import sys
from pathlib import Path

try:
    import zstandard
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
except ImportError as missing:
    print(f"skipped: {missing}; install python3-cryptography and python3-zstandard")
    sys.exit(77)

DICTIONARY = zstandard.ZstdCompressionDict((Path(__file__).resolve().parents[2] / "cases" / "seal" /
                                            "dictionary-1.bin").read_bytes())
STEPS = {b << n for b in (256, 384) for n in range(8) if b << n <= 65000} | {65000}
Refused = type("Refused", (Exception,), {})


def check(condition, reason):
    if not condition:
        raise Refused(reason)


def expand(key, info, size):
    return HKDFExpand(SHA256(), size, info).derive(key)


def mac(key, data):
    return hmac.digest(key, data, "sha256")


def message(data):
    """The fields of a protobuf message that has only varints and bytes."""
    fields, at = {}, 0

    def varint():
        nonlocal at
        value = shift = 0
        byte = 128
        while byte >= 128:
            check(at < len(data) and shift < 64, "truncated")
            byte = data[at]
            value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
        return value
    while at < len(data):
        tag = varint()
        check(tag & 7 in (0, 2) and tag >> 3 not in fields, "wire type or double field")
        value = varint()
        if tag & 7 == 2:
            check(at + value <= len(data), "truncated")
            value, at = data[at:at + value], at + value
        fields[tag >> 3] = value
    return fields


def open_entry(k, origin, i, entry):
    outer = message(entry)
    check(list(outer) == [1], "not sealed")
    sealed = message(outer[1])
    check(set(sealed) == {1, 2, 3, 4, 5} and sealed[1] == 1, "not suite 1")
    salt, locator, commitment, body = (sealed[n] for n in (2, 3, 4, 5))
    check((len(salt), len(locator), len(commitment)) == (16, 16, 32), "lengths")
    check(len(body) - 16 in STEPS, "not a padding step")
    o = hashlib.sha256(origin.encode()).digest()
    where = mac(expand(k, b"sauti/1 locator", 32), o + struct.pack(">Q", i))[:16]
    check(where == locator, "locator")
    p = mac(salt, k)  # HKDF-Extract
    okm = expand(p, b"sauti/1 entry" + o + locator, 76)
    check(hmac.compare_digest(okm[:32], commitment), "commitment")
    aad = struct.pack(">I", 1) + o + locator + salt + commitment
    plain = AESGCM(okm[32:64]).decrypt(okm[64:], body, aad)
    compression, size = struct.unpack(">BI", plain[:5])
    check(size <= len(plain) - 5 and not any(plain[5 + size:]), "length or padding")
    check(compression in (0, 1, 2), "compression")
    part = plain[5:5 + size]
    if compression != 0:
        frame = zstandard.ZstdDecompressor(
            dict_data=DICTIONARY if compression == 2 else None).decompressobj()
        part = frame.decompress(part)
        check(frame.eof and not frame.unused_data and len(part) <= 65536, "not one frame of 64 KiB")
    return expand(k, b"sauti/1 kid", 16), locator, p, part


failed, vectors = 0, json.load(open(sys.argv[1], encoding="utf-8"))
for kind in ("good", "bad"):
    for v in vectors[kind]:
        try:
            got = open_entry(bytes.fromhex(v["K"]), v["origin"], v["i"], bytes.fromhex(v["entry"]))
            ok = [x.hex() for x in got] == [v.get(n) for n in ("kid", "locator", "P", "part")]
            said = "opens"
        except (Refused, InvalidTag, zstandard.ZstdError) as reason:
            ok, said = kind == "bad", f"refused: {reason!r}"
        failed += not ok
        print(f"{'ok  ' if ok else 'FAIL'} {kind}: {v['name']}: {said}")
sys.exit(1 if failed else 0)
