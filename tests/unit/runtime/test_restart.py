"""Restart in virtual time: the state is the same, and nothing is decided twice."""

import asyncio
from collections import Counter

import msgspec
import pytest

from monitor.model.records import Breached, SwitchDecided, SwitchOrdered, TierReached
from monitor.model.times import DAY_MS
from monitor.ports import Checkpoint, Lease
from monitor.runtime.loop import BUSY_RECORDS, TAIL_RECORDS_MAX
from monitor.runtime.saving import ROWS_PER_COMMIT
from monitor.sim.virtual_loop import run_virtual
from monitor.testing.scenario import heartbeat
from tests.unit.runtime.service import (
    REFUSED,
    TOLD,
    FaultyStore,
    Service,
    decisions,
    event,
    now_ms,
)


@pytest.mark.parametrize("wait_s", [2, 59, 61, 200, 400, 2_000])
def test_crash_at_any_age_gives_the_same_state_and_decides_nothing_twice(wait_s: int) -> None:
    """With and without a snapshot: the whole engine is as it was, and every tier comes once."""

    async def story() -> None:
        service = await Service(settings=TOLD).start()
        await service.post(event("open"), event("quick"))
        await service.post(event("quick", "delivery.delivered"))
        for number in range(wait_s // 20):
            await asyncio.sleep(20)
            await service.post(event(f"n{number}"), heartbeat())
            await service.post(event(f"n{number}", "delivery.delivered"))
        await asyncio.sleep(2.5)
        before = service.engine.engine_hash()
        revived = await (await service.crash()).start()
        assert revived.engine.engine_hash() == before
        await asyncio.sleep(2_000)
        records = await revived.log()
        assert decisions(records, Breached)["open"] == 1
        assert Counter(one.tier for one in records if isinstance(one, TierReached)) == {
            1: 1, 2: 1, 3: 1,
        }  # fmt: skip
        await revived.stop()

    run_virtual(story())


@pytest.mark.parametrize("events", [TAIL_RECORDS_MAX // 2, TAIL_RECORDS_MAX + 500])
def test_long_tail_behind_the_snapshot_is_read_only_once(events: int) -> None:
    """A service that crashes again and again before its first snapshot does not start ever slower."""

    async def story() -> None:
        service = await Service().start()
        for start in range(0, events, 500):
            await service.post(*(event(f"o{number}") for number in range(start, start + 500)))
        revived = await (await service.crash()).start()
        await asyncio.sleep(2)
        is_long = events > TAIL_RECORDS_MAX
        assert ((await revived.store.load()).snapshot is not None) is is_long
        before = revived.engine.engine_hash()
        again = await (await revived.crash()).start()
        assert again.engine.engine_hash() == before
        await again.stop()

    run_virtual(story())


def test_busy_service_makes_a_snapshot_as_soon_as_it_is_quiet() -> None:
    """Who dies a few seconds after a rush does not have to fold all of it again."""

    async def story() -> None:
        service = await Service().start()
        for start in range(0, BUSY_RECORDS, 4_000):
            await service.post(*(heartbeat() for _ in range(start, start + 4_000)))
        assert (await service.store.load()).snapshot is None
        await asyncio.sleep(4)
        assert (await service.store.load()).snapshot_position == service.loop.snapshot_position > 0
        await service.stop()

    run_virtual(story())


class AtSnapshot(FaultyStore):
    """Keeps what was durable when the first snapshot had just been written."""

    then: FaultyStore | None = None

    async def commit(self, lease: Lease, checkpoint: Checkpoint) -> int:
        position = await super().commit(lease, checkpoint)
        if checkpoint.snapshot is not None and self.then is None:
            self.then = FaultyStore()
            self.then._durable = self.clone_durable()._durable
        return position


def test_order_whose_row_is_older_than_the_snapshot_is_stored_after_a_crash() -> None:
    """A snapshot is made while thousands wait to be stored; the crash comes before they are."""

    async def story() -> None:
        store = AtSnapshot()
        service = await Service(store).start()
        paid = [event(f"o{number}") for number in range(3_000)]
        delivered = [event(f"o{number}", "delivery.delivered") for number in range(3_000)]
        service.leap(61_000)  # a snapshot is due
        await service.post(*paid, *delivered)
        await service.stop()
        assert store.then is not None
        names = [event.order_id for event in paid]
        assert len(await store.then.lookup(names)) <= ROWS_PER_COMMIT
        revived = await Service(store.then, clock=service.clock).start()
        await asyncio.sleep(60)
        stored = await store.then.lookup(names)
        assert [name for name in names if stored[name].closed_ms is None] == []
        await revived.stop()

    run_virtual(story())


def test_orders_that_came_and_went_after_the_snapshot_are_counted_again_after_a_crash() -> None:
    """Counters and hours are part of the state, also of orders the store already holds as closed."""

    async def story() -> None:
        service = await Service().start()
        for number in range(30):
            await service.post(event(f"o{number}"))
            await asyncio.sleep(1.5)
            await service.post(event(f"o{number}", "delivery.delivered"))
        await asyncio.sleep(1.5)
        totals = service.engine.shard.totals
        revived = await (await service.crash()).start()
        assert revived.engine.shard.totals == totals
        assert (
            sum(sum(hour.delivered.values()) for hour in revived.engine.shard.history.hours()) == 30
        )
        await revived.stop()
        assert sum((await revived.store.merge(0)).delivered.values()) == 30

    run_virtual(story())


def test_late_news_of_an_evicted_order_survive_a_crash_exactly() -> None:
    """The stored row is newer than the snapshot; what the log adds to it is added once."""

    async def story() -> None:
        service = await Service().start()
        await service.post(event("o1"), event("o1", "delivery.delivered"))
        await asyncio.sleep(7 * 3600)
        assert service.engine.shard.orders == {}
        nameless = msgspec.structs.replace(event("o1", "delivery.verified"), is_unique=True)
        await service.post(event("o1", "order.refunded"), nameless, event("o2"))
        await asyncio.sleep(3)
        before = service.engine.engine_hash()
        revived = await (await service.crash()).start()
        assert revived.engine.engine_hash() == before
        await revived.stop()

    run_virtual(story())


def test_acknowledged_but_undecided_entries_are_decided_after_the_restart() -> None:
    """The crash came between the append and the commit."""

    async def story() -> None:
        service = await Service(settings=TOLD).start()
        await service.post(event("o1"))
        await asyncio.sleep(3)
        late = event("o2")
        await service.post(late)
        revived = await service.crash()
        await asyncio.sleep(400)
        await revived.start()
        await asyncio.sleep(61)
        records = await revived.log()
        assert decisions(records, Breached) == {"o1": 1, "o2": 1}
        assert revived.engine.shard.orders["o2"].timeline == (late,)
        await revived.stop()

    run_virtual(story())


def test_undecided_backlog_is_folded_whole_before_anything_is_judged() -> None:
    """Paid and delivered were both acknowledged before the crash: no breach after it."""

    async def story() -> None:
        service = await Service(settings=TOLD).start()
        await service.post(event("o1"))
        await service.post(event("o1", "delivery.delivered"))
        revived = await service.crash()
        await asyncio.sleep(4_000)
        await revived.start()
        await asyncio.sleep(100)
        records = await revived.log()
        assert decisions(records, Breached) == {}
        assert decisions(records, TierReached) == {}
        await revived.stop()

    run_virtual(story())


def test_late_duplicate_of_an_evicted_order_does_not_start_a_second_one() -> None:
    """Hours later the same event comes again: it is a duplicate, and nothing is judged anew."""

    async def story() -> None:
        service = await Service(settings=TOLD).start()
        first = event("o1")
        await service.post(first)
        await service.post(event("o1", "delivery.delivered"))
        await asyncio.sleep(7 * 3600)
        assert service.engine.shard.orders == {}
        assert await service.post(first) == ("duplicate",)
        await asyncio.sleep(3600)
        assert decisions(await service.log(), Breached) == {}
        revived = await (await service.crash()).start()
        assert await revived.post(first) == ("duplicate",)
        await revived.stop()

    run_virtual(story())


def test_dormant_order_is_found_again_by_its_late_delivery() -> None:
    """A month without news: out of memory, in the store, and ended by the delivery."""

    async def story() -> None:
        service = await Service().start()
        await service.post(event("o1"))
        await asyncio.sleep(600)
        service.leap(31 * DAY_MS)
        await asyncio.sleep(150)
        assert service.engine.shard.orders == {}
        await service.post(event("o1", "delivery.delivered"))
        order = service.engine.shard.orders["o1"]
        assert [one.type for one in order.timeline] == ["order.paid", "delivery.delivered"]
        assert decisions(await service.log(), Breached) == {"o1": 1}
        await service.stop()

    run_virtual(story())


def test_dormant_order_woken_before_a_crash_is_not_started_anew() -> None:
    """It is stored as open again and in no snapshot: the log behind the snapshot leads to it."""

    async def story() -> None:
        service = await Service().start()
        await service.post(event("o1"))
        await asyncio.sleep(600)
        service.leap(31 * DAY_MS)
        await asyncio.sleep(150)
        assert service.engine.shard.orders == {}
        await service.post(event("o1", "delivery.attempted"), event("o2"))
        await asyncio.sleep(7.5)
        before = service.engine.shard.orders["o1"]
        assert [one.type for one in before.timeline] == ["order.paid", "delivery.attempted"]
        assert (await service.store.lookup(["o1"]))["o1"].closed_ms is None
        revived = await (await service.crash()).start()
        assert revived.engine.shard.orders["o1"] == before
        assert set(revived.engine.shard.orders) == {"o1", "o2"}
        await asyncio.sleep(5)
        assert decisions(await revived.log(), Breached)["o1"] == 1
        await revived.stop()

    run_virtual(story())


def test_order_of_a_person_acknowledged_before_the_crash_is_carried_out_after_it() -> None:
    """Folding is not enough: what lies beyond the cursor still has to lead to its decision, once."""

    async def story() -> None:
        service = await Service().start()
        await service.post(event("o1"))
        await asyncio.sleep(3)
        service.store.committing = REFUSED
        ordered = SwitchOrdered("*", {"external": 100}, "test", "ann", now_ms())
        assert await service.post(ordered) == ("accepted",)
        revived = await (await service.crash()).start()
        assert revived.engine.route.epoch == 1
        again = await (await revived.crash()).start()
        assert again.engine.route.epoch == 1
        switches = [one for one in await again.log() if isinstance(one, SwitchDecided)]
        assert len(switches) == 1
        await again.stop()

    run_virtual(story())
