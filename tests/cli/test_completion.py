"""``guestpass completion``, as the shells themselves take it."""

import json
import os
import pty
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.conftest import Run
from guestpass.cli.completion import levels
from guestpass.cli.parser import build
from guestpass.cli.table import AREAS, COMMANDS
from real.programs import missing

WAIT = 30.0
"""Seconds after which something that should have happened has not."""

# What is typed, and what is offered.
CASES: list[tuple[list[str], set[str]]] = [
    (["keys", "r"], {"rotate", "revoke"}),
    (["revoke", ""], {"account", "subject", "token", "identity", "session", "key"}),
    (["signing-keys", "rotate", "--algorithm", ""], {"RS256", "ES256", "EdDSA"}),
    (["keys", "create", "--platform", "voice", "--pub"], {"--publishable"}),
    # The name of a platform is nobody's to guess, and that of a command after it is no command.
    (["keys", "list", "--platform", "re"], set()),
    (["keys", "create", "--name", "revoke", "--pub"], {"--publishable"}),
    (["completion", "z"], {"zsh"}),
    (["sessions", "create", "--key-file", "acme."], {"acme.key"}),
    (["serve", "--ch"], {"--check"}),
    (["serve", "--check", "--config", "acme."], {"acme.key"}),
]


def shell(name: str) -> str:
    return shutil.which(name) or missing(name, f"apt-get install {name}")


@pytest.fixture
def script(run: Run, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """The script for the shell that a test is for, beside a file that can be completed."""
    name: str = request.param
    code, out, err = run("completion", name)
    assert (code, err) == (0, "")
    assert json.loads(run("completion", name, "--json")[1]) == {"shell": name, "script": out}
    (tmp_path / "acme.key").touch()
    file = tmp_path / f"_guestpass.{name}"
    file.write_text(out)
    return file


@pytest.mark.parametrize("script", ["bash"], indirect=True)
def test_bash(script: Path) -> None:
    ask = (
        'source "$0"; COMP_WORDS=(guestpass "$@"); COMP_CWORD=$#; _guestpass; '
        'printf "%s\\n" "${COMPREPLY[@]}"; complete -p guestpass'
    )
    for typed, offered in [*CASES, (["keys", "create", "--mode", "=", "te"], {"test"})]:
        done = subprocess.run(
            [shell("bash"), "--norc", "-u", "-c", ask, str(script), *typed],
            cwd=script.parent,
            capture_output=True,
            text=True,
            timeout=WAIT,
            check=True,
        )
        *found, registered = done.stdout.split("\n")[:-1]
        assert {one for one in found if one} == offered, typed
        assert registered == "complete -F _guestpass guestpass"
        assert done.stderr == ""


@pytest.mark.parametrize("script", ["fish"], indirect=True)
def test_fish(script: Path) -> None:
    for typed, offered in CASES:
        done = subprocess.run(
            [shell("fish"), "--no-config", "-c", 'source $argv[1]; complete -C "$argv[2]"', str(script), _line(typed)],
            cwd=script.parent,
            env={**os.environ, "HOME": str(script.parent)},
            capture_output=True,
            text=True,
            timeout=WAIT,
            check=True,
        )
        assert {one.partition("\t")[0] for one in done.stdout.splitlines()} == offered, typed
        assert done.stderr == ""


def _line(typed: list[str]) -> str:
    return " ".join(["guestpass", *typed])


class Zsh:
    """A zsh at a terminal of its own: lines are typed, and what it then has in its line is read."""

    def __init__(self, folder: Path) -> None:
        self._ours, theirs = pty.openpty()
        environment = {"PATH": os.environ["PATH"], "TERM": "dumb", "HOME": str(folder), "ZDOTDIR": str(folder)}
        self.process = subprocess.Popen(
            [shell("zsh"), "-f", "-i"],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
        os.close(theirs)
        self.type("PS1= PS2=; unsetopt zle_bracketed_paste prompt_sp; bindkey -e; setopt no_beep\n")

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def until(self, mark: str) -> str:
        """What it says up to a line that is `mark`."""
        said, end = "", time.monotonic() + WAIT
        while f"\n{mark}\r\n" not in said:
            assert time.monotonic() < end, said
            if select.select([self._ours], [], [], 1)[0]:
                said += os.read(self._ours, 65_536).decode()
        return said

    def completed(self, typed: str) -> str:
        """The line once Tab was pressed after `typed`."""
        # Kept by a widget of its own, for what is on the screen is full of the terminal's own marks.
        self.type(f"{typed}\t\x18k\n")
        self.until("DONE")
        self.type('print -r -- "<$kept>"; print DONE\n')
        return self.until("DONE").rpartition("<")[2].partition(">")[0]

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


@pytest.fixture
def zsh(script: Path) -> Iterator[Zsh]:
    shell("zsh")
    one = Zsh(script.parent)
    one.type("autoload -U compinit && compinit -u -D\n")
    one.type("keep() { kept=$BUFFER; BUFFER='print DONE'; zle accept-line }; zle -N keep; bindkey '^Xk' keep\n")
    one.type(f"source {script}\nprint DONE\n")
    one.until("DONE")
    yield one
    one.close()


@pytest.mark.parametrize("script", ["zsh"], indirect=True)
def test_zsh(zsh: Zsh) -> None:
    assert zsh.completed("guestpass sign") == "guestpass signing-keys "
    assert zsh.completed("guestpass keys rev") == "guestpass keys revoke "
    assert zsh.completed("guestpass keys create --pub") == "guestpass keys create --publishable "
    assert (
        zsh.completed("guestpass signing-keys rotate --algorithm Ed")
        == "guestpass signing-keys rotate --algorithm EdDSA "
    )
    assert zsh.completed("guestpass sessions create --key-file ac") == "guestpass sessions create --key-file acme.key "
    assert zsh.completed("guestpass keys list --platform re") == "guestpass keys list --platform re"
    assert zsh.completed("guestpass ser") == "guestpass serve "
    assert zsh.completed("guestpass serve --pr") == "guestpass serve --print-example "
    assert zsh.completed("guestpass serve --config ac") == "guestpass serve --config acme.key "
    assert zsh.completed("guestpass completion z") == "guestpass completion zsh "


def test_every_command_and_option_is_known() -> None:
    found = {level.path.strip(): level for level in levels(build())}
    assert set(found) == {"", *AREAS, *(command.name for command in COMMANDS)}
    for command in COMMANDS:
        area, _, word = command.name.rpartition(" ")
        assert found[area].words[word].lower() == command.summary.lower()
        assert "--json" in {flag for option in found[command.name].options for flag in option.flags}
    takes = {option.flags[-1]: option.takes for option in found["sessions create"].options}
    assert takes["--key-file"] == "file"
    assert takes["--account"] == "value"
    assert takes["--json"] == "nothing"
