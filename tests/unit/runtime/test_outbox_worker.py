"""Effects in virtual time: repeated when that is harmless, never when it is not, each in its lane."""

import asyncio
from itertools import pairwise

import msgspec
import pytest

from monitor.model.effects import (
    CallWebhook,
    Effect,
    Notify,
    Query,
    Release,
    Submit,
    SwitchChannel,
    effect_encoder,
)
from monitor.model.errors import Permanent, StorageError, Transient, UnknownOutcome
from monitor.model.records import Answer, AttemptAnswered, EffectClosed, Notified, SwitchAnswered
from monitor.model.times import DAY_MS
from monitor.ports import Checkpoint, OutboxRow
from monitor.runtime.loop import LEASE_TTL_MS
from monitor.runtime.outbox_worker import delay_ms
from monitor.runtime.segments import outbox_row
from monitor.sim.virtual_loop import run_virtual
from tests.property.engine_world import answer_to
from tests.unit.runtime.service import FaultyStore, Performer, Service, at, now_ms


def notify(key: str, receiver: str = "ops", **fields: object) -> Notify:
    raw = msgspec.Raw(b"{}")
    return Notify(key, receiver, "webhook/0", "alert.firing", "firing", "warning", "t", "t", raw,
                  fields.pop("at_ms", at(0)), **fields)  # type: ignore[arg-type]  # its fields  # fmt: skip


def submit(key: str = "submit_a") -> Submit:
    return Submit(key, "tko_1", "att_1", "supplier", "o1", 1, "gold", 1, 500, "CNY", None, None)


def query(key: str = "query_a") -> Query:
    return Query(key, "tko_1", "att_1", "supplier", "o1", "gold", 1, None)


def switch(key: str = "switch_1", valid_s: float = 600) -> SwitchChannel:
    return SwitchChannel(key, 1, msgspec.Raw(b"{}"), at(0), at(valid_s))


async def service_with(
    *effects: Effect, outside: object = None, store: FaultyStore | None = None
) -> Service:
    """A service that starts with these effects in its outbox."""
    store = store or FaultyStore()
    lease = await store.acquire("loop", "me", now_ms(), LEASE_TTL_MS)
    assert lease is not None
    rows = tuple(outbox_row(effect) for effect in effects)
    await store.commit(lease, Checkpoint(cursor=0, outbox=rows))
    return Service(store, performer=Performer(outside))  # type: ignore[arg-type]  # an async function


async def answers(service: Service) -> list[Answer]:
    return [one for one in await service.log() if isinstance(one, Answer)]


def failing(times: int, error: Exception) -> object:
    """Fails so many times in all, then answers."""
    left = [times]

    async def outside(effect: Effect) -> Answer:
        left[0] -= 1
        if left[0] >= 0:
            raise error
        return answer_to(effect, 0, now_ms())

    return outside


@pytest.mark.parametrize("error", [Transient("busy"), UnknownOutcome("reset")])
def test_repeatable_effect_is_repeated_until_it_gets_through(error: Exception) -> None:
    """A message may come twice; an answer closes its row for good."""

    async def story() -> None:
        service = await service_with(notify("n1"), outside=failing(3, error))
        await service.start()
        await asyncio.sleep(600)
        assert len(service.performer.begun) == 4
        (answer,) = await answers(service)
        assert isinstance(answer, Notified)
        assert answer.outcome == "ok"
        assert await service.store.depth() == {}
        await service.stop()

    run_virtual(story())


def test_waits_between_tries_grow_and_follow_the_wish_of_the_peer() -> None:
    """1, 5, 15 … seconds down to half of it by jitter; `Retry-After` if that is later."""

    async def story() -> None:
        service = await service_with(notify("n1"), outside=failing(4, Transient("busy")))
        await service.start()
        await asyncio.sleep(600)
        begun = [second for second, _ in service.performer.begun]
        waits = [later - earlier for earlier, later in pairwise(begun)]
        for wait, longest in zip(waits, (1, 5, 15, 60), strict=True):
            assert longest / 2 <= wait <= longest + 0.1
        await service.stop()

    async def polite() -> None:
        error = Transient("slow down", retry_after_ms=40_000)
        service = await service_with(notify("n1"), outside=failing(1, error))
        await service.start()
        await asyncio.sleep(120)
        first, second = (second for second, _ in service.performer.begun)
        assert 40 <= second - first <= 41
        await service.stop()

    run_virtual(story())
    run_virtual(polite())


