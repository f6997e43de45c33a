"""The audit itself: from an application to what is open, closed by mistake, or said in vain."""

import threading
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from guestpass.audit import asking, checks
from guestpass.audit.asking import Answered
from guestpass.audit.findings import Accepted, Finding, sift
from guestpass.audit.inventory import tables_of
from guestpass.audit.route import ACCOUNT_NAMES, Route, Table
from guestpass.audit.rows import Row, rows_of
from guestpass.audit.sending import HOST
from guestpass.errors import ConfigurationError, RulesCompete
from guestpass.guard import Guard
from guestpass.guarded import Guarded, doors_of, put_up

_ONE_AT_A_TIME: Final = threading.Lock()
"""Two at once would take each other's stand-ins for the application's own."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit saw.

    - `rows`: every route, with the rule that guards it.
    - `findings`: the gaps that are not accepted; `accepted`, those that are, with by what.
    - `requests`: how many were sent, 0 where it was not asked; `unreached`: rows whose handler a request that should
      have reached it did not, with why. Of those asking has told nothing.
    """

    rows: tuple[Row, ...]
    findings: tuple[Finding, ...]
    accepted: tuple[tuple[Finding, Accepted], ...]
    requests: int
    unreached: tuple[tuple[Row, str], ...]

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


def audit(
    app: object,
    guard: Guard | None = None,
    *,
    ask: bool = True,
    account_names: Collection[str] = ACCOUNT_NAMES,
    host: str = HOST,
    accept: Sequence[Accepted] = (),
) -> Audit:
    """Look for gaps between an application and its guard.

    - `app`: what a server would be given; of FastAPI, Starlette, Flask, Litestar or Django.
    - `guard`: the one that should stand before it; left out, whichever is found.
    - `ask`: also send requests through the application, in process, with every handler replaced. Nothing of a
      handler, a dependency or a lifespan runs; while it lasts the application answers nobody else.
    - `account_names`: what parameters that take an account are called.
    - `host`: whom requests are for, where something before the guard looks at it.
    - `accept`: findings that are meant to be so.

    The application's routes are read as its first request would read them: none can be added later. Raises
    `ConfigurationError` where there are no routes that can be read.
    """
    with _ONE_AT_A_TIME:
        return _audit(app, guard, ask, frozenset(account_names), host, accept)


def _audit(
    app: object, guard: Guard | None, ask: bool, names: frozenset[str], host: str, accept: Sequence[Accepted]
) -> Audit:
    doors = doors_of(app)
    found = list(checks.absent(app, guard, doors))
    tables: list[Table] = []
    routes: list[Route] = []
    try:
        for door in doors:
            put_up(door)
        tables = tables_of(app)
        routes = [route for table in tables for route in table.routes(names)]
    except ConfigurationError as problem:
        # Until they are well formed nobody can tell which rule is for what.
        code = "rules_compete" if isinstance(problem, RulesCompete) else "rules_unreadable"
        left, accepted = sift([*found, Finding(code, "*", str(problem))], accept)
        return Audit((), left, accepted, 0, ())
    if not routes:
        raise ConfigurationError(
            f"there are no routes to audit in this {type(app).__name__}: an application of FastAPI, Starlette, Flask, "
            "Litestar or Django, as a server is given it"
        )
    rows, answered = rows_of(routes), Answered()
    if doors:
        found += _checked(app, routes, rows, doors, names)
        if ask:
            known = frozenset(finding.route for finding in found if finding.code == "account_unbound")
            answered = asking.ask(app, doors, rows, tables, known, names, host)
            found += answered.findings
    left, accepted = sift(found, accept)
    return Audit(tuple(rows), left, accepted, answered.sent, answered.unreached)


def _checked(
    app: object, routes: Sequence[Route], rows: Sequence[Row], doors: Iterable[Guarded], names: frozenset[str]
) -> list[Finding]:
    return [
        *checks.outside(routes),
        *checks.sockets_beside(app),
        *checks.uncovered(rows),
        *checks.unmatched(routes, doors),
        *checks.reasonless(rows),
        *checks.unbound(rows, names),
        *checks.competing(rows),
        *checks.ineffective(routes),
    ]
