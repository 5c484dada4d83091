"""Who uses a data directory, asked without getting in anybody's way."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from monitor.adapters.storage.directory import LOCK_NAME


def owner_of(data_dir: Path) -> str | None:
    """Number of the process that holds the directory's lock, `unknown` if it did not say; else None.

    It asks with a shared lock, let go at once: one that is held exclusively is not touched.
    """
    try:
        descriptor = os.open(data_dir / LOCK_NAME, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None
