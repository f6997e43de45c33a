"""Flask-JWT-Extended: its decorator at a view. It fetches no key sets, so it is given the key."""

from typing import Any

from benchmarks.applications.floor import public_key
from benchmarks.driving import WSGIApp
from benchmarks.scene import Scene


def wsgi(scene: Scene) -> WSGIApp:
    """As its documents have it."""
    from flask import Flask
    from flask_jwt_extended import JWTManager, jwt_required

    app: Any = Flask(__name__)
    (jwk,) = scene.jwks["keys"]
    app.config.update(
        JWT_ALGORITHM="RS256",
        JWT_PUBLIC_KEY=public_key(jwk),
        JWT_DECODE_AUDIENCE=scene.audience,
        JWT_DECODE_ISSUER=scene.issuer,
    )
    manager = JWTManager(app)

    @manager.invalid_token_loader
    def invalid(reason: str) -> tuple[str, int]:
        # Out of the box it answers 422.
        return reason, 401

    @app.get(scene.path)
    @jwt_required()
    def view() -> str:
        return "ok"

    return app.wsgi_app
