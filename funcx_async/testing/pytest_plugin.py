"""Fixtures for tests of applications that use this package; pytest loads them by itself.

The fixtures own no event loop and no task, so they work with anyio's plugin, with pytest-asyncio
and in synchronous tests. The local service runs in a thread, once for the whole session (with
pytest-xdist, once for each process). It needs the extra ``local``.

Nothing is imported or started until a test uses a fixture.

Example::

    async def test_the_application(funcx_executor):
        assert await funcx_executor.submit(pow, 2, 5) == 32
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from funcx_async import FuncXClient, FuncXExecutor, blocking
    from funcx_async.blocking import LocalService
    from funcx_async.blocking.service import Faults

_RUNNING: pytest.StashKey[LocalService] = pytest.StashKey()


@pytest.fixture(scope="session")
def funcx_service_options() -> Mapping[str, Any]:
    """Options of the local service; override this fixture to change them.

    Returns:
        Keyword arguments of :class:`funcx_async.local.LocalService`; two workers by default.
    """
    return {"workers": 2}


@pytest.fixture(scope="session")
def funcx_service(
    request: pytest.FixtureRequest, funcx_service_options: Mapping[str, Any]
) -> Iterator[LocalService]:
    """A local service that runs for the whole session.

    It is a :class:`funcx_async.blocking.LocalService` with ``url``, ``token``, ``endpoint_id`` and
    ``faults``, which are reset after each test.
    """
    try:
        from funcx_async.blocking import LocalService
    except ImportError as error:
        pytest.fail(f"Cannot start fixture funcx_service: {error}", pytrace=False)
    with LocalService(**funcx_service_options) as service:
        request.config.stash[_RUNNING] = service
        yield service
        del request.config.stash[_RUNNING]


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Reset the faults after each test."""
    service = item.config.stash.get(_RUNNING, None)
    if service is not None:
        service.faults.reset()


@pytest.fixture
def funcx_faults(funcx_service: LocalService) -> Faults:
    """Fault injection until the end of the test: ``funcx_service.faults``.

    Counts start at zero. Methods that wait return futures: ``await funcx_faults.seen(...)`` in a
    coroutine, ``funcx_faults.seen(...).result(timeout)`` in other code.
    """
    return funcx_service.faults


@pytest.fixture
def funcx_environment(
    funcx_service: LocalService, monkeypatch: pytest.MonkeyPatch
) -> Mapping[str, str]:
    """Environment variables that name the local service, set until the end of the test.

    The application can then call ``FuncXExecutor()`` and ``FuncXClient()`` without arguments.

    Returns:
        The variables, for example for a process that the test starts.
    """
    from funcx_async._net.environment import (
        ENDPOINT_VARIABLE,
        SERVICE_URL_VARIABLE,
        TOKEN_VARIABLE,
    )

    variables = {
        SERVICE_URL_VARIABLE: funcx_service.url,
        TOKEN_VARIABLE: funcx_service.token,
        ENDPOINT_VARIABLE: funcx_service.endpoint_id,
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


@pytest.fixture
def funcx_executor(funcx_environment: Mapping[str, str]) -> Iterator[FuncXExecutor]:
    """An executor on the local service, which binds to the event loop of its first use.

    It needs no ``async with``. At the end of the test it accepts no more tasks and cancels those
    that have not been sent. It waits for none, so that a failed test does not hang.
    """
    from funcx_async.executor.executor import FuncXExecutor, let_go

    executor = FuncXExecutor()
    yield executor
    let_go(executor)


@pytest.fixture
def funcx_client(funcx_service: LocalService) -> FuncXClient:
    """A client of the local service. It keeps no connection open and need not be closed."""
    import httpx

    from funcx_async.client import FuncXClient

    limits = httpx.Limits(max_keepalive_connections=0)
    transport = httpx.AsyncHTTPTransport(limits=limits)
    return FuncXClient(funcx_service.url, auth=funcx_service.token, transport=transport)


@pytest.fixture
def funcx_blocking_executor(
    funcx_environment: Mapping[str, str],
) -> Iterator[blocking.FuncXExecutor]:
    """A :class:`funcx_async.blocking.FuncXExecutor`, shut down as ``funcx_executor`` is."""
    from funcx_async.blocking import FuncXExecutor

    executor = FuncXExecutor()
    yield executor
    executor.shutdown(wait=False, cancel_futures=True)
