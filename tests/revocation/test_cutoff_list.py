"""Names, and one store's list of cut-offs."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestpass.grants import ALL, Grant
from guestpass.principal import Principal
from guestpass.records import Cutoff, Epoch
from guestpass.revocation.cutoff_list import (
    FOREVER_MS,
    RevocationList,
    credential_name,
    identity_name,
    minted_ms,
    names_of,
    own_name,
)

EPOCH = Epoch("e1", 1_000, after_loss=False)


def principal(kind: str = "signed_token", *, issued_at: float = 2.0, account: str | None = "acct_1") -> Principal:
    accounts = frozenset[str]() if account is None else frozenset({account})
    return Principal(kind, "sub", Grant("plat", "live", accounts), "id_1", "iss", "key_1", issued_at)


def cutoff(name: str, at_ms: int = 5_000, expires_at: float = 100.0) -> Cutoff:
    return Cutoff(name, at_ms, expires_at)


def test_what_can_end_whom() -> None:
    shared = {"account:plat:acct_1", "key:key_1"}
    session, token = principal("account_session"), principal()
    assert set(names_of(session)) == shared | {"session:id_1", identity_name(session.identity)}
    assert set(names_of(token)) == shared | {
        "token:plat:id_1",
        "subject:plat:sub:acct_1",
        "kid:",
        identity_name(token.identity),
    }
    outside = principal("identity_token").but(minted_by="")
    assert set(names_of(outside)) == {
        "account:plat:acct_1",
        credential_name("identity_token", "iss", "id_1"),
        identity_name(outside.identity),
    }
    assert names_of(principal("secret_key")) == names_of(principal("publishable_key")) == ("key:id_1",)


def test_a_principal_of_several_accounts_ends_with_each_of_them_and_one_of_all_with_none() -> None:
    several = principal().but(grant=Grant("plat", "live", frozenset({"a", "b"})))
    assert {"account:plat:a", "account:plat:b"} < set(names_of(several))
    everywhere = principal().but(grant=Grant("plat", "live", ALL))
    assert not any(name.startswith("account:") for name in names_of(everywhere))


def test_a_key_has_no_name_of_its_own_that_could_end_it() -> None:
    with pytest.raises(ValueError, match=r"ApiKeys\.revoke"):
        own_name(principal("secret_key"))


TEXTS = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=6)


@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS), min_size=2, max_size=2, unique=True))
def test_no_two_credentials_share_a_name(two: list[tuple[str, str, str]]) -> None:
    assert credential_name(*two[0]) != credential_name(*two[1])
    one, other = ((kind, issuer, "plat", None, subject) for kind, issuer, subject in two)
    assert identity_name(one) != identity_name(other)


def test_what_was_minted_at_the_cut_off_or_before_has_ended() -> None:
    listed = RevocationList()
    listed.begin(EPOCH)
    listed.note([cutoff("key:key_1", 5_000)])
    for seconds, ended in ((4.999, True), (5.0, True), (5.001, False)):
        who = principal(issued_at=seconds)
        assert listed.has_ended(who, names_of(who), signed_here=True) is ended


@given(st.integers(1, FOREVER_MS // 1_000), st.integers(0, 999))
def test_milliseconds_survive_their_way_through_seconds(seconds: int, milliseconds: int) -> None:
    instant = min(seconds, 4_000_000_000) * 1_000 + milliseconds
    assert minted_ms(principal(issued_at=instant / 1_000)) == instant


@pytest.mark.parametrize(
    ("kind", "issued_at", "after_loss", "signed_here", "ended"),
    [
        ("signed_token", 0.999, False, True, True),
        ("signed_token", 1.0, False, True, False),
        ("signed_token", 0.999, False, False, False),
        ("account_session", 0.999, False, False, False),
        ("account_session", 0.999, True, False, True),
        ("identity_token", 0.999, True, False, True),
        ("identity_token", 0.0, True, False, True),
        ("identity_token", 0.0, False, False, False),
        ("gate_pass", 0.999, True, False, True),
        ("gate_pass", 0.0, True, False, False),
    ],
)
def test_what_is_older_than_a_list_that_was_lost(
    kind: str, issued_at: float, after_loss: bool, signed_here: bool, ended: bool
) -> None:
    listed = RevocationList()
    listed.begin(replace(EPOCH, after_loss=after_loss))
    who = principal(kind, issued_at=issued_at)
    assert listed.has_ended(who, names_of(who), signed_here=signed_here) is ended


def test_before_anything_was_read_nothing_is_known_to_have_ended() -> None:
    who = principal()
    assert not RevocationList().has_ended(who, names_of(who), signed_here=True)


def test_news_are_of_their_names_alone() -> None:
    listed = RevocationList()
    listed.begin(EPOCH)
    start = listed.version
    assert listed.note([cutoff("a"), cutoff("b")]) == {"a", "b"}
    assert listed.changed(["x", "b"], start)
    assert not listed.changed(["x"], start)
    then = listed.version
    assert then > start
    assert listed.note([cutoff("a", 9_000)]) == {"a"}
    assert listed.changed(["a"], then)
    assert not listed.changed(["b"], then)
    assert listed.note([]) == frozenset()


def test_the_same_cut_off_again_is_news_since_something_else_may_have_changed() -> None:
    listed = RevocationList()
    listed.note([cutoff("key:k")])
    then = listed.version
    assert listed.note([cutoff("key:k")]) == {"key:k"}
    assert listed.changed(["key:k"], then)


def test_another_epoch_is_news_to_everybody() -> None:
    listed = RevocationList()
    listed.begin(EPOCH)
    listed.note([cutoff("a")])
    then = listed.version
    listed.begin(replace(EPOCH, id="e2"))
    assert listed.changed(["whoever"], then)
    assert not listed.changed(["whoever"], listed.version)


def test_what_has_ended_stays_so_in_another_epoch() -> None:
    listed = RevocationList()
    listed.begin(EPOCH)
    listed.note(
        [cutoff("key:a", FOREVER_MS), cutoff("kid:b", FOREVER_MS), cutoff("key:c"), cutoff("session:d", FOREVER_MS)]
    )
    listed.begin(replace(EPOCH, id="e2", after_loss=True))
    assert listed.latest(["key:a"]) == FOREVER_MS
    assert [one.name for one in listed.lasting()] == ["key:a", "kid:b"]


@pytest.mark.parametrize(("at_ms", "ended"), [(FOREVER_MS, True), (FOREVER_MS - 1, False), (0, False)])
def test_a_key_has_ended_only_where_it_was_revoked(at_ms: int, ended: bool) -> None:
    listed = RevocationList()
    listed.begin(replace(EPOCH, after_loss=True))
    listed.note([cutoff("key:id_1", at_ms)])
    key = principal("secret_key", issued_at=0.0)
    assert listed.has_ended(key, names_of(key), signed_here=False) is ended


def test_news_that_end_nothing_do_not_end_what_says_no_time_either() -> None:
    listed = RevocationList()
    listed.begin(EPOCH)
    listed.note([cutoff("key:key_1", 0)])
    who = principal("gate_pass", issued_at=0.0)
    assert not listed.has_ended(who, names_of(who), signed_here=False)


def test_a_principal_that_was_narrowed_ends_as_what_it_was() -> None:
    several = principal("identity_token").but(grant=Grant("plat", "live", frozenset({"a", "b"})))
    narrowed = several.held_to("a")
    assert names_of(narrowed) == names_of(several)
    assert narrowed.identity == several.identity
    assert narrowed.account == "a"


def test_news_that_end_nothing_are_news_each_time_and_move_no_cut_off() -> None:
    listed = RevocationList()
    assert listed.note([cutoff("session:s", 0)]) == {"session:s"}
    assert listed.note([cutoff("session:s", 0)]) == {"session:s"}
    listed.note([cutoff("session:s", 7)])
    assert listed.note([cutoff("session:s", 0)]) == {"session:s"}
    assert listed.latest(["session:s"]) == 7


def test_a_cut_off_never_moves_back() -> None:
    listed = RevocationList()
    listed.note([cutoff("a", 9), cutoff("a", 4)])
    assert listed.latest(["a", "b"]) == 9
    assert listed.latest(["b"]) is None


def test_what_need_not_be_remembered_is_dropped() -> None:
    listed = RevocationList()
    listed.note([cutoff("a", expires_at=9.9), cutoff("b", expires_at=10.0), cutoff("c", expires_at=math.inf)])
    listed.drop(10.0)
    assert len(listed) == 2
    assert listed.latest(["a"]) is None
