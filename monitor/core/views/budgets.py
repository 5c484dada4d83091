"""Error budgets of the configured objectives: what is left, how fast it goes, when it is gone."""

from __future__ import annotations

import msgspec

from monitor.core.engine import Engine
from monitor.model.rules import Slo, Window
from monitor.model.times import SECOND_MS, format_duration, parse_duration

BURN_WINDOWS = ("5m", "1h", "6h", "1d", "3d")


class BurnView(msgspec.Struct, frozen=True):
    """`rate` 1 uses the budget up exactly at the end of its window; null without judged orders."""

    rate: float | None
    bad: int
    judged: int


class SloView(msgspec.Struct, frozen=True):
    """One objective of one scope. `budget_remaining` is a share, negative when overspent.

    `state` is insufficient below `min_count` judged orders, else ok or exhausted.
    `time_to_exhaustion_s` is at the pace of the last 6 h; null if it never comes or cannot be said.
    """

    slo: str
    scope: str
    objective: float
    metric: str
    window: str
    judged: int
    bad: int
    budget_remaining: float | None
    state: str
    burn_rates: dict[str, BurnView]
    time_to_exhaustion_s: float | None


def slos(engine: Engine, now_ms: int, *, by_channel: bool = False) -> list[SloView]:
    """Every objective for all orders and, `by_channel`, for each channel that was ever judged."""
    names = engine.shard.tallies.budgets.channels if by_channel else ()
    return [
        _view(engine, slo, channel, now_ms)
        for slo in engine.control.rules.slos
        for channel in (None, *names)
    ]


def burn_rates(
    engine: Engine, slo: Slo, now_ms: int, channel: str | None = None
) -> dict[str, BurnView]:
    """How fast the budget is used up, by window."""
    book = engine.shard.tallies.budgets
    found = {}
    for text in BURN_WINDOWS:
        spent = book.burn(slo, Window(span_ms=parse_duration(text)), now_ms, channel)
        found[text] = BurnView(spent.value, spent.k, spent.n)
    return found


def _view(engine: Engine, slo: Slo, channel: str | None, now_ms: int) -> SloView:
    book = engine.shard.tallies.budgets
    left = book.budget_remaining(slo, now_ms, channel)
    gone_ms = book.time_to_exhaustion(slo, now_ms, channel)
    return SloView(
        slo=slo.name,
        scope=channel or "all",
        objective=slo.objective,
        metric=slo.metric,
        window=format_duration(slo.window_ms),
        judged=left.n,
        bad=left.k,
        budget_remaining=left.value,
        state=_state(left.value, is_enough=left.n >= slo.min_count),
        burn_rates=burn_rates(engine, slo, now_ms, channel),
        time_to_exhaustion_s=None if gone_ms is None else gone_ms / SECOND_MS,
    )


def _state(left: float | None, *, is_enough: bool) -> str:
    if left is None or not is_enough:
        return "insufficient"
    return "exhausted" if left <= 0 else "ok"
