"""Where the time of one request goes that comes with a known token: by layer, by function, and by what is called.

The stack is looked at a thousand times per second, so that nothing is slowed down by being watched, as it would be by a
profiler that counts calls. A layer is a file of guestpass: what it calls of Python's own is its
own time, what it calls of another file of guestpass is not.
"""

import asyncio
import hashlib
import signal
import time
from collections import Counter
from pathlib import Path
from types import FrameType

import guestpass
from benchmarks.applications import bare, guarded
from benchmarks.cost import asgi, called, nothing
from benchmarks.driving import of_asgi, of_calls
from benchmarks.measuring import Turn, measure
from benchmarks.results import Result, Table
from benchmarks.scene import Scene, staged
from benchmarks.settings import Settings
from guestpass.asgi import GuardMiddleware

TITLE = "where the time of one request goes"
SECONDS, INTERVAL = 12.0, 0.001
TOP = 20
GUESTPASS = str(Path(guestpass.__file__).parent)
APPLICATION = "(the application, and what asks it)"


def run(settings: Settings) -> Result:
    """Samples, then a count."""
    loop = asyncio.new_event_loop()
    with staged(1) as scene:
        guard = guarded.guard_of(scene)
        app = bare.asgi(scene)
        value = f"Bearer {scene.tokens[0]}".encode()
        turns = {
            "bare": of_asgi(app, scene.path, scene.requests, loop),
            "guestpass": of_asgi(GuardMiddleware(app, guard), scene.path, scene.requests, loop),
            "hash": of_calls(lambda: hashlib.sha256(value).digest()),
        }
        rounds = measure(turns, settings.seconds(SECONDS / 3))
        samples = sampled(turns["guestpass"], settings.seconds(SECONDS))
        counted = called_in_one(scene, loop)
    loop.close()
    layers, functions = Counter[str](), Counter[str]()
    for (file, function), times in samples.items():
        layers[file] += times
        if file != APPLICATION:
            functions[f"{file}: {function}"] += times
    whole, all_samples = rounds.of("guestpass").middle, sum(samples.values())

    def rows(seen: Counter[str], most: int | None = None) -> list[tuple[str, ...]]:
        parts = ((name, times / all_samples) for name, times in seen.most_common(most))
        return [(name, f"{part:.1%}", f"{part * whole:.2f}") for name, part in parts]

    return Result(
        "profile",
        TITLE,
        tables=[
            Table("By file", ("", "of the time", "µs"), rows(layers)),
            Table("By function, its own time", ("", "of the time", "µs"), rows(functions, TOP)),
            Table("What is called, in one request", ("", "times"), counted),
        ],
        notes=[
            f"A request takes {whole:.2f} µs, {rounds.over('guestpass', 'bare').middle:.2f} of them over the bare "
            f"application; to hash the credential alone takes {rounds.of('hash').middle:.2f}. {all_samples:,} samples."
        ],
    )


def sampled(turn: Turn, seconds: float) -> Counter[tuple[str, str]]:
    """How often each function of guestpass was found to be the innermost one, by file."""

    seen: Counter[tuple[str, str]] = Counter()

    def look(_: int, frame: FrameType | None) -> None:
        while frame is not None:
            code = frame.f_code
            if code.co_filename.startswith(GUESTPASS):
                seen[Path(code.co_filename).name, code.co_qualname] += 1
                return
            if code.co_filename in (bare.__file__, of_asgi.__code__.co_filename):
                break
            frame = frame.f_back
        seen[APPLICATION, ""] += 1

    before = signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, INTERVAL, INTERVAL)
    try:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            turn(2_000)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return seen


def called_in_one(scene: Scene, loop: asyncio.AbstractEventLoop) -> list[tuple[str, ...]]:
    """Every function that one request calls, as `make check` counts them."""
    decision = asgi(guarded.guard_of(scene), scene.path, scene.tokens[:1], loop)
    for _ in range(40):
        decision(nothing, nothing)
    return [
        (name + (", built in" if event == "c_call" else ""), str(times))
        for (event, name), times in called(decision).most_common()
    ]
