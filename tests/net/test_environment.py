"""Where the service is."""

from __future__ import annotations

import ssl

import certifi
import pytest

from funcx_async import FuncXClient
from funcx_async._net.environment import (
    COMPUTE,
    auth_url,
    certificates,
    environment_of,
    is_globus,
    is_loopback,
    request_timeout,
    service_url,
)


@pytest.mark.parametrize(
    ("base_url", "environment", "variables", "url"),
    [
        pytest.param(None, None, {}, "https://compute.api.globus.org", id="the hosted service"),
        pytest.param("http://127.0.0.1:9/", "preview", {}, "http://127.0.0.1:9", id="an URL wins"),
        pytest.param(
            None, "preview", {}, "https://compute.api.preview.globus.org", id="by argument"
        ),
        pytest.param(
            None,
            None,
            {"GLOBUS_SDK_ENVIRONMENT": "test"},
            "https://compute.api.test.globuscs.info",
            id="by the official variable",
        ),
        pytest.param(
            None,
            None,
            {
                "FUNCX_ASYNC_SERVICE_URL": "http://127.0.0.1:8000",
                "GLOBUS_SDK_ENVIRONMENT": "test",
            },
            "http://127.0.0.1:8000",
            id="our own variable wins",
        ),
        pytest.param(" http://127.0.0.1:8000/ ", None, {}, "http://127.0.0.1:8000", id="blanks"),
        pytest.param(
            None,
            "local",
            {"FUNCX_ASYNC_SERVICE_URL": "http://127.0.0.1:8000"},
            "http://localhost:5000",
            id="an argument wins over variables",
        ),
    ],
)
def test_the_root_is_found(base_url, environment, variables, url):
    assert service_url(base_url, environment, variables) == url


@pytest.mark.parametrize(
    ("base_url", "environment", "says"),
    [
        pytest.param("compute.api.globus.org", None, "http or https URL", id="no scheme"),
        pytest.param("ftp://host", None, "http or https URL", id="another scheme"),
        pytest.param("https://", None, "http or https URL", id="no host"),
        pytest.param("https://api2.funcx.org/v2", None, "leave out '/v2'", id="a dialect's path"),
        pytest.param("http://user:hush@host", None, "auth=", id="a password"),
        pytest.param(None, "prod", "known are", id="unknown environment"),
    ],
)
def test_what_is_no_service_is_refused_with_words(base_url, environment, says):
    with pytest.raises(ValueError, match=says):
        service_url(base_url, environment, {})


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:80", True),
        ("http://127.3.2.1", True),
        ("http://[::1]:80", True),
        ("http://localhost:5000", True),
        ("https://compute.api.globus.org", False),
        ("https://10.0.0.1", False),
        ("https://localhost.example.org", False),
    ],
)
def test_loopback_is_this_machine_and_nothing_else(url, loopback):
    assert is_loopback(url) is loopback


@pytest.mark.parametrize(
    "url",
    [
        "https://compute.api.globus.org",
        "https://compute.api.preview.globus.org",
        "https://compute.api.test.globuscs.info",
        "https://api2.funcx.org",
        "https://API.dev.FuncX.org:443/",
    ],
)
def test_services_of_globus_may_see_its_tokens(url):
    assert is_globus(url)


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://compute.api.globus.org", id="not encrypted"),
        pytest.param("https://globus.org.evil.example", id="a prefix"),
        pytest.param("https://evilglobus.org", id="no dot"),
        pytest.param("https://compute.api.globus.org.", id="a dot behind"),
        pytest.param("https://globus.org", id="the domain itself"),
        pytest.param("https://.globus.org", id="an empty label"),
        pytest.param("https://a..globus.org", id="an empty label inside"),
        pytest.param("https://compute.api.globus.org@evil.example", id="a user"),
        pytest.param("https://compute.api.globus.org:x@evil.example", id="a password"),
        pytest.param("https://evil.example/.globus.org", id="a path"),
        pytest.param("https://evil.example#.globus.org", id="a fragment"),
        pytest.param("https://evil.example?.globus.org", id="a query"),
        pytest.param("https://evil.example\\.globus.org", id="a backslash"),
        pytest.param("https://evil.example%2f.globus.org", id="an escape"),
        pytest.param("https://compute.globus.org\n.evil.example", id="a line break"),
        pytest.param("https://evil.example\t.globus.org", id="a tab"),
        pytest.param(" https://compute.globus.org", id="a blank"),
        pytest.param("https://compute.globus.org:8443", id="another port"),
        pytest.param("https://compute.gl\u043ebus.org", id="a letter that looks alike"),
        pytest.param("https://compute.globu\u017f.org", id="a letter that folds alike"),
        pytest.param("https://collection.data.globus.org", id="storage of others"),
        pytest.param("https://collection.data.globus.org:443/", id="that, with its port"),
        pytest.param("http://127.0.0.1:5000", id="this machine"),
        pytest.param("http://localhost:5000", id="this machine by name"),
        pytest.param("https://localhost", id="this machine, encrypted"),
        pytest.param("https://example.org", id="another service"),
    ],
)
def test_nobody_else_may(url):
    assert not is_globus(url)


