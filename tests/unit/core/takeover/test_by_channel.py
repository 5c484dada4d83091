"""What a channel's answers do to a case: go on, wait, ask, or give up."""

import pytest

from monitor.core.takeover.choosing import max_cost
from monitor.model.effects import Quarantine, Query, Submit
from monitor.model.settings import ChannelSettings
from tests.unit.core.takeover.story import SETTLE_MS, Story, settings_with

MINUTE_MS = 60_000


def begun(*order: str, held_by: str = "auto") -> Story:
    story = Story(*order, held_by=held_by)
    story.claim()
    return story


@pytest.mark.parametrize("retry", ["other", "never"])
def test_rejected_submit_goes_to_the_next_channel(retry: str) -> None:
    """A first rejection is certain: nothing was bought."""
    story = begun("asked", "pool")
    assert story.answer("rejected", retry=retry) == ["Submit"]
    assert story.submitted_to() == ["asked", "pool"]
    assert (story.case.attempts[0].state, story.case.attempts[0].code) == ("disproved", "no")


def test_rejection_that_blames_the_order_ends_the_takeover() -> None:
    """No other channel will sell what does not exist."""
    story = begun("asked", "pool")
    assert story.answer("rejected", retry="never", blame="order") == ["Release"]
    assert story.case.escalated_reason == "order_refused"


def test_channel_that_asks_for_another_try_gets_three_and_then_the_next_has_its_turn() -> None:
    """`retry: same` waits up to 30 s, then up to 60 s; every try has its own ref."""
    story = begun("asked", "pool")
    assert story.answer("rejected", retry="same") == []
    assert story.case.state == "claimed"
    assert story.wait(30_000) == ["Submit"]
    assert story.answer("rejected", retry="same") == []
    assert story.wait(60_000) == ["Submit"]
    assert story.answer("rejected", retry="same") == ["Submit"]
    assert story.submitted_to() == ["asked", "asked", "asked", "pool"]
    assert len(dict.fromkeys(attempt.ref for attempt in story.case.attempts)) == 4


def test_nothing_left_to_try_gives_the_order_back() -> None:
    """A person and the shop get it."""
    story = begun("asked")
    assert story.answer("rejected") == ["Release"]
    assert (story.case.state, story.case.escalated_reason) == ("escalated", "no_channel_left")


def test_channel_that_held_the_order_and_external_ones_are_skipped() -> None:
    """The stuck channel is not asked to rescue itself."""
    story = begun("auto", "nowhere", "asked", "pool", held_by="asked")
    assert story.submitted_to() == ["pool"]


