"""Which rule a path is for.

The rules of one method by shape: for each pattern of literal places one dictionary, looked up with the path's segments
at these places, the heaviest shape first. So the cost follows the number of shapes of one length, not of rules. Knows
rules and paths, and nothing of what a rule needs.
"""

import itertools
import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Final, TypeAlias, cast

from guestpass.rules import Rule

_Key: TypeAlias = Callable[[Sequence[str]], Hashable]


@dataclass(frozen=True, slots=True, eq=False)
class RouteRule:
    """A rule, and exactly the requests that it is for here: its methods and, where the route is stricter than the
    rule's path, a regular expression for paths. `closed`: it lets nobody in, nor does another route's rule.

    `simple`: all that it reads of a request, besides the account header, is its path; `account_at` is the place of the
    segment that names the account, counted as `path.split("/")` does, 0 where none does; `account_alone` where that is
    the one segment that the rule leaves open.
    """

    rule: Rule
    methods: frozenset[str]
    stricter: re.Pattern[str] | None = None
    closed: bool = False
    template: str = ""
    simple: bool = field(init=False)
    account_at: int = field(init=False)
    account_alone: bool = field(init=False)

    def __post_init__(self) -> None:
        rule = self.rule
        at = [rule.parameters.index(place.name) + 1 for place in rule.places if place.where == "path"]
        object.__setattr__(self, "simple", not rule.public and len(at) == len(rule.places) <= 1)
        object.__setattr__(self, "account_at", at[0] if at else 0)
        alone = bool(at) and not rule.rest and rule.segments.count(None) == 1
        object.__setattr__(self, "account_alone", alone)


SEVERAL: Final = RouteRule(Rule("* /{...}", public=True, reason="it takes a closer look"), frozenset())
"""In place of several rules, of which one is meant: nobody is let in by it."""


@dataclass(slots=True)
class _Shape:
    """The rules whose literals stand at the same places. `alone`: no shape that is as heavy is looked at after it."""

    weight: tuple[int, bool, int]
    key: _Key
    rules: dict[Hashable, list[RouteRule]]
    alone: bool = True

    def plain(self) -> dict[Hashable, RouteRule]:
        """The rules that are for every path with their literals: no other of their weight is, and none is stricter."""
        return {
            key: rules[0] if self.alone and len(rules) == 1 and rules[0].stricter is None else SEVERAL
            for key, rules in self.rules.items()
        }


class RuleTable:
    """The rules of one method. Of two for one path that are equal in weight a closed one counts."""

    def __init__(self, routes: Iterable[RouteRule]) -> None:
        self.literal: Final[dict[str, RouteRule]] = {}
        """The rules without parameters, by their path."""
        shapes: dict[tuple[tuple[int, ...], int, bool], _Shape] = {}
        for route in routes:
            rule = route.rule
            places = tuple(place for place, segment in enumerate(rule.segments, 1) if segment is not None)
            if rule.literal is not None:
                self.literal.setdefault(rule.literal, route)
                continue
            shape = shapes.setdefault((places, len(rule.segments), rule.rest), _Shape(rule.weight, _at(places), {}))
            shape.rules.setdefault(shape.key(["", *(segment or "" for segment in rule.segments)]), []).append(route)
        ordered = sorted(shapes.items(), key=lambda one: one[1].weight, reverse=True)
        self._longest = max((length for _, length, _ in shapes), default=0) + 2
        self._by_length = [_of_length(ordered, length) for length in range(self._longest + 1)]
        self.plain: Final = [[(shape.key, shape.plain()) for shape in shapes] for shapes in self._by_length]
        """The rules with parameters by the number of the path's parts, the last for all longer ones: what to look them
        up by, heaviest first, and `SEVERAL` where that alone does not tell which is meant."""

    def find(self, path: str) -> RouteRule | None:
        """The rule for a path, None where there is none."""
        found = self.literal.get(path)
        if found is not None:
            return found
        # The application's root without its slash is read like the one with it.
        segments = path.split("/") if path else ("", "")
        parts = len(segments)
        for key, rules in self.plain[parts if parts < self._longest else -1]:
            found = rules.get(key(segments))
            if found is not None:
                break
        else:
            return None
        return self._among(segments, path) if found is SEVERAL or not path or "//" in path + "/" else found

    def _among(self, segments: Sequence[str], path: str) -> RouteRule | None:
        found, weight = None, None
        for shape in self._by_length[min(len(segments), self._longest)]:
            if weight is not None and shape.weight != weight:
                break
            for route in shape.rules.get(shape.key(segments), ()):
                if _fits(route, segments, path):
                    if route.closed or shape.alone:
                        return route
                    found, weight = found or route, shape.weight
                    break
        return found


def tables(routes: Sequence[RouteRule]) -> Mapping[str, RuleTable]:
    """The table of each method."""
    methods = {method for route in routes for method in route.methods}
    return {method: RuleTable(route for route in routes if method in route.methods) for method in methods}


def find(by_method: Mapping[str, RuleTable], method: str, path: str) -> RouteRule | None:
    """The rule for a request, None where there is none."""
    table = by_method.get(method)
    return None if table is None else table.find(path)


def _at(places: Sequence[int]) -> _Key:
    """What stands at these places, in a form to look it up by."""
    return cast("_Key", itemgetter(*places)) if places else _nothing


def _nothing(_: Sequence[str]) -> Hashable:
    return ()


def _of_length(shapes: Sequence[tuple[tuple[tuple[int, ...], int, bool], _Shape]], length: int) -> Sequence[_Shape]:
    """The shapes for paths of so many parts, of which the first is what stands before the first slash."""
    fitting = [shape for (_, own, rest), shape in shapes if (length - 1 > own if rest else length - 1 == own)]
    for one, after in itertools.pairwise(fitting):
        one.alone = one.alone and one.weight != after.weight
    return fitting


def _has_empty(path: str) -> bool:
    return not path or "//" in path + "/"


def _fits(route: RouteRule, segments: Sequence[str], path: str) -> bool:
    if route.stricter is not None and route.stricter.match(path) is None:
        return False
    # What a parameter stands for is never empty; the empty rest is not one.
    if not _has_empty(path):
        return True
    return all(segment is not None or segments[place] for place, segment in enumerate(route.rule.segments, 1))
