"""The text of a settings file and the environment that goes with it, as tables that are read key by key.

Strict: what nobody asked for is refused, with the name that was perhaps meant. A variable stands for a key of the
file and wins over it: ``GUESTPASS__LISTEN__PORT`` is ``port`` in ``[listen]``. Knows nothing of what any key means.
Every refusal is one line that names the file, the table and the key; a value, which may be a secret, is never quoted
here. Pure.
"""

import difflib
import re
import tomllib
from collections.abc import Generator, Iterable, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Final, NoReturn, TypeVar, cast

from guestpass.errors import ConfigurationError
from guestpass.service.kinds import Kind

T = TypeVar("T")

PREFIX: Final = "GUESTPASS__"
STORE_VARIABLE: Final = "GUESTPASS_STORE"
"""The one key whose variable is called otherwise: the whole command line knows this name."""

# What the library says of its own arguments, in the words of the file.
_IN_TOML: Final = {
    "Policy(components={…})": "[components]",
    "Policy(components=…)": "[components]",
    "Policy(roles=(…))": "roles",
    "Policy(roles=…)": "roles",
    '="…"': ' = "…"',
    '={"secret_key"}': ' = ["secret_key"]',
    "=True": " = true",
    "=False": " = false",
    "=None": " = false",
    "=…": "",
}

_RULE: Final = re.compile(r"Rule\('([^']*)'\)")
# ``Guard(realm='…'): …``: the argument is the key.
_CALL: Final = re.compile(r"\A\w+\((\w+)=.*?\): ")


class SettingsError(ConfigurationError):
    """The settings cannot be read, or say what cannot be: which file, table and key, and what they have to be."""


class Document:
    """A settings file, called `name` in messages, and the variables of `environ` that belong to it."""

    def __init__(self, text: str, name: str, environ: Mapping[str, str]) -> None:
        self.name: Final = name
        try:
            self._top: dict[str, object] = tomllib.loads(text)
        except RecursionError:
            raise SettingsError(f"{name}: it is nested too deeply") from None
        except ValueError as problem:
            # Python itself refuses a number of thousands of digits, and not in words for the reader of a file.
            said = str(problem) if isinstance(problem, tomllib.TOMLDecodeError) else "a number in it is too long"
            raise SettingsError(f"{name}: {said}") from None
        # One that is empty is as good as none: whoever starts a container cannot always leave one out.
        self._environ = {
            variable: value
            for variable, value in environ.items()
            if value and (variable.startswith(PREFIX) or variable == STORE_VARIABLE)
        }
        self._asked: set[str] = set()

    @contextmanager
    def top(self) -> "Generator[Table]":
        """The whole file; everything in it has to be asked for inside the block, and every variable."""
        table = Table(self, "", PREFIX, self._top)
        yield table
        table.refuse_unknown()
        unknown = sorted(set(self._environ) - self._asked)
        if unknown:
            also = meant(unknown[0], self._asked) or "; a table has to be in the file for a variable to change it"
            raise SettingsError(f"{_named(unknown[0])}, in the environment: there is no such setting{also}")

    def variable(self, name: str) -> str | None:
        """A variable of the environment, None where it is not set."""
        self._asked.add(name)
        return self._environ.get(name)


