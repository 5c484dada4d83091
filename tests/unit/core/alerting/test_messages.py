"""Messages for people: a plain title, and Markdown in which foreign text is only text."""

import msgspec

from monitor.core.alerting.messages import (
    alert_message,
    switch_message,
    takeover_message,
    tier_message,
)
from monitor.core.alerting.template import alert_values, render
from monitor.core.announce import alert_payload
from monitor.model.alerts import Alert
from monitor.model.records import SwitchDecided
from monitor.model.rules import Number, Rule
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


def test_all_channels_together_are_words() -> None:
    """The channel `*` is no name that anybody gave: people read what it means."""
    alert = Alert("DeliveryStalled", (("channel", "*"), ("team", "*")), "firing", "critical")
    for language, words in (("en", "all channels"), ("zh-CN", "全部渠道")):
        text = alert_message(language, alert, "", "firing", 0, asks_review=False).text
        assert f"\n\n{words} · team=\\*\n\n" in text
        values = alert_values(alert, language)
        assert render("on {{ channel }} of {{ team }}", values) == f"on {words} of *"


def test_each_annotation_of_an_alert_is_in_its_own_language() -> None:
    """`summary_zh` speaks Chinese of all channels, `summary` English; programs read the label."""
    alert = Alert("R", (("channel", "*"),), "firing", "critical", "threshold", 0, 0)
    texts = (("summary", "{{ channel }} stalled"), ("summary_zh", "{{ channel }}停滞"))
    rule = Rule("R", "", Number(1.0), "g", 15_000, annotations=texts)
    payload = alert_payload(alert, rule, 0, "firing", "zh-CN")
    assert payload["annotations"] == {
        "summary": "all channels stalled",
        "summary_zh": "全部渠道停滞",
    }
    assert payload["labels"] == {"channel": "*"}
    assert payload["summary"] == "全部渠道停滞"
    assert alert_payload(alert, rule, 0, "firing", "en")["summary"] == "all channels stalled"


def test_reason_and_channels_of_a_switch_are_no_markup() -> None:
    """A person wrote the reason, the shop named the channels."""
    decided = SwitchDecided("d1", "*", 7, 6, {EVIL: 0, "b": 100}, {EVIL: 100, "b": 0}, EVIL,
                            "manual", msgspec.Raw(b"{}"), 0, 0)  # fmt: skip
    found = {EVIL: {"n": 10, "slow": 9, "threshold_ms": 30_000, "oldest_age_ms": 90_000}}
    message = switch_message("en", decided, found)
    assert EVIL not in message.text
    assert message.text.count(SHOWN) == 3
