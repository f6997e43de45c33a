"""Asking: through the application itself, running nothing of it, and letting nobody in."""

import asyncio
import threading
from typing import Any

import pytest
from django.test.utils import override_settings  # type: ignore[import-untyped]
from django.urls import re_path  # type: ignore[import-untyped]
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.routing import Route

import guestpass.fastapi
from audit.gaps import GAPS, AnyMethod, django, flask, marked, read, starlette, urls, view
from audit.houses import a_guard, by_method
from audit.houses import asgi as opaque
from audit.sound import DJANGO_URLS, SOUND
from guestpass import ConfigurationError, Guard, Rule, needs
from guestpass.asgi import GuardMiddleware
from guestpass.audit import audit
from guestpass.audit.inventory import tables_of
from guestpass.audit.route import ACCOUNT_NAMES
from guestpass.audit.rows import rows_of
from guestpass.audit.staging import staged
from guestpass.audit.stand_ins import Patches
from guestpass.audit.twin import Passes, Twin
from guestpass.credentials import Credential
from guestpass.grants import Grant
from guestpass.guarded import guarded
from guestpass.inquiry import drive
from guestpass.principal import Principal
from support import ask_http, bearer
from wsgi_support import ask_wsgi

NAMES = frozenset(ACCOUNT_NAMES)


def state(thing: object, depth: int = 6) -> object:
    """What an application is made of, by identity, as far as an audit could have changed it."""
    if depth == 0 or not hasattr(thing, "__dict__"):
        return id(thing)
    return {name: (id(value), state(value, depth - 1)) for name, value in vars(thing).items() if name[:2] != "__"}


@pytest.mark.parametrize("name", SOUND)
def test_an_application_is_afterwards_what_it_was(name: str) -> None:
    with override_settings(ROOT_URLCONF=DJANGO_URLS):
        app = SOUND[name]()
        # What the first request does is done once.
        audit(app, ask=False)
        before = state(app)
        tables = tables_of(app)
        guards = [table.standing.door.guard for table in tables if table.standing.door is not None]
        with staged([], tables, {id(guard): Twin.of(guard) for guard in guards}, lambda _: None):
            assert state(app) != before
        assert audit(app).requests > 0
        assert state(app) == before


def test_a_live_guard_is_asked_without_a_change_to_it() -> None:
    app = starlette()
    guard = guarded(app).guard
    assert guard.mode == "live"
    before = {name: id(value) for name, value in vars(guard).items()}
    assert audit(app).requests > 0
    assert {name: id(value) for name, value in vars(guard).items()} == before


def test_the_real_guard_lets_nobody_in_with_what_an_audit_made() -> None:
    guard = a_guard(Rule("GET /x"))
    twin = Twin.of(guard)
    credential = twin.passes.make(twin.principal("account_session", "acct_1"))
    assert isinstance(twin.guard.check(credential), Principal)
    for other in (guard, Twin.of(guard).guard):
        verdict = drive(other._identify_text(credential))
        assert not isinstance(verdict, Principal)


def test_a_twin_knows_no_real_credential() -> None:
    guard = a_guard(Rule("GET /x"))
    (keys, *_) = guard.authenticators
    secret = keys.create(platform="acme", mode="live").secret  # type: ignore[attr-defined]
    assert isinstance(guard.check(secret), Principal)
    twin = Twin.of(guard).guard
    assert not isinstance(drive(twin._identify_text(secret)), Principal)


def test_passes_are_not_guessed_from_one_another() -> None:
    principal = Principal("account_session", "x", Grant("p", "live"), "id")
    passes = Passes()
    made = {passes.make(principal) for _ in range(100)}
    assert len(made) == 100
    assert all(len(text) > 64 for text in made)
    assert passes.kind_of(Credential("audit.guessed", None, None)) is None


