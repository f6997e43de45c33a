"""JSON of strangers: what one decoder may read differently from another is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
