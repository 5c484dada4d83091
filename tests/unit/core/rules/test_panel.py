"""Every signal a rule can name, for all instances at once, from orders written down by hand."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from monitor.core.rules.panel import Panel
from monitor.core.rules.parse import parse
from monitor.core.rules.readings import STATES
from monitor.core.rules.tables import SignalTable
from monitor.core.signals.observation import Observation
from monitor.model.rules import SIDE_SIGNALS, SIGNALS, Comparison, Matcher, Signal
from tests.unit.core.signals.rows import NOW_MS, Row, rows_of

SECOND = 1_000
READ_NOW = ("orders", "throughput", "open_orders", "oldest_age", "consecutive_late")


class Sources:
    """Two sources: one was heard seven seconds ago, the other is silent."""

    def table(self, signal: Signal, *, is_split: bool) -> SignalTable:
        if not is_split:
            return SignalTable(None, ("",), np.array([3.0]))
        values = {"source_age": [90.0, 7.0], "source_silent": [1.0, 0.0]}[signal.name]
        return SignalTable("source", ("mall", "shop"), np.array(values))


def done(ago_s: int, took_s: int, ending: str = "delivered", channel: int = 0) -> Row:
    """An order that ended some seconds ago after so many seconds; late beyond 180 s."""
    end_ms = NOW_MS - ago_s * SECOND
    paid_ms = end_ms - took_s * SECOND
    breach = paid_ms + 180_000 if took_s > 180 else None
    return Row(paid_ms, ending=ending, end_ms=end_ms, breach_ms=breach, channel=channel)


def waiting(age_s: int, channel: int = 0, *, is_held: bool = False) -> Row:
    paid_ms = NOW_MS - age_s * SECOND
    breach = paid_ms + 180_000 if age_s > 180 and not is_held else None
    return Row(paid_ms, breach_ms=breach, channel=channel, is_held=is_held)


ORDERS = [
    done(300, 10), done(240, 20), done(180, 200), done(120, 30, "failed"), done(60, 40, "refunded"),
    done(90, 15, channel=1), waiting(250), waiting(100), waiting(30, 1), waiting(400, is_held=True),
]  # fmt: skip

Read = tuple[float | None, int | None, int | None, str]


def signal_of(expr: str) -> Signal:
    limit = {"duration": "20s", "ratio": "2%"}.get(SIGNALS[re.split(r"\W", expr)[0]], "1")
    node = parse(f"{expr} > {limit}").node
    assert isinstance(node, Comparison)
    assert isinstance(node.left, Signal)
    return node.left


def read(
    expr: str, orders: list[Row] | None = None, by: tuple[str, ...] = ()
) -> dict[tuple[str, ...], Read]:
    """(value, k, n, state) of the signal by instance; NaN is None."""
    rows: Observation = rows_of(ORDERS if orders is None else orders)
    panel, signal = Panel(rows, Sources(), NOW_MS), signal_of(expr)
    domain = panel.domain(by, [("nobody",)] if by else (), (signal,))
    got = panel.read(signal, domain, min_count=2)
    return {
        instance: (
            None if math.isnan(got.values[index]) else float(got.values[index]),
            None if got.k is None else int(got.k[index]),
            None if got.n is None else int(got.n[index]),
            "ok" if got.states is None else STATES[got.states[index]],
        )
        for index, instance in enumerate(domain.instances)
    }


@pytest.mark.parametrize(
    ("expr", "value", "k", "n"),
    [
        # judged on `a`: 3 delivered, 1 failed, 1 refunded, 1 breached and waiting; on `b`: 1
        ("delayed_ratio", 2 / 7, 2, 7),
        ('delayed_ratio{channel="a"}', 2 / 6, 2, 6),
        ("delayed_ratio[100s]", 1 / 3, 1, 3),
        ("delayed_ratio[last 4]", 1 / 4, 1, 4),
        ("delayed_ratio[1s:4:6h]", 1 / 4, 1, 4),
        ("delayed_ratio[1s:4:100s]", 1 / 3, 1, 3),
        ("bad_ratio", 4 / 7, 4, 7),
        ("failed_ratio", 1 / 7, 1, 7),
        ("mean_delay", (10 + 20 + 200 + 15 + 250) / 5, None, 5),
        ("oldest_age", 250.0, None, 3),
        ("open_orders", 3.0, None, 3),
        ('open_orders{channel!="a"}', 1.0, None, 1),
        ('open_orders{channel=~"b|c*"}', 1.0, None, 1),
        ("orders[100s]", 1.0, None, 1),
        ("throughput[100s]", 1 / 100, None, 1),
        ("consecutive_late", 0.0, None, 0),
    ],
)
def test_signal_equals_its_count_by_hand(expr: str, value: float, k: int | None, n: int) -> None:
    """Ratios with their k of n, delays in seconds; held orders say nothing."""
    found = read(expr)[()]
    assert found[0] == pytest.approx(value)
    assert found[1:] == (k, n, "ok")


def test_instances_are_read_apart() -> None:
    """`a` has two late of six, `b` one good order, and nobody knows of the third."""
    assert read("delayed_ratio", by=("channel",)) == {
        ("a",): (2 / 6, 2, 6, "ok"),
        ("b",): (0.0, 0, 1, "insufficient"),
        ("nobody",): (0.0, 0, 0, "no_data"),
    }
    assert read("oldest_age", by=("channel",)) == {
        ("a",): (250.0, None, 2, "ok"),
        ("b",): (30.0, None, 1, "ok"),
        ("nobody",): (0.0, None, 0, "ok"),
    }


def test_window_starts_for_each_instance_where_its_own_orders_do() -> None:
    """The last judged order of `b` was 90 s ago, that of `a` 60 s; neither is the other's."""
    assert read("orders[last 1]", by=("channel",)) == {
        ("a",): (0.0, None, 0, "ok"),
        ("b",): (1.0, None, 1, "ok"),
        ("nobody",): (0.0, None, 0, "ok"),
    }


