"""The command line: ``guestpass``, or ``python -m guestpass``.

Here a command is run, and whatever it ends in becomes an exit code: 0 done, 1 not done, 2 used or set up wrongly, 130
interrupted. Where a command lives stands in `guestpass.cli.table`; what is printed, and what of a problem is told, is
`guestpass.cli.answers`'s and `guestpass.cli.problems`'s.
"""

import os
import sys
from collections.abc import Sequence

from guestpass.cli.answers import Answer, complain, flush, say
from guestpass.cli.parser import read
from guestpass.cli.problems import INTERRUPTED, MISUSED, problem_of

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and answer its exit code; `arguments` left out are those of the process."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        asked = read(given)
        done: Answer | int = asked.run(asked)
        return say(done, asked.json) if isinstance(done, Answer) else done
    except SystemExit as end:
        # argparse's way to end once it has given help, and the demo's on a signal.
        flush(sys.stdout)
        return end.code if isinstance(end.code, int) else MISUSED
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as raised:
        problem = problem_of(raised)
        if problem.is_bug and os.environ.get("GUESTPASS_DEBUG") == "1":
            raise
        return complain(problem, "--json" in given)
