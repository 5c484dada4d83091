"""The one door of the pure core: `Engine.handle(input, now_ms) -> list[Command]`.

    Batch ─► fold every entry ─► judge deadlines ─► evaluate rules ─► decisions and effects
    Tick  ─────────────────────► judge deadlines ─► evaluate rules ─► decisions and effects

A batch is folded whole before anything is judged. Decisions change the state as they are made and
leave as `Decide` commands for the log; `refold` takes what was logged in again (design D4d).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import assert_never

from monitor.core import announce, telling
from monitor.core.batch_means import means_of
from monitor.core.batches import Batches
from monitor.core.engine_state import EngineState
from monitor.core.failover.reviews import orders_under
from monitor.core.orders.order import Order
from monitor.core.orders.sources import next_silence_ms
from monitor.core.playbooks.engine_hands import hands_of
from monitor.core.playbooks.response import Response
from monitor.core.shop_watch import speaks
from monitor.core.takeover.desk import Moved
from monitor.core.takeover.doubles import is_double
from monitor.model.batches import BatchCancelled, BatchMoved, BatchOrdered
from monitor.model.commands import (
    Accepted,
    Batch,
    Cancel,
    Command,
    Decide,
    Input,
    Rewind,
    WakeAt,
)
from monitor.model.effects import Effect
from monitor.model.events import EventType, OrderEvent
from monitor.model.faults import ShopFault
from monitor.model.ids import ALL_ORDERS, CANARY_PREFIX
from monitor.model.records import (
    ActionAnswered,
    ActionOrdered,
    ActionsMoved,
    AlertMoved,
    AttemptAnswered,
    BaselineLearned,
    Breached,
    CaseMoved,
    CaseResolved,
    ChannelSteered,
    ClaimAnswered,
    ClockSetBack,
    CrowdMoved,
    Decision,
    EffectClosed,
    Entry,
    Gauged,
    HandOverAnswered,
    Notified,
    ReviewOrdered,
    SelfAudited,
    SourceMoved,
    StockCounted,
    SwitchAnswered,
    SwitchDecided,
    SwitchOrdered,
    TierReached,
)
from monitor.model.rules import RuleSet
from monitor.model.settings import Settings
from monitor.model.takeovers import TakeoverCase

# Which events end the wait of an order, as its takeover case sees it.
_ENDS: dict[str, str] = {
    EventType.DELIVERED: "delivered",
    EventType.VERIFIED: "delivered",
    EventType.REFUNDED: "refunded",
    EventType.FAILED: "failed",
    EventType.CANCELLED: "cancelled",
    EventType.EXPIRED: "cancelled",
}

_DECISIONS = (
    Breached, TierReached, SourceMoved, AlertMoved, SwitchDecided, CaseMoved, BaselineLearned,
    ShopFault, ActionsMoved, CrowdMoved, BatchMoved,
)  # fmt: skip


class Engine(EngineState):
    """Shard, control and takeover desk behind one door; pure: values in, commands out."""

    def __init__(self, settings: Settings, rules: RuleSet) -> None:
        super().__init__(settings, rules)
        self._commands: list[Command] = []
        hands = hands_of(
            self, decide=self._decide, perform=self._perform, take=self._take,
            open_cases=self._open_cases, cancel=lambda key: self._commands.append(Cancel(key)),
        )  # fmt: skip
        self.response = Response(lambda: self.settings, hands)
        self.batches = Batches(means_of(self, self.response, self._decide, self._take))

    # --- the door ---------------------------------------------------------------------------------

    def handle(self, given: Input, now_ms: int) -> list[Command]:
        """Take something in at a time and say everything that follows from it."""
        self._commands = []
        if isinstance(given, Batch):
            outcomes = [self._fold(entry) for entry in given.entries]
            self.shard.settle()
            self._commands.append(Accepted(tuple(outcomes)))
            self._react(given.entries, outcomes, now_ms)
        looked = self._judge(now_ms)
        self.response.look(looked, now_ms)
        self.batches.look(now_ms)
        for moved in self.desk.take_turns(now_ms):
            self._take(moved, now_ms)
        if isinstance(given, Batch) or any(isinstance(one, Decide) for one in self._commands):
            self.control.note_change(now_ms)
        self._evaluate(now_ms)
        self._commands.append(WakeAt(self._next_wake_ms(now_ms)))
        return self._commands

    def configure(self, settings: Settings, rules: RuleSet) -> None:
        """Take over new settings and rules; state stays, orders keep the promise they were paid at."""
        self.settings = settings
        self.shard.configure(settings)
        self.desk.settings = settings
        self.control.configure(settings, rules)

    def resume(self, now_ms: int, told_ms: int) -> None:
        """The state is rebuilt, of a time up to `told_ms`: what no log holds follows from orders."""
        self.shard.promises.forget()
        self.shard.awake_ms = now_ms
        self.desk.resume(now_ms, now_ms - told_ms if told_ms else 0)
        heard_ms = max((one.last_ms for one in self.shard.sources.values()), default=0)
        if heard_ms:
            rows, heard = self.shard.observe(), self.shard.heard(now_ms)
            self.control.resume(rows, heard, min(heard_ms, now_ms), now_ms)

    def refold(self, *records: Entry | Decision) -> None:
        """Take what one segment of the log holds in again, without deciding anything."""
        for record in records:
            if type(record) is OrderEvent or not isinstance(record, _DECISIONS):
                self._fold(record)  # nearly always an event: spare the comparisons
            else:
                self._apply(record)
        self.shard.settle()

    # --- facts ------------------------------------------------------------------------------------

    def _fold(self, entry: Entry) -> str:
        match entry:
            case OrderEvent():
                if entry.time_ms > self.latest_ms:  # noqa: PLR1730 - a call is slow
                    self.latest_ms = entry.time_ms
                outcome = self.shard.fold(entry)
                if entry.goods:
                    self.shop_watch.note(entry)
                if outcome == "accepted" and self.desk.cases:
                    self._count_double(entry.order_id, entry)
                return outcome
            case Notified():
                self.shard.totals.count_notification(entry.receiver, entry.outcome)
            case SwitchAnswered():
                return "accepted" if self.control.controller.answered(entry) else "duplicate"
            case ChannelSteered():
                self.control.controller.steer(entry)
            case ReviewOrdered():
                self.control.reviews.order(entry)
            case HandOverAnswered():  # what answers mean is decided in `_react`, for CaseMoved
                self.shard.settle()  # it is compared with what the shop says it delivered
                case = self.desk.cases.get(entry.takeover_id)
                self._count_double("" if case is None else case.order_id, entry)
            case StockCounted():
                self.shard.tallies.stock = dict(sorted(entry.counts.items()))
            case Gauged():
                return "accepted" if self.shard.tallies.gauges.note(entry) else "duplicate"
            case SelfAudited():
                self.shard.totals.invariant_violations = len(entry.findings)
            case ClockSetBack():
                self.follow_clock(entry)
            case ClaimAnswered() | AttemptAnswered():
                pass
            case EffectClosed() | ActionAnswered() | SwitchOrdered() | CaseResolved():
                pass
            case ActionOrdered() | BatchOrdered() | BatchCancelled():
                pass
            case _:
                assert_never(entry)
        return "accepted"

    def _count_double(self, order_id: str, news: OrderEvent | HandOverAnswered | CaseMoved) -> None:
        order = self.shard.orders.get(order_id)
        if order is not None and is_double(order, news):
            self.shard.totals.double_deliveries += 1

    def _react(self, entries: Sequence[Entry], outcomes: Sequence[str], now_ms: int) -> None:
        """Decide what answers, instructions and finished orders lead to."""
        for entry, outcome in zip(entries, outcomes, strict=True):
            match entry:
                case OrderEvent():
                    if outcome == "accepted" and (entry.type in _ENDS or speaks(entry)):
                        self._tell_faults(self.shop_watch.look(entry, now_ms))
                        self._react_to_end(entry, now_ms)
                case ClaimAnswered() | AttemptAnswered() | HandOverAnswered():
                    if isinstance(entry, ClaimAnswered) and not entry.paid:
                        self._find_unpaid(entry, now_ms)
                    self._take(self.desk.answer(entry, now_ms), now_ms)
                case CaseResolved():
                    self._take(self.desk.person(entry, now_ms), now_ms)
                case SwitchAnswered():
                    if outcome == "accepted" and entry.status != "applied":
                        self._perform(announce.announce_unacknowledged(self.settings, entry))
                case SwitchOrdered():
                    self._order_switch(entry, now_ms)
                case ChannelSteered():
                    self._drain(entry, now_ms)
                case BatchOrdered():
                    self.batches.order(entry, now_ms)
                case BatchCancelled():
                    self.batches.cancel(entry, now_ms)
                case SelfAudited():
                    self._perform(announce.announce_violations(self.settings, entry))
                case ActionAnswered():
                    self.response.answered(entry, now_ms)
                case ActionOrdered():
                    self.response.ordered(entry, now_ms)
                case ClockSetBack():
                    self._commands.append(Rewind(entry.at_ms, entry.by_ms))
                case Notified() | EffectClosed() | StockCounted() | Gauged() | ReviewOrdered():
                    pass
                case _:
                    assert_never(entry)

    def _react_to_end(self, event: OrderEvent, now_ms: int) -> None:
        order, end = self.shard.orders.get(event.order_id), _ENDS.get(event.type)
        if end is not None and order is not None and order.case is not None:
            self._take(self.desk.finished(order.case, end, event.takeover_id, now_ms), now_ms)
        if order is not None and order.actions:
            self.response.finished(order, now_ms)

    def _find_unpaid(self, answer: ClaimAnswered, now_ms: int) -> None:
        case = self.desk.cases.get(answer.takeover_id)
        if case is not None and answer.status == "denied":
            self._tell_faults(self.shop_watch.unpaid(self.shard.orders[case.order_id], now_ms))

    def _tell_faults(self, faults: Iterable[ShopFault]) -> None:
        for found in faults:
            self._decide(found)
            self._perform(announce.announce_fault(self.settings, found))

    # --- time -------------------------------------------------------------------------------------

    def _judge(self, now_ms: int) -> Sequence[Order]:
        """Judge what is due; returns the open orders that were looked at."""
        judgement = self.shard.judge(now_ms)
        if judgement.is_empty:
            return ()
        for decision in judgement.decisions:
            self._commands.append(Decide(decision))
            if isinstance(decision, TierReached):
                self._tell_of_tier(decision, now_ms)
        self._open_cases(judgement.stuck, now_ms)
        self._perform(announce.announce_limits(self.settings, self.desk.take_refusals(), now_ms))
        for order in judgement.woken:
            if order.case is not None:
                self._take(self.desk.wake(order.case, now_ms), now_ms)
        for order in judgement.left:
            if order.case is not None:
                self.desk.forget(order.case.takeover_id)
            self.shop_watch.forget(order)
            self.response.forget(order.order_id)
        return judgement.looked

    def _open_cases(self, orders: Iterable[Order], now_ms: int) -> None:
        # Nobody waits for our own synthetic orders, so nobody gets goods bought for them; an order
        # that is being paid back is not ours to deliver.
        stuck = [
            one
            for one in orders
            if not one.order_id.startswith(CANARY_PREFIX) and not one.is_paying_back
        ]
        channels = {order.order_id: self.channel_of(order) for order in stuck}
        reviewed = orders_under(self.control.reviews_now(now_ms), stuck) if stuck else ()
        for moved in self.desk.open(stuck, channels, reviewed, now_ms):
            self._take(moved, now_ms)

    def _evaluate(self, now_ms: int) -> None:
        if not self.control.is_due(now_ms):
            return
        for decision in self.control.evaluate(self.view(now_ms)):
            self._commands.append(Decide(decision))
            if isinstance(decision, AlertMoved):
                rule = self.control.rule(decision.alert.rule)
                self._commands.extend(telling.of_alert(self.settings, rule, decision))
            elif isinstance(decision, SwitchDecided):
                self._commands.extend(telling.of_switch(self.settings, decision))
            else:
                self.shard.tallies.forget(self.control.baselines, now_ms)

    def _next_wake_ms(self, now_ms: int) -> int:
        next_ms = self.desk.next_ms(now_ms, self.control.next_ms())
        due_ms = self.shard.next_ms()
        for planned_ms in (due_ms, self.response.next_ms(), self.batches.next_ms()):
            next_ms = next_ms if planned_ms is None else min(next_ms, planned_ms)
        shard, offsets = self.shard, self.settings.utc_offsets
        silence_ms = next_silence_ms(shard.sources, next_ms, shard.awake_ms, offsets)
        return max(now_ms + 1, next_ms if silence_ms is None else min(next_ms, silence_ms))

    # --- decisions --------------------------------------------------------------------------------

    def _decide(self, decision: Decision) -> None:
        self._apply(decision)
        self._commands.append(Decide(decision))

    def _apply(self, decision: Decision) -> None:
        match decision:
            case Breached() | TierReached() | SourceMoved():
                self.shard.apply(decision)
            case CaseMoved():
                self._count_takeover(decision)
                self._count_double(decision.case.order_id, decision)
                self._forget_older_case(decision.case)
                self.desk.apply(decision.case)
                self.shard.apply(decision)
            case AlertMoved() | SwitchDecided():
                self.control.apply(decision)
            case ShopFault():
                self.shop_watch.apply(decision)
                self.shard.totals.count_fault(decision.fault)
                self.shard.dirty[decision.order_id] = None
            case BaselineLearned():
                self.control.apply(decision)
                self.shard.tallies.forget(self.control.baselines, decision.at_ms)
            case BatchMoved():
                self.batches.apply(decision)
            case ActionsMoved():
                self.response.apply(decision)
                self.shard.dirty[decision.order_id] = None
            case CrowdMoved():
                self.response.apply(decision)
            case _:
                assert_never(decision)

    def _count_takeover(self, moved: CaseMoved) -> None:
        order = self.shard.orders[moved.case.order_id]
        previous = None if order.case is None else order.case.state
        if moved.case.state != previous:
            channel = moved.case.attempts[-1].channel if moved.case.attempts else "none"
            self.shard.totals.count_takeover(channel, moved.case.state)

    def _forget_older_case(self, newest: TakeoverCase) -> None:
        older = self.shard.orders[newest.order_id].case
        if older is not None and older.takeover_id != newest.takeover_id:
            self.desk.forget(older.takeover_id)

    def _take(self, moved: Moved | None, now_ms: int) -> None:
        """Log a case that moved, queue what it asks for, and tell people about the big steps."""
        if moved is None:
            return
        self._decide(CaseMoved(moved.case, now_ms))
        self._commands.extend(telling.of_case(self.settings, moved))
        order = self.shard.orders[moved.case.order_id]
        if order.actions:
            self.response.finished(order, now_ms)

    def _order_switch(self, ordered: SwitchOrdered, now_ms: int) -> None:
        speeds = self.control.speeds(self.view(now_ms))
        decided = self.control.controller.order(ordered, speeds, now_ms)
        self._decide(decided)
        self._commands.extend(telling.of_switch(self.settings, decided))

    def _drain(self, steered: ChannelSteered, now_ms: int) -> None:
        """Draining a channel in use is an order to move its share to the best other one."""
        if steered.action != "drain":
            return
        speeds = self.control.speeds(self.view(now_ms))
        weights = self.control.controller.without(steered.channel, speeds)
        if weights is not None:
            reason = steered.reason or f"drain {steered.channel}"
            self._order_switch(
                SwitchOrdered(ALL_ORDERS, weights, reason, steered.actor, now_ms), now_ms
            )

    # --- effects ----------------------------------------------------------------------------------

    def _perform(self, effects: Iterable[Effect]) -> None:
        self._commands.extend(telling.performed(effects))

    def _tell_of_tier(self, reached: TierReached, now_ms: int) -> None:
        order = self.shard.orders[reached.order_id]
        channel = self.channel_of(order)
        self.desk.moved_up(order)
        self._commands.extend(telling.of_tier(self.settings, order, channel, reached, now_ms))
