"""Account sessions: short-lived client secrets, each for one account and the components enabled in it.

What mints them also authenticates them: one object, given to a guard once. Knows the life of a session; what may
be given away is `guestpass.minting`'s.
"""

import hashlib
import hmac
import json
import math
import re
import secrets
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from guestpass.authenticators import Membership
from guestpass.concurrency.upkeep import UPKEEP
from guestpass.credentials import NOT_AS_ISSUED, Credential, OpaqueForm, Randomness, digest, new_id
from guestpass.errors import Refused
from guestpass.grants import ALL, Grant, Mode, Names
from guestpass.inquiry import Answers, Inquiry, ask, drive, drive_async
from guestpass.minting import Asked, Mint
from guestpass.policy import Policy
from guestpass.principal import ACCOUNT_SESSION, SECRET_KEY, Principal, Standing
from guestpass.purging import EVERY, Purger
from guestpass.quoting import instant
from guestpass.records import (
    AddSession,
    Conflict,
    Cutoff,
    FindCutoff,
    FindSession,
    FindSessionById,
    Idempotency,
    RevokeSession,
    SessionRecord,
)
from guestpass.refusals import FieldError, Refusal
from guestpass.revocation.cutoff_list import FOREVER_MS, names_of, session_name
from guestpass.revocation.feed import feed_of
from guestpass.values import as_collection, as_mapping

IDEMPOTENCY_KEPT: Final = 86_400
"""Seconds for which an Idempotency-Key is remembered."""

_MISTYPED: Final = Refusal(
    "credential_invalid", "session", "Its client secret is mistyped or cut short.", because=NOT_AS_ISSUED
)

_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}\Z")


@dataclass(frozen=True, slots=True)
class AccountSession:
    """A session just made. `client_secret` is shown here once and kept nowhere.

    `expires_at` is ISO 8601 in UTC, `expires_in` the seconds that are left; `components` says of every component and
    feature whether it is enabled.
    """

    id: str
    account: str
    client_secret: str = field(repr=False)
    expires_at: str
    expires_in: int
    components: Mapping[str, object]
    livemode: bool


