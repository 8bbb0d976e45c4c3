#!/usr/bin/env python3
"""Writes the seeds of corpus/frame, message, evidence, proof, mail, tlog_proof, disclosure,
add_checkpoint and audit_state: valid and hostile wire bytes, each named by what it is. Run it after
a change of the .proto files; files called found-* (what fuzzing found)
are left alone. The bytes are made by hand, signatures included, so that the seeds do not come from
the code that reads them.

    python3 tests/fuzz/make_corpus.py            writes
    python3 tests/fuzz/make_corpus.py --check    fails unless just these files are there
"""
import base64
import hashlib
import os
import struct
import sys

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")
ORIGIN = "ovra.example/haiti/1-0123456789abcdef"


# Ed25519 (RFC 8032 section 5.1) in plain integers: slow, not constant time, for test keys only.

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def point_add(a, b):
    c = (a[1] - a[0]) * (b[1] - b[0]) % P
    d = (a[1] + a[0]) * (b[1] + b[0]) % P
    e = 2 * a[3] * b[3] * D % P
    f = 2 * a[2] * b[2] % P
    g, h, i, j = d - c, f - e, f + e, d + c
    return (g * h % P, i * j % P, h * i % P, g * j % P)


def point_mul(n, a):
    out = (0, 1, 1, 0)
    while n > 0:
        if n & 1:
            out = point_add(out, a)
        a = point_add(a, a)
        n >>= 1
    return out


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE_X = 15112221349535400772501151409588531511454012693041857206046113283949847762202
BASE = (BASE_X, BASE_Y, 1, BASE_X * BASE_Y % P)


def point_bytes(a):
    z = pow(a[2], P - 2, P)
    x, y = a[0] * z % P, a[1] * z % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def expand(seed):
    h = hashlib.sha512(seed).digest()
    a = int.from_bytes(h[:32], "little")
    return (a & ((1 << 254) - 8)) | 1 << 254, h[32:]


def public_key(seed):
    return point_bytes(point_mul(expand(seed)[0], BASE))


def sign(seed, message):
    a, prefix = expand(seed)
    public = point_bytes(point_mul(a, BASE))
    r = int.from_bytes(hashlib.sha512(prefix + message).digest(), "little") % ORDER
    big_r = point_bytes(point_mul(r, BASE))
    h = int.from_bytes(hashlib.sha512(big_r + public + message).digest(), "little") % ORDER
    return big_r + ((r + h * a) % ORDER).to_bytes(32, "little")


# Wire format (protobuf encoding, wire types 0, 1, 2, 5).

