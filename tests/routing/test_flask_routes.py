"""The views of a Flask application and the rules made of them: the rule that judges a request is that of the view
which it reaches.

Random url maps are read by the guard and asked by Werkzeug itself; where the two could part, the map has to be refused
at the start.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, Final

import pytest
from flask import Flask
from hypothesis import event, example, given, settings
from hypothesis import strategies as st
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter, PathConverter

from guestpass import ConfigurationError, Rule, needs
from guestpass.flask import check, protect
from guestpass.policy import Policy
from guestpass.routing.flask_routes import answers_options, read_url_map
from support import build, policy
from wsgi_support import ask_wsgi

NEEDS: Final[dict[str, dict[str, Any]]] = {
    "nothing": {},
    "agent": {"role": "agent", "account": False},
    "admin": {"role": "admin", "account": False},
    "open": {"public": True, "reason": "for all"},
}


class Odd(BaseConverter):
    """Takes what its expression does not tell the guard."""

    regex = "a|1|.?"


class Backwards(BaseConverter):
    """The default converter, tried last."""

    weight = 300

    def to_python(self, value: str) -> str:
        return value[::-1]


class Trail(PathConverter):
    """A path of one's own."""

    regex = "[^/]+/[^/]+"


SEGMENTS: Final = (
    "a", "b", "1", "<p>", "<p>", "<int:q>", "<r>.json", "x<s>", "<path:t>", "<float:u>", "<uuid:v>", "<any(a, b):w>",
    "<string(length=1):y>", "<string(minlength=0):z>", "<int(signed=True):i>", "<int(max=1):m>", "<any('a/b', b):n>",
    "<odd:o>", "<back:c>", "<trail:l>", "<p>-<int:q>", "a b",
)  # fmt: skip
PROBES: Final = ("a", "b", "1", "-1", "1.5", "c.json", "xa", "a-1", "a b", "")
HOSTS: Final = ("", "", "", "one.example", "<sub>.example")

Drawn = tuple[list[str], bool, bool | None, str, tuple[str, ...], str, bool]

routes = st.tuples(
    st.lists(st.sampled_from(SEGMENTS), max_size=3),
    st.booleans(),
    st.sampled_from((None, None, True, False)),
    st.sampled_from(tuple(NEEDS)),
    st.sampled_from((("GET",), ("GET",), ("POST",), ("HEAD",), ("GET", "POST"), ("OPTIONS",), ("GET", "OPTIONS"))),
    st.sampled_from(HOSTS),
    st.sampled_from((False, False, False, False, True)),
)
maps = st.lists(routes, min_size=1, max_size=5)


def view(mark: str) -> Callable[..., str]:
    """A view that says what it needs, and says so when it is reached."""

    def answer(**_: object) -> str:
        return mark

    return answer if mark == "nothing" else needs(**NEEDS[mark])(answer)


def made(drawn: list[Drawn], *, hosts: bool) -> Flask:
    """An application with these routes."""
    app = Flask(__name__, static_folder=None, host_matching=hosts)
    app.url_map.converters.update(odd=Odd, back=Backwards, trail=Trail)
    for number, (parts, slash, strict, mark, methods, host, websocket) in enumerate(drawn):
        # Each parameter named differently.
        named = [part.replace(">", f"{place}>") for place, part in enumerate(parts)]
        path = "/" + "/".join(named) + ("/" if slash and parts else "")
        more: dict[str, Any] = {"strict_slashes": strict}
        if hosts:
            more["host"] = host or "none.example"
        if websocket and not set(methods) - {"GET", "HEAD", "OPTIONS"}:
            more["websocket"] = True
        app.add_url_rule(path, f"{mark}_{number}", view(mark), methods=list(methods), **more)
    return app


def requests() -> list[tuple[str, str]]:
    products = (itertools.product(PROBES, repeat=size) for size in (1, 2, 3))
    paths = ["/" + "/".join(parts) for parts in itertools.chain.from_iterable(products)]
    some = [path for path in paths if "//" not in path]
    some = [*some[:100], *some[100::9], "/0e4b2c3a-1c1e-4c5a-9b0a-0d6f6a1b2c3d", "/a/b/1/a", "/a/b/1/a/"]
    return [(method, path) for path in some for method in ("GET", "HEAD", "POST", "OPTIONS")]


REQUESTS: Final = requests()


def reached(app: Flask, method: str, path: str, host: str, scheme: str) -> str | None:
    """What the view that Werkzeug takes says that it needs; None where no view is reached."""
    try:
        adapter = app.url_map.bind(host, url_scheme=scheme, path_info=path)
        route, _ = adapter.match(method=method, return_rule=True)
    except HTTPException:
        return None
    if method == "OPTIONS" and answers_options(route):
        return None
    mark: str = route.endpoint.partition("_")[0]
    return mark


def judged(rule: Rule | None) -> str:
    """Which of `NEEDS` a rule is."""
    if rule is None:
        return "nothing"
    return next(name for name, need in NEEDS.items() if need and rule.asks_the_same(needs(**need).rule("GET /")))


OWN: Final = Rule("GET,POST /{...}", role="external_entity", account=False)


