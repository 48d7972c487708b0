"""Tasks that are submitted together, without an executor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from funcx_async.serialize import FuncXSerializer


class Batch:
    """Tasks to submit in one request; :meth:`funcx_async.FuncXClient.create_batch` makes it.

    Args:
        serializer: writes the arguments.
        task_group_id: the group that the tasks belong to.
        resource_specification: what the tasks need, as the endpoint defines it.
        user_endpoint_config: the configuration of the user's endpoint.
        create_queue: have the results sent to the group's queue as well.
        result_serializers: import paths of the strategies for results, tried in order.
        user_runtime: what to tell of the Python and the machine here, instead of what is so.

    Attributes:
        tasks: for each function id the payloads, one for each task.

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
        self.tasks: dict[str, list[str]] = {}

    def __repr__(self) -> str:
        return f"<Batch of {len(self)} task(s) of {len(self.tasks)} function(s)>"

    def __len__(self) -> int:
        """How many tasks there are."""
        return sum(len(payloads) for payloads in self.tasks.values())

    def add(
        self,
        function_id: str | UUID,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        """Add a task; its arguments are serialized here.

        Args:
            function_id: the registered function to call.
            args: its positional arguments.
            kwargs: its keyword arguments.

        Raises:
            ValueError: if the function id is not a UUID.
            TypeError: if the arguments are not a list or tuple, and a mapping with texts as keys.
            SerializationError: if an argument cannot travel.
        """
        try:
            function = str(UUID(str(function_id)))
        except ValueError:
            raise ValueError(
                f"{function_id!r:.80} is not the id of a function: a UUID is."
            ) from None
        positional: Any = () if args is None else args
        named: Any = {} if kwargs is None else kwargs
        if not isinstance(positional, list | tuple):
            raise TypeError(f"args must be a list or a tuple, not a {type(args).__name__}.")
        if not isinstance(named, Mapping) or any(type(name) is not str for name in named):
            raise TypeError(f"kwargs must be a mapping with texts as keys, not {kwargs!r:.80}.")
        payload = self._serializer.serialize_arguments(tuple(positional), named)
        self.tasks.setdefault(function, []).append(payload)
