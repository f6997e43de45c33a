"""Headers to an upstream and back: tables, laws, and the page's endpoints between a real client and a real upstream.

The upstream is guarded by guestpass too, and lets in secret keys alone: it would take a leaked one for what it is.
"""

import asyncio
import gzip
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import starlette.datastructures
import werkzeug.datastructures
from hypothesis import given
from hypothesis import strategies as st

import snippets
from guestpass import ALL, ConfigurationError, Grant, NoPrincipal, Principal, Rule
from guestpass.asgi import GuardMiddleware, Receive, Scope, Send
from guestpass.identity_headers import identity_headers
from guestpass.proxying import downstream_headers, upstream_headers
from serving_here import WAIT, serving, serving_wsgi
from support import bearer, build

KEY = "sk_live_theserversown"
PAGE = Path(__file__).parent.parent / "docs" / "proxying.md"


def caller(*accounts: str) -> Principal:
    grant = Grant("plat", "live", accounts=frozenset(accounts))
    return Principal(kind="account_session", subject="s", grant=grant, credential_id="as_1")


ANN = caller("acct_1")
OURS = [("Authorization", f"Bearer {KEY}"), ("Account-Id", "acct_1")]

KEPT = (
    "Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language", "Cache-Control", "Content-Digest",
    "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Range", "Content-Type", "DNT", "Date",
    "Idempotency-Key", "If-Match", "If-Modified-Since", "If-None-Match", "If-Range", "If-Unmodified-Since",
    "Last-Event-ID", "Link", "Pragma", "Prefer", "Priority", "Range", "Traceparent", "Tracestate", "User-Agent",
    "Want-Digest", "X-Correlation-Id", "X-Custom", "X-Idempotency-Key", "X-Request-Id", "X-Requested-With",
    "X-Keyboard", "Hosting", "Expected", "Text", "Viable", "Dated", "Upgrade-Insecure-Requests", "X-Relationship",
    "Originator", "Tee",
)  # fmt: skip

DROPPED = (
    "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Foo", "Proxy",
    "TE", "Trailer", "Transfer-Encoding", "Upgrade", "HTTP2-Settings", "Host", "Content-Length", "Expect", "Alt-Used",
    "Authorization", "Cookie", "Cookie2", "DPoP", "Sec-WebSocket-Protocol", "Sec-WebSocket-Key", "X-Api-Key",
    "Api-Key", "ApiKey", "X-APIKEY", "X-Auth-Token", "X-Access-Token", "X-CSRF-Token", "PRIVATE-TOKEN",
    "X-Amz-Security-Token", "X-Goog-Api-Key", "Ocp-Apim-Subscription-Key", "X-Functions-Key", "X-Authorization",
    "X-Client-Secret", "X-Password", "X-Vault-Token", "X-Xsrftoken", "X-Shopify-Access-Token", "Guestpass-Account",
    "Guestpass-Kind", "guestpass-anything", "GUESTPASS", "GuestpassAccount", "Account-Id", "AccountId", "Account",
    "account-id", "X-Account-Id", "Stripe-Account", "DialStack-Account", "X-Tenant", "X-Tenant-Id",
    "OpenAI-Organization", "X-Organisation", "Remote-User", "X-Remote-User", "X-User", "X-User-Id", "X-Username",
    "Impersonate-User", "X-Forwarded-User", "X-Auth-Request-User", "Client-Cert", "X-Client-Cert",
    "X-Forwarded-Client-Cert", "X-Ms-Client-Principal", "Cf-Access-Jwt-Assertion", "X-Amzn-Oidc-Data", "Forwarded",
    "Via", "X-Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix",
    "X-Real-IP", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP", "X-Cluster-Client-IP", "X-Host",
    "X-Envoy-Original-Path", "X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override", "X-HTTP-Method",
    "X-Method-Override", "X-Accel-Internal", "Max-Forwards", "Origin", "Referer", "Sec-Fetch-Site", "Sec-Fetch-Mode",
    "Sec-CH-UA", "Access-Control-Request-Method", "X_Request_Id", "Account_Id", "X.Api.Key", "Guestpass_Account",
)  # fmt: skip


