"""An observer that does not keep to the rules."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from funcx_async import TaskExecutionFailed
from funcx_async.local import LocalService
from tests.executor.tasks import add, fail

TIMEOUT = 60


class Broken:
    """Raises whatever it is told."""

    def began(self, watched: Any) -> None:
        """Say nothing yet."""

    def submitted(self, *told: Any) -> None:
        raise RuntimeError("not submitted")

    def settled(self, *told: Any) -> None:
        raise RuntimeError("not settled")

    @contextmanager
    def posting(self, *told: Any) -> Iterator[Any]:
        yield lambda receipt: None

    def counted(self, what: str) -> None:
        raise RuntimeError(f"not {what}")


async def test_it_keeps_no_task_from_its_end(
    service: LocalService, caplog: pytest.LogCaptureFixture
):
    async with service.executor(telemetry=Broken()) as executor:
        assert await asyncio.wait_for(executor.submit(add, 1), TIMEOUT) == 2
        stubborn = executor.options(retries=1, retry_on=TaskExecutionFailed)
        with pytest.raises(TaskExecutionFailed):
            await asyncio.wait_for(stubborn.submit(fail, "too bad"), TIMEOUT)
    for what in ("submitted", "settled", "batches", "retried"):
        assert f"not {what}" in caplog.text
