"""`RefreshAuth` in httpx's own clients, over real HTTP: renewal, 401, redirects, streams, threads and tasks."""

import io
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import httpx
import pytest

from client.scripted import KEY, LONG, WAYS, Act, Scripted, Way, says, scripted
from client.test_renewing import USER, Mint
from guestpass import KeyRing, open_store
from guestpass.client import AsyncClient, Bearer, Client, ClientError, RefreshAuth
from guestpass.demo import data
from guestpass.demo.house import House, open_house
from serving_here import serving
from support import Clock

REFUSED = says({}, "401 Unauthorized")


@pytest.fixture
def mint() -> Mint:
    return Mint()


def ask(way: Way, auth: httpx.Auth, url: str, method: str = "GET", **more: Any) -> httpx.Response:
    """One request, with a client that follows redirects."""
    if way == "sync":
        with httpx.Client(auth=auth, follow_redirects=True, timeout=LONG) as http:
            return http.request(method, url, **more)

    async def run() -> httpx.Response:
        async with httpx.AsyncClient(auth=auth, follow_redirects=True, timeout=LONG) as http:
            return await http.request(method, url, **more)

    return anyio.run(run, backend=way)


def shown(server: Scripted) -> list[str | None]:
    """The credentials that a server was shown."""
    return [one.headers.get("authorization", "").removeprefix("Bearer ") or None for one in server.asked]


@pytest.mark.parametrize("way", WAYS)
def test_it_sends_renews_and_keeps(way: Way, mint: Mint, clock: Clock) -> None:
    with scripted(says({"ok": 1})) as server:
        auth = RefreshAuth(mint, base_url=server.url, clock=clock)
        ask(way, auth, f"{server.url}/a")
        ask(way, auth, f"{server.url}/b")
        clock.advance(3_300)
        ask(way, auth, f"{server.url}/c")
        assert shown(server) == ["cred-1", "cred-1", "cred-2"]
        assert len(mint.asked) == 2


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("body", [{}, {"json": {"a": 1}}, {"content": b"abc"}, {"data": {"a": "1"}}])
def test_a_401_renews_once_and_sends_once_more(way: Way, mint: Mint, body: dict[str, Any]) -> None:
    with scripted(REFUSED, says({"ok": 1})) as server:
        auth = RefreshAuth(mint, base_url=server.url, entity_id=USER)
        answer = ask(way, auth, server.url, "POST", **body)
        assert (answer.status_code, answer.json()) == (200, {"ok": 1})
        assert shown(server) == ["cred-1", "cred-2"]
        assert server.asked[0].body == server.asked[1].body
        assert mint.asked == [USER, USER]


