"""Recorded events become one row per paid order; incidents are left out, waiting orders are not."""

from monitor.core.signals.survival import NEVER_MS
from monitor.model.events import EventType, OrderEvent
from monitor.model.settings import Settings
from monitor.model.times import MINUTE_MS, SECOND_MS
from monitor.sim.history import history

SETTINGS = Settings()  # a promise of three minutes


def event(kind: EventType, order: str, at_s: float, channel: str | None = None) -> OrderEvent:
    """One event; the id is unique by what happened when."""
    at_ms = int(at_s * SECOND_MS)
    return OrderEvent(
        kind.value, order, "shop", f"{order}-{kind}-{at_ms}", at_ms, at_ms, channel=channel
    )


def paid(order: str, at_s: float, channel: str | None = "auto") -> OrderEvent:
    """A payment."""
    return event(EventType.PAID, order, at_s, channel)


def delivered(order: str, at_s: float, channel: str | None = None) -> OrderEvent:
    """A delivery."""
    return event(EventType.DELIVERED, order, at_s, channel)


def test_delivered_waiting_and_refunded_orders_are_all_rows() -> None:
    """A delay, an age at the last event, and one that will never end; unpaid orders are none."""
    past = history(
        [
            paid("waits", 0),
            paid("done", 10),
            delivered("done", 18),
            paid("back", 20),
            event(EventType.REFUNDED, "back", 30),
            event(EventType.CREATED, "unpaid", 40),
            delivered("late", 600),
            paid("late", 300),
        ],
        SETTINGS,
    )
    assert list(past.paid_ms) == [0, 10_000, 20_000, 300_000]
    assert list(past.durations_ms) == [600_000, 8_000, NEVER_MS, 300_000]
    assert list(past.is_delivered) == [False, True, False, True]
    assert list(past.is_late) == [True, False, False, True]
    assert list(past.is_bad) == [True, False, True, True]
    assert not past.is_failed.any()
    assert (past.from_ms, past.to_ms, past.span_ms) == (0, 600_000, 600_000)


def test_same_event_twice_counts_once_and_heartbeats_are_nothing() -> None:
    """The id tells a repetition; what has no order has no row."""
    beat = event(EventType.HEARTBEAT, "", 50)
    past = history([paid("a", 0), paid("a", 0), delivered("a", 5), beat], SETTINGS)
    assert list(past.durations_ms) == [5_000]
    assert past.to_ms == 5_000


def test_order_counts_for_the_channel_that_held_it_at_its_breach() -> None:
    """One in time counts for who delivered it; one without channel for `external`."""
    past = history(
        [
            paid("late", 0, "slow"),
            delivered("late", 400, "other"),
            paid("rescued", 1, "slow"),
            delivered("rescued", 5, "other"),
            paid("nobody", 2, None),
        ],
        SETTINGS,
    )
    assert past.channels == ("external", "other", "slow")
    assert [past.channels[code] for code in past.channel] == ["slow", "other", "external"]
    assert list(past.of("slow")) == [True, False, False]
    assert past.of("none").sum() == 0
    assert past.of(None).sum() == 3


def test_incident_is_left_out_and_those_caught_in_it_waited_until_it_began() -> None:
    """Paid in the incident: gone. Paid before and delivered in it: an age of one minute."""
    past = history(
        [
            paid("caught", 60),
            delivered("caught", 500),
            paid("inside", 130),
            delivered("inside", 140),
            paid("after", 300),
            delivered("after", 303),
            delivered("before", 20),
            paid("before", 10),
            paid("end", 720),
        ],
        SETTINGS,
        [(2 * MINUTE_MS, 4 * MINUTE_MS), (3 * MINUTE_MS, 5 * MINUTE_MS)],
    )
    assert list(past.durations_ms) == [10_000, 60_000, 3_000, 0]
    assert list(past.is_delivered) == [True, False, True, False]
    assert not past.is_late.any()
    assert past.n_excluded == 1
    assert past.excluded == ((2 * MINUTE_MS, 5 * MINUTE_MS),)
    # From the first payment (10 s) to the last event (720 s), without three minutes.
    assert past.span_ms == 530_000


def test_nothing_recorded_is_an_empty_history() -> None:
    """No order, no channel, no time."""
    past = history([], SETTINGS)
    assert past.channels == ()
    assert past.paid_ms.size == 0
    assert past.span_ms == 1
