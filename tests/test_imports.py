"""What an import costs, and which way imports point."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import guestpass

SOURCE = Path(guestpass.__file__).parent
FOREIGN = (
    "starlette",
    "fastapi",
    "flask",
    "litestar",
    "quart",
    "django",
    "sqlalchemy",
    "httpx",
    "redis",
    "uvicorn",
    "h11",
    "websockets",
    "pydantic",
)

# What each name may load of what is heavy; all else may load none of it.
ALLOWED = {
    "guestpass": (),
    "guestpass.guard": (),
    "guestpass.signer": (),
    "guestpass.asgi": (),
    "guestpass.forward_auth": (),
    "guestpass.identity_headers": (),
    "guestpass.proxying": (),
    "guestpass.starlette": ("starlette",),
    "guestpass.fastapi": ("starlette", "fastapi", "pydantic"),
    "guestpass.wsgi": (),
    "guestpass.issuing_wsgi": (),
    "guestpass.flask": ("flask",),
    "guestpass.audit": (),
    "guestpass.guarded": (),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_an_import_loads_no_framework_that_it_does_not_need(name: str) -> None:
    program = f"import sys, {name}; print(*sorted({{one.partition('.')[0] for one in sys.modules}} & set({FOREIGN!r})))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= set(ALLOWED[name])


def test_a_flow_without_a_web_framework_loads_none() -> None:
    program = f"""
import sys
from guestpass import *
store = open_store("memory://")
keys, sessions = ApiKeys(store, owns=SINGLE_PLATFORM), AccountSessions(store)
guard = Guard(authenticators=[keys, sessions], policy=Policy(Rule("GET /")), mode="live")
session = sessions.create(by=guard.check(keys.create(platform="p", mode="live").secret), account="a")
assert guard.check(session.client_secret).account == "a"
print(*sorted({{one.partition('.')[0] for one in sys.modules}} & set({FOREIGN!r})))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def _module(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(path: Path, known: set[str]) -> Iterator[str]:
    """The modules of the library that a file imports, wherever in it and for whatever reason."""
    here = _module(path)
    package = here if path.name == "__init__.py" else here.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                full = f"{base}.{alias.name}"
                if full in known:
                    yield full
                elif base in known:
                    yield base


def _graph() -> dict[str, set[str]]:
    files = sorted(SOURCE.rglob("*.py"))
    known = {_module(path) for path in files}
    return {_module(path): set(_imported(path, known)) - {_module(path)} for path in files}


def test_imports_point_one_way() -> None:
    graph = _graph()
    assert len(graph) > 30
    assert graph["guestpass.guard"] >= {"guestpass.policy", "guestpass.principal"}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " → ".join((*trail[trail.index(name) :], name))
        if name not in done:
            for other in sorted(graph[name]):
                visit(other, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_the_core_imports_no_door() -> None:
    graph = _graph()
    asgi = ("asgi", "starlette", "fastapi", "forward_auth", "issuing_api", "routes")
    wsgi = ("wsgi", "flask", "flask_origins", "flask_routes", "issuing_wsgi")
    doors = {f"guestpass.{name}" for name in (*asgi, *wsgi, "cli")}
    around = tuple(
        f"guestpass.{name}"
        for name in ("demo", "cli", "__main__", "testing", "platform", "service", "audit", "guarded")
    )
    for name, imported in graph.items():
        if name not in doors and not name.startswith(around):
            assert not imported & doors, name


def test_every_public_name_is_there_and_listed() -> None:
    assert len(set(guestpass.__all__)) == len(guestpass.__all__)
    for name in guestpass.__all__:
        assert getattr(guestpass, name) is not None
