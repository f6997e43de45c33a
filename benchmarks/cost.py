"""Holds what a decision costs, counted and not timed: function calls and memory, the same in every run.

``python -m benchmarks.cost`` compares one warm and one cold decision through each door with `cost.toml`, and fails
where one has grown; ``--show warm_asgi`` lists the calls of one. The application behind the guard is not counted. What
is, differs from one minor version of Python to the next, and so does what is expected.
"""

# ruff: noqa: T201 - it prints

import argparse
import asyncio
import gc
import sys
import tomllib
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from types import FrameType
from typing import TypeAlias

from benchmarks.applications import guarded
from benchmarks.driving import Environ, Receive, Scope, Send, StartResponse, http_scope, wsgi_environ
from benchmarks.scene import ACCOUNT, KID, SIZE, make_key, make_token, request_headers
from benchmarks.scene import Scene as Given
from guestpass import Guard, Principal
from guestpass.asgi import GuardMiddleware as AsgiGuard
from guestpass.wsgi import GuardMiddleware as WsgiGuard

EXPECTED = Path(__file__).with_name("cost.toml")
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"

WARM_UP, TIMES = 40, 15
"""Decisions before the first one that counts, by when everything has been imported, made and specialised; and
decisions that are counted, of which the cheapest is taken: another thread's memory is not a decision's."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Calls of Python functions, calls of built-in ones, and bytes of memory: the most at once."""

    calls: int
    builtins: int
    bytes: int


TOLERATED = {"calls": 0.0, "builtins": 0.0, "bytes": 0.03}
"""By which part each may differ without a word: numbers of a key and of a signature are not always equally long."""

Step: TypeAlias = Callable[[], object]
Decision: TypeAlias = Callable[[Step, Step], None]
"""One decision; the steps are called right before and right after it."""


