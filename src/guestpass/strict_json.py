"""JSON that strangers wrote, decoded in the one way that nobody can read differently.

Knows RFC 8259 and what it leaves open: two parsers may disagree on duplicate names, on numbers no double or
64-bit integer holds, on encodings, on NaN. Here each of these is refused (RFC 7493, I-JSON, goes the same
way). Knows nothing of tokens, key sets or requests. Reasons never quote the document.
"""

import json
import re
from collections.abc import Callable, Iterable
from json.scanner import make_scanner
from typing import Final, NoReturn, cast

MAX_BYTES: Final = 512 * 1024
MAX_DEPTH: Final = 32

# A string that never ends is taken to the end, so that no part of it is looked at twice.
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
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
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    # Most claims have one bracket, and to see that there are no more is five times as fast as to count them.
    if ("[" in text or text.find("{", 1) > 0) and _too_deep(text, max_depth):
        raise ValueError(f"nested deeper than {max_depth}")
    if text[:1] not in "{[":
        text = text.strip(_WHITESPACE)
    escaped = "\\" in text
    try:
        value, end = (_scan_uniquely if escaped else _scan)(text, 0)
    except (StopIteration, json.JSONDecodeError):
        # It would carry the whole document.
        raise ValueError("not JSON") from None
    if end != len(text) and text[end:].strip(_WHITESPACE):
        raise ValueError("not one JSON text")
    if escaped:
        if _SURROGATE.search(text):
            _refuse_lone_surrogates(value)
    # What stands twice in the text stands once in the value, so something is left over when both are counted: each
    # member but the first has its comma, and most claims have no other. That is half the work of looking at each pair,
    # as the other scanner does.
    elif value.__class__ is not dict or text.count(",") + 1 != len(cast("dict[str, object]", value)):
        _refuse_repeated_names(value, text)
    return value


def decode_object(data: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> dict[str, object]:
    """As `decode`, and the value must be an object."""
    value = decode(data, max_bytes=max_bytes, max_depth=max_depth)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return cast("dict[str, object]", value)


def _too_deep(text: str, limit: int) -> bool:
    if text.count("[") + text.count("{") <= limit:
        return False
    depth = 0
    for match in _TOKEN.finditer(text):
        first = match[0][0]
        if first in "{[":
            depth += 1
            if depth > limit:
                return True
        elif first in "}]":
            depth -= 1
    return False


def _refuse_repeated_names(value: object, text: str) -> None:
    # As above, by another count: where none of them is escaped, each string has exactly two quotation marks.
    if text.count('"') != 2 * _strings((value,)):
        raise ValueError("a name occurs twice")


def _strings(values: Iterable[object]) -> int:
    """How many strings there are among these values and inside of them, names too."""
    count = 0
    for value in values:
        if type(value) is str:
            count += 1
        elif type(value) is dict:
            members = cast("dict[str, object]", value)
            count += len(members) + _strings(members.values())
        elif type(value) is list:
            count += _strings(cast("list[object]", value))
    return count


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
    if len(text) < 19:
        return int(text)
    number = int(text) if len(text) <= 20 else 2**63
    if not -(2**63) <= number < 2**63:
        raise ValueError("an integer beyond 64 bits")
    return number


def _finite_float(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError("a number beyond what a double holds")
    return number


def _no_constant(_name: str) -> NoReturn:
    raise ValueError("NaN or Infinity")


def _scanner(decoder: json.JSONDecoder) -> Callable[[str, int], tuple[object, int]]:
    # What `raw_decode` calls.
    return make_scanner(decoder)  # type: ignore[arg-type] # a decoder is what it takes; typeshed says otherwise


_scan: Final = _scanner(
    json.JSONDecoder(parse_int=_bounded_int, parse_float=_finite_float, parse_constant=_no_constant)
)
_scan_uniquely: Final = _scanner(
    json.JSONDecoder(
        object_pairs_hook=_unique_names,
        parse_int=_bounded_int,
        parse_float=_finite_float,
        parse_constant=_no_constant,
    )
)
