"""The forward-auth door: whose word it takes, what it is asked, and what it answers. The verdicts themselves are the
case table's, in `test_doors`; the real proxies are in `real/test_proxies`."""

import functools
import json
import logging
from collections.abc import Collection
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwarding import PEER, PREFIX, PROXIES, question
from guestpass import ConfigurationError, Credential, Grant, Principal, Refusal, Rule, StoreUnavailable
from guestpass.asgi import ASGIApp, GuardMiddleware, Message, Scope
from guestpass.forward_auth import MAX_PROBLEM, ProxyName, forward_auth
from guestpass.grants import ALL
from guestpass.identity_headers import IDENTITY_HEADERS, read_identity_headers
from guestpass.problems import Answer, render
from guestpass.refusals import CASES
from support import (
    START,
    Failing,
    HeaderItems,
    House,
    Outcome,
    bearer,
    build,
    call,
    echo,
    http_scope,
    raw_headers,
    socket_scope,
)

pytestmark = pytest.mark.anyio

LOGS = "/v1/call_logs"
RULES = (
    Rule("GET,POST /v1/call_logs", component="call_logs"),
    Rule("GET /v1/me", account=False, role=None),
    Rule("GET /v1/query", account="query:account_id"),
    Rule("GET /health", public=True, reason="probes have no credential"),
    Rule("GET /open", public=True, optional=True, reason="a visitor sees the plain page"),
    Rule("WEBSOCKET /v1/events", component="call_logs"),
    Rule("GET /v1/both", role="admin"),
    Rule("WEBSOCKET /v1/both"),
    Rule("WEBSOCKET /news", public=True, reason="news are for all"),
)
ALL_NAMES = [name.lower() for name in (*IDENTITY_HEADERS, "Guestpass-Subprotocol")]


@pytest.fixture
def house() -> House:
    return build(RULES)


def app_for(house: House, proxy: ProxyName = "nginx", **settings: Any) -> ASGIApp:
    """The application that `proxy` asks."""
    prefix = PREFIX if proxy == "envoy" else ""
    return forward_auth(house.guard, **{"proxy": proxy, "trusted": ["127.0.0.1"], "path_prefix": prefix, **settings})


async def ask(
    house: House, target: str = LOGS, headers: HeaderItems = (), *, proxy: ProxyName = "nginx", **settings: Any
) -> Outcome:
    """What `proxy` is answered about a GET."""
    return await call(app_for(house, proxy, **settings), question(proxy, http_scope("GET", target, headers)))


async def ask_socket(
    house: House, target: str, subprotocols: Collection[str] = (), headers: HeaderItems = (), proxy: ProxyName = "nginx"
) -> Outcome:
    """What `proxy` is answered about a handshake."""
    scope = socket_scope(target, headers, list(subprotocols))
    return await call(app_for(house, proxy, sockets=True), question(proxy, scope))


def put(asked: Scope, name: str, *values: str) -> Scope:
    """`asked` with exactly these values of a header."""
    headers = [entry for entry in asked["headers"] if entry[0] != name.lower().encode()]
    return {**asked, "headers": [*headers, *raw_headers([(name, value) for value in values])]}


def misasked(outcome: Outcome, caplog: pytest.LogCaptureFixture, *says: str) -> None:
    """Nobody is let in, and the operator, who alone can help, finds out what to do."""
    assert outcome.code == "internal_error"
    assert outcome.headers.get("guestpass-status", str(outcome.status)) == "500"
    assert not set(ALL_NAMES) & set(outcome.headers)
    records = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(records) == 1
    for text in (*says, "nobody was let in"):
        assert text in records[0].getMessage()


# Settings


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"proxy": "apache"}, "one of 'nginx', 'traefik', 'caddy', 'envoy'"),
        ({"trusted": []}, "the addresses of the proxy"),
        ({"trusted": "127.0.0.1"}, "the addresses of the proxy"),
        ({"trusted": ["localhost"]}, "localhost"),
        ({"trusted": ["10.0.0.1/8"]}, "host bits set"),
        ({"trusted": ["0.0.0.0/0"]}, "everybody"),
        ({"trusted": ["127.0.0.1", "::/0"]}, "everybody"),
        ({"preflight": "maybe"}, '"refuse" or "pass"'),
        ({"root_path": "api"}, 'a path such as "/api"'),
        ({"root_path": "/api/"}, 'a path such as "/api"'),
        ({"proxy": "envoy", "path_prefix": "/check/"}, 'a path such as "/api"'),
        ({"path_prefix": "/check"}, 'proxy="envoy"'),
    ],
)
def test_settings_that_cannot_work_are_refused(house: House, settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=r"forward_auth\(") as raised:
        forward_auth(house.guard, **{"proxy": "nginx", "trusted": ["127.0.0.1"], **settings})
    assert says in str(raised.value)