def test_jitter_is_the_same_on_every_replay() -> None:
    """It is a hash of the key and the try, not a die."""
    effect = notify("n1")
    assert [delay_ms(effect, tries, "n1") for tries in range(9)] == [
        delay_ms(effect, tries, "n1") for tries in range(9)
    ]
    assert delay_ms(effect, 0, "n1") != delay_ms(effect, 0, "n2")
    assert 1_800_000 <= delay_ms(effect, 99, "n1") <= 3_600_000


def test_refusal_for_good_is_answered_as_failed_and_not_repeated() -> None:
    """A bad token will not get better."""

    async def story() -> None:
        service = await service_with(notify("n1"), outside=failing(9, Permanent("no such robot")))
        await service.start()
        await asyncio.sleep(3600)
        assert len(service.performer.begun) == 1
        (answer,) = await answers(service)
        assert isinstance(answer, Notified)
        assert (answer.outcome, answer.detail) == ("failed", "no such robot")
        await service.stop()

    run_virtual(story())


def test_switch_is_repeated_until_it_expires_and_then_given_up() -> None:
    """A stale command is dangerous: after its time it is answered `expired`."""

    async def story() -> None:
        service = await service_with(switch(valid_s=60), outside=failing(999, Transient("down")))
        await service.start()
        await asyncio.sleep(300)
        assert max(second for second, _ in service.performer.begun) <= 60
        (answer,) = await answers(service)
        assert isinstance(answer, SwitchAnswered)
        assert answer.status == "expired"
        await service.stop()

    run_virtual(story())


def test_message_is_given_up_after_a_day() -> None:
    """Nobody wants to read it then."""

    async def story() -> None:
        service = await service_with(notify("n1", at_ms=at(0) - DAY_MS - 1))
        await service.start()
        await asyncio.sleep(10)
        assert service.performer.begun == []
        (answer,) = await answers(service)
        assert isinstance(answer, Notified)
        assert answer.outcome == "failed"
        await service.stop()

    run_virtual(story())


@pytest.mark.parametrize("error", [Transient("busy"), UnknownOutcome("reset"), Permanent("no")])
def test_submit_is_sent_at_most_once_whatever_comes_back(error: Exception) -> None:
    """The core decides where else to try; the worker never repeats a purchase."""

    async def story() -> None:
        service = await service_with(submit(), outside=failing(9, error))
        await service.start()
        await asyncio.sleep(3600)
        assert len(service.performer.begun) == 1
        (answer,) = await answers(service)
        assert isinstance(answer, AttemptAnswered)
        assert (answer.outcome, answer.is_query) == ("unknown", False)
        await service.stop()

    run_virtual(story())


def test_question_that_fails_is_answered_unknown_and_left_to_the_core() -> None:
    """When to ask again is decided with the settle time in mind, not by the worker."""

    async def story() -> None:
        service = await service_with(query(), outside=failing(9, Transient("busy")))
        await service.start()
        await asyncio.sleep(3600)
        assert len(service.performer.begun) == 1
        (answer,) = await answers(service)
        assert isinstance(answer, AttemptAnswered)
        assert (answer.outcome, answer.is_query) == ("unknown", True)
        await service.stop()

    run_virtual(story())


def test_submit_under_way_at_a_crash_is_reported_unknown_and_never_sent_again() -> None:
    """It may have bought a key: only a question is allowed now."""

    async def story() -> None:
        async def hangs(effect: Effect) -> Answer:
            await asyncio.sleep(3600)
            return answer_to(effect, 0, now_ms())

        service = await service_with(submit(), query(), outside=hangs)
        await service.start()
        await asyncio.sleep(5)
        assert {type(effect) for _, effect in service.performer.begun} == {Submit, Query}
        service.performer.outside = None
        service.performer.begun.clear()
        revived = await (await service.crash()).start()
        await asyncio.sleep(3600)
        assert [type(effect) for _, effect in revived.performer.begun] == [Query]
        told = [one for one in await answers(revived) if isinstance(one, AttemptAnswered)]
        assert [(one.outcome, one.is_query) for one in told if not one.is_query] == [
            ("unknown", False)
        ]
        assert await revived.store.depth() == {}
        again = await (await revived.crash()).start()
        await asyncio.sleep(600)
        assert len(await answers(again)) == len(told)
        await again.stop()

    run_virtual(story())


def test_messages_of_one_receiver_keep_their_order() -> None:
    """Firing before resolved."""

    async def story() -> None:
        effects = [notify(f"n{number}", at_ms=at(number / 1000)) for number in range(20)]
        service = await service_with(*effects)
        await service.start()
        await asyncio.sleep(60)
        assert [effect.key for _, effect in service.performer.begun] == [one.key for one in effects]
        await service.stop()

    run_virtual(story())


