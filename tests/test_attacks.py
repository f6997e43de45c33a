"""What a hostile reader tried against revocation, caches and forks, each as it would have let somebody in."""

import gc
import hashlib
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from guestpass import Principal, Refused, Rule, open_store
from guestpass.inquiry import drive_async
from guestpass.principal import SECRET_KEY
from guestpass.records import CutoffPage, Epoch, FindCutoff, FindKey, ListSigningKeys, ReadCutoffs
from guestpass.requests import Presented
from guestpass.revocation.cutoff_list import FOREVER_MS
from guestpass.revocation.feed import RevocationFeed, feed_of
from support import START, Clock, House, Recording, build, code_of

RULES = [Rule("GET /")]


@pytest.fixture
def house() -> House:
    return build(RULES)


# --- keys that sign --------------------------------------------------------------------------------------------------


def test_a_look_at_the_ring_that_began_before_a_key_was_distrusted_is_not_kept() -> None:
    store = Recording(open_store("memory://"))
    house = build(RULES, store=store)
    token, other = house.token(), house.token()
    (record,) = house.store.answer(ListSigningKeys())
    kid = record.kid
    house.clock.advance(5)
    house.ring.look_again()
    # The store has said that the key is trusted, and before that is written down it is distrusted.
    store.after[FindCutoff] = lambda: house.ring.distrust(kid)
    assert code_of(partial(house.guard.check, token)) == "token_revoked"
    for seconds in (0, 5, 600):
        house.clock.advance(seconds)
        assert code_of(partial(house.guard.check, other)) == "token_revoked"


# --- secrets that were retired ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("compromised", [True, False])
def test_a_principal_of_a_retired_secret_mints_nothing_any_more(house: House, compromised: bool) -> None:
    old = house.keys.create(platform="plat", mode="live")
    by = house.guard.check(old.secret)
    house.keys.rotate(old.id, overlap=0, compromised=compromised)
    house.clock.advance(1)
    for mint in (partial(house.sessions.create, by=by, account="acct_1"), partial(house.signer.sign, by=by)):
        with pytest.raises(Refused, match="key_revoked"):
            mint()


def test_a_principal_of_a_secret_in_its_overlap_still_mints(house: House) -> None:
    old = house.keys.create(platform="plat", mode="live")
    by = house.guard.check(old.secret)
    house.keys.rotate(old.id, overlap=60)
    assert house.sessions.create(by=by, account="acct_1").account == "acct_1"
    house.clock.advance(60)
    with pytest.raises(Refused, match="key_revoked"):
        house.sessions.create(by=by, account="acct_1")


def test_a_rotation_counts_where_its_cut_off_is_no_later_than_what_is_known(house: House) -> None:
    made = house.keys.create(platform="plat", mode="live")
    house.clock.advance(5)
    house.keys.narrow(made.id, accounts={"acct_1"})
    house.guard.check(made.secret)
    # The clock of the store is set back, so that the rotation's own cut-off changes nothing.
    house.clock.advance(-5)
    house.keys.rotate(made.id, overlap=0)
    assert code_of(partial(house.guard.check, made.secret)) == "key_expired"


def test_the_digest_of_a_secret_is_nowhere_to_be_seen(house: House) -> None:
    by = house.minter()
    assert by.secret_digest
    assert by.secret_digest.hex() not in repr(by)
    assert repr(by.secret_digest) not in repr(by)
    assert by == by.but(secret_digest=b"")


# --- stores that go back ---------------------------------------------------------------------------------------------


def test_a_copy_from_an_earlier_loss_is_a_loss_too() -> None:
    first, second, third = (Epoch(name, at, after_loss=True) for name, at in (("e1", 10), ("e2", 20), ("e3", 30)))

    class Restored:
        def __init__(self) -> None:
            self.epoch = second

        def answer(self, question: Any, /) -> Any:
            if isinstance(question, ReadCutoffs):
                return CutoffPage(self.epoch, 0, 0, ())
            self.epoch = third
            return third

    store = Restored()
    feed = RevocationFeed(store, clock=Clock())
    feed.read()
    store.epoch = first
    feed.read()
    assert feed.list.epoch == third


def test_what_is_known_to_have_ended_survives_a_store_that_forgot_it() -> None:
    clock = Clock()
    stores = [open_store("memory://", clock=clock) for _ in range(2)]
    switching = Recording(stores[0])
    house = build(RULES, store=switching, clock=clock)
    made = house.keys.create(platform="plat", mode="live")
    house.guard.check(made.secret)
    # An older copy of the store, in which the key was never revoked.
    record = stores[0].answer(FindKey(hashlib.sha256(made.secret.encode()).digest()))
    assert record is not None
    stores[1].answer(_add(record))
    house.keys.revoke(made.id)
    switching.store = stores[1]
    feed_of(switching).read()
    assert code_of(partial(house.guard.check, made.secret)) == "key_revoked"
    # And who starts only now learns it from the store, where it was put back.
    late = build(RULES, store=Recording(stores[1]), clock=clock, seed=4)
    assert code_of(partial(late.guard.check, made.secret)) == "key_revoked"
    assert stores[1].answer(FindCutoff((f"key:{made.id}",))) == FOREVER_MS
    assert stores[1].answer(ListSigningKeys()) == ()