def varint(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes(out) + bytes([n])


def num(field, value):
    return varint(field << 3) + varint(value)


def data(field, value):
    if isinstance(value, str):
        value = value.encode()
    return varint(field << 3 | 2) + varint(len(value)) + value


def frame(body):
    return struct.pack(">I", len(body)) + body


def octets(first, size):
    return bytes((first + i) & 0xFF for i in range(size))


# The messages, by their field numbers.

def hello(network="ovra.example", node="haiti"):
    return data(1, data(1, network) + data(2, node) + num(3, 1) + num(4, 1) + num(6, 1 << 20))


def log_state(origin, size, cosignatures=1):
    note = "%s\n%d\n%s\n\n" % (origin, size, "qN" * 22)
    return (data(1, origin) + num(2, size) + data(3, note) +
            b"".join(data(4, "\u2014 ovra.example/mirror/hq AAAA%d\n" % i)
                     for i in range(cosignatures)))


def have(*states):
    return data(2, b"".join(data(1, s) for s in states))


def fetch(window=4):
    return data(3, data(1, ORIGIN) + num(2, 1) + num(3, 7) + num(4, window))


def batch(entries, proof=0, first=0):
    return data(4, data(1, ORIGIN) + num(2, 1) + num(3, first) +
                b"".join(data(4, e) for e in entries) +
                b"".join(data(5, octets(i, 32)) for i in range(proof)) +
                data(6, ORIGIN + "\n1\n\n"))


def held():
    return data(5, data(1, ORIGIN) + num(2, 9) + data(3, octets(3, 32)) + data(4, "\u2014 x y\n"))


def ping(token, field=6):
    return data(field, num(1, token))


def bye(code, reason):
    return data(8, num(1, code) + data(2, reason))


def sealed(size=40):
    return data(1, num(1, 1) + data(2, octets(1, 16)) + data(3, octets(2, 16)) +
                data(4, octets(3, 32)) + data(5, octets(4, size)))


def record(kind, body):
    return data(2, num(1, kind) + data(2, body) + data(3, octets(5, 64)))


def log_opened(origin=ORIGIN, previous=""):
    return (data(1, origin) + data(2, octets(1, 32)) +
            (data(3, previous) if previous else b"") + num(4, 1700000000))


def network_created():
    return (data(1, "ovra.example") + data(2, "hq") + data(3, octets(1, 32)) +
            data(4, octets(2, 32)) + num(5, 1700000000))


def node_admitted(role=2, country="HTI"):
    return (data(1, "ovra.example") + data(2, "haiti") + num(3, role) + data(4, country) +
            b"".join(data(i, octets(i, 32)) for i in range(5, 10)) + num(10, 1700000000))


# A directory whose signatures are good.

DIRECTORY = "ovra.example/directory/1-0123456789abcdef"


def seed(name):
    return hashlib.sha256(("sauti test " + name).encode()).digest()


def signed(kind, purpose, body, key):
    signature = sign(seed(key), b"sauti/1 " + purpose + b"\0" + body)
    return data(2, num(1, kind) + data(2, body) + data(3, signature))


def signed_opened(origin, key, log_key):
    body = data(1, origin) + data(2, public_key(seed(log_key))) + num(4, 1700000000)
    return signed(1, b"log-opened", body, key)


def signed_created(key):
    body = data(1, "ovra.example") + data(2, "hq") + data(3, public_key(seed(key)))
    body += data(4, octets(9, 32)) + num(5, 1700000001)
    return signed(2, b"network-created", body, key)


def signed_admitted(name, role, country):
    body = data(1, "ovra.example") + data(2, name) + num(3, role)
    body += data(4, country) if country else b""
    body += data(5, seed(name + " tls"))
    for field, key in ((6, "node"), (7, "mirror"), (8, "witness")):
        body += data(field, public_key(seed(name + " " + key)))
    body += data(9, seed(name + " complaint")) + num(10, 1700000002)
    return signed(3, b"node-admitted", body, name + " node")


def directory_seeds():
    opened = signed_opened(DIRECTORY, "hq node", "directory")
    founded = [opened, signed_created("hq node"), signed_admitted("hq", 1, "")]
    haiti = signed_admitted("haiti", 2, "HTI")
    whole = founded + [haiti, signed_admitted("audit", 3, "")]
    future = signed(99, b"later", b"?", "hq node")
    return {
        "directory": frame(batch(whole)),
        "directory-in-two": frame(batch(whole[:2])) + frame(batch(whole[2:], first=2)),
        "directory-member-twice": frame(batch(whole + [haiti])),
        "directory-out-of-order": frame(batch(whole[::-1])),
        "directory-forged": frame(batch(founded + [haiti[:-1] + bytes([haiti[-1] ^ 1])])),
        "directory-other-hq": frame(batch([opened, signed_created("other")])),
        "directory-of-the-future": frame(batch(founded + [future, haiti])),
        "evidence": frame(data(11, evidence(7, 13))),
        "prove": frame(data(12, data(1, ORIGIN) + data(2, note(7, octets(1, 32))))),
        "proved": frame(data(13, data(1, ORIGIN) + num(2, 7) + data(3, octets(1, 32)) +
                             data(4, octets(2, 32)) + data(5, note(13, octets(3, 32))))),
        "log-opened": frame(batch([signed_opened(ORIGIN, "haiti node", "haiti log")])),
        "signature-short": frame(batch([data(2, num(1, 1) + data(3, octets(1, 63)))])),
    }


# Trees (RFC 6962 section 2.1), by the definitions.

def leaf_hash(entry):
    return hashlib.sha256(b"\0" + entry).digest()


def split(n):
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def tree_root(leaves):
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return hashlib.sha256(b"\1" + tree_root(leaves[:k]) + tree_root(leaves[k:])).digest()


def inclusion(m, leaves):
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return inclusion(m, leaves[:k]) + [tree_root(leaves[k:])]
    return inclusion(m - k, leaves[k:]) + [tree_root(leaves[:k])]


def consistency(m, leaves, whole=True):
    if m == len(leaves):
        return [] if whole else [tree_root(leaves)]
    k = split(len(leaves))
    if m <= k:
        return consistency(m, leaves[:k], whole) + [tree_root(leaves[k:])]
    return consistency(m - k, leaves[k:], False) + [tree_root(leaves[:k])]


def note(size, root, key="haiti log", origin=ORIGIN):
    text = "%s\n%d\n%s\n" % (origin, size, base64.b64encode(root).decode())
    public = public_key(seed(key))
    key_id = hashlib.sha256(origin.encode() + b"\n\x01" + public).digest()[:4]
    line = base64.b64encode(key_id + sign(seed(key), text.encode())).decode()
    return text + "\n\u2014 %s %s\n" % (origin, line)


def branch(name, size):
    return [leaf_hash(b"entry %d of %s" % (i, name if i >= 5 else b"both")) for i in range(size)]


def evidence(m, n, left=b"a", right=b"b", opened=True, swap=False):
    a, b = branch(left, m), branch(right, n)
    notes = [note(m, tree_root(a)), note(n, tree_root(b))]
    if m == n and tree_root(a) > tree_root(b) or swap:
        notes.reverse()
    return (data(1, notes[0]) + data(2, notes[1]) +
            (b"" if m == n else data(3, tree_root(b[:m]))) +
            b"".join(data(4, h) for h in consistency(m, b)) +
            (data(5, signed_opened(ORIGIN, "haiti node", "haiti log")) if opened else b""))


def two_keys():
    # In the order of the keys.
    names = sorted(("haiti log", "haiti other log"), key=lambda name: public_key(seed(name)))
    return [signed_opened(ORIGIN, "haiti node", name) for name in names]


def evidence_seeds():
    raw, honest = b"\0", b"\1"
    # The honest log of the target: leaf i is the byte i + 1.
    leaves = [leaf_hash(bytes([i + 1])) for i in range(40)]
    return {
        "one-size": raw + evidence(7, 7),
        "two-sizes": raw + evidence(7, 13),
        "neighbours": raw + evidence(8, 9),
        "power-of-two": raw + evidence(8, 16),
        "no-opened": raw + evidence(7, 13, opened=False),
        "no-contradiction": raw + evidence(4, 13),
        "the-same-twice": raw + evidence(7, 7, right=b"a"),
        "out-of-order": raw + evidence(7, 13, swap=True),
        "cut": raw + evidence(7, 13)[:-1],
        "two-keys": raw + b"".join(data(field, opened) for opened, field in zip(two_keys(), (5, 6))),
        "two-keys-out-of-order": raw + b"".join(
            data(field, opened) for opened, field in zip(two_keys()[::-1], (5, 6))),
        "one-key-twice": raw + data(5, two_keys()[0]) + data(6, two_keys()[0]),
        "two-keys-and-more": raw + evidence(7, 13) + data(6, two_keys()[1]),
        "another-key": raw + evidence(7, 13).replace(
            note(7, tree_root(branch(b"a", 7))).encode(),
            note(7, tree_root(branch(b"a", 7)), "other").encode()),
        "honest": honest + bytes([7, 13]) + tree_root(leaves[:7]) +
                  b"".join(consistency(7, leaves[:13])),
        "honest-other-root": honest + bytes([7, 13]) + octets(3, 32) +
                             b"".join(consistency(7, leaves[:13])),
        "honest-one-size": honest + bytes([7, 7]) + octets(3, 32),
    }


def mail_body(content, recipient="hq", sender="haiti", mail_class=0, prekey=0, size=16):
    return (data(1, "ovra.example") + data(2, octets(1, size)) + data(3, sender) + data(4, recipient)
            + num(5, mail_class) + num(6, 1700000000) + (num(7, prekey) if prekey else b"") + content)


def mail_end(recipient="hq", sender="haiti", size=32, outcome=0):
    return (data(1, "ovra.example") + data(2, octets(5, size)) + data(3, sender) + data(4, recipient)
            + num(5, outcome) + num(6, 1700000100))


def asked(officer, reason="lorem"):
    return (data(1, octets(1, 16)) + num(2, 1) + data(3, "rdc") + data(4, reason) + data(6, officer)
            + num(7, 64) + num(8, 1767225600))


def mail_seeds():
    (packed, body, plain, content, end, end_body, addresses, prekey, complaint,
     sealed_complaint, grant, approval) = (bytes([i]) for i in range(12))
    haiti, hq = b"\2" + bytes(31), b"\1" + bytes(31)
    notice = num(1, 1) + data(2, "come on Thursday")
    opened = data(9, num(1, 2) + data(2, data(1, "192.0.2.1:7483")))
    sealed = data(8, octets(3, 304))

    def signed_as(key, purpose, message):
        return data(1, message) + data(2, sign(key, b"sauti/1 " + purpose + b"\0" + message))

    key = num(1, 1) + data(2, octets(9, 32)) + num(3, 1700000000)
    secret = num(1, 2) + data(2, octets(5, 16)) + data(3, octets(7, 32))
    keys = data(1, octets(1, 16)) + data(2, "ovra.example/haiti/1-0123456789abcdef") + data(3, secret)

    def granted(number):
        kid = struct.pack(">I", number) + bytes(12)
        return num(1, 3) + data(2, kid) + data(3, octets(7, 32)) + num(4, 1)

    def given(*keys):
        return (data(1, octets(1, 16)) + data(2, octets(2, 16)) + data(3, "ZZ-ONE") + num(6, 1) +
                data(8, octets(3, 32)) + data(9, octets(4, 32)) + b"".join(data(12, k) for k in keys))

    return {
        "grant-one-key": grant + given(granted(1)),
        "grant-two-keys": grant + given(granted(1), granted(2)),
        "grant-wrong-order": grant + given(granted(2), granted(1)),
        "grant-one-key-twice": grant + given(granted(1), granted(1)),
        "grant-no-key": grant + given(),
        "grant-many-keys": grant + given(*(granted(i) for i in range(257))),
        "grant-short-key": grant + given(granted(1))[:-1],
        "approval-asked": approval + asked("ada"),
        "approval-asked-by-another": approval + asked("ada@hq"),
        "approval-asked-no-reason": approval + asked("ada", ""),
        "approval": approval + data(1, octets(1, 16)) + data(2, octets(2, 32)) + num(3, 1) + data(4, "bo") + num(5, 7),
        "approval-short-hash": approval + data(1, octets(1, 16)) + data(2, octets(2, 31)) + data(4, "bo"),
        "complaint-one-key": complaint + keys,
        "complaint-two-keys": complaint + keys + data(3, secret),
        "complaint-three-keys": complaint + keys + data(3, secret) * 2,
        "complaint-no-key": complaint + data(1, octets(1, 16)),
        "complaint-short-key": complaint + keys[:-1],
        "complaint-sealed": sealed_complaint + num(1, 3) + data(2, keys),
        "complaint-that-is-a-notice": sealed_complaint + notice,
        "item-open": packed + signed_as(haiti, b"mail", mail_body(opened)),
        "item-sealed": packed + signed_as(haiti, b"mail", mail_body(sealed, prekey=1)),
        "item-of-another": packed + signed_as(hq, b"mail", mail_body(opened)),
        "item-unsigned": packed + data(1, mail_body(opened)),
        "body-erasure": body + mail_body(sealed, prekey=1, mail_class=1),
        "body-class-unknown": body + mail_body(opened, mail_class=2),
        "body-to-itself": body + mail_body(opened, recipient="haiti"),
        "body-to-nobody": body + mail_body(opened, recipient=""),
        "body-short-id": body + mail_body(opened, size=15),
        "body-no-content": body + mail_body(b""),
        "body-both-contents": body + mail_body(opened + sealed, prekey=1),
        "body-sealed-without-prekey": body + mail_body(sealed),
        "body-sealed-short": body + mail_body(data(8, octets(3, 48)), prekey=1),
        "plain-notice": plain + struct.pack(">I", len(notice)) + notice + bytes(200),
        "plain-length-beyond": plain + struct.pack(">I", 300) + notice,
        "plain-padding": plain + struct.pack(">I", len(notice)) + notice + b"\1",
        "content-notice": content + notice,
        "content-unknown-kind": content + num(1, 99) + data(2, "x"),
        "content-of-garbage": content + b"\xff\xff",
        "end-of-hq": end + signed_as(hq, b"mail-end", mail_end()),
        "end-of-another": end + signed_as(haiti, b"mail-end", mail_end()),
        "end-body": end_body + mail_end(outcome=1),
        "end-body-with-prekey": end_body + mail_end(outcome=1) + num(7, 3) + data(8, octets(4, 32))
                                + num(9, 1700000000),
        "end-body-short-prekey": end_body + mail_end(outcome=1) + num(7, 3) + data(8, octets(4, 31)),
        "end-body-short-item": end_body + mail_end(size=31),
        "end-body-by-stranger": end_body + mail_end(recipient="chad"),
        "addresses-two": addresses + data(1, "192.0.2.1:1") + data(1, "[2001:db8::1]:2"),
        "addresses-nine": addresses + data(1, "192.0.2.1:1") * 9,
        "addresses-long": addresses + data(1, "9" * 256),
        "prekey": prekey + record(9, key).replace(octets(1, 64), sign(
            haiti, b"sauti/1 prekey\0" + key)),
        "prekey-zero": prekey + record(9, data(2, octets(9, 32))),
    }


def proof_seeds():
    leaves = [leaf_hash(bytes([i])) for i in range(255)]
    out = {}
    for a, b in ((1, 2), (7, 13), (8, 16), (255, 255), (0, 9)):
        root = tree_root(leaves[:a]) if a else hashlib.sha256(b"").digest()
        out["consistency-%d-%d" % (a, b)] = (bytes([0, a, b]) + root + b"".join(
            consistency(a, leaves[:b]) if a else []))
        if a < b:
            out["inclusion-%d-%d" % (a, b)] = (bytes([1, a, b]) + leaves[a] +
                                               b"".join(inclusion(a, leaves[:b])))
    out["consistency-other-root"] = bytes([0, 7, 13]) + octets(1, 32) + b"".join(
        consistency(7, leaves[:13]))
    out["consistency-too-long"] = out["consistency-7-13"] + octets(1, 32)
    return out


def vkey(name, kind, key):
    public = public_key(seed(key))
    key_id = hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).hexdigest()[:8]
    return "%s+%s+%s" % (name, key_id, base64.b64encode(bytes([kind]) + public).decode())


