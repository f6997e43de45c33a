"""JSON that strangers wrote, decoded in the one way that nobody can read differently.

Knows RFC 8259 and what it leaves open: two parsers may disagree on duplicate names, on numbers no double or
64-bit integer holds, on encodings, on NaN. Here each of these is refused (RFC 7493, I-JSON, goes the same
way). Knows nothing of tokens, key sets or requests. Reasons never quote the document.
"""

import json
import re
from collections.abc import Callable
from itertools import accumulate, repeat
from json.scanner import make_scanner
from typing import Final, NoReturn, TypeAlias, cast

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
"""What JSON holds, as Python has it."""

MAX_BYTES: Final = 512 * 1024
MAX_DEPTH: Final = 32

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_WHITESPACE: Final = b" \t\r\n"
_STEP: Final = {"[": 1, "{": 1, "]": -1, "}": -1}


def decode(data: bytes, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Json:
    """The value that `data` holds: one JSON text (RFC 8259) in UTF-8 without a byte order mark.

    Refused with `ValueError`, whose text is safe to show: more than `max_bytes` bytes, nesting beyond
    `max_depth`, a name that occurs twice in one object, NaN and Infinity, a number that a double holds only
    as infinity, an integer outside of 64 bits (signed), half a surrogate pair.
    """
    if len(data) > max_bytes:
        raise ValueError(f"more than {max_bytes} bytes")
    try:
        text = data.strip(_WHITESPACE).decode()
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    # Before the parser, since that recurses. Most claims have one bracket, and to see that there are no more is five
    # times as fast as to count them.
    if ("[" in text or text.find("{", 1) > 0) and _too_deep(text, max_depth):
        raise ValueError(f"nested deeper than {max_depth}")
    try:
        value, end = _scan(text, 0)
    except (StopIteration, json.JSONDecodeError):
        # It would carry the whole document.
        raise ValueError("not JSON") from None
    if end != len(text):
        raise ValueError("not one JSON text")
    # A name that occurs twice stands once in the value, and each member but the first has its comma in the text. Where
    # there are no more commas than the value needs, nothing is missing, and nothing inside of it has two members. Most
    # claims are like that. It is a third of the work of looking at each pair; and bytes.replace() goes from comma to
    # comma, where count() looks at every character.
    if not isinstance(value, dict) or len(data) - len(data.replace(b",", b"")) + 1 != len(value):
        _refuse_repeated_names(value, text)
    if "\\" in text and _SURROGATE.search(text):
        _refuse_lone_surrogates(value)
    return value


def decode_object(data: bytes, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> dict[str, object]:
    """As `decode`, and the value must be an object."""
    value = decode(data, max_bytes, max_depth)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return cast("dict[str, object]", value)


def _too_deep(text: str, limit: int) -> bool:
    if text.count("[") + text.count("{") <= limit:
        return False
    outside = "".join(_without_escapes(text).split('"')[::2])
    return max(accumulate(map(_STEP.get, outside, repeat(0))), default=0) > limit


def _without_escapes(text: str) -> str:
    """`text` so that each quotation mark in it begins a string or ends it."""
    # Backslashes come by twos: after an even number of them stands a mark that nothing escapes.
    return text.replace("\\\\", "").replace('\\"', "") if "\\" in text else text


def _refuse_repeated_names(value: Json, text: str) -> None:
    # As above, by another count: each string has exactly two quotation marks.
    if _without_escapes(text).count('"') != 2 * _strings(value):
        raise ValueError("a name occurs twice")


def _strings(value: Json) -> int:
    """How many strings there are in a value, names too."""
    count, level = 0, [value]
    while level:
        deeper: list[Json] = []
        for one in level:
            if isinstance(one, str):
                count += 1
            elif isinstance(one, dict):
                count += len(one)
                deeper += one.values()
            elif isinstance(one, list):
                deeper += one
        level = deeper
    return count


def _refuse_lone_surrogates(value: Json) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("half a surrogate pair") from None


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


def _scanner(decoder: json.JSONDecoder) -> Callable[[str, int], tuple[Json, int]]:
    # What `raw_decode` calls.
    return make_scanner(decoder)  # type: ignore[arg-type] # a decoder is what it takes; typeshed says otherwise


_scan: Final = _scanner(
    json.JSONDecoder(parse_int=_bounded_int, parse_float=_finite_float, parse_constant=_no_constant)
)
