"""The traffic of the ingest benchmarks: orders with six events each, about 300 bytes an event.

Every event of a run is new. Five hundred orders at a time walk through their life side by side, so
the service holds open orders of all ages, as that of a shop would.
"""

from __future__ import annotations

from collections.abc import Iterator

from monitor.model.times import format_rfc3339

LIFE = (
    "order.created",
    "order.paid",
    "order.accepted",
    "delivery.attempted",
    "delivery.delivered",
    "delivery.verified",
)
SIDE_BY_SIDE = 500
CHANNELS = ("auto", "supplier", "pool")
SOURCE = "main-shop"


class Shop:
    """Tells events for ever; `take` gives the next ones, dated at `now_ms`."""

    def __init__(self, name: str, side_by_side: int = SIDE_BY_SIDE) -> None:
        self._name = name
        self._side_by_side = side_by_side
        self._places = self._walk()

    def take(self, count: int, now_ms: int) -> list[bytes]:
        """The next events as JSON texts, one millisecond apart."""
        return [
            self._event(*next(self._places), format_rfc3339(now_ms + number // 16))
            for number in range(count)
        ]

    def _walk(self) -> Iterator[tuple[int, int]]:
        first = 0
        while True:
            for step in range(len(LIFE)):
                for order in range(first, first + self._side_by_side):
                    yield order, step
            first += self._side_by_side

    def _event(self, order: int, step: int, time: str) -> bytes:
        return (
            f'{{"type":"{LIFE[step]}","id":"{self._name}-{order:07d}-{step}","source":"{SOURCE}",'
            f'"order_id":"{self._name}-{order:07d}","time":"{time}",'
            f'"channel":"{CHANNELS[order % 3]}","sku":"key-{order % 9}","quantity":1,'
            f'"amount_minor":{990 + order % 100},"currency":"CNY","attempt":1,'
            f'"traceparent":"00-{order:032x}-{order * 8 + step + 1:016x}-01"}}'
        ).encode()


def request(events: list[bytes], key: str) -> bytes:
    """One `POST /v1/events`: a single event as JSON, several as NDJSON."""
    body = b"\n".join(events)
    kind = "application/json" if len(events) == 1 else "application/x-ndjson"
    head = (
        f"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
