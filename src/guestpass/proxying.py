"""Headers for an endpoint that forwards a request to an upstream API, there and back.

Towards the upstream the server is a client of its own: it presents its own API key, and names the account that its
caller is held to. Nothing goes on by which a caller could speak for somebody else there, or present what was meant for
this server alone. Knows names and values of headers; the request itself is sent by an HTTP client.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final, TypeAlias, cast

from guestpass.errors import ConfigurationError, NoPrincipal
from guestpass.identity_headers import identity_headers
from guestpass.principal import Principal, is_account_id

HeaderItems: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]] | Iterable[tuple[bytes, bytes]]
"""Headers as frameworks have them: a mapping, or pairs of text, or of bytes (an ASGI scope's, httpx's ``raw``)."""

# Servers and proxies differ in which other names they take for the same one (`_` for `-`, above all), so that other
# names do not go on at all. nginx leaves them out too.
_NAME: Final = re.compile(r"[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*\Z")
# All but the tab: RFC 9110 section 5.5. A value with a line end is two headers to the next reader.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]")
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+\Z")
_LENGTH: Final = re.compile(r"[0-9]{1,19}\Z")


def _names(text: str, *, flat: bool = False) -> Callable[[str], bool]:
    """Whether a lower-case name is one of these, in which ``*`` stands for anything; `flat`, also without hyphens."""
    patterns = [re.escape(name).replace(r"\*", ".*") for name in (text.replace("-", "") if flat else text).split()]
    match = re.compile(f"(?:{'|'.join(patterns)})\\Z").match
    return (lambda name: match(name.replace("-", "")) is not None) if flat else lambda name: match(name) is not None


_hop_by_hop: Final = _names(
    """connection keep-alive proxy* te trailer trailers transfer-encoding upgrade http2-settings alt-svc alt-used
    content-length""",
    flat=True,
)
"""What is about one connection (RFC 9110 section 7.6.1), and the length of a body, which has rules of its own."""

_own: Final = _names("authorization cookie cookie2 dpop host expect guestpass* sec-websocket-*", flat=True)
"""What is between the caller and this server alone: it goes on under no circumstances."""

_doubtful: Final = _names(
    """origin referer sec-* access-control-*
    forwarded via x-forwarded x-forwarded-* *-ip *-ipv6 *-addr *-host x-envoy-* x-amzn-* x-amz-* x-goog-* x-ms-* cf-*
    x-original-* x-rewrite-* x-http-method* x-method-override x-accel-* max-forwards"""
)
"""What a proxy says of the request that it took in, and what overrides the method or the path that was judged: an
upstream may believe it, since it comes with the server's key. And what a browser says of its page: an API that finds it
beside a secret key has to take the key for leaked."""

_SPEAKS_FOR: Final = re.compile(
    r"""(?:^|-)(?:
        auth|oauth|authn|authz|authorization|authentication|authenticated|oidc|saml|jwt|cookie|cookies|cert|certificate
        |[a-z]*token|[a-z]*tokens|[a-z]*secret|[a-z]*password|passwd|passphrase|credential|credentials|assertion
        |principal|impersonate|identity|[a-z]*apikey|(?<!idempotency-)key
        |user(?!-agent)|userid|username|account[a-z]*|tenant[a-z]*|organi[sz]ation[a-z]*
    )(?:-|\Z)""",
    re.VERBOSE,
)
"""Words in a name by which it carries a credential, or says who is calling."""

_of_the_origin: Final = _names(
    """set-cookie set-cookie2 www-authenticate authentication-info access-control-* strict-transport-security
    public-key-pins public-key-pins-report-only expect-ct clear-site-data service-worker-allowed nel report-to
    reporting-endpoints x-accel-* x-sendfile x-lighttpd-* x-reproxy-* surrogate-* *cdn-cache-control guestpass*
    server date via"""
)
"""What an answer says for everything at its origin, of its own credentials, or to a proxy in front of it."""


def upstream_headers(
    principal: Principal | None,
    headers: HeaderItems,
    *,
    api_key: str,
    account_header: str = "Account-Id",
    without_account: bool = False,
    identity: bool = False,
    content_length: bool = False,
    only: Collection[str] | None = None,
) -> list[tuple[str, str]]:
    """The headers to send upstream with a request of `principal` that came with `headers`.

    Out go the headers of the connection and all that it names (RFC 9110 section 7.6.1), ``Host``, credentials, what
    looks like the guard's own headers, the account in any spelling, and what proxies and browsers say of where a
    request came from. In come ``Authorization: Bearer`` with the server's own `api_key`, and the account.

    - `account_header`: what the upstream calls the header that names the account.
    - `without_account`: allow a caller who has no account, or nobody at all: the upstream sees the key alone then.
    - `identity`: send the guard's identity headers too (see `guestpass.identity_headers`).
    - `content_length`: pass on the length of the body, because the body goes on byte for byte. Otherwise the HTTP
      client says how long what it sends is.
    - `only`: the only headers of the request that go on, even where their names look doubtful.

    Raises `NoPrincipal` where nobody is calling and `ConfigurationError` where the caller has no account, unless
    `without_account`; `ConfigurationError` for a setting that cannot work; and ValueError for a value with a line end
    or another control character, which no server should have let in.
    """
    _check(api_key, account_header)
    allowed = None if only is None else _read_only(only, account_header)
    account = _account_of(principal, allowed=without_account)

    def goes_on(name: str) -> bool:
        if allowed is not None:
            return name in allowed
        doubtful = _doubtful(name) or _SPEAKS_FOR.search(name) is not None
        return not (doubtful or _own(name) or _same(name, account_header))

    sent = [(name, value) for name, value in _end_to_end(headers, length=content_length) if goes_on(name.lower())]
    sent.append(("Authorization", f"Bearer {api_key}"))
    if account is not None:
        sent.append((account_header, account))
    if identity:
        sent += identity_headers(principal)
    return sent


def downstream_headers(headers: HeaderItems, *, content_length: bool = False) -> list[tuple[str, str]]:
    """The headers to answer with, of an upstream's answer that came with `headers`.

    Out go the headers of the connection and all that it names, and what the upstream says for its own origin: cookies,
    challenges, CORS, transport security, and orders to a proxy in front. `content_length`: pass on the length of the
    body, because the body goes on byte for byte. Raises ValueError as `upstream_headers` does.
    """
    return [
        (name, value) for name, value in _end_to_end(headers, length=content_length) if not _of_the_origin(name.lower())
    ]


def _end_to_end(headers: HeaderItems, *, length: bool) -> list[tuple[str, str]]:
    """`headers` without those of the connection; with ``Content-Length`` where it is asked for and beyond doubt."""
    pairs = [(name, _value(name, value)) for name, value in _pairs(headers)]
    named = {
        option.strip(" \t").lower()
        for name, value in pairs
        if name.lower() == "connection"
        for option in value.split(",")
    }
    left = [
        (name, value)
        for name, value in pairs
        if _NAME.match(name) and name.lower() not in named and not _hop_by_hop(name.lower())
    ]
    if length and "content-length" not in named:
        lengths = [value for name, value in pairs if name.lower() == "content-length"]
        coded = any(name.lower() == "transfer-encoding" for name, _ in pairs)
        if len(lengths) == 1 and _LENGTH.match(lengths[0]) and not coded:
            left.append(("Content-Length", lengths[0]))
    return left


def _pairs(headers: HeaderItems) -> Iterable[tuple[str, str]]:
    given = cast("Mapping[str, str]", headers).items() if isinstance(headers, Mapping) else headers
    for name, value in given:
        yield _text(name), _text(value)


def _text(given: str | bytes) -> str:
    return given if isinstance(given, str) else given.decode("latin-1")


def _value(name: str, value: str) -> str:
    if _CONTROL.search(value):
        raise ValueError(f"the header {name!r} has a control character in its value, or one beyond Latin-1: refuse it")
    return value.strip(" \t")


def _same(name: str, header: str) -> bool:
    return name.replace("-", "") == header.lower().replace("-", "")


def _read_only(only: Collection[str], account_header: str) -> frozenset[str]:
    if isinstance(only, str):
        raise ConfigurationError(f"upstream_headers(only={only!r}): a set of names: only={{{only!r}}}")
    for name in only:
        low = name.lower()
        if not _NAME.match(name) or _own(low) or _hop_by_hop(low) or _same(low, account_header):
            more = "; content_length=True passes the length on" if low == "content-length" else ""
            raise ConfigurationError(f"upstream_headers(only=…): {name!r} never goes on{more}")
    return frozenset(name.lower() for name in only) | {"content-length"}


def _check(api_key: str, account_header: str) -> None:
    if not isinstance(api_key, str) or not _VISIBLE.match(api_key):
        # Not shown: it may be a real one with a line end behind it.
        raise ConfigurationError(
            "upstream_headers(api_key=…): the key itself, visible ASCII without blanks or line ends: "
            "strip what was read from a file or the environment"
        )
    low = account_header.lower()
    if not _NAME.match(account_header) or _own(low) or _hop_by_hop(low):
        raise ConfigurationError(
            f'upstream_headers(account_header={account_header!r}): a header of its own, such as "Account-Id"'
        )


def _account_of(principal: Principal | None, *, allowed: bool) -> str | None:
    account = None if principal is None else principal.account
    if account is None:
        if allowed:
            return None
        if principal is None:
            raise NoPrincipal(
                "nobody is calling, so the upstream would see the API key alone, which may open every account: drop "
                "public=True from the rule of this endpoint, or say without_account=True"
            )
        raise ConfigurationError(
            f"this {principal.kind} is held to no one account, so the upstream would see the API key alone, which may "
            "open every account: drop account=False from the rule of this endpoint, or say without_account=True"
        )
    if not is_account_id(account):
        raise ConfigurationError("this caller's account is no account's id: see the authenticator that named it")
    return account