def test_a_policy_without_rules_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="empty policy"):
        forward_auth(build().guard, proxy="nginx", trusted=["unix"])


# Who may ask


@pytest.mark.parametrize(
    ("trusted", "client", "server", "believed"),
    [
        (["127.0.0.1"], ("127.0.0.1", 5), ("127.0.0.1", 9000), True),
        (["127.0.0.1"], ("127.0.0.2", 5), ("127.0.0.1", 9000), False),
        (["10.1.0.0/16"], ("10.1.2.3", 5), ("0.0.0.0", 9000), True),
        (["10.1.0.0/16"], ("10.2.2.3", 5), ("0.0.0.0", 9000), False),
        (["192.0.2.1", "10.1.0.0/16"], ("10.1.2.3", 5), ("0.0.0.0", 9000), True),
        (["127.0.0.1"], ("::ffff:127.0.0.1", 5), ("::", 9000), True),
        (["127.0.0.1"], ("::1", 5), ("::", 9000), False),
        (["::1"], ("::1", 5), ("::", 9000), True),
        (["fe80::/64"], ("fe80::1%eth0", 5), ("::", 9000), True),
        (["fd00::/8"], ("127.0.0.1", 5), ("::", 9000), False),
        (["127.0.0.1"], ("nginx.internal", 5), ("127.0.0.1", 9000), False),
        (["127.0.0.1"], ("", 5), ("127.0.0.1", 9000), False),
        (["127.0.0.1"], None, ("/run/gate", None), False),
        (["127.0.0.1"], None, None, False),
        (["unix"], None, ("/run/gate", None), True),
        (["unix"], None, None, True),
        # A connection over TCP that is gone again: the server does not know whose it was.
        (["unix"], None, ("127.0.0.1", 9000), False),
        (["unix"], ("127.0.0.1", 5), ("127.0.0.1", 9000), False),
        (["unix", "127.0.0.1"], ("127.0.0.1", 5), ("127.0.0.1", 9000), True),
    ],
)
@pytest.mark.parametrize("proxy", PROXIES)
async def test_only_the_proxy_may_ask(
    house: House,
    caplog: pytest.LogCaptureFixture,
    trusted: list[str],
    client: tuple[str, int] | None,
    server: tuple[str, int | None] | None,
    believed: bool,
    proxy: ProxyName,
) -> None:
    asked = {**question(proxy, http_scope("GET", LOGS, bearer(house.session()))), "client": client, "server": server}
    outcome = await call(app_for(house, proxy, trusted=trusted), asked)
    if believed:
        assert outcome.status == 200
    else:
        misasked(outcome, caplog, "asked by", "trusted=…")


async def test_a_server_that_rewrites_addresses_is_told_of(house: House, caplog: pytest.LogCaptureFixture) -> None:
    asked = {**question("traefik", http_scope("GET", LOGS)), "client": ("203.0.113.9", 0)}
    misasked(await call(app_for(house, "traefik"), asked), caplog, "'203.0.113.9'", "uvicorn --no-proxy-headers")


# What is asked


NAMED = {
    "nginx": (("X-Original-Method", "$request_method"), ("X-Original-URI", "$request_uri")),
    "traefik": (("X-Forwarded-Method", "by itself"), ("X-Forwarded-Uri", "by itself")),
    "caddy": (("X-Forwarded-Method", "by itself"), ("X-Forwarded-Uri", "by itself")),
}
EACH = [(proxy, name, line) for proxy, named in NAMED.items() for name, line in named]


