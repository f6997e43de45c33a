"""A guard that recalls and one that judges every request anew are the same to everybody: to the caller, and to the
application behind each door, through everything that can happen to a credential meanwhile."""

import json
import random
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import anyio
import flask
import pytest
from starlette.applications import Starlette
from starlette.requests import Request as StarletteRequest
from starlette.responses import Response
from starlette.routing import Mount, Route, Router

import guestpass.flask
import guestpass.starlette
from guestpass import ALL, Credential, Grant, Guard, Principal, Refusal, Refused, Rule, needs, open_store
from guestpass.access import ENVIRON_KEY
from guestpass.asgi import ASGIApp, GuardMiddleware, Receive, Scope, Send
from guestpass.revocation.feed import feed_of
from guestpass.wsgi import GuardMiddleware as WSGIGuardMiddleware
from guestpass.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
from support import ROLES, Clock, House, Recording, build, call, http_scope, policy
from wsgi_support import call_wsgi, environ_of

SEEDS = 12

Asked: TypeAlias = tuple[str, str, list[tuple[str, str]], str, bool]
"""Method, target, headers, root, and whether the server shows the path as it was sent."""

ODD = ("acct_1", "acct_2", "..", ".", ":", "@", "-a", "", "a;b", "a%2fb", "é", "a b", "v1", "call_logs", "a\x00", "/")

RULES = (
    Rule("GET /health", public=True, reason="probe"),
    Rule("GET /open", public=True, optional=True, reason="page"),
    Rule("GET,POST /v1/call_logs", component="call_logs"),
    Rule("GET /v1/call_logs/{id}", component="call_logs", feature="transcripts"),
    Rule("GET /v1/accounts/{account}", component="call_logs"),
    Rule("* /v1/accounts/{account}/call_logs", component="call_logs"),
    Rule("GET /v1/accounts/{account}/{id}", role="agent"),
    Rule("GET /v1/{name}/x/odd", account=False),
    Rule("GET /v1/files/{name...}", encoded_slashes=True, role=None),
    Rule("GET /v1/files/secret/{name...}", component="voicemails"),
    Rule("POST /v1/tickets", mints=True),
    Rule("GET /v1/config", kinds={"publishable_key", "secret_key"}, account=False),
    Rule("GET /v1/query", account="query:account"),
    Rule("GET /v1/header", account="header:X-Tenant"),
    Rule("OPTIONS /v1/odd", account=False, role=None),
    Rule("WEBSOCKET /v1/events"),
)

SAID: Mapping[str, Any] = {
    "/v1/call_logs": needs(component="call_logs"),
    "/v1/call_logs/{id:int}": needs(component="call_logs"),
    "/v1/call_logs/{id}": None,
    "/v1/accounts/{account}": needs(component="call_logs"),
    "/v1/accounts/{account}/call_logs": needs(account="path:account"),
    "/v1/closed/{id}": None,
    "/v1/status": needs(account=False, role=None),
    "/v1/files/{name:path}": needs(role=None),
    "/health": needs(public=True, reason="probe"),
    "/open": needs(public=True, optional=True, reason="page"),
}


class Anyones:
    """A kind of one's own that hands out what no other does: odd accounts, several, all of them, one standing for many,
    and what another guard remembers."""

    prefixes = ("any",)

    def __init__(self) -> None:
        self.made: dict[str, Principal] = {}

    def make(self, principal: Principal) -> str:
        text = f"any_live_{len(self.made)}"
        self.made[text] = principal
        return text

    def kind_of(self, credential: Credential, /) -> str | None:
        made = self.made.get(credential.text)
        return None if made is None else made.kind

    def authenticate(self, credential: Credential, now: float, /) -> Principal | Refusal:
        return self.made[credential.text]


class _Other(Principal):
    """A principal of a class of its own."""

    __slots__ = ()


def _nobody(*_: object) -> Principal | None:
    return None


