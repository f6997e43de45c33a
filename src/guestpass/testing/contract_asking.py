"""A store's contract: anybody may ask anything."""

from typing import Any

import pytest

from guestpass.errors import StoreUnavailable
from guestpass.inquiry import Question
from guestpass.records import (
    AddCutoff,
    AddSession,
    ChangeKey,
    Ending,
    FindCutoff,
    FindKey,
    FindKeyById,
    FindMinter,
    FindSession,
    FindSessionById,
    ListKeys,
    ReadCutoffs,
    RevokeSession,
    RotateKey,
)
from guestpass.stores import Store
from guestpass.testing.samples import NOW, NOW_MS, digest, session


class AskingContract:
    """Names that no store can hold, questions that are none, and a store that is closed."""

    @pytest.mark.parametrize("text", ["", "a\0b", "\ud800", "x" * 10_000, "'; DROP TABLE guestpass_sessions; --", "é"])
    def test_text_that_names_nothing_finds_nothing(self, store: Store, text: str) -> None:
        store.answer(AddSession(session()))
        assert store.answer(FindSessionById(text)) is None
        assert store.answer(RevokeSession(text, NOW)) is None
        assert store.answer(FindKeyById(text)) is None
        assert store.answer(FindMinter(text)).key is None
        assert store.answer(ChangeKey(text, Ending("x", 1, NOW), revoked_at=NOW)) is None
        assert store.answer(RotateKey(text, digest("x"), NOW)) is None
        assert store.answer(ListKeys(text)) == ()
        assert store.answer(FindCutoff((text, "y"))) is None
        assert store.answer(FindSession(text.encode(errors="replace"))) is None
        assert store.answer(FindKey(text.encode(errors="replace"))) is None

    @pytest.mark.parametrize("name", ["", "é" * 600, "identity:a\x1fb\x1fc", "'; DROP TABLE guestpass_cutoffs; --"])
    def test_whatever_has_a_name_can_be_ended(self, store: Store, name: str) -> None:
        store.answer(AddCutoff(Ending(name, NOW_MS, NOW)))
        assert store.answer(FindCutoff(("other", name))) == NOW_MS
        assert [one.name for one in store.answer(ReadCutoffs(0)).cutoffs] == [name]

    def test_an_unknown_question_is_a_mistake(self, store: Store) -> None:
        class Weather(Question[str]):
            pass

        for question in (Weather(), Question[str]()):
            with pytest.raises(TypeError, match="question"):
                store.answer(question)

    def test_a_closed_store_cannot_tell(self, store: Store) -> None:
        store.answer(ListKeys())
        store.close()
        store.close()
        questions: list[Question[Any]] = [FindSession(digest("x")), AddSession(session()), ListKeys()]
        for question in questions:
            with pytest.raises(StoreUnavailable, match="closed"):
                store.answer(question)
