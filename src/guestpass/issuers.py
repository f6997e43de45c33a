"""Identity tokens: JWTs of an outside issuer, and the principals that they prove.

Knows one issuer's settings and the order in which its tokens are checked: what is cheap first, claims only
after the signature. Knows nothing of how keys are fetched or signatures computed. One object is one issuer;
a guard chooses it by `iss` from the issuers it was built with, never from anything else that a token says.
"""

import time
from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Final, TypedDict, Unpack

from guestpass.authenticators import Membership
from guestpass.claims import NO_MAPPING, Claim, ClaimMapping, Source
from guestpass.credentials import Credential
from guestpass.errors import ConfigurationError, InvalidToken
from guestpass.grants import Grant, Mode
from guestpass.inquiry import Inquiry, ask, drive
from guestpass.jwks import SYMMETRIC, VerificationKey, Verifier
from guestpass.keysets.keyset import FindVerificationKey, KeySet
from guestpass.principal import IDENTITY_TOKEN, Principal, Standing
from guestpass.refusals import Refusal
from guestpass.token_profile import ANY_AUDIENCE, Audience, TokenProfile
from guestpass.tokens import (
    BAD_SIGNATURE,
    MAX_TOKEN,
    UnverifiedToken,
    keep_header,
    read_claims,
    read_header,
    split,
)

__all__ = ["ANY_AUDIENCE", "Audience", "IssuerSettings", "JwtIssuer"]

_FOREIGN: Final = "it is of another issuer"
_NO_KEY: Final = "its issuer has no such key"

_STANDINGS: Final = 1_024
"""What tokens are granted, of which so many ways are remembered, and as many ways of saying it."""

_SHORT: Final = 1_024
"""Characters of a way of saying it that is remembered: a token has room for a thousand groups that mean nothing."""


