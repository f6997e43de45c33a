"""guardpost around an ASGI application: its validator and its two strategies, with the glue that a framework brings."""

from typing import Any

from benchmarks.applications import bare
from benchmarks.applications.floor import refuse
from benchmarks.driving import ASGIApp, Receive, Scope, Send
from benchmarks.scene import Scene as Given


def asgi(given: Given) -> ASGIApp:
    """Authenticate, then authorize by the policy that asks for an identity."""
    from guardpost import AuthenticationHandler, AuthenticationStrategy, AuthorizationStrategy, Identity, Policy
    from guardpost.common import AuthenticatedRequirement
    from guardpost.errors import AuthException
    from guardpost.jwts import InvalidAccessToken, JWTValidator

    validator = JWTValidator(
        keys_url=given.jwks_url, valid_issuers=[given.issuer], valid_audiences=[given.audience], algorithms=["RS256"]
    )

    class Context:
        def __init__(self, headers: Any) -> None:
            self.headers = headers
            self.identity: Identity | None = None

    class Bearer(AuthenticationHandler):
        async def authenticate(self, context: Context) -> Identity | None:
            value = next((value for name, value in context.headers if name == b"authorization"), b"")
            scheme, _, token = value.decode("latin-1").partition(" ")
            if scheme.lower() != "bearer":
                return None
            try:
                return Identity(await validator.validate_jwt(token), "Bearer")
            except InvalidAccessToken:
                return None

    authentication = AuthenticationStrategy(Bearer())
    authorization = AuthorizationStrategy(Policy("authenticated", AuthenticatedRequirement()))
    app = bare.asgi(given)

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        identity = await authentication.authenticate(Context(scope["headers"]))
        try:
            await authorization.authorize("authenticated", identity)
        except AuthException:
            await refuse(send, 401)
            return
        scope["identity"] = identity
        await app(scope, receive, send)

    return guard
