"""What may stand behind the name of a signal: its argument, its window, and the window it has unsaid."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.core.rules.tokens import ParseError
from monitor.model.rules import (
    ABSENCE_SIGNALS,
    BASELINED,
    BUDGET_SIGNALS,
    QUANTILES,
    RATIOS,
    Window,
)
from monitor.model.spelling import did_you_mean
from monitor.model.times import HOUR_MS, MINUTE_MS

ARGUMENT_MAX = 128
ARGUMENTS = {
    "burn_rate": "the name of an SLO, such as burn_rate(delivery, 1h)",
    "budget_remaining": "the name of an SLO, such as budget_remaining(delivery)",
    "stock": 'a SKU, such as stock(card-10) or stock("card 10")',
    "baseline": "the name of a signal, such as baseline(p95_delay)",
}

WINDOWLESS = (
    "oldest_age",
    "open_orders",
    "consecutive_late",
    "source_age",
    "source_silent",
    "cusum_ratio",
    "speed_ratio",
    "budget_remaining",  # its window is that of the objective
    "stock",
    "baseline",
    *ABSENCE_SIGNALS,
    "wallet",
    "wallet_left",
    "webhook_state",
    "stock_gap",
)
JUDGED_WINDOW = Window(span_ms=10 * MINUTE_MS, min_orders=20, max_ms=6 * HOUR_MS)
FLOW_WINDOW = Window(span_ms=10 * MINUTE_MS)
BURN_WINDOW = Window(span_ms=HOUR_MS)


def default_window(signal: str) -> Window | None:
    """Give the window of a signal without one; None: the signal knows best itself."""
    if signal in RATIOS or signal in QUANTILES or signal == "mean_delay":
        return JUDGED_WINDOW
    if signal == "burn_rate":
        return BURN_WINDOW
    return FLOW_WINDOW if signal in ("orders", "throughput") else None


def check_argument(signal: str, argument: str, column: int, slos: Sequence[str] | None) -> None:
    """Let an argument pass that the signal can be asked about. Raises: ParseError."""
    if not 0 < len(argument) <= ARGUMENT_MAX:
        raise ParseError(f"an argument has 1 to {ARGUMENT_MAX} characters", column)
    if signal == "baseline" and argument not in BASELINED:
        listed = unknown("signal", argument, BASELINED)
        raise ParseError(f"{listed} (learned are {', '.join(BASELINED)})", column)
    if signal in BUDGET_SIGNALS and slos is not None and argument not in slos:
        known = f"known are {', '.join(slos)}" if slos else "no rule file has a section 'slos'"
        raise ParseError(f"{unknown('SLO', argument, slos)} ({known})", column)


def unknown(kind: str, word: str, known: Sequence[str]) -> str:
    """Say that a word is not known, and which one was probably meant."""
    hint = did_you_mean(word, known)
    return f"unknown {kind} '{word}'" + (f"; {hint}" if hint else "")
