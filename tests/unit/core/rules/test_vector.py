"""Conditions over all instances at once say what the slow way says about each of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.rules.findings import Finding
from monitor.core.rules.panel import Panel
from monitor.core.rules.parse import parse, signals_in
from monitor.core.rules.readings import STATES
from monitor.core.rules.vector import evaluate
from monitor.core.signals.observation import Observation, merge
from monitor.model.rules import Node, Signal
from tests.unit.core.rules.oracle import Oracle
from tests.unit.core.rules.worlds import (
    NOW_MS,
    Order,
    Side,
    conditions,
    half_hours,
    label_lists,
    order_signals,
    orders,
    rows_of,
    sides,
    worlds,
)

ACTIVE = {"channel": "gone", "source": "mall", "provider": "alipay", "sku": "key"}


def findings_of(
    node: Node, rows: Observation, side: Side, by: tuple[str, ...]
) -> dict[tuple[str, ...], Finding]:
    panel = Panel(rows, side, NOW_MS)
    active = [tuple(ACTIVE[label] for label in by)] if by else []
    domain = panel.domain(by, active, signals_in(node))
    found = evaluate(node, panel, domain, confidence=0.99, min_count=2)
    assert len(found.verdicts) == len(domain)
    return {instance: found.at(index) for index, instance in enumerate(domain.instances)}


def is_close(left: float | None, right: float | None) -> bool:
    if left is None or right is None:
        return left is right
    return math.isfinite(left) and math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-12)


def assert_same(found: Finding, expected: Finding, what: object) -> None:
    assert (found.outcome, found.reason) == (expected.outcome, expected.reason), what
    if expected.outcome == "no_data":
        return
    mine, theirs = found.evidence, expected.evidence
    assert (mine.signal, mine.n) == (theirs.signal, theirs.n), what
    for one, other in ((mine.value, theirs.value), (mine.limit, theirs.limit), (mine.k, theirs.k)):
        assert is_close(one, other), what
    assert is_close(mine.p, theirs.p), what


@settings(deadline=None, max_examples=300)
@given(conditions, worlds, sides, label_lists)
def test_every_instance_gets_the_finding_of_the_slow_way(
    node: Node, written: Sequence[Order], side: Side, by: tuple[str, ...]
) -> None:
    """Any condition, any rows, any split: same outcome, reason and evidence."""
    rows = rows_of(written)
    for instance, found in findings_of(node, rows, side, by).items():
        labels = dict(zip(by, instance, strict=True))
        expected = Oracle(rows, side, NOW_MS, labels).judge(node)
        assert_same(found, expected, (instance, node))


@settings(deadline=None, max_examples=250)
@given(order_signals, half_hours, label_lists)
def test_every_signal_reads_what_the_slow_way_reads(
    signal: Signal, written: Sequence[Order], by: tuple[str, ...]
) -> None:
    """Ordinary half hours, where means, percentiles and streaks have something to say."""
    rows = rows_of(written)
    panel = Panel(rows, Side([0.5]), NOW_MS)
    domain = panel.domain(by)
    found = panel.read(signal, domain, min_count=2, limit=8.0)
    for index in range(len(domain)):
        oracle = Oracle(rows, Side([0.5]), NOW_MS, domain.labels(index))
        expected = oracle.read(signal, 8.0)
        state = "ok" if found.states is None else STATES[found.states[index]]
        assert state == expected.state, (signal, index)
        if state == "no_data":
            continue
        value = found.values[index]
        assert is_close(value if math.isfinite(value) else None, expected.value), (signal, index)
        for counts, count in ((found.k, expected.k), (found.n, expected.n)):
            assert (None if counts is None else counts[index]) == count, (signal, index)
        if signal.name == "mean_delay":
            assert panel.trimmed_s(signal, domain, index) == expected.trimmed
        if signal.name == "health_index" and state == "ok":
            assert panel.trimmed_health(signal, domain)[index] == expected.trimmed


# --- by hand ------------------------------------------------------------------------------------


def late_of(k: int, n: int) -> list[Order]:
    """Orders delivered a minute ago, k of them late."""
    return [order(took_ms=200_000 if index < k else 6_000) for index in range(n)]


def order(took_ms: int, ago_ms: int = 60_000, **more: int) -> Order:
    end_ms = NOW_MS - ago_ms
    paid_ms = end_ms - took_ms
    plain = {
        "paid_ms": paid_ms, "deadline_ms": paid_ms + 180_000, "end_ms": end_ms, "kind": 1,
        "breach_ms": paid_ms + 180_000 if took_ms > 180_000 else 0, "taken_ms": 0, "channel": 0,
        "source": 0, "provider": 0, "sku": 0, "is_held": 0, "is_unconfirmed": 0,
    }  # fmt: skip
    return {**plain, **more}


def stuck(age_ms: int) -> Order:
    paid_ms = NOW_MS - age_ms
    breach_ms = paid_ms + 180_000 if age_ms > 180_000 else 0
    return {**order(0), "paid_ms": paid_ms, "deadline_ms": paid_ms + 180_000, "end_ms": 0,
            "kind": 0, "breach_ms": breach_ms}  # fmt: skip


def judge(text: str, written: Sequence[Order], numbers: Sequence[float] = (0.5,)) -> Finding:
    return findings_of(parse(text).node, rows_of(written), Side(numbers), ())[()]


@pytest.mark.parametrize(
    ("k", "n", "outcome", "reason"),
    [
        (1, 10, "false", "insufficient_evidence"),  # 1 - 0.98^10 = 0.18
        (2, 10, "false", "insufficient_evidence"),  # 0.0162
        (3, 10, "true", "evidence"),  # 0.00086
        (2, 100, "false", "below"),  # exactly 2 %
        (3, 100, "false", "insufficient_evidence"),
        (8, 100, "true", "evidence"),  # 0.00093 (scipy binom.sf)
        (1, 1, "insufficient", "insufficient_evidence"),  # below min_count
        (2, 2, "true", "evidence"),  # 0.02^2
        (0, 0, "no_data", "no_data"),
    ],
)
def test_ratio_needs_evidence(k: int, n: int, outcome: str, reason: str) -> None:
    """Contract §4: of a limit of 2 %, one late of ten stays quiet and three of ten fire."""
    for text in ("delayed_ratio > 2%", "2 * 1% < delayed_ratio", "not delayed_ratio <= 2%"):
        found = judge(text, late_of(k, n))
        assert (found.outcome, found.reason) == (outcome, reason), text


def test_evidence_is_reported() -> None:
    """The finding carries what a message needs: value, limit, counts and the tail probability."""
    evidence = judge("delayed_ratio > 2%", late_of(3, 10)).evidence
    assert (evidence.value, evidence.limit, evidence.k, evidence.n) == (0.3, 0.02, 3, 10)
    assert evidence.signal == "delayed_ratio"
    assert evidence.p == pytest.approx(0.00086390628, rel=1e-8)  # scipy binom.sf


def test_falling_below_needs_no_evidence() -> None:
    """A resolving condition compares plain values."""
    assert judge("delayed_ratio < 1%", late_of(0, 3)).outcome == "true"
    assert judge("delayed_ratio < 1%", late_of(1, 3)).outcome == "false"


def test_one_stuck_order_is_no_incident_and_a_slow_down_is() -> None:
    """Nine orders at 6 s and one stuck for an hour: mean 365 s, yet not true; ten at 250 s are."""
    lone = [*(order(6_000) for _ in range(9)), stuck(3_600_000)]
    found = judge("mean_delay[10m:10:6h] > 3m", lone)
    assert found.evidence.value == pytest.approx((9 * 6 + 3_600) / 10)
    assert (found.outcome, found.reason) == ("false", "trimmed_mean")
    slow = [order(250_000) for _ in range(10)]
    assert judge("mean_delay[10m:10:6h] > 3m", slow).outcome == "true"


def test_one_stuck_order_is_no_bad_health_and_several_are() -> None:
    """Two of six stuck pull the index under 70, one of five does not; four of ten always do."""
    lone = [*(order(6_000) for _ in range(4)), *(stuck(3_600_000) for _ in range(2))]
    found = judge("health_index < 70", lone)  # 4 of 6 are 66.7, 4 of 5 are 80
    assert found.evidence.value == pytest.approx(400 / 6)
    assert (found.outcome, found.reason) == ("false", "trimmed_health")
    for text in ("health_index < 70", "70 > health_index", "not health_index >= 70"):
        assert judge(text, lone).reason == "trimmed_health"
    bad = [*(order(6_000) for _ in range(6)), *(stuck(3_600_000) for _ in range(4))]
    assert judge("health_index < 70", bad).outcome == "true"  # 6 of 9 are 66.7
    assert judge("health_index < 66", bad).reason == "trimmed_health"
    assert judge("health_index > 85", lone[:5]).outcome == "false"  # recovery is a plain value


def test_too_few_orders_say_nothing_about_health() -> None:
    """Below five orders that weigh the index moves nothing, not even towards recovery."""
    few = [order(6_000), order(6_000), order(6_000), stuck(3_600_000)]
    for text in ("health_index < 99", "health_index > 1"):
        assert judge(text, few).outcome == "insufficient"
    assert judge("health_index > 50", [*few, order(6_000)]).outcome == "true"
    assert judge("health_index < 70", [stuck(59_000)]).outcome == "no_data"  # undecided


@pytest.mark.parametrize(("n", "left_out"), [(20, 1), (21, 2), (40, 2), (41, 3)])
def test_health_leaves_out_one_of_twenty_orders(n: int, left_out: int) -> None:
    """As many stuck as are left out lose nothing, one more costs its share of the rest."""
    window = [*(order(6_000) for _ in range(n - left_out)), *(stuck(9_000_000),) * left_out]
    assert judge("health_index < 99.9", window).reason == "trimmed_health"
    more = [*window[1:], stuck(9_000_000)]
    share = 100 * (n - left_out - 1) / (n - left_out)
    assert judge(f"health_index < {share + 1e-6:.9f}", more).outcome == "true"
    assert judge(f"health_index < {share - 1e-6:.9f}", more).reason == "trimmed_health"


def test_tables_prove_what_they_say_is_bad() -> None:
    """`<` of paid_ratio needs its own evidence, `>` does not; a chart's `>` does."""
    names = 'paid_ratio{provider="alipay"}'  # the first entry, which is proven
    assert judge(f"{names} < 60%", []).outcome == "true"
    of_b = parse('cusum_ratio{channel="b"} > 0.1').node  # the second, which is not
    found = findings_of(of_b, rows_of([]), Side([0.5]), ())[()]
    assert (found.outcome, found.reason) == ("false", "insufficient_evidence")
    assert found.evidence.p == 0.2
    assert judge('cusum_ratio{channel="b"} < 0.9', []).outcome == "true"
    assert judge('cusum_ratio{channel="a"} > 0.1', []).outcome == "true"


