"""The test's end of `real.streaming`: a server of its own store, and an office that mints there."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import httpx

from guestpass import SINGLE_PLATFORM, AccountSessions, ApiKeys, Guard, Policy, open_store
from guestpass.sessions import AccountSession
from guestpass.stores import Store
from real.programs import WAIT, Program, missing

SOON = 3.0
"""Seconds that a session has left when its connection is opened."""

_TESTS = Path(__file__).parent.parent


class Office:
    """Mints in the store that the server reads, by one key."""

    def __init__(self, store: Store) -> None:
        self._store = store
        an_hour_ago = time.time() - 3600
        self._key = ApiKeys(store, owns=SINGLE_PLATFORM, clock=lambda: an_hour_ago).create(platform="p", mode="live")

    def session(self, seconds: float = 3600) -> AccountSession:
        """A new session that has so many seconds left. None is made for less than a minute, so it is older."""
        made_at = time.time() - max(0, 60 - seconds)
        keys = ApiKeys(self._store, owns=SINGLE_PLATFORM, clock=lambda: made_at)
        sessions = AccountSessions(self._store, clock=lambda: made_at)
        policy = Policy(components={"call_logs": (), "voicemails": ()}, roles=("external_entity", "admin"))
        guard = Guard(authenticators=[keys, sessions], policy=policy, mode="live", clock=lambda: made_at)
        by = guard.check(self._key.secret)
        return sessions.create(by=by, account="acct_1", expires_in=max(60, int(seconds)))

    def revoke(self, session: AccountSession) -> None:
        """End a session, without a word to the server."""
        AccountSessions(self._store).revoke(session.id)


@dataclass(frozen=True)
class Serving:
    """A server at work."""

    program: Program
    url: str
    office: Office

    def get(self, path: str, session: AccountSession | None = None) -> httpx.Response:
        """A whole answer."""
        headers = {} if session is None else {"Authorization": f"Bearer {session.client_secret}"}
        return httpx.get(self.url + path, headers=headers, verify=False, timeout=WAIT)


@contextmanager
def serving(
    needed: tuple[str, ...], command: list[str], listening: str, store: str, scheme: str = "http"
) -> Iterator[Serving]:
    """A server until the block ends. `needed` are its packages, `listening` finds the port in what it prints."""
    for package in needed:
        if find_spec(package) is None:
            missing(package, "it is not installed")
    path = os.pathsep.join([str(_TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    opened = open_store(store)
    program = Program("env", f"GUESTPASS_STORE={store}", f"PYTHONPATH={path}", sys.executable, *command)
    try:
        server = Serving(program, f"{scheme}://127.0.0.1:{program.until(listening)[1]}", Office(opened))
        # Some listen before they have loaded the application.
        server.get("/whole")
        yield server
    finally:
        program.end()
        opened.close()