def main() -> int:
    """Count, compare, and say which line to change."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--show", metavar="DECISION", help="list what is called in one of them")
    chosen = parser.parse_args()
    with decisions() as all_of_them:
        if chosen.show is not None:
            return show(all_of_them[chosen.show])
        measured = {name: cost_of(decision) for name, decision in all_of_them.items()}
    expected = tomllib.loads(EXPECTED.read_text()).get(VERSION, {})
    grown, said = compared(measured, {name: Cost(**cost) for name, cost in expected.items()})
    print("\n".join(said))
    return 1 if grown else 0


def compared(measured: Mapping[str, Cost], expected: Mapping[str, Cost]) -> tuple[bool, list[str]]:
    """Whether anything has grown, and what is to be said of it."""
    where, said, any_grown = f'benchmarks/cost.toml, ["{VERSION}"]', list[str](), False
    for name, cost in measured.items():
        known = expected.get(name)
        if known is None:
            said.append(f"{name}: nothing is expected of it yet. Add to {where}:\n  {line(name, cost)}")
            continue
        grown, less = list[str](), list[str]()
        for what, part in TOLERATED.items():
            now, then = getattr(cost, what), getattr(known, what)
            if now > then * (1 + part):
                grown.append(f"{what} have grown from {then} to {now}")
            elif now < then * (1 - part):
                less.append(f"{what} have come down from {then} to {now}")
        if grown:
            any_grown = True
            said.append(f"{name}: {', '.join(grown)}. What is called: python -m benchmarks.cost --show {name}")
            said.append(f"  If that is meant, change in {where}:\n  {line(name, cost)}")
        elif less:
            said.append(f"{name}: {', '.join(less)}. Hold that, in {where}:\n  {line(name, cost)}")
    return any_grown, said or [f"what {len(measured)} decisions cost is what {where} expects"]


def line(name: str, cost: Cost) -> str:
    """As it stands in the file."""
    return f"{name} = {{ calls = {cost.calls}, builtins = {cost.builtins}, bytes = {cost.bytes} }}"


def show(decision: Decision) -> int:
    """List what is called, the most frequent first."""
    for _ in range(WARM_UP):
        decision(nothing, nothing)
    for (event, name), times in called(decision).most_common():
        print(f"{times:>4}  {name}{' (built in)' if event == 'c_call' else ''}")
    return 0


def cost_of(decision: Decision) -> Cost:
    """Of one decision, once everything has settled."""
    for _ in range(WARM_UP):
        decision(nothing, nothing)
    counted = [called(decision) for _ in range(TIMES)]
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        for _ in range(WARM_UP):
            decision(nothing, nothing)
        held = [most_held(decision) for _ in range(TIMES)]
    finally:
        tracemalloc.stop()
        gc.enable()
    calls = min(sum(times for (what, _), times in one.items() if what == "call") for one in counted)
    builtins = min(sum(times for (what, _), times in one.items() if what == "c_call") for one in counted)
    return Cost(calls, builtins, min(held))


def called(decision: Decision) -> Counter[tuple[str, str]]:
    """Every function that is called in one decision, and how often."""
    seen: Counter[tuple[str, str]] = Counter()

    def note(frame: FrameType, event: str, function: object) -> None:
        if frame.f_code.co_filename == __file__:
            return
        if event == "call":
            module = frame.f_globals.get("__name__", "?")
            seen[event, f"{module}.{frame.f_code.co_qualname}"] += 1
        elif event == "c_call":
            seen[event, getattr(function, "__qualname__", repr(function))] += 1

    decision(lambda: sys.setprofile(note), lambda: sys.setprofile(None))
    return seen


def most_held(decision: Decision) -> int:
    """Bytes that one decision held at once, beyond what was held before."""
    before = after = 0

    def begin() -> None:
        nonlocal before
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()

    def end() -> None:
        nonlocal after
        _, after = tracemalloc.get_traced_memory()

    decision(begin, end)
    return after - before


def nothing() -> None:
    return


# What is counted


@contextmanager
def decisions() -> Iterator[dict[str, Decision]]:
    """One decision each: with a token that is known or not, through each door; and with a client secret that has to be
    looked up, through the one door where no other thread is asked."""
    private, jwk = make_key("RS256")
    tokens = [make_token("RS256", private, KID, SIZE, f"{number:08}") for number in range(2)]
    warm = Given({"keys": [jwk]}, "", tokens, "")
    cold = replace(warm, cold=True)
    by_secret = guarded.guard_of(cold)
    loop = asyncio.new_event_loop()
    try:
        yield {
            "warm_asgi": asgi(guarded.guard_of(warm), warm.path, tokens[:1], loop),
            "cold_asgi": asgi(guarded.guard_of(cold), warm.path, tokens, loop),
            "warm_wsgi": wsgi(guarded.guard_of(warm), warm.path, tokens[:1]),
            "cold_wsgi": wsgi(guarded.guard_of(cold), warm.path, tokens),
            "looked_up_wsgi": wsgi(by_secret, warm.path, guarded.client_secrets(by_secret, 2)),
        }
    finally:
        loop.close()


def asgi(guard: Guard, path: str, credentials: Iterable[str], loop: asyncio.AbstractEventLoop) -> Decision:
    """A request through the ASGI door, with each credential in turn."""
    headers = cycle([request_headers(f"Bearer {credential}", ACCOUNT) for credential in credentials])

    async def app(scope: Scope, _: Receive, send: Send) -> None:
        assert isinstance(scope["principal"], Principal)  # noqa: S101 - a refusal would cost something else
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_: object) -> None:
        return

    door = AsgiGuard(app, guard)

    async def request(begin: Step, end: Step) -> None:
        scope = {**http_scope(path), "state": {}, "headers": [*next(headers)]}
        begin()
        await door(scope, receive, send)
        end()

    return lambda begin, end: loop.run_until_complete(request(begin, end))


def wsgi(guard: Guard, path: str, credentials: Iterable[str]) -> Decision:
    """A request through the WSGI door, with each credential in turn."""
    headers = cycle([request_headers(f"Bearer {credential}", ACCOUNT) for credential in credentials])

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        assert isinstance(environ["guestpass.principal"], Principal)  # noqa: S101 - as above
        start_response("200 OK", [])
        return [b""]

    def started(*_: object) -> Callable[[bytes], object]:
        return nothing_written

    door = WsgiGuard(app, guard)

    def decide(begin: Step, end: Step) -> None:
        environ = wsgi_environ(path, next(headers))
        begin()
        for _ in door(environ, started):
            pass
        end()

    return decide


def nothing_written(_: bytes) -> None:
    return


if __name__ == "__main__":
    sys.exit(main())
