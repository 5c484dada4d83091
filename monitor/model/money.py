"""Money between minor units, in which it is kept, and the decimals that suppliers write."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

# ISO 4217: currencies whose minor unit is not a hundredth.
_DECIMALS = dict.fromkeys(("CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND", "XAF", "XOF"), 0) | (
    dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3)
)
_DIGITS_MAX = 18


def decimals_of(currency: str | None) -> int:
    """How many decimals the major unit of a currency has; two where nothing else is known."""
    return _DECIMALS.get(currency or "", 2)


def in_major(amount_minor: int, decimals: int) -> Decimal:
    """The amount in major units, with all its decimals: 1250 with two is 12.50."""
    return Decimal(amount_minor).scaleb(-decimals)


def to_minor(written: object, decimals: int) -> int | None:
    """Minor units of a price as an answer writes it, rounded up; None for what is no price.

    Up, because a price that is compared with a limit must not look smaller than it is.
    """
    if isinstance(written, bool) or not isinstance(written, str | int | float):
        return None
    try:
        amount = Decimal(str(written).strip()).scaleb(decimals)
    except InvalidOperation:
        return None
    if not amount.is_finite() or amount < 0 or amount.adjusted() >= _DIGITS_MAX:
        return None
    return int(-(-amount // 1))
