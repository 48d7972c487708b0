"""``doctor``: set-ups broken on purpose, each with real parts, and what it says of them."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import trustme

from funcx_async.doctor import Examination, Wanted
from funcx_async.local import LocalService
from tests.auth.issuer import Issuer
from tests.cli.conftest import Command
from tests.cli.front import Front, encrypted
from tests.connect_proxy import ConnectProxy
from tests.proxy import Proxy

Checks = dict[str, dict[str, Any]]
Doctor = Callable[..., Awaitable[Checks]]


@pytest.fixture
async def front(told: LocalService, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Front]:
    """Something before the service that changes its answers; the environment names it."""
    front = Front(told.url, told.token)
    await front.start()
    monkeypatch.setenv("FUNCX_ASYNC_SERVICE_URL", front.url)
    yield front
    await front.aclose()


@pytest.fixture
async def secrets(told: LocalService) -> list[str]:
    """What the command must not print."""
    url = (await told.client().get_result_queue_address()).connection_url
    return [told.token, url.rpartition("@")[0].rpartition(":")[2]]


@pytest.fixture
def doctor(command: Command, secrets: list[str]) -> Doctor:
    """Runs the command; the checks by name. It says no secret, and ends with 1 if one failed."""

    async def run(*words: str) -> Checks:
        ended = await command("doctor", "--json", *words)
        assert ended.err == ""
        assert not [secret for secret in secrets if secret in ended.out]
        checks = {check["name"]: check for check in ended.document["checks"]}
        failed = any(check["status"] == "FAIL" for check in checks.values())
        assert ended.code == failed
        assert ended.document["works"] is not failed
        return checks

    return run


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    """A certificate authority that nobody knows, and its certificate in a file."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    return authority


def context_of(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


def only(checks: Checks, status: str) -> dict[str, Any]:
    """The one check that ended so; the ones before it are well, those that need it are skipped."""
    (found,) = (check for check in checks.values() if check["status"] == status)
    return found


# A set-up that works ----------------------------------------------------------------------------


async def test_all_is_well(told, doctor: Doctor):
    checks = await doctor("--task")
    assert {check["status"] for check in checks.values()} == {"OK", "SKIP"}
    skipped = [name for name, check in checks.items() if check["status"] == "SKIP"]
    assert skipped == ["certificate"], "on one machine there is no TLS"
    assert "there and back" in checks["task"]["found"]


async def test_it_is_shown_to_people_as_it_goes(told, command: Command):
    ended = await command("doctor")
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0].split()[:2] == ["OK", "settings"]
    assert lines[-1].strip() == "All is well."
    ended = await command("doctor", "--endpoint", str(uuid4()))
    assert ended.code == 1
    assert "→ Check --endpoint" in ended.out
    assert ended.out.splitlines()[-1].startswith("1 check failed: do what stands at the arrow")


async def test_what_it_found_is_kept_in_a_file(told, command: Command, tmp_path: Path):
    ended = await command("doctor", "--json", str(tmp_path / "found.json"))
    assert "All is well." in ended.out
    kept = json.loads((tmp_path / "found.json").read_text())
    assert (kept["service"], kept["works"]) == (told.url, True)


# The way to the service -------------------------------------------------------------------------


async def test_connection_refused(told, doctor: Doctor):
    checks = await doctor("--service", f"http://127.0.0.1:{closed_port()}")
    found = only(checks, "FAIL")
    assert found["name"] == "port"
    assert "refuses connections" in found["found"]
    assert "Start the service, or correct the port" in found["remedy"]
    assert checks["task"]["status"] == "SKIP"
    assert checks["task"]["found"] == "It needs 'port', which did not pass."


async def test_the_port_of_something_else(told, doctor: Doctor):
    url = (await told.client().get_result_queue_address()).connection_url
    port = port_of(url.rstrip("/").rpartition("/")[0] if url.count("/") > 2 else url)
    found = only(await doctor("--service", f"http://127.0.0.1:{port}"), "FAIL")
    assert found["name"] == "service"
    assert "Is it the port of something else" in found["remedy"]


async def test_a_name_without_an_address(told, doctor: Doctor):
    found = only(await doctor("--service", "http://nowhere.invalid"), "FAIL")
    assert found["name"] == "name"
    assert "nowhere.invalid has no address" in found["found"]
    assert "FUNCX_ASYNC_SERVICE_URL" in found["remedy"]


