"""Server-sent events that end when the server stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT
from starlette.requests import HTTPConnection

KEEP_ALIVE_INTERVAL: Final = 15.0
"""Seconds without an event after which a comment is sent: proxies close idle connections."""

_HEADERS: Final = {
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",  # keeps nginx from buffering events
}


class EventStream(StreamingResponse):
    """A response of server-sent events; returned by :func:`event_stream`.

    FastAPI's own ``EventSourceResponse`` requires the route to be a generator and encodes each
    event once per client; here an event is encoded once.
    """

    media_type = "text/event-stream"


def event_stream(connection: HTTPConnection, frames: AsyncGenerator[bytes, None]) -> EventStream:
    """Respond with server-sent events until there are no more or the server stops.

    When the server stops, the stream ends without a last event, so that a browser's
    ``EventSource`` reconnects to the next server. When the client disconnects, ``frames`` is
    closed; tasks that it awaits keep running.

    Args:
        connection: the request. It needs the lifespan of :func:`lifespan_for`; without it the
            stream ends only with ``frames``.
        frames: encoded events, as :func:`fastapi.sse.format_sse_event` returns them; each chunk
            may hold several.

    Returns:
        The response.

    Example::

        async def ticks():
            while True:
                await asyncio.sleep(1)
                yield format_sse_event(data_str="tick")

        @app.get("/ticks", response_class=EventStream)
        async def follow(request: Request) -> EventStream:
            return event_stream(request, ticks())
    """
    stopping = getattr(connection.state, "funcx_stopping", None)
    body = _until(stopping or asyncio.Event(), frames)
    return EventStream(body, headers=_HEADERS)


async def _until(
    stopping: asyncio.Event, frames: AsyncGenerator[bytes, None]
) -> AsyncGenerator[bytes, None]:
    stop = asyncio.create_task(stopping.wait(), name="funcx:stream-end")
    following = asyncio.create_task(_next(frames), name="funcx:stream")
    try:
        while not stop.done():
            await asyncio.wait(
                {stop, following}, timeout=KEEP_ALIVE_INTERVAL, return_when=asyncio.FIRST_COMPLETED
            )
            if not following.done():
                yield KEEPALIVE_COMMENT
                continue
            frame = following.result()
            if frame is None:
                return
            following = asyncio.create_task(_next(frames), name="funcx:stream")
            yield frame
    finally:
        stop.cancel()
        following.cancel()
        await asyncio.wait({stop, following})
        await frames.aclose()


async def _next(frames: AsyncGenerator[bytes, None]) -> bytes | None:
    return await anext(frames, None)
