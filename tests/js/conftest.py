"""Marks the tests of real programs: ``-m 'not real'`` leaves them out."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "real: starts a program of others on loopback, and may have to install it")
