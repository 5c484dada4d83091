"""A shard as one value."""

from __future__ import annotations

import msgspec

from monitor.core.orders.history import HourRow
from monitor.core.orders.order import Order
from monitor.core.orders.sources import Source
from monitor.core.orders.tallies import TalliesSnapshot
from monitor.core.orders.totals import Totals
from monitor.core.signals.observation import Names


class ShardSnapshot(msgspec.Struct, frozen=True):
    """Everything `Shard.restore` needs, as plain data in a fixed order."""

    orders: list[Order]
    sources: list[Source]
    hours: list[HourRow]
    totals: Totals
    names: Names = Names()
    tallies: TalliesSnapshot = TalliesSnapshot()
