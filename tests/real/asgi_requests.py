"""The table of requests that `test_asgi_servers` sends under every server: data alone.

Beside a row stands what some servers answer otherwise, most often by themselves and before any application. In what is
sent ``|`` stands for the end of a line, and a name in braces for a credential or an account.
"""

from collections.abc import Mapping
from typing import TypeAlias

Seen: TypeAlias = tuple[int, str]
"""A status, and who it comes from: the code of the guard's refusal, the application, or the server."""

Row: TypeAlias = tuple[str, Seen, Mapping[str, Seen]]
"""What is sent, what is answered, and what those servers answer instead that are named."""

LET_IN: Seen = (200, "let in")
ITS_OWN: Seen = (400, "the server's own")
AMBIGUOUS: Seen = (400, "path_ambiguous")
MALFORMED: Seen = (400, "credential_malformed")
NOBODY: Seen = (401, "credential_missing")
NOWHERE: Seen = (404, "rule_missing")
OTHER_ACCOUNT: Seen = (403, "account_mismatch")


def rows(seen: Seen, *sent: str, but: Mapping[str, Seen] | None = None) -> list[Row]:
    """Rows that are answered alike."""
    return [(one, seen, but or {}) for one in sent]


def at(*servers: str, seen: Seen = ITS_OWN) -> dict[str, Seen]:
    """What these servers answer."""
    return dict.fromkeys(servers, seen)


HYPERCORN = ("hypercorn", "hypercorn_on_trio")
LENIENT = ("uvicorn_in_c", "granian")
"""Those whose parsers are no h11 and no Twisted."""

PATHS = [
    *rows(
        AMBIGUOUS,
        "//v1/me", "/v1//me", "/v1/./me", "/health/../v1/me", "/health/%2e%2e/v1/me", "/health/.%2E/v1/me",
        "/v1%2fme", "/v1%5cme", "/v1\\me", "/v1/me;x=1", "/health;/../v1/me", "/v1/me%00", "/v1/me%0a", "/v1/me%7f",
        "/v1/%252e%252e/health", "/health/..%2fv1/me", "http://127.0.0.1//v1/me", "HTTP://x/health/../v1/me", "*",
    ),
    # An absolute-form target (RFC 9112 section 3.2.2), which some servers take apart and others hand on whole; the
    # same for a fragment, which no target has.
    *rows(AMBIGUOUS, "http://127.0.0.1/v1/me", "http://elsewhere.example/v1/me", but=at(*LENIENT, seen=LET_IN)),
    *rows(NOWHERE, "/v1/me#x", but=at(*LENIENT, seen=LET_IN)),
    *rows(AMBIGUOUS, "v1/me", but=at(*LENIENT)),
    *rows(ITS_OWN, "", "/v1/me\x00", "/v1/me\t", "/v1/m\xe9", "/v1/me x"),
    *rows(NOWHERE, "/v1/me%", "/v1/me%zz", "/v1/m%C3%A9", "/v1/m%e9", "/v1/me/", "/V1/me", "/v1/me.", "/v1"),
    *rows(LET_IN, "/v1/m%65", "/%76%31/me", "/v1/me?x=//../;%2f", "/health?/../v1/me", "/v1/me?"),
]  # fmt: skip

GOOD = "Authorization: Bearer {session}"
KEY = "Authorization: Bearer {key}"

