"""What Redis and redis-py say, and what the caller is told: never in the server's own words."""

import pytest
from redis import exceptions

from guestpass.stores.redis_errors import reason

SECRET = "5ecret"


@pytest.mark.parametrize(
    ("problem", "told"),
    [
        (exceptions.TimeoutError("Timeout reading from host:1"), "too long"),
        (exceptions.ConnectionError("Timeout reading from host:1"), "too long"),
        (exceptions.ConnectionError("No connection available."), "in use"),
        (exceptions.ConnectionError("Error 111 connecting to host:1. Refused."), "Error 111 connecting to host:1"),
        (exceptions.ConnectionError(), "no connection"),
        (exceptions.BusyLoadingError(SECRET), "loading"),
        (exceptions.ReadOnlyError(SECRET), "replica"),
        (exceptions.OutOfMemoryError(SECRET), "memory"),
        (exceptions.NoPermissionError(SECRET), "ACL"),
        (exceptions.MasterDownError(SECRET), "lost its primary"),
        (exceptions.ClusterDownError(SECRET), "Redis Cluster"),
        (exceptions.ClusterCrossSlotError(SECRET), "Redis Cluster"),
        (exceptions.MovedError("1 host:2"), "Redis Cluster"),
        (exceptions.AskError("1 host:2"), "Redis Cluster"),
        (exceptions.TryAgainError(SECRET), "Redis Cluster"),
        (exceptions.AuthenticationError("Authentication required."), "asks for a password"),
        (exceptions.AuthenticationError(f"invalid {SECRET}"), "does not take the user and password"),
        (exceptions.InvalidResponse(f"Protocol Error: {SECRET}"), "protocol"),
        (exceptions.ResponseError(f"MISCONF Redis is configured to {SECRET}"), "disk"),
        (exceptions.ResponseError(f"NOREPLICAS {SECRET}"), "replicas"),
        (exceptions.ResponseError(f"BUSY {SECRET}"), "busy"),
        (exceptions.ResponseError(f"Error running script: @user_script: 1: -READONLY {SECRET}"), "replica"),
        (exceptions.ResponseError(f"Error running script: @user_script: 1: -OOM {SECRET}"), "memory"),
        (exceptions.ResponseError(f"WRONGTYPE Operation {SECRET} script: x"), "prefix"),
        (exceptions.ResponseError("The user executing the script can't run this command"), "ACL"),
        (exceptions.ResponseError("ACL failure in script: No permissions to access a key"), "ACL"),
        (exceptions.ResponseError(f"unknown command 'EVALSHA', with args beginning with: {SECRET}"), "refused"),
        (exceptions.RedisError(SECRET), "refused"),
        (exceptions.DataError(SECRET), "refused"),
    ],
)
def test_each_trouble_has_words_of_its_own(problem: exceptions.RedisError, told: str) -> None:
    said = reason(problem)
    assert told in said
    assert SECRET not in said
