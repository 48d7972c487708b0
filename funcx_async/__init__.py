"""An asyncio-native client for funcX / Globus Compute.

Example::

    async with FuncXExecutor(endpoint_id="...") as executor:
        print(await executor.submit(add, 40, 2))

A public name is imported when it is first asked for: programs start faster that need only some,
and so do the worker processes of the local service.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from funcx_async._lazy import attach

if TYPE_CHECKING:
    from funcx_async._futures.future import FuncXFuture
    from funcx_async._futures.gather import as_completed, gather
    from funcx_async._versions import __version__ as __version__
    from funcx_async.client import FuncXClient
    from funcx_async.errors import (
        AuthenticationFailed,
        DeserializationError,
        ExecutorClosed,
        Forbidden,
        FuncXError,
        FuncxTaskExecutionFailed,
        JournalError,
        NotFound,
        RequestRefused,
        ResponseIncomplete,
        ResponseLost,
        ResponseNotUnderstood,
        ResultExpired,
        SerializationError,
        ServiceUnavailable,
        SubmitUncertain,
        TaskExecutionFailed,
        TaskPending,
        TaskTimedOut,
        TooLarge,
        TooManyOpenTasks,
        VersionMismatch,
    )
    from funcx_async.events import EventKind, ExecutorEvent
    from funcx_async.executor.executor import FuncXExecutor
    from funcx_async.serialize import (
        AllCodeStrategies,
        AllDataStrategies,
        CombinedCode,
        DillCode,
        DillCodeSource,
        DillCodeTextInspect,
        DillDataBase64,
        Explanation,
        FuncXSerializer,
        JSONData,
        PickleCode,
        PureSourceDill,
        PureSourceTextInspect,
        explain,
        send_by_reference,
        send_by_value,
    )

__all__ = [
    "AllCodeStrategies",
    "AllDataStrategies",
    "AuthenticationFailed",
    "CombinedCode",
    "DeserializationError",
    "DillCode",
    "DillCodeSource",
    "DillCodeTextInspect",
    "DillDataBase64",
    "EventKind",
    "ExecutorClosed",
    "ExecutorEvent",
    "Explanation",
    "Forbidden",
    "FuncXClient",
    "FuncXError",
    "FuncXExecutor",
    "FuncXFuture",
    "FuncXSerializer",
    "FuncxTaskExecutionFailed",
    "JSONData",
    "JournalError",
    "NotFound",
    "PickleCode",
    "PureSourceDill",
    "PureSourceTextInspect",
    "RequestRefused",
    "ResponseIncomplete",
    "ResponseLost",
    "ResponseNotUnderstood",
    "ResultExpired",
    "SerializationError",
    "ServiceUnavailable",
    "SubmitUncertain",
    "TaskExecutionFailed",
    "TaskPending",
    "TaskTimedOut",
    "TooLarge",
    "TooManyOpenTasks",
    "VersionMismatch",
    "as_completed",
    "explain",
    "gather",
    "send_by_reference",
    "send_by_value",
]

_HOMES = {
    "AllCodeStrategies": "serialize",
    "AllDataStrategies": "serialize",
    "AuthenticationFailed": "errors",
    "CombinedCode": "serialize",
    "DeserializationError": "errors",
    "DillCode": "serialize",
    "DillCodeSource": "serialize",
    "DillCodeTextInspect": "serialize",
    "DillDataBase64": "serialize",
    "EventKind": "events",
    "ExecutorClosed": "errors",
    "ExecutorEvent": "events",
    "Explanation": "serialize",
    "Forbidden": "errors",
    "FuncXClient": "client",
    "FuncXError": "errors",
    "FuncXExecutor": "executor.executor",
    "FuncXFuture": "_futures.future",
    "FuncXSerializer": "serialize",
    "FuncxTaskExecutionFailed": "errors",
    "JSONData": "serialize",
    "JournalError": "errors",
    "NotFound": "errors",
    "PickleCode": "serialize",
    "PureSourceDill": "serialize",
    "PureSourceTextInspect": "serialize",
    "RequestRefused": "errors",
    "ResponseIncomplete": "errors",
    "ResponseLost": "errors",
    "ResponseNotUnderstood": "errors",
    "ResultExpired": "errors",
    "SerializationError": "errors",
    "ServiceUnavailable": "errors",
    "SubmitUncertain": "errors",
    "TaskExecutionFailed": "errors",
    "TaskPending": "errors",
    "TaskTimedOut": "errors",
    "TooLarge": "errors",
    "TooManyOpenTasks": "errors",
    "VersionMismatch": "errors",
    "__version__": "_versions",
    "as_completed": "_futures.gather",
    "explain": "serialize",
    "gather": "_futures.gather",
    "send_by_reference": "serialize",
    "send_by_value": "serialize",
}

__getattr__, __dir__ = attach(__name__, __all__, _HOMES)
