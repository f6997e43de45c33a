"""A small voice platform, guarded by guestpass: ``python -m guestpass demo``.

`data` is the platform's register and what its accounts own, `app` its API, `events` its socket, `backend` and
`short_passes` a customer's back end, `page` what a browser loads, `house` the guard around it all, `server` the
process. Loads nothing until it is run, since what it needs is an extra.
"""

from importlib.util import find_spec
from typing import Final

from guestpass.errors import ConfigurationError

_NEEDED: Final = ("fastapi", "sqlalchemy", "uvicorn", "websockets")


def run(*, port: int, store: str | None, as_json: bool) -> int:
    """Serve the demo on loopback until SIGINT or SIGTERM; answers the exit code.

    `port` 0 takes a free one. `store` is a URL for `guestpass.open_store`; None is a SQLite file that goes when the
    demo ends. Raises `ConfigurationError` where a package is missing, or for a store that cannot work.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise ConfigurationError(f'the demo needs {", ".join(missing)}: pip install "guestpass[demo]"')
    from guestpass.demo.server import serve

    return serve(port=port, store_url=store, as_json=as_json)
