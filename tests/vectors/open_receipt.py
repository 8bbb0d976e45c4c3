#!/usr/bin/env python3
"""open_receipt.py FILE: receipts and batches, as docs/FORMAT says and without the C code.
open_receipt.py --words FILE --network NAME ENTRY..: what six words open in these entries (files)."""
import argparse
import hashlib
import hmac
import json
import struct
import sys
from pathlib import Path

ITEM, TAG = 153, 32


def expand(seed, label, size):
    """HKDF-Expand (RFC 5869) of at most one block more than SHA-256 has."""
    out, block, count = b"", b"", 1
    while len(out) < size:
        block = hmac.new(seed, block + label + bytes([count]), hashlib.sha256).digest()
        out, count = out + block, count + 1
    return out[:size]


def derive(words, network):
    """tag, commitment, key, nonce of six words: spelled whole, one space between."""
    name = network.encode()
    seed = hashlib.scrypt(words.encode(), salt=b"sauti/1 receipt" + struct.pack(">H", len(name)) + name,
                          n=65536, r=8, p=1, maxmem=128 << 20, dklen=64)
    label = b"sauti/1 receipt "
    return (expand(seed, label + b"tag", 32), expand(seed, label + b"commitment", 32),
            expand(seed, label + b"key", 32), expand(seed, label + b"nonce", 12))


def open_item(item, words, network):
    """(hash of the origin, index, leaf hash); None: the item is another's. ValueError: it is a lie."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    tag, commitment, key, nonce = derive(words, network)
    if item[:32] != tag:
        return None
    if item[32:64] != commitment:
        raise ValueError("the commitment is not that of the words")
    try:
        box = AESGCM(key).decrypt(nonce, item[64:], b"sauti/1 receipt box" + tag)
    except InvalidTag as error:
        raise ValueError("the box does not open") from error
    if len(box) != 73 or box[0] != 1:
        raise ValueError("the box is of another version")
    return box[1:33], struct.unpack(">Q", box[33:41])[0], box[41:]


def fields(data):
    """Of a protobuf message: (number, value) with bytes or integers."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
    while at < len(data):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        elif key & 7 == 2:
            size = varint()
            yield key >> 3, data[at:at + size]
            at += size
        else:
            raise ValueError("wire type")


def read_batch(entry):
    """(body, signature, items) of an entry; None: it is no batch. ValueError: a malformed one."""
    outer = dict(fields(entry)).get(2)
    if outer is None:
        return None
    record = dict(fields(outer))
    if record.get(1) != 13:
        return None
    items = dict(fields(record[2])).get(1, b"")
    tags = [items[i:i + TAG] for i in range(0, len(items), ITEM)]
    if len(items) not in (16 * ITEM, 64 * ITEM) or any(a >= b for a, b in zip(tags, tags[1:])):
        raise ValueError("not 16 or 64 items, each above the one before")
    return record[2], record[3], [items[i:i + ITEM] for i in range(0, len(items), ITEM)]


def verify(batch, node_key):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    body, signature, _ = batch
    Ed25519PublicKey.from_public_bytes(node_key).verify(signature, b"sauti/1 receipt-tags\0" + body)


def check(path):
    vectors = json.loads(Path(path).read_text(encoding="utf-8"))
    for vector in vectors["receipts"]:
        made = dict(zip(("tag", "commitment", "key", "nonce"), derive(vector["words"], vector["network"])))
        wrong = [name for name, value in made.items() if value.hex() != vector[name]]
        item = bytes.fromhex(vector["item"])
        opened = open_item(item, vector["words"], vector["network"])
        wanted = (hashlib.sha256(vector["origin"].encode()).digest(), int(vector["index"]),
                  bytes.fromhex(vector["leaf"]))
        if wrong or opened != wanted or len(item) != ITEM:
            return f"FAIL {vector['name']}: {wrong or opened}"
    items = {vector["item"] for vector in vectors["receipts"]}
    for vector in vectors["batches"]:
        batch = read_batch(bytes.fromhex(vector["entry"]))
        verify(batch, bytes.fromhex(vector["node_key"]))
        found = sum(item.hex() in items for item in batch[2])
        if found != vector["receipts"] or len(batch[2]) != 16:
            return f"FAIL {vector['name']}: {found} receipts, {len(batch[2])} items"
    return f"ok   {len(vectors['receipts'])} receipts, {len(vectors['batches'])} batches"


def look(args):
    words = " ".join(Path(args.words).read_text(encoding="utf-8").lower().split())
    found = 0
    for path in args.files:
        batch = read_batch(Path(path).read_bytes())
        if batch is None:
            continue
        tag = derive(words, args.network)[0]
        for item in batch[2]:
            if item[:32] == tag:
                origin, index, leaf = open_item(item, words, args.network)
                print(json.dumps({"file": path, "origin_sha256": origin.hex(), "index": index,
                                  "leaf_hash": leaf.hex()}))
                found += 1
    return 0 if found else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--words")
    parser.add_argument("--network")
    parser.add_argument("files", nargs="+")
    args = parser.parse_args()
    try:
        import cryptography  # noqa: F401
    except ImportError:
        print("skipped: python3-cryptography is not installed")
        return 77
    if args.words:
        return look(args)
    said = check(args.files[0])
    print(said)
    return said.startswith("FAIL")


if __name__ == "__main__":
    sys.exit(main())
