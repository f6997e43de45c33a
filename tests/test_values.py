"""Values from outside, narrowed; and values that many requests share, frozen."""

import copy
import json
import pickle
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest

from guestpass.values import as_collection, as_mapping, frozen

DATA: dict[str, Any] = {"a": [1, {"b": [None, True]}], "c": {"d": "e"}}


def test_what_is_frozen_cannot_be_changed_and_reads_as_before() -> None:
    kept: Any = frozen(DATA)
    assert json.loads(json.dumps(kept)) == DATA
    changes: list[Callable[[], object]] = [
        lambda: kept.__setitem__("a", 1),
        lambda: kept.__delitem__("a"),
        lambda: kept["c"].update(d=1),
        lambda: kept["a"][1].clear(),
        lambda: kept.pop("a"),
        lambda: kept.popitem(),
        lambda: kept.setdefault("z", 1),
        lambda: kept.__ior__({"z": 1}),
        lambda: kept["a"].__setitem__(0, 7),
    ]
    for change in changes:
        with pytest.raises((TypeError, AttributeError)):
            change()
    assert json.loads(json.dumps(kept)) == DATA


def test_a_copy_of_it_can_be_changed() -> None:
    kept: Any = frozen(DATA)
    mine = copy.deepcopy(kept)
    mine["c"]["d"] = "changed"
    assert kept["c"]["d"] == "e"
    assert pickle.loads(pickle.dumps(kept)) == kept


def test_a_mapping_is_no_collection_and_a_text_is_neither() -> None:
    assert as_mapping(MappingProxyType({"a": 1})) == {"a": 1}
    collections: tuple[Any, ...] = ([1], {1}, (1,), frozenset({1}))
    for value in collections:
        assert as_mapping(value) is None
        assert as_collection(value) == value
    others: tuple[Any, ...] = ("ab", b"ab", {"a": 1}, 7, None, iter([1]))
    for value in others:
        assert as_collection(value) is None
