"""Hypothesis strategies: grants, principals, requests for minting, headers and paths."""

import math
from collections.abc import Mapping
from typing import Any, Final

from hypothesis import strategies as st

from guestpass import ALL, Grant, Principal
from guestpass.grants import Mode, Names
from support import COMPONENTS, ROLES, START

ACCOUNTS: Final = ("acct_1", "acct_2", "acct_3")
NAMES: Final = tuple(name for one, features in COMPONENTS.items() for name in (one, *(f"{one}/{f}" for f in features)))
MODES: Final[tuple[Mode, ...]] = ("live", "test")


def subsets(names: tuple[str, ...]) -> st.SearchStrategy[Names]:
    """`ALL`, or some of the names."""
    return st.one_of(st.just(ALL), st.frozensets(st.sampled_from(names)))


# Few platforms and instants, so that two grants often have something in common.
ends = st.one_of(st.just(math.inf), st.integers(-2, 4).map(lambda n: START + 3_600.0 * n))

grants = st.builds(
    Grant,
    platform=st.sampled_from(("plat", "other")),
    mode=st.sampled_from(MODES),
    accounts=subsets(ACCOUNTS),
    components=subsets(NAMES),
    roles=subsets(ROLES),
    expires_at=ends,
)
"""Grants of a small world."""

odd_names = st.one_of(
    st.sampled_from(
        (*NAMES, *(f"{one}/*" for one in COMPONENTS), *ROLES, "nothing", "nothing/*", "/", "*", "", "call_logs/")
    ),
    st.text(max_size=12),
)
wild_grants = st.builds(
    Grant,
    platform=st.just("plat"),
    mode=st.just("live"),
    accounts=subsets(ACCOUNTS),
    components=st.one_of(st.just(ALL), st.frozensets(odd_names)),
    roles=st.one_of(st.just(ALL), st.frozensets(odd_names)),
    expires_at=ends,
)
"""Grants with names that no policy knows, or that stand for others."""

principals = st.builds(
    Principal,
    kind=st.sampled_from(("secret_key", "account_session", "own")),
    subject=st.text(max_size=5),
    grant=grants,
    credential_id=st.text(max_size=5),
)

key_requests: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "accounts": subsets(ACCOUNTS),
        "components": st.one_of(
            st.just(ALL),
            st.frozensets(st.sampled_from(tuple(COMPONENTS))),
            st.dictionaries(
                st.sampled_from(("call_logs",)), st.frozensets(st.sampled_from(COMPONENTS["call_logs"])), max_size=1
            ),
        ),
        "roles": subsets(ROLES),
        "expires_at": st.sampled_from((START + 30, START + 61, START + 3_000, START + 200_000, math.inf)),
    },
)
"""What a secret key may be made with."""

junk = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.lists(st.integers(), max_size=2)
)


def _setting(component: str) -> st.SearchStrategy[Mapping[str, object]]:
    features = st.dictionaries(st.sampled_from((*COMPONENTS[component], "nothing")), st.booleans(), max_size=3)
    return st.fixed_dictionaries({"enabled": st.booleans()}, optional={"features": st.one_of(features, st.none())})


components_asked = st.one_of(
    st.none(),
    st.dictionaries(st.sampled_from(("nothing",)), st.just({"enabled": True}), max_size=1),
    st.fixed_dictionaries({}, optional={component: _setting(component) for component in COMPONENTS}),
)
mint_requests: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "account": st.sampled_from((*ACCOUNTS, "stranger", None)),
        "components": components_asked,
        "roles": st.one_of(st.none(), st.lists(st.sampled_from((*ROLES, "king")), max_size=3, unique=True)),
        "expires_in": st.sampled_from((None, 60, 61, 3_600, 86_400, 59, 86_401)),
        "narrow": st.booleans(),
    },
)
"""What a session or a token may be asked for with, sensible or not."""

header_values = st.text(st.characters(min_codepoint=0, max_codepoint=255), max_size=40).map(
    lambda text: text.encode("latin-1")
)
header_names = st.sampled_from(
    (
        b"authorization",
        b"account-id",
        b"account_id",
        b"origin",
        b"sec-fetch-site",
        b"cookie",
        b"x-original-url",
        b"guestpass-x",
        b"vary",
    )
)
headers = st.lists(st.tuples(header_names, header_values), max_size=6)
"""Raw headers that matter to a decision, with any value."""

segments = st.one_of(
    st.sampled_from(("v1", "call_logs", "..", ".", "", "%2e%2e", "%2f", "a;b", "%00", "%252f")), st.text(max_size=8)
)
paths = st.lists(segments, max_size=6).map(lambda parts: "/" + "/".join(parts))
"""Decoded paths, many of them ambiguous."""
