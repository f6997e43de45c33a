"""What can be found without a single request: each check is a function from routes and rules to findings."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import cast

from guestpass.audit.findings import Finding, says_something
from guestpass.audit.handlers import needs_above
from guestpass.audit.route import Parameter, Route
from guestpass.audit.rows import Row, inner_path
from guestpass.guard import Guard
from guestpass.guarded import Guarded, doors_of, is_protection, is_starlette, isinstance_of
from guestpass.requests import canonical
from guestpass.rules import Rule


def absent(app: object, guard: Guard | None, doors: Sequence[Guarded]) -> Iterator[Finding]:
    """A guard that is not there, or is there and not called."""
    if guard is not None and all(door.guard is not guard for door in doors):
        yield Finding(
            "guard_not_called",
            "*",
            "the guard that was named stands before no part of this application: protect(app, guard), or serve what "
            "GuardMiddleware(app, guard) answers and audit that",
        )
    elif not doors and _was_protected(app):
        yield Finding(
            "guard_not_called",
            "*",
            "protect(app, guard) was called, and something took the guard off again: what replaces app.wsgi_app or "
            "app.middleware_stack has to wrap what was there",
        )
    elif not doors:
        behind = " (one in Litestar(middleware=[…]) runs behind the router)" if type(app).__name__ == "Litestar" else ""
        yield Finding(
            "unguarded",
            "*",
            f"no guard stands before this application{behind}: protect(app, guard), or serve what "
            "GuardMiddleware(app, guard) answers and audit that",
        )


def _was_protected(app: object) -> bool:
    if is_starlette(app):
        middleware = cast("Iterable[object]", getattr(app, "user_middleware", ()))
        door = sys.modules.get("guestpass.starlette")
        return door is not None and any(getattr(one, "cls", None) is door.Protection for one in middleware)
    return is_protection(cast("Mapping[str, object]", getattr(app, "extensions", None) or {}).get("guestpass"))


def outside(routes: Iterable[Route]) -> Iterator[Finding]:
    """Routes that no guard stands before, where one does before others."""
    for route in routes:
        if route.standing.door is None:
            yield _about(
                route,
                "outside_guard",
                f"{route.name} of {route.framework} stands beside the guard: put the guard around the whole "
                "application, or this part behind a guard of its own",
            )


def sockets_beside(app: object) -> Iterator[Finding]:
    """A dispatcher by protocol that has a guard before HTTP, and none before WebSockets."""
    mapping = getattr(app, "application_mapping", None)
    if not isinstance_of(mapping, dict):
        return
    parts = cast("dict[str, object]", mapping)
    if "websocket" in parts and not doors_of(parts["websocket"]):
        yield Finding(
            "sockets_unguarded",
            "WEBSOCKET /*",
            f"{type(app).__name__} hands WebSockets on past the guard: GuardMiddleware({type(app).__name__}(…), guard) "
            "around all protocols",
        )


def uncovered(rows: Iterable[Row]) -> Iterator[Finding]:
    """Routes that nobody can reach. What a framework adds by itself may stay closed."""
    for row in rows:
        if row.rule is None and row.route.standing.door is not None and not (row.route.own or row.route.opaque):
            where = (
                f"put @needs(…) at {row.route.name}"
                if is_protection(row.route.standing.door.door)
                else f'add Rule("{row.shown}", …) to the policy'
            )
            yield _about(row.route, "route_uncovered", f"no rule is for it: {where}, or take the route out", row.shown)


def unmatched(routes: Sequence[Route], doors: Iterable[Guarded]) -> Iterator[Finding]:
    """Rules that are for no route."""
    for guard in {id(door.guard): door.guard for door in doors}.values():
        behind = [route for route in routes if route.standing.door is not None and route.standing.door.guard is guard]
        if not behind or any(route.opaque for route in behind):
            # What stands behind it cannot be read, or not all of it.
            continue
        patterns = [route.pattern() for route in behind]
        for rule in guard.policy.own_rules:
            if not any(rule.overlaps(pattern) for pattern in patterns):
                yield Finding(
                    "rule_unmatched",
                    rule.pattern,
                    f"Rule({rule.pattern!r}) is for no route: correct its path and methods, or take it out",
                )


def reasonless(rows: Iterable[Row]) -> Iterator[Finding]:
    """Public routes that do not say why."""
    for row in rows:
        if row.rule is not None and row.rule.public and not says_something(row.rule.reason):
            said = f"reason={row.rule.reason!r} says nothing: say why everybody may have what {row.route.name} answers"
            yield _about(row.route, "public_without_reason", said, row.shown)


def unbound(rows: Iterable[Row], names: frozenset[str]) -> Iterator[Finding]:
    """Handlers that take an account which the guard does not hold against the caller's."""
    for row in rows:
        door = row.route.standing.door
        if door is None or row.rule is None or row.rule.public:
            continue
        for taken in row.route.takes:
            if names_account(taken, names) and not _is_bound(taken, row.rule, door.guard.account_header):
                yield _about(row.route, "account_unbound", _unbound(row, taken), row.shown)


