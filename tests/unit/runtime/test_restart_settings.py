"""A restart under other settings: what was promised before stays promised."""

import asyncio

from monitor.model.settings import PromiseTable, Settings
from monitor.sim.virtual_loop import run_virtual
from tests.unit.runtime.service import Service, event

SLOW = Settings(promise=PromiseTable(default_ms=600_000))
FAST = Settings(promise=PromiseTable(default_ms=5_000))


def test_promise_survives_a_crash_and_a_restart_under_other_settings() -> None:
    """Known from the snapshot, from its stored row, or half from each."""

    async def story() -> None:
        service = await Service(settings=SLOW).start()
        await service.post(event("old"), event("evicted"), event("evicted", "delivery.delivered"))
        await asyncio.sleep(7 * 3600)
        position = service.loop.snapshot_position
        await service.post(event("half", "order.created"))
        while service.loop.snapshot_position == position:
            await asyncio.sleep(1)
        await service.post(event("evicted", "delivery.verified"), event("young"), event("half"))
        await asyncio.sleep(8)
        await service.post(event("young", "delivery.delivered"), event("last"))
        await asyncio.sleep(7.5)
        orders = service.engine.shard.orders
        assert set(orders) == {"old", "evicted", "young", "last", "half"}
        before = {name: order.facts for name, order in orders.items()}
        totals = service.engine.shard.totals
        revived = await service.crash()
        revived.engine.configure(FAST, revived.engine.control.rules)
        await revived.start()
        assert {name: order.facts for name, order in revived.engine.shard.orders.items()} == before
        assert revived.engine.shard.totals == totals
        await revived.post(event("new"))
        assert revived.engine.shard.orders["new"].facts.promise_ms == 5_000
        await revived.stop()

    run_virtual(story())
