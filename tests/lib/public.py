"""A client of sautid's public and control sockets that shares no code with it."""

import json
import socket
from typing import NamedTuple

from peers import field, fields

FILE, LOGS, ADD_CHECKPOINT, STATUS, WITNESS_CHECKPOINT, EVIDENCE = range(210, 216)


class Answer(NamedTuple):
    error: int
    message: str
    docs: list
    data: bytes


class Public:
    """One connection; requests one after the other."""

    def __init__(self, path, seconds=60):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))  # blocks while the backlog is full
        self.socket.settimeout(seconds)

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, message):
        """A frame of these bytes."""
        self.socket.sendall(len(message).to_bytes(4, "big") + message)

    def exactly(self, size):
        """That many bytes; EOFError when the other side closes first."""
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise EOFError(f"closed after {len(data)} of {size} bytes")
            data += more
        return data

    def answer(self):
        """All responses to one request."""
        error, message, docs, data, last = 0, "", [], b"", False
        while not last:
            response = dict(fields(self.exactly(int.from_bytes(self.exactly(4), "big"))))
            error = response.get(1, 0)
            message = response.get(2, b"").decode()
            if response.get(4):
                docs.append(json.loads(response[4]))
            data += response.get(90, b"")
            last = bool(response.get(3, 0)) or error != 0
        return Answer(error, message, docs, data)

    def ask(self, number, body=b""):
        """The request of that number."""
        self.send(field(number, body))
        return self.answer()

    def file(self, origin, path):
        return self.ask(FILE, field(1, origin) + field(2, path))
