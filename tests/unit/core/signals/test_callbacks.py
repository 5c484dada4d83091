"""Are payments still confirmed: usual share, droughts, lags, and shops that only say "paid"."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.signals.callback_counts import CallbackCounter
from monitor.core.signals.callbacks import (
    CallbackReading,
    Callbacks,
    CallbacksSnapshot,
    Usual,
    lag_quantile_ms,
    lag_table,
    paid_table,
)
from monitor.model.times import HOUR_MS, MINUTE_MS, SECOND_MS

T0 = 1_767_571_200_000  # Monday 2026-01-05 00:00 UTC


class Till:
    """Five orders a minute per provider, of which three are paid ten seconds later."""

    def __init__(self) -> None:
        self.counter, self.callbacks = CallbackCounter(), Callbacks(T0)
        self.now_ms = T0

    def run(self, minutes: int, paid: dict[str, int]) -> None:
        """Let minutes pass; `paid` of five are confirmed, per provider."""
        for _ in range(minutes):
            for provider, n in paid.items():
                self.counter.created(provider, self.now_ms, 5)
                if n:
                    self.counter.paid(provider, self.now_ms, self.now_ms + 10 * SECOND_MS, n)
            self.now_ms += MINUTE_MS
            self.callbacks.learn(self.counter, self.now_ms)

    def readings(self) -> dict[str, CallbackReading]:
        read = self.callbacks.evaluate(self.counter, self.now_ms)
        return {reading.provider: reading for reading in read}


def healthy_till() -> Till:
    till = Till()
    till.run(12 * 60, {"alipay": 3, "usdt": 3})
    return till


def test_abandoned_checkouts_are_usual() -> None:
    """Forty per cent unpaid is this shop's normal day, and the ratio says sixty."""
    reading = healthy_till().readings()["alipay"]
    assert reading.ratio == pytest.approx(0.6)
    assert reading.usual == pytest.approx(0.6, abs=0.01)
    assert not reading.is_proven


def test_provider_without_confirmations_is_named_alone() -> None:
    """Eight minutes of orders that nobody confirms prove it for that provider only."""
    till = healthy_till()
    till.run(8, {"alipay": 3, "usdt": 0})
    readings = till.readings()
    assert readings["usdt"].is_proven
    assert readings["usdt"].ratio == 0.0
    assert readings["usdt"].p < 1e-6
    assert not readings["alipay"].is_proven
    table = paid_table(tuple(readings.values()))
    assert (table.label, table.names) == ("provider", ("alipay", "usdt"))
    assert table.is_proven is not None
    assert table.is_proven.tolist() == [False, True]


def test_three_minutes_without_confirmations_prove_nothing() -> None:
    """Fifteen unpaid orders in a row happen to a healthy provider."""
    till = healthy_till()
    till.run(3, {"alipay": 3, "usdt": 0})
    assert not till.readings()["usdt"].is_proven


def test_half_of_the_confirmations_lost_is_found_by_a_window() -> None:
    """One of five is paid instead of three: no silence, but a share nobody has seen here."""
    till = healthy_till()
    till.run(60, {"alipay": 3, "usdt": 1})
    reading = till.readings()["usdt"]
    assert reading.is_proven
    assert reading.ratio == pytest.approx(0.2, abs=0.02)


def test_drought_is_not_learned_as_usual() -> None:
    """After five hours without confirmations sixty per cent are still the usual share."""
    till = healthy_till()
    for _ in range(30):
        till.run(10, {"alipay": 3, "usdt": 0})
        till.readings()
    till.run(180, {"alipay": 3, "usdt": 3})
    assert till.readings()["usdt"].usual == pytest.approx(0.6, abs=0.03)


def test_second_incident_soon_after_leaves_the_first_doubtful() -> None:
    """Neither is learned as usual: the first one's hours are learned only two hours later."""
    usual = Usual("alipay")
    usual.doubt(10_100, 10_130)
    usual.doubt(10_240, 10_250)
    assert (usual.doubtful_from_minute, usual.doubtful_until_minute) == (10_100, 10_250)
    usual.doubt(11_000, 11_010)
    assert (usual.doubtful_from_minute, usual.doubtful_until_minute) == (11_000, 11_010)


