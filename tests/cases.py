"""The case table: what is asked, with which credential, and what every door must answer.

One row is one request. `ROUTES` are what the tests' API serves, `world` makes it with one credential of every sort,
and `CASES` says the verdicts. Each door is an application around the same routes; no door may differ.
"""
# ruff: noqa: E501 - one row, one line

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from guestpass import Policy, Rule, TokenSigner, open_store
from guestpass.credentials import OpaqueForm
from guestpass.grants import Mode
from guestpass.guard import Guard
from guestpass.issuing_api import issuing_rules
from guestpass.rules import Need
from guestpass.tokens import sign
from support import (
    AUDIENCE,
    COMPONENTS,
    ISSUER,
    ROLES,
    START,
    Clock,
    GatePasses,
    House,
    Seeded,
    build,
)

ANY_KIND: Final = {"secret_key", "publishable_key", "account_session", "signed_token", "gate_pass"}
TRANSCRIPTS: Final = Need(component="call_logs", feature="transcripts")
THREE_PLACES: Final = ("path:tenant", "query:account_id", "header:X-Tenant")

ROUTES: Final[Sequence[tuple[str, str, Need]]] = (
    ("GET", "/health", Need(public=True, reason="probes have no credential")),
    ("GET", "/open", Need(public=True, optional=True, reason="a visitor sees the plain page")),
    ("GET", "/v1/me", Need(kinds=ANY_KIND, account=False, role=None)),
    ("GET", "/v1/call_logs", Need(component="call_logs")),
    ("POST", "/v1/call_logs", Need(component="call_logs", role="agent")),
    ("GET", "/v1/accounts/{account}/call_logs", Need(component="call_logs")),
    ("GET", "/v1/accounts/{account}/transcripts", TRANSCRIPTS),
    ("GET", "/v1/transcripts", TRANSCRIPTS),
    ("GET", "/v1/voicemails", Need(component="voicemails")),
    ("GET", "/v1/agent", Need(role="agent")),
    ("GET", "/v1/admin", Need(role="admin")),
    ("GET", "/v1/tenants/{tenant}/logs", Need(account=THREE_PLACES)),
    ("GET", "/v1/query", Need(account="query:account_id")),
    ("GET", "/v1/anywhere", Need(account=False)),
    ("GET", "/v1/config", Need(kinds={"publishable_key"}, account=False)),
    ("GET", "/v1/backend", Need(kinds={"secret_key"})),
    ("GET", "/v1/gate", Need(kinds={"gate_pass"})),
    ("GET", "/v1/files/{name...}", Need(component="call_logs")),
    ("GET", "/v1/keys/{name...}", Need(component="call_logs", encoded_slashes=True)),
    ("OPTIONS", "/v1/options", Need(account=False)),
    ("POST", "/v1/tickets", Need(mints=True)),
    ("WEBSOCKET", "/v1/events", Need(role="external_entity")),
    ("WEBSOCKET", "/v1/accounts/{account}/events", Need(component="call_logs")),
    ("WEBSOCKET", "/v1/config_feed", Need(kinds={"publishable_key"}, account=False)),
    ("WEBSOCKET", "/v1/gate_feed", Need(kinds={"gate_pass"})),
    ("WEBSOCKET", "/v1/news", Need(public=True, reason="news are for all")),
)

UNROUTED: Final = ("/v1/unmarked",)
"""Routes that say nothing of what they need, so that nobody gets there."""


@dataclass(frozen=True, slots=True)
class World:
    """A guard over `ROUTES`, and one credential of every sort, by name."""

    house: House
    credentials: dict[str, str]
    revocable: str

    @property
    def guard(self) -> Guard:
        return self.house.guard


@functools.cache
def world(door: str, *, with_rules: bool) -> World:
    """The world of the table; `with_rules` off for a door that reads them from its routes.

    Made once for each `door`: no case changes what another sees.
    """
    rules = [Rule(f"{method} {path}", **need) for method, path, need in ROUTES] if with_rules else []
    clock, store = Clock(START), open_store("memory://")
    vocabulary = Policy(*rules, components=COMPONENTS, roles=ROLES)
    house = build(vocabulary, clock=clock, store=store, more=[GatePasses()], seed=1)
    if with_rules:
        house.guard.add_rules(issuing_rules(house.guard))
    test_house = build(vocabulary, clock=clock, store=store, mode="test", seed=2)
    elsewhere = TokenSigner(house.ring, issuer=ISSUER, audience="another", clock=clock, randomness=Seeded(3))
    stranger = TokenSigner(
        house.ring, issuer="https://other.example", audience=AUDIENCE, clock=clock, randomness=Seeded(4)
    )
    Guard(authenticators=[elsewhere, house.keys], policy=vocabulary, mode="live", clock=clock)
    Guard(authenticators=[stranger, house.keys], policy=vocabulary, mode="live", clock=clock)
    by = house.minter()
    logs = {"call_logs": {"enabled": True}}
    both = {**logs, "voicemails": {"enabled": True}}
    plain = {"call_logs": {"enabled": True, "features": {"transcripts": False}}}
    revoked_key = house.keys.create(platform="plat", mode="live")
    of_revoked = house.guard.check(revoked_key.secret)
    revoked_session = house.sessions.create(by=by, account="acct_1")
    revocable = house.sessions.create(by=by, account="acct_1").id
    revoked_token = house.signer.sign(by=by, tenant_id="acct_9", components=logs).jwt
    good_token = house.signer.sign(by=by, tenant_id="acct_1", components=logs).jwt
    chance = Seeded(5)
    credentials = {
        "sk": house.key(),
        "sk_one": house.key(accounts={"acct_1"}, components={"call_logs": ("transcripts",)}, roles={"agent"}),
        "sk_two": house.key(accounts={"acct_1", "acct_2"}),
        "sk_low": house.key(roles={"external_entity"}),
        "sk_origin": house.key(origins={"https://console.example"}),
        "sk_other": house.key(platform="other"),
        "sk_test": test_house.key(),
        "sk_expired": house.key(expires_at=START + 100),
        "sk_revoked": revoked_key.secret,
        "sk_unknown": OpaqueForm("sk").issue("live", chance),
        "pk": house.key(kind="publishable_key"),
        "pk_origin": house.key(kind="publishable_key", origins={"https://shop.example"}),
        "pk_test": test_house.key(kind="publishable_key"),
        "pk_unknown": OpaqueForm("pk").issue("live", chance),
        "cs": house.sessions.create(by=by, account="acct_1", components=logs).client_secret,
        "cs_2": house.sessions.create(by=by, account="acct_2", components=both).client_secret,
        "cs_plain": house.sessions.create(by=by, account="acct_1", components=plain).client_secret,
        "cs_admin": house.sessions.create(by=by, account="acct_1", components=both, roles={"admin"}).client_secret,
        "cs_expired": house.sessions.create(by=by, account="acct_1", components=logs, expires_in=60).client_secret,
        "cs_revoked": revoked_session.client_secret,
        "cs_orphan": house.sessions.create(by=of_revoked, account="acct_1", components=logs).client_secret,
        "cs_test": test_house.session(components=logs),
        "cs_unknown": OpaqueForm("cs").issue("live", chance),
        "jwt": good_token,
        "jwt_none": house.signer.sign(by=by, components=logs).jwt,
        "jwt_plain": house.signer.sign(by=by, tenant_id="acct_1").jwt,
        "jwt_meta": house.signer.sign(by=by, tenant_id="acct_1", metadata={"role": "admin", "account": "acct_2"}).jwt,
        "jwt_agent": house.signer.sign(by=by, tenant_id="acct_1", components=logs, roles=["agent"]).jwt,
        "jwt_expired": house.signer.sign(by=by, tenant_id="acct_1", components=logs, expires_in=60).jwt,
        "jwt_revoked": revoked_token,
        "jwt_orphan": house.signer.sign(by=of_revoked, tenant_id="acct_1", components=logs).jwt,
        "jwt_test": test_house.token(components=logs),
        "jwt_audience": elsewhere.sign(by=by, tenant_id="acct_1").jwt,
        "jwt_stranger": stranger.sign(by=by, tenant_id="acct_1").jwt,
        "gp": "gp_live_acct_1",
        "gp_odd": "gp_dead_acct_1",
        "noise": "mF_9.B5f-4.1JqM",
        "word": "letmein",
    }
    head, payload, signature = good_token.split(".")
    changed = "A" if signature[10] != "A" else "B"
    credentials["jwt_forged"] = f"{head}.{payload}.{signature[:10]}{changed}{signature[11:]}"
    credentials["jwt_cut"] = good_token[:-7]
    credentials["jwt_empty"] = f"{head}.{payload}."
    credentials["jwt_typ"] = _signed_here(house, typ="JWT")
    credentials["jwt_mode"] = _signed_here(house, mode="test")
    for name in ("sk", "pk", "cs"):
        text = credentials[name]
        credentials[f"{name}_mistyped"] = text[:-1] + ("a" if text[-1] != "a" else "b")
        credentials[f"{name}_cut"] = text[:-1]
    house.keys.revoke(revoked_key.id)
    house.sessions.revoke(revoked_session.id)
    house.revocations.account("plat", "acct_9")
    clock.advance(1_000)
    return World(house, credentials, revocable)


