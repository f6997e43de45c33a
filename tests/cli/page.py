"""The page about the command line: what it says of each command's arguments, and the session that it shows.

`python -m cli.page` in ``tests`` writes the arguments anew.
"""

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from guestpass.cli.parser import build

PAGE: Final = Path(__file__).parents[2] / "docs" / "command-line.md"

_PART = re.compile(r"(<!-- arguments: (?P<name>[a-z -]+) -->\n)(?P<table>.*?)(<!-- /arguments -->)", re.DOTALL)

# What differs each time: ids and kids, which later commands name; instants; and whatever the page leaves out.
_ID = r"\b(?:key|as)_[0-9A-Za-z]{21}\b|(?<![\w-])[\w-]{43}(?![\w-])"
_INSTANT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"
_VARIABLE = re.compile(rf"(?P<id>{_ID})|(?P<instant>{_INSTANT})|(?P<rest>…)")


@dataclass(frozen=True)
class Example:
    """A command of the page, and what it is to say."""

    command: str
    output: str


def files() -> Iterator[tuple[str, str]]:
    """The files that the page shows, by name: Python whose first line is a comment with it."""
    for block in re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE):
        yield block.partition("\n")[0].removeprefix("# "), block


def tables() -> dict[str, str]:
    """What stands on the page of each command's arguments."""
    return {found["name"]: found["table"] for found in _PART.finditer(PAGE.read_text())}


def expected_table(name: str) -> str:
    """What should stand there, as the parser has it."""
    rows = [f"| {_written(action)} | {_told(action)} |\n" for action in own_arguments(name)]
    return "".join(["\n| argument | |\n|---|---|\n", *rows, "\n"])


def own_arguments(name: str) -> list[argparse.Action]:
    """The arguments of a command, apart from those that all have."""
    parser: object = build()
    for word in name.split():
        assert isinstance(parser, argparse.ArgumentParser)
        choices = next(action.choices for action in parser._actions if isinstance(action.choices, dict))
        parser = choices[word]
    assert isinstance(parser, argparse.ArgumentParser)
    shared = {"help", "json", *(() if name == "demo" else ("store",))}
    return [action for action in parser._actions if action.dest not in shared]


def examples() -> Iterator[Example]:
    """The session, command by command."""
    for block in re.findall(r"^```console\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE):
        for command, output in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
            yield Example(command, output)


def learned(shown: str, said: str, known: dict[str, str]) -> bool:
    """Whether `said` is what the page shows. Adds to `known` what an id on the page is here."""
    names: list[str] = []

    def pattern(found: re.Match[str]) -> str:
        if found["rest"]:
            return r"\S*"
        if found["instant"]:
            return _INSTANT
        shown_id = found["id"]
        if shown_id in known:
            return re.escape(known[shown_id])
        if shown_id in names:
            return rf"(?P=id{names.index(shown_id)})"
        names.append(shown_id)
        return rf"(?P<id{len(names) - 1}>[\w-]{{{len(shown_id)}}})"

    parts, last = [], 0
    for found in _VARIABLE.finditer(shown):
        parts += [re.escape(shown[last : found.start()]), pattern(found)]
        last = found.end()
    # The milliseconds of an instant, too.
    whole = re.sub(r"(?<=\\d\\d)\\\.\d{3}Z", r"\\.\\d{3}Z", "".join([*parts, re.escape(shown[last:])]))
    match = re.fullmatch(whole, said)
    if match is not None:
        known.update({name: match[f"id{place}"] for place, name in enumerate(names)})
    return match is not None


def _written(action: argparse.Action) -> str:
    if not action.option_strings:
        return f"`{action.metavar}`"
    value = "\\|".join(map(str, action.choices)) if action.choices else str(action.metavar or action.dest.upper())
    return f"`{action.option_strings[-1]}{'' if action.nargs == 0 else f' {value}'}`"


def _told(action: argparse.Action) -> str:
    must = "required: " if action.option_strings and action.required else ""
    return f"{must}{action.help}".replace("|", "\\|")


if __name__ == "__main__":
    text = PAGE.read_text()
    PAGE.write_text(_PART.sub(lambda found: f"{found[1]}{expected_table(found['name'])}{found[4]}", text))
