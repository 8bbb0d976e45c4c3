"""The suite `keys` of bench/run: what it costs to give keys, to take them back, to keep and to lose them.

bench/README.md says how each figure is taken.
"""

import statistics

# Key -> (target, what it is). The order is that of the report.
KEYS = {
    "find_history_s": ("<= 1", "a case given with its history out of a log of 1,000,000 entries of another "
                               "node: the mail opened, all entries found, the case shown; the slowest"),
    "erase_s": ("<= 2", "the keys of one case among 100,000 destroyed: keystore, keyring written anew, "
                        "keystore, all synced"),
    "share_ms": ("<= 5", "a case given to another office: judged, rows written, sealed; beside the commit "
                         "of the ledger's entry"),
    "escrow_bytes_per_key": ("<= 100", "bytes in the log for each key in escrow, chunks and manifest; the "
                                       "larger of all at once and 1,000 more"),
    "recover_s": ("<= 10", "all keys of an office out of its escrow, by two shares and the version keys, "
                           "into its keyring"),
}
PARTS = ["share", "erase", "escrow"]


class Sizes:
    """How much is measured."""

    def __init__(self, smoke):
        self.foreign = 5_000 if smoke else 1_000_000
        self.shares = 3 if smoke else 20
        self.keyring = 400 if smoke else 400_000
        self.erasures = 2 if smoke else 5
        self.escrow = 2_000 if smoke else 100_000


class KeysSuite:
    """Runs the parts for bench/run's Suite, which keeps the figures."""

    def __init__(self, suite):
        self.suite, self.sizes = suite, Sizes(suite.args.smoke)

    def share(self):
        suite, sizes = self.suite, self.sizes
        suite.say(f"giving {sizes.shares} cases out of a log of {sizes.foreign:,} entries")
        got = suite.program("share", suite.directory("share"), sizes.foreign, sizes.shares)
        suite.figures["find_history_s"] = max(got["find_s"])
        suite.figures["share_ms"] = statistics.median(got["share_ms"])
        suite.absolute.update({
            "share_entries": got["entries"], "find_median_s": statistics.median(got["find_s"]),
            "share_min_ms": min(got["share_ms"]), "share_max_ms": max(got["share_ms"])})

    def erase(self):
        suite, sizes = self.suite, self.sizes
        suite.say(f"destroying four keys of {sizes.keyring:,}, {sizes.erasures} times")
        got = suite.program("destroy", suite.directory("destroy"), sizes.keyring, sizes.erasures)
        suite.figures["erase_s"] = statistics.median(got["destroy_s"])
        suite.absolute.update({"erase_keys": sizes.keyring, "erase_min_s": min(got["destroy_s"]),
                               "erase_max_s": max(got["destroy_s"])})

    def escrow(self):
        suite, sizes = self.suite, self.sizes
        suite.say(f"{sizes.escrow:,} keys into the escrow, and back")
        got = suite.program("escrow", suite.directory("escrow"), sizes.escrow)
        suite.figures["escrow_bytes_per_key"] = max(got["bytes_per_key"], got["more_bytes_per_key"])
        suite.figures["recover_s"] = got["recover_s"]
        suite.absolute.update({"escrow_keys": sizes.escrow, "escrow_make_s": got["make_s"],
                               "escrow_all_bytes_per_key": got["bytes_per_key"],
                               "escrow_more_bytes_per_key": got["more_bytes_per_key"]})

    def run(self):
        for name, part in (("share", self.share), ("erase", self.erase), ("escrow", self.escrow)):
            if name in self.suite.args.only:
                part()