def tlog_proof_seeds():
    leaves = [leaf_hash(b"entry %d" % i) for i in range(7)]
    path = b"".join(base64.b64encode(h) + b"\n" for h in inclusion(3, leaves))
    tail = b"\n" + note(7, tree_root(leaves)).encode()
    head = b"c2sp.org/tlog-proof@v1\n"
    entry = bytes([1, 0]) + struct.pack(">H", 7) + b"entry 3"
    opened = bytes([1, 1]) + struct.pack(">H", 7) + b"entry 3" + octets(0, 32)
    extra = b"extra " + base64.b64encode(opened) + b"\n"
    log = "log %s\n" % vkey(ORIGIN, 1, "haiti log")
    mirrors = "".join("witness %s %s\n" % (n, vkey("ovra.example/mirror/" + n, 4, n))
                      for n in ("hq", "mali"))
    return {
        "bare": head + b"index 3\n" + path + tail,
        "entry": head + b"extra " + base64.b64encode(entry) + b"\nindex 3\n" + path + tail,
        "opened": head + extra + b"index 3\n" + path + tail,
        "no-path": head + b"index 0\n" + tail,
        "many-hashes": head + b"index 3\n" + path * 30 + tail,
        "other-version": head.replace(b"v1", b"v2") + b"index 3\n" + path + tail,
        "raw-opened": opened,
        "raw-entry": entry,
        "raw-flags": b"\1\2" + entry[2:],
        "policy-log": (log + "quorum none\n").encode(),
        "policy-group": (log + mirrors + "group q 1 hq mali\nquorum q\n").encode(),
        "policy-nested": ("# remark\n\t" + log + mirrors +
                          "group a any hq\ngroup b all a mali\nquorum b\n").encode(),
        "policy-twice": (mirrors + mirrors + "quorum hq\n").encode(),
        "policy-no-quorum": log.encode(),
    }