def test_several_entries_of_a_table_count_as_their_worst() -> None:
    """The lowest arrivals of all sources, the highest chart of all channels."""
    low = judge('arrival_ratio{source=~"*"} < 0.6', [], (0.5, 2.5))
    assert (low.outcome, low.evidence.value) == ("true", 0.5)
    high = judge('speed_ratio{channel=~"*"} > 0.6', [], (0.5, 2.5))
    assert (high.outcome, high.evidence.value) == ("false", 0.5)
    chart = judge('cusum_ratio{channel=~"*"} > 0.6', [], (0.5, 2.5))
    assert (chart.reason, chart.evidence.value) == ("insufficient_evidence", 2.5)


def test_burn_rate_of_too_few_orders_is_insufficient() -> None:
    """Ten orders are read by a rule that asks for ten, not by one that asks for eleven."""
    node = parse('burn_rate(delivery, 1h){channel="a"} > 1').node
    panel = Panel(rows_of([]), Side([0.5]), NOW_MS)
    domain = panel.domain(())
    for min_count, outcome in ((10, "true"), (11, "insufficient")):
        found = evaluate(node, panel, domain, confidence=0.99, min_count=min_count).at(0)
        assert (found.outcome, found.evidence.n) == (outcome, 10)


def test_burn_rate_needs_the_evidence_of_its_orders() -> None:
    """Three of ten late burn a budget of 2 % fifteenfold: beyond chance at 14.4 %, not at 28.8 %."""
    loud = judge('burn_rate(delivery, 1h){channel="a"} > 5', [])  # P(X>=3 | 10, 0.10) = 0.070
    assert (loud.outcome, loud.reason) == ("false", "insufficient_evidence")
    assert loud.evidence.p == pytest.approx(0.0701908264, rel=1e-8)  # scipy binom.sf
    proven = judge('burn_rate(delivery, 1h){channel="a"} > 1', [])  # at 0.02: 0.00086
    assert (proven.outcome, proven.reason) == ("true", "evidence")
    assert judge('burn_rate(delivery, 1h){channel="a"} > 14.4', []).outcome == "false"


