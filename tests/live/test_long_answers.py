"""Which answers end with their credential is a setting, the same for every door, and a wrong one fails at its line."""

import errno
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import fastapi
import flask
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

import guestpass.fastapi
import guestpass.flask
import guestpass.starlette
from guestpass import ConfigurationError, Guard, Rule, needs
from guestpass.asgi import GuardMiddleware
from guestpass.errors import ConnectionEnded
from guestpass.live.long_answers import EVENT_STREAM, LongAnswers, caused_by_end
from guestpass.wsgi import GuardMiddleware as WSGIGuardMiddleware
from live_support import Connection
from support import bearer, build, echo, http_scope
from wsgi_support import echo_wsgi

DOORS: dict[str, Callable[[Guard, Any], object]] = {
    "asgi": lambda guard, setting: GuardMiddleware(echo, guard, end_streams=setting),
    "wsgi": lambda guard, setting: WSGIGuardMiddleware(echo_wsgi, guard, end_streams=setting),
    "starlette": lambda guard, setting: guestpass.starlette.protect(Starlette(), guard, end_streams=setting),
    "fastapi": lambda guard, setting: guestpass.fastapi.protect(fastapi.FastAPI(), guard, end_streams=setting),
    "flask": lambda guard, setting: guestpass.flask.protect(flask.Flask("app"), guard, end_streams=setting),
}

WRONG = [
    ("text/event-stream", r"\['text/event-stream'\]"),
    ("never", '"all"'),
    (["event-stream"], "a content type alone"),
    (["text/event-stream; charset=utf-8"], "a content type alone"),
    (["text/*", ""], "a content type alone"),
    (["text/html\n"], "a content type alone"),
]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("setting", "told"), WRONG)
def test_what_is_no_content_type_fails_at_its_line(door: str, setting: Any, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        DOORS[door](build([Rule("GET /")]).guard, setting)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("setting", ["all", (), ["text/event-stream", "application/x-ndjson"], frozenset(["a/b+c"])])
def test_content_types_all_and_none_are_settings(door: str, setting: Any) -> None:
    DOORS[door](build([Rule("GET /")]).guard, setting)


def test_content_types_of_their_own_do_not_fill_the_memory_for_good() -> None:
    answers = LongAnswers(EVENT_STREAM)
    for number in range(1_000):
        assert not answers.has(b"multipart/byteranges; boundary=%d" % number)
        assert len(answers.known) <= 256
    assert not answers.has(b"x/" + b"y" * 1_000)
    assert answers.has(b"text/event-stream")
    assert answers.known[b"text/event-stream"]


def test_parameters_and_case_of_a_content_type_are_nothing_to_it() -> None:
    answers = LongAnswers(EVENT_STREAM)
    for same in ("text/event-stream", "TEXT/Event-Stream", " text/event-stream ;charset=utf-8", "text/event-stream;"):
        assert answers.has(same.encode())
    for other in (
        "",
        "text/event",
        "text/event-stream2",
        "text/plain; a=text/event-stream",
        "text/event-stream, text/a",
    ):
        assert not answers.has(other.encode())
    assert not LongAnswers(()).has(b"text/event-stream")
    assert LongAnswers("all").has(b"")


def test_the_end_is_a_lost_connection_that_servers_make_no_noise_about() -> None:
    problem = ConnectionEnded()
    assert (problem.errno, problem.strerror) == (errno.EPIPE, "the credential of this connection has ended")
    assert str(problem).endswith("the credential of this connection has ended")
    # Servers' own handling of what is a ConnectionError leaves the connection open: Werkzeug's.
    assert not isinstance(problem, ConnectionError)


def _of_itself() -> Exception:
    problem = KeyError()
    problem.__cause__ = problem
    return problem


def test_only_what_was_made_of_the_end_counts_as_the_end() -> None:
    class WebSocketDisconnect(Exception):
        """As frameworks call it."""

    def chained(problem: Exception, context: Exception | None = None, cause: Exception | None = None) -> Exception:
        problem.__context__, problem.__cause__ = context, cause
        return problem

    end = ConnectionEnded()
    for by_the_end in (
        end,
        chained(WebSocketDisconnect(), end),
        chained(OSError(), end),
        chained(KeyError(), cause=end),
        chained(WebSocketDisconnect(), chained(OSError(), end)),
        ExceptionGroup("", [end, ExceptionGroup("", [chained(WebSocketDisconnect(), end)])]),
    ):
        assert caused_by_end(by_the_end)
    for own in (
        None,
        OSError(),
        WebSocketDisconnect(),
        chained(KeyError(), end),
        chained(OSError(), end, cause=KeyError()),
        ExceptionGroup("", [end, KeyError()]),
        _of_itself(),
    ):
        assert not caused_by_end(own)


@pytest.mark.anyio
@pytest.mark.parametrize("door", ["starlette", "fastapi"])
async def test_the_setting_reaches_the_door_of_a_framework(door: str) -> None:
    house = build()
    app = Starlette() if door == "starlette" else fastapi.FastAPI()

    @needs()
    async def lines(_: Request) -> StreamingResponse:
        async def body() -> AsyncIterator[bytes]:
            yield b"{}\n"
            house.clock.advance(3600)
            house.guard.forget(lambda _: True)
            await anyio.sleep_forever()

        return StreamingResponse(body(), media_type="application/x-ndjson")

    app.router.routes.append(Route("/lines", lines))
    protect = guestpass.starlette.protect if door == "starlette" else guestpass.fastapi.protect
    protect(app, house.guard, end_streams=["application/x-ndjson"])  # type: ignore[arg-type] # each its own
    client = Connection()
    client.come({"type": "http.request"})
    with anyio.fail_after(5), pytest.raises(ConnectionEnded):
        await app(http_scope("GET", "/lines", bearer(house.session())), client.receive, client.send)
