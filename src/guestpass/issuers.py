"""Identity tokens: JWTs of an outside issuer, and the principals that they prove.

Knows one issuer's settings and the order in which its tokens are checked: what is cheap first, claims only
after the signature. Knows nothing of how keys are fetched or signatures computed. One object is one issuer;
a guard chooses it by `iss` from the issuers it was built with, never from anything else that a token says.
"""

import time
from collections.abc import Callable, Collection, Mapping
from typing import Final, TypeAlias, cast

from guestpass.authenticators import Membership
from guestpass.claims import NO_MAPPING, Claim, ClaimMapping, Source
from guestpass.credentials import Credential
from guestpass.errors import ConfigurationError, InvalidToken
from guestpass.grants import Grant, Mode
from guestpass.inquiry import Inquiry, ask, drive
from guestpass.jwks import SYMMETRIC, VerificationKey, allowed_algorithms
from guestpass.keysets import FindVerificationKey, KeySet
from guestpass.principal import IDENTITY_TOKEN, Principal
from guestpass.refusals import Refusal
from guestpass.tokens import (
    BAD_SIGNATURE,
    MAX_TOKEN,
    SHORT_HEADER,
    UnverifiedToken,
    check_audience,
    check_times,
    read_claims,
    read_header,
    text_claim,
    verify,
)


class _AnyAudience:
    def __repr__(self) -> str:
        return "ANY_AUDIENCE"


ANY_AUDIENCE: Final = _AnyAudience()
"""Takes the tokens that the issuer made for anybody. Say it only of an issuer that has no other audience."""

Audience: TypeAlias = str | Collection[str] | _AnyAudience

MAX_LEEWAY: Final = 300.0

# Without a `typ` to ask for: the types of access tokens (RFC 9068 section 2.1), and what says nothing.
_ACCESS_TYPES: Final = frozenset({"JWT", "jwt", "at+jwt"})
_ID_TYPES: Final = frozenset({"id+jwt", "id_token+jwt"})
# What only ID tokens have (OpenID Connect Core sections 2, 3.1.3.6 and 3.3.2.11).
_ID_CLAIMS: Final = frozenset({"nonce", "at_hash", "c_hash"})

_NO_KEY: Final = "its issuer has no such key"