@pytest.mark.parametrize(("proxy", "name", "line"), EACH)
async def test_method_and_path_stand_there_once(
    house: House, caplog: pytest.LogCaptureFixture, proxy: ProxyName, name: str, line: str
) -> None:
    asked = question(proxy, http_scope("GET", LOGS, bearer(house.session())))
    app = app_for(house, proxy)
    assert (await call(app, asked)).status == 200
    (value,) = [value.decode() for key, value in asked["headers"] if key == name.lower().encode()]
    absent: list[tuple[str, ...]] = [(), ("",), (" ",)]
    for wrong in absent:
        caplog.clear()
        misasked(await call(app, put(asked, name, *wrong)), caplog, f"{name.lower()} is missing", line)
    for doubled in ((value, value), ("GET", value), (value, "")):
        caplog.clear()
        misasked(await call(app, put(asked, name, *doubled)), caplog, f"{name.lower()} stands there 2 times")
    caplog.clear()
    twin: Scope = {**asked, "headers": [*asked["headers"], (name.lower().replace("-", "_").encode(), value.encode())]}
    misasked(await call(app, twin), caplog, f"{name.lower()} stands there 2 times")


@pytest.mark.parametrize("proxy", PROXIES)
async def test_the_headers_of_other_proxies_say_nothing(house: House, proxy: ProxyName) -> None:
    own = {name.lower() for name, _ in NAMED.get(proxy, ())}
    said = {
        "X-Original-Method": "GET",
        "X-Original-URI": "/health",
        "X-Forwarded-Method": "GET",
        "X-Forwarded-Uri": "/health",
    }
    foreign = {name: value for name, value in said.items() if name.lower() not in own}
    asked = question(
        proxy, http_scope("DELETE", LOGS, {**bearer(house.session()), **foreign, "X-Original-URL": "/health"})
    )
    outcome = await call(app_for(house, proxy), asked)
    assert outcome.code == "rule_missing"
    # What the question itself was sent to says nothing either, but for Envoy, whose question has the request's own.
    if proxy != "envoy":
        elsewhere = {**asked, "method": "POST", "path": "/health", "raw_path": b"/health", "query_string": b"x=1"}
        assert (await call(app_for(house, proxy), elsewhere)).code == "rule_missing"


TARGETS = [
    "*", "v1/call_logs", "http://api.example/v1/call_logs", "//v1/call_logs", "/v1/call_logs#", "/health#/v1/call_logs",
    "/health?x=1#y", "/hea lth", "/health\xe9", "/health\x00", "/health\x7f", "/v1/../health", "/health;x",
    "?x=/health", "/health%2f", "/%2e/health", "/health\\", "/hea\nlth",
]  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("proxy", PROXIES)
async def test_what_is_no_path_is_nobodys(house: House, proxy: ProxyName, target: str) -> None:
    scope = http_scope("GET", "/")
    sent, _, query = target.partition("?")
    scope["raw_path"], scope["query_string"] = sent.encode("latin-1"), query.encode("latin-1")
    outcome = await call(app_for(house, proxy), question(proxy, scope))
    assert outcome.code == "path_ambiguous"
    assert outcome.headers.get("guestpass-status", str(outcome.status)) == "400"


@pytest.mark.parametrize("proxy", PROXIES)
async def test_the_query_names_the_account(house: House, proxy: ProxyName) -> None:
    mine = bearer(house.session())
    for query, code in (
        ("account_id=acct_1", None),
        ("account%5Fid=acct%5F1&x=%2f//..;", None),
        ("account_id=acct_2", "account_mismatch"),
        ("account_id=acct_1&account_id=acct_2", "account_mismatch"),
        ("account_id=acct_1?account_id=acct_2", "account_mismatch"),
    ):
        assert (await ask(house, f"/v1/query?{query}", mine, proxy=proxy)).code == code, query


@functools.cache
def shared() -> tuple[House, str]:
    """A house for many examples, none of which changes it, and a session there."""
    house = build(RULES)
    return house, house.session()


@given(
    target=st.lists(
        st.sampled_from(("/", "v1", "call_logs", "health", "..", "%2e", "%2f", ";", "?", "#", "%", "%41", "\\"))
    ),
    more=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=6),
)
def test_no_target_is_read_in_another_way_than_by_a_server(target: list[str], more: str) -> None:
    sent = "/" + "".join(target) + more
    house, secret = shared()
    scope = http_scope("GET", sent, bearer(secret))

    async def asked(proxy: ProxyName) -> str | None:
        return (await call(app_for(house, proxy), question(proxy, scope))).code

    async def served() -> str | None:
        return (await call(GuardMiddleware(echo, house.guard), scope)).code

    expected = "path_ambiguous" if "#" in sent else anyio.run(served)
    for proxy in PROXIES:
        assert anyio.run(asked, proxy) == expected


