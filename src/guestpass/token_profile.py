"""What the tokens of one outside issuer must look like: their algorithm, their type and their claims.

Knows the settings of one issuer and checks what is decoded against them. Knows nothing of keys and signatures, nor
of what a claim grants. All of it is pure.
"""

from collections.abc import Collection, Mapping
from typing import Final, TypeAlias

from guestpass.errors import ConfigurationError, InvalidToken
from guestpass.jwks import allowed_algorithms
from guestpass.tokens import check_audience, check_times, text_claim


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


class TokenProfile:
    """The settings of an issuer that its tokens are held to; `JwtIssuer` says what each means.

    Raises `ConfigurationError` for settings that no token could pass with, or too many.
    """

    def __init__(
        self,
        *,
        audience: Audience | None,
        client_id: str | Collection[str] | None,
        algorithms: Collection[str],
        leeway: float,
        typ: str | None,
        require: Mapping[str, str] | None,
        id_tokens: bool,
    ) -> None:
        if (audience is None) == (client_id is None):
            raise ConfigurationError(
                "say whom the tokens are for: one of audience=…, client_id=… or audience=ANY_AUDIENCE"
            )
        if isinstance(leeway, bool) or not 0 <= leeway <= MAX_LEEWAY:
            raise ConfigurationError(f"leeway={leeway!r}: seconds, from 0 to {MAX_LEEWAY:.0f}")
        self.algorithms: Final = allowed_algorithms(algorithms)
        self._audience = None if isinstance(audience, _AnyAudience) else _texts("audience", audience)
        self._client_ids = _texts("client_id", client_id)
        self._leeway = float(leeway)
        self._types = frozenset({_type(typ)}) if typ is not None else _ACCESS_TYPES
        if typ is None and id_tokens:
            self._types |= _ID_TYPES
        self._typed = typ is not None
        self._required = tuple((require or {}).items())
        # Without one of these there is no need to look closer.
        self._telling = frozenset({"cnf"}) if id_tokens else _ID_CLAIMS | {"cnf", "token_use", "typ"}

    def check_header(self, header: Mapping[str, object]) -> tuple[str, str | None]:
        """The algorithm and the kid that a header names, as `read_header` gave it. Raises `InvalidToken` for an
        algorithm or a type that the issuer's tokens do not have."""
        alg: str = header["alg"]  # type: ignore[assignment] # read_header saw to it
        if alg not in self.algorithms:
            raise InvalidToken("its algorithm is not allowed for its issuer")
        typ = header.get("typ")
        if typ is None:
            if self._typed:
                raise InvalidToken("it has no type")
        elif type(typ) is not str or (typ not in self._types and _type(typ) not in self._types):
            raise InvalidToken("it is of another type")
        return alg, header.get("kid")  # type: ignore[return-value] # read_header saw to it

    def check_claims(self, claims: Mapping[str, object], now: float) -> float:
        """The instant, in Unix seconds, from which a token with these claims is no longer valid.

        Raises `InvalidToken`, with the code ``token_expired`` where that has passed. That `iss` is the issuer's is
        for the caller to see: it decides whose profile counts.
        """
        # What a call would do is done here where it is a comparison: calls cost as much as that.
        if not self._telling.isdisjoint(claims):
            self._check_kind(claims)
        if self._client_ids is None:
            audience = claims.get("aud")
            if type(audience) is not str or self._audience is None or audience not in self._audience:
                check_audience(claims, self._audience)
        elif text_claim(claims, "client_id") not in self._client_ids:
            raise InvalidToken("it is for another client")
        for name, text in self._required:
            if claims.get(name) != text:
                raise InvalidToken(f"its {name} is not what this issuer's tokens must say")
        sub, jti = claims.get("sub"), claims.get("jti", "-")
        if not (type(sub) is str and type(jti) is str and sub and jti and sub.isprintable() and jti.isprintable()):
            text_claim(claims, "sub")
            text_claim(claims, "jti")
        return check_times(claims, now, self._leeway)

    def _check_kind(self, claims: Mapping[str, object]) -> None:
        if "cnf" in claims:
            raise InvalidToken("it is bound to a key whose possession is not checked here")
        if not _ID_CLAIMS.isdisjoint(claims) or claims.get("token_use") == "id" or claims.get("typ") == "ID":
            raise InvalidToken("it is an ID token")


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
