"""The local pool: imported once, reserved once, never shown in a file."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import apsw
import pytest

from monitor.adapters.channels.stock import StockChannel
from monitor.adapters.goods_file import GoodsFile
from monitor.adapters.stock_pool import (
    Batch,
    Level,
    import_units,
    set_aside,
    stock_levels,
)
from monitor.adapters.vault import SealedVault, store_goods
from monitor.model.effects import Quarantine, Submit
from monitor.model.errors import StorageError
from monitor.model.times import DAY_MS
from tests.contracts.test_channels import query, submit
from tests.pool import stock_counts

ORDERS = 400
WORKERS = 8
Pick = Callable[[GoodsFile, Submit], Awaitable[None]]


async def from_the_pool(file: GoodsFile, effect: Submit) -> None:
    """The product's own way."""
    await StockChannel(file).submit(effect, 0)


async def naive(file: GoodsFile, effect: Submit, together: asyncio.Barrier) -> None:
    """As the card shops do it: look for an unsold key, then mark it, without another look."""
    find = "SELECT id, digest, sealed FROM unit WHERE state = 'free' ORDER BY id LIMIT 1"
    row = await file.run(lambda sql, _: next(iter(sql.execute(find)), None))
    assert row is not None
    await together.wait()  # eight buyers in the same moment, which a shop has now and then
    mark = "UPDATE unit SET state = 'reserved', attempt_ref = ? WHERE id = ?"
    await file.run(lambda sql, _: sql.execute(mark, (effect.attempt_ref, row[0])).fetchall())
    await file.run(
        lambda sql, sealer: store_goods(
            sql, sealer, effect.attempt_ref, sealer.open(row[1], row[2]), is_shared=True
        )
    )


async def orders_sharing_a_key(folder: Path, pick: Pick) -> int:
    """400 orders, 8 workers with connections of their own, one pool with a key for each order."""
    files = [GoodsFile(folder) for _ in range(WORKERS)]
    await import_units(files[0], [f"KEY-{n}" for n in range(ORDERS)], "s")

    async def work(worker: int) -> None:
        for number in range(worker, ORDERS, WORKERS):
            await pick(files[worker], submit(f"att_{number}"))

    await asyncio.gather(*(work(worker) for worker in range(WORKERS)))
    vault = SealedVault(files[0])
    given = Counter([(await vault.goods(f"att_{n}"))[0] for n in range(ORDERS)])
    for file in files:
        await file.close()
    return sum(count for count in given.values() if count > 1)


async def test_400_orders_of_8_workers_share_no_key(tmp_path: Path) -> None:
    """The shops' own pick shares 395 of 400."""
    assert await orders_sharing_a_key(tmp_path, from_the_pool) == 0


async def test_naive_pick_shares_keys_in_the_same_pool(tmp_path: Path) -> None:
    """The test above can fail: a pick without compare-and-set does."""
    together = asyncio.Barrier(WORKERS)
    shared = await orders_sharing_a_key(
        tmp_path, lambda file, effect: naive(file, effect, together)
    )
    assert shared == ORDERS


async def test_more_orders_than_keys_get_a_clear_no(tmp_path: Path) -> None:
    """Ten of 30 orders find the pool empty, and nobody half of what he ordered."""
    file = GoodsFile(tmp_path)
    await import_units(file, [f"KEY-{n}" for n in range(20)], "s")
    channel = StockChannel(file)
    answers = await asyncio.gather(*(channel.submit(submit(f"att_{n}"), 0) for n in range(30)))
    outcomes = Counter(answer.code or answer.outcome for answer in answers)
    assert outcomes == {"delivered": 20, "out_of_stock": 10}
    await file.close()


