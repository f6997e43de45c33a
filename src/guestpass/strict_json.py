"""JSON that strangers wrote, decoded in the one way that nobody can read differently.

Knows RFC 8259 and what it leaves open: two parsers may disagree on duplicate names, on numbers no double or
64-bit integer holds, on encodings, on NaN. Here each of these is refused (RFC 7493, I-JSON, goes the same
way). Knows nothing of tokens, key sets or requests. Reasons never quote the document.
"""

import json
import re
from typing import Final, NoReturn

MAX_BYTES: Final = 512 * 1024
MAX_DEPTH: Final = 32

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_WHITESPACE: Final = " \t\r\n"


def decode(data: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> object:
    """The value that `data` holds: one JSON text (RFC 8259) in UTF-8 without a byte order mark.

    Refused with `ValueError`, whose text is safe to show: more than `max_bytes` bytes, nesting beyond
    `max_depth`, a name that occurs twice in one object, NaN and Infinity, a number that a double holds only
    as infinity, an integer outside of 64 bits (signed), half a surrogate pair.
    """
    if len(data) > max_bytes:
        raise ValueError(f"more than {max_bytes} bytes")
    # Nothing is nested deeper than it has brackets; looking for one is far cheaper than counting them.
    brackets = data.count(b"[") if b"[" in data else 0
    brackets += data.count(b"{") if data.find(b"{", 1) > 0 else 1
    if brackets > max_depth and _too_deep(data, max_depth):
        raise ValueError(f"nested deeper than {max_depth}")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    if text[:1] not in ("{", "["):
        text = text.strip(_WHITESPACE)
    try:
        value, end = _DECODER.raw_decode(text)
    except json.JSONDecodeError:
        # It would carry the whole document.
        raise ValueError("not JSON") from None
    if end != len(text) and text[end:].strip(_WHITESPACE):
        raise ValueError("not one JSON text")
    if "\\" in text and _SURROGATE.search(text):
        _refuse_lone_surrogates(value)
    return value


def decode_object(data: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> dict[str, object]:
    """As `decode`, and the value must be an object."""
    value = decode(data, max_bytes=max_bytes, max_depth=max_depth)
    if type(value) is not dict:
        raise ValueError("not a JSON object")
    return value


def _too_deep(data: bytes, limit: int) -> bool:
    # Latin-1 decodes anything, and the bytes of JSON's own characters occur in UTF-8 as nothing else.
    depth = 0
    for match in _TOKEN.finditer(data.decode("latin-1")):
        first = match[0][0]
        if first in "{[":
            depth += 1
            if depth > limit:
                return True
        elif first in "}]":
            depth -= 1
    return False


def _refuse_lone_surrogates(value: object) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("half a surrogate pair") from None


def _unique_names(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name occurs twice")
    return members


def _bounded_int(text: str) -> int:
    number = int(text) if len(text) <= 20 else None
    if number is None or not -(2**63) <= number < 2**63:
        raise ValueError("an integer beyond 64 bits")
    return number


def _finite_float(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError("a number beyond what a double holds")
    return number


def _no_constant(_name: str) -> NoReturn:
    raise ValueError("NaN or Infinity")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique_names,
    parse_int=_bounded_int,
    parse_float=_finite_float,
    parse_constant=_no_constant,
)
