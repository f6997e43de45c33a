"""The Flask door: where `needs` may stand, what is refused at the start, `current_principal`, and other origins."""

import importlib
import logging
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from typing import Any, ClassVar
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest
from flask import Blueprint, Flask, request
from flask.typing import ResponseReturnValue
from flask.views import MethodView, View
from werkzeug.routing import BaseConverter
from werkzeug.routing import Rule as Route

from guestpass import ConfigurationError, NoPrincipal, NotGuarded, Principal, Refused, Rule, needs, principal_of
from guestpass.errors import KeysUnavailable
from guestpass.flask import check, current_principal, protect
from guestpass.refusals import Refusal
from support import House, Outcome, bearer, build
from wsgi_support import ask_wsgi, environ_of

LOGS = needs(component="call_logs")
OPEN = needs(public=True, reason="for all")


@pytest.fixture
def house() -> House:
    return build()


@pytest.fixture
def app() -> Flask:
    return Flask(__name__)


def view(word: str = "in") -> Callable[..., str]:
    """A view of its own, since a mark is put on the function."""
    return lambda **_: word


# --- where needs may stand -------------------------------------------------------------------------------------------


def _above(app: Flask) -> None:
    @needs(component="call_logs")
    @app.get("/x")
    def logs() -> str:
        return "in"


def _below(app: Flask) -> None:
    @app.get("/x")
    @needs(component="call_logs")
    def logs() -> str:
        return "in"


def _below_another_decorator(app: Flask) -> None:
    def shouting(inner: Callable[..., str]) -> Callable[..., str]:
        @wraps(inner)
        def outer(**named: object) -> str:
            return inner(**named).lower()

        return outer

    app.add_url_rule("/x", view_func=shouting(LOGS(view("IN"))))


def _without_a_decorator(app: Flask) -> None:
    app.add_url_rule("/x", view_func=LOGS(view()))


def _by_endpoint(app: Flask) -> None:
    app.url_map.add(Route("/x", endpoint="late", methods=["GET"]))
    app.endpoint("late")(LOGS(view()))


def _in_a_blueprint(app: Flask) -> None:
    blueprint = Blueprint("b", __name__)

    @blueprint.get("/")
    @needs(component="call_logs")
    def logs() -> str:
        return "in"

    app.register_blueprint(blueprint, url_prefix="/x")


def _in_nested_blueprints(app: Flask) -> None:
    inner, middle, outer = (Blueprint(name, __name__) for name in ("inner", "middle", "outer"))
    inner.add_url_rule("/", "logs", view_func=LOGS(view()))
    middle.register_blueprint(inner, url_prefix="/x")
    outer.register_blueprint(middle)
    app.register_blueprint(outer, url_prefix="/")


def _twice_registered(app: Flask) -> None:
    blueprint = Blueprint("b", __name__)
    blueprint.add_url_rule("/x", "logs", view_func=LOGS(view()))
    app.register_blueprint(blueprint)
    app.register_blueprint(blueprint, name="again", url_prefix="/again")


def _at_a_class(app: Flask) -> None:
    @needs(component="call_logs")
    class Logs(View):
        def dispatch_request(self) -> ResponseReturnValue:
            return "in"

    app.add_url_rule("/x", view_func=Logs.as_view("logs"))


def _at_the_view_of_a_class(app: Flask) -> None:
    class Logs(View):
        init_every_request: ClassVar[bool] = False

        def dispatch_request(self) -> ResponseReturnValue:
            return "in"

    app.add_url_rule("/x", view_func=LOGS(Logs.as_view("logs")))


def _among_a_class_decorators(app: Flask) -> None:
    class Logs(View):
        decorators: ClassVar[list[Callable[..., Any]]] = [LOGS]

        def dispatch_request(self) -> ResponseReturnValue:
            return "in"

    app.add_url_rule("/x", view_func=Logs.as_view("logs"))


