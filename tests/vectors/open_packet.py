#!/usr/bin/env python3
"""open_packet.py FILE: sealed packets, opened as docs/FORMAT says and without the C code."""
import hashlib
import hmac
import json
import struct
import sys
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAGIC = b"sauti packet 1\n"


def expand(key, info, size):
    out, block, n = b"", b"", 1
    while len(out) < size:
        block = hmac.new(key, block + info + bytes([n]), "sha256").digest()
        out, n = out + block, n + 1
    return out[:size]


def unseal(data, passphrase):
    assert data[:15] == MAGIC
    log, r, p = data[15:18]
    secret = hashlib.scrypt(passphrase, salt=data[18:34], n=1 << log, r=r, p=p, maxmem=1 << 28, dklen=32)
    keys = expand(secret, b"sauti/1 packet", 76)
    assert hmac.compare_digest(keys[:32], data[34:66])
    plain = AESGCM(keys[32:64]).decrypt(keys[64:], data[66:], data[:66])
    size, = struct.unpack(">I", plain[:4])
    assert not any(plain[4 + size:])
    step = 256
    while step < 4 + size:
        step = step // 2 * 3 if step & (step - 1) == 0 else step // 3 * 4
    assert step == len(plain)
    return plain[4:4 + size]


def main(path):
    vectors = json.loads(Path(path).read_text(encoding="utf-8"))
    wrong = [v["name"] for v in vectors
             if unseal(bytes.fromhex(v["file"]), bytes.fromhex(v["passphrase"])).hex() != v["text"]]
    print(f"FAIL {', '.join(wrong)}" if wrong else f"ok   {len(vectors)} packets")
    return 1 if wrong or not vectors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
