"""A bad link between real nodes: drives tests/lib/emulator, whose first comment says what it can do.

    with Link(BUILD, seed=7) as link:
        port = link.forward(node.port)          # connections to 127.0.0.1:port go through the link
        link.set("both", delay=300, rate=512)   # 600 ms there and back, 512 kbit/s each way
        link.set("down", stall=(4000, 400))     # nothing moves for 400 ms, every 4 s on average
        link.cut()

"up" is from those who dial through `forward` to the node behind it.
"""

import json
import subprocess
import unittest
from pathlib import Path

from network import Failed, wait_for


class Link:
    """One emulated link; everything that goes through it shares its rate."""

    def __init__(self, build, seed=1, **both):
        self.process = subprocess.Popen([Path(build) / "tests" / "lib" / "emulator" / "emulator", "--seed", str(seed)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.set("both", **both)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Ends it; connections through it are reset."""
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait(60)
        self.process.stdout.close()

    def do(self, *words):
        """One command; its answer."""
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        line = self.process.stdout.readline()
        if not line:
            raise Failed("the emulator has ended")
        answer = json.loads(line)
        if "error" in answer:
            raise Failed(f"emulator: {' '.join(map(str, words))}: {answer['error']}")
        return answer

    def forward(self, target, listen=0, back=False):
        """Listens on loopback and forwards to a port of loopback, or HOST:PORT; the port."""
        target, listen = (a if isinstance(a, str) else f"127.0.0.1:{a}" for a in (target, listen))
        return self.do("forward", listen, target, *(["back"] if back else []))["port"]

    def set(self, direction, **values):
        """delay in ms, rate in kbit/s, bloat in bytes, stall=(mean gap, mean length) in ms."""
        for key, value in values.items():
            self.do("set", direction, key, *(value if isinstance(value, tuple) else (value,)))

    def plan(self, direction, count):
        """The first stalls after they were set: [start, length] in ms."""
        return self.do("plan", direction, count)["stalls"]

    def cut(self, how="reset"):
        self.do("cut", *(["end"] if how == "end" else []))

    def cut_at(self, direction, size):
        self.do("cut-at", direction, size)

    def every(self, seconds):
        self.do("every", int(seconds * 1000))

    def half_open(self):
        self.silence("half-open")

    def dark(self):
        self.silence("dark")

    def silence(self, how):
        try:
            self.do(how)
        except Failed as e:
            if "no socket filter" not in str(e):
                raise
            raise unittest.SkipTest(f"{e}: run it as root") from None

    def refuse(self):
        self.do("refuse")

    def heal(self):
        self.do("heal")

    def capture(self, path):
        self.do("capture", path)

    def count(self):
        return self.do("count")

    def quiet(self, seconds=120):
        """Waits until nothing is on the way."""
        wait_for("the link to be empty", lambda: not any(self.count()[d]["held"] for d in ("up", "down")), seconds)
