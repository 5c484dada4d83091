"""What shop systems and payment gateways tell, before and after an adapter has read it.

row of a shop's table ─► Polled ─┐
request of a sender   ─► Pushed ─┴─► order events, as if they had come to `/v1/events`
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from monitor.model.events import OrderEvent


class Precision(StrEnum):
    """How well a kind of shop knows a fact."""

    EXACT = "exact"  # its own time, finer than a second
    SECOND = "second"  # its own time, to the second
    INFERRED = "inferred"  # from something else, for example the time of the last change
    MISSING = "missing"  # it cannot be known from there


class Known(msgspec.Struct, frozen=True):
    """How a kind of shop knows one fact (`created`, `paid`, `delivered` …), and from what."""

    fact: str
    precision: Precision
    source: str


class ShopKind(msgspec.Struct, frozen=True):
    """What there is to know of a kind of shop before one is connected.

    `is_read`: in its database; `prefix`: of its tables, None if they have none;
    `timezone`: where its times live. `is_asked`: over its
    API. `secret_at`: where it shows the secret of its webhooks, None if it sends none. `patience_s`:
    how long we may be down before something it sent is lost; None: nothing is ever lost.
    """

    kind: str
    known: tuple[Known, ...]
    is_read: bool = False
    is_asked: bool = False
    prefix: str | None = None
    timezone: str = ""
    secret_at: str | None = None
    is_secret_needed: bool = False
    is_secret_in_address: bool = False
    patience_s: int | None = None


class RawRequest(msgspec.Struct, frozen=True):
    """A request exactly as it came: signatures are made over bytes, not over what they mean.

    `target` is path and query as sent, `headers` keep their order and their case.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    received_ms: int

    def header(self, name: str) -> str:
        """The first header of a name in any case; empty if there is none."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), "")


class RawReply(msgspec.Struct, frozen=True):
    """What the sender is told; some take nothing but these very bytes for a yes."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain"


class Pushed(msgspec.Struct, frozen=True):
    """What a request said: its events, and the answer once they are synced."""

    events: tuple[OrderEvent, ...]
    reply: RawReply = RawReply()
    warnings: tuple[str, ...] = ()


class Polled(msgspec.Struct, frozen=True):
    """A page of what changed since a mark; `is_last` if there is no more for now.

    `mark` is where the next page begins, in words that only the adapter reads. A page that comes
    twice has the same events with the same ids. `limit` says what is read late or no longer.
    """

    events: tuple[OrderEvent, ...]
    mark: str
    is_last: bool
    limit: str = ""
