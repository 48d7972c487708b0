from __future__ import annotations

from funcx_async.local.workers import frames


def test_frames_come_out_as_they_went_in_however_they_are_cut():
    sent = [(frames.READY, b""), (frames.DONE, b"x" * 1000), (frames.RETURNED, b"y" * 36)]
    wire = b"".join(frames.frame(kind, body) for kind, body in sent)
    for size in (1, 3, 7, len(wire)):
        received, got = bytearray(), []
        for start in range(0, len(wire), size):
            received += wire[start : start + size]
            complete, sound = frames.cut(received)
            assert sound
            got += complete
        assert got == sent
        assert not received


def test_frames_before_nonsense_are_kept():
    received = bytearray(frames.frame(frames.DONE, b"fine") + b"\xff" * 100)
    assert frames.cut(received) == ([(frames.DONE, b"fine")], False)
    assert frames.cut(received) == ([], False)


def test_returned_ids_are_told_apart():
    ids = {f"{number:036}" for number in range(3)}
    assert frames.ids("".join(ids).encode()) == ids
    assert frames.ids(b"") == set()