async def test_what_expires_first_goes_first_and_what_has_expired_never(tmp_path: Path) -> None:
    """Among those of one day, what came first; those that never expire come last."""
    file = GoodsFile(tmp_path)
    await import_units(file, ["forever"], "s")
    await import_units(file, ["gone"], "s", Batch("old", expires_ms=1_000))
    await import_units(file, ["later"], "s", Batch("b", expires_ms=9_000))
    await import_units(file, ["soon-1", "soon-2"], "s", Batch("a", expires_ms=5_000))
    channel, vault = StockChannel(file), SealedVault(file)
    for number in range(4):
        answer = await channel.submit(submit(f"att_{number}"), 1_000)
        assert answer.outcome == "delivered"
    order = [(await vault.goods(f"att_{number}"))[0] for number in range(4)]
    assert order == ["soon-1", "soon-2", "later", "forever"]
    assert (await channel.submit(submit("att_9"), 1_000)).code == "out_of_stock"
    assert (await stock_levels(file, 1_000))["s"].expired == 1
    await file.close()


async def test_shared_key_goes_to_many_orders_and_stays_theirs(tmp_path: Path) -> None:
    """A volume licence; when its goods become unique again, it is not given as a new key."""
    file = GoodsFile(tmp_path)
    await import_units(file, ["volume"], "s")
    shared, vault = StockChannel(file, ("s",)), SealedVault(file)
    for ref in ("att_1", "att_2", "att_2"):
        answer = await shared.submit(submit(ref), 0)
        assert (answer.outcome, answer.goods_count) == ("delivered", 1)
        assert await vault.goods(ref) == ["volume"]
    assert (await shared.query(query("att_1"), 0)).outcome == "delivered"
    assert (await stock_levels(file, 1))["s"].taken == 2
    assert (await StockChannel(file).submit(submit("att_3"), 0)).code == "out_of_stock"
    await file.close()


async def test_units_are_set_aside_only_while_nobody_was_given_them(tmp_path: Path) -> None:
    """Quarantine and back, or revoked for good; a key that was shown never returns."""
    file = GoodsFile(tmp_path)
    await import_units(file, ["a", "b", "c"], "s", Batch("may"))
    channel = StockChannel(file)
    await channel.submit(submit(), 0)
    await channel.quarantine(Quarantine("q", "tko_1", "att_1", "pool"), 0)
    assert await set_aside(file, "quarantine", batch="may") == 2
    assert (await channel.submit(submit("att_2"), 0)).code == "out_of_stock"
    assert await set_aside(file, "release", sku="s") == 2
    assert await set_aside(file, "revoke", batch="june") == 0
    assert await set_aside(file, "revoke", batch="may") == 2
    assert await set_aside(file, "release", batch="may") == 0
    level = (await stock_levels(file, 0))["s"]
    assert (level.free, level.revoked, level.quarantined) == (0, 2, 1)
    await file.close()


async def test_days_left_are_what_is_free_at_the_pace_of_the_last_week(tmp_path: Path) -> None:
    """14 of 35 went in 7 days: two a day, so 21 last ten and a half days; older ones count no more."""
    file = GoodsFile(tmp_path)
    await import_units(file, [f"KEY-{n}" for n in range(40)], "s")
    channel = StockChannel(file)
    for number in range(5):
        await channel.submit(submit(f"att_old_{number}"), 0)
    now_ms = 8 * DAY_MS
    assert (await stock_levels(file, now_ms))["s"].days_left is None
    for number in range(14):
        await channel.submit(submit(f"att_{number}"), 2 * DAY_MS + number)
    level = (await stock_levels(file, now_ms))["s"]
    assert (level.free, level.taken, level.days_left) == (21, 14, 10.5)
    await file.close()


