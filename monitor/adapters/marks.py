"""`data_dir/mark-<source>.json`: up to where a shop was read that is asked by us.

Not in the monitor's database: a mark is not worth a migration, and a copy of the database must not
come with a newer mark than its events. A file that cannot be read is a mark that is lost: the first
look at a shop brings its last day. So does one that belongs to another database.
"""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import suppress
from pathlib import Path

import msgspec

from monitor.adapters.storage.directory import PRIVATE_FILE
from monitor.model.ids import digest

log = logging.getLogger("monitor.marks")

FILE_BYTES_MAX = 8 << 20


class _Kept(msgspec.Struct, frozen=True):
    """A mark, and a name of what it is a place in."""

    place: str = ""
    mark: str = ""


class MarkFile:
    """The mark of one source; `place`: whatever the mark is worthless without, such as a URL."""

    def __init__(self, data_dir: Path, source: str, *place: str) -> None:
        self._path = data_dir / f"mark-{source}.json"
        self._place = digest(*place).hex()
        self._mark: str | None = None

    async def read(self) -> str:
        """See PollMark."""
        if self._mark is None:
            kept = await asyncio.to_thread(self._load)
            self._mark = kept.mark if kept.place == self._place else ""
        return self._mark

    async def write(self, mark: str) -> None:
        """See PollMark."""
        self._mark = mark
        await asyncio.to_thread(self._save, msgspec.json.encode(_Kept(self._place, mark)))

    def _load(self) -> _Kept:
        with suppress(OSError, msgspec.DecodeError), self._path.open("rb") as file:
            return msgspec.json.decode(file.read(FILE_BYTES_MAX), type=_Kept)
        return _Kept()

    def _save(self, raw: bytes) -> None:
        """Replace the file as a whole; a start finds the old mark or the new one."""
        made = self._path.with_suffix(".new")
        try:
            descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE)
            with os.fdopen(descriptor, "wb") as file:
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            made.replace(self._path)
        except OSError as error:
            log.warning("mark_not_kept", extra={"fields": {"error": str(error.strerror)}})
