"""A gap of years or a far end spoils nothing of what a recording says beside it."""

from monitor.config.rules_file import load_shipped
from monitor.model.commands import Command, Decide
from monitor.model.events import OrderEvent
from monitor.model.records import AlertMoved, Breached
from monitor.model.rules import RuleSet
from monitor.model.settings import PromiseTable, Settings
from monitor.model.times import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from monitor.sim.backtest import backtest
from monitor.sim.backtest_report import build_report as build_backtest_report
from monitor.sim.backtest_text import render_report as render_backtest
from monitor.sim.gaps import gap_warnings
from monitor.sim.player import EXACT_MS, Player, Tape, cut, floor_ms, record
from monitor.sim.replay import Notable, Replayed, replay
from monitor.sim.report import build_report
from monitor.sim.report_text import render_report

START_MS = 1_767_578_400_000  # 2026-01-05T02:00:00Z
YEAR_MS = 365 * DAY_MS
SHIPPED = load_shipped()
# 1970-01-02, the day of many a clock that was never set.
UNSET_MS = DAY_MS - START_MS


def event(kind: str, order_id: str, after_ms: int, source: str = "shop") -> OrderEvent:
    at_ms = START_MS + after_ms
    return OrderEvent(kind, order_id, source, f"{order_id}/{kind}", at_ms, at_ms, channel="auto")


def outage() -> list[OrderEvent]:
    """An order a minute for two hours, delivered after 8 s; those of minutes 40 to 70 never."""
    paid = [event("order.paid", f"o{n}", n * MINUTE_MS) for n in range(120)]
    return paid + [
        event("delivery.delivered", f"o{n}", n * MINUTE_MS + 8 * SECOND_MS)
        for n in range(120)
        if not 40 <= n < 70
    ]


LAST_MS = START_MS + 119 * MINUTE_MS + 8 * SECOND_MS


def run(events: list[OrderEvent], until_ms: int | None = None) -> Replayed:
    return replay(events, Settings(), SHIPPED, until_ms=until_ms)


def said(replayed: Replayed, from_ms: int, before_ms: int) -> list[Notable]:
    """What was decided in a time, with every field and in order."""
    return [one for one in replayed.notable if from_ms <= one.at_ms < before_ms]


def ticks(tape: Tape, settings: Settings | None = None, rules: RuleSet = SHIPPED) -> int:
    """How often the engine is woken to play a tape."""
    player = Player(settings or Settings(), rules, _ignore)
    player.play(tape)
    return player.ticks


def _ignore(command: Command) -> None:
    """Only ticks are counted."""


def test_later_end_changes_nothing_that_is_said_of_the_time_before() -> None:
    """Bit by bit, in the recording, just after it, and in the silence behind it."""
    farthest = run(outage(), LAST_MS + 4 * YEAR_MS)
    alerts = [one for one in farthest.notable if isinstance(one, AlertMoved)]
    assert any(one.at_ms < LAST_MS for one in alerts)
    assert any(LAST_MS + 2 * HOUR_MS < one.at_ms < LAST_MS + YEAR_MS for one in alerts)
    for after_ms in (0, 5 * HOUR_MS + 1, YEAR_MS):
        end_ms = LAST_MS + after_ms
        nearer = run(outage(), end_ms)
        assert said(nearer, 0, end_ms) == said(farthest, 0, end_ms)
        assert nearer.evaluation_floor_ms == farthest.evaluation_floor_ms


def test_end_before_the_next_event_is_no_far_one() -> None:
    """Whether more follows within a day is known from the file: the engine is woken all the same."""
    events = [event("order.paid", "a", 0), event("order.paid", "b", 3 * HOUR_MS)]
    near = record(events, until_ms=START_MS + 2 * HOUR_MS + 30 * MINUTE_MS)
    assert near.next_ms == START_MS + 3 * HOUR_MS
    alone = record(events[:1], until_ms=near.at_ms)
    assert ticks(near) > 2 * ticks(alone)
    whole, begun = run(events), run(events, near.at_ms)
    assert whole.evaluation_floor_ms == begun.evaluation_floor_ms
    assert said(begun, 0, near.at_ms) == said(whole, 0, near.at_ms)


