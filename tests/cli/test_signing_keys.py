"""``guestpass signing-keys list|rotate|distrust``."""

import json
import os
import pty
import re
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import ACCOUNT, WRAPPING_KEY, Run, StartApi
from guestpass import KeyRing, open_store
from guestpass.cli.parser import read
from guestpass.minting import MAX_LIFETIME
from guestpass.stores import Store

DAY = 86_400


@pytest.fixture
def wrapping(tmp_path: Path) -> list[str]:
    file = tmp_path / "wrapping-key"
    file.write_text(f"{WRAPPING_KEY}\n")
    return ["--wrapping-key-file", str(file)]


def listed(run: Run, *more: str) -> list[dict[str, Any]]:
    code, out, err = run("signing-keys", "list", "--json", *more)
    assert (code, err) == (0, "")
    keys: list[dict[str, Any]] = json.loads(out)
    return keys


def rotated(run: Run, *more: str) -> dict[str, Any]:
    code, out, err = run("signing-keys", "rotate", "--json", *more)
    assert (code, err) == (0, "")
    key: dict[str, Any] = json.loads(out)
    return key


def test_the_first_key_signs_at_once_and_the_next_once_it_is_known(
    run: Run, opened: Store, api: StartApi, wrapping: list[str]
) -> None:
    assert run("signing-keys", "list") == (0, "", "")
    assert listed(run) == []
    first = rotated(run, "--algorithm", "EdDSA", *wrapping)
    assert (first["state"], first["algorithm"], first["mode"]) == ("signs", "EdDSA", "live")
    secret = run("keys", "create", "--platform", "voice")[1].strip()
    token = api().signer.sign(by=api().check(secret), tenant_id=ACCOUNT).jwt

    code, out, err = run("signing-keys", "rotate", *wrapping)
    assert (code, err) == (0, "")
    assert re.search(rf"is published, and signs from 20\S+ on; until then {re.escape(first['kid'])} does", out)
    old, new = listed(run)
    assert old["kid"] == first["kid"]
    assert (old["state"], new["state"]) == ("signs", "signs_later")
    assert new["algorithm"] == "EdDSA"
    assert new["published_until"] is None
    assert old["published_until"] > new["signs_from"] > old["signs_from"]
    assert api().check(token)
    published = [record.kid for record in api().ring.look().published("live", time.time())]
    assert published == [old["kid"], new["kid"]]
    lines = run("signing-keys", "list")[1].splitlines()
    assert [line.split()[0] for line in lines] == ["kid", old["kid"], new["kid"]]


def test_every_state_of_a_key(run: Run, opened: Store, wrapping: list[str]) -> None:
    now = time.time()
    for days_ago in (9, 5, 1):
        made_then = now - days_ago * DAY + 60
        ring = KeyRing(opened, wrapping_key=WRAPPING_KEY, algorithm="ES256", clock=partial(float, made_then))
        ring.rotate("live")
    rotated(run, *wrapping)
    kids = [key["kid"] for key in listed(run)]
    assert [key["state"] for key in listed(run)] == ["ended", "accepted", "signs", "signs_later"]
    assert {key["algorithm"] for key in listed(run)} == {"ES256"}
    run("signing-keys", "distrust", kids[2], "--yes")
    assert [key["state"] for key in listed(run)] == ["ended", "signs", "distrusted", "signs_later"]
    assert KeyRing(opened, wrapping_key=WRAPPING_KEY).look().signing("live", time.time()) is not None


def test_a_key_is_accepted_until_its_last_token_has_ended(run: Run, opened: Store, wrapping: list[str]) -> None:
    first = rotated(run, *wrapping, "--algorithm", "ES256")
    rotated(run, *wrapping, "--publish-ahead", "0")
    old, new = listed(run)
    assert (old["kid"], old["state"], new["state"]) == (first["kid"], "accepted", "signs")
    ring = KeyRing(opened, wrapping_key=WRAPPING_KEY).look()
    ends = dict(zip([old["kid"], new["kid"]], [end for _, end in ring.publications("live")], strict=True))
    assert ends[old["kid"]] >= ring.records[1].signs_from + MAX_LIFETIME
    assert ring.published("live", ends[old["kid"]]) == (ring.records[1],)


def test_modes_have_keys_of_their_own(run: Run, opened: Store, wrapping: list[str]) -> None:
    live = rotated(run, *wrapping, "--algorithm", "ES256")
    test = rotated(run, *wrapping, "--algorithm", "EdDSA", "--mode", "test")
    assert test["state"] == "signs"
    assert [key["kid"] for key in listed(run, "--mode", "test")] == [test["kid"]]
    assert {key["kid"] for key in listed(run)} == {live["kid"], test["kid"]}


