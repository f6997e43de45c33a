"""A store's contract: cut-offs, the list that processes keep a copy of, and its epochs."""

import math
from dataclasses import replace
from typing import Any

import pytest

from guestpass.inquiry import Question
from guestpass.records import (
    AddCutoff,
    AddKey,
    AddSession,
    BeginEpoch,
    ChangeKey,
    Cutoff,
    Ending,
    FindCutoff,
    NoteUses,
    Purge,
    ReadCutoffs,
    RevokeSession,
    RotateKey,
)
from guestpass.stores import Store
from guestpass.testing.samples import NEVER, NOW, NOW_MS, asked, digest, key, session, some

ALWAYS = NOW + 10**9


def whole_list(store: Store, limit: int) -> list[Cutoff]:
    """All cut-offs, read page after page."""
    cutoffs: list[Cutoff] = []
    after = 0
    while True:
        page = store.answer(ReadCutoffs(after, limit))
        assert len(page.cutoffs) <= limit
        cutoffs += page.cutoffs
        if page.reached == page.position:
            return cutoffs
        assert page.reached > after
        after = page.reached


class CutoffContract:
    """Cut-offs only ever move forward, and whoever reads their list misses none."""

    def test_a_cutoff_moves_forward_only(self, store: Store) -> None:
        kept = [
            store.answer(AddCutoff(Ending("sub:x", at_ms, NOW))) for at_ms in (NOW_MS, NOW_MS - 1, NOW_MS + 1, NOW_MS)
        ]
        assert [one.at_ms for one in kept] == [NOW_MS, NOW_MS, NOW_MS + 1, NOW_MS + 1]
        assert store.answer(FindCutoff(("sub:x",))) == NOW_MS + 1

    @pytest.mark.parametrize("ends", [(NOW + 9, NOW), (NOW, NOW + 9), (math.inf, NOW), (NOW, math.inf)])
    def test_the_later_expiry_of_a_cutoff_stays(self, store: Store, ends: tuple[float, float]) -> None:
        first = store.answer(AddCutoff(Ending("sub:x", NOW_MS, ends[0])))
        second = store.answer(AddCutoff(Ending("sub:x", NOW_MS - 5, ends[1])))
        assert first == Cutoff("sub:x", NOW_MS, ends[0])
        assert second == Cutoff("sub:x", NOW_MS, max(ends))
        assert store.answer(Purge(NOW + 8, NEVER)) == 0
        assert store.answer(FindCutoff(("sub:x",))) == NOW_MS
        assert store.answer(Purge(NOW + 10, NEVER)) == (0 if math.inf in ends else 1)

    def test_the_latest_cutoff_among_names(self, store: Store) -> None:
        for late, name in enumerate(("jti:a", "jti:b", "jti:c")):
            store.answer(AddCutoff(Ending(name, NOW_MS + late, NOW)))
        assert store.answer(FindCutoff(("jti:a", "jti:x", "jti:b"))) == NOW_MS + 1
        assert store.answer(FindCutoff(("jti:x",))) is None
        assert store.answer(FindCutoff(())) is None

    def test_the_largest_instants_are_kept(self, store: Store) -> None:
        kept = store.answer(AddCutoff(Ending("x", 2**53 - 1, float(2**53 - 1))))
        assert kept == Cutoff("x", 2**53 - 1, float(2**53 - 1))
        assert store.answer(ReadCutoffs(0)).cutoffs == (kept,)

    # The store's clock

    def test_what_ends_now_ends_by_the_stores_clock(self, store: Store) -> None:
        first = store.answer(AddCutoff(Ending("a", None, ALWAYS)))
        second = store.answer(AddCutoff(Ending("b", None, ALWAYS)))
        again = store.answer(AddCutoff(Ending("a", None, ALWAYS)))
        assert store.answer(ReadCutoffs(0)).epoch.started_ms <= first.at_ms <= second.at_ms <= again.at_ms
        assert isinstance(first.at_ms, int)
        assert store.answer(FindCutoff(("a",))) == again.at_ms

    def test_every_way_to_end_something_has_the_stores_clock(self, store: Store) -> None:
        store.answer(AddKey(key()))
        stamps = [store.answer(AddCutoff(Ending("before", None, ALWAYS))).at_ms]
        now = Ending("key:key_k", None, ALWAYS)
        store.answer(ChangeKey("key_k", now, grant=replace(key().grant, accounts=some("acct_1"))))
        stamps.append(store.answer(FindCutoff(("key:key_k",))) or 0)
        store.answer(RotateKey("key_k", digest("new"), NOW, now))
        stamps.append(store.answer(FindCutoff(("key:key_k",))) or 0)
        stamps.append(store.answer(AddCutoff(Ending("after", None, ALWAYS))).at_ms)
        assert stamps == sorted(stamps)

    # The list

    def test_an_empty_list_is_read_at_once(self, store: Store) -> None:
        page = store.answer(ReadCutoffs(0))
        assert (page.position, page.reached, page.cutoffs) == (0, 0, ())
        assert store.answer(ReadCutoffs(0)) == page

    def test_the_list_is_in_the_order_in_which_cutoffs_were_added_or_moved(self, store: Store) -> None:
        for name in "abcab":
            store.answer(AddCutoff(Ending(name, NOW_MS, NOW)))
        page = store.answer(ReadCutoffs(0))
        assert [one.name for one in page.cutoffs] == ["c", "a", "b"]
        assert (page.position, page.reached) == (5, 5)
        assert [one.name for one in store.answer(ReadCutoffs(3)).cutoffs] == ["a", "b"]
        for after in (5, 6):
            news = store.answer(ReadCutoffs(after))
            assert (news.position, news.reached, news.cutoffs) == (5, 5, ())

    @pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 8, 100])
    def test_the_list_is_read_in_pages(self, store: Store, limit: int) -> None:
        for name in "abcdefgca":
            store.answer(AddCutoff(Ending(name, NOW_MS, NOW)))
        assert "".join(one.name for one in whole_list(store, limit)) == "bdefgca"

    def test_a_page_reaches_as_far_as_what_is_in_it(self, store: Store) -> None:
        for name in "abcd":
            store.answer(AddCutoff(Ending(name, NOW_MS, NOW)))
        reached = [store.answer(ReadCutoffs(0, limit)).reached for limit in (1, 2, 3, 4, 5)]
        assert reached == [1, 2, 3, 4, 4]

    def test_everything_that_ends_something_is_news(self, store: Store) -> None:
        store.answer(AddKey(key()))
        store.answer(AddSession(session(), asked()))
        now = Ending("key:key_k", NOW_MS, ALWAYS)
        news: list[tuple[Question[Any], str]] = [
            (AddCutoff(Ending("x", NOW_MS, NOW)), "x"),
            (AddCutoff(Ending("x", NOW_MS - 5, NOW - 5)), "x"),
            (ChangeKey("key_k", now, grant=key().grant), "key:key_k"),
            (ChangeKey("key_k", now, revoked_at=NOW), "key:key_k"),
            (ChangeKey("key_k", now, revoked_at=NOW), "key:key_k"),
            (RotateKey("key_k", digest("new"), NOW, now), "key:key_k"),
            (AddSession(session("again"), asked()), "session:as_s"),
            (RevokeSession("as_s", NOW), "session:as_s"),
            (RevokeSession("as_s", NOW), "session:as_s"),
        ]
        for position, (question, name) in enumerate(news):
            store.answer(question)
            page = store.answer(ReadCutoffs(position))
            assert page.reached == page.position == position + 1, question
            assert [one.name for one in page.cutoffs] == [name]

    def test_nothing_else_is_news(self, store: Store) -> None:
        store.answer(AddKey(key()))
        now = Ending("key:key_k", NOW_MS, ALWAYS)
        store.answer(ChangeKey("key_other", now, revoked_at=NOW))
        store.answer(ChangeKey("key_k", now, expected=replace(key().grant, mode="test"), revoked_at=NOW))
        store.answer(RotateKey("key_k", digest("new"), NOW))
        store.answer(RotateKey("key_other", digest("newer"), NOW, now))
        store.answer(NoteUses({"key_k": NOW}))
        store.answer(AddSession(session(), asked()))
        store.answer(AddSession(session(), asked(body="other")))
        store.answer(RevokeSession("as_other", NOW))
        store.answer(Purge(NOW, NOW))
        assert store.answer(ReadCutoffs(0)).position == 0

    def test_what_is_purged_leaves_the_list_and_takes_nothing_with_it(self, store: Store) -> None:
        for name, expires_at in (("a", NOW), ("b", ALWAYS), ("c", NOW), ("d", ALWAYS), ("e", NOW)):
            store.answer(AddCutoff(Ending(name, NOW_MS, expires_at)))
        assert store.answer(Purge(NOW + 1, NEVER)) == 3
        assert [one.name for one in whole_list(store, 1)] == ["b", "d"]
        page = store.answer(ReadCutoffs(0, 2))
        assert (page.position, page.reached) == (5, 5)
        store.answer(AddCutoff(Ending("a", NOW_MS - 9, ALWAYS)))
        assert store.answer(ReadCutoffs(5)).cutoffs == (Cutoff("a", NOW_MS - 9, ALWAYS),)

    # Epochs

    def test_a_new_list_has_an_epoch_that_followed_no_loss(self, store: Store) -> None:
        epoch = store.answer(ReadCutoffs(0)).epoch
        assert not epoch.after_loss
        assert epoch.id
        store.answer(AddCutoff(Ending("x", NOW_MS, NOW)))
        assert store.answer(ReadCutoffs(0)).epoch == epoch

    def test_an_epoch_follows_the_one_that_was_known(self, store: Store) -> None:
        first = store.answer(ReadCutoffs(0)).epoch
        before = store.answer(AddCutoff(Ending("x", None, ALWAYS)))
        second = store.answer(BeginEpoch(first.id))
        after = store.answer(AddCutoff(Ending("x", None, ALWAYS)))
        assert second.after_loss
        assert second.id != first.id
        assert before.at_ms <= second.started_ms <= after.at_ms
        assert store.answer(ReadCutoffs(0)).epoch == second
        third = store.answer(BeginEpoch(second.id))
        assert third.id not in (first.id, second.id)

    @pytest.mark.parametrize("known", ["", "another", "a\0b", "\ud800"])
    def test_an_epoch_that_is_not_the_one_known_goes_on(self, store: Store, known: str) -> None:
        first = store.answer(ReadCutoffs(0)).epoch
        assert store.answer(BeginEpoch(known)) == first
        second = store.answer(BeginEpoch(first.id))
        assert store.answer(BeginEpoch(first.id)) == store.answer(BeginEpoch(known)) == second
        assert store.answer(ReadCutoffs(0)).epoch == second

    def test_a_new_epoch_has_the_whole_list(self, store: Store) -> None:
        for name in "abca":
            store.answer(AddCutoff(Ending(name, NOW_MS, ALWAYS)))
        store.answer(BeginEpoch(store.answer(ReadCutoffs(0)).epoch.id))
        for limit in (1, 2, 10):
            assert [one.name for one in whole_list(store, limit)] == ["b", "c", "a"]
        at = store.answer(ReadCutoffs(0)).position
        store.answer(AddCutoff(Ending("b", NOW_MS, ALWAYS)))
        page = store.answer(ReadCutoffs(at))
        assert page.reached == page.position == at + 1
        assert [one.name for one in page.cutoffs] == ["b"]
        assert [one.name for one in whole_list(store, 2)] == ["c", "a", "b"]

    def test_after_a_loss_all_from_before_has_ended(self, store: Store) -> None:
        store.answer(AddCutoff(Ending("past", 5, ALWAYS)))
        store.answer(AddCutoff(Ending("future", 2**53 - 1, ALWAYS)))
        epoch = store.answer(BeginEpoch(store.answer(ReadCutoffs(0)).epoch.id))
        for names in (("past",), ("nobody",), ("past", "nobody"), ("\ud800",), ()):
            assert store.answer(FindCutoff(names)) == epoch.started_ms - 1
        assert store.answer(FindCutoff(("past", "future"))) == 2**53 - 1
