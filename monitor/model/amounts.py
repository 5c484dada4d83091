"""Amounts as people write them, `2 CNY`, in the minor units that everything inside counts in."""

from __future__ import annotations

import re
from decimal import Decimal

from monitor.model.money import decimals_of, in_major

MONEY_MAX_MINOR = 10**15

_AMOUNT = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,4})?) ?([A-Z]{3})")


def amount_minor(text: str, currency: str) -> int:
    """Read `2 CNY` or `2.50 CNY` as minor units of our currency.

    Raises: ValueError that completes "<key> …".
    """
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise ValueError(f"must be an amount such as 2 {currency}")
    if match[2] != currency:
        raise ValueError(f"is in {match[2]}, but the shop's currency is {currency}")
    minor = Decimal(match[1]).scaleb(decimals_of(currency))
    if minor != int(minor):
        raise ValueError(f"is finer than the smallest coin of {currency}")
    if int(minor) > MONEY_MAX_MINOR:
        raise ValueError(f"is more than {MONEY_MAX_MINOR} minor units")
    return int(minor)


def amount_text(minor: int, currency: str) -> str:
    """Write minor units the way `amount_minor` reads them."""
    return f"{in_major(minor, decimals_of(currency))} {currency}"
