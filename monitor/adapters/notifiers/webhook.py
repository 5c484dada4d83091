"""The signed webhook (contract §6): the whole event as JSON, recognised by its `webhook-id`."""

from __future__ import annotations

from monitor.adapters.http_client import HttpClient
from monitor.adapters.signed_post import post_event
from monitor.model.effects import Notify
from monitor.model.endpoints import Endpoint


class WebhookNotifier:
    """Posts `{"type","timestamp","data"}` with Standard Webhooks headers."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    async def send(self, notify: Notify, endpoint: Endpoint, now_ms: int) -> None:
        """Post the event; what people would read is left out."""
        await post_event(self._client, endpoint, notify, now_ms)

    def moved(self, client: HttpClient) -> WebhookNotifier:
        """The same on another client; there is no limit to remember."""
        return WebhookNotifier(client)
