"""The command line as a whole: exit codes, what is printed where, and that nothing it is given ends in a traceback."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from cli.conftest import ACCOUNT, Run
from guestpass import __version__
from guestpass.api_keys import ApiKeys
from guestpass.cli import main
from guestpass.cli.command import Command
from guestpass.cli.table import AREAS, COMMANDS
from guestpass.errors import StoreUnavailable
from guestpass.stores import Store

NAMES = [command.name for command in COMMANDS]


def guestpass(
    *arguments: str | bytes, store: str, stdout: int = subprocess.PIPE, encoding: str = "utf-8"
) -> subprocess.CompletedProcess[str]:
    """The program itself."""
    return subprocess.run(
        [sys.executable, "-m", "guestpass", *arguments],
        env=os.environ | {"GUESTPASS_STORE": store, "PYTHONIOENCODING": encoding},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("name", [*AREAS, *NAMES, ""])
def test_help_stands_alone(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*name.split(), "--help"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.startswith(f"usage: guestpass {name}".strip())
    assert "None" not in said.out
    # Whatever the terminal can show.
    assert said.out.isascii()


def test_every_command_is_in_the_help_of_its_area(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    top = capsys.readouterr().out
    for command in COMMANDS:
        area, _, word = command.name.rpartition(" ")
        assert (area or word) in top
        if area:
            main([area, "--help"])
            assert f" {word} " in capsys.readouterr().out
    assert "130" in top
    assert "GUESTPASS_STORE" in top


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"guestpass {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["keys"],
        ["nonsense"],
        ["keys", "create"],
        ["keys", "create", "--platform", "no such name!"],
        ["keys", "create", "--platform", "voice", "--account", "a/b"],
        ["keys", "create", "--platform", "voice", "--component", "Call Logs"],
        ["keys", "create", "--platform", "voice", "--origin", "nowhere"],
        ["keys", "create", "--platform", "voice", "--mode", "production"],
        ["keys", "create", "--platform", "voice", "--expires-in", "0"],
        ["keys", "create", "--platform", "voice", "--expires-in", "1e3"],
        ["keys", "create", "--platform", "voice", "--expires-in", "9" * 5_000],
        # Abbreviations would change their meaning with the next option.
        ["keys", "create", "--plat", "voice"],
        ["keys", "list", "--store", "bogus"],
        ["keys", "list", "--store", "sqlite:////nonexistent/keys.db"],
        ["keys", "list", "--store", "sqlite://"],
        ["keys", "list", "--store", "memory://"],
        ["keys", "list", "--store", "bogus://[half"],
        ["keys", "rotate", "key_1", "--overlap", "-1"],
        ["keys", "rotate", "key_1", "--overlap", "60", "--compromised"],
        ["sessions", "create", "--account", ACCOUNT],
        ["sessions", "create", "--key-file", "/nonexistent", "--account", ACCOUNT],
        ["sessions", "create", "--key-file", "/", "--account", ACCOUNT],
        ["sessions", "create", "--key-file", "-", "--account", ACCOUNT],
        ["sessions", "create", "--key-file", "-", "--account", ACCOUNT, "--expires-in", "soon"],
        ["signing-keys", "rotate", "--algorithm", "HS256"],
        ["signing-keys", "rotate", "--publish-ahead", "86401"],
        ["demo", "--port", "65536"],
        ["demo", "--port", "http"],
        ["completion"],
        ["completion", "powershell"],
    ],
)
def test_what_is_used_wrongly_exits_with_2_and_says_why_in_one_line(run: Run, arguments: list[str]) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert err.partition(":")[0] in {"usage", "configuration", "file"}
    told = json.loads(run(*arguments, "--json")[2])
    assert told["code"] in {"usage", "configuration", "file"}
    assert told["detail"]


@pytest.mark.parametrize("kind", ["keys", "sessions"])
def test_an_unknown_id_is_not_found(run: Run, opened: Store, kind: str) -> None:
    code, out, err = run(kind, "revoke", "nope")
    assert (code, out) == (1, "")
    assert err.startswith(f"{kind.removesuffix('s')}_unknown: ")
    assert json.loads(run(kind, "revoke", "nope", "--json")[2])["code"] == f"{kind.removesuffix('s')}_unknown"


def test_a_credential_given_as_an_argument_is_refused_and_not_quoted(run: Run, opened: Store) -> None:
    secret = run("keys", "create", "--platform", "voice")[1].strip()
    token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJqb2UifQ.c2lnbmF0dXJl"
    for arguments in (
        ["keys", "list", secret],
        ["keys", secret],
        ["keys", f"--platform={secret}"],
        ["sessions", "create", secret],
        ["keys", "revoke", secret],
        # Fits what an account's id may be.
        ["revoke", "account", "voice", secret],
        ["revoke", "token", "voice", token],
    ):
        code, out, err = run(*arguments)
        assert (code, out) == (2, "")
        assert "revoke it" in err
        assert secret not in err
        assert token not in err


def test_a_mistyped_credential_is_not_quoted_either(run: Run, opened: Store) -> None:
    secret = run("keys", "create", "--platform", "voice")[1].strip()[:-2]
    for arguments in (["keys", secret], ["keys", "list", secret], ["keys", "create", "--platform", f"{secret}!"]):
        code, out, err = run(*arguments)
        assert (code, out) == (2, "")
        assert secret not in err


def test_what_is_refused_cannot_play_with_the_terminal(run: Run) -> None:
    code, out, err = run("keys", "\x1b[2J\u202e")
    assert (code, out) == (2, "")
    assert err.removesuffix("\n").isprintable()


def test_an_id_that_begins_like_a_credential_is_none(run: Run, opened: Store) -> None:
    assert run("revoke", "account", "voice", "acct_live_0123456789")[0] == 0


def test_an_outage_is_exit_code_1_and_what_to_do_next(run: Run, opened: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*_: object) -> None:
        raise StoreUnavailable("the store did not answer: disk I/O error")

    monkeypatch.setattr(ApiKeys, "list", down)
    code, out, err = run("keys", "list")
    assert (code, out) == (1, "")
    assert err.startswith("store_unavailable: the store did not answer: disk I/O error. ")
    assert "Try again" in err


def test_what_nobody_foresaw_is_one_line_without_a_credential(
    run: Run, opened: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise TypeError("cannot read\n'sk_live_0123456789abcdefghij'")

    monkeypatch.setattr(ApiKeys, "list", broken)
    code, out, err = run("keys", "list")
    assert (code, out) == (1, "")
    assert err.startswith("internal_error: TypeError: cannot read 'sk_live_…'")
    assert err.count("\n") == 1
    assert json.loads(run("keys", "list", "--json")[2])["code"] == "internal_error"
    monkeypatch.setenv("GUESTPASS_DEBUG", "1")
    with pytest.raises(TypeError):
        main(["keys", "list"])


def test_an_argument_that_is_no_text(tmp_path: Path) -> None:
    done = guestpass("keys", "create", "--platform", "voice", "--name", b"\xff", store=f"sqlite:///{tmp_path}/k")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "usage: an argument is no text in UTF-8\n"
    assert list(tmp_path.iterdir()) == []


def test_a_terminal_that_cannot_show_a_name(store: str) -> None:
    assert (
        guestpass("keys", "create", "--platform", "voice", "--name", "Büro", store=store, encoding="ascii").returncode
        == 0
    )
    done = guestpass("keys", "list", store=store, encoding="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "B\\xfcro" in done.stdout


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


def closed_pipe() -> int:
    reading, writing = os.pipe()
    os.close(reading)
    return writing


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["keys", "create", "--platform", "voice"], "output_lost: Broken pipe: standard output. The key key_"),
        # Who has seen enough of a list leaves.
        (["keys", "list", "--json"], ""),
        (["--help"], ""),
    ],
)
def test_nobody_reads_the_output(store: str, opened: Store, arguments: Sequence[str], says: str) -> None:
    writing = closed_pipe()
    try:
        done = guestpass(*arguments, stdout=writing, store=store)
    finally:
        os.close(writing)
    assert done.returncode == (0 if arguments == ["--help"] else 1)
    assert done.stderr.startswith(says)
    assert done.stderr.count("\n") == bool(says)


def test_a_secret_that_nobody_saw_is_told_of(store: str, opened: Store) -> None:
    with open("/dev/full", "wb") as full:
        done = guestpass("keys", "create", "--platform", "voice", stdout=full.fileno(), store=store)
    assert done.returncode == 1
    assert done.stderr.startswith("output_lost: No space left on device: ")
    key_id = done.stderr.strip().rpartition(" ")[2]
    assert guestpass("keys", "revoke", key_id, store=store).returncode == 0


def test_a_program_without_standard_streams(store: str, opened: Store) -> None:
    for closing, expected in ((">&-", 1), (">&- 2>&-", 1), ("<&- 2>&-", 0)):
        command = f'exec "{sys.executable}" -m guestpass keys create --platform voice --store "{store}" {closing}'
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == expected
        assert "Traceback" not in done.stderr


def test_an_interruption_is_exit_code_130(store: str, opened: Store) -> None:
    # Somebody is to type a secret, and has other plans.
    program = """
import os, signal, sys, time
from guestpass.cli import main
class Keyboard:
    def read(self, most):
        # As at a terminal; whoever runs the tests in the background has it ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.write(1, b"up")
        time.sleep(60)
sys.stdin = Keyboard()
sys.exit(main())
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program, "sessions", "create", "--key-file", "-", "--account", ACCOUNT],
        env={**os.environ, "GUESTPASS_STORE": store},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.read(2) == b"up"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert err == b""


@pytest.mark.parametrize("arguments", [["--help"], ["keys", "create", "--help"], ["completion", "bash"]])
def test_no_framework_and_no_driver_until_it_is_needed(arguments: list[str]) -> None:
    heavy = {"fastapi", "starlette", "flask", "uvicorn", "sqlalchemy", "psycopg", "redis", "httpx", "rich", "werkzeug"}
    look = f"import sys, guestpass.cli as it; it.main({arguments!r}); print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_table_and_its_areas_agree() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert {name.partition(" ")[0] for name in NAMES if " " in name} == set(AREAS)
    assert all(isinstance(command, Command) and command.summary[0].islower() for command in COMMANDS)
