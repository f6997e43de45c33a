"""Tests of the stores: one contract for all, and for each what only it can get wrong."""

import pytest

# Their assertions are to explain themselves like those of the test files.
pytest.register_assert_rewrite(f"{__name__}.contract", f"{__name__}.crowd")
