"""A certified OpenID provider: its tokens come to the guard while it rotates its keys, stops and starts."""

from collections.abc import Iterator
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from guestpass import Guard, JwtIssuer, KeySet
from guestpass.claims import Claim, ClaimMapping
from guestpass.concurrency.upkeep import Upkeep
from guestpass.errors import KeysUnavailable
from guestpass.tokens import read_token, sign
from key_server import Clock, NoUpkeep
from real.door import LOGS, ME, OTHER_LOGS, answer, guarding, outcome
from real.openid import ALGORITHMS, API, BACKEND, BROWSER, Keys, OpenIdProvider

pytestmark = pytest.mark.real

AUDIENCE = tuple(f"{API}/{alg}" for alg in ALGORITHMS)
MAPPING = ClaimMapping(
    accounts=Claim("account", {"acct_1"}),
    roles=Claim("groups", {"agents": "agent"}),
    components=Claim("scope", {"call_logs"}, separator=" "),
)
TRANSCRIPTS, VOICEMAILS = "/v1/accounts/acct_1/transcripts", "/v1/accounts/acct_1/voicemails"


@pytest.fixture(scope="module")
def keys() -> dict[str, Keys]:
    """Two generations of keys."""
    return {name: Keys(name) for name in ("old", "new")}


@pytest.fixture(scope="module")
def program() -> Iterator[OpenIdProvider]:
    running = OpenIdProvider()
    yield running
    running.close()


@pytest.fixture
def provider(program: OpenIdProvider, keys: dict[str, Keys]) -> OpenIdProvider:
    """It runs, and has its old keys."""
    program.start(keys["old"])
    return program


class Setting:
    """A guard for the provider, with a key set whose clock the test turns, and no upkeep but what it runs."""

    def __init__(self, provider: OpenIdProvider, **settings: Any) -> None:
        self.clock, self.upkeep, self.chance = Clock(), NoUpkeep(), 0.5
        self.keys = KeySet.from_discovery(
            provider.issuer,
            clock=self.clock,
            chance=lambda: self.chance,
            pause=self.clock.pause,
            upkeep=cast("Upkeep", self.upkeep),
        )
        said = {"algorithms": ALGORITHMS, "typ": "at+jwt", "mapping": MAPPING, **settings}
        self.issuer = JwtIssuer.oidc(provider.issuer, said.pop("audience", AUDIENCE), keys=self.keys, **said)
        self.guard: Guard = guarding(self.issuer)

    @property
    def freshness(self) -> str:
        return self.keys.state.freshness

    def answer(self, token: str, target: str = ME) -> str:
        return answer(self.guard, token, target)


@pytest.fixture
def setting(provider: OpenIdProvider) -> Setting:
    return Setting(provider)


# Tokens.


@pytest.mark.parametrize(("alg", "backend"), [*((alg, "asyncio") for alg in ALGORITHMS), ("ES256", "trio")])
def test_an_access_token_opens_what_its_claims_mean(provider: OpenIdProvider, alg: str, backend: str) -> None:
    """As its user builds it: the metadata says where the keys are."""
    issuer = JwtIssuer.oidc(provider.issuer, AUDIENCE, algorithms=ALGORITHMS, typ="at+jwt", mapping=MAPPING)
    token = provider.token(alg, scope="call_logs voicemails")
    assert (read_token(token).alg, read_token(token).header["typ"]) == (alg, "at+jwt")
    guard = guarding(issuer)
    seen = outcome(guard, token, TRANSCRIPTS, backend=backend)
    assert (seen.status, seen.said["kind"], seen.said["account"]) == (200, "identity_token", "acct_1")
    assert answer(guard, token, VOICEMAILS) == "component_disabled"  # No table lists that scope.
    assert answer(guard, token, LOGS) == "role_insufficient"
    assert answer(guard, token, OTHER_LOGS) == "account_mismatch"
    assert guard.check(token).subject == BACKEND
    assert read_token(token).kid in issuer.keys.state.kids


def test_a_user_who_signed_in_and_what_only_the_client_may_know(provider: OpenIdProvider) -> None:
    access, identity = provider.sign_in("ann", nonce="n-1")
    _, plain_identity = provider.sign_in("ann")
    strict, lax = Setting(provider), Setting(provider, typ=None)
    # Even of an API that has let itself be called as the client is.
    careless, typed = (Setting(provider, typ=typ, audience=(*AUDIENCE, BROWSER)) for typ in (None, "at+jwt"))
    for one in (strict, lax, careless, typed):
        assert one.answer(access, LOGS) == "let in"
        assert one.guard.check(access).subject == "ann"
        assert one.answer(identity) == "credential_invalid"
    for one in (strict, lax, typed):
        assert one.answer(plain_identity) == "credential_invalid"
    # Nothing in this one tells what it is: without a type and a nonce, only the audience keeps it out.
    assert "nonce" not in read_token(plain_identity).claims
    assert "typ" not in read_token(plain_identity).header


def test_a_token_that_is_bound_to_a_key_or_for_somebody_else(provider: OpenIdProvider, setting: Setting) -> None:
    bound = provider.bound_token()
    assert "cnf" in read_token(bound).claims
    assert setting.answer(bound) == "credential_invalid"
    assert setting.answer(provider.token(api="https://other.example")) == "credential_invalid"
    only = Setting(provider, algorithms=("ES256",))
    assert only.answer(provider.token("RS256")) == "credential_invalid"
    assert only.answer(provider.token("ES256")) == "let in"


