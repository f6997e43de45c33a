"""auth0-fastapi-api: its dependency at a route."""

from typing import Annotated, Any

from benchmarks.driving import ASGIApp
from benchmarks.scene import Scene


def asgi(scene: Scene) -> ASGIApp:
    """The metadata and the key set come through its own hook, since it fetches them by https alone."""
    from fastapi import Depends, FastAPI
    from fastapi.responses import PlainTextResponse
    from fastapi_plugin import Auth0FastAPI

    async def fetch(url: str) -> dict[str, Any]:
        if url.endswith("openid-configuration"):
            return {"issuer": scene.issuer, "jwks_uri": scene.jwks_url}
        import httpx

        async with httpx.AsyncClient() as client:
            document: dict[str, Any] = (await client.get(url)).json()
            return document

    domain = scene.issuer.removeprefix("https://").rstrip("/")
    auth0, app = Auth0FastAPI(domain=domain, audience=scene.audience, custom_fetch=fetch), FastAPI()

    @app.get(scene.path)
    async def view(claims: Annotated[dict[str, Any], Depends(auth0.require_auth())]) -> PlainTextResponse:
        return PlainTextResponse("ok")

    return app