class AccountSessions:
    """The account sessions in a store; makes, authenticates and revokes them."""

    looks_up: Final = True
    good_for: Final = math.inf

    def __init__(
        self,
        store: Answers,
        *,
        prefix: str = "cs",
        clock: Callable[[], float] = time.time,
        randomness: Randomness = secrets.token_bytes,
    ) -> None:
        self._store = store
        self.feed: Final = feed_of(store, clock)
        self._form: Final = OpaqueForm(prefix)
        self.prefixes: Final = (prefix,)
        self._clock = clock
        self._randomness = randomness
        self._mint: Final = Mint(store, clock)
        self._attached = False
        self._purger: Final = Purger(store, clock)

    def attach(self, membership: Membership, /) -> None:
        """Part of being an authenticator."""
        self._mint.attach(membership)
        if not self._attached:
            self._attached = True
            UPKEEP.every(EVERY, self._purger.work)

    def kind_of(self, credential: Credential, /) -> str | None:
        """``account_session``, by the prefix."""
        return ACCOUNT_SESSION if credential.text.startswith(self._form.beginnings) else None

    def authenticate(self, credential: Credential, now: float, /) -> Refusal | Inquiry[Principal | Refusal]:
        """The session's principal. A mistyped client secret is refused without a look-up."""
        if not self._form.well_formed(credential.text):
            return _MISTYPED
        return self._find(credential.digest, now)

    def _find(self, secret_digest: bytes, now: float) -> Inquiry[Principal | Refusal]:
        session = yield from ask(self._store, FindSession(secret_digest))
        if session is None or not hmac.compare_digest(session.digest, secret_digest):
            because = "no session in the store has this client secret; a day after their end they are dropped"
            return Refusal("credential_invalid", "session", because=because)
        if session.revoked_at is not None:
            because = f"it was revoked at {instant(session.revoked_at)}"
            return Refusal("session_revoked", "session", because=because, credential_id=session.id)
        if now >= session.grant.expires_at:
            because = f"it ended at {instant(session.grant.expires_at)}"
            return Refusal("session_expired", "session", because=because, credential_id=session.id)
        return _principal(session)

    def create(
        self,
        *,
        by: Principal,
        account: str | None = None,
        components: Mapping[str, Mapping[str, object]] | None = None,
        roles: Collection[str] | None = None,
        expires_in: int | None = None,
        narrow: bool = False,
        idempotency_key: str | None = None,
    ) -> AccountSession:
        """Make a session for one account, with at most what `by`, a secret key's principal, has itself.

        `components` maps names to ``{"enabled": bool, "features": {name: bool}}``; what is not listed is denied; left
        out, it is every component of the minting key. `expires_in` is 60 to 86,400 seconds; left out, an hour, or what
        is left of the key. `roles` left out is the lowest. With `narrow` what exceeds the key is left off instead of
        refused. A call repeated with the same `idempotency_key` answers the same session with a new secret, and the
        old one ends.

        Raises `Refused`: ``validation_error``, ``escalation_denied``, ``account_refused``, ``idempotency_conflict``, or
        the state of the key. Raises `guestpass.errors.StoreUnavailable`.
        """
        asked = Asked(account, components, roles, expires_in, narrow, account_required=True)
        return drive(self._create(by, asked, idempotency_key))

    async def create_async(
        self,
        *,
        by: Principal,
        account: str | None = None,
        components: Mapping[str, Mapping[str, object]] | None = None,
        roles: Collection[str] | None = None,
        expires_in: int | None = None,
        narrow: bool = False,
        idempotency_key: str | None = None,
    ) -> AccountSession:
        """`create`, without holding up the event loop."""
        asked = Asked(account, components, roles, expires_in, narrow, account_required=True)
        return await drive_async(self._create(by, asked, idempotency_key))

    def create_from(
        self, by: Principal, body: Mapping[str, object], idempotency_key: str | None = None
    ) -> Inquiry[AccountSession]:
        """`create` from the fields of a request's body, for an API that issues sessions: drive the answer."""
        asked = Asked(body.get("account"), body.get("components"), body.get("roles"), body.get("expires_in"))
        asked.account_required = True
        for name in set(body) - {"account", "components", "roles", "expires_in"}:
            asked.unknown(name)
        asked.refuse_null(body, "components", "roles")
        return self._create(by, asked, idempotency_key)

    def revoke(self, session_id: str, *, by: Principal | None = None) -> SessionRecord:
        """End a session, everywhere, for good. Doing so twice is no fault.

        With `by`, a secret key's principal, only a session of its platform and accounts; any other is as unknown as
        one that never was. Raises `Refused` (``session_unknown``).
        """
        return drive(self.revoke_from(session_id, by))

    async def revoke_async(self, session_id: str, *, by: Principal | None = None) -> SessionRecord:
        """`revoke`, without holding up the event loop."""
        return await drive_async(self.revoke_from(session_id, by))

    def revoke_from(self, session_id: str, by: Principal | None) -> Inquiry[SessionRecord]:
        """`revoke` as an inquiry: drive the answer."""
        if by is not None and by.kind != SECRET_KEY:
            refusal = Refusal("escalation_denied", more="Only a secret key revokes sessions.")
            self._mint.tell(by, refusal)
            raise Refused(refusal)
        session = yield from ask(self._store, FindSessionById(session_id))
        if session is None or (by is not None and not _may_end(by.grant, session.grant)):
            raise Refused(Refusal("session_unknown", "session"))
        ended = yield from ask(self._store, RevokeSession(session_id, self._clock()))
        self.feed.note(Cutoff(session_name(session_id), FOREVER_MS, session.grant.expires_at))
        if ended is None:
            raise Refused(Refusal("session_unknown", "session"))
        return ended

    def _create(self, by: Principal, asked: Asked, idempotency_key: str | None) -> Inquiry[AccountSession]:
        if idempotency_key is not None and not _IDEMPOTENCY_KEY.match(idempotency_key):
            asked.errors.append(FieldError("Idempotency-Key", "1-255 visible ASCII characters"))
        minted = yield from self._mint.grant(by, asked)
        secret = self._form.issue(minted.grant.mode, self._randomness)
        session = SessionRecord(
            id=new_id("as", self._randomness),
            digest=digest(secret),
            grant=minted.grant,
            minted_by=by.credential_id,
            minted_ms=minted.minted_ms,
        )
        idempotency = None
        if idempotency_key is not None:
            body = _body_digest(asked, minted.grant)
            until = minted.minted_ms / 1000 + IDEMPOTENCY_KEPT
            idempotency = Idempotency(by.credential_id, idempotency_key, body, until)
        kept = yield from ask(self._store, AddSession(session, idempotency))
        if isinstance(kept, Conflict):
            raise Refused(Refusal("idempotency_conflict", "session"))
        expires_in = minted.expires_in
        if kept.id != session.id:
            expires_in = yield from self._replayed(by, kept)
        return AccountSession(
            id=kept.id,
            account=_account(kept.grant),
            client_secret=secret,
            expires_at=datetime.fromtimestamp(kept.grant.expires_at, UTC).isoformat().replace("+00:00", "Z"),
            expires_in=expires_in,
            components=enabled(self._mint.policy, kept.grant),
            livemode=kept.grant.mode == "live",
        )

    def _replayed(self, by: Principal, session: SessionRecord) -> Inquiry[int]:
        """The seconds that are left of a session made by an earlier request, whose old secret opens nothing now."""
        self.feed.note(Cutoff(session_name(session.id), 0, session.grant.expires_at))
        left = int(session.grant.expires_at - self._clock())
        names, minted_ms = names_of(_principal(session)), session.minted_ms
        found = yield from ask(self._store, FindSession(session.digest))
        cutoff = yield from ask(self._store, FindCutoff(names))
        ended = found is None or found.revoked_at is not None or (cutoff is not None and minted_ms <= cutoff)
        if ended or left <= 0 or not replace(by.grant, expires_at=math.inf).covers(session.grant):
            more = "The session that it made has ended, or is not this key's to give any more."
            raise Refused(Refusal("idempotency_conflict", "session", more))
        return left


