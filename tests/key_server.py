"""An issuer's key server on loopback that counts what it is asked, and misbehaves on request."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

Answer = Callable[[socket.socket], None]


class KeyServer:
    """Serves `document` at every path, or what `answer` sends. `asked` holds the paths, in order.

    While `gate` is not set no answer is sent: requests are counted and held.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.document: object = {"keys": []}
        self.headers: dict[str, str] = {}
        self.status = "200 OK"
        self.answer: Answer | None = None
        self.paths: dict[str, Answer] = {}
        self.gate = threading.Event()
        self.gate.set()
        self.arrived = threading.Semaphore(0)
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.origin = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.url = f"{self.origin}/jwks.json"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def fetches(self) -> int:
        """How many requests have come."""
        return len(self.asked)

    def send_json(self, document: object, status: str = "200 OK") -> Answer:
        """An answer with this document."""

        def answer(connection: socket.socket) -> None:
            body = document if isinstance(document, bytes) else json.dumps(document).encode()
            head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close"]
            head += [f"{name}: {value}" for name, value in self.headers.items()]
            connection.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + body)

        return answer

    def close(self) -> None:
        """Stop; what is on its way is cut."""
        self.gate.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)  # Closing alone would not wake the thread that accepts.
        self._listening.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._handle, args=(connection,), daemon=True).start()

    def _handle(self, connection: socket.socket) -> None:
        with connection:
            try:
                connection.settimeout(10)
                request = b""
                while b"\r\n\r\n" not in request:
                    received = connection.recv(65536)
                    if not received:
                        return
                    request += received
                path = request.split(b" ", 2)[1].decode()
                self.asked.append(path)
                self.arrived.release()
                self.gate.wait(10)
                answer = self.paths.get(path) or self.answer or self.send_json(self.document, self.status)
                answer(connection)
            except OSError:
                pass


@contextmanager
def key_server() -> Iterator[KeyServer]:
    """A key server, until the block ends."""
    server = KeyServer()
    try:
        yield server
    finally:
        server.close()


def send_raw(data: bytes) -> Answer:
    """An answer with exactly these bytes."""
    return lambda connection: connection.sendall(data)


class Clock:
    """A clock that a test turns. Calling it tells the time; `pause` lets it pass."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self.paused: list[float] = []

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self.paused.append(seconds)
        self.now += seconds


class NoUpkeep:
    """An upkeep whose jobs a test runs itself."""

    def __init__(self) -> None:
        self.jobs: list[Any] = []

    def every(self, _seconds: float, work: Any) -> None:
        """Take the job."""
        self.jobs.append(work)

    def start(self) -> None:
        """Start nothing."""

    def run(self) -> None:
        """Run every job once."""
        for job in self.jobs:
            job()
