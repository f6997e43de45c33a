"""Whose page a request comes from: the login cookie goes along with a request of any page, so the cookie cannot say.

Knows `Sec-Fetch-Site` (Fetch Metadata), `Origin` (RFC 6454) and content types. Knows nothing of users.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from guestpass.errors import ConfigurationError
from guestpass.principal import is_origin


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What the back end looks at of a request; a header that is not there is None. `body` is read up to one byte above
    what is taken."""

    body: bytes = field(repr=False)
    content_type: str | None = None
    origin: str | None = None
    site: str | None = None
    host: str | None = None

    @property
    def is_json(self) -> bool:
        """Whether it says that its body is JSON, which another site's form cannot."""
        return (self.content_type or "").partition(";")[0].strip().lower() == "application/json"


def is_own_page(request: PageRequest, allow_origins: Collection[str]) -> bool:
    """Whether the request comes from a page of the same origin, of one that is allowed, or from no browser at all.

    The browser's own `Sec-Fetch-Site` decides, where there is one; else `Origin` must name the host that was asked. The
    scheme is not compared: behind a proxy nobody here knows it. Another subdomain is another origin.
    """
    if request.origin is not None and request.origin in allow_origins:
        return True
    if request.site is not None:
        return request.site in ("same-origin", "none")
    if request.origin is None:
        return True
    try:
        named = urlsplit(request.origin).netloc
    except ValueError:
        return False
    return bool(request.host) and named == request.host


def check_origins(allow_origins: Collection[str]) -> frozenset[str]:
    """The origins as browsers send them. Raises `ConfigurationError` for anything else, ``*`` too."""
    for origin in [allow_origins] if isinstance(allow_origins, str) else allow_origins:
        if isinstance(allow_origins, str) or not is_origin(origin):
            raise ConfigurationError(f'allow_origins={origin!r}: origins by name, ["https://app.example"]')
    return frozenset(allow_origins)