def test_unknown_outcome_is_asked_about_at_1_2_and_4_settle_times_then_with_backoff() -> None:
    """Settle 30 s: questions after 30, 60, 120, 240, 480, 780 s; a person after 15 min in all."""
    story = begun("asked", "pool")
    story.answer("unknown")
    start = story.now_ms
    asked_s = []
    while story.case.state == "unknown":
        if story.wake() == ["Query"]:
            asked_s.append((story.now_ms - start) // 1000)
            story.reply("unknown")
    assert asked_s == [30, 60, 120, 240, 480, 780]
    assert story.case.escalated_reason == "unresolved"
    assert story.now_ms - start == 15 * MINUTE_MS
    assert story.submitted_to() == ["asked"]
    keys = [effect.key for effect in story.effects if isinstance(effect, Query)]
    assert keys == [f"query_{story.attempt.ref}_{n}" for n in range(1, 7)]


def test_two_not_found_after_settle_disprove_the_attempt() -> None:
    """One may be a lagging replica; the second lets the next channel try."""
    story = begun("asked", "pool")
    story.answer("unknown")
    story.wake()
    assert story.reply("not_found") == []
    assert story.case.state == "unknown"
    story.wake()
    assert story.reply("not_found") == ["Submit"]
    assert story.submitted_to() == ["asked", "pool"]


def test_settle_time_counts_from_the_answer_and_not_from_the_decision() -> None:
    """A submit that waited in the outbox for an hour is asked about 30 s after its answer."""
    story = begun("asked", "pool")
    story.now_ms += 10 * MINUTE_MS
    story.answer("unknown")
    assert story.wait(SETTLE_MS - 1) == []
    assert story.wait(1) == ["Query"]


def test_not_found_before_settle_counts_for_nothing() -> None:
    """The request may still be on its way."""
    story = begun("asked", "pool")
    story.answer("unknown")
    early_ms = story.now_ms + SETTLE_MS - 1
    story.wake()
    story.reply("not_found", at_ms=early_ms)
    story.wake()
    story.reply("not_found")
    assert (story.case.state, story.attempt.not_found) == ("unknown", 1)


def test_same_not_found_heard_twice_counts_once() -> None:
    """A doubled answer is one answer."""
    story = begun("asked", "pool")
    story.answer("unknown")
    story.wake()
    story.reply("not_found")
    story.reply("not_found")
    assert (story.case.state, story.attempt.not_found) == ("unknown", 1)


def test_overdue_answers_keep_two_questions_apart() -> None:
    """Two lookups in the same second ask the same replica: the second waits 15 s."""
    story = begun("asked", "pool")
    story.answer("unknown")
    story.wake()
    story.now_ms += 5 * MINUTE_MS
    story.reply("not_found")
    assert story.case.wake_ms == story.now_ms + 15_000


def test_rejected_replay_proves_nothing() -> None:
    """The balance check of a replay ran before the look-up of the first try (R1)."""
    story = begun("again", "pool")
    story.answer("unknown")
    story.wake()
    assert story.reply("rejected", is_query=False) == []
    assert (story.case.state, story.submitted_to()) == ("unknown", ["again"])


def test_listed_rejection_in_a_query_disproves() -> None:
    """The supplier names our ref and says no: that is about the first try."""
    story = begun("asked", "pool")
    story.answer("unknown")
    story.wake()
    assert story.reply("rejected", code="out_of_stock") == ["Submit"]


def test_rejection_without_a_listed_code_in_a_query_proves_nothing() -> None:
    """Only codes of the error table are understood."""
    story = begun("asked", "pool")
    story.answer("unknown")
    story.wake()
    assert story.reply("rejected", code=None) == []
    assert story.case.state == "unknown"


def test_rejection_after_an_unknown_submit_proves_nothing() -> None:
    """Two answers to one submit: the doubtful one stands."""
    story = begun("asked", "pool")
    story.answer("unknown")
    assert story.answer("rejected") == []
    assert story.case.state == "unknown"


def test_unknown_outcome_of_an_opaque_channel_goes_to_a_person() -> None:
    """Nobody can be asked (R3); the person's word lets the next channel try."""
    story = begun("blind", "dark")
    assert story.answer("unknown") == []
    assert story.case.escalated_reason == "unknown_outcome"
    assert story.person("not_delivered") == ["Submit"]
    assert story.submitted_to() == ["blind", "dark"]


def test_late_goods_of_an_unknown_attempt_are_handed_over() -> None:
    """The open attempt delivered after all: that is what we waited for."""
    story = begun("asked")
    story.answer("unknown")
    story.wake()
    assert story.reply("delivered") == ["HandOver"]


def test_late_goods_of_an_escalated_case_are_locked_away() -> None:
    """A person has it and may have delivered: goods are never handed out by themselves."""
    story = begun("blind")
    story.answer("unknown")
    assert story.answer("delivered") == ["Quarantine"]
    assert (story.case.state, story.attempt.state) == ("escalated", "quarantined")
    assert story.person("not_delivered") == []
    assert story.case.escalated_reason == "goods_in_quarantine"


def test_late_goods_of_a_disproved_attempt_do_not_disturb_the_next() -> None:
    """The supplier broke its promise: locked away, the running attempt goes on."""
    story = begun("asked", "pool")
    first = story.attempt
    story.answer("rejected")
    assert story.answer("delivered", of=first) == ["Quarantine"]
    assert (story.case.state, story.attempt.channel) == ("submitting", "pool")
    assert isinstance(story.newest(Quarantine), Quarantine)
    story.answer("rejected")
    assert story.case.escalated_reason == "goods_in_quarantine"


def test_accepted_order_is_asked_about_and_never_disproved_by_not_found() -> None:
    """It said it took the order and now knows nothing of it: a person decides."""
    story = begun("asked", "pool")
    story.answer("accepted", supplier_ref="S1")
    assert story.wake() == ["Query"]
    query = story.newest(Query)
    assert isinstance(query, Query)
    assert query.supplier_ref == "S1"
    story.reply("not_found")
    story.wake()
    story.reply("not_found")
    assert story.case.escalated_reason == "accepted_then_not_found"
    assert story.submitted_to() == ["asked"]


def test_wrong_number_of_goods_goes_to_a_person() -> None:
    """Two keys for one order are not handed out, nor one for two."""
    story = begun("asked")
    assert story.answer("delivered", goods_count=2) == []
    assert story.case.escalated_reason == "wrong_quantity"


def test_goods_above_the_limit_are_handed_over_and_marked() -> None:
    """Bought is bought; the attempt says that it cost too much."""
    story = begun("asked")
    assert story.answer("delivered", cost_minor=501) == ["HandOver"]
    assert story.attempt.reason == "cost_above_limit"


def test_person_queue_takes_the_case_and_its_answer_closes_or_continues_it() -> None:
    """`manual` escalates at once; a person's *delivered* closes, *not delivered* goes on."""
    story = begun("staff", "pool")
    assert story.submitted_to() == ["staff"]
    assert story.case.escalated_reason == "manual_queue"
    story.answer("accepted")
    assert story.person("not_delivered") == ["Submit"]
    assert story.submitted_to() == ["staff", "pool"]
    other = begun("staff")
    other.person("delivered")
    assert (other.case.state, other.case.resolution) == ("delivered", "closed_by_person")
    assert other.last.cancels == (f"submit_{other.attempt.ref}",)


@pytest.mark.parametrize(
    ("resolution", "state", "written"),
    [
        ("delivered", "delivered", "closed_by_person"),
        ("alternative", "delivered", "alternative"),
        ("refunded", "voided", "refunded"),
    ],
)
def test_person_closes_a_case_without_giving_it_back(
    resolution: str, state: str, written: str
) -> None:
    """The shop must not deliver what a person has settled; goods in the vault are locked."""
    story = begun("asked")
    story.answer("delivered")
    story.hand_over("refused")
    assert story.person(resolution) == ["Quarantine"]
    assert (story.case.state, story.case.resolution) == (state, written)
    assert story.person("refunded") == []


def test_submit_that_is_never_answered_goes_to_a_person_and_is_withdrawn() -> None:
    """The machine never guesses; an unsent submit is dropped from the outbox."""
    story = begun("asked", "pool")
    story.wake()
    assert story.case.escalated_reason == "unresolved"
    assert story.last.cancels == (f"submit_{story.attempt.ref}",)
    assert story.submitted_to() == ["asked"]


@pytest.mark.parametrize(
    ("channel_limit", "loss", "expected"), [(None, 0, 500), (300, 0, 300), (900, 50, 550)]
)
def test_goods_may_cost_the_order_value_plus_the_allowed_loss(
    channel_limit: int | None, loss: int, expected: int
) -> None:
    """The smaller of the channel's limit and the order's value plus loss."""
    channel = ChannelSettings(name="asked", kind="http", max_cost_minor=channel_limit)
    assert max_cost(500, channel, settings_with("asked", max_loss_minor=loss)) == expected


def test_submit_carries_the_cost_limit() -> None:
    """The channel gets the limit that was computed from the shop's amount."""
    submit = begun("asked").newest(Submit)
    assert isinstance(submit, Submit)
    assert submit.max_cost_minor == 500


def test_duplicate_proves_that_the_first_try_succeeded() -> None:
    """The channel has had this ref and tells no more: a person gets the goods there."""
    story = begun("twice", "pool")
    assert story.answer("duplicate", code="exists") == []
    assert (story.case.state, story.case.escalated_reason) == ("escalated", "goods_at_channel")
    assert (story.attempt.state, story.attempt.code) == ("accepted", "exists")
    assert story.submitted_to() == ["twice"]


def test_lost_answer_of_a_detectable_channel_goes_to_a_person() -> None:
    """A repeat might buy again: that a first one succeeded shows only when it is refused."""
    story = begun("twice", "pool")
    assert story.answer("unknown") == []
    assert story.case.escalated_reason == "unknown_outcome"
    assert story.submitted_to() == ["twice"]


def test_duplicate_of_a_channel_that_tells_goods_again_is_asked_about() -> None:
    """A queryable one is known to have it now: the next question brings the goods."""
    story = begun("asked", "pool")
    assert story.answer("duplicate") == []
    assert story.case.state == "accepted"
    assert story.wake() == ["Query"]
    assert story.reply("delivered") == ["HandOver"]


def test_duplicate_of_an_opaque_channel_is_no_more_than_unknown() -> None:
    """Whether it knows refs at all is not known."""
    story = begun("blind")
    story.answer("duplicate")
    assert (story.attempt.state, story.case.escalated_reason) == ("unknown", "unknown_outcome")


def test_channel_that_asks_to_be_left_alone_is_not_asked_sooner() -> None:
    """`Retry-After` wins over the settle time and over any backoff."""
    story = begun("asked", "pool")
    story.answer("unknown", retry_after_ms=4 * MINUTE_MS)
    assert story.case.wake_ms == story.now_ms + 4 * MINUTE_MS
    story = begun("asked", "pool")
    story.answer("rejected", retry="same", retry_after_ms=4 * MINUTE_MS)
    assert story.case.wake_ms == story.now_ms + 4 * MINUTE_MS


def test_throttled_try_waits_at_least_half_of_its_pause() -> None:
    """Equal jitter: a crowd that was too much must not come back at once."""
    story = begun("asked", "pool")
    story.answer("rejected", retry="same", code="throttled")
    assert story.case.wake_ms is not None
    assert 15_000 <= story.case.wake_ms - story.now_ms <= 30_000


def test_goods_that_another_order_has_are_not_handed_out() -> None:
    """They were paid for, so no other channel is asked either: a person complains to the supplier."""
    story = begun("asked", "pool")
    assert story.answer("delivered", goods_count=0, code="goods_sold_before") == []
    assert story.case.escalated_reason == "goods_sold_before"
    assert story.submitted_to() == ["asked"]
