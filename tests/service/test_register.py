"""The register of accounts that is asked over HTTP: what counts as an answer, and that nothing else lets anybody in."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from guestpass.errors import Unavailable
from guestpass.ownership import Ownership, OwnsAccount
from guestpass.service.register import Register
from key_server import KeyServer
from serving_here import serving


@pytest.fixture
def server() -> Iterator[KeyServer]:
    made = KeyServer()
    yield made
    made.close()


def register(server: KeyServer, path: str = "/owns") -> Register:
    return Register(f"{server.origin}{path}")


@pytest.mark.parametrize("owned", [True, False])
def test_it_is_asked_after_platform_and_account(server: KeyServer, owned: bool) -> None:
    server.document = {"owned": owned}
    assert register(server)("acme", "acct:1@x") is owned
    assert register(server, "/owns?v=1")("acme", "a") is owned
    assert server.asked == ["/owns?platform=acme&account=acct%3A1%40x", "/owns?v=1&platform=acme&account=a"]


@pytest.mark.parametrize(
    "document",
    [
        {"owned": "true"},
        {"owned": 1},
        {"owned": None},
        {},
        {"owned": True, "more": 1},
        {"Owned": True},
        [True],
        b"true",
        b'{"owned": false, "owned": true}',
        b'\xff\xfe{\x00"\x00o\x00',
        b'{"owned": true}' + b" " * 2_000,
        b"",
        b"<html>",
    ],
)
def test_what_is_no_clear_answer_is_an_outage(server: KeyServer, document: Any) -> None:
    server.document = document
    with pytest.raises(Unavailable):
        register(server)("acme", "acct_1")


@pytest.mark.parametrize("status", ["404 Not Found", "500 Oh", "302 Found", "204 No Content", "201 Created"])
def test_any_other_status_is_an_outage(server: KeyServer, status: str) -> None:
    server.document, server.status = {"owned": True}, status
    server.headers["Location"] = f"{server.origin}/elsewhere"
    with pytest.raises(Unavailable):
        register(server)("acme", "acct_1")
    assert len(server.asked) == 1


def test_nobody_there_is_an_outage() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(Unavailable) as outage:
        Register(f"http://127.0.0.1:{port}/?token=hunter22")("acme", "acct_1")
    assert "hunter22" not in str(outage.value)


def test_its_token_goes_along() -> None:
    seen: list[tuple[bytes, bytes]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return
        seen.extend(header for header in scope["headers"] if header[0] == b"authorization")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps({"owned": True}).encode()})

    with serving(app) as url:
        asked = Register(url, "a-token")
        assert asked("acme", "acct_1")
        assert Register(url)("acme", "acct_1")
    assert seen == [(b"authorization", b"Bearer a-token")]
    assert "a-token" not in repr(asked)


def test_a_yes_is_remembered_and_a_no_is_not(server: KeyServer) -> None:
    ownership = Ownership(register(server))
    server.document = {"owned": False}
    assert ownership.answer(OwnsAccount("acme", "acct_1")) is False
    server.document = {"owned": True}
    assert ownership.answer(OwnsAccount("acme", "acct_1")) is True
    server.document = {"owned": False}
    assert ownership.known(OwnsAccount("acme", "acct_1")) is True
    assert ownership.known(OwnsAccount("acme", "acct_2")) is None