async def test_envoy_puts_a_prefix_before_the_path(house: House, caplog: pytest.LogCaptureFixture) -> None:
    mine = bearer(house.session())
    assert (await ask(house, LOGS, mine, proxy="envoy")).status == 200
    asked = question("envoy", http_scope("GET", LOGS, mine))
    assert (await call(app_for(house, "envoy"), {**asked, "raw_path": b"/checkers", "path": "/checkers"})).status == 400
    assert (await call(app_for(house, "envoy"), {**asked, "raw_path": b"/check", "path": "/check"})).status == 400
    # Some servers show the query there too.
    shown = {**asked, "raw_path": asked["raw_path"] + b"?x=1", "query_string": b"x=1"}
    assert (await call(app_for(house, "envoy"), shown)).status == 200
    misasked(await call(app_for(house, "envoy"), {**asked, "raw_path": LOGS.encode()}), caplog, "path_prefix='/check'")
    caplog.clear()
    misasked(await call(app_for(house, "envoy"), {**asked, "raw_path": None}), caplog, "raw_path")
    assert (await call(app_for(house, "envoy", path_prefix=""), {**asked, "raw_path": LOGS.encode()})).status == 200


async def test_envoy_joins_what_came_twice(house: House) -> None:
    good = f"Bearer {house.session()}"
    for values in ((good, good), ("Basic YTpi", good), (good, "Basic YTpi")):
        outcome = await ask(house, LOGS, [("Authorization", value) for value in values], proxy="envoy")
        assert outcome.code == "credential_malformed"
    for values, code in ((("acct_1", "acct_1"), None), (("acct_1", "acct_2"), "account_mismatch")):
        headers = [("Authorization", good), *(("Account-Id", value) for value in values)]
        assert (await ask(house, LOGS, headers, proxy="envoy")).code == code


async def test_a_root_is_cut_off_by_whole_segments(house: House) -> None:
    mine = bearer(house.session())
    for proxy in PROXIES:
        for target, code in (
            ("/api" + LOGS, None),
            (LOGS, None),
            ("/api2" + LOGS, "path_ambiguous"),
            ("/api", "rule_missing"),
        ):
            assert (await ask(house, target, mine, proxy=proxy, root_path="/api")).code == code


# Sockets


@pytest.mark.parametrize("proxy", PROXIES)
async def test_a_handshake_needs_the_setting(house: House, caplog: pytest.LogCaptureFixture, proxy: ProxyName) -> None:
    secret = bearer(house.session(roles={"admin"}))
    handshake = [*secret.items(), ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]
    misasked(await ask(house, "/v1/both", handshake, proxy=proxy), caplog, "sockets=True")
    # Without it nobody's word makes a request a handshake.
    asked = put(question(proxy, http_scope("GET", "/v1/events", secret)), "X-Original-Upgrade", "websocket")
    assert (await call(app_for(house, proxy), asked)).code == "rule_missing"


@pytest.mark.parametrize("proxy", PROXIES)
async def test_what_the_proxy_upgrades_to_stands_there_once(
    house: House, caplog: pytest.LogCaptureFixture, proxy: ProxyName
) -> None:
    app = app_for(house, proxy, sockets=True)
    session = bearer(house.session())
    asked = question(proxy, http_scope("GET", "/v1/both", session))
    for value in ("-", "", " "):
        assert (await call(app, put(asked, "X-Original-Upgrade", value))).code == "role_insufficient"
    for value in ("websocket", "WebSocket", " websocket "):
        assert (await call(app, put(asked, "X-Original-Upgrade", value))).status == 200
    for values, says in (
        ((), "x-original-upgrade is missing"),
        (("websocket", "-"), "x-original-upgrade stands there 2 times"),
        (("-", "-"), "x-original-upgrade stands there 2 times"),
        (("h2c",), "no WebSocket handshake"),
        (("websocket/13",), "no WebSocket handshake"),
    ):
        caplog.clear()
        misasked(await call(app, put(asked, "X-Original-Upgrade", *values)), caplog, says)
    caplog.clear()
    posted = question(proxy, http_scope("POST", "/v1/both", session))
    misasked(await call(app, put(posted, "X-Original-Upgrade", "websocket")), caplog, "no WebSocket handshake")


