"""Request paths: which can be read in two ways, and where the application's own part begins.

The path that is judged must be the path that is routed, here and behind every proxy and upstream that may decode
or normalise it once more. What two parsers could take for two things is refused before any rule is looked at.
"""

import re
from typing import Final, Literal
from urllib.parse import unquote_to_bytes

Trouble = Literal["encoded_slash", "ambiguous"]

# Of the decoded path: empty and dot segments, parameters, backslashes, control characters, and whatever is
# still percent-encoded and would be one of these, or a slash, for the next one who decodes.
_DECODED: Final = re.compile(r"//|/\.\.?(?:/|\Z)|[\\;\x00-\x1f\x7f]|%(?:2f|5c|2e|3b|25|[01][0-9a-f]|7f)", re.IGNORECASE)
_RAW: Final = re.compile(rb"//|/(?:\.|%2e){1,2}(?:/|\Z)|[\\;\x00-\x20\x7f]|%(?:5c|3b|[01][0-9a-f]|7f)", re.IGNORECASE)
_RAW_SLASH: Final = re.compile(rb"%2f", re.IGNORECASE)
_SLASHES: Final = re.compile(r"//+")
# Most paths are like this, of which nothing above is true, and that is seen in half of the time.
_USUAL: Final = re.compile(r"(?:/[A-Za-z0-9_~@:-][A-Za-z0-9_~@:.-]*+)++/?").fullmatch

ONE_WAY: Final = (
    'Send it without empty or dot segments, backslashes, ";" and control characters, and with no slash encoded.'
)
"""What to do about a path that is refused."""


def trouble(path: str, raw_path: bytes | None) -> Trouble | None:
    """What is wrong with a path, if anything. An encoded slash alone is told apart: a rule may allow it.

    `path` is decoded; `raw_path` is as it was sent, where the server shows it, with or without its query.
    """
    if not _USUAL(path) and (not path.startswith("/") or _DECODED.search(path)):
        return "encoded_slash" if raw_path and _only_slashes(path, raw_path) else "ambiguous"
    if raw_path is None or len(raw_path) == len(path):
        # Equal lengths leave no room for an escape: what was sent is what was decoded.
        return None
    raw = raw_path.partition(b"?")[0]
    if _RAW.search(raw):
        return "ambiguous"
    return "encoded_slash" if _RAW_SLASH.search(raw) else None


def _only_slashes(path: str, raw_path: bytes) -> bool:
    """Whether the decoded path looks odd for its encoded slashes alone (``/a%2F%2Fb``). Dot segments never pass."""
    raw = raw_path.partition(b"?")[0]
    return (
        path.startswith("/")
        and _RAW_SLASH.search(raw) is not None
        and _RAW.search(raw) is None
        and unquote_to_bytes(raw) == path.encode("utf-8", "surrogatepass")
        and _DECODED.search(_SLASHES.sub("/", path)) is None
    )


def below_root(path: str, root_path: str) -> str | None:
    """The part of `path` below `root_path`, cut by whole segments.

    A path without that prefix is returned whole (servers differ in whether they leave it in); None where it
    shares the prefix only as text, such as ``/v10`` below ``/v1``. A root that ends in a slash is text too: routers
    do not cut it off.
    """
    if root_path in ("", "/") or not path.startswith(root_path):
        return path
    rest = path[len(root_path) :]
    return rest if not rest or rest[0] == "/" else None


def raw_prefix_agrees(path: str, raw_path: bytes, segments: int) -> bool:
    """Whether the first `segments` segments are the same before and after decoding, so that every encoded slash
    lies behind them."""
    raw = raw_path.partition(b"?")[0].split(b"/")[: segments + 1]
    decoded = [unquote_to_bytes(segment).decode("utf-8", "replace") for segment in raw]
    return decoded == path.split("/")[: segments + 1]
