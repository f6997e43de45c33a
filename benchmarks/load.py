"""Load on a server of loopback: some connections, on each of which one request follows the answer to the one before.

So load is bounded by what the server answers, and this process, which does next to nothing for each request, is
never what is measured. Knows HTTP/1.1 as far as the answer to one known request goes.
"""

import itertools
import socket
import time
from collections.abc import Sequence

from benchmarks.measuring import Turn

CONNECTIONS = 16
PATIENCE = 30.0


class Load:
    """Connections to one server; requests are taken in turn, and every answer has to be that to the first one."""

    def __init__(self, port: int, requests: Sequence[bytes], connections: int = CONNECTIONS) -> None:
        self._requests = itertools.cycle(requests)
        self._sockets = [connected(port) for _ in range(connections)]
        first = self._sockets[0]
        first.sendall(next(self._requests))
        answer = whole_answer(first)
        self.status = int(answer[9:12])
        self._length = len(answer)
        self._begins = answer[:15]

    def turn(self, calls: int) -> float:
        """Seconds for so many requests. Raises ValueError for another answer than the first one."""
        sockets, send = self._sockets[: max(1, min(len(self._sockets), calls))], self._requests
        began = time.perf_counter()
        for one in sockets:
            one.sendall(next(send))
        left = calls - len(sockets)
        under_way = itertools.cycle(sockets)
        for one in itertools.islice(under_way, left):
            self._answer(one)
            one.sendall(next(send))
        for one in itertools.islice(under_way, len(sockets)):
            self._answer(one)
        return time.perf_counter() - began

    def _answer(self, connection: socket.socket) -> None:
        answer = connection.recv(65_536)
        while 0 < len(answer) < self._length:
            more = connection.recv(65_536)
            if not more:
                break
            answer += more
        if len(answer) != self._length or answer[:15] != self._begins:
            raise ValueError(f"the server answered {answer[:200]!r}")

    def close(self) -> None:
        for one in self._sockets:
            one.close()


def request(path: str, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """A GET request."""
    lines = [f"GET {path} HTTP/1.1".encode(), *(name + b": " + value for name, value in headers)]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def connected(port: int) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), PATIENCE)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def whole_answer(connection: socket.socket) -> bytes:
    """An answer with a Content-Length."""
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += received(connection)
    head, _, body = answer.partition(b"\r\n\r\n")
    named = (line.lower().partition(b":") for line in head.split(b"\r\n"))
    length = next(int(value) for name, _, value in named if name == b"content-length")
    while len(body) < length:
        body += received(connection)
    return head + b"\r\n\r\n" + body


def received(connection: socket.socket) -> bytes:
    some = connection.recv(65_536)
    if not some:
        raise ConnectionError("the server closed the connection")
    return some


def turn_of(load: Load) -> Turn:
    """Turns of a server that answers 200."""
    if load.status != 200:
        raise ValueError(f"the server answers {load.status}")
    return load.turn
