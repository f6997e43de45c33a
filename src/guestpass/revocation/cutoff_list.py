"""What has been ended before its time, by name: a cut-off says that all of that name minted until then has ended.

Names the things that can be ended, and what can end a principal; holds one store's list of cut-offs. Pure. One table
of names serves every kind of credential, so that whatever minted or carries one can end it without knowing it.
Platforms and keys have no colon in their names, and nothing that is named holds a separator, so no two things share a
name here.
"""

from collections.abc import Collection, Iterable
from typing import Final, TypeAlias

from guestpass.grants import ALL, Mode
from guestpass.principal import (
    ACCOUNT_SESSION,
    IDENTITY_TOKEN,
    PUBLISHABLE_KEY,
    SECRET_KEY,
    SIGNED_TOKEN,
    Principal,
)
from guestpass.records import Cutoff, Epoch

FOREVER_MS: Final = 2**53 - 1
"""A cut-off that lies after everything."""

CUTOFF_KEPT: Final = 3 * 86_400.0
"""Seconds. What is minted here lives a day at most, and is remembered for another."""

KEYS: Final = frozenset({SECRET_KEY, PUBLISHABLE_KEY})
"""The kinds whose records say themselves whether they have ended: a key's cut-off ends what it minted, not the key."""

Identity: TypeAlias = tuple[str, str, str, str | None, str]
"""(kind, issuer, platform, account, subject), as `Principal.identity` has it."""

_SEPARATOR: Final = "\x1f"


def house(platform: str, mode: Mode) -> str:
    """A platform in one mode, as names have it: what ends in test mode does not end what is live."""
    return platform if mode == "live" else f"{mode}/{platform}"


def key_name(key_id: str) -> str:
    """All that one API key minted."""
    return f"key:{key_id}"


def account_name(platform: str, account: str, mode: Mode = "live") -> str:
    """All of one account."""
    return f"account:{house(platform, mode)}:{account}"


def session_name(session_id: str) -> str:
    """One account session."""
    return f"session:{session_id}"


def token_name(platform: str, jti: str, mode: Mode = "live") -> str:
    """One token signed here."""
    return f"token:{house(platform, mode)}:{jti}"


def credential_name(kind: str, issuer: str, credential_id: str) -> str:
    """One credential that was made elsewhere: an outside token by its issuer and ``jti``."""
    return "credential:" + _SEPARATOR.join((kind, issuer, credential_id))


def subject_name(platform: str, subject: str, account: str | None, mode: Mode = "live") -> str:
    """All tokens signed here for one subject in its account."""
    return f"subject:{house(platform, mode)}:{subject}:{account or ''}"


def identity_name(identity: Identity, mode: Mode = "live") -> str:
    """All credentials of one identity."""
    kind, issuer, platform, account, subject = identity
    return "identity:" + _SEPARATOR.join((kind, issuer, house(platform, mode), account or "", subject))


def signing_key_name(kid: str) -> str:
    """All that one signing key signed."""
    return f"kid:{kid}"


def names_of(principal: Principal) -> tuple[str, ...]:
    """The names by which a principal can be ended; of a key, the name by which its changes are told. The same whether
    or not it was narrowed to one of its accounts."""
    principal = principal.narrowed_from or principal
    if principal.kind in KEYS:
        return (key_name(principal.credential_id),)
    mode = principal.mode
    names = [identity_name(principal.identity, mode)]
    if principal.standing.grant.accounts is not ALL:
        names += [account_name(principal.platform, account, mode) for account in principal.standing.grant.accounts]
    if principal.minted_by:
        names.append(key_name(principal.minted_by))
    if principal.kind == SIGNED_TOKEN:
        names.append(subject_name(principal.platform, principal.subject, principal.account, mode))
        names.append(signing_key_name(principal.signing_key))
    return (*names, own_name(principal))