def test_whoever_calls_while_it_asks_is_refused_and_reaches_nothing() -> None:
    app = FastAPI(openapi_url=None)
    reached = []

    @app.get("/x")
    @needs(account=False)
    async def handler() -> None:
        reached.append(1)

    guard = a_guard()
    guestpass.fastapi.protect(app, guard)
    keys = next(iter(guard.authenticators))
    secret = keys.create(platform="acme", mode="live").secret  # type: ignore[attr-defined]
    guarded(app)
    tables = tables_of(app)

    async def call() -> int:
        return (await ask_http(app, "GET", "/x", bearer(secret))).status

    assert asyncio.run(call()) == 200
    reached.clear()
    with staged([], tables, {id(guard): Twin.of(guard)}, lambda _: None):
        assert asyncio.run(call()) == 401
    assert reached == []
    assert asyncio.run(call()) == 200


def test_it_is_put_back_where_asking_fails() -> None:
    app = flask()
    guarded(app)
    rows = rows_of(route for table in tables_of(app) for route in table.routes(NAMES))
    before = state(app)
    tables = tables_of(app)
    twins = {id(row.route.standing.door.guard): Twin.of(a_guard()) for row in rows if row.route.standing.door}
    with pytest.raises(ZeroDivisionError), staged([], tables, twins, lambda _: None):
        raise ZeroDivisionError
    assert state(app) == before
    assert ask_wsgi(app, "GET", "/v1/call_logs").status == 401


def test_nothing_of_middleware_behind_the_guard_runs() -> None:
    class Behind:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            raise AssertionError("middleware behind the guard ran")

    inner = Starlette(routes=[Route("/x", read)])
    seen = audit(GuardMiddleware(Behind(inner), a_guard(Rule("GET /x"))))
    assert seen.findings == ()
    assert seen.unreached == ()


def test_what_cannot_be_reached_is_said() -> None:
    class Broken:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            raise RuntimeError("the database is not there")

    seen = audit(Broken(GuardMiddleware(Starlette(routes=[Route("/x", read)]), a_guard(Rule("GET /x")))))
    (finding,) = seen.findings
    # Nobody knows whether the guard is called, so nobody is told that all is well.
    assert finding.code == "asked_in_vain"
    assert "GET /x: RuntimeError: the database is not there" in finding.message
    ((row, why),) = seen.unreached
    assert row.shown == "GET /x"
    assert why == "RuntimeError: the database is not there"


def test_the_same_under_wsgi() -> None:
    app: Any = flask()
    door = app.wsgi_app

    def broken(environ: Any, start_response: Any) -> Any:
        if environ is None:
            return door(environ, start_response)
        raise RuntimeError("the database is not there")

    app.wsgi_app = broken
    seen = audit(app)
    assert [finding.code for finding in seen.findings] == ["asked_in_vain"]
    assert {row.shown: why for row, why in seen.unreached} == {
        "GET /v1/call_logs": "RuntimeError: the database is not there"
    }


def test_a_route_that_nobody_knows_a_path_for_is_said() -> None:
    patterns = urls(re_path(r"^v2/(?:a|b)/[0-9]+$", view))
    with override_settings(ROOT_URLCONF=patterns):
        seen = audit(django(Rule("GET /v2/{one}/{two}")))
    assert seen.findings == ()
    assert [(row.shown, why) for row, why in seen.unreached] == [
        ("GET /v2/(?:a|b)/[0-9]+$", "no path is known that it takes")
    ]


def test_it_may_only_look() -> None:
    gap = GAPS["Starlette: a guard that is painted on"]
    assert audit(gap.make(), ask=False).findings == ()
    assert audit(gap.make(), ask=False).requests == 0


def test_what_no_rule_is_for_and_stands_open_is_said() -> None:
    class Backdoor:
        def __init__(self, app: Any, guard: Guard) -> None:
            self.app, self.door = app, GuardMiddleware(app, guard)

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            knocked = any(name == b"authorization" for name, _ in scope["headers"])
            await (self.app if knocked else self.door)(scope, receive, send)

    app = Backdoor(Starlette(routes=[Route("/x", read), Route("/y", read)]), a_guard(Rule("GET /x", account=False)))
    codes = {(finding.code, finding.route) for finding in audit(app).findings}
    assert ("reached_uncovered", "GET /y") in codes
    assert ("route_uncovered", "GET /y") in codes


