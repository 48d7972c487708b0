"""What is held back on purpose, until somebody lets it go."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from funcx_async._process import CONNECTIONS, confined
from funcx_async.local.outcomes import Notice
from funcx_async.local.tally import Tally

Publish = Callable[[Iterable[Notice]], None]


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
        self._tally = Tally(["held"])
        self._over = False

    @property
    def held(self) -> int:
        """How many were held back so far."""
        return self._tally.count("held")

    @property
    def over(self) -> bool:
        """Whether nothing is held back any more."""
        return self._over

    async def seen(self, times: int = 1) -> None:
        """Return when so many were held back."""
        await self._tally.reached("held", times)

    def note(self, times: int = 1) -> None:
        """Count what is held back; the service calls it."""
        self._tally.add("held", times)

    def release(self) -> None:
        """Let go of what is held, and hold nothing from now on; a second call does nothing."""
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
