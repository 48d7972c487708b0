"""From a result to the future that awaits it."""

from __future__ import annotations

from typing import Any

from funcx_async.errors import ResultExpired, TaskExecutionFailed
from funcx_async.futures import FuncXFuture
from funcx_async.models import Result
from funcx_async.results.lookup import EXPIRED


def settle(future: FuncXFuture[Any], result: Result) -> bool:
    """Give ``future`` its only outcome; False if it has one already."""
    if result.error_code is None:
        return future.succeed(result.data or "")
    if result.error_code == EXPIRED:
        return future.fail(
            ResultExpired(
                f"The service no longer knows the task {result.task_id} ({result.data}): its "
                "result is lost, and it has to be submitted again.",
                task_id=result.task_id,
            )
        )
    return future.fail(
        TaskExecutionFailed(
            result.data or "",
            result.completion_t,
            code=result.error_code,
            task_id=result.task_id,
        )
    )