async def test_file_of_the_first_version_keeps_its_units(tmp_path: Path) -> None:
    """Ids, states and seals stay; a file of a later release is refused and left as it is."""
    file = GoodsFile(tmp_path)
    await import_units(file, ["a", "b"], "s")
    await StockChannel(file).submit(submit(), 0)
    await file.close()
    sql = apsw.Connection(str(tmp_path / "goods.db"))
    sql.execute(
        "CREATE TABLE old (id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, sku TEXT NOT NULL,"
        " sealed BLOB NOT NULL, state TEXT NOT NULL, attempt_ref TEXT);"
        " INSERT INTO old SELECT id, digest, sku, sealed, state, attempt_ref FROM unit;"
        " DROP TABLE shared_use; DROP TABLE unit; ALTER TABLE old RENAME TO unit;"
        " CREATE INDEX unit_free ON unit (sku, id) WHERE state = 'free'; PRAGMA user_version = 1"
    )
    sql.close()
    again = GoodsFile(tmp_path)
    assert (await stock_levels(again, 0))["s"] == Level(free=1, reserved=1)
    assert await SealedVault(again).goods("att_1") == ["a"]
    await again.close()
    sql = apsw.Connection(str(tmp_path / "goods.db"))
    sql.pragma("user_version", 99)
    sql.close()
    later = GoodsFile(tmp_path)
    with pytest.raises(StorageError) as refusal:
        await later.open()
    assert refusal.value.code == "newer_schema"
    await later.close()


async def test_repeated_submit_of_one_attempt_keeps_its_units(tmp_path: Path) -> None:
    """The same ref gets the same units, however often it comes."""
    file = GoodsFile(tmp_path)
    await import_units(file, ["a", "b", "c"], "s")
    channel = StockChannel(file)
    first, again = await asyncio.gather(
        channel.submit(submit(quantity=2), 0), channel.submit(submit(quantity=2), 0)
    )
    assert first == again
    assert (await stock_counts(file))["s"] == {
        "free": 1,
        "reserved": 2,
        "sold": 0,
        "quarantined": 0,
        "revoked": 0,
    }
    await file.close()


async def test_oldest_units_go_first_and_count_as_sold_when_handed_over(tmp_path: Path) -> None:
    """First in, first out; a unit that left us never counts as free again."""
    file = GoodsFile(tmp_path)
    await import_units(file, ["old", "new"], "s")
    await StockChannel(file).submit(submit(), 0)
    assert await SealedVault(file).goods("att_1") == ["old"]
    assert (await stock_counts(file))["s"]["sold"] == 1
    await file.close()


async def test_import_names_the_lines_it_skipped(tmp_path: Path) -> None:
    """Duplicates within the file, of an earlier import and of another sku are all found."""
    file = GoodsFile(tmp_path)
    await import_units(file, ["k1"], "other")
    report = await import_units(file, ["\ufeffk2\r\n", "", "k1", " k2 ", "k3", "x" * 4_097], "s")
    assert (report.imported, report.duplicates, report.empty) == (2, (3, 4), 1)
    assert report.too_long == (6,)
    assert {sku: counts["free"] for sku, counts in (await stock_counts(file)).items()} == {
        "other": 1,
        "s": 2,
    }
    await file.close()


async def test_units_of_another_sku_are_not_touched(tmp_path: Path) -> None:
    """An order without a sku gets nothing from the pool."""
    file = GoodsFile(tmp_path)
    await import_units(file, ["k1"], "other")
    channel = StockChannel(file)
    assert (await channel.submit(submit(), 0)).code == "out_of_stock"
    nameless: Submit = submit("att_2", sku="")
    assert (await channel.submit(nameless, 0)).code == "out_of_stock"
    await file.close()


async def test_attempt_that_was_not_found_can_never_take_a_unit(tmp_path: Path) -> None:
    """A submit that comes after the question would make the answer a lie: it gets nothing."""
    file = GoodsFile(tmp_path)
    await import_units(file, ["k1"], "s")
    channel = StockChannel(file)
    assert (await channel.query(query(), 0)).outcome == "not_found"
    assert (await channel.submit(submit(), 0)).outcome == "rejected"
    assert (await stock_counts(file))["s"]["free"] == 1
    await file.close()


async def test_pool_whose_key_is_missing_refuses_and_says_so(tmp_path: Path) -> None:
    """Certainly nothing was done: another channel may deliver, and we are to blame."""
    file = GoodsFile(tmp_path)
    await import_units(file, ["k1"], "s")
    await file.close()
    (tmp_path / "goods.key").unlink()
    other = GoodsFile(tmp_path)
    answer = await StockChannel(other).submit(submit(), 0)
    assert (answer.outcome, answer.code, answer.blame) == ("rejected", "not_ready", "us")
    await other.close()
