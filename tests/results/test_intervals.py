"""Executors that share a task group: each has its own open tasks looked up in its own time."""

from __future__ import annotations

import asyncio
import json
import math

import httpx

from funcx_async import FuncXClient
from funcx_async._results.stream import shared_stream
from tests.results.parts import Part
from tests.results.sources import Source

TIMEOUT = 60
URL = "http://127.0.0.1:9"


class Service:
    """Answers that no task is done, and keeps what it was asked for."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[list[str]] = asyncio.Queue()

    def client(self) -> FuncXClient:
        return FuncXClient(URL, auth="t", transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        task_ids = json.loads(request.content)["task_ids"]
        self.asked.put_nowait(task_ids)
        results = {task_id: {"task_id": task_id, "status": "running"} for task_id in task_ids}
        return httpx.Response(200, json={"results": results})


async def first_asked(patient_first: bool) -> list[list[str]]:
    """Let an executor that looks often share a group with one that never does; what is asked."""
    service = Service()
    patient = Part(Source(), service.client(), reconcile_interval=math.inf)
    hasty = Part(Source(), service.client(), reconcile_interval=0.02)
    order = (patient, hasty) if patient_first else (hasty, patient)
    stream = shared_stream(URL, f"group, patient first: {patient_first}")
    for part in order:
        stream.join(part.subscriber)
    try:
        patient.awaited("of the patient", stream)
        hasty.awaited("of the hasty", stream)
        return [await asyncio.wait_for(service.asked.get(), TIMEOUT) for _ in range(3)]
    finally:
        for part in order:
            await stream.leave(part.subscriber)


async def test_who_looks_often_does_so_though_another_never_does():
    assert await first_asked(patient_first=True) == [["of the hasty"]] * 3


async def test_who_never_looks_is_spared_though_another_looks_often():
    assert await first_asked(patient_first=False) == [["of the hasty"]] * 3


async def test_who_joins_late_looks_in_its_own_time():
    service = Service()
    patient = Part(Source(), service.client(), reconcile_interval=math.inf)
    stream = shared_stream(URL, "joined late")
    stream.join(patient.subscriber)
    patient.awaited("of the patient", stream)
    for _ in range(5):
        await asyncio.sleep(0)
    hasty = Part(Source(), service.client(), reconcile_interval=0.02)
    stream.join(hasty.subscriber)
    try:
        hasty.awaited("of the hasty", stream)
        assert await asyncio.wait_for(service.asked.get(), TIMEOUT) == ["of the hasty"]
    finally:
        for part in (patient, hasty):
            await stream.leave(part.subscriber)


async def test_a_task_that_two_await_is_looked_up_as_often_as_either_wants():
    service = Service()
    patient = Part(Source(), service.client(), reconcile_interval=math.inf)
    hasty = Part(Source(), service.client(), reconcile_interval=0.02)
    stream = shared_stream(URL, "awaited twice")
    for part in (patient, hasty):
        stream.join(part.subscriber)
        part.awaited("shared", stream)
    try:
        assert await asyncio.wait_for(service.asked.get(), TIMEOUT) == ["shared"]
    finally:
        for part in (patient, hasty):
            await stream.leave(part.subscriber)
