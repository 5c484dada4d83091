"""Opening the embedded store: whose directory it is, which files are refused, what is reported."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from monitor.adapters.storage.durations import RING_LEN, Durations
from monitor.adapters.storage.sqlite import open_sqlite
from monitor.adapters.storage.sqlite_schema import (
    MIGRATIONS,
    connect_writer,
    refuse_old_sqlite,
    upgrade,
)
from monitor.adapters.storage.sqlite_store import SqliteStore
from monitor.model.errors import FencedError, StorageError
from monitor.ports import Checkpoint, Segment

ROOT = Path(__file__).resolve().parents[4]
OPEN_IN_CHILD = """
import asyncio, sys
from pathlib import Path
from monitor.adapters.storage.sqlite import open_sqlite
from monitor.model.errors import MonitorError
try:
    asyncio.run(open_sqlite(Path(sys.argv[1])))
    print("opened")
except MonitorError as error:
    print(error.code, "|", error, "|", error.hint)
"""
# Says each position once it is acknowledged, and goes on until it is killed.
APPEND_IN_CHILD = """
import asyncio, sys
from pathlib import Path
from monitor.adapters.storage.sqlite import open_sqlite
from monitor.ports import Segment
async def main():
    store = await open_sqlite(Path(sys.argv[1]))
    while True:
        body = sys.argv[2].encode() * 200
        position = await store.append(Segment("entries", 1, 0, 0, body))
        print(position, flush=True)
asyncio.run(main())
"""


def child(script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def database(data_dir: Path) -> apsw.Connection:
    """A connection of the test's own, to look at or to damage a closed database."""
    return apsw.Connection(str(data_dir / "monitor.db"))


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "shop" / "data"


@pytest.fixture
async def store(data_dir: Path) -> AsyncIterator[SqliteStore]:
    store = await open_sqlite(data_dir)
    yield store
    await store.close()


async def test_new_directory_and_files_are_private(store: SqliteStore, data_dir: Path) -> None:
    """Nobody else reads orders: 0700 for the directory, 0600 for every file in it."""
    await store.append(Segment("entries", 1, 0, 0, b"x"))
    assert data_dir.stat().st_mode & 0o777 == 0o700
    modes = {path.name: path.stat().st_mode & 0o777 for path in data_dir.iterdir()}
    names = ["lock", "monitor.db", "monitor.db-shm", "monitor.db-wal", "monitor.mark"]
    assert modes == dict.fromkeys(names, 0o600)


async def test_second_process_is_refused_until_the_first_ends(data_dir: Path) -> None:
    """The message names the process that owns the directory, the hint says what to do."""
    store = await open_sqlite(data_dir)
    output, _ = child(OPEN_IN_CHILD, str(data_dir)).communicate(timeout=60)
    assert output.startswith("fenced | ")
    assert f"in use by process {os.getpid()}" in output
    assert "stop the other delivery-monitor" in output
    await store.close()
    output, _ = child(OPEN_IN_CHILD, str(data_dir)).communicate(timeout=60)
    assert output == "opened\n"


async def test_second_store_in_the_same_process_is_refused(
    store: SqliteStore, data_dir: Path
) -> None:
    """The lock belongs to the store, not to the process."""
    with pytest.raises(FencedError):
        await open_sqlite(data_dir)
    await store.append(Segment("entries", 1, 0, 0, b"still mine"))


async def test_killed_process_loses_nothing_it_acknowledged(data_dir: Path) -> None:
    """Three times kill -9 while appending: every position that was said is there, and grows."""
    acknowledged: dict[int, bytes] = {}
    for letter in "abc":
        appending = child(APPEND_IN_CHILD, str(data_dir), letter)
        assert appending.stdout is not None
        lines = [appending.stdout.readline() for _ in range(40)]
        appending.kill()
        lines += appending.stdout.readlines()
        appending.stdout.close()
        appending.wait(timeout=60)
        said = [int(line) for line in lines if line.endswith("\n")]
        assert len(said) >= 40
        assert min(said) > max(acknowledged, default=0)
        acknowledged |= dict.fromkeys(said, letter.encode() * 200)
    store = await open_sqlite(data_dir)
    stored = {each.position: each.segment.body for each in await store.read(0)}
    assert acknowledged.items() <= stored.items()
    assert len(stored) <= len(acknowledged) + 3  # at most one was cut off before it was said
    await store.close()


