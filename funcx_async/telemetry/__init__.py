"""Spans and metrics of an executor's work, by OpenTelemetry.

Needs the extra ``otel``: ``pip install 'funcx-async[otel]'``. Where they go is the application's
choice, by the tracer provider and the meter provider that it sets up with OpenTelemetry's SDK.

Example::

    async with FuncXExecutor(telemetry=Telemetry()) as executor:
        await executor.submit(add, 40, 2)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from funcx_async._lazy import attach

if TYPE_CHECKING:
    from funcx_async.telemetry.spans import Telemetry

__all__ = ["Telemetry"]

__getattr__, __dir__ = attach(
    __name__,
    __all__,
    {"Telemetry": "spans"},
    extra="otel",
    user="telemetry",
    libraries={"opentelemetry": "opentelemetry-api"},
)
