"""What people are told while the service ends and starts again two hundred times (P9).

    python -m benchmarks.restarts [--deaths N] [--hours N] [--record]

Two lives of one shop with outages, on the real loop, store and outbox, in virtual time. One is never
disturbed. The other ends at random points and starts again at once: in order, between two turns,
between an acknowledgement and what is decided of it, between the claim of a message and its first
byte. Who is told what, when, and at which try, must be the same to the last message: timers of alerts
go on, nothing is told again, a wait between two tries does not begin anew.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import msgspec

from benchmarks.promises import record
from monitor.adapters.storage.sqlite import open_sqlite
from monitor.config.rules_file import load_shipped
from monitor.core.engine import Engine
from monitor.core.rules.lookback import settings_for
from monitor.model.effects import CallWebhook, Effect, Notify, SwitchChannel, effect_decoder
from monitor.model.events import EventType, OrderEvent
from monitor.model.ids import hash64
from monitor.model.records import Answer, EffectClosed, Notified, SwitchAnswered
from monitor.model.settings import (
    ChannelSettings,
    FailoverSettings,
    ReceiverSettings,
    Settings,
    SourceSettings,
    WebhookSettings,
)
from monitor.model.times import HOUR_MS, SECOND_MS, UnixMs
from monitor.ports import Checkpoint, Lease, OutboxRow, Store
from monitor.runtime.loop import Loop
from monitor.runtime.outbox_worker import CLAIM_LEASE_MS, CLAIM_MAX, delay_ms
from monitor.runtime.supervisor import Supervisor
from monitor.sim.memory_folder import memory_folder

START_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
STEP_MS = 5 * SECOND_MS
ORDER_EVERY_MS = 15 * SECOND_MS
OUTAGE_EVERY_MS, OUTAGE_MS = 2 * HOUR_MS, 24 * 60 * SECOND_MS
FIRST_OUTAGE_MS = 10 * 60 * SECOND_MS
FAILED_TRIES = 4  # of a message: from none to so many, by its key
IN_ORDER, BETWEEN, UNDECIDED, CLAIMED = "in order", "between", "undecided", "claimed"
DEATHS = (IN_ORDER, BETWEEN, UNDECIDED, CLAIMED)
_SHIPPED = load_shipped()
# A chart charges no channel for seconds in which the service was not there to hear of deliveries, so
# what rests on charts may come later after a restart, on purpose.
RULES = msgspec.structs.replace(
    _SHIPPED, rules=tuple(one for one in _SHIPPED.rules if "cusum" not in one.expr_text)
)
SETTINGS = Settings(
    sources=(SourceSettings("shop", heartbeat_ms=600 * SECOND_MS),),
    channels=(ChannelSettings("a"), ChannelSettings("b")),
    failover=FailoverSettings(mode="enforce", has_webhook=True),
    receivers=(ReceiverSettings("ops", ("dingtalk/0",)),),
    default_receiver="ops",
    webhooks=(WebhookSettings("webhooks/0"),),
)

Arrivals = Sequence[tuple[OrderEvent, ...]]


class Try(msgspec.Struct, frozen=True):
    """One effect on its way out: when, which, and how often it had been tried before."""

    at_ms: int
    key: str
    tries: int


class DiedError(Exception):
    """What the store of a process says that ends in the middle of a turn."""


class _Clock:
    def __init__(self) -> None:
        self.ms = START_MS

    def now_ms(self) -> UnixMs:
        return UnixMs(self.ms)


class _Mortal:
    """A store whose process can end between an append and the commit behind it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_dying = False

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def commit(self, lease: Lease, checkpoint: Checkpoint) -> int:
        """See StateStore."""
        if self.is_dying:
            raise DiedError
        return await self._store.commit(lease, checkpoint)


class Service:
    """Loop, store and outbox through one story; `deaths` by the step at which they happen."""

    def __init__(self, data_dir: Path, deaths: Mapping[int, str]) -> None:
        self.sent: list[Try] = []
        self._data_dir, self._deaths = data_dir, deaths
        self._clock = _Clock()

    async def live(self, arrivals: Arrivals) -> list[Try]:
        """Take in what arrives, step by step, and send what is due; returns what was sent."""
        await self._start()
        for step, events in enumerate(arrivals):
            self._clock.ms = START_MS + step * STEP_MS
            death = self._deaths.get(step, "")
            if death in (IN_ORDER, BETWEEN):
                await self._end(in_order=death == IN_ORDER)
                await self._start()
            self._mortal.is_dying = death == UNDECIDED
            turns = self._loop.turns
            await self._loop.submit((*events, _beat(self._clock.ms)))
            if death == UNDECIDED:
                await self._end_of(turns)
                await self._end(in_order=False)
                await self._start()
            await self._send(await self._claimed(is_dying=death == CLAIMED))
        await self._end(in_order=True)
        return self.sent

    async def _end_of(self, turns: int) -> None:
        """Wait for the death in a commit, or for the end of a turn that has none."""
        died = asyncio.create_task(self._supervisor.failed.wait())
        while self._loop.turns == turns and not died.done():
            await asyncio.wait([died], timeout=0.01)
        died.cancel()

    async def _start(self) -> None:
        self._store: Store = await open_sqlite(self._data_dir)
        self._mortal, self._supervisor = _Mortal(self._store), Supervisor()
        engine = Engine(settings_for(SETTINGS, RULES), RULES)
        self._loop = Loop(cast("Store", self._mortal), self._clock, engine, owner="restarts")
        await self._loop.start(self._supervisor)
        for row in await self._store.interrupted():
            assert row.is_repeatable, "purchases are not part of this story"

    async def _end(self, *, in_order: bool) -> None:
        if in_order:
            await self._loop.stop()
        await self._supervisor.stop()
        await self._store.close()

    async def _claimed(self, *, is_dying: bool) -> list[OutboxRow]:
        rows = await self._store.claim(self._clock.now_ms(), CLAIM_MAX, CLAIM_LEASE_MS)
        if not is_dying:
            return rows
        await self._end(in_order=False)
        await self._start()
        return await self._store.claim(self._clock.now_ms(), CLAIM_MAX, CLAIM_LEASE_MS)

    async def _send(self, rows: Sequence[OutboxRow]) -> None:
        now_ms, answers = self._clock.ms, []
        for row in rows:
            effect = effect_decoder.decode(row.body)
            self.sent.append(Try(now_ms, row.key, row.tries))
            if row.tries < hash64(row.key) % (FAILED_TRIES + 1):
                await self._store.retry(row.key, now_ms + delay_ms(effect, row.tries, row.key))
            else:
                answers.append(_answer(effect, now_ms))
        if answers:
            await self._loop.submit(answers)


