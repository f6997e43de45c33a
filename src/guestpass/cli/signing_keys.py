"""``guestpass signing-keys``: the keys that sign tokens are listed, rotated and distrusted.

When a key signs, and until when it is published, is `guestpass.keyring`'s to say.
"""

import argparse
import time
from typing import Final

from guestpass.cli import arguments, described
from guestpass.cli.answers import Answer, table
from guestpass.cli.asking import confirmed
from guestpass.cli.command import Command
from guestpass.cli.opening import WRAPPING_VARIABLE, opened, wrapping_keys
from guestpass.cli.problems import Failed
from guestpass.errors import ConfigurationError
from guestpass.grants import Mode
from guestpass.inquiry import drive
from guestpass.keyring import PUBLISH_AHEAD, KeyRing, Ring
from guestpass.minting import MAX_LIFETIME
from guestpass.signing_keys import ALGORITHMS
from guestpass.stores import Store

_COLUMNS: Final = {
    "kid": "kid",
    "mode": "mode",
    "algorithm": "algorithm",
    "state": "state",
    "signs_from": "signs from",
    "published_until": "published until",
}


def list_keys(asked: argparse.Namespace) -> Answer:
    """List signing keys."""
    with opened(asked) as store:
        ring = _unopened(store).look()
    now = time.time()
    shown = [described.signing_key(record, ring, now) for record in ring.records if asked.mode in (None, record.mode)]
    return Answer(shown, table(shown, _COLUMNS))


def rotate(asked: argparse.Namespace) -> Answer:
    """Add a signing key, which takes over from the one that signs."""
    wrapping = wrapping_keys(asked)
    with opened(asked) as store:
        before = _unopened(store).look()
        algorithm = asked.algorithm or _newest_algorithm(before, asked.mode)
        ring = KeyRing(store, wrapping_key=wrapping, algorithm=algorithm, publish_ahead=asked.publish_ahead)
        _refuse_another_wrapping(ring, before, asked.mode)
        kid = ring.rotate(asked.mode)
        after = ring.look()
    now = time.time()
    (made,) = (record for record in after.records if record.kid == kid)
    signing = after.signing(asked.mode, now)
    if signing is None or signing.kid == kid:
        line = f"{kid} is published, and signs from now on."
    else:
        since = described.instant(made.signs_from)
        line = f"{kid} is published, and signs from {since} on; until then {signing.kid} does."
    return Answer(described.signing_key(made, after, now), [line])


def distrust(asked: argparse.Namespace) -> Answer:
    """End everything that a signing key signed."""
    with opened(asked) as store:
        ring = _unopened(store)
        record = next((record for record in ring.look().records if record.kid == asked.kid), None)
        if record is None and not asked.from_pem:
            raise Failed(
                "signing_key_unknown",
                "There is no such key in this store: guestpass signing-keys list; --from-pem for one in a PEM file",
            )
        if not (asked.yes or confirmed(f"End every token that {asked.kid} signed, for good?")):
            raise Failed("not_confirmed", "Nothing was done")
        ring.distrust(asked.kid)
        after = ring.look()
    line = f"{asked.kid} is distrusted, and every token that it signed has ended."
    if record is None:
        return Answer({"kid": asked.kid, "state": "distrusted"}, [f"{line} Take it out of the PEM files, and restart."])
    now = time.time()
    signing = after.signing(record.mode, now)
    follows = "The next token that is signed makes a new key" if signing is None else f"{signing.kid} signs now"
    return Answer(described.signing_key(record, after, now), [f"{line} {follows}."])


def _unopened(store: Store) -> KeyRing:
    # With a wrapping key of no account: nothing is wrapped or unwrapped.
    return KeyRing(store, wrapping_key=KeyRing.new_wrapping_key())


def _newest_algorithm(ring: Ring, mode: Mode) -> str:
    used = [record.algorithm for record in ring.records if record.mode == mode]
    return used[-1] if used else ALGORITHMS[0]


def _refuse_another_wrapping(ring: KeyRing, look: Ring, mode: Mode) -> None:
    """A key that the workers cannot unwrap would stop them from signing, once its time has come."""
    if look.signing(mode, time.time()) is None:
        return
    try:
        drive(ring.signer(mode))
    except ConfigurationError:
        raise ConfigurationError(
            "this is not the wrapping key of the signing keys in this store: give the one that the service has; to "
            "exchange it, give both to both, one a line, the new one first"
        ) from None


def _of_list(parser: argparse.ArgumentParser) -> None:
    arguments.mode(parser, None, "those of one mode")


def _of_rotate(parser: argparse.ArgumentParser) -> None:
    arguments.mode(parser, "live", "left out: live")
    parser.add_argument(
        "--wrapping-key-file",
        metavar="FILE",
        help=f"where the wrapping key is, - is standard input; left out: it is in {WRAPPING_VARIABLE}",
    )
    parser.add_argument(
        "--algorithm", choices=ALGORITHMS, help=f"left out: that of the newest key, {ALGORITHMS[0]} for the first"
    )
    parser.add_argument(
        "--publish-ahead",
        type=arguments.seconds(0, MAX_LIFETIME),
        default=PUBLISH_AHEAD,
        metavar="SECONDS",
        help=f"how long it is published before it signs; left out: {PUBLISH_AHEAD:.0f}; with less, who keeps the "
        "published key set refuses its first tokens",
    )


def _of_distrust(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kid", metavar="KID", type=arguments.text, help="the key's id: the kid of its tokens")
    parser.add_argument("--yes", action="store_true", help="do not ask first")
    parser.add_argument(
        "--from-pem", action="store_true", help="the key is in a PEM file, so this store has no such key"
    )


COMMANDS: Final = (
    Command(
        "signing-keys list",
        "list the keys that sign tokens: which one signs, which are published, until when",
        list_keys,
        _of_list,
        "States: signs; signs_later (published ahead); accepted (still published, for the tokens that it signed); "
        "ended; distrusted. Needs no wrapping key.",
    ),
    Command(
        "signing-keys rotate",
        "add a signing key, which takes over once everybody can know it",
        rotate,
        _of_rotate,
        "The key before stays published until its last token has ended, so no request is refused. The first key of a "
        "mode signs at once.",
    ),
    Command(
        "signing-keys distrust",
        "end a leaked signing key, and every token that it signed",
        distrust,
        _of_distrust,
        "Everywhere within a second, and for good. Needs no wrapping key.",
    ),
)
