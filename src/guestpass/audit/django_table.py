"""The URLs of a Django project, for an audit. The guard stands before it, with the rules in the policy."""

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any, Final, cast

from django.conf import settings  # type: ignore[import-untyped]
from django.core.handlers.base import BaseHandler  # type: ignore[import-untyped]
from django.core.handlers.wsgi import WSGIHandler  # type: ignore[import-untyped]
from django.http import HttpResponse  # type: ignore[import-untyped]
from django.urls import Resolver404, get_resolver, resolve  # type: ignore[import-untyped]
from django.urls.resolvers import RoutePattern, URLPattern, URLResolver  # type: ignore[import-untyped]
from django.utils.regex_helper import normalize  # type: ignore[import-untyped]

from guestpass.asgi_types import ASGIApp, Receive, Scope, Send
from guestpass.audit.handlers import location_of, marked, module_of, name_of
from guestpass.audit.route import Look, Parameter, Route, Standing
from guestpass.audit.samples import fitting, value_for
from guestpass.audit.sending import Interface
from guestpass.audit.stand_ins import Patches, Reached, answer, answer_wsgi
from guestpass.guarded import isinstance_of
from guestpass.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_CONVERTER: Final = re.compile(r"<(?:[^>:]+:)?([^>]+)>")
_GROUP: Final = re.compile(r"%\((\w+)\)s")


def read(thing: object, standing: Standing, _: Look) -> "DjangoTable | None":
    """The table of the project that a handler serves."""
    return DjangoTable(thing, standing) if isinstance_of(thing, BaseHandler) else None