def _add(record: Any) -> Any:
    from guestpass.records import AddKey

    return AddKey(record)


# --- the cache -------------------------------------------------------------------------------------------------------


def test_one_credential_takes_up_one_place_however_its_header_is_spelled() -> None:
    store = Recording(open_store("memory://"))
    house = build(RULES, store=store, cache_size=8)
    others = [house.session(f"acct_{number}") for number in range(4)]
    for secret in others:
        house.guard.check(secret)
    greedy, looks = house.key(kind="publishable_key"), store.count(FindKey)
    for scheme in ("Bearer", "bearer", "BEARER", "bEarer", "BeaReR"):
        for blanks in range(1, 20):
            header = (scheme + " " * blanks + greedy).encode()
            verdict = house.guard._prover.identify(Presented([header], []))
            principal = verdict if isinstance(verdict, Principal) else _driven(verdict)
            assert isinstance(principal, Principal)
    before = len(store.asked)
    for secret in others:
        house.guard.check(secret)
    assert len(store.asked) == before
    assert store.count(FindKey) == looks + 1


def _driven(verdict: Any) -> Any:
    from guestpass.inquiry import drive

    return drive(verdict)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_look_up_in_this_very_thread_is_not_waited_for(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guestpass.concurrency.look_ups.PATIENCE", 3_600)
    secret = house.session()
    leading = house.guard._identify_text(secret)
    next(leading)
    assert house.guard.check(secret).account == "acct_1"
    leading.close()
    assert (await drive_async(house.guard._identify_text(secret))) is not None


# --- who is told -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["identity", "another account"])
def test_a_live_connection_hears_of_the_end_of_what_it_was_narrowed_from(house: House, end: str) -> None:
    by = house.minter(accounts={"acct_1", "acct_2"})
    several = by.but(kind="identity_token", issuer="https://login.example/")
    one = frozenset({"acct_1"})
    narrowed = several.but(grant=replace(several.grant, accounts=one), narrowed_from=several)
    told: list[int] = []
    stop = house.guard.watch(narrowed, lambda: told.append(1))
    if end == "identity":
        house.revocations.identity(narrowed.identity)
    else:
        house.revocations.account("plat", "acct_2")
    assert told
    stop()


def test_one_connection_that_cannot_be_told_keeps_no_other_from_hearing(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError("gone")

    who = house.guard.check(house.session())
    told: list[int] = []
    house.guard.watch(who, fail)
    house.guard.watch(who, lambda: told.append(1))
    house.revocations.account("plat", "acct_1")
    assert told == [1]
    assert "could not be told" in caplog.text


# --- forks -----------------------------------------------------------------------------------------------------------


def in_child(work: Callable[[], bool]) -> bool:
    """Whether `work` says yes in a forked child, within a bound."""
    child = os.fork()
    if child == 0:
        code = 2
        try:
            done: list[bool] = []
            thread = threading.Thread(target=lambda: done.append(work()), daemon=True)
            thread.start()
            thread.join(20)
            code = 0 if done == [True] else 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


needs_fork = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="os.fork"),
    pytest.mark.filterwarnings("ignore:This process"),
]


@pytest.mark.parametrize("held", ["cache", "watching", "places", "under way"])
def test_a_child_does_not_wait_for_what_a_thread_of_its_parent_held(house: House, held: str) -> None:
    gc.collect()
    secret, prover = house.session(), house.guard._prover
    house.guard.check(secret)
    leading = None
    if held == "cache":
        house.guard._cache._lock.acquire()
    elif held == "watching":
        house.guard._watchers._lock.acquire()
    elif held == "places":
        for _ in range(32):
            prover._look_ups._strangers.acquire()
    else:
        house.guard.forget(lambda _: True)
        leading = house.guard._identify_text(secret)
        next(leading)

    def works() -> bool:
        who = house.guard.check(secret)
        house.guard.watch(who, lambda: None)()
        return who.kind == "account_session" and house.guard.check(house.key()).kind == SECRET_KEY

    assert in_child(works)
    if leading is not None:
        leading.close()
    if held == "cache":
        house.guard._cache._lock.release()


def test_a_child_trusts_no_list_that_it_has_not_read_itself(house: House) -> None:
    token = house.token()
    house.guard.check(token)
    assert in_child(lambda: feed_of(house.store).complete_at < START and house.guard.check(token).account == "acct_1")


for _test in (
    test_a_child_does_not_wait_for_what_a_thread_of_its_parent_held,
    test_a_child_trusts_no_list_that_it_has_not_read_itself,
):
    for _mark in needs_fork:
        _mark(_test)
