"""The issuing API over WSGI: account sessions, signed tokens and the key set, as an application of its own.

It is mounted behind the guard, with `issuing_rules` in its policy. Knows how an environ is read and an answer sent;
all else is in `guestpass.issuing`.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Protocol

from guestpass.errors import Refused, Unavailable
from guestpass.guard import Guard
from guestpass.inquiry import drive
from guestpass.issuing import MAX_BODY, Call, Endpoint, Reply, answer_to, endpoints, issuing_rules
from guestpass.problems import Answer, Renderer, render
from guestpass.refusals import Refusal
from guestpass.wsgi import StartResponse, WSGIApplication, WSGIEnvironment, answer_with

__all__ = ["issuing_api", "issuing_rules"]


class Readable(Protocol):
    """As much of a body's stream as is used here."""

    def read(self, size: int, /) -> bytes: ...


def issuing_api(guard: Guard, prefix: str = "", *, render: Renderer = render) -> WSGIApplication:
    """The issuing API below `prefix` as a WSGI application behind `guard`, whose policy needs `issuing_rules`.

    Raises `ConfigurationError` where the guard has nothing that mints.
    """
    served = [(one.method, _pattern(prefix + one.path), one) for one in endpoints(guard)]

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        method = "GET" if environ["REQUEST_METHOD"] == "HEAD" else environ["REQUEST_METHOD"]
        for allowed, pattern, endpoint in served:
            named = pattern.fullmatch(environ.get("PATH_INFO", ""))
            if named is not None and method == allowed:
                return answer_with(_answer(endpoint, environ, named, guard, render), environ, start_response)
        return answer_with(render(Refusal("rule_missing"), guard.realm), environ, start_response)

    return app


def answer_of(reply: Reply) -> Answer:
    """A reply as it is sent."""
    body = reply.body
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **reply.headers}
    return Answer(reply.status, [(name.encode(), value.encode()) for name, value in headers.items()], body)


def idempotency_keys(environ: WSGIEnvironment) -> Sequence[str]:
    """The keys of a request; a server joins several headers with commas."""
    joined: str | None = environ.get("HTTP_IDEMPOTENCY_KEY")
    return () if joined is None else joined.split(",")


def read_at_most(stream: Readable, size: int) -> bytes:
    """What a stream holds, up to `size` bytes."""
    read = bytearray()
    while len(read) < size and (chunk := stream.read(size - len(read))):
        read += chunk
    return bytes(read)


def _answer(
    endpoint: Endpoint, environ: WSGIEnvironment, named: re.Match[str], guard: Guard, render: Renderer
) -> Answer:
    try:
        body = _body(environ) if endpoint.takes_body else b""
        call = Call(environ, named.groupdict().get("id", ""), idempotency_keys(environ), body)
        return answer_of(drive(endpoint.answer(call)))
    except (Refused, Unavailable) as problem:
        return answer_to(problem, guard, render)


def _body(environ: WSGIEnvironment) -> bytes:
    """The body, as far as is needed to see that it is too long. Raises `Refused` where it is cut short."""
    declared: str = environ.get("CONTENT_LENGTH") or ""
    if not declared:
        # Where the server says so, the stream ends with a body of unknown length; else there is none.
        return read_at_most(environ["wsgi.input"], MAX_BODY + 1) if environ.get("wsgi.input_terminated") else b""
    if not declared.isdecimal() or len(declared) > 18:
        raise Refused(Refusal("body_malformed", more="Its length is not a number."))
    expected = min(int(declared), MAX_BODY + 1)
    body = read_at_most(environ["wsgi.input"], expected)
    if len(body) < expected:
        raise Refused(Refusal("body_malformed", more="It ends before its length."))
    return body


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.escape(path).replace(re.escape("{id}"), "(?P<id>[^/]+)"))
