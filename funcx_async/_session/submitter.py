"""Sends what is queued, in batches.

What the service certainly did not take is sent again, until each submission's deadline. If the
outcome of a submit is unknown, its futures say so. If one submission may be the reason for a
refusal, the batch is cut to find it. What happens to a batch happens to that batch alone, except
that nothing else is sent to its task group while its outcome is uncertain and may be resolved.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from itertools import groupby
from operator import itemgetter

from funcx_async._core.batcher import Batcher, Route
from funcx_async._futures.future import FuncXFuture
from funcx_async._net.cancellation import is_cancelled
from funcx_async._session.batches import (
    AnyBatch,
    AnyFuture,
    AnySubmission,
    cut,
    fail_all,
    ids_of,
)
from funcx_async._session.context import SessionContext
from funcx_async._session.endpoints import EndpointMonitor
from funcx_async._session.functions import Function
from funcx_async._session.post import Post
from funcx_async._session.request_retry import SLOW_AFTER, RequestRetry
from funcx_async._session.task_groups import UncertainSubmit
from funcx_async._session.uncertain import Resolver, can_be_resolved
from funcx_async.errors import ExecutorClosed, FuncXError, RequestRefused

MAX_CUTS = 16
"""How often a refused batch is cut to find the culprit: enough for one among thousands."""

MAX_TAKEN_IN = 2_000
"""How many submissions are taken in before other callbacks of the loop get their turn."""

_log = logging.getLogger("funcx_async.submit")


class Submitter:
    """Takes submissions from any thread, and sends them on the loop's.

    Args:
        context: that of the session.
        monitor: watches the endpoints that are submitted to.
    """

    def __init__(self, context: SessionContext, monitor: EndpointMonitor) -> None:
        self._context = context
        self._monitor = monitor
        self._loop = context.loop
        self._groups = context.groups
        self._arrived: deque[tuple[Route, AnySubmission]] = deque()
        self._called = False
        self._batcher: Batcher[AnyFuture, Function] = Batcher()
        self._retries = RequestRetry(context, self._batcher)
        self._resolver = Resolver(context, self._retries)
        self._wake = asyncio.Event()
        self._requests: dict[asyncio.Task[None], AnyBatch] = {}

    @property
    def queued(self) -> int:
        """How many submissions wait to be sent."""
        return len(self._arrived) + len(self._batcher)

    @property
    def posts(self) -> int:
        """How many batches are on the wire, or uncertain."""
        return self._batcher.posts + sum(group.unresolved for group in self._groups)

    def enqueue(self, route: Route, submission: AnySubmission) -> None:
        """Queue a submission; from any thread. The loop is called once for all that arrive.

        Raises:
            ExecutorClosed: if the loop is closed.
        """
        self._arrived.append((route, submission))
        if not self._called:
            self._called = True  # before calling: the loop may come by at once
            try:
                self._loop.call_soon_threadsafe(self._take_in)
            except RuntimeError:
                self._called = False
                raise ExecutorClosed("The executor's event loop is closed.") from None

    def _take_in(self) -> None:
        """Hand what has arrived to the batcher."""
        self._called = False  # before the last look: what comes after it calls again
        arrived, deadline = self._arrived, self._retries.queue_deadline()
        entries = [arrived.popleft() for _ in range(min(len(arrived), MAX_TAKEN_IN))]
        if arrived:
            self._loop.call_soon(self._take_in)
        for route, group in groupby(entries, itemgetter(0)):
            submissions = [submission for _, submission in group]
            for submission in submissions if deadline is not None else ():
                submission.wait_until = deadline
            if not self._context.sealed:  # else nothing would end what asks about the endpoint
                self._monitor.opened(route.endpoint_id)
            self._batcher.add(route, *submissions)
        self._wake.set()

    async def send_forever(self, tasks: asyncio.TaskGroup) -> None:
        """Send whatever is queued, as soon as it may go; ``tasks`` owns the requests."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._retries.wait_until_allowed()
            size = self._context.settings.batch_size
            while batch := self._batcher.next_batch(size, FuncXFuture.claim):
                request = tasks.create_task(self._submit(batch), name="funcx:post")
                self._requests[request] = batch
                request.add_done_callback(self._requests.pop)

    # The end ------------------------------------------------------------------------------------

    def abandon(self) -> None:
        """Cancel the requests that are under way: nothing awaits what they bring."""
        self._retries.close()
        for request in self._requests:
            request.cancel()

    def leave_uncertain(self) -> None:
        """Resolve nothing any more, once all requests have ended: the futures fail otherwise."""
        for group in self._groups:
            submits, group.uncertain = group.uncertain, []
            for submit in submits:
                submit.leave()

    def drop(self) -> None:
        """Let go of what is not sent: garbage collection does not see what it refers to."""
        self._arrived = deque()
        self._batcher.clear()
        if self._loop.is_closed():
            for batch in self._requests.values():
                for submission in batch.submissions:  # which are not read again
                    submission.ticket = submission.function = None  # type: ignore[assignment]
            self._requests = {}

    # One batch ----------------------------------------------------------------------------------

    async def _submit(self, batch: AnyBatch) -> None:
        """Send a batch; then, off the wire, resolve what is uncertain."""
        unresolvable: list[UncertainSubmit] = []
        await self._send(batch, unresolvable)
        await self._resolve()
        for submit in unresolvable:
            await self._resolver.give_up_naming_candidates(submit)
        self._wake.set()  # something may be sent again

    async def _send(self, batch: AnyBatch, unresolvable: list[UncertainSubmit]) -> None:
        """Send a batch, in pieces if it is refused, and settle what comes of it.

        Args:
            batch: what to send.
            unresolvable: takes what is uncertain and cannot be resolved; the rest of what is
                uncertain is added to its task group.
        """
        target = group = batch.route.task_group_id
        if target is not None:
            self._groups.posting(target)
        pieces = [batch]
        cuts = 0
        try:
            while pieces:
                post = Post(self._context, self._retries, pieces[0], group)
                slow = self._loop.call_later(SLOW_AFTER, self._retries.unanswered)
                try:
                    uncertain = await post.run()
                except RequestRefused as error:
                    parts = self._refused(post, error, cuts)
                    cuts += 1
                    pieces[:1] = parts
                else:
                    del pieces[0]
                    if uncertain is not None:
                        self._note_uncertain(uncertain, unresolvable)
                finally:
                    slow.cancel()
                group = post.task_group_id
        except (Exception, asyncio.CancelledError) as error:  # a mistake of ours
            if is_cancelled():
                raise  # the session fails what is open
            _log.exception("submitting a batch", extra=ids_of(batch))
            failure = FuncXError(f"Submitting failed in an unforeseen way: {error!r}")
            failure.__cause__ = error
            fail_all([entry for piece in pieces for entry in piece.submissions], failure)
        finally:
            if target is not None:
                self._groups.posted(target)
            self._batcher.answered(batch, group)
            self._wake.set()

    def _refused(self, post: Post, error: RequestRefused, cuts: int) -> list[AnyBatch]:
        """Handle a refusal; return the parts of the batch to send on their own.

        If there are none, the batch has failed, or is queued for another task group.
        """
        if self._group_is_gone(post, error):
            post.task_group_id = self._groups.created_id
            return []
        parts = list(cut(post.batch, error)) if cuts < MAX_CUTS else []
        if not parts:
            fail_all(post.batch.submissions, error)
        return parts

    def _group_is_gone(self, post: Post, error: RequestRefused) -> bool:
        """Whether the service forgot the group that it made: the batch then goes to a new one."""
        group = post.task_group_id
        if error.code != "TASK_GROUP_NOT_FOUND" or group is None:
            return False
        if not self._groups.group_lost(group):
            return False
        post.move()
        route = post.batch.route._replace(task_group_id=self._groups.created_id)
        self._batcher.put_back(route, post.batch.submissions)
        return True

    # Uncertain submits --------------------------------------------------------------------------

    def _note_uncertain(self, submit: UncertainSubmit, unresolvable: list[UncertainSubmit]) -> None:
        """Send nothing else to the task group until it is resolved, if it can be."""
        group = self._groups.find(submit.stream.task_group_id)
        if not can_be_resolved(group, submit.stream):
            submit.leave()
            unresolvable.append(submit)
            return
        group.uncertain.append(submit)
        group.held_up = True
        self._batcher.hold(group.id)

    async def _resolve(self) -> None:
        """Resolve what is uncertain in groups for which nothing else is on the wire."""
        for group in self._groups:
            while group.uncertain and not group.posts and not group.resolving:
                await self._resolver.resolve(group)
            if group.held_up and not group.unresolved:
                group.held_up = False
                self._batcher.release(group.id)
                self._groups.forget_unused(group.id)
