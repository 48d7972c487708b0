"""A toy of the world around the core: futures, a service, and a queue that delivers.

They do what the machine in ``test_machine`` tells them, and know the truth that the core has to
find out: which task is whose, and what it brings.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from funcx_async._core.acks import Ack
from funcx_async._core.batcher import Submission
from funcx_async.models import ListedTask, Receipt, Result

GIVEN_UP = "given up"
CANCELLED = "cancelled"
UNCERTAIN = "uncertain"
REFUSED = "refused"
LATE = "late"


@dataclass(slots=True, eq=False)
class Ticket:
    """What somebody awaits; ``outcome`` is None, one of the words above, or a task's value."""

    value: str
    outcome: str | None = None
    claimed: bool = False

    def claim(self) -> bool:
        self.claimed = self.outcome is None
        return self.claimed

    def settle(self, outcome: str) -> None:
        assert self.outcome in (None, GIVEN_UP), f"settled twice: {self}, now {outcome}"
        self.outcome = self.outcome or outcome


AnySubmission = Submission[Ticket, str]


@dataclass(slots=True, eq=False)
class Task:
    """What the service made of a submission; ``value`` is what it brings."""

    task_id: str
    value: str
    created_at: str
    done: bool = False

    @property
    def result(self) -> Result:
        return Result(self.task_id, self.value)


class Service:
    """Takes batches into task groups; its clock decides which tasks seem to be of one time."""

    def __init__(self) -> None:
        self.groups: defaultdict[str, list[Task]] = defaultdict(list)
        self.clock = 0
        self._made = 0

    def take(self, submissions: Sequence[AnySubmission], group: str | None) -> tuple[str, Receipt]:
        """Make tasks of a batch; gives the group, and the receipt that tells which."""
        if group is None:
            self._made += 1
            group = f"made {self._made}"
        ids: defaultdict[str, list[str]] = defaultdict(list)
        for entry in submissions:
            task_id = f"{group}: {len(self.groups[group])}"
            self.groups[group].append(Task(task_id, entry.ticket.value, f"{self.clock:04}"))
            ids[entry.function].append(task_id)
        return group, Receipt(group, ids)

    def listed(self, group: str) -> list[ListedTask]:
        return [ListedTask(task.task_id, task.created_at) for task in self.groups[group]]

    def tasks(self, group: str, task_ids: Sequence[str]) -> list[Task]:
        wanted = set(task_ids)
        return [task for task in self.groups[group] if task.task_id in wanted]


@dataclass(slots=True)
class Queue:
    """The results of one group, and the connection to its consumer."""

    waiting: list[Result] = field(default_factory=list)
    unacknowledged: dict[int, Result] = field(default_factory=dict)
    tag: int = 0

    def deliver(self, index: int) -> Result:
        """Hand out any result that waits, under the next tag."""
        result = self.waiting.pop(index)
        self.tag += 1
        self.unacknowledged[self.tag] = result
        return result

    def acknowledge(self, acks: Sequence[Ack]) -> dict[int, Result]:
        """Forget what is acknowledged, and give it; brokers close the channel over a wrong tag."""
        covered: dict[int, Result] = {}
        for ack in acks:
            assert ack.tag in self.unacknowledged, f"{ack} of what is not there"
            tags = [
                tag
                for tag in self.unacknowledged
                if tag == ack.tag or (ack.multiple and tag < ack.tag)
            ]
            covered |= {tag: self.unacknowledged.pop(tag) for tag in tags}
        return covered

    def disconnect(self) -> None:
        """Break the connection: what it did not acknowledge is delivered again."""
        self.waiting = [*self.unacknowledged.values(), *self.waiting]
        self.unacknowledged = {}
        self.tag = 0
