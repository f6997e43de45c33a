"""Both clients against the demo's own API over real HTTP, and against servers that misbehave in every way."""

import gzip
import logging
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from traceback import walk_tb
from typing import Any

import anyio
import httpx
import pytest

from client.scripted import (
    KEY,
    WAYS,
    Caller,
    Way,
    babbles,
    hangs,
    listening,
    resets,
    says,
    scripted,
    self_signed,
    sends,
)
from guestpass import KeyRing, open_store
from guestpass.client import AsyncClient, Client, ClientError, IssuedSession, IssuedToken, Revoked
from guestpass.demo import data
from guestpass.demo.house import House, open_house
from serving_here import serving

SESSION: dict[str, Any] = {
    "id": "as_1", "account": "acct_1", "client_secret": "cs_live_1", "expires_at": "2030-01-01T00:00:00Z",
    "expires_in": 3600, "components": {}, "livemode": True,
}  # fmt: skip
CREDENTIAL = re.compile(r"(?:sk|cs)_live_\w{8}|eyJ[\w-]+\.")

pytestmark = pytest.mark.parametrize("way", WAYS)


@pytest.fixture(scope="module")
def house() -> House:
    return open_house(open_store("memory://"), KeyRing.new_wrapping_key())


@pytest.fixture(scope="module")
def url(house: House) -> Iterator[str]:
    with serving(house.app) as url:
        yield url


@pytest.fixture
def call(way: Way, house: House, url: str) -> Caller:
    return Caller(way, {"base_url": url, "api_key": house.secret_key})


def me(url: str, credential: str) -> tuple[int, Any]:
    answer = httpx.get(f"{url}/v1/me", headers={"Authorization": f"Bearer {credential}"})
    return answer.status_code, answer.json()


def create(client: Any) -> Any:
    return client.account_sessions.create(account="acct_1")


def error(call: Caller, ask: Callable[[Any], Any]) -> ClientError:
    with pytest.raises(ClientError) as raised:
        call(ask)
    return raised.value


def test_the_account_session_document(call: Caller, url: str) -> None:
    session = call(
        lambda client: client.account_sessions.create(
            account=data.ACCOUNT, components={"call_logs": {"enabled": True}, "voicemails": {"enabled": False}}
        )
    )
    assert isinstance(session, IssuedSession)
    assert (session.account, session.expires_in, session.livemode) == (data.ACCOUNT, 3_600, True)
    assert session.expires_at.endswith("Z")
    assert abs(session.received_at - time.monotonic()) < 60
    assert session.components["voicemails"] == {"enabled": False, "features": {}}
    status, told = me(url, session.client_secret)
    assert (status, told["components"]) == (200, ["call_logs", "call_logs/transcripts"])
    assert call(lambda client: client.account_sessions.revoke(session.id)) is None
    assert call(lambda client: client.account_sessions.revoke(session.id)) is None
    assert me(url, session.client_secret)[1]["code"] == "session_revoked"
    everything = call(lambda client: client.account_sessions.create(account=data.ACCOUNT, expires_in=60))
    assert everything.expires_in == 60
    assert "voicemails" in me(url, everything.client_secret)[1]["components"]


def test_the_signed_token_document(call: Caller, url: str) -> None:
    user = "A1B2C3D4-E5F6-4A7B-8C9D-0E1F2A3B4C5D"
    token = call(
        lambda client: client.auth.sign(
            id=user, tenant_id=data.ACCOUNT, metadata={"name": "John Doe", "role": "customer"}, expires_in=7200,
            roles=["agent"], components={"voicemails": {"enabled": True}},
        )
    )  # fmt: skip
    assert isinstance(token, IssuedToken)
    assert (token.id, token.expires_in) == (user.lower(), 7_200)
    assert abs(token.expires_at - time.time() - 7_200) < 60
    _, told = me(url, token.jwt)
    assert (told["subject"], told["account"], told["components"]) == (user.lower(), data.ACCOUNT, ["voicemails"])
    assert told["roles"] == ["agent", "external_entity"]
    assert call(lambda client: client.auth.sign()).expires_in == 3_600


