"""Which proxy leads where, by the variables that name them."""

from __future__ import annotations

from typing import get_args

import pytest

from funcx_async._net.proxies import Proxy, RefusalKind, proxy_for, refusal, refusal_of_status
from tests.vault import Vault

SERVICE = "https://compute.api.globus.org"
BROKER = "amqps://user:word@compute.amqps.globus.org:443/vhost"
GATE = "http://gate:3128"


@pytest.mark.parametrize(
    ("url", "variables", "address"),
    [
        pytest.param(SERVICE, {}, None, id="none is named"),
        pytest.param(SERVICE, {"HTTPS_PROXY": GATE}, GATE, id="https"),
        pytest.param(SERVICE, {"https_proxy": GATE}, GATE, id="in small letters"),
        pytest.param(
            SERVICE, {"https_proxy": GATE, "HTTPS_PROXY": "http://no"}, GATE, id="small ones win"
        ),
        pytest.param(SERVICE, {"https_proxy": "", "HTTPS_PROXY": GATE}, None, id="empty ones too"),
        pytest.param(SERVICE, {"HTTP_PROXY": GATE}, None, id="http_proxy is not for https"),
        pytest.param(SERVICE, {"ALL_PROXY": GATE}, GATE, id="all_proxy"),
        pytest.param(
            SERVICE, {"ALL_PROXY": "http://no", "HTTPS_PROXY": GATE}, GATE, id="all_proxy is last"
        ),
        pytest.param("http://far.org", {"HTTP_PROXY": GATE}, GATE, id="http"),
        pytest.param("http://far.org", {"HTTPS_PROXY": GATE}, None, id="not https_proxy for http"),
        pytest.param(
            "http://far.org",
            {"HTTP_PROXY": GATE, "REQUEST_METHOD": "GET"},
            None,
            id="a web server's caller names no proxy",
        ),
        pytest.param(
            "http://far.org",
            {"http_proxy": GATE, "REQUEST_METHOD": "GET"},
            GATE,
            id="but who started the web server does",
        ),
        pytest.param(BROKER, {"HTTPS_PROXY": GATE}, GATE, id="amqps"),
        pytest.param("amqp://far.org", {"HTTPS_PROXY": GATE}, GATE, id="amqp by a tunnel"),
        pytest.param("amqp://far.org", {"HTTP_PROXY": GATE}, None, id="amqp is not http"),
        pytest.param(SERVICE, {"HTTPS_PROXY": "gate:3128"}, GATE, id="without a scheme"),
        pytest.param(SERVICE, {"HTTPS_PROXY": " http://gate "}, "http://gate:80", id="http's port"),
        pytest.param(
            SERVICE, {"HTTPS_PROXY": "https://gate"}, "https://gate:443", id="https's port"
        ),
        pytest.param(
            SERVICE, {"HTTPS_PROXY": "http://[2001:db8::1]:3128"}, "http://[2001:db8::1]:3128",
            id="an address of IPv6",
        ),
        pytest.param(SERVICE, {"ALL_PROXY": "socks5h://gate"}, "socks5h://gate:1080", id="socks"),
    ],
)  # fmt: skip
def test_the_proxy_is_the_one_that_the_environment_names(url, variables, address):
    proxy = proxy_for(url, variables)
    assert (proxy and proxy.address) == address


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000",
        "http://localhost:8000",
        "https://[::1]/",
        "amqp://user:word@127.8.8.8:5672",
    ],
)
def test_this_machine_is_reached_directly_whatever_the_environment_says(url):
    variables = {"ALL_PROXY": GATE, "HTTP_PROXY": GATE, "HTTPS_PROXY": GATE, "NO_PROXY": ""}
    assert proxy_for(url, variables) is None


@pytest.mark.parametrize(
    ("url", "no_proxy", "direct"),
    [
        pytest.param("https://far.org", "far.org", True, id="a name"),
        pytest.param("https://far.org", "FAR.org", True, id="in capitals"),
        pytest.param("https://a.b.far.org", "far.org", True, id="what is below it"),
        pytest.param("https://a.far.org", ".far.org", True, id="what is below it, by a dot"),
        pytest.param("https://far.org", ".far.org", True, id="itself, by a dot"),
        pytest.param("https://a.far.org", "*.far.org", True, id="by a star"),
        pytest.param("https://nearfar.org", "far.org", False, id="not what ends alike"),
        pytest.param("https://far.org", "a.far.org", False, id="not what is above"),
        pytest.param("https://far.org", "near.org, far.org", True, id="one of several"),
        pytest.param("https://far.org", "near.org far.org", True, id="without commas"),
        pytest.param("https://far.org", "*", True, id="all"),
        pytest.param("https://far.org", "", False, id="none"),
        pytest.param("https://far.org", ",,", False, id="no name at all"),
        pytest.param("https://far.org", "far.org:443", True, id="a port, https's own"),
        pytest.param("https://far.org:8443", "far.org:443", False, id="another port"),
        pytest.param("amqps://far.org", "far.org:5671", True, id="a port, amqps's own"),
        pytest.param("amqps://far.org:443", "far.org:5671", False, id="another port of amqps"),
        pytest.param("https://10.1.2.3", "10.1.2.3", True, id="an address"),
        pytest.param("https://10.1.2.3", "10.0.0.0/8", True, id="a network"),
        pytest.param("https://11.1.2.3", "10.0.0.0/8", False, id="outside of a network"),
        pytest.param("https://10.1.2.3:8443", "10.1.2.3:8443", True, id="an address with a port"),
        pytest.param("https://far.org.", "far.org", True, id="a name with a dot at its end"),
        pytest.param("https://far.org", "far.org.", True, id="a word with a dot at its end"),
        pytest.param("https://far.org:8443", "far.org.:8443", True, id="a dot and a port"),
        pytest.param("https://10.1.2.3", "2.3", False, id="an address has nothing above it"),
        pytest.param("https://[2001:db8::1]", "2001:db8::/32", True, id="a network of IPv6"),
        pytest.param("https://[2001:db8::1]", "[2001:db8::1]", True, id="in brackets"),
        pytest.param("https://[2001:db8::1]", "[2001:db8::1]:443", True, id="brackets and port"),
    ],
)  # fmt: skip
def test_no_proxy_excepts_what_it_names(url, no_proxy, direct):
    for spelling in ("NO_PROXY", "no_proxy"):
        proxy = proxy_for(url, {"ALL_PROXY": GATE, spelling: no_proxy})
        assert (proxy is None) == direct