# --- limits of their own ------------------------------------------------------------------------

A, B = 1, 0  # places of the channels in `worlds.NAMES`; the side tables' first number is that of a


def by_channel(text: str, written: Sequence[Order], numbers: Sequence[float]) -> dict[str, Finding]:
    found = findings_of(parse(text).node, rows_of(written), Side(numbers), ("channel",))
    return {name: found[name,] for name in ("a", "b")}


def slow_of(k: int, n: int, channel: int, slow_ms: int = 250_000) -> list[Order]:
    return [order(slow_ms if one < k else 6_000, channel=channel) for one in range(n)]


@pytest.mark.parametrize(
    "text", ["p95_delay > 2 * baseline(p95_delay)", "2 * baseline(p95_delay) < p95_delay",
             "not p95_delay <= 2 * baseline(p95_delay)"],
)  # fmt: skip
def test_percentile_is_proven_against_the_limit_of_its_own_channel(text: str) -> None:
    """5 of 20 beyond 200 s are proof of the 95th (0.0026), 4 are chance (0.016); beyond 400 s none."""
    found = by_channel(text, [*slow_of(5, 20, A), *slow_of(5, 20, B)], [100.0, 200.0])
    assert (found["a"].outcome, found["a"].reason) == ("true", "evidence")
    evidence = found["a"].evidence
    assert (evidence.signal, evidence.limit, evidence.k, evidence.n) == ("p95_delay", 200.0, 5, 20)
    assert evidence.p == pytest.approx(0.00257394, rel=1e-5)  # scipy binom.sf(4, 20, 0.05)
    assert (found["b"].outcome, found["b"].reason, found["b"].evidence.limit) == (
        "false", "below", 400.0,
    )  # fmt: skip
    few = by_channel(text, [*slow_of(4, 20, A), *slow_of(4, 20, B)], [100.0, 100.0])
    for one in few.values():
        assert (one.outcome, one.reason) == ("false", "insufficient_evidence")


