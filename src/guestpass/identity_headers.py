"""Who is calling, as request headers for an upstream: names and values in one place.

Every header is there for every caller, ``-`` where there is nothing to say, so that a proxy that sets them all leaves
none that a stranger sent. Texts are percent-encoded (RFC 3986) but for letters, digits and ``._~@:/|-``; several names
stand in one value with commas between them, ``*`` for all names; times are Unix seconds; metadata is compact JSON in
base64url without padding. So a value is printable ASCII without blanks, reads back as it was, and no real one is ``-``.
"""

import json
import math
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, cast
from urllib.parse import quote, unquote_to_bytes

from guestpass.grants import ALL, Grant, Names
from guestpass.principal import NO_METADATA, Principal
from guestpass.strict_json import decode_object
from guestpass.values import FrozenDict, frozen

NOTHING: Final = "-"
EVERYTHING: Final = "*"

MAX_IDENTITY: Final = 14_336
"""Bytes of all values together: a signed token with the most metadata there may be fits, and so do the buffers and
the limits of the usual proxies and servers."""

IDENTITY_HEADERS: Final = tuple(
    f"Guestpass-{name}"
    for name in (
        "Kind", "Platform", "Account", "Subject", "Issuer", "Credential-Id", "Minted-By", "Components", "Roles", "Mode",
        "Expires-At", "Metadata",
    )
)  # fmt: skip
"""Every name, in the order in which `identity_headers` has them."""


def identity_headers(principal: Principal | None) -> list[tuple[str, str]]:
    """Every identity header with its value; all of them ``-`` where there is nobody.

    `Guestpass-Account` is the one account that the caller is held to, ``-`` where there are none or several. Raises
    ValueError for a principal that does not fit into headers: more than `MAX_IDENTITY` bytes, or metadata that is no
    JSON.
    """
    if principal is None:
        return [(name, NOTHING) for name in IDENTITY_HEADERS]
    grant = principal.grant
    values = (
        _text(principal.kind),
        _text(grant.platform),
        _text(principal.account or ""),
        _text(principal.subject),
        _text(principal.issuer),
        _text(principal.credential_id),
        _text(principal.minted_by),
        _names(grant.components),
        _names(grant.roles),
        grant.mode,
        NOTHING if grant.expires_at == math.inf else str(math.floor(grant.expires_at)),
        _metadata(principal.metadata),
    )
    size = sum(map(len, values))
    if size > MAX_IDENTITY:
        raise ValueError(f"the identity of a {principal.kind} would take {size} bytes of headers, over {MAX_IDENTITY}")
    return list(zip(IDENTITY_HEADERS, values, strict=True))


def read_identity_headers(headers: Iterable[tuple[str | bytes, str | bytes]]) -> Principal | None:
    """Who is calling, for an upstream that nobody can reach but through the proxy; None on a public route.

    The principal has the one account of `Guestpass-Account`, or none. Raises ValueError where an identity header is
    missing, stands there twice, or is not as `identity_headers` writes it: then the proxy does not set it.
    """
    known = {name.lower(): name for name in IDENTITY_HEADERS}
    found: dict[str, str] = {}
    for given, sent in headers:
        name = known.get(_native(given).lower().replace("_", "-"))
        if name is None:
            continue
        if name in found:
            raise ValueError(f"{name} stands there twice: the proxy has to replace what a client sends")
        found[name] = _native(sent)
    for name in IDENTITY_HEADERS:
        if name not in found:
            raise ValueError(f"{name} is missing: the proxy has to set it, as in the example configuration")
    if set(found.values()) == {NOTHING}:
        return None
    principal = _principal(*(found[name] for name in IDENTITY_HEADERS))
    # Of several spellings of one value only ours counts.
    if dict(identity_headers(principal)) != found:
        raise ValueError("the identity headers are not as guestpass writes them")
    return principal


def _principal(
    kind: str, platform: str, account: str, subject: str, issuer: str, credential_id: str, minted_by: str,
    components: str, roles: str, mode: str, expires_at: str, metadata: str,
) -> Principal:  # fmt: skip
    if kind == NOTHING:
        raise ValueError("Guestpass-Kind is not that of any caller")
    grant = Grant(
        platform=_read_text(platform),
        mode="live" if mode == "live" else "test",
        accounts=frozenset({_read_text(account)} - {""}),
        components=_read_names(components),
        roles=_read_names(roles),
        expires_at=math.inf if expires_at == NOTHING else int(expires_at),
    )
    return Principal(
        kind=_read_text(kind),
        subject=_read_text(subject),
        grant=grant,
        credential_id=_read_text(credential_id),
        issuer=_read_text(issuer),
        minted_by=_read_text(minted_by),
        metadata=_read_metadata(metadata),
    )


def _native(text: str | bytes) -> str:
    return text if isinstance(text, str) else text.decode("latin-1")


def _text(text: str) -> str:
    # `+` is not left as it is: some decoders make a blank of it.
    encoded = quote(text, safe="@:/|", errors="surrogatepass")
    return "%2D" if encoded == NOTHING else encoded or NOTHING


def _read_text(value: str) -> str:
    return "" if value == NOTHING else unquote_to_bytes(value).decode("utf-8", "surrogatepass")


def _names(names: Names) -> str:
    return EVERYTHING if names is ALL else ",".join(map(_text, sorted(names))) or NOTHING


def _read_names(value: str) -> Names:
    if value == EVERYTHING:
        return ALL
    return frozenset() if value == NOTHING else frozenset(map(_read_text, value.split(",")))


def _metadata(metadata: Mapping[str, object]) -> str:
    if not metadata:
        return NOTHING
    try:
        written = json.dumps(metadata, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_plain)
    except TypeError as problem:
        raise ValueError(f"the metadata is no JSON: {problem}") from None
    return urlsafe_b64encode(written.encode()).decode().rstrip("=")


def _plain(value: object) -> object:
    if isinstance(value, MappingProxyType):
        return dict(cast("Mapping[str, object]", value))
    raise TypeError(f"{type(value).__name__} is none")


def _read_metadata(value: str) -> Mapping[str, object]:
    if value == NOTHING:
        return NO_METADATA
    return cast("FrozenDict", frozen(decode_object(urlsafe_b64decode(value + "=" * (-len(value) % 4)))))
