"""The WSGI door: what it makes of an environ, what the application sees, and what servers may do to both."""

import logging
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from guestpass import (
    ConfigurationError,
    NoPrincipal,
    NotGuarded,
    Refusal,
    Rule,
    StoreUnavailable,
    open_store,
    principal_of,
)
from guestpass.access import ENVIRON_KEY
from guestpass.problems import Answer
from guestpass.wsgi import GuardMiddleware
from support import Failing, House, Recording, bearer, build
from wsgi_support import ask_wsgi, call_wsgi, echo_wsgi, environ_of

LOGS, PUBLIC, OPEN = "/v1/call_logs", "/health", "/open"
RULES = (
    Rule(f"GET {LOGS}", component="call_logs"),
    Rule("GET /v1/accounts/{account}/call_logs"),
    Rule(f"GET {PUBLIC}", public=True, reason="probes"),
    Rule(f"GET {OPEN}", public=True, optional=True, reason="visitors"),
    Rule("GET /", account=False, role=None),
    Rule("GET /v1/keys/{name...}", account=False, encoded_slashes=True),
    Rule("GET /v1/caf\xe9", account=False),
    Rule("GET /v1/tenant", account="header:X-Tenant"),
)


@pytest.fixture
def house() -> House:
    return build(RULES)


class Watching:
    """An application that notes the environs it is given, and answers with what it is told to."""

    def __init__(self, *headers: tuple[str, str]) -> None:
        self.seen: list[WSGIEnvironment] = []
        self.headers = list(headers)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        self.seen.append(dict(environ))
        start_response("200 OK", [("Content-Type", "text/plain"), *self.headers])
        return [b"in"]


# --- what the application sees ---------------------------------------------------------------------------------------


def test_the_application_finds_its_caller_in_the_environ(house: House) -> None:
    app = Watching()
    door = GuardMiddleware(app, house.guard)
    assert ask_wsgi(door, "GET", LOGS, bearer(house.session())).status == 200
    assert principal_of(app.seen[0]).account == "acct_1"
    for path in (PUBLIC, OPEN):
        assert ask_wsgi(door, "GET", path).status == 200
        assert app.seen[-1][ENVIRON_KEY] is None
        with pytest.raises(NoPrincipal):
            principal_of(app.seen[-1])
    with pytest.raises(NotGuarded):
        principal_of(environ_of("GET", LOGS))


def test_what_looks_like_the_guards_own_headers_is_taken_out(house: House) -> None:
    app = Watching()
    forged = {"Guestpass-Account": "acct_2", "guestpass_kind": "secret_key", "GUESTPASS-X": "", "X-Guestpass": "stays"}
    environ = environ_of("GET", LOGS, {**bearer(house.session()), **forged})
    # Not of a request, but of whatever ran before.
    environ[ENVIRON_KEY] = house.minter()
    call_wsgi(GuardMiddleware(app, house.guard), environ)
    (seen,) = app.seen
    assert [key for key in seen if "GUESTPASS" in key] == ["HTTP_X_GUESTPASS"]
    assert principal_of(seen).kind == "account_session"


def test_strangers_headers_are_not_remembered_for_good_and_none_hides_the_guards_own(house: House) -> None:
    app, secret = Watching(), house.session()
    door = GuardMiddleware(app, house.guard)
    for number in range(1_500):
        headers = {**bearer(secret), f"X-{number}": "", "X" * 100: "", "Guestpass-Account": "acct_2"}
        assert ask_wsgi(door, "GET", LOGS, headers).status == 200
        assert len(door._harmless) < 700
        assert not [key for key in app.seen[-1] if key.startswith("HTTP_GUESTPASS")]
    assert "HTTP_AUTHORIZATION" in door._harmless


@pytest.mark.parametrize(
    ("sent", "varies"),
    [
        ([], ["Authorization"]),
        ([("Vary", "Accept")], ["Accept", "Authorization"]),
        ([("vary", "accept, AUTHORIZATION")], ["accept, AUTHORIZATION"]),
        ([("Vary", "*")], ["*"]),
    ],
)
def test_answers_vary_by_the_credential(house: House, sent: list[tuple[str, str]], varies: list[str]) -> None:
    door = GuardMiddleware(Watching(*sent), house.guard)
    for headers in (bearer(house.session()), {}):
        outcome = ask_wsgi(door, "GET", LOGS if headers else OPEN, headers)
        assert outcome.headers["vary"] == ", ".join(varies)
    assert ("vary" in ask_wsgi(door, "GET", PUBLIC).headers) == bool(sent)