class World:
    """One house with two guards of the same credentials, one of which recalls nobody, each behind a door of its own."""

    def __init__(self, seed: int, door: str) -> None:
        self.random = random.Random(seed)
        self.own = Anyones()
        clock = Clock()
        self.store = Recording(open_store("memory://", clock=clock))
        rules = RULES if door in ("asgi", "wsgi") else RULES[11:12]
        size = self.random.choice((4, 1000))
        self.house: House = build(policy(*rules), store=self.store, clock=clock, more=[self.own], cache_size=size)
        judging = Guard(
            authenticators=self.house.guard.authenticators,
            policy=policy(*rules),
            mode="live",
            cache_size=size,
            clock=clock,
        )
        judging.recall = _nobody  # type: ignore[method-assign, assignment]
        self.guards = (self.house.guard, judging)
        self.recalled = 0
        self._count()
        self.wsgi = door in ("wsgi", "flask")
        self.seen: list[tuple[object, object]] = []
        self.before: list[Asked] = []
        mounted = self.random.random() < 0.5
        self.doors: list[Any] = [DOORS[door](self, guard, mounted) for guard in self.guards]
        self.ids: list[str] = []
        self.credentials = ["cs_live_nobodys", "x"]
        for _ in range(6):
            self.meet()

    def _count(self) -> None:
        recall = self.house.guard.recall

        def counting(*asked: Any) -> Principal | None:
            found = recall(*asked)
            self.recalled += found is not None
            return found

        self.house.guard.recall = counting  # type: ignore[method-assign, assignment]

    def meet(self) -> None:
        """A new credential."""
        chance, house = self.random, self.house
        accounts: Any = chance.choice((ALL, {"acct_1"}, {"acct_1", "acct_2"}, {".."}, {":"}))
        origins = chance.choice(((), (), {"https://a.example"}))
        components = chance.choice((ALL, {"call_logs"}, {"voicemails"}))
        kind = chance.choice(("key", "key", "publishable", "session", "token", "own", "own", "lent"))
        lives = chance.choice((60, 300, 3600))
        if kind == "publishable":
            made = house.keys.create(platform="plat", mode="live", kind="publishable_key", origins=origins)
            self.ids.append(made.id)
            self.credentials.append(made.secret)
            return
        key = house.keys.create(platform="plat", mode="live", accounts=accounts, origins=origins, components=components)
        self.ids.append(key.id)
        if kind == "key":
            self.credentials.append(key.secret)
            return
        self.guards[1].check(key.secret)
        by = self.guards[0].check(key.secret)
        account = "acct_1" if accounts is ALL else min(accounts)
        if kind == "session":
            session = house.sessions.create(by=by, account=account, expires_in=lives)
            self.credentials.append(session.client_secret)
        elif kind == "token":
            self.credentials.append(house.signer.sign(by=by, tenant_id=account, expires_in=lives).jwt)
        elif kind == "lent":
            self.credentials.append(self.own.make(by))
        else:
            several = frozenset(chance.sample(ODD, chance.choice((0, 1, 1, 1, 1, 2))))
            grant = Grant(
                "plat", "live", chance.choice((several, several, ALL)), frozenset({"call_logs/*"}),
                frozenset(ROLES[: chance.choice((0, 1, 2, 2))]), house.clock() + lives,
            )  # fmt: skip
            cls = chance.choice((Principal, _Other))
            one = cls(kind=chance.choice(("gate", "account_session")), subject="s", grant=grant, credential_id="c")
            other = one.but(credential_id="d", origins=frozenset(origins))
            self.credentials += [self.own.make(one), self.own.make(other)]

    def happen(self) -> None:
        """Something that ends, narrows or forgets."""
        chance, house = self.random, self.house
        what = chance.randrange(12)
        one = chance.choice(self.ids)
        try:
            if what == 0:
                house.clock.advance(chance.choice((0.5, 5, 11, 59, 61, 301)))
            elif what == 1:
                house.keys.revoke(one)
            elif what == 2:
                house.keys.narrow(one, components=chance.choice(({"call_logs"}, {"voicemails"})))
            elif what == 3:
                house.keys.narrow(one, accounts={"acct_1"})
            elif what == 4:
                house.keys.rotate(one, overlap=chance.choice((0, 60)), compromised=chance.random() < 0.5)
            elif what == 5:
                house.revocations.account("plat", chance.choice(("acct_1", "acct_2")))
            elif what == 6:
                for guard in self.guards:
                    guard.forget(lambda principal: principal.account == "acct_1")
            elif what == 7 and chance.random() < 0.3:
                # All that the store had is gone.
                self.store.store = open_store("memory://", clock=house.clock)
            elif what == 8 and chance.random() < 0.3:
                added = Rule(f"GET /v1/later/{chance.random()}", component="call_logs")
                for guard in self.guards:
                    guard.add_rules([added])
            else:
                self.meet()
        except (ValueError, KeyError, Refused):
            pass
        except Exception as problem:
            if type(problem).__name__ != "ConfigurationError":
                raise
        feed_of(self.store).read()

    def asked(self) -> Asked:
        """A request, often like one before."""
        chance = self.random
        if self.before and chance.random() < 0.7:
            method, path, headers, root, raw = chance.choice(self.before)
            if chance.random() < 0.3:
                headers = [("Authorization", f"Bearer {chance.choice(self.credentials[-8:])}"), *headers[1:]]
            return method, path, headers, root, raw
        account = chance.choice(ODD)
        path = chance.choice(
            (
                "/v1/call_logs", "/v1/call_logs", "/v1/call_logs/7", "/v1/call_logs/x", f"/v1/accounts/{account}",
                f"/v1/accounts/{account}/call_logs", "/v1/accounts/acct_1/call_logs", "/v1/accounts/acct_1",
                "/v1/accounts/acct_1/7", "/v1/things/x/odd", "/v1/files/a/b", "/v1/files/secret/b", "/v1/files/a%2Fb",
                "/v1/tickets", "/v1/config", "/v1/query?account=acct_1", "/v1/header", "/v1/odd", "/v1/events",
                "/v1/closed/7", "/v1/status", "/health", "/open", "/v1/inner/status", "/v1/inner", "/v1/inner/",
            )
        )  # fmt: skip
        if chance.random() < 0.1:
            at = chance.randrange(len(path) + 1)
            path = path[:at] + chance.choice(("/", ";", "%2e%2e", "%2F", ".", "/..", "%00", "%25", "é")) + path[at:]
        path = path.encode("latin-1", "replace").decode("latin-1").replace("\x00", "%00").replace(" ", "%20")
        root = chance.choice((*[""] * 8, "/", "/api", "/v1", "/api/", "/a;b"))
        if root and chance.random() < 0.7:
            path = root.rstrip("/") + path
        headers = [("Authorization", f"Bearer {chance.choice(self.credentials[-8:])}")]
        for name, values in (
            ("Account-Id", ("acct_1", " acct_1 ", "acct_2", "..", "é", "")),
            ("account_id", ("acct_1", "acct_2")),
            ("X-Tenant", ("acct_1", "acct_2")),
            ("Origin", ("https://a.example", "https://b.example", "null")),
            ("Sec-Fetch-Site", ("cross-site", "none")),
            ("Access-Control-Request-Method", ("GET",)),
            ("Guestpass-Account", ("acct_2",)),
            ("guestpass_kind", ("secret_key",)),
            ("X-Original-URL", ("/health",)),
            ("Authorization", ("Bearer x", "Basic eDp5", headers[0][1])),
        ):
            while chance.random() < 0.03:
                headers.append((name, chance.choice(values)))
        method = chance.choice((*["GET"] * 8, "HEAD", "POST", "OPTIONS", "get", "(websocket)", "PROPFIND"))
        return method, path, headers, root, chance.random() < 0.8

    async def ask(self) -> list[tuple[object, ...]]:
        """What comes of one request at each door."""
        asked = method, path, headers, root, raw = self.asked()
        found: list[tuple[object, ...]] = []
        for app in self.doors:
            self.seen.clear()
            if self.wsgi:
                outcome = call_wsgi(app, environ_of(method, path, headers, root_path=root, raw=raw), checked=False)
            else:
                outcome = await call(app, http_scope(method, path, headers, root_path=root, raw=raw))
            # What was asked for the one, such as after a key that is no more, may not be asked again for the other.
            unproved = outcome.status in (401, 503)
            said = () if unproved else (outcome.headers, outcome.body)
            found.append((asked, 401 if unproved else outcome.status, *said, [*self.seen]))
            if any(who is not None for who, _ in self.seen):
                self.before = [*self.before[-5:], asked]
        return found

    def see(self, principal: Principal | None, carried: Mapping[str, Any]) -> bytes:
        """What the application is shown."""
        who = None
        if principal is not None:
            proved = principal.narrowed_from
            who = (repr(principal), principal.identity, None if proved is None else repr(proved))
        kept: dict[str, object] = {
            key: value for key, value in carried.items() if isinstance(value, str | bytes | list)
        }
        self.seen.append((who, kept))
        return json.dumps(None if who is None else who[1]).encode()


