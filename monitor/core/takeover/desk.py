"""All takeover cases of a shard: opens them within the limits and feeds them what happens.

The desk only routes: `machine` says what an input does to a case. What comes back is a list of
`Moved` - the case as it is now with the effects it asks for - so the engine can log and perform
both in one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import assert_never

import msgspec

from monitor.core.orders.order import Order
from monitor.core.takeover import machine
from monitor.core.takeover.choosing import is_passed_over
from monitor.core.takeover.learning import TOO_EARLY, channel_of, settle_of
from monitor.core.takeover.limits import (
    Ledger,
    Spending,
    counted_amount,
    may_open,
    may_spend,
    spent_by,
)
from monitor.core.takeover.pace import (
    AMBIGUOUS,
    PAUSED,
    SLOTS,
    ChannelPace,
    Pace,
    Wait,
)
from monitor.core.takeover.queue import with_deadline
from monitor.core.takeover.steps import CaseAnswer, Step, find_attempt, rewound, slept, timely
from monitor.core.takeover.waiting import Queues, Rank, place_of
from monitor.model.effects import Effect
from monitor.model.records import (
    AttemptAnswered,
    CaseResolved,
    ClaimAnswered,
    ClockSetBack,
    HandOverAnswered,
)
from monitor.model.settings import ChannelSettings, Settings
from monitor.model.takeovers import CLOCK_PLAY_MS, CaseState, TakeoverCase
from monitor.model.times import HOUR_MS

WAITING_MAX = 100_000  # cases that wait for a channel; more orders stay with their shop
_FOR_EVENTS = (PAUSED, AMBIGUOUS, SLOTS)

# States that end by patience: in all others nothing is given up because of the time.
_PATIENT = (
    CaseState.CLAIMING,
    CaseState.CLAIMED,
    CaseState.SUBMITTING,
    CaseState.ACCEPTED,
    CaseState.UNKNOWN,
    CaseState.VOIDED,
)


class Moved(msgspec.Struct, frozen=True):
    """A case that changed: its new value, where it was, its effects, and effects to drop."""

    case: TakeoverCase
    previous: str | None
    effects: tuple[Effect, ...]
    cancels: tuple[str, ...]
    is_reminder: bool = False


class Refusal(msgspec.Struct, frozen=True):
    """A limit of `fallback` that keeps an order, the first of perhaps many, where it is."""

    reason: str
    order_id: str


class Desk:
    """Cases by takeover id, what they may cost and how fast; state changes only through `apply`.

    `orders` are those of the shard, to rank who waits; `is_stopped` says whether a person has
    drained or locked a channel. The desk is the machine's gate (`pace.Gate`).
    """

    def __init__(
        self, settings: Settings, orders: Mapping[str, Order], is_stopped: Callable[[str], bool]
    ) -> None:
        self.settings = settings
        self.cases: dict[str, TakeoverCase] = {}
        self.ledger = Ledger()
        self.pace = Pace()
        self.queues = Queues()
        self._orders = orders
        self._is_stopped = is_stopped
        self._awake_ms = 0  # since when our clock goes on evenly
        self._away_ms = 0  # for how long it told nothing before that
        self._refusals: list[Refusal] = []
        self._told_ms: dict[str, int] = {}  # by reason; a restart tells once more

    def open(
        self,
        orders: Iterable[Order],
        channel_of: dict[str, str],
        under_review: Collection[str],
        now_ms: int,
    ) -> list[Moved]:
        """Open a case for every stuck order that the mode and the limits allow.

        An order under manual review is a person's: its case only advises. One that was only
        advised gets a new case under the next fence.
        """
        fallback = self.settings.fallback
        if fallback.mode == "observe":
            return []
        advising = msgspec.structs.replace(
            self.settings, fallback=msgspec.structs.replace(fallback, has_shop=False)
        )
        opened = []
        for order in orders:
            is_advice = fallback.mode == "advise" or order.order_id in under_review
            if is_advice and order.case is not None:
                continue  # a person knows of it
            settings = advising if is_advice else self.settings
            refusal = (
                self._may_open(settings, order, now_ms) if settings.fallback.has_shop else None
            )
            if refusal is not None:  # the shard shows the order again in a minute
                self._refuse(refusal, order.order_id, now_ms)
                continue
            opened.append(self._open(order, channel_of[order.order_id], settings, now_ms))
        return opened

    def open_ordered(
        self, order: Order, channel: str, only_kind: str | None, now_ms: int
    ) -> Moved | str:
        """Open a case because a person asked for it, whatever the mode; or say why not.

        A person is not held to so many an hour, but to the money of a day.
        """
        if not self.settings.fallback.has_shop:
            return "no_shop"
        if order.case is not None and order.case.state != CaseState.ADVISED:
            return f"takeover_{order.case.state}"
        refusal = self._may_open(self.settings, order, now_ms)
        if refusal is not None and refusal != "max_per_hour":
            return refusal
        return self._open(order, channel, self.settings, now_ms, only_kind)

    def _open(
        self,
        order: Order,
        channel: str,
        settings: Settings,
        now_ms: int,
        only_kind: str | None = None,
    ) -> Moved:
        facts = order.facts
        step = machine.open_case(
            order_id=order.order_id,
            held_by_channel=channel,
            sku=facts.sku,
            quantity=facts.quantity or 1,
            amount_minor=facts.amount_minor,
            currency=facts.currency,
            region=facts.region,
            fence=1 if order.case is None else order.case.fence + 1,
            settings=settings,
            now_ms=now_ms,
        )
        if only_kind is not None:
            case = msgspec.structs.replace(step.case, only_kind=only_kind)
            step = msgspec.structs.replace(step, case=case)
        return self._moved(step, None)

    def take_refusals(self) -> list[Refusal]:
        """Limits that stopped a takeover and were not told in the last hour."""
        refusals, self._refusals = self._refusals, []
        return refusals

    def _refuse(self, reason: str, order_id: str, now_ms: int) -> None:
        told_ms = self._told_ms.get(reason)
        if told_ms is None or now_ms - told_ms >= HOUR_MS:
            self._told_ms[reason] = now_ms
            self._refusals.append(Refusal(reason, order_id))

    def answer(self, answer: CaseAnswer, now_ms: int) -> Moved | None:
        """Feed an answer of the shop or a channel to its case."""
        case = self.cases.get(answer.takeover_id)
        if case is None:
            return None
        rested, answer = self._rested(case, now_ms), timely(answer, now_ms)
        match answer:
            case ClaimAnswered():
                refused = None
                if answer.status == "granted":
                    refused = may_spend(
                        self.ledger, self.settings, case.takeover_id, answer.amount_minor, now_ms
                    )
                step = machine.on_claim(
                    rested, answer, self.settings, now_ms, refused=refused, gate=self
                )
            case AttemptAnswered():
                believed = self._believed(case, answer)
                step = machine.on_attempt(rested, believed, self.settings, now_ms, gate=self)
            case HandOverAnswered():
                step = machine.on_hand_over(case, answer, self.settings, now_ms)
            case _:
                assert_never(answer)
        return self._if_changed(case, step)

    def person(self, order: CaseResolved, now_ms: int) -> Moved | None:
        """Feed a person's resolution to its case; None if it cannot be taken now."""
        case = self.cases.get(order.takeover_id)
        if case is None:
            return None
        step = machine.on_person(case, order, self.settings, now_ms, gate=self)
        return self._if_changed(case, step)

    def wake(self, case: TakeoverCase, now_ms: int) -> Moved | None:
        """Let a case look at the clock."""
        rested = self._rested(case, now_ms)
        return self._if_changed(case, machine.on_wake(rested, self.settings, now_ms, gate=self))

    def take_turns(self, now_ms: int) -> list[Moved]:
        """Let cases go on that waited for a slot or an open channel, best first."""
        moves: list[Moved] = []
        for name in self.queues.channels():
            channel = channel_of(self.settings, name)
            while (case := self._next_of(channel, now_ms)) is not None:
                wait = self.wait(case, channel, now_ms)
                if wait is not None and not self._is_news(case, wait, now_ms):
                    break
                rested = self._rested(case, now_ms)
                step = machine.on_turn(rested, self.settings, now_ms, gate=self)
                moved = self._if_changed(case, step)
                if moved is None:
                    break
                moves.append(moved)
        return moves

    def moved_up(self, order: Order) -> None:
        """The order has reached a higher tier: it stands before others now."""
        if order.case is not None:
            self._line_up(order.case)

    def next_ms(self, now_ms: int, other_ms: int) -> int:
        """When somebody's turn may come although nothing happens; `other_ms` if that is sooner."""
        ends = (self.pace.of(name).throttled_until_ms for name in self.queues.channels())
        return min(other_ms, *(end_ms for end_ms in ends if end_ms > now_ms), other_ms)

    def finished(
        self, case: TakeoverCase, kind: str, takeover_id: str | None, now_ms: int
    ) -> Moved | None:
        """The shop says that the order is delivered, refunded, failed or cancelled."""
        return self._if_changed(case, machine.on_order_finished(case, kind, takeover_id, now_ms))

    # --- the gate ---------------------------------------------------------------------------------

    def refusal(self, case: TakeoverCase, now_ms: int) -> str | None:
        """The limit that forbids to spend anything for the case now, or None."""
        amount_minor = counted_amount(self.settings, case.currency, case.amount_minor)
        return may_spend(self.ledger, self.settings, case.takeover_id, amount_minor, now_ms)

    def wait(self, case: TakeoverCase, channel: ChannelSettings, now_ms: int) -> Wait | None:
        """Why the case must wait for the channel, or None: a free slot is for who goes first."""
        if self._is_stopped(channel.name):
            return Wait(PAUSED)
        place = place_of(case, self._orders.get(case.order_id))
        privileged = place.is_privileged
        wait = self.pace.wait(case, channel, self.settings, now_ms, is_privileged=privileged)
        if wait is not None or channel.kind == "manual":
            return wait
        first = self._first_of(channel.name)
        return Wait(SLOTS) if first is not None and first < place.rank else None

    def _first_of(self, channel: str) -> Rank | None:
        """The rank of who may take the next slot of a channel."""
        if not self.queues.count(channel):
            return None  # nearly always
        under_way = self.pace.under_way.get(channel, 0)
        is_last_fifth = under_way >= self.pace.of(channel).room(is_privileged=False)
        return self.queues.first(channel, only_privileged=is_last_fifth)

    def _next_of(self, channel: ChannelSettings, now_ms: int) -> TakeoverCase | None:
        """Who may go next; of a closed channel everybody may, to another one."""
        is_closed = self._is_stopped(channel.name) or (
            self.pace.closed(channel, self.settings, now_ms) is not None
        )
        first = (
            self.queues.first(channel.name, only_privileged=False)
            if is_closed
            else self._first_of(channel.name)
        )
        return None if first is None else self.cases[first[-1]]

    def _is_news(self, case: TakeoverCase, wait: Wait, now_ms: int) -> bool:
        """Whether the case waits for another reason now, and may go to another channel."""
        return wait.reason != case.waits_because and is_passed_over(wait, now_ms)

    def _may_open(self, settings: Settings, order: Order, now_ms: int) -> str | None:
        if len(self.queues) >= WAITING_MAX:
            return "queue_full"
        facts = order.facts
        amount_minor = counted_amount(settings, facts.currency, facts.amount_minor)
        return may_open(self.ledger, settings, amount_minor, now_ms)

    def _believed(self, case: TakeoverCase, answer: AttemptAnswered) -> AttemptAnswered:
        """The answer as far as our clock lets it count: `not_found` needs the settle time.

        Across a restart or a step of the clock nobody knows how much time has passed, so the settle
        time begins anew.
        """
        attempt = find_attempt(case, answer.attempt_ref)
        if answer.outcome != "not_found" or attempt is None:
            return answer
        settle_ms = settle_of(channel_of(self.settings, attempt.channel))
        if answer.at_ms - self._awake_ms >= settle_ms:
            return answer
        return msgspec.structs.replace(answer, outcome="unknown", code=TOO_EARLY)

    # --- state ------------------------------------------------------------------------------------

    def apply(self, case: TakeoverCase) -> None:
        """Make a case's new value true; live and in recovery alike."""
        before = self.cases.get(case.takeover_id)
        if before is case:
            return
        self.pace.follow(before, case)
        self.cases[case.takeover_id] = case
        self._line_up(case)
        spent = spent_by(case, self.settings)
        if spent is not None:
            self.ledger.record(spent, case.changed_ms)

    def adopt(self, case: TakeoverCase) -> None:
        """Take a stored case back into memory; nothing is learned from it."""
        self.pace.recount(self.cases.get(case.takeover_id), case)
        self.cases[case.takeover_id] = case
        self._line_up(case)

    def restore(self, spending: Spending, paces: Mapping[str, ChannelPace]) -> None:
        """Take over what a snapshot remembers beside the cases."""
        self.ledger = Ledger(spending)
        self.pace.channels = dict(paces)

    def resume(self, now_ms: int, away_ms: int) -> None:
        """We were away, or our clock was: what has passed meanwhile is not known."""
        self._awake_ms, self._away_ms = now_ms, away_ms

    def _rested(self, case: TakeoverCase, now_ms: int) -> TakeoverCase:
        """The case by the clock of today, and as if a long time in which we were away had not passed.

        Else one look at the clock after an hour's pause would give all that is in doubt to people,
        and nobody would have been asked.
        """
        if case.changed_ms > now_ms + CLOCK_PLAY_MS and case.state in _PATIENT:
            return rewound(case, now_ms)
        is_older = case.changed_ms < self._awake_ms and case.state in _PATIENT
        return (
            slept(case, self._away_ms, now_ms)
            if is_older and self._away_ms > CLOCK_PLAY_MS
            else case
        )

    def follow_clock(self, back: ClockSetBack) -> None:
        """Our clock was ahead: nobody waits for an hour that is long past. Cases see to themselves."""
        self._told_ms.clear()
        self.pace.follow_clock(back.at_ms, back.by_ms)

    def _line_up(self, case: TakeoverCase) -> None:
        is_waiting = case.state == CaseState.CLAIMED and case.waits_because in _FOR_EVENTS
        if is_waiting and case.waits_for is not None:
            place = place_of(case, self._orders.get(case.order_id))
            self.queues.put(case.takeover_id, case.waits_for, place)
        else:
            self.queues.drop(case.takeover_id)

    def forget(self, takeover_id: str) -> None:
        """Drop a case whose order left memory; the store still has it."""
        self.cases.pop(takeover_id, None)
        self.queues.drop(takeover_id)

    def _if_changed(self, case: TakeoverCase, step: Step) -> Moved | None:
        if step.case is case and not step.effects and not step.cancels:
            return None
        return self._moved(step, case.state, case.reminders)

    def _moved(self, step: Step, previous: str | None, reminders: int = 0) -> Moved:
        case = with_deadline(step.case, self.settings)
        self.apply(case)
        is_reminder = case.reminders > reminders
        return Moved(case, previous, step.effects, step.cancels, is_reminder)
