"""How the Redis store connects: one pool of connections for threads, and one for each event loop of asyncio.

Knows redis-py, and how long to wait. Knows no script and no question. Nothing is ever sent twice: whether a request
that failed was carried out, nobody can tell.
"""

import asyncio
import socket
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import suppress
from typing import Any, Final, Protocol, cast
from weakref import WeakKeyDictionary

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from guestpass.errors import ConfigurationError, StoreUnavailable
from guestpass.stores.redis_errors import SLOW
from guestpass.stores.redis_records import Reply
from guestpass.stores.redis_url import Place

CONNECTIONS: Final = 50
"""How many a pool opens at most, unless the URL says ``max_connections``."""


class _Pool(Protocol):
    connection_class: Callable[..., object]
    connection_kwargs: dict[str, Any]

    def disconnect(self) -> None: ...


class _AsyncPool(Protocol):
    def disconnect(self) -> Coroutine[Any, Any, None]: ...


class _Client(Protocol):
    """redis-py's client, as far as it is used here."""

    @property
    def connection_pool(self) -> _Pool: ...

    def execute_command(self, *args: bytes | str | int) -> Reply: ...
    def info(self) -> dict[str, object]: ...
    def config_get(self, pattern: str) -> dict[str, object]: ...


class _AsyncClient(Protocol):
    """The same on asyncio."""

    @property
    def connection_pool(self) -> _AsyncPool: ...

    def execute_command(self, *args: bytes | str | int) -> Coroutine[Any, Any, Reply]: ...


class ThreadClient:
    """For any thread of this process. `wait`, in seconds, bounds each wait: for a connection, and for the server.

    Opens no connection before the first command. Raises ConfigurationError for settings that redis-py does not take.
    """

    def __init__(self, place: Place, wait: float) -> None:
        self._place = place
        self._wait = wait
        try:
            self._client = self._made()
            pool = self._client.connection_pool
            pool.connection_class(**pool.connection_kwargs)
        except (ValueError, TypeError, redis.RedisError) as problem:
            # Not "from" it: it may quote a setting.
            raise ConfigurationError(
                f"the URL of the Redis store has a setting that redis-py does not take ({type(problem).__name__})"
            ) from None

    def run(self, *command: bytes | str | int) -> Reply:
        """What the server answers. Raises `redis.RedisError`."""
        return self._client.execute_command(*command)

    def info(self) -> dict[str, object]:
        """What the server says about itself. Raises `redis.RedisError`."""
        return self._client.info()

    def config(self, pattern: str) -> dict[str, object]:
        """The server's settings with names like `pattern`. Raises `redis.RedisError`."""
        return self._client.config_get(pattern)

    def renew(self) -> None:
        """Go on with new connections; an old one closes when its last user is done."""
        self._client = self._made()

    def close(self) -> None:
        """Close every connection. Nobody may be using one."""
        self._client.connection_pool.disconnect()

    def _made(self) -> _Client:
        settings = _settings(self._place, self._wait) | {"retry": Retry(NoBackoff(), 0)}
        pools = cast("Any", redis.BlockingConnectionPool)  # which settings it takes, redis-py does not say
        pool = pools.from_url(self._place.url, **settings)
        return cast("_Client", redis.Redis(connection_pool=pool))


