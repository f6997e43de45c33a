"""The issuing API apart from any framework: what it serves, what each request needs, and what is answered.

Knows fields, bodies and answers. What may be issued is `guestpass.minting`'s to say; how a request is read and an
answer sent is each door's: `guestpass.issuing_api` for ASGI, `guestpass.issuing_wsgi` and `guestpass.flask` for WSGI.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from guestpass.access import principal_of
from guestpass.errors import ConfigurationError, NotGuarded, Refused, Unavailable
from guestpass.guard import Guard
from guestpass.inquiry import Inquiry
from guestpass.issuing_revocations import revoke_from
from guestpass.keyring import MAX_AGE
from guestpass.problems import Answer, Renderer
from guestpass.refusals import Refusal
from guestpass.revocation.cutoff_list import FOREVER_MS
from guestpass.revocation.revocations import Revocations
from guestpass.rules import Needs, Rule, needs
from guestpass.sessions import AccountSession, AccountSessions
from guestpass.signer import TokenSigner
from guestpass.strict_json import decode_object

MAX_BODY: Final = 65_536
"""Bytes of a request's body; what is longer is refused unread."""

log = logging.getLogger("guestpass")

_NO_STORE: Final = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class Call:
    """One request to the API.

    `source` carries the principal, as `guestpass.principal_of` reads it; `id` is what the path names. A door reads
    of `body` no more than one byte above `MAX_BODY`.
    """

    source: object
    id: str = ""
    idempotency_keys: Sequence[str] = ()
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered: `content`, as JSON."""

    content: Mapping[str, object] = field(repr=False)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: _NO_STORE)

    @property
    def body(self) -> bytes:
        """The content as JSON, in UTF-8."""
        return json.dumps(self.content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One thing that the API does. `path` is a rule's, with ``{id}`` for what it names.

    `answer` begins an inquiry, which raises `Refused` or `Unavailable` for what is refused: see `answer_to`.
    """

    name: str
    method: str
    path: str
    needs: Needs
    answer: Callable[[Call], Inquiry[Reply]]
    takes_body: bool = False


def endpoints(guard: Guard) -> list[Endpoint]:
    """What the API does, by what `guard` has that mints. Raises `ConfigurationError` where nothing does."""
    sessions = next((one for one in guard.authenticators if isinstance(one, AccountSessions)), None)
    signer = next((one for one in guard.authenticators if isinstance(one, TokenSigner)), None)
    offered: list[Endpoint] = []
    if sessions is not None:
        made = _SessionsApi(sessions)
        path = "/v1/account_sessions"
        offered.append(Endpoint("create_session", "POST", path, _minting(), made.create, takes_body=True))
        offered.append(Endpoint("revoke_session", "POST", f"{path}/{{id}}/revoke", _minting(), made.revoke))
    if signer is not None:
        tokens = _TokensApi(signer, guard)
        public = needs(public=True, reason="public keys are public")
        offered.append(Endpoint("sign_token", "POST", "/api/v1/jwt/sign", _minting(), tokens.sign, takes_body=True))
        offered.append(Endpoint("key_set", "GET", "/.well-known/jwks.json", public, tokens.jwks))
    store = signer.ring.store if signer is not None else sessions.feed.store if sessions is not None else None
    if store is not None:
        api = _RevocationsApi(Revocations(store, mode=guard.mode, clock=guard.clock), guard)
        offered.append(Endpoint("revoke", "POST", "/v1/revocations", _minting(), api.revoke, takes_body=True))
    if not offered:
        raise ConfigurationError(
            "the issuing API has nothing to issue: Guard(authenticators=[AccountSessions(store), …])"
        )
    return offered


def issuing_rules(guard: Guard, prefix: str = "") -> list[Rule]:
    """The rules of the issuing API below `prefix`; `protect` reads them from the routes by itself."""
    return [endpoint.needs.rule(f"{endpoint.method} {prefix}{endpoint.path}") for endpoint in endpoints(guard)]


def read_prefix(issuing: str) -> str:
    """The prefix that ``protect(issuing=…)`` names. Raises `ConfigurationError` for what is no path."""
    if not issuing.startswith("/"):
        raise ConfigurationError(f'protect(issuing={issuing!r}): a path, such as "/"')
    return issuing.rstrip("/")


def answer_to(problem: Exception, guard: Guard, render: Renderer) -> Answer:
    """The answer to what was raised on the way to one. What is unforeseen is logged, and shows nothing inside; that no
    guard stands in front is raised on, for whoever builds the application."""
    if isinstance(problem, Refused):
        refusal = problem.refusal
    elif isinstance(problem, Unavailable):
        refusal = Refusal(problem.code, retry_after=problem.retry_after)
    elif isinstance(problem, NotGuarded):
        raise problem
    else:
        log.error("the issuing API failed; nothing was given away", exc_info=problem)
        refusal = Refusal("internal_error")
    return render(refusal, guard.realm)


def too_long() -> Refused:
    """What a body above `MAX_BODY` is refused with."""
    return Refused(Refusal("body_malformed", more=f"It is longer than {MAX_BODY} bytes."))


def _minting() -> Needs:
    return needs(mints=True, account=False)


@dataclass(frozen=True, slots=True)
class _SessionsApi:
    sessions: AccountSessions

    def create(self, call: Call) -> Inquiry[Reply]:
        if len(call.idempotency_keys) > 1:
            raise Refused(Refusal("body_malformed", more="There are several Idempotency-Key headers."))
        key = next(iter(call.idempotency_keys), None)
        made = yield from self.sessions.create_from(principal_of(call.source), _fields(call.body), key)
        return Reply(_session(made), 201)

    def revoke(self, call: Call) -> Inquiry[Reply]:
        ended = yield from self.sessions.revoke_from(call.id, principal_of(call.source))
        return Reply({"id": ended.id, "revoked": True})


@dataclass(frozen=True, slots=True)
class _TokensApi:
    signer: TokenSigner
    guard: Guard

    def sign(self, call: Call) -> Inquiry[Reply]:
        signed = yield from self.signer.sign_from(principal_of(call.source), _fields(call.body))
        return Reply({"jwt": signed.jwt, "expiresAt": signed.expires_at, "id": signed.id})

    def jwks(self, _: Call) -> Inquiry[Reply]:
        keys = yield from self.signer.ring.jwks_from(self.guard.mode)
        return Reply(keys, headers={"Cache-Control": f"public, max-age={MAX_AGE}"})


@dataclass(frozen=True, slots=True)
class _RevocationsApi:
    revocations: Revocations
    guard: Guard

    def revoke(self, call: Call) -> Inquiry[Reply]:
        ownership, by = self.guard.authenticators.ownership, principal_of(call.source)
        cutoff = yield from revoke_from(self.revocations, ownership, by, _fields(call.body))
        # What was minted until now has ended; "at" is when that was, unless it has ended for good.
        return Reply({"revoked": True, "at_ms": None if cutoff.at_ms >= FOREVER_MS else cutoff.at_ms})


def _session(session: AccountSession) -> dict[str, object]:
    return {
        "id": session.id,
        "account": session.account,
        "client_secret": session.client_secret,
        "expires_at": session.expires_at,
        "expires_in": session.expires_in,
        "components": session.components,
        "livemode": session.livemode,
    }


def _fields(body: bytes) -> dict[str, object]:
    """The JSON object of a body. Raises `Refused` (``body_malformed``)."""
    if len(body) > MAX_BODY:
        raise too_long()
    try:
        return decode_object(body)
    except ValueError as problem:
        raise Refused(Refusal("body_malformed", more=f"What is wrong: {problem}.")) from None