@pytest.mark.parametrize("proxy", PROXIES)
async def test_the_pair_is_taken_out_of_what_goes_on(house: House, proxy: ProxyName) -> None:
    secret = house.session()
    pair = ("client_secret", secret)
    for offered, left, announced in (
        (pair, None, "client_secret"),
        ((*pair, "chat"), "chat", "client_secret"),
        (("graphql-transport-ws", *pair, "chat"), "graphql-transport-ws, chat", "client_secret"),
    ):
        outcome = await ask_socket(house, "/v1/events", offered, proxy=proxy)
        assert outcome.status == 200
        assert outcome.headers.get("sec-websocket-protocol") == left
        assert outcome.headers["guestpass-subprotocol"] == announced
        assert secret not in str(outcome.headers)
        removed = outcome.headers.get("x-envoy-auth-headers-to-remove")
        assert removed == ("sec-websocket-protocol" if proxy == "envoy" and left is None else None)
    by_header = await ask_socket(house, "/v1/events", ("chat",), bearer(secret), proxy)
    assert (by_header.headers["sec-websocket-protocol"], by_header.headers["guestpass-subprotocol"]) == ("chat", "-")
    public = await ask_socket(house, "/news", ("token", secret), proxy=proxy)
    assert secret not in str(public.headers)
    assert public.headers["guestpass-subprotocol"] == "token"


async def test_a_pair_in_two_headers_is_one(house: House) -> None:
    for proxy in PROXIES:
        scope = socket_scope("/v1/events")
        scope["headers"] += raw_headers(
            [("Sec-WebSocket-Protocol", "chat, client_secret"), ("Sec-WebSocket-Protocol", f"{house.session()},")]
        )
        outcome = await call(app_for(house, proxy, sockets=True), question(proxy, scope))
        assert (outcome.status, outcome.headers["sec-websocket-protocol"]) == (200, "chat")


async def test_a_question_that_is_a_handshake_itself_is_refused(house: House, caplog: pytest.LogCaptureFixture) -> None:
    scope = socket_scope("/health")
    scope["client"] = PEER
    outcome = await call(app_for(house, "traefik", sockets=True), scope)
    assert [message["type"] for message in outcome.sent] == ["websocket.close"]
    assert "leave out Upgrade and Connection" in caplog.text


# Let in


async def identities(house: House) -> list[Outcome]:
    """One answer for each way in."""
    proxy: ProxyName = "nginx"
    key = {**bearer(house.key()), "Account-Id": "acct_7"}
    token = bearer(house.token(metadata={"plan": "pro"}, components={"call_logs": {"enabled": True}}))
    preflight = {"Origin": "https://shop.example", "Access-Control-Request-Method": "GET"}
    options = question(proxy, http_scope("OPTIONS", LOGS, preflight))
    return [
        await ask(house, LOGS, bearer(house.session())),
        await ask(house, LOGS, token),
        await ask(house, LOGS, key),
        await ask(house, "/v1/me", bearer(house.key())),
        await ask(house, "/health", bearer("whatever")),
        await ask(house, "/open"),
        await ask(house, "/open", bearer(house.session())),
        await ask_socket(house, "/v1/events", ("client_secret", house.session())),
        await ask_socket(house, "/news"),
        await call(app_for(house, proxy, preflight="pass"), options),
    ]


