"""The socket that a service listens on, made before anything else starts, so that what is wrong is said at once."""

import errno
import os
import socket
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress

from guestpass.service.settings import Listen


@contextmanager
def listening(listen: Listen) -> Generator[socket.socket]:
    """The socket, bound; a Unix domain socket is gone afterwards. Raises OSError."""
    with _unix(listen.socket, listen.socket_mode) if listen.socket else _tcp(listen.host, listen.port) as bound:
        yield bound


def address(bound: socket.socket) -> str:
    """Where a bound socket is, as an URL."""
    name = bound.getsockname()
    if isinstance(name, str):
        return f"unix:{name}"
    host, port, *_ = name
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def _tcp(host: str, port: int) -> Generator[socket.socket]:
    flags = socket.AI_PASSIVE
    family, kind, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)[0]
    # With the protocol said: only then does asyncio send small pieces at once (TCP_NODELAY).
    with socket.socket(family, kind, socket.IPPROTO_TCP) as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(place)
        yield bound


@contextmanager
def _unix(path: str, mode: int) -> Generator[socket.socket]:
    _clear(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as bound:
        # Nobody may connect between its making and its permissions.
        before = os.umask(0o177)
        try:
            bound.bind(path)
        finally:
            os.umask(before)
        mine = os.stat(path).st_ino
        try:
            os.chmod(path, mode)
            yield bound
        finally:
            with suppress(OSError):
                # Who started anew in the meantime has one of its own there.
                if os.stat(path).st_ino == mine:
                    os.unlink(path)


def _clear(path: str) -> None:
    """Take away a socket that nobody listens on any more. Raises OSError for one that is in use, and for any other
    file."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise FileExistsError(errno.EEXIST, "there is a file of that name, which is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
