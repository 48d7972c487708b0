"""Operations on tasks: submit them, and read their states and results."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from funcx_async._net.http import ResponseTooLong
from funcx_async._service.answers import BatchStatus, TaskDocument, TaskGroup, UnreadableTask
from funcx_async._service.dialects import SubmitRequest, runtime_here
from funcx_async._service.operations.base import Operations, in_path, several
from funcx_async._service.outcomes import value_of
from funcx_async.errors import ResponseLost, ResponseNotUnderstood, SubmitUncertain, printable
from funcx_async.models import ListedTask, Receipt, Result, ResultQueueAddress, TaskStatus

CHUNK = 1_024
"""Tasks in one request for their states."""

CHUNK_ONCE = 256
"""The same where an answer that is too long to be read would be lost."""

_log = logging.getLogger("funcx_async.service")


class TaskOperations(Operations):
    """Operations on tasks and task groups."""

    async def submit(
        self,
        endpoint_id: str | UUID,
        tasks: Mapping[str, Sequence[str]],
        *,
        task_group_id: str | UUID | None = None,
        create_queue: bool = True,
        resource_specification: Mapping[str, Any] | None = None,
        user_endpoint_config: Mapping[str, Any] | None = None,
        result_serializers: Sequence[str] | None = None,
        user_runtime: Mapping[str, Any] | None = None,
    ) -> Receipt:
        """Submit serialized tasks in one request; they cannot be recalled.

        Args:
            endpoint_id: where the tasks are to run.
            tasks: for each function id the payloads, one for each task.
            task_group_id: a task group that the service knows. None lets today's service create
                one; for the classic service it is the client's.
            create_queue: send the results to the group's queue as well. Defaults to True.
            resource_specification: what the tasks need, as the endpoint defines it.
            user_endpoint_config: values for the template of a multi-user endpoint.
            result_serializers: import paths of the strategies for results, tried in order.
            user_runtime: what to report to multi-user endpoints, whose templates may select the
                workers' Python by it. By default the client's; without one the versions of Python
                and SDK and the machine's platform and name, as the official client reports. An
                empty mapping reports nothing.

        Returns:
            The receipt: ``receipt.tasks[function_id]`` are the task ids, in the order of payloads.

        Raises:
            ValueError: for an option that the dialect does not have.
            RequestRefused: if the service refuses the tasks.
            ServiceUnavailable: if the service certainly accepted nothing; it is safe to retry.
            SubmitUncertain: if it is unknown whether the service accepted the tasks.

        Example::

            serializer = FuncXSerializer()
            payloads = [serializer.serialize_arguments((number,), {}) for number in range(10)]
            receipt = await client.submit(endpoint_id, {function_id: payloads})
            print(receipt.tasks[function_id])
        """
        submission = SubmitRequest(
            in_path(endpoint_id, "endpoint"),
            tasks,
            str(task_group_id) if task_group_id else self.task_group_id,
            create_queue,
            resource_specification,
            user_endpoint_config,
            result_serializers,
            self._runtime() if user_runtime is None else user_runtime,
        )
        what = f"submitting {len(submission)} task(s) to the endpoint {endpoint_id}"
        method, path, body = self.dialect.submit(submission)
        try:
            answer = await self._rest.ask(method, path, what, body)
            receipt = self.dialect.receipt(answer, submission, what)
        except (ResponseLost, ResponseNotUnderstood) as error:
            raise SubmitUncertain(
                f"It is unknown whether the tasks run. {error} Check the task group before you "
                "submit them again.",
                task_group_id=submission.task_group_id,
                request_id=error.request_id,
            ) from error
        if receipt.warning:
            ids = {
                "endpoint_id": submission.endpoint_id,
                "task_group_id": receipt.task_group_id,
                "request_id": receipt.request_id,
            }
            _log.warning("The service says of %s: %s", what, printable(receipt.warning), extra=ids)
        return receipt

    async def get_task(self, task_id: str | UUID) -> TaskStatus:
        """Return the state of a task; a classic service returns a result only once.

        Args:
            task_id: the task.

        Raises:
            NotFound: if the service does not know it.
            FuncXError: as every request.

        Example::

            status = await client.get_task(task_id)
            print(status.status, status.pending)
        """
        task = in_path(task_id, "task")
        if task in self._unclaimed:
            return self._unclaimed.pop(task)
        document = await self._rest.read(
            "GET", f"/v2/tasks/{task}", TaskDocument, f"reading the state of the task {task}"
        )
        return document.to_status(task, self._value_of)

    async def get_batch_status(self, task_ids: Iterable[str | UUID]) -> dict[str, TaskStatus]:
        """Return the states of any number of tasks, by id.

        One request is made for each 1,024 of them, and for each 256 of a classic service. Unknown
        ones are ``failed`` with a reason, and so is one whose state cannot be read. A classic
        service returns a result once. What it returned before a later request failed is kept for
        the next call.

        Args:
            task_ids: the tasks.

        Args:
            task_ids: the tasks.

        Raises:
            FuncXError: as every request.

        Example::

            statuses = await client.get_batch_status(task_ids)
            print(sum(status.pending for status in statuses.values()), "tasks are open")
        """
        wanted = list(dict.fromkeys(str(each) for each in several(task_ids)))
        statuses = {each: self._unclaimed.pop(each) for each in wanted if each in self._unclaimed}
        others = [each for each in wanted if each not in statuses]
        try:
            chunk = CHUNK_ONCE if self.dialect.reading_consumes else CHUNK
            for begin in range(0, len(others), chunk):
                statuses |= await self._statuses(others[begin : begin + chunk])
        except BaseException:  # cancelled as well: it is not told twice
            if self.dialect.reading_consumes:
                self._unclaimed |= {i: each for i, each in statuses.items() if each.result}
            raise
        return statuses

    async def _statuses(self, task_ids: Sequence[str]) -> dict[str, TaskStatus]:
        what = f"reading the states of {len(task_ids)} task(s)"
        body = {"task_ids": task_ids}
        try:
            answer = await self._rest.read("POST", "/v2/batch_status", BatchStatus, what, body)
        except ResponseNotUnderstood as error:
            if not isinstance(error.__cause__, ResponseTooLong | RecursionError):
                raise
            half = len(task_ids) // 2
            if not half:  # the one task that keeps the others from being read
                unreadable = UnreadableTask(text=str(error))
                return {each: unreadable.to_status(each, self._value_of) for each in task_ids}
            return await self._statuses(task_ids[:half]) | await self._statuses(task_ids[half:])
        return {
            task_id: document.to_status(task_id, self._value_of)
            for task_id, document in answer.results.items()
        }

    def _value_of(self, result: Result) -> Any:
        return value_of(result, self.serializer.deserialize)

    def _runtime(self) -> Mapping[str, Any] | None:
        if not self.dialect.takes_options:
            return None
        return runtime_here() if self._user_runtime is None else self._user_runtime

    async def get_task_group(self, task_group_id: str | UUID) -> list[str]:
        """Return the ids of all tasks of a group; raises as :meth:`list_task_group`.

        Args:
            task_group_id: the group.

        Example::

            print(len(await client.get_task_group(receipt.task_group_id)), "tasks")
        """
        return [task.task_id for task in await self.list_task_group(task_group_id)]

    async def list_task_group(self, task_group_id: str | UUID) -> list[ListedTask]:
        """Return all tasks of a group, and when the service accepted them.

        Args:
            task_group_id: the group.

        Raises:
            ValueError: if the service answers for another group.
            NotFound: if it does not know the group.
            FuncXError: as every request.

        Example::

            for task in await client.list_task_group(task_group_id):
                print(task.task_id, task.created_at)
        """
        group = in_path(task_group_id, "task group")
        answer = await self._rest.read(
            "GET", f"/v2/taskgroup/{group}", TaskGroup, f"listing the task group {group}"
        )
        if answer.taskgroup_id != group:
            raise ValueError(
                f"Asked for the task group {group}, the service answered for {answer.taskgroup_id}."
            )
        return [
            ListedTask(task.id, None if task.created_at is None else str(task.created_at))
            for task in answer.tasks
        ]

    async def get_result_queue_address(self) -> ResultQueueAddress:
        """Return where results can be consumed, with new credentials for each connection.

        Raises:
            FuncXError: as every request.

        Example::

            address = await client.get_result_queue_address()
            print(address.queue_prefix)
        """
        path, what = "/v2/get_amqp_result_connection_url", "reading the address of the result queue"
        return await self._rest.read("GET", path, ResultQueueAddress, what)
