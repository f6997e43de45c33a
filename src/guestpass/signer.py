"""Tokens signed for one end user each: a JWT that needs no store to be made.

What signs them also authenticates them: one object, given to a guard once. Its claims stand in a namespace of their
own; `metadata` is one claim among them, and nothing in it ever authorises anything.
"""

import json
import math
import secrets
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, cast

from guestpass.authenticators import Membership
from guestpass.credentials import Credential, Randomness
from guestpass.errors import ConfigurationError, InvalidToken, KeysUnavailable
from guestpass.grants import ALL, Grant, Mode, Names
from guestpass.inquiry import Inquiry, drive, drive_async
from guestpass.keyring import KeyRing
from guestpass.keysets.events import KeySetEvents
from guestpass.minting import MAX_LIFETIME, Asked, Mint, Minted
from guestpass.principal import SIGNED_TOKEN, Principal, is_user_id
from guestpass.refusals import FieldError, Refusal
from guestpass.revocation.cutoff_list import signing_key_name
from guestpass.revocation.feed import feed_of
from guestpass.strict_json import decode_object
from guestpass.tokens import ClaimsSigner, UnverifiedToken, as_json, check_audience, check_times, text_claim, verify
from guestpass.values import FrozenDict, as_collection, as_mapping, frozen

TYP: Final = "guestpass+jwt"
"""The `typ` of every token signed here, so that it is taken for no other kind (RFC 8725 section 3.11)."""

MAX_METADATA: Final = 4_096
MAX_SIGNED: Final = 7_168
"""Bytes of a whole token: it has to fit into a header beside others."""

_MAX_DEPTH: Final = 12
_METADATA: Final = f"a JSON object, nested at most {_MAX_DEPTH} deep, its integers of 64 bits"


@dataclass(frozen=True, slots=True)
class SignedToken:
    """A token just signed. `expires_at` is in Unix seconds; `id` is the end user's, the ``sub`` claim."""

    jwt: str = field(repr=False)
    expires_at: int
    id: str


