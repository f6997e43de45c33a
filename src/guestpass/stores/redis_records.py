"""How the text that the Redis store keeps and a record turn into each other.

Knows what is in the keys that `guestpass.stores.redis_scripts` lists, and no command. Floats are the text that Python
makes of them, digests hexadecimal, a set of names is JSON.
"""

import json
import math
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, wraps
from typing import Any, Final, ParamSpec, TypeAlias, TypeVar, cast

from guestpass.grants import ALL, Grant, Mode, Names
from guestpass.records import Cutoff, Epoch, Idempotency, KeyRecord, SessionRecord, SigningKeyRecord
from guestpass.stores.sessions import account_of, ended_at

P = ParamSpec("P")
T = TypeVar("T")

Reply: TypeAlias = "bytes | int | list[Reply] | None"
"""What a script answers."""

SPARE_MS: Final = 2 * 86_400_000
"""Milliseconds after which a session or a request that has ended drops out by itself, should nobody purge: twice as
long as it is to be told apart from one that never was."""

_LONGEST_MS: Final = 2**53


class Unreadable(Exception):
    """A key holds something that this store did not write."""


def _reading(read: Callable[P, T]) -> Callable[P, T]:
    @wraps(read)
    def reading(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return read(*args, **kwargs)
        except (ValueError, TypeError, KeyError) as problem:
            # Not "from" it: it may quote what the key holds.
            raise Unreadable(type(problem).__name__) from None

    return reading


def octets(text: str) -> bytes:
    """Any text as part of a key or a value, also one that UTF-8 does not know."""
    return text.encode(errors="surrogatepass")


@_reading
def text(given: Reply) -> str:
    """`octets` undone."""
    return _bytes(given).decode(errors="surrogatepass")


def seconds(instant: float) -> str:
    """A Unix time, exactly; ``inf`` and ``-inf`` where there is none."""
    return repr(float(instant) + 0.0)  # minus zero is zero


def milliseconds(instant: int) -> str:
    """A Unix time in milliseconds."""
    return str(int(instant))


def life_ms(ends_at: float, now_ms: int) -> str:
    """After how many milliseconds something that ends at `ends_at` drops out by itself; empty for never.

    Counted from now on, so that it does not matter whether the server's clock agrees with ours.
    """
    if ends_at == math.inf:
        return ""
    life = max(0.0, ends_at * 1000 - now_ms) + SPARE_MS
    return str(int(life)) if life < _LONGEST_MS else ""


def key_fields(key: KeyRecord) -> Iterator[bytes | str]:
    """The fields of an API key's hash, each before its value."""
    fields: dict[str, bytes | str | None] = {
        "id": octets(key.id),
        "kind": octets(key.kind),
        "name": octets(key.name),
        "platform": octets(key.grant.platform),
        "grant": grant_text(key.grant),
        "created_at": seconds(key.created_at),
        "origins": _names_text(key.origins),
        "revoked_at": None if key.revoked_at is None else seconds(key.revoked_at),
        "digest": key.digest.hex(),
        "old_digest": None if key.old_digest is None else key.old_digest.hex(),
        "old_until": seconds(key.old_until),
        "last_used_at": None if key.last_used_at is None else seconds(key.last_used_at),
    }
    for name, value in fields.items():
        if value is not None:
            yield name
            yield value


@_reading
def key_record(reply: Reply) -> KeyRecord:
    """The API key of a hash."""
    flat = [_bytes(part) for part in items(reply)]
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    old_digest = fields.get(b"old_digest")
    return KeyRecord(
        id=text(fields[b"id"]),
        digest=_digest(fields[b"digest"]),
        kind=text(fields[b"kind"]),
        grant=_grant(fields[b"grant"]),
        name=text(fields[b"name"]),
        created_at=float(fields[b"created_at"]),
        origins=cast("frozenset[str]", _names(fields[b"origins"])),
        revoked_at=_maybe_seconds(fields.get(b"revoked_at")),
        old_digest=None if old_digest is None else _digest(old_digest),
        old_until=float(fields[b"old_until"]),
        last_used_at=_maybe_seconds(fields.get(b"last_used_at")),
    )


def grant_text(grant: Grant) -> str:
    """A grant; two that are equal have one text."""
    accounts, components, roles = (_names_text(names) for names in (grant.accounts, grant.components, grant.roles))
    return json.dumps([grant.platform, grant.mode, accounts, components, roles, seconds(grant.expires_at)])


def session_text(session: SessionRecord) -> str:
    """A session, without its digest: by lines, of which scripts read the first and change the second."""
    grant = session.grant
    whose = [session.id, grant.platform, grant.mode, account_of(session), session.minted_by, session.minted_ms]
    revoked_at = "" if session.revoked_at is None else seconds(session.revoked_at)
    sets = (_names_text(grant.components), _names_text(grant.roles))
    return "\n".join((seconds(grant.expires_at), revoked_at, json.dumps(whose, separators=(",", ":")), *sets))


@_reading
def session_record(digest: bytes, reply: Reply) -> SessionRecord:
    """The session of a text."""
    expires_at, revoked_at, whose, components, roles = _bytes(reply).split(b"\n")
    session_id, platform, mode, account, minted_by, minted_ms = cast("list[Any]", json.loads(whose))
    return SessionRecord(
        id=session_id,
        digest=digest,
        grant=Grant(
            platform=platform,
            mode=cast("Mode", mode),
            accounts=frozenset((account,)),
            components=_names(components),
            roles=_names(roles),
            expires_at=float(expires_at),
        ),
        minted_by=minted_by,
        minted_ms=minted_ms,
        revoked_at=_maybe_seconds(revoked_at),
    )


@_reading
def session_of(reply: Reply) -> SessionRecord | None:
    """The session of a pair of digest and text."""
    if reply is None:
        return None
    digest, kept = items(reply)
    return session_record(_digest(digest), kept)


def session_arguments(session: SessionRecord) -> tuple[bytes | str, ...]:
    """What a script needs to keep a new session."""
    ends_at = ended_at(session)
    return (
        octets(session.id),
        session.digest.hex(),
        session_text(session),
        seconds(ends_at),
        life_ms(ends_at, session.minted_ms),
        milliseconds(session.minted_ms),
    )


def asked_arguments(asked: Idempotency, now_ms: int) -> tuple[bytes | str, ...]:
    """What a script needs to keep a request that may come again. The length tells where one name ends."""
    minted_by = octets(asked.minted_by)
    name = b"%d:%b:%b" % (len(minted_by), minted_by, octets(asked.key))
    return (name, asked.body.hex(), seconds(asked.expires_at), life_ms(asked.expires_at, now_ms))


@_reading
def cutoff_record(name: str, at_ms: Reply, expires_at: Reply) -> Cutoff:
    """A cut-off."""
    return Cutoff(name, int(_bytes(at_ms)), float(_bytes(expires_at)))


@_reading
def cutoff_of(name: Reply, kept: Reply) -> Cutoff:
    """A cut-off as the list keeps it."""
    at_ms, expires_at = _bytes(kept).split(b" ")
    return cutoff_record(text(name), at_ms, expires_at)


@_reading
def epoch_record(reply: Sequence[Reply]) -> Epoch:
    """The epoch with which an answer begins."""
    epoch_id, started_ms, after_loss = reply[:3]
    return Epoch(text(epoch_id), int(_bytes(started_ms)), _bytes(after_loss) == b"1")


def signing_key_text(key: SigningKeyRecord) -> str:
    """A signing key."""
    return json.dumps(
        {
            "kid": key.kid,
            "mode": key.mode,
            "serial": key.serial,
            "algorithm": key.algorithm,
            "jwk": dict(key.jwk),
            "wrapped": b64encode(key.wrapped).decode(),
            "created_at": seconds(key.created_at),
            "signs_from": seconds(key.signs_from),
        }
    )


@_reading
def signing_key_record(reply: Reply) -> SigningKeyRecord:
    """The signing key of a text."""
    fields: dict[str, Any] = json.loads(_bytes(reply))
    return SigningKeyRecord(
        kid=fields["kid"],
        mode=cast("Mode", fields["mode"]),
        serial=fields["serial"],
        algorithm=fields["algorithm"],
        jwk=fields["jwk"],
        wrapped=b64decode(fields["wrapped"]),
        created_at=float(fields["created_at"]),
        signs_from=float(fields["signs_from"]),
    )


@_reading
def items(reply: Reply) -> list[Reply]:
    """An answer of several parts."""
    if not isinstance(reply, list):
        raise TypeError("a list was expected")
    return reply


def _bytes(reply: Reply) -> bytes:
    if not isinstance(reply, bytes):
        raise TypeError("text was expected")
    return reply


def _digest(reply: Reply) -> bytes:
    return bytes.fromhex(_bytes(reply).decode())


def _maybe_seconds(given: bytes | None) -> float | None:
    return float(given) if given else None


def _grant(given: bytes) -> Grant:
    platform, mode, accounts, components, roles, expires_at = cast("list[str]", json.loads(given))
    return Grant(
        platform=platform,
        mode=cast("Mode", mode),
        accounts=_names(accounts.encode()),
        components=_names(components.encode()),
        roles=_names(roles.encode()),
        expires_at=float(expires_at),
    )


def _names_text(names: Names) -> str:
    return '"ALL"' if names is ALL else json.dumps(sorted(names), separators=(",", ":"))


# Sessions of one platform repeat the same few sets: read once, they share one value too.
@lru_cache(maxsize=1024)
def _names(given: bytes) -> Names:
    if given == b'"ALL"':
        return ALL
    names = json.loads(given)
    if not isinstance(names, list):
        raise TypeError("a set of names was expected")
    return frozenset(cast("list[str]", names))
