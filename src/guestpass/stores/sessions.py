"""How every store reads a session and a list of cut-offs: whose it is, when it has ended, what ends with it.

Pure, and shared by the stores so that they cannot differ.
"""

import math

from guestpass.grants import ALL
from guestpass.records import Cutoff, Ending, Epoch, Idempotency, SessionRecord
from guestpass.revocation.cutoff_list import FOREVER_MS, session_name


def account_of(session: SessionRecord) -> str:
    """The one account that `session` is for. ValueError where its grant names none, several or all."""
    accounts = session.grant.accounts
    if accounts is ALL or len(accounts) != 1:
        raise ValueError("a session is for exactly one account: give its grant one")
    (account,) = accounts
    return account


def ended_at(session: SessionRecord) -> float:
    """When `session` ends or ended, in Unix seconds: the earlier of its expiry and its revocation."""
    revoked_at = math.inf if session.revoked_at is None else session.revoked_at
    return min(session.grant.expires_at, revoked_at)


def remembered(asked: Idempotency, now_ms: int) -> bool:
    """Whether a request that was kept as `asked` still counts at `now_ms`."""
    return now_ms < asked.expires_at * 1000


def end_of(session: SessionRecord) -> Ending:
    """What ends all of `session`, for as long as it could have lived."""
    return Ending(session_name(session.id), FOREVER_MS, session.grant.expires_at)


def news_of(session: SessionRecord) -> Ending:
    """What ends nothing, and tells whoever reads the list to look at `session` again."""
    return Ending(session_name(session.id), 0, session.grant.expires_at)


def later(old: Cutoff | None, new: Cutoff) -> Cutoff:
    """What is kept of two cut-offs with one name: it never moves back."""
    if old is None:
        return new
    return Cutoff(new.name, max(old.at_ms, new.at_ms), max(old.expires_at, new.expires_at))


def ended_by(latest_ms: int | None, epoch: Epoch) -> int | None:
    """The latest cut-off where the list has `latest_ms`: after a loss, nothing from before `epoch` lives."""
    if not epoch.after_loss:
        return latest_ms
    return epoch.started_ms - 1 if latest_ms is None else max(latest_ms, epoch.started_ms - 1)
