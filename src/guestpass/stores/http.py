"""Documents that an issuer publishes, fetched over HTTP: key sets and what leads to them.

Knows HTTP as the standard library speaks it, one total deadline, and what not to trust: redirects, proxies
of the environment, endless answers, slow ones. Knows nothing of what is in a document.
"""

import http.client
import io
import re
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from guestpass.errors import ConfigurationError

SECONDS: Final = 5.0
MAX_BYTES: Final = 512 * 1024
# Beside the body: status line, headers, chunk sizes.
_MAX_OVERHEAD: Final = 64 * 1024

_MAX_AGE = re.compile(r'(?:^|[,\s])max-age\s*=\s*"?(\d{1,10})"?\s*(?:,|$)', re.IGNORECASE)
_UNCACHED = re.compile(r"(?:^|[,\s])no-(?:cache|store)\s*(?:,|$)", re.IGNORECASE)
_VISIBLE = re.compile(r"[\x21-\x7e]+\Z")


class FetchFailed(OSError):
    """A document could not be had. The text says why, and quotes nothing that the server sent.

    `status` is the HTTP status where there was one.
    """

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class Document:
    """What was fetched, and how many seconds it may be kept: `Cache-Control: max-age` less `Age` (RFC 9111
    section 4.2), 0 for ``no-cache`` and ``no-store``, None where the server says nothing."""

    content: bytes
    max_age: float | None = None


def check_url(url: str, *, loopback: bool = True) -> SplitResult:
    """`url` in its parts, where it may be fetched: https, or http to this machine itself if `loopback`.

    Raises `ConfigurationError` for any other scheme, for credentials or a fragment in it, or for no host.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if not _VISIBLE.match(url) or not parts.hostname or port == 0:
        raise ConfigurationError("the URL of a key set must be absolute: https://host/path")
    if "@" in parts.netloc or parts.fragment:
        raise ConfigurationError("the URL of a key set must have no credentials and no fragment")
    local = loopback and is_loopback(parts.hostname)
    if parts.scheme != "https" and not (parts.scheme == "http" and local):
        raise ConfigurationError("the URL of a key set must be https; http only for 127.0.0.1, ::1 and localhost")
    return parts


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine: 127.0.0.0/8, ::1, localhost (RFC 6761 section
    6.3)."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def fetch(
    url: str,
    *,
    loopback: bool = True,
    seconds: float = SECONDS,
    max_bytes: int = MAX_BYTES,
    tls: ssl.SSLContext | None = None,
    headers: Mapping[str, str] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Document:
    """GET one document. Blocks, for `seconds` in total however slowly the server drips. `headers` are more of them.

    Only the resolver of the system may take longer: it knows no deadline. Raises `FetchFailed` for
    everything but a whole answer with status 200 of at most `max_bytes` bytes, redirects included, and
    `ConfigurationError` for an URL that `check_url` refuses.
    """
    parts = check_url(url, loopback=loopback)
    deadline = clock() + seconds
    link = None
    try:
        link = _Link(parts, deadline, max_bytes + _MAX_OVERHEAD, tls, clock)
        return _exchange(link, parts, max_bytes, headers or {})
    except FetchFailed:
        raise
    except TimeoutError:
        raise FetchFailed(f"no answer within {seconds:g} s") from None
    except (OSError, ValueError, http.client.HTTPException) as problem:
        # ValueError: http.client's own parsing of sizes and lengths.
        raise FetchFailed(f"no connection or no HTTP: {type(problem).__name__}") from None
    finally:
        if link is not None:
            link.release()


def _exchange(link: "_Link", parts: SplitResult, max_bytes: int, more: Mapping[str, str]) -> Document:
    connection = http.client.HTTPConnection(parts.hostname or "", _port(parts))
    connection.default_port = _port(parts) if parts.port is None else 0
    connection.sock = link  # all that http.client needs of a socket
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"Accept": "application/json", "Accept-Encoding": "identity", "Connection": "close"}
    connection.request("GET", target, headers={**headers, "User-Agent": "guestpass", **more})
    response = connection.getresponse()
    if response.status != 200:
        raise FetchFailed(f"status {response.status}", response.status)
    content = response.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise FetchFailed(f"more than {max_bytes} bytes")
    if response.length:
        raise FetchFailed("the answer broke off")
    return Document(content, _max_age(response))


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def _max_age(response: http.client.HTTPResponse) -> float | None:
    said = response.headers.get_all("Cache-Control") or []
    control = ", ".join(str(one) for one in said)
    if _UNCACHED.search(control):
        return 0.0
    found = _MAX_AGE.search(control)
    if found is None:
        return None
    age = str(response.headers.get("Age", "0")).strip()
    # An Age that is no number is ignored (RFC 9111 section 5.1).
    return max(0.0, float(found[1]) - (float(age) if age.isascii() and age.isdigit() else 0.0))


class _Link:
    """A connected socket, held to a deadline and a number of bytes. What http.client needs of one."""

    def __init__(
        self,
        parts: SplitResult,
        deadline: float,
        max_bytes: int,
        tls: ssl.SSLContext | None,
        clock: Callable[[], float],
    ) -> None:
        self._deadline = deadline
        self._left = max_bytes
        self._clock = clock
        secure = parts.scheme == "https"
        self._socket = self._connect(parts.hostname or "", _port(parts))
        if secure:
            try:
                self._socket.settimeout(self._seconds())
                context = tls or ssl.create_default_context()
                self._socket = context.wrap_socket(self._socket, server_hostname=parts.hostname)
            except BaseException:
                self._socket.close()
                raise

    def _connect(self, host: str, port: int) -> socket.socket:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        problem: OSError = OSError("the host has no address")
        for place, (family, kind, protocol, _, address) in enumerate(found):
            connecting = socket.socket(family, kind, protocol)
            try:
                # An address that swallows everything must leave time for the others.
                connecting.settimeout(self._seconds() / (len(found) - place))
                connecting.connect(address)
            except OSError as failure:
                connecting.close()
                problem = failure
            else:
                return connecting
        raise problem

    def _seconds(self) -> float:
        left = self._deadline - self._clock()
        if left <= 0:
            raise TimeoutError
        return left

    def sendall(self, data: bytes) -> None:
        self._socket.settimeout(self._seconds())
        self._socket.sendall(data)

    def receive_into(self, buffer: memoryview) -> int:
        self._socket.settimeout(self._seconds())
        received = self._socket.recv_into(buffer)
        self._left -= received
        if self._left < 0:
            raise FetchFailed("more bytes than any key set has")
        return received

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Received(self))

    def close(self) -> None:
        """Nothing: http.client closes before the body is read, which a real socket survives by counting
        files."""

    def release(self) -> None:
        self._socket.close()


class _Received(io.RawIOBase):
    def __init__(self, link: _Link) -> None:
        super().__init__()
        self._link = link

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        return self._link.receive_into(buffer)
