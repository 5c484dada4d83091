"""A channel for drills: it delivers made-up goods, and goes wrong as its script says.

    delivered   at once                       lost       done, but the answer got lost: asking finds it
    accepted    asking finds it delivered     unknown    not done: asking finds nothing
    rejected    code `drill`

Which line of the script an attempt gets is a hash of its name, so a restart changes nothing. Only
orders whose id begins with `drill-` are served: no buyer ever gets a made-up key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from monitor.adapters.unanswered import unanswered
from monitor.model.effects import Quarantine, Query, Submit
from monitor.model.endpoints import Drill
from monitor.model.errors import StorageError
from monitor.model.ids import hash01
from monitor.model.records import AttemptAnswered
from monitor.model.times import SECOND_MS

DRILL_PREFIX = "drill-"
_BEFORE = {"lost": "unknown"}  # what the submit is answered with, where that is another word
_AFTER = {"accepted": "delivered", "lost": "delivered", "unknown": "not_found"}


class Keeper(Protocol):
    """The part of `channels.base.Vault` that takes goods in."""

    async def store(self, attempt_ref: str, goods: list[str]) -> str:
        """Make the goods durable and return their digest; raises StorageError."""
        ...

    async def quarantine(self, attempt_ref: str) -> None:
        """Lock the attempt's goods away for ever."""
        ...


class SimChannel:
    """Plays a script; keeps `DeliveryChannel`."""

    def __init__(
        self,
        drill: Drill,
        vault: Keeper,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._drill = drill
        self._vault = vault
        self._pause = pause

    async def submit(self, effect: Submit, now_ms: int) -> AttemptAnswered:
        """Play the attempt's line of the script, after the delay."""
        answer = unanswered(effect, now_ms)
        if not effect.order_id.startswith(DRILL_PREFIX):
            return msgspec.structs.replace(
                answer, outcome="rejected", code="not_a_drill", blame="us"
            )
        await self._pause(self._drill.delay_ms / SECOND_MS)
        line = self._line(effect.attempt_ref)
        return await self._played(_BEFORE.get(line, line), effect, answer)

    async def query(self, effect: Query, now_ms: int) -> AttemptAnswered:
        """What became of the attempt by now."""
        answer = msgspec.structs.replace(unanswered(effect, now_ms), is_query=True)
        line = self._line(effect.attempt_ref)
        return await self._played(_AFTER.get(line, line), effect, answer)

    async def quarantine(self, effect: Quarantine, now_ms: int) -> None:  # noqa: ARG002 - the port's
        """Lock the made-up goods away."""
        await self._vault.quarantine(effect.attempt_ref)

    def _line(self, attempt_ref: str) -> str:
        script = self._drill.script
        return script[int(hash01("drill", attempt_ref) * len(script))]

    async def _played(
        self, outcome: str, effect: Submit | Query, answer: AttemptAnswered
    ) -> AttemptAnswered:
        if outcome == "rejected":
            return msgspec.structs.replace(answer, outcome=outcome, code="drill")
        if outcome != "delivered":
            return msgspec.structs.replace(answer, outcome=outcome)
        goods = [f"DRILL-{effect.attempt_ref}-{number}" for number in range(effect.quantity)]
        try:
            digest = await self._vault.store(effect.attempt_ref, goods)
        except StorageError as error:
            return msgspec.structs.replace(answer, detail=f"vault: {error.code}")
        return msgspec.structs.replace(
            answer, outcome=outcome, goods_count=len(goods), goods_digest=digest
        )
