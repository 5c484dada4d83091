"""How many orders, and of what value, the executor may take over: checks over a ledger.

Three moments: *opening* a case counts towards `max_per_hour`; the money is checked against the
shop's own amount when it answers the claim, because an event may be wrong or forged, and the claim
itself costs nothing; and once more at every submit, the only moment that spends. An event without
an amount therefore does not stop a case from being opened; a shop that names no amount stops it
(`amount_unknown` in `by_shop`).

A case counts while it may still buy, and for a day after its last submit: no 24 hours, wherever
they begin, hold more than the limit.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right, insort

import msgspec

from monitor.model.settings import Settings
from monitor.model.takeovers import CaseState, TakeoverCase
from monitor.model.times import DAY_MS, HOUR_MS

# States in which the machine may submit without asking anybody.
_MAY_BUY = (
    CaseState.CLAIMING,
    CaseState.CLAIMED,
    CaseState.SUBMITTING,
    CaseState.ACCEPTED,
    CaseState.UNKNOWN,
)


class Spent(msgspec.Struct, frozen=True, omit_defaults=True):
    """One case that was opened; `amount_minor` 0 while unknown or when nothing came of it.

    `spent_ms` is its last submit; one that `may_buy` counts however old it is.
    """

    takeover_id: str
    opened_ms: int
    amount_minor: int
    spent_ms: int = 0
    may_buy: bool = False

    @property
    def end_ms(self) -> int:
        """From when on it counts no more, if it buys nothing more."""
        return max(self.opened_ms, self.spent_ms) + DAY_MS


class Spending(msgspec.Struct, frozen=True):
    """The cases that count, as they are stored: in the order in which they were opened."""

    entries: tuple[Spent, ...] = ()


class Ledger:
    """The cases that count and the sum of their values; what is asked costs no walk over them.

    Entries leave only when another is recorded, so that the same records lead to the same ledger;
    which of them have ended meanwhile is remembered beside them.
    """

    def __init__(self, spending: Spending | None = None) -> None:
        self._entries: dict[str, Spent] = {}
        self._ends: list[tuple[int, str]] = []
        self._ended: dict[str, None] = {}
        self._value = 0
        self._opened: list[int] = []
        for entry in spending.entries if spending is not None else ():
            self._enter(entry)

    @property
    def spending(self) -> Spending:
        """The ledger as a value."""
        return Spending(tuple(self._entries.values()))

    def record(self, entry: Spent, now_ms: int) -> None:
        """Enter a case, or correct the one that is there; what no longer counts by now leaves."""
        known = self._entries.get(entry.takeover_id)
        if known == entry:
            return
        if known is not None and entry.takeover_id not in self._ended:
            self._value -= known.amount_minor
        if entry.may_buy or entry.end_ms > now_ms:
            self._enter(entry)
        elif known is not None:
            self._ended[entry.takeover_id] = None
        self._end(now_ms)
        for takeover_id in self._ended:
            del self._entries[takeover_id]
        self._ended.clear()
        old = bisect_right(self._opened, now_ms - HOUR_MS)
        if 2 * old > len(self._opened):  # seldom: it moves all others
            del self._opened[:old]

    def opened_since(self, since_ms: int) -> int:
        """How many cases were opened later than this, within the last hour."""
        return len(self._opened) - bisect_right(self._opened, since_ms)

    def value(self, now_ms: int, without: str | None = None) -> int:
        """The value that counts now, without that of one case."""
        self._end(now_ms)
        own = None if without is None or without in self._ended else self._entries.get(without)
        return self._value - (own.amount_minor if own is not None else 0)

    def _enter(self, entry: Spent) -> None:
        if entry.takeover_id not in self._entries:
            insort(self._opened, entry.opened_ms)
        self._entries[entry.takeover_id] = entry
        self._ended.pop(entry.takeover_id, None)
        self._value += entry.amount_minor
        if not entry.may_buy:
            heapq.heappush(self._ends, (entry.end_ms, entry.takeover_id))

    def _end(self, now_ms: int) -> None:
        while self._ends and self._ends[0][0] <= now_ms:
            end_ms, takeover_id = heapq.heappop(self._ends)
            entry = self._entries.get(takeover_id)
            if entry is None or entry.may_buy or entry.end_ms != end_ms:
                continue  # it was corrected since
            if takeover_id not in self._ended:
                self._value -= entry.amount_minor
                self._ended[takeover_id] = None


def spent_by(case: TakeoverCase, settings: Settings) -> Spent | None:
    """The entry of a case; None for one that was only advised: it costs nothing."""
    if case.state == CaseState.ADVISED:
        return None
    nothing_bought = case.state == CaseState.VOIDED and not case.attempts
    amount_minor = counted_amount(settings, case.currency, case.amount_minor)
    return Spent(
        takeover_id=case.takeover_id,
        opened_ms=case.opened_ms,
        amount_minor=0 if nothing_bought else amount_minor or 0,
        spent_ms=case.attempts[-1].submitted_ms if case.attempts else 0,
        may_buy=case.state in _MAY_BUY,
    )


def counted_amount(
    settings: Settings, currency: str | None, amount_minor: int | None
) -> int | None:
    """The amount as far as it counts towards limits: None in another currency than ours.

    Nothing is ever bought for an order in another currency (`currency_mismatch` in `by_shop`).
    """
    return None if is_foreign(settings, currency) else amount_minor


def is_foreign(settings: Settings, currency: str | None) -> bool:
    """Whether an order names another currency than the one all limits are in."""
    return currency is not None and currency.upper() != settings.currency


def may_open(
    ledger: Ledger, settings: Settings, amount_minor: int | None, now_ms: int
) -> str | None:
    """Say why one more case may not be opened now, or None if it may.

    Returns: None, `max_per_hour` or `max_value_per_day`. A sliding hour and a sliding day.
    """
    recent = ledger.opened_since(now_ms - HOUR_MS)
    if recent >= settings.fallback.max_per_hour:
        return "max_per_hour"
    limit = settings.fallback.max_value_per_day_minor
    return "max_value_per_day" if ledger.value(now_ms) + (amount_minor or 0) > limit else None


def may_spend(
    ledger: Ledger, settings: Settings, takeover_id: str, amount_minor: int | None, now_ms: int
) -> str | None:
    """Say why a claimed order of this value may not be delivered by us, or None if it may.

    Returns: None, `amount_unknown` or `max_value_per_day`. The case's own entry is not counted.
    """
    if amount_minor is None:
        return "amount_unknown"
    limit = settings.fallback.max_value_per_day_minor
    others = ledger.value(now_ms, without=takeover_id)
    return "max_value_per_day" if others + amount_minor > limit else None
