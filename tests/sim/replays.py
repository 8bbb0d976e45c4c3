#!/usr/bin/env python3
"""Runs the seeds that once found a fault (tests/sim/replays).

    replays.py SIM
"""

import subprocess
import sys
from pathlib import Path

LIST = Path(__file__).resolve().parent / "replays"


def main():
    sim, red, count = sys.argv[1], 0, 0
    for line in LIST.read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        command, found = line.split(" -- ", 1)
        count += 1
        done = subprocess.run([sim, "--quiet", "--seed", *command.split()], capture_output=True,
                              text=True)
        if done.returncode != 0:
            red += 1
            print(f"{done.stdout}{done.stderr}  it found before: {found}")
    print(f"{count} seeds, {red} red")
    sys.exit(1 if red or not count else 0)


if __name__ == "__main__":
    main()
