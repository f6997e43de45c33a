"""``guestpass store``: a store is made, brought up to date, looked at and tidied.

An application does all that itself while it runs; here they are steps of a deployment.
"""

import argparse
import contextlib
import time
from typing import Final

from guestpass.cli.answers import Answer
from guestpass.cli.command import Command
from guestpass.cli.opening import opened, refuse_missing, store_url
from guestpass.cli.problems import Failed
from guestpass.cli.progress import Progress
from guestpass.cli.schema import schema_of
from guestpass.purging import KEPT
from guestpass.records import FindKeyById, Purge
from guestpass.stores import open_store
from guestpass.stores.urls import shown


def init(asked: argparse.Namespace) -> Answer:
    """Make the store where it is not there yet."""
    return _brought_up_to_date(asked, make=True)


def migrate(asked: argparse.Namespace) -> Answer:
    """Bring the tables of a store up to date."""
    refuse_missing(store_url(asked))
    return _brought_up_to_date(asked, make=False)


def check(asked: argparse.Namespace) -> Answer:
    """Look whether a store can be used as it is; changes nothing."""
    url = store_url(asked)
    refuse_missing(url)
    version = refuse_unready(url)
    return Answer({"store": shown(url), "version": version}, [f"{shown(url)} {_is_ready(version)}."])


def refuse_unready(url: str) -> int | None:
    """The version of the tables in the store at `url`, None where it has none. Raises `Failed` where it would have to
    be changed before it can be used, and what `open_store` raises."""
    schema = schema_of(url)
    if schema is not None and schema.version == 0:
        raise Failed("store_empty", f"{shown(url)} has no tables yet: guestpass store init")
    if schema is not None and schema.version < schema.newest:
        versions = f"version {schema.version}, and this release needs {schema.newest}"
        raise Failed("store_outdated", f"The tables of {shown(url)} have {versions}: guestpass store migrate")
    with contextlib.closing(open_store(url)) as store:
        store.answer(FindKeyById(""))
    return None if schema is None else schema.version


def purge(asked: argparse.Namespace) -> Answer:
    """Drop what has ended and is no longer told about."""
    now, gone = time.time(), 0
    with opened(asked) as store, Progress() as progress:
        # Little by little, so that nobody who uses the store has to wait.
        while dropped := store.answer(Purge(now, ended_before=now - KEPT)):
            gone += dropped
            progress.show(f"{gone} records dropped")
    return Answer({"store": shown(store_url(asked)), "dropped": gone}, [f"{gone} records dropped."])


def _brought_up_to_date(asked: argparse.Namespace, *, make: bool) -> Answer:
    url = store_url(asked)
    before = schema_of(url)
    with Progress() as progress:
        # Large tables take their time, and do not say how much of it.
        progress.show("bringing the store up to date ...")
        with opened(asked, make=make) as store:
            store.answer(FindKeyById(""))
    if before is None:
        return Answer({"store": shown(url), "version": None, "was": None}, [f"{shown(url)} {_is_ready(None)}."])
    was = "" if before.version in (0, before.newest) else f"; it was {before.version}"
    data = {"store": shown(url), "version": before.newest, "was": before.version}
    return Answer(data, [f"{shown(url)} {_is_ready(before.newest)}{was}."])


def _is_ready(version: int | None) -> str:
    return "is ready" if version is None else f"is ready, with tables of version {version}"


COMMANDS: Final = (
    Command(
        "store init",
        "make a store, where it is not there yet",
        init,
        more="Makes the file or the tables, and brings older tables up to date. With a ready one it does nothing.",
    ),
    Command(
        "store migrate",
        "bring the tables of a store up to date",
        migrate,
        more="An application does so itself when it opens the store. Releases that need older tables stop working "
        "with it: make a copy first.",
    ),
    Command(
        "store check",
        "look whether a store can be used as it is; changes nothing",
        check,
        more="Exit code 1 where it has no tables, older ones, or does not answer.",
    ),
    Command(
        "store purge",
        "drop what has ended and is no longer told about",
        purge,
        more="Sessions a day after their end, and revocations of what has long expired. A running API does so itself.",
    ),
)