def _at_a_class_of_methods(app: Flask) -> None:
    @needs(component="call_logs")
    class Logs(MethodView):
        def get(self) -> ResponseReturnValue:
            return "in"

    app.add_url_rule("/x", view_func=Logs.as_view("logs"))


def _at_a_method(app: Flask) -> None:
    class Logs(MethodView):
        @needs(component="call_logs")
        def get(self) -> ResponseReturnValue:
            return "in"

        @needs(role="admin")
        def post(self) -> ResponseReturnValue:
            return "in"

    app.add_url_rule("/x", view_func=Logs.as_view("logs"))


PLACES = [
    _above, _below, _below_another_decorator, _without_a_decorator, _by_endpoint, _in_a_blueprint,
    _in_nested_blueprints, _twice_registered, _at_a_class, _at_the_view_of_a_class, _among_a_class_decorators,
    _at_a_class_of_methods, _at_a_method,
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__.strip("_"))
def test_a_rule_may_stand_where_a_view_is_made(house: House, app: Flask, place: Callable[[Flask], None]) -> None:
    place(app)
    protect(app, house.guard)
    path = "/x/" if "blueprint" in place.__name__ else "/x"
    logs = {"call_logs": {"enabled": True}}
    assert ask_wsgi(app, "GET", path).code == "credential_missing"
    assert ask_wsgi(app, "GET", path, bearer(house.session(components={}))).code == "component_disabled"
    outcome = ask_wsgi(app, "GET", path, bearer(house.session(components=logs)))
    assert (outcome.status, outcome.body) == (200, b"in")
    headed = ask_wsgi(app, "HEAD", path, bearer(house.session(components=logs)))
    assert (headed.status, headed.body) == (200, b"")


def test_each_method_of_a_class_may_need_something_else(house: House, app: Flask) -> None:
    class Logs(MethodView):
        @needs(component="call_logs")
        def get(self) -> ResponseReturnValue:
            return "got"

        @needs(role="admin")
        def post(self) -> ResponseReturnValue:
            return "posted"

        def put(self) -> ResponseReturnValue:
            return "put"

    app.add_url_rule("/x", view_func=Logs.as_view("logs"))
    protect(app, house.guard)
    low, high = bearer(house.session()), bearer(house.session(roles=["admin"]))
    asked = [(method, secret) for method in ("GET", "HEAD", "POST", "PUT") for secret in (low, high)]
    statuses = [ask_wsgi(app, method, "/x", secret).status for method, secret in asked]
    assert statuses == [200, 200, 200, 200, 403, 200, 404, 404]


def test_a_class_says_nothing_for_those_that_inherit_from_it(house: House, app: Flask) -> None:
    @needs(public=True, reason="for all")
    class Plain(View):
        def dispatch_request(self) -> ResponseReturnValue:
            return "in"

    class More(Plain):
        pass

    app.add_url_rule("/plain", view_func=Plain.as_view("plain"))
    app.add_url_rule("/more", view_func=More.as_view("more"))
    protect(app, house.guard)
    assert ask_wsgi(app, "GET", "/plain").status == 200
    assert ask_wsgi(app, "GET", "/more").status == 401


def test_two_rules_for_one_view_are_refused() -> None:
    @needs(component="call_logs")
    class Logs(MethodView):
        @needs(role="admin")
        def get(self) -> ResponseReturnValue:
            return "in"

    @needs(component="call_logs")
    class Other(View):
        decorators: ClassVar[list[Callable[..., Any]]] = [needs(role="admin")]

        def dispatch_request(self) -> ResponseReturnValue:
            return "in"

    for cls in (Logs, Other):
        app = Flask(__name__)
        app.add_url_rule("/x", view_func=cls.as_view("x"))
        protect(app, build().guard)
        with pytest.raises(ConfigurationError, match=r"x \(/x\) has two rules for (GET|HEAD)"):
            check(app)


# --- what is closed --------------------------------------------------------------------------------------------------


