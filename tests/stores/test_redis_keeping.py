"""What Redis keeps: through crashes, exactly, for how long; and what is known of a list of cut-offs that it lost."""

import math
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from itertools import count

import pytest

from guestpass.errors import StoreUnavailable
from guestpass.grants import Grant
from guestpass.inquiry import Question
from guestpass.records import (
    AddCutoff,
    AddKey,
    AddSession,
    AddSigningKey,
    BeginEpoch,
    ChangeKey,
    Cutoff,
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
    NoteUses,
    Purge,
    ReadCutoffs,
    RevokeSession,
    SessionRecord,
)
from guestpass.revocation.cutoff_list import FOREVER_MS
from guestpass.stores.redis import RedisStore
from guestpass.testing.samples import HOUR, NOW, NOW_MS, asked, digest, key, session, signing_key, some

from .redis_servers import Admin, Server, program, running
from .running import run

prefixes = count()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(program("redis")) as one:
        yield one


@pytest.fixture
def store(server: Server) -> Iterator[RedisStore]:
    with closing(RedisStore(server.url, wait=10, prefix=f"{next(prefixes)}:")) as store:
        yield store


@pytest.fixture
def admin(server: Server) -> Iterator[Admin]:
    with server.client() as client:
        yield client


def tag(store: RedisStore) -> str:
    """What the names of the store's keys begin with."""
    return f"{{{store._place.prefix}}}"


# What lasts


@pytest.mark.parametrize("family", ["redis", "valkey"])
def test_nothing_acknowledged_is_lost_when_the_server_is_killed(family: str) -> None:
    """Amid ten thousand creations, a third of which are revoked at once."""
    with running(program(family)) as server, closing(RedisStore(server.url, wait=10)) as store:
        numbers, kept, revoked = iter(range(10_000)), list[int](), list[int]()
        enough = threading.Event()

        def create() -> None:
            with suppress(StoreUnavailable):
                for number in numbers:
                    store.answer(AddSession(session(str(number)), asked(str(number))))
                    kept.append(number)
                    if number % 3 == 0:
                        store.answer(RevokeSession(f"as_{number}", NOW))
                        revoked.append(number)
                    if number == 3000:
                        enough.set()

        with ThreadPoolExecutor(8) as pool:
            creators = [pool.submit(create) for _ in range(8)]
            assert enough.wait(60)
            server.kill()
            for creator in creators:
                creator.result()
        assert 2900 < len(kept) < 10_000
        server.start()
        for number in kept:
            found = store.answer(FindSession(session(str(number)).digest))
            assert found is not None
            assert found.revoked_at is not None or number not in revoked
        ends = {cutoff.name: cutoff.at_ms for cutoff in store.answer(ReadCutoffs(0)).cutoffs}
        assert [number for number in revoked if ends.get(f"session:as_{number}") != FOREVER_MS] == []
        # None twice: as many as were acknowledged, and what was under way in eight threads.
        with server.client() as client:
            sessions, ids = (len(client.keys(f"*}}{name}:*")) for name in ("session", "session-id"))
        assert len(kept) <= sessions == ids <= len(kept) + 8
        for number in kept[-20:]:
            again = store.answer(AddSession(session(f"again {number}"), asked(str(number))))
            assert isinstance(again, SessionRecord)
            assert again.id == f"as_{number}"


def test_what_one_store_keeps_the_next_one_finds(server: Server) -> None:
    with (
        closing(RedisStore(server.url, prefix="shared:")) as first,
        closing(RedisStore(f"{server.url}?prefix=shared:")) as second,
    ):
        first.answer(AddSession(session()))
        assert second.answer(FindSession(session().digest)) == session()
        assert first.answer(ReadCutoffs(0)).epoch == second.answer(ReadCutoffs(0)).epoch


def test_stores_of_different_prefix_keep_apart(server: Server) -> None:
    with closing(RedisStore(server.url, prefix="one:")) as one, closing(RedisStore(server.url, prefix="two:")) as two:
        one.answer(AddKey(key()))
        one.answer(AddCutoff(Ending("x", NOW_MS, NOW)))
        assert two.answer(ListKeys()) == ()
        assert two.answer(ReadCutoffs(0)).cutoffs == ()


