"""The feed of examples/gateway: every browser gets what it lacks, and nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from examples.gateway.feed import Feed
from examples.gateway.logistic import attractor

LIMIT = 30


def feed_of(columns: int) -> Feed:
    """A feed as a process makes it of a store with so many outcomes."""
    feed = Feed()
    feed.tell({"busy": True})
    feed.begin(1, {"id": 1})
    for column in range(columns):
        feed.publish("column", {"column": column})
    return feed


async def lines(reading: AsyncGenerator[bytes, None]) -> list[str]:
    """What comes next, without the ends of events."""
    told = await asyncio.wait_for(anext(reading), LIMIT)
    return [line for line in told.decode().splitlines() if line]


async def test_trouble_takes_no_place_so_that_nobody_misses_a_column_after_a_restart():
    before = feed_of(columns=3)
    reading = before.follow()
    await lines(reading)
    before.tell({"busy": False, "trouble": "no disk"})
    assert await lines(reading) == ["event: state", 'data: {"busy":false,"trouble":"no disk"}']
    after = feed_of(columns=3)
    reading = after.follow("1.3")  # the id that the browser has seen last
    assert await lines(reading) == ["event: state", 'data: {"busy":true}']
    after.publish("column", {"column": 3})
    assert await lines(reading) == ["event: column", 'data: {"column":3}', "id: 1.4"]


async def test_who_comes_late_gets_the_last_word_alone_on_how_things_stand():
    feed = feed_of(columns=0)
    for count in range(5):
        feed.tell({"count": count})
    told = await lines(feed.follow())
    assert told == [
        "event: sweep",
        'data: {"id":1}',
        "id: 1.0",
        "event: state",
        'data: {"count":4}',
    ]


@pytest.mark.parametrize(
    "last_event_id",
    [
        pytest.param("", id="none"),
        pytest.param("7.1", id="of another sweep"),
        pytest.param("1.4", id="of an event that is not there yet"),
        pytest.param("1." + "9" * 5_000, id="longer than a number can be"),
        pytest.param("1.-1", id="negative"),
        pytest.param("1.²", id="a figure that is no number"),
    ],
)
async def test_an_id_that_is_not_here_is_answered_with_all(last_event_id: str):
    told = await lines(feed_of(columns=3).follow(last_event_id))
    assert [line for line in told if line.startswith("id")] == [f"id: 1.{n}" for n in range(4)]


def test_the_last_column_of_the_sweep_that_the_page_offers_is_no_exception():
    assert len(attractor(4, pause=0)) > 100
