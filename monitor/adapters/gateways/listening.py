"""Whether what sees the payments of a gateway lives.

V免签 has a phone and tells by `getState` when it was heard; BEpusdt reads the chain itself, and is seen to
live by its calls about orders that wait.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from email.utils import parsedate_to_datetime
from urllib.parse import urlencode

from monitor.adapters.gateways.base import unix_ms
from monitor.adapters.gateways.query_http import asked, object_of, text_of
from monitor.adapters.http_client import HttpClient
from monitor.model.endpoints import GatewayAccess
from monitor.model.errors import SourceError
from monitor.ports import Clock

HEART_S = 65  # V免签 calls it offline after 60 s, but notices only when the phone speaks again
_ONLINE = "1"


class VpayListener:
    """Asks the gateway when its phone was heard last."""

    def __init__(self, access: GatewayAccess, client: HttpClient, clock: Clock) -> None:
        self._access = access
        self._client = client
        self._clock = clock

    async def is_alive(self) -> bool:
        """Whether the phone was heard lately; raises SourceError."""
        now_ms = self._clock.now_ms()
        stamp = str(now_ms)
        key = self._access.keys.secrets[0].reveal()
        signed = hashlib.md5((stamp + key).encode(), usedforsecurity=False).hexdigest()
        query = urlencode({"t": stamp, "sign": signed})
        base = (self._access.url or "").rstrip("/")
        answer = await asked(self._client, "GET", f"{base}/getState?{query}")
        found = object_of(answer)
        state = found.get("data")
        if text_of(found, "code") != "1" or not isinstance(state, dict):
            hint = "check key_file of this gateway"
            raise SourceError("the gateway does not tell the state of its listener", hint=hint)
        heard = text_of(state, "lastheart")
        heard_s = (unix_ms(heard) or 0) // 1000
        gateway_s = _date_s(answer.headers.get("date", ""), now_ms // 1000)
        return text_of(state, "jkstate") == _ONLINE and gateway_s - heard_s <= HEART_S


def listener_of(
    access: GatewayAccess,
    client: HttpClient,
    clock: Clock,
    is_pushing: Callable[[str], bool],
) -> Callable[[], Awaitable[bool]]:
    """How to ask whether the listener of a gateway lives."""
    if access.kind == "vpay":
        return VpayListener(access, client, clock).is_alive

    async def is_alive() -> bool:
        return is_pushing(access.name)

    return is_alive


def _date_s(written: str, otherwise_s: int) -> int:
    """The gateway's clock as its answer tells it: its times are compared with itself only."""
    try:
        return int(parsedate_to_datetime(written).timestamp())
    except (ValueError, TypeError, OverflowError):
        return otherwise_s
