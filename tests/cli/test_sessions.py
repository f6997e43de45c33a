"""``guestpass sessions create|revoke``."""

import json
from pathlib import Path

import pytest

from cli.conftest import ACCOUNT, Run, StartApi
from guestpass import ALL, Grant, Refused
from guestpass.credentials import digest
from guestpass.records import AddKey, KeyRecord
from guestpass.stores import Store

MINT = ["sessions", "create", "--key-file", "-", "--account", ACCOUNT]


def test_minting_a_session_with_a_key_from_standard_input_or_a_file(run: Run, api: StartApi, tmp_path: Path) -> None:
    secret = run("keys", "create", "--platform", "voice")[1]
    code, out, err = run(*MINT, "--component", "call_logs", stdin=secret)
    assert code == 0
    assert out.strip() not in err
    principal = api().check(out.strip())
    assert (principal.account, principal.platform) == (ACCOUNT, "voice")
    assert principal.grant.components == frozenset({"call_logs"})
    assert principal.grant.roles == frozenset({"external_entity"})

    file = tmp_path / "key"
    file.write_text(secret)
    where = ["--key-file", str(file), "--account", ACCOUNT, "--component", "call_logs/transcripts"]
    session = json.loads(run("sessions", "create", *where, "--expires-in", "60", "--json")[1])
    assert session["expires_in"] == 60
    assert session["components"]["call_logs"]["features"] == {"transcripts": True}
    assert "call_logs/transcripts" in api().check(session["client_secret"]).grant.components

    code, out, err = run("sessions", "revoke", session["id"])
    assert (code, err) == (0, "")
    assert session["id"] in out
    assert json.loads(run("sessions", "revoke", session["id"], "--json")[1])["revoked_at"] in out
    with pytest.raises(Refused, match="session_revoked"):
        api().check(session["client_secret"])


def test_a_session_never_has_more_than_its_key(run: Run, api: StartApi) -> None:
    held_to = ["--account", ACCOUNT, "--component", "voicemails", "--role", "agent"]
    secret = run("keys", "create", "--platform", "voice", *held_to)[1]
    code, out, err = run(*MINT, "--component", "call_logs", stdin=secret)
    assert (code, out) == (1, "")
    assert err.startswith("escalation_denied: ")
    assert run("sessions", "create", "--key-file", "-", "--account", "acct_2", stdin=secret)[0] == 1
    # Left out: all that the key has.
    principal = api().check(run(*MINT, stdin=secret)[1].strip())
    assert principal.grant.components == frozenset({"voicemails"})
    assert principal.grant.roles == frozenset({"external_entity"})


def test_an_api_with_prefixes_of_its_own(run: Run) -> None:
    secret = run("keys", "create", "--platform", "voice", "--prefix", "acme")[1]
    assert run(*MINT, "--component", "x", "--prefix", "visit", stdin=secret)[1].startswith("visit_live_")
    # A prefix that is the sessions' own: nobody could tell them apart.
    assert run(*MINT, "--component", "x", "--prefix", "acme", stdin=secret)[0] == 2


def test_a_key_of_an_older_form(run: Run, opened: Store) -> None:
    older = "sk_live_" + "k" * 32
    grant = Grant("voice", "live", ALL, ALL, ALL)
    opened.answer(AddKey(KeyRecord("key_old", digest(older), "secret_key", grant, "", 0.0)))
    assert run(*MINT, "--component", "x", stdin=older)[1].startswith("cs_live_")


def test_a_mode_is_the_keys_own(run: Run) -> None:
    secret = run("keys", "create", "--platform", "voice", "--mode", "test")[1]
    assert run(*MINT, "--component", "x", stdin=secret)[1].startswith("cs_test_")


def test_what_mints_no_session(run: Run) -> None:
    secret = run("keys", "create", "--platform", "voice")[1]
    publishable = run("keys", "create", "--platform", "voice", "--publishable")[1]
    session = run(*MINT, "--component", "call_logs", stdin=secret)[1]
    cases = {
        publishable: "escalation_denied",
        session: "escalation_denied",
        secret[:-3]: "credential_invalid",
        "nonsense\x00 in\n lines": "credential_malformed",
        "sk_live_" + "é" * 40: "credential_malformed",
    }
    for presented, expected in cases.items():
        code, out, err = run(*MINT, "--component", "call_logs", stdin=presented)
        assert (code, out) == (1, ""), presented
        assert err.partition(":")[0] == expected
        assert presented.strip() not in err


def test_a_revoked_key_mints_no_session(run: Run) -> None:
    made = json.loads(run("keys", "create", "--platform", "voice", "--json")[1])
    run("keys", "revoke", made["id"])
    code, _, err = run(*MINT, "--component", "call_logs", stdin=made["secret"])
    assert (code, err.partition(":")[0]) == (1, "key_revoked")


@pytest.mark.parametrize("seconds", ["59", "86401", "-1", "0"])
def test_a_lifetime_out_of_bounds_names_the_field(run: Run, seconds: str) -> None:
    secret = run("keys", "create", "--platform", "voice")[1]
    wish = ["--component", "call_logs", "--expires-in", seconds]
    code, _, err = run(*MINT, *wish, stdin=secret)
    assert code == 1
    assert err.startswith("validation_error: ")
    assert "expires_in" in err
    assert err.count("\n") == 1
    told = json.loads(run(*MINT, *wish, "--json", stdin=secret)[2])
    assert (told["code"], told["errors"][0]["field"]) == ("validation_error", "expires_in")


def test_a_key_with_everything_needs_components_named(run: Run) -> None:
    secret = run("keys", "create", "--platform", "voice")[1]
    code, _, err = run(*MINT, stdin=secret)
    assert code == 2
    assert "--component" in err


def test_a_component_that_is_no_name_is_a_mistake(run: Run) -> None:
    secret = run("keys", "create", "--platform", "voice")[1]
    for odd in ("Call Logs", "", "/", "a/b/c"):
        code, out, err = run(*MINT, "--component", odd, stdin=secret)
        assert (code, out) == (2, ""), odd
        assert err


def test_a_key_file_without_a_key(run: Run, tmp_path: Path) -> None:
    run("store", "init")
    file = tmp_path / "key"
    file.write_bytes(b"\xff\xfe\x00")
    assert "no text" in run("sessions", "create", "--key-file", str(file), "--account", ACCOUNT)[2]
    file.write_bytes(b" \n")
    code, _, err = run("sessions", "create", "--key-file", str(file), "--account", ACCOUNT)
    assert (code, err) == (2, f"usage: there is nothing in {file}\n")
    assert "standard input" in run(*MINT)[2]
    # Cut short it would be another secret.
    assert "more in standard input" in run(*MINT, stdin="k" * 8_193)[2]


def test_a_session_that_nobody_knows(run: Run) -> None:
    run("store", "init")
    code, out, err = run("sessions", "revoke", "nope")
    assert (code, out) == (1, "")
    assert err.startswith("session_unknown: ")
