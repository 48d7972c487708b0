"""Credentials, connections and futures stay in their process, wherever they hang."""

from __future__ import annotations

import base64
import copy
import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import dill
import globus_sdk
import pytest

from funcx_async import FuncXClient, FuncXExecutor, FuncXFuture, SerializationError, blocking
from funcx_async._net.proxies import proxy_for
from funcx_async._process import CannotTravel
from funcx_async.auth import ClientCredentials
from funcx_async.auth.bearer import GivenToken
from funcx_async.auth.login import GlobusAppAuth, SharedLogin, SharedLoginAuth
from funcx_async.auth.storage import StoredToken
from funcx_async.auth.tokens import Issued, Token
from funcx_async.events import Events
from funcx_async.local import LocalService
from funcx_async.models import ResultQueueAddress
from funcx_async.serialize import FuncXSerializer
from funcx_async.telemetry import Telemetry

SECRET = "tr0ub4dor-and-3-horses-on-a-staple"
ENDPOINT = str(uuid4())


def globus_app() -> globus_sdk.GlobusApp:
    return globus_sdk.ClientApp("an app", client_id=str(uuid4()), client_secret=SECRET)


def client() -> FuncXClient:
    return FuncXClient("https://service.test", auth=SECRET)


MADE: dict[str, Callable[[], Any]] = {
    "client credentials": lambda: ClientCredentials("an-id", SECRET),
    "a token that is given": lambda: GivenToken(lambda: SECRET),
    "a token": lambda: Token(SECRET, 1.0, 2.0),
    "a token that was issued": lambda: Issued(SECRET),
    "a token that is stored": lambda: StoredToken(SECRET, 1.0, 2.0),
    "the login of the official tools": lambda: SharedLoginAuth(
        SharedLogin(Path("x"), "production")
    ),
    "a Globus app": lambda: GlobusAppAuth(globus_app()),
    "a result queue's address": lambda: ResultQueueAddress("q", f"amqp://me:{SECRET}@host"),
    "a proxy": lambda: proxy_for("https://x.org", {"https_proxy": f"http://me:{SECRET}@gate:1"}),
    "a client": client,
    "a blocking client": lambda: blocking.FuncXClient("https://service.test", auth=SECRET),
    "an executor": lambda: FuncXExecutor(ENDPOINT, funcx_client=client()),
    "a view of an executor": lambda: FuncXExecutor(ENDPOINT).options(timeout=3),
    "a blocking executor": lambda: blocking.FuncXExecutor(ENDPOINT),
    "the executor inside of a blocking one": lambda: blocking.FuncXExecutor(ENDPOINT).asynchronous,
    "a view of a blocking executor": lambda: blocking.FuncXExecutor(ENDPOINT).options(timeout=3),
    "a local service": lambda: LocalService(token=SECRET),
    "a local service's faults": lambda: LocalService(token=SECRET).faults,
    "a blocking local service": lambda: blocking.LocalService(token=SECRET),
    "a blocking local service's faults": lambda: blocking.LocalService(token=SECRET).faults,
    "an executor's events": lambda: Events().reader(),
    "telemetry": Telemetry,
    "a future": FuncXFuture,
}
ALL = [pytest.param(make, id=name) for name, make in MADE.items()]

subject: Any = None


@dataclass
class Holder:
    inner: Any


def reads_a_global() -> str:
    return repr(subject)


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("write", [pickle.dumps, dill.dumps, copy.deepcopy])
def test_it_cannot_be_pickled_or_copied(make: Callable[[], Any], write: Callable[[Any], Any]):
    with pytest.raises(CannotTravel) as refusal:
        write(make())
    assert SECRET not in str(refusal.value)


@pytest.mark.parametrize("make", ALL)
def test_as_an_argument_it_is_refused_at_submit_wherever_it_hangs(make: Callable[[], Any]):
    value = make()
    places: list[Any] = [value, [value], {"a": Holder((value,))}, lambda: value]
    for place in places:
        with pytest.raises(SerializationError) as refusal:
            FuncXSerializer().serialize_arguments((place,), {})
        assert_tells_no_secret(refusal.value)


@pytest.mark.parametrize("make", ALL)
def test_as_a_global_or_in_a_closure_it_is_refused_at_submit(
    make: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
):
    value = make()
    monkeypatch.setitem(globals(), "subject", value)
    functions: list[Callable[[], Any]] = [reads_a_global, lambda: repr(value)]
    for function in functions:
        with pytest.raises(SerializationError) as refusal:
            FuncXSerializer().serialize_function(function)
        assert_tells_no_secret(refusal.value)


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(lambda: client().get_result, id="a client"),
        pytest.param(lambda: FuncXExecutor(ENDPOINT, funcx_client=client()).submit, id="executor"),
    ],
)
def test_its_methods_are_refused_as_well(method: Callable[[], Any]):
    bound = method()
    with pytest.raises(CannotTravel):
        pickle.dumps(bound)
    with pytest.raises(SerializationError):
        FuncXSerializer().serialize_function(bound)
    with pytest.raises(SerializationError):
        FuncXSerializer().serialize_function(lambda: bound(1))


def assert_tells_no_secret(error: BaseException) -> None:
    told = str(error)
    assert re.search(
        r"cannot be sent: .*(Client|Token|Auth|Issued|Proxy|Address|Executor|Service"
        r"|Faults|Reader|Telemetry|Future)",
        told,
    )
    # Whatever comes before it, base64 of a secret has one of these three in it.
    written = [base64.b64encode(b"x" * before + SECRET.encode())[4:-4] for before in range(3)]
    assert SECRET not in told
    assert not any(text.decode() in told for text in written)


def test_the_refusal_says_what_to_do_instead():
    with pytest.raises(CannotTravel, match=r"read its own where it runs, .* environment variable"):
        pickle.dumps(ClientCredentials("an-id", SECRET))
    with pytest.raises(CannotTravel, match=r"FuncXExecutor belongs .*make one inside"):
        pickle.dumps(FuncXExecutor(ENDPOINT))
    with pytest.raises(CannotTravel, match=r"FuncXFuture .*await it here and send its result"):
        pickle.dumps(FuncXFuture())


def test_the_classes_themselves_are_sent_by_reference():
    assert pickle.loads(pickle.dumps(FuncXExecutor)) is FuncXExecutor
    assert pickle.loads(dill.dumps(ClientCredentials)) is ClientCredentials
