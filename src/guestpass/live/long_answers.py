"""Which answers are long: those that are broken off when the credential that they were given to ends.

What both doors say of them. Knows content types, and no server.
"""

import re
from collections.abc import Collection
from typing import Final, Literal, TypeAlias, cast

from guestpass.errors import ConfigurationError, ConnectionEnded

EndStreams: TypeAlias = Collection[str] | Literal["all"]
"""Content types of answers that end with their credential: ``"all"`` for every answer, ``()`` for none."""

EVENT_STREAM: Final = ("text/event-stream",)

LOOK_AGAIN: Final = 5.0
"""Seconds between two looks at whether the credential of a live connection still stands, for what ends without a word
in this process."""

CONTENT_TYPE, VARIES = range(1, 3)
"""What the name of an answer's header means here, besides `guestpass.requests.NOTHING`."""

ANSWERS: Final = {"content-type": CONTENT_TYPE, "vary": VARIES}

_KEPT: Final = 256
_LONGEST: Final = 128

# RFC 9110 section 8.3.1, without parameters.
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+/[a-z0-9!#$%&'*+.^_`|~-]+\Z")


class LongAnswers:
    """The answers that end with their credential, by their content type.

    Raises `ConfigurationError` for what is not a content type.
    """

    def __init__(self, end_streams: EndStreams) -> None:
        self.all: Final = end_streams == "all"
        if isinstance(end_streams, str) and not self.all:
            raise ConfigurationError(f'end_streams={end_streams!r}: content types, [{end_streams!r}], or "all"')
        self._types = frozenset[str]() if self.all else frozenset(one.lower() for one in end_streams)
        for one in self._types:
            if not _MEDIA_TYPE.match(one):
                raise ConfigurationError(f'end_streams=[{one!r}]: a content type alone: "text/event-stream"')
        self.known: Final[dict[bytes | str, bool]] = {}

    def has(self, content_type: bytes | str) -> bool:
        """Whether an answer with this Content-Type is one of them."""
        known = self.known.get(content_type)
        return self.learn(content_type) if known is None else known

    def learn(self, content_type: bytes | str) -> bool:
        """`has` of one that is not `known`, which it is from then on; with too many of them, all begin anew."""
        text = content_type if isinstance(content_type, str) else content_type.decode("latin-1")
        known = self.all or text.partition(";")[0].strip().lower() in self._types
        if len(content_type) <= _LONGEST:
            if len(self.known) >= _KEPT:
                # Each answer may have one of its own, such as with a boundary; the usual ones are met again at once.
                self.known.clear()
            self.known[content_type] = known
        return known


def caused_by_end(problem: BaseException | None, depth: int = 20) -> bool:
    """Whether `problem` is what an application made of `ConnectionEnded`, and nothing of its own."""
    if problem is None or depth == 0:
        return False
    if isinstance(problem, ConnectionEnded):
        return True
    if isinstance(problem, BaseExceptionGroup):
        each = cast("BaseExceptionGroup[BaseException]", problem).exceptions
        return all(caused_by_end(one, depth - 1) for one in each)
    if problem.__cause__ is None and not _says_lost(problem):
        # What goes wrong while the end is handled is a mistake of the application's.
        return False
    return caused_by_end(problem.__cause__ or problem.__context__, depth - 1)


def _says_lost(problem: BaseException) -> bool:
    """Frameworks raise their own for a connection that is lost: Starlette's ClientDisconnect, and others' like it."""
    return isinstance(problem, OSError) or "Disconnect" in type(problem).__name__
