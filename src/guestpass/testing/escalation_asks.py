"""What the machine asks for, sensible or not: strategies drawn from a policy's own names."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict, cast

from hypothesis import strategies as st

from guestpass.grants import ALL, All
from guestpass.principal import ACCOUNT_SESSION, SIGNED_TOKEN
from guestpass.testing.escalation_model import ACCOUNTS, EVERY_ACCOUNT, Vocabulary

# Mostly what is allowed, so that something comes of it.
LIFETIMES = (None, None, None, 60, 61, 3_600, 86_400, 86_401)


OWN = "own"


class KeyAsk(TypedDict):
    """A key to make."""

    platform: str
    kind: str
    accounts: frozenset[str] | All
    components: All | frozenset[str] | dict[str, frozenset[str]]
    roles: frozenset[str] | All
    lifetime: float | None


class Limit(TypedDict):
    """What a key is narrowed to."""

    accounts: frozenset[str] | All
    components: All | frozenset[str] | dict[str, frozenset[str]]
    roles: frozenset[str] | All
    lifetime: float | None


@dataclass(frozen=True, slots=True)
class MintAsk:
    """A session or a token to mint, over HTTP or `in_process`, with the principal that the minter once proved to be.

    `account` `OWN` is one of the minter's own.
    """

    kind: str
    in_process: bool
    account: str | None
    components: Mapping[str, object] | None
    roles: tuple[str, ...] | None
    expires_in: int | None
    narrow: bool
    idempotency_key: str | None


class Asks:
    """The strategies for one vocabulary."""

    def __init__(self, names: Vocabulary) -> None:
        components = tuple(names.features)
        some_components = st.one_of(
            st.just(ALL),
            _some(components),
            st.fixed_dictionaries({}, optional={one: _some(names.features[one]) for one in components}),
        )
        some_roles = st.one_of(st.just(ALL), _some(names.roles))
        lifetime = st.sampled_from((None, None, None, 61.5, 3_000.0, 200_000.0))
        of_platform = [
            st.fixed_dictionaries(
                {
                    "platform": st.just(platform),
                    "kind": st.sampled_from(("secret_key",) * 5 + ("publishable_key",)),
                    "accounts": st.one_of(st.just(ALL), _some(owned)),
                    "components": some_components,
                    "roles": some_roles,
                    "lifetime": lifetime,
                }
            )
            for platform, owned in ACCOUNTS.items()
        ]
        self.keys = cast("st.SearchStrategy[KeyAsk]", st.one_of(*of_platform))
        self.limits = cast(
            "st.SearchStrategy[Limit]",
            st.fixed_dictionaries(
                {
                    "accounts": st.one_of(st.just(ALL), _some(EVERY_ACCOUNT)),
                    "components": some_components,
                    "roles": some_roles,
                    "lifetime": lifetime,
                }
            ),
        )
        asked = {one: _setting(names.features[one]) for one in components}
        # Of several a few come to something, however wild they are.
        one = st.builds(
            MintAsk,
            kind=st.sampled_from((ACCOUNT_SESSION, SIGNED_TOKEN)),
            in_process=st.booleans(),
            account=st.sampled_from((OWN, OWN, OWN, *EVERY_ACCOUNT, None)),
            components=st.one_of(st.none(), st.fixed_dictionaries({}, optional=asked)),
            roles=st.one_of(st.none(), _some(names.roles).map(lambda some: tuple(sorted(some)))),
            expires_in=st.sampled_from(LIFETIMES),
            narrow=st.booleans(),
            idempotency_key=st.sampled_from((None, None, "again", "once-more")),
        )
        self.mints = st.lists(one, min_size=1, max_size=4)


def _some(names: tuple[str, ...]) -> st.SearchStrategy[frozenset[str]]:
    return st.frozensets(st.sampled_from(names)) if names else st.just(frozenset[str]())


def _setting(features: tuple[str, ...]) -> st.SearchStrategy[dict[str, object]]:
    wanted = st.fixed_dictionaries({}, optional={feature: st.booleans() for feature in features})
    return st.fixed_dictionaries({"enabled": st.sampled_from((True, True, False))}, optional={"features": wanted})
