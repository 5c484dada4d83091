"""Effects that are stopped, withdrawn or put off: no lane dies, and nothing is sent for nobody."""

import asyncio

import msgspec

from monitor.model.effects import Effect
from monitor.model.errors import Transient
from monitor.model.records import Answer
from monitor.sim.virtual_loop import run_virtual
from tests.property.engine_world import answer_to
from tests.unit.runtime.service import now_ms
from tests.unit.runtime.test_outbox_worker import failing, notify, service_with


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
