"""The queue of people: who has a case, when it is overdue, and the second pair of eyes."""

from __future__ import annotations

import msgspec

from monitor.core.takeover.machine import on_person, on_wake
from monitor.core.takeover.queue import with_deadline
from monitor.model.commands import Perform, Tick
from monitor.model.effects import Notify
from monitor.model.records import CaseResolved, ClaimAnswered
from monitor.model.settings import FallbackSettings, ReceiverSettings, Settings
from monitor.model.takeovers import TakeoverCase
from monitor.model.times import DAY_MS, MINUTE_MS
from tests.unit.api.serving import SETTINGS, MemoryService
from tests.unit.api.test_orders import event
from tests.unit.core.takeover.story import settings_with, story_in


class Desk:
    """An escalated case of 5.00 and people who say things about it."""

    def __init__(self, above_minor: int | None = None) -> None:
        settings = settings_with("asked")
        fallback = msgspec.structs.replace(settings.fallback, four_eyes_above_minor=above_minor)
        self.settings: Settings = msgspec.structs.replace(settings, fallback=fallback)
        self.now_ms = 10 * DAY_MS
        case = story_in("escalated").case
        self.case: TakeoverCase = msgspec.structs.replace(
            case, amount_minor=500, changed_ms=self.now_ms
        )

    def say(self, who: str, word: str, minutes: int | None = None) -> bool:
        """Whether a person's word changed something."""
        until_ms = None if minutes is None else self.now_ms + minutes * MINUTE_MS
        order = CaseResolved(self.case.takeover_id, word, who, self.now_ms, "", until_ms)
        before = self.case
        self.case = on_person(self.case, order, self.settings, self.now_ms).case
        return self.case is not before


def test_claimed_case_is_decided_by_nobody_else_until_the_time_is_over() -> None:
    """Two people never deliver the same order by hand."""
    desk = Desk()
    assert desk.say("ann", "claimed", 20)
    assert (desk.case.holder, desk.case.state) == ("ann", "escalated")
    assert not desk.say("bob", "claimed", 20)
    assert not desk.say("bob", "delivered")
    assert not desk.say("bob", "let_go")
    desk.now_ms += 20 * MINUTE_MS
    assert desk.say("bob", "claimed", 20)
    assert not desk.say("ann", "delivered")
    assert desk.say("bob", "delivered")
    assert desk.case.resolution == "closed_by_person"


def test_case_that_is_let_go_is_free_again() -> None:
    """Who has it may give it back; giving back what nobody has is nothing."""
    desk = Desk()
    assert not desk.say("ann", "let_go")
    desk.say("ann", "claimed", 20)
    assert desk.say("ann", "let_go")
    assert desk.say("bob", "delivered")


def test_only_what_people_have_can_be_claimed() -> None:
    """The machine's own cases are not in the queue."""
    desk = Desk()
    desk.case = story_in("unknown").case
    assert not desk.say("ann", "claimed", 20)


def test_above_the_amount_two_people_must_say_delivered() -> None:
    """The first word ends nothing, the same person's second neither, the other person's does."""
    desk = Desk(above_minor=499)
    desk.say("ann", "claimed", 20)
    assert desk.say("ann", "delivered")
    assert (desk.case.state, desk.case.first_word_of, desk.case.holder) == (
        "escalated",
        "ann",
        None,
    )
    assert not desk.say("ann", "delivered")
    assert desk.say("bob", "delivered")
    assert (desk.case.state, desk.case.resolution) == ("delivered", "closed_by_person")


def test_first_word_stops_the_machine_that_still_waits_for_a_supplier() -> None:
    """The person has given a key: the one that arrives later is locked away, not handed over."""
    story = story_in("unknown")
    fallback = msgspec.structs.replace(story.settings.fallback, four_eyes_above_minor=1)
    story.settings = msgspec.structs.replace(story.settings, fallback=fallback)
    desk = Desk(above_minor=1)
    desk.case, desk.now_ms = story.case, story.now_ms
    assert desk.say("ann", "delivered")
    story.case = desk.case
    assert (story.case.state, story.case.escalated_reason) == ("escalated", "second_word")
    assert story.answer("delivered") == ["Quarantine"]
    desk.case = story.case
    assert desk.say("bob", "delivered")
    assert desk.case.resolution == "closed_by_person"


