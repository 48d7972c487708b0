"""``doctor``: proxies and brokers broken on purpose, and what it says of them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import pytest

from funcx_async._net.proxies import Proxy, proxy_for
from funcx_async.doctor import Diagnosis, Target
from funcx_async.doctor.checks import OTHER_PORTS
from funcx_async.doctor.findings import of_broker_port, of_no_response
from funcx_async.doctor.network import open_and_close
from funcx_async.local import LocalService
from tests.cli.front import Front, encrypted, pump
from tests.cli.looking import Doctor, closed_port, context_of, only, port_of
from tests.connect_proxy import ConnectProxy

CLOSE = bytes([0, 10, 0, 50])
"""AMQP's Connection.Close."""

# Proxies ----------------------------------------------------------------------------------------


async def test_a_proxy_that_is_down(told, doctor: Doctor, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:the-proxy-password@127.0.0.1:{closed_port()}")
    checks = await doctor("--service", "https://inside.invalid")
    found = only(checks, "FAIL")
    assert found["name"] == "proxy"
    assert "Correct HTTPS_PROXY" in found["remedy"]
    assert "the-proxy-password" not in str(checks)


@pytest.mark.parametrize(
    ("set_up", "found", "remedy"),
    [
        pytest.param(
            {"login": ("me", "pw")}, "wants a login (407", "Give it as http://name:password@",
            id="no login",
        ),
        pytest.param(
            {"login": ("me", "pw"), "given": ("me", "the-wrong-word")},
            "does not accept the login that HTTPS_PROXY gives (407",
            "Correct name and password there; a `:`", id="a wrong login",
        ),
        pytest.param(
            {"status": 403}, "does not allow connections to inside.invalid:443 (403",
            "Ask its operators to allow them", id="forbidden",
        ),
        pytest.param(
            {}, "does not reach inside.invalid:443 (502", "Check that inside.invalid is right",
            id="unreachable",
        ),
        pytest.param(
            {"answer": b"HTTP/1.1 405 Method Not Allowed\r\n\r\n"},
            "does not answer as a proxy does", "the proxy's address and port", id="a web server",
        ),
        pytest.param(
            {"answer": b"SSH-2.0-OpenSSH_9.2\r\n"}, "does not answer as a proxy does",
            "Correct HTTPS_PROXY.", id="ssh",
        ),
        pytest.param(
            {"answer": b"\x15\x03\x01\x00\x02\x02\x16"}, "does not answer as a proxy does",
            "is it spoken to by http://", id="one that speaks TLS",
        ),
        pytest.param(
            {"silent": True}, "does not connect to inside.invalid:443 in time",
            "lets connections to inside.invalid:443 pass", id="silent",
        ),
    ],
)  # fmt: skip
async def test_a_proxy_that_does_not_connect_has_the_remedy_of_its_kind(
    told, doctor: Doctor, monkeypatch: pytest.MonkeyPatch, set_up, found, remedy
):
    monkeypatch.setattr("funcx_async.doctor.checks.CONNECT_TIMEOUT", 0.5)
    async with ConnectProxy({}, login=set_up.get("login")) as proxy:
        proxy.answer, proxy.silent = set_up.get("answer"), set_up.get("silent", False)
        if "status" in set_up:
            proxy.refusals["inside.invalid:443"] = set_up["status"]
        monkeypatch.setenv("HTTPS_PROXY", proxy.url_for(set_up.get("given")))
        check = only(await doctor("--service", "https://inside.invalid"), "FAIL")
    assert check["name"] == "port"
    assert check["found"].startswith("The proxy http://127.0.0.1:")
    assert found in check["found"]
    assert remedy in check["remedy"]
    assert "the-wrong-word" not in str(check)


async def test_a_proxy_whose_authority_is_unknown(told, doctor: Doctor, authority, monkeypatch):
    async with ConnectProxy({}, context=context_of(authority.issue_cert("127.0.0.1"))) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        found = only(await doctor("--service", "https://inside.invalid"), "FAIL")
    assert found["name"] == "port"
    assert "its certificate is refused" in found["found"]
    assert "in SSL_CERT_FILE" in found["remedy"]


async def test_a_proxy_that_wants_a_login_for_plain_http(told, doctor: Doctor, monkeypatch):
    async with ConnectProxy({}, login=("me", "pw")) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url_for(None))
        found = only(await doctor("--service", "http://inside.invalid"), "FAIL")
    assert found["name"] == "service"
    assert "wants a login (407)" in found["found"]
    assert "name:password@" in found["remedy"]


async def test_what_only_a_socks_proxy_can_tell_is_asked_of_none_else(monkeypatch):
    """AMQP does not pass one: that is a warning."""
    monkeypatch.setattr("funcx_async._net.http.find_spec", lambda name: name)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        monkeypatch.setenv("ALL_PROXY", f"socks5h://127.0.0.1:{listening.getsockname()[1]}")
        diagnosis = Diagnosis(Target("https://inside.invalid"))
        found = [
            await diagnosis.check_settings(),
            await diagnosis.check_proxy(),
            await diagnosis.check_port(),
            await diagnosis.check_certificate(),
        ]
        proxy = proxy_for("amqps://broker.invalid")
        failure, _ = await open_and_close("broker.invalid", 5671, proxy)
    assert [each.status for each in found] == ["OK", "OK", "SKIP", "SKIP"]
    finding = of_broker_port("broker.invalid", 5671, failure, [], proxy)
    assert (finding.status, finding.blocks) == ("WARN", True)
    assert "is not an HTTP proxy, and results come through no other." in finding.found
    assert "give an HTTP proxy in HTTPS_PROXY" in finding.remedy


