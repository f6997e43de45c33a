"""The demo's API under real ASGI servers on loopback: however each of them reads a request, it is judged the same."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from demo_program import BOTH, ONE, hello
from guestpass.demo import data
from real import http2
from real.asgi_requests import AMBIGUOUS, FORMS, HEADERS, LET_IN, MALFORMED, NOBODY, NOWHERE, PATHS, Row, Seen
from real.programs import WAIT
from real.serving import SERVERS, Answer, Serving, bearer, serving
from real.staging import Stage, staged

pytestmark = pytest.mark.real

ME, LOGS, MINT, SIGN = "/v1/me", "/v1/call_logs", "/v1/account_sessions", "/api/v1/jwt/sign"
OWN, OTHER = data.ACCOUNT, data.OTHER_ACCOUNT


@pytest.fixture(scope="module", params=SERVERS)
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(request.param, "demo", store=f"sqlite:///{tmp_path_factory.mktemp('asgi')}/guestpass.db") as house:
        yield house


@pytest.fixture(scope="module")
def words(house: Serving) -> dict[str, str]:
    """What the table names."""
    return {
        "session": house.mint(OWN, components=ONE)["client_secret"],
        "key": house.secret_key,
        "publishable": house.publishable_key,
        "own": OWN,
        "other": OTHER,
        "foreign": data.FOREIGN_ACCOUNT,
    }


def judged(answer: Answer) -> Seen:
    status, headers, said = answer
    if headers.get("content-type") == "application/problem+json":
        return status, str(said["code"]) if said else "a refusal"
    return status, "let in" if isinstance(said, dict) else "the server's own"


def compare(house: Serving, table: list[Row], send: Callable[[str], Answer]) -> None:
    assert {sent: judged(send(sent)) for sent, _, _ in table} == {
        sent: but.get(house.server, seen) for sent, seen, but in table
    }


def test_paths(house: Serving, words: Mapping[str, str]) -> None:
    credential = bearer(words["session"])
    compare(house, PATHS, lambda path: house.send(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{credential}"))


def test_headers(house: Serving, words: Mapping[str, str]) -> None:
    def send(lines: str) -> Answer:
        head = [f"GET {LOGS} HTTP/1.1", "Host: 127.0.0.1", *filter(None, lines.format(**words).split("|"))]
        return house.send("\r\n".join(head))

    compare(house, HEADERS, send)


def test_forms_of_requests(house: Serving, words: Mapping[str, str]) -> None:
    compare(house, FORMS, lambda lines: house.send(lines.format(**words).replace("|", "\r\n")))


def client(house: Serving) -> httpx.Client:
    # One connection for each request: Hypercorn may end one whose body nobody read, as the guard reads no refused one.
    return httpx.Client(base_url=house.url, timeout=WAIT, headers={"Connection": "close"})


def test_the_flow_of_account_sessions(house: Serving) -> None:
    key = {"Authorization": f"Bearer {house.secret_key}"}
    with client(house) as web:

        def code(path: str, credential: str, method: str = "GET") -> tuple[int, str]:
            answer = web.request(method, path, headers={"Authorization": f"Bearer {credential}"})
            assert answer.headers["cache-control"] == "no-store"
            assert "session" in answer.json()["detail"]
            return answer.status_code, answer.json()["code"]

        made = web.post("/api/create-session", json={"accountId": OWN}).json()
        assert web.post("/api/create-session", json={"accountId": OTHER}).status_code == 403
        page = {"Authorization": f"Bearer {made['client_secret']}", "Origin": house.url}
        for path in (LOGS, f"/v1/accounts/{OWN}/call_logs"):
            answer = web.get(path, headers=page)
            assert (answer.json()["account"], answer.headers["vary"]) == (OWN, "Authorization")
        assert code("/v1/voicemails", made["client_secret"]) == (403, "component_disabled")
        assert code(f"/v1/accounts/{OTHER}/call_logs", made["client_secret"]) == (403, "account_mismatch")
        for path in (MINT, f"{MINT}/any/revoke", SIGN):
            assert code(path, made["client_secret"], "POST") == (403, "escalation_denied")

        answer = web.post(MINT, headers=key, json={"account": OTHER, "components": BOTH, "expires_in": 60})
        assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
        session = answer.json()
        mail = web.get("/v1/voicemails", headers={"Authorization": f"Bearer {session['client_secret']}"})
        assert mail.json()["account"] == OTHER
        foreign = web.post(MINT, headers=key, json={"account": data.FOREIGN_ACCOUNT})
        assert (foreign.status_code, foreign.json()["code"]) == (403, "account_refused")
        house.revoke(session)
        assert code(LOGS, session["client_secret"]) == (401, "session_revoked")
        assert code(LOGS, session["client_secret"][:-1] + "-") == (401, "credential_invalid")


def test_the_flow_of_signed_tokens(house: Serving) -> None:
    user = "a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d"
    with client(house) as web:
        key = {"Authorization": f"Bearer {house.secret_key}"}
        given = web.post("/api/sdk-token").json()
        signed = web.post(SIGN, headers=key, json={"id": user.upper(), "tenantId": OWN}).json()
        assert signed["id"] == user
        me = web.get(ME, headers={"Authorization": f"Bearer {signed['jwt']}"}).json()
        assert (me["kind"], me["subject"], me["account"]) == ("signed_token", user, OWN)
        assert [one["alg"] for one in web.get("/.well-known/jwks.json").json()["keys"]] == ["RS256"]
        wrong = web.post(SIGN, headers=key, json={"expiresIn": 59})
        assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "expiresIn")
        refused = web.post(SIGN, headers={"Authorization": f"Bearer {given['token']}"}, json={})
        assert (refused.status_code, refused.json()["code"]) == (403, "escalation_denied")
        other = web.post("/api/refresh-sdk-token", json={"entityId": user})
        assert other.status_code == 403
    with house.events("jwt", given["token"]) as connection:
        assert connection.subprotocol == "jwt"
        assert hello(connection) == {"kind": "signed_token", "account": OWN}
    with house.events(header=given["token"]) as connection:
        assert connection.subprotocol is None
        assert hello(connection) == {"kind": "signed_token", "account": OWN}
    with pytest.raises(InvalidStatus) as refusal, house.events("jwt", given["token"][:-4] + "AAAA"):
        pass
    # Daphne has no `websocket.http.response`.
    assert refusal.value.response.status_code == (403 if house.server == "daphne" else 401)


def test_bodies(house: Serving) -> None:
    body, chunked = json.dumps({"account": OWN}).encode(), "Transfer-Encoding: chunked"
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:5], body[5:]))

    def mint(sent: bytes, *lines: str) -> Seen:
        head = [f"POST {MINT} HTTP/1.1", "Host: 127.0.0.1", bearer(house.secret_key), *lines]
        return judged(house.send("\r\n".join(head), sent))

    assert mint(body, f"Content-Length: {len(body)}") == (201, "let in")
    assert mint(chunks + b"0\r\n\r\n", chunked) == (201, "let in")
    assert mint(chunks.replace(b"\r\n", b";a=b\r\n", 1) + b"0\r\n\r\n", chunked) == (201, "let in")
    # A body that ends early is none, and one that is too long is not read to its end.
    assert mint(body[:-1], f"Content-Length: {len(body) - 1}") == (400, "body_malformed")
    assert mint(b" " * 20_000, "Content-Length: 20000") == (400, "body_malformed")
    assert mint(b"", "Content-Length: 0") == (400, "body_malformed")
    # What two readers could take for requests of different lengths (RFC 9112 section 6.3) makes no session.
    for lines in ((chunked, f"Content-Length: {len(body)}"), (f"Content-Length: {len(body)}", "Content-Length: 1")):
        status, whose = mint(body + b"\r\n\r\n", *lines)
        assert status in (0, 400, 500)
        assert whose in ("the server's own", "body_malformed")


HTTP2 = ("hypercorn", "granian")


@pytest.mark.parametrize("house", HTTP2, indirect=True)
def test_http_2(house: Serving, words: Mapping[str, str]) -> None:
    credential = ("authorization", f"Bearer {words['session']}")

    def seen(target: str, *fields: tuple[str, str], **more: str) -> Seen:
        return judged(http2.send(house, target, *fields, **more))  # type: ignore[arg-type] # a method alone

    assert seen(ME, credential) == LET_IN
    assert seen(ME) == NOBODY
    assert seen(ME, credential, credential) == MALFORMED
    for path in ("//v1/me", "/v1%2fme", "/v1/../v1/me", "*"):
        assert seen(path, credential) == AMBIGUOUS
    assert seen("/v1/events", credential, method="WEBSOCKET") == NOWHERE
    # What HTTP/2 does not know ends the stream or the connection, or means nothing.
    for path in ("v1/me", "http://x/v1/me", "", "/v1/me\0"):
        assert seen(path, credential) in (AMBIGUOUS, (0, "the server's own"))
    assert seen("/v1/events", credential, method="(WEBSOCKET)") in (NOWHERE, (0, "the server's own"))
    assert seen(ME, credential, method="(GET)") in (NOWHERE, (0, "the server's own"))
    for fields in (("Authorization", credential[1]), (":authorization", credential[1]), ("x", f"\r\n{credential[1]}")):
        assert seen(ME, fields) == (0, "the server's own")
    for first, second in (("/health", ME), (ME, "/health")):
        assert seen(first, (":path", second), credential) == (0, "the server's own")
    body = json.dumps({"account": OWN}).encode()
    minted = http2.send(house, MINT, ("authorization", f"Bearer {house.secret_key}"), method="POST", body=body)
    assert judged(minted) == (201, "let in")


@pytest.mark.parametrize("house", ["hypercorn"], indirect=True)
def test_a_socket_over_http_2(house: Serving, words: Mapping[str, str]) -> None:
    opening = [
        (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":authority", "127.0.0.1"),
        (":path", "/v1/events"), ("sec-websocket-version", "13"),
    ]  # fmt: skip
    offered = ("sec-websocket-protocol", f"client_secret, {words['session']}")
    status, headers, frame = http2.send_raw(house, [*opening, offered], ends=False)
    assert (status, headers["sec-websocket-protocol"]) == (200, "client_secret")
    assert isinstance(frame, bytes)
    assert json.loads(frame[2:]) == {"type": "hello", "kind": "account_session", "account": OWN}
    assert judged(http2.send_raw(house, opening, ends=False)) == NOBODY


@pytest.fixture(scope="module", params=SERVERS)
def mounted(request: pytest.FixtureRequest) -> Iterator[Stage]:
    with staged(request.param, root_path="/api") as stage:
        yield stage


def test_below_a_root_path(mounted: Stage) -> None:
    def answered(path: str) -> tuple[int, object]:
        status, said = mounted.ask(path, bearer(mounted.secret_key))
        return status, said if isinstance(said, str) else "let in"

    # uvicorn takes it that a proxy has cut the root off, and puts it before every path; the others leave a path alone.
    cut = mounted.server.startswith("uvicorn")
    for path in ("/v1/me", "/health"):
        assert answered(path) == LET_IN
        assert answered(f"/api{path}") == (NOWHERE if cut else LET_IN)
        assert answered(f"/apix{path}") == (NOWHERE if cut else AMBIGUOUS)
        assert answered(f"/api/api{path}") == NOWHERE
        for odd in (f"/api/{path}", f"/api/..{path}", f"/api%2f{path[1:]}", f"/api;{path}", f"/x/../api{path}"):
            assert answered(odd) == AMBIGUOUS
    with mounted.events("apikey", mounted.secret_key, path="/v1/events" if cut else "/api/v1/events") as connection:
        assert json.loads(connection.recv(timeout=WAIT))["kind"] == "secret_key"


def test_what_comes_behind_the_body_is_no_header(mounted: Stage) -> None:
    path = "/v1/headers" if mounted.server.startswith("uvicorn") else "/api/v1/headers"
    head = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", "Transfer-Encoding: chunked"]
    trailers = ["Guestpass-Principal: admin", "Account-Id: acct_2", "X-Late: 1"]
    with closing(mounted.connect()) as connection, connection.makefile("rb") as answer:
        lines = [*head, bearer(mounted.secret_key), "Trailer: X-Late", "", "1", "x", ""]
        connection.sendall("\r\n".join(lines).encode())
        if mounted.server != "daphne":
            # Daphne asks nobody before it has all.
            while not (line := answer.readline()).startswith(b"reading") and line:
                pass
        connection.sendall("\r\n".join(["0", *trailers, "", ""]).encode())
        seen = answer.read().decode().lower()
    assert "authorization" in seen
    assert not any(name in seen for name in ("guestpass-principal", "account-id"))
