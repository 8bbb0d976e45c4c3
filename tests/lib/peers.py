"""Members of the network that are no sautid: the session of one, by hand.

Used to connect hundreds of idle peers to one node, and to be one that misbehaves. Frames are made
and read here without the code that is under test.
"""

import selectors
import socket
import ssl
import threading
import time

HELLO, HAVE, FETCH, BATCH, HELD, PING, PONG, BYE = range(1, 9)


def varint(n):
    out = b""
    while n > 0x7F:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def field(number, value):
    """One field of a protobuf message: a number, or bytes or text with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def frame(body, data):
    """A frame of that kind, with its length in front."""
    message = field(body, data)
    return len(message).to_bytes(4, "big") + message


def hello(node, network):
    return frame(HELLO, field(1, network) + field(2, node) + field(3, 1) + field(4, 1)
                 + field(6, 1 << 20) + field(7, 1))


def fields(data):
    """(number, value) of each field of a message."""
    at = 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = number()
        value = number()
        if key & 7 == 2:
            at += value
            yield key >> 3, data[at - value:at]
        else:
            yield key >> 3, value


def context(pem=None, alpn="sauti/1"):
    """TLS as a node speaks it; who the other side is does not matter here."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.set_alpn_protocols([alpn])
    if pem:
        made.load_cert_chain(pem)
    return made


class Peer:
    """A session after its Hello. log: {origin, entry, checkpoint} of one entry, which it offers."""

    def __init__(self, port, network, name, pem, log=None, seconds=30):
        self.name, self.log, self.got, self.lock = name, log, b"", threading.Lock()
        self.socket = context(pem).wrap_socket(socket.create_connection(("127.0.0.1", port), seconds))
        self.socket.sendall(hello(name, network))
        if log:
            self.socket.sendall(frame(HAVE, field(1, field(1, log["origin"]) + field(2, 1)
                                                  + field(3, log["checkpoint"]))))
        self.socket.setblocking(False)

    def say(self, data):
        """Sends it all, however slowly it is read."""
        at = 0
        with self.lock:
            while at < len(data):
                try:
                    at += self.socket.send(data[at:at + 16384])
                except (ssl.SSLWantWriteError, BlockingIOError):
                    time.sleep(0.005)

    def serve(self, fetch):
        """The answer to a Fetch of its own log."""
        asked = dict(fields(fetch))
        if self.log and asked.get(1, b"").decode() == self.log["origin"] and asked.get(3, 0) == 0 \
                and asked.get(4, 0) > 0:
            self.socket.sendall(frame(BATCH, field(1, self.log["origin"]) + field(2, asked[2])
                                      + field(4, bytes.fromhex(self.log["entry"]))
                                      + field(6, self.log["checkpoint"])))

    def read(self):
        """Takes what has come and answers it as an idle peer does. False: the session has ended."""
        while True:
            try:
                data = self.socket.recv(65536)
            except (ssl.SSLWantReadError, BlockingIOError):
                break
            except OSError:
                return False
            if not data:
                return False
            self.got += data
        while len(self.got) >= 4 and len(self.got) >= 4 + (size := int.from_bytes(self.got[:4], "big")):
            for kind, body in fields(self.got[4:4 + size]):
                if kind == PING:
                    self.socket.sendall(frame(PONG, body))
                elif kind == FETCH:
                    self.serve(body)
                elif kind == BYE:
                    return False
            self.got = self.got[4 + size:]
        return True


class Crowd:
    """Many peers of one node, kept alive by a thread."""

    def __init__(self):
        self.selector, self.alive, self.stopping = selectors.DefaultSelector(), 0, False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.peers = []

    def add(self, peer):
        self.selector.register(peer.socket, selectors.EVENT_READ, peer)
        self.peers.append(peer)
        self.alive += 1
        if not self.thread.is_alive():
            self.thread.start()

    def run(self):
        while not self.stopping:
            for key, _ in self.selector.select(0.2):
                with key.data.lock:
                    there = key.data.read()
                if not there:
                    self.selector.unregister(key.data.socket)
                    key.data.socket.close()
                    self.alive -= 1

    def close(self):
        self.stopping = True
        if self.thread.is_alive():
            self.thread.join()
        for peer in self.peers:
            peer.socket.close()
        self.selector.close()