def _signed_here(house: House, *, typ: str = "guestpass+jwt", mode: Mode = "live") -> str:
    """A token with the ring's own key and one thing wrong with it."""
    record, private = _signer(house)
    claims: dict[str, object] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "someone",
        "iat": int(START),
        "exp": int(START) + 3_600,
        "jti": "j",
        "platform": "plat",
        "mode": mode,
        "minted_by": "key_x",
        "minted_ms": int(START * 1000),
        "account": "acct_1",
        "components": ["call_logs"],
        "roles": ["admin"],
    }
    return sign(claims, {"typ": typ, "kid": record.kid}, private, record.algorithm)


def _signer(house: House) -> Any:
    from guestpass.inquiry import drive

    return drive(house.ring.signer("live"))


@dataclass(frozen=True, slots=True)
class Case:
    """One request and its verdict.

    `target` is the request line's, percent-encoded as sent. `credential` names one of the world's; it goes into an
    Authorization header. In `headers`, `subprotocols` and `target`, ``<name>`` stands for the credential called so.
    `code` is None where the application answers; then `account` is the one that it sees, where that is said.
    """

    name: str
    method: str
    target: str
    credential: str | None
    status: int
    code: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    subprotocols: tuple[str, ...] = ()
    body: bytes = b""
    root_path: str = ""
    raw: bool = True
    account: str | None = None


def ok(name: str, method: str, target: str, credential: str | None, *, status: int | None = None, **more: Any) -> Case:
    """A row that is let in."""
    return Case(name, method, target, credential, status or (101 if method == WS else 200), None, **more)


def no(name: str, method: str, target: str, credential: str | None, status: int, code: str, **more: Any) -> Case:
    """A row that is refused."""
    return Case(name, method, target, credential, status, code, **more)


def _account(value: str) -> dict[str, Any]:
    return {"headers": (("Account-Id", value),)}


def _header(name: str, value: str) -> dict[str, Any]:
    return {"headers": ((name, value),)}


def _json(**body: object) -> dict[str, Any]:
    return {"body": json.dumps(body).encode()}


WS: Final = "WEBSOCKET"
"""Not a method: a handshake."""

LOGS: Final = "/v1/call_logs"
OF_ONE: Final = "/v1/accounts/acct_1/call_logs"
OF_TWO: Final = "/v1/accounts/acct_2/call_logs"
MINT: Final = "/v1/account_sessions"
SIGN: Final = "/api/v1/jwt/sign"

PUBLIC: Final = (
    ok("public, nothing presented", "GET", "/health", None),
    ok("public, whatever is presented", "GET", "/health", "noise"),
    ok("public, two headers", "GET", "/health", None, headers=(("Authorization", "x"), ("Authorization", "y"))),
    ok("public, a secret key from a browser", "GET", "/health", "sk", **_header("Origin", "https://shop.example")),
    ok("public, HEAD", "HEAD", "/health", None),
    no("public by GET alone", "POST", "/health", None, 401, "credential_missing"),
    no("public by GET alone, with a credential", "POST", "/health", "cs", 404, "rule_missing"),
    ok("optional, nobody", "GET", "/open", None),
    ok("optional, somebody", "GET", "/open", "cs", account="acct_1"),
    ok("optional, another scheme", "GET", "/open", None, **_header("Authorization", "Basic YTpi")),
    no("optional, a bad one", "GET", "/open", "noise", 401, "credential_invalid"),
    no("optional, an expired one", "GET", "/open", "cs_expired", 401, "session_expired"),
    no(
        "optional, a malformed one",
        "GET",
        "/open",
        None,
        400,
        "credential_malformed",
        **_header("Authorization", "Bearer"),
    ),
    ok("the key set is public", "GET", "/.well-known/jwks.json", None),
)