def test_what_says_nothing_is_denied_unless_the_policy_opens_it(house: House) -> None:
    own = [
        Rule("GET /opened", public=True, reason="for all"),
        Rule("GET /static/{name...}", public=True, reason="pictures"),
    ]
    for guarded, status in ((house, 401), (build(own), 200)):
        app = Flask(__name__, static_folder="typing", static_url_path="/static")
        app.add_url_rule("/opened", view_func=view())
        app.add_url_rule("/said", view_func=LOGS(view()), endpoint="said")
        protect(app, guarded.guard)
        assert ask_wsgi(app, "GET", "/opened").status == status
        assert ask_wsgi(app, "GET", "/static/public_api.py").status == status
        assert ask_wsgi(app, "GET", "/said").status == 401
        assert ask_wsgi(app, "GET", "/opened", bearer(guarded.session())).status == (404 if status == 401 else 200)


def test_options_need_a_rule_like_everything_else(house: House) -> None:
    for rules, status in (([], 404), ([Rule("OPTIONS /{...}", account=False)], 200)):
        app, guarded = Flask(__name__), build(rules or [Rule("GET /y", account=False)])
        app.add_url_rule("/x", view_func=LOGS(view()))
        app.add_url_rule("/explicit", "explicit", view_func=LOGS(view()), methods=["GET", "OPTIONS"])
        protect(app, guarded.guard)
        assert ask_wsgi(app, "OPTIONS", "/x").status == 401
        outcome = ask_wsgi(app, "OPTIONS", "/x", bearer(guarded.session()))
        assert outcome.status == status
        assert ("GET" in outcome.headers.get("allow", "")) == (status == 200)
        assert ask_wsgi(app, "OPTIONS", "/explicit", bearer(guarded.session())).body == b"in"
        assert ask_wsgi(app, "OPTIONS", "/explicit").status == 401


def test_a_slash_too_few_leads_where_the_rule_lets_in(house: House, app: Flask) -> None:
    app.add_url_rule("/strict/", "strict", LOGS(view()))
    app.add_url_rule("/loose/", "loose", LOGS(view()), strict_slashes=False)
    app.add_url_rule("/leaf", "leaf", LOGS(view()), strict_slashes=False)
    app.add_url_rule("/open/", "open", OPEN(view()))
    app.add_url_rule("/<path:name>/", "path", needs(role="admin")(view()))
    protect(app, house.guard)
    secret = bearer(house.session())
    for path, status in (
        ("/strict/", 200),
        ("/strict", 308),
        ("/loose/", 200),
        ("/loose", 200),
        ("/leaf", 200),
        ("/leaf/", 200),
    ):
        assert ask_wsgi(app, "GET", path).status == 401, path
        assert ask_wsgi(app, "GET", path, secret).status == status, path
    assert ask_wsgi(app, "GET", "/open").status == 308
    assert ask_wsgi(app, "GET", "/a/b", secret).code == "role_insufficient"
    assert ask_wsgi(app, "GET", "/a/b", bearer(house.session(roles=["admin"]))).status == 308
    assert ask_wsgi(app, "GET", "/a/b/", bearer(house.session(roles=["admin"]))).status == 200


def test_defaults_and_redirects_are_behind_the_rule_of_their_view(house: House, app: Flask) -> None:
    listing = LOGS(view())
    app.add_url_rule("/pages/", "pages", listing, defaults={"page": 1})
    app.add_url_rule("/pages/<int:page>", "pages", listing)
    app.url_map.add(Route("/old", endpoint="old", redirect_to="pages/"))
    app.add_url_rule("/moved", "moved", LOGS(view()), redirect_to="/pages/")
    protect(app, house.guard)
    secret = bearer(house.session())
    for path, status in (("/pages/", 200), ("/pages/1", 308), ("/pages/2", 200), ("/moved", 308), ("/old", 404)):
        assert ask_wsgi(app, "GET", path).status == 401
        assert ask_wsgi(app, "GET", path, secret).status == status, path


# --- what is refused at the start ------------------------------------------------------------------------------------


