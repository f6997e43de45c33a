"""What the caller is told where Redis does not answer, or says no: in our words.

The server's own text is never passed on: it may quote arguments, and so a digest.
"""

import re
from typing import Final

from redis import exceptions

from guestpass.errors import StoreUnavailable

# The first of these words in an error's text is what it is about: a script's error has more in front of it.
_CODE: Final = re.compile(
    r"\b(WRONGTYPE|READONLY|OOM|MISCONF|NOREPLICAS|NOPERM|NOAUTH|WRONGPASS|LOADING|BUSY|MASTERDOWN"
    r"|MOVED|ASK|CROSSSLOT|CLUSTERDOWN|TRYAGAIN)\b"
)

SLOW: Final = "it takes too long"
# Inside a script it has no word of its own.
_FORBIDDEN: Final = re.compile("user executing the script|ACL failure")

FOREIGN: Final = "a key of its prefix holds something else: give the store a prefix of its own, ?prefix=<name>:"
CLUSTER: Final = "it belongs to a Redis Cluster, which this store does not support: name a server that stands alone"

LEADS_ASTRAY: Final = frozenset({"READONLY", "MIXED"})
"""The words after which open connections are not to be used any more."""

FOR_GOOD: Final = frozenset({"WRONGTYPE", "MOVED", "ASK", "CROSSSLOT", "CLUSTERDOWN"})
"""The words that no waiting will change."""

_SAID: Final = {
    "WRONGTYPE": FOREIGN,
    "READONLY": "it is a replica and takes no changes: name the primary",
    "OOM": "its memory is used up: raise maxmemory, or free some",
    "MISCONF": "it takes no changes because it cannot write to its disk",
    "NOREPLICAS": "it takes no changes because too few replicas are in touch with it",
    "NOPERM": "its user may not do what the store needs: see the documentation for the ACL",
    "NOAUTH": "it asks for a password: redis://<user>:<password>@…",
    "WRONGPASS": "it does not take the user and password of the URL",
    "LOADING": "it is still loading its data",
    "BUSY": "it is busy with a script",
    "MIXED": "what it said was for another request",
    "MASTERDOWN": "it is a replica that has lost its primary",
}


class NotForUs(exceptions.RedisError):
    """An answer to another request."""


# redis-py takes the word off some errors, and makes a class of it.
_CLASSES: Final = (
    (exceptions.BusyLoadingError, "LOADING"),
    (exceptions.ReadOnlyError, "READONLY"),
    (exceptions.OutOfMemoryError, "OOM"),
    (exceptions.NoPermissionError, "NOPERM"),
    (exceptions.MasterDownError, "MASTERDOWN"),
    (exceptions.ClusterDownError, "CLUSTERDOWN"),
    (exceptions.ClusterCrossSlotError, "CROSSSLOT"),
    (exceptions.AskError, "MOVED"),
    (exceptions.TryAgainError, "TRYAGAIN"),
    (NotForUs, "MIXED"),
)


def code_of(problem: exceptions.RedisError) -> str:
    """The word with which Redis names an error, empty where there is none."""
    for kind, code in _CLASSES:
        if isinstance(problem, kind):
            return code
    if isinstance(problem, exceptions.AuthenticationError):
        return "NOAUTH" if "required" in str(problem) else "WRONGPASS"
    if not isinstance(problem, exceptions.ResponseError):
        return ""
    if _FORBIDDEN.search(str(problem)):
        return "NOPERM"
    found = _CODE.search(str(problem))
    return found.group() if found else ""


def reason(problem: exceptions.RedisError) -> str:
    """What is wrong, and what to do about it."""
    code = code_of(problem)
    if code:
        return _SAID.get(code, CLUSTER)
    # redis-py has a class for it, and does not always use it.
    if isinstance(problem, exceptions.TimeoutError) or str(problem).startswith("Timeout"):
        return SLOW
    if isinstance(problem, exceptions.ConnectionError):
        if "No connection available" in str(problem):
            return "every connection to it is in use"
        # redis-py's own words, which name host and port, and nothing else of the URL.
        lines = str(problem).splitlines()
        return lines[0] if lines else "no connection"
    if isinstance(problem, exceptions.InvalidResponse):
        return "what is there does not speak Redis's protocol"
    return f"it refused a command ({type(problem).__name__})"


def unavailable(problem: exceptions.RedisError) -> StoreUnavailable:
    """What to raise, from nothing: the error's own text is not for logs."""
    return StoreUnavailable(f"the store did not answer: {reason(problem)}")