def _answer(effect: Effect, now_ms: int) -> Answer:
    match effect:
        case Notify():
            return Notified(effect.key, effect.receiver, "ok", now_ms)
        case CallWebhook():
            return Notified(effect.key, effect.endpoint, "ok", now_ms)
        case SwitchChannel():
            return SwitchAnswered(effect.key, effect.epoch, "applied", effect.epoch, now_ms)
        case _:
            return EffectClosed(effect.key, "ok", now_ms)


def arrivals_of(seed: int, hours: float) -> list[tuple[OrderEvent, ...]]:
    """Events by step: orders on two channels, one of which hangs for a while every two hours."""
    chance = random.Random(f"orders {seed}")
    steps: list[list[OrderEvent]] = [[] for _ in range(round(hours * HOUR_MS / STEP_MS))]
    for number in range(round(hours * HOUR_MS / ORDER_EVERY_MS)):
        paid_ms = START_MS + number * ORDER_EVERY_MS + chance.randrange(ORDER_EVERY_MS)
        channel = "ab"[number % 2]
        since_ms = (paid_ms - START_MS) % OUTAGE_EVERY_MS - FIRST_OUTAGE_MS
        hangs_ms = OUTAGE_MS - since_ms if channel == "a" and 0 <= since_ms < OUTAGE_MS else 0
        took_ms = round(chance.lognormvariate(2.5, 0.8) * SECOND_MS)
        for kind, at_ms in (
            (EventType.PAID, paid_ms),
            (EventType.DELIVERED, paid_ms + hangs_ms + took_ms),
        ):
            step = -(-(at_ms - START_MS) // STEP_MS)
            if step < len(steps):
                steps[step].append(_event(kind, number, channel, at_ms, START_MS + step * STEP_MS))
    return [tuple(one) for one in steps]


def _event(kind: str, number: int, channel: str, at_ms: int, received_ms: int) -> OrderEvent:
    return OrderEvent(
        type=kind, order_id=f"o{number}", source="shop", event_id=f"{kind}-{number}", time_ms=at_ms,
        received_ms=received_ms, channel=channel, sku="key", amount_minor=990, currency="CNY",
    )  # fmt: skip


def _beat(now_ms: int) -> OrderEvent:
    return OrderEvent(
        type=EventType.HEARTBEAT, order_id="", source="shop", event_id=f"beat-{now_ms}",
        time_ms=now_ms, received_ms=now_ms, is_unique=True,
    )  # fmt: skip


def deaths_of(seed: int, count: int, steps: int) -> dict[int, str]:
    """Random points of a story, every kind of end equally often."""
    chance = random.Random(f"deaths {seed}")
    points = chance.sample(range(1, steps), count)
    return {step: DEATHS[number % len(DEATHS)] for number, step in enumerate(points)}


def differences(calm: Sequence[Try], disturbed: Sequence[Try]) -> list[str]:
    """What was sent in one life only, or more often than in the other."""
    once, again = Counter(calm), Counter(disturbed)
    return [
        *(f"not sent: {one}" for one in (once - again)),
        *(f"sent besides: {one}" for one in (again - once)),
    ]


async def lived(seed: int, hours: float, deaths: int) -> list[Try]:
    """Live a story and end so many times in it; returns what was sent."""
    arrivals = arrivals_of(seed, hours)
    with tempfile.TemporaryDirectory(prefix="restarts-", dir=memory_folder()) as folder:
        points = deaths_of(seed, deaths, len(arrivals))
        return await Service(Path(folder) / "data", points).live(arrivals)


def main() -> int:
    """Compare, print, record; 1 when people were told something else."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--deaths", type=int, default=200)
    parser.add_argument("--hours", type=float, default=6.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--record", action="store_true", help="keep the figure of P9")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)  # every second death is an error to the process that dies
    calm = asyncio.run(lived(options.seed, options.hours, 0))
    disturbed = asyncio.run(lived(options.seed, options.hours, options.deaths))
    wrong = differences(calm, disturbed)
    note = f"{options.hours:g} virtual hours, {len(calm):,} tries to send compared one by one"
    print(f"{options.deaths} restarts in {note}: {len(wrong)} differ")
    print("\n".join(wrong[:20]))
    if options.record:
        record("P9", tried=options.deaths, violations=len(wrong), note=note)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
