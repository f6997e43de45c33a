"""The Flask door: one call that guards an application, reading what its views say they need.

``current_principal`` is whoever is calling. Nothing is kept between requests, so there is nothing to tear down.
"""

import logging
import threading
from collections.abc import Callable, Collection, Iterable
from typing import Any, Final, Literal, cast

try:
    from flask import Flask, Request, Response, request
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError('guestpass.flask needs Flask: pip install "guestpass[flask]"') from missing
from werkzeug.local import LocalProxy

from guestpass.access import principal_of
from guestpass.door_settings import check_settings, tell_closed
from guestpass.errors import ConfigurationError, NotGuarded, Refused, Unavailable
from guestpass.guard import Guard
from guestpass.inquiry import drive
from guestpass.issuing import MAX_BODY, Call, Endpoint, answer_to, endpoints, read_prefix, too_long
from guestpass.issuing_wsgi import answer_of, idempotency_keys, read_at_most
from guestpass.live.long_answers import EVENT_STREAM, EndStreams, LongAnswers
from guestpass.principal import Principal
from guestpass.problems import Answer, Renderer, render
from guestpass.refusals import Refusal
from guestpass.routing.flask_routes import Site, answers_options, freeze, read_url_map
from guestpass.rule_table import RouteRule
from guestpass.rules import Rule, needs
from guestpass.wsgi import (
    JUDGED_KEY,
    GuardMiddleware,
    StartResponse,
    WSGIApplication,
    WSGIEnvironment,
    is_preflight,
)

__all__ = ["check", "current_principal", "needs", "protect"]

log = logging.getLogger("guestpass")

NAME: Final = "guestpass"

current_principal: Final = cast("Principal", LocalProxy(lambda: principal_of(request)))
"""Who is calling, in a view: ``current_principal.account``.

On a public route it raises `guestpass.NoPrincipal`, which ``principal_of(request, None)`` does not. Raises `NotGuarded`
where no guard ran.
"""


def protect(
    app: Flask,
    guard: Guard,
    *,
    issuing: str | None = None,
    allow_origins: Collection[str] = (),
    preflight: Literal["refuse", "pass"] = "refuse",
    end_streams: EndStreams = EVENT_STREAM,
    render: Renderer = render,
) -> None:
    """Guard `app`: what its views say with `needs` joins the policy of `guard` before the first request.

    A view that says nothing and that no rule of the policy is for is denied; so is the static route. `issuing` adds
    the issuing API below that path; `allow_origins` are the web origins whose pages may call the API, for which
    flask-cors is needed; the other settings are those of `guestpass.wsgi.GuardMiddleware`. What contradicts itself
    raises `ConfigurationError` with the first request, or in `check`. What wraps ``app.wsgi_app`` afterwards runs
    before the guard; an application is protected once.
    """
    if not isinstance(app, Flask) or not isinstance(guard, Guard):
        raise ConfigurationError("protect(app, guard): the application first, then its guard")
    # What is wrong with it is said here, and not with the first request.
    LongAnswers(end_streams)
    if NAME in app.extensions:
        raise ConfigurationError("protect(app, guard): this application is protected already")
    if issuing is not None:
        _add_issuing(app, guard, read_prefix(issuing), render)

    def refused(problem: Exception) -> Response:
        return _response(app, answer_to(problem, guard, render))

    app.register_error_handler(Refused, refused)
    app.register_error_handler(Unavailable, refused)
    protection = Protection(app, app.wsgi_app, guard, allow_origins, preflight, end_streams, render)
    app.before_request(protection.hold)
    app.extensions[NAME] = protection
    # The way that Flask documents for putting something before an application.
    app.wsgi_app = protection  # type: ignore[method-assign]


def check(app: Flask) -> None:
    """Say now, with a `ConfigurationError`, what is wrong with the routes of a protected application.

    To be called when all of them are there, such as in a test; the first request would say it too.
    """
    protection = app.extensions.get(NAME)
    if not isinstance(protection, Protection):
        raise ConfigurationError("check(app): protect(app, guard) first")
    protection.check()