def test_revocations(call: Caller, url: str) -> None:
    token = call(lambda client: client.auth.sign(tenant_id=data.OTHER_ACCOUNT))
    ended = call(lambda client: client.revocations.subject(token.id, data.OTHER_ACCOUNT))
    assert isinstance(ended, Revoked)
    assert ended.at_ms is not None
    assert me(url, token.jwt)[1]["code"] == "token_revoked"
    assert call(lambda client: client.revocations.token("0" * 32)).at_ms is None
    session = call(lambda client: client.account_sessions.create(account=data.OTHER_ACCOUNT))
    assert call(lambda client: client.revocations.account(data.OTHER_ACCOUNT)).at_ms is not None
    assert me(url, session.client_secret)[1]["code"] == "session_revoked"


@pytest.mark.parametrize(
    ("ask", "code", "status", "said"),
    [
        (lambda client: client.account_sessions.create(), "VALIDATION_ERROR", 422, "account"),
        (
            lambda client: client.account_sessions.create(account="acct_1", components={"fax": {"enabled": True}}),
            "VALIDATION_ERROR", 422, "components.fax",
        ),
        (
            lambda client: client.account_sessions.create(account=data.FOREIGN_ACCOUNT),
            "FORBIDDEN", 403, "account_refused",
        ),
        (lambda client: client.account_sessions.revoke("as_unknown"), "NOT_FOUND", 404, "session_unknown"),
        (lambda client: client.auth.sign(roles=["emperor"]), "VALIDATION_ERROR", 422, "roles"),
    ],
)  # fmt: skip
def test_what_the_api_refuses(call: Caller, ask: Any, code: str, status: int, said: str) -> None:
    problem = error(call, ask)
    assert (problem.code, problem.status) == (code, status)
    assert said in str(problem)
    assert problem.details["detail"]
    assert call.pauses == []


def test_a_key_that_is_not_good(way: Way, url: str, house: House, call: Caller) -> None:
    wrong = house.secret_key[:-1] + ("1" if house.secret_key.endswith("0") else "0")
    token = call(lambda client: client.auth.sign()).jwt
    for key, code, status, said in (
        (wrong, "UNAUTHORIZED", 401, "credential_invalid"),
        (house.publishable_key, "FORBIDDEN", 403, "kind_refused"),
        (token, "FORBIDDEN", 403, "escalation_denied"),
    ):
        problem = error(Caller(way, {"base_url": url, "api_key": key}), lambda client: client.auth.sign())
        assert (problem.code, problem.status, problem.details["code"]) == (code, status, said)
        assert key not in str(problem) + repr(problem)
    problem = error(Caller(way, {"base_url": url + "/v2", "api_key": house.secret_key}), create)
    assert (problem.code, problem.details["code"]) == ("NOT_FOUND", "rule_missing")
    assert "base_url" in str(problem)


def test_a_creation_whose_answer_was_lost_makes_one_session(way: Way, house: House, url: str) -> None:
    """The first time, the API does it and the answer is lost on the way."""
    answers: list[httpx.Response] = []

    def forwards(connection: socket.socket) -> None:
        asked = between.asked[-1]
        kept = {name: asked.headers[name] for name in ("authorization", "content-type", "idempotency-key")}
        answers.append(httpx.post(url + asked.path, content=asked.body, headers=kept))
        if len(answers) == 1:
            resets(connection)
        else:
            says(answers[-1].json(), "201 Created")(connection)

    with scripted(forwards) as between:
        call = Caller(way, {"base_url": between.url, "api_key": house.secret_key})
        session = call(lambda client: client.account_sessions.create(account=data.ACCOUNT))
    first, second = answers
    assert first.json()["id"] == second.json()["id"] == session.id
    assert between.asked[0].headers["idempotency-key"] == between.asked[1].headers["idempotency-key"]
    assert me(url, session.client_secret)[0] == 200
    assert me(url, first.json()["client_secret"])[0] == 401
    assert len(call.pauses) == 1


def test_a_key_of_ones_own_makes_one_session_and_no_other(call: Caller, way: Way) -> None:
    def made(**more: Any) -> Any:
        return call(
            lambda client: client.account_sessions.create(
                account=data.ACCOUNT, idempotency_key=f"order-7-{way}", **more
            )
        )

    first, again = made(), made()
    assert first.id == again.id
    assert first.client_secret != again.client_secret
    with pytest.raises(ClientError) as raised:
        made(expires_in=60)
    assert (raised.value.code, raised.value.status) == ("CONFLICT", 409)