def test_several_labels_split_together() -> None:
    """Channel and source: the combinations that orders have."""
    found = read("open_orders", by=("channel", "source"))
    assert {key: one[0] for key, one in found.items() if len(key) == 2} == {
        ("a", "shop"): 2.0,
        ("b", "shop"): 1.0,
    }


def test_health_falls_with_what_waits() -> None:
    """Two orders five minutes old lose half each; young ones weigh nothing."""
    assert read("health_index", [done(9, 5), waiting(30)])[()][0] == 100.0
    for orders in ([waiting(300), waiting(300)], [waiting(300), waiting(300), waiting(30)]):
        value, _, n, state = read("health_index", orders)[()]
        assert value == pytest.approx(50.0)
        assert (n, state) == (2, "insufficient")


@pytest.mark.parametrize(
    ("orders", "expr", "seconds"),
    [
        ([done(9, 5), done(8, 9), done(7, 70)], "p50_delay[10m]", 9.0),
        ([done(ago, 10) for ago in range(1, 200)], "p90_delay[10m]", 10.0),
        (
            [done(ago, 10) for ago in range(1, 99)] + [done(5, 150, channel=1)],
            "p50_delay[10m]",
            10.0,
        ),
    ],
)
def test_percentile_lies_in_the_bucket_of_the_delay_that_reaches_it(
    orders: list[Row], expr: str, seconds: float
) -> None:
    """Within the 2.2 % that a bucket is wide."""
    assert read(expr, orders)[()][0] == pytest.approx(seconds, rel=0.022)


def test_percentile_that_is_not_reached_is_known_but_has_no_end() -> None:
    """In an outage everybody waits: beyond every limit, not without data."""
    value, _, n, state = read("p50_delay[10m]", [waiting(age) for age in (50, 60, 70)])[()]
    assert (value, n, state) == (math.inf, 3, "ok")


def test_streaks_end_where_an_instance_begins() -> None:
    """All orders of `b` were late: the good one of `a` before them is not theirs."""
    orders = [done(250, 5), done(80, 300), done(70, 300, channel=1), done(60, 300, channel=1)]
    found = read("consecutive_late", orders, ("channel",))
    assert [one[0] for one in found.values()] == [1.0, 2.0, 0.0]


@pytest.mark.parametrize(
    ("expr", "by", "values"),
    [
        ("source_age", (), [3.0]),
        ("source_age", ("source",), [90.0, None, 7.0]),
        ('source_age{source="sh*"}', (), [None]),
        ('source_age{source=~"sh*"}', (), [7.0]),
        ('source_age{source=~"*"}', (), [90.0]),
        ('source_silent{source=~"*"}', (), [1.0]),
    ],
)
def test_tables_are_read_by_name_or_for_the_shop(
    expr: str, by: tuple[str, ...], values: list[float | None]
) -> None:
    """Not split: the shop's own reading; matched: the worst of the entries, or how many are silent."""
    found = read(expr, by=by)
    assert [one[0] for one in found.values()] == values
    states = ["no_data" if value is None else "ok" for value in values]
    assert [one[3] for one in found.values()] == states


