"""The format of a backup directory, and its files of shipped log.

    DIR/<position>/base.db          everything up to that log position, a database of its own
    DIR/<position>/log-<number>     what came after it, in the order of the commits
    DIR/<position>/goods.db …       sealed goods, callbacks, keys, the administrator's token, the pepper
    DIR/current                     the name of the newest folder that is complete

A log file is a row of frames: length, CRC-32, MessagePack. Frames are only ever added, so a copy that
was interrupted ends with half a frame, which is ignored. A `Point` says: up to here the copy is one
moment of the original. What stands behind the last one is not restored.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from monitor.adapters.storage.directory import PRIVATE_FILE, sync_directory

BASE, CURRENT, LOG = "base.db", "current", "log-"
FILE_BYTES = 8 * 1024 * 1024  # then the next one is begun; a finished file never changes
_HEAD = struct.Struct(">II")


class Segmented(msgspec.Struct, frozen=True, tag="s", array_like=True):
    """One segment of the log, as its row has it."""

    position: int
    crc32: int
    kind: str
    count: int
    first_ms: int
    last_ms: int
    body: bytes


class Point(msgspec.Struct, frozen=True, tag="p", array_like=True):
    """One moment: position and cursor of the log, and what is kept beside it.

    `outbox` is None when it is as it was; `added` are new rows of tables that only grow.
    """

    position: int
    cursor: int
    commits: int
    session: int
    outbox: list[list[Any]] | None
    added: dict[str, list[list[Any]]]


Frame: TypeAlias = Segmented | Point

_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[Frame] = msgspec.msgpack.Decoder(Frame)


def encoded(frame: Frame) -> bytes:
    """A frame as it stands in a file."""
    body = _ENCODER.encode(frame)
    return _HEAD.pack(len(body), zlib.crc32(body)) + body


def frames(path: Path) -> Iterator[tuple[Frame, int]]:
    """Frames of a log file, each with the offset behind it, up to the first that is not whole."""
    with path.open("rb") as file:
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            length, crc32 = _HEAD.unpack(head)
            body = file.read(length)
            if len(body) < length or zlib.crc32(body) != crc32:
                return
            yield _DECODER.decode(body), file.tell()


def logs(folder: Path) -> list[Path]:
    """Log files of a generation, oldest first."""
    return sorted(folder.glob(f"{LOG}*"))


def generation(backup: Path) -> Path | None:
    """The newest complete folder; None before the first backup."""
    try:
        name = (backup / CURRENT).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    return backup / name


def write_whole(path: Path, content: bytes) -> None:
    """Write a small file so that it is there whole or not at all, also after a power cut."""
    draft = path.with_name(f".{path.name}.draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_directory(path.parent)


class LogFile:
    """Adds frames to the newest log file of a generation; durable when `add` returns."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.point: Point | None = None  # the last one that is there
        self.places: dict[str, int] = {}  # newest row of each table that only grows
        for path in logs(folder):
            self._read(path)

    def add(self, batch: Sequence[Frame]) -> int:
        """Append frames, which count from the next point on; returns how many bytes."""
        content = b"".join(encoded(frame) for frame in batch)
        path = self._path()
        is_new = not path.exists()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE_FILE)
        with os.fdopen(descriptor, "ab") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            sync_directory(self._folder)
        for frame in batch:
            if isinstance(frame, Point):
                self._note(frame)
        return len(content)

    def _path(self) -> Path:
        known = logs(self._folder)
        if known and known[-1].stat().st_size < FILE_BYTES:
            return known[-1]
        return self._folder / f"{LOG}{len(known) + 1:08d}"

    def _read(self, path: Path) -> None:
        """Find the last point; what an interrupted copy left behind it is cut off."""
        end = 0
        for frame, offset in frames(path):
            if isinstance(frame, Point):
                self._note(frame)
                end = offset
        if path.stat().st_size != end and path == logs(self._folder)[-1]:
            os.truncate(path, end)

    def _note(self, point: Point) -> None:
        self.point = point
        for table, rows in point.added.items():
            if rows:
                self.places[table] = int(rows[-1][0])
