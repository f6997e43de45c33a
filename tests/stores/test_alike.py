"""No sequence of questions tells the stores apart."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from guestpass.grants import ALL, Grant
from guestpass.inquiry import Question
from guestpass.records import (
    AddCutoff,
    AddKey,
    AddSession,
    AddSigningKey,
    ChangeKey,
    Cutoff,
    FindCutoff,
    FindKey,
    FindKeyById,
    FindSession,
    FindSessionById,
    Idempotency,
    KeyRecord,
    ListKeys,
    ListSigningKeys,
    Purge,
    RevokeSession,
    SessionRecord,
)
from guestpass.stores import Store, open_store

from .samples import signing_key

# Few values of each, so that they meet.
letters = st.sampled_from("ab")
digests = st.sampled_from([b"1", b"2", b"3", b"4"])
instants = st.sampled_from([0.0, 1.0, 1.5, 2.0, 3.0, 4.0])
ends = instants | st.just(float("inf"))
milliseconds = st.sampled_from([0, 999, 1000, 1500, 2000, 4000])
names = st.sampled_from([ALL, frozenset[str](), frozenset({"a"}), frozenset({"a", "ALL"})])
cutoff_names = st.sampled_from(["key:a", "key:b", "account:a:a", "account:a:b", "session:a", "x"])

grants = st.builds(Grant, letters, st.sampled_from(["live", "test"]), names, names, names, ends)
keys = st.builds(KeyRecord, letters, digests, st.just("secret_key"), grants, letters, instants)
session_grants = st.builds(lambda grant, account: replace(grant, accounts=frozenset({account})), grants, letters)
new_sessions = st.builds(SessionRecord, letters, digests, session_grants, letters, milliseconds)
requests = st.builds(Idempotency, letters, letters, st.sampled_from([b"x", b"y"]), ends)
cutoffs = st.builds(Cutoff, cutoff_names, milliseconds, ends)
signing_keys = st.builds(
    lambda kid, serial, mode: replace(signing_key(kid, serial=serial), mode=mode),
    letters,
    st.integers(1, 3),
    st.sampled_from(["live", "test"]),
)

questions: st.SearchStrategy[Question[object]] = st.one_of(
    st.builds(AddSession, new_sessions, st.none() | requests),
    st.builds(FindSession, digests),
    st.builds(FindSessionById, letters),
    st.builds(RevokeSession, letters, instants),
    st.builds(AddCutoff, cutoffs),
    st.builds(FindCutoff, st.lists(cutoff_names, max_size=3).map(tuple)),
    st.builds(Purge, instants, instants),
    st.builds(AddKey, keys),
    st.builds(FindKey, digests),
    st.builds(FindKeyById, letters),
    st.builds(ListKeys, st.none() | letters),
    st.builds(ChangeKey, letters, cutoffs, st.none() | grants, st.none() | grants, st.none() | instants),
    st.builds(AddSigningKey, signing_keys),
    st.just(ListSigningKeys()),
)


def outcome(store: Store, question: Question[object]) -> object:
    try:
        return store.answer(question)
    except ValueError:
        return ValueError


@settings(max_examples=100, deadline=None)
@given(st.lists(questions, min_size=5, max_size=40))
def test_memory_and_sqlite_answer_alike(asked: Sequence[Question[object]]) -> None:
    with TemporaryDirectory() as directory:
        memory, sqlite = open_store("memory://"), open_store(f"sqlite:///{Path(directory) / 'x.db'}")
        for question in asked:
            assert outcome(memory, question) == outcome(sqlite, question)
        for session_id in "ab":
            assert memory.answer(FindSessionById(session_id)) == sqlite.answer(FindSessionById(session_id))
        memory.close()
        sqlite.close()
