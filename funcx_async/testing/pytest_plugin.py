"""Fixtures for tests of applications that use this package; pytest finds them by itself.

They are plain fixtures: they own no event loop and no task, so they serve tests of anyio's plugin,
of pytest-asyncio and of none alike. The local service runs in a thread of its own, one for the
whole session (with pytest-xdist: one for each of its processes). It needs the extra ``local``.

Nothing is imported or started until a test asks for a fixture.

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
    """What the local service is told: override it to have another one.

    Returns:
        Keyword arguments of :class:`funcx_async.local.LocalService`; two workers by default.
    """
    return {"workers": 2}


@pytest.fixture(scope="session")
def funcx_service(
    request: pytest.FixtureRequest, funcx_service_options: Mapping[str, Any]
) -> Iterator[LocalService]:
    """A local service that runs for the whole session.

    It is a :class:`funcx_async.blocking.LocalService`: with ``url``, ``token``, ``endpoint_id``,
    and ``faults``, which are reset after each test.
    """
    try:
        from funcx_async.blocking import LocalService
    except ImportError as error:
        pytest.fail(f"The fixture funcx_service cannot be had: {error}", pytrace=False)
    with LocalService(**funcx_service_options) as service:
        request.config.stash[_RUNNING] = service
        yield service
        del request.config.stash[_RUNNING]


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Leave no fault of one test to the next."""
    service = item.config.stash.get(_RUNNING, None)
    if service is not None:
        service.faults.reset()


@pytest.fixture
def funcx_faults(funcx_service: LocalService) -> Faults:
    """What may go wrong on purpose, until the end of the test: ``funcx_service.faults``.

    Counts begin with the test. What is waited for is a future: ``await funcx_faults.seen(...)`` in
    a coroutine, ``funcx_faults.seen(...).result(timeout)`` elsewhere.
    """
    return funcx_service.faults


@pytest.fixture
def funcx_environment(
    funcx_service: LocalService, monkeypatch: pytest.MonkeyPatch
) -> Mapping[str, str]:
    """Environment variables that lead to the local service; set until the end of the test.

    ``FuncXExecutor()`` and ``FuncXClient()`` of the application then need no arguments.

    Returns:
        The variables, for instance for a process that the test starts.
    """
    from funcx_async.testing.fixtures import variables_for

    variables = variables_for(funcx_service)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


@pytest.fixture
def funcx_executor(funcx_environment: Mapping[str, str]) -> Iterator[FuncXExecutor]:
    """An executor on the local service, which binds to the event loop that first uses it.

    It needs no ``async with``. With the test's end it takes no more tasks, and cancels those that
    are not sent; it waits for none, so that a failed test does not hang.
    """
    from funcx_async.executor.executor import FuncXExecutor, let_go

    executor = FuncXExecutor()
    yield executor
    let_go(executor)


@pytest.fixture
def funcx_client(funcx_service: LocalService) -> FuncXClient:
    """A client of the local service; it keeps no connection open, so nothing has to close it."""
    from funcx_async.testing.fixtures import unconnected_client

    return unconnected_client(funcx_service)


@pytest.fixture
def funcx_blocking_executor(
    funcx_environment: Mapping[str, str],
) -> Iterator[blocking.FuncXExecutor]:
    """A :class:`funcx_async.blocking.FuncXExecutor`; it ends as ``funcx_executor`` does."""
    from funcx_async.blocking import FuncXExecutor

    executor = FuncXExecutor()
    yield executor
    executor.shutdown(wait=False, cancel_futures=True)