def sent_on(*headers: tuple[str, str], **settings: Any) -> list[tuple[str, str]]:
    return [one for one in upstream_headers(ANN, list(headers), api_key=KEY, **settings) if one not in OURS]


@pytest.mark.parametrize("name", KEPT)
def test_what_says_nothing_of_who_is_calling_goes_on(name: str) -> None:
    for spelled in (name, name.lower(), name.upper()):
        assert sent_on((spelled, "x"), (spelled, "y")) == [(spelled, "x"), (spelled, "y")]


@pytest.mark.parametrize("name", DROPPED)
def test_what_does_never_goes_on(name: str) -> None:
    for spelled in (name, name.lower(), name.upper(), name.swapcase(), name.replace("-", "_")):
        assert sent_on((spelled, "x")) == []


def test_the_key_and_the_account_come_in_once() -> None:
    forged = [("Authorization", "Bearer x"), ("account-id", "acct_2"), ("Accept", "*/*")]
    assert upstream_headers(ANN, forged, api_key=KEY) == [("Accept", "*/*"), *OURS]
    made = upstream_headers(ANN, [("dialstack-account", "acct_2")], api_key=KEY, account_header="DialStack-Account")
    assert made == [OURS[0], ("DialStack-Account", "acct_1")]
    made = upstream_headers(ANN, [("X-Whose", "2"), ("XWhose", "2")], api_key=KEY, account_header="X-Whose")
    assert made == [OURS[0], ("X-Whose", "acct_1")]


def test_identity_headers_come_in_where_they_are_asked_for() -> None:
    made = upstream_headers(ANN, [("Guestpass-Subject", "admin")], api_key=KEY, identity=True)
    assert made == [*OURS, *identity_headers(ANN)]
    nobody = upstream_headers(None, [], api_key=KEY, identity=True, without_account=True)
    assert nobody == [OURS[0], *identity_headers(None)]


def test_what_connection_names_is_about_the_connection() -> None:
    headers = [
        ("Connection", "close, X-One ,"),
        ("connection", "\tx-two"),
        ("X-One", "1"),
        ("X-Two", "2"),
        ("X-Three", "3"),
        ("Close", "4"),
    ]
    assert sent_on(*headers) == [("X-Three", "3")]
    # Naming what comes in takes nothing away.
    assert upstream_headers(ANN, [("Connection", "Authorization, Account-Id")], api_key=KEY) == OURS


@pytest.mark.parametrize(
    ("headers", "length"),
    [
        ([("Content-Length", "5")], "5"),
        ([("content-length", " 5 ")], "5"),
        ([("Content-Length", "5"), ("Content-Length", "5")], None),
        ([("Content-Length", "5, 5")], None),
        ([("Content-Length", "+5")], None),
        ([("Content-Length", "-5")], None),
        ([("Content-Length", "\u0665".encode().decode("latin-1"))], None),
        ([("Content-Length", "")], None),
        ([("Content-Length", "5"), ("Transfer-Encoding", "chunked")], None),
        ([("Content-Length", "5"), ("Connection", "content-length")], None),
        ([], None),
    ],
)
def test_a_length_goes_on_where_it_is_asked_for_and_beyond_doubt(
    headers: list[tuple[str, str]], length: str | None
) -> None:
    asked = [] if length is None else [("Content-Length", length)]
    assert sent_on(*headers, content_length=True) == asked
    assert downstream_headers(headers, content_length=True) == asked
    assert sent_on(*headers) == []
    assert downstream_headers(headers) == []


