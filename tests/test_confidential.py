"""The watch over secrets, tried with tests that leak on purpose: they fail, and say no more."""

from __future__ import annotations

import os
from base64 import b64encode
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.vault import Vault

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parent.parent
SECRET = "s3cret/of the+house&garden"

LEAKS = """
import logging
import secrets
from base64 import b64encode
from urllib.parse import quote

import pytest

from funcx_async import FuncXClient, RequestRefused

SECRET = "s3cret/of the+house&garden"
made = secrets.token_urlsafe(24)
client = FuncXClient("http://127.0.0.1:9", auth=SECRET)


class Leaky:
    __module__ = "funcx_async.leaky"

    def __repr__(self):
        return f"<Leaky {made}>"


def test_a_warning_tells_a_secret():
    logging.getLogger("aiormq").warning("the login is %s", SECRET)


def test_a_debug_line_that_nobody_reads_tells_one_in_a_url():
    logging.getLogger("aio_pika.connection").debug("amqp://me:%s@host/", quote(SECRET, safe=""))


def test_one_is_told_in_base64():
    word = b64encode(b"user:" + made.encode()).decode()
    logging.getLogger("httpcore.http11").debug("Authorization: Basic %s", word)


def test_one_is_told_in_the_bytes_of_a_login():
    logging.getLogger("asyncio").debug("sent %r", b"\\0user\\0" + made.encode())


def test_one_is_in_the_traceback_of_a_log_line():
    try:
        raise ValueError(made)
    except ValueError:
        logging.getLogger("uvicorn.error").exception("something failed")


def test_one_is_in_an_exception_that_is_caught():
    with pytest.raises(ValueError):
        raise ValueError(SECRET)


def test_one_is_in_the_cause_of_an_exception():
    with pytest.raises(ValueError):
        raise ValueError("for a reason") from RuntimeError(SECRET)


def test_one_is_in_an_error_of_the_package_that_nobody_looks_at():
    RequestRefused(f"refused: {made}")


def test_an_innocent_test_passes():
    logging.getLogger("httpx").debug("nothing to hide")
    with pytest.raises(ValueError, match="plain"):
        raise ValueError("plain")


def test_one_is_in_the_repr_of_what_still_lives():
    global leaky
    leaky = Leaky()
"""


def test_what_leaks_fails_and_the_report_does_not_leak(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    pytester.makeconftest("from tests.confidential import pytest_configure")
    leaks = "test_what_leaks.py"
    pytester.makepyfile(**{leaks.removesuffix(".py"): LEAKS})
    result = pytester.runpytest_subprocess("--tb=line", "-p", "no:cacheprovider", "-rA")
    result.assert_outcomes(failed=8, passed=2, errors=1)
    told = result.stdout.str()
    for place in ("aiormq", "aio_pika.connection", "httpcore.http11", "asyncio"):
        assert f"A secret was in a log record of {place}, made in" in told
    assert "A secret was in a ValueError in a log record of uvicorn.error, made in" in told
    for place in (
        "a ValueError",
        "a RuntimeError",
        "the text of a RequestRefused",
        "the repr of a Leaky",
    ):
        assert f"A secret was in {place}" in told
    assert told not in _vault(), "the report tells no secret"


def test_a_secret_is_found_in_whatever_form_and_wherever_it_begins():
    vault = _vault()
    for form in (SECRET, quote(SECRET, safe=""), repr(SECRET), repr(SECRET.encode())):
        for begin in range(20):
            assert "." * begin + form + "." * begin in vault
    for begin in range(20):
        assert b64encode(bytes(begin) + SECRET.encode() + b"more").decode() in vault


@pytest.mark.parametrize("text", ["", "of the house", SECRET[:-1], SECRET.upper(), "x" * 1_000])
def test_what_is_no_secret_is_not_found(text):
    assert text not in _vault()


def test_short_secrets_are_found_and_words_that_are_none_are_not_learned():
    vault = Vault()
    for word in ("a-token", "guest", "t", ""):
        vault.learn(word)
    assert "Bearer a-token" in vault
    assert "a guest has a t" not in vault


def _vault() -> Vault:
    vault = Vault()
    vault.learn(SECRET)
    return vault
