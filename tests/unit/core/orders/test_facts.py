"""What is true of an order, rule by rule of contract §2."""

import pytest

from monitor.core.orders.facts import EVENTS_PER_TYPE_MAX, Facts, derive, insert
from monitor.core.orders.lifecycle import is_breach, verdict
from monitor.model.events import OrderEvent
from monitor.model.settings import PromiseTable
from monitor.testing.scenario import (
    START_MS,
    Happening,
    Scenario,
    accepted,
    attempt_failed,
    attempted,
    called_back,
    cancelled,
    created,
    delivered,
    expired,
    failed,
    paid,
    refunded,
    verified,
)

PROMISES = PromiseTable(
    default_ms=180_000,
    by_speed={"express": 60_000},
    by_sku={"gold": 10_000},
    by_fulfilment={"manual": 7_200_000},
)


def timeline_of(*happenings: Happening) -> tuple[OrderEvent, ...]:
    timeline: tuple[OrderEvent, ...] = ()
    for one in happenings:
        timeline = insert(timeline, one.event(START_MS)) or timeline
    return timeline


def facts_of(*happenings: Happening) -> Facts:
    return derive(timeline_of(*happenings), PROMISES)


def seconds(at_ms: int | None) -> float | None:
    return None if at_ms is None else (at_ms - START_MS) / 1000


@pytest.mark.parametrize(
    ("happenings", "paid_s"),
    [
        ([created("o", "5s")], None),
        ([created("o", "5s", created_means_paid=True)], 5),
        ([created("o", "5s"), paid("o", "9s")], 9),
        ([called_back("o", "7s", meaning="paid")], 7),
        ([called_back("o", "7s", meaning="paid", outcome="rejected")], 7),
        ([called_back("o", "7s", meaning="waiting")], None),
        ([called_back("o", "7s", meaning="unknown")], None),
        ([called_back("o", "7s", meaning="expired")], None),
        ([called_back("o", "7s", meaning="refunded")], None),
        ([called_back("o", "7s")], None),
        ([called_back("o", "1m", meaning="waiting"), called_back("o", "2m", meaning="paid")], 120),
        ([paid("o", "9s"), called_back("o", "7s", meaning="paid")], 7),
        ([accepted("o", "9s")], None),
        ([attempted("o", "9s")], 9),
        ([attempt_failed("o", "9s")], 9),
        ([delivered("o", "9s")], 9),
        ([verified("o", "9s")], 9),
        ([created("o", "5s"), delivered("o", "9s")], 5),
        ([attempted("o", "8s"), delivered("o", "9s")], 8),
        ([delivered("o", "9s"), paid("o", "12s")], 12),
        ([refunded("o", "9s")], None),
        ([failed("o", "9s"), cancelled("o", "10s")], None),
    ],
)
def test_payment_evidence_is_the_earliest_explicit_one_else_inferred(
    happenings: list[Happening], paid_s: float | None
) -> None:
    """Paid, a callback that means paid, created where that means paid; else handling implies it."""
    assert seconds(facts_of(*happenings).paid_ms) == paid_s


def test_payment_inferred_from_a_delivery_is_marked() -> None:
    """Only a payment that nobody reported is inferred."""
    assert facts_of(delivered("o", "9s")).is_paid_inferred
    assert not facts_of(delivered("o", "9s"), paid("o", "1s")).is_paid_inferred


def test_attributes_come_from_paid_before_created_before_the_rest() -> None:
    """The rank of the event decides, not its time and not who arrived first."""
    facts = facts_of(
        accepted("o", "1s", sku="from-accepted", region="CN", amount_minor=1),
        created("o", "2s", sku="from-created", amount_minor=2),
        paid("o", "3s", sku="from-paid"),
    )
    assert (facts.sku, facts.amount_minor, facts.region) == ("from-paid", 2, "CN")


def test_source_of_an_order_is_that_of_its_payment() -> None:
    """Which shop's silence matters follows the same rank."""
    facts = facts_of(created("o", "1s", source="front"), paid("o", "3s", source="cashier"))
    assert facts.source == "cashier"


@pytest.mark.parametrize(
    ("fields", "promise_s"),
    [
        ({}, 180),
        ({"speed": "express"}, 60),
        ({"speed": "unknown"}, 180),
        ({"speed": "express", "fulfilment": "manual"}, 7200),
        ({"speed": "express", "fulfilment": "manual", "sku": "gold"}, 10),
        ({"speed": "express", "fulfilment": "manual", "sku": "gold", "promise_ms": 5_000}, 5),
    ],
)
def test_most_specific_promise_wins(fields: dict[str, object], promise_s: float) -> None:
    """The event's own promise, then sku, fulfilment, speed and the default."""
    assert facts_of(paid("o", "1s", **fields)).promise_ms == promise_s * 1000


