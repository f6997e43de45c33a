"""``guestpass revoke``: anything that can be ended, by one verb.

It asks nothing, and doing so twice is no fault: of two cut-offs with one name the later instant stays.
"""

import argparse
import uuid
from collections.abc import Mapping
from typing import Final

from guestpass.cli import arguments, keys, sessions
from guestpass.cli.answers import Answer
from guestpass.cli.command import Command
from guestpass.cli.described import instant
from guestpass.cli.opening import opened
from guestpass.principal import IDENTITY_TOKEN
from guestpass.records import Cutoff
from guestpass.revocation.cutoff_list import FOREVER_MS
from guestpass.revocation.revocations import Revocations


def account(asked: argparse.Namespace) -> Answer:
    """End everything of an account."""
    with opened(asked) as store:
        cutoff = Revocations(store, mode=asked.mode).account(asked.platform, asked.account)
    what = {"revoked": "account", "platform": asked.platform, "account": asked.account}
    return _ended(f"Everything of the account {asked.account} of {asked.platform}", what, cutoff)


def subject(asked: argparse.Namespace) -> Answer:
    """End every token that was signed here for one subject in its account."""
    with opened(asked) as store:
        cutoff = Revocations(store, mode=asked.mode).subject(asked.platform, asked.subject, asked.account)
    what = {
        "revoked": "subject",
        "platform": asked.platform,
        "subject": asked.subject,
        "account": asked.account,
    }
    where = "without an account" if asked.account is None else f"in the account {asked.account}"
    return _ended(f"Every token of {asked.platform} for {asked.subject} {where}", what, cutoff)


def token(asked: argparse.Namespace) -> Answer:
    """End one token that was signed here."""
    with opened(asked) as store:
        cutoff = Revocations(store, mode=asked.mode).token(asked.jti, platform=asked.platform)
    what = {"revoked": "token", "platform": asked.platform, "jti": asked.jti}
    return _ended(f"The token {asked.jti} of {asked.platform}", what, cutoff)


def identity(asked: argparse.Namespace) -> Answer:
    """End everything of one identity."""
    parts = (asked.kind, asked.issuer, asked.platform or "", asked.account, asked.subject)
    with opened(asked) as store:
        cutoff = Revocations(store, mode=asked.mode).identity(parts)
    what = dict(zip(("kind", "issuer", "platform", "account", "subject"), parts, strict=True))
    named = ", ".join(f"{name} {value}" for name, value in what.items() if value)
    return _ended(f"Every credential of the identity with {named}", {"revoked": "identity", **what}, cutoff)


def _ended(what: str, data: Mapping[str, object], cutoff: Cutoff) -> Answer:
    if cutoff.at_ms == FOREVER_MS:
        return Answer({**data, "minted_until": None}, [f"{what} has ended."])
    until = instant(cutoff.at_ms / 1000, exact=True)
    return Answer({**data, "minted_until": until}, [f"{what} that was minted until {until} has ended."])


def _uuid(text: str) -> str:
    """As tokens are signed for: a UUID in its 36-character form, lower-cased."""
    try:
        if len(text) == 36 and str(uuid.UUID(text)) == text.lower():
            return text.lower()
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(
        "the subject of a token that was signed here is a UUID; another issuer's is ended by guestpass revoke identity"
    )


def _of_account(parser: argparse.ArgumentParser) -> None:
    _platform(parser)
    parser.add_argument("account", metavar="ACCOUNT", type=arguments.account, help="the account's id")


def _of_subject(parser: argparse.ArgumentParser) -> None:
    _platform(parser)
    parser.add_argument("subject", metavar="SUBJECT", type=_uuid, help="the sub of the tokens, a UUID")
    parser.add_argument(
        "--account",
        type=arguments.account,
        help="the account that the tokens are for; left out: those that are for none",
    )


def _of_token(parser: argparse.ArgumentParser) -> None:
    _platform(parser)
    parser.add_argument("jti", metavar="JTI", type=arguments.text, help="the token's jti, never the token itself")


def _of_identity(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kind", type=arguments.text, default=IDENTITY_TOKEN, help=f"left out: {IDENTITY_TOKEN}")
    parser.add_argument("--issuer", required=True, type=arguments.text, help="the iss of the tokens, to the letter")
    parser.add_argument("--subject", required=True, type=arguments.text, help="the sub of the tokens, to the letter")
    parser.add_argument(
        "--platform", type=arguments.platform, help="the platform that the issuer's mapping names, if any"
    )
    parser.add_argument(
        "--account", type=arguments.account, help="the account of the tokens, where they name exactly one"
    )
    _mode(parser)


def _platform(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("platform", metavar="PLATFORM", type=arguments.platform, help="whose it is")
    _mode(parser)


def _mode(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--mode", choices=("live", "test"), default="live", help="left out: live")


COMMANDS: Final = (
    Command(
        "revoke account",
        "end everything of an account that was minted until now",
        account,
        _of_account,
        "Its sessions, the tokens signed here for it, and outside tokens that name it: everywhere within a second. "
        "What is minted for it from now on works: to end its key too, revoke that.",
    ),
    Command(
        "revoke subject",
        "end every token that was signed here for one user",
        subject,
        _of_subject,
        "Tokens belong to a subject in its account: end each of its accounts by itself.",
    ),
    Command(
        "revoke token",
        "end one token that was signed here",
        token,
        _of_token,
    ),
    Command(
        "revoke identity",
        "end everything of one identity: all of one person's tokens of an outside issuer",
        identity,
        _of_identity,
        "An identity is what principal.identity says: kind, issuer, platform, account and subject, all five. A token "
        "that does not say when it was issued has ended for good.",
    ),
    Command(
        "revoke session",
        "end an account session, as guestpass sessions revoke does",
        sessions.revoke,
        sessions.of_revoke,
    ),
    Command("revoke key", "end an API key, as guestpass keys revoke does", keys.revoke, keys.of_revoke),
)