def _asgi(world: World, guard: Guard, mounted: bool) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        said = world.see(scope["principal"], scope)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"Content-Type", b"a/b")]})
        await send({"type": "http.response.body", "body": said})

    return GuardMiddleware(app, guard, preflight="pass")


def _wsgi(world: World, guard: Guard, mounted: bool) -> WSGIApplication:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        said = world.see(environ[ENVIRON_KEY], environ)
        start_response("200 OK", [("Content-Type", "a/b")])
        return [said]

    return WSGIGuardMiddleware(app, guard, preflight="pass")


def _starlette(world: World, guard: Guard, mounted: bool) -> ASGIApp:
    def endpoint(path: str, said: Any) -> Callable[[StarletteRequest], Any]:
        async def answer(request: StarletteRequest) -> Response:
            shown = world.see(request.scope["principal"], request.scope)
            return Response(shown, headers={"X-Route": path, "X-Parameters": json.dumps(request.path_params)})

        return answer if said is None else said(answer)

    routes = [Route(path, endpoint(path, said), methods=["GET", "POST"]) for path, said in SAID.items()]
    status = endpoint("inner", needs(account=False, role=None))
    inner = [Route("/status", status), Route("/", endpoint("root", needs()))]
    app = Starlette(routes=[*routes, Mount("/v1/inner", Router(inner))])
    guestpass.starlette.protect(app, guard)
    # Behind a mount of its own, which is a root to it.
    return Starlette(routes=[Mount("/outer", app), Mount("", app)]) if mounted else app