async def test_a_proxy_is_required(told, doctor: Doctor, monkeypatch: pytest.MonkeyPatch):
    """The name is known to the proxy alone; with the remedy of the first run the second works."""
    monkeypatch.setenv("FUNCX_ASYNC_SERVICE_URL", f"http://inside.invalid:{port_of(told.url)}")
    found = only(await doctor(), "FAIL")
    assert "set HTTPS_PROXY" in found["remedy"]
    place = f"inside.invalid:{port_of(told.url)}"
    async with ConnectProxy({place: ("127.0.0.1", port_of(told.url))}) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        checks = await doctor()
    assert not [check for check in checks.values() if check["status"] == "FAIL"]
    assert "Through the proxy" in checks["proxy"]["found"]
    assert checks["certificate"]["status"] == "WARN", "what is not encrypted can be read"


async def test_a_proxy_that_is_down(told, doctor: Doctor, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:the-proxy-password@127.0.0.1:{closed_port()}")
    checks = await doctor("--service", "https://inside.invalid")
    found = only(checks, "FAIL")
    assert found["name"] == "proxy"
    assert "Correct HTTPS_PROXY" in found["remedy"]
    assert "the-proxy-password" not in str(checks)


async def test_a_proxy_that_wants_a_login(told, doctor: Doctor, monkeypatch: pytest.MonkeyPatch):
    async with ConnectProxy({}, login=("me", "the-proxy-password")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url_for(None))
        found = only(await doctor("--service", "https://inside.invalid"), "FAIL")
    assert found["name"] == "port"
    assert "wants a login" in found["found"]


@pytest.mark.parametrize(
    ("url", "says"),
    [
        pytest.param("ftp://x", "must be an http or https URL", id="no web service"),
        pytest.param("https://x/v2", "leave out '/v2'", id="no root"),
    ],
)
async def test_a_setting_that_cannot_be_used(told, doctor: Doctor, url: str, says: str):
    found = only(await doctor("--service", url), "FAIL")
    assert found["name"] == "settings"
    assert says in found["found"]


# Its certificate --------------------------------------------------------------------------------


async def test_a_certificate_of_an_unknown_authority(
    told, authority, doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    context = context_of(authority.issue_cert("127.0.0.1"))
    async with encrypted(port_of(told.url), context) as port:
        monkeypatch.setenv("FUNCX_ASYNC_SERVICE_URL", f"https://127.0.0.1:{port}")
        found = only(await doctor(), "FAIL")
        assert found["name"] == "certificate"
        assert "set GLOBUS_SDK_VERIFY_SSL" in found["remedy"]
        monkeypatch.setenv("GLOBUS_SDK_VERIFY_SSL", str(tmp_path / "authority.pem"))
        checks = await doctor()
        assert checks["certificate"]["status"] == "OK"
        assert checks["login"]["status"] == "OK"
        monkeypatch.setenv("GLOBUS_SDK_VERIFY_SSL", "no")
        found = only(await doctor(), "WARN")
        assert found["remedy"] == "Unset GLOBUS_SDK_VERIFY_SSL."


@pytest.mark.parametrize(
    ("name", "days", "status", "says"),
    [
        pytest.param("127.0.0.1", -1, "FAIL", "has to renew the certificate", id="expired"),
        pytest.param("127.0.0.1", 5, "WARN", "renew it before", id="soon expired"),
        pytest.param("else.test", 99, "FAIL", "It is for another name", id="another name"),
    ],
)
async def test_a_certificate_that_is_not_good(
    told, authority, doctor: Doctor, tmp_path: Path, monkeypatch, name, days, status, says
):
    monkeypatch.setenv("GLOBUS_SDK_VERIFY_SSL", str(tmp_path / "authority.pem"))
    end = datetime.now(UTC) + timedelta(days=days)
    certificate = authority.issue_cert(name, not_before=end - timedelta(days=200), not_after=end)
    async with encrypted(port_of(told.url), context_of(certificate)) as port:
        monkeypatch.setenv("FUNCX_ASYNC_SERVICE_URL", f"https://127.0.0.1:{port}")
        found = only(await doctor(), status)
    assert found["name"] == "certificate"
    assert says in found["remedy"]


async def test_https_where_http_is_spoken(told, doctor: Doctor):
    found = only(await doctor("--service", told.url.replace("http", "https")), "FAIL")
    assert found["name"] == "certificate"
    assert "http:// instead of https://" in found["remedy"]


async def test_http_where_https_is_spoken(told, authority, doctor: Doctor):
    async with encrypted(port_of(told.url), context_of(authority.issue_cert("127.0.0.1"))) as port:
        found = only(await doctor("--service", f"http://127.0.0.1:{port}"), "FAIL")
    assert found["name"] == "service"
    assert "https:// instead of http://" in found["remedy"]


# What answers -----------------------------------------------------------------------------------


async def test_what_answers_is_not_a_funcx_service(front: Front, doctor: Doctor):
    front.page = "<h1>Welcome to the guests' network</h1>"
    found = only(await doctor(), "FAIL")
    assert found["name"] == "service"
    assert "not a funcX service" in found["found"]
    assert "a page to log in to the network" in found["remedy"]


async def test_a_service_without_time(told, doctor: Doctor):
    told.faults.refuse("version", status=503)
    found = only(await doctor(), "FAIL")
    assert found["name"] == "service"
    assert "Try again later" in found["remedy"]


async def test_a_service_that_is_newer(front: Front, doctor: Doctor):
    front.changes["/version"] = lambda told: {**told, "min_sdk_version": "99.0"}
    found = only(await doctor(), "WARN")
    assert "Install a newer funcx-async" in found["remedy"]


async def test_a_service_that_is_silent_does_not_hold_it_up(told):
    async with Proxy(told.url) as proxy:
        proxy.stall()
        examination = Examination(Wanted(proxy.before(told.url)), each=0.3)
        checks = {check.name: check for check in (await examination.report()).checks}
    assert checks["service"].status == "FAIL"
    assert "no answer in" in checks["service"].found
    assert "a firewall drops what is sent" in checks["service"].remedy


async def test_when_its_time_is_up_the_rest_is_skipped(told):
    report = await Examination(Wanted(), whole=0.0).report()
    assert {check.status for check in report.checks} == {"SKIP"}
    assert report.checks[0].found == "There was no time left for it."


@pytest.mark.parametrize(
    ("seconds", "status"), [pytest.param(3600, "FAIL", id="far off"), pytest.param(-90, "WARN")]
)
async def test_a_clock_that_is_wrong(front: Front, doctor: Doctor, seconds: int, status: str):
    there = datetime.now(UTC) + timedelta(seconds=seconds)
    front.headers["Date"] = format_datetime(there, usegmt=True)
    found = only(await doctor(), status)
    assert found["name"] == "clock"
    assert "NTP" in found["remedy"]
    front.headers["Date"] = format_datetime(datetime.now(UTC), usegmt=True)
    assert (await doctor())["clock"]["status"] == "OK"


# Who asks ---------------------------------------------------------------------------------------


async def test_no_credentials(told, doctor: Doctor, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("FUNCX_ASYNC_TOKEN")
    found = only(await doctor(), "FAIL")
    assert found["name"] == "login"
    assert "There are no credentials" in found["found"]
    assert "FUNCX_ASYNC_TOKEN" in found["remedy"]


async def test_a_token_that_has_expired(front: Front, doctor: Doctor, monkeypatch):
    issuer = Issuer()
    token = issuer.new_token()
    front.takes = issuer.live.__contains__
    monkeypatch.setenv("FUNCX_ASYNC_TOKEN", token)
    assert (await doctor())["login"]["status"] == "OK"
    issuer.revoke_all()
    checks = await doctor()
    found = only(checks, "FAIL")
    assert found["name"] == "login"
    assert "expired" in found["found"]
    assert "login --force" in found["remedy"]
    assert token not in str(checks)


async def test_a_token_for_another_scope(told, doctor: Doctor):
    told.faults.refuse("endpoints", status=403, code="INSUFFICIENT_AUTH_SCOPE")
    found = only(await doctor(), "FAIL")
    assert found["name"] == "login"
    assert "another scope" in found["found"]
    assert "login --force" in found["remedy"]


# Where tasks run --------------------------------------------------------------------------------


async def test_an_endpoint_that_is_offline(told, doctor: Doctor):
    with told.faults.endpoint_offline():
        found = only(await doctor(), "FAIL")
    assert found["name"] == "endpoint"
    assert "globus-compute-endpoint start" in found["remedy"]


async def test_an_endpoint_that_is_unknown(told, doctor: Doctor):
    checks = await doctor("--endpoint", str(uuid4()), "--task")
    assert only(checks, "FAIL")["name"] == "endpoint"
    assert "endpoints --all" in checks["endpoint"]["remedy"]
    assert checks["task"]["status"] == "SKIP"
    assert checks["results login"]["status"] == "OK", "that needs no endpoint"


async def test_an_endpoint_of_somebody_else(told, doctor: Doctor):
    told.faults.refuse("endpoint_status", status=403, reason="not yours")
    found = only(await doctor(), "FAIL")
    assert found["remedy"] == "Ask its owner for access."


async def test_no_endpoint_is_no_failure(told, doctor: Doctor, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("FUNCX_ASYNC_ENDPOINT_ID")
    checks = await doctor("--task")
    assert checks["endpoint"]["remedy"].startswith("Name one: --endpoint")
    assert checks["task"]["found"] == "It needs 'endpoint', which did not pass."


@pytest.mark.parametrize(
    ("name", "version", "says"),
    [
        pytest.param("python_version", "3.8.2", "Python 3.8.2", id="Python"),
        pytest.param("dill_version", "0.2.1", "dill 0.2.1", id="dill"),
    ],
)
async def test_other_versions_there(told, front: Front, doctor: Doctor, name, version, says):
    front.changes[f"/endpoints/{told.endpoint_id}"] = lambda document: {**document, name: version}
    found = only(await doctor(), "WARN")
    assert found["name"] == "versions"
    assert f"The endpoint has {says}" in found["found"]
    assert "Use the same versions on both sides" in found["remedy"]


async def test_a_worker_tells_its_versions_where_the_service_does_not(
    told, front: Front, doctor: Doctor
):
    def silent(document: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in document.items() if "version" not in key}

    front.changes[f"/endpoints/{told.endpoint_id}"] = silent
    checks = await doctor()
    assert (checks["versions"]["status"], checks["versions"]["remedy"]) == (
        "SKIP",
        "A task does: --task.",
    )
    checks = await doctor("--task")
    assert checks["versions"]["status"] == "OK"


async def test_a_task_that_fails(told, doctor: Doctor, monkeypatch):
    monkeypatch.setattr("funcx_async.doctor.looks.SOURCE", "def doctor_product(x, y):\n    x / 0\n")
    checks = await doctor("--task")
    assert checks["task"]["status"] == "FAIL"
    assert "ZeroDivisionError" in checks["task"]["found"]


# How results come -------------------------------------------------------------------------------


async def test_a_port_for_results_that_is_blocked(front: Front, doctor: Doctor):
    def elsewhere(told: dict[str, Any]) -> dict[str, Any]:
        place, _, path = told["connection_url"].rpartition("/")
        return {**told, "connection_url": f"{place.rpartition(':')[0]}:{closed_port()}/{path}"}

    front.changes["/get_amqp_result_connection_url"] = elsewhere
    checks = await doctor()
    found = only(checks, "WARN")
    assert found["name"] == "results port"
    assert "cannot be reached (connection refused)" in found["found"]
    assert "amqp_port=" in found["remedy"] or "Have the firewall" in found["remedy"]
    assert checks["results login"]["status"] == "SKIP"


async def test_another_port_for_results_can_be_tried(told, doctor: Doctor):
    found = only(await doctor("--amqp-port", str(closed_port())), "WARN")
    assert found["name"] == "results port"


async def test_a_broker_that_refuses_the_login(told, doctor: Doctor):
    told.faults.refuse_logins()
    found = only(await doctor(), "FAIL")
    assert found["name"] == "results login"
    assert "refuses the login" in found["found"]


async def test_what_listens_there_is_no_broker(told, doctor: Doctor, monkeypatch):
    monkeypatch.setattr("funcx_async.doctor.looks.CONNECTING", 0.3)
    found = only(await doctor("--amqp-port", str(port_of(told.url))), "FAIL")
    assert found["name"] == "results login"
    assert "--amqp-port" in found["remedy"]
