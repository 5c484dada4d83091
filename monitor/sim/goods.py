"""Our own goods in a simulation: the local key pool and the vault, which survive every crash.

They keep the promises of `adapters/vault` and `adapters/channels/stock` without a disk: a unit goes
to one attempt at most, and an attempt that was locked away hands out nothing for ever.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable


class Goods:
    """Units of the pool and what attempts obtained, by attempt reference."""

    def __init__(self, units: Iterable[str]) -> None:
        self._free = deque(units)
        self._held: dict[str, tuple[str, ...]] = {}
        self._locked: dict[str, None] = {}

    def store(self, attempt_ref: str, goods: tuple[str, ...]) -> None:
        """Keep what an attempt obtained; the first goods of an attempt stay."""
        self._held.setdefault(attempt_ref, goods)

    def reserve(self, attempt_ref: str) -> tuple[str, ...]:
        """Give the attempt a unit, always the same one; empty when there is none for it."""
        if attempt_ref in self._locked:
            return ()
        if attempt_ref not in self._held and self._free:
            self._held[attempt_ref] = (self._free.popleft(),)
        return self._held.get(attempt_ref, ())

    def held_or_barred(self, attempt_ref: str) -> tuple[str, ...]:
        """What the attempt holds; one that holds nothing never will."""
        if attempt_ref not in self._held:
            self._locked[attempt_ref] = None
        return self._held.get(attempt_ref, ())

    def to_hand_over(self, attempt_ref: str) -> tuple[str, ...]:
        """The goods for the shop; empty when they are locked away or never came."""
        return () if attempt_ref in self._locked else self._held.get(attempt_ref, ())

    def lock_away(self, attempt_ref: str) -> None:
        """Never hand these out."""
        self._locked[attempt_ref] = None

    def is_locked(self, attempt_ref: str) -> bool:
        """Whether the goods of the attempt are locked away."""
        return attempt_ref in self._locked
