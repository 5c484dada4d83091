"""The table of notifiers: a new one is one module here and one line below."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from monitor.adapters.http_client import HttpClient
from monitor.adapters.notifiers.base import Notifier
from monitor.adapters.notifiers.dingtalk import DingTalkNotifier
from monitor.adapters.notifiers.webhook import WebhookNotifier

# The kind of an endpoint, as in `notify.receivers[].<kind>` of monitor.yaml.
NOTIFIERS: Mapping[str, Callable[[HttpClient], Notifier]] = MappingProxyType(
    {
        "dingtalk": DingTalkNotifier,
        "webhook": WebhookNotifier,
    }
)
