"""guestpass, set up as its README has it: keys, sessions and an outside issuer, 200 rules, components and roles."""

from collections.abc import Sequence

from benchmarks.applications import bare
from benchmarks.driving import ASGIApp, WSGIApp
from benchmarks.scene import ACCOUNT, COMPONENT, Scene, path_of
from guestpass import (
    SINGLE_PLATFORM,
    AccountSessions,
    ApiKeys,
    Authenticator,
    Guard,
    JwtIssuer,
    KeySet,
    Policy,
    Rule,
    open_store,
)
from guestpass.claims import ANY, Always, Claim, ClaimMapping
from guestpass.revocation.feed import feed_of
from guestpass.stores import Store

COMPONENTS = {COMPONENT: ("transcripts", "export"), "voicemails": ()}
ROLES = ("external_entity", "agent", "admin")
SCOPES = {"read:call_logs": ("call_logs", "call_logs/transcripts"), "read:voicemails": "voicemails"}
MAPPING = ClaimMapping(
    accounts=Claim("org_id", ANY), roles=Always("external_entity"), components=Claim("scope", SCOPES, separator=" ")
)


def guard_of(
    scene: Scene,
    rules: Sequence[Rule] | None = None,
    store: Store | None = None,
    more: Sequence[Authenticator] = (),
    cache_size: int = 100_000,
) -> Guard:
    """A guard with everything that a service of some size has; `cold` scenes leave its cache one place."""
    store = store or open_store("memory://")
    issuers = [issuer_of(scene, scene.issuer)] if scene.tokens else []
    guard = Guard(
        authenticators=[ApiKeys(store, owns=SINGLE_PLATFORM), AccountSessions(store), *more, *issuers],
        policy=Policy(*(rules_of(scene) if rules is None else rules), components=COMPONENTS, roles=ROLES),
        mode="live",
        cache_size=1 if scene.cold else cache_size,
    )
    # The list of revocations and the key set, before the first request is counted.
    feed_of(store).read()
    for token in scene.tokens[-1:]:
        guard.check(token)
    return guard


def issuer_of(scene: Scene, issuer: str) -> JwtIssuer:
    """An outside issuer whose claims say account and components."""
    keys = KeySet.from_url(scene.jwks_url) if scene.jwks_url else KeySet.from_jwks(scene.jwks)
    return JwtIssuer(issuer, keys=keys, audience=scene.audience, platform="plat", mapping=MAPPING)


def client_secrets(guard: Guard, count: int) -> list[str]:
    """Those of new sessions, for the account of the scene."""
    keys, sessions = minters_of(guard)
    by = guard.check(keys.create(platform="plat", mode="live").secret)
    return [sessions.create(by=by, account=ACCOUNT).client_secret for _ in range(count)]


def minters_of(guard: Guard) -> tuple[ApiKeys, AccountSessions]:
    """What makes keys and sessions for a guard."""
    (keys,) = (one for one in guard.authenticators if isinstance(one, ApiKeys))
    (sessions,) = (one for one in guard.authenticators if isinstance(one, AccountSessions))
    return keys, sessions


def rules_of(scene: Scene) -> list[Rule]:
    """The rules of the scene: one for each route, each for a component."""
    return [Rule(f"GET {path_of(number)}", component=COMPONENT) for number in range(scene.rules)]


def asgi(scene: Scene) -> ASGIApp:
    """Around the bare ASGI application."""
    from guestpass.asgi import GuardMiddleware

    return GuardMiddleware(bare.asgi(scene), guard_of(scene))


def starlette(scene: Scene) -> ASGIApp:
    """Around Starlette."""
    from guestpass.asgi import GuardMiddleware

    return GuardMiddleware(bare.starlette(scene), guard_of(scene))


def fastapi(scene: Scene) -> ASGIApp:
    """FastAPI, protected as the README has it: what a route needs stands at it, the view takes the caller."""
    from fastapi import FastAPI
    from fastapi.responses import PlainTextResponse

    from guestpass import needs
    from guestpass.fastapi import Caller, protect

    app, path = FastAPI(), scene.path

    @app.get(path)
    @needs(component=COMPONENT)
    async def view(caller: Caller) -> PlainTextResponse:
        return PlainTextResponse("ok")

    rest = [rule for number, rule in enumerate(rules_of(scene)) if path_of(number) != path]
    protect(app, guard_of(scene, rest))
    return app


def wsgi(scene: Scene) -> WSGIApp:
    """Around the bare WSGI application."""
    from guestpass.wsgi import GuardMiddleware

    return GuardMiddleware(bare.wsgi(scene), guard_of(scene))


def flask(scene: Scene) -> WSGIApp:
    """Flask, protected as the README has it."""
    from flask import Flask

    from guestpass.flask import needs, protect

    app, path = Flask(__name__), scene.path

    @app.get(path)
    @needs(component=COMPONENT)
    def view() -> str:
        return "ok"

    rest = [rule for number, rule in enumerate(rules_of(scene)) if path_of(number) != path]
    protect(app, guard_of(scene, rest))
    return app.wsgi_app
