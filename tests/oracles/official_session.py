"""A program of the official SDK, unmodified; run by its own interpreter, which has no funcx_async.

It reads where to go from its environment, and writes one JSON document of what it saw.
"""

from __future__ import annotations

import concurrent.futures
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


def slow():
    import time

    time.sleep(2)
    return "slow"


def outcome(future):
    """The value, or the error as text."""
    try:
        return future.result(timeout=LIMIT)
    except TaskExecutionFailed as error:
        return str(error)


def task_id(future):
    """The future's task id, once the service has given it."""
    while future.task_id is None:
        concurrent.futures.wait([future], timeout=0.05)
    return future.task_id


def main():
    client = Client(
        environment="local", authorizer=AccessTokenAuthorizer(os.environ["LOCAL_TOKEN"])
    )
    endpoint_id = os.environ["LOCAL_ENDPOINT"]
    seen = {}
    with Executor(endpoint_id=endpoint_id, client=client) as executor:
        futures = [executor.submit(add, number, number) for number in range(300)]
        error, lost = executor.submit(fail), executor.submit(crash)
        hello = executor.submit_to_registered_function(HELLO_WORLD)
        seen["values"] = [outcome(future) for future in futures]
        seen["error"], seen["crash"] = outcome(error), outcome(lost)
        seen["hello"] = outcome(hello)
        unfinished = task_id(executor.submit(slow))
        # Open again: the finished ones over REST, the unfinished one over AMQP.
        again = {future.task_id: future for future in executor.reload_tasks()}
        seen["reloaded"] = len(again)
        seen["reloaded value"] = outcome(again[futures[21].task_id])
        seen["reloaded error"] = outcome(again[error.task_id])
        seen["reloaded, was unfinished"] = again[unfinished].done()
        seen["reloaded, finished later"] = outcome(again[unfinished])
        seen["afterwards"] = outcome(executor.submit(add, 1, 1))
    seen["status"] = client.get_endpoint_status(endpoint_id)["status"]
    seen["task"] = client.get_task(futures[0].task_id)["status"]
    json.dump(seen, sys.stdout)


if __name__ == "__main__":
    main()
