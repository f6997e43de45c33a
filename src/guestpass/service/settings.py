"""What ``guestpass serve`` is to do: one TOML file, read strictly, with the variables of the environment over it.

Knows every table and key there is, and what contradicts itself. Opens nothing: neither the store nor a file with a
secret, of which it knows only the place. Pure.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from guestpass.forward_auth import ProxyName
from guestpass.grants import Mode
from guestpass.issuers import JwtIssuer
from guestpass.keyring import PUBLISH_AHEAD
from guestpass.minting import MAX_LIFETIME
from guestpass.policy import Policy
from guestpass.service.document import Document, SettingsError, Table
from guestpass.service.issuers import read_issuers
from guestpass.service.kinds import FLAG, MODE, ORIGIN, TEXT, Kind, matching, one_of, several, text_that, whole
from guestpass.service.register import Owners, read_ownership
from guestpass.service.rules import read_policy
from guestpass.signing_keys import ALGORITHMS
from guestpass.stores.urls import has_password

__all__ = ["ForwardAuth", "Issuing", "Listen", "Observe", "Settings", "SettingsError", "SignedTokens", "read_settings"]

MAX_FILE: Final = 1_048_576
"""Characters; a file that has more holds something else."""

MAX_WORKERS: Final = 64

# Nothing in it is ever encoded, so that there is one way to read it.
_SEGMENTS: Final = re.compile(r"(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)+")
_OCTAL: Final = re.compile(r"[0-7]{3}")
_PREFIXES: Final = re.compile(r"[a-z][a-z0-9]{0,31}")

_PATH: Final = matching(_SEGMENTS, 'a path such as "/health", its segments of letters, digits and - _ .')
_BELOW: Final = text_that(
    'a path such as "/" or "/guestpass"', lambda path: path == "/" or _SEGMENTS.fullmatch(path) is not None
)
_PERMISSIONS: Final = matching(_OCTAL, 'a text with the permissions as chmod has them, such as "660"')
_PREFIX: Final = matching(_PREFIXES, "a letter, then letters and digits, in lower case")
_PROXY: Final[Kind[ProxyName]] = one_of("nginx", "traefik", "caddy", "envoy")
_PREFLIGHT: Final[Kind[Literal["refuse", "pass"]]] = one_of("refuse", "pass")


@dataclass(frozen=True, slots=True)
class Listen:
    """Where it listens: on `socket`, the path of a Unix domain socket with the permissions `socket_mode`, or on `host`
    and `port`. `workers` is how many processes serve."""

    host: str
    port: int
    socket: str | None
    socket_mode: int
    workers: int
    access_log: bool


@dataclass(frozen=True, slots=True)
class Credentials:
    """What keys and client secrets begin with; without `checksum`, keys of an older form are let in."""

    secret_key_prefix: str
    publishable_key_prefix: str
    client_secret_prefix: str
    checksum: bool


@dataclass(frozen=True, slots=True)
class ForwardAuth:
    """The forward-auth door, at `path`: see `guestpass.forward_auth.forward_auth`."""

    path: str
    proxy: ProxyName
    trusted: tuple[str, ...]
    sockets: bool
    root_path: str
    preflight: Literal["refuse", "pass"]


@dataclass(frozen=True, slots=True)
class Issuing:
    """The issuing API, below `prefix`, which is "" for the root."""

    prefix: str
    allow_origins: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Observe:
    """What is told of, on standard output: with `log`, what is refused and what bears on security; with `allowed`, what
    is let in as well."""

    log: bool
    allowed: bool


@dataclass(frozen=True, slots=True)
class SignedTokens:
    """How tokens are signed. `wrapping_key_file` is None where the wrapping key is in the environment alone."""

    issuer: str
    audience: str
    algorithm: str
    publish_ahead: int
    wrapping_key_file: str | None


@dataclass(frozen=True, slots=True)
class Settings:
    """All of it. `name` is what the file is called in messages. The store is at the URL `store` or at the one in
    `store_file`; with neither it is nowhere yet."""

    name: str
    mode: Mode
    realm: str
    account_header: str
    store: str | None = field(repr=False)
    store_file: str | None
    listen: Listen
    health: str
    policy: Policy
    credentials: Credentials
    owners: Owners
    signed_tokens: SignedTokens | None
    issuers: tuple[JwtIssuer, ...]
    forward_auth: ForwardAuth | None
    issuing: Issuing | None
    observe: Observe


def read_settings(text: str, name: str, environ: Mapping[str, str]) -> Settings:
    """The settings in `text`, the content of the file called `name`, with the variables of `environ` over them.

    Raises `SettingsError`, in one line, for whatever is wrong with them.
    """
    if len(text) > MAX_FILE:
        raise SettingsError(f"{name}: it is longer than {MAX_FILE} characters, and no settings are")
    document = Document(text, name, environ)
    with document.top() as top:
        mode: Mode = top.get("mode", MODE, "live")
        policy = read_policy(top)
        store, store_file = _store(top, document)
        settings = Settings(
            name=name,
            mode=mode,
            realm=top.get("realm", TEXT, "api"),
            account_header=top.get("account_header", TEXT, "Account-Id"),
            store=store,
            store_file=store_file,
            listen=_listen(top),
            health=top.get("health", _PATH, "/health"),
            policy=policy,
            credentials=_credentials(top),
            owners=read_ownership(top),
            signed_tokens=_signed_tokens(top),
            issuers=read_issuers(top, mode, policy),
            forward_auth=_forward_auth(top),
            issuing=_issuing(top),
            observe=_observe(top),
        )
        _check(top, settings)
    return settings


def _check(top: Table, settings: Settings) -> None:
    """What no table can see by itself."""
    policy, listen = settings.policy, settings.listen
    if settings.forward_auth is None and settings.issuing is None:
        top.refuse("there is nothing to serve: add [forward_auth], [issuing] or both")
    if policy.rules and settings.forward_auth is None:
        top.wrong("rules", "are for the requests that a proxy asks about: add [forward_auth], or drop them")
    if settings.forward_auth is not None and not policy.rules:
        top.wrong("rules", 'is missing: a proxy that asks is told no without one: [[rules]] match = "GET /…"')
    if settings.issuing is not None and not policy.components:
        top.wrong("components", "is missing: a session enables components, so name those there are")
    if listen.workers > 1 and (settings.store or "").startswith("memory:"):
        top.wrong("store", "memory:// is kept by one process alone: name a store that the workers share, or one worker")
    if settings.forward_auth is not None:
        if settings.health == settings.forward_auth.path:
            top.wrong("health", "is where [forward_auth] listens as well: change its path, or this")
        by_socket, trusted = listen.socket is not None, settings.forward_auth.trusted
        if not any((peer == "unix") == by_socket for peer in trusted):
            who = '"unix", for the socket of [listen]' if by_socket else "an address, for the port of [listen]"
            raise SettingsError(f"{settings.name}, [forward_auth]: trusted: has to name {who}, or nobody can ask")
    known = [issuer.issuer for issuer in settings.issuers]
    if settings.signed_tokens is not None:
        known.append(settings.signed_tokens.issuer)
    twice = next((issuer for issuer in known if known.count(issuer) > 1), None)
    if twice is not None:
        top.wrong(
            "issuers", f"{twice} is there twice, [signed_tokens] included: an issuer's tokens are read in one way"
        )


def _store(top: Table, document: Document) -> tuple[str | None, str | None]:
    store, store_file = top.get("store", TEXT, None), top.get("store_file", TEXT, None)
    from_environment = document.variable("GUESTPASS_STORE") is not None
    if from_environment:
        return store, None
    if store is not None and store_file is not None:
        top.wrong("store_file", "there is store as well: drop one")
    if store is not None and has_password(store):
        top.wrong("store", "there is a password in it: put the URL into GUESTPASS_STORE, or into a store_file")
    return store, store_file


def _listen(top: Table) -> Listen:
    with top.table("listen") as table:
        path = table.get("socket", TEXT, None)
        if path is not None:
            for other in ("host", "port"):
                if other in table:
                    table.wrong(other, "there is a socket as well: drop one")
        elif "socket_mode" in table:
            table.wrong("socket_mode", "is for a socket")
        return Listen(
            host=table.get("host", TEXT, "127.0.0.1"),
            port=table.get("port", whole(0, 65_535), 9_000),
            socket=path,
            socket_mode=int(table.get("socket_mode", _PERMISSIONS, "660"), 8),
            workers=table.get("workers", whole(1, MAX_WORKERS), 1),
            access_log=table.get("access_log", FLAG, False),
        )


def _credentials(top: Table) -> Credentials:
    with top.table("credentials") as table:
        found = Credentials(
            secret_key_prefix=table.get("secret_key_prefix", _PREFIX, "sk"),
            publishable_key_prefix=table.get("publishable_key_prefix", _PREFIX, "pk"),
            client_secret_prefix=table.get("client_secret_prefix", _PREFIX, "cs"),
            checksum=table.get("checksum", FLAG, True),
        )
        if len({found.secret_key_prefix, found.publishable_key_prefix, found.client_secret_prefix}) < 3:
            table.refuse("two kinds of credential would begin alike, and nobody could tell them apart")
        return found


def _signed_tokens(top: Table) -> SignedTokens | None:
    if not top.has_table("signed_tokens"):
        return None
    with top.table("signed_tokens") as table:
        return SignedTokens(
            issuer=table.need("issuer", TEXT),
            audience=table.need("audience", TEXT),
            algorithm=table.get("algorithm", one_of(*ALGORITHMS), ALGORITHMS[0]),
            publish_ahead=table.get("publish_ahead", whole(0, MAX_LIFETIME), int(PUBLISH_AHEAD)),
            wrapping_key_file=table.get("wrapping_key_file", TEXT, None),
        )


def _forward_auth(top: Table) -> ForwardAuth | None:
    if not top.has_table("forward_auth"):
        return None
    with top.table("forward_auth") as table:
        return ForwardAuth(
            path=table.get("path", _PATH, "/_guestpass"),
            proxy=table.need("proxy", _PROXY),
            trusted=table.need("trusted", several(TEXT, least=1)),
            sockets=table.get("sockets", FLAG, False),
            root_path=table.get("root_path", TEXT, ""),
            preflight=table.get("preflight", _PREFLIGHT, "refuse"),
        )


def _issuing(top: Table) -> Issuing | None:
    if not top.has_table("issuing"):
        return None
    with top.table("issuing") as table:
        path = table.get("path", _BELOW, "/")
        return Issuing(prefix=path.rstrip("/"), allow_origins=table.get("allow_origins", several(ORIGIN), ()))


def _observe(top: Table) -> Observe:
    with top.table("observe") as table:
        found = Observe(log=table.get("log", FLAG, False), allowed=table.get("allowed", FLAG, False))
        if found.allowed and not found.log:
            table.wrong("allowed", "is for log = true")
        return found
