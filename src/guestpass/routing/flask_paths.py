"""How Werkzeug reads a route's path: which requests it takes, and which of two routes it tries first.

Werkzeug goes through a path segment by segment: what stands there literally is tried before what has converters, and
these in the order of their weights; then it turns back. Knows the text of routes and Werkzeug's converters, nothing
of views and what they need.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

from werkzeug.routing import (
    AnyConverter,
    BaseConverter,
    FloatConverter,
    IntegerConverter,
    PathConverter,
    Rule,
    UnicodeConverter,
    UUIDConverter,
)
from werkzeug.routing.rules import parse_converter_args

# What the text of a route is made of, as Werkzeug's documentation has it: <converter(arguments):name>.
_PIECE = re.compile(r"(/)|([^</]+)|<(?:([a-zA-Z_][a-zA-Z0-9_]*)(?:\((.*?)\))?:)?([a-zA-Z_][a-zA-Z0-9_]*)>")
# What a rule does not take for a literal segment.
_ODD = re.compile(r":|\.\.?\Z|.*[{}%;?#<>\\\x00-\x20\x7f]", re.DOTALL)
_WHOLE_SEGMENT: Final = frozenset({"[^/]+", "[^/]{1,}"})
_WITHIN_SEGMENT: Final = (UnicodeConverter, AnyConverter, IntegerConverter, FloatConverter, UUIDConverter)

Weight = tuple[int, tuple[tuple[int, int], ...], int, tuple[int, ...]]
_WEIGHTLESS: Final[Weight] = (0, (), 0, ())


class Rank(IntEnum):
    """In which order the ways on from one place are tried."""

    LITERAL = 0
    CONVERTED = 1
    LOOSE_SLASH = 2
    """The slash behind a route that ends without one and is not strict."""


@dataclass(frozen=True, slots=True)
class Part:
    """A segment of a route, or everything from one on where a converter takes slashes.

    `regex` is for what it takes; None where that is not known. `names` are its parameters; `whole`, that there is one
    and nothing beside it.
    """

    literal: str | None
    regex: str | None
    key: str
    weight: Weight
    rank: Rank
    names: tuple[str, ...]
    whole: bool
    rest: bool


@dataclass(frozen=True, slots=True)
class RoutePath:
    """The paths that a route takes.

    `path` is a rule's, and `stricter` says which of the paths it is for the route takes. `exact`: the route takes all
    of these; otherwise it may take fewer.
    """

    path: str
    stricter: re.Pattern[str] | None
    exact: bool
    parts: tuple[Part, ...]
    redirects: bool = False
    """Whether it is the way to a route that ends in a slash, without the slash."""

    @property
    def order(self) -> tuple[tuple[tuple[Rank, Weight], ...], bool]:
        """Sorts routes of one shape as Werkzeug tries them, where it does not go by which was declared first."""
        return tuple((part.rank, part.weight) for part in self.parts), self.redirects

    @property
    def place(self) -> tuple[object, ...]:
        """Where in Werkzeug's table it ends; of two at one place that which does not redirect is tried first."""
        return tuple((part.rank, part.key, part.weight, part.rest) for part in self.parts)

    def tried_before(self, other: "RoutePath") -> bool:
        """Whether Werkzeug tries this one first for every path that both take; False where that is not certain."""
        for one, another, at, beside in zip(self.parts, other.parts, self.place, other.place, strict=False):
            if one.rank != another.rank:
                return one.rank < another.rank
            if at != beside:
                # Two literals: no path is for both. Of converters that weigh the same the first declared is tried.
                return one.literal is not None or one.weight < another.weight
        return not self.redirects and other.redirects


def route_paths(rule: Rule) -> Iterator[RoutePath]:
    """The paths of a route: those that it says, and those with or without a slash at the end that lead to it too."""
    text = re.sub("/{2,}", "/", rule.rule) if rule.merge_slashes else rule.rule
    if "//" in text:
        # Never reached: a path like it is refused.
        return
    parts = tuple(_parts(rule, text))
    yield _path(parts)
    last = parts[-1]
    if last.rest or any(part.regex is None for part in parts):
        return
    if last.literal == "" and len(parts) > 2:
        yield replace(_path(parts[:-1]), redirects=True)
    elif last.literal != "" and not rule.strict_slashes:
        slash = Part("", "", "", _WEIGHTLESS, Rank.LOOSE_SLASH, (), whole=False, rest=False)
        yield _path((*parts, slash))


