"""What is normal is learned of a few channels per look, each in its turn."""

from monitor.core.engine import Engine
from monitor.core.learning import PER_LOOK, Learning
from monitor.core.orders.tallies import Tallies
from monitor.core.signals.charts import Charts
from monitor.core.signals.paces import Paces
from monitor.model.commands import Tick, WakeAt
from monitor.model.ids import ALL_ORDERS
from monitor.model.records import BaselineLearned
from monitor.model.rules import RuleSet
from monitor.model.settings import Settings
from monitor.model.times import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS

MONDAY = 1_767_571_200_000
CHANNELS = tuple(f"c{index:02}" for index in range(3 * PER_LOOK))
EVERYBODY = {ALL_ORDERS, *CHANNELS}


def count_a_day(paces: Paces, from_ms: int, channels: tuple[str, ...] = CHANNELS) -> None:
    """An order an hour of every channel."""
    for hour in range(24):
        for channel in channels:
            paces.add(channel, from_ms + hour * HOUR_MS, 8_000)


def looks(learning: Learning, tallies: Tallies, from_ms: int, every_ms: int) -> list[list[str]]:
    """Whose baseline is learned in each of ten looks."""
    found: list[list[str]] = []
    for step in range(10):
        found.append([])
        for decision in learning.learn(tallies, Charts(), from_ms + step * every_ms):
            assert isinstance(decision, BaselineLearned)
            learning.apply(decision)
            found[-1].append(decision.baseline.channel)
    return [list(dict.fromkeys(one)) for one in found]  # a first look and its learning are one turn


def test_no_look_learns_more_than_a_few_channels_and_each_has_its_turn() -> None:
    """The first learning of all, and again a day later when every baseline is due at once."""
    learning, tallies = Learning(()), Tallies()
    for day in range(2):
        count_a_day(tallies.paces, MONDAY + day * DAY_MS)
        now_ms = MONDAY + (day + 1) * DAY_MS + HOUR_MS + MINUTE_MS
        found = looks(learning, tallies, now_ms, 5 * SECOND_MS)
        assert [len(one) for one in found] == [PER_LOOK] * 3 + [1] + [0] * 6
        assert found[0][0] == ALL_ORDERS
        assert {name for one in found for name in one} == EVERYBODY
        assert not learning.is_behind


def test_channels_that_wait_come_first_however_seldom_somebody_looks() -> None:
    """One look an hour, in which new channels turn up before the others: nobody starves."""
    learning, tallies = Learning(()), Tallies()
    count_a_day(tallies.paces, MONDAY)
    now_ms = MONDAY + DAY_MS + HOUR_MS
    first = looks(learning, tallies, now_ms, HOUR_MS)[:4]
    assert {name for one in first for name in one} == EVERYBODY


def test_shop_where_nobody_waits_is_looked_at_until_everybody_was_learned() -> None:
    """An idle shop has one look an hour, but not while channels wait to be learned."""
    engine = Engine(Settings(), RuleSet())
    count_a_day(engine.shard.tallies.paces, MONDAY)
    now_ms = start_ms = MONDAY + DAY_MS + HOUR_MS + MINUTE_MS
    while now_ms < start_ms + MINUTE_MS:
        (wake,) = [one for one in engine.handle(Tick(), now_ms) if isinstance(one, WakeAt)]
        now_ms = wake.at_ms
    assert set(engine.control.baselines) == EVERYBODY
    assert now_ms == MONDAY + DAY_MS + 2 * HOUR_MS
