"""The records to try stores with have moved: `guestpass.testing.samples`."""

from guestpass.testing.samples import *  # noqa: F403
