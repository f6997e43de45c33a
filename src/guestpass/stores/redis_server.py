"""What a Redis server must be, and ought to be, for the store to keep its promises: looked at once, at the start.

Knows the server's own account of itself, and what to tell the operator. A managed service may keep it to itself; then
that is said too.
"""

import logging
import re
from collections.abc import Callable, Mapping
from typing import Final

import redis

from guestpass.errors import ConfigurationError
from guestpass.stores.redis_clients import ThreadClient
from guestpass.stores.redis_errors import CLUSTER

OLDEST: Final = (6, 2)

log = logging.getLogger("guestpass")


def look(client: ThreadClient) -> None:
    """Raise ConfigurationError for a server that cannot do, and warn of one that may forget. Raises
    `redis.RedisError` where it does not answer."""
    info = _asked(client.info)
    _refuse(info)
    settings = _asked(lambda: client.config("append*")) | _asked(lambda: client.config("maxmemory-policy"))
    append_only = info.get("aof_enabled", settings.get("appendonly"))
    if append_only is None:
        log.info("the Redis store cannot see whether its server keeps an append-only file: without one it forgets")
    elif append_only in (0, "0", "no"):
        log.warning(
            "the Redis store's server keeps no append-only file: when it ends, sessions and revocations are lost that"
            " were acknowledged. Set appendonly yes and appendfsync always"
        )
    elif (fsync := settings.get("appendfsync", "unknown")) != "always":
        log.log(
            logging.WARNING if fsync == "no" else logging.INFO,
            "the Redis store's server writes its append-only file with appendfsync %s: when the machine ends, what was"
            " acknowledged last may be lost. Set appendfsync always",
            fsync,
        )
    policy = info.get("maxmemory_policy", settings.get("maxmemory-policy"))
    if policy is None:
        log.info("the Redis store cannot see its server's maxmemory-policy: it has to be noeviction")
    elif policy != "noeviction":
        log.warning(
            "the Redis store's server may drop what it holds when its memory is used up (maxmemory-policy %s),"
            " revocations too. Set maxmemory-policy noeviction",
            policy,
        )


def _refuse(info: Mapping[str, object]) -> None:
    if info.get("redis_mode") == "sentinel":
        raise ConfigurationError("the Redis store's URL names a Sentinel: name the primary, or what leads to it")
    if info.get("cluster_enabled") == 1 or info.get("redis_mode") == "cluster":
        raise ConfigurationError(f"the Redis store cannot use this server: {CLUSTER}")
    version = re.match(r"(\d+)\.(\d+)", str(info.get("redis_version", "")))
    if version and (int(version[1]), int(version[2])) < OLDEST:
        raise ConfigurationError(f"the Redis store needs Redis 6.2 or newer, or Valkey; this is {version[0]}")


def _asked(ask: Callable[[], dict[str, object]]) -> dict[str, object]:
    try:
        return ask()
    except redis.ResponseError:
        return {}  # Not for this user, or not for anybody.
