"""What stands in something that a handler takes as a whole: a model of pydantic's, a dataclass, a struct, a typed dict.

Knows how these say their fields, and no framework.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Union, cast, get_args, get_origin, get_type_hints, is_typeddict
from uuid import UUID


def named_in(taken: object) -> Iterator[str]:
    """The fields of a model that hold a name or a number, as they are sent; nothing for what has no fields."""
    for arm in _arms(taken):
        if isinstance(arm, type):
            yield from (name for name, annotation in _fields(arm) if is_identifier(annotation))


def has_fields(taken: object) -> bool:
    """Whether it is taken as a whole."""
    return any(isinstance(arm, type) and next(iter(_fields(arm)), None) is not None for arm in _arms(taken))


def is_identifier(annotation: object) -> bool:
    """Whether it can be the name of something, and not the thing itself."""
    return any(
        isinstance(arm, type) and issubclass(arm, str | int | UUID) and arm is not bool for arm in _arms(annotation)
    )


def _arms(annotation: object) -> Iterator[object]:
    """What an annotation comes to, without what it is annotated with, renamed to, or may be instead."""
    origin: Any = get_origin(annotation)
    if origin is Annotated:
        yield from _arms(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for arm in get_args(annotation):
            yield from _arms(arm)
    elif (renamed := getattr(annotation, "__supertype__", None)) is not None:
        yield from _arms(renamed)
    else:
        yield annotation


def _fields(model: type) -> Iterator[tuple[str, object]]:
    pydantic: object = getattr(model, "model_fields", None)
    if isinstance(pydantic, Mapping):
        for name, field in cast("Mapping[str, Any]", pydantic).items():
            alias = field.validation_alias or field.alias
            yield (alias if isinstance(alias, str) else name), field.annotation
        return
    struct: Iterable[str] | None = getattr(model, "__struct_fields__", None)
    told = struct is not None or is_typeddict(model)
    if not told and not hasattr(model, "__dataclass_fields__") and not hasattr(model, "__attrs_attrs__"):
        return
    try:
        hints = get_type_hints(model)
    except (NameError, TypeError):
        # Written as text, with names that are nowhere to be had.
        return
    sent = dict(zip(struct or (), getattr(model, "__struct_encode_fields__", ()), strict=False))
    yield from ((sent.get(name, name), annotation) for name, annotation in hints.items())
