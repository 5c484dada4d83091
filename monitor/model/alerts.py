"""An alert: one rule on one set of labels, and where it stands."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class AlertState(StrEnum):
    """inactive ► pending ► firing ► inactive; `resolved` is the message, not a resting state."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"


class Evidence(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a verdict rests on: `k` of `n`, tail probability `p`, the limit, and the gate passed."""

    value: float | None = None
    limit: float | None = None
    k: int | None = None
    n: int | None = None
    p: float | None = None
    signal: str = ""


class Alert(msgspec.Struct, frozen=True, omit_defaults=True):
    """One alert instance. `labels` are sorted pairs, `reason` explains the latest transition."""

    rule: str
    labels: tuple[tuple[str, str], ...]
    state: str
    severity: str
    reason: str = ""
    pending_ms: int | None = None
    firing_ms: int | None = None
    resolved_ms: int | None = None
    last_true_ms: int | None = None
    notified_ms: int | None = None  # when the firing message was queued; it obliges a resolved one
    evidence: Evidence = Evidence()

    @property
    def key(self) -> str:
        """Identity: rule and labels, e.g. `DelayedOver2Percent{channel=auto}`."""
        return self.rule + "{" + ",".join(f"{name}={value}" for name, value in self.labels) + "}"
