"""``doctor``: set-ups broken on purpose, each with real parts, and what it says of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from funcx_async import AuthenticationFailed
from funcx_async.doctor import Diagnosis, Target
from funcx_async.doctor.credentials import credentials_in_use
from funcx_async.doctor.findings import of_login
from tests.auth.issuer import Issuer
from tests.cli.conftest import Command
from tests.cli.front import Front, encrypted
from tests.cli.looking import Doctor, closed_port, context_of, only, port_of
from tests.connect_proxy import ConnectProxy
from tests.proxy import Proxy

BUSY = "import time\ndef doctor_product(x, y):\n    time.sleep(1)\n"
GLOBUS = "https://compute.api.globus.org"

# A set-up that works ----------------------------------------------------------------------------


async def test_all_is_well(told, doctor: Doctor):
    checks = await doctor("--task")
    assert {check["status"] for check in checks.values()} == {"OK", "SKIP"}
    skipped = [name for name, check in checks.items() if check["status"] == "SKIP"]
    assert skipped == ["certificate"], "on one machine there is no TLS"
    assert "returned its result" in checks["task"]["found"]


async def test_it_is_shown_to_people_as_it_goes(told, command: Command):
    ended = await command("doctor")
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0].split()[:2] == ["OK", "settings"]
    assert lines[-1].strip() == "Everything works."
    ended = await command("doctor", "--endpoint", str(uuid4()))
    assert ended.code == 1
    assert "→ Check --endpoint" in ended.out
    assert ended.out.splitlines()[-1].startswith("1 check failed: fix the item marked →")


async def test_checks_that_a_failed_one_blocks_are_one_line(told, command: Command):
    ended = await command("doctor", "--service", f"http://127.0.0.1:{closed_port()}")
    (line,) = (line for line in ended.out.splitlines() if "did not pass" in line)
    assert line.split()[:3] == ["SKIP", "10", "more"]
    assert "because 'port' did not pass: certificate, service, clock, login" in line
    kept = await command("doctor", "--service", f"http://127.0.0.1:{closed_port()}", "--json")
    blocked = [each["name"] for each in kept.document["checks"] if each["blocked_by"] == "port"]
    assert len(blocked) == 10


async def test_what_it_found_is_kept_in_a_file(told, command: Command, tmp_path: Path):
    ended = await command("doctor", "--json", str(tmp_path / "found.json"))
    assert "Everything works." in ended.out
    kept = json.loads((tmp_path / "found.json").read_text())
    assert (kept["service"], kept["works"]) == (told.url, True)


# The way to the service -------------------------------------------------------------------------


async def test_connection_refused(told, doctor: Doctor):
    checks = await doctor("--service", f"http://127.0.0.1:{closed_port()}")
    found = only(checks, "FAIL")
    assert found["name"] == "port"
    assert "refuses connections" in found["found"]
    assert "Start the service or correct the port" in found["remedy"]
    assert checks["task"]["status"] == "SKIP"
    assert checks["task"]["found"] == "Requires 'port', which did not pass."


async def test_the_port_of_something_else(told, doctor: Doctor):
    url = (await told.client().get_result_queue_address()).connection_url
    port = port_of(url.rstrip("/").rpartition("/")[0] if url.count("/") > 2 else url)
    found = only(await doctor("--service", f"http://127.0.0.1:{port}"), "FAIL")
    assert found["name"] == "service"
    assert "the port belongs to another program" in found["remedy"]


async def test_a_name_without_an_address(told, doctor: Doctor):
    found = only(await doctor("--service", "http://nowhere.invalid"), "FAIL")
    assert found["name"] == "dns"
    assert "DNS lookup of nowhere.invalid failed" in found["found"]
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
    assert "Using the proxy" in checks["proxy"]["found"]
    assert checks["certificate"]["status"] == "WARN", "what is not encrypted can be read"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        pytest.param("ftp://x", "must be an http or https URL", id="no web service"),
        pytest.param("https://x/v2", "leave out '/v2'", id="no root"),
        pytest.param("http://127.0.0.1:99999", "Port out of range", id="no port"),
        pytest.param("http://[::1", "Invalid IPv6 URL", id="half an address"),
        pytest.param("foo", "must be an http or https URL", id="a word"),
    ],
)
async def test_a_setting_that_cannot_be_used(
    told, doctor: Doctor, command: Command, url: str, says: str
):
    found = only(await doctor("--service", url), "FAIL")
    assert found["name"] == "settings"
    assert found["found"].startswith("--service or FUNCX_ASYNC_SERVICE_URL ")
    assert says in found["found"]
    assert "Correct this setting" in found["remedy"]
    ended = await command("endpoints", "--service", url)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == f"endpoints failed: {found['found']}\n"


async def test_what_is_no_endpoints_id_is_told_before_anything_is_asked(told, doctor: Doctor):
    found = only(await doctor("--endpoint", "nonsense"), "FAIL")
    assert found["name"] == "settings"
    assert "'nonsense' is not the id of an endpoint: a UUID such as" in found["found"]


@pytest.mark.parametrize("content", [None, "this is no PEM"])
async def test_certificates_that_cannot_be_read_are_told_by_variable_and_file(
    told, doctor: Doctor, command: Command, tmp_path: Path, monkeypatch, content: str | None
):
    file = tmp_path / "certificates.pem"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    found = only(await doctor("--service", "https://inside.invalid"), "FAIL")
    assert found["name"] == "settings"
    for told_there in ("SSL_CERT_FILE", str(file), "or unset it"):
        assert told_there in found["found"]
    assert (await doctor())["service"]["status"] == "OK", "this very machine needs none"
    monkeypatch.setenv("FUNCX_ASYNC_SERVICE_URL", "https://inside.invalid")
    ended = await command("endpoints")
    assert (ended.code, ended.err) == (1, f"endpoints failed: {found['found']}\n")


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
        pytest.param("127.0.0.1", -1, "FAIL", "must renew the certificate", id="expired"),
        pytest.param("127.0.0.1", 5, "WARN", "must renew it before", id="soon expired"),
        pytest.param("else.test", 99, "FAIL", "It was issued for another name", id="another name"),
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
    assert "captive portal" in found["remedy"]


async def test_a_service_without_time(told, doctor: Doctor):
    told.faults.refuse("version", status=503)
    found = only(await doctor(), "FAIL")
    assert found["name"] == "service"
    assert "Try again later" in found["remedy"]


async def test_a_service_that_is_newer(front: Front, doctor: Doctor):
    front.changes["/version"] = lambda told: {**told, "min_sdk_version": "99.0"}
    found = only(await doctor(), "WARN")
    assert "pip install --upgrade funcx-async" in found["remedy"]


async def test_a_service_that_is_silent_does_not_hold_it_up(told):
    async with Proxy(told.url) as proxy:
        proxy.stall()
        diagnosis = Diagnosis(Target(proxy.before(told.url)), check_timeout=0.3)
        checks = {check.name: check for check in (await diagnosis.report()).checks}
    assert checks["service"].status == "FAIL"
    assert "No answer within" in checks["service"].found
    assert "a firewall silently drops connections" in checks["service"].remedy


async def test_when_its_time_is_up_the_rest_is_skipped(told):
    report = await Diagnosis(Target(), total_timeout=0.0).report()
    assert {check.status for check in report.checks} == {"SKIP"}
    assert report.checks[0].found == "No time was left for it."


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
    assert found["remedy"].startswith(
        "Export the variables that `python -m funcx_async local` prints"
    )
    assert token not in str(checks)


async def test_a_token_for_another_scope(told, doctor: Doctor):
    told.faults.refuse("endpoints", status=403, code="INSUFFICIENT_AUTH_SCOPE")
    found = only(await doctor(), "FAIL")
    assert found["name"] == "login"
    assert "wrong scope" in found["found"]
    assert "needs the scope of Globus Compute" in found["remedy"]


@pytest.mark.parametrize("token", ["two words", "at-the-end\n", "caf\u00e9"])
async def test_what_can_be_no_token_is_told_by_its_variable(
    told, doctor: Doctor, monkeypatch: pytest.MonkeyPatch, token: str
):
    monkeypatch.setenv("FUNCX_ASYNC_TOKEN", token)
    checks = await doctor()
    found = only(checks, "FAIL")
    assert found["found"].startswith("FUNCX_ASYNC_TOKEN does not hold a token")
    assert found["remedy"].startswith("Export it again")
    assert token not in str(checks)


@pytest.mark.parametrize(
    ("variables", "words", "remedy"),
    [
        ({}, "the stored login of the official tools", "login --force"),
        ({"GLOBUS_COMPUTE_CLIENT_ID": "x"}, "the client credentials", "Create a new secret"),
        (
            {"FUNCX_ASYNC_SERVICE_URL": GLOBUS, "FUNCX_ASYNC_TOKEN": "x"},
            "the token in FUNCX_ASYNC_TOKEN",
            "Set FUNCX_ASYNC_TOKEN to a new token",
        ),
    ],
)
def test_the_remedy_is_that_of_where_the_credentials_come_from(variables, words, remedy):
    credentials = credentials_in_use(GLOBUS, variables, globus=True)
    refused = AuthenticationFailed("no", status=401, code="EXPIRED", reason="it has ended")
    verdict = of_login(refused, credentials)
    assert words in verdict.found
    assert remedy in verdict.remedy


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
    assert checks["endpoint"]["remedy"].startswith("Set --endpoint")
    assert checks["task"]["found"] == "Requires 'endpoint', which did not pass."


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
        "Run a task to find out: --task.",
    )
    checks = await doctor("--task")
    assert checks["versions"]["status"] == "OK"


async def test_a_task_that_does_not_end_in_time_is_no_fault_of_the_network(told, monkeypatch):
    monkeypatch.setattr("funcx_async.doctor.checks.SOURCE", BUSY)
    diagnosis = Diagnosis(Target(told.url, told.endpoint_id, task=True), task_timeout=0.2)
    checks = {check.name: check for check in (await diagnosis.report()).checks}
    assert checks["task"].status == "WARN"
    assert "did not finish in time" in checks["task"].found
    assert "starting workers" in checks["task"].remedy


async def test_a_task_that_fails(told, doctor: Doctor, monkeypatch):
    monkeypatch.setattr(
        "funcx_async.doctor.checks.SOURCE", "def doctor_product(x, y):\n    x / 0\n"
    )
    checks = await doctor("--task")
    assert checks["task"]["status"] == "FAIL"
    assert "ZeroDivisionError" in checks["task"]["found"]
