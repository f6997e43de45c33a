"""What the Redis store asks of its server for each question: one plain generator each.

It yields a script with its arguments, is sent what the server said, and returns the answer; so each is written once
for the store's two halves, and knows neither connections nor event loops. Where the answer says so, two processes
raced for one name, and this one lost.
"""

import secrets
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, TypeAlias, TypeVar, cast

from guestpass.inquiry import Question
from guestpass.records import (
    AddCutoff,
    AddKey,
    AddSession,
    AddSigningKey,
    BeginEpoch,
    ChangeKey,
    Conflict,
    Cutoff,
    CutoffPage,
    Ending,
    Epoch,
    FindCutoff,
    FindKey,
    FindKeyById,
    FindMinter,
    FindSession,
    FindSessionById,
    KeyRecord,
    ListKeys,
    ListSigningKeys,
    Minter,
    NoteUses,
    Purge,
    ReadCutoffs,
    RevokeSession,
    RotateKey,
    SessionRecord,
    SigningKeyRecord,
)
from guestpass.revocation.cutoff_list import FOREVER_MS, session_name
from guestpass.stores import redis_records as records
from guestpass.stores import redis_scripts as scripts
from guestpass.stores.redis_records import Reply, octets
from guestpass.stores.sessions import ended_by

T = TypeVar("T")

BATCH: Final = 500
"""As many records a script touches at most, so that the server, which does one thing at a time, is soon back."""


@dataclass(frozen=True, slots=True)
class Call:
    """A script to run, and its arguments after the prefix."""

    script: scripts.Script
    arguments: tuple[bytes | str, ...] = ()


Steps: TypeAlias = Generator[Call, Reply, T]


def _ask(script: scripts.Script, *arguments: bytes | str) -> Steps[Reply]:
    return (yield Call(script, arguments))


def _fresh() -> str:
    """The name of the epoch that begins, should one have to."""
    return secrets.token_hex(16)


def _taken(what: str) -> ValueError:
    return ValueError(f"the store has {what} already")


def add_key(question: AddKey) -> Steps[None]:
    key = question.key
    old_digest = "" if key.old_digest is None else key.old_digest.hex()
    where = (octets(key.grant.platform), records.seconds(key.created_at))
    fields = records.key_fields(key)
    reply = yield from _ask(scripts.ADD_KEY, octets(key.id), key.digest.hex(), old_digest, *where, *fields)
    if reply == b"taken":
        raise _taken("a key with this id or digest")


def find_key(question: FindKey) -> Steps[KeyRecord | None]:
    return _key((yield from _ask(scripts.FIND_KEY, question.digest.hex())))


def find_key_by_id(question: FindKeyById) -> Steps[KeyRecord | None]:
    return (yield from find_minter(FindMinter(question.id))).key


def find_minter(question: FindMinter) -> Steps[Minter]:
    now_ms, fields = records.items((yield from _ask(scripts.FIND_MINTER, octets(question.id))))
    return Minter(_key(fields), int(records.text(now_ms)))


def list_keys(question: ListKeys) -> Steps[tuple[KeyRecord, ...]]:
    name = b"keys" if question.platform is None else b"keys-of:" + octets(question.platform)
    ids = iter(records.items((yield from _ask(scripts.LIST_KEY_IDS, name))))
    found: list[KeyRecord] = []
    for batch in _batches(ids):
        replies = yield from _ask(scripts.READ_KEYS, *cast("list[bytes]", batch))
        found += [records.key_record(reply) for reply in records.items(replies) if reply]
    return tuple(sorted(found, key=lambda key: (key.created_at, key.id)))


def change_key(question: ChangeKey) -> Steps[KeyRecord | None]:
    expected = "" if question.expected is None else records.grant_text(question.expected)
    grant = "" if question.grant is None else records.grant_text(question.grant)
    platform = b"" if question.grant is None else octets(question.grant.platform)
    revoked_at = "" if question.revoked_at is None else records.seconds(question.revoked_at)
    change = (octets(question.id), expected, grant, platform, revoked_at)
    return _key((yield from _ask(scripts.CHANGE_KEY, *change, _fresh(), *_ending(question.ending))))


def rotate_key(question: RotateKey) -> Steps[KeyRecord | None]:
    ending = () if question.ending is None else _ending(question.ending)
    change = (octets(question.id), question.digest.hex(), records.seconds(question.old_until))
    reply = yield from _ask(scripts.ROTATE_KEY, *change, _fresh(), *ending)
    if reply == b"taken":
        raise _taken("a key with this digest")
    return _key(reply)


def note_uses(question: NoteUses) -> Steps[None]:
    for batch in _batches(iter(question.uses.items())):
        uses = ((octets(key_id), records.seconds(at)) for key_id, at in batch)
        yield from _ask(scripts.NOTE_USES, *(part for use in uses for part in use))


