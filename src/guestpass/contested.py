"""Paths that two rules compete for: which of the two is meant is the router's affair, and routers differ.

Of two rules for one request the more particular counts. Every router agrees where one is for a part of what the other
is for. They do not

- where the two only overlap: for `/admin/logo`, `/{tenant}/logo` and `/admin/{rest...}`, one router takes what was
  declared first, another what begins with more literals;
- on a slash at the end: `/admin/` is `/admin` to some, and leads there, or nowhere, in others;
- on whether the `rest` of `/files/{rest...}` may be empty.

Knows rules and the paths that they are for. Rules that ask the same of a request never compete.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from guestpass.rules import WEBSOCKET, Rule


def twins(rule: Rule) -> Iterator[Rule]:
    """`rule` for the paths that only some routers take for its own: with a slash at the end, or without."""
    if rule.rest:
        yield _elsewhere(rule, (*rule.segments, ""))
        if rule.segments:
            yield _elsewhere(rule, rule.segments)
    elif rule.segments[-1] != "":
        yield _elsewhere(rule, (*rule.segments, ""))
    elif len(rule.segments) > 1:
        yield _elsewhere(rule, rule.segments[:-1])


def contested(one: Rule, other: Rule, *, twin: bool) -> Rule | None:
    """The requests that both rules are for and either may be meant for, None where there are none.

    `twin`: `other` is one of `twins`, so that it gives way only to what is at least as particular.
    """
    if _alike(one, other) or _covers(other, one) or (not twin and _covers(one, other)):
        return None
    return _common(one, other)


def _alike(one: Rule, other: Rule) -> bool:
    """Whether it makes no difference by which of the two a request is judged."""
    if one.public and other.public:
        return one.optional == other.optional
    return one.asks_the_same(other)


def _covers(larger: Rule, smaller: Rule) -> bool:
    """Whether every path of `smaller` is one of `larger`."""
    if larger.rest:
        if len(smaller.segments) < len(larger.segments) + (not smaller.rest):
            return False
    elif smaller.rest or len(smaller.segments) != len(larger.segments):
        return False
    pairs = zip(larger.segments, smaller.segments, strict=False)
    # What a parameter stands for is never empty.
    return all(mine == its or (mine is None and its != "") for mine, its in pairs)


def _common(one: Rule, other: Rule) -> Rule | None:
    """The requests that are for both of two rules that overlap."""
    shorter, longer = sorted((one, other), key=lambda rule: (len(rule.segments), not rule.rest))
    segments = list(longer.segments)
    for place, its in enumerate(shorter.segments):
        mine = segments[place]
        if mine != its and "" in (mine, its):
            return None
        segments[place] = its if mine is None else mine
    parts = ["{}" if segment is None else segment for segment in segments]
    pattern = _pattern(one.methods & other.methods, [*parts, "{...}"] if longer.rest else parts)
    return Rule(pattern, public=True, reason="it only says which requests")


def _elsewhere(rule: Rule, segments: Sequence[str | None]) -> Rule:
    """What `rule` says, of the paths of these segments."""
    parts = [f"{{{rule.parameters[place] or ''}}}" if s is None else s for place, s in enumerate(segments)]
    return replace(rule, pattern=_pattern(rule.methods, parts), encoded_slashes=False)


def _pattern(methods: frozenset[str], parts: Sequence[str]) -> str:
    names = sorted("WEBSOCKET" if method == WEBSOCKET else method for method in methods)
    return f"{','.join(names)} /{'/'.join(parts)}"
