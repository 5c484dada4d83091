"""Changed orders are stored in small steps, so that nobody waits long behind them."""

import asyncio

from monitor.ports import Checkpoint, Lease, Segment
from monitor.runtime.order_rows import order_of
from monitor.runtime.saving import ROWS_PER_COMMIT, SAVE_AFTER
from monitor.sim.virtual_loop import run_virtual
from tests.unit.runtime.service import FaultyStore, Service, event

MANY = 10 * ROWS_PER_COMMIT


class WatchedStore(FaultyStore):
    """Notes what was written, in order: `a` for an append, the number of rows for a commit."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[str | int] = []

    async def append(self, segment: Segment) -> int:
        self.written.append("a")
        await asyncio.sleep(0.001)
        return await super().append(segment)

    async def commit(self, lease: Lease, checkpoint: Checkpoint) -> int:
        self.written.append(len(checkpoint.orders))
        await asyncio.sleep(0.001)
        return await super().commit(lease, checkpoint)


def test_many_changed_orders_are_stored_in_steps_between_appends() -> None:
    """An append waits behind one step at most; in the end every order is stored as it is."""

    async def story() -> None:
        store = WatchedStore()
        service = await Service(store).start()
        await asyncio.sleep(2)
        await service.post(*(event(f"o{number}") for number in range(MANY)))
        while store.written[-1] != ROWS_PER_COMMIT:
            await asyncio.sleep(0.001)
        for number in range(30):
            await service.post(event(f"late{number}"))
        await asyncio.sleep(SAVE_AFTER + 5)
        rows = [one for one in store.written if isinstance(one, int)]
        assert max(rows) <= ROWS_PER_COMMIT
        assert sum(rows) >= MANY + 30
        steps = "".join("a" if one == "a" else "c" for one in store.written)
        assert "ca" * 8 in steps
        stored = await store.lookup([f"o{number}" for number in range(MANY)])
        assert len(stored) == MANY
        assert all(order_of(row).timeline for row in stored.values())
        await service.stop()

    run_virtual(story())


def test_steps_end_when_everything_is_stored() -> None:
    """A loop that has nothing to store waits."""

    async def story() -> None:
        store = WatchedStore()
        service = await Service(store).start()
        await service.post(*(event(f"o{number}") for number in range(MANY)))
        await asyncio.sleep(10)
        turns = service.loop.turns
        written = len(store.written)
        await asyncio.sleep(30)
        assert service.loop.turns - turns <= 35
        assert len(store.written) - written <= 1
        await service.stop()

    run_virtual(story())


def test_crash_between_two_steps_loses_nothing() -> None:
    """What was not stored yet is folded from the log; it is decided about once."""

    async def story() -> None:
        store = WatchedStore()
        service = await Service(store).start()
        await asyncio.sleep(2)
        await service.post(*(event(f"o{number}") for number in range(MANY)))
        while sum(one for one in store.written if isinstance(one, int)) < 2 * ROWS_PER_COMMIT:
            await asyncio.sleep(0.001)
        expected = service.engine.state_hash()
        revived = await (await service.crash()).start()
        assert revived.engine.state_hash() == expected
        await asyncio.sleep(SAVE_AFTER + 5)
        stored = await revived.store.lookup([f"o{number}" for number in range(MANY)])
        assert len(stored) == MANY
        await revived.stop()

    run_virtual(story())


def test_order_that_changes_several_times_within_seconds_is_stored_once() -> None:
    """The row is that of the last change; until then there is none."""

    async def story() -> None:
        store = WatchedStore()
        service = await Service(store).start()
        await service.post(event("o1", "order.created"))
        await asyncio.sleep(1.5)
        await service.post(event("o1"))
        await asyncio.sleep(1.5)
        await service.post(event("o1", "delivery.delivered"))
        assert await store.lookup(["o1"]) == {}
        await asyncio.sleep(SAVE_AFTER + 2)
        assert sum(one for one in store.written if isinstance(one, int)) == 1
        row = (await store.lookup(["o1"]))["o1"]
        assert order_of(row) == service.engine.shard.orders["o1"]
        await service.stop()

    run_virtual(story())