def test_an_outage_is_waited_out(way: Way) -> None:
    away = says({"code": "store_unavailable", "detail": "Try again."}, "503 Service Unavailable", Retry_After="2")
    with scripted(away, resets, says(SESSION, "201 Created")) as server:
        call = Caller(way, {"base_url": server.url, "api_key": KEY})
        assert call(create).id == "as_1"
        assert call.pauses == [2.5, 1.0]
        assert [one.body for one in server.asked] == [b'{"account":"acct_1"}'] * 3
        assert len({one.headers["idempotency-key"] for one in server.asked}) == 1
        assert {one.headers["authorization"] for one in server.asked} == {f"Bearer {KEY}"}
        assert not [one for one in server.asked if KEY in one.path]
    with scripted(away) as server:
        call = Caller(way, {"base_url": server.url, "api_key": KEY, "retries": 1})
        problem = error(call, create)
        assert (problem.code, problem.status, problem.retry_after) == ("UNAVAILABLE", 503, 2.0)
        assert len(server.asked) == 2


def test_nobody_there(way: Way) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    call = Caller(way, {"base_url": url, "api_key": KEY})
    problem = error(call, create)
    assert (problem.code, problem.status) == ("NETWORK_ERROR", None)
    assert "no connection" in str(problem)
    assert call.pauses == [0.5, 1.0]


def test_a_server_that_resets(way: Way) -> None:
    with scripted(resets) as server:
        problem = error(Caller(way, {"base_url": server.url, "api_key": KEY}), create)
        assert (problem.code, len(server.asked)) == ("NETWORK_ERROR", 3)
        assert "broke off" in str(problem)


def test_a_server_that_hangs(way: Way) -> None:
    with scripted(hangs) as server:
        call = Caller(way, {"base_url": server.url, "api_key": KEY, "timeout": 0.1})
        problem = error(call, create)
        assert (problem.code, len(server.asked)) == ("NETWORK_ERROR", 3)
        assert "no answer within 0.1 s" in str(problem)


