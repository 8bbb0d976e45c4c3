"""sauti-web under test: started as another user where the test may, on a free port of loopback or a
Unix socket, for a node or one that is none."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

from network import Failed, wait_for

NOBODY = 65534


class Web:
    """`address` is what connections are made to; stop() gives the exit status."""

    def __init__(self, build, root, socket, *args, limits="", listen="127.0.0.1:0"):
        self.root = Path(root)
        self.log_path = self.root / f"web-{os.urandom(4).hex()}.log"
        config = self.log_path.with_suffix(".conf")
        config.write_text(f"[web]\nlisten = {listen}\nsocket = {socket}\n[limits]\n{limits}\n", encoding="ascii")
        user, program = {}, Path(build) / "sauti-web"
        if os.geteuid() == 0:
            user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
            program = self.readable(program)
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([program, "--config", config, *map(str, args)],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, **user)
        found = wait_for("sauti-web to serve", self.serving, 60)
        self.address = int(found[1]) if found[1] else found[2]

    def readable(self, program):
        """A copy of it: the build may lie where that user may not go."""
        copy = self.log_path.with_suffix(".sauti-web")
        shutil.copyfile(program, copy)
        copy.chmod(0o755)
        return copy

    @property
    def log(self):
        """What it has said so far."""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def serving(self):
        if self.process.poll() is not None:
            raise Failed(f"sauti-web ended: {self.log.strip()}")
        return re.search(r"serving on (?:127\.0\.0\.1:(\d+)|unix:(\S+)),", self.log)

    def stop(self, number=signal.SIGTERM):
        if self.process is None:
            return None
        self.process.send_signal(number)
        try:
            status = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failed("sauti-web did not stop in 60 s") from None
        self.process = None
        return status

    def kill(self):
        """Whatever it does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def open_directory(path):
    """One in which another user finds things, and in which sauti-web may make a socket."""
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o1777)
    for parent in path.parents:
        if parent.stat().st_uid == os.geteuid() and not parent.stat().st_mode & 0o001 and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    return path