def parameters(text: str) -> frozenset[str]:
    """The names of the parameters in the text of a route, or in that of its host."""
    return frozenset(name for *_, name in _PIECE.findall(text) if name)


def template(text: str) -> str:
    """The text of a route for people: ``/items/<int:id>`` as ``/items/{id}``."""
    return _PIECE.sub(lambda piece: f"{{{piece[5]}}}" if piece[5] else piece[0], text)


def _path(parts: tuple[Part, ...]) -> RoutePath:
    """What a rule says of these parts; the first is what stands before the first slash, nothing."""
    segments: list[str] = []
    exact, known = True, True
    for part in parts[1:]:
        known = known and part.regex is not None
        if part.rest or part.regex is None:
            name = part.names[0] if part.whole else ""
            segments.append(f"{{{name}...}}")
            exact = False
            break
        if part.literal is None:
            segments.append(f"{{{part.names[0]}}}" if part.whole else "{}")
            exact = exact and part.whole and part.key in _WHOLE_SEGMENT
        elif _ODD.match(part.literal):
            segments.append("{}")
            exact = False
        else:
            segments.append(part.literal)
    known = known and all(part.regex is not None for part in parts)
    stricter = re.compile("/".join(part.regex or "" for part in parts) + r"\Z") if known and not exact else None
    return RoutePath("/" + "/".join(segments), stricter, known, parts)


def _parts(rule: Rule, text: str) -> Iterator[Part]:
    pieces: list[str | tuple[str, BaseConverter]] = []
    rest = False
    for slash, literal, converter, arguments, name in _PIECE.findall(text):
        if slash and rest:
            pieces.append("/")
        elif slash:
            yield _part(pieces, rest=False)
            pieces = []
        elif name:
            args, options = parse_converter_args(arguments)
            made = rule.get_converter(name, converter or "default", args, options)
            rest = rest or not made.part_isolating
            pieces.append((name, made))
        else:
            pieces.append(literal)
    yield _part(pieces, rest=rest)


def _part(pieces: list[str | tuple[str, BaseConverter]], *, rest: bool) -> Part:
    literals = [piece for piece in pieces if isinstance(piece, str)]
    converters = [piece for piece in pieces if not isinstance(piece, str)]
    if not converters:
        literal = "".join(literals)
        return Part(literal, re.escape(literal), literal, _WEIGHTLESS, Rank.LITERAL, (), whole=False, rest=False)
    written = [re.escape(piece) if isinstance(piece, str) else f"(?:{piece[1].regex})" for piece in pieces]
    if rest and pieces[-1] == "/":
        # The slash at the end may be missing, which leads to where it is.
        written[-1] = "(?<!/)/?"
    lengths = [-len(literal) for literal in literals if literal != "/"]
    whole = len(pieces) == 1
    return Part(
        literal=None,
        regex="".join(written) if all(_known(converter) for _, converter in converters) else None,
        key=converters[0][1].regex if whole else "".join(written),
        weight=(-len(lengths), tuple(enumerate(lengths)), -len(converters), tuple(one.weight for _, one in converters)),
        rank=Rank.CONVERTED,
        names=tuple(name for name, _ in converters),
        whole=whole,
        rest=rest,
    )


def _known(converter: BaseConverter) -> bool:
    """Whether a converter's expression says what it takes: something, and of one segment unless it is for paths."""
    if type(converter) is PathConverter:
        return True
    if converter.regex in _WHOLE_SEGMENT:
        return converter.part_isolating
    return (
        type(converter) in _WITHIN_SEGMENT
        and re.fullmatch(converter.regex, "") is None
        and not (isinstance(converter, AnyConverter) and any("/" in item for item in converter.items))
    )
