"""`make bench`: all parts, or those that are named; see README.md.

Starts itself again in the environment that most contenders share, which is made first.
"""

# ruff: noqa: T201 - it prints

import argparse
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.environments import MADE, MAIN, ROOT, python_of

PARTS = (
    "warm", "cold", "wsgi", "uvicorn", "opaque", "policy", "tokens", "minting", "stores", "growth", "memory", "profile",
)  # fmt: skip
RESULTS = ROOT / "benchmarks" / "RESULTS.md"


def main() -> int:
    """Run, print, and write RESULTS.md after a run of everything."""
    chosen = arguments().parse_args()
    parts: list[str] = chosen.parts or list(PARTS)
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        print(f"there is no part {unknown[0]!r}: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    if not Path(sys.prefix).is_relative_to(MADE):
        command = [str(python_of(MAIN)), "-m", "benchmarks", *sys.argv[1:]]
        return subprocess.run(command, cwd=ROOT, check=False).returncode  # noqa: S603
    measured(parts, chosen.quick)
    return 0


def arguments() -> argparse.ArgumentParser:
    """What can be said."""
    parser = argparse.ArgumentParser("make bench", description=__doc__, add_help=True)
    parser.add_argument("parts", nargs="*", help=", ".join(PARTS))
    parser.add_argument("--quick", action="store_true", default=os.environ.get("QUICK") == "1", help="a tenth of it")
    return parser


def measured(parts: list[str], quick: bool) -> None:
    """The parts one after another, each in a process of its own: what one has left behind is not the next one's."""
    from benchmarks.contenders import versions
    from benchmarks.results import Result, machine, report, section

    results: list[Result] = []
    about = [f"{machine()}. Load {os.getloadavg()[0]:.1f} at the start, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC."]
    for part in parts:
        print(f"{part} …", file=sys.stderr, flush=True)
        start = time.perf_counter()
        command = [sys.executable, "-m", "benchmarks.parts", part, *(["--quick"] if quick else [])]
        ran = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603
        results.append(Result.from_json(ran.stdout))
        print(section(results[-1]), flush=True)
        print(f"{part}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    found = versions()
    for result in results:
        found = {**result.versions, **found}
    about.append(" · ".join(f"{name} {number}" for name, number in found.items()))
    if quick:
        about.append("**QUICK: a tenth of a run, to see that it works.**")
    print("\n\n".join(about))
    if set(parts) == set(PARTS):
        RESULTS.write_text(report(results, about))
        print(f"written to {RESULTS.relative_to(ROOT)}")


if __name__ == "__main__":
    sys.exit(main())
