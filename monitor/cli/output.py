"""How verbs speak: lines for people, JSON for programs, one line for an error."""

from __future__ import annotations

import json
import sys
import unicodedata
from typing import Any

import msgspec

from monitor.model.errors import ConfigError, MonitorError, Problem

_WIDE = ("W", "F")  # two columns of a terminal: Chinese, Japanese, Korean, most emoji


def say(line: str) -> None:
    """Print one line to standard output at once."""
    print(line, flush=True)


def warn(line: str) -> None:
    """Print one line to standard error at once."""
    print(line, file=sys.stderr, flush=True)


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
            warn(line_of(problem))
    else:
        text = " ".join(str(error).split())
        warn(f"error: {text}; {error.hint}" if error.hint else f"error: {text}")
    return code


def line_of(problem: Problem) -> str:
    """A problem as one line; one of an option or a variable has no line and column to show."""
    if problem.path.startswith("--") or problem.path.startswith("DELIVERY_MONITOR_"):
        text = f"error: {problem.path}: {problem.message}"
        return f"{text}; {problem.hint}" if problem.hint else text
    return str(problem)


def table(rows: list[list[str]], header: list[str]) -> None:
    """Print aligned columns; nothing but the header when there are no rows."""
    lines = [header, *rows]
    widths = [max(_width(row[index]) for row in lines) for index in range(len(header))]
    for row in lines:
        cells = (
            cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)
        )
        say("  ".join(cells).rstrip())


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in _WIDE else 1 for letter in text)
