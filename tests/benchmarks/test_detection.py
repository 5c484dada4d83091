"""Outages are paged in time and healthy shops are left alone: the benchmark's functions, smaller.

The bounds are the targets of the product where the sample is large enough to tell, and a little
wider where it is not; the full sizes run in `make bench`.
"""

import numpy as np
import pytest

from benchmarks import bench_detection as bench
from benchmarks.bench_detection import Fault, healthy_pages, outage, quantile
from benchmarks.detection import Increments, monthly
from monitor.core.signals.arrays import IntArray
from monitor.core.signals.cusum import limit_of
from monitor.core.signals.hazard import Hazards
from monitor.core.signals.ledger import Waits, increments
from monitor.model.times import HOUR_MS, MINUTE_MS, SECOND_MS

RUNS = 200


@pytest.mark.parametrize(
    ("fault", "median_s", "p90_s"),
    [
        (Fault(100, 3 * MINUTE_MS, step_ms=SECOND_MS), 10, 15),
        (Fault(10, 5 * MINUTE_MS), 40, 70),
        (Fault(1, HOUR_MS), 180, 330),
    ],
    ids=["100 a minute", "10 a minute", "1 a minute"],
)
def test_total_outage_is_paged_in_time(fault: Fault, median_s: float, p90_s: float) -> None:
    """Orders that hang are seen before most of their promises break; no outage is missed."""
    seconds, _ = outage(fault, runs=RUNS)
    assert quantile(seconds, 0.5) <= median_s
    assert quantile(seconds, 0.9) <= p90_s
    assert np.isfinite(seconds).all()


@pytest.mark.parametrize("per_minute", [1, 10])
def test_rule_over_delivered_orders_stays_silent_in_the_same_outage(per_minute: float) -> None:
    """The mean of what was delivered knows nothing of what was not: the reason for this product."""
    by_mean, _ = bench.blind_share(per_minute, runs=RUNS)
    assert by_mean <= 0.05


def test_small_shop_is_paged_soon_after_the_first_order_hangs() -> None:
    """At 100 orders a day two orders must hang, and the second takes its time to come."""
    _, hanging = outage(Fault(0.07, 4 * HOUR_MS), runs=RUNS)
    assert quantile(hanging, 0.9) <= 40 * 60


def test_canary_order_a_minute_makes_a_small_shop_quick() -> None:
    """With a synthetic order every minute the page comes within five minutes."""
    seconds, _ = outage(Fault(0.07, HOUR_MS, canary_ms=60_000), runs=RUNS)
    assert quantile(seconds, 0.9) <= 300


def test_third_of_the_orders_stuck_is_paged() -> None:
    """30 % of orders stuck among healthy ones: 260 s in nine of ten cases, small sample 280."""
    seconds, _ = outage(Fault(10, 30 * MINUTE_MS, share=0.3), runs=RUNS)
    assert quantile(seconds, 0.9) <= 280


def test_dead_channel_is_paged_on_its_own_chart() -> None:
    """One of three channels, with the limit of the whole shop's volume."""
    fault = Fault(10 / 3, 15 * MINUTE_MS, orders_30d=monthly(10))
    seconds, _ = outage(fault, runs=RUNS)
    assert quantile(seconds, 0.9) <= 130


def test_healthy_shops_are_left_alone() -> None:
    """Six quarters at one a minute, three weeks at ten, a year at a hundred a day."""
    quarters = [healthy_pages(1, 90, seed=bench.SEED + quarter) for quarter in range(6)]
    assert sum(quarters) * 7 / (6 * 90) <= 0.3
    assert healthy_pages(10, 20) == 0
    assert healthy_pages(0.07, 365) <= 5  # 0.1 a week


def test_forty_scopes_together_are_left_alone() -> None:
    """The volume of the shop in the limit of each keeps their sum as quiet as one."""
    assert healthy_pages(0.25, 14, charts=40, orders_30d=monthly(10)) <= 1


def test_varying_delays_are_learned_by_the_limit() -> None:
    """Good and bad ten minutes that no baseline knows raise the limit, and it stays quiet."""
    count, limit = bench.varying_pages(1, 56, history_days=28)
    assert count <= 2  # 0.25 a week
    assert limit > limit_of(monthly(1), 0.0)


def _without_orders_that_hang(
    waits: Waits, edges: IntArray, hazards: Hazards
) -> tuple[IntArray, IntArray]:
    kept = waits.is_delivered
    seen = Waits(waits.paid_ms[kept], waits.leave_ms[kept], kept[kept], waits.channel[kept])
    return increments(seen, edges, hazards)


def _without_deliveries(
    waits: Waits, edges: IntArray, hazards: Hazards
) -> tuple[IntArray, IntArray]:
    expected, observed = increments(waits, edges, hazards)
    return expected, np.zeros_like(observed)


def _charged_twice(waits: Waits, edges: IntArray, hazards: Hazards) -> tuple[IntArray, IntArray]:
    expected, observed = increments(waits, edges, hazards)
    return expected * 2, observed


def test_mutant_that_ignores_waiting_orders_is_caught() -> None:
    """Counting only what was delivered would see no outage at all."""
    seconds, _ = outage(Fault(10, 5 * MINUTE_MS), runs=20, shops=1, made=_without_orders_that_hang)
    assert np.isinf(seconds).all()


@pytest.mark.parametrize("mutant", [_without_deliveries, _charged_twice])
def test_mutant_that_owes_too_much_is_caught(mutant: Increments) -> None:
    """Dropping the term of deliveries, or doubling what is owed, pages a healthy shop."""
    assert healthy_pages(1, 10, made=mutant) > 0


def test_same_seed_gives_the_same_figures() -> None:
    """A figure can be reproduced."""
    fault = Fault(10, 5 * MINUTE_MS)
    first, second = outage(fault, runs=20, shops=1)[0], outage(fault, runs=20, shops=1)[0]
    assert first.tolist() == second.tolist()