async def test_newer_schema_is_refused_and_left_alone(data_dir: Path) -> None:
    """The release that wrote it is needed; the lock is given back."""
    await (await open_sqlite(data_dir)).close()
    with database(data_dir) as connection:
        connection.pragma("user_version", len(MIGRATIONS) + 1)
    for _ in range(2):
        with pytest.raises(StorageError, match=rf"schema {len(MIGRATIONS) + 1}") as refusal:
            await open_sqlite(data_dir)
        assert not isinstance(refusal.value, FencedError)
    assert database(data_dir).pragma("user_version") == len(MIGRATIONS) + 1


async def test_database_of_another_program_is_refused(data_dir: Path) -> None:
    """Its tables are not touched."""
    data_dir.mkdir(parents=True)
    database(data_dir).execute("CREATE TABLE theirs (x)")
    with pytest.raises(StorageError, match="another program"):
        await open_sqlite(data_dir)
    names = [row[0] for row in database(data_dir).execute("SELECT name FROM sqlite_schema")]
    assert names == ["theirs"]


async def test_file_that_is_no_database_is_refused_with_a_way_out(data_dir: Path) -> None:
    """Rubbish instead of a database."""
    data_dir.mkdir(parents=True)
    (data_dir / "monitor.db").write_bytes(b"rubbish " * 1_000)
    with pytest.raises(StorageError, match="damaged") as refusal:
        await open_sqlite(data_dir)
    assert refusal.value.code == "storage_corrupt"
    assert "docs/operations.md, Backup and restore" in refusal.value.hint
    page = Path(__file__).resolve().parents[4] / "docs/operations.md"
    assert "\n## Backup and restore\n" in page.read_text(encoding="utf-8")


async def test_damaged_page_is_found_at_open(data_dir: Path) -> None:
    """A page in the middle of the file was overwritten."""
    store = await open_sqlite(data_dir)
    for _ in range(100):
        await store.append(Segment("entries", 1, 0, 0, b"x" * 1_000))
    await store.close()
    path = data_dir / "monitor.db"
    whole = path.read_bytes()
    middle = whole.index(b"x" * 1_000) // 4_096 * 4_096
    path.write_bytes(whole[:middle] + b"\xff" * 4_096 + whole[middle + 4_096 :])
    with pytest.raises(StorageError) as refusal:
        await open_sqlite(data_dir)
    assert refusal.value.code == "storage_corrupt"


@pytest.mark.parametrize("change", ["body = x'00'", "last_ms = 7", "kind = 'decisions'"])
async def test_changed_segment_is_reported_by_its_position(data_dir: Path, change: str) -> None:
    """The checksum covers all of a segment; those before it can still be read."""
    store = await open_sqlite(data_dir)
    for number in range(3):
        await store.append(Segment("entries", 1, 0, number, b"body"))
    database(data_dir).execute(f"UPDATE segments SET {change} WHERE position = 2")
    with pytest.raises(StorageError, match="position 2 is damaged") as refusal:
        await store.read(0)
    assert refusal.value.code == "storage_corrupt"
    assert len(await store.read(0, max_bytes=4)) == 1
    assert len(await store.read(2)) == 1
    await store.close()


async def test_changed_snapshot_is_reported(data_dir: Path) -> None:
    """A snapshot that is not what was written is not started from."""
    store = await open_sqlite(data_dir)
    lease = await store.acquire("core", "me", 0, 10)
    assert lease is not None
    await store.commit(lease, Checkpoint(cursor=6, snapshot=b"state"))
    database(data_dir).execute("UPDATE snapshots SET body = x'00'")
    with pytest.raises(StorageError, match="position 6 is damaged"):
        await store.load()
    await store.close()


async def test_unusable_directory_is_a_storage_error(tmp_path: Path) -> None:
    """A file where the directory should be."""
    (tmp_path / "data").write_text("a file", encoding="utf-8")
    with pytest.raises(StorageError, match="cannot be used"):
        await open_sqlite(tmp_path / "data")


