"""How many orders each payment provider was asked to take, and how many of them it confirmed.

What a shard keeps: whole numbers per minute in which orders were created, so that shards add up.
A confirmation is counted in the minute of its order's creation; an order that a source only ever
announces as paid was never created here, and is left out by the caller passing no creation time.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import msgspec
import numpy as np

from monitor.core.signals.arrays import IntArray
from monitor.model.times import HOUR_MS, MINUTE_MS

MINUTES = 480
"""Eight hours: six that are looked at, and those that are learned when they are two hours old."""

LAG_EDGES_MS = tuple(round(250 * 2 ** (step / 4)) for step in range(65))
"""Upper edges of the lag buckets, a quarter of an octave each, 250 ms to 4 h 33 min."""

LAG_BUCKETS = len(LAG_EDGES_MS) + 1
LAG_HOURS = 8
_ROWS_FIRST = 4
_NEWS_MAX = 10_000


class CountsOfProvider(msgspec.Struct, frozen=True):
    """Non-zero counts of one provider: (minute, created, paid) and (hour, bucket, count)."""

    provider: str
    minutes: tuple[tuple[int, int, int], ...]
    lags: tuple[tuple[int, int, int], ...]


class CallbackCountsSnapshot(msgspec.Struct, frozen=True):
    """A `CallbackCounter` at rest, providers by name."""

    head_minute: int = 0
    providers: tuple[CountsOfProvider, ...] = ()


class CallbackCounter:
    """Counts creations and payments per provider; the caller bounds how many there are.

    What is counted waits in `_news` until somebody reads: a cell of an array costs ten times more
    than one of a dictionary, and the orders of a second go into the same few.
    """

    __slots__ = ("_created", "_head", "_lags", "_news", "_news_lags", "_paid", "_rows")

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._created = np.zeros((_ROWS_FIRST, MINUTES), np.int64)
        self._paid = np.zeros((_ROWS_FIRST, MINUTES), np.int64)
        self._lags = np.zeros((_ROWS_FIRST, LAG_HOURS, LAG_BUCKETS), np.int64)
        self._head = 0
        self._news: dict[tuple[int, int], list[int]] = {}  # created, paid by row and minute
        self._news_lags: dict[tuple[int, int, int], int] = {}  # by row, hour and bucket

    @property
    def names(self) -> tuple[str, ...]:
        """The providers seen so far, sorted."""
        return tuple(sorted(self._rows))

    @property
    def head_minute(self) -> int:
        """Number of the newest minute that was reached."""
        return self._head

    def created(self, provider: str, at_ms: int, n: int = 1) -> None:
        """Count an order created with a provider, at the shop's time.

        `n` -1 takes back what was counted, in the same words.
        """
        row, minute = self._row_of(provider), at_ms // MINUTE_MS
        self.advance(minute)
        self._news_of(row, minute)[0] += n
        if n < 0:
            self._drop_if_empty(provider)

    def paid(self, provider: str, created_ms: int | None, paid_ms: int, n: int = 1) -> None:
        """Count an order's first payment; `provider` and `created_ms` as `created` was told them.

        None: no creation was counted for this order, so its payment says nothing either. `n` -1
        takes back what was counted.
        """
        if created_ms is None:
            return
        row, minute = self._row_of(provider), created_ms // MINUTE_MS
        self.advance(max(minute, paid_ms // MINUTE_MS))
        self._news_of(row, minute)[1] += n
        bucket = bisect_left(LAG_EDGES_MS, paid_ms - created_ms)
        if len(self._news_lags) >= _NEWS_MAX:
            self._take_news()
        key = (row, paid_ms // HOUR_MS, bucket)
        self._news_lags[key] = self._news_lags.get(key, 0) + n
        if n < 0:
            self._drop_if_empty(provider)

    def advance(self, to_minute: int) -> None:
        """Make room up to a minute: what is eight hours older is forgotten."""
        if to_minute <= self._head:
            return
        fresh = np.arange(max(self._head + 1, to_minute - MINUTES + 1), to_minute + 1)
        self._created[:, fresh % MINUTES] = 0
        self._paid[:, fresh % MINUTES] = 0
        hour, last = to_minute // 60, self._head // 60
        hours = np.arange(max(last + 1, hour - LAG_HOURS + 1), hour + 1)
        self._lags[:, hours % LAG_HOURS] = 0
        self._head = to_minute

    def matrices(self, providers: Sequence[str], until_minute: int) -> tuple[IntArray, IntArray]:
        """Created and paid per minute in the eight hours that end with a minute, oldest first.

        Shapes: both int64[len(providers), 480]; providers that are not known have zeros.
        """
        self._take_news()
        minutes = np.arange(until_minute - MINUTES + 1, until_minute + 1)
        rows = np.array([self._rows.get(name, -1) for name in providers], np.int64)
        is_held = (minutes <= self._head) & (minutes > self._head - MINUTES)
        held = is_held[None, :] & (rows >= 0)[:, None]
        column = minutes % MINUTES
        return self._created[rows][:, column] * held, self._paid[rows][:, column] * held

    def lags(self, providers: Sequence[str], from_hour: int, until_hour: int) -> IntArray:
        """Lag counts of payments made in hours (time ÷ 1 h) from … until; int64[names, buckets]."""
        self._take_news()
        rows = np.array([self._rows.get(name, -1) for name in providers], np.int64)
        newest = self._head // 60
        hours = np.arange(max(from_hour, newest - LAG_HOURS + 1), min(until_hour, newest) + 1)
        counts: IntArray = self._lags[rows][:, hours % LAG_HOURS].sum(axis=1)
        return counts * (rows >= 0)[:, None]

    def merge(self, other: CallbackCounter) -> None:
        """Add another shard's counts to these."""
        self._add(other.snapshot())

    def snapshot(self) -> CallbackCountsSnapshot:
        """Everything counted, in an order that does not depend on arrival."""
        names = self.names
        created, paid = self.matrices(names, self._head)
        first = self._head - MINUTES + 1
        newest = self._head // 60
        providers = []
        for index, name in enumerate(names):
            minutes = tuple(
                (first + int(at), int(created[index, at]), int(paid[index, at]))
                for at in np.flatnonzero(created[index] + paid[index])
            )
            lags = tuple(
                (hour, int(bucket), int(counts[bucket]))
                for hour in range(newest - LAG_HOURS + 1, newest + 1)
                for counts in (self._lags[self._rows[name], hour % LAG_HOURS],)
                for bucket in np.flatnonzero(counts)
            )
            providers.append(CountsOfProvider(name, minutes, lags))
        return CallbackCountsSnapshot(self._head, tuple(providers))

    @classmethod
    def restore(cls, snapshot: CallbackCountsSnapshot) -> CallbackCounter:
        """The counter that a snapshot was taken of."""
        counter = cls()
        counter._add(snapshot)
        return counter

    def _add(self, snapshot: CallbackCountsSnapshot) -> None:
        self.advance(snapshot.head_minute)
        for held in snapshot.providers:
            row = self._row_of(held.provider)
            for minute, created, paid in held.minutes:
                if minute > self._head - MINUTES:
                    self._created[row, minute % MINUTES] += created
                    self._paid[row, minute % MINUTES] += paid
            for hour, bucket, count in held.lags:
                if hour > self._head // 60 - LAG_HOURS:
                    self._lags[row, hour % LAG_HOURS, bucket] += count

    def _news_of(self, row: int, minute: int) -> list[int]:
        news = self._news.get((row, minute))
        if news is None:
            if len(self._news) >= _NEWS_MAX:
                self._take_news()
            news = self._news[row, minute] = [0, 0]
        return news

    def _take_news(self) -> None:
        """Bring what was counted into the arrays; what they are past by now is dropped."""
        for (row, minute), (created, paid) in self._news.items():
            if minute > self._head - MINUTES:
                self._created[row, minute % MINUTES] += created
                self._paid[row, minute % MINUTES] += paid
        for (row, hour, bucket), count in self._news_lags.items():
            if hour > self._head // 60 - LAG_HOURS:
                self._lags[row, hour % LAG_HOURS, bucket] += count
        self._news.clear()
        self._news_lags.clear()

    def _drop_if_empty(self, provider: str) -> None:
        """Forget a provider of which everything was taken back; the last row moves to its place."""
        self._take_news()
        row, counts = self._rows.get(provider), (self._created, self._paid, self._lags)
        if row is None or any(one[row].any() for one in counts):
            return
        last = len(self._rows) - 1
        mover = next(name for name, place in self._rows.items() if place == last)
        self._rows[mover] = row
        del self._rows[provider]
        for one in counts:
            one[row] = one[last]
            one[last] = 0

    def _row_of(self, provider: str) -> int:
        row = self._rows.get(provider)
        if row is not None:
            return row
        row = len(self._rows)
        if row == self._created.shape[0]:
            self._created = np.concatenate((self._created, np.zeros_like(self._created)))
            self._paid = np.concatenate((self._paid, np.zeros_like(self._paid)))
            self._lags = np.concatenate((self._lags, np.zeros_like(self._lags)))
        self._rows[provider] = row
        return row
