"""What the pages' programs find: an environment as `python -m funcx_async local` prints it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from funcx_async.blocking import LocalService


@pytest.fixture(scope="session")
def service() -> Iterator[LocalService]:
    with LocalService(workers=2) as service:
        yield service


@pytest.fixture(scope="session")
def environment(service: LocalService) -> dict[str, str]:
    return os.environ | {
        "FUNCX_ASYNC_SERVICE_URL": service.url,
        "FUNCX_ASYNC_TOKEN": service.token,
        "FUNCX_ASYNC_ENDPOINT_ID": service.endpoint_id,
    }
