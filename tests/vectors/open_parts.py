#!/usr/bin/env python3
"""open_parts.py part.json: reads parts of events as docs/FORMAT and proto/part.proto say, not with the
C code, and puts each event together again. exit: 0 all of it fits, 1 not so"""
import calendar
import json
import re
import sys
import time

TYPES = {name: int(number) for number, name in re.findall(
    r"^\| (\d+) \| `(\w+)`", open(__file__.replace("tests/vectors/open_parts.py", "docs/EVENTS.md"),
                                  encoding="utf-8").read(), re.M)}
REFS = {12: "supersedes", 13: "parents", 14: "consent_refs"}


class Refused(Exception):
    pass


def check(condition, reason):
    if not condition:
        raise Refused(reason)


def message(data):
    """(number, value) of a protobuf message of varints and bytes."""
    fields, at = [], 0

    def varint():
        nonlocal at
        value = shift = 0
        byte = 128
        while byte >= 128:
            byte = data[at]
            value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
        return value
    while at < len(data):
        tag = varint()
        value = varint()
        if tag & 7 == 2:
            check(at + value <= len(data), "truncated")
            value, at = data[at:at + value], at + value
        fields.append((tag >> 3, value))
    return fields


def uuid(data):
    text = data.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def whole_numbers(text):
    raise Refused(f"a fraction: {text}")


def read(data):
    single = {n: v for n, v in message(data) if n < 12}
    part = {"main": bool(single.get(9)), "group": single.get(4, 0), "refs": {}, "fields": {}}
    check(len(single.get(1, b"")) == 16 and len(single.get(2, b"")) == 16, "ids")
    check(single.get(3, 0) > 0 and 1 <= part["group"] <= 10, "type or group")
    date, precision = single.get(5, b"").decode(), single.get(6, b"").decode()
    form = {"D": "%Y-%m-%d", "M": "%Y-%m", "Y": "%Y", "UNKNOWN": ""}
    check(precision in form, "precision")
    try:
        check(date == time.strftime(form[precision], time.strptime(date, form[precision]))
              if date else precision == "UNKNOWN", "date")
    except ValueError:
        raise Refused("date") from None
    check(single.get(8, b""), "recorded_by")
    check(part["main"] or 10 not in single and 11 not in single, "office outside of the main part")
    part["head"] = (single[1], single[2], single[3], date, precision, single.get(7, 0), single[8])
    part["office"], part["language"] = single.get(10, b"").decode(), single.get(11, b"").decode()
    for number, value in message(data):
        if number in REFS:
            part["refs"].setdefault(REFS[number], []).append(uuid(value))
        elif number == 15:
            field = {n: v.decode() for n, v in message(value)}
            check(field[1] not in part["fields"] and field[1] != "event_id", "field")
            try:
                part["fields"][field[1]] = json.loads(field[2], parse_float=whole_numbers)
            except json.JSONDecodeError:
                raise Refused("no JSON") from None
    return part


def together(parts):
    """The event that was split; a list that was divided, services first, is one again."""
    main = next(part for part in parts if part["main"])
    event_id, case_ref, number, date, precision, at, by = main["head"]
    event = {"type": next(n for n in TYPES if TYPES[n] == number), "event_id": uuid(event_id),
             "case_ref": case_ref.hex(), "occurred_on": date, "precision": precision,
             "recorded_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)),
             "recorded_by": by.decode(), "office": main["office"], **main["refs"]}
    if main["language"]:
        event["language"] = main["language"]
    for part in [main] + [p for p in parts if not p["main"]]:
        check(part["head"] == main["head"], "heads differ")
        for name, value in part["fields"].items():
            event[name] = event[name] + value if name in event else value
    return event


def main():
    failed, vectors = 0, json.load(open(sys.argv[1], encoding="utf-8"))
    assert calendar.timegm((1970, 1, 1, 0, 0, 0)) == 0 and len(TYPES) == 52
    for vector in vectors["good"]:
        wanted = json.loads(vector["event"])
        got = together([read(bytes.fromhex(part)) for part in vector["parts"]])
        print("ok  " if got == wanted else "FAIL", wanted["type"])
        failed += got != wanted
    for vector in vectors["bad"]:
        try:
            read(bytes.fromhex(vector["part"]))
            print("FAIL", vector["name"], "is accepted")
            failed += 1
        except Refused as refused:
            print("ok  ", vector["name"], "-", refused)
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
