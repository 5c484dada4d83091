"""The local pool is counted: when it changed, and never louder than once while it cannot be read."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from monitor.core.engine import Engine
from monitor.model.commands import Batch
from monitor.model.errors import StorageError
from monitor.model.records import StockCounted, record_decoder, record_encoder
from monitor.model.rules import RuleSet
from monitor.model.settings import Settings
from monitor.runtime.stock import SKUS_MAX, StockTaker
from monitor.sim.virtual_loop import VirtualClock, run_virtual


class Pool:
    """Counts as the test says; None is a file that refuses."""

    def __init__(self, counts: dict[str, int] | None) -> None:
        self.counts = counts
        self.looks = 0

    async def count(self) -> dict[str, int]:
        self.looks += 1
        if self.counts is None:
            raise StorageError("goods.db refused: BusyError")
        return self.counts


class Log:
    """An engine behind the loop's entrance."""

    def __init__(self) -> None:
        self.engine = Engine(Settings(), RuleSet())
        self.entries: list[StockCounted] = []

    async def submit(self, entries: Sequence[StockCounted]) -> tuple[str, ...]:
        self.entries.extend(entries)
        self.engine.handle(Batch(tuple(entries)), entries[0].at_ms)
        return ("accepted",) * len(entries)

    def known(self) -> Mapping[str, int]:
        return self.engine.shard.tallies.stock


def test_pool_is_counted_every_minute_and_told_when_it_changed() -> None:
    """Ten minutes with one sale: two records, eleven looks."""
    pool, log = Pool({"card-10": 7, "card-50": 0}), Log()

    async def watch() -> None:
        taker = StockTaker(pool.count, log.known, log, VirtualClock())
        task = asyncio.get_running_loop().create_task(taker.run())
        await asyncio.sleep(301)
        pool.counts = {"card-10": 6, "card-50": 0}
        await asyncio.sleep(301)
        task.cancel()

    run_virtual(watch())
    assert [one.counts for one in log.entries] == [
        {"card-10": 7, "card-50": 0},
        {"card-10": 6, "card-50": 0},
    ]
    assert pool.looks == 11
    assert log.known() == {"card-10": 6, "card-50": 0}


def test_pool_that_cannot_be_read_keeps_its_last_count(caplog: pytest.LogCaptureFixture) -> None:
    """One line in the log for a failure, however long it lasts; afterwards counting goes on."""
    pool, log = Pool({"card-10": 7}), Log()
    taker = StockTaker(pool.count, log.known, log, VirtualClock())

    async def story() -> list[bool]:
        told = [await taker.take()]
        pool.counts = None
        told += [await taker.take(), await taker.take()]
        assert log.known() == {"card-10": 7}
        pool.counts = {}
        return [*told, await taker.take()]

    assert run_virtual(story()) == [True, False, False, True]
    assert log.known() == {}
    assert [record.message for record in caplog.records] == ["stock_not_counted"]


def test_of_too_many_skus_the_same_ones_are_kept() -> None:
    """The first by name, whatever order the file has."""
    names = [f"sku-{number:05d}" for number in range(SKUS_MAX + 10)]
    pool, log = Pool(dict.fromkeys(reversed(names), 1)), Log()
    taker = StockTaker(pool.count, log.known, log, VirtualClock())
    assert run_virtual(taker.take())
    assert [*log.known()] == names[:SKUS_MAX]


def test_count_is_a_line_of_the_log_that_a_restart_folds_again() -> None:
    """It survives its encoding, a refold and a snapshot."""
    record = StockCounted({"card-50": 2, "card-10": 3}, 5)
    assert record_decoder.decode(record_encoder.encode(record)) == record
    engine = Engine(Settings(), RuleSet())
    engine.refold(record)
    again = Engine(Settings(), RuleSet())
    again.restore(engine.snapshot(), 6)
    assert again.shard.tallies.stock == {"card-10": 3, "card-50": 2}
    assert again.engine_hash() == engine.engine_hash()
