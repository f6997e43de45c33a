"""The environments that contenders run in: one for what can be installed together, one for each peer that has its own.

Each is made from a file of `environments/` below `.cache/benchmarks`, when it is not there or not of these versions.
Runs with nothing installed.
"""

import os
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = Path(__file__).resolve().parent / "environments"
MADE = ROOT / ".cache" / "benchmarks"
MAIN = "main"


def python_of(name: str) -> Path:
    """The interpreter of an environment, which is made first if it has to be."""
    folder = MADE / f"{name}-{sys.version_info.major}.{sys.version_info.minor}{sys.abiflags}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wanted = wanted_by(name)
    ready = folder / ".ready"
    if not ready.exists() or ready.read_text() != wanted:
        print(f"making the environment {name} …", file=sys.stderr, flush=True)  # noqa: T201
        venv.create(folder, clear=True, with_pip=True, symlinks=os.name != "nt")
        install = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        install += ["--requirement", str(REQUIREMENTS / f"{name}.txt")]
        install += ["--editable", str(ROOT)] if name == MAIN else []
        subprocess.run(install, check=True)  # noqa: S603
        ready.write_text(wanted)
    return python


def wanted_by(name: str) -> str:
    """What an environment is made of, as a text: it is made again when this changes."""
    made_of = [sys.version, (REQUIREMENTS / f"{name}.txt").read_text()]
    if name == MAIN:
        made_of.append(str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]))
    return "\n".join(made_of)
