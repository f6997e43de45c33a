"""How a row of the SQL store and a record turn into each other.

Knows the columns of `guestpass.stores.tables`, and no SQL.
"""

import json
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, cast

from guestpass.grants import ALL, Grant, Mode, Names
from guestpass.records import Idempotency, KeyRecord, SessionRecord, SigningKeyRecord
from guestpass.stores.sessions import account_of, ended_at


def instant(value: float) -> float | None:
    """A Unix time as it is stored: NULL for infinity."""
    return None if value == math.inf else value


def unending(value: float | None) -> float:
    """A stored Unix time as it is used."""
    return math.inf if value is None else float(value)


def key_row(key: KeyRecord) -> dict[str, object]:
    """The row of an API key."""
    return {
        "id": key.id,
        "digest": key.digest,
        "kind": key.kind,
        "accounts": _text(key.grant.accounts),
        **_grant_row(key.grant),
        "name": key.name,
        "created_at": key.created_at,
        "origins": _text(key.origins),
        "revoked_at": key.revoked_at,
        "old_digest": key.old_digest,
        "old_until": instant(key.old_until),
        "last_used_at": key.last_used_at,
    }


def key_record(row: Sequence[Any]) -> KeyRecord:
    """The API key of a row, all columns in the table's order."""
    key_id, digest, kind, platform, mode, accounts, components, roles, expires_at, name, created_at, *rest = row
    origins, revoked_at, old_digest, old_until, last_used_at = rest
    return KeyRecord(
        id=key_id,
        digest=digest,
        kind=kind,
        grant=Grant(platform, mode, _names(accounts), _names(components), _names(roles), unending(expires_at)),
        name=name,
        created_at=created_at,
        origins=cast("frozenset[str]", _names(origins)),
        revoked_at=revoked_at,
        old_digest=old_digest,
        old_until=unending(old_until),
        last_used_at=last_used_at,
    )


def session_row(session: SessionRecord) -> dict[str, object]:
    """The row of an account session."""
    return {
        "id": session.id,
        "digest": session.digest,
        "account": account_of(session),
        **_grant_row(session.grant),
        "minted_by": session.minted_by,
        "minted_ms": session.minted_ms,
        "revoked_at": session.revoked_at,
        "ended_at": instant(ended_at(session)),
    }


def session_record(row: Sequence[Any]) -> SessionRecord:
    """The account session of a row, all columns in the table's order."""
    session_id, digest, platform, mode, account, components, roles, expires_at, minted_by, minted_ms, revoked_at, _ = (
        row
    )
    grant = Grant(platform, mode, frozenset((account,)), _names(components), _names(roles), unending(expires_at))
    return SessionRecord(session_id, digest, grant, minted_by, minted_ms, revoked_at)


def request_row(asked: Idempotency, session_id: str) -> dict[str, object]:
    """The row of a request that made a session."""
    return {
        "minted_by": asked.minted_by,
        "key": asked.key,
        "body": asked.body,
        "session_id": session_id,
        "expires_at": instant(asked.expires_at),
    }


def signing_key_row(key: SigningKeyRecord) -> dict[str, object]:
    """The row of a signing key."""
    return {
        "kid": key.kid,
        "mode": key.mode,
        "serial": key.serial,
        "algorithm": key.algorithm,
        "jwk": json.dumps(dict(key.jwk)),
        "wrapped": key.wrapped,
        "created_at": key.created_at,
        "signs_from": key.signs_from,
    }


def signing_key_record(row: Any) -> SigningKeyRecord:
    """The signing key of a row."""
    return SigningKeyRecord(
        kid=row.kid,
        mode=cast("Mode", row.mode),
        serial=row.serial,
        algorithm=row.algorithm,
        jwk=json.loads(row.jwk),
        wrapped=row.wrapped,
        created_at=row.created_at,
        signs_from=row.signs_from,
    )


def _grant_row(grant: Grant) -> dict[str, object]:
    return {
        "platform": grant.platform,
        "mode": grant.mode,
        "components": _text(grant.components),
        "roles": _text(grant.roles),
        "expires_at": instant(grant.expires_at),
    }


# Sessions of one platform repeat the same few sets: written and read once. They share one value too.
@lru_cache(maxsize=1024)
def _text(names: Names) -> str:
    return '"ALL"' if names is ALL else json.dumps(sorted(names), separators=(",", ":"))


@lru_cache(maxsize=1024)
def _names(text: str) -> Names:
    if text == '"ALL"':
        return ALL
    names = json.loads(text)
    if not isinstance(names, list):
        raise TypeError("a stored set of names is not a list")
    return frozenset(cast("list[str]", names))
