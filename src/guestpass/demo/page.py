"""What a browser loads: one page, its style sheet, its scripts and one picture, from the package's own files.

Knows the headers that hold the page to exactly those. Nothing here is secret, and none of it is a path on disk.
"""

from collections.abc import Mapping
from importlib.resources import files
from string import Template
from typing import Final

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from guestpass.browser.starlette import module_route
from guestpass.demo import data
from guestpass.demo.backend import SIGNED_IN
from guestpass.rules import needs

_SCRIPT: Final = "text/javascript; charset=utf-8"
_TYPES: Final[Mapping[str, str]] = {
    "index.html": "text/html; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "page.js": _SCRIPT,
    "components.js": _SCRIPT,
    "listening.js": _SCRIPT,
    "saying.js": _SCRIPT,
    "icon.svg": "image/svg+xml",
}

HEADERS: Final[Mapping[str, str]] = {
    # Script from here alone: a page that holds a client secret must not run a stranger's.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    # Nor text as HTML: where the browser knows of it, assigning any to an element is an error.
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def page_router(publishable_key: str) -> APIRouter:
    """The page at ``/``, its files, the browser module, and what the page has to know of its platform."""
    loaded = {name: _load(name) for name in _TYPES}
    public = needs(public=True, reason="the page is for everyone; what it shows it fetches with a session")
    router = APIRouter(routes=[module_route()])

    def answer(name: str) -> Response:
        return Response(loaded[name], headers={**HEADERS, "Content-Type": _TYPES[name]})

    @router.get("/")
    @public
    async def index() -> Response:
        return answer("index.html")

    @router.get("/page.json")
    @public
    async def settings() -> JSONResponse:
        return JSONResponse({"publishable_key": publishable_key}, headers=dict(HEADERS))

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
