"""The data directory: made private, and owned by one process at a time through a file lock."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from monitor.model.errors import FencedError, StorageError

DATABASE_NAME = "monitor.db"
LOCK_NAME = "lock"
PRIVATE_DIRECTORY = 0o700
PRIVATE_FILE = 0o600


class DirectoryLock:
    """An exclusive `flock` on `<data_dir>/lock`; the kernel drops it when the process dies.

    A lock of the kernel instead of a file with a pid: after kill -9 nothing has to be cleaned up.
    """

    def __init__(self, data_dir: Path) -> None:
        self._descriptor: int | None = _locked(data_dir)

    def release(self) -> None:
        """Let another process in; a second call does nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def make_private(data_dir: Path) -> None:
    """Create the directory (0700) and an empty database file (0600) where they are missing.

    Raises: StorageError when the directory cannot be used.
    """
    try:
        data_dir.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
        # SQLite gives the -wal and -shm files the mode of the database file.
        os.close(os.open(data_dir / DATABASE_NAME, os.O_RDWR | os.O_CREAT, PRIVATE_FILE))
        # Their names have to survive a power cut as much as what is in them.
        sync_directory(data_dir)
        sync_directory(data_dir.parent)
    except OSError as error:
        raise _unusable(data_dir, error) from error


def sync_directory(folder: Path) -> None:
    """Make the names in a folder durable; raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _locked(data_dir: Path) -> int:
    path = data_dir / LOCK_NAME
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
    except OSError as error:
        raise _unusable(data_dir, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise FencedError(
            f"data directory {data_dir} is in use by process {owner}",
            hint="stop the other delivery-monitor, or give this one its own data_dir",
        ) from error
    except OSError as error:
        os.close(descriptor)
        raise _unusable(data_dir, error) from error
    # The number only serves the message above: a full disk must not keep us from starting.
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
    return descriptor


def _unusable(data_dir: Path, error: OSError) -> StorageError:
    return StorageError(
        f"data directory {data_dir} cannot be used: {error.strerror}",
        hint="let this user read and write data_dir on a local disk, or name another one",
    )
