"""What the hit path recalls: whom the pipeline let in by the like, and nobody of whom it may say something else now.

That it agrees with the pipeline whatever the request is a law of `test_laws`; here is what a law of one instant does
not see, and that the memory is used at all.
"""

import pytest

from guestpass import ALL, Principal, Rule
from guestpass.asgi import GuardMiddleware, Receive, Scope, Send, request_of
from guestpass.principal import Remembered
from guestpass.requests import Request, meanings_of_request
from guestpass.rule_table import RouteRule
from guestpass.wsgi import GuardMiddleware as WSGIGuardMiddleware
from support import GatePasses, House, ask_http, bearer, build, decided, echo, http_scope, policy, recall
from wsgi_support import ask_wsgi, echo_wsgi

RULES = [
    Rule("GET /v1/call_logs", component="call_logs"),
    Rule("GET /v1/accounts/{account}/call_logs", component="call_logs"),
    Rule("GET /v1/things/{id}", component="call_logs"),
    Rule("GET /v1/files/{name...}", component="call_logs"),
    Rule("GET /v1/status", account=False),
    Rule("GET /v1/queried", account="query:account"),
]


def asking(credential: str, path: str = "/v1/call_logs", *more: tuple[str, str], root_path: str = "") -> Request:
    headers = [("Authorization", f"Bearer {credential}"), *more]
    return request_of(http_scope("GET", path, headers, root_path=root_path))


@pytest.fixture
def house() -> House:
    return build(RULES)


def met(house: House, request: Request) -> Principal | None:
    """What is recalled of a request that was judged before."""
    house.guard.decide(request)
    decided(house.guard, request)
    return recall(house.guard, request)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/call_logs",
        "/v1/accounts/acct_1/call_logs",
        "/v1/things/7",
        "/v1/things/a.b~c",
        "/v1/files/a/b",
        "/v1/status",
    ],
)
@pytest.mark.parametrize("more", [[], [("Account-Id", " acct_1 ")], [("Origin", "https://a.example")], [("X-Y", "z")]])
def test_a_browser_credential_is_recalled(house: House, path: str, more: list[tuple[str, str]]) -> None:
    for credential in (house.session(), house.token(components={"call_logs": {"enabled": True}})):
        request = asking(credential, path, *more)
        assert recall(house.guard, request) is None
        recalled = met(house, request)
        assert isinstance(recalled, Remembered)
        assert recalled.account == "acct_1"


def test_what_one_credential_was_let_in_by_is_recalled_for_all_of_its_standing(house: House) -> None:
    by = house.minter()
    first, second = (house.sessions.create(by=by, account="acct_1").client_secret for _ in range(2))
    assert met(house, asking(first)) is not None
    house.guard.check(second)
    recalled = recall(house.guard, asking(second))
    assert recalled is not None
    assert recalled.standing is house.guard.check(first).standing


def test_what_one_account_was_let_in_by_lets_in_another_to_its_own(house: House) -> None:
    by = house.minter()
    first, other = (house.sessions.create(by=by, account=account).client_secret for account in ("acct_1", "acct_2"))
    less = house.sessions.create(by=by, account="acct_1", components={"voicemails": {"enabled": True}}).client_secret
    assert met(house, asking(first, "/v1/accounts/acct_1/call_logs")) is not None
    for secret in (other, less):
        house.guard.check(secret)
    recalled = recall(house.guard, asking(other, "/v1/accounts/acct_2/call_logs"))
    assert recalled is not None
    assert recalled.account == "acct_2"
    assert recall(house.guard, asking(other, "/v1/accounts/acct_1/call_logs")) is None
    assert recall(house.guard, asking(less, "/v1/accounts/acct_1/call_logs")) is None


def test_below_a_root_the_same_is_recalled(house: House) -> None:
    secret = house.session()
    assert met(house, asking(secret, "/api/v1/call_logs", root_path="/api")) is not None
    assert met(house, asking(secret, "/a;b/v1/call_logs", root_path="/a;b")) is None


@pytest.mark.parametrize("path", ["/v1/things/a;b", "/v1/things/", "/v1//call_logs", "/v1/files/../x", "/v1/queried"])
def test_what_takes_a_closer_look_is_not_recalled(house: House, path: str) -> None:
    secret = house.session()
    house.guard.check(secret)
    for other in ("/v1/things/a", "/v1/files/a"):
        assert met(house, asking(secret, other)) is not None
    assert met(house, asking(secret, path)) is None


def test_a_key_for_every_account_is_judged_each_time(house: House) -> None:
    secret = house.key(accounts=ALL)
    assert met(house, asking(secret, "/v1/call_logs", ("Account-Id", "acct_1"))) is None
    assert met(house, asking(secret, "/v1/status")) is not None
    assert recall(house.guard, asking(secret, "/v1/status", ("Account-Id", "acct_1"))) is None
    assert met(house, asking(house.key(accounts={"acct_1"}))) is not None


def test_an_account_that_looks_like_a_way_up_is_not_recalled_by_its_path(house: House) -> None:
    secret = house.sessions.create(by=house.minter(accounts={".."}), account="..").client_secret
    assert met(house, asking(secret, "/v1/call_logs")) is not None
    assert met(house, asking(secret, "/v1/accounts/../call_logs")) is None