@pytest.mark.parametrize("work", ["fork", "orphan"])
def test_a_process_may_fork_with_an_open_store(server: Server, store: RedisStore, work: str) -> None:
    prefix = store._place.prefix
    ids = run(work, f"{server.url}?prefix={prefix}")
    assert len(ids) == len(set(ids)) >= 3
    assert all(store.answer(FindSessionById(one)) for one in ids)


def test_two_processes_that_ask_the_same_get_the_same(server: Server, store: RedisStore) -> None:
    told = run("same", f"{server.url}?prefix={store._place.prefix}")
    made: dict[int, set[str]] = {}
    for number, session_id in told:
        made.setdefault(number, set()).add(session_id)
    assert len(made) == 40
    assert all(len(ids) == 1 for ids in made.values())


# Exactly


@pytest.mark.parametrize("at_ms", [0, 1, NOW_MS, 10**15 + 1, 2**53 - 2, 2**53 - 1])
def test_milliseconds_come_back_exactly(store: RedisStore, at_ms: int) -> None:
    assert store.answer(AddCutoff(Ending("x", at_ms, NOW))).at_ms == at_ms
    assert store.answer(FindCutoff(("x",))) == at_ms
    assert store.answer(ReadCutoffs(0)).cutoffs == (Cutoff("x", at_ms, NOW),)
    kept = replace(session(), minted_ms=at_ms)
    store.answer(AddSession(kept))
    assert store.answer(FindSession(kept.digest)) == kept


def test_of_two_large_cutoffs_a_millisecond_apart_the_later_stays(store: RedisStore) -> None:
    for at_ms in (2**53 - 2, 2**53 - 1, 2**53 - 2):
        store.answer(AddCutoff(Ending("x", at_ms, NOW)))
    assert store.answer(FindCutoff(("x",))) == 2**53 - 1


@pytest.mark.parametrize(
    "instant", [0.0, 0.1 + 0.2, 1e22, 5e-324, 1.7976931348623157e308, -1.5, math.inf, NOW + 2**-20]
)
def test_seconds_come_back_exactly(store: RedisStore, instant: float) -> None:
    assert store.answer(AddCutoff(Ending("x", NOW_MS, instant))).expires_at == instant
    assert store.answer(ReadCutoffs(0)).cutoffs[0].expires_at == instant
    grant = replace(session().grant, expires_at=instant)
    one = replace(session(), grant=grant, revoked_at=None if instant == math.inf else instant)
    store.answer(AddSession(one, asked(expires_at=instant)))
    assert store.answer(FindSession(one.digest)) == one
    other = replace(key(), grant=replace(key().grant, expires_at=instant), old_until=instant, old_digest=digest("old"))
    store.answer(AddKey(other))
    store.answer(NoteUses({"key_k": instant}))
    assert store.answer(FindKey(digest("old"))) == replace(other, last_used_at=instant)


def test_instants_an_instant_apart_are_told_apart(store: RedisStore) -> None:
    store.answer(AddKey(key()))
    early, late = NOW, math.nextafter(NOW, math.inf)
    for at in (late, early):
        store.answer(NoteUses({"key_k": at}))
    found = store.answer(FindKeyById("key_k"))
    assert found is not None
    assert found.last_used_at == late
    for name, ends in (("a", early), ("b", late)):
        store.answer(AddCutoff(Ending(name, NOW_MS, ends)))
    assert store.answer(Purge(late, NOW)) == 1
    assert [cutoff.name for cutoff in store.answer(ReadCutoffs(0)).cutoffs] == ["b"]


def test_a_use_of_an_unknown_key_makes_no_key(store: RedisStore) -> None:
    store.answer(NoteUses({"key_k": NOW}))
    assert store.answer(FindKeyById("key_k")) is None
    store.answer(AddKey(key()))
    assert store.answer(ListKeys()) == (key(),)


def test_more_than_one_script_takes(store: RedisStore) -> None:
    keys = [key(f"{number:04}", created_at=NOW + number) for number in range(1100)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: store.answer(AddKey(one)), keys))
    store.answer(NoteUses({one.id: NOW for one in keys}))
    assert store.answer(ListKeys("plat")) == tuple(replace(one, last_used_at=NOW) for one in keys)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: store.answer(AddCutoff(Ending(one.id, 1, NOW))), keys))
    assert store.answer(Purge(NOW + 1, NOW, limit=1050)) == 1050
    assert store.answer(Purge(NOW + 1, NOW, limit=1050)) == 50


