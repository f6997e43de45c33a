"""The other end of `benchmarks.worker`: turns of applications in other environments, as if they were here."""

import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.contenders import Bench, Contender
from benchmarks.environments import MAIN, ROOT, python_of
from benchmarks.measuring import Turn
from benchmarks.scene import Scene


class Worker:
    """A process of one environment."""

    def __init__(self, python: Path | str) -> None:
        self._process = subprocess.Popen(  # noqa: S603
            [python, "-m", "benchmarks.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self.versions: dict[str, str] = {}

    def turn(self, name: str, door: str, made_by: str, scene: Scene, *, guards: bool) -> Turn:
        """As `Bench.turn`, there."""
        self.versions = self._ask({"make": [name, door, made_by], "scene": scene.to_json(), "guards": guards})

        def turn(calls: int) -> float:
            seconds: float = self._ask({"turn": name, "calls": calls})
            return seconds

        return turn

    def close(self) -> None:
        """End it."""
        ended(self._process)

    def _ask(self, question: object) -> Any:
        assert self._process.stdin is not None  # noqa: S101 - a pipe was asked for
        assert self._process.stdout is not None  # noqa: S101
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a worker ended with {self._process.wait()}; what it wrote is above")
        return json.loads(line)


def ended(process: subprocess.Popen[str]) -> None:
    """End a process by the end of what it reads; by a signal, where it does not listen."""
    try:
        process.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


@contextmanager
def turns_of(contenders: Iterable[Contender], scene: Scene) -> Iterator[tuple[dict[str, Turn], dict[str, str]]]:
    """Turns of all contenders, and the versions that other environments have.

    For each contender of another environment there is one more, its application without the guard: see `bare_name`.
    """
    bench, workers = Bench(), dict[str, Worker]()
    turns: dict[str, Turn] = {}
    try:
        for one in contenders:
            guards = one.over is not None
            if one.environment == MAIN:
                turns[one.name] = bench.turn(one.name, one.door, one.made_by, scene, guards=guards)
                continue
            worker = workers.get(one.environment)
            if worker is None:
                worker = workers[one.environment] = Worker(python_of(one.environment))
            turns[one.name] = worker.turn(one.name, one.door, one.made_by, scene, guards=guards)
            if one.over is not None:
                bare = bare_name(one)
                turns[bare] = worker.turn(bare, one.door, one.over, scene, guards=False)
        yield turns, {name: said(worker.versions) for name, worker in workers.items()}
    finally:
        for worker in workers.values():
            worker.close()
        bench.close()


def said(versions: Mapping[str, str]) -> str:
    """Versions in one line."""
    return ", ".join(f"{name} {number}" for name, number in versions.items())


_BARE = {
    "bare:asgi": "bare ASGI",
    "bare:starlette": "bare Starlette",
    "bare:fastapi": "bare FastAPI",
    "bare:wsgi": "bare WSGI",
    "bare:flask": "bare Flask",
}


def bare_name(one: Contender) -> str:
    """What the turns of a contender's application without the guard are called."""
    bare = _BARE[one.over or one.made_by]
    return bare if one.environment == MAIN else f"{bare} ({one.environment})"
