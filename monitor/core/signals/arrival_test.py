"""Too few to be chance? The two tests of `arrivals.py`, over all series at once.

Budget: 0.25 false alarms in 30 days for a series. A gap can only begin with an order, so silence has
as many openings as there would be orders in 30 days at the rate at which the gap begins: the same
risk every hour, which makes nights quicker. A window of length w has about 30 d / w openings, times
what overlapping looks add, and never more than orders. Windows overlap and see the same orders, so
their nominal budget is larger than what they use; the benchmark measures what is used.
"""

from __future__ import annotations

import msgspec
import numpy as np

from monitor.core.signals.arrays import BoolArray, FloatArray, IntArray
from monitor.core.signals.arrival_counts import BIN_MS, BINS
from monitor.core.signals.negative_binomial import lower_tails, silence_tails
from monitor.core.signals.season import WINDOWS_MS, Season
from monitor.model.times import DAY_MS, HOUR_MS

SILENCE_BUDGET = 0.09
WINDOW_BUDGET = 0.2
DROP = 0.7
"""A window counts only with fewer than this share of what was expected."""

_OVERLAP = 6.0
_BUSY = 1.6
_KEEP = 30.0
_TELLING_EXPECTED = 8.0
_SO_FAR = 0.85
_SO_FAR_EXPECTED = 12.0
_SHOWN_EXPECTED = 20.0

_BINS_OF = np.array(WINDOWS_MS) // BIN_MS
_HOURS_OF = np.maximum(np.array(WINDOWS_MS) / HOUR_MS, 1.0)
_SPANS = 30 * DAY_MS / np.array(WINDOWS_MS)


class Forecast(msgspec.Struct, frozen=True, eq=False):
    """What was to be expected in the last 26 h, ready to be asked every minute.

    Shapes: `cumulated` float64[S, 313] orders expected before each bin; `variance` float64[S, windows]
    relative variance of a window's count beyond Poisson, `limits`
    how small its tail must be; `orders_30d` float64[S].
    """

    cumulated: FloatArray
    variance: FloatArray
    limits: FloatArray
    orders_30d: FloatArray
    is_ready: BoolArray

    @classmethod
    def of(cls, expected: FloatArray, uncertainty: FloatArray, season: Season) -> Forecast:
        """From orders expected per bin, 0 where nobody watched, and the variance of each forecast.

        Errors of different hours are nearly independent, so a window of h hours has 1/h of them.
        """
        cumulated = np.zeros((expected.shape[0], BINS + 1))
        np.cumsum(expected, axis=1, out=cumulated[:, 1:])
        weighted = np.zeros_like(cumulated)
        np.cumsum(expected * uncertainty, axis=1, out=weighted[:, 1:])
        start = BINS - _BINS_OF
        inside = cumulated[:, -1:] - cumulated[:, start]
        mean = (weighted[:, -1:] - weighted[:, start]) / np.maximum(inside, 1e-9)
        variance = season.spread() + mean / _HOURS_OF
        volume = season.orders_30d
        return cls(cumulated, variance, _window_limits(volume), volume, season.is_ready)

    @classmethod
    def nothing(cls, series: int) -> Forecast:
        """Before the first forecast."""
        windows = np.zeros((series, len(WINDOWS_MS)))
        is_ready = np.zeros(series, np.bool_)
        return cls(np.zeros((series, BINS + 1)), windows, windows, np.zeros(series), is_ready)


class Evidence(msgspec.Struct, frozen=True, eq=False):
    """The most telling window of each series; all arrays have shape [S]."""

    window_ms: IntArray
    observed: IntArray
    expected: FloatArray
    p: FloatArray
    is_proven: BoolArray


