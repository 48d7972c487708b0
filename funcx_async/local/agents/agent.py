"""One agent: what it runs on, what it is sent, and what comes back from it."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final

import aio_pika

from funcx_async._service.messages import MalformedMessage, decode_result
from funcx_async.local.agents.ledger import Ledger, UserEndpointEntry
from funcx_async.local.agents.link import Link
from funcx_async.local.agents.messages import (
    STANDARD_PERIOD,
    Queues,
    Report,
    TaskTooLarge,
    read_report,
    start_command,
    task_message,
)
from funcx_async.local.agents.user_endpoint import Do, UserEndpoint
from funcx_async.local.outcomes import Failure, result_message
from funcx_async.local.store import Job

logger = logging.getLogger(__name__)

COMMANDS_LIVE: Final = 150.0
"""Seconds that a command may wait for an agent, which refuses those older than 180."""
HEARTBEATS_LIVE: Final = 60.0
HALF_PAIR: Final = re.compile("[\ud800-\udfff]")
HEARTBEATS_MISSED: Final = 3
"""With so many missed, an agent is offline."""

Settle = Callable[[Job, bytes, bool], None]
Note = Callable[[str], None]


class Agent:
    """An agent that has registered, now or before.

    Args:
        endpoint_id: the id under which tasks are submitted to it.
        ledger: what is remembered of it.
        link: the way to its queues.
        url: the broker's address for the agent.
        settle: receives each job's result message, and whether it failed.
        note: receives what happens, for tests that wait for it.
    """

    def __init__(
        self,
        endpoint_id: str,
        *,
        ledger: Ledger,
        link: Link,
        url: str,
        settle: Settle,
        note: Note,
    ) -> None:
        self.endpoint_id = endpoint_id
        self._ledger = ledger
        self._link = link
        self._queues = Queues(endpoint_id, url)
        self._settle = settle
        self._note = note
        self._was_online = False
        self._shut_out = False
        self._heard: float | None = None
        self._period = STANDARD_PERIOD
        self._user_endpoints: dict[str, UserEndpoint] = {}
        self._entries: dict[str, UserEndpointEntry] = {}
        self._workers: dict[str, dict[str, Any]] = {}
        now = time.monotonic()
        for entry in ledger.user_endpoints(endpoint_id):
            self._know(entry, now)

    def __repr__(self) -> str:
        state = "online" if self.online else "offline"
        return f"<Agent {self.endpoint_id} {state}, {self.open} open>"

    @property
    def online(self) -> bool:
        """Whether its heartbeats come."""
        if self._heard is None:
            return False
        return time.monotonic() - self._heard <= HEARTBEATS_MISSED * self._period

    @property
    def open(self) -> int:
        """How many tasks are not settled."""
        return sum(len(each.open) for each in self._user_endpoints.values())

    @property
    def workers(self) -> dict[str, Any]:
        """What its user endpoints reported of their workers, summed up."""
        totals = {
            name: sum(_number(state.get(name)) for state in self._workers.values())
            for name in ("total_workers", "idle_workers")
        }
        return {**totals, "managers": len(self._workers)}

    def attach(self) -> None:
        """Declare its queues, and consume what comes through them."""
        self._link.declare(self._queues.commands, messages_live=COMMANDS_LIVE)
        self._link.declare(self._queues.heartbeats, messages_live=HEARTBEATS_LIVE)
        self._link.declare(self._queues.results)
        self._link.consume(self._queues.heartbeats, self._heartbeat)
        self._link.consume(self._queues.results, self._result)

    def restore(self) -> None:
        """Attach it again, with the user endpoints that may have lived on."""
        self.attach()
        for user_endpoint_id in self._user_endpoints:
            self._link.declare(self._queues.tasks(user_endpoint_id))

    def withdraw(self) -> None:
        """Delete its queues."""
        self.shut_out()
        for user_endpoint_id in self._user_endpoints:
            self._link.delete(self._queues.tasks(user_endpoint_id))
        self._link.delete(self._queues.heartbeats)
        self._link.delete(self._queues.results)

    def end(self, reason: str) -> None:
        """Delete its queues, and fail what is open."""
        self.withdraw()
        for user_endpoint_id in self._user_endpoints:
            self._fail(user_endpoint_id, reason)

    def shut_out(self) -> None:
        """Delete its command queue, without which an agent ends."""
        self._link.delete(self._queues.commands)
        self._shut_out = True
        self._heard = None
        self.tick()

    def began(self) -> dict[str, Any]:
        """Start over after a registration, and return the answer to it."""
        self.shut_out()  # the one before, with the commands to it
        self._shut_out = False
        for user_endpoint in self._user_endpoints.values():
            user_endpoint.agent_began()
        self._workers.clear()
        self.attach()
        return self._queues.registration()

    # What the dispatch asks

    def add(self, jobs: Iterable[Job]) -> None:
        """Accept tasks, and send them once their user endpoint can be reached."""
        now = time.monotonic()
        by_options: dict[str, list[Job]] = {}
        for job in jobs:
            by_options.setdefault(job.options, []).append(job)
        for options, some in by_options.items():
            entry = self._ledger.user_endpoint(self.endpoint_id, options)
            user_endpoint = self._know(entry, now)
            self._do(user_endpoint.add(some, now, online=self.online), entry.id, some)

    def station(self, task_id: str) -> str:
        """Return the status of an open task."""
        return "waiting-for-nodes" if self.online else "waiting-for-ep"

    # What comes from the agent

    def _heartbeat(self, body: bytes) -> None:
        try:
            report = read_report(body)
        except ValueError as error:
            logger.warning("The agent %s sent no heartbeat: %s", self.endpoint_id, error)
            return
        if report.endpoint_id == self.endpoint_id:
            self._own_heartbeat(report)
        elif report.endpoint_id in self._user_endpoints:
            self._user_heartbeat(report)

    def _own_heartbeat(self, report: Report) -> None:
        if report.error is not None:
            logger.warning("The agent %s does not start: %s", self.endpoint_id, report.error)
        if report.error is not None or report.period <= 0 or self._shut_out:
            self._heard = None
        else:
            self._heard, self._period = time.monotonic(), report.period
        self.tick()

    def _user_heartbeat(self, report: Report) -> None:
        user_endpoint = self._user_endpoints[report.endpoint_id]
        before = user_endpoint.session
        todo = user_endpoint.heard(report, time.monotonic(), online=self.online)
        if report.error is not None:
            logger.warning(
                "A user endpoint of agent %s did not start: %s", self.endpoint_id, report.error
            )
        elif report.active:
            self._workers[report.endpoint_id] = dict(report.state)
        else:
            self._workers.pop(report.endpoint_id, None)
        if user_endpoint.session is not None and user_endpoint.session != before:
            self._ledger.keep_session(report.endpoint_id, user_endpoint.session)
            self._note("agent_session")
        self._do(todo, report.endpoint_id, reason=report.error)

    def _result(self, body: bytes) -> None:
        try:
            body = without_half_pairs(body)
            result = decode_result(body)
        except MalformedMessage as error:
            logger.warning("The agent %s sent no result: %s", self.endpoint_id, error)
            return
        for user_endpoint in self._user_endpoints.values():
            if (found := user_endpoint.open.pop(result.task_id, None)) is not None:
                self._settle(found.job, body, result.error_code is not None)

    def tick(self) -> None:
        """Start the user endpoints that are needed."""
        online = self.online
        if online != self._was_online:
            self._was_online = online
            self._note("agent_online" if online else "agent_offline")
        for user_endpoint_id, user_endpoint in list(self._user_endpoints.items()):
            self._do(user_endpoint.tick(time.monotonic(), online=online), user_endpoint_id)

    # What goes to the agent

    def _do(
        self,
        todo: Iterable[Do],
        user_endpoint_id: str,
        new: Sequence[Job] = (),
        *,
        reason: str | None = None,
    ) -> None:
        user_endpoint = self._user_endpoints[user_endpoint_id]
        for do in todo:
            if do is Do.BEGIN:
                self._link.delete(self._queues.tasks(user_endpoint_id))
                self._link.declare(self._queues.tasks(user_endpoint_id))
                self._send(user_endpoint_id, [each.job for each in user_endpoint.open.values()])
                self._command(user_endpoint_id)
            elif do is Do.SEND:
                sent = self._ledger.sent(job.task_id for job in new)
                self._send(user_endpoint_id, [job for job in new if job.task_id not in sent])
            elif do is Do.SEND_AGAIN:
                self._send(user_endpoint_id, user_endpoint.sent_before_the_command())
            elif do is Do.COMMAND:
                self._command(user_endpoint_id)
            elif do is Do.FAIL:
                self._fail(user_endpoint_id, reason or "")

    def _send(self, user_endpoint_id: str, jobs: Iterable[Job]) -> None:
        for job in jobs:
            self._link.publish(
                self._queues.tasks(user_endpoint_id),
                partial(self._compose, user_endpoint_id, job),
                partial(self._ledger.mark_sent, job.task_id),
            )

    def _compose(self, user_endpoint_id: str, job: Job) -> aio_pika.Message | None:
        """Return the message of a task, unless it was settled before its turn came."""
        parcel = self._ledger.parcel(job.task_id)
        if parcel is None:
            return None
        try:
            return task_message(job.task_id, parcel)
        except TaskTooLarge as error:
            self._fail_one(user_endpoint_id, job, f"TaskTooLarge: {error}\n")
            return None

    def _command(self, user_endpoint_id: str) -> None:
        entry = self._ledger.user_endpoint(
            self.endpoint_id, self._entries[user_endpoint_id].options
        )
        credentials = self._queues.credentials(entry.id)
        name = f"uep.{self.endpoint_id}.{entry.id}"
        body = start_command(name, credentials, options=entry.options, runtime=entry.runtime)

        def compose() -> aio_pika.Message:
            return aio_pika.Message(
                body, content_type="application/json", timestamp=int(time.time())
            )

        self._link.publish(self._queues.commands, compose, partial(self._note, "agent_command"))

    def _fail(self, user_endpoint_id: str, reason: str) -> None:
        text = f"EndpointStartFailed: the endpoint {self.endpoint_id} runs no tasks: {reason}\n"
        for each in list(self._user_endpoints[user_endpoint_id].open.values()):
            self._fail_one(user_endpoint_id, each.job, text)

    def _fail_one(self, user_endpoint_id: str, job: Job, text: str) -> None:
        self._user_endpoints[user_endpoint_id].open.pop(job.task_id, None)
        now = time.time_ns()
        failure = Failure(text, user_message=text.strip())
        self._settle(job, result_message(job.task_id, failure, started=now, ended=now), True)

    def _know(self, entry: UserEndpointEntry, now: float) -> UserEndpoint:
        known = self._user_endpoints.get(entry.id)
        if known is None:
            known = UserEndpoint(session=entry.session, now=now)
            self._user_endpoints[entry.id] = known
            self._entries[entry.id] = entry
        return known


def _number(told: object) -> int:
    return told if isinstance(told, int) else 0


def without_half_pairs(body: bytes) -> bytes:
    """Return a result message with each half of a surrogate pair as text.

    An official worker writes one where an error names a file that is not UTF-8.
    """
    if b"\\ud" not in body.lower():
        return body
    try:
        document = json.loads(body[1:])
    except ValueError:
        return body
    text = json.dumps(document, ensure_ascii=False)
    return body[:1] + HALF_PAIR.sub(lambda half: f"\\\\u{ord(half[0]):04x}", text).encode()
