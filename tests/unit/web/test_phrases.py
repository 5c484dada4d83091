"""Numbers, times and names as people read them."""

import pytest

from monitor.web.language import Words
from monitor.web.phrases import Phrases, adding_up, visible
from tests.unit.web.story import NOON_MS

ENGLISH = Phrases(Words("en"), "Asia/Shanghai", NOON_MS)
CHINESE = Phrases(Words("zh-CN"), "Asia/Shanghai", NOON_MS)


@pytest.mark.parametrize(
    ("seconds", "english", "chinese"),
    [
        (0.0, "0s", "0秒"),
        (59.999, "59s", "59秒"),
        (60.0, "1m", "1分钟"),
        (200.0, "3m 20s", "3分钟20秒"),
        (3_600.0, "1h", "1小时"),
        (3_605.0, "1h", "1小时"),
        (7_500.0, "2h 5m", "2小时5分钟"),
        (187_200.0, "2d 4h", "2天4小时"),
        (-5.0, "0s", "0秒"),
    ],
)
def test_duration_has_at_most_two_units(seconds: float, english: str, chinese: str) -> None:
    """The largest unit and the next one, rounded down: no age is ahead of its time."""
    assert ENGLISH.duration(seconds) == english
    assert CHINESE.duration(seconds) == chinese


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.84, "0.9s"), (8.0, "8s"), (8.01, "8.1s"), (9.99, "10s"), (62.2, "1m 3s")],
)
def test_delay_is_rounded_up_and_has_tenths_below_ten_seconds(seconds: float, said: str) -> None:
    """A delay said is a delay kept."""
    assert ENGLISH.delay(seconds) == said


def test_moment_is_in_the_shops_zone_and_dated_when_not_today() -> None:
    """04:00 UTC is noon in Shanghai; yesterday evening carries its date."""
    today, yesterday = ENGLISH.moment(NOON_MS), ENGLISH.moment(NOON_MS - 43_200_000 - 1_000)
    assert (today.short, today.iso) == ("12:00:00", "2026-01-05T04:00:00Z")
    assert today.full == "2026-01-05 12:00:00 Asia/Shanghai"
    assert yesterday.short == "2026-01-04 23:59"


@pytest.mark.parametrize("zone", ["Atlantis/Capital", "", "../../etc/passwd"])
def test_unknown_zone_shows_utc_and_says_so(zone: str) -> None:
    """A machine without zone data still has a page, with times that are true."""
    phrases = Phrases(Words("en"), zone, NOON_MS)
    assert phrases.moment(NOON_MS).short == "04:00:00"
    assert phrases.zone_name == "UTC"


def test_rounded_parts_still_add_up() -> None:
    """Thirds of 1,000 are 334, 333, 333; zeros stay zero."""
    assert adding_up([1000 / 3] * 3, 1_000) == [334, 333, 333]
    assert adding_up([999.6, 0.4, 0.0], 1_000) == [1_000, 0, 0]
    assert adding_up([1_000.0], 1_000) == [1_000]


def test_name_cannot_hide_or_turn_the_text_around() -> None:
    """Bidirectional overrides, zero-width and control characters become visible; letters stay."""
    assert visible("A\u202e1\u200b\x00\ud800") == "A\ufffd1\ufffd\ufffd\ufffd"
    assert visible("订单 Ä-1 🔑") == "订单 Ä-1 🔑"
