"""Every refusal there is, in one table: status, challenge, close code and text.

The doors, the clients and the documentation read this table; nothing refuses in words of its own. Codes are
stable. Challenges follow RFC 6750 section 3, bodies RFC 9457, close codes the IANA WebSocket registry.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NoReturn

UNAUTHORIZED, FORBIDDEN, TRY_AGAIN = 3000, 3003, 1013


@dataclass(frozen=True, slots=True)
class Case:
    """One row: what a refusal with this code answers. `challenge` is the ``error`` of WWW-Authenticate,
    empty for a challenge without one, None for no challenge. ``{it}`` in the text is what was presented."""

    status: int
    text: str
    challenge: str | None = None

    @property
    def close_code(self) -> int:
        """The WebSocket close code: 3000 unauthorized, 3003 forbidden, 1013 try again later."""
        if self.status == 401:
            return UNAUTHORIZED
        return TRY_AGAIN if self.status >= 500 else FORBIDDEN


_INVALID, _SCOPE = "invalid_token", "insufficient_scope"

CASES: Final[Mapping[str, Case]] = MappingProxyType(
    {
        "credential_missing": Case(
            401,
            "This request needs a credential: an Authorization: Bearer header, or a pair of WebSocket subprotocols.",
            "",
        ),
        "credential_malformed": Case(
            400, "Present exactly one credential, as one Authorization: Bearer header.", "invalid_request"
        ),
        "credential_invalid": Case(401, "This {it} is not valid here.", _INVALID),
        "session_expired": Case(401, "This session has expired. Ask your backend for a new one.", _INVALID),
        "token_expired": Case(401, "This token has expired. Ask for a new one.", _INVALID),
        "key_expired": Case(401, "This API key has expired.", _INVALID),
        "session_revoked": Case(401, "This session has been revoked.", _INVALID),
        "token_revoked": Case(401, "This token has been revoked.", _INVALID),
        "key_revoked": Case(401, "This API key has been revoked.", _INVALID),
        "secret_key_in_browser": Case(
            403, "A secret key must never be used in a browser. Revoke it, and give the page a session instead."
        ),
        "rule_missing": Case(404, "No rule lets this {it} in here: nothing is served at this address."),
        "kind_refused": Case(403, "This address is not for a credential of this kind: {it}.", _SCOPE),
        "escalation_denied": Case(403, "This {it} cannot give away more than it has.", _SCOPE),
        "account_missing": Case(400, "Name the account that this {it} is to be used for."),
        "account_mismatch": Case(403, "This {it} does not belong to the account that the request names.", _SCOPE),
        "account_refused": Case(403, "This {it} may not act for this account.", _SCOPE),
        "component_disabled": Case(403, "This component is not enabled for this {it}.", _SCOPE),
        "feature_disabled": Case(403, "This feature is not enabled for this {it}.", _SCOPE),
        "role_insufficient": Case(403, "The role of this {it} is too low.", _SCOPE),
        "body_malformed": Case(400, "The body must be a JSON object in UTF-8."),
        "validation_error": Case(422, "Some fields are not as they should be; see errors."),
        "idempotency_conflict": Case(
            409, "This Idempotency-Key was used with another body, or its session has ended. Use a new one."
        ),
        "session_unknown": Case(404, "There is no session with this id."),
        "path_ambiguous": Case(400, "This path can be read in two ways."),
        "keys_unavailable": Case(503, "The keys that would check this {it} cannot be had right now. Try again."),
        "store_unavailable": Case(503, "This {it} cannot be checked right now. Try again."),
        "overloaded": Case(503, "Too many unknown credentials at once; this {it} was not checked. Try again."),
        "internal_error": Case(500, "Something went wrong here, and nobody was let in."),
    }
)


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field of a request, and how it should be."""

    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """No, and why. A value, not an exception; asking for its truth raises, since a forgotten check must not pass.

    `it` says what was presented (``session``, ``token``, ``API key``). `more` is a sentence for the developer,
    built from the service's own configuration, never from what a stranger sent. `scope` is what would have been
    needed. `retry_after` is in seconds.

    `because` and `credential_id` are for the operator alone, and stand in no answer: what exactly was wrong, where
    `text` leaves that open, and which key, session or token it was, where that is known. Neither holds a credential,
    nor anything that a stranger sent unless `guestpass.quoting` has been over it.
    """

    code: str
    it: str = "credential"
    more: str = ""
    scope: str = ""
    retry_after: float | None = None
    errors: tuple[FieldError, ...] = ()
    because: str = field(default="", compare=False)
    credential_id: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if self.code not in CASES:
            raise ValueError(f"{self.code!r} is not in the table of refusals")

    def __bool__(self) -> NoReturn:
        raise TypeError("a Refusal is neither true nor false: ask isinstance(verdict, Principal)")

    @property
    def status(self) -> int:
        """The HTTP status."""
        return CASES[self.code].status

    @property
    def close_code(self) -> int:
        """The WebSocket close code."""
        return CASES[self.code].close_code

    @property
    def detail(self) -> str:
        """The text for people. It names what was presented, so a session's refusals say "session"."""
        text = CASES[self.code].text.format(it=self.it)
        if self.it not in text and self.it != "credential":
            text = f"{text} (Presented: {self.it}.)"
        return f"{text} {self.more}" if self.more else text

    def challenge(self, realm: str) -> str | None:
        """The value of WWW-Authenticate (RFC 6750 section 3), or None where there is none."""
        error = CASES[self.code].challenge
        if error is None:
            return None
        challenge = f'Bearer realm="{realm}"'
        if error:
            challenge += f', error="{error}"'
        return f'{challenge}, scope="{self.scope}"' if self.scope else challenge

    def retry_after_seconds(self) -> int | None:
        """Whole seconds for the Retry-After header; every 503 has one."""
        if self.retry_after is not None:
            return max(1, math.ceil(self.retry_after))
        return 1 if self.status == 503 else None

    def problem(self) -> dict[str, object]:
        """The body, an RFC 9457 problem: about:blank with the status's own title, plus `code`."""
        problem: dict[str, object] = {
            "type": "about:blank",
            "title": _TITLES[self.status],
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }
        if self.errors:
            problem["errors"] = [{"field": error.field, "reason": error.reason} for error in self.errors]
        return problem


_TITLES: Final = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict",
    422: "Unprocessable Content",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