class Lower(BaseConverter):
    """Changes what it takes."""

    def to_python(self, value: str) -> str:
        return value.lower()


ACCOUNT = needs(component="call_logs")
REFUSED_ROUTES: list[tuple[str, dict[str, Any], str]] = [
    ("/<account>.json", {}, "segment of the path, whole"),
    ("/x-<account>", {}, "segment of the path, whole"),
    ("/<path:account>", {}, "an account is one segment"),
    ("/x/<path:account>/y", {}, "segment of the path, whole"),
    ("/mine", {"defaults": {"account": "acct_1"}}, "default of account"),
    ("/x", {"host": "<account>.example"}, "segment of the path, whole"),
]


@pytest.mark.parametrize(("path", "more", "said"), REFUSED_ROUTES, ids=lambda value: str(value))
def test_an_account_that_the_guard_does_not_see_is_refused(path: str, more: dict[str, Any], said: str) -> None:
    app = Flask(__name__, static_folder=None, host_matching="host" in more)
    app.add_url_rule(path, "x", ACCOUNT(view()), **more)
    protect(app, build().guard)
    with pytest.raises(ConfigurationError, match=said):
        check(app)


def test_an_account_of_the_path_is_held_to(house: House, app: Flask) -> None:
    logs = LOGS(lambda account=None: str(account))
    app.add_url_rule("/accounts/<account>/logs", "logs", logs)
    app.add_url_rule("/logs", "logs", logs, defaults={"account": None})
    app.add_url_rule("/tenants/<string(minlength=3):tenant>/logs", "t", needs(account="path:tenant")(view()))
    protect(app, house.guard)
    secret = bearer(house.session())
    for path, status in (
        ("/accounts/acct_1/logs", 200),
        ("/accounts/acct_2/logs", 403),
        ("/logs", 200),
        ("/tenants/acct_1/logs", 200),
        ("/tenants/acct_2/logs", 403),
        ("/tenants/ab/logs", 404),
    ):
        assert ask_wsgi(app, "GET", path, secret).status == status, path


def test_hosts_and_handshakes_cannot_choose_between_rules() -> None:
    for more in ({"host": "two.example"}, {"host": "<sub>.example"}, {"host": "one.example", "websocket": True}):
        for needing, fine in ((OPEN, False), (needs(component="call_logs"), True)):
            app, guarded = Flask(__name__, static_folder=None, host_matching=True), build()
            app.add_url_rule("/x", "one", LOGS(view("one")), host="one.example")
            app.add_url_rule("/x", "two", needing(view("two")), **more)
            protect(app, guarded.guard)
            if fine:
                check(app)
                secret = {**bearer(guarded.session()), "Host": "two.example"}
                assert ask_wsgi(app, "GET", "/x").status == 401
                assert ask_wsgi(app, "GET", "/x", secret).status in (200, 404)
            else:
                with pytest.raises(ConfigurationError, match="same requests"):
                    check(app)


def test_a_host_alone_is_held_to_its_rule(house: House) -> None:
    app = Flask(__name__, static_folder=None, subdomain_matching=True)
    app.config["SERVER_NAME"] = "api.example"
    app.add_url_rule("/x", "x", LOGS(view()), subdomain="eu")
    app.add_url_rule("/y", "y", OPEN(view()))
    protect(app, house.guard)
    secret = bearer(house.session())

    def ask(path: str, host: str, headers: dict[str, str]) -> int:
        environ = environ_of("GET", path, headers)
        environ["HTTP_HOST"] = host
        with app.test_client() as client:
            return client.open(environ_base=environ, path=path, headers={**headers, "Host": host}).status_code

    assert ask("/x", "eu.api.example", secret) == 200
    assert ask("/x", "eu.api.example", {}) == 401
    assert ask("/x", "us.api.example", secret) == 404
    assert ask("/y", "api.example", {}) == 200


