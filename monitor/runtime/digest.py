"""Messages about single orders are gathered, so that an outage does not bury its own alert.

A robot takes 20 messages a minute. In an outage every stuck order has something to say, so such
messages leave a lane at most every `EVERY_MS`; what waits meanwhile leaves as one message.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from monitor.core.alerting.markdown import escaped
from monitor.model.effects import Effect, Notify
from monitor.model.times import SECOND_MS

EVERY_MS = 15 * SECOND_MS
LINES_MAX = 20
SEVERITIES = ("info", "warning", "critical")
_ABOUT_ORDERS = ("order.", "takeover.")


def is_about_one_order(effect: Effect) -> bool:
    """Whether a chat message is one of many of its kind in an outage; programs get each one."""
    if not isinstance(effect, Notify) or effect.integration.startswith("webhook/"):
        return False
    return effect.event_type.startswith(_ABOUT_ORDERS)


def merge(messages: Sequence[Notify]) -> Notify:
    """One message for many of the same lane; a single one stays as it is."""
    first = messages[0]
    if len(messages) == 1:
        return first
    lines = [f"- {escaped(message.title)}" for message in messages[:LINES_MAX]]
    if len(messages) > LINES_MAX:
        lines.append(f"- … +{len(messages) - LINES_MAX}")
    title = f"{first.title} (+{len(messages) - 1})"
    return msgspec.structs.replace(
        first,
        severity=max((message.severity for message in messages), key=SEVERITIES.index),
        title=title,
        text="\n".join([f"### {escaped(title)}", "", *lines]),
        payload=msgspec.Raw(b"[" + b",".join(bytes(one.payload) for one in messages) + b"]"),
    )
