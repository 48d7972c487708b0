"""Sending again what the service certainly did not take, and leaving it alone meanwhile.

Each submission has a deadline of its own, from when it was refused first; what is queued while the
service takes nothing at all has one as well.
"""

from __future__ import annotations

import asyncio
import logging
import random

from funcx_async._core.backoff import Backoff
from funcx_async._core.batcher import Batcher
from funcx_async._session.functions import Function
from funcx_async._session.posting import AnyBatch, AnyFuture, AnySubmission, fail_all, ids_of
from funcx_async._session.sender import Sender
from funcx_async.errors import FuncXError, SubmitUncertain
from funcx_async.events import EventKind

_log = logging.getLogger("funcx_async.retry")


class Resending:
    """See the module; used on one loop's thread.

    Args:
        session: whose batches they are.
        loop: has the clock of all deadlines.
        batcher: takes back what may be sent again.
    """

    def __init__(
        self,
        session: Sender,
        loop: asyncio.AbstractEventLoop,
        batcher: Batcher[AnyFuture, Function],
    ) -> None:
        self._session = session
        self._loop = loop
        self._batcher = batcher
        self._backoff = Backoff()
        self._not_before = 0.0
        self._refuses = False

    def limit(self) -> float | None:
        """Until when what is queued now may wait; None while the service takes batches."""
        if not self._refuses:
            return None
        return self._loop.time() + self._session.settings.retry_deadline

    async def until_allowed(self) -> None:
        """Leave the service alone as long as it asked for; batches grow meanwhile."""
        rest = self._not_before - self._loop.time()
        while rest > 0:
            await asyncio.sleep(rest)
            rest = self._not_before - self._loop.time()
        await self._session.client.within_budget()

    def succeeded(self) -> None:
        """Note that the service takes batches."""
        self._session.count("batches")
        self._backoff.succeeded()
        if self._refuses:
            self._refuses = False
            self._batcher.limit(None)
            self._session.note(EventKind.SERVICE_AVAILABLE, self._session.client.base_url)

    def send_again(self, batch: AnyBatch, error: FuncXError) -> None:
        """Queue again what may be sent again, and fail the rest; leave the service alone.

        Args:
            batch: what was not taken.
            error: why.
        """
        now, deadline = self._loop.time(), self._session.settings.retry_deadline
        if not self._refuses:
            self._refuses = True
            self._batcher.limit(now + deadline)
            url = self._session.client.base_url
            self._session.note(EventKind.SERVICE_UNAVAILABLE, url, str(error))
        asked = getattr(error, "retry_after", None) or 0.0
        if now >= self._not_before:  # else this is the same trouble that is waited out already
            chance = random.random()  # noqa: S311 - spreads the tries, hides nothing
            self._not_before = now + min(self._backoff.next_delay(chance), deadline)
        self._not_before = max(self._not_before, now + min(asked, deadline))
        again: list[AnySubmission] = []
        for submission in batch.submissions:
            if submission.retry_until is None:
                submission.retry_until = now + deadline
            if max(self._not_before, now + asked) > submission.retry_until:
                fail_all([submission], error)
            else:
                submission.ticket.release()
                again.append(submission)
        _log.info(
            "%s %d task(s) are sent again in %.1f s.",
            error,
            len(again),
            self._not_before - now,
            extra=ids_of(batch, request_id=error.request_id),
        )
        self._batcher.put_back(batch.route, again)
        fail_all(self._batcher.expire(now), error)

    def give_up(self, batch: AnyBatch, error: SubmitUncertain) -> None:
        """Fail a batch of which nobody can know whether it was taken, or risk sending it twice."""
        if self._session.settings.on_uncertain == "raise":
            fail_all(batch.submissions, error)
            return
        _log.warning(
            "%s They are submitted again, as was chosen: some may run twice.",
            error,
            extra=ids_of(batch, error.task_group_id, error.request_id),
        )
        self.send_again(batch, error)