HEADER_FORM: Final = (
    no("nothing", "GET", LOGS, None, 401, "credential_missing"),
    no("an empty header", "GET", LOGS, None, 401, "credential_missing", **_header("Authorization", "")),
    no("another scheme", "GET", LOGS, None, 401, "credential_missing", **_header("Authorization", "Basic YTpi")),
    no("the bare credential", "GET", LOGS, None, 401, "credential_missing", **_header("Authorization", "<cs>")),
    no("scheme Token", "GET", LOGS, None, 401, "credential_missing", **_header("Authorization", "Token <cs>")),
    no("scheme glued on", "GET", LOGS, None, 401, "credential_missing", **_header("Authorization", "Bearer<cs>")),
    no("scheme with a colon", "GET", LOGS, None, 401, "credential_missing", **_header("Authorization", "Bearer: <cs>")),
    no("scheme Bearers", "GET", LOGS, None, 401, "credential_missing", **_header("Authorization", "Bearers <cs>")),
    no("scheme, then a tab", "GET", LOGS, None, 401, "credential_missing", **_header("Authorization", "Bearer\t<cs>")),
    no("two schemes", "GET", LOGS, None, 401, "credential_missing", **_header("Authorization", "Basic Bearer <cs>")),
    ok("scheme in lower case", "GET", LOGS, None, **_header("Authorization", "bearer <cs>")),
    ok("scheme in upper case", "GET", LOGS, None, **_header("Authorization", "BEARER <cs>")),
    ok("blanks around", "GET", LOGS, None, **_header("Authorization", " Bearer <cs> ")),
    no("scheme alone", "GET", LOGS, None, 400, "credential_malformed", **_header("Authorization", "Bearer")),
    no("scheme and blanks", "GET", LOGS, None, 400, "credential_malformed", **_header("Authorization", "Bearer   ")),
    no("two in one header", "GET", LOGS, None, 400, "credential_malformed", **_header("Authorization", "Bearer <cs> <sk>")),
    no("a list", "GET", LOGS, None, 400, "credential_malformed", **_header("Authorization", "Bearer <cs>,<sk>")),
    no("folded", "GET", LOGS, None, 400, "credential_malformed", **_header("Authorization", "Bearer <cs>, Bearer <sk>")),
    no("a parameter", "GET", LOGS, None, 400, "credential_malformed", **_header("Authorization", 'Bearer token="<cs>"')),
    no("quoted", "GET", LOGS, None, 400, "credential_malformed", **_header("Authorization", 'Bearer "<cs>"')),
    no("a semicolon", "GET", LOGS, None, 400, "credential_malformed", **_header("Authorization", "Bearer <cs>;")),
    no("latin-1", "GET", LOGS, None, 400, "credential_malformed", **_header("Authorization", "Bearer <cs>\xe9")),
    no("no-break space", "GET", LOGS, None, 400, "credential_malformed", **_header("Authorization", "Bearer <cs>\xa0")),
    no("a control character", "GET", LOGS, None, 400, "credential_malformed", **_header("Authorization", "Bearer <cs>\x01")),
    no("a line break", "GET", LOGS, None, 400, "credential_malformed", **_header("Authorization", "Bearer <cs>\n")),
    no("over 8 KiB", "GET", LOGS, None, 400, "credential_malformed", **_header("Authorization", "Bearer " + "a" * 8_193)),
    no("8 KiB of noise", "GET", LOGS, None, 401, "credential_invalid", **_header("Authorization", "Bearer " + "a" * 8_192)),
    no(
        "the same one twice", "GET", LOGS, None, 400, "credential_malformed",
        headers=(("Authorization", "Bearer <cs>"), ("Authorization", "Bearer <cs>")),
    ),
    no(
        "a good one after another scheme", "GET", LOGS, None, 400, "credential_malformed",
        headers=(("Authorization", "Basic YTpi"), ("Authorization", "Bearer <cs>")),
    ),
    no(
        "a good one before an empty header", "GET", LOGS, None, 400, "credential_malformed",
        headers=(("Authorization", "Bearer <cs>"), ("Authorization", "")),
    ),
    no("in Proxy-Authorization", "GET", LOGS, None, 401, "credential_missing", **_header("Proxy-Authorization", "Bearer <cs>")),
    no("in X-Authorization", "GET", LOGS, None, 401, "credential_missing", **_header("X-Authorization", "Bearer <cs>")),
    no("in X-Api-Key", "GET", LOGS, None, 401, "credential_missing", **_header("X-Api-Key", "<sk>")),
    no("in a cookie", "GET", LOGS, None, 401, "credential_missing", **_header("Cookie", "access_token=<cs>; Authorization=<cs>")),
    no("in the query", "GET", LOGS + "?access_token=<cs>&authorization=Bearer%20<cs>", None, 401, "credential_missing"),
    no("in a body", "POST", LOGS, None, 401, "credential_missing", **_json(access_token="<cs>", client_secret="<cs>")),
    no("as a subprotocol over HTTP", "GET", LOGS, None, 401, "credential_missing", **_header("Sec-WebSocket-Protocol", "token, <cs>")),
    no("in the path", "GET", LOGS + "/<cs>", None, 401, "credential_missing"),
)  # fmt: skip

CREDENTIALS: Final = (
    ok("a session", "GET", LOGS, "cs", account="acct_1"),
    ok("a signed token", "GET", LOGS, "jwt", account="acct_1"),
    ok("a key of one account", "GET", LOGS, "sk_one", account="acct_1"),
    ok("a platform's key that names the account", "GET", LOGS, "sk", account="acct_1", **_account("acct_1")),
    ok("a kind of one's own", "GET", "/v1/gate", "gp", account="acct_1"),
    ok("a kind of one's own under a rule for all", "GET", LOGS, "gp", account="acct_1"),
    no("a kind of one's own, refused by its own", "GET", "/v1/gate", "gp_odd", 401, "credential_invalid"),
    *(
        no(f"invalid: {name}", "GET", LOGS, name, 401, "credential_invalid")
        for name in (
            "noise", "word", "sk_unknown", "pk_unknown", "cs_unknown", "sk_mistyped", "pk_mistyped", "cs_mistyped",
            "sk_cut", "pk_cut", "cs_cut", "sk_test", "pk_test", "cs_test", "jwt_forged", "jwt_cut", "jwt_empty",
            "jwt_audience", "jwt_stranger", "jwt_test", "jwt_typ", "jwt_mode",
        )
    ),
    no("expired key", "GET", LOGS, "sk_expired", 401, "key_expired"),
    no("expired session", "GET", LOGS, "cs_expired", 401, "session_expired"),
    no("expired token", "GET", LOGS, "jwt_expired", 401, "token_expired"),
    no("revoked key", "GET", LOGS, "sk_revoked", 401, "key_revoked"),
    no("revoked session", "GET", LOGS, "cs_revoked", 401, "session_revoked"),
    no("session of a revoked key", "GET", LOGS, "cs_orphan", 401, "session_revoked"),
    no("token of a revoked account", "GET", LOGS, "jwt_revoked", 401, "token_revoked"),
    no("token of a revoked key", "GET", LOGS, "jwt_orphan", 401, "token_revoked"),
    no("credential before rule", "GET", "/nowhere", "noise", 401, "credential_invalid"),
    no("header form before rule", "GET", "/nowhere", None, 400, "credential_malformed", **_header("Authorization", "Bearer")),
    no("wrong mode before rule", "GET", "/nowhere", "cs_test", 401, "credential_invalid"),
)  # fmt: skip

