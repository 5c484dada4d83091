"""What a disk may hold after the power was cut: synced bytes for certain, of the rest any sectors.

A write that was not synced yet may be there whole, in part, or not at all, whatever was written after
it; a sector may hold its old half and its new half; a part of a file that was never written, although
the file is longer, reads as zeros or as rubbish.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from tests.durability.recording_vfs import Acknowledged, Cut, Deleted, Mark, Synced, Wrote

SECTOR = 512
KEPT = (0.0, 0.1, 0.5, 0.9, 1.0)  # how much of what was not synced is there
TORN = 0.05


class Image(msgspec.Struct, frozen=True):
    """Files after a cut, what was acknowledged before it, and how to get this image again."""

    files: dict[str, bytes]
    acknowledged: int
    mark: int
    number: int

    def write_to(self, folder: Path) -> None:
        """Put the files into a new folder."""
        folder.mkdir(mode=0o700)
        for name, content in self.files.items():
            (folder / name).write_bytes(content)


class Disk:
    """Bytes that are safe, and what was said since, file by file."""

    def __init__(self) -> None:
        self._safe: dict[str, bytes] = {}
        self._unsynced: dict[str, list[Mark]] = {}

    def take(self, mark: Wrote | Cut | Synced | Deleted) -> None:
        """Hear of a change, or of a sync that makes the changes of a file safe."""
        if not isinstance(mark, Synced):
            self._unsynced.setdefault(mark.file, []).append(mark)
            return
        content: bytearray | None = bytearray(self._safe.get(mark.file, b""))
        for one in self._unsynced.pop(mark.file, []):
            content = _applied(content, one)
        self._safe.pop(mark.file, None)
        if content is not None:
            self._safe[mark.file] = bytes(content)

    def files_after_a_cut(self, chance: random.Random) -> dict[str, bytes]:
        """One of the many possible contents."""
        files = dict(self._safe)
        for name, marks in self._unsynced.items():
            content: bytearray | None = bytearray(self._safe.get(name, b""))
            share = chance.choice(KEPT)
            for mark in marks:
                content = _perhaps(content, mark, share, chance)
            files.pop(name, None)
            if content is not None:
                files[name] = bytes(content)
        return files


def images(marks: list[Mark], count: int, seed: int) -> Iterator[Image]:
    """At least `count` images, as many before every sync, and as many at the end."""
    cuts = 1 + sum(isinstance(mark, Synced) for mark in marks)
    each = -(-count // cuts)
    disk, acknowledged, number = Disk(), 0, 0
    for place, mark in enumerate([*marks, Synced("")]):
        if isinstance(mark, Synced):
            for _ in range(each):
                chance = random.Random(f"{seed} {number}")
                yield Image(disk.files_after_a_cut(chance), acknowledged, place, number)
                number += 1
        if isinstance(mark, Acknowledged):
            acknowledged = mark.actions
        else:
            disk.take(mark)


def _applied(content: bytearray | None, mark: Mark) -> bytearray | None:
    if isinstance(mark, Deleted):
        return None
    content = bytearray() if content is None else content
    if isinstance(mark, Cut):
        del content[mark.size :]
        content.extend(bytes(mark.size - len(content)))
    elif isinstance(mark, Wrote):
        _put(content, mark.offset, mark.content, bytes)
    return content


def _perhaps(
    content: bytearray | None, mark: Mark, share: float, chance: random.Random
) -> bytearray | None:
    if not isinstance(mark, Wrote):
        return _applied(content, mark) if chance.random() < share else content
    content = bytearray() if content is None else content
    fill = chance.choice((bytes, chance.randbytes))
    # Sectors lie at multiples of 512 of the file, wherever the write begins.
    start = mark.offset
    while start < mark.offset + len(mark.content):
        end = min((start // SECTOR + 1) * SECTOR, mark.offset + len(mark.content))
        if chance.random() < share:
            piece = mark.content[start - mark.offset : end - mark.offset]
            if share < 1.0 and chance.random() < TORN:
                half = len(piece) // 2
                piece, start = (piece[:half], start) if chance.random() < 0.5 else (
                    piece[half:], start + half)  # fmt: skip
            _put(content, start, piece, fill)
        start = end
    return content


def _put(content: bytearray, offset: int, piece: bytes, fill: Callable[[int], bytes]) -> None:
    if offset > len(content):
        content.extend(fill(offset - len(content)))
    content[offset : offset + len(piece)] = piece
