"""Reading what a user names: every way it can fail is one line that says what to do."""

from __future__ import annotations

import sys
from pathlib import Path

from monitor.model.errors import InputError

STDIN = "-"


def read_bytes(name: str, bytes_max: int) -> bytes:
    """Read a whole file, or standard input for `-`; at most `bytes_max` bytes.

    Raises: InputError when it cannot be read or is longer.
    """
    try:
        if name == STDIN:
            raw = sys.stdin.buffer.read(bytes_max + 1)
        else:
            with Path(name).open("rb") as file:
                raw = file.read(bytes_max + 1)
    except (OSError, ValueError) as error:
        raise unreadable(name, error) from error
    if len(raw) > bytes_max:
        raise InputError(
            f"{shown(name)} is longer than {bytes_max // 1024} KiB", hint="split it and try again"
        )
    return raw


def read_text(name: str, bytes_max: int) -> str:
    """Read a UTF-8 text, with or without byte order mark, as `read_bytes` does."""
    raw = read_bytes(name, bytes_max)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{shown(name)}:{line} is not UTF-8", hint="save the file as UTF-8"
        ) from error


def shown(name: str) -> str:
    """Name a file the way messages do."""
    return "standard input" if name == STDIN else name


def unreadable(name: str, error: OSError | ValueError) -> InputError:
    """Say why a file cannot be read."""
    reason = (error.strerror if isinstance(error, OSError) else None) or "not a path"
    return InputError(
        f"{shown(name)} cannot be read: {reason}", hint="check the path and permissions"
    )
