#!/usr/bin/env python3
"""No program that is installed can verify with the simulator's keyed hash (signatures.h).

    test_shipped.py SIM PROGRAM...
"""

import pathlib
import sys

MARK = b"sauti simulated signature"


def main():
    sim, *programs = map(pathlib.Path, sys.argv[1:])
    if MARK not in sim.read_bytes():
        sys.exit(f"{sim}: the mark that is looked for is not even here")
    for program in programs:
        if MARK in program.read_bytes():
            sys.exit(f"{program}: contains the simulator's signatures")
    print(f"{len(programs)} programs without them")


if __name__ == "__main__":
    main()