def test_promise_of_paid_beats_that_of_created() -> None:
    """An order's promise is fixed by its payment."""
    facts = facts_of(created("o", "1s", promise_ms=9_000), paid("o", "2s", promise_ms=4_000))
    assert facts.promise_ms == 4_000


@pytest.mark.parametrize(
    ("happenings", "channel"),
    [
        ([paid("o", "1s")], None),
        ([paid("o", "1s", channel="a")], "a"),
        ([paid("o", "1s", channel="a"), attempted("o", "2s", channel="b")], "b"),
        ([paid("o", "1s", channel="a"), attempted("o", "2s")], "a"),
        ([attempted("o", "2s", channel="b"), attempted("o", "3s", channel="c")], "c"),
        (
            [
                paid("o", "1s", channel="a"),
                attempted("o", "2s", channel="b"),
                delivered("o", "3s"),
                attempted("o", "4s", channel="c"),
            ],
            "b",
        ),
        ([paid("o", "1s", channel="a"), delivered("o", "3s", channel="d")], "d"),
        ([paid("o", "1s"), verified("o", "3s", channel="v")], "v"),
        ([paid("o", "1s"), attempt_failed("o", "3s", channel="f")], "f"),
    ],
)
def test_channel_is_the_delivering_attempts_else_the_one_paid_named(
    happenings: list[Happening], channel: str | None
) -> None:
    """The latest attempt up to the delivery holds the order."""
    assert facts_of(*happenings).channel == channel


def test_channel_named_by_a_later_attempt_was_not_sold_on() -> None:
    """Who tried first after the breach did not hold the order at the breach."""
    facts = facts_of(paid("o", "1s"), attempted("o", "10m", channel="late"))
    assert (facts.sold_on, facts.channel) == (None, "late")


@pytest.mark.parametrize(
    ("happenings", "expected"),
    [
        ([paid("o", "6m"), delivered("o", "59s")], ("delivered_before_paid",)),
        ([paid("o", "6m"), delivered("o", "1m")], ()),
        ([paid("o", "1s"), delivered("o", "2s"), delivered("o", "3s")], ("delivered_twice",)),
        ([paid("o", "1s"), refunded("o", "2s"), delivered("o", "3s")], ("delivered_after_refund",)),
        ([paid("o", "1s"), delivered("o", "2s"), refunded("o", "3s")], ()),
        ([paid("o", "1s"), delivered("o", "2s"), delivered("o", "3s", takeover_id="t")], ()),
        ([refunded("o", "1s"), failed("o", "2s")], ()),
        ([paid("o", "1s"), delivered("o", "2s"), delivered("o", "3s", is_inferred=True)], ()),
        (
            [delivered("o", "2s", is_inferred=True), delivered("o", "3s", is_inferred=True)],
            ("delivered_twice",),
        ),
    ],
)
def test_what_cannot_all_be_true_is_kept_and_named(
    happenings: list[Happening], expected: tuple[str, ...]
) -> None:
    """Contradictions beyond five minutes of clock skew are shown, never a crash."""
    assert facts_of(*happenings).contradictions == expected


def test_verified_without_delivered_counts_as_delivered() -> None:
    """Somebody saw the goods, so they were delivered."""
    facts = facts_of(paid("o", "1s"), verified("o", "3s"))
    assert seconds(facts.delivered_ms) == 3


def test_expired_counts_as_cancelled_at_the_earlier_of_both() -> None:
    """The first closing of that kind is the one that counts."""
    facts = facts_of(paid("o", "1s"), cancelled("o", "9s"), expired("o", "4s"))
    assert seconds(facts.cancelled_ms) == 4
    assert verdict(facts, START_MS + 5_000) == "cancelled"


def test_done_is_the_first_of_delivery_and_closing() -> None:
    """The wait of the buyer ends once."""
    facts = facts_of(paid("o", "1s"), delivered("o", "9s"), refunded("o", "4s"))
    assert (seconds(facts.done_ms), seconds(facts.closed_ms)) == (4, 4)


def test_same_source_and_id_is_a_duplicate_unless_it_can_never_be_one() -> None:
    """Deduplication is by (source, id) within the order; events without identity all count."""
    timeline = timeline_of(paid("o", "1s", event_id="e1"))
    assert insert(timeline, paid("o", "1s", event_id="e1").event(START_MS + 9)) is None
    assert (
        insert(timeline, paid("o", "1s", event_id="e1", source="two").event(START_MS)) is not None
    )
    unique = paid("o", "1s", event_id="e1", is_unique=True).event(START_MS + 9)
    assert insert(timeline, unique) is not None


