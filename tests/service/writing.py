"""TOML for the tests: settings that are sound, and a writer for made-up ones."""

import json
import re
from collections.abc import Mapping
from typing import Final

from guestpass.cli.serve import EXAMPLE as EXAMPLE_FILE

EXAMPLE: Final = EXAMPLE_FILE.read_text()

SOUND = """\
store = "memory://"
[components]
call_logs = ["transcripts"]
voicemails = []
[ownership]
single_platform = true
[forward_auth]
proxy = "nginx"
trusted = ["127.0.0.1"]
[[rules]]
match = "GET /v1/call_logs"
component = "call_logs"
[issuing]
"""


def sound(*, without: str = "", **more: str) -> str:
    """Sound settings without one of their lines, and with more lines in front (``top``) and at the end (``end``)."""
    assert not without or without in SOUND
    return more.get("top", "") + "\n" + SOUND.replace(without, "") + more.get("end", "") + "\n"


def toml(document: Mapping[str, object]) -> str:
    """Made-up values as TOML: inline, which says the same as tables with headings."""
    return "".join(f"{_text(key)} = {_value(value)}\n" for key, value in document.items())


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text(key)} = {_value(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return _text(value) if isinstance(value, str) else repr(value)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def uncommented(block: str) -> str:
    """A block of the example with its settings put in force."""
    return re.sub(r"^#(?=[\w\[])", "", block, flags=re.MULTILINE)