def test_a_key_that_moves_to_another_platform_is_listed_there(store: RedisStore) -> None:
    store.answer(AddKey(key()))
    store.answer(ChangeKey("key_k", Ending("key:key_k", None, NOW), grant=Grant("other", "live", some("acct_1"))))
    assert store.answer(ListKeys("plat")) == ()
    assert [one.id for one in store.answer(ListKeys("other"))] == ["key_k"]


def test_equal_grants_are_equal_however_they_were_written(store: RedisStore) -> None:
    """The numbers of an expiry, the order of a set: what `ChangeKey.expected` is compared with."""
    names = [f"c{number}" for number in range(50)]
    kept = replace(key(), grant=Grant("plat", "live", components=frozenset(names), expires_at=NOW))
    store.answer(AddKey(kept))
    same = Grant("plat", "live", components=frozenset(reversed(names)), expires_at=int(NOW))
    narrow = replace(same, components=some("c1"))
    changed = store.answer(ChangeKey("key_k", Ending("x", None, NOW), expected=same, grant=narrow))
    assert changed is not None
    assert changed.grant == narrow


def test_the_servers_clock_is_the_stores(store: RedisStore, admin: Admin) -> None:
    def now() -> int:
        seconds, micros = admin.time()
        return int(seconds) * 1000 + int(micros) // 1000

    store.answer(AddKey(key()))
    first = now()
    minter = store.answer(FindMinter("key_k"))
    cutoff = store.answer(AddCutoff(Ending("x", None, NOW)))
    started = store.answer(BeginEpoch(store.answer(ReadCutoffs(0)).epoch.id)).started_ms
    assert first <= minter.now_ms <= cutoff.at_ms <= started <= now()


# For how long


def test_sessions_drop_out_by_themselves_long_after_their_end(store: RedisStore, admin: Admin) -> None:
    store.answer(AddSession(session(), asked(expires_at=NOW + 24 * HOUR)))
    names = (f"session:{session().digest.hex()}", "session-id:as_s", "asked:5:key_k:req")
    day = 86_400_000
    left = [admin.pttl(tag(store) + name) for name in names]
    assert [2 * day <= one <= 3 * day for one in left] == [True, True, True]
    store.answer(RevokeSession("as_s", NOW))
    store.answer(AddSession(replace(session("b"), minted_ms=NOW_MS), asked()))
    renewed = (f"session:{session('b').digest.hex()}", "session-id:as_s")
    assert [2 * day <= admin.pttl(tag(store) + name) <= 3 * day for name in renewed] == [True, True]


def test_what_has_no_end_and_what_ends_others_stays(store: RedisStore, admin: Admin) -> None:
    store.answer(AddSession(session(expires_at=math.inf), asked(expires_at=math.inf)))
    store.answer(RevokeSession("as_s", NOW))
    store.answer(AddKey(key()))
    store.answer(AddSigningKey(signing_key()))
    store.answer(AddCutoff(Ending("x", NOW_MS, NOW)))
    names = admin.keys(f"{tag(store)}*")
    assert len(names) >= 12
    assert {admin.pttl(name) for name in names} == {-1}


def test_a_session_that_dropped_out_is_purged_like_any_other(store: RedisStore, admin: Admin) -> None:
    store.answer(AddSession(session("a", expires_at=NOW), asked()))
    admin.delete(f"{tag(store)}session:{session('a').digest.hex()}", f"{tag(store)}session-id:as_a")
    assert store.answer(FindSession(session("a").digest)) is None
    assert store.answer(RevokeSession("as_a", NOW)) is None
    assert store.answer(AddSession(session("b"), asked())) == session("b")
    assert store.answer(Purge(NOW, NOW + 1)) == 1


def test_a_purge_leaves_nothing_behind(store: RedisStore, admin: Admin) -> None:
    before = set(admin.keys(f"{tag(store)}*"))
    for number in range(20):
        store.answer(AddSession(session(str(number)), asked(str(number))))
        store.answer(AddSession(session(f"{number} b"), asked(str(number))))
        store.answer(RevokeSession(f"as_{number}", NOW))
    assert store.answer(Purge(math.inf, math.inf)) == 60
    assert set(admin.keys(f"{tag(store)}*")) == before


