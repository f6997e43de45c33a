"""Rules that a request just misses, and why it does: for whoever wonders which rule it came to. Pure."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from guestpass.policy import Policy
from guestpass.quoting import quoted
from guestpass.rules import WEBSOCKET, Rule

MANY: Final = 4
"""Rules that are named at most."""

_ALIKE: Final = 0.5


@dataclass(frozen=True, slots=True)
class NearRule:
    """A rule that a request was not judged by, and why not."""

    rule: Rule
    why: str


def near_rules(policy: Policy, method: str, path: str, chosen: Rule | None) -> list[NearRule]:
    """The rules nearest to a request that was judged by `chosen`, or by none."""
    asked, segments = "GET" if method == "HEAD" else method, path[1:].split("/")
    found: list[tuple[float, NearRule]] = [
        (0, NearRule(route.rule, "this route says nothing of what it needs: needs(…)"))
        for route in policy.routes
        if route.closed and asked in route.methods and _missed(route.rule, segments) == []
    ]
    for rule in policy.rules:
        if rule is chosen:
            continue
        near = _near(rule, asked, segments, chosen)
        if near is not None:
            found.append((near[0], NearRule(rule, near[1])))
    found.sort(key=lambda ranked: ranked[0])
    return [near for _, near in found[:MANY]]


def methods_of(rule: Rule) -> str:
    """The methods of a rule, as they are written."""
    return ", ".join(sorted("WEBSOCKET" if method == WEBSOCKET else method for method in rule.methods))


def _near(rule: Rule, method: str, segments: Sequence[str], chosen: Rule | None) -> tuple[float, str] | None:
    missed = _missed(rule, segments)
    if missed == []:
        if method not in rule.methods:
            named = "WEBSOCKET" if method == WEBSOCKET else method
            return 1, f"it is for {methods_of(rule)}, and this is {quoted(named)[1:-1]}"
        if chosen is not None:
            return 0, f"it is for this request too, and less particular than {chosen.pattern}"
        return 0, "its route does not take this path"
    if chosen is not None or method not in rule.methods:
        return None
    if missed is None:
        return _of_another_length(rule, segments)
    (place,) = missed if len(missed) == 1 else (None,)
    if place is None:
        return None
    mine, its = rule.segments[place] or "", segments[place]
    alike = difflib.SequenceMatcher(None, mine, its).ratio()
    literals = sum(segment is not None for segment in rule.segments)
    if alike >= _ALIKE or literals > 2:
        return 4 - alike, f"its segment {place + 1} is {mine!r}, and the path has {quoted(its)} there"
    return None


def _missed(rule: Rule, segments: Sequence[str]) -> list[int] | None:
    """The places at which a path is not the rule's, None where its length is not."""
    length = len(rule.segments)
    if len(segments) <= length if rule.rest else len(segments) != length:
        return None
    pairs = zip(rule.segments, segments, strict=False)
    return [place for place, (mine, its) in enumerate(pairs) if (not its if mine is None else mine != its)]


def _of_another_length(rule: Rule, segments: Sequence[str]) -> tuple[float, str] | None:
    if segments[-1] == "" and _missed(rule, segments[:-1]) == []:
        return 2, "it is for the path without the slash at the end"
    if _missed(rule, [*segments, ""]) == []:
        return 2, "it is for the path with a slash at the end" if not rule.rest else "nothing follows where more must"
    shorter = min(len(rule.segments), len(segments))
    if abs(len(rule.segments) - len(segments)) > 1 or shorter == 0:
        return None
    begins = list(_differing(rule, segments[:shorter]))
    if not begins and any(segment is not None for segment in rule.segments[:shorter]):
        more = " or more" if rule.rest else ""
        return 5, f"its path has {len(rule.segments) + rule.rest} segments{more}, this one {len(segments)}"
    return None


def _differing(rule: Rule, segments: Sequence[str]) -> Iterator[int]:
    for place, its in enumerate(segments):
        mine = rule.segments[place]
        if its != mine and mine is not None:
            yield place
