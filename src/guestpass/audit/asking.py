"""What is asked of an application, and what an answer finds: who should have been refused, and was not.

What to expect follows from the rule alone, not from the guard that is asked.
"""

import asyncio
import logging
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final, cast
from urllib.parse import urlencode

from guestpass.asgi_types import ASGIApp
from guestpass.audit.checks import names_account
from guestpass.audit.findings import Finding
from guestpass.audit.route import Table
from guestpass.audit.rows import Row, rule_for
from guestpass.audit.samples import ACCOUNT, OTHER_ACCOUNT
from guestpass.audit.sending import Interface, Sent, send_asgi, send_wsgi
from guestpass.audit.staging import staged
from guestpass.audit.twin import Passes, Twin, kind_for
from guestpass.guarded import Guarded
from guestpass.principal import ACCOUNT_SESSION, SECRET_KEY, SIGNED_TOKEN
from guestpass.rules import HTTP_METHODS, WEBSOCKET
from guestpass.wsgi import WSGIApplication


@dataclass(frozen=True, slots=True)
class Question:
    """One request for a row, None where none is known that it takes. With a `code` nobody may be reached by it; without
    one, the handler should be."""

    row: Row
    sent: Sent | None
    code: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of asking: findings, how many requests were sent, and the rows whose handler no request reached,
    with why."""

    findings: tuple[Finding, ...] = ()
    sent: int = 0
    unreached: tuple[tuple[Row, str], ...] = ()


def ask(
    app: object,
    doors: Sequence[Guarded],
    rows: Sequence[Row],
    tables: Sequence[Table],
    skip: frozenset[str],
    names: frozenset[str],
    host: str,
) -> Answered:
    """Ask for every row behind a guard. `skip` are rows of which it is known that they hold no account; `host` is
    whom requests are for, where their routes do not say it."""
    behind = [row.route.standing.door for row in rows]
    guards = {id(door.guard): door.guard for door in (*doors, *behind) if door is not None}
    passes = Passes()
    twins = {key: Twin.of(guard, passes) for key, guard in guards.items()}
    questions = [question for row in rows for question in _questions(row, twins, skip, names, host)]
    questions += [question for row in _first_of_each(rows) for question in _other_methods(row, host)]
    interface: Interface = "wsgi" if all(table.interface == "wsgi" for table in tables) else "asgi"
    asking = _Asking(app, interface)
    # In a thread of its own, whose event loop nobody else uses.
    with (
        staged(doors, tables, twins, asking.was_reached),
        _quiet(),
        ThreadPoolExecutor(1, "guestpass-audit") as pool,
    ):
        pool.submit(asking.run, questions).result()
    return asking.answered()


def _questions(
    row: Row, twins: dict[int, Twin], skip: frozenset[str], names: frozenset[str], host: str
) -> Iterator[Question]:
    route, rule, door = row.route, row.rule, row.route.standing.door
    if door is None or route.opaque:
        return
    if route.sample is None:
        if rule is not None or not route.own:
            yield Question(row, None)
        return
    twin = twins[id(door.guard)]
    account = route.account or ACCOUNT
    kind = kind_for(rule)
    for method in sorted(row.methods):
        said = route.name
        plain = Sent("GET" if method == "*" else method, route.sample, host=route.standing.host or host)
        naming = _naming(row, plain, account, door.guard.account_header, names)

        def as_one(sent: Sent, kind: str, account: str, without: str | None = None, twin: Twin = twin) -> Sent:
            credential = twin.passes.make(twin.principal(kind, account, without=without))
            return replace(sent, headers={**sent.headers, "Authorization": f"Bearer {credential}"})

        if rule is None:
            yield Question(row, plain, "reached_without_credential", f"{said} was reached without a credential")
            for strong in (SECRET_KEY, ACCOUNT_SESSION):
                text = f"{said} was reached, though no rule lets anybody in there"
                yield Question(row, as_one(plain, strong, account), "reached_uncovered", text)
            continue
        if rule.public:
            yield Question(row, plain)
            continue
        text = f"{said} was reached without a credential: the guard is not called for it, or not before it"
        yield Question(row, plain, "reached_without_credential", text)
        if row.shown not in skip:
            text = f"{said} was reached for {account} with the credential of another account"
            yield Question(row, as_one(naming, kind, OTHER_ACCOUNT), "reached_for_other_account", text)
        if rule.component is not None:
            text = f"{said} was reached by a credential without the component {rule.component}"
            other = as_one(plain, kind, account, rule.component)
            yield Question(row, other, "reached_without_component", text)
        if rule.mints:
            for browser in (ACCOUNT_SESSION, SIGNED_TOKEN):
                text = f"{said} creates credentials, and was reached by a browser's ({browser})"
                yield Question(row, as_one(plain, browser, account), "reached_to_mint", text)
        yield Question(row, as_one(plain if not rule.account else naming, kind, account))


def _first_of_each(rows: Sequence[Row]) -> Iterator[Row]:
    yield from {id(row.route): row for row in reversed(rows)}.values()


def _other_methods(row: Row, host: str) -> Iterator[Question]:
    """Without a credential, by the methods that reach a route beside those that anybody thinks of: HEAD where GET does,
    and all where the router does not look at the method."""
    route, door = row.route, row.route.standing.door
    if door is None or route.opaque or route.sample is None:
        return
    methods = {"HEAD"} if not route.methods or "GET" in route.methods else set[str]()
    if not route.methods:
        methods |= HTTP_METHODS
    for method in sorted(methods):
        rule = rule_for(door.guard.policy, route, "GET" if method == "HEAD" else method)
        if rule is None or not rule.public:
            said = f"{route.name} was reached by {method} without a credential: the guard is not called for it"
            sent = Sent(method, route.sample, host=route.standing.host or host)
            yield Question(row, sent, "reached_without_credential", said)


def _naming(row: Row, sent: Sent, account: str, header: str, names: frozenset[str]) -> Sent:
    """The request with the account in every place where it could name one."""
    query: dict[str, str] = {}
    headers: dict[str, str] = {}
    for place in row.rule.places if row.rule is not None else ():
        if place.where == "query":
            query[place.name] = account
        elif place.where == "header":
            headers[place.name] = account
    for taken in row.route.takes:
        if taken.where == "query" and names_account(taken, names):
            query[taken.name] = account
    if not query and row.route.account is None:
        headers[header] = account
    return replace(sent, query=urlencode(query), headers={**sent.headers, **headers})


_SILENT: Final = 3
"""Routes that do not answer, after which no other is waited for."""


@dataclass(slots=True)
class _Asking:
    app: object
    interface: Interface
    _reached: bool = False
    _sent: int = 0
    _findings: list[Finding] = field(default_factory=list[Finding])
    _silent: list[Row] = field(default_factory=list[Row])
    _met: dict[int, tuple[Row, str]] = field(default_factory=dict[int, "tuple[Row, str]"])

    def was_reached(self, _: object) -> None:
        self._reached = True

    def run(self, questions: Sequence[Question]) -> None:
        for question in questions:
            if question.sent is None:
                self._met[id(question.row)] = (question.row, "no path is known that it takes")
        if self.interface == "asgi":
            asyncio.run(self._ask_asgi(questions))
            return
        for question in questions:
            if question.sent is not None and question.sent.method != WEBSOCKET and self._begins(question):
                try:
                    send_wsgi(cast("WSGIApplication", self.app), question.sent)
                except Exception as problem:  # noqa: BLE001 - whatever the application raises
                    self._ends(question, _told(problem))
                else:
                    self._ends(question)

    async def _ask_asgi(self, questions: Sequence[Question]) -> None:
        for question in questions:
            if question.sent is not None and self._begins(question):
                try:
                    await send_asgi(cast("ASGIApp", self.app), question.sent)
                except TimeoutError:
                    self._silent.append(question.row)
                    self._ends(question, "it did not answer in time")
                except Exception as problem:  # noqa: BLE001 - whatever the application raises
                    self._ends(question, _told(problem))
                else:
                    self._ends(question)

    def _begins(self, question: Question) -> bool:
        """Whether there is anything left to learn: of what stands open, all else is said with that."""
        self._reached = False
        shown = question.row.shown
        if any(found.code == "reached_without_credential" and found.route == shown for found in self._findings):
            return False
        if question.row in self._silent or len(self._silent) >= _SILENT:
            self._met.setdefault(id(question.row), (question.row, "it did not answer in time, nor did others"))
            return False
        self._sent += 1
        return True

    def _ends(self, question: Question, problem: str = "") -> None:
        row = question.row
        if self._reached and question.code:
            self._findings.append(Finding(question.code, row.shown, question.message, row.route.location))
        if self._reached:
            self._met[id(row)] = (row, "")
        elif not question.code or row in self._silent:
            self._met.setdefault(id(row), (row, problem or "its own request was answered by something else"))

    def answered(self) -> Answered:
        findings = tuple(_of_sockets(self._findings))
        unreached = tuple((row, why) for row, why in self._met.values() if why)
        if self._sent and unreached and len(unreached) == len(self._met):
            findings += (_in_vain(unreached),)
        return Answered(findings, self._sent, unreached)


def _in_vain(unreached: Sequence[tuple[Row, str]]) -> Finding:
    row, why = unreached[0]
    return Finding(
        "asked_in_vain",
        "*",
        f"no request reached any handler, so nobody knows whether the guard is called ({row.shown}: {why}): say whom "
        "requests are for with --host, where something stands before the guard that looks at it, or only look "
        "(--no-ask)",
    )


def _of_sockets(findings: Sequence[Finding]) -> Iterator[Finding]:
    """Where sockets alone are open, that is what is wrong."""
    opened = [found for found in findings if found.code == "reached_without_credential"]
    only = bool(opened) and all(found.route.startswith("WEBSOCKET ") for found in opened)
    for found in findings:
        if only and found in opened:
            said = "the guard is called for HTTP alone: hand it scopes of the type websocket too"
            yield replace(found, code="sockets_unguarded", message=f"{found.message.partition(':')[0]}: {said}")
        else:
            yield found


def _told(problem: Exception) -> str:
    return f"{type(problem).__name__}: {problem}".partition("\n")[0]


_LOGGERS: Final = ("guestpass", "guestpass.security")


@contextmanager
def _quiet() -> Generator[None]:
    """What the twin would report is no event of the application's."""

    def drop(_: logging.LogRecord) -> bool:
        return False

    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addFilter(drop)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(drop)
