"""What can go wrong, arranged by what the caller can do about it.

    FuncXError
    │   tasks: what became of a task
    ├── TaskExecutionFailed     the function raised, or its worker died: read the remote traceback
    ├── TaskPending             the task has not ended: ask again later
    ├── TaskTimedOut            no result in the time that `options(timeout=)` gave it (also a
    │                               TimeoutError): it may still run
    ├── ResultExpired           the service no longer has the result: run it again
    │   refused: the service said no
    ├── RequestRefused          mend the request
    │   ├── AuthenticationFailed    log in again, or give another token
    │   ├── Forbidden               ask the owner of the function or endpoint for access
    │   ├── NotFound                check the id
    │   └── TooLarge                send less, or by another way
    ├── VersionMismatch         the service takes newer versions only: install one
    │   unanswered: the service gave no answer, or none to be understood
    ├── ServiceUnavailable      it could not be reached, or has no time: try again later
    │   └── ResponseLost              it may have done its work, but the answer did not arrive
    ├── ResponseNotUnderstood     is this a funcX service? (also a ValueError)
    │   └── ResponseIncomplete        something is missing in it (also a KeyError)
    ├── SubmitUncertain         nobody can know whether the tasks run: look, then decide
    │   here: the obstacle is in this process
    ├── SerializationError      this object cannot travel: send something else
    ├── DeserializationError    what arrived cannot be read here: the payload is attached
    ├── JournalError         its file cannot be used: mend that, or name another file
    ├── TooManyOpenTasks        wait for some of them (also a RuntimeError)
    └── ExecutorClosed          the executor no longer works: open a new one (also a RuntimeError)

Each of the four groups has a module of its own; the names are imported from here.

Every error carries the ids that it concerns, or None: ``task_id``, ``function_id``,
``request_id``. No error of a library underneath leaves this package; where one was the reason,
it is the ``__cause__``.
"""

from __future__ import annotations

from funcx_async.errors.base import FuncXError
from funcx_async.errors.here import (
    DeserializationError,
    ExecutorClosed,
    JournalError,
    SerializationError,
    TooManyOpenTasks,
)
from funcx_async.errors.refused import (
    AuthenticationFailed,
    Forbidden,
    NotFound,
    RequestRefused,
    TooLarge,
    VersionMismatch,
)
from funcx_async.errors.tasks import (
    FuncxTaskExecutionFailed,
    ResultExpired,
    TaskExecutionFailed,
    TaskPending,
    TaskTimedOut,
)
from funcx_async.errors.unanswered import (
    ResponseIncomplete,
    ResponseLost,
    ResponseNotUnderstood,
    ServiceUnavailable,
    SubmitUncertain,
)

__all__ = [
    "AuthenticationFailed",
    "DeserializationError",
    "ExecutorClosed",
    "Forbidden",
    "FuncXError",
    "FuncxTaskExecutionFailed",
    "JournalError",
    "NotFound",
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
]

for _name in __all__:
    # Tracebacks name them, and pickles find them, where they are imported from.
    globals()[_name].__module__ = __name__
