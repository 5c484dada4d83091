"""`data_dir/mark-<source>.json`: up to where a shop was read that is asked by us.

Not in the monitor's database: a mark is not worth a migration and a commit. It names the place in
the log behind its events: a database that was restored, or begun anew, is not so far, and its marks
are lost. So is one of another shop, and a file that cannot be read: the first look at a shop brings
its last day.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from monitor.adapters.storage.directory import PRIVATE_FILE
from monitor.model.ids import digest

log = logging.getLogger("monitor.marks")

FILE_BYTES_MAX = 8 << 20


class _Kept(msgspec.Struct, frozen=True):
    """A mark, a name of what it is a place in, and how far the log was when it was kept."""

    place: str = ""
    mark: str = ""
    log_place: int = 0


class MarkFile:
    """The mark of one source; `place`: whatever the mark is worthless without, such as a URL.

    `log_place`: how far the log is now.
    """

    def __init__(
        self, data_dir: Path, log_place: Callable[[], int], source: str, *place: str
    ) -> None:
        self._log_place = log_place
        self._path = data_dir / f"mark-{source}.json"
        self._place = digest(*place).hex()
        self._mark: str | None = None

    async def read(self) -> str:
        """See PollMark."""
        if self._mark is None:
            kept = await asyncio.to_thread(self._load)
            is_ours = kept.place == self._place and kept.log_place <= self._log_place()
            self._mark = kept.mark if is_ours else ""
        return self._mark

    async def write(self, mark: str) -> None:
        """See PollMark."""
        self._mark = mark
        kept = _Kept(self._place, mark, self._log_place())
        await asyncio.to_thread(self._save, msgspec.json.encode(kept))

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
