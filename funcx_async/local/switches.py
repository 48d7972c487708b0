"""The state behind the faults: what the service looks at before it does something.

:mod:`funcx_async.local.faults` sets the switches, the web routes and the dispatch obey them. With
nothing set they cost a dictionary look-up.
"""

from __future__ import annotations

import asyncio
import enum
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from funcx_async.local.holds import Hold, Publish, Stage
from funcx_async.local.outcomes import Notice, without_outcome
from funcx_async.local.refusals import Refusal
from funcx_async.local.tally import Tally

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


class Reply(enum.Enum):
    """What becomes of an answer that is ready."""

    SENT = enum.auto()
    LOST = enum.auto()
    TRUNCATED = enum.auto()


_SPOILT: Final = {Reply.LOST: "the answer is lost", Reply.TRUNCATED: "the answer is cut in half"}
_RESULTS: Final = {
    "drop": "the result is not published",
    "duplicate": "the result is published twice",
    "empty": "the result is published without its value",
}


class Switches:
    """What goes wrong next, and how often what happened."""

    def __init__(self) -> None:
        self.tally = Tally((*ROUTES, *EVENTS))
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
        """Let nothing go wrong any more, and count from 0 again."""
        for pending in (self._refusals, self._replies, self._results):
            pending.clear()
        self.release_all()
        for hold in list(self._offline):
            hold.release()
        self.tally.reset()

    @property
    def offline(self) -> bool:
        """Whether the endpoint is to seem offline."""
        return bool(self._offline)

    def go_offline(self) -> Hold:
        """Let the endpoint seem offline; the last such hold released calls :attr:`back_online`."""

        def released() -> None:
            self._offline.remove(hold)
            if not self._offline and self.back_online is not None:
                self.back_online()

        hold = Hold(released)
        self._offline.append(hold)
        return hold

    def arriving(self, route: str) -> None:
        """A request has come.

        Raises:
            Refusal: it is to be refused.
        """
        self.tally.add(route)
        if self._refusals[route]:
            raise self._refusals[route].popleft()

    async def leaving(self, route: str) -> Reply:
        """An answer is ready; says what becomes of it, when it may go."""
        if route in self._reply_holds:
            hold, event = self._reply_holds[route]
            hold.note()
            await event.wait()
        return self._replies[route].popleft() if self._replies[route] else Reply.SENT

    def outgoing(self, notice: Notice) -> list[Notice]:
        """A result message is ready; the messages to publish now."""
        if self._taken("drop"):
            self.tally.add("dropped")
            return []
        if self._taken("empty"):
            body = without_outcome(notice.body)
            notice = replace(notice, body=body, headers={"high_assurance": True})
        notices = [notice, notice] if self._taken("duplicate") else [notice]
        if self._stage is None or self._stage.over:
            return notices
        return self._stage.collect(notices)

    def in_force(self) -> list[tuple[str, int | None]]:
        """What goes wrong next, in words, and how many more times; None: until it is released."""
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
    """The route, if it is one.

    Raises:
        ValueError: it is none.
    """
    if route not in ROUTES:
        msg = f"{route!r} is no route of the service; routes are {', '.join(ROUTES)}"
        raise ValueError(msg)
    return route
