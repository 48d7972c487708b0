"""The obstacle is in this process, its objects or its files, and not at the service."""

from __future__ import annotations

from funcx_async.errors.base import FuncXError


class SerializationError(FuncXError):
    """An object cannot be written for the wire; the message names which one and why.

    Example:
        >>> from funcx_async import FuncXSerializer
        >>> try:
        ...     FuncXSerializer().serialize(n for n in range(3))
        ... except SerializationError as error:
        ...     print(str(error).partition(";")[0])
        the value cannot be sent: it is of type generator
    """


class DeserializationError(FuncXError):
    """What arrived cannot be read here.

    Attributes:
        payload: the serialized text as it came.

    Example:
        >>> from funcx_async import FuncXSerializer, JSONData
        >>> pickled = FuncXSerializer().serialize([1, 2])
        >>> try:
        ...     FuncXSerializer(allowed_deserializers=[JSONData]).deserialize(pickled)
        ... except DeserializationError as error:
        ...     print(error.payload == pickled)
        True
    """

    def __init__(self, message: str, *, payload: str = "", task_id: str | None = None) -> None:
        super().__init__(message, task_id=task_id)
        self.payload = payload


class JournalError(FuncXError):
    """The journal cannot be opened, read or written; nothing that it should keep is sent.

    Example:
        >>> isinstance(JournalError("squares.journal is on a full disk"), FuncXError)
        True
    """


class TooManyOpenTasks(FuncXError, RuntimeError):
    """The executor's ``max_in_flight`` tasks are open already.

    Example:
        >>> from funcx_async.blocking import LocalService
        >>> with LocalService(workers=1) as service, service.executor(max_in_flight=1) as executor:
        ...     future = executor.submit(pow, 2, 5)
        ...     try:
        ...         executor.submit(pow, 2, 6)
        ...     except TooManyOpenTasks:
        ...         print(future.result())
        32
    """


class ExecutorClosed(FuncXError, RuntimeError):
    """The executor was shut down, or its event loop is gone.

    Example:
        >>> from funcx_async.blocking import FuncXExecutor
        >>> executor = FuncXExecutor("4b116d3c-1703-4f8f-9f6f-39921e5864df")
        >>> executor.shutdown()
        >>> try:
        ...     executor.submit(pow, 2, 5)
        ... except ExecutorClosed as error:
        ...     print(error)
        This executor was shut down: make a new one.
    """