def test_only_what_is_named_goes_on() -> None:
    headers = [("Accept", "1"), ("X-User-Locale", "2"), ("X-Custom", "3"), ("Content-Length", "4"), ("Cookie", "5")]
    assert sent_on(*headers, only={"ACCEPT", "x-user-locale"}) == [("Accept", "1"), ("X-User-Locale", "2")]
    assert sent_on(*headers, only=[]) == []
    assert sent_on(*headers, only=[], content_length=True) == [("Content-Length", "4")]
    # What Connection names is not saved by being named here.
    assert sent_on(("Connection", "accept"), ("Accept", "1"), only=["Accept"]) == []


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "cookie",
        "DPoP",
        "Guestpass-Kind",
        "Account-Id",
        "accountid",
        "Connection",
        "te",
        "Host",
        "Content-Length",
        "a_b",
        "-",
    ],
)
def test_some_can_never_be_named(name: str) -> None:
    with pytest.raises(ConfigurationError, match="never goes on"):
        upstream_headers(ANN, [], api_key=KEY, only=[name])


def test_a_lone_name_is_no_set_of_names() -> None:
    with pytest.raises(ConfigurationError, match=r"only=\{'Accept'\}"):
        upstream_headers(ANN, [], api_key=KEY, only="Accept")


def test_nobody_and_who_has_no_account_are_told_what_to_do() -> None:
    with pytest.raises(NoPrincipal, match="without_account=True"):
        upstream_headers(None, [], api_key=KEY)
    everybody = Principal(
        kind="secret_key", subject="", grant=Grant("plat", "live", accounts=ALL), credential_id="key_1"
    )
    for one in (caller(), caller("acct_1", "acct_2"), everybody):
        with pytest.raises(ConfigurationError, match="drop account=False"):
            upstream_headers(one, [], api_key=KEY)
        assert upstream_headers(one, [("Account-Id", "acct_1")], api_key=KEY, without_account=True) == [OURS[0]]
    # Who has one is held to it all the same.
    assert upstream_headers(ANN, [], api_key=KEY, without_account=True) == OURS


@pytest.mark.parametrize("account", ["acct_1\r\nX: y", "acct 1", "", "-", "ä", "a" * 129])
def test_what_is_no_accounts_id_is_not_sent_as_one(account: str) -> None:
    with pytest.raises(ConfigurationError, match="no account's id"):
        upstream_headers(caller(account), [], api_key=KEY)


@pytest.mark.parametrize("key", ["", "sk_live_x\n", " sk", "a b", "sk\r\nX: y", "schlüssel", "x\0", None])
def test_a_key_that_no_header_can_have_is_named_without_being_shown(key: Any) -> None:
    with pytest.raises(ConfigurationError, match="api_key") as told:
        upstream_headers(ANN, [], api_key=key)
    assert not key or str(key).strip() not in str(told.value)


@pytest.mark.parametrize(
    "name", ["", "A B", "A_B", "Authorization", "Host", "Guestpass-Account", "Cookie", "X\r\nY", "te"]
)
def test_an_account_header_is_one_of_its_own(name: str) -> None:
    with pytest.raises(ConfigurationError, match="account_header"):
        upstream_headers(ANN, [], api_key=KEY, account_header=name)


@pytest.mark.parametrize("value", ["a\r\nb", "a\nb", "a\rb", "a\0b", "\x7f", "\x0b", "a\n", "\u0100"])
def test_a_value_with_a_line_end_is_refused(value: str) -> None:
    for name in ("X-Custom", "Cookie", "Connection"):
        with pytest.raises(ValueError, match="control character"):
            upstream_headers(ANN, [(name, value)], api_key=KEY)
        with pytest.raises(ValueError, match="control character"):
            downstream_headers([(name, value)])


def test_a_refused_value_is_not_quoted() -> None:
    with pytest.raises(ValueError, match="'Cookie'") as told:
        upstream_headers(ANN, [("Cookie", "secret\n")], api_key=KEY)
    assert "secret" not in str(told.value)


