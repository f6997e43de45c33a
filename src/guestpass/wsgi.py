"""The WSGI door: a guard around any WSGI application (PEP 3333), under threads and gevent.

Knows environs, and decides nothing. An environ holds one value for a header's name: what servers make of several
headers, and of names that differ in ``-`` and ``_`` alone, is undone or refused here. A WebSocket handshake is a
request like any other.
"""

import logging
from collections.abc import Callable, Generator, Iterable, Sequence
from functools import partial
from http import HTTPStatus
from typing import Final, Literal, TypeAlias
from urllib.parse import unquote_to_bytes
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from guestpass.access import ENVIRON_KEY
from guestpass.door_settings import check_settings
from guestpass.errors import ConfigurationError
from guestpass.explaining.tracing import Decides
from guestpass.guard import ANYONE, UNNAMED, Guard, seen_by_application
from guestpass.inquiry import drive
from guestpass.live.long_answers import EVENT_STREAM, EndStreams, LongAnswers
from guestpass.live.wsgi_streams import ExcInfo, LongAnswer, vary_by_credential
from guestpass.principal import Principal
from guestpass.problems import Answer, Renderer, render
from guestpass.proving import Proof
from guestpass.refusals import Refusal
from guestpass.requests import IDENTITY_PREFIX, Request, canonical

__all__ = ["ExcInfo", "GuardMiddleware", "StartResponse", "WSGIApplication", "WSGIEnvironment"]

log = logging.getLogger("guestpass")

JUDGED_KEY: Final = "guestpass.judged"
"""Where the environ has the method and the path that the guard has judged, for a router to be held to."""

LOOKED_AT: Final = (b"authorization", b"origin", b"sec-fetch-site", b"access-control-request-method")
"""The headers that every guard looks at: see `guestpass.requests.read`."""

_IDENTITY: Final = "HTTP_" + IDENTITY_PREFIX.decode().upper().replace("-", "_")


class GuardMiddleware:
    """Lets `app` see only what `guard` admits: ``GuardMiddleware(app, guard)``.

    - `preflight`: ``"pass"`` hands CORS preflights to the application unjudged; ``"refuse"`` does not.
    - `end_streams`: the content types of answers that are broken off when the credential that they were given to ends:
      ``"all"`` for every answer, ``()`` for none. One that waits for the application is ended at its next chunk.
    - `render`: turns a refusal into an answer.

    The principal is at ``environ["guestpass.principal"]``, None on public routes. What the application raises passes
    through, and what it answers with is closed by the server, as it would be without a guard. Raises
    `ConfigurationError` for a policy without rules.
    """

    def __init__(
        self,
        app: WSGIApplication,
        guard: Guard,
        *,
        preflight: Literal["refuse", "pass"] = "refuse",
        end_streams: EndStreams = EVENT_STREAM,
        render: Renderer = render,
    ) -> None:
        check_settings(guard.policy)
        if preflight not in ("refuse", "pass"):
            raise ConfigurationError(f'preflight={preflight!r}: "refuse" or "pass"')
        self.app: Final = app
        self.guard: Final = guard
        self._preflight = preflight == "pass"
        self._answers = LongAnswers(end_streams)
        self._render = render
        self._watched: Watched = watched_by(guard)
        self._policy = guard.policy

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        proof, request = self._judge(environ)
        if not isinstance(proof, Principal):
            return answer_with(self._render(proof, self.guard.realm), environ, start_response)
        environ[ENVIRON_KEY] = seen_by_application(proof)
        if _IDENTITY in "\n".join(environ):
            _take_out_identity(environ)
        if proof is ANYONE:
            return self.app(environ, start_response)
        if request is None or proof is UNNAMED:
            return self.app(environ, _varying(start_response))
        still_admitted = partial(self._still_admitted, request)
        return LongAnswer(self.guard, proof, self._answers, still_admitted, start_response).of(self.app, environ)

    def _judge(self, environ: WSGIEnvironment) -> tuple[Proof, Request | None]:
        try:
            if self.guard.policy is not self._policy:
                # Rules were added after the door was made.
                self._watched, self._policy = watched_by(self.guard), self.guard.policy
            request = request_of(environ, self._watched)
            environ[JUDGED_KEY] = (request.method, request.path)
            recalled = self.guard.recall(
                request.method, request.path, request.whole_path, request.raw_path, request.headers
            )
            if recalled is not None:
                return recalled, request
            if self._preflight and is_preflight(environ) and self.guard.reads_one_way(request):
                return ANYONE, request
        except Exception:
            log.exception("the guard failed; nobody was let in")
            return Refusal("internal_error"), None
        return self._decide(self.guard, request), request

    def _decide(self, guard: Decides, request: Request) -> Proof:
        try:
            verdict = guard.decide(request)
            return drive(verdict) if isinstance(verdict, Generator) else verdict
        except Exception:
            log.exception("the guard failed; nobody was let in")
            return Refusal("internal_error")

    def _still_admitted(self, request: Request) -> bool:
        again = self._decide(self.guard.reviewing, request)
        # An outage is not a refusal: who was let in stays until somebody can tell.
        return isinstance(again, Principal) or again.status == 503


