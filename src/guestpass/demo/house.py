"""The demo put together on a store: its keys, its guard, and one application behind it.

The lines that every user of the library writes once; a platform's own application looks much like `open_house`.
"""

from dataclasses import dataclass, field
from typing import Final

from fastapi import FastAPI

from guestpass import AccountSessions, ApiKeys, Guard, KeyRing, Policy, TokenSigner, open_store
from guestpass.demo import app as api
from guestpass.demo import data
from guestpass.demo.backend import backend_router
from guestpass.demo.events import EVERY, events_router
from guestpass.demo.page import page_router
from guestpass.demo.short_passes import short_pass_router
from guestpass.fastapi import protect
from guestpass.principal import PUBLISHABLE_KEY
from guestpass.stores import Store

# The same at every port, so that a token outlives a restart on another one.
ISSUER: Final = "https://voice.example"
AUDIENCE: Final = "voice-api"


@dataclass(frozen=True, slots=True)
class House:
    """The application, and the keys that were made for it at this start."""

    app: FastAPI
    secret_key: str = field(repr=False)
    publishable_key: str


def in_memory() -> FastAPI:
    """The application on a store that goes with it, to be looked at and not served."""
    return open_house(open_store("memory://"), KeyRing.new_wrapping_key()).app


def open_house(store: Store, wrapping_key: str, *, every: float = EVERY) -> House:
    """The demo on `store`, with a new pair of API keys; `every` is the seconds between two events of the socket.

    Raises `guestpass.Unavailable` where the store does not answer, `guestpass.ConfigurationError` where its signing
    keys are wrapped with another `wrapping_key`.
    """
    keys = ApiKeys(store, owns=data.owns)
    sessions = AccountSessions(store)
    ring = KeyRing(store, wrapping_key=wrapping_key)
    signer = TokenSigner(ring, issuer=ISSUER, audience=AUDIENCE)
    guard = Guard(
        authenticators=[keys, sessions, signer],
        policy=Policy(components=api.COMPONENTS, roles=api.ROLES),
        mode="live",
        realm="voice",
    )
    # Makes the first signing key, or unwraps the one that is there: now, and not in the first request.
    ring.jwks("live")
    secret = keys.create(platform=data.PLATFORM, mode="live", name="demo").secret
    publishable = keys.create(platform=data.PLATFORM, mode="live", kind=PUBLISHABLE_KEY, name="demo page").secret

    # No documents of FastAPI's own: their pages load script from elsewhere.
    app = FastAPI(title="Voice", openapi_url=None)
    app.include_router(api.router)
    app.include_router(events_router(every))
    app.include_router(backend_router(guard, secret))
    app.include_router(short_pass_router(guard, sessions, secret))
    app.include_router(page_router(publishable))
    protect(app, guard, issuing="/", socket_renewal=True)
    return House(app, secret, publishable)
