"""Paths that two rules compete for: a table, and a law over routers of several makes."""

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from guestpass import ConfigurationError, Policy, Refusal, Rule
from guestpass.asgi import request_of
from guestpass.rule_table import RouteRule
from support import COMPONENTS, ROLES, bearer, build, decided, http_scope, policy

LOGS, MAIL = "call_logs", "voicemails"


def rule(path: str, component: str | None = LOGS, methods: str = "GET") -> Rule:
    if component is None:
        return Rule(f"{methods} {path}", public=True, reason="everybody may")
    return Rule(f"{methods} {path}", component=component)


def refused(rules: Sequence[Rule], path: str, method: str = "GET") -> bool:
    made = policy(*rules)
    return made.is_contested(method, path, made.find(method, path))


# The rules, and which paths are contested or certain among them.
TABLE: list[tuple[str, list[Rule], str, str]] = [
    ("a slash at the end", [rule("/admin"), rule("/{rest...}", None)], "/admin/ ", "/admin /other /other/ / /admin/x"),
    ("none at the end", [rule("/admin/"), rule("/{rest...}", None)], "/admin", "/admin/ /other /other/"),
    ("behind a parameter", [rule("/i/{id}"), rule("/{rest...}", None)], "/i/7/", "/i/7 /i /i/ /i/7/x"),
    ("an empty rest", [rule("/f/{rest...}"), rule("/{rest...}", None)], "/f /f/", "/f/x /f/x/ /g"),
    ("with and without the rest", [rule("/f"), rule("/f/{rest...}", MAIL)], "/f/", "/f /f/x /f/x/"),
    ("one that says what is meant", [rule("/f"), rule("/f/", MAIL), rule("/{rest...}", None)], "", "/f /f/ /g"),
    ("both that say the same", [rule("/f"), rule("/f/{rest...}")], "", "/f /f/ /f/x"),
    ("both for everybody", [rule("/f", None), rule("/{rest...}", None)], "", "/f /f/ /g"),
    ("crossing", [rule("/{x}/logo", None), rule("/admin/{rest...}")], "/admin/logo", "/a/logo /admin/x /admin/logo/x"),
    ("crossing parameters", [rule("/{x}/b/c"), rule("/a/{y}/{z}", MAIL)], "/a/b/c", "/x/b/c /a/x/c /a/b/x"),
    ("crossed, and said", [rule("/{x}/b"), rule("/a/{y...}", MAIL), rule("/a/b", None)], "", "/a/b /x/b /a/x"),
    ("a part of the other", [rule("/i/{id}"), rule("/i/new", MAIL)], "", "/i/new /i/7"),
    ("a part of the other's twin", [rule("/i/{id}/"), rule("/i/new", MAIL)], "/i/new/", "/i/new /i/7/"),
    ("a parameter is not empty", [rule("/i/"), rule("/i/{id}", MAIL)], "", "/i/ /i/7"),
    ("of other methods", [rule("/admin", methods="POST"), rule("/{rest...}", None)], "", "/admin /admin/ /x"),
    ("alone", [rule("/i/{id}"), rule("/f/{rest...}")], "", "/i/7 /f/x /f/ /f"),
    ("the root", [rule("/"), rule("/{rest...}", None)], "", "/ /x"),
]


