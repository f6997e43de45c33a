"""A long answer over WSGI, which is broken off when the credential that it was given to ends.

WSGI has no way to break an answer off but to raise while the server iterates over it; the server closes the connection,
and the body has no end. A server waits for each chunk, and nothing can be done meanwhile: what the application is slow
to give ends with its next chunk, which is not sent. So an event stream that may be silent for long needs a heartbeat,
such as a comment every few seconds, which proxies ask for as well.
"""

from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Final, TypeAlias, cast
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from guestpass.errors import ConnectionEnded
from guestpass.guard import Guard
from guestpass.live.long_answers import LOOK_AGAIN, LongAnswers
from guestpass.principal import Principal

ExcInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]
Headers: TypeAlias = list[tuple[str, str]]


VARY: Final = ("Vary", "Authorization")


def vary_by_credential(headers: Headers) -> Headers:
    """`headers` with ``Vary: Authorization`` merged in, as `guestpass.problems` has it for bytes."""
    named = [field.strip().lower() for name, value in headers if name.lower() == "vary" for field in value.split(",")]
    return headers if "authorization" in named or "*" in named else [*headers, VARY]


class LongAnswer:
    """One answer to `principal`, which varies by credential; broken off at its end where it is among `answers`.

    `still_admitted` is asked once an answer turns out to be long, whenever the guard hears of the credential's ending,
    and every few seconds. Raises `ConnectionEnded`, to the server from the body, to the application from ``write``.
    """

    # What most answers never need has no place in the instance.
    _started = _long = _told = _over = False
    _looked = 0.0
    _forget: Callable[[], None] | None = None

    def __init__(
        self,
        guard: Guard,
        principal: Principal,
        answers: LongAnswers,
        still_admitted: Callable[[], bool],
        start_response: StartResponse,
    ) -> None:
        self._guard = guard
        self._principal = principal
        self._answers = answers
        self._still_admitted = still_admitted
        self._start_response = start_response

    def start(self, status: str, headers: Headers, exc_info: ExcInfo | None = None, /) -> Callable[[bytes], object]:
        """PEP 3333's ``start_response``."""
        long, varies = self._answers.all, False
        for name, value in headers:
            if len(name) == 12:
                long = long or (name.lower() == "content-type" and self._answers.has(value))
            elif len(name) == 4:
                varies = varies or name.lower() == "vary"
        write = self._start_response(status, vary_by_credential(headers) if varies else [*headers, VARY], exc_info)
        self._started, self._long = True, long
        if not long:
            if self._forget is not None:
                self.forget()
            return write
        if self._forget is None:
            self._forget = self._guard.watch(self._principal, self._tell)
            # What ended before has told nobody.
            self._told = True

        def checked(chunk: bytes) -> object:
            self.look()
            return write(chunk)

        return checked

    def of(self, app: WSGIApplication, environ: WSGIEnvironment) -> Iterable[bytes]:
        """The body that `app` answers with: as it is, unless it is long, or may yet turn out to be."""
        try:
            body = app(environ, self.start)
        except BaseException:
            # There is nothing that the server could close.
            self.forget()
            raise
        return _Body(self, body) if self._long or not self._started else body

    def look(self) -> None:
        """Raise `ConnectionEnded` where the answer is long, and its credential has ended."""
        if not self._long:
            return
        now = self._guard.clock()
        self._over = self._over or now >= self._principal.expires_at
        if not self._over and (self._told or not 0 <= now - self._looked < LOOK_AGAIN):
            self._told, self._looked = False, now
            self._over = not self._still_admitted()
        if self._over:
            raise ConnectionEnded

    def forget(self) -> None:
        """Look out for the end no longer."""
        if self._forget is not None:
            self._forget()
            self._forget = None

    def _tell(self) -> None:
        self._told = True


class _Body:
    """A body that looks, before each chunk is asked for and before it is handed on, whether it is over."""

    def __init__(self, answer: LongAnswer, body: Iterable[bytes]) -> None:
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
