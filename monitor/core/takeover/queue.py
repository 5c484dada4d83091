"""The queue of people: who has a case and until when, when it is overdue, and who confirmed it.

* Who claims a case keeps others from deciding it until the time runs out; claiming again extends it.
* A case that nobody has closed within `fallback.manual_deadline` is called out again, then after
  twice as long, and so on up to once a day. It is never closed by time.
* Above `fallback.four_eyes_above_minor` one person's `delivered` is only the first word: it ends the
  case when another person says the same. An order whose amount is not known counts as above.
"""

from __future__ import annotations

from monitor.core.takeover.by_person import person_decided
from monitor.core.takeover.steps import Step, escalated, moved
from monitor.model.records import CaseResolved
from monitor.model.settings import Settings
from monitor.model.takeovers import CaseState, TakeoverCase
from monitor.model.times import DAY_MS

CLAIMED, LET_GO = "claimed", "let_go"
_DOUBLINGS_MAX = 20


def person_said(case: TakeoverCase, order: CaseResolved, settings: Settings, now_ms: int) -> Step:
    """A person claims a case, lets it go, or decides it; what may not be changes nothing."""
    if is_held_by_other(case, order.actor, now_ms):
        return Step(case)
    match order.resolution:
        case "claimed":
            if case.state != CaseState.ESCALATED or order.until_ms is None:
                return Step(case)
            until_ms = max(order.until_ms, now_ms)
            return Step(moved(case, now_ms, holder=order.actor, held_until_ms=until_ms))
        case "let_go":
            is_held = case.holder is not None
            return Step(moved(case, now_ms, holder=None, held_until_ms=0) if is_held else case)
        case "delivered" if needs_second(case, settings):
            if case.first_word_of is None:
                return Step(_with_first_word(case, order.actor, now_ms))
            if case.first_word_of == order.actor:
                return Step(case)
        case _:
            pass
    return person_decided(case, order, settings, now_ms)


def _with_first_word(case: TakeoverCase, actor: str, now_ms: int) -> TakeoverCase:
    """From the first word on the buyer may have the goods: the machine hands out nothing more.

    The second person must be able to decide, so the first one's claim ends.
    """
    if case.state != CaseState.ESCALATED:
        case = escalated(case, "second_word", now_ms)
    return moved(case, now_ms, first_word_of=actor, holder=None, held_until_ms=0)


def is_held_by_other(case: TakeoverCase, actor: str, now_ms: int) -> bool:
    """Whether somebody else has the case now."""
    return case.holder not in (None, actor) and now_ms < case.held_until_ms


def needs_second(case: TakeoverCase, settings: Settings) -> bool:
    """Whether two people must say that the order is delivered."""
    limit = settings.fallback.four_eyes_above_minor
    if limit is None:
        return False
    return case.amount_minor is None or case.amount_minor > limit


def with_deadline(case: TakeoverCase, settings: Settings) -> TakeoverCase:
    """The case with the time of its next reminder, if people have it and none is set."""
    deadline_ms = settings.fallback.manual_deadline_ms
    if case.state != CaseState.ESCALATED or case.wake_ms is not None or deadline_ms is None:
        return case
    wait_ms = min(deadline_ms << min(case.reminders, _DOUBLINGS_MAX), max(deadline_ms, DAY_MS))
    return moved(case, case.changed_ms, wake_ms=case.changed_ms + wait_ms)


def wake_for_person(case: TakeoverCase, _settings: Settings, now_ms: int) -> Step:
    """Nobody has closed the case in time: people hear of it again (`telling.of_case`)."""
    return Step(moved(case, now_ms, reminders=case.reminders + 1, wake_ms=None))
