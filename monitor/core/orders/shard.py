"""The shard half of the engine: everything that concerns one order at a time.

Facts come in through `fold`, time through `judge`, and decisions change the state only through
`apply`, which recovery calls with the very same records. Sharding is by order id; what control
needs of many orders leaves through `observe`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import assert_never

from monitor.core.orders.endings import count_end, is_first_end
from monitor.core.orders.facts import UNKNOWN, Facts, holder_at, insert, is_repeated
from monitor.core.orders.history import History
from monitor.core.orders.holds import Holds
from monitor.core.orders.judgement import NOTHING, Judgement, ShardDecision
from monitor.core.orders.lifecycle import is_overdue
from monitor.core.orders.names import NameBook
from monitor.core.orders.news import News, is_new
from monitor.core.orders.order import Clockwork, Order, checks
from monitor.core.orders.plans import Plans
from monitor.core.orders.promises import Promises
from monitor.core.orders.resting import Resting
from monitor.core.orders.rows import OrderRows
from monitor.core.orders.set_back import put_right, put_source_right
from monitor.core.orders.shard_snapshot import ShardSnapshot
from monitor.core.orders.sources import Source, heard, known, silences
from monitor.core.orders.tallies import Judged, Tallies, judged
from monitor.core.orders.totals import Totals
from monitor.core.signals.heard import Heard
from monitor.core.signals.observation import Observation
from monitor.model.events import EventType, OrderEvent
from monitor.model.ids import OTHER, UNNAMED_CHANNEL
from monitor.model.records import Breached, CaseMoved, ClockSetBack, SourceMoved, TierReached
from monitor.model.settings import Settings
from monitor.model.takeovers import CaseState
from monitor.model.times import DAY_MS, MINUTE_MS

_HEARTBEAT = EventType.HEARTBEAT.value


class Shard:
    """Orders in memory, their deadlines, sources, counters, the table; `names` are the shop's."""

    def __init__(self, settings: Settings, names: NameBook | None = None) -> None:
        self.names = names or NameBook()
        self.orders: dict[str, Order] = {}
        self.sources: dict[str, Source] = {}
        self.history = History()
        self.promises = Promises()
        self.totals = Totals()
        self.tallies = Tallies()
        self.awake_ms = 0  # since when we are here to hear anything, after a restart
        self.rows = OrderRows(self.names)
        self.plans = Plans()
        self._holds = Holds(lambda: self.sources)
        self._resting = Resting()
        self.dirty: dict[str, None] = {}  # changed and not drained yet, the oldest change first
        self._unsettled: dict[str, News] = {}  # folded, and nothing derived from it yet
        self.dormant: dict[str, Order] = {}  # left memory since the last drain, still waiting
        self.configure(settings)

    def configure(self, settings: Settings) -> None:
        """Take over new settings: known channels and sources, and their heartbeats."""
        self.settings, self._clockwork = settings, Clockwork(settings)
        self.names.know(settings)
        configured = {source.name: source.heartbeat_ms for source in settings.heard}
        for name in configured:
            self.sources.setdefault(name, Source(name, 0, 0))
        for name, source in self.sources.items():  # also one that was taken out of the file
            source.heartbeat_ms = configured.get(name)
        for order in self.orders.values():
            if order.is_open:  # other limits may have it due already
                self.plans.look(order.order_id)

    # --- facts ------------------------------------------------------------------------------------

    def fold(self, event: OrderEvent) -> str:
        """Take in one event, `accepted` or `duplicate`; `settle` after the last one of a batch."""
        source = self.sources.get(event.source)
        if source is None or not source.first_ms:  # seldom: nobody has heard of it yet
            source = self._source(event)
        if event.received_ms > source.last_ms:
            source.hear(event.received_ms)
        if self._holds.unheard:
            self.release(source.name)
        outcome = "accepted"
        if event.type != _HEARTBEAT:
            outcome = self._fold_order(event, source)
        self.totals.count_event(source.name, event.type, outcome)
        return outcome

    def release(self, source: str) -> None:
        """A source spoke, of whichever shard's order: what waited for that is looked at again."""
        for order_id in self._holds.release(source):
            if order_id in self.orders:
                self.plans.look(order_id)

    def _fold_order(self, event: OrderEvent, source: Source) -> str:
        order_id = event.order_id
        order, news = self.orders.get(order_id), self._unsettled.get(order_id)
        known = news.timeline if news is not None else () if order is None else order.timeline
        timeline = insert(known, event)
        if timeline is None:
            return "duplicate"
        if order is None:
            order = Order(order_id, (), UNKNOWN)
            self.orders[order_id] = order
            source.count_order(event.received_ms, self.settings.utc_offsets)
            self.tallies.count_first(source.name, order_id, event.time_ms)
        if news is None:
            news = self._unsettled[order_id] = News(known, len(known))
        news.take(event, timeline, order.facts.channel)
        if is_repeated(event, known, timeline):
            return "duplicate"
        source.note(event, timeline)
        return "accepted"

    def settle(self) -> None:
        """Derive what is true now of every order that events were folded for.

        Once per order and batch: a backlog brings the whole life of an order at once.
        """
        for order_id, news in self._unsettled.items():
            self._settle_order(self.orders[order_id], news)
        self._unsettled.clear()

    def _settle_order(self, order: Order, news: News) -> None:
        before, heard_ms = order.facts, news.heard_ms
        order.facts = facts = self.promises.facts_of(order, news, self.settings.promise)
        order.timeline = news.timeline
        self.dirty[order.order_id] = None
        if before is not UNKNOWN and not news.is_moving and not is_new(before, facts):
            self.rows.waits.step(order)
            return  # a step more: every second event
        if before.paid_ms is None and is_overdue(facts, heard_ms):
            order.hold_until_ms = heard_ms + self.settings.backlog_hold_ms
        self._count_end(order, before, heard_ms)
        self.tallies.count_payment(order, before, self.names)
        self.tallies.count_verdict(self._judged(order, before), self._judged(order, facts))
        self._update(order, heard_ms)
        if facts.paid_ms is not None:
            # Whoever a breach may name has its name now: time may judge orders in any order.
            self._holder(order, facts.deadline_ms)
            if self._channel_name(order) == OTHER:
                self.totals.count_overflow("channel")

    def _count_end(self, order: Order, before: Facts, now_ms: int) -> None:
        if is_first_end(before, order.facts):
            channel = self._channel_name(order)
            count_end(order, channel, now_ms, self.totals, self.history, self.tallies)

    def _source(self, event: OrderEvent) -> Source:
        name = self.names.name("source", event.source)
        if name == OTHER != event.source:
            self.totals.count_overflow("source")
        return known(self.sources, name, event.received_ms)

    # --- time -------------------------------------------------------------------------------------

    def judge(self, now_ms: int) -> Judgement:
        """Decide everything that is due by now, apply it, and say what needs other hands."""
        self.settle()
        decisions: list[ShardDecision] = []
        stuck: list[Order] = []
        woken, looked = list[Order](), list[Order]()
        for moved in silences(self.sources, now_ms, self.awake_ms, self.settings.utc_offsets):
            self.apply(moved)
            decisions.append(moved)
        for order_id in self.plans.take_due(now_ms):
            order = self.orders[order_id]
            due = checks(order, self._clockwork, now_ms, self._held_until_ms(order, now_ms))
            if due.is_breached and order.facts.deadline_ms is not None:
                at_ms = order.facts.deadline_ms
                decisions.append(Breached(order_id, at_ms, self._holder(order, at_ms), now_ms))
                self.apply(decisions[-1])
            if due.tier > order.tier:
                decisions.append(TierReached(order_id, due.tier, now_ms))
                self.apply(decisions[-1])
            is_woken = order.case is not None and order.case.is_due(now_ms)
            wanted = ((stuck, due.is_stuck), (woken, is_woken), (looked, due.is_waiting))
            for taken in (one for one, is_wanted in wanted if is_wanted):
                taken.append(order)
            if due.is_stuck or is_woken:
                self.plans.looked(order_id, now_ms)
            self._update(order, now_ms)
        left = self._evict(now_ms)
        if not (decisions or woken or left or looked):  # whatever is stuck was looked at
            return NOTHING  # nearly always
        return Judgement(tuple(decisions), tuple(stuck), tuple(woken), tuple(left), tuple(looked))

    def apply(self, decision: ShardDecision) -> None:
        """Make a decision true; live and in recovery alike."""
        self.settle()
        match decision:
            case SourceMoved():
                self._apply_source(decision)
                return
            case Breached():
                order = self.orders[decision.order_id]
                judged_before = self._judged(order, order.facts)
                order.breach_ms = decision.at_ms
                order.breach_channel = decision.channel
                self.tallies.count_verdict(judged_before, self._judged(order, order.facts))
                if order.is_open:
                    self.totals.count_order(decision.channel, "late_pending")
            case TierReached():
                order = self.orders[decision.order_id]
                order.tier = decision.tier
            case CaseMoved():
                self._take_case(self.orders[decision.case.order_id], decision)
                return
            case _:
                assert_never(decision)
        self._update(order, decision.decided_ms)

    def _take_case(self, order: Order, moved: CaseMoved) -> None:
        was, order.case = order.case, moved.case
        if self.plans.moved(order, was, moved.at_ms):
            self.dirty[order.order_id] = None  # no signal is about what moved
            return
        if moved.case.state == CaseState.DELIVERED and order.handed_over_ms is None:
            before = order.facts
            order.handed_over_ms = moved.at_ms
            order.facts = order.with_hand_over(before)
            self._count_end(order, before, moved.at_ms)
            was_judged, is_judged = self._judged(order, before), self._judged(order, order.facts)
            self.tallies.count_verdict(was_judged, is_judged)
        self._update(order, moved.at_ms)

    def _apply_source(self, moved: SourceMoved) -> None:
        source = self.sources[moved.source]
        source.move(moved)
        for order in self.orders.values():
            if order.facts.source == moved.source and order.is_unjudged(moved.at_ms):
                self._update(order, moved.at_ms)

    def _held_until_ms(self, order: Order, now_ms: int) -> int | None:
        return self._holds.until_ms(order, now_ms, self.settings.backlog_hold_ms).until_ms

    # --- keeping table, agenda and store in step -----------------------------------------------

    def _update(self, order: Order, now_ms: int) -> None:
        """Bring row, deadline and store in line with an order that changed."""
        order.wake()
        self.dirty[order.order_id] = None
        facts = order.facts
        held_ms, unheard_ms = self._holds.until_ms(order, now_ms, self.settings.backlog_hold_ms)
        if facts.paid_ms is not None:
            is_waiting = held_ms is None or now_ms < held_ms
            is_unheard = unheard_ms is None or now_ms < unheard_ms
            self.rows.change(
                order,
                order.breach_channel or facts.channel or UNNAMED_CHANNEL,
                # A breach is definite, and so is a delivery in time: the rest can be held.
                is_held=is_waiting and order.breach_ms is None and order.is_unjudged(now_ms),
                # Whether the buyer still waits is not known.
                is_unconfirmed=is_unheard and facts.done_ms is None,
            )
        else:  # an earlier payment turned out to be none
            self.rows.forget(order.order_id)
        self.plans.plan(order, self._clockwork, now_ms, held_ms)

    def _evict(self, now_ms: int) -> list[Order]:
        left = []
        for order_id in self.plans.take_leaving(now_ms):
            order = self.orders[order_id]
            if order_id in self.dirty:  # not stored yet; ask again in a while
                self.plans.stay(order_id, now_ms + MINUTE_MS)
            elif (leave_ms := self.plans.leave_ms(order, self.settings)) > now_ms:
                self.plans.stay(order_id, leave_ms)  # something was said of it since
            elif self._is_awaited(order, now_ms):
                self.plans.stay(order_id, now_ms + DAY_MS)
            else:
                self._forget(order)
                left.append(order)
        return left

    def _is_awaited(self, order: Order, now_ms: int) -> bool:
        """Whether the return of its source, or who has it in hand, still needs the order."""
        if order.is_in_hand:
            return True
        is_unjudged = order.breach_ms is None and order.is_unjudged(now_ms)
        return is_unjudged and self._held_until_ms(order, now_ms) is None

    def _forget(self, order: Order) -> None:
        del self.orders[order.order_id]
        if order.facts.done_ms is None:
            self.dormant[order.order_id] = order.awake()
        self.plans.forget(order.order_id)
        self.rows.forget(order.order_id)

    # --- channels ---------------------------------------------------------------------------------

    @property
    def channels(self) -> tuple[str, ...]:
        """All channels known, configured ones first."""
        return self.names.names().channel

    def _channel_name(self, order: Order) -> str:
        return self.names.name("channel", order.counts_for or UNNAMED_CHANNEL)

    def _judged(self, order: Order, facts: Facts) -> Judged | None:
        if order.breach_ms is None and facts.done_ms is None:
            return None  # nearly always: spare the name
        channel = order.breach_channel or facts.channel or UNNAMED_CHANNEL
        return judged(facts, order.breach_ms, self.names.name("channel", channel))

    def follow_clock(self, back: ClockSetBack) -> None:
        """Our clock was ahead: what it said of orders and sources is put right, once."""
        self.settle()
        for source in self.sources.values():
            put_source_right(source, back)
        for order in self.orders.values():
            judged_before, events = self._judged(order, order.facts), put_right(order, back)
            self.tallies.count_verdict(judged_before, self._judged(order, order.facts))
            if events is not None:
                news = News(events, len(events), back.at_ms, is_later=False)
                self._unsettled[order.order_id] = news
        self.settle()
        self.plans.follow_clock(self.orders.values(), back.at_ms)

    def _holder(self, order: Order, at_ms: int | None) -> str:
        facts, holder = order.facts, order.facts.sold_on
        if facts.attempted_ms is not None or facts.delivered_ms is not None:
            holder = holder_at(order.timeline, holder, at_ms)
        return self.names.name("channel", holder or UNNAMED_CHANNEL)

    # --- for control, the runtime and queries ------------------------------------------------------

    def observe(self) -> Observation:
        """Mergeable columns of all orders that signals look at."""
        self.settle()
        return self.rows.observe()

    def heard(self, now_ms: int) -> Heard:
        """How far the sources are believed, by their codes."""
        coded = [self.sources.get(name) for name in self.names.names().source]
        return heard(coded, self.settings.backlog_hold_ms, now_ms)

    def is_source_silent(self, name: str) -> bool:
        """Whether nothing is known about the orders of a source right now."""
        source = self.sources.get(name)
        return source is not None and source.is_silent

    def missing(self, order_ids: Iterable[str]) -> list[str]:
        """Ids that are not in memory; the store may know them (design D4a)."""
        return [order_id for order_id in order_ids if order_id not in self.orders]

    def hydrate(self, orders: Sequence[Order], now_ms: int) -> None:
        """Take stored orders back into memory before an event for them is folded."""
        for order in orders:
            self.orders[order.order_id] = order
            self.dormant.pop(order.order_id, None)
            self._update(order, now_ms)

    def drain_dirty(self, most: int | None = None) -> list[Order]:
        """Orders changed since they were drained, in order of change; at most so many."""
        changed = list(islice(self.dirty, most))
        for order_id in changed:
            del self.dirty[order_id]
        self._resting.stored(changed, self.orders, self.dirty)
        return [self.orders[order_id].wake() for order_id in changed]

    def drain_dormant(self) -> list[Order]:
        """Orders that left memory although their wait never ended; the store must know them."""
        dormant = list(self.dormant.values())
        self.dormant.clear()
        return dormant

    def next_ms(self) -> int | None:
        """When `judge` has something to do next, apart from source silence."""
        return self.plans.next_ms()

    def snapshot(self) -> ShardSnapshot:
        """The whole state as plain data, independent of arrival order where the state is."""
        return ShardSnapshot(
            orders=[self.orders[order_id].awake() for order_id in sorted(self.orders)],
            sources=[self.sources[name] for name in sorted(self.sources)],
            hours=self.history.snapshot(),
            totals=self.totals,
            names=self.names.names(),
            tallies=self.tallies.snapshot(),
        )

    def restore(self, snapshot: ShardSnapshot, now_ms: int) -> None:
        """Take over a snapshot; deadlines and rows are rebuilt from it."""
        self.names.restore(snapshot.names)
        configured = {source.name: source.heartbeat_ms for source in self.settings.heard}
        for source in snapshot.sources:
            source.heartbeat_ms = configured.get(source.name)
            self.sources[source.name] = source
        self.history = History(snapshot.hours)
        self.totals = snapshot.totals
        self.tallies = Tallies(snapshot.tallies)
        self.hydrate(snapshot.orders, now_ms)
        self.drain_dirty()  # they are stored
