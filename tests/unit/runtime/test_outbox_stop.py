"""Effects that are stopped, withdrawn or put off: no lane dies, and nothing is sent for nobody."""

import asyncio

import msgspec

from monitor.model.effects import Effect
from monitor.model.errors import Transient
from monitor.model.records import Answer, AttemptAnswered
from monitor.ports import Checkpoint
from monitor.runtime.outbox_worker import STOP_S
from monitor.sim.virtual_loop import run_virtual
from tests.property.engine_world import answer_to
from tests.unit.runtime.service import now_ms
from tests.unit.runtime.test_outbox_worker import answers, failing, notify, service_with, submit


def test_lane_goes_on_after_a_cancellation_nobody_asked_for() -> None:
    """A library that cancels its caller costs the one row a wait, not all that come after it."""

    async def story() -> None:
        async def outside(effect: Effect) -> Answer:
            if len(service.performer.begun) == 1:
                raise asyncio.CancelledError
            return answer_to(effect, 0, now_ms())

        service = await service_with(notify("n1"), outside=outside)
        await service.start()
        await asyncio.sleep(900)
        assert [effect.key for _, effect in service.performer.begun] == ["n1", "n1"]
        assert await service.store.depth() == {}
        await service.stop()

    run_virtual(story())


def test_message_that_waits_for_others_was_not_tried() -> None:
    """Gathering does not make the waits between real tries grow."""

    async def story() -> None:
        message = msgspec.structs.replace(
            notify("n1"), integration="dingtalk/0", event_type="order.tier"
        )
        service = await service_with(message, outside=failing(99, Transient("busy")))
        await service.start()
        await asyncio.sleep(100)
        tries = len(service.performer.begun)
        assert tries > 2
        assert service.store._durable.outbox["n1"].row.tries == tries
        await service.stop()

    run_virtual(story())


def test_purchase_under_way_at_the_end_says_how_it_ended() -> None:
    """Two seconds at a supplier are waited for: the next start has nothing to ask."""

    async def story() -> None:
        async def outside(effect: Effect) -> Answer:
            await asyncio.sleep(2)
            return answer_to(effect, 0, now_ms())

        service = await service_with(submit(), outside=outside)
        await service.start()
        await asyncio.sleep(1)
        await service.stop()
        (answer,) = await answers(service)
        assert isinstance(answer, AttemptAnswered)
        assert answer.outcome == "delivered"
        assert await service.store.depth() == {}

    run_virtual(story())


def test_end_does_not_wait_for_ever_and_what_waits_was_never_begun() -> None:
    """A supplier that hangs costs ten seconds; the one behind all others is made by the next start."""

    async def story() -> None:
        async def hangs(effect: Effect) -> Answer:
            await asyncio.sleep(3600)
            return answer_to(effect, 0, now_ms())

        service = await service_with(*(submit(f"s{n}") for n in range(33)), outside=hangs)
        await service.start()
        await asyncio.sleep(5)
        began = asyncio.get_running_loop().time()
        await service.stop()
        assert asyncio.get_running_loop().time() - began <= STOP_S + 1
        service.performer.outside = None
        service.performer.begun.clear()
        revived = await (await service.crash()).start()
        await asyncio.sleep(60)
        assert [effect.key for _, effect in revived.performer.begun] == ["s32"]
        told = [one.outcome for one in await answers(revived) if isinstance(one, AttemptAnswered)]
        assert sorted(told) == ["delivered", *["unknown"] * 32]
        await revived.stop()

    run_virtual(story())


def test_cancelled_purchase_that_waits_in_its_lane_is_not_made() -> None:
    """The shop delivered meanwhile; the one that waited for a free hand had not begun."""

    async def story() -> None:
        async def outside(effect: Effect) -> Answer:
            await asyncio.sleep(10)
            return answer_to(effect, 0, now_ms())

        service = await service_with(*(submit(f"s{n}") for n in range(33)), outside=outside)
        await service.start()
        await asyncio.sleep(5)
        checkpoint = Checkpoint(cursor=0, cancelled=("s0", "s32"))
        assert await service.loop._commit(checkpoint)
        await asyncio.sleep(60)
        assert {effect.key for _, effect in service.performer.begun} == {f"s{n}" for n in range(32)}
        assert len(await answers(service)) == 32
        assert await service.store.depth() == {}
        await service.stop()

    run_virtual(story())
