"""What is normal: a rate for each hour of the week, and how much real arrivals scatter around it.

A rate is events per hour of real time that was watched, so an hour that the clock shows twice, or
that we missed, changes nothing. Few orders are read with prior knowledge: an hour of the week is
like the same hour of other days times its day's level, that hour is like the average hour. The
scatter beyond Poisson (`spread`, a squared coefficient of variation) is measured per length of
window on forecasts made before the hour was learned, so it contains the forecast's own error.
Weights halve in four weeks.
"""

from __future__ import annotations

import msgspec
import numpy as np

from monitor.core.signals.arrays import BoolArray, FloatArray, IntArray
from monitor.model.times import HOUR_MS, MINUTE_MS

HOURS = 168
WINDOWS_MS = tuple(minutes * MINUTE_MS for minutes in (10, 30, 60, 120, 240, 480, 1440))
BINS_PER_HOUR = 12
READY_H = 72.0
"""Three days must have been watched before a forecast is used at all."""

_PER_HOUR = 0.5 ** (1.0 / (4 * HOURS))
# Prior pseudo-orders: how far a clock hour may lie from the mean hour (CV 0.7), a day's level from
# 1 (0.3), a cell of the week from hour x day (0.2).
_HOUR_SHAPE, _DAY_SHAPE, _CELL_SHAPE = 2.0, 10.0, 30.0
SPREAD_PRIOR = 0.02
"""A shop nobody has watched yet varies by 14 %; a real city's calls do by 4 % (day) to 7 %."""
_SPREAD_FLOOR = 0.002
_SPREAD_WEIGHT = 2.0 / SPREAD_PRIOR**2
_RATE_MIN = 1e-9


class SeriesSeason(msgspec.Struct, frozen=True):
    """What was learned of one series: per hour of the week, then per window length."""

    counts: tuple[float, ...]
    hours: tuple[float, ...]
    weights: tuple[float, ...]
    excesses: tuple[float, ...]
    open_observed: tuple[int, ...]
    open_expected: tuple[float, ...]
    open_hours: tuple[int, ...]


