"""Two processes on one store: what is ended in one is refused by the other within a second, sockets included."""

import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from demo_program import BOTH, WAIT, Program, bearer, events, hello, mint, running
from guestpass import KeyRing
from guestpass.demo import data
from stores import postgres_servers, redis_servers

WITHIN = 1.0
"""Seconds: what the library promises."""

USER = str(uuid.UUID(int=5))


@pytest.fixture(params=["sqlite", "postgresql", "redis", "valkey"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where both processes have their store."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'guestpass.db'}"
    elif request.param == "postgresql":
        with postgres_servers.serving() as database:
            yield database.url()
    else:
        with redis_servers.running(redis_servers.program(request.param)) as server:
            yield server.url


@pytest.fixture
def two(url: str) -> Iterator[tuple[Program, Program]]:
    wrapping = KeyRing.new_wrapping_key()
    with (
        running("--json", "--store", url, GUESTPASS_WRAPPING_KEY=wrapping) as one,
        running("--json", "--store", url, GUESTPASS_WRAPPING_KEY=wrapping) as other,
    ):
        yield one, other


def sign(web: httpx.Client, program: Program) -> str:
    asked = {"id": USER, "tenantId": data.ACCOUNT, "components": BOTH}
    key = bearer(program.started["secret_key"])
    return str(web.post(program.started["url"] + "/api/v1/jwt/sign", headers=key, json=asked).json()["jwt"])


def until_refused(web: httpx.Client, program: Program, credential: str) -> tuple[str, float]:
    """The code of the refusal, and how long it took from now on."""
    began = time.monotonic()
    while time.monotonic() - began < WAIT:
        answer = web.get(program.started["url"] + "/v1/me", headers=bearer(credential))
        if answer.status_code != 200:
            return answer.json()["code"], time.monotonic() - began
    raise AssertionError("it was never refused")


def close_code(socket: ClientConnection) -> int | None:
    """With which code a socket ends, whatever is said on it until then."""
    try:
        while True:
            socket.recv(timeout=WAIT)
    except ConnectionClosed as closed:
        return None if closed.rcvd is None else closed.rcvd.code


Revoke = Callable[[httpx.Client, Program, dict[str, str]], object]


def by_session(web: httpx.Client, one: Program, made: dict[str, str]) -> object:
    path = f"/v1/account_sessions/{made['id']}/revoke"
    return web.post(one.started["url"] + path, headers=bearer(one.started["secret_key"])).raise_for_status()


def by_account(web: httpx.Client, one: Program, made: dict[str, str]) -> object:
    key = bearer(one.started["secret_key"])
    asked = {"account": data.ACCOUNT}
    return web.post(one.started["url"] + "/v1/revocations", headers=key, json=asked).raise_for_status()


@pytest.mark.parametrize("revoke", [by_session, by_account])
def test_a_session_that_is_revoked_in_one_ends_in_the_other_with_its_socket(
    two: tuple[Program, Program], revoke: Revoke
) -> None:
    one, other = two
    with httpx.Client(timeout=WAIT, trust_env=False) as web:
        made = web.post(
            one.started["url"] + "/v1/account_sessions",
            headers=bearer(one.started["secret_key"]),
            json={"account": data.ACCOUNT, "components": BOTH},
        ).json()
        secret = made["client_secret"]
        with events(other, "client_secret", secret) as socket:
            hello(socket)
            assert web.get(other.started["url"] + "/v1/me", headers=bearer(secret)).status_code == 200
            revoke(web, one, made)
            code, took = until_refused(web, other, secret)
            began = time.monotonic()
            assert close_code(socket) == 3000
            assert code == "session_revoked"
            # What the request took is over; the socket may not lag behind it.
            assert took < WITHIN
            assert took + time.monotonic() - began < WITHIN + 0.5


def test_a_token_and_a_key_end_in_the_other_too(two: tuple[Program, Program]) -> None:
    one, other = two
    with httpx.Client(timeout=WAIT, trust_env=False) as web:
        token = sign(web, one)
        unseen = sign(web, one)
        session = mint(lambda path, **sent: web.post(one.started["url"] + path, **sent), one.started["secret_key"])
        for credential in (token, session):
            assert web.get(other.started["url"] + "/v1/me", headers=bearer(credential)).status_code == 200
        asked = {"subject": USER, "account": data.ACCOUNT}
        web.post(
            one.started["url"] + "/v1/revocations", headers=bearer(one.started["secret_key"]), json=asked
        ).raise_for_status()
        code, took = until_refused(web, other, token)
        assert (code, took < WITHIN) == ("token_revoked", True)
        assert until_refused(web, other, unseen)[0] == "token_revoked"
        # The session is nobody's token.
        assert web.get(other.started["url"] + "/v1/me", headers=bearer(session)).status_code == 200


def test_a_redis_that_forgets_everything_refuses() -> None:
    wrapping = KeyRing.new_wrapping_key()
    with (
        redis_servers.running(redis_servers.program("redis")) as server,
        running("--json", "--store", server.url, GUESTPASS_WRAPPING_KEY=wrapping) as program,
        httpx.Client(timeout=WAIT, trust_env=False) as web,
    ):
        token = sign(web, program)
        key = program.started["secret_key"]
        session = mint(lambda path, **sent: web.post(program.started["url"] + path, **sent), key)
        for credential in (token, session):
            assert web.get(program.started["url"] + "/v1/me", headers=bearer(credential)).status_code == 200
        with server.client() as client:
            client.flushall()
        for credential, codes in (
            (token, {"token_revoked", "credential_invalid"}),
            (session, {"session_revoked", "credential_invalid"}),
            (key, {"credential_invalid"}),
        ):
            code, took = until_refused(web, program, credential)
            assert code in codes
            assert took < WITHIN
