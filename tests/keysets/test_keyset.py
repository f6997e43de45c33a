"""Key sets: their life as functions of now, and the flights that fetch them, with a counting server on loopback."""

import asyncio
import dataclasses
import gc
import math
import os
import threading
import time
import weakref
from collections.abc import Generator, Iterator
from typing import Any, cast

import anyio
import anyio.to_thread
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from guestpass import tokens
from guestpass.concurrency.flights import Flight
from guestpass.concurrency.upkeep import Upkeep
from guestpass.credentials import Credential
from guestpass.errors import ConfigurationError, InvalidToken, KeysUnavailable
from guestpass.inquiry import Inquiry, ask, drive_async
from guestpass.issuers import JwtIssuer
from guestpass.jwks import VerificationKey, index_keys
from guestpass.keysets import freshness
from guestpass.keysets.freshness import Life
from guestpass.keysets.keyset import FindVerificationKey, KeySet
from guestpass.records import ListKeys
from guestpass.refusals import Refusal
from guestpass.stores.http import Document, FetchFailed
from key_server import Clock, KeyServer, NoUpkeep, key_server, send_raw

PRIVATE = {kid: ec.generate_private_key(ec.SECP256R1()) for kid in ("a", "b", "c")}
NOW = 1_800_000_000


def jwks(*kids: str) -> dict[str, Any]:
    algorithm = jwt.get_algorithm_by_name("ES256")
    return {"keys": [{**algorithm.to_jwk(PRIVATE[kid].public_key(), as_dict=True), "kid": kid} for kid in kids]}


def token(kid: str, signed_by: str | None = None) -> str:
    claims = {"iss": "https://issuer.example/", "aud": "api", "sub": "u", "exp": NOW + 60}
    return tokens.sign(claims, {"kid": kid}, PRIVATE[signed_by or kid], "ES256")


@pytest.fixture
def server() -> Iterator[KeyServer]:
    with key_server() as running:
        running.document = jwks("a")
        yield running


class Setting:
    """A key set on the server with a clock that the test turns, chance at its most, and no upkeep of its own."""

    def __init__(self, server: KeyServer, **settings: Any) -> None:
        self.clock, self.upkeep, self.server = Clock(), NoUpkeep(), server
        self.chance = 0.5
        self.keys = KeySet.from_url(
            server.url,
            clock=self.clock,
            chance=lambda: self.chance,
            pause=self.clock.pause,
            upkeep=cast("Upkeep", self.upkeep),
            **settings,
        )
        self.issuer = JwtIssuer("https://issuer.example/", keys=self.keys, audience="api", algorithms=("ES256",))

    def check(self, kid: str, signed_by: str | None = None) -> str:
        """What the check of a token says: passed, refused or unavailable."""
        try:
            self.issuer.check(token(kid, signed_by), now=NOW)
        except InvalidToken:
            return "refused"
        except KeysUnavailable:
            return "unavailable"
        return "passed"

    def standing(self) -> str:
        """The freshness that the state shows."""
        return self.keys.state.freshness

    def settle(self) -> None:
        """Wait for the fetch in the background."""
        flight = self.keys._flight
        if flight is not None:
            assert flight.wait(5)


@pytest.fixture
def setting(server: KeyServer) -> Setting:
    return Setting(server)


def asking(keys: KeySet) -> Inquiry[VerificationKey | None]:
    return ask(keys, FindVerificationKey("ES256", "a"))


# Life, pure.


@pytest.mark.parametrize(
    ("max_age", "longest", "seconds"),
    [(None, 3600, 600), (0, 3600, 60), (59, 3600, 60), (61, 3600, 61), (86400, 3600, 3600), (86400, 7200, 7200)],
)
def test_a_lifetime_is_what_the_server_says_within_bounds(
    max_age: float | None, longest: float, seconds: float
) -> None:
    assert freshness.lifetime(max_age, longest) == seconds


