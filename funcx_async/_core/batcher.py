"""Which submissions go into the next batch, and when.

Rules: the POST in flight is the batching window, there is no timer: while nothing is on the wire
whatever is queued goes at once; a further POST goes only for a full batch; meanwhile batches grow.
Submissions of one batch share a route. Until a task group is known, one batch goes ahead alone to
have the service make it; if it fails, the next one leads. A batch stays under the service's limit
of bytes. What the service certainly did not take comes back to the front of its queue.

Routes take turns. Those with a full batch stand in a line of their own: finding the next batch
costs the same for one route as for thousands.

A ticket is whatever the caller wants back for a submission; ``claim(ticket)`` says whether it is
still wanted, and from then on it cannot be withdrawn.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from operator import attrgetter
from typing import Generic, NamedTuple, TypeVar

import msgspec

from funcx_async.models import Receipt

K = TypeVar("K")
F = TypeVar("F", bound=Hashable)

MAX_POSTS = 4
"""So many POSTs are on the wire at most."""

MAX_BODY = 10_000_000
"""The service's limit for one submit, in bytes."""

ENVELOPE = 4_000
"""Bytes of a submit's body besides its payloads, with room for its options."""

SHORT = 1_000
"""Payloads of fewer characters are not looked into: they count as if each took two bytes."""


class Route(NamedTuple):
    """What the submissions of one POST share; options are JSON texts, so that routes compare."""

    endpoint_id: str
    task_group_id: str | None = None
    resource_specification: str | None = None
    user_endpoint_config: str | None = None
    result_serializers: tuple[str, ...] = ()


class Submission(msgspec.Struct, Generic[K, F], eq=False, gc=False):
    """A task that the service does not know yet.

    Garbage collection does not look at it, and would not see a circle of which it is a part: who
    keeps it lets go of it at the end.

    Attributes:
        ticket: the caller's own name for it.
        function: names the function; equal for equal functions.
        payload: the serialized arguments.
        retry_until: until when it may be sent again, on the caller's clock; None until refused.
        wait_until: until when it may wait, while the service takes nothing at all; None else.
        size: an upper bound of its bytes in a submit's body; the batcher counts it.
    """

    ticket: K
    function: F
    payload: str
    retry_until: float | None = None
    wait_until: float | None = None
    size: int = 0

    def is_late(self, now: float) -> bool:
        """Whether it may not be sent any more."""
        limits = (self.retry_until, self.wait_until)
        return any(limit is not None and limit < now for limit in limits)


@dataclass(frozen=True, slots=True, eq=False)
class Batch(Generic[K, F]):
    """Submissions of one route that go in one POST.

    Attributes:
        route: what they share.
        submissions: the submissions.
        number: the batcher's running number of it, from 1; what is cut from it keeps it.
    """

    route: Route
    submissions: Sequence[Submission[K, F]]
    number: int = 0

    def __len__(self) -> int:
        return len(self.submissions)

    def halves(self) -> tuple[Batch[K, F], Batch[K, F]]:
        """Cut the batch in two, to send less or to find a culprit."""
        middle = len(self.submissions) // 2
        return (
            replace(self, submissions=self.submissions[:middle]),
            replace(self, submissions=self.submissions[middle:]),
        )

    def of(self, function: F) -> list[Submission[K, F]]:
        """Return the submissions of one function."""
        return [entry for entry in self.submissions if entry.function == function]

    def by_function(self) -> dict[F, list[Submission[K, F]]]:
        """Group the submissions by function, in order."""
        grouped: dict[F, list[Submission[K, F]]] = {}
        for function, run in groupby(self.submissions, attrgetter("function")):
            grouped.setdefault(function, []).extend(run)
        return grouped

    def by_function_id(self, function_ids: Mapping[F, str]) -> dict[str, list[Submission[K, F]]]:
        """Group the submissions by the ids of their functions, in order; several may share one."""
        grouped: dict[str, list[Submission[K, F]]] = {}
        for function, run in groupby(self.submissions, attrgetter("function")):
            grouped.setdefault(function_ids[function], []).extend(run)
        return grouped


