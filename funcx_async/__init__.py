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
from funcx_async.serialize import (
    AllCodeStrategies,
    AllDataStrategies,
    CombinedCode,
    DillCode,
    DillCodeSource,
    DillCodeTextInspect,
    DillDataBase64,
    FuncXSerializer,
    JSONData,
    PickleCode,
    PureSourceDill,
    PureSourceTextInspect,
)
from funcx_async.waiting import as_completed, gather

__all__ = [
    "AllCodeStrategies",
    "AllDataStrategies",
    "AnswerIncomplete",
    "AnswerLost",
    "AnswerNotUnderstood",
    "AuthenticationFailed",
    "CombinedCode",
    "DeserializationError",
    "DillCode",
    "DillCodeSource",
    "DillCodeTextInspect",
    "DillDataBase64",
    "ExecutorClosed",
    "Forbidden",
    "FuncXClient",
    "FuncXError",
    "FuncXExecutor",
    "FuncXFuture",
    "FuncXSerializer",
    "FuncxTaskExecutionFailed",
    "JSONData",
    "NotFound",
    "PickleCode",
    "PureSourceDill",
    "PureSourceTextInspect",
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
