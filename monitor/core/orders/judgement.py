"""What time brings to the orders of a shard, as one value."""

from __future__ import annotations

import msgspec

from monitor.core.orders.order import Order
from monitor.model.records import Breached, CaseMoved, SourceMoved, TierReached

ShardDecision = Breached | TierReached | SourceMoved | CaseMoved


class Judgement(msgspec.Struct, frozen=True):
    """What time has brought: decisions already applied, orders to take over, cases to look at.

    `looked` are open orders that were due for whatever reason, `left` are no longer in memory.
    """

    decisions: tuple[ShardDecision, ...]
    stuck: tuple[Order, ...]
    woken: tuple[Order, ...]
    left: tuple[Order, ...]
    looked: tuple[Order, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether time brought nothing, as nearly always."""
        return not (self.decisions or self.stuck or self.woken or self.left or self.looked)


NOTHING = Judgement((), (), (), ())
