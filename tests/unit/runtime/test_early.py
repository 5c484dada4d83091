"""Events that come while the state is being rebuilt: acknowledged at once, folded later, decided once."""

import asyncio
from collections import Counter
from collections.abc import Sequence

import msgspec
import pytest

from monitor.model.errors import StorageError
from monitor.model.events import OrderEvent
from monitor.model.notes import MessageTaken
from monitor.model.records import Breached, TierReached
from monitor.ports import OrderRow, Segment
from monitor.runtime.early import ENTRIES_MAX
from monitor.sim.virtual_loop import run_virtual
from monitor.testing.scenario import heartbeat
from tests.sim.planting import Change, planted
from tests.unit.runtime.service import (
    REFUSED,
    TOLD,
    FaultyStore,
    Service,
    decisions,
    event,
)

GATE = "gate"  # an order of the log behind the snapshot, whose row the rebuilding waits for
DUPLICATE, ACCEPTED = "duplicate", "accepted"


class GatedStore(FaultyStore):
    """A store on which rebuilding waits until it is let on; `appending` refuses appends."""

    gate: asyncio.Event | None = None
    appending: StorageError | None = None

    async def lookup(self, order_ids: Sequence[str]) -> dict[str, OrderRow]:
        if self.gate is not None and GATE in order_ids:
            await self.gate.wait()
        return await super().lookup(order_ids)

    async def append(self, segment: Segment) -> int:
        if self.appending is not None:
            raise self.appending
        return await super().append(segment)


class Life(Service):
    """A service that is being rebuilt; `go_on` lets it finish."""

    gated: GatedStore
    starting: asyncio.Task[Service]

    async def go_on(self) -> None:
        assert self.gated.gate is not None
        self.gated.gate.set()
        await self.starting


def said(service: Service, order_id: str, kind: str = "order.paid") -> OrderEvent:
    """What the shop says by the clock of a service."""
    at_ms = service.clock.now_ms()
    return msgspec.structs.replace(event(order_id, kind), time_ms=at_ms, received_ms=at_ms)


def beat(service: Service) -> OrderEvent:
    """A heartbeat by the clock of a service."""
    return heartbeat().event(service.clock.now_ms())


async def before_the_crash() -> Service:
    """Orders in the snapshot, in the log behind it, in the store alone, and one not decided about."""
    service = await Service(settings=TOLD).start()
    await service.post(said(service, "gone"), said(service, "gone", "delivery.delivered"))
    await asyncio.sleep(3)
    service.leap(7 * 3_600_000)
    await asyncio.sleep(61)
    assert service.engine.shard.orders == {}
    snapshot = service.loop.snapshot_position
    while service.loop.snapshot_position == snapshot:
        await service.post(beat(service))
        await asyncio.sleep(1)
    await asyncio.sleep(20)
    await service.post(said(service, "open"))
    await asyncio.sleep(182)  # it breaches, and the next snapshot would come in 38 s
    await service.post(said(service, GATE))
    await service.post(said(service, "open", "delivery.attempted"))
    await asyncio.sleep(3)
    service.store.committing = REFUSED
    await service.post(said(service, "undecided"))
    return service


async def rebuilding(service: Service) -> Life:
    """The next life of a service, at the point where it takes events and its state is not there."""
    dead = await service.crash()
    store = GatedStore()
    store._durable, store.gate = dead.store._durable, asyncio.Event()
    life = Life(store, settings=TOLD, clock=service.clock)
    life.gated, life.starting = store, asyncio.ensure_future(life.start())
    while not life.loop.is_taking:
        await asyncio.sleep(0)
    return life


