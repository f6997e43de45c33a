"""When a credential is renewed, by whom, and what the others do meanwhile."""

import logging
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.scripted import LONG
from guestpass.client import Bearer, ClientError, IssuedSession, IssuedToken
from guestpass.client.bearers import as_bearer
from guestpass.client.refresh import _IN_A_THREAD
from guestpass.client.renewing import Flight, Held, Renewals, renew_after
from guestpass.concurrency.coroutines import run_plain
from support import Clock, build

USER = "a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d"


@dataclass
class Mint:
    """A refresh callback: each credential has a number. It fails while it is told to."""

    lifetime: float | None = 3_600
    asked: list[str | None] = field(default_factory=list)
    failing: Exception | None = None
    before: Callable[[], object] = lambda: None

    def __call__(self, entity_id: str | None) -> Bearer:
        self.asked.append(entity_id)
        number = len(self.asked)
        self.before()
        if self.failing is not None:
            raise self.failing
        return Bearer(f"cred-{number}", self.lifetime)


@pytest.fixture
def mint() -> Mint:
    return Mint()


def renewals(mint: Callable[..., Any], clock: Clock, **settings: Any) -> Renewals:
    return Renewals(mint, **{"initial": None, "entity_id": None, "wait": LONG, "clock": clock, **settings})


def obtain(held_by: Renewals, refused: Held | None = None) -> Held:
    return run_plain(held_by.obtain(_IN_A_THREAD, refused))


@pytest.mark.parametrize(
    ("lifetime", "after"), [(3_600, 3_300), (86_400, 86_100), (1_500, 1_200), (1_499, 1_199.2), (300, 240), (60, 48)]
)
def test_when_a_credential_is_due(lifetime: float, after: float) -> None:
    assert renew_after(lifetime) == pytest.approx(after)


@given(st.floats(0.001, 1e6), st.floats(0.001, 1e6))
def test_it_is_due_before_its_end_and_a_longer_one_not_sooner(one: float, other: float) -> None:
    shorter, longer = sorted((one, other))
    assert 0 < renew_after(shorter) < shorter
    assert renew_after(shorter) <= renew_after(longer) + 1e-9


def test_one_is_used_until_it_is_due(mint: Mint, clock: Clock) -> None:
    held_by = renewals(mint, clock)
    assert [obtain(held_by).text for _ in range(3)] == ["cred-1"] * 3
    clock.advance(3_299.9)
    assert obtain(held_by).text == "cred-1"
    clock.advance(0.1)
    assert [obtain(held_by).text for _ in range(3)] == ["cred-2"] * 3
    # Counted from the new one's own receipt.
    clock.advance(3_299.9)
    assert obtain(held_by).text == "cred-2"


def test_one_whose_end_is_not_known_is_never_due(mint: Mint, clock: Clock) -> None:
    mint.lifetime = None
    held_by = renewals(mint, clock)
    obtain(held_by)
    clock.advance(1e9)
    assert obtain(held_by).text == "cred-1"


def test_an_initial_one_counts_from_its_own_receipt(mint: Mint, clock: Clock) -> None:
    received_then = Bearer("given", 3_600, None, clock() - 3_299)
    held_by = renewals(mint, clock, initial=received_then)
    assert obtain(held_by).text == "given"
    clock.advance(1)
    assert obtain(held_by).text == "cred-1"


