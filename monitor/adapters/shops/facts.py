"""Turns what a shop says into order events; every adapter of a shop makes its events here.

An event is named by what the shop says, never by when it was read: a fact that was pushed and is
polled later is one event (`(source, id)` within the order). What a buyer got leaves as digests.
Whatever a shop writes is held to the limits that events on `/v1/events` have.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from monitor.model.event_time import AHEAD_MAX_MS, resolve_time
from monitor.model.events import EventType, OrderEvent
from monitor.model.goods import WITHOUT_GOODS, Goods, read_goods
from monitor.model.money import decimals_of, to_minor
from monitor.model.personal import masked

ID_CHARS_MAX, TEXT_CHARS_MAX = 128, 256
COUNT_MAX = 1_000_000_000
AMOUNT_MAX = 2**63 - 1
_COUNTS = ("quantity", "attempt", "goods_units")

_NEVER = "0000-00-00"  # what MySQL keeps of a time that is none


class Naming(msgspec.Struct, frozen=True):
    """Keyed names of this installation for what must not be stored."""

    customer: Callable[[str], str]
    goods: Callable[[str], str]


class When(msgspec.Struct, frozen=True):
    """When something happened by the shop's word; `is_inferred` if the time is only ours.

    `is_bound`: it happened then or before, as when a row says only when it was changed last.
    """

    time_ms: int
    is_inferred: bool = False
    is_bound: bool = False


class Facts:
    """Builds the events of one source. `timezone` (IANA) is where its naive times live."""

    def __init__(
        self, source: str, naming: Naming, *, timezone: str | None, currency: str | None
    ) -> None:
        self.source = source
        self.currency = currency
        self._naming = naming
        self._timezone = timezone

    def when(self, written: str | datetime | int | None, received_ms: int) -> When | None:
        """Read a time: a text or `datetime` (naive: in the shop's zone), or unix seconds; None for none.

        Raises: InputError `bad_time` for a text that is no time.
        """
        if written is None or written in ("", 0) or str(written).startswith(_NEVER):
            return None
        if isinstance(written, int):
            if written < 0:
                return None
            time_ms = written * 1_000
            is_ahead = time_ms > received_ms + AHEAD_MAX_MS
            return When(received_ms if is_ahead else time_ms, is_ahead)
        text = written.isoformat() if isinstance(written, datetime) else written
        time = resolve_time(text, received_ms, self._timezone)
        return When(time.time_ms, time.is_inferred)

    def minor(self, written: object, currency: str | None = None) -> int | None:
        """Minor units of an amount in major units, exactly; None for what is no amount."""
        amount = str(written) if isinstance(written, Decimal) else written
        return to_minor(amount, decimals_of(currency or self.currency))

    def customer(self, written: str | None) -> str | None:
        """The keyed name of a buyer's address."""
        return self._naming.customer(written) if written else None

    def event(
        self,
        kind: EventType,
        order_id: str,
        when: When | None,
        received_ms: int,
        *,
        key: str = "",
        **attributes: Any,
    ) -> OrderEvent:
        """One fact of an order; `attributes` are fields of OrderEvent. Without a time it counts as now.

        `key` tells facts of one type and time apart. The id of a fact without a time of its own, or
        with a bound for it, is its type and key: read twice, it is one fact, with the first time.
        """
        is_own = when is not None and not when.is_inferred
        is_named = when is not None and is_own and not when.is_bound
        named = f"{kind.value}@{when.time_ms}" if when is not None and is_named else kind.value
        return OrderEvent(
            type=kind.value,
            order_id=_printable(order_id, ID_CHARS_MAX),
            source=self.source,
            event_id=_printable(f"{named}#{key}" if key else named, ID_CHARS_MAX),
            time_ms=received_ms if when is None else when.time_ms,
            received_ms=received_ms,
            is_inferred=not is_own,
            **{name: _bounded(name, value) for name, value in attributes.items()},
        )

    def delivered(
        self,
        order_id: str,
        when: When | None,
        received_ms: int,
        goods: object,
        *,
        quantity: int | None = None,
        **attributes: Any,
    ) -> OrderEvent:
        """A delivery with what was delivered; an apology in the place of goods is a failed attempt."""
        read = read_goods([goods], quantity, self._naming.goods) if goods else Goods()
        kind = EventType.ATTEMPT_FAILED if read.is_apology else EventType.DELIVERED
        if read.is_apology:
            attributes["reason"] = WITHOUT_GOODS
        return self.event(
            kind, order_id, when, received_ms,
            quantity=quantity, goods=read.digests, goods_units=read.units, **attributes,
        )  # fmt: skip


def _bounded(name: str, value: Any) -> Any:
    """A value within the limits of its field: a text is cut, a number that cannot be is none."""
    if isinstance(value, str):
        if name == "reason":
            value = masked(value[: 2 * TEXT_CHARS_MAX])
        return _printable(value, TEXT_CHARS_MAX) or None
    if isinstance(value, int) and not isinstance(value, bool):
        low, high = (0, COUNT_MAX) if name in _COUNTS else (-AMOUNT_MAX - 1, AMOUNT_MAX)
        return value if low <= value <= high else None
    return value


def _printable(text: str, chars_max: int) -> str:
    """The beginning of a text, without what cannot be shown or written."""
    cut = text[:chars_max]
    return cut if cut.isprintable() else "".join(char for char in cut if char.isprintable())
