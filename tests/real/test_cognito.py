"""Cognito as `moto` serves it: users sign in at a pool, and their tokens come to the guard."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator

import pytest

from guestpass import JwtIssuer, KeySet
from guestpass.claims import ANY, Claim, ClaimMapping
from guestpass.errors import ConfigurationError, KeysUnavailable
from guestpass.tokens import read_token
from real.cognito import REGION, Cognito, Pool, cognito
from real.door import LOGS, ME, OTHER_LOGS, answer, guarding, outcome

pytestmark = pytest.mark.real

CUSTOM = ClaimMapping(accounts=Claim("custom:account", ANY))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cognito]:
    with cognito(tmp_path_factory.mktemp("cognito")) as running:
        yield running


@pytest.fixture
def pool(service: Cognito) -> Pool:
    return service.pool()


@pytest.fixture
def client(pool: Pool) -> str:
    return pool.client()


@pytest.fixture
def issuer(pool: Pool, client: str) -> JwtIssuer:
    """As its user builds it. The keys come from where Cognito has them, over TLS and under its name."""
    roles, accounts = {"agents": "agent", "admins": "admin"}, {"acme": "acct_1"}
    return JwtIssuer.cognito(REGION, pool.id, client, roles=roles, accounts=accounts, platform="plat")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_user_who_signed_in_may_do_what_the_tables_make_of_the_groups(
    pool: Pool, client: str, issuer: JwtIssuer, backend: str
) -> None:
    pool.user("ann", "agents", "acme", "strangers")
    token = pool.sign_in("ann", client)["AccessToken"]
    guard = guarding(issuer)
    seen = outcome(guard, token, LOGS, backend=backend)
    assert (seen.status, seen.said["kind"], seen.said["account"]) == (200, "identity_token", "acct_1")
    assert answer(guard, token, OTHER_LOGS) == "account_mismatch"
    assert answer(guard, token, LOGS, "DELETE") == "role_insufficient"
    who = guard.check(token)
    assert who.subject == read_token(token).claims["sub"]
    assert (who.platform, who.grant.accounts, who.grant.roles) == (
        "plat",
        frozenset({"acct_1"}),
        frozenset({"agent", "external_entity"}),
    )
    assert issuer.keys.state.kids == (read_token(token).kid,)


def test_groups_that_no_table_lists_open_nothing(pool: Pool, client: str, issuer: JwtIssuer) -> None:
    pool.user("bob", "acct_1", "admin")
    token = pool.sign_in("bob", client)["AccessToken"]
    guard = guarding(issuer)
    assert (answer(guard, token), answer(guard, token, LOGS)) == ("let in", "account_mismatch")
    assert not guard.check(token).grant.roles


def test_only_the_access_tokens_of_the_pool_and_its_client(
    service: Cognito, pool: Pool, client: str, issuer: JwtIssuer
) -> None:
    """All of them are real, of the same service, and signed with the same key: `moto` has only one."""
    pool.user("ann", "admins", "acme")
    mine, through_another = pool.sign_in("ann", client), pool.sign_in("ann", pool.client())
    elsewhere = service.pool()
    elsewhere.user("ann", "admins", "acme")
    foreign = elsewhere.sign_in("ann", elsewhere.client())
    guard = guarding(issuer)
    assert answer(guard, mine["AccessToken"], LOGS) == "let in"
    for token in (
        mine["IdToken"],
        through_another["AccessToken"],
        through_another["IdToken"],
        foreign["AccessToken"],
        foreign["IdToken"],
        altered(mine["AccessToken"], {"cognito:groups": ["admins", "acme", "more"]}),
        altered(foreign["AccessToken"], {"iss": issuer.issuer, "client_id": client}),
    ):
        assert answer(guard, token) == "credential_invalid"
    assert read_token(foreign["AccessToken"]).kid == read_token(mine["AccessToken"]).kid


def test_two_pools_each_with_a_table_of_its_own(service: Cognito, pool: Pool, client: str, issuer: JwtIssuer) -> None:
    elsewhere = service.pool()
    at = elsewhere.client()
    other = JwtIssuer.cognito(REGION, elsewhere.id, at, accounts={"acme": "acct_2"}, roles={"acme": "agent"})
    guard = guarding(issuer, other)
    for one, through, logs in ((pool, client, LOGS), (elsewhere, at, OTHER_LOGS)):
        one.user("ann", "acme", "agents")
        token = one.sign_in("ann", through)["AccessToken"]
        assert answer(guard, token, logs) == "let in"
        assert answer(guard, token, LOGS if logs == OTHER_LOGS else OTHER_LOGS) == "account_mismatch"
        assert guard.check(token).issuer.endswith(one.id)


def test_what_users_write_themselves_counts_only_where_somebody_says_so(
    pool: Pool, client: str, issuer: JwtIssuer
) -> None:
    with pytest.raises(ConfigurationError, match="custom_claims"):
        JwtIssuer.cognito(REGION, pool.id, client, mapping=CUSTOM)
    pool.user("eve", account="acct_9")
    written = [{"Name": "custom:account", "Value": "acct_1"}]
    pool.service.ask(
        "UpdateUserAttributes", AccessToken=pool.sign_in("eve", client)["AccessToken"], UserAttributes=written
    )
    token = pool.sign_in("eve", client)["IdToken"]
    assert read_token(token).claims["custom:account"] == "acct_1"

    def taking(mapping: ClaimMapping) -> JwtIssuer:
        # Only ID tokens have these claims, unless a trigger of the pool puts them into access tokens too.
        asked = {"token_use": "id"}
        return JwtIssuer(
            issuer.issuer, keys=issuer.keys, audience=client, id_tokens=True, require=asked, mapping=mapping
        )

    assert answer(guarding(issuer), token) == "credential_invalid"
    assert guarding(taking(ClaimMapping())).check(token).grant.accounts == frozenset()
    assert guarding(taking(CUSTOM)).check(token).grant.accounts == frozenset({"acct_1"})


def test_the_keys_are_found_through_the_metadata_too(pool: Pool, client: str, issuer: JwtIssuer) -> None:
    pool.user("ann", "acme")
    found = JwtIssuer(issuer.issuer, keys=KeySet.from_discovery(issuer.issuer), client_id=client)
    token = pool.sign_in("ann", client)["AccessToken"]
    assert answer(guarding(found), token, ME) == "let in"
    assert found.check(token)["username"] == "ann"


def test_nobody_but_cognito_is_asked_for_its_keys(
    pool: Pool, client: str, issuer: JwtIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers for another region, which its certificate does not name; then nobody vouches for it."""
    pool.user("ann")
    token = pool.sign_in("ann", client)["AccessToken"]
    with pytest.raises(KeysUnavailable):
        JwtIssuer.cognito("us-east-1", "us-east-1_guests", client).keys.reload()
    monkeypatch.delenv("SSL_CERT_FILE")
    seen = outcome(guarding(issuer), token)
    assert (seen.status, seen.code) == (503, "keys_unavailable")
    assert int(seen.headers["retry-after"]) >= 1
    assert "SSLCertVerificationError" in issuer.keys.state.last_error


def altered(token: str, claims: dict[str, object]) -> str:
    """A token with other claims and the old signature."""
    header, payload, signature = token.split(".")
    said = {**json.loads(urlsafe_b64decode(payload + "==")), **claims}
    return f"{header}.{urlsafe_b64encode(json.dumps(said).encode()).rstrip(b'=').decode()}.{signature}"