class IssuerSettings(TypedDict, total=False):
    """What can be set of any `JwtIssuer`, which says what each means."""

    algorithms: Collection[str]
    leeway: float
    typ: str | None
    require: Mapping[str, str] | None
    id_tokens: bool
    platform: str
    mode: Mode
    mapping: ClaimMapping


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

    # A key that leaves the set ends the verdicts it gave at once; this is for a process whose upkeep cannot run.
    good_for = 60.0

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
        self._profile = TokenProfile(
            audience=audience,
            client_id=client_id,
            algorithms=algorithms,
            leeway=leeway,
            typ=typ,
            require=require,
            id_tokens=id_tokens,
        )
        if keys.networked and self._profile.algorithms & SYMMETRIC:
            raise ConfigurationError(
                f"algorithms={tuple(algorithms)!r}: HS256, HS384 and HS512 need keys given in code, "
                "keys=KeySet.from_jwks(…)"
            )
        # The fields of a grant are checked here, not at the first token.
        Grant(platform=platform, mode=mode)
        self.issuer = issuer
        self.keys = keys
        self._platform = platform
        self._mode: Mode = mode
        self._mapping = mapping
        # A mapping of one's own may read more than the claims that it names: that is read each time.
        self._said: Callable[[Mapping[str, object]], Hashable]
        self._said = mapping.said if type(mapping) is ClaimMapping else mapping.read
        self._by_said: dict[Hashable, Standing] = {}
        self._by_granted: dict[Hashable, Standing] = {}
        # The header, up to the dot, of the last token that a key verified, and what of it counts: nearly always the
        # next one's too. At first, what no token begins with.
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
        **settings: Unpack[IssuerSettings],
    ) -> "JwtIssuer":
        """An OpenID Connect provider or OAuth 2.0 server whose metadata names its keys.

        Many providers write `JWT` or nothing where RFC 9068 has ``at+jwt``; give ``typ="at+jwt"`` for one
        that keeps to it. `keys` replaces discovery.
        """
        return cls(issuer, keys=keys or KeySet.from_discovery(issuer), audience=audience, **settings)

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
        return IDENTITY_TOKEN if token is not None and token.claims.get("iss") == self.issuer else None

    def authenticate(self, credential: Credential, now: float) -> Principal | Refusal | Inquiry[Principal | Refusal]:
        """The principal that a credential of this issuer proves at `now` (Unix seconds), or a refusal.

        An inquiry only where the key must be asked for. It, and this, let `KeysUnavailable` through.
        """
        token = credential.token
        try:
            if token is None or token.claims.get("iss") != self.issuer:
                raise InvalidToken(_FOREIGN)
            alg, kid = self._profile.check_header(token.header)
            key = self.keys.known(alg, kid)
            if key is not None:
                return self._principal(token, key.algorithms[alg], now)
            if not self.keys.worth_asking(kid):
                raise InvalidToken(_NO_KEY)
            self._check_before_asking(token.claims, now)
        except InvalidToken as problem:
            return Refusal(problem.code, it="token", because=problem.reason)
        return self._asking(token, now)

    def check(self, token: str, *, now: float | None = None) -> Mapping[str, object]:
        """The claims of a token, every one of them checked and the signature too.

        `now` is in Unix seconds, the system's time if left out. Waits at most five seconds where the key
        must be fetched. Raises `InvalidToken`, with the code ``token_expired`` for one that has only
        expired, else ``credential_invalid``; and `KeysUnavailable` where nobody can tell, whatever else may be
        wrong with the token.
        """
        begin, alg, kid = self._accepted
        header = None
        if not token.startswith(begin) or len(token) > MAX_TOKEN:
            header = read_header(token)
            alg, kid = self._profile.check_header(header)
        instant = time.time() if now is None else now
        key = self.keys.known(alg, kid)
        if key is None and not self.keys.worth_asking(kid):
            raise InvalidToken(_NO_KEY)
        payload, signing_input, signature = split(token)
        claims = read_claims(payload)
        if claims.get("iss") != self.issuer:
            raise InvalidToken(_FOREIGN)
        if key is None:
            self._check_before_asking(claims, instant)
            key = self._found(drive(ask(self.keys, FindVerificationKey(alg, kid))))
        # It serves this algorithm: that is how it was found.
        if not key.algorithms[alg](signing_input, signature):
            raise InvalidToken(BAD_SIGNATURE)
        if header is not None:
            encoded = token.partition(".")[0]
            if keep_header(encoded, header):
                self._accepted = f"{encoded}.", alg, kid
        self._profile.check_claims(claims, instant)
        return claims

    def subscribe(self, callback: Callable[[], object]) -> None:
        """Have `callback` called each time a key has left the issuer's set: see `KeySet.subscribe`."""
        self.keys.subscribe(callback)

    def attach(self, membership: Membership, /) -> None:
        """Part of being an authenticator: when a key leaves the set, so do the verdicts it gave; and who observes the
        guard is told how the set fares."""
        issuer = self.issuer
        if membership.tell is not None:
            self.keys.observe(issuer, membership.tell)
        self.subscribe(lambda: membership.forget(lambda principal: principal.issuer == issuer))

    def _asking(self, token: UnverifiedToken, now: float) -> Inquiry[Principal | Refusal]:
        key = yield from ask(self.keys, FindVerificationKey(token.alg, token.kid))
        try:
            return self._principal(token, self._found(key).algorithms[token.alg], now)
        except InvalidToken as problem:
            return Refusal(problem.code, it="token", because=problem.reason)

    def _found(self, key: VerificationKey | None) -> VerificationKey:
        if key is None:
            raise InvalidToken(_NO_KEY)
        return key

    def _check_before_asking(self, claims: Mapping[str, object], now: float) -> None:
        # Nothing is believed here. A token that would be refused in the end is not worth a fetch.
        try:
            self._profile.check_claims(claims, now)
        except InvalidToken as problem:
            raise InvalidToken(problem.reason) from None

    def _principal(self, token: UnverifiedToken, verifies: Verifier, now: float) -> Principal:
        # Of a key that serves the algorithm: that is how it was found.
        if not verifies(token.signing_input, token.signature):
            raise InvalidToken(BAD_SIGNATURE)
        keep_header(token.encoded_header, token.header)
        claims = token.claims
        ends = self._profile.check_claims(claims, now)
        subject: str = claims["sub"]  # type: ignore[assignment] # the profile saw to it
        issued_at = float(claims.get("iat", 0))  # type: ignore[arg-type] # as above
        jti = claims.get("jti")
        # Never the token or its digest: where its issuer gave it no name, it is called by what it says.
        name = jti if isinstance(jti, str) else f"{subject}@{issued_at or ends:.0f}"
        return Principal.of(self._standing(claims), subject, name, ends, issued_at)

    def _standing(self, claims: Mapping[str, object]) -> Standing:
        """What the claims grant: read once for all tokens that say the same in every claim that the mapping reads, and
        made once for all that are granted the same."""
        said = self._said(claims)
        standing = self._by_said.get(said)
        if standing is None:
            granted = self._mapping.read(claims)
            standing = self._by_granted.get(granted)
            if standing is None:
                accounts, roles, components = granted
                grant = Grant(self._platform, self._mode, accounts, components, roles)
                standing = _kept(self._by_granted, granted, Standing(IDENTITY_TOKEN, grant, self.issuer))
            if len(repr(said)) <= _SHORT:
                _kept(self._by_said, said, standing)
        return standing


def _kept(standings: dict[Hashable, Standing], by: Hashable, standing: Standing) -> Standing:
    if len(standings) >= _STANDINGS:
        standings.clear()
    standings[by] = standing
    return standing


def _groups(table: Mapping[str, str | Collection[str]] | None) -> tuple[Source, ...]:
    return () if table is None else (Claim("cognito:groups", table),)
