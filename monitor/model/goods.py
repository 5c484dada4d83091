"""What an event says was delivered: read once, named by keyed digests, and then left behind.

    one text                one unit, or as many as it has lines if that is the quantity ordered
    a list                  one unit each; fewer than ordered is known to be short
    an apology              no goods: some shops write it where the key belongs and say delivered

Sources: acg-faka writes its apology with `delivery_status` 1; dujiaoka joins cards with line breaks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

UNITS_MAX = 100  # digests kept of one event
APOLOGY_CHARS_MAX = 200  # a key with instructions may say anything; an apology is short
WITHOUT_GOODS = "delivered_without_goods"

# Compared without case; from shops' sources and the words people use.
_APOLOGIES = (
    "有人在你付款之前抢走了商品", "库存不足", "缺货", "已售罄", "没有库存", "无库存", "请联系客服补发",
    "out of stock", "sold out", "no stock", "no keys left", "contact support",
)  # fmt: skip


class Goods(NamedTuple):
    """Digests of the units, how many there are if that can be counted, whether it is an apology."""

    digests: tuple[str, ...] = ()
    units: int = 0
    is_apology: bool = False


NOTHING = Goods()


def read_goods(
    values: Sequence[object], quantity: int | None, digest: Callable[[str], str]
) -> Goods:
    """Read the fields in which a delivery holds what was sold; the first with a text counts."""
    for value in values:
        texts = _texts(value)
        if not texts:
            continue
        if all(_is_apology(text) for text in texts):
            return Goods(is_apology=True)
        units = _units(texts, quantity)
        is_counted = isinstance(value, list) or len(units) > 1
        return Goods(tuple(map(digest, units[:UNITS_MAX])), len(units) if is_counted else 0)
    return NOTHING


def _texts(value: object) -> list[str]:
    """The texts of a field: itself, or those of a list or of the objects in it."""
    if isinstance(value, str):
        return [value.strip()] if value.strip() else []
    if isinstance(value, dict):
        return ["\n".join(text for inner in value.values() for text in _texts(inner))]
    if isinstance(value, list):
        return [text for inner in value[: UNITS_MAX + 1] for text in _texts(inner)]
    return []


def _units(texts: list[str], quantity: int | None) -> list[str]:
    if len(texts) == 1 and quantity is not None and quantity > 1:
        lines = [line.strip() for line in texts[0].splitlines() if line.strip()]
        if len(lines) == quantity:
            return lines
    return texts


def _is_apology(text: str) -> bool:
    plain = text.casefold()
    return len(text) <= APOLOGY_CHARS_MAX and any(phrase in plain for phrase in _APOLOGIES)
