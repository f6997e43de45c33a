"""What the SQL store does for each question: one plain function of a connection and the question.

Each runs in a transaction that its caller began and will end, so that an async engine can run the same
functions through ``AsyncConnection.run_sync``. Every dialect understands every statement; where two writers
race for a row, the loser finds out by the unique index, inside a savepoint, and reads what the winner wrote.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import (
    Column,
    Connection,
    Executable,
    Table,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal,
    select,
    tuple_,
    update,
)
from sqlalchemy.exc import IntegrityError

from guestpass.errors import StoreUnavailable
from guestpass.inquiry import Question
from guestpass.records import (
    AddCutoff,
    AddKey,
    AddSession,
    AddSigningKey,
    ChangeKey,
    Conflict,
    Cutoff,
    FindCutoff,
    FindKey,
    FindKeyById,
    FindSession,
    FindSessionById,
    FoundSession,
    Idempotency,
    KeyRecord,
    ListKeys,
    ListSigningKeys,
    Purge,
    RevokeSession,
    SessionRecord,
    SigningKeyRecord,
)
from guestpass.stores import rows
from guestpass.stores.sessions import remembered
from guestpass.stores.tables import api_keys, cutoffs, idempotency, sessions, signing_keys

# A race is lost to somebody whose row is then there to be read, unless a purge takes it away in between.
_TRIES: Final = 4

_key, _session, _asked, _cutoff, _signing = api_keys.c, sessions.c, idempotency.c, cutoffs.c, signing_keys.c

_KEY: Final = select(api_keys).where(_key.digest == bindparam("digest"))
_KEY_BY_ID: Final = select(api_keys).where(_key.id == bindparam("id"))
_SESSION_BY_ID: Final = select(sessions).where(_session.id == bindparam("id"))
# The names are those of `guestpass.stores.sessions.cutoff_names`. One statement, for one round trip and one
# state of the database.
_SESSION_AND_CUTOFF: Final = select(
    sessions,
    select(func.max(_cutoff.at_ms))
    .where(
        _cutoff.name.in_(
            (
                literal("key:") + _session.minted_by,
                literal("account:") + _session.platform + literal(":") + _session.account,
                literal("session:") + _session.id,
            )
        )
    )
    .correlate(sessions)
    .scalar_subquery()
    .label("cutoff_ms"),
).where(_session.digest == bindparam("digest"))
_ASKED: Final = select(idempotency).where(_asked.minted_by == bindparam("minted_by"), _asked.key == bindparam("key"))


def find_key(connection: Connection, question: FindKey) -> KeyRecord | None:
    row = connection.execute(_KEY, {"digest": question.digest}).first()
    return None if row is None else rows.key_record(row)


def find_key_by_id(connection: Connection, question: FindKeyById) -> KeyRecord | None:
    return _key_by_id(connection, question.id) if _storable(question.id) else None


def list_keys(connection: Connection, question: ListKeys) -> tuple[KeyRecord, ...]:
    asked = select(api_keys).order_by(_key.created_at, _key.id)
    if question.platform is not None:
        if not _storable(question.platform):
            return ()
        asked = asked.where(_key.platform == question.platform)
    return tuple(rows.key_record(row) for row in connection.execute(asked))


def add_key(connection: Connection, question: AddKey) -> None:
    connection.execute(insert(api_keys), rows.key_row(question.key))


def change_key(connection: Connection, question: ChangeKey) -> KeyRecord | None:
    if not _storable(question.id):
        return None
    # Even where nothing changes, for the row's lock: two changes of one key are made one after the other.
    locked = update(api_keys).where(_key.id == question.id).values(id=question.id)
    if question.expected is not None and _changed(connection, locked):
        key = _key_by_id(connection, question.id)
        if key is not None and key.grant != question.expected:
            return key
    changes: dict[str, object] = {"id": question.id}
    if question.grant is not None:
        changes |= rows.key_grant_row(question.grant)
    if question.revoked_at is not None:
        changes["revoked_at"] = func.coalesce(_key.revoked_at, question.revoked_at)
    if not _changed(connection, update(api_keys).where(_key.id == question.id).values(changes)):
        return None
    _put_cutoff(connection, question.cutoff)
    return _key_by_id(connection, question.id)


def find_session(connection: Connection, question: FindSession) -> FoundSession | None:
    row = connection.execute(_SESSION_AND_CUTOFF, {"digest": question.digest}).first()
    return None if row is None else FoundSession(rows.session_record(row), row.cutoff_ms)


def find_session_by_id(connection: Connection, question: FindSessionById) -> SessionRecord | None:
    return _session_by_id(connection, question.id) if _storable(question.id) else None


def add_session(connection: Connection, question: AddSession) -> SessionRecord | Conflict:
    session, asked = question.session, question.idempotency
    if asked is not None:
        earlier = _made_for(connection, asked, session)
        if earlier is not None:
            return earlier
    connection.execute(insert(sessions), rows.session_row(session))
    return session


def _made_for(connection: Connection, asked: Idempotency, session: SessionRecord) -> SessionRecord | Conflict | None:
    """What the same request made before. None where there is nothing; then `asked` is kept for `session`."""
    name = {"minted_by": asked.minted_by, "key": asked.key}
    kept = {"body": asked.body, "session_id": session.id, "expires_at": rows.instant(asked.expires_at)}
    for _ in range(_TRIES):
        row = connection.execute(_ASKED, name).first()
        if row is None:
            if _inserted(connection, idempotency, {**name, **kept}):
                return None
            continue
        earlier = Idempotency(row.minted_by, row.key, row.body, rows.unending(row.expires_at))
        if remembered(earlier, session.minted_ms):
            if earlier.body != asked.body:
                return Conflict()
            renewal = update(sessions).where(_session.id == row.session_id).values(digest=session.digest)
            if _changed(connection, renewal):
                return _session_by_id(connection, row.session_id)
        same = (
            _asked.minted_by == asked.minted_by,
            _asked.key == asked.key,
            _asked.session_id == row.session_id,
        )
        if _changed(connection, update(idempotency).where(*same).values(kept)):
            return None
    raise StoreUnavailable("the store did not answer: the same request keeps coming from elsewhere")


def revoke_session(connection: Connection, question: RevokeSession) -> SessionRecord | None:
    if not _storable(question.id):
        return None
    at = question.revoked_at
    connection.execute(
        update(sessions)
        .where(_session.id == question.id, _session.revoked_at.is_(None))
        .values(revoked_at=at, ended_at=case((_session.ended_at < at, _session.ended_at), else_=at))
    )
    return _session_by_id(connection, question.id)


def find_cutoff(connection: Connection, question: FindCutoff) -> int | None:
    names = [name for name in question.names if _storable(name)]
    latest: int | None = connection.scalar(select(func.max(_cutoff.at_ms)).where(_cutoff.name.in_(names)))
    return latest


def add_cutoff(connection: Connection, question: AddCutoff) -> None:
    _put_cutoff(connection, question.cutoff)


def add_signing_key(connection: Connection, question: AddSigningKey) -> bool:
    key = question.key
    if _inserted(connection, signing_keys, rows.signing_key_row(key)):
        return True
    same = select(_signing.kid).where(_signing.mode == key.mode, _signing.serial == key.serial)
    if connection.execute(same).first() is None:
        raise ValueError("the store has a signing key with this kid already")
    return False


def list_signing_keys(connection: Connection, _: ListSigningKeys) -> tuple[SigningKeyRecord, ...]:
    asked = select(signing_keys).order_by(_signing.mode, _signing.serial)
    return tuple(rows.signing_key_record(row) for row in connection.execute(asked))


def purge(connection: Connection, question: Purge) -> int:
    return (
        _purge(connection, (_session.id,), _session.ended_at, question.ended_before, question.limit)
        + _purge(connection, (_asked.minted_by, _asked.key), _asked.expires_at, question.now, question.limit)
        + _purge(connection, (_cutoff.name,), _cutoff.expires_at, question.now, question.limit)
    )


def _purge(connection: Connection, key: tuple[Column[Any], ...], end: Column[Any], before: float, limit: int) -> int:
    some = select(*key).where(end < before).order_by(end).limit(limit)
    # The condition twice: a row that another writer prolongs while this statement waits for it must stay.
    return _changed(connection, delete(end.table).where(tuple_(*key).in_(some), end < before))


def _key_by_id(connection: Connection, key_id: str) -> KeyRecord | None:
    row = connection.execute(_KEY_BY_ID, {"id": key_id}).first()
    return None if row is None else rows.key_record(row)


def _session_by_id(connection: Connection, session_id: str) -> SessionRecord | None:
    row = connection.execute(_SESSION_BY_ID, {"id": session_id}).first()
    return None if row is None else rows.session_record(row)


def _put_cutoff(connection: Connection, cutoff: Cutoff) -> None:
    expires_at = rows.instant(cutoff.expires_at)
    kept = {"name": cutoff.name, "at_ms": cutoff.at_ms, "expires_at": expires_at}
    later = (
        update(cutoffs)
        .where(_cutoff.name == cutoff.name)
        .values(
            at_ms=case((_cutoff.at_ms < cutoff.at_ms, cutoff.at_ms), else_=_cutoff.at_ms),
            expires_at=None
            if expires_at is None
            else case((_cutoff.expires_at < expires_at, expires_at), else_=_cutoff.expires_at),
        )
    )
    for _ in range(_TRIES):
        if _changed(connection, later) or _inserted(connection, cutoffs, kept):
            return
    raise StoreUnavailable("the store did not answer: the same cut-off keeps being added and dropped elsewhere")


def _changed(connection: Connection, statement: Executable) -> int:
    """How many rows `statement` changed."""
    return connection.execute(statement).rowcount


def _inserted(connection: Connection, table: Table, row: Mapping[str, object]) -> bool:
    """Whether `row` was added; False where one with its key is there already."""
    try:
        with connection.begin_nested():
            connection.execute(insert(table), dict(row))
    except IntegrityError:
        return False
    return True


def _storable(text: str) -> bool:
    """Whether a database can hold `text`: a URL may say what none can, and it names nothing."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


READS: Final[Mapping[type[Question[Any]], Callable[[Connection, Any], object]]] = {
    FindKey: find_key,
    FindKeyById: find_key_by_id,
    ListKeys: list_keys,
    FindSession: find_session,
    FindSessionById: find_session_by_id,
    FindCutoff: find_cutoff,
    ListSigningKeys: list_signing_keys,
}
"""One statement each: they need no transaction around them."""

WRITES: Final[Mapping[type[Question[Any]], Callable[[Connection, Any], object]]] = {
    AddKey: add_key,
    ChangeKey: change_key,
    AddSession: add_session,
    RevokeSession: revoke_session,
    AddCutoff: add_cutoff,
    AddSigningKey: add_signing_key,
    Purge: purge,
}
