"""Times of Chinese payment systems: written without a zone, always those of Beijing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_BEIJING = timedelta(hours=8)  # China has no summer time


def beijing_ms(written: str) -> int | None:
    """UTC ms of `2026-11-20 10:00:08`; None for what is no such time."""
    try:
        local = datetime.fromisoformat(written)
    except ValueError:
        return None
    if local.tzinfo is not None or local.year < 2000:
        return None
    return int((local - _BEIJING).replace(tzinfo=UTC).timestamp() * 1000)
