"""Server-sent events that end when the server begins to stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT
from starlette.requests import HTTPConnection

KEEP_ALIVE: Final = 15.0
"""Seconds of silence after which a comment is sent: proxies cut connections that are silent."""

_HEADERS: Final = {
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",  # nginx would collect events before it passes them on
}


class EventStream(StreamingResponse):
    """An answer of server-sent events; made by :func:`event_stream`.

    FastAPI's own ``EventSourceResponse`` wants the route to be a generator, which would pay for
    each event and client what is paid once here.
    """

    media_type = "text/event-stream"


def event_stream(connection: HTTPConnection, frames: AsyncGenerator[bytes, None]) -> EventStream:
    """Answer with server-sent events, until there are no more or the server begins to stop.

    A stream that ends since the server stops ends without a word, so that a browser's
    ``EventSource`` connects again, to the next server. When the client goes, ``frames`` is closed;
    tasks that it awaits are left alone.

    Args:
        connection: the request, under the lifespan of :func:`lifespan_for`. Without that lifespan
            the stream ends with ``frames`` only.
        frames: encoded events, as :func:`fastapi.sse.format_sse_event` makes them; each chunk may
            hold several.

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
                {stop, following}, timeout=KEEP_ALIVE, return_when=asyncio.FIRST_COMPLETED
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