class TokenSigner:
    """Signs tokens with the keys of a `KeyRing`, and authenticates them.

    `issuer` and `audience` are the ``iss`` and ``aud`` claims; both are set and checked.
    """

    good_for: Final = math.inf

    def __init__(
        self,
        ring: KeyRing,
        *,
        issuer: str,
        audience: str,
        clock: Callable[[], float] = time.time,
        randomness: Randomness = secrets.token_bytes,
    ) -> None:
        if not isinstance(ring, KeyRing):
            raise ConfigurationError(f"TokenSigner({type(ring).__name__}): TokenSigner(KeyRing(store, …), …)")
        for name, value in (("issuer", issuer), ("audience", audience)):
            if not value or not value.isprintable():
                raise ConfigurationError(f'TokenSigner({name}={value!r}): {name}="…", as the claim is to be')
        self.issuer: Final = issuer
        self.ring: Final = ring
        self._audience = audience
        self._clock = clock
        self._randomness = randomness
        self._mint: Final = Mint(ring.store, clock)
        # As many as the ring has had.
        self._signers: dict[str, ClaimsSigner] = {}
        self._events: Final = KeySetEvents()
        self.feed: Final = feed_of(ring.store, clock)
        self.feed.subscribe(self._heard)

    def attach(self, membership: Membership, /) -> None:
        """Part of being an authenticator."""
        self._mint.attach(membership)
        if membership.tell is not None:
            self._events.add(self.issuer, membership.tell, None)

    def _heard(self, names: frozenset[str] | None) -> None:
        if names is None or any(name.startswith(_OF_A_KEY) for name in names):
            self.ring.look_again()

    def kind_of(self, credential: Credential, /) -> str | None:
        """``signed_token``, by the issuer."""
        token = credential.token
        return SIGNED_TOKEN if token is not None and token.issuer == self.issuer else None

    def sign(
        self,
        *,
        by: Principal,
        id: str | None = None,  # noqa: A002 - the field's name in the document
        tenant_id: str | None = None,
        metadata: Mapping[str, object] | None = None,
        roles: Collection[str] | None = None,
        components: Mapping[str, Mapping[str, object]] | None = None,
        expires_in: int | None = None,
        narrow: bool = False,
    ) -> SignedToken:
        """Sign a token for one end user, with at most what `by`, a secret key's principal, has itself.

        `id` is the user's UUID, made if left out. `tenant_id` is the token's account; a key bound to one account signs
        for that one, and without an account a token passes no account rule. `metadata` is a JSON object of at most
        4,096 bytes. `roles` left out is the lowest, `components` none. `expires_in` is 60 to 86,400 seconds; left out,
        an hour, or what is left of the key. With `narrow` what exceeds the key is left off instead of refused.

        Raises `Refused`: ``validation_error``, ``escalation_denied``, ``account_refused``, or the state of the key.
        """
        asked = Asked(tenant_id, components, roles, expires_in, narrow, components_default=False, names=_PYTHON_NAMES)
        return drive(self._sign(by, asked, id, metadata))

    async def sign_async(
        self,
        *,
        by: Principal,
        id: str | None = None,  # noqa: A002 - the field's name in the document
        tenant_id: str | None = None,
        metadata: Mapping[str, object] | None = None,
        roles: Collection[str] | None = None,
        components: Mapping[str, Mapping[str, object]] | None = None,
        expires_in: int | None = None,
        narrow: bool = False,
    ) -> SignedToken:
        """`sign`, without holding up the event loop."""
        asked = Asked(tenant_id, components, roles, expires_in, narrow, components_default=False, names=_PYTHON_NAMES)
        return await drive_async(self._sign(by, asked, id, metadata))

    def sign_from(self, by: Principal, body: Mapping[str, object]) -> Inquiry[SignedToken]:
        """`sign` from the camel-case fields of a request's body, for an API that issues tokens: drive the answer."""
        asked = Asked(
            body.get("tenantId"),
            body.get("components"),
            body.get("roles"),
            body.get("expiresIn"),
            components_default=False,
            names=_HTTP_NAMES,
        )
        for name in set(body) - {"id", "tenantId", "metadata", "expiresIn", "roles", "components"}:
            asked.unknown(name)
        asked.refuse_null(body, "components", "roles")
        return self._sign(by, asked, body.get("id"), body.get("metadata"))

    def authenticate(self, credential: Credential, now: float, /) -> Refusal | Inquiry[Principal | Refusal]:
        """The token's principal. What is wrong with it whoever signed it is refused without a look-up."""
        token = credential.token
        if token is None:
            return Refusal("credential_invalid", "token", because="it is no JWT")
        try:
            if token.header.get("typ") != TYP:
                raise InvalidToken("its typ is not that of a token signed here")
            if token.kid is None:
                raise InvalidToken("it names no key")
            check_audience(token.claims, {self._audience})
        except InvalidToken as invalid:
            return Refusal(invalid.code, "token", because=invalid.reason)
        return self._verify(token, now)

    def _verify(self, token: UnverifiedToken, now: float) -> Inquiry[Principal | Refusal]:
        try:
            found = yield from self.ring.find(token.kid, now)
        except KeysUnavailable as problem:
            self._events.spent(now, str(problem))
            raise
        try:
            if found is None:
                raise InvalidToken("it names no key of this ring")
            key, mode = found
            verify(token, key)
            principal = _read_claims(token, check_times(token.claims, now=now, leeway=0))
            if principal.mode != mode:
                raise InvalidToken("its mode is not that of its key")
        except InvalidToken as invalid:
            return Refusal(invalid.code, "token", because=invalid.reason)
        if self.ring.distrusts(token.kid):
            because, jti = f"its signing key, {token.kid}, is distrusted", principal.credential_id
            return Refusal("token_revoked", "token", because=because, credential_id=jti)
        return principal

    def _sign(self, by: Principal, asked: Asked, subject: object, metadata: object) -> Inquiry[SignedToken]:
        sub = _read_id(asked, subject, self._randomness)
        data = _read_metadata(asked, metadata)
        minted = yield from self._mint.grant(by, asked)
        record, private = yield from self.ring.signer(minted.grant.mode)
        signer = self._signers.get(record.kid)
        if signer is None:
            headers = {"typ": TYP, "kid": record.kid}
            signer = self._signers[record.kid] = ClaimsSigner(headers, private, record.algorithm)
        jwt = signer.sign(self._claims(by, sub, data, minted))
        if len(jwt) > MAX_SIGNED:
            asked.wrong("metadata", f"the whole token would be {len(jwt)} bytes, more than {MAX_SIGNED}")
            asked.raise_if_wrong()
        return SignedToken(jwt, int(minted.grant.expires_at), sub)

    def _claims(self, by: Principal, sub: str, metadata: Mapping[object, object], minted: Minted) -> str:
        grant = minted.grant
        given = grant.platform, grant.mode, by.credential_id, grant.components, grant.roles, grant.accounts
        shared, jti = _shared(self.issuer, self._audience, *given), self._randomness(16).hex()
        # A UUID, hexadecimal digits and integers stand in JSON as they are.
        own = (
            f'"sub":"{sub}","iat":{minted.issued_at:d},"exp":{int(grant.expires_at):d},"jti":"{jti}"'
            f',"minted_ms":{minted.minted_ms:d}'
        )
        return f'{{{shared},{own},"metadata":{as_json(dict(metadata))}}}' if metadata else f"{{{shared},{own}}}"


