"""A forward-auth application for the proxies of `test_proxies`: it is run by uvicorn, not imported by it.

The store is a file that the test has made and minted in; `GUESTPASS_STORE` names it, `GUESTPASS_PROXY` who asks, and
`GUESTPASS_TRUSTED` from where.
"""

import os
from typing import cast

from guestpass import (
    SINGLE_PLATFORM,
    AccountSessions,
    ApiKeys,
    Guard,
    JwtIssuer,
    KeyRing,
    KeySet,
    Policy,
    Rule,
    TokenSigner,
    open_store,
)
from guestpass.asgi import ASGIApp
from guestpass.forward_auth import ProxyName, forward_auth

WRAPPING_KEY = "a wrapping key that is long enough: 32 bytes"
SILENT = "http://127.0.0.1:1/"
"""An issuer whose keys cannot be had: nothing listens there."""

PREFIX = "/check"

RULES = (
    Rule("GET /health", public=True, reason="probes have no credential"),
    Rule("GET /v1/me", account=False, role=None),
    Rule("GET,POST /v1/call_logs", component="call_logs"),
    Rule("GET /v1/accounts/{account}/call_logs", component="call_logs"),
    Rule("GET /v1/voicemails", component="voicemails"),
    Rule("GET /v1/files/{name...}", component="call_logs", encoded_slashes=True),
    Rule("GET /v1/open/{name...}", public=True, reason="leaflets are for all"),
    Rule("GET /v1/open/admin", role="admin"),
    Rule("WEBSOCKET /v1/events", component="call_logs"),
    Rule("WEBSOCKET /v1/both"),
    Rule("GET /v1/both", role="admin"),
    Rule("GET /v1/plain"),
)


def guard_over(url: str) -> tuple[Guard, ApiKeys, AccountSessions, TokenSigner]:
    """The guard that the application and the test share by way of the store."""
    store = open_store(url)
    keys, sessions = ApiKeys(store, owns=SINGLE_PLATFORM), AccountSessions(store)
    signer = TokenSigner(KeyRing(store, wrapping_key=WRAPPING_KEY), issuer="https://api.example", audience="api")
    silent = JwtIssuer(SILENT, keys=KeySet.from_url(SILENT), audience="api")
    policy = Policy(*RULES, components={"call_logs": (), "voicemails": ()}, roles=("external_entity", "admin"))
    return Guard(authenticators=[keys, sessions, signer, silent], policy=policy, mode="live"), keys, sessions, signer


def make() -> ASGIApp:
    """The application."""
    proxy = cast("ProxyName", os.environ["GUESTPASS_PROXY"])
    prefix = PREFIX if proxy == "envoy" else ""
    trusted = [os.environ["GUESTPASS_TRUSTED"]]
    guard, *_ = guard_over(os.environ["GUESTPASS_STORE"])
    return forward_auth(guard, proxy=proxy, trusted=trusted, sockets=proxy != "caddy", path_prefix=prefix)
