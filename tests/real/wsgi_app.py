"""A Flask version of the demo's API, for the WSGI servers of `test_wsgi_servers`: it is run by them, not imported.

The store is a file that the test has made and minted in; `GUESTPASS_STORE` names it.
"""

import os
from typing import Any

from flask import Flask, request

from guestpass import SINGLE_PLATFORM, AccountSessions, ApiKeys, Guard, KeyRing, Policy, TokenSigner, open_store
from guestpass.flask import current_principal, needs, protect

WRAPPING_KEY = "a wrapping key that is long enough: 32 bytes"


def guard_over(url: str) -> tuple[Guard, ApiKeys, AccountSessions, TokenSigner]:
    """The guard that the server and the test share by way of the store."""
    store = open_store(url)
    keys, sessions = ApiKeys(store, owns=SINGLE_PLATFORM), AccountSessions(store)
    signer = TokenSigner(KeyRing(store, wrapping_key=WRAPPING_KEY), issuer="https://api.example", audience="api")
    policy = Policy(components={"call_logs": (), "voicemails": ()}, roles=("external_entity", "admin"))
    return Guard(authenticators=[keys, sessions, signer], policy=policy, mode="live"), keys, sessions, signer


def make() -> Flask:
    """The application."""
    app = Flask(__name__)

    @app.get("/health")
    @needs(public=True, reason="probes have no credential")
    def health() -> dict[str, Any]:
        return {"ok": True}

    @app.get("/v1/me")
    @needs(account=False, role=None)
    def me() -> dict[str, Any]:
        look_alikes = sorted(key for key in request.environ if key.startswith("HTTP_GUESTPASS"))
        return {"account": current_principal.account, "kind": current_principal.kind, "look_alikes": look_alikes}

    @app.get("/v1/call_logs")
    @app.get("/v1/accounts/<account>/call_logs")
    @needs(component="call_logs")
    def call_logs(account: str = "") -> dict[str, Any]:
        return {"account": current_principal.account}

    @app.get("/v1/voicemails")
    @needs(component="voicemails")
    def voicemails() -> dict[str, Any]:
        return {"account": current_principal.account}

    @app.get("/v1/files/<path:name>")
    @needs(component="call_logs", encoded_slashes=True)
    def files(name: str) -> dict[str, Any]:
        return {"name": name}

    @app.get("/v1/unmarked")
    def unmarked() -> str:
        raise AssertionError("nobody gets here")

    protect(app, guard_over(os.environ["GUESTPASS_STORE"])[0], issuing="/", allow_origins=["https://shop.example"])
    return app
