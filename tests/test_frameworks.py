"""The guard around every framework: as the documentation puts it up, and against the framework's own router.

The second part generates paths and looks for one that reaches another handler than that of the rule it was let in by.
"""

import asyncio
import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.test.utils import override_settings  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Mount

import framework_apps as frameworks
import snippets
from framework_apps import MOUNT, Table, call
from guestpass import Policy, Rule
from guestpass.asgi import ASGIApp, GuardMiddleware
from guestpass.wsgi import GuardMiddleware as WSGIGuardMiddleware
from guestpass.wsgi import WSGIApplication
from support import ROLES, House, Outcome, bearer, build, http_scope, socket_scope
from wsgi_support import ask_wsgi, call_wsgi, environ_of

pytestmark = pytest.mark.anyio
PAGE = Path(__file__).parent.parent / "docs" / "frameworks.md"

ASGI = ("fastapi_app", "starlette_app", "litestar_app", "quart_app", "django_asgi")
WSGI = ("django_wsgi", "flask_app")
SOCKETS = ("fastapi_app", "starlette_app", "litestar_app", "quart_app")
LOGS = "/v1/accounts/{}/call_logs"


@pytest.fixture
def anyio_backend() -> str:
    # Quart and Django know no other.
    return "asyncio"


@dataclass
class Shown:
    """What the page makes, when its snippets have run."""

    made: dict[str, Any]
    session: str

    async def ask(self, name: str, target: str, headers: dict[str, str] | None = None, *, root: str = "") -> Outcome:
        app = self.made[name]
        with override_settings(ROOT_URLCONF="frameworks_page"):
            if name in WSGI:
                return ask_wsgi(app, "GET", target, headers or {}, root_path=root)
            return await call(app, http_scope("GET", target, headers or {}, root_path=root))


@pytest.fixture(scope="module")
def shown() -> Shown:
    made = snippets.run(PAGE, "frameworks_page")
    key = made["keys"].create(platform="plat", mode="live").secret
    minter = made["guard"]().check(key)
    return Shown(made, made["sessions"].create(by=minter, account="acct_1").client_secret)


@pytest.mark.parametrize("name", [*ASGI, *WSGI])
async def test_who_shows_nothing_is_challenged(shown: Shown, name: str) -> None:
    answer = await shown.ask(name, LOGS.format("acct_1"))
    assert (answer.status, answer.code) == (401, "credential_missing")
    assert answer.headers["www-authenticate"] == 'Bearer realm="api"'


@pytest.mark.parametrize("name", [*ASGI, *WSGI])
async def test_a_session_is_let_in_and_the_handler_knows_its_account(shown: Shown, name: str) -> None:
    answer = await shown.ask(name, LOGS.format("acct_1"), bearer(shown.session))
    assert (answer.status, json.loads(answer.body)) == (200, {"account": "acct_1"})
    assert answer.headers["vary"].lower().split(", ").count("authorization") == 1


@pytest.mark.parametrize("name", [*ASGI, *WSGI])
async def test_another_accounts_path_is_refused(shown: Shown, name: str) -> None:
    answer = await shown.ask(name, LOGS.format("acct_2"), bearer(shown.session))
    assert (answer.status, answer.code) == (403, "account_mismatch")


@pytest.mark.parametrize("name", [*ASGI, *WSGI])
@pytest.mark.parametrize("trick", ["/", "//", "%2f", "/.", "/../call_logs", ";a", "%00", "%0a", "?x", "%3fx", "%23"])
async def test_no_trick_with_the_path_reaches_another_account(shown: Shown, name: str, trick: str) -> None:
    for target in (LOGS.format("acct_2") + trick, trick + LOGS.format("acct_2"), LOGS.format("acct_1" + trick)):
        answer = await shown.ask(name, target if target.startswith("/") else "/" + target, bearer(shown.session))
        if answer.status == 200:
            assert json.loads(answer.body) == {"account": "acct_1"}
            assert target == LOGS.format("acct_1" + trick) or trick == "?x"


@pytest.mark.parametrize("name", [*ASGI, *WSGI])
async def test_below_a_root_the_rules_are_the_same(shown: Shown, name: str) -> None:
    session = bearer(shown.session)
    answer = await shown.ask(name, "/api" + LOGS.format("acct_1"), session, root="/api")
    assert (answer.status, json.loads(answer.body)) == (200, {"account": "acct_1"})
    for target in ("/api" + LOGS.format("acct_2"), "/api2" + LOGS.format("acct_1"), "/api/api" + LOGS.format("acct_1")):
        assert (await shown.ask(name, target, session, root="/api")).status in (400, 403, 404)


@pytest.mark.parametrize("name", SOCKETS)
async def test_a_socket_is_let_in_by_its_subprotocols(shown: Shown, name: str) -> None:
    app = shown.made[name]
    outcome = await call(app, socket_scope("/v1/events", subprotocols=["client_secret", shown.session]))
    assert outcome.status == 101
    accepted = outcome.first("websocket.accept")
    assert accepted is not None
    assert accepted["subprotocol"] == "client_secret"
    sent = outcome.first("websocket.send")
    assert sent is not None
    assert json.loads(sent.get("text") or sent["bytes"]) == {"account": "acct_1"}


