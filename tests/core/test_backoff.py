"""The delays between tries."""

from __future__ import annotations

from funcx_async._core.backoff import Backoff


def test_delays_double_up_to_the_longest():
    backoff = Backoff(first=1.0, longest=6.0)
    assert [backoff.next_delay(0.5) for _ in range(5)] == [1.0, 2.0, 4.0, 6.0, 6.0]


def test_chance_spreads_a_delay_by_half_to_both_sides():
    assert Backoff(first=2.0).next_delay(0.0) == 1.0
    assert Backoff(first=2.0).next_delay(1.0) == 3.0


def test_a_success_begins_anew():
    backoff = Backoff(first=1.0)
    backoff.next_delay(0.5)
    backoff.next_delay(0.5)
    backoff.succeeded()
    assert backoff.next_delay(0.5) == 1.0


def test_a_service_that_is_gone_for_days_overflows_nothing():
    backoff = Backoff(longest=30.0)
    assert [backoff.next_delay(0.5) for _ in range(5_000)][-1] == 30.0
