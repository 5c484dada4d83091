"""A new level of delays is told from an incident and from a busy evening."""

import numpy as np

from monitor.core.signals.baseline import learn
from monitor.core.signals.drift import Settled, settled
from monitor.core.signals.paces import Paces
from monitor.model.baselines import Baseline
from monitor.model.times import DAY_MS, HOUR_MS

MONDAY = 1_767_571_200_000
SINCE = MONDAY + DAY_MS


def week(factors: list[float], per_hour: int = 20) -> tuple[Baseline, Paces]:
    """A day at the usual level that is learned, then hours whose delays are longer by a factor."""
    rng = np.random.default_rng(9)
    paces = Paces()
    for hour, factor in enumerate([1.0] * 24 + factors):
        for delay in 8_000 * factor * np.exp(0.8 * rng.standard_normal(per_hour)):
            paces.add("a", MONDAY + hour * HOUR_MS, round(delay))
    baseline = learn(
        None, paces, "a", excluded_hours=(), peak=0.0, orders_30d=1_000, offsets=(),
        now_ms=SINCE + HOUR_MS,
    )  # fmt: skip
    assert baseline is not None
    return baseline, paces


def verdict(factors: list[float], per_hour: int = 20) -> Settled | None:
    baseline, paces = week(factors, per_hour)
    return settled(baseline, paces, (), SINCE + len(factors) * HOUR_MS)


def test_delays_twice_as_long_for_half_a_day_have_settled() -> None:
    """It says since when, to a few hours, and how much longer; the other direction likewise."""
    for factor in (2.0, 0.5):
        found = verdict([factor] * 12)
        assert found is not None
        assert abs(found.since_ms - SINCE) <= 3 * HOUR_MS
        assert 0.75 * factor < found.ratio < 1.35 * factor


def test_three_slow_hours_are_not_a_new_level() -> None:
    """It must last for six."""
    assert verdict([2.0] * 3) is None


def test_usual_delays_are_no_news() -> None:
    """Two days at the learned level."""
    assert verdict([1.0] * 48) is None


def test_slightly_longer_delays_are_left_to_the_fading() -> None:
    """A tenth longer at high volume: seen by the sum, too little to forget what was learned."""
    assert verdict([1.1] * 12, per_hour=400) is None


def test_nothing_learned_or_nothing_delivered_is_no_news() -> None:
    """No spread to measure by, no hours to measure."""
    baseline, _ = week([1.0])
    assert settled(baseline, Paces(), (), SINCE) is None
    assert settled(Baseline("a", 0, 0, 0, ()), Paces(), (), SINCE) is None
