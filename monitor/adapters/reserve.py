"""The disk reserve: space held by a file of its own, given up when the disk is full.

On a full disk SQLite cannot even delete or move its log, and no decision could be written. So the
file is deleted then: alerts, outcomes and retention go on in the space it frees, while new events are
refused. When there is space for it and more, it is held again and events are taken.

    held ──less than an eighth of it free, or a write found no space──► short
      ▲                                                                   │
      └───────────── its size and an eighth more are free ────────────────┘
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

PRIVATE_FILE = 0o600
RESERVE_NAME = "reserve"
RESERVE_BYTES = 32 * 1024 * 1024
# The hysteresis, and the warning before there is nothing at all, as a part of the reserve.
PART = 8


def free_bytes_of(folder: Path) -> int:
    """What is free on the disk of a folder; raises OSError."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


class Reserve:
    """One per data directory; used by the writer's thread, `is_short` is read by any."""

    def __init__(
        self,
        folder: Path,
        size_bytes: int = RESERVE_BYTES,
        *,
        free_bytes: Callable[[Path], int] = free_bytes_of,
    ) -> None:
        self._path = folder / RESERVE_NAME
        self._size_bytes = size_bytes
        self._free_bytes = free_bytes
        self.is_short = False  # no new events are taken

    @property
    def shortage(self) -> str | None:
        """What is said to those who are refused; None when there is space."""
        if not self.is_short:
            return None
        needed_mib = (self._size_bytes + self._size_bytes // PART) / (1 << 20)
        return f"no space left in {self._path.parent}: {needed_mib:.1f} MiB have to be free"

    def settle(self) -> bool:
        """Hold or give up the space as the disk has room; whether it is held afterwards.

        Raises: OSError when the folder cannot be looked at.
        """
        if not self._size_bytes:
            self._path.unlink(missing_ok=True)
            return False
        free_bytes = self._free_bytes(self._path.parent)
        part = self._size_bytes // PART
        if self._is_held():
            self.is_short = free_bytes < part
            if self.is_short:
                self.give_up()
        elif free_bytes >= self._size_bytes + part:
            self.is_short = not self._hold()
        else:
            self.is_short = True
        return not self.is_short

    def give_up(self) -> None:
        """Free the space; a second call does nothing."""
        if self._size_bytes:
            self.is_short = True
            with suppress(OSError):  # a folder that cannot be written has other trouble
                self._path.unlink(missing_ok=True)

    def _is_held(self) -> bool:
        try:
            return self._path.stat().st_size == self._size_bytes
        except FileNotFoundError:
            return False

    def _hold(self) -> bool:
        """Allocate the file; False if the space went meanwhile."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
        try:
            os.ftruncate(descriptor, 0)  # of another size, when the setting changed
            os.posix_fallocate(descriptor, 0, self._size_bytes)
        except OSError:
            self._path.unlink(missing_ok=True)
            return False
        finally:
            os.close(descriptor)
        return True
