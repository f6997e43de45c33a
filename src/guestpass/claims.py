"""What the claims of an outside issuer mean here: accounts, roles and components, by an explicit table.

Knows how a claim is read and which names it may turn into. Knows nothing of signatures, times or policies.
What no table names means nothing: a claim that somebody forgot to restrict grants nothing.
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, TypeAlias, cast

from guestpass.errors import ConfigurationError
from guestpass.principal import is_account_id, is_name


class Any_(Enum):  # noqa: N801 - `Any` is taken, and this is only ever met as ANY
    """Whatever the issuer says is believed."""

    ANY = "ANY"

    def __repr__(self) -> str:
        return "ANY"


ANY: Final = Any_.ANY

Table: TypeAlias = Mapping[str, str | Collection[str]] | Collection[str] | Any_


@dataclass(frozen=True, slots=True)
class Claim:
    """The claim called `name`, a string or an array of strings, read by `table`.

    `table` maps what the issuer writes to one name here or several; as a collection it lists the values
    that stand for themselves; `ANY` takes every value that has the form of a name. `separator` splits a
    string first, as ``" "`` does `scope` (RFC 8693 section 4.2).
    """

    name: str
    table: Table
    separator: str | None = None


@dataclass(frozen=True, slots=True)
class Always:
    """The same names for every token of the issuer, as for one that speaks for a single account."""

    names: Collection[str]

    def __init__(self, *names: str) -> None:
        object.__setattr__(self, "names", names)


Source: TypeAlias = Claim | Always

_Reader: TypeAlias = Callable[[Mapping[str, object]], Iterable[str]]
_Readers: TypeAlias = tuple[_Reader, ...]


@dataclass(frozen=True, slots=True)
class ClaimMapping:
    """How the claims of one issuer become accounts, roles and components; what is left out grants none.

    Each is one `Claim` or `Always`, or several, whose names are added up. A component is written as in a
    grant: ``call_logs``, ``call_logs/transcripts``, ``call_logs/*`` for all its features. Raises
    `ConfigurationError` for a table with a name that can be none.
    """

    accounts: Source | tuple[Source, ...] = ()
    roles: Source | tuple[Source, ...] = ()
    components: Source | tuple[Source, ...] = ()
    _readers: tuple[_Readers, _Readers, _Readers] = field(init=False, repr=False, compare=False)
    _names: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        readers = (
            _readers("accounts", self.accounts, is_account_id, is_account_id),
            _readers("roles", self.roles, is_name, is_name),
            _readers("components", self.components, _is_component, _is_plain_component),
        )
        object.__setattr__(self, "_readers", readers)
        object.__setattr__(self, "_names", tuple(sorted(self.claims)))

    @property
    def claims(self) -> frozenset[str]:
        """The names of the claims that are read."""
        sources = (source for given in (self.accounts, self.roles, self.components) for source in _several(given))
        return frozenset(source.name for source in sources if isinstance(source, Claim))

    def read(self, claims: Mapping[str, object]) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
        """Accounts, roles and components, as the claims of a verified token have them."""
        accounts, roles, components = self._readers
        return _read(accounts, claims), _read(roles, claims), _read(components, claims)

    def said(self, claims: Mapping[str, object]) -> Hashable:
        """All that `read` looks at: equal for claims that it reads alike without a further look."""
        values = map(claims.get, self._names)
        return tuple([value if isinstance(value, str) else _texts(value) for value in values])


def _read(readers: _Readers, claims: Mapping[str, object]) -> frozenset[str]:
    if len(readers) == 1:
        return frozenset(readers[0](claims))
    return frozenset(name for reader in readers for name in reader(claims))


def _several(given: Source | tuple[Source, ...]) -> tuple[Source, ...]:
    return given if isinstance(given, tuple) else (given,)


def _readers(
    dimension: str,
    given: Source | tuple[Source, ...],
    allowed: Callable[[object], bool],
    believed: Callable[[object], bool],
) -> _Readers:
    return tuple(_reader(dimension, source, allowed, believed) for source in _several(given))


def _reader(
    dimension: str, source: Source, allowed: Callable[[object], bool], believed: Callable[[object], bool]
) -> _Reader:
    if isinstance(source, Always):
        always = _checked(dimension, source.names, allowed)
        return lambda _claims: always
    name, separator = source.name, source.separator
    said: object = source.table
    if isinstance(said, Any_):
        return lambda claims: filter(believed, _values(claims.get(name), separator))
    if isinstance(said, str):
        raise ConfigurationError(f"{dimension}=Claim({name!r}, …): the table is a mapping, a set of names or ANY")
    if isinstance(said, Mapping):
        given = cast("Mapping[str, str | Collection[str]]", said)
        meanings = {one: (meant,) if isinstance(meant, str) else tuple(meant) for one, meant in given.items()}
    else:
        meanings = {one: (one,) for one in cast("Collection[str]", source.table)}
    table = {one: _checked(dimension, meant, allowed) for one, meant in meanings.items()}
    return lambda claims: (meant for one in _values(claims.get(name), separator) for meant in table.get(one, ()))


def _checked(dimension: str, names: Collection[str], allowed: Callable[[object], bool]) -> tuple[str, ...]:
    wrong = [name for name in names if not allowed(name)]
    if wrong:
        raise ConfigurationError(f"{dimension}=…: {wrong[0]!r} cannot be one of the {dimension}")
    return tuple(names)


def _values(value: object, separator: str | None) -> Sequence[str]:
    if isinstance(value, str):
        return value.split(separator) if separator else (value,)
    return _texts(value)


def _texts(value: object) -> tuple[str, ...]:
    """What of an array is text, which is all that counts; nothing where it is none."""
    if not isinstance(value, list):
        return ()
    return tuple([one for one in cast("list[object]", value) if isinstance(one, str)])


def _is_component(value: object) -> bool:
    return isinstance(value, str) and _is_plain_component(value.removesuffix("/*"))


def _is_plain_component(value: object) -> bool:
    # Without ``/*``: an issuer that is believed in anything still names what it means.
    return isinstance(value, str) and value.count("/") <= 1 and all(map(is_name, value.split("/")))


NO_MAPPING: Final = ClaimMapping()