def test_a_socks_proxy_that_does_not_get_there_is_named():
    proxy = Proxy("socks5h", "gate", 1080, "ALL_PROXY")
    finding = of_no_response("ConnectError: no way", proxy)
    assert "through the proxy socks5h://gate:1080 (ALL_PROXY)" in finding.found
    assert finding.remedy.startswith("Correct ALL_PROXY")


# How results come -------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(front: Front) -> Callable[[str], None]:
    """Has the service name another place for its broker; `{}` is the one that works."""

    def named(place: str) -> None:
        def change(told: dict[str, Any]) -> dict[str, Any]:
            login, _, rest = told["connection_url"].partition("@")
            works, _, path = rest.partition("/")
            login = login.replace("amqp://", place.partition("://")[0] + "://")
            there = place.partition("://")[2].format(works)
            return {**told, "connection_url": f"{login}@{there}/{path}"}

        front.changes["/get_amqp_result_connection_url"] = change

    return named


async def broker_port(service: LocalService) -> int:
    url = (await service.client().get_result_queue_address()).connection_url
    return urlsplit(url).port or 0


async def test_a_port_for_results_that_is_blocked(elsewhere, doctor: Doctor):
    port = closed_port()
    elsewhere(f"amqp://127.0.0.1:{port}")
    checks = await doctor()
    found = only(checks, "WARN")
    assert found["name"] == "results port"
    assert "cannot be reached (connection refused)" in found["found"]
    assert f"Allow outbound connections to port {port} in the firewall" in found["remedy"]
    assert checks["results login"]["status"] == "SKIP"


async def test_another_port_is_named_only_where_the_broker_lets_us_in(
    told, elsewhere, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
):
    elsewhere(f"amqp://127.0.0.1:{closed_port()}")
    works, web = await broker_port(told), port_of(told.url)
    monkeypatch.setattr("funcx_async.doctor.checks.SHORT_CONNECT_TIMEOUT", 0.5)
    monkeypatch.setitem(OTHER_PORTS, "amqp", (web,))
    found = only(await doctor(), "WARN")
    assert "Allow outbound connections" in found["remedy"], "what is open there is no broker"
    monkeypatch.setitem(OTHER_PORTS, "amqp", (web, works))
    found = only(await doctor(), "WARN")
    assert f"`run --amqp-port {works}`" in found["remedy"]
    assert f"FuncXExecutor(amqp_port={works})" in found["remedy"]


def test_where_tls_is_spoken_no_port_without_it_is_tried():
    assert OTHER_PORTS["amqps"] == (443, 5671)


async def test_another_port_for_results_can_be_tried(told, doctor: Doctor):
    found = only(await doctor("--amqp-port", str(closed_port())), "WARN")
    assert found["name"] == "results port"


async def test_a_proxy_that_does_not_let_results_through_says_so_in_one_sentence(
    elsewhere, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
):
    async with ConnectProxy({}) as proxy:
        proxy.refusals["broker.invalid:5671"] = 403
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        elsewhere("amqps://broker.invalid:5671")
        found = only(await doctor(), "WARN")
    assert found["found"] == (
        f"The proxy http://{proxy.address} (HTTPS_PROXY) does not allow connections to "
        "broker.invalid:5671 (403 Forbidden). Results are polled over HTTP instead, which is "
        "slower."
    )
    assert found["remedy"].startswith("Ask its operators to allow them")


async def test_a_broker_with_letters_of_a_language_in_its_name_is_looked_for(
    elsewhere, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
):
    async with ConnectProxy({}) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        elsewhere("amqps://b\u00fccher.invalid:5671")
        found = only(await doctor(), "WARN")
    assert "does not reach xn--bcher-kva.invalid:5671 (502" in found["found"]


async def test_a_broker_that_refuses_the_login(told, doctor: Doctor):
    told.faults.refuse_logins()
    found = only(await doctor(), "FAIL")
    assert found["name"] == "results login"
    assert "rejects the login" in found["found"]


async def test_what_listens_there_is_no_broker(told, doctor: Doctor, monkeypatch):
    monkeypatch.setattr("funcx_async.doctor.checks.CONNECT_TIMEOUT", 0.5)
    found = only(await doctor("--amqp-port", str(port_of(told.url))), "WARN")
    assert found["name"] == "results login"
    assert "--amqp-port" in found["remedy"]
    assert "Results are polled over HTTP instead" in found["found"]


async def test_a_brokers_certificate_of_an_unknown_authority(
    told, elsewhere, authority, doctor: Doctor
):
    context = context_of(authority.issue_cert("127.0.0.1"))
    async with encrypted(await broker_port(told), context) as port:
        elsewhere(f"amqps://127.0.0.1:{port}")
        found = only(await doctor(), "WARN")
    assert found["name"] == "results login"
    assert "certificate of the broker was rejected" in found["found"]
    assert "SSL_CERT_FILE" in found["remedy"]
    assert "inspects TLS" in found["remedy"]


async def test_a_broker_that_is_slow_to_say_good_bye_has_let_us_in(told, elsewhere, doctor: Doctor):
    """It swallows what is sent from the good-bye on."""
    there = await broker_port(told)

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection("127.0.0.1", there)
        down = asyncio.create_task(pump(back, writer))
        with suppress(OSError):
            while (sent := await reader.read(65_536)) and CLOSE not in sent:
                forth.write(sent)
            while sent:
                sent = await reader.read(65_536)
        down.cancel()
        forth.close()
        writer.close()

    async with await asyncio.start_server(relay, "127.0.0.1", 0) as server:
        elsewhere(f"amqp://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        checks = await doctor()
    assert checks["results login"]["status"] == "OK"
