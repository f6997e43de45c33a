"""``guestpass keys narrow``."""

import json

import pytest

from cli.conftest import ACCOUNT, Run, StartApi
from guestpass import Refused
from guestpass.grants import ALL

ORDER = ["--roles-in-order", "external_entity,agent,admin"]


def made(run: Run, *more: str) -> dict[str, str]:
    key: dict[str, str] = json.loads(run("keys", "create", "--platform", "voice", *more, "--json")[1])
    return key


def test_a_key_keeps_what_it_has_in_common_and_what_it_minted_ends(run: Run, api: StartApi) -> None:
    key = made(run, "--account", "acct_1", "--account", "acct_2")
    session = api().sessions.create(by=api().check(key["secret"]), account="acct_1")
    wish = ["--account", "acct_1", "--account", "acct_9", "--component", "call_logs/transcripts"]
    code, out, err = run("keys", "narrow", key["id"], *wish, "--expires-in", "3600")
    assert (code, err) == (0, "")
    assert f"{key['id']} now has accounts acct_1; components call_logs/transcripts; roles all; until 20" in out
    grant = api().check(key["secret"]).grant
    assert grant.accounts == frozenset({"acct_1"})
    assert grant.components == frozenset({"call_logs", "call_logs/transcripts"})
    assert grant.roles is ALL
    with pytest.raises(Refused, match="session_revoked"):
        api().check(session.client_secret)


def test_an_end_is_never_moved_later(run: Run) -> None:
    key = made(run, "--expires-in", "60")
    narrowed = json.loads(run("keys", "narrow", key["id"], "--expires-in", "3600", "--json")[1])
    assert narrowed["expires_at"] == key["expires_at"]


def test_a_slip_of_the_pen_leaves_a_key_as_it_is(run: Run) -> None:
    key = made(run, "--account", "acct_1", "--component", "call_logs")
    for slip in (["--account", "acct_l"], ["--component", "calllogs"], ["--account", "acct_1", "--component", "x"]):
        code, out, err = run("keys", "narrow", key["id"], *slip)
        assert (code, out, err.partition(":")[0]) == (1, "", "nothing_left")
    assert json.loads(run("keys", "list", "--json")[1])[0]["accounts"] == ["acct_1"]


def test_roles_that_a_key_has_by_name_need_no_order(run: Run, api: StartApi) -> None:
    everything = made(run)
    assert run("keys", "narrow", everything["id"], "--role", "agent")[0] == 0
    assert api().check(everything["secret"]).grant.roles == frozenset({"external_entity", "agent"})
    both = made(run, "--role", "agent", "--role", "admin")
    assert run("keys", "narrow", both["id"], "--role", "agent")[0] == 0
    assert api().check(both["secret"]).grant.roles == frozenset({"external_entity", "agent"})


def test_other_roles_need_their_order(run: Run, api: StartApi) -> None:
    key = made(run, "--role", "admin")
    code, out, err = run("keys", "narrow", key["id"], "--role", "agent")
    assert (code, out) == (2, "")
    assert "only the API's policy knows" in err
    assert "--roles-in-order" in err
    code, _, err = run("keys", "narrow", key["id"], "--role", "agent", "--roles-in-order", "external_entity,agent")
    assert code == 2
    assert "lacks admin" in err
    assert run("keys", "narrow", key["id"], "--role", "agent", *ORDER)[0] == 0
    assert api().check(key["secret"]).grant.roles == frozenset({"external_entity", "agent"})


def test_a_role_above_the_keys_own_changes_nothing(run: Run, api: StartApi) -> None:
    key = made(run, "--role", "agent")
    assert run("keys", "narrow", key["id"], "--role", "admin", *ORDER)[0] == 0
    assert api().check(key["secret"]).grant.roles == frozenset({"external_entity", "agent"})


def test_a_wrong_order_gives_no_role_that_nobody_named(run: Run, api: StartApi) -> None:
    key = made(run, "--role", "agent")
    wrong = ["--roles-in-order", "admin,external_entity,agent"]
    assert run("keys", "narrow", key["id"], "--role", "external_entity", *wrong)[0] == 0
    assert api().check(key["secret"]).grant.roles == frozenset({"external_entity"})


def test_a_publishable_key_has_only_an_end_to_narrow(run: Run) -> None:
    key = made(run, "--publishable")
    code, _, err = run("keys", "narrow", key["id"], "--account", ACCOUNT)
    assert code == 2
    assert "publishable" in err
    assert json.loads(run("keys", "narrow", key["id"], "--expires-in", "60", "--json")[1])["expires_at"] is not None


def test_a_key_that_has_ended_is_not_narrowed(run: Run) -> None:
    key = made(run)
    run("keys", "revoke", key["id"])
    assert run("keys", "narrow", key["id"], "--account", ACCOUNT)[2].startswith("key_revoked: ")
    assert run("keys", "narrow", "nope", "--account", ACCOUNT)[2].startswith("key_unknown: ")


@pytest.mark.parametrize(
    "more",
    [
        [],
        ["--account", "a/b"],
        ["--component", "a/b/c"],
        ["--component", "call_logs/"],
        ["--role", "Admin"],
        ["--expires-in", "0"],
        ORDER,
        ["--account", "acct_1", *ORDER],
        ["--role", "agent", "--roles-in-order", "external_entity,,agent"],
        ["--role", "agent", "--roles-in-order", "agent,admin,agent"],
    ],
)
def test_what_narrows_nothing(run: Run, more: list[str]) -> None:
    key = made(run, "--role", "admin")
    code, out, err = run("keys", "narrow", key["id"], *more)
    assert (code, out) == (2, "")
    assert err
