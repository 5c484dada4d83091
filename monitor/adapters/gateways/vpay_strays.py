"""Money that V免签 matched with no order: paid after the order had closed, or of a wrong amount.

It keeps such a payment as an order of its own, whose number is a word, and calls nobody.
"""

from __future__ import annotations

from monitor.adapters.gateways.base import minor_of, unix_ms
from monitor.model.gateways import Meaning, Reported

NO_ORDER = "无订单转账"
STRAYS_MAX = 20


def stray(number: str, price: str, created: str, currency: str) -> Reported:
    """The payment as it is told to people."""
    return Reported(
        f"transfer-{number}",
        Meaning.PAID,
        amount_minor=minor_of(price, currency),
        paid_at_ms=unix_ms(created),
        is_stray=True,
    )
