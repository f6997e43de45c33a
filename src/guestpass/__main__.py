"""``python -m guestpass``: the command line."""

import sys

from guestpass.cli import main

if __name__ == "__main__":
    sys.exit(main())
