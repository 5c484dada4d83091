"""The loop in virtual time: what is acknowledged is durable, what is decided is decided once."""

import asyncio
from collections import Counter

import pytest

from monitor.model.effects import Notify
from monitor.model.errors import CapacityError, FencedError, StorageError
from monitor.model.records import Breached, TierReached
from monitor.ports import Checkpoint, Lease, OrderRow
from monitor.runtime.loop import IDLE_MAX_S, STOP_S
from monitor.runtime.order_rows import order_of
from monitor.runtime.requests import PENDING_ENTRIES_MAX
from monitor.sim.virtual_loop import run_virtual
from monitor.testing.scenario import delivered, paid
from tests.unit.runtime.service import REFUSED, TOLD, FaultyStore, Service, decisions, event, now_ms

# --- acknowledgement ------------------------------------------------------------------------------


def test_sender_is_answered_only_after_its_events_are_in_the_log() -> None:
    """Accepted means synced to disk: what was acknowledged is there after a crash."""

    async def story() -> None:
        service = await Service().start()
        assert await service.post(event("o1"), event("o1")) == ("accepted", "duplicate")
        revived = await (await service.crash()).start()
        assert list(revived.engine.shard.orders) == ["o1"]
        await revived.stop()

    run_virtual(story())


def test_refused_append_folds_nothing_and_tells_the_sender() -> None:
    """A full disk: 503, and the order is unknown until it is posted again."""

    async def story() -> None:
        service = await Service().start()
        service.store.fail_next(REFUSED)
        with pytest.raises(StorageError):
            await service.post(event("o1"))
        assert service.engine.shard.orders == {}
        assert await service.post(event("o1")) == ("accepted",)
        await service.stop()

    run_virtual(story())


def test_unreadable_order_refuses_its_request_and_nothing_else() -> None:
    """A look-up that fails is a refusal of the request, not the end of the service."""

    async def story() -> None:
        service = await Service().start()
        await service.post(event("o1"), event("o1", "delivery.delivered"))
        await asyncio.sleep(7 * 3600)
        assert service.engine.shard.orders == {}
        service.store.reading = REFUSED
        with pytest.raises(StorageError):
            await service.post(event("o1", event_id="again"))
        assert not service.supervisor.failed.is_set()
        assert await service.post(event("o1")) == ("duplicate",)
        await service.stop()

    run_virtual(story())


def test_requests_that_wait_together_are_written_together_and_answered_apart() -> None:
    """Group commit: many senders, one segment, each gets its own outcomes."""

    async def story() -> None:
        service = await Service().start()
        senders = [service.post(event(f"o{n % 7}")) for n in range(20)]
        outcomes = await asyncio.gather(*senders)
        assert Counter(outcomes) == {("accepted",): 7, ("duplicate",): 13}
        entries = [one for one in await service.store.read(0) if one.segment.kind == "entries"]
        assert sum(stored.segment.count for stored in entries) == 20
        assert len(entries) < 20
        await service.stop()

    run_virtual(story())