def test_a_name_that_the_policy_does_not_know_is_named_with_its_view(app: Flask) -> None:
    app.add_url_rule("/x", view_func=needs(component="call_log")(view()))
    protect(app, build().guard)
    with pytest.raises(ConfigurationError, match="did you mean 'call_logs'"):
        check(app)
    # Nobody gets in meanwhile, nor is the mistake forgotten.
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="did you mean 'call_logs'"):
            ask_wsgi(app, "GET", "/x")


def test_one_guard_protects_one_application_and_once(house: House, app: Flask) -> None:
    app.add_url_rule("/x", view_func=LOGS(view()))
    with pytest.raises(ConfigurationError, match="protect"):
        check(app)
    protect(app, house.guard)
    with pytest.raises(ConfigurationError, match="protected already"):
        protect(app, house.guard)
    assert ask_wsgi(app, "GET", "/x").status == 401
    check(app)
    other = Flask(__name__)
    other.add_url_rule("/x", view_func=LOGS(view()))
    protect(other, house.guard)
    with pytest.raises(ConfigurationError, match="one application"):
        ask_wsgi(other, "GET", "/x")


def test_what_is_handed_over_in_the_wrong_order_is_refused(house: House, app: Flask) -> None:
    with pytest.raises(ConfigurationError, match="the application first"):
        protect(house.guard, app)  # type: ignore[arg-type]


LACKING = [("flask", "guestpass.flask"), ("flask_cors.core", "guestpass.flask_origins")]