def test_an_early_renewal_that_fails_does_no_harm(mint: Mint, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    held_by = renewals(mint, clock)
    obtain(held_by)
    clock.advance(3_300)
    mint.failing = ConnectionError("cs_live_secret")
    for _ in range(3):
        assert obtain(held_by).text == "cred-1"
    assert len(mint.asked) == 2
    assert [one.levelno for one in caplog.records] == [logging.WARNING]
    assert "ConnectionError" in caplog.text
    assert "cs_live" not in caplog.text
    # Not again within 30 seconds,
    clock.advance(29.9)
    obtain(held_by)
    assert len(mint.asked) == 2
    clock.advance(0.1)
    obtain(held_by)
    assert len(mint.asked) == 3
    # and from its end on there is none.
    clock.advance(270)
    with pytest.raises(ClientError) as raised:
        obtain(held_by)
    assert raised.value.code == "REFRESH_FAILED"
    assert raised.value.__cause__ is mint.failing
    mint.failing = None
    assert obtain(held_by).text == f"cred-{len(mint.asked)}"


def test_a_short_one_is_renewed_at_its_end_though_an_early_try_was_just_made(mint: Mint, clock: Clock) -> None:
    mint.lifetime = 60
    held_by = renewals(mint, clock)
    obtain(held_by)
    clock.advance(48)
    mint.failing = ConnectionError()
    assert obtain(held_by).text == "cred-1"
    clock.advance(12)
    mint.failing = None
    assert obtain(held_by).text == "cred-3"


def test_a_spare_one_that_ends_while_the_renewal_fails_is_not_used(mint: Mint, clock: Clock) -> None:
    held_by = renewals(mint, clock)
    obtain(held_by)
    clock.advance(3_599)
    mint.failing, mint.before = ConnectionError(), lambda: clock.advance(5)
    with pytest.raises(ClientError):
        obtain(held_by)


def test_a_refused_one_is_renewed_once_for_all_who_used_it(mint: Mint, clock: Clock) -> None:
    held_by = renewals(mint, clock)
    first = obtain(held_by)
    second = obtain(held_by, refused=first)
    assert second.text == "cred-2"
    # Whoever comes late with the same refused one gets what is there by now.
    assert obtain(held_by, refused=first) is second
    assert obtain(held_by) is second
    assert len(mint.asked) == 2


def test_renewing_what_is_refused_again_is_given_up_for_a_while(mint: Mint, clock: Clock) -> None:
    held_by = renewals(mint, clock)
    first = obtain(held_by)
    assert not held_by.is_vain(first)
    second = obtain(held_by, refused=first)
    held_by.in_vain(second)
    assert held_by.is_vain(second)
    assert not held_by.is_vain(first)
    clock.advance(30)
    assert not held_by.is_vain(second)


def test_the_entity_id_is_kept(clock: Clock) -> None:
    asked: list[str | None] = []

    def refresh(entity_id: str | None) -> Bearer:
        asked.append(entity_id)
        return Bearer(f"token-{len(asked)}", 3_600, USER.upper() if len(asked) < 3 else "another")

    held_by = renewals(refresh, clock)
    first = obtain(held_by)
    second = obtain(held_by, refused=first)
    assert asked == [None, USER]
    with pytest.raises(ClientError) as raised:
        obtain(held_by, refused=second)
    assert raised.value.code == "REFRESH_FAILED"
    assert "another entity id" in str(raised.value.__cause__)
    assert held_by.entity_id == USER
    # One that does not say whose it is (a text that is no JWT, or a session) is taken as it is.
    assert renewals(lambda _: "opaque", clock, entity_id=USER.upper()).entity_id == USER


def test_only_of_a_uuid_the_case_says_nothing(clock: Clock) -> None:
    asked: list[str | None] = []

    def refresh(entity_id: str | None) -> Bearer:
        asked.append(entity_id)
        return Bearer(f"token-{len(asked)}", 3_600, "google|AbC" if len(asked) < 3 else "google|abc")

    held_by = renewals(refresh, clock)
    second = obtain(held_by, refused=obtain(held_by))
    assert asked == [None, "google|AbC"]
    with pytest.raises(ClientError) as raised:
        obtain(held_by, refused=second)
    assert "another entity id" in str(raised.value.__cause__)


def test_a_jwt_as_a_text_says_its_own_lifetime_and_whose_it_is() -> None:
    house = build()
    signed = house.signer.sign(by=house.minter(), id=USER, expires_in=90)
    assert as_bearer(signed.jwt) == Bearer(signed.jwt, 90, USER, None)
    assert as_bearer("cs_live_x") == Bearer("cs_live_x", None, None, None)
    assert as_bearer(IssuedToken(signed.jwt, 1, USER, 90, 7.0)) == Bearer(signed.jwt, 90, USER, 7.0)
    session = IssuedSession("as_1", "acct_1", "cs_live_x", "2030-01-01T00:00:00Z", 60, {}, True, 7.0)
    assert as_bearer(session) == Bearer("cs_live_x", 60, None, 7.0)
    for bearer in (as_bearer(session), Held.of(as_bearer(session), 0.0)):
        assert "cs_live" not in repr(bearer)


@pytest.mark.parametrize(
    "answer",
    [None, 7, b"cs", {"client_secret": "cs"}, "", "a b", "a\r\nX-Evil: 1", "ü", Bearer("a\n"), Bearer("a", 0),
     Bearer("a", -1), Bearer("a", math.nan), Bearer("a", "60"), Bearer(b"a")],  # type: ignore[arg-type]
)  # fmt: skip
def test_what_is_no_credential_is_said_and_not_quoted(answer: Any, clock: Clock) -> None:
    with pytest.raises(ClientError) as raised:
        obtain(renewals(lambda _: answer, clock))
    cause = raised.value.__cause__
    assert isinstance(cause, ClientError)
    assert cause.code == "INVALID_REQUEST"
    assert "Evil" not in str(cause)
    if answer is not None:
        with pytest.raises(ClientError, match=r"Bearer|credential"):
            renewals(lambda _: "good", clock, initial=answer)


def test_threads_share_one_renewal(mint: Mint, clock: Clock) -> None:
    held_by, waiting = renewals(mint, clock), threading.Semaphore(0)
    count, got = 20, list[str]()

    class Counted:
        call = staticmethod(_IN_A_THREAD.call)

        @staticmethod
        async def wait(landed: Future[None], seconds: float, /) -> bool:
            waiting.release()
            return await _IN_A_THREAD.wait(landed, seconds)

    # The one that renews goes on once all the others wait for it.
    mint.before = lambda: [waiting.acquire(timeout=LONG) for _ in range(count - 1)]
    work = lambda: got.append(run_plain(held_by.obtain(Counted())).text)  # noqa: E731
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert got == ["cred-1"] * count
    assert mint.asked == [None]


def test_all_who_wait_learn_of_a_failure_each_in_an_error_of_its_own(mint: Mint, clock: Clock) -> None:
    held_by, began, mint.failing = renewals(mint, clock), threading.Event(), ConnectionError()
    problems: list[ClientError] = []
    waiting = threading.Event()

    class Told:
        call = staticmethod(_IN_A_THREAD.call)

        @staticmethod
        async def wait(landed: Future[None], seconds: float, /) -> bool:
            waiting.set()
            return await _IN_A_THREAD.wait(landed, seconds)

    def work(way: Any) -> None:
        try:
            run_plain(held_by.obtain(way))
        except ClientError as problem:
            problems.append(problem)

    mint.before = lambda: began.set() or waiting.wait(LONG)  # type: ignore[func-returns-value]
    leader = threading.Thread(target=work, args=(_IN_A_THREAD,))
    leader.start()
    assert began.wait(LONG)
    work(Told())
    leader.join(LONG)
    assert [problem.code for problem in problems] == ["REFRESH_FAILED"] * 2
    assert problems[0] is not problems[1]
    assert {problem.__cause__ for problem in problems} == {mint.failing}
    assert len(mint.asked) == 1


def test_others_go_on_with_the_old_one_while_it_is_renewed_early(mint: Mint, clock: Clock) -> None:
    held_by, others = renewals(mint, clock), list[str]()
    obtain(held_by)
    clock.advance(3_300)

    def meanwhile() -> None:
        thread = threading.Thread(target=lambda: others.append(obtain(held_by).text))
        thread.start()
        thread.join(LONG)

    mint.before = meanwhile
    assert obtain(held_by).text == "cred-2"
    assert others == ["cred-1"]


def test_a_callback_that_uses_its_own_credential_is_told_so_instead_of_waiting_for_itself(clock: Clock) -> None:
    held_by: Renewals = renewals(lambda _: obtain(held_by).text, clock)
    with pytest.raises(ClientError) as raised:
        obtain(held_by)
    assert "give it another client" in str(raised.value.__cause__)


def test_what_a_callback_leaves_behind_is_not_inside_it_for_ever(mint: Mint, clock: Clock) -> None:
    held_by = renewals(mint, clock)
    contexts: list[Context] = []
    mint.before = lambda: contexts.append(copy_context())
    first = obtain(held_by)
    # As a task that the callback began; later on it waits for somebody else's renewal.
    others: list[str] = []

    def begin() -> None:
        late = threading.Thread(target=lambda: others.append(contexts[0].run(obtain, held_by, first).text))
        late.start()
        threads.append(late)
        time.sleep(0.05)

    threads: list[threading.Thread] = []
    mint.before = begin
    obtain(held_by, refused=first)
    for thread in threads:
        thread.join(LONG)
    assert others == ["cred-2"]


def test_a_forked_child_waits_for_nobody_who_stayed_behind(mint: Mint, clock: Clock) -> None:
    held_by = renewals(mint, clock)
    # What the child's hook does, here: a real fork with threads is what the operating system warns of.
    held_by._lock.acquire()
    held_by._flight = Flight()
    held_by.after_fork()
    assert obtain(held_by).text == "cred-1"


def test_a_renewal_that_never_ends_is_given_up_and_comes_too_late(mint: Mint, clock: Clock) -> None:
    """As a thread that hangs, or one that stayed behind where this process was forked from."""
    held_by, began, end = renewals(mint, clock, wait=0.01), threading.Event(), threading.Event()
    mint.before = lambda: began.set() or end.wait(LONG)  # type: ignore[func-returns-value]
    late: list[str] = []
    hanging = threading.Thread(target=lambda: late.append(obtain(held_by).text))
    hanging.start()
    assert began.wait(LONG)
    with pytest.raises(ClientError, match=r"within 0\.01 s"):
        obtain(held_by)
    mint.before = lambda: None
    assert obtain(held_by).text == "cred-2"
    end.set()
    hanging.join(LONG)
    assert late == ["cred-1"]
    assert obtain(held_by).text == "cred-2"


def test_one_who_is_stopped_while_renewing_leaves_it_to_the_next(mint: Mint, clock: Clock) -> None:
    held_by = renewals(mint, clock)

    def stop() -> None:
        raise KeyboardInterrupt

    mint.before = stop
    with pytest.raises(KeyboardInterrupt):
        obtain(held_by)
    mint.before = lambda: None
    assert obtain(held_by).text == "cred-2"