@given(st.floats(60, 3600), st.floats(0, 1))
def test_a_refresh_comes_ahead_at_eighty_percent_give_or_take_ten(fresh_for: float, chance: float) -> None:
    life = freshness.loaded(Life(failures=3, last_error="x", retry_at=9), 0, fresh_for, 3600, chance)
    assert 0.72 * fresh_for <= life.refresh_at + 1e-6
    assert life.refresh_at <= 0.88 * fresh_for + 1e-6
    assert life.refresh_at < life.fresh_until < life.serves_until
    assert (life.failures, life.last_error, life.retry_at) == (0, "", -math.inf)


def test_failures_back_off_from_one_second_to_sixty() -> None:
    life, longest = Life(), []
    for _ in range(9):
        life = freshness.failed(life, 100, "down", 1.0)
        longest.append(life.retry_at - 100)
        assert freshness.failed(life, 100, "down", 0.0).retry_at == 100
    assert longest == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    for _ in range(2000):
        life = freshness.failed(life, 100, "down", 1.0)
    assert life.retry_at == 160


@given(st.lists(st.floats(0, 20), max_size=80))
def test_unknown_kids_cause_one_fetch_in_thirty_seconds_and_a_burst_of_two(gaps: list[float]) -> None:
    life, now, spent = Life(), 0.0, list[float]()
    for gap in gaps:
        now += gap
        wait = freshness.held_up(life, now)
        assert 0 <= wait <= 30
        if not wait:
            life, _ = freshness.spend(life, now)
            spent.append(now)
    for first, at in enumerate(spent):
        within = [other for other in spent[first:] if other <= at + 30]
        assert len(within) <= 3  # Two of the burst, and the one that grew back at the very end.
    assert len(spent) <= 2 + now / 30


def test_the_second_of_a_burst_keeps_apart() -> None:
    life, wait = freshness.spend(Life(), 100)
    assert wait == 0
    assert freshness.spend(life, 100.5)[1] == 1.5
    assert freshness.spend(life, 103)[1] == 0


# Flights.


def test_two_hundred_threads_on_a_cold_set_make_one_fetch(setting: Setting) -> None:
    setting.server.gate.clear()
    results: list[str] = []
    threads = [threading.Thread(target=lambda: results.append(setting.check("a"))) for _ in range(200)]
    for thread in threads:
        thread.start()
    assert setting.server.arrived.acquire(timeout=5)
    setting.server.gate.set()
    for thread in threads:
        thread.join(5)
    assert results == ["passed"] * 200
    assert setting.server.fetches == 1


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_two_hundred_tasks_on_a_cold_set_make_one_fetch(setting: Setting, backend: str) -> None:
    setting.server.gate.clear()
    found: list[object] = []

    async def one() -> None:
        found.append(await drive_async(asking(setting.keys)))

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(200):
                group.start_soon(one)
            await anyio.to_thread.run_sync(setting.server.arrived.acquire)
            # A loop that is blocked would not get here; the gate opens only now.
            setting.server.gate.set()

    anyio.run(main, backend=backend)
    assert len(found) == 200
    assert len(set(map(id, found))) == 1
    assert setting.server.fetches == 1


def test_threads_and_two_loops_at_once_make_one_fetch(setting: Setting) -> None:
    setting.server.gate.clear()
    found: list[object] = []
    question = FindVerificationKey("ES256", "a")

    async def waiters() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(one)

    async def one() -> None:
        found.append(await drive_async(asking(setting.keys)))

    threads = [threading.Thread(target=lambda: found.append(setting.keys.answer(question))) for _ in range(20)]
    threads += [
        threading.Thread(target=anyio.run, args=(waiters,), kwargs={"backend": name}) for name in ("asyncio", "trio")
    ]
    for thread in threads:
        thread.start()
    assert setting.server.arrived.acquire(timeout=5)
    setting.server.gate.set()
    for thread in threads:
        thread.join(5)
    assert len(found) == 60
    assert setting.server.fetches == 1


def test_a_waiter_that_is_cancelled_cancels_nobody_else(setting: Setting) -> None:
    setting.server.gate.clear()
    question = FindVerificationKey("ES256", "a")

    async def main() -> None:
        first = asyncio.create_task(setting.keys.answer_async(question))
        second = asyncio.create_task(setting.keys.answer_async(question))
        await asyncio.to_thread(setting.server.arrived.acquire)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        setting.server.gate.set()
        assert await second is not None

    asyncio.run(main())
    assert setting.server.fetches == 1