# A list that is lost


def whole(store: RedisStore) -> tuple[Epoch, tuple[Cutoff, ...]]:
    page = store.answer(ReadCutoffs(0))
    return page.epoch, page.cutoffs


@pytest.mark.parametrize("ask", [ReadCutoffs(0), FindCutoff(("x",)), AddCutoff(Ending("y", 1, NOW)), BeginEpoch("?")])
def test_a_server_that_forgot_everything_begins_another_epoch(
    ask: Question[object],
) -> None:
    with running(program("redis")) as server, closing(RedisStore(server.url)) as store, server.client() as admin:
        store.answer(AddCutoff(Ending("x", NOW_MS, NOW)))
        first, _ = whole(store)
        assert not first.after_loss
        admin.flushall()
        store.answer(ask)
        second, cutoffs = whole(store)
        assert second.id != first.id
        assert second.started_ms >= first.started_ms
        assert not second.after_loss
        assert "x" not in {cutoff.name for cutoff in cutoffs}
        # Whoever knew the first says so.
        third = store.answer(BeginEpoch(second.id))
        assert third.after_loss
        assert third.id not in (first.id, second.id)
        assert store.answer(BeginEpoch(second.id)) == third
        assert store.answer(FindCutoff(("x",))) == third.started_ms - 1


def test_a_new_epoch_keeps_the_list(store: RedisStore) -> None:
    store.answer(AddCutoff(Ending("x", FOREVER_MS, NOW)))
    first, cutoffs = whole(store)
    second = store.answer(BeginEpoch(first.id))
    assert whole(store) == (second, cutoffs)
    assert store.answer(FindCutoff(("x",))) == FOREVER_MS


@pytest.mark.parametrize(
    ("lost", "kept"),
    [
        (["cutoffs"], set()),
        (["cutoffs-order"], {"a", "b", "c"}),
        (["cutoffs-order", "cutoffs-ending"], {"a", "b", "c"}),
        (["cutoffs", "cutoffs-order", "cutoffs-ending"], set()),
    ],
)
def test_a_list_that_lost_a_part_is_known_to_have(
    store: RedisStore, admin: Admin, lost: list[str], kept: set[str]
) -> None:
    """As where the server may evict keys."""
    for name, ends in (("a", NOW), ("b", math.inf), ("c", NOW + 5)):
        store.answer(AddCutoff(Ending(name, NOW_MS, ends)))
    first, _ = whole(store)
    admin.delete(*(tag(store) + name for name in lost))
    assert store.answer(FindCutoff(("nobody",))) == whole(store)[0].started_ms - 1
    epoch, cutoffs = whole(store)
    assert epoch.id != first.id
    assert epoch.after_loss
    assert {cutoff.name for cutoff in cutoffs} == kept
    store.answer(AddCutoff(Ending("d", NOW_MS, NOW)))
    assert whole(store)[0] == epoch
    assert store.answer(Purge(NOW + 1, NOW)) == len(kept & {"a"}) + 1
    assert {cutoff.name for cutoff in whole(store)[1]} == kept - {"a"}


def test_an_order_without_a_list_is_a_list_that_was_lost(store: RedisStore, admin: Admin) -> None:
    store.answer(AddCutoff(Ending("a", NOW_MS, NOW)))
    admin.delete(f"{tag(store)}cutoffs", f"{tag(store)}version")
    assert whole(store)[0].after_loss


def test_opening_again_begins_no_epoch(server: Server, store: RedisStore) -> None:
    first = whole(store)
    with closing(RedisStore(server.url, prefix=store._place.prefix)) as second:
        assert whole(second) == first


def test_a_key_record_has_a_field_for_everything(store: RedisStore) -> None:
    full = KeyRecord(
        id="key_k\x00\ud800",
        digest=b"\x00",
        kind="secret_key",
        grant=Grant("plät", "test", some("a"), some("\ud800"), some("\n"), 5.5),
        name="Zoë's\nkey",
        created_at=NOW,
        origins=some("https://a.example", ""),
        revoked_at=0.0,
        old_digest=b"",
        old_until=NOW + 1,
        last_used_at=-0.5,
    )
    store.answer(AddKey(full))
    assert store.answer(ListKeys("plät")) == (full,)
