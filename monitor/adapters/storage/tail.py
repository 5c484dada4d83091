"""The end of the log: was anything lost there that had been acknowledged?

SQLite takes the first damaged page of its write-ahead log for the end of it, because that is what a
power cut leaves. Two things tell damage from a power cut:

* A transaction is synced before the next one begins. So behind the first damaged page there may be
  the rest of one transaction, never a second one that follows it.
* A mark outside the database names the newest position that was acknowledged, and how many times it
  was decided or an effect was sent. It is written after the sync and never synced itself: it survives
  the process, and after a power cut it may be old, but is never ahead of what is on the disk.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
import zlib
from array import array
from itertools import pairwise
from pathlib import Path

import apsw

from monitor.adapters.storage.directory import PRIVATE_FILE
from monitor.adapters.storage.sqlite_checks import damaged
from monitor.adapters.storage.sqlite_log import head

MARK_NAME = "monitor.mark"
MARKED_SCHEMA = 3  # an older database has no mark beside it
MARK_BYTES = 64
_HEADER, _FRAME = 32, 24
_PAGES = [1 << power for power in range(9, 17)]
_BIG_ENDIAN = 1  # lowest bit of the magic number


class Mark:
    """What was acknowledged last; setting it is a copy in memory, without a system call."""

    def __init__(self, folder: Path) -> None:
        descriptor = os.open(folder / MARK_NAME, os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
        try:
            # Allocated, not only long: a page of a hole cannot be written on a full disk.
            os.posix_fallocate(descriptor, 0, MARK_BYTES)
            self._page = mmap.mmap(descriptor, MARK_BYTES)
        finally:
            os.close(descriptor)

    def set(self, position: int, commits: int) -> None:
        """Name a position of the log, and a number of commits, that are on the disk."""
        self._page[:MARK_BYTES] = _text(position, commits)

    def close(self) -> None:
        """Let go of the file; it stays."""
        self._page.close()


def marked(folder: Path) -> tuple[int, int]:
    """Position and commits of the mark; zeros when there is none, or it is not readable."""
    try:
        content = (folder / MARK_NAME).read_bytes()
    except FileNotFoundError:
        return 0, 0
    position, commits = content[:20], content[21:41]
    if not (position.isdigit() and commits.isdigit()):
        return 0, 0
    found = int(position), int(commits)
    return found if content == _text(*found) else (0, 0)


def _text(position: int, commits: int) -> bytes:
    text = f"{position:020d} {commits:020d} ".encode()
    return (text + f"{zlib.crc32(text):08x}".encode()).ljust(MARK_BYTES, b"\n")


def check_tail(connection: apsw.Connection, path: Path) -> None:
    """Refuse a database that lost something acknowledged at its end.

    Raises: StorageError (`storage_corrupt`).
    """
    wal = path.with_name(path.name + "-wal")
    if hidden := unread_commits(connection, wal):
        raise damaged(f"{wal} is damaged: {hidden} later commits cannot be read")
    known = connection.pragma("user_version") >= MARKED_SCHEMA
    newest = head(connection) if known else 0
    commits = connection.execute("SELECT commits FROM meta").get if known else 0
    position_marked, commits_marked = marked(path.parent)
    if newest < position_marked:
        raise damaged(f"{path} ends at log position {newest}, acknowledged was {position_marked}")
    if commits < commits_marked:
        raise damaged(f"{path} holds {commits} commits, {commits_marked} were acknowledged")


def unread_commits(connection: apsw.Connection, wal: Path) -> int:
    """How many commits of the write-ahead log are whole, and hidden behind a damaged page."""
    read_frames, _ = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)
    if not wal.exists():
        return 0
    with wal.open("rb") as file:
        header = file.read(_HEADER)
        if len(header) < _HEADER:
            return 0
        magic, _, page_bytes, _, *salts = struct.unpack(">6I", header[:24])
        is_big = bool(magic & _BIG_ENDIAN)
        # A header that is not whole: the power went when a log that had been moved into the
        # database was begun anew. Were it damage, the mark would tell.
        if page_bytes not in _PAGES or header[24:] != _checksum((0, 0), header[:24], is_big=is_big):
            return 0
        size = _FRAME + page_bytes
        file.seek(_HEADER + read_frames * size)
        frames = list(iter(lambda: file.read(size), b""))  # the rest, some 4 MB
    hidden = 0
    was_whole = (
        False  # a header is torn like anything else: a commit has to follow what is before it
    )
    for before, frame in pairwise(frames):
        if len(frame) < size:
            break
        commits, *found = struct.unpack(">4xIII", before[:16])
        # What an earlier round through the log left is of no interest: most of it, behind a big one.
        is_current = frame[8:16] == header[16:24]
        is_whole = is_current and _follows(before, frame, is_big=is_big)
        if commits and found == salts and was_whole and is_whole:
            hidden += 1
        was_whole = is_whole
    return hidden


def _follows(before: bytes, frame: bytes, *, is_big: bool) -> bool:
    """Whether a frame is whole and was written right behind the other one."""
    start = struct.unpack(">II", before[16:24])
    content = frame[:8] + frame[_FRAME:]
    return frame[8:16] == before[8:16] and frame[16:24] == _checksum(start, content, is_big=is_big)


def _checksum(start: tuple[int, ...], content: bytes, *, is_big: bool) -> bytes:
    """SQLite's sum over a write-ahead log. Source: sqlite.org/fileformat2.html#walformat."""
    words = array("I", content)
    if is_big != (sys.byteorder == "big"):
        words.byteswap()
    first, second = start
    for index in range(0, len(words), 2):
        first = (first + words[index] + second) & 0xFFFFFFFF
        second = (second + words[index + 1] + first) & 0xFFFFFFFF
    return struct.pack(">II", first, second)
