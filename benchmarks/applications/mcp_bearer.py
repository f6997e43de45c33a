"""mcp's bearer middleware around an ASGI application, with a token verifier that uses PyJWT: it brings none."""

from benchmarks.applications import bare
from benchmarks.applications.pyjwt import Decoder
from benchmarks.driving import ASGIApp
from benchmarks.scene import Scene


def asgi(scene: Scene) -> ASGIApp:
    """As its server puts them together."""
    from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend, RequireAuthMiddleware
    from mcp.server.auth.provider import AccessToken
    from starlette.middleware.authentication import AuthenticationMiddleware

    decode = Decoder(scene)

    class Verifier:
        async def verify_token(self, token: str) -> AccessToken | None:
            try:
                claims = decode(token)
            except decode.problems:
                return None
            return AccessToken(
                token=token,
                client_id=claims["client_id"],
                scopes=claims["scope"].split(),
                expires_at=claims["exp"],
                subject=claims["sub"],
                claims=claims,
            )

    required = RequireAuthMiddleware(bare.asgi(scene), required_scopes=[])
    return AuthenticationMiddleware(required, backend=BearerAuthBackend(Verifier()))
