"""The examples of docstrings that stand for a few lines of somebody's program run in one."""

from __future__ import annotations

import ast
import asyncio
import importlib
import inspect
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

import funcx_async
from funcx_async import FuncXClient, FuncXExecutor
from funcx_async.blocking import LocalService
from tests.docs.docstrings import NOT_RUN, Printed, printed


def add(a: int, b: int) -> int:
    return a + b


def simulate(seed: int) -> int:
    return 2 * seed


@asynccontextmanager
async def program(
    example: Printed, service: LocalService, journal: Path
) -> AsyncIterator[dict[str, Any]]:
    """What is there already in the program that an example is a part of."""
    own = importlib.import_module(example.module)
    names = {
        name: getattr(module, name)
        for module in (funcx_async, own)
        for name in (*vars(module), *getattr(module, "__all__", ()))
    }
    names |= {"add": add, "asyncio": asyncio, "simulate": simulate, "service": service}
    if ".fastapi" in example.module:
        names |= web_service()
    api: Any = "v2" if ".classic" in example.module else "v3"
    async with (
        FuncXClient(api=api) as client,
        FuncXExecutor() as fxe,
        FuncXExecutor(journal=journal) as executor,
    ):
        names |= {"client": client, "endpoint_id": service.endpoint_id}
        names |= {"fxe": fxe, "executor": executor, "keep": lambda key, result: None}
        if api == "v2":
            async with containers(client, service.endpoint_id) as kept:
                yield names | kept
        else:
            yield names | await tasks(client, service.endpoint_id, fxe)


async def tasks(client: FuncXClient, endpoint_id: str, executor: FuncXExecutor) -> dict[str, Any]:
    """A function, and tasks of it that have ended."""
    function_id = await client.register_function(add)
    batch = client.create_batch()
    batch.add(function_id, (40, 2))
    receipt = await client.batch_run(endpoint_id, batch)
    future = executor.submit(add, 40, 2)
    assert await future == 42
    return {
        "batch": batch,
        "function_id": function_id,
        "future": future,
        "receipt": receipt,
        "task_group_id": receipt.task_group_id,
        "task_id": future.task_id,
        "task_ids": [future.task_id],
    }


@asynccontextmanager
async def containers(client: FuncXClient, endpoint_id: str) -> AsyncIterator[dict[str, Any]]:
    """What the classic service keeps besides; the whitelist would be in the way of all others."""
    function_id = await client.register_function(add)
    await client.add_to_whitelist(endpoint_id, [function_id])
    container_id = await client.register_container("docker.io/me/tool", "docker")
    try:
        yield {"function_id": function_id, "container_id": container_id}
    finally:
        for listed in await client.get_whitelist(endpoint_id):
            await client.delete_from_whitelist(endpoint_id, listed)


def web_service() -> dict[str, Any]:
    """A FastAPI application, and what its own code has."""
    from contextlib import asynccontextmanager

    import fastapi
    from fastapi.sse import format_sse_event

    return vars(fastapi) | {
        "app": fastapi.FastAPI(),
        "asynccontextmanager": asynccontextmanager,
        "format_sse_event": format_sse_event,
        "logged_in": lambda: None,
        "open_database": nullcontext,
        "PREDICT": "6a5c1f0e-3b0e-4f0f-9d3c-0c6f0a3f6a11",
        "simulation": simulate,
    }


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(example, id=f"{example.module}:{example.name}")
        for example in printed()
        if example.own_name not in NOT_RUN
    ],
)
async def test_the_example_of_a_docstring_runs(
    example: Printed,
    service: LocalService,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    text = example.text.replace('endpoint_id="..."', "")
    code = compile(text, example.name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    async with program(example, service, tmp_path / "journal") as names:
        ended = eval(code, names)
        if inspect.isawaitable(ended):
            await ended


def test_what_is_not_run_is_there():
    assert set(NOT_RUN) <= {example.own_name for example in printed()}
