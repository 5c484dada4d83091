"""Until when nothing starts for an order, and a hold that no clock can have meant."""

from __future__ import annotations

import pytest

from monitor.core.orders.facts import Facts
from monitor.core.orders.holds import Holds
from monitor.core.orders.order import Order
from monitor.core.orders.sources import Source
from monitor.model.times import HOUR_MS

NOW = 1_700_000_000_000
HOLD_MS = 60_000


@pytest.mark.parametrize(
    ("hold_until_ms", "until_ms"),
    [
        (NOW - 1, NOW - 1),
        (NOW + HOLD_MS, NOW + HOLD_MS),
        (NOW + HOUR_MS, NOW),  # set by a clock that was an hour ahead: it is over
    ],
)
def test_hold_ends_when_it_was_meant_to(hold_until_ms: int, until_ms: int) -> None:
    """An order that was seen overdue waits for a minute, and never for an hour."""
    order = Order("A1", (), Facts(), hold_until_ms=hold_until_ms)
    assert Holds(dict[str, Source]).until_ms(order, NOW, HOLD_MS).until_ms == until_ms
