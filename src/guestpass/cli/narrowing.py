"""``guestpass keys narrow``: a key is left a part of what it has.

What it loses it never gets back, so what looks like a slip of the pen is refused.
"""

import argparse
import math
import time
from typing import Final

from guestpass.api_keys import common_components, component_names
from guestpass.cli import arguments, described
from guestpass.cli.answers import Answer
from guestpass.cli.command import Command
from guestpass.cli.opening import opened
from guestpass.cli.problems import Failed, Misused
from guestpass.cli.stored_keys import found, keys_of, usable
from guestpass.grants import ALL, Names, intersection
from guestpass.guard import Guard
from guestpass.policy import Policy
from guestpass.principal import PUBLISHABLE_KEY
from guestpass.records import KeyRecord


def narrow(asked: argparse.Namespace) -> Answer:
    """Leave a key what it has in common with what is asked for."""
    if not (asked.account or asked.component or asked.role or asked.expires_in):
        raise Misused("say what the key is to keep: --account, --component, --role or --expires-in")
    if asked.roles_in_order and not asked.role:
        raise Misused("--roles-in-order says how roles compare; --role says which one to keep")
    now = time.time()
    with opened(asked) as store:
        key = usable(found(store, asked.id), now)
        _refuse_slips(key, asked)
        keys = keys_of(store)
        if asked.role:
            # Only a policy has roles in order, and keys learn of it from a guard.
            Guard(authenticators=[keys], policy=Policy(roles=_order(key.grant.roles, asked)), mode=key.grant.mode)
        narrowed = keys.narrow(
            key.id,
            accounts=asked.account or ALL,
            components=asked.component or ALL,
            roles=asked.role or ALL,
            expires_at=math.inf if asked.expires_in is None else now + asked.expires_in,
        )
    line = f"{narrowed.id} now has {described.held_to(narrowed)}. What it minted before has ended."
    return Answer(described.key(narrowed, now), [line])


def _refuse_slips(key: KeyRecord, asked: argparse.Namespace) -> None:
    if key.kind == PUBLISHABLE_KEY and (asked.account or asked.component or asked.role):
        raise Misused("a publishable key has no account, component or role: only --expires-in narrows it")
    accounts, components = key.grant.accounts, key.grant.components
    if asked.account:
        _refuse_nothing("account", accounts, intersection(accounts, frozenset(asked.account)))
    if asked.component:
        _refuse_nothing("component", components, common_components(components, component_names(asked.component)))


def _refuse_nothing(what: str, had: Names, common: Names) -> None:
    if common is not ALL and not common:
        raise Failed(
            "nothing_left",
            f"The key has no such {what}, and would be left without any; it has {described.listed(had)}. "
            "To end it: guestpass keys revoke",
        )


def _order(had: Names, asked: argparse.Namespace) -> tuple[str, ...]:
    """The roles that matter here, the lowest first.

    Where the key has by name what is asked for, their order says nothing. Only roles that the key has or that are asked
    for are among them, so that a wrong order gives the key none that nobody named.
    """
    wanted = frozenset[str](asked.role)
    if had is ALL or wanted <= had:
        return tuple(sorted(wanted))
    named = wanted | had
    if not asked.roles_in_order:
        raise Misused(
            f"only the API's policy knows whether {described.listed(wanted - had)} is below what the key has "
            f"({described.listed(had)}): give its roles, --roles-in-order LOWEST,…,HIGHEST"
        )
    unknown = sorted(named - set(asked.roles_in_order))
    if unknown:
        raise Misused(f"--roles-in-order lacks {unknown[0]}")
    return tuple(name for name in asked.roles_in_order if name in named)


def _roles_in_order(text: str) -> list[str]:
    return [arguments.role(name) for name in text.split(",")]


def _arguments(parser: argparse.ArgumentParser) -> None:
    arguments.identifier(parser, "the key's id, as guestpass keys list shows it")
    arguments.several(parser, "--account", arguments.account, "keep this account; left out, all that it has")
    arguments.several(parser, "--component", arguments.component, "keep this component; left out, all that it has")
    arguments.several(parser, "--role", arguments.role, "keep this role and the lower ones; left out, all that it has")
    parser.add_argument(
        "--roles-in-order",
        type=_roles_in_order,
        default=[],
        metavar="LOWEST,HIGHER,HIGHEST",
        help="the policy's roles, where --role is below what the key has and not one of its own",
    )
    parser.add_argument(
        "--expires-in",
        type=arguments.seconds(1, arguments.MAX_SECONDS),
        metavar="SECONDS",
        help="end it then, unless its end comes first",
    )


NARROW: Final = Command(
    "keys narrow",
    "leave an API key a part of what it has",
    narrow,
    _arguments,
    "The key keeps what it has in common with what is named here, and never gets the rest back. What it minted "
    "before has ended: its sessions and tokens are asked for anew.",
)
