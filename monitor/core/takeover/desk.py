"""All takeover cases of a shard: opens them within the limits and feeds them what happens.

The desk only routes: `machine` says what an input does to a case. What comes back is a list of
`Moved` - the case as it is now with the effects it asks for - so the engine can log and perform
both in one transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import assert_never

import msgspec

from monitor.core.orders.order import Order
from monitor.core.takeover import machine
from monitor.core.takeover.limits import (
    Spending,
    counted_amount,
    may_open,
    may_spend,
    record_spending,
)
from monitor.core.takeover.steps import Step
from monitor.model.effects import Effect
from monitor.model.records import AttemptAnswered, CaseResolved, ClaimAnswered, HandOverAnswered
from monitor.model.settings import Settings
from monitor.model.takeovers import CaseState, TakeoverCase
from monitor.model.times import HOUR_MS

CaseAnswer = ClaimAnswered | AttemptAnswered | HandOverAnswered

# States in which nothing was bought and nothing will be: the case's value is free again.
_COSTS_NOTHING = (CaseState.ADVISED,)


class Moved(msgspec.Struct, frozen=True):
    """A case that changed: its new value, where it was, its effects, and effects to drop."""

    case: TakeoverCase
    previous: str | None
    effects: tuple[Effect, ...]
    cancels: tuple[str, ...]


class Refusal(msgspec.Struct, frozen=True):
    """A limit of `fallback` that keeps an order, the first of perhaps many, where it is."""

    reason: str
    order_id: str


class Desk:
    """Cases by takeover id and what they may cost; state changes only through `apply`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.cases: dict[str, TakeoverCase] = {}
        self.spending = Spending()
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
            facts = order.facts
            is_advice = fallback.mode == "advise" or order.order_id in under_review
            if is_advice and order.case is not None:
                continue  # a person knows of it
            settings = advising if is_advice else self.settings
            acts = settings.fallback.has_shop
            amount_minor = counted_amount(settings, facts.currency, facts.amount_minor)
            if acts:
                refusal = may_open(self.spending, settings, amount_minor, now_ms)
                if refusal is not None:  # the shard shows the order again in a minute
                    self._refuse(refusal, order.order_id, now_ms)
                    continue
            step = machine.open_case(
                order_id=order.order_id,
                held_by_channel=channel_of[order.order_id],
                sku=facts.sku,
                quantity=facts.quantity or 1,
                amount_minor=facts.amount_minor,
                currency=facts.currency,
                region=facts.region,
                fence=1 if order.case is None else order.case.fence + 1,
                settings=settings,
                now_ms=now_ms,
            )
            opened.append(self._moved(step, None))
        return opened

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
        match answer:
            case ClaimAnswered():
                refused = None
                if answer.status == "granted":
                    refused = may_spend(
                        self.spending, self.settings, case.takeover_id, answer.amount_minor, now_ms
                    )
                step = machine.on_claim(case, answer, self.settings, now_ms, refused=refused)
            case AttemptAnswered():
                step = machine.on_attempt(case, answer, self.settings, now_ms)
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
        return self._if_changed(case, machine.on_person(case, order, self.settings, now_ms))

    def wake(self, case: TakeoverCase, now_ms: int) -> Moved | None:
        """Let a case look at the clock."""
        return self._if_changed(case, machine.on_wake(case, self.settings, now_ms))

    def finished(
        self, case: TakeoverCase, kind: str, takeover_id: str | None, now_ms: int
    ) -> Moved | None:
        """The shop says that the order is delivered, refunded, failed or cancelled."""
        return self._if_changed(case, machine.on_order_finished(case, kind, takeover_id, now_ms))

    def apply(self, case: TakeoverCase) -> None:
        """Make a case's new value true; live and in recovery alike."""
        self.cases[case.takeover_id] = case
        if case.state in _COSTS_NOTHING:
            return
        nothing_bought = case.state == CaseState.VOIDED and not case.attempts
        amount_minor = counted_amount(self.settings, case.currency, case.amount_minor)
        self.spending = record_spending(
            self.spending,
            case.takeover_id,
            0 if nothing_bought else amount_minor,
            case.opened_ms,
        )

    def forget(self, takeover_id: str) -> None:
        """Drop a case whose order left memory; the store still has it."""
        self.cases.pop(takeover_id, None)

    def _if_changed(self, case: TakeoverCase, step: Step) -> Moved | None:
        if step.case is case and not step.effects and not step.cancels:
            return None
        return self._moved(step, case.state)

    def _moved(self, step: Step, previous: str | None) -> Moved:
        self.apply(step.case)
        return Moved(step.case, previous, step.effects, step.cancels)
