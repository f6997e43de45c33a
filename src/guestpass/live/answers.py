"""Every answer over ASGI to a principal: that it varies by credential, and whether it is long.

An event stream has to end with its credential, and that an answer is one shows in its Content-Type alone. So all are
looked at, and most cost no more than that; there is a `Stream` for a long one, and for one whose application may be
waiting for the client to go.
"""

from collections.abc import Awaitable

from anyio.abc import TaskGroup

from guestpass.asgi_types import ASGIApp, Message, Receive, Scope, Send
from guestpass.live.life import in_company
from guestpass.live.long_answers import ANSWERS, CONTENT_TYPE, VARIES, LongAnswers
from guestpass.live.streams import Host, Stream, Streams
from guestpass.principal import Principal
from guestpass.problems import VARY, vary_by_credential
from guestpass.requests import NOTHING, Asked, Headers, Meanings

_meanings = Meanings[bytes](lambda name: ANSWERS.get(name.lower().decode("latin-1"), NOTHING))


class Answer:
    """One answer, to the request `asked` by which the guard let in `principal`.

    The application is run with `receive` and `send`, by `host`; where there is a `stream` afterwards, it is to be
    closed.
    """

    __slots__ = ("_asked", "_principal", "_receive", "_received", "_send", "_streams", "host", "stream")

    host: Host

    def __init__(self, streams: Streams, principal: Principal, asked: Asked, receive: Receive, send: Send) -> None:
        self._streams = streams
        self._principal = principal
        self._asked = asked
        self._receive = receive
        self._send = send
        self._received = False
        self.stream: Stream | None = None

    def receive(self) -> Awaitable[Message]:
        """The next message. The first one is the body, or begins it, and is not waited for like a disconnect."""
        if self._received or self.stream is not None:
            return self._watched().receive()
        self._received = True
        return self._receive()

    def send(self, message: Message) -> Awaitable[None]:
        """Send, unless the answer is over. A long one is watched from its start on, until it is complete."""
        if message["type"] == "http.response.start":
            # They are any iterable, which may be read but once.
            answers, headers = self._streams.answers, [*(message.get("headers") or ())]
            long, varies = answers.all, False
            meanings = _meanings.known
            try:
                for name, value in headers:
                    meaning = meanings[name]
                    if not meaning:
                        continue
                    if meaning == CONTENT_TYPE:
                        known = answers.known.get(value)
                        long = long or (answers.learn(value) if known is None else known)
                    else:
                        varies = True
            except (KeyError, TypeError):
                long, varies = _looked_at(headers, answers)
            if long:
                self._watched().begin()
            if varies:
                headers = vary_by_credential(headers)
            else:
                headers.append(VARY)
            varying = dict(message)
            varying["headers"] = headers
            return self._send(varying)
        if self.stream is not None:
            return self.stream.send(message)
        return self._send(message)

    async def serve_in_company(self, app: ASGIApp, scope: Scope) -> None:
        """Run `app` in a task group, which also cancels it."""

        async def run(tasks: TaskGroup) -> None:
            self.host = tasks
            await app(scope, self.receive, self.send)

        try:
            problem = await in_company(run)
        finally:
            if self.stream is not None:
                self.stream.leave()
        if self.stream is not None:
            await self.stream.close(problem)
        if problem is not None:
            raise problem

    def _watched(self) -> Stream:
        if self.stream is None:
            self.stream = Stream(self._streams, self._principal, self._asked, self._receive, self._send, self.host)
        return self.stream


def _looked_at(headers: Headers, answers: LongAnswers) -> tuple[bool, bool]:
    """Whether an answer is long, and says itself what it varies by; its names are known from now on."""
    long, varies = answers.all, False
    for name, value in headers:
        # Some servers take what is no `bytes`, too, and so some applications send it.
        meaning = _meanings.learn(name if isinstance(name, bytes) else _as_bytes(name))
        long = long or (meaning == CONTENT_TYPE and answers.has(value))
        varies = varies or meaning == VARIES
    return long, varies


def _as_bytes(name: object) -> bytes:
    return name.encode("latin-1", "replace") if isinstance(name, str) else bytes(name)  # type: ignore[call-overload]
