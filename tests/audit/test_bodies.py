"""What of a model is the name of something, as it is sent."""

from dataclasses import dataclass
from typing import Annotated, Any, NewType, TypedDict
from uuid import UUID

import msgspec
import pytest
from pydantic import AliasChoices, BaseModel, Field

from guestpass.audit.bodies import has_fields, is_identifier, named_in

Name = NewType("Name", str)


class Model(BaseModel):
    account: Name
    other: int | None = Field(alias="accountId", default=None)
    third: Annotated[str, Field(max_length=3)] = Field(validation_alias=AliasChoices("a", "b"), default="")
    whole: dict[str, str]
    flag: bool = False


class Struct(msgspec.Struct, rename="camel"):
    account_id: str
    notes: list[str]


class Typed(TypedDict):
    account: UUID
    rest: Any


@dataclass
class Data:
    account: "str | None"
    lost: "list[int]"


@dataclass
class Lost:
    account: "Nowhere"  # type: ignore[name-defined]  # noqa: F821 - what nobody can look up


@pytest.mark.parametrize(
    ("model", "names"),
    [
        (Model, ["account", "accountId", "third"]),
        (Model | None, ["account", "accountId", "third"]),
        (Annotated[Struct, "of the body"], ["accountId"]),
        (Typed, ["account"]),
        (Data, ["account"]),
        (Lost, []),
        (str, []),
        (dict[str, str], []),
        (None, []),
        (Any, []),
    ],
)
def test_the_fields_that_name_something(model: object, names: list[str]) -> None:
    assert list(named_in(model)) == names
    assert has_fields(model) == bool(names)


@pytest.mark.parametrize("annotation", [str, int, UUID, str | None, Name, Annotated[Name, 1], int | None])
def test_names_and_numbers_name_something(annotation: object) -> None:
    assert is_identifier(annotation)


@pytest.mark.parametrize("annotation", [bool, float, dict, Model, None, Any, list[str]])
def test_a_thing_itself_does_not(annotation: object) -> None:
    assert not is_identifier(annotation)
