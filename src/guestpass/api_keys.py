"""API keys: secret keys for backends, publishable keys that name a platform in a browser.

Knows how a key is made, found, narrowed and revoked. Knows nothing of what a key then mints.
"""

import copy
import hmac
import math
import secrets
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Required, TypeAlias, TypedDict, Unpack, cast

from guestpass.authenticators import Membership
from guestpass.concurrency.upkeep import UPKEEP
from guestpass.credentials import NOT_AS_ISSUED, Credential, OpaqueForm, Randomness, digest, new_id
from guestpass.errors import ConfigurationError
from guestpass.grants import ALL, All, Grant, Mode, Names, intersection, names
from guestpass.inquiry import Answers, Inquiry, ask, drive, drive_async
from guestpass.key_uses import WRITTEN_EVERY, KeyUses
from guestpass.ownership import Ownership, Owns, SinglePlatform
from guestpass.principal import PUBLISHABLE_KEY, SECRET_KEY, Principal, is_account_id, is_name, is_origin, is_platform
from guestpass.quoting import instant
from guestpass.records import (
    AddCutoff,
    AddKey,
    ChangeKey,
    Cutoff,
    Ending,
    FindKey,
    FindKeyById,
    KeyRecord,
    ListKeys,
    RotateKey,
)
from guestpass.refusals import Refusal
from guestpass.revocation.cutoff_list import CUTOFF_KEPT, FOREVER_MS, key_name
from guestpass.revocation.feed import feed_of

Components: TypeAlias = All | Collection[str] | Mapping[str, Collection[str]]
"""`ALL`; names of components, each with all its features; or each component with the features named."""

ROTATION_OVERLAP: Final = 86_400.0
MAX_OVERLAP: Final = 90 * 86_400
_MISTYPED: Final = Refusal("credential_invalid", "API key", "It is mistyped or cut short.", because=NOT_AS_ISSUED)

COMPROMISED: Final = 0.0
"""When a secret that is known to others was good until: never."""

LATEST: Final = 253_402_300_799
"""The last instant, in Unix seconds, that a date can be written of."""


