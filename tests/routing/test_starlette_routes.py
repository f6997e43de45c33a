"""The routes of an application and the rules made of them: the rule that judges a request is that of the endpoint
which it reaches.

Random route tables are read by the guard and asked by the real router; where the two could part, the table has to be
refused at the start.
"""

import itertools
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Host, Mount, Route, Router

from guestpass import ConfigurationError, Policy, needs
from guestpass.asgi import Scope, request_of
from guestpass.paths import trouble
from guestpass.routing.starlette_routes import read_routes
from guestpass.rules import Rule
from support import Outcome, build, http_scope, policy

NEEDS: Final[dict[str, dict[str, Any]]] = {
    "nothing": {},
    "agent": {"role": "agent", "account": False},
    "admin": {"role": "admin", "account": False},
    "open": {"public": True, "reason": "for all"},
}

SEGMENTS: Final = ("a", "b", "1", "{p}", "{q:int}", "{r}.json", "x{s}", "{t:path}", "{u:float}", "{v:uuid}")
PROBES: Final = ("a", "b", "1", "1.5", "c.json", "xa", "x.json", "0e4b2c3a-1c1e-4c5a-9b0a-0d6f6a1b2c3d")
HOSTS: Final = ("", "", "", "one.example", "{sub}.example")

Marked = tuple[str, Callable[[Request], Awaitable[Response]]]