def test_slow_lane_does_not_delay_another() -> None:
    """A chat robot that hangs must not hold up the hand-over of a key."""

    async def story() -> None:
        async def outside(effect: Effect) -> Answer:
            if isinstance(effect, Notify) and effect.receiver == "slow":
                await asyncio.sleep(60)
            return answer_to(effect, 0, now_ms())

        slow = [notify(f"s{number}", "slow") for number in range(5)]
        release = Release("r1", "tko", "o1", "clm", 1, "test")
        service = await service_with(*slow, notify("fast"), release, submit(), outside=outside)
        await service.start()
        await asyncio.sleep(2)
        begun = {effect.key for _, effect in service.performer.begun}
        assert begun == {"s0", "fast", "r1", "submit_a"}
        await asyncio.sleep(400)
        assert len(await answers(service)) == 8
        await service.stop()

    run_virtual(story())


def test_orders_of_one_supplier_are_bought_side_by_side_but_not_all_at_once() -> None:
    """As many as the executor may ever want at once; one more waits for a free hand."""

    async def story() -> None:
        async def outside(effect: Effect) -> Answer:
            await asyncio.sleep(10)
            return answer_to(effect, 0, now_ms())

        service = await service_with(*(submit(f"s{n}") for n in range(33)), outside=outside)
        await service.start()
        await asyncio.sleep(5)
        assert len(service.performer.begun) == 32
        await asyncio.sleep(10)
        assert len(service.performer.begun) == 33
        await service.stop()

    run_virtual(story())


def test_answer_waits_until_the_store_takes_it() -> None:
    """An answer that cannot be logged now is not lost, and nothing is performed twice for it."""

    async def story() -> None:
        async def outside(effect: Effect) -> Answer:
            await asyncio.sleep(2)
            service.store.fail_next(StorageError("full"))
            return answer_to(effect, 0, now_ms())

        service = await service_with(submit(), outside=outside)
        await service.start()
        await asyncio.sleep(60)
        assert len(service.performer.begun) == 1
        assert len(await answers(service)) == 1
        await service.stop()

    run_virtual(story())


def test_store_in_trouble_while_a_row_is_put_back_does_not_stop_the_service() -> None:
    """The row comes back by itself when its claim runs out."""

    async def story() -> None:
        async def outside(effect: Effect) -> Answer:
            if len(service.performer.begun) == 1:
                service.store.fail_next(StorageError("full"))
                raise Transient("busy")
            return answer_to(effect, 0, now_ms())

        service = await service_with(notify("n1"), outside=outside)
        await service.start()
        await asyncio.sleep(900)
        assert not service.supervisor.failed.is_set()
        (answer,) = await answers(service)
        assert isinstance(answer, Notified)
        assert answer.outcome == "ok"
        await service.stop()

    run_virtual(story())


def test_withdrawn_message_is_not_repeated() -> None:
    """A firing message that fails again and again leaves the outbox with the end of its alert."""

    async def story() -> None:
        service = await service_with(notify("f1"), outside=failing(999, Transient("down")))
        await service.start()
        await asyncio.sleep(100)
        tries = len(service.performer.begun)
        assert tries > 2
        lease = service.loop._lease
        assert lease is not None
        await service.store.commit(lease, Checkpoint(cursor=0, cancelled=("f1",)))
        await asyncio.sleep(7200)
        assert len(service.performer.begun) <= tries + 1
        assert await service.store.depth() == {}
        await service.stop()

    run_virtual(story())


def test_more_rows_than_one_claim_are_all_performed() -> None:
    """A thousand messages of an outage leave one after the other."""

    async def story() -> None:
        effects = [
            CallWebhook(f"w{n}", "webhooks/0", "x", msgspec.Raw(b"{}"), at(0)) for n in range(700)
        ]
        service = await service_with(*effects)
        await service.start()
        await asyncio.sleep(60)
        assert len({effect.key for _, effect in service.performer.begun}) == 700
        assert await service.store.depth() == {}
        await service.stop()

    run_virtual(story())


def test_row_carries_what_its_effect_needs_for_restart_and_expiry() -> None:
    """Lane, repeatability and end of validity come from the kind of the effect."""
    row = outbox_row(switch(valid_s=60))
    assert row == OutboxRow("switch_1", "failover", effect_encoder.encode(switch(valid_s=60)), at(0),
                            is_repeatable=True, expires_ms=at(60))  # fmt: skip
    assert not outbox_row(submit()).is_repeatable
    assert outbox_row(submit()).expires_ms is None
    assert isinstance(answer_to(Release("r", "t", "o", "c", 1, "x"), 0, 1), EffectClosed)
