"""What an engine knows, as a value: read by views, kept in snapshots, compared by hashes.

`Engine` moves it; nothing here decides anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import cache

from monitor.core.batches import Batches
from monitor.core.control import Control, Measured, View
from monitor.core.failover.controller import RouteState
from monitor.core.orders.absences import Absence, absences
from monitor.core.orders.fingerprint import StateHasher
from monitor.core.orders.order import Order
from monitor.core.orders.shard import Shard
from monitor.core.playbooks.response import Response
from monitor.core.shop_watch import ShopWatch
from monitor.core.side_signals import SourceView
from monitor.core.snapshot import Snapshot, snapshot_decoder, snapshot_encoder
from monitor.core.takeover.desk import Desk
from monitor.model.events import OrderEvent
from monitor.model.ids import UNNAMED_CHANNEL
from monitor.model.records import ClockSetBack, Entry
from monitor.model.rules import RuleSet
from monitor.model.settings import Settings
from monitor.model.takeovers import CLOCK_PLAY_MS


class EngineState:
    """Shard, control, takeover desk and tiered response, and the time of the latest fact."""

    response: Response  # the engine makes both: their hands are the engine's
    batches: Batches

    def __init__(self, settings: Settings, rules: RuleSet) -> None:
        self.settings = settings
        self.shard = Shard(settings)
        self.control = Control(settings, rules)
        self.desk = Desk(settings, self.shard.orders, self.control.controller.is_stopped)
        self.shop_watch = ShopWatch(lambda: self.settings, self.shard.orders)
        self.latest_ms = 0  # time of the latest fact, by the shops' clocks

    # --- reading ----------------------------------------------------------------------------------

    @property
    def route(self) -> RouteState:
        """The desired routing state."""
        return self.control.controller.route

    def channel_of(self, order: Order) -> str:
        """The channel an order is counted for; `external` when nobody named one."""
        return order.counts_for or UNNAMED_CHANNEL

    def view(self, now_ms: int) -> View:
        """What control sees of the shard now."""
        channels = self.shard.channels
        return View(
            rows=self.shard.observe(),
            tallies=self.shard.tallies,
            sources=self.sources(now_ms),
            p95_ms={name: self.shard.history.p95_ms(name, now_ms) for name in channels},
            heard=self.shard.heard(now_ms),
            now_ms=now_ms,
            absences=cache(lambda: self._absences(now_ms)),
        )

    def _absences(self, now_ms: int) -> list[Absence]:
        shard = self.shard
        return absences(shard.sources, shard.rows.waits, now_ms, shard.awake_ms)

    def sources(self, now_ms: int) -> list[SourceView]:
        """Sources that were heard at least once."""
        return [
            SourceView(name, max(0, now_ms - source.last_ms), source.is_silent)
            for name, source in sorted(self.shard.sources.items())
            if source.last_ms
        ]

    # --- a clock that was ahead -------------------------------------------------------------------

    def clock_news(self, now_ms: int) -> tuple[ClockSetBack, ...]:
        """What the log must hold if our own clock told later times than now; mostly nothing."""
        shard = self.shard
        heard_ms = max((one.last_ms for one in shard.sources.values()), default=0)
        by_ms = max(heard_ms, shard.plans.made_ms) - now_ms
        return (ClockSetBack(now_ms, by_ms),) if by_ms > CLOCK_PLAY_MS else ()

    def follow_clock(self, back: ClockSetBack) -> None:
        """Put right what our clock said while it was ahead; live and in recovery alike."""
        self.shard.follow_clock(back)
        self.desk.follow_clock(back)
        for order_id in list(self.response.unfinished):
            self.response.adopt(self.shard.orders[order_id])

    # --- state as a value -------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """The whole state, encoded; equal states give equal bytes."""
        return snapshot_encoder.encode(self._snapshot(self.control.measured()))

    def _snapshot(self, measured: Measured) -> Snapshot:
        return Snapshot(
            self.shard.snapshot(),
            self.control.snapshot(),
            self.desk.ledger.spending,
            self.latest_ms,
            measured,
            self.desk.pace.channels,
            self.response.snapshot(),
            list(self.batches.by_id.values()),
        )

    def restore(self, body: bytes, now_ms: int) -> None:
        """Take over a snapshot of an engine with the same or other settings."""
        snapshot = snapshot_decoder.decode(body)
        self.latest_ms = snapshot.latest_ms
        self.control.restore(snapshot.control, snapshot.measured)
        self.desk.restore(snapshot.spending, snapshot.paces)
        self.response.restore(snapshot.response)
        self.batches.restore(snapshot.batches)
        self.shard.restore(snapshot.shard, now_ms)
        self._adopt_cases(snapshot.shard.orders)

    def hydrate(self, orders: Sequence[Order], now_ms: int) -> None:
        """Take stored orders back into memory, with their takeover cases."""
        self.shard.hydrate(orders, now_ms)
        self._adopt_cases(orders)

    def missing(self, entries: Iterable[Entry]) -> list[str]:
        """Order ids that entries speak of and memory does not hold."""
        ids = (one.order_id for one in entries if isinstance(one, OrderEvent) and one.order_id)
        return list(dict.fromkeys(self.shard.missing(ids)))

    def state_hash(self, at_ms: int | None = None) -> str:
        """Hash of all orders' facts and verdicts at a time (default: the latest fact's time).

        The same for any order of arrival and any number of repetitions of the same events.
        """
        hasher = StateHasher(self.latest_ms if at_ms is None else at_ms)
        for order_id in sorted(self.shard.orders):
            hasher.add(order_id, self.shard.orders[order_id].facts)
        return hasher.hexdigest()

    def engine_hash(self) -> str:
        """Hash of everything the engine was told and decided: what its log leads to again.

        Charts and the learned week of arrivals are measured tick by tick and not part of it.
        """
        body = snapshot_encoder.encode(self._snapshot(Measured()))
        return hashlib.blake2b(body, digest_size=16).hexdigest()

    def _adopt_cases(self, orders: Iterable[Order]) -> None:
        self.shop_watch.adopt(orders)
        for order in orders:
            if order.actions:
                self.response.adopt(order)
            if order.case is not None:
                self.desk.adopt(order.case)