RULES: Final = (
    no("no rule, no credential", "GET", "/nowhere", None, 401, "credential_missing"),
    no("no rule, a session", "GET", "/nowhere", "cs", 404, "rule_missing"),
    no("no rule, a secret key", "GET", "/nowhere", "sk", 404, "rule_missing"),
    no("a route that says nothing", "GET", "/v1/unmarked", "sk", 404, "rule_missing"),
    no("a route that says nothing, nobody", "GET", "/v1/unmarked", None, 401, "credential_missing"),
    no("another method", "DELETE", LOGS, "cs", 404, "rule_missing"),
    no("a method in lower case", "get", LOGS, "cs", 404, "rule_missing"),
    no("a method in parentheses", "(GET)", LOGS, "cs", 404, "rule_missing"),
    no("a method that is half in parentheses", "GET)", LOGS, "cs", 404, "rule_missing"),
    no("a method unheard of", "BREW", LOGS, "cs", 404, "rule_missing"),
    no("a trailing slash", "GET", LOGS + "/", "cs", 404, "rule_missing"),
    no("the path goes on", "GET", LOGS + "/1", "cs", 404, "rule_missing"),
    no("the path begins alike", "GET", LOGS + "x", "cs", 404, "rule_missing"),
    no("the path ends alike", "GET", "/api" + LOGS, "cs", 404, "rule_missing"),
    no("another case", "GET", "/V1/call_logs", "cs", 404, "rule_missing"),
    no("public words inside", "GET", "/health-history", "cs", 404, "rule_missing"),
    no("public words at the end", "GET", "/v1/health", "cs", 404, "rule_missing"),
    no("the root", "GET", "/", "cs", 404, "rule_missing"),
    no("an empty parameter", "GET", "/v1/accounts//call_logs", "cs", 400, "path_ambiguous"),
    ok("HEAD is GET", "HEAD", LOGS, "cs"),
    no("HEAD without a credential", "HEAD", LOGS, None, 401, "credential_missing"),
    no("HEAD of another account", "HEAD", OF_TWO, "cs", 403, "account_mismatch"),
    ok("OPTIONS with a rule", "OPTIONS", "/v1/options", "cs"),
    no("OPTIONS without a rule", "OPTIONS", LOGS, "cs", 404, "rule_missing"),
    no("OPTIONS without a credential", "OPTIONS", LOGS, None, 401, "credential_missing"),
    no("OPTIONS *", "OPTIONS", "*", "cs", 400, "path_ambiguous"),
    no(
        "a preflight that comes this far", "OPTIONS", LOGS, None, 401, "credential_missing",
        headers=(("Origin", "https://shop.example"), ("Access-Control-Request-Method", "GET")),
    ),
    no("half a preflight", "OPTIONS", LOGS, None, 401, "credential_missing", **_header("Access-Control-Request-Method", "GET")),
    ok("the rest of a path", "GET", "/v1/files/a/b/c", "cs"),
    ok("the rest, ending in a slash", "GET", "/v1/files/a/", "cs"),
    no("no rest", "GET", "/v1/files", "cs", 404, "rule_missing"),
)  # fmt: skip

KINDS: Final = (
    *(ok(f"me: {name}", "GET", "/v1/me", name) for name in ("sk", "pk", "cs", "jwt", "jwt_none", "gp")),
    no("a publishable key where its kind is not named", "GET", LOGS, "pk", 403, "kind_refused"),
    no("a publishable key at a rule without account", "GET", "/v1/anywhere", "pk", 403, "kind_refused"),
    ok("a publishable key where it is", "GET", "/v1/config", "pk"),
    no("a publishable key that names an account", "GET", "/v1/config", "pk", 403, "account_mismatch", **_account("acct_1")),
    *(no(f"for publishable keys alone: {n}", "GET", "/v1/config", n, 403, "kind_refused") for n in ("sk", "cs", "jwt", "gp")),
    ok("for secret keys alone", "GET", "/v1/backend", "sk_one"),
    *(no(f"for secret keys alone: {n}", "GET", "/v1/backend", n, 403, "kind_refused") for n in ("pk", "cs", "jwt", "gp")),
    no("kind before account", "GET", "/v1/backend", "cs", 403, "kind_refused", **_account("acct_2")),
    *(no(f"minting: {n}", "POST", "/v1/tickets", n, 403, "escalation_denied") for n in ("cs", "cs_admin", "jwt", "gp")),
    no("minting: publishable", "POST", "/v1/tickets", "pk", 403, "kind_refused"),
    ok("minting: secret", "POST", "/v1/tickets", "sk_one"),
    no("minting before account", "POST", "/v1/tickets", "cs", 403, "escalation_denied", **_account("acct_2")),
    *(no(f"a session made by {n}", "POST", MINT, n, 403, "escalation_denied") for n in ("cs", "cs_admin", "jwt", "jwt_agent", "gp")),
    *(no(f"a token signed by {n}", "POST", SIGN, n, 403, "escalation_denied") for n in ("cs", "cs_admin", "jwt", "jwt_meta", "gp")),
    *(no(f"a session ended by {n}", "POST", MINT + "/as_x/revoke", n, 403, "escalation_denied") for n in ("cs", "jwt", "gp")),
    no("a session made by a publishable key", "POST", MINT, "pk", 403, "kind_refused"),
    no("a session made by nobody", "POST", MINT, None, 401, "credential_missing"),
)  # fmt: skip

