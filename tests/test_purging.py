"""Dropping what has ended, a batch at a time, without stopping anybody."""

import threading
from typing import Any

from guestpass import StoreUnavailable, open_store
from guestpass.purging import BATCHES, KEPT, Purger
from guestpass.records import FindSessionById, Purge
from support import Clock, Failing, Recording, build


def test_what_ended_is_kept_a_day_and_then_dropped() -> None:
    house = build()
    made = house.sessions.create(by=house.minter(), account="acct_1", expires_in=60)
    purger = Purger(house.store, house.clock)
    house.clock.advance(60 + KEPT)
    assert purger.run() == 0
    assert house.store.answer(FindSessionById(made.id)) is not None
    house.clock.advance(1)
    assert purger.run() == 1
    assert house.store.answer(FindSessionById(made.id)) is None
    assert purger.run() == 0


class Endless(Recording):
    """A store that always has more to drop."""

    def answer(self, question: Any, /) -> Any:
        self.asked.append(question)
        return question.limit


def test_a_round_has_an_end() -> None:
    store = Endless(open_store("memory://"))
    assert Purger(store, Clock()).run() == BATCHES * Purge(0, 0).limit
    assert store.count(Purge) == BATCHES


def test_a_store_out_of_reach_waits_for_the_next_round() -> None:
    assert Purger(Failing(StoreUnavailable("gone")), Clock()).run() == 0


def test_a_round_starts_a_thread_and_never_two_at_once() -> None:
    entered, released = threading.Event(), threading.Event()

    class Slow(Recording):
        def answer(self, question: Any, /) -> Any:
            entered.set()
            released.wait(5)
            return super().answer(question)

    store = Slow(open_store("memory://"))
    purger = Purger(store, Clock())
    purger.work()
    assert entered.wait(5)
    assert purger.run() == 0
    released.set()
    for thread in threading.enumerate():
        if thread.name == "guestpass-purge":
            thread.join(5)
    assert store.count(Purge) == 1
