"""How bash, zsh and fish are told what may follow what. Pure: from levels to the text of a script."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Takes: TypeAlias = Literal["nothing", "value", "file"]
"""What follows an option."""


@dataclass(frozen=True, slots=True)
class Option:
    """An option: how it is written, and what may follow it."""

    flags: tuple[str, ...]
    help: str
    takes: Takes
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Level:
    """What may follow the words of `path`: other words, each with a line about it, and options."""

    path: str
    words: Mapping[str, str]
    options: tuple[Option, ...]


def bash(levels: Sequence[Level]) -> str:
    """A script for bash."""
    cases = [
        f"        {_quoted(level.path)})\n{_values(level, _bash_value)}"
        f"            words={_quoted(' '.join(level.words))} flags={_quoted(' '.join(_flags(level)))} ;;"
        for level in levels
    ]
    return _BASH.format(known=_known(levels), cases="\n".join(cases))


def zsh(levels: Sequence[Level]) -> str:
    """A script for zsh."""
    cases = [
        f"        {_quoted(level.path)})\n{_values(level, _zsh_value)}"
        f"            words_here=({' '.join(_quoted(f'{word}:{text}') for word, text in level.words.items())})\n"
        f"            options_here=({' '.join(_zsh_options(level))}) ;;"
        for level in levels
    ]
    return _ZSH.format(known=_known(levels), cases="\n".join(cases))


def fish(levels: Sequence[Level]) -> str:
    """A script for fish."""
    lines: list[str] = []
    for level in levels:
        here = f"complete -c guestpass -n {_fish_quoted(f'__guestpass_at {_fish_quoted(level.path)}')}"
        lines += [f"{here} -a {word} -d {_fish_quoted(text)}" for word, text in level.words.items()]
        for option in level.options:
            flags = " ".join(f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in option.flags)
            lines.append(f"{here} {flags}{_fish_value(option)} -d {_fish_quoted(option.help)}")
    known = " ".join(_fish_quoted(level.path) for level in levels if level.path)
    return _FISH.format(known=known, lines="\n".join(lines))


SHELLS: Final[Mapping[str, Callable[[Sequence[Level]], str]]] = {"bash": bash, "zsh": zsh, "fish": fish}


def _flags(level: Level) -> list[str]:
    return [flag for option in level.options for flag in option.flags]


def _known(levels: Iterable[Level]) -> str:
    return "|".join(_quoted(level.path) for level in levels if level.path)


def _values(level: Level, value: Callable[[Option], str]) -> str:
    """What may follow an option that takes something, in the words of bash and zsh."""
    arms: dict[str, list[str]] = {}
    for option in level.options:
        if option.takes != "nothing":
            arms.setdefault(value(option), []).extend(option.flags)
    if not arms:
        return ""
    lines = [f"                {'|'.join(flags)}) {command}; return ;;\n" for command, flags in arms.items()]
    return f"            case $before in\n{''.join(lines)}            esac\n"


def _bash_value(option: Option) -> str:
    if option.takes == "file":
        return '_guestpass_files "$now"'
    return f'COMPREPLY=($(compgen -W {_quoted(" ".join(option.choices))} -- "$now"))' if option.choices else ":"


def _zsh_value(option: Option) -> str:
    if option.takes == "file":
        return "_files"
    return f"compadd -- {' '.join(map(_quoted, option.choices))}" if option.choices else "_message 'a value'"


def _zsh_options(level: Level) -> list[str]:
    return [_quoted(f"{flag}:{option.help}") for option in level.options for flag in option.flags]


def _fish_value(option: Option) -> str:
    if option.takes == "file":
        return " -r -F"
    if option.choices:
        return f" -x -a {_fish_quoted(' '.join(option.choices))}"
    return " -x" if option.takes == "value" else ""


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


_BASH: Final = """\
# guestpass: completion for bash. From `guestpass completion bash`.
_guestpass_files() {{
    local IFS=$'\\n'
    compopt -o filenames 2>/dev/null
    COMPREPLY=($(compgen -f -- "$1"))
}}
_guestpass() {{
    local now=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} at='' words='' flags='' i
    # bash cuts --option=value into three words.
    if [[ $now == = ]]; then now=''; elif [[ $before == = ]]; then before=${{COMP_WORDS[COMP_CWORD-2]}}; fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "$at ${{COMP_WORDS[i]}}" in {known}) at="$at ${{COMP_WORDS[i]}}" ;; esac
    done
    COMPREPLY=()
    case $at in
{cases}
    esac
    if [[ $now == -* || -z $words ]]; then words=$flags; fi
    COMPREPLY=($(compgen -W "$words" -- "$now"))
}}
complete -F _guestpass guestpass
"""

_ZSH: Final = """\
#compdef guestpass
# guestpass: completion for zsh. From `guestpass completion zsh`.
_guestpass() {{
    local before=${{words[CURRENT-1]}} at='' i
    local -a words_here options_here
    for ((i = 2; i < CURRENT; i++)); do
        case "$at ${{words[i]}}" in ({known}) at="$at ${{words[i]}}" ;; esac
    done
    case $at in
{cases}
    esac
    (( $#words_here )) && _describe -t commands 'guestpass' words_here
    _describe -o -t options 'option' options_here
}}
if [[ $funcstack[1] == _guestpass ]]; then _guestpass "$@"; else compdef _guestpass guestpass; fi
"""

_FISH: Final = """\
# guestpass: completion for fish. From `guestpass completion fish`.
function __guestpass_at
    set -l at ''
    set -l found (commandline -opc)
    for word in $found[2..-1]
        contains -- "$at $word" {known}; and set at "$at $word"
    end
    test "$at" = "$argv[1]"
end
complete -c guestpass -f
{lines}
"""
