"""`make bench`: all parts, or those that are named; see README.md here.

Starts itself again in the environment that most contenders share, which is made first.
"""

# ruff: noqa: T201 - it prints

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.environments import MADE, MAIN, ROOT, python_of

PARTS = (
    "warm", "cold", "wsgi", "uvicorn", "opaque", "policy", "tokens", "minting", "stores", "growth", "memory", "profile",
)  # fmt: skip
RESULTS = ROOT / "benchmarks" / "RESULTS.md"
KEPT = MADE / "results"
"""The last result of each part; of quick runs, with a RESULTS.md of their own, in the folder beside it."""
QUICK = MADE / "quick"


def main() -> int:
    """Run, print, and write RESULTS.md."""
    chosen = arguments().parse_args()
    parts: list[str] = chosen.parts or list(PARTS)
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        print(f"there is no part {unknown[0]!r}: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    if not Path(sys.prefix).is_relative_to(MADE):
        command = [str(python_of(MAIN)), "-m", "benchmarks", *sys.argv[1:]]
        return subprocess.run(command, cwd=ROOT, check=False).returncode  # noqa: S603
    return 0 if measured(parts, chosen.quick) else 1


def arguments() -> argparse.ArgumentParser:
    """What can be said."""
    parser = argparse.ArgumentParser("make bench", description=__doc__, add_help=True)
    parser.add_argument("parts", nargs="*", help=", ".join(PARTS))
    parser.add_argument("--quick", action="store_true", default=os.environ.get("QUICK") == "1", help="a tenth of it")
    return parser


def measured(parts: Sequence[str], quick: bool) -> bool:
    """Whether all parts ran, each in a process of its own: what one has left behind is not the next one's."""
    from benchmarks.contenders import versions
    from benchmarks.results import Result, machine, section

    kept = QUICK if quick else KEPT
    kept.mkdir(parents=True, exist_ok=True)
    of = [machine(), " · ".join(f"{name} {number}" for name, number in versions().items())]
    of += ["**QUICK: a tenth of a run, to see that it works.**"] if quick else []
    failed = False
    for part in parts:
        print(f"{part} …", file=sys.stderr, flush=True)
        when, load, start = datetime.now(UTC), os.getloadavg()[0], time.perf_counter()
        command = [sys.executable, "-m", "benchmarks.parts", part, *(["--quick"] if quick else [])]
        ran = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603
        if ran.returncode:
            print(f"{part} failed; what it wrote is above", file=sys.stderr, flush=True)
            failed = True
            continue
        result, took = Result.from_json(ran.stdout), time.perf_counter() - start
        result.measured = f"{when:%Y-%m-%d %H:%M} UTC, in {took:.0f} s; the load was {load:.1f} at its start."
        result.of = of
        (kept / f"{part}.json").write_text(result.to_json())
        print(section(result), flush=True)
    print("\n\n".join(of))
    gather(kept, QUICK / RESULTS.name if quick else RESULTS)
    return not failed


def gather(kept: Path, target: Path) -> None:
    """Write `target` of the last results, if there is one of each part, all of one machine."""
    from benchmarks.results import Result, report

    files = [(part, kept / f"{part}.json") for part in PARTS]
    known = {part: Result.from_json(file.read_text()) for part, file in files if file.exists()}
    if not known:
        return
    newest = max(known.values(), key=lambda result: (kept / f"{result.part}.json").stat().st_mtime)
    left = [part for part in PARTS if part not in known or known[part].of != newest.of]
    if left:
        print(f"\nRESULTS.md is written when there is the same of: {' '.join(left)}")
        return
    target.write_text(report(list(known.values())))
    print(f"\nwritten to {target}")


if __name__ == "__main__":
    sys.exit(main())