def weigh(
    counts: IntArray,
    forecast: Forecast,
    since_last: FloatArray,
    passed: float,
    is_standing: BoolArray,
) -> Evidence:
    """Test every window and the silence of every series.

    Shapes: counts int64[S, 312], the last bin running, of which the share `passed` is over;
    since_last float64[S] position of the latest order in bins from the first; is_standing bool[S]
    what was proven a moment ago is kept on weaker evidence, or it would come and go with each order.
    """
    rows = np.arange(counts.shape[0])
    before_now = forecast.cumulated[:, -2] + passed * (
        forecast.cumulated[:, -1] - forecast.cumulated[:, -2]
    )
    start = BINS - 1 - _BINS_OF
    expected = before_now[:, None] - forecast.cumulated[:, start]
    totals = np.zeros((counts.shape[0], BINS + 1), np.int64)
    np.cumsum(counts, axis=1, out=totals[:, 1:])
    observed = totals[:, -1:] - totals[:, start]
    at = since_last.astype(np.int64)
    low, high = forecast.cumulated[rows, at], forecast.cumulated[rows, at + 1]
    missed = np.maximum(before_now - low - (since_last - at) * (high - low), 0.0)
    gap_ms = np.round((BINS - 1 + passed - since_last) * BIN_MS).astype(np.int64)

    limits = forecast.limits * np.where(is_standing, _KEEP, 1.0)[:, None]
    tails = _window_tails(observed, expected, forecast, limits, is_standing)
    gap_window = np.minimum(np.searchsorted(np.array(WINDOWS_MS), gap_ms), len(WINDOWS_MS) - 1)
    gap_tail = silence_tails(missed, forecast.variance[rows, gap_window])
    gap_limit = SILENCE_BUDGET / _openings((high - low) / BIN_MS, forecast.orders_30d)

    strength = tails / limits
    best = np.argmin(strength, axis=1)
    is_silent = forecast.is_ready & (gap_tail <= gap_limit)
    is_short = forecast.is_ready & (strength[rows, best] <= 1.0)
    by_gap = is_silent & (gap_tail / gap_limit <= strength[rows, best])
    shown = np.where(is_short, best, _shown(expected))
    lengths = np.array(WINDOWS_MS)[shown] + int(passed * BIN_MS)
    use_gap = by_gap | (is_silent & ~is_short)
    return Evidence(
        np.where(use_gap, gap_ms, lengths),
        np.where(use_gap, 0, observed[rows, shown]),
        np.where(use_gap, missed, expected[rows, shown]),
        np.where(use_gap, gap_tail, tails[rows, shown]),
        is_silent | is_short,
    )


def _openings(rate: FloatArray, orders_30d: FloatArray) -> FloatArray:
    """How many gaps would begin in 30 days if it were always as busy as when this one began."""
    volume = np.maximum(orders_30d, 1.0)
    openings: FloatArray = np.clip(rate * 30 * DAY_MS, volume / 10.0, 3.0 * volume)
    return openings


def _window_limits(orders_30d: FloatArray) -> FloatArray:
    """How small a tail must be, per series and window; shape float64[S, windows].

    The budget is shared by the windows in which enough is expected at busy hours to tell anything.
    """
    volume = np.maximum(orders_30d, 1.0)[:, None]
    looks = np.minimum(volume, _OVERLAP * _SPANS)
    is_telling = volume / _SPANS * _BUSY >= _TELLING_EXPECTED
    sharing = np.maximum(np.count_nonzero(is_telling, axis=1), 1)[:, None]
    limits: FloatArray = WINDOW_BUDGET / sharing / looks
    return limits


def _window_tails(
    observed: IntArray,
    expected: FloatArray,
    forecast: Forecast,
    limits: FloatArray,
    is_standing: BoolArray,
) -> FloatArray:
    """Lower tails of windows with a real drop that still lasts; 1 elsewhere, which is cheap."""
    rows = np.arange(observed.shape[0])
    # The shortest window that can tell shows whether orders are missing now, not only earlier.
    recent = np.argmax(expected >= _SO_FAR_EXPECTED, axis=1)
    is_told = expected[rows, recent] >= _SO_FAR_EXPECTED
    is_back = is_told & (observed[rows, recent] > _SO_FAR * expected[rows, recent])
    dropped = (observed < DROP * expected) & forecast.is_ready[:, None] & ~is_back[:, None]
    # Summing is dear: not where less than two deviations are missing (at a spread up to 0.12 that is
    # never rarer than 0.5 %), nor where even no order at all would not be rare enough.
    deviation = np.sqrt(expected + forecast.variance * expected**2)
    is_odd = (expected - observed >= 2.0 * deviation) | (forecast.variance > 0.12)
    dropped &= is_odd | is_standing[:, None]
    if not dropped.any():
        return np.ones(expected.shape)
    dropped &= silence_tails(expected, forecast.variance) <= limits
    tails = np.ones(expected.shape)
    tails[dropped] = lower_tails(observed[dropped], expected[dropped], forecast.variance[dropped])
    return tails


def _shown(expected: FloatArray) -> IntArray:
    """The shortest window in which enough was expected to show a ratio, else the longest."""
    is_enough = expected >= _SHOWN_EXPECTED
    first = np.argmax(is_enough, axis=1)
    shown: IntArray = np.where(is_enough.any(axis=1), first, expected.shape[1] - 1)
    return shown
