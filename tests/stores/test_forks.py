"""A store that is open when its process forks goes on in both, and loses nothing."""

import pytest

from guestpass.errors import StoreUnavailable
from guestpass.records import FindSessionById, ListKeys
from guestpass.stores import open_store
from guestpass.stores.sql import SqlStore

from .conftest import Opened
from .running import run


def test_a_process_may_fork_while_it_writes(url: str, opened: Opened) -> None:
    ids = run("fork", url)
    assert len(ids) == len(set(ids))
    assert {f"as_child {child} {number}" for child in range(6) for number in range(5)} <= set(ids)
    assert all(opened().answer(FindSessionById(one)) for one in ids)


def test_a_child_loses_nothing_when_its_parent_closes(url: str, opened: Opened) -> None:
    ids = run("orphan", url)
    assert ids == ["as_parent", "as_child before", "as_child after"]
    assert all(opened().answer(FindSessionById(one)) for one in ids)


def test_a_child_forked_amid_a_hanging_question_answers_nothing(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened()
    monkeypatch.setattr(SqlStore, "_patience", 0.0)
    with store._gate:
        store.before_fork()
    store.after_fork_in_child()
    with pytest.raises(StoreUnavailable, match="fork again"):
        store.answer(ListKeys())


def test_a_process_may_fork_while_it_writes_to_postgresql(postgres_url: str) -> None:
    store = open_store(postgres_url, wait=10)
    for program in ("fork", "orphan"):
        ids = run(program, postgres_url)
        assert len(ids) == len(set(ids)) >= 3
        assert all(store.answer(FindSessionById(one)) for one in ids)
    store.close()


def test_each_process_goes_on_with_a_copy() -> None:
    told = run("fork", "memory://")
    assert {f"as_child {child} {number}" for child in range(6) for number in range(5)} <= set(told)
    assert told[-1] == "as_last"
