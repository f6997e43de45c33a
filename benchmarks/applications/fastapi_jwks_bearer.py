"""fastapi-jwks: its middleware around FastAPI."""

from benchmarks.driving import ASGIApp
from benchmarks.scene import Scene


def asgi(scene: Scene) -> ASGIApp:
    """As its README has it."""
    from fastapi import FastAPI
    from fastapi.responses import PlainTextResponse
    from fastapi_jwks.middlewares.jwk_auth import JWKSAuthMiddleware
    from fastapi_jwks.models.types import JWKSConfig, JWTDecodeConfig
    from fastapi_jwks.validators import JWKSValidator
    from pydantic import BaseModel

    class Claims(BaseModel):
        iss: str
        sub: str
        aud: str
        exp: int
        org_id: str
        scope: str

    validator = JWKSValidator[Claims](
        decode_config=JWTDecodeConfig(audience=[scene.audience], issuer=scene.issuer),
        jwks_config=JWKSConfig(url=scene.jwks_url),
    )
    app = FastAPI()
    app.add_middleware(JWKSAuthMiddleware, jwks_validator=validator)

    @app.get(scene.path)
    async def view() -> PlainTextResponse:
        return PlainTextResponse("ok")

    return app
