"""Forged, stale, replayed and cross-source requests against a real service; in full in `make nightly`."""

from benchmarks.forged import Request
from benchmarks.forgery import Answer, judged, storm

COUNT = 5_000


def test_nothing_forged_stale_replayed_or_of_another_source_is_accepted() -> None:
    """Nor answered with a 5xx; the state is what it was, and who has the right is still let in."""
    done = storm(COUNT, seed=7)
    assert done.sent == COUNT
    assert (done.accepted, done.server_errors, done.tracebacks) == ({}, {}, 0)
    assert (done.refused_good, done.is_state_unchanged) == (0, True)
    assert done.statuses["replay"][202] > COUNT / 11 / 2
    assert set(done.statuses["stale"]) == set(done.statuses["wrong secret"]) == {401}
    assert set(done.statuses["reused id"]) == {422}


def test_every_way_of_failing_is_counted() -> None:
    """Taken, answered with success though it is no replay, a 5xx, a changed state, a traceback."""
    bad = Request("stale", "/", {}, b"")
    replay = Request("replay", "/", {}, b"", is_replay=True)
    repeated = Answer(202, b'{"accepted":0}')
    answers = [
        (bad, Answer(401)),
        (replay, repeated),
        (replay, Answer(202, b'{"accepted":1}')),
        (bad, repeated),
        (bad, Answer(500)),
    ]
    done = judged(answers, 1, "Traceback (most recent call last)", 0.0, is_state_unchanged=False)
    assert done.accepted == {"replay": 1, "stale": 1}
    assert done.server_errors == {"stale": 1}
    assert done.violations == 2 + 1 + 1 + 1 + 1
