"""What a shop's answer says beyond yes and no: that it is not there, or that it knows no such order.

Whether an answer is a yes is the gateway's to say (`Gateway.shop_accepted`); these two hold for all.
"""

from __future__ import annotations

from monitor.model.gateways import ShopAnswer
from monitor.model.relay import Verdict

# Of the web server before a shop that is not running; nginx and Apache say these, no shop does.
STATUSES_DOWN = (502, 503, 504)
SENTENCE_BYTES_MAX = 2_048  # a longer answer is a page, and may quote anything
# Words of the shops themselves, lower case; each would be nonsense for an order that exists.
_NO_ORDER = (
    "订单不存在",
    "订单号不存在",
    "没有找到订单",
    "找不到订单",
    "未找到订单",
    "无此订单",
    "order not found",
    "order not exist",
    "order does not exist",
    "no such order",
    "order no exist",
)


def verdict_of(status: int, judged: ShopAnswer) -> Verdict:
    """What a request came to by the shop's answer and how its gateway's shops mean it."""
    if status in STATUSES_DOWN:
        return Verdict.DOWN
    return Verdict(judged.value)


def says_no_order(body: bytes) -> bool:
    """Whether the shop says in plain words that it has no such order."""
    if len(body) > SENTENCE_BYTES_MAX:
        return False
    text = body.decode("utf-8", "replace").lower()
    if "\\u" in text:  # JSON of PHP escapes everything that is not ASCII
        text += text.encode("ascii", "replace").decode("unicode_escape", "replace")
    return any(words in text for words in _NO_ORDER)
