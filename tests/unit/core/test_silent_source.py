"""A dead emitter never looks like a delivery outage, and its silence never ends an alert."""

import pytest

from monitor.config.rules_file import load_shipped
from monitor.core.engine import Engine
from monitor.core.views.fleet import alerts
from monitor.model.commands import Batch, Tick, WakeAt
from monitor.model.events import OrderEvent
from monitor.model.settings import Settings, SourceSettings
from monitor.model.times import MINUTE_MS, SECOND_MS

START_MS = 1_767_578_400_000  # 2026-01-05T02:00:00Z


class Shop:
    """A shop with a heartbeat of five minutes, and an engine that is woken as it asks."""

    def __init__(self) -> None:
        sources = (SourceSettings("shop", heartbeat_ms=5 * MINUTE_MS),)
        self.engine = Engine(Settings(sources=sources), load_shipped())
        self.now_ms = START_MS
        self._orders = 0

    def go_on(self, duration_ms: int) -> None:
        """Let time pass."""
        end_ms = self.now_ms + duration_ms
        while self.now_ms < end_ms:
            (wake,) = [
                one for one in self.engine.handle(Tick(), self.now_ms) if isinstance(one, WakeAt)
            ]
            self.now_ms = min(wake.at_ms, end_ms)

    def sell(self, count: int, *, delivered: bool) -> None:
        """One order every ten seconds, delivered after two seconds or never."""
        for _ in range(count):
            self._orders += 1
            self._send("order.paid")
            self.go_on(2 * SECOND_MS)
            if delivered:
                self._send("delivery.delivered")
            self.go_on(8 * SECOND_MS)

    def beat(self, minutes: int) -> None:
        """Nothing is sold or delivered, but the shop is there."""
        for _ in range(minutes):
            at_ms = self.now_ms
            beat = OrderEvent("source.heartbeat", "", "shop", f"h{at_ms}", at_ms, at_ms)
            self.engine.handle(Batch((beat,)), at_ms)
            self.go_on(MINUTE_MS)

    def firing(self) -> set[str]:
        return {one.rule for one in self.engine.control.alerts.values() if one.state == "firing"}

    def _send(self, kind: str) -> None:
        order_id = f"o{self._orders}"
        event = OrderEvent(kind, order_id, "shop", kind, self.now_ms, self.now_ms, channel="auto")
        self.engine.handle(Batch((event,)), self.now_ms)


@pytest.mark.parametrize("in_flight", [1, 2])
def test_orders_in_flight_when_the_shop_dies_fire_nothing_but_source_silent(in_flight: int) -> None:
    """For over an hour: not by their age, not by their share of a window that runs empty."""
    shop = Shop()
    shop.sell(60, delivered=True)
    shop.sell(in_flight, delivered=False)
    for _ in range(4):
        shop.go_on(20 * MINUTE_MS)
        assert shop.firing() == {"SourceSilent"}


def test_silence_does_not_end_what_fired_before_it() -> None:
    """Missing data is not recovery: an outage goes on when the shop dies in it."""
    shop = Shop()
    shop.sell(60, delivered=True)
    shop.sell(30, delivered=False)
    shop.beat(10)
    before = shop.firing()
    assert {"DelayedOver2Percent", "MeanOver3Minutes", "HealthIndexLow"} <= before
    shop.go_on(45 * MINUTE_MS)
    assert shop.firing() == before | {"SourceSilent"}
    said = {one.rule: one.reason for one in alerts(shop.engine) if one.rule in before}
    # What was proven before the silence stays so; of the others nobody knows, and they say that.
    assert said.pop("DeliveryStalled") == "threshold"
    assert said == dict.fromkeys(before - {"DeliveryStalled"}, "source_silent")


def test_shop_that_returns_with_its_deliveries_fires_nothing() -> None:
    """The minute after a silence belongs to the backlog that may explain everything."""
    shop = Shop()
    shop.sell(60, delivered=True)
    shop.sell(1, delivered=False)
    shop.go_on(60 * MINUTE_MS)
    shop.beat(1)
    assert shop.firing() == set()
    # It never was delivered: then its age says so, a minute after the shop came back.
    shop.beat(2)
    assert "OldestOrderWaiting" in shop.firing()
