"""Quiet hours by the clock of the shop."""

import pytest

from monitor.core.playbooks.quiet import quiet_until_ms
from monitor.model.playbooks import QuietHours

HOUR_MS = 3_600_000
NIGHT, NOON = QuietHours(23 * 60, 8 * 60), QuietHours(12 * 60, 13 * 60)
SHANGHAI = ((0, 8 * HOUR_MS),)


@pytest.mark.parametrize(
    ("hours", "utc_h", "until_h"),
    [
        (NIGHT, 14.99, None),  # 22:59 in Shanghai
        (NIGHT, 15, 24),  # 23:00: until 08:00, which is midnight in UTC
        (NIGHT, 23.5, 24),
        (NIGHT, 24, None),
        (NOON, 4, 5),
        (NOON, 5, None),
        (None, 15, None),
    ],
)
def test_buyer_is_told_when_the_night_is_over(
    hours: QuietHours | None, utc_h: float, until_h: float | None
) -> None:
    """The first minute is quiet, the last moment is not."""
    until_ms = None if until_h is None else round(until_h * HOUR_MS)
    assert quiet_until_ms(hours, SHANGHAI, round(utc_h * HOUR_MS)) == until_ms


def test_night_in_which_the_clock_is_set_ends_by_the_new_time() -> None:
    """An hour is skipped at 02:00: 08:00 comes an hour sooner."""
    offsets = ((0, 0), (26 * HOUR_MS, HOUR_MS))
    assert quiet_until_ms(NIGHT, offsets, 23 * HOUR_MS) == 31 * HOUR_MS
