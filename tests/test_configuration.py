"""A wrong configuration fails where it is written, and names the line to change."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI

from guestpass import (
    ALL,
    SINGLE_PLATFORM,
    AccountSessions,
    ApiKeys,
    ConfigurationError,
    Guard,
    KeyRing,
    Policy,
    Refused,
    Rule,
    TokenSigner,
    needs,
    open_store,
)
from guestpass.asgi import GuardMiddleware
from guestpass.fastapi import protect

STORE = open_store("memory://")
KEYS = ApiKeys(STORE, owns=SINGLE_PLATFORM)
POLICY = Policy(Rule("GET /a", account=False))
GUARD = Guard(authenticators=[KEYS], policy=POLICY, mode="live")
ANYTHING: Any = None


async def application(scope: object, receive: object, send: object) -> None: ...


def guard(**settings: Any) -> Guard:
    return Guard(**{"authenticators": [KEYS], "policy": POLICY, "mode": "live", **settings})


WRONG: list[tuple[Callable[[], object], str]] = [
    (lambda: guard(account_header="Account Id"), r"account_header='Account Id'"),
    (lambda: guard(account_header=""), r"account_header=''"),
    (lambda: guard(account_header="Authorization"), r"account_header='Authorization'"),
    (lambda: guard(account_header="Guestpass-Account"), r"account_header='Guestpass-Account'"),
    (lambda: guard(lookups=2.5), r"lookups=2.5\): a whole number"),
    (lambda: guard(cache_size=1e5), r"cache_size=100000.0\): a whole number"),
    (lambda: guard(authenticators=["x"]), "str is no authenticator"),
    (lambda: guard(policy=Rule("GET /a")), "policy=….*not Rule"),
    (lambda: guard(recheck=math.inf), "recheck=inf"),
    (lambda: GuardMiddleware(application, GUARD, preflight="allow"), "preflight='allow'"),  # type: ignore[arg-type]
    (
        lambda: GuardMiddleware(application, GUARD, websocket_refusal="reject"),  # type: ignore[arg-type]
        "websocket_refusal='reject'",
    ),
    *(
        (lambda origin=origin: GuardMiddleware(application, GUARD, allow_origins=[origin]), "as browsers send it")
        for origin in ("https://a.example/", "app.example", "https://App.example", "https://a.example/x", "")
    ),
    (lambda: GuardMiddleware(application, GUARD, allow_origins="https://a.example"), "a list of origins"),
    (lambda: protect(GUARD, FastAPI()), "the application first"),  # type: ignore[arg-type]
    (lambda: KeyRing(STORE, pem={}), r"pem=\{\}"),
    (lambda: TokenSigner(STORE, issuer="i", audience="a"), "KeyRing"),  # type: ignore[arg-type]
    (lambda: Policy([Rule("GET /a")]), "one after another"),  # type: ignore[arg-type]
    (lambda: Policy("GET /a"), "one after another"),  # type: ignore[arg-type]
    (lambda: Policy(components={"a"}), "each component with its features"),  # type: ignore[arg-type]
    (lambda: Rule("GET /a", role=False), "role=False"),  # type: ignore[arg-type]
    (lambda: Rule("GET /a", kinds={"publishable_key"}), "account=False"),
    (lambda: Rule("POST /a", mints=True, kinds={"account_session"}), "only a secret key mints"),
    (lambda: Rule("GET /a?x=1"), "neither a literal segment"),
    (lambda: Rule("GET /a/:b"), "neither a literal segment"),
    (lambda: Rule("GET /a/<b>"), "neither a literal segment"),
    (lambda: needs(public=True), r"^needs\(…\): a public rule says why"),
]


@pytest.mark.parametrize(("build", "says"), WRONG, ids=[says for _, says in WRONG])
def test_what_cannot_work_is_refused_at_its_line(build: Callable[[], object], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        build()


def test_a_date_that_cannot_be_written_is_no_end() -> None:
    with pytest.raises(ValueError, match="year 9999"):
        KEYS.create(platform="acme", mode="live", expires_at=1e15)


def test_a_secret_is_no_principal() -> None:
    sessions = AccountSessions(STORE)
    guard(authenticators=[KEYS, sessions])
    with pytest.raises(TypeError, match=r"by=guard\.check\(secret\), not str"):
        sessions.create(by="sk_live_x", account="acct_1")  # type: ignore[arg-type]


def test_what_is_wrong_stands_in_the_exceptions_text() -> None:
    sessions = AccountSessions(STORE)
    made = guard(authenticators=[KEYS, sessions])
    by = made.check(KEYS.create(platform="acme", mode="live", accounts=ALL).secret)
    with pytest.raises(Refused, match="expires_in: an integer from 60 to 86400"):
        sessions.create(by=by, account="acct_1", expires_in=1)
