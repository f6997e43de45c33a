"""Where keys, sessions and cut-offs are kept: `open_store` takes a URL, and loads only what that URL needs.

A store answers the questions of `guestpass.records`, where it says what can be asked and what is promised.
"""

import time
from collections.abc import Callable
from importlib import import_module
from typing import Protocol, TypeVar

from guestpass.errors import ConfigurationError
from guestpass.inquiry import Question

__all__ = ["Store", "open_store"]

T = TypeVar("T")

_THERE_IS = (
    "there is memory://, sqlite:///<path of a file>, postgresql://<user>:<password>@<host>/<database>"
    " and redis://<user>:<password>@<host>/<number>"
)


class Store(Protocol):
    """Who keeps the records. Safe to ask from any number of threads, and across `os.fork`."""

    def answer(self, question: Question[T], /) -> T:
        """The answer to `question`, once what it changes is kept.

        Raises `guestpass.errors.StoreUnavailable` where the store cannot tell, TypeError for a question that
        is not of `guestpass.records`, ValueError for a new record whose id or digest is there already.
        """
        ...

    def close(self) -> None:
        """Let go of connections and files. Closing twice is closing once; questions asked after it raise
        StoreUnavailable."""
        ...


def open_store(url: str, *, wait: float = 1.0, clock: Callable[[], float] = time.time) -> Store:
    """The store at `url`, ready to be asked; whoever opens it closes it.

    - ``memory://``: in this process alone, gone with it; needs nothing.
    - ``sqlite:///guestpass.db`` (relative), ``sqlite:////var/lib/guestpass.db`` (absolute): a file that any
      number of processes of one machine share, not one on a network. Needs the extra ``sql``.
    - ``postgresql://user:password@host/database``: any number of machines, and on asyncio no threads. Needs the
      extra ``postgresql``.
    - ``redis://user:password@host:6379/0``, ``rediss://`` with TLS, ``valkey://``, ``valkeys://``, or
      ``unix:///run/redis.sock?db=0``: any number of machines, and on asyncio no threads. Needs the extra ``redis``.

    The tables are made at the first opening, and brought up to date by a newer release. `wait`, in seconds, is how
    long a question may wait for a connection, for its turn or for a lock before it raises StoreUnavailable. `clock`,
    in Unix seconds, is for stores without a clock of their own: in memory and SQLite. Raises ConfigurationError for a
    URL or a place that cannot work, StoreUnavailable for a database that does not answer.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise ConfigurationError(
            f'a store is named by a URL, such as open_store("sqlite:///guestpass.db"): {_THERE_IS}'
        )
    family = scheme.partition("+")[0]
    if scheme == "memory":
        if rest:
            raise ConfigurationError('nothing follows the slashes of a memory store: write open_store("memory://")')
        from guestpass.stores.memory import MemoryStore

        return MemoryStore(clock=clock)
    if family == "sqlite":
        try:
            from guestpass.stores.sql import SqlStore
        except ModuleNotFoundError as missing:
            raise _without(family, "sql", missing) from missing
        return SqlStore(url, wait=wait, clock=clock)
    if family == "postgresql":
        try:
            import_module("greenlet")  # without which SQLAlchemy fails in a way of its own
            from guestpass.stores.postgres import PostgresStore
        except ModuleNotFoundError as missing:
            raise _without(family, "postgresql", missing) from missing
        return PostgresStore(url, wait=wait)
    if family in ("redis", "rediss", "valkey", "valkeys", "unix"):
        try:
            from guestpass.stores.redis import RedisStore
        except ModuleNotFoundError as missing:
            raise _without(family, "redis", missing) from missing
        return RedisStore(url, wait=wait)
    raise ConfigurationError(f"no store has the scheme {scheme!r}: {_THERE_IS}")


def _without(family: str, extra: str, missing: ModuleNotFoundError) -> Exception:
    if missing.name is None or missing.name.startswith("guestpass"):
        return missing
    return ConfigurationError(f'{family} stores need {missing.name}: pip install "guestpass[{extra}]"')
