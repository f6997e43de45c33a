"""A WSGI server and client for the tests: an environ as servers make it, and an answer as the other doors' tests read
it. Both are held to PEP 3333 by `wsgiref.validate`."""

import io
import json
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote_to_bytes
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment
from wsgiref.validate import validator

from guestpass.access import ENVIRON_KEY
from guestpass.principal import Principal
from support import HeaderItems, Outcome

_KNOWN_METHODS = {"GET", "HEAD", "POST", "OPTIONS", "PATCH", "PUT", "DELETE", "TRACE"}


def environ_of(
    method: str,
    target: str,
    headers: HeaderItems = (),
    *,
    root_path: str = "",
    raw: bool = True,
    body: bytes = b"",
) -> WSGIEnvironment:
    """What gunicorn makes of a request: the root cut off as text, headers of one name joined, `-` and `_` alike.

    `raw` off: as a server that does not show the path as it was sent.
    """
    sent, _, query = target.partition("?")
    path = unquote_to_bytes(sent).decode("latin-1")
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": root_path,
        "PATH_INFO": path.removeprefix(root_path),
        "QUERY_STRING": query,
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "testserver",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    if body:
        environ["CONTENT_LENGTH"] = str(len(body))
    if raw:
        environ["RAW_URI"] = target
    joined: dict[str, list[str]] = {}
    for name, value in headers.items() if hasattr(headers, "items") else headers:
        joined.setdefault(name.upper().replace("-", "_"), []).append(value)
    for name, values in joined.items():
        key = name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{name}"
        environ[key] = ",".join(values)
    return environ


def call_wsgi(app: WSGIApplication, environ: WSGIEnvironment, *, checked: bool = True) -> Outcome:
    """Send one request to an application, and note all that it answers. The answer is always closed.

    `checked` off: where the environ or the framework is not what the validator wants.
    """
    outcome = Outcome()

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Callable[[bytes], None]:
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        outcome.sent.append({"type": "http.response.start", "status": int(status[:3]), "headers": raw})
        return written

    def written(chunk: bytes) -> None:
        outcome.sent.append({"type": "http.response.body", "body": chunk})

    answer = (validator(app) if checked and _regular(environ) else app)(environ, start_response)
    try:
        for chunk in answer:
            written(chunk)
    finally:
        close = getattr(answer, "close", None)
        if close is not None:
            close()
    return outcome


def ask_wsgi(app: WSGIApplication, method: str, target: str, headers: HeaderItems = (), **more: Any) -> Outcome:
    """Send one request."""
    return call_wsgi(app, environ_of(method, target, headers, **more))


def _regular(environ: WSGIEnvironment) -> bool:
    """Whether an environ is as the validator wants it; not every server's is."""
    paths = (environ["SCRIPT_NAME"], environ["PATH_INFO"])
    begun = all(path[:1] in ("", "/") for path in paths) and any(paths) and paths[0] != "/"
    return begun and environ["REQUEST_METHOD"] in _KNOWN_METHODS


def echo_wsgi(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """A bare application that lets everybody in and says what it sees."""
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(seen_in(environ)).encode()]


def seen_in(environ: WSGIEnvironment) -> dict[str, object]:
    """What an application finds in its environ."""
    principal: Principal | None = environ[ENVIRON_KEY]
    return {
        "kind": None if principal is None else principal.kind,
        "account": None if principal is None else principal.account,
        "subprotocols": [],
    }
