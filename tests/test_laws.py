"""The laws of the lattice of grants, and what rests on them: what is minted never exceeds its minter."""

import math
import random
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestpass import ALL, Grant, Principal, Refusal, Refused, Rule
from guestpass.credentials import OpaqueForm, from_header
from guestpass.errors import ConfigurationError
from guestpass.paths import _DECODED, _USUAL, below_root, trouble
from guestpass.refusals import CASES
from guestpass.requests import Request
from guestpass.rules import WEBSOCKET
from strategies import grants, header_values, key_requests, mint_requests, paths, wild_grants
from support import COMPONENTS, ROLES, House, build, decided, policy, recall


@given(grants)
def test_covers_is_reflexive(one: Grant) -> None:
    assert one.covers(one)
    assert one.lacks(one) == ()


@given(grants, grants)
def test_covers_is_antisymmetric(one: Grant, other: Grant) -> None:
    if one.covers(other) and other.covers(one):
        assert one == other


@given(grants, grants, grants)
def test_covers_is_transitive(one: Grant, other: Grant, third: Grant) -> None:
    if one.covers(other) and other.covers(third):
        assert one.covers(third)


@given(grants, grants, grants)
def test_covers_is_transitive_along_meets(one: Grant, other: Grant, third: Grant) -> None:
    low = one.meet(other)
    lower = None if low is None else low.meet(third)
    if low is not None and lower is not None:
        assert one.covers(low)
        assert low.covers(lower)
        assert one.covers(lower)


@given(grants, grants)
def test_meet_is_a_lower_bound(one: Grant, other: Grant) -> None:
    met = one.meet(other)
    if met is not None:
        assert one.covers(met)
        assert other.covers(met)


@given(grants, grants, grants)
def test_meet_is_the_greatest_lower_bound(one: Grant, other: Grant, third: Grant) -> None:
    met = one.meet(other)
    if one.covers(third) and other.covers(third):
        assert met is not None
        assert met.covers(third)


@given(grants, grants)
def test_meet_is_commutative(one: Grant, other: Grant) -> None:
    assert one.meet(other) == other.meet(one)


@given(grants, grants, grants)
def test_meet_is_associative(one: Grant, other: Grant, third: Grant) -> None:
    def met(a: Grant | None, b: Grant | None) -> Grant | None:
        return None if a is None or b is None else a.meet(b)

    assert met(met(one, other), third) == met(one, met(other, third))


@given(grants)
def test_meet_is_idempotent(one: Grant) -> None:
    assert one.meet(one) == one


@given(grants, grants)
def test_meet_is_none_exactly_where_nothing_is_covered_by_both(one: Grant, other: Grant) -> None:
    # The least of all grants on a platform and in a mode is covered by every other one there.
    least = [Grant(g.platform, g.mode, expires_at=min(one.expires_at, other.expires_at)) for g in (one, other)]
    common = [grant for grant in least if one.covers(grant) and other.covers(grant)]
    assert (one.meet(other) is None) == (not common)


@given(grants, grants)
def test_covers_agrees_with_meet(one: Grant, other: Grant) -> None:
    assert one.covers(other) == (one.meet(other) == other)


@given(grants, grants)
def test_lacks_names_exactly_the_dimensions_that_are_exceeded(one: Grant, other: Grant) -> None:
    fields = {
        "platform": "platform",
        "mode": "mode",
        "account": "accounts",
        "components": "components",
        "roles": "roles",
    }
    for dimension in one.lacks(other):
        field = fields.get(dimension, "expires_at")
        # Taking the one's own value in that dimension heals exactly that.
        healed = replace(other, **{field: getattr(one, field)})
        assert dimension not in one.lacks(healed)
    assert one.covers(other) == (one.lacks(other) == ())


def test_an_end_that_is_no_number_is_no_grant() -> None:
    # With NaN, "covers" would be no order: every comparison with it is false.
    with pytest.raises(ValueError):
        Grant("plat", "live", expires_at=math.nan)


POLICY = policy(Rule("GET /"))


@given(wild_grants)
def test_close_is_idempotent(grant: Grant) -> None:
    closed = POLICY.close(grant)
    assert POLICY.close(closed) == closed


def _means(name: str) -> set[str]:
    """What one name of a grant stands for, said once more and differently."""
    component, slash, feature = name.partition("/")
    if component not in COMPONENTS:
        return set()
    if slash and feature == "*":
        return {component} | {f"{component}/{one}" for one in COMPONENTS[component]}
    if not feature:
        return {component}
    return {component, name} if feature in COMPONENTS[component] else set()


