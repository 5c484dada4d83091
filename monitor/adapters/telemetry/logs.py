"""Log lines: a constant event name and fields, as JSON for machines or one readable line for people.

`log.info("listening", extra=fields(host=host, port=port))`. Standard library only: what other
libraries log comes out in the same form. A `Secret` prints itself as `***` wherever it is nested.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Any, TextIO

import msgspec

from monitor.model.times import format_rfc3339, to_datetime

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
OURS = "monitor"
TEXT_LEN_MAX = 2_000  # of one value; outside strings end up here

# Parts below the adapters write `extra={"fields": …}` themselves.
_ATTRIBUTE = "fields"
_RESERVED = ("time", "level", "logger", "event", "exception")
# C0, DEL, C1 and the line separators: a value must not start a line or drive the terminal.
_CONTROLS = {
    code: ascii(chr(code))[1:-1] for code in (*range(32), *range(127, 160), 0x2028, 0x2029)
}


def fields(**values: object) -> dict[str, Any]:
    """Wrap fields for `extra=`; any names, they cannot collide with those of `logging`."""
    return {_ATTRIBUTE: values}


def configure(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send all logs to a stream (stderr), ours from `level` on, other libraries' from WARNING on.

    JSON lines unless the stream is a terminal. Calling it again replaces the earlier set-up.
    Raises: ValueError for an unknown level.
    """
    if level.upper() not in LEVELS:
        raise ValueError(f"unknown log level {level!r}; one of {', '.join(LEVELS)}")
    target = sys.stderr if stream is None else stream
    handler = _Handler(target)
    handler.setFormatter(ReadableFormatter() if target.isatty() else JsonFormatter())
    root = logging.getLogger()
    for old in [one for one in root.handlers if isinstance(one, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger(OURS).setLevel(level.upper())


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, logger, event, then the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Write the record; a field named like one of ours gets a trailing underscore."""
        line: dict[str, Any] = {
            "time": format_rfc3339(_unix_ms(record)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": _cut(record.getMessage()),
        }
        for name, value in _fields(record).items():
            line[f"{name}_" if name in _RESERVED else name] = _cut(value)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        try:
            return msgspec.json.encode(line, enc_hook=str).decode()
        except (TypeError, ValueError):
            # Lone surrogates, or keys that are no strings; the standard library escapes them.
            return json.dumps(line, default=str, skipkeys=True)


class ReadableFormatter(logging.Formatter):
    """`12:00:01 INFO    runtime: listening host=127.0.0.1 port=8080`, in local time."""

    def format(self, record: logging.LogRecord) -> str:
        """Write the record on one line, control characters escaped; a traceback follows below."""
        moment = to_datetime(_unix_ms(record)).astimezone()
        words = [
            f"{moment:%H:%M:%S} {record.levelname:<7}",
            f"{record.name.removeprefix(OURS + '.')}:",
            _printable(_cut(record.getMessage())),
            *(f"{name}={_quoted(_cut(value))}" for name, value in _fields(record).items()),
        ]
        line = " ".join(words)
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class _Handler(logging.StreamHandler[TextIO]):
    """Ours, so that `configure` can find it again."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - name of the base class
        """Lose the line: nobody reads a closed pipe, and a traceback on it helps nobody."""


def _unix_ms(record: logging.LogRecord) -> int:
    return int(record.created * 1000)


def _fields(record: logging.LogRecord) -> dict[str, object]:
    found = getattr(record, _ATTRIBUTE, None)
    return found if isinstance(found, dict) else {}


def _cut(value: Any) -> Any:
    if isinstance(value, str) and len(value) > TEXT_LEN_MAX:
        return value[:TEXT_LEN_MAX] + "…"
    return value


def _printable(value: object) -> str:
    return str(value).translate(_CONTROLS)


def _quoted(value: object) -> str:
    text = _printable(value)
    return f'"{text}"' if not text or " " in text else text
