"""``guestpass revoke``: what ends, what does not, and that it may be done twice."""

import json
import uuid

import pytest

from cli.conftest import ACCOUNT, Run, StartApi
from guestpass import Grant, Principal
from guestpass.revocation.revocations import Revocations
from guestpass.stores import Store

OTHER = "acct_2"
USER = "0b6d1f5e-6b3c-4b63-9a0e-0d5f3a5a7c11"


def secret_of(run: Run, platform: str = "voice") -> str:
    return run("keys", "create", "--platform", platform)[1].strip()


def test_an_account_loses_everything_minted_until_now(run: Run, api: StartApi) -> None:
    secret, elsewhere = secret_of(run), secret_of(run, "other")
    before = api()
    by = before.check(secret)
    session = before.sessions.create(by=by, account=ACCOUNT).client_secret
    token = before.signer.sign(by=by, tenant_id=ACCOUNT).jwt
    spared = [
        secret,
        before.sessions.create(by=by, account=OTHER).client_secret,
        before.sessions.create(by=before.check(elsewhere), account=ACCOUNT).client_secret,
    ]

    code, out, err = run("revoke", "account", "voice", ACCOUNT)
    assert (code, err) == (0, "")
    assert out.startswith(f"Everything of the account {ACCOUNT} of voice that was minted until 20")
    after = api()
    assert after.refusal(session) == "session_revoked"
    assert after.refusal(token) == "token_revoked"
    for credential in spared:
        assert after.check(credential)
    later = after.sessions.create(by=after.check(secret), account=ACCOUNT).client_secret
    assert api().check(later).account == ACCOUNT

    told = json.loads(run("revoke", "account", "voice", ACCOUNT, "--json")[1])
    assert told == {"revoked": "account", "platform": "voice", "account": ACCOUNT, "minted_until": told["minted_until"]}
    assert told["minted_until"] > out.partition("until ")[2].partition(" has")[0]
    assert api().refusal(later) == "session_revoked"


def test_a_subject_loses_its_tokens_in_one_account(run: Run, api: StartApi) -> None:
    secret = secret_of(run)
    before = api()
    by = before.check(secret)
    here = before.signer.sign(by=by, id=USER, tenant_id=ACCOUNT).jwt
    there = before.signer.sign(by=by, id=USER, tenant_id=OTHER).jwt
    nowhere = before.signer.sign(by=by, id=USER).jwt
    other = before.signer.sign(by=by, id=str(uuid.UUID(int=4)), tenant_id=ACCOUNT).jwt

    code, out, _ = run("revoke", "subject", "voice", USER.upper(), "--account", ACCOUNT)
    assert code == 0
    assert f"for {USER} in the account {ACCOUNT}" in out
    assert api().refusal(here) == "token_revoked"
    for credential in (there, nowhere, other):
        assert api().check(credential)
    assert "without an account" in run("revoke", "subject", "voice", USER)[1]
    assert api().refusal(nowhere) == "token_revoked"
    assert api().check(there)


def test_one_token(run: Run, api: StartApi) -> None:
    secret = secret_of(run)
    before = api()
    by = before.check(secret)
    one, other = (before.signer.sign(by=by, id=USER, tenant_id=ACCOUNT).jwt for _ in range(2))
    jti = before.check(one).credential_id
    told = json.loads(run("revoke", "token", "voice", jti, "--json")[1])
    assert told == {"revoked": "token", "platform": "voice", "jti": jti, "minted_until": None}
    assert run("revoke", "token", "voice", jti)[1] == f"The token {jti} of voice has ended.\n"
    assert api().refusal(one) == "token_revoked"
    assert api().check(other)


def test_an_identity_is_the_one_that_a_principal_has(run: Run, opened: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[object] = []
    real = Revocations.identity

    def noted(self: Revocations, identity: tuple[str, str, str, str | None, str]) -> object:
        ended.append(identity)
        return real(self, identity)

    monkeypatch.setattr(Revocations, "identity", noted)
    grant = Grant("voice", "live", accounts=frozenset({ACCOUNT}))
    principal = Principal(
        kind="identity_token", subject="joe", grant=grant, credential_id="1", issuer="https://login.example/"
    )
    who = ["--issuer", "https://login.example/", "--subject", "joe"]
    code, out, err = run("revoke", "identity", *who, "--platform", "voice", "--account", ACCOUNT)
    assert (code, err) == (0, "")
    assert "issuer https://login.example/, platform voice, account acct_1, subject joe that was minted until 20" in out
    told = json.loads(run("revoke", "identity", *who, "--kind", "badge", "--json")[1])
    assert (told["kind"], told["platform"], told["account"]) == ("badge", "", None)
    assert ended == [principal.identity, ("badge", "https://login.example/", "", None, "joe")]


def test_sessions_and_keys_end_as_by_their_own_commands(run: Run, api: StartApi) -> None:
    made = json.loads(run("keys", "create", "--platform", "voice", "--json")[1])
    session = api().sessions.create(by=api().check(made["secret"]), account=ACCOUNT)
    assert run("revoke", "session", session.id) == run("sessions", "revoke", session.id)
    assert api().refusal(session.client_secret) == "session_revoked"
    assert run("revoke", "key", made["id"]) == run("keys", "revoke", made["id"])
    assert api().refusal(made["secret"]) == "key_revoked"
    for kind in ("session", "key"):
        assert run("revoke", kind, "nope") == run(f"{kind}s", "revoke", "nope")
        assert run("revoke", kind, "nope")[0] == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["account"],
        ["account", "voice"],
        ["account", "voice", "a/b"],
        # A platform with a colon would name another platform's account.
        ["account", "voice:eu", "acct_1"],
        ["subject", "voice", "joe"],
        ["subject", "voice", "x" * 36],
        ["subject", "voice", "0b6d1f5e6b3c4b639a0e0d5f3a5a7c11"],
        ["subject", "voice", USER, "--account", ""],
        ["token", "voice", ""],
        ["token", "voice", "x" * 300],
        ["identity", "--issuer", "https://login.example/"],
        ["identity", "--issuer", "", "--subject", "joe"],
        ["identity", "--issuer", "https://login.example/", "--subject", "joe\x1fbadge"],
        ["session"],
        ["everything"],
    ],
)
def test_what_names_nothing_is_not_taken_for_done(run: Run, opened: Store, arguments: list[str]) -> None:
    code, out, err = run("revoke", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("usage: ")


@pytest.mark.parametrize("arguments", [["account", "--", "voice", "-x"], ["account", "voice", "--", "-x"]])
def test_an_account_that_looks_like_an_option(run: Run, opened: Store, arguments: list[str]) -> None:
    assert "the account -x of voice" in run("revoke", *arguments)[1]
