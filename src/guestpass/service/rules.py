"""``roles``, ``[components]`` and ``[[rules]]`` of the settings: the policy of the forward-auth door. Pure."""

from collections.abc import Mapping
from typing import Final, cast

from guestpass.policy import Policy
from guestpass.principal import ACCOUNT_SESSION, IDENTITY_TOKEN, PUBLISHABLE_KEY, SECRET_KEY, SIGNED_TOKEN
from guestpass.rules import Need, Rule
from guestpass.service.document import Table
from guestpass.service.kinds import FLAG, NAME, TEXT, Kind, either, one_of, several, texts_or_one


def _none(value: object) -> None:
    if value is not False:
        raise ValueError


_NO_ROLE: Final[Kind[object]] = Kind("false where none is needed", _none)
_ROLE: Final = either(NAME, _NO_ROLE)
_PLACES: Final = Kind('places such as "path:tenant", "query:account_id", "header:X-Tenant"', texts_or_one(TEXT).read)
_FLAG: Final[Kind[object]] = FLAG
_ACCOUNT: Final = either(_FLAG, _PLACES)

_KIND: Final = one_of(SECRET_KEY, PUBLISHABLE_KEY, ACCOUNT_SESSION, SIGNED_TOKEN, IDENTITY_TOKEN)

_NEEDS: Final[Mapping[str, Kind[object]]] = {
    "component": NAME,
    "feature": NAME,
    "role": _ROLE,
    "kinds": several(_KIND, least=1),
    "account": _ACCOUNT,
    "mints": FLAG,
    "public": FLAG,
    "optional": FLAG,
    "reason": TEXT,
    "encoded_slashes": FLAG,
}
"""The keys of a rule beside ``match``: the keywords of `guestpass.Rule`."""


def read_policy(top: Table) -> Policy:
    """The policy that the file describes. Raises `SettingsError`, also where it names no component, no role and no
    rule."""
    roles = top.get("roles", several(NAME), ())
    with top.table("components") as table:
        components = table.entries(several(NAME), NAME)
    rules = [_rule(table) for table in top.tables("rules")]
    if not (roles or components or rules):
        top.wrong("components", "is missing: name the components that a session can enable")
    with top.explaining():
        return Policy(*rules, components=components, roles=roles)


def _rule(table: Table) -> Rule:
    pattern = table.need("match", TEXT)
    table.called(pattern)
    given = {name: table.need(name, kind) for name, kind in _NEEDS.items() if name in table}
    table.refuse_unknown()
    with table.explaining(f"Rule({pattern!r})"):
        return Rule(pattern, **cast("Need", given))
