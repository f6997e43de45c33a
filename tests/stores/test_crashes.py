"""Ten thousand sessions are made while the database and one of those who make them are killed."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from queue import Queue
from subprocess import Popen
from threading import Thread
from typing import TypeAlias

from guestpass.records import ReadCutoffs
from guestpass.revocation.cutoff_list import FOREVER_MS, session_name
from guestpass.stores import open_store

from .postgres_servers import serving
from .running import started

MANY = 10_000

Told: TypeAlias = Queue[tuple[str, int, str] | None]


def listen(program: Popen[bytes], told: Told) -> Thread:
    """Everything that `program` tells goes to `told`; None at its end."""

    def read() -> None:
        assert program.stdout is not None
        for line in program.stdout:
            # The last one of who is killed may be half a line.
            if line.endswith(b"]\n"):
                what, number, which = json.loads(line)
                told.put((what, number, which))
        told.put(None)

    thread = Thread(target=read, daemon=True)
    thread.start()
    return thread


def heard(told: Told) -> Iterator[tuple[str, int, str] | None]:
    while True:
        yield told.get(timeout=60)


def test_what_is_acknowledged_is_there_and_nothing_is_twice() -> None:
    made: dict[int, set[str]] = {}
    ended: set[str] = set()
    outages = 0
    told: Told = Queue()
    with serving() as server, ExitStack() as programs:
        url = server.url()
        open_store(url, wait=10).close()

        def begin(first: int, beyond: int) -> Popen[bytes]:
            program = programs.enter_context(started("create", url, str(first), str(beyond)))
            listen(program, told)
            return program

        running = [begin(0, MANY // 2), begin(MANY // 2, MANY)]
        acknowledged = 0
        left = len(running)
        for what in heard(told):
            if what is None:
                left -= 1
                if not left:
                    break
                continue
            kind, number, which = what
            if kind == "made":
                made.setdefault(number, set()).add(which)
                acknowledged += 1
                if acknowledged == MANY // 4:
                    server.kill()
                    server.start()
                if acknowledged == MANY // 2:
                    # Whoever takes over makes the same requests anew.
                    running[1].kill()
                    left += 1
                    running.append(begin(MANY // 2, MANY))
            elif kind == "ended":
                ended.add(which)
            else:
                outages += 1
        assert [program.wait(10) for program in running] == [0, -9, 0]
        assert outages > 0
        assert len(made) == MANY
        assert [ids for ids in made.values() if len(ids) != 1] == []
        assert len(ended) == MANY // 5
        kept = server.run("SELECT id, revoked_at FROM guestpass_sessions")
        assert len(kept) == MANY
        assert {which for which, _ in kept} == {which for ids in made.values() for which in ids}
        assert {which for which, revoked_at in kept if revoked_at is not None} >= ended
        assert server.run("SELECT count(*) FROM guestpass_idempotency") == [(MANY,)]
        store = open_store(url, wait=10)
        page = store.answer(ReadCutoffs(0))
        assert page.reached == page.position
        assert {one.name for one in page.cutoffs if one.at_ms == FOREVER_MS} >= {session_name(which) for which in ended}
        store.close()
