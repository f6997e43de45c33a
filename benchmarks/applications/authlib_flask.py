"""Authlib's resource protector at a Flask view, with its validator of access tokens (RFC 9068)."""

from typing import Any

from benchmarks.driving import WSGIApp
from benchmarks.scene import Scene


def wsgi(scene: Scene) -> WSGIApp:
    """As its documents have it; the key set is read once, which they leave to the application."""
    from authlib.integrations.flask_oauth2 import ResourceProtector
    from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
    from flask import Flask
    from joserfc.jwk import KeySet

    keys = KeySet.import_key_set(scene.jwks)

    class Validator(JWTBearerTokenValidator):
        def get_jwks(self) -> Any:
            return keys

    required = ResourceProtector()
    required.register_token_validator(Validator(issuer=scene.issuer, resource_server=scene.audience))
    app: Any = Flask(__name__)

    @app.get(scene.path)
    @required()
    def view() -> str:
        return "ok"

    return app.wsgi_app
