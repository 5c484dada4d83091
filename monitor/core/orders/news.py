"""What was folded for one order and not yet derived, and whether it can change anything."""

from __future__ import annotations

from operator import attrgetter

import msgspec

from monitor.core.orders.facts import Facts
from monitor.model.events import OrderEvent

# Of the facts of an order, what its row, its deadlines and everything counted of it rest on.
_matters = attrgetter(
    "created_ms", "paid_ms", "is_paid_inferred", "promise_ms", "delivered_ms", "failed_ms",
    "cancelled_ms", "refunded_ms", "source", "channel", "sold_on", "provider", "sku",
    "customer_tier",
)  # fmt: skip


def is_new(before: Facts, facts: Facts) -> bool:
    """Whether facts differ in anything that matters beyond the order itself."""
    return (
        before.paid_ms != facts.paid_ms
        or before.delivered_ms != facts.delivered_ms
        or _matters(before) != _matters(facts)
    )


class News(msgspec.Struct, gc=False):
    """The timeline that an order is to have, and when its shop spoke of it last.

    `is_later`: whatever was added came behind all that was known. `is_moving`: some of it names
    another channel than the one that is known to hold the order.
    """

    timeline: tuple[OrderEvent, ...]
    known: int  # how many events the timeline had before
    heard_ms: int = 0
    is_later: bool = True
    is_moving: bool = False

    def take(
        self, event: OrderEvent, timeline: tuple[OrderEvent, ...], channel: str | None
    ) -> None:
        """Note one event and the timeline that it is part of; `channel` is known to hold it."""
        if timeline[-1] is not event or len(timeline) != len(self.timeline) + 1:
            self.is_later = False
        if event.channel is not None and event.channel != channel:
            self.is_moving = True
        self.timeline, self.heard_ms = timeline, event.received_ms
