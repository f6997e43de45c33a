"""A store's contract: API keys."""

import math
from dataclasses import replace

import pytest

from guestpass.grants import ALL, Grant
from guestpass.records import (
    AddCutoff,
    AddKey,
    AddSession,
    ChangeKey,
    Ending,
    FindCutoff,
    FindKey,
    FindKeyById,
    FindMinter,
    FindSession,
    KeyRecord,
    ListKeys,
    NoteUses,
    RotateKey,
)
from guestpass.stores import Store
from guestpass.testing.samples import HOUR, NOW, NOW_MS, digest, key, session, some

ENDING = Ending("key:key_k", NOW_MS, NOW + HOUR)


class KeyContract:
    """Keys are kept, looked at, changed, rotated and listed."""

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

    @pytest.mark.parametrize("old_until", [NOW + 0.5, math.inf])
    def test_a_key_comes_back_with_its_older_secret_and_its_last_use(self, store: Store, old_until: float) -> None:
        kept = replace(key(), old_digest=digest("older"), old_until=old_until, last_used_at=NOW - 0.5, revoked_at=NOW)
        store.answer(AddKey(kept))
        assert store.answer(FindKey(digest("older"))) == kept == store.answer(FindKey(kept.digest))

    def test_an_unknown_key_is_none(self, store: Store) -> None:
        store.answer(AddKey(key()))
        assert store.answer(FindKey(digest("other"))) is None
        assert store.answer(FindKeyById("key_other")) is None
        assert store.answer(FindMinter("key_other")).key is None

    @pytest.mark.parametrize(
        "clash",
        [
            replace(key("b"), id="key_a"),
            replace(key("b"), digest=digest("a")),
            replace(key("b"), digest=digest("older")),
            replace(key("b"), old_digest=digest("a")),
            replace(key("b"), old_digest=digest("older")),
        ],
    )
    def test_a_key_is_kept_once(self, store: Store, clash: KeyRecord) -> None:
        first = replace(key("a"), old_digest=digest("older"), old_until=NOW)
        store.answer(AddKey(first))
        with pytest.raises(ValueError, match="digest"):
            store.answer(AddKey(clash))
        assert store.answer(ListKeys()) == (first,)

    def test_keys_are_listed_oldest_first(self, store: Store) -> None:
        late, early = key("a", created_at=NOW + 1), key("b", created_at=NOW)
        other = key("c", platform="other", created_at=NOW + 2)
        for one in (other, late, early):
            store.answer(AddKey(one))
        assert store.answer(ListKeys()) == (early, late, other)
        assert store.answer(ListKeys("plat")) == (early, late)
        assert store.answer(ListKeys("nobody")) == ()

    def test_keys_of_one_instant_are_listed_by_id(self, store: Store) -> None:
        for name in "bAa_B":
            store.answer(AddKey(key(name)))
        assert [one.name for one in store.answer(ListKeys())] == ["A", "B", "_", "a", "b"]

    # Looking at the one who mints

    def test_a_minter_is_the_key_and_an_instant_from_before_it_was_read(self, store: Store) -> None:
        store.answer(AddKey(key()))
        before = store.answer(FindMinter("key_k"))
        between = store.answer(AddCutoff(Ending("key:key_k", None, NOW)))
        after = store.answer(FindMinter("key_k"))
        assert before.key == after.key == key()
        assert before.now_ms <= between.at_ms <= after.now_ms

    @pytest.mark.parametrize("unknown", ["key_other", "a\0b"])
    def test_whose_key_is_kept_elsewhere_mints_by_the_clock_of_this_store(self, store: Store, unknown: str) -> None:
        before = store.answer(AddCutoff(Ending("x", None, NOW)))
        looked = store.answer(FindMinter(unknown))
        after = store.answer(AddCutoff(Ending("y", None, NOW)))
        assert looked.key is None
        assert before.at_ms <= looked.now_ms <= after.at_ms

    # Changing

    def test_a_key_is_narrowed_and_what_it_minted_ends_in_one_step(self, store: Store) -> None:
        store.answer(AddKey(key()))
        store.answer(AddSession(session()))
        grant = replace(key().grant, accounts=some("acct_1"), expires_at=NOW + 5)
        changed = store.answer(ChangeKey("key_k", ENDING, grant=grant))
        assert changed == replace(key(), grant=grant) == store.answer(FindKey(key().digest))
        assert store.answer(FindCutoff(("key:key_k",))) == NOW_MS
        assert store.answer(FindSession(session().digest)) == session()

    def test_a_key_whose_grant_was_changed_meanwhile_is_left_as_it_is(self, store: Store) -> None:
        store.answer(AddKey(key()))
        first = replace(key().grant, accounts=some("acct_1"))
        second = replace(key().grant, accounts=some("acct_2"))
        changed = store.answer(ChangeKey("key_k", ENDING, expected=key().grant, grant=first))
        assert changed == replace(key(), grant=first)
        late = replace(ENDING, at_ms=NOW_MS + 5)
        assert store.answer(ChangeKey("key_k", late, expected=key().grant, grant=second)) == changed
        assert store.answer(FindCutoff(("key:key_k",))) == NOW_MS

    def test_a_key_that_is_revoked_twice_keeps_the_first_instant(self, store: Store) -> None:
        store.answer(AddKey(key()))
        revoked = replace(key(), revoked_at=NOW)
        assert store.answer(ChangeKey("key_k", ENDING, revoked_at=NOW)) == revoked
        assert store.answer(ChangeKey("key_k", replace(ENDING, at_ms=NOW_MS + 5), revoked_at=NOW + 9)) == revoked
        assert store.answer(FindCutoff(("key:key_k",))) == NOW_MS + 5

    def test_each_change_leaves_the_other_alone(self, store: Store) -> None:
        store.answer(AddKey(key()))
        grant = Grant("plat", "live", some("acct_1"))
        store.answer(ChangeKey("key_k", ENDING, revoked_at=NOW))
        changed = replace(key(), revoked_at=NOW, grant=grant)
        assert store.answer(ChangeKey("key_k", ENDING, grant=grant)) == changed
        assert store.answer(ChangeKey("key_k", ENDING)) == changed

    def test_an_unknown_key_is_not_changed_and_ends_nothing(self, store: Store) -> None:
        assert store.answer(ChangeKey("key_k", ENDING, revoked_at=NOW)) is None
        assert store.answer(RotateKey("key_k", digest("new"), NOW, ENDING)) is None
        assert store.answer(FindCutoff(("key:key_k",))) is None

    # Rotating

    def test_a_key_has_two_secrets_after_a_rotation(self, store: Store) -> None:
        store.answer(AddKey(key()))
        rotated = replace(key(), digest=digest("new"), old_digest=key().digest, old_until=NOW + 60)
        assert store.answer(RotateKey("key_k", digest("new"), NOW + 60)) == rotated
        assert store.answer(FindKey(digest("new"))) == store.answer(FindKey(key().digest)) == rotated
        assert store.answer(FindCutoff(("key:key_k",))) is None

    def test_of_three_secrets_the_first_is_forgotten(self, store: Store) -> None:
        store.answer(AddKey(key()))
        store.answer(RotateKey("key_k", digest("second"), NOW + 60))
        third = store.answer(RotateKey("key_k", digest("third"), math.inf))
        assert third is not None
        assert (third.digest, third.old_digest, third.old_until) == (digest("third"), digest("second"), math.inf)
        assert store.answer(FindKey(key().digest)) is None
        assert store.answer(FindKey(digest("second"))) == store.answer(FindKey(digest("third"))) == third

    def test_a_rotation_may_end_what_the_key_minted(self, store: Store) -> None:
        store.answer(AddKey(key()))
        store.answer(RotateKey("key_k", digest("new"), 0.0, ENDING))
        assert store.answer(FindCutoff(("key:key_k",))) == NOW_MS

    @pytest.mark.parametrize("taken", ["k", "older", "o", "other's older"])
    def test_a_rotation_takes_no_secret_that_there_is(self, store: Store, taken: str) -> None:
        mine = replace(key(), old_digest=digest("older"), old_until=NOW)
        other = replace(key("o"), old_digest=digest("other's older"), old_until=NOW)
        store.answer(AddKey(mine))
        store.answer(AddKey(other))
        with pytest.raises(ValueError, match="digest"):
            store.answer(RotateKey("key_k", digest(taken), NOW + 60, ENDING))
        assert store.answer(ListKeys()) == (mine, other)
        assert store.answer(FindCutoff(("key:key_k",))) is None

    def test_a_forgotten_secret_may_be_taken_again(self, store: Store) -> None:
        store.answer(AddKey(key()))
        for name in ("second", "third", "k"):
            store.answer(RotateKey("key_k", digest(name), NOW))
        found = store.answer(FindKey(key().digest))
        assert found is not None
        assert found.old_digest == digest("third")

    # Uses

    def test_the_last_use_never_goes_back(self, store: Store) -> None:
        for name in "ab":
            store.answer(AddKey(key(name)))
        store.answer(NoteUses({"key_a": NOW, "key_b": NOW + 1.5, "key_unknown": NOW, "\0": NOW}))
        store.answer(NoteUses({"key_a": NOW + 7, "key_b": NOW + 1}))
        store.answer(NoteUses({}))
        assert [one.last_used_at for one in store.answer(ListKeys())] == [NOW + 7, NOW + 1.5]

    def test_a_change_keeps_the_last_use_and_both_secrets(self, store: Store) -> None:
        kept = replace(key(), old_digest=digest("older"), old_until=NOW, last_used_at=NOW)
        store.answer(AddKey(kept))
        assert store.answer(ChangeKey("key_k", ENDING, revoked_at=NOW)) == replace(kept, revoked_at=NOW)
        store.answer(NoteUses({"key_k": NOW + 1}))
        rotated = store.answer(RotateKey("key_k", digest("new"), NOW + 60))
        assert rotated is not None
        assert (rotated.last_used_at, rotated.revoked_at) == (NOW + 1, NOW)
