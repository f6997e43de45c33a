"""From settings to what serves: a store, what authenticates, two guards, and one ASGI application.

The lines that a user of the library writes once. The forward-auth door has the policy of the file; the issuing API goes
by a guard of its own, so that no rule of the file is ever for it, nor its rules for anything behind the proxy.
"""

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.applications import Starlette

from guestpass.api_keys import ApiKeys
from guestpass.asgi import GuardMiddleware
from guestpass.asgi_types import ASGIApp
from guestpass.authenticators import Authenticator
from guestpass.events import Tell
from guestpass.forward_auth import forward_auth
from guestpass.guard import Guard
from guestpass.inquiry import drive
from guestpass.issuing_api import issuing_routes, issuing_rules
from guestpass.keyring import KeyRing
from guestpass.ownership import Owns, SinglePlatform
from guestpass.policy import Policy
from guestpass.records import FindKeyById
from guestpass.service.application import Application, Question, Readiness
from guestpass.service.document import explaining
from guestpass.service.events import observer
from guestpass.service.register import AskRegister, Register
from guestpass.service.secrets import store_url, token, wrapping_keys
from guestpass.service.settings import ForwardAuth, Issuing, Settings, SettingsError, SignedTokens
from guestpass.sessions import AccountSessions
from guestpass.signer import TokenSigner
from guestpass.stores import Store, open_store
from guestpass.stores.urls import sqlite_file

_STORE: Final = "store or GUESTPASS_STORE"


@dataclass(frozen=True, slots=True)
class Service:
    """What serves, ready. Whoever builds it closes it.

    `guard` judges what a proxy asks about, by paths below `root_path`; `issuing_guard`, who uses the issuing API.
    """

    app: ASGIApp
    store: Store
    guard: Guard | None
    root_path: str
    issuing_guard: Guard | None

    def close(self) -> None:
        """Let go of the store."""
        self.store.close()


def build(settings: Settings, environ: Mapping[str, str], *, make: bool = True) -> Service:
    """What the settings describe, with the secrets that they know the place of; asks the store once.

    With `make`, makes the first signing key where there is none. A SQLite file is never made: what is empty by a slip
    of the pen would refuse everybody. Raises `SettingsError` and `guestpass.Unavailable`.
    """
    url = store_url(settings)
    file = sqlite_file(url)
    if file is not None and not file.exists():
        raise SettingsError(f"{settings.name}, {_STORE}: there is no store in {file}: guestpass store init makes one")
    with contextlib.ExitStack() as held:
        with explaining(settings.name, _STORE):
            store = open_store(url)
            held.callback(store.close)
            store.answer(FindKeyById(""))
        authenticators = _authenticators(settings, store, environ, make)
        observe = observer(settings.observe)
        forward = issuing = guard = issuing_guard = None
        if settings.forward_auth is not None:
            guard = _guard(settings, authenticators, settings.policy, observe)
            forward = _forward(settings, settings.forward_auth, guard)
        if settings.issuing is not None:
            issuing_guard = _issuing_guard(settings, settings.issuing, authenticators, observe)
            issuing = _issuing(settings, settings.issuing, issuing_guard)
        held.pop_all()
    app = Application(
        settings.health, Readiness(store), forward, issuing, realm=settings.realm, logs=settings.listen.access_log
    )
    root_path = "" if settings.forward_auth is None else settings.forward_auth.root_path
    return Service(app, store, guard, root_path, issuing_guard)


def _authenticators(settings: Settings, store: Store, environ: Mapping[str, str], make: bool) -> list[Authenticator]:
    forms = settings.credentials
    keys = ApiKeys(
        store,
        owns=_owns(settings),
        secret_prefix=forms.secret_key_prefix,
        publishable_prefix=forms.publishable_key_prefix,
        checksum=forms.checksum,
    )
    found: list[Authenticator] = [keys, AccountSessions(store, prefix=forms.client_secret_prefix)]
    if settings.signed_tokens is not None:
        found.append(_signer(settings, settings.signed_tokens, store, environ, make))
    return [*found, *settings.issuers]


def _owns(settings: Settings) -> Owns | SinglePlatform:
    owners = settings.owners
    if not isinstance(owners, AskRegister):
        return owners
    return Register(owners.url, "" if owners.token_file is None else token(settings, owners.token_file))


def _signer(
    settings: Settings, signed: SignedTokens, store: Store, environ: Mapping[str, str], make: bool
) -> TokenSigner:
    wrapping = wrapping_keys(settings, signed, environ)
    with explaining(settings.name, "[signed_tokens]"):
        ring = KeyRing(
            store, wrapping_key=wrapping, algorithm=signed.algorithm, publish_ahead=float(signed.publish_ahead)
        )
        signer = TokenSigner(ring, issuer=signed.issuer, audience=signed.audience)
        # Makes the first key, or unwraps the one that is there: now, and not in the first request.
        if make or ring.look().signing(settings.mode, time.time()) is not None:
            drive(ring.signer(settings.mode))
    return signer


def _guard(settings: Settings, authenticators: list[Authenticator], policy: Policy, observe: Sequence[Tell]) -> Guard:
    with explaining(settings.name):
        return Guard(
            authenticators=authenticators,
            policy=policy,
            mode=settings.mode,
            realm=settings.realm,
            account_header=settings.account_header,
            observe=observe,
        )


def _forward(settings: Settings, door: ForwardAuth, guard: Guard) -> Question:
    joined = door.proxy == "envoy"
    with explaining(settings.name, "[forward_auth]"):
        app = forward_auth(
            guard,
            proxy=door.proxy,
            trusted=door.trusted,
            sockets=door.sockets,
            root_path=door.root_path,
            path_prefix=door.path if joined else "",
            preflight=door.preflight,
        )
    return Question(door.path, joined, app)


def _issuing_guard(
    settings: Settings, issuing: Issuing, authenticators: list[Authenticator], observe: Sequence[Tell]
) -> Guard:
    policy = settings.policy
    guard = _guard(settings, authenticators, Policy(components=policy.components, roles=policy.roles), observe)
    with explaining(settings.name, "[issuing]"):
        guard.add_rules(issuing_rules(guard, issuing.prefix))
    return guard


def _issuing(settings: Settings, issuing: Issuing, guard: Guard) -> ASGIApp:
    with explaining(settings.name, "[issuing]"):
        api = Starlette(routes=issuing_routes(guard, issuing.prefix))
        return GuardMiddleware(api, guard, allow_origins=issuing.allow_origins)
