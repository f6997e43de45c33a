"""``[ownership]`` of the settings: whose an account is, without a line of Python.

There is one platform; or the file lists the accounts of each; or a service of the platform's own is asked. Its answer
is believed only if it is exactly what it has to be: everything else is an outage, and an outage lets nobody in.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from urllib.parse import quote

from guestpass.errors import Unavailable
from guestpass.ownership import SINGLE_PLATFORM, SinglePlatform
from guestpass.principal import is_account_id
from guestpass.service.document import Table
from guestpass.service.kinds import FLAG, PLATFORM, TEXT, URL, several, text_that
from guestpass.stores.http import FetchFailed, fetch
from guestpass.strict_json import decode_object

SECONDS: Final = 2.0
"""How long the register may take to answer."""

MAX_ANSWER: Final = 1_024

_HOW: Final = "single_platform = true, or the table [ownership.platforms], or register = an URL"

_PATTERN: Final = text_that(
    'an account\'s id, or the beginning of one with * at its end: "acme-*"',
    # Checked as an id with one more letter in place of the asterisk.
    lambda text: is_account_id(text.removesuffix("*") + "0" * text.endswith("*")),
)


@dataclass(frozen=True, slots=True)
class Listed:
    """The accounts of each platform: ids, and beginnings of ids."""

    ids: Mapping[str, str]
    beginnings: Sequence[tuple[str, str]]

    def __call__(self, platform: str, account: str) -> bool:
        """Whether `account` is the platform's."""
        owner = self.ids.get(account)
        if owner is not None:
            return owner == platform
        return any(owner == platform and account.startswith(begin) for begin, owner in self.beginnings)


@dataclass(frozen=True, slots=True)
class Register:
    """A service that is asked ``GET url?platform=…&account=…`` and answers ``{"owned": true}`` or
    ``{"owned": false}``; `token`, if any, goes along as its bearer token."""

    url: str
    token: str = field(default="", repr=False)

    def __call__(self, platform: str, account: str) -> bool:
        """Whether `account` is the platform's. Blocks for two seconds at most; raises `Unavailable` for everything
        but a clear answer."""
        joined = "&" if "?" in self.url else "?"
        url = f"{self.url}{joined}platform={quote(platform, safe='')}&account={quote(account, safe='')}"
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            answer = decode_object(fetch(url, seconds=SECONDS, max_bytes=MAX_ANSWER, headers=headers).content)
        except (FetchFailed, ValueError) as problem:
            told = str(problem) if isinstance(problem, FetchFailed) else "its answer is no JSON object"
            raise Unavailable(f"the register of accounts could not be asked: {told}") from None
        owned = answer.get("owned")
        if not isinstance(owned, bool) or len(answer) != 1:
            raise Unavailable('the register of accounts did not answer {"owned": true} or {"owned": false}')
        return owned


@dataclass(frozen=True, slots=True)
class AskRegister:
    """That a register is to be asked; its token is in a file."""

    url: str
    token_file: str | None


Owners: TypeAlias = SinglePlatform | Listed | AskRegister


def read_ownership(top: Table) -> Owners:
    """Whose an account is, as the file has it. Raises `SettingsError` unless it says so in exactly one way."""
    if not top.has_table("ownership"):
        top.wrong("ownership", f"is missing: whose an account is, [ownership] with {_HOW}")
    with top.table("ownership") as table:
        single, listed = table.get("single_platform", FLAG, False), table.has_table("platforms")
        register = table.get("register", URL, None)
        token_file = table.get("token_file", TEXT, None)
        if [single, listed, register is not None].count(True) != 1:
            table.refuse(f"say it in one way: {_HOW}")
        if token_file is not None and register is None:
            table.wrong("token_file", "is for register = an URL")
        if single:
            return SINGLE_PLATFORM
        if register is not None:
            if "#" in register:
                table.wrong("register", "has to be an URL without a fragment")
            return AskRegister(register, token_file)
        with table.table("platforms") as platforms:
            return _listed(platforms)


def _listed(table: Table) -> Listed:
    ids: dict[str, str] = {}
    beginnings: list[tuple[str, str]] = []
    for platform, patterns in table.entries(several(_PATTERN), PLATFORM).items():
        for pattern in patterns:
            if pattern.endswith("*"):
                beginnings.append((pattern[:-1], platform))
            elif ids.setdefault(pattern, platform) != platform:
                table.wrong(platform, f"{pattern} is {ids[pattern]}'s already: an account has one platform")
    _refuse_shared(ids, beginnings, table.wrong)
    return Listed(ids, beginnings)


def _refuse_shared(
    ids: Mapping[str, str], beginnings: Sequence[tuple[str, str]], wrong: Callable[[str, str], object]
) -> None:
    """An account that two platforms could name would be shared by them, and nothing here is."""
    for begin, platform in beginnings:
        for other, owner in [*ids.items(), *beginnings]:
            if owner != platform and other.startswith(begin):
                wrong(platform, f"{json.dumps(begin + '*')} takes in what is {owner}'s: an account has one platform")
