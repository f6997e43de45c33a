"""The command line: what it prints where, its exit codes, and that nothing it is given ends in a traceback."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from guestpass import AccountSessions, ApiKeys, Guard, Policy, Refused, open_store
from guestpass.cli import main
from guestpass.stores import Store

Run = Callable[..., tuple[int, str, str]]

ACCOUNT = "acct_1"


@pytest.fixture
def store(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'keys.db'}"


@pytest.fixture
def run(store: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command on the store; answers exit code, standard output and standard error."""
    monkeypatch.setenv("GUESTPASS_STORE", store)

    def run(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        code = main(arguments)
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return code, said.out, said.err

    return run


_OPENED: list[Store] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    while _OPENED:
        _OPENED.pop().close()


def guard_on(url: str) -> tuple[Guard, AccountSessions]:
    """The API that the commands prepare keys and sessions for."""
    store = open_store(url)
    _OPENED.append(store)
    sessions = AccountSessions(store)
    policy = Policy(
        components={"call_logs": ("transcripts",), "voicemails": ()}, roles=("external_entity", "agent", "admin")
    )
    keys = ApiKeys(store, owns=lambda platform, account: True)
    return Guard(authenticators=[keys, sessions], policy=policy, mode="live"), sessions


def test_a_new_keys_secret_is_alone_on_standard_output_and_nowhere_else(run: Run, store: str, tmp_path: Path) -> None:
    code, out, err = run("keys", "create", "--platform", "voice", "--name", "for tests")
    secret = out.strip()
    assert code == 0
    assert out.count("\n") == 1
    assert secret.startswith("sk_live_")
    assert secret not in err
    assert "only time" in err
    assert guard_on(store)[0].check(secret).platform == "voice"
    assert secret not in run("keys", "list")[1]
    assert secret not in run("keys", "list", "--json")[1]
    assert all(secret.encode() not in file.read_bytes() for file in tmp_path.iterdir())


def test_what_a_key_is_held_to(run: Run, store: str) -> None:
    several = ["--account", "acct_1", "--account", "acct_2", "--component", "call_logs", "--role", "agent"]
    code, out, err = run(
        "keys",
        "create",
        "--platform",
        "voice",
        *several,
        "--origin",
        "https://a.example",
        "--expires-in",
        "60",
        "--json",
    )
    assert (code, err) == (0, "")
    made = json.loads(out)
    assert out.count("\n") == 1
    assert made["accounts"] == ["acct_1", "acct_2"]
    assert made["origins"] == ["https://a.example"]
    assert made["expires_at"] is not None
    principal = guard_on(store)[0].check(made["secret"])
    assert principal.grant.accounts == frozenset({"acct_1", "acct_2"})
    assert principal.grant.components == frozenset({"call_logs", "call_logs/transcripts"})
    assert principal.grant.roles == frozenset({"external_entity", "agent"})


def test_a_test_mode_publishable_key(run: Run) -> None:
    made = json.loads(run("keys", "create", "--platform", "voice", "--publishable", "--mode", "test", "--json")[1])
    assert made["secret"].startswith("pk_test_")
    assert made["kind"] == "publishable_key"
    code, _, err = run("keys", "create", "--platform", "voice", "--publishable", "--account", ACCOUNT)
    assert code == 2
    assert "publishable" in err


def test_listing_keys(run: Run) -> None:
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


def test_revoking_a_key_ends_it_and_what_it_minted(run: Run, store: str) -> None:
    made = json.loads(run("keys", "create", "--platform", "voice", "--json")[1])
    guard, sessions = guard_on(store)
    session = sessions.create(by=guard.check(made["secret"]), account=ACCOUNT)
    code, out, err = run("keys", "revoke", made["id"])
    assert (code, err) == (0, "")
    assert made["id"] in out
    assert json.loads(run("keys", "revoke", made["id"], "--json")[1])["state"] == "revoked"
    for credential, ended in ((made["secret"], "key_revoked"), (session.client_secret, "session_revoked")):
        with pytest.raises(Refused) as refused:
            guard_on(store)[0].check(credential)
        assert refused.value.code == ended


def test_minting_a_session_with_a_key_from_standard_input_or_a_file(run: Run, store: str, tmp_path: Path) -> None:
    secret = run("keys", "create", "--platform", "voice")[1]
    code, out, err = run(
        "sessions", "create", "--key-file", "-", "--account", ACCOUNT, "--component", "call_logs", stdin=secret
    )
    assert code == 0
    assert out.strip() not in err
    principal = guard_on(store)[0].check(out.strip())
    assert (principal.account, principal.platform) == (ACCOUNT, "voice")
    assert principal.grant.components == frozenset({"call_logs"})
    assert principal.grant.roles == frozenset({"external_entity"})

    file = tmp_path / "key"
    file.write_text(secret)
    where = ["--key-file", str(file), "--account", ACCOUNT, "--component", "call_logs/transcripts"]
    session = json.loads(run("sessions", "create", *where, "--expires-in", "60", "--json")[1])
    assert session["expires_in"] == 60
    assert session["components"]["call_logs"]["features"] == {"transcripts": True}
    assert "call_logs/transcripts" in guard_on(store)[0].check(session["client_secret"]).grant.components

    assert run("sessions", "revoke", session["id"]) == (0, f"{session['id']} is revoked.\n", "")
    with pytest.raises(Refused, match="session_revoked"):
        guard_on(store)[0].check(session["client_secret"])


def test_a_session_never_has_more_than_its_key(run: Run, store: str) -> None:
    held_to = ["--account", ACCOUNT, "--component", "voicemails", "--role", "agent"]
    secret = run("keys", "create", "--platform", "voice", *held_to)[1]
    mint = ["sessions", "create", "--key-file", "-", "--account"]
    code, out, err = run(*mint, ACCOUNT, "--component", "call_logs", stdin=secret)
    assert (code, out) == (1, "")
    assert err.startswith("escalation_denied: ")
    assert run(*mint, "acct_2", stdin=secret)[0] == 1
    # Left out: all that the key has.
    principal = guard_on(store)[0].check(run(*mint, ACCOUNT, stdin=secret)[1].strip())
    assert principal.grant.components == frozenset({"voicemails"})
    assert principal.grant.roles == frozenset({"external_entity"})


def test_a_mode_is_the_keys_own(run: Run) -> None:
    secret = run("keys", "create", "--platform", "voice", "--mode", "test")[1]
    out = run("sessions", "create", "--key-file", "-", "--account", ACCOUNT, "--component", "x", stdin=secret)[1]
    assert out.startswith("cs_test_")


def test_what_mints_no_session(run: Run) -> None:
    secret = run("keys", "create", "--platform", "voice")[1]
    publishable = run("keys", "create", "--platform", "voice", "--publishable")[1]
    mint = ["sessions", "create", "--key-file", "-", "--account", ACCOUNT]
    session = run(*mint, "--component", "call_logs", stdin=secret)[1]
    cases = {
        publishable: "escalation_denied",
        session: "escalation_denied",
        secret[:-3]: "credential_invalid",
        "nonsense\x00 in\n lines": "credential_malformed",
        "sk_live_" + "é" * 40: "credential_malformed",
    }
    for presented, expected in cases.items():
        code, out, err = run(*mint, "--component", "call_logs", stdin=presented)
        assert (code, out) == (1, ""), presented
        assert err.partition(":")[0] == expected
        assert presented.strip() not in err


def test_a_revoked_key_mints_no_session(run: Run) -> None:
    made = json.loads(run("keys", "create", "--platform", "voice", "--json")[1])
    run("keys", "revoke", made["id"])
    mint = ["sessions", "create", "--key-file", "-", "--account", ACCOUNT, "--component", "call_logs"]
    code, _, err = run(*mint, stdin=made["secret"])
    assert (code, err.partition(":")[0]) == (1, "key_revoked")


@pytest.mark.parametrize("seconds", ["59", "86401", "-1", "0"])
def test_a_lifetime_out_of_bounds_names_the_field(run: Run, seconds: str) -> None:
    secret = run("keys", "create", "--platform", "voice")[1]
    mint = ["sessions", "create", "--key-file", "-", "--account", ACCOUNT, "--component", "call_logs"]
    code, _, err = run(*mint, "--expires-in", seconds, stdin=secret)
    assert code == 1
    assert err.startswith("validation_error: ")
    assert "expires_in" in err


@pytest.mark.parametrize("kind", ["keys", "sessions"])
def test_an_unknown_id_is_not_found(run: Run, kind: str) -> None:
    code, out, err = run(kind, "revoke", "nope")
    assert (code, out) == (1, "")
    assert err.startswith(f"{kind.removesuffix('s')}_unknown: ")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["keys"],
        ["keys", "create"],
        ["keys", "create", "--platform", "no such name!"],
        ["keys", "create", "--platform", "voice", "--account", "a/b"],
        ["keys", "create", "--platform", "voice", "--component", "Call Logs"],
        ["keys", "create", "--platform", "voice", "--origin", "nowhere"],
        ["keys", "create", "--platform", "voice", "--mode", "production"],
        ["keys", "create", "--platform", "voice", "--expires-in", "0"],
        ["keys", "create", "--platform", "voice", "--expires-in", "1e3"],
        ["keys", "create", "--platform", "voice", "--expires-in", "9" * 5_000],
        ["keys", "list", "--store", "bogus"],
        ["keys", "list", "--store", "sqlite:////nonexistent/keys.db"],
        ["keys", "list", "--store", "memory://"],
        ["sessions", "create", "--account", ACCOUNT],
        ["sessions", "create", "--key-file", "/nonexistent", "--account", ACCOUNT],
        ["sessions", "create", "--key-file", "-", "--account", ACCOUNT],
        ["sessions", "create", "--key-file", "-", "--account", ACCOUNT, "--expires-in", "soon"],
        ["demo", "--port", "65536"],
        ["demo", "--port", "http"],
    ],
)
def test_what_is_used_wrongly_exits_with_2_and_says_why(run: Run, arguments: list[str]) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err


