"""A SQLite VFS that does what `unix` does and writes down every change of every file.

The tape is what a disk was told, in order. `power_cut.py` makes of it what a disk may hold after the
power went: everything that was synced, and any part of the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import apsw
import msgspec

BASE = "unix"


class Wrote(msgspec.Struct, frozen=True):
    """Bytes given to a file; not on the disk for certain before a sync."""

    file: str
    offset: int
    content: bytes


class Cut(msgspec.Struct, frozen=True):
    """A file made shorter (or longer)."""

    file: str
    size: int


class Synced(msgspec.Struct, frozen=True):
    """Everything said about a file before is on the disk."""

    file: str


class Deleted(msgspec.Struct, frozen=True):
    """A file unlinked; it may be back as long as the folder is not synced (`Synced` of that name)."""

    file: str


class Acknowledged(msgspec.Struct, frozen=True):
    """Somebody was told that so many actions are safe."""

    actions: int


Mark: TypeAlias = Wrote | Cut | Synced | Deleted | Acknowledged


class Tape:
    """Marks in order; appended to by the threads of the store, read after they ended."""

    def __init__(self) -> None:
        self.marks: list[Mark] = []

    def acknowledge(self, actions: int) -> None:
        """Note that the first so many actions were acknowledged."""
        self.marks.append(Acknowledged(actions))


class _File(apsw.VFSFile):
    def __init__(self, name: str | apsw.URIFilename | None, flags: list[int], tape: Tape) -> None:
        super().__init__(BASE, name, flags)
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._name = Path(path or "").name
        self._tape = tape

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - the name of apsw
        super().xWrite(data, offset)
        self._tape.marks.append(Wrote(self._name, offset, bytes(data)))

    def xTruncate(self, size: int) -> None:  # noqa: N802 - the name of apsw
        super().xTruncate(size)
        self._tape.marks.append(Cut(self._name, size))

    def xSync(self, flags: int) -> None:  # noqa: N802 - the name of apsw
        super().xSync(flags)
        self._tape.marks.append(Synced(self._name))


class _Recorder(apsw.VFS):
    def __init__(self, name: str, tape: Tape) -> None:
        self._tape = tape
        super().__init__(name, BASE, makedefault=True)

    def xOpen(  # noqa: N802 - the name of apsw
        self, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> apsw.VFSFile:
        return _File(name, flags, self._tape)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802 - the name of apsw
        super().xDelete(filename, syncdir)
        self._tape.marks.append(Deleted(Path(filename).name))
        if syncdir:
            self._tape.marks.append(Synced(Path(filename).name))


@contextmanager
def recording() -> Iterator[Tape]:
    """Record every database opened inside the block; it has to be closed inside, too."""
    tape = Tape()
    vfs = _Recorder("recording", tape)
    try:
        yield tape
    finally:
        vfs.unregister()
