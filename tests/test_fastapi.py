"""The FastAPI door: where `needs` may stand, what is refused at the start, `Caller`, and the OpenAPI document."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, Security, WebSocket
from fastapi.responses import PlainTextResponse
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint, WebSocketEndpoint
from starlette.responses import Response
from starlette.routing import BaseRoute, Host, Mount, NoMatchFound, Route, Router, WebSocketRoute

from guestpass import ConfigurationError, NotGuarded, Refused, Rule, needs, principal_of
from guestpass import starlette as plain
from guestpass.asgi import Receive, Scope, Send
from guestpass.errors import NoPrincipal, StoreUnavailable
from guestpass.fastapi import Caller, OptionalCaller, protect
from guestpass.refusals import Refusal
from support import COMPONENTS, ROLES, House, ask_http, ask_socket, bearer, build, call, http_scope, policy

pytestmark = pytest.mark.anyio

LOGS = needs(component="call_logs")
Endpoint = Callable[[], Awaitable[str]]


@pytest.fixture
def house() -> House:
    return build()


def endpoint(word: str = "in") -> Endpoint:
    """An endpoint of its own, since a mark is put on the function."""

    async def answer() -> str:
        return word

    return answer


# --- where needs may stand -------------------------------------------------------------------------------------------


def _above(app: FastAPI) -> None:
    @needs(component="call_logs")
    @app.get("/x")
    async def logs() -> str:
        return "in"


def _below(app: FastAPI) -> None:
    @app.get("/x")
    @needs(component="call_logs")
    async def logs() -> str:
        return "in"


def _at_the_route(app: FastAPI) -> None:
    app.add_api_route("/x", endpoint(), dependencies=[Depends(LOGS)])


def _as_a_parameter(app: FastAPI) -> None:
    async def logs(_: None = Depends(LOGS)) -> str:
        return "in"

    app.add_api_route("/x", logs)


def _as_security(app: FastAPI) -> None:
    app.add_api_route("/x", endpoint(), dependencies=[Security(LOGS)])


def _inside_another_dependency(app: FastAPI) -> None:
    async def checked(_: None = Depends(LOGS)) -> None:
        return None

    app.add_api_route("/x", endpoint(), dependencies=[Depends(checked)])


def _at_the_router(app: FastAPI) -> None:
    router = APIRouter(dependencies=[Depends(LOGS)])
    router.add_api_route("/x", endpoint())
    app.include_router(router)


def _at_include(app: FastAPI) -> None:
    router = APIRouter()
    router.add_api_route("/x", endpoint())
    app.include_router(router, dependencies=[Depends(LOGS)])


def _in_nested_routers(app: FastAPI) -> None:
    inner, middle, outer = APIRouter(), APIRouter(), APIRouter(dependencies=[Depends(LOGS)])
    inner.add_api_route("", endpoint())
    middle.include_router(inner, prefix="/x")
    outer.include_router(middle)
    app.include_router(outer)


def _in_a_mounted_fastapi(app: FastAPI) -> None:
    sub = FastAPI(openapi_url=None)
    sub.add_api_route("/", LOGS(endpoint()))
    sub.add_api_route("", LOGS(endpoint()))
    app.mount("/x", sub)


def _at_a_mounted_fastapi(app: FastAPI) -> None:
    sub = FastAPI(openapi_url=None, dependencies=[Depends(LOGS)])
    sub.add_api_route("/", endpoint())
    app.mount("/x", sub)


def _in_a_mounted_starlette(app: FastAPI) -> None:
    app.mount("/x", Starlette(routes=[Route("/", needs(component="call_logs")(_own_plain()))]))


def _in_a_mounted_router(app: FastAPI) -> None:
    app.mount("/x", Router(routes=[Route("/", needs(component="call_logs")(_own_plain()))]))


def _at_a_mounted_application(app: FastAPI) -> None:
    async def opaque(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("in")(scope, receive, send)

    app.mount("/x", needs(component="call_logs")(opaque))


def _as_a_class(app: FastAPI) -> None:
    @needs(component="call_logs")
    class Logs(HTTPEndpoint):
        async def get(self, request: Request) -> Response:
            return PlainTextResponse("in")

    app.router.routes.append(Route("/x", Logs))


def _as_a_starlette_route(app: FastAPI) -> None:
    app.add_route("/x", needs(component="call_logs")(_own_plain()))


def _in_the_policy(app: FastAPI) -> None:
    app.add_api_route("/x", endpoint())


def _own_plain() -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return PlainTextResponse("in")

    return answer


PLACES = {
    place.__name__.strip("_"): place
    for place in (
        _above,
        _below,
        _at_the_route,
        _as_a_parameter,
        _as_security,
        _inside_another_dependency,
        _at_the_router,
        _at_include,
        _in_nested_routers,
        _in_a_mounted_fastapi,
        _at_a_mounted_fastapi,
        _in_a_mounted_starlette,
        _in_a_mounted_router,
        _at_a_mounted_application,
        _as_a_class,
        _as_a_starlette_route,
    )
}
MOUNTED = {name for name in PLACES if "mounted" in name}


@pytest.mark.parametrize("place", PLACES)
async def test_needs_counts_wherever_it_stands(house: House, place: str) -> None:
    app = FastAPI(openapi_url=None)
    PLACES[place](app)
    app.add_api_route("/naked", endpoint())
    protect(app, house.guard)
    path = "/x/" if place in MOUNTED else "/x"
    logs = {"call_logs": {"enabled": True}}
    good, poor = house.session(components=logs), house.session(components={})
    assert (await ask_http(app, "GET", path, bearer(good))).status == 200
    assert (await ask_http(app, "GET", path, bearer(poor))).code == "component_disabled"
    assert (await ask_http(app, "GET", path)).code == "credential_missing"
    assert (await ask_http(app, "GET", "/naked", bearer(good))).code == "rule_missing"


async def test_needs_at_the_application_counts_for_every_route(house: House) -> None:
    app = FastAPI(dependencies=[Depends(LOGS)], openapi_url=None)
    app.add_api_route("/x", endpoint())
    app.add_api_route("/y", endpoint(), methods=["POST"])
    protect(app, house.guard)
    good, poor = house.session(), house.session(components={})
    for method, path in (("GET", "/x"), ("POST", "/y")):
        assert (await ask_http(app, method, path, bearer(good))).status == 200
        assert (await ask_http(app, method, path, bearer(poor))).code == "component_disabled"


async def test_a_rule_of_the_policy_opens_a_route_that_says_nothing() -> None:
    house = build([Rule("GET /x", component="call_logs"), Rule("GET /files/{name...}", component="voicemails")])
    app = FastAPI(openapi_url=None)
    _in_the_policy(app)
    app.add_api_route("/files/a/b", endpoint())
    app.add_api_route("/y", LOGS(endpoint()))
    protect(app, house.guard)
    secret = house.session(components={"call_logs": {"enabled": True}})
    assert (await ask_http(app, "GET", "/x", bearer(secret))).status == 200
    assert (await ask_http(app, "GET", "/y", bearer(secret))).status == 200
    assert (await ask_http(app, "GET", "/files/a/b", bearer(secret))).code == "component_disabled"


async def test_the_account_stands_in_the_path_of_the_route(house: House) -> None:
    app = FastAPI(openapi_url=None)
    router = APIRouter(prefix="/accounts/{account}")

    @router.get("/logs")
    @needs(component="call_logs")
    async def logs(account: str, caller: Caller) -> dict[str, object]:
        return {"path": account, "caller": caller.account}

    app.include_router(router, prefix="/v1")
    protect(app, house.guard)
    secret = house.session()
    outcome = await ask_http(app, "GET", "/v1/accounts/acct_1/logs", bearer(secret))
    assert outcome.said == {"path": "acct_1", "caller": "acct_1"}
    assert (await ask_http(app, "GET", "/v1/accounts/acct_2/logs", bearer(secret))).code == "account_mismatch"


async def test_below_a_root_path_the_same_routes_are_judged(house: House) -> None:
    for root in ("/api", "/api/"):
        house = build()
        app = FastAPI(openapi_url=None)
        app.add_api_route("/x", needs(public=True, reason="probe")(endpoint("public")))
        app.add_api_route("/api/x", needs(role="admin")(endpoint("ADMIN")))
        protect(app, house.guard)
        for path in ("/x", "/api/x", "/api/api/x", "/apix", "/api/"):
            outcome = await call(app, {**_scope(path), "root_path": root})
            assert b"ADMIN" not in outcome.body


def _scope(path: str) -> Scope:
    return http_scope("GET", path)


# --- a route that says nothing is closed -----------------------------------------------------------------------------


def _naked_before_a_parameter(app: FastAPI) -> str:
    app.add_api_route("/users/export", endpoint("NAKED"))
    app.add_api_route("/users/{id}", needs(public=True, reason="for all")(endpoint("open")))
    return "/users/export"


def _naked_after_a_parameter(app: FastAPI) -> str:
    app.add_api_route("/users/{id}", needs(public=True, reason="for all")(endpoint("open")), methods=["POST"])
    app.add_api_route("/users/export", endpoint("NAKED"))
    return "/users/export"


def _behind_a_convertor(app: FastAPI) -> str:
    app.add_api_route("/items/{id:int}", needs(public=True, reason="for all")(endpoint("open")))
    app.add_api_route("/items/{name}", endpoint("NAKED"))
    return "/items/abc"


def _behind_a_suffix(app: FastAPI) -> str:
    app.add_api_route("/items/{id}.json", needs(public=True, reason="for all")(endpoint("open")))
    app.add_api_route("/items/{name}", endpoint("NAKED"))
    return "/items/abc"


def _behind_a_host(app: FastAPI) -> str:
    inner = Starlette(routes=[Route("/x", needs(public=True, reason="for all")(_own_plain()))])
    app.host("a.example", inner)
    app.add_api_route("/x", endpoint("NAKED"))
    return "/x"


def _behind_a_head(app: FastAPI) -> str:
    app.add_api_route("/x", needs(public=True, reason="for all")(endpoint("open")), methods=["HEAD"])
    app.add_api_route("/x", endpoint("NAKED"))
    return "/x"


def _behind_a_wildcard(app: FastAPI) -> str:
    app.add_api_route("/{anything}", needs(public=True, reason="for all")(endpoint("open")), methods=["PUT"])
    app.add_api_route("/x", endpoint("NAKED"))
    return "/x"


def _a_mount_before_a_parameter(app: FastAPI) -> str:
    async def opaque(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("NAKED")(scope, receive, send)

    app.mount("/m", opaque)
    app.add_api_route("/{a}/{b}", needs(public=True, reason="for all")(endpoint("open")))
    return "/m/x"


def _an_odd_route(app: FastAPI) -> str:
    class Odd(BaseRoute):
        def matches(self, scope: Scope) -> tuple[Any, Scope]:
            from starlette.routing import Match

            return (Match.FULL if scope["path"] == "/x" else Match.NONE), {}

        def url_path_for(self, name: str, /, **path_params: Any) -> Any:
            raise NoMatchFound(name, path_params)

        async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
            await PlainTextResponse("NAKED")(scope, receive, send)

    app.router.routes.append(Odd())
    app.add_api_route("/{x}", needs(public=True, reason="for all")(endpoint("open")))
    return "/x"


CLOSED = {
    place.__name__.strip("_"): place
    for place in (
        _naked_before_a_parameter,
        _naked_after_a_parameter,
        _behind_a_convertor,
        _behind_a_suffix,
        _behind_a_host,
        _behind_a_head,
        _behind_a_wildcard,
        _a_mount_before_a_parameter,
        _an_odd_route,
    )
}


@pytest.mark.parametrize("place", CLOSED)
async def test_no_other_routes_rule_opens_a_route_that_says_nothing(house: House, place: str) -> None:
    app = FastAPI(openapi_url=None)
    path = CLOSED[place](app)
    try:
        protect(app, house.guard)
        outcome = await ask_http(app, "GET", path)
    except ConfigurationError:
        # Or it is refused at the start: then nobody gets anywhere.
        return
    assert b"NAKED" not in outcome.body
    assert outcome.code in ("credential_missing", None)
    assert b"NAKED" not in (await ask_http(app, "GET", path, bearer(house.session()))).body


async def test_the_documents_of_fastapi_are_closed_too(house: House) -> None:
    app = FastAPI()
    app.add_api_route("/{page}", needs(public=True, reason="for all")(endpoint("open")), methods=["GET"])
    try:
        protect(app, house.guard)
        outcome = await ask_http(app, "GET", "/openapi.json")
    except ConfigurationError:
        return
    assert outcome.status == 401


async def test_a_mounted_application_gets_no_socket_by_a_later_routes_rule(house: House) -> None:
    reached: list[str] = []

    async def opaque(scope: Scope, receive: Receive, send: Send) -> None:
        reached.append(scope["type"])

    async def talk(websocket: WebSocket) -> None:
        await websocket.accept()

    app = Starlette(routes=[Mount("/m", opaque), WebSocketRoute("/m/x", needs(public=True, reason="for all")(talk))])
    try:
        plain.protect(app, house.guard)
        await ask_socket(app, "/m/x")
    except ConfigurationError:
        pass
    assert reached == []


# --- errors at the start ---------------------------------------------------------------------------------------------


def _two_needs(app: FastAPI) -> None:
    app.add_api_route("/x", LOGS(endpoint()), dependencies=[Depends(needs(role="admin"))])


def _needs_at_route_and_router(app: FastAPI) -> None:
    router = APIRouter(dependencies=[Depends(needs(role="agent"))])
    router.add_api_route("/x", needs(component="call_logs")(endpoint()))
    app.include_router(router)


def _an_unknown_component(app: FastAPI) -> None:
    app.add_api_route("/x", needs(component="call_log")(endpoint()))


def _shadowed(app: FastAPI) -> None:
    app.add_api_route("/users/{id}", needs(role="agent")(endpoint()))
    app.add_api_route("/users/me", needs(role="admin")(endpoint()))


def _shadowed_by_a_mount(app: FastAPI) -> None:
    app.mount("/m", Starlette(routes=[]))
    app.add_api_route("/m/x", needs(role="admin")(endpoint()))


def _the_same_twice(app: FastAPI) -> None:
    app.add_api_route("/x", needs(role="agent")(endpoint()))
    app.add_api_route("/x", needs(role="admin")(endpoint()))


def _an_account_that_is_not_in_the_path(app: FastAPI) -> None:
    app.add_api_route("/x", needs(account="path:tenant")(endpoint()))


def _an_account_that_is_the_rest(app: FastAPI) -> None:
    app.add_api_route("/x/{account:path}", needs(component="call_logs")(endpoint()))


WRONG: dict[str, tuple[Callable[[FastAPI], None], str]] = {
    "two needs on one route": (_two_needs, "two rules"),
    "needs at the route and at its router": (_needs_at_route_and_router, "two rules"),
    "an unknown component": (_an_unknown_component, "did you mean 'call_logs'"),
    "a route behind another": (_shadowed, "/users/me"),
    "a route behind a mount": (_shadowed_by_a_mount, "/m/x"),
    "the same request twice": (_the_same_twice, "/x"),
    "an account that is not in the path": (_an_account_that_is_not_in_the_path, "path:tenant"),
    "an account that is the rest of the path": (_an_account_that_is_the_rest, "account"),
}


@pytest.mark.parametrize("name", WRONG)
async def test_what_contradicts_itself_is_an_error_at_the_start(house: House, name: str) -> None:
    make, words = WRONG[name]
    app = FastAPI(openapi_url=None)
    try:
        make(app)
        protect(app, house.guard)
        said = await _start(app)
    except ConfigurationError as problem:
        # Some are found at the line itself.
        said = str(problem)
    assert words in said
    # And an application that is served all the same, without a start, lets nobody in.
    if app.user_middleware:
        with pytest.raises(ConfigurationError):
            await ask_http(app, "GET", "/x")


async def _start(app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> str:
    """Start an application as a server does; answers why it failed, empty where it did not."""
    sent: list[Any] = []
    incoming: list[Any] = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def receive() -> Any:
        return incoming.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)
    return next((message["message"] for message in sent if message["type"] == "lifespan.startup.failed"), "")


async def test_an_application_is_protected_at_its_start(house: House) -> None:
    app = FastAPI(openapi_url=None)
    app.add_api_route("/x", LOGS(endpoint()))
    protect(app, house.guard)
    assert await _start(app) == ""
    assert (await ask_http(app, "GET", "/x")).status == 401
    assert house.guard.policy.find("GET", "/x") is not None


async def test_a_route_may_come_with_the_start_and_none_after_the_first_request(house: House) -> None:
    app, inner = FastAPI(openapi_url=None), APIRouter()
    app.include_router(inner, prefix="/in")
    app.add_api_route("/{page:path}", needs(public=True, reason="for all")(endpoint()))
    protect(app, house.guard)
    assert await _start(app) == ""
    inner.add_api_route("/early", needs(component="call_logs")(endpoint()))
    assert (await ask_http(app, "GET", "/in/early")).status == 401
    for router in (app, inner):
        with pytest.raises(ConfigurationError, match="before the first request"):
            router.add_api_route("/late", needs(role="admin")(endpoint()))


def test_an_application_is_protected_once(house: House) -> None:
    app = FastAPI()
    protect(app, house.guard)
    with pytest.raises(ConfigurationError, match="already"):
        protect(app, build().guard)


async def test_a_guard_protects_one_application(house: House) -> None:
    first, second = FastAPI(openapi_url=None), FastAPI(openapi_url=None)
    first.add_api_route("/x", endpoint("NAKED"))
    second.add_api_route("/x", needs(public=True, reason="for all")(endpoint()))
    protect(first, house.guard)
    protect(second, house.guard)
    assert (await ask_http(second, "GET", "/x")).status == 200
    with pytest.raises(ConfigurationError, match="one application"):
        await ask_http(first, "GET", "/x")


async def test_nothing_that_needs_anything_is_an_error_at_the_start() -> None:
    app = FastAPI(openapi_url=None)
    protect(app, build(policy()).guard)
    with pytest.raises(ConfigurationError, match="empty policy"):
        await ask_http(app, "GET", "/x")
    # It does not open at the second try.
    with pytest.raises(ConfigurationError):
        await ask_http(app, "GET", "/x")


def test_two_needs_by_decorator_are_an_error_at_the_line() -> None:
    with pytest.raises(ConfigurationError, match="two needs"):
        needs(role="agent")(needs(component="call_logs")(endpoint()))


def test_needs_that_contradict_themselves_are_an_error_at_the_line() -> None:
    with pytest.raises(ConfigurationError, match="reason"):
        needs(public=True)
    with pytest.raises(ConfigurationError, match="component"):
        needs(feature="transcripts")
    with pytest.raises(ConfigurationError, match="account"):
        needs(account="somewhere")
    assert repr(needs(role="admin", account=False)) == "needs(role='admin', account=False)"
    assert needs(account=["path:tenant", "query:a"]).need["account"] == ["path:tenant", "query:a"]


def test_the_prefix_of_the_issuing_api_is_a_path(house: House) -> None:
    with pytest.raises(ConfigurationError, match="issuing"):
        protect(FastAPI(), house.guard, issuing="issue")


async def test_routes_whose_shapes_cross_with_the_same_needs_are_all_open(house: House) -> None:
    app = FastAPI(openapi_url=None)
    app.add_api_route("/a/{x}", needs(account=False)(endpoint("one")))
    app.add_api_route("/{y}/b", needs(account=False)(endpoint("two")))
    protect(app, house.guard)
    secret = house.session()
    for path, word in (("/a/z", b'"one"'), ("/z/b", b'"two"'), ("/a/b", b'"one"')):
        assert (await ask_http(app, "GET", path, bearer(secret))).body == word


# --- sockets, callers, refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["decorator", "dependency", "router", "class"])
async def test_needs_counts_for_sockets(house: House, how: str) -> None:
    app = FastAPI(openapi_url=None)

    async def talk(websocket: WebSocket, caller: Caller) -> None:
        await websocket.accept()
        await websocket.send_json({"account": caller.account})
        await websocket.close()

    if how == "decorator":
        app.add_api_websocket_route("/s", needs(component="call_logs")(talk))
    elif how == "dependency":
        app.add_api_websocket_route("/s", talk, dependencies=[Depends(LOGS)])
    elif how == "router":
        router = APIRouter(dependencies=[Depends(LOGS)])
        router.add_api_websocket_route("/s", talk)
        app.include_router(router)
    else:

        @needs(component="call_logs")
        class Talk(WebSocketEndpoint):
            async def on_connect(self, websocket: WebSocket) -> None:
                await websocket.accept()
                await websocket.send_json({"account": principal_of(websocket).account})
                await websocket.close()

        app.router.routes.append(WebSocketRoute("/s", Talk))
    protect(app, house.guard)
    good, poor = house.session(), house.session(components={})
    outcome = await ask_socket(app, "/s", (), ["client_secret", good])
    assert outcome.said == {"account": "acct_1"}
    accepted = outcome.first("websocket.accept")
    assert accepted is not None
    assert accepted["subprotocol"] == "client_secret"
    assert (await ask_socket(app, "/s", (), ["client_secret", poor])).code == "component_disabled"
    assert (await ask_socket(app, "/s")).code == "credential_missing"
    # A request is not a handshake.
    assert (await ask_http(app, "GET", "/s", bearer(good))).code == "rule_missing"


async def test_callers_are_typed_and_public_routes_have_none(house: House) -> None:
    app = FastAPI(openapi_url=None)

    @app.get("/me")
    @needs(account=False, role=None)
    async def me(caller: Caller, request: Request) -> dict[str, object]:
        return {"kind": caller.kind, "same": principal_of(request) is caller}

    @app.get("/open")
    @needs(public=True, optional=True, reason="page")
    async def page(caller: OptionalCaller) -> str | None:
        return None if caller is None else caller.account

    @app.get("/broken")
    @needs(public=True, reason="page")
    async def broken(caller: Caller) -> str:
        return "never"

    protect(app, house.guard)
    secret = house.session()
    assert (await ask_http(app, "GET", "/me", bearer(secret))).said == {"kind": "account_session", "same": True}
    assert (await ask_http(app, "GET", "/open", bearer(secret))).said == "acct_1"
    assert (await ask_http(app, "GET", "/open")).said is None
    with pytest.raises(NoPrincipal, match="public"):
        await ask_http(app, "GET", "/broken", bearer(secret))


async def test_a_caller_where_no_guard_ran_is_an_error_that_names_the_line() -> None:
    app = FastAPI()

    @app.get("/me")
    async def me(caller: Caller) -> str:
        return caller.kind

    @app.get("/perhaps")
    async def perhaps(caller: OptionalCaller) -> str:
        return "never"

    for path in ("/me", "/perhaps"):
        with pytest.raises(NotGuarded, match=r"protect\(app, guard\)"):
            await ask_http(app, "GET", path)


async def test_a_refusal_that_an_endpoint_raises_is_answered_like_any_other(house: House) -> None:
    app = FastAPI(openapi_url=None)

    @app.get("/refused")
    @needs(account=False)
    async def refused() -> None:
        raise Refused(Refusal("escalation_denied", "session"))

    @app.get("/down")
    @needs(account=False)
    async def down() -> None:
        raise StoreUnavailable("gone", retry_after=4)

    protect(app, house.guard)
    secret = house.session()
    outcome = await ask_http(app, "GET", "/refused", bearer(secret))
    assert (outcome.status, outcome.code) == (403, "escalation_denied")
    assert outcome.headers["www-authenticate"] == 'Bearer realm="api", error="insufficient_scope"'
    outcome = await ask_http(app, "GET", "/down", bearer(secret))
    assert (outcome.status, outcome.code, outcome.headers["retry-after"]) == (503, "store_unavailable", "4")


async def test_methods_that_share_a_path_have_rules_of_their_own(house: House) -> None:
    app = FastAPI(openapi_url=None)
    app.add_api_route("/x", needs(component="call_logs")(endpoint("get")))
    app.add_api_route("/x", needs(role="admin")(endpoint("post")), methods=["POST"])
    app.add_route("/head", needs(public=True, reason="probe")(_own_plain()), methods=["HEAD"])
    protect(app, house.guard)
    secret = house.session()
    assert (await ask_http(app, "GET", "/x", bearer(secret))).status == 200
    assert (await ask_http(app, "POST", "/x", bearer(secret))).code == "role_insufficient"
    assert (await ask_http(app, "PUT", "/x", bearer(secret))).code == "rule_missing"
    # The route takes no HEAD, and yet what asks for one is judged as GET is, before it is told so.
    assert (await ask_http(app, "HEAD", "/x", bearer(secret))).status == 405
    assert (await ask_http(app, "HEAD", "/x", bearer(house.session(components={})))).status == 403
    assert (await ask_http(app, "HEAD", "/head")).status == 200
    assert (await ask_http(app, "GET", "/head")).status in (401, 405)


async def test_hosts_are_walked(house: House) -> None:
    inner = Starlette(routes=[Route("/x", needs(component="call_logs")(_own_plain()))])
    app = Starlette(routes=[Host("api.example", inner)])
    plain.protect(app, house.guard)
    headers = [("host", "api.example"), *bearer(house.session()).items()]
    scope = _scope("/x")
    scope["headers"] = [(name.lower().encode(), value.encode()) for name, value in headers]
    assert (await call(app, scope)).status == 200
    scope["headers"] = scope["headers"][:1]
    assert (await call(app, scope)).code == "credential_missing"


# --- issuing and the document ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("issuing", "below"), [("/", ""), ("/auth", "/auth"), ("/auth/", "/auth"), ("/a/b", "/a/b")])
async def test_the_issuing_api_stands_below_its_prefix(house: House, issuing: str, below: str) -> None:
    app = FastAPI(openapi_url=None)
    app.add_api_route("/x", LOGS(endpoint()))
    protect(app, house.guard, issuing=issuing)
    secret = house.key()
    outcome = await ask_http(app, "POST", f"{below}/v1/account_sessions", bearer(secret), body=b'{"account":"acct_1"}')
    assert outcome.status == 201
    assert (await ask_http(app, "GET", "/x", bearer(outcome.said["client_secret"]))).status == 200
    assert (await ask_http(app, "GET", f"{below}/.well-known/jwks.json")).status == 200
    assert (await ask_http(app, "POST", f"{below}/api/v1/jwt/sign", bearer(secret), body=b"{}")).status == 200


async def test_without_issuing_nothing_is_issued_over_http(house: House) -> None:
    app = FastAPI(openapi_url=None)
    app.add_api_route("/x", LOGS(endpoint()))
    protect(app, house.guard)
    outcome = await ask_http(app, "POST", "/v1/account_sessions", bearer(house.key()), body=b'{"account":"acct_1"}')
    assert outcome.code == "rule_missing"


def _documented(app: FastAPI) -> dict[str, Any]:
    paths = app.openapi()["paths"]
    return {f"{method} {path}": one.get("security") for path, ones in paths.items() for method, one in ones.items()}


async def test_the_document_says_what_each_route_needs(house: House) -> None:
    app = FastAPI()
    app.add_api_route("/logs", needs(component="call_logs", feature="transcripts", role="agent")(endpoint()))
    app.add_api_route("/accounts/{account}/logs", needs(component="call_logs")(endpoint()))
    app.add_api_route("/files/{name:path}", needs(component="voicemails", role=None)(endpoint()))
    app.add_api_route("/health", needs(public=True, reason="probe")(endpoint()))
    app.add_api_route("/open", needs(public=True, optional=True, reason="page")(endpoint()))
    app.add_api_route("/naked", endpoint())
    protect(app, house.guard)
    expected: dict[str, Any] = {
        "get /naked": None,
        "get /logs": [{"guestpass": ["call_logs", "call_logs/transcripts", "agent"]}],
        "get /accounts/{account}/logs": [{"guestpass": ["call_logs", "external_entity"]}],
        "get /files/{name}": [{"guestpass": ["voicemails"]}],
        "get /health": [],
        "get /open": [{}, {"guestpass": []}],
    }
    # Also where the document is made without ever starting the application, as build steps do.
    assert _documented(app) == expected
    scheme = app.openapi()["components"]["securitySchemes"]["guestpass"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    assert (await ask_http(app, "GET", "/health")).status == 200
    assert _documented(app) == expected


def test_the_vocabulary_of_these_tests_is_that_of_the_policy(house: House) -> None:
    assert tuple(house.guard.policy.components) == tuple(COMPONENTS)
    assert house.guard.policy.roles == ROLES


async def test_the_guard_isput_up_once_whoever_is_first(house: House) -> None:
    app = FastAPI(openapi_url=None)
    app.add_api_route("/x", LOGS(endpoint()))
    protect(app, house.guard)
    secret = house.session()
    assert (await ask_http(app, "GET", "/x", bearer(secret))).status == 200
    # A start after the first request, and a second one that raced the first for it.
    assert await _start(app) == ""
    layer: Any = app.middleware_stack
    while not hasattr(layer, "put_up"):
        layer = layer.app
    assert layer.put_up() is layer.put_up()
    assert (await ask_http(app, "GET", "/x", bearer(secret))).status == 200
