"""A long answer over WSGI is broken off when its credential ends, held to PEP 3333 from both sides."""

import contextlib
import io
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import flask
import pytest

import guestpass.flask
from guestpass import Refusal, Rule, needs
from guestpass.errors import ConnectionEnded
from guestpass.live.long_answers import LOOK_AGAIN
from guestpass.wsgi import GuardMiddleware
from support import House, bearer, build
from wsgi_support import call_wsgi, environ_of

STREAM = "/v1/stream"
RULES = (
    Rule(f"GET {STREAM}"),
    Rule("GET /open", public=True, optional=True, reason="visitors"),
    Rule("GET /public", public=True, reason="all"),
)


class Body:
    """A body of chunks, each with something that happens before it is there."""

    def __init__(self, *steps: Callable[[], object]) -> None:
        self._steps = iter(steps)
        self.given = self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        next(self._steps)()
        self.given += 1
        return b"data: %d\n\n" % self.given

    def close(self) -> None:
        self.closed += 1


def nothing() -> None:
    """Nothing happens."""


def streaming(body: Iterable[bytes], content_type: str = "text/event-stream") -> WSGIApplication:
    """An application that answers with this body."""

    def app(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", content_type)])
        return body

    return app


@pytest.fixture
def house() -> House:
    return build(RULES)


class Client:
    """A server that asks for chunks, until it is told that there are no more, or otherwise."""

    def __init__(self, house: House, app: WSGIApplication, secret: str | None = None, **settings: Any) -> None:
        self.house = house
        self.chunks: list[bytes] = []
        self.door = GuardMiddleware(validator(app), house.guard, **settings)
        self.secret = house.session() if secret is None else secret

    def ask(self, path: str = STREAM) -> None:
        """Ask, and keep what comes; the answer is closed in any case."""
        environ = environ_of("GET", path, bearer(self.secret))
        outcome = call_wsgi(self._kept, environ)
        assert outcome.status == 200

    def _kept(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self.Kept(self, self.door(environ, start_response))

    class Kept:
        """What is handed on is written down."""

        def __init__(self, client: "Client", answer: Iterable[bytes]) -> None:
            self._client, self._answer, self._chunks = client, answer, iter(answer)

        def __iter__(self) -> Iterator[bytes]:
            return self

        def __next__(self) -> bytes:
            chunk = next(self._chunks)
            self._client.chunks.append(chunk)
            return chunk

        def close(self) -> None:
            self._answer.close()  # type: ignore[attr-defined] # an event stream has one
            assert not self._client.house.guard._watchers


# --- the end ---------------------------------------------------------------------------------------------------------


def test_a_stream_that_comes_to_its_own_end_is_whole(house: House) -> None:
    body = Body(nothing, nothing)
    client = Client(house, streaming(body))
    client.ask()
    assert client.chunks == [b"data: 1\n\n", b"data: 2\n\n"]
    assert body.closed == 1


@pytest.mark.parametrize("content_type", ["text/event-stream", "Text/Event-Stream; charset=utf-8"])
def test_no_chunk_is_sent_after_the_credential_has_expired(house: House, content_type: str) -> None:
    body = Body(nothing, lambda: house.clock.advance(3600), nothing)
    client = Client(house, streaming(body, content_type))
    with pytest.raises(ConnectionEnded):
        client.ask()
    assert (client.chunks, body.given, body.closed) == ([b"data: 1\n\n"], 2, 1)


def test_what_expires_while_the_server_sends_is_not_waited_for(house: House) -> None:
    body = Body(nothing, nothing)
    client = Client(house, streaming(body))
    environ = environ_of("GET", STREAM, bearer(client.secret))
    answer = iter(client.door(environ, lambda *_: lambda _: None))
    assert next(answer) == b"data: 1\n\n"
    house.clock.advance(3600)
    for _ in range(2):
        with pytest.raises(ConnectionEnded):
            next(answer)
    assert body.given == 1
    answer.close()  # type: ignore[attr-defined] # PEP 3333
    assert body.closed == 1


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_revoked_credentials_stream_ends_with_its_next_chunk(house: House, elsewhere: bool) -> None:
    made = house.sessions.create(by=house.minter(), account="acct_1")

    def revoke() -> None:
        if not elsewhere:
            house.sessions.revoke(made.id)
            return
        thread = threading.Thread(target=house.sessions.revoke, args=(made.id,))
        thread.start()
        thread.join(5)

    body = Body(nothing, nothing, revoke, nothing)
    client = Client(house, streaming(body), made.client_secret)
    with pytest.raises(ConnectionEnded):
        client.ask()
    assert (len(client.chunks), body.given, body.closed) == (2, 3, 1)


def test_what_ended_before_the_stream_began_sends_nothing(house: House) -> None:
    made = house.sessions.create(by=house.minter(), account="acct_1")

    def app(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        house.sessions.revoke(made.id)
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        return [b"data: 1\n\n"]

    client = Client(house, app, made.client_secret)
    with pytest.raises(ConnectionEnded):
        client.ask()
    assert client.chunks == []


@pytest.mark.parametrize("jump", [LOOK_AGAIN, -60.0])
def test_what_ends_without_a_word_is_found_at_the_next_look(
    house: House, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    looks: list[bool] = []

    def refuse() -> None:
        def decide(_: object) -> Refusal:
            looks.append(True)
            return Refusal("session_revoked", "session")

        monkeypatch.setattr(house.guard, "decide", decide)

    # A clock that is put back is no reason to look any later.
    body = Body(nothing, refuse, nothing, lambda: house.clock.advance(jump), nothing)
    client = Client(house, streaming(body))
    with pytest.raises(ConnectionEnded):
        client.ask()
    assert (len(client.chunks), looks) == (3, [True])


def test_an_outage_ends_nothing_and_anything_unforeseen_does(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(problem: Callable[[object], object]) -> Callable[[], None]:
        def change() -> None:
            monkeypatch.setattr(house.guard, "decide", problem)
            house.clock.advance(LOOK_AGAIN)

        return change

    def broken(_: object) -> None:
        raise RuntimeError("broken")

    body = Body(nothing, fail(lambda _: Refusal("store_unavailable")), nothing, fail(broken), nothing)
    client = Client(house, streaming(body))
    with pytest.raises(ConnectionEnded):
        client.ask()
    assert len(client.chunks) == 3


# --- applications of every sort --------------------------------------------------------------------------------------


def test_an_application_that_starts_with_its_first_chunk_is_broken_off_as_well(house: House) -> None:
    closed: list[bool] = []

    def app(_: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        try:
            yield b"data: 1\n\n"
            house.clock.advance(3600)
            yield b"data: 2\n\n"
        finally:
            closed.append(True)

    client = Client(house, app)
    with pytest.raises(ConnectionEnded):
        client.ask()
    assert (client.chunks, closed) == ([b"data: 1\n\n"], [True])


def test_an_application_that_starts_late_and_not_with_a_stream_is_let_be(house: House) -> None:
    def app(_: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"one"
        house.clock.advance(3600)
        yield b"two"

    client = Client(house, app)
    client.ask()
    assert client.chunks == [b"one", b"two"]


def test_an_application_that_writes_is_told_of_a_lost_connection(house: House) -> None:
    written: list[bytes] = []

    def app(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", [("Content-Type", "text/event-stream")])
        write(b"data: 1\n\n")
        written.append(b"data: 1\n\n")
        house.clock.advance(3600)
        write(b"data: 2\n\n")
        raise AssertionError

    with pytest.raises(ConnectionEnded):
        Client(house, app).ask()
    assert written == [b"data: 1\n\n"]
    assert not house.guard._watchers


def test_an_application_that_fails_after_its_start_leaves_nothing_behind(house: House) -> None:
    def app(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        raise LookupError("its own")

    door = GuardMiddleware(app, house.guard)
    with pytest.raises(LookupError, match="its own"):
        door(environ_of("GET", STREAM, bearer(house.session())), lambda *_: lambda _: None)
    assert not house.guard._watchers


@pytest.mark.parametrize("instead", ["text/plain", "text/event-stream"])
def test_a_start_that_is_taken_back_counts_no_more(house: House, instead: str) -> None:
    def app(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        try:
            raise LookupError
        except LookupError as problem:
            told = (LookupError, problem, problem.__traceback__)
            start_response("500 Oh", [("Content-Type", instead)], told)  # type: ignore[arg-type] # it has one
        assert len(house.guard._watchers) == (instead == "text/event-stream")
        house.clock.advance(3600)
        return [b"oh"]

    door = GuardMiddleware(app, house.guard)
    with pytest.raises(ConnectionEnded) if instead == "text/event-stream" else contextlib.nullcontext():
        assert call_wsgi(door, environ_of("GET", STREAM, bearer(house.session()))).body == b"oh"
    assert not house.guard._watchers


@pytest.mark.parametrize("instead", ["text/plain", "text/event-stream"])
def test_what_the_first_start_writes_by_is_held_to_the_last(house: House, instead: str) -> None:
    made, written = house.sessions.create(by=house.minter(), account="acct_1"), list[bytes]()

    def app(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", [("Content-Type", "text/event-stream")])
        start_response("500 Oh", [("Content-Type", instead)], (None, None, None))
        write(b"one")
        house.sessions.revoke(made.id)
        write(b"two")
        return []

    door = GuardMiddleware(app, house.guard)
    with pytest.raises(ConnectionEnded) if instead == "text/event-stream" else contextlib.nullcontext():
        door(environ_of("GET", STREAM, bearer(made.client_secret)), lambda *_: written.append)
    assert written == ([b"one"] if instead == "text/event-stream" else [b"one", b"two"])
    assert not house.guard._watchers


def test_a_body_without_close_is_no_trouble(house: House) -> None:
    door = GuardMiddleware(streaming([b"data: 1\n\n"]), house.guard)
    outcome = call_wsgi(door, environ_of("GET", STREAM, bearer(house.session())))
    assert outcome.body == b"data: 1\n\n"
    assert not house.guard._watchers


# --- answers that are let be -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content_type", "settings"),
    [
        ("application/json", {}),
        ("text/event-stream", {"end_streams": ()}),
        ("text/event-stream", {"end_streams": ["application/x-ndjson"]}),
    ],
)
def test_an_answer_that_is_not_long_is_handed_on_as_it_is(
    house: House, content_type: str, settings: dict[str, Any]
) -> None:
    body = [b"one", b"two"]
    door = GuardMiddleware(streaming(body, content_type), house.guard, **settings)
    assert door(environ_of("GET", STREAM, bearer(house.session())), lambda *_: lambda _: None) is body


@pytest.mark.parametrize("path", ["/open", "/public"])
def test_who_came_without_a_credential_has_none_that_ends(house: House, path: str) -> None:
    body = [b"data: 1\n\n"]
    door = GuardMiddleware(streaming(body), house.guard)
    assert door(environ_of("GET", path), lambda *_: lambda _: None) is body


def test_every_answer_can_be_set_to_end(house: House) -> None:
    body = Body(nothing, lambda: house.clock.advance(3600))
    client = Client(house, streaming(body, "application/octet-stream"), end_streams="all")
    with pytest.raises(ConnectionEnded):
        client.ask()
    assert (len(client.chunks), body.closed) == (1, 1)


def test_a_servers_own_way_with_files_stays(house: House) -> None:
    class ServersOwn(FileWrapper):
        """What a server sends without reading it."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "application/pdf")])
        wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](io.BytesIO(b"one"))
        return wrapped

    environ = environ_of("GET", STREAM, bearer(house.session()))
    environ["wsgi.file_wrapper"] = ServersOwn
    assert isinstance(GuardMiddleware(app, house.guard)(environ, lambda *_: lambda _: None), ServersOwn)


def test_a_path_that_the_application_changes_changes_nothing_of_what_is_judged(house: House) -> None:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ["SCRIPT_NAME"], environ["PATH_INFO"] = "/v1", "/elsewhere"
        del environ["HTTP_AUTHORIZATION"]
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        return [b"data: 1\n\n"]

    client = Client(house, app)
    client.ask()
    assert client.chunks == [b"data: 1\n\n"]


def test_flasks_streams_are_broken_off() -> None:
    house = build()
    app = flask.Flask("app")
    closed: list[bool] = []

    @app.get(STREAM)
    @needs()
    def stream() -> flask.Response:
        def events() -> Iterator[str]:
            try:
                yield "data: 1\n\n"
                house.clock.advance(3600)
                yield "data: 2\n\n"
            finally:
                closed.append(True)

        return flask.Response(events(), mimetype="text/event-stream")

    guestpass.flask.protect(app, house.guard)
    with pytest.raises(ConnectionEnded):
        call_wsgi(app, environ_of("GET", STREAM, bearer(house.session())))
    assert closed == [True]
    assert not house.guard._watchers


def test_an_answer_that_turns_out_to_be_long_when_the_server_has_its_body_is_none(house: House) -> None:
    def app(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def body() -> Iterator[bytes]:
            try:
                raise ValueError("it goes wrong")
            except ValueError:
                start_response("200 OK", [("Content-Type", "text/event-stream")], sys.exc_info())
                yield b"data: forever\n\n"

        start_response("200 OK", [("Content-Type", "text/plain")])
        return body()

    client = Client(house, app)
    with pytest.raises(RuntimeError, match="started anew"):
        client.ask()
    assert not len(house.guard._watchers)
