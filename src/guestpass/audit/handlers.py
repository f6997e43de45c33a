"""What a handler's own source says: where it stands, and which decorators stand above it.

Reads source files, and runs nothing.
"""

import ast
import inspect
import os
import textwrap
from collections.abc import Iterator, Mapping
from typing import Final, cast

from guestpass.audit.findings import Location
from guestpass.rules import MARK, Needs, needs

_FOLLOWED: Final = ("view_class", "cls", "endpoint", "fn")


def name_of(handler: object) -> str:
    """A handler by its qualified name."""
    named = own(handler)
    return str(getattr(named, "__qualname__", None) or type(named).__name__).replace(".<locals>", "")


def own(handler: object) -> object:
    """The function or class that somebody wrote, without what decorators put around it."""
    seen = 0
    while seen < 32:
        inner: object = None
        if not isinstance(handler, type):
            inner = next((found for name in _FOLLOWED if callable(found := getattr(handler, name, None))), None)
            inner = inner or getattr(handler, "func", None) or getattr(handler, "__wrapped__", None)
            inner = inner or getattr(handler, "__func__", None)
        if inner is None or inner is handler:
            break
        handler, seen = inner, seen + 1
    return handler


def location_of(handler: object) -> Location | None:
    """Where a handler stands: the line of its first decorator, or of its own. None where no source is to be had."""
    written = own(handler)
    if not (inspect.isfunction(written) or isinstance(written, type)):
        written = type(written)
    try:
        file = inspect.getsourcefile(written)
        line = written.__code__.co_firstlineno if inspect.isfunction(written) else inspect.getsourcelines(written)[1]
    except (OSError, TypeError):
        return None
    return None if file is None else Location(_relative(file), max(line, 1))


def module_of(handler: object) -> str:
    """The module that a handler was written in."""
    return str(getattr(own(handler), "__module__", "") or "")


def marked(handler: object) -> bool:
    """Whether a ``needs(…)`` is on the handler as it was registered."""
    carried = vars(handler) if isinstance(handler, type) else getattr(handler, "__dict__", {})
    return isinstance(cast("Mapping[str, object]", carried).get(MARK), Needs) or isinstance(
        getattr(handler, MARK, None), Needs
    )


def needs_above(handler: object) -> Location | None:
    """Where in the source a ``needs(…)`` stands above a handler, None where there is none."""
    written = own(handler)
    if not inspect.isfunction(written):
        return None
    try:
        lines, first = inspect.getsourcelines(written)
        file = inspect.getsourcefile(written)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, TypeError, SyntaxError):
        return None
    scope = {**written.__globals__, **_enclosed(written)}
    for node in tree.body[:1]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in node.decorator_list:
                if _is_needs(decorator, scope):
                    return Location(_relative(file or ""), first + decorator.lineno - 1)
    return None


def _enclosed(function: object) -> dict[str, object]:
    try:
        found = inspect.getclosurevars(cast("type", function))
    except (TypeError, ValueError):
        return {}
    return dict(found.nonlocals)


def _is_needs(decorator: ast.expr, scope: Mapping[str, object]) -> bool:
    if isinstance(decorator, ast.Call):
        called = _named(decorator.func, scope)
        # In a function's own names nobody can look afterwards; there the word has to do.
        return called is needs or (called is None and list(_words(decorator.func))[-1:] == ["needs"])
    return isinstance(_named(decorator, scope), Needs)


def _named(expression: ast.expr, scope: Mapping[str, object]) -> object:
    words = list(_words(expression))
    found: object = scope.get(words[0]) if words else None
    for word in words[1:]:
        found = getattr(found, word, None)
    return found


def _words(expression: ast.expr) -> Iterator[str]:
    if isinstance(expression, ast.Name):
        yield expression.id
    elif isinstance(expression, ast.Attribute):
        yield from _words(expression.value)
        yield expression.attr


def _relative(file: str) -> str:
    """The file below the current directory, as it is; another one by its whole name."""
    try:
        below = os.path.relpath(file)
    except ValueError:
        return file
    return file if below.startswith("..") else below
