"""A service that started with its clock an hour ahead and is restarted with the right one."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.engine import Engine
from monitor.model.effects import Effect, Submit
from monitor.model.events import OrderEvent
from monitor.model.notes import Audited, MessageTaken
from monitor.model.records import Answer, AttemptAnswered, Breached, CaseMoved, ClockSetBack
from monitor.model.rules import RuleSet
from monitor.model.settings import ChannelSettings, FallbackSettings, PromiseTable, Settings
from monitor.model.takeovers import CaseState
from monitor.model.times import HOUR_MS, MINUTE_MS, SECOND_MS
from monitor.runtime.found import decode_segment
from monitor.sim.virtual_loop import VirtualClock, run_virtual
from tests.property.engine_world import answer_to
from tests.unit.runtime.service import Performer, Service, now_ms

PROMISE_MS, AFTER_MS = 3 * MINUTE_MS, 5 * MINUTE_MS
MERCY_MS = 2 * MINUTE_MS
SETTINGS = Settings(
    promise=PromiseTable(default_ms=PROMISE_MS),
    channels=(ChannelSettings("auto"), ChannelSettings("pool", kind="stock")),
    fallback=FallbackSettings(
        mode="enforce", after_ms=AFTER_MS, has_shop=True, order=("pool",), max_per_hour=1_000
    ),
)


class Told(msgspec.Struct):
    """What really happened, by the right clock, and what the log says of it."""

    paid_ms: dict[str, int] = {}
    breached_ms: dict[str, int] = {}
    delivered_ms: dict[str, int] = {}


def _paid(order_id: str, true_ms: int, wrong_ms: int, *, has_time: bool) -> OrderEvent:
    """A payment as the door makes it: without a time of the shop our own stands in."""
    time_ms = true_ms if has_time else wrong_ms
    return OrderEvent("order.paid", order_id, "shop", f"paid {order_id}", time_ms, wrong_ms,
                      is_inferred=not has_time, is_unique=not has_time, amount_minor=500)  # fmt: skip


async def _lived(
    paid: list[tuple[int, bool]], *, rest_s: int = 1, down_s: int = 2, ahead_ms: int = HOUR_MS
) -> tuple[Told, Service]:
    """An hour-ahead life that takes orders in, its end, and the life after it with the right clock.

    `paid`: seconds since the one before, and whether the shop tells a time.
    """
    right, told = VirtualClock(), Told()
    service = Service(settings=SETTINGS)
    service.leap(ahead_ms)
    await service.start()
    for number, (pause_s, has_time) in enumerate(paid):
        await asyncio.sleep(pause_s)
        order_id, true_ms = f"o{number}", right.now_ms()
        told.paid_ms[order_id] = true_ms
        await service.post(_paid(order_id, true_ms, service.clock.now_ms(), has_time=has_time))
    await asyncio.sleep(rest_s)
    service = await service.crash()
    service.leap(-ahead_ms)
    await asyncio.sleep(down_s)
    await service.start()
    await asyncio.sleep((AFTER_MS + 2 * MERCY_MS) / SECOND_MS)
    for record in await service.log():
        if isinstance(record, Breached):
            told.breached_ms[record.order_id] = record.decided_ms
        elif isinstance(record, CaseMoved) and record.case.state == CaseState.DELIVERED:
            told.delivered_ms[record.case.order_id] = record.at_ms
    return told, service


def _waited_ms(at_ms: dict[str, int], order_id: str, told: Told) -> int:
    """How long after its payment; what the wrong clock timed is brought back."""
    waited_ms = at_ms[order_id] - told.paid_ms[order_id]
    return waited_ms - HOUR_MS if waited_ms >= HOUR_MS else waited_ms


def _check(told: Told, down_s: int) -> None:
    down_ms = down_s * SECOND_MS
    for order_id in told.paid_ms:
        breached_ms = _waited_ms(told.breached_ms, order_id, told)
        assert breached_ms <= PROMISE_MS + MERCY_MS + down_ms, f"breach of {order_id}"
        delivered_ms = _waited_ms(told.delivered_ms, order_id, told)
        assert delivered_ms <= AFTER_MS + MERCY_MS + down_ms, f"delivery of {order_id}"


async def _refolded(service: Service) -> str:
    """The hash of an engine that folded the log from its beginning."""
    engine = Engine(SETTINGS, RuleSet())
    for stored in await service.store.read(0):
        records = decode_segment(stored)
        engine.refold(*(one for one in records if not isinstance(one, (MessageTaken, Audited))))
    return engine.engine_hash()


@pytest.mark.parametrize("has_time", [False, True])
@pytest.mark.parametrize("rest_s", [1, 70, 200])
def test_orders_of_a_clock_that_was_ahead_are_judged_in_time(has_time: bool, rest_s: int) -> None:
    """An hour ahead, then right again: broken promises are seen, and taken over, without that hour.

    `rest_s`: before the first snapshot, after it, and after the first breach.
    """

    async def story() -> None:
        paid = [(pause_s, has_time) for pause_s in (1, 20, 20)]
        told, service = await _lived(paid, rest_s=rest_s)
        _check(told, 2)
        assert told.delivered_ms.keys() == told.paid_ms.keys()
        await service.stop()

    run_virtual(story())


@settings(max_examples=25)
@given(
    paid=st.lists(st.tuples(st.integers(0, 90), st.booleans()), min_size=1, max_size=8),
    rest_s=st.integers(0, 400),
    down_s=st.integers(0, 100),
)
def test_any_story_of_a_clock_that_was_ahead_ends_in_time_and_is_folded_again(
    paid: list[tuple[int, bool]], rest_s: int, down_s: int
) -> None:
    """Whenever orders come and the process dies: all are delivered in time; the log says as much."""

    async def story() -> None:
        told, service = await _lived(paid, rest_s=rest_s, down_s=down_s)
        _check(told, down_s)
        assert sum(isinstance(one, ClockSetBack) for one in await service.log()) == 1
        assert await _refolded(service) == service.engine.engine_hash()
        again = await service.crash()
        await again.start()
        await asyncio.sleep(60)
        assert sum(isinstance(one, ClockSetBack) for one in await again.log()) == 1
        assert await _refolded(again) == again.engine.engine_hash()
        await again.stop()

    run_virtual(story())


def test_shop_that_tells_the_future_is_no_clock_that_was_ahead() -> None:
    """Its own times stand, whatever they are: nothing is judged earlier for them."""

    async def story() -> None:
        service = await Service(settings=SETTINGS).start()
        began_ms = service.clock.now_ms()
        ahead = _paid("o1", began_ms + 4 * MINUTE_MS, began_ms, has_time=True)
        await service.post(ahead)
        await asyncio.sleep(70)
        service = await (await service.crash()).start()
        await asyncio.sleep(PROMISE_MS / SECOND_MS + 2 * 60)
        log = await service.log()
        assert not any(isinstance(one, (ClockSetBack, Breached)) for one in log)
        await asyncio.sleep(3 * 60)
        breached = [one.at_ms for one in await service.log() if isinstance(one, Breached)]
        assert breached == [began_ms + 4 * MINUTE_MS + PROMISE_MS]
        await service.stop()

    run_virtual(story())


def test_clock_that_is_set_back_while_we_run_is_followed_at_once() -> None:
    """What was planned for an hour ahead is looked at now, and the outbox with it."""

    async def story() -> None:
        service = Service(settings=SETTINGS)
        service.leap(HOUR_MS)
        await service.start()
        began_ms = service.clock.now_ms()
        await service.post(_paid("o1", began_ms - HOUR_MS, began_ms, has_time=False))
        await asyncio.sleep(100)
        service.leap(-HOUR_MS)
        await asyncio.sleep(AFTER_MS / SECOND_MS)
        case = service.engine.shard.orders["o1"].case
        assert case is not None
        assert case.state == CaseState.DELIVERED
        assert case.opened_ms - (began_ms - HOUR_MS) <= AFTER_MS + MINUTE_MS
        await service.stop()

    run_virtual(story())


ASKING = msgspec.structs.replace(
    SETTINGS,
    channels=(
        ChannelSettings("auto"),
        ChannelSettings("supplier", kind="http", capability="queryable", settle_ms=30_000),
    ),
    fallback=msgspec.structs.replace(SETTINGS.fallback, order=("supplier",)),
)


async def _in_doubt(effect: Effect) -> Answer:
    """A supplier whose first answer is lost, and who tells the goods when it is asked."""
    if isinstance(effect, Submit):
        return AttemptAnswered(
            effect.key, effect.takeover_id, effect.attempt_ref, "unknown", now_ms()
        )
    return answer_to(effect, 0, now_ms())


def test_hour_that_we_were_away_gives_nobody_to_a_person() -> None:
    """A clock that was behind, or an hour of rest, looks like patience that is over: ask first."""

    async def story() -> None:
        service = Service(settings=ASKING, performer=Performer(_in_doubt))
        await service.start()
        await service.post(_paid("o1", now_ms(), now_ms(), has_time=True))
        await asyncio.sleep(AFTER_MS / SECOND_MS + 10)
        case = service.engine.shard.orders["o1"].case
        assert case is not None
        assert case.state == CaseState.UNKNOWN
        service = await service.crash()
        service.leap(HOUR_MS)
        await service.start()
        await asyncio.sleep(2)
        service = await (await service.crash()).start()  # nobody was away this time
        await asyncio.sleep(70)
        states = [one.case.state for one in await service.log() if isinstance(one, CaseMoved)]
        assert states[-1] == CaseState.DELIVERED
        assert CaseState.ESCALATED not in states
        await service.stop()

    run_virtual(story())
