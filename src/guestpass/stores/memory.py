"""A store that lives in this process and ends with it: for tests, demonstrations and single workers.

Needs nothing but Python, keeps nothing on disk and shares nothing with other processes: after a fork each
process goes on with a copy of its own.
"""

import heapq
import math
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Generic, TypeVar, cast

from guestpass.errors import StoreUnavailable
from guestpass.grants import Mode
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
from guestpass.stores import forks
from guestpass.stores.sessions import account_of, cutoff_names, ended_at, remembered

T = TypeVar("T")
K = TypeVar("K")
R = TypeVar("R")


class _Ending(Generic[K, R]):
    """Records that end, by key; a purge looks at no record that is not due, however many there are."""

    def __init__(self, ends_at: Callable[[R], float]) -> None:
        self.records: dict[K, R] = {}
        self._ends_at = ends_at
        # When to look at which record: each that ends is in this heap at or before its end, at least once.
        self._due: list[tuple[float, K]] = []

    def put(self, key: K, record: R) -> None:
        old = self.records.get(key)
        self.records[key] = record
        if old is None or self._ends_at(record) < self._ends_at(old):
            self._look_again(key, record)

    def purge(self, before: float, limit: int) -> list[R]:
        gone: list[R] = []
        while len(gone) < limit and self._due and self._due[0][0] < before:
            _, key = heapq.heappop(self._due)
            record = self.records.get(key)
            if record is None:
                continue
            if self._ends_at(record) < before:
                gone.append(self.records.pop(key))
            else:
                self._look_again(key, record)
        return gone

    def _look_again(self, key: K, record: R) -> None:
        ends_at = self._ends_at(record)
        if ends_at < math.inf:
            heapq.heappush(self._due, (ends_at, key))


class MemoryStore:
    """Answers every question of `guestpass.records` from memory, thread-safely, under one lock.

    Nothing that a request asks takes longer with more records than a look-up or a heap's logarithm does;
    listing keys takes time in proportion to them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closed = False
        self._keys: dict[str, KeyRecord] = {}
        self._key_ids: dict[bytes, str] = {}
        self._sessions: _Ending[str, SessionRecord] = _Ending(ended_at)
        self._session_ids: dict[bytes, str] = {}
        self._asked: _Ending[tuple[str, str], tuple[Idempotency, str]] = _Ending(lambda asked: asked[0].expires_at)
        self._cutoffs: _Ending[str, Cutoff] = _Ending(lambda cutoff: cutoff.expires_at)
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
            case FindCutoff():
                return self._find_cutoff(question)
            case AddSession():
                return self._add_session(question)
            case FindSessionById():
                return self._find_session_by_id(question)
            case RevokeSession():
                return self._revoke_session(question)
            case FindKeyById():
                return self._find_key_by_id(question)
            case AddKey():
                self._add_key(question)
                return None
            case ChangeKey():
                return self._change_key(question)
            case ListKeys():
                return self._list_keys(question)
            case AddCutoff():
                self._put_cutoff(question.cutoff)
                return None
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
        if key.id in self._keys or key.digest in self._key_ids:
            raise ValueError("the store has a key with this id or digest already")
        self._keys[key.id] = key
        self._key_ids[key.digest] = key.id

    def _find_key(self, question: FindKey) -> KeyRecord | None:
        key_id = self._key_ids.get(question.digest)
        return None if key_id is None else self._keys[key_id]

    def _find_key_by_id(self, question: FindKeyById) -> KeyRecord | None:
        return self._keys.get(question.id)

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
        self._put_cutoff(question.cutoff)
        return key

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
        return renewed

    def _find_session(self, question: FindSession) -> FoundSession | None:
        session_id = self._session_ids.get(question.digest)
        if session_id is None:
            return None
        session = self._sessions.records[session_id]
        return FoundSession(session, self._latest(cutoff_names(session)))

    def _find_session_by_id(self, question: FindSessionById) -> SessionRecord | None:
        return self._sessions.records.get(question.id)

    def _revoke_session(self, question: RevokeSession) -> SessionRecord | None:
        session = self._sessions.records.get(question.id)
        if session is not None and session.revoked_at is None:
            session = replace(session, revoked_at=question.revoked_at)
            self._sessions.put(session.id, session)
        return session

    def _find_cutoff(self, question: FindCutoff) -> int | None:
        return self._latest(question.names)

    def _latest(self, names: tuple[str, ...]) -> int | None:
        cutoffs = self._cutoffs.records
        return max((cutoffs[name].at_ms for name in names if name in cutoffs), default=None)

    def _put_cutoff(self, cutoff: Cutoff) -> None:
        old = self._cutoffs.records.get(cutoff.name)
        if old is not None:
            at_ms, expires_at = max(old.at_ms, cutoff.at_ms), max(old.expires_at, cutoff.expires_at)
            cutoff = Cutoff(cutoff.name, at_ms, expires_at)
        self._cutoffs.put(cutoff.name, cutoff)

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
        cutoffs = self._cutoffs.purge(question.now, question.limit)
        return len(sessions) + len(asked) + len(cutoffs)
