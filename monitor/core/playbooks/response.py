"""The tiered response: orders enter levels, their actions leave, are answered, or are called off.

    look ─► a level begins ─► actions: gone, waiting, skipped     (one record per order and level)
    answered, ordered, due ─► an action moves on
    finished ─► what has not left is cancelled, in the transaction of the delivery

Every move is an `ActionsMoved` that carries the actions as they are then; `apply` makes it true,
live and in recovery alike. What an order's resolution is, is the takeover case's business: a refund
asks for it first (`refunding.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from monitor.core.orders.agenda import Agenda
from monitor.core.orders.order import Order, tier_limits_ms
from monitor.core.playbooks.asking import asked, batched, effect_key
from monitor.core.playbooks.crowds import Crowds, CrowdSnapshot
from monitor.core.playbooks.deciding import (
    APPROVAL,
    REFUSED,
    Surroundings,
    begin,
    ended,
    resumed,
)
from monitor.core.playbooks.followers import escalation, follow_up
from monitor.core.playbooks.hands import Hands
from monitor.core.playbooks.levels import level_at, predicted
from monitor.core.playbooks.money import Ledger, LedgerSnapshot
from monitor.core.playbooks.refunding import refunded
from monitor.core.takeover.limits import counted_amount
from monitor.model.ids import CANARY_PREFIX
from monitor.model.playbooks import (
    Action,
    ActionState,
    CouponStep,
    Crowd,
    NotifyStep,
    OfferStep,
    PageStep,
    Playbook,
    RefundStep,
    ResolveStep,
    TaskStep,
)
from monitor.model.records import ActionAnswered, ActionOrdered, ActionsMoved, CrowdMoved
from monitor.model.settings import Settings


class ResponseSnapshot(msgspec.Struct, frozen=True):
    """What does not belong to one order alone; the actions are part of their orders."""

    ledger: LedgerSnapshot = LedgerSnapshot()
    crowds: CrowdSnapshot = CrowdSnapshot()


class Response:
    """Actions of all orders in memory; `hands` is what the engine does for it."""

    def __init__(self, settings: Callable[[], Settings], hands: Hands) -> None:
        self._settings = settings
        self._hands = hands
        self.ledger = Ledger()
        self.crowds = Crowds()
        self.unfinished: dict[str, None] = {}  # orders with actions that are not final
        self._agenda = Agenda()

    # --- time -------------------------------------------------------------------------------------

    def look(self, orders: Sequence[Order], now_ms: int) -> None:
        """Begin the levels that time has brought to orders, and see to actions that are due."""
        settings = self._settings()
        coming: dict[int, list[Order]] = {}
        levels: dict[int, Playbook] = {}
        for order in orders if settings.playbooks.levels else ():
            level = self._level_of(order, settings, now_ms)
            if level is not None:
                levels[level.level] = level
                coming.setdefault(level.level, []).append(order)
        for number in sorted(coming):
            self._begin(levels[number], coming[number], now_ms)
        for order_id in self._agenda.take_due(now_ms):
            due = self._hands.order(order_id)
            if due is not None:
                self._wake(due, now_ms)

    def next_ms(self) -> int | None:
        """When `look` has something to do by itself."""
        return self._agenda.next_ms()

    def _level_of(self, order: Order, settings: Settings, now_ms: int) -> Playbook | None:
        """The level an order enters now, by its age or because it will probably be late."""
        if not order.is_open or order.order_id.startswith(CANARY_PREFIX):
            return None
        facts, age_ms = order.facts, order.age_ms(now_ms)
        limits = tier_limits_ms(facts, settings)
        level = level_at(facts, age_ms, limits, settings, order.level)
        if level is not None or age_ms > facts.promise_ms:
            return level
        hoped = predicted(settings, order.level)
        if hoped is None or hoped.predicted_late is None:
            return None
        p_late = self._hands.p_late(order, now_ms)
        return hoped if p_late is not None and p_late >= hoped.predicted_late else None

    def _begin(self, level: Playbook, orders: list[Order], now_ms: int) -> None:
        """Begin a level for orders that reached it together; money is reserved one by one."""
        settings = self._settings()
        amounts = [
            counted_amount(settings, one.facts.currency, one.facts.amount_minor) for one in orders
        ]
        known = self.crowds.batches.get(level.level)
        batch = self.crowds.joined(level, amounts, settings, now_ms)
        given_minor = 0
        for order in orders:
            about = Surroundings(settings, self.ledger, now_ms)
            actions: list[Action] = []
            for index in range(len(level.steps)):
                action = begin(order, level, index, batch, about)
                known_already = any(one.action_id == action.action_id for one in order.actions)
                if not known_already:
                    actions.append(action)
            given_minor += sum(
                one.amount_minor or 0
                for one in actions
                if isinstance(one.step, CouponStep) and one.state != ActionState.SKIPPED
            )
            self._enter(order, level, actions, batch, now_ms)
        if batch is not None:
            batch = msgspec.structs.replace(batch, given_minor=batch.given_minor + given_minor)
            is_news = known is None or (known.batch_id, known.state) != (
                batch.batch_id,
                batch.state,
            )
            self._hands.decide(CrowdMoved(batch, now_ms))
            if is_news and not level.is_dry_run:
                self._hands.perform(batched(settings, batch, now_ms))

    def _enter(
        self,
        order: Order,
        level: Playbook,
        actions: list[Action],
        batch: Crowd | None,
        now_ms: int,
    ) -> None:
        """Record a level with its actions, then let them leave."""
        waiting = [one for one in actions if one.reason == APPROVAL]
        tellers = [one for one in actions if _is_told(one)]
        if waiting and not tellers and (batch is None or batch.state == "approved"):
            actions.append(escalation(order, waiting[0], APPROVAL, now_ms))
            tellers = actions[-1:]
        self._move(order, actions, now_ms, level=level.level)
        for action in actions:
            is_first = bool(tellers) and action is tellers[0]
            self._leave(order, action, now_ms, waiting[0].action_id if waiting and is_first else "")

    def _leave(self, order: Order, action: Action, now_ms: int, approve: str = "") -> None:
        """Do what an action that goes now asks for; nothing for one that does not."""
        if action.sent_ms != now_ms or action.changed_ms != now_ms:
            return
        match action.step:
            case ResolveStep() if action.state == ActionState.DONE:
                refusal = self._hands.take_over(order, now_ms)
                if refusal:
                    over = ended(action, ActionState.SKIPPED, refusal, now_ms)
                    self._move(order, [over], now_ms)
            case RefundStep() if action.state == ActionState.SENT:
                self._refund(order, action, now_ms)
            case _ if action.reason != "batch":
                self._ask(order, action, approve)

    def _ask(self, order: Order, action: Action, approve: str = "") -> None:
        channel = self._hands.channel_of(order)
        self._hands.perform(asked(self._settings(), order, channel, action, approve=approve))

    def _wake(self, order: Order, now_ms: int) -> None:
        """See to the actions of an order whose time has come."""
        if not order.is_open:
            self.finished(order, now_ms)
            return
        for action in order.actions:
            if action.is_final or action.due_ms is None or action.due_ms > now_ms:
                continue
            match action.step:
                case OfferStep(default=default) if action.state == ActionState.OPEN:
                    self._choose(order, action, default, now_ms, is_person=False)
                case TaskStep():
                    over = ended(action, ActionState.DONE, "sla", now_ms)
                    self._escalate(order, over, "sla", now_ms)
                case RefundStep():
                    self._refund(order, action, now_ms)
                case _:
                    self._go_on(order, action, now_ms)
        self._track(order)

    # --- answers and people -----------------------------------------------------------------------

    def answered(self, answer: ActionAnswered, now_ms: int) -> None:
        """Take in what the shop said to an action; what was called off may have been done."""
        order = self._hands.order(answer.order_id)
        action = None if order is None else _find(order, answer.action_id)
        if order is None or action is None or action.sent_ms is None:
            return
        is_called_off = action.state == ActionState.CANCELLED
        if action.is_final and not is_called_off:
            return
        if answer.outcome == "done":
            if not isinstance(action.step, OfferStep) or is_called_off:
                self._move(order, [ended(action, ActionState.DONE, "", now_ms)], now_ms)
        elif is_called_off or answer.outcome.startswith("already_"):
            over = ended(action, ActionState.CANCELLED, answer.outcome, now_ms)
            self._move(order, [over], now_ms)
        else:
            over = ended(action, ActionState.FAILED, answer.outcome, now_ms)
            if self._is_escalated(over):
                self._escalate(order, over, answer.outcome, now_ms)
            else:
                self._move(order, [over], now_ms)

    def ordered(self, word: ActionOrdered, now_ms: int) -> None:
        """Take in a person's word about an action, or about a whole batch."""
        batch = self.crowds.find(word.action_id)
        if batch is not None:
            self._judge_batch(batch, word, now_ms)
            return
        order = self._hands.order(word.order_id)
        action = None if order is None else _find(order, word.action_id)
        if order is None or action is None or action.is_final:
            return
        if word.decision in ("approve", "refuse"):
            self._judge(order, action, word.decision, now_ms)
        elif action.state == ActionState.OPEN and isinstance(action.step, OfferStep):
            if word.decision in action.step.choices:
                self._choose(order, action, word.decision, now_ms, is_person=True)
        elif word.decision == "close" and isinstance(action.step, TaskStep):
            self._move(order, [ended(action, ActionState.DONE, "closed", now_ms)], now_ms)

    def _judge_batch(self, batch: Crowd, word: ActionOrdered, now_ms: int) -> None:
        if batch.state != "waiting" or word.decision not in ("approve", "refuse"):
            return
        state = "approved" if word.decision == "approve" else "refused"
        self._hands.decide(CrowdMoved(msgspec.structs.replace(batch, state=state), now_ms))
        for order_id in list(self.unfinished):
            order = self._hands.order(order_id)
            for action in order.actions if order is not None else ():
                if action.batch_id == batch.batch_id and order is not None:
                    self._judge(order, action, word.decision, now_ms)

    def _judge(self, order: Order, action: Action, decision: str, now_ms: int) -> None:
        if action.state != ActionState.WAITING or action.reason != APPROVAL:
            return
        if decision == "refuse":
            self._move(order, [ended(action, ActionState.CANCELLED, REFUSED, now_ms)], now_ms)
            return
        agreed = msgspec.structs.replace(action, is_person=True)
        self._go_on(order, agreed, now_ms)

    def _go_on(self, order: Order, action: Action, now_ms: int) -> None:
        """Let an action leave that waited for a person or for the morning."""
        about = Surroundings(self._settings(), self.ledger, now_ms)
        action = resumed(action, self._level_named(action.level), about)
        self._move(order, [action], now_ms)
        self._leave(order, action, now_ms)

    def _choose(
        self, order: Order, offer: Action, choice: str, now_ms: int, *, is_person: bool
    ) -> None:
        """The buyer's word, or the default when none came: at most one of them counts."""
        over = ended(offer, ActionState.DONE, "chosen" if is_person else "expired", now_ms)
        over = msgspec.structs.replace(over, choice=choice)
        self._hands.cancel(effect_key(offer))  # one that the shop never took is over as well
        following = follow_up(order, over, choice, now_ms, is_person=is_person)
        self._move(order, [over, *following], now_ms)
        for action in following:
            self._leave(order, action, now_ms)

    def _refund(self, order: Order, action: Action, now_ms: int) -> None:
        """Ask for the order's resolution, and for the refund only with it."""
        found = refunded(order, action, self._settings(), self._hands, now_ms)
        if found.state == ActionState.FAILED:
            self._escalate(order, found, found.reason, now_ms)
            return
        self._move(order, [found], now_ms)
        if found.state == ActionState.SENT:
            self._ask(order, found)

    def _escalate(self, order: Order, over: Action, reason: str, now_ms: int) -> None:
        """An action came to nothing: a person gets the order."""
        call = escalation(order, over, reason, now_ms)
        is_known = _find(order, call.action_id) is not None
        self._move(order, [over] if is_known else [over, call], now_ms)
        if not is_known:
            self._ask(order, call)

    def _is_escalated(self, action: Action) -> bool:
        if isinstance(action.step, NotifyStep):
            return False  # nobody is called because a message was not passed on
        level = self._level_named(action.level)
        return (
            isinstance(action.step, RefundStep) or level is None or level.on_failure == "escalate"
        )

    def person_asks(self, order: Order, action: Action, now_ms: int) -> None:
        """Record an action that a person has ordered, and let it leave."""
        self._move(order, [action], now_ms)
        self._leave(order, action, now_ms)

    # --- the end ----------------------------------------------------------------------------------

    def finished(self, order: Order, now_ms: int) -> None:
        """The order is delivered or closed: call off what has not been done, in the same commit."""
        if order.is_open or order.order_id not in self.unfinished:
            return
        facts = order.facts
        reason = "delivered" if facts.delivered_ms is not None else "closed"
        if facts.refunded_ms is not None:
            reason = "refunded"
        over = []
        for action in order.actions:
            is_paying_back = isinstance(action.step, RefundStep) and action.sent_ms is not None
            if action.is_final or (is_paying_back and reason == "refunded"):
                continue  # a refund that the shop reports is about to be answered
            if action.sent_ms is not None:
                self._hands.cancel(effect_key(action))
            over.append(ended(action, ActionState.CANCELLED, reason, now_ms))
        if over:
            self._move(order, over, now_ms)

    # --- state ------------------------------------------------------------------------------------

    def apply(self, moved: ActionsMoved | CrowdMoved) -> None:
        """Make a move true; live and in recovery alike."""
        if isinstance(moved, CrowdMoved):
            self.crowds.apply(moved.batch)
            return
        order = self._hands.order(moved.order_id)
        assert order is not None, "actions of an order that memory does not hold"
        if moved.level > order.level:
            window_ms = self._settings().playbooks.batch_window_ms
            self.crowds.arrived(moved.level, moved.at_ms, window_ms)
            order.level = moved.level
        for action in moved.actions:
            self.ledger.take(action, order.facts.customer_hash, moved.at_ms)
        changed = {one.action_id: one for one in moved.actions}
        kept = [changed.pop(one.action_id, one) for one in order.actions]
        order.actions = (*kept, *changed.values())
        self._track(order)

    def adopt(self, order: Order) -> None:
        """Take an order into account that came back into memory."""
        self._track(order)

    def forget(self, order_id: str) -> None:
        """An order left memory; the store still has its actions."""
        self.unfinished.pop(order_id, None)
        self._agenda.schedule(order_id, None)

    def snapshot(self) -> ResponseSnapshot:
        """What is no part of an order, as plain data."""
        return ResponseSnapshot(self.ledger.snapshot(), self.crowds.snapshot())

    def restore(self, snapshot: ResponseSnapshot) -> None:
        """Take over a snapshot; `adopt` brings the orders."""
        self.ledger, self.crowds = Ledger(snapshot.ledger), Crowds(snapshot.crowds)

    def _move(
        self, order: Order, actions: Sequence[Action], now_ms: int, *, level: int = 0
    ) -> None:
        moved = ActionsMoved(order.order_id, tuple(actions), now_ms, level)
        self._hands.decide(moved)

    def _track(self, order: Order) -> None:
        left = [one for one in order.actions if not one.is_final]
        if left:
            self.unfinished[order.order_id] = None
        else:
            self.unfinished.pop(order.order_id, None)
        due = [one.due_ms for one in left if one.due_ms is not None]
        self._agenda.schedule(order.order_id, min(due, default=None))

    def _level_named(self, number: int) -> Playbook | None:
        levels = self._settings().playbooks.levels
        return next((one for one in levels if one.level == number), None)


def _is_told(action: Action) -> bool:
    """Whether a person hears of the order by this action."""
    is_for_people = isinstance(action.step, (TaskStep, PageStep))
    return is_for_people and action.reason != "batch" and action.sent_ms is not None


def _find(order: Order, action_id: str) -> Action | None:
    return next((one for one in order.actions if one.action_id == action_id), None)
