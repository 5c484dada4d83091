"""Shops whose channel breaks as soon as it is in use: how often that switches (P26).

    python -m benchmarks.flapping [--shops N] [--record]

The engine in virtual time with switching armed. Half of the orders go where the route says, the rest
elsewhere; whoever has the route is slow from a random time on, and well again without it: a switch
would be due every few minutes. Never more than the configured number an hour, never sooner than the
configured dwell, each with a cause, with evidence that says so, sent and told to people, and with the
state before it, to which a person goes back with one order. After three hours a shop has taught the
service that slow is usual, and is closed.
"""

from __future__ import annotations

import argparse
import heapq
import random
import sys
from collections.abc import Iterator, Sequence

import msgspec

from benchmarks.promises import record
from monitor.core.failover.breaker import ChannelSpeed
from monitor.model.commands import Perform
from monitor.model.effects import Notify, SwitchChannel
from monitor.model.records import SwitchDecided, SwitchOrdered
from monitor.model.settings import (
    ChannelSettings,
    FailoverSettings,
    ReceiverSettings,
    Settings,
)
from monitor.model.times import HOUR_MS, SECOND_MS
from monitor.testing.scenario import START_MS, Scenario, delivered, paid

ORDERS_PER_S = 1 / 6
BREAKS_WITHIN_S = 300.0
FAST_S, SLOW_S = (3.0, 20.0), (200.0, 400.0)
UNDONE_EVERY = 5  # epochs
HOURS = 3.0
CHANNELS = ("a", "b", "c")
SETTINGS = Settings(
    channels=tuple(ChannelSettings(name) for name in CHANNELS),
    failover=FailoverSettings(mode="enforce", has_webhook=True),
    receivers=(ReceiverSettings("ops", ("webhook/0",)),),
    default_receiver="ops",
)


class _Evidence(msgspec.Struct):
    channels: dict[str, ChannelSpeed]


class Shop:
    """Orders, deliveries, and now and then a person who goes back."""

    def __init__(self, seed: int) -> None:
        self.story = Scenario(SETTINGS)
        self._chance = random.Random(f"flapping {seed}")
        self._due: list[tuple[float, str, str]] = []  # when, order, channel
        self._epoch = 0
        self._breaks_s = 60.0

    def trade(self) -> list[SwitchDecided]:
        """Sell for three hours; returns every switch that was decided."""
        at_s, number = 0.0, 0
        while at_s < HOURS * HOUR_MS / SECOND_MS:
            at_s += self._chance.expovariate(ORDERS_PER_S)
            while self._due and self._due[0][0] <= at_s:
                due_s, order_id, channel = heapq.heappop(self._due)
                self.story.at(_at(due_s), delivered(order_id, channel=channel))
            self._sell(at_s, f"o{number}")
            number += 1
        return [one for one in self.story.decisions() if isinstance(one, SwitchDecided)]

    def _sell(self, at_s: float, order_id: str) -> None:
        weights, epoch = self.story.engine.route.weights, self.story.engine.route.epoch
        used = max(weights, key=lambda name: weights[name]) if weights else CHANNELS[0]
        if epoch != self._epoch:
            self._breaks_s, self._epoch = at_s + self._chance.uniform(0.0, BREAKS_WITHIN_S), epoch
            if epoch % UNDONE_EVERY == 0:
                self._go_back(at_s)
        channel = used if self._chance.random() < 0.5 else self._chance.choice(CHANNELS)
        is_slow = channel == used and at_s >= self._breaks_s
        took_s = self._chance.uniform(*(SLOW_S if is_slow else FAST_S))
        self.story.at(_at(at_s), paid(order_id, channel=channel))
        heapq.heappush(self._due, (at_s + took_s, order_id, channel))

    def _go_back(self, at_s: float) -> None:
        latest = next(
            one for one in reversed(self.story.decisions()) if isinstance(one, SwitchDecided)
        )
        now_ms = START_MS + round(at_s * SECOND_MS)
        self.story.at(_at(at_s), SwitchOrdered("*", latest.previous, "back", "ann", now_ms))


def _at(at_s: float) -> str:
    return f"{round(at_s * SECOND_MS)}ms"


def wrongs(switches: Sequence[SwitchDecided], story: Scenario) -> Iterator[str]:
    """What was promised of switches and not kept."""
    sent = [one.effect for _, one in story.commands if isinstance(one, Perform)]
    commands = {one.key for one in sent if isinstance(one, SwitchChannel)}
    told = sum(isinstance(one, Notify) and one.event_type == "channel.switch" for one in sent)
    if told != len(switches):
        yield f"{len(switches)} switches and {told} messages to people"
    before: SwitchDecided | None = None
    for one in switches:
        yield from (f"epoch {one.epoch}: {what}" for what in _wrong(one, before))
        if f"switch_{one.epoch}" not in commands:
            yield f"epoch {one.epoch} was not sent"
        before = one
    yield from _too_many([one for one in switches if one.mode == "enforce"])


def _wrong(one: SwitchDecided, before: SwitchDecided | None) -> Iterator[str]:
    if not one.reason:
        yield "no cause"
    if before is not None and (one.prev_epoch, one.previous) != (before.epoch, before.weights):
        yield "does not say what was before"
    if one.mode == "manual":
        if before is not None and one.weights != before.previous:
            yield "does not go back to what was before"
        return
    speeds = msgspec.json.decode(one.evidence, type=_Evidence).channels
    for name, share in one.previous.items():
        if one.weights[name] < share and not speeds[name].is_tripped:
            yield f"{name} was left without evidence"
        if one.weights[name] > share and speeds[name].is_tripped:
            yield f"{name} was taken though it is slow"
    if before is not None and one.at_ms - before.at_ms < SETTINGS.failover.min_dwell_ms:
        yield "too soon"


def _too_many(enforced: Sequence[SwitchDecided]) -> Iterator[str]:
    cap = SETTINGS.failover.max_per_hour
    for first, last in zip(enforced, enforced[cap:], strict=False):
        if last.at_ms - first.at_ms < HOUR_MS:
            yield f"more than {cap} switches in the hour before epoch {last.epoch}"


def main() -> int:
    """Trade, print, record; 1 when a promise about switches was broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--shops", type=int, default=100)
    parser.add_argument("--record", action="store_true", help="keep the figure of P26")
    options = parser.parse_args()
    wrong, count, by_hand = [], 0, 0
    for seed in range(options.shops):
        shop = Shop(seed)
        switches = shop.trade()
        wrong += [f"shop {seed}: {one}" for one in wrongs(switches, shop.story)]
        count += len(switches)
        by_hand += sum(one.mode == "manual" for one in switches)
    note = f"in {options.shops * HOURS:g} virtual hours of flapping channels, {by_hand} by hand"
    print(f"{count} switches {note}: {len(wrong)} wrong")
    print("\n".join(wrong[:20]))
    if options.record:
        record("P26", tried=count, violations=len(wrong), note=note)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