def test_headers_are_taken_as_every_framework_has_them() -> None:
    pairs = [("accept", "1"), ("x-custom", "2"), ("x-custom", "\xe9"), ("cookie", "3")]
    raw = [(name.encode(), value.encode("latin-1")) for name, value in pairs]
    expected = [*pairs[:3], *OURS]
    for given_ in (
        pairs,
        iter(pairs),
        raw,
        [list(pair) for pair in raw],
        starlette.datastructures.Headers(raw=raw),
        starlette.datastructures.Headers(raw=raw).raw,
        httpx.Headers(raw).raw,
    ):
        assert upstream_headers(ANN, given_, api_key=KEY) == expected  # type: ignore[arg-type]
    named = [
        (name.lower(), value)
        for name, value in upstream_headers(ANN, werkzeug.datastructures.Headers(pairs), api_key=KEY)
    ]
    assert named[:3] == pairs[:3]
    assert upstream_headers(ANN, {"Accept": "1"}, api_key=KEY) == [("Accept", "1"), *OURS]


DROPPED_FROM_ANSWERS = (
    "Connection", "Keep-Alive", "Proxy-Authenticate", "Transfer-Encoding", "Trailer", "Upgrade", "Content-Length",
    "Alt-Svc", "Set-Cookie", "Set-Cookie2", "WWW-Authenticate", "Authentication-Info", "Access-Control-Allow-Origin",
    "Access-Control-Expose-Headers", "Strict-Transport-Security", "Public-Key-Pins", "Expect-CT", "Clear-Site-Data",
    "Service-Worker-Allowed", "NEL", "Report-To", "Reporting-Endpoints", "X-Accel-Redirect", "X-Accel-Buffering",
    "X-Sendfile", "X-Lighttpd-Send-File", "X-Reproxy-URL", "Surrogate-Control", "CDN-Cache-Control",
    "Cloudflare-CDN-Cache-Control", "Guestpass-Account", "Server", "Date", "Via", "X_Odd",
)  # fmt: skip
KEPT_OF_ANSWERS = (
    "Content-Type", "Content-Encoding", "Content-Disposition", "Content-Range", "Cache-Control", "ETag",
    "Last-Modified", "Expires", "Age", "Vary", "Link", "Location", "Retry-After", "RateLimit",
    "X-RateLimit-Remaining", "X-Request-Id", "Accept-Ranges", "Allow", "Content-Security-Policy", "Serverless",
    "Dated", "Viability", "Te-X", "Idempotency-Key", "X-Content-Type-Options",
)  # fmt: skip


@pytest.mark.parametrize("name", DROPPED_FROM_ANSWERS)
def test_what_the_upstream_says_for_itself_stays_there(name: str) -> None:
    for spelled in (name, name.lower(), name.upper()):
        assert downstream_headers([(spelled, "x")]) == []


@pytest.mark.parametrize("name", KEPT_OF_ANSWERS)
def test_what_it_says_of_its_answer_comes_back(name: str) -> None:
    assert downstream_headers([(name, "x"), (name, "y")]) == [(name, "x"), (name, "y")]
    assert downstream_headers([(name, "x"), ("Connection", name)]) == []


# Laws.

HOP_BY_HOP = (
    "connection", "keepalive", "proxyauthenticate", "proxyauthorization", "proxyconnection", "te", "trailer",
    "transferencoding", "upgrade",
)  # fmt: skip
CARRIERS = (
    "authorization", "cookie", "cookie2", "secwebsocketprotocol", "xapikey", "apikey", "xauthtoken", "host",
    "accountid",
)  # fmt: skip
FORGED = (
    "forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "x-original-url",
    "x-http-method-override", "origin", "sec-fetch-site", "remote-user",
)  # fmt: skip


@st.composite
def spellings(draw: st.DrawFn) -> str:
    """A name of these tables as somebody might write it who wants it through."""
    name = draw(st.sampled_from((*DROPPED, *KEPT)))
    case = draw(st.sampled_from(("lower", "upper", "title", "swapcase", "strip")))
    between = draw(st.sampled_from(("-", "_", "", ".", " ", "--")))
    around = draw(st.sampled_from(("", " ", "\t", "_", "-", "\xa0", ":")))
    spelled: str = getattr(name, case)().replace("-", between)
    return draw(st.sampled_from((spelled, around + spelled, spelled + around)))


