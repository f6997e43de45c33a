"""Where an issuer publishes its keys, as its own metadata says.

Knows OpenID Connect Discovery 1.0 (section 4) and RFC 8414 (section 3). Knows nothing of what a token says:
the issuer is the one that was configured, and metadata that names another one is not believed.
"""

import ssl
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import urlunsplit

from guestpass.errors import ConfigurationError
from guestpass.stores.http import SECONDS, Document, FetchFailed, check_url, fetch
from guestpass.strict_json import decode_object

REMEMBERED: Final = 3600.0
"""Seconds for which the address of the keys is not asked for again."""


class Discovery:
    """The key set of `issuer`, found through its metadata. Only ever used by one thread at a time.

    Raises `ConfigurationError` for an issuer that is no https URL (http for loopback) or has a query or
    fragment.
    """

    def __init__(
        self,
        issuer: str,
        *,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        parts = check_url(issuer)
        if "?" in issuer:
            raise ConfigurationError(f"issuer={issuer!r}: an issuer has no query (RFC 8414 section 2)")
        path = parts.path.removesuffix("/")
        origin = (parts.scheme, parts.netloc)
        self._addresses = (
            urlunsplit((*origin, f"{path}/.well-known/openid-configuration", "", "")),
            urlunsplit((*origin, f"/.well-known/oauth-authorization-server{path}", "", "")),
        )
        self._issuer = issuer
        self._tls = tls
        self._clock = clock
        # An issuer on the network has no business with what listens on this machine.
        self._loopback = parts.scheme == "http"
        self._jwks_uri = ""
        self._found_at = 0.0

    def read(self) -> Document:
        """The key set's document. Blocks for at most five seconds in total.

        The address is asked for again after an hour; while that fails the old one is used. Raises
        `FetchFailed` and `ValueError`.
        """
        deadline = self._clock() + SECONDS
        if not self._jwks_uri or self._clock() >= self._found_at + REMEMBERED:
            try:
                self._jwks_uri, self._found_at = self._find(), self._clock()
            except (FetchFailed, ValueError):
                if not self._jwks_uri:
                    raise
        left = max(deadline - self._clock(), 0.0)
        return fetch(self._jwks_uri, loopback=self._loopback, seconds=left, tls=self._tls)

    def _find(self) -> str:
        # Half of the time, so that the keys themselves can still be had.
        deadline = self._clock() + SECONDS / 2
        try:
            document = self._fetch(self._addresses[0], deadline)
        except FetchFailed as problem:
            if problem.status is None or not 400 <= problem.status < 500:
                raise
            document = self._fetch(self._addresses[1], deadline)
        metadata = decode_object(document.content)
        named = metadata.get("issuer")
        if named != self._issuer:
            # The mistake that everybody makes once; the token's `iss` has that slash, or has it not, too.
            slash = isinstance(named, str) and named.rstrip("/") == self._issuer.rstrip("/")
            hint = ": their names differ in the slash at the end" if slash else ""
            raise ValueError(f"the metadata is that of another issuer{hint}")
        jwks_uri = metadata.get("jwks_uri")
        if not isinstance(jwks_uri, str):
            raise ValueError("the metadata has no jwks_uri")
        check_url(jwks_uri, loopback=self._loopback)
        return jwks_uri

    def _fetch(self, url: str, deadline: float) -> Document:
        left = max(deadline - self._clock(), 0.0)
        return fetch(url, loopback=self._loopback, seconds=left, tls=self._tls)