@dataclass(slots=True)
class _Queue(Generic[K, F]):
    submissions: deque[Submission[K, F]] = field(default_factory=deque)
    size: int = 0


class Batcher(Generic[K, F]):
    """Submissions in, the next batch out.

    Args:
        max_posts: how many batches may be on the wire.
        max_body: how many bytes one batch may have.

    Example:
        >>> batcher = Batcher()
        >>> for ticket in range(3):
        ...     batcher.add(Route("an endpoint", "a group"), Submission(ticket, "f", "payload"))
        >>> batch = batcher.next_batch(2, claim=lambda ticket: True)
        >>> [submission.ticket for submission in batch.submissions], len(batcher)
        ([0, 1], 1)
    """

    def __init__(self, *, max_posts: int = MAX_POSTS, max_body: int = MAX_BODY) -> None:
        self._max_posts = max_posts
        self._room = max_body - ENVELOPE
        self._queues: dict[Route, _Queue[K, F]] = {}
        # These are taken from the front again and again; a dict would search past all that it lost.
        self._line: OrderedDict[Route, None] = OrderedDict()
        self._full: OrderedDict[Route, None] = OrderedDict()
        self._full_without_group: OrderedDict[Route, None] = OrderedDict()
        self._batch_size = 1
        self._queued = 0
        self._posts = 0
        self._batches = 0
        self._leading = False
        self._held_up: set[str] = set()

    def __len__(self) -> int:
        """How many submissions are queued."""
        return self._queued

    @property
    def posts(self) -> int:
        """How many batches are on the wire."""
        return self._posts

    def add(self, route: Route, *submissions: Submission[K, F]) -> None:
        """Queue submissions, in their order."""
        queue = self._queues.get(route)
        if queue is None:
            queue = self._queues[route] = _Queue()
        for submission in submissions:
            size = len(submission.payload)
            submission.size = 2 * size + 3 if size < SHORT else _encoded_size(submission.payload)
            queue.size += submission.size
        queue.submissions += submissions
        self._queued += len(submissions)
        self._line_up(route, queue)

    def next_batch(self, batch_size: int, claim: Callable[[K], bool]) -> Batch[K, F] | None:
        """Return the batch to send now, or None; the caller later calls ``answered``."""
        if self._posts >= self._max_posts:
            return None
        if batch_size != self._batch_size:
            self._batch_size = batch_size
            self._line_up_all(self._queues)
        while (route := self._next_route()) is not None:
            queue = self._queues[route]
            taken = self._take(queue, batch_size, claim)
            self._leave_lines(route)  # let other routes go first next time
            self._line_up(route, queue)
            if taken:
                self._posts += 1
                self._batches += 1
                self._leading |= route.task_group_id is None
                return Batch(route, taken, self._batches)
        return None

    def answered(self, batch: Batch[K, F], task_group_id: str | None = None) -> None:
        """Note that a batch is off the wire, and which task group the service put it in."""
        self._posts -= 1
        if batch.route.task_group_id is not None:
            return
        self._leading = False
        if task_group_id is not None:
            self._follow(task_group_id)

    def put_back(self, route: Route, submissions: Iterable[Submission[K, F]]) -> None:
        """Queue submissions again, before all others of their route."""
        again = list(submissions)
        if not again:
            return
        queue = self._queues.setdefault(route, _Queue())
        queue.submissions.extendleft(reversed(again))
        queue.size += sum(submission.size for submission in again)
        self._queued += len(again)
        self._line_up(route, queue)
        for line in (self._line, self._full_like(route)):
            if route in line:
                line.move_to_end(route, last=False)

    def hold(self, task_group_id: str) -> None:
        """Send nothing more to a task group until it is released."""
        self._held_up.add(task_group_id)
        self._line_up_all([each for each in self._queues if each.task_group_id == task_group_id])

    def release(self, task_group_id: str) -> None:
        """Let a task group be sent to again."""
        self._held_up.discard(task_group_id)
        self._line_up_all([each for each in self._queues if each.task_group_id == task_group_id])

    def clear(self) -> None:
        """Forget what is queued."""
        for line in (self._queues, self._line, self._full, self._full_without_group):
            line.clear()
        self._queued = 0

    def limit(self, wait_until: float | None) -> None:
        """Let all that is queued wait until then at most; None lifts that."""
        for queue in self._queues.values():
            for submission in queue.submissions:
                submission.wait_until = wait_until

    def expire(self, now: float) -> list[Submission[K, F]]:
        """Remove and return the queued submissions whose deadline has passed."""
        expired: list[Submission[K, F]] = []
        for route, queue in list(self._queues.items()):
            late = [submission for submission in queue.submissions if submission.is_late(now)]
            if late:
                gone = set(late)
                queue.submissions = deque(s for s in queue.submissions if s not in gone)
                queue.size -= sum(submission.size for submission in late)
                self._queued -= len(late)
                expired += late
                self._line_up(route, queue)
        return expired

    def _next_route(self) -> Route | None:
        """Find a queue that may go: any while nothing is on the wire, else a full one."""
        if not self._posts:
            return next(iter(self._line), None)
        if self._full_without_group and not self._leading:
            return next(iter(self._full_without_group))
        return next(iter(self._full), None)

    def _full_like(self, route: Route) -> OrderedDict[Route, None]:
        return self._full_without_group if route.task_group_id is None else self._full

    def _line_up(self, route: Route, queue: _Queue[K, F]) -> None:
        """Let a queue stand in the lines that it belongs in; forget it if it is empty."""
        if not queue.submissions:
            del self._queues[route]
        if not queue.submissions or route.task_group_id in self._held_up:
            self._leave_lines(route)
            return
        self._line.setdefault(route)
        if len(queue.submissions) >= self._batch_size or queue.size >= self._room:
            self._full_like(route).setdefault(route)
        else:
            self._full_like(route).pop(route, None)

    def _line_up_all(self, routes: Iterable[Route]) -> None:
        for route in routes:
            self._line_up(route, self._queues[route])

    def _leave_lines(self, route: Route) -> None:
        self._line.pop(route, None)
        self._full_like(route).pop(route, None)

    def _take(
        self, queue: _Queue[K, F], batch_size: int, claim: Callable[[K], bool]
    ) -> list[Submission[K, F]]:
        taken: list[Submission[K, F]] = []
        size = 0
        while queue.submissions and len(taken) < batch_size:
            submission = queue.submissions[0]
            if taken and size + submission.size > self._room:
                break
            queue.submissions.popleft()
            queue.size -= submission.size
            self._queued -= 1
            if claim(submission.ticket):
                taken.append(submission)
                size += submission.size
        return taken

    def _follow(self, task_group_id: str) -> None:
        """Send what waited for a task group into the one that was made."""
        for route in [route for route in self._queues if route.task_group_id is None]:
            waiting = self._queues.pop(route)
            self._leave_lines(route)
            led = route._replace(task_group_id=task_group_id)
            known = self._queues.setdefault(led, _Queue())
            known.submissions.extendleft(reversed(waiting.submissions))
            known.size += waiting.size
            self._line_up(led, known)


def _encoded_size(payload: str) -> int:
    escaped = sum(payload.count(character) for character in '\n"\\')
    return len(payload.encode()) + escaped + 3


def read_receipt(
    batch: Batch[K, F], function_ids: Mapping[F, str], receipt: Receipt
) -> tuple[list[tuple[str, Submission[K, F]]], list[Submission[K, F]]]:
    """Match submissions with tasks, as far as the receipt is clear.

    Args:
        batch: what was sent.
        function_ids: the id under which each of its functions was sent.
        receipt: the answer.

    Returns:
        The submissions with their task ids, and those of functions whose ids are missing or not
        as many as were sent: the tasks cannot be matched.
    """
    clear: list[tuple[str, Submission[K, F]]] = []
    unclear: list[Submission[K, F]] = []
    for function_id, submissions in batch.by_function_id(function_ids).items():
        task_ids = receipt.tasks.get(function_id, ())
        if len(set(task_ids)) == len(task_ids) == len(submissions):
            clear += zip(task_ids, submissions, strict=True)
        else:
            unclear += submissions
    return clear, unclear
