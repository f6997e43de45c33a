"""The routes of a Flask application, for an audit: `guestpass.routing.flask_routes` walks them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, cast

from flask import Flask, Response
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter
from werkzeug.routing import Rule as WerkzeugRule

from guestpass.audit.handlers import location_of, module_of, name_of
from guestpass.audit.route import Look, Parameter, Route, Standing, method_of
from guestpass.audit.samples import fitting, value_for
from guestpass.audit.sending import Interface
from guestpass.audit.stand_ins import Patches, Reached, answer_wsgi
from guestpass.guarded import isinstance_of
from guestpass.routing.flask_paths import template
from guestpass.routing.flask_routes import Site, reached
from guestpass.rules import HTTP_METHODS
from guestpass.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


def read(thing: object, standing: Standing, _: Look) -> "FlaskTable | None":
    """The table of an application, where what is called is the application itself and nothing before it."""
    app = method_of(thing, "wsgi_app")
    return FlaskTable(cast("Flask", app), standing) if isinstance_of(app, Flask) else None


class FlaskTable:
    """The url_map of one application."""

    def __init__(self, app: Flask, standing: Standing) -> None:
        self.subject: Final = app
        self.standing: Final = standing
        self.interface: Final[Interface] = "wsgi"

    def routes(self, names: frozenset[str]) -> Iterator[Route]:
        """The routes that have a view."""
        for site in reached(self.subject):
            if not site.path.redirects and site.methods - {"HEAD"} and site.route.rule:
                yield _route(self.subject, site, self.standing, names)

    def mounted(self) -> Iterable[tuple[object, Standing]]:
        """Nothing: Flask mounts no applications."""
        return ()

    def sentinel(self, reached: Reached) -> WSGIApplication:
        """An application that matches as Flask does, and runs none of its views."""

        def stand_in(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            found = self._matches(environ)
            if found:
                reached(self.subject)
            return answer_wsgi(found, environ, start_response)

        return stand_in

    def stand_in(self, patches: Patches, reached: Reached) -> None:
        """Put the sentinel where Flask would make the request known and look for its view."""
        told = _Told()

        def request_context(environ: WSGIEnvironment) -> _Told:
            told.found = self._matches(environ)
            if told.found:
                reached(self.subject)
            return told

        def full_dispatch_request(*_: object) -> Response:
            return Response(status=204 if told.found else 404)

        patches.put(self.subject, "request_context", request_context)
        patches.put(self.subject, "full_dispatch_request", full_dispatch_request)

    def _matches(self, environ: WSGIEnvironment) -> bool:
        try:
            self.subject.create_url_adapter(self.subject.request_class(environ)).match()  # type: ignore[union-attr]
        except HTTPException:
            # Not found, another method, or a redirect.
            return False
        return True


class _Told:
    """In the place of Flask's context of a request, which would open the application's session."""

    found = False

    def push(self) -> None:
        """Nothing is made known."""

    def pop(self, *_: object) -> None:
        """So nothing is to be cleared."""


def _route(app: Flask, site: Site, standing: Standing, names: frozenset[str]) -> Route:
    view = app.view_functions.get(site.route.endpoint)
    host, sample, account = _sample(app, site.route, names)
    whole = standing.prefix + template(site.route.rule)
    methods = site.methods - {"HEAD"}
    return Route(
        framework="Flask",
        methods=frozenset() if methods >= HTTP_METHODS else methods,
        path=whole,
        shape=standing.inner + _unnamed(site.path.path),
        sample=None if sample is None else (standing.sample or "") + sample,
        account=account,
        takes=tuple(_in_path(site.route, standing.inner)),
        name=site.route.endpoint if view is None else name_of(view),
        location=location_of(view),
        standing=replace(standing, host=standing.host or host),
        # The files of the application and of its blueprints, which Flask serves by itself.
        own=module_of(view).startswith("flask.") or site.route.endpoint.rpartition(".")[2] == "static",
        mark=site.needs is not None,
        handler=view,
    )


def _unnamed(path: str) -> str:
    segments = path.split("/")
    return "/".join("{...}" if s.endswith("...}") else "{}" if s.startswith("{") else s for s in segments)


def _in_path(route: WerkzeugRule, below: str) -> Iterator[Parameter]:
    segments = (below + template(route.rule))[1:].split("/")
    arguments: Iterable[str] = cast("Any", route).arguments
    for name in sorted(arguments):
        at = next((place for place, segment in enumerate(segments) if segment == f"{{{name}}}"), None)
        yield Parameter("path", name, at)


def _sample(app: Flask, route: WerkzeugRule, names: frozenset[str]) -> tuple[str, str | None, str | None]:
    """The host and the path of a request that the route takes, and the account in it."""
    converters = cast("Mapping[str, BaseConverter]", getattr(route, "_converters", {}))
    values: dict[str, object] = dict(route.defaults or {})
    account: str | None = None
    for name, converter in converters.items():
        # One of a few words, where the route says which.
        items: Iterable[str] = getattr(converter, "items", ())
        value = value_for(_Fits(converter), account=name in names) or min(items, default=None)
        if value is None:
            return "", None, None
        account = value if name in names and account is None else account
        values[name] = converter.to_python(value)
    built = route.build(values)
    if built is None:
        return "", None, None
    return _host(app, built[0]), built[1].partition("?")[0], account


def _host(app: Flask, part: str) -> str:
    """Where a route is for one host or one subdomain alone, whom a request is for."""
    if app.url_map.host_matching:
        return part
    server = cast("str | None", app.config["SERVER_NAME"])
    if server is None or not app.subdomain_matching:
        return ""
    return f"{part}.{server}" if part else server


class _Fits:
    def __init__(self, converter: BaseConverter) -> None:
        self._converter, self._fits = converter, fitting(converter.regex)

    def __call__(self, value: str) -> bool:
        """Whether the converter takes a value, and gives the same back."""
        if not self._fits(value):
            return False
        return self._converter.to_url(self._converter.to_python(value)) == value