def test_a_body_that_hangs(way: Way) -> None:
    def starts(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{")
        hangs(connection)

    with scripted(starts) as server:
        problem = error(Caller(way, {"base_url": server.url, "api_key": KEY, "timeout": 0.1, "retries": 0}), create)
        assert problem.code == "NETWORK_ERROR"


def test_a_body_that_drips_for_ever(way: Way) -> None:
    """Each piece comes in time; the whole does not."""

    def drips(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        connection.settimeout(0.02)
        while True:
            connection.sendall(b" ")
            try:
                if not connection.recv(1):
                    return
            except TimeoutError:
                continue

    with scripted(drips) as server:
        problem = error(Caller(way, {"base_url": server.url, "api_key": KEY, "timeout": 0.3, "retries": 0}), create)
        assert problem.code == "NETWORK_ERROR"
        assert "no answer within 0.3 s" in str(problem)


@pytest.mark.parametrize(
    "act",
    [
        sends(b"SSH-2.0-OpenSSH_9.6\r\n"),
        sends(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}"),
        sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        sends(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000 + b"\r\n\r\n"),
        sends(b"HTTP/1.1 302 Found\r\nLocation: https://api.example:port/\r\nContent-Length: 0\r\n\r\n"),
        sends(b"HTTP/1.1 200 sk_live_0000000000\x00\r\n\r\n"),
    ],
)
def test_what_does_not_speak_http(way: Way, act: Any) -> None:
    with scripted(act) as server:
        problem = error(Caller(way, {"base_url": server.url, "api_key": KEY, "retries": 0}), create)
    assert problem.code == "NETWORK_ERROR"
    assert "sk_live" not in str(problem)


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (says(b"<html>It works!</html>"), "not JSON"),
        (says(b""), "not JSON"),
        (says({}), "id is no text"),
        (says({**SESSION, "client_secret": "a\r\nX-Evil: 1"}), "client_secret"),
        (says([SESSION]), "not a JSON object"),
        (says(b"[" * 100_000), "nested"),
        (says(SESSION, "202 Accepted"), "its status is 202"),
        (says(b"", "204 No Content"), "its status is 204"),
        (says(gzip.compress(b" " * 50_000_000), Content_Encoding="gzip"), "packed"),
        (babbles, "longer than"),
    ],
)  # fmt: skip
def test_an_answer_that_is_junk_is_said_and_not_asked_for_again(way: Way, act: Any, said: str) -> None:
    with scripted(act) as server:
        problem = error(Caller(way, {"base_url": server.url, "api_key": KEY}), create)
        assert (problem.code, len(server.asked)) == ("INVALID_RESPONSE", 1)
    assert problem.status in (200, 202, 204)
    assert said in str(problem)
    assert "It works" not in str(problem)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_a_key_follows_no_redirect(way: Way, status: str) -> None:
    with scripted(says(SESSION)) as elsewhere, scripted(says({}, status, Location=elsewhere.url)) as server:
        problem = error(Caller(way, {"base_url": server.url, "api_key": KEY}), create)
        assert (problem.code, problem.status) == ("INVALID_RESPONSE", int(status[:3]))
        assert "redirects" in str(problem)
        # Nor on a client of the user's own that follows them, and has credentials and cookies of its own.
        own = {"follow_redirects": True, "auth": ("ada", "hunter2"), "cookies": {"a": "b"}, "headers": {"X-Own": "1"}}
        if way == "sync":
            with httpx.Client(**own) as http, pytest.raises(ClientError):  # type: ignore[arg-type]
                create(Client(server.url, KEY, http=http))
        else:

            async def run() -> None:
                async with httpx.AsyncClient(**own) as http:  # type: ignore[arg-type]
                    with pytest.raises(ClientError):
                        await create(AsyncClient(server.url, KEY, http=http))

            anyio.run(run, backend=way)
        assert elsewhere.asked == []
        last = server.asked[-1].headers
        assert last["authorization"] == f"Bearer {KEY}"
        assert not {"cookie", "x-own"} & set(last)


def test_a_certificate_that_nobody_vouches_for(way: Way, tmp_path: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(self_signed(tmp_path))
    shown: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        with suppress(OSError), context.wrap_socket(connection, server_side=True) as tls:
            shown.append(tls.recv(1))

    with listening(serve) as port:
        call = Caller(way, {"base_url": f"https://localhost:{port}", "api_key": KEY, "retries": 0})
        problem = error(call, create)
    assert problem.code == "NETWORK_ERROR"
    assert "certificate" in str(problem).lower()
    assert not any(shown)


def test_no_credential_is_logged_or_raised(way: Way, house: House, url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    call = Caller(way, {"base_url": url, "api_key": house.secret_key})
    said += [repr(call(lambda client: client.account_sessions.create(account=data.ACCOUNT)))]
    said += [repr(call(lambda client: client.auth.sign()))]
    echo = says({"code": "x", "detail": f"what is {KEY}?"}, "400 Bad Request")
    for act in (echo, sends(f"HTTP/1.1 {KEY}\r\n\r\n".encode()), sends(f"{KEY}\r\n\r\n".encode()), resets):
        with scripted(act) as server:
            problem = error(Caller(way, {"base_url": server.url, "api_key": KEY, "retries": 0}), create)
            said += [str(problem), repr(problem), repr(problem.details), str(problem.__cause__)]
    # What httpcore itself writes down at DEBUG of a server's own words is none of ours.
    said += [one.getMessage() for one in caplog.records if not one.name.startswith("httpcore")]
    assert len(said) > 10
    assert not CREDENTIAL.search("\n".join(said))


@pytest.mark.parametrize("act", [says({}, "401 Unauthorized"), says(b"junk"), resets])
def test_an_errors_frames_hold_no_key(way: Way, act: Any) -> None:
    """Error reporters show the local variables of every frame."""
    with scripted(act) as server:
        problem = error(Caller(way, {"base_url": server.url, "api_key": KEY, "retries": 0}), create)
    frames = [frame for frame, _ in walk_tb(problem.__traceback__) if "guestpass/client" in frame.f_code.co_filename]
    assert frames
    assert not [frame.f_code.co_name for frame in frames if KEY in repr(frame.f_locals)]
    assert problem.__suppress_context__