ISSUING: Final = (
    ok("a session made", "POST", MINT, "sk", status=201, **_json(account="acct_1")),
    ok("a token signed", "POST", SIGN, "sk", **_json(tenantId="acct_1")),
    ok("a token signed for whoever it may be", "POST", SIGN, "sk", body=b"{}"),
    no("no body to sign for", "POST", SIGN, "sk", 400, "body_malformed"),
    no("no body where one is needed", "POST", MINT, "sk", 400, "body_malformed"),
    no("null for everything", "POST", MINT, "sk", 422, "validation_error", body=b'{"account":"acct_1","components":null}'),
    no("no JSON", "POST", MINT, "sk", 400, "body_malformed", body=b"{"),
    no("an array", "POST", MINT, "sk", 400, "body_malformed", body=b"[]"),
    no("UTF-16", "POST", MINT, "sk", 400, "body_malformed", body='{"account":"acct_1"}'.encode("utf-16")),
    no("a byte order mark", "POST", MINT, "sk", 400, "body_malformed", body=b'\xef\xbb\xbf{"account":"acct_1"}'),
    no("a name twice", "POST", MINT, "sk", 400, "body_malformed", body=b'{"account":"acct_1","account":"acct_2"}'),
    no("NaN", "POST", SIGN, "sk", 400, "body_malformed", body=b'{"metadata":{"a":NaN}}'),
    no("over 64 KiB", "POST", SIGN, "sk", 400, "body_malformed", body=b"{" + b" " * 65_536 + b"}"),
    no("nested without end", "POST", SIGN, "sk", 400, "body_malformed", body=b'{"a":' * 5_000),
    no("a field unheard of", "POST", MINT, "sk", 422, "validation_error", **_json(account="acct_1", admin=True)),
    no("another platform's account", "POST", MINT, "sk", 403, "account_refused", **_json(account="strange")),
    no("an account beyond the key", "POST", MINT, "sk_one", 403, "escalation_denied", **_json(account="acct_2")),
    no("a component beyond the key", "POST", MINT, "sk_one", 403, "escalation_denied", **_json(account="acct_1", components={"voicemails": {"enabled": True}})),
    no("a role beyond the key", "POST", SIGN, "sk_one", 403, "escalation_denied", **_json(roles=["admin"])),
    no("roles as an object", "POST", MINT, "sk", 422, "validation_error", **_json(account="acct_1", roles={"admin": False})),
    no("a session unheard of", "POST", MINT + "/as_x/revoke", "sk", 404, "session_unknown"),
    ok("a session ended", "POST", MINT + "/<revocable>/revoke", "sk"),
    no("another platform's session", "POST", MINT + "/<revocable>/revoke", "sk_other", 404, "session_unknown"),
    no("minting by GET", "GET", MINT, "sk", 404, "rule_missing"),
)  # fmt: skip

ACCOUNTS: Final = (
    no("nothing names it", "GET", LOGS, "sk", 400, "account_missing"),
    no("nothing names one of two", "GET", LOGS, "sk_two", 400, "account_missing"),
    ok("one of two named", "GET", LOGS, "sk_two", account="acct_2", **_account("acct_2")),
    no("a third named", "GET", LOGS, "sk_two", 403, "account_mismatch", **_account("acct_3")),
    ok("named in the path", "GET", OF_ONE, "sk", account="acct_1"),
    ok("named in the path, session", "GET", OF_ONE, "cs", account="acct_1"),
    no("another in the path, session", "GET", OF_TWO, "cs", 403, "account_mismatch"),
    no("another in the path, token", "GET", OF_TWO, "jwt", 403, "account_mismatch"),
    no("another in the path, key of one", "GET", OF_TWO, "sk_one", 403, "account_mismatch"),
    no("another in the path, own kind", "GET", OF_TWO, "gp", 403, "account_mismatch"),
    no("a token without account", "GET", LOGS, "jwt_none", 400, "account_missing"),
    no("a token without account that names one", "GET", OF_ONE, "jwt_none", 403, "account_mismatch"),
    no("metadata is no account", "GET", OF_TWO, "jwt_meta", 403, "account_mismatch"),
    no("a stranger's, named in the path", "GET", "/v1/accounts/strange/call_logs", "sk", 403, "account_refused"),
    no("a stranger's, named in the header", "GET", LOGS, "sk", 403, "account_refused", **_account("strange")),
    no("no account's name", "GET", LOGS, "sk", 403, "account_refused", **_account("acct_ 1")),
    no("a hyphen is no account", "GET", LOGS, "sk", 403, "account_refused", **_account("-")),
    no("an empty account header", "GET", LOGS, "sk", 403, "account_refused", **_account("")),
    no("an empty account header, session", "GET", LOGS, "cs", 403, "account_mismatch", **_account("")),
    ok("the header agrees", "GET", OF_ONE, "cs", **_account("acct_1")),
    no("the header disagrees", "GET", OF_ONE, "cs", 403, "account_mismatch", **_account("acct_2")),
    no("the header disagrees, secret key", "GET", OF_ONE, "sk", 403, "account_mismatch", **_account("acct_2")),
    no("the header disagrees, no account in the rule", "GET", "/v1/anywhere", "cs", 403, "account_mismatch", **_account("acct_2")),
    ok("any account will do where the rule is for none", "GET", "/v1/anywhere", "sk"),
    no("the header differs in case", "GET", LOGS, "cs", 403, "account_mismatch", **_account("ACCT_1")),
    no("two accounts in one header", "GET", LOGS, "sk", 403, "account_refused", **_account("acct_1, acct_2")),
    no("two headers", "GET", LOGS, "sk", 403, "account_mismatch", headers=(("Account-Id", "acct_1"), ("Account-Id", "acct_2"))),
    ok("two headers that agree", "GET", LOGS, "sk", account="acct_1", headers=(("Account-Id", "acct_1"), ("Account-Id", "acct_1"))),
    no("spelled with _", "GET", LOGS, "cs", 403, "account_mismatch", **_header("account_id", "acct_2")),
    no("spelled with _ beside the proper one", "GET", LOGS, "sk", 403, "account_mismatch", headers=(("Account-Id", "acct_1"), ("Account_Id", "acct_2"))),
    ok("spelled with _, the same", "GET", LOGS, "sk", account="acct_1", **_header("ACCOUNT_ID", "acct_1")),
    ok("in three places", "GET", "/v1/tenants/acct_1/logs?account_id=acct_1", "cs", account="acct_1", **_header("X-Tenant", "acct_1")),
    ok("in one of three places", "GET", "/v1/tenants/acct_1/logs", "sk", account="acct_1"),
    no("the path disagrees", "GET", "/v1/tenants/acct_2/logs?account_id=acct_1", "cs", 403, "account_mismatch", **_header("X-Tenant", "acct_1")),
    no("the query disagrees", "GET", "/v1/tenants/acct_1/logs?account_id=acct_2", "cs", 403, "account_mismatch"),
    no("the query disagrees, secret key", "GET", "/v1/tenants/acct_1/logs?account_id=acct_2", "sk", 403, "account_mismatch"),
    no("the own header disagrees", "GET", "/v1/tenants/acct_1/logs", "cs", 403, "account_mismatch", **_header("X-Tenant", "acct_2")),
    no("the own header with _ disagrees", "GET", "/v1/tenants/acct_1/logs", "cs", 403, "account_mismatch", **_header("x_tenant", "acct_2")),
    no("the account header disagrees with three", "GET", "/v1/tenants/acct_1/logs", "sk", 403, "account_mismatch", **_account("acct_2")),
    ok("named in the query", "GET", "/v1/query?account_id=acct_1", "sk", account="acct_1"),
    no("in the query, twice", "GET", "/v1/query?account_id=acct_1&account_id=acct_2", "sk", 403, "account_mismatch"),
    no("in the query, twice, the own one last", "GET", "/v1/query?account_id=acct_2&account_id=acct_1", "cs", 403, "account_mismatch"),
    no("in the query, escaped", "GET", "/v1/query?%61ccount_id=acct%5F2", "cs", 403, "account_mismatch"),
    no("in the query, escaped, behind the own one", "GET", "/v1/query?account_id=acct_1&account%5Fid=acct_2", "cs", 403, "account_mismatch"),
    no("in the query, a semicolon", "GET", "/v1/query?account_id=acct_1;account_id=acct_2", "cs", 403, "account_mismatch"),
    no("in the query, empty", "GET", "/v1/query?account_id=", "cs", 403, "account_mismatch"),
    no("in the query, empty and the own one", "GET", "/v1/query?account_id=&account_id=acct_1", "sk", 403, "account_mismatch"),
    no("in the query, without a value", "GET", "/v1/query?account_id", "cs", 403, "account_mismatch"),
    no("not in the query", "GET", "/v1/query?account=acct_1", "sk", 400, "account_missing"),
    no("in the path, escaped", "GET", "/v1/accounts/acct%5F2/call_logs", "cs", 403, "account_mismatch"),
    ok("in the path, escaped, the own one", "GET", "/v1/accounts/acct%5F1/call_logs", "cs", account="acct_1"),
    no("in the path, fullwidth", "GET", "/v1/accounts/acct_%EF%BC%91/call_logs", "sk", 403, "account_refused"),
    no("in the path, a zero-width joiner", "GET", "/v1/accounts/acct_1%E2%80%8D/call_logs", "cs", 403, "account_mismatch"),
    no("in the path, a trailing space", "GET", "/v1/accounts/acct_1%20/call_logs", "sk", 403, "account_refused"),
    no("in the path, no UTF-8", "GET", "/v1/accounts/acct_1%FF/call_logs", "sk", 403, "account_refused"),
)  # fmt: skip

