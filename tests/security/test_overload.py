"""More than can be taken, and clients that dribble, against a real service; in full in `make nightly`."""

import time
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.overload import BATCH, Outcome, Phase, overload, quantile_ms
from benchmarks.slow_clients import SLOW, Sending, storm


@pytest.mark.slow
def test_ten_times_what_can_be_taken_loses_nothing(tmp_path: Path) -> None:
    """What is acknowledged is there after a restart; the rest hears 503, and memory has a bound."""
    done = overload(tmp_path, seconds=4.0, probe_s=2.0)
    assert done.missing == 0
    assert done.loaded.events["accepted"] + done.loaded.events["duplicate"] >= BATCH
    kinds = {one.partition(" ")[2] for one in done.loaded.statuses}
    assert {"202", "503"} <= kinds <= {"202", "503", ""}
    assert done.rss_mib() < 256


def test_everything_that_is_not_kept_is_named() -> None:
    """Losses, memory, slow answers and errors of ours are violations; nothing else is."""
    kept = Phase(accepted=[0.1], refused=[0.01], statuses=Counter({"low 202": 1, "low 503": 1}))
    assert Outcome(1.0, 0, kept, 0).violations() == []
    broken = Phase(
        accepted=[0.6],
        refused=[0.03],
        statuses=Counter({"low 500": 1}),
        rss_bytes_max=257 << 20,
    )
    assert len(Outcome(1.0, 0, broken, 3).violations()) == 5
    assert quantile_ms([0.004, 0.001, 0.003, 0.002], 0.5) == 2.0


@pytest.mark.slow
def test_shop_is_served_while_slow_clients_hold_every_place(tmp_path: Path) -> None:
    """With twelve hundred sockets for a thousand places each event of the shop is taken."""
    before_s = time.monotonic()
    quiet, slow = storm(tmp_path, sockets=1_200, seconds=4.0)
    assert (quiet.failed, slow.failed) == (Counter(), Counter())
    assert len(slow.latencies_s) == 200
    assert time.monotonic() - before_s < 60.0  # the shop was not held up until deadlines passed


def test_every_kind_of_slowness_is_tried() -> None:
    """Heads, bodies and chunks that dribble, silence, unread answers, idle connections."""
    assert set(SLOW) == {"silent", "head", "body", "chunks", "reader", "idle"}
    assert Sending().quantile_ms(0.99) == float("inf")
