"""Charts: what counts for and against health, when news come late, and what an excursion leaves."""

from math import log
from random import Random

import msgspec
import numpy as np
import pytest

from monitor.core.signals.charts import Charts, ChartsState
from monitor.core.signals.cusum import Position, limit_of, moved, paths
from monitor.core.signals.hazard import UNIT, Hazard, Hazards
from monitor.core.signals.ledger import increments, waits_of
from monitor.model.ids import ALL_ORDERS
from monitor.model.times import DAY_MS, HOUR_MS
from tests.unit.core.signals.chart_rows import T0, Order, seen_at
from tests.unit.core.signals.strategies import int64
from tests.unit.core.signals.test_hazard import baseline_of, lognormal_delays

BASE = msgspec.structs.replace(
    baseline_of(lognormal_delays(2_000, 8_000, 0.8)), to_ms=T0, from_ms=T0 - 28 * DAY_MS, limit=8.0
)
BASELINES = {name: msgspec.structs.replace(BASE, channel=name) for name in ("a", "b", ALL_ORDERS)}
HAZARD = Hazard.of(BASE)
SECOND = 1_000


def walked(orders: list[Order], until: int, charts: Charts | None = None, step: int = 5) -> Charts:
    charts = charts or Charts()
    for second in range(0, until + 1, step):
        charts.advance(seen_at(orders, second * SECOND), BASELINES, T0 + second * SECOND)
    return charts


def owed(age_ms: int) -> float:
    return float(HAZARD.at(int64([age_ms]))[0]) / UNIT


def test_cusum_follows_its_recursion() -> None:
    """By hand, h = 2, ρ = 0.25: +0.75 a delivery owed, -1.386 a delivery seen, 0 … 3."""
    expected = int64([2, 2, 0, 4, 4, 0]).reshape(1, -1) * UNIT
    observed = int64([1, 0, 2, 1, 0, 0]).reshape(1, -1)
    _, end = paths(Position.zero(1), expected, observed, int64([2 * UNIT]))
    steps = [paths(Position.zero(1), expected[:, :n], observed[:, :n], int64([2 * UNIT]))[1]
             for n in range(1, 7)]  # fmt: skip
    wanted = [1.5 - 2 * log(2), 3 - 2 * log(2), 0, 3 - 2 * log(2), 3, 3]
    assert [int(one.cusum[0]) / UNIT for one in steps] == pytest.approx(wanted, abs=1e-5)
    # The gap: 0 when anything came, else what is owed since; capped at 1.5 h + ln 1.5.
    gaps = [0, 2, 0, 0, 3 + log(1.5), 3 + log(1.5)]
    assert [int(one.gap[0]) / UNIT for one in steps] == pytest.approx(gaps, abs=1e-5)
    assert end.cusum.tolist() == steps[-1].cusum.tolist()


def test_path_at_once_equals_the_path_by_steps() -> None:
    """Integers: bit-identical, above the cap and from a start other than 0 too."""
    rng = np.random.default_rng(3)
    expected = rng.integers(0, 3 * UNIT, (3, 60))
    observed = rng.poisson(0.6, (3, 60)).astype(np.int64)
    limits, start = int64([2 * UNIT, 5 * UNIT, 50 * UNIT]), Position(int64([9 * UNIT] * 3), int64([0] * 3))  # fmt: skip
    whole, _ = paths(start, expected, observed, limits)
    at, single = start, []
    for step in range(60):
        values, at = paths(at, expected[:, [step]], observed[:, [step]], limits)
        single.append(values[:, 0].tolist())
    assert whole.T.tolist() == single


def test_step_of_one_chart_equals_the_path_of_many() -> None:
    """Without arrays, from anywhere, with news that take back: the same integers."""
    dice = np.random.default_rng(5)
    for _ in range(300):
        cusum, gap, limit = (int(one) for one in dice.integers(0, 9 * UNIT, 3))
        expected, observed = int(dice.integers(-UNIT, 6 * UNIT)), int(dice.integers(-2, 4))
        start = Position(int64([cusum]), int64([gap]))
        values, end = paths(start, np.array([[expected]]), np.array([[observed]]), int64([limit]))
        stepped = moved(cusum, gap, expected, observed, limit)
        assert stepped == (values[0, 0], end.cusum[0], end.gap[0])