COMPONENTS_AND_ROLES: Final = (
    no("a component off", "GET", "/v1/voicemails", "cs", 403, "component_disabled"),
    ok("a component on", "GET", "/v1/voicemails", "cs_2"),
    no("a component that the token lacks", "GET", LOGS, "jwt_plain", 403, "component_disabled"),
    no("a component that the key lacks", "GET", "/v1/voicemails", "sk_one", 403, "component_disabled"),
    ok("a feature on", "GET", "/v1/transcripts", "cs"),
    no("a feature off", "GET", "/v1/transcripts", "cs_plain", 403, "feature_disabled"),
    ok("a feature of the key", "GET", "/v1/transcripts", "sk_one"),
    no("account before component", "GET", "/v1/accounts/acct_2/transcripts", "cs_plain", 403, "account_mismatch"),
    no("component before feature", "GET", "/v1/transcripts", "jwt_plain", 403, "component_disabled"),
    no("component before role", "POST", LOGS, "jwt_plain", 403, "component_disabled"),
    no("the role too low", "GET", "/v1/agent", "cs", 403, "role_insufficient"),
    ok("the role just right", "GET", "/v1/agent", "jwt_agent"),
    ok("the role higher", "GET", "/v1/agent", "cs_admin"),
    no("the role one too low", "GET", "/v1/admin", "jwt_agent", 403, "role_insufficient"),
    no("metadata is no role", "GET", "/v1/admin", "jwt_meta", 403, "role_insufficient"),
    ok("a key has every role", "GET", "/v1/admin", "sk", **_account("acct_1")),
    no("a key held to a role", "GET", "/v1/admin", "sk_low", 403, "role_insufficient", **_account("acct_1")),
    no("the role for writing", "POST", LOGS, "cs", 403, "role_insufficient"),
    ok("the role for writing, had", "POST", LOGS, "cs_admin"),
)

AMBIGUOUS: Final = (
    "//v1/call_logs", "/v1//call_logs", "/v1/call_logs//", "//", "/v1/./call_logs", "/v1/../v1/call_logs", "/v1/call_logs/.",
    "/v1/call_logs/..", "/..", "/.", "/health/../v1/call_logs", "/v1/%2e%2e/health", "/v1/.%2E/health", "/v1/%2e/call_logs",
    "/%2e%2e", "/v1%2fcall_logs", "/v1%2Fcall_logs", "/v1/call_logs%2f", "/v1/call_logs%2F..%2F..%2Fhealth", "/v1%5ccall_logs",
    "/v1\\call_logs", "/v1/..%5chealth", "/v1/call_logs%00", "/v1/call_logs%00.json", "/v1/call_logs;", "/v1/call_logs;a=b",
    "/v1;/call_logs", "/health;/../v1/call_logs", "/v1/call_logs%3b", "/v1/call_logs%0a", "/v1/call_logs%0d%0a", "/v1/call_logs%09",
    "/v1/call_logs%7f", "/v1/call_logs%252f", "/v1%252fcall_logs", "/v1/%252e%252e/health", "/v1/%255c", "/v1/call_logs%2500",
    "/v1/%25252e%25252e/health", "/v1/call_logs%253b", "/health/%2e%2e/v1/call_logs", "/health%2f%2e%2e", "/v1/accounts/acct_1%2f..%2facct_2/call_logs",
    "/v1/accounts/acct_1;acct_2/call_logs", "/v1/files/a%2fb", "/v1/files/../call_logs", "v1/call_logs", "http://api.example/v1/call_logs",
)  # fmt: skip
"""Paths, as sent, that two parsers can read in two ways."""

