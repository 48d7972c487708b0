"""Fault injection: what the service checks before it does something, and what it counts.

:mod:`funcx_async.local.faults` sets the switches, the web routes and the dispatch obey them. With
nothing set they cost one dictionary access.
"""

from __future__ import annotations

import asyncio
import enum
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from types import TracebackType
from typing import Final, Self

from funcx_async._process import CONNECTIONS, confined
from funcx_async.local.outcomes import Notice, without_outcome
from funcx_async.local.web.answers import Refusal

Publish = Callable[[Iterable[Notice]], None]
ROUTES: Final = (
    "version",
    "register",
    "function",
    "submit",
    "tasks",
    "batch_status",
    "taskgroup",
    "amqp_url",
    "endpoints",
    "endpoint",
    "endpoint_status",
    "allowed_functions",
    "authenticate",
    "containers",
    "whitelist",
    "register_endpoint",
    "lock_endpoint",
    "delete_endpoint",
    "login",
)
EVENTS: Final = (
    *("accepted", "executed", "published", "dropped"),
    *("agent_online", "agent_offline", "agent_command", "agent_session"),
)
_RESULTS: Final = {
    "drop": "the result is not published",
    "duplicate": "the result is published twice",
    "empty": "the result is published without its value",
}


class AwaitableCounter:
    """Counters that can be awaited.

    Args:
        names: what is counted; other names are refused.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._counts: Counter[str] = Counter(dict.fromkeys(names, 0))
        self._waiters: list[tuple[str, int, asyncio.Future[None]]] = []

    def add(self, name: str, times: int = 1) -> None:
        """Count, and wake who waits for as many."""
        self._counts[name] += times
        for waiter in list(self._waiters):
            awaited, enough, future = waiter
            if awaited == name and self._counts[name] >= enough:
                self._waiters.remove(waiter)
                if not future.done():
                    future.set_result(None)

    def reset(self) -> None:
        """Count from 0 again; waits for a number start again."""
        self._counts = Counter(dict.fromkeys(self._counts, 0))

    def count(self, name: str) -> int:
        """Return how often it happened.

        Raises:
            ValueError: nothing of this name is counted.
        """
        if name not in self._counts:
            msg = f"{name!r} is not counted; counted are {', '.join(self._counts)}"
            raise ValueError(msg)
        return self._counts[name]

    async def reached(self, name: str, times: int) -> None:
        """Return when it has happened so often.

        Raises:
            ValueError: nothing of this name is counted.
        """
        if self.count(name) >= times:
            return
        future = asyncio.get_running_loop().create_future()
        waiter = (name, times, future)
        self._waiters.append(waiter)
        try:
            await future
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)


@confined(CONNECTIONS)
class Hold:
    """Something held back until :meth:`release`, or until the ``with`` block ends.

    Example:
        >>> import asyncio
        >>> from funcx_async.local import LocalService
        >>> async def main():
        ...     async with LocalService(workers=1) as service, service.executor() as executor:
        ...         with service.faults.hold_results() as hold:
        ...             future = executor.submit(pow, 2, 5)
        ...             await hold.seen()
        ...             print(hold.held, future.done())
        ...         print(await future)
        >>> asyncio.run(main())
        1 False
        32
    """

    def __init__(self, released: Callable[[], None]) -> None:
        self._released = released
        self._counter = AwaitableCounter(["held"])
        self._over = False

    @property
    def held(self) -> int:
        """How many were held back so far."""
        return self._counter.count("held")

    @property
    def over(self) -> bool:
        """Whether nothing is held back any more."""
        return self._over

    async def seen(self, times: int = 1) -> None:
        """Return when so many were held back."""
        await self._counter.reached("held", times)

    def note(self, times: int = 1) -> None:
        """Count what is held back; the service calls it."""
        self._counter.add("held", times)

    def release(self) -> None:
        """Release what is held, and hold nothing from now on; a second call does nothing."""
        if not self._over:
            self._over = True
            self._released()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


class Stage(Hold):
    """Result messages held back, to go out later or in another order."""

    def __init__(self, publish: Publish, window: int | None) -> None:
        super().__init__(self._let_go)
        self._publish = publish
        self._window = window
        self._notices: list[Notice] = []

    @property
    def words(self) -> str:
        """What it does."""
        if self._window is None:
            return "results are held back"
        return f"results go out backwards, {self._window} at a time"

    def collect(self, notices: list[Notice]) -> list[Notice]:
        """Hold messages back; those that fill a window come back in reverse."""
        self._notices += notices
        self.note(len(notices))
        if self._window is None or len(self._notices) < self._window:
            return []
        full, self._notices = self._notices[: self._window], self._notices[self._window :]
        return full[::-1]

    def _let_go(self) -> None:
        rest, self._notices = self._notices, []
        self._publish(rest if self._window is None else rest[::-1])


class Reply(enum.Enum):
    """What becomes of an answer that is ready."""

    SENT = enum.auto()
    LOST = enum.auto()
    TRUNCATED = enum.auto()


_SPOILT: Final = {Reply.LOST: "the answer is lost", Reply.TRUNCATED: "the answer is cut in half"}


class Switches:
    """What goes wrong next, and how often what happened."""

    def __init__(self) -> None:
        self.counter = AwaitableCounter((*ROUTES, *EVENTS))
        self.back_online: Callable[[], None] | None = None
        self._offline: list[Hold] = []
        self._refusals: defaultdict[str, deque[Refusal]] = defaultdict(deque)
        self._replies: defaultdict[str, deque[Reply]] = defaultdict(deque)
        self._reply_holds: dict[str, tuple[Hold, asyncio.Event]] = {}
        self._results: Counter[str] = Counter()
        self._stage: Stage | None = None

    def refuse(self, route: str, refusal: Refusal, times: int) -> None:
        """Answer the next requests of a route with a refusal."""
        self._refusals[known(route)].extend([refusal] * times)

    def spoil(self, route: str, reply: Reply, times: int) -> None:
        """Lose or truncate the next answers of a route."""
        self._replies[known(route)].extend([reply] * times)

    def hold_replies(self, route: str) -> Hold:
        """Keep the answers of a route back."""
        event = asyncio.Event()

        def released() -> None:
            event.set()
            if self._reply_holds.get(route, (None,))[0] is hold:
                del self._reply_holds[route]

        hold = Hold(released)
        if known(route) in self._reply_holds:
            self._reply_holds[route][0].release()
        self._reply_holds[route] = hold, event
        return hold

    def spoil_results(self, how: str, times: int) -> None:
        """Drop, duplicate or empty the next result messages."""
        self._results[how] += times

    def stage_results(self, publish: Publish, window: int | None) -> Hold:
        """Collect result messages; a full window goes out backwards."""
        if self._stage is not None:
            self._stage.release()
        self._stage = Stage(publish, window)
        return self._stage

    def release_all(self) -> None:
        """Hold no answer and no result back any more; an endpoint that is offline stays so."""
        for hold, _ in list(self._reply_holds.values()):
            hold.release()
        if self._stage is not None:
            self._stage.release()

    def reset(self) -> None:
        """Remove all faults, and count from 0 again."""
        for pending in (self._refusals, self._replies, self._results):
            pending.clear()
        self.release_all()
        for hold in list(self._offline):
            hold.release()
        self.counter.reset()

    @property
    def offline(self) -> bool:
        """Whether the endpoint is to seem offline."""
        return bool(self._offline)

    def go_offline(self) -> Hold:
        """Make the endpoint seem offline; releasing the last hold calls :attr:`back_online`."""

        def released() -> None:
            self._offline.remove(hold)
            if not self._offline and self.back_online is not None:
                self.back_online()

        hold = Hold(released)
        self._offline.append(hold)
        return hold

    def arriving(self, route: str) -> None:
        """Count a request that has come.

        Raises:
            Refusal: it is to be refused.
        """
        self.counter.add(route)
        if self._refusals[route]:
            raise self._refusals[route].popleft()

    async def leaving(self, route: str) -> Reply:
        """Wait until an answer may go, and return what becomes of it."""
        if route in self._reply_holds:
            hold, event = self._reply_holds[route]
            hold.note()
            await event.wait()
        return self._replies[route].popleft() if self._replies[route] else Reply.SENT

    def outgoing(self, notice: Notice) -> list[Notice]:
        """Return the messages to publish for a result that is ready."""
        if self._taken("drop"):
            self.counter.add("dropped")
            return []
        if self._taken("empty"):
            body = without_outcome(notice.body)
            notice = replace(notice, body=body, headers={"high_assurance": True})
        notices = [notice, notice] if self._taken("duplicate") else [notice]
        if self._stage is None or self._stage.over:
            return notices
        return self._stage.collect(notices)

    def in_force(self) -> list[tuple[str, int | None]]:
        """Describe each fault that is set, and how many times it happens; None: until released."""
        refused = Counter(
            f"{route}: refused with {refusal.status}"
            for route, refusals in self._refusals.items()
            for refusal in refusals
        )
        spoilt = Counter(
            f"{route}: {_SPOILT[reply]}"
            for route, replies in self._replies.items()
            for reply in replies
        )
        results = {_RESULTS[how]: times for how, times in self._results.items() if times}
        held: list[tuple[str, int | None]] = [
            (f"{route}: answers are held back", None) for route in self._reply_holds
        ]
        if self._stage is not None and not self._stage.over:
            held.append((self._stage.words, None))
        if self._offline:
            held.append(("the endpoint is offline", None))
        return [*refused.items(), *spoilt.items(), *results.items(), *held]

    def _taken(self, how: str) -> bool:
        if not self._results[how]:
            return False
        self._results[how] -= 1
        return True


def known(route: str) -> str:
    """Return the name of a route.

    Raises:
        ValueError: it is none.
    """
    if route not in ROUTES:
        msg = f"{route!r} is not a route of the service; routes are {', '.join(ROUTES)}"
        raise ValueError(msg)
    return route
