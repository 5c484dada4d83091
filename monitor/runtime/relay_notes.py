"""What an operator must be told of callbacks that are owed: to whom, and why they do not go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from monitor.core.relay.desk import ShopDesk
from monitor.model.relay import RelayCounts
from monitor.model.times import format_duration


def notes_of(desks: Mapping[str, ShopDesk], counts: RelayCounts, now_ms: int) -> list[str]:
    """Per shop what is owed, and per relay that nobody configures any more; then cases for people."""
    found = []
    for shop, desk in desks.items():
        of_relay = Counter(one.relay for one in desk.items.values() if one.is_taken)
        left = {
            relay: of_relay.pop(relay) for relay in sorted(of_relay) if not desk.is_served(relay)
        }
        owed = of_relay.total()
        since_ms = desk.circuit.since_ms
        if since_ms is not None:
            away = format_duration(max(0, now_ms - since_ms))
            found.append(f"relay: shop {shop} does not answer for {away}; {owed} callbacks owed")
        elif owed:
            found.append(f"relay: {owed} callbacks are owed to shop {shop}")
        found += [
            f"relay: {count} callbacks are owed by relay {relay}, which is not configured any more:"
            " nobody gets them until it is again"
            for relay, count in left.items()
        ]
    if counts.undelivered:
        found.append(f"relay: {counts.undelivered} callbacks need a person")
    if counts.conflicts:
        found.append(f"relay: {counts.conflicts} callbacks contradict an earlier one")
    return found
