"""The issuing API over WSGI, by itself and in Flask: the same bodies, answers and codes as over ASGI."""

import io
import json
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import anyio
import pytest
from fastapi import FastAPI
from flask import Flask, request

from guestpass import ConfigurationError, Guard, NotGuarded, Rule, StoreUnavailable, needs
from guestpass import fastapi as fastapi_door
from guestpass.flask import check, protect
from guestpass.issuing import MAX_BODY, Call, Reply
from guestpass.issuing_wsgi import issuing_api, issuing_rules
from guestpass.keyring import MAX_AGE
from guestpass.wsgi import GuardMiddleware
from support import Failing, House, Outcome, ask_http, bearer, build
from test_issuing_api import BODIES, JWKS, MALFORMED, MINT, SIGN
from wsgi_support import ask_wsgi, call_wsgi, environ_of

Make = Callable[[House], WSGIApplication]


def by_itself(house: House) -> WSGIApplication:
    """The API as the whole application."""
    house.guard.add_rules(issuing_rules(house.guard))
    return GuardMiddleware(issuing_api(house.guard), house.guard)


def in_flask(house: House) -> WSGIApplication:
    """The API in a Flask application."""
    app = Flask(__name__)
    protect(app, house.guard, issuing="/")
    return app


MADE: dict[str, Make] = {"wsgi": by_itself, "flask": in_flask}


@pytest.fixture(params=MADE)
def make(request: pytest.FixtureRequest) -> Make:
    made: Make = MADE[request.param]
    return made


@pytest.fixture
def app(house: House, make: Make) -> WSGIApplication:
    return make(house)


@pytest.fixture
def house() -> House:
    return build()


def post(app: WSGIApplication, path: str, secret: str, body: object = None, **headers: str) -> Outcome:
    """Send a body as JSON; bytes are sent as they are."""
    sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ask_wsgi(app, "POST", path, {**bearer(secret), **named}, body=sent)


def test_what_is_issued_is_answered_as_over_asgi(house: House, app: WSGIApplication) -> None:
    made = post(app, MINT, house.key(), {"account": "acct_1", "expires_in": 600})
    assert (made.status, made.headers["cache-control"]) == (201, "no-store")
    assert made.headers["content-type"] == "application/json"
    assert "Authorization" in made.headers["vary"]
    assert set(made.said) == {"id", "account", "client_secret", "expires_at", "expires_in", "components", "livemode"}
    assert house.guard.check(made.said["client_secret"]).account == "acct_1"
    signed = post(app, SIGN, house.key(), {"tenantId": "acct_1"})
    assert (signed.status, set(signed.said)) == (200, {"jwt", "expiresAt", "id"})
    assert house.guard.check(signed.said["jwt"]).account == "acct_1"
    keys = ask_wsgi(app, "GET", JWKS)
    assert (keys.status, keys.headers["cache-control"]) == (200, f"public, max-age={MAX_AGE}")
    assert "vary" not in keys.headers
    headed = ask_wsgi(app, "HEAD", JWKS)
    assert (headed.status, headed.body, headed.headers) == (200, b"", keys.headers)
    secret = house.key()
    for _ in range(2):
        ended = post(app, f"{MINT}/{post(app, MINT, secret, {'account': 'acct_1'}).said['id']}/revoke", secret)
        assert (ended.status, ended.said["revoked"]) == (200, True)


ASKED = [*((path, body) for path, body, _ in BODIES), *((path, body) for path in (MINT, SIGN) for body in MALFORMED)]


@pytest.mark.parametrize(("path", "body"), ASKED, ids=lambda value: repr(value)[:40])
def test_a_body_is_refused_as_over_asgi(make: Make, path: str, body: object) -> None:
    house, other = build(), build()
    fastapi = FastAPI(openapi_url=None)
    fastapi_door.protect(fastapi, other.guard, issuing="/")
    sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()

    async def over_asgi() -> Outcome:
        return await ask_http(fastapi, "POST", path, bearer(other.key()), body=sent)

    here, there = post(make(house), path, house.key(), sent), anyio.run(over_asgi)
    assert (here.status, json.loads(here.body)) == (there.status, json.loads(there.body))
    assert {name: value for name, value in here.headers.items() if name != "content-length"} == {
        name: value for name, value in there.headers.items() if name != "content-length"
    }