@pytest.mark.parametrize(("missing", "module"), LACKING)
def test_what_is_not_installed_is_named_with_the_line_that_does(
    missing: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    importlib.import_module(module)
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.delitem(sys.modules, module)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "guestpass\[flask\]"'):
        importlib.import_module(module)


def test_routes_that_nobody_can_ask_for_need_nothing(house: House, app: Flask) -> None:
    app.add_url_rule("/elsewhere", "elsewhere", build_only=True)
    app.url_map.merge_slashes = False
    app.add_url_rule("/a//b", "never", OPEN(view()), merge_slashes=False)
    app.add_url_rule("/x", "x", LOGS(view()))
    protect(app, house.guard)
    check(app)
    for path, status in (("/elsewhere", 404), ("/a//b", 400), ("/x", 200)):
        assert ask_wsgi(app, "GET", path, bearer(house.session())).status == status


def test_the_guard_is_put_up_once_whoever_comes_first(house: House, app: Flask) -> None:
    app.add_url_rule("/x", "x", LOGS(view()))
    protect(app, house.guard)
    together = threading.Barrier(8)

    def ask(_: int) -> int:
        together.wait(10)
        return ask_wsgi(app, "GET", "/x").status

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == [401] * 8


def test_routes_that_nobody_reaches_are_told(house: House, app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    app.add_url_rule("/unsaid/<int:number>/", "unsaid", view())
    app.add_url_rule("/x", "x", LOGS(view()))
    protect(app, house.guard)
    with caplog.at_level(logging.INFO, "guestpass"):
        ask_wsgi(app, "GET", "/x")
    told = sorted(record.getMessage() for record in caplog.records)
    assert told == [
        "no rule lets anybody in: GET /static/{filename}",
        "no rule lets anybody in: GET /unsaid/{number}/",
    ]


def test_a_mounted_application_is_judged_below_its_mount(house: House, app: Flask) -> None:
    app.add_url_rule("/", "home", OPEN(view()))
    app.add_url_rule("/x", "x", LOGS(view()))
    protect(app, house.guard)
    home = ask_wsgi(app, "GET", "/api", root_path="/api")
    assert (home.status, home.headers["location"]) == (308, "http://testserver/api/")
    assert ask_wsgi(app, "GET", "/api/", root_path="/api").body == b"in"
    assert ask_wsgi(app, "GET", "/api/x", root_path="/api").status == 401
    assert ask_wsgi(app, "GET", "/api/x", bearer(house.session()), root_path="/api").status == 200
    assert ask_wsgi(app, "GET", "/apix", bearer(house.session()), root_path="/api").status == 400


def test_an_application_without_rules_is_refused(app: Flask) -> None:
    app.add_url_rule("/x", view_func=view())
    protect(app, build().guard)
    with pytest.raises(ConfigurationError, match="lets nobody in"):
        check(app)


def test_routes_are_added_before_the_first_request(house: House, app: Flask) -> None:
    app.add_url_rule("/x", view_func=LOGS(view()))
    protect(app, house.guard)
    check(app)
    app.add_url_rule("/y", "y", view_func=LOGS(view()))
    # A refusal is a request too, though the application saw nothing of it.
    assert ask_wsgi(app, "GET", "/x").status == 401
    late: list[Callable[[], object]] = [
        lambda: app.add_url_rule("/late", "late", OPEN(view())),
        lambda: app.url_map.add(Route("/late", endpoint="y")),
        lambda: app.register_blueprint(_blueprint()),
        lambda: app.endpoint("y")(OPEN(view())),
        lambda: app.view_functions.update(y=OPEN(view())),
        lambda: app.view_functions.pop("y"),
    ]
    for change in late:
        with pytest.raises(ConfigurationError, match="before the first request"):
            change()
    secret = bearer(house.session())
    assert [ask_wsgi(app, "GET", path, secret).status for path in ("/x", "/y", "/late")] == [200, 200, 404]


def _blueprint() -> Blueprint:
    blueprint = Blueprint("late", __name__)
    blueprint.add_url_rule("/late", "late", view_func=OPEN(view()))
    return blueprint


# --- the rule that judges is that of the view that is reached --------------------------------------------------------


def put_before(app: Flask, **changed: str) -> None:
    """Put a middleware before an application that changes requests on their way."""
    inner = app.wsgi_app

    def rewrite(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ.update(changed)
        return inner(environ, start_response)

    vars(app)["wsgi_app"] = rewrite


@pytest.mark.parametrize("changed", [{"PATH_INFO": "/admin"}, {"REQUEST_METHOD": "DELETE"}, {"PATH_INFO": "/unsaid"}])
def test_a_request_that_is_rewritten_behind_the_guard_reaches_no_view(
    house: House, app: Flask, changed: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    reached: list[str] = []
    app.add_url_rule("/open", "open", OPEN(view()))
    for path, method, mark in (
        ("/admin", "GET", needs(role="admin")),
        ("/open", "DELETE", LOGS),
        ("/unsaid", "GET", None),
    ):
        inner = view()

        def noting(inner: Callable[..., str] = inner) -> str:
            reached.append("in")
            return inner()

        app.add_url_rule(path, path + method, noting if mark is None else mark(noting), methods=[method])
    put_before(app, **changed)
    protect(app, house.guard)
    with caplog.at_level(logging.ERROR, "guestpass"):
        outcome = ask_wsgi(app, "GET", "/open")
    assert (outcome.status, outcome.code, reached) == (500, "internal_error", [])
    assert "put what rewrites paths before the guard" in caplog.text


def test_what_rewrites_before_the_guard_is_judged_as_rewritten(house: House, app: Flask) -> None:
    app.add_url_rule("/open", "open", OPEN(view()))
    app.add_url_rule("/logs", "logs", LOGS(view()))
    protect(app, house.guard)
    put_before(app, PATH_INFO="/logs", RAW_URI="/logs")
    assert ask_wsgi(app, "GET", "/open").status == 401


def test_no_view_is_reached_past_the_guard(house: House, app: Flask) -> None:
    app.add_url_rule("/logs", "logs", LOGS(view()))
    bare = app.wsgi_app
    protect(app, house.guard)
    app.wsgi_app = bare  # type: ignore[method-assign]
    app.testing = True
    with pytest.raises(NotGuarded, match=r"app\.wsgi_app"):
        ask_wsgi(app, "GET", "/logs")


# --- who is calling --------------------------------------------------------------------------------------------------


def test_a_view_finds_its_caller(house: House, app: Flask) -> None:
    @app.get("/me")
    @needs(account=False, role=None)
    def me() -> dict[str, object]:
        assert isinstance(current_principal, Principal)
        assert current_principal == principal_of(request)
        return {"account": current_principal.account, "kind": current_principal.kind}

    @app.get("/open")
    @needs(public=True, reason="for all")
    def opened() -> dict[str, object]:
        with pytest.raises(NoPrincipal):
            _ = current_principal.account
        return {"nobody": principal_of(request, None) is None}

    @app.get("/mint")
    @needs(kinds={"secret_key"}, account=False)
    def mint() -> str:
        return house.sessions.create(by=current_principal, account="acct_7").client_secret

    protect(app, house.guard)
    assert ask_wsgi(app, "GET", "/me", bearer(house.session())).said == {"account": "acct_1", "kind": "account_session"}
    assert ask_wsgi(app, "GET", "/open").said == {"nobody": True}
    minted = ask_wsgi(app, "GET", "/mint", bearer(house.key())).body.decode()
    assert house.guard.check(minted).account == "acct_7"


def test_where_no_guard_ran_nobody_is_calling(app: Flask) -> None:
    with app.test_request_context("/"), pytest.raises(NotGuarded):
        _ = current_principal.account
    with pytest.raises(RuntimeError, match="request context"):
        _ = current_principal.account


def test_what_a_view_refuses_is_answered_like_a_refusal(house: House, app: Flask) -> None:
    @app.get("/refused")
    @needs(public=True, reason="for all")
    def refused() -> str:
        raise Refused(Refusal("escalation_denied", "API key"))

    @app.get("/unavailable")
    @needs(public=True, reason="for all")
    def unavailable() -> str:
        raise KeysUnavailable("gone", retry_after=5)

    @app.get("/broken")
    @needs(public=True, reason="for all")
    def broken() -> str:
        raise KeyError("the application's own")

    protect(app, house.guard)
    outcome = ask_wsgi(app, "GET", "/refused")
    assert (outcome.status, outcome.code) == (403, "escalation_denied")
    assert outcome.headers["www-authenticate"] == 'Bearer realm="api", error="insufficient_scope"'
    assert outcome.headers["content-type"] == "application/problem+json"
    outcome = ask_wsgi(app, "GET", "/unavailable")
    assert (outcome.status, outcome.code, outcome.headers["retry-after"]) == (503, "keys_unavailable", "5")
    assert ask_wsgi(app, "GET", "/broken").status == 500
    app.testing = True
    with pytest.raises(KeyError):
        ask_wsgi(app, "GET", "/broken")


# --- other origins ---------------------------------------------------------------------------------------------------

SHOP = "https://shop.example"


def preflight(app: Flask, origin: str, method: str = "GET", path: str = "/logs") -> Outcome:
    asked = {
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization, account-id, x-own",
    }
    return ask_wsgi(app, "OPTIONS", path, {"Origin": origin, **asked})


@pytest.fixture
def shop(house: House, app: Flask) -> Flask:
    app.add_url_rule("/logs", view_func=LOGS(view()))
    app.add_url_rule("/logs", "post", view_func=LOGS(view()), methods=["POST"])
    protect(app, house.guard, allow_origins=[SHOP, "http://[::1]:8000"])
    return app


def test_a_preflight_is_answered_before_the_guard(shop: Flask) -> None:
    for origin in (SHOP, "http://[::1]:8000"):
        outcome = preflight(shop, origin)
        headers = outcome.headers
        assert (outcome.status, headers["access-control-allow-origin"]) == (200, origin)
        assert headers["access-control-allow-methods"] == "GET, POST"
        assert headers["access-control-allow-headers"] == "account-id, authorization"
        assert "access-control-allow-credentials" not in headers
        assert headers["vary"] == "Origin"


@pytest.mark.parametrize(
    "origin",
    [SHOP + ".evil.example", "https://shopXexample", "http://:8000", "null", "", "https://evil.example", SHOP + "\n"],
)
def test_other_origins_are_not_told_anything(shop: Flask, house: House, origin: str) -> None:
    outcome = preflight(shop, origin)
    assert outcome.status == 400
    assert not [name for name in outcome.headers if name.startswith("access-control")]
    outcome = ask_wsgi(shop, "GET", "/logs", {"Origin": origin, **bearer(house.session())})
    assert outcome.status == 200
    assert not [name for name in outcome.headers if name.startswith("access-control")]
    assert preflight(shop, SHOP, "DELETE").status == 400


def test_a_page_may_read_answers_and_refusals(shop: Flask, house: House) -> None:
    for headers, status in (({}, 401), (bearer(house.session()), 200)):
        outcome = ask_wsgi(shop, "GET", "/logs", {"Origin": SHOP, **headers})
        assert outcome.status == status
        assert outcome.headers["access-control-allow-origin"] == SHOP
        assert outcome.headers["access-control-expose-headers"] == "Retry-After, WWW-Authenticate"
        assert {"authorization", "origin"} == {name.strip().lower() for name in outcome.headers["vary"].split(",")}
    assert "access-control-allow-origin" not in ask_wsgi(shop, "GET", "/logs").headers
    # Half a preflight is a request, and needs a rule.
    assert ask_wsgi(shop, "OPTIONS", "/logs", {"Origin": SHOP}).status == 401


def test_every_origin_is_allowed_only_where_nothing_mints(house: House, app: Flask) -> None:
    app.add_url_rule("/logs", view_func=LOGS(view()))
    protect(app, house.guard, issuing="/", allow_origins=["*"])
    with pytest.raises(ConfigurationError, match="name the origins"):
        check(app)
    plain = Flask(__name__)
    plain.add_url_rule("/logs", view_func=LOGS(view()))
    protect(plain, build().guard, allow_origins=["*"])
    assert preflight(plain, SHOP).headers["access-control-allow-origin"] == "*"
    assert ask_wsgi(plain, "GET", "/logs").headers["access-control-allow-origin"] == "*"
    for wrong, said in ((SHOP, "a list of origins"), ([f"{SHOP}/"], "as browsers send it")):
        lone = Flask(__name__)
        lone.add_url_rule("/logs", view_func=LOGS(view()))
        protect(lone, build().guard, allow_origins=wrong)
        with pytest.raises(ConfigurationError, match=said):
            check(lone)


def test_a_view_has_the_last_word_on_who_may_read_it(house: House, app: Flask) -> None:
    app.add_url_rule("/x", view_func=OPEN(lambda: ("in", {"Access-Control-Allow-Origin": "https://own.example"})))
    protect(app, house.guard, allow_origins=[SHOP])
    assert ask_wsgi(app, "GET", "/x", {"Origin": SHOP}).headers["access-control-allow-origin"] == "https://own.example"


def test_the_applications_own_settings_for_flask_cors_open_nothing(house: House, app: Flask) -> None:
    app.config.update(CORS_ORIGINS="*", CORS_SUPPORTS_CREDENTIALS=True, CORS_ALWAYS_SEND=True, CORS_ALLOW_HEADERS="*")
    app.add_url_rule("/logs", view_func=LOGS(view()))
    protect(app, house.guard, allow_origins=[SHOP])
    assert preflight(app, "https://evil.example").status == 400
    headers = preflight(app, SHOP).headers
    assert headers["access-control-allow-headers"] == "account-id, authorization"
    assert "access-control-allow-credentials" not in headers


def test_a_preflight_may_be_handed_on(house: House, app: Flask) -> None:
    app.add_url_rule("/logs", view_func=LOGS(view()))
    app.add_url_rule("/own", "own", view_func=LOGS(view()), methods=["OPTIONS"])
    protect(app, house.guard, preflight="pass")
    assert preflight(app, SHOP).headers["allow"]
    assert preflight(app, SHOP, path="/own").body == b"in"
    assert ask_wsgi(app, "OPTIONS", "/own", {"Origin": SHOP}).status == 401
