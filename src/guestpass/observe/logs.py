"""Events as log records: a sentence for people, and all of it as data in ``record.guestpass``.

Knows levels and words. Knows nothing of handlers and formats: those are the application's.
"""

import logging
from dataclasses import asdict
from typing import Final

from guestpass.events import Decided, Event, KeySetEvent, SecurityEvent

_NAMES: Final = {Decided: "decided", SecurityEvent: "security"}


class LogEvents:
    """An observer that logs: ``Guard(…, observe=LogEvents())``.

    - `logger`: where to; left out, ``guestpass.events``.
    - `allowed`, `refused`: the levels of decisions. What bears on security, and a key set that cannot be fetched, are
      warnings; a key set that was fetched is a matter of debugging.

    ``record.guestpass`` is a dictionary of the event's fields, and ``event`` says which it is: ``decided``,
    ``security``, or what the key set did. A formatter that writes JSON takes it as it is.
    """

    def __init__(
        self, logger: logging.Logger | None = None, *, allowed: int = logging.DEBUG, refused: int = logging.INFO
    ) -> None:
        self._logger: Final = logger or logging.getLogger("guestpass.events")
        self._allowed: Final = allowed
        self._refused: Final = refused

    def __call__(self, event: Event) -> None:
        """Log one event."""
        level = self._level(event)
        if self._logger.isEnabledFor(level):
            name = event.name if isinstance(event, KeySetEvent) else _NAMES[type(event)]
            fields = {field: value for field, value in asdict(event).items() if field != "name"}
            self._logger.log(level, "%s", sentence(event), extra={"guestpass": {"event": name, **fields}})

    def _level(self, event: Event) -> int:
        if isinstance(event, Decided):
            return self._allowed if event.allowed else self._refused
        fetched = isinstance(event, KeySetEvent) and event.name == "fetched"
        return logging.DEBUG if fetched else logging.WARNING


def sentence(event: Event) -> str:
    """An event, for people."""
    match event:
        case Decided():
            verdict = "let in" if event.code is None else f"refused, {event.status} {event.code}"
            where = _where(event.method, event.rule)
            how = f"{event.source}, {event.seconds * 1000:.2f} ms"
            return f"{verdict}: {where}: {_whose(event)} ({how}){_why(event.because)}"
        case SecurityEvent():
            where = "in process" if event.rule is None else f"at {event.rule}"
            return f"{event.code}: {_whose(event)} {where}{_why(event.because)}"
        case KeySetEvent():
            took = "" if event.seconds is None else f" in {event.seconds:.2f} s"
            said = {
                "fetched": f"the key set was fetched{took}",
                "fetch_failed": "the key set could not be fetched",
                "budget_spent": "tokens with unknown keys are refused unlooked-at, there were too many",
            }
            return f"{event.issuer}: {said[event.name]}{_why(event.because)}"


def _where(method: str, rule: str | None) -> str:
    # A pattern begins with its methods, which are told once unless they are others.
    if rule is None:
        return f"{method} (no rule)"
    return rule if rule.startswith(f"{method} ") else f"{method} by {rule}"


def _whose(event: Decided | SecurityEvent) -> str:
    if event.kind is None:
        return "nobody"
    of = f" of {event.platform}" if event.platform else ""
    said = f"{event.kind} {event.credential_id or '(unknown)'}{of}{f', {event.account}' if event.account else ''}"
    # What others call their credentials and accounts may be any text, and is to begin no line of its own.
    return said if said.isprintable() else ascii(said)[1:-1]


def _why(because: str) -> str:
    return f": {because}" if because else ""