def names_account(taken: Parameter, names: frozenset[str]) -> bool:
    """Whether a parameter is called as those that take an account are."""
    return taken.name in names or (taken.where == "header" and taken.name.lower().replace("-", "_") in names)


def _is_bound(taken: Parameter, rule: Rule, header: str) -> bool:
    if taken.where == "body":
        # What is minted is held to the minter's grant, whatever the body says.
        return rule.mints
    if taken.where == "header" and canonical(taken.name.encode()) == canonical(header.encode()):
        return True
    for place in rule.places:
        if place.where != taken.where:
            continue
        if place.where == "path":
            if rule.parameters.index(place.name) == taken.segment:
                return True
        elif place.name in (taken.name, taken.name.lower().replace("_", "-")):
            return True
    return False


def _unbound(row: Row, taken: Parameter) -> str:
    rule = row.rule
    none = rule is not None and rule.account is False
    says = "account=False" if none else "another place" if rule is not None and rule.places else "no such place"
    if taken.where in ("cookie", "body"):
        return (
            f"{row.route.name} takes {taken.name} from the {taken.where}, where no rule looks: take the account from "
            "the principal"
        )
    if taken.where == "path" and taken.segment is None:
        return f"{row.route.name} takes {taken.name} from a part of a segment: make it a segment of its own"
    return (
        f"{row.route.name} takes {taken.name} from the {taken.where}, and its rule says {says}: "
        f'account="{taken.where}:{taken.name}", or take the account from the principal'
    )


def competing(rows: Iterable[Row]) -> Iterator[Finding]:
    """Routes whose requests two rules are for, so that each is refused with 400."""
    for row in rows:
        door = row.route.standing.door
        if door is None or row.rule is None or row.route.sample is None:
            continue
        path = inner_path(row.route)
        if any(door.guard.policy.is_contested(method, path, row.rule) for method in row.methods):
            yield _about(
                row.route,
                "rules_compete",
                f"Rule({row.rule.pattern!r}) and another rule are both for {path}, and routers differ in which they "
                f'would mean, so it is refused: add a rule for just this path, Rule("{row.shown}", …)',
                row.shown,
            )


def ineffective(routes: Iterable[Route]) -> Iterator[Finding]:
    """``needs(…)`` that nobody reads."""
    for route in routes:
        door = route.standing.door
        if door is None:
            continue
        above = needs_above(route.handler)
        if not is_protection(door.door):
            if route.mark or above is not None:
                said = (
                    f"nobody reads needs(…) at {route.name}: the guard was put up by hand, and its rules are those of "
                    f'the policy: Rule("{route.shown}", …)'
                )
                yield Finding("needs_without_effect", route.shown, said, above or route.location)
        elif above is not None and not route.mark:
            said = (
                f"needs(…) stands above what registered {route.name}, on something that is not in the table of routes: "
                "put it directly above the function, below every other decorator"
            )
            yield Finding("needs_without_effect", route.shown, said, above)


def _about(route: Route, code: str, message: str, shown: str = "") -> Finding:
    return Finding(code, shown or route.shown, message, route.location)
