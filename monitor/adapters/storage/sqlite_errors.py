"""What SQLite's errors mean for the operator: each becomes a StorageError that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from monitor.model.errors import StorageError

RESTORE_HINT = (
    "stop the monitor, move the whole data directory away, unpack a backup in its place, start, "
    "and check the disk (docs/operations.md, Backup and restore)"
)


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn every error of SQLite inside the block into a StorageError about that file."""
    try:
        yield
    except apsw.FullError as error:
        raise full(path, f"no space left for {path}: {error}") from error
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise corrupt(path, str(error)) from error
    except (apsw.CantOpenError, apsw.ReadOnlyError, apsw.PermissionsError) as error:
        raise StorageError(
            f"cannot open {path} for writing: {error}",
            hint=f"let this user read and write {path} and the folder it is in",
        ) from error
    except (apsw.IOError, OSError) as error:
        raise StorageError(
            f"the disk failed under {path}: {error}",
            code="storage_io",
            hint="check the disk and the kernel log; nothing of the request was kept",
        ) from error
    except apsw.Error as error:
        raise StorageError(f"{path} refused: {type(error).__name__}: {error}") from error


def full(path: Path, what: str) -> StorageError:
    """The error for a disk without space."""
    hint = f"free disk space in {path.parent}; writing goes on by itself afterwards"
    return StorageError(what, code="storage_full", hint=hint)


def corrupt(path: Path, finding: str) -> StorageError:
    """The error for a database, or a row in it, that does not hold what was written."""
    return StorageError(f"{path} is damaged: {finding}", code="storage_corrupt", hint=RESTORE_HINT)
