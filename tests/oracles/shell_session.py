"""Shell functions of the official SDK, submitted by our executors.

Run by the interpreter that has funcx_async, told where the official SDK's packages are: they come
last on the path, here and in the local service's workers.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

OFFICIAL = sys.argv[1]
sys.path.append(OFFICIAL)
os.environ["PYTHONPATH"] = OFFICIAL  # for the workers

from globus_compute_sdk import MPIFunction, ShellFunction, ShellResult  # noqa: E402

from funcx_async import FuncXSerializer, blocking  # noqa: E402
from funcx_async._service.hardware import hardware_report  # noqa: E402
from funcx_async.local import LocalService  # noqa: E402

GREETING = ShellFunction("echo hello {name}; echo careful >&2", name="greet")
AS_DICT = ShellFunction("echo {number}", return_dict=True)
FAILING = ShellFunction("exit 3")
SLOW = ShellFunction("sleep 30", walltime=0.2)
RANKS = MPIFunction("echo ranks", return_dict=True)
NEEDS = {"num_nodes": 1, "ranks_per_node": 2}


def seen(result):
    """What a program can tell of a result."""
    if isinstance(result, ShellResult):
        return [result.stdout, result.stderr.splitlines()[-1:], result.returncode]
    return [result["stdout"], result["returncode"], result["exception_name"]]


async def asynchronously():
    async with LocalService(workers=2) as service, service.executor() as executor:
        values = [
            await executor.submit(GREETING, name="you"),
            await executor.submit(AS_DICT, number=42),
            await executor.submit(FAILING),
            await executor.submit(SLOW),
        ]
        executor.resource_specification = NEEDS
        values.append(await executor.submit(RANKS))
    return [seen(value) for value in values]


def blockingly():
    with blocking.LocalService(workers=2) as service, service.executor() as executor:
        futures = [
            executor.submit(GREETING, name="you"),
            executor.submit(AS_DICT, number=42),
            executor.submit(FAILING),
            executor.submit(SLOW),
        ]
        executor.resource_specification = NEEDS
        futures.append(executor.submit(RANKS))
        return [seen(future.result(30)) for future in futures]


def written():
    """Functions and arguments as they go over the wire, for the official worker."""
    serializer = FuncXSerializer()
    calls = [(AS_DICT, {"number": 42}), (RANKS, {}), (hardware_report, {})]
    return [
        [serializer.serialize_function(function), serializer.serialize_arguments((), kwargs)]
        for function, kwargs in calls
    ]


if __name__ == "__main__":
    document = {
        "async": asyncio.run(asynchronously()),
        "blocking": blockingly(),
        "written": written(),
    }
    json.dump(document, sys.stdout)