@given(wild_grants)
def test_close_never_widens_beyond_what_the_names_mean(grant: Grant) -> None:
    closed = POLICY.close(grant)
    assert (closed.platform, closed.mode, closed.accounts, closed.expires_at) == (
        grant.platform,
        grant.mode,
        grant.accounts,
        grant.expires_at,
    )
    if grant.components is ALL:
        assert closed.components is ALL
    else:
        assert closed.components == frozenset[str]().union(*(_means(name) for name in grant.components))
    if grant.roles is ALL:
        assert closed.roles is ALL
    else:
        lower = [role for at, role in enumerate(ROLES) if any(given in grant.roles for given in ROLES[at:])]
        assert closed.roles == frozenset(lower)


@given(wild_grants, wild_grants)
def test_close_keeps_the_order(one: Grant, other: Grant) -> None:
    if one.covers(other):
        assert POLICY.close(one).covers(POLICY.close(other))


@given(st.sampled_from(sorted(CASES)))
def test_the_truth_of_a_refusal_raises(code: str) -> None:
    refusal = Refusal(code)
    with pytest.raises(TypeError, match="isinstance"):
        bool(refusal)
    with pytest.raises(TypeError):
        assert not refusal


def _minted(house: House, key: dict[str, Any], mint: Callable[[Principal], str]) -> tuple[Principal, Principal] | None:
    """The minter and what it minted, both as the guard knows them; None where either was refused."""
    try:
        minter = house.guard.check(house.key(**key))
        return minter, house.guard.check(mint(minter))
    except Refused:
        return None


@settings(max_examples=300)
@given(key_requests, mint_requests)
def test_whatever_a_session_is_asked_for_its_minter_covers_it(key: dict[str, Any], asked: dict[str, Any]) -> None:
    house = build()
    found = _minted(house, key, lambda minter: house.sessions.create(by=minter, **asked).client_secret)
    if found is not None:
        minter, session = found
        assert minter.grant.covers(session.grant)
        assert session.kind == "account_session"
        assert session.account is not None
        assert asked.get("account") in (session.account, None)
        assert session.grant.components is not ALL
        assert session.grant.roles is not ALL


@settings(max_examples=150)
@given(key_requests, mint_requests)
def test_whatever_a_token_is_asked_for_its_minter_covers_it(key: dict[str, Any], asked: dict[str, Any]) -> None:
    house = build()
    tenant = asked.pop("account", None)
    found = _minted(house, key, lambda minter: house.signer.sign(by=minter, tenant_id=tenant, **asked).jwt)
    if found is not None:
        minter, token = found
        assert minter.grant.covers(token.grant)
        assert token.kind == "signed_token"
        assert tenant in (token.account, None)


@settings(max_examples=150)
@given(key_requests, mint_requests)
def test_what_is_minted_without_narrow_is_what_was_asked_for(key: dict[str, Any], asked: dict[str, Any]) -> None:
    asked = {**asked, "narrow": False}
    house = build()
    found = _minted(house, key, lambda minter: house.sessions.create(by=minter, **asked).client_secret)
    if found is None or asked.get("components") is None:
        return
    minter, session = found
    for component, setting in asked["components"].items():
        assert (component in session.grant.components) == setting["enabled"]
        listed = setting.get("features")
        for feature in COMPONENTS[component]:
            name = f"{component}/{feature}"
            meant = name in minter.grant.components if listed is None else listed.get(feature, False)
            assert (name in session.grant.components) == (setting["enabled"] and meant)


@settings(max_examples=100)
@given(key_requests, mint_requests, key_requests)
def test_what_a_narrowed_key_minted_is_covered_by_what_is_left_of_it(
    key: dict[str, Any], asked: dict[str, Any], limit: dict[str, Any]
) -> None:
    house = build()
    secret = house.key(**key)
    minter = house.guard.check(secret)
    made: list[str] = []

    def mint() -> None:
        try:
            made.append(house.sessions.create(by=minter, **asked).client_secret)
        except Refused:
            return

    # Before; at once; while what was known of the key is still remembered; and after.
    mint()
    house.keys.narrow(minter.credential_id, **limit)
    for seconds in (0.0, 0.3, 0.9, 2.0):
        house.clock.advance(seconds)
        mint()
    house.clock.advance(2)
    try:
        left = house.guard.check(secret).grant
    except Refused:
        left = Grant("plat", "live", expires_at=-math.inf)
    for client_secret in made:
        try:
            session = house.guard.check(client_secret)
        except Refused:
            continue
        assert left.covers(session.grant), (left, session.grant)


