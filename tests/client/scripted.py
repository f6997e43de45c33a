"""A server on loopback that does what a script says: answers, hangs, resets, babbles. And both clients, asked alike."""

import datetime as dt
import json
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import anyio
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from guestpass.client import AsyncClient, Client

Way: TypeAlias = Literal["sync", "asyncio", "trio"]
WAYS: tuple[Way, ...] = ("sync", "asyncio", "trio")

KEY = "sk_live_0000000000000000000000000000000000000000"
LONG = 30.0
"""Seconds after which something that should have happened has not."""


@dataclass(frozen=True)
class Asked:
    """A request that came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Act: TypeAlias = Callable[[socket.socket], None]


def says(content: object, status: str = "200 OK", **headers: str) -> Act:
    """An answer with this content, as JSON unless it is bytes."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{more}\r\n"
    return sends(head.encode() + body)


def sends(data: bytes) -> Act:
    """These bytes, and the end."""
    return lambda connection: connection.sendall(data)


def resets(connection: socket.socket) -> None:
    """The connection breaks off at once."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def hangs(connection: socket.socket) -> None:
    """Nothing, until whoever asked goes away."""
    with suppress(OSError):
        connection.recv(1)


def babbles(connection: socket.socket) -> None:
    """An answer without an end."""
    with suppress(OSError):
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"10000\r\n" + b" " * 0x10000 + b"\r\n")


@dataclass
class Scripted:
    """The server. The acts are done in order, one for each request; the last one again and again."""

    acts: list[Act]
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def handle(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(LONG)
            asked = _read(connection)
            if asked is None:
                return
            with self._lock:
                act = self.acts[min(len(self.asked), len(self.acts) - 1)]
                self.asked.append(asked)
            act(connection)


@contextmanager
def scripted(*acts: Act) -> Iterator[Scripted]:
    """A server that does this, until the block ends."""
    server = Scripted(list(acts))
    with listening(server.handle) as port:
        server.url = f"http://127.0.0.1:{port}"
        yield server


@contextmanager
def listening(handle: Act) -> Iterator[int]:
    """A port of this machine, until the block ends: each connection to it is handled in a thread of its own."""
    server = socket.create_server(("127.0.0.1", 0), backlog=256)
    threads: list[threading.Thread] = []
    accepted: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            accepted.append(connection)
            threads.append(threading.Thread(target=handle, args=(connection,), daemon=True))
            threads[-1].start()

    accepting = threading.Thread(target=serve, daemon=True)
    accepting.start()
    try:
        yield server.getsockname()[1]
    finally:
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)  # Closing alone would not wake the thread that accepts.
        server.close()
        accepting.join(LONG)
        for connection in accepted:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in [accepting, *threads]:
            thread.join(LONG)
            assert not thread.is_alive()
        for connection in accepted:
            connection.close()


def self_signed(folder: Path) -> Path:
    """A certificate for localhost that nobody else vouches for, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path = folder / "self-signed.pem"
    path.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    return path


def _read(connection: socket.socket) -> Asked | None:
    received = b""
    while b"\r\n\r\n" not in received:
        more = connection.recv(65536)
        if not more:
            return None
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", "0")):
        body += connection.recv(65536)
    return Asked(method, path, headers, body)


@dataclass
class Caller:
    """A client of either kind, asked in the same words; its pauses are noted and not made."""

    way: Way
    settings: dict[str, Any]
    pauses: list[float] = field(default_factory=list)

    def __call__(self, ask: Callable[[Any], Any]) -> Any:
        """What `ask` answers, given a client; awaited where that is the way."""
        settings = {"chance": lambda: 1.0, **self.settings}
        if self.way == "sync":
            with Client(sleep=self.pauses.append, **settings) as client:
                return ask(client)

        async def sleep(seconds: float) -> None:
            self.pauses.append(seconds)

        async def run() -> Any:
            async with AsyncClient(sleep=sleep, **settings) as client:
                answer: Awaitable[Any] = ask(client)
                return await answer

        return anyio.run(run, backend=self.way)