def test_advised_order_of_a_first_word_is_not_taken_over() -> None:
    """Nobody claimed it for us, so the machine cannot go on with it."""
    desk = Desk(above_minor=0)
    desk.case = story_in("advised").case
    assert desk.say("ann", "delivered")
    assert desk.case.state == "escalated"
    assert not desk.say("bob", "not_delivered")


def test_second_person_who_disagrees_lets_the_machine_go_on() -> None:
    """The first word is gone with it: later two people must say it again."""
    desk = Desk(above_minor=1)
    desk.case = story_in("unknown").case
    desk.say("ann", "delivered")
    assert desk.say("bob", "not_delivered")
    assert desk.case.first_word_of is None


def test_at_the_amount_one_person_is_enough_and_unknown_counts_as_above() -> None:
    """The limit itself is still below; who does not know the amount asks a second person."""
    desk = Desk(above_minor=500)
    assert desk.say("ann", "delivered")
    assert desk.case.state == "delivered"
    desk = Desk(above_minor=500)
    desk.case = msgspec.structs.replace(desk.case, amount_minor=None)
    desk.say("ann", "delivered")
    assert desk.case.state == "escalated"


def test_refund_needs_one_person_also_after_a_first_word() -> None:
    """Four eyes are for goods that cannot be taken back."""
    desk = Desk(above_minor=1)
    desk.say("ann", "delivered")
    assert desk.say("ann", "refunded")
    assert desk.case.resolution == "refunded"


def test_reminders_come_after_30_min_then_1_h_and_at_last_once_a_day() -> None:
    """A case is called out again and never closed by time."""
    desk = Desk()
    waits = []
    for _ in range(9):
        desk.case = with_deadline(desk.case, desk.settings)
        assert desk.case.wake_ms is not None
        waits.append(desk.case.wake_ms - desk.now_ms)
        desk.now_ms = desk.case.wake_ms
        desk.case = on_wake(desk.case, desk.settings, desk.now_ms).case
    half = 30 * MINUTE_MS
    assert waits == [*(half << n for n in range(6)), DAY_MS, DAY_MS, DAY_MS]
    assert (desk.case.reminders, desk.case.state) == (9, "escalated")


def test_overdue_case_is_told_again_to_the_default_receiver() -> None:
    """Through the whole engine: the claim is denied, nobody acts, people hear of it three times."""
    fallback = FallbackSettings("enforce", order=("staff",), has_shop=True)
    settings = msgspec.structs.replace(SETTINGS, fallback=fallback, default_receiver="ops")
    receivers = (ReceiverSettings("ops", ("webhook/1",)),)
    service = MemoryService(msgspec.structs.replace(settings, receivers=receivers))
    service.take(event("order.paid", "o1", 0, amount_minor=100))
    for _ in range(7):
        service.wait(MINUTE_MS)
    case = service.engine.shard.orders["o1"].case
    assert case is not None
    now_ms = service.clock.now_ms()
    service.take(ClaimAnswered(f"claim_{case.claim_id}", case.takeover_id, "denied", now_ms))
    keys = []
    for _ in range(4 * 60):
        service.clock.at_ms += MINUTE_MS
        for command in service.engine.handle(Tick(), service.clock.now_ms()):
            if isinstance(command, Perform) and isinstance(command.effect, Notify):
                is_told = command.effect.event_type == "takeover.escalated"
                keys += [command.effect.key] if is_told else []
    assert len(keys) == len(set(keys)) == 3  # after 30 min, 1 h and 2 h more
    assert service.engine.desk.cases[case.takeover_id].reminders == 3
