"""Messages for people: a plain title, and Markdown in which foreign text is only text."""

import msgspec

from monitor.core.alerting.messages import (
    alert_message,
    switch_message,
    takeover_message,
    tier_message,
)
from monitor.model.alerts import Alert
from monitor.model.records import SwitchDecided
from monitor.model.takeovers import TakeoverCase

EVIL = "[pay](http://evil)"
SHOWN = r"\[pay\](http://evil)"


def test_order_id_of_a_tier_message_is_no_markup() -> None:
    """Plain in the title, which is no Markdown; escaped in the text."""
    message = tier_message("en", EVIL, 2, "auto_1", 360_000, 180_000)
    assert message.title == f"⏳ Order {EVIL} is in L2"
    assert message.text == (
        f"### ⏳ Order {SHOWN} is in L2\n\n"
        r"Channel auto\_1, waiting for 6m (promised in 3m)."
        "\n\nPlease check by hand and consider a small compensation."
    )


def test_order_id_and_channel_of_a_takeover_are_no_markup() -> None:
    """Both come from the shop."""
    case = TakeoverCase("t1", EVIL, "claiming", "c1", 1, 0, 0, held_by_channel=EVIL)
    message = takeover_message("en", "takeover.started", case)
    assert EVIL not in message.text
    assert message.text.count(SHOWN) == 2


def test_labels_of_an_alert_are_no_markup() -> None:
    """A label is what the shop called a channel."""
    alert = Alert("Delayed_Over", (("channel", EVIL),), "firing", "warning", firing_ms=0)
    message = alert_message("en", alert, "**written by us**", "firing", 0, asks_review=False)
    assert message.title == "🔴 Firing: Delayed_Over"
    assert message.text == (
        f"### 🔴 Firing: Delayed\\_Over\n\nchannel={SHOWN}\n\n**written by us**\n\n"
        "severity: warning\n\nsince: 1970-01-01T00:00:00Z"
    )


def test_reason_and_channels_of_a_switch_are_no_markup() -> None:
    """A person wrote the reason, the shop named the channels."""
    decided = SwitchDecided("d1", "*", 7, 6, {EVIL: 0, "b": 100}, {EVIL: 100, "b": 0}, EVIL,
                            "manual", msgspec.Raw(b"{}"), 0, 0)  # fmt: skip
    found = {EVIL: {"n": 10, "slow": 9, "threshold_ms": 30_000, "oldest_age_ms": 90_000}}
    message = switch_message("en", decided, found)
    assert EVIL not in message.text
    assert message.text.count(SHOWN) == 3
