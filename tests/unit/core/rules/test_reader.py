"""Every signal a rule can name, read from orders written down by hand."""

import re

import pytest

from monitor.core.rules.evaluate import Reading
from monitor.core.rules.parse import parse
from monitor.core.rules.reader import SignalReader, SourceView
from monitor.model.rules import SIDE_SIGNALS, SIGNALS, SOURCE_SIGNALS, Comparison, Matcher, Signal
from tests.unit.core.signals.rows import NOW_MS, Row, rows_of

SECOND = 1_000
CHANNELS = ("a", "b")
SOURCES = (
    SourceView("shop", 7 * SECOND, is_silent=False),
    SourceView("mall", 90 * SECOND, is_silent=True),
)


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


def read(expr: str, orders: list[Row] | None = None, **labels: str) -> Reading:
    """Read the one signal of a comparison, as `evaluate` would."""
    limit = {"duration": "20s", "ratio": "2%"}.get(SIGNALS[re.split(r"\W", expr)[0]], "1")
    node = parse(f"{expr} > {limit}").node
    assert isinstance(node, Comparison)
    assert isinstance(node.left, Signal)
    reader = SignalReader(rows_of(ORDERS if orders is None else orders), CHANNELS, SOURCES, NOW_MS)
    return reader.read(node.left.name, node.left.window, node.left.matchers, labels, min_count=2,
                       limit_s=20.0)  # fmt: skip


@pytest.mark.parametrize(
    ("expr", "value", "k", "n"),
    [
        # judged on `a`: 3 delivered, 1 failed, 1 refunded, 1 breached and waiting; on `b`: 1
        ("delayed_ratio", 2 / 7, 2, 7),
        ('delayed_ratio{channel="a"}', 2 / 6, 2, 6),
        ('delayed_ratio{channel="b"}', 0.0, 0, 1),
        ("delayed_ratio[100s]", 1 / 3, 1, 3),
        ("delayed_ratio[last 4]", 1 / 4, 1, 4),
        ("bad_ratio", 4 / 7, 4, 7),
        ("failed_ratio", 1 / 7, 1, 7),
        ("mean_delay", (10 + 20 + 200 + 15 + 250) / 5, None, 5),
        ("oldest_age", 250.0, None, 3),
        ("open_orders", 3.0, None, 3),
        ('open_orders{channel!="a"}', 1.0, None, 1),
        ("orders[100s]", 1.0, None, 1),
        ("throughput[100s]", 1 / 100, None, 1),
        ("consecutive_late", 0.0, None, 0),
    ],
)
def test_signal_equals_its_count_by_hand(expr: str, value: float, k: int | None, n: int) -> None:
    """Ratios with their k of n, delays in seconds; held orders say nothing."""
    reading = read(expr)
    assert reading.value == pytest.approx(value)
    assert (reading.k, reading.n, reading.state) == (k, n, "ok")


def test_mean_carries_the_mean_without_its_worst() -> None:
    """Of five delays the worst is left out."""
    assert read("mean_delay").trimmed == pytest.approx((10 + 20 + 200 + 15) / 4)


def test_percentile_counts_the_orders_above_the_limit_asked_with() -> None:
    """Above 20 s: one delivered, both closed, and who waits longer; decided are these and 3 more."""
    reading = read("p95_delay[10m]")
    assert (reading.k, reading.n) == (1 + 2 + 3, 6 + 3)
    assert reading.state == "ok"


def test_percentile_that_is_not_reached_has_no_value_but_is_known() -> None:
    """In an outage nearly everybody waits: beyond every limit, not without data."""
    reading = read("p50_delay[10m]", [waiting(age) for age in (50, 60, 70)])
    assert (reading.value, reading.state, reading.k, reading.n) == (None, "ok", 3, 3)


def test_percentile_of_many_equal_delays_is_that_delay() -> None:
    """Within the width of a bucket."""
    reading = read("p90_delay[10m]", [done(ago, 10) for ago in range(1, 200)])
    assert reading.value == pytest.approx(10, rel=0.022)


def test_health_falls_with_what_waits() -> None:
    """Three orders a minute and a half late lose a share; young ones weigh nothing."""
    assert read("health_index", [done(9, 5), waiting(30)]).value == 100.0
    sick = read("health_index", [waiting(300), waiting(300)])
    assert sick.value == pytest.approx(50.0)
    assert sick.n == 2


@pytest.mark.parametrize(
    ("expr", "labels", "value"),
    [
        ("source_age", {}, 90.0),
        ("source_age", {"source": "shop"}, 7.0),
        ('source_age{source="sh*"}', {}, None),
        ('source_age{source=~"sh*"}', {}, 7.0),
        ("source_silent", {}, 1.0),
        ("source_silent", {"source": "shop"}, 0.0),
        ("source_silent", {"source": "gone"}, None),
    ],
)
def test_source_signals_read_the_sources(
    expr: str, labels: dict[str, str], value: float | None
) -> None:
    """The oldest of the chosen ones; none chosen is no data."""
    reading = read(expr, None, **labels)
    assert reading.value == value
    assert reading.state == ("no_data" if value is None else "ok")


@pytest.mark.parametrize("signal", sorted({*SIGNALS} - {*SIDE_SIGNALS} | {*SOURCE_SIGNALS}))
def test_every_signal_can_be_read_without_any_order(signal: str) -> None:
    """Nothing to count: no data or zero, never a crash."""
    reading = read(signal, [])
    if signal in ("orders", "throughput", "open_orders", "oldest_age", "consecutive_late"):
        assert (reading.value, reading.state) == (0.0, "ok")
    elif not signal.startswith("source"):
        assert (reading.value, reading.state) == (None, "no_data")


def test_instance_label_restricts_the_scope_like_a_matcher() -> None:
    """`by: [channel]` and `{channel="b"}` read the same."""
    assert read("delayed_ratio", channel="b") == read('delayed_ratio{channel="b"}')
    assert read("delayed_ratio", channel="nobody").state == "no_data"


def test_good_streak_is_that_of_the_instance() -> None:
    """The latest judged orders of the channel, from the newest back."""
    orders = [done(9, 300), done(8, 5), done(7, 5), done(6, 5, "failed", channel=1)]
    reader = SignalReader(rows_of(orders), CHANNELS, SOURCES, NOW_MS)
    assert (reader.good_streak({"channel": "a"}), reader.good_streak({})) == (2, 0)


def test_good_streak_follows_the_matchers_of_the_rule() -> None:
    """Good orders elsewhere do not end an alert about one channel."""
    orders = [done(9, 300), *(done(8, 5, channel=1) for _ in range(25))]
    reader = SignalReader(rows_of(orders), CHANNELS, SOURCES, NOW_MS)
    assert reader.good_streak({}, (Matcher("channel", "=", "a"),)) == 0
    assert reader.good_streak({}, (Matcher("channel", "=", "b"),)) == 25
