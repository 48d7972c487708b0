"""Requests that are made again while the service is unavailable."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from funcx_async._session.patience import patiently
from funcx_async.errors import ServiceUnavailable

TIMEOUT = 30.0


async def test_patience_has_an_end():
    tries: list[Any] = []

    async def unavailable() -> None:
        tries.append(None)
        raise ServiceUnavailable("busy", retry_after=0.01)

    with pytest.raises(ServiceUnavailable):
        await patiently(unavailable, 0.3)
    assert tries
    with pytest.raises(ServiceUnavailable):
        await asyncio.wait_for(patiently(unavailable, 0.000_1), TIMEOUT)
