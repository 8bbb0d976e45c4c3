#!/usr/bin/env python3
"""HPKE both ways with @hpke/core, which nobody here wrote: what one seals the other opens, what was
changed neither does. test_hpke.py HPKE_TOOL SCRATCH

The modules are fetched by npm, from whatever registry this machine is set up for, into SCRATCH, once.
Skips, exit 77, where node or npm is missing or the registry cannot be reached."""
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import npm
from mutations import skip

MODULES = ["@hpke/core@1", "@hpke/dhkem-x25519@1"]
HERE = Path(__file__).resolve().parent


class Other:
    """The other implementation, in a process of its own."""

    def __init__(self, scratch):
        self.process = subprocess.Popen(["node", "hpke.mjs"], cwd=scratch, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, what, key=b"", info=b"", aad=b"", data=b""):
        request = {"what": what, "key": key.hex(), "info": info.hex(), "aad": aad.hex(),
                   "data": data.hex()}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            skip(f"this node ({subprocess.getoutput('node --version')}) does not run the modules")
        return json.loads(line)


def ours(tool, what, key, info, aad, data):
    done = subprocess.run([tool, what, key.hex(), info.hex(), aad.hex(), data.hex()],
                          capture_output=True, text=True, check=False)
    return bytes.fromhex(done.stdout.strip()) if done.returncode == 0 else None


def main():
    tool, scratch = sys.argv[1], Path(sys.argv[2])
    npm.fetch(scratch, MODULES)
    shutil.copy(HERE / "hpke.mjs", scratch / "hpke.mjs")
    other = Other(scratch)
    for round_ in range(12):
        pair = other.ask("keys")
        public, private = bytes.fromhex(pair["public"]), bytes.fromhex(pair["private"])
        info, aad = b"sauti/1 mail" + os.urandom(round_ * 7), os.urandom(round_ % 3 * 5)
        plain = os.urandom([0, 1, 15, 16, 17, 300, 20000][round_ % 7])

        sealed = ours(tool, "seal", public, info, aad, plain)
        said = other.ask("open", private, info, aad, sealed)
        assert said.get("data") == plain.hex(), f"theirs does not open ours: {said}"
        said = other.ask("seal", public, info, aad, plain)
        sealed = bytes.fromhex(said["data"])
        assert ours(tool, "open", private, info, aad, sealed) == plain, "ours does not open theirs"

        at = os.urandom(1)[0] % len(sealed)
        changed = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1:]
        assert ours(tool, "open", private, info, aad, changed) is None, "ours opens what was changed"
        assert "error" in other.ask("open", private, info, aad, changed)
        assert ours(tool, "open", private, info + b"x", aad, sealed) is None, "another info opens it"
    other.process.stdin.close()
    other.process.wait(timeout=30)
    print("12 rounds, both ways")


main()
