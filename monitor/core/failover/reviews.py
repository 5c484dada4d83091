"""Which scopes people have put under manual review; a review ends by its time or by hand.

A review that is over by its time is simply not standing any more: nothing has to happen for that,
so a restart behind the end finds it ended as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from monitor.core.orders.order import Order
from monitor.model.ids import UNNAMED_CHANNEL
from monitor.model.records import ReviewOrdered
from monitor.model.reviews import Review, Subject

SCOPES_MAX = 100  # of persons; the API refuses more


class Reviews:
    """Reviews by scope, as people ordered them."""

    def __init__(self, by_scope: Mapping[str, Review] | None = None) -> None:
        self.by_scope = dict(by_scope or {})

    def order(self, ordered: ReviewOrdered) -> None:
        """Take a person's word in; what is over is forgotten on the way."""
        self.by_scope = {one.scope: one for one in self.standing(ordered.at_ms)}
        if ordered.is_on:
            self.by_scope[ordered.scope] = Review(
                scope=ordered.scope,
                since_ms=ordered.at_ms,
                actor=ordered.actor,
                reason=ordered.reason,
                until_ms=ordered.until_ms,
            )
        else:
            self.by_scope.pop(ordered.scope, None)

    def standing(self, now_ms: int) -> list[Review]:
        """Reviews that are on now, by scope."""
        return [
            review
            for _, review in sorted(self.by_scope.items())
            if review.until_ms is None or now_ms < review.until_ms
        ]


def review_of(subject: Subject, standing: Iterable[Review]) -> Review | None:
    """The first review that holds the order, None if people need not check it."""
    return next((review for review in standing if subject.is_in(review.scope)), None)


def orders_under(standing: Sequence[Review], orders: Iterable[Order]) -> frozenset[str]:
    """Ids of those orders that people check."""
    return frozenset(
        order.order_id for order in orders if review_of(_subject_of(order), standing) is not None
    )


def _subject_of(order: Order) -> Subject:
    facts = order.facts
    channel = order.counts_for or UNNAMED_CHANNEL
    return Subject((channel,), facts.sku, facts.customer_tier, facts.speed)
