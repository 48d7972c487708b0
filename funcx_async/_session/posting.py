"""One request to submit: functions registered, payloads sent, the receipt read.

What comes of it is told to the futures here; whether and when to send again is for the submitter.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from funcx_async._core.batcher import Batch, Submission, read_receipt
from funcx_async._futures.future import FuncXFuture
from funcx_async._journal import Journal
from funcx_async._session.functions import Function
from funcx_async.client import FuncXClient
from funcx_async.errors import FuncXError, RequestRefused, SubmitUncertain
from funcx_async.models import Receipt

AnyFuture: TypeAlias = FuncXFuture[Any]
AnyBatch: TypeAlias = Batch[AnyFuture, Function]
AnySubmission: TypeAlias = Submission[AnyFuture, Function]
FunctionIds: TypeAlias = Mapping[Function, str]
Accepted: TypeAlias = list[tuple[str, AnyFuture]]
"""Task ids with the futures that await them."""


@dataclass(slots=True)
class Taken:
    """What the service made of a batch.

    Attributes:
        accepted: the tasks that futures await.
        unawaited: ids of tasks that no future awaits.
        complete: whether these are all tasks that can have come of it.
    """

    accepted: Accepted = field(default_factory=list)
    unawaited: list[str] = field(default_factory=list)
    complete: bool = True


async def register_functions(
    client: FuncXClient, batch: AnyBatch
) -> tuple[dict[Function, str], dict[Function, Exception]]:
    """Have all functions of a batch registered; gives the ids, and why there is none.

    One try each: a function that the service has trouble with holds up no other.
    """
    functions = tuple(batch.by_function())
    known = {each: each.function_id for each in functions if each.function_id is not None}
    if len(known) == len(functions):
        return known, {}
    answers = await asyncio.gather(
        *(function.registered(client, 0.0) for function in functions), return_exceptions=True
    )
    function_ids: dict[Function, str] = {}
    failures: dict[Function, Exception] = {}
    for function, answer in zip(functions, answers, strict=True):
        if isinstance(answer, str):
            function_ids[function] = answer
        elif isinstance(answer, Exception):
            failures[function] = answer
        else:
            raise answer
    return function_ids, failures


async def post(
    client: FuncXClient, batch: AnyBatch, function_ids: FunctionIds, group: str | None
) -> Receipt:
    """Send a batch.

    Raises:
        RequestRefused: if the service does not take it.
        ServiceUnavailable: if it certainly took nothing and may be asked again.
        SubmitUncertain: if nobody can know whether it took it.
    """
    sent = batch.by_function_id(function_ids).items()
    payloads = {function_id: [entry.payload for entry in entries] for function_id, entries in sent}
    route = batch.route
    return await client.submit(
        route.endpoint_id,
        payloads,
        task_group_id=group,
        resource_specification=_parsed(route.resource_specification),
        user_endpoint_config=_parsed(route.user_endpoint_config),
        result_serializers=route.result_serializers or None,
    )


async def write_intents(
    journal: Journal, batch: AnyBatch, function_ids: FunctionIds, group: str | None
) -> None:
    """Have written down that a batch is about to be sent.

    Raises:
        JournalError: if it cannot be; the batch must not be sent then.
    """
    tasks = ((entry.ticket, function_ids[entry.function]) for entry in batch.submissions)
    await journal.intend(tasks, group)


async def write_receipt(
    journal: Journal, batch: AnyBatch, function_ids: FunctionIds, receipt: Receipt
) -> None:
    """Have written down what became of a batch, before its futures are told."""
    clear, _ = read_receipt(batch, function_ids, receipt)
    tasks = [(entry.ticket, task_id) for task_id, entry in clear if task_id not in receipt.refusals]
    await journal.accept(tasks, receipt.task_group_id)


def accept(batch: AnyBatch, function_ids: FunctionIds, receipt: Receipt, now: float) -> Taken:
    """Tell the futures what the receipt says.

    Args:
        batch: what was sent.
        function_ids: the id under which each of its functions was sent.
        receipt: the answer.
        now: the time, on the loop's clock.
    """
    clear, unclear = read_receipt(batch, function_ids, receipt)
    taken = Taken()
    refusals = receipt.refusals
    for task_id, submission in clear:
        if task_id in refusals:
            fail_all([submission], refusals[task_id])
            taken.complete = False  # whether it is in the group, the service does not say
            continue
        future = submission.ticket
        future.accept(task_id, now)
        if future.done():  # given up meanwhile
            taken.unawaited.append(task_id)
        else:
            taken.accepted.append((task_id, future))
    if unclear:
        known = {task_id for task_id, _ in clear}
        candidates = [i for ids in receipt.tasks.values() for i in ids if i not in known]
        taken.unawaited += candidates
        taken.complete = False
        message = (
            "The service's receipt does not say which task is which; they may all run. The task "
            "ids are in `candidate_task_ids`."
        )
        fail_all(
            unclear,
            SubmitUncertain(
                message,
                task_group_id=receipt.task_group_id,
                candidate_task_ids=candidates,
                request_id=receipt.request_id,
            ),
        )
    return taken


def fail_all(submissions: Iterable[AnySubmission], error: Exception) -> None:
    """Fail the future of each with an error of its own."""
    for submission in submissions:
        own = copy.copy(error)
        own.__cause__ = error.__cause__
        if isinstance(own, FuncXError):
            own.function_id = submission.function.function_id
        submission.ticket.fail(own)


def ids_of(
    batch: AnyBatch, task_group_id: str | None = None, request_id: str | None = None
) -> dict[str, object]:
    """Give the fields of a log record about a batch; see docs/telemetry.md."""
    return {
        "batch": batch.number,
        "endpoint_id": batch.route.endpoint_id,
        "task_group_id": task_group_id or batch.route.task_group_id,
        "request_id": request_id,
    }


def cut(batch: AnyBatch, error: RequestRefused) -> Sequence[AnyBatch]:
    """Give the parts to send on their own, or none if no single submission can be the culprit."""
    functions = batch.by_function()
    about_function = "FUNCTION" in (error.code or "").upper()
    if error.status == 401 or len(batch) == 1:
        return []
    if error.status in (403, 404):
        if not about_function or len(functions) == 1:
            return []
        return [replace(batch, submissions=submissions) for submissions in functions.values()]
    return batch.halves() if error.status in (400, 413, 422) else []


def _parsed(text: str | None) -> Any:
    return None if text is None else json.loads(text)
