"""How many orders, and of what value, the executor may take over: pure checks over a ledger.

Two moments: *opening* a case counts towards `max_per_hour`; the money is checked against the
shop's own amount when it answers the claim, because an event may be wrong or forged, and the claim
itself costs nothing. An event without an amount therefore does not stop a case from being opened;
a shop that names no amount stops it (`amount_unknown` in `by_shop`).
"""

from __future__ import annotations

import msgspec

from monitor.model.settings import Settings
from monitor.model.times import DAY_MS, HOUR_MS


class Spent(msgspec.Struct, frozen=True):
    """One case that was opened; `amount_minor` 0 while unknown or when nothing came of it."""

    takeover_id: str
    opened_ms: int
    amount_minor: int


class Spending(msgspec.Struct, frozen=True):
    """The cases of the last day, oldest first; at most as long as the limits let cases open."""

    entries: tuple[Spent, ...] = ()


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
    history: Spending, settings: Settings, amount_minor: int | None, now_ms: int
) -> str | None:
    """Say why one more case may not be opened now, or None if it may.

    Returns: None, `max_per_hour` or `max_value_per_day`. A sliding hour and a sliding day.
    """
    recent = sum(entry.opened_ms > now_ms - HOUR_MS for entry in history.entries)
    if recent >= settings.fallback.max_per_hour:
        return "max_per_hour"
    limit = settings.fallback.max_value_per_day_minor
    return "max_value_per_day" if _value(history, now_ms) + (amount_minor or 0) > limit else None


def may_spend(
    history: Spending, settings: Settings, takeover_id: str, amount_minor: int | None, now_ms: int
) -> str | None:
    """Say why a claimed order of this value may not be delivered by us, or None if it may.

    Returns: None, `amount_unknown` or `max_value_per_day`. The case's own entry is not counted.
    """
    if amount_minor is None:
        return "amount_unknown"
    others = Spending(tuple(entry for entry in history.entries if entry.takeover_id != takeover_id))
    limit = settings.fallback.max_value_per_day_minor
    return "max_value_per_day" if _value(others, now_ms) + amount_minor > limit else None


def record_spending(
    history: Spending, takeover_id: str, amount_minor: int | None, now_ms: int
) -> Spending:
    """Enter a case, or correct the amount of one that is there; entries older than a day go.

    Call it at opening (event's amount), at the claim (shop's amount), and with 0 when the case
    ended before anything was submitted.
    """
    amount = amount_minor or 0
    kept = [entry for entry in history.entries if entry.opened_ms > now_ms - DAY_MS]
    if any(entry.takeover_id == takeover_id for entry in kept):
        return Spending(
            tuple(
                msgspec.structs.replace(entry, amount_minor=amount)
                if entry.takeover_id == takeover_id
                else entry
                for entry in kept
            )
        )
    return Spending((*kept, Spent(takeover_id, now_ms, amount)))


def _value(history: Spending, now_ms: int) -> int:
    return sum(entry.amount_minor for entry in history.entries if entry.opened_ms > now_ms - DAY_MS)
