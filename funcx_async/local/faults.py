"""Fault injection: what goes wrong next on a local service, for tests of what depends on it.

Everything is deterministic. A fault is set before it is to happen, happens as many times as was
asked for, and is over. What happened can be counted and awaited, so that a test needs no sleep.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from funcx_async._process import CONNECTIONS, confined
from funcx_async.local.injection import Hold, Reply, Switches
from funcx_async.local.outcomes import Notice
from funcx_async.local.publisher import queue_of
from funcx_async.local.web.answers import Refusal

if TYPE_CHECKING:
    from funcx_async.local.broker import EmbeddedBroker
    from funcx_async.local.components import Components

REFUSING: Final = range(400, 600)
"""The HTTP statuses of refusals."""


@confined(CONNECTIONS)
class Faults:
    """The faults of one local service, as ``service.faults``.

    A route is one of ``version``, ``register``, ``function``, ``submit``, ``tasks``,
    ``batch_status``, ``taskgroup``, ``amqp_url``, ``endpoints``, ``endpoint``,
    ``endpoint_status``, ``allowed_functions``, and of the classic dialect ``authenticate``,
    ``containers`` and ``whitelist``; another one is a ValueError, as is a fault that is to happen
    less than once. Faults of requests may be set before the service is started; the others need it
    running and raise RuntimeError otherwise.

    Example:
        >>> from funcx_async.local import LocalService
        >>> import asyncio
        >>> async def main():
        ...     async with LocalService(workers=1) as service, service.executor() as executor:
        ...         service.faults.refuse("submit", status=503, times=1, retry_after=0)
        ...         print(await executor.submit(pow, 2, 5), service.faults.count("submit"))
        >>> asyncio.run(main())
        32 2
    """

    def __init__(self, switches: Switches, components: Callable[[], Components]) -> None:
        self._switches = switches
        self._components = components

    # Requests

    def refuse(
        self,
        route: str,
        *,
        status: int = 503,
        times: int = 1,
        code: str | None = None,
        reason: str = "refused by an injected fault",
        retry_after: float | str | None = None,
    ) -> None:
        """Answer the next requests of a route with an error document; nothing else is done.

        Args:
            route: which requests.
            status: the HTTP status.
            times: how many requests.
            code: the document's code, such as ``ENDPOINT_NOT_FOUND``.
            reason: the document's sentence.
            retry_after: the ``Retry-After`` header: seconds, or an HTTP date.

        Raises:
            ValueError: there is no such route, ``status`` refuses nothing, or ``times`` is below 1.
        """
        if status not in REFUSING:
            msg = f"a request is refused by a status from 400 to 599, not by {status}"
            raise ValueError(msg)
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        refusal = Refusal(code or f"HTTP_{status}", reason, status=status, headers=headers)
        self._switches.refuse(route, refusal, at_least_once(times))

    def lose_replies(self, route: str, times: int = 1) -> None:
        """Do the work of the next requests, then cut the connection without an answer."""
        self._switches.spoil(route, Reply.LOST, at_least_once(times))

    def truncate_replies(self, route: str, times: int = 1) -> None:
        """Do the work of the next requests, then answer with the first half of the JSON."""
        self._switches.spoil(route, Reply.TRUNCATED, at_least_once(times))

    def hold_replies(self, route: str) -> Hold:
        """Do the work of requests, but keep the answers back, so that results overtake them.

        Example::

            with service.faults.hold_replies("submit") as hold:
                future = fxe.submit(pow, 2, 5)
                await hold.seen()
                await service.faults.seen("executed")
            assert await future == 32
        """
        return self._switches.hold_replies(route)

    # Results

    def drop_results(self, times: int = 1) -> None:
        """Never publish the next result messages; the tasks' results are on REST."""
        self._switches.spoil_results("drop", at_least_once(times))

    def duplicate_results(self, times: int = 1) -> None:
        """Publish each of the next result messages twice."""
        self._switches.spoil_results("duplicate", at_least_once(times))

    def high_assurance_results(self, times: int = 1) -> None:
        """Publish the next result messages without their value, marked ``high_assurance``."""
        self._switches.spoil_results("empty", at_least_once(times))

    def reorder_results(self, window: int) -> Hold:
        """Publish result messages in groups of ``window``, each group backwards.

        A group that is not full when the hold is released goes out as it is, backwards.

        Raises:
            ValueError: the window is smaller than 2.
        """
        if window < 2:
            msg = f"a window of {window} has no order to change; give 2 or more"
            raise ValueError(msg)
        return self._switches.stage_results(self._components().dispatch.publish, window)

    def hold_results(self) -> Hold:
        """Keep result messages back; REST has the results meanwhile."""
        return self._switches.stage_results(self._components().dispatch.publish, None)

    def publish(
        self, task_group_id: str, body: bytes, *, headers: Mapping[str, Any] | None = None
    ) -> None:
        """Publish any message to a group's result queue: an orphan, a duplicate, garbage."""
        notice = Notice(task_group_id, body, headers=dict(headers or {}))
        self._components().dispatch.publish([notice])

    # The broker

    async def delete_queues(self) -> None:
        """Delete every result queue; the next submit that asks for one makes it again."""
        await self._components().dispatch.delete_queues()

    def disconnect(self) -> None:
        """Cut every AMQP connection.

        Raises:
            RuntimeError: the service uses a RabbitMQ, whose connections are its own; this goes
                for the next three as well.
        """
        self._broker("disconnect").disconnect()

    def close_channels(self, task_group_id: str | None = None) -> None:
        """Close the AMQP channels that consume, of one group's queue or of all."""
        queue = None if task_group_id is None else queue_of(task_group_id)
        self._broker("close_channels").close_channels(queue)

    def cancel_consumers(self, task_group_id: str | None = None) -> None:
        """Cancel the AMQP consumers, of one group's queue or of all."""
        broker = self._broker("cancel_consumers")
        groups = (
            self._components().dispatch.queued_groups if task_group_id is None else [task_group_id]
        )
        for queue in map(queue_of, groups):
            if broker.has_queue(queue):
                broker.cancel_consumers(queue)

    def refuse_logins(self, times: int = 1) -> None:
        """Refuse the next AMQP logins, whatever their password."""
        self._broker("refuse_logins").refuse_logins(at_least_once(times))

    def stall(self) -> Hold:
        """Leave AMQP connections open, but read and write nothing on them: half-open."""
        broker = self._broker("stall")
        broker.stall()
        return Hold(broker.resume)

    def _broker(self, fault: str) -> EmbeddedBroker:
        broker = self._components().broker
        if broker is None:
            msg = (
                f"{fault}() works on the embedded broker only, and this service uses a RabbitMQ; "
                "leave amqp_url out, or have the RabbitMQ's own tools do it"
            )
            raise RuntimeError(msg)
        return broker

    # The endpoint

    def endpoint_offline(self) -> Hold:
        """Begin no more tasks and call the endpoint offline, until the hold is released."""
        self._components().pool.pause()
        return self._switches.go_offline()

    # Afterwards

    def reset(self) -> None:
        """Forget every fault that is set, release what is held, and count from 0 again.

        What a fault has done stays done: a queue that was deleted is gone.

        Raises:
            RuntimeError: the service is not running.
        """
        broker = self._components().broker
        self._switches.reset()
        if broker is not None:
            broker.refuse_logins(0)
            broker.resume()

    # What happened

    def count(self, what: str) -> int:
        """Return how often it happened since the service was made or last :meth:`reset`.

        Args:
            what: a route (its requests, refused ones included), or ``accepted`` (tasks taken),
                ``executed`` (tasks whose result is kept, and published where it should be),
                ``published`` (messages put on result queues), ``dropped`` (those that were not);
                ``agent_online``, ``agent_offline`` (an agent's heartbeats begin, or end),
                ``agent_command`` (commands to start a user endpoint), ``agent_session`` (user
                endpoints that have begun).

        Raises:
            ValueError: nothing of this name is counted.
        """
        return self._switches.counter.count(what)

    async def seen(self, what: str, times: int = 1) -> None:
        """Return when :meth:`count` has reached ``times``."""
        await self._switches.counter.reached(what, times)


def at_least_once(times: int) -> int:
    """Check how often a fault is to happen.

    Raises:
        ValueError: never, which would be a test of nothing.
    """
    if times < 1:
        msg = f"a fault happens at least once, not {times} times; reset() ends those that are set"
        raise ValueError(msg)
    return times