values = st.text(st.characters(min_codepoint=0, max_codepoint=255), max_size=20)
clean = values.map(lambda text: re.sub(r"[\x00-\x08\x0a-\x1f\x7f]", "", text))
connections = st.lists(spellings(), max_size=3).map(lambda names: ", ".join(names).replace("\x09", " "))
headers = st.lists(
    st.one_of(
        st.tuples(spellings(), clean),
        st.tuples(st.sampled_from(("Connection", "connection")), connections),
        st.tuples(st.text("abAB-_ \xe9", max_size=6), clean),
    ),
    max_size=8,
)


def squeezed(name: str) -> str:
    """A name as the most careless of servers might read it."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


@given(headers, st.booleans(), st.one_of(st.none(), st.lists(st.sampled_from(KEPT))))
def test_nothing_goes_on_that_could_speak_for_somebody_else(
    given_: list[tuple[str, str]], length: bool, only: list[str] | None
) -> None:
    made = upstream_headers(ANN, given_, api_key=KEY, content_length=length, only=only)
    assert made[-2:] == OURS
    connection = [value for name, value in given_ if name.lower() == "connection"]
    named = {option.strip(" \t").lower() for value in connection for option in value.split(",")}
    for name, value in made[:-2]:
        flat = squeezed(name)
        assert re.fullmatch(r"[A-Za-z0-9-]+", name)
        assert not re.search(r"[\r\n\0]", value)
        assert flat not in (*HOP_BY_HOP, *CARRIERS, *FORGED, "host", "accountid")
        assert not flat.startswith(("guestpass", "proxy"))
        assert name.lower() not in {
            one.strip(" \t").lower() for n, v in given_ if n.lower() == "connection" for one in v.split(",")
        }
        assert flat != "contentlength" or (length and flat not in named)
        assert (name, value) in [(n, v.strip(" \t")) for n, v in given_] or flat == "contentlength"
        assert only is None or name.lower() in {one.lower() for one in only} | {"content-length"}


@given(headers)
def test_nothing_comes_back_that_is_about_the_connection(given_: list[tuple[str, str]]) -> None:
    for name, _ in downstream_headers(given_):
        assert squeezed(name) not in (*HOP_BY_HOP, "setcookie", "wwwauthenticate", "contentlength")
        assert not squeezed(name).startswith("guestpass")


@given(st.lists(st.tuples(spellings(), values), min_size=1, max_size=3))
def test_control_characters_are_refused_wherever_they_stand(given_: list[tuple[str, str]]) -> None:
    if any(re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value) for _, value in given_):
        with pytest.raises(ValueError, match="control character"):
            upstream_headers(ANN, given_, api_key=KEY)
    else:
        upstream_headers(ANN, given_, api_key=KEY)


@given(headers)
def test_bytes_and_text_are_the_same(given_: list[tuple[str, str]]) -> None:
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in given_]
    assert upstream_headers(ANN, raw, api_key=KEY) == upstream_headers(ANN, given_, api_key=KEY)
    assert downstream_headers(raw) == downstream_headers(given_)


# The endpoints of the page.


class Upstream:
    """An API with an account in a header, for backends with a secret key; some of its addresses are slow or break."""

    def __init__(self) -> None:
        self.house = build(
            [Rule("GET,POST,PUT,PATCH,DELETE /v2/calls/{rest...}", component="call_logs", kinds={"secret_key"})]
        )
        self.key = self.house.key()
        self.app = GuardMiddleware(self.serve, self.house.guard)
        self.asked: list[Scope] = []
        self.received = threading.Semaphore(0)
        self.cut = threading.Semaphore(0)
        self.gone = threading.Semaphore(0)
        self.go_on = threading.Event()

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        self.asked.append(scope)
        address = scope["path"].rpartition("/")[2]
        await getattr(self, address, self.echo)(scope, receive, send)

    async def echo(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.cut.release()
                return
            body, more = body + message["body"], message["more_body"]
            if message["body"]:
                self.received.release()
        said = {
            "method": scope["method"],
            "target": (scope["raw_path"] + b"?" + scope["query_string"]).decode(),
            "headers": [[name.decode(), value.decode("latin-1")] for name, value in scope["headers"]],
            "account": scope["principal"].account,
            "kind": scope["principal"].kind,
            "length": len(body),
        }
        answer = json.dumps(said).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(answer)).encode()),
            (b"set-cookie", b"upstream=1"),
            (b"x-accel-redirect", b"/internal"),
            (b"access-control-allow-origin", b"*"),
            (b"link", b"</a>; rel=next"),
            (b"link", b"</b>; rel=prev"),
            (b"connection", b"x-hop"),
            (b"x-hop", b"1"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def slow(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One line, then another when it is told to go on."""
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"one\n", "more_body": True})
        await asyncio.to_thread(self.go_on.wait, WAIT)
        await send({"type": "http.response.body", "body": b"two\n"})

    async def endless(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lines without end, until the client is gone."""
        gone = asyncio.ensure_future(self._disconnected(receive))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        while not gone.done():
            await send({"type": "http.response.body", "body": b"line\n" * 1_000, "more_body": True})
            await asyncio.sleep(0)
        self.gone.release()

    async def quiet(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One line, then nothing, until the client is gone."""
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"one\n", "more_body": True})
        await self._disconnected(receive)
        self.gone.release()

    async def broken(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Less than was promised."""
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise ConnectionAbortedError("on purpose")

    async def mute(self, scope: Scope, receive: Receive, send: Send) -> None:
        """No answer at all."""
        await self._disconnected(receive)

    async def refusing(self, scope: Scope, receive: Receive, send: Send) -> None:
        status = int(dict(scope["headers"])[b"x-status"])
        headers = [(b"www-authenticate", b'Bearer error="invalid_token"'), (b"retry-after", b"7")]
        headers.append((b"location", b"/v2/calls/echo"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if status in (204, 304) else b"no"})

    async def zipped(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Compressed where that is asked for."""
        asked = dict(scope["headers"])[b"accept-encoding"]
        headers = [(b"content-type", b"text/plain"), (b"x-asked", asked)]
        body = b"a" * 10_000
        if b"gzip" in asked:
            headers.append((b"content-encoding", b"gzip"))
            body = gzip.compress(body)
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _disconnected(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass


class Proxies:
    """The page's two applications, the upstream behind them, and what a page's script would send."""

    def __init__(self, upstream: Upstream, made: dict[str, Any]) -> None:
        self.upstream = upstream
        self._made = made
        keys, sessions = made["keys"], made["sessions"]
        guard = made["Guard"](authenticators=[keys, sessions], policy=made["policy"], mode="live")
        minter = guard.check(keys.create(platform="plat", mode="live").secret)
        self.session: str = sessions.create(by=minter, account="acct_1").client_secret
        self.headers = {**bearer(self.session), "Origin": "https://app.example", "Sec-Fetch-Site": "cross-site"}

    @contextmanager
    def serving(self, door: str, **settings: Any) -> Iterator[httpx.Client]:
        """A client of one of them; `settings` are those of its own HTTP client."""
        with pytest.MonkeyPatch.context() as patch:
            if door == "FastAPI":
                patch.setitem(self._made, "CLIENT", {**self._made["CLIENT"], **settings})
            else:
                for name, value in settings.items():
                    patch.setattr(self._made["client"], name, value)
            running: AbstractContextManager[str] = (
                serving(self._made["app"]) if door == "FastAPI" else serving_wsgi(self._made["web"])
            )
            with running as url, httpx.Client(base_url=url, headers=self.headers, timeout=WAIT) as client:
                yield client


@pytest.fixture(scope="module")
def proxies() -> Iterator[Proxies]:
    upstream = Upstream()
    with serving(upstream.app) as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("UPSTREAM_URL", url)
        patch.setenv("UPSTREAM_API_KEY", upstream.key)
        made = snippets.run(PAGE, "proxying_page")
        with made["client"]:
            yield Proxies(upstream, made)


@pytest.fixture(scope="module", params=["FastAPI", "Flask"])
def door(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def web(proxies: Proxies, door: str) -> Iterator[httpx.Client]:
    with proxies.serving(door) as client:
        yield client


def test_the_upstream_sees_the_servers_key_and_the_callers_account(proxies: Proxies, web: httpx.Client) -> None:
    forged = {"X-Account-Id": "acct_2", "X-Forwarded-For": "10.0.0.1", "Cookie": "a=b", "X-Request-Id": "r1"}
    answer = web.get("/v1/calls/echo?page=2&x=%2F", headers=forged)
    assert answer.status_code == 200
    said = answer.json()
    assert (said["kind"], said["account"]) == ("secret_key", "acct_1")
    assert (said["method"], said["target"]) == ("GET", "/v2/calls/echo?page=2&x=%2F")
    sent = [(name.lower(), value) for name, value in said["headers"]]
    assert [value for name, value in sent if name == "authorization"] == [f"Bearer {proxies.upstream.key}"]
    assert ("x-request-id", "r1") in sent
    assert proxies.session not in answer.text
    assert not {"cookie", "origin", "sec-fetch-site", "x-forwarded-for"} & {name for name, _ in sent}


def test_what_the_upstream_says_for_itself_does_not_come_back(web: httpx.Client) -> None:
    answer = web.get("/v1/calls/echo")
    assert not {"set-cookie", "x-accel-redirect", "access-control-allow-origin", "x-hop"} & set(answer.headers)
    assert answer.headers.get_list("link") == ["</a>; rel=next", "</b>; rel=prev"]
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["vary"] == "Authorization"
    assert len(answer.headers.get_list("date")) == len(answer.headers.get_list("server")) == 1


def test_another_accounts_session_is_another_account(proxies: Proxies, web: httpx.Client) -> None:
    assert web.get("/v1/calls/echo", headers={"Account-Id": "acct_2"}).json()["code"] == "account_mismatch"
    assert web.get("/v1/calls/echo", headers={"Authorization": ""}).status_code == 401


def test_what_was_judged_is_what_is_asked_for(web: httpx.Client) -> None:
    for path in ("a%3Fb/echo", "a%23b/echo", "a%2541/echo", "%C3%A9/echo", "a%20b/echo", "a+b@c:d/echo"):
        said = web.get(f"/v1/calls/{path}").json()
        assert httpx.URL("http://x" + said["target"]).path == httpx.URL(f"http://x/v2/calls/{path}").path
        assert said["target"].count("%") >= path.count("%")
    for path in ("a/%2e%2e/echo", "a%2Fecho", "/echo", "%25%32e/echo/%252e%252e/x"):
        raw = web.build_request("GET", "/v1/calls/")
        raw.url = raw.url.copy_with(raw_path=f"/v1/calls/{path}".encode())
        assert web.send(raw).json()["code"] == "path_ambiguous"


def test_a_body_goes_on_as_it_comes(proxies: Proxies, web: httpx.Client) -> None:
    received = proxies.upstream.received
    while received.acquire(blocking=False):
        pass

    def chunks() -> Iterator[bytes]:
        for number in range(3):
            yield b"x" * (70_000 + number)
            # The next one is not sent before the upstream has some of this one.
            assert received.acquire(timeout=WAIT)

    said = web.post("/v1/calls/echo", content=chunks()).json()
    assert (said["method"], said["length"]) == ("POST", 210_003)
    assert ["transfer-encoding", "chunked"] in said["headers"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_body_whose_length_is_known_keeps_it(web: httpx.Client, method: str) -> None:
    said = web.request(method, "/v1/calls/echo", content=b"x" * 200_000).json()
    assert (said["method"], said["length"]) == (method, 200_000)
    lengths = [value for name, value in said["headers"] if name == "content-length"]
    assert lengths == ["200000"]
    assert "transfer-encoding" not in dict(said["headers"])


def test_a_body_that_breaks_off_never_ends_as_if_it_were_whole(proxies: Proxies, web: httpx.Client) -> None:
    received, cut = proxies.upstream.received, proxies.upstream.cut

    def most_of_it() -> Iterator[bytes]:
        yield b"x" * 70_000
        assert received.acquire(timeout=WAIT)
        raise ConnectionAbortedError("on purpose")

    while received.acquire(blocking=False):
        pass
    for headers in ({"Content-Length": "80000"}, {}):
        with pytest.raises(ConnectionAbortedError):
            web.post("/v1/calls/echo", headers=headers, content=most_of_it())
        assert cut.acquire(timeout=WAIT)


def test_an_answer_comes_as_it_is_sent(proxies: Proxies, web: httpx.Client) -> None:
    proxies.upstream.go_on.clear()
    with web.stream("GET", "/v1/calls/slow") as answer:
        lines = answer.iter_lines()
        assert next(lines) == "one"
        proxies.upstream.go_on.set()
        assert list(lines) == ["two"]


def test_a_caller_who_goes_takes_the_upstreams_answer_along(proxies: Proxies, door: str, web: httpx.Client) -> None:
    # Over WSGI nobody learns that a caller has gone before the next bytes are for them.
    for address in ("quiet", "endless") if door == "FastAPI" else ("endless",):
        with web.stream("GET", f"/v1/calls/{address}") as answer:
            next(answer.iter_bytes())
        assert proxies.upstream.gone.acquire(timeout=WAIT)


def test_an_answer_that_breaks_off_never_ends_as_if_it_were_whole(web: httpx.Client) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        web.get("/v1/calls/broken")
    assert web.get("/v1/calls/echo").status_code == 200


@pytest.mark.parametrize("status", [401, 403, 407])
def test_a_refusal_of_the_servers_key_is_no_refusal_of_the_caller(web: httpx.Client, status: int) -> None:
    answer = web.get("/v1/calls/refusing", headers={"X-Status": str(status)})
    assert answer.status_code == 502
    assert "www-authenticate" not in answer.headers


@pytest.mark.parametrize("status", [204, 206, 304, 307, 404, 429, 500, 503])
def test_other_statuses_are_the_callers(web: httpx.Client, status: int) -> None:
    answer = web.get("/v1/calls/refusing", headers={"X-Status": str(status)})
    assert (answer.status_code, answer.headers["retry-after"]) == (status, "7")
    assert answer.text == ("" if status in (204, 304) else "no")
    assert answer.headers["location"] == "/v2/calls/echo"
    assert "www-authenticate" not in answer.headers


def test_what_is_compressed_comes_back_so_and_only_where_the_caller_asked(web: httpx.Client) -> None:
    answer = web.get("/v1/calls/zipped", headers={"Accept-Encoding": "gzip"})
    assert (answer.headers["content-encoding"], answer.headers["x-asked"], len(answer.content)) == (
        "gzip",
        "gzip",
        10_000,
    )
    asked = web.build_request("GET", "/v1/calls/zipped")
    del asked.headers["Accept-Encoding"]
    answer = web.send(asked)
    assert (answer.headers["x-asked"], len(answer.content)) == ("identity", 10_000)
    assert "content-encoding" not in answer.headers


def test_an_upstream_that_does_not_answer_is_a_gateway_timeout(proxies: Proxies, door: str) -> None:
    with proxies.serving(door, timeout=httpx.Timeout(WAIT, read=0.1)) as web:
        assert web.get("/v1/calls/mute").status_code == 504


def test_an_upstream_out_of_reach_is_a_bad_gateway(proxies: Proxies, door: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with proxies.serving(door, base_url=nobody) as web:
        assert web.get("/v1/calls/echo").status_code == 502
        assert web.post("/v1/calls/echo", content=b"x").status_code == 502


def test_an_answer_without_a_type_is_given_none(web: httpx.Client) -> None:
    assert "content-type" not in web.get("/v1/calls/refusing", headers={"X-Status": "404"}).headers