@pytest.mark.parametrize("name", SOCKETS)
async def test_a_socket_without_a_credential_is_refused(shown: Shown, name: str) -> None:
    outcome = await call(shown.made[name], socket_scope("/v1/events"))
    assert (outcome.status, outcome.code) == (401, "credential_missing")


@pytest.mark.parametrize("name", [*ASGI, *WSGI])
async def test_what_no_rule_is_for_is_not_there(shown: Shown, name: str) -> None:
    for target in ("/", "/docs", "/schema", "/static/x", "/admin/", LOGS.format("acct_1") + "/"):
        answer = await shown.ask(name, target, bearer(shown.session))
        assert (answer.status, answer.code) == (404, "rule_missing")


# The router against the guard.

FALLBACK: Table = {
    "home": "/",
    "item_new": "/items/new",
    "items": "/items",
    "part": "/items/{id}/parts/{part}",
    "item": "/items/{id}",
    "files": "/files",
    "file": "/files/{rest...}",
    "admin": "/admin/",
    "dotted": "/a.b",
    "logs": "/v1/accounts/{account}/call_logs",
    MOUNT: "/mount/{rest...}",
    "fallback": "/{rest...}",
}
"""With a rule for everything else: what the guard takes for that and the router does not is a way in."""

CROSSING: Table = {
    "middle": "/a/{y}/{z}",
    "end": "/{x}/b/c",
    "logo": "/{x}/logo",
    "admin": "/admin/{rest...}",
}
"""Rules of which neither is a part of the other."""

TABLES = {"fallback": FALLBACK, "crossing": CROSSING}

ROUTERS: dict[str, Callable[[Table], ASGIApp]] = {
    "starlette": frameworks.starlette,
    "fastapi": frameworks.fastapi,
    "litestar": frameworks.litestar,
    "quart": frameworks.quart,
    "quart, loose": functools.partial(frameworks.quart, strict_slashes=False),
    "django": frameworks.django,
    "django, loose": functools.partial(frameworks.django, loose=True),
}
WSGI_ROUTERS: dict[str, Callable[[Table], WSGIApplication]] = {
    "flask": frameworks.flask,
    "flask, loose": functools.partial(frameworks.flask, strict_slashes=False),
    "django": frameworks.django_wsgi,
    "django, loose": functools.partial(frameworks.django_wsgi, loose=True),
}

Sent = tuple[str, str, bool]
"""A target, the root that the server knows, and whether it shows the path as it was sent."""

Ask = Callable[[Sent], dict[str, str]]
"""Sends a request with every session, and answers the routes that were reached, by the one that the session is for."""


@dataclass
class Guarded:
    """A guard with a component for each route, and a session for each component."""

    house: House
    sessions: dict[str, str]


@functools.cache
def guarded(table: str) -> Guarded:
    paths = TABLES[table]
    rules = [Rule(f"GET {path}", component=name) for name, path in paths.items()]
    house = build(Policy(*rules, components=dict.fromkeys(paths, ()), roles=ROLES))
    sessions = {name: house.session("acct_1", components={name: {"enabled": True}}) for name in paths}
    return Guarded(house, sessions)


@functools.cache
def over_asgi(framework: str, table: str) -> Ask:
    made = guarded(table)
    app = GuardMiddleware(ROUTERS[framework](TABLES[table]), made.house.guard)

    async def everybody(target: str, root: str, raw: bool) -> dict[str, str]:
        reached: dict[str, str] = {}
        for name, session in made.sessions.items():
            scope = http_scope("GET", target, bearer(session), root_path=root, raw=raw)
            reached |= handled(name, await call(app, scope), made)
        return reached

    return lambda sent: asyncio.run(everybody(*sent))


@functools.cache
def over_wsgi(framework: str, table: str) -> Ask:
    made = guarded(table)
    app = WSGIGuardMiddleware(WSGI_ROUTERS[framework](TABLES[table]), made.house.guard)

    def everybody(sent: Sent) -> dict[str, str]:
        target, root, raw = sent
        reached: dict[str, str] = {}
        for name, session in made.sessions.items():
            environ = environ_of("GET", target, bearer(session), root_path=root, raw=raw)
            # The validator wants other roots than servers have.
            reached |= handled(name, call_wsgi(app, environ, checked=False), made)
        return reached

    return everybody


def handled(name: str, answer: Outcome, made: Guarded) -> dict[str, str]:
    route = answer.body.decode() if answer.status == 200 else ""
    assert answer.status < 500
    assert route in made.sessions or answer.status != 200
    return {name: route} if route else {}


ASKS = [
    *(pytest.param(over_asgi, name, id=f"{name} over ASGI") for name in ROUTERS),
    *(pytest.param(over_wsgi, name, id=f"{name} over WSGI") for name in WSGI_ROUTERS),
]

