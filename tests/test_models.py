"""Records that are read by attribute and by key, and times of the service."""

from __future__ import annotations

import pytest

from funcx_async import DeserializationError
from funcx_async._service.documents import EndpointMetadata
from funcx_async.models import EndpointStatus, Receipt, Result, TaskStatus, unix_time


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("12.5", 12.5),
        ("1970-01-01T00:00:03Z", 3.0),
        ("0", 0.0),
        *[(odd, None) for odd in ("1e300", "-1e300", "nan", "inf", "-5", "a while ago", "", None)],
    ],
)
def test_a_time_of_the_service_is_one_that_can_be(text: str | None, seconds: float | None):
    assert unix_time(text) == seconds


def test_a_record_is_true_and_equal_by_its_fields_whatever_its_keys_are():
    assert EndpointMetadata(endpoint_id="e")
    assert Receipt("g", {}) == Receipt("g", {})
    assert EndpointStatus("online") != {"status": "online", "details": {}}


def test_a_result_that_cannot_be_read_is_found_missing_by_no_lookup():
    def read(result: Result) -> None:
        raise DeserializationError("no", payload=result.data or "")

    status = TaskStatus("t", "success", Result("t", "00\n"), read=read)
    assert "result" in status
    with pytest.raises(DeserializationError):
        status.get("result")


def test_what_the_service_says_of_a_task_without_an_outcome_is_its_reason():
    gone = TaskStatus("t", "failed", None, "Unknown task id")
    assert dict(gone) == {"pending": False, "status": "failed", "reason": "Unknown task id"}