def test_limit_is_the_log_of_a_month_of_orders_or_above_what_health_has_shown() -> None:
    """Of 43,200 orders it is 10.67; fewer than 1,000 orders count as 1,000; 1.2 times the peak."""
    assert limit_of(43_200, 0.0) == pytest.approx(10.6736, abs=1e-4)
    assert limit_of(3, 0.0) == pytest.approx(6.9078, abs=1e-4)
    assert limit_of(43_200, 10.0) == pytest.approx(12.0)


def test_steps_of_a_live_chart_equal_the_increments_of_the_past() -> None:
    """The ledger and the function that recovery uses give the same integers, step by step."""
    rng = np.random.default_rng(7)
    orders = [
        Order(int(paid), None if rng.random() < 0.2 else int(paid + rng.integers(0, 40_000)),
              channel=int(rng.integers(0, 2)), kind=str(rng.choice(["delivered", "refunded"])),
              taken=int(paid + 30_000) if rng.random() < 0.1 else None)
        for paid in rng.integers(0, 100_000, 80)
    ]  # fmt: skip
    # Known at once, also that it was taken over: then both see the same.
    orders = [order for order in orders if order.taken is None or order.end is None]
    edges = int64(list(range(0, 120_001, 5_000))) + T0
    rows = seen_at(orders, 120_000)
    wanted = increments(waits_of(rows), edges, Hazards.of([HAZARD, HAZARD]))
    charts = Charts()
    charts.advance(seen_at(orders, 0), BASELINES, T0)
    for step, edge in enumerate(edges[1:].tolist()):
        charts.advance(seen_at(orders, edge - T0), BASELINES, edge)
        readings = charts.readings()
        for code, name in enumerate(("a", "b")):
            if name in readings:
                total = wanted[0][code, : step + 1].sum() / UNIT, wanted[1][code, : step + 1].sum()
                assert (readings[name].expected_total, readings[name].observed_total) == total


def test_late_news_of_a_delivery_take_back_what_was_charged_since() -> None:
    """Delivered after 10 s, known after 40 s: in the end H(10 s) is owed and one was seen."""
    late = walked([Order(1, 10_001, known=40_000)], 60)
    prompt = walked([Order(1, 10_001)], 60)
    assert late._charts["a"].expected_total == prompt._charts["a"].expected_total
    assert late._charts["a"].expected_total / UNIT == pytest.approx(owed(10_000))
    assert late._charts["a"].observed_total == 1
    # The counter that is exported never falls.
    assert late.readings()["a"].expected_total == pytest.approx(owed(34_999), rel=0.01)


def test_order_first_seen_delivered_counts_whole() -> None:
    """A shop that is polled once a minute tells of orders when they are done."""
    polled = [Order(1 + i, 9_001 + i, known=60_000) for i in range(5)]
    rows = seen_at(polled, 60_000)
    charts = Charts()
    charts.advance(seen_at([], 0), BASELINES, T0)
    charts.advance(rows, BASELINES, T0 + 60_000)
    reading = charts.readings()["a"]
    assert reading.observed_total == 5
    assert reading.expected_total == pytest.approx(5 * owed(9_000))


@pytest.mark.parametrize("latency_s", [0, 7, 60])
def test_owed_minus_seen_is_a_martingale_whenever_news_come(latency_s: int) -> None:
    """1,500 healthy orders: |O - E| within four standard deviations, √1500 each."""
    rng = np.random.default_rng(11)
    delays = rng.permutation(lognormal_delays(1_500, 8_000, 0.8))
    paid = np.sort(rng.integers(0, 400_000, 1_500))
    orders = [
        Order(int(at), int(at + delay), known=int(at + delay) + latency_s * SECOND)
        for at, delay in zip(paid, delays, strict=True)
    ]
    chart = walked(orders, 700, step=20)._charts["a"]
    assert chart.observed_total == 1_500
    assert abs(chart.observed_total - chart.expected_total / UNIT) < 4 * 1_500**0.5