def test_metadata_that_names_another_issuer_is_not_believed(provider: OpenIdProvider) -> None:
    for alias, why in (
        (provider.issuer.replace("127.0.0.1", "localhost"), "that of another issuer"),
        (f"{provider.issuer}/", "slash at the end"),
    ):
        keys = KeySet.from_discovery(alias)
        with pytest.raises(KeysUnavailable):
            keys.reload()
        assert why in keys.state.last_error


# Keys.


@pytest.mark.parametrize("alg", ["RS256", "ES256"])
def test_a_new_key_is_accepted_at_its_first_use(
    provider: OpenIdProvider, setting: Setting, keys: dict[str, Keys], alg: str
) -> None:
    before = [provider.token(alg) for _ in range(2)]
    assert setting.answer(before[0]) == "let in"
    provider.start(keys["new"], keys["old"])
    after = provider.token(alg)
    assert read_token(after).kid not in setting.keys.state.kids
    assert setting.answer(after) == "let in"
    assert [setting.answer(token) for token in before] == ["let in", "let in"]
    assert setting.keys.state.generation == 0


def test_a_new_key_is_never_called_wrong_because_others_sent_kids_at_random(
    provider: OpenIdProvider, setting: Setting, keys: dict[str, Keys]
) -> None:
    claims = read_token(provider.token()).claims
    own = ec.generate_private_key(ec.SECP256R1())
    forged = [sign(claims, {"kid": f"kid-{n}", "typ": "at+jwt"}, own, "ES256") for n in range(10)]
    assert setting.answer(provider.token()) == "let in"
    # Two may be looked for; nothing can be said of the others.
    assert [setting.answer(token) for token in forged] == ["credential_invalid"] * 2 + ["keys_unavailable"] * 8
    provider.start(keys["new"])
    token = provider.token()
    seen = outcome(setting.guard, token)
    assert (seen.status, seen.code) == (503, "keys_unavailable")
    setting.clock.now += int(seen.headers["retry-after"])
    assert setting.answer(token) == "let in"


def test_a_key_that_is_gone_ends_its_tokens_at_the_refresh(
    provider: OpenIdProvider, setting: Setting, keys: dict[str, Keys]
) -> None:
    cached, unseen = provider.token(), provider.token()
    assert setting.answer(cached) == "let in"
    provider.start(keys["new"])
    assert setting.answer(cached) == "let in"
    setting.keys.reload()
    assert [setting.answer(token) for token in (cached, unseen)] == ["credential_invalid"] * 2
    assert setting.answer(provider.token()) == "let in"
    assert setting.keys.state.generation == 1


def test_while_it_is_down_known_keys_pass_and_unknown_ones_are_not_judged(
    provider: OpenIdProvider, setting: Setting, keys: dict[str, Keys]
) -> None:
    cached, *unseen = (provider.token(alg) for alg in ("ES256", "ES256", "RS256", "ES256"))
    assert setting.answer(cached) == "let in"
    provider.start(keys["new"])
    unknown, unknown_too = provider.token(), provider.token("RS256")
    provider.stop()
    loaded = setting.keys.state
    for token in (unknown, unknown_too):
        seen = outcome(setting.guard, token)
        assert (seen.status, seen.code) == (503, "keys_unavailable")
        assert int(seen.headers["retry-after"]) >= 1
        assert "www-authenticate" not in seen.headers
    # Last known good, to the end of the whole window.
    setting.clock.now += loaded.fresh_for + 1
    assert setting.answer(unseen[0]) == "let in"
    assert setting.freshness == "stale"
    setting.clock.now += 3590
    assert setting.answer(unseen[1]) == "let in"
    assert setting.answer(cached) == "let in"
    setting.clock.now += 10
    setting.upkeep.run()
    assert [setting.answer(token) for token in (cached, unseen[2])] == ["keys_unavailable"] * 2
    assert setting.freshness == "expired"
    # It comes back, and the first request after the back-off finds it.
    provider.start(keys["new"], keys["old"])
    setting.clock.now += setting.keys.state.retry_after
    assert [setting.answer(token) for token in (unknown, unseen[2], unknown_too)] == ["let in"] * 3


def test_it_is_down_before_the_first_token(provider: OpenIdProvider, setting: Setting) -> None:
    token = provider.token()
    provider.stop()
    seen = outcome(setting.guard, token)
    assert (seen.status, seen.code) == (503, "keys_unavailable")
    assert setting.freshness == "empty"
    assert setting.keys.state.last_error
    with pytest.raises(KeysUnavailable):
        setting.issuer.check(token)


def test_it_restarts_with_the_same_keys(provider: OpenIdProvider, setting: Setting, keys: dict[str, Keys]) -> None:
    first = provider.token()
    assert setting.answer(first) == "let in"
    provider.stop()
    with pytest.raises(KeysUnavailable):
        setting.keys.reload()
    assert setting.answer(first) == "let in"
    provider.start(keys["old"])
    assert setting.answer(provider.token()) == "let in"
    setting.keys.reload()
    assert setting.keys.state.last_error == ""
    assert setting.keys.state.generation == 0
