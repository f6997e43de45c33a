"""``guestpass keys``: the API keys in a store are made, listed, rotated and ended.

Whoever may run this may open the store, so it asks nobody's leave.
"""

import argparse
import math
import time
from typing import Final

from guestpass.api_keys import MAX_OVERLAP, ROTATION_OVERLAP
from guestpass.cli import arguments, described
from guestpass.cli.answers import Answer, table
from guestpass.cli.command import Command
from guestpass.cli.narrowing import NARROW
from guestpass.cli.opening import opened
from guestpass.cli.problems import Failed, Misused
from guestpass.cli.stored_keys import found, keys_of, revoked, usable
from guestpass.grants import ALL
from guestpass.principal import PUBLISHABLE_KEY, SECRET_KEY
from guestpass.records import KeyRecord

ONLY_TIME: Final = "this is the only time that its secret is shown; only a digest of it is kept."

_COLUMNS: Final = {
    "id": "id",
    "platform": "platform",
    "mode": "mode",
    "kind": "kind",
    "state": "state",
    "expires_at": "expires",
    "last_used_at": "last used",
    "old_secret_until": "old secret until",
    "name": "name",
}


def create(asked: argparse.Namespace) -> Answer:
    """Make a key."""
    if asked.publishable and (asked.account or asked.component or asked.role):
        raise Misused("a publishable key has no account, component or role: drop them, or drop --publishable")
    with opened(asked, make=True) as store:
        made = keys_of(store, asked.prefix).create(
            platform=asked.platform,
            mode=asked.mode,
            kind=PUBLISHABLE_KEY if asked.publishable else SECRET_KEY,
            accounts=asked.account or ALL,
            components=asked.component or ALL,
            roles=asked.role or ALL,
            origins=asked.origin,
            name=asked.name,
            expires_at=math.inf if asked.expires_in is None else time.time() + asked.expires_in,
        )
        key = found(store, made.id)
    lost = f"The key {made.id} was made, and nobody saw its secret: guestpass keys revoke {made.id}"
    return _secret(made.secret, key, f"{made.id}: {ONLY_TIME}", lost)


def list_keys(asked: argparse.Namespace) -> Answer:
    """List keys."""
    with opened(asked) as store:
        records = keys_of(store).list(asked.platform)
    now = time.time()
    keys = [described.key(record, now) for record in records]
    if asked.state is not None:
        keys = [key for key in keys if key["state"] == asked.state]
    return Answer(keys, table(keys, _COLUMNS))


def rotate(asked: argparse.Namespace) -> Answer:
    """Give a key a new secret."""
    with opened(asked) as store:
        usable(found(store, asked.id), time.time())
        try:
            made = keys_of(store, asked.prefix).rotate(asked.id, overlap=asked.overlap, compromised=asked.compromised)
        except ValueError as problem:
            # Between the look and the rotation somebody revoked it.
            raise Failed("key_revoked", str(problem)) from problem
        key = found(store, asked.id)
    until = described.instant(described.old_secret_until(key, time.time()))
    before = "has ended" if until is None else f"works until {until}"
    ended = ", and so has all that the key minted" if asked.compromised else ""
    lost = f"Nobody saw the new secret of {made.id}: guestpass keys rotate {made.id}"
    return _secret(made.secret, key, f"{made.id}: {ONLY_TIME} The one before {before}{ended}.", lost)


def revoke(asked: argparse.Namespace) -> Answer:
    """End a key and all that it minted."""
    with opened(asked) as store:
        key = revoked(store, asked.id)
    since = described.instant(key.revoked_at)
    line = f"The key {key.id} has been revoked since {since}; every session and token that it minted has ended."
    return Answer(described.key(key, time.time()), [line])


def _secret(secret: str, key: KeyRecord, hint: str, lost: str) -> Answer:
    return Answer({"secret": secret, **described.key(key, time.time())}, [secret], hint, lost)


def _of_create(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--platform", required=True, type=arguments.platform, help="whose key it is")
    parser.add_argument(
        "--publishable", action="store_true", help="make one that names the platform in a browser, and opens nothing"
    )
    arguments.mode(parser, "live", "left out: live")
    arguments.several(parser, "--account", arguments.account, "hold it to this account; left out, it has all")
    arguments.several(parser, "--component", arguments.component, "hold it to this component; left out, it has all")
    arguments.several(parser, "--role", arguments.role, "hold it to this role and the lower ones; left out, it has all")
    arguments.several(parser, "--origin", str, "a web origin that it may be used from, such as https://app.example")
    parser.add_argument("--name", default="", help="for people")
    arguments.prefix(parser, "sk, or pk for a publishable key")
    parser.add_argument(
        "--expires-in",
        type=arguments.seconds(1, arguments.MAX_SECONDS),
        metavar="SECONDS",
        help="left out, it has no end",
    )


def _of_list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--platform", type=arguments.platform, help="those of one platform")
    parser.add_argument("--state", choices=described.KEY_STATES, help="those in one state")


def _of_rotate(parser: argparse.ArgumentParser) -> None:
    arguments.identifier(parser, "the key's id, as guestpass keys list shows it")
    either = parser.add_mutually_exclusive_group()
    either.add_argument(
        "--overlap",
        type=arguments.seconds(0, MAX_OVERLAP),
        default=ROTATION_OVERLAP,
        metavar="SECONDS",
        help=f"how long the secret until now still works, at most {MAX_OVERLAP}; left out: a day",
    )
    either.add_argument(
        "--compromised",
        action="store_true",
        help="somebody else knows the secret: end it now, and everything that the key minted",
    )
    arguments.prefix(parser, "sk, or pk for a publishable key")


def of_revoke(parser: argparse.ArgumentParser) -> None:
    arguments.identifier(parser, "the key's id, as guestpass keys list shows it")


COMMANDS: Final = (
    Command(
        "keys create",
        "make an API key; its secret is printed once",
        create,
        _of_create,
        "The secret alone is printed on standard output, so that it can go into a file.",
    ),
    Command(
        "keys list",
        "list the API keys, never a secret",
        list_keys,
        _of_list,
        "The oldest comes first. When a key was last used may be a minute behind.",
    ),
    NARROW,
    Command(
        "keys rotate",
        "give an API key a new secret; it is printed once",
        rotate,
        _of_rotate,
        "The key keeps its id, what it may, and (unless --compromised) what it minted. The secret until now works on "
        "for the overlap, the one before that no longer.",
    ),
    Command(
        "keys revoke",
        "end an API key and all that it minted",
        revoke,
        of_revoke,
        "Everywhere within a second, and for good. Doing so twice is no fault.",
    ),
)
