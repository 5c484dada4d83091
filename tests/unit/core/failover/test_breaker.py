"""Is a channel slow right now? Verdicts on orders written down by hand."""

import numpy as np
import pytest

from monitor.core.failover.breaker import (
    ChannelSpeed,
    Lane,
    channel_speeds,
    slow_threshold_ms,
)
from monitor.core.signals.heard import Heard
from monitor.model.settings import Settings
from tests.unit.core.signals.rows import NOW_MS, Row, rows_of

SECOND = 1_000


def heard_of(horizon_ms: list[int]) -> Heard:
    """Sources that were believed up to these times, and speak if that is now."""
    believed = np.array(horizon_ms, np.int64)
    return Heard(believed, believed, believed, believed >= NOW_MS)


def speed_of(
    orders: list[Row], threshold_s: int = 60, horizon_ms: list[int] | None = None
) -> ChannelSpeed:
    heard = None if horizon_ms is None else heard_of(horizon_ms)
    lane = Lane("a", 0, threshold_s * SECOND)
    return channel_speeds(rows_of(orders), [lane], NOW_MS, heard)["a"]


def waiting(age_s: int, **fields: object) -> Row:
    return Row(NOW_MS - age_s * SECOND, **fields)  # type: ignore[arg-type]  # fields of a Row


def done(ago_s: int, took_s: int, ending: str = "delivered") -> Row:
    end_ms = NOW_MS - ago_s * SECOND
    return Row(end_ms - took_s * SECOND, ending=ending, end_ms=end_ms)


@pytest.mark.parametrize(
    ("p95_s", "threshold_s"), [(None, 60), (1, 30), (10, 30), (11, 33), (100, 300)]
)
def test_threshold_is_three_times_the_learned_p95(p95_s: int | None, threshold_s: int) -> None:
    """At least 30 s, and 60 s until something was learned."""
    p95_ms = None if p95_s is None else p95_s * SECOND
    assert slow_threshold_ms(Settings(), p95_ms) == threshold_s * SECOND


@pytest.mark.parametrize(
    ("orders", "is_tripped"),
    [
        ([waiting(70), waiting(80), waiting(90)], False),
        ([waiting(70), waiting(80), waiting(90), waiting(100)], True),
        ([waiting(60), waiting(80), waiting(90), waiting(100)], False),
        ([waiting(61), waiting(80), waiting(90), waiting(100)], True),
        ([done(1, 5), *(waiting(age) for age in (70, 80, 90, 100))], False),
        ([done(200, 5), *(waiting(age) for age in (70, 80, 90, 100))], True),
        ([done(age, 70) for age in (1, 2, 3, 4)], True),
        ([done(age, 70, "cancelled") for age in (1, 2, 3, 4)], True),
        ([done(age, 10, "refunded") for age in (1, 2, 3, 4)], False),
        ([waiting(age, is_held=True) for age in (70, 80, 90, 100)], False),
        ([waiting(age, is_unconfirmed=True) for age in (270, 280, 290, 300)], False),
        ([waiting(age, channel=1) for age in (70, 80, 90, 100)], False),
        ([], False),
    ],
)
def test_four_latest_verdicts_all_slow_trip_the_breaker(
    orders: list[Row], is_tripped: bool
) -> None:
    """Slow is known when the age passes the threshold; a fast delivery since then says otherwise."""
    assert speed_of(orders).is_tripped is is_tripped


def test_share_looks_at_the_latest_twenty() -> None:
    """Thirty orders long ago were slow, the latest twenty were half so."""
    old = [done(3_600 + n, 70) for n in range(30)]
    new = [done(n * 2, 70 if n % 2 else 5) for n in range(20)]
    speed = speed_of([*old, *new])
    assert speed.n == 20
    assert speed.slow == 10
    assert speed.slow_share == 0.5


def test_channel_without_verdicts_has_no_share() -> None:
    """Unknown is not fast."""
    speed = speed_of([waiting(10)])
    assert (speed.slow_share, speed.n, speed.open_orders, speed.oldest_age_ms) == (
        None, 0, 1, 10 * SECOND,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("orders", "silent", "is_tripped"),
    [
        ([done(age, 70) for age in (4, 3, 2, 1)], [], True),
        ([done(age, 70) for age in (4, 3, 2, 1)], [2], False),
        ([done(age, 70) for age in (5, 4, 3, 2, 1)], [2], True),
        (
            [done(9, 5), *(done(age, 70) for age in (4, 3, 2)), done(1, 5), done(1, 70)],
            [0, 4],
            False,
        ),
        ([done(9, 70), done(8, 70), done(7, 5), done(6, 70), done(5, 70)], [2], False),
    ],
)
def test_slow_orders_of_a_silent_source_trip_nothing_and_its_fast_ones_still_count(
    orders: list[Row], silent: list[int], is_tripped: bool
) -> None:
    """`silent` are the places of its orders; without their fast ones, silence could trip."""
    silent_rows = [
        order._replace(source=1) if place in silent else order for place, order in enumerate(orders)
    ]
    speed = speed_of(silent_rows, horizon_ms=[NOW_MS, 0])
    assert (speed.is_tripped and not speed.rests_on_silence) is is_tripped


@pytest.mark.parametrize(("heard_ago_s", "is_proven"), [(0, True), (9, True), (11, False)])
def test_orders_that_became_slow_after_their_source_was_last_believed_prove_nothing(
    heard_ago_s: int, is_proven: bool
) -> None:
    """Four orders, the last one slow since 10 s: a dead emitter looks exactly like a dead channel."""
    orders = [waiting(age) for age in (70, 80, 90, 100)]
    speed = speed_of(orders, horizon_ms=[NOW_MS - heard_ago_s * SECOND])
    assert speed.is_tripped
    assert speed.rests_on_silence is not is_proven


def test_orders_that_became_slow_last_count_though_thousands_were_judged_after_them() -> None:
    """Four break a promise of 30 s before all deliveries, and count as slow only 30 s later."""
    slow = [waiting(61, promise_ms=30 * SECOND, breach_ms=NOW_MS - 31 * SECOND) for _ in range(4)]
    quick = [Row(NOW_MS - 9_000 - n, ending="delivered", end_ms=NOW_MS - 5_000) for n in range(600)]
    assert speed_of([*slow, *quick]).is_tripped
