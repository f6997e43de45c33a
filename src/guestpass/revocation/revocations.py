"""Ending credentials before their time: one of them, or all of one account, identity, subject or key.

What is ended counts in this process at once and in every other within a second. It is ended by its name in the store's
list of cut-offs (`guestpass.revocation.cutoff_list`); the store's clock says when.
"""

import math
import time
from collections.abc import Callable
from typing import Final

from guestpass.grants import Mode
from guestpass.inquiry import Answers, Inquiry, ask, drive, drive_async
from guestpass.principal import Principal, is_account_id, is_platform, is_user_id
from guestpass.records import AddCutoff, Cutoff, Ending
from guestpass.revocation.cutoff_list import (
    CUTOFF_KEPT,
    FOREVER_MS,
    KEYS,
    Identity,
    account_name,
    identity_name,
    own_name,
    subject_name,
    token_name,
)
from guestpass.revocation.feed import feed_of


class Revocations:
    """Ends what is in a store, in one mode. Every method raises `guestpass.errors.StoreUnavailable` where it is not
    ended, and ValueError for what cannot be the name of anything.

    Each answers the cut-off that is kept; what was minted at or before its instant has ended.
    """

    def __init__(self, store: Answers, *, mode: Mode = "live", clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._mode: Final = mode
        self._clock = clock
        self._feed = feed_of(store, clock)

    def token(self, jti: str, *, platform: str) -> Cutoff:
        """End one token that was signed here for a platform."""
        return drive(self.token_from(jti, platform))

    async def token_async(self, jti: str, *, platform: str) -> Cutoff:
        """`token`, without holding up the event loop."""
        return await drive_async(self.token_from(jti, platform))

    def subject(self, platform: str, subject: str, account: str | None = None) -> Cutoff:
        """End every token that was signed here for a subject in its account until now."""
        return drive(self.subject_from(platform, subject, account))

    async def subject_async(self, platform: str, subject: str, account: str | None = None) -> Cutoff:
        """`subject`, without holding up the event loop."""
        return await drive_async(self.subject_from(platform, subject, account))

    def account(self, platform: str, account: str) -> Cutoff:
        """End everything of an account that was minted until now: sessions, tokens signed here, outside tokens that
        name it."""
        return drive(self.account_from(platform, account))

    async def account_async(self, platform: str, account: str) -> Cutoff:
        """`account`, without holding up the event loop."""
        return await drive_async(self.account_from(platform, account))

    def identity(self, identity: Identity) -> Cutoff:
        """End everything of one identity (``principal.identity``) that was minted until now: all of one person's tokens
        of an outside issuer. A token that does not say when it was issued has ended for good."""
        return drive(self.identity_from(identity))

    async def identity_async(self, identity: Identity) -> Cutoff:
        """`identity`, without holding up the event loop."""
        return await drive_async(self.identity_from(identity))

    def credential(self, principal: Principal) -> Cutoff:
        """End the one credential that proved a principal: a session, or a token of whatever issuer.

        Raises ValueError for a key, which `ApiKeys.revoke` ends.
        """
        return drive(self.credential_from(principal))

    async def credential_async(self, principal: Principal) -> Cutoff:
        """`credential`, without holding up the event loop."""
        return await drive_async(self.credential_from(principal))

    def token_from(self, jti: str, platform: str) -> Inquiry[Cutoff]:
        """`token` as an inquiry: drive the answer."""
        return self._end(token_name(_platform(platform), jti, self._mode), FOREVER_MS, self._clock() + CUTOFF_KEPT)

    def subject_from(self, platform: str, subject: str, account: str | None) -> Inquiry[Cutoff]:
        """`subject` as an inquiry: drive the answer."""
        if not is_user_id(subject.lower()):
            raise ValueError(f"tokens are signed here for UUIDs, not for {subject!r}: see identity(…)")
        within = None if account is None else _account(account)
        name = subject_name(_platform(platform), subject.lower(), within, self._mode)
        return self._end(name, None, self._clock() + CUTOFF_KEPT)

    def account_from(self, platform: str, account: str) -> Inquiry[Cutoff]:
        """`account` as an inquiry: drive the answer."""
        # How long an outside token that names it may live, nobody here knows.
        return self._end(account_name(_platform(platform), _account(account), self._mode), None, math.inf)

    def identity_from(self, identity: Identity) -> Inquiry[Cutoff]:
        """`identity` as an inquiry: drive the answer."""
        if identity[0] in KEYS:
            raise ValueError("a key is ended by ApiKeys.revoke(key_id)")
        return self._end(identity_name(identity, self._mode), None, math.inf)

    def credential_from(self, principal: Principal) -> Inquiry[Cutoff]:
        """`credential` as an inquiry: drive the answer."""
        return self._end(own_name(principal), FOREVER_MS, principal.expires_at + CUTOFF_KEPT)

    def _end(self, name: str, at_ms: int | None, kept_until: float) -> Inquiry[Cutoff]:
        cutoff = yield from ask(self._store, AddCutoff(Ending(name, at_ms, kept_until)))
        self._feed.note(cutoff)
        return cutoff


# In a name that is made of several, none may hold what stands between them; and what names nothing would end nothing,
# without a word.


def _platform(platform: str) -> str:
    # An outside issuer may have none.
    if platform and not is_platform(platform):
        raise ValueError(f"{platform!r} cannot be a platform")
    return platform


def _account(account: str) -> str:
    if not is_account_id(account):
        raise ValueError(f"{account!r} cannot be an account")
    return account