@pytest.mark.parametrize("way", WAYS)
def test_a_401_that_stays_is_answered_and_does_not_go_round(way: Way, mint: Mint, clock: Clock) -> None:
    with scripted(REFUSED) as server:
        auth = RefreshAuth(mint, base_url=server.url, clock=clock)
        assert ask(way, auth, server.url).status_code == 401
        assert shown(server) == ["cred-1", "cred-2"]
        # The new one was refused as well: renewing helps nobody, and whoever mints is spared for a while.
        for _ in range(3):
            assert ask(way, auth, server.url).status_code == 401
        assert shown(server) == ["cred-1", "cred-2", "cred-2", "cred-2", "cred-2"]
        clock.advance(30)
        ask(way, auth, server.url)
        assert shown(server)[5:] == ["cred-2", "cred-3"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("status", ["403 Forbidden", "503 Service Unavailable", "500 Internal Server Error"])
def test_no_other_answer_renews(way: Way, mint: Mint, status: str) -> None:
    with scripted(says({}, status)) as server:
        assert ask(way, RefreshAuth(mint, base_url=server.url), server.url).status_code == int(status[:3])
        assert len(mint.asked) == len(server.asked) == 1


@pytest.mark.parametrize("way", WAYS)
def test_a_renewal_that_fails_is_raised_where_there_is_nothing_else(way: Way, mint: Mint) -> None:
    mint.failing = ClientError("UNAVAILABLE", "not now", status=503)
    with scripted(REFUSED) as server:
        with pytest.raises(ClientError) as raised:
            ask(way, RefreshAuth(mint, base_url=server.url), server.url)
        assert (raised.value.code, raised.value.__cause__) == ("REFRESH_FAILED", mint.failing)
        assert server.asked == []
        with pytest.raises(ClientError) as raised:
            ask(way, RefreshAuth(mint, base_url=server.url, initial="old"), server.url)
        assert raised.value.code == "REFRESH_FAILED"
        assert shown(server) == ["old"]


@pytest.mark.parametrize("way", WAYS)
def test_no_other_origin_is_shown_anything(way: Way, mint: Mint) -> None:
    with scripted(REFUSED) as elsewhere:
        with scripted(says({}, "307 Temporary Redirect", Location=f"{elsewhere.url}/x")) as server:
            auth = RefreshAuth(mint, base_url=server.url)
            answer = ask(way, auth, server.url, "POST", content=b"abc")
            # Nor does a 401 from there renew anything: it judges no credential.
            assert (answer.status_code, str(answer.url)) == (401, f"{elsewhere.url}/x")
            assert shown(server) == ["cred-1"]
        assert ask(way, auth, elsewhere.url).status_code == 401
        assert shown(elsewhere) == [None, None]
        assert mint.asked == [None]


@pytest.mark.parametrize(
    ("base", "other"),
    [
        ("https://api.example", "https://api.example:8443/"),
        ("https://api.example", "http://api.example/"),
        ("https://api.example", "https://api.example.evil/"),
        ("https://api.example", "https://evil.api.example/"),
        ("https://api.example", "https://api.example@evil.example/"),
        ("https://api.example:8443", "https://api.example/"),
        ("http://127.0.0.1:8000", "http://localhost:8000/"),
    ],
)
def test_what_another_origin_is(mint: Mint, base: str, other: str) -> None:
    auth = RefreshAuth(mint, base_url=base)
    request = httpx.Request("GET", other)
    assert "authorization" not in next(auth.sync_auth_flow(request)).headers
    assert mint.asked == []
    same = httpx.Request("GET", base.upper().replace("HTTPS", "https").replace("HTTP:", "http:") + "/x?y")
    assert next(auth.sync_auth_flow(same)).headers["authorization"] == "Bearer cred-1"


@pytest.mark.parametrize("way", WAYS)
def test_a_redirect_within_the_origin_keeps_it(way: Way, mint: Mint) -> None:
    with scripted(says({}, "307 Temporary Redirect", Location="/b"), REFUSED, says({"ok": 1})) as server:
        assert ask(way, RefreshAuth(mint, base_url=server.url), f"{server.url}/a").status_code == 200
        assert shown(server) == ["cred-1", "cred-1", "cred-2"]


@pytest.mark.parametrize("way", WAYS)
def test_a_redirect_out_and_back_was_shown_nothing_and_renews_nothing(way: Way, mint: Mint) -> None:
    acts: list[Act] = []
    with scripted(lambda connection: acts[0](connection)) as elsewhere:
        away = says({}, "307 Temporary Redirect", Location=f"{elsewhere.url}/x")
        with scripted(away, REFUSED, says({"ok": 1})) as server:
            acts.append(says({}, "307 Temporary Redirect", Location=f"{server.url}/back"))
            auth = RefreshAuth(mint, base_url=server.url)
            assert ask(way, auth, server.url).status_code == 401
            assert shown(server) == ["cred-1", None]
            assert mint.asked == [None]


def streams(way: Way) -> Any:
    def chunks() -> Iterator[bytes]:
        yield b"abc"

    async def chunks_async() -> AsyncIterator[bytes]:
        yield b"abc"

    return chunks() if way == "sync" else chunks_async()


@pytest.mark.parametrize("way", WAYS)
def test_a_stream_that_cannot_be_sent_again_is_said_and_the_next_request_works(way: Way, mint: Mint) -> None:
    with scripted(REFUSED, says({"ok": 1})) as server:
        auth = RefreshAuth(mint, base_url=server.url)
        with pytest.raises(ClientError, match="a stream, cannot be sent a second time") as raised:
            ask(way, auth, server.url, "POST", content=streams(way), headers={"Content-Length": "3"})
        assert (raised.value.code, raised.value.status) == ("INVALID_REQUEST", 401)
        assert ask(way, auth, server.url, "POST", content=b"abc").status_code == 200
        assert shown(server) == ["cred-1", "cred-2"]
        if way == "sync":
            # A file upload is one as well.
            server.acts.append(REFUSED)
            with pytest.raises(ClientError, match="a stream"):
                ask(way, auth, server.url, "POST", files={"a": io.BytesIO(b"abc")})


@pytest.mark.parametrize("way", WAYS)
def test_a_stream_that_is_not_refused_is_none_of_its_business(way: Way, mint: Mint) -> None:
    with scripted(says({"ok": 1})) as server:
        auth = RefreshAuth(mint, base_url=server.url)
        ask(way, auth, server.url, "POST", content=streams(way), headers={"Content-Length": "3"})
        assert server.asked[0].body == b"abc"


@pytest.mark.parametrize("way", ["asyncio", "trio"])
def test_the_callback_may_be_async(way: Way) -> None:
    async def refresh(entity_id: str | None) -> Bearer:
        await anyio.lowlevel.checkpoint()
        return Bearer(f"for-{entity_id}", 60)

    class Later:
        def __call__(self, entity_id: str | None) -> Any:
            return refresh(entity_id)

    for callback in (refresh, Later(), lambda entity_id: refresh(entity_id)):
        with scripted(says({})) as server:
            ask(way, RefreshAuth(callback, base_url=server.url, entity_id="ada"), server.url)
            assert shown(server) == ["for-ada"]


@pytest.mark.parametrize("way", WAYS)
def test_a_callback_that_asks_with_its_own_credential_is_told_so(way: Way) -> None:
    """Instead of waiting for itself, in whichever way the client is asked for."""

    async def later(_: str | None) -> str:
        async with httpx.AsyncClient(auth=auth) as http:
            return str((await http.get(server.url)).json())

    def now(_: str | None) -> str:
        return str(httpx.get(server.url, auth=auth).json())

    with scripted(says("cred")) as server:
        for callback in (now,) if way == "sync" else (now, later):
            auth = RefreshAuth(callback, base_url=server.url)
            with pytest.raises(ClientError) as raised:
                ask(way, auth, server.url)
            assert "give it another client" in str(raised.value.__cause__)
        assert server.asked == []


def test_an_async_callback_needs_an_async_client() -> None:
    async def refresh(_: str | None) -> str:
        return "never"

    class Later:
        """What can be awaited, and is no coroutine."""

        def __await__(self) -> Any:
            raise AssertionError

    for callback in (refresh, lambda _: Later()):
        with scripted(says({})) as server, pytest.raises(ClientError) as raised:
            ask("sync", RefreshAuth(callback, base_url=server.url), server.url)
        assert "needs httpx.AsyncClient" in str(raised.value.__cause__)
        assert server.asked == []


@pytest.mark.parametrize("way", ["asyncio", "trio"])
def test_an_async_callback_that_hangs_is_given_up(way: Way) -> None:
    async def refresh(_: str | None) -> str:
        await anyio.sleep_forever()
        return "never"

    with scripted(says({})) as server, pytest.raises(ClientError) as raised:
        ask(way, RefreshAuth(refresh, base_url=server.url, wait=0.01), server.url)
    assert isinstance(raised.value.__cause__, TimeoutError)


@pytest.mark.parametrize("way", ["asyncio", "trio"])
def test_nobody_on_a_loop_waits_for_ever_for_a_thread(way: Way) -> None:
    began, end = threading.Event(), threading.Event()

    def refresh(_: str | None) -> str:
        began.set()
        assert end.wait(LONG)
        return "late"

    with scripted(says({})) as server, ThreadPoolExecutor(1) as pool:
        auth = RefreshAuth(refresh, base_url=server.url, wait=0.01)
        hanging = pool.submit(ask, "sync", auth, server.url)
        assert began.wait(LONG)
        with pytest.raises(ClientError, match=r"within 0\.01 s"):
            ask(way, auth, server.url)
        end.set()
        assert hanging.result(LONG).status_code == 200


@pytest.mark.parametrize("way", ["asyncio", "trio"])
def test_a_callback_that_blocks_does_not_hold_up_the_loop(way: Way) -> None:
    going_on = threading.Event()

    def refresh(_: str | None) -> str:
        assert going_on.wait(LONG)
        return "cred"

    async def run() -> None:
        auth = RefreshAuth(refresh, base_url=server.url)
        async with httpx.AsyncClient(auth=auth) as http, anyio.create_task_group() as tasks:
            tasks.start_soon(http.get, server.url)
            await anyio.sleep(0.01)
            going_on.set()

    with scripted(says({})) as server:
        anyio.run(run, backend=way)
        assert shown(server) == ["cred"]


@pytest.mark.parametrize("way", ["asyncio", "trio"])
def test_one_who_is_cancelled_while_renewing_leaves_it_to_one_who_waits(way: Way) -> None:
    asked = 0

    async def run() -> None:
        began, waiting = anyio.Event(), anyio.Event()

        async def refresh(_: str | None) -> str:
            nonlocal asked
            asked += 1
            if asked == 1:
                began.set()
                await anyio.sleep_forever()
            return f"cred-{asked}"

        async def first() -> None:
            with anyio.CancelScope() as scope:
                tasks.start_soon(cancel_when, waiting, scope)
                await http.get(f"{server.url}/first")

        async def cancel_when(event: anyio.Event, scope: anyio.CancelScope) -> None:
            await event.wait()
            await anyio.sleep(0.01)
            scope.cancel()

        async def second() -> None:
            await began.wait()
            waiting.set()
            await http.get(f"{server.url}/second")

        auth = RefreshAuth(refresh, base_url=server.url)
        with anyio.fail_after(LONG):
            async with httpx.AsyncClient(auth=auth) as http, anyio.create_task_group() as tasks:
                tasks.start_soon(first)
                tasks.start_soon(second)

    with scripted(says({})) as server:
        anyio.run(run, backend=way)
        assert [one.path for one in server.asked] == ["/second"]
        assert shown(server) == ["cred-2"]


def test_fifty_requests_at_the_end_in_threads_and_on_both_loops_cause_one_renewal(clock: Clock) -> None:
    waiting, each = threading.Semaphore(0), 50
    asked: list[str | None] = []

    def refresh(entity_id: str | None) -> Bearer:
        asked.append(entity_id)
        # Whoever renews goes on once everybody else has had the time to come and wait.
        for _ in range(3):
            assert waiting.acquire(timeout=LONG)
        return Bearer("new", 3_600)

    with scripted(says({})) as server:
        auth = RefreshAuth(refresh, base_url=server.url, initial=Bearer("old", 3_600, USER), clock=clock)
        clock.advance(3_600)

        def in_threads() -> None:
            with httpx.Client(auth=auth, timeout=LONG) as http, ThreadPoolExecutor(each) as pool:
                sent = [pool.submit(http.get, f"{server.url}/thread") for _ in range(each)]
                waiting.release()
                assert {one.result().status_code for one in sent} == {200}

        def on_a_loop(backend: str) -> None:
            async def run() -> None:
                async with httpx.AsyncClient(auth=auth, timeout=LONG) as http, anyio.create_task_group() as tasks:
                    for _ in range(each):
                        tasks.start_soon(http.get, f"{server.url}/{backend}")
                    await anyio.lowlevel.checkpoint()
                    waiting.release()

            anyio.run(run, backend=backend)

        works: list[Callable[[], None]] = [in_threads, lambda: on_a_loop("asyncio"), lambda: on_a_loop("trio")]
        threads = [threading.Thread(target=work) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(2 * LONG)
            assert not thread.is_alive()
        assert asked == [USER]
        assert shown(server) == ["new"] * 3 * each


def test_fifty_requests_refused_at_once_cause_one_renewal() -> None:
    asked: list[str | None] = []
    arrived = threading.Barrier(50, timeout=LONG)

    def refuses(connection: Any) -> None:
        # All together, so that they come back together.
        arrived.wait()
        REFUSED(connection)

    def refresh(entity_id: str | None) -> str:
        asked.append(entity_id)
        return "new"

    with scripted(*[refuses] * 50, says({})) as server:
        auth = RefreshAuth(refresh, base_url=server.url, initial="old")
        limits = httpx.Limits(max_connections=60)
        with httpx.Client(auth=auth, timeout=LONG, limits=limits) as http, ThreadPoolExecutor(50) as pool:
            sent = [pool.submit(http.get, server.url) for _ in range(50)]
            assert {one.result().status_code for one in sent} == {200}
        assert len(asked) == 1
        assert sorted(map(str, shown(server))) == ["new"] * 50 + ["old"] * 50


@pytest.mark.parametrize(
    "wrong",
    [
        {"base_url": "http://api.example"},
        {"base_url": ""},
        {"refresh": "cs_live_x"},
        {"wait": 0},
        {"wait": None},
        {"initial": ""},
        {"initial": 7},
    ],
)
def test_what_cannot_work_is_said_when_it_is_built(wrong: dict[str, Any]) -> None:
    given = {"refresh": Mint(), "base_url": "https://api.example", **wrong}
    with pytest.raises(ClientError) as raised:
        RefreshAuth(given.pop("refresh"), **given)
    assert raised.value.code == "INVALID_REQUEST"


@pytest.fixture(scope="module")
def house() -> House:
    return open_house(open_store("memory://"), KeyRing.new_wrapping_key())


@pytest.fixture(scope="module")
def url(house: House) -> Iterator[str]:
    with serving(house.app) as url:
        yield url


@pytest.mark.parametrize("way", WAYS)
def test_both_documents_flows_with_the_demo(way: Way, house: House, url: str) -> None:
    """Credentials that end on the way: one session is revoked, one user's tokens are."""
    with Client(url, house.secret_key) as client:
        sessions: list[str] = []

        def session(_: str | None) -> Any:
            made = client.account_sessions.create(account=data.ACCOUNT)
            sessions.append(made.id)
            return made

        auth = RefreshAuth(session, base_url=url)
        assert ask(way, auth, f"{url}/v1/call_logs").json()["account"] == data.ACCOUNT
        client.account_sessions.revoke(sessions[0])
        assert ask(way, auth, f"{url}/v1/call_logs").status_code == 200
        assert (len(set(sessions)), auth.entity_id) == (2, None)

        if way == "sync":
            auth = RefreshAuth(lambda user: client.auth.sign(id=user, tenant_id=data.ACCOUNT), base_url=url)
        else:

            async def token(user: str | None) -> Any:
                async with AsyncClient(url, house.secret_key) as minting:
                    return await minting.auth.sign(id=user, tenant_id=data.ACCOUNT)

            auth = RefreshAuth(token, base_url=url)
        first = ask(way, auth, f"{url}/v1/me").json()
        assert auth.entity_id == first["subject"]
        client.revocations.subject(first["subject"], data.ACCOUNT)
        again = ask(way, auth, f"{url}/v1/me")
        assert (again.status_code, again.json()["subject"]) == (200, first["subject"])


def test_the_key_is_no_part_of_any_of_this(mint: Mint) -> None:
    auth = RefreshAuth(mint, base_url="https://api.example", initial=Bearer("cs_live_secret", 60))
    assert "cs_live" not in repr(auth)
    assert KEY not in repr(auth)
