"""ASGI in process, with a credential that was seen before: what a guard costs nearly every request."""

from benchmarks.contenders import ASGI, ASGI_PEERS, Contender
from benchmarks.measuring import Rounds, measure
from benchmarks.results import Result, Table, Target
from benchmarks.scene import Scene, staged
from benchmarks.settings import Settings
from benchmarks.workers import bare_name, turns_of

TITLE = "ASGI in process, a token seen before"
SECONDS = 40.0
CONTENDERS = (*ASGI, *ASGI_PEERS)


def run(settings: Settings) -> Result:
    """One request after another, each with the same token."""
    with staged(8) as scene:
        result, rounds = compared("warm", TITLE, CONTENDERS, scene, settings.seconds(SECONDS))
    result.targets += [
        Target("guestpass over the bare application, × the floor", 1.6, rounds.ratio_over(*GUARD_FLOOR_BARE)),
        Target("guestpass over the bare application", 3, rounds.over("guestpass", "bare ASGI"), unit="µs"),
        Target(
            "guestpass on Starlette, × bare Starlette", 1.4, rounds.ratio("guestpass on Starlette", "bare Starlette")
        ),
    ]
    result.notes.append(
        "200 rules, an RS256 token of 850 characters, ten headers. The floor hashes the whole credential, looks for a "
        "second header, finds the rule, looks at the end and compares the account; guestpass does all that it does."
    )
    return result


GUARD_FLOOR_BARE = ("guestpass", "floor", "bare ASGI")


def compared(
    part: str, title: str, contenders: tuple[Contender, ...], scene: Scene, seconds: float
) -> tuple[Result, Rounds]:
    """All contenders in one run, and the table of them."""
    with turns_of(contenders, scene) as (turns, versions):
        rounds = measure(turns, seconds)
    rows = []
    for one in contenders:
        base = bare_name(one)
        over = "—" if one.over is None else f"+{rounds.over(one.name, base).written()}"
        times = "—" if one.over is None else rounds.ratio(one.name, base).written()
        rows.append(
            (one.name, over, base.partition(" (")[0] if one.over else "—", times, rounds.of(one.name).written())
        )
    table = Table("Each over its application without the guard", ("", "over it, µs", "it", "× it", "µs"), rows)
    return Result(part, title, tables=[table], versions=versions), rounds
