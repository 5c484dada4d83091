"""What is followed of a shop's log: which file, how its lines are read, and how far they were."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

JSON_BYTES_MAX = 64 * 1024  # of one line
PATTERN_BYTES_MAX = 1024  # of one line that a pattern is tried on


class TailField(msgspec.Struct, frozen=True):
    """One field of an event: a constant, or what stands at `path` of a line, translated by `values`.

    A value that is not listed is `default`, or leaves the field out.
    """

    name: str
    path: tuple[str, ...] = ()
    values: dict[str, str] = {}
    default: str | None = None
    constant: str | None = None


class TailSource(msgspec.Struct, frozen=True):
    """A log of a source. Without `fields` its lines are events already; `pattern` is for plain text."""

    source: str
    file: str
    pattern: str | None = None
    fields: tuple[TailField, ...] = ()
    currency: str | None = None

    @property
    def line_bytes_max(self) -> int:
        """A longer line is counted and left out."""
        return JSON_BYTES_MAX if self.pattern is None else PATTERN_BYTES_MAX


class Place(msgspec.Struct, frozen=True):
    """How far a file was read. `number` counts the files; a line is named by it and its offset.

    `head` is a digest of the first bytes. `is_within`: the rest of a line that is too long follows.
    """

    inode: int = 0
    head: str = ""
    head_bytes: int = 0
    number: int = 0
    offset: int = 0
    line: int = 0
    is_within: bool = False


class Line(NamedTuple):
    """One line; `raw` is None if it is longer than it may be. `name` is no other line's."""

    number: int
    name: str
    raw: bytes | None


class Chunk(NamedTuple):
    """Some lines that are not blank, and where reading goes on once they are safe."""

    lines: tuple[Line, ...]
    place: Place