def add_checkpoint_seeds():
    leaves = [leaf_hash(b"entry %d" % i) for i in range(7)]
    path = b"".join(base64.b64encode(h) + b"\n" for h in consistency(3, leaves))
    signed = note(7, tree_root(leaves)).encode()
    return {
        "grown": b"old 3\n" + path + b"\n" + signed,
        "first": b"old 0\n\n" + signed,
        "same": b"old 7\n\n" + signed,
        "lines": b"old 3\n" + path + b"\n" + signed + signed.split(b"\n\n", 1)[1],
        "larger-old": b"old 8\n\n" + signed,
        "many-hashes": b"old 3\n" + path * 30 + b"\n" + signed,
        "huge": b"old 9223372036854775807\n\n" + signed,
        "zero-led": b"old 03\n" + path + b"\n" + signed,
        "no-line": b"old 3\n" + path + signed,
        "foreign": b"old 0\n\nexample.com/log\n1\n" + base64.b64encode(leaves[0])
                   + b"\nextension\n\n" + signed.split(b"\n\n", 1)[1],
    }


def disclosure_seeds():
    def lv16(text):
        return struct.pack(">H", len(text)) + text.encode()

    def key(group, *counts):
        return bytes([group]) + octets(0, 16) + octets(1, 32) + b"".join(
            struct.pack(">I", n) + octets(2, 32) * n for n in counts)

    def head(*origins):
        return (b"SAUTIOPN" + struct.pack(">I", 1) + lv16("ovra.example") + lv16("haiti") +
                struct.pack(">QH", 5, len(origins)) +
                b"".join(lv16(o) + struct.pack(">Q", 9) for o in origins))

    other = ORIGIN.replace("/1-", "/2-")
    one = struct.pack(">I", 1)
    good = head(ORIGIN) + struct.pack(">I", 2) + key(11, 2) + key(1, 3)
    return {
        "good": good,
        "no-key": head(ORIGIN) + struct.pack(">I", 0),
        "no-log": head() + one + key(11),
        "two-logs": head(ORIGIN, other) + one + key(11, 1, 2),
        "log-twice": head(ORIGIN, ORIGIN) + one + key(11, 1, 2),
        "other-group": head(ORIGIN) + one + key(4, 1),
        "other-version": good.replace(b"OPN\0\0\0\1", b"OPN\0\0\0\2"),
        "cut": good[:-1],
        "more": good + b"\0",
        "count-too-large": head(ORIGIN) + one + key(11, 0)[:-4] + b"\xff\xff\xff\xff",
        "keys-too-many": head(ORIGIN) + struct.pack(">I", 200000) + key(11, 0),
    }


