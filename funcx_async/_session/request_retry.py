"""Retries of submits that the service certainly did not take, and the pauses between them.

Each submission has a deadline of its own, from its first refusal; what is queued while the service
takes nothing at all has one as well.
"""

from __future__ import annotations

import asyncio
import logging
import random

from funcx_async._core.backoff import Backoff
from funcx_async._core.batcher import Batcher
from funcx_async._session.batches import AnyBatch, AnyFuture, AnySubmission, fail_all, ids_of
from funcx_async._session.context import SessionContext
from funcx_async._session.functions import Function
from funcx_async.errors import FuncXError, SubmitUncertain
from funcx_async.events import EventKind

WARN_AFTER = 3.0
"""Seconds for which the service has taken nothing until a warning says so."""

GRACE = 1.0
"""Seconds by which the last request for a task may be later than its deadline."""

SLOW_AFTER = 4.0
"""Seconds without an answer to a submit until a warning says so."""

_log = logging.getLogger("funcx_async.retry")


class RequestRetry:
    """Queues again what the service did not take; used on one loop's thread.

    Args:
        context: that of the session.
        batcher: takes back what may be sent again.
    """

    def __init__(self, context: SessionContext, batcher: Batcher[AnyFuture, Function]) -> None:
        self._context = context
        self._loop = context.loop
        self._batcher = batcher
        self._backoff = Backoff()
        self._not_before = 0.0
        self._refused = False
        self._error = FuncXError("The service is unavailable.")
        self._warning: asyncio.TimerHandle | None = None
        self._warned = False
        self._warned_of_slowness = False

    def queue_deadline(self) -> float | None:
        """Return until when a new submission may wait; None while the service takes batches."""
        if not self._refused:
            return None
        return self._loop.time() + self._context.settings.retry_deadline

    async def wait_until_allowed(self) -> None:
        """Wait as long as the service asked for, while batches grow."""
        rest = self._not_before - self._loop.time()
        while rest > 0:
            await asyncio.sleep(rest)
            rest = self._not_before - self._loop.time()
        if self._refused:  # else nothing has waited: to look through all that is queued takes time
            fail_all(self._batcher.expire(self._loop.time() - GRACE), self._error)
        await self._context.client.within_budget()

    def succeeded(self) -> None:
        """Handle that the service took a batch."""
        self._context.count("batches")
        self._backoff.succeeded()
        if self._refused:
            url = self._context.client.base_url
            self.close()
            if self._warned:
                self._warned = False
                _log.warning("The service at %s takes tasks again.", url)
            self._refused = False
            self._batcher.limit(None)
            self._context.note(EventKind.SERVICE_AVAILABLE, url)

    def retry(self, batch: AnyBatch, error: FuncXError) -> None:
        """Queue again what may be sent again, and fail the rest.

        Args:
            batch: what was not taken.
            error: why.
        """
        now, deadline = self._loop.time(), self._context.settings.retry_deadline
        if not self._refused:
            self._refused = True
            self._batcher.limit(now + deadline)
            url = self._context.client.base_url
            self._context.note(EventKind.SERVICE_UNAVAILABLE, url, str(error))
            self._warning = self._loop.call_later(WARN_AFTER, self._warn)
        self._error = error
        again: list[AnySubmission] = []
        for submission in batch.submissions:
            if submission.retry_until is None:
                submission.retry_until = now + deadline
            if submission.retry_until <= now:
                fail_all([submission], error)
            else:
                submission.ticket.release()
                again.append(submission)
        # A service that asks for more time than there is gets a last request at the deadline.
        last = max((each.retry_until or now for each in again), default=now + deadline)
        if now >= self._not_before:  # else this is the same trouble that is waited out already
            chance = random.random()  # noqa: S311 - spreads the retries, hides nothing
            self._not_before = min(now + self._backoff.next_delay(chance), last)
        asked = getattr(error, "retry_after", None) or 0.0
        self._not_before = max(self._not_before, min(now + asked, last))
        _log.info(
            "%s %d task(s) are sent again in %.1f s.",
            error,
            len(again),
            self._not_before - now,
            extra=ids_of(batch, request_id=error.request_id),
        )
        self._batcher.put_back(batch.route, again)
        fail_all(self._batcher.expire(now), error)

    def unanswered(self) -> None:
        """Warn, once, that the service does not answer."""
        if not self._warned_of_slowness:
            self._warned_of_slowness = True
            _log.warning(
                "The service at %s has not answered for %g s. The request goes on; check the "
                "address, the network and the proxy.",
                self._context.client.base_url,
                SLOW_AFTER,
            )

    def close(self) -> None:
        """Warn no more of the service's present trouble."""
        if self._warning is not None:
            self._warning.cancel()
            self._warning = None

    def _warn(self) -> None:
        self._warning = None
        self._warned = True
        _log.warning(
            "%s Tasks wait; they are retried for at most %g s.",
            self._error,
            self._context.settings.retry_deadline,
        )

    def give_up(self, batch: AnyBatch, error: SubmitUncertain) -> None:
        """Fail a batch whose outcome is unknown, or submit it again if the user chose that."""
        if self._context.settings.on_uncertain == "raise":
            fail_all(batch.submissions, error)
            return
        _log.warning(
            "%s They are submitted again, as was chosen: some may run twice.",
            error,
            extra=ids_of(batch, error.task_group_id, error.request_id),
        )
        self.retry(batch, error)