def add_session(question: AddSession) -> Steps[SessionRecord | Conflict]:
    session, asked = question.session, question.idempotency
    arguments = (*records.session_arguments(session), _fresh())
    if asked is not None:
        arguments += (*records.asked_arguments(asked, session.minted_ms), session_name(""))
    reply = yield from _ask(scripts.ADD_SESSION, *arguments)
    if reply == b"kept":
        return session
    if reply == b"conflict":
        return Conflict()
    if reply == b"taken":
        raise _taken("a session with this id or digest")
    return cast("SessionRecord", records.session_of(reply))


def find_session(question: FindSession) -> Steps[SessionRecord | None]:
    reply = yield from _ask(scripts.FIND_SESSION, question.digest.hex())
    return None if reply is None else records.session_record(question.digest, reply)


def find_session_by_id(question: FindSessionById) -> Steps[SessionRecord | None]:
    return records.session_of((yield from _ask(scripts.FIND_SESSION_BY_ID, octets(question.id))))


def revoke_session(question: RevokeSession) -> Steps[SessionRecord | None]:
    revocation = (octets(question.id), records.seconds(question.revoked_at))
    cutoff = (octets(session_name(question.id)), records.milliseconds(FOREVER_MS))
    return records.session_of((yield from _ask(scripts.REVOKE_SESSION, *revocation, _fresh(), *cutoff)))


def find_cutoff(question: FindCutoff) -> Steps[int | None]:
    names = (octets(name) for name in question.names)
    reply = records.items((yield from _ask(scripts.FIND_CUTOFF, _fresh(), *names)))
    latest = None if reply[3] is None else int(records.text(reply[3]))
    return ended_by(latest, records.epoch_record(reply))


def add_cutoff(question: AddCutoff) -> Steps[Cutoff]:
    at_ms, ends = records.items((yield from _ask(scripts.ADD_CUTOFF, _fresh(), *_ending(question.ending))))
    return records.cutoff_record(question.ending.name, at_ms, ends)


def read_cutoffs(question: ReadCutoffs) -> Steps[CutoffPage]:
    limits = (str(question.after), str(question.limit))
    reply = records.items((yield from _ask(scripts.READ_CUTOFFS, _fresh(), *limits)))
    position, reached = (int(records.text(part)) for part in reply[3:5])
    cutoffs = (records.cutoff_of(name, kept) for name, kept in zip(reply[5::2], reply[6::2], strict=True))
    return CutoffPage(records.epoch_record(reply), position, reached, tuple(cutoffs))


def begin_epoch(question: BeginEpoch) -> Steps[Epoch]:
    reply = yield from _ask(scripts.BEGIN_EPOCH, _fresh(), octets(question.known))
    return records.epoch_record(records.items(reply))


def add_signing_key(question: AddSigningKey) -> Steps[bool]:
    key = question.key
    place = f"{key.mode}:{key.serial}"
    reply = yield from _ask(scripts.ADD_SIGNING_KEY, place, octets(key.kid), records.signing_key_text(key))
    if reply == b"taken":
        raise _taken("a signing key with this kid")
    return reply == b"kept"


def list_signing_keys(_: ListSigningKeys) -> Steps[tuple[SigningKeyRecord, ...]]:
    replies = records.items((yield from _ask(scripts.LIST_SIGNING_KEYS)))
    return tuple(sorted(map(records.signing_key_record, replies), key=lambda key: (key.mode, key.serial)))


def purge(question: Purge) -> Steps[int]:
    before = (records.seconds(question.now), records.seconds(question.ended_before))
    left, gone = question.limit, 0
    while left > 0:
        batch = min(left, BATCH)
        went = yield from _ask(scripts.PURGE, *before, str(batch))
        if not went:
            break
        gone += cast("int", went)
        left -= batch
    return gone


def _key(reply: Reply) -> KeyRecord | None:
    return records.key_record(reply) if reply else None


def _ending(ending: Ending) -> tuple[bytes | str, ...]:
    at_ms = "" if ending.at_ms is None else records.milliseconds(ending.at_ms)
    return (octets(ending.name), at_ms, records.seconds(ending.expires_at))


def _batches(all_of: Iterator[T]) -> Iterator[list[T]]:
    while batch := list(islice(all_of, BATCH)):
        yield batch


QUESTIONS: Final[Mapping[type[Question[Any]], Callable[[Any], Steps[Any]]]] = {
    AddKey: add_key,
    FindKey: find_key,
    FindKeyById: find_key_by_id,
    FindMinter: find_minter,
    ListKeys: list_keys,
    ChangeKey: change_key,
    RotateKey: rotate_key,
    NoteUses: note_uses,
    AddSession: add_session,
    FindSession: find_session,
    FindSessionById: find_session_by_id,
    RevokeSession: revoke_session,
    FindCutoff: find_cutoff,
    AddCutoff: add_cutoff,
    ReadCutoffs: read_cutoffs,
    BeginEpoch: begin_epoch,
    AddSigningKey: add_signing_key,
    ListSigningKeys: list_signing_keys,
    Purge: purge,
}
