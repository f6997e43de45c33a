"""PyJWT with its client for key sets: what most applications check tokens with."""

from typing import Any

from benchmarks.scene import Scene


class Decoder:
    """The claims of a token, checked. The key set is fetched once, and its keys are kept."""

    def __init__(self, scene: Scene) -> None:
        import jwt

        # As its documents have it, but with the keys kept by kid: without that each token looks through the set.
        self._client = jwt.PyJWKClient(scene.jwks_url, cache_keys=True)
        self._issuer, self._audience = scene.issuer, scene.audience
        self._decode = jwt.decode
        self.problems: type[Exception] = jwt.PyJWTError

    def __call__(self, token: str) -> dict[str, Any]:
        key = self._client.get_signing_key_from_jwt(token)
        return self._decode(
            token,
            key,
            algorithms=["RS256"],
            audience=self._audience,
            issuer=self._issuer,
            options={"require": ["exp", "iss", "sub", "aud"]},
        )