def _principal(session: SessionRecord) -> Principal:
    grant = session.grant
    return Principal.of(
        _standing(grant.platform, grant.mode, grant.accounts, grant.components, grant.roles, session.minted_by),
        # A session names no person: it is its account, as the key that made it vouches.
        subject=_account(grant),
        credential_id=session.id,
        expires_at=grant.expires_at,
        issued_at=session.minted_ms / 1000,
    )


# Of the sessions that are looked up most are like one that was: to find theirs takes a third of making it.
@lru_cache(maxsize=1024)
def _standing(platform: str, mode: Mode, accounts: Names, components: Names, roles: Names, minted_by: str) -> Standing:
    grant = Grant(platform, mode, accounts, components, roles)
    return Standing(ACCOUNT_SESSION, grant, issuer=minted_by, minted_by=minted_by)


def enabled(policy: Policy, grant: Grant) -> dict[str, object]:
    """Of every component and feature of the policy, whether it is enabled in `grant`."""
    return {
        component: {
            "enabled": component in grant.components,
            "features": {name: f"{component}/{name}" in grant.components for name in sorted(features)},
        }
        for component, features in policy.components.items()
    }


def _may_end(holder: Grant, session: Grant) -> bool:
    return (holder.platform, holder.mode) == (session.platform, session.mode) and _account(session) in holder.accounts


def _account(grant: Grant) -> str:
    """The one account of a session."""
    if grant.accounts is ALL:
        raise ValueError("a session is for one account")
    (account,) = grant.accounts
    return account


def _body_digest(asked: Asked, grant: Grant) -> bytes:
    # The account as it was understood: one that is left out may be the minter's own, or a header's.
    body = [_account(grant), asked.components, asked.roles, asked.expires_in]
    return hashlib.sha256(json.dumps(body, sort_keys=True, default=_plain).encode()).digest()


def _plain(value: object) -> object:
    mapping, collection = as_mapping(value), as_collection(value)
    if mapping is not None:
        return dict(mapping)
    if collection is not None:
        return sorted(str(entry) for entry in collection)
    raise TypeError(f"cannot compare {value!r}")