def audit_state_seeds():
    def b64(octets_):
        return base64.b64encode(octets_)

    def log(origin=ORIGIN, size=6, node=b64(octets(3, 32)), branch_=b"a"):
        leaves = branch(branch_, size)
        peaks, at = b"", 0
        for level in range(7, -1, -1):
            if size >> level & 1:
                peaks += tree_root(leaves[at:at + (1 << level)])
                at += 1 << level
        signed = note(size, tree_root(leaves), origin=origin).encode()
        return (b"log " + origin.encode() + b"\nchanged 1700000000\ncosigned 0\nnode " + node +
                b"\nopened " + b64(record(1, log_opened(origin))) + b"\npeaks " + b64(peaks) +
                b"\nnote " + b64(signed) + b"\n")

    def head(directory=b"-"):
        return (b"sauti-audit-state 1\nnetwork ovra.example\ndirectory " + directory +
                b"\nvisited 1700000001\n")

    def sealed_(text):
        return text + b"sha256 " + hashlib.sha256(text).hexdigest().encode() + b"\n"

    other = ORIGIN.replace("/1-", "/2-")
    key = vkey("ovra.example/directory/1-0123456789abcdef", 1, "directory").encode()
    return {
        "empty": sealed_(head()),
        "one": sealed_(head(key) + log()),
        "two": sealed_(head(key) + log() + log(other, 7, b"-")),
        "to-be-sealed": head(key) + log(size=1) + b"!",
        "out-of-order": head() + log(other) + log() + b"!",
        "twice": head() + log() + log() + b"!",
        "other-version": head().replace(b"state 1", b"state 2") + b"!",
        "other-hash": sealed_(head() + log())[:-3] + b"00\n",
        "no-end": head() + log(),
        "of-nothing": head() + log().replace(b64(note(6, tree_root(branch(b"a", 6))).encode()), b"") + b"!",
        "no-number": head().replace(b"visited 1", b"visited 01") + b"!",
        "no-key": head(b"nonsense") + b"!",
        "more": sealed_(head()) + b"\n",
    }


