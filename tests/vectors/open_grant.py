#!/usr/bin/env python3
"""open_grant.py FILE: commitments to grants, computed as docs/FORMAT says and without the C code."""
import hashlib
import json
import struct
import sys
from pathlib import Path


def commitment(vector):
    keys = bytes.fromhex(vector["keys"])
    rows = sorted(keys[i:i + 24] for i in range(0, len(keys), 24))
    recipient = vector["recipient"].encode()
    leaf = bytes.fromhex(vector["consent_leaf"]) or bytes(32)
    return hashlib.sha256(
        b"sauti/1 grant" + bytes.fromhex(vector["nonce"]) + struct.pack(">H", len(recipient)) + recipient
        + leaf + struct.pack(">H", len(rows)) + b"".join(rows)).hexdigest()


def main(path):
    vectors = json.loads(Path(path).read_text(encoding="utf-8"))
    wrong = [v["name"] for v in vectors if commitment(v) != v["commitment"]]
    print(f"FAIL {', '.join(wrong)}" if wrong else f"ok   {len(vectors)} commitments")
    return 1 if wrong or not vectors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
