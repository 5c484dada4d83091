"""Recorded events as they stand in files: NDJSON, a JSON array, or one JSON object.

Every line is decoded as the service would, but no clock takes part: the same file gives the same
events next year. What cannot be taken is kept with its place, and the rest goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import msgspec

from monitor.api.decode_event import decode_text, decode_wire
from monitor.api.decode_quick import Sender, build, is_clean_text, read_lines
from monitor.api.decode_types import DecodeContext, Notes
from monitor.cli.files import STDIN, shown, unreadable
from monitor.model.errors import InputError
from monitor.model.events import OrderEvent
from monitor.model.ids import DEFAULT_SOURCE
from monitor.model.settings import SourceSettings

LINE_BYTES_MAX = 1 << 20
ARRAY_BYTES_MAX = 1 << 30
REJECTED_KEPT_MAX = 1_000  # beyond that they are only counted
PROGRESS_EVERY = 50_000
TOGETHER = 200  # lines decoded at once; an odd one costs the speed of as many
# Arrival time of everything: so late that no time of the file is ahead of it.
END_OF_TIME_MS = 253_402_300_799_000  # 9999-12-31T23:59:59Z

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SPACE = b" \t\r\n"
_raw_list = msgspec.json.Decoder(list[msgspec.Raw])


class RejectedLine(msgspec.Struct, frozen=True):
    """One line that is no event; `line` counts from 1 and is where the event starts."""

    file: str
    line: int
    code: str
    detail: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.detail}"


class Recording(msgspec.Struct, frozen=True):
    """What was read. `rejected` counts all lines that were not taken, `lines` names the first."""

    events: list[OrderEvent]
    rejected: int
    lines: list[RejectedLine]
    warnings: tuple[str, ...]


def read_recording(names: Sequence[str], sources: Sequence[SourceSettings]) -> Recording:
    """Read the files; `-` is standard input. Raises: InputError when a file cannot be read."""
    if list(names).count(STDIN) > 1:
        raise InputError("standard input can only be read once", hint="name - once")
    context = DecodeContext(
        received_ms=END_OF_TIME_MS,
        default_source=DEFAULT_SOURCE,
        sources=_by_name(sources),
    )
    notes, progress = Notes(), _Progress()
    events: list[OrderEvent] = []
    lines: list[RejectedLine] = []
    rejected = 0
    for name in names:
        texts = _texts(name)
        while some := list(islice(texts, TOGETHER)):
            progress.step(len(some))
            found = _decoded_together([text for _, text in some], context, notes)
            for (number, _), taken in zip(some, found, strict=True):
                if isinstance(taken, OrderEvent):
                    events.append(taken)
                    continue
                rejected += 1
                if len(lines) < REJECTED_KEPT_MAX:
                    lines.append(RejectedLine(shown(name), number, taken.code, _detail(taken)))
    progress.end()
    return Recording(events, rejected, lines, notes.warnings())


def _by_name(sources: Sequence[SourceSettings]) -> Mapping[str, SourceSettings]:
    return {source.name: source for source in sources}


def _decoded_together(
    texts: Sequence[bytes], context: DecodeContext, notes: Notes
) -> list[OrderEvent | InputError]:
    """Decode some lines: all at once while they are of one ordinary shape, else each alone."""
    body = b"\n".join(texts)
    wires = read_lines(body)
    if wires is None or len(wires) != len(texts):
        return [_decoded(partial(decode_text, text, context, notes)) for text in texts]
    sender = Sender(context, is_clean=is_clean_text(body))
    careful = partial(decode_wire, context=context, notes=notes, is_clean=sender.is_clean)
    return [build(wire, sender) or _decoded(partial(careful, wire)) for wire in wires]


def _decoded(decode: Callable[[], OrderEvent]) -> OrderEvent | InputError:
    try:
        event = decode()
    except InputError as error:
        return error
    if event.is_inferred:
        return InputError(
            "no time with a zone: a recording cannot tell when it happened", code="no_time"
        )
    return event


def _detail(error: InputError) -> str:
    return f"{error} ({error.pointer})" if error.pointer else str(error)


def _texts(name: str) -> Iterator[tuple[int, bytes]]:
    """Yield the text of every event with the number of its first line."""
    try:
        with _opened(name) as file:
            yield from _split(name, file)
    except (OSError, ValueError) as error:
        raise unreadable(name, error) from error


def _opened(name: str) -> AbstractContextManager[BinaryIO]:
    if name == STDIN:
        return nullcontext(sys.stdin.buffer)
    return Path(name).open("rb")


def _split(name: str, file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    number = 0
    is_first = True
    while line := file.readline(LINE_BYTES_MAX + 1):
        number += 1
        text = line.removeprefix(_BYTE_ORDER_MARK).strip(_SPACE)
        if not text:
            continue
        if is_first and text.startswith(b"["):
            yield from _array(name, line + _rest(name, file), number)
            return
        if is_first and text == b"{":  # one object, printed over many lines
            yield number, line + _rest(name, file)
            return
        is_first = False
        yield number, text
        while len(line) > LINE_BYTES_MAX and not line.endswith(b"\n"):
            line = file.readline(LINE_BYTES_MAX + 1)  # the rest of a line that is refused anyway


def _rest(name: str, file: BinaryIO) -> bytes:
    rest = file.read(ARRAY_BYTES_MAX + 1)
    if len(rest) > ARRAY_BYTES_MAX:
        hint = "write one event per line instead of an array"
        raise InputError(f"{shown(name)} is longer than {ARRAY_BYTES_MAX >> 20} MiB", hint=hint)
    return rest


def _array(name: str, body: bytes, first_line: int) -> Iterator[tuple[int, bytes]]:
    """Yield the items of an array; what stands between two items is blank or a comma."""
    body = body.removeprefix(_BYTE_ORDER_MARK)
    items: list[msgspec.Raw] | None = None
    reason = "it is nested too deeply"
    try:
        items = _raw_list.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        reason = str(error)
    except RecursionError:
        items = None
    if items is None:
        raise InputError(
            f"{shown(name)}:{first_line} is not a complete JSON array: {reason}",
            hint="write one event per line, then one bad line does not spoil the rest",
        )
    number, end = first_line, 0
    for item in items:
        text = bytes(item)
        start = body.index(text, end)
        number += body.count(b"\n", end, start)
        yield number, text
        number += text.count(b"\n")
        end = start + len(text)


class _Progress:
    """Says on a terminal how far reading has come; silent everywhere else."""

    def __init__(self) -> None:
        self._is_shown = sys.stderr.isatty()
        self._has_written = False
        self._count = 0

    def step(self, count: int) -> None:
        self._count += count
        if self._is_shown and self._count % PROGRESS_EVERY < count:
            print(f"\rread {self._count:,} events", end="", file=sys.stderr, flush=True)
            self._has_written = True

    def end(self) -> None:
        if self._has_written:
            print(file=sys.stderr, flush=True)
