"""`stock(sku)` in a running service: real key pool, real storage, and no key in what is written."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from monitor.adapters.goods_file import GoodsFile
from monitor.adapters.stock_pool import import_units
from monitor.api.service import StreamEvent
from monitor.app import Monitor
from monitor.config.rules_file import load_rules
from monitor.model.errors import GoodsKeyError
from monitor.model.records import StockCounted
from monitor.model.settings import ChannelSettings
from tests.unit.app_world import loaded, ready, written

RULES = """
groups:
  - name: pool
    rules:
      - {alert: PoolLow, expr: "stock(card-10) < 5", severity: warning}
      - {alert: UnknownLow, expr: "stock(card-99) < 5", severity: warning}
      - {alert: EmptyLow, expr: "stock(card-20) < 5", severity: warning}
"""
KEYS = [f"SECRETKEY-{number:04d}" for number in range(11)]


async def test_rule_about_stock_fires_and_no_key_is_written(tmp_path: Path) -> None:
    """Four keys of card-10 are fewer than five, seven of card-20 are not; card-99 is no data."""
    (tmp_path / "pool.yaml").write_text(RULES, encoding="utf-8")
    rules = load_rules([tmp_path / "pool.yaml"])
    goods = GoodsFile(tmp_path)
    await import_units(goods, KEYS[:4], "card-10")
    await import_units(goods, KEYS[4:], "card-20")
    await goods.close()
    monitor = Monitor(loaded(tmp_path), rules)
    fired, told = asyncio.Event(), []

    def listen(event: StreamEvent) -> None:
        if event.kind == "alert" and msgspec.json.decode(event.body)["alert"]["state"] == "firing":
            told.append(msgspec.json.decode(event.body)["alert"]["rule"])
            fired.set()

    monitor.subscribe(listen, lambda: False)
    await monitor.start()
    try:
        await ready(monitor)
        async with asyncio.timeout(20):
            await fired.wait()
        assert monitor.engine.shard.tallies.stock == {"card-10": 4, "card-20": 7}
    finally:
        await monitor.stop()
    assert told == ["PoolLow"]
    records, _ = await written(tmp_path)
    (counted,) = [one for one in records if isinstance(one, StockCounted)]
    assert counted.counts == {"card-10": 4, "card-20": 7}
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(b"SECRETKEY" in path.read_bytes() for path in files)


async def test_looking_for_a_pool_makes_no_key_file(tmp_path: Path) -> None:
    """A shop without keys of its own gets neither file by being watched."""
    monitor = Monitor(loaded(tmp_path), load_rules([]))
    await monitor.start()
    try:
        await ready(monitor)
        await monitor._inlets._stock.take()  # a look, now
    finally:
        await monitor.stop()
    assert not (tmp_path / "goods.db").exists()
    assert not (tmp_path / "goods.key").exists()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda key: key.chmod(0o644), "open to others"),
        (lambda key: key.write_text("00" * 32), "is not the key of"),
        (lambda key: key.unlink(), "holds sealed goods and"),
    ],
    ids=["permissions", "wrong", "lost"],
)
async def test_start_is_refused_while_the_key_is_not_right(
    tmp_path: Path, spoil: Callable[[Path], object], said: str
) -> None:
    """The service ends with what is wrong with which file, and overwrites nothing."""
    goods = GoodsFile(tmp_path)
    await import_units(goods, KEYS, "card-10")
    await goods.close()
    spoil(tmp_path / "goods.key")
    before = {path.name: path.read_bytes() for path in tmp_path.glob("goods.*")}
    config = loaded(tmp_path)
    pool = (*config.settings.channels, ChannelSettings("pool", "stock"))
    config = msgspec.structs.replace(
        config, settings=msgspec.structs.replace(config.settings, channels=pool)
    )
    monitor = Monitor(config, load_rules([]))
    await monitor.start()
    try:
        async with asyncio.timeout(20):
            await monitor.supervisor.failed.wait()
        assert not monitor.is_ready
        assert isinstance(monitor.supervisor.failure, GoodsKeyError)
        assert said in str(monitor.supervisor.failure)
    finally:
        await monitor.stop()
    assert {path.name: path.read_bytes() for path in tmp_path.glob("goods.*")} == before