class JwtIssuer:
    """Checks the tokens of one outside issuer and turns them into principals of the kind ``identity_token``.

    `issuer` is compared exactly with `iss`. Exactly one of `audience` (one or several), `client_id`
    (Cognito's claim of that name, one or several) and `audience=ANY_AUDIENCE` must be given. `algorithms`
    is the allowlist; HS256, HS384 and HS512 only with keys given in code. `leeway` is in seconds, at most
    300. `typ` is the type that every token must have; left out, a token may have none, ``JWT`` or
    ``at+jwt``. `require` lists claims that must be there with exactly this text. ID tokens are refused
    unless `id_tokens` asks for them.

    `mapping` says what the claims grant; without it a principal has nothing but its subject. `platform` and
    `mode` are those of every principal.

    It asks for keys through an inquiry. Raises `ConfigurationError`, at construction and never later.
    """

    def __init__(
        self,
        issuer: str,
        *,
        keys: KeySet,
        audience: Audience | None = None,
        client_id: str | Collection[str] | None = None,
        algorithms: Collection[str] = ("RS256",),
        leeway: float = 30,
        typ: str | None = None,
        require: Mapping[str, str] | None = None,
        id_tokens: bool = False,
        platform: str = "",
        mode: Mode = "live",
        mapping: ClaimMapping = NO_MAPPING,
    ) -> None:
        if not issuer:
            raise ConfigurationError("issuer=…: the exact text of the iss claim")
        if (audience is None) == (client_id is None):
            raise ConfigurationError(
                "say whom the tokens are for: one of audience=…, client_id=… or audience=ANY_AUDIENCE"
            )
        self._algorithms = allowed_algorithms(algorithms)
        if keys.networked and self._algorithms & SYMMETRIC:
            raise ConfigurationError(
                f"algorithms={tuple(algorithms)!r}: HS256, HS384 and HS512 need keys given in code, "
                "keys=KeySet.from_jwks(…)"
            )
        if isinstance(leeway, bool) or not 0 <= leeway <= MAX_LEEWAY:
            raise ConfigurationError(f"leeway={leeway!r}: seconds, from 0 to {MAX_LEEWAY:.0f}")
        # The fields of a grant are checked here, not at the first token.
        Grant(platform=platform, mode=mode)
        self.issuer = issuer
        self.keys = keys
        self._audience = None if isinstance(audience, _AnyAudience) else _texts("audience", audience)
        self._client_ids = _texts("client_id", client_id)
        self._leeway = float(leeway)
        self._types = frozenset({_type(typ)}) if typ is not None else _ACCESS_TYPES
        if typ is None and id_tokens:
            self._types |= _ID_TYPES
        self._typed = typ is not None
        self._required = tuple((require or {}).items())
        self._id_tokens = id_tokens
        # Without one of these there is no need to look closer.
        self._telling = frozenset({"cnf"}) if id_tokens else _ID_CLAIMS | {"cnf", "token_use", "typ"}
        self._platform = platform
        self._mode: Mode = mode
        self._mapping = mapping
        # The header, up to the dot, of the last token that a key verified, and what of it counts: an issuer's tokens
        # have the same one for weeks. At first, what no token begins with.
        self._accepted: tuple[str, str, str | None] = "." * (MAX_TOKEN + 1), "", None

    def __repr__(self) -> str:
        return f"JwtIssuer({self.issuer!r})"

    @classmethod
    def oidc(
        cls,
        issuer: str,
        audience: Audience,
        *,
        keys: KeySet | None = None,
        algorithms: Collection[str] = ("RS256",),
        leeway: float = 30,
        typ: str | None = None,
        require: Mapping[str, str] | None = None,
        id_tokens: bool = False,
        platform: str = "",
        mode: Mode = "live",
        mapping: ClaimMapping = NO_MAPPING,
    ) -> "JwtIssuer":
        """An OpenID Connect provider or OAuth 2.0 server whose metadata names its keys.

        Many providers write `JWT` or nothing where RFC 9068 has ``at+jwt``; give ``typ="at+jwt"`` for one
        that keeps to it. `keys` replaces discovery.
        """
        return cls(
            issuer,
            keys=keys or KeySet.from_discovery(issuer),
            audience=audience,
            algorithms=algorithms,
            leeway=leeway,
            typ=typ,
            require=require,
            id_tokens=id_tokens,
            platform=platform,
            mode=mode,
            mapping=mapping,
        )

    @classmethod
    def cognito(
        cls,
        region: str,
        user_pool: str,
        client_id: str | Collection[str],
        *,
        roles: Mapping[str, str | Collection[str]] | None = None,
        accounts: Mapping[str, str | Collection[str]] | None = None,
        mapping: ClaimMapping | None = None,
        custom_claims: bool = False,
        keys: KeySet | None = None,
        leeway: float = 30,
        platform: str = "",
        mode: Mode = "live",
    ) -> "JwtIssuer":
        """The access tokens of an Amazon Cognito user pool: `token_use` is ``access``, `client_id` one of
        these.

        `roles` and `accounts` say what a group (`cognito:groups`) stands for; a group that is not listed
        stands for nothing. `mapping` replaces both; it may read a claim ``custom:…`` only with
        `custom_claims`, since users may be able to write those themselves. `keys` replaces the pool's own
        address of them.
        """
        if mapping is None:
            mapping = ClaimMapping(accounts=_groups(accounts), roles=_groups(roles))
        elif roles is not None or accounts is not None:
            raise ConfigurationError("give mapping=…, or roles=… and accounts=…, not both")
        custom = sorted(name for name in mapping.claims if name.startswith("custom:"))
        if custom and not custom_claims:
            raise ConfigurationError(
                f"mapping=…: users may be able to write {custom[0]!r}; if they cannot, add custom_claims=True"
            )
        suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        issuer = f"https://cognito-idp.{region}.{suffix}/{user_pool}"
        return cls(
            issuer,
            keys=keys or KeySet.from_url(f"{issuer}/.well-known/jwks.json"),
            client_id=client_id,
            leeway=leeway,
            require={"token_use": "access"},
            platform=platform,
            mode=mode,
            mapping=mapping,
        )

    def kind_of(self, credential: Credential) -> str | None:
        """``identity_token`` for a JWT whose `iss` is this issuer, None for anything else."""
        token = credential.token
        return IDENTITY_TOKEN if token is not None and token.issuer == self.issuer else None

    def authenticate(self, credential: Credential, now: float) -> Principal | Refusal | Inquiry[Principal | Refusal]:
        """The principal that a credential of this issuer proves at `now` (Unix seconds), or a refusal.

        An inquiry only where the key must be asked for; it lets `KeysUnavailable` through.
        """
        token = credential.token
        try:
            if token is None:
                raise InvalidToken("it is no JWT")
            alg, kid = self._check_header(token.header)
            key = self.keys.known(alg, kid)
            if key is not None:
                return self._principal(token, key, now)
            if self.keys.hopeless(kid):
                raise InvalidToken(_NO_KEY)
            self._check_before_asking(token.claims, now)
        except InvalidToken as problem:
            return Refusal(problem.code, it="token")
        return self._asking(token, now)

    def check(self, token: str, *, now: float | None = None) -> Mapping[str, object]:
        """The claims of a token, every one of them checked and the signature too.

        `now` is in Unix seconds, the system's time if left out. Waits at most five seconds where the key
        must be fetched. Raises `InvalidToken`, with the code ``token_expired`` for one that has only
        expired, else ``credential_invalid``; and `KeysUnavailable` where nobody can tell.
        """
        begin, alg, kid = self._accepted
        if not token.startswith(begin) or len(token) > MAX_TOKEN:
            begin = ""
            alg, kid = self._check_header(read_header(token))
        instant = time.time() if now is None else now
        key = self.keys.known(alg, kid)
        if key is None and self.keys.hopeless(kid):
            raise InvalidToken(_NO_KEY)
        claims, signing_input, signature = read_claims(token)
        if key is None:
            self._check_before_asking(claims, instant)
            key = self._found(drive(ask(self.keys, FindVerificationKey(alg, kid))))
        # It serves this algorithm: that is how it was found.
        if not key.algorithms[alg](signing_input, signature):
            raise InvalidToken(BAD_SIGNATURE)
        if not begin:
            # What strangers write never gets here.
            begin = token[: token.find(".") + 1]
            if len(begin) <= SHORT_HEADER:
                self._accepted = begin, alg, kid
        self._check_claims(claims, instant)
        return claims

    def subscribe(self, callback: Callable[[], object]) -> None:
        """Have `callback` called each time a key has left the issuer's set: see `KeySet.subscribe`."""
        self.keys.subscribe(callback)

    def attach(self, membership: Membership, /) -> None:
        """Part of being an authenticator: when a key leaves the set, so do the verdicts it gave."""
        issuer = self.issuer
        self.subscribe(lambda: membership.forget(lambda principal: principal.issuer == issuer))

    def _asking(self, token: UnverifiedToken, now: float) -> Inquiry[Principal | Refusal]:
        key = yield from ask(self.keys, FindVerificationKey(token.alg, token.kid))
        try:
            return self._principal(token, self._found(key), now)
        except InvalidToken as problem:
            return Refusal(problem.code, it="token")

    def _found(self, key: VerificationKey | None) -> VerificationKey:
        if key is None:
            raise InvalidToken(_NO_KEY)
        return key

    def _check_header(self, header: Mapping[str, object]) -> tuple[str, str | None]:
        alg = cast("str", header["alg"])
        if alg not in self._algorithms:
            raise InvalidToken("its algorithm is not allowed for its issuer")
        typ = header.get("typ")
        if typ is None:
            if self._typed:
                raise InvalidToken("it has no type")
        elif type(typ) is not str or (typ not in self._types and _type(typ) not in self._types):
            raise InvalidToken("it is of another type")
        return alg, cast("str | None", header.get("kid"))

    def _check_before_asking(self, claims: Mapping[str, object], now: float) -> None:
        # Nothing is believed here. A token that would be refused in the end is not worth a fetch.
        try:
            self._check_claims(claims, now)
        except InvalidToken as problem:
            raise InvalidToken(problem.reason) from None

    def _check_claims(self, claims: Mapping[str, object], now: float) -> float:
        if claims.get("iss") != self.issuer:
            raise InvalidToken("it is of another issuer")
        if not claims.keys().isdisjoint(self._telling):
            self._check_kind(claims)
        if self._client_ids is None:
            audience = claims.get("aud")
            if type(audience) is not str or self._audience is None or audience not in self._audience:
                check_audience(claims, self._audience)
        elif text_claim(claims, "client_id") not in self._client_ids:
            raise InvalidToken("it is for another client")
        if self._required:
            self._check_required(claims)
        sub, jti = claims.get("sub"), claims.get("jti", "-")
        if not (type(sub) is str and type(jti) is str and sub and jti and sub.isprintable() and jti.isprintable()):
            text_claim(claims, "sub")
            text_claim(claims, "jti")
        return check_times(claims, now=now, leeway=self._leeway)

    def _check_required(self, claims: Mapping[str, object]) -> None:
        for name, text in self._required:
            if claims.get(name) != text:
                raise InvalidToken(f"its {name} is not what this issuer's tokens must say")

    def _check_kind(self, claims: Mapping[str, object]) -> None:
        if "cnf" in claims:
            raise InvalidToken("it is bound to a key whose possession is not checked here")
        if not _ID_CLAIMS.isdisjoint(claims) or claims.get("token_use") == "id" or claims.get("typ") == "ID":
            raise InvalidToken("it is an ID token")

    def _principal(self, token: UnverifiedToken, key: VerificationKey, now: float) -> Principal:
        verify(token, key)
        ends = self._check_claims(token.claims, now)
        claims = token.claims
        subject = text_claim(claims, "sub")
        issued_at = float(cast("float", claims.get("iat", 0)))
        jti = claims.get("jti")
        return Principal(
            kind=IDENTITY_TOKEN,
            subject=subject,
            grant=Grant(platform=self._platform, mode=self._mode, expires_at=ends, **self._mapping.read(claims)),
            # Never the token or its digest: its issuer gave it no name, so it is called by what it says.
            credential_id=jti if isinstance(jti, str) else f"{subject}@{issued_at or ends:.0f}",
            issuer=self.issuer,
            issued_at=issued_at,
        )


def _groups(table: Mapping[str, str | Collection[str]] | None) -> tuple[Source, ...]:
    return () if table is None else (Claim("cognito:groups", table),)


def _texts(name: str, given: str | Collection[str] | None) -> frozenset[str] | None:
    if given is None:
        return None
    texts = frozenset((given,) if isinstance(given, str) else given)
    if not texts or not all(isinstance(text, str) and text for text in texts):
        raise ConfigurationError(f"{name}={given!r}: one text or several, none of them empty")
    return texts


def _type(typ: str) -> str:
    # RFC 7515 section 4.1.9: without case, and application/ may be left out.
    return typ.lower().removeprefix("application/")
