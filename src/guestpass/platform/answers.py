"""What a page is told: what it asked for, or why not, and what of it the operator has to know.

A page is never told 401 for what is wrong with the back end's own key: it would have its user log in again, and again.
"""

import json
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from guestpass.client_error import ClientError, Code
from guestpass.errors import Refused, Unavailable
from guestpass.platform.issuer import Session, Token

log: Final = logging.getLogger("guestpass")

MOST_RETRY_AFTER: Final = 3_600
"""Seconds."""

_OUTAGES: Final[frozenset[Code]] = frozenset({"NETWORK_ERROR", "UNAVAILABLE", "RATE_LIMITED", "SERVER_ERROR"})


@dataclass(frozen=True, slots=True)
class PageAnswer:
    """What is answered: `content`, as JSON."""

    status: int
    content: Mapping[str, object] = field(repr=False)
    more_headers: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def headers(self) -> dict[str, str]:
        """Never kept anywhere: there are credentials in it."""
        return {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **self.more_headers}

    @property
    def body(self) -> bytes:
        """The content, in UTF-8."""
        return json.dumps(self.content, ensure_ascii=False, separators=(",", ":")).encode()


NOT_SIGNED_IN: Final = PageAnswer(401, {"error": "Not signed in"})
BAD_REQUEST: Final = PageAnswer(400, {"error": "Bad request"})
DENIED: Final = PageAnswer(403, {"error": "Access denied"})


def session_answer(session: Session) -> PageAnswer:
    """A session, as the page takes it."""
    content = {
        "client_secret": session.client_secret,
        "expires_at": session.expires_at,
        "expires_in": session.expires_in,
        "account": session.account,
        "components": session.components,
    }
    return PageAnswer(200, content)


def token_answer(token: Token) -> PageAnswer:
    """A signed token, as the page takes it."""
    return PageAnswer(200, {"token": token.jwt, "expiresAt": token.expires_at, "id": token.id})


def failure_answer(problem: ClientError | Refused | Unavailable) -> PageAnswer:
    """What the page is told where nothing was given out, by what an issuer raised; logged for the operator."""
    code: object
    wait: float | None
    if isinstance(problem, Unavailable):
        outage, code, wait = True, problem.code, problem.retry_after
    elif isinstance(problem, Refused):
        outage, code, wait = problem.status >= 500, problem.code, problem.refusal.retry_after
    else:
        outage, code, wait = problem.code in _OUTAGES, problem.details.get("code"), problem.retry_after
    if outage:
        log.warning("no session or token for a page, the API cannot be asked: %s", problem)
        seconds = min(max(1, math.ceil(wait or 1)), MOST_RETRY_AFTER)
        content = {"error": "No session can be had right now. Try again."}
        return PageAnswer(503, content, {"Retry-After": str(seconds)})
    log.error("no session or token for a page, the API refused this back end: %s", problem)
    if code == "account_refused":
        return DENIED
    return PageAnswer(502, {"error": "No session can be had: the back end is not set up rightly."})
