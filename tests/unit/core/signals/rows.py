"""Orders written down as rows, and the observation that control would see of them."""

from typing import Any, NamedTuple

from monitor.core.orders.facts import Facts
from monitor.core.orders.table import OrderTable, row_of
from monitor.core.signals.observation import Names, Observation

NOW_MS = 1_000_000
NAMES = Names(("a", "b", "c", "d"), ("shop", "other shop"), ("unknown",), ("unknown",))


class Row(NamedTuple):
    """One paid order: what became of it, and when it was judged late if it was."""

    paid_ms: int
    promise_ms: int = 180_000
    ending: str = ""
    end_ms: int = 0
    breach_ms: int | None = None
    channel: int = 0
    is_held: bool = False
    is_unconfirmed: bool = False
    source: int = 0

    @property
    def judged_ms(self) -> int:
        return min([at for at in (self.end_ms, self.breach_ms) if at], default=0)

    def wait_ms(self) -> int:
        return max(0, (self.end_ms or NOW_MS) - self.paid_ms)


def rows_of(orders: list[Row]) -> Observation:
    table = OrderTable()
    for key, order in enumerate(orders):
        ends: dict[str, Any] = {f"{order.ending}_ms": order.end_ms} if order.ending else {}
        facts = Facts(paid_ms=order.paid_ms, promise_ms=order.promise_ms, **ends)
        table.put(None, row_of(facts, key=key, codes=(order.channel, order.source, 0, 0),
                               breach_ms=order.breach_ms, is_held=order.is_held,
                               is_unconfirmed=order.is_unconfirmed))  # fmt: skip
    return table.observe(NAMES)
