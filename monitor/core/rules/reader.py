"""Answers a rule's signal references from the orders of one instant.

One `SignalReader` lives for one evaluation; scopes and windows asked for twice are computed once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from monitor.core.rules.evaluate import Reading, matches
from monitor.core.signals.health import ANCHORS, Anchors, HealthSums, health_from_sums
from monitor.core.signals.observation import Observation
from monitor.core.signals.scope import Counts, Scope
from monitor.model.rules import QUANTILES, SOURCE_SIGNALS, Matcher, Window
from monitor.model.times import MINUTE_MS, SECOND_MS

HEALTH_WINDOW = Window(span_ms=15 * MINUTE_MS)
NO_DATA = Reading(value=None, k=None, n=0, trimmed=None, state="no_data")


class SourceView(msgspec.Struct, frozen=True):
    """A source as rules see it."""

    name: str
    age_ms: int
    is_silent: bool


class SignalReader:
    """Implements `core.rules.evaluate.Reader` over an observation and the sources."""

    def __init__(
        self,
        rows: Observation,
        channels: Sequence[str],
        sources: Sequence[SourceView],
        now_ms: int,
        anchors: Anchors = ANCHORS,
    ) -> None:
        self._rows = rows
        self._anchors = anchors
        self._channels = channels
        self._sources = sources
        self.now_ms = now_ms
        self._scopes: dict[tuple[str, ...], Scope] = {}
        self._names: dict[tuple[tuple[Matcher, ...], str | None], tuple[str, ...]] = {}
        self._unconfirmed: dict[tuple[str, ...], bool] = {}
        self._counts: dict[tuple[tuple[str, ...], int], Counts] = {}

    def read(
        self,
        signal: str,
        window: Window | None,
        matchers: tuple[Matcher, ...],
        labels: Mapping[str, str],
        min_count: int,  # noqa: ARG002 - the evaluator judges it; the port has it
        limit_s: float | None,
    ) -> Reading:
        """One signal in one scope; durations in seconds, ratios 0..1."""
        if signal in SOURCE_SIGNALS:
            return self._read_source(signal, matchers, labels)
        names, scope = self._scope(matchers, labels)
        if signal in QUANTILES:
            return self._read_quantile(signal, window, scope, limit_s)
        if window is not None and signal != "health_index":
            return self._read_windowed(signal, window, names, scope)
        return self._read_now(signal, window, scope)

    def is_unconfirmed(self, labels: Mapping[str, str]) -> bool:
        """Whether late orders of the alert's scope are left out because their source is silent."""
        names, _ = self._scope((), labels)
        return self._unconfirmed[names]

    def good_streak(self, labels: Mapping[str, str], matchers: tuple[Matcher, ...] = ()) -> int:
        """Consecutive good orders of the alert's scope; 20 of them resolve a ratio rule."""
        if self.is_unconfirmed(labels):
            return 0
        return self._scope(matchers, labels)[1].consecutive(good=True)

    def _read_windowed(
        self, signal: str, window: Window, names: tuple[str, ...], scope: Scope
    ) -> Reading:
        since_ms = scope.since_ms(window)
        if signal == "mean_delay":
            delays = scope.delays(since_ms)
            return _reading(_seconds(delays.mean_ms), delays.n, trimmed=_seconds(delays.trimmed_ms))
        if signal == "orders":
            paid = scope.paid_since(since_ms)
            return _reading(float(paid), paid, is_empty_ok=True)
        if signal == "throughput":
            delivered = scope.delivered_since(since_ms)
            span_s = max(self.now_ms - since_ms, 1) / SECOND_MS
            return _reading(delivered / span_s, delivered, is_empty_ok=True)
        counts = self._counts_of(names, scope, since_ms)
        k = {
            "delayed_ratio": counts.breached,
            "bad_ratio": counts.judged - counts.good,
            "failed_ratio": counts.failed,
        }[signal]
        ratio = k / counts.judged if counts.judged else None
        return _reading(ratio, counts.judged, k=k)

    def _read_now(self, signal: str, window: Window | None, scope: Scope) -> Reading:
        ages = scope.open_ages_ms()
        if signal == "oldest_age":
            return _reading(
                _seconds(float(ages.max()) if len(ages) else 0.0), len(ages), is_empty_ok=True
            )
        if signal == "open_orders":
            return _reading(float(len(ages)), len(ages), is_empty_ok=True)
        if signal == "consecutive_late":
            streak = scope.consecutive(good=False)
            return _reading(float(streak), streak, is_empty_ok=True)
        sums: HealthSums = scope.health(scope.since_ms(window or HEALTH_WINDOW), self._anchors)
        index = health_from_sums(sums)
        return _reading(index.value, index.n)

    def _read_quantile(
        self, signal: str, window: Window | None, scope: Scope, limit_s: float | None
    ) -> Reading:
        since_ms = scope.since_ms(window or HEALTH_WINDOW)
        curve = scope.curve(since_ms)
        limit_ms = (limit_s or 0.0) * SECOND_MS
        k, n = scope.longer_than(limit_ms, since_ms)
        if curve.n_events + curve.n_censored == 0:
            return NO_DATA
        # None here means "not reached": so many still wait that the percentile lies beyond all ages.
        value = curve.quantile(QUANTILES[signal]).value_s
        return Reading(value=value, k=k, n=n, trimmed=None, state="ok")

    def _read_source(
        self, signal: str, matchers: tuple[Matcher, ...], labels: Mapping[str, str]
    ) -> Reading:
        chosen = [
            source
            for source in self._sources
            if labels.get("source") in (None, source.name)
            and matches(matchers, {"source": source.name})
        ]
        if not chosen:
            return NO_DATA
        if signal == "source_silent":
            silent = sum(source.is_silent for source in chosen)
            return _reading(float(silent), len(chosen), is_empty_ok=True)
        return _reading(_seconds(float(max(source.age_ms for source in chosen))), len(chosen))

    def _scope(
        self, matchers: tuple[Matcher, ...], labels: Mapping[str, str]
    ) -> tuple[tuple[str, ...], Scope]:
        asked = (matchers, labels.get("channel"))
        if asked not in self._names:
            self._names[asked] = tuple(
                name
                for name in self._channels
                if asked[1] in (None, name) and matches(matchers, {"channel": name})
            )
        names = self._names[asked]
        if names not in self._scopes:
            wanted = np.array([name in names for name in self._channels] or [False])
            mask = wanted[self._rows.channel] if len(self._rows.channel) else np.zeros(0, np.bool_)
            # No rule may rest on what a silent source or a backlog says nothing of (contract §2).
            is_unknown = self._rows.is_held | self._rows.is_unconfirmed
            self._scopes[names] = Scope(self._rows, mask & ~is_unknown, self.now_ms)
            self._unconfirmed[names] = bool((mask & self._rows.is_unconfirmed).any())
        return names, self._scopes[names]

    def _counts_of(self, names: tuple[str, ...], scope: Scope, since_ms: int) -> Counts:
        key = (names, since_ms)
        if key not in self._counts:
            self._counts[key] = scope.counts(since_ms)
        return self._counts[key]


def _reading(
    value: float | None,
    n: int,
    *,
    k: int | None = None,
    trimmed: float | None = None,
    is_empty_ok: bool = False,
) -> Reading:
    state = "ok" if value is not None and (n or is_empty_ok) else "no_data"
    return Reading(value=value, k=k, n=n, trimmed=trimmed, state=state)


def _seconds(duration_ms: float | None) -> float | None:
    return None if duration_ms is None else duration_ms / SECOND_MS
