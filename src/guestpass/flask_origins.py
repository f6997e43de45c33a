"""Cross-origin requests to a Flask application: preflights, and answers that a page's script may read.

Stands before the guard, so that preflights are answered before it and its refusals can be read; which headers are
sent is flask-cors' to say. Knows nothing of credentials.
"""

import re
from collections.abc import Callable, Collection, Iterable
from typing import Final

from flask import Flask

try:
    from flask_cors.core import get_cors_headers, get_cors_options
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError('allow_origins needs flask-cors: pip install "guestpass[flask]"') from missing
from werkzeug.datastructures import EnvironHeaders

from guestpass.guard import Guard
from guestpass.wsgi import ExcInfo, StartResponse, WSGIApplication, WSGIEnvironment, is_preflight

_MAX_AGE: Final = 600
_ALLOWED: Final = "Access-Control-Allow-Origin"


def cross_origin(app: WSGIApplication, guard: Guard, allow_origins: Collection[str], flask: Flask) -> WSGIApplication:
    """`app` behind flask-cors, set to what the policy of `guard` has."""
    anyone = "*" in allow_origins
    options = get_cors_options(
        flask,
        {
            # As they stand: flask-cors would take a name with brackets for a regular expression, and match a beginning.
            "origins": "*" if anyone else [_exactly(origin) for origin in allow_origins],
            "methods": sorted(guard.policy.methods),
            "allow_headers": [
                _exactly(name, re.IGNORECASE) for name in ("Authorization", "Content-Type", guard.account_header)
            ],
            "expose_headers": ["WWW-Authenticate", "Retry-After"],
            "max_age": _MAX_AGE,
            "supports_credentials": False,
            "send_wildcard": anyone,
            "always_send": anyone,
            "vary_header": True,
            "allow_private_network": False,
        },
    )

    def headers_for(environ: WSGIEnvironment) -> list[tuple[str, str]]:
        if not (anyone or "HTTP_ORIGIN" in environ):
            return []
        said = get_cors_headers(options, EnvironHeaders(environ), environ["REQUEST_METHOD"])
        return [(name, str(value)) for name, value in said.items(multi=True)]

    def entry(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        headers = headers_for(environ)
        if is_preflight(environ):
            allowed = any(name == "Access-Control-Allow-Methods" for name, _ in headers)
            body = b"OK" if allowed else b"This origin or method is not allowed."
            answer = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body))), *headers]
            start_response("200 OK" if allowed else "400 Bad Request", answer)
            return [body]
        return app(environ, _adding(headers, start_response) if headers else start_response)

    return entry


def _exactly(text: str, flags: re.RegexFlag = re.NOFLAG) -> re.Pattern[str]:
    return re.compile(re.escape(text) + r"\Z", flags)


def _adding(more: list[tuple[str, str]], start_response: StartResponse) -> StartResponse:
    def start(
        status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None, /
    ) -> Callable[[bytes], object]:
        # A view that sets its own has the last word; two of them a browser would not take.
        own = any(name.lower() == _ALLOWED.lower() for name, _ in headers)
        return start_response(status, headers if own else [*headers, *more], exc_info)

    return start
