from __future__ import annotations

import pytest

from funcx_async.local.agents.messages import read_report
from tests.local.agents.stand_in import heartbeat


def test_a_heartbeat_tells_period_session_and_state():
    state = {"heartbeat_period": 5, "posix_pid": 7, "start_iso": "noon", "total_workers": 2}
    report = read_report(heartbeat("e", state))
    assert (report.endpoint_id, report.period, report.session) == ("e", 5.0, "7 noon")
    assert (report.active, report.error) == (True, None)
    assert report.state["total_workers"] == 2


def test_one_process_is_told_from_the_next_of_the_same_number():
    sessions = {
        read_report(heartbeat("e", {"posix_pid": 7, "start_iso": start})).session
        for start in ("noon", "one")
    }
    assert len(sessions) == 2


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x02{}", id="another version"),
        pytest.param(b"\x01{", id="no JSON"),
        pytest.param(b'\x01{"message_type":"ep_status_report","data":{}}', id="no endpoint"),
        pytest.param(b'\x01{"message_type":"result","data":{"endpoint_id":"e"}}', id="a result"),
        pytest.param(heartbeat("e", {"heartbeat_period": "often"}), id="a period in words"),
        pytest.param(b"\x01\xff", id="no UTF-8"),
    ],
)
def test_what_is_no_heartbeat_is_refused(body):
    with pytest.raises(ValueError, match=r"\w"):
        read_report(body)
