"""The API contract, checked on a service that keeps it and on services that do not."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from funcx_async import FuncXClient
from funcx_async._core.acks import Ack
from funcx_async._results.amqp import AmqpSource
from funcx_async._results.source import Deliveries, SourceLost
from funcx_async.auth.credentials import ClientCredentials
from funcx_async.doctor.contract import FACTS, ApiContract, ContractReport, FactResult
from funcx_async.local import LocalService
from funcx_async.models import Delivery
from tests.auth.issuer import CLIENT_ID, SECRET, Issuer

LIMIT = 60.0


@pytest.fixture(scope="module")
async def service() -> AsyncIterator[LocalService]:
    async with LocalService(workers=1) as running:
        yield running


@pytest.fixture
async def contract(service: LocalService) -> AsyncIterator[ApiContract]:
    async with FuncXClient(service.url, auth=service.token) as client:
        yield ApiContract(client, service.endpoint_id, fact_timeout=LIMIT)


class Source:
    """Results over AMQP, told of or kept back on the way."""

    def __init__(
        self, client: FuncXClient, *, told: Callable[[], None] = lambda: None, lost: str = ""
    ) -> None:
        self._source = AmqpSource(client.get_result_queue_address)
        self._told = told
        self._lost = lost

    @asynccontextmanager
    async def open(self, task_group_id: str) -> AsyncIterator[Deliveries]:
        if self._lost:
            raise SourceLost(self._lost)
        async with self._source.open(task_group_id) as deliveries:
            yield Told(deliveries, self._told)


class Told:
    """Deliveries that somebody is told of when they have been read."""

    def __init__(self, deliveries: Deliveries, told: Callable[[], None]) -> None:
        self._deliveries = deliveries
        self._told = told

    async def next_burst(self) -> Sequence[Delivery]:
        return await self._deliveries.next_burst()

    async def acknowledge(self, acks: Sequence[Ack]) -> None:
        await self._deliveries.acknowledge(acks)
        self._told()


def answering(service: LocalService, answers: dict[str, httpx.Response]) -> FuncXClient:
    """A client of a service that answers some paths in another way."""
    real = httpx.AsyncHTTPTransport()

    class Transport(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            for part, answer in answers.items():
                if part in request.url.path:
                    await request.aread()
                    return httpx.Response(answer.status_code, content=answer.content)
            return await real.handle_async_request(request)

        async def aclose(self) -> None:
            await real.aclose()

    return FuncXClient(service.url, auth=service.token, transport=Transport())


# Facts that hold ----------------------------------------------------------------------------------


async def test_every_fact_is_checked_on_the_local_service(
    contract: ApiContract, service: LocalService
):
    report = await contract.check()
    verdicts = {each.name: each.verdict for each in report.findings}
    assert list(verdicts) == list(FACTS)
    assert verdicts.pop("tokens last two days") == "unknown"
    assert verdicts.pop("results may be early") in ("holds", "unknown"), "a matter of chance"
    assert set(verdicts.values()) == {"holds"}, report.to_markdown()
    assert (report.service, report.endpoint_id) == (service.url, service.endpoint_id)
    assert report.differing == []


async def test_a_result_before_its_answer_is_seen(service: LocalService):
    async with FuncXClient(service.url, auth=service.token) as client:
        read = asyncio.Event()
        source = Source(client, told=read.set)
        contract = ApiContract(client, service.endpoint_id, source=source, fact_timeout=LIMIT)
        looking = asyncio.create_task(contract.check_early_results())
        await service.faults.seen("executed", service.faults.count("executed") + 1)
        await read.wait()  # the first task, after whose answer the queue is opened
        while not looking.done():
            read.clear()
            with service.faults.hold_replies("submit") as hold:
                held = asyncio.create_task(hold.seen())
                await asyncio.wait([held, looking], return_when=asyncio.FIRST_COMPLETED)
                if looking.done():
                    held.cancel()
                    break
                await read.wait()
        verdict, found = await looking
    assert verdict == "holds", found


@pytest.mark.parametrize(
    ("hours", "verdict"), [pytest.param(48, "holds", id="48"), pytest.param(1, "differs", id="1")]
)
async def test_the_lifetime_of_a_token_is_told(
    contract: ApiContract, service, hours: int, verdict: str
):
    issuer = Issuer()
    issuer.lifetime = hours * 3600.0
    await issuer.start()
    try:
        credentials = ClientCredentials(CLIENT_ID, SECRET, auth_url=issuer.url)
        async with FuncXClient(service.url, auth=service.token) as client:
            looked = ApiContract(client, service.endpoint_id, credentials=credentials)
            assert await looked.check_token_lifetime() == (
                verdict,
                f"A token is valid for {hours}.0 hours.",
            )
    finally:
        await issuer.aclose()


# Facts that do not --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fact", "path", "answer", "says"),
    [
        pytest.param(
            ApiContract.check_error_codes,
            "/v2/functions/",
            httpx.Response(404, json={"code": "no_such_function", "reason": "?"}),
            "FUNCTION_NOT_FOUND: no_such_function",
            id="another name",
        ),
        pytest.param(
            ApiContract.check_error_codes,
            "/v2/tasks/",
            httpx.Response(404, text="not found"),
            "TASK_NOT_FOUND: no code, status 404",
            id="no name",
        ),
        pytest.param(
            ApiContract.check_validation,
            "/submit",
            httpx.Response(400, json={"code": "REQUEST_MALFORMED", "reason": "bad"}),
            "400 REQUEST_MALFORMED: bad",
            id="another status",
        ),
        pytest.param(
            ApiContract.check_validation,
            "/submit",
            httpx.Response(
                200,
                json={"request_id": "r", "task_group_id": "g", "endpoint_id": "e", "tasks": {}},
            ),
            "accepted a string as resource specification",
            id="no validation",
        ),
    ],
)
async def test_a_fact_that_does_not_hold_differs(service, fact, path, answer, says):
    async with answering(service, {path: answer}) as client:
        verdict, found = await fact(ApiContract(client, service.endpoint_id, fact_timeout=LIMIT))
    assert verdict == "differs"
    assert says in found


async def test_source_that_does_not_run_differs(service: LocalService):
    document = {"task_id": "t", "status": "failed", "exception": "SyntaxError", "completion_t": "1"}
    async with answering(service, {"/v2/tasks/": httpx.Response(200, json=document)}) as client:
        verdict, found = await ApiContract(client, service.endpoint_id).check_source()
    assert verdict == "differs"
    assert "SyntaxError" in found


@pytest.mark.parametrize(
    ("lost", "verdict"),
    [
        pytest.param("NOT_FOUND - no queue 'x'", "differs", id="no queue"),
        pytest.param("connection refused", "unknown", id="no broker"),
    ],
)
async def test_a_queue_that_is_not_made_is_told_from_one_out_of_reach(service, lost, verdict):
    async with FuncXClient(service.url, auth=service.token) as client:
        contract = ApiContract(client, service.endpoint_id, source=Source(client, lost=lost))
        looked = await contract.check_new_queue()
    assert looked == (verdict, f"It could not be consumed: {lost}")


async def test_a_look_that_fails_or_sees_nothing_leaves_a_fact_unknown(service: LocalService):
    async with FuncXClient(service.url, auth=service.token) as client:
        service.faults.refuse("register", status=500)
        with service.faults.endpoint_offline():
            report = await ApiContract(client, service.endpoint_id, fact_timeout=0.5).check()
    found = {each.name: (each.verdict, each.found) for each in report.findings}
    assert found["source is prepared"][0] == "unknown"
    assert "The check failed" in found["source is prepared"][1]
    nothing = ("unknown", "Nothing was observed within 0.5 s.")
    assert found["the service creates the queue"] == nothing
    assert found["bodies are validated"][0] == "holds"


# The record ---------------------------------------------------------------------------------------


def test_a_record_is_json_and_markdown():
    finding = FactResult("a fact", "It is so.", "differs", "It | is\nnot.")
    report = ContractReport("http://service", "e", 0.0, [finding])
    assert json.loads(report.to_json())["findings"] == [
        {"name": "a fact", "fact": "It is so.", "verdict": "differs", "found": "It | is\nnot."}
    ]
    text = report.to_markdown()
    assert "| a fact | It is so. | **differs** | It \\| is not. |" in text
    assert "1970-01-01 00:00 UTC" in text
    assert report.differing == [finding]


def doctor(service: LocalService, *arguments: str, token: str = "") -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "funcx_async", "doctor", "--contract", *arguments],
        env={
            **os.environ,
            "FUNCX_ASYNC_SERVICE_URL": service.url,
            "FUNCX_ASYNC_TOKEN": token or service.token,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


async def test_the_command_prints_and_keeps_what_was_found(service: LocalService, tmp_path: Path):
    file = tmp_path / "found.json"
    options = ("--endpoint", service.endpoint_id, "--json", str(file))
    code, out, err = await asyncio.to_thread(doctor, service, *options)
    assert (code, err) == (0, "")
    assert out.count("**holds**") >= 5
    kept = json.loads(file.read_text())
    assert [each["name"] for each in kept["findings"]] == list(FACTS)
    assert service.token not in out + file.read_text()


async def test_the_command_says_in_a_sentence_what_is_missing(service: LocalService):
    endpoint = ("--endpoint", service.endpoint_id)
    for options, token, says in (
        ((), "", "FUNCX_ASYNC_ENDPOINT_ID"),
        (("--endpoint", "laptop"), "", "laptop"),
        (endpoint, "wrong", "INVALID_AUTH_TOKEN"),
    ):
        code, out, err = await asyncio.to_thread(doctor, service, *options, token=token)
        assert (code, out) == (2, "")
        assert len(err.splitlines()) == 1
        assert says in err
