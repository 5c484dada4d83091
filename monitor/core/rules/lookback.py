"""How far rules look back, and thus how long judged orders stay in memory.

Only windows over order rows cost memory: budgets, arrivals and callbacks are counted per interval.
"""

from __future__ import annotations

import msgspec

from monitor.core.rules.parse import signals_in
from monitor.model.rules import SIDE_SIGNALS, Rule, RuleSet
from monitor.model.settings import Settings


def settings_for(settings: Settings, rules: RuleSet) -> Settings:
    """Keep judged orders in memory for as long as the longest window of the rules looks back."""
    longest = max((_window_ms(rule) for rule in rules.rules), default=0)
    return msgspec.structs.replace(
        settings, signal_window_ms=max(settings.signal_window_ms, longest)
    )


def _window_ms(rule: Rule) -> int:
    nodes = [rule.expr] if rule.resolve_when is None else [rule.expr, rule.resolve_when]
    windows = [
        signal.window
        for node in nodes
        for signal in signals_in(node)
        if signal.name not in SIDE_SIGNALS
    ]
    return max((max(one.span_ms, one.max_ms) for one in windows if one is not None), default=0)
