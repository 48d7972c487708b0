"""What every test may ask for."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests import brokers, browser, confidential, limits

if TYPE_CHECKING:
    from funcx_async.blocking import LocalService as BlockingService
    from funcx_async.local import LocalService

# Where pytest was started in the background, it and what it starts ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

# No test fails because the machine is busy; pytest has a time limit for each.
settings.register_profile("without deadlines", deadline=None)
settings.load_profile("without deadlines")

pytest_configure = confidential.pytest_configure
pytest_fixture_setup = limits.pytest_fixture_setup
pytest_itemcollected = limits.pytest_itemcollected


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The package is asyncio's; anyio's plugin only runs the tests."""
    return "asyncio"


@pytest.fixture
def environment(
    service: LocalService | BlockingService, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """What the local service tells other programs to export; exported here as well."""
    variables = {
        "FUNCX_ASYNC_SERVICE_URL": service.url,
        "FUNCX_ASYNC_TOKEN": service.token,
        "FUNCX_ASYNC_ENDPOINT_ID": service.endpoint_id,
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say whether the tests run on a real RabbitMQ and in a real browser, too."""
    return [brokers.note(), browser.note()]