class Season:
    """The learned week of S series, row by row in step with the names its owner keeps."""

    def __init__(self) -> None:
        n_windows = len(WINDOWS_MS)
        self._counts = np.zeros((0, HOURS))
        self._hours = np.zeros((0, HOURS))
        self._weights = np.zeros((0, n_windows))
        self._excesses = np.zeros((0, n_windows))
        self._open_observed = np.zeros((0, n_windows), np.int64)
        self._open_expected = np.zeros((0, n_windows))
        self._open_hours = np.zeros((0, n_windows), np.int64)
        self.rates = np.zeros((0, HOURS))
        self.uncertainty = np.zeros((0, HOURS))

    def __len__(self) -> int:
        return int(self._counts.shape[0])

    def grow(self, series: int) -> None:
        """Add empty rows up to a number of series."""
        for name in _MATRICES:
            held = getattr(self, name)
            more = np.zeros((series - len(held), held.shape[1]), held.dtype)
            setattr(self, name, np.concatenate((held, more)))
        self._estimate()

    @property
    def is_ready(self) -> BoolArray:
        """Which series were watched long enough to be judged; shape bool[S]."""
        ready: BoolArray = (self._hours.sum(axis=1) >= READY_H) & (self._counts.sum(axis=1) > 0.0)
        return ready

    @property
    def orders_30d(self) -> FloatArray:
        """Orders in 30 days at the learned rates; shape float64[S]."""
        volume: FloatArray = self.rates.mean(axis=1) * 720.0
        return volume

    def spread(self) -> FloatArray:
        """Squared coefficient of variation per window length; shape float64[S, windows].

        The mean of ((observed - expected)² - expected) / expected², weighted by its precision,
        with the prior as one such observation.
        """
        learned = (self._excesses + _SPREAD_WEIGHT * SPREAD_PRIOR) / (
            self._weights + _SPREAD_WEIGHT
        )
        return np.maximum(learned, _SPREAD_FLOOR)

    def expected(self, cells: IntArray, shares: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Orders expected in five-minute bins, and the relative variance of that forecast.

        Shapes: cells int64[n] local hour of the week of each bin, shares float64[n] how much of that
        hour has passed at the bin's middle; both results float64[S, n]. Rates run straight between
        the middles of hours: mornings double within the hour.
        """
        beside = np.where(shares < 0.5, cells - 1, cells + 1) % HOURS
        own = 1.0 - np.abs(shares - 0.5)
        rates = self.rates[:, cells] * own + self.rates[:, beside] * (1.0 - own)
        return rates / BINS_PER_HOUR, self.uncertainty[:, cells]

    def learn(
        self, hour_ms: int, observed: IntArray, cells: IntArray, shares: FloatArray, use: BoolArray
    ) -> None:
        """Learn one hour that was watched from beginning to end.

        Shapes: observed int64[S, 12], cells and shares [12], use bool[S]: series without an incident.
        """
        forecast, _ = self.expected(cells, shares)
        self._learn_spread(hour_ms, observed, forecast, use)
        self._counts[use] *= _PER_HOUR
        self._hours[use] *= _PER_HOUR
        for cell in np.unique(cells):
            bins = cells == cell
            self._counts[use, cell] += observed[use][:, bins].sum(axis=1)
            self._hours[use, cell] += np.count_nonzero(bins) / BINS_PER_HOUR
        self._estimate()

    def skip(self) -> None:
        """An hour was not watched: windows that contain it are not measured."""
        self._open_hours[:] = 0
        self._open_observed[:] = 0
        self._open_expected[:] = 0.0

    def _learn_spread(
        self, hour_ms: int, observed: IntArray, forecast: FloatArray, use: BoolArray
    ) -> None:
        self._weights[use] *= _PER_HOUR
        self._excesses[use] *= _PER_HOUR
        ready = self.is_ready & use
        for index, window_ms in enumerate(WINDOWS_MS):
            if window_ms <= HOUR_MS:
                parts = HOUR_MS // window_ms
                shape = (len(self), parts, BINS_PER_HOUR // parts)
                seen = observed.reshape(shape).sum(axis=2)
                wanted = forecast.reshape(shape).sum(axis=2)
                self._note(index, ready, seen, wanted)
                continue
            self._open_hours[:, index] += use
            self._open_observed[:, index] += observed.sum(axis=1)
            self._open_expected[:, index] += forecast.sum(axis=1)
            if (hour_ms + HOUR_MS) % window_ms == 0:
                whole = ready & (self._open_hours[:, index] * HOUR_MS == window_ms)
                seen = self._open_observed[:, index, None]
                self._note(index, whole, seen, self._open_expected[:, index, None])
                self._open_hours[:, index] = 0
                self._open_observed[:, index] = 0
                self._open_expected[:, index] = 0.0

    def _note(self, index: int, use: BoolArray, seen: IntArray, wanted: FloatArray) -> None:
        """Take in forecasts and what came; windows are weighted by how much they tell."""
        wanted = np.maximum(wanted, _RATE_MIN)
        weight = 1.0 / (1.0 / wanted + SPREAD_PRIOR) ** 2
        excess = ((seen - wanted) ** 2 - wanted) / wanted**2
        self._weights[use, index] += weight.sum(axis=1)[use]
        self._excesses[use, index] += (weight * excess).sum(axis=1)[use]

    def _estimate(self) -> None:
        """Rates per hour of the week, each level shrunk to the one above, and their variances."""
        counts, hours = self._counts.reshape(-1, 7, 24), self._hours.reshape(-1, 7, 24)
        total, watched = counts.sum(axis=(1, 2)), hours.sum(axis=(1, 2))
        mean = np.maximum(total / np.maximum(watched, 1.0), _RATE_MIN)[:, None]
        of_hour = counts.sum(axis=1)
        hourly = (of_hour + _HOUR_SHAPE) / (hours.sum(axis=1) + _HOUR_SHAPE / mean)
        of_day = counts.sum(axis=2)
        wanted = (hours * hourly[:, None, :]).sum(axis=2)
        level = (of_day + _DAY_SHAPE) / (wanted + _DAY_SHAPE)
        target = level[:, :, None] * hourly[:, None, :]
        rates = (counts + _CELL_SHAPE) / (hours + _CELL_SHAPE / target)
        above = 1.0 / (of_hour + _HOUR_SHAPE)[:, None, :] + 1.0 / (of_day + _DAY_SHAPE)[:, :, None]
        weight = _CELL_SHAPE / (counts + _CELL_SHAPE)
        variance = 1.0 / (counts + _CELL_SHAPE) + weight**2 * above
        self.rates = rates.reshape(-1, HOURS)
        self.uncertainty = variance.reshape(-1, HOURS)

    def snapshot(self, row: int) -> SeriesSeason:
        """What was learned of one series."""
        parts = [tuple(getattr(self, name)[row].tolist()) for name in _MATRICES]
        return SeriesSeason(*parts)

    def restore(self, row: int, learned: SeriesSeason) -> None:
        """Put back what was learned of one series."""
        for name in _MATRICES:
            getattr(self, name)[row] = getattr(learned, name.removeprefix("_"))
        self._estimate()


_MATRICES = (
    "_counts",
    "_hours",
    "_weights",
    "_excesses",
    "_open_observed",
    "_open_expected",
    "_open_hours",
)