def test_event_of_1970_changes_no_alert_of_the_outage() -> None:
    """It is named in a warning, and the rest is evaluated as often as without it."""
    expected = run(outage())
    stray = event("order.paid", "stray", UNSET_MS, "till")
    found = run([*outage(), stray])
    moved = [one for one in said(expected, START_MS, LAST_MS) if isinstance(one, AlertMoved)]
    assert {one.alert.rule for one in moved} >= {"DelayedOver2Percent", "DeliveryStalled"}
    again = [one for one in said(found, START_MS, LAST_MS) if isinstance(one, AlertMoved)]
    assert [_episode(one) for one in again] == [_episode(one) for one in moved]
    assert found.evaluation_floor_ms == expected.evaluation_floor_ms == 0
    assert expected.warnings == ()
    (warning,) = found.warnings
    assert warning == (
        "the recording spans 56 years: no event for 56 years between order.paid of 'stray' at "
        "1970-01-02T00:00:00Z and order.paid of 'o0' at 2026-01-05T02:00:00Z; check these times"
    )


def _episode(moved: AlertMoved) -> tuple[object, ...]:
    alert = moved.alert
    return alert.rule, alert.labels, moved.previous, alert.state, moved.at_ms, alert.evidence.k


def test_decades_of_silence_cost_some_hundred_ticks() -> None:
    """Before, between and after: an hour of 5 s steps, then 30 looks while a silence doubles."""
    paid = event("order.paid", "a", 0)
    alone = ticks(record([paid], until_ms=START_MS + EXACT_MS))
    assert alone > 500
    doublings = 19  # from an hour to 56 years
    far = record([paid], until_ms=START_MS + 56 * YEAR_MS)
    assert ticks(far) - alone <= 30 * doublings + 50
    between = record([paid, event("order.paid", "z", 56 * YEAR_MS)])
    assert ticks(between) - alone <= 30 * doublings + 50


def test_far_gap_still_keeps_the_time_of_what_orders_are_due_for() -> None:
    """A promise of 60 days is broken at its very millisecond, not at the next rare look."""
    settings = Settings(promise=PromiseTable(default_ms=60 * DAY_MS))
    decided: list[int] = []

    def listen(command: Command) -> None:
        if isinstance(command, Decide) and isinstance(command.decision, Breached):
            decided.append(command.decision.decided_ms)

    paid = event("order.paid", "a", 7)
    Player(settings, RuleSet(), listen).play(record([paid], until_ms=START_MS + YEAR_MS))
    assert decided == [START_MS + 7 + 60 * DAY_MS + 1]


def test_recording_with_many_far_gaps_is_evaluated_more_coarsely() -> None:
    """A shop that sells every other day for 20 years; a few far gaps alone change nothing."""
    rare = [event("order.created", f"r{n}", 2 * n * DAY_MS) for n in range(3_651)]
    assert record(rare).lively_ms == (3_650 - 4) * DAY_MS
    assert record(rare[:5]).lively_ms == 0
    assert record(rare).lively_ms == record(rare, until_ms=START_MS + 99 * YEAR_MS).lively_ms
    tape = record(rare[:400])
    floor = floor_ms(tape, Settings(), 8)
    assert floor == 395 * DAY_MS // 20_000 // SECOND_MS * SECOND_MS


def test_part_of_a_tape_is_measured_by_itself() -> None:
    """A cut makes no far gap: what comes after it is known."""
    events = [event("order.created", f"e{n}", n * HOUR_MS) for n in range(10)]
    before, after = cut(record(events), START_MS + 6 * HOUR_MS)
    assert (before.lively_ms, after.lively_ms) == (6 * HOUR_MS, 2 * HOUR_MS)
    assert (before.next_ms, after.next_ms) == (START_MS + 7 * HOUR_MS, None)


def test_gaps_of_years_are_named_and_shorter_ones_are_not() -> None:
    """A year is closed for holidays at worst; of many gaps five are named."""
    near = [event("order.paid", "a", 0), event("order.paid", "b", YEAR_MS)]
    assert gap_warnings(record(near)) == ()
    far = [event("order.paid", f"e{n}", n * (YEAR_MS + 1)) for n in range(9)]
    warnings = gap_warnings(record(far))
    assert len(warnings) == 6
    assert "no event for 1 year between order.paid of 'e0' at " in warnings[0]
    assert warnings[-1] == "3 more gaps of more than a year"


def test_both_reports_name_the_gap_as_json_and_as_text() -> None:
    """Whoever reads either sees it."""
    events = [event("order.paid", "a", UNSET_MS), event("order.paid", "b", 0)]
    tape = record(events)
    rare = Settings(evaluation_floor_ms=DAY_MS)
    played = build_report(replay(events, rare, RuleSet(), until_ms=None))
    outcome = backtest("P", tape, rare, RuleSet(), None, lambda share: None)
    tested = build_backtest_report([outcome], tape, None, evaluated_every_ms=DAY_MS)
    for report, text in ((played, render_report(played)), (tested, render_backtest(tested))):
        (warning,) = report["warnings"]
        assert "the recording spans 56 years" in warning
        assert f"warning: {warning}" in text
