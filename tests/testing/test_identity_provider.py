"""The identity provider on loopback: what it serves, and each way in which it misbehaves."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from guestpass import Always, ClaimMapping, ConfigurationError, Guard, InvalidToken, JwtIssuer, KeysUnavailable, Rule
from guestpass.testing import Clock, IdentityProvider, Kit, Lie
from support import code_of, policy


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    with IdentityProvider(algorithm="EdDSA") as provider:
        yield provider


def get(url: str, timeout: float = 5) -> dict[str, object]:
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        document: dict[str, object] = json.load(answer)
        return document


def let_in(issuer: JwtIssuer, token: str) -> str:
    """``let in``, or why not."""
    try:
        issuer.check(token)
    except (InvalidToken, KeysUnavailable) as problem:
        return problem.code
    return "let in"


def test_its_metadata_names_its_keys(provider: IdentityProvider) -> None:
    metadata = get(f"{provider.issuer}/.well-known/openid-configuration")
    assert metadata == {"issuer": provider.issuer, "jwks_uri": provider.jwks_uri}
    assert get(provider.jwks_uri) == provider.jwks()
    assert provider.requests == ["/.well-known/openid-configuration", "/jwks.json"]
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get(f"{provider.issuer}/nothing")


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_its_tokens_are_good(algorithm: str) -> None:
    with IdentityProvider(algorithm=algorithm, audience="shop") as provider:
        issuer = provider.authenticator()
        claims = issuer.check(provider.token("ada", groups=["staff"], jti=None))
        assert (claims["sub"], claims["aud"], claims["groups"]) == ("ada", "shop", ["staff"])
        assert "jti" not in claims


def test_a_guard_lets_its_users_in_as_the_mapping_says() -> None:
    clock = Clock()
    with IdentityProvider(algorithm="EdDSA", clock=clock, lifetime=60) as provider:
        mapping = ClaimMapping(accounts=Always("acct_1"))
        authenticator = provider.authenticator(mapping=mapping, platform="plat", leeway=0)
        kit = Kit.around(policy(Rule("GET /")), clock=clock, authenticators=[authenticator])
        token = provider.token("ada")
        ada = kit.guard.check(token)
        assert (ada.kind, ada.subject, ada.account, ada.platform, ada.mode) == (
            "identity_token",
            "ada",
            "acct_1",
            "plat",
            "test",
        )
        clock.advance(60)
        assert code_of(lambda: kit.guard.check(token)) == "token_expired"


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"exp": 1}, "token_expired"),
        ({"aud": "others"}, "credential_invalid"),
        ({"iss": "https://another.example"}, "credential_invalid"),
        ({"sub": None}, "credential_invalid"),
        ({"nonce": "of an ID token"}, "credential_invalid"),
    ],
)
def test_a_token_can_be_wrong_in_any_claim(provider: IdentityProvider, claims: dict[str, object], code: str) -> None:
    issuer = provider.authenticator()
    # Of a token whose key is not known yet nothing is believed, and so nothing is said but that it is invalid.
    assert let_in(issuer, provider.token("ada")) == "let in"
    assert let_in(issuer, provider.sign(provider.claims("ada", **claims))) == code


def test_a_token_can_be_wrong_in_its_header_and_be_forged(provider: IdentityProvider) -> None:
    issuer = provider.authenticator()
    assert let_in(issuer, provider.token(header={"typ": "id+jwt"})) == "credential_invalid"
    assert let_in(issuer, provider.token(header={"kid": None})) == "let in"
    assert let_in(issuer, provider.token(forged=True)) == "credential_invalid"
    assert let_in(issuer, provider.token()) == "let in"


def test_after_a_rotation_both_keys_are_good_unless_the_old_one_is_dropped(provider: IdentityProvider) -> None:
    issuer = provider.authenticator()
    first = provider.token()
    assert let_in(issuer, first) == "let in"
    kid = provider.rotate()
    assert provider.kids[-1] == kid
    assert [let_in(issuer, token) for token in (provider.token(), first)] == ["let in", "let in"]
    assert len(get(provider.jwks_uri)["keys"]) == 2  # type: ignore[arg-type]
    provider.rotate(keep=False)
    # A key set looks for unknown keys twice at most, and then not for half a minute: a new one.
    issuer = provider.authenticator()
    assert [let_in(issuer, token) for token in (provider.token(), first)] == ["let in", "credential_invalid"]


@pytest.mark.parametrize("lie", ["another_issuer", "no_keys", "no_json", "error", "redirect"])
def test_a_lie_that_leaves_no_keys_is_an_outage_until_it_is_honest(provider: IdentityProvider, lie: Lie) -> None:
    provider.lie(lie)
    keys = provider.key_set(pause=lambda _: None)
    assert let_in(provider.authenticator(keys=keys), provider.token()) == "keys_unavailable"
    provider.be_honest()
    assert let_in(provider.authenticator(), provider.token()) == "let in"


def test_keys_that_are_not_its_own_make_its_tokens_wrong(provider: IdentityProvider) -> None:
    provider.lie("other_keys")
    assert let_in(provider.authenticator(), provider.token()) == "credential_invalid"
    published = get(provider.jwks_uri)["keys"]
    assert isinstance(published, list)
    assert [jwk["kid"] for jwk in published] == list(provider.kids)


def test_an_unknown_lie_is_told(provider: IdentityProvider) -> None:
    with pytest.raises(ConfigurationError, match="one of another_issuer"):
        provider.lie("white")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="one of RS256"):
        IdentityProvider(algorithm="HS256")


def test_stopped_it_is_out_of_reach_and_started_it_is_back_at_the_same_address(provider: IdentityProvider) -> None:
    provider.stop()
    provider.stop()
    with pytest.raises(urllib.error.URLError, match="refused"):
        get(provider.jwks_uri)
    assert let_in(provider.authenticator(), provider.token()) == "keys_unavailable"
    provider.start()
    provider.start()
    assert let_in(provider.authenticator(), provider.token()) == "let in"


def test_held_requests_are_counted_and_answered_at_the_end(provider: IdentityProvider) -> None:
    found: list[dict[str, object]] = []
    threads = [threading.Thread(target=lambda: found.append(get(provider.jwks_uri))) for _ in range(3)]
    with provider.held():
        for thread in threads:
            thread.start()
        provider.wait_for_requests(3)
        assert found == []
        with pytest.raises(TimeoutError, match="3 requests came within 0 seconds, not 4"):
            provider.wait_for_requests(4, timeout=0)
    for thread in threads:
        thread.join(5)
    assert found == [provider.jwks()] * 3


def test_a_slow_one_is_waited_for(provider: IdentityProvider) -> None:
    provider.slow(60)
    with pytest.raises(TimeoutError):
        get(provider.jwks_uri, timeout=0.05)
    provider.slow(0)
    assert get(provider.jwks_uri) == provider.jwks()


def test_a_live_guard_refuses_its_users(provider: IdentityProvider) -> None:
    live = Guard(authenticators=[provider.authenticator()], policy=policy(Rule("GET /")), mode="live")
    assert code_of(lambda: live.check(provider.token())) == "credential_invalid"
    with pytest.raises(ConfigurationError, match="of test mode"):
        provider.authenticator(mode="live")


def test_what_waits_is_cut_off_when_it_stops(provider: IdentityProvider) -> None:
    problems: list[Exception] = []

    def ask() -> None:
        try:
            get(provider.jwks_uri)
        except OSError as problem:
            problems.append(problem)

    provider.slow(60)
    for number in (1, 2):
        thread = threading.Thread(target=ask)
        thread.start()
        provider.wait_for_requests(number)
        provider.stop()
        thread.join(5)
        provider.start()
        provider.slow(0)
        provider._gate.clear()
    assert len(problems) == 2


def test_a_crowd_makes_one_fetch(provider: IdentityProvider) -> None:
    issuer, token = provider.authenticator(), provider.token()
    outcomes: list[str] = []
    threads = [threading.Thread(target=lambda: outcomes.append(let_in(issuer, token))) for _ in range(20)]
    with provider.held():
        for thread in threads:
            thread.start()
        provider.wait_for_requests(1)
    for thread in threads:
        thread.join(10)
    assert outcomes == ["let in"] * 20
    assert provider.requests == ["/.well-known/openid-configuration", "/jwks.json"]


def test_nothing_of_it_shows_a_key(provider: IdentityProvider) -> None:
    assert repr(provider) == f"IdentityProvider({provider.issuer!r})"
    assert all("d" not in jwk for jwk in provider.jwks()["keys"])
