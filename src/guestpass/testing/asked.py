"""What is asked of the kit: the keywords with which it makes each kind of credential."""

from collections.abc import Collection, Iterable, Mapping
from typing import TypedDict

from guestpass.api_keys import Components
from guestpass.grants import All


class KeyAsked(TypedDict, total=False):
    """- `kind`: ``secret_key`` or ``publishable_key``.
    - `accounts`, `components`, `roles`: what it is held to; left out, everything.
    - `origins`: the web origins that it works from. `expires_in`: seconds, for ever where left out.
    - `platform`: whose it is.
    """

    kind: str
    accounts: Collection[str] | All
    components: Components
    roles: Collection[str] | All
    origins: Collection[str]
    expires_in: float
    platform: str


class SessionAsked(TypedDict, total=False):
    """- `account`: ``acct_test`` where left out.
    - `components`: names, ``["call_logs"]``, or each with its features, ``{"call_logs": ["export"]}``; left out,
      everything.
    - `roles`: left out, the policy's lowest. `expires_in`: whole seconds, 60 to 86,400, an hour where left out.
    - `platform`: whose it is.
    """

    account: str
    components: Components
    roles: Collection[str]
    expires_in: int
    platform: str


class TokenAsked(SessionAsked, total=False):
    """The same, but that `components` left out are none; and

    - `subject`: the end user's UUID, made where left out. `metadata`: a JSON object.
    """

    subject: str
    metadata: Mapping[str, object]


def refuse_unknown(call: str, given: Iterable[str], known: type) -> None:
    """Raises TypeError for a keyword that there is not: mistyped, it must not pass for one left out."""
    for name in given:
        if name not in known.__annotations__:
            raise TypeError(f"{call} has no {name!r}; it takes {', '.join(known.__annotations__)}")
