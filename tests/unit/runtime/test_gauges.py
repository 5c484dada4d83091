"""Measurements reach the log once per change, and wait while it takes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from monitor.core.engine import Engine
from monitor.model.commands import Batch
from monitor.model.errors import StorageError
from monitor.model.records import Gauged, record_decoder, record_encoder
from monitor.model.rules import RuleSet
from monitor.model.settings import Settings
from monitor.runtime.gauges import WAITING_MAX, Gauging, Wallets
from monitor.sim.virtual_loop import VirtualClock, run_virtual


class Log:
    """An engine behind the loop's entrance, which may refuse."""

    def __init__(self) -> None:
        self.engine = Engine(Settings(), RuleSet())
        self.entries: list[Gauged] = []
        self.is_full = False

    async def submit(self, entries: Sequence[Gauged]) -> tuple[str, ...]:
        if self.is_full:
            raise StorageError("the disk is full")
        self.entries.extend(entries)
        self.engine.handle(Batch(tuple(entries)), entries[0].at_ms)
        return ("accepted",) * len(entries)

    def known(self, kind: str, name: str) -> int | None:
        return self.engine.shard.tallies.gauges.value(kind, name)

    def told(self) -> list[tuple[str, str, int]]:
        return [(one.kind, one.name, one.value) for one in self.entries]


def test_only_what_changes_is_told_and_nothing_is_lost_while_the_disk_is_full() -> None:
    """Of three values in a full minute the last is told when there is room again."""
    log = Log()
    gauging = Gauging(log.known, log, VirtualClock())

    async def story() -> None:
        task = asyncio.get_running_loop().create_task(gauging.run())
        for value in (1, 1, 0):
            gauging.note("webhook", "woo", value)
            await asyncio.sleep(60)
        log.is_full = True
        for value in (500, 400, 300):
            gauging.note("wallet", "supplier", value)
            await asyncio.sleep(20)
        log.is_full = False
        await asyncio.sleep(60)
        task.cancel()

    run_virtual(story())
    assert log.told() == [
        ("webhook", "woo", 1), ("webhook", "woo", 0), ("wallet", "supplier", 300),
    ]  # fmt: skip


def test_wallets_are_asked_every_five_minutes_and_who_is_silent_keeps_its_value() -> None:
    """Eleven minutes: three rounds; the second is not answered."""
    log, answers = Log(), [1_200, None, 900]
    gauging = Gauging(log.known, log, VirtualClock())

    async def ask() -> int | None:
        return answers.pop(0)

    async def story() -> None:
        loop = asyncio.get_running_loop()
        tasks = [
            loop.create_task(gauging.run()),
            loop.create_task(Wallets({"supplier": ask}, gauging).run()),
        ]
        await asyncio.sleep(660)
        for task in tasks:
            task.cancel()

    run_virtual(story())
    assert log.told() == [("wallet", "supplier", 1_200), ("wallet", "supplier", 900)]


def test_no_more_wait_than_there_is_room_for() -> None:
    """A sender of new names without end takes no memory without end."""
    log = Log()
    gauging = Gauging(log.known, log, VirtualClock())
    for number in range(WAITING_MAX + 10):
        gauging.note("stock", f"sku-{number}", 1)
    run_virtual(_ended(gauging))
    assert len(log.entries) == WAITING_MAX


async def _ended(gauging: Gauging) -> None:
    assert await gauging.tell()


def test_a_measurement_is_a_line_of_the_log() -> None:
    """Written and read again it is the same."""
    told = Gauged("wallet", "supplier", 5, 1)
    assert record_decoder.decode(record_encoder.encode(told)) == told
