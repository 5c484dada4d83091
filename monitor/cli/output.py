"""How verbs speak: lines for people, JSON for programs, one line for an error."""

from __future__ import annotations

import json
import sys
from typing import Any

import msgspec

from monitor.model.errors import ConfigError, MonitorError


def say(line: str) -> None:
    """Print one line to standard output at once."""
    print(line, flush=True)  # noqa: T201 - this is what a command line tool does


def warn(line: str) -> None:
    """Print one line to standard error at once."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - as above


def say_json(value: Any) -> None:
    """Print one JSON value on one line; structs are taken as they are."""
    say(json.dumps(msgspec.to_builtins(value), ensure_ascii=False))


def fail(error: MonitorError, *, as_json: bool, code: int) -> int:
    """Print an error the way it was asked for and return the exit code."""
    if as_json:
        body: dict[str, Any] = {"error": error.code, "message": str(error), "hint": error.hint}
        if isinstance(error, ConfigError):
            body["problems"] = [msgspec.to_builtins(problem) for problem in error.problems]
        say_json(body)
    elif isinstance(error, ConfigError):
        for problem in error.problems:
            warn(str(problem))
    else:
        warn(f"error: {error}; {error.hint}" if error.hint else f"error: {error}")
    return code


def table(rows: list[list[str]], header: list[str]) -> None:
    """Print aligned columns; nothing but the header when there are no rows."""
    widths = [max(len(row[index]) for row in [header, *rows]) for index in range(len(header))]
    for row in [header, *rows]:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        say("  ".join(cells).rstrip())
