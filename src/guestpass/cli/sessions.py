"""``guestpass sessions``: account sessions are minted with a key, and ended.

A session never has more than its key, and a key proves itself here as it does to the API.
"""

import argparse
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Final

from guestpass.api_keys import ApiKeys
from guestpass.cli import arguments, described
from guestpass.cli.answers import Answer
from guestpass.cli.command import Command
from guestpass.cli.opening import opened, secret_in
from guestpass.cli.problems import Failed, Misused
from guestpass.credentials import digest
from guestpass.errors import Refused
from guestpass.grants import ALL, Mode
from guestpass.guard import Guard
from guestpass.key_uses import KeyUses
from guestpass.ownership import SINGLE_PLATFORM
from guestpass.policy import EXTERNAL_ENTITY, Policy
from guestpass.principal import SECRET_KEY
from guestpass.records import FindKey, KeyRecord
from guestpass.sessions import AccountSession, AccountSessions
from guestpass.stores import Store


def create(asked: argparse.Namespace) -> Answer:
    """Mint a session."""
    # Before the store is opened: it may take somebody a while to type it.
    secret = secret_in(asked.key_file)
    with opened(asked) as store:
        session = _minted(store, secret, asked)
    hint = f"{session.id}: for {session.account}, until {session.expires_at}."
    if any("/" not in component for component in asked.component):
        hint += " Only the API knows a component's features: name those it is to have, --component call_logs/…"
    lost = f"Nobody saw the client secret of {session.id}: guestpass sessions revoke {session.id}"
    return Answer({**asdict(session), "components": dict(session.components)}, [session.client_secret], hint, lost)


def revoke(asked: argparse.Namespace) -> Answer:
    """End a session."""
    with opened(asked) as store:
        try:
            session = AccountSessions(store).revoke(asked.id)
        except Refused as refused:
            raise Failed(refused.code, "There is no session with this id in this store, or it ended days ago") from None
    since = described.instant(session.revoked_at)
    data = {"id": session.id, "revoked_at": since, "expires_at": described.instant(session.grant.expires_at)}
    return Answer(data, [f"The session {session.id} has been revoked since {since}."])


def _minted(store: Store, secret: str, asked: argparse.Namespace) -> AccountSession:
    key = store.answer(FindKey(digest(secret)))
    held = frozenset[str]() if key is None or key.grant.components is ALL else key.grant.components
    known = _vocabulary([*asked.component, *held])
    if key is not None and key.kind == SECRET_KEY and key.revoked_at is None and not known:
        raise Misused("the key has every component, and only the API knows which there are: name some, --component")
    sessions = AccountSessions(store) if asked.prefix is None else AccountSessions(store, prefix=asked.prefix)
    mode: Mode = "test" if secret.split("_")[1:2] == ["test"] else "live"
    guard = Guard(
        authenticators=[_keys(store, key, secret), sessions],
        policy=Policy(components=known or {"none": ()}, roles=_roles(key)),
        mode=mode,
    )
    session = sessions.create(
        by=guard.check(secret),
        account=asked.account,
        components=_settings(asked.component),
        expires_in=asked.expires_in,
    )
    if key is not None:
        # The guard's upkeep would write it in a few seconds, and this process ends before.
        uses = KeyUses(store)
        uses.note(key, time.time())
        uses.write()
    return session


def _keys(store: Store, key: KeyRecord | None, secret: str) -> ApiKeys:
    # The store has told whose secret it is, so any prefix that it has is the API's, and an older form will do.
    known = key is not None and key.kind == SECRET_KEY
    prefix = secret.partition("_")[0] if known else "sk"
    return ApiKeys(store, owns=SINGLE_PLATFORM, secret_prefix=prefix, checksum=not known)


def _vocabulary(names: Collection[str]) -> dict[str, set[str]]:
    """Components with their features, as far as names of them (``call_logs``, ``call_logs/transcripts``) tell."""
    known: dict[str, set[str]] = {}
    for name in names:
        component, _, feature = name.partition("/")
        known.setdefault(component, set()).update({feature} - {"", "*"})
    return known


def _settings(names: Sequence[str]) -> Mapping[str, Mapping[str, object]] | None:
    """The `components` of a session in which these are enabled; None, all of the key's, where none is named."""
    settings: dict[str, dict[str, object]] = {}
    for component, features in _vocabulary(names).items():
        settings[component] = {"enabled": True}
        if features:
            settings[component]["features"] = dict.fromkeys(features, True)
    return settings or None


def _roles(key: KeyRecord | None) -> tuple[str, ...]:
    # In which order the API has its roles is not known here, only that this one is the lowest: so it is all that a
    # session made here can have.
    held = frozenset[str]() if key is None or key.grant.roles is ALL else key.grant.roles
    return (EXTERNAL_ENTITY, *sorted(held - {EXTERNAL_ENTITY}))


def _of_create(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--key-file", required=True, metavar="FILE", help="where the secret key is; - is standard input"
    )
    parser.add_argument(
        "--account",
        required=True,
        type=arguments.account,
        help="whose session it is; that it is the platform's, you vouch",
    )
    arguments.several(
        parser, "--component", arguments.component, "enable this component, or one feature, call_logs/transcripts"
    )
    parser.add_argument(
        "--expires-in", type=arguments.whole_seconds, metavar="SECONDS", help="60 to 86400; left out: an hour"
    )
    arguments.prefix(parser, "cs")


def of_revoke(parser: argparse.ArgumentParser) -> None:
    arguments.identifier(parser, "the session's id, as whoever made it was told")


COMMANDS: Final = (
    Command(
        "sessions create",
        "mint an account session; its client secret is printed once",
        create,
        _of_create,
        "It has the components named, or all that its key names; at most what its key has; and the lowest role.",
    ),
    Command(
        "sessions revoke",
        "end an account session",
        revoke,
        of_revoke,
        "Everywhere within a second, and for good. Doing so twice is no fault.",
    ),
)
