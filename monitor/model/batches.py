"""One word of a person for many late orders: what it asks for, of which orders, and from when on."""

from __future__ import annotations

from enum import StrEnum

import msgspec

ORDERS_MAX = 1_000  # of one batch; more need a second one, and a second look


class BatchAction(StrEnum):
    """What is done for each order."""

    RETRY = "retry"  # the shop tries its own delivery again
    TAKEOVER = "takeover"  # the fallback executor delivers
    REFUND = "refund"
    NOTIFY = "notify"  # the buyer is told


IRREVERSIBLE = (BatchAction.REFUND, BatchAction.NOTIFY)


class BatchOrdered(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t", tag="op_batch"):
    """A person's order; nothing leaves before `starts_ms`, until then it can be taken back whole."""

    batch_id: str
    action: str
    orders: tuple[str, ...]
    actor: str
    at_ms: int
    starts_ms: int
    reason: str = ""


class BatchCancelled(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t", tag="op_batch_cancel"
):
    """A person takes a batch back: whatever of it has not begun never will."""

    batch_id: str
    actor: str
    at_ms: int


class Batch(msgspec.Struct, frozen=True, omit_defaults=True):
    """A batch as it stands: `refused` says of which orders nothing was begun, and why."""

    ordered: BatchOrdered
    begun_ms: int | None = None
    cancelled_ms: int | None = None
    refused: dict[str, str] = {}

    @property
    def is_waiting(self) -> bool:
        """Whether it can still be taken back whole."""
        return self.begun_ms is None and self.cancelled_ms is None


class BatchMoved(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t", tag="batch"):
    """A batch was begun, or taken back; carries it as it is now."""

    batch: Batch
    at_ms: int
