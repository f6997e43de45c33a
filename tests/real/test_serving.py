"""What happens where a server is not there."""

import pytest

from real import serving as module
from real.serving import SERVERS, serving


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_a_server_is_missed_by_its_name(
    monkeypatch: pytest.MonkeyPatch, server: str, ci: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("CI", ci)
    needed = SERVERS[server][-1]
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == needed else name)
    with pytest.raises(outcome, match=f"{needed}: it is not installed"), serving(server, "demo"):
        raise AssertionError
