"""Live sockets under real servers, with real clients: they end with their credential, and leave nothing behind.

The server's clock is the test's. Sockets are opened while it stands, shortly before the end; then it runs, and what
ends them is the server's own waiting. Nobody sends anything meanwhile.
"""

import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest
from websockets.sync.client import ClientConnection

from real.serving import SERVERS, bearer, end_of, handshake, read_handshake
from real.staging import NEAR, Stage, staged

pytestmark = pytest.mark.real

GRACE = 0.2
"""Seconds that an application has to end by itself, on this stage."""

SECRET = "Sec-WebSocket-Protocol: client_secret, "


@pytest.fixture(scope="module", params=SERVERS)
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    with staged(request.param, grace=GRACE) as stage:
        yield stage


@pytest.fixture(autouse=True)
def _nothing_left(stage: Stage) -> Iterator[None]:
    before = stage.counts()
    yield
    stage.nothing_left(before)


def opened(stack: ExitStack, stage: Stage, *offered: str) -> ClientConnection:
    connection = stack.enter_context(stage.events(*offered))
    connection.recv(timeout=10)
    return connection


def echoes(connection: ClientConnection) -> bool:
    connection.send("still here")
    return connection.recv(timeout=10) == "10"


def test_a_socket_ends_when_its_credential_expires(stage: Stage) -> None:
    end, credentials = stage.now + 60, stage.credentials()
    stage.stop_clock(end - NEAR)
    with ExitStack() as stack:
        ending = [
            opened(stack, stage, name, credential) for name, (credential, _) in credentials.items() if name != "apikey"
        ]
        lasting = [
            opened(stack, stage, "apikey", stage.secret_key),
            opened(stack, stage, "client_secret", stage.mint("acct_1", expires_in=3_600)["client_secret"]),
        ]
        assert all(map(echoes, [*ending, *lasting]))
        stage.start_clock(end - NEAR)
        began = time.monotonic()
        assert [end_of(connection) for connection in ending] == [3000] * 3
        # By its own clock, not by the look that the guard takes every five seconds.
        assert time.monotonic() - began < 4
        assert all(map(echoes, lasting))
    stage.stop_clock(end + 1)


def test_a_socket_ends_when_its_session_is_revoked(stage: Stage) -> None:
    first, second = stage.mint("acct_1"), stage.mint("acct_1")
    with ExitStack() as stack:
        ending = [opened(stack, stage, "client_secret", first["client_secret"]) for _ in range(8)]
        lasting = [
            opened(stack, stage, "client_secret", second["client_secret"]),
            opened(stack, stage, "jwt", stage.sign("acct_1")),
            opened(stack, stage, "apikey", stage.secret_key),
        ]
        stage.revoke(first)
        assert [end_of(connection) for connection in ending] == [3000] * len(ending)
        assert all(map(echoes, lasting))
    assert stage.ask("/v1/me", bearer(first["client_secret"])) == (401, "session_revoked")


def raw(stack: ExitStack, stage: Stage, session: str, target: str = "/v1/events") -> socket.socket:
    """A socket whose client does nothing by itself: it answers no close and reads nothing that it is not made to."""
    connection = stack.enter_context(closing(stage.connect()))
    connection.sendall(handshake(f"{SECRET}{session}", target=target).encode())
    assert read_handshake(connection)[0] == 101
    return connection


def test_clients_that_are_gone_without_a_word(stage: Stage) -> None:
    session = stage.mint("acct_1")["client_secret"]
    before = stage.counts()
    with ExitStack() as stack:
        for number in range(20):
            gone = raw(stack, stage, session)
            if number % 2:
                # RST instead of FIN, as of a process that was killed.
                gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            gone.close()
        stage.nothing_left(before)


def test_clients_that_never_answer(stage: Stage) -> None:
    end = stage.now + 60
    session = stage.mint("acct_1", expires_in=60)["client_secret"]
    stage.stop_clock(end - NEAR)
    with ExitStack() as stack:
        silent = [raw(stack, stage, session) for _ in range(5)]
        assert stage.counts()["watched"] == 5
        stage.start_clock(end - NEAR)
        for connection in silent:
            close_of(connection)
        # The server may wait for its close to be answered. The guard does not.
        stage.nobody_watched()
    stage.stop_clock(end + 1)


def close_of(connection: socket.socket) -> None:
    """Read up to the close frame with code 3000 (RFC 6455 section 5.5.1)."""
    said = b""
    while b"\x0b\xb8" not in said:
        more = connection.recv(65_536)
        assert more, said
        said += more


# Hypercorn's sending on trio cannot be cancelled: there it lasts until the client is gone.
@pytest.mark.parametrize("stage", [server for server in SERVERS if server != "hypercorn_on_trio"], indirect=True)
def test_clients_that_do_not_read(stage: Stage) -> None:
    end = stage.now + 60
    session = stage.mint("acct_1", expires_in=60)["client_secret"]
    stage.stop_clock(end - NEAR)
    with ExitStack() as stack:
        for _ in range(2):
            raw(stack, stage, session, "/v1/flood")
        assert stage.counts()["watched"] == 2
        stage.start_clock(end - NEAR)
        # There is no telling them, and the application is stuck in sending: it is cancelled.
        stage.nobody_watched()
        assert stage.ask("/health")[0] == 200
    stage.stop_clock(end + 1)
