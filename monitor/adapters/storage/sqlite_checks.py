"""Checksums of rows: a byte that changed on the disk is an error, never another number.

SQLite itself would only notice what breaks its structure. A row written before there were checksums
has none and is taken as it is.
"""

from __future__ import annotations

import zlib

from monitor.adapters.storage.sqlite_errors import RESTORE_HINT
from monitor.model.errors import StorageError


def checksum(body: object, *facts: object) -> int:
    """CRC-32 of the facts beside a body, and of the body."""
    if not isinstance(body, bytes):  # SQLite hands out whatever a damaged row says it is
        body = repr(body).encode()
    return zlib.crc32(body, zlib.crc32("|".join(map(str, facts)).encode()))


def verify(what: str, found: int | None, expected: int) -> None:
    """Compare the checksum in a row with that of its content.

    Raises: StorageError (`storage_corrupt`) naming what is damaged.
    """
    if found is not None and found != expected:
        raise damaged(f"{what} is damaged: its checksum does not match")


def damaged(finding: str) -> StorageError:
    """The error for a file that does not hold what was written."""
    return StorageError(finding, code="storage_corrupt", hint=RESTORE_HINT)
