"""A store's contract: account sessions, and requests for them that come again."""

import math
from dataclasses import replace

import pytest

from guestpass.grants import ALL, Grant, Names
from guestpass.records import (
    AddCutoff,
    AddSession,
    Conflict,
    Cutoff,
    Ending,
    FindCutoff,
    FindSession,
    FindSessionById,
    Idempotency,
    Purge,
    ReadCutoffs,
    RevokeSession,
)
from guestpass.revocation.cutoff_list import FOREVER_MS
from guestpass.stores import Store
from guestpass.testing.samples import HOUR, NEVER, NOW, NOW_MS, asked, digest, session, some


class SessionContract:
    """Sessions are kept, found and revoked, and a repeated request makes no second one."""

    @pytest.mark.parametrize("components", [ALL, some(), some("call_logs", "call_logs/é")])
    @pytest.mark.parametrize("expires_at", [NOW + 0.25, math.inf])
    def test_a_session_comes_back_as_it_was_kept(self, store: Store, components: Names, expires_at: float) -> None:
        grant = Grant("plat", "test", some("a:b@c-d"), components, ALL, expires_at)
        kept = replace(session(), grant=grant)
        assert store.answer(AddSession(kept)) == kept
        assert store.answer(FindSession(kept.digest)) == kept
        assert store.answer(FindSessionById(kept.id)) == kept

    def test_an_unknown_session_is_none(self, store: Store) -> None:
        store.answer(AddSession(session()))
        assert store.answer(FindSession(digest("other"))) is None
        assert store.answer(FindSessionById("as_other")) is None
        assert store.answer(RevokeSession("as_other", NOW)) is None
        assert store.answer(ReadCutoffs(0)).cutoffs == ()

    @pytest.mark.parametrize("other", [{"id": "as_a"}, {"digest": session("a").digest}])
    @pytest.mark.parametrize("request_", [None, asked()])
    def test_a_session_is_kept_once(self, store: Store, other: dict[str, str], request_: Idempotency | None) -> None:
        store.answer(AddSession(session("a")))
        clash = replace(session("b"), **other)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="id or digest"):
            store.answer(AddSession(clash, request_))
        assert store.answer(FindSession(session("a").digest)) == session("a")
        assert store.answer(AddSession(session("c"), asked())) == session("c")

    @pytest.mark.parametrize("accounts", [ALL, some(), some("acct_1", "acct_2")])
    def test_a_session_is_for_one_account(self, store: Store, accounts: Names) -> None:
        wide = replace(session(), grant=Grant("plat", "live", accounts))
        with pytest.raises(ValueError, match="one account"):
            store.answer(AddSession(wide))
        assert store.answer(FindSessionById(wide.id)) is None

    def test_a_cutoff_leaves_the_session_as_it_is(self, store: Store) -> None:
        store.answer(AddSession(session()))
        for name in ("key:key_k", "account:plat:acct_1", "session:as_s"):
            store.answer(AddCutoff(Ending(name, NOW_MS, NOW + HOUR)))
        assert store.answer(FindSession(session().digest)) == session()

    def test_a_session_that_is_revoked_twice_keeps_the_first_instant(self, store: Store) -> None:
        store.answer(AddSession(session()))
        revoked = replace(session(), revoked_at=NOW + 1)
        assert store.answer(RevokeSession("as_s", NOW + 1)) == revoked
        assert store.answer(RevokeSession("as_s", NOW + 2)) == revoked
        assert store.answer(FindSession(session().digest)) == revoked

    @pytest.mark.parametrize("expires_at", [NOW + 0.25, math.inf])
    def test_a_revoked_session_is_in_the_list_until_its_end(self, store: Store, expires_at: float) -> None:
        store.answer(AddSession(session(expires_at=expires_at)))
        store.answer(RevokeSession("as_s", NOW))
        assert store.answer(ReadCutoffs(0)).cutoffs == (Cutoff("session:as_s", FOREVER_MS, expires_at),)
        assert store.answer(FindCutoff(("session:as_s",))) == FOREVER_MS

    # Requests that come again

    def test_a_repeated_request_answers_its_session_with_the_new_secret(self, store: Store) -> None:
        first = session("a")
        again = replace(session("b", account="acct_2", expires_at=NOW + 99), minted_ms=NOW_MS + 5)
        assert store.answer(AddSession(first, asked())) == first
        renewed = replace(first, digest=again.digest)
        assert store.answer(AddSession(again, asked())) == renewed
        assert store.answer(FindSession(again.digest)) == renewed
        assert store.answer(FindSession(first.digest)) is None
        assert store.answer(FindSessionById(again.id)) is None

    def test_that_a_secret_ended_is_news_which_ends_nothing(self, store: Store) -> None:
        store.answer(AddSession(session("a"), asked()))
        assert store.answer(ReadCutoffs(0)).cutoffs == ()
        store.answer(AddSession(session("b"), asked()))
        assert store.answer(ReadCutoffs(0)).cutoffs == (Cutoff("session:as_a", 0, NOW + HOUR),)
        at = store.answer(ReadCutoffs(0)).position
        store.answer(AddSession(session("c"), asked()))
        assert store.answer(ReadCutoffs(at)).cutoffs == (Cutoff("session:as_a", 0, NOW + HOUR),)

    def test_a_repeated_request_may_bring_the_same_secret(self, store: Store) -> None:
        for _ in range(2):
            assert store.answer(AddSession(session(), asked())) == session()

    def test_a_repeated_request_does_not_take_the_secret_of_another_session(self, store: Store) -> None:
        store.answer(AddSession(session("a"), asked()))
        store.answer(AddSession(session("b")))
        with pytest.raises(ValueError, match="digest"):
            store.answer(AddSession(session("b"), asked()))
        for one in (session("a"), session("b")):
            assert store.answer(FindSession(one.digest)) == one
        assert store.answer(ReadCutoffs(0)).cutoffs == ()

    def test_a_request_that_comes_again_with_another_body_conflicts(self, store: Store) -> None:
        store.answer(AddSession(session("a"), asked()))
        assert store.answer(AddSession(session("b"), asked(body="other"))) == Conflict()
        assert store.answer(FindSession(session("a").digest)) == session("a")
        assert store.answer(FindSessionById("as_b")) is None
        assert store.answer(ReadCutoffs(0)).cutoffs == ()

    def test_each_key_has_requests_of_its_own(self, store: Store) -> None:
        store.answer(AddSession(session("a"), asked()))
        assert store.answer(AddSession(session("b"), asked(by="key_2", body="other"))) == session("b")
        assert store.answer(AddSession(session("c"), asked("req2", body="other"))) == session("c")

    def test_a_request_is_remembered_until_its_end(self, store: Store) -> None:
        store.answer(AddSession(session("a"), asked(expires_at=NOW + 10)))
        before = replace(session("b"), minted_ms=NOW_MS + 9_999)
        renewed = replace(session("a"), digest=before.digest)
        assert store.answer(AddSession(before, asked(expires_at=NOW + 20))) == renewed
        after = replace(session("c"), minted_ms=NOW_MS + 10_000)
        assert store.answer(AddSession(after, asked(body="other", expires_at=NOW + 30))) == after
        assert store.answer(AddSession(replace(session("d"), minted_ms=NOW_MS + 10_001), asked())) == Conflict()
        assert store.answer(FindSessionById("as_a")) == renewed

    def test_a_request_may_be_remembered_for_ever(self, store: Store) -> None:
        store.answer(AddSession(session("a"), asked(expires_at=math.inf)))
        late = replace(session("b"), minted_ms=NOW_MS * 2)
        assert store.answer(AddSession(late, asked())) == replace(session("a"), digest=late.digest)

    def test_a_repeated_request_revives_nothing(self, store: Store) -> None:
        store.answer(AddSession(session("a"), asked()))
        store.answer(RevokeSession("as_a", NOW))
        renewed = replace(session("a"), digest=session("b").digest, revoked_at=NOW)
        assert store.answer(AddSession(session("b"), asked())) == renewed
        assert store.answer(FindCutoff(("session:as_a",))) == FOREVER_MS

    def test_a_request_whose_session_is_purged_makes_a_new_one(self, store: Store) -> None:
        store.answer(AddSession(session("a"), asked()))
        assert store.answer(Purge(NEVER, NOW + 2 * HOUR)) == 1
        assert store.answer(AddSession(session("b"), asked())) == session("b")
        assert store.answer(AddSession(session("c"), asked())) == replace(session("b"), digest=session("c").digest)