def test_nobody_waits_longer_than_it_may(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freshness, "WAIT", 0.01)
    setting.server.gate.clear()
    with pytest.raises(KeysUnavailable):
        setting.keys.answer(FindVerificationKey("ES256", "a"))
    with pytest.raises(KeysUnavailable):
        asyncio.run(setting.keys.answer_async(FindVerificationKey("ES256", "a")))
    with pytest.raises(KeysUnavailable):
        setting.keys.reload()
    assert setting.server.arrived.acquire(timeout=5)
    setting.server.gate.set()
    setting.settle()
    assert setting.check("a") == "passed"
    assert setting.server.fetches == 1


def test_a_fetch_that_hangs_for_good_is_given_up(setting: Setting) -> None:
    setting.server.gate.clear()
    waiting = threading.Thread(target=setting.check, args=("a",))
    waiting.start()
    assert setting.server.arrived.acquire(timeout=5)
    with setting.keys._lock:
        lost = setting.keys._flight
    assert lost is not None
    setting.clock.now += freshness.LOST
    assert setting.check("a") == "unavailable"
    assert setting.keys.state.last_error == "no answer in time"
    setting.clock.now += 60
    setting.server.gate.set()
    assert setting.check("a") == "passed"
    assert lost.wait(5)
    waiting.join(5)
    assert setting.keys.state.last_error == ""


