"""The health card: a number whose parts add up, or the word for why there is none."""

from monitor.core.signals.health import HealthSums, health_from_sums
from monitor.web.health import HealthCard, health_card
from monitor.web.language import Words
from monitor.web.phrases import Phrases
from tests.unit.web.story import NOON_MS

UNIT = 1_000_000_000


def card(sums: HealthSums) -> HealthCard:
    phrases = Phrases(Words("en"), "UTC", NOON_MS)
    return health_card(health_from_sums(sums), 900_000, phrases)


def test_shown_parts_add_up_to_a_hundred() -> None:
    """Of seven orders one failed and a third of one is lost waiting: 81.0 kept, 4.7 and 14.3 lost."""
    shown = card(HealthSums(failed=UNIT, pending_l1=UNIT // 3, n=7))
    assert shown.value == "81.0"
    assert [(part.name, part.points) for part in shown.parts] == [
        ("kept", "81.0"),
        ("pending_l1", "4.7"),
        ("failed", "14.3"),
    ]
    assert [part.start for part in shown.parts] == [0.0, 81.0, 85.7]


def test_word_follows_the_limits_of_the_shipped_rule() -> None:
    """From 85 healthy, from 70 strained, below in trouble: each has its own word and tone."""
    found = [card(HealthSums(failed=lost * UNIT, n=100)) for lost in (15, 16, 30, 31)]
    assert [(one.word, one.tone) for one in found] == [
        ("Healthy", "good"),
        ("Strained", "warn"),
        ("Strained", "warn"),
        ("In trouble", "bad"),
    ]


def test_few_orders_give_a_number_that_says_so() -> None:
    """Four orders are no basis for "healthy"."""
    shown = card(HealthSums(n=4))
    assert (shown.value, shown.word, shown.tone) == ("100.0", "Little data", "quiet")
    assert "4 orders" in shown.detail


def test_no_orders_and_only_young_orders_give_no_number() -> None:
    """Never 100 out of nothing: the word is the reason."""
    idle, undecided = card(HealthSums()), card(HealthSums(n_undecided=3))
    assert (idle.value, idle.word, idle.parts) == (None, "No number", ())
    assert (undecided.value, undecided.word) == (None, "Undecided")