@pytest.mark.parametrize("signal", sorted({*SIGNALS} - {*SIDE_SIGNALS}))
def test_every_signal_can_be_read_without_any_order(signal: str) -> None:
    """Nothing to count: no data or zero, never a crash."""
    for by in ((), ("channel",)):
        for value, _, _, state in read(signal, [], by).values():
            assert state == ("ok" if signal in READ_NOW else "no_data")
            assert value == 0.0 or signal not in READ_NOW


def test_order_taken_over_proves_nothing_against_its_channel_later() -> None:
    """Taken after 60 s and delivered by another after 500 s: the channel is known to 60 s only."""
    taken = done(5, 500)
    rows = rows_of([taken, *(done(ago, 10) for ago in range(10, 19))])
    taken_ms = np.where(rows.breach_ms > 0, taken.paid_ms + 60_000, 0)
    rows = Observation(
        **{
            name: getattr(rows, name)
            for name in Observation.__struct_fields__
            if name != "taken_ms"
        },
        taken_ms=taken_ms,
    )
    panel = Panel(rows, Sources(), NOW_MS)
    whole, split = panel.domain(()), panel.domain(("channel",))
    for limit, of_shop, of_channel in ((20.0, (1, 10), (1, 10)), (400.0, (1, 10), (0, 9))):
        for domain, expected in ((whole, of_shop), (split, of_channel)):
            counts, _ = panel.read_percentile(
                signal_of("p90_delay[10m]"), domain, min_count=2, limit=limit
            )
            assert counts.k is not None
            assert counts.n is not None
            assert (int(counts.k[0]), int(counts.n[0])) == expected
    counts, _ = panel.read_percentile(signal_of("p90_delay[300s]"), split, min_count=2, limit=20.0)
    assert counts.k is not None
    assert int(counts.k[0]) == 0  # it had left before this window


def test_good_streak_is_that_of_each_instance_and_of_the_matchers() -> None:
    """From the newest order back; good orders elsewhere do not end an alert about one channel."""
    orders = [done(9, 300), done(8, 5), done(7, 5), done(6, 5, "failed", channel=1)]
    panel = Panel(rows_of(orders), Sources(), NOW_MS)
    ratio = signal_of("delayed_ratio")
    assert panel.good_streaks(panel.domain(("channel",)), (ratio,)).tolist() == [2, 0]
    assert panel.good_streaks(panel.domain(()), (ratio,)).tolist() == [0]
    only_a = Signal("delayed_ratio", ratio.window, (Matcher("channel", "=", "a"),))
    assert panel.good_streaks(panel.domain(()), (only_a,)).tolist() == [2]
    assert panel.good_streaks(panel.domain(()), (only_a, ratio)).tolist() == [0]
    assert panel.good_streaks(panel.domain(()), (signal_of("open_orders"),)).tolist() == [0]


def test_unconfirmed_orders_are_told_and_count_for_nothing() -> None:
    """A silent source's late order: its instance is marked, no signal and no streak rests on it."""
    orders = [done(8, 5), Row(NOW_MS - 400_000, breach_ms=NOW_MS - 220_000, is_unconfirmed=True),
              done(8, 5, channel=1)]  # fmt: skip
    panel = Panel(rows_of(orders), Sources(), NOW_MS)
    domain, ratio = panel.domain(("channel",)), signal_of("delayed_ratio")
    assert panel.is_unconfirmed(domain).tolist() == [True, False]
    assert panel.good_streaks(domain, (ratio,)).tolist() == [0, 1]
    counts = panel.read(ratio, domain, min_count=2)
    assert counts.k is not None
    assert counts.n is not None
    assert (counts.k.tolist(), counts.n.tolist()) == ([0, 0], [1, 1])


def test_domain_is_the_same_object_for_the_same_instances() -> None:
    """Sorted by name, with those still active, and once only: readings are kept by it."""
    panel = Panel(rows_of(ORDERS), Sources(), NOW_MS)
    domain = panel.domain(("channel",), [("b",), ("gone",)])
    assert domain.instances == (("a",), ("b",), ("gone",))
    assert panel.domain(("channel",), [("gone",)]) is domain
    assert domain.labels(2) == {"channel": "gone"}
    side = panel.domain(("source",), (), (Signal("source_age"),))
    assert side.instances == (("mall",), ("shop",))
