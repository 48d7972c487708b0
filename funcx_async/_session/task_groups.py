"""The task groups that the tasks of one executor are submitted to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from funcx_async._results.stream import ResultStream
from funcx_async._session.batches import AnyBatch
from funcx_async.errors import SubmitUncertain


@dataclass(frozen=True, slots=True, eq=False)
class UncertainSubmit:
    """A submit that the service may have taken: its response was lost.

    Attributes:
        batch: what was sent.
        stream: that of the task group it was sent to.
        submit: the stream's number for it; unanswered, so that results are held.
        error: what became of the request.
    """

    batch: AnyBatch
    stream: ResultStream
    submit: int
    error: SubmitUncertain

    def leave(self) -> None:
        """Give up finding its tasks: the group may hold some that no future awaits."""
        self.stream.disown(complete=False)
        self.stream.answered(self.submit)


@dataclass(slots=True, eq=False)
class TaskGroup:
    """A task group and the submits to it that are under way or uncertain.

    Attributes:
        id: the service's id of it.
        created: whether the client or the service created it for this executor, so that no
            other program submits to it.
        lost: whether the service has forgotten it; such a group was created for the executor.
        posts: how many batches for it are on the wire.
        uncertain: submits to it whose outcome is unknown. Nothing else is sent to the group
            until they are resolved.
        resolving: how many are being resolved.
        held_up: whether nothing is sent to it until then.
    """

    id: str
    created: bool = False
    lost: bool = False
    posts: int = 0
    uncertain: list[UncertainSubmit] = field(default_factory=list)
    resolving: int = 0
    held_up: bool = False

    @property
    def unresolved(self) -> int:
        """How many uncertain submits there are, those included that are being resolved."""
        return len(self.uncertain) + self.resolving

    @property
    def in_use(self) -> bool:
        """Whether anything about it has to be remembered."""
        return bool(self.created or self.lost or self.posts or self.held_up)


class TaskGroups:
    """The task groups of one executor; those that are not in use are forgotten.

    Args:
        created_id: the group that was created for the executor, if there is one already.
    """

    def __init__(self, created_id: str | None = None) -> None:
        self._groups: dict[str, TaskGroup] = {}
        self._created_id: str | None = None
        if created_id is not None:
            self.group_created(created_id)

    def __iter__(self) -> Iterator[TaskGroup]:
        return iter(tuple(self._groups.values()))

    @property
    def created_id(self) -> str | None:
        """The group that the client or the service created for the executor; None before that."""
        return self._created_id

    def find(self, task_group_id: str) -> TaskGroup:
        """Return a group by its id."""
        group = self._groups.get(task_group_id)
        if group is None:
            group = self._groups[task_group_id] = TaskGroup(task_group_id)
        return group

    def group_created(self, task_group_id: str) -> None:
        """Remember the group that was created for the executor."""
        self.find(task_group_id).created = True
        self._created_id = task_group_id

    def group_lost(self, task_group_id: str) -> bool:
        """Handle that the service has forgotten a group.

        Returns:
            Whether the service may create another one: the user did not choose this one.
        """
        group = self.find(task_group_id)
        if self._created_id == task_group_id:
            self._created_id = None
            group.created, group.lost = False, True
        return group.lost

    def posting(self, task_group_id: str) -> None:
        """Count a batch that goes on the wire."""
        self.find(task_group_id).posts += 1

    def posted(self, task_group_id: str) -> None:
        """Count a batch that is off the wire."""
        self.find(task_group_id).posts -= 1
        self.forget_unused(task_group_id)

    def forget_unused(self, task_group_id: str) -> None:
        """Forget a group if nothing about it has to be remembered."""
        if not self.find(task_group_id).in_use:
            del self._groups[task_group_id]
