"""A view of an executor, whose tasks have options of their own."""

from __future__ import annotations

from typing import Unpack

from funcx_async._settings.options import TaskOptions, TaskSettings
from funcx_async.executor.base import ExecutorBase
from funcx_async.executor.loop_binding import LoopBinding


class TargetedExecutor(ExecutorBase):
    """A view of an executor, whose tasks have options of their own; ``options`` makes it.

    Args:
        binding: that of the executor.
        tasks: the options of its tasks.
    """

    def __init__(self, binding: LoopBinding, tasks: TaskSettings) -> None:
        self._binding = binding
        self._own = tasks

    def __repr__(self) -> str:
        return f"<{self._own} of {self._binding!r}>"

    @property
    def _tasks(self) -> TaskSettings:
        return self._own

    def options(self, **changes: Unpack[TaskOptions]) -> TargetedExecutor:
        """Return a view of the same executor, with these changes on top of the options of this one.

        Args:
            **changes: as :meth:`funcx_async.FuncXExecutor.options` takes them; what is not among
                them stays as it is here.

        Raises:
            TypeError, ValueError: as there.

        Example::

            careful = fxe.options(timeout=600, retries=2)
            print(await careful.options(timeout=60).submit(simulate, seed=7))
        """
        return TargetedExecutor(self._binding, self._changed(changes))

    def _changed(self, changes: TaskOptions) -> TaskSettings:
        tasks = self._own.changed(**changes)
        journaled = self._binding.options.settings.journal is not None
        if tasks.key is not None and not journaled:
            raise ValueError(
                f"There is no journal to keep the task {tasks.key!r} in: "
                "FuncXExecutor(journal=...)."
            )
        if tasks.policy is not None and tasks.policy.retries and journaled:
            raise ValueError(
                "An executor with a journal does not retry: `resume()` gives back what failed, to "
                "be submitted again. Retries are for executors without one."
            )
        return tasks
