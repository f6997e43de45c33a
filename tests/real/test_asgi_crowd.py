"""A thousand idle sockets at once through the guard, under real servers: who is told to go goes, everybody else stays,
and afterwards nothing is left of them.
"""

import asyncio
import resource
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any, TypeVar

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from real.programs import WAIT
from real.staging import Stage, staged

pytestmark = pytest.mark.real

CROWD, ACCOUNTS = 1_000, 10
SOON = 2.0
"""Seconds before the end, at which everybody comes."""
FILES = 4_096
"""Open files that the test needs, and each server."""

T = TypeVar("T")


@pytest.fixture
def files() -> None:
    """Room for a thousand connections in this process and in those that it starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < FILES:
        pytest.skip(f"no more than {hard} open files are allowed here")
    if soft != resource.RLIM_INFINITY and soft < FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, hard))


@pytest.mark.parametrize("server", ["uvicorn", "hypercorn_on_trio", "granian"])
def test_a_thousand_idle_sockets(server: str, files: None) -> None:
    with staged(server) as stage:
        asyncio.run(asyncio.wait_for(_a_thousand(stage), 2 * WAIT))


async def _a_thousand(stage: Stage) -> None:
    end = stage.now + 60
    sessions = [stage.mint(f"acct_{number}", expires_in=60) for number in range(ACCOUNTS)]
    stage.stop_clock(end - SOON)

    # The first crowd makes whatever a server makes once, and then goes by itself.
    before = await _aside(stage.counts)
    async with AsyncExitStack() as stack:
        await _arrive(stage, stack, sessions)
        first = await _aside(stage.counts)
    before = await _aside(lambda: stage.at_rest(before))
    async with AsyncExitStack() as stack:
        crowd = await _arrive(stage, stack, sessions)
        during = await _aside(stage.counts)
        assert during["watched"] == CROWD
        assert during["files"] - before["files"] == CROWD
        ends = [[asyncio.create_task(_end_of(one)) for one in some] for some in crowd]

        # One account's session: exactly its sockets, and at once.
        began = time.monotonic()
        await _aside(lambda: stage.revoke(sessions[3]))
        assert set(await asyncio.gather(*ends[3])) == {3000}
        assert time.monotonic() - began < 4
        left = [task for number, some in enumerate(ends) if number != 3 for task in some]
        assert not any(task.done() for task in left)
        for some in (*crowd[:3], *crowd[4:]):
            await some[0].send("still here")

        # All others in the same instant, and meanwhile somebody else is served.
        await _aside(lambda: stage.start_clock(end - SOON))
        took = await _others_served(stage, left)
        assert {task.result() for task in left} == {3000}
        assert max(took) < 4

    await _aside(lambda: stage.stop_clock(end + 1))
    after = await _aside(lambda: stage.at_rest(before))
    # Not one object for each socket that was, apart from those of threads that wait for more to do. The process keeps
    # memory for the next crowd, but needs no more for the second than for the first.
    idle = max(0, after["threads"] - before["threads"])
    assert after["objects"] - before["objects"] < CROWD // 2 + 30 * idle
    assert during["kilobytes"] - first["kilobytes"] < 10 * CROWD
    assert after["threads"] < 500


async def _arrive(
    stage: Stage, stack: AsyncExitStack, sessions: Sequence[dict[str, Any]]
) -> list[list[ClientConnection]]:
    """A hundred sockets of each session, all open."""
    door = asyncio.Semaphore(50)

    async def come(session: dict[str, Any]) -> ClientConnection:
        async with door:
            connection = await stack.enter_async_context(
                connect(
                    f"ws://127.0.0.1:{stage.port}/v1/events",
                    subprotocols=[Subprotocol("client_secret"), Subprotocol(session["client_secret"])],
                    proxy=None,
                    compression=None,
                    ping_interval=None,
                    open_timeout=WAIT,
                )
            )
            await connection.recv()
            return connection

    async def come_together(session: dict[str, Any]) -> list[ClientConnection]:
        # The first alone: a credential is looked up once, and look-ups at once are bounded.
        first = await come(session)
        return [first, *await asyncio.gather(*(come(session) for _ in range(CROWD // ACCOUNTS - 1)))]

    return await asyncio.gather(*map(come_together, sessions))


async def _end_of(connection: ClientConnection) -> int | None:
    try:
        while True:
            await connection.recv()
    except ConnectionClosed:
        return connection.close_code


async def _others_served(stage: Stage, ends: Sequence[asyncio.Task[int | None]]) -> list[float]:
    """The seconds that each request of somebody else took, one after another until all of these have ended."""
    took: list[float] = []
    async with httpx.AsyncClient(base_url=stage.url, timeout=WAIT, headers={"Connection": "close"}) as web:
        while not all(task.done() for task in ends):
            began = time.monotonic()
            assert (await web.get("/health")).status_code == 200
            took.append(time.monotonic() - began)
    return took


async def _aside(call: Callable[[], T]) -> T:
    """`call`, which waits for an answer, while the sockets go on."""
    waiting: Awaitable[T] = asyncio.to_thread(call)
    return await waiting
