"""What the URL of a store says without the store being opened."""

from pathlib import Path

import pytest

from guestpass.stores.urls import has_password, shown, sqlite_file


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://user:hunter22@db/guestpass", True),
        ("postgresql://user@db/guestpass?password=hunter22", True),
        ("rediss://db/0?ssl_password=hunter22", True),
        ("redis://:hunter22@db/0", True),
        ("postgresql://user@db/guestpass", False),
        ("sqlite:///guestpass.db", False),
        ("bogus://[half", False),
    ],
)
def test_a_password_is_found_wherever_it_stands(url: str, expected: bool) -> None:
    assert has_password(url) is expected


def test_the_file_of_a_sqlite_store() -> None:
    assert sqlite_file("sqlite:///a/b.db") == Path("a/b.db")
    assert sqlite_file("sqlite:////a/b.db") == Path("/a/b.db")
    assert sqlite_file("sqlite+pysqlite:///b.db") == Path("b.db")
    assert sqlite_file("postgresql:///guestpass") is None
    assert sqlite_file("sqlite://") is None


def test_a_url_is_shown_without_its_secrets() -> None:
    assert shown("postgresql://user:hunter22@db.example:5432/guestpass?password=hunter22") == (
        "postgresql://db.example:5432/guestpass"
    )
    assert shown("sqlite:////var/lib/guestpass.db") == "sqlite:////var/lib/guestpass.db"
