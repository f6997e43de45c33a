"""An audit as data for machines, and its findings as lines for people."""

from collections.abc import Iterator
from typing import Final

from guestpass.audit.auditing import Audit
from guestpass.audit.findings import Finding, Location
from guestpass.audit.rows import Row
from guestpass.rules import Rule

SCHEMA: Final = 1
"""The version of what `data` answers: it grows when something that was there means something else."""


def data(seen: Audit) -> dict[str, object]:
    """Everything, for JSON."""
    return {
        "schema": SCHEMA,
        "clean": seen.clean,
        "routes": [_route(row) for row in seen.rows],
        "findings": [_finding(finding) for finding in seen.findings],
        "accepted": [{**_finding(finding), "reason": by.reason} for finding, by in seen.accepted],
        "requests": seen.requests,
        "unreached": [{"route": row.shown, "why": why} for row, why in seen.unreached],
    }


def findings_lines(seen: Audit) -> Iterator[str]:
    """Each finding, with where it is and what to do."""
    for finding in seen.findings:
        yield f"{finding.level} {finding.code}: {finding.route}"
        yield f"    {finding.message}"
        if finding.location is not None:
            yield f"    at {finding.location}"


def summary(seen: Audit) -> str:
    """What came of it, in one line."""
    errors = sum(finding.level == "error" for finding in seen.findings)
    said = [
        _counted(len({(row.route.path, row.methods) for row in seen.rows}), "route"),
        f"{_counted(len(seen.findings), 'finding')}{f' ({errors} open)' if errors else ''}",
    ]
    if seen.accepted:
        said.append(f"{len(seen.accepted)} accepted")
    said.append(f"{_counted(seen.requests, 'request')} asked" if seen.requests else "not asked")
    if seen.unreached:
        said.append(f"{_counted(len(seen.unreached), 'route')} could not be reached by any")
    return f"{', '.join(said)}."


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _route(row: Row) -> dict[str, object]:
    return {
        "route": row.shown,
        "methods": sorted(method.strip("()").upper() for method in row.methods),
        "path": row.route.path,
        "framework": row.route.framework,
        "handler": row.route.name,
        **_where(row.route.location),
        "guarded": row.route.standing.door is not None,
        "needs": row.needs,
        "rule": None if row.rule is None else _rule(row.rule),
    }


def _rule(rule: Rule) -> dict[str, object]:
    return {
        "pattern": rule.pattern,
        "account": [f"{place.where}:{place.name}" for place in rule.places] if rule.places else bool(rule.account),
        "component": rule.component,
        "feature": rule.feature,
        "role": rule.role if isinstance(rule.role, str) else None if rule.role is None else "lowest",
        "kinds": None if rule.kinds is None else sorted(rule.kinds),
        "mints": rule.mints,
        "public": rule.public,
        "optional": rule.optional,
        "reason": rule.reason,
    }


def _finding(finding: Finding) -> dict[str, object]:
    return {
        "code": finding.code,
        "level": finding.level,
        "route": finding.route,
        "message": finding.message,
        **_where(finding.location),
    }


def _where(location: Location | None) -> dict[str, object]:
    return {"file": None if location is None else location.file, "line": None if location is None else location.line}