class KeyRequest(TypedDict, total=False):
    """What a key is to be.

    - `platform`, `mode`: whose it is, and ``live`` or ``test``.
    - `kind`: ``secret_key``, or ``publishable_key``, which has no account and no component, whatever is asked for.
    - `accounts`, `components`, `roles`: what it is held to; `ALL` where left out.
    - `origins`: the web origins that a publishable key works from (none named: from everywhere), or those where a
      secret key is let through from a browser.
    - `name`: for people. `expires_at`: in Unix seconds.
    """

    platform: Required[str]
    mode: Required[Mode]
    kind: str
    accounts: Collection[str] | All
    components: Components
    roles: Collection[str] | All
    origins: Collection[str]
    name: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made. `secret` is shown once and kept nowhere."""

    id: str
    secret: str = field(repr=False)


class ApiKeys:
    """The API keys in a store; authenticates them, and makes and ends them.

    `owns(platform, account) -> bool`, plain or async, says whether an account is a platform's: a platform-wide key
    may name any account, so each one that it names is asked after. `SINGLE_PLATFORM` where there is one platform
    only. `checksum=False` admits keys of an older form.
    """

    looks_up: Final = True
    good_for: Final = 60.0

    def __init__(
        self,
        store: Answers,
        *,
        owns: Owns | SinglePlatform,
        secret_prefix: str = "sk",  # noqa: S107 - a prefix, not a secret
        publishable_prefix: str = "pk",
        checksum: bool = True,
        clock: Callable[[], float] = time.time,
        randomness: Randomness = secrets.token_bytes,
    ) -> None:
        if not callable(owns) and not isinstance(owns, SinglePlatform):
            raise ConfigurationError("ApiKeys(owns=…): a function owns(platform, account) -> bool, or SINGLE_PLATFORM")
        self._store = store
        self.feed: Final = feed_of(store, clock)
        self._uses = KeyUses(store)
        self._forms: Final = {
            SECRET_KEY: OpaqueForm(secret_prefix, checksum),
            PUBLISHABLE_KEY: OpaqueForm(publishable_prefix, checksum),
        }
        self._kinds = [(kind, form.beginnings) for kind, form in self._forms.items()]
        self.prefixes: Final = (secret_prefix, publishable_prefix)
        self.ownership: Final = Ownership(owns)
        self._clock = clock
        self._randomness = randomness
        self._memberships: list[Membership] = []

    def attach(self, membership: Membership, /) -> None:
        """Part of being an authenticator."""
        if not self._memberships:
            UPKEEP.every(WRITTEN_EVERY, self._uses.work)
        self._memberships.append(membership)

    def unnoticed(self) -> "ApiKeys":
        """The same keys, for looking at one without using it."""
        twin = copy.copy(self)
        # Of which no upkeep knows: what is noted there is never written.
        twin._uses = KeyUses(self._store)
        return twin

    def kind_of(self, credential: Credential, /) -> str | None:
        """``secret_key`` or ``publishable_key``, by the prefix."""
        text = credential.text
        for kind, beginnings in self._kinds:
            if text.startswith(beginnings):
                return kind
        return None

    def authenticate(self, credential: Credential, now: float, /) -> Refusal | Inquiry[Principal | Refusal]:
        """The key's principal. A mistyped key is refused without a look-up."""
        kind = self.kind_of(credential)
        if kind is None or not self._forms[kind].well_formed(credential.text):
            return _MISTYPED
        return self._find(credential.digest, kind, now)

    def _find(self, secret_digest: bytes, kind: str, now: float) -> Inquiry[Principal | Refusal]:
        key = yield from ask(self._store, FindKey(secret_digest))
        if key is None:
            return _refusal("credential_invalid", None, "no key in the store has this secret")
        if key.kind != kind:
            return _refusal(
                "credential_invalid", key, f"the store has it as a {key.kind}, by its prefix it is a {kind}"
            )
        grant = key.grant
        if not hmac.compare_digest(key.digest, secret_digest):
            if key.old_digest is None or not hmac.compare_digest(key.old_digest, secret_digest):
                return _refusal("credential_invalid", key, "the store answered with a key of another secret")
            if key.old_until == COMPROMISED:
                return _refusal("key_revoked", key, "this secret of it was retired as compromised")
            grant = replace(grant, expires_at=min(grant.expires_at, key.old_until))
        if key.revoked_at is not None:
            return _refusal("key_revoked", key, f"it was revoked at {instant(key.revoked_at)}")
        if now >= grant.expires_at:
            retired = "this secret of it, which was rotated out," if grant is not key.grant else "it"
            return _refusal("key_expired", key, f"{retired} ended at {instant(grant.expires_at)}")
        self._uses.note(key, now)
        return Principal(
            kind=key.kind,
            subject=key.id,
            grant=replace(grant, roles=self._roles(key)),
            credential_id=key.id,
            issued_at=key.created_at,
            origins=key.origins,
            secret_digest=secret_digest,
        )

    def create(self, **asked: Unpack[KeyRequest]) -> NewKey:
        """Make a key (see `KeyRequest`); its secret is in the answer and nowhere else.

        Raises ValueError for what cannot be a key.
        """
        return drive(self._create(asked))

    async def create_async(self, **asked: Unpack[KeyRequest]) -> NewKey:
        """`create`, without holding up the event loop."""
        return await drive_async(self._create(asked))

    def list(self, platform: str | None = None) -> tuple[KeyRecord, ...]:
        """The keys of a platform, or all, oldest first; revoked and expired ones too."""
        return drive(ask(self._store, ListKeys(platform)))

    def revoke(self, key_id: str) -> KeyRecord:
        """End a key and everything that it minted. Doing so twice is no fault; raises KeyError for an unknown id."""
        return drive(self._revoke(key_id))

    async def revoke_async(self, key_id: str) -> KeyRecord:
        """`revoke`, without holding up the event loop."""
        return await drive_async(self._revoke(key_id))

    def narrow(
        self,
        key_id: str,
        *,
        accounts: Collection[str] | All = ALL,
        components: Components = ALL,
        roles: Collection[str] | All = ALL,
        expires_at: float = math.inf,
    ) -> KeyRecord:
        """Leave a key what it has in common with the arguments, and end everything that it minted.

        Raises KeyError for an unknown id.
        """
        return drive(self._narrow(key_id, names(accounts), component_names(components), names(roles), expires_at))

    def rotate(self, key_id: str, *, overlap: float = ROTATION_OVERLAP, compromised: bool = False) -> NewKey:
        """Give a key a new secret. It keeps its id, what it may, and what it minted.

        The secret until now works for `overlap` more seconds (a day unless it is said, at most 90 days), the one before
        that no longer. With `compromised` it ends at once, and with it everything that the key minted. Raises KeyError
        for an unknown id, ValueError for a key that was revoked or has expired.
        """
        return drive(self._rotate(key_id, overlap, compromised))

    async def rotate_async(
        self, key_id: str, *, overlap: float = ROTATION_OVERLAP, compromised: bool = False
    ) -> NewKey:
        """`rotate`, without holding up the event loop."""
        return await drive_async(self._rotate(key_id, overlap, compromised))

    def _create(self, asked: KeyRequest) -> Inquiry[NewKey]:
        # Of what is not named a key has all there is, so a keyword that is mistyped must not pass for one left out.
        unknown = sorted(asked.keys() - KeyRequest.__annotations__.keys())
        missing = sorted({"platform", "mode"} - asked.keys())
        if unknown or missing:
            wrong = f"has no {unknown[0]!r}" if unknown else f"needs {missing[0]!r}"
            raise TypeError(f"ApiKeys.create() {wrong}; it takes {', '.join(KeyRequest.__annotations__)}")
        kind, mode = asked.get("kind", SECRET_KEY), asked["mode"]
        if kind not in self._forms:
            raise ValueError(f"kind is {SECRET_KEY!r} or {PUBLISHABLE_KEY!r}, not {kind!r}")
        secret = self._forms[kind].issue(mode, self._randomness)
        key = KeyRecord(
            id=new_id("key", self._randomness),
            digest=digest(secret),
            kind=kind,
            grant=_grant(asked, kind),
            name=asked.get("name", ""),
            created_at=self._clock(),
            origins=_origins(asked.get("origins", ())),
        )
        yield from ask(self._store, AddKey(key))
        return NewKey(key.id, secret)

    def _revoke(self, key_id: str) -> Inquiry[KeyRecord]:
        now = self._clock()
        # Without an end: what a principal that is still held somewhere mints after this instant is ended too.
        ending = Ending(key_name(key_id), FOREVER_MS, now + CUTOFF_KEPT)
        return (yield from self._change(ChangeKey(key_id, ending, revoked_at=now)))

    def _rotate(self, key_id: str, overlap: float, compromised: bool) -> Inquiry[NewKey]:
        if not 0 <= overlap <= MAX_OVERLAP:
            raise ValueError(f"overlap is 0 to {MAX_OVERLAP} seconds, not {overlap!r}")
        key = yield from ask(self._store, FindKeyById(key_id))
        if key is None:
            raise KeyError(key_id)
        now = self._clock()
        if key.revoked_at is not None or now >= key.grant.expires_at:
            raise ValueError(f"the key {key_id} has ended: make a new one")
        secret = self._forms[key.kind].issue(key.grant.mode, self._randomness)
        # Also where nothing that it minted ends: the verdict on the old secret has another end now.
        ending = self._until_now(key_id, now) if compromised else Ending(key_name(key_id), 0, now + CUTOFF_KEPT)
        change = RotateKey(key_id, digest(secret), COMPROMISED if compromised else now + overlap, ending)
        if (yield from ask(self._store, change)) is None:
            raise KeyError(key_id)
        if compromised:
            # Once more, now that nobody reads the key as it was.
            yield from self._end(ending)
        else:
            self.feed.note(Cutoff(ending.name, 0, ending.expires_at))
        return NewKey(key_id, secret)

    def _until_now(self, key_id: str, now: float) -> Ending:
        return Ending(key_name(key_id), None, now + CUTOFF_KEPT)

    def _end(self, ending: Ending) -> Inquiry[None]:
        self.feed.note((yield from ask(self._store, AddCutoff(ending))))

    def _narrow(
        self, key_id: str, accounts: Names, components: Names, roles: Names, expires_at: float
    ) -> Inquiry[KeyRecord]:
        if math.isnan(expires_at) or LATEST < expires_at < math.inf:
            raise ValueError("expires_at is a number of seconds up to the year 9999, or infinity")
        _refuse_odd_names(accounts, components, roles)
        if roles is not ALL and not self._memberships:
            raise ConfigurationError(
                "ApiKeys.narrow(roles=…): a policy has the order of roles; give the keys to a guard"
            )
        while True:
            key = yield from ask(self._store, FindKeyById(key_id))
            if key is None:
                raise KeyError(key_id)
            grant = replace(
                key.grant,
                accounts=intersection(key.grant.accounts, accounts),
                components=common_components(key.grant.components, components),
                roles=intersection(self._closed(key.grant.roles), self._closed(roles)),
                expires_at=min(key.grant.expires_at, expires_at),
            )
            change = ChangeKey(key_id, self._until_now(key_id, self._clock()), expected=key.grant, grant=grant)
            changed = yield from self._change(change)
            if changed.grant == grant:
                return changed

    def _closed(self, roles: Names) -> Names:
        for membership in self._memberships:
            return membership.policy.close_roles(roles)
        return roles

    def _change(self, change: ChangeKey) -> Inquiry[KeyRecord]:
        key = yield from ask(self._store, change)
        if key is None:
            raise KeyError(change.id)
        # Once more, now that nobody reads the key as it was: what was minted from such a look has an earlier instant.
        yield from self._end(change.ending)
        return key

    def _roles(self, key: KeyRecord) -> Names:
        """A publishable key has the lowest role: it opens only what rules that name its kind let in."""
        if key.kind == SECRET_KEY:
            return key.grant.roles
        return frozenset(m.policy.base_role for m in self._memberships if m.policy.base_role is not None)


