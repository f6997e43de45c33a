"""The ASGI door: what it lets pass, what the application sees, and how it refuses."""

import contextlib
import json
import logging
from collections.abc import Callable, Sequence
from typing import Any

import anyio
import pytest

from guestpass import ConfigurationError, Principal, Refusal, Rule, StoreUnavailable, principal_of
from guestpass.asgi import ASGIApp, GuardMiddleware, Message, Receive, Scope, Send, request_of
from guestpass.errors import ConnectionEnded, NoPrincipal
from guestpass.problems import Answer
from live_support import Connection
from support import (
    START,
    Failing,
    GatePasses,
    House,
    ask_http,
    ask_socket,
    bearer,
    build,
    call,
    echo,
    http_scope,
    policy,
    socket_scope,
)

RULES = (
    Rule("GET /v1/call_logs", component="call_logs"),
    Rule("GET /open", public=True, optional=True, reason="page"),
    Rule("GET /health", public=True, reason="probe"),
    Rule("POST /v1/tickets", mints=True),
    Rule("WEBSOCKET /v1/events"),
    Rule("WEBSOCKET /v1/news", public=True, reason="for all"),
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def house() -> House:
    return build(RULES, more=[GatePasses()])


@pytest.fixture
def app(house: House) -> ASGIApp:
    return GuardMiddleware(echo, house.guard)


class Spy:
    """An application that keeps the scope it was given."""

    def __init__(self, answer: ASGIApp = echo) -> None:
        self.scopes: list[Scope] = []
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        await self._answer(scope, receive, send)

    @property
    def scope(self) -> Scope:
        (scope,) = self.scopes
        return scope


def answering(*headers: tuple[bytes, bytes], status: int = 200) -> ASGIApp:
    """An application that answers with these headers."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        await send({"type": "http.response.body", "body": b"{}"})

    return answer


def accepting(subprotocol: str | None, **more: object) -> ASGIApp:
    """An application that accepts a socket with this subprotocol."""

    async def accept(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept", "subprotocol": subprotocol, **more})
        await send({"type": "websocket.close", "code": 1000})

    return accept


# --- what the application sees ---------------------------------------------------------------------------------------


async def test_the_application_finds_the_principal_and_what_starlettes_tools_expect(house: House) -> None:
    spy = Spy()
    outcome = await ask_http(
        GuardMiddleware(spy, house.guard), "GET", "/v1/call_logs", bearer(house.session(roles=["agent"]))
    )
    assert outcome.status == 200
    principal = spy.scope["principal"]
    assert isinstance(principal, Principal)
    assert spy.scope["user"] is principal
    assert principal.is_authenticated
    assert principal.display_name == principal.subject == "acct_1"
    assert principal.identity == ("account_session", principal.minted_by, "plat", "acct_1", "acct_1")
    assert spy.scope["auth"].scopes[0] == "authenticated"
    assert set(spy.scope["auth"].scopes[1:]) == {
        "call_logs", "call_logs/transcripts", "call_logs/export", "voicemails", "external_entity", "agent",
    }  # fmt: skip
    assert principal_of(spy.scope) is principal


async def test_a_key_with_everything_has_no_scope_of_a_name() -> None:
    house = build(RULES)
    spy = Spy()
    headers = {**bearer(house.key()), "Account-Id": "acct_1"}
    assert (await ask_http(GuardMiddleware(spy, house.guard), "GET", "/v1/call_logs", headers)).status == 200
    # Nothing is left out by guesswork: what is not named is not granted to tools that ask by name.
    assert spy.scope["auth"].scopes == ["authenticated"]
    assert spy.scope["principal"].account == "acct_1"


@pytest.mark.parametrize("path", ["/health", "/open"])
async def test_on_a_public_route_there_is_nobody(house: House, path: str) -> None:
    spy = Spy()
    assert (await ask_http(GuardMiddleware(spy, house.guard), "GET", path)).status == 200
    assert spy.scope["principal"] is None
    assert spy.scope["user"].is_authenticated is False
    assert (spy.scope["user"].display_name, spy.scope["user"].identity) == ("", "")
    assert spy.scope["auth"].scopes == []
    assert principal_of(spy.scope, None) is None
    with pytest.raises(NoPrincipal):
        principal_of(spy.scope)


async def test_headers_that_look_like_the_guards_own_are_removed(house: House) -> None:
    spy = Spy()
    secret = house.session()
    sent = [("Guestpass-Account", "x"), ("GUESTPASS_role", "admin"), ("guestpass-", ""), ("X-Guestpass-A", "stays")]
    await ask_http(GuardMiddleware(spy, house.guard), "GET", "/v1/call_logs", [*bearer(secret).items(), *sent])
    names = [name for name, _ in spy.scope["headers"]]
    assert names == [b"host", b"authorization", b"x-guestpass-a"]


async def test_a_principal_that_was_in_the_scope_already_is_not_believed(house: House) -> None:
    spy = Spy()
    scope = http_scope("GET", "/health")
    scope["principal"] = scope["user"] = scope["auth"] = "forged"
    await call(GuardMiddleware(spy, house.guard), scope)
    assert spy.scope["principal"] is None
    assert spy.scope["user"] != "forged"
    assert spy.scope["auth"] != "forged"


async def test_vary_is_merged_into_what_the_application_says(house: House) -> None:
    tables: list[tuple[tuple[tuple[bytes, bytes], ...], str]] = [
        ((), "Authorization"),
        (((b"vary", b"Accept"),), "Accept, Authorization"),
        (((b"Vary", b"accept, AUTHORIZATION"),), "accept, AUTHORIZATION"),
        (((b"vary", b"*"),), "*"),
        (((b"vary", b"Accept"), (b"vary", b"Cookie")), "Accept, Cookie, Authorization"),
    ]
    secret = house.session()
    for headers, expected in tables:
        door = GuardMiddleware(answering(*headers), house.guard)
        assert (await ask_http(door, "GET", "/v1/call_logs", bearer(secret))).headers["vary"] == expected


async def test_an_answer_that_depends_on_who_asks_says_so_even_to_nobody(house: House) -> None:
    door = GuardMiddleware(answering(), house.guard)
    # A shared cache that keeps the visitor's page must not give it to a guest.
    assert (await ask_http(door, "GET", "/open")).headers.get("vary") == "Authorization"
    assert "vary" not in (await ask_http(door, "GET", "/health")).headers


# --- other connections -----------------------------------------------------------------------------------------------


async def test_lifespan_passes(house: House) -> None:
    spy = Spy(accepting(None))
    scope: Scope = {"type": "lifespan", "asgi": {"version": "3.0"}}
    received: list[Message] = [{"type": "lifespan.startup"}]

    async def receive() -> Message:
        return received.pop()

    async def send(message: Message) -> None:
        return None

    await GuardMiddleware(spy, house.guard)(scope, receive, send)
    assert spy.scope is scope
    assert "principal" not in scope


@pytest.mark.parametrize("kind", ["webtransport", "HTTP", "", "http2"])
async def test_a_scope_type_that_is_unknown_is_refused(house: House, kind: str) -> None:
    spy = Spy()
    with pytest.raises(RuntimeError, match="lets no"):
        await call(GuardMiddleware(spy, house.guard), {**http_scope("GET", "/health"), "type": kind})
    assert spy.scopes == []


# --- failures --------------------------------------------------------------------------------------------------------


class Broken:
    """An authenticator that fails in a way of one's own choice."""

    prefixes = ("bk",)

    def __init__(self, action: Callable[[], Any]) -> None:
        self._action = action

    def kind_of(self, credential: object, /) -> str | None:
        return "broken"

    def authenticate(self, credential: object, now: float, /) -> Any:
        return self._action()


def _raise(problem: Exception) -> Callable[[], Any]:
    def fail() -> Any:
        raise problem

    return fail


def _later(problem: Exception) -> Callable[[], Any]:
    def inquiry() -> Any:
        yield from ()
        raise problem

    return inquiry


BROKEN = {
    "raises": _raise(ValueError("the secret plan")),
    "raises later": _later(KeyError("the secret plan")),
    "answers None": lambda: None,
    "answers True": lambda: True,
    "answers a name": lambda: "admin",
    "answers another kind": lambda: Principal("own", "s", build().minter().grant, "id"),
}


@pytest.mark.parametrize("action", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("where", ["/v1/call_logs", "/open", "/nowhere"])
async def test_a_guard_that_fails_lets_nobody_in_and_shows_nothing(
    action: Callable[[], Any], where: str, caplog: pytest.LogCaptureFixture
) -> None:
    spy = Spy()
    guard = build(RULES, more=[Broken(action)]).guard
    outcome = await ask_http(GuardMiddleware(spy, guard), "GET", where, bearer("anything"))
    assert (outcome.status, outcome.code) == (500, "internal_error")
    assert b"secret plan" not in outcome.body
    assert b"Traceback" not in outcome.body
    assert spy.scopes == []
    assert [record.levelno for record in caplog.records if record.name == "guestpass"] == [logging.ERROR]


async def test_a_socket_at_a_guard_that_fails_is_refused_too() -> None:
    spy = Spy()
    guard = build(RULES, more=[Broken(_raise(ValueError()))]).guard
    outcome = await ask_socket(GuardMiddleware(spy, guard), "/v1/events", bearer("anything"))
    assert (outcome.status, outcome.code) == (500, "internal_error")
    outcome = await ask_socket(GuardMiddleware(spy, guard), "/v1/events", bearer("anything"), http_response=False)
    assert outcome.sent == [{"type": "websocket.close", "code": 1013, "reason": "internal_error"}]
    assert spy.scopes == []


async def test_a_register_of_accounts_that_fails_lets_nobody_in() -> None:
    def owns(platform: str, account: str) -> bool:
        raise ConnectionError("register")

    house = build(RULES, owns=owns)
    headers = {**bearer(house.key()), "Account-Id": "acct_1"}
    outcome = await ask_http(GuardMiddleware(echo, house.guard), "GET", "/v1/call_logs", headers)
    assert (outcome.status, outcome.code) == (500, "internal_error")


async def test_a_register_of_accounts_out_of_reach_is_503() -> None:
    def owns(platform: str, account: str) -> bool:
        raise StoreUnavailable("register", retry_after=7.2)

    house = build(RULES, owns=owns)
    headers = {**bearer(house.key()), "Account-Id": "acct_1"}
    outcome = await ask_http(GuardMiddleware(echo, house.guard), "GET", "/v1/call_logs", headers)
    assert (outcome.status, outcome.code, outcome.headers["retry-after"]) == (503, "store_unavailable", "8")


@pytest.mark.parametrize("name", ["sk", "cs", "jwt"])
async def test_a_store_out_of_reach_is_503_and_never_401(name: str) -> None:
    whole = build(RULES)
    text = {"sk": whole.key(), "cs": whole.session(), "jwt": whole.token()}[name]
    house = build(RULES, store=Failing(StoreUnavailable("gone", retry_after=3)))
    outcome = await ask_http(GuardMiddleware(echo, house.guard), "GET", "/v1/call_logs", bearer(text))
    assert (outcome.status, outcome.code, outcome.headers["retry-after"]) == (503, "store_unavailable", "3")
    assert "www-authenticate" not in outcome.headers
    assert {"cs": "session", "jwt": "token", "sk": "API key"}[name] in json.loads(outcome.body)["detail"]
    closed = await ask_socket(GuardMiddleware(echo, house.guard), "/v1/events", bearer(text), http_response=False)
    assert closed.sent == [{"type": "websocket.close", "code": 1013, "reason": "store_unavailable"}]


async def test_a_store_that_fails_in_an_unforeseen_way_is_500() -> None:
    text = build(RULES).session()
    house = build(RULES, store=Failing(OSError("/var/lib/guestpass.db: disk on fire")))
    outcome = await ask_http(GuardMiddleware(echo, house.guard), "GET", "/v1/call_logs", bearer(text))
    assert (outcome.status, outcome.code) == (500, "internal_error")
    assert b"disk" not in outcome.body


# --- refusals --------------------------------------------------------------------------------------------------------


async def test_a_refused_head_has_no_body(app: ASGIApp) -> None:
    get, head = await ask_http(app, "GET", "/v1/call_logs"), await ask_http(app, "HEAD", "/v1/call_logs")
    assert get.status == head.status == 401
    assert get.headers == head.headers
    assert get.body
    assert head.body == b""


async def test_the_length_of_a_refusal_is_right(app: ASGIApp) -> None:
    outcome = await ask_http(app, "GET", "/v1/call_logs")
    assert outcome.headers["content-length"] == str(len(outcome.body))
    assert outcome.headers["x-content-type-options"] == "nosniff"
    problem = json.loads(outcome.body)
    assert (problem["type"], problem["title"], problem["status"]) == ("about:blank", "Unauthorized", 401)


async def test_nothing_that_a_stranger_sends_is_reflected(app: ASGIApp) -> None:
    marker = "<script>zq</script>"
    targets = [f"/{marker}", f"/v1/call_logs?{marker}", "/v1/call_logs"]
    for target in targets:
        for headers in (
            {"Authorization": f"Bearer {marker}"},
            {"Authorization": marker},
            {"Account-Id": marker, **bearer("x")},
        ):
            outcome = await ask_http(app, "GET", target, headers)
            assert b"zq" not in outcome.body
            assert "zq" not in str(outcome.headers)


async def test_the_renderer_can_be_exchanged(house: House) -> None:
    def terse(refusal: Refusal, realm: str) -> Answer:
        return Answer(refusal.status, [(b"x-code", refusal.code.encode()), (b"x-realm", realm.encode())], b"no")

    door = GuardMiddleware(echo, house.guard, render=terse)
    outcome = await ask_http(door, "GET", "/v1/call_logs")
    assert (outcome.status, outcome.headers, outcome.body) == (
        401,
        {"x-code": "credential_missing", "x-realm": "api"},
        b"no",
    )


async def test_the_realm_is_that_of_the_guard() -> None:
    door = GuardMiddleware(echo, build(RULES, realm="voice api").guard)
    assert (await ask_http(door, "GET", "/v1/call_logs")).headers["www-authenticate"] == 'Bearer realm="voice api"'


async def test_every_refusal_of_a_session_says_session(house: House, app: ASGIApp) -> None:
    revoked = house.sessions.create(by=house.minter(), account="acct_1")
    short = house.session(expires_in=60)
    plain = house.session(components={})
    house.sessions.revoke(revoked.id)
    house.clock.advance(100)
    requests: list[tuple[str, str, str, dict[str, str]]] = [
        ("GET", "/v1/call_logs", revoked.client_secret, {}),
        ("GET", "/v1/call_logs", short, {}),
        ("GET", "/v1/call_logs", plain, {}),
        ("GET", "/v1/call_logs", plain + "x", {}),
        ("GET", "/v1/call_logs", plain, {"Account-Id": "acct_2"}),
        ("GET", "/nowhere", plain, {}),
        ("POST", "/v1/tickets", plain, {}),
    ]
    codes = set()
    for method, path, secret, more in requests:
        outcome = await ask_http(app, method, path, {**bearer(secret), **more})
        codes.add(outcome.code)
        assert "session" in json.loads(outcome.body)["detail"]
    assert len(codes) == len(requests)


# --- WebSockets ------------------------------------------------------------------------------------------------------


OFFERS: list[tuple[Sequence[str], Sequence[str]]] = [
    (("client_secret", "{}"), ()),
    (("client_secret", "{}", "graphql-transport-ws"), ("graphql-transport-ws",)),
    (("graphql-transport-ws", "client_secret", "{}"), ("graphql-transport-ws",)),
    (("mqtt", "client_secret", "{}", "graphql-ws"), ("mqtt", "graphql-ws")),
]


@pytest.mark.parametrize(("offered", "left"), OFFERS)
@pytest.mark.parametrize("path", ["/v1/events", "/v1/news"])
async def test_the_pair_is_taken_out_of_what_the_application_sees(
    house: House, offered: Sequence[str], left: Sequence[str], path: str
) -> None:
    spy = Spy()
    secret = house.session()
    outcome = await ask_socket(GuardMiddleware(spy, house.guard), path, (), [name.format(secret) for name in offered])
    assert outcome.status == 101
    assert spy.scope["subprotocols"] == list(left)
    shown = [value.decode() for name, value in spy.scope["headers"] if name == b"sec-websocket-protocol"]
    assert shown == ([", ".join(left)] if left else [])
    assert secret not in str(spy.scope["headers"])


async def test_the_pair_is_taken_out_of_every_header_that_shows_it(house: House) -> None:
    spy = Spy()
    secret = house.session()
    scope = socket_scope("/v1/events", (), ["client_secret", secret])
    scope["headers"].append((b"Sec-WebSocket-Protocol", secret.encode()))
    await call(GuardMiddleware(spy, house.guard), scope)
    assert secret not in str(spy.scope["headers"])


@pytest.mark.parametrize(
    "offered",
    [
        ("client_secret", "{}", "client_secret", "{}"),
        ("token", "client_secret", "{}"),
        ("{}", "client_secret"),
        ("client_secret",),
    ],
)
async def test_where_a_public_socket_is_offered_no_proper_pair_the_application_sees_no_credential(
    house: House, offered: Sequence[str]
) -> None:
    spy = Spy()
    secret = house.session()
    names = [name.format(secret) for name in offered]
    outcome = await ask_socket(GuardMiddleware(spy, house.guard), "/v1/news", (), names)
    assert outcome.status == 101
    if "client_secret" in names[:-1]:
        assert secret not in str(spy.scope["subprotocols"])
        assert secret not in str(spy.scope["headers"])


@pytest.mark.parametrize(
    ("own", "answered"),
    [(None, "client_secret"), ("", "client_secret"), ("graphql-transport-ws", "graphql-transport-ws")],
)
async def test_accept_answers_the_applications_protocol_or_the_pairs_name(
    house: House, own: str | None, answered: str
) -> None:
    secret = house.session()
    door = GuardMiddleware(accepting(own, headers=[(b"x-a", b"b")]), house.guard)
    outcome = await ask_socket(door, "/v1/events", (), ["client_secret", secret, "graphql-transport-ws"])
    accepted = outcome.first("websocket.accept")
    assert accepted is not None
    assert accepted["subprotocol"] == answered
    assert accepted["headers"] == [(b"x-a", b"b")]
    assert secret not in str(outcome.sent)


async def test_without_a_pair_accept_is_as_the_application_says(house: House) -> None:
    door = GuardMiddleware(accepting(None), house.guard)
    outcome = await ask_socket(door, "/v1/events", bearer(house.session()), ["graphql-transport-ws"])
    accepted = outcome.first("websocket.accept")
    assert accepted is not None
    assert accepted["subprotocol"] is None


async def test_a_refused_handshake_with_http_response_is_a_whole_answer(app: ASGIApp) -> None:
    outcome = await ask_socket(app, "/v1/events", (), ["client_secret", "cs_live_nonsense"])
    kinds = [message["type"] for message in outcome.sent]
    assert kinds == ["websocket.http.response.start", "websocket.http.response.body"]
    assert (outcome.status, outcome.code) == (401, "credential_invalid")
    assert outcome.headers["www-authenticate"] == 'Bearer realm="api", error="invalid_token"'


async def test_a_refused_handshake_can_be_accepted_to_show_its_close_code(house: House) -> None:
    door = GuardMiddleware(echo, house.guard, websocket_refusal="accept")
    bad = "cs_live_nonsense"
    outcome = await ask_socket(door, "/v1/events", (), ["client_secret", bad, "mqtt"], http_response=False)
    assert outcome.sent == [
        {"type": "websocket.accept", "subprotocol": "client_secret"},
        {"type": "websocket.close", "code": 3000, "reason": "credential_invalid"},
    ]
    nobody = await ask_socket(door, "/v1/events", http_response=False)
    assert nobody.sent[0] == {"type": "websocket.accept", "subprotocol": None}


async def test_a_server_without_extensions_is_no_trouble(app: ASGIApp) -> None:
    scope = socket_scope("/v1/events")
    scope["extensions"] = None
    assert (await call(app, scope)).sent == [{"type": "websocket.close", "code": 3000, "reason": "credential_missing"}]
    del scope["extensions"], scope["subprotocols"], scope["root_path"], scope["query_string"], scope["raw_path"]
    assert (await call(app, scope)).sent == [{"type": "websocket.close", "code": 3000, "reason": "credential_missing"}]


async def test_a_client_that_is_gone_already_is_not_answered(app: ASGIApp) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.disconnect", "code": 1006}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(socket_scope("/v1/events"), receive, send)
    assert sent == []


# --- cross origin ----------------------------------------------------------------------------------------------------

PAGE = "https://shop.example"
PREFLIGHT = {"Origin": PAGE, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}


async def test_a_preflight_that_reaches_the_guard_names_the_missing_setting(app: ASGIApp) -> None:
    outcome = await ask_http(app, "OPTIONS", "/v1/call_logs", PREFLIGHT)
    assert (outcome.status, outcome.code) == (401, "credential_missing")
    assert "allow_origins" in json.loads(outcome.body)["detail"]


async def test_a_true_preflight_is_answered_before_the_guard(house: House) -> None:
    spy = Spy()
    door = GuardMiddleware(spy, house.guard, allow_origins=[PAGE])
    outcome = await ask_http(
        door,
        "OPTIONS",
        "/v1/call_logs",
        {**PREFLIGHT, "Access-Control-Request-Headers": "authorization, content-type, account-id"},
    )
    assert outcome.status == 200
    assert outcome.headers["access-control-allow-origin"] == PAGE
    assert {"GET", "POST"} <= set(outcome.headers["access-control-allow-methods"].split(", "))
    allowed = outcome.headers["access-control-allow-headers"].lower()
    assert all(name in allowed for name in ("authorization", "content-type", "account-id"))
    assert "access-control-allow-credentials" not in outcome.headers
    assert spy.scopes == []


async def test_a_preflight_of_another_origin_is_not_allowed(house: House) -> None:
    door = GuardMiddleware(echo, house.guard, allow_origins=[PAGE])
    outcome = await ask_http(door, "OPTIONS", "/v1/call_logs", {**PREFLIGHT, "Origin": "https://evil.example"})
    assert outcome.status == 400
    assert "access-control-allow-origin" not in outcome.headers


async def test_the_account_header_of_the_guard_is_allowed_in_preflights() -> None:
    door = GuardMiddleware(echo, build(RULES, account_header="DialStack-Account").guard, allow_origins=[PAGE])
    outcome = await ask_http(door, "OPTIONS", "/v1/call_logs", PREFLIGHT)
    assert "dialstack-account" in outcome.headers["access-control-allow-headers"].lower()


@pytest.mark.parametrize("credential", [None, "nonsense"])
async def test_a_page_can_read_a_refusal(house: House, credential: str | None) -> None:
    door = GuardMiddleware(echo, house.guard, allow_origins=[PAGE])
    headers = {"Origin": PAGE, **({} if credential is None else bearer(credential))}
    outcome = await ask_http(door, "GET", "/v1/call_logs", headers)
    assert outcome.status == 401
    assert outcome.headers["access-control-allow-origin"] == PAGE
    assert {"WWW-Authenticate", "Retry-After"} <= set(outcome.headers["access-control-expose-headers"].split(", "))
    assert {"authorization", "origin"} <= {name.strip().lower() for name in outcome.headers["vary"].split(",")}


async def test_sockets_go_past_the_cors_wrapper(house: House) -> None:
    door = GuardMiddleware(echo, house.guard, allow_origins=[PAGE])
    outcome = await ask_socket(door, "/v1/events", {"Origin": PAGE}, ["client_secret", house.session()])
    assert outcome.status == 101
    assert (await ask_socket(door, "/v1/events", {"Origin": PAGE})).status == 401


async def test_preflight_pass_hands_it_on_and_nothing_else(house: House) -> None:
    spy = Spy()
    door = GuardMiddleware(spy, house.guard, preflight="pass")
    assert (await ask_http(door, "OPTIONS", "/v1/call_logs", PREFLIGHT)).status == 200
    assert spy.scope["principal"] is None
    halves: list[tuple[str, dict[str, str]]] = [
        ("OPTIONS", {"Origin": PAGE}),
        ("OPTIONS", {"Access-Control-Request-Method": "GET"}),
        ("GET", PREFLIGHT),
        ("OPTIONS", {}),
    ]
    for method, headers in halves:
        assert (await ask_http(door, method, "/v1/call_logs", headers)).status == 401
    assert len(spy.scopes) == 1
    outcome = await ask_socket(door, "/v1/events", PREFLIGHT)
    assert outcome.status == 401


async def test_cors_settings_that_cannot_be_right_are_refused_at_construction() -> None:
    guard = build(RULES).guard
    with pytest.raises(ConfigurationError, match=r"POST /v1/tickets.*name the origins"):
        GuardMiddleware(echo, guard, allow_origins=["*"])
    with pytest.raises(ConfigurationError, match="a list of origins"):
        GuardMiddleware(echo, guard, allow_origins=PAGE)
    open_guard = build([Rule("GET /v1/call_logs")]).guard
    assert (
        await ask_http(GuardMiddleware(echo, open_guard, allow_origins=["*"]), "OPTIONS", "/v1/call_logs", PREFLIGHT)
    ).status == 200


async def test_an_empty_policy_is_refused_at_construction() -> None:
    with pytest.raises(ConfigurationError, match="empty policy"):
        GuardMiddleware(echo, build(policy()).guard)


# --- the scope as the guard sees it ----------------------------------------------------------------------------------


async def test_nothing_presented_is_in_the_repr_of_a_request(house: House) -> None:
    secret = house.session()
    for scope in (
        http_scope("GET", f"/v1/call_logs?token={secret}", bearer(secret)),
        socket_scope("/v1/events", (), ["client_secret", secret]),
    ):
        assert secret not in repr(request_of(scope))


async def test_a_credential_of_a_socket_is_forgotten_at_its_end(house: House, app: ASGIApp) -> None:
    secret = house.session(expires_in=60)
    assert (await ask_socket(app, "/v1/events", (), ["client_secret", secret])).status == 101
    house.clock.now = START + 60
    assert (await ask_socket(app, "/v1/events", (), ["client_secret", secret])).code == "session_expired"


async def test_what_a_socket_presented_opens_nothing_as_a_header(house: House, app: ASGIApp) -> None:
    secret = house.session()
    assert (await ask_socket(app, "/v1/events", (), ["client_secret", secret])).status == 101
    # The cache knows the pair now; a header that spells its key is still no credential.
    for value in (f"\0client_secret\0{secret}", f"client_secret\0{secret}", f"client_secret, {secret}", secret):
        assert (await ask_http(app, "GET", "/v1/call_logs", {"Authorization": value})).status in (400, 401)


async def test_a_live_socket_is_closed_when_its_session_is_revoked(house: House) -> None:
    made = house.sessions.create(by=house.minter(), account="acct_1")
    client = Connection()
    client.come({"type": "websocket.connect"})

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        house.sessions.revoke(made.id)
        assert (await receive())["type"] == "websocket.disconnect"

    door = GuardMiddleware(application, house.guard)
    with anyio.fail_after(5):
        await door(socket_scope("/v1/events", bearer(made.client_secret)), client.receive, client.send)
    assert [message.get("code") for message in client.sent] == [None, 3000]


async def test_a_long_answer_is_broken_off_when_its_session_is_revoked(house: House) -> None:
    made = house.sessions.create(by=house.minter(), account="acct_1")
    client = Connection()
    client.come({"type": "http.request"})

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        house.sessions.revoke(made.id)
        assert (await receive())["type"] == "http.disconnect"

    for settings, broken in (({}, True), ({"end_streams": ()}, False)):
        door = GuardMiddleware(application, house.guard, **settings)  # type: ignore[arg-type] # one setting, or none
        scope = http_scope("GET", "/v1/call_logs", bearer(made.client_secret))
        with anyio.fail_after(5), pytest.raises(ConnectionEnded) if broken else contextlib.nullcontext():
            await door(scope, client.receive, client.send)
        made = house.sessions.create(by=house.minter(), account="acct_1")
        client.come({"type": "http.request"})
        client.come({"type": "http.disconnect"})


async def test_who_came_without_a_credential_has_none_that_ends(house: House) -> None:
    door = GuardMiddleware(answering((b"content-type", b"text/event-stream")), house.guard, end_streams="all")
    for path in ("/open", "/health"):
        assert (await ask_http(door, "GET", path)).body == b"{}"


@pytest.mark.anyio
async def test_a_root_that_ends_in_a_slash_makes_no_empty_segment(house: House) -> None:
    spy = Spy()
    outcome = await call(
        GuardMiddleware(spy, house.guard),
        http_scope("GET", "/v1/call_logs", bearer(house.session()), root_path="/api/"),
    )
    assert outcome.status == 200
    assert (spy.scope["root_path"], spy.scope["path"]) == ("", "/v1/call_logs")
