"""Who is to be told when a credential may have ended: the live connections of one guard.

Knows by which names each principal can be ended, and whom to call. What is called only looks again; that it fails is
logged, and keeps nobody else from being told.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from guestpass.concurrency.forking import begins_anew
from guestpass.principal import Principal
from guestpass.revocation.cutoff_list import names_of

log = logging.getLogger("guestpass")


@dataclass(frozen=True, slots=True)
class _Watcher:
    principal: Principal
    names: tuple[str, ...]
    tell: Callable[[], None]


_Concerned: TypeAlias = Callable[[_Watcher], bool]


class Watchers:
    """The connections that are open on somebody's credential. From any thread."""

    def __init__(self) -> None:
        self.after_fork()
        begins_anew(self)

    def add(self, principal: Principal, ended: Callable[[], None]) -> Callable[[], None]:
        """Have `ended` called when something is heard of `principal`; the answer ends that."""
        key = object()
        with self._lock:
            self._watchers[key] = _Watcher(principal, names_of(principal), ended)

        def leave() -> None:
            with self._lock:
                self._watchers.pop(key, None)

        return leave

    def forgotten(self, ended: Callable[[Principal], bool]) -> None:
        """Tell those whose principal is no longer remembered."""
        self._tell(lambda watcher: ended(watcher.principal))

    def heard(self, names: frozenset[str] | None) -> None:
        """Tell those whom news of these names concern; None concerns everybody."""
        self._tell(lambda watcher: names is None or not names.isdisjoint(watcher.names))

    def after_fork(self) -> None:
        """In a forked child: the live connections are the parent's."""
        self._lock = threading.Lock()
        self._watchers: dict[object, _Watcher] = {}

    def __len__(self) -> int:
        return len(self._watchers)

    def _tell(self, concerned: _Concerned) -> None:
        with self._lock:
            watchers = tuple(self._watchers.values())
        for watcher in watchers:
            if concerned(watcher):
                try:
                    watcher.tell()
                except Exception:
                    log.exception("a live connection could not be told that its credential may have ended")
