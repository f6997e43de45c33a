"""For the tests of who builds on guestpass: what a store of one's own must pass (`guestpass.testing.store_contract`).

Needs pytest; nothing else of guestpass imports it.
"""

import pytest

# Their assertions are to explain themselves like those of a test file.
pytest.register_assert_rewrite(
    *(f"{__name__}.contract_{part}" for part in ("keys", "sessions", "cutoffs", "signing", "purge", "crowd", "asking"))
)
