"""A client of C2SP tlog-witness that shares no code with the node: trees, proofs, signed checkpoints
and cosignatures of its own. What it is given to sign with is the log's key."""

import base64
import hashlib
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "fuzz"))
import make_corpus as made  # noqa: E402

from peers import field  # noqa: E402
from public import ADD_CHECKPOINT, WITNESS_CHECKPOINT, Public  # noqa: E402


def leaf(entry):
    return hashlib.sha256(b"\0" + entry).digest()


def b64(data):
    return base64.b64encode(data).decode()


class Tree:
    """The leaves of a log, and what its key says of them."""

    def __init__(self, origin, seed, leaves):
        self.origin, self.seed, self.leaves = origin, seed, list(leaves)

    def grow(self, size, word="more"):
        """Leaves that follow from their index and a word."""
        for i in range(len(self.leaves), size):
            self.leaves.append(leaf(f"{word} {i}".encode()))
        return self

    def fork(self, at, word="another"):
        """Another tree with the same first leaves."""
        return Tree(self.origin, self.seed, self.leaves[:at]).grow(len(self.leaves), word)

    def root(self, size):
        return made.tree_root(self.leaves[:size]) if size else hashlib.sha256(b"").digest()

    def text(self, size):
        return f"{self.origin}\n{size}\n{b64(self.root(size))}\n"

    def line(self, text, name=None, seed=None):
        """A signature line, by the log's key if no other is named."""
        name, seed = name or self.origin, seed or self.seed
        key_id = hashlib.sha256(name.encode() + b"\n\1" + made.public_key(seed)).digest()[:4]
        return f"\u2014 {name} {b64(key_id + made.sign(seed, text.encode()))}\n"

    def note(self, size, more=""):
        text = self.text(size)
        return f"{text}\n{self.line(text)}{more}"

    def proof(self, old, size):
        return made.consistency(old, self.leaves[:size]) if 0 < old < size else []

    def body(self, old, size, proof=None, more=""):
        hashes = self.proof(old, size) if proof is None else proof
        return (f"old {old}\n" + "".join(b64(h) + "\n" for h in hashes)
                + f"\n{self.note(size, more)}").encode()


def submit(socket, body):
    """(status, content type, body) of one add-checkpoint over a control or public socket."""
    with Public(socket) as client:
        answer = client.ask(ADD_CHECKPOINT, field(1, body))
    if answer.error:
        raise AssertionError(f"error {answer.error}: {answer.message}")
    return answer.docs[0]["status"], answer.docs[0]["content_type"], answer.data


def newest(socket, origin):
    """(status, body) of what the witness has cosigned last."""
    digest = hashlib.sha256(origin.encode()).hexdigest()
    with Public(socket) as client:
        answer = client.ask(WITNESS_CHECKPOINT, field(1, digest))
    if answer.error:
        raise AssertionError(f"error {answer.error}: {answer.message}")
    return answer.docs[0]["status"], answer.data


def cosignature_time(line, text, name, public):
    """Of a line by that witness over that text; AssertionError when it is none."""
    head, who, blob = line.rstrip("\n").split(" ")
    blob = base64.b64decode(blob, validate=True)
    key_id = hashlib.sha256(name.encode() + b"\n\4" + public).digest()[:4]
    if head != "\u2014" or who != name or blob[:4] != key_id or len(blob) != 76:
        raise AssertionError(f"no line of {name}: {line}")
    time = struct.unpack(">Q", blob[4:12])[0]
    message = f"cosignature/v1\ntime {time}\n{text}".encode()
    if not verifies(public, message, blob[12:]):
        raise AssertionError(f"the cosignature of {name} does not verify")
    return time


def verifies(public, message, signature):
    """Ed25519, RFC 8032 5.1.7, for tests: nothing here is secret."""
    a, r = point(public), point(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little")
    return made.point_bytes(made.point_mul(s, made.BASE)) == made.point_bytes(
        made.point_add(r, made.point_mul(k % made.ORDER, a)))


def point(data):
    """A point of the curve from its 32 bytes."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    u, v = (y * y - 1) % made.P, (made.D * y * y + 1) % made.P
    x = u * pow(v, 3, made.P) * pow(u * pow(v, 7, made.P), (made.P - 5) // 8, made.P) % made.P
    if v * x * x % made.P != u:
        x = x * pow(2, (made.P - 1) // 4, made.P) % made.P
    if v * x * x % made.P != u:
        raise AssertionError("no point of the curve")
    if x & 1 != sign:
        x = made.P - x
    return x, y, 1, x * y % made.P
