"""Account sessions in a SQL database, and the requests for them that may come again."""

from dataclasses import replace
from typing import Final

from sqlalchemy import Connection, bindparam, insert, select, update

from guestpass.errors import StoreUnavailable
from guestpass.records import (
    AddSession,
    Conflict,
    FindSession,
    FindSessionById,
    Idempotency,
    RevokeSession,
    SessionRecord,
)
from guestpass.stores import rows
from guestpass.stores.cutoff_statements import put
from guestpass.stores.helpers import changed, inserted, storable
from guestpass.stores.instants import Instants
from guestpass.stores.sessions import end_of, ended_at, news_of, remembered
from guestpass.stores.short_way import Executes
from guestpass.stores.tables import idempotency, sessions

# A race is lost to somebody whose row is then there to be read, unless a purge takes it away in between.
_TRIES: Final = 4

_session, _asked = sessions.c, idempotency.c

_BY_DIGEST: Final = select(sessions).where(_session.digest == bindparam("digest"))
_BY_ID: Final = select(sessions).where(_session.id == bindparam("id"))
_INSERT: Final = insert(sessions)
_ASKED: Final = select(idempotency).where(_asked.minted_by == bindparam("minted_by"), _asked.key == bindparam("key"))


class RequestKnown(Exception):
    """A request with this Idempotency-Key came before."""


def find_session(connection: Executes, question: FindSession, _: Instants) -> SessionRecord | None:
    row = connection.execute(_BY_DIGEST, {"digest": question.digest}).first()
    return None if row is None else rows.session_record(row)


def find_session_by_id(connection: Connection, question: FindSessionById, _: Instants) -> SessionRecord | None:
    if not storable(question.id):
        return None
    row = connection.execute(_BY_ID, {"id": question.id}).first()
    return None if row is None else rows.session_record(row)


def add_session(connection: Connection, question: AddSession, instants: Instants) -> SessionRecord | Conflict:
    session, asked = question.session, question.idempotency
    row = rows.session_row(session)
    if asked is not None:
        earlier = _made_for(connection, asked, session)
        if isinstance(earlier, SessionRecord):
            put(connection, news_of(earlier), instants)
        if earlier is not None:
            return earlier
    connection.execute(_INSERT, row)
    return session


def add_new_session(connection: Executes, question: AddSession, _: Instants) -> SessionRecord:
    """`add_session`, where there was no such request before. Raises `RequestKnown`; then the transaction is to be
    undone."""
    session, asked = question.session, question.idempotency
    row = rows.session_row(session)
    if asked is not None and not inserted(connection, idempotency, rows.request_row(asked, session.id)):
        raise RequestKnown
    connection.execute(_INSERT, row)
    return session


def _made_for(connection: Connection, asked: Idempotency, session: SessionRecord) -> SessionRecord | Conflict | None:
    """What the same request made before. None where there is nothing; then `asked` is kept for `session`."""
    name = {"minted_by": asked.minted_by, "key": asked.key}
    kept = rows.request_row(asked, session.id)
    for _ in range(_TRIES):
        if inserted(connection, idempotency, kept):
            return None
        row = connection.execute(_ASKED, name).first()
        if row is None:
            continue
        earlier = Idempotency(row.minted_by, row.key, row.body, rows.unending(row.expires_at))
        if remembered(earlier, session.minted_ms):
            if earlier.body != asked.body:
                return Conflict()
            renewed = _renewed(connection, row.session_id, session.digest)
            if renewed is not None:
                return renewed
        # Nobody may have taken the place of that session meanwhile.
        same = (
            _asked.minted_by == asked.minted_by,
            _asked.key == asked.key,
            _asked.session_id == row.session_id,
        )
        if changed(connection, update(idempotency).where(*same).values(kept)):
            return None
    raise StoreUnavailable("the store did not answer: the same request keeps coming from elsewhere")


def _renewed(connection: Connection, session_id: str, digest: bytes) -> SessionRecord | None:
    session = _locked(connection, session_id)
    if session is None:
        return None
    connection.execute(update(sessions).where(_session.id == session_id).values(digest=digest))
    return replace(session, digest=digest)


def revoke_session(connection: Connection, question: RevokeSession, instants: Instants) -> SessionRecord | None:
    session = _locked(connection, question.id)
    if session is None:
        return None
    if session.revoked_at is None:
        session = replace(session, revoked_at=question.revoked_at)
        ended = update(sessions).where(_session.id == session.id)
        connection.execute(ended.values(revoked_at=session.revoked_at, ended_at=rows.instant(ended_at(session))))
    put(connection, end_of(session), instants)
    return session


def _locked(connection: Connection, session_id: str) -> SessionRecord | None:
    """The session, which nobody else changes until the end of this transaction."""
    if not storable(session_id):
        return None
    row = connection.execute(_BY_ID.with_for_update(), {"id": session_id}).first()
    return None if row is None else rows.session_record(row)