@pytest.mark.parametrize(
    ("environment", "variables", "url"),
    [
        ("production", {}, "https://auth.globus.org"),
        ("preview", {}, "https://auth.preview.globus.org"),
        ("test", {}, "https://auth.test.globuscs.info"),
        ("dev", {}, "https://auth.globus.org"),
        ("test", {"GLOBUS_SDK_SERVICE_URL_AUTH": "https://a.test/"}, "https://a.test"),
        ("test", {"GLOBUS_SDK_SERVICE_URL_AUTH": "http://[::1]:5"}, "http://[::1]:5"),
    ],
)
def test_each_environment_has_its_place_for_logins(environment, variables, url):
    assert auth_url(environment, variables) == url


@pytest.mark.parametrize("url", ["http://auth.globus.org", "auth.globus.org", "https://u:p@host"])
def test_a_secret_goes_nowhere_unencrypted(url):
    with pytest.raises(ValueError, match="GLOBUS_SDK_SERVICE_URL_AUTH"):
        auth_url("production", {"GLOBUS_SDK_SERVICE_URL_AUTH": url})


@pytest.mark.parametrize(
    ("url", "variables", "name"),
    [
        ("https://compute.api.globus.org", {"GLOBUS_SDK_ENVIRONMENT": "test"}, "production"),
        ("https://compute.api.test.globuscs.info", {}, "test"),
        ("https://other.globus.org", {}, "production"),
        ("https://other.globus.org", {"GLOBUS_SDK_ENVIRONMENT": "test"}, "test"),
    ],
)
def test_the_service_tells_its_environment(url, variables, name):
    assert environment_of(url, variables, COMPUTE) == name


@pytest.mark.parametrize(
    ("given", "variable", "seconds"),
    [
        pytest.param(None, None, 60.0, id="default"),
        pytest.param(None, "", 60.0, id="empty"),
        pytest.param(None, "2.5", 2.5, id="variable"),
        pytest.param(None, "-1", None, id="variable: any time"),
        pytest.param(7, "2.5", 7.0, id="given"),
        pytest.param(-1, None, None, id="given: any time"),
        pytest.param(float("inf"), None, None, id="infinite"),
    ],
)
def test_the_time_of_a_request_is_given_or_the_environment_s(given, variable, seconds):
    variables = {} if variable is None else {"GLOBUS_SDK_HTTP_TIMEOUT": variable}
    assert request_timeout(given, variables) == seconds


@pytest.mark.parametrize("given", [0, -2, "60", True, float("nan")])
def test_what_is_no_time_is_refused(given):
    with pytest.raises(ValueError, match="timeout must be"):
        request_timeout(given, {})


@pytest.mark.parametrize("variable", ["soon", "0", "-3", "nan"])
def test_a_variable_that_is_no_time_is_named(variable):
    with pytest.raises(ValueError, match="GLOBUS_SDK_HTTP_TIMEOUT"):
        request_timeout(None, {"GLOBUS_SDK_HTTP_TIMEOUT": variable})


@pytest.mark.parametrize("told", [None, "", "1", "yes", "TRUE", "on"])
def test_certificates_are_checked(told, caplog):
    assert certificates({} if told is None else {"GLOBUS_SDK_VERIFY_SSL": told}) is True
    assert not caplog.records


@pytest.mark.parametrize("told", ["0", "no", "False", "off"])
def test_certificates_are_never_left_unchecked_silently(told, caplog):
    assert certificates({"GLOBUS_SDK_VERIFY_SSL": told}) is False
    assert "not checked" in caplog.text


def test_certificates_may_be_checked_by_a_file():
    known = certificates({"GLOBUS_SDK_VERIFY_SSL": certifi.where()})
    assert isinstance(known, ssl.SSLContext)
    assert known.verify_mode is ssl.CERT_REQUIRED
    assert known.get_ca_certs()


def test_a_file_of_certificates_that_is_none_is_named(tmp_path):
    (tmp_path / "empty.pem").write_text("")
    for path in ("nowhere.pem", str(tmp_path / "empty.pem")):
        with pytest.raises(ValueError, match="GLOBUS_SDK_VERIFY_SSL"):
            certificates({"GLOBUS_SDK_VERIFY_SSL": path})


def test_a_client_takes_both_from_the_environment(monkeypatch, caplog):
    monkeypatch.setenv("GLOBUS_SDK_VERIFY_SSL", "no")
    FuncXClient("https://service.test", auth="t")
    assert "not checked" in caplog.text
    monkeypatch.setenv("GLOBUS_SDK_HTTP_TIMEOUT", "soon")
    with pytest.raises(ValueError, match="GLOBUS_SDK_HTTP_TIMEOUT"):
        FuncXClient("https://service.test", auth="t")
