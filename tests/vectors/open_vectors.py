#!/usr/bin/env python3
"""open_vectors.py: entry.json, checkpoint.json and tiles.json, checked with the independent reader
(read_export.py), which shares nothing with the C code.

exit: 0 every good one is good and every bad one is refused, 1 not so, 77 a package is missing"""
import hashlib
import json
import struct
import sys
from pathlib import Path

import read_export as reader
from read_export import Bad, Key, need

HERE = Path(__file__).resolve().parent
results = []


def load(name):
    return json.loads((HERE / name).read_text(encoding="utf-8"))


def run(name, good, check):
    """One vector: check() raises Bad when it is."""
    try:
        check()
        ok, said = good, "good"
    except (Bad, KeyError, UnicodeDecodeError) as reason:
        ok, said = not good, f"refused: {reason}"
    results.append(ok)
    print(f"{'ok  ' if ok else 'FAIL'} {name}: {said}")


def check_entry(v):
    record = reader.parse_record(bytes.fromhex(v["entry"]))
    need("type" not in v or (record[0], record[1].hex()) == (v["type"], v["body"]),
         "other type or body")
    if record[0] in reader.PURPOSES:
        reader.check_record(bytes.fromhex(v["node"]), record)


def check_checkpoint(v, log, mirror, time):
    text, lines = reader.parse_note(v["note"].encode("utf-8"))
    origin, size, _ = reader.parse_checkpoint(text)
    need(origin == log.name, "another origin than the key's")
    own = [blob for name, key_id, blob in lines if (name, key_id) == (log.name, log.id)]
    need(own, "no signature of the log")
    for blob in own:
        log.check(blob, text)
    times = [mirror.check(blob, text) for name, key_id, blob in lines
             if (name, key_id) == (mirror.name, mirror.id)]
    need("size" not in v or (size, len(times)) == (v["size"], v["cosignatures"]), "other numbers")
    need(all(t == time for t in times), "another time")


def tree_files(size):
    """Path -> bytes of every file, and the hashes of each level, of a tree over "entry <index>"."""
    entries = [b"entry %d" % i for i in range(size)]
    files, level, hashes, levels = {}, 0, [reader.leaf_hash(e) for e in entries], []
    for index in range((size + 255) // 256):
        part = entries[index * 256:(index + 1) * 256]
        files[reader.tile_name("entries", index, len(part))] = b"".join(
            struct.pack(">H", len(e)) + e for e in part)
    while hashes:
        levels.append(hashes)
        above = []
        for index in range((len(hashes) + 255) // 256):
            tile = hashes[index * 256:(index + 1) * 256]
            files[reader.tile_name(level, index, len(tile))] = b"".join(tile)
            if len(tile) == 256:
                while len(tile) > 1:
                    tile = [reader.node_hash(*pair) for pair in zip(tile[::2], tile[1::2])]
                above += tile
        hashes, level = above, level + 1
    return files, levels


def check_tree(v):
    files, levels = tree_files(v["size"])
    log = reader.Log(".", "unused")
    log.size, log.levels, log.root = v["size"], levels, bytes.fromhex(v["root"])
    need(log.subtree(0, log.size) == log.root, "another root")
    digests = {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}
    need(len(digests) == v["count"], f"{len(digests)} files")
    for path, digest in v.get("each", {}).items():
        need(digests.get(path) == digest, "another digest", path)
    listing = "".join(f"{path} {digest}\n" for path, digest in digests.items())
    need(hashlib.sha256(listing.encode()).hexdigest() == v["files"], "another listing")
    for p in v["inclusion"]:
        proof = [bytes.fromhex(h) for h in p["hashes"]]
        need(proof == log.inclusion(p["index"]), "another inclusion proof", index=p["index"])
        need(reader.climb(p["index"], log.size, proof, levels[0][p["index"]]) == log.root,
             "inclusion proof fails", index=p["index"])
    for p in v["consistency"]:
        proof = [bytes.fromhex(h) for h in p["hashes"]]
        need(proof == log.consistency(p["from"]), "another consistency proof", index=p["from"])
        reader.check_consistency(p["from"], log.subtree(0, p["from"]), log.size, log.root, proof)


def main():
    for kind in ("good", "bad"):
        for v in load("entry.json")[kind]:
            run(f"entry: {v['name']}", kind == "good", lambda: check_entry(v))
    checkpoints = load("checkpoint.json")
    keys = Key.parse(checkpoints["log_key"]), Key.parse(checkpoints["mirror_key"])
    for kind in ("good", "bad"):
        for v in checkpoints[kind]:
            run(f"checkpoint: {v['name']}", kind == "good",
                lambda: check_checkpoint(v, *keys, checkpoints["time"]))
    for v in load("tiles.json")["trees"]:
        run(f"tiles: {v['name']}", True, lambda: check_tree(v))
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
