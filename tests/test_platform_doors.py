"""The platform's back end in Starlette, FastAPI and Flask over real HTTP, asking the API over HTTP or in process."""

import json
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import flask
import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request

from guestpass import ConfigurationError, Guard
from guestpass import fastapi as fastapi_door
from guestpass import flask as flask_door
from guestpass.client import AsyncClient, Client
from guestpass.platform import AsyncInProcess, EndUser, InProcess, PlatformBackend, SessionTerms
from guestpass.platform.backend import MAX_BODY
from guestpass.platform.flask import platform_blueprint
from guestpass.platform.starlette import platform_routes
from guestpass.records import AddSession
from guestpass.stores import open_store
from serving_here import serving, serving_wsgi
from support import House, Recording, build, policy

ADA, EVE = "5f0c9a52-7a0e-4f0e-9d0f-3a4b8e6d1c27", "a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d"
# The last is not the platform's own.
ACCOUNTS = {ADA: {"acct_1", "foreign_1"}, EVE: {"acct_2"}}


@dataclass
class Api:
    """The API, where it is served, and a key of the platform's."""

    house: House
    store: Recording
    url: str
    key: str

    @property
    def sessions_made(self) -> int:
        return self.store.count(AddSession)


Place: TypeAlias = Callable[[Api], Any]
"""Serves a back end of this API; answers a context manager with its address."""


def may_access(user: str, account: str) -> bool:
    return account in ACCOUNTS[user]


def terms(user: str, account: str) -> SessionTerms:
    return SessionTerms(components={"call_logs": {"enabled": True}})


def end_user(user: str) -> EndUser:
    return EndUser(user, tenant_id=min(ACCOUNTS[user]), metadata={"name": "Zoë"})


def cookie_user(request: Request) -> str | None:
    return request.cookies.get("user")


def flask_user() -> str | None:
    return flask.request.cookies.get("user")


def backend_of(issuer: Any) -> PlatformBackend[str]:
    return PlatformBackend(
        issuer, may_access=may_access, session=terms, end_user=end_user, allow_origins=["https://front.example"]
    )


def async_backend_of(issuer: Any) -> PlatformBackend[str]:
    async def may(user: str, account: str) -> bool:
        return may_access(user, account)

    async def session(user: str, account: str) -> SessionTerms:
        return terms(user, account)

    async def who(user: str) -> EndUser:
        return end_user(user)

    return PlatformBackend(
        issuer, may_access=may, session=session, end_user=who, allow_origins=["https://front.example"]
    )


@contextmanager
def starlette_asking_over_http(api: Api) -> Iterator[str]:
    client = AsyncClient(api.url, api.key, retries=0)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with client:
            yield

    async def user(request: Request) -> str | None:
        return cookie_user(request)

    with serving(Starlette(routes=platform_routes(async_backend_of(client), user=user), lifespan=lifespan)) as url:
        yield url


@contextmanager
def starlette_with_the_plain_client(api: Api) -> Iterator[str]:
    with Client(api.url, api.key, retries=0) as client:
        routes = platform_routes(backend_of(client), user=cookie_user)
        with serving(Starlette(routes=routes)) as url:
            yield url


@contextmanager
def fastapi_behind_the_guard(api: Api) -> Iterator[str]:
    app = FastAPI(openapi_url=None)
    app.router.routes.extend(
        platform_routes(async_backend_of(AsyncInProcess(api.house.guard, api.key)), user=cookie_user)
    )
    fastapi_door.protect(app, guard_beside(api))
    with serving(app) as url:
        yield url


@contextmanager
def flask_asking_over_http(api: Api) -> Iterator[str]:
    app = flask.Flask(__name__)
    with Client(api.url, api.key, retries=0) as client:
        app.register_blueprint(platform_blueprint(backend_of(client), user=flask_user))
        with serving_wsgi(app) as url:
            yield url


@contextmanager
def flask_behind_the_guard(api: Api) -> Iterator[str]:
    app = flask.Flask(__name__, static_folder=None)
    app.register_blueprint(platform_blueprint(backend_of(InProcess(api.house.guard, api.key)), user=flask_user))
    flask_door.protect(app, guard_beside(api))
    with serving_wsgi(app) as url:
        yield url


def guard_beside(api: Api) -> Guard:
    """Another guard around the same sessions and keys: each application has its own policy."""
    house = api.house
    return Guard(
        authenticators=[house.keys, house.sessions, house.signer],
        policy=policy(),
        mode="live",
        clock=house.clock,
    )


PLACES: dict[str, Place] = {
    one.__name__: one
    for one in (
        starlette_asking_over_http,
        starlette_with_the_plain_client,
        fastapi_behind_the_guard,
        flask_asking_over_http,
        flask_behind_the_guard,
    )
}
OVER_HTTP = [name for name in PLACES if "behind" not in name]


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    store = Recording(open_store("memory://"))
    house = build(store=store)
    app = FastAPI(openapi_url=None)
    fastapi_door.protect(app, house.guard, issuing="/")
    with serving(app) as url:
        yield Api(house, store, url, house.key())


