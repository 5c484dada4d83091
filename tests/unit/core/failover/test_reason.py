"""Why a channel was switched: in the words of what tripped it."""

import pytest

from monitor.core.failover.breaker import ChannelSpeed
from monitor.core.failover.controller import Controller
from monitor.model.settings import ChannelSettings, FailoverSettings, Settings
from monitor.model.times import HOUR_MS
from monitor.web.words_en import TEXTS as ENGLISH
from monitor.web.words_zh import TEXTS as CHINESE

NOW_MS = 1_000 * HOUR_MS
SETTINGS = Settings(
    channels=(ChannelSettings("a"), ChannelSettings("b")), failover=FailoverSettings(mode="enforce")
)


@pytest.mark.parametrize(
    ("slow", "ratio", "reason"),
    [
        (20, None, "four_slow_in_a_row"),  # not learned yet
        (4, 0.4, "four_slow_in_a_row"),
        (1, 1.2, "stalled"),
        (20, 3.0, "stalled"),
        (3, 0.8, "stalled"),  # three are no streak, so it is an alarm that has not ended yet
    ],
)
def test_reason_is_what_the_evidence_shows(slow: int, ratio: float | None, reason: str) -> None:
    """A chart in alarm is called a stall, a streak of slow orders by its name."""
    speeds = {
        "a": ChannelSpeed("a", 60_000, True, slow, 20, 0, 5, cusum_ratio=ratio),
        "b": ChannelSpeed("b", 60_000, False, 0, 20, 0, 0),
    }
    decided = Controller(SETTINGS).decide(speeds, NOW_MS, asked_by={})
    assert decided is not None
    assert decided.reason == reason
    for words in (ENGLISH, CHINESE):
        assert f"route.reason.{reason}" in words
