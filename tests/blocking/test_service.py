"""The local service without an event loop."""

from __future__ import annotations

import inspect

import pytest

import funcx_async.blocking
import funcx_async.local
from funcx_async.blocking import LocalService
from tests.executor.tasks import add

TIMEOUT = 20


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


def test_a_name_that_is_not_public_is_an_attribute_error():
    assert dir(funcx_async.blocking) == funcx_async.blocking.__all__
    with pytest.raises(AttributeError, match="no attribute 'Manager'"):
        funcx_async.blocking.Manager  # noqa: B018
