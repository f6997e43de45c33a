"""A long answer over WSGI, which is broken off when the credential that it was given to ends.

WSGI has no way to break an answer off but to raise while the server iterates over it; the server closes the connection,
and the body has no end. A server waits for each chunk, and nothing can be done meanwhile: what the application is slow
to give ends with its next chunk, which is not sent. So an event stream that may be silent for long needs a heartbeat,
such as a comment every few seconds, which proxies ask for as well.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from types import TracebackType
from typing import Final, TypeAlias, cast
from wsgiref.types import StartResponse

from guestpass.errors import ConnectionEnded
from guestpass.guard import Guard
from guestpass.live.long_answers import ANSWERS, CONTENT_TYPE, LOOK_AGAIN, VARIES, LongAnswers
from guestpass.principal import Principal
from guestpass.problems import varies_by_credential
from guestpass.requests import NOTHING, Asked, Meanings, Request

ExcInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]
Headers: TypeAlias = list[tuple[str, str]]

VARY: Final = ("Vary", "Authorization")

_meanings = Meanings[str](lambda name: ANSWERS.get(name.lower(), NOTHING))


def vary_by_credential(headers: Headers) -> Headers:
    """`headers` with ``Vary: Authorization`` merged in, as `guestpass.problems` has it for bytes."""
    said = varies_by_credential(value for name, value in headers if name.lower() == "vary")
    return headers if said else [*headers, VARY]


class Streams:
    """How answers are served: those among `answers` that outlast their credential are broken off.

    `still_admitted` says whether the credential would be let in now.
    """

    def __init__(self, guard: Guard, still_admitted: Callable[[Request], bool], answers: LongAnswers) -> None:
        self.guard: Final = guard
        self.still_admitted: Final = still_admitted
        self.answers: Final = answers


class Answer:
    """One answer to `principal`, which varies by credential; `stream` is there where it is long.

    `asked` is what the guard let it in by: the parts of a `Request`. `handed_on`: the server has its body as it is, so
    that nobody looks any more whether it is over.
    """

    __slots__ = ("_asked", "_principal", "_start_response", "_streams", "handed_on", "started", "stream")

    def __init__(self, streams: Streams, principal: Principal, asked: Asked, start_response: StartResponse) -> None:
        self._streams = streams
        self._principal = principal
        self._asked = asked
        self._start_response = start_response
        self.started = self.handed_on = False
        self.stream: Stream | None = None

    def start(self, status: str, headers: Headers, exc_info: ExcInfo | None = None, /) -> Callable[[bytes], object]:
        """PEP 3333's ``start_response``."""
        answers = self._streams.answers
        long, varies = answers.all, False
        for name, value in headers:
            meaning = _meanings.known.get(name)
            if meaning is None:
                meaning = _meanings.learn(name)
            if meaning == CONTENT_TYPE:
                known = answers.known.get(value)
                long = long or (answers.learn(value) if known is None else known)
            elif meaning == VARIES:
                varies = True
        write = self._start_response(status, vary_by_credential(headers) if varies else [*headers, VARY], exc_info)
        self.started = True
        if self.stream is not None:
            # It was started before, and is something else now.
            self.stream.forget()
            self.stream = None
        if not long:
            return write
        if self.handed_on:
            raise RuntimeError("an answer whose body the server has is started anew, as one that ends by itself")
        self.stream = Stream(self._streams, self._principal, self._asked)
        # No function of its own: its closure would cost every answer.
        return partial(self._write, write)

    def _write(self, write: Callable[[bytes], object], chunk: bytes) -> object:
        # What the answer is by now, should it be started once more.
        self.look()
        return write(chunk)

    def look(self) -> None:
        """Raise `ConnectionEnded` where the answer is long, and its credential has ended."""
        if self.stream is not None:
            self.stream.look()

    def forget(self) -> None:
        """Look out for the end no longer."""
        if self.stream is not None:
            self.stream.forget()


class Stream:
    """A long answer, broken off at the end of its credential.

    Whether that still stands is asked whenever the guard hears of its ending, and every few seconds. Raises
    `ConnectionEnded`, to the server from the body, to the application from ``write``.
    """

    def __init__(self, streams: Streams, principal: Principal, asked: Asked) -> None:
        self._streams = streams
        self._principal = principal
        self._request = Request(*asked)
        self._over = False
        self._looked = 0.0
        # What ended before has told nobody.
        self._told = True
        self.forget: Final = streams.guard.watch(principal, self._tell)

    def look(self) -> None:
        """Raise `ConnectionEnded` where the credential has ended."""
        now = self._streams.guard.clock()
        self._over = self._over or now >= self._principal.expires_at
        if not self._over and (self._told or not 0 <= now - self._looked < LOOK_AGAIN):
            self._told, self._looked = False, now
            self._over = not self._streams.still_admitted(self._request)
        if self._over:
            raise ConnectionEnded

    def _tell(self) -> None:
        self._told = True


class Body:
    """A body that looks, before each chunk is asked for and before it is handed on, whether it is over."""

    def __init__(self, answer: Answer, body: Iterable[bytes]) -> None:
        self._answer = answer
        self._body = body
        self._chunks: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self._answer.look()
        if self._chunks is None:
            self._chunks = iter(self._body)
        chunk = next(self._chunks)
        self._answer.look()
        return chunk

    def close(self) -> None:
        """To be called by the server, at the end or in the middle (PEP 3333)."""
        self._answer.forget()
        close = cast("Callable[[], object] | None", getattr(self._body, "close", None))
        if close is not None:
            close()
