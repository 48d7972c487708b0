"""The half of the core's machine that sends: batches out, receipts in, answers that are lost."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from funcx_async._core.batcher import ENVELOPE, Batcher, Route, Submission, read_receipt
from funcx_async._core.uncertain import judge
from funcx_async.models import Receipt
from tests.core.shell import Post, Stream
from tests.core.toy import CANCELLED, LATE, REFUSED, UNCERTAIN, AnySubmission, Service, Ticket

BATCH_SIZE = 4
MAX_POSTS = 3
ROOM = 60
DEADLINE = 3.0
SHARED = "shared with others"
REPLIES = [
    *("taken", "overtaken", "overtaken", "answered", "answered", "lost", "lost"),
    *("busy", "unclear", "refused", "group unknown", "lost untaken"),
]
Order = tuple[str, bool, str, str, int]
ORDERS = st.tuples(
    st.sampled_from("AAAB"),
    st.sampled_from([False, False, True]),
    st.sampled_from("fffg"),
    st.sampled_from(["", "x", "x", "y" * 10, "z" * 40]),
    st.integers(1, 4),
)
"""Endpoint, whether in the shared group, function, payload, and how often."""

FUNCTION_IDS = {"f": "f", "g": "g"}


class SendingMachine(RuleBasedStateMachine):
    """The half of the core that sends, with a minimal shell around it."""

    def __init__(self) -> None:
        super().__init__()
        self.service = Service()
        self.batcher: Batcher[Ticket, str] = Batcher(max_posts=MAX_POSTS, max_body=ENVELOPE + ROOM)
        self.streams: dict[str, Stream] = {}
        self.tickets: list[Ticket] = []
        self.queued: list[tuple[Route, AnySubmission]] = []
        self.posts: list[Post] = []
        self.doubts: list[Post] = []
        self.strays: list[Post] = []
        self.made_group: str | None = None
        self.now = 0.0
        self.not_before = 0.0
        self.refused = False

    # Submitting ---------------------------------------------------------------------------------

    @initialize(orders=st.lists(ORDERS, min_size=3, max_size=6), led=st.sampled_from([True, False]))
    def begin(self, orders: list[Order], led: bool) -> None:
        """Begin with some tasks, mostly in a group that the service has made already."""
        if led:
            self.submit(("A", False, "f", "", 1))
            self.take(self.posts[0])
            assert self.posts[0].receipt is not None
            self.accept(self.posts[0], self.posts[0].receipt)
        for order in orders:
            self.submit(order)

    @rule(order=ORDERS)
    def submit(self, order: Order) -> None:
        endpoint, shared, function, payload, times = order
        route = Route(endpoint, SHARED if shared else self.made_group)
        for _ in range(times):
            ticket = Ticket(f"{function}({payload})")
            submission = Submission(ticket, function, payload)
            if self.refused:
                submission.wait_until = self.now + DEADLINE
            self.tickets.append(ticket)
            self.queued.append((route, submission))
            self.batcher.add(route, submission)
        self.send()

    @precondition(lambda self: self.tickets)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(self.tickets))
        if not ticket.claimed and ticket.outcome is None:
            ticket.settle(CANCELLED)

    def send(self) -> None:
        """Send whatever may go now; what is in doubt is looked into before."""
        if self.doubts and len(self.doubts) == len(self.posts):
            self.clear_doubts()
        before = -1
        while len(self.posts) != before and not self.doubts and self.now >= self.not_before:
            before = len(self.posts)
            self.send_one()

    def send_one(self) -> None:
        posts, waiting = self.batcher.posts, list(self.queued)
        batch = self.batcher.next_batch(BATCH_SIZE, self.claim)
        left = {entry for _, entry in self.queued}
        taken = [(route, entry) for route, entry in waiting if entry not in left]
        if batch is None:
            alive = any(entry.ticket.outcome is None for _, entry in self.queued)
            assert posts or not alive, "somebody waits, and nothing is on the wire"
            return
        assert posts < MAX_POSTS
        assert 1 <= len(batch) <= BATCH_SIZE
        assert len(batch) == 1 or sum(entry.size for entry in batch.submissions) <= ROOM
        claimed = [(route, entry) for route, entry in taken if entry.ticket.claimed]
        assert {route for route, _ in claimed} == {batch.route}, "routes are mixed"
        of_route = [entry.size for route, entry in waiting if route == batch.route]
        full = len(of_route) >= BATCH_SIZE or sum(of_route) >= ROOM
        assert full or not posts, "a batch goes beside another that is not full"
        group = batch.route.task_group_id
        assert group is not None or all(post.stream is not None for post in self.posts)
        stream = None if group is None else self.stream(group)
        submit = 0 if stream is None else stream.matcher.sending()
        self.posts.append(Post(batch, stream, submit))

    def claim(self, ticket: Ticket) -> bool:
        entry = next(entry for entry in self.queued if entry[1].ticket is ticket)
        self.queued.remove(entry)
        return ticket.claim()

    def stream(self, group: str) -> Stream:
        return self.streams.setdefault(group, Stream(group))

    # What the service does with a batch ---------------------------------------------------------

    def unanswered(self) -> list[Post]:
        """Return the batches whose answer may still come."""
        return [post for post in self.posts if post not in self.doubts]

    @precondition(lambda self: self.unanswered())
    @rule(data=st.data(), how=st.sampled_from(REPLIES))
    def reply(self, data: st.DataObject, how: str) -> None:
        """Take a batch, or answer it, or refuse it, or lose the answer."""
        post = data.draw(st.sampled_from(self.unanswered()))
        if how in ("busy", "refused", "group unknown", "lost untaken") and post.receipt is None:
            if how == "lost untaken":
                self.strays.append(post)
                self.lose(post)
            else:
                self.refuse(post, how)
            self.send()
            return
        if post.receipt is None:
            self.take(post)
        assert post.receipt is not None
        if how == "lost":
            self.lose(post)
        elif how == "overtaken" and post.stream is not None:
            self.overtake(post, post.stream)
        elif how == "unclear":
            left_out = data.draw(st.sampled_from(sorted(post.receipt.tasks)))
            kept = {name: ids for name, ids in post.receipt.tasks.items() if name != left_out}
            self.accept(post, replace(post.receipt, tasks=kept))
        elif how == "answered":
            self.accept(post, post.receipt)
        self.send()

    def overtake(self, post: Post, stream: Stream) -> None:
        """Deliver results of a batch before its receipt."""
        for task in self.service.tasks(stream.group, post.task_ids):
            task.done = True
            stream.queue.waiting.append(task.result)
            stream.deliver(len(stream.queue.waiting) - 1)

    @precondition(lambda self: self.strays)
    @rule(data=st.data())
    def take_after_all(self, data: st.DataObject) -> None:
        """Take a batch that the service had not taken when its answer was lost."""
        stray = data.draw(st.sampled_from(self.strays))
        self.strays.remove(stray)
        self.take(stray)

    def take(self, post: Post) -> None:
        group = post.stream.group if post.stream else None
        post.group, post.receipt = self.service.take(post.batch.submissions, group)
        if post.stream is not None and post in self.posts:
            post.stream.on_the_wire |= set(post.task_ids)

    def accept(self, post: Post, receipt: Receipt) -> None:
        self.refused = False
        self.batcher.limit(None)
        clear, unclear = read_receipt(post.batch, FUNCTION_IDS, receipt)
        accepted = [(task_id, s.ticket) for task_id, s in clear if s.ticket.outcome is None]
        unawaited = [task_id for task_id, s in clear if s.ticket.outcome is not None]
        for submission in unclear:
            submission.ticket.settle(UNCERTAIN)
        self.off_the_wire(post, receipt.task_group_id)
        stream, submit = post.stream, post.submit
        if stream is None:
            self.made_group = receipt.task_group_id
            stream = self.stream(receipt.task_group_id)
            submit = stream.matcher.sending()
        stream.answered(submit, accepted)
        stream.disown(unawaited, complete=not unclear)

    def refuse(self, post: Post, how: str) -> None:
        submissions = post.batch.submissions
        if post.stream is not None:
            post.stream.answered(post.submit)
        if how == "busy":
            self.put_back(post.batch.route, submissions)
        elif (
            how == "group unknown"
            and post.stream is not None
            and post.stream.group == self.made_group
        ):
            self.made_group = None
            self.queue_again(post.batch.route._replace(task_group_id=None), submissions)
        else:
            for submission in submissions:
                submission.ticket.settle(REFUSED)
        self.off_the_wire(post, post.batch.route.task_group_id)

    def put_back(self, route: Route, submissions: list[AnySubmission]) -> None:
        if not self.refused:
            self.refused = True
            self.batcher.limit(self.now + DEADLINE)
        for submission in submissions:
            if submission.retry_until is None:
                submission.retry_until = self.now + DEADLINE
        self.not_before = self.now + 0.5
        self.queue_again(route, submissions)
        for submission in self.batcher.expire(self.now):
            assert submission.is_late(self.now)
            self.queued = [entry for entry in self.queued if entry[1] is not submission]
            if submission.ticket.outcome is None:
                submission.ticket.settle(LATE)
        assert not any(entry.is_late(self.now) for _, entry in self.queued)

    def queue_again(self, route: Route, submissions: list[AnySubmission]) -> None:
        for submission in submissions:
            submission.ticket.claimed = False
        self.queued[:0] = [(route, submission) for submission in submissions]
        self.batcher.put_back(route, submissions)

    def off_the_wire(self, post: Post, group: str | None) -> None:
        self.posts.remove(post)
        self.batcher.answered(post.batch, group)
        if post.stream is not None:
            post.stream.on_the_wire -= set(post.task_ids)
        elif group is not None:  # what waited for a group follows into it
            self.queued = [
                (route._replace(task_group_id=route.task_group_id or group), entry)
                for route, entry in self.queued
            ]

    # Answers that are lost ----------------------------------------------------------------------

    def lose(self, post: Post) -> None:
        if post.stream is not None:
            self.doubts.append(post)
            return
        for submission in post.batch.submissions:
            submission.ticket.settle(UNCERTAIN)
        self.off_the_wire(post, None)

    def clear_doubts(self) -> None:
        by_stream: dict[Stream, list[Post]] = {}
        for post in self.doubts:
            assert post.stream is not None
            by_stream.setdefault(post.stream, []).append(post)
        self.doubts = []
        for stream, posts in by_stream.items():
            self.look_into(stream, posts)
            for post in posts:
                self.off_the_wire(post, stream.group)

    def look_into(self, stream: Stream, posts: list[Post]) -> None:
        submissions = [entry for post in posts for entry in post.batch.submissions]
        alone = stream.group == self.made_group and not stream.orphans
        verdict = judge(
            submissions,
            self.service.listed(stream.group),
            knows=stream.matcher.knows,
            known_task_count=stream.matcher.known_task_count if alone else None,
        )
        truth = {task_id for post in posts for task_id in post.task_ids}
        adopted = {ticket: task_id for task_id, ticket in verdict.adopted}
        if verdict.complete:
            assert set(verdict.candidates) == truth
        if adopted:
            assert set(adopted) == {entry.ticket for entry in submissions}
            assert set(adopted.values()) == truth
        else:
            stream.disown(verdict.candidates if verdict.complete else (), complete=verdict.complete)
        for post in posts:
            tickets = [entry.ticket for entry in post.batch.submissions]
            stream.on_the_wire -= set(post.task_ids)
            stream.answered(post.submit, [(adopted[t], t) for t in tickets if adopted])
            for ticket in tickets if not adopted else ():
                ticket.settle(UNCERTAIN)
