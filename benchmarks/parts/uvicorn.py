"""Requests per second under uvicorn, with uvloop and httptools, from this process to a server in another."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from benchmarks.contenders import ASGI, ASGI_PEERS, Contender
from benchmarks.environments import ROOT, python_of
from benchmarks.load import CONNECTIONS, Load, request, turn_of
from benchmarks.measuring import Spread, measure
from benchmarks.results import Result, Table, Target
from benchmarks.scene import Scene, staged
from benchmarks.settings import Settings
from benchmarks.workers import ended

TITLE = "requests per second under uvicorn"
SECONDS, TURN = 80.0, 0.2
TOKENS = 500
BARE = "bare ASGI"
ALSO_COLD = ("floor", "guestpass")


def run(settings: Settings) -> Result:
    """All servers are there at once, and asked one after another."""
    rows: list[tuple[str, ...]] = []
    with ExitStack() as stack:
        scene = stack.enter_context(staged(settings.count(TOKENS, least=20)))
        cold = replace(scene, cold=True)
        served = [(one.name, one, scene) for one in (*ASGI, *ASGI_PEERS)]
        served += [(f"{one.name}, cold", one, cold) for one in ASGI if one.name in ALSO_COLD]
        turns = {name: turn_of(stack.enter_context(serving(one, seen))) for name, one, seen in served}
        rounds = measure(turns, settings.seconds(SECONDS), turn=TURN * (0.25 if settings.quick else 1))
    for name, *_ in served:
        per_second = Spread.of(1e6 / one for one in rounds.times[name])
        rows.append((name, rounds.ratio(BARE, name).written(), per_second.written(0)))
    return Result(
        "uvicorn",
        TITLE,
        targets=[
            Target("under uvicorn, warm, of the bare requests/s", 0.9, rounds.ratio(BARE, "guestpass"), "≥"),
        ],
        tables=[Table("Requests per second", ("", "bare ASGI = 1", "requests/s"), rows)],
        notes=[
            f"One process, {CONNECTIONS} connections, each with one request after another; the client is a process of "
            "its own. What is not called cold has the same token each time."
        ],
    )


@contextmanager
def serving(one: Contender, scene: Scene) -> Iterator[Load]:
    """Load on a server of one contender."""
    process = subprocess.Popen(  # noqa: S603
        [python_of(one.environment), "-m", "benchmarks.serve"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdin is not None  # noqa: S101 - a pipe was asked for
    assert process.stdout is not None  # noqa: S101
    try:
        process.stdin.write(json.dumps({"made_by": one.made_by, "scene": scene.to_json()}) + "\n")
        process.stdin.flush()
        port = process.stdout.readline()
        if not port:
            raise RuntimeError(f"the server of {one.name} ended with {process.wait()}; what it wrote is above")
        load = Load(int(port), [request(scene.path, headers) for headers in scene.requests])
        try:
            yield load
        finally:
            load.close()
    finally:
        ended(process)