def test_idempotency_keys_that_a_server_joined_are_refused(house: House, app: WSGIApplication) -> None:
    secret, body = house.key(), {"account": "acct_1"}
    first = post(app, MINT, secret, body, Idempotency_Key="k").said
    assert post(app, MINT, secret, body, Idempotency_Key="k").said["id"] == first["id"]
    for joined in ("k,k", "k, other", "k,"):
        assert post(app, MINT, secret, body, Idempotency_Key=joined).code == "body_malformed"
    assert post(app, MINT, secret, body, Idempotency_Key="").code == "validation_error"


class Dripping(io.RawIOBase):
    """A body that comes a few bytes at a time, as over a socket."""

    def __init__(self, body: bytes) -> None:
        self._left = body
        self.taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk, self._left = self._left[: min(7, len(buffer))], self._left[min(7, len(buffer)) :]
        buffer[: len(chunk)] = chunk
        self.taken += len(chunk)
        return len(chunk)

    def readline(self, size: int | None = -1, /) -> bytes:
        raise NotImplementedError

    readlines: Any = readline


def environ_with(secret: str, body: bytes, **environ: object) -> tuple[WSGIEnvironment, Dripping]:
    """A request whose body drips in; what it says of its length is given."""
    made, stream = environ_of("POST", MINT, bearer(secret)), Dripping(body)
    made.update(environ, **{"wsgi.input": stream})
    return made, stream


BODY = b'{"account":"acct_1"}'


