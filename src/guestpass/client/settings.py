"""Where the API is, which key opens it, and how long and how often it is tried.

Knows environment variables and which addresses a key may be sent to. What is wrong is said at construction; what is
missing, by the first call, so that a program without a key can still be loaded.
"""

import math
import os
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import httpx

from guestpass.client_error import ClientError
from guestpass.stores.http import is_loopback

BASE_URL: Final = "GUESTPASS_BASE_URL"
API_KEY: Final = "GUESTPASS_API_KEY"

TIMEOUT: Final = 10.0
RETRIES: Final = 2
MOST_RETRIES: Final = 10

_VISIBLE = re.compile(r"[\x21-\x7e]{1,8192}\Z")


@dataclass(frozen=True, slots=True)
class Settings:
    """What every call needs. `timeout` is in seconds; `chance` is a number from 0 to 1."""

    base_url: str | None
    api_key: str | None = field(repr=False)
    timeout: float
    retries: int
    chance: Callable[[], float] = field(repr=False)

    @classmethod
    def read(
        cls,
        base_url: str | None,
        api_key: str | None,
        timeout: float = TIMEOUT,
        retries: int = RETRIES,
        chance: Callable[[], float] = random.random,
        environment: Mapping[str, str] | None = None,
    ) -> "Settings":
        """The settings as given, what is left out from the environment. Raises `ClientError` (``INVALID_REQUEST``)."""
        found = os.environ if environment is None else environment
        base_url = found.get(BASE_URL) or None if base_url is None else base_url
        api_key = found.get(API_KEY) or None if api_key is None else api_key
        if not isinstance(timeout, int | float) or not 0 < timeout < math.inf:
            raise invalid(f"timeout={timeout!r}: seconds, more than 0")
        if type(retries) is not int or not 0 <= retries <= MOST_RETRIES:
            raise invalid(f"retries={retries!r}: a whole number from 0 to {MOST_RETRIES}")
        checked_key = None if api_key is None else check_key(api_key)
        checked_url = None if base_url is None else check_base_url(base_url)
        return cls(checked_url, checked_key, float(timeout), retries, chance)

    @property
    def on_loopback(self) -> bool:
        """Whether the API is on this machine, where no proxy has a part in it."""
        return self.base_url is not None and is_loopback(httpx.URL(self.base_url).host)

    def address(self, path: str) -> tuple[str, str]:
        """The URL of a path of the API, and the key.

        Raises `ClientError` (``INVALID_REQUEST``) where one is missing.
        """
        if self.api_key is None:
            raise invalid(f"no API key is set: set {API_KEY}, or pass Client(api_key=…) a secret key, sk_…")
        if self.base_url is None:
            raise invalid(f'the address of the API is not set: set {BASE_URL}, or Client(base_url="https://…")')
        return self.base_url + path, self.api_key


def check_key(key: object) -> str:
    """An API key that can stand in a header. The error never quotes it."""
    if not isinstance(key, str) or not _VISIBLE.match(key):
        raise invalid(
            "the API key is empty, or has white space or other characters in it that no key has: "
            f"look at {API_KEY} for a line break or quotation marks"
        )
    return key


def check_base_url(base_url: object) -> str:
    """An address that a credential may be sent to: https, or http to this machine itself; without a trailing slash.

    Raises `ClientError` (``INVALID_REQUEST``) for any other, and for user information, a query or a fragment in it.
    """
    try:
        url = httpx.URL(base_url) if isinstance(base_url, str) and _VISIBLE.match(base_url) else httpx.URL("")
    except (httpx.InvalidURL, ValueError):
        url = httpx.URL("")
    if not url.host or url.scheme not in ("https", "http"):
        raise invalid("base_url is not an absolute address: https://api.example")
    # Not quoted: it may hold a password.
    if url.userinfo or url.query or url.fragment or "?" in str(base_url) or "#" in str(base_url):
        raise invalid("base_url must have no user name, no query and no fragment: https://api.example")
    if url.scheme == "http" and not is_loopback(url.host):
        raise invalid("base_url must be https: the key would cross the network in the clear (http only for loopback)")
    return str(url).rstrip("/")


def origin_of(url: httpx.URL) -> tuple[str, str, int | None]:
    """The web origin of a URL (RFC 6454): scheme, host and port, None for the scheme's own."""
    return url.scheme, url.host, url.port


def invalid(message: str) -> ClientError:
    """A call that is misconfigured on the caller's own side."""
    return ClientError("INVALID_REQUEST", message)
