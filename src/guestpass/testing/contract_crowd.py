"""A store's contract: what holds while many threads ask at once."""

import math
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from typing import TypeVar

from guestpass.records import (
    AddCutoff,
    AddKey,
    AddSession,
    AddSigningKey,
    BeginEpoch,
    ChangeKey,
    Conflict,
    Ending,
    FindCutoff,
    FindKey,
    FindKeyById,
    FindMinter,
    FindSession,
    FindSessionById,
    KeyRecord,
    ListSigningKeys,
    Minter,
    NoteUses,
    Purge,
    ReadCutoffs,
    RevokeSession,
    RotateKey,
    SessionRecord,
)
from guestpass.stores import Store
from guestpass.testing.samples import HOUR, NEVER, NOW, NOW_MS, asked, digest, key, session, signing_key, some

A = TypeVar("A")
B = TypeVar("B")

ALWAYS = NOW + 10**9


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
            store.answer(AddCutoff(Ending("sub:x", NOW_MS + number, NOW)))
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
            ending = Ending("key:key_k", NOW_MS + number, NOW + number)
            return store.answer(ChangeKey("key_k", ending, revoked_at=NOW + number))

        answers = at_once(revoke, range(16))
        assert len({answer.revoked_at for answer in answers if answer is not None}) == 1
        assert store.answer(FindCutoff(("key:key_k",))) == NOW_MS + 15

    def test_one_of_many_changes_finds_the_grant_that_it_expects(self, store: Store) -> None:
        store.answer(AddKey(key()))

        def narrow(number: int) -> bool:
            grant = replace(key().grant, accounts=some(f"acct_{number}"))
            ending = Ending("key:key_k", NOW_MS + number, ALWAYS)
            changed = store.answer(ChangeKey("key_k", ending, expected=key().grant, grant=grant))
            return changed is not None and changed.grant == grant

        won = at_once(narrow, range(16))
        assert won.count(True) == 1
        assert store.answer(FindCutoff(("key:key_k",))) == NOW_MS + won.index(True)

    def test_rotations_from_all_sides_come_one_after_the_other(self, store: Store) -> None:
        store.answer(AddKey(key()))
        answers = at_once(lambda number: store.answer(RotateKey("key_k", digest(str(number)), NOW)), range(16))
        older = [answer.old_digest for answer in answers if answer is not None]
        newest = store.answer(FindKeyById("key_k"))
        assert newest is not None
        # Each took the place of another; only the last one's was not taken.
        assert {*older, newest.digest} == {key().digest, *(digest(str(number)) for number in range(16))}
        assert store.answer(FindKey(newest.digest)) == newest

    def test_uses_noted_from_all_sides_leave_the_latest(self, store: Store) -> None:
        for name in "abc":
            store.answer(AddKey(key(name)))

        def note(number: int) -> None:
            names = "abc" if number % 2 else "cba"
            store.answer(NoteUses({f"key_{name}": NOW + number for name in names}))

        at_once(note, range(32))
        keys = [store.answer(FindKeyById(f"key_{name}")) for name in "abc"]
        assert [one.last_used_at for one in keys if one is not None] == [NOW + 31] * 3

    def test_whoever_reads_the_list_misses_nothing(self, store: Store) -> None:
        """Readers go through it, page after page, while writers add, move and purge."""
        store.answer(AddSession(session()))
        done = threading.Event()
        acknowledged: dict[str, int] = {}

        def write(writer: int) -> None:
            for number in range(40):
                name = f"{writer} {number % 15}"
                kept = store.answer(AddCutoff(Ending(name, NOW_MS + number, ALWAYS)))
                acknowledged[name] = kept.at_ms
                store.answer(AddCutoff(Ending(f"{writer} gone", NOW_MS, NOW - 1)))
                if number % 10 == 0:
                    store.answer(Purge(NOW, NOW, limit=3))
                    store.answer(RevokeSession("as_s", NOW))

        def read(limit: int) -> None:
            seen: dict[str, int] = {}
            after, last = 0, False
            while True:
                last = done.is_set()
                known = dict(acknowledged)
                while True:
                    page = store.answer(ReadCutoffs(after, limit))
                    assert after <= page.reached <= page.position
                    for cutoff in page.cutoffs:
                        assert seen.get(cutoff.name, 0) <= cutoff.at_ms
                        seen[cutoff.name] = cutoff.at_ms
                    after = page.reached
                    if page.reached == page.position:
                        break
                # What was acknowledged before this reading began is in it.
                assert [name for name, at_ms in known.items() if seen.get(name, 0) < at_ms] == []
                if last:
                    assert "session:as_s" in seen
                    return

        with ThreadPoolExecutor(8) as pool:
            readers = [pool.submit(read, limit) for limit in (1, 3, 1000)]
            writers = [pool.submit(write, writer) for writer in range(4)]
            try:
                for writer in writers:
                    writer.result()
            finally:
                done.set()
            for reader in readers:
                reader.result()

    def test_what_looked_at_a_key_before_a_change_is_not_later_than_what_ended_after_it(self, store: Store) -> None:
        """So who mints from an older look ends with the change, whatever the clocks of the processes say."""
        store.answer(AddKey(key()))
        looks: list[Minter] = []
        done = threading.Event()

        def look(_: int) -> None:
            while not done.is_set():
                looks.append(store.answer(FindMinter("key_k")))

        ended: dict[float, int] = {}
        with ThreadPoolExecutor(4) as pool:
            lookers = [pool.submit(look, number) for number in range(3)]
            try:
                for number in range(30):
                    grant = replace(key().grant, expires_at=ALWAYS - number)
                    store.answer(ChangeKey("key_k", Ending("key:key_k", None, ALWAYS), grant=grant))
                    ended[grant.expires_at] = store.answer(AddCutoff(Ending("key:key_k", None, ALWAYS))).at_ms
            finally:
                done.set()
            for looker in lookers:
                looker.result()
        assert looks
        for minter in looks:
            assert minter.key is not None
            expiry = minter.key.grant.expires_at
            later = [at_ms for expires_at, at_ms in ended.items() if expires_at < expiry]
            assert all(minter.now_ms <= at_ms for at_ms in later)

    def test_one_of_many_begins_the_next_epoch(self, store: Store) -> None:
        first = store.answer(ReadCutoffs(0)).epoch
        epochs = at_once(lambda _: store.answer(BeginEpoch(first.id)), range(16))
        assert len(set(epochs)) == 1
        assert epochs[0] == store.answer(ReadCutoffs(0)).epoch != first

    def test_a_purge_takes_nothing_from_those_who_write(self, store: Store) -> None:
        def work(number: int) -> int:
            if number % 8 == 0:
                return store.answer(Purge(NOW, NOW, limit=10))
            ended = session(f"{number} ended", expires_at=NOW - 1)
            live = session(f"{number} live")
            store.answer(AddSession(ended, asked(f"{number} ended", expires_at=NOW - 1)))
            assert store.answer(AddSession(live, asked(f"{number} live"))) == live
            store.answer(AddCutoff(Ending("moving", NOW_MS + number, NOW - 1 if number < 100 else NOW + HOUR)))
            return 0

        went = sum(at_once(work, range(160)))
        while more := store.answer(Purge(NOW, NOW, limit=50)):
            went += more
        live = [number for number in range(160) if number % 8]
        assert went >= 2 * len(live)
        assert all(store.answer(FindSessionById(f"as_{number} live")) for number in live)
        assert not any(store.answer(FindSessionById(f"as_{number} ended")) for number in live)
        assert store.answer(FindCutoff(("moving",))) is not None