def endpoint(mark: str) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint that says what it needs, and says so when it is reached."""

    async def answer(request: Request) -> Response:
        return PlainTextResponse(mark)

    return answer if mark == "nothing" else needs(**NEEDS[mark])(answer)


path_parts = st.lists(st.sampled_from(SEGMENTS), min_size=0, max_size=3)
plain_routes = st.builds(
    lambda parts, mark, methods: Route("/" + "/".join(_distinct(parts)), endpoint(mark), methods=methods),
    path_parts,
    st.sampled_from(tuple(NEEDS)),
    st.sampled_from((["GET"], ["GET"], ["POST"], ["HEAD"], ["GET", "POST"])),
)


def _distinct(parts: list[str]) -> Iterator[str]:
    """The segments with each parameter named differently."""
    for place, part in enumerate(parts):
        yield part.replace("{", f"{{n{place}")


def _mounted(prefix: list[str], routes: list[BaseRoute], kind: str) -> BaseRoute:
    path = "/" + "/".join(part.replace("{", f"{{m{place}") for place, part in enumerate(prefix))
    inner: Any = Starlette(routes=routes) if kind == "app" else Router(routes=routes)
    return Mount(path, app=inner)


mounts = st.builds(
    _mounted,
    st.lists(st.sampled_from(("a", "b", "{p}", "1")), min_size=1, max_size=2),
    st.lists(plain_routes, max_size=3),
    st.sampled_from(("app", "router")),
)
hosts = st.builds(
    lambda host, routes: Host(host, Starlette(routes=routes)),
    st.sampled_from(("one.example", "{sub}.example")),
    st.lists(plain_routes, min_size=1, max_size=2),
)
tables = st.lists(st.one_of(plain_routes, plain_routes, plain_routes, mounts, hosts), min_size=1, max_size=5)


def reached(app: Starlette, scope: Scope) -> str | None:
    """What the endpoint that the router takes says that it needs; None where there is none."""
    outcome = Outcome()

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        outcome.sent.append(message)

    serving = app.router(dict(scope), receive, send)
    try:
        # Nothing in it waits for anything.
        serving.send(None)
    except StopIteration:
        return outcome.body.decode() if outcome.status == 200 else None
    raise AssertionError("the router waits")


def requests() -> list[tuple[str, str, str]]:
    paths = [
        "/",
        *("/" + "/".join(parts) for size in (1, 2, 3) for parts in itertools.product(PROBES[:6], repeat=size)),
    ]
    some = paths[:43] + paths[43::7]
    return [
        (method, path, host) for path in some for method in ("GET", "HEAD", "POST") for host in ("none", "one.example")
    ]


REQUESTS: Final = requests()


def judged(rule: Rule | None) -> str:
    """Which of `NEEDS` a rule is."""
    if rule is None:
        return "nothing"
    return "open" if rule.public else str(rule.role)


@settings(max_examples=120, deadline=None)
@given(tables)
def test_the_rule_that_judges_a_request_is_that_of_the_endpoint_it_reaches(table: list[BaseRoute]) -> None:
    app = Starlette(routes=table)
    try:
        read = policy().with_routes(read_routes(app.router))
    except ConfigurationError:
        event("refused at the start")
        return
    event("read")
    for method, path, host in REQUESTS:
        scope = http_scope(method, path)
        scope["headers"] = [(b"host", host.encode())]
        mark = reached(app, scope)
        if mark is None and method == "HEAD":
            # A router without HEAD answers 405; nothing is reached.
            continue
        request = request_of(scope)
        assert request.path == path
        assert trouble(path, request.raw_path) is None
        rule = read.find(request.method, path)
        if mark is not None:
            assert judged(rule) == mark, (method, path, host, rule)


def test_a_policys_own_rule_opens_only_routes_that_say_nothing() -> None:
    def app(*routes: BaseRoute) -> Starlette:
        return Starlette(routes=list(routes))

    own = Policy(Rule("GET /files/{name...}", account=False), roles=("external_entity", "agent", "admin"))
    silent = own.with_routes(read_routes(app(Route("/files/a", endpoint("nothing"))).router))
    assert silent.find("GET", "/files/a") is own.rules[0]
    said = own.with_routes(read_routes(app(Route("/files/a", endpoint("admin"))).router))
    assert judged(said.find("GET", "/files/a")) == "admin"
    assert said.find("GET", "/files/b") is own.rules[0]


def test_a_policys_rule_for_part_of_a_routes_requests_is_an_error() -> None:
    app = Starlette(routes=[Route("/files/{name}", endpoint("admin"))])
    own = Policy(Rule("GET /files/public", public=True, reason="r"), roles=("external_entity", "agent", "admin"))
    with pytest.raises(ConfigurationError, match="two rules"):
        own.with_routes(read_routes(app.router))
    # Unless there is a route of its own for it.
    app = Starlette(routes=[Route("/files/public", endpoint("nothing")), Route("/files/{name}", endpoint("admin"))])
    read = own.with_routes(read_routes(app.router))
    assert judged(read.find("GET", "/files/public")) == "open"
    assert judged(read.find("GET", "/files/x")) == "admin"
    # A route that says nothing elsewhere is none of its own.
    app = Starlette(routes=[Route("/other", endpoint("nothing")), Route("/files/{name}", endpoint("admin"))])
    with pytest.raises(ConfigurationError, match="two rules"):
        own.with_routes(read_routes(app.router))
    # The same need said twice is one rule.
    same = Policy(Rule("GET /files/public", role="admin", account=False), roles=own.roles)
    read = same.with_routes(read_routes(app.router))
    assert judged(read.find("GET", "/files/public")) == "admin"


def test_the_same_rule_at_the_route_and_in_the_policy_is_one() -> None:
    app = Starlette(routes=[Route("/x", endpoint("admin"))])
    own = Policy(Rule("GET /x", role="admin", account=False), roles=("external_entity", "agent", "admin"))
    with pytest.raises(ConfigurationError, match=r"same requests|two rules"):
        Policy(*own.rules, Rule("GET /x", role="agent"), roles=own.roles)
    try:
        read = own.with_routes(read_routes(app.router))
    except ConfigurationError:
        return
    assert judged(read.find("GET", "/x")) == "admin"


def test_a_path_that_a_convertor_does_not_take_is_the_later_routes() -> None:
    app = Starlette(routes=[Route("/items/{id:int}", endpoint("admin")), Route("/items/abc", endpoint("agent"))])
    read = policy().with_routes(read_routes(app.router))
    assert judged(read.find("GET", "/items/abc")) == "agent"
    assert judged(read.find("GET", "/items/7")) == "admin"


def test_a_mounted_application_with_a_root_of_its_own_is_an_error() -> None:
    from fastapi import FastAPI

    inner = FastAPI(openapi_url=None)
    inner.root_path = "/elsewhere"
    with pytest.raises(ConfigurationError, match="root_path"):
        read_routes(Starlette(routes=[Mount("/m", inner)]).router)


def test_a_default_of_the_routers_own_may_take_anything() -> None:
    async def default(scope: Scope, receive: Any, send: Any) -> None:
        await PlainTextResponse("nothing")(scope, receive, send)

    for host in (False, True):
        inner = Router(routes=[Route("/x", endpoint("open"))], default=default)
        router = Router(routes=[Host("one.example", inner)]) if host else inner
        try:
            read = policy().with_routes(read_routes(router))
        except ConfigurationError:
            continue
        assert read.find("GET", "/y") is None


def test_an_account_that_is_part_of_a_segment_is_an_error() -> None:
    app = Starlette(routes=[Route("/x/{account}.json", needs(component="call_logs")(endpoint("nothing")))])
    with pytest.raises(ConfigurationError, match="account"):
        read_routes(app.router)


def test_a_rule_that_is_not_well_formed_names_the_endpoint() -> None:
    async def logs(request: Request) -> Response:
        return PlainTextResponse("")

    app = Starlette(routes=[Route("/x", needs(account="path:tenant")(logs))])
    with pytest.raises(ConfigurationError, match="logs: "):
        read_routes(app.router)


def test_a_route_that_no_request_can_reach_is_nothing() -> None:
    app = Starlette(routes=[Route("/a//b", endpoint("open")), Route("/x", endpoint("admin"))])
    read = policy().with_routes(read_routes(app.router))
    assert judged(read.find("GET", "/a//b")) == "nothing"
    assert build(read).guard.policy.has_routes
