"""The local pool: imported once, reserved once, never shown in a file."""

import asyncio
from pathlib import Path

from monitor.adapters.channels.stock import StockChannel, import_units, stock_counts
from monitor.adapters.goods_file import GoodsFile
from monitor.adapters.vault import SealedVault
from monitor.model.effects import Submit
from tests.contracts.test_channels import query, submit

ORDERS = 400


async def test_400_concurrent_orders_share_no_key(tmp_path: Path) -> None:
    """Two connections, 400 orders, 390 keys: 390 get one of their own, ten get a clear no."""
    one, two = GoodsFile(tmp_path), GoodsFile(tmp_path)
    await import_units(one, [f"KEY-{n}" for n in range(390)], "s")
    channels = (StockChannel(one), StockChannel(two))
    answers = await asyncio.gather(
        *(channels[n % 2].submit(submit(f"att_{n}"), 0) for n in range(ORDERS))
    )
    outcomes = [answer.outcome for answer in answers]
    assert (outcomes.count("delivered"), outcomes.count("rejected")) == (390, 10)
    vault = SealedVault(one)
    given = [
        (await vault.goods(answer.attempt_ref))[0]
        for answer in answers
        if answer.outcome == "delivered"
    ]
    assert sorted(given) == sorted(f"KEY-{n}" for n in range(390))
    await one.close()
    await two.close()


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