async def told(service: Life) -> dict[str, str]:
    """What senders hear of events that are known in every way, or in none."""
    known = {
        "in the store alone": said(service, "gone"),
        "in the snapshot": said(service, "open"),
        "in the log behind it": said(service, "open", "delivery.attempted"),
        "behind the cursor": said(service, "undecided"),
    }
    new = {
        "of an order in the store": said(service, "gone", "order.refunded"),
        "of an order in the snapshot": said(service, "open", "delivery.failed"),
        "of an unknown order": said(service, "new"),
        "a heartbeat": beat(service),
    }
    both = known | new
    answers = await service.post(*both.values(), *both.values())
    named = [*both, *(f"again {one}" for one in both)]
    return dict(zip(named, answers, strict=True))


def test_answer_before_the_state_is_rebuilt_is_that_of_the_rebuilt_state() -> None:
    """Duplicates are told wherever they are known from; so is what is new."""

    async def story() -> None:
        life = await rebuilding(await before_the_crash())
        early = await told(life)
        assert not life.loop.is_ready
        assert Counter(early.values()) == {ACCEPTED: 5, DUPLICATE: 11}
        assert {one for one, what in early.items() if what == ACCEPTED} == {
            "of an order in the store", "of an order in the snapshot", "of an unknown order",
            "a heartbeat", "again a heartbeat",
        }  # fmt: skip
        await life.go_on()
        again = await told(life)
        assert {one for one, what in again.items() if what == ACCEPTED} == {
            "a heartbeat", "again a heartbeat",
        }  # fmt: skip
        await life.stop()

    run_virtual(story())


async def _hashed(*, is_early: bool) -> str:
    """The state after the same events, acknowledged before or after it was rebuilt."""
    life = await rebuilding(await before_the_crash())
    if not is_early:
        await life.go_on()
    await told(life)
    if is_early:
        await life.go_on()
    state_hash = life.engine.state_hash()
    await life.stop()
    return state_hash


def test_state_with_early_events_is_that_of_the_same_events_later() -> None:
    """Every order is the same; it is another if the loop forgets what was acknowledged early."""
    later = run_virtual(_hashed(is_early=False))
    assert run_virtual(_hashed(is_early=True)) == later
    bug = Change(
        "monitor.runtime.loop:Loop._rebuild",
        "(*recovered.undecided, *early.entries)",
        "recovered.undecided",
    )
    with planted(bug):
        assert run_virtual(_hashed(is_early=True)) != later


def test_append_that_the_disk_refuses_is_not_acknowledged_and_others_are() -> None:
    """The sender hears why; what comes next is taken as if nothing had been."""

    async def story() -> None:
        life = await rebuilding(await before_the_crash())
        life.gated.appending = REFUSED
        with pytest.raises(StorageError):
            await life.post(said(life, "refused"))
        life.gated.appending = None
        assert await life.post(said(life, "refused"), said(life, "other")) == (ACCEPTED, ACCEPTED)
        await life.go_on()
        assert len(life.engine.shard.orders["refused"].timeline) == 1
        await life.stop()

    run_virtual(story())


def test_more_than_can_be_folded_in_one_go_waits_for_the_state() -> None:
    """Nobody is refused, and nobody is acknowledged whose turn is not bounded."""

    async def story() -> None:
        life = await rebuilding(await before_the_crash())
        for start in range(0, ENTRIES_MAX, 4_000):
            await life.post(*(said(life, f"n{start + number}") for number in range(4_000)))
        waiting = asyncio.ensure_future(life.post(said(life, "one more")))
        await asyncio.sleep(1)
        assert not waiting.done()
        await life.go_on()
        assert await waiting == (ACCEPTED,)
        await life.stop()

    run_virtual(story())


def test_signed_message_is_taken_once_before_and_after_the_state_is_there() -> None:
    """Its repetition is answered without another turn."""

    async def story() -> None:
        life = await rebuilding(await before_the_crash())
        at_ms = life.clock.now_ms()
        message = MessageTaken("shop", "m1", "ab" * 4, at_ms, at_ms)
        entries = (said(life, "signed"),)
        assert await life.loop.submit(entries, message=message) == (ACCEPTED,)
        assert await life.loop.submit(entries, message=message) == (DUPLICATE,)
        await life.go_on()
        assert await life.loop.submit(entries, message=message) == (DUPLICATE,)
        assert [one for one in await life.log() if isinstance(one, MessageTaken)] == [message]
        await life.stop()

    run_virtual(story())


