"""Batches of submissions: their types, how one is cut, and how its futures fail."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from funcx_async._core.batcher import Batch, Submission
from funcx_async._futures.future import FuncXFuture
from funcx_async._session.functions import Function
from funcx_async.errors import FuncXError, RequestRefused, ServiceUnavailable

AnyFuture: TypeAlias = FuncXFuture[Any]
AnyBatch: TypeAlias = Batch[AnyFuture, Function]
AnySubmission: TypeAlias = Submission[AnyFuture, Function]
FunctionIds: TypeAlias = Mapping[Function, str]


def fail_all(submissions: Iterable[AnySubmission], error: Exception) -> None:
    """Fail the task of each submission with an error of its own."""
    for submission in submissions:
        own = copy.copy(error)
        # Why the service is unavailable is in the message: no need for the chain of libraries.
        own.__cause__ = None if isinstance(own, ServiceUnavailable) else error.__cause__
        if isinstance(own, FuncXError):
            own.function_id = submission.function.function_id
        submission.ticket.task_failed(own)


def ids_of(
    batch: AnyBatch, task_group_id: str | None = None, request_id: str | None = None
) -> dict[str, object]:
    """Return the fields of a log record about a batch; docs/telemetry.md lists them."""
    return {
        "batch": batch.number,
        "endpoint_id": batch.route.endpoint_id,
        "task_group_id": task_group_id or batch.route.task_group_id,
        "request_id": request_id,
    }


def cut(batch: AnyBatch, error: RequestRefused) -> Sequence[AnyBatch]:
    """Return the parts of a refused batch to send on their own.

    There are none if no single submission can be the reason for the refusal.
    """
    functions = batch.by_function()
    about_function = "FUNCTION" in (error.code or "").upper()
    if error.status == 401 or len(batch) == 1:
        return []
    if error.status in (403, 404):
        if not about_function or len(functions) == 1:
            return []
        return [replace(batch, submissions=submissions) for submissions in functions.values()]
    return batch.halves() if error.status in (400, 413, 422) else []
