"""What must be true at the end of every trial, whatever went wrong in it.

The books are not the monitor's: what the shop handed out, what suppliers sold, what the chat and
the webhooks heard, and the journal of acknowledged events. Each check says what is wrong, in words
that name the damage; nothing wrong is an empty list.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TypeVar

from monitor.adapters.signing import webhook_headers
from monitor.core.announce import announce_alert, outdated_keys
from monitor.core.engine import Engine
from monitor.model.alerts import AlertState
from monitor.model.commands import Batch
from monitor.model.effects import CallWebhook
from monitor.model.events import OrderEvent
from monitor.model.records import (
    AlertMoved,
    Breached,
    CaseMoved,
    Notified,
    Record,
    SwitchAnswered,
    SwitchDecided,
    TierReached,
    record_decoder,
)
from monitor.model.rules import RuleSet
from monitor.model.secret import Secret
from monitor.model.takeovers import Attempt, AttemptState, CaseState, TakeoverCase
from monitor.model.times import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from monitor.sim.faults import CHANNEL, CHAT, SHOP, SUPPLIER
from monitor.sim.town import Caps
from monitor.sim.trial import Ending
from monitor.sim.virtual_loop import START_MS
from monitor.sim.world import CHANNELS, PRICE_MINOR

RecordT = TypeVar("RecordT", bound=Record)

FINAL = (CaseState.DELIVERED, CaseState.ESCALATED, CaseState.VOIDED, CaseState.ADVISED)
TIMER_LATE_MS_MAX = 62 * SECOND_MS  # a hold after a source was silent, and a moment
_HARMLESS_TO_TIMERS = {CHANNEL, CHAT, SHOP, SUPPLIER}
REPEATS_PER_LIFE = 4  # messages that may be under way when a service dies
_ANY_SECRET = Secret("whsec_c2ltdWxhdGVkIHNlY3JldCBvZiBhIHRyaWFs")


class Books:
    """One ending, read once."""

    def __init__(self, ending: Ending) -> None:
        self._ending = ending
        self._town = ending.town
        self._settings = ending.engine.settings
        self.log = [
            record_decoder.decode(line)
            for stored in ending.remains.log
            for line in stored.segment.body.splitlines()
        ]
        self.cases = {one.case.takeover_id: one.case for one in self._of(CaseMoved)}

    def wrongs(self) -> list[str]:
        """Everything that is wrong."""
        return [
            *(f"the service stopped by itself: {one}" for one in self._ending.failures),
            *(f"an event was refused: {one}" for one in self._town.refused),
            *self._events(),
            *self._orders(),
            *self._purchases(),
            *self._decisions(),
            *self._alerts(),
            *self._switches(),
            *self._spending(),
            *self._cases(),
            *self._restart(),
        ]

    # --- the checks ---------------------------------------------------------------------------------

    def _events(self) -> Iterator[str]:
        """Every acknowledged event is in the log, and the state is that of the log's events."""
        events = self._of(OrderEvent)
        logged = {(one.source, one.event_id) for one in events}
        sent = self._town.courier.acknowledged
        lost = [one["id"] for one in sent if (one["source"], one["id"]) not in logged]
        if lost:
            yield f"{len(lost)} acknowledged events lost, the first is {lost[0]}"
        fresh = Engine(self._settings, RuleSet())
        fresh.handle(Batch(tuple(events)), START_MS)
        if fresh.state_hash() != self._ending.state_hash:
            yield "the state is not that of the events in the log"
        yield from self._facts(fresh)
        told = Counter((one.source, one.type) for one in _distinct(events))
        counted = self._ending.engine.shard.totals.events
        for (source, kind), count in told.items():
            if counted.get(f"{source}\t{kind}\taccepted") != count:
                yield f"{kind} of {source} was told {count} times and counted otherwise"

    def _facts(self, fresh: Engine) -> Iterator[str]:
        """What the shop says of its orders is what the log says of them."""
        known = {order_id: one.facts for order_id, one in fresh.shard.orders.items()}
        for order in self._town.shop.orders.values():
            facts = known.get(order.order_id)
            if facts is None or facts.paid_ms is None:
                yield f"nobody knows that {order.order_id} was paid"
            elif (facts.delivered_ms is not None) != (order.deliveries > 0):
                yield f"{order.order_id} is believed delivered: {facts.delivered_ms is not None}"
            elif (facts.refunded_ms is not None) != order.is_refunded:
                yield f"{order.order_id} is believed refunded: {facts.refunded_ms is not None}"

    def _orders(self) -> Iterator[str]:
        """Nobody gets goods twice, nobody is forgotten."""
        shop = self._town.shop
        if twice := shop.double_deliveries():
            yield f"{twice} orders delivered twice"
        if both := [
            one.order_id for one in shop.orders.values() if one.deliveries and one.is_refunded
        ]:
            yield f"orders delivered and refunded: {both}"
        if self._ending.unsettled:
            yield f"orders in nobody's hands: {list(self._ending.unsettled)}"
        parked = {one.order_id for one in self.cases.values() if one.state == CaseState.ESCALATED}
        if lost := [one.order_id for one in shop.waiting() if one.order_id not in parked]:
            yield f"orders lost: {lost}"

    def _purchases(self) -> Iterator[str]:
        """No reference is sold twice, and no sale is believed not to have happened."""
        attempts = {one.ref: one for case in self.cases.values() for one in case.attempts}
        handed = {key for order in self._town.shop.orders.values() for key in order.goods}
        for name, supplier in self._town.suppliers.items():
            if supplier.bought_twice():
                yield f"keys bought twice from {name}"
            for reference, keys in supplier.sold.items():
                attempt = attempts.get(reference)
                if handed.isdisjoint(keys) and not _is_minded(attempt):
                    yield f"bought from {name} and forgotten: {reference}"
                is_obtained = attempt is not None and attempt.state == AttemptState.OBTAINED
                if is_obtained and reference not in self._ending.remains.goods:
                    yield f"obtained from {name} and not in the vault: {reference}"
        for case in self.cases.values():
            if case.attempts and not self._town.shop.orders[case.order_id].was_granted:
                yield f"bought for an order that the shop never granted: {case.order_id}"

    def _decisions(self) -> Iterator[str]:
        """A breach is decided once per order, a tier once per order and tier."""
        keys = Counter(
            (type(one).__name__, one.order_id, getattr(one, "tier", 0))
            for one in self.log
            if isinstance(one, (Breached, TierReached))
        )
        yield from (f"decided {count} times: {key}" for key, count in keys.items() if count > 1)
        yield from self._late_decisions()
        for order in self._town.shop.orders.values():
            key = (Breached.__name__, order.order_id, 0)
            done_ms = order.delivered_ms
            if done_ms and done_ms > order.paid_ms + 10 * MINUTE_MS and key not in keys:
                yield f"nobody noticed that {order.order_id} was late"

    def _late_decisions(self) -> Iterator[str]:
        """A breach is decided once its source was heard and its hold is over, if nothing hinders."""
        if not set(self._ending.plan.kinds) <= _HARMLESS_TO_TIMERS:
            return
        heard: dict[str, list[int]] = {}
        source_of: dict[str, str] = {}
        for event in self._of(OrderEvent):
            heard.setdefault(event.source, []).append(event.received_ms)
            source_of[event.order_id] = event.source
        for one in self._of(Breached):
            times = heard[source_of[one.order_id]]
            at = bisect_left(times, one.at_ms)
            if at < len(times) and one.decided_ms > times[at] + TIMER_LATE_MS_MAX:
                yield f"the breach of {one.order_id} was decided late"

    def _alerts(self) -> Iterator[str]:
        """Every alert is told, under one id, and never again once that is known."""
        calls = {key: moved for moved, key in self._alert_calls()}
        heard = Counter(one.webhook_id for one in self._town.world.heard)
        withdrawn = self._withdrawn()
        unheard = [key for key in calls if not heard[_sent_id(key)] and key not in withdrawn]
        if unheard:
            yield f"alerts nobody heard of: {unheard}"
        if strange := heard.keys() - {_sent_id(key) for key in calls}:
            yield f"alerts told under a name of their own: {sorted(strange)}"
        excuses = self._ending.chat_struck + REPEATS_PER_LIFE * (self._ending.lives - 1)
        if sum(heard.values()) - len(heard) > excuses:
            yield "alerts told again without a reason"
        done = Counter(one.effect_key for one in self._of(Notified) if one.outcome == "ok")
        if again := [key for key, count in done.items() if count > 1]:
            yield f"told again though it was known: {again}"

    def _switches(self) -> Iterator[str]:
        """Epochs rise, one epoch means one thing, and what was decided was acknowledged."""
        epochs = [one.epoch for one in self._of(SwitchDecided)]
        if epochs != sorted(set(epochs)):
            yield f"epochs do not rise: {epochs}"
        meant: dict[int, object] = {}
        for _, command in self._town.world.switches:
            if meant.setdefault(command["epoch"], command["weights"]) != command["weights"]:
                yield f"epoch {command['epoch']} was sent with two meanings"
        answered = {one.epoch for one in self._of(SwitchAnswered)}
        if unanswered := [one for one in epochs if one not in answered]:
            yield f"switches that nobody acknowledged or gave up: {unanswered}"
        route = self._ending.engine.route
        if self._town.shop.epoch != route.epoch and route.answer != "expired":
            yield f"the shop obeys epoch {self._town.shop.epoch}, not {route.epoch}"
        applied = [one.epoch for one in self._of(SwitchAnswered) if one.status == "applied"]
        if applied and self._town.shop.epoch < max(applied):
            yield "the shop obeys an older epoch than it said"

    def _spending(self) -> Iterator[str]:
        """Never more cases an hour, never more value a day, than is allowed."""
        opened = {one.takeover_id: one.opened_ms for one in self.cases.values()}
        bought = {id_: opened[id_] for id_, one in self.cases.items() if _has_bought(one)}
        if _most_within(opened.values(), HOUR_MS) > Caps.per_hour:
            yield "more cases in an hour than allowed"
        if _most_within(bought.values(), DAY_MS) * PRICE_MINOR > Caps.value_per_day_minor:
            yield "more value in a day than allowed"

    def _cases(self) -> Iterator[str]:
        """Every case came to an end, and the engine knows of all."""
        if open_cases := [one.order_id for one in self.cases.values() if one.state not in FINAL]:
            yield f"takeovers that never ended: {open_cases}"
        # A case of an order that left memory is in the store with it.
        known = self._ending.engine.desk.cases
        held = [
            one for one in self.cases.values() if one.order_id in self._ending.engine.shard.orders
        ]
        newest = {one.order_id: one for one in held}
        if unknown := [one.order_id for one in newest.values() if one.takeover_id not in known]:
            yield f"takeovers the engine forgot: {unknown}"
        own = {one.order_id for one in self._town.shop.orders.values() if one.channel in CHANNELS}
        if alien := [one.order_id for one in self.cases.values() if one.order_id not in own]:
            yield f"takeovers of orders that nobody placed: {alien}"

    def _restart(self) -> Iterator[str]:
        """A service started on what was left knows exactly what the stopped one knew."""
        engine = self._ending.engine
        if self._ending.remains.engine.engine_hash() != engine.engine_hash():
            yield "a restart would know something else"
        alerts = {one.alert.key: one.alert.state for one in self._of(AlertMoved)}
        for key, alert in engine.control.alerts.items():
            if alerts.get(key, AlertState.INACTIVE) != alert.state:
                yield f"the log does not say that an alert is {alert.state}: {key}"
        breached = {one.order_id for one in self._of(Breached)}
        for order in engine.shard.orders.values():
            if (order.breach_ms is not None) != (order.order_id in breached):
                yield f"the log does not say what is known of {order.order_id}"
        for id_, case in engine.desk.cases.items():
            if self.cases.get(id_) != case:
                yield f"the log does not say what is known of takeover {id_}"

    # --- reading ------------------------------------------------------------------------------------

    def _of(self, kind: type[RecordT]) -> list[RecordT]:
        return [one for one in self.log if isinstance(one, kind)]

    def _alert_calls(self) -> Iterator[tuple[AlertMoved, str]]:
        """Every webhook call that the alerts of the log lead to, by its key."""
        rules = {rule.alert: rule for rule in self._ending.engine.control.rules.rules}
        for moved in self._of(AlertMoved):
            for effect in announce_alert(self._settings, rules[moved.alert.rule], moved):
                if isinstance(effect, CallWebhook):
                    yield moved, effect.key

    def _withdrawn(self) -> set[str]:
        """The end of an alert withdraws its unsent messages, so the end may be all that is heard."""
        return {
            key
            for moved in self._of(AlertMoved)
            if moved.alert.state != AlertState.FIRING
            for key in outdated_keys(self._settings, moved)
        }


def _distinct(events: Iterable[OrderEvent]) -> Iterable[OrderEvent]:
    """Events without their repeats; a heartbeat is never a repeat."""
    return {
        (one.source, one.event_id, one.received_ms if one.is_unique else 0): one for one in events
    }.values()


def _sent_id(key: str) -> str:
    """The id under which a webhook travels."""
    return webhook_headers(_ANY_SECRET, key, 0, b"")["webhook-id"]


def _is_minded(attempt: Attempt | None) -> bool:
    """Whether the monitor reckons with what an attempt bought."""
    return attempt is not None and attempt.state != AttemptState.DISPROVED


def _has_bought(case: TakeoverCase) -> bool:
    return any(_is_minded(attempt) for attempt in case.attempts)


def _most_within(times_ms: Iterable[int], span_ms: int) -> int:
    """How many of some instants fall into one span at most."""
    ordered = sorted(times_ms)
    start = most = 0
    for end, at_ms in enumerate(ordered):
        while ordered[start] <= at_ms - span_ms:
            start += 1
        most = max(most, end - start + 1)
    return most
