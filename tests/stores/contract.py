"""What every store promises, as tests: derive a class from `StoreContract` and give it a `store` fixture.

```python
class TestMyStore(StoreContract):
    @pytest.fixture
    def store(self) -> Iterator[Store]:
        store = MyStore()
        yield store
        store.close()
```

The store is empty at the start of each test.
"""

import math
from dataclasses import replace
from typing import Any

import pytest

from guestpass.errors import StoreUnavailable
from guestpass.grants import ALL, Grant, Names
from guestpass.inquiry import Question
from guestpass.records import (
    AddCutoff,
    AddKey,
    AddSession,
    AddSigningKey,
    ChangeKey,
    Conflict,
    Cutoff,
    FindCutoff,
    FindKey,
    FindKeyById,
    FindSession,
    FindSessionById,
    FoundSession,
    Idempotency,
    KeyRecord,
    ListKeys,
    ListSigningKeys,
    Purge,
    RevokeSession,
)
from guestpass.stores import Store

from .crowd import CrowdContract
from .samples import HOUR, NEVER, NOW, NOW_MS, asked, digest, key, session, signing_key, some


class StoreContract(CrowdContract):
    """The promises of `guestpass.records`, and of `guestpass.stores.Store`."""

    # Keys

    @pytest.mark.parametrize(
        "grant",
        [
            Grant("plat", "live"),
            Grant("plat", "test", ALL, ALL, ALL),
            Grant("plat", "live", some("ALL", "a:b"), some("call_logs", "call_logs/x"), some(), NOW + 0.125),
            Grant("", "live", some(), some("é", '"', "ALL"), some("agent"), math.inf),
        ],
    )
    def test_a_key_comes_back_as_it_was_kept(self, store: Store, grant: Grant) -> None:
        kept = replace(key(), grant=grant, name="Zoë's key", origins=some("https://a.example"))
        store.answer(AddKey(kept))
        assert store.answer(FindKey(kept.digest)) == kept
        assert store.answer(FindKeyById(kept.id)) == kept

    def test_an_unknown_key_is_none(self, store: Store) -> None:
        store.answer(AddKey(key()))
        assert store.answer(FindKey(digest("other"))) is None
        assert store.answer(FindKeyById("key_other")) is None

    @pytest.mark.parametrize("clash", [replace(key("b"), id="key_a"), replace(key("b"), digest=digest("a"))])
    def test_a_key_is_kept_once(self, store: Store, clash: KeyRecord) -> None:
        store.answer(AddKey(key("a")))
        with pytest.raises(ValueError, match="id or digest"):
            store.answer(AddKey(clash))
        assert store.answer(ListKeys()) == (key("a"),)

    def test_keys_are_listed_oldest_first(self, store: Store) -> None:
        late, early = key("a", created_at=NOW + 1), key("b", created_at=NOW)
        other = key("c", platform="other", created_at=NOW + 2)
        for one in (other, late, early):
            store.answer(AddKey(one))
        assert store.answer(ListKeys()) == (early, late, other)
        assert store.answer(ListKeys("plat")) == (early, late)
        assert store.answer(ListKeys("nobody")) == ()

    def test_a_key_is_narrowed_and_what_it_minted_ends_in_one_step(self, store: Store) -> None:
        store.answer(AddKey(key()))
        store.answer(AddSession(session()))
        grant = replace(key().grant, accounts=some("acct_1"), expires_at=NOW + 5)
        changed = store.answer(ChangeKey("key_k", Cutoff("key:key_k", NOW_MS, NOW + HOUR), grant=grant))
        assert changed == replace(key(), grant=grant) == store.answer(FindKey(key().digest))
        assert store.answer(FindSession(session().digest)) == FoundSession(session(), NOW_MS)

    def test_a_key_whose_grant_was_changed_meanwhile_is_left_as_it_is(self, store: Store) -> None:
        store.answer(AddKey(key()))
        cutoff, first = Cutoff("key:key_k", NOW_MS, NOW + HOUR), replace(key().grant, accounts=some("acct_1"))
        second = replace(key().grant, accounts=some("acct_2"))
        changed = store.answer(ChangeKey("key_k", cutoff, expected=key().grant, grant=first))
        assert changed == replace(key(), grant=first)
        late = replace(cutoff, at_ms=NOW_MS + 5)
        assert store.answer(ChangeKey("key_k", late, expected=key().grant, grant=second)) == changed
        assert store.answer(FindCutoff(("key:key_k",))) == NOW_MS

    def test_a_key_that_is_revoked_twice_keeps_the_first_instant(self, store: Store) -> None:
        store.answer(AddKey(key()))
        cutoff = Cutoff("key:key_k", NOW_MS, NOW + HOUR)
        revoked = replace(key(), revoked_at=NOW)
        assert store.answer(ChangeKey("key_k", cutoff, revoked_at=NOW)) == revoked
        assert store.answer(ChangeKey("key_k", replace(cutoff, at_ms=NOW_MS + 5), revoked_at=NOW + 9)) == revoked
        assert store.answer(FindCutoff(("key:key_k",))) == NOW_MS + 5

    def test_each_change_leaves_the_other_alone(self, store: Store) -> None:
        store.answer(AddKey(key()))
        cutoff, grant = Cutoff("key:key_k", NOW_MS, NOW + HOUR), Grant("plat", "live", some("acct_1"))
        store.answer(ChangeKey("key_k", cutoff, revoked_at=NOW))
        changed = replace(key(), revoked_at=NOW, grant=grant)
        assert store.answer(ChangeKey("key_k", cutoff, grant=grant)) == changed
        assert store.answer(ChangeKey("key_k", cutoff)) == changed

    def test_an_unknown_key_is_not_changed_and_ends_nothing(self, store: Store) -> None:
        cutoff = Cutoff("key:key_k", NOW_MS, NOW + HOUR)
        assert store.answer(ChangeKey("key_k", cutoff, revoked_at=NOW)) is None
        assert store.answer(FindCutoff(("key:key_k",))) is None

    # Sessions

    @pytest.mark.parametrize("components", [ALL, some(), some("call_logs", "call_logs/é")])
    @pytest.mark.parametrize("expires_at", [NOW + 0.25, math.inf])
    def test_a_session_comes_back_as_it_was_kept(self, store: Store, components: Names, expires_at: float) -> None:
        grant = Grant("plat", "test", some("a:b@c-d"), components, ALL, expires_at)
        kept = replace(session(), grant=grant)
        assert store.answer(AddSession(kept)) == kept
        assert store.answer(FindSession(kept.digest)) == FoundSession(kept, None)
        assert store.answer(FindSessionById(kept.id)) == kept

    def test_an_unknown_session_is_none(self, store: Store) -> None:
        store.answer(AddSession(session()))
        assert store.answer(FindSession(digest("other"))) is None
        assert store.answer(FindSessionById("as_other")) is None
        assert store.answer(RevokeSession("as_other", NOW)) is None

    @pytest.mark.parametrize("other", [{"id": "as_a"}, {"digest": session("a").digest}])
    @pytest.mark.parametrize("request_", [None, asked()])
    def test_a_session_is_kept_once(self, store: Store, other: dict[str, str], request_: Idempotency | None) -> None:
        store.answer(AddSession(session("a")))
        clash = replace(session("b"), **other)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="id or digest"):
            store.answer(AddSession(clash, request_))
        assert store.answer(FindSession(session("a").digest)) == FoundSession(session("a"), None)
        assert store.answer(AddSession(session("c"), asked())) == session("c")

    @pytest.mark.parametrize("accounts", [ALL, some(), some("acct_1", "acct_2")])
    def test_a_session_is_for_one_account(self, store: Store, accounts: Names) -> None:
        wide = replace(session(), grant=Grant("plat", "live", accounts))
        with pytest.raises(ValueError, match="one account"):
            store.answer(AddSession(wide))
        assert store.answer(FindSessionById(wide.id)) is None

    @pytest.mark.parametrize("name", ["key:key_k", "account:plat:acct_1", "session:as_s"])
    def test_what_ends_a_session_is_found_with_it(self, store: Store, name: str) -> None:
        store.answer(AddSession(session()))
        store.answer(AddCutoff(Cutoff(name, NOW_MS - 7, NOW + HOUR)))
        assert store.answer(FindSession(session().digest)) == FoundSession(session(), NOW_MS - 7)

    def test_the_latest_of_them_counts(self, store: Store) -> None:
        store.answer(AddSession(session()))
        for late, name in ((1, "key:key_k"), (3, "account:plat:acct_1"), (2, "session:as_s")):
            store.answer(AddCutoff(Cutoff(name, NOW_MS + late, NOW + HOUR)))
        assert store.answer(FindSession(session().digest)) == FoundSession(session(), NOW_MS + 3)

    def test_what_ends_others_does_not_count(self, store: Store) -> None:
        store.answer(AddSession(session()))
        others = ("key:key_other", "account:other:acct_1", "account:plat:acct_2", "session:as_t", "acct_1", "key_k")
        for name in others:
            store.answer(AddCutoff(Cutoff(name, NOW_MS, NOW + HOUR)))
        assert store.answer(FindSession(session().digest)) == FoundSession(session(), None)

    def test_a_session_that_is_revoked_twice_keeps_the_first_instant(self, store: Store) -> None:
        store.answer(AddSession(session()))
        revoked = replace(session(), revoked_at=NOW + 1)
        assert store.answer(RevokeSession("as_s", NOW + 1)) == revoked
        assert store.answer(RevokeSession("as_s", NOW + 2)) == revoked
        assert store.answer(FindSession(session().digest)) == FoundSession(revoked, None)

    # Requests that come again

    def test_a_repeated_request_answers_its_session_with_the_new_secret(self, store: Store) -> None:
        first = session("a")
        again = replace(session("b", account="acct_2", expires_at=NOW + 99), minted_ms=NOW_MS + 5)
        assert store.answer(AddSession(first, asked())) == first
        renewed = replace(first, digest=again.digest)
        assert store.answer(AddSession(again, asked())) == renewed
        assert store.answer(FindSession(again.digest)) == FoundSession(renewed, None)
        assert store.answer(FindSession(first.digest)) is None
        assert store.answer(FindSessionById(again.id)) is None

    def test_a_repeated_request_may_bring_the_same_secret(self, store: Store) -> None:
        for _ in range(2):
            assert store.answer(AddSession(session(), asked())) == session()

    def test_a_repeated_request_does_not_take_the_secret_of_another_session(self, store: Store) -> None:
        store.answer(AddSession(session("a"), asked()))
        store.answer(AddSession(session("b")))
        with pytest.raises(ValueError, match="digest"):
            store.answer(AddSession(session("b"), asked()))
        for one in (session("a"), session("b")):
            assert store.answer(FindSession(one.digest)) == FoundSession(one, None)

    def test_a_request_that_comes_again_with_another_body_conflicts(self, store: Store) -> None:
        store.answer(AddSession(session("a"), asked()))
        assert store.answer(AddSession(session("b"), asked(body="other"))) == Conflict()
        assert store.answer(FindSession(session("a").digest)) == FoundSession(session("a"), None)
        assert store.answer(FindSessionById("as_b")) is None

    def test_each_key_has_requests_of_its_own(self, store: Store) -> None:
        store.answer(AddSession(session("a"), asked()))
        assert store.answer(AddSession(session("b"), asked(by="key_2", body="other"))) == session("b")
        assert store.answer(AddSession(session("c"), asked("req2", body="other"))) == session("c")

    def test_a_request_is_remembered_until_its_end(self, store: Store) -> None:
        store.answer(AddSession(session("a"), asked(expires_at=NOW + 10)))
        before = replace(session("b"), minted_ms=NOW_MS + 9_999)
        assert store.answer(AddSession(before, asked(expires_at=NOW + 20))) == replace(
            session("a"), digest=before.digest
        )
        after = replace(session("c"), minted_ms=NOW_MS + 10_000)
        assert store.answer(AddSession(after, asked(body="other", expires_at=NOW + 30))) == after
        assert store.answer(AddSession(replace(session("d"), minted_ms=NOW_MS + 10_001), asked())) == Conflict()
        assert store.answer(FindSessionById("as_a")) == replace(session("a"), digest=before.digest)

    def test_a_request_may_be_remembered_for_ever(self, store: Store) -> None:
        store.answer(AddSession(session("a"), asked(expires_at=math.inf)))
        late = replace(session("b"), minted_ms=NOW_MS * 2)
        assert store.answer(AddSession(late, asked())) == replace(session("a"), digest=late.digest)

    def test_a_repeated_request_revives_nothing(self, store: Store) -> None:
        store.answer(AddSession(session("a"), asked()))
        store.answer(RevokeSession("as_a", NOW))
        renewed = replace(session("a"), digest=session("b").digest, revoked_at=NOW)
        assert store.answer(AddSession(session("b"), asked())) == renewed

    def test_a_request_whose_session_is_purged_makes_a_new_one(self, store: Store) -> None:
        store.answer(AddSession(session("a"), asked()))
        assert store.answer(Purge(NEVER, NOW + 2 * HOUR)) == 1
        assert store.answer(AddSession(session("b"), asked())) == session("b")
        assert store.answer(AddSession(session("c"), asked())) == replace(session("b"), digest=session("c").digest)

    # Cut-offs

    def test_a_cutoff_moves_forward_only(self, store: Store) -> None:
        for at_ms in (NOW_MS, NOW_MS - 1, NOW_MS + 1, NOW_MS):
            store.answer(AddCutoff(Cutoff("sub:x", at_ms, NOW)))
        assert store.answer(FindCutoff(("sub:x",))) == NOW_MS + 1

    @pytest.mark.parametrize("ends", [(NOW + 9, NOW), (NOW, NOW + 9), (math.inf, NOW), (NOW, math.inf)])
    def test_the_later_expiry_of_a_cutoff_stays(self, store: Store, ends: tuple[float, float]) -> None:
        for at_ms, expires_at in zip((NOW_MS, NOW_MS - 5), ends, strict=True):
            store.answer(AddCutoff(Cutoff("sub:x", at_ms, expires_at)))
        assert store.answer(Purge(NOW + 8, NEVER)) == 0
        assert store.answer(FindCutoff(("sub:x",))) == NOW_MS
        assert store.answer(Purge(NOW + 10, NEVER)) == (0 if math.inf in ends else 1)

    def test_the_latest_cutoff_among_names(self, store: Store) -> None:
        for late, name in enumerate(("jti:a", "jti:b", "jti:c")):
            store.answer(AddCutoff(Cutoff(name, NOW_MS + late, NOW)))
        assert store.answer(FindCutoff(("jti:a", "jti:x", "jti:b"))) == NOW_MS + 1
        assert store.answer(FindCutoff(("jti:x",))) is None
        assert store.answer(FindCutoff(())) is None

    # Signing keys

    def test_signing_keys_are_listed_by_mode_and_serial(self, store: Store) -> None:
        assert store.answer(ListSigningKeys()) == ()
        other_mode = replace(signing_key("d"), mode="test")
        keys = (signing_key("c"), signing_key("b", serial=2), signing_key("a", serial=10), other_mode)
        for one in reversed(keys):
            assert store.answer(AddSigningKey(one)) is True
        assert store.answer(ListSigningKeys()) == keys

    def test_a_serial_is_taken_once_in_a_mode(self, store: Store) -> None:
        assert store.answer(AddSigningKey(signing_key("a"))) is True
        assert store.answer(AddSigningKey(signing_key("b"))) is False
        assert store.answer(ListSigningKeys()) == (signing_key("a"),)

    def test_a_kid_is_taken_once(self, store: Store) -> None:
        store.answer(AddSigningKey(signing_key("a")))
        with pytest.raises(ValueError, match="kid"):
            store.answer(AddSigningKey(signing_key("a", serial=2)))
        assert store.answer(ListSigningKeys()) == (signing_key("a"),)

    # The purge

    def test_the_purge_drops_what_has_ended(self, store: Store) -> None:
        for name, ends in (("past", NOW - 2), ("edge", NOW), ("live", NOW + HOUR), ("endless", math.inf)):
            store.answer(AddSession(session(name, expires_at=ends), asked(name, expires_at=ends)))
            store.answer(AddCutoff(Cutoff(name, NOW_MS, ends)))
        store.answer(AddSession(session("revoked", expires_at=math.inf)))
        store.answer(RevokeSession("as_revoked", NOW - 1))
        store.answer(AddSession(session("revoked late", expires_at=NOW - 2)))
        store.answer(RevokeSession("as_revoked late", NOW + 5))
        assert store.answer(Purge(NOW, NOW)) == 5
        assert store.answer(Purge(NOW, NOW)) == 0
        for name in ("past", "revoked", "revoked late"):
            assert store.answer(FindSession(session(name).digest)) is None
            assert store.answer(FindSessionById(f"as_{name}")) is None
        for name in ("edge", "live", "endless"):
            assert store.answer(FindSessionById(f"as_{name}")) is not None
            assert store.answer(FindCutoff((name,))) == NOW_MS
        assert store.answer(FindCutoff(("past",))) is None

    def test_the_purge_has_an_instant_for_each(self, store: Store) -> None:
        store.answer(AddSession(session("a", expires_at=NOW), asked(expires_at=NOW)))
        assert store.answer(Purge(NOW + 1, NOW - 1)) == 1
        assert store.answer(FindSessionById("as_a")) is not None
        assert store.answer(Purge(NOW + 1, NOW + 1)) == 1

    def test_the_purge_stops_at_its_limit_of_each(self, store: Store) -> None:
        for number in range(5):
            store.answer(AddSession(session(str(number), expires_at=NOW + number), asked(str(number))))
            store.answer(AddCutoff(Cutoff(str(number), NOW_MS, NOW)))
        went = [store.answer(Purge(NOW + 2 * HOUR, NOW + 2 * HOUR, limit=2)) for _ in range(4)]
        assert went == [6, 6, 3, 0]

    def test_what_is_purged_may_be_kept_anew(self, store: Store) -> None:
        for _ in range(3):
            store.answer(AddSession(session(), asked()))
            store.answer(RevokeSession("as_s", NOW))
            store.answer(AddCutoff(Cutoff("x", NOW_MS, NOW)))
            assert store.answer(Purge(NOW + 2 * HOUR, NOW + 1)) == 3
            assert store.answer(Purge(math.inf, math.inf)) == 0

    # Anybody may ask anything

    @pytest.mark.parametrize("text", ["", "a\0b", "\ud800", "x" * 10_000, "'; DROP TABLE guestpass_sessions; --", "é"])
    def test_text_that_names_nothing_finds_nothing(self, store: Store, text: str) -> None:
        store.answer(AddSession(session()))
        assert store.answer(FindSessionById(text)) is None
        assert store.answer(RevokeSession(text, NOW)) is None
        assert store.answer(FindKeyById(text)) is None
        assert store.answer(ChangeKey(text, Cutoff("x", 1, NOW), revoked_at=NOW)) is None
        assert store.answer(ListKeys(text)) == ()
        assert store.answer(FindCutoff((text, "y"))) is None
        assert store.answer(FindSession(text.encode(errors="replace"))) is None
        assert store.answer(FindKey(text.encode(errors="replace"))) is None

    def test_an_unknown_question_is_a_mistake(self, store: Store) -> None:
        class Weather(Question[str]):
            pass

        for question in (Weather(), Question[str]()):
            with pytest.raises(TypeError, match="question"):
                store.answer(question)

    def test_a_closed_store_cannot_tell(self, store: Store) -> None:
        store.close()
        store.close()
        questions: tuple[Question[Any], ...] = (FindSession(digest("x")), AddSession(session()), ListKeys())
        for question in questions:
            with pytest.raises(StoreUnavailable, match="closed"):
                store.answer(question)
