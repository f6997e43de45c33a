"""Every command there is. A new one is a module with ``COMMANDS``, and a line here."""

from collections.abc import Mapping
from typing import Final

from guestpass.cli import audit, completion, demo, explain, keys, revoke, serve, sessions, signing_keys, store
from guestpass.cli.command import Command

AREAS: Final[Mapping[str, str]] = {
    "keys": "the API keys in a store",
    "sessions": "the account sessions in a store",
    "revoke": "end anything before its time: an account's credentials, a user's, one token",
    "signing-keys": "the keys that sign tokens",
    "store": "the store itself: make it, bring it up to date, look at it",
}
"""The first words of commands that have two."""

COMMANDS: Final[tuple[Command, ...]] = (
    *keys.COMMANDS,
    *sessions.COMMANDS,
    *revoke.COMMANDS,
    *signing_keys.COMMANDS,
    *store.COMMANDS,
    *serve.COMMANDS,
    *audit.COMMANDS,
    *explain.COMMANDS,
    *demo.COMMANDS,
    *completion.COMMANDS,
)
