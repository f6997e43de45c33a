"""JSON of strangers: what one decoder may read differently from another is refused."""

import json
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from guestpass import strict_json
from guestpass.strict_json import decode, decode_object

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=20,
)


@given(JSON, st.booleans(), st.sampled_from([None, 1]), st.sampled_from(["", " ", "\r\n\t "]))
def test_what_json_holds_comes_back(value: object, escaped: bool, indent: int | None, around: str) -> None:
    text = around + json.dumps(value, ensure_ascii=escaped, indent=indent) + around
    assert decode(text.encode()) == value


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"{'a': 1}", "not JSON"),
        (b"[1,]", "not JSON"),
        (b"\xa0{}", "not UTF-8"),
        (b"\xc2\xa0{}", "not JSON"),
        (b"{} {}", "not one JSON text"),
        (b"{}\x0b", "not one JSON text"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        ('{"a":1}'.encode("utf-16"), "not UTF-8"),
        ('{"a":1}'.encode("utf-16-le"), "not JSON"),
        (b'"\xff"', "not UTF-8"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
        (b'{"a":1,"a":1}', "a name occurs twice"),
        (b'{"a":1,"\\u0061":1}', "a name occurs twice"),
        (b'[{"b":{"a":1,"a":2}}]', "a name occurs twice"),
        (b"NaN", "NaN or Infinity"),
        (b"[-Infinity]", "NaN or Infinity"),
        (b"1e999", "a number beyond what a double holds"),
        (b"-1e999", "a number beyond what a double holds"),
        (b"9223372036854775808", "an integer beyond 64 bits"),
        (b"-9223372036854775809", "an integer beyond 64 bits"),
        (b"[" + b"1" * 5000 + b"]", "an integer beyond 64 bits"),
        (b'"\\ud800"', "half a surrogate pair"),
        (b'{"\\udc00\\ud800":1}', "half a surrogate pair"),
        (b"[" * 33 + b"]" * 33, "nested deeper than 32"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "nested deeper than 32"),
        (b"[" * 100_000, "nested deeper than 32"),
    ],
)
def test_refused(document: bytes, reason: str) -> None:
    with pytest.raises(ValueError) as problem:
        decode(document)
    assert str(problem.value) == reason
    assert type(problem.value) is ValueError
    assert problem.value.__cause__ is None


@pytest.mark.parametrize(
    ("document", "value"),
    [
        (b'"\\ud83d\\ude00"', "\N{GRINNING FACE}"),
        (b"9223372036854775807", 2**63 - 1),
        (b"-9223372036854775808", -(2**63)),
        (b"[" * 32 + b"]" * 32, None),
        (b"[[],[],[" + b'"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\"[["' + b"]]", None),
        (b"[" + b",".join([b"[{}]"] * 200) + b"]", [[{}]] * 200),
        (b"1.5", 1.5),
    ],
)
def test_accepted(document: bytes, value: object) -> None:
    decoded = decode(document)
    assert value is None or decoded == value


def test_the_size_is_bounded() -> None:
    assert decode(b'"aaa"', max_bytes=5) == "aaa"
    with pytest.raises(ValueError, match="more than 5 bytes"):
        decode(b'"aaaa"', max_bytes=5)
    with pytest.raises(ValueError, match="nested deeper than 1"):
        decode_object(b'{"a":[]}', max_depth=1)


@pytest.mark.parametrize("document", [b"[]", b'"x"', b"1", b"null", b"true"])
def test_an_object_is_an_object(document: bytes) -> None:
    decode(document)
    with pytest.raises(ValueError, match="not a JSON object"):
        decode_object(document)


@given(st.binary(max_size=200))
def test_never_anything_but_a_value_or_a_value_error(document: bytes) -> None:
    try:
        decode(document)
    except ValueError as problem:
        assert type(problem) is ValueError  # noqa: PT017 - it must be the bare kind, which carries no document


# A name that occurs twice, found by counting: as a reader that looks at each pair finds it.

NAMES = st.sampled_from(["a", "b", ",", ":", '"', "\\", "é", ""])
DOCUMENTS = st.recursive(
    (st.integers() | st.booleans() | st.none() | NAMES | st.text('",:[]{}\\ab', max_size=5)).map(
        lambda value: json.dumps(value, ensure_ascii=False)
    ),
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]")
        | st.lists(st.tuples(NAMES, inner), max_size=4).map(
            lambda pairs: "{" + ",".join(f"{json.dumps(name)}: {value}" for name, value in pairs) + "}"
        )
    ),
    max_leaves=12,
)


def repeats(text: str) -> bool:
    found = []

    def look(pairs: list[tuple[str, object]]) -> None:
        found.append(len(dict(pairs)) != len(pairs))

    json.loads(text, object_pairs_hook=look)
    return any(found)


@given(DOCUMENTS)
@example('{"a":1,"a":2}')
@example('{"a":1,"a":{"b":2}}')
@example('{"a":{"b":1,"b":2}}')
@example('{"a":",","b":1,"b":2}')
@example('{"a":[1,2],"a":",,"}')
@example('[{"a":"","a":""},{"":0,"":0}]')
def test_a_name_that_occurs_twice_is_found_wherever_it_is(text: str) -> None:
    try:
        value = decode(text.encode())
    except ValueError as problem:
        assert repeats(text) or str(problem) == "an integer beyond 64 bits"  # noqa: PT017 - either may be
    else:
        assert not repeats(text)
        assert value == json.loads(text)


# How deep it is, before any of it is parsed.


def nesting(text: str) -> int:
    """How deep the brackets outside of strings are, read character by character."""
    deepest, depth, inside, escaped = 0, 0, False, False
    for one in text:
        if inside:
            inside = escaped or one != '"'
            escaped = one == "\\" and not escaped
        elif one == '"':
            inside = True
        elif one in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif one in "]}":
            depth -= 1
    return deepest


@given(DOCUMENTS, st.integers(0, 60))
@example('["\\\\",[[]]]', 60)
@example('["\\\\\\"[[",[]]', 60)
@example('{"[":"]","\\"]":[{}]}', 60)
@example("[[[[", 2)
def test_the_depth_of_a_document_is_known_wherever_it_breaks_off(text: str, size: int) -> None:
    begun = text[:size]
    depth = nesting(begun)
    assert not strict_json._too_deep(begun, depth)
    assert depth == 0 or strict_json._too_deep(begun, depth - 1)


@pytest.mark.parametrize(
    "unit", ['"', '\\"', '"\\', "\\", "a", '["', '{"a":"', '"a\\\\"', "[[[[", "[],", '{"a":1},', '"\\u005b']
)
@pytest.mark.parametrize("begin", ["", '"', '{"a":"', "["])
def test_a_hostile_body_takes_no_time(begin: str, unit: str) -> None:
    bodies = [(begin + unit * 65_536)[:65_536], begin + unit * 8_192 + "null]"]
    began = time.thread_time()
    for body in bodies:
        try:
            decode(body.encode())
        except ValueError as problem:
            assert type(problem) is ValueError  # noqa: PT017 - it must be the bare kind, which carries no document
    assert time.thread_time() - began < 1