def test_a_login_is_read_and_kept_out_of_what_is_shown():
    vault = Vault()
    vault.learn("pa:ss/wo@rd")
    proxy = proxy_for(SERVICE, {"HTTPS_PROXY": "https://jane%40x:pa%3Ass%2Fwo%40rd@gate:3128"})
    assert proxy == Proxy("https", "gate", 3128, "HTTPS_PROXY", "jane@x", "pa:ss/wo@rd")
    assert proxy.authorization == "Basic amFuZUB4OnBhOnNzL3dvQHJk"
    assert str(proxy) == "the proxy https://gate:3128 (HTTPS_PROXY)"
    for shown in (repr(proxy), str(proxy), proxy.address):
        assert "jane" not in shown
        assert shown not in vault


def test_without_a_login_none_is_sent():
    proxy = proxy_for(SERVICE, {"HTTPS_PROXY": GATE})
    assert proxy is not None
    assert proxy.authorization is None


@pytest.mark.parametrize(
    "told",
    [
        "ftp://gate",
        "http://",
        "http://jane:hush-hush@gate:port",
        "http://[gate",
        pytest.param("http://hush:12/34@gate:3128", id="a password with a slash"),
        pytest.param("http://hush:12#34@gate:3128", id="a password with a hash"),
        pytest.param("hush:12?34@gate:3128", id="a password with a question mark"),
    ],
)
def test_what_is_no_proxy_is_refused_with_the_variable_and_without_what_it_holds(told):
    with pytest.raises(ValueError, match="HTTPS_PROXY must hold") as caught:
        proxy_for(SERVICE, {"HTTPS_PROXY": told})
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("kind", get_args(RefusalKind))
def test_each_refusal_says_what_happened_and_what_to_do(kind: RefusalKind):
    gate = Proxy("http", "gate", 3128, "HTTPS_PROXY", "jane", "hush-hush")
    told = refusal(gate, "far.org:443", kind, "words of the system")
    assert told.kind == kind
    assert told.found.startswith("the proxy http://gate:3128 (HTTPS_PROXY) ")
    assert told.found.endswith("(words of the system)")
    assert told.remedy.endswith(".")
    assert "hush" not in str(told)


@pytest.mark.parametrize(
    ("status", "login", "kind"),
    [
        ("407", "", "login"),
        ("407", "jane", "wrong login"),
        ("403", "", "forbidden"),
        ("451", "", "forbidden"),
        ("502", "", "unreachable"),
        ("503", "", "unreachable"),
        ("400", "", "no proxy"),
        ("405", "", "no proxy"),
        ("501", "", "no proxy"),
    ],
)
def test_what_a_status_means(status: str, login: str, kind: str):
    gate = Proxy("http", "gate", 3128, "HTTPS_PROXY", login)
    assert refusal_of_status(gate, "far.org:443", f"{status} Words").kind == kind


def test_a_tunnel_is_asked_of_proxies_that_speak_http_alone():
    for scheme, tunnels in (("http", True), ("https", True), ("socks5", False)):
        proxy = proxy_for(SERVICE, {"ALL_PROXY": f"{scheme}://gate"})
        assert proxy is not None
        assert proxy.tunnels is tunnels


def test_without_variables_it_is_what_the_process_was_given(monkeypatch: pytest.MonkeyPatch):
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert proxy_for(SERVICE) is None
    monkeypatch.setenv("HTTPS_PROXY", GATE)
    assert proxy_for(SERVICE) == Proxy("http", "gate", 3128, "HTTPS_PROXY")


@pytest.mark.parametrize(("bypassed", "address"), [(False, "http://gate:8080"), (True, None)])
def test_where_no_variable_names_one_it_is_what_the_system_is_set_to(
    monkeypatch: pytest.MonkeyPatch, bypassed: bool, address: str | None
):
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("urllib.request.getproxies", lambda: {"https": "http://gate:8080"})
    monkeypatch.setattr("urllib.request.proxy_bypass", lambda host: bypassed)
    proxy = proxy_for(BROKER)
    assert (proxy and proxy.address) == address