def test_new_provider_is_never_proven() -> None:
    """A provider whose orders were never paid has no usual share to fall below."""
    till = Till()
    till.run(8 * 60, {"trial": 0})
    reading = till.readings()["trial"]
    assert reading.ratio == 0.0
    assert not reading.is_proven


def test_orders_only_announced_as_paid_are_left_out() -> None:
    """Without a creation there is nothing to divide by, and no lag."""
    counter, callbacks = CallbackCounter(), Callbacks(T0)
    counter.paid("alipay", None, T0)
    counter.created("usdt", T0)
    (reading,) = callbacks.evaluate(counter, T0 + HOUR_MS)
    assert (reading.provider, reading.created, reading.n_lags) == ("usdt", 1, 0)
    assert math.isnan(lag_table((reading,)).values[0])


def test_lag_is_the_percentile_of_paid_orders() -> None:
    """95 quick ones and five of eight minutes: the percentile is the last quick one."""
    counter = CallbackCounter()
    counter.created("alipay", T0, 200)
    counter.paid("alipay", T0, T0 + 4 * SECOND_MS, 95)
    counter.paid("alipay", T0, T0 + 480 * SECOND_MS, 5)
    (reading,) = Callbacks(T0).evaluate(counter, T0 + 10 * MINUTE_MS)
    assert reading.lag_s == pytest.approx(4.0, rel=0.19)
    assert reading.n_lags == 100


def test_quantile_of_nothing_is_unknown() -> None:
    """No payment, no lag."""
    assert lag_quantile_ms(np.zeros(66), 0.95) is None


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "unknown"]),
        st.integers(T0, T0 + 20 * HOUR_MS),
        st.one_of(st.none(), st.integers(0, 3 * HOUR_MS)),
        st.integers(0, 2),
    )
)


@given(EVENTS)
def test_merged_shards_equal_one(events: list[tuple[str, int, int | None, int]]) -> None:
    """Three shards' counts are the counts of one that saw everything."""
    one, shards = CallbackCounter(), [CallbackCounter() for _ in range(3)]
    for provider, at_ms, lag_ms, shard in events:
        for counter in (one, shards[shard]):
            counter.created(provider, at_ms)
            if lag_ms is not None:
                counter.paid(provider, at_ms, at_ms + lag_ms)
    merged = CallbackCounter()
    for counter in shards:
        merged.merge(counter)
    merged.advance(one.head_minute)
    assert merged.snapshot() == one.snapshot()
    assert CallbackCounter.restore(one.snapshot()).snapshot() == one.snapshot()


def test_restored_monitor_says_the_same() -> None:
    """A snapshot through JSON changes no reading."""
    till = healthy_till()
    till.run(8, {"alipay": 3, "usdt": 0})
    till.readings()
    packed = msgspec.json.encode(till.callbacks.snapshot())
    twin = Callbacks.restore(msgspec.json.decode(packed, type=CallbacksSnapshot))
    assert twin.snapshot() == till.callbacks.snapshot()
    later_ms = till.now_ms + HOUR_MS
    twin.learn(till.counter, later_ms)
    till.callbacks.learn(till.counter, later_ms)
    assert twin.evaluate(till.counter, later_ms) == till.callbacks.evaluate(till.counter, later_ms)


def test_hours_of_a_downtime_stay_unlearned_over_a_second_restart() -> None:
    """A payment worker that was down with us teaches nothing, however often we start again."""
    till = healthy_till()
    down_ms = till.now_ms
    till.run(90, {"alipay": 0})
    till.callbacks.not_observing(down_ms, till.now_ms)
    till.callbacks.learn(till.counter, till.now_ms)
    for _ in range(10):  # a crash loop
        packed = msgspec.json.encode(till.callbacks.snapshot())
        till.callbacks = Callbacks.restore(msgspec.json.decode(packed, type=CallbacksSnapshot))
        till.callbacks.not_observing(till.now_ms, till.now_ms + 1)
    assert len(till.callbacks.snapshot().missed) == 2
    till.run(4 * 60, {"alipay": 3})
    assert till.readings()["alipay"].usual == pytest.approx(0.6, abs=0.001)
    assert till.callbacks.snapshot().missed == ()
