"""Synthetic orders: placed on time, noted as created, never repeated."""

import asyncio
from collections.abc import Sequence

from monitor.model.errors import Permanent
from monitor.model.events import OrderEvent
from monitor.runtime.canary import Canaries
from monitor.sim.virtual_loop import VirtualClock, run_virtual

EVERY_MS = 60_000


class Shop:
    """Takes orders while it is open."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.is_open = True

    async def buy(self, order_id: str, now_ms: int) -> None:
        self.asked.append(order_id)
        if not self.is_open:
            raise Permanent("the shop is closed", code="refused")


class Log:
    """Keeps what is submitted."""

    def __init__(self) -> None:
        self.events: list[OrderEvent] = []

    async def submit(self, entries: Sequence[OrderEvent]) -> tuple[str, ...]:
        self.events.extend(entries)
        return ("accepted",) * len(entries)


def watched(shop: Shop, log: Log, span_s: float) -> None:
    """Let canaries be placed for a while of virtual time."""

    async def watch() -> None:
        canaries = Canaries(shop, log, VirtualClock(), sku="test-key", every_ms=EVERY_MS)
        task = asyncio.get_running_loop().create_task(canaries.run())
        await asyncio.sleep(span_s)
        task.cancel()

    run_virtual(watch())


def test_one_order_every_minute_at_fixed_points_in_time() -> None:
    """Ten minutes, ten orders, each noted as created under the id that the shop got."""
    shop, log = Shop(), Log()
    watched(shop, log, 601)
    assert len(log.events) == 10
    assert [event.order_id for event in log.events] == shop.asked
    assert {event.time_ms % EVERY_MS for event in log.events} == {0}
    assert {(event.type, event.source, event.sku) for event in log.events} == {
        ("order.created", "canary", "test-key")
    }


def test_order_that_was_not_taken_is_not_noted_and_the_next_is_a_fresh_one() -> None:
    """A shop that is down gets no pile of old canaries when it is back."""
    shop, log = Shop(), Log()
    shop.is_open = False
    watched(shop, log, 301)
    assert len(set(shop.asked)) == 5
    assert log.events == []