_OF_A_KEY: Final = signing_key_name("")
_PYTHON_NAMES: Final = {"account": "tenant_id"}
_HTTP_NAMES: Final = {"account": "tenantId", "expires_in": "expiresIn"}


@lru_cache(maxsize=1024)
def _shared(
    issuer: str,
    audience: str,
    platform: str,
    mode: Mode,
    minted_by: str,
    components: Names,
    roles: Names,
    accounts: Names,
) -> str:
    """The claims of all tokens that one key gives away alike, as the inside of an object in JSON."""
    claims: dict[str, object] = {
        "iss": issuer,
        "aud": audience,
        "platform": platform,
        "mode": mode,
        "minted_by": minted_by,
        "components": _listed(components),
        "roles": _listed(roles),
    }
    if accounts:
        (claims["account"],) = _listed(accounts)
    return as_json(claims)[1:-1]


def _listed(names: Names) -> list[str]:
    if names is ALL:
        raise TypeError("what is minted is spelled out by name")
    return sorted(names)


def _read_id(asked: Asked, given: object, randomness: Randomness) -> str:
    if given is None:
        return str(uuid.UUID(bytes=randomness(16), version=4))
    if isinstance(given, str):
        given = given.lower()
        if is_user_id(given):
            return given
    asked.errors.append(FieldError("id", "a UUID in its 36-character form"))
    return ""


def _read_metadata(asked: Asked, given: object) -> Mapping[object, object]:
    if given is None:
        return {}
    data = as_mapping(given)
    encoded = None if data is None else _as_json(data)
    if data is None or encoded is None:
        asked.errors.append(FieldError("metadata", _METADATA))
        return {}
    if len(encoded) > MAX_METADATA:
        asked.errors.append(FieldError("metadata", f"at most {MAX_METADATA} bytes as JSON; it is {len(encoded)}"))
    return data


def _as_json(data: Mapping[object, object]) -> bytes | None:
    """`data` as compact JSON, None where it would not be read back as it is (a number for a name, NaN)."""
    try:
        encoded = json.dumps(dict(data), ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        if len(encoded) <= MAX_METADATA and decode_object(encoded, max_depth=_MAX_DEPTH) != data:
            return None
    except (TypeError, ValueError, RecursionError):
        return None
    return encoded


def _read_claims(token: UnverifiedToken, expires_at: float) -> Principal:
    """What the claims of a verified token say. Raises `InvalidToken`."""
    claims = token.claims
    mode, minted_ms, metadata = claims.get("mode"), claims.get("minted_ms"), as_mapping(claims.get("metadata", {}))
    account = text_claim(claims, "account") if "account" in claims else None
    if mode not in ("live", "test") or type(minted_ms) is not int or metadata is None:
        raise InvalidToken("its own claims are not as they are signed here")
    iat = claims.get("iat")
    if type(iat) is not int or expires_at - iat > MAX_LIFETIME:
        # So long nobody remembers what was ended.
        raise InvalidToken("it lives longer than what is signed here")
    grant = Grant(
        platform=text_claim(claims, "platform"),
        mode="live" if mode == "live" else "test",
        accounts=frozenset() if account is None else frozenset({account}),
        components=_names_claim(claims, "components"),
        roles=_names_claim(claims, "roles"),
        expires_at=expires_at,
    )
    return Principal(
        kind=SIGNED_TOKEN,
        subject=text_claim(claims, "sub"),
        issuer=token.issuer,
        grant=grant,
        credential_id=text_claim(claims, "jti"),
        minted_by=text_claim(claims, "minted_by"),
        issued_at=minted_ms / 1000,
        metadata=cast("FrozenDict", frozen(metadata)),
        signing_key=token.kid or "",
    )


def _names_claim(claims: Mapping[str, object], name: str) -> frozenset[str]:
    value = as_collection(claims.get(name))
    if value is None or not all(isinstance(entry, str) for entry in value):
        raise InvalidToken(f"its {name} is no array of strings")
    return frozenset(str(entry) for entry in value)