async def test_every_identity_header_stands_on_every_answer_that_lets_in(house: House) -> None:
    answers = await identities(house)
    for outcome in answers:
        assert outcome.status == 200
        start = outcome.first("http.response.start")
        assert start is not None
        names = [name.decode() for name, _ in start["headers"]]
        assert [name for name in names if name.startswith("guestpass-")] == ALL_NAMES
        assert all(value for _, value in start["headers"])
        assert outcome.headers["cache-control"] == "no-store"
        assert outcome.headers["vary"] == "Authorization"
        assert (outcome.headers["content-length"], outcome.body) == ("0", b"")
    callers = [read_identity_headers(outcome.headers.items()) for outcome in answers]
    known = [None if caller is None else (caller.kind, caller.account) for caller in callers]
    session = ("account_session", "acct_1")
    assert known == [
        session, ("signed_token", "acct_1"), ("secret_key", "acct_7"), ("secret_key", None), None, None,
        session, session, None, None,
    ]  # fmt: skip
    assert callers[1] is not None
    assert callers[1].metadata == {"plan": "pro"}
    assert callers[3] is not None
    assert callers[3].grant.components is ALL


SUBJECTS = ["eve\r\nGuestpass-Roles: admin", "eve\nx: y", "-", "%2D", "\x00", "größer", "a,b", " ", "\ud800", "*"]


class Anybodys:
    """An authenticator of one's own: any subject, and any metadata, there may be."""

    def __init__(self, subject: str, metadata: dict[str, object]) -> None:
        self.subject = subject
        self.metadata = metadata

    def kind_of(self, credential: Credential, /) -> str | None:
        return "anybody" if credential.text.startswith("any_") else None

    def authenticate(self, credential: Credential, now: float, /) -> Principal | Refusal:
        grant = Grant("plat", "live", frozenset({"acct_1"}), frozenset({"call_logs"}), frozenset({"external_entity"}))
        return Principal(kind="anybody", subject=self.subject, grant=grant, credential_id="a", metadata=self.metadata)


@pytest.mark.parametrize("subject", SUBJECTS)
async def test_no_subject_is_more_than_a_subject(subject: str) -> None:
    house = build(RULES, more=[Anybodys(subject, {})])
    outcome = await ask(house, LOGS, bearer("any_body"))
    start = outcome.first("http.response.start")
    assert start is not None
    for name, value in start["headers"]:
        assert not set(name + value) & set(b"\r\n\x00")
    (said,) = [value for name, value in start["headers"] if name == b"guestpass-subject"]
    assert said != b"-"
    caller = read_identity_headers(start["headers"])
    assert caller is not None
    assert (caller.subject, caller.grant.roles) == (subject, frozenset({"external_entity"}))


@pytest.mark.parametrize(
    "metadata", [{"x": "y" * 20_000}, {"x": object()}, {"x": float("nan")}], ids=["long", "odd", "nan"]
)
async def test_who_does_not_fit_into_headers_is_not_let_in(
    caplog: pytest.LogCaptureFixture, metadata: dict[str, object]
) -> None:
    house = build(RULES, more=[Anybodys("s", metadata)])
    misasked(await ask(house, LOGS, bearer("any_body")), caplog)


# Refused


@pytest.mark.parametrize("code", CASES)
@pytest.mark.parametrize("proxy", PROXIES)
async def test_a_refusal_keeps_its_status(house: House, code: str, proxy: ProxyName) -> None:
    class Refusing(Anybodys):
        def authenticate(self, credential: Credential, now: float, /) -> Principal | Refusal:
            return Refusal(code, "credential", "Größer “than” life.")

    made = build(RULES, more=[Refusing("s", {})])
    outcome = await ask(made, LOGS, bearer("any_body"), proxy=proxy)
    plain = render(Refusal(code, "credential", "Größer “than” life."), "api")
    assert outcome.body == plain.body
    headers = outcome.headers
    for name, value in plain.headers:
        assert headers[name.decode()] == value.decode()
    if proxy == "nginx":
        assert outcome.status == (401 if plain.status == 401 else 403)
        assert headers["guestpass-status"] == str(plain.status)
        assert headers["guestpass-refusal"] == code
        assert headers["guestpass-problem"].encode() == plain.body
    else:
        assert outcome.status == plain.status
        assert not [name for name in headers if name.startswith("guestpass-")]


async def test_an_outage_says_when_to_come_again(house: House) -> None:
    secret = house.session()
    silent = build(RULES, store=Failing(StoreUnavailable("it does not answer", retry_after=7)))
    for proxy in PROXIES:
        outcome = await ask(silent, LOGS, bearer(secret), proxy=proxy)
        assert outcome.code == "store_unavailable"
        assert outcome.headers.get("guestpass-status", str(outcome.status)) == "503"
        assert outcome.headers["retry-after"] == "7"


