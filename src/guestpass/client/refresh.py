"""An `httpx.Auth` that keeps a short-lived credential good: `RefreshAuth`.

    auth = RefreshAuth(lambda _: client.account_sessions.create(account="acct_1"), base_url="https://api.example")
    with httpx.Client(base_url="https://api.example", auth=auth) as api: …

Knows how httpx has requests authenticated, for threads and event loops alike. When and by whom a credential is renewed
is in `guestpass.client.renewing`.
"""

import asyncio
import contextlib
import inspect
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from concurrent.futures import Future
from typing import Final, cast

import anyio
import anyio.to_thread
import httpx

from guestpass.client.bearers import Renewed
from guestpass.client.renewing import WAIT, Held, Refresh, Renewals
from guestpass.client.settings import check_base_url, invalid, origin_of
from guestpass.client_error import ClientError
from guestpass.concurrency.coroutines import run_plain


class RefreshAuth(httpx.Auth):
    """Sends a credential that `refresh` gives, and only to the origin of `base_url`.

    It is renewed 5 minutes before its end, one of under 25 minutes after 80 % of its lifetime; counted from receipt on
    a monotonic clock, and early at most once in 30 seconds. A 401 renews it once, and the request is sent once more.
    One renewal serves however many requests wait for it, in threads and on event loops; where an early one fails, the
    old credential is used as long as it is good. To any other origin, redirects included, nothing is sent.

    `refresh` is called with the entity id: `entity_id`, or that of the first token; a token of another id is refused.
    It may be async where only an `httpx.AsyncClient` uses this. It must not use this itself. `initial` is a credential
    to begin with. Nobody waits longer than `wait` seconds for a renewal; a plain `refresh` bounds its own time.

    Requests raise `ClientError` (``REFRESH_FAILED``) where no credential can be had. A request whose body is a stream
    cannot be sent again: after a 401 the credential is renewed, and ``INVALID_REQUEST`` says so.
    """

    def __init__(
        self,
        refresh: Refresh,
        *,
        base_url: str,
        initial: Renewed | None = None,
        entity_id: str | None = None,
        wait: float = WAIT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not callable(refresh):
            raise invalid("RefreshAuth(refresh): a function that is given the entity id and answers a credential")
        if not isinstance(wait, int | float) or wait <= 0:
            raise invalid(f"RefreshAuth(wait={wait!r}): seconds, more than 0")
        self._origin: Final = origin_of(httpx.URL(check_base_url(base_url)))
        self._renewals: Final = Renewals(refresh, initial=initial, entity_id=entity_id, wait=wait, clock=clock)

    @property
    def entity_id(self) -> str | None:
        """Whose token it is, once that is known; None for a session, which names nobody."""
        return self._renewals.entity_id

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """For `httpx.Client`."""
        if not self._is_for(request):
            yield request
            return
        held = run_plain(self._renewals.obtain(_IN_A_THREAD))
        response = yield _with(held, request)
        if self._may_renew(response, held):
            held = run_plain(self._renewals.obtain(_IN_A_THREAD, refused=held))
            response = yield _with(held, _again(request))
            self._note(response, held)

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """For `httpx.AsyncClient`, on asyncio or trio."""
        if not self._is_for(request):
            yield request
            return
        held = await self._renewals.obtain(_ON_A_LOOP)
        response = yield _with(held, request)
        if self._may_renew(response, held):
            held = await self._renewals.obtain(_ON_A_LOOP, refused=held)
            response = yield _with(held, _again(request))
            self._note(response, held)

    def _is_for(self, request: httpx.Request) -> bool:
        return origin_of(request.url) == self._origin

    def _may_renew(self, response: httpx.Response, held: Held) -> bool:
        return self._refuses(response, held) and not self._renewals.is_vain(held)

    def _note(self, response: httpx.Response, held: Held) -> None:
        if self._refuses(response, held):
            self._renewals.in_vain(held)

    def _refuses(self, response: httpx.Response, held: Held) -> bool:
        # After redirects whoever answered may have been shown no credential, and judges none.
        shown = response.request.headers.get("Authorization") == f"Bearer {held.text}"
        return response.status_code == 401 and shown and self._is_for(response.request)


def _with(held: Held, request: httpx.Request) -> httpx.Request:
    request.headers["Authorization"] = f"Bearer {held.text}"
    return request


def _again(request: httpx.Request) -> httpx.Request:
    if not isinstance(request.stream, httpx.ByteStream):
        raise ClientError(
            "INVALID_REQUEST",
            "the request was refused with 401, and its body, a stream, cannot be sent a second time. The credential "
            "has been renewed: send the request again, or its body as bytes",
            status=401,
        )
    return request


class _InAThread:
    async def call(self, refresh: Refresh, entity_id: str | None, _: float, /) -> object:
        answer = refresh(entity_id)
        if isinstance(answer, Awaitable):
            if inspect.iscoroutine(answer):
                answer.close()
            raise invalid("an async refresh callback needs httpx.AsyncClient; httpx.Client needs a plain one")
        return answer

    async def wait(self, landed: Future[None], seconds: float, /) -> bool:
        try:
            landed.result(seconds)
        except TimeoutError:
            return False
        return True


class _OnALoop:
    async def call(self, refresh: Refresh, entity_id: str | None, seconds: float, /) -> object:
        with anyio.fail_after(seconds):
            if inspect.iscoroutinefunction(refresh):
                return await refresh(entity_id)
            # It may block: other tasks go on meanwhile. In a tuple, since trio lets no coroutine out of a thread.
            (answer,) = await anyio.to_thread.run_sync(lambda: (refresh(entity_id),), abandon_on_cancel=True)
            return await cast("Awaitable[object]", answer) if isinstance(answer, Awaitable) else answer

    async def wait(self, landed: Future[None], seconds: float, /) -> bool:
        event = anyio.Event()
        wake = _waker(event)
        landed.add_done_callback(lambda _: wake())
        with anyio.move_on_after(seconds):
            await event.wait()
            return True
        return False


_IN_A_THREAD: Final = _InAThread()
_ON_A_LOOP: Final = _OnALoop()


def _waker(event: anyio.Event) -> Callable[[], None]:
    """What sets `event`, from any thread, the loop's own included; nothing where its loop has ended."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        import trio

        token = trio.lowlevel.current_trio_token()

        def wake_trio() -> None:
            with contextlib.suppress(trio.RunFinishedError):
                token.run_sync_soon(event.set)

        return wake_trio

    def wake() -> None:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(event.set)

    return wake
