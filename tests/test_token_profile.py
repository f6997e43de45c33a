"""What an issuer's tokens must look like, without keys: headers and claims as they were decoded."""

from typing import Any

import pytest

from guestpass.errors import ConfigurationError, InvalidToken
from guestpass.token_profile import ANY_AUDIENCE, TokenProfile

NOW = 1_800_000_000
CLAIMS: dict[str, object] = {"aud": "api", "sub": "u", "exp": NOW + 60}


def profile(**settings: Any) -> TokenProfile:
    given: dict[str, Any] = {
        "audience": "api",
        "client_id": None,
        "algorithms": ("ES256",),
        "leeway": 30,
        "typ": None,
        "require": None,
        "id_tokens": False,
    }
    return TokenProfile(**{**given, **settings})


@pytest.mark.parametrize(
    ("settings", "header", "reason"),
    [
        ({}, {"alg": "RS256"}, "its algorithm is not allowed for its issuer"),
        ({}, {"alg": "ES256", "typ": "id+jwt"}, "it is of another type"),
        ({}, {"alg": "ES256", "typ": 1}, "it is of another type"),
        ({"typ": "at+jwt"}, {"alg": "ES256"}, "it has no type"),
        ({"typ": "at+jwt"}, {"alg": "ES256", "typ": "JWT"}, "it is of another type"),
    ],
)
def test_a_header_that_does_not_fit_says_why(settings: dict[str, Any], header: dict[str, object], reason: str) -> None:
    with pytest.raises(InvalidToken) as problem:
        profile(**settings).check_header(header)
    assert problem.value.reason == reason


@pytest.mark.parametrize(
    ("settings", "header"),
    [
        ({}, {}),
        ({}, {"typ": "JWT"}),
        ({}, {"typ": "application/AT+JWT"}),
        ({"typ": "application/at+jwt"}, {"typ": "at+JWT"}),
        ({"id_tokens": True}, {"typ": "id_token+jwt"}),
    ],
)
def test_of_a_header_that_fits_two_things_count(settings: dict[str, Any], header: dict[str, object]) -> None:
    one = profile(**settings)
    assert one.check_header({"alg": "ES256", "kid": "k", **header}) == ("ES256", "k")
    assert one.check_header({"alg": "ES256", **header}) == ("ES256", None)


@pytest.mark.parametrize(
    ("settings", "claims", "reason"),
    [
        ({}, {"aud": "other"}, "it is for another audience than api"),
        ({"audience": None, "client_id": "c"}, {}, "its client_id is missing or no text"),
        ({"audience": None, "client_id": "c"}, {"client_id": "d"}, "it is for another client"),
        ({"require": {"azp": "app"}}, {"azp": "App"}, "its azp is not what this issuer's tokens must say"),
        ({}, {"sub": ""}, "its sub is missing or no text"),
        ({}, {"sub": "a\nb"}, "its sub is missing or no text"),
        ({}, {"jti": ""}, "its jti is missing or no text"),
        ({}, {"jti": None}, "its jti is missing or no text"),
        ({}, {"jti": "a\x7fb"}, "its jti is missing or no text"),
        ({}, {"cnf": {}}, "it is bound to a key whose possession is not checked here"),
        ({"id_tokens": True}, {"cnf": {}, "nonce": "n"}, "it is bound to a key whose possession is not checked here"),
        ({}, {"nonce": ""}, "it is an ID token"),
        ({}, {"token_use": "id"}, "it is an ID token"),
        ({}, {"typ": "ID"}, "it is an ID token"),
    ],
)
def test_claims_that_do_not_fit_say_why(settings: dict[str, Any], claims: dict[str, object], reason: str) -> None:
    with pytest.raises(InvalidToken) as problem:
        profile(**settings).check_claims({**CLAIMS, **claims}, NOW)
    assert (problem.value.reason, problem.value.code) == (reason, "credential_invalid")


def test_of_claims_that_fit_the_end_counts() -> None:
    assert profile().check_claims(CLAIMS, NOW) == NOW + 90
    assert profile(leeway=0).check_claims({**CLAIMS, "exp": NOW + 1.9}, NOW) == NOW + 1
    assert profile(audience=ANY_AUDIENCE).check_claims({"sub": "u", "exp": NOW + 60}, NOW) == NOW + 90
    # Whose they are is not its business.
    assert profile().check_claims({**CLAIMS, "iss": "anyone"}, NOW) == NOW + 90
    with pytest.raises(InvalidToken) as problem:
        profile().check_claims(CLAIMS, NOW + 90)
    assert problem.value.code == "token_expired"


@pytest.mark.parametrize(
    "settings", [{"audience": None}, {"client_id": "c"}, {"algorithms": ()}, {"leeway": -1}, {"audience": ""}]
)
def test_settings_that_let_nothing_pass_or_too_much_are_a_mistake(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        profile(**settings)
