"""``[[issuers]]`` of the settings: whose tokens are let in, and what their claims mean here.

Fetches nothing: an issuer's keys are asked for by its first token. Pure.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final, TypedDict

from guestpass.claims import ANY, Always, Claim, ClaimMapping, Source
from guestpass.grants import Mode
from guestpass.issuers import ANY_AUDIENCE, Audience, IssuerSettings, JwtIssuer
from guestpass.keysets.keyset import KeySet
from guestpass.policy import Policy
from guestpass.service.document import Table, meant
from guestpass.service.kinds import FLAG, PLATFORM, TEXT, URL, Kind, either, several, table_of, texts_or_one, whole
from guestpass.token_profile import MAX_LEEWAY

_MEANINGS: Final[Kind[Mapping[str, tuple[str, ...]] | tuple[str, ...]]] = either(
    Kind("a list of what stands for itself", several(TEXT).read),
    Kind("a table from what the claim says to what it means here", table_of(texts_or_one(TEXT)).read),
)


class _Common(TypedDict):
    leeway: int
    platform: str
    mode: Mode
    mapping: ClaimMapping


def read_issuers(top: Table, mode: Mode, policy: Policy) -> tuple[JwtIssuer, ...]:
    """The outside issuers that the file names; their claims mean what `policy` knows. Raises `SettingsError`."""
    return tuple(_issuer(table, mode, policy) for table in top.tables("issuers"))


def _issuer(table: Table, mode: Mode, policy: Policy) -> JwtIssuer:
    if table.has_table("cognito"):
        return _cognito(table, mode, policy)
    issuer = table.need("issuer", TEXT)
    table.called(issuer)
    settings: IssuerSettings = {
        **_common(table, mode, policy),
        "algorithms": table.get("algorithms", several(TEXT, least=1), ("RS256",)),
        "typ": table.get("typ", TEXT, None),
        "require": table.get("require", table_of(TEXT), None),
        "id_tokens": table.get("id_tokens", FLAG, False),
    }
    jwks_url = table.get("jwks_url", URL, None)
    audience, client_id = _audience(table), table.get("client_id", texts_or_one(TEXT), None)
    table.refuse_unknown()
    if (audience is None) == (client_id is None):
        table.refuse("say whom its tokens are for: one of audience, client_id and any_audience = true")
    with table.explaining():
        keys = KeySet.from_discovery(issuer) if jwks_url is None else KeySet.from_url(jwks_url)
        return JwtIssuer(issuer, keys=keys, audience=audience, client_id=client_id, **settings)


def _cognito(table: Table, mode: Mode, policy: Policy) -> JwtIssuer:
    with table.table("cognito") as pool:
        region, user_pool = pool.need("region", TEXT), pool.need("user_pool", TEXT)
    table.called(f"Cognito {user_pool}")
    client_id = table.need("client_id", texts_or_one(TEXT))
    custom_claims = table.get("custom_claims", FLAG, False)
    common = _common(table, mode, policy)
    table.refuse_unknown()
    with table.explaining():
        return JwtIssuer.cognito(region, user_pool, client_id, custom_claims=custom_claims, **common)


def _common(table: Table, mode: Mode, policy: Policy) -> _Common:
    known = policy.all_components() | {f"{component}/*" for component in policy.components}
    accounts = _sources(table, "accounts", None)
    roles, components = _sources(table, "roles", policy.roles), _sources(table, "components", known)
    with table.explaining():
        mapping = ClaimMapping(accounts=accounts, roles=roles, components=components)
    return {
        "leeway": table.get("leeway", whole(0, int(MAX_LEEWAY)), 30),
        "platform": table.get("platform", PLATFORM, ""),
        "mode": mode,
        "mapping": mapping,
    }


def _audience(table: Table) -> Audience | None:
    audience = table.get("audience", texts_or_one(TEXT), None)
    if not table.get("any_audience", FLAG, False):
        return audience
    if audience is not None:
        table.refuse("audience and any_audience = true contradict each other: drop one")
    return ANY_AUDIENCE


def _sources(table: Table, name: str, known: Collection[str] | None) -> tuple[Source, ...]:
    return tuple(_source(one, known) for one in table.tables(name))


def _source(table: Table, known: Collection[str] | None) -> Source:
    """One of the things that say what a token grants. What nobody knows would grant nothing, and be hard to find."""
    if "always" in table:
        names = table.need("always", several(TEXT, least=1))
        table.refuse_unknown()
        _refuse_unknown_names(table, "always", names, known)
        return Always(*names)
    claim, separator = table.need("claim", TEXT), table.get("separator", _SEPARATOR, None)
    believed = table.get("any", FLAG, False)
    if believed == ("values" in table):
        table.refuse("say what the claim may mean: one of values and any = true")
    meanings = ANY if believed else table.need("values", _MEANINGS)
    table.refuse_unknown()
    if isinstance(meanings, Mapping):
        _refuse_unknown_names(table, "values", [one for means in meanings.values() for one in means], known)
    elif meanings is not ANY:
        _refuse_unknown_names(table, "values", meanings, known)
    return Claim(claim, meanings, separator)


def _refuse_unknown_names(table: Table, key: str, names: Iterable[str], known: Collection[str] | None) -> None:
    unknown = [] if known is None else [name for name in names if name not in known]
    if unknown:
        table.wrong(key, f"{unknown[0]!r} is none that this file names{meant(unknown[0], known or ())}")


def _between(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 8 or not value.isprintable():
        raise ValueError
    return value


_SEPARATOR: Final = Kind('what stands between two values, such as " "', _between)
