"""Where a simulation keeps its files: in memory, where what is synced costs nothing."""

from __future__ import annotations

from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - each simulation has a folder of its own  # nosec B108


def memory_folder() -> str | None:
    """A folder in memory, or None for the usual temporary one where there is no such folder."""
    return str(SHARED_MEMORY) if SHARED_MEMORY.is_dir() else None
