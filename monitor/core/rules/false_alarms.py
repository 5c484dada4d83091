"""`max_false_alarms: 1/30d` as a confidence: how sure one look must be if there are so many of them.

A rule is looked at every few seconds, but one look says nearly the same as the one before it: their
windows hold the same orders. What is new comes with the window, so a period has as many independent
looks as windows fit into it, the shortest of the rule's tested signals deciding:

    looks = period / window        confidence = 1 - allowed / looks

`1/30d` over `[10m:20:6h]` is 4320 looks, confidence 0.99977. An adaptive window that reaches further
back makes it stricter than asked; a sliding window has somewhat more chances than its count says, so
the number is a budget and not a guarantee. It is per instance of the rule: a rule split by channel
has it for each. Signals without such a test (a mean, a chart with a learned limit) cannot be tuned.
"""

from __future__ import annotations

import re

from monitor.core.rules.parse import signals_in
from monitor.core.rules.signals import JUDGED_WINDOW
from monitor.model.rules import QUANTILES, RATIOS, Node
from monitor.model.times import parse_duration

TESTED = (*RATIOS, *QUANTILES, "burn_rate")  # signals whose `>` needs a binomial tail
_FORM = re.compile(r"([0-9]{1,6})\s*/\s*([0-9][0-9a-z.]{0,20})")
_MISS_MIN, _MISS_MAX = 1e-9, 0.5


def parse_false_alarms(text: str) -> tuple[int, int]:
    """Read `1/30d` as how many per how many ms. Raises: ValueError naming the form."""
    match = _FORM.fullmatch(text.strip())
    try:
        allowed, period_ms = (int(match[1]), parse_duration(match[2])) if match else (0, 0)
    except ValueError:
        allowed, period_ms = 0, 0
    if allowed < 1 or period_ms < 1:
        raise ValueError("must be a number per time such as 1/30d")
    return allowed, period_ms


def confidence_for(allowed: int, period_ms: int, expr: Node) -> float | None:
    """Confidence of each look, 0.5 … 1 - 1e-9; None when nothing in the rule is tested."""
    windows = [
        signal.window or JUDGED_WINDOW for signal in signals_in(expr) if signal.name in TESTED
    ]
    if not windows:
        return None
    # `[last 50]` has no time; it is taken for a window of the default length.
    window_ms = min(window.span_ms or JUDGED_WINDOW.span_ms for window in windows)
    miss = allowed * window_ms / period_ms
    return round(1.0 - min(max(miss, _MISS_MIN), _MISS_MAX), 12)