class DjangoTable:
    """The URLs of one project."""

    def __init__(self, handler: object, standing: Standing) -> None:
        self.subject: Final = handler
        self.standing: Final = standing
        self.interface: Final[Interface] = "wsgi" if isinstance(handler, WSGIHandler) else "asgi"

    def routes(self, names: frozenset[str]) -> Iterator[Route]:
        """One for each URL that has a view."""
        for path, view in _urls(get_resolver(settings.ROOT_URLCONF), _Path()):
            yield _route(path, view, self.standing, names)

    def mounted(self) -> Iterable[tuple[object, Standing]]:
        """Nothing: Django mounts no applications."""
        return ()

    def sentinel(self, reached: Reached) -> ASGIApp | WSGIApplication:
        """An application that matches as Django does, and runs none of its views and none of its middleware."""

        def stand_in(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            return answer_wsgi(self._matches(_decoded(environ), reached), environ, start_response)

        async def stand_in_async(scope: Scope, receive: Receive, send: Send) -> None:
            root: str = scope.get("root_path", "")
            path = scope["path"].removeprefix(root) if root else scope["path"]
            found = scope["type"] == "http" and self._matches(path, reached)
            await answer(204 if found else 404, scope, receive, send)

        return stand_in if self.interface == "wsgi" else stand_in_async

    def stand_in(self, patches: Patches, reached: Reached) -> None:
        """Put the sentinel in the place of the project's middleware and views."""

        def chain(request: Any) -> object:
            return HttpResponse(status=204 if self._matches(request.path_info, reached) else 404)

        async def chain_async(request: Any) -> object:
            return chain(request)

        stand_in: Callable[[Any], object] | Callable[[Any], Awaitable[object]] = (
            chain if self.interface == "wsgi" else chain_async
        )
        patches.put(self.subject, "_middleware_chain", stand_in)

    def _matches(self, path: str, reached: Reached) -> bool:
        try:
            resolve(path, settings.ROOT_URLCONF)
        except Resolver404:
            return False
        reached(self.subject)
        return True


def _decoded(environ: WSGIEnvironment) -> str:
    path: str = environ.get("PATH_INFO", "")
    return path.encode("latin-1").decode("utf-8", "replace") or "/"


_UNKNOWN: Final = ("", None)
"""A part of a URL for which no value is known."""


class _Path:
    """A URL as it grows from one list of patterns to the next: as people write it, as a rule does, as it is asked."""

    def __init__(self, written: str = "/", shape: str = "/", parts: tuple[tuple[str, Any], ...] = ()) -> None:
        self.written, self.shape, self.parts = written, shape, parts

    def with_route(self, route: str, converters: Any) -> "_Path":
        """One more ``path()``."""
        shape = _CONVERTER.sub(lambda piece: "{path...}" if _rest(converters.get(piece[1])) else "{}", route)
        written = _CONVERTER.sub(r"{\1}", route)
        parts = tuple((piece, converters.get(piece)) for piece in _CONVERTER.findall(route))
        return _Path(self.written + written, self.shape + shape, (*self.parts, *parts))

    def with_regex(self, regex: str) -> "_Path":
        """One more ``re_path()``: its simplest form, as Django itself reverses it."""
        form, names = cast("tuple[str, list[str]]", normalize(regex)[0])
        if not form and regex.strip("^$\\AZ"):
            # One with a choice in it has no simplest form: it may be for anything here.
            return _Path(self.written + regex.lstrip("^"), f"{self.shape}{{path...}}", (*self.parts, _UNKNOWN))
        groups = re.compile(regex).groupindex
        written = _GROUP.sub(r"{\1}", form)
        shape = _GROUP.sub("{}", form)
        parts = tuple((name, _sub_expression(regex, name) if name in groups else None) for name in names)
        return _Path(self.written + written, self.shape + shape, (*self.parts, *parts))


def _rest(converter: Any) -> bool:
    return converter is not None and fitting(converter.regex)("a/b")


def _sub_expression(regex: str, name: str) -> Any:
    """What a named group is for, as a converter would say it."""
    begins = regex.index(f"(?P<{name}>") + len(f"(?P<{name}>")
    depth, at = 1, begins
    while at < len(regex) and depth:
        if regex[at] == "\\":
            at += 1
        elif regex[at] == "(":
            depth += 1
        elif regex[at] == ")":
            depth -= 1
        at += 1
    return _Group(regex[begins : at - 1])


class _Group:
    def __init__(self, regex: str) -> None:
        self.regex = regex


def _urls(resolver: Any, path: _Path) -> Iterator[tuple[_Path, Any]]:
    for entry in cast("Iterable[Any]", resolver.url_patterns):
        pattern: Any = entry.pattern
        if isinstance(cast("object", pattern), RoutePattern):
            here = path.with_route(str(pattern), pattern.converters)
        elif hasattr(pattern, "_regex"):
            here = path.with_regex(pattern._regex)
        else:
            here = path.with_route(str(pattern), {})
        if isinstance_of(entry, URLResolver):
            yield from _urls(entry, here)
        elif isinstance_of(entry, URLPattern):
            yield here, entry.callback


def _route(path: _Path, view: Any, standing: Standing, names: frozenset[str]) -> Route:
    sample, account = _sample(path, names)
    segments = (standing.inner + path.written)[1:].split("/")
    takes = [
        Parameter("path", name, next((at for at, s in enumerate(segments) if s == f"{{{name}}}"), None))
        for name, _ in path.parts
        if name
    ]
    return Route(
        framework="Django",
        methods=_methods(view),
        path=standing.prefix + path.written,
        shape=standing.inner + _ruled(path.shape),
        sample=None if sample is None else (standing.sample or "") + sample,
        account=account,
        takes=tuple(takes),
        name=name_of(view),
        location=location_of(view),
        standing=standing,
        own=module_of(view).startswith("django."),
        mark=marked(view),
        handler=view,
    )


def _methods(view: Any) -> frozenset[str]:
    """What a class of views has methods for; a function may take any."""
    cls = getattr(view, "view_class", None)
    if cls is None:
        return frozenset()
    named = cast("Iterable[str]", getattr(cls, "http_method_names", ()))
    return frozenset(name.upper() for name in named if hasattr(cls, name)) - {"OPTIONS", "HEAD"}


def _ruled(shape: str) -> str:
    """A shape as a rule can have it: what stands beside a parameter in one segment is any segment."""
    segments: list[str] = []
    parts = shape.split("/")
    for place, part in enumerate(parts):
        if "{path...}" in part or (not part and 0 < place < len(parts) - 1):
            segments.append("{...}")
            break
        segments.append("{}" if "{" in part or re.search(r"[%;?#<>\\\s:]", part) else part)
    return "/".join(segments)


def _sample(path: _Path, names: frozenset[str]) -> tuple[str | None, str | None]:
    account: str | None = None
    sample = path.written
    for name, converter in path.parts:
        if not name:
            return None, None
        value = value_for(_reads(converter), account=name in names)
        if value is None:
            return None, None
        account = value if name in names and account is None else account
        sample = sample.replace(f"{{{name}}}", value, 1)
    return sample, account


def _reads(converter: Any) -> Callable[[str], bool]:
    fits = fitting(converter.regex if converter is not None else "[^/]+")

    def reads(value: str) -> bool:
        to_python: Callable[[str], object] | None = getattr(converter, "to_python", None)
        return fits(value) and (to_python is None or to_python(value) is not None)

    return reads
