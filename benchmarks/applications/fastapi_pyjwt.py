"""A FastAPI dependency that checks tokens with PyJWT, as FastAPI's tutorial has it."""

from typing import Annotated, Any

from benchmarks.applications.pyjwt import Decoder
from benchmarks.driving import ASGIApp
from benchmarks.scene import Scene


def asgi(scene: Scene) -> ASGIApp:
    """One route that depends on it. Asynchronous, since a plain function costs a thread hop on top."""
    from fastapi import Depends, FastAPI, HTTPException
    from fastapi.responses import PlainTextResponse
    from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

    decode, bearer, app = Decoder(scene), HTTPBearer(), FastAPI()

    async def caller(credential: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]) -> dict[str, Any]:
        try:
            return decode(credential.credentials)
        except decode.problems as problem:
            raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"}) from problem

    @app.get(scene.path)
    async def view(claims: Annotated[dict[str, Any], Depends(caller)]) -> PlainTextResponse:
        return PlainTextResponse("ok")

    return app