def _flask(world: World, guard: Guard, mounted: bool) -> WSGIApplication:
    app = flask.Flask("app", static_folder=None)
    for number, (path, said) in enumerate(SAID.items()):

        def view(path: str = path, **parameters: Any) -> flask.Response:
            shown = world.see(flask.request.environ[ENVIRON_KEY], flask.request.environ)
            return flask.Response(shown, headers={"X-Route": path, "X-Parameters": repr(parameters)})

        converted = path.replace("{id:int}", "<int:id>").replace("{name:path}", "<path:name>")
        converted = converted.replace("{", "<").replace("}", ">")
        app.add_url_rule(converted, f"view_{number}", view if said is None else said(view), methods=["GET", "POST"])
    guestpass.flask.protect(app, guard)
    return app


DOORS: Mapping[str, Callable[[World, Guard, bool], Any]] = {
    "asgi": _asgi, "wsgi": _wsgi, "starlette": _starlette, "flask": _flask,
}  # fmt: skip


@pytest.mark.parametrize("door", DOORS)
def test_nobody_can_tell_what_is_recalled_from_what_is_judged(door: str) -> None:
    worlds = [World(seed, door) for seed in range(SEEDS)]

    async def compare(world: World) -> None:
        for _ in range(150):
            if world.random.random() < 0.03:
                world.happen()
            recalled, judged = await world.ask()
            assert recalled == judged

    for world in worlds:
        anyio.run(compare, world)
    assert sum(world.recalled for world in worlds) > 2 * SEEDS
