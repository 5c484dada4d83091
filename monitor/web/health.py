"""The health index on the page: a number or the word for why there is none, and its parts."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from monitor.core.signals.health import COMPONENTS, HealthIndex
from monitor.model.times import SECOND_MS
from monitor.web.phrases import Phrases, adding_up

GOOD_FROM = 85.0  # the shipped rule HealthIndexLow fires below 70 and resolves above 85
WARN_FROM = 70.0

KEPT = "kept"


class HealthPart(msgspec.Struct, frozen=True):
    """One part of 100: its words, its points with one decimal, and its place on the bar."""

    name: str
    label: str
    points: str
    start: float
    width: float


class HealthCard(msgspec.Struct, frozen=True):
    """The number (None: there is none), the word for it, why, and parts that add up to 100.0."""

    value: str | None
    word: str
    tone: str
    detail: str
    window: str
    parts: Sequence[HealthPart]


def health_card(index: HealthIndex, window_ms: int, phrases: Phrases) -> HealthCard:
    """Put the index into words; only parts that are there are listed."""
    words = phrases.words
    window = words("health.window", window=phrases.duration(window_ms / SECOND_MS))
    if index.value is None:
        detail = words(f"health.{index.state}.more")
        return HealthCard(None, words(f"health.{index.state}"), "quiet", detail, window, ())
    parts = _parts(index, phrases)
    if index.state == "low_data":
        detail = words("health.low_data.more", n=index.n)
        return HealthCard(parts[0].points, words("health.low_data"), "quiet", detail, window, parts)
    tone = _tone(index.value)
    low, high = index.band or (0.0, 100.0)
    detail = words("health.band", n=index.n, low=f"{low:.0f}", high=f"{high:.0f}")
    return HealthCard(parts[0].points, words(f"health.ok.{tone}"), tone, detail, window, parts)


def _tone(value: float) -> str:
    if value >= GOOD_FROM:
        return "good"
    return "warn" if value >= WARN_FROM else "bad"


def _parts(index: HealthIndex, phrases: Phrases) -> list[HealthPart]:
    assert index.value is not None
    kept = round(10 * index.value)  # as everybody rounds it; the losses share the rest
    lost = adding_up([10 * index.components[name] for name in COMPONENTS], 1_000 - kept)
    parts, start = [], 0
    for name, tenths in zip((KEPT, *COMPONENTS), (kept, *lost), strict=True):
        if name == KEPT or index.components[name] > 0.0:
            label = phrases.words(f"health.{name}")
            parts.append(HealthPart(name, label, f"{tenths / 10:.1f}", start / 10, tenths / 10))
        start += tenths
    return parts
