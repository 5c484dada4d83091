"""What was measured outside and no order tells: a supplier's wallet, a webhook, keys in a shop.

    wallet     minor units left at the supplier of a channel; how much of it went, day by day
    webhook    whether a source's sender is on (1) or has been switched off (0)
    stock      keys not sold yet in the shop, reserved ones included: what left against what was
               delivered meanwhile

Only the latest value counts, so that a value that is told twice is nothing new.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np

from monitor.core.rules.tables import SignalTable
from monitor.model.records import Gauged
from monitor.model.times import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS

NAMES_MAX = 1_000  # of a kind; later ones are not taken
PACE_DAYS = 7
MATCHED = 3  # so often what left was delivered, before a difference means anything
BEHIND_MAX_MS = 10 * MINUTE_MS  # by then the stock was counted again
GAP_MAX_MS = 6 * HOUR_MS  # a difference that was told for so long is settled


class Gauge(msgspec.Struct, omit_defaults=True):
    """One measured thing. `falls`: what went, by day; `left`, `sold`: the ledger of a stock."""

    kind: str
    name: str
    value: int
    at_ms: int
    since_ms: int
    falls: dict[str, int] = {}
    left: int = 0
    sold: int = 0
    matched: int = 0
    behind_ms: int = 0  # since when more was sold than left
    gap_ms: int = 0  # since when more left than was sold

    def move(self, value: int, at_ms: int) -> None:
        """Take over a newer value."""
        fell = self.value - value
        self.value, self.at_ms = value, at_ms
        if fell > 0:
            day = at_ms // DAY_MS
            self.falls[str(day)] = self.falls.get(str(day), 0) + fell
            for gone in [one for one in self.falls if int(one) <= day - PACE_DAYS]:
                del self.falls[gone]
        if self.kind == "stock":
            self._balance(fell, at_ms)

    def sell(self, quantity: int, at_ms: int) -> None:
        """So many were delivered; the stock may have been counted before or after."""
        self._forget_old_gap(at_ms)
        self.sold += quantity
        self._compare(at_ms)

    def gap(self, now_ms: int) -> float | None:
        """How many left and were not delivered; None while the two are not known to match."""
        if self.matched < MATCHED:
            return None
        is_old = self.gap_ms and now_ms - self.gap_ms >= GAP_MAX_MS
        return 0.0 if is_old else float(max(self.left - self.sold, 0))

    def lasts_s(self, now_ms: int) -> float | None:
        """For how long it lasts if it goes on falling as it did; None while it never fell."""
        if self.value <= 0:
            return 0.0
        day = now_ms // DAY_MS
        fell = sum(amount for one, amount in self.falls.items() if int(one) > day - PACE_DAYS)
        if not fell:
            return None
        over_ms = min(max(now_ms - self.since_ms, DAY_MS), PACE_DAYS * DAY_MS)
        return self.value * over_ms / fell / SECOND_MS

    def _balance(self, fell: int, at_ms: int) -> None:
        self._forget_old_gap(at_ms)
        if fell < 0:  # filled up; how much was sold meanwhile cannot be told
            self.left = self.sold = self.gap_ms = self.behind_ms = 0
            return
        self.left += fell
        self._compare(at_ms)
        if self.behind_ms and at_ms - self.behind_ms >= BEHIND_MAX_MS:
            self.left = self.sold = self.behind_ms = 0  # filled up unseen, or keys sold again

    def _compare(self, at_ms: int) -> None:
        self.gap_ms = (self.gap_ms or at_ms) if self.left > self.sold else 0
        self.behind_ms = (self.behind_ms or at_ms) if self.left < self.sold else 0
        if self.left and self.left == self.sold:
            self.matched += 1
            self.left = self.sold = 0

    def _forget_old_gap(self, at_ms: int) -> None:
        if self.gap_ms and at_ms - self.gap_ms >= GAP_MAX_MS:
            self.left = self.sold = self.gap_ms = 0


class Gauges:
    """All measured things, by kind and name."""

    def __init__(self, held: Iterable[Gauge] = ()) -> None:
        self._by_kind: dict[str, dict[str, Gauge]] = {}
        for gauge in held:
            self._by_kind.setdefault(gauge.kind, {})[gauge.name] = gauge

    def note(self, told: Gauged) -> bool:
        """Take a measurement in; whether it was news."""
        known = self._by_kind.setdefault(told.kind, {})
        gauge = known.get(told.name)
        if gauge is None:
            if len(known) >= NAMES_MAX:
                return False
            known[told.name] = Gauge(told.kind, told.name, told.value, told.at_ms, told.at_ms)
            return True
        if told.value == gauge.value or told.at_ms < gauge.at_ms:
            return False
        gauge.move(told.value, told.at_ms)
        return True

    def sell(self, sku: str | None, quantity: int | None, at_ms: int) -> None:
        """The shop delivered so many of a sku."""
        gauge = self._by_kind.get("stock", {}).get(sku or "")
        if gauge is not None:
            gauge.sell(quantity or 1, at_ms)

    def value(self, kind: str, name: str) -> int | None:
        """What is known of one; None if nothing."""
        gauge = self._by_kind.get(kind, {}).get(name)
        return None if gauge is None else gauge.value

    def state(self) -> list[Gauge]:
        """Everything known, in a fixed order."""
        return [
            self._by_kind[kind][name]
            for kind in sorted(self._by_kind)
            for name in sorted(self._by_kind[kind])
        ]

    def table(self, signal: str, now_ms: int) -> SignalTable:
        """The signals `wallet`, `wallet_left`, `webhook_state` and `stock_gap`."""
        kind, label = _KINDS[signal]
        gauges = [one for _, one in sorted(self._by_kind.get(kind, {}).items())]
        match signal:
            case "wallet_left":
                read = [one.lasts_s(now_ms) for one in gauges]
            case "stock_gap":
                read = [one.gap(now_ms) for one in gauges]
            case _:
                read = [float(one.value) for one in gauges]
        values = np.array([np.nan if one is None else one for one in read], np.float64)
        names = tuple(one.name for one in gauges)
        k = np.array([one.value for one in gauges], np.int64)
        return SignalTable(label, names, values, k=k, n=k)


_KINDS = {
    "wallet": ("wallet", "channel"),
    "wallet_left": ("wallet", "channel"),
    "webhook_state": ("webhook", "source"),
    "stock_gap": ("stock", "sku"),
}
