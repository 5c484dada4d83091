"""Why a condition came out as it did: the condition as a tree, each part with what it rests on."""

from __future__ import annotations

import msgspec


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One part of a condition as it was judged for one instance.

    `text` is the part as a rule would write it. `outcome`: true, false, insufficient, no_data;
    `reason` as in a finding. `and`, `or`, `not` have `parts`; a comparison has the reading: `value`
    and `limit` in the signal's `unit` (seconds, 0..1, count, score), `k` of `n` orders, `p`, and
    `window_s`, how far back the window reached.

    `gate` is what a value over its limit had to pass, `found` what was there, `needed` the bound:
    `evidence` (p, at most), `trimmed_mean` (seconds without the worst 5 %, against the limit),
    `trimmed_health` (the index without the worst 5 %, against the limit), `min_count` (orders, at
    least), `own_evidence` (the signal's own test, p where it has one). Where a comparison has no
    data `missing` names what is not known.
    """

    text: str
    outcome: str
    reason: str = ""
    signal: str = ""
    unit: str = ""
    value: float | None = None
    limit: float | None = None
    k: int | None = None
    n: int | None = None
    p: float | None = None
    window_s: float | None = None
    gate: str = ""
    found: float | None = None
    needed: float | None = None
    missing: str = ""
    parts: tuple[Step, ...] = ()
