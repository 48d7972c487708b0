"""Too few file descriptors for a moment: a failure to connect like any other."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from funcx_async import FuncXClient, ServiceUnavailable
from funcx_async._net.http import certificate_check
from funcx_async.local import LocalService

if sys.platform == "win32":
    pytest.skip("Windows has no limit that a process can set", allow_module_level=True)
import resource

TIMEOUT = 60


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Use up the descriptors of this process for a moment."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, limits)
        free = os.open(os.devnull, os.O_RDONLY)
        stack.callback(os.close, free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free + 1, limits[1]))
        with suppress(OSError):
            while True:
                stack.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        yield


@pytest.mark.parametrize("url", ["https://127.0.0.1:9", "http://127.0.0.1:9"])
async def test_request_without_a_descriptor_may_be_retried(url: str):
    async with FuncXClient(url, auth="t") as client:
        with no_descriptor_left(), pytest.raises(ServiceUnavailable):
            await client.get_version()
        with pytest.raises(ServiceUnavailable, match="ConnectError"):
            await client.get_version()


def test_certificates_that_cannot_be_opened_now_are_not_called_wrong():
    with (
        no_descriptor_left(),
        pytest.raises(ServiceUnavailable, match="Too many open files"),
    ):
        certificate_check("https://service.test")


async def test_task_that_is_submitted_meanwhile_runs_afterwards():
    async with LocalService(workers=1) as service:
        client = service.client()
        async with client, service.executor(funcx_client=client) as executor:
            with no_descriptor_left():
                future = executor.submit(abs, -1)
                for _ in range(20):
                    await asyncio.sleep(0)
            assert await asyncio.wait_for(future, TIMEOUT) == 1
