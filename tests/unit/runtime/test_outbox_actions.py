"""What is asked of the shop for a buyer is repeated until it is answered, and then says how it ended."""

import asyncio

import pytest

from monitor.model.effects import Compensate, Effect, NotifyBuyer, Refund
from monitor.model.errors import EffectError, Permanent, Transient, UnknownOutcome
from monitor.model.records import ActionAnswered, Answer
from monitor.sim.virtual_loop import run_virtual
from tests.property.engine_world import answer_to
from tests.unit.runtime.service import at
from tests.unit.runtime.test_outbox_worker import answers, failing, service_with

TELL = NotifyBuyer("a1/tell", "a1", "o1", "delayed", "en", "late", at(0))
COUPON = Compensate("a2/give", "a2", "o1", "coupon", 200, "CNY", "L2", at(0))
REFUND = Refund("a3/refund", "a3", "o1", "L3", at(0))


@pytest.mark.parametrize("effect", [TELL, COUPON, REFUND])
@pytest.mark.parametrize("error", [Transient("busy"), UnknownOutcome("reset")])
def test_action_is_repeated_until_the_shop_answers(
    effect: NotifyBuyer | Compensate | Refund, error: EffectError
) -> None:
    """It is idempotent by its id, so it is asked again; one answer closes the row."""

    async def story() -> None:
        service = await service_with(effect, outside=failing(3, error))
        await service.start()
        await asyncio.sleep(600)
        assert [one for _, one in service.performer.begun] == [effect] * 4
        (answer,) = await answers(service)
        assert isinstance(answer, ActionAnswered)
        assert (answer.action_id, answer.outcome) == (effect.action_id, "done")
        assert await service.store.depth() == {}
        await service.stop()

    run_virtual(story())


@pytest.mark.parametrize(
    ("error", "after_s", "outcome"),
    [(Permanent("refused"), 1, "refused"), (UnknownOutcome("reset"), 30 * 3_600, "unknown")],
)
def test_action_that_does_not_get_through_says_what_is_known(
    error: EffectError, after_s: int, outcome: str
) -> None:
    """A refusal is final at once; silence for a day may have been done."""

    async def story() -> None:
        async def outside(effect: Effect) -> Answer:
            raise error

        service = await service_with(REFUND, outside=outside)
        await service.start()
        await asyncio.sleep(after_s)
        (answer,) = await answers(service)
        assert isinstance(answer, ActionAnswered)
        assert answer.outcome == outcome
        await service.stop()

    run_virtual(story(), max_s=40 * 3_600)


def test_answers_of_a_random_world_are_about_the_action() -> None:
    """Order and action of the answer are those of the effect."""
    answer = answer_to(COUPON, 1, at(1))
    assert answer == ActionAnswered("a2/give", "a2", "o1", "already_delivered", at(1))
