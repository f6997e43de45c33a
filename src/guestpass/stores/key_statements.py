"""API keys in a SQL database."""

from dataclasses import replace
from typing import Final

from sqlalchemy import Connection, bindparam, insert, or_, select, union_all, update

from guestpass.records import (
    AddKey,
    ChangeKey,
    FindKey,
    FindKeyById,
    FindMinter,
    KeyRecord,
    ListKeys,
    Minter,
    NoteUses,
    RotateKey,
)
from guestpass.stores import rows
from guestpass.stores.cutoff_statements import put
from guestpass.stores.helpers import storable
from guestpass.stores.instants import Instants
from guestpass.stores.short_way import Executes
from guestpass.stores.tables import api_keys

_key = api_keys.c

# One index after the other, and the second only where the first has nothing.
_BY_DIGEST: Final = union_all(
    select(api_keys).where(_key.digest == bindparam("digest")),
    select(api_keys).where(_key.old_digest == bindparam("digest")),
).limit(1)
_BY_ID: Final = select(api_keys).where(_key.id == bindparam("id"))
_USED: Final = (
    update(api_keys)
    .where(_key.id == bindparam("key_id"), or_(_key.last_used_at.is_(None), _key.last_used_at < bindparam("used_at")))
    .values(last_used_at=bindparam("used_at"))
)


def find_key(connection: Executes, question: FindKey, _: Instants) -> KeyRecord | None:
    row = connection.execute(_BY_DIGEST, {"digest": question.digest}).first()
    return None if row is None else rows.key_record(row)


def find_key_by_id(connection: Connection, question: FindKeyById, _: Instants) -> KeyRecord | None:
    if not storable(question.id):
        return None
    row = connection.execute(_BY_ID, {"id": question.id}).first()
    return None if row is None else rows.key_record(row)


def find_minter(connection: Executes, question: FindMinter, instants: Instants) -> Minter:
    # What the database cannot hold names nothing that is in it.
    row, now_ms = instants.look(connection, _BY_ID, {"id": question.id if storable(question.id) else ""})
    return Minter(None if row is None else rows.key_record(row), now_ms)


def list_keys(connection: Connection, question: ListKeys, _: Instants) -> tuple[KeyRecord, ...]:
    asked = select(api_keys)
    if question.platform is not None:
        if not storable(question.platform):
            return ()
        asked = asked.where(_key.platform == question.platform)
    found = (rows.key_record(row) for row in connection.execute(asked))
    # Sorted here: databases differ in how they sort text.
    return tuple(sorted(found, key=lambda key: (key.created_at, key.id)))


def add_key(connection: Connection, question: AddKey, _: Instants) -> None:
    key = question.key
    for digest in (key.digest, key.old_digest):
        if digest is not None:
            _refuse_known(connection, digest)
    connection.execute(insert(api_keys), rows.key_row(key))


def change_key(connection: Connection, question: ChangeKey, instants: Instants) -> KeyRecord | None:
    key = _locked(connection, question.id)
    if key is None or question.expected not in (None, key.grant):
        return key
    if question.grant is not None:
        key = replace(key, grant=question.grant)
    if key.revoked_at is None:
        key = replace(key, revoked_at=question.revoked_at)
    _keep(connection, key)
    put(connection, question.ending, instants)
    return key


def rotate_key(connection: Connection, question: RotateKey, instants: Instants) -> KeyRecord | None:
    key = _locked(connection, question.id)
    if key is None:
        return None
    _refuse_known(connection, question.digest)
    key = replace(key, digest=question.digest, old_digest=key.digest, old_until=question.old_until)
    _keep(connection, key)
    if question.ending is not None:
        put(connection, question.ending, instants)
    return key


def note_uses(connection: Connection, question: NoteUses, _: Instants) -> None:
    # In the order of their ids: two processes that note the same keys never wait for each other in a circle.
    uses = [{"key_id": key_id, "used_at": at} for key_id, at in sorted(question.uses.items()) if storable(key_id)]
    if uses:
        connection.execute(_USED, uses)


def _locked(connection: Connection, key_id: str) -> KeyRecord | None:
    """The key, which nobody else changes until the end of this transaction."""
    if not storable(key_id):
        return None
    row = connection.execute(_BY_ID.with_for_update(), {"id": key_id}).first()
    return None if row is None else rows.key_record(row)


def _keep(connection: Connection, key: KeyRecord) -> None:
    connection.execute(update(api_keys).where(_key.id == key.id).values(rows.key_row(key)))


def _refuse_known(connection: Connection, digest: bytes) -> None:
    # Each column has an index that holds against everybody; that a digest is not in the *other* column either holds
    # but for two who bring the same random digest at the same instant.
    if connection.execute(_BY_DIGEST, {"digest": digest}).first() is not None:
        raise ValueError("the store has a key with this id or digest already")
