"""The rules of acknowledgement."""

from __future__ import annotations

import random

from funcx_async._core.acks import Ack, AckLedger


def delivered(count: int) -> AckLedger:
    ledger = AckLedger()
    for tag in range(1, count + 1):
        ledger.delivered(tag)
    return ledger


def test_nothing_is_due_while_nothing_is_settled():
    assert delivered(3).due() == []


def test_one_acknowledgement_covers_everything_up_to_the_first_unsettled_delivery():
    ledger = delivered(4)
    for tag in (2, 1, 3):
        ledger.settled(tag)
    assert ledger.due() == [Ack(3, multiple=True)]


def test_above_an_unsettled_delivery_each_is_acknowledged_singly():
    ledger = delivered(5)
    for tag in (5, 3, 1):
        ledger.settled(tag)
    assert ledger.due() == [Ack(1, multiple=True), Ack(3, multiple=False), Ack(5, multiple=False)]


def test_an_unsettled_first_delivery_holds_up_no_other():
    ledger = delivered(3)
    ledger.settled(2)
    ledger.settled(3)
    assert ledger.due() == [Ack(2, multiple=False), Ack(3, multiple=False)]
    ledger.settled(1)
    assert ledger.due() == [Ack(1, multiple=True)]


def test_settling_twice_or_what_never_came_is_harmless():
    ledger = delivered(1)
    ledger.settled(1)
    ledger.settled(1)
    ledger.settled(7)
    assert ledger.due() == [Ack(1, multiple=True)]
    assert ledger.due() == []


def test_the_length_is_what_the_broker_still_counts_against_us():
    ledger = delivered(3)
    ledger.settled(2)
    assert len(ledger) == 3
    ledger.due()
    assert len(ledger) == 2


def test_in_any_order_each_delivery_is_acknowledged_exactly_once_and_only_after_settling():
    chance = random.Random(20)
    for _ in range(200):
        count = chance.randint(1, 40)
        ledger = delivered(count)
        unacknowledged = set(range(1, count + 1))
        settled: set[int] = set()
        for tag in chance.sample(range(1, count + 1), count):
            ledger.settled(tag)
            settled.add(tag)
            if chance.random() < 0.4 or len(settled) == count:
                for ack in ledger.due():
                    covered = {
                        t for t in unacknowledged if t == ack.tag or (ack.multiple and t < ack.tag)
                    }
                    assert ack.tag in covered
                    assert covered <= settled
                    unacknowledged -= covered
        assert not unacknowledged
