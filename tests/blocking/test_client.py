"""The blocking client does what the async one does."""

from __future__ import annotations

import inspect
from uuid import uuid4

import pytest

import funcx_async
from funcx_async import NotFound, ServiceUnavailable
from funcx_async.blocking import FuncXClient, FuncXExecutor, LocalService
from tests.executor.tasks import add

TIMEOUT = 60


def test_every_coroutine_of_the_async_client_is_a_method_here():
    elsewhere = {
        "aclose",
        "warn_if_outdated",
        "within_budget",
    }  # close() here; only for the executor's own use
    coroutines = {
        name
        for name, member in inspect.getmembers(funcx_async.FuncXClient, inspect.iscoroutinefunction)
        if not name.startswith("_")
    }
    missing = coroutines - elsewhere - set(dir(FuncXClient))
    assert coroutines
    assert not missing, "add them to funcx_async.blocking.client"


def test_its_signatures_and_documents_are_those_of_the_async_client():
    own = dict(inspect.signature(FuncXClient).parameters)
    assert own.pop("official").kind is inspect.Parameter.VAR_KEYWORD
    assert own == dict(inspect.signature(funcx_async.FuncXClient).parameters)
    ours, theirs = FuncXClient.get_task, funcx_async.FuncXClient.get_task
    assert inspect.signature(ours) == inspect.signature(theirs)
    assert ours.__doc__ == theirs.__doc__


def test_it_asks_the_service(service: LocalService):
    with FuncXClient(service.url, auth=service.token) as client:
        assert client.base_url == service.url
        assert "api" in client.get_version()
        assert client.get_endpoint_status(service.endpoint_id).status == "online"
        with FuncXExecutor(service.endpoint_id, funcx_client=client) as executor:
            future = executor.submit(add, 1)
            assert future.result(TIMEOUT) == 2
        assert future.task_id is not None
        assert client.get_task(future.task_id).status == "success"
        assert client.get_task_group(executor.task_group_id or "") == [future.task_id]


def test_a_refusal_is_the_same_error(service: LocalService):
    with pytest.raises(NotFound):
        service.client().get_task(str(uuid4()))


def test_after_close_it_may_be_used_again(service: LocalService):
    client = service.client()
    client.close()
    client.close()
    assert "api" in client.get_version()


def test_a_service_that_is_not_there_is_named():
    with (
        FuncXClient("http://127.0.0.1:1", auth="x") as client,
        pytest.raises(ServiceUnavailable, match=r"127\.0\.0\.1:1"),
    ):
        client.get_version()


def test_its_repr_names_the_service_and_no_token():
    assert repr(FuncXClient("http://127.0.0.1:8000", auth="secret")) == (
        "<FuncXClient http://127.0.0.1:8000>"
    )