def test_mean_is_trimmed_against_the_limit_of_its_own_channel() -> None:
    """Nine at 6 s and one stuck: 365 s are over 2 x 100 s, 6 s without the worst are not."""
    text = "mean_delay[6h] > 2 * baseline(mean_delay)"
    lone = [*slow_of(0, 9, A), {**stuck(3_600_000), "channel": A}, *slow_of(10, 10, B)]
    found = by_channel(text, lone, [100.0, 100.0])
    assert (found["a"].reason, found["a"].evidence.limit) == ("trimmed_mean", 200.0)
    assert (found["b"].outcome, found["b"].evidence.value) == ("true", 250.0)
    assert by_channel(text, lone, [100.0, 130.0])["b"].outcome == "false"


def test_ratio_is_proven_against_a_ratio() -> None:
    """3 of 10 late now against 3 of 23 in all: 23 % is not beyond chance at 13 % (0.13), 8 of 10 is."""
    text = "delayed_ratio[2m] > delayed_ratio[6h]"
    calm = [order(6_000, ago_ms=3_600_000) for _ in range(13)]
    found = judge(text, [*calm, *late_of(3, 10)])
    assert (found.outcome, found.reason) == ("false", "insufficient_evidence")
    assert found.evidence.p == pytest.approx(0.1317637197)  # scipy binom.sf(2, 10, 3/23)
    assert judge(text, [*calm, *late_of(8, 10)]).outcome == "true"
    assert judge("delayed_ratio[6h] < delayed_ratio[2m]", [*calm, *late_of(3, 10)]) == found


def test_limit_without_data_is_no_data() -> None:
    """Nothing learned, no verdict: whatever the delays are."""
    found = by_channel("p95_delay > 2 * baseline(p95_delay)", slow_of(20, 20, A), [math.nan])
    assert (found["a"].outcome, found["a"].reason) == ("no_data", "no_data")
    assert found["a"].evidence.limit is None


HUGE = "p50_delay" + 30 * " * 100000000000"


def test_nothing_that_is_not_a_number_leaves() -> None:
    """Overflow, 0/0 and percentiles that are not reached: no data or a plain verdict, never NaN."""
    waiting = [stuck(500_000) for _ in range(8)]
    found = judge("p50_delay > 1m", waiting)
    assert (found.outcome, found.evidence.value) == ("true", None)
    assert judge("orders / throughput > 1", waiting).outcome == "no_data"
    for text in ("p99_delay - p50_delay > 1m", "p50_delay < 1m", HUGE + " > 1m"):
        found = judge(text, waiting)
        assert found.outcome in ("false", "no_data", "true")
        for number in (found.evidence.value, found.evidence.limit, found.evidence.p):
            assert number is None or math.isfinite(number)


# --- shards ---------------------------------------------------------------------------------------

SHARDED = tuple(
    parse(text).node
    for text in (
        "delayed_ratio[10m:3:6h] > 2%", "bad_ratio[last 5] > 10%", "failed_ratio > 1%",
        "mean_delay[last 4] > 20s", "p50_delay[1h] > 10s", "p90_delay - p50_delay > 1s",
        "health_index < 70", "oldest_age > 1m", "orders[last 3] > 1", "throughput[10m] > 0.01",
        "consecutive_late >= 2", "open_orders > 1",
    )
)  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(st.lists(orders(), max_size=24), st.integers(0, 2**32), label_lists)
def test_eight_shards_say_bit_for_bit_what_one_says(
    written: Sequence[Order], seed: int, by: tuple[str, ...]
) -> None:
    """Rows dealt to eight shards and merged: every number of every finding is the very same."""
    keys = np.random.default_rng(seed).permutation(len(written)).tolist()
    whole = rows_of(written, keys)
    dealt = [
        rows_of(
            [one for one, key in zip(written, keys, strict=True) if key % 8 == shard],
            [key for key in keys if key % 8 == shard],
        )
        for shard in range(8)
    ]
    merged = merge(dealt)
    for node in SHARDED:
        one, eight = (findings_of(node, rows, Side([0.5]), by) for rows in (whole, merged))
        assert one == eight, node