@pytest.mark.parametrize("is_reversed", [False, True])
def test_two_contents_under_one_id_lead_to_the_same_facts(*, is_reversed: bool) -> None:
    """Of two events that claim the same id the earlier one stands, whoever arrives first."""
    given = [paid("o", "1s", event_id="e1"), paid("o", "9s", event_id="e1")]
    facts = facts_of(*(reversed(given) if is_reversed else given))
    assert seconds(facts.paid_ms) == 1


@pytest.mark.parametrize("is_reversed", [False, True])
def test_time_of_the_shop_stands_against_a_time_of_ours(*, is_reversed: bool) -> None:
    """An event that was repeated while our clock was hours slow keeps the time the shop told."""
    given = [paid("o", "9s", event_id="e1"), paid("o", "1s", event_id="e1", is_inferred=True)]
    facts = facts_of(*(reversed(given) if is_reversed else given))
    assert seconds(facts.paid_ms) == 9


@pytest.mark.parametrize("is_reversed", [False, True])
def test_event_that_takes_the_place_of_its_twin_is_a_duplicate(*, is_reversed: bool) -> None:
    """Two contents under one id are one event to whoever sent them and to whoever counts."""
    given = [paid("o", "9s", event_id="e1"), paid("o", "1s", event_id="e1")]
    first, second = reversed(given) if is_reversed else given
    story = Scenario().at("20s", first)
    assert story.at("21s", second, paid("o", "1s", event_id="e2")).outcomes == (
        "duplicate",
        "accepted",
    )
    assert seconds(story.engine.shard.orders["o"].facts.paid_ms) == 1
    counted = story.engine.shard.totals.events
    assert counted["shop\torder.paid\taccepted"] == 2
    assert counted["shop\torder.paid\tduplicate"] == 1


def test_flood_of_events_keeps_the_earliest_of_each_type() -> None:
    """More than the limit of one type cannot push out other facts, in any order of arrival."""
    flood = [called_back("o", f"{index}s", meaning="waiting") for index in range(40, 0, -1)]
    timeline = timeline_of(*flood, paid("o", "99s"), *flood)
    kept = [seconds(event.time_ms) for event in timeline]
    assert kept == [*range(1, EVENTS_PER_TYPE_MAX + 1), 99]


@pytest.mark.parametrize(
    ("happenings", "at_s", "expected"),
    [
        ([created("o", "0s")], 999, "unpaid"),
        ([refunded("o", "0s")], 999, "unpaid"),
        ([paid("o", "0s"), delivered("o", "3m")], 999, "good"),
        ([paid("o", "0s"), delivered("o", "180001ms")], 999, "late_delivered"),
        ([paid("o", "6s"), delivered("o", "0s")], 999, "good"),
        (
            [paid("o", "0s"), delivered("o", "5s"), refunded("o", "3s"), failed("o", "2s")],
            9,
            "good",
        ),
        (
            [paid("o", "0s"), failed("o", "9s"), refunded("o", "8s"), cancelled("o", "7s")],
            9,
            "failed",
        ),
        ([paid("o", "0s"), refunded("o", "8s"), cancelled("o", "7s")], 9, "refunded"),
        ([paid("o", "0s"), cancelled("o", "7m")], 999, "cancelled"),
        ([paid("o", "0s")], 180, "undecided"),
        ([paid("o", "0s")], 180.001, "late_pending"),
        ([paid("o", "0s")], -1, "undecided"),
    ],
)
def test_first_matching_verdict_wins(
    happenings: list[Happening], at_s: float, expected: str
) -> None:
    """The verdict table of contract §2; exactly at the promise is still in time."""
    assert verdict(facts_of(*happenings), START_MS + round(at_s * 1000)) == expected


@pytest.mark.parametrize(
    ("happenings", "at_ms", "expected"),
    [
        ([paid("o", "0s")], 180_000, False),
        ([paid("o", "0s")], 180_001, True),
        ([created("o", "0s")], 999_999, False),
        ([paid("o", "0s"), delivered("o", "3m")], 999_999, False),
        ([paid("o", "0s"), delivered("o", "180001ms")], 999_999, True),
        ([paid("o", "0s"), cancelled("o", "3m"), delivered("o", "9m")], 999_999, False),
        ([paid("o", "0s"), refunded("o", "4m")], 999_999, True),
    ],
)
def test_breach_is_neither_delivered_nor_closed_at_the_promise(
    happenings: list[Happening], at_ms: int, expected: bool
) -> None:
    """What happened up to and including the deadline prevents it, what came later does not."""
    assert is_breach(facts_of(*happenings), START_MS + at_ms) is expected
