"""Events for tests, as the rules allow them.

Nobody has consented to anything in a case that was just opened: it takes what the victim says
(`said`), and no free text of an officer's. After `agreed` it takes notes.
"""

import json

DAY = "2026-01-01"


def event(number, kind, ref, series=8, **fields):
    """An event with an id of its own: of one series each number once."""
    return {"type": kind, "event_id": f"01900000-0000-7000-{series}000-{number:012x}", "case_ref": ref,
            "occurred_on": DAY, "precision": "D"} | fields


def opened(number, code, **fields):
    """A new case, whose reference is the number."""
    return event(number, "CASE_OPENED", f"{number:032x}", case_code=code, **fields)


def said(number, ref, text, **fields):
    """What the victim says: text in the group `contact`."""
    return event(number, "VICTIM_VIEW", ref, series=9, subject="SERVICES", view=text, **fields)


def agreed(number, ref, **fields):
    """The consent to manage the case."""
    return event(number, "CONSENT_RECORDED", ref, series="a", **consent(), **fields)


def consent():
    """What a consent to manage the case says; it begins on its own day."""
    return {"purpose": "CASE_MGMT", "given_by": "VICTIM", "form": "WRITTEN", "valid_until": "2099-12-31"}


def lines(*events):
    """JSON lines."""
    return "".join(json.dumps(e) + "\n" for e in events)


def agree(node, case):
    """The same by the command line, of a case that is open."""
    node.sauti("case", "add", case, "--from", "-", stdin=lines({"type": "CONSENT_RECORDED"} | consent()))
