"""A terminal for one command: what a person sees, and what they type.

    with Terminal([sauti, "case", "add"], env) as terminal:
        terminal.answer("phone")        # waits for the next question, then types
        terminal.end()                  # waits for the end; the exit code
    terminal.screen                     # all of it, line ends as "\\n"
"""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

PROMPT = re.compile(r"> \Z")


class Terminal:
    """One process with a pseudo terminal of its own."""

    def __init__(self, argv, env, columns=80):
        self.seen, self.answered, self.code = b"", 0, None
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
            os.execve(argv[0], [str(a) for a in argv], env)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.code is None:
            self.kill()
        os.close(self.fd)

    @property
    def screen(self):
        return self.seen.decode(errors="replace").replace("\r\n", "\n")

    def _read(self, seconds):
        """Reads what comes; False at the end."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # Linux says so when the other side is gone
            return False
        self.seen += data
        return data != b""

    def prompt(self, seconds=60):
        """Waits for a question that was not answered yet; what stands on the screen since the last."""
        end = time.monotonic() + seconds
        while not PROMPT.search(self.screen[self.answered:]):
            if not self._read(0.2) or time.monotonic() > end:
                raise AssertionError("no question came:\n" + self.screen[self.answered:])
        return self.screen[self.answered:]

    def answer(self, text):
        """Types a line at the next question; what was asked."""
        asked = self.prompt()
        self.answered = len(self.screen)
        os.write(self.fd, (text + "\n").encode())
        # The echo, up to its end of line, is not the next question.
        while "\n" not in self.screen[self.answered:]:
            if not self._read(5):
                break
        self.answered += self.screen[self.answered:].find("\n") + 1
        return asked

    def type(self, text):
        """Keys, whatever is asked."""
        os.write(self.fd, text.encode())

    def end(self, seconds=60):
        """Reads to the end; the exit code."""
        stop = time.monotonic() + seconds
        while self._read(0.2):
            if time.monotonic() > stop:
                raise AssertionError("it does not end:\n" + self.screen[self.answered:])
            if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                while select.select([self.fd], [], [], 0)[0] and self._read(0):
                    pass
                break
        self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.code

    def kill(self):
        """As a power cut would."""
        os.kill(self.pid, signal.SIGKILL)
        self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
