"""How soon a lost callback is found by asking, and how much a gateway is asked for it.

Every callback is lost. Orders come at random, half are paid, after a lognormal time with a median of
90 s; the gateway knows a payment at once and takes 300 ms for an answer about one order. Virtual time.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.row import Row
from monitor.core.engine import Engine
from monitor.core.inquiries import AskedGateway, Inquiries
from monitor.model.commands import Batch
from monitor.model.events import OrderEvent
from monitor.model.gateways import Inquiry, Meaning, Reported
from monitor.model.rules import RuleSet
from monitor.model.settings import Settings
from monitor.model.times import HOUR_MS, MINUTE_MS, UnixMs
from monitor.runtime.gateway_query import TURN_S, Asked, GatewayQuery

GROUP = "gateways"
START_MS = 1_767_571_200_000
HOURS = 6
SEED = 900
ANSWER_MS = 300
PAID_MEDIAN_MS, PAID_SPREAD = 90_000, 1.0
VOLUMES = (60, 200, 400)  # orders an hour


class Shop:
    """A clock, an engine, and a gateway that knows who has paid."""

    def __init__(self, per_hour: int, hours: float, orders_max: int) -> None:
        rng = np.random.default_rng((SEED, per_hour))
        count = int(per_hour * hours)
        self.created = np.sort(rng.uniform(0, hours * HOUR_MS, count)).astype(np.int64) + START_MS
        pause = rng.lognormal(np.log(PAID_MEDIAN_MS), PAID_SPREAD, count)
        self.paid = np.where(rng.random(count) < 0.5, self.created + pause, np.inf)
        self.at_ms, self.ends_ms = START_MS, START_MS + int((hours + 0.5) * HOUR_MS)
        self.engine = Engine(Settings(), RuleSet())
        self.asked: dict[str, list[int]] = defaultdict(list)
        self.questions = 0
        self.found: dict[int, int] = {}
        self.orders_max = orders_max

    def now_ms(self) -> UnixMs:
        return UnixMs(self.at_ms)

    async def submit(self, entries: Sequence[OrderEvent]) -> tuple[str, ...]:
        self.engine.handle(Batch(tuple(entries)), self.at_ms)
        for entry in entries:
            if entry.meaning is not None:
                self.found[int(entry.order_id)] = self.at_ms
        return ()

    async def ask(self, inquiries: Sequence[Inquiry]) -> tuple[Reported, ...]:
        self.questions += 1
        self.at_ms += ANSWER_MS
        for one in inquiries:
            self.asked[one.order_id].append(self.at_ms)
        return tuple(
            Reported(one.order_id, Meaning.PAID if is_paid else Meaning.WAITING)
            for one in inquiries
            for is_paid in [self.paid[int(one.order_id)] <= self.at_ms]
        )

    async def play(self) -> None:
        """Let everything happen."""
        inquiries = Inquiries([AskedGateway("gate", (), 30 * MINUTE_MS)])
        query = GatewayQuery(
            Asked("gate", self, "CNY"), inquiries, lambda: self.engine.shard.orders, self, self,
            lambda text: text,
        )  # fmt: skip
        order = 0
        while self.at_ms < self.ends_ms:
            turn_ms = self.at_ms + int(TURN_S * 1_000)
            while order < len(self.created) and self.created[order] <= self.at_ms:
                at_ms = int(self.created[order])
                event = OrderEvent("order.created", str(order), "shop", str(order), at_ms, at_ms)
                await self.submit((event,))
                order += 1
            await query.turn()
            self.at_ms = max(self.at_ms, turn_ms)

    def delays_s(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """From the gateway's knowing to ours, of orders that were paid while they are asked about."""
        asked_for = np.flatnonzero(self.paid - self.created < 30 * MINUTE_MS)
        return np.array(
            [(self.found.get(int(one), np.inf) - self.paid[one]) / 1_000 for one in asked_for]
        )

    def most_in_a_minute(self) -> int:
        """The most questions about one order in any minute."""
        return max(
            sum(at <= one < at + MINUTE_MS for one in times)
            for times in self.asked.values()
            for at in times
        )


def rows(scale: float) -> Iterator[Row]:
    """Asked one by one, at three volumes; then with one SELECT for all."""
    hours = max(1.0, HOURS * scale)
    for per_hour, orders_max, how in (
        *((volume, 1, "one by one") for volume in VOLUMES), (2_000, 200, "in its database")
    ):  # fmt: skip
        shop = Shop(per_hour, hours, orders_max)
        asyncio.run(shop.play())
        delays_s = shop.delays_s()
        what = f"lost callback at {per_hour:,} orders an hour, asked {how}"
        p50_s, p99_s = np.quantile(delays_s, (0.5, 0.99))
        note = f"{len(delays_s):,} lost, max {delays_s.max():.0f} s, median {p50_s:.0f} s"
        yield Row(GROUP, f"{what}: found after, p99", float(p99_s), "s", 90, "lower", note)
        most = shop.most_in_a_minute()
        yield Row(GROUP, f"{what}: questions about one order in a minute", most, "", 2, "lower")
        per_s = shop.questions / (shop.ends_ms - START_MS) * 1_000
        yield Row(GROUP, f"{what}: questions a second", per_s, "")
