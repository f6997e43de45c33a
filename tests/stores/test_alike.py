"""No sequence of questions tells the stores apart."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from guestpass.grants import ALL, Grant
from guestpass.inquiry import Question
from guestpass.records import (
    AddCutoff,
    AddKey,
    AddSession,
    AddSigningKey,
    BeginEpoch,
    ChangeKey,
    Cutoff,
    CutoffPage,
    Ending,
    Epoch,
    FindCutoff,
    FindKey,
    FindKeyById,
    FindMinter,
    FindSession,
    FindSessionById,
    Idempotency,
    KeyRecord,
    ListKeys,
    ListSigningKeys,
    Minter,
    NoteUses,
    Purge,
    ReadCutoffs,
    RevokeSession,
    RotateKey,
    SessionRecord,
)
from guestpass.stores import Store, open_store
from guestpass.testing.samples import signing_key

from .postgres_servers import Server

# Few values of each, so that they meet.
letters = st.sampled_from("ab")
digests = st.sampled_from([b"1", b"2", b"3", b"4"])
instants = st.sampled_from([0.0, 1.0, 1.5, 2.0, 3.0, 4.0])
ends = instants | st.just(float("inf"))
milliseconds = st.sampled_from([0, 999, 1000, 1500, 2000, 4000])
names = st.sampled_from([ALL, frozenset[str](), frozenset({"a"}), frozenset({"a", "ALL"})])
cutoff_names = st.sampled_from(["key:a", "key:b", "account:a:a", "account:a:b", "session:a", "x"])

grants = st.builds(Grant, letters, st.sampled_from(["live", "test"]), names, names, names, ends)
keys = st.builds(
    KeyRecord,
    letters,
    digests,
    st.just("secret_key"),
    grants,
    letters,
    instants,
    old_digest=st.none() | digests,
    old_until=ends,
    last_used_at=st.none() | instants,
)
session_grants = st.builds(lambda grant, account: replace(grant, accounts=frozenset({account})), grants, letters)
new_sessions = st.builds(SessionRecord, letters, digests, session_grants, letters, milliseconds)
requests = st.builds(Idempotency, letters, letters, st.sampled_from([b"x", b"y"]), ends)
endings = st.builds(Ending, cutoff_names, st.none() | milliseconds, ends)
signing_keys = st.builds(
    lambda kid, serial, mode: replace(signing_key(kid, serial=serial), mode=mode),
    letters,
    st.integers(1, 3),
    st.sampled_from(["live", "test"]),
)

# Each store has a name of its own for its epoch.
THE_ONE_THERE_IS = "*"

questions: st.SearchStrategy[Question[Any]] = st.one_of(
    st.builds(AddSession, new_sessions, st.none() | requests),
    st.builds(FindSession, digests),
    st.builds(FindSessionById, letters),
    st.builds(RevokeSession, letters, instants),
    st.builds(AddCutoff, endings),
    st.builds(FindCutoff, st.lists(cutoff_names, max_size=3).map(tuple)),
    st.builds(ReadCutoffs, st.integers(0, 6), st.integers(1, 4)),
    st.builds(BeginEpoch, st.sampled_from([THE_ONE_THERE_IS, "another"])),
    st.builds(Purge, instants, instants, st.sampled_from([1, 2, 500])),
    st.builds(AddKey, keys),
    st.builds(FindKey, digests),
    st.builds(FindKeyById, letters),
    st.builds(FindMinter, letters),
    st.builds(ListKeys, st.none() | letters),
    st.builds(ChangeKey, letters, endings, st.none() | grants, st.none() | grants, st.none() | instants),
    st.builds(RotateKey, letters, digests, ends, st.none() | endings),
    st.builds(NoteUses, st.dictionaries(letters, instants)),
    st.builds(AddSigningKey, signing_keys),
    st.just(ListSigningKeys()),
)


class Ticking:
    """A clock that goes on with every question."""

    def __init__(self) -> None:
        self.now = 2.0

    def __call__(self) -> float:
        return self.now


def outcome(store: Store, question: Question[Any]) -> object:
    if question == BeginEpoch(THE_ONE_THERE_IS):
        question = BeginEpoch(store.answer(ReadCutoffs(0)).epoch.id)
    try:
        return told(store.answer(question))
    except ValueError:
        return ValueError


def told(answer: object) -> object:
    """An answer without what is each store's own: the names of its epochs, and the instants of a server's clock."""
    if isinstance(answer, Epoch):
        return replace(answer, id="", started_ms=at(answer.started_ms))
    if isinstance(answer, CutoffPage):
        cutoffs = tuple(cutoff for cutoff in map(told, answer.cutoffs) if isinstance(cutoff, Cutoff))
        epoch = told(answer.epoch)
        return replace(answer, epoch=epoch, cutoffs=cutoffs) if isinstance(epoch, Epoch) else None
    if isinstance(answer, Cutoff):
        return replace(answer, at_ms=at(answer.at_ms))
    if isinstance(answer, Minter):
        return replace(answer, now_ms=at(answer.now_ms))
    return at(answer) if isinstance(answer, int) and not isinstance(answer, bool) else answer


def at(milliseconds: int) -> int:
    # Of the instants that are asked for none is as late as a real clock's.
    return -1 if 10**12 < milliseconds < 10**13 else milliseconds


def compare(memory: Store, other: Store, asked: Sequence[Question[Any]], clock: Ticking | None = None) -> None:
    for question in asked:
        if clock is not None:
            clock.now += 0.25
        assert outcome(memory, question) == outcome(other, question), question
    for one in "ab":
        assert memory.answer(FindSessionById(one)) == other.answer(FindSessionById(one))
        assert memory.answer(FindKeyById(one)) == other.answer(FindKeyById(one))


@settings(max_examples=100, deadline=None)
@given(st.lists(questions, min_size=5, max_size=40))
def test_memory_and_sqlite_answer_alike(asked: Sequence[Question[Any]]) -> None:
    with TemporaryDirectory() as directory:
        clock = Ticking()
        memory = open_store("memory://", clock=clock)
        sqlite = open_store(f"sqlite:///{Path(directory) / 'x.db'}", clock=clock)
        compare(memory, sqlite, asked, clock)
        memory.close()
        sqlite.close()


def test_memory_and_postgresql_answer_alike(postgres: Server, postgres_url: str) -> None:
    store = open_store(postgres_url, wait=10)

    @settings(max_examples=50, deadline=None)
    @given(st.lists(questions, min_size=5, max_size=40))
    def no_difference(asked: Sequence[Question[Any]]) -> None:
        postgres.empty()
        memory = open_store("memory://")
        compare(memory, store, asked)
        memory.close()

    no_difference()
    store.close()
