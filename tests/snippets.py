"""The Python of a page of the documentation: what it shows, and what it runs unseen, in a comment, to set the stage.

    <!-- python
    settings.configure(…)
    -->

`python -m snippets PAGE` runs a page.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

_BLOCK = re.compile(r"^(?:```python\n(?P<shown>.*?)^```|<!-- python\n(?P<unseen>.*?)^-->)", re.DOTALL | re.MULTILINE)


def snippets(page: Path) -> Iterator[str]:
    """Each snippet, at the line where the page has it."""
    text = page.read_text()
    for found in _BLOCK.finditer(text):
        kind = found.lastgroup or ""
        yield "\n" * text.count("\n", 0, found.start(kind)) + found[kind]


def run(page: Path, name: str) -> dict[str, Any]:
    """Run the snippets of a page, one after another, as one module called `name`; answers what it has then."""
    module = sys.modules[name] = ModuleType(name)
    for snippet in snippets(page):
        exec(compile(snippet, str(page), "exec"), module.__dict__)
    return module.__dict__


if __name__ == "__main__":
    run(Path(sys.argv[1]), "snippet")
