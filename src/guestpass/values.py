"""Values that came from outside, narrowed to a type whose contents are still unknown."""

from collections.abc import Collection, Mapping
from typing import cast


def as_mapping(value: object) -> Mapping[object, object] | None:
    """`value` if it is a mapping, else None."""
    return cast("Mapping[object, object]", value) if isinstance(value, Mapping) else None


def as_collection(value: object) -> Collection[object] | None:
    """`value` if it is a list, a set or the like, else None; a text is none, nor is a mapping."""
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Collection):
        return None
    return cast("Collection[object]", value)
