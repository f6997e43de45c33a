"""The part of a store's contract that takes many threads at once."""

import math
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import TypeVar

from guestpass.records import (
    AddCutoff,
    AddKey,
    AddSession,
    AddSigningKey,
    ChangeKey,
    Conflict,
    Cutoff,
    FindCutoff,
    FindSession,
    FindSessionById,
    KeyRecord,
    ListSigningKeys,
    Purge,
    RevokeSession,
    SessionRecord,
)
from guestpass.stores import Store

from .samples import HOUR, NEVER, NOW, NOW_MS, asked, key, session, signing_key

A = TypeVar("A")
B = TypeVar("B")


def at_once(work: Callable[[A], B], inputs: Iterable[A], *, threads: int = 8) -> list[B]:
    """What `work` makes of each input, in several threads."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, inputs))


class CrowdContract:
    """What holds whoever else is asking."""

    def test_the_same_request_from_all_sides_makes_one_session(self, store: Store) -> None:
        numbers = count()

        def ask(request: int) -> SessionRecord | Conflict:
            return store.answer(AddSession(session(str(next(numbers))), asked(str(request))))

        answers = at_once(ask, [request for request in range(12) for _ in range(8)])
        made: dict[int, set[str]] = {}
        for position, answer in enumerate(answers):
            assert isinstance(answer, SessionRecord)
            made.setdefault(position // 8, set()).add(answer.id)
        assert all(len(ids) == 1 for ids in made.values())
        assert store.answer(Purge(NEVER, math.inf)) == 12

    def test_different_bodies_from_all_sides_make_one_session(self, store: Store) -> None:
        def ask(number: int) -> SessionRecord | Conflict:
            return store.answer(AddSession(session(str(number)), asked(body=str(number))))

        answers = at_once(ask, range(24))
        assert len([answer for answer in answers if answer != Conflict()]) == 1
        assert store.answer(Purge(NEVER, math.inf)) == 1

    def test_what_is_acknowledged_is_there_for_all(self, store: Store) -> None:
        def work(number: int) -> None:
            one = session(str(number), account=f"acct_{number % 3}")
            store.answer(AddSession(one))
            assert store.answer(FindSession(one.digest)) is not None
            store.answer(AddCutoff(Cutoff("sub:x", NOW_MS + number, NOW)))
            assert (store.answer(FindCutoff(("sub:x",))) or 0) >= NOW_MS + number
            store.answer(RevokeSession(one.id, NOW))
            found = store.answer(FindSessionById(one.id))
            assert found is not None
            assert found.revoked_at == NOW

        at_once(work, range(120))
        assert store.answer(FindCutoff(("sub:x",))) == NOW_MS + 119

    def test_one_of_many_gets_a_serial(self, store: Store) -> None:
        won = at_once(lambda number: store.answer(AddSigningKey(signing_key(str(number)))), range(16))
        assert won.count(True) == 1
        assert len(store.answer(ListSigningKeys())) == 1

    def test_one_of_many_revocations_is_first(self, store: Store) -> None:
        store.answer(AddKey(key()))

        def revoke(number: int) -> KeyRecord | None:
            cutoff = Cutoff("key:key_k", NOW_MS + number, NOW + number)
            return store.answer(ChangeKey("key_k", cutoff, revoked_at=NOW + number))

        answers = at_once(revoke, range(16))
        assert len({answer.revoked_at for answer in answers if answer is not None}) == 1
        assert store.answer(FindCutoff(("key:key_k",))) == NOW_MS + 15

    def test_a_purge_takes_nothing_from_those_who_write(self, store: Store) -> None:
        def work(number: int) -> int:
            if number % 8 == 0:
                return store.answer(Purge(NOW, NOW, limit=10))
            ended = session(f"{number} ended", expires_at=NOW - 1)
            live = session(f"{number} live")
            store.answer(AddSession(ended, asked(f"{number} ended", expires_at=NOW - 1)))
            assert store.answer(AddSession(live, asked(f"{number} live"))) == live
            store.answer(AddCutoff(Cutoff("moving", NOW_MS + number, NOW - 1 if number < 100 else NOW + HOUR)))
            return 0

        went = sum(at_once(work, range(160)))
        while more := store.answer(Purge(NOW, NOW, limit=50)):
            went += more
        live = [number for number in range(160) if number % 8]
        assert went >= 2 * len(live)
        assert all(store.answer(FindSessionById(f"as_{number} live")) for number in live)
        assert not any(store.answer(FindSessionById(f"as_{number} ended")) for number in live)
        assert store.answer(FindCutoff(("moving",))) is not None
