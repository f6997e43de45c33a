"""Connections to PostgreSQL through psycopg 3: they keep to the deadline of the question, and tell when they are dead.

The server has its own bounds, which end a statement that is slow or waits for a lock; those here hold where the server
itself hangs, its machine is gone, or somebody else listens in its place. Knows no table and no statement.
"""

import asyncio
import math
import select
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import Any, Final, TypeVar

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import URL, Dialect, Engine, create_engine, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from guestpass.errors import ConfigurationError
from guestpass.stores.deadlines import left

R = TypeVar("R")
W = TypeVar("W")
C = TypeVar("C")

POOL: Final = 8
"""Connections at most, of each process and of each event loop; with those that rest beside the pool
(`guestpass.stores.short_way`) it is ten. They are opened as they are needed, and stay: who comes later waits, since to
make one more for a while takes longer than most questions."""


ARRIVED: Final = "guestpass.settings_arrived"
"""A setting of our own, which a server does not have where a pooler in between keeps the settings to itself."""


class TimeIsUp(psycopg.OperationalError):
    """The time for the question was over before the server had answered."""


class PatientConnection(psycopg.Connection[Any]):
    """A connection that waits for its server no longer than the question may take."""

    def wait(self, gen: Generator[Any, Any, R], *how: Any, **more: Any) -> R:
        """What `gen` comes to. Raises `TimeIsUp`, and then nobody uses the connection again."""
        try:
            return super().wait(_timed(gen), *how, **more)
        except TimeIsUp:
            self.pgconn.finish()
            raise


class PatientAsyncConnection(psycopg.AsyncConnection[Any]):
    """`PatientConnection`, for asyncio."""

    async def wait(self, gen: Generator[Any, Any, R], *how: Any, **more: Any) -> R:
        """What `gen` comes to. Raises `TimeIsUp`, and then nobody uses the connection again."""
        try:
            return await super().wait(_timed(gen), *how, **more)
        except TimeIsUp:
            self.pgconn.finish()
            raise


def _timed(gen: Generator[W, Any, R]) -> Generator[W, Any, R]:
    # The driver comes back here when there is something to read, and ten times a second besides.
    try:
        waits_for = next(gen)
        while True:
            # Asked after what there is was read: who was held up itself does not blame the server.
            waits_for = gen.send((yield waits_for))
            if left() <= 0:
                raise TimeIsUp("it took too long to answer")
    except StopIteration as end:
        answer: R = end.value
        return answer


def engine(url: URL, wait: float) -> Engine:
    """An engine whose connections commit each statement. No connection is opened yet.

    Raises ConfigurationError for a setting in the URL that cannot be read.
    """
    made = create_engine(_known(url), **_pool(url, wait))
    event.listen(made, "do_connect", _connect)
    event.listen(made, "checkout", _refuser(made.dialect))
    return made


def async_engine(url: URL, wait: float) -> AsyncEngine:
    """`engine`, for asyncio."""
    made = create_async_engine(_known(url), **_pool(url, wait, async_creator_fn=_connect_async))
    event.listen(made.sync_engine, "checkout", _refuser(made.dialect))
    return made


def _known(url: URL) -> URL:
    return url.set(drivername="postgresql+psycopg").difference_update_query(("prepare_threshold", "options"))


def _pool(url: URL, wait: float, **more: object) -> dict[str, Any]:
    return {
        "connect_args": {**_settings(url, wait), **more},
        "hide_parameters": True,
        "isolation_level": "AUTOCOMMIT",
        "pool_size": POOL,
        "max_overflow": 0,
        "pool_timeout": wait,
        "pool_use_lifo": True,
        # Whoever begins a transaction ends it; `_refuser` holds it against them.
        "pool_reset_on_return": None,
        "use_native_hstore": False,  # which would cost each new pool one more question
    }


def _settings(url: URL, wait: float) -> dict[str, object]:
    milliseconds = math.ceil(wait * 1000)
    settings: dict[str, object] = {
        "connect_timeout": max(2, math.ceil(wait)),  # the least that libpq takes
        "tcp_user_timeout": milliseconds,
        # So that a connection whose other end is gone is found out while it is idle.
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "fallback_application_name": "guestpass",
    }
    settings = {name: value for name, value in settings.items() if name not in url.query}
    # The server gives up a little before its client does, so that a lock costs an answer and not a connection. A
    # client that vanished in the middle of a transaction holds nobody up for long.
    bounds = (
        f"-c statement_timeout={max(1, milliseconds * 8 // 10)}"
        f" -c idle_in_transaction_session_timeout={5000 + 2 * milliseconds}"
        f" -c {ARRIVED}=yes"
    )
    settings["options"] = " ".join((bounds, *url.normalized_query.get("options", ())))
    if "prepare_threshold" in url.query:
        settings["prepare_threshold"] = _threshold(url.query["prepare_threshold"])
    return settings


def _threshold(text: object) -> int | None:
    if text == "none":
        return None
    if not isinstance(text, str) or not text.isdecimal():
        raise ConfigurationError(
            'prepare_threshold is "none", or after how many uses a statement is prepared: "…?prepare_threshold=none"'
        )
    return int(text)


def _connect(_: object, __: object, args: list[Any], settings: dict[str, Any]) -> PatientConnection:
    return _in_time(lambda: PatientConnection.connect(*args, **settings))


async def _connect_async(*args: Any, **settings: Any) -> PatientAsyncConnection:
    try:
        async with asyncio.timeout(_left()):
            return await PatientAsyncConnection.connect(*args, **settings)
    except TimeoutError:
        raise TimeIsUp("it took too long to connect") from None


def _in_time(connect: Callable[[], PatientConnection]) -> PatientConnection:
    """What `connect` makes; in a thread, since neither name servers nor the driver know a deadline below 2 seconds."""
    made: Future[PatientConnection] = Future()

    def work() -> None:
        try:
            connection = connect()
        except BaseException as problem:  # noqa: BLE001 - it is raised in the thread that asked
            if made.set_running_or_notify_cancel():
                made.set_exception(problem)
        else:
            if made.set_running_or_notify_cancel():
                made.set_result(connection)
            else:
                connection.close()

    threading.Thread(target=work, name="guestpass-connect", daemon=True).start()
    try:
        return made.result(_left())
    except TimeoutError:
        if made.cancel():
            raise TimeIsUp("it took too long to connect") from None
        return made.result()


def _left() -> float | None:
    seconds = left()
    return None if seconds == math.inf else max(0.0, seconds)


def _refuser(dialect: Dialect) -> Callable[[Any, Any, Any], None]:
    """Has a pool take another connection in the place of one that is unfit, before anything is asked on it."""

    def refuse_unfit(connection: Any, record: Any, _: object) -> None:
        if record.driver_connection.pgconn.transaction_status != TransactionStatus.IDLE:
            raise DisconnectionError
        if not is_fit(record.driver_connection):
            try:
                dialect.do_ping(connection)
            except psycopg.Error:
                raise DisconnectionError from None

    return refuse_unfit


def is_fit(connection: Any) -> bool:
    """Whether one of the driver's connections is as good as one that was just made, as far as can be told unasked."""
    server = connection.pgconn
    # A server has little to say to a client that asks nothing: mostly its last words.
    return server.transaction_status == TransactionStatus.IDLE and not _can_be_read(server.socket)


def _can_be_read(fileno: int) -> bool:
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([fileno], [], [], 0)[0])
    poll = select.poll()
    poll.register(fileno, select.POLLIN)
    return bool(poll.poll(0))