def own_name(principal: Principal) -> str:
    """The name of the one credential that proved a principal. Raises ValueError for a key: its record ends it."""
    if principal.kind in KEYS:
        raise ValueError("a key is ended by ApiKeys.revoke(key_id)")
    if principal.kind == ACCOUNT_SESSION:
        return session_name(principal.credential_id)
    if principal.kind == SIGNED_TOKEN:
        return token_name(principal.platform, principal.credential_id, principal.mode)
    return credential_name(principal.kind, principal.issuer, principal.credential_id)


def minted_ms(principal: Principal) -> int:
    """When a principal's credential was minted, in Unix milliseconds; 0 where it does not say."""
    return round(principal.issued_at * 1000)


class RevocationList:
    """One store's cut-offs by name, as far as they were read.

    Reading takes no lock; whoever writes sees to it that nobody else does. `version` counts the writes that brought
    news.
    """

    def __init__(self, version: int = 0) -> None:
        self.epoch: Epoch | None = None
        self.version = version
        self._epoch_version = version
        self._cutoffs: dict[str, tuple[Cutoff, int]] = {}

    def begin(self, epoch: Epoch) -> None:
        """Go on with the list of another epoch: whatever was decided by the old one is news; what ended stays ended."""
        self.epoch = epoch
        self._epoch_version = self.version + 1
        self.version = self._epoch_version

    def note(self, cutoffs: Iterable[Cutoff]) -> frozenset[str]:
        """Take in cut-offs, each of which is news: it may stand for something else that has changed. Answers their
        names."""
        version, names = self.version + 1, set[str]()
        for cutoff in cutoffs:
            known = self._cutoffs.get(cutoff.name)
            if known is not None and known[0].at_ms > cutoff.at_ms:
                cutoff = known[0]
            self._cutoffs[cutoff.name] = (cutoff, version)
            names.add(cutoff.name)
        if names:
            # Last, so that who reads the new version finds what it counts.
            self.version = version
        return frozenset(names)

    def lasting(self) -> list[Cutoff]:
        """What an epoch that begins does not end by itself: keys that were revoked or distrusted."""
        beginnings = (key_name(""), signing_key_name(""))
        ended = [cutoff for cutoff, _ in list(self._cutoffs.values()) if cutoff.at_ms >= FOREVER_MS]
        return [cutoff for cutoff in ended if cutoff.name.startswith(beginnings)]

    def changed(self, names: Iterable[str], since: int) -> bool:
        """Whether any of these names has news from after version `since`."""
        if self._epoch_version > since:
            return True
        cutoffs = self._cutoffs
        return any(name in cutoffs and cutoffs[name][1] > since for name in names)

    def latest(self, names: Collection[str]) -> int | None:
        """The latest cut-off among these names, in Unix milliseconds."""
        cutoffs = self._cutoffs
        if cutoffs.keys().isdisjoint(names):
            return None
        return max(cutoffs[name][0].at_ms for name in names if name in cutoffs)

    def has_ended(self, principal: Principal, names: Collection[str], *, signed_here: bool) -> bool:
        """Whether a principal, with its `names_of`, was minted at or before a cut-off, or before a list that was lost.

        `signed_here`: nothing but this list's store would tell of its end, so it must be of the list's epoch. A kind of
        one's own that does not say when it was minted is its authenticator's to end after a loss. A key has ended only
        where it was revoked: any other cut-off of its name ends what it minted.
        """
        if principal.standing.kind in KEYS:
            return self.latest(names) == FOREVER_MS
        latest, epoch = (self.latest(names) or 0) if names else 0, self.epoch
        if epoch is not None and not (signed_here or epoch.after_loss):
            # No matter how old it is.
            epoch = None
        if latest <= 0 and epoch is None:
            return False
        minted = minted_ms(principal)
        if latest > 0 and minted <= latest:
            return True
        if epoch is None or minted >= epoch.started_ms:
            return False
        return signed_here or minted > 0 or principal.kind == IDENTITY_TOKEN

    def drop(self, before: float) -> None:
        """Forget the cut-offs that were to be kept until `before` (Unix seconds)."""
        self._cutoffs = {name: entry for name, entry in self._cutoffs.items() if entry[0].expires_at >= before}

    def __len__(self) -> int:
        return len(self._cutoffs)
