"""Where the service is."""

from __future__ import annotations

import pytest

from funcx_async.environments import is_loopback, service_url


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
