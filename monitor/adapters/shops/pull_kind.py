"""What a kind of shop that is read in its database says of itself, for its line in the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from monitor.adapters.shops.facts import Facts
from monitor.model.endpoints import ShopSource
from monitor.model.shops import Known
from monitor.ports import ShopPull


class PullKind(msgspec.Struct, frozen=True):
    """How to read a kind of shop; `kind(source, facts)` makes the adapter.

    `tables` are the columns that are read, by table. `orders` is the table whose rows are orders,
    with its columns `order_id` and `created`. `timezone`: where its naive times live. `prefix`: of
    its tables, unless the configuration names another; None if these shops have none. `stock` counts
    what is not sold yet, as rows `sku` and `unsold` (`{prefix}` stands for the prefix); empty if the
    kind has no cards of its own.
    """

    make: Callable[[ShopSource, Facts], ShopPull]
    known: tuple[Known, ...]
    tables: Mapping[str, tuple[str, ...]]
    orders: str
    created: str
    order_id: str = "id"
    timezone: str = "Asia/Shanghai"
    prefix: str | None = None
    stock: str = ""

    def __call__(self, source: ShopSource, facts: Facts) -> ShopPull:
        """The adapter for one source."""
        return self.make(source, facts)
