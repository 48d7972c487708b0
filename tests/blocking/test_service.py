"""The local service without an event loop."""

from __future__ import annotations

import asyncio
import inspect

import pytest

import funcx_async.blocking
import funcx_async.local
from funcx_async.blocking import LocalService
from funcx_async.blocking.service import Faults, Hold
from tests.executor.tasks import add

TIMEOUT = 60


def test_it_serves_within_a_with_block():
    with LocalService(workers=1) as service:
        assert service.url in repr(service)
        with service.executor(label="mine") as executor:
            assert executor.submit(add, 1).result(TIMEOUT) == 2
        client = service.client()
        assert "api" in client.get_version()
    assert repr(service) == "<LocalService, not running>"
    with pytest.raises(RuntimeError, match="not running"):
        service.executor()
    service.close()


def test_it_may_be_started_again_with_what_its_database_holds(tmp_path):
    service = LocalService(workers=1, database=tmp_path / "service.db", token="t")
    with service, service.executor() as executor:
        function_id = executor.register_function(add)
    with service, service.executor() as executor:
        future = executor.submit_to_registered_function(function_id, (1, 2))
        assert future.result(TIMEOUT) == 3
    assert service.token == "t"


def test_its_arguments_are_those_of_the_async_service():
    theirs = inspect.signature(funcx_async.local.LocalService)
    assert inspect.signature(LocalService) == theirs
    with pytest.raises(ValueError, match="worker"):
        LocalService(workers=0)


def test_its_faults_are_those_of_the_async_service():
    for own, theirs in ((Faults, funcx_async.local.Faults), (Hold, funcx_async.local.Hold)):
        members = {name for name in dir(theirs) if not name.startswith("_")} - {"note"}
        assert {name for name in dir(own) if not name.startswith("_")} == members
        for name in members - {"held", "over"}:
            assert inspect.signature(getattr(own, name)) == inspect.signature(getattr(theirs, name))


async def test_what_its_faults_wait_for_can_be_awaited_on_any_loop_and_asked_for_on_none():
    service = LocalService(workers=1)
    await asyncio.to_thread(service.start)
    try:
        executor = service.executor()
        with service.faults.hold_replies("submit") as hold:
            future = executor.submit(add, 1)
            await asyncio.wait_for(hold.seen(), TIMEOUT)
            assert (hold.held, hold.over, future.done()) == (1, False, False)
        assert hold.over
        assert await asyncio.wait_for(future, TIMEOUT) == 2
        seen = service.faults.seen("executed")
        assert await asyncio.to_thread(seen.result, TIMEOUT) is None
        with pytest.raises(ValueError, match="not counted"):
            await service.faults.seen("nonsense")
        await asyncio.to_thread(executor.shutdown)
    finally:
        await asyncio.to_thread(service.close)


def test_a_name_that_is_not_public_is_an_attribute_error():
    assert dir(funcx_async.blocking) == funcx_async.blocking.__all__
    with pytest.raises(AttributeError, match="no attribute 'Manager'"):
        funcx_async.blocking.Manager  # noqa: B018