async def test_a_guard_that_fails_lets_nobody_in(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("a secret of the house")

    monkeypatch.setattr(house.guard, "decide", fail)
    for proxy in PROXIES:
        outcome = await ask(house, "/health", proxy=proxy)
        assert outcome.code == "internal_error"
        assert outcome.headers.get("guestpass-status", str(outcome.status)) == "500"
        assert "a secret" not in outcome.body.decode()
    assert "the guard failed; nobody was let in" in caplog.text


def rendering(status: int, body: bytes) -> Any:
    """A renderer of one's own."""
    return lambda refusal, realm: Answer(status, [(b"content-type", b"text/html"), (b"location", b"/login")], body)


async def test_a_renderer_of_ones_own(house: House) -> None:
    line = json.dumps({"oh": "no"}).encode()
    outcome = await ask(house, LOGS, proxy="traefik", render=rendering(302, line))
    assert (outcome.status, outcome.headers["location"], outcome.body) == (302, "/login", line)
    by_nginx = await ask(house, LOGS, render=rendering(400, line))
    assert (by_nginx.status, by_nginx.headers["guestpass-status"]) == (403, "400")
    assert by_nginx.headers["guestpass-problem"].encode() == line


@pytest.mark.parametrize("body", [b"", b"<p>\n</p>", b"x\r\nGuestpass-Kind: admin", b"\xff", b"x" * (MAX_PROBLEM + 1)])
async def test_what_does_not_fit_into_a_header_is_said_in_the_usual_words(house: House, body: bytes) -> None:
    outcome = await ask(house, LOGS, render=rendering(401, body))
    assert outcome.body == body
    assert json.loads(outcome.headers["guestpass-problem"])["code"] == "credential_missing"


@pytest.mark.parametrize("status", [200, 204, 299])
async def test_no_renderer_lets_anybody_in(house: House, caplog: pytest.LogCaptureFixture, status: int) -> None:
    for proxy in PROXIES:
        outcome = await ask(house, LOGS, proxy=proxy, render=rendering(status, b"come in"))
        assert outcome.code == "internal_error"
        assert outcome.status in (403, 500)
    assert f"render answers {status} to a refusal" in caplog.text


# The rest of what a server calls it with


async def test_an_answer_to_head_has_no_body(house: House) -> None:
    outcome = await call(app_for(house, "envoy"), question("envoy", http_scope("HEAD", LOGS)))
    assert (outcome.status, outcome.body) == (401, b"")
    assert int(outcome.headers["content-length"]) > 0


async def test_preflights_are_judged_unless_they_are_the_upstreams(house: House) -> None:
    headers = {"Origin": "https://shop.example", "Access-Control-Request-Method": "GET"}
    for target, by_default, passed in (
        (LOGS, "credential_missing", None),
        ("/v1//x", "path_ambiguous", "path_ambiguous"),
    ):
        asked = question("traefik", http_scope("OPTIONS", target, headers))
        assert (await call(app_for(house, "traefik"), asked)).code == by_default
        assert (await call(app_for(house, "traefik", preflight="pass"), asked)).code == passed
    plain = question("traefik", http_scope("OPTIONS", LOGS))
    assert (await call(app_for(house, "traefik", preflight="pass"), plain)).code == "credential_missing"


async def test_a_server_starts_and_stops_it(house: House) -> None:
    incoming: list[Message] = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent: list[Message] = []

    async def receive() -> Message:
        return incoming.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    await app_for(house)({"type": "lifespan"}, receive, send)
    assert [message["type"] for message in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_what_cannot_be_judged_is_refused(house: House) -> None:
    with pytest.raises(RuntimeError, match="'webtransport'"):
        await call(app_for(house), {"type": "webtransport"})


async def test_no_credential_is_told_of(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = house.session(expires_in=60)
    house.clock.now = START + 100
    for proxy in PROXIES:
        asked = question(proxy, http_scope("GET", LOGS, bearer(secret)))
        for odd in (asked, put(asked, "x-original-uri"), {**asked, "client": ("192.0.2.9", 1)}):
            outcome = await call(app_for(house, proxy), odd)
            assert secret not in str(outcome.sent)
    assert secret not in caplog.text
