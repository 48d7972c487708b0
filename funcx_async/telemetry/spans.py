"""Spans of tasks and batches; whatever else is measured besides."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from typing import Any
from urllib.parse import urlsplit

from opentelemetry import metrics, trace
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode

from funcx_async._core.batcher import Batch, Route
from funcx_async._futures.future import FuncXFuture
from funcx_async._futures.observer import Answered
from funcx_async._process import CONNECTIONS, confined
from funcx_async.errors import FuncXError, RequestRefused, TaskExecutionFailed
from funcx_async.models import Receipt, Stats
from funcx_async.telemetry.instruments import COUNTED, instruments_of

_SCOPE = "funcx_async"
_FAILED = Status(StatusCode.ERROR)

_log = logging.getLogger("funcx_async.telemetry")


class _Task:
    """A task that is under way."""

    __slots__ = ("attributes", "endpoint_id", "since", "span")

    def __init__(self, span: Span, endpoint_id: str) -> None:
        self.span = span
        self.endpoint_id = endpoint_id
        self.since = time.perf_counter()
        self.attributes: dict[str, str | int] = {}


@confined(CONNECTIONS)
class Telemetry:
    """Tells OpenTelemetry of the work of executors; one may serve several.

    A span runs from each ``submit``, as a child of the caller's current span, until its future is
    settled. Another runs for each request that submits a batch, linked to the spans of its tasks.
    Arguments, results and messages of errors are not recorded, only the kinds of errors.

    Args:
        tracer_provider: makes spans; by default the process's.
        meter_provider: takes measurements; by default the process's, as it is when the executor is
            first used.

    Example:
        >>> from funcx_async import FuncXExecutor
        >>> FuncXExecutor(label="simulations", telemetry=Telemetry())
        <FuncXExecutor 'simulations' 0 queued, 0 batches in flight, 0 open>
    """

    def __init__(
        self,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
    ) -> None:
        version = metadata.version("funcx-async")
        self._tracer = trace.get_tracer(_SCOPE, version, tracer_provider)
        self._meter_provider = meter_provider
        self._tasks: dict[FuncXFuture[Any], _Task] = {}

    # What an executor tells ---------------------------------------------------------------------

    def began(self, stats: Callable[[], Stats]) -> None:
        """Include an executor in the gauges."""
        provider = self._meter_provider or metrics.get_meter_provider()
        self._instruments = instruments_of(provider)
        self._instruments.watch(stats)

    def submitted(self, future: FuncXFuture[Any], route: Route, function: str | None) -> None:
        """Begin the span of a task."""
        endpoint_id = route.endpoint_id
        attributes = {"faas.invoked_provider": "funcx", "funcx.endpoint.id": endpoint_id}
        if function is not None:
            attributes["faas.invoked_name"] = function
        name = "run" if function is None else f"run {function}"
        self._tasks[future] = _Task(self._begun(name, attributes), endpoint_id)
        self._instruments.count("funcx.tasks.submitted", ("funcx.endpoint.id", endpoint_id))
        if future.done():  # by another thread, perhaps before the lines above
            self._end(future)

    def settled(self, future: FuncXFuture[Any]) -> None:
        """End the span of a task."""
        self._end(future)

    @contextmanager
    def posting(
        self, batch: Batch[FuncXFuture[Any], Any], function_ids: Mapping[Any, str], url: str
    ) -> Iterator[Answered]:
        """Watch a batch on the wire."""
        known = [(self._tasks.get(entry.ticket), entry.function) for entry in batch.submissions]
        tasks = [(task, function) for task, function in known if task is not None]
        links = [Link(task.span.get_span_context()) for task, _ in tasks if _is_kept(task.span)]
        span = self._begun("submit batch", _about(batch, url), links)
        for task, function in tasks:
            task.attributes["funcx.batch"] = batch.number
            task.attributes["funcx.function.id"] = function_ids[function]
            task.span.add_link(span.get_span_context())

        def answered(receipt: Receipt) -> None:
            """Record what the service named."""
            for task, _ in tasks:
                task.attributes["funcx.task_group.id"] = receipt.task_group_id
            span.set_attribute("funcx.task_group.id", receipt.task_group_id)
            if receipt.request_id is not None:
                span.set_attribute("funcx.request.id", receipt.request_id)

        measured: dict[str, str] = {"funcx.endpoint.id": batch.route.endpoint_id}
        self._instruments.batch_size.record(len(batch), measured)
        since = time.perf_counter()
        try:
            with trace.use_span(span, record_exception=False, set_status_on_exception=False):
                yield answered
        except BaseException as error:  # cancelled as well
            span.set_status(_FAILED)
            span.set_attributes(_of_error(error))
            measured["error.type"] = _kind_of(error)
            raise
        finally:
            self._instruments.batch_duration.record(time.perf_counter() - since, measured)
            _ended(span)

    def counted(self, what: str) -> None:
        """Count along."""
        if what in COUNTED:
            self._instruments.count(COUNTED[what])

    # How it is done -----------------------------------------------------------------------------

    def _begun(self, name: str, attributes: Mapping[str, Any], links: Sequence[Link] = ()) -> Span:
        """Begin a span; one that records nothing, should somebody's part of the SDK fail."""
        try:
            return self._tracer.start_span(
                name, kind=SpanKind.CLIENT, attributes=attributes, links=links
            )
        except Exception:  # in somebody's part of the SDK
            _log.exception("beginning a span")
            return trace.INVALID_SPAN

    def _end(self, future: FuncXFuture[Any]) -> None:
        task = self._tasks.pop(future, None)  # once, in whichever thread comes first
        if task is None:
            return
        error = None if future.cancelled() else future.exception(0)
        outcome = "cancelled" if future.cancelled() else "succeeded" if error is None else "failed"
        measured = {"funcx.endpoint.id": task.endpoint_id, "funcx.outcome": outcome}
        if error is not None:
            measured["error.type"] = _kind_of(error)
        self._instruments.count("funcx.tasks.settled", *measured.items())
        self._instruments.task_duration.record(time.perf_counter() - task.since, measured)
        if task.span.is_recording():
            if future.task_id is not None:
                task.attributes["funcx.task.id"] = future.task_id
            task.attributes["funcx.outcome"] = outcome
            if error is not None:
                task.attributes.update(_of_error(error))
                task.span.set_status(_FAILED)
            task.span.set_attributes(task.attributes)
        _ended(task.span)