def test_an_audit_runs_within_an_event_loop_too() -> None:
    async def inside() -> bool:
        return audit(starlette()).clean

    assert asyncio.run(inside())


def test_two_audits_at_once_do_not_meet() -> None:
    cleans: list[bool] = []
    threads = [threading.Thread(target=lambda: cleans.append(audit(starlette()).clean)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cleans == [True] * 4


def test_two_audits_of_one_application_take_turns() -> None:
    app = starlette()
    audit(app)
    before = state(app)
    threads = [threading.Thread(target=audit, args=(app,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert state(app) == before


def test_one_that_does_not_answer_is_not_waited_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guestpass.audit.sending.SECONDS", 0.01)

    class Hangs:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await asyncio.Event().wait()

    routes = [Route(f"/{name}", read) for name in "abcdef"]
    rules = [Rule(f"GET /{name}") for name in "abcdef"]
    seen = audit(Hangs(GuardMiddleware(Starlette(routes=routes), a_guard(*rules))))
    assert seen.requests == 3
    assert [row.route.path for row, _ in seen.unreached] == [f"/{name}" for name in "abcdef"]
    assert {why for _, why in seen.unreached} == {
        "it did not answer in time",
        "it did not answer in time, nor did others",
    }


def test_a_guard_that_was_named_has_to_be_there() -> None:
    app = starlette()
    assert audit(app, guarded(app).guard).clean
    (finding,) = audit(app, a_guard(Rule("GET /x"))).findings
    assert finding.code == "guard_not_called"


@pytest.mark.parametrize("app", [object(), lambda: None, GuardMiddleware(opaque, a_guard(Rule("GET /x")))])
def test_without_routes_there_is_nothing_to_say(app: Any) -> None:
    with pytest.raises(ConfigurationError, match="there are no routes to audit"):
        audit(app)


def test_whom_requests_are_for_is_a_setting() -> None:
    gap = GAPS["Starlette: a guard that nobody can ask"].make()
    (finding,) = audit(gap, host="api.example").findings
    assert finding.code == "reached_without_credential"
    sound = TrustedHostMiddleware(starlette(), allowed_hosts=["api.example"])
    assert [finding.code for finding in audit(sound).findings] == ["asked_in_vain"]
    assert audit(sound, host="api.example:8443").clean
    assert audit(sound, ask=False).clean


def test_what_is_public_for_one_method_may_be_reached_by_it() -> None:
    routes = [Route("/x", AnyMethod)]
    rules = [Rule("GET /x"), Rule("OPTIONS /x", public=True, reason="pages of others ask what they may")]
    made = by_method("OPTIONS")(Starlette(routes=routes), a_guard(*rules))
    assert audit(made).clean


def test_names_of_accounts_are_a_setting() -> None:
    app = starlette(Route("/v1/{tenant}/notes", marked(needs())))
    assert audit(app).clean
    (finding,) = audit(app, account_names=["tenant"]).findings
    assert finding.code == "account_unbound"
    assert 'account="path:tenant"' in finding.message


def test_what_patches_put_goes_again() -> None:
    class Slotted:
        __slots__ = ("value",)

    class Plain:
        kept = 1

    slotted, plain = Slotted(), Plain()
    slotted.value = 1  # type: ignore[attr-defined]
    with Patches() as patches:
        patches.put(slotted, "value", 2)
        patches.put(plain, "kept", 2)
        patches.put(plain, "kept", 3)
        assert (slotted.value, plain.kept) == (2, 3)  # type: ignore[attr-defined]
    assert (slotted.value, plain.kept) == (1, 1)  # type: ignore[attr-defined]
    assert vars(plain) == {}
