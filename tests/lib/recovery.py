"""A recovery key set up as a person does it, and what its shares are (docs/FORMAT, Escrow)."""

import hashlib
import re
import subprocess
from pathlib import Path

import network

ROW = re.compile(r"^ +\d\. +([a-z]+) +([a-z]+) +([a-z]+) +([a-z]+) *$")


def make_key(node, verb="setup", *args):
    """Types each share back as it is shown; the three texts, and all that was shown."""
    process = subprocess.Popen([node.network.bin / "sauti", "--dir", node.dir, "recover", verb, "--ask", *args],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    shares, rows, out = [], [], ""
    for line in process.stdout:
        out += line
        found = ROW.match(line)
        if found:
            rows.append(" ".join(found.groups()))
        if len(rows) == 8:
            shares.append("\n".join(rows))
            process.stdin.write(shares[-1] + "\n")
            process.stdin.flush()
            rows = []
    process.stdin.close()
    err = process.stderr.read()
    process.stderr.close()
    process.stdout.close()
    if process.wait() != 0:
        raise network.Failed(f"recover {verb}: {err}")
    return shares, out


def share_files(directory, shares, *which):
    """--share FILE for each of these, by number."""
    args = []
    for n in which:
        path = Path(directory) / f"share-{n}"
        path.touch(mode=0o600)
        path.write_text(shares[n - 1] + "\n", encoding="ascii")
        args += ["--share", path]
    return args


def share_bytes(share):
    """(set, number, 32 bytes) of 32 words, which are 30 and two check words."""
    words = Path(__file__).resolve().parents[2] / "base" / "words-english.txt"
    numbers = {word: n for n, word in enumerate(words.read_text(encoding="ascii").split())}
    bits = "".join(f"{numbers[word]:011b}" for word in share.split()[:30])
    data = bytes(int(bits[at:at + 8], 2) for at in range(0, 41 * 8, 8))
    if data[37:] != hashlib.sha256(b"sauti/1 recovery share" + data[:37]).digest()[:4]:
        raise network.Failed("a share's check is wrong")
    return data[1:5], data[0] - 16, data[5:37]


def times(a, b):
    """In GF(2^8) with x^8 + x^4 + x^3 + x^2 + 1."""
    product = 0
    while b:
        product ^= a if b & 1 else 0
        a = a << 1 ^ (0x11D if a & 0x80 else 0)
        b >>= 1
    return product


def private_half(one, other):
    """Of two shares: the secret at 0."""
    (_, i, a), (_, j, b) = share_bytes(one), share_bytes(other)
    inverse = next(n for n in range(256) if times(n, i ^ j) == 1)
    return bytes(times(times(j, inverse), x) ^ times(times(i, inverse), y) for x, y in zip(a, b))