class LoopClients:
    """For asyncio: a pool for each event loop that asks, which is closed when that loop shuts down."""

    def __init__(self, place: Place, wait: float) -> None:
        self._place = place
        self._wait = wait
        self._lock = threading.Lock()
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopClient] = WeakKeyDictionary()

    async def run(self, *command: bytes | str | int) -> Reply:
        """What the server answers. Raises `redis.RedisError`, StoreUnavailable where it takes too long.

        Who is cancelled leaves at once; the command goes on to its end.
        """
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            client = await self._begin(loop)
        return await client.run(*command)

    def renew(self) -> None:
        """Go on with new connections in the loop that is running here."""
        client = self._clients.get(asyncio.get_running_loop())
        if client is not None:
            client.renew()

    def close(self) -> None:
        """Have every loop close its connections, once what is under way has ended."""
        with self._lock:
            clients = list(self._clients.items())
        for loop, client in clients:
            with suppress(RuntimeError):  # The loop is closed.
                loop.call_soon_threadsafe(client.leave)

    async def aclose(self) -> None:
        """Close the connections of this loop, once what is under way has ended."""
        client = self._clients.get(asyncio.get_running_loop())
        if client is not None:
            await client.aclose()

    async def _begin(self, loop: asyncio.AbstractEventLoop) -> "_LoopClient":
        client = _LoopClient(self._place, self._wait)
        with self._lock:
            # A connection refers to its loop, and so would keep it from being collected here.
            for other in [other for other in self._clients if other.is_closed()]:
                del self._clients[other]
            self._clients[loop] = client
        client.keeper = self._keep(loop, client)
        await anext(client.keeper)
        return client

    async def _keep(self, loop: asyncio.AbstractEventLoop, client: "_LoopClient") -> AsyncGenerator[None, None]:
        # A loop that shuts down closes the asynchronous generators that were begun in it: the one moment at which
        # connections can be closed that nobody else will close.
        try:
            yield
        finally:
            with self._lock:
                self._clients.pop(loop, None)
            await client.finish()


class _LoopClient:
    """The pool of one event loop, and what is under way there."""

    def __init__(self, place: Place, wait: float) -> None:
        self._place = place
        self._wait = wait
        self._client = self._made()
        self._old: list[_AsyncClient] = []
        self._running: set[asyncio.Task[Reply]] = set()
        self._leaving: set[asyncio.Task[None]] = set()
        self.keeper: AsyncGenerator[None, None] | None = None

    async def run(self, *command: bytes | str | int) -> Reply:
        # In a task of its own, which whoever waits can leave. Where redis-py is cancelled in the middle it must give
        # up the connection, and a change is made or not as it happens.
        task = asyncio.ensure_future(self._client.execute_command(*command))
        self._running.add(task)
        task.add_done_callback(self._ended)
        await asyncio.wait((task,), timeout=2 * self._wait)
        if not task.done():
            raise StoreUnavailable(f"the store did not answer: {SLOW}")
        return task.result()

    def renew(self) -> None:
        self._old.append(self._client)
        self._client = self._made()
        self._later(self._close_old())

    def leave(self) -> None:
        self._later(self.aclose())

    async def aclose(self) -> None:
        await self._close_old()
        await self._disconnect(self._client)

    async def finish(self) -> None:
        await self.aclose()
        if self._leaving:
            await asyncio.wait(tuple(self._leaving))

    async def _close_old(self) -> None:
        if self._running:
            await asyncio.wait(tuple(self._running), timeout=2 * self._wait)
        for client in tuple(self._old):
            await self._disconnect(client)
            # Not before: who is cancelled meanwhile leaves it for the end of the loop.
            with suppress(ValueError):
                self._old.remove(client)

    async def _disconnect(self, client: _AsyncClient) -> None:
        with suppress(redis.RedisError):  # A server that hangs does not say goodbye.
            await client.connection_pool.disconnect()

    def _later(self, closing: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(closing)
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    def _ended(self, task: asyncio.Task[Reply]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # Looked at, also where nobody waits for it any more.

    def _made(self) -> _AsyncClient:
        settings = _settings(self._place, self._wait) | {"retry": AsyncRetry(NoBackoff(), 0)}
        pools = cast("Any", redis.asyncio.BlockingConnectionPool)
        pool = pools.from_url(self._place.url, **settings)
        return cast("_AsyncClient", redis.asyncio.Redis(connection_pool=pool))


def _settings(place: Place, wait: float) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "max_connections": CONNECTIONS,
        "timeout": wait,
        "socket_timeout": wait,
        "socket_connect_timeout": wait,
        "protocol": 2,
    }
    if place.is_tls:
        settings["ssl_check_hostname"] = True  # where redis-py's release did not yet
    if place.is_tcp:
        # So that a connection that a firewall has forgotten is found out while it is idle, and not by a request.
        keepalive = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
        options = {getattr(socket, name): value for name, value in keepalive.items() if hasattr(socket, name)}
        settings |= {"socket_keepalive": True, "socket_keepalive_options": options}
    return settings
