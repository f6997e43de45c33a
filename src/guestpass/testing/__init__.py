"""For the tests of who builds on guestpass.

- `Kit`: credentials of every kind in one line, and clients that send them; for guards of test mode alone.
- `principal`: a principal without a credential, for ``guard.override`` and for functions that take one.
- `Clock`: time that passes at a word. `IdentityProvider`: an outside issuer on loopback, which misbehaves at one.
- `guestpass.testing.fixtures`: the same as fixtures of pytest.
- `guestpass.testing.escalation`: no credential ever reaches what its minter could not, tried on a policy of one's own
  with hypothesis.
- `guestpass.testing.store_contract`: what a store of one's own must pass.

Nothing else of guestpass imports it, and a live guard refuses all that it makes.
"""

import sys

from guestpass.testing.clients import ClientAs
from guestpass.testing.clock import Clock
from guestpass.testing.identity_provider import IdentityProvider, Lie
from guestpass.testing.kit import Kit
from guestpass.testing.principals import principal

__all__ = ["ClientAs", "Clock", "IdentityProvider", "Kit", "Lie", "principal"]

if "pytest" in sys.modules:
    # Their assertions are to explain themselves like those of a test file.
    sys.modules["pytest"].register_assert_rewrite(
        *(
            f"{__name__}.contract_{part}"
            for part in ("keys", "sessions", "cutoffs", "signing", "purge", "crowd", "asking")
        )
    )