def drawn_as(*written: tuple[str, str]) -> list[Drawn]:
    """Routes by path and mark, for examples; ``!`` makes one that is not strict."""
    routes: list[Drawn] = []
    for path, mark in written:
        parts = path.strip("/!").split("/")
        routes.append((parts, path.strip("!").endswith("/"), False if "!" in path else None, mark, ("GET",), "", False))
    return routes


@settings(max_examples=400, deadline=None)
@given(maps, st.booleans(), st.booleans())
@example(drawn_as(("/a", "open"), ("/<p>", "admin")), False, False)
@example(drawn_as(("/<p>/b", "open"), ("/<int:q>/<p>", "admin")), False, False)
@example(drawn_as(("/<path:t>/b", "nothing"), ("/<p>/b", "open")), False, False)
@example(drawn_as(("/a/", "open"), ("/a", "nothing")), False, False)
@example(drawn_as(("/<int:q>/!", "nothing"), ("/<p>!", "open")), False, False)
def test_what_is_judged_is_what_is_reached(drawn: list[Drawn], hosts: bool, own: bool) -> None:
    app = made(drawn, hosts=hosts)
    vocabulary: Policy = policy(OWN) if own else policy()
    try:
        rules = [rule for _, rule in read_url_map(app)]
        read = vocabulary.with_routes(rules)
    except ConfigurationError:
        event("refused at the start")
        return
    event("taken")
    names = ("none.example", "one.example", "two.example") if hosts else ("none.example",)
    for (method, path), host, scheme in itertools.product(REQUESTS, names, ("http", "ws")):
        view = reached(app, method, path, host, scheme)
        if view is None:
            continue
        rule = read.find(method, path)
        if rule is OWN:
            assert view == "nothing", (method, path, host, scheme, view)
        else:
            assert judged(rule) == view, (method, path, host, scheme, view)


@settings(max_examples=150, deadline=None)
@given(maps, st.booleans())
def test_nobody_without_a_credential_gets_further_than_public_views(drawn: list[Drawn], own: bool) -> None:
    app = made(drawn, hosts=False)
    house = build([OWN] if own else ())
    protect(app, house.guard)
    try:
        check(app)
    except ConfigurationError:
        return
    for method, path in REQUESTS[::23]:
        for upgrade in ({}, {"Connection": "Upgrade", "Upgrade": "websocket"}):
            outcome = ask_wsgi(app, method, path, upgrade)
            assert outcome.status != 500, (method, path)
            if outcome.status == 200 and method not in ("HEAD", "OPTIONS"):
                assert outcome.body == b"open", (method, path)
            if outcome.status == 200:
                assert reached(app, method, path, "testserver", "ws" if upgrade else "http") in ("open", None)


USUAL: Final[Sequence[tuple[str, str]]] = (
    ("/", "open"),
    ("/items", "agent"),
    ("/items/", "agent"),
    ("/items/new", "admin"),
    ("/items/<int:id>", "agent"),
    ("/items/<int:id>/edit", "admin"),
    ("/items/<int:id>/<word>", "agent"),
    ("/files/<path:name>", "agent"),
    ("/files/public/<path:name>", "open"),
    ("/<page>", "open"),
    ("/users/<uuid:id>", "agent"),
    ("/users/<uuid:id>/", "agent"),
    ("/users/me", "open"),
    ("/r/<name>.json", "agent"),
    ("/unsaid/<path:rest>", "nothing"),
    ("/<path:rest>", "agent"),
)


def test_most_maps_are_taken() -> None:
    # The law would be empty if everything were refused: maps as people write them are not.
    app = Flask(__name__)
    for number, (path, mark) in enumerate(USUAL):
        app.add_url_rule(path, str(number), view(mark))
    house = build()
    protect(app, house.guard)
    check(app)
    for path in ("/", "/files/public/x", "/about", "/users/me"):
        assert ask_wsgi(app, "GET", path).status == 200, path
    for path in (
        "/items",
        "/items/",
        "/items/1",
        "/items/1/x",
        "/files/x",
        "/files/publicx",
        "/a/b",
        "/static/x",
        "/unsaid/x",
    ):
        assert ask_wsgi(app, "GET", path).status == 401, path


CONFUSED: Final = [
    ("/a/<x>/<y>", "/<p>/b/c"),
    ("/<p>/edit", "/<int:id>/<action>"),
    ("/<path:p>/edit", "/<p>/edit"),
    ("/<odd:p>", "/<q>"),
    ("/<p>", "/<q>"),
    ("/<path:p>", "/<trail:q>"),
]


@pytest.mark.parametrize(("one", "other"), CONFUSED)
def test_what_could_be_judged_by_another_view_is_refused(one: str, other: str) -> None:
    for first, second in ((one, other), (other, one)):
        app = Flask(__name__, static_folder=None)
        app.url_map.converters.update(odd=Odd, trail=Trail)
        app.add_url_rule(first, "one", view("agent"))
        app.add_url_rule(second, "other", view("admin"))
        protect(app, build().guard)
        with pytest.raises(ConfigurationError, match="same requests"):
            check(app)