def test_start_that_fails_refuses_who_waits() -> None:
    """Nobody waits for an answer that never comes."""

    async def story() -> None:
        life = await rebuilding(await before_the_crash())
        for start in range(0, ENTRIES_MAX, 4_000):
            await life.post(*(said(life, f"n{start + number}") for number in range(4_000)))
        waiting = asyncio.ensure_future(life.post(said(life, "one more")))
        await asyncio.sleep(1)
        life.gated.committing = REFUSED
        with pytest.raises(StorageError):
            await life.go_on()
        with pytest.raises(StorageError):
            await waiting
        await life.supervisor.stop()

    run_virtual(story())


async def _killed_while_rebuilding() -> list[str]:
    """What is wrong after a kill between the early acknowledgement and the first decision."""
    life = await rebuilding(await before_the_crash())
    late = said(life, "late")
    delivered = said(life, "undecided", "delivery.delivered")
    assert await life.post(late, delivered) == (ACCEPTED, ACCEPTED)
    assert decisions(await life.log(), Breached) == {"open": 1}
    life.starting.cancel()
    dead = await life.crash()
    dead.leap(3_600_000)  # every promise is broken meanwhile
    again = await dead.start()
    await asyncio.sleep(100)
    await again.post(beat(again))  # it was heard again, so that what it left unsaid is judged
    await asyncio.sleep(100)
    records = await again.log()
    events = [one for one in records if isinstance(one, OrderEvent)]
    breached = decisions(records, Breached)
    tiers = Counter((one.order_id, one.tier) for one in records if isinstance(one, TierReached))
    orders = again.engine.shard.orders
    await again.stop()
    wrong = [f"{one.order_id} is lost" for one in (late, delivered) if one not in events]
    wrong += [f"{one.order_id} is not folded" for one in (late, delivered)
              if one.order_id not in orders or one not in orders[one.order_id].timeline]  # fmt: skip
    wrong += [f"{one} breached {count} times" for one, count in breached.items() if count > 1]
    wrong += [f"{one} reached {count} times" for one, count in tiers.items() if count > 1]
    if "undecided" in breached:
        wrong.append("what was delivered in time breached")
    if not {"open", "late", GATE} <= breached.keys():
        wrong.append(f"only {sorted(breached)} breached")
    return wrong


def test_kill_during_early_acknowledgement_loses_nothing_and_decides_nothing_twice() -> None:
    """Nothing was decided before it, and everything acknowledged is there after it."""
    assert run_virtual(_killed_while_rebuilding()) == []


@pytest.mark.parametrize(
    ("where", "old", "new", "words"),
    [
        (
            "monitor.runtime.early:Early._turn",
            "            await self._look_up(entries)\n",
            (
                "            await self._look_up(entries)\n"
                "            answer_each(requests, [self._take(one) for one in entries])\n"
                "            await self._closing.wait()\n"
            ),
            "late is lost",
        ),
        (
            "monitor.runtime.recovery:rebuild",
            "undecided.extend(piece.facts)",
            "pass",
            "undecided is not folded",
        ),
        (
            "monitor.runtime.recovery:rebuild",
            "            engine.refold(*piece.facts)",
            "            engine.refold(*(one for one in piece.facts if type(one) is OrderEvent))",
            "times",
        ),
    ],
    ids=["answers-before-the-log", "forgets-the-undecided", "forgets-decisions"],
)
def test_oracle_notices_a_planted_bug(where: str, old: str, new: str, words: str) -> None:
    """Answering too early, losing the cursor, and deciding again are each found."""
    with planted(Change(where, old, new)):
        assert words in " ".join(run_virtual(_killed_while_rebuilding()))
