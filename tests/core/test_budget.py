"""The budget of requests."""

from __future__ import annotations

import random

from funcx_async._core.budget import RequestBudget


def test_requests_within_the_limit_go_at_once():
    budget = RequestBudget(limit=3, window=10.0)
    for _ in range(3):
        assert budget.delay(0.0) == 0.0
        budget.spend(0.0)
    assert budget.delay(0.0) == 10.0


def test_a_request_may_go_when_the_oldest_leaves_the_window():
    budget = RequestBudget(limit=2, window=10.0)
    budget.spend(0.0)
    budget.spend(4.0)
    assert budget.delay(7.0) == 3.0
    assert budget.delay(10.0) == 0.0
    budget.spend(10.0)
    assert budget.delay(10.0) == 4.0


def test_a_share_leaves_room_for_what_is_more_urgent():
    budget = RequestBudget(limit=20, window=10.0)
    for now in range(5):
        assert budget.delay(now, share=0.25) == 0.0
        budget.spend(now)
    assert budget.delay(5.0, share=0.25) == 5.0
    assert budget.delay(5.0) == 0.0


def test_the_smallest_share_is_one_request():
    budget = RequestBudget(limit=2, window=10.0)
    assert budget.delay(0.0, share=0.01) == 0.0
    budget.spend(0.0)
    assert budget.delay(0.0, share=0.01) == 10.0


def test_no_window_ever_holds_more_than_the_limit():
    chance = random.Random(5)
    budget = RequestBudget(limit=5, window=1.0)
    now, sent = 0.0, []
    for _ in range(1_000):
        now += chance.random() * 0.3
        if (delay := budget.delay(now)) > 0:
            now += delay
        budget.spend(now)
        sent.append(now)
        assert sum(1 for when in sent if now - when < 1.0 - 1e-9) <= 5
