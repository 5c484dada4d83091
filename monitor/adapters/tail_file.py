"""Follows a log file line by line: through rotation by rename, truncation, and restarts.

Where reading stands is a `Place`: which file (its inode and a digest of its first bytes), how far.
After a restart the file is looked for beside its old name, so what was rotated meanwhile is read to
its end first. The rest that a program writes into a file that was moved already comes within some
reads; then the next one begins.

    name.2 ─► name.1 ─► name          the oldest that was not read first

A file that was emptied, or whose first bytes changed, begins anew. What was written and emptied again
between two reads (`copytruncate`) nobody can know: rename instead.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from monitor.model.tails import Chunk, Line, Place

CHUNK_BYTES = 256 * 1024
LINES_MAX = 500  # of one read
HEAD_BYTES = 256
SETTLED_READS = 4  # at the end of a file that was moved, before the next one begins
_ROTATED = re.compile(r"[._-]\d[\d._-]*", re.ASCII)  # compressed ones are over


class LogFile:
    """A log under a name, read from a place on; all of it blocks, so it wants a thread."""

    def __init__(self, path: Path, line_bytes_max: int) -> None:
        self.path = path
        self._line_bytes_max = line_bytes_max
        self._file: BinaryIO | None = None
        self._settled = 0

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def read(self, place: Place) -> Chunk:
        """The lines after a place; none if there is nothing new.

        Raises: OSError.
        """
        file, place = self._opened(place)
        place = _checked(file, place)
        received = os.pread(file.fileno(), CHUNK_BYTES, place.offset)
        end = received.rfind(b"\n") + 1
        if end:
            self._settled = 0
            return self._lines(received[:end], place)
        if len(received) == CHUNK_BYTES:
            passed = place.offset + CHUNK_BYTES
            return Chunk((), msgspec.structs.replace(place, offset=passed, is_within=True))
        return self._after(file, received, place)

    def _opened(self, place: Place) -> tuple[BinaryIO, Place]:
        """The file that is being read, or was before a restart; else the first there is."""
        if self._file is not None and _inode(self._file) == place.inode:
            return self._file, place
        self.close()
        for path in self._files() if place.inode else ():
            self._file = path.open("rb")
            if _inode(self._file) == place.inode and _head(self._file, place) == place.head:
                return self._file, place
            self.close()
        return self._begin(self.path, place)  # for the first time, or the one that was read is gone

    def _begin(self, path: Path, place: Place) -> tuple[BinaryIO, Place]:
        file = path.open("rb")
        self.close()
        self._file, self._settled = file, 0
        return file, Place(inode=_inode(file), number=place.number + bool(place.inode))

    def _lines(self, received: bytes, place: Place) -> Chunk:
        lines: list[Line] = []
        offset, number, is_within = place.offset, place.line, place.is_within
        for raw in received.split(b"\n")[:-1][:LINES_MAX]:
            number += 1
            is_long = is_within or len(raw) > self._line_bytes_max
            if is_long or raw.strip():
                lines.append(Line(number, f"{place.number}:{offset}", None if is_long else raw))
            offset += len(raw) + 1
            is_within = False
        after = msgspec.structs.replace(place, offset=offset, line=number, is_within=False)
        return Chunk(tuple(lines), after)

    def _after(self, file: BinaryIO, rest: bytes, place: Place) -> Chunk:
        """What comes at the end of a file: nothing, or, if it was moved, its rest and the next one."""
        following = self._following(file)
        self._settled = self._settled + 1 if following is not None else 0
        if following is None or self._settled <= SETTLED_READS:
            return Chunk((), place)
        if rest:  # nobody will end this line any more
            last = self._lines(rest + b"\n", place)
            end = place.offset + len(rest)
            return Chunk(last.lines, msgspec.structs.replace(last.place, offset=end))
        return Chunk((), self._begin(following, place)[1])

    def _following(self, file: BinaryIO) -> Path | None:
        """The file after this one; None while this one still has the name."""
        inode = _inode(file)
        files = list(self._files())
        inodes = [path.stat().st_ino for path in files]
        if inode not in inodes:  # it was deleted
            return self.path if self.path in files else None
        return next(iter(files[inodes.index(inode) + 1 :]), None)

    def _files(self) -> Iterator[Path]:
        """The file and what was rotated away from its name, the oldest first."""
        rotated = [
            (path.stat().st_mtime_ns, path)
            for path in self.path.parent.iterdir()
            if _ROTATED.fullmatch(self._between(path.name))
        ]
        yield from (path for _, path in sorted(rotated))
        if self.path.exists():
            yield self.path

    def _between(self, name: str) -> str:
        """What rotation put into a name: `shop.log.1`, `shop.log-20260105`, `shop-20260105.log`."""
        whole, stem, suffix = self.path.name, self.path.stem, self.path.suffix
        if name.startswith(whole):
            return name.removeprefix(whole)
        if suffix and name.startswith(stem) and name.endswith(suffix):
            return name.removeprefix(stem).removesuffix(suffix)
        return ""


def _checked(file: BinaryIO, place: Place) -> Place:
    """The place in a file; its beginning if the file is not what it was."""
    size = os.fstat(file.fileno()).st_size
    if size < place.offset or _head(file, place) != place.head:
        place = Place(inode=place.inode, number=place.number + 1)
    if place.head_bytes < min(HEAD_BYTES, size):
        place = msgspec.structs.replace(place, head_bytes=min(HEAD_BYTES, size))
        place = msgspec.structs.replace(place, head=_head(file, place))
    return place


def _head(file: BinaryIO, place: Place) -> str:
    """A digest of the first bytes, as many as are known: they may hold what must not be kept."""
    if not place.head_bytes:
        return ""
    first = os.pread(file.fileno(), place.head_bytes, 0)
    return hashlib.blake2b(first, digest_size=16).hexdigest()


def _inode(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_ino