def _refusal(code: str, key: KeyRecord | None, because: str) -> Refusal:
    return Refusal(code, "API key", because=because, credential_id="" if key is None else key.id)


def component_names(components: Components) -> Names:
    """Components as names of a grant: ``{"call_logs"}`` is all of it, ``{"call_logs": ()}`` it without a feature."""
    if not isinstance(components, Mapping):
        given = names(components)
        return given if isinstance(given, All) else frozenset(n if "/" in n else f"{n}/*" for n in given)
    found: set[str] = set()
    for component, features in cast("Mapping[str, Collection[str]]", components).items():
        if isinstance(features, str):
            raise TypeError(f"the features of {component!r} are a collection: ({features!r},)")
        found |= {component, *(f"{component}/{feature}" for feature in features)}
    return frozenset(found)


def common_components(one: Names, other: Names) -> Names:
    """The components that both have, where ``call_logs/*`` stands for all of one."""
    if one is ALL or other is ALL:
        return intersection(one, other)
    return frozenset(_held(one, other) | _held(other, one))


def _held(asked: Collection[str], holder: Collection[str]) -> set[str]:
    return {name for name in asked if name in holder or f"{name.partition('/')[0]}/*" in holder}


def _grant(asked: KeyRequest, kind: str) -> Grant:
    platform, expires_at = asked["platform"], asked.get("expires_at", math.inf)
    if not is_platform(platform):
        raise ValueError(f"a platform is 1-64 of A-Z a-z 0-9 _ . -, not {platform!r}")
    if LATEST < expires_at < math.inf:
        raise ValueError(f"expires_at={expires_at!r} lies beyond the year 9999; math.inf is no end")
    if kind == PUBLISHABLE_KEY:
        return Grant(platform, asked["mode"], expires_at=expires_at)
    accounts, roles = names(asked.get("accounts", ALL)), names(asked.get("roles", ALL))
    components = component_names(asked.get("components", ALL))
    _refuse_odd_names(accounts, components, roles)
    return Grant(platform, asked["mode"], accounts, components, roles, expires_at)


def _refuse_odd_names(accounts: Names, components: Names, roles: Names) -> None:
    _refuse_odd("an account", accounts, is_account_id)
    _refuse_odd("a role", roles, is_name)
    _refuse_odd(
        "a component", components, lambda name: all(part == "*" or is_name(part) for part in name.split("/", 1))
    )


def _refuse_odd(what: str, given: Names, fits: Callable[[str], bool]) -> None:
    odd = [] if isinstance(given, All) else sorted(name for name in given if not fits(name))
    if odd:
        raise ValueError(f"{odd[0]!r} cannot be {what}")


def _origins(origins: Collection[str]) -> frozenset[str]:
    read = names(origins)
    _refuse_odd("an origin: it is written as browsers send it, https://app.example", read, is_origin)
    return frozenset() if isinstance(read, All) else read
