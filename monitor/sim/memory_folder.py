"""Where a simulation keeps its files: in memory, where what is synced costs nothing."""

from __future__ import annotations

from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  # nosec B108 - every simulation makes a folder of its own in it


def memory_folder() -> str | None:
    """A folder in memory, or None for the usual temporary one where there is no such folder."""
    return str(SHARED_MEMORY) if SHARED_MEMORY.is_dir() else None
