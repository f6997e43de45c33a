"""The version of a SQL store's tables, looked at without changing them.

Opening a store brings its tables up to date; whoever wants to know first looks here.
"""

import time
from dataclasses import dataclass
from typing import Final

from guestpass.errors import ConfigurationError
from guestpass.records import FindKeyById
from guestpass.stores.urls import sqlite_file

WAIT: Final = 1.0


@dataclass(frozen=True, slots=True)
class Schema:
    """The version that the tables have (0: there are none) and the one that this release of guestpass needs."""

    version: int
    newest: int


def schema_of(url: str) -> Schema | None:
    """The tables of the store at `url`; None for a store that has none, since it is no SQL store.

    Raises `ConfigurationError`, also for tables that a newer release made, and `StoreUnavailable`.
    """
    if url.partition(":")[0].partition("+")[0] not in ("sqlite", "postgresql"):
        return None
    try:
        from guestpass.stores import engines, migrations
        from guestpass.stores.sql import InOurWords
        from guestpass.stores.tables import VERSION
    except ModuleNotFoundError as missing:
        raise ConfigurationError(f'SQL stores need {missing.name}: pip install "guestpass[cli]"') from missing
    file = sqlite_file(url)
    if file is not None and not file.exists():
        return Schema(0, VERSION)
    connected = engines.connect(url, WAIT, time.time)
    try:
        with InOurWords(FindKeyById("")), connected.reads.connect() as connection:
            return Schema(migrations.version_of(connection), VERSION)
    finally:
        connected.engine.dispose()
