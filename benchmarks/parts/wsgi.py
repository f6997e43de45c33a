"""WSGI in process, with a token that was seen before and with tokens that never were."""

from dataclasses import replace

from benchmarks.comparing import compared
from benchmarks.contenders import WSGI, WSGI_PEERS
from benchmarks.results import Result, Target
from benchmarks.scene import staged
from benchmarks.settings import Settings

TITLE = "WSGI in process"
SECONDS = 20.0
TOKENS = 500


def run(settings: Settings) -> Result:
    """Warm, then cold."""
    contenders, seconds = (*WSGI, *WSGI_PEERS), settings.seconds(SECONDS)
    with staged(settings.count(TOKENS, least=20)) as scene:
        warm, warm_table, _ = compared("A token seen before", contenders, scene, seconds)
        cold, cold_table, _ = compared("A token never seen", contenders, replace(scene, cold=True), seconds)
    return Result(
        "wsgi",
        TITLE,
        targets=[
            Target("WSGI warm, over the bare WSGI application", 3, warm.over("guestpass", "bare WSGI"), unit="µs"),
            Target("WSGI warm, on Flask, × bare Flask", 1.08, warm.ratio("guestpass on Flask", "bare Flask")),
            Target("WSGI cold, on Flask, × bare Flask", 1.6, cold.ratio("guestpass on Flask", "bare Flask")),
        ],
        tables=[warm_table, cold_table],
        notes=[
            "guestpass on Flask is `guestpass.flask.protect`, which also holds each view to the rule that its request "
            "was judged by."
        ],
    )
