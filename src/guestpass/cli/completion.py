"""``guestpass completion``: what makes a shell complete commands and options.

Written from the parser itself, so that it cannot differ from it. How each shell is told is `guestpass.cli.shells`'s.
"""

import argparse
from collections.abc import Iterator
from typing import Final, cast

from guestpass.cli.answers import Answer
from guestpass.cli.command import Command
from guestpass.cli.shells import SHELLS, Level, Option, Takes


def completion(asked: argparse.Namespace) -> Answer:
    """The script for one shell."""
    script = SHELLS[asked.shell](list(levels(asked.parser)))
    return Answer({"shell": asked.shell, "script": script}, script.splitlines())


def levels(parser: argparse.ArgumentParser, path: str = "") -> Iterator[Level]:
    """What may follow each command, area and the program itself."""
    words: dict[str, str] = {}
    options: list[Option] = []
    # argparse tells of its arguments in no public way.
    for action in parser._actions:
        choices = cast("object", action.choices)
        if isinstance(choices, dict):
            below = cast("dict[str, argparse.ArgumentParser]", choices)
            for name, child in below.items():
                words[name] = (child.description or "").partition(". ")[0].rstrip(".")
                yield from levels(child, f"{path} {name}")
        elif action.option_strings:
            options.append(_option(action))
        else:
            words |= dict.fromkeys(cast("list[str]", action.choices or ()), action.help or "")
    yield Level(path, words, tuple(options))


def _option(action: argparse.Action) -> Option:
    choices = tuple(str(choice) for choice in action.choices or ())
    takes: Takes = "nothing" if action.nargs == 0 else "file" if action.metavar == "FILE" else "value"
    return Option(tuple(action.option_strings), action.help or "", takes, choices)


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", metavar="SHELL", choices=tuple(SHELLS), help=", ".join(SHELLS))


COMMANDS: Final = (
    Command(
        "completion",
        "print what makes a shell complete guestpass's commands and options",
        completion,
        _arguments,
        'bash: eval "$(guestpass completion bash)" in ~/.bashrc. '
        'zsh: eval "$(guestpass completion zsh)" in ~/.zshrc, after compinit. '
        "fish: guestpass completion fish > ~/.config/fish/completions/guestpass.fish",
        store="",
    ),
)