class Table:
    """One table. `where` is how it is named in messages; `variables` is what the names of its variables begin with,
    "" for a table without them."""

    def __init__(self, document: Document, where: str, variables: str, content: dict[str, object]) -> None:
        self._document = document
        self._where = where
        self._variables = variables
        self._content = content
        self._asked: set[str] = set()

    def __contains__(self, key: str) -> bool:
        self._asked.add(key)
        return key in self._content or self._variable(key) is not None

    def has_table(self, key: str) -> bool:
        """Whether the file has a table called `key`. A variable cannot turn on what a table turns on."""
        self._asked.add(key)
        return key in self._content

    def need(self, key: str, kind: Kind[T]) -> T:
        """The value of a key that has to be there."""
        if key not in self:
            close = difflib.get_close_matches(key, set(self._content) - self._asked, 1)
            self.wrong(key, f"is missing{f'; is {_named(close[0])} meant for it?' if close else f': {kind.how}'}")
        given = self._variable(key)
        try:
            return kind.read(self._content[key] if given is None else kind.written(given))
        except ValueError:
            self.wrong(key, f"has to be {kind.how}")

    def get(self, key: str, kind: Kind[T], default: T) -> T:
        """The value of a key that may be left out."""
        return self.need(key, kind) if key in self else default

    @contextmanager
    def table(self, key: str) -> "Generator[Table]":
        """The table called `key`, empty where there is none; everything in it has to be asked for inside the block."""
        self._asked.add(key)
        variables = self._variables and f"{self._variables}{key.upper()}__"
        found = self._content.get(key, {})
        if not isinstance(found, dict):
            self.wrong(key, f"has to be a table: [{key}]")
        table = Table(self._document, self._below(f"[{key}]"), variables, cast("dict[str, object]", found))
        yield table
        table.refuse_unknown()

    def tables(self, key: str) -> "list[Table]":
        """The tables of the list called `key`; a single table is a list of one. Each is to be asked whether something
        in it is unknown. No variable changes them."""
        self._asked.add(key)
        found = self._content.get(key, [])
        entries: object = [cast("object", found)] if isinstance(found, dict) else found
        if not isinstance(entries, list):
            self.wrong(key, f"has to be a list of tables: [[{key}]]")
        tables: list[Table] = []
        for number, entry in enumerate(cast("list[object]", entries), 1):
            if not isinstance(entry, dict):
                self.wrong(key, f"has to be a list of tables: [[{key}]]")
            where = self._below(f"[[{key}]] number {number}")
            tables.append(Table(self._document, where, "", cast("dict[str, object]", entry)))
        return tables

    def entries(self, kind: Kind[T], name: Kind[str]) -> dict[str, T]:
        """Everything in a table whose keys are the file's own to choose, each a `name`."""
        for key in self._content:
            try:
                name.read(key)
            except ValueError:
                self.wrong(key, f"the name has to be {name.how}")
        return {key: self.need(key, kind) for key in self._content}

    def refuse_unknown(self) -> None:
        """Raise `SettingsError` for what nobody has asked for."""
        for key in self._content:
            if key not in self._asked:
                self.wrong(key, f"there is no such setting{meant(key, self._asked)}")

    def explaining(self, named: str = "") -> AbstractContextManager[None]:
        """What the library refuses inside the block is told as a fault of this table: see `explaining`."""
        return explaining(self._document.name, self._where, named)

    def wrong(self, key: str, why: str) -> NoReturn:
        """Raise `SettingsError` for the value of a key."""
        variable = self._name_of(key)
        if variable and self._variable(key) is not None:
            raise SettingsError(f"{variable}, in the environment: {why}")
        raise SettingsError(f"{_place(self._document.name, self._where)}: {_named(key)}: {why}")

    def refuse(self, why: str) -> NoReturn:
        """Raise `SettingsError` for the table as a whole."""
        raise SettingsError(f"{_place(self._document.name, self._where)}: {why}")

    def called(self, name: str) -> None:
        """Say what a table of a list is for, so that nobody has to count."""
        self._where = f"{self._where} ({name})"

    def _below(self, label: str) -> str:
        return f"{self._where} {label}" if self._where else label

    def _name_of(self, key: str) -> str:
        if not self._variables:
            return ""
        return STORE_VARIABLE if (self._variables, key) == (PREFIX, "store") else f"{self._variables}{key.upper()}"

    def _variable(self, key: str) -> str | None:
        name = self._name_of(key)
        return self._document.variable(name) if name else None


@contextmanager
def explaining(name: str, where: str = "", named: str = "") -> Generator[None]:
    """What the library refuses inside the block is told as a fault of the file `name`, in the table `where`.

    `named` is what the library calls the thing, which need not be said there.
    """
    try:
        yield
    except ConfigurationError as problem:
        said = _CALL.sub(r"\1: ", str(problem).removeprefix(f"{named}: "))
        said = _RULE.sub(r"[[rules]] (\1)", said)
        for ours, theirs in _IN_TOML.items():
            said = said.replace(ours, theirs)
        raise SettingsError(f"{_place(name, where)}: {said}") from None


def _place(name: str, where: str) -> str:
    return f"{name}, {where}" if where else name


def _named(key: str) -> str:
    return key if key.isprintable() and key.replace("_", "").replace("-", "").isalnum() else repr(key[:64])


def meant(key: str, known: Iterable[str]) -> str:
    """What to add where `key` is none of those that are known: the one that was perhaps meant."""
    close = difflib.get_close_matches(key, sorted(known), 1)
    return f"; did you mean {close[0]}?" if close else ""
