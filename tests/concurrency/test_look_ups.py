"""Look-ups under way: bounded, and one for each credential."""

import threading
from typing import Any

import anyio
import pytest

from guestpass import Refused, Rule, open_store
from guestpass.concurrency.look_ups import AwaitLanding, LookUps, NoPlace, _UnderWay
from guestpass.inquiry import Ask, Question, ask, drive, drive_async
from guestpass.records import FindKeyById, FindSession
from support import Recording, build, code_of

RULES = [Rule("GET /")]


class Counting:
    """Answers with how often it was asked, once it may."""

    def __init__(self) -> None:
        self.asked = 0
        self.may = threading.Event()

    def answer(self, question: Question[Any], /) -> Any:
        self.asked += 1
        number = self.asked
        assert self.may.wait(10)
        return number


def look(of: Counting) -> Any:
    return ask(of, FindKeyById("x"))


def test_whoever_comes_while_a_look_up_is_under_way_takes_what_it_finds() -> None:
    look_ups, store, found = LookUps[int](1), Counting(), list[int]()

    def work() -> None:
        found.append(drive(look_ups.run(look(store), key=b"k", known=False, seen=0)))

    threads = [threading.Thread(target=work) for _ in range(40)]
    for thread in threads:
        thread.start()
    store.may.set()
    for thread in threads:
        thread.join()
    assert len(found) == 40
    assert len(set(found)) == store.asked


@pytest.mark.anyio
async def test_on_an_event_loop_too() -> None:
    look_ups, store, found = LookUps[int](1), Counting(), list[int]()

    async def work() -> None:
        found.append(await drive_async(look_ups.run(look(store), key=b"k", known=False, seen=0)))

    async with anyio.create_task_group() as tasks:
        for _ in range(200):
            tasks.start_soon(work)
        await anyio.wait_all_tasks_blocked()
        store.may.set()
    assert found == [1] * 200


def test_nobody_takes_over_what_may_have_been_looked_up_before_something_he_has_heard_of() -> None:
    look_ups, store = LookUps[int](4), Counting()
    store.may.set()
    leading = look_ups.run(look(store), key=b"k", known=False, seen=0)
    assert isinstance(next(leading), Ask)
    assert drive(look_ups.run(look(store), key=b"k", known=False, seen=1)) == 1
    with pytest.raises(StopIteration) as end:
        leading.send(7)
    assert end.value.value == 7


@pytest.mark.parametrize("end", ["given up", "failed"])
def test_one_that_finds_nothing_is_followed_by_the_next(end: str) -> None:
    look_ups, store = LookUps[int](4), Counting()
    store.may.set()
    leading = look_ups.run(look(store), key=b"k", known=False, seen=0)
    next(leading)
    following = look_ups.run(look(store), key=b"k", known=False, seen=0)
    waiting = next(following)
    assert isinstance(waiting.of, _UnderWay)
    if end == "given up":
        leading.close()
    else:
        with pytest.raises(OSError, match="disk"):
            leading.throw(OSError("disk"))
    waiting.of.answer(waiting.question)
    asked = following.send(None)
    assert asked.of is store


def test_one_that_stands_still_holds_up_nobody_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guestpass.concurrency.look_ups.PATIENCE", 0.001)
    look_ups, store = LookUps[int](4), Counting()
    store.may.set()
    leading = look_ups.run(look(store), key=b"k", known=False, seen=0)
    next(leading)
    assert drive(look_ups.run(look(store), key=b"k", known=False, seen=0)) == 1
    leading.close()


@pytest.mark.anyio
async def test_who_is_cancelled_while_he_waits_cancels_nobody_else() -> None:
    look_ups, store, found = LookUps[int](1), Counting(), list[int]()

    async def work(scope: anyio.CancelScope | None = None) -> None:
        with scope or anyio.CancelScope():
            found.append(await drive_async(look_ups.run(look(store), key=b"k", known=False, seen=0)))

    given_up = anyio.CancelScope()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work)
        tasks.start_soon(work, given_up)
        tasks.start_soon(work)
        await anyio.wait_all_tasks_blocked()
        given_up.cancel()
        store.may.set()
    # On trio a thread waits, which nobody can call back; then it has found something too.
    assert found in ([1, 1], [1, 1, 1])


def test_strangers_are_bounded_and_never_keep_out_who_was_here() -> None:
    look_ups, store = LookUps[int](1), Counting()
    store.may.set()
    stranger = look_ups.run(look(store), key=b"a", known=False, seen=0)
    next(stranger)
    with pytest.raises(NoPlace):
        drive(look_ups.run(look(store), key=b"b", known=False, seen=0))
    assert drive(look_ups.run(look(store), key=b"c", known=True, seen=0)) == 1
    with pytest.raises(NoPlace):
        drive(look_ups.run(look(store), key=None, known=False, seen=0))
    stranger.close()
    assert drive(look_ups.run(look(store), key=None, known=False, seen=0)) == 2


def test_it_answers_nothing_else() -> None:
    with pytest.raises(TypeError, match="cannot answer"):
        _UnderWay[int](0).answer(FindKeyById("x"))


def test_what_has_landed_keeps_nobody_waiting() -> None:
    landed = _UnderWay[int](0)
    landed.land()
    landed.answer(AwaitLanding())


# --- through a guard -------------------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize("valid", [True, False])
async def test_a_page_that_begins_with_many_requests_costs_one_look_up(valid: bool) -> None:
    store = Recording(open_store("memory://"))
    house = build(RULES, store=store)
    secret = house.session() if valid else build(RULES, seed=9).session()
    gate, outcomes = threading.Event(), list[str]()
    store.before[FindSession] = lambda: bool(gate.wait(10))

    async def request() -> None:
        try:
            outcomes.append((await house.guard.check_async(secret)).kind)
        except Refused as refused:
            outcomes.append(refused.code)

    async with anyio.create_task_group() as tasks:
        for _ in range(100):
            tasks.start_soon(request)
        await anyio.wait_all_tasks_blocked()
        gate.set()
    assert outcomes == ["account_session" if valid else "credential_invalid"] * 100
    assert store.count(FindSession) == 1


def test_who_comes_after_a_revocation_takes_nothing_over_from_before_it() -> None:
    store = Recording(open_store("memory://"))
    house = build(RULES, store=store)
    made = house.keys.create(platform="plat", mode="live")
    started, gate = threading.Event(), threading.Event()
    first: list[object] = []

    def hold() -> None:
        started.set()
        assert gate.wait(10)

    from guestpass.records import FindKey

    store.after[FindKey] = hold
    thread = threading.Thread(target=lambda: first.append(code_of(lambda: house.guard.check(made.secret))))
    thread.start()
    assert started.wait(10)
    house.keys.revoke(made.id)
    assert code_of(lambda: house.guard.check(made.secret)) == "key_revoked"
    gate.set()
    thread.join()
    assert first == ["key_revoked"]
    assert code_of(lambda: house.guard.check(made.secret)) == "key_revoked"
