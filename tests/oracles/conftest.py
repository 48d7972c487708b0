"""Where the official packages are, and where the local service sends results."""

from __future__ import annotations

import pytest

from tests.brokers import require, with_rabbitmq
from tests.oracles.interpreters import interpreter


@pytest.fixture
def official_python() -> str:
    """The interpreter that has the official SDK."""
    return interpreter("sdk")


@pytest.fixture
def funcx_python() -> str:
    """The interpreter that has ``funcx``."""
    return interpreter("funcx")


@pytest.fixture(params=with_rabbitmq("embedded"))
def amqp_url(request: pytest.FixtureRequest) -> str | None:
    """Where the service sends results."""
    return require() if request.param == "rabbitmq" else None