HEADERS = [
    *rows(LET_IN, GOOD, "AUTHORIZATION: bEaReR   {session}  ", f"{GOOD}|X-Y: 1|X_Y: 2"),
    *rows(
        MALFORMED,
        f"{GOOD}|{GOOD}", f"Authorization: Basic YTpi|{GOOD}", f"{GOOD}|Authorization: Basic YTpi", f"{GOOD}|{KEY}",
        f"{GOOD}|Authorization:", f"{GOOD}|authorization: Bearer {{session}}", f"{GOOD}, Bearer {{session}}",
        f"{GOOD},", f"{GOOD} {{session}}", f"{GOOD}\xe9", "Authorization: Bearer",
        "Authorization: Bearer " + "a" * 9_000,
    ),
    *rows(
        NOBODY,
        "", "Authorization: {session}", "Authorization: Bearer\t{session}", "Authorization: Basic {session}",
        "Proxy-Authorization: Bearer {session}", "X-Authorization: Bearer {session}",
        "Cookie: access_token={session}; Authorization=Bearer {session}",
        "X-Original-URL: /health", "X-Rewrite-URL: /health", "X-Forwarded-Prefix: /v1", "X-Forwarded-User: admin",
    ),
    # Obsolete line folding (RFC 9112 section 5.2): read as one line, or refused.
    *rows(LET_IN, "Authorization: Bearer|\t{session}", but=at(*LENIENT)),
    *rows(ITS_OWN, "Authorization : Bearer {session}"),
    *rows(MALFORMED, f"{GOOD}\x01", but=at(*LENIENT)),
    # The account of a session: named alike as often as one likes and never another, however it is spelt.
    *rows(LET_IN, f"{GOOD}|Account-Id: {{own}}|account-id: {{own}}", f"{GOOD}|Account_Id: {{own}}"),
    *rows(
        OTHER_ACCOUNT,
        f"{GOOD}|Account-Id: {{other}}", f"{GOOD}|ACCOUNT-ID: {{other}}", f"{GOOD}|Account-Id: {{own}}, {{other}}",
        f"{GOOD}|Account-Id: {{own}}|Account-Id: {{other}}", f"{GOOD}|Account-Id: {{other}}|Account-Id: {{own}}",
        f"{GOOD}|Account-Id:",
    ),
    # Daphne drops what has an underscore in its name; where it comes through, it is the same header.
    *rows(OTHER_ACCOUNT, f"{GOOD}|Account_Id: {{other}}", but=at("daphne", seen=LET_IN)),
    # Daphne also believes every client that says where the application is mounted. It opens nothing.
    *rows(LET_IN, f"{GOOD}|Daphne-Root-Path: /health"),
    *rows(LET_IN, f"{GOOD}|Daphne-Root-Path: /v1", but=at("daphne", seen=NOWHERE)),
    *rows(NOBODY, "Daphne-Root-Path: /v1", "Daphne-Root-Path: /health"),
    *rows(LET_IN, f"{GOOD}|Origin: https://shop.example|Sec-Fetch-Site: cross-site"),
    *rows(LET_IN, f"{KEY}|Account-Id: {{own}}"),
    *rows((400, "account_missing"), KEY),
    *rows((403, "account_refused"), f"{KEY}|Account-Id: {{foreign}}"),
    *rows(
        (403, "secret_key_in_browser"),
        f"{KEY}|Account-Id: {{own}}|Origin: https://shop.example", f"{KEY}|Account-Id: {{own}}|Sec-Fetch-Site: none",
    ),
    *rows((403, "kind_refused"), "Authorization: Bearer {publishable}"),
]  # fmt: skip

PREFLIGHT = "Origin: https://a.example|Access-Control-Request-Method: POST"

FORMS = [
    *rows(LET_IN, f"GET /v1/me HTTP/1.0|{GOOD}", "GET /health HTTP/1.0"),
    *rows(NOBODY, "GET /v1/me HTTP/1.0"),
    *rows((401, "a refusal"), "HEAD /v1/me HTTP/1.1|Host: x", "HEAD /v1/me HTTP/1.0"),
    # No Host, or two (RFC 9112 section 3.2), and no version at all.
    *rows(ITS_OWN, f"GET /v1/me HTTP/1.1|{GOOD}", but=at(*LENIENT, "daphne", seen=LET_IN)),
    *rows(ITS_OWN, f"GET /v1/me HTTP/1.1|Host: x|Host: y|{GOOD}", but=at(*LENIENT, "daphne", seen=LET_IN)),
    *rows(ITS_OWN, f"GET /v1/me|{GOOD}", but=at("uvicorn_in_c", seen=LET_IN)),
    *rows(NOWHERE, f"TRACE /v1/me HTTP/1.1|Host: x|{GOOD}", f"PROPFIND /v1/me HTTP/1.1|Host: x|{GOOD}"),
    *rows(NOBODY, "OPTIONS /v1/me HTTP/1.1|Host: x", f"OPTIONS /v1/account_sessions HTTP/1.1|Host: x|{PREFLIGHT}"),
    *rows(AMBIGUOUS, f"OPTIONS * HTTP/1.1|Host: x|{GOOD}"),
    # Methods are told apart by case (RFC 9110 section 9.1); Hypercorn alone writes them large.
    *rows(NOWHERE, f"get /v1/me HTTP/1.1|Host: x|{GOOD}", but={**at("uvicorn_in_c"), **at(*HYPERCORN, seen=LET_IN)}),
    *rows(NOWHERE, f"WEBSOCKET /v1/events HTTP/1.1|Host: x|{GOOD}", but=at("uvicorn_in_c")),
    *rows(ITS_OWN, f"(WEBSOCKET) /v1/events HTTP/1.1|Host: x|{GOOD}"),
    *rows(AMBIGUOUS, f"CONNECT 127.0.0.1:80 HTTP/1.1|Host: x|{GOOD}", but=at("uvicorn_in_c")),
    *rows(NOBODY, "POST /v1/me HTTP/1.1|Host: x|X-HTTP-Method-Override: GET"),
    *rows(LET_IN, f"GET /v1/me HTTP/1.1|Host: x|{GOOD}|X-HTTP-Method-Override: POST|X-Original-URL: //health"),
]  # fmt: skip
