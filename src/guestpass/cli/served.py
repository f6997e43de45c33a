"""What ``guestpass serve`` would serve, for a look: nothing is served, and nothing changed."""

import contextlib
import os
from collections.abc import Generator

from guestpass.cli import store as stores
from guestpass.cli.settings_file import read_file
from guestpass.service.building import Service, build
from guestpass.service.secrets import store_url
from guestpass.service.settings import Settings, read_settings


@contextlib.contextmanager
def looked_at(settings: Settings) -> Generator[Service, None, None]:
    """What these settings describe."""
    url = store_url(settings)
    if not url.startswith("memory:"):
        # Opening a store would bring its tables up to date.
        stores.refuse_unready(url)
    with contextlib.closing(build(settings, os.environ, make=False)) as service:
        yield service


@contextlib.contextmanager
def opened(file: str) -> Generator[Service, None, None]:
    """What a settings file describes."""
    with looked_at(read_settings(read_file(file), file, os.environ)) as service:
        yield service