@given(paths)
def test_a_path_that_a_normaliser_would_change_is_ambiguous(path: str) -> None:
    import posixpath

    if path != posixpath.normpath(path) and path.rstrip("/") != posixpath.normpath(path):
        assert trouble(path, None) == "ambiguous"


@given(paths | st.text("/.a~@:-%2fé\\;\x00", max_size=9).map(lambda text: "/" + text))
def test_what_looks_usual_is_nothing_that_two_could_read_differently(path: str) -> None:
    if _USUAL(path):
        assert not _DECODED.search(path)
        assert trouble(path, None) is None


@given(paths)
def test_a_path_that_a_rule_spells_out_is_read_in_one_way(path: str) -> None:
    try:
        spelled = Rule(f"GET {path}").literal
    except ConfigurationError:
        return
    if spelled is not None:
        assert spelled == path
        assert trouble(path, None) is None


@given(header_values | st.binary(max_size=12).map(lambda more: b"Bearer abc" + more))
def test_what_a_header_presents_is_a_token68(value: bytes) -> None:
    scheme, _, presented = value.strip(b" \t").partition(b" ")
    whole = re.fullmatch(rb"[A-Za-z0-9._~+/-]+=*", presented.strip(b" "))
    found = from_header([value])
    if scheme.lower() != b"bearer":
        assert found is None
    elif whole is None:
        assert isinstance(found, Refusal)
    else:
        assert found == whole[0].decode()


@given(paths, st.sampled_from(("", "/v1", "/v1/", "/v1/call_logs", "/v1/call_logs/", "/a;b")))
def test_a_path_below_a_root_is_what_the_router_routes(path: str, root: str) -> None:
    from starlette._utils import get_route_path

    below = below_root(path, root)
    if below is not None and trouble(path, None) is None:
        assert below == get_route_path({"path": path, "root_path": root})


# --- a hundred thousand requests -------------------------------------------------------------------------------------

RULES = (
    Rule("GET /health", public=True, reason="probe"),
    Rule("GET /open", public=True, optional=True, reason="page"),
    Rule("GET /v1/call_logs", component="call_logs"),
    Rule("GET /v1/accounts/{account}/call_logs", component="call_logs"),
    Rule("POST /v1/tickets", mints=True),
    Rule("GET /v1/files/{name...}", encoded_slashes=True),
    Rule("GET /v1/config", kinds={"publishable_key"}, account=False),
    Rule("GET /v1/query", account="query:account"),
    Rule("WEBSOCKET /v1/events"),
)

PIECES = (
    "/v1", "/call_logs", "/accounts", "/acct_1", "/acct_2", "/health", "/open", "/tickets", "/files", "/config",
    "/events", "/query", "/",
    "//", "/.", "/..", "..", ";", ";a=b", "\\", "%2f", "%2F", "%5c", "%00", "%2e", "%252e", "%25",
    "%", "\x00", "\n", "\x7f", "é", "／", "\u2028", "\ud800", "\U0001f511", " ", "?", "#", "a", "{account}", "{", "*",
)  # fmt: skip