def test_outage_is_an_alarm_that_says_owed_and_seen_and_clears_after_it() -> None:
    """Ten orders hang: an alarm before the promise breaks; delivered, and it clears in a minute."""
    healthy = [Order(i * 2_000, i * 2_000 + 8_000) for i in range(30)]
    hanging = [Order(60_000 + i * 3_000, 300_000 + i) for i in range(20)]
    after = [Order(300_000 + i * 2_000, 308_000 + i * 2_000) for i in range(30)]
    charts = walked(healthy + hanging + after, 120)
    reading = charts.readings()["a"]
    assert reading.is_alarm
    assert reading.ratio > 1
    assert reading.observed <= 5
    assert reading.expected > 10
    assert reading.speed_ratio is not None
    assert charts.readings()[ALL_ORDERS].is_alarm
    assert "b" not in charts.readings()  # no orders, no chart
    later = walked(healthy + hanging + after, 360).readings()["a"]
    assert not later.is_alarm
    assert later.ratio < 0.5


def test_held_and_unconfirmed_orders_and_long_promises_say_nothing() -> None:
    """Their source is silent, or they are made to order: nothing is owed and nothing seen."""
    orders = [Order(0, is_held=True), Order(0, is_unconfirmed=True), Order(0, promise=900_001),
              Order(0, 5_000, promise=900_001)]  # fmt: skip
    assert walked(orders, 300).readings() == {}


def test_refund_ends_what_is_owed_and_is_no_delivery() -> None:
    """Refunded after 20 s: charged up to then; an order taken over at 20 s likewise."""
    for order in (Order(0, 20_000, kind="refunded"), Order(0, 90_000, taken=20_000)):
        chart = walked([order], 120)._charts["a"]
        assert chart.expected_total / UNIT == pytest.approx(owed(20_000))
        assert chart.observed_total == 0


def test_order_moved_to_another_channel_leaves_its_charge_behind() -> None:
    """The dead channel keeps the evidence, the rescuer owes only for the time it had the order."""
    before, after = [Order(0, None, 0)] * 4, [Order(0, None, 1)] * 4
    charts = Charts()
    for at, orders in ((0, before), (12_000, before), (15_000, after), (20_000, after)):
        charts.advance(seen_at(orders, at), BASELINES, T0 + at)
    a, b, both = (charts._charts[name].expected_total / UNIT for name in ("a", "b", ALL_ORDERS))
    assert a == pytest.approx(4 * owed(12_000))
    assert b == pytest.approx(4 * (owed(20_000) - owed(12_000)))
    assert both == pytest.approx(4 * owed(20_000))


def test_incident_leaves_its_hours_and_noise_its_peak() -> None:
    """Promises broke: the hours are not learned from. None broke: the peak will raise the limit."""
    hanging = [Order(i * 1_000, 400_000) for i in range(20)]
    recovered = [Order(400_000 + i * 1_000, 402_000 + i * 1_000) for i in range(40)]
    incident = walked(hanging + recovered, 460)
    assert incident.excluded_hours("a", T0 + 460_000) == (T0,)
    assert incident.peak("a", T0 + HOUR_MS) == 0.0
    short = [Order(i * 1_000, 60_000) for i in range(20)]
    recovered = [Order(60_000 + i * 1_000, 62_000 + i * 1_000) for i in range(40)]
    noise = walked(short + recovered, 120)
    assert noise.excluded_hours("a", T0 + 120_000) == ()
    assert noise.peak("a", T0 + HOUR_MS) == pytest.approx(12.0)  # 1.5 times the limit of 8
    assert noise.peak("a", T0 + 29 * DAY_MS) == 0.0


