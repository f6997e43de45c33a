"""Requests over httpx, one attempt at a time: bounded in time and size, redirects not followed, nothing remembered.

Whoever's `httpx.Client` it is, a request carries what the call says and nothing of the client's own: no cookies, no
other credential. What httpx raises ends here. A forked child has connections of its own.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Generic, NoReturn, TypeVar

import anyio
import httpx

from guestpass.client.exchange import MAX_ANSWER, Outgoing, Reply, retry_after
from guestpass.client.results import junk
from guestpass.client.settings import invalid
from guestpass.client_error import ClientError
from guestpass.concurrency.forking import begins_anew

H = TypeVar("H", httpx.Client, httpx.AsyncClient)


class Connections(Generic[H]):
    """The httpx client of a link; in a forked child another one, from `open_anew`.

    Two processes on one connection would read each other's answers, and with them each other's credentials. None:
    there is no other one to be had, and what was used before the fork is not used after it.
    """

    def __init__(self, http: H, open_anew: Callable[[], H] | None) -> None:
        self._http: H | None = http
        self._open_anew: Callable[[], H] | None = open_anew
        self._used = False
        begins_anew(self)

    def after_fork(self) -> None:
        """Let go of what the parent goes on with; not by closing it, since somebody may have held its locks."""
        if self._used:
            self._http = None

    def use(self) -> H:
        """Raises `ClientError` (``INVALID_REQUEST``)."""
        if self._http is None:
            if self._open_anew is None:
                raise invalid(
                    "this process was forked after the client had been used, and transport= or http= would share the "
                    "connections of both: make the client after the fork"
                )
            self._http = self._open_anew()
        self._used = True
        return self._http

    @property
    def opened(self) -> H | None:
        """What is to be closed."""
        return self._http


class SyncLink:
    """In the caller's thread. `timeout` is in seconds: for the connection, for each wait and for the body."""

    def __init__(
        self,
        http: Connections[httpx.Client],
        timeout: float,
        clock: Callable[[], float],
        sleep: Callable[[float], object],
    ) -> None:
        self._http = http
        self._timeout = timeout
        self._clock = clock
        self._sleep = sleep

    async def send(self, outgoing: Outgoing, /) -> Reply:
        """One attempt. Suspends nowhere."""
        return self._send(outgoing)

    async def pause(self, seconds: float, /) -> None:
        """Let `seconds` pass."""
        self._sleep(seconds)

    def _send(self, outgoing: Outgoing) -> Reply:
        deadline = self._clock() + self._timeout
        gathered = _Gathered()
        try:
            response = self._http.use().send(
                _request(outgoing, self._timeout), stream=True, auth=None, follow_redirects=False
            )
            try:
                gathered.begin(response)
                for chunk in response.iter_raw():
                    if gathered.add(chunk):
                        break
                    if self._clock() > deadline:
                        raise TimeoutError
            finally:
                response.close()
        except (httpx.TransportError, TimeoutError) as problem:
            _fail(problem, self._timeout)
        return gathered.reply(response, self._clock())


class AsyncLink:
    """On the caller's event loop, asyncio or trio. `timeout` is in seconds, for an attempt in total."""

    def __init__(
        self,
        http: Connections[httpx.AsyncClient],
        timeout: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = anyio.sleep,
    ) -> None:
        self._http = http
        self._timeout = timeout
        self._clock = clock
        self._sleep = sleep

    async def send(self, outgoing: Outgoing, /) -> Reply:
        """One attempt."""
        gathered = _Gathered()
        try:
            with anyio.fail_after(self._timeout):
                response = await self._http.use().send(
                    _request(outgoing, self._timeout), stream=True, auth=None, follow_redirects=False
                )
                try:
                    gathered.begin(response)
                    # Cancelled rather than left in the middle: httpx's generators, one in another, then all end here.
                    with anyio.CancelScope() as enough:
                        async for chunk in response.aiter_raw():
                            if gathered.add(chunk):
                                enough.cancel()
                finally:
                    await response.aclose()
        except (httpx.TransportError, TimeoutError) as problem:
            _fail(problem, self._timeout)
        return gathered.reply(response, self._clock())

    async def pause(self, seconds: float, /) -> None:
        """Let `seconds` pass."""
        await self._sleep(seconds)


class _Gathered:
    """The body of an answer, as far as it may go."""

    def __init__(self) -> None:
        self._body = bytearray()
        self._status = 0

    def begin(self, response: httpx.Response) -> None:
        self._status = response.status_code
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise junk("it is packed, though that was not asked for", self._status)

    def add(self, chunk: bytes) -> bool:
        """Whether there is too much of it by now."""
        if len(self._body) <= MAX_ANSWER:
            self._body += chunk
        return len(self._body) > MAX_ANSWER

    def reply(self, response: httpx.Response, received_at: float) -> Reply:
        if len(self._body) > MAX_ANSWER:
            raise junk(f"it is longer than {MAX_ANSWER} bytes", self._status)
        asked = retry_after(response.headers.get("retry-after"), response.headers.get("date"))
        return Reply(self._status, bytes(self._body), received_at, asked)


def _request(outgoing: Outgoing, timeout: float) -> httpx.Request:
    # Not through the client's own `build_request`, which would add its headers and cookies.
    return httpx.Request(
        "POST",
        outgoing.url,
        headers=dict(outgoing.headers),
        content=outgoing.body,
        extensions={"timeout": httpx.Timeout(timeout).as_dict()},
    )


def _fail(problem: httpx.TransportError | TimeoutError, timeout: float) -> NoReturn:
    if isinstance(problem, TimeoutError | httpx.TimeoutException):
        said = f"no answer within {timeout:g} s"
    elif isinstance(problem, httpx.ConnectError | httpx.ProxyError):
        said = f"no connection: {_reason(problem)}"
    else:
        # Its text may quote what the server sent, which may be anything.
        said = f"the connection broke off, or what answers there does not speak HTTP ({type(problem).__name__})"
    # Without the cause: it holds the request, and that the key.
    raise ClientError("NETWORK_ERROR", f"{said}. Check base_url and the network; the call may be made again") from None


def _reason(problem: BaseException) -> str:
    """The words of the system, or of TLS: which host is unknown, which certificate is not good."""
    found: BaseException | None = problem
    while found is not None:
        if isinstance(found, OSError) and str(found):
            return str(found)
        found = found.__cause__ or found.__context__
    return str(problem) or type(problem).__name__