class Fuzz:
    """Random requests around real credentials, and what each request may at most have earned."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.house = build(RULES)
        house = self.house
        by = house.minter()
        logs = {"call_logs": {"enabled": True}}
        self.known: dict[str, Principal] = {}
        for text in (
            house.key(),
            house.key(accounts={"acct_1"}),
            house.key(origins={"https://a.example"}),
            house.key(kind="publishable_key"),
            house.sessions.create(by=by, account="acct_1", components=logs).client_secret,
            house.sessions.create(by=by, account="acct_2").client_secret,
            house.signer.sign(by=by, tenant_id="acct_1", components=logs).jwt,
            house.signer.sign(by=by).jwt,
        ):
            self.known[text] = house.guard.check(text)
        test = build(RULES, mode="test", clock=house.clock, store=house.store, seed=9)
        chance = self.random.randbytes
        self.bad = [
            test.key(),
            test.session(),
            OpaqueForm("sk").issue("live", chance),
            OpaqueForm("cs").issue("live", chance),
        ]
        self.bad += [
            "",
            "x",
            "sk_live_",
            "cs_live_" + "0" * 39,
            "e..",
            "e.e.e",
            "eyJhbGciOiJub25lIn0.e30.",
            "é",
            "a" * 9_000,
        ]
        dead = house.keys.create(platform="plat", mode="live")
        self.bad.append(dead.secret)
        house.keys.revoke(dead.id)

    def credential(self) -> str:
        choose = self.random.random()
        if choose < 0.7:
            return self.random.choice(list(self.known))
        text = self.random.choice([*self.known, *self.bad])
        if choose < 0.85 and text:
            place = self.random.randrange(len(text))
            return text[:place] + self.random.choice(("", "A", ".", "\xe9", " ", ",", "\x00", "=")) + text[place + 1 :]
        return self.random.choice(self.bad)

    def authorization(self) -> bytes:
        form = self.random.choice(
            (*("Bearer {}",) * 16, "bearer {}", "BEARER  {} ", "Basic {}", "{}", "Bearer", "Bearer {} {}",
             "Bearer {},{}", "Bearer\t{}", "\x00token\x00{}", "Bearer {}\n", "Token {}", "Bearer:{}", "")
        )  # fmt: skip
        return form.format(self.credential(), self.credential()).encode("latin-1", "replace")

    def headers(self) -> list[tuple[bytes, bytes]]:
        names = (*(b"authorization",) * 9, b"x-authorization")
        count = self.random.choice((0, 1, 1, 1, 1, 1, 1, 1, 2))
        made = [(self.random.choice(names), self.authorization()) for _ in range(count)]
        for name in (
            b"account-id",
            b"account_id",
            b"origin",
            b"sec-fetch-site",
            b"sec-fetch-mode",
            b"cookie",
            b"x-http-method-override",
        ):
            if self.random.random() < 0.12:
                value = self.random.choice(
                    (
                        b"acct_1",
                        b"acct_2",
                        b"zzz",
                        b"",
                        b"https://a.example",
                        b"POST",
                        b"\xff\x00",
                        self.authorization(),
                    )
                )
                made.append((name, value))
        self.random.shuffle(made)
        return made

    def path(self) -> str:
        if self.random.random() < 0.75:
            return self.random.choice(
                ("/v1/call_logs", "/v1/accounts/acct_1/call_logs", "/v1/accounts/acct_2/call_logs", "/v1/tickets",
                 "/v1/files/a/b", "/v1/config", "/v1/query", "/v1/events", "/health", "/open", "/nowhere")
            )  # fmt: skip
        return "".join(self.random.choices(PIECES, k=self.random.randrange(6)))

    def request(self) -> Request:
        path = self.path()
        raw = path.encode("utf-8", "surrogatepass") if self.random.random() < 0.5 else None
        if self.random.random() < 0.05:
            raw = self.random.choice((b"/v1/files/a%2fb", b"\xff", b""))
        method = self.random.choice(("GET", "GET", "GET", "HEAD", "POST", "OPTIONS", "get", "", WEBSOCKET, WEBSOCKET))
        offered: list[str] = []
        if method == WEBSOCKET:
            names = ("token", "jwt", "apikey", "client_secret", "graphql-transport-ws", "TOKEN", "")
            for _ in range(self.random.randrange(3)):
                offered += [self.random.choice(names), self.credential()]
        root = self.random.choice(("", "", "", "", "", "", "", "/v1", "/v1/", "/v1/call", "/x"))
        query = self.random.choice(
            (b"", b"account=acct_1", b"account=acct_2&account=acct_1", b"account", b"\xff=%zz&&;=", b"%61ccount=acct_2")
        )
        return Request(method, below_root(path, root), path, raw, query, self.headers(), offered)


def earned(request: Request, known: dict[str, Principal]) -> Principal | None:
    """The principal that a request presents, by a second and simpler reading: the oracle."""
    values = [value for name, value in request.headers if name == b"authorization"]
    in_header = (
        [text for text in known if values and values[0].split() == [values[0].split()[0], text.encode()]]
        if len(values) == 1 and values[0].split()
        else []
    )
    if in_header and values[0].split()[0].lower() != b"bearer":
        in_header = []
    pairs = [
        place for place, name in enumerate(request.subprotocols) if name in ("token", "jwt", "apikey", "client_secret")
    ]
    in_pair = (
        [request.subprotocols[pairs[0] + 1]] if len(pairs) == 1 and pairs[0] + 1 < len(request.subprotocols) else []
    )
    found = [known[text] for text in (*in_header, *in_pair) if text in known]
    return found[0] if len(found) == 1 and len(values) <= 1 and len(pairs) <= 1 else None


def test_of_a_hundred_thousand_requests_none_raises_and_no_principal_is_unearned() -> None:
    fuzz = Fuzz(seed=20_260_101)
    guard, policy_of = fuzz.house.guard, fuzz.house.guard.policy
    let_in = public = recalled = 0
    for number in range(100_000):
        request = fuzz.request()
        recalled += recall(guard, request) is not None
        verdict = decided(guard, request)
        if number % 997 == 0:
            # Cold again, so that caches are no part of the answer.
            guard.forget(lambda _: True)
            fuzz.house.clock.advance(0.01)
        if isinstance(verdict, Refusal):
            assert verdict.code != "internal_error"
            continue
        assert isinstance(verdict, Principal)
        rule = policy_of.find(request.method, request.path or "")
        assert rule is not None, request
        assert trouble(request.whole_path, None) is None or rule.encoded_slashes
        if verdict.kind == "anyone":
            assert rule.public
            public += 1
            continue
        let_in += 1
        owner = earned(request, fuzz.known)
        assert owner is not None, (request.headers, request.subprotocols)
        assert (verdict.kind, verdict.credential_id) == (owner.kind, owner.credential_id)
        assert owner.grant.covers(verdict.grant)
        names = {name.replace(b"_", b"-") for name, _ in request.headers}
        if verdict.kind == "secret_key" and not request.subprotocols and request.method != WEBSOCKET:
            assert not names & {b"origin", b"sec-fetch-site"} or owner.origins
        if rule.mints:
            assert verdict.kind == "secret_key"
        if rule.account and not rule.public:
            assert verdict.account is not None
        if "accounts" in rule.pattern:
            assert (request.path or "").split("/")[3] == verdict.account
        if rule.component is not None:
            assert rule.component in verdict.grant.components
    # It is no test if nobody ever gets in.
    assert let_in > 2_000
    assert public > 1_000
    assert recalled > 200


class Calm(Fuzz):
    """The same credentials, in requests most of which are let in: what is new in one is rarely more than one thing."""

    def authorization(self) -> bytes:
        text = self.random.choice(list(self.known))
        form = self.random.choice((*("Bearer {}",) * 20, "bearer {}", "Bearer  {}", "Bearer {} "))
        return form.format(text).encode()

    def headers(self) -> list[tuple[bytes, bytes]]:
        made = [(b"authorization", self.authorization()), (b"accept", b"*/*")]
        if self.random.random() < 0.02:
            made.append((self.random.choice((b"authorization", b"Authorization")), self.authorization()))
        for name, values in (
            (b"account-id", (b"acct_1", b"acct_2", b" acct_1\t", b"")),
            (b"account_id", (b"acct_1", b"acct_2")),
            (b"origin", (b"https://a.example", b"https://b.example", b"null")),
            (b"sec-fetch-site", (b"cross-site",)),
            (b"guestpass-account", (b"acct_2",)),
        ):
            while self.random.random() < 0.07:
                made.append((name, self.random.choice(values)))
        self.random.shuffle(made)
        return made

    def path(self) -> str:
        path = self.random.choice(
            ("/v1/call_logs", "/v1/accounts/acct_1/call_logs", "/v1/accounts/acct_2/call_logs", "/v1/tickets",
             "/v1/files/a/b", "/v1/config", "/v1/accounts/acct_1/call_logs", "/v1/call_logs")
        )  # fmt: skip
        if self.random.random() < 0.05:
            place = self.random.randrange(len(path) + 1)
            path = (
                path[:place] + self.random.choice((*PIECES[:3], "/", "//", "/./", "..", ";", "%2f", "x")) + path[place:]
            )
        return path

    def request(self) -> Request:
        path = self.path()
        raw = self.random.choice((path.encode("utf-8", "surrogatepass"), None))
        if self.random.random() < 0.03:
            raw = path.replace("/", "%2f").encode("utf-8", "surrogatepass")
        method = self.random.choice(("GET", "GET", "GET", "GET", "HEAD", "POST", WEBSOCKET))
        root = self.random.choice(("", "", "", "", "/mounted", "/a;b", "/v1"))
        whole = root + path if root != "/v1" else path
        query = self.random.choice((b"", b"account=acct_1", b"account=acct_2"))
        return Request(method, below_root(whole, root), whole, None if root else raw, query, self.headers())


def test_what_is_recalled_would_be_decided() -> None:
    fuzz = Calm(seed=20_261_130)
    guard = fuzz.house.guard
    recalled = 0
    for _ in range(40_000):
        request = fuzz.request()
        again = recall(guard, request)
        if again is not None:
            recalled += 1
            # By the whole pipeline, which looks at everything.
            decision = guard.decide(request)
            assert decision is again, request
        decided(guard, request)
    assert recalled > 2_500
