"""One guarded API: what a token opens there."""

import anyio

from guestpass import Authenticator, Guard, Rule
from guestpass.asgi import GuardMiddleware
from support import Outcome, ask_http, bearer, echo, policy

LOGS = "/v1/accounts/acct_1/call_logs"
OTHER_LOGS = "/v1/accounts/acct_2/call_logs"
ME = "/v1/me"


def guarding(*issuers: Authenticator) -> Guard:
    """A guard with three rules: agents read and admins delete an account's logs, and anybody asks who they are."""
    logs = "/v1/accounts/{account}/call_logs"
    rules = (
        Rule(f"GET {logs}", role="agent"),
        Rule(f"DELETE {logs}", role="admin"),
        Rule(f"GET {ME}", account=False, role=None),
        Rule("GET /v1/accounts/{account}/voicemails", component="voicemails", role=None),
        Rule("GET /v1/accounts/{account}/transcripts", component="call_logs", role=None),
    )
    return Guard(authenticators=issuers, policy=policy(*rules), mode="live")


def outcome(guard: Guard, token: str, target: str = ME, method: str = "GET", backend: str = "asyncio") -> Outcome:
    """What a client sees that presents `token`."""
    return anyio.run(ask_http, GuardMiddleware(echo, guard), method, target, bearer(token), backend=backend)


def answer(guard: Guard, token: str, target: str = ME, method: str = "GET") -> str:
    """The code of the refusal, ``"let in"`` where there is none."""
    seen = outcome(guard, token, target, method)
    return "let in" if seen.status == 200 else str(seen.code)
