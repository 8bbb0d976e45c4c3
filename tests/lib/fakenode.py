"""A node that is none: it speaks the control socket's protocol and answers what a test says, also what
no node would. And raw HTTP, for requests that no library would send."""

import os
import socket
import struct
import threading

FILE, LOGS, ADD, STATUS, WITNESS, EVIDENCE = range(210, 216)
NOTFOUND, MALFORMED, BUSY = 13, 3, 15  # base/err.h


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out + bytes([n]))


def field(number, value):
    """Of protobuf: a number as varint, bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def response(json=b"", data=b"", error=0, message=b"", last=False):
    """One response, with its length before it."""
    body = b"".join(field(n, v) for n, v in ((1, error), (2, message), (3, int(last)), (4, json), (90, data)) if v)
    return struct.pack(">I", len(body)) + body


def fields(data):
    """{number: value} of a message without repeated fields."""
    found, at = {}, 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
    while at < len(data):
        tag = number()
        value = number()
        if tag & 7 == 2:
            value, at = data[at:at + value], at + value
        found[tag >> 3] = value
    return found


class FakeNode:
    """answer(number, fields) gives the bytes of the answer, in one piece or several; None: none at all,
    and the connection stays; b"": the connection is closed."""

    def __init__(self, path, answer):
        self.path, self.answer = str(path), answer
        self.asked, self.tokens, self.connections = [], 0, 0
        self.stopping = False
        self.sockets = []
        self.start()

    def start(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        os.chmod(self.path, 0o666)
        self.listener.listen(64)
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            self.sockets.append(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    @staticmethod
    def exactly(connection, size):
        data = b""
        while len(data) < size:
            more = connection.recv(size - len(data))
            if not more:
                raise OSError("closed")
            data += more
        return data

    def serve(self, connection):
        try:
            while True:
                size, = struct.unpack(">I", self.exactly(connection, 4))
                request = fields(self.exactly(connection, size))
                self.tokens += 200 in request
                (number, body), = [(n, v) for n, v in request.items() if n != 200]
                self.asked.append(number)
                answer = self.answer(number, fields(body))
                if answer is None:
                    continue
                if answer == b"":
                    break
                for piece in [answer] if isinstance(answer, bytes) else answer:
                    connection.sendall(piece)
        except OSError:
            pass
        connection.close()

    def stop(self):
        """As a node that ends: nobody listens, every connection is closed."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        os.unlink(self.path)
        for connection in self.sockets:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.sockets = []


class Reply:
    """An HTTP response, read by the rules and no library's."""

    def __init__(self, data, head_only=False):
        head, _, rest = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        if not lines[0].startswith("HTTP/1."):
            raise ValueError(f"no response: {data[:200]}")
        self.status = int(lines[0].split(" ")[1])
        self.headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            self.headers[name.lower()] = value.strip()
        size = 0 if head_only else int(self.headers.get("content-length", 0))
        self.body, self.rest = rest[:size], rest[size:]
        self.whole = len(self.body) == size


def connect(address, timeout=20):
    """address: a port of loopback, or the path of a Unix socket."""
    if isinstance(address, int):
        return socket.create_connection(("127.0.0.1", address), timeout=timeout)
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(timeout)
    s.connect(str(address))
    return s


def receive(s):
    """Everything until the other side closes."""
    data = b""
    try:
        while True:
            more = s.recv(65536)
            if not more:
                return data
            data += more
    except ConnectionResetError:
        return data


def replies(data, head_only=False):
    """The responses in the order they came."""
    found = []
    while data:
        found.append(Reply(data, head_only))
        data = found[-1].rest
        head = found[-1].body[:12]
        if head.startswith(b"HTTP/1.1 4") and found[-1].headers.get("connection") == "close":
            # libmicrohttpd 0.9.75 sends the head of some pages of its own twice, and closes.
            if (found[-1].body + data).count(b"HTTP/1.") != 1:
                raise ValueError("more than one response after the last")
            break
    return found


def raw(address, data, timeout=20):
    """Sends these bytes, and gives all responses until the connection is closed."""
    with connect(address, timeout) as s:
        try:
            s.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return replies(receive(s))


def get(address, path, method="GET", host="localhost", headers="", body=b""):
    """One request on a connection of its own."""
    text = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}"
    if body or method == "POST":
        text += f"Content-Length: {len(body)}\r\n"
    with connect(address) as s:
        s.sendall(text.encode("latin-1") + b"\r\n" + body)
        return Reply(receive(s), method == "HEAD")