Watched: TypeAlias = Sequence[tuple[str, bytes]]
"""Keys of an environ, with the canonical names of the headers that they stand for."""


def watched_by(guard: Guard) -> Watched:
    """The headers that `guard` looks at: to make all of an environ's into bytes again would cost more than to judge."""
    places = (place for rule in guard.policy.rules for place in rule.places)
    named = (guard.account_header, *(place.name for place in places if place.where == "header"))
    names = dict.fromkeys((*LOOKED_AT, *(canonical(name.encode("latin-1")) for name in named)))
    return [(_key(name), name) for name in names]


def request_of(environ: WSGIEnvironment, watched: Watched) -> Request:
    """An environ as the guard sees it, with the headers that it looks at.

    The path is `PATH_INFO`, since that is what WSGI applications route by, and nothing is cut off it here. It has to
    begin with a slash: a server that cut `SCRIPT_NAME` off as text leaves one that does not, and it is refused.
    """
    script, path = _text(environ.get("SCRIPT_NAME", "")), _text(environ.get("PATH_INFO", ""))
    raw = _raw_path(environ)
    whole = path if script in ("", "/") else script + path
    if script and raw is not None and _text(unquote_to_bytes(raw)) == path:
        # A proxy took the root off before the server saw the path.
        whole = path
    # The root itself: frameworks route it as "/", or redirect to that.
    below = None if path and path[0] != "/" else path or "/"
    query: str = environ.get("QUERY_STRING", "")
    # A server may pass on any method, also a handshake's name here; it is to be no other's either.
    method: str = environ["REQUEST_METHOD"].replace("(", "?")
    return Request(method, below, whole, raw, query.encode("latin-1"), _headers(environ, watched))


def is_preflight(environ: WSGIEnvironment) -> bool:
    """Whether this is a CORS preflight."""
    return (
        environ["REQUEST_METHOD"] == "OPTIONS"
        and "HTTP_ORIGIN" in environ
        and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ
    )


def answer_with(answer: Answer, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer a request with what a renderer made; without the body where it was HEAD."""
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers]
    start_response(_status_line(answer.status), headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [answer.body]


def _text(native: str | bytes) -> str:
    """The text of a path: WSGI hands on its bytes, one for each character (PEP 3333, "Unicode Issues")."""
    if isinstance(native, str):
        if native.isascii():
            return native
        native = native.encode("latin-1")
    return native.decode("utf-8", "replace")


def _raw_path(environ: WSGIEnvironment) -> bytes | None:
    """The path as it was sent: gunicorn, gevent and Werkzeug show it as RAW_URI, others as REQUEST_URI."""
    sent: str = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
    return sent.partition("?")[0].encode("latin-1") or None


def _headers(environ: WSGIEnvironment, watched: Watched) -> list[tuple[bytes, bytes]]:
    """The headers, each value of those that a server may have joined on its own.

    Servers join several headers of one name with commas. Nothing that the guard reads holds one otherwise: a credential
    does not, nor does an account's id; and an Origin with one is nobody's.
    """
    headers: list[tuple[bytes, bytes]] = []
    for key, name in watched:
        value: str | None = environ.get(key)
        if value is None:
            continue
        if "," in value and name != b"origin":
            headers += [(name, part.encode("latin-1")) for part in value.split(",")]
        else:
            headers.append((name, value.encode("latin-1")))
    return headers


def _key(name: bytes) -> str:
    """Where an environ has a header (RFC 3875 section 4.1.18)."""
    key = name.decode("latin-1").upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"


def _take_out_identity(environ: WSGIEnvironment) -> None:
    """Take out the headers that only the guard sets."""
    for key in [key for key in environ if key.startswith(_IDENTITY)]:
        del environ[key]


def _varying(start_response: StartResponse) -> StartResponse:
    def start(
        status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None, /
    ) -> Callable[[bytes], object]:
        return start_response(status, vary_by_credential(headers), exc_info)

    return start


def _status_line(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        # A renderer may answer with a status of its own.
        return f"{status} Refused"