ODD = (
    "/", "//", "/.", "/..", "/x/..", "/%2e", "/%2E%2e", "/.%2e", "%2f", "%2F", "%5c", "\\", "%00", "%0a", "%0d%0a",
    "%09", "%20", ";", ";x=1", "%3b", "?", "?x=1", "%3f", "%3fx", "%23", "%23x", "%ff", "%c3%a9", "%e2%80%a8", "%c2%85",
    "%25", "%2561", "%252f", "%252e%252e", "+", "%2b", "@", ":", "*", "~", "|", "'", "%22", "%7b", "{", "}", ".", "..",
    ".json", "x", "/new", "/7", "/logo", "/b/c", "/parts/p", "/call_logs", "/admin", "/files", "/mount", "/items",
    "/api",
)  # fmt: skip
"""What is put into a path, or at its end."""


@st.composite
def targets(draw: st.DrawFn, table: str) -> Sent:
    """A path of some route, with a few things done to it."""
    path = draw(st.sampled_from(list(TABLES[table].values())))
    for parameter in ("{id}", "{part}", "{account}", "{rest...}", "{x}", "{y}", "{z}"):
        path = path.replace(parameter, draw(st.sampled_from(("7", "acct_1", "new", "b", "a", "admin", "x/y", ""))))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(path)))
        match draw(st.sampled_from(("put", "end", "cut", "encode", "encode twice", "case", "segment"))):
            case "put":
                path = path[:at] + draw(st.sampled_from(ODD)) + path[at:]
            case "end":
                path += draw(st.sampled_from(ODD))
            case "cut":
                path = path[:at]
            case "encode":
                path = path[:at] + "".join(f"%{ord(one):02x}" for one in path[at : at + 1]) + path[at + 1 :]
            case "encode twice":
                path = path[:at] + "".join(f"%25{ord(one):02x}" for one in path[at : at + 1]) + path[at + 1 :]
            case "case":
                path = path.swapcase()
            case _:
                path = path.rpartition("/")[0]
    root = draw(st.sampled_from(("", "", "", "/api", "/api/", "/", "/items", "/a", "/%61")))
    if root and draw(st.booleans()):
        path = root.rstrip("/") + path
    path = path if path.startswith("/") else "/" + path
    return path, root, draw(st.booleans())


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(("over", "framework"), ASKS)
def test_every_route_is_reached_by_its_own_session(over: Callable[[str, str], Ask], framework: str, table: str) -> None:
    ask = over(framework, table)
    for name, path in TABLES[table].items():
        target = path.replace("{account}", "acct_1").replace("{rest...}", "q/r").replace("{", "").replace("}", "")
        assert ask((target, "", True)) == {name: name}


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(("over", "framework"), ASKS)
@settings(deadline=None)
@given(st.data())
def test_no_path_reaches_another_handler_than_that_of_its_rule(
    over: Callable[[str, str], Ask], framework: str, table: str, data: st.DataObject
) -> None:
    reached = over(framework, table)(data.draw(targets(table)))
    assert all(route == name for name, route in reached.items()), reached


# What the documentation warns of. When one of these fails, its warning has gone out of date.


def test_litestars_mount_takes_what_begins_with_its_text() -> None:
    table = {MOUNT: "/mount/{rest...}", "fallback": "/{rest...}"}
    made = guarded("fallback")
    app = GuardMiddleware(frameworks.litestar(table, mounts=True), made.house.guard)

    async def reached(app: ASGIApp) -> list[dict[str, str]]:
        session = bearer(made.sessions["fallback"])
        targets = ("/mountx", "/mount2/a", "/other", "/mount/a")
        return [handled("fallback", await call(app, http_scope("GET", target, session)), made) for target in targets]

    assert asyncio.run(reached(app)) == [{"fallback": MOUNT}, {"fallback": MOUNT}, {"fallback": "fallback"}, {}]

    # As the page has it: mounted outside, the guard around both.
    mounted, rest = frameworks.starlette({MOUNT: "/{rest...}"}), frameworks.litestar({"fallback": "/{rest...}"})
    outside = Starlette(routes=[Mount("/mount", mounted), Mount("/", rest)])
    fallback = {"fallback": "fallback"}
    assert asyncio.run(reached(GuardMiddleware(outside, made.house.guard))) == [fallback, fallback, fallback, {}]


def test_django_cuts_its_own_script_name_off_behind_the_guards_back() -> None:
    made = guarded("fallback")
    app = GuardMiddleware(frameworks.django(FALLBACK), made.house.guard)

    async def reached(root: str) -> dict[str, str]:
        scope = http_scope("GET", "/site/items", bearer(made.sessions["fallback"]), root_path=root)
        return handled("fallback", await call(app, scope), made)

    with override_settings(FORCE_SCRIPT_NAME="/site"):
        assert asyncio.run(reached("")) == {"fallback": "items"}
        assert asyncio.run(reached("/site")) == {}
    assert asyncio.run(reached("")) == {"fallback": "fallback"}
