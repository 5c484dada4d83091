"""What the tiered response has the engine do: it decides, the engine records, asks and takes over."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from monitor.core.orders.order import Order
from monitor.model.effects import Effect
from monitor.model.records import ActionsMoved, CrowdMoved


class Hands(NamedTuple):
    """The engine as the response sees it.

    `take_over` opens a takeover case and says why not, empty if there is one now. `give_up` resolves
    the order's case as refunded and says whether it is. `p_late` is None where nothing is known.
    """

    order: Callable[[str], Order | None]
    channel_of: Callable[[Order], str]
    decide: Callable[[ActionsMoved | CrowdMoved], None]
    perform: Callable[[Iterable[Effect]], None]
    cancel: Callable[[str], None]
    take_over: Callable[[Order, int], str]
    give_up: Callable[[Order, int], bool]
    p_late: Callable[[Order, int], float | None]
