"""The page about the command line is true: its session is held, and its tables are those of the parser."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.page import PAGE, Example, examples, expected_table, files, learned, own_arguments, tables
from guestpass.cli.table import COMMANDS

NAMES = [command.name for command in COMMANDS]
MARK = "--- and that was it:"


class Bash:
    """A bash in an empty folder, which is given one line after the other."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8"},
            text=True,
            bufsize=1,
        )
        self.run(f'guestpass() {{ "{sys.executable}" -m guestpass "$@"; }}')

    def run(self, line: str) -> tuple[str, int]:
        """What a line says, on both streams, and its exit code."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\necho '{MARK}' $?\n")
        self._process.stdin.flush()
        said: list[str] = []
        for out in self._process.stdout:
            if out.startswith(MARK):
                return "".join(said), int(out.removeprefix(MARK))
            said.append(out)
        raise AssertionError(f"bash has ended: {said}")

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def bash(tmp_path: Path) -> Iterator[Bash]:
    for name, content in files():
        (tmp_path / name).write_text(content)
    shell = Bash(tmp_path)
    yield shell
    shell.close()


def served(example: Example) -> str:
    """The line that the demo prints, which then serves until it is told to end."""
    words = example.command.split()
    process = subprocess.Popen(
        [sys.executable, "-m", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, rest) == (0, "")
    return line


def test_the_session_goes_as_the_page_shows_it(bash: Bash) -> None:
    known: dict[str, str] = {}
    for example in examples():
        command = example.command
        for shown, real in known.items():
            command = command.replace(shown, real)
        said, code = (served(example), 0) if command.startswith("guestpass demo") else bash.run(command)
        assert code == 0, (command, said)
        assert learned(example.output, said, known), (command, said)


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_its_place_and_an_example(name: str) -> None:
    assert f"\n### {name}\n" in PAGE.read_text()
    section = PAGE.read_text().partition(f"\n### {name}\n")[2].partition("\n### ")[0]
    assert f"guestpass {name} " in f"{section} " or f"guestpass {name}\n" in section


@pytest.mark.parametrize("name", NAMES)
def test_the_arguments_on_the_page_are_the_parsers(name: str) -> None:
    alike = {"keys revoke", "sessions revoke", "revoke key", "revoke session"}
    if name in alike or not own_arguments(name):
        assert name not in tables()
    else:
        assert tables()[name] == expected_table(name)


def test_the_page_shows_no_command_that_is_not_there() -> None:
    headings = [line.removeprefix("### ") for line in PAGE.read_text().splitlines() if line.startswith("### ")]
    assert sorted(headings) == sorted(NAMES)


def test_another_answer_is_noticed() -> None:
    shown = "key_4Zq1XAm2VYbT9hQe7dLwK is at sk_live_… since 2026-11-20T20:00:00.123Z.\n"
    said = "key_0SFv4vhoeLwt9dIDrCKTW is at sk_live_0a since 2027-01-01T00:00:00.999Z.\n"
    known: dict[str, str] = {}
    assert learned(shown, said, known)
    assert known == {"key_4Zq1XAm2VYbT9hQe7dLwK": "key_0SFv4vhoeLwt9dIDrCKTW"}
    assert not learned(shown, said.replace("key_0", "key_1"), known)
    assert not learned(shown, said.replace("since", "until"), {})
    assert not learned(shown, said + "and more\n", {})
