"""The latest routing decisions, as they were published: also those that only advised.

Memory of this process; the current decision is state of the engine and survives a restart.
"""

from __future__ import annotations

from collections import deque

import msgspec

from monitor.api.service import StreamEvent
from monitor.model.records import SwitchDecided
from monitor.model.times import format_rfc3339

DECISIONS_MAX = 100

_DECODER = msgspec.json.Decoder(SwitchDecided)


class DecisionView(msgspec.Struct, frozen=True):
    """One routing decision; `decision_id` is null when it was only tried (`dry_run`)."""

    decision_id: str | None
    scope: str
    epoch: int
    prev_epoch: int
    weights: dict[str, int]
    previous: dict[str, int]
    reason: str
    mode: str
    evidence: msgspec.Raw
    inflight: int
    decided_at: str
    valid_until: str
    dry_run: bool


class Decisions:
    """Collects decisions from the stream; the latest last."""

    def __init__(self) -> None:
        self._latest: deque[SwitchDecided] = deque(maxlen=DECISIONS_MAX)
        self._count = 0

    def take(self, event: StreamEvent) -> None:
        """Note a decision; other events pass."""
        if event.kind == "switch":
            self._latest.append(_DECODER.decode(event.body))
            self._count += 1

    def mark(self) -> int:
        """The place from which `since` tells what is new."""
        return self._count

    def since(self, mark: int) -> list[SwitchDecided]:
        """Decisions published after a mark, oldest first."""
        count = min(self._count - mark, len(self._latest))
        return list(self._latest)[len(self._latest) - count :]

    def latest_first(self) -> list[DecisionView]:
        """All that are remembered."""
        return [decision_view(one) for one in reversed(self._latest)]


def decision_view(decided: SwitchDecided, *, dry_run: bool = False) -> DecisionView:
    """Say a decision in the words of the API."""
    return DecisionView(
        decision_id=None if dry_run else decided.decision_id,
        scope=decided.scope,
        epoch=decided.epoch,
        prev_epoch=decided.prev_epoch,
        weights=decided.weights,
        previous=decided.previous,
        reason=decided.reason,
        mode=decided.mode,
        evidence=decided.evidence,
        inflight=decided.inflight,
        decided_at=format_rfc3339(decided.at_ms),
        valid_until=format_rfc3339(decided.valid_until_ms),
        dry_run=dry_run,
    )
