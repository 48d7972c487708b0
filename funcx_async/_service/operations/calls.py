"""Operations that call functions without an executor, and return their results."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, NotRequired, TypedDict, overload
from uuid import UUID

from funcx_async._service.hardware import hardware_report
from funcx_async._service.operations.functions import FunctionOperations
from funcx_async._service.operations.tasks import TaskOperations
from funcx_async._service.outcomes import outcome_of, value_of
from funcx_async.errors import FuncXError, SubmitUncertain, TaskPending
from funcx_async.models import Receipt, TaskStatus
from funcx_async.serialize import FuncXSerializer


class Batch:
    """Tasks to submit in one request; :meth:`funcx_async.FuncXClient.create_batch` makes it.

    Args:
        serializer: writes the arguments.
        task_group_id: the group that the tasks belong to.
        resource_specification: what the tasks need, as the endpoint defines it.
        user_endpoint_config: the configuration of the user's endpoint.
        create_queue: send the results to the group's queue as well.
        result_serializers: import paths of the strategies for results, tried in order.
        user_runtime: what to report about this Python and machine in place of the facts.

    Attributes:
        calls: the tasks in the order of adding.

    Example:
        >>> batch = Batch(FuncXSerializer())
        >>> batch.add("b0a5d1a0-2b22-4381-b899-ba73321e41e0", (40,), {"b": 2})
        >>> batch
        <Batch of 1 task(s) of 1 function(s)>
    """

    def __init__(
        self,
        serializer: FuncXSerializer,
        *,
        task_group_id: str | UUID | None = None,
        resource_specification: Mapping[str, Any] | None = None,
        user_endpoint_config: Mapping[str, Any] | None = None,
        create_queue: bool = False,
        result_serializers: Sequence[str] | None = None,
        user_runtime: Mapping[str, Any] | None = None,
    ) -> None:
        self._serializer = serializer
        self.task_group_id = None if task_group_id is None else str(task_group_id)
        self.resource_specification = resource_specification
        self.user_endpoint_config = user_endpoint_config
        self.create_queue = create_queue
        self.result_serializers = result_serializers
        self.user_runtime = user_runtime
        self.calls: list[Call] = []

    def __repr__(self) -> str:
        return f"<Batch of {len(self)} task(s) of {len(self.tasks)} function(s)>"

    def __len__(self) -> int:
        """Return the number of tasks."""
        return len(self.calls)

    @property
    def tasks(self) -> dict[str, list[str]]:
        """The payloads of each function id, one for each task."""
        tasks: dict[str, list[str]] = {}
        for call in self.calls:
            tasks.setdefault(call.function_id, []).append(call.payload)
        return tasks

    @overload
    def add(
        self,
        function_id: str | UUID,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> None: ...

    @overload
    def add(
        self,
        function_id: str | UUID,
        endpoint_id: str | UUID,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> None: ...

    def add(self, function_id: str | UUID, *call: Any, **named: Any) -> None:
        """Add a task; its arguments are serialized here.

        ``add(function_id, endpoint_id, args, kwargs)``, as in ``funcx`` 1.x, names the endpoint of
        each task; :meth:`funcx_async.blocking.FuncXClient.batch_run` sends such a batch.

        Args:
            function_id: the registered function to call.
            *call: its positional arguments as a list or tuple, and its keyword arguments as a
                mapping; an endpoint id may come before them.
            **named: the same by name: ``args``, ``kwargs``, ``endpoint_id``.

        Raises:
            ValueError: if an id is not a UUID.
            TypeError: if the arguments are not a list or tuple, and a mapping with texts as keys.
            SerializationError: if an argument cannot be sent.
        """
        if "endpoint_id" in named or (call and _is_uuid(call[0])):
            self._add(function_id, *call, **named)
        else:
            self._add(function_id, None, *call, **named)

    def _add(
        self, function_id: str | UUID, endpoint_id: Any, args: Any = None, kwargs: Any = None
    ) -> None:
        if not _is_uuid(function_id):
            raise ValueError(f"{function_id!r:.80} is not the id of a function: a UUID is.")
        if endpoint_id is not None and not _is_uuid(endpoint_id):
            raise ValueError(f"{endpoint_id!r:.80} is not the id of an endpoint: a UUID is.")
        positional = () if args is None else args
        keywords = {} if kwargs is None else kwargs
        if not isinstance(positional, list | tuple):
            raise TypeError(f"args must be a list or a tuple, not a {type(args).__name__}.")
        if not isinstance(keywords, Mapping) or any(type(name) is not str for name in keywords):
            raise TypeError(f"kwargs must be a mapping with texts as keys, not {kwargs!r:.80}.")
        payload = self._serializer.serialize_arguments(tuple(positional), keywords)
        endpoint = None if endpoint_id is None else str(UUID(str(endpoint_id)))
        self.calls.append(Call(str(UUID(str(function_id))), endpoint, payload))

    def of_endpoint(self, endpoint_id: str | None) -> Batch:
        """Return a batch with only the tasks that name this endpoint."""
        part = copy.copy(self)
        part.calls = [call for call in self.calls if call.endpoint_id == endpoint_id]
        return part


class Call(NamedTuple):
    """A task of a batch: its function, the endpoint that it names or None, and its arguments."""

    function_id: str
    endpoint_id: str | None
    payload: str


def _is_uuid(value: object) -> bool:
    try:
        return isinstance(value, str | UUID) and bool(UUID(str(value)))
    except ValueError:
        return False


class TaskBlock(TypedDict):
    """The state of one task of many, as a dictionary.

    Attributes:
        pending: whether the task may still have a result later.
        status: ``success``, ``failed``, or a pending state such as ``waiting-for-ep``.
        result: the value; only for a task that succeeded.
        exception: the error; only for a task that failed, or whose value cannot be read here.
        completion_t: when it finished, in Unix seconds as a string, if known.
        details: the worker's environment, if reported.
    """

    pending: bool
    status: str
    result: NotRequired[Any]
    exception: NotRequired[FuncXError]
    completion_t: NotRequired[str]
    details: NotRequired[Mapping[str, Any]]


class CallOperations(FunctionOperations, TaskOperations):
    """Operations of the official clients that are more than one request.

    For more than a few tasks use an executor: it sends tasks in batches, and receives results
    without polling.
    """

    def create_batch(
        self,
        task_group_id: str | UUID | None = None,
        resource_specification: Mapping[str, Any] | None = None,
        user_endpoint_config: Mapping[str, Any] | None = None,
        create_websocket_queue: bool = False,
        result_serializers: Sequence[str] | None = None,
        *,
        user_runtime: Mapping[str, Any] | None = None,
    ) -> Batch:
        """Return an empty batch, for :meth:`batch_run`; no request is made.

        Args:
            task_group_id: a task group that the service knows; by default as in :meth:`submit`.
            resource_specification: what the tasks need, as the endpoint defines it.
            user_endpoint_config: values for the template of a multi-user endpoint.
            create_websocket_queue: send the results to the group's queue as well. Defaults to
                False.
            result_serializers: import paths of the strategies for results, tried in order; by
                default those that the client's serializer reads.
            user_runtime: as in :meth:`submit`.

        Returns:
            The batch; add tasks with its ``add``.

        Example::

            batch = client.create_batch()
            for number in range(10):
                batch.add(function_id, (number,))
            receipt = await client.batch_run(endpoint_id, batch)
        """
        if result_serializers is None and self.dialect.takes_options:
            result_serializers = self.serializer.result_serializers
        return Batch(
            self.serializer,
            task_group_id=task_group_id,
            resource_specification=resource_specification,
            user_endpoint_config=user_endpoint_config,
            create_queue=create_websocket_queue,
            result_serializers=result_serializers,
            user_runtime=user_runtime,
        )

    async def batch_run(self, endpoint_id: str | UUID, batch: Batch) -> Receipt:
        """Submit the tasks of a batch; submitted again, they run again.

        Args:
            endpoint_id: where the tasks are to run.
            batch: the tasks, from :meth:`create_batch`.

        Returns:
            The receipt: ``receipt.tasks[function_id]`` are the task ids, in the order of adding.

        Raises:
            ValueError: if the batch is empty, or a task in it names another endpoint.
            SubmitUncertain: if the receipt does not identify each task, or as in :meth:`submit`.
            FuncXError: as :meth:`submit`.

        Example::

            receipt = await client.batch_run(endpoint_id, batch)
            results = await client.get_batch_result(receipt.tasks[function_id])
        """
        if not batch:
            raise ValueError("There is no task in the batch: add some first.")
        if elsewhere := {call.endpoint_id for call in batch.calls} - {
            None,
            str(endpoint_id).lower(),
        }:
            raise ValueError(
                f"One request goes to one endpoint, here {endpoint_id}, but the batch is for "
                f"{', '.join(map(str, elsewhere))}: make a batch for each, or call "
                "batch_run(batch) of the blocking client."
            )
        receipt = await self.submit(
            endpoint_id,
            batch.tasks,
            task_group_id=batch.task_group_id,
            create_queue=batch.create_queue,
            resource_specification=batch.resource_specification,
            user_endpoint_config=batch.user_endpoint_config,
            result_serializers=batch.result_serializers,
            user_runtime=batch.user_runtime,
        )
        told = {function: len(ids) for function, ids in receipt.tasks.items()}
        if told != {function: len(payloads) for function, payloads in batch.tasks.items()}:
            raise SubmitUncertain(
                "The service's receipt does not identify each task; all of them may run. The "
                "task ids are in `candidate_task_ids`.",
                task_group_id=receipt.task_group_id,
                candidate_task_ids=[each for ids in receipt.tasks.values() for each in ids],
                request_id=receipt.request_id,
            )
        return receipt

    async def run(
        self,
        /,
        *args: Any,
        endpoint_id: str | UUID,
        function_id: str | UUID,
        **kwargs: Any,
    ) -> str:
        """Submit one call of a registered function, and return the task id.

        Args:
            *args: the function's positional arguments.
            endpoint_id: where the function is to run.
            function_id: the function.
            **kwargs: the function's keyword arguments. If one is called ``endpoint_id`` or
                ``function_id``, use a batch.

        Returns:
            The task id.

        Raises:
            ValueError: for a malformed id.
            SerializationError: if an argument cannot be sent.
            FuncXError: as :meth:`submit`.

        Example::

            task_id = await client.run(40, 2, endpoint_id=endpoint_id, function_id=function_id)
        """
        batch = self.create_batch()
        batch.add(function_id, args, kwargs)
        receipt = await self.batch_run(endpoint_id, batch)
        ((task_id,),) = receipt.tasks.values()
        if task_id in receipt.refusals:
            raise receipt.refusals[task_id]
        return task_id

    async def get_result(self, task_id: str | UUID) -> Any:
        """Return the value of a finished task; this polls once and does not wait.

        The classic service returns a result once; today's service keeps it for a while.

        Args:
            task_id: the task.

        Raises:
            TaskPending: if it has not finished; try again later.
            TaskExecutionFailed: if it failed.
            DeserializationError: if its value cannot be read here.
            ResultExpired: if the service has discarded the result.
            NotFound: if the service does not know the task.
            FuncXError: as every request.

        Example::

            print(await client.get_result(task_id))
        """
        status = await self.get_task(task_id)
        outcome = outcome_of(status)
        if outcome is None:
            raise TaskPending(
                f"The task {status.task_id} has not finished yet, it is {status.status!r}: try "
                "again later, or use an executor, which waits for results.",
                status=status.status,
                task_id=status.task_id,
            )
        return value_of(outcome, self.serializer.deserialize)

    async def get_batch_result(self, task_ids: Iterable[str | UUID]) -> dict[str, TaskBlock]:
        """Return the states and results of many tasks, by id.

        Failed tasks are included with their ``exception``; the official clients leave them out.

        Args:
            task_ids: any number of tasks.

        Raises:
            FuncXError: as every request; never for a task that failed.

        Example::

            for task_id, block in (await client.get_batch_result(task_ids)).items():
                print(task_id, block["status"], block.get("result"))
        """
        statuses = await self.get_batch_status(task_ids)
        return {task_id: self._block(status) for task_id, status in statuses.items()}

    async def get_worker_hardware_details(self, endpoint_id: str | UUID) -> str:
        """Submit a task that describes the machine of a worker, and return its id.

        Args:
            endpoint_id: the endpoint; one of its workers runs the task.

        Returns:
            The task id; the result is a text for people.

        Raises:
            FuncXError: as :meth:`register_function` and :meth:`submit`.

        Example::

            task_id = await client.get_worker_hardware_details(endpoint_id)
            while (await client.get_task(task_id)).pending:
                await asyncio.sleep(1)
            print(await client.get_result(task_id))
        """
        function_id = await self.register_function(hardware_report)
        return await self.run(endpoint_id=endpoint_id, function_id=function_id)

    def _block(self, status: TaskStatus) -> TaskBlock:
        block = TaskBlock(pending=status.pending, status=status.status)
        outcome = outcome_of(status)
        if outcome is None:
            return block
        if outcome.completion_t is not None:
            block["completion_t"] = outcome.completion_t
        if outcome.details is not None:
            block["details"] = outcome.details
        try:
            block["result"] = value_of(outcome, self.serializer.deserialize)
        except FuncXError as error:
            block["exception"] = error
        return block
