"""Backups of a service at work: one moment each, no loss behind it, nothing decided twice after it."""

from __future__ import annotations

import json
import shutil
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from monitor.adapters.goods_file import GoodsFile
from monitor.adapters.pepper import PEPPER_FILE
from monitor.adapters.storage.backup import Backup
from monitor.adapters.storage.restore import restore
from monitor.adapters.storage.shipment import generation, logs
from monitor.adapters.storage.sqlite import open_sqlite
from monitor.adapters.vault import SealedVault
from monitor.model.errors import StorageError
from monitor.model.records import Breached
from monitor.ports import Checkpoint, OutboxRow, Segment
from monitor.runtime.keyring import NOTEBOOK_NAME
from monitor.runtime.keys_file import FILE_NAME as KEYS_FILE
from tests.durability.actions import actions, fingerprint
from tests.durability.promise import keep
from tests.durability.sender import Sender, logged, lost
from tests.durability.shop_log import fill
from tests.e2e.serving import run, serve

SECRETS = ("admin.token", PEPPER_FILE, KEYS_FILE, NOTEBOOK_NAME)


async def _filled(data_dir: Path, steps: int = 12) -> None:
    await fill(data_dir, is_killed=False, steps=steps)


def _drill(folder: Path, backup: Path) -> dict[str, Any]:
    done = run(folder, "restore", str(backup), "--drill", "--config", "monitor.yaml", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


async def test_every_moment_of_a_store_at_work_is_restored_exactly(tmp_path: Path) -> None:
    """After each of many actions, whatever kind, base and shipped log lead to the same store."""
    store = await open_sqlite(tmp_path / "data")
    backup = Backup(tmp_path / "data", tmp_path / "backup")
    for number, action in enumerate(actions(3, 40, is_deleting=False)):
        await action(store)
        if number % 3:
            continue
        backup.ship()
        restore(tmp_path / "backup", tmp_path / "again")
        shutil.copytree(tmp_path / "data", tmp_path / "crash", ignore=_no_index)
        assert await _held(tmp_path / "again") == await _held(tmp_path / "crash"), number
        shutil.rmtree(tmp_path / "again")
        shutil.rmtree(tmp_path / "crash")
    await store.close()


def _no_index(_folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name.endswith("-shm")]


async def _held(data_dir: Path) -> tuple[str, ...]:
    """All that the log does not tell anew: segments, cursor, outbox; orders come of the log."""
    store = await open_sqlite(data_dir)
    try:
        segments = await store.read(0, 1 << 30)
        restart = await store.load()
        rows = [row.key for row in await store.interrupted()]
        return repr(segments), str(restart.cursor), repr(await store.depth()), repr(rows)
    finally:
        await store.close()


async def test_second_call_ships_only_what_is_new(tmp_path: Path) -> None:
    """Nothing when nothing happened, a few hundred bytes for one event."""
    await _filled(tmp_path / "data")
    backup = Backup(tmp_path / "data", tmp_path / "backup")
    assert backup.ship().is_new_base
    assert backup.ship().sent_bytes == 0
    store = await open_sqlite(tmp_path / "data")
    position = await store.append(Segment("entries", 1, 0, 0, b"{}" * 100))
    shipped = backup.ship()
    await store.close()
    assert (shipped.position, shipped.segments, shipped.is_new_base) == (position, 1, False)
    assert shipped.sent_bytes < 1_000


async def test_interrupted_copy_is_taken_up_again(tmp_path: Path) -> None:
    """Half a frame at the end is not restored, the next call writes over it."""
    await _filled(tmp_path / "data")
    Backup(tmp_path / "data", tmp_path / "backup").ship()
    store = await open_sqlite(tmp_path / "data")
    for number in range(3):
        await store.append(Segment("entries", 1, 0, number, b"{}"))
        Backup(tmp_path / "data", tmp_path / "backup").ship()
    newest = generation(tmp_path / "backup")
    assert newest is not None
    [path] = logs(newest)
    whole = restore(tmp_path / "backup", tmp_path / "whole")
    path.write_bytes(path.read_bytes()[:-5])
    fewer = restore(tmp_path / "backup", tmp_path / "fewer")
    assert (fewer.position, fewer.ignored_bytes > 0) == (whole.position - 1, True)
    assert Backup(tmp_path / "data", tmp_path / "backup").ship().segments == 1
    again = restore(tmp_path / "backup", tmp_path / "again")
    assert (again.position, again.ignored_bytes) == (whole.position, 0)
    await store.close()


async def test_another_original_begins_a_new_base_and_old_ones_go(tmp_path: Path) -> None:
    """A data directory that was restored or begun anew is not mixed with the copy of the other."""
    await _filled(tmp_path / "data")
    backup = tmp_path / "backup"
    Backup(tmp_path / "data", backup).ship()
    shutil.rmtree(tmp_path / "data")
    await _filled(tmp_path / "data", steps=3)
    assert Backup(tmp_path / "data", backup).ship().is_new_base
    Backup(tmp_path / "data", backup).ship(is_new_base=True)
    assert len(list(backup.glob("*/base.db"))) == 2
    restored = restore(backup, tmp_path / "again")
    assert restored.position == restored.base_position < 10


async def test_damaged_frame_is_not_restored_as_something_else(tmp_path: Path) -> None:
    """A flipped bit ends the copy there; a missing piece is refused."""
    await _filled(tmp_path / "data")
    Backup(tmp_path / "data", tmp_path / "backup").ship()
    store = await open_sqlite(tmp_path / "data")
    for number in range(4):
        await store.append(Segment("entries", 1, 0, number, b"{}"))
        Backup(tmp_path / "data", tmp_path / "backup").ship()
    await store.close()
    newest = generation(tmp_path / "backup")
    assert newest is not None
    [path] = logs(newest)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    restored = restore(tmp_path / "backup", tmp_path / "again")
    assert restored.ignored_bytes > 0
    (newest / "log-00000002").write_bytes(path.read_bytes()[-len(content) // 4 :])
    assert restore(tmp_path / "backup", tmp_path / "third").position == restored.position


async def test_goods_and_effects_come_with_the_backup(tmp_path: Path) -> None:
    """Sealed goods with their key, and what was to be sent at that moment."""
    store = await open_sqlite(tmp_path / "data")
    goods = GoodsFile(tmp_path / "data")
    backup = Backup(tmp_path / "data", tmp_path / "backup")
    lease = await store.acquire("loop", "me", 0, 10)
    assert lease is not None
    backup.ship()
    await SealedVault(goods).store("a", ["key"])
    for name in SECRETS:
        (tmp_path / "data" / name).write_text(name)
    await store.commit(lease, Checkpoint(cursor=0, outbox=(OutboxRow("told", "chat", b"{}", 0),)))
    backup.ship()
    restore(tmp_path / "backup", tmp_path / "again")
    for name in SECRETS:
        assert (tmp_path / "again" / name).read_text() == name
        assert (tmp_path / "again" / name).stat().st_mode & 0o777 == 0o600
    await goods.close()
    await store.close()
    copy = GoodsFile(tmp_path / "again")
    assert await SealedVault(copy).goods("a") == ["key"]
    await copy.close()
    restored = await open_sqlite(tmp_path / "again")
    assert await restored.depth() == {"chat": 1}
    assert await fingerprint(restored)
    await restored.close()


async def test_nothing_is_overwritten_and_what_is_no_backup_is_refused(tmp_path: Path) -> None:
    """Both say what to do."""
    await _filled(tmp_path / "data", steps=2)
    Backup(tmp_path / "data", tmp_path / "backup").ship()
    with pytest.raises(StorageError, match="exists already") as refusal:
        restore(tmp_path / "backup", tmp_path / "data")
    assert refusal.value.hint
    with pytest.raises(StorageError, match="is not a backup"):
        restore(tmp_path / "data", tmp_path / "again")
    with pytest.raises(StorageError, match="no database"):
        Backup(tmp_path / "nothing", tmp_path / "backup").ship()


@pytest.mark.slow
async def test_backup_of_a_service_under_load_loses_nothing_before_it(tmp_path: Path) -> None:
    """Shipped again and again while a shop posts; after kill -9 the copy starts and goes on."""
    (tmp_path / "monitor.yaml").write_text("disk_reserve_mib: 1\npromise: {default: 300ms}\n")
    backup = tmp_path / "backup"
    with serve(tmp_path, "--config", "monitor.yaml", "--data-dir", "data") as service:
        shop = Sender(service.url)
        posting = _Posting(shop)
        for _ in range(3):
            done = run(tmp_path, "backup", str(backup), "--data-dir", "data", "--json")
            assert done.returncode == 0, done.stderr
        posting.stop()
        acknowledged = list(shop.acknowledged)
        assert run(tmp_path, "backup", str(backup), "--data-dir", "data").returncode == 0
        checked = run(tmp_path, "fsck", "--config", "monitor.yaml", "--data-dir", "data")
        assert checked.returncode == 0, checked.stdout
        shop.send(100)  # after the copy
        service.signal(signal.SIGKILL)
    report = _drill(tmp_path, backup)
    assert report["ok"], report
    assert len(report["checks"]) == 7
    assert "the same as of the log" in str(report["checks"])
    done = run(tmp_path, "restore", str(backup), "--config", "monitor.yaml", "--data-dir", "again")
    assert done.returncode == 0, done.stdout
    with serve(tmp_path, "--config", "monitor.yaml", "--data-dir", "again") as service:
        assert service.stop() == 0
    log = await logged(tmp_path / "again")
    assert len(acknowledged) > 100
    keep("P28", tried=1, violations=len(lost(acknowledged, log)))
    assert lost(acknowledged, log) == []
    decided = [one.order_id for one in log if isinstance(one, Breached)]
    assert decided
    assert len(decided) == len(set(decided))


class _Posting:
    """A shop that posts beside the test, until it is stopped."""

    def __init__(self, shop: Sender) -> None:
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._post, args=(shop,))
        self._thread.start()

    def _post(self, shop: Sender) -> None:
        while not self._is_over.wait(0.01):
            shop.send(5)

    def stop(self) -> None:
        self._is_over.set()
        self._thread.join()


async def test_directory_of_a_killed_service_is_copied_and_checked_as_it_is(tmp_path: Path) -> None:
    """The write-ahead log beside the database is part of it, and stays."""
    await fill(tmp_path / "data", is_killed=True, steps=12)
    before = (tmp_path / "data" / "monitor.db-wal").read_bytes()
    assert Backup(tmp_path / "data", tmp_path / "backup").ship().is_new_base
    checked = run(tmp_path, "fsck", "--data-dir", "data")
    assert checked.returncode == 0, checked.stdout
    assert (tmp_path / "data" / "monitor.db-wal").read_bytes() == before
    restored = restore(tmp_path / "backup", tmp_path / "again")
    assert restored.position > 12
    log = await logged(tmp_path / "again")
    assert lost([f"order-{number}" for number in range(36)], log) == []
