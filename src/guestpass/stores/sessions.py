"""How every store reads a session: whose it is, what can end it, when it has ended.

Pure, and shared by the stores so that they cannot differ.
"""

import math

from guestpass.grants import ALL
from guestpass.records import Idempotency, SessionRecord


def account_of(session: SessionRecord) -> str:
    """The one account that `session` is for. ValueError where its grant names none, several or all."""
    accounts = session.grant.accounts
    if accounts is ALL or len(accounts) != 1:
        raise ValueError("a session is for exactly one account: give its grant one")
    (account,) = accounts
    return account


def cutoff_names(session: SessionRecord) -> tuple[str, str, str]:
    """The names of the cut-offs that end `session`: of its minting key, its account, itself."""
    account = f"account:{session.grant.platform}:{account_of(session)}"
    return (f"key:{session.minted_by}", account, f"session:{session.id}")


def ended_at(session: SessionRecord) -> float:
    """When `session` ends or ended, in Unix seconds: the earlier of its expiry and its revocation."""
    revoked_at = math.inf if session.revoked_at is None else session.revoked_at
    return min(session.grant.expires_at, revoked_at)


def remembered(asked: Idempotency, now_ms: int) -> bool:
    """Whether a request that was kept as `asked` still counts at `now_ms`."""
    return now_ms < asked.expires_at * 1000
