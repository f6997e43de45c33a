"""The test's end of `asgi_server`: which servers there are, starting one, and talking to it as a client does."""

import json
import os
import socket
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO, Final

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from demo_program import CREDENTIAL
from real.programs import WAIT, Program, missing

SERVERS: Mapping[str, tuple[str, ...]] = {
    "uvicorn": ("uvicorn", "websockets"),
    "uvicorn_in_c": ("uvicorn", "httptools", "wsproto"),
    "hypercorn": ("hypercorn",),
    "hypercorn_on_trio": ("hypercorn", "trio"),
    "granian": ("granian",),
    "daphne": ("daphne",),
}
"""The servers, and the packages that each needs."""

_TESTS = Path(__file__).parent.parent

Answer = tuple[int, dict[str, str], Any]
"""Status, headers by lower-case name, and the body: read as JSON where it is JSON, None where there is none."""


@dataclass(frozen=True)
class Serving:
    """A server at work."""

    server: str
    port: int
    secret_key: str
    publishable_key: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self) -> socket.socket:
        """A connection of one's own."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=WAIT)

    def send(self, head: str, body: bytes = b"") -> Answer:
        """What is answered to exactly these bytes, and to close the connection then."""
        with closing(self.connect()) as connection:
            connection.sendall(f"{head}\r\nConnection: close\r\n\r\n".encode("latin-1") + body)
            return read_answer(connection)

    def ask(self, target: str, *headers: str, method: str = "GET", body: bytes = b"") -> tuple[int, Any]:
        """The status, and the code of a refusal or what is said."""
        lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", *headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        status, _, said = self.send("\r\n".join(lines), body)
        return status, said.get("code", said) if isinstance(said, dict) else said

    def mint(self, account: str, **asked: object) -> dict[str, Any]:
        """A new session of the secret key."""
        body = json.dumps({"account": account, **asked}).encode()
        status, made = self.ask("/v1/account_sessions", bearer(self.secret_key), method="POST", body=body)
        assert status == 201, made
        session: dict[str, Any] = made
        return session

    def sign(self, account: str, **asked: object) -> str:
        """A new signed token of the secret key."""
        body = json.dumps({"tenantId": account, **asked}).encode()
        status, signed = self.ask("/api/v1/jwt/sign", bearer(self.secret_key), method="POST", body=body)
        assert status == 200, signed
        return str(signed["jwt"])

    def revoke(self, session: Mapping[str, Any]) -> None:
        """End a session."""
        path = f"/v1/account_sessions/{session['id']}/revoke"
        assert self.ask(path, bearer(self.secret_key), method="POST")[0] == 200

    def events(
        self, *offered: str, header: str | None = None, path: str = "/v1/events"
    ) -> AbstractContextManager[ClientConnection]:
        """A socket, opened by a real client."""
        return connect(
            f"ws://127.0.0.1:{self.port}{path}",
            subprotocols=[Subprotocol(name) for name in offered] or None,
            additional_headers=None if header is None else {"Authorization": f"Bearer {header}"},
            proxy=None,
            compression=None,
            open_timeout=WAIT,
            close_timeout=WAIT,
        )


def end_of(connection: ClientConnection) -> int | None:
    """The code with which the server closes, after whatever it says before; None where it just goes."""
    with suppress(ConnectionClosed):
        while True:
            connection.recv(timeout=WAIT)
    return connection.close_code if connection.protocol.close_rcvd else None


def bearer(credential: str) -> str:
    """The header line that presents a credential."""
    return f"Authorization: Bearer {credential}"


UPGRADE: Final = "Upgrade: websocket|Connection: Upgrade|Sec-WebSocket-Key: {nonce}|Sec-WebSocket-Version: 13"


def handshake(
    lines: str,
    target: str = "/v1/events",
    upgrade: str = UPGRADE,
    nonce: str = b64encode(b"0123456789abcdef").decode(),
    method: str = "GET",
    version: str = "1.1",
) -> str:
    """The text of a WebSocket handshake; ``|`` in `lines` and `upgrade` stands for the end of a line."""
    head = [f"{method} {target} HTTP/{version}", "Host: 127.0.0.1", upgrade.format(nonce=nonce), *filter(None, [lines])]
    return "|".join(head).replace("|", "\r\n") + "\r\n\r\n"


def read_answer(connection: socket.socket) -> Answer:
    """One HTTP answer, up to the end of the connection; status 0 where there is none."""
    with closing(connection.makefile("rb")) as coming:
        return _read_head(coming, lambda _: coming.read())


def read_handshake(connection: socket.socket) -> Answer:
    """The answer to a WebSocket handshake, from which the connection may go on."""
    with closing(connection.makefile("rb")) as coming:
        return _read_head(coming, lambda headers: coming.read(int(headers.get("content-length", 0))))


def _read_head(coming: BinaryIO, body_of: Callable[[dict[str, str]], bytes]) -> Answer:
    status, headers, said = 0, dict[str, str](), b""
    with suppress(ConnectionResetError):
        first = coming.readline()
        status = int(first.split(b" ")[1]) if first else 0
        while line := coming.readline().decode("latin-1").strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        said = body_of(headers)
    try:
        return status, headers, json.loads(said) if said else None
    except ValueError:
        return status, headers, said


@contextmanager
def serving(server: str, application: str, **settings: Any) -> Iterator[Serving]:
    """An application under a server, until the block ends. No credential stands in what it prints."""
    for package in SERVERS[server]:
        if find_spec(package) is None:
            missing(package, "it is not installed")
    path = os.pathsep.join([str(_TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    arguments = ("-m", "real.asgi_server", server, application, json.dumps(settings))
    program = Program("env", f"PYTHONPATH={path}", sys.executable, *arguments)
    try:
        announced = program.until(r'^\{"port".*')[0]
        yield Serving(server, **json.loads(announced))
    finally:
        program.end()
    assert not CREDENTIAL.search(program.said.replace(announced, ""))
