"""What the checkers have to see of the public interface. Read by mypy and pyright, run by nobody."""

from collections.abc import Mapping
from typing import assert_type

from guestpass import (
    ALL,
    SINGLE_PLATFORM,
    AccountSession,
    AccountSessions,
    ApiKeys,
    Credential,
    Grant,
    Guard,
    JwtIssuer,
    KeyRing,
    KeySet,
    Policy,
    Principal,
    Refusal,
    Rule,
    SignedToken,
    TokenSigner,
    needs,
    open_store,
    principal_of,
)
from guestpass.asgi import GuardMiddleware, Receive, Scope, Send
from guestpass.events import Decided, Event
from guestpass.explaining.explanation import Explanation
from guestpass.fastapi import Caller, OptionalCaller
from guestpass.observe.logs import LogEvents
from guestpass.observe.opentelemetry import Telemetry
from guestpass.requests import Request

store = open_store("memory://")
keys = ApiKeys(store, owns=SINGLE_PLATFORM)
sessions = AccountSessions(store)
signer = TokenSigner(KeyRing(store, wrapping_key="w" * 32), issuer="https://api.example", audience="api")
outside = JwtIssuer("https://login.example/", keys=KeySet.from_url("https://login.example/jwks"), audience="api")
policy = Policy(Rule("GET /v1/me", account=False), components={"call_logs": ("transcripts",)}, roles=("agent",))
guard = Guard(authenticators=[keys, sessions, signer, outside], policy=policy, mode="live")


async def owns(platform: str, account: str) -> bool:
    return platform == account


ApiKeys(store, owns=owns)


class Badges:
    """A kind of one's own."""

    def kind_of(self, credential: Credential, /) -> str | None:
        return "badge" if credential.text.startswith("badge_") else None

    def authenticate(self, credential: Credential, now: float, /) -> Principal | Refusal:
        if credential.text != "badge_ada":
            return Refusal("credential_invalid")
        return Principal("badge", "ada", Grant("acme", "live", accounts=ALL), "badge_1", issued_at=now)


Guard(authenticators=[Badges()], policy=policy, mode="live")


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    assert_type(principal_of(scope), Principal)
    assert_type(principal_of(scope, None), Principal | None)
    await send(await receive())


GuardMiddleware(application, guard, allow_origins=["https://app.example"])


@needs(component="call_logs", feature="transcripts")
async def call_logs(caller: Caller, maybe: OptionalCaller) -> str | None:
    assert_type(caller, Principal)
    assert_type(maybe, Principal | None)
    return caller.account


async def everything() -> None:
    by = guard.check("sk_live_x")
    assert_type(by, Principal)
    assert_type(await guard.check_async("sk_live_x"), Principal)
    assert_type(sessions.create(by=by, account="acct_1", components={"call_logs": {"enabled": True}}), AccountSession)
    assert_type(await signer.sign_async(by=by, tenant_id="acct_1", metadata={"plan": "pro"}), SignedToken)
    assert_type(by.metadata, Mapping[str, object])
    assert_type(await call_logs(by, None), str | None)
    told = guard.explain("GET /v1/me", headers={"Authorization": "Bearer sk_live_x"}, subprotocols=["mqtt"])
    assert_type(told, Explanation)
    assert_type(told.verdict, Principal | Refusal)
    assert_type(await guard.explain_async(Request("GET", "/", "/", None, b"", [])), Explanation)


def observe(event: Event) -> None:
    if isinstance(event, Decided):
        assert_type(event.code, str | None)


Guard(authenticators=[keys], policy=policy, mode="live", observe=observe)
Guard(authenticators=[keys], policy=policy, mode="live", observe=[observe, LogEvents(), Telemetry()])
