"""Sending submissions: batches out, receipts in.

What the service certainly did not take is sent again, until each submission's deadline. Where
nobody can know, the futures say so. Where one submission may be what is refused, the batch is cut
to find it. Whatever happens to a batch happens to that batch alone, except that nothing else is
sent to its task group while its outcome is uncertain and may be resolved.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import replace
from itertools import groupby
from operator import itemgetter
from typing import TypeAlias

from funcx_async._core.batcher import Batcher, Route
from funcx_async._futures.future import FuncXFuture
from funcx_async._net.cancellation import is_cancelled
from funcx_async._results.stream import ResultStream
from funcx_async._session.functions import Function
from funcx_async._session.posting import (
    AnyBatch,
    AnyFuture,
    AnySubmission,
    FunctionIds,
    Taken,
    accept,
    cut,
    fail_all,
    ids_of,
    post,
    register_functions,
    write_intents,
    write_receipt,
)
from funcx_async._session.resending import Resending
from funcx_async._session.sender import Sender
from funcx_async._session.task_groups import UncertainSubmit
from funcx_async._session.uncertain import Resolver, can_be_resolved
from funcx_async.errors import (
    ExecutorClosed,
    FuncXError,
    JournalError,
    RequestRefused,
    ServiceUnavailable,
    SubmitUncertain,
)
from funcx_async.models import Receipt

MAX_CUTS = 16
"""So often a refused batch is cut to find the culprit: enough for one among thousands."""

AT_ONCE = 2_000
"""So many submissions are taken in at most before other callbacks get their turn."""

Unresolvable: TypeAlias = tuple[AnyBatch, ResultStream, SubmitUncertain]
"""A batch whose outcome is uncertain and stays so, the stream of its group, and what happened."""

_log = logging.getLogger("funcx_async.submit")


class Submitter:
    """Takes submissions on the loop's thread, and sends them.

    Args:
        session: what it belongs to.
        loop: where everything of it happens.
    """

    def __init__(self, session: Sender, loop: asyncio.AbstractEventLoop) -> None:
        self._session = session
        self._loop = loop
        self._arrived: deque[tuple[Route, AnySubmission]] = deque()
        self._called = False
        self._batcher: Batcher[AnyFuture, Function] = Batcher()
        self._resending = Resending(session, loop, self._batcher)
        self._wake = asyncio.Event()
        self._requests: dict[asyncio.Task[None], AnyBatch] = {}
        self._journal = session.journal
        self._groups = session.groups
        self._resolver = Resolver(session.client, self._resending.give_up, session.journal)

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
        """Have the batcher know of what has arrived."""
        self._called = False  # before the last look: what comes after it calls again
        arrived, limit = self._arrived, self._resending.limit()
        entries = [arrived.popleft() for _ in range(min(len(arrived), AT_ONCE))]
        if arrived:
            self._loop.call_soon(self._take_in)
        for route, group in groupby(entries, itemgetter(0)):
            submissions = [submission for _, submission in group]
            for submission in submissions if limit is not None else ():
                submission.wait_until = limit
            self._session.opened(route.endpoint_id)
            self._batcher.add(route, *submissions)
        self._wake.set()

    async def send_for_ever(self, tasks: asyncio.TaskGroup) -> None:
        """Send whatever is queued, as soon as it may go; ``tasks`` owns the requests."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._resending.until_allowed()
            size = self._session.settings.batch_size
            while batch := self._batcher.next_batch(size, FuncXFuture.claim):
                request = tasks.create_task(self._submit(batch), name="funcx:post")
                self._requests[request] = batch
                request.add_done_callback(self._requests.pop)

    def abandon(self) -> None:
        """End the requests that are still under way: nobody awaits what they bring."""
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
                for submission in batch.submissions:  # which nobody reads again
                    submission.ticket = submission.function = None  # type: ignore[assignment]
            self._requests = {}

    async def _submit(self, batch: AnyBatch) -> None:
        """Send a batch; then, off the wire, find out about what is uncertain."""
        unresolvable: list[Unresolvable] = []
        await self._post(batch, unresolvable)
        await self._resolve()
        for piece, stream, error in unresolvable:
            await self._resolver.give_up_naming_candidates(piece, stream, error)
        self._wake.set()  # something may be sent again

    async def _resolve(self) -> None:
        """Resolve what is uncertain in groups for which nothing else is on the wire."""
        for group in self._groups:
            while group.uncertain and not group.posts and not group.resolving:
                await self._resolver.resolve(group, self._session.settings)
            if group.held_up and not group.unresolved:
                group.held_up = False
                self._batcher.release(group.id)
                self._groups.forget_unused(group.id)

    async def _post(self, batch: AnyBatch, unresolvable: list[Unresolvable]) -> None:
        """Send a batch, cut where that is needed, and settle what comes of it."""
        target = group = batch.route.task_group_id
        if target is not None:
            self._groups.posting(target)
        piece, pieces = batch, [batch]
        cuts = 0
        try:
            while pieces:
                piece = pieces.pop(0)
                try:
                    group = await self._post_once(piece, group, unresolvable)
                except RequestRefused as error:
                    if self._group_is_gone(piece, group, error):
                        group = self._groups.created_id
                        continue
                    parts = cut(piece, error) if cuts < MAX_CUTS else []
                    cuts += 1
                    pieces[:0] = parts
                    if not parts:
                        fail_all(piece.submissions, error)
        except (Exception, asyncio.CancelledError) as error:  # a slip of ours
            if is_cancelled():
                raise  # the session fails what is open
            _log.exception("submitting a batch", extra=ids_of(piece))
            failure = FuncXError(f"Submitting failed in an unforeseen way: {error!r}")
            failure.__cause__ = error
            fail_all([entry for piece in (piece, *pieces) for entry in piece.submissions], failure)
        finally:
            if target is not None:
                self._groups.posted(target)
            self._batcher.answered(batch, group)
            self._wake.set()

    async def _post_once(
        self, batch: AnyBatch, group: str | None, unresolvable: list[Unresolvable]
    ) -> str | None:
        """Make one request; gives the task group, if it is known now.

        Args:
            batch: what to send.
            group: where to; None has the service make one.
            unresolvable: takes the batch if its outcome is uncertain and cannot be resolved; what
                can be is added to its task group.

        Raises:
            RequestRefused: if the service refuses the batch.
        """
        batch, function_ids = await self._prepare(batch, group)
        if not batch.submissions:
            return group
        stream = None if group is None else self._session.stream(group)
        submit = None if stream is None else stream.sending()
        taken = Taken()
        try:
            receipt = await self._request(batch, function_ids, group)
            taken = accept(batch, function_ids, receipt, self._loop.time())
            if receipt.task_group_id != group:
                made = self._session.stream(receipt.task_group_id)
                made.disown(taken.unawaited, complete=taken.complete)
                made.answered(made.sending(), taken.accepted)
                taken = Taken()
            return receipt.task_group_id
        except ServiceUnavailable as error:
            self._withdraw(batch)
            self._resending.send_again(batch, error)
        except SubmitUncertain as error:
            if stream is None or submit is None:
                self._resending.give_up(batch, error)
            elif not can_be_resolved(self._groups.find(stream.task_group_id), stream):
                taken.complete = False
                unresolvable.append((batch, stream, error))
            else:
                self._hold_up(UncertainSubmit(batch, stream, submit, error))
                submit = None
        except RequestRefused:
            raise
        except BaseException:  # who knows what the service took
            taken.complete = False
            raise
        finally:
            if stream is not None and submit is not None:
                stream.disown(taken.unawaited, complete=taken.complete)
                stream.answered(submit, taken.accepted)
        return group

    async def _prepare(
        self, batch: AnyBatch, group: str | None
    ) -> tuple[AnyBatch, dict[Function, str]]:
        """Do what has to be done before a batch is sent; what cannot be sent is left out."""
        batch, function_ids = await self._register(batch)
        if self._journal is not None and batch.submissions:
            try:
                await write_intents(self._journal, batch, function_ids, group)
            except JournalError as error:
                fail_all(batch.submissions, error)
                return replace(batch, submissions=()), {}
        return batch, function_ids

    async def _request(
        self, batch: AnyBatch, function_ids: FunctionIds, group: str | None
    ) -> Receipt:
        """Send a batch, and keep the receipt; raises as ``post`` does."""
        receipt = await self._send(batch, function_ids, group)
        _log.debug(
            "The service took %d task(s).",
            len(batch),
            extra=ids_of(batch, receipt.task_group_id, receipt.request_id),
        )
        self._resending.succeeded()
        if group is None:
            self._groups.group_created(receipt.task_group_id)
        if self._journal is not None:
            await write_receipt(self._journal, batch, function_ids, receipt)
        return receipt

    async def _send(self, batch: AnyBatch, function_ids: FunctionIds, group: str | None) -> Receipt:
        """Make the request itself; raises as ``post`` does."""
        return await post(self._session.client, batch, function_ids, group)

    async def _register(self, batch: AnyBatch) -> tuple[AnyBatch, dict[Function, str]]:
        """Have all functions registered; what cannot be is failed or sent later, and left out."""
        function_ids, failures = await register_functions(self._session.client, batch)
        for function, failure in failures.items():
            if isinstance(failure, ServiceUnavailable):
                self._resending.send_again(replace(batch, submissions=batch.of(function)), failure)
            else:
                fail_all(batch.of(function), failure)
        if not failures:
            return batch, function_ids
        kept = [entry for entry in batch.submissions if entry.function in function_ids]
        return replace(batch, submissions=kept), function_ids

    def _hold_up(self, submit: UncertainSubmit) -> None:
        """Send nothing else to a task group until its uncertain submits are resolved."""
        group = self._groups.find(submit.stream.task_group_id)
        group.uncertain.append(submit)
        group.held_up = True
        self._batcher.hold(group.id)

    def _withdraw(self, batch: AnyBatch) -> None:
        """Take back that a batch was to be sent: the service certainly did not take it."""
        if self._journal is not None:
            self._journal.withdraw(submission.ticket for submission in batch.submissions)

    def _group_is_gone(self, batch: AnyBatch, group: str | None, error: RequestRefused) -> bool:
        """Whether the service forgot the group that it made: the batch then goes to a new one."""
        forgotten = error.code == "TASK_GROUP_NOT_FOUND" and group is not None
        if not (forgotten and self._groups.group_lost(str(group))):
            return False
        self._withdraw(batch)
        for submission in batch.submissions:
            submission.ticket.release()
        route = batch.route._replace(task_group_id=self._groups.created_id)
        self._batcher.put_back(route, batch.submissions)
        return True