class Protection:
    """The guard, put up when the application is complete: with its first request.

    Made by `protect` alone; `inside` is what stands behind the guard.
    """

    def __init__(
        self,
        flask: Flask,
        app: WSGIApplication,
        guard: Guard,
        allow_origins: Collection[str],
        preflight: Literal["refuse", "pass"],
        end_streams: EndStreams,
        render: Renderer,
    ) -> None:
        self._flask = flask
        self.inside: Final = app
        self.guard: Final = guard
        self._allow_origins = allow_origins
        self._preflight: Literal["refuse", "pass"] = preflight
        self._end_streams: EndStreams = end_streams
        self._render = render
        self._outermost: Callable[[WSGIApplication], WSGIApplication] = lambda door: door
        if allow_origins:
            # Missed here, not with the first request.
            from guestpass.flask_origins import cross_origin

            self._outermost = lambda door: cross_origin(door, guard, allow_origins, flask)
        self._lock = threading.Lock()
        self._door: WSGIApplication | None = None
        self._own: frozenset[int] = frozenset()
        self._rules: dict[tuple[int, str], RouteRule] = {}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        door = self._door or self.put_up()
        return door(environ, start_response)

    def check(self) -> None:
        """Read the routes as they are, and raise `ConfigurationError` for what contradicts itself."""
        if self._door is None:
            self._read()

    def _read(self) -> list[tuple[Site, RouteRule]]:
        read = read_url_map(self._flask)
        check_settings(self.guard.policy.with_routes([rule for _, rule in read]), self._allow_origins)
        return read

    def hold(self) -> Response | None:
        """Let no view be reached but under the rule that its request was judged by.

        That is so as long as the path that is judged is the one that is routed. Something between the guard and the
        router may change that, such as a middleware that rewrites paths.
        """
        # The request itself: each look through Flask's proxy costs as much as the rest of this.
        current = cast("Request", cast("Any", request)._get_current_object())
        route, method = current.url_rule, current.method
        if route is None or (method == "OPTIONS" and answers_options(route)):
            return None
        if self._preflight == "pass" and is_preflight(current.environ):
            return None
        judged: tuple[str, str] | None = current.environ.get(JUDGED_KEY)
        if judged is None:
            raise NotGuarded("no guard ran for this request: it came in past app.wsgi_app")
        found, said = self.guard.policy.match(*judged), self._rules.get((id(route), method))
        if found is not None and said is not None and (found is said or self._is_for(found.rule, said)):
            return None
        log.error("%s %s was judged, and reached %s: put what rewrites paths before the guard", *judged, route.endpoint)
        return _response(self._flask, self._render(Refusal("internal_error"), self.guard.realm))

    def _is_for(self, rule: Rule, said: RouteRule) -> bool:
        if said.closed:
            # Only the policy's own rules open a view that says nothing.
            return id(rule) in self._own
        return rule is said.rule or rule.asks_the_same(said.rule)

    def put_up(self) -> WSGIApplication:
        """The guard's door, with the routes read into its policy. Raises `ConfigurationError`."""
        with self._lock:
            if self._door is None:
                freeze(self._flask)
                read, guard = self._read(), self.guard
                self._own = frozenset(map(id, guard.policy.rules))
                guard.add_routes([rule for _, rule in read])
                tell_closed(guard.policy, [rule for _, rule in read])
                self._rules = {(id(site.route), method): rule for site, rule in read for method in site.methods}
                door = GuardMiddleware(
                    self.inside, guard, preflight=self._preflight, end_streams=self._end_streams, render=self._render
                )
                self._door = self._outermost(door)
            return self._door


def _add_issuing(app: Flask, guard: Guard, prefix: str, render: Renderer) -> None:
    for endpoint in endpoints(guard):
        app.add_url_rule(
            prefix + endpoint.path.replace("{id}", "<id>"),
            endpoint=f"{NAME}_{endpoint.name}",
            view_func=endpoint.needs(_view(app, endpoint, guard, render)),
            methods=[endpoint.method],
        )


def _view(app: Flask, endpoint: Endpoint, guard: Guard, render: Renderer) -> Callable[..., Response]:
    def view(id: str = "") -> Response:  # noqa: A002 - as the path calls it
        try:
            body = _body() if endpoint.takes_body else b""
            call = Call(request, id, idempotency_keys(request.environ), body)
            answer = answer_of(drive(endpoint.answer(call)))
        except (Refused, Unavailable) as problem:
            answer = answer_to(problem, guard, render)
        return _response(app, answer)

    return view


def _body() -> bytes:
    """The body, as far as is needed to see that it is too long; also where something before the view has read it."""
    length = request.content_length
    if length is None:
        return read_at_most(request.stream, MAX_BODY + 1) or request.get_data()
    if length > MAX_BODY:
        raise too_long()
    return request.get_data()


def _response(app: Flask, answer: Answer) -> Response:
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers]
    return app.response_class(answer.body, answer.status, headers)
