"""What the machine does with a credential: mints, asks for what the policy's rules guard, and forges tokens.

Knows nothing of what should come of them.
"""

import base64
import io
import json
from collections.abc import Mapping
from typing import Any, cast
from wsgiref.util import setup_testing_defaults

from guestpass.errors import Refused
from guestpass.principal import ACCOUNT_SESSION
from guestpass.requests import Request
from guestpass.rules import Rule
from guestpass.sessions import AccountSessions
from guestpass.signer import TokenSigner
from guestpass.testing.escalation_asks import MintAsk
from guestpass.testing.escalation_model import ACCOUNTS, EVERY_ACCOUNT, Held, Vocabulary
from guestpass.wsgi import WSGIApplication


def post(
    app: WSGIApplication,
    path: str,
    credential: str,
    body: Mapping[str, object] | None,
    idempotency_key: str | None = None,
) -> tuple[int, dict[str, object]]:
    """Send one request with a JSON body; answers the status and the content."""
    sent = b"" if body is None else json.dumps(body).encode()
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "CONTENT_LENGTH": str(len(sent)),
        "wsgi.input": io.BytesIO(sent),
        "HTTP_AUTHORIZATION": f"Bearer {credential}",
    }
    if idempotency_key is not None:
        environ["HTTP_IDEMPOTENCY_KEY"] = idempotency_key
    setup_testing_defaults(environ)
    said: list[str] = []

    def start_response(status: str, _headers: object, _exc_info: object = None, /) -> Any:
        said.append(status)

    content = b"".join(app(environ, start_response))
    status = int(said[0].partition(" ")[0])
    assert status < 500, f"the issuing API answered {said[0]}"
    return status, json.loads(content)


def minted_over_http(issuing: WSGIApplication, holder: Held, asked: MintAsk) -> tuple[str, str] | None:
    """The credential, and a session's id; None where it is refused."""
    if asked.kind == ACCOUNT_SESSION:
        status, answer = post(issuing, "/v1/account_sessions", holder.text, _body(asked), asked.idempotency_key)
        return (str(answer["client_secret"]), str(answer["id"])) if status == 201 else None
    body = _body(asked, tenant="tenantId", lifetime="expiresIn")
    status, answer = post(issuing, "/api/v1/jwt/sign", holder.text, body)
    return (str(answer["jwt"]), "") if status == 200 else None


def minted_in_process(
    sessions: AccountSessions, signer: TokenSigner, holder: Held, asked: MintAsk
) -> tuple[str, str] | None:
    """The same, with the principal that the holder once proved to be."""
    components = cast("Mapping[str, Mapping[str, object]] | None", asked.components)
    try:
        if asked.kind == ACCOUNT_SESSION:
            made = sessions.create(
                by=holder.principal,
                account=asked.account,
                components=components,
                roles=asked.roles,
                expires_in=asked.expires_in,
                narrow=asked.narrow,
                idempotency_key=asked.idempotency_key,
            )
            return made.client_secret, made.id
        signed = signer.sign(
            by=holder.principal,
            tenant_id=asked.account,
            components=components,
            roles=asked.roles,
            expires_in=asked.expires_in,
            narrow=asked.narrow,
        )
    except Refused:
        return None
    return signed.jwt, ""


def _body(asked: MintAsk, tenant: str = "account", lifetime: str = "expires_in") -> dict[str, object]:
    named = {tenant: asked.account, "components": asked.components, "roles": asked.roles, lifetime: asked.expires_in}
    return {name: value for name, value in named.items() if value is not None}


def request_for(rule: Rule, account: str | None, credential: str, account_header: str) -> Request:
    """A request that the rule is for, and that names `account` in every place where it may."""
    at = {(place.where, place.name) for place in rule.places}
    value = account or "acct_other"
    segments = [
        literal if literal is not None else value if ("path", name) in at else "x"
        for literal, name in zip(rule.segments, rule.parameters, strict=True)
    ]
    path = "/" + "/".join([*segments, "rest"] if rule.rest else segments)
    query = "&".join(f"{name}={account}" for where, name in sorted(at) if where == "query" and account)
    headers = [("authorization", f"Bearer {credential}")]
    if account is not None:
        headers += [(name, account) for where, name in sorted(at) if where == "header"]
        headers += [(account_header.lower(), account)]
    raw = [(name.encode(), text.encode()) for name, text in headers]
    return Request(min(rule.methods), path, path, path.encode(), query.encode(), raw)


def forged(text: str, algorithm: str | None, names: Vocabulary) -> str:
    """A token with every name and account in it that there is, and a whole day; signed as it was, or not at all."""
    header, payload, signature = text.split(".")
    claims = _decoded(payload)
    claims.update(
        components=list(names.components),
        roles=list(names.roles),
        account=EVERY_ACCOUNT[-1],
        platform=[*ACCOUNTS][-1],
        exp=int(claims["iat"]) + 86_400,
    )
    head = _decoded(header)
    if algorithm is not None:
        head["alg"], signature = algorithm, "" if algorithm == "none" else signature
    return f"{_encoded(head)}.{_encoded(claims)}.{signature}"


def _decoded(part: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return read


def _encoded(part: Mapping[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
