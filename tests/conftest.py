"""What every test may ask for."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The package is asyncio's; anyio's plugin only runs the tests."""
    return "asyncio"
