"""Clients that send as somebody: Starlette's, httpx's, requests' and Flask's, against one API."""

import importlib
import time

import anyio
import flask
import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket

from guestpass import Policy, Principal, Rule, principal_of
from guestpass.flask import current_principal
from guestpass.flask import protect as protect_flask
from guestpass.starlette import protect
from guestpass.testing import ClientAs, IdentityProvider, Kit, principal
from support import COMPONENTS, ROLES

POLICY = Policy(
    Rule(
        "GET /v1/me",
        role=None,
        account=False,
        kinds={"secret_key", "account_session", "signed_token", "identity_token"},
    ),
    Rule("GET /v1/call_logs", component="call_logs"),
    Rule("WEBSOCKET /v1/events"),
    components=COMPONENTS,
    roles=ROLES,
)


def described(caller: Principal) -> dict[str, str | None]:
    return {"kind": caller.kind, "account": caller.account, "subject": caller.subject}


async def me(request: Request) -> JSONResponse:
    return JSONResponse({**described(principal_of(request)), "sent": dict(request.headers)})


async def events(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_json(described(principal_of(websocket)))
    await websocket.close()


def starlette_app(kit: Kit) -> Starlette:
    routes = [Route("/v1/me", me), Route("/v1/call_logs", me), WebSocketRoute("/v1/events", events)]
    app = Starlette(routes=routes)
    protect(app, kit.guard)
    return app


def flask_app(kit: Kit) -> flask.Flask:
    app = flask.Flask("api")

    @app.get("/v1/me")
    @app.get("/v1/call_logs")
    def me() -> dict[str, object]:
        sent = {name.lower(): value for name, value in flask.request.headers.items()}
        return {**described(current_principal), "sent": sent}

    protect_flask(app, kit.guard)
    return app


@pytest.fixture
def kit() -> Kit:
    return Kit.around(POLICY)


@pytest.fixture
def client(kit: Kit) -> ClientAs[TestClient]:
    return kit.client(TestClient(starlette_app(kit)))


def test_as_a_session(client: ClientAs[TestClient]) -> None:
    page = client.as_session(account="acct_1", components=["voicemails"])
    assert page.get("/v1/me").json()["account"] == "acct_1"
    assert page.get("/v1/call_logs").json()["code"] == "component_disabled"
    assert client.as_session(account="acct_1").get("/v1/call_logs").status_code == 200


def test_as_a_token_a_key_and_an_outside_user() -> None:
    with IdentityProvider(algorithm="EdDSA") as provider:
        kit = Kit.around(POLICY, clock=time.time, authenticators=[provider.authenticator()])
        client = kit.client(TestClient(starlette_app(kit)))
        assert client.as_token(account="acct_2").get("/v1/me").json()["kind"] == "signed_token"
        assert client.as_key().get("/v1/me").json()["account"] is None
        assert client.as_key().get("/v1/call_logs").json()["code"] == "account_missing"
        assert client.as_key(account="acct_3").get("/v1/call_logs").json()["account"] == "acct_3"
        found = client.as_identity(provider, "ada").get("/v1/me").json()
        assert (found["kind"], found["subject"]) == ("identity_token", "ada")
        assert client.as_identity(provider, exp=1).get("/v1/me").json()["code"] == "token_expired"


def test_as_anyone_and_as_the_client_that_was_given(kit: Kit) -> None:
    key = kit.key().secret
    plain = TestClient(starlette_app(kit), headers={"authorization": f"Bearer {key}", "X-Kept": "yes"})
    client = kit.client(plain)
    assert client.as_anyone().get("/v1/me").json()["code"] == "credential_missing"
    seen = client.as_session().get("/v1/me").json()
    assert (seen["kind"], seen["sent"]["x-kept"]) == ("account_session", "yes")
    assert client.plain.get("/v1/me").json()["kind"] == "secret_key"


def test_two_at_once_do_not_get_into_each_others_way(client: ClientAs[TestClient]) -> None:
    one, other = client.as_session(account="acct_1"), client.as_session(account="acct_2")
    assert [page.get("/v1/me").json()["account"] for page in (one, other, one)] == ["acct_1", "acct_2", "acct_1"]


def test_cookies_are_shared(client: ClientAs[TestClient]) -> None:
    client.plain.cookies.set("theme", "dark")
    assert client.as_session().get("/v1/me").json()["sent"]["cookie"] == "theme=dark"


def test_sockets_are_opened_as_somebody_too(kit: Kit) -> None:
    with TestClient(starlette_app(kit)) as plain:
        page = kit.client(plain).as_session(account="acct_1")
        with page.websocket_connect("/v1/events") as socket:
            assert socket.receive_json()["account"] == "acct_1"


def test_httpx_on_an_event_loop(kit: Kit) -> None:
    async def ask() -> list[object]:
        transport = httpx.ASGITransport(starlette_app(kit))
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as plain:
            client = kit.client(plain)
            answers = [await client.as_session(account=name).get("/v1/me") for name in ("acct_1", "acct_2")]
            return [answer.json()["account"] for answer in answers]

    assert anyio.run(ask) == ["acct_1", "acct_2"]


def test_httpx_over_wsgi(kit: Kit) -> None:
    transport = httpx.WSGITransport(flask_app(kit))
    with httpx.Client(transport=transport, base_url="http://testserver") as plain:
        assert kit.client(plain).as_session(account="acct_1").get("/v1/me").json()["account"] == "acct_1"


def test_requests(kit: Kit) -> None:
    session = importlib.import_module("requests").Session()
    session.headers["X-Kept"] = "yes"
    page = kit.client(session).as_session(account="acct_1")
    kind, _, text = page.headers["authorization"].partition(" ")
    assert (kind, kit.guard.check(text).account, page.headers["x-kept"]) == ("Bearer", "acct_1", "yes")
    assert "authorization" not in session.headers


def test_flask(kit: Kit) -> None:
    plain = flask_app(kit).test_client()
    plain.environ_base = {**plain.environ_base, "HTTP_X_KEPT": "yes"}
    client = kit.client(plain)
    seen = client.as_session(account="acct_1").get("/v1/me").get_json()
    assert (seen["account"], seen["sent"]["x-kept"]) == ("acct_1", "yes")
    assert client.as_key(account="acct_3").get("/v1/call_logs").get_json()["account"] == "acct_3"
    page = client.as_session(components=["voicemails"])
    assert page.get("/v1/call_logs").get_json()["code"] == "component_disabled"
    assert kit.client(page).as_anyone().get("/v1/me").get_json()["code"] == "credential_missing"
    assert client.plain.get("/v1/me").get_json()["code"] == "credential_missing"


def test_an_override_counts_for_every_client(kit: Kit) -> None:
    asgi, wsgi = TestClient(starlette_app(kit)), flask_app(Kit.around(POLICY)).test_client()
    with kit.guard.override(principal(account="acct_7", components=["call_logs"])):
        assert asgi.get("/v1/call_logs").json()["account"] == "acct_7"
        assert kit.client(asgi).as_session(account="acct_1").get("/v1/call_logs").json()["account"] == "acct_7"
        # Another guard's.
        assert wsgi.get("/v1/call_logs").get_json()["code"] == "credential_missing"
    assert asgi.get("/v1/call_logs").json()["code"] == "credential_missing"


def test_what_is_no_client_is_told(kit: Kit) -> None:
    with pytest.raises(TypeError, match=r"kit\.client\(Starlette\)"):
        kit.client(starlette_app(kit))