@pytest.fixture(scope="module", params=PLACES)
def url(request: pytest.FixtureRequest, api: Api) -> Iterator[str]:
    with PLACES[request.param](api) as url:
        yield url


def post(url: str, path: str, content: object = None, user: str | None = ADA, **headers: str) -> httpx.Response:
    cookies = {} if user is None else {"Cookie": f"user={user}"}
    more = {} if content is None else {"json": content}
    return httpx.post(f"{url}/api/{path}", headers={**cookies, **headers}, timeout=30, **more)  # type: ignore[arg-type]


def told(answer: httpx.Response) -> tuple[int, Any]:
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert "sk_" not in answer.text + str(answer.headers)
    return answer.status_code, answer.json()


def test_a_session(url: str, api: Api) -> None:
    status, content = told(post(url, "create-session", {"accountId": "acct_1"}))
    assert status == 200
    assert set(content) == {"client_secret", "expires_at", "expires_in", "account", "components"}
    assert (content["account"], content["expires_in"]) == ("acct_1", 3_600)
    assert content["components"]["voicemails"]["enabled"] is False
    principal = api.house.guard.check(content["client_secret"])
    assert (principal.account, principal.kind) == ("acct_1", "account_session")


def test_a_token(url: str, api: Api) -> None:
    for path, content in (("sdk-token", None), ("sdk-token", {}), ("refresh-sdk-token", {"entityId": ADA})):
        status, given = told(post(url, path, content))
        assert status == 200
        assert (set(given), given["id"]) == ({"token", "expiresAt", "id"}, ADA)
        principal = api.house.guard.check(given["token"])
        assert (principal.subject, principal.account, principal.metadata) == (ADA, "acct_1", {"name": "Zoë"})


def test_who_may_not_gets_nothing_and_nothing_is_asked_for(url: str, api: Api) -> None:
    made = api.sessions_made
    for answer, expected in (
        (post(url, "create-session", {"accountId": "acct_2"}), (403, {"error": "Access denied"})),
        (post(url, "create-session", {"accountId": "acct_1"}, user=EVE), (403, {"error": "Access denied"})),
        (post(url, "create-session", {}), (403, {"error": "Access denied"})),
        (post(url, "refresh-sdk-token", {"entityId": EVE}), (403, {"error": "Access denied"})),
        (post(url, "create-session", {"accountId": "acct_1"}, user=None), (401, {"error": "Not signed in"})),
        (post(url, "sdk-token", user=None), (401, {"error": "Not signed in"})),
        (post(url, "create-session"), (400, {"error": "Bad request"})),
        (post(url, "create-session", {"accountId": "x" * MAX_BODY}), (400, {"error": "Bad request"})),
        (
            post(url, "create-session", {"accountId": "acct_1"}, Origin="https://evil.example"),
            (403, {"error": "Access denied"}),
        ),
        (post(url, "sdk-token", **{"Sec-Fetch-Site": "cross-site"}), (403, {"error": "Access denied"})),
    ):
        assert told(answer) == expected
    assert api.sessions_made == made


def test_the_platforms_own_pages_are_answered(url: str) -> None:
    for headers in ({"Origin": url}, {"Origin": "https://front.example"}, {"Sec-Fetch-Site": "same-origin"}):
        assert post(url, "sdk-token", **headers).status_code == 200


def test_an_account_that_the_api_does_not_know_as_the_platforms(url: str, caplog: pytest.LogCaptureFixture) -> None:
    assert told(post(url, "create-session", {"accountId": "foreign_1"})) == (403, {"error": "Access denied"})
    assert "account_refused" in caplog.text


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_only_posts_are_served(url: str, method: str) -> None:
    answer = httpx.request(method, f"{url}/api/create-session", headers={"Cookie": f"user={ADA}"})
    # A guard in front refuses what has no rule; Flask answers OPTIONS by itself, and allows no other origin.
    assert answer.status_code in (401, 404, 405) or (method == "OPTIONS" and answer.status_code == 200)
    assert "access-control-allow-origin" not in answer.headers


def test_a_body_of_unknown_length(url: str) -> None:
    def chunks(size: int) -> Iterator[bytes]:
        yield json.dumps({"accountId": "acct_1"}).encode() + b" " * size

    for size, status in ((0, 200), (MAX_BODY, 400)):
        answer = httpx.post(
            f"{url}/api/create-session",
            content=chunks(size),
            headers={"Cookie": f"user={ADA}", "Content-Type": "application/json"},
        )
        assert answer.status_code == status


