"""``[observe]`` of the settings: what the guards tell of, a line of JSON each on standard output.

Knows how a record of `guestpass.observe.logs` is written down, and nothing of what is in it.
"""

import json
import logging
import sys
from datetime import UTC, datetime

from guestpass.observe.logs import LogEvents
from guestpass.service.settings import Observe


def observer(observe: Observe) -> tuple[LogEvents, ...]:
    """What is to be told of a guard's events; nothing, unless it is asked for."""
    if not observe.log:
        return ()
    # A logger of its own: no other has a say in what goes to standard output, and nothing of it goes to another.
    logger = logging.Logger("guestpass.events", logging.INFO)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    logger.addHandler(handler)
    return (LogEvents(logger, allowed=logging.INFO if observe.allowed else logging.DEBUG),)


class JsonLines(logging.Formatter):
    """A record as one line of JSON: when, how grave, in words, and the fields of its event."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        fields: object = vars(record).get("guestpass")
        said = {
            "time": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        return json.dumps({**said, **fields} if isinstance(fields, dict) else said)
