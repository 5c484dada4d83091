"""One instant as rules see it: every signal by instance, each read once.

Instances of a rule are the names its `by` labels have in the rows, for example all channels. A
`Panel` sorts the rows by instance once per `by` and answers a signal with one array over all of
them. It lives for one evaluation; what two rules ask alike is computed once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

import msgspec
import numpy as np
import numpy.typing as npt

from monitor.core.rules.matching import matches
from monitor.core.rules.readings import Readings, counted
from monitor.core.rules.side import read_table
from monitor.core.rules.tables import SideSignals, SignalTable
from monitor.core.signals.arrays import BoolArray, FloatArray, IntArray
from monitor.core.signals.critical import CriticalCounts
from monitor.core.signals.grouped import SCOPES_MAX, Grouped, Scopes
from monitor.core.signals.health import ANCHORS, ENOUGH, Anchors
from monitor.core.signals.observation import Bools, Observation
from monitor.model.errors import InvariantError
from monitor.model.rules import QUANTILES, RATIOS, SIDE_SIGNALS, Matcher, Signal, Window
from monitor.model.times import MINUTE_MS, SECOND_MS

HEALTH_WINDOW = Window(span_ms=15 * MINUTE_MS)

Instance = tuple[str, ...]


class Domain(msgspec.Struct, frozen=True, eq=False):
    """The instances of a rule: one name per label of `by`, sorted; `((),)` for the whole shop.

    Made by `Panel.domain`, which hands out the same object for the same instances.
    """

    by: tuple[str, ...]
    instances: tuple[Instance, ...]
    places: dict[Instance, int]

    def __len__(self) -> int:
        return len(self.instances)

    def labels(self, index: int) -> dict[str, str]:
        """The labels of one instance."""
        return dict(zip(self.by, self.instances[index], strict=True))

    def place(self, instance: Instance) -> int | None:
        """The place of an instance; None if it is not one of them."""
        return self.places.get(instance)


class _Seen(msgspec.Struct, frozen=True, eq=False):
    """Instances that rows belong to, sorted, and which of them each row does.

    Shapes: int16[n]; int32[n] if they are more than SCOPES_MAX, for then they are no scopes.
    """

    instances: tuple[Instance, ...]
    codes: npt.NDArray[np.int16] | npt.NDArray[np.int32]


class Panel:
    """All signals of one instant, for rules; `critical` may be handed from panel to panel."""

    def __init__(
        self,
        rows: Observation,
        side: SideSignals,
        now_ms: int,
        anchors: Anchors = ANCHORS,
        critical: CriticalCounts | None = None,
    ) -> None:
        self.now_ms = now_ms
        self.critical = critical or CriticalCounts()
        self._rows = rows
        self._side = side
        self._anchors = anchors
        self._seen: dict[tuple[str, ...], _Seen] = {}
        self._domains: dict[tuple[tuple[str, ...], tuple[Signal, ...], bool], Domain] = {}
        self._by_name: dict[tuple[tuple[str, ...], tuple[Instance, ...]], Domain] = {}
        self._scopes: dict[Domain, Scopes | None] = {}
        self._unconfirmed: dict[Domain, BoolArray] = {}
        self._grouped: dict[tuple[Domain, tuple[Matcher, ...]], Grouped] = {}
        self._read: dict[tuple[Domain, Signal, int, float | bytes], Readings] = {}
        self._tables: dict[tuple[str, Window | None, str, bool], SignalTable] = {}

    # --- instances ----------------------------------------------------------------------------

    def domain(
        self,
        by: tuple[str, ...],
        active: Iterable[Instance] = (),
        signals: Sequence[Signal] = (),
    ) -> Domain:
        """List the instances of a rule: those seen now and those still active, by name.

        `signals` are those of the rule. Names come from the side tables it reads, and from the rows
        (held and unconfirmed ones too) unless side tables are all it reads. At most SCOPES_MAX: the
        active ones, whose alerts could never end otherwise, then the first by name.
        """
        if not by:
            return self._interned((), ((),))
        side = tuple(one for one in signals if one.name in SIDE_SIGNALS)
        key = (by, side, len(side) < len(signals) or not signals or len(by) != 1)
        if key not in self._domains:
            self._domains[key] = self._domain_of(*key)
        known = self._domains[key]
        kept = tuple(active)
        new = [one for one in kept if one not in known.places]
        return self._interned(by, (*known.instances, *new), kept) if new else known

    def _domain_of(self, by: tuple[str, ...], side: tuple[Signal, ...], reads_rows: bool) -> Domain:  # noqa: FBT001 - a key of the cache
        found = dict.fromkeys(self._seen_by(by).instances if reads_rows else ())
        for signal in side:
            table = self._table(signal, is_split=True)
            found.update(dict.fromkeys((name,) for name in table.names if by == (table.label,)))
        return self._interned(by, tuple(found))

    def _interned(
        self, by: tuple[str, ...], instances: Sequence[Instance], kept: Sequence[Instance] = ()
    ) -> Domain:
        """The domain of these instances; where they are too many the kept ones stay first."""
        chosen = instances
        if len(instances) > SCOPES_MAX:
            by_name = dict.fromkeys((*sorted(kept), *sorted(instances)))
            chosen = tuple(by_name)[:SCOPES_MAX]
        named = tuple(sorted(chosen))
        if (by, named) not in self._by_name:
            places = {instance: index for index, instance in enumerate(named)}
            self._by_name[by, named] = Domain(by, named, places)
        return self._by_name[by, named]

    def is_unconfirmed(self, domain: Domain) -> BoolArray:
        """Whether late orders of an instance are left out because their source is silent."""
        if domain not in self._unconfirmed:
            rows = np.flatnonzero(self._rows.is_unconfirmed)
            scopes = self._scopes_of(domain)
            inside = np.zeros(rows.size, np.int16) if scopes is None else scopes[rows]
            counts = np.bincount(inside[inside >= 0], minlength=len(domain))
            self._unconfirmed[domain] = np.asarray(counts > 0)
        return self._unconfirmed[domain]

    def good_streaks(self, domain: Domain, signals: Iterable[Signal]) -> IntArray:
        """Orders judged good in a row, the fewest over the scopes of the ratios among `signals`.

        0 where orders are unconfirmed, and without a ratio: then no streak contradicts the rule.
        """
        asked = dict.fromkeys(one.matchers for one in signals if one.name in RATIOS)
        if not asked or not len(domain):
            return np.zeros(len(domain), np.int64)
        streaks = [self._group(domain, matchers).streak(good=True) for matchers in asked]
        shortest = np.minimum.reduce(streaks)
        return np.where(self.is_unconfirmed(domain), 0, shortest)

    # --- readings -----------------------------------------------------------------------------

    def prepare(self, domain: Domain, signals: Iterable[Signal]) -> None:
        """Find the windows of all rules over the same instances in one search."""
        windows: dict[tuple[Matcher, ...], list[Window]] = {}
        for signal in signals:
            if signal.window is not None and signal.name not in SIDE_SIGNALS:
                windows.setdefault(signal.matchers, []).append(signal.window)
        for matchers, asked in windows.items():
            if len(domain):
                self._group(domain, matchers).prepare(asked)

    def read(
        self, signal: Signal, domain: Domain, *, min_count: int, limit: float | FloatArray = 0.0
    ) -> Readings:
        """Read a signal for every instance.

        `min_count`: below it what rests on a number of orders is insufficient. `limit`: in seconds,
        what percentiles count orders above, one for all or float64[instances].
        """
        asked = limit if isinstance(limit, float) else limit.tobytes()
        key = (domain, signal, min_count, asked if signal.name in QUANTILES else 0.0)
        if key not in self._read:
            self._read[key] = self._read_anew(signal, domain, min_count, limit)
        return self._read[key]

    def read_percentile(
        self, signal: Signal, domain: Domain, *, min_count: int, limit: float | FloatArray
    ) -> tuple[Readings, Callable[[IntArray], FloatArray]]:
        """Read the share of orders above a limit in seconds, and how to get percentiles of some."""
        if not len(domain):
            return Readings(np.zeros(0)), lambda _: np.zeros(0)
        grouped = self._group(domain, signal.matchers)
        since_ms = grouped.since_ms(signal.window or HEALTH_WINDOW)
        percentiles, quantile = grouped.percentiles, QUANTILES[signal.name]
        with np.errstate(over="ignore"):  # a limit beyond all numbers is one nothing exceeds
            limit_ms = limit * SECOND_MS
        k, n = percentiles.longer_than(limit_ms, since_ms)
        counts = counted(k / np.maximum(n, 1), n, k=k, min_count=min_count)
        return counts, lambda wanted: percentiles.values_s(quantile, since_ms, wanted)

    def since_ms(self, signal: Signal, domain: Domain, index: int) -> int | None:
        """Where the window of a signal starts for one instance; None for one without a window."""
        window = HEALTH_WINDOW if signal.name == "health_index" else None
        window = signal.window or window
        if window is None:
            return None
        if signal.name in SIDE_SIGNALS:
            return self.now_ms - window.span_ms
        return int(self._group(domain, signal.matchers).since_ms(window)[index])

    def trimmed_s(self, signal: Signal, domain: Domain, index: int) -> float | None:
        """The mean delay of one instance without the worst 5 %, in seconds; None of too few."""
        assert signal.window is not None
        grouped = self._group(domain, signal.matchers)
        trimmed_ms = grouped.trimmed_ms(signal.window, index)
        return None if trimmed_ms is None else trimmed_ms / SECOND_MS

    def trimmed_health(self, signal: Signal, domain: Domain) -> FloatArray:
        """The health index of every instance without the worst 5 % of its orders."""
        grouped = self._group(domain, signal.matchers)
        return grouped.trimmed_health(signal.window or HEALTH_WINDOW)

    def _read_anew(
        self, signal: Signal, domain: Domain, min_count: int, limit: float | FloatArray
    ) -> Readings:
        if not len(domain):
            return Readings(np.zeros(0))
        if signal.name in SIDE_SIGNALS:
            is_split = SIDE_SIGNALS[signal.name] in domain.by or bool(signal.matchers)
            table = self._table(signal, is_split=is_split)
            return read_table(table, signal, domain.by, domain.instances, min_count)
        grouped = self._group(domain, signal.matchers)
        if signal.name in QUANTILES:
            counts, values = self.read_percentile(signal, domain, min_count=min_count, limit=limit)
            return Readings(values(np.arange(len(domain))), counts.k, counts.n, counts.states)
        if signal.name == "health_index":
            n, index = grouped.health(signal.window or HEALTH_WINDOW)
            return counted(index, n, min_count=max(ENOUGH, min_count))
        if signal.window is None:
            return _read_now(grouped, signal.name)
        return _read_window(grouped, signal.name, signal.window, min_count)

    def _table(self, signal: Signal, *, is_split: bool) -> SignalTable:
        key = (signal.name, signal.window, signal.argument, is_split)
        if key not in self._tables:
            self._tables[key] = self._side.table(signal, is_split=is_split)
        return self._tables[key]

    # --- rows by instance -----------------------------------------------------------------------

    def _group(self, domain: Domain, matchers: tuple[Matcher, ...]) -> Grouped:
        key = (domain, matchers)
        if key not in self._grouped:
            scopes = self._scopes_of(domain)
            shut = self._shut_out(matchers)
            if shut is not None:
                whole = np.zeros(shut.size, np.int16) if scopes is None else scopes
                scopes = np.where(shut, np.int16(-1), whole)
            labels = (*domain.by, *(matcher.label for matcher in matchers))
            self._grouped[key] = Grouped(
                self._rows, scopes, len(domain), self.now_ms,
                is_by_channel="channel" in labels, anchors=self._anchors,
            )  # fmt: skip
        return self._grouped[key]

    def _shut_out(self, matchers: tuple[Matcher, ...]) -> Bools | None:
        """Rows that count for no rule, or not for these matchers; None where all count."""
        shut = self._unknown
        for label in dict.fromkeys(matcher.label for matcher in matchers):
            mine = [matcher for matcher in matchers if matcher.label == label]
            names = self._rows.names.of(label)
            is_out = np.array([not matches(mine, {label: name}) for name in names] or [True])
            out = is_out[getattr(self._rows, label)]
            shut = out if shut is None else shut | out
        return shut

    @cached_property
    def _unknown(self) -> Bools | None:
        """No rule may rest on what a silent source or a backlog says nothing of (contract §2)."""
        unknown = self._rows.is_held | self._rows.is_unconfirmed
        return unknown if unknown.any() else None

    def _scopes_of(self, domain: Domain) -> Scopes | None:
        """Which instance each row belongs to, -1 for none; None where there is one for all."""
        if not domain.by:
            return None
        if domain not in self._scopes:
            seen = self._seen_by(domain.by)
            if seen.instances == domain.instances:
                self._scopes[domain] = seen.codes.astype(np.int16, copy=False)
            else:
                codes = [domain.places.get(instance, -1) for instance in seen.instances]
                self._scopes[domain] = np.array(codes or [-1], np.int16)[seen.codes]
        return self._scopes[domain]

    def _seen_by(self, by: tuple[str, ...]) -> _Seen:
        if by not in self._seen:
            self._seen[by] = _seen_in(self._rows, by)
        return self._seen[by]


def _seen_in(rows: Observation, by: tuple[str, ...]) -> _Seen:
    """Number the instances that rows belong to by name."""
    names = [rows.names.of(label) for label in by]
    sizes = [max(len(one), 1) for one in names]
    codes = getattr(rows, by[0])
    for label, size in zip(by[1:], sizes[1:], strict=True):
        codes = codes * np.int64(size) + getattr(rows, label)
    if math.prod(sizes) <= SCOPES_MAX:
        found = np.flatnonzero(np.bincount(codes, minlength=1))
        places = found
    else:
        found, codes = np.unique(codes, return_inverse=True)
        places = np.arange(found.size)
    parts = np.unravel_index(found, sizes)
    labels = [
        tuple(names[place][code] for place, code in enumerate(row))
        for row in zip(*(part.tolist() for part in parts), strict=True)
    ]
    order = sorted(range(len(labels)), key=labels.__getitem__)
    ranks = np.zeros(len(order), np.int64)
    ranks[order] = np.arange(len(order))
    # Numbers as small as they may be: there is one per row.
    small = np.int16 if len(order) <= SCOPES_MAX else np.int32
    rank_of = np.zeros(int(places.max(initial=0)) + 1, small)
    rank_of[places] = ranks
    return _Seen(tuple(labels[index] for index in order), rank_of[codes])


def _read_window(grouped: Grouped, name: str, window: Window, min_count: int) -> Readings:
    match name:
        case "mean_delay":
            n, mean_ms = grouped.delays(window)
            return counted(mean_ms / SECOND_MS, n, min_count=min_count)
        case "orders":
            paid = grouped.paid(window)
            return Readings(paid.astype(np.float64), n=paid)
        case "throughput":
            delivered = grouped.delivered(window)
            span_s = np.maximum(grouped.now_ms - grouped.since_ms(window), 1) / SECOND_MS
            return Readings(delivered / span_s, n=delivered)
        case "delayed_ratio":
            k = grouped.breached(window)
        case "bad_ratio":
            k = grouped.bad(window)
        case "failed_ratio":
            k = grouped.failed(window)
        case _:
            raise InvariantError(f"no signal {name!r} has a window")
    n = grouped.judged(window)
    # Nothing of nothing is no data, whatever 0/1 says.
    return counted(k / np.maximum(n, 1), n, k=k, min_count=min_count)


def _read_now(grouped: Grouped, name: str) -> Readings:
    match name:
        case "oldest_age":
            return Readings(grouped.oldest_ms() / SECOND_MS, n=grouped.open_orders())
        case "open_orders":
            n = grouped.open_orders()
        case "consecutive_late":
            n = grouped.streak(good=False)
        case _:
            raise InvariantError(f"no signal {name!r} is known")
    return Readings(n.astype(np.float64), n=n)
