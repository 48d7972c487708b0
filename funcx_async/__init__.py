"""An asyncio-native client for funcX / Globus Compute.

async with FuncXExecutor(endpoint_id="...") as executor:
    print(await executor.submit(add, 40, 2))
"""

from funcx_async.client import FuncXClient
from funcx_async.errors import (
    AnswerIncomplete,
    AnswerLost,
    AnswerNotUnderstood,
    AuthenticationFailed,
    DeserializationError,
    ExecutorClosed,
    Forbidden,
    FuncXError,
    FuncxTaskExecutionFailed,
    NotFound,
    RequestRefused,
    ResultExpired,
    SerializationError,
    ServiceUnavailable,
    SubmitUncertain,
    TaskExecutionFailed,
    TooLarge,
    TooManyOpenTasks,
)
from funcx_async.executor import FuncXExecutor
from funcx_async.futures import FuncXFuture
from funcx_async.waiting import as_completed, gather

__all__ = [
    "AnswerIncomplete",
    "AnswerLost",
    "AnswerNotUnderstood",
    "AuthenticationFailed",
    "DeserializationError",
    "ExecutorClosed",
    "Forbidden",
    "FuncXClient",
    "FuncXError",
    "FuncXExecutor",
    "FuncXFuture",
    "FuncxTaskExecutionFailed",
    "NotFound",
    "RequestRefused",
    "ResultExpired",
    "SerializationError",
    "ServiceUnavailable",
    "SubmitUncertain",
    "TaskExecutionFailed",
    "TooLarge",
    "TooManyOpenTasks",
    "as_completed",
    "gather",
]
