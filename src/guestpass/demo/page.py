"""What a browser loads: one page, one style sheet, one script and one picture, from the package's own files.

Knows the headers that hold the page to exactly those. Nothing here is secret, and none of it is a path on disk.
"""

from collections.abc import Mapping
from importlib.resources import files
from string import Template
from typing import Final

from fastapi import APIRouter, Response

from guestpass.demo import data
from guestpass.demo.backend import SIGNED_IN
from guestpass.rules import needs

_TYPES: Final[Mapping[str, str]] = {
    "index.html": "text/html; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}

HEADERS: Final[Mapping[str, str]] = {
    # Script from here alone: a page that holds a client secret must not run a stranger's.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def page_router() -> APIRouter:
    """The page at ``/`` and its files."""
    loaded = {name: _load(name) for name in _TYPES}
    public = needs(public=True, reason="the page is for everyone; what it shows it fetches with a session")
    router = APIRouter()

    def answer(name: str) -> Response:
        return Response(loaded[name], headers={**HEADERS, "Content-Type": _TYPES[name]})

    @router.get("/")
    @public
    async def index() -> Response:
        return answer("index.html")

    @router.get("/static/{name}")
    @public
    async def static(name: str) -> Response:
        return answer(name) if name in loaded else Response(status_code=404, headers=HEADERS)

    return router


def _load(name: str) -> bytes:
    text = (files("guestpass.demo") / "static" / name).read_text(encoding="utf-8")
    if name == "index.html":
        text = Template(text).substitute(
            user=SIGNED_IN.name,
            account=data.ACCOUNT,
            account_name=data.ACCOUNTS[data.ACCOUNT].name,
            other_account=data.OTHER_ACCOUNT,
            other_account_name=data.ACCOUNTS[data.OTHER_ACCOUNT].name,
        )
    return text.encode()
