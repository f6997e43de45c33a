"""What the SQL store does for each question: one plain function of a connection, the question and the store's clock.

Each runs in a transaction that its caller began and will end, so that an asynchronous engine runs the same functions.
Every dialect understands every statement.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import Connection, select

from guestpass.inquiry import Question
from guestpass.records import (
    AddCutoff,
    AddKey,
    AddSession,
    AddSigningKey,
    BeginEpoch,
    ChangeKey,
    FindCutoff,
    FindKey,
    FindKeyById,
    FindMinter,
    FindSession,
    FindSessionById,
    ListKeys,
    ListSigningKeys,
    NoteUses,
    Purge,
    ReadCutoffs,
    RevokeSession,
    RotateKey,
    SigningKeyRecord,
)
from guestpass.stores import cutoff_statements as of_cutoffs
from guestpass.stores import key_statements as of_keys
from guestpass.stores import rows
from guestpass.stores import session_statements as of_sessions
from guestpass.stores.helpers import inserted, purged
from guestpass.stores.instants import Instants
from guestpass.stores.short_way import Executes
from guestpass.stores.tables import cutoffs, idempotency, sessions, signing_keys

_signing = signing_keys.c


def add_signing_key(connection: Connection, question: AddSigningKey, _: Instants) -> bool:
    key = question.key
    if inserted(connection, signing_keys, rows.signing_key_row(key)):
        return True
    same = select(_signing.kid).where(_signing.mode == key.mode, _signing.serial == key.serial)
    if connection.execute(same).first() is None:
        raise ValueError("the store has a signing key with this kid already")
    return False


def list_signing_keys(connection: Connection, _: ListSigningKeys, __: Instants) -> tuple[SigningKeyRecord, ...]:
    asked = select(signing_keys).order_by(_signing.mode, _signing.serial)
    return tuple(rows.signing_key_record(row) for row in connection.execute(asked))


def purge(connection: Connection, question: Purge, _: Instants) -> int:
    limit = question.limit
    return (
        purged(connection, (sessions.c.id,), sessions.c.ended_at, question.ended_before, limit)
        + purged(
            connection, (idempotency.c.minted_by, idempotency.c.key), idempotency.c.expires_at, question.now, limit
        )
        + purged(connection, (cutoffs.c.name,), cutoffs.c.expires_at, question.now, limit)
    )


Statement = Callable[[Connection, Any, Instants], object]

READS: Final[Mapping[type[Question[Any]], Statement]] = {
    FindKey: of_keys.find_key,
    FindKeyById: of_keys.find_key_by_id,
    FindMinter: of_keys.find_minter,
    ListKeys: of_keys.list_keys,
    FindSession: of_sessions.find_session,
    FindSessionById: of_sessions.find_session_by_id,
    FindCutoff: of_cutoffs.find_cutoff,
    ReadCutoffs: of_cutoffs.read_cutoffs,
    ListSigningKeys: list_signing_keys,
}
"""One statement each: they need no transaction around them, and may be asked twice."""

WRITES: Final[Mapping[type[Question[Any]], Statement]] = {
    AddKey: of_keys.add_key,
    ChangeKey: of_keys.change_key,
    RotateKey: of_keys.rotate_key,
    NoteUses: of_keys.note_uses,
    AddSession: of_sessions.add_session,
    RevokeSession: of_sessions.revoke_session,
    AddCutoff: of_cutoffs.add_cutoff,
    BeginEpoch: of_cutoffs.begin_epoch,
    AddSigningKey: add_signing_key,
}


SHORT_READS: Final[Mapping[type[Question[Any]], Callable[[Executes, Any, Instants], object]]] = {
    FindSession: of_sessions.find_session,
    FindKey: of_keys.find_key,
    FindMinter: of_keys.find_minter,
}
"""Of the reads, those that requests wait for: with statements that are made once (`guestpass.stores.short_way`)."""


def is_alone(question: Question[Any]) -> bool:
    """Whether a write is one statement, and so needs no transaction around it."""
    return isinstance(question, AddSession) and question.idempotency is None