def _about(batch: Batch[Any, Any], url: str) -> dict[str, str | int]:
    """Describe a batch; as messages that are sent, in the words of OpenTelemetry."""
    address = urlsplit(url)
    about: dict[str, str | int] = {
        "messaging.system": "funcx",
        "messaging.operation.type": "send",
        "messaging.operation.name": "submit",
        "messaging.destination.name": batch.route.endpoint_id,
        "messaging.batch.message_count": len(batch),
        "server.address": address.hostname or "",
        "funcx.endpoint.id": batch.route.endpoint_id,
        "funcx.batch": batch.number,
    }
    if address.port is not None:
        about["server.port"] = address.port
    return about


def _of_error(error: BaseException) -> dict[str, str | int]:
    """Describe an error without its message, which may hold anything."""
    about: dict[str, str | int] = {"error.type": _kind_of(error)}
    if isinstance(error, FuncXError) and error.request_id is not None:
        about["funcx.request.id"] = error.request_id
    if isinstance(error, TaskExecutionFailed | RequestRefused) and error.code is not None:
        about["funcx.error.code"] = error.code
    if isinstance(error, RequestRefused) and error.status is not None:
        about["http.response.status_code"] = error.status
    return about


def _kind_of(error: BaseException) -> str:
    kind = type(error)
    own = kind.__module__ in ("builtins", "funcx_async.errors")
    return kind.__qualname__ if own else f"{kind.__module__}.{kind.__qualname__}"


def _is_kept(span: Span) -> bool:
    """Whether a link to a span leads anywhere."""
    return span.get_span_context().is_valid


def _ended(span: Span) -> None:
    try:
        span.end()
    except Exception:  # in somebody's part of the SDK; it shall not be the task's
        _log.exception("ending a span")
