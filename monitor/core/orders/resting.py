"""Which orders keep their events at hand, and which rest."""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Mapping, Sequence

from monitor.core.orders.order import Order

AWAKE_MAX = 5_000  # so many orders keep their events at hand: some 10 MiB
AT_ONCE = 1_000  # so many may go to rest in one step: 5 ms


class Resting:
    """Lets orders rest that are stored as they are, those first of which nothing came for longest."""

    def __init__(self) -> None:
        self._awake: deque[str] = deque()

    def stored(
        self, order_ids: Sequence[str], orders: Mapping[str, Order], dirty: Container[str]
    ) -> None:
        """More orders are about to be stored; of earlier ones those go to rest that did not change."""
        most = max(AT_ONCE, 2 * len(order_ids))  # else a rush would leave ever more of them awake
        for _ in range(min(len(self._awake) - AWAKE_MAX, most)):
            order_id = self._awake.popleft()
            order = orders.get(order_id)
            if order is not None and order_id not in dirty:
                order.rest()
        self._awake.extend(order_ids)
