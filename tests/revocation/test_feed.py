"""How a process learns of what was ended elsewhere, and what it does where it cannot."""

import asyncio
import gc
import logging
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from guestpass import Refused, Rule, open_store
from guestpass.concurrency.upkeep import Upkeep
from guestpass.errors import StoreUnavailable
from guestpass.records import AddCutoff, BeginEpoch, CutoffPage, Ending, Epoch, ReadCutoffs
from guestpass.revocation.feed import POLL, AwaitList, RevocationFeed, feed_of, unique
from guestpass.stores import Store
from support import START, Clock, Failing, House, Recording, Seeded, build, code_of

RULES = [Rule("GET /")]
FAR = START + 86_400


class Scripted:
    """A store whose list is what the test says."""

    def __init__(self, *pages: CutoffPage | Exception, begun: Epoch | None = None) -> None:
        self.pages = list(pages)
        self.begun = begun
        self.asked: list[Any] = []

    def answer(self, question: Any, /) -> Any:
        self.asked.append(question)
        if isinstance(question, BeginEpoch):
            return self.begun
        page = self.pages.pop(0)
        if isinstance(page, Exception):
            raise page
        return page


class Hearer:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[frozenset[str] | None] = []

    def hear(self, names: frozenset[str] | None) -> None:
        self.told.append(names)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> Iterator[Store]:
    store = open_store("memory://", clock=clock)
    yield store
    store.close()


def ending(name: str) -> AddCutoff:
    return AddCutoff(Ending(name, None, FAR))


def page(epoch: Epoch, position: int, reached: int | None = None) -> CutoffPage:
    return CutoffPage(epoch, position, position if reached is None else reached, ())


# --- reading ---------------------------------------------------------------------------------------------------------


def test_the_whole_list_once_and_then_what_is_new(store: Store, clock: Clock) -> None:
    recording = Recording(store)
    for name in ("a", "b"):
        store.answer(ending(name))
    feed = RevocationFeed(recording, clock=clock)
    feed.read()
    assert feed.list.latest(["a", "b"]) == START * 1_000
    assert feed.complete_at == START
    store.answer(ending("c"))
    feed.read()
    assert [question.after for question in recording.asked if isinstance(question, ReadCutoffs)] == [0, 2]
    assert feed.list.latest(["c"]) is not None


def test_a_long_list_is_read_page_by_page_and_is_complete_only_then(store: Store, clock: Clock) -> None:
    class Short(Recording):
        def answer(self, question: Any, /) -> Any:
            return super().answer(ReadCutoffs(question.after, 2) if isinstance(question, ReadCutoffs) else question)

    recording = Short(store)
    for number in range(5):
        store.answer(ending(str(number)))
    feed = RevocationFeed(recording, clock=clock)
    seen: list[float] = []
    recording.before[ReadCutoffs] = lambda: seen.append(feed.complete_at)
    feed.read()
    assert recording.count(ReadCutoffs) == 3
    assert seen == [float("-inf")]
    assert len(feed.list) == 5


def test_who_hears_is_told_after_every_reading_and_not_kept_alive(store: Store, clock: Clock) -> None:
    feed, hearer = RevocationFeed(store, clock=clock), Hearer()
    feed.subscribe(hearer.hear)
    feed.read()
    assert hearer.told == [frozenset()]
    store.answer(ending("a"))
    feed.read()
    assert hearer.told[1:] == [frozenset({"a"}), frozenset()]
    gone = weakref.ref(hearer)
    del hearer
    gc.collect()
    assert gone() is None
    feed.read()