def test_a_body_without_an_end_is_refused_before_it_ends(url: str) -> None:
    head = "POST /api/create-session HTTP/1.1|Host: x|Cookie: user={user}|Content-Type: application/json|"
    head = f"{head.format(user=ADA)}Transfer-Encoding: chunked||".replace("|", "\r\n")
    with socket.create_connection(("127.0.0.1", httpx.URL(url).port or 0), timeout=10) as connection:
        connection.sendall(head.encode() + b"1800\r\n" + b" " * 0x1800 + b"\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("name", OVER_HTTP)
def test_an_api_that_is_away_is_an_outage_to_the_page(name: str, api: Api, caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nowhere = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with PLACES[name](Api(api.house, api.store, nowhere, api.key)) as url:
        answer = post(url, "create-session", {"accountId": "acct_1"})
        status, content = told(answer)
        assert (status, answer.headers["retry-after"]) == (503, "1")
        assert "session" in content["error"]
    assert "NETWORK_ERROR" in caplog.text


@pytest.mark.parametrize("name", PLACES)
def test_a_key_that_was_revoked_is_the_operators_business(
    name: str, api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    key = api.house.key()
    with PLACES[name](Api(api.house, api.store, api.url, key)) as url:
        assert post(url, "sdk-token").status_code == 200
        api.house.keys.revoke(api.house.guard.check(key).credential_id)
        for answer in (post(url, "create-session", {"accountId": "acct_1"}), post(url, "sdk-token")):
            status, content = told(answer)
            # Not 401: the page would have its user log in again, and again.
            assert status == 502
            assert "session" in content["error"]
    errors = [one for one in caplog.records if one.name == "guestpass" and one.levelno == logging.ERROR]
    assert len(errors) == 2
    assert all("key_revoked" in one.getMessage() for one in errors)
    assert key not in caplog.text


def test_flask_is_given_plain_functions_only(api: Api) -> None:
    async def asynchronous(*_: object) -> Any:
        raise AssertionError

    plain: Any = {"may_access": may_access, "session": terms, "end_user": end_user}
    issuer = InProcess(api.house.guard, api.key)
    for name in plain:
        backend: PlatformBackend[str] = PlatformBackend(issuer, **{**plain, name: asynchronous})
        with pytest.raises(ConfigurationError, match="plain functions"):
            platform_blueprint(backend, user=flask_user)
    with pytest.raises(ConfigurationError, match="plain functions"):
        platform_blueprint(backend_of(issuer), user=asynchronous)  # type: ignore[arg-type]
    for asks_later in (AsyncInProcess(api.house.guard, api.key), AsyncClient(api.url, api.key)):
        with pytest.raises(ConfigurationError, match="plain functions"):
            platform_blueprint(backend_of(asks_later), user=flask_user)


def test_flask_is_told_of_a_function_that_answers_something_to_be_awaited(api: Api) -> None:
    async def later(user: str, account: str) -> bool:
        raise AssertionError

    class Later:
        def __await__(self) -> Any:
            raise AssertionError

    for answer in (lambda: later("", ""), Later):
        app = flask.Flask(__name__)
        issuer = InProcess(api.house.guard, api.key)
        backend: PlatformBackend[str] = PlatformBackend(issuer, may_access=lambda user, account: answer())  # noqa: B023
        app.register_blueprint(platform_blueprint(backend, user=lambda: ADA))
        app.testing = True
        with pytest.raises(ConfigurationError, match="to be awaited"):
            app.test_client().post("/api/create-session", json={"accountId": "acct_1"})


def test_starlette_awaits_what_a_plain_function_answers(api: Api) -> None:
    async def later(user: str, account: str) -> bool:
        return may_access(user, account)

    backend: PlatformBackend[str] = PlatformBackend(
        AsyncInProcess(api.house.guard, api.key), may_access=lambda user, account: later(user, account)
    )
    with serving(Starlette(routes=platform_routes(backend, user=cookie_user, prefix="/a/"))) as url:
        answer = httpx.post(f"{url}/a/create-session", json={"accountId": "acct_1"}, headers={"Cookie": f"user={ADA}"})
        assert answer.status_code == 200
        assert httpx.post(f"{url}/a/sdk-token", headers={"Cookie": f"user={ADA}"}).status_code == 404


def test_a_prefix_is_a_path(api: Api) -> None:
    backend = backend_of(InProcess(api.house.guard, api.key))
    for wrong in ("api", "https://app.example/api"):
        with pytest.raises(ConfigurationError, match="prefix"):
            platform_routes(backend, user=cookie_user, prefix=wrong)
        with pytest.raises(ConfigurationError, match="prefix"):
            platform_blueprint(backend, user=flask_user, prefix=wrong)
    assert [route.path for route in platform_routes(backend, user=cookie_user, prefix="")] == [
        "/create-session",
        "/sdk-token",
        "/refresh-sdk-token",
    ]
    app = flask.Flask(__name__)
    tokens: PlatformBackend[str] = PlatformBackend(
        InProcess(api.house.guard, api.key), may_access=may_access, session=None, end_user=end_user
    )
    app.register_blueprint(platform_blueprint(tokens, user=lambda: ADA, prefix="", name="another"))
    assert app.test_client().post("/sdk-token").status_code == 200
    assert app.test_client().post("/create-session").status_code == 404
    with pytest.raises(ConfigurationError, match="signed in"):
        platform_routes(backend, user=None)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="signed in"):
        platform_blueprint(backend, user=None)  # type: ignore[arg-type]
