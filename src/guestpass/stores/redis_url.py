"""The URL of a Redis store, taken apart and checked: no connection is opened here.

Knows schemes, and which settings of redis-py a URL may change. The others decide whether the store keeps its
promises, so they are its own.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from guestpass.errors import ConfigurationError

PREFIX: Final = "guestpass:"

_SCHEMES: Final = {
    "redis": "redis",
    "rediss": "rediss",
    "valkey": "redis",
    "valkeys": "rediss",
    "unix": "unix",
}
SCHEMES: Final = frozenset(_SCHEMES)

_ANY: Final = frozenset({"db", "prefix", "max_connections", "client_name", "username", "password"})
_TLS: Final = frozenset(
    {
        "ssl_ca_certs",
        "ssl_ca_data",
        "ssl_ca_path",
        "ssl_cert_reqs",
        "ssl_certfile",
        "ssl_check_hostname",
        "ssl_ciphers",
        "ssl_keyfile",
        "ssl_min_version",
        "ssl_password",
    }
)
_OWN: Final = frozenset(
    {
        "decode_responses",
        "health_check_interval",
        "protocol",
        "retry_on_error",
        "retry_on_timeout",
        "socket_connect_timeout",
        "socket_keepalive",
        "socket_timeout",
        "timeout",
    }
)

_PREFIX: Final = re.compile(r"[!-z|~]{1,64}")
_PATH: Final = re.compile(r"/?[0-9]*")
_NUMBERS: Final = {"db": re.compile(r"[0-9]{1,6}"), "max_connections": re.compile(r"[1-9][0-9]{0,4}")}

_HOW: Final = "write redis://<user>:<password>@<host>:<port>/<number of the database>, or unix:///<path of the socket>"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the server is. `url` is for redis-py and holds the password; `shown` is for people and does not."""

    url: str
    shown: str
    prefix: str
    is_tcp: bool
    is_tls: bool

    def __repr__(self) -> str:
        return f"Place({self.shown!r})"


def place(url: str, prefix: str | None) -> Place:
    """The place that `url` names. Raises ConfigurationError, which quotes neither password nor path."""
    try:
        parts = urlsplit(url)
        _, host = parts.port, parts.hostname
    except ValueError:
        # What stands in the port's place may be part of a password.
        raise ConfigurationError(
            f"the URL of the Redis store cannot be read: {_HOW};"
            " what is special in a password is percent-encoded, / as %2F, @ as %40, # as %23"
        ) from None
    scheme = _SCHEMES.get(parts.scheme)
    if scheme is None:
        raise ConfigurationError(f"the Redis store does not speak {parts.scheme!r}: {_HOW}")
    if parts.fragment:
        raise ConfigurationError(f"the URL of the Redis store has a fragment: write # in a password as %23; {_HOW}")
    query = _query(parts.query, _ANY | _TLS if scheme == "rediss" else _ANY)
    if scheme == "unix":
        if host or not parts.path.strip("/"):
            raise ConfigurationError(
                "a unix URL names a socket by its absolute path: unix:///run/redis/redis.sock?db=0"
            )
    elif not _PATH.fullmatch(parts.path) or ("db" in query and parts.path.strip("/")):
        raise ConfigurationError(f"the path of a Redis URL is the number of a database: {_HOW}")
    found = query.pop("prefix", None)
    more = f"?{urlencode(query)}" if query else ""
    return Place(
        url=f"{scheme}://{parts.netloc}{parts.path}{more}",
        shown=f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}",
        prefix=_checked(prefix if found is None else found),
        is_tcp=scheme != "unix",
        is_tls=scheme == "rediss",
    )


def _query(given: str, allowed: frozenset[str]) -> dict[str, str]:
    pairs = parse_qsl(given, keep_blank_values=True)
    query = dict(pairs)
    for name in query.keys() - allowed:
        if name in _TLS:
            raise ConfigurationError(f"{name} is for connections with TLS: begin the URL with rediss://")
        # Any other may be part of a password that is not percent-encoded.
        told = repr(name) if name in _OWN else "one of the settings after its question mark"
        raise ConfigurationError(f"the URL of the Redis store does not take {told}: leave it out")
    if len(pairs) != len(query):
        raise ConfigurationError("the URL of the Redis store says something twice: leave one out")
    for name, number in _NUMBERS.items():
        if name in query and not number.fullmatch(query[name]):
            raise ConfigurationError(f"{name} in the URL of the Redis store is a number, such as {name}=1")
    return query


def _checked(prefix: str | None) -> str:
    if prefix is None:
        return PREFIX
    if not _PREFIX.fullmatch(prefix):
        raise ConfigurationError(
            f"the prefix of a Redis store's keys is 1 to 64 visible ASCII characters without braces: prefix={PREFIX}"
        )
    return prefix
