"""One request to submit a batch: prepared, sent, accepted, settled."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from funcx_async._core.batcher import read_receipt
from funcx_async._session.batches import (
    AnyBatch,
    AnyFuture,
    AnySubmission,
    FunctionIds,
    fail_all,
    ids_of,
)
from funcx_async._session.context import SessionContext
from funcx_async._session.functions import Function
from funcx_async._session.request_retry import RequestRetry
from funcx_async._session.task_groups import UncertainSubmit
from funcx_async.errors import JournalError, RequestRefused, ServiceUnavailable, SubmitUncertain
from funcx_async.models import Receipt

_log = logging.getLogger("funcx_async.submit")


@dataclass(slots=True)
class Taken:
    """What the service made of a batch.

    Attributes:
        accepted: task ids with the futures that await them.
        unawaited: ids of tasks that no future awaits.
        complete: whether these are all tasks that can have come of it.
    """

    accepted: list[tuple[str, AnyFuture]] = field(default_factory=list)
    unawaited: list[str] = field(default_factory=list)
    complete: bool = True


class Post:
    """One request to submit a batch.

    Args:
        context: that of the session.
        retries: takes back what the service certainly did not take.
        batch: what to send.
        task_group_id: where to; None has the service make a group.

    Attributes:
        batch: what is sent: functions that cannot be registered are left out.
        task_group_id: the group of its tasks, as soon as it is known.
    """

    def __init__(
        self,
        context: SessionContext,
        retries: RequestRetry,
        batch: AnyBatch,
        task_group_id: str | None,
    ) -> None:
        self._context = context
        self._retries = retries
        self.batch = batch
        self.task_group_id = task_group_id
        self._function_ids: FunctionIds = {}

    async def run(self) -> UncertainSubmit | None:
        """Send the batch, and tell its futures what comes of it.

        Returns:
            The submit if its outcome is unknown: its tasks may be found, or must be given up.

        Raises:
            RequestRefused: if the service refuses the batch; none of it was taken.
        """
        await self._prepare()
        if not self.batch.submissions:
            return None
        group = self.task_group_id
        stream = None if group is None else self._context.streams.join(group)
        number = None if stream is None else stream.sending()
        taken = Taken(complete=False)  # unless something else becomes known
        try:
            receipt = await self._send()
            taken = await self._accept(receipt)
            if receipt.task_group_id != group:  # just made, or not the one that was asked for
                made = self._context.streams.join(receipt.task_group_id)
                made.disown(taken.unawaited, complete=taken.complete)
                made.answered(made.sending(), taken.accepted)
                taken = Taken()
        except ServiceUnavailable as error:
            taken = Taken()
            self._withdraw()
            self._retries.retry(self.batch, error)
        except RequestRefused:
            taken = Taken()
            raise
        except SubmitUncertain as error:
            if stream is None or number is None:
                self._retries.give_up(self.batch, error)
                return None
            uncertain = UncertainSubmit(self.batch, stream, number, error)
            number = None  # it is answered when it is resolved
            return uncertain
        finally:
            if stream is not None and number is not None:
                stream.disown(taken.unawaited, complete=taken.complete)
                stream.answered(number, taken.accepted)
        return None

    def move(self) -> None:
        """Take the batch back for another task group: the service has forgotten this one."""
        self._withdraw()
        for submission in self.batch.submissions:
            submission.ticket.release()

    # Prepare ------------------------------------------------------------------------------------

    async def _prepare(self) -> None:
        """Register the functions and record the intents; leave out what cannot be sent."""
        functions = tuple(self.batch.by_function())
        known = {each: each.function_id for each in functions if each.function_id is not None}
        self._function_ids = known
        if len(known) < len(functions):
            await self._register(functions)
        journal, batch = self._context.journal, self.batch
        if journal is None or not batch.submissions:
            return
        tasks = ((entry.ticket, self._function_ids[entry.function]) for entry in batch.submissions)
        try:
            await journal.intend(tasks, self.task_group_id)
        except JournalError as error:
            fail_all(batch.submissions, error)
            self.batch = replace(batch, submissions=())

    async def _register(self, functions: Iterable[Function]) -> None:
        """Register functions, one attempt each: one that fails holds up no other."""
        client, function_ids = self._context.client, {}
        answers = await asyncio.gather(
            *(function.registered(client, 0.0) for function in functions), return_exceptions=True
        )
        for function, answer in zip(functions, answers, strict=True):
            if isinstance(answer, str):
                function_ids[function] = answer
            elif isinstance(answer, ServiceUnavailable):
                refused = replace(self.batch, submissions=self.batch.of(function))
                self._retries.retry(refused, answer)
            elif isinstance(answer, Exception):
                fail_all(self.batch.of(function), answer)
            else:
                raise answer
        self._function_ids = function_ids
        kept = [entry for entry in self.batch.submissions if entry.function in function_ids]
        self.batch = replace(self.batch, submissions=kept)

    # Send ---------------------------------------------------------------------------------------

    async def _send(self) -> Receipt:
        """Send the request, which an observer may watch.

        Raises:
            RequestRefused: if the service refuses the batch.
            ServiceUnavailable: if it certainly took nothing and the request may be retried.
            SubmitUncertain: if it is unknown whether it took the batch.
        """
        observer, client = self._context.observer, self._context.client
        if observer is None:
            return await self._request()
        with observer.posting(self.batch, self._function_ids, client.base_url) as answered:
            receipt = await self._request()
            answered(receipt)
            return receipt

    async def _request(self) -> Receipt:
        payloads = {
            function_id: [entry.payload for entry in entries]
            for function_id, entries in self.batch.by_function_id(self._function_ids).items()
        }
        route = self.batch.route
        return await self._context.client.submit(
            route.endpoint_id,
            payloads,
            task_group_id=self.task_group_id,
            resource_specification=_parsed(route.resource_specification),
            user_endpoint_config=_parsed(route.user_endpoint_config),
            result_serializers=route.result_serializers or None,
        )

    # Accept -------------------------------------------------------------------------------------

    async def _accept(self, receipt: Receipt) -> Taken:
        """Read the receipt: record it in the journal, then tell the futures."""
        context, group = self._context, receipt.task_group_id
        _log.debug(
            "The service took %d task(s).",
            len(self.batch),
            extra=ids_of(self.batch, group, receipt.request_id),
        )
        self._retries.succeeded()
        if self.task_group_id is None:
            context.groups.group_created(group)
        self.task_group_id = group
        clear, unclear = read_receipt(self.batch, self._function_ids, receipt)
        if context.journal is not None:
            await context.journal.accept(
                [(e.ticket, task_id) for task_id, e in clear if task_id not in receipt.refusals],
                group,
            )
        return self._settle(receipt, clear, unclear)

    def _settle(
        self,
        receipt: Receipt,
        clear: list[tuple[str, AnySubmission]],
        unclear: list[AnySubmission],
    ) -> Taken:
        """Pass what the receipt says on to the futures."""
        taken, now = Taken(), self._context.loop.time()
        for task_id, submission in clear:
            if task_id in receipt.refusals:
                fail_all([submission], receipt.refusals[task_id])
                taken.complete = False  # whether it is in the group, the service does not say
                continue
            future = submission.ticket
            future.accept(task_id, now)
            if future.done():  # given up in the meantime
                taken.unawaited.append(task_id)
            else:
                taken.accepted.append((task_id, future))
        if unclear:
            known = {task_id for task_id, _ in clear}
            candidates = [i for ids in receipt.tasks.values() for i in ids if i not in known]
            taken.unawaited += candidates
            taken.complete = False
            error = SubmitUncertain(
                "The service's receipt does not say which task is which; they may all run. The "
                "task ids are in `candidate_task_ids`.",
                task_group_id=receipt.task_group_id,
                candidate_task_ids=candidates,
                request_id=receipt.request_id,
            )
            fail_all(unclear, error)
        return taken

    def _withdraw(self) -> None:
        """Strike the intents out of the journal: the service certainly did not take the batch."""
        if self._context.journal is not None:
            self._context.journal.withdraw(entry.ticket for entry in self.batch.submissions)


def _parsed(text: str | None) -> Any:
    return None if text is None else json.loads(text)
