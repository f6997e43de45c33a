"""Client secrets: known, looked up in a store, and mistyped."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import cycle
from typing import Any, TypeVar

import anyio.to_thread
from sqlalchemy import bindparam, create_engine, event, select
from sqlalchemy.ext.asyncio import create_async_engine

from benchmarks.applications import bare, floor, guarded
from benchmarks.databases import folder, postgres
from benchmarks.driving import WALL, ASGIApp, http_scope, of_asgi, of_calls, of_coroutines, of_wsgi
from benchmarks.measuring import Rounds, measure
from benchmarks.results import Result, Table, Target
from benchmarks.scene import ACCOUNT, Scene, request_headers
from benchmarks.settings import Settings
from guestpass import Guard, Refusal
from guestpass.asgi import GuardMiddleware as AsgiGuard
from guestpass.asgi import request_of
from guestpass.credentials import digest
from guestpass.inquiry import Question
from guestpass.records import FindKey, FindSession
from guestpass.stores import Store, open_store
from guestpass.stores.tables import sessions as table
from guestpass.wsgi import GuardMiddleware as WsgiGuard

TITLE = "client secrets, known and looked up"
SECONDS, TURN = 10.0, 0.005
SECRETS = 200
SELECT = select(table).where(table.c.digest == bindparam("digest"))

T = TypeVar("T")


def run(settings: Settings) -> Result:
    """Warm, cold on SQLite, cold on PostgreSQL, mistyped."""
    seconds = settings.seconds(SECONDS)
    result = Result("opaque", TITLE)
    loop = asyncio.new_event_loop()
    with folder() as place:
        url = f"sqlite:///{place}/guestpass.db"
        with closing(open_store(url)) as store:
            warm(result, store, loop, seconds)
            sqlite(result, store, url, loop, seconds)
            mistyped(result, store, seconds)
        with postgres(place / "pg") as (url, _), closing(open_store(url)) as store:
            on_postgres(result, store, url, loop, seconds)
    loop.close()
    result.notes.append(
        "The same SELECT is the store's, through SQLAlchemy Core and a pooled engine with the store's settings, with "
        "nothing made of the row. A look-up through the guard is the whole request over the bare application."
    )
    return result


def warm(result: Result, store: Store, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
    """As with a token, but for the length of what is hashed."""
    scene, guard, secrets = opening(store)
    (secret,) = secrets[:1]
    known = {f"Bearer {secret}".encode(): floor.Verified("", ACCOUNT, 1e12)}
    app = bare.asgi(scene)
    apps: dict[str, ASGIApp] = {
        "bare ASGI": app,
        "floor": floor.around_asgi(app, scene, known.get),
        "guestpass": AsgiGuard(app, guard),
    }
    requests = [request_headers(f"Bearer {secret}", ACCOUNT)]
    rounds = measure({name: of_asgi(one, scene.path, requests, loop) for name, one in apps.items()}, seconds)
    result.targets.append(
        Target(
            "a known client secret, over the bare ASGI application, × the floor",
            1.6,
            rounds.ratio_over("guestpass", "floor", "bare ASGI"),
        )
    )
    result.tables.append(figures("Known, over ASGI", rounds))


def sqlite(result: Result, store: Store, url: str, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
    """Each secret unseen: in this thread, then on asyncio with its thread hop, which is on a line by itself."""
    scene, guard, secrets = opening(store, cold=True)
    requests = [request_headers(f"Bearer {secret}", ACCOUNT) for secret in secrets]
    app = bare.wsgi(scene)
    with pooled(url, secrets) as one_select:
        turns = {
            "bare WSGI": of_wsgi(app, scene.path, requests),
            "the same SELECT": of_calls(one_select),
            "guestpass, WSGI": of_wsgi(WsgiGuard(app, guard), scene.path, requests),
        }
        rounds = measure(turns, seconds, turn=TURN)
        ratio = rounds.ratio_of_over("guestpass, WSGI", "bare WSGI", "the same SELECT")
        result.targets.append(Target("a client secret looked up on SQLite, × the same SELECT", 1.5, ratio))
        result.tables.append(figures("Looked up on SQLite", rounds))
        async_app = bare.asgi(scene)
        _, guard, _ = opening(store, cold=True)
        turns = {
            "bare ASGI": of_asgi(async_app, scene.path, requests, loop, WALL),
            "a thread hop": of_coroutines(hop, loop, WALL),
            "the same SELECT, in a thread": of_coroutines(lambda: anyio.to_thread.run_sync(one_select), loop, WALL),
            "guestpass, ASGI": of_asgi(AsgiGuard(async_app, guard), scene.path, requests, loop, WALL),
        }
        result.tables.append(figures("Looked up on SQLite, on asyncio", measure(turns, seconds, turn=TURN)))


def on_postgres(result: Result, store: Store, url: str, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
    """Asynchronous from end to end, beside the same SELECT through the same driver's asynchronous half."""
    scene, guard, secrets = opening(store, cold=True)
    requests = [request_headers(f"Bearer {secret}", ACCOUNT) for secret in secrets]
    app = bare.asgi(scene)
    engine = create_async_engine(url.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
    digests = cycle([digest(secret) for secret in secrets])

    async def one_select() -> None:
        async with engine.connect() as connection:
            found = await connection.execute(SELECT, {"digest": next(digests)})
            found.one()

    turns = {
        "bare ASGI": of_asgi(app, scene.path, requests, loop, WALL),
        "the same SELECT, asynchronous": of_coroutines(one_select, loop, WALL),
        "guestpass, ASGI": of_asgi(AsgiGuard(app, guard), scene.path, requests, loop, WALL),
    }
    rounds = measure(turns, seconds, turn=TURN)
    loop.run_until_complete(engine.dispose())
    result.tables.append(figures("Looked up on PostgreSQL, without a thread", rounds))


def mistyped(result: Result, store: Store, seconds: float) -> None:
    """Refused by its checksum: the time, and how often the store was asked."""
    counting = Counting(store)
    scene, guard, secrets = opening(counting)
    wrong = [secret[:-7] + ("a" if secret[-7] != "a" else "b") + secret[-6:] for secret in secrets]
    scopes = [{**http_scope(scene.path), "headers": request_headers(f"Bearer {one}", ACCOUNT)} for one in wrong]
    requests = cycle([request_of(scope) for scope in scopes])
    if not isinstance(guard.decide(next(requests)), Refusal):
        raise TypeError("a mistyped client secret was not refused at once")
    asked = counting.look_ups
    rounds = measure({"mistyped": of_calls(lambda: guard.decide(next(requests)))}, seconds / 4)
    if counting.look_ups != asked:
        raise ValueError("a mistyped client secret was looked up")
    result.targets.append(Target("a mistyped client secret, without a look-up", 5, rounds.of("mistyped"), unit="µs"))


class Counting:
    """A store that counts the credentials that it is asked for."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.look_ups = 0

    def answer(self, question: Question[T], /) -> T:
        self.look_ups += isinstance(question, FindSession | FindKey)
        return self._store.answer(question)

    def close(self) -> None:
        self._store.close()


def opening(store: Store, *, cold: bool = False) -> tuple[Scene, Guard, list[str]]:
    """A guard on a store, and client secrets that are in it."""
    scene = replace(Scene({"keys": []}, "", [], ""), cold=cold)
    guard = guarded.guard_of(scene, store=store)
    return scene, guard, guarded.client_secrets(guard, SECRETS)


@contextmanager
def pooled(url: str, secrets: list[str]) -> Iterator[Callable[[], object]]:
    """The same SELECT as SQLAlchemy Core has it, with a store's settings."""
    engine = create_engine(url)

    def settle(connection: Any, _: object) -> None:
        connection.execute("PRAGMA synchronous = FULL")

    event.listen(engine, "connect", settle)
    digests = cycle([digest(secret) for secret in secrets])

    def one_select() -> None:
        with engine.connect() as connection:
            connection.execute(SELECT, {"digest": next(digests)}).one()

    yield one_select
    engine.dispose()


async def hop() -> None:
    await anyio.to_thread.run_sync(nothing)


def nothing() -> None:
    return


def figures(title: str, rounds: Rounds) -> Table:
    """Microseconds of each."""
    return Table(title, ("", "µs"), [(name, rounds.of(name).written()) for name in rounds.times])