def test_queue_that_is_full_refuses_and_recovers() -> None:
    """Nothing of the refused request is taken."""

    async def story() -> None:
        service = await Service().start()
        half = [event(f"o{n}") for n in range(PENDING_ENTRIES_MAX // 2)]
        first = asyncio.ensure_future(service.loop.submit(half))
        second = asyncio.ensure_future(service.loop.submit(half))
        await asyncio.sleep(0)
        with pytest.raises(CapacityError):
            await service.loop.submit([event("late")])
        await asyncio.gather(first, second)
        assert "late" not in service.engine.shard.orders
        assert await service.post(event("late")) == ("accepted",)
        await service.stop()

    run_virtual(story())


def test_sender_that_went_away_does_not_stop_the_loop() -> None:
    """Its events are kept: nobody knows whether it saw the answer."""

    async def story() -> None:
        service = await Service().start()
        sender = asyncio.ensure_future(service.post(event("o1")))
        await asyncio.sleep(0)
        sender.cancel()
        assert await service.post(event("o2")) == ("accepted",)
        assert sorted(service.engine.shard.orders) == ["o1", "o2"]
        await service.stop()

    run_virtual(story())


# --- trouble on commit -----------------------------------------------------------------------------


def trouble_of(service: Service) -> str | None:
    return service.loop.trouble  # read anew: it changes between two looks at it


def test_refused_commit_is_repeated_and_its_effects_are_not_lost() -> None:
    """While it lasts new writes are refused with the reason; then the very same content is written."""

    async def story() -> None:
        service = await Service(settings=TOLD).start()
        await service.post(event("o1"))
        await asyncio.sleep(250)
        service.store.committing = REFUSED
        await asyncio.sleep(60)
        assert trouble_of(service) == "the disk is full"
        with pytest.raises(StorageError):
            await service.post(event("o2"))
        service.store.committing = None
        await asyncio.sleep(3)
        assert trouble_of(service) is None
        told = [
            effect.event_type if isinstance(effect, Notify) else effect.key
            for _, effect in service.performer.begun
        ]
        assert told == ["order.tier_changed"]
        records = await service.log()
        assert decisions(records, TierReached) == {"o1": 2}
        assert decisions(records, Breached) == {"o1": 1}
        assert await service.post(event("o2")) == ("accepted",)
        await service.stop()

    run_virtual(story())


# --- stopping ----------------------------------------------------------------------------------


def test_graceful_stop_under_load_loses_nothing_that_was_acknowledged() -> None:
    """Who got no answer may repeat; who got one finds the order after the restart."""

    async def story() -> None:
        service = await Service().start()
        acknowledged: list[str] = []

        async def sender(name: int) -> None:
            for number in range(200):
                order_id = f"o{name}-{number}"
                try:
                    await service.post(event(order_id))
                except CapacityError:
                    return
                acknowledged.append(order_id)
                await asyncio.sleep(0.001)

        senders = [asyncio.ensure_future(sender(name)) for name in range(5)]
        await asyncio.sleep(0.05)
        await service.stop()
        await asyncio.gather(*senders)
        assert 50 < len(acknowledged) < 1_000
        revived = await (await service.crash()).start()
        assert sorted(revived.engine.shard.orders) == sorted(acknowledged)
        assert revived.engine.engine_hash() == service.engine.engine_hash()
        await revived.stop()

    run_virtual(story())


def test_stop_leaves_a_snapshot_and_a_free_lease() -> None:
    """The next start reads no log and need not wait for anybody."""

    async def story() -> None:
        service = await Service().start()
        await service.post(event("o1"))
        await service.stop()
        restart = await service.store.load()
        assert restart.snapshot is not None
        assert restart.snapshot.startswith(service.engine.snapshot()[:-1])
        assert await service.store.read(restart.snapshot_position) == []
        other = await Service(service.store, owner="other").start()
        await other.stop()

    run_virtual(story())


def test_stop_of_a_service_that_never_started_leaves_the_store_alone() -> None:
    """A start that failed half-way must not overwrite the state with what it had by then."""

    async def story() -> None:
        service = await Service().start()
        await service.post(event("o1"))
        await service.stop()
        before = await service.store.load()
        broken = Service(service.store)
        service.store.reading = REFUSED
        with pytest.raises(StorageError):
            await broken.start()
        await broken.stop()
        assert await service.store.load() == before

    run_virtual(story())


def test_second_owner_is_refused_while_the_first_one_lives() -> None:
    """Two monitors on one data directory would decide everything twice."""

    async def story() -> None:
        service = await Service().start()
        with pytest.raises(FencedError):
            await Service(service.store, owner="other").start()
        await service.stop()

    run_virtual(story())


def test_service_that_lost_its_lease_stops_and_answers_who_waits() -> None:
    """Another owner took over: nothing more is written, nobody waits for ever."""

    async def story() -> None:
        service = await Service().start()
        await service.store.acquire("loop", "other", now_ms() + 3_600_000, 60_000)
        with pytest.raises((StorageError, CapacityError)):  # noqa: PT012 - some may still get through
            for number in range(100):
                await asyncio.wait_for(service.post(event(f"o{number}")), 30)
                await asyncio.sleep(1)
        assert service.supervisor.failed.is_set()
        assert isinstance(service.supervisor.failure, FencedError)
        await service.stop()

    run_virtual(story())


def test_bug_in_a_turn_stops_the_service_without_writing_what_it_left() -> None:
    """The state after a crash of the core cannot be trusted: the log can."""

    async def story() -> None:
        service = await Service().start()
        await service.post(event("o1"))
        await asyncio.sleep(2)
        before = await service.store.load()
        service.engine.shard.orders["o1"].facts = None  # type: ignore[assignment]  # the planted bug
        with pytest.raises(StorageError):
            await asyncio.wait_for(service.post(event("o1", "delivery.delivered")), 30)
        assert service.supervisor.failed.is_set()
        await service.stop()
        assert await service.store.load() == before
        revived = await (await service.crash()).start()
        assert len(revived.engine.shard.orders["o1"].timeline) == 2
        await revived.stop()

    run_virtual(story())


# --- rest -------------------------------------------------------------------------------------------


def test_idle_loop_turns_at_most_about_once_a_second() -> None:
    """Nothing to do costs next to nothing."""

    async def story() -> None:
        service = await Service(settings=TOLD).start()
        await service.post(event("o1"), paid("o2"), delivered("o2"))
        await asyncio.sleep(4_000)
        turns = service.loop.turns
        await asyncio.sleep(1_000)
        assert service.loop.turns - turns <= 1_000 / IDLE_MAX_S * 1.3
        await service.stop()

    run_virtual(story())


def test_full_disk_for_minutes_refuses_writes_but_does_not_end_the_service() -> None:
    """Not even the lease can be renewed: the reason stays readable, and it goes on afterwards."""

    async def story() -> None:
        service = await Service(settings=TOLD).start()
        await service.post(event("o1"))
        service.store.writing = REFUSED
        await asyncio.sleep(25)
        with pytest.raises(StorageError, match="the disk is full"):
            await service.post(event("o2"))
        await asyncio.sleep(300)
        assert not service.supervisor.failed.is_set()
        service.store.writing = None
        await asyncio.sleep(10)
        assert await service.post(event("o2")) == ("accepted",)
        assert decisions(await service.log(), Breached) == {"o1": 1}
        await service.stop()

    run_virtual(story())


# --- the end, and what is told of it --------------------------------------------------------------


class Collected:
    """A trace sink that keeps what it is offered."""

    def __init__(self) -> None:
        self.rows: list[OrderRow] = []

    def offer(self, order_row: OrderRow) -> None:
        self.rows.append(order_row)


def test_order_that_is_stored_is_offered_to_traces() -> None:
    """In JSON, whatever its row looks like; once it is paid and done."""

    async def story() -> None:
        service, sink = Service(), Collected()
        service.loop._traces = sink
        await service.start()
        await service.post(event("o1"), event("o1", "delivery.delivered"), event("o2"))
        await asyncio.sleep(10)
        (row,) = sink.rows
        stored = (await service.store.lookup(["o1"]))["o1"]
        assert order_of(row) == order_of(stored) == service.engine.shard.orders["o1"]
        assert row.closed_ms == stored.closed_ms
        assert row.body.startswith(b'{"order_id":"o1"')
        await service.stop()

    run_virtual(story())


def test_stop_does_not_wait_for_a_disk_that_hangs() -> None:
    """A service manager would kill us; what was acknowledged is in the log."""

    async def story() -> None:
        class Hanging(FaultyStore):
            is_hanging = False

            async def commit(self, lease: Lease, checkpoint: Checkpoint) -> int:
                if self.is_hanging:
                    await asyncio.sleep(3600)
                return await super().commit(lease, checkpoint)

        store = Hanging()
        service = await Service(store).start()
        store.is_hanging = True
        assert await service.post(event("o1")) == ("accepted",)
        await asyncio.sleep(2)
        began = asyncio.get_running_loop().time()
        await service.loop.stop()
        assert asyncio.get_running_loop().time() - began <= STOP_S
        revived = await (await service.crash()).start()
        assert list(revived.engine.shard.orders) == ["o1"]
        await revived.stop()

    run_virtual(story())
