"""What a turn of the loop writes, as the store takes it: segments of the log, rows of the outbox."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from monitor.model.batches import BatchCancelled, BatchOrdered
from monitor.model.effects import REPEATS, Effect, SwitchChannel, effect_encoder
from monitor.model.events import OrderEvent
from monitor.model.records import (
    ActionOrdered,
    CaseMoved,
    CaseResolved,
    ChannelSteered,
    ClockSetBack,
    Entry,
    Gauged,
    ReviewOrdered,
    SelfAudited,
    StockCounted,
    SwitchOrdered,
    record_encoder,
)
from monitor.model.times import DAY_MS
from monitor.ports import OutboxRow, Segment
from monitor.runtime.lanes import lane_of

EFFECT_EXPIRES_MS = DAY_MS

_WITHOUT_EFFECT = (
    ActionOrdered,
    BatchOrdered,
    BatchCancelled,
    OrderEvent,
    SwitchOrdered,
    ChannelSteered,
    ReviewOrdered,
    CaseResolved,
    StockCounted,
    Gauged,
    SelfAudited,
    ClockSetBack,
)


def segment_of(kind: str, records: Sequence[msgspec.Struct]) -> Segment:
    """What one group commit writes to the log."""
    times = [
        record.received_ms if type(record) is OrderEvent else _at_ms(record) for record in records
    ]
    return Segment(
        kind=kind,
        count=len(records),
        first_ms=min(times),
        last_ms=max(times),
        body=record_encoder.encode_lines(records),
    )


def _at_ms(record: msgspec.Struct) -> int:
    if type(record) is CaseMoved:
        return record.at_ms  # by far the most of all decisions
    names = ("received_ms", "decided_ms", "at_ms")
    return int(next(filter(None, (getattr(record, name, 0) for name in names)), 0))


def closed_effects(entries: Sequence[Entry]) -> tuple[str, ...]:
    """Outbox keys that the answers among the entries close."""
    others = [entry for entry in entries if type(entry) is not OrderEvent]  # nearly always none
    return tuple(entry.effect_key for entry in others if not isinstance(entry, _WITHOUT_EFFECT))


def outbox_row(effect: Effect) -> OutboxRow:
    """An effect as it waits in the outbox."""
    at_ms = int(getattr(effect, "at_ms", 0))
    expires_ms = at_ms + EFFECT_EXPIRES_MS if at_ms else None
    if isinstance(effect, SwitchChannel):
        expires_ms = effect.valid_until_ms
    return OutboxRow(
        key=effect.key,
        lane=lane_of(effect),
        body=effect_encoder.encode(effect),
        due_ms=at_ms,
        is_repeatable=REPEATS[type(effect)],
        expires_ms=expires_ms,
    )
