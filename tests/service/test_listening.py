"""The socket that a service listens on: made safely, taken away again, and nobody else's harmed."""

import os
import socket
import stat
from pathlib import Path

import pytest

from guestpass.service.listening import address, listening
from guestpass.service.settings import Listen


def on(path: Path | None = None, port: int = 0, host: str = "127.0.0.1", mode: int = 0o660) -> Listen:
    return Listen(host, port, None if path is None else str(path), mode, 1, False)


def test_a_port_of_its_own() -> None:
    with listening(on()) as bound:
        assert address(bound) == f"http://127.0.0.1:{bound.getsockname()[1]}"
        bound.listen()
        with pytest.raises(OSError, match="in use"), listening(on(port=bound.getsockname()[1])):
            pass


def test_ipv6_and_a_host_that_is_none() -> None:
    if socket.has_ipv6:
        with listening(on(host="::1")) as bound:
            assert address(bound).startswith("http://[::1]:")
    with pytest.raises(OSError), listening(on(host="host.invalid")):
        pass


def test_a_unix_domain_socket_has_its_permissions_and_goes(tmp_path: Path) -> None:
    path = tmp_path / "s"
    before = os.umask(0o022)
    os.umask(before)
    with listening(on(path, mode=0o640)) as bound:
        assert address(bound) == f"unix:{path}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        mask = os.umask(before)
        assert mask == before
    assert not path.exists()


def test_nobody_may_connect_before_it_has_its_permissions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, seen = tmp_path / "s", []

    def chmod(name: str, mode: int) -> None:
        seen.append((stat.S_IMODE(os.stat(name).st_mode), mode))

    monkeypatch.setattr("guestpass.service.listening.os.chmod", chmod)
    with listening(on(path, mode=0o666)):
        assert seen == [(0o600, 0o666)]


def test_one_that_was_left_behind_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with listening(on(path)):
        assert path.exists()


def test_one_in_use_and_any_other_file_stay(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as used:
        used.bind(str(path))
        used.listen()
        with pytest.raises(OSError, match="in use"), listening(on(path)):
            pass
        assert path.exists()
    path.unlink()
    path.write_text("mine")
    with pytest.raises(FileExistsError, match="no socket"), listening(on(path)):
        pass
    assert path.read_text() == "mine"


def test_the_socket_of_a_successor_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with listening(on(path)):
        path.rename(tmp_path / "old")
        with socket.socket(socket.AF_UNIX) as successor:
            successor.bind(str(path))
    assert path.exists()
