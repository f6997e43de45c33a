"""One part, in this process: ``python -m benchmarks.parts warm``. Writes what it found to standard output, as JSON."""

import logging
import os
import sys
from importlib import import_module

from benchmarks.results import Result
from benchmarks.settings import Settings


def main() -> None:
    """Measure."""
    part, quick = sys.argv[1], "--quick" in sys.argv
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    # Whatever is printed on the way is not the answer, and a log line for each refusal is nobody's cost here.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    logging.getLogger("guestpass").setLevel(logging.CRITICAL)
    result: Result = import_module(f"benchmarks.parts.{part}").run(Settings.of(quick))
    answer.write(result.to_json())
    answer.close()
    sys.stderr.flush()
    # Threads of stores and of upkeep would have the process wait.
    os._exit(0)


if __name__ == "__main__":
    main()
