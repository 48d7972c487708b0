"""A program of ``funcx`` 1.0.13, unmodified; run by its own interpreter, which has no funcx_async.

It reads where to go from its environment, and ends with one JSON document of what it saw.
"""

from __future__ import annotations

import json
import os
import sys

from funcx import ContainerSpec, FuncXClient, FuncXExecutor
from funcx.errors import FuncxTaskExecutionFailed
from funcx.sdk.web_client import FuncxWebClient
from globus_sdk import AccessTokenAuthorizer

HELLO_WORLD = "b0a5d1a0-2b22-4381-b899-ba73321e41e0"
LIMIT = 30


def add(a, b):
    return a + b


def fail():
    raise ValueError("on purpose")


class Login:
    """What the original asks for credentials; they are given."""

    def ensure_logged_in(self):
        pass

    def logout(self):
        return False

    def get_auth_client(self):
        raise NotImplementedError

    def get_funcx_web_client(self, *, base_url=None):
        authorizer = AccessTokenAuthorizer(os.environ["LOCAL_TOKEN"])
        return FuncxWebClient(base_url=base_url, authorizer=authorizer)


def outcome(future):
    """The value, or the error as text."""
    try:
        return future.result(timeout=LIMIT)
    except FuncxTaskExecutionFailed as error:
        return str(error)


def work(client, endpoint_id):
    """Submit tasks of all kinds; what became of them."""
    with FuncXExecutor(endpoint_id=endpoint_id, funcx_client=client) as executor:
        futures = [executor.submit(add, number, number) for number in range(200)]
        error = executor.submit(fail)
        hello = executor.submit_to_registered_function(HELLO_WORLD)
        return {
            "values": [outcome(future) for future in futures],
            "error": outcome(error),
            "hello": outcome(hello),
            "group": executor.task_group_id,
            "task": client.get_task(futures[0].task_id)["status"],
        }


def reload(client, endpoint_id, group_id):
    """Take up a task group, one task of which is not finished."""
    with FuncXExecutor(
        endpoint_id=endpoint_id, funcx_client=client, task_group_id=group_id
    ) as executor:
        futures = list(executor.reload_tasks())
        (unfinished,) = [future for future in futures if not future.done()]
        print("reloaded", flush=True)  # now let it finish
        return {
            "values": sorted(outcome(future) for future in futures if future is not unfinished),
            "unfinished": outcome(unfinished),
        }


def administer(client, endpoint_id):
    """Containers, whitelists and the endpoint's status."""
    container_id = client.register_container("docker://x", "docker", name="c")
    built = client.build_container(ContainerSpec(name="built", pip=["numpy"]))
    function_id = client.register_function(add, container_uuid=container_id)
    client.add_to_whitelist(endpoint_id, [function_id])
    batch = client.create_batch()
    batch.add(HELLO_WORLD, endpoint_id)
    try:
        refused = client.batch_run(batch)
    except FuncxTaskExecutionFailed as error:
        refused = str(error)
    whitelist = client.get_whitelist(endpoint_id)["result"]
    client.delete_from_whitelist(endpoint_id, function_id)
    return {
        "location": client.get_container(container_id, "docker")["location"],
        "built": client.get_container_build_status(built),
        "refused": refused,
        "whitelisted": whitelist == [function_id],
        "status": client.get_endpoint_status(endpoint_id)["status"],
        "task": bool(client.run(1, 2, endpoint_id=endpoint_id, function_id=function_id)),
    }


def main():
    client = FuncXClient(
        funcx_service_address=os.environ["LOCAL_URL"] + "/v2", login_manager=Login()
    )
    part = {"work": work, "reload": reload, "administer": administer}[sys.argv[1]]
    json.dump(part(client, os.environ["LOCAL_ENDPOINT"], *sys.argv[2:]), sys.stdout)


if __name__ == "__main__":
    main()
