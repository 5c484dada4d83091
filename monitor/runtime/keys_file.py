"""`data_dir/keys.json`: the API keys that `delivery-monitor keys` makes and revokes.

The command line changes the file while the service reads it: it is replaced as a whole, synced, so
a reader finds the old keys or the new ones, also after a power cut. Commands take turns with a lock
of their own; the service takes none.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from monitor.model.errors import ConfigError, Problem
from monitor.model.keys import KEYS_MAX, ApiKey

FILE_NAME = "keys.json"
LOCK_NAME = "keys.lock"
PRIVATE_FILE = 0o600
PRIVATE_DIRECTORY = 0o700
FILE_BYTES_MAX = 4 * 1024 * 1024

Stamp = tuple[int, int, int]
"""What a file that was replaced differs in: inode, time of change, size."""


class _File(msgspec.Struct, frozen=True):
    version: int
    keys: tuple[ApiKey, ...]


_VERSION = 1
_decoder = msgspec.json.Decoder(_File)


def read_keys(data_dir: Path) -> tuple[ApiKey, ...]:
    """Return every key, also revoked ones; none where there is no file.

    Raises: ConfigError for a file that cannot be read or understood: to go on without it would
    open what its keys close.
    """
    path = data_dir / FILE_NAME
    try:
        with path.open("rb") as file:
            raw = file.read(FILE_BYTES_MAX + 1)
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as error:
        raise _unusable(path, f"cannot be read: {error.strerror}") from error
    if len(raw) > FILE_BYTES_MAX:
        raise _unusable(path, f"is longer than {FILE_BYTES_MAX} bytes")
    try:
        found = _decoder.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise _unusable(path, "is damaged") from None
    if found.version != _VERSION:
        raise _unusable(path, f"has version {found.version}, this release knows {_VERSION}")
    return found.keys


def stamp(data_dir: Path) -> Stamp | None:
    """Return what tells one file from the next; None where there is none."""
    try:
        status = (data_dir / FILE_NAME).stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def change_keys(
    data_dir: Path, change: Callable[[tuple[ApiKey, ...]], tuple[ApiKey, ...]]
) -> tuple[ApiKey, ...]:
    """Replace the keys by what `change` makes of them; returns them once they are synced.

    Over the limit the keys that were revoked first give way. Raises: ConfigError, OSError, and
    whatever `change` raises; then nothing has changed.
    """
    data_dir.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    with _turn(data_dir):
        keys = _bounded(data_dir, change(read_keys(data_dir)))
        _replace(data_dir, msgspec.json.format(msgspec.json.encode(_File(_VERSION, keys))))
    return keys


def _bounded(data_dir: Path, keys: tuple[ApiKey, ...]) -> tuple[ApiKey, ...]:
    excess = len(keys) - KEYS_MAX
    if excess <= 0:
        return keys
    gone = sorted((key.revoked_ms, key.key_id) for key in keys if key.revoked_ms is not None)
    if len(gone) < excess:
        problem = f"holds {KEYS_MAX} keys that are not revoked"
        raise _unusable(data_dir / FILE_NAME, problem, "revoke some: delivery-monitor keys list")
    names = {name for _, name in gone[:excess]}
    return tuple(key for key in keys if key.key_id not in names)


@contextmanager
def _turn(data_dir: Path) -> Iterator[None]:
    descriptor = os.open(data_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
    try:
        _give_away(descriptor, data_dir)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(data_dir: Path, body: bytes) -> None:
    draft = data_dir / f".{FILE_NAME}.{os.getpid()}"
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(body + b"\n")
            file.flush()
            _give_away(descriptor, data_dir)
            os.fsync(file.fileno())
        draft.replace(data_dir / FILE_NAME)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _give_away(descriptor: int, data_dir: Path) -> None:
    """Let the owner of the directory own what root writes there: the service may not be root."""
    folder = data_dir.stat()
    if os.getuid() == 0 and folder.st_uid != 0:
        os.fchown(descriptor, folder.st_uid, folder.st_gid)


def _unusable(path: Path, what: str, hint: str = "restore it from a backup") -> ConfigError:
    return ConfigError([Problem(str(path), 1, 1, what, hint)])