PATHS: Final = (
    *(no(f"ambiguous: {path}", "GET", path, "cs", 400, "path_ambiguous") for path in AMBIGUOUS),
    *(
        no(f"ambiguous without raw path: {path}", "GET", path, "cs", 400, "path_ambiguous", raw=False)
        for path in ("/v1//call_logs", "/v1/../health", "/v1/call_logs;x", "/v1/call_logs%00", "/v1/%252e%252e/health", "/v1%5cx")
    ),
    no("ambiguous before public", "GET", "/health//", None, 400, "path_ambiguous"),
    no("ambiguous before public, dots", "GET", "/v1/../health", None, 400, "path_ambiguous"),
    no("ambiguous before the credential", "GET", "/v1//call_logs", None, 400, "path_ambiguous"),
    ok("an escape that means what it says", "GET", "/v1/call%5Flogs", "cs"),
    ok("a query with everything", "GET", LOGS + "?a=//&b=..&c=%2f;%00", "cs"),
    ok("dots in a name", "GET", "/v1/files/..a/b..", "cs"),
    ok("three dots", "GET", "/v1/files/...", "cs"),
    no("a fullwidth slash is no slash", "GET", "/v1%EF%BC%8Fcall_logs", "cs", 404, "rule_missing"),
    no("a line separator", "GET", "/v1/call_logs%E2%80%A8", "cs", 404, "rule_missing"),
    no("a blank at the end", "GET", "/v1/call_logs%20", "cs", 404, "rule_missing"),
    no("a question mark, escaped", "GET", "/v1/call_logs%3fx", "cs", 404, "rule_missing"),
    no("an overlong slash", "GET", "/v1%c0%afcall_logs", "cs", 404, "rule_missing"),
    ok("an encoded slash where the rule has it", "GET", "/v1/keys/a%2fb", "cs"),
    ok("two encoded slashes where the rule has them", "GET", "/v1/keys/a%2F%2Fb", "cs"),
    no("an encoded slash before the rest", "GET", "/v1%2fkeys/a", "cs", 400, "path_ambiguous"),
    no("an encoded slash as the rest begins", "GET", "/v1/keys%2fa", "cs", 400, "path_ambiguous"),
    no("encoded dots behind an encoded slash", "GET", "/v1/keys/a%2f%2e%2e%2fb", "cs", 400, "path_ambiguous"),
    no("an encoded backslash where slashes may be", "GET", "/v1/keys/a%5cb", "cs", 400, "path_ambiguous"),
    no("a double slash where encoded ones may be", "GET", "/v1/keys/a//b", "cs", 400, "path_ambiguous"),
    no("a double and an encoded slash", "GET", "/v1/keys//a%2fb", "cs", 400, "path_ambiguous"),
    ok("below a root", "GET", "/api" + LOGS, "cs", root_path="/api"),
    ok("below a root that the server left off", "GET", LOGS, "cs", root_path="/api"),
    ok("below a root, without raw path", "GET", LOGS, "cs", root_path="/api", raw=False),
    no("the root as text alone", "GET", "/api2" + LOGS, "cs", 400, "path_ambiguous", root_path="/api"),
    no("the root of a longer word", "GET", "/v1/call_logs", "cs", 400, "path_ambiguous", root_path="/v1/call"),
    no("twice below the root", "GET", "/api/api" + LOGS, "cs", 404, "rule_missing", root_path="/api"),
    no("the root itself", "GET", "/api", "cs", 404, "rule_missing", root_path="/api"),
    no("two slashes below the root", "GET", "/api/" + LOGS, "cs", 400, "path_ambiguous", root_path="/api"),
    ok("public below a root", "GET", "/api/health", None, root_path="/api"),
    ok("an encoded slash below a root", "GET", "/api/v1/keys/a%2fb", "cs", root_path="/api"),
    no("an encoded slash in the root", "GET", "/api%2fv1/keys/a", "cs", 400, "path_ambiguous", root_path="/api"),
)  # fmt: skip

OVERRIDES: Final = tuple(
    no(f"{name} is ignored", "GET", "/v1/voicemails", "cs", 403, "component_disabled", **_header(name, value))
    for name, value in (
        ("X-Original-URL", LOGS), ("X-Rewrite-URL", LOGS), ("X-Forwarded-Path", "/health"), ("X-Forwarded-Prefix", "/v1"),
        ("X-HTTP-Method-Override", "POST"), ("X-Method-Override", "HEAD"), ("X-HTTP-Method", "OPTIONS"), ("X-Script-Name", "/v1"),
        ("Guestpass-Account", "acct_1"), ("guestpass_principal", "admin"), ("X-Forwarded-User", "admin"), ("Host", "internal"),
    )
)  # fmt: skip

SHOP: Final = ("Origin", "https://shop.example")
BROWSER: Final = (
    no("a secret key with Origin", "GET", LOGS, "sk_one", 403, "secret_key_in_browser", headers=(SHOP,)),
    no("a secret key with Origin null", "GET", LOGS, "sk_one", 403, "secret_key_in_browser", **_header("Origin", "null")),
    no("a secret key with an empty Origin", "GET", LOGS, "sk_one", 403, "secret_key_in_browser", **_header("Origin", "")),
    no("a secret key with Sec-Fetch-Site", "GET", LOGS, "sk_one", 403, "secret_key_in_browser", **_header("Sec-Fetch-Site", "same-origin")),
    no("a secret key with Sec_Fetch_Site", "GET", LOGS, "sk_one", 403, "secret_key_in_browser", **_header("Sec_Fetch_Site", "none")),
    ok("a secret key with Sec-Fetch-Mode alone", "GET", LOGS, "sk_one", **_header("Sec-Fetch-Mode", "cors")),
    ok("a secret key with Referer", "GET", LOGS, "sk_one", **_header("Referer", "https://shop.example/")),
    *(
        no(f"{name} with Origin, valid or not", "GET", LOGS, name, 403, "secret_key_in_browser", headers=(SHOP,))
        for name in ("sk_unknown", "sk_mistyped", "sk_cut", "sk_revoked", "sk_expired", "sk_test")
    ),
    no("a secret key with Origin where no rule is", "GET", "/nowhere", "sk_one", 403, "secret_key_in_browser", headers=(SHOP,)),
    no("a secret key with Origin that mints", "POST", MINT, "sk", 403, "secret_key_in_browser", headers=(SHOP,)),
    ok("a secret key from an origin of its own", "GET", LOGS, "sk_origin", headers=(("Origin", "https://console.example"), ("Account-Id", "acct_1"))),
    no("a secret key from another origin than its own", "GET", LOGS, "sk_origin", 403, "secret_key_in_browser", headers=(SHOP,)),
    no("a secret key with origins, none shown", "GET", LOGS, "sk_origin", 403, "secret_key_in_browser", **_header("Sec-Fetch-Site", "same-origin")),
    ok("a session with Origin", "GET", LOGS, "cs", headers=(SHOP,)),
    ok("a token with Origin", "GET", LOGS, "jwt", headers=(SHOP,)),
    ok("a publishable key with Origin", "GET", "/v1/config", "pk", headers=(SHOP,)),
    ok("a publishable key from its origin", "GET", "/v1/config", "pk_origin", headers=(SHOP,)),
    no("a publishable key from another origin", "GET", "/v1/config", "pk_origin", 401, "credential_invalid", **_header("Origin", "https://evil.example")),
    no("a publishable key from nowhere", "GET", "/v1/config", "pk_origin", 401, "credential_invalid"),
    no("the method WEBSOCKET is no handshake", "HTTP WEBSOCKET", "/v1/news", None, 401, "credential_missing"),
    no("what handshakes are called within is no method", "HTTP (websocket)", "/v1/news", None, 401, "credential_missing"),
    no("the method WEBSOCKET finds no rule", "HTTP WEBSOCKET", "/v1/events", "cs", 404, "rule_missing"),
    no("the method WEBSOCKET hides no browser", "HTTP WEBSOCKET", "/v1/events", "sk_one", 403, "secret_key_in_browser", headers=(SHOP,)),
)  # fmt: skip

