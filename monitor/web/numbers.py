"""The key numbers of the page; one that cannot be known is a dash with the reason."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from monitor.core.views.fleet import SourceStatus
from monitor.core.views.orders import OrderLine
from monitor.core.views.signals import SignalsView
from monitor.model.times import SECOND_MS
from monitor.web.phrases import Phrases, visible


class KeyNumber(msgspec.Struct, frozen=True):
    """A number, what it is and what it rests on."""

    label: str
    value: str
    detail: str
    tone: str = "plain"


def key_numbers(
    signals: SignalsView,
    lines: Sequence[OrderLine],
    late: int,
    sources: Sequence[SourceStatus],
    phrases: Phrases,
    *,
    window_ms: int,
    promise_s: float,
) -> list[KeyNumber]:
    """Late share, percentiles, longest wait, open orders, sources; `lines` are all that wait.

    A percentile beyond `promise_s`, the usual promise, is worth a look.
    """
    window = phrases.duration(window_ms / SECOND_MS)
    return [
        _late(signals, window, phrases),
        _percentile(signals, "p50", window, promise_s, phrases),
        _percentile(signals, "p95", window, promise_s, phrases),
        _oldest(lines, phrases),
        KeyNumber(
            phrases.words("open"),
            str(len(lines)),
            phrases.words("open.more", n=late),
            "warn" if late else "plain",
        ),
        _heard(sources, phrases),
    ]


def _late(signals: SignalsView, window: str, phrases: Phrases) -> KeyNumber:
    words = phrases.words
    if signals.delayed_ratio is None or signals.delayed_ratio_interval is None:
        detail = words("late.none", window=window)
        return KeyNumber(words("late"), words("none"), detail)
    low, high = signals.delayed_ratio_interval
    return KeyNumber(
        words("late"),
        words("of", k=signals.breached, n=signals.judged),
        words(
            "late.more",
            share=phrases.percent(signals.delayed_ratio),
            window=window,
            low=phrases.percent(low),
            high=phrases.percent(high),
        ),
        "warn" if signals.breached else "plain",
    )


def _percentile(
    signals: SignalsView, name: str, window: str, promise_s: float, phrases: Phrases
) -> KeyNumber:
    words = phrases.words
    if signals.n_events + signals.n_censored == 0:
        return KeyNumber(words(name), words("none"), words("delay.none", window=window))
    found = signals.delay_s[name]
    tone = "warn" if found.lower_bound > promise_s else "plain"
    if found.value is None:
        bound = words("at_least", value=phrases.duration(found.lower_bound))
        return KeyNumber(words(name), bound, words("delay.unreached"), tone)
    detail = words("delay.more", window=window)
    return KeyNumber(words(name), phrases.delay(found.value), detail, tone)


def _oldest(lines: Sequence[OrderLine], phrases: Phrases) -> KeyNumber:
    words = phrases.words
    if not lines:
        return KeyNumber(words("oldest"), words("none"), words("oldest.none"))
    oldest = max(lines, key=lambda line: line.age_s)
    detail = words("oldest.more", order=visible(oldest.order_id))
    is_late = oldest.breach_in_s is not None and oldest.breach_in_s < 0
    tone = "warn" if is_late else "plain"
    return KeyNumber(words("oldest"), phrases.duration(oldest.age_s), detail, tone)


def _heard(sources: Sequence[SourceStatus], phrases: Phrases) -> KeyNumber:
    """How many of the sources speak, and when one spoke last; a silent one is said loudly."""
    words = phrases.words
    ages = [source.age_s for source in sources if source.age_s is not None]
    if not ages:
        return KeyNumber(words("heard"), words("none"), words("source.waiting"))
    silent = sum(source.silent for source in sources)
    detail = words("heard.last", ago=words("ago", age=phrases.duration(min(ages))))
    if silent:
        detail += words("heard.silent", n=silent)
    heard = words("of", k=len(ages) - silent, n=len(sources))
    return KeyNumber(words("heard"), heard, detail, "warn" if silent else "plain")
