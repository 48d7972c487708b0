"""What every test may ask for."""

from __future__ import annotations

import pytest

from tests import brokers, confidential

pytest_configure = confidential.pytest_configure


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The package is asyncio's; anyio's plugin only runs the tests."""
    return "asyncio"


def pytest_report_header(config: pytest.Config) -> str:
    """Say whether the tests run on a real RabbitMQ, too."""
    return brokers.note()