def test_the_wrapping_key_comes_from_a_file_the_environment_or_standard_input(
    run: Run, opened: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = run("signing-keys", "rotate")
    assert (code, out) == (2, "")
    assert "--wrapping-key-file" in err
    assert "GUESTPASS_WRAPPING_KEY" in err
    rotate = ["signing-keys", "rotate", "--algorithm", "ES256"]
    assert run(*rotate, "--wrapping-key-file", "-", stdin=WRAPPING_KEY)[0] == 0
    monkeypatch.setenv("GUESTPASS_WRAPPING_KEY", WRAPPING_KEY)
    assert run(*rotate)[0] == 0
    # Being exchanged: the new one first.
    file = tmp_path / "both"
    file.write_text(f"a new wrapping key, also of 32 bytes and more\n{WRAPPING_KEY}\n")
    assert run(*rotate, "--wrapping-key-file", str(file))[0] == 0
    assert len(listed(run)) == 3


def test_another_wrapping_key_makes_no_key_that_nobody_could_use(run: Run, opened: Store, wrapping: list[str]) -> None:
    first = rotated(run, *wrapping, "--algorithm", "ES256")
    for wrong in ("some other wrapping key of 32 bytes or more", "short"):
        code, out, err = run("signing-keys", "rotate", "--wrapping-key-file", "-", stdin=wrong)
        assert (code, out) == (2, "")
        assert err.startswith("configuration: ")
        assert wrong not in err
    assert [key["kid"] for key in listed(run)] == [first["kid"]]


def test_distrusting_a_key_ends_its_tokens_without_the_wrapping_key(
    run: Run, opened: Store, api: StartApi, wrapping: list[str]
) -> None:
    kid = rotated(run, *wrapping, "--algorithm", "EdDSA")["kid"]
    secret = run("keys", "create", "--platform", "voice")[1].strip()
    token = api().signer.sign(by=api().check(secret), tenant_id=ACCOUNT).jwt
    code, out, err = run("signing-keys", "distrust", kid)
    assert (code, out) == (2, "")
    assert "--yes" in err
    assert api().check(token)

    code, out, err = run("signing-keys", "distrust", kid, "--yes")
    assert (code, err) == (0, "")
    assert "The next token that is signed makes a new key" in out
    assert api().refusal(token) == "token_revoked"
    following = rotated(run, *wrapping)["kid"]
    again = json.loads(run("signing-keys", "distrust", kid, "--yes", "--json")[1])
    assert (again["kid"], again["state"]) == (kid, "distrusted")
    assert f"{following} signs now" in run("signing-keys", "distrust", kid, "--yes")[1]


def test_a_key_that_the_store_does_not_know(run: Run, opened: Store) -> None:
    code, out, err = run("signing-keys", "distrust", "nope", "--yes")
    assert (code, out, err.partition(":")[0]) == (1, "", "signing_key_unknown")
    code, out, err = run("signing-keys", "distrust", "nope", "--yes", "--from-pem")
    assert (code, err) == (0, "")
    assert "PEM" in out
    assert json.loads(run("signing-keys", "distrust", "nope", "--yes", "--from-pem", "--json")[1]) == {
        "kid": "nope",
        "state": "distrusted",
    }


def test_a_kid_may_begin_with_a_dash() -> None:
    for kid in ("-" + "a" * 42, "--" + "_" * 41):
        assert read(["signing-keys", "distrust", kid, "--yes"]).kid == kid
        assert read(["signing-keys", "distrust", "--yes", "--", kid]).kid == kid


@pytest.mark.parametrize(("said", "code", "state"), [("y", 0, "distrusted"), ("", 1, "signs"), ("yse", 1, "signs")])
def test_at_a_terminal_somebody_is_asked(
    run: Run, store: str, wrapping: list[str], said: str, code: int, state: str
) -> None:
    open_store(store).close()
    kid = rotated(run, *wrapping, "--algorithm", "EdDSA")["kid"]
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "guestpass", "signing-keys", "distrust", kid, "--store", store]
    process = subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        os.write(ours, f"{said}\n".encode())
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        os.close(ours)
        os.close(theirs)
    assert err.startswith(f"End every token that {kid} signed, for good? [y/N] ")
    assert process.returncode == code
    assert bool(out) == (code == 0)
    assert ("not_confirmed: Nothing was done" in err) == (code == 1)
    assert listed(run)[0]["state"] == state
