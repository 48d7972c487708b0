"""From a result to the future that awaits it."""

from __future__ import annotations

from typing import Any

from funcx_async.futures import FuncXFuture
from funcx_async.models import Result
from funcx_async.outcomes import failure_of


def settle(future: FuncXFuture[Any], result: Result) -> bool:
    """Give ``future`` its only outcome; False if it has one already."""
    failure = failure_of(result)
    return future.succeed(result.data or "") if failure is None else future.fail(failure)
