"""Curves of the week: what was delivered, what never will be, and what waits now."""

import tracemalloc

import pytest

from monitor.core.engine import Engine
from monitor.core.orders.history import History, HourRow
from monitor.core.signals.histogram import bucket_index
from monitor.core.views.curves import ChannelCurves, delivery_curve
from monitor.model.commands import Batch
from monitor.model.events import OrderEvent
from monitor.model.rules import RuleSet
from monitor.model.settings import Settings

PAID_MS = 1_767_578_400_000  # 2026-01-05T02:00:00Z
NOW_MS = PAID_MS + 60_000


def paid(order_id: str, channel: str, sku: str) -> OrderEvent:
    return OrderEvent(
        "order.paid", order_id, "shop", order_id, PAID_MS, PAID_MS, channel=channel, sku=sku
    )


def hour(channel: str, sku: str, delay_ms: int, count: int, never: int = 0) -> HourRow:
    return HourRow(PAID_MS, channel, sku, ((bucket_index(delay_ms), count),), never)


@pytest.fixture
def engine() -> Engine:
    """On `a` 8 of 10 came after 10 s, one never, one waits since a minute; `b` is another story."""
    engine = Engine(Settings(), RuleSet())
    waiting = (paid("o1", "a", "gold"), paid("o2", "b", "gold"), paid("o3", "b", "tin"))
    engine.handle(Batch(waiting), PAID_MS)
    rows = [hour("a", "gold", 10_000, 6, never=1), hour("a", "tin", 10_000, 2)]
    engine.shard.history = History([*rows, hour("b", "gold", 30_000, 5)])
    return engine


def test_curve_of_a_channel_counts_delivered_closed_and_waiting_orders(engine: Engine) -> None:
    """By hand: two of ten are not delivered after the step at about 10 s."""
    found = delivery_curve(engine, "a", None, NOW_MS)
    assert (found.n_events, found.n) == (8, 10)
    assert found.survival.tolist() == [pytest.approx(0.2)]
    assert found.times_s.tolist() == [pytest.approx(10.0, rel=0.03)]
    assert found.horizon_s == 60.0


@pytest.mark.parametrize(
    ("channel", "sku", "n_events", "n"),
    [(None, None, 13, 17), ("b", None, 5, 7), (None, "gold", 11, 14), ("b", "tin", 0, 1),
     ("nobody", None, 0, 0)],
)  # fmt: skip
def test_curve_is_of_the_orders_asked_for(
    engine: Engine, channel: str | None, sku: str | None, n_events: int, n: int
) -> None:
    """All, one channel, one SKU, both, and a channel nobody ever used."""
    found = delivery_curve(engine, channel, sku, NOW_MS)
    assert (found.n_events, found.n) == (n_events, n)


def test_curves_of_all_channels_are_those_of_each_and_computed_once(engine: Engine) -> None:
    """One pass over the week serves them all."""
    curves = ChannelCurves(engine, NOW_MS)
    for channel in ("a", "b", "nobody"):
        alone = delivery_curve(engine, channel, None, NOW_MS)
        assert curves.of(channel).survival.tolist() == alone.survival.tolist()
        assert curves.of(channel).n == alone.n
        assert curves.of(channel) is curves.of(channel)


def test_million_deliveries_are_not_written_out(engine: Engine) -> None:
    """What a quote costs grows with the hours of a week, not with its orders."""
    engine.shard.history = History([hour("a", "gold", 10_000, 1_000_000)])
    tracemalloc.start()
    try:
        found = delivery_curve(engine, "a", None, NOW_MS)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.n_events == 1_000_000
    assert peak_bytes < 1_000_000