def test_running_alarm_excludes_its_hours_already() -> None:
    """Learning may come before the incident is over; while no promise broke it may be a new normal."""
    assert walked([Order(i * 1_000) for i in range(20)], 100).excluded_hours("a", T0 + 1) == ()
    charts = walked([Order(i * 1_000) for i in range(20)], 200)
    assert charts.excluded_hours("a", T0 + HOUR_MS + 1) == (T0, T0 + HOUR_MS)


def test_unlearned_chart_needs_a_clear_effect() -> None:
    """Until a week is learned a mild slow-down does not page: more than 0.35 of owed was seen."""
    young = {name: msgspec.structs.replace(one, from_ms=T0 - DAY_MS) for name, one in BASELINES.items()}  # fmt: skip
    # 40 % hang, the rest are prompt.
    mild = [Order(i * 1_000, None if i % 5 < 2 else i * 1_000 + 6_000) for i in range(400)]
    pages = {}
    for label, baselines in (("young", young), ("learned", BASELINES)):
        charts = Charts()
        pages[label] = 0.0
        for at in range(0, 60_001, 5_000):
            charts.advance(seen_at(mild, at), baselines, T0 + at)
            reading = charts.readings().get("a")
            if reading is not None and reading.observed >= 0.35 * reading.expected:
                pages[label] = max(pages[label], reading.ratio)
    assert pages["young"] <= 1.0 < pages["learned"]


def test_what_was_not_known_yet_does_not_widen_the_limit() -> None:
    """An hour without a baseline, then four with one that fits: the scatter is that of chance."""
    young = {name: msgspec.structs.replace(one, from_ms=T0 - DAY_MS) for name, one in BASELINES.items()}  # fmt: skip
    rng = Random(1)
    orders = [
        Order(paid, paid + round(1_000 * rng.lognormvariate(log(8.0), 0.8)))
        for paid in range(0, 5 * HOUR_MS, 30_000)
    ]
    charts = Charts()
    for at in range(0, 5 * HOUR_MS, 300_000):
        charts.advance(seen_at(orders, at), {} if at < HOUR_MS else young, T0 + at)
    assert 8.0 <= charts.readings()["a"].limit < 1.4 * 8.0


def test_restored_and_rebuilt_charts_stand_where_the_living_stand() -> None:
    """Ticks are not logged: the span since the snapshot is walked again from the rows."""
    orders = [Order(i * 2_500, i * 2_500 + 7_000 if i % 3 else None, i % 2) for i in range(80)]
    living = Charts()
    state: ChartsState | None = None
    for at in range(0, 200_001, 5_000):
        living.advance(seen_at(orders, at), BASELINES, T0 + at)
        if at == 100_000:
            state = msgspec.json.decode(msgspec.json.encode(living.snapshot()), type=ChartsState)
    assert state is not None
    assert state.ledger is not None
    again = Charts(state)
    again.rebuild(seen_at(orders, 200_000), BASELINES, state.ledger.at_ms, T0 + 200_000)
    assert msgspec.json.encode(again.snapshot()) == msgspec.json.encode(living.snapshot())
    for charts in (again, living):
        charts.advance(seen_at(orders, 205_000), BASELINES, T0 + 205_000)
    assert again.readings() == living.readings()


def test_time_that_stands_still_moves_nothing() -> None:
    """A second call for the same or an earlier instant is no step; no orders are no charts."""
    charts = walked([Order(0)], 50)
    before = charts.snapshot()
    charts.advance(seen_at([Order(0)], 50_000), BASELINES, T0 + 50_000)
    charts.advance(seen_at([Order(0)], 20_000), BASELINES, T0 + 20_000)
    charts.rebuild(seen_at([Order(0)], 50_000), BASELINES, T0 + 50_000, T0 + 50_000)
    assert charts.snapshot() == before
    assert walked([], 20).readings() == {}


def test_clocks_that_disagree_give_defined_values() -> None:
    """Delivered before paid, paid in the future, delays of a year: numbers, never below 0."""
    odd = [Order(10_000, 2_000), Order(0, 365 * DAY_MS), Order(50_000, 51_000)]
    reading = walked(odd, 80).readings()["a"]
    assert reading.observed_total == 2
    assert 0 <= reading.expected_total < 10