def frame_seeds():
    seeds = {
        "hello": frame(hello()),
        "hello-empty": frame(data(1, b"")),
        "have-none": frame(have()),
        "have-two": frame(have(log_state(ORIGIN, 5), log_state("a.b/c/1-" + "0" * 16, 0, 3))),
        "fetch": frame(fetch()),
        "fetch-end": frame(fetch(0)),
        "held": frame(held()),
        "ping": frame(ping(1)),
        "pong-64-bits": frame(ping((1 << 64) - 1, 7)),
        "bye": frame(bye(3, "zu viele \u20ac")),
        "mail": frame(data(9, data(1, mail_body(data(9, num(1, 2)))) + data(2, octets(4, 64)))),
        "mail-custody": frame(data(10, data(1, data(1, octets(5, 32))))),
        "mail-refused": frame(data(10, data(2, data(1, octets(5, 32)) + num(2, 1)))),
        "mail-end": frame(data(10, data(3, data(1, mail_end()) + data(2, octets(4, 64))))),
        "bye-escape": frame(bye(3, "\x1b[2J\u202e")),
        "batch-sealed": frame(batch([sealed(), sealed(600)], 3, 1)),
        "batch-records": frame(batch([record(1, log_opened()), record(2, network_created()),
                                      record(3, node_admitted())], 2)),
        "batch-new-epoch": frame(batch([record(1, log_opened(previous=ORIGIN))])),
        "batch-unknown-record": frame(batch([record(99, b"whatever")])),
        "batch-record-of-garbage": frame(batch([record(1, b"\xff\xff"), record(3, b"\x0b")])),
        "batch-malformed-entries": frame(batch([b"", b"\x00", sealed() + sealed(),
                                                sealed() + record(1, b"")])),
        "batch-role-not-known": frame(batch([record(3, node_admitted(77, ""))])),
        "batch-many-entries": frame(batch([b"\x0a\x00"] * 300)),
        "session": b"".join(frame(f) for f in (hello(), have(log_state(ORIGIN, 5)), fetch(),
                                                batch([sealed()]), held(), ping(2), bye(0, ""))),
        # The frame reader.
        "no-bytes": b"",
        "header-cut": frame(ping(1))[:3],
        "header-alone": frame(ping(1))[:4],
        "body-cut": frame(hello())[:-1],
        "length-zero": frame(ping(1)) + struct.pack(">I", 0) + frame(ping(2)),
        "length-over-maximum": struct.pack(">I", (1 << 20) + 1) + b"x" * 20,
        "length-of-32-bits": frame(ping(1)) + b"\xff\xff\xff\xff" + b"x" * 20,
        # The scan.
        "two-bodies": frame(ping(1) + ping(2, 7)),
        "body-twice": frame(ping(1) + ping(1)),
        "token-twice": frame(data(6, num(1, 1) + num(1, 2))),
        "varint-overlong": frame(data(6, b"\x08\x81\x00")),
        "varint-eleven-bytes": frame(data(6, b"\x08" + b"\xff" * 10 + b"\x01")),
        "varint-cut": frame(data(6, b"\x08\x80")),
        "field-zero": frame(b"\x00\x01"),
        "group": frame(b"\x33\x34"),
        "wire-type-wrong": frame(data(6, b"\x0d\x01\x00\x00\x00")),
        "wire-type-7": frame(b"\x37\x01"),
        "text-not-utf8": frame(data(1, data(1, b"\xed\xa0\x80"))),
        "text-with-nul": frame(data(8, data(2, b"a\x00b"))),
        "length-past-end": frame(data(1, b"\x0a\x05abc")),
        "value-over-32-bits": frame(data(8, num(1, 1 << 32))),
        "unknown-32": frame(ping(1) + num(99, 1) * 32),
        "unknown-33": frame(ping(1) + num(99, 1) * 33),
        "unknown-of-each-type": frame(num(50, 1) + b"\x99\x03" + b"x" * 8 + data(51, "y") +
                                      b"\xa5\x03" + b"z" * 4),
        # What a member may send who means harm (tests/integration/test_hostile.py).
        "have-257-logs": frame(have(*(log_state("ovra.example/haiti/%d-0011223344556677" % (i + 1), 1, 0)
                                      for i in range(257)))),
        "have-no-size": frame(data(2, data(1, data(1, ORIGIN) + data(3, "x\n")))),
        "fetch-from-beyond": frame(data(3, data(1, ORIGIN) + num(2, 1) + num(3, (1 << 64) - 1) + num(4, 8))),
        "fetch-again-and-again": b"".join(frame(data(3, data(1, ORIGIN) + num(2, n) + num(4, 16)))
                                          for n in range(1, 40)),
        "held-of-nothing": frame(data(5, data(1, ORIGIN))),
        "batch-cut": frame(data(4, data(1, ORIGIN) + b"\x22\xff\xff\x7f")),
        "bye-of-noise": frame(data(8, data(2, b"\xff" * 2000))),
        "deep": frame(data(2, data(1, data(4, data(1, data(1, data(1, data(1, data(1, b""))))))))),
        "a-later-kind": frame(data(99, b"x" * 300)),
        "fields-over-maximum": frame(data(2, b"\x0a\x00" * 8192)),
    }
    seeds.update(directory_seeds())
    return seeds


