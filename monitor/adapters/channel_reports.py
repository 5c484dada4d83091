"""What suppliers and other executors report by themselves, not as an answer to a request of ours.

The goods go into the vault first; what comes back is an `AttemptAnswered` as if it answered the next
question about the attempt, so it passes the same rules as every answer
(`monitor/core/takeover/learning.py`).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from monitor.adapters.channels.base import DeliveryChannel, Vault
from monitor.adapters.unanswered import unanswered
from monitor.model.effects import Query
from monitor.model.endpoints import HttpChannel
from monitor.model.records import AttemptAnswered
from monitor.ports import CallsBack


class Reports:
    """The channels that call back, and the vault for goods that are reported; keeps `ports.Reports`."""

    def __init__(
        self,
        channels: Mapping[str, DeliveryChannel],
        suppliers: tuple[HttpChannel, ...],
        vault: Vault,
    ) -> None:
        self._channels = channels
        self._callbacks = {one.name: one.callback for one in suppliers if one.callback is not None}
        self._vault = vault

    def caller(self, name: str) -> CallsBack | None:
        """The channel of that name, if its supplier may call."""
        return self._channels.get(name) if name in self._callbacks else None  # type: ignore[return-value]  # only http channels have a callback, and they keep CallsBack

    def reply(self, name: str) -> object:
        """What the supplier of that channel wants to hear."""
        reply = self._callbacks[name].reply
        return {"ok": True} if reply is None else reply

    async def delivered(
        self, question: Query, goods: list[str], cost_minor: int | None, now_ms: int
    ) -> AttemptAnswered:
        """Keep goods that another executor got; raises StorageError."""
        digest = await self._vault.store(question.attempt_ref, goods)
        return msgspec.structs.replace(
            unanswered(question, now_ms),
            is_query=True,
            outcome="delivered",
            goods_count=len(goods),
            goods_digest=digest,
            cost_minor=cost_minor,
        )
