"""Telling the shop which channel to use: `channel.switch` until its answer names our epoch.

A 2xx alone is no answer (any web server says 200 to anything): the shop must repeat the epoch it
has applied. A switch whose validity ended is never sent: an old order to move is dangerous.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from monitor.adapters.http_client import HttpClient
from monitor.adapters.json_answer import read_json
from monitor.adapters.signed_post import post_event
from monitor.model.effects import SwitchChannel
from monitor.model.endpoints import Endpoint
from monitor.model.errors import Transient
from monitor.model.records import SwitchAnswered


class SwitchAnswer(msgspec.Struct, frozen=True):
    """What the receiver says: what it did and the epoch it now works with."""

    status: Literal["applied", "stale", "refused"]
    applied_epoch: int | None = None


class FailoverWebhook:
    """Sends switches to the configured failover endpoint."""

    def __init__(self, client: HttpClient, endpoint: Endpoint) -> None:
        self._client = client
        self._endpoint = endpoint

    async def switch(self, effect: SwitchChannel, now_ms: int) -> SwitchAnswered:
        """Send the full desired state once; Transient means: not acknowledged, send it again."""
        if now_ms >= effect.valid_until_ms:
            return _answered(effect, "expired", None, now_ms)
        answer = await post_event(self._client, self._endpoint, effect, now_ms)
        said = read_json(answer.body, SwitchAnswer)
        if said is None:
            raise Transient("the failover webhook said 2xx without status and epoch")
        return understood(effect, said.status, said.applied_epoch, now_ms)


def understood(
    effect: SwitchChannel, status: str, applied_epoch: int | None, now_ms: int
) -> SwitchAnswered:
    """What the receiver's words mean for this switch.

    A repeat whose first answer got lost is `stale` to the receiver, but with our own epoch: applied.

    Raises: Transient if the receiver says `applied` and names an older epoch, or none.
    """
    if applied_epoch == effect.epoch and status == "stale":
        return _answered(effect, "applied", applied_epoch, now_ms)
    if status != "applied" or applied_epoch == effect.epoch:
        return _answered(effect, status, applied_epoch, now_ms)
    if applied_epoch is not None and applied_epoch > effect.epoch:
        return _answered(effect, "stale", applied_epoch, now_ms)
    raise Transient("the failover webhook has not applied this epoch yet")


def _answered(
    effect: SwitchChannel, status: str, applied_epoch: int | None, now_ms: int
) -> SwitchAnswered:
    return SwitchAnswered(
        effect_key=effect.key,
        epoch=effect.epoch,
        status=status,
        applied_epoch=applied_epoch,
        at_ms=now_ms,
    )
