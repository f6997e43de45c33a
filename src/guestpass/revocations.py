"""Ending things before their time, by name: a cut-off says that all of that name minted until then has ended.

One table of names serves sessions and signed tokens alike, so that whatever minted or carries a credential can end
it without knowing it. Platforms have no colon in their names, nor have subjects of signed tokens, so no two things
share a name here.
"""

import time
from collections.abc import Callable
from typing import Final

from guestpass.authenticators import Forget
from guestpass.inquiry import Answers, Inquiry, ask, drive, drive_async
from guestpass.principal import Principal
from guestpass.records import AddCutoff, Cutoff

FOREVER_MS: Final = 2**53 - 1
"""A cut-off that lies after everything."""

CUTOFF_KEPT: Final = 3 * 86_400.0
"""Seconds. What is minted lives a day at most, and is remembered for another."""


def key_name(key_id: str) -> str:
    """All that one API key minted."""
    return f"key:{key_id}"


def account_name(platform: str, account: str) -> str:
    """All of one account."""
    return f"account:{platform}:{account}"


def session_name(session_id: str) -> str:
    """One account session."""
    return f"session:{session_id}"


def token_name(jti: str) -> str:
    """One signed token."""
    return f"token:{jti}"


def subject_name(platform: str, subject: str, account: str | None) -> str:
    """All signed tokens of one subject in its account."""
    return f"subject:{platform}:{subject}:{account or ''}"


def signing_key_name(kid: str) -> str:
    """All that one signing key signed."""
    return f"kid:{kid}"


class Revocations:
    """Ends signed tokens and sessions by what they have in common.

    `forget`, a guard's own, makes it count in this process at once; elsewhere it counts when the cached verdicts are
    asked for anew.
    """

    def __init__(self, store: Answers, *, forget: Forget | None = None, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._forget = forget
        self._clock = clock

    def token(self, jti: str) -> None:
        """End one signed token."""
        drive(self._end(token_name(jti), lambda who: who.credential_id == jti))

    async def token_async(self, jti: str) -> None:
        """`token`, without holding up the event loop."""
        await drive_async(self._end(token_name(jti), lambda who: who.credential_id == jti))

    def subject(self, platform: str, subject: str, account: str | None = None) -> None:
        """End every signed token of a subject in its account that was signed until now."""
        drive(self._end_subject(platform, subject, account))

    async def subject_async(self, platform: str, subject: str, account: str | None = None) -> None:
        """`subject`, without holding up the event loop."""
        await drive_async(self._end_subject(platform, subject, account))

    def account(self, platform: str, account: str) -> None:
        """End every session and signed token of an account that was minted until now."""
        drive(self._end_account(platform, account))

    async def account_async(self, platform: str, account: str) -> None:
        """`account`, without holding up the event loop."""
        await drive_async(self._end_account(platform, account))

    def _end_subject(self, platform: str, subject: str, account: str | None) -> Inquiry[None]:
        # As they are signed: UUIDs in lower case.
        whom = (platform, subject.lower(), account)
        return self._end(subject_name(*whom), lambda who: (who.platform, who.subject, who.account) == whom)

    def _end_account(self, platform: str, account: str) -> Inquiry[None]:
        whose = (platform, account)
        return self._end(account_name(*whose), lambda who: (who.platform, who.account) == whose)

    def _end(self, name: str, ended: Callable[[Principal], bool]) -> Inquiry[None]:
        now = self._clock()
        yield from ask(self._store, AddCutoff(Cutoff(name, int(now * 1000), now + CUTOFF_KEPT)))
        if self._forget is not None:
            self._forget(ended)
