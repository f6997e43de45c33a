"""``module:app``: an application, named as a server is given it.

Knows how it is imported – the current directory counts, as with uvicorn – and how to say in one line why it cannot be.
"""

import argparse
import importlib
import os
import re
import sys
import traceback
from types import ModuleType
from typing import Final

from guestpass.cli.problems import Misused

SETTINGS: Final = ".toml"
"""What the name of a settings file ends in, which no application's does."""

_NAME: Final = re.compile(r"(?P<module>\w+(?:\.\w+)*):(?P<attribute>\w+(?:\.\w+)*)(?P<call>\(\))?")


def argument(parser: argparse.ArgumentParser, *, or_settings: bool = False) -> None:
    """``MODULE:APP``, the first argument of a command; or the settings of ``guestpass serve``."""
    settings = f"; or the settings of guestpass serve, a file whose name ends in {SETTINGS}" if or_settings else ""
    parser.add_argument(
        "application",
        metavar="MODULE:APP",
        type=_named_or_settings if or_settings else _named,
        help="the application, as a server is given it: shop.main:app, or shop.main:make_app() for one that is made"
        + settings,
    )


def load(name: str, also: type | None = None) -> object:
    """The application of ``module:app``, or what ``module:make()`` answers; an object of the class `also` will do too.

    The current directory is where modules are looked for first, and stays so. Raises `Misused`.
    """
    read = _NAME.fullmatch(name)
    if read is None:
        raise Misused(f"{name!r}: write the module and its application, shop.main:app, or shop.main:make_app()")
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    found: object = _imported(read["module"])
    for attribute in read["attribute"].split("."):
        if not hasattr(found, attribute):
            raise Misused(f"{name}: {_said(found)} has no {attribute!r}")
        found = getattr(found, attribute)
    if read["call"]:
        if not callable(found):
            raise Misused(f"{name}: {read['attribute']} is no function; leave out the ()")
        try:
            found = found()
        except (Exception, SystemExit) as problem:
            raise Misused(f"{name}: it failed: {_told(problem)}") from problem
    if isinstance(found, type) or not (callable(found) or (also is not None and isinstance(found, also))):
        raise Misused(f"{name}: {_said(found)} is no application that a server could call")
    return found


def _named(text: str) -> str:
    if _NAME.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(
            f"write the module and its application, shop.main:app, or shop.main:make_app(), not {text[:64]!r}"
        )
    return text


def _named_or_settings(text: str) -> str:
    return text if text.endswith(SETTINGS) else _named(text)


def _imported(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as missing:
        if missing.name is not None and f"{module}.".startswith(f"{missing.name}."):
            raise Misused(
                f"there is no module {missing.name!r} here or on the path: run this from the directory that it is in"
            ) from None
        raise Misused(f"importing {module} failed: {_told(missing)}") from missing
    except (Exception, SystemExit) as problem:
        # Whatever an application's own code raises, a call of sys.exit included.
        raise Misused(f"importing {module} failed: {_told(problem)}") from problem


def _told(problem: BaseException) -> str:
    frames = traceback.extract_tb(problem.__traceback__)
    where = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    if isinstance(problem, SyntaxError):
        where = f" ({problem.filename}:{problem.lineno})"
        return f"{type(problem).__name__}: {problem.msg}{where}"
    return f"{type(problem).__name__}: {problem}{where}"


def _said(found: object) -> str:
    return f"module {found.__name__}" if isinstance(found, ModuleType) else f"a {type(found).__name__}"
