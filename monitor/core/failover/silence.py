"""Whose orders prove nothing now: those of sources that have fallen silent (contract §2).

What an order in flight of such a source does is unknown, and the rows say so themselves. Orders
that ended before the silence are looked up here, and only for a channel about to be switched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from monitor.core.orders.order import Order
from monitor.core.signals.observation import Ints
from monitor.model.ids import hash64


def silent_keys(orders: Mapping[str, Order], is_silent: Callable[[str], bool]) -> Ints:
    """Row keys of all orders of silent sources; `is_silent` is asked by the source's name."""
    keys = [
        hash64(order_id) >> 1 for order_id, order in orders.items() if is_silent(order.facts.source)
    ]
    return np.array(keys, np.int64)
