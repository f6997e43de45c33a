"""A store that lives in this process and ends with it: for tests, demonstrations and single workers.

Needs nothing but Python, keeps nothing on disk and shares nothing with other processes: after a fork each
process goes on with a copy of its own.
"""

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar, cast

from guestpass.errors import StoreUnavailable
from guestpass.grants import Mode
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
    Ending,
    Epoch,
    FindCutoff,
    FindKey,
    FindKeyById,
    FindMinter,
    FindSession,
    FindSessionById,
    Idempotency,
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
from guestpass.stores import forks
from guestpass.stores.memory_records import CutoffList, Mortal
from guestpass.stores.sessions import account_of, end_of, ended_at, news_of, remembered

T = TypeVar("T")


class MemoryStore:
    """Answers every question of `guestpass.records` from memory, thread-safely, under one lock.

    Nothing that a request asks takes longer with more records than a look-up or a heap's logarithm does;
    listing keys takes time in proportion to them. `clock` is in Unix seconds.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._closed = False
        self._keys: dict[str, KeyRecord] = {}
        self._key_ids: dict[bytes, str] = {}
        self._sessions: Mortal[str, SessionRecord] = Mortal(ended_at)
        self._session_ids: dict[bytes, str] = {}
        self._asked: Mortal[tuple[str, str], tuple[Idempotency, str]] = Mortal(lambda asked: asked[0].expires_at)
        self._cutoffs = CutoffList(self._new_epoch(after_loss=False))
        self._signing_keys: dict[tuple[Mode, int], SigningKeyRecord] = {}
        forks.watch(self)

    def answer(self, question: Question[T], /) -> T:
        """The answer to `question`.

        Raises TypeError for one that is not of `guestpass.records`, ValueError for a new record whose id or
        digest is there already, StoreUnavailable once the store is closed.
        """
        with self._lock:
            if self._closed:
                raise StoreUnavailable("the store is closed")
            return cast("T", self._answer(question))

    def close(self) -> None:
        """Answer nothing any more. Closing twice is closing once."""
        with self._lock:
            self._closed = True

    def before_fork(self) -> None:
        """Hold still: a half-made change, or a lock that some thread holds, would be copied for ever."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Go on, with a copy."""
        self._lock.release()

    def _answer(self, question: Question[Any]) -> object:
        match question:
            case FindSession():
                return self._find_session(question)
            case FindKey():
                return self._find_key(question)
            case FindMinter():
                return self._find_minter(question)
            case FindCutoff():
                return self._cutoffs.latest(question.names)
            case ReadCutoffs():
                return self._cutoffs.page(question.after, question.limit)
            case AddSession():
                return self._add_session(question)
            case FindSessionById():
                return self._sessions.records.get(question.id)
            case RevokeSession():
                return self._revoke_session(question)
            case FindKeyById():
                return self._keys.get(question.id)
            case AddKey():
                self._add_key(question)
                return None
            case ChangeKey():
                return self._change_key(question)
            case RotateKey():
                return self._rotate_key(question)
            case NoteUses():
                self._note_uses(question)
                return None
            case ListKeys():
                return self._list_keys(question)
            case AddCutoff():
                return self._end(question.ending)
            case BeginEpoch():
                return self._begin_epoch(question)
            case AddSigningKey():
                return self._add_signing_key(question)
            case ListSigningKeys():
                return self._list_signing_keys()
            case Purge():
                return self._purge(question)
            case _:
                raise TypeError(f"{type(question).__name__} is not a question that a store answers")

    def _add_key(self, question: AddKey) -> None:
        key = question.key
        digests = {digest for digest in (key.digest, key.old_digest) if digest is not None}
        if key.id in self._keys or digests & self._key_ids.keys():
            raise ValueError("the store has a key with this id or digest already")
        self._keys[key.id] = key
        self._key_ids.update(dict.fromkeys(digests, key.id))

    def _find_key(self, question: FindKey) -> KeyRecord | None:
        key_id = self._key_ids.get(question.digest)
        return None if key_id is None else self._keys[key_id]

    def _find_minter(self, question: FindMinter) -> Minter:
        now_ms = self._now_ms()
        return Minter(self._keys.get(question.id), now_ms)

    def _list_keys(self, question: ListKeys) -> tuple[KeyRecord, ...]:
        asked = (key for key in self._keys.values() if question.platform in (None, key.grant.platform))
        return tuple(sorted(asked, key=lambda key: (key.created_at, key.id)))

    def _change_key(self, question: ChangeKey) -> KeyRecord | None:
        key = self._keys.get(question.id)
        if key is None:
            return None
        if question.expected not in (None, key.grant):
            return key
        if question.grant is not None:
            key = replace(key, grant=question.grant)
        if key.revoked_at is None:
            key = replace(key, revoked_at=question.revoked_at)
        self._keys[key.id] = key
        self._end(question.ending)
        return key

    def _rotate_key(self, question: RotateKey) -> KeyRecord | None:
        key = self._keys.get(question.id)
        if key is None:
            return None
        if question.digest in self._key_ids:
            raise ValueError("the store has a key with this id or digest already")
        if key.old_digest is not None:
            self._key_ids.pop(key.old_digest)
        rotated = replace(key, digest=question.digest, old_digest=key.digest, old_until=question.old_until)
        self._keys[key.id] = rotated
        self._key_ids |= {question.digest: key.id, key.digest: key.id}
        if question.ending is not None:
            self._end(question.ending)
        return rotated

    def _note_uses(self, question: NoteUses) -> None:
        for key_id, at in question.uses.items():
            key = self._keys.get(key_id)
            if key is not None and (key.last_used_at is None or key.last_used_at < at):
                self._keys[key_id] = replace(key, last_used_at=at)

    def _add_session(self, question: AddSession) -> SessionRecord | Conflict:
        session, asked = question.session, question.idempotency
        account_of(session)
        if asked is not None:
            name = (asked.minted_by, asked.key)
            earlier = self._asked.records.get(name)
            if earlier is not None and remembered(earlier[0], session.minted_ms):
                if earlier[0].body != asked.body:
                    return Conflict()
                made = self._sessions.records.get(earlier[1])
                if made is not None:
                    return self._renew(made, session.digest)
        if session.id in self._sessions.records or session.digest in self._session_ids:
            raise ValueError("the store has a session with this id or digest already")
        if asked is not None:
            self._asked.put((asked.minted_by, asked.key), (asked, session.id))
        self._sessions.put(session.id, session)
        self._session_ids[session.digest] = session.id
        return session

    def _renew(self, session: SessionRecord, digest: bytes) -> SessionRecord:
        if self._session_ids.get(digest, session.id) != session.id:
            raise ValueError("the store has another session with this digest already")
        del self._session_ids[session.digest]
        renewed = replace(session, digest=digest)
        self._sessions.put(renewed.id, renewed)
        self._session_ids[digest] = renewed.id
        self._end(news_of(renewed))
        return renewed

    def _find_session(self, question: FindSession) -> SessionRecord | None:
        session_id = self._session_ids.get(question.digest)
        return None if session_id is None else self._sessions.records[session_id]

    def _revoke_session(self, question: RevokeSession) -> SessionRecord | None:
        session = self._sessions.records.get(question.id)
        if session is None:
            return None
        if session.revoked_at is None:
            session = replace(session, revoked_at=question.revoked_at)
            self._sessions.put(session.id, session)
        self._end(end_of(session))
        return session

    def _end(self, ending: Ending) -> Cutoff:
        at_ms = self._now_ms() if ending.at_ms is None else ending.at_ms
        return self._cutoffs.put(Cutoff(ending.name, at_ms, ending.expires_at))

    def _begin_epoch(self, question: BeginEpoch) -> Epoch:
        if self._cutoffs.epoch.id == question.known:
            self._cutoffs.epoch = self._new_epoch(after_loss=True)
        return self._cutoffs.epoch

    def _new_epoch(self, *, after_loss: bool) -> Epoch:
        return Epoch(secrets.token_hex(16), self._now_ms(), after_loss)

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)

    def _add_signing_key(self, question: AddSigningKey) -> bool:
        key = question.key
        if (key.mode, key.serial) in self._signing_keys:
            return False
        if any(key.kid == other.kid for other in self._signing_keys.values()):
            raise ValueError("the store has a signing key with this kid already")
        self._signing_keys[key.mode, key.serial] = key
        return True

    def _list_signing_keys(self) -> tuple[SigningKeyRecord, ...]:
        return tuple(key for _, key in sorted(self._signing_keys.items(), key=lambda item: item[0]))

    def _purge(self, question: Purge) -> int:
        sessions = self._sessions.purge(question.ended_before, question.limit)
        for session in sessions:
            del self._session_ids[session.digest]
        asked = self._asked.purge(question.now, question.limit)
        return len(sessions) + len(asked) + self._cutoffs.purge(question.now, question.limit)
