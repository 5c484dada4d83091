"""A disk without space: refused with a reason, read on, decided on, and taken up again by itself."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from monitor.adapters.goods_file import GoodsFile
from monitor.adapters.storage.sqlite import open_sqlite
from monitor.adapters.storage.sqlite_store import SqliteStore
from monitor.adapters.vault import SealedVault
from monitor.model.errors import StorageError
from monitor.model.records import Breached
from monitor.ports import Segment
from tests.durability.promise import keep
from tests.durability.sender import Sender, logged, lost
from tests.durability.small_disk import mounted
from tests.e2e.serving import serve

DISK_MIB, RESERVE_MIB = 24, 4
RESERVE = RESERVE_MIB << 20
CONFIG = f"disk_reserve_mib: {RESERVE_MIB}\npromise: {{default: 1500ms}}\n"
REFUSED_WITHIN_S, TAKEN_WITHIN_S = 1.0, 5.0


@pytest.mark.slow
async def test_full_disk_refuses_reads_on_and_recovers_by_itself(tmp_path: Path) -> None:
    """503 with the reason within a second, pages and decisions go on, 202 within 5 s of space."""
    (tmp_path / "monitor.yaml").write_text(CONFIG)
    with mounted(tmp_path / "disk", DISK_MIB) as disk:
        data_dir = disk.folder / "data"
        with serve(tmp_path, "--config", "monitor.yaml", "--data-dir", str(data_dir)) as service:
            shop = Sender(service.url)
            for _ in range(20):
                assert shop.send(10).status == 202
            disk.fill()
            filled_ms = time.time_ns() // 1_000_000
            shop.send_until(503, REFUSED_WITHIN_S * 20, count=100)  # until the log has to grow
            refusal = shop.refusals[-1]
            assert "space" in refusal.text
            assert refusal.seconds < REFUSED_WITHIN_S
            _assert_reads(shop)
            _until_decided(shop)
            assert shop.send().status == 503  # what was freed is not for new events
            disk.free()
            shop.send_until(202, TAKEN_WITHIN_S)
            assert (data_dir / "reserve").stat().st_size == RESERVE
            assert service.stop() == 0
        log = await logged(data_dir)
    keep("P11", tried=1, violations=len(lost(shop.acknowledged, log)))
    assert lost(shop.acknowledged, log) == []
    assert any(isinstance(one, Breached) and one.decided_ms > filled_ms for one in log)


def _assert_reads(shop: Sender) -> None:
    for path in ("/", "/v1/orders/o1", "/v1/orders?state=open", "/metrics", "/livez"):
        assert shop.ask("GET", path).status == 200, path
    assert shop.ask("GET", "/readyz").status == 503


def _until_decided(shop: Sender) -> None:
    """Orders that were paid before become late, and that is written."""
    until_s = time.monotonic() + 10
    while '"late' not in shop.ask("GET", "/v1/orders/o199").text:
        assert time.monotonic() < until_s
        time.sleep(0.05)


async def test_store_on_full_disk_keeps_what_it_took_and_goes_on(tmp_path: Path) -> None:
    """Nothing of a refused event is kept, clean-up works while nothing is free, then all goes on."""
    with mounted(tmp_path / "disk", 12) as disk:
        store = await open_sqlite(disk.folder / "data", reserve_bytes=1 << 20)
        for number in range(20):
            await store.append(Segment("entries", 1, number, number, bytes(20_000)))
        disk.fill()
        with pytest.raises(StorageError) as refusal:
            await _append_until_refused(store, bytes(20_000))
        assert refusal.value.code == "storage_full"
        kept = len(await store.read(0, 100_000_000))
        assert await store.trim(10, kept) == 10
        assert (await store.health())["disk_reserve"] == "given up"
        disk.free()
        assert (await store.health())["disk_reserve"] == "held"
        assert await store.append(Segment("entries", 1, 0, 0, b"after")) == kept + 1
        await store.close()
        store = await open_sqlite(disk.folder / "data")
        assert len(await store.read(0, 100_000_000)) == kept - 10 + 1
        await store.close()


async def _append_until_refused(store: SqliteStore, body: bytes) -> None:
    for number in range(20, 400):
        await store.append(Segment("entries", 1, number, number, body))


async def test_goods_that_were_bought_are_kept_on_a_full_disk(tmp_path: Path) -> None:
    """A key that was paid for takes the space that was held back."""
    with mounted(tmp_path / "disk", 12) as disk:
        store = await open_sqlite(disk.folder / "data", reserve_bytes=1 << 20)
        goods = GoodsFile(disk.folder / "data")
        vault = SealedVault(goods)
        await vault.store("before", ["key"])
        disk.fill()
        bought = [f"key-{number}" * 50 for number in range(100)]
        await vault.store("after", bought)
        assert await vault.goods("after") == bought
        assert (await store.health())["disk_reserve"] == "given up"
        assert store.write_trouble is not None
        await goods.close()
        await store.close()


async def test_service_starts_on_a_full_disk(tmp_path: Path) -> None:
    """What was held back by the process before gives it the room to open what it left behind."""
    with mounted(tmp_path / "disk", 12) as disk:
        store = await open_sqlite(disk.folder / "data", reserve_bytes=1 << 20)
        await store.append(Segment("entries", 1, 0, 0, b"before"))
        await store.close()
        disk.fill()
        store = await open_sqlite(disk.folder / "data", reserve_bytes=1 << 20)
        assert [one.segment.body for one in await store.read(0)] == [b"before"]
        with pytest.raises(StorageError, match="no space left"):
            await store.append(Segment("entries", 1, 0, 0, b"x"))
        await store.close()
