"""Effects that are stopped, withdrawn or put off: no lane dies, and nothing is sent for nobody."""

import asyncio
from itertools import pairwise

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


def test_messages_that_waited_for_each_other_were_not_tried() -> None:
    """A minute of gathering does not make the first real failure wait for an hour."""

    async def story() -> None:
        first, second = (
            msgspec.structs.replace(notify(key), integration="dingtalk/0", event_type="order.tier")
            for key in ("n1", "n2")
        )
        service = await service_with(first, outside=failing(3, Transient("busy")))
        await service.start()
        await asyncio.sleep(0.2)
        lease = service.loop._lease
        assert lease is not None
        await service.store.commit(lease, Checkpoint(cursor=0, outbox=(_outbox_row(second),)))
        service.worker.nudge()
        await asyncio.sleep(600)
        (row,) = await claims(service)
        await service.stop()

    run_virtual(story())