def test_a_key_with_everything_needs_components_named(run: Run) -> None:
    secret = run("keys", "create", "--platform", "voice")[1]
    code, _, err = run("sessions", "create", "--key-file", "-", "--account", ACCOUNT, stdin=secret)
    assert code == 2
    assert "--component" in err


def test_a_component_that_is_no_name_is_a_mistake(run: Run) -> None:
    secret = run("keys", "create", "--platform", "voice")[1]
    mint = ["sessions", "create", "--key-file", "-", "--account", ACCOUNT, "--component"]
    for odd in ("Call Logs", "", "/", "a/b/c"):
        code, out, err = run(*mint, odd, stdin=secret)
        assert (code, out) == (2, ""), odd
        assert err


def test_a_key_file_that_is_no_text(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(b"\xff\xfe\x00")
    assert run("sessions", "create", "--key-file", str(file), "--account", ACCOUNT)[0] == 2


def test_a_credential_given_as_an_argument_is_not_quoted(run: Run) -> None:
    secret = run("keys", "create", "--platform", "voice")[1].strip()
    for arguments in (
        ["keys", "list", secret],
        ["keys", secret],
        ["sessions", "create", secret],
        ["keys", "revoke", secret],
    ):
        code, out, err = run(*arguments)
        assert code > 0
        assert secret not in out + err


def test_a_file_that_is_no_store(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "letter.db"
    file.write_text("Dear store, " * 100)
    code, _, err = run("keys", "list", "--store", f"sqlite:///{file}")
    assert code == 2
    assert "SQLite" in err


def test_the_store_is_the_arguments_then_the_environments_then_a_file_here(tmp_path: Path) -> None:
    def make(*arguments: str, **environment: str) -> None:
        command = [sys.executable, "-m", "guestpass", "keys", "create", "--platform", "voice", *arguments]
        left = {name: value for name, value in os.environ.items() if name != "GUESTPASS_STORE"}
        done = subprocess.run(
            command, cwd=tmp_path, env=left | environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("sk_live_")

    make()
    assert (tmp_path / "guestpass.db").exists()
    make(GUESTPASS_STORE="sqlite:///environment.db")
    assert (tmp_path / "environment.db").exists()
    make("--store", "sqlite:///argument.db", GUESTPASS_STORE="sqlite:///neither.db")
    assert (tmp_path / "argument.db").exists()
    assert not (tmp_path / "neither.db").exists()


def test_whoever_reads_the_output_may_leave(store: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "guestpass", "keys", "create", "--platform", "voice", "--store", store]
    try:
        done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    finally:
        os.close(writing)
    assert done.returncode == 1
    assert done.stderr == ""


def test_the_command_line_loads_no_web_framework() -> None:
    look = "import sys, guestpass.cli; print(sorted({'fastapi', 'starlette', 'uvicorn'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