EVENTS: Final = "/v1/events"
SOCKETS: Final = (
    ok("socket: public", WS, "/v1/news", None),
    ok("socket: public, a pair", WS, "/v1/news", None, subprotocols=("token", "<cs>")),
    no("socket: nothing", WS, EVENTS, None, 401, "credential_missing"),
    no("socket: other protocols alone", WS, EVENTS, None, 401, "credential_missing", subprotocols=("graphql-transport-ws",)),
    ok("socket: header", WS, EVENTS, "cs", account="acct_1"),
    ok("socket: header, secret key", WS, EVENTS, "sk_one"),
    ok("socket: header, secret key and Origin", WS, EVENTS, "sk_one", headers=(SHOP,)),
    ok("socket: header, Sec-Fetch-Site", WS, EVENTS, "sk_one", **_header("Sec-Fetch-Site", "cross-site")),
    ok("socket: client_secret", WS, EVENTS, None, subprotocols=("client_secret", "<cs>"), account="acct_1"),
    ok("socket: jwt", WS, EVENTS, None, subprotocols=("jwt", "<jwt>"), account="acct_1"),
    ok("socket: apikey", WS, EVENTS, None, subprotocols=("apikey", "<sk_one>"), account="acct_1"),
    ok("socket: apikey, publishable", WS, "/v1/config_feed", None, subprotocols=("apikey", "<pk>")),
    ok("socket: token, a kind of one's own", WS, "/v1/gate_feed", None, subprotocols=("token", "<gp>")),
    ok("socket: pair first", WS, EVENTS, None, subprotocols=("jwt", "<jwt>", "graphql-transport-ws")),
    ok("socket: pair last", WS, EVENTS, None, subprotocols=("graphql-transport-ws", "mqtt", "client_secret", "<cs>")),
    *(
        no(f"socket: {protocol} is not for {name}", WS, EVENTS, None, 400, "credential_malformed", subprotocols=(protocol, f"<{name}>"))
        for protocol, name in (
            ("apikey", "cs"), ("apikey", "jwt"), ("apikey", "gp"), ("jwt", "cs"), ("jwt", "sk_one"), ("jwt", "gp"), ("client_secret", "jwt"),
            ("client_secret", "sk_one"), ("client_secret", "pk"), ("token", "cs"), ("token", "sk_one"), ("token", "pk"), ("token", "jwt"),
        )
    ),
    no("socket: nobody's credential", WS, EVENTS, None, 401, "credential_invalid", subprotocols=("token", "<noise>")),
    no("socket: a name without a credential", WS, EVENTS, None, 400, "credential_malformed", subprotocols=("client_secret",)),
    no("socket: the credential first", WS, EVENTS, None, 400, "credential_malformed", subprotocols=("<cs>", "client_secret")),
    no("socket: a credential without a name", WS, EVENTS, None, 401, "credential_missing", subprotocols=("<cs>",)),
    no("socket: two names", WS, EVENTS, None, 400, "credential_malformed", subprotocols=("token", "client_secret", "<cs>")),
    no("socket: two pairs", WS, EVENTS, None, 400, "credential_malformed", subprotocols=("client_secret", "<cs>", "jwt", "<jwt>")),
    no("socket: the same pair twice", WS, EVENTS, None, 400, "credential_malformed", subprotocols=("jwt", "<jwt>", "jwt", "<jwt>")),
    no("socket: pair and header", WS, EVENTS, "cs", 400, "credential_malformed", subprotocols=("client_secret", "<cs>")),
    no("socket: pair and two headers", WS, EVENTS, None, 400, "credential_malformed", subprotocols=("client_secret", "<cs>"),
       headers=(("Authorization", "Bearer <cs>"), ("Authorization", "Bearer <cs>"))),
    ok("socket: pair and another scheme", WS, EVENTS, None, subprotocols=("client_secret", "<cs>"), **_header("Authorization", "Basic YTpi")),
    no("socket: a name in upper case is no name", WS, EVENTS, None, 401, "credential_missing", subprotocols=("JWT", "<jwt>")),
    no("socket: an odd credential", WS, EVENTS, None, 400, "credential_malformed", subprotocols=("client_secret", 'a"b')),
    no("socket: an empty credential", WS, EVENTS, None, 400, "credential_malformed", subprotocols=("client_secret", "")),
    no("socket: over 8 KiB", WS, EVENTS, None, 400, "credential_malformed", subprotocols=("token", "a" * 8_193)),
    no("socket: a secret key from a page", WS, EVENTS, None, 403, "secret_key_in_browser", subprotocols=("apikey", "<sk_one>"), headers=(SHOP,)),
    no("socket: a bad secret key from a page", WS, EVENTS, None, 403, "secret_key_in_browser", subprotocols=("apikey", "<sk_mistyped>"), headers=(SHOP,)),
    ok("socket: a session from a page", WS, EVENTS, None, subprotocols=("client_secret", "<cs>"), headers=(SHOP,)),
    no("socket: expired", WS, EVENTS, None, 401, "session_expired", subprotocols=("client_secret", "<cs_expired>")),
    no("socket: revoked", WS, EVENTS, None, 401, "token_revoked", subprotocols=("jwt", "<jwt_revoked>")),
    no("socket: wrong mode", WS, EVENTS, None, 401, "credential_invalid", subprotocols=("client_secret", "<cs_test>")),
    no("socket: no rule", WS, LOGS, "cs", 404, "rule_missing"),
    no("socket: the rule of a request is none", WS, "/health", None, 401, "credential_missing"),
    no("request: the rule of a socket is none", "GET", EVENTS, "cs", 404, "rule_missing"),
    no("socket: kind", WS, EVENTS, "pk", 403, "kind_refused"),
    ok("socket: account in the path", WS, "/v1/accounts/acct_1/events", "cs"),
    no("socket: another account in the path", WS, "/v1/accounts/acct_2/events", "cs", 403, "account_mismatch"),
    no("socket: account missing", WS, EVENTS, "sk", 400, "account_missing"),
    no("socket: component", WS, "/v1/accounts/acct_1/events", "jwt_plain", 403, "component_disabled"),
    no("socket: ambiguous", WS, "/v1//events", "cs", 400, "path_ambiguous"),
    no("socket: in the query", WS, EVENTS + "?token=<cs>", None, 401, "credential_missing"),
    no("socket: in a cookie", WS, EVENTS, None, 401, "credential_missing", **_header("Cookie", "token=<cs>")),
)  # fmt: skip

CASES: Final[tuple[Case, ...]] = (
    *PUBLIC,
    *HEADER_FORM,
    *CREDENTIALS,
    *RULES,
    *KINDS,
    *ISSUING,
    *ACCOUNTS,
    *COMPONENTS_AND_ROLES,
    *PATHS,
    *OVERRIDES,
    *BROWSER,
    *SOCKETS,
)


def filled(text: str, made: World) -> str:
    """`text` with ``<name>`` replaced by the credential called so."""
    for name, credential in (*made.credentials.items(), ("revocable", made.revocable)):
        text = text.replace(f"<{name}>", credential)
    return text
