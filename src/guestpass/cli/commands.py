"""What the command line does with a store: make, list and end keys and sessions.

Knows nothing of arguments or of what is printed. Whoever may run this may open the store, so it asks nobody's leave;
a session is still minted by a key, and never has more than its key.
"""

import contextlib
import math
import time
from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from guestpass.api_keys import ApiKeys
from guestpass.credentials import digest
from guestpass.errors import GuestpassError
from guestpass.grants import ALL, Grant, Mode, Names
from guestpass.guard import Guard
from guestpass.ownership import SINGLE_PLATFORM
from guestpass.policy import EXTERNAL_ENTITY, Policy
from guestpass.principal import PUBLISHABLE_KEY, SECRET_KEY
from guestpass.records import FindKey, KeyRecord
from guestpass.sessions import AccountSessions
from guestpass.stores import Store, open_store

MAX_SECRET: Final = 8_192
"""Characters read of a file that is to hold a credential."""


class NotFound(GuestpassError):
    """There is nothing with this id."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class KeyWish:
    """A key to be made. What is empty holds it to nothing; `expires_in` is in seconds, None for no end."""

    platform: str
    mode: Mode
    publishable: bool
    accounts: Sequence[str]
    components: Sequence[str]
    roles: Sequence[str]
    origins: Sequence[str]
    name: str
    expires_in: int | None


@contextlib.contextmanager
def opened(store_url: str) -> Generator[Store, None, None]:
    """The store at a URL, closed afterwards."""
    with contextlib.closing(open_store(store_url)) as store:
        yield store


def create_key(store: Store, wish: KeyWish) -> tuple[str, Mapping[str, object]]:
    """Make a key; answers its secret, and what is kept of it. Raises ValueError for what cannot be a key."""
    keys = _keys(store)
    made = keys.create(
        platform=wish.platform,
        mode=wish.mode,
        kind=PUBLISHABLE_KEY if wish.publishable else SECRET_KEY,
        accounts=wish.accounts or ALL,
        components=wish.components or ALL,
        roles=wish.roles or ALL,
        origins=wish.origins,
        name=wish.name,
        expires_at=math.inf if wish.expires_in is None else time.time() + wish.expires_in,
    )
    (key,) = [key for key in keys.list(wish.platform) if key.id == made.id]
    return made.secret, _described(key)


def list_keys(store: Store, platform: str | None) -> list[Mapping[str, object]]:
    """The keys of one platform, or all, oldest first."""
    return [_described(key) for key in _keys(store).list(platform)]


def revoke_key(store: Store, key_id: str) -> Mapping[str, object]:
    """End a key and all that it minted. Raises `NotFound`."""
    try:
        return _described(_keys(store).revoke(key_id))
    except KeyError:
        raise NotFound("key_unknown", "There is no key with this id.") from None


def revoke_session(store: Store, session_id: str) -> None:
    """End a session. Raises `guestpass.Refused` (``session_unknown``)."""
    AccountSessions(store).revoke(session_id)


def create_session(
    store: Store, secret: str, account: str, components: Sequence[str], expires_in: int | None
) -> Mapping[str, object]:
    """Mint a session with a secret key. Raises `guestpass.Refused`, and ValueError where no component is named."""
    if not secret:
        raise ValueError("the key file is empty")
    key = store.answer(FindKey(digest(secret)))
    held = frozenset[str]() if key is None or key.grant.components is ALL else key.grant.components
    known = _vocabulary([*components, *held])
    if key is not None and key.kind == SECRET_KEY and key.revoked_at is None and not known:
        raise ValueError("the key has every component, and only the API knows which there are: name some, --component")
    sessions = AccountSessions(store)
    mode: Mode = "test" if secret.split("_")[1:2] == ["test"] else "live"
    guard = Guard(
        authenticators=[_keys(store), sessions],
        policy=Policy(components=known or {"none": ()}, roles=_roles(key)),
        mode=mode,
    )
    session = sessions.create(
        by=guard.check(secret), account=account, components=_settings(components), expires_in=expires_in
    )
    return {
        "id": session.id,
        "account": session.account,
        "client_secret": session.client_secret,
        "expires_at": session.expires_at,
        "expires_in": session.expires_in,
        "components": dict(session.components),
        "livemode": session.livemode,
    }


def _keys(store: Store) -> ApiKeys:
    # Whose an account is stands in the platform's own register, which is not to be had here.
    return ApiKeys(store, owns=SINGLE_PLATFORM)


def _vocabulary(names: Collection[str]) -> dict[str, set[str]]:
    """Components with their features, as far as names of them (``call_logs``, ``call_logs/transcripts``) tell."""
    known: dict[str, set[str]] = {}
    for name in names:
        component, _, feature = name.partition("/")
        known.setdefault(component, set()).update({feature} - {"", "*"})
    return known


def _settings(names: Sequence[str]) -> Mapping[str, Mapping[str, object]] | None:
    """The `components` of a session in which these are enabled; None, all of the key's, where none is named."""
    settings: dict[str, dict[str, object]] = {}
    for component, features in _vocabulary(names).items():
        settings[component] = {"enabled": True}
        if features:
            settings[component]["features"] = dict.fromkeys(features, True)
    return settings or None


def _roles(key: KeyRecord | None) -> tuple[str, ...]:
    # In which order the API has its roles is not known here, only that this one is the lowest: so it is all that a
    # session made here can have.
    held = frozenset[str]() if key is None or key.grant.roles is ALL else key.grant.roles
    return (EXTERNAL_ENTITY, *sorted(held - {EXTERNAL_ENTITY}))


def _described(key: KeyRecord) -> Mapping[str, object]:
    grant = key.grant
    return {
        "id": key.id,
        "kind": key.kind,
        "platform": grant.platform,
        "mode": grant.mode,
        "name": key.name,
        "state": _state(key, grant),
        "accounts": _listed(grant.accounts),
        "components": _listed(grant.components),
        "roles": _listed(grant.roles),
        "origins": sorted(key.origins),
        "created_at": _instant(key.created_at),
        "expires_at": None if math.isinf(grant.expires_at) else _instant(grant.expires_at),
        "revoked_at": None if key.revoked_at is None else _instant(key.revoked_at),
    }


def _state(key: KeyRecord, grant: Grant) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if time.time() >= grant.expires_at else "valid"


def _listed(names: Names) -> str | list[str]:
    return "ALL" if names is ALL else sorted(names)


def _instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