def message_seeds():
    invite = data(1, "haiti") + num(2, 2) + data(3, "HTI") + data(4, octets(0, 32)) + num(5, 1)
    slot = (data(1, "marie") + num(2, 65536) + num(3, 8) + num(4, 1) + data(5, octets(0, 16)) +
            data(6, octets(0, 12)) + data(7, octets(0, 48)))
    seeds = {
        "JoinToken": data(1, "ovra.example") + data(2, "hq.ovra.example:7411") +
                     data(2, "192.0.2.1:7411") + data(3, ORIGIN) + data(4, octets(0, 32)) +
                     num(5, 3) + data(6, octets(0, 32)) + data(7, octets(0, 32)) +
                     data(8, "haiti") + num(9, 2) + data(10, "HTI") + num(11, 1700000000),
        "JoinWelcome": data(1, "note") + data(2, record(2, network_created())),
        "JoinRequest": data(1, "haiti") + data(2, octets(0, 32)) + data(3, octets(0, 91)) +
                       data(4, node_admitted()) + data(5, octets(0, 64)),
        "JoinReply": data(1, "no") + data(2, octets(0, 50)) + data(5, "note") + data(6, sealed()),
        "ControlRequest": data(4, data(1, b'{"type":"case.opened"}\n') + num(2, 1)),
        "ControlRequest-backup": data(20, data(1, "/media/stick/monday")),
        "ControlResponse": num(1, 2) + data(2, "over a limit") + num(3, 1) + data(4, "{}"),
        "BootKeys": num(1, 1) + data(2, "ovra.example") + data(3, "haiti") +
                    data(4, octets(0, 40)) + data(5, octets(0, 32)) + data(6, octets(0, 32)),
        "Keystore": num(1, 1) + data(2, slot) * 2 + data(3, octets(0, 12)) +
                    data(4, octets(0, 64)),
        "KeyringRecord": data(1, octets(0, 16)) + num(2, 3) + data(3, "haiti") + num(4, 1) +
                         data(5, octets(0, 32)) + data(6, ORIGIN),
        "Genesis": num(1, 1) + data(2, "ovra.example") + data(5, record(2, network_created())),
        "Invite": invite,
        "Part": data(1, octets(0, 16)) + data(2, octets(0, 16)) + num(3, 1) + num(4, 2) +
                data(5, "2026-01-31") + data(6, "D") + num(9, 1) + data(12, octets(0, 16)) +
                data(15, data(1, "sex") + data(2, '"female"')),
        "NodeAdmitted": node_admitted(),
        "Entry": sealed(),
        "Frame": batch([sealed(), record(1, log_opened())], 2),
        "Frame-have": have(log_state(ORIGIN, 5, 2)),
    }
    hostile = {
        "ControlRequest-two-bodies": data(2, b"") + data(3, b""),
        "ControlResponse-bool-2": num(3, 2),
        "Invite-negative-role": num(2, (1 << 64) - 2),
        "Invite-role-of-32-bits": num(2, 1 << 31),
        "Keystore-many-slots": data(2, b"") * 500,
    }
    out = {}
    for name, wire in list(seeds.items()) + list(hostile.items()):
        out[name] = name.split("-")[0].encode() + b"\n" + wire
    out["unknown-type"] = b"Nobody\n" + num(1, 1)
    return out


