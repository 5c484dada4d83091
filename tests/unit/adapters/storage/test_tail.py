"""The end of the log: damage is told from what a power cut leaves."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from monitor.adapters.storage.sqlite import open_sqlite
from monitor.adapters.storage.sqlite_schema import connect_writer
from monitor.adapters.storage.tail import Mark, marked, unread_commits
from monitor.ports import Segment

HEADER, FRAME = 32, 24 + 4_096
Change = Callable[[bytearray], None]


@pytest.fixture
async def killed(tmp_path: Path) -> Path:
    """A directory with five small commits and a large one, all in the write-ahead log."""
    store = await open_sqlite(tmp_path / "at-work")
    for _ in range(5):
        await store.append(Segment("entries", 1, 0, 0, b"x"))
    await store.append(Segment("entries", 1, 0, 0, bytes(60_000)))
    shutil.copytree(tmp_path / "at-work", tmp_path / "killed", ignore=lambda _, names: [
        name for name in names if name.endswith("-shm")
    ])  # fmt: skip
    await store.close()
    return tmp_path / "killed"


def _hidden(data_dir: Path, change: Change) -> int:
    wal = data_dir / "monitor.db-wal"
    content = bytearray(wal.read_bytes())
    change(content)
    wal.write_bytes(content)
    with closing(connect_writer(data_dir / "monitor.db")) as connection:
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        return unread_commits(connection, wal)


def _commits(content: bytearray) -> list[int]:
    """Where the frames begin that end a transaction."""
    starts = range(HEADER, len(content), FRAME)
    return [start for start in starts if struct.unpack_from(">I", content, start + 4)[0]]


def test_whole_log_hides_nothing(killed: Path) -> None:
    """As a kill leaves it."""
    assert _hidden(killed, lambda content: None) == 0


def test_commits_behind_a_changed_byte_are_counted(killed: Path) -> None:
    """The five small ones end behind the byte; the last one has nothing after it to prove it."""

    def change(content: bytearray) -> None:
        content[_commits(content)[-6] - 1_000] ^= 1

    assert _hidden(killed, change) == 5


def test_last_transaction_that_is_torn_is_what_a_power_cut_leaves(killed: Path) -> None:
    """Its first frame is not there, and a frame in its middle has an old header's commit field."""

    def change(content: bytearray) -> None:
        first = _commits(content)[-2] + FRAME
        content[first + 500] ^= 1
        struct.pack_into(">II", content, first + 4 * FRAME, 27, 27)

    assert _hidden(killed, change) == 0


def test_log_begun_anew_whose_header_is_torn_is_no_damage(killed: Path) -> None:
    """All of it had been moved into the database before."""

    def change(content: bytearray) -> None:
        content[20] ^= 1

    assert _hidden(killed, change) == 0


def test_mark_that_is_not_readable_says_nothing(tmp_path: Path) -> None:
    """Half of it, or a changed digit, is no position."""
    assert marked(tmp_path) == (0, 0)
    mark = Mark(tmp_path)
    mark.set(7, 3)
    mark.close()
    assert marked(tmp_path) == (7, 3)
    path = tmp_path / "monitor.mark"
    content = path.read_bytes()
    path.write_bytes(content.replace(b"7", b"8", 1))
    assert marked(tmp_path) == (0, 0)
    path.write_bytes(content[:30])
    assert marked(tmp_path) == (0, 0)
