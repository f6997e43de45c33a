"""Records as the command line shows them: plain data, and never a digest or a wrapped key."""

import math
from datetime import UTC, datetime
from typing import Final

from guestpass.api_keys import COMPROMISED, LATEST
from guestpass.grants import ALL, Names
from guestpass.keyring import Ring
from guestpass.records import KeyRecord, SigningKeyRecord

KEY_STATES: Final = ("valid", "expired", "revoked")


def key(record: KeyRecord, now: float) -> dict[str, object]:
    """An API key."""
    grant = record.grant
    return {
        "id": record.id,
        "kind": record.kind,
        "platform": grant.platform,
        "mode": grant.mode,
        "name": record.name,
        "state": key_state(record, now),
        "accounts": _names(grant.accounts),
        "components": _names(grant.components),
        "roles": _names(grant.roles),
        "origins": sorted(record.origins),
        "created_at": instant(record.created_at),
        "expires_at": instant(grant.expires_at),
        "revoked_at": instant(record.revoked_at),
        "last_used_at": instant(record.last_used_at),
        "old_secret_until": instant(old_secret_until(record, now)),
    }


def key_state(record: KeyRecord, now: float) -> str:
    """One of `KEY_STATES`."""
    if record.revoked_at is not None:
        return "revoked"
    return "expired" if now >= record.grant.expires_at else "valid"


def old_secret_until(record: KeyRecord, now: float) -> float | None:
    """Until when the secret before the newest still opens something; None where it opens nothing."""
    until = min(record.old_until, record.grant.expires_at)
    usable = record.old_digest is not None and record.old_until != COMPROMISED and key_state(record, now) == "valid"
    return until if usable and now < until else None


def held_to(record: KeyRecord) -> str:
    """What a key may, in a line."""
    grant = record.grant
    parts = [
        f"{what} {listed(named)}"
        for what, named in (("accounts", grant.accounts), ("components", grant.components), ("roles", grant.roles))
    ]
    return "; ".join([*parts, f"until {instant(grant.expires_at) or 'it is revoked'}"])


def listed(names: Names) -> str:
    """Names in a sentence."""
    return "all" if names is ALL else ", ".join(sorted(names)) or "none"


def signing_key(record: SigningKeyRecord, ring: Ring, now: float) -> dict[str, object]:
    """A signing key and what it is for at `now`: it ``signs``, is published and ``signs_later``, is still ``accepted``,
    has ``ended``, or is ``distrusted``."""
    until = {key.kid: end for key, end in ring.publications(record.mode)}.get(record.kid)
    signs = ring.signing(record.mode, now)
    if until is None:
        state = "distrusted"
    elif signs is not None and signs.kid == record.kid:
        state = "signs"
    elif record.signs_from > now:
        state = "signs_later"
    else:
        state = "accepted" if now < until else "ended"
    return {
        "kid": record.kid,
        "mode": record.mode,
        "algorithm": record.algorithm,
        "state": state,
        "created_at": instant(record.created_at),
        "signs_from": instant(record.signs_from),
        "published_until": instant(until),
    }


def instant(seconds: float | None, *, exact: bool = False) -> str | None:
    """ISO 8601 in UTC, to the second, or `exact` to the millisecond; None for never and for no end."""
    if seconds is None or not -math.inf < seconds <= LATEST:
        return None
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds" if exact else "seconds")
    return text.replace("+00:00", "Z")


def _names(names: Names) -> str | list[str]:
    return "ALL" if names is ALL else sorted(names)
