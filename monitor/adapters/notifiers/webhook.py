"""The signed webhook (contract §6): the whole event as JSON, recognised by its `webhook-id`."""

from __future__ import annotations

from monitor.adapters.http_client import HttpClient
from monitor.adapters.signed_post import check_status, event_body, post_signed
from monitor.model.effects import Notify
from monitor.model.endpoints import Endpoint


class WebhookNotifier:
    """Posts `{"type","timestamp","data"}` with Standard Webhooks headers."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    async def send(self, notify: Notify, endpoint: Endpoint, now_ms: int) -> None:
        """Post the event; the id is the effect's key, the header's time that of this attempt."""
        answer = await post_signed(
            self._client,
            endpoint.url.reveal(),
            endpoint.secret,
            key=notify.key,
            body=event_body(notify.event_type, notify.at_ms, notify.payload),
            now_ms=now_ms,
        )
        check_status(answer, endpoint.name, now_ms, is_repeat_known=True)
