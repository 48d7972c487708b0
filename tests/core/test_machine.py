"""The whole core against a model of the promises, driven through whatever may happen, in any order.

Batcher, matcher, ledger and judge work together here as they do in an executor, on a toy of the
service that takes, refuses and loses batches and delivers results early, late, twice, in any order
and to nobody. After every step the promises hold; when all is answered and delivered, all is
settled, and nothing is kept.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from funcx_async.models import Result
from tests.core.sending import DEADLINE, SHARED, SendingMachine
from tests.core.toy import GIVEN_UP, Task, Ticket

HOW = ["once", "once", "once", "twice", "notice", "both", "dropped"]


class CoreMachine(SendingMachine):
    """The whole core: what was sent brings results."""

    # Results ------------------------------------------------------------------------------------

    def unfinished(self) -> list[tuple[str, Task]]:
        groups = self.service.groups.items()
        return [(group, task) for group, tasks in groups for task in tasks if not task.done]

    @precondition(lambda self: self.unfinished())
    @rule(
        data=st.data(),
        hows=st.lists(st.sampled_from(HOW), min_size=1, max_size=4),
        delivered=st.booleans(),
    )
    def finish(self, data: st.DataObject, hows: list[str], delivered: bool) -> None:
        """Finish tasks in any order, and publish their results."""
        for how in hows[: len(self.unfinished())]:
            group, task = data.draw(st.sampled_from(self.unfinished()))
            task.done = True
            notice = Result(task.task_id, None)
            published = {
                "once": [task.result],
                "twice": [task.result, task.result],
                "notice": [notice],
                "both": [notice, task.result],
                "dropped": [],
            }
            stream = self.stream(group)
            stream.queue.waiting += published[how]
            while delivered and stream.queue.waiting:
                stream.deliver(0)

    @precondition(lambda self: any(stream.queue.waiting for stream in self.streams.values()))
    @rule(
        data=st.data(), count=st.integers(1, 4), in_order=st.booleans(), acknowledged=st.booleans()
    )
    def deliver(self, data: st.DataObject, count: int, in_order: bool, acknowledged: bool) -> None:
        filled = [group for group, stream in self.streams.items() if stream.queue.waiting]
        stream = self.streams[data.draw(st.sampled_from(filled))]
        for last in range(len(stream.queue.waiting) - 1, -1, -1)[:count]:
            stream.deliver(0 if in_order else data.draw(st.integers(0, last)))
        if acknowledged:
            stream.flush()

    @precondition(lambda self: self.streams)
    @rule(data=st.data(), what=st.sampled_from(["foreign", "disconnect", "fetch", "sweep"]))
    def tend(self, data: st.DataObject, what: str) -> None:
        """Publish what is nobody's, lose a connection, or look up some of what is open, or all."""
        stream = self.streams[data.draw(st.sampled_from(sorted(self.streams)))]
        if what == "foreign":
            foreign = self.stream(SHARED)
            foreign.queue.waiting.append(Result(f"foreign {len(foreign.finished)}", "theirs"))
        elif what == "disconnect":
            stream.disconnect()
        else:
            wanted = stream.fetching if what == "fetch" else dict(stream.matcher.open_tasks())
            stream.look_up(self.service.tasks(stream.group, list(wanted)))

    @precondition(lambda self: self.streams)
    @rule(data=st.data())
    def reload(self, data: st.DataObject) -> None:
        """Await all tasks of a group again, in place of those that were awaited before."""
        stream = self.streams[data.draw(st.sampled_from(sorted(self.streams)))]
        before = [ticket for ticket in self.tickets if ticket.outcome is None]
        tasks = list(self.service.groups[stream.group])
        for task in tasks:
            ticket = Ticket(task.value, claimed=True)
            self.tickets.append(ticket)
            stream.expect(task.task_id, ticket)
        for ticket in before:
            if ticket.outcome is None:
                ticket.settle(GIVEN_UP)
                for other in self.streams.values():
                    other.forget(ticket)
        stream.look_up(tasks)

    @rule(seconds=st.sampled_from([0.5, 2.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.service.clock += 1
        self.send()

    # What always holds --------------------------------------------------------------------------

    @invariant()
    def nothing_is_lost_or_counted_wrongly(self) -> None:
        assert len(self.batcher) == len(self.queued)
        assert self.batcher.posts == len(self.posts)
        for stream in self.streams.values():
            stream.check()
            unanswered = sum(post.stream is stream for post in self.posts)
            assert stream.matcher.unanswered == unanswered

    @invariant()
    def every_open_ticket_is_in_one_place(self) -> None:
        places = [entry.ticket for _, entry in self.queued]
        places += [entry.ticket for post in self.posts for entry in post.batch.submissions]
        for stream in self.streams.values():
            places += [ticket for tickets in stream.awaited.values() for ticket in tickets]
        places = [ticket for ticket in places if ticket.outcome is None]
        assert len(set(places)) == len(places)
        assert set(places) == {ticket for ticket in self.tickets if ticket.outcome is None}

    @invariant()
    def the_account_of_a_group_is_right_or_there_is_none(self) -> None:
        group = self.made_group
        if group is None or (count := self.streams[group].matcher.known_task_count) is None:
            return
        unanswered = [post for post in self.posts if post.stream is self.streams[group]]
        told = {task_id for post in unanswered for task_id in post.task_ids}
        assert count == len(self.service.groups[group]) - len(told)

    def teardown(self) -> None:
        """Let everything be taken, answered, done and delivered: then all is settled."""
        while self.posts or self.queued:
            for post in self.unanswered():
                if post.receipt is None:
                    self.take(post)
                assert post.receipt is not None
                self.accept(post, post.receipt)
            self.now += DEADLINE
            self.send()
        for group, task in self.unfinished():
            task.done = True
            self.stream(group).queue.waiting.append(task.result)
        for stream in self.streams.values():
            while stream.queue.waiting:
                stream.deliver(0)
            stream.look_up(self.service.tasks(stream.group, list(stream.awaited)))
            stream.flush()
            stream.check()
            assert not stream.queue.unacknowledged
            assert stream.matcher.held == stream.matcher.unanswered == len(stream.matcher) == 0
        assert all(ticket.outcome is not None for ticket in self.tickets)


COMMON = settings(
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)

TestCore = CoreMachine.TestCase
TestCore.settings = settings(COMMON, max_examples=50, stateful_step_count=40, derandomize=True)


@pytest.mark.proof
class TestCoreAtLength(CoreMachine.TestCase):
    # A failure is reported as it is found: shrinking so many steps takes minutes.
    settings = settings(COMMON, max_examples=500, stateful_step_count=80, phases=[Phase.generate])
