"""One measured figure and what it must reach."""

from __future__ import annotations

import math
from typing import Literal

import msgspec


class Row(msgspec.Struct, frozen=True):
    """A figure of the table of `make bench`.

    `better` says on which side of `target` the figure must lie; `info` rows have no target. `note`
    names the comparison, seed and size, so that the figure can be understood alone.
    """

    group: str
    what: str
    value: float
    unit: str
    target: float | None = None
    better: Literal["lower", "higher", "info"] = "info"
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None for a row without one, False for NaN."""
        if self.target is None or self.better == "info":
            return None
        if math.isnan(self.value):
            return False
        return self.value <= self.target if self.better == "lower" else self.value >= self.target