@pytest.mark.parametrize(("rules", "contested", "certain"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_which_paths_are_contested(rules: list[Rule], contested: str, certain: str) -> None:
    for order in (rules, rules[::-1]):
        assert [path for path in contested.split() if not refused(order, path)] == []
        assert [path for path in certain.split() if refused(order, path)] == []


def test_they_compete_for_the_methods_that_both_are_for() -> None:
    rules = [rule("/admin", methods="POST,DELETE"), rule("/{rest...}", None, methods="*"), rule("/ws", methods="WS")]
    assert refused(rules, "/admin/", "POST")
    assert not refused(rules, "/admin/", "GET")
    assert refused([rule("/a", methods="WS"), rule("/{rest...}", MAIL, methods="WS")], "/a/", "(websocket)")
    assert refused([rule("/admin"), rule("/{rest...}", None)], "/admin/", "HEAD")


def test_optional_is_not_alike() -> None:
    checked = Rule("GET /admin", public=True, optional=True, reason="everybody may")
    assert refused([checked, rule("/{rest...}", None)], "/admin/")


def test_the_guard_refuses_a_contested_path_whoever_asks() -> None:
    house = build([rule("/admin"), rule("/{rest...}", None)])
    for headers in ({}, bearer(house.session()), bearer(house.key())):
        verdict = decided(house.guard, request_of(http_scope("GET", "/admin/", headers)))
        assert isinstance(verdict, Refusal)
        assert verdict.code == "path_ambiguous"
        assert "Two rules compete for it" in verdict.detail


def test_nothing_is_contested_once_the_router_is_known() -> None:
    rules = [rule("/admin"), rule("/{rest...}", None)]
    made = policy(*rules).with_routes([RouteRule(rule("/x"), frozenset({"GET"}))])
    assert not made.is_contested("GET", "/admin/", made.find("GET", "/admin/"))


def test_the_root_without_a_slash_is_one_thing_to_one_router_and_another_to_the_next() -> None:
    house = build([rule("/"), rule("/{rest...}", MAIL)])
    for target, code in (("/api", "path_ambiguous"), ("/api/", None), ("/", None), ("/api/x", None)):
        verdict = decided(house.guard, request_of(http_scope("GET", target, bearer(house.session()), root_path="/api")))
        assert getattr(verdict, "code", None) == code


def test_where_the_account_stands_makes_a_difference() -> None:
    rules = [Rule("GET /{account}/x", component=LOGS), Rule("GET /{rest...}", component=LOGS)]
    assert refused(rules, "/acct_1/x/")


# Routers of several makes.


def by_literals(rule: Rule) -> Sequence[object]:
    """Segment by segment, what stands there literally first: Werkzeug, and what searches a tree."""
    return [*(segment is None for segment in rule.segments), *([2] if rule.rest else [])]


def by_number_of_literals(rule: Rule) -> Sequence[object]:
    """As the guard has it."""
    return [-sum(bool(segment) for segment in rule.segments), rule.rest, -len(rule.segments)]


def from_the_end(rule: Rule) -> Sequence[object]:
    """One of the orders in which the routes may be declared, each before what it is a part of."""
    return [rule.rest, *by_number_of_literals(rule), *(segment is None for segment in reversed(rule.segments))]


Order = Callable[[Rule], Any]


def spellings(path: str, slash: str) -> Iterator[str]:
    """What a router makes of a slash at the end."""
    if slash == "cut off":
        yield path.rstrip("/") or "/"
        return
    yield path
    if slash == "loose" and path != "/":
        yield path.rstrip("/") if path.endswith("/") else path + "/"


def routed(rules: Sequence[Rule], path: str, order: Order, slash: str, empty: bool) -> Rule | None:
    """The rule of the handler that such a router runs."""
    for one in sorted(rules, key=order):
        if slash == "cut off":
            segments = one.segments[:-1] if one.segments[-1:] == ("",) and len(one.segments) > 1 else one.segments
        else:
            segments = one.segments
        for spelled in spellings(path, slash):
            # A tree that drops empty segments serves a mount for the mount itself, too.
            bare = one.rest and slash == "cut off" and empty and spelled == "/" + "/".join(s or "x" for s in segments)
            if bare or _fits(segments, one.rest, spelled[1:].split("/"), empty):
                return one
    return None


def _fits(segments: Sequence[str | None], rest: bool, given: Sequence[str], empty: bool) -> bool:
    if len(given) != len(segments) and not (rest and len(given) > len(segments)):
        return False
    if rest and not empty and list(given[len(segments) :]) == [""]:
        return False
    return all(its if mine is None else mine == its for mine, its in zip(segments, given, strict=False))


segments = st.lists(st.sampled_from(("a", "b", "{x}")), max_size=3)


@st.composite
def rules_of_one_api(draw: st.DrawFn) -> list[Rule]:
    made: dict[object, Rule] = {}
    for _ in range(draw(st.integers(2, 5))):
        parts = draw(segments)
        parts = [part.replace("x", f"p{place}") for place, part in enumerate(parts)]
        end = draw(st.sampled_from(([], [""], ["{rest...}"])))
        if not parts and not end:
            end = [""]
        # With a slash and without it, both said: then each means what it says, and no two that differ in it alone.
        shape = "/".join("{}" if part.startswith("{p") else part for part in parts), end == ["{rest...}"]
        made[shape] = rule("/" + "/".join([*parts, *end]), draw(st.sampled_from((LOGS, MAIL, None))))
    return list(made.values())


PATHS = [f"/{'/'.join(parts)}{end}" for n in range(4) for parts in product("abc", repeat=n) for end in ("", "/")]
PATHS = [path for path in PATHS if "//" not in path]


@given(rules_of_one_api())
def test_whatever_the_router_a_handler_runs_under_what_it_needs(rules: list[Rule]) -> None:
    try:
        made = Policy(*rules, components=COMPONENTS, roles=ROLES)
    except ConfigurationError:
        assume(False)
    orders = (by_literals, by_number_of_literals, from_the_end)
    for path in PATHS:
        judged = made.find("GET", path)
        if judged is None or made.is_contested("GET", path, judged):
            continue
        for order, slash, empty in product(orders, ("exact", "loose", "cut off"), (True, False)):
            run = routed(rules, path, order, slash, empty)
            assert run is None or run.component == judged.component, (path, order.__name__, slash, empty)