def escrow_seeds():
    place = num(1, 1) + num(2, 3) + data(3, octets(0, 16)) + num(4, 12) + num(5, 850)
    chunk = (num(1, 1) + num(2, 3) + data(3, octets(0, 16)) + data(4, octets(0, 32)) + data(5, octets(0, 12)) +
             data(6, octets(0, 300)))
    manifest = (data(1, "ovra.example") + data(2, "haiti") + num(3, 7) + data(4, octets(0, 32)) + num(5, 1700000000) +
                data(6, "hq") + data(6, "kenya") + data(7, place) + data(7, num(1, 2) + place[2:]))
    key = data(1, octets(0, 16)) + data(2, octets(0, 32))
    keys = b"\x01\x01" + b"\x00\x05" + b"a/b/1" + b"\x00\x00\x00\x01" + octets(0, 48) + b"\x02" + octets(0, 4) + b"\x00"
    return {
        "chunk": b"\0" + record(11, chunk),
        "manifest": b"\1" + record(12, manifest),
        "keys": b"\2" + data(1, key) * 2,
        "held": b"\3" + data(1, octets(0, 16)) + data(2, octets(1, 16)),
        "ask": b"\4" + data(1, octets(0, 16)) + num(2, 4) + data(3, octets(0, 32)) + num(4, 1),
        "answer": b"\5" + data(1, key) + data(2, octets(1, 16)),
        "share-words": b"\6" + b"abandon ability able about " * 8,
        "share-code": b"\6SAUTI1:" + b"11" * 41,
        "layers": b"\7\1" + keys,
    }


def receipt_seeds():
    def batch(count, step=1):
        return record(13, data(1, b"".join(bytes([i * step]) + octets(0, 152) for i in range(count))))
    event, item, origin = octets(0, 16), octets(0, 153), b"\0\x06a/b/1-"
    times = b"".join(bytes(7) + bytes([n]) for n in (1, 2, 3, 4))
    return {
        "batch-16": b"\0" + batch(16),
        "batch-64": b"\0" + batch(64),
        "batch-15": b"\0" + batch(15),
        "batch-same": b"\0" + batch(16, 0),
        "waiting": b"\1\1\1" + event + bytes(8) + item,
        "logged": b"\1\1\2" + event + bytes(8) + item + origin + bytes(8),
        "confirmed": b"\1\1\3" + event + bytes(8),
        "clock": b"\2\1\4" + times + origin + b"\0",
        "clock-writing": b"\2\1\4" + times + origin + b"\1" + bytes(8) + octets(0, 32),
        "words": b"\3zoo lend weasel beach abandon ocean",
        "words-typed": b"\3 ZOO\tlend weas\r\nbeac aban ocean ",
        "words-seven": b"\3zoo zoo zoo zoo zoo zoo zoo",
        "item": b"\4" + item,
    }


def main():
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        sys.exit(__doc__)
    bad = []
    for folder, seeds in (("frame", frame_seeds()), ("message", message_seeds()),
                          ("evidence", evidence_seeds()), ("proof", proof_seeds()),
                          ("mail", mail_seeds()), ("tlog_proof", tlog_proof_seeds()), ("escrow", escrow_seeds()),
                          ("disclosure", disclosure_seeds()), ("audit_state", audit_state_seeds()),
                          ("add_checkpoint", add_checkpoint_seeds()),
                          ("receipt", receipt_seeds())):
        path = os.path.join(HERE, folder)
        os.makedirs(path, exist_ok=True)
        there = {name for name in os.listdir(path) if not name.startswith("found-")}
        bad += [folder + "/" + name for name in there - set(seeds)]
        for name, content in seeds.items():
            file = os.path.join(path, name)
            if not check:
                with open(file, "wb") as out:
                    out.write(content)
            elif name not in there or open(file, "rb").read() != content:
                bad.append(folder + "/" + name)
        print("%s: %d seeds" % (folder, len(seeds)))
    if bad:
        sys.exit("not as they are made here: " + " ".join(sorted(bad)))


if __name__ == "__main__":
    main()
