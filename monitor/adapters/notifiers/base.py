"""What a notifier promises; `tests/contracts/test_notifiers.py` checks it on every one."""

from __future__ import annotations

from typing import Protocol

from monitor.adapters.http_client import HttpClient
from monitor.model.effects import Notify
from monitor.model.endpoints import Endpoint


class Notifier(Protocol):
    """Writes a message the way one kind of receiver wants it; made once, with the HTTP client."""

    async def send(self, notify: Notify, endpoint: Endpoint, now_ms: int) -> None:
        """Deliver the message; returns only when the receiver said so, also in its answer's body.

        Raises: Transient (not delivered, or a repeat is recognised), Permanent, UnknownOutcome.
        No message holds the URL, the token or the secret.
        """
        ...

    def moved(self, client: HttpClient) -> Notifier:
        """The same notifier on another client; what it sent before still counts for its limits."""
        ...
