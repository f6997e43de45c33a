"""What runs in another environment: it is told which applications to make, and has a turn when it is asked.

Speaks lines of JSON on standard input and output, so that the turns of several environments can be interleaved.
``python -m benchmarks.worker`` in the environment that is meant.
"""

import json
import os
import sys
from typing import TextIO

from benchmarks.contenders import Bench, versions
from benchmarks.measuring import Turn
from benchmarks.scene import Scene


def main() -> None:
    """Serve until standard input ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    # Whatever else is printed here is not an answer.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin, answers)


def serve(questions: TextIO, answers: TextIO) -> None:
    """Answer one line with one line."""
    bench = Bench()
    turns: dict[str, Turn] = {}
    for line in questions:
        asked = json.loads(line)
        answer: object
        if "make" in asked:
            name, door, made_by = asked["make"]
            scene = Scene.from_json(asked["scene"])
            turns[name] = bench.turn(name, door, made_by, scene, guards=asked["guards"])
            answer = versions()
        else:
            answer = turns[asked["turn"]](asked["calls"])
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    bench.close()


if __name__ == "__main__":
    main()
