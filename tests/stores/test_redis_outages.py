"""A Redis that is down, slow, busy, full, a replica, or somebody else's: told apart, and over when it is over."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from itertools import count
from typing import Any

import pytest
import redis

from guestpass.errors import ConfigurationError, StoreUnavailable
from guestpass.records import (
    AddCutoff,
    AddKey,
    AddSession,
    Ending,
    FindKeyById,
    FindSession,
    FindSessionById,
    ListKeys,
    ListSigningKeys,
    Purge,
    ReadCutoffs,
    RevokeSession,
)
from guestpass.stores.redis import RedisStore
from guestpass.testing.samples import NOW, NOW_MS, digest, key, session

from .redis_servers import Admin, Line, Server, program, programs, running

WAIT = 0.3
SLACK = 1.0
"""Seconds by which a busy machine may be late."""

prefixes = count()


@pytest.fixture(scope="module", params=[name for name in programs() if name != "redis-server"] or ["redis"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with running(programs().get(request.param) or program(request.param), "--lua-time-limit", "50") as one:
        yield one


@pytest.fixture
def store(server: Server) -> Iterator[RedisStore]:
    with closing(RedisStore(server.url, wait=WAIT, prefix=f"{next(prefixes)}:")) as store:
        yield store


@pytest.fixture
def admin(server: Server) -> Iterator[Admin]:
    with server.client() as client:
        yield client


def waits(store: RedisStore) -> float:
    """For how many seconds a question waits that is not answered."""
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match=r"takes too long|in use"):
        store.answer(FindSession(digest("x")))
    return time.monotonic() - began


def trouble(store: RedisStore) -> str:
    """Why a question is not answered; nothing where it is."""
    try:
        store.answer(ReadCutoffs(0))
    except StoreUnavailable as problem:
        return str(problem)
    return ""


# Down, slow


def test_a_server_that_hangs_is_not_waited_for(server: Server, store: RedisStore) -> None:
    store.answer(AddSession(session()))
    with server.stopped():
        assert waits(store) < 2 * WAIT + SLACK
        began = time.monotonic()
        with ThreadPoolExecutor(120) as pool:
            waited = [one.result() for one in [pool.submit(waits, store) for _ in range(120)]]
        assert max(waited) < 2 * WAIT + SLACK
        assert time.monotonic() - began < 2 * WAIT + SLACK
    assert store.answer(FindSession(session().digest)) == session()


def test_a_server_that_hangs_is_not_waited_for_on_asyncio(server: Server, store: RedisStore) -> None:
    async def all_of_them() -> None:
        one, other = session("a"), session("b")
        for kept in (one, other):
            await store.answer_async(AddSession(kept))
        with server.stopped():
            began = time.monotonic()
            asked = (store.answer_async(FindSession(one.digest)) for _ in range(120))
            answers = await asyncio.gather(*asked, return_exceptions=True)
            assert time.monotonic() - began < 2 * WAIT + SLACK
            assert {type(answer) for answer in answers} == {StoreUnavailable}
        # Nobody gets the answer that another did not wait for. A process that holds as much as a whole run of tests may
        # stand still for as long as a question waits, while its garbage is collected.
        for _ in range(5):
            asked = (store.answer_async(FindSession(other.digest)) for _ in range(120))
            answers = await asyncio.gather(*asked, return_exceptions=True)
            assert {answer for answer in answers if not isinstance(answer, StoreUnavailable)} <= {other}
            if answers == [other] * 120:
                break
        else:
            pytest.fail("the server is there again, and is not asked as before")

    asyncio.run(all_of_them())


def test_what_takes_connections_and_says_nothing_is_no_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match="takes too long"):
            RedisStore(f"redis://127.0.0.1:{silent.getsockname()[1]}", wait=WAIT)
        assert time.monotonic() - began < 2 * WAIT + SLACK


def test_what_speaks_another_protocol_is_no_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, ThreadPoolExecutor(1) as pool:

        def speak() -> None:
            client, _ = other.accept()
            with client:
                client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        speaking = pool.submit(speak)
        with pytest.raises(StoreUnavailable, match=r"protocol|clos|reset|reading"):
            RedisStore(f"redis://127.0.0.1:{other.getsockname()[1]}", wait=WAIT)
        speaking.result()


def test_where_nobody_listens_the_address_is_told_and_the_password_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(StoreUnavailable, match=str(port)) as told:
        RedisStore(f"redis://someone:s3cret@127.0.0.1:{port}", wait=WAIT)
    assert "s3cret" not in f"{told.value!r}{told.value.__cause__!r}"


def test_a_server_that_comes_back_is_asked_again() -> None:
    with running(program("redis")) as server, closing(RedisStore(server.url, wait=WAIT)) as store:
        store.answer(AddSession(session()))

        async def over_and_back() -> None:
            assert await store.answer_async(FindSession(session().digest)) == session()
            server.kill()
            for _ in range(3):
                with pytest.raises(StoreUnavailable):
                    store.answer(FindSession(session().digest))
                with pytest.raises(StoreUnavailable):
                    await store.answer_async(FindSession(session().digest))
            server.start()
            assert store.answer(FindSession(session().digest)) == session()
            assert await store.answer_async(FindSession(session().digest)) == session()

        asyncio.run(over_and_back())


@pytest.fixture
def line(server: Server) -> Iterator[Line]:
    with closing(Line(server)) as line:
        yield line


def test_a_change_whose_answer_is_lost_is_not_made_twice(line: Line) -> None:
    with closing(RedisStore(line.url, wait=WAIT, prefix=f"{next(prefixes)}:")) as store:
        store.answer(AddCutoff(Ending("first", NOW_MS, NOW)))

        async def change() -> None:
            await store.answer_async(ReadCutoffs(0))
            line.deaf = True
            with pytest.raises(StoreUnavailable):
                await store.answer_async(AddCutoff(Ending("b", NOW_MS, NOW)))
            line.deaf = False

        asyncio.run(change())
        store.answer(ReadCutoffs(0))
        line.deaf = True
        with pytest.raises(StoreUnavailable):
            store.answer(AddCutoff(Ending("a", NOW_MS, NOW)))
        line.deaf = False
        page = store.answer(ReadCutoffs(0))
        assert page.position == 3
        assert [cutoff.name for cutoff in page.cutoffs] == ["first", "b", "a"]


# Alive, and not able to


def test_a_server_that_forgot_the_scripts_is_told_them_again(store: RedisStore, admin: Admin) -> None:
    store.answer(AddSession(session()))
    admin.script_flush()
    assert store.answer(FindSession(session().digest)) == session()
    admin.script_flush()
    assert asyncio.run(store.answer_async(FindSession(session().digest))) == session()


def test_a_replica_takes_no_changes(store: RedisStore, admin: Admin) -> None:
    store.answer(AddSession(session("a")))
    admin.execute_command("REPLICAOF", "127.0.0.1", "1")
    try:
        with pytest.raises(StoreUnavailable, match="replica"):
            store.answer(AddSession(session("b")))
        with pytest.raises(StoreUnavailable, match="replica"):
            asyncio.run(store.answer_async(AddSession(session("b"))))
        assert store.answer(FindSession(session("a").digest)) == session("a")
    finally:
        admin.execute_command("REPLICAOF", "NO", "ONE")
    store.answer(AddSession(session("b")))
    asyncio.run(store.answer_async(AddSession(session("c"))))


def test_after_a_failover_the_new_primary_is_found(server: Server, line: Line) -> None:
    """Open connections still lead to what has become a replica; new ones do not."""
    with running(program("redis")) as next_one, closing(RedisStore(line.url, wait=WAIT)) as store:

        async def fail_over() -> None:
            for _ in range(5):
                await store.answer_async(ReadCutoffs(0))
            with server.client() as client, next_one.client() as other:
                client.flushall()
                client.execute_command("REPLICAOF", "127.0.0.1", "1")
                line.lead_to(next_one)
                try:
                    with pytest.raises(StoreUnavailable, match="replica"):
                        store.answer(AddSession(session("a")))
                    with pytest.raises(StoreUnavailable, match="replica"):
                        await store.answer_async(AddSession(session("b")))
                    store.answer(AddSession(session("a")))
                    await store.answer_async(AddSession(session("b")))
                    assert len(other.keys("*session-id:*")) == 2
                finally:
                    client.execute_command("REPLICAOF", "NO", "ONE")

        asyncio.run(fail_over())


def test_a_full_server_takes_no_sessions_but_finds_and_purges(store: RedisStore, admin: Admin) -> None:
    store.answer(AddSession(session("a", expires_at=NOW)))
    admin.config_set("maxmemory", 1)
    try:
        with pytest.raises(StoreUnavailable, match="memory"):
            store.answer(AddSession(session("b")))
        assert store.answer(FindSession(session("b").digest)) is None
        assert store.answer(FindSessionById("as_a")) is not None
        assert store.answer(Purge(NOW, NOW + 1)) == 1
    finally:
        admin.config_set("maxmemory", 0)
    store.answer(AddSession(session("b")))


def test_a_server_that_is_busy_with_a_script_is_not_waited_for(store: RedisStore, server: Server) -> None:
    def hog() -> None:
        with server.client() as client, suppress(redis.RedisError):
            client.execute_command("EVAL", "while true do end", 0)

    with ThreadPoolExecutor(1) as pool, server.client() as client:
        hogging = pool.submit(hog)
        try:
            # First it says nothing, after its own time limit that it is busy.
            told = ""
            while "busy with a script" not in told:
                told = trouble(store)
        finally:
            client.script_kill()
        hogging.result()
    assert store.answer(ReadCutoffs(0)).cutoffs == ()


def test_a_password_that_is_missing_or_wrong_is_told(server: Server, admin: Admin) -> None:
    admin.config_set("requirepass", "s3cret")
    try:
        with pytest.raises(StoreUnavailable, match="asks for a password"):
            RedisStore(server.url, wait=WAIT)
        with pytest.raises(StoreUnavailable, match="does not take the user and password") as told:
            RedisStore(f"{server.url}?password=wr0ng", wait=WAIT)
        assert "wr0ng" not in repr(told.value)
        with closing(RedisStore(f"{server.url}?password=s3cret", wait=WAIT)) as store:
            store.answer(ListKeys())
            assert "s3cret" not in f"{store!r}{vars(store)}"
            assert asyncio.run(store.answer_async(ListKeys())) == ()
    finally:
        admin.config_set("requirepass", "")


# Somebody else's keys


def test_a_key_of_another_type_is_told(store: RedisStore, admin: Admin) -> None:
    tag = f"{{{store._place.prefix}}}"
    admin.lpush(f"{tag}session:{digest('x').hex()}", "other")
    with pytest.raises(StoreUnavailable, match="prefix"):
        store.answer(FindSession(digest("x")))


def test_a_prefix_that_is_somebody_elses_is_refused_at_the_start(server: Server, admin: Admin) -> None:
    admin.set("{theirs:}cutoffs", "other")
    with pytest.raises(ConfigurationError, match="prefix"):
        RedisStore(f"{server.url}?prefix=theirs:")


def test_what_a_newer_release_wrote_is_left_alone(server: Server, admin: Admin) -> None:
    admin.set("{newer:}version", 2)
    admin.hset("{newer:}cutoffs", "what", "ever")
    with pytest.raises(ConfigurationError, match="upgrade guestpass"):
        RedisStore(server.url, prefix="newer:")
    assert admin.hgetall("{newer:}cutoffs") == {b"what": b"ever"}


@pytest.mark.parametrize("held", [b"", b"x", b"\n\n\n\n", b"inf\n\n[1]\n[]\n[]", b"\xff", b"inf\n\n{}\n1\n1"])
def test_a_session_that_cannot_be_read_is_nobodys(store: RedisStore, admin: Admin, held: bytes) -> None:
    admin.set(f"{{{store._place.prefix}}}session:{digest('x').hex()}", held)
    with pytest.raises(StoreUnavailable, match="prefix"):
        store.answer(FindSession(digest("x")))
    with pytest.raises(StoreUnavailable, match="prefix"):
        asyncio.run(store.answer_async(FindSession(digest("x"))))


@pytest.mark.parametrize("field", [b"id", b"digest", b"grant", b"created_at", b"origins", b"old_until"])
def test_a_key_that_cannot_be_read_is_nobodys(store: RedisStore, admin: Admin, field: bytes) -> None:
    store.answer(AddKey(key()))
    name = f"{{{store._place.prefix}}}key:key_k"
    admin.hset(name, field, b"\xff")
    with pytest.raises(StoreUnavailable, match="prefix"):
        store.answer(FindKeyById("key_k"))
    admin.hdel(name, field)
    with pytest.raises(StoreUnavailable, match="prefix"):
        store.answer(FindKeyById("key_k"))


def test_signing_keys_that_cannot_be_read_sign_nothing(store: RedisStore, admin: Admin) -> None:
    admin.hset(f"{{{store._place.prefix}}}signing-keys", "live:1", "{}")
    with pytest.raises(StoreUnavailable, match="prefix"):
        store.answer(ListSigningKeys())


def test_a_revocation_of_what_cannot_be_read_is_not_acknowledged(store: RedisStore, admin: Admin) -> None:
    store.answer(AddSession(session()))
    admin.set(f"{{{store._place.prefix}}}session:{session().digest.hex()}", "x")
    with pytest.raises(StoreUnavailable):
        store.answer(RevokeSession("as_s", NOW))


def test_an_answer_to_another_request_is_not_taken(
    server: Server, store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal's exception between sending and reading leaves a connection behind that owes an answer."""
    for name in "ab":
        store.answer(AddSession(session(name)))
    store.answer(FindSession(session("a").digest))
    read = redis.Connection.read_response

    def break_off(self: redis.Connection, **settings: object) -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt

    with ThreadPoolExecutor(1) as pool:
        with server.stopped():
            monkeypatch.setattr("redis.connection.AbstractConnection.read_response", break_off)
            with pytest.raises(KeyboardInterrupt):
                store.answer(FindSession(session("a").digest))
            assert redis.Connection.read_response is read
            sent = threading.Event()
            send: Any = redis.Connection.send_command

            def note(self: redis.Connection, *args: object, **settings: object) -> None:
                send(self, *args, **settings)
                sent.set()

            monkeypatch.setattr("redis.connection.AbstractConnection.send_command", note)
            asking = pool.submit(store.answer, FindSession(session("b").digest))
            assert sent.wait(WAIT + SLACK)
        with pytest.raises(StoreUnavailable, match="for another request"):
            asking.result()
    for name in "ab":
        assert store.answer(FindSession(session(name).digest)) == session(name)


def test_connections_that_the_server_closed_are_no_outage(store: RedisStore, admin: Admin) -> None:
    """As with its setting ``timeout``."""

    async def idle() -> None:
        for _ in range(3):
            assert store.answer(ReadCutoffs(0)).cutoffs == ()
            assert (await store.answer_async(ReadCutoffs(0))).cutoffs == ()
            assert admin.client_kill_filter(_type="normal", skipme=True) >= 2
            for _ in range(10):
                await asyncio.sleep(0)  # turns of the loop, in which it hears of it

    asyncio.run(idle())
