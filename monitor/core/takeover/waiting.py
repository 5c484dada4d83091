"""Who waits for a channel, best first: by tier, VIP, speed, amount, and then by age.

Two queues a channel, for some slots are kept for VIP buyers and L3. A case stands in one queue at
most; a place that was taken back stays in the heap until it comes up.
"""

from __future__ import annotations

import heapq

import msgspec

from monitor.core.orders.order import Order
from monitor.model.takeovers import TakeoverCase

_SPEEDS = {"express": 0, "economy": 2}  # what is neither stands between
PRIVILEGED_TIER = 3
STALE_MAX = 64

Rank = tuple[int, int, int, int, int, str]


class Place(msgspec.Struct, frozen=True, gc=False):
    """Where a case stands; the lower rank goes first."""

    rank: Rank
    is_privileged: bool


def place_of(case: TakeoverCase, order: Order | None) -> Place:
    """The place of a case by what is known of its order now."""
    if order is None:
        return Place((0, 1, 1, -(case.amount_minor or 0), case.opened_ms, case.takeover_id), False)
    facts = order.facts
    is_vip = facts.customer_tier == "vip"
    rank = (
        -order.tier,
        0 if is_vip else 1,
        _SPEEDS.get(facts.speed or "", 1),
        -(case.amount_minor or 0),
        case.opened_ms if facts.paid_ms is None else facts.paid_ms,
        case.takeover_id,
    )
    return Place(rank, is_vip or order.tier >= PRIVILEGED_TIER)


class Queues:
    """The waiting cases of all channels."""

    def __init__(self) -> None:
        self._places: dict[str, tuple[str, Place]] = {}
        self._heaps: dict[tuple[str, bool], list[Rank]] = {}
        self._counts: dict[str, int] = {}

    def __len__(self) -> int:
        """How many cases wait."""
        return len(self._places)

    def count(self, channel: str) -> int:
        """How many cases wait for a channel."""
        return self._counts.get(channel, 0)

    def channels(self) -> list[str]:
        """Channels that somebody waits for, by name."""
        return sorted(self._counts)

    def put(self, takeover_id: str, channel: str, place: Place) -> None:
        """Let a case wait for a channel, instead of anywhere else."""
        if self._places.get(takeover_id) == (channel, place):
            return
        self.drop(takeover_id)
        self._places[takeover_id] = (channel, place)
        self._counts[channel] = self._counts.get(channel, 0) + 1
        heap = self._heaps.setdefault((channel, place.is_privileged), [])
        heapq.heappush(heap, place.rank)
        if len(heap) > 2 * self._counts[channel] + STALE_MAX:
            self._heaps[channel, place.is_privileged] = sorted(
                other.rank
                for where, other in self._places.values()
                if where == channel and other.is_privileged == place.is_privileged
            )

    def drop(self, takeover_id: str) -> None:
        """Let a case wait no more."""
        found = self._places.pop(takeover_id, None)
        if found is None:
            return
        channel = found[0]
        self._counts[channel] -= 1
        if not self._counts[channel]:
            del self._counts[channel]
            self._heaps.pop((channel, True), None)
            self._heaps.pop((channel, False), None)

    def first(self, channel: str, *, only_privileged: bool) -> Rank | None:
        """The rank of who goes next; its last part is the takeover id."""
        heads = [self._head(channel, is_privileged=True)]
        if not only_privileged:
            heads.append(self._head(channel, is_privileged=False))
        return min((head for head in heads if head is not None), default=None)

    def _head(self, channel: str, *, is_privileged: bool) -> Rank | None:
        heap = self._heaps.get((channel, is_privileged))
        while heap:
            found = self._places.get(heap[0][-1])
            if found is not None and found[0] == channel and found[1].rank == heap[0]:
                return heap[0]
            heapq.heappop(heap)
        return None
