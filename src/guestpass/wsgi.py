"""The WSGI door: a guard around any WSGI application (PEP 3333), under threads and gevent.

Knows environs, and decides nothing. An environ holds one value for a header's name: what servers make of several
headers, and of names that differ in ``-`` and ``_`` alone, is undone or refused here. A WebSocket handshake is a
request like any other.
"""

import logging
from collections.abc import Callable, Generator, Iterable, Sequence
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
from guestpass.live.wsgi_streams import Answer, Body, ExcInfo, Streams, vary_by_credential
from guestpass.principal import Principal
from guestpass.problems import Answer as Rendered
from guestpass.problems import Renderer, render
from guestpass.proving import Proof
from guestpass.refusals import Refusal
from guestpass.requests import IDENTITY_PREFIX, LONGEST_NAME, MOST_NAMES, Asked, Request, canonical

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
        self._streams = Streams(guard, self._still_admitted, LongAnswers(end_streams))
        self._render = render
        self._watched: Watched = watched_by(guard)
        self._policy = guard.policy
        self._harmless: set[str] = set()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        try:
            if self.guard.policy is not self._policy:
                # Rules were added after the door was made.
                self._watched, self._policy = watched_by(self.guard), self.guard.policy
            asked = asked_of(environ, self._watched)
            method, path, whole_path, raw_path, _, headers = asked
            principal = self.guard.recall(method, path, whole_path, raw_path, headers)
            proof = self._judge(environ, Request(*asked)) if principal is None else principal
        except Exception:
            log.exception("the guard failed; nobody was let in")
            return self._refuse(Refusal("internal_error"), environ, start_response)
        if not isinstance(proof, Principal):
            return self._refuse(proof, environ, start_response)
        environ[JUDGED_KEY] = (method, path)
        environ[ENVIRON_KEY] = seen_by_application(proof)
        if not self._harmless.issuperset(environ):
            self._take_out_identity(environ)
        if proof is ANYONE:
            return self.app(environ, start_response)
        if proof is UNNAMED:
            return self.app(environ, _varying(start_response))
        answer = Answer(self._streams, proof, asked, start_response)
        try:
            body = self.app(environ, answer.start)
        except BaseException:
            # There is nothing that the server could close.
            answer.forget()
            raise
        if not answer.started or answer.stream is not None:
            # One that has not begun may yet turn out to be long.
            return Body(answer, body)
        answer.handed_on = True
        return body

    def _judge(self, environ: WSGIEnvironment, request: Request) -> Proof:
        if self._preflight and is_preflight(environ) and self.guard.reads_one_way(request):
            return ANYONE
        return self._decide(self.guard, request)

    def _refuse(self, refusal: Refusal, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return answer_with(self._render(refusal, self.guard.realm), environ, start_response)

    def _take_out_identity(self, environ: WSGIEnvironment) -> None:
        """Take out the headers that only the guard sets, and remember of the others that they are none of them."""
        for key in [key for key in environ if key.startswith(_IDENTITY)]:
            del environ[key]
        if len(self._harmless) > MOST_NAMES:
            # Strangers' headers are among them. The usual ones are met again at once.
            self._harmless.clear()
        self._harmless.update(key for key in environ if len(key) <= LONGEST_NAME)

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


def asked_of(environ: WSGIEnvironment, watched: Watched) -> Asked:
    """An environ as the guard sees it, with the headers that it looks at.

    The path is `PATH_INFO`, since that is what WSGI applications route by, and nothing is cut off it here. It has to
    begin with a slash: a server that cut `SCRIPT_NAME` off as text leaves one that does not, and it is refused.
    """
    path: str = environ.get("PATH_INFO", "")
    # gunicorn, gevent and Werkzeug show as RAW_URI what was sent, others as REQUEST_URI.
    sent: str = (environ.get("RAW_URI") or environ.get("REQUEST_URI") or "").partition("?")[0]
    if path.isascii() and not environ.get("SCRIPT_NAME") and (not sent or sent == path):
        whole_path, raw_path = path, None
    else:
        path, whole_path, raw_path = _decoded(environ.get("SCRIPT_NAME", ""), path, sent)
    headers: list[tuple[bytes, bytes]] = []
    for key, name in watched:
        value: str | None = environ.get(key)
        if value is not None:
            # Servers join several headers of one name with commas. Nothing that the guard reads holds one otherwise: a
            # credential does not, nor does an account's id; and an Origin with one is nobody's.
            if "," in value and name != b"origin":
                headers += _parted(name, value)
            else:
                headers.append((name, value.encode("latin-1")))
    return (
        # A server may pass on any method, also a handshake's name here; it is to be no other's either.
        environ["REQUEST_METHOD"].replace("(", "?"),
        # The root itself: frameworks route it as "/", or redirect to that.
        None if path and path[0] != "/" else path or "/",
        whole_path,
        raw_path,
        environ.get("QUERY_STRING", "").encode("latin-1"),
        headers,
    )


def _parted(name: bytes, value: str) -> list[tuple[bytes, bytes]]:
    return [(name, part.encode("latin-1")) for part in value.split(",")]


def is_preflight(environ: WSGIEnvironment) -> bool:
    """Whether this is a CORS preflight."""
    return (
        environ["REQUEST_METHOD"] == "OPTIONS"
        and "HTTP_ORIGIN" in environ
        and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ
    )


def answer_with(answer: Rendered, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
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


def _decoded(script: str | bytes, path: str | bytes, sent: str) -> tuple[str, str, bytes | None]:
    """The path, the whole one from the server's root, and that as it was sent, where the server shows it."""
    script, path = _text(script), _text(path)
    raw = sent.encode("latin-1") or None
    whole = path if script in ("", "/") else script + path
    if script and raw is not None and _text(unquote_to_bytes(raw)) == path:
        # A proxy took the root off before the server saw the path.
        whole = path
    return path, whole, raw


def _key(name: bytes) -> str:
    """Where an environ has a header (RFC 3875 section 4.1.18)."""
    key = name.decode("latin-1").upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"


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
