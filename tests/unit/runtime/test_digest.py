"""Many messages about single orders leave as one."""

import msgspec

from monitor.model.effects import Notify
from monitor.runtime.digest import merge


def about(order: str) -> Notify:
    return Notify(
        f"k/{order}", "ops", "dingtalk/0", "order.tier_changed", "info", "info",
        f"Order {order} is in L2", "text", msgspec.Raw(b"{}"), 0,
    )  # fmt: skip


def test_gathered_titles_are_shown_as_they_are() -> None:
    """Titles are plain and the gathered text is Markdown: an order id is no link there."""
    merged = merge([about("A_1"), about("[x](http://evil)")])
    assert merged.title == "Order A_1 is in L2 (+1)"
    assert merged.text == (
        "### Order A\\_1 is in L2 (+1)\n\n"
        "- Order A\\_1 is in L2\n"
        "- Order \\[x\\](http://evil) is in L2"
    )
