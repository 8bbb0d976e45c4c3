#!/usr/bin/env python3
"""frozen.py BUILD: the C code still makes the vectors that are committed, byte for byte.

The formats of docs/FORMAT, version 1, are frozen. If this fails, a change has altered bytes that are
in logs already: undo it. Vectors are added, never changed; what makes them is in make_*_vectors.c, in
BUILD, which is tests/vectors of a build directory.
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
# zstd chooses these bytes: another version of it may choose others, and both open.
ZSTD = {"zstd: words of 2,000 bytes", "dictionary 1: words of 2,000 bytes",
        "dictionary 1: its own last 600 bytes", "decompresses to 65,537 bytes", "two zstd frames",
        "zstd frame without its end"}


def compare(name, wanted, got):
    """The first difference of two JSON values, in words; None when there is none."""
    if isinstance(wanted, dict) and isinstance(got, dict) and wanted.keys() == got.keys():
        differences = (compare(f"{name}.{key}", wanted[key], got[key]) for key in wanted)
        return next((d for d in differences if d), None)
    if isinstance(wanted, list) and isinstance(got, list) and len(wanted) == len(got):
        differences = (compare(f"{name}[{w.get('name', i) if isinstance(w, dict) else i}]", w, g)
                       for i, (w, g) in enumerate(zip(wanted, got))
                       if not (isinstance(w, dict) and w.get("name") in ZSTD))
        return next((d for d in differences if d), None)
    return None if wanted == got else f"{name} is {str(got)[:60]}, was {str(wanted)[:60]}"


def files(root):
    return {path.relative_to(root).as_posix(): path.read_bytes()
            for path in sorted(root.rglob("*")) if path.is_file()}


def main(build):
    failed = 0
    for kind, name in (("seal", "seal.json"), ("entry", "entry.json"),
                       ("checkpoint", "checkpoint.json"), ("tile", "tiles.json"),
                       ("part", "part.json"), ("grant", "grant.json"),
                       ("packet", "packet.json"), ("receipt", "receipt.json")):
        made = subprocess.run([build / f"make_{kind}_vectors"], check=True, capture_output=True)
        different = compare(name, json.loads((HERE / name).read_text(encoding="utf-8")),
                            json.loads(made.stdout))
        print(f"FAIL {different}" if different else f"ok   {name}")
        failed += different is not None
    with tempfile.TemporaryDirectory(prefix="sauti-frozen-") as scratch:
        subprocess.run([build / "make_export_vectors", Path(scratch) / "export"], check=True)
        wanted, got = files(HERE / "export"), files(Path(scratch) / "export")
    different = sorted(name for name in wanted.keys() | got.keys() if wanted.get(name) != got.get(name))
    print(f"FAIL export: {', '.join(different)}" if different else f"ok   export ({len(got)} files)")
    return 1 if failed or different else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
