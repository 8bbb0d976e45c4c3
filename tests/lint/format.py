#!/usr/bin/env python3
"""Every C file is as clang-format would write it (.clang-format, STYLE 27).

    format.py [ROOT]

Looks at the files that git tracks, or at all of them where there is no git. Exit 77, which is
"skipped", when clang-format is not installed.
"""

import pathlib
import shutil
import subprocess
import sys


def files(root):
    if (root / ".git").exists() and shutil.which("git"):
        out = subprocess.run(["git", "-C", root, "ls-files", "*.c", "*.h"], check=True,
                             capture_output=True, text=True).stdout
        return [name for name in out.splitlines() if (root / name).is_file()]
    return [p.relative_to(root).as_posix() for p in sorted(root.glob("[a-z]*/**/*.[ch]"))
            if not p.relative_to(root).parts[0].startswith("build")]


def main():
    default = pathlib.Path(__file__).resolve().parents[2]
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    if shutil.which("clang-format") is None:
        print("skipped: clang-format is not installed (apt install clang-format)")
        sys.exit(77)
    names = files(root)
    bad = []
    for i in range(0, len(names), 50):
        part = names[i:i + 50]
        run = subprocess.run(["clang-format", "--dry-run", "-Werror", *part], cwd=root,
                             capture_output=True, text=True)
        if run.returncode == 0:
            continue
        bad += [name for name in part if name + ":" in run.stderr] or [run.stderr]
    for name in bad:
        print("%s: not as clang-format writes it (clang-format -i %s)" % (name, name))
    if bad or not names:
        sys.exit("%d of %d files" % (len(bad), len(names)))
    print("%d files" % len(names))


main()
