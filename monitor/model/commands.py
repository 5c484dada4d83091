"""The two sides of the core's one door: what goes in, and what comes out.

`Engine.handle(input, now_ms) -> list[Command]`.
"""

from __future__ import annotations

import msgspec

from monitor.model.effects import Effect
from monitor.model.records import Decision, Entry

# --- in -------------------------------------------------------------------------------------------


class Batch(msgspec.Struct, frozen=True):
    """Facts, answers and instructions that were logged together; folded whole, then judged."""

    entries: tuple[Entry, ...]


class Tick(msgspec.Struct, frozen=True):
    """Time passed: judge deadlines, evaluate rules that are due."""


Input = Batch | Tick

# --- out ------------------------------------------------------------------------------------------


class Accepted(msgspec.Struct, frozen=True):
    """What became of each entry of the batch, in its order: accepted, duplicate or refused."""

    outcomes: tuple[str, ...]


class Decide(msgspec.Struct, frozen=True):
    """A decision to be logged, already applied to the state."""

    decision: Decision


class Perform(msgspec.Struct, frozen=True):
    """An effect to be queued in the outbox, in the same transaction as the decisions."""

    effect: Effect


class Cancel(msgspec.Struct, frozen=True):
    """An effect that no longer makes sense; dropped from the outbox unless already under way."""

    effect_key: str


class Rewind(msgspec.Struct, frozen=True):
    """Our clock was ahead, by `by_ms`: what waits in the outbox becomes due by so much earlier."""

    at_ms: int
    by_ms: int


class WakeAt(msgspec.Struct, frozen=True):
    """Call me with a `Tick` at this time even if nothing happens."""

    at_ms: int


Command = Accepted | Decide | Perform | Cancel | Rewind | WakeAt
