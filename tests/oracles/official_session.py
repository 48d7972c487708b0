"""A program of the official SDK, unmodified; run by its own interpreter, which has no funcx_async.

It reads where to go from its environment, and ends with one JSON document of what it saw.
"""

from __future__ import annotations

import json
import os
import sys

from globus_compute_sdk import Client, Executor
from globus_compute_sdk.errors import TaskExecutionFailed
from globus_sdk import AccessTokenAuthorizer

HELLO_WORLD = "b0a5d1a0-2b22-4381-b899-ba73321e41e0"
LIMIT = 30


def add(a, b):
    return a + b


def fail():
    raise ValueError("on purpose")


def crash():
    import os

    os._exit(3)


def outcome(future):
    """The value, or the error as text."""
    try:
        return future.result(timeout=LIMIT)
    except TaskExecutionFailed as error:
        return str(error)


def work(client, endpoint_id):
    """Submit tasks of all kinds; what became of them."""
    with Executor(endpoint_id=endpoint_id, client=client) as executor:
        futures = [executor.submit(add, number, number) for number in range(300)]
        error, lost = executor.submit(fail), executor.submit(crash)
        hello = executor.submit_to_registered_function(HELLO_WORLD)
        return {
            "values": [outcome(future) for future in futures],
            "error": outcome(error),
            "crash": outcome(lost),
            "hello": outcome(hello),
            "group": str(executor.task_group_id),
            "status": client.get_endpoint_status(endpoint_id)["status"],
            "task": client.get_task(futures[0].task_id)["status"],
        }


def reload(client, endpoint_id, group_id):
    """Take up a task group again, one task of which is not finished."""
    with Executor(endpoint_id=endpoint_id, client=client, task_group_id=group_id) as executor:
        futures = list(executor.reload_tasks())
        (unfinished,) = [future for future in futures if not future.done()]
        print("reloaded", flush=True)  # now let it finish
        return {
            "reloaded": len(futures),
            "values": sum(1 for future in futures if isinstance(outcome(future), int)),
            "unfinished": outcome(unfinished),
            "afterwards": outcome(executor.submit(add, 1, 1)),
        }


def main():
    authorizer = AccessTokenAuthorizer(os.environ["LOCAL_TOKEN"])
    client = Client(environment="local", authorizer=authorizer)
    part = {"work": work, "reload": reload}[sys.argv[1]]
    json.dump(part(client, os.environ["LOCAL_ENDPOINT"], *sys.argv[2:]), sys.stdout)


if __name__ == "__main__":
    main()
