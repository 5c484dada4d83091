"""What decoding a request needs and gives back, and the notes it takes on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches

import msgspec

from monitor.model.events import LIFECYCLE_RANK, OrderEvent
from monitor.model.ids import derived_id
from monitor.model.settings import SourceSettings

Json = object

NAMES_MAX = 20  # names listed in one warning; the rest is only counted
NAME_LENGTH_MAX = 64
SUGGESTIONS_MAX = 20  # looking for similar names is the slowest step, so it has a budget


def unkeyed_digest(text: str) -> str:
    """Name goods where nothing is stored: a recording is read, a test is run."""
    return derived_id("g0", text)


class DecodeContext(msgspec.Struct, frozen=True):
    """Who sends, and when it arrived.

    `default_source` is the name of the authenticated source, or `default`. `sources` are the
    configured ones by name. `name_customer` makes of what a shop says of a buyer what is kept,
    `name_goods` of goods and of the number of a payment.
    """

    received_ms: int
    default_source: str
    sources: Mapping[str, SourceSettings]
    channels: Collection[str] = ()  # configured ones; empty: any is as good
    name_customer: Callable[[str], str] = str
    name_goods: Callable[[str], str] = unkeyed_digest


class Rejected(msgspec.Struct, frozen=True):
    """One event that was not taken; `pointer` (RFC 6901) leads into the request body."""

    index: int
    code: str
    detail: str
    pointer: str


class Decoded(msgspec.Struct, frozen=True):
    """The events of one request; `indexes` are their positions in it.

    A body that cannot be read at all is one `Rejected` with index 0 and an empty pointer.
    `unknown_fields` and `secret_fields` count what was left out. `is_list` says that pointers start
    with an index.
    """

    events: tuple[OrderEvent, ...] = ()
    indexes: tuple[int, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    warnings: tuple[str, ...] = ()
    unknown_fields: int = 0
    secret_fields: int = 0
    is_list: bool = False


class Notes:
    """Collects what one request is warned about; one line per kind, however many events."""

    def __init__(self) -> None:
        self.unknown: Counter[str] = Counter()
        self.secrets: Counter[str] = Counter()
        self.remarks: Counter[str] = Counter()
        self.strangers: Counter[str] = Counter()
        self._suggestions: dict[str, str] = {}

    def suggest_type(self, wrong: str) -> str:
        """Return the closest event type as `; did you mean '…'?`, or nothing."""
        if wrong not in self._suggestions and len(self._suggestions) < SUGGESTIONS_MAX:
            close = get_close_matches(wrong.lower()[:NAME_LENGTH_MAX], LIFECYCLE_RANK, n=1)
            self._suggestions[wrong] = f"; did you mean '{close[0]}'?" if close else ""
        return self._suggestions.get(wrong, "")

    def warnings(self) -> tuple[str, ...]:
        """Say everything noted: remarks with their count, then names that were left out."""
        lines = [
            f"{text} ({count} events)" if count > 1 else text
            for text, count in self.remarks.items()
        ]
        if self.secrets:
            lines.append(f"fields that look like card secrets were dropped: {_names(self.secrets)}")
        if self.strangers:
            lines.append(f"channels that are not configured: {_names(self.strangers)}; misspelt?")
        if self.unknown:
            lines.append(f"unknown fields were left out: {_names(self.unknown)}")
        return tuple(lines)


def printable(name: str) -> str:
    """Cut a name of the outside to what may be shown; what cannot be printed becomes `?`."""
    return "".join(char if char.isprintable() else "?" for char in name[:NAME_LENGTH_MAX])


def _names(counted: Counter[str]) -> str:
    names = [
        f"{printable(name)} ({count}x)" if count > 1 else printable(name)
        for name, count in counted.most_common(NAMES_MAX)
    ]
    more = len(counted) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")
