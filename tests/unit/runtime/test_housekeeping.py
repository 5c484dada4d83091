"""Retention: old events and orders leave the store, never what a restart needs."""

import asyncio

from monitor.model.errors import StorageError
from monitor.model.settings import Settings
from monitor.model.times import DAY_MS
from monitor.runtime.housekeeping import Housekeeper
from monitor.sim.virtual_loop import run_virtual
from tests.unit.runtime.service import Service, event

SETTINGS = Settings(event_retention_ms=30 * DAY_MS, order_retention_ms=400 * DAY_MS)


def test_old_segments_leave_once_a_snapshot_stands_for_them() -> None:
    """Thirty days later the log is short, and a restart still knows the order."""

    async def story() -> None:
        service = await Service().start()
        keeper = Housekeeper(service.store, service.loop, service.clock, SETTINGS)
        await service.post(event("o1"))
        await asyncio.sleep(5)
        service.leap(40 * DAY_MS)
        assert (await keeper.sweep())[0] == 0
        await asyncio.sleep(120)
        assert (await keeper.sweep())[0] > 0
        revived = await (await service.crash()).start()
        assert await revived.post(event("o2")) == ("accepted",)
        assert await revived.store.lookup(["o1"]) != {}
        await revived.stop()

    run_virtual(story())


def test_orders_closed_long_ago_are_purged() -> None:
    """Four hundred days by default."""

    async def story() -> None:
        service = await Service().start()
        keeper = Housekeeper(service.store, service.loop, service.clock, SETTINGS)
        await service.post(event("o1"), event("o1", "delivery.delivered"))
        await asyncio.sleep(10)
        service.leap(399 * DAY_MS)
        assert (await keeper.sweep())[1] == 0
        service.leap(2 * DAY_MS)
        assert (await keeper.sweep())[1] == 1
        await service.stop()

    run_virtual(story())


def test_store_in_trouble_is_left_alone_until_the_next_hour() -> None:
    """Housekeeping never stops the service."""

    async def story() -> None:
        service = await Service().start()
        keeper = Housekeeper(service.store, service.loop, service.clock, SETTINGS)
        service.store.fail_next(StorageError("full"))
        task = service.supervisor.spawn("housekeeping", keeper.run())
        await asyncio.sleep(4_000)
        assert not task.done()
        assert not service.supervisor.failed.is_set()
        await service.stop()

    run_virtual(story())