@pytest.mark.parametrize(
    ("body", "environ", "code"),
    [
        (BODY, {"CONTENT_LENGTH": "20"}, None),
        (BODY + b" " * (MAX_BODY - 20), {"CONTENT_LENGTH": str(MAX_BODY)}, None),
        (BODY + b"trailing", {"CONTENT_LENGTH": "20"}, None),
        # A body of unknown length, which the server ends.
        (BODY, {"wsgi.input_terminated": True}, None),
        (BODY + b" " * MAX_BODY, {"wsgi.input_terminated": True}, "body_malformed"),
        (BODY + b" " * MAX_BODY, {"CONTENT_LENGTH": str(MAX_BODY + 20)}, "body_malformed"),
        (BODY, {"CONTENT_LENGTH": "9" * 18}, "body_malformed"),
        # The stream is the connection itself: what was not announced is not read.
        (BODY, {}, "body_malformed"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_no_more_of_a_body_is_read_than_it_takes(
    house: House, app: WSGIApplication, body: bytes, environ: dict[str, object], code: str | None
) -> None:
    made, stream = environ_with(house.key(), body, **environ)
    outcome = call_wsgi(app, made)
    empty = code == "body_malformed" and not environ
    assert outcome.code in ((code, "validation_error") if empty else (code,)), outcome.sent
    assert stream.taken <= MAX_BODY + 8
    if not environ:
        assert stream.taken == 0


@pytest.mark.parametrize("length", ["21", "-1", "2e1", "9" * 30, "x"])
def test_a_body_that_is_not_as_long_as_it_says_issues_nothing(house: House, app: WSGIApplication, length: str) -> None:
    made, _ = environ_with(house.key(), BODY, CONTENT_LENGTH=length)
    assert call_wsgi(app, made, checked=False).status in (400, 422)


@pytest.mark.parametrize("path", [MINT, SIGN, MINT + "/as_1/revoke"])
def test_a_store_that_is_gone_is_503_and_nothing_but_a_secret_key_mints(make: Make, path: str) -> None:
    house = build()
    app = make(house)
    for secret in (house.session(roles=["admin"]), house.token(roles=["admin"])):
        assert post(app, path, secret, {"account": "acct_1"}).code == "escalation_denied"
    assert ask_wsgi(app, "POST", path).code == "credential_missing"
    gone = build(store=Failing(StoreUnavailable("gone", retry_after=9)))
    outcome = ask_wsgi(make(gone), "GET", JWKS)
    assert (outcome.status, outcome.code, outcome.headers["retry-after"]) == (503, "store_unavailable", "9")


def test_the_api_by_itself_serves_what_it_has_and_no_more(house: House) -> None:
    rules = [*issuing_rules(house.guard, "/auth"), Rule("GET,POST /{...}", account=False)]
    house.guard.add_rules(rules)
    app = GuardMiddleware(issuing_api(house.guard, "/auth"), house.guard)
    secret = house.key()
    assert post(app, "/auth" + MINT, secret, {"account": "acct_1"}).status == 201
    for method, path in (("POST", MINT), ("GET", "/auth" + MINT), ("POST", "/auth" + JWKS), ("GET", "/auth/x")):
        assert ask_wsgi(app, method, path, bearer(secret)).code == "rule_missing"
    mounted = ask_wsgi(app, "GET", "/api/auth" + JWKS, root_path="/api")
    assert mounted.status == 200


def test_without_a_guard_in_front_nothing_is_issued(house: House) -> None:
    with pytest.raises(NotGuarded):
        post(issuing_api(house.guard), MINT, house.key(), {"account": "acct_1"})


def test_a_guard_without_anything_that_mints_is_refused(house: House) -> None:
    guard = Guard(authenticators=[house.keys], policy=house.guard.policy, mode="live")
    for make in (issuing_api, lambda guard: protect(Flask(__name__), guard, issuing="/")):
        with pytest.raises(ConfigurationError, match="nothing to issue"):
            make(guard)


def test_flask_serves_the_api_below_a_path(house: House) -> None:
    app = Flask(__name__)
    with pytest.raises(ConfigurationError, match="a path"):
        protect(app, house.guard, issuing="auth")
    protect(app, house.guard, issuing="/auth/")
    check(app)
    assert post(app, "/auth" + MINT, house.key(), {"account": "acct_1"}).status == 201
    assert ask_wsgi(app, "GET", "/auth" + JWKS).status == 200
    assert ask_wsgi(app, "GET", JWKS).status == 401


@pytest.mark.parametrize("length", [{"CONTENT_LENGTH": "20"}, {"wsgi.input_terminated": True}], ids=str)
def test_what_reads_the_body_before_the_view_takes_nothing_away(house: House, length: dict[str, object]) -> None:
    app = Flask(__name__)

    @app.before_request
    def note() -> None:
        assert request.get_data() == BODY

    protect(app, house.guard, issuing="/")
    made, _ = environ_with(house.key(), BODY, **length)
    assert call_wsgi(app, made, checked=False).status == 201


def test_secrets_do_not_show_in_what_the_api_passes_around() -> None:
    assert "secret" not in repr(Reply({"client_secret": "cs_live_secret"}))
    assert "secret" not in repr(Call({}, body=b'{"secret":1}'))


def test_an_application_of_ones_own_beside_the_api(house: House) -> None:
    house.guard.add_rules([*issuing_rules(house.guard), Rule("GET /mine", account=False)])
    issuing = issuing_api(house.guard)

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/mine":
            return issuing(environ, start_response)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"mine"]

    door = GuardMiddleware(app, house.guard)
    made = post(door, MINT, house.key(), {"account": "acct_1"}).said
    assert ask_wsgi(door, "GET", "/mine", bearer(made["client_secret"])).body == b"mine"


def test_a_view_of_ones_own_may_say_that_it_mints(house: House) -> None:
    app = Flask(__name__)
    app.add_url_rule("/mine", view_func=needs(mints=True, account=False)(lambda: "in"), methods=["POST"])
    protect(app, house.guard)
    assert ask_wsgi(app, "POST", "/mine", bearer(house.key())).status == 200
    assert ask_wsgi(app, "POST", "/mine", bearer(house.session())).code == "escalation_denied"
