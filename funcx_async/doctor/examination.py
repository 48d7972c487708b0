"""Which checks there are, which needs which, and how long each may take."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from funcx_async.doctor.looks import TASK, Looks, Wanted
from funcx_async.doctor.permissions import AGAIN
from funcx_async.doctor.report import Check, Report, Verdict
from funcx_async.errors import FuncXError

EACH = 4.0
"""Seconds that one check may take."""

WHOLE = 14.0
"""Seconds that all of them may take together, but for the task."""

_SLOW = "The network or the service is slow, or a firewall drops what is sent: try again."

_CORRECTED = "Correct what is named there, and ask the doctor again."


@dataclass(frozen=True, slots=True)
class _Step:
    name: str
    look: Callable[[], Awaitable[Verdict]]
    needs: str = ""


class Examination:
    """Looks at everything between here and a result; run it once.

    Args:
        wanted: what is to be looked at.
        each: seconds that one check may take.
        whole: seconds that all of them may take together, but for the task.
        task: seconds that the task may take.

    Example::

        async for check in Examination(Wanted()).checks():
            print(check.status, check.name, check.found, check.remedy)
    """

    def __init__(
        self, wanted: Wanted, *, each: float = EACH, whole: float = WHOLE, task: float = TASK
    ) -> None:
        self._each = each
        self._whole = whole
        self._task = task + each  # that it has not ended in time is for the look to say
        self._looks = looks = Looks(wanted, task)
        self._not_passed: dict[str, str] = {}
        self._steps: Sequence[_Step] = (
            _Step("settings", looks.at_settings),
            _Step("proxy", looks.at_proxy, "settings"),
            _Step("name", looks.at_name, "proxy"),
            _Step("port", looks.at_port, "name"),
            _Step("certificate", looks.at_certificate, "port"),
            _Step("service", looks.at_service, "certificate"),
            _Step("clock", looks.at_clock, "service"),
            _Step("login", looks.at_login, "service"),
            _Step("endpoint", looks.at_endpoint, "login"),
            _Step("results address", looks.at_address, "login"),
            _Step("results port", looks.at_queue_port, "results address"),
            _Step("results login", looks.at_queue_login, "results port"),
            _Step("task", looks.at_task, "endpoint"),
            _Step("versions", looks.at_versions, "endpoint"),
        )

    def __repr__(self) -> str:
        return f"<Examination of {self._looks.url or 'a service'}>"

    @property
    def names(self) -> list[str]:
        """What the checks are called, in their order."""
        return [step.name for step in self._steps]

    @property
    def url(self) -> str:
        """The service's root, once it is known."""
        return self._looks.url

    async def report(self) -> Report:
        """Make all checks, and give what they found."""
        checks = [check async for check in self.checks()]
        return Report(self._looks.url, checks)

    async def checks(self) -> AsyncIterator[Check]:
        """Make one check after the other; what needs one that did not pass is skipped."""
        end = time.monotonic() + self._whole
        try:
            for step in self._steps:
                began = time.monotonic()
                limit = self._task if step.name == "task" else min(self._each, end - began)
                verdict = await self._verdict(step, limit)
                took = time.monotonic() - began
                if step.name == "task":
                    end += took
                yield Check(step.name, verdict.status, verdict.found, verdict.remedy, took)
        finally:
            if self._looks.client is not None:
                await self._looks.client.aclose()

    async def _verdict(self, step: _Step, limit: float) -> Verdict:
        if first := self._not_passed.get(step.needs):
            self._not_passed[step.name] = first
            return Verdict("SKIP", f"It needs {first!r}, which did not pass.")
        if limit <= 0:
            verdict = Verdict("SKIP", "There was no time left for it.", blocks=True)
        else:
            verdict = await _limited(step.look, limit)
        if verdict.blocks or verdict.status == "FAIL":
            self._not_passed[step.name] = step.name
        return verdict


async def _limited(look: Callable[[], Awaitable[Verdict]], limit: float) -> Verdict:
    try:
        async with asyncio.timeout(limit):
            return await look()
    except TimeoutError:
        return Verdict("FAIL", f"There was no answer in {limit:.0f} s.", _SLOW)
    except ValueError as error:  # a setting, which the words name
        return Verdict("FAIL", str(error), _CORRECTED)
    except (FuncXError, OSError) as error:
        return Verdict("FAIL", str(error), AGAIN)
