"""A long answer over ASGI is broken off when its credential ends, and no other answer is troubled."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from typing import Any, cast

import anyio
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from guestpass.asgi import GuardMiddleware
from guestpass.asgi_types import ASGIApp, Message, Receive, Scope, Send
from guestpass.errors import ConnectionEnded
from guestpass.live import answers
from guestpass.live.long_answers import EVENT_STREAM, LongAnswers
from guestpass.live.streams import Streams
from guestpass.principal import Principal
from guestpass.refusals import Refusal
from live_support import ENDED, START, Connection, someone
from support import http_scope

pytestmark = pytest.mark.anyio

TICK: Message = {"type": "http.response.body", "body": b"data: tick\n\n", "more_body": True}
LAST: Message = {"type": "http.response.body", "body": b""}
GONE: Message = {"type": "http.disconnect"}


def start(content_type: bytes = b"text/event-stream") -> Message:
    return {"type": "http.response.start", "status": 200, "headers": [(b"content-type", content_type)]}


@pytest.fixture
def client(anyio_backend: str) -> Connection:
    made = Connection()
    made.come({"type": "http.request", "body": b"", "more_body": False})
    return made


def door_of(client: Connection, app: ASGIApp, expires_at: float, end_streams: Any, grace: float) -> GuardMiddleware:
    """A door that lets in a principal, and asks `client` whether it still stands."""

    def recall(*_: object) -> Principal:
        return someone(expires_at)

    client.guard.recall = recall  # type: ignore[method-assign, assignment]
    door = GuardMiddleware(app, client.guard)
    door._streams = Streams(client.guard, client.decide, LongAnswers(end_streams), grace)
    return door


async def serve(
    client: Connection,
    app: ASGIApp,
    expires_at: float = START + 3600,
    *,
    end_streams: Any = EVENT_STREAM,
    grace: float = 5,
    spec_version: str = "2.3",
) -> None:
    scope = http_scope("GET", "/stream")
    scope["asgi"]["spec_version"] = spec_version
    door = door_of(client, app, expires_at, end_streams, grace)
    before = len(anyio.get_running_tasks())
    try:
        with anyio.fail_after(5):
            await door(scope, client.receive, client.send)
    finally:
        assert not client.watched()
        with anyio.CancelScope(shield=True):
            for _ in range(5):
                await anyio.lowlevel.checkpoint()
        assert len(anyio.get_running_tasks()) <= before


@pytest.mark.parametrize("iterable", [iter, lambda headers: (entry for entry in headers), tuple, list])
@pytest.mark.parametrize("vary", [[], [(b"Vary", b"Origin")]])
async def test_headers_that_can_be_read_but_once_are_all_sent(
    client: Connection, iterable: Callable[[Any], Any], vary: list[tuple[bytes, bytes]]
) -> None:
    given = [(b"content-type", b"text/plain"), (b"content-security-policy", b"default-src 'none'"), *vary]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": iterable(given)})
        await send(LAST)

    await serve(client, app)
    assert client.sent[0]["headers"] == [*given, (b"vary", b"Authorization")]


@pytest.mark.parametrize("name", [b"x-new", b"X" * 100])
async def test_names_never_seen_before_hide_nothing(client: Connection, name: bytes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(2):
            headers = [(name, b"1"), (b"CONTENT-type", b"text/event-stream"), (b"vary", b"Authorization")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
        assert client.watched() == 1
        await send(LAST)

    answers._meanings.known.clear()
    await serve(client, app)
    assert [message["headers"][2:] for message in client.sent[:2]] == [[(b"vary", b"Authorization")]] * 2


@pytest.mark.parametrize(
    "written", [str, lambda text: bytearray(text, "ascii"), lambda text: memoryview(text.encode())]
)
async def test_names_that_are_no_bytes_hide_nothing(client: Connection, written: Callable[[str], Any]) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(written(name), b"text/event-stream") for name in ("X-Other", "Content-Type")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        assert client.watched() == 1
        await send(LAST)

    await serve(client, app)


async def listen(scope: Scope, receive: Receive, send: Send) -> None:
    """Stream, and wait for the other end to go."""
    await receive()
    await send(start())
    await send(TICK)
    assert await receive() == GONE
    assert await receive() == GONE
    with pytest.raises(OSError, match="has ended"):
        await send(TICK)


async def idle(scope: Scope, receive: Receive, send: Send) -> None:
    """Stream, and listen to nobody."""
    await send(start())
    await send(TICK)
    await anyio.sleep_forever()


def kinds(client: Connection) -> list[str]:
    return [message["type"].removeprefix("http.response.") for message in client.sent]


# --- the end ---------------------------------------------------------------------------------------------------------


async def test_a_stream_is_broken_off_when_its_credential_expires(client: Connection) -> None:
    client.instants = [START, START, START + 10]
    with pytest.raises(ConnectionEnded):
        await serve(client, listen, expires_at=START + 0.02)
    assert kinds(client) == ["start", "body"]


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_a_stream_is_broken_off_at_once_when_its_credential_is_revoked(
    client: Connection, elsewhere: bool
) -> None:
    async def revoke_soon() -> None:
        await client.until_sent("http.response.body")
        if elsewhere:
            thread = threading.Thread(target=client.end_it)
            thread.start()
            thread.join(5)
        else:
            client.end_it()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(revoke_soon)
        with pytest.raises(ConnectionEnded):
            await serve(client, listen)
    assert kinds(client) == ["start", "body"]


async def test_what_ended_before_the_answer_began_is_broken_off(client: Connection) -> None:
    client.verdict = ENDED
    with pytest.raises(ConnectionEnded):
        await serve(client, listen)


async def test_what_ends_without_a_word_is_found_before_long(
    client: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("guestpass.live.life.LOOK_AGAIN", 0.01)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await client.until_asked(1)
        client.verdict = ENDED
        await receive()
        assert await receive() == GONE

    with pytest.raises(ConnectionEnded):
        await serve(client, application)


async def test_an_outage_ends_nothing(client: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guestpass.live.life.LOOK_AGAIN", 0.001)
    client.verdict = Refusal("store_unavailable", "session")

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await client.until_asked(3)
        await send(LAST)

    await serve(client, application)
    assert kinds(client) == ["start", "body"]


# --- applications of every sort --------------------------------------------------------------------------------------


async def test_an_application_that_listens_to_nobody_is_cancelled(client: Connection) -> None:
    cleaned: list[bool] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send(start())
            await send(TICK)
            client.end_it()
            await anyio.sleep_forever()
        finally:
            cleaned.append(True)

    with pytest.raises(ConnectionEnded):
        await serve(client, application, grace=0.01)
    assert cleaned == [True]
    assert kinds(client) == ["start", "body"]


async def test_an_application_that_listened_from_the_start_is_cancelled(client: Connection) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        client.incoming.clear()

        async def body() -> None:
            # It is waited for as long as the client takes to send it.
            await receive()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(body)
            await anyio.lowlevel.checkpoint()
            await send(start())

    with pytest.raises(ConnectionEnded):
        await serve(client, application, expires_at=START, grace=0.01)


async def test_an_application_that_catches_a_cancellation_gets_another(client: Connection) -> None:
    caught: list[bool] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        while len(caught) < 3:
            try:
                await anyio.sleep_forever()
            except anyio.get_cancelled_exc_class():
                caught.append(True)

    with pytest.raises(ConnectionEnded):
        await serve(client, application, expires_at=START, grace=0.01)
    assert len(caught) == 3


async def test_a_body_that_the_other_end_does_not_take_is_waited_for_no_longer(client: Connection) -> None:
    async def full(message: Message) -> None:
        if message["type"] == "http.response.body":
            await anyio.sleep_forever()

    door = door_of(client, idle, START, EVENT_STREAM, grace=0.01)
    with anyio.fail_after(5), pytest.raises(ConnectionEnded):
        await door(http_scope("GET", "/stream"), client.receive, full)


def starlette(events: Callable[[], AsyncIterator[bytes]], *middleware: Middleware, **more: Any) -> Starlette:
    async def stream(_: Request) -> StreamingResponse:
        return StreamingResponse(events(), media_type="text/event-stream", **more)

    return Starlette(routes=[Route("/stream", stream)], middleware=middleware)


class Passing(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        return await call_next(request)


@pytest.mark.parametrize("spec_version", ["2.3", "2.4"])
@pytest.mark.parametrize("wrapped", [(), (Middleware(Passing),), (Middleware(Passing), Middleware(Passing))])
@pytest.mark.parametrize("busy", [False, True])
async def test_starlettes_streams_are_broken_off(
    client: Connection, spec_version: str, wrapped: tuple[Middleware, ...], busy: bool
) -> None:
    class Events:
        """Not a generator: Starlette leaves those to the garbage collector where it is cancelled."""

        def __aiter__(self) -> AsyncIterator[bytes]:
            return self

        async def __anext__(self) -> bytes:
            if client.sent:
                client.end_it()
                await (anyio.lowlevel.checkpoint() if busy else anyio.sleep_forever())
            return b"data: tick\n\n"

    with pytest.raises(ConnectionEnded):
        await serve(client, starlette(Events, *wrapped), spec_version=spec_version, grace=0.05)
    assert client.sent[-1].get("more_body", True), "an end, and a clean one"


OUTSIDE: dict[str, Callable[[ASGIApp], ASGIApp]] = {
    "once": Passing,
    "twice": lambda app: Passing(Passing(app)),
    "gzip": lambda app: GZipMiddleware(Passing(app)),
    "within gzip": lambda app: Passing(GZipMiddleware(app)),
    "errors": lambda app: ServerErrorMiddleware(Passing(ServerErrorMiddleware(app))),
}


@pytest.mark.parametrize("outside", OUTSIDE.values(), ids=OUTSIDE)
@pytest.mark.parametrize("app", [listen, idle])
async def test_middleware_outside_of_the_guard_makes_no_clean_end_of_it(
    client: Connection, outside: Callable[[ASGIApp], ASGIApp], app: ASGIApp
) -> None:
    # Time enough for what tells of the end to pass whatever stands outside, also where the machine is busy.
    guarded = door_of(client, app, START, EVENT_STREAM, grace=0.25)
    scope = http_scope("GET", "/", {"Accept-Encoding": "gzip"})
    with anyio.fail_after(5), pytest.raises(ConnectionEnded):
        await outside(guarded)(scope, client.receive, client.send)
    assert kinds(client)[:1] == ["start"]
    assert all(message["more_body"] for message in client.sent[1:])
    assert not client.watched()


@pytest.mark.parametrize("raised", [ValueError("its own"), OSError("its own")])
async def test_an_applications_exceptions_come_out_as_they_are(client: Connection, raised: Exception) -> None:
    async def at_the_end(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await receive()
        await receive()
        raise raised

    async def at_once(scope: Scope, receive: Receive, send: Send) -> None:
        raise raised

    async def in_the_middle(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send(TICK)
        raise raised

    for application, expires_at in ((at_the_end, START), (at_once, START), (in_the_middle, START + 60)):
        with pytest.raises(type(raised), match="its own") as caught:
            await serve(client, application, expires_at)
        assert caught.value.__context__ is None
        client.come({"type": "http.request"})


async def test_a_send_that_refers_to_itself_is_broken_off_as_any_other(client: Connection) -> None:
    async def send(message: Message) -> None:
        assert callable(send)
        await client.send(message)

    door = door_of(client, listen, START, EVENT_STREAM, grace=1)
    with anyio.fail_after(5), pytest.raises(ConnectionEnded):
        await door(http_scope("GET", "/stream"), client.receive, send)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_server_that_runs_applications_in_no_task_of_asyncios_breaks_off_as_well(
    client: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As Granian's own tasks are: there is nothing to cancel.
    monkeypatch.setattr("guestpass.asgi.current_task", lambda: None)
    with pytest.raises(ConnectionEnded):
        await serve(client, listen, expires_at=START, grace=0.01)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_body_is_read_from_a_thread_that_hands_the_waiting_to_the_loop(client: Connection) -> None:
    client.come({"type": "http.request", "body": b"more", "more_body": False})
    client.incoming[0]["more_body"] = True

    # As WSGI applications behind a2wsgi read theirs: `receive` is called in the thread.
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()

        def read() -> bytes:
            parts: list[Message] = []
            while not parts or parts[-1]["more_body"]:
                parts.append(asyncio.run_coroutine_threadsafe(cast("Any", receive()), loop).result(5))
            return b"".join(part["body"] for part in parts)

        body = await asyncio.to_thread(read)
        await send(start(b"text/plain"))
        await send({"type": "http.response.body", "body": body})

    await serve(client, app)
    assert client.sent[-1]["body"] == b"more"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_task_of_another_loop_is_never_cancelled(client: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    async def forever() -> None:
        await asyncio.sleep(3600)

    with closing(asyncio.new_event_loop()) as elsewhere:
        foreign = elsewhere.create_task(forever())
        monkeypatch.setattr("guestpass.asgi.current_task", lambda: foreign)
        with pytest.raises(ConnectionEnded):
            await serve(client, idle, expires_at=START, grace=0.01)
        assert not foreign.cancelling()
        foreign.cancel()
        await asyncio.to_thread(elsewhere.run_until_complete, asyncio.gather(foreign, return_exceptions=True))


async def test_an_answer_that_is_started_twice_is_watched_once(client: Connection) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send(start())
        assert client.watched() == 1
        await send(LAST)

    await serve(client, application)


# --- answers that are let be -----------------------------------------------------------------------------------------

OTHERS: list[tuple[bytes | None, Any]] = [
    (b"application/json", EVENT_STREAM),
    (b"text/event-stream-not", EVENT_STREAM),
    (None, EVENT_STREAM),
    (b"text/event-stream", ()),
    (b"text/event-stream", ["application/x-ndjson"]),
]


@pytest.mark.parametrize(("content_type", "end_streams"), OTHERS)
async def test_an_answer_that_is_not_long_is_let_be(
    client: Connection, content_type: bytes | None, end_streams: Any
) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        begin = start(content_type or b"")
        await send(begin if content_type is not None else {"type": "http.response.start", "status": 200})
        assert not client.watched()
        await send(TICK)
        client.end_it()
        await anyio.lowlevel.checkpoint()
        await send(LAST)

    await serve(client, application, expires_at=START, end_streams=end_streams)
    assert kinds(client) == ["start", "body", "body"]
    assert client.asked == []


LONG: list[tuple[bytes | None, Any]] = [
    (b"text/event-stream", EVENT_STREAM),
    (b"Text/Event-Stream ; charset=utf-8", EVENT_STREAM),
    (b"application/x-ndjson", ["Application/X-NDJSON", "text/event-stream"]),
    (b"application/json", "all"),
    (None, "all"),
]


@pytest.mark.parametrize("name", [b"content-type", b"Content-Type"])
@pytest.mark.parametrize(("content_type", "end_streams"), LONG)
async def test_which_answers_are_long_is_a_setting(
    client: Connection, name: bytes, content_type: bytes | None, end_streams: Any
) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"x-a", b"b")] if content_type is None else [(b"x-a", b"b"), (name, content_type)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await receive()
        assert await receive() == GONE

    with pytest.raises(ConnectionEnded):
        await serve(client, application, expires_at=START, end_streams=end_streams)


async def test_an_answer_that_is_complete_is_over_for_the_guard(client: Connection) -> None:
    done: list[bool] = []

    async def work() -> None:
        client.end_it()
        client.instants = [START + 7200]
        assert not client.watched()
        await anyio.sleep(0.03)
        done.append(True)

    async def events() -> AsyncIterator[bytes]:
        yield b"data: tick\n\n"

    await serve(client, starlette(events, background=BackgroundTask(work)), grace=0.01)
    assert done == [True]
    assert client.sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


WHOLE: list[Message] = [
    LAST,
    {"type": "http.response.pathsend", "path": "/srv/a"},
    {"type": "http.response.zerocopysend", "file": 3, "more_body": False},
]


@pytest.mark.parametrize("last", WHOLE, ids=lambda message: message["type"])
async def test_an_answer_is_complete_after_its_last_part_of_any_sort(client: Connection, last: Message) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send(last)
        assert not client.watched()

    await serve(client, application)
    assert client.sent[-1] == last


async def test_after_an_answer_is_complete_a_disconnect_is_the_servers(client: Connection) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(start())
        await send(LAST)
        client.come({"type": "http.disconnect", "of": "the server"})
        assert await receive() == {"type": "http.disconnect", "of": "the server"}

    await serve(client, application)


async def test_answers_vary_by_the_credential(client: Connection) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await send({**start(), "trailers": False})
        await send(LAST)

    await serve(client, application)
    assert client.sent[0]["headers"] == [(b"content-type", b"text/event-stream"), (b"vary", b"Authorization")]
    assert client.sent[0]["trailers"] is False


# --- the server ------------------------------------------------------------------------------------------------------


async def test_a_server_that_cancels_is_obeyed(client: Connection) -> None:
    with anyio.move_on_after(0.01) as scope:
        await serve(client, idle)
    assert scope.cancelled_caught
    assert not client.watched()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_server_that_cancels_as_well_is_obeyed(client: Connection) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        try:
            await anyio.sleep_forever()
        except asyncio.CancelledError:
            # In the meantime the server has had enough, too.
            task.cancel()
            await anyio.lowlevel.checkpoint()

    door = door_of(client, application, START, EVENT_STREAM, grace=0.01)
    task = asyncio.ensure_future(door(http_scope("GET", "/stream"), client.receive, client.send))
    with anyio.fail_after(5), pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()