def test_a_hearer_that_fails_keeps_nobody_else_from_hearing(
    store: Store, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    class Deaf:
        def hear(self, names: frozenset[str] | None) -> None:
            raise RuntimeError("deaf")

    feed, deaf, hearer = RevocationFeed(store, clock=clock), Deaf(), Hearer()
    feed.subscribe(deaf.hear)
    feed.subscribe(hearer.hear)
    feed.read()
    assert hearer.told == [frozenset()]
    assert "hearer" in caplog.text


def test_what_this_process_ends_counts_without_a_reading(store: Store, clock: Clock) -> None:
    feed, hearer = RevocationFeed(store, clock=clock), Hearer()
    feed.subscribe(hearer.hear)
    feed.note(store.answer(ending("a")))
    assert feed.list.latest(["a"]) is not None
    assert hearer.told == [frozenset({"a"})]
    feed.note()
    assert hearer.told == [frozenset({"a"})]


def test_what_need_not_be_remembered_is_dropped_in_the_end(store: Store, clock: Clock) -> None:
    feed = RevocationFeed(store, clock=clock)
    store.answer(AddCutoff(Ending("a", None, START + 100)))
    feed.read()
    clock.advance(101)
    feed.read()
    assert len(feed.list) == 0


# --- a list that shrinks ---------------------------------------------------------------------------------------------

ONE, TWO = Epoch("one", 1, after_loss=False), Epoch("two", 2, after_loss=True)


@pytest.mark.parametrize(
    ("then", "begins"),
    [
        (page(ONE, 4), True),  # it went back: a failover to an older copy
        (page(Epoch("new", 5, after_loss=False), 0), True),  # it vanished, and nobody has said so yet
        (page(TWO, 0), False),  # it vanished, and another process has said so
    ],
)
def test_a_list_that_was_lost_begins_another_epoch(
    then: CutoffPage, begins: bool, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    scripted = Scripted(page(ONE, 5), then, page(TWO, 0), begun=TWO)
    feed, hearer = RevocationFeed(scripted, clock=clock), Hearer()
    feed.subscribe(hearer.hear)
    feed.read()
    feed.read()
    assert [question for question in scripted.asked if isinstance(question, BeginEpoch)] == (
        [BeginEpoch(then.epoch.id)] if begins else []
    )
    assert feed.list.epoch == TWO
    assert None in hearer.told
    assert ("revocations_lost" in caplog.text) is begins


def test_a_list_that_keeps_changing_its_epoch_is_not_complete(clock: Clock) -> None:
    restless = [page(Epoch(str(number), number, after_loss=True), 0) for number in range(9)]
    feed = RevocationFeed(Scripted(*restless), clock=clock)
    feed.read()
    clock.advance(1)
    with pytest.raises(StoreUnavailable, match="keeps changing"):
        feed.read()
    assert feed.complete_at == float("-inf")


def test_a_store_that_forgets_everything_refuses_what_was_issued_before() -> None:
    clock = Clock()
    stores = [open_store("memory://", clock=clock) for _ in range(2)]

    class Switching(Recording):
        """A store behind a name: what answers is exchanged under it."""

    switching = Switching(stores[0])
    house = build(RULES, store=switching, clock=clock)
    clock.advance(1)
    by = house.minter()
    token, other = house.signer.sign(by=by).jwt, house.signer.sign(by=by).jwt
    assert house.guard.check(token).kind == "signed_token"
    clock.advance(1)
    # The signing keys are still there, so that only the list can tell.
    for key in stores[0].answer(_signing_keys()):
        stores[1].answer(_add(key))
    switching.store = stores[1]
    feed_of(switching).read()
    for text in (token, other):
        assert code_of(partial(house.guard.check, text)) == "token_revoked"
    for one in stores:
        one.close()


def _signing_keys() -> Any:
    from guestpass.records import ListSigningKeys

    return ListSigningKeys()


def _add(key: Any) -> Any:
    from guestpass.records import AddSigningKey

    return AddSigningKey(key)


# --- outages ---------------------------------------------------------------------------------------------------------


def test_without_a_list_sessions_are_asked_of_the_store_and_tokens_are_503() -> None:
    store = Recording(open_store("memory://"))
    house = build(RULES, store=store)
    session, token, key = house.session(), house.token(), house.key()

    def fail() -> None:
        store.before[ReadCutoffs] = fail
        raise StoreUnavailable("the list is out of reach")

    fail_on(store, fail)
    for text in (session, token, key):
        house.guard.check(text)
    house.clock.advance(9)
    for text in (session, token, key):
        house.guard.check(text)
    house.clock.advance(2)
    assert house.guard.check(session).kind == "account_session"
    assert house.guard.check(key).kind == "secret_key"
    assert code_of(lambda: house.guard.check(token)) == "store_unavailable"
    # Ended meanwhile elsewhere: the store says so.
    store.store.answer(ending("account:plat:acct_1"))
    assert code_of(lambda: house.guard.check(session)) == "session_revoked"
    # And as soon as it can be read again, everybody goes on.
    del store.before[ReadCutoffs]
    feed_of(store).read()
    assert code_of(lambda: house.guard.check(token)) == "token_revoked"
    house.clock.advance(1)
    assert house.guard.check(house.token("acct_2")).kind == "signed_token"


def fail_on(store: Recording, fail: Callable[[], None]) -> None:
    store.before[ReadCutoffs] = fail


def test_a_clock_that_is_set_back_makes_no_old_list_new() -> None:
    store = Recording(open_store("memory://"))
    clock, timer = Clock(), Clock(0.0)
    feed = RevocationFeed(store, clock=clock, timer=timer)
    from guestpass.revocation.endings import Endings

    endings = Endings([feed], 10.0, clock, lambda _: None)
    feed.read()
    assert endings.trusted_until == START + 10
    clock.advance(-3_600)
    timer.advance(10)
    feed.note()
    endings._heard(frozenset())
    assert endings.trusted_until < clock()


def test_a_failure_is_told_once_and_its_end_too(caplog: pytest.LogCaptureFixture, clock: Clock) -> None:
    caplog.set_level(logging.INFO, "guestpass")
    fine = page(ONE, 0)
    gone = [StoreUnavailable("gone") for _ in range(3)]
    timer = Clock(0.0)
    feed = RevocationFeed(Scripted(fine, *gone, fine, fine), clock=clock, timer=timer)
    for _ in range(6):
        timer.advance(10)
        feed.answer(AwaitList())
    said = [record.getMessage() for record in caplog.records]
    assert said == ["the list of revocations could not be read: gone", "the list of revocations can be read again"]


def test_what_is_unforeseen_is_logged_whole(caplog: pytest.LogCaptureFixture, clock: Clock) -> None:
    feed = RevocationFeed(Failing(RuntimeError("boom")), clock=clock, timer=Clock(10.0))
    feed.answer(AwaitList())
    assert "boom" in caplog.text
    assert feed.complete_at == float("-inf")


def test_after_a_failure_nobody_waits(clock: Clock) -> None:
    scripted = Scripted(StoreUnavailable("gone"), page(ONE, 0))
    timer = Clock(0.0)
    feed = RevocationFeed(scripted, clock=clock, timer=timer)
    feed.answer(AwaitList())
    for _ in range(50):
        feed.answer(AwaitList())
        asyncio.run(feed.answer_async(AwaitList()))
    assert len(scripted.asked) == 1
    timer.advance(2)
    feed.answer(AwaitList())
    assert len(scripted.asked) == 2


def test_however_many_wait_one_reads(store: Store, clock: Clock) -> None:
    recording, gate = Recording(store), threading.Event()
    feed = RevocationFeed(recording, clock=clock)
    recording.before[ReadCutoffs] = lambda: bool(gate.wait(10))
    waiting = [threading.Thread(target=feed.answer, args=(AwaitList(),)) for _ in range(50)]
    for thread in waiting:
        thread.start()
    gate.set()
    for thread in waiting:
        thread.join()
    feed.poll()
    assert recording.count(ReadCutoffs) <= 3


@pytest.mark.anyio
async def test_an_event_loop_waits_without_a_thread(anyio_backend_name: str) -> None:
    store = Recording(open_store("memory://"))
    house = build(RULES, store=store)
    token = house.token()
    house.clock.advance(100)
    assert (await house.guard.check_async(token)).kind == "signed_token"


def test_it_answers_nothing_else(store: Store) -> None:
    with pytest.raises(TypeError, match="cannot answer"):
        RevocationFeed(store).answer(ending("a"))


def test_without_a_thread_to_read_in_nobody_waits(store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_: object) -> None:
        raise RuntimeError("can't start new thread")

    feed = RevocationFeed(store, clock=clock)
    monkeypatch.setattr(threading.Thread, "start", none)
    feed.answer(AwaitList())
    assert feed.complete_at == float("-inf")


# --- one for each store ----------------------------------------------------------------------------------------------


def test_one_feed_for_each_store(store: Store, clock: Clock) -> None:
    other = open_store("memory://")
    one = feed_of(store, clock)
    assert feed_of(store) is one
    assert feed_of(other) is not one
    assert unique([one, None, one, object(), feed_of(other)])[0] is one
    other.close()


def test_upkeep_reads_twice_a_second_for_as_long_as_anybody_cares(store: Store) -> None:
    now, timer = Clock(), Clock(0.0)
    upkeep, recording = Upkeep(timer), Recording(store)
    feed = RevocationFeed(recording, clock=now, timer=timer, upkeep=upkeep)
    for _ in range(3):
        timer.advance(POLL)
        upkeep.run_due(timer())
        feed.answer(AwaitList())
    assert recording.count(ReadCutoffs) >= 3
    del feed
    gc.collect()
    before = recording.count(ReadCutoffs)
    upkeep.run_due(timer() + 10)
    assert recording.count(ReadCutoffs) == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="os.fork")
@pytest.mark.filterwarnings("ignore:This process")
def test_a_forked_child_reads_for_itself(store: Store, clock: Clock) -> None:
    recording, gate = Recording(store), threading.Event()
    feed = RevocationFeed(recording, clock=clock)
    recording.before[ReadCutoffs] = lambda: bool(gate.wait(10))
    feed.poll()
    child = os.fork()
    if child == 0:
        recording.before.clear()
        feed.answer(AwaitList())
        os._exit(0 if feed.complete_at == START else 1)
    gate.set()
    assert os.waitpid(child, 0)[1] == 0
    assert feed.answer(AwaitList()) is None


def test_keys_in_one_store_and_sessions_in_another_end_together() -> None:
    from guestpass import AccountSessions, ApiKeys, Guard
    from support import policy

    clock, chance = Clock(), Seeded()
    keys_in, sessions_in = (open_store("memory://", clock=clock) for _ in range(2))
    keys = ApiKeys(keys_in, owns=lambda *_: True, clock=clock, randomness=chance)
    sessions = AccountSessions(sessions_in, clock=clock, randomness=chance)
    guard = Guard(authenticators=[keys, sessions], policy=policy(*RULES), mode="live", clock=clock)
    made = keys.create(platform="plat", mode="live")
    secret = sessions.create(by=guard.check(made.secret), account="acct_1").client_secret
    guard.check(secret)
    keys.revoke(made.id)
    with pytest.raises(Refused, match="session_revoked"):
        guard.check(secret)
    for one in (keys_in, sessions_in):
        one.close()


def test_a_guard_of_one_store_ends_things_there(house: House) -> None:
    house.guard.revocations.account("plat", "acct_1")
    assert feed_of(house.store).list.latest(["account:plat:acct_1"]) is not None


@pytest.fixture
def house() -> House:
    return build(RULES)


def test_the_first_look_up_has_the_list_read_without_waiting_for_it() -> None:
    from guestpass import AccountSessions, ApiKeys, Guard
    from guestpass.records import FindSession
    from support import policy

    clock, chance = Clock(), Seeded()
    store = Recording(open_store("memory://", clock=clock))
    keys = ApiKeys(store, owns=lambda *_: True, clock=clock, randomness=chance)
    sessions = AccountSessions(store, clock=clock, randomness=chance)
    guard = Guard(authenticators=[keys, sessions], policy=policy(*RULES), mode="live", clock=clock)
    by = guard.check(keys.create(platform="plat", mode="live").secret)
    secret = sessions.create(by=by, account="acct_1").client_secret
    read = threading.Event()
    store.after[ReadCutoffs] = read.set
    guard.check(secret)
    assert read.wait(10)
    feed_of(store).answer(AwaitList())
    before = store.count(FindSession)
    guard.check(secret)
    guard.check(secret)
    assert store.count(FindSession) <= before + 1
