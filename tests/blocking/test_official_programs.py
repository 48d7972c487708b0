"""Programs for the official clients run with another import: keys, batches, arguments."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import globus_sdk
import pytest
from globus_sdk.authorizers import GlobusAuthorizer

from funcx_async import JSONData, PureSourceTextInspect, SerializationError, TaskExecutionFailed
from funcx_async.blocking import FuncXClient, FuncXExecutor, LocalService
from tests.executor.tasks import add, fail

TIMEOUT = 60


def finished(service: LocalService, client: FuncXClient, fn: Any, *args: Any) -> Any:
    """Return the status of a task that has ended."""
    with FuncXExecutor(service.endpoint_id, funcx_client=client) as executor:
        future = executor.submit(fn, *args)
        future.exception(TIMEOUT)
    return client.get_task(future.task_id or "")


def test_a_task_has_the_keys_of_the_official_dictionary(service: LocalService):
    with service.client() as client:
        task = finished(service, client, add, 1)
        assert (task["pending"], task["status"], task["result"]) == (False, "success", 2)
        assert task.get("result") == 2
        assert float(task["completion_t"]) > 0
        assert set(task) == {"pending", "status", "result", "completion_t", "details"}
        with pytest.raises(KeyError):
            task["exception"]


def test_the_result_of_a_failed_task_raises_as_the_official_client_does(service: LocalService):
    with service.client() as client:
        task = finished(service, client, fail, "as it should")
        assert (task["pending"], task["status"]) == (False, "failed")
        for read in (lambda: task["result"], lambda: task.get("result")):
            with pytest.raises(TaskExecutionFailed, match="as it should"):
                read()


def test_a_pending_task_has_no_result(service: LocalService):
    with service.client() as client:
        function_id = client.register_function(add)
        with service.faults.endpoint_offline():
            task_id = client.run(1, endpoint_id=service.endpoint_id, function_id=function_id)
            task = client.get_task(task_id)
            assert task["pending"]
            assert "result" not in task
            assert task.get("result") is None


def test_receipts_endpoints_functions_and_queues_have_the_official_keys(service: LocalService):
    with service.client() as client:
        function_id = client.register_function(add)
        batch = client.create_batch()
        batch.add(function_id, args=(1,))
        receipt = client.batch_run(service.endpoint_id, batch)
        assert set(receipt) == {"request_id", "task_group_id", "endpoint_id", "tasks"}
        assert receipt["endpoint_id"] == service.endpoint_id
        assert receipt["tasks"] == {function_id: receipt.tasks[function_id]}
        assert client.get_endpoint_status(service.endpoint_id)["status"] == "online"
        metadata = client.get_endpoint_metadata(service.endpoint_id)
        assert dict(metadata) == metadata.raw
        assert client.get_endpoints()[0]["uuid"] == service.endpoint_id
        assert client.get_function(function_id)["function_uuid"] == function_id
        assert set(client.get_result_amqp_url()) == {"queue_prefix", "connection_url"}


@pytest.mark.parametrize("api", ["v2", "v3"])
def test_batch_run_of_a_batch_alone_returns_a_list_as_funcx_does(api: Any):
    with LocalService(workers=1) as service, service.client(api=api) as client:
        adding, failing = client.register_function(add), client.register_function(fail)
        batch = client.create_batch()
        batch.add(adding, service.endpoint_id, (1,))
        batch.add(failing, service.endpoint_id, kwargs={"words": "no"})
        batch.add(adding, endpoint_id=service.endpoint_id, args=(2,))
        task_ids = client.batch_run(batch)
        assert len(task_ids) == 3
        service.faults.seen("executed", 3).result(TIMEOUT)
        blocks = client.get_batch_result(task_ids)
        assert [blocks[task_id].get("result") for task_id in task_ids] == [2, None, 3]


def test_a_batch_for_several_endpoints_says_what_was_submitted_when_one_refuses(
    service: LocalService,
):
    with service.client(api="v2") as client:
        function_id = client.register_function(add)
        batch = client.create_batch()
        batch.add(function_id, service.endpoint_id, (1,))
        batch.add(function_id, str(uuid4()), (2,))
        with pytest.raises(Exception, match="ndpoint") as caught:
            client.batch_run(batch)
        (note,) = caught.value.__notes__
        assert note.startswith("These tasks of the batch were submitted: ")


def test_a_batch_does_not_go_where_its_tasks_are_not_meant_to(service: LocalService):
    with service.client() as client:
        batch = client.create_batch()
        batch.add(str(uuid4()), str(uuid4()), (1,))
        with pytest.raises(ValueError, match="One request goes to one endpoint"):
            client.batch_run(service.endpoint_id, batch)
        batch.add(str(uuid4()), (1,))
        with pytest.raises(ValueError, match="Not every task in the batch names an endpoint"):
            client.batch_run(batch)


# Arguments of the official clients ------------------------------------------------------------


def test_the_arguments_of_the_sdk_are_accepted(service: LocalService):
    with FuncXClient(
        service.url,
        authorizer=globus_sdk.AccessTokenAuthorizer(service.token),
        do_version_check=True,
        code_serialization_strategy=PureSourceTextInspect(),
        data_serialization_strategy=JSONData(),
    ) as client:
        with pytest.raises(SerializationError):
            client.serializer.serialize({1j})
        assert client.serializer.serialize([1]).startswith(JSONData.identifier)
        assert client.get_endpoint_status(service.endpoint_id)["status"] == "online"


def test_the_arguments_of_funcx_are_accepted(service: LocalService):
    group = str(uuid4())
    with FuncXClient(
        funcx_service_address=f"{service.url}/v2",
        fx_authorizer=globus_sdk.AccessTokenAuthorizer(service.token),
        http_timeout=30,
        task_group_id=group,
        do_version_check=False,
        asynchronous=None,  # type: ignore[call-arg]  # it is refused, unless it is None
    ) as client:
        assert (client.base_url, client.asynchronous.api) == (service.url, "v2")
        function_id = client.register_function(add)
        task_id = client.run(1, endpoint_id=service.endpoint_id, function_id=function_id)
        assert client.get_task_group(group) == [task_id]


def test_local_compute_services_are_at_port_5000():
    client = FuncXClient(environment="sandbox", local_compute_services=True, auth="x")
    assert client.base_url == "http://localhost:5000"


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("login_manager", "pass auth="),
        ("asynchronous", "funcx_async.FuncXClient"),
        ("loop", "funcx_async.FuncXClient"),
        ("results_ws_uri", "leave it out"),
        ("warn_about_url_mismatch", "leave it out"),
        ("openid_authorizer", "leave it out"),
        ("search_authorizer", "leave it out"),
        ("funcx_home", "leave it out"),
        ("use_offprocess_checker", "there is no such argument"),
    ],
)
def test_an_argument_that_is_refused_is_named_with_what_to_do(name: str, remedy: str):
    options: dict[str, Any] = {name: object()}
    with pytest.raises(TypeError, match=f"{name}.*{remedy}"):
        FuncXClient("http://127.0.0.1:1", **options)


def test_two_arguments_that_say_the_same_exclude_each_other():
    with pytest.raises(ValueError, match="http_timeout and timeout"):
        FuncXClient("http://127.0.0.1:1", timeout=1, http_timeout=2)


def test_an_authorizer_whose_token_is_refused_is_asked_for_another(service: LocalService):
    class Renewing(GlobusAuthorizer):
        tokens = ["stale", service.token]  # noqa: RUF012

        def get_authorization_header(self) -> str:
            return f"Bearer {self.tokens[0]}"

        def handle_missing_authorization(self) -> bool:
            del self.tokens[0]
            return True

    with FuncXClient(service.url, auth=Renewing()) as client:
        assert client.get_endpoint_status(service.endpoint_id)["status"] == "online"
