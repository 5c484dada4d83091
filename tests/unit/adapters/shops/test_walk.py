"""A table is followed by its ids within bounds: turns, limits, a table that was emptied, bad rows."""

import logging
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from monitor.adapters.shops import walk
from monitor.adapters.shops.walk import LOOKS_MAX, PAGE, TURN_MS, WATCHED_MAX, _due, _Mark, _Watched
from monitor.model.times import DAY_MS, MINUTE_MS
from tests.contracts.shop_contract import POLL_MS, START_MS, Reader
from tests.contracts.test_adding_a_shop import CornerBench
from tests.databases import Servers


@pytest.fixture
def bench(mariadb_server: Servers) -> Iterator[CornerBench]:
    """A small shop."""
    database = mariadb_server.database(CornerBench.script)
    yield CornerBench(database)
    database.shop.close()


def watched(count: int, **fields: Any) -> list[_Watched]:
    """So many rows that are watched for a day."""
    return [_Watched(row_id, "1", START_MS + DAY_MS, **fields) for row_id in range(1, count + 1)]


def mark_of(reader: Reader) -> _Mark:
    """What is remembered."""
    return msgspec.json.decode(reader.mark, type=_Mark)


def test_few_watched_rows_are_all_asked_for() -> None:
    """Up to the limit; what is over, too, for the last time."""
    rows = watched(LOOKS_MAX)
    assert _due(rows, START_MS) == rows
    assert _due(rows, START_MS + DAY_MS) == rows


def test_of_many_the_urgent_and_the_newest_are_always_asked_for() -> None:
    """Half of the places are theirs; in the other half everybody has a turn within a few looks."""
    rows = [*watched(3 * LOOKS_MAX), _Watched(0, "1", START_MS + DAY_MS, is_urgent=True)]
    seen: set[int] = set()
    for turn in range(6):
        ids = [one.row_id for one in _due(rows, START_MS + turn * TURN_MS)]
        assert len(ids) == len(set(ids)) == LOOKS_MAX
        assert 0 in ids
        assert 3 * LOOKS_MAX in ids
        seen.update(ids)
    assert seen == {one.row_id for one in rows}


async def test_too_many_open_orders_leave_those_that_would_leave_soonest(
    bench: CornerBench,
) -> None:
    """The limit holds, and what is owed longest is kept."""
    bench.create(1, START_MS)
    reader = Reader(bench)
    full = _Mark(last=0, watched=watched(WATCHED_MAX + 1))
    full.watched[7].until_ms = START_MS + MINUTE_MS
    reader.mark = msgspec.json.encode(full).decode()
    await reader.poll(START_MS)
    kept = mark_of(reader).watched
    assert len(kept) == WATCHED_MAX
    assert 8 not in {one.row_id for one in kept}
    said = [(await reader.pull.poll(reader.mark, START_MS + ms)).limit for ms in (0, DAY_MS)]
    assert "1 of them are watched no longer" in said[0]
    assert f"{LOOKS_MAX} are asked for at a look" in said[1]
    await reader.pull.close()


async def test_table_that_was_emptied_is_read_from_its_beginning(bench: CornerBench) -> None:
    """Ids that were seen belong to other orders now."""
    reader = Reader(bench)
    for number in (1, 2, 3):
        bench.create(number, START_MS)
    await reader.poll(START_MS)
    bench.database.write("TRUNCATE TABLE sales")
    bench.create(9, START_MS)
    found = await reader.poll(START_MS + POLL_MS)
    assert {event.order_id for event in found} == {"C9"}
    await reader.pull.close()


async def test_order_that_was_deleted_is_no_emptied_table(bench: CornerBench) -> None:
    """The newest one is gone; those before it are watched as they were."""
    reader = Reader(bench)
    bench.create(1, START_MS)
    bench.create(2, START_MS)
    await reader.poll(START_MS)
    bench.database.write("DELETE FROM sales WHERE id = 2")
    before = [one.row_id for one in mark_of(reader).watched]
    await reader.poll(START_MS + POLL_MS)
    bench.create(3, START_MS)
    found = await reader.poll(START_MS + 2 * POLL_MS)
    assert before == [1, 2]
    assert {event.order_id for event in found} >= {"C3"}
    await reader.pull.close()


async def test_row_that_nobody_understands_hides_no_other(
    bench: CornerBench, caplog: pytest.LogCaptureFixture
) -> None:
    """It is named once, without anything that stands in it."""
    caplog.set_level(logging.WARNING, "monitor.shops")
    bench.database.write("ALTER TABLE sales MODIFY made varchar(40)")
    for number in (1, 2, 3):
        bench.create(number, START_MS)
    reader = Reader(bench)
    await reader.poll(START_MS)
    bench.create(4, START_MS)
    bench.create(5, START_MS)
    bench.database.write("UPDATE sales SET made = 'SECRET-4711 yesterday' WHERE id = 4")
    for look in (1, 2):
        await reader.poll(START_MS + look * POLL_MS)
    assert reader.orders().keys() == {"C1", "C2", "C3", "C5"}
    assert caplog.messages == ["row_not_understood"]
    assert "4711" not in str(vars(caplog.records[0]))
    await reader.pull.close()


@pytest.mark.parametrize("mark", ["{", "null", "[1]", '{"last":"x"}'])
async def test_mark_that_cannot_be_read_is_a_lost_one(bench: CornerBench, mark: str) -> None:
    """The last day is told again."""
    bench.create(1, START_MS)
    reader = Reader(bench)
    reader.mark = mark
    assert await reader.poll(START_MS)
    await reader.pull.close()


async def test_gaps_are_watched_within_bounds_and_not_for_ever(bench: CornerBench) -> None:
    """A jump of the ids is no thousand open transactions; after ten minutes nobody comes any more."""
    reader = Reader(bench)
    bench.create(1, START_MS)
    await reader.poll(START_MS)
    bench.database.write("ALTER TABLE sales AUTO_INCREMENT = 1000000")
    bench.create(2, START_MS)
    await reader.poll(START_MS + POLL_MS)
    assert len(mark_of(reader).watched) == walk.GAPS_MAX + 2
    bench.create(3, START_MS)
    await reader.poll(START_MS + POLL_MS + walk.GAP_MS)
    assert [one.row_id for one in mark_of(reader).watched] == [1, 1_000_000, 1_000_001]
    await reader.pull.close()


async def test_many_owed_orders_of_last_week_come_in_pages(bench: CornerBench) -> None:
    """More than a page of them, long before the last day."""
    with bench.database.shop.cursor() as cursor:
        cursor.execute(
            "INSERT sales (number, buyer, made, paid)"
            f" SELECT CONCAT('C', seq), 'b', %s, %s FROM seq_1_to_{PAGE + 9}",
            [bench.at(START_MS - 3 * DAY_MS)] * 2,
        )
    reader = Reader(bench)
    await reader.poll(START_MS)
    assert len(reader.orders()) == PAGE + 9
    await reader.pull.close()