@pytest.mark.anyio
@pytest.mark.parametrize("account", ["", ".", "..", "-a"])
async def test_an_account_that_no_path_can_name_is_told_so_at_every_door(account: str) -> None:
    house = build(RULES, more=[GatePasses()])
    asgi, wsgi = GuardMiddleware(echo, house.guard), WSGIGuardMiddleware(echo_wsgi, house.guard)
    presented = bearer(f"gp_live_{account}")
    assert house.guard.check(f"gp_live_{account}").account == account
    for _ in range(2):
        path, status = f"/v1/accounts/{account}/call_logs", 200 if account == "-a" else 400
        assert (await ask_http(asgi, "GET", path, presented)).status == status
        assert ask_wsgi(wsgi, "GET", path, presented).status == status


def test_nothing_is_recalled_past_its_end(house: House) -> None:
    secret = house.session(expires_in=60)
    guard, clock = house.guard, house.clock
    assert met(house, asking(secret)) is not None
    guard._endings.trusted_until = float("inf")
    clock.advance(59)
    assert recall(guard, asking(secret)) is not None
    clock.advance(1)
    assert recall(guard, asking(secret)) is None


def test_nothing_is_recalled_without_a_list_of_endings(house: House) -> None:
    secret = house.session()
    assert met(house, asking(secret)) is not None
    house.clock.advance(10)
    assert recall(house.guard, asking(secret)) is None


def test_nothing_is_recalled_after_news_until_it_has_been_looked_at(house: House) -> None:
    secret, other = house.session("acct_1"), house.session("acct_2")
    assert met(house, asking(secret)) is not None
    assert met(house, asking(other)) is not None
    house.revocations.account("plat", "acct_2")
    assert recall(house.guard, asking(secret)) is None
    assert recall(house.guard, asking(other)) is None
    assert met(house, asking(secret)) is not None
    assert met(house, asking(other)) is None


def test_nothing_is_recalled_while_a_test_judges_as_somebody_else() -> None:
    house = build(RULES, mode="test")
    secret = house.session()
    assert met(house, asking(secret)) is not None
    with house.guard.override(house.guard.check(house.session("acct_2"))):
        assert recall(house.guard, asking(secret)) is None
        with house.guard.override(house.guard.check(house.session("acct_2"))):
            pass
        assert recall(house.guard, asking(secret)) is None
    assert recall(house.guard, asking(secret)) is not None


def test_rules_that_compete_are_not_recalled() -> None:
    house = build([Rule("GET /a", component="call_logs"), Rule("GET /{rest...}", component="voicemails")])
    secret = house.session()
    house.guard.check(secret)
    for path in ("/a/", "/other"):
        assert met(house, asking(secret, path)) is None
    assert met(house, asking(secret, "/a")) is not None


def test_a_route_that_says_nothing_leaves_the_policys_rule_in_force() -> None:
    read = policy(Rule("GET /v1/call_logs", component="call_logs")).with_routes(
        [
            RouteRule(Rule("GET /v1/call_logs", account=False, role=None), frozenset({"GET"}), closed=True),
            RouteRule(Rule("GET /v1/{}", account=False, role=None), frozenset({"GET"}), closed=True),
            RouteRule(Rule("GET,HEAD /v1/said", component="call_logs"), frozenset({"GET", "HEAD"})),
        ]
    )
    house = build(read)
    secret = house.session()
    for path in ("/v1/call_logs", "/v1/said"):
        assert met(house, asking(secret, path)) is not None
    assert met(house, asking(secret, "/v1/closed")) is None
    assert read.recall("HEAD", "/v1/said", None) is not None


def test_a_handshake_is_never_recalled_also_over_http_that_calls_itself_one() -> None:
    house = build([Rule("WEBSOCKET /v1/events")])
    request = request_of(http_scope("(websocket)", "/v1/events", bearer(house.session())))
    assert met(house, request) is None
    assert house.guard.policy.recall("(websocket)", "/v1/events", None) is None


def test_strangers_cannot_make_the_memory_of_header_names_grow() -> None:
    meanings = meanings_of_request(b"account-id")
    for number in range(2_000):
        assert meanings.learn(b"x-%d" % number) == 0
        assert len(meanings.known) <= 512
    assert meanings.learn(b"x" * 9_000) == 0
    assert len(meanings.known) <= 512
    # Nor can they fill it for good: the usual names are known again once they were met.
    assert meanings.learn(b"authorization") > 0
    assert b"authorization" in meanings.known


@pytest.mark.anyio
async def test_a_memory_that_fails_lets_nobody_in_by_itself(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("unforeseen")

    app, secret = GuardMiddleware(echo, house.guard), house.session()
    monkeypatch.setattr(house.guard, "recall", fail)
    assert (await ask_http(app, "GET", "/v1/call_logs", bearer(secret))).status == 200
    assert (await ask_http(app, "GET", "/v1/call_logs", bearer(secret[:-1]))).status == 401


@pytest.mark.anyio
@pytest.mark.parametrize(("root", "path"), [("/api", "/v1/status"), ("/api", "/api/v1/status"), ("/", "/v1/status")])
async def test_what_is_recalled_is_routed_as_it_was_judged(house: House, root: str, path: str) -> None:
    reached: list[tuple[str, str, bytes | None]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        reached.append((scope["root_path"], scope["path"], scope["raw_path"]))
        await echo(scope, receive, send)

    door, secret = GuardMiddleware(app, house.guard), house.session()
    for _ in range(2):
        assert (await ask_http(door, "GET", path, bearer(secret), root_path=root)).status == 200
    assert recall(house.guard, asking(secret, path, root_path=root)) is not None
    assert reached[0] == reached[1]