def test_where_no_thread_can_be_had_nobody_can_tell(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    assert setting.check("a") == "passed"

    def refuse(self: Flight, errand: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(Flight, "start", refuse)
    assert setting.check("b") == "unavailable"
    setting.clock.now += 500
    assert setting.check("a") == "passed"
    assert setting.keys.state.last_error == "no thread to fetch in"


# Unknown kids.


@pytest.mark.parametrize("failing", [False, True])
def test_a_thousand_random_kids_make_no_more_than_the_allowed_fetches(setting: Setting, failing: bool) -> None:
    assert setting.check("a") == "passed"
    if failing:
        setting.server.status = "500 Internal Server Error"
    results = {setting.check(f"random{number}", "b") for number in range(1000)}
    assert setting.server.fetches - 1 <= 2
    assert results == ({"unavailable"} if failing else {"refused", "unavailable"})
    assert setting.check("a") == "passed"
    setting.clock.now += 300
    for number in range(1000):
        setting.check(f"random{number}", "b")
    assert setting.server.fetches - 1 <= 4


def test_a_thousand_random_kids_on_a_cold_set_that_fails_make_one_fetch(setting: Setting) -> None:
    setting.server.status = "500 Internal Server Error"
    results = {setting.check(f"random{number}", "b") for number in range(1000)}
    assert results == {"unavailable"}
    assert setting.server.fetches == 1


def test_the_first_load_does_not_use_up_the_burst(setting: Setting) -> None:
    assert setting.check("nobody", "b") == "refused"
    assert setting.server.fetches == 1
    assert setting.check("x", "b") == "refused"
    assert setting.check("y", "b") == "refused"
    assert setting.check("z", "b") == "unavailable"
    assert setting.server.fetches == 3


def test_a_key_rotated_a_second_after_start_is_accepted_at_first_use(setting: Setting) -> None:
    assert setting.check("a") == "passed"
    setting.clock.now += 1
    setting.server.document = jwks("a", "b")
    assert setting.check("b") == "passed"


def test_it_is_accepted_too_while_someone_sends_random_kids(setting: Setting) -> None:
    assert setting.check("a") == "passed"
    assert setting.check("random", "b") == "refused"
    setting.clock.now += 0.5
    rotated = threading.Event()

    def pause(seconds: float) -> None:
        # The flood has called for the second fetch of the burst already. While that keeps apart from the first one,
        # the key is rotated, and its first token comes in.
        setting.clock.pause(seconds)
        assert rotated.wait(5)

    setting.keys._pause = pause
    flood = threading.Thread(target=setting.check, args=("flood", "b"))
    flood.start()
    while setting.keys._flight is None:
        time.sleep(0.001)
    setting.server.document = jwks("a", "b")
    results: list[str] = []
    first_use = threading.Thread(target=lambda: results.append(setting.check("b")))
    first_use.start()
    rotated.set()
    first_use.join(5)
    flood.join(5)
    assert results == ["passed"]


def test_a_valid_kid_that_could_not_be_looked_for_is_not_refused(setting: Setting) -> None:
    setting.check("a")
    for number in range(3):
        setting.check(f"random{number}", "c")
    setting.server.document = jwks("a", "b")
    with pytest.raises(KeysUnavailable) as unavailable:
        setting.issuer.check(token("b"), now=NOW)
    assert 1 <= unavailable.value.retry_after <= 30
    setting.clock.now += unavailable.value.retry_after
    assert setting.check("b") == "passed"


def test_a_kid_looked_for_in_vain_is_remembered_for_a_while(setting: Setting) -> None:
    setting.check("a")
    assert setting.check("x", "b") == "refused"
    fetches = setting.server.fetches
    assert not setting.keys.worth_asking("x")
    assert setting.check("x", "b") == "refused"
    assert setting.server.fetches == fetches
    setting.server.document = jwks("a", "b")
    setting.keys.reload()
    assert setting.keys.worth_asking("x")
    assert setting.check("x", "b") == "refused"
    setting.clock.now += 31
    assert setting.keys.worth_asking("x")


def test_the_set_is_asked_before_the_memory_of_unknown_kids(setting: Setting) -> None:
    setting.check("a")
    assert setting.check("b") == "refused"
    setting.server.document = jwks("a", "b")
    setting.clock.now += 500
    assert setting.check("a") == "passed"
    setting.settle()
    assert setting.check("b") == "passed"


def test_the_memory_of_unknown_kids_is_bounded(setting: Setting) -> None:
    setting.check("a")
    for number in range(300):
        setting.keys._unknown[f"random{number}"] = True
    assert len(setting.keys._unknown) == 128


def test_a_token_that_would_be_refused_anyway_is_not_worth_a_fetch(setting: Setting) -> None:
    expired = tokens.sign(
        {"iss": "https://issuer.example/", "aud": "api", "sub": "u", "exp": NOW - 60},
        {"kid": "a"},
        PRIVATE["a"],
        "ES256",
    )
    with pytest.raises(InvalidToken) as refused:
        setting.issuer.check(expired, now=NOW)
    assert refused.value.code == "credential_invalid"
    assert setting.server.fetches == 0


def header_of(kid: str) -> str:
    return token(kid, "b").partition(".")[0]


@pytest.mark.parametrize("spent", ["by unknown kids", "by a failure", "by a failure of the first load"])
def test_a_flood_of_kids_that_cannot_be_looked_for_ends_at_their_headers(setting: Setting, spent: str) -> None:
    """503 for all of them, whatever else is wrong: nothing but the header is looked at."""
    if spent != "by a failure of the first load":
        setting.check("a")
    if spent != "by unknown kids":
        setting.server.status = "500 Internal Server Error"
    setting.check("x", "b")
    setting.check("y", "b")
    fetches = setting.server.fetches
    for rest in (".", ".!!!.!!!", f".{'A' * 4000}.AAAA"):
        with pytest.raises(KeysUnavailable) as unavailable:
            setting.issuer.check(header_of("never seen") + rest, now=NOW)
        assert 1 <= unavailable.value.retry_after <= 30
    expired = Credential("x", token=tokens.read_token(token("never seen", "b")))
    with pytest.raises(KeysUnavailable):
        setting.issuer.authenticate(expired, NOW + 1000)
    assert setting.server.fetches == fetches
    # What is known to be nobody's is still refused, and so is what no key could mend.
    if spent == "by unknown kids":
        assert setting.check("x", "b") == "refused"
    with pytest.raises(InvalidToken, match="algorithm"):
        setting.issuer.check(tokens.sign({}, {"kid": "never seen"}, b"x" * 32, "HS256"), now=NOW)


def test_who_could_join_a_fetch_is_looked_at_first(setting: Setting) -> None:
    setting.check("a")
    setting.check("x", "b")
    setting.server.gate.clear()
    setting.clock.now += 2
    flood = threading.Thread(target=setting.check, args=("y", "b"))
    flood.start()
    while setting.keys._flight is None:
        time.sleep(0.001)
    expired = Credential("x", token=tokens.read_token(token("never seen", "b")))
    assert isinstance(setting.issuer.authenticate(expired, NOW + 1000), Refusal)
    assert isinstance(setting.issuer.authenticate(expired, NOW), Generator)
    setting.server.gate.set()
    flood.join(5)


def test_without_kid_a_set_that_serves_is_not_fetched_again(setting: Setting) -> None:
    setting.server.document = jwks("a", "b")
    question = FindVerificationKey("ES256", None)
    assert setting.keys.answer(question) is None
    assert setting.keys.answer(question) is None
    assert setting.server.fetches == 1


# Refreshing, and the last known good.


def test_a_known_kid_never_waits(setting: Setting) -> None:
    """While a fetch hangs, known tokens pass, in threads and on the loop: their flight has not even landed."""
    assert setting.check("a") == "passed"
    setting.server.gate.clear()
    setting.clock.now += 500
    assert setting.check("a") == "passed"
    flight = setting.keys._flight
    assert flight is not None
    assert setting.server.arrived.acquire(timeout=5)
    for _ in range(100):
        assert setting.check("a") == "passed"

    async def main() -> None:
        for _ in range(100):
            assert await setting.keys.answer_async(FindVerificationKey("ES256", "a")) is not None

    asyncio.run(main())
    assert setting.keys._flight is flight
    with setting.keys._lock:
        assert setting.check("a") == "passed"  # It waits for no lock either.
    setting.server.gate.set()
    setting.settle()
    assert setting.server.fetches == 2


def test_upkeep_refreshes_ahead_where_no_request_comes(setting: Setting) -> None:
    setting.check("a")
    setting.upkeep.run()
    assert setting.server.fetches == 1
    setting.clock.now += 480
    setting.upkeep.run()
    setting.settle()
    assert setting.server.fetches == 2
    assert setting.keys.state.age == 0


def test_the_last_known_good_keys_serve_for_the_hour_and_the_first_request_after_it_recovers(setting: Setting) -> None:
    setting.check("a")
    setting.server.status = "503 Service Unavailable"
    start = setting.clock.now
    while setting.clock.now < start + 600 + 3600:
        assert setting.check("a") == "passed", setting.clock.now - start
        setting.settle()
        setting.clock.now += 61
    assert setting.standing() == "expired"
    assert setting.check("a") == "unavailable"
    setting.server.status = "200 OK"
    setting.clock.now += 60
    assert setting.check("a") == "passed"
    assert setting.standing() == "fresh"


def test_the_server_up_again_within_the_hour_refreshes(setting: Setting) -> None:
    setting.check("a")
    setting.server.status = "503 Service Unavailable"
    setting.clock.now += 1200
    assert setting.check("a") == "passed"
    setting.settle()
    assert setting.standing() == "stale"
    assert "503" in setting.keys.state.last_error
    setting.server.status = "200 OK"
    setting.clock.now += 1
    assert setting.check("a") == "passed"
    setting.settle()
    assert setting.standing() == "fresh"


def test_last_known_good_can_be_turned_off(server: KeyServer) -> None:
    setting = Setting(server, last_known_good=0)
    setting.check("a")
    server.status = "503 Service Unavailable"
    setting.clock.now += 599
    assert setting.check("a") == "passed"
    setting.settle()
    setting.clock.now += 1
    assert setting.check("a") == "unavailable"


@pytest.mark.parametrize(
    "document",
    [b"", b"<html></html>", b"[]", b"{}", b'{"keys":[]}', b'{"keys":[{"kty":"new"}]}', b"\xff", b'{"keys":1}'],
)
def test_an_unreadable_or_empty_set_is_a_failed_refresh(setting: Setting, document: bytes) -> None:
    setting.check("a")
    setting.server.document = document
    with pytest.raises(KeysUnavailable):
        setting.keys.reload()
    assert setting.keys.state.last_error.startswith("ValueError: ")
    assert setting.check("a") == "passed"


def test_a_removed_key_is_refused_at_the_refresh_and_its_cached_verdicts_end(setting: Setting) -> None:
    told: list[int] = []
    setting.issuer.subscribe(lambda: told.append(setting.keys.generation))
    setting.server.document = jwks("a", "b")
    assert setting.check("b") == "passed"
    setting.server.document = jwks("a", "b", "c")
    setting.keys.reload()
    assert told == []
    setting.server.document = jwks("a", "c")
    setting.clock.now += 500
    assert setting.check("b") == "passed"
    setting.settle()
    assert told == [1]
    assert setting.check("b") == "refused"
    assert setting.check("a") == "passed"


def test_a_key_replaced_under_its_name_has_left(setting: Setting) -> None:
    setting.check("a")
    replaced = jwks("b")
    replaced["keys"][0]["kid"] = "a"
    setting.server.document = replaced
    setting.keys.reload()
    assert setting.keys.generation == 1
    assert setting.check("a") == "refused"


def test_a_set_that_outlived_its_window_ends_its_verdicts_too(setting: Setting) -> None:
    told: list[int] = []
    setting.keys.subscribe(lambda: told.append(1))
    setting.keys.subscribe(lambda: 1 / 0)
    setting.check("a")
    setting.server.status = "500 Internal Server Error"
    setting.clock.now += 4200
    setting.upkeep.run()
    setting.settle()
    setting.upkeep.run()
    assert told == [1]
    assert setting.keys.state.kids == ()


def test_reload_asks_whatever_failed_before(setting: Setting) -> None:
    setting.server.status = "500 Internal Server Error"
    assert setting.check("a") == "unavailable"
    assert setting.check("a") == "unavailable"
    assert setting.server.fetches == 1
    with pytest.raises(KeysUnavailable):
        setting.keys.reload()
    setting.server.status = "200 OK"
    setting.keys.reload()
    assert setting.check("a") == "passed"
    assert setting.server.fetches == 3


def test_a_seed_serves_before_the_first_fetch(server: KeyServer) -> None:
    setting = Setting(server, seed=jwks("b"))
    server.gate.clear()
    assert setting.check("b") == "passed"
    server.gate.set()
    setting.settle()
    assert setting.check("a") == "passed"
    assert setting.check("b") in ("refused", "unavailable")
    assert server.fetches <= 2
    assert setting.keys.generation == 1


def test_with_a_seed_an_unknown_kid_waits_for_the_first_load_and_spends_nothing(server: KeyServer) -> None:
    setting = Setting(server, seed=jwks("b"))
    assert setting.check("a") == "passed"
    assert setting.keys._current.life.budget == 2


@pytest.mark.parametrize(("headers", "fresh_for"), [({}, 600), ({"Cache-Control": "max-age=900", "Age": "100"}, 800)])
def test_the_lifetime_comes_from_the_server(setting: Setting, headers: dict[str, str], fresh_for: float) -> None:
    setting.server.headers = headers
    setting.check("a")
    assert setting.keys.state.fresh_for == fresh_for


# State, construction.


def test_the_state_is_there_to_look_at(setting: Setting) -> None:
    state = setting.keys.state
    assert (state.freshness, state.age, state.kids) == ("empty", None, ())
    setting.server.document = {"keys": [*jwks("a", "b")["keys"], {"kty": "new"}]}
    setting.check("a")
    setting.clock.now += 10
    state = setting.keys.state
    assert (state.freshness, state.age, state.fresh_for, state.serves_for) == ("fresh", 10, 590, 4190)
    assert state.kids == ("a", "b")
    assert state.skipped == ("key 2: a key type that is not known here",)
    assert (state.last_error, state.retry_after, state.generation) == ("", 0, 0)


def test_keys_given_in_code_are_never_fetched() -> None:
    keys = KeySet.from_jwks(jwks("a"))
    assert not keys.networked
    assert keys.state.freshness == "given"
    assert keys.state.serves_for == math.inf
    assert keys.known("ES256", "a") is not None
    assert keys.answer(FindVerificationKey("ES256", "b")) is None
    assert asyncio.run(keys.answer_async(FindVerificationKey("ES256", "b"))) is None
    keys.reload()


@pytest.mark.parametrize(
    "make",
    [
        lambda: KeySet.from_jwks({}),
        lambda: KeySet.from_jwks({"keys": []}),
        lambda: KeySet.from_url("http://issuer.example/jwks.json"),
        lambda: KeySet.from_url("https://issuer.example/", seed={"keys": []}),
        lambda: KeySet.from_url("https://issuer.example/", longest_lifetime=59),
        lambda: KeySet.from_url("https://issuer.example/", last_known_good=-1),
        lambda: KeySet.from_url("https://issuer.example/", last_known_good=math.inf),
        lambda: KeySet.from_discovery("ftp://issuer.example/"),
        lambda: KeySet.from_discovery("https://issuer.example/?tenant=1"),
    ],
)
def test_a_mistake_in_a_setting_is_found_at_construction(make: Any) -> None:
    with pytest.raises(ConfigurationError):
        make()


def test_it_answers_nothing_else() -> None:
    with pytest.raises(TypeError, match="FindVerificationKey"):
        KeySet.from_jwks(jwks("a")).answer(ListKeys())


def test_a_set_that_nobody_holds_is_collected() -> None:
    upkeep = Upkeep(clock=Clock())
    keys = KeySet(lambda: Document(b"{}"), upkeep=upkeep, clock=Clock())
    upkeep.every(1.0, keys._tend)
    gone = weakref.ref(keys)
    del keys
    gc.collect()
    assert gone() is None
    upkeep.run_due(math.inf)
    assert upkeep.run_due(math.inf) == math.inf


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_after_a_fork_nothing_of_the_parent_is_waited_for(setting: Setting) -> None:
    setting.server.gate.clear()
    waiting = threading.Thread(target=setting.check, args=("a",))
    waiting.start()
    assert setting.server.arrived.acquire(timeout=5)
    with setting.keys._lock:
        # What the child's hook does, here: a real fork with threads is what the operating system warns of.
        setting.keys.after_fork()
    assert setting.keys._flight is None
    setting.server.gate.set()
    assert setting.check("a") == "passed"
    waiting.join(5)


# Discovery.


@pytest.fixture
def discovered(server: KeyServer) -> Setting:
    setting = Setting(server)
    setting.keys = KeySet.from_discovery(
        f"{server.origin}/tenant",
        clock=setting.clock,
        chance=lambda: 0.5,
        pause=setting.clock.pause,
        upkeep=cast("Upkeep", setting.upkeep),
    )
    setting.issuer = JwtIssuer("https://issuer.example/", keys=setting.keys, audience="api", algorithms=("ES256",))
    return setting


OPENID = "/tenant/.well-known/openid-configuration"
OAUTH = "/.well-known/oauth-authorization-server/tenant"


def test_keys_are_found_through_openid_connect_discovery(discovered: Setting, server: KeyServer) -> None:
    server.paths[OPENID] = server.send_json({"issuer": f"{server.origin}/tenant", "jwks_uri": server.url})
    assert discovered.check("a") == "passed"
    discovered.keys.reload()
    assert server.asked == [OPENID, "/jwks.json", "/jwks.json"]


def test_keys_are_found_through_rfc_8414(discovered: Setting, server: KeyServer) -> None:
    server.paths[OPENID] = server.send_json({}, "404 Not Found")
    server.paths[OAUTH] = server.send_json({"issuer": f"{server.origin}/tenant", "jwks_uri": server.url})
    assert discovered.check("a") == "passed"
    assert server.asked == [OPENID, OAUTH, "/jwks.json"]


@pytest.mark.parametrize(
    ("metadata", "status", "reason"),
    [
        ({"issuer": "https://another.example", "jwks_uri": "https://x.example"}, "200 OK", "another issuer"),
        ({"issuer": "ORIGIN/tenant/", "jwks_uri": "https://x.example"}, "200 OK", "slash at the end"),
        ({"jwks_uri": "https://x.example"}, "200 OK", "another issuer"),
        ({"issuer": "ORIGIN/tenant"}, "200 OK", "jwks_uri"),
        ({"issuer": "ORIGIN/tenant", "jwks_uri": "http://x.example/"}, "200 OK", "https"),
        ({"issuer": "ORIGIN/tenant", "jwks_uri": "file:///etc/passwd"}, "200 OK", "absolute"),
        ([], "200 OK", "object"),
        ({}, "500 Internal Server Error", "500"),
    ],
)
def test_metadata_that_does_not_fit_is_a_failure(
    discovered: Setting, server: KeyServer, metadata: Any, status: str, reason: str
) -> None:
    if "issuer" in metadata:
        metadata = {**metadata, "issuer": metadata["issuer"].replace("ORIGIN", server.origin)}
    server.paths[OPENID] = server.send_json(metadata, status)
    assert discovered.check("a") == "unavailable"
    assert reason in discovered.keys.state.last_error
    assert server.asked == [OPENID]


def test_an_issuer_on_the_network_cannot_send_us_to_our_own_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    from guestpass.keysets import discovery

    asked: list[str] = []

    def fetch(url: str, **_: object) -> Document:
        asked.append(url)
        return Document(b'{"issuer":"https://issuer.example","jwks_uri":"http://127.0.0.1:9/"}')

    monkeypatch.setattr(discovery, "fetch", fetch)
    with pytest.raises(ValueError, match="https"):
        discovery.Discovery("https://issuer.example").read()
    assert asked == ["https://issuer.example/.well-known/openid-configuration"]


def test_the_address_is_remembered_for_an_hour_and_longer_where_asking_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    from guestpass.keysets import discovery

    clock, asked = Clock(), list[str]()

    def fetch(url: str, **_: object) -> Document:
        asked.append(url.rpartition("/")[2])
        if clock.now > 1100 and "openid" in url:
            raise FetchFailed("down")
        return Document(b'{"issuer":"https://i.example/","jwks_uri":"https://keys.example/jwks"}')

    monkeypatch.setattr(discovery, "fetch", fetch)
    found = discovery.Discovery("https://i.example/", clock=clock)
    found.read()
    clock.now += 3599
    found.read()
    clock.now += 1
    found.read()
    assert asked == ["openid-configuration", "jwks", "jwks", "openid-configuration", "jwks"]
    with pytest.raises(FetchFailed):
        discovery.Discovery("https://i.example/", clock=clock).read()


def test_what_the_server_sends_never_reaches_the_state(setting: Setting) -> None:
    setting.server.answer = send_raw(b"HTTP/1.1 500 sec-ret\r\n\r\nsec-ret")
    assert setting.check("a") == "unavailable"
    assert "sec-ret" not in repr(setting.keys.state)


def test_a_refresh_ahead_that_finds_no_thread_is_not_felt(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    setting.check("a")
    setting.upkeep.run()
    with setting.keys._lock:
        setting.clock.now += 500
        setting.upkeep.run()  # Somebody else holds the lock, and sees to it.
    assert setting.server.fetches == 1


def test_a_key_that_came_while_a_thread_waited_for_the_lock_is_found(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`known` said no, then a fetch landed, then the lock was had."""
    setting.check("a")
    loaded = setting.keys._current
    setting.keys._current = dataclasses.replace(loaded, keys=index_keys([]))

    def come(_self: KeySet, _kid: str | None) -> bool:
        setting.keys._current = loaded
        return True

    monkeypatch.setattr(KeySet, "worth_asking", come)
    assert setting.keys.answer(FindVerificationKey("ES256", "a")) is not None
    assert setting.server.fetches == 1


def test_a_set_that_was_replaced_just_now_is_not_ended(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    setting.check("a")
    setting.server.gate.clear()
    setting.clock.now += 4200
    stale = setting.keys._current
    fresh = dataclasses.replace(stale, life=dataclasses.replace(stale.life, serves_until=math.inf))

    class Replacing:
        def __enter__(self) -> None:
            setting.keys._current = fresh

        def __exit__(self, *_: object) -> None: ...

        def acquire(self, blocking: bool = True) -> bool:
            return False

    monkeypatch.setattr(KeySet, "_lock", Replacing())
    setting.keys._tend()
    assert setting.keys._current is fresh
    assert setting.keys.generation == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_fetches_for_itself(setting: Setting) -> None:
    setting.keys._flight = Flight(setting.clock.now)
    with setting.keys._lock:
        child = os.fork()
    if child == 0:
        os._exit(0 if setting.check("a") == "passed" else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
