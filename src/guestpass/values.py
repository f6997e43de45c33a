"""Values that came from outside: narrowed to a type whose contents are still unknown, or frozen to be shared."""

import copy
from collections.abc import Collection, Mapping
from typing import Any, NoReturn, cast


def as_mapping(value: object) -> Mapping[object, object] | None:
    """`value` if it is a mapping, else None."""
    return cast("Mapping[object, object]", value) if isinstance(value, Mapping) else None


def as_collection(value: object) -> Collection[object] | None:
    """`value` if it is a list, a set or the like, else None; a text is none, nor is a mapping."""
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Collection):
        return None
    return cast("Collection[object]", value)


class FrozenDict(dict[str, object]):
    """A dictionary that stays as it is, so that many requests can share it; `json.dumps` takes it as any other."""

    def _stay(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("this is shared between requests: change a copy of it, copy.deepcopy(…)")

    __setitem__ = __delitem__ = __ior__ = cast("Any", _stay)
    clear = pop = popitem = setdefault = update = cast("Any", _stay)

    def __reduce__(self) -> tuple[object, ...]:
        return (FrozenDict, (dict(self),))

    def __deepcopy__(self, memo: dict[int, object]) -> dict[str, object]:
        return {name: copy.deepcopy(value, memo) for name, value in self.items()}


def frozen(value: object) -> object:
    """JSON data that cannot be changed: objects as `FrozenDict`, arrays as tuples."""
    mapping = as_mapping(value)
    if mapping is not None:
        return FrozenDict({str(name): frozen(one) for name, one in mapping.items()})
    if isinstance(value, list):
        return tuple(frozen(one) for one in cast("list[object]", value))
    return value