def test_an_answer_is_handed_on_as_it_is_and_closed_by_the_server(house: House) -> None:
    class Body:
        closed = 0

        def __iter__(self) -> Iterator[bytes]:
            yield b"a"
            yield b"b"

        def close(self) -> None:
            self.closed += 1

    body = Body()

    def app(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return body

    door = GuardMiddleware(app, house.guard)
    assert door(environ_of("GET", PUBLIC), lambda *_: lambda _: None) is body
    assert ask_wsgi(door, "GET", LOGS, bearer(house.session())).body == b"ab"
    assert body.closed == 1


def test_an_application_may_write_and_start_again_after_a_mistake(house: House) -> None:
    def app(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        try:
            raise KeyError("x")
        except KeyError:
            write = start_response("500 Oh", [("Content-Type", "text/plain")], sys.exc_info())
        write(b"written")
        return []

    outcome = ask_wsgi(GuardMiddleware(app, house.guard), "GET", LOGS, bearer(house.session()))
    assert outcome.body == b"written"
    assert [message["status"] for message in outcome.sent if "status" in message] == [200, 500]
    assert all((b"Vary", b"Authorization") in message["headers"] for message in outcome.sent if "status" in message)


def test_what_the_application_raises_passes_through(house: House) -> None:
    def app(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        raise LookupError("the application's own")

    with pytest.raises(LookupError, match="own"):
        ask_wsgi(GuardMiddleware(app, house.guard), "GET", PUBLIC)


# --- refusals --------------------------------------------------------------------------------------------------------


def test_a_refusal_to_head_has_no_body_and_the_same_headers(house: House) -> None:
    door = GuardMiddleware(echo_wsgi, house.guard)
    got, headed = ask_wsgi(door, "GET", LOGS), ask_wsgi(door, "HEAD", LOGS)
    assert (headed.status, headed.headers, headed.body) == (401, got.headers, b"")
    assert int(got.headers["content-length"]) == len(got.body)


def test_an_application_is_not_asked_where_the_guard_refuses(house: House) -> None:
    app = Watching()
    door = GuardMiddleware(app, house.guard)
    for path, headers in ((LOGS, {}), ("/v1//call_logs", {}), ("/nowhere", bearer(house.session()))):
        assert ask_wsgi(door, "GET", path, headers).status in (400, 401, 404)
    assert app.seen == []


@pytest.mark.parametrize("status", [499, 401])
def test_a_renderer_of_ones_own_answers(house: House, status: int) -> None:
    def plain(refusal: Refusal, realm: str) -> Answer:
        return Answer(status, [(b"content-type", b"text/plain")], f"{refusal.code} in {realm}".encode())

    outcome = ask_wsgi(GuardMiddleware(echo_wsgi, house.guard, render=plain), "GET", LOGS)
    assert (outcome.status, outcome.body) == (status, b"credential_missing in api")


def test_a_failure_of_the_guard_lets_nobody_in_and_shows_nothing(caplog: pytest.LogCaptureFixture) -> None:
    house = build(RULES, store=Failing(RuntimeError("the inside: password=hunter2")))
    app = Watching()
    secret = build().session()
    with caplog.at_level(logging.ERROR, "guestpass"):
        outcome = ask_wsgi(GuardMiddleware(app, house.guard), "GET", LOGS, bearer(secret))
    assert (outcome.status, outcome.code) == (500, "internal_error")
    assert b"hunter2" not in outcome.body
    assert app.seen == []
    assert any("nobody was let in" in record.message for record in caplog.records)
    assert secret not in caplog.text


def test_an_environ_that_no_server_makes_is_a_failure(house: House) -> None:
    app = Watching()
    environ = environ_of("GET", PUBLIC)
    environ["PATH_INFO"] = "/\u20ac"
    assert call_wsgi(GuardMiddleware(app, house.guard), environ).status == 500
    assert app.seen == []


def test_an_outage_is_503_and_an_end_is_401(house: House) -> None:
    secret = build().session()
    failing = build(RULES, store=Failing(StoreUnavailable("gone", retry_after=7)))
    outcome = ask_wsgi(GuardMiddleware(echo_wsgi, failing.guard), "GET", LOGS, bearer(secret))
    assert (outcome.status, outcome.code, outcome.headers["retry-after"]) == (503, "store_unavailable", "7")
    door = GuardMiddleware(echo_wsgi, house.guard)
    made = house.sessions.create(by=house.minter(), account="acct_1")
    assert ask_wsgi(door, "GET", LOGS, bearer(made.client_secret)).status == 200
    house.sessions.revoke(made.id)
    assert ask_wsgi(door, "GET", LOGS, bearer(made.client_secret)).code == "session_revoked"


def test_what_ends_a_thread_passes_through_and_lets_nobody_in() -> None:
    store = Recording(open_store("memory://"))
    house = build(RULES, store=store)
    secret, app = house.session(), Watching()

    class Killed(BaseException):
        pass

    def kill() -> None:
        raise Killed

    from guestpass.records import FindSession

    store.before[FindSession] = kill
    with pytest.raises(Killed):
        ask_wsgi(GuardMiddleware(app, house.guard), "GET", LOGS, bearer(secret))
    assert app.seen == []
    assert ask_wsgi(GuardMiddleware(app, house.guard), "GET", LOGS, bearer(secret)).status == 200


# --- what servers make of headers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("comma", [",", ", ", ",\t"])
def test_a_folded_credential_is_refused_whatever_it_is_made_of(house: House, comma: str) -> None:
    door, good = GuardMiddleware(echo_wsgi, house.guard), f"Bearer {house.session()}"
    for values in ([good, good], ["Basic YTpi", good], [good, "Basic YTpi"], [good, ""], ["", good], ["", ""]):
        environ = environ_of("GET", LOGS, {"Authorization": comma.join(values)})
        assert call_wsgi(door, environ).code == "credential_malformed", values


@pytest.mark.parametrize("name", ["Account-Id", "Account_Id", "aCCOUNT-iD"])
def test_a_folded_account_has_to_agree(house: House, name: str) -> None:
    door = GuardMiddleware(echo_wsgi, house.guard)
    for values, status in (
        (["acct_1", "acct_1"], 200),
        (["acct_1", "acct_2"], 403),
        (["acct_2", "acct_1"], 403),
        (["acct_1", ""], 403),
        (["acct_2"], 403),
    ):
        headers = [*bearer(house.session()).items(), *((name, value) for value in values)]
        assert ask_wsgi(door, "GET", LOGS, headers).status == status, values


def test_a_header_of_a_rule_is_looked_at_also_where_the_rule_comes_late(house: House) -> None:
    door, secret = GuardMiddleware(echo_wsgi, house.guard), bearer(house.session())
    assert ask_wsgi(door, "GET", "/v1/tenant", {**secret, "x_tenant": "acct_1"}).status == 200
    assert ask_wsgi(door, "GET", "/v1/tenant", {**secret, "X-Tenant": "acct_2"}).status == 403
    house.guard.add_rules([Rule("GET /late", account="header:X-Late")])
    assert ask_wsgi(door, "GET", "/late", {**secret, "X-Late": "acct_1"}).status == 200
    assert ask_wsgi(door, "GET", "/late", {**secret, "X-Late": "acct_1,acct_2"}).status == 403


def test_several_origins_in_one_are_no_origin_of_a_key(house: House) -> None:
    secret = house.key(origins={"https://console.example"}, accounts={"acct_1"})
    door = GuardMiddleware(echo_wsgi, house.guard)
    good = "https://console.example"
    assert ask_wsgi(door, "GET", LOGS, {**bearer(secret), "Origin": good}).status == 200
    for origin in (f"{good},{good}", f"https://evil.example, {good}", f"{good},"):
        assert ask_wsgi(door, "GET", LOGS, {**bearer(secret), "Origin": origin}).code == "secret_key_in_browser"


def test_a_websocket_handshake_is_a_request_like_any_other(house: House) -> None:
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Protocol": f"token, {house.session()}"}
    assert ask_wsgi(GuardMiddleware(echo_wsgi, house.guard), "GET", LOGS, upgrade).code == "credential_missing"


# --- what servers make of paths --------------------------------------------------------------------------------------


def environ_with(headers: dict[str, str], **environ: str) -> WSGIEnvironment:
    """An environ whose paths are given."""
    made = environ_of("GET", "/", headers, raw=False)
    made.update(environ)
    return made


PATHS: list[tuple[dict[str, str], int]] = [
    ({"PATH_INFO": LOGS}, 200),
    ({"PATH_INFO": LOGS, "RAW_URI": LOGS + "?a=//.."}, 200),
    ({"PATH_INFO": LOGS, "SCRIPT_NAME": "/api", "RAW_URI": "/api" + LOGS}, 200),
    # A proxy in front took the root off, and told the server.
    ({"PATH_INFO": LOGS, "SCRIPT_NAME": "/api", "RAW_URI": LOGS}, 200),
    ({"PATH_INFO": "/v1/keys/a/b", "SCRIPT_NAME": "/api", "RAW_URI": "/v1/keys/a%2Fb"}, 200),
    ({"PATH_INFO": "/v1/keys/a/b", "SCRIPT_NAME": "/api", "RAW_URI": "/api/v1/keys/a%2Fb"}, 200),
    ({"PATH_INFO": LOGS, "SCRIPT_NAME": "/"}, 200),
    # The root itself, which frameworks take for its slash.
    ({"PATH_INFO": "", "SCRIPT_NAME": "/api"}, 200),
    ({"PATH_INFO": "/", "SCRIPT_NAME": "/api"}, 200),
    ({"PATH_INFO": ""}, 400),
    # Cut off as text.
    ({"PATH_INFO": "2" + LOGS, "SCRIPT_NAME": "/api"}, 400),
    ({"PATH_INFO": "_logs", "SCRIPT_NAME": "/v1/call", "RAW_URI": LOGS}, 400),
    ({"PATH_INFO": LOGS, "SCRIPT_NAME": "/api/"}, 400),
    # What the server has cleaned up shows in what was sent.
    ({"PATH_INFO": LOGS, "RAW_URI": "/" + LOGS}, 400),
    ({"PATH_INFO": LOGS, "REQUEST_URI": "/health/.." + LOGS}, 400),
    ({"PATH_INFO": LOGS, "REQUEST_URI": "/v1/%2e/call_logs"}, 400),
    ({"PATH_INFO": LOGS, "RAW_URI": LOGS, "REQUEST_URI": "//"}, 200),
    ({"PATH_INFO": LOGS, "RAW_URI": "", "REQUEST_URI": "/v1%2fcall_logs"}, 400),
    ({"PATH_INFO": LOGS, "RAW_URI": "http://testserver" + LOGS}, 400),
    # UTF-8, as WSGI hands it on: one character for each byte.
    ({"PATH_INFO": "/v1/caf\xc3\xa9", "RAW_URI": "/v1/caf%C3%A9"}, 200),
    ({"PATH_INFO": "/v1/caf\xe9", "RAW_URI": "/v1/caf%E9"}, 404),
    ({"PATH_INFO": "/v1/cafe\xcc\x81"}, 404),
    ({"PATH_INFO": "/v1\xc0\xafcall_logs"}, 404),
]


@pytest.mark.parametrize(("paths", "status"), PATHS, ids=lambda value: str(value))
def test_the_path_that_is_judged_is_the_one_that_is_routed(house: House, paths: dict[str, str], status: int) -> None:
    outcome = call_wsgi(GuardMiddleware(echo_wsgi, house.guard), environ_with(bearer(house.session()), **paths))
    assert outcome.status == status
    assert outcome.code == {200: None, 400: "path_ambiguous", 404: "rule_missing"}[status]


# --- preflights ------------------------------------------------------------------------------------------------------

PREFLIGHT = {"Origin": "https://shop.example", "Access-Control-Request-Method": "GET"}


def test_a_preflight_is_refused_unless_it_is_handed_on(house: House) -> None:
    app = Watching()
    assert ask_wsgi(GuardMiddleware(app, house.guard), "OPTIONS", LOGS, PREFLIGHT).code == "credential_missing"
    passing = GuardMiddleware(app, house.guard, preflight="pass")
    outcome = ask_wsgi(passing, "OPTIONS", LOGS, PREFLIGHT)
    assert (outcome.status, app.seen[0][ENVIRON_KEY]) == (200, None)
    assert "vary" not in outcome.headers
    for method, path, headers in (
        ("OPTIONS", "/v1//call_logs", PREFLIGHT),
        ("OPTIONS", LOGS, {"Origin": "https://shop.example"}),
        ("OPTIONS", LOGS, {"Access-Control-Request-Method": "GET"}),
        ("GET", LOGS, PREFLIGHT),
    ):
        assert ask_wsgi(passing, method, path, headers).status in (400, 401)
    assert len(app.seen) == 1


# --- set up ----------------------------------------------------------------------------------------------------------


def test_a_policy_without_rules_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="lets nobody in"):
        GuardMiddleware(echo_wsgi, build().guard)
    with pytest.raises(ConfigurationError, match='"refuse" or "pass"'):
        GuardMiddleware(echo_wsgi, build(RULES).guard, preflight="yes")  # type: ignore[arg-type]


def test_every_thread_sees_its_own_caller(house: House) -> None:
    by = house.minter()
    accounts = [f"acct_{number}" for number in range(8)]
    secrets = {account: house.sessions.create(by=by, account=account).client_secret for account in accounts}
    started = threading.Barrier(16)

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [(principal_of(environ).account or "").encode()]

    door = GuardMiddleware(app, house.guard)

    def ask(number: int) -> list[bool]:
        started.wait(10)
        wanted = [accounts[(number + turn) % 8] for turn in range(40)]
        return [ask_wsgi(door, "GET", LOGS, bearer(secrets[one])).body == one.encode() for one in wanted]

    with ThreadPoolExecutor(16) as pool:
        assert all(all(right) for right in pool.map(ask, range(16)))


GEVENT = """
from gevent import monkey, pool
monkey.patch_all()
import sys; sys.path[:0] = {paths!r}
import flask, gevent, threading
from guestpass import AccountSessions, ApiKeys, Guard, Policy, Rule, SINGLE_PLATFORM, open_store, principal_of
from guestpass.flask import current_principal, needs, protect
from wsgi_support import ask_wsgi

assert threading.active_count() == 1, "importing starts nothing"
store = open_store({store!r})
keys, sessions = ApiKeys(store, owns=SINGLE_PLATFORM), AccountSessions(store)
guard = Guard(authenticators=[keys, sessions], policy=Policy(roles=("external_entity",)), mode="live")
app = flask.Flask("app")

@app.get("/me")
@needs()
def me():
    before = current_principal.account
    gevent.sleep(0)
    assert before == current_principal.account
    return before

protect(app, guard, issuing="/")
by = guard.check(keys.create(platform="p", mode="live").secret)
secrets = [(f"acct_{{n}}", sessions.create(by=by, account=f"acct_{{n}}").client_secret) for n in range(20)]

def ask(number):
    account, secret = secrets[number % 20]
    outcome = ask_wsgi(app, "GET", "/me", {{"Authorization": "Bearer " + secret}})
    assert (outcome.status, outcome.body) == (200, account.encode()), outcome.sent
    return True

# As many at once as may look up credentials that nobody has seen yet.
assert all(pool.Pool(30).imap_unordered(ask, range(400)))
assert ask_wsgi(app, "GET", "/me").status == 401
print("fine")
"""


@pytest.mark.parametrize("url", ["memory://", "sqlite"])
def test_greenlets_see_their_own_callers(url: str, tmp_path: Any) -> None:
    pytest.importorskip("gevent")
    store = f"sqlite:///{tmp_path}/g.db" if url == "sqlite" else url
    program = GEVENT.format(paths=[path for path in sys.path if path.endswith("tests")], store=store)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["fine"], done.stderr


def test_a_door_for_wsgi_loads_no_framework() -> None:
    frameworks = ("starlette", "fastapi", "flask", "werkzeug", "flask_cors")
    for name, allowed in (("wsgi", set[str]()), ("issuing_wsgi", set[str]()), ("flask", {"flask", "werkzeug"})):
        program = f"import sys, guestpass.{name}; print(*(one for one in {frameworks!r} if one in sys.modules))"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert set(done.stdout.split()) == allowed, name
