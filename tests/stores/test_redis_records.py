"""What the Redis store makes of a record comes back as the record, and what it did not make as nothing."""

import math
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from guestpass.grants import ALL, Grant, Names
from guestpass.stores import redis_records as records
from guestpass.stores.redis_records import Reply, Unreadable
from guestpass.testing.samples import NOW, NOW_MS, digest, key, session, signing_key

texts = st.text(st.characters(exclude_categories=()), max_size=8)
instants = st.floats(allow_nan=False)
names: st.SearchStrategy[Names] = st.one_of(st.just(ALL), st.frozensets(texts, max_size=3))
grants = st.builds(
    Grant,
    platform=texts,
    mode=st.sampled_from(["live", "test"]),
    accounts=names,
    components=names,
    roles=names,
    expires_at=instants,
)


def octets(part: bytes | str) -> bytes:
    return part.encode() if isinstance(part, str) else part


@given(grants, texts, st.frozensets(texts, max_size=3), instants, st.none() | instants)
def test_a_key_comes_back(grant: Grant, name: str, origins: frozenset[str], at: float, maybe: float | None) -> None:
    old = None if maybe is None else digest(name)
    kept = replace(key(), id=name, name=name, grant=grant, origins=origins, created_at=at, revoked_at=maybe)
    kept = replace(kept, old_digest=old, old_until=at, last_used_at=maybe)
    assert records.key_record([octets(part) for part in records.key_fields(kept)]) == kept


@given(grants, texts, texts, st.integers(0, 2**53 - 1), st.none() | instants)
def test_a_session_comes_back(grant: Grant, name: str, account: str, at_ms: int, maybe: float | None) -> None:
    grant = replace(grant, accounts=frozenset((account,)))
    kept = replace(session(), id=name, grant=grant, minted_by=name, minted_ms=at_ms, revoked_at=maybe)
    assert records.session_record(kept.digest, records.session_text(kept).encode()) == kept


def test_a_signing_key_comes_back() -> None:
    assert records.signing_key_record(records.signing_key_text(signing_key()).encode()) == signing_key()


@given(texts)
def test_any_text_is_a_name(name: str) -> None:
    assert records.text(records.octets(name)) == name


@given(grants, grants)
@example(Grant("plat", "live", expires_at=0.0), Grant("plat", "live", expires_at=-0.0))
def test_two_grants_have_one_text_if_they_are_one(one: Grant, other: Grant) -> None:
    assert (records.grant_text(one) == records.grant_text(other)) is (one == other)


@pytest.mark.parametrize(
    ("ends_at", "milliseconds"),
    [
        (NOW + 1, "172801000"),
        (NOW + 0.0009, "172800000"),
        (NOW - 99, "172800000"),
        (-math.inf, "172800000"),
        (math.inf, ""),
        (1e300, ""),
    ],
)
def test_what_ends_drops_out_two_days_after(ends_at: float, milliseconds: str) -> None:
    assert records.life_ms(ends_at, NOW_MS) == milliseconds


@pytest.mark.parametrize(
    "reply", [None, 1, [], b"\xff", b"x", [b"id"], [b"id", b"x"], [None, None], [b"a", b"b", b"c"]]
)
def test_what_is_not_ours_is_not_read(reply: Reply) -> None:
    with pytest.raises(Unreadable):
        records.session_record(digest("x"), reply)
    with pytest.raises(Unreadable):
        records.key_record(reply)
    with pytest.raises(Unreadable):
        records.signing_key_record(reply)
    with pytest.raises(Unreadable):
        records.cutoff_of(b"name", reply)
    with pytest.raises(Unreadable):
        records.epoch_record([b"id", reply, reply])


def test_a_set_of_names_is_a_list() -> None:
    with pytest.raises(Unreadable):
        records.session_record(digest("x"), b'inf\n\n["a","p","live","acct","k",1]\n5\n[]')


def test_an_answer_of_parts_has_parts() -> None:
    with pytest.raises(Unreadable):
        records.items(b"one")
    with pytest.raises(Unreadable):
        records.text(5)
