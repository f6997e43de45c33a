"""``guestpass keys create|list|rotate|revoke``."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import ACCOUNT, Run, StartApi
from guestpass import SINGLE_PLATFORM, ApiKeys, Guard, Policy
from guestpass.stores import Store


def made(run: Run, *more: str) -> dict[str, Any]:
    code, out, err = run("keys", "create", "--platform", "voice", *more, "--json")
    assert (code, err) == (0, "")
    key: dict[str, Any] = json.loads(out)
    return key


def test_a_new_keys_secret_is_alone_on_standard_output_and_nowhere_else(
    run: Run, api: StartApi, tmp_path: Path
) -> None:
    code, out, err = run("keys", "create", "--platform", "voice", "--name", "for tests")
    secret = out.strip()
    assert code == 0
    assert out.count("\n") == 1
    assert secret.startswith("sk_live_")
    assert secret not in err
    assert "only time" in err
    assert api().check(secret).platform == "voice"
    assert secret not in run("keys", "list")[1]
    assert secret not in run("keys", "list", "--json")[1]
    assert all(secret.encode() not in file.read_bytes() for file in tmp_path.iterdir())


def test_what_a_key_is_held_to(run: Run, api: StartApi) -> None:
    several = ["--account", "acct_1", "--account", "acct_2", "--component", "call_logs", "--role", "agent"]
    key = made(run, *several, "--origin", "https://a.example", "--expires-in", "60")
    assert key["accounts"] == ["acct_1", "acct_2"]
    assert key["origins"] == ["https://a.example"]
    assert key["expires_at"] is not None
    principal = api().check(key["secret"])
    assert principal.grant.accounts == frozenset({"acct_1", "acct_2"})
    assert principal.grant.components == frozenset({"call_logs", "call_logs/transcripts"})
    assert principal.grant.roles == frozenset({"external_entity", "agent"})


def test_one_feature_of_a_component(run: Run, api: StartApi) -> None:
    key = made(run, "--component", "call_logs/transcripts")
    assert api().check(key["secret"]).grant.components == frozenset({"call_logs", "call_logs/transcripts"})


def test_a_test_mode_publishable_key(run: Run) -> None:
    key = made(run, "--publishable", "--mode", "test")
    assert key["secret"].startswith("pk_test_")
    assert key["kind"] == "publishable_key"
    for held_to in (["--account", ACCOUNT], ["--component", "call_logs"], ["--role", "agent"]):
        code, _, err = run("keys", "create", "--platform", "voice", "--publishable", *held_to)
        assert code == 2
        assert "publishable" in err


def test_listing_keys(run: Run, opened: Store) -> None:
    assert run("keys", "list") == (0, "", "")
    assert run("keys", "list", "--json") == (0, "[]\n", "")
    first = json.loads(run("keys", "create", "--platform", "one", "--json")[1])["id"]
    second = json.loads(run("keys", "create", "--platform", "two", "--json")[1])["id"]
    run("keys", "revoke", first)
    lines = run("keys", "list")[1].splitlines()
    assert [line.split()[0] for line in lines] == ["id", first, second]
    assert "revoked" in lines[1]
    assert "valid" in lines[2]
    listed = json.loads(run("keys", "list", "--platform", "two", "--json")[1])
    assert [key["id"] for key in listed] == [second]
    assert listed[0]["accounts"] == "ALL"
    assert [line.split()[0] for line in run("keys", "list", "--state", "revoked")[1].splitlines()] == ["id", first]


def test_a_list_tells_of_the_last_use_and_of_an_old_secret(run: Run, opened: Store) -> None:
    long_ago = time.time() - 40 * 86_400
    old = ApiKeys(opened, owns=SINGLE_PLATFORM, clock=lambda: long_ago)
    rotated = old.create(platform="voice", mode="live", name="rotated long ago")
    old.rotate(rotated.id, overlap=60)
    expired = old.create(platform="voice", mode="live", expires_at=long_ago + 60)
    old.rotate(expired.id, overlap=50 * 86_400)
    key = made(run)
    run("sessions", "create", "--key-file", "-", "--account", ACCOUNT, "--component", "call_logs", stdin=key["secret"])
    run("keys", "rotate", key["id"], "--overlap", "3600")

    listed = {one["id"]: one for one in json.loads(run("keys", "list", "--json")[1])}
    assert listed[rotated.id]["old_secret_until"] is None
    assert listed[rotated.id]["last_used_at"] is None
    assert listed[expired.id]["state"] == "expired"
    assert listed[expired.id]["old_secret_until"] is None
    assert listed[key["id"]]["last_used_at"] is not None
    assert listed[key["id"]]["old_secret_until"] > listed[key["id"]]["last_used_at"]
    shown = next(line for line in run("keys", "list")[1].splitlines() if line.startswith(key["id"]))
    assert listed[key["id"]]["last_used_at"] in shown
    assert listed[key["id"]]["old_secret_until"] in shown


def test_an_old_secret_never_outlives_its_key(run: Run) -> None:
    key = made(run, "--expires-in", "60")
    rotated = json.loads(run("keys", "rotate", key["id"], "--json")[1])
    assert rotated["old_secret_until"] == rotated["expires_at"] == key["expires_at"]


def test_a_name_cannot_play_with_the_terminal(run: Run) -> None:
    made(run, "--name", "one\nkey_faked  voice\x1b[2J\u202e")
    header, row = run("keys", "list")[1].splitlines()
    assert header.startswith("id")
    assert row.isprintable()
    assert "\\n" in row


def test_a_name_is_shown_as_far_as_the_terminal_can(run: Run) -> None:
    made(run, "--name", "Büro")
    assert "Büro" in run("keys", "list")[1]


def test_rotating_a_key_leaves_the_old_secret_its_overlap(run: Run, api: StartApi) -> None:
    key = made(run)
    session = api().sessions.create(by=api().check(key["secret"]), account=ACCOUNT)
    code, out, err = run("keys", "rotate", key["id"])
    fresh = out.strip()
    assert code == 0
    assert out.count("\n") == 1
    assert fresh.startswith("sk_live_")
    assert fresh not in err
    assert "works until 20" in err
    for credential in (fresh, key["secret"], session.client_secret):
        assert api().check(credential).platform == "voice"


def test_rotating_without_an_overlap(run: Run, api: StartApi) -> None:
    key = made(run)
    code, _, err = run("keys", "rotate", key["id"], "--overlap", "0")
    assert code == 0
    assert "The one before has ended" in err
    assert api().refusal(key["secret"]) == "key_expired"


def test_rotating_a_compromised_key_ends_what_it_minted(run: Run, api: StartApi) -> None:
    key = made(run)
    session = api().sessions.create(by=api().check(key["secret"]), account=ACCOUNT)
    rotated = json.loads(run("keys", "rotate", key["id"], "--compromised", "--json")[1])
    assert rotated["id"] == key["id"]
    assert rotated["old_secret_until"] is None
    assert api().check(rotated["secret"]).credential_id == key["id"]
    assert api().refusal(key["secret"]) == "key_revoked"
    assert api().refusal(session.client_secret) == "session_revoked"
    assert "all that the key minted" in run("keys", "rotate", key["id"], "--compromised")[2]


def test_a_key_that_has_ended_is_not_rotated(run: Run, opened: Store) -> None:
    key = made(run)
    run("keys", "revoke", key["id"])
    expired = ApiKeys(opened, owns=SINGLE_PLATFORM).create(platform="voice", mode="live", expires_at=1)
    for key_id, expected in ((key["id"], "key_revoked"), (expired.id, "key_expired"), ("nope", "key_unknown")):
        code, out, err = run("keys", "rotate", key_id)
        assert (code, out, err.partition(":")[0]) == (1, "", expected)


def test_a_key_that_is_revoked_meanwhile_is_not_rotated(
    run: Run, opened: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, rotate = made(run), ApiKeys.rotate

    def too_late(keys: ApiKeys, key_id: str, **how: float) -> object:
        ApiKeys(opened, owns=SINGLE_PLATFORM).revoke(key_id)
        return rotate(keys, key_id, overlap=how["overlap"])

    monkeypatch.setattr(ApiKeys, "rotate", too_late)
    code, out, err = run("keys", "rotate", key["id"])
    assert (code, out, err.partition(":")[0]) == (1, "", "key_revoked")


def test_an_api_with_a_prefix_of_its_own(run: Run, opened: Store) -> None:
    keys = ApiKeys(opened, owns=SINGLE_PLATFORM, secret_prefix="acme", publishable_prefix="site")
    guard = Guard(authenticators=[keys], policy=Policy(roles=("external_entity",)), mode="live")
    key = made(run, "--prefix", "acme")
    assert guard.check(key["secret"]).credential_id == key["id"]
    rotated = run("keys", "rotate", key["id"], "--prefix", "acme")[1].strip()
    assert guard.check(rotated).credential_id == key["id"]
    assert made(run, "--publishable", "--prefix", "site")["secret"].startswith("site_live_")
    code, _, err = run("keys", "create", "--platform", "voice", "--prefix", "Acme_")
    assert code == 2
    assert "prefix" in err


def test_revoking_a_key_ends_it_and_what_it_minted(run: Run, api: StartApi) -> None:
    key = made(run)
    session = api().sessions.create(by=api().check(key["secret"]), account=ACCOUNT)
    code, out, err = run("keys", "revoke", key["id"])
    assert (code, err) == (0, "")
    assert key["id"] in out
    first = json.loads(run("keys", "revoke", key["id"], "--json")[1])
    assert first["state"] == "revoked"
    assert first["revoked_at"] in out
    assert api().refusal(key["secret"]) == "key_revoked"
    assert api().refusal(session.client_secret) == "session_revoked"
