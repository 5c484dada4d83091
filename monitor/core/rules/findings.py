"""What a condition came to, for all instances of a rule at once.

A verdict is one small number that says outcome and reason together; `and`, `or` and `not` are
tables over these numbers. Evidence is not copied: each comparison keeps its arrays, and a finding
remembers which comparison speaks for which instance.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import IntEnum

import msgspec
import numpy as np

from monitor.core.rules.readings import Codes
from monitor.core.signals.arrays import BoolArray, FloatArray, IntArray, read_only
from monitor.core.signals.evidence import binomial_tail
from monitor.model.alerts import Evidence


class Verdict(IntEnum):
    """Outcome and reason. Among false ones the first says most, `BELOW` least."""

    TRUE = 0
    TRUE_BY_EVIDENCE = 1
    SHORT_OF_EVIDENCE = 2
    TRIMMED_MEAN = 3
    TRIMMED_HEALTH = 4
    BELOW = 5
    INSUFFICIENT = 6
    NO_DATA = 7


OUTCOMES = ("true", "true", "false", "false", "false", "false", "insufficient", "no_data")
REASONS = (
    "threshold",
    "evidence",
    "insufficient_evidence",
    "trimmed_mean",
    "trimmed_health",
    "below",
    "insufficient_evidence",
    "no_data",
)
_TRUE = (Verdict.TRUE, Verdict.TRUE_BY_EVIDENCE)
_FALSE = (
    Verdict.SHORT_OF_EVIDENCE,
    Verdict.TRIMMED_MEAN,
    Verdict.TRIMMED_HEALTH,
    Verdict.BELOW,
)


# Looking a member up in an enumeration costs as much as comparing a hundred numbers.
TRUE, PROVEN, SHORT, TRIMMED_MEAN, TRIMMED_HEALTH, BELOW, INSUFFICIENT, NO_DATA = (
    np.int8(one) for one in Verdict
)


class Finding(msgspec.Struct, frozen=True):
    """What a condition came to for one instance.

    `outcome`: true, false, insufficient, no_data. `reason`: threshold, evidence (true);
    insufficient_evidence, trimmed_mean, trimmed_health, below (false); insufficient_evidence, no_data (neither).
    """

    outcome: str
    reason: str
    evidence: Evidence = Evidence()


_NONE: IntArray = read_only(np.zeros(0, np.int64))


Limit = float | FloatArray
"""One number for all instances, or one for each."""


def at(limit: Limit, places: IntArray | int) -> Limit:
    """The limit of some instances, or of one."""
    return limit if isinstance(limit, float) else limit[places]


class Proof(msgspec.Struct, frozen=True, eq=False):
    """What one comparison rests on, by instance.

    Shapes: all arrays [instances]; NaN and None mean that there is nothing to say. `limit` is one
    number where it is the same for all. Without a `signal` both sides are calculated. `values` of
    percentiles are a function that works them out for some instances, for they are costly. With a `chance`, p is P(X >= k | n, chance) where the value is over the limit.
    """

    values: FloatArray | Callable[[IntArray], FloatArray]
    limit: Limit
    signal: str = ""
    k: IntArray | None = None
    n: IntArray | None = None
    p: FloatArray | None = None
    chance: Limit | None = None
    tested: IntArray = _NONE

    def at(self, index: int, verdict: int) -> Evidence:
        """The evidence of one instance; nothing that is not a finite number leaves here."""
        if not self.signal and verdict >= INSUFFICIENT:
            return Evidence()
        values = self.values
        value = values(np.array([index]))[0] if callable(values) else values[index]
        limit = float(at(self.limit, index))
        k = None if self.k is None else int(self.k[index])
        n = None if self.n is None else int(self.n[index])
        p = None if self.p is None else _finite(float(self.p[index]))
        if (
            self.chance is not None
            and index in self.tested.tolist()
            and k is not None
            and n is not None
        ):
            p = binomial_tail(k, n, float(at(self.chance, index)))
        return Evidence(_finite(float(value)), _finite(limit), k, n, p, self.signal)


class Findings(msgspec.Struct, frozen=True, eq=False):
    """Verdicts of one condition by instance.

    Shapes: verdicts int8[instances] of `Verdict`; `speaker` int16[instances] says which of the
    `proofs` stands for each, None means the first.
    """

    verdicts: Codes
    proofs: tuple[Proof, ...]
    speaker: IntArray | None = None

    @property
    def is_true(self) -> BoolArray:
        """Instances for which the condition holds."""
        return np.asarray(self.verdicts <= PROVEN)

    @property
    def is_false(self) -> BoolArray:
        """Instances for which it does not; the rest is unknown."""
        return np.asarray((self.verdicts >= SHORT) & (self.verdicts <= BELOW))

    @property
    def is_no_data(self) -> BoolArray:
        """Instances about which nothing is known, not even that orders are too few."""
        return np.asarray(self.verdicts == NO_DATA)

    def proof(self, index: int) -> Proof:
        """The comparison that speaks for an instance."""
        return self.proofs[0 if self.speaker is None else int(self.speaker[index])]

    def at(self, index: int) -> Finding:
        """The finding of one instance."""
        verdict = int(self.verdicts[index])
        evidence = self.proof(index).at(index, verdict)
        return Finding(OUTCOMES[verdict], REASONS[verdict], evidence)


def both(left: Findings, right: Findings) -> Findings:
    """Kleene's `and`: one false decides, else one unknown does."""
    return _joined(left, right, _AND)


def either(left: Findings, right: Findings) -> Findings:
    """Kleene's `or`: one true decides, else one unknown does."""
    return _joined(left, right, _OR)


def opposite(findings: Findings) -> Findings:
    """Kleene's `not`."""
    return msgspec.structs.replace(findings, verdicts=_NOT[findings.verdicts])


def unknown(count: int) -> Findings:
    """No data for each of so many instances: what cannot be evaluated changes nothing."""
    nothing = Proof(np.full(count, np.nan), math.nan)
    return Findings(np.full(count, NO_DATA), (nothing,))


def _joined(left: Findings, right: Findings, is_right: BoolArray) -> Findings:
    """Take each instance from the side that a table over both verdicts names."""
    chosen = is_right[left.verdicts, right.verdicts]
    verdicts = np.where(chosen, right.verdicts, left.verdicts)
    here = 0 if left.speaker is None else left.speaker
    there = len(left.proofs) + (0 if right.speaker is None else right.speaker)
    return Findings(verdicts, left.proofs + right.proofs, np.where(chosen, there, here))


def _and_is_right(left: Verdict, right: Verdict) -> bool:
    """Whether `left and right` is what its right side is."""
    if left in _FALSE or right in _FALSE:
        return right in _FALSE and (left not in _FALSE or right < left)
    if left in _TRUE and right in _TRUE:
        return right is Verdict.TRUE_BY_EVIDENCE and left is Verdict.TRUE
    return left in _TRUE


def _or_is_right(left: Verdict, right: Verdict) -> bool:
    """Whether `left or right` is what its right side is."""
    if left in _TRUE or right in _TRUE:
        return left not in _TRUE
    if left in _FALSE and right in _FALSE:
        return right < left
    return left in _FALSE


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


_AND: BoolArray = np.array([[_and_is_right(left, right) for right in Verdict] for left in Verdict])
_OR: BoolArray = np.array([[_or_is_right(left, right) for right in Verdict] for left in Verdict])
_NOT: Codes = np.array(
    [Verdict.BELOW if one in _TRUE else Verdict.TRUE if one in _FALSE else one for one in Verdict],
    np.int8,
)
