"""A pytest plugin: no secret of the run is in any log line, exception or ``repr``.

It learns every token and password that the tests make or use, and looks for them in every record
of every logger, debugging ones included; in every exception that ``pytest.raises`` catches and in
every error of the package; and, when the tests of a module are done, in the ``repr`` of every
living object of the package and of the tests' fixtures. A find fails the test or the last one of
its module. It says where, and keeps the secret to itself.
"""

from __future__ import annotations

import gc
import logging
import os
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import wraps
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import pytest

from funcx_async import FuncXClient, FuncXError
from funcx_async._net.proxies import Proxy
from funcx_async.local import LocalService
from funcx_async.local.broker import EmbeddedBroker
from tests import brokers
from tests.vault import Vault

NAMES_NOT_SECRETS = ("funcx_async.local.broker.methods", "funcx_async.local.broker.topology")
"""These make up names of consumers and queues; whatever else is made at random may be secret."""

REDACTED = "(here was a secret)"


class Confidential:
    """Watches over the secrets of one run."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self._vault = Vault()
        self._finds: list[str] = []

    # What is secret -----------------------------------------------------------------------------

    def learn_secrets(self) -> None:
        """Learn what the environment tells, and from now on whatever is made or given."""
        for url in (brokers.url(), os.environ.get(brokers.VARIABLE, "")):
            self._vault.learn(unquote(urlsplit(url).password or ""))
        self._patch.setattr(secrets, "token_urlsafe", self._making(secrets.token_urlsafe))
        self._before(LocalService, "__init__", lambda _, **given: self._given(given.get("token")))
        self._before(EmbeddedBroker, "add_user", lambda _, user, password: self._given(password))
        self._before(
            FuncXClient, "__init__", lambda _, *url, **given: self._given(given.get("auth"))
        )
        self._before(Proxy, "__init__", lambda _, *__, **login: self._given(login.get("password")))
        self._before(httpx.Headers, "__setitem__", self._sent)

    def _making(self, make: Callable[[int | None], str]) -> Callable[[int | None], str]:
        @wraps(make)
        def made(nbytes: int | None = None) -> str:
            word = make(nbytes)
            if sys._getframe(1).f_globals["__name__"] not in NAMES_NOT_SECRETS:  # noqa: SLF001
                self._vault.learn(word)
            return word

        return made

    def _given(self, word: object) -> None:
        if isinstance(word, str):
            self._vault.learn(word)

    def _sent(self, _: object, name: str, value: str) -> None:
        if isinstance(name, str) and name.lower() == "authorization":
            self._vault.learn(value.rpartition(" ")[2])

    def _before(self, owner: type, name: str, notice: Callable[..., None]) -> None:
        """Have ``notice`` called with the arguments of every call of a method."""
        method = getattr(owner, name)

        @wraps(method)
        def noticed(*args: Any, **kwargs: Any) -> Any:
            notice(*args, **kwargs)
            return method(*args, **kwargs)

        self._patch.setattr(owner, name, noticed)

    # Where it may not be ------------------------------------------------------------------------

    def watch(self) -> None:
        """Look at log records and exceptions from now on."""
        enabled, handle = logging.Logger.isEnabledFor, logging.Logger.handle

        def looked_at(logger: logging.Logger, record: logging.LogRecord) -> None:
            self._look_at_record(record)
            if enabled(logger, record.levelno):
                handle(logger, record)

        self._patch.setattr(logging.Logger, "isEnabledFor", lambda *_: True)
        self._patch.setattr(logging.Logger, "handle", looked_at)
        leave, make = pytest.RaisesExc.__exit__, FuncXError.__init__

        def left(raises: Any, kind: Any, error: BaseException | None, trace: Any) -> bool:
            self._look_at_error(error)
            return leave(raises, kind, error, trace)

        def made(error: FuncXError, message: str, **ids: Any) -> None:
            make(error, message, **ids)
            self._look(message, f"the text of a {type(error).__name__}")

        self._patch.setattr(pytest.RaisesExc, "__exit__", left)
        self._patch.setattr(FuncXError, "__init__", made)

    def _look(self, text: str, place: str) -> bool:
        if text not in self._vault:
            return False
        self._finds.append(place)
        return True

    def _look_at_record(self, record: logging.LogRecord) -> None:
        place = f"a log record of {record.name}, made in {record.pathname}:{record.lineno}"
        if self._look(record.getMessage(), place):
            record.msg, record.args = REDACTED, None
        if record.exc_info and self._look_at_error(record.exc_info[1], f" in {place}"):
            record.exc_info = None

    def _look_at_error(self, error: BaseException | None, place: str = "") -> bool:
        """Look at an exception, and at those behind it that a traceback would show."""
        found = False
        seen: set[int] = set()
        while error is not None and id(error) not in seen:
            seen.add(id(error))
            for told in (
                str,
                repr,
                lambda error: repr(error.args),
                lambda error: repr(vars(error)),
            ):
                with suppress(Exception):  # some tests make errors that cannot be told
                    found |= self._look(told(error), f"a {type(error).__name__}{place}")
            shown = None if error.__suppress_context__ else error.__context__
            error = error.__cause__ or shown
        return found

    def _look_at_objects(self, item: pytest.Item) -> None:
        fixtures = [value for value in vars(item).get("funcargs", {}).values() if _has_repr(value)]
        living = [value for value in gc.get_objects() if _is_ours(value)]
        for value in [*fixtures, *living]:
            with suppress(Exception):  # it may be half made, or half gone
                self._look(repr(value), f"the repr of a {type(value).__name__}")
                if hasattr(type(value), "_repr_html_"):
                    self._look(value._repr_html_(), f"the card of a {type(value).__name__}")

    # When it is told ----------------------------------------------------------------------------

    def tell(self) -> None:
        """Fail the test that runs if there was a find."""
        finds, self._finds = sorted(set(self._finds)), []
        if finds:
            pytest.fail("A secret was in " + "; in ".join(finds), pytrace=False)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self) -> Iterator[None]:
        """Tell what was found in a fixture."""
        yield
        self.tell()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Iterator[None]:
        """Tell what was found in the test."""
        yield
        self.tell()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Iterator[None]:
        """Tell what was found at its end; at the end of its module look at all that lives."""
        if nextitem is None or nextitem.path != item.path:
            self._look_at_objects(item)
        yield
        self.tell()


def _is_ours(value: object) -> bool:
    kind = type(value)
    return kind is not type and str(kind.__module__).startswith("funcx_async")


def _has_repr(value: object) -> bool:
    """Whether it is a test's own object, and not a plain value that holds what it holds."""
    return type(value).__module__.startswith(("funcx_async", "tests"))


def pytest_configure(config: pytest.Config) -> None:
    """Watch over all tests."""
    patch = pytest.MonkeyPatch()
    config.add_cleanup(patch.undo)
    watch = Confidential(patch)
    watch.learn_secrets()
    watch.watch()
    config.pluginmanager.register(watch, "confidential")