def test_upgrade_keeps_a_copy_and_moves_on_step_by_step(data_dir: Path) -> None:
    """The copy has the old schema and the rows; a new database needs none."""
    data_dir.mkdir(parents=True)
    path = data_dir / "monitor.db"
    database(data_dir).close()
    connection = apsw.Connection(str(path))
    assert upgrade(connection, path, ("CREATE TABLE t (a); INSERT INTO t VALUES (1)",)) == 1
    assert [each.name for each in data_dir.glob("*.v*")] == []
    longer = (*[""], "ALTER TABLE t ADD COLUMN b DEFAULT 2", "ALTER TABLE t ADD COLUMN c DEFAULT 3")
    assert upgrade(connection, path, longer) == 3
    assert connection.execute("SELECT * FROM t").get == (1, 2, 3)
    assert upgrade(connection, path, longer) == 3
    copy = apsw.Connection(str(data_dir / "monitor.db.v1"))
    assert copy.execute("SELECT * FROM t").get == 1
    assert copy.pragma("user_version") == 1
    assert (data_dir / "monitor.db.v1").stat().st_mode & 0o777 == 0o600
    assert sorted(each.name for each in data_dir.iterdir()) == ["monitor.db", "monitor.db.v1"]


def test_failed_step_leaves_the_schema_before_it(data_dir: Path) -> None:
    """The first step is kept, of the second one nothing; the next start tries it again."""
    data_dir.mkdir(parents=True)
    path = data_dir / "monitor.db"
    connection = apsw.Connection(str(path))
    broken = ("CREATE TABLE t (a)", "CREATE TABLE u (a); CREATE TABLE t (a)")
    for _ in range(2):
        with pytest.raises(apsw.SQLError):
            upgrade(connection, path, broken)
        assert connection.pragma("user_version") == 1
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema")]
        assert names == ["t"]
    assert upgrade(connection, path, (broken[0], "CREATE TABLE u (a)")) == 2


@pytest.mark.parametrize(
    ("version", "is_refused"),
    [("3.40.1", True), ("3.51.2", True), ("3.51.3", False), ("3.54.1", False), ("4.0.0", False)],
)
def test_sqlite_with_the_wal_reset_bug_is_refused(version: str, is_refused: bool) -> None:
    """3.51.3 is the first good one."""
    if not is_refused:
        refuse_old_sqlite(version)
        return
    with pytest.raises(StorageError, match=version):
        refuse_old_sqlite(version)


def test_writer_syncs_every_commit_and_keeps_temporary_files_off_the_disk(tmp_path: Path) -> None:
    """WAL, synchronous=FULL (2), checkpoint after 1,000 pages, temp_store memory (2)."""
    path = tmp_path / "monitor.db"
    path.touch()
    connection = connect_writer(path)
    names = ("journal_mode", "synchronous", "wal_autocheckpoint", "temp_store")
    assert [connection.pragma(name) for name in names] == ["wal", 2, 1_000, 2]
    connection.close()


async def test_health_reports_the_facts_of_file_disk_and_commits(
    store: SqliteStore, data_dir: Path
) -> None:
    """What `/readyz?verbose` and `doctor` show."""
    for _ in range(5):
        await store.append(Segment("entries", 1, 0, 0, b"x"))
    health = await store.health()
    assert health["sqlite_version"] == apsw.sqlitelibversion()
    assert health["journal_mode"] == "wal"
    assert int(health["file_bytes"]) == (data_dir / "monitor.db").stat().st_size
    assert int(health["wal_bytes"]) == (data_dir / "monitor.db-wal").stat().st_size
    assert int(health["free_disk_bytes"]) > 0
    assert health["commits"] == "5"
    assert 0 < float(health["commit_p50_ms"]) <= float(health["commit_p99_ms"])
    assert len(store.commit_seconds.recent()) == store.commit_seconds.count == 5
    assert 0 < float(health["fsync_p50_ms"]) <= float(health["fsync_p99_ms"])
    assert 0 < store.sync_seconds.sum_s < store.commit_seconds.sum_s


async def test_empty_claim_costs_no_commit(store: SqliteStore) -> None:
    """Asking for work again and again does not touch the disk."""
    assert await store.claim(10**12, 100, 100) == []
    assert store.commit_seconds.count == 0


def test_durations_keep_the_last_1024_and_count_all() -> None:
    """Nearest-rank quantiles by hand: of 1…4 the median is 2, p99 is 4."""
    durations = Durations()
    assert durations.quantile(0.5) is None
    for seconds in (4.0, 1.0, 3.0, 2.0):
        durations.record(seconds)
    assert (durations.quantile(0.5), durations.quantile(0.99)) == (2.0, 4.0)
    for _ in range(RING_LEN - 1):
        durations.record(9.0)
    assert durations.recent() == [2.0] + [9.0] * (RING_LEN - 1)
    assert (durations.count, durations.sum_s) == (RING_LEN + 3, 10.0 + 9.0 * (RING_LEN - 1))
